// People in the page: the meeting, what others look like in the scene, and the button that joins.

import "./people.css";

import type { Mirror } from "../mirror.ts";
import type { SceneApi } from "../scene/api.ts";
import { Avatars } from "./avatars.ts";
import { Meeting } from "./meeting.ts";

/** What the rest of the page may ask of people. */
export interface People {
  readonly meeting: Meeting;
  /** What others look like; null until one joins. */
  readonly avatars: Avatars | null;
}

export function mountPeople(mirror: Mirror, scene: SceneApi): People {
  const meeting = new Meeting();
  meeting.where = () => scene.body();
  let avatars: Avatars | null = null;
  let remove: (() => void) | null = null;
  meeting.on("state", () => {
    if (meeting.isIn && remove === null) remove = scene.addLayer((avatars ??= new Avatars(meeting)));
    else if (!meeting.isIn && remove !== null && meeting.state !== "lost") {
      remove();
      remove = null;
    }
  });
  meeting.on("poses", () => scene.invalidate());
  meeting.on("people", () => scene.invalidate());
  mirror.on("selection", ({ id }) => meeting.stand({ selected: id ?? "" }));
  meeting.on("entered", () => meeting.stand({ selected: mirror.selected ?? "" }));
  return {
    meeting,
    get avatars() {
      return avatars;
    },
  };
}
