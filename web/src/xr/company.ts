/** Who else is in the same world, as the menu in a headset shows them, and what one can do there by hand. */

import { standingOf } from "../people/banner.ts";
import type { People } from "../people/index.ts";
import { t } from "../words.ts";
import type { Press } from "./slate.ts";

/** Somebody else in the meeting. */
export interface Other {
  id: number;
  name: string;
  note: string;
  /** Stand beside them, follow them, have them come. */
  presses: readonly Press[];
}

export interface Company {
  others(): readonly Other[];
  /** Whom one follows or who presents, in words, with the ways out of it; "": nothing of the kind. */
  standing(): { words: string; presses: readonly Press[] };
  presses(): readonly Press[];
  /** One has gone elsewhere oneself: one follows nobody. */
  letGo(): void;
  /** Tells what somebody asks of one, until the function that comes back is called. */
  onTold(listener: (words: string) => void): () => void;
}

export function companyOf({ meeting, voice, together }: People): Company {
  /** Who asks one to come, until one has gone there. */
  let asks = 0;
  const listeners = new Set<(words: string) => void>();
  const nameOf = (id: number): string => meeting.people().get(id)?.name || t("Somebody");
  const goTo = (id: number): void => {
    if (asks === id) asks = 0;
    together.goTo(id);
  };
  meeting.on("brought", ({ by, is_now }) => {
    if (!is_now) asks = by;
    for (const listener of listeners) listener(is_now ? t("{name} brings you beside them", { name: nameOf(by) }) : t("{name} asks you to come", { name: nameOf(by) }));
  });
  return {
    letGo: () => together.letGo(),
    onTold: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    standing: () => {
      const [, words, acts] = standingOf(meeting, together);
      const presses: Press[] = acts.map(([label, act]) => ({ label, act }));
      if (!meeting.isIn || !meeting.people().has(asks)) return { words, presses };
      return { words: words || t("{name} asks you to come", { name: nameOf(asks) }), presses: [...presses, { label: t("Go to {name}", { name: nameOf(asks) }), tone: "accent", act: () => goTo(asks) }] };
    },
    others: () => {
      const others: Other[] = [];
      for (const person of meeting.people().values()) {
        const { id } = person;
        if (id === meeting.me) continue;
        const note = [person.hand > 0 ? t("hand raised") : "", voice.isSpeaking(id) ? t("speaks") : "", person.is_away ? t("away") : ""].filter(Boolean).join(", ");
        const isLed = together.leader === id;
        const isHere = person.place === meeting.place;
        others.push({
          id, name: nameOf(id), note,
          presses: [
            { label: t("Stand beside"), isOff: person.body === null, act: () => goTo(id) },
            { label: isLed ? t("Follow no longer") : t("Follow"), isOn: isLed, isOff: !isHere, act: () => (isLed ? together.letGo() : together.follow(id)) },
            { label: t("Bring here"), isOff: !isHere, act: () => void meeting.send({ "@": "Bring", to: [id] }) },
          ],
        });
      }
      return others;
    },
    presses: () => {
      if (!meeting.isIn) return [{ label: t("Join the meeting"), act: () => meeting.join() }];
      const isRaised = (meeting.self?.hand ?? 0) > 0;
      const isPresenting = meeting.presenter !== 0 && meeting.presenter === meeting.me;
      const presses: Press[] = [{ label: isRaised ? t("Lower my hand") : t("Raise my hand"), isOn: isRaised, act: () => meeting.stand({ is_hand_raised: !isRaised }) }];
      if (voice.state === "out") presses.push({ label: t("Speak"), act: () => void voice.join() });
      else if (voice.state === "in")
        presses.push(
          { label: voice.microphone === "muted" ? t("Muted") : t("Mute me"), isOn: voice.microphone === "muted", isOff: voice.microphone === "none", act: () => void voice.toggleMute() },
          { label: t("Leave voice"), act: () => voice.leave() },
        );
      presses.push({
        label: isPresenting ? t("Stop presenting") : t("Present"), isOn: isPresenting,
        isOff: meeting.presenter !== 0 && !isPresenting && !meeting.isModerator, act: () => together.present(!isPresenting),
      });
      if (meeting.people().size > 1) presses.push({ label: t("Bring all here"), act: () => void meeting.send({ "@": "Bring", to: [] }) });
      presses.push({ label: t("Leave the meeting"), hold_ms: 500, act: () => meeting.leave() });
      return presses;
    },
  };
}
