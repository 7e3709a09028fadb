/**
 * Steps of editing what people write down together: each can be done again on a newer state, so that
 * nobody overwrites another. Knows no page, no server and no form of what is edited.
 */

/** What an act says when what it was made for has become another meanwhile. */
export class ActRefused extends Error {}

/** One step of editing. Done again on a newer state if somebody else was quicker. */
export type Act<T> = (value: T) => T;

/** An id that no part of anything has: two people who add one at once add two. */
export function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return Array.from(bytes, (byte) => byte.toString(36).padStart(2, "0")).join("");
}
