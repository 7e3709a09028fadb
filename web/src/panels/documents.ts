// Files of a twin: its documents, and the model that it looks like. Sent, shown, taken off again.

import { bytesText, labelText } from "../format.ts";
import { type Id } from "../mirror.ts";
import { type Attached, FILE_BYTES_MAX, type Property, type Blob as StoredBlob } from "../protocol.ts";
import { apiUrl } from "../rest.ts";
import { geometryOf, storedLook } from "../scene/look.ts";
import { t } from "../words.ts";
import { type Context, reasonOf } from "./context.ts";
import "./documents.css";
import { button, h, iconButton, openDialog } from "./dom.ts";
import { type Edit, mayEdit, say, told } from "./edit.ts";
import { icon } from "./icons.ts";
import { isBlob, leaves, reference } from "./properties.ts";

const DOCUMENTS = "documents";
const MODEL = /\.(glb|gltf)$/i;
const UNITS: readonly (readonly [number, string])[] = [
  [1, t("metres, as glTF says")],
  [0.01, t("centimetres")],
  [0.001, t("millimetres")],
  [0.0254, t("inches")],
];

/** A file on its way. */
interface Coming {
  twin: Id;
  name: string;
  bar: HTMLProgressElement;
  stop: AbortController;
}

export class Documents {
  private readonly list = h("ul", { class: "docs" });
  private readonly model = h("div", { class: "doc-model" });
  private readonly add = h("div", { class: "doc-add" });
  private readonly coming = new Set<Coming>();
  private twin: Id | null = null;

  /** @param host where files may be dropped */
  constructor(
    private readonly context: Context,
    host: HTMLElement,
  ) {
    const has = (event: DragEvent): boolean =>
      this.twin !== null && mayEdit(context) && (event.dataTransfer?.types.includes("Files") ?? false);
    host.addEventListener("dragover", (event) => {
      if (!has(event)) return;
      event.preventDefault();
      host.classList.add("takes-files");
    });
    host.addEventListener("dragleave", (event) => {
      if (!host.contains(event.relatedTarget as Node | null)) host.classList.remove("takes-files");
    });
    host.addEventListener("drop", (event) => {
      host.classList.remove("takes-files");
      if (!has(event)) return;
      event.preventDefault();
      this.take([...(event.dataTransfer?.files ?? [])]);
    });
    context.scene.onBroken((_, reason) => {
      context.toast({ tone: "bad", title: t("A model cannot be drawn; a plain body stands for it"), detail: reason, isSticky: true });
      this.showModel();
    });
  }

  /** What the section shows of a twin; null: nothing, and nobody here may add to it. */
  show(id: Id, properties: readonly Property[]): { element: HTMLElement; count: number } | null {
    this.twin = id;
    const found = documentsOf(properties);
    const own = new Set(ownOf(properties).map((each) => each.value));
    this.list.replaceChildren(
      ...found.map((each) => this.item(each, own.has(each.value))),
      ...[...this.coming].filter((each) => each.twin === id).map((each) => this.progress(each)),
    );
    this.showModel();
    this.showAdd();
    if (found.length === 0 && !mayEdit(this.context) && this.model.childElementCount === 0) return null;
    return { element: h("div", {}, this.list, this.add, this.model), count: found.length };
  }

  /** Nothing is shown. */
  hide(): void {
    this.twin = null;
  }

  // --- what is there -------------------------------------------------------------------------

  private item(property: Property, isOwn: boolean): HTMLElement {
    const { value } = property;
    if (!isBlob(value)) {
      return h("li", { class: "doc" }, icon("document", "dim"), reference(this.context, String(value), labelText(property.name)));
    }
    const name = value.name || labelText(property.name) || t("file");
    const address = fileUrl(value, name);
    const isPicture = (value.media_type ?? "").startsWith("image/");
    const picture = (): HTMLElement => {
      const shown = h("img", { class: "doc-thumb", attrs: { src: address, alt: "", loading: "lazy", decoding: "async" } });
      shown.addEventListener("error", () => shown.replaceWith(icon("document", "dim")));
      return shown;
    };
    return h(
      "li",
      { class: "doc" },
      isPicture ? picture() : icon("document", "dim"),
      h("a", { class: "link clip", title: name, attrs: { href: address, target: "_blank", rel: "noopener noreferrer" } }, name),
      h("span", { class: "kind num" }, `${kindText(value.media_type ?? "")} · ${bytesText(value.size_bytes ?? 0)}`),
      isOwn && mayEdit(this.context) && iconButton("close", t("Remove {name}", { name }), () => void this.remove(value, name), "small"),
    );
  }

  private progress(coming: Coming): HTMLElement {
    return h(
      "li",
      { class: "doc" },
      icon("send", "dim"),
      h("span", { class: "clip" }, coming.name),
      coming.bar,
      iconButton("close", t("Stop sending {name}", { name: coming.name }), () => coming.stop.abort(), "small"),
    );
  }

  private showAdd(): void {
    if (!mayEdit(this.context)) {
      this.add.replaceChildren();
      return;
    }
    const chooser = h("input", {
      class: "doc-chooser",
      attrs: { type: "file", multiple: true, "aria-label": t("Add documents"), accept: ".pdf,.png,.jpg,.jpeg,.webp,.gif,.txt,.csv,.md,.log,.json,.yaml,.glb,.gltf" },
      on: {
        change: () => {
          this.take([...(chooser.files ?? [])]);
          chooser.value = "";
        },
      },
    });
    this.add.replaceChildren(
      button(t("Add documents…"), () => chooser.click(), "quiet", "plus"),
      h("span", { class: "dimmer doc-hint" }, t("or drop files here")),
      chooser,
    );
    chooser.tabIndex = -1; // the button before it says the same
  }

  private showModel(): void {
    const id = this.twin;
    if (id === null) return;
    const { mirror, scene } = this.context;
    const look = storedLook(mirror.twins.get(id)?.geometry ?? "");
    const broken = scene.brokenLook(id);
    const parts: (HTMLElement | null)[] = [
      broken ? h("p", { class: "form-error", role: "alert" }, t("Its model cannot be drawn: {reason}", { reason: broken })) : null,
    ];
    if (mayEdit(this.context)) {
      if (look === null) parts.push(button(t("Give it a model…"), () => this.openModel(id), "quiet", "cube"));
      else {
        parts.push(
          button(t("Change its model…"), () => this.openModel(id), "quiet", "cube"),
          button(t("Remove its model"), () => void this.say([{ "@": "Unsay", twin: id, what: "PutGeometry", name: "" }], t("Model removed"), t("Not removed")), "quiet"),
        );
      }
    }
    this.model.replaceChildren(...parts.filter((part) => part !== null));
  }

  // --- what is done ----------------------------------------------------------------------------

  private take(files: readonly File[]): void {
    const id = this.twin;
    if (id === null) return;
    const model = files.length === 1 && MODEL.test(files[0]!.name) ? files[0] : undefined;
    if (model !== undefined) this.openModel(id, model);
    else void this.sendAll(id, files);
  }

  /** One after the other: in the order in which they were chosen. */
  private async sendAll(id: Id, files: readonly File[]): Promise<void> {
    for (const file of files) await this.send(id, file).catch(() => undefined);
  }

  /** Sends a file; what went wrong is told, and thrown again. */
  private async send(id: Id, file: File, parameters: Record<string, string> = {}): Promise<void> {
    const { context } = this;
    const coming: Coming = {
      twin: id,
      name: file.name,
      bar: h("progress", { attrs: { max: 1, value: 0, "aria-label": t("Sending {name}", { name: file.name }) } }),
      stop: new AbortController(),
    };
    try {
      if (file.size > FILE_BYTES_MAX) {
        throw new Error(t("{name} has {size}; at most {most} can be attached.", { name: file.name, size: bytesText(file.size), most: bytesText(FILE_BYTES_MAX) }));
      }
      this.coming.add(coming);
      const row = this.progress(coming);
      if (this.twin === id) this.list.append(row);
      const sent = await context.mirror.rest.send<Attached>(
        "blobs",
        { twin: id, name: file.name, ...parameters },
        file,
        (part) => (coming.bar.value = part),
        coming.stop.signal,
      );
      told(context, t("{name} is attached to {twin}", { name: sent.blob.name ?? file.name, twin: context.mirror.nameOf(id) }), sent.position ?? "");
    } catch (error) {
      if (!coming.stop.signal.aborted) {
        context.toast({ tone: "bad", title: t("{name} was not attached", { name: file.name }), detail: reasonOf(error), isSticky: true });
      }
      throw error;
    } finally {
      this.coming.delete(coming);
      coming.bar.closest("li")?.remove();
    }
  }

  private async remove(blob: StoredBlob, name: string): Promise<void> {
    const id = this.twin;
    const held = id === null ? undefined : this.context.mirror.twins.get(id)?.properties?.find((each) => each.name === DOCUMENTS);
    if (id === null || !held) return;
    const kept = childrenOf(held).filter(({ value }) => !(isBlob(value) && value.sha256 === blob.sha256));
    const edit: Edit =
      kept.length > 0
        ? { "@": "PutProperty", twin: id, property: { ...held, value: kept } }
        : { "@": "DropProperty", twin: id, name: DOCUMENTS };
    await this.say([edit], t("{name} removed", { name }), t("Not removed"));
  }

  private async say(edits: Edit[], done: string, failed: string): Promise<void> {
    try {
      await say(this.context, edits, done);
    } catch (error) {
      this.context.toast({ tone: "bad", title: failed, detail: reasonOf(error) });
    }
  }

  /** Asks for a file and how it is to be read; without a new file, how the one there is. */
  private openModel(id: Id, given?: File): void {
    const { mirror } = this.context;
    const look = storedLook(mirror.twins.get(id)?.geometry ?? "");
    const field = (label: string, input: HTMLElement): HTMLElement => h("label", { class: "field" }, h("span", {}, label), input);
    const file = h("input", { class: "input", attrs: { type: "file", accept: ".glb,.gltf" } });
    const unit = h("select", { class: "input" }, ...UNITS.map(([scale, name]) => h("option", { attrs: { value: scale, selected: scale === (look?.scale ?? 1) } }, name)));
    if (look !== null && !UNITS.some(([scale]) => scale === look.scale)) {
      unit.append(h("option", { attrs: { value: look.scale, selected: true } }, t("{scale} m", { scale: look.scale })));
    }
    const up = h("select", { class: "input" }, ...(["y", "z"] as const).map((axis) => h("option", { attrs: { value: axis, selected: axis === (look?.up ?? "y") } }, axis === "y" ? t("Y, as glTF says") : t("Z, as in many CAD programs"))));
    const failed = h("p", { class: "form-error", role: "alert" });
    const save = async (): Promise<void> => {
      const chosen = given ?? file.files?.[0];
      failed.textContent = "";
      ok.disabled = true;
      try {
        if (chosen !== undefined) await this.send(id, chosen, { as: "model", scale: unit.value, up: up.value });
        else if (look === null) throw new Error(t("Choose a .glb file first."));
        else {
          const geometry = geometryOf({ ...look, scale: Number(unit.value), up: up.value === "z" ? "z" : "y" });
          await say(this.context, [{ "@": "PutGeometry", twin: id, geometry }], mirror.nameOf(id));
        }
        dialog.close();
      } catch (error) {
        failed.textContent = reasonOf(error);
      } finally {
        ok.disabled = false;
      }
    };
    const form = h(
      "form",
      { class: "form model-form", on: { submit: (event) => { event.preventDefault(); void save(); } } },
      h("p", { class: "dimmer" }, t("A glTF file that holds everything itself: .glb, at most 64 MiB. Nothing is loaded from elsewhere.")),
      given ? h("p", {}, given.name) : field(look === null ? t("File") : t("Another file"), file),
      field(t("Its unit"), unit),
      field(t("Up in it"), up),
      failed,
    );
    const ok = button(t("Show it so"), () => void save(), "primary");
    const asDocument =
      given &&
      button(t("Keep as a document"), () => {
        dialog.close();
        void this.sendAll(id, [given]);
      });
    const dialog = openDialog(t("Model of {name}", { name: mirror.nameOf(id) }), form, [...(asDocument ? [asDocument] : []), h("span", { class: "grow" }), ok]);
    (given ? unit : file).focus();
  }
}

/** Where a stored file is to be had, under a name. */
function fileUrl(blob: StoredBlob, name: string): string {
  return apiUrl(`blobs/${encodeURIComponent(blob.sha256)}`, { name }).href;
}

function kindText(mediaType: string): string {
  const kind = mediaType.split("/").pop() ?? "";
  return kind === "plain" ? t("Text") : kind === "gltf-binary" ? "GLB" : kind.toUpperCase();
}

function childrenOf(property: Property): Property[] {
  return Array.isArray(property.value) ? (property.value as Property[]).filter((each) => typeof each === "object" && each !== null) : [];
}

/** The documents that people attached. */
function ownOf(properties: readonly Property[]): Property[] {
  const held = properties.find((each) => each.name === DOCUMENTS);
  return held ? childrenOf(held).filter((each) => isBlob(each.value)) : [];
}

/** Every document of a twin: those that were attached, and what else its source refers to. */
function documentsOf(properties: readonly Property[]): Property[] {
  const found: Property[] = [];
  for (const [path, property] of leaves(properties)) {
    const { value } = property;
    const isLink = typeof value === "string" && /^https?:\/\//.test(value) && /doc|manual|drawing|datasheet|certificate/i.test(path);
    if (isBlob(value) || isLink) found.push(property);
  }
  return found;
}
