/** Who wrote what about a twin, and when: as the log has it. */

import type { Mirror } from "../mirror.ts";
import { h, openDialog } from "../panels/dom.ts";
import type { WrittenPage } from "../protocol.ts";
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
