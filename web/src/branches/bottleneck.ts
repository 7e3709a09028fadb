// Where a line is held up: stations coloured by the share of time that they are busy, blocked or
// starved, from the figures of an evaluation.

import { cssOf } from "../heat/colours.ts";
import type { Context } from "../panels/context.ts";
import { h, iconButton, segmented } from "../panels/dom.ts";
import { t } from "../words.ts";
import { LOADED, percentText } from "./kpis.ts";
import { type Condition, CONDITIONS, type Load } from "./loads.ts";

const OWNER = "bottleneck";

/** Stations in colours, with a legend that lists them: the most loaded first. */
export class BottleneckMap {
  private readonly element = h("section", { class: "bottleneck", hidden: true, attrs: { "aria-label": t("Bottleneck map") } });
  private loads: readonly Load[] = [];
  private condition: Condition = "busy";

  constructor(private readonly context: Context) {
    document.body.append(this.element);
    context.mirror.on("branch", () => this.hide());
    context.scene.onHeat((owner) => {
      if (owner !== OWNER) this.element.hidden = true;
    });
    context.scene.onBuilt(() => this.colour());
  }

  show(loads: readonly Load[]): void {
    this.loads = loads;
    const has = CONDITIONS.filter((condition) => loads.some(({ shares }) => shares[condition] !== undefined));
    if (!has.includes(this.condition)) this.condition = has[0] ?? "busy";
    this.element.hidden = false;
    this.write(has);
    this.colour();
  }

  hide(): void {
    if (this.element.hidden) return;
    this.element.hidden = true;
    this.context.scene.setHeat(null);
  }

  private get most(): number {
    if (this.condition !== "critical") return 1;
    return Math.max(...this.loads.map(({ shares }) => Math.abs(shares["critical"] ?? 0)), Number.MIN_VALUE);
  }

  private colour(): void {
    if (this.element.hidden) return;
    const { mirror, scene } = this.context;
    const levels = new Uint8Array(mirror.nOrdinals);
    for (const { twin, shares } of this.loads) {
      const share = shares[this.condition];
      const ordinal = mirror.ordinal(twin);
      if (share === undefined || ordinal < 0) continue;
      levels[ordinal] = 1 + Math.round(Math.min(Math.max(share / this.most, 0), 1) * 254);
    }
    scene.setHeat(levels, OWNER);
  }

  private write(has: readonly Condition[]): void {
    const { mirror } = this.context;
    const rows = this.loads
      .filter(({ shares }) => shares[this.condition] !== undefined)
      .sort((a, b) => b.shares[this.condition]! - a.shares[this.condition]!);
    const choose = segmented(t("Coloured by"), has.map((condition) => [condition, LOADED[condition]] as const), this.condition, (condition) => {
      this.condition = condition;
      this.write(has);
      this.colour();
    });
    this.element.replaceChildren(
      h("div", { class: "heat-head" }, h("strong", { class: "grow" }, t("Bottleneck map")), iconButton("close", t("Close the bottleneck map"), () => this.hide(), "small")),
      choose.element,
      h(
        "ol",
        { class: "bottleneck-rows" },
        ...rows.slice(0, 12).map(({ twin, shares }) => {
          const share = shares[this.condition]!;
          const bar = h("i", {});
          bar.style.width = `${Math.min(1, Math.abs(share) / this.most) * 100}%`;
          bar.style.background = cssOf(Math.min(1, Math.max(0, share / this.most)));
          return h("li", {}, h("button", { attrs: { type: "button" }, on: { click: () => this.context.goTo(twin, true) } }, h("span", { class: "clip" }, mirror.nameOf(twin)), h("span", { class: "bottleneck-bar", attrs: { "aria-hidden": "true" } }, bar), h("span", { class: "num" }, percentText(share))));
        }),
      ),
    );
  }
}
