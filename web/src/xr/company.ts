/** Who else is in the same world, as the menu in a headset shows them, and what one can do there by hand. */

import { Vector3 } from "three";
import type { People } from "../people/index.ts";
import { t } from "../words.ts";
import type { Press } from "./slate.ts";

/** Somebody else in the meeting. */
export interface Other {
  name: string;
  note: string;
  /** Where they stand, in the world; null: not heard yet. */
  at: Vector3 | null;
}

export interface Company {
  others(): readonly Other[];
  presses(): readonly Press[];
}

export function companyOf({ meeting, voice, together }: People): Company {
  return {
    others: () => {
      const others: Other[] = [];
      for (const person of meeting.people().values()) {
        if (person.id === meeting.me) continue;
        const note = [person.hand > 0 ? t("hand raised") : "", voice.isSpeaking(person.id) ? t("speaks") : "", person.is_away ? t("away") : ""].filter(Boolean).join(", ");
        const head = person.body?.head;
        others.push({ name: person.name || t("Somebody"), note, at: head === undefined ? null : new Vector3(...head.position) });
      }
      return others;
    },
    presses: () => {
      if (!meeting.isIn) return [{ label: t("Join the meeting"), act: () => meeting.join() }];
      const isRaised = (meeting.self?.hand ?? 0) > 0;
      const presses: Press[] = [{ label: isRaised ? t("Lower my hand") : t("Raise my hand"), isOn: isRaised, act: () => meeting.stand({ is_hand_raised: !isRaised }) }];
      if (voice.state === "out") presses.push({ label: t("Speak"), act: () => void voice.join() });
      else if (voice.state === "in")
        presses.push(
          { label: voice.microphone === "muted" ? t("Muted") : t("Mute me"), isOn: voice.microphone === "muted", isOff: voice.microphone === "none", act: () => void voice.toggleMute() },
          { label: t("Leave voice"), act: () => voice.leave() },
        );
      if (meeting.presenter !== 0 && meeting.presenter !== meeting.me)
        presses.push({ label: together.isOwnWay ? t("Back to the meeting’s time") : t("My own way"), act: () => (together.isOwnWay ? together.comeBack() : together.goOwnWay()) });
      presses.push({ label: t("Leave the meeting"), hold_ms: 500, act: () => meeting.leave() });
      return presses;
    },
  };
}
