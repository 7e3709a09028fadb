// A field that finds one twin by parts of its name or id, by keyboard alone.

import type { Id } from "../mirror.ts";
import type { TwinsPage } from "../protocol.ts";
import { t } from "../words.ts";
import type { Context } from "./context.ts";
import { h, setAttr } from "./dom.ts";
import { icon } from "./icons.ts";

const ASK_AFTER_MS = 120;
const SHOWN = 8;

let pickers = 0;

export interface TwinPicker {
  element: HTMLElement;
  /** The twin that was chosen; null: none yet. */
  chosen(): Id | null;
  focus(): void;
}

/** Makes the field. `without` are twins that cannot be meant. */
export function twinPicker(context: Context, label: string, without: ReadonlySet<Id>, onChoose: () => void = () => undefined): TwinPicker {
  const { mirror } = context;
  const id = `picker-${++pickers}`;
  let chosen: Id | null = null;
  let found: Id[] = [];
  /** What was asked for when these were found. */
  let foundFor: string | null = null;
  let active = 0;
  let timer = 0;
  let asked: AbortController | null = null;
  const list = h("div", { class: "picker-list scroll", id, role: "listbox", hidden: true, attrs: { "aria-label": label } });
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  const input = h("input", {
    class: "input",
    role: "combobox",
    attrs: { type: "search", autocomplete: "off", spellcheck: "false", placeholder: t("Name or id"), "aria-label": label, "aria-expanded": "false", "aria-controls": id, "aria-autocomplete": "list" },
    on: {
      input: () => {
        chosen = null;
        onChoose();
        clearTimeout(timer);
        timer = window.setTimeout(() => void ask(input.value.trim()), ASK_AFTER_MS);
      },
      focus: () => chosen === null && void ask(input.value.trim()),
      // What is clicked must not move away between press and release.
      blur: () => window.setTimeout(close, 200),
      keydown: (event) => onKey(event),
    },
  });
  const close = (): void => {
    list.hidden = true;
    setAttr(input, "aria-expanded", "false");
    setAttr(input, "aria-activedescendant", null);
  };
  const choose = (at: number): void => {
    const twin = found[at];
    if (twin === undefined) return;
    clearTimeout(timer);
    asked?.abort();
    chosen = twin;
    input.value = mirror.nameOf(twin);
    input.title = twin;
    close();
    onChoose();
  };
  const mark = (at: number): void => {
    active = at;
    [...list.children].forEach((row, i) => setAttr(row, "aria-selected", String(i === at)));
    setAttr(input, "aria-activedescendant", found.length > 0 ? `${id}-${at}` : null);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  /** Shows what is found; whether it was: typing on overtakes it. */
  const ask = async (query: string): Promise<boolean> => {
    asked?.abort();
    const control = (asked = new AbortController());
    let twins: Id[];
    try {
      const page = await mirror.rest.get<TwinsPage>("twins", { text: query || null, limit: SHOWN + without.size }, control.signal);
      twins = page.twins.map((twin) => twin.id);
    } catch {
      if (control.signal.aborted) return false;
      twins = [];
    }
    if (control.signal.aborted || document.activeElement !== input) return false;
    foundFor = query;
    found = twins.filter((twin) => !without.has(twin)).slice(0, SHOWN);
    list.replaceChildren(
      ...(found.length === 0
        ? [h("p", { class: "empty-hint" }, t("Nothing is called “{query}”.", { query }))]
        : found.map((twin, i) =>
            h(
              "div",
              { class: "picker-row", id: `${id}-${i}`, role: "option", on: { click: () => choose(i), pointermove: () => mark(i) } },
              icon("cube"),
              h("span", { class: "clip" }, mirror.nameOf(twin)),
              h("span", { class: "where clip" }, twin),
            ),
          )),
    );
    list.hidden = false;
    setAttr(input, "aria-expanded", "true");
    mark(0);
    return true;
  };
  /** Chooses the first of what is typed, though it is not shown yet. */
  const askAndChoose = async (query: string): Promise<void> => {
    clearTimeout(timer);
    if (await ask(query)) choose(0);
  };
  const onKey = (event: KeyboardEvent): void => {
    const query = input.value.trim();
    const n = found.length;
    if (event.key === "Enter" && chosen === null && query !== "" && query !== foundFor) void askAndChoose(query);
    else if (list.hidden) {
      if (event.key === "ArrowDown") void ask(query);
      return;
    } else if (event.key === "Escape") close();
    else if (event.key === "ArrowDown" && n > 0) mark((active + 1) % n);
    else if (event.key === "ArrowUp" && n > 0) mark((active - 1 + n) % n);
    else if (event.key === "Enter") choose(active);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return { element: h("div", { class: "picker" }, input, list), chosen: () => chosen, focus: () => input.focus() };
}
