// What can be done in the branch that is shown: change it, run it, find its figures, apply it.

import type { Context } from "../panels/context.ts";
import { h, segmented } from "../panels/dom.ts";
import { t } from "../words.ts";
import { ApplyPart } from "./apply.ts";
import { ChangesPart } from "./changes.ts";
import { FiguresPart } from "./figures.ts";
import { RunPart } from "./run.ts";
import type { BranchStore } from "./store.ts";

type Tab = "changes" | "run" | "figures" | "apply";

/** One of the parts: it paints itself while it is in sight. */
export interface Part {
  readonly element: HTMLElement;
  paint(): void;
}

export class Inside {
  readonly element: HTMLElement;
  private readonly parts: Readonly<Record<Tab, Part>>;
  private tab: Tab = "changes";

  constructor(context: Context, store: BranchStore) {
    this.parts = {
      changes: new ChangesPart(context, store),
      run: new RunPart(context, store),
      figures: new FiguresPart(context, store),
      apply: new ApplyPart(context, store),
    };
    const tabs = segmented(t("In this branch"), [["changes", t("Change")], ["run", t("Run")], ["figures", t("Figures")], ["apply", t("Apply")]] as const, this.tab, (tab) => {
      this.tab = tab;
      this.arrange();
    });
    this.element = h("div", { class: "branch-inside", hidden: true }, h("div", { class: "branch-tabs" }, tabs.element), ...Object.values(this.parts).map((part) => part.element));
    this.arrange();
  }

  paint(): void {
    this.parts[this.tab].paint();
  }

  private arrange(): void {
    for (const [tab, part] of Object.entries(this.parts)) part.element.hidden = tab !== this.tab;
    this.paint();
  }
}
