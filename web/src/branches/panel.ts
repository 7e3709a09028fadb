// The panel of branches: the list of them, and, in a branch, what can be done there.

import { type Context, reasonOf } from "../panels/context.ts";
import { button, emptyState, h, iconButton, openDialog, segmented, setAttr, setText } from "../panels/dom.ts";
import type { Painter } from "../panels/pulse.ts";
import type { Branch } from "../protocol.ts";
import { t } from "../words.ts";
import { openCompare } from "./compare.ts";
import type { GhostView } from "./ghost.ts";
import { Inside } from "./inside.ts";
import { momentOf, STATES } from "./state.ts";
import type { BranchStore } from "./store.ts";

export class BranchPanel implements Painter {
  readonly element = h("section", { class: "branches", hidden: true, attrs: { "aria-label": t("Branches") } });
  private readonly head = h("div", { class: "panel-head" });
  private readonly list = h("ul", { class: "branch-list" });
  private readonly said = h("div", {});
  private readonly foot = h("div", { class: "branch-foot" });
  private readonly scroller: HTMLElement;
  private readonly inside: Inside;
  private readonly chosen = new Set<string>();
  private readonly opened = new Set<string>();
  private readonly cards = new Map<string, { element: HTMLElement; shown: string }>();
  private shownHead = "";

  constructor(
    private readonly context: Context,
    private readonly store: BranchStore,
    private readonly ghost: GhostView,
    private readonly onClose: () => void,
  ) {
    this.inside = new Inside(context, store);
    this.scroller = h("div", { class: "branch-scroll scroll", tabIndex: -1 }, this.said, this.list);
    this.element.append(this.head, this.scroller, this.inside.element, this.foot);
    store.on(() => context.pulse.mark(this));
    context.mirror.on("branch", () => context.pulse.mark(this));
    context.mirror.on("time", () => context.pulse.mark(this));
  }

  focus(): void {
    this.element.querySelector<HTMLElement>("button, input")?.focus({ preventScroll: true });
  }

  paint(): void {
    if (this.element.hidden) return;
    const { mirror } = this.context;
    const isInside = mirror.branch !== null;
    this.scroller.hidden = this.foot.hidden = isInside;
    this.inside.element.hidden = !isInside;
    this.paintHead(isInside);
    if (isInside) this.inside.paint();
    else this.paintList();
  }

  private paintHead(isInside: boolean): void {
    const { mirror } = this.context;
    const name = isInside ? this.store.nameOf(mirror.branch) : "";
    const shown = `${isInside}\0${name}`;
    if (shown === this.shownHead) return;
    this.shownHead = shown;
    const close = iconButton("close", t("Close branches"), this.onClose);
    this.head.replaceChildren(
      ...(isInside
        ? [button(t("Leave"), () => mirror.show(null), "quiet", "undo"), h("h2", { class: "grow clip", title: name }, name), close]
        : [h("h2", { class: "grow" }, t("Branches")), button(t("New…"), () => openNew(this.context, this.store), "plain", "plus"), close]),
    );
  }

  // --- the list --------------------------------------------------------------------------------

  private paintList(): void {
    const { page, failure } = this.store;
    const branches = page?.branches ?? [];
    if (failure !== null && page === null) this.said.replaceChildren(h("p", { class: "form-error", role: "alert" }, reasonOf(failure)));
    else if (page !== null && branches.length === 0)
      this.said.replaceChildren(
        emptyState("branch", t("No branches yet"), t("A branch is a future of this world to try things in: change it, run it faster than time, compare it. The plant is never touched by it."), button(t("New branch…"), () => openNew(this.context, this.store), "primary")),
      );
    else this.said.replaceChildren();
    const ids = new Set(branches.map(({ id }) => id));
    for (const [id, card] of this.cards)
      if (!ids.has(id)) {
        card.element.remove();
        this.cards.delete(id);
        this.chosen.delete(id);
      }
    branches.forEach((branch, i) => {
      const shown = JSON.stringify([branch, this.opened.has(branch.id), this.chosen.has(branch.id), this.ghost.of === branch.id]);
      let card = this.cards.get(branch.id);
      if (card === undefined || card.shown !== shown) {
        const element = this.card(branch);
        const focused = document.activeElement instanceof HTMLElement && card?.element.contains(document.activeElement) ? document.activeElement.dataset["key"] : undefined;
        card?.element.replaceWith(element);
        card = { element, shown };
        this.cards.set(branch.id, card);
        if (focused) element.querySelector<HTMLElement>(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
      }
      if (this.list.children[i] !== card.element) this.list.insertBefore(card.element, this.list.children[i] ?? null);
    });
    const n = this.chosen.size;
    const words = n === 0 ? t("Compare…") : t(n === 1 ? "Compare {n} branch…" : "Compare {n} branches…", { n });
    if (this.foot.childElementCount === 0) this.foot.append(button(words, () => openCompare(this.context, this.store, [...this.chosen]), "plain", "table"));
    const compare = this.foot.firstElementChild as HTMLButtonElement;
    setText(compare.lastElementChild!, words);
    compare.disabled = branches.length === 0;
    this.foot.hidden = branches.length === 0;
  }

  private card(branch: Branch): HTMLElement {
    const { mirror } = this.context;
    const key = <T extends HTMLElement>(element: T, name: string): T => {
      element.dataset["key"] = name;
      return element;
    };
    const isOpen = this.opened.has(branch.id);
    const isGhost = this.ghost.of === branch.id;
    const check = key(h("input", { attrs: { type: "checkbox", "aria-label": t("Compare {name}", { name: branch.name }), checked: this.chosen.has(branch.id) } }), "check");
    check.addEventListener("change", () => {
      if (check.checked) this.chosen.add(branch.id);
      else this.chosen.delete(branch.id);
      this.context.pulse.mark(this);
    });
    const ghost = key(button(isGhost ? t("Hide ghost") : t("Ghost"), () => (isGhost ? this.ghost.hide() : this.ghost.show(branch.id)), "quiet", "ghost"), "ghost");
    setAttr(ghost, "aria-pressed", String(isGhost));
    ghost.title = t("Show it beside the plant, translucent");
    const more = key(iconButton("more", t("More about {name}", { name: branch.name }), () => {
      if (isOpen) this.opened.delete(branch.id);
      else this.opened.add(branch.id);
      this.context.pulse.mark(this);
    }, "small"), "more");
    setAttr(more, "aria-expanded", String(isOpen));
    const parent = branch.parent ? t("of {name}", { name: this.store.nameOf(branch.parent) }) : "";
    return h(
      "li",
      { class: "branch-card", attrs: { "data-branch": branch.id } },
      h("div", { class: "branch-card-head" }, check, h("strong", { class: "grow clip", title: branch.name }, branch.name), h("span", { class: `chip run-${branch.run.state}` }, STATES[branch.run.state] ?? branch.run.state), more),
      h("div", { class: "branch-meta" },
        h("span", { class: "clip" }, branch.author),
        h("span", { class: "num" }, t("from {moment}", { moment: momentOf(branch.at_ns, mirror.nowMs()) })),
        parent && h("span", { class: "clip" }, parent),
        h("span", { class: "num" }, t(branch.changes === 1 ? "{n} change" : "{n} changes", { n: branch.changes })),
        h("span", {}, branch.is_shared ? t("shared") : t("only yours")),
      ),
      branch.note && h("p", { class: "branch-note" }, branch.note),
      branch.problem && h("p", { class: "error-line", role: "alert" }, branch.problem),
      branch.run.state === "failed" && h("p", { class: "error-line" }, branch.run.detail),
      h("div", { class: "branch-acts" }, key(button(t("Go in"), () => this.enter(branch.id), "plain"), "enter"), ghost),
      isOpen && h("div", { class: "branch-more" },
        branch.may_change && key(button(t("Rename…"), () => openRename(this.store, branch), "quiet"), "rename"),
        branch.may_change && key(button(branch.is_shared ? t("No longer share") : t("Share"), () => void this.act(this.store.api.patch(branch.id, { is_shared: !branch.is_shared })), "quiet"), "share"),
        h("a", { class: "button quiet", attrs: { href: this.store.api.exportUrl(branch.id), download: "" } }, t("Export")),
        branch.may_change && key(button(t("Discard…"), () => this.discard(branch), "danger"), "discard"),
      ),
    );
  }

  private enter(id: string): void {
    this.context.mirror.show(id);
  }

  private async act(done: Promise<unknown>): Promise<void> {
    try {
      await done;
    } catch (error) {
      this.context.toast({ tone: "bad", title: t("Not done"), detail: reasonOf(error) });
    }
    await this.store.refresh();
  }

  private discard(branch: Branch): void {
    const failed = h("p", { class: "form-error", role: "alert" });
    const yes = button(t("Discard"), () => {
      this.store.api.discard(branch.id).then(
        () => {
          dialog.close();
          if (this.ghost.of === branch.id) this.ghost.hide();
          void this.store.refresh();
        },
        (error: unknown) => setText(failed, reasonOf(error)),
      );
    }, "danger");
    const dialog = openDialog(t("Discard {name}?", { name: branch.name }), h("div", { class: "form" }, h("p", {}, t("Its changes, runs and figures are gone for good. The plant and its record stay as they are.")), failed), [
      h("span", { class: "grow" }),
      button(t("Keep"), () => dialog.close(), "quiet"),
      yes,
    ]);
    yes.focus();
  }
}

/** The dialog that makes a branch. */
export function openNew(context: Context, store: BranchStore): void {
  const { mirror } = context;
  const name = h("input", { class: "input", attrs: { maxlength: "120", placeholder: t("What is tried in it"), "aria-label": t("Name") } });
  const isPast = !mirror.time.live;
  const at_ms = mirror.viewMs();
  let when: "now" | "then" = isPast ? "then" : "now";
  const moment = momentOf(at_ms * 1e6, mirror.nowMs());
  const from = segmented(t("From when"), isPast ? ([["then", t("as shown, {moment}", { moment })], ["now", t("now")]] as const) : ([["now", t("now")]] as const), when, (choice) => (when = choice));
  const parents = h("select", { class: "select", attrs: { "aria-label": t("Of what") } }, h("option", { attrs: { value: "" } }, t("the plant")));
  for (const branch of store.page?.branches ?? []) parents.append(h("option", { attrs: { value: branch.id, selected: branch.id === mirror.branch } }, branch.name));
  const share = h("input", { attrs: { type: "checkbox" } });
  const note = h("input", { class: "input", attrs: { maxlength: "500" } });
  const failed = h("p", { class: "form-error", role: "alert" });
  let isSent = false;
  const make = async (): Promise<void> => {
    if (isSent) return;
    isSent = true;
    try {
      const branch = await store.api.make({
        name: name.value.trim() || t("Untitled"),
        parent: parents.value,
        at: when === "then" ? new Date(at_ms).toISOString() : "",
        is_shared: share.checked,
        note: note.value.trim(),
      });
      dialog.close();
      await store.refresh();
      mirror.show(branch.id);
    } catch (error) {
      isSent = false;
      setText(failed, reasonOf(error));
    }
  };
  const field = (label: string, control: HTMLElement): HTMLElement => h("label", { class: "field" }, h("span", { class: "field-label" }, label), control);
  const form = h(
    "form",
    { class: "form", on: { submit: (event) => { event.preventDefault(); void make(); } } },
    field(t("Name"), name),
    h("div", { class: "field" }, h("span", { class: "field-label" }, t("From when")), from.element, h("span", { class: "hint" }, isPast ? t("The branch starts as the world was then.") : t("Scrub to another moment in the time bar to start from there."))),
    (store.page?.branches.length ?? 0) > 0 && field(t("Of what"), parents),
    field(t("Note"), note),
    h("label", { class: "check" }, share, t("Share it with everybody who sees this world")),
    failed,
    h("input", { hidden: true, attrs: { type: "submit" } }),
  );
  const dialog = openDialog(t("New branch"), form, [h("span", { class: "grow" }), button(t("Make it"), () => void make(), "primary")]);
  name.focus();
}

function openRename(store: BranchStore, branch: Branch): void {
  const name = h("input", { class: "input", attrs: { maxlength: "120", value: branch.name } });
  const note = h("input", { class: "input", attrs: { maxlength: "500", value: branch.note } });
  const failed = h("p", { class: "form-error", role: "alert" });
  const save = async (): Promise<void> => {
    try {
      await store.api.patch(branch.id, { name: name.value.trim() || branch.name, note: note.value.trim() });
      dialog.close();
      await store.refresh();
    } catch (error) {
      setText(failed, reasonOf(error));
    }
  };
  const form = h(
    "form",
    { class: "form", on: { submit: (event) => { event.preventDefault(); void save(); } } },
    h("label", { class: "field" }, h("span", { class: "field-label" }, t("Name")), name),
    h("label", { class: "field" }, h("span", { class: "field-label" }, t("Note")), note),
    failed,
    h("input", { hidden: true, attrs: { type: "submit" } }),
  );
  const dialog = openDialog(t("Rename {name}", { name: branch.name }), form, [h("span", { class: "grow" }), button(t("Save"), () => void save(), "primary")]);
  name.select();
}
