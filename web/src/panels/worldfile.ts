// The world as one file: saving it, and bringing one in after a look at what it would change.

import "./worldfile.css";

import type { Imported, ImportLeft, ImportPreview, ImportRow } from "../protocol.ts";
import { apiUrl } from "../rest.ts";
import { t } from "../words.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, h, openDialog } from "./dom.ts";
import { mayEdit, told } from "./edit.ts";
import { icon } from "./icons.ts";

const BYTES_MAX = 8_000_000;

/** What changes, by the server's word for it. */
const KINDS: Readonly<Record<string, string>> = {
  type: t("Type"),
  twin: t("Twin"),
  name: t("Name"),
  place: t("Place"),
  look: t("Appearance"),
  "type of": t("Type of a twin"),
  property: t("Property"),
  point: t("Point"),
  relation: t("Relation"),
  sheet: t("Rule, board or plan"),
  arm: t("Arm"),
};
const VERBS: Readonly<Record<string, string>> = { new: t("new"), changed: t("changed"), gone: t("taken away") };

/** The dialog that saves the world as a file and brings one in. */
export function openWorldFile(context: Context): void {
  const save = h(
    "a",
    { class: "button plain", attrs: { href: apiUrl("export/world.yaml").href, download: "world.yaml" } },
    icon("download"),
    h("span", {}, t("Save world.yaml")),
  );
  const body = h(
    "div",
    { class: "world-file" },
    h("section", {},
      h("p", {}, t("What people have made and said here, as one readable file for git. It has no values and no secrets.")),
      save,
    ),
  );
  if (!mayEdit(context)) {
    openDialog(t("The world as a file"), body);
    return;
  }
  const picker = h("input", { attrs: { type: "file", accept: ".yaml,.yml,application/yaml", "aria-label": t("A world file") } });
  const found = h("div", { class: "world-file-found", attrs: { "aria-live": "polite" } });
  const drop = h("label", { class: "world-file-drop" },
    h("span", {}, t("Choose a world.yaml, or drop one here. You see first what it would change; nothing is removed by it.")),
    picker,
  );
  body.append(h("section", {}, h("h3", { class: "section-title" }, t("Bring a file in")), drop, found));
  const apply = button(t("Make these changes"), () => void bring(), "primary");
  apply.disabled = true;
  const dialog = openDialog(t("The world as a file"), body, [apply], { wide: true });
  let text = "";
  let name = "";

  picker.addEventListener("change", () => void look(picker.files?.[0]));
  for (const kind of ["dragover", "dragleave", "drop"] as const) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") void look(event.dataTransfer?.files[0]);
    });
  }

  async function look(file: File | undefined): Promise<void> {
    if (!file) return;
    apply.disabled = true;
    found.replaceChildren(h("p", { class: "dim" }, t("Looking at it…")));
    try {
      if (file.size > BYTES_MAX) throw new Error(t("The file is too large to be sent; use mirrorworld import."));
      text = await file.text();
      name = file.name;
      const preview = await context.mirror.rest.post<ImportPreview>("import/preview", { text });
      found.replaceChildren(...shown(preview));
      apply.disabled = preview.total === 0;
      if (!apply.disabled) apply.focus();
    } catch (error) {
      fail(error);
    }
  }

  async function bring(): Promise<void> {
    apply.disabled = true;
    try {
      const done = await context.mirror.rest.post<Imported>("import", { text, reason: t("from {name}", { name }) });
      dialog.close();
      told(context, t("{n} changes from {name}", { n: done.changed, name }), done.position);
    } catch (error) {
      fail(error);
    }
  }

  function fail(error: unknown): void {
    found.replaceChildren(h("p", { class: "form-error", role: "alert" }, reasonOf(error)));
  }
}

function shown(preview: ImportPreview): HTMLElement[] {
  const counts = Object.entries(preview.counts).map(([what, n]) => `${KINDS[what] ?? what}: ${n}`);
  const summary = preview.total === 0
    ? h("p", {}, icon("check"), " ", t("The world is as the file says; nothing would change."))
    : h("p", {}, h("strong", {}, t("{n} changes", { n: preview.total })), h("span", { class: "dim" }, `  ${counts.join(" · ")}`));
  return [
    summary,
    ...(preview.rows.length > 0 ? [table(preview.rows)] : []),
    ...(preview.rows.length < preview.total ? [h("p", { class: "dim" }, t("and {n} more", { n: preview.total - preview.rows.length }))] : []),
    ...(preview.left.length > 0 ? [left(preview.left)] : []),
  ];
}

function table(rows: readonly ImportRow[]): HTMLElement {
  const heads = [t("Line"), t("What"), t("Of"), "", ""].map((head) => h("th", { attrs: { scope: "col" } }, head));
  return h("div", { class: "world-file-rows", tabIndex: 0, role: "region", attrs: { "aria-label": t("What would change") } },
    h("table", {},
      h("thead", {}, h("tr", {}, ...heads)),
      h("tbody", {}, ...rows.map((row) =>
        h("tr", {},
          h("td", { class: "number" }, row.line > 0 ? row.line : ""),
          h("td", {}, KINDS[row.what] ?? row.what),
          h("td", { class: "mono" }, row.about),
          h("td", {}, row.detail),
          h("td", { class: `verb ${row.verb}` }, VERBS[row.verb] ?? row.verb),
        ),
      )),
    ),
  );
}

function left(rows: readonly ImportLeft[]): HTMLElement {
  return h("details", { attrs: { open: true } },
    h("summary", {}, t("Not carried: {n}", { n: rows.length })),
    h("ul", {}, ...rows.map((row) => h("li", {}, h("span", { class: "mono" }, row.place), " ", h("span", { class: "dim" }, row.why)))),
  );
}
