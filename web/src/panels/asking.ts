// Asking the plant for something, and what became of it: the same from a panel and from a headset.

import { type Command, type Id, type Mirror, RestError } from "../mirror.ts";
import { reasonOf } from "./context.ts";
import { isOpen } from "./steps.ts";

/** How long a finished command stays beside its control. */
const KEEP_MS = 60_000;

/** Sends a request for a command; returns why it was not taken, or "". */
export async function request(mirror: Mirror, body: Record<string, unknown>): Promise<string> {
  try {
    await mirror.rest.post<Command>("commands", body);
    return ""; // its steps come with the stream, as everyone else sees them
  } catch (error) {
    return error instanceof RestError && error.mend ? `${error.message} ${error.mend}` : reasonOf(error);
  }
}

/** The newest command of a twin that fits, as long as it is of interest. */
export function latest(mirror: Mirror, twin: Id, fits: (command: Command) => boolean): Command | null {
  let found: Command | null = null;
  for (const command of mirror.commands.values()) {
    if (command.twin !== twin || !fits(command)) continue;
    if (found === null || (command.requested_ns ?? 0) >= (found.requested_ns ?? 0)) found = command;
  }
  if (found && !isOpen(found) && mirror.nowMs() - (found.decided_ns ?? 0) / 1e6 > KEEP_MS) return null;
  return found;
}
