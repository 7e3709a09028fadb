// Answers for one twin: what it is, what it says now, what it is joined to, what may be asked of it.

import { countText, labelText, whenText } from "../format.ts";
import { type Id, type Told, text, type TwinType } from "../mirror.ts";
import { idPath } from "../rest.ts";
import type { Property, TwinDetail } from "../protocol.ts";
import { acknowledge } from "./alarms.ts";
import { connectionGroups, dependentList, dependentsOf } from "./connections.ts";
import { type Context, remembered } from "./context.ts";
import { Controls } from "./controls.ts";
import { Documents } from "./documents.ts";
import { mayEdit, openEdit } from "./edit.ts";
import { button, copyText, emptyState, h, iconButton, setText } from "./dom.ts";
import { icon, type IconName } from "./icons.ts";
import { PointList, type Pins } from "./points.ts";
import { endRelation, openRelate } from "./relate.ts";
import { identityOf, plainText, propertyList } from "./properties.ts";
import type { Painter } from "./pulse.ts";
import type { CommandTimes } from "./steps.ts";
import { TotalsPart } from "./totals.ts";
import { t } from "../words.ts";

/** Twins with more points than this get a field to find one by name. */
const FILTER_FROM = 14;

export class Inspector implements Painter, Pins {
  private readonly scroller = h("div", { class: "inspector-scroll scroll", tabIndex: -1 });
  private readonly head = h("div", { class: "insp-head" });
  private readonly pinnedPlace = h("div", {});
  private readonly body = h("div", {});
  private readonly points: PointList;
  private readonly pinned: PointList;
  private readonly pinStore;
  private readonly closed = remembered<string[]>("inspector.closed", [t("Properties")]);
  private readonly documents: Documents;
  private controls: Controls | null = null;
  private totals: TotalsPart | null = null;
  private shown: Id | null = null;
  private isStale = true;
  private arePinsStale = true;
  private areAlarmsStale = false;
  private readonly alarmPlace = h("div", {});
  private detail: AbortController | null = null;
  private filter = "";

  constructor(
    private readonly host: HTMLElement,
    private readonly context: Context,
    private readonly times: CommandTimes,
    private readonly onClose: () => void,
  ) {
    const { mirror, pulse } = context;
    this.pinStore = remembered<string[]>("pins", []);
    this.points = new PointList(context, this.scroller, this, false);
    this.pinned = new PointList(context, this.scroller, this, true);
    this.documents = new Documents(context, host);
    host.append(h("div", { class: "inspector" }, this.head, this.scroller));
    this.scroller.append(this.pinnedPlace, this.body);
    mirror.on("selection", () => this.rebuild());
    mirror.on("structure", (told: Told["structure"]) => {
      this.arePinsStale = true;
      if (told.twins === null || (this.shown !== null && told.twins.has(this.shown))) this.rebuild();
      else pulse.mark(this);
    });
    mirror.on("values", () => pulse.mark(this));
    mirror.on("commands", () => pulse.mark(this));
    mirror.on("events", () => {
      this.areAlarmsStale = true;
      pulse.mark(this);
    });
    let reloadTimer = 0;
    mirror.on("time", () => {
      clearTimeout(reloadTimer);
      reloadTimer = window.setTimeout(() => {
        this.points.reload();
        this.pinned.reload();
      }, 300);
      pulse.mark(this);
    });
    context.trends.on(() => pulse.mark(this));
    pulse.tick(this);
    this.rebuild();
  }

  focus(): void {
    this.scroller.focus();
  }

  // --- pins ----------------------------------------------------------------------------------

  has(handle: number): boolean {
    return this.pinStore.get().includes(this.pinKey(handle));
  }

  toggle(handle: number): void {
    const key = this.pinKey(handle);
    const keys = this.pinStore.get();
    this.pinStore.set(keys.includes(key) ? keys.filter((each) => each !== key) : [...keys, key]);
    this.arePinsStale = true;
    this.context.pulse.mark(this);
  }

  get hasPins(): boolean {
    return this.pinHandles().length > 0;
  }

  private pinKey(handle: number): string {
    const { twin, name } = this.context.mirror.pointRef(handle);
    return `${twin}\0${name}`;
  }

  private pinHandles(): number[] {
    return this.pinStore
      .get()
      .map((key) => {
        const [twin, name] = key.split("\0");
        return this.context.mirror.handle(twin!, name!);
      })
      .filter((handle) => handle >= 0);
  }

  // --- painting ------------------------------------------------------------------------------

  private rebuild(): void {
    this.isStale = true;
    this.context.pulse.mark(this);
  }

  paint(): void {
    if (this.host.hidden && !this.isStale) return;
    if (this.isStale) {
      this.isStale = false;
      this.build();
    }
    if (this.arePinsStale) {
      this.arePinsStale = false;
      this.buildPins();
    }
    if (this.areAlarmsStale) {
      this.areAlarmsStale = false;
      this.buildAlarms();
    }
    this.points.paint();
    this.pinned.paint();
    this.controls?.paint();
    this.totals?.paint();
  }

  private buildPins(): void {
    const handles = this.pinHandles();
    this.pinned.show(handles);
    this.pinnedPlace.replaceChildren(
      ...(handles.length > 0 ? [this.section(t("Pinned"), handles.length, this.pinned.element, true)] : []),
    );
  }

  private build(): void {
    const { mirror } = this.context;
    const id = mirror.selected;
    const isOther = id !== this.shown;
    this.shown = id;
    this.detail?.abort();
    this.controls = null;
    this.totals = null;
    if (isOther) {
      this.filter = "";
      this.scroller.scrollTop = 0;
    }
    const twin = id === null ? undefined : mirror.twins.get(id);
    if (id === null || !twin) {
      this.points.clear();
      this.documents.hide();
      this.head.replaceChildren(
        h("div", { class: "insp-crumbs" }, h("span", { class: "trail" }, t("Details")), iconButton("close", t("Close"), this.onClose, "small")),
      );
      this.body.replaceChildren(emptyState("focus", t("Nothing selected"), t("Choose a twin in the scene, in the tree or by search.")));
      return;
    }
    const chain = twin.type ? mirror.typeChain(twin.type) : [];
    const properties = twin.properties ?? [];
    const { facts, purpose } = identityOf(properties);
    this.buildHead(id, chain, purpose);
    this.buildAlarms();
    const sections: HTMLElement[] = [];

    const controls = new Controls(this.context, this.times, id);
    const pointPart = this.pointSection(id);
    if (pointPart) sections.push(pointPart);
    if (!controls.isEmpty) {
      this.controls = controls;
      sections.push(this.section(t("Commands"), 0, controls.element, true));
    }
    const totals = new TotalsPart(this.context, id);
    if (!totals.isEmpty) {
      this.totals = totals;
      sections.push(this.section(t("Totals"), 0, totals.element, true));
    }
    sections.push(this.section(t("Identification"), 0, this.identification(id, twin.type ?? "", facts)));
    const mayRelate = mayEdit(this.context);
    const joined = connectionGroups(this.context, id, mayRelate ? (relation) => void endRelation(this.context, relation) : undefined);
    const relate = mayRelate && button(t("Relate…"), () => openRelate(this.context, id), "quiet", "plus");
    if (joined || relate) sections.push(this.section(t("Connections"), mirror.from(id).length + mirror.to(id).length, h("div", {}, joined, relate), true));
    const dependsPlace = h("div", {});
    sections.push(dependsPlace);
    this.showDependents(dependsPlace, id, dependentsOf(this.context, id));
    if (properties.length > 0) sections.push(this.section(t("Properties"), properties.length, propertyList(this.context, properties)));
    const documents = this.documents.show(id, properties);
    if (documents) sections.push(this.section(t("Documents"), documents.count, documents.element));
    this.body.replaceChildren(...sections);
    void this.ask(id, dependsPlace);
  }

  private buildHead(id: Id, chain: readonly TwinType[], purpose: string): void {
    const { mirror, scene } = this.context;
    const trail = h("nav", { class: "trail", attrs: { "aria-label": t("Part of") } });
    const way: Id[] = [];
    for (let at = mirror.parent(id); at !== undefined && way.length < 16; at = mirror.parent(at)) way.unshift(at);
    way.forEach((each, i) => {
      if (i > 0) trail.append(icon("chevron"));
      trail.append(
        h("button", { class: "crumb clip", attrs: { type: "button" }, on: { click: () => this.context.goTo(each) } }, mirror.nameOf(each)),
      );
    });
    const type = chain[0];
    const purposeText = purpose || text(type?.description);
    const api = `api/twins/${idPath(id)}`;
    this.head.replaceChildren(
      h("div", { class: "insp-crumbs" }, trail, iconButton("close", t("Close details"), this.onClose, "small")),
      h("h2", { class: "insp-title", id: "insp-title" }, mirror.nameOf(id)),
      h(
        "div",
        { class: "insp-sub" },
        h("span", { title: twinTypeTitle(chain) }, type ? mirror.typeName(type.id) : t("No type")),
        mirror.nameOf(id) !== id && h("span", { class: "sep" }, "·"),
        mirror.nameOf(id) !== id && h("span", { class: "mono dimmer clip", title: id }, id),
      ),
      purposeText && h("p", { class: "insp-function" }, purposeText),
      this.alarmPlace,
      h(
        "div",
        { class: "insp-actions" },
        button(t("Fly there"), () => scene.focus(id), "quiet", "focus"),
        mayEdit(this.context) && button(t("Edit"), () => openEdit(this.context, id), "quiet"),
        h("span", { class: "grow" }),
        iconButton("copy", t("Copy id"), () => {
          void copyText(id).then((done) =>
            this.context.toast({ tone: "plain", title: done ? t("Id copied") : t("The browser gave no access to the clipboard"), detail: id }),
          );
        }),
        h(
          "a",
          { class: "icon-button", title: t("All of it as JSON"), attrs: { href: api, target: "_blank", rel: "noopener", "aria-label": t("All of it as JSON") } },
          icon("external"),
        ),
      ),
    );
    this.host.setAttribute("aria-labelledby", "insp-title");
  }

  private buildAlarms(): void {
    const { mirror } = this.context;
    const now_ms = mirror.nowMs();
    const alarms = this.shown === null ? [] : mirror.alarms().filter((event) => event.twin === this.shown).slice(0, 4);
    this.alarmPlace.replaceChildren(
      ...alarms.map((event) => {
        const severity = event.severity ?? 0;
        return h(
          "div",
          { class: `insp-alarm sev-${severity}` },
          icon(`alarm-${severity}` as IconName, "alarm"),
          h("div", { class: "words" }, text(event.message) || labelText(event.kind), h("small", { class: "num" }, `${t("since {time}", { time: whenText((event.source_ns ?? 0) / 1e6, now_ms) })}${event.is_acknowledged ? ` · ${t("acknowledged")}` : ""}`)),
          event.is_acknowledged ? null : button(t("Acknowledge"), () => void acknowledge(this.context, event.id), "plain"),
        );
      }),
    );
  }

  private pointSection(id: Id): HTMLElement | null {
    const { mirror } = this.context;
    const points = mirror.pointsOf(id);
    if (points.length === 0) {
      this.points.clear();
      return null;
    }
    const show = (): void => {
      const wanted = this.filter.toLowerCase();
      this.points.show(
        points.filter((point) => !wanted || point.name.toLowerCase().includes(wanted) || labelText(point.name).toLowerCase().includes(wanted)).map((point) => point.handle),
      );
    };
    const body = h("div", {});
    if (points.length >= FILTER_FROM) {
      const field = h("input", {
        class: "input",
        attrs: { type: "search", placeholder: t("Find among {n} points", { n: countText(points.length) }), "aria-label": t("Find a point by name") },
        on: {
          input: () => {
            this.filter = field.value.trim();
            show();
          },
        },
      });
      field.value = this.filter;
      body.append(h("div", { class: "points-tools" }, field));
    }
    body.append(this.points.element);
    show();
    return this.section(t("Points"), points.length, body, true);
  }

  private identification(id: Id, type: Id, facts: readonly (readonly [string, Property])[]): HTMLElement {
    const { mirror } = this.context;
    const list = h("dl", { class: "facts" });
    const fact = (label: string, value: Node | string, className = ""): void => {
      list.append(h("dt", {}, label), h("dd", { class: className }, value));
    };
    for (const [label, property] of facts) {
      const isGiven = property.name !== "";
      fact(label, isGiven ? plainText(property) : t("not given"), isGiven ? "num" : "dimmer");
    }
    fact(t("Id"), id, "mono");
    if (type) fact(t("Type"), mirror.typeName(type));
    if (type && mirror.typeName(type) !== type) fact(t("Type id"), type, "mono");
    const meaning = mirror.types.get(type)?.semantic_ids;
    if (meaning?.length) fact("Means", meaning.join("\n"), "mono");
    const source = h("dd", {}, id.includes("/") ? id.slice(0, id.indexOf("/")) : "authored");
    source.dataset["source"] = "";
    list.append(h("dt", {}, t("Declared by")), source);
    return list;
  }

  private showDependents(place: HTMLElement, id: Id, dependents: Parameters<typeof dependentList>[1]): void {
    if (dependents.length === 0) {
      place.replaceChildren();
      return;
    }
    const inScene = button(t("Show in the scene"), () => {
      this.context.scene.highlight(dependents.map((each) => each.twin.id), "related");
    }, "quiet", "cube");
    const clear = this.context.mirror.on("selection", () => {
      this.context.scene.highlight([]);
      clear();
    });
    place.replaceChildren(
      this.section(t("What depends on it"), dependents.length, h("div", {}, dependentList(this.context, dependents), h("div", { class: "links-more" }, inScene)), true),
    );
    place.dataset["of"] = id;
  }

  /** What only the server knows: dependents beyond what is drawn here, and who declares the twin. */
  private async ask(id: Id, dependsPlace: HTMLElement): Promise<void> {
    const control = new AbortController();
    this.detail = control;
    try {
      const detail = await this.context.mirror.rest.get<TwinDetail>(`twins/${idPath(id)}`, {}, control.signal);
      if (control.signal.aborted) return;
      this.showDependents(dependsPlace, id, detail.dependents);
      const place = this.body.querySelector("[data-source]");
      if (place) setText(place, detail.source || t("authored on this page"));
    } catch {
      // What the page has of its own is shown already.
    }
  }

  private section(title: string, count: number, content: HTMLElement, isFlush = false): HTMLElement {
    const element = h(
      "details",
      { class: "section", attrs: { open: !this.closed.get().includes(title) } },
      h("summary", {}, icon("chevron"), title, count > 0 && h("span", { class: "count num" }, countText(count))),
      h("div", { class: isFlush ? "section-body flush" : "section-body" }, content),
    );
    element.addEventListener("toggle", () => {
      const closed = this.closed.get().filter((each) => each !== title);
      this.closed.set(element.open ? closed : [...closed, title]);
    });
    return element;
  }
}

function twinTypeTitle(chain: readonly TwinType[]): string {
  return chain.map((type) => text(type.name) || type.id).join(" ← ");
}
