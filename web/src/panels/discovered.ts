// The list of what is around: what each thing is, how that is known, a look at it, and adding or ignoring it.

import { RestError, type Source, text } from "../mirror.ts";
import type { DiscoveredThing, Discovery } from "../protocol.ts";
import { language, t } from "../words.ts";
import type { Context } from "./context.ts";
import { button, h } from "./dom.ts";
import { findings, looking, problem } from "./findings.ts";
import { icon, type IconName } from "./icons.ts";

const ICONS: readonly (readonly [RegExp, IconName])[] = [
  [/this computer/i, "panel"],
  [/recording/i, "document"],
  [/mqtt|sparkplug/i, "send"],
  [/opc|mtconnect|modbus|bacnet/i, "plug"],
];
const PARENTS_MAX = 500;
/** What the finders that come with the package call things, in the reader's language. */
const KINDS: Readonly<Record<string, string>> = {
  "OPC UA server": t("OPC UA server"),
  "MQTT broker": t("MQTT broker"),
  "MQTT broker with TLS": t("MQTT broker with TLS"),
  "MQTT topics": t("MQTT topics"),
  "MTConnect agent": t("MTConnect agent"),
  "Modbus device": t("Modbus device"),
  "BACnet device": t("BACnet device"),
  "Device with web pages": t("Device with web pages"),
  "This computer": t("This computer"),
  "Recording": t("Recording"),
};

function iconOf(thing: DiscoveredThing): IconName {
  return ICONS.find(([pattern]) => pattern.test(thing.what))?.[1] ?? "cube";
}

export class DiscoveredList {
  readonly element: HTMLElement;
  private readonly rows = h("div", { class: "around-list", role: "list", attrs: { "aria-label": t("Discovered") } });
  private readonly foot = h("div", { class: "around-foot dim" });
  private readonly stop: (() => void)[];
  private readonly forms = new Map<string, AddForm>();
  private opened = "";
  private showsIgnored = false;

  constructor(
    private readonly context: Context,
    private readonly done: () => void,
    private readonly onOpen: (isOpen: boolean) => void,
  ) {
    this.element = h(
      "section",
      { class: "around", attrs: { "aria-label": t("Discovered") } },
      h("h3", { class: "section-title" }, t("Discovered")),
      this.rows,
      this.foot,
    );
    this.stop = [context.around.on(() => this.paint()), context.around.watch()];
    this.paint();
  }

  close(): void {
    for (const each of this.stop) each();
  }

  /** Opens the form of a thing; false if it has gone. */
  open(key: string): boolean {
    if (!this.context.around.things.some((thing) => thing.key === key)) return false;
    this.opened = key;
    this.paint();
    this.reveal();
    return true;
  }

  private reveal(): void {
    const form = this.forms.get(this.opened);
    if (!form) return;
    form.element.parentElement?.scrollIntoView({ block: "nearest" });
    form.focus();
  }

  private paint(): void {
    const { around } = this.context;
    if (!around.things.some((thing) => thing.key === this.opened && thing.state !== "added")) this.opened = "";
    this.onOpen(this.opened !== "");
    this.element.classList.toggle("one", this.opened !== "");
    this.element.hidden = around.reach === "" || around.reach === "off";
    const ignored = around.things.filter((thing) => thing.state === "ignored");
    const shown = around.things.filter((thing) => thing.state === "new" || (thing.state === "ignored" && this.showsIgnored));
    const focused = document.activeElement instanceof HTMLElement && this.element.contains(document.activeElement) ? document.activeElement : null;
    const focusKey = focused?.dataset["key"];
    this.rows.replaceChildren(...shown.map((thing) => this.row(thing)));
    // Moving an element lets go of its focus; what was being typed goes on.
    if (focused?.isConnected) focused.focus({ preventScroll: true });
    else if (focusKey) this.rows.querySelector<HTMLElement>(`[data-key="${CSS.escape(focusKey)}"]`)?.focus({ preventScroll: true });
    const added = around.things.filter((thing) => thing.state === "added").length;
    this.foot.replaceChildren(
      h("span", { class: "grow" }, shown.length === 0
        ? around.reach === "network" ? t("Nothing else has shown itself. Devices that announce themselves appear here by themselves.") : t("Only this computer is looked at; nothing else has shown itself.")
        : added > 0 ? t("{n} more are mirrored already", { n: added }) : t("No address is tried; these announced themselves or were told of.")),
      ignored.length === 0 ? "" : button(this.showsIgnored ? t("Hide ignored") : t("Show {n} ignored", { n: ignored.length }), () => {
        this.showsIgnored = !this.showsIgnored;
        this.paint();
      }, "quiet"),
    );
  }

  private row(thing: DiscoveredThing): HTMLElement {
    const isOpen = this.opened === thing.key;
    const isIgnored = thing.state === "ignored";
    const add = button(t("Add"), () => {
      this.opened = isOpen ? "" : thing.key;
      this.paint();
      this.reveal();
    }, isOpen ? "quiet" : "plain", isOpen ? undefined : "plus");
    if (isOpen) add.replaceChildren(h("span", {}, t("Close")));
    add.dataset["key"] = `add ${thing.key}`;
    add.setAttribute("aria-expanded", String(isOpen));
    add.setAttribute("aria-label", isOpen ? t("Close {name}", { name: thing.name }) : t("Add {name}", { name: thing.name }));
    const ignore = button(isIgnored ? t("Show again") : t("Ignore"), () => void this.ignore(thing), "quiet");
    ignore.dataset["key"] = `ignore ${thing.key}`;
    ignore.setAttribute("aria-label", isIgnored ? t("Show {name} again", { name: thing.name }) : t("Ignore {name}", { name: thing.name }));
    let form = this.forms.get(thing.key);
    if (isOpen && !form) {
      form = new AddForm(this.context, thing, this.done);
      this.forms.set(thing.key, form);
    }
    return h(
      "div",
      { class: `around-row${isIgnored ? " ignored" : ""}${isOpen ? " open" : ""}`, role: "listitem", attrs: { "data-thing": thing.key } },
      h(
        "div",
        { class: "around-head" },
        icon(iconOf(thing), "around-icon"),
        h(
          "div",
          { class: "around-words" },
          h("div", { class: "finding-head" }, h("span", { class: "clip", title: thing.name }, thing.name), h("span", { class: "chip" }, KINDS[thing.what] ?? thing.what), thing.needs_login && icon("lock", "dim")),
          h("div", { class: "dimmer" }, thing.guessed.join(" · ")),
          thing.url && h("div", { class: "mono dim clip", title: thing.url }, thing.url),
        ),
        h("div", { class: "around-acts" }, ignore, add),
      ),
      isOpen && form?.element,
    );
  }

  private async ignore(thing: DiscoveredThing): Promise<void> {
    const { around, mirror } = this.context;
    const path = `discovered/${encodeURIComponent(thing.key)}/ignored`;
    try {
      if (thing.state === "ignored") await mirror.rest.delete(path);
      else await mirror.rest.put(path, {});
    } catch (error) {
      this.context.toast({ tone: "bad", title: t("That was not remembered"), detail: error instanceof Error ? error.message : "" });
    }
    await around.ask();
  }
}

/** What a person says of a thing that they add: its name, what it is part of, where it stands. */
class AddForm {
  readonly element: HTMLElement;
  private readonly name: HTMLInputElement;
  private readonly url = field(t("Address"), { inputmode: "url", placeholder: "mqtt://host:1883", spellcheck: "false" });
  private readonly parent: HTMLSelectElement;
  private readonly x = field(t("East, m"), { type: "number", step: "any", placeholder: "0" });
  private readonly z = field(t("South, m"), { type: "number", step: "any", placeholder: "0" });
  private readonly username = field(t("User name"), {});
  private readonly password = field(t("Password"), { type: "password", autocomplete: "new-password" });
  private readonly result = h("div", { class: "discovery", attrs: { "aria-live": "polite" } });
  private readonly lookButton: HTMLButtonElement;
  private readonly addButton: HTMLButtonElement;

  constructor(
    private readonly context: Context,
    private readonly thing: DiscoveredThing,
    private readonly done: () => void,
  ) {
    this.name = field(t("What you call it"), { placeholder: thing.name, maxlength: 200 });
    this.parent = h("select", { class: "input", attrs: { "aria-label": t("Part of") } }, h("option", { attrs: { value: "" } }, t("nothing above it")));
    const { mirror } = context;
    for (const [id, twin] of mirror.twins) {
      if (this.parent.length > PARENTS_MAX) break;
      this.parent.append(h("option", { attrs: { value: id } }, text(twin.name) || id));
    }
    this.lookButton = button(t("Preview"), () => void this.look(), "plain", "search");
    this.addButton = button(t("Add it"), () => void this.add(), "primary", "plus");
    const details = thing.detail.split("\n").filter(Boolean);
    const login = h(
      "details",
      { class: "more", attrs: { open: thing.needs_login } },
      h("summary", {}, icon("chevron"), thing.needs_login ? t("It asks for a login") : t("Login")),
      h("div", { class: "form" }, h("div", { class: "form-row" }, labelled(t("User name"), this.username), labelled(t("Password"), this.password))),
    );
    this.element = h(
      "form",
      { class: "form around-form", on: { submit: (event) => {
        event.preventDefault();
        void this.add();
      } } },
      details.length > 0 && h("ul", { class: "around-detail mono dim" }, ...details.map((line) => h("li", {}, line))),
      !thing.url && h("div", {}, labelled(t("Address"), this.url), h("p", { class: "hint" }, t("It does not say how it is reached. Its manual does."))),
      labelled(t("What you call it"), this.name),
      h("div", { class: "form-place" },
        mirror.twins.size > 0 && labelled(t("Part of"), this.parent),
        labelled(t("East, m"), this.x),
        labelled(t("South, m"), this.z),
      ),
      login,
      h("div", { class: "around-form-foot" }, this.lookButton, this.addButton),
      this.result,
    );
    this.addButton.type = "submit";
  }

  focus(): void {
    (this.thing.url ? this.name : this.url).focus();
  }

  private request(): Record<string, unknown> {
    const x = this.x.value.trim();
    const z = this.z.value.trim();
    return {
      url: this.url.value.trim(),
      name: this.name.value.trim(),
      language: this.name.value.trim() ? language : "",
      part_of: this.parent.value,
      pose: x === "" && z === "" ? null : { x_m: Number(x), z_m: Number(z) },
      username: this.username.value,
      password: this.password.value,
    };
  }

  private async look(): Promise<void> {
    this.lookButton.disabled = true;
    this.result.replaceChildren(...looking(this.thing.name));
    try {
      const found = await this.context.mirror.rest.post<Discovery>(`discovered/${this.thing.key}/preview`, this.request());
      this.result.replaceChildren(findings(found));
    } catch (error) {
      this.refused(error);
    } finally {
      this.lookButton.disabled = false;
    }
  }

  private async add(): Promise<void> {
    this.addButton.disabled = true;
    try {
      const source = await this.context.mirror.rest.post<Source>(`discovered/${this.thing.key}/add`, this.request());
      this.done();
      this.context.toast({ tone: "good", title: t("{name} is being mirrored", { name: this.name.value.trim() || source.name }), detail: source.url });
      void this.context.around.ask();
    } catch (error) {
      this.refused(error);
      this.addButton.disabled = false;
    }
  }

  private refused(error: unknown): void {
    this.result.replaceChildren(problem(error));
    if (error instanceof RestError && /login|password|user|access|auth/i.test(error.message)) {
      this.element.querySelector("details")!.open = true;
      this.username.focus();
    }
  }
}

function field(label: string, attrs: Record<string, string | number | boolean>): HTMLInputElement {
  return h("input", { class: attrs["type"] === "number" ? "input num" : "input", attrs: { type: "text", autocomplete: "off", "aria-label": label, ...attrs } });
}

function labelled(label: string, input: HTMLElement): HTMLElement {
  return h("div", { class: "field" }, h("span", { class: "field-label", attrs: { "aria-hidden": "true" } }, label), input);
}

/** In place of twins while there are none: what was seen, and the ways to begin. */
export function beginning(context: Context): { element: HTMLElement; paint(): void } {
  const seen = h("div", { class: "beginning-list", role: "list", attrs: { "aria-label": t("Discovered") } });
  const title = h("p", { class: "empty-title" });
  const hint = h("p", { class: "empty-hint" });
  const element = h(
    "div",
    { class: "empty beginning" },
    icon("cube", "empty-icon"),
    title,
    hint,
    seen,
    h("div", { class: "empty-actions" }, button(t("Add by address or recording"), () => context.openSources(), "plain", "plus")),
  );
  const paint = (): void => {
    const { around, mirror } = context;
    const fresh = around.fresh;
    const isWaiting = mirror.sources.length > 0;
    title.textContent = isWaiting ? t("No twins yet") : t("Nothing is mirrored yet");
    hint.textContent = isWaiting
      ? t("What its sources have appears here by itself.")
      : fresh.length > 0 ? t("These were seen. Add one, and what it has appears here by itself.") : t("Add a source, and what it has appears here by itself.");
    const key = fresh.map((thing) => thing.key + thing.name).join(" ");
    if (seen.dataset["shown"] === key) return;
    seen.dataset["shown"] = key;
    seen.replaceChildren(
      ...fresh.slice(0, 8).map((thing) =>
        h(
          "div",
          { class: "beginning-row", role: "listitem" },
          icon(iconOf(thing), "around-icon"),
          h("div", { class: "around-words" }, h("div", { class: "clip" }, thing.name), h("div", { class: "dimmer clip" }, KINDS[thing.what] ?? thing.what)),
          button(t("Add"), () => context.openSources(thing.key), "plain", "plus"),
        ),
      ),
    );
    seen.querySelectorAll("button").forEach((each, i) => each.setAttribute("aria-label", t("Add {name}", { name: fresh[i]?.name ?? "" })));
  };
  context.around.on(paint);
  return { element, paint };
}
