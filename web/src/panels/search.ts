// Finding twins, types and points as one types. Twins are asked of the server's index.

import { labelText, shortId } from "../format.ts";
import { type Id, type Mirror, text } from "../mirror.ts";
import type { TwinsPage } from "../protocol.ts";
import type { Context } from "./context.ts";
import { h, setAttr } from "./dom.ts";
import { findPoints } from "./find_points.ts";
import { icon, type IconName } from "./icons.ts";
import { t } from "../words.ts";

const ASK_AFTER_MS = 90;
const TWINS = 8;
const TYPES = 4;
const POINTS = 6;
/** In a larger world only the server's index is asked for twins. */
const TWINS_LOOKED_AT = 20_000;

interface Result {
  group: "Twins" | "Types" | "Points";
  icon: IconName;
  label: string;
  where: string;
  run(isFar: boolean): void;
}

export class Search {
  readonly element: HTMLElement;
  private readonly input: HTMLInputElement;
  private readonly list: HTMLElement;
  private results: Result[] = [];
  private active = 0;
  private timer = 0;
  private asked: AbortController | null = null;

  constructor(
    private readonly context: Context,
    private readonly showType: (type: Id) => void,
  ) {
    this.input = h("input", {
      role: "combobox",
      attrs: {
        type: "search",
        placeholder: t("Search twins, types, points"),
        "aria-label": t("Search twins, types and points"),
        "aria-expanded": "false",
        "aria-controls": "search-results",
        "aria-autocomplete": "list",
        autocomplete: "off",
        spellcheck: "false",
      },
      on: {
        input: () => this.onInput(),
        focus: () => this.onInput(),
        keydown: (event) => this.onKey(event),
        blur: () => setTimeout(() => this.close(), 120),
      },
    });
    this.list = h("div", { class: "search-results scroll", id: "search-results", role: "listbox", hidden: true, attrs: { "aria-label": t("Results") } });
    // A click must not take the focus first, or the list would close under it.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.element = h(
      "div",
      { class: "search", role: "search" },
      h("div", { class: "search-box" }, icon("search"), this.input, h("kbd", { attrs: { "aria-hidden": "true" } }, "/")),
      this.list,
    );
  }

  focus(): void {
    this.input.focus();
    this.input.select();
  }

  private close(): void {
    this.list.hidden = true;
    setAttr(this.input, "aria-expanded", "false");
    setAttr(this.input, "aria-activedescendant", null);
    this.context.scene.highlight([]);
  }

  private onInput(): void {
    const query = this.input.value.trim();
    clearTimeout(this.timer);
    this.asked?.abort();
    if (query === "") {
      this.close();
      return;
    }
    this.show(query, namedLike(this.context.mirror, query).slice(0, TWINS), false);
    this.timer = window.setTimeout(() => void this.ask(query), ASK_AFTER_MS);
  }

  private async ask(query: string): Promise<void> {
    const control = new AbortController();
    this.asked = control;
    try {
      const page = await this.context.mirror.rest.get<TwinsPage>("twins", { text: query, limit: TWINS }, control.signal);
      if (control.signal.aborted) return;
      const ids = page.twins.map((twin) => twin.id);
      const known = new Set(ids);
      for (const id of namedLike(this.context.mirror, query).slice(0, TWINS)) if (!known.has(id)) ids.push(id);
      this.show(query, ids.slice(0, TWINS), true);
      this.context.scene.highlight(ids, "result");
    } catch {
      if (!control.signal.aborted) this.show(query, namedLike(this.context.mirror, query).slice(0, TWINS), true);
    }
  }

  private find(query: string, twins: readonly Id[]): Result[] {
    const { mirror } = this.context;
    const wanted = query.toLowerCase();
    const results: Result[] = twins
      .filter((id) => mirror.twins.has(id))
      .map((id) => ({
        group: "Twins",
        icon: "cube",
        label: mirror.nameOf(id),
        where: id,
        run: (isFar) => this.context.goTo(id, isFar),
      }));
    for (const [id, type] of mirror.types) {
      if (results.length >= twins.length + TYPES) break;
      const name = text(type.name) || shortId(id);
      if (!name.toLowerCase().includes(wanted) && !id.toLowerCase().includes(wanted)) continue;
      results.push({ group: "Types", icon: "tag", label: name, where: id, run: () => this.showType(id) });
    }
    for (const handle of findPoints(mirror, query, POINTS)) {
      const { twin, name } = mirror.pointRef(handle);
      results.push({
        group: "Points",
        icon: "trend",
        label: labelText(name),
        where: mirror.nameOf(twin),
        run: () => {
          this.context.goTo(twin);
          this.context.trends.add(handle);
          this.context.show("trends");
        },
      });
    }
    return results;
  }

  private show(query: string, twins: readonly Id[], isWhole: boolean): void {
    this.results = this.find(query, twins);
    this.active = 0;
    const rows: HTMLElement[] = [];
    let group = "";
    this.results.forEach((result, i) => {
      if (result.group !== group) {
        group = result.group;
        rows.push(h("div", { class: "search-group", role: "presentation" }, t(group)));
      }
      rows.push(
        h(
          "div",
          {
            class: "search-row",
            id: `search-${i}`,
            role: "option",
            on: {
              click: (event) => this.choose(i, event.ctrlKey || event.metaKey),
              pointermove: () => this.mark(i),
            },
          },
          icon(result.icon),
          highlighted(result.label, query),
          h("span", { class: "where clip" }, result.where),
        ),
      );
    });
    if (rows.length === 0) {
      rows.push(
        h("p", { class: "empty-hint search-group" }, isWhole ? t("Nothing is called “{query}”.", { query }) : t("Searching…")),
      );
    } else {
      rows.push(
        h(
          "div",
          { class: "search-foot", attrs: { "aria-hidden": "true" } },
          h("span", {}, h("kbd", {}, "↑"), h("kbd", {}, "↓"), "choose"),
          h("span", {}, h("kbd", {}, "↵"), t("fly there")),
          h("span", {}, h("kbd", {}, "esc"), t("close")),
        ),
      );
    }
    this.list.replaceChildren(...rows);
    this.list.hidden = false;
    setAttr(this.input, "aria-expanded", "true");
    this.mark(0);
  }

  private mark(i: number): void {
    this.active = i;
    this.list.querySelectorAll("[role=option]").forEach((row, at) => setAttr(row, "aria-selected", String(at === i)));
    setAttr(this.input, "aria-activedescendant", this.results.length > 0 ? `search-${i}` : null);
  }

  private choose(i: number, isNear = false): void {
    const result = this.results[i];
    if (!result) return;
    this.input.blur();
    this.close();
    result.run(!isNear);
  }

  private onKey(event: KeyboardEvent): void {
    const n = this.results.length;
    if (event.key === "Escape") {
      if (this.input.value) this.input.value = "";
      this.close();
      this.input.blur();
    } else if (event.key === "ArrowDown" && n > 0) this.step((this.active + 1) % n);
    else if (event.key === "ArrowUp" && n > 0) this.step((this.active - 1 + n) % n);
    else if (event.key === "Enter") this.choose(this.active, event.ctrlKey || event.metaKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private step(i: number): void {
    this.mark(i);
    this.list.querySelector(`#search-${i}`)?.scrollIntoView({ block: "nearest" });
  }
}

/** Twins by names and ids that the page has: answers at once, and when there is no line to the server. */
export function namedLike(mirror: Mirror, query: string): Id[] {
  const wanted = query.toLowerCase();
  const found: [number, Id][] = [];
  if (mirror.twins.size > TWINS_LOOKED_AT && mirror.link.state === "live") return [];
  for (const id of mirror.twins.keys()) {
    const name = mirror.nameOf(id).toLowerCase();
    const at = name.startsWith(wanted) ? 0 : name.includes(wanted) ? 1 : id.toLowerCase().includes(wanted) ? 2 : -1;
    if (at < 0) continue;
    found.push([at, id]);
    if (found.length >= 64) break;
  }
  return found.sort((a, b) => a[0] - b[0]).map(([, id]) => id);
}

function highlighted(label: string, query: string): HTMLElement {
  const at = label.toLowerCase().indexOf(query.toLowerCase());
  if (at < 0) return h("span", { class: "clip" }, label);
  return h(
    "span",
    { class: "clip" },
    label.slice(0, at),
    h("mark", {}, label.slice(at, at + query.length)),
    label.slice(at + query.length),
  );
}
