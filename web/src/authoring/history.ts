/** Who wrote what about a twin, and who moved what in the plant, and when: as the log has it. */

import type { Id, Mirror } from "../mirror.ts";
import { reasonOf } from "../panels/context.ts";
import { button, h, openDialog } from "../panels/dom.ts";
import type { LayoutPage, LayoutStep, WrittenPage } from "../protocol.ts";
import { t } from "../words.ts";
import { when } from "./note_view.ts";

export function openHistory(mirror: Mirror, twin: string): void {
  const list = h("ol", { class: "author-history" }, h("li", {}, t("Asking the log…")));
  openDialog(t("History of {name}", { name: mirror.nameOf(twin) }), list, []);
  void mirror.rest.ofWorld<WrittenPage>("notes/history", { twin }).then(
    ({ rows }) =>
      list.replaceChildren(
        ...rows.map(({ by, at_ms, said }) => h("li", {}, h("b", {}, by), ` · ${when(at_ms)}`, h("ul", {}, ...said.map((line) => h("li", {}, line))))),
        ...(rows.length === 0 ? [h("li", {}, t("Nothing is known of it."))] : []),
      ),
    (error: unknown) => list.replaceChildren(h("li", {}, String((error as Error).message))),
  );
}

const SAID: Readonly<Record<string, string>> = { placed: t("placed"), moved: t("moved"), turned: t("turned"), deleted: t("deleted"), "took back": t("took back what was done to") };
const NAMED = 3;

/** The edits of where things stand, each to be shown, and one's own to be taken back. */
export function openLayoutHistory(mirror: Mirror, show: (twins: readonly Id[]) => void, told: () => void): void {
  const list = h("ol", { class: "author-history layout" }, h("li", {}, t("Asking the log…")));
  const said = h("p", { class: "author-history-said", role: "status", hidden: true });
  const say = (text: string): void => {
    said.hidden = text === "";
    said.textContent = text;
  };
  const isBranch = mirror.rest.branch !== null;
  const dialog = openDialog(t("Who arranged what"), h("div", {}, isBranch && h("p", { class: "hint" }, t("Of the plant, not of the branch.")), said, list), []);
  const ask = async (): Promise<void> => {
    try {
      const { rows } = await mirror.rest.ofWorld<LayoutPage>("layout/history");
      list.replaceChildren(...rows.map(row), ...(rows.length === 0 ? [h("li", {}, t("Nobody has moved anything yet."))] : []));
    } catch (error) {
      list.replaceChildren(h("li", {}, reasonOf(error)));
    }
  };
  const takeBack = async (step: LayoutStep, pressed: HTMLButtonElement): Promise<void> => {
    pressed.disabled = true;
    say("");
    try {
      await mirror.rest.post("undo", {}, { position: step.position });
      told();
    } catch (error) {
      // It stays in the dialog, where one looks: a message of the page lies behind it.
      say(`${t("Not taken back")}: ${reasonOf(error)}`);
    }
    await ask();
  };
  const row = (step: LayoutStep): HTMLElement => {
    const there = step.twins.filter((id) => mirror.twins.has(id));
    const names = step.twins.slice(0, NAMED).map((id) => mirror.nameOf(id)).join(", ");
    const more = step.n_twins - Math.min(NAMED, step.twins.length);
    const back = button(t("Take back"), () => void takeBack(step, back), "plain", "undo");
    return h(
      "li",
      { class: step.is_undone ? "undone" : "" },
      h("p", {}, h("b", {}, step.by), ` ${SAID[step.said] ?? step.said} `, h("span", { class: "author-history-what" }, more > 0 ? t("{names} and {n} more", { names, n: more }) : names)),
      h(
        "p",
        { class: "author-history-about" },
        h("time", { class: "num" }, when(step.at_ms)),
        step.is_undone && h("span", {}, t("taken back")),
        there.length > 0 &&
          button(t("Show"), () => {
            dialog.close();
            show(there);
          }, "plain", "eye"),
        step.may_undo && !isBranch && back,
      ),
    );
  };
  void ask();
}
