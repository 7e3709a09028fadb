/** Notes about twins as the panels in a headset read and write them. The page's own room of notes keeps them. */

import type { Vector3 } from "three";
import type { Authoring } from "../authoring/index.ts";
import { above, drawn, frameOf } from "../authoring/frames.ts";
import type { NoteRef } from "../authoring/book.ts";
import type { Id, Mirror } from "../mirror.ts";
import type { SceneApi } from "../scene/api.ts";

export class Notes {
  readonly #authoring: Authoring | null;
  readonly #mirror: Mirror;
  readonly #scene: SceneApi;
  /** Told why something was not written. */
  onRefused: (words: string) => void = () => {};

  constructor(authoring: Authoring | null, mirror: Mirror, scene: SceneApi) {
    this.#authoring = authoring;
    this.#mirror = mirror;
    this.#scene = scene;
  }

  /** Whether notes can be written in this page at all; the server decides about each. */
  get isThere(): boolean {
    return this.#authoring !== null;
  }

  /** Notes about a twin that are not done with, the latest first. */
  of(twin: Id): NoteRef[] {
    const { room } = this.#authoring ?? { room: null };
    return room === null ? [] : room.book.notesOf(twin).filter(({ note }) => !note.is_done).sort((a, b) => b.note.created - a.note.created);
  }

  /** @param place in the scene, metres, where it was pointed at; null: above the twin's body */
  async write(twin: Id, place: Vector3 | null, text: string): Promise<void> {
    if (this.#authoring === null) return;
    const room = await this.#authoring.enter();
    room.onRefused = (words) => this.onRefused(words);
    room.begin();
    const scene = drawn(this.#scene);
    const frame = scene === null ? null : frameOf(this.#mirror, scene, twin);
    const at = place === null || frame === null ? above(this.#mirror, scene, twin) : place.clone().applyMatrix4(frame.invert()).toArray();
    room.book.addNote(twin, at, text);
  }
}
