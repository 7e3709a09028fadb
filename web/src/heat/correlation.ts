/**
 * The dialog that sets two quantities, or two points, against each other: what is asked of the
 * server, the plot, and the same in words.
 */

import { clockText, countText, durationText, labelText, numberText, unitText } from "../format.ts";
import type { Mirror } from "../mirror.ts";
import { reasonOf } from "../panels/context.ts";
import { h, openDialog, segmented, setText } from "../panels/dom.ts";
import { findPoints } from "../panels/find_points.ts";
import { partField } from "../panels/part.ts";
import type { Correlation } from "../protocol.ts";
import type { SceneApi } from "../scene/api.ts";
import { t } from "../words.ts";
import { quantityText } from "./panel.ts";
import { Scatter } from "./scatter.ts";
import { storeOf } from "./store.ts";

const MINUTE_MS = 60_000;
const SPANS = [10, 60, 360, 1440, 10_080] as const;
const LISTED = 30;
/** Times of which means are taken: each is a look at the whole world as it was. */
const INSTANTS = 6;

type By = "twin" | "time";

export function openCorrelation(mirror: Mirror, scene: SceneApi): void {
  new CorrelationDialog(mirror, scene);
}

class CorrelationDialog {
  private readonly scatter = new Scatter();
  private readonly said = h("p", { class: "corr-said", role: "status" });
  private readonly figures = h("dl", { class: "corr-figures num" });
  private readonly quantityX: HTMLSelectElement;
  private readonly quantityY: HTMLSelectElement;
  private readonly pointX: HTMLInputElement;
  private readonly pointY: HTMLInputElement;
  private readonly within;
  private readonly span = h("select", { class: "input", attrs: { "aria-label": t("Time span") }, on: { change: () => this.ask() } });
  private readonly lag = h("input", { class: "input num", attrs: { type: "number", step: "any", value: "0", "aria-label": t("Lag in seconds") }, on: { change: () => this.ask() } });
  private readonly best = h("button", { class: "button quiet", attrs: { type: "button", hidden: true }, on: { click: () => this.takeBest() } });
  private readonly ofTwin: HTMLElement;
  private readonly ofTime: HTMLElement;
  private readonly dialog: { close(): void };
  private readonly lists: HTMLElement[] = [];
  private by: By = "twin";
  private answer: Correlation | null = null;
  private asked: AbortController | null = null;

  constructor(
    private readonly mirror: Mirror,
    private readonly scene: SceneApi,
  ) {
    this.quantityX = this.quantityChoice(t("Quantity across"), 0);
    this.quantityY = this.quantityChoice(t("Quantity upwards"), 1);
    this.pointX = this.pointChoice(t("Point across"), 0);
    this.pointY = this.pointChoice(t("Point upwards"), 1);
    const part = partField({ mirror }, t("Only what is part of"));
    this.within = part.input;
    this.within.addEventListener("change", () => this.ask());
    for (const minutes of SPANS) this.span.append(h("option", { attrs: { value: minutes, selected: minutes === 60 } }, t("last {time}", { time: durationText(minutes * MINUTE_MS) })));
    const by = segmented<By>(t("What a dot is"), [["twin", t("A dot for each twin")], ["time", t("A dot for each moment")]], "twin", (choice) => {
      this.by = choice;
      this.arrange();
      this.ask();
    });
    this.ofTwin = h("div", { class: "corr-row" }, this.quantityX, this.quantityY, part.element);
    this.ofTime = h("div", { class: "corr-row of-time" }, this.pointX, this.pointY, h("label", { class: "corr-lag" }, t("Lag, s"), this.lag, this.best));
    this.scatter.onChoose = (i) => this.choose(i);
    const body = h("div", { class: "corr" }, h("div", { class: "corr-head" }, by.element, this.span), this.ofTwin, this.ofTime, this.scatter.element, this.figures, this.said, ...this.lists);
    this.dialog = openDialog(t("Correlation"), body, [], { wide: true, onClose: () => this.asked?.abort() });
    this.arrange();
    this.ask();
  }

  private quantityChoice(label: string, at: number): HTMLSelectElement {
    const { all } = storeOf(this.mirror).quantities;
    const select = h("select", { class: "input", attrs: { "aria-label": label }, on: { change: () => this.ask() } });
    for (const each of all) select.append(h("option", { attrs: { value: each.key } }, quantityText(each)));
    const wanted = [/^temperature$/i, /^CO2$|^humidity$/i][at]!;
    const chosen = all.find((each) => wanted.test(each.name)) ?? all[at] ?? all[0];
    if (chosen) select.value = chosen.key;
    return select;
  }

  private pointChoice(label: string, at: number): HTMLInputElement {
    const { mirror } = this;
    const id = `corr-points-${at}`;
    const list = h("datalist", { id });
    const own = mirror.selected === null ? [] : mirror.pointsOf(mirror.selected);
    const numbers = own.filter((point) => (point.type.kind ?? 0) <= 1);
    const first = numbers[at];
    const input = h("input", {
      class: "input",
      attrs: { type: "search", list: id, "aria-label": label, placeholder: "twin.point", autocomplete: "off", spellcheck: "false", value: first ? `${first.twin}.${first.name}` : "" },
      on: {
        change: () => this.ask(),
        input: () => {
          const found = findPoints(mirror, input.value, LISTED).map((handle) => mirror.pointRef(handle));
          list.replaceChildren(...found.map((point) => h("option", { attrs: { value: `${point.twin}.${point.name}`, label: `${mirror.nameOf(point.twin)}: ${labelText(point.name)}` } })));
        },
      },
    });
    this.lists.push(list);
    return input;
  }

  private arrange(): void {
    this.ofTwin.hidden = this.by !== "twin";
    this.ofTime.hidden = this.by !== "time";
  }

  private ask(): void {
    this.asked?.abort();
    const control = (this.asked = new AbortController());
    const end_ms = this.mirror.viewMs();
    const start_ms = end_ms - Number(this.span.value) * MINUTE_MS;
    const time = { start: `${Math.round(start_ms)}000000`, end: `${Math.round(end_ms)}000000` };
    const question = this.by === "twin" ? this.twinQuestion() : this.timeQuestion();
    if (question === null) {
      this.clear(t("Name two points, as twin.point."));
      return;
    }
    setText(this.said, t("Reading the past…"));
    this.mirror.rest
      .get<Correlation>("correlation", { ...question, ...time }, control.signal)
      .then((answer) => {
        if (!control.signal.aborted) this.show(answer);
      })
      .catch((error: unknown) => {
        if (!control.signal.aborted) this.clear(reasonOf(error));
      });
  }

  private twinQuestion(): Record<string, string> {
    const [x, xUnit] = this.quantityX.value.split("\0");
    const [y, yUnit] = this.quantityY.value.split("\0");
    const within = this.within.value.trim();
    return { by: "twin", instants: String(INSTANTS), x: x ?? "", y: y ?? "", ...(xUnit ? { x_unit: xUnit } : {}), ...(yUnit ? { y_unit: yUnit } : {}), ...(within ? { within } : {}) };
  }

  private timeQuestion(): Record<string, string> | null {
    const x = this.pointX.value.trim();
    const y = this.pointY.value.trim();
    const lag_s = Number.isFinite(this.lag.valueAsNumber) ? this.lag.valueAsNumber : 0;
    return x && y ? { by: "time", x, y, lag_s: String(lag_s) } : null;
  }

  private takeBest(): void {
    this.lag.value = String(Number((this.answer?.best_lag_s ?? 0).toFixed(3)));
    this.ask();
  }

  private clear(why: string): void {
    this.figures.replaceChildren();
    setText(this.said, why);
  }

  private show(answer: Correlation): void {
    this.answer = answer;
    const label = (axis: { name: string; unit: string }): string => {
      const name = this.by === "twin" ? labelText(axis.name) : this.pointText(axis.name);
      return axis.unit ? `${name}, ${unitText(axis.unit)}` : name;
    };
    const line = answer.slope === null || answer.intercept === null ? null : { slope: answer.slope, intercept: answer.intercept };
    const words = this.words(answer, label(answer.x), label(answer.y));
    this.scatter.show(
      {
        xs: answer.xs, ys: answer.ys, xLabel: label(answer.x), yLabel: label(answer.y), line,
        name: (i) => (answer.by === "twin" ? this.mirror.nameOf(answer.twins[i] ?? "") : clockText(answer.times_ms[i] ?? 0)),
      },
      words,
    );
    const number = (value: number | null): string => (value === null ? "–" : numberText(value, 3));
    this.figures.replaceChildren();
    for (const [name, value] of [
      [t("Pairs"), countText(answer.n)],
      ["Pearson r", number(answer.pearson)],
      ["Spearman ρ", number(answer.spearman)],
      [t("Slope"), answer.slope === null ? "–" : numberText(answer.slope)],
    ] as const) this.figures.append(h("div", {}, h("dt", {}, name), h("dd", {}, value)));
    const best = answer.best_lag_s;
    this.best.hidden = best === null || Math.abs(best - answer.lag_s) < answer.step_s / 2;
    if (best !== null) setText(this.best, t("Strongest at {lag} s", { lag: numberText(best, 1) }));
    setText(this.said, words);
  }

  /** A point as people read it: its twin's name, and its own. */
  private pointText(name: string): string {
    for (let at = name.lastIndexOf("."); at > 0; at = name.lastIndexOf(".", at - 1))
      if (this.mirror.twins.has(name.slice(0, at))) return `${this.mirror.nameOf(name.slice(0, at))}: ${labelText(name.slice(at + 1))}`;
    return name;
  }

  /** What the plot says, for who does not see it. */
  private words(answer: Correlation, x: string, y: string): string {
    if (answer.n === 0) return t("No pair of values in this time.");
    if (answer.pearson === null) return t("{n} pairs: too few, or one of the two stands still, so nothing can be said.", { n: countText(answer.n) });
    const strength = Math.abs(answer.pearson);
    const how = strength < 0.2 ? t("hardly vary together") : strength < 0.5 ? t("vary together a little") : strength < 0.8 ? t("vary together") : t("vary together closely");
    const way = answer.pearson < 0 && strength >= 0.2 ? t("where one is high, the other is low") : strength >= 0.2 ? t("where one is high, so is the other") : t("one says little about the other");
    const less = answer.is_reduced ? ` ${t("There was more than could be read: this rests on a part of it.")}` : "";
    return t("{x} and {y} {how}: {way}.", { x, y, how, way }) + less;
  }

  private choose(i: number): void {
    const id = this.answer?.twins[i];
    if (this.answer?.by !== "twin" || id === undefined) return;
    this.dialog.close();
    this.mirror.select(id);
    this.scene.focus(id);
  }
}
