// What a look at a source saw, before anything is mirrored, and why it saw nothing.

import { countText } from "../format.ts";
import { RestError, text } from "../mirror.ts";
import type { Discovery, FoundTwin } from "../protocol.ts";
import { t } from "../words.ts";
import { reasonOf } from "./context.ts";
import { h } from "./dom.ts";
import { icon } from "./icons.ts";

const SHOWN_AT_ONCE = 60;

/** What is shown while a source is looked at. */
export function looking(place: string): HTMLElement[] {
  return [
    h("div", { class: "discovery-wait dim" }, h("span", { class: "dot connecting" }), t("Looking at {place} …", { place })),
    ...[86, 70, 78].map((width) => {
      const bar = h("div", { class: "skeleton discovery-skeleton" });
      bar.style.width = `${width}%`;
      return bar;
    }),
  ];
}

/** Why a request was not done, and what to do. */
export function problem(error: unknown): HTMLElement {
  const where = error instanceof RestError ? error.place : "";
  return h(
    "div",
    { class: "problem", role: "alert" },
    icon("alarm-2", "alarm sev-2"),
    h(
      "div",
      {},
      h("strong", {}, reasonOf(error)),
      where && !reasonOf(error).includes(where) && h("div", { class: "mono dimmer" }, where),
      error instanceof RestError && error.mend && h("p", {}, error.mend),
    ),
  );
}

/** What a look saw: how much of what, and the first of it. */
export function findings(discovery: Discovery): HTMLElement {
  const found = discovery.findings;
  if (found.length === 0) {
    return h("div", { class: "problem" }, icon("info", "dim"), h("div", {}, h("strong", {}, t("Nothing to mirror was seen")), h("p", {}, t("It answers, but offers nothing now. Mirror it anyway, and what appears later is taken up."))));
  }
  const types = new Map<string, number>();
  let points = 0;
  for (const finding of found) {
    const type = finding.type ? text(finding.type.name) || finding.type.id : t("no type");
    types.set(type, (types.get(type) ?? 0) + 1);
    points += (finding.type?.points?.length ?? 0) + (finding.twin.points?.length ?? 0);
  }
  return h(
    "div",
    {},
    h(
      "div",
      { class: "discovery-sum num" },
      h("span", {}, h("b", {}, countText(found.length)), found.length === 1 ? t(" twin") : t(" twins")),
      h("span", {}, h("b", {}, countText(types.size)), types.size === 1 ? t(" type") : t(" types")),
      h("span", {}, h("b", {}, countText(points)), t(" points")),
    ),
    h("div", { class: "discovery-types" }, ...[...types].sort((a, b) => b[1] - a[1]).slice(0, 10).map(([type, n]) => h("span", { class: "chip num" }, `${type} × ${n}`))),
    h(
      "div",
      { class: "discovery-list scroll", tabIndex: 0, role: "list", attrs: { "aria-label": t("What it would be mirrored as") } },
      ...found.slice(0, SHOWN_AT_ONCE).map(findingRow),
      found.length > SHOWN_AT_ONCE && h("p", { class: "dimmer num" }, t("and {n} more", { n: countText(found.length - SHOWN_AT_ONCE) })),
    ),
  );
}

function findingRow(finding: FoundTwin): HTMLElement {
  const samples = Object.entries(finding.sample_values).slice(0, 3).map(([point, value]) => `${point} ${String(value)}`).join("  ·  ");
  return h(
    "div",
    { class: "finding", role: "listitem" },
    icon("cube", "dim"),
    h(
      "div",
      { class: "grow" },
      h("div", { class: "finding-head" }, h("span", { class: "clip" }, text(finding.twin.name) || finding.twin.id), h("span", { class: "chip" }, finding.type ? text(finding.type.name) || finding.type.id : t("no type"))),
      h("div", { class: "dimmer" }, finding.guessed),
      samples && h("div", { class: "mono dim clip" }, samples),
    ),
  );
}
