/** What others have selected: a frame about it in their colour, with their name on it. */

import { Box3, Box3Helper, Color, Group, LineBasicMaterial } from "three";
import type { SceneLayer } from "../scene/layers.ts";
import { hueOf } from "./colours.ts";
import type { Meeting, Person } from "./meeting.ts";
import { tagOf, type Tag } from "./tags.ts";

/** Frames that are drawn at a time, nearest people first would cost more than it tells. */
const DRAWN_MAX = 24;
const MARGIN_M = 0.06;

interface Frame {
  readonly id: number;
  readonly key: string;
  readonly box: Box3Helper;
  readonly tag: Tag;
}

export class Selections implements SceneLayer {
  readonly object = new Group();
  readonly #meeting: Meeting;
  readonly #boundsOf: (twin: string) => Box3 | undefined;
  readonly #frames = new Map<number, Frame>();

  /** `boundsOf`: where a twin stands. */
  constructor(meeting: Meeting, boundsOf: (twin: string) => Box3 | undefined) {
    this.#meeting = meeting;
    this.#boundsOf = boundsOf;
    meeting.on("people", () => this.refresh());
    meeting.on("entered", () => this.refresh());
  }

  get count(): number {
    return this.#frames.size;
  }

  /** Looks again who has selected what, and where that stands. */
  refresh(): void {
    const wanted = new Map<number, { person: Person; box: Box3 }>();
    for (const person of this.#meeting.people().values()) {
      if (person.id === this.#meeting.me || person.selected === "" || person.place !== this.#meeting.place || wanted.size >= DRAWN_MAX) continue;
      const box = this.#boundsOf(person.selected);
      if (box !== undefined && !box.isEmpty()) wanted.set(person.id, { person, box: box.clone().expandByScalar(MARGIN_M) });
    }
    for (const [id, frame] of [...this.#frames]) {
      const now = wanted.get(id);
      if (now === undefined || keyOf(now.person, now.box) !== frame.key) this.#remove(frame);
      else wanted.delete(id);
    }
    for (const { person, box } of wanted.values()) this.#add(person, box);
  }

  update(_dt_s: number, _nowMs: number, camera: { position: { distanceTo(at: Tag["sprite"]["position"]): number } }): boolean {
    for (const { tag } of this.#frames.values()) tag.fit(camera.position.distanceTo(tag.sprite.position));
    return false;
  }

  dispose(): void {
    for (const frame of [...this.#frames.values()]) this.#remove(frame);
  }

  #add(person: Person, box: Box3): void {
    const helper = new Box3Helper(box, new Color().setHSL(hueOf(person.id) / 360, 0.62, 0.58));
    const material = helper.material as LineBasicMaterial;
    material.transparent = true;
    material.opacity = 0.75;
    material.toneMapped = false;
    const tag = tagOf(person.name, person.id, false);
    tag.sprite.position.set((box.min.x + box.max.x) / 2, box.max.y + 0.1, (box.min.z + box.max.z) / 2);
    tag.sprite.center.set(0.5, 0);
    this.object.add(helper, tag.sprite);
    this.#frames.set(person.id, { id: person.id, key: keyOf(person, box), box: helper, tag });
  }

  #remove(frame: Frame): void {
    frame.box.removeFromParent();
    frame.box.dispose();
    frame.tag.dispose();
    this.#frames.delete(frame.id);
  }
}

function keyOf(person: Person, box: Box3): string {
  return `${person.name}\0${person.selected}\0${[...box.min.toArray(), ...box.max.toArray()].map((metres) => metres.toFixed(2)).join()}`;
}
