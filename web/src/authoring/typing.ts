/** A text area in which several people type at once. */

import type * as Y from "yjs";
import { h } from "../panels/dom.ts";

/** Binds a text area to a shared text; the function that comes back lets go of it. */
export function bindText(area: HTMLTextAreaElement, text: Y.Text, type: (typed: string) => void): () => void {
  area.value = text.toString();
  const typed = (event: Event): void => {
    if (!(event as InputEvent).isComposing) type(area.value);
  };
  const heard = (event: Y.YTextEvent): void => {
    const now = text.toString();
    if (area.value === now) return;
    // Where one types stays where it is, whatever others do before or behind it.
    let { selectionStart: start, selectionEnd: end } = area;
    let at = 0;
    for (const step of event.delta) {
      if (step.retain !== undefined) at += step.retain;
      else if (typeof step.insert === "string") {
        if (at < start) start += step.insert.length;
        if (at < end) end += step.insert.length;
        at += step.insert.length;
      } else if (step.delete !== undefined) {
        start -= Math.max(0, Math.min(step.delete, start - at));
        end -= Math.max(0, Math.min(step.delete, end - at));
      }
    }
    area.value = now;
    if (document.activeElement === area) area.setSelectionRange(start, end);
  };
  area.addEventListener("input", typed);
  area.addEventListener("compositionend", typed);
  text.observe(heard);
  return () => {
    area.removeEventListener("input", typed);
    area.removeEventListener("compositionend", typed);
    text.unobserve(heard);
  };
}

/** A text area for a note; Ctrl+Enter leaves it. */
export function noteArea(label: string, most: number): HTMLTextAreaElement {
  return h("textarea", {
    class: "input author-text",
    attrs: { "aria-label": label, placeholder: label, maxlength: most, rows: 4, spellcheck: true },
    on: {
      keydown: (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) (event.currentTarget as HTMLElement).blur();
        event.stopPropagation(); // letters typed are no shortcuts
      },
    },
  });
}
