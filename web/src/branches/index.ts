// Branches on the page: the panel, the banner of the branch that is shown, and the ghost beside the
// plant. The address says which branch is shown, so that it can be sent to somebody.

import "./branches.css";

import { address } from "../address.ts";
import type { Context } from "../panels/context.ts";
import { h, iconButton, setAttr, setText } from "../panels/dom.ts";
import type { Painter } from "../panels/pulse.ts";
import { t } from "../words.ts";
import { Banner } from "./banner.ts";
import { GhostView } from "./ghost.ts";
import { BranchPanel } from "./panel.ts";
import { BranchStore } from "./store.ts";

export class Branches implements Painter {
  /** The way to the branches, for the bar above. */
  readonly button: HTMLButtonElement;
  /** The panel, to be put where the tree is. */
  readonly element: HTMLElement;
  isOpen = false;
  readonly ghost: GhostView;
  private readonly store: BranchStore;
  private readonly panel: BranchPanel;
  private readonly legend = h("section", { class: "ghost-legend", hidden: true, attrs: { "aria-label": t("Ghost") } });
  private readonly words = h("p", { class: "num" });
  private unwatch: (() => void) | null = null;

  constructor(
    private readonly context: Context,
    private readonly onChange: () => void,
  ) {
    const { mirror, scene, pulse } = context;
    this.store = new BranchStore(mirror);
    this.ghost = new GhostView(mirror, scene, () => pulse.mark(this));
    this.panel = new BranchPanel(context, this.store, this.ghost, () => this.open(false));
    this.element = this.panel.element;
    this.button = iconButton("branch", t("Branches: try a future"), () => this.open(!this.isOpen), "branches-button");
    new Banner(context, this.store, this.ghost, () => this.open(true));
    this.legend.append(h("div", { class: "ghost-head" }, h("i", { attrs: { "aria-hidden": "true" } }), h("strong", { class: "grow clip" }), iconButton("close", t("Hide the ghost"), () => this.ghost.hide(), "small")), this.words);
    this.words.setAttribute("role", "status");
    document.body.append(this.legend);
    mirror.on("branch", ({ id }) => {
      if (id !== address.link.branch) address.go({ branch: id });
      if (id !== null) this.open(true);
      pulse.mark(this);
    });
    this.store.on(() => {
      // A branch that was discarded meanwhile has nothing to show any more.
      const { page } = this.store;
      if (mirror.branch !== null && page !== null && this.store.get(mirror.branch) === undefined) {
        context.toast({ tone: "uncertain", title: t("This branch is gone"), detail: t("You see the plant again.") });
        mirror.show(null);
      }
      pulse.mark(this);
      pulse.mark(this.panel);
    });
    address.on(({ branch }) => mirror.show(branch));
    mirror.show(address.link.branch);
  }

  open(isOpen: boolean): void {
    if (isOpen === this.isOpen) return;
    this.isOpen = isOpen;
    this.element.hidden = !isOpen;
    setAttr(this.button, "aria-pressed", String(isOpen));
    if (isOpen) this.unwatch = this.store.watch();
    else {
      this.unwatch?.();
      this.unwatch = null;
    }
    this.onChange();
    this.context.pulse.mark(this.panel);
    if (isOpen) this.panel.focus();
  }

  paint(): void {
    const { ghost } = this;
    this.legend.hidden = !ghost.isOn;
    this.context.pulse.mark(this.panel);
    if (!ghost.isOn) return;
    this.legend.dataset["of"] = ghost.of === null ? "plant" : "branch";
    setText(this.legend.querySelector("strong")!, ghost.of === null ? t("Ghost: the plant") : t("Ghost: {name}", { name: this.store.nameOf(ghost.of ?? "") }));
    setText(this.words, this.ghostWords());
  }

  private ghostWords(): string {
    const { counted } = this.ghost;
    if (!this.context.mirror.time.live) return t("The ghost waits while you look at the past.");
    if (counted === null) return t("Waiting for it…");
    const said = [
      counted.place > 0 && t("{n} elsewhere", { n: counted.place }),
      counted.state > 0 && t("{n} in another state", { n: counted.state }),
      counted.value > 0 && t("{n} with other values", { n: counted.value }),
      counted.new > 0 && t("{n} only in the ghost", { n: counted.new }),
      counted.gone > 0 && t("{n} not in the ghost", { n: counted.gone }),
    ].filter(Boolean);
    return said.length === 0 ? t("Nothing differs.") : said.join(" · ");
  }
}
