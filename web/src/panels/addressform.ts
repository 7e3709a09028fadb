// Adding a source by its address: which connectors there are, their options, a look, then yes. Or a file, dropped.

import { RestError, type Source } from "../mirror.ts";
import type { ConnectorInfo, ConnectorOption, Discovery } from "../protocol.ts";
import { t } from "../words.ts";
import type { Context } from "./context.ts";
import { button, h, setText } from "./dom.ts";
import { findings, looking, problem } from "./findings.ts";
import { icon } from "./icons.ts";

/** What the server takes in one request. */
const UPLOAD_BYTES_MAX = 8 << 20;

type Scalar = string | number | boolean;

/** Until the server has said which connectors it has. */
const EXAMPLES: readonly (readonly [string, string])[] = [
  ["OPC UA", "opc.tcp://192.168.1.20:4840"],
  ["MQTT", "mqtt://broker.plant:1883"],
];

/** Options of one connector as fields; only what was changed is sent. */
export class OptionFields {
  readonly element = h("div", { class: "form" });
  private readonly read = new Map<string, () => Scalar | undefined>();

  show(options: readonly ConnectorOption[]): void {
    this.read.clear();
    this.element.replaceChildren(...options.map((option) => this.field(option)));
  }

  get values(): Record<string, Scalar> {
    const found: Record<string, Scalar> = {};
    for (const [name, read] of this.read) {
      const value = read();
      if (value !== undefined) found[name] = value;
    }
    return found;
  }

  private field(option: ConnectorOption): HTMLElement {
    const before = option.default;
    const label = h("span", { class: "field-label" }, t(option.label));
    const hint = option.hint && h("span", { class: "hint" }, t(option.hint));
    if (option.kind === "boolean") {
      const box = h("input", { attrs: { type: "checkbox", checked: before === true } });
      this.read.set(option.name, () => (box.checked === (before === true) ? undefined : box.checked));
      return h("label", { class: "check-row" }, box, h("span", {}, label, hint));
    }
    if (option.kind === "choice") {
      const select = h("select", { class: "input", attrs: { "aria-label": t(option.label) } }, ...option.choices.map((choice) => h("option", { attrs: { value: choice, selected: choice === before } }, choice)));
      this.read.set(option.name, () => (select.value === before ? undefined : select.value));
      return h("div", { class: "field" }, label, select, hint);
    }
    const isNumber = option.kind === "number";
    const input = h("input", {
      class: isNumber ? "input num" : "input",
      attrs: { type: isNumber ? "number" : "text", step: "any", placeholder: before === null || before === "" ? "" : String(before), "aria-label": t(option.label), autocomplete: "off" },
    });
    this.read.set(option.name, () => {
      const said = input.value.trim();
      if (said === "") return undefined;
      return isNumber ? Number(said) : said;
    });
    return h("div", { class: "field" }, label, input, hint);
  }
}

export class AddressForm {
  readonly element: HTMLElement;
  readonly addButton: HTMLButtonElement;
  private readonly url = h("input", {
    class: "input mono",
    attrs: { type: "text", inputmode: "url", placeholder: "opc.tcp://host:4840", "aria-label": t("Address of the source"), autocomplete: "off", spellcheck: "false", autofocus: true },
  });
  private readonly name = h("input", { class: "input", attrs: { type: "text", placeholder: t("made from the address"), "aria-label": t("Name"), autocomplete: "off" } });
  private readonly username = h("input", { class: "input", attrs: { type: "text", "aria-label": t("User name"), autocomplete: "off" } });
  private readonly password = h("input", { class: "input", attrs: { type: "password", "aria-label": t("Password"), autocomplete: "new-password" } });
  private readonly more: HTMLDetailsElement;
  private readonly options = new OptionFields();
  private readonly examples = h("div", { class: "examples" });
  private readonly hint = h("p", { class: "hint" });
  private readonly result = h("div", { class: "discovery", attrs: { "aria-live": "polite" } });
  private readonly lookButton: HTMLButtonElement;
  private connectors: readonly ConnectorInfo[] = [];
  private scheme = "";
  private looked = "";

  constructor(
    private readonly context: Context,
    private readonly done: () => void,
  ) {
    this.lookButton = button(t("Look"), () => void this.look(), "plain", "search");
    this.addButton = button(t("Mirror it"), () => void this.add(), "primary", "plus");
    this.more = h(
      "details",
      { class: "more" },
      h("summary", {}, icon("chevron"), t("Name, login and options")),
      h("div", { class: "form" },
        h("div", { class: "field" }, h("span", { class: "field-label" }, t("Name")), this.name, h("span", { class: "hint" }, t("Short and unique; its twins' ids begin with it."))),
        h("div", { class: "form-row" },
          h("div", { class: "field" }, h("span", { class: "field-label" }, t("User name")), this.username),
          h("div", { class: "field" }, h("span", { class: "field-label" }, t("Password")), this.password),
        ),
        this.options.element,
      ),
    );
    this.url.addEventListener("input", () => this.follow());
    this.url.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (this.looked === JSON.stringify(this.request())) void this.add();
      else void this.look();
    });
    this.offer(EXAMPLES);
    void this.learn();
    this.element = h(
      "section",
      { class: "form", attrs: { "aria-label": t("By address") } },
      h("h3", { class: "section-title" }, t("By address")),
      h("p", { class: "dim" }, t("Give the address of what your plant already speaks. Looking declares nothing, and nothing is ever written to a source until a point of it is armed.")),
      h("div", { class: "field" }, h("span", { class: "field-label" }, t("Address")), h("div", { class: "input-unit" }, this.url, this.lookButton)),
      this.examples,
      this.hint,
      this.more,
      this.dropZone(),
      this.result,
    );
  }

  focus(): void {
    this.url.focus();
  }

  private request(): Record<string, unknown> {
    return {
      url: this.url.value.trim(),
      name: this.name.value.trim(),
      options: this.options.values,
      username: this.username.value,
      password: this.password.value,
    };
  }

  private async learn(): Promise<void> {
    try {
      this.connectors = await this.context.mirror.rest.get<ConnectorInfo[]>("connectors");
      this.offer(this.connectors.map((each) => [each.title, each.example] as const));
      this.follow();
    } catch {
      // The examples that are there already do.
    }
  }

  private offer(examples: readonly (readonly [string, string])[]): void {
    this.examples.replaceChildren(h("span", { class: "dimmer" }, t("For instance")));
    for (const [label, address] of examples) {
      this.examples.append(
        h("button", { class: "chip", title: address, attrs: { type: "button" }, on: { click: () => {
          this.url.value = address;
          this.follow();
          this.url.focus();
          this.url.setSelectionRange(address.indexOf("//") + 2, address.length);
        } } }, label),
      );
    }
  }

  /** The options and the hint are those of the connector that the address asks for. */
  private follow(): void {
    const [, scheme = "file"] = /^([a-z][a-z0-9+.]*):\/\//i.exec(this.url.value) ?? [];
    const asked = this.url.value.trim() === "" ? "" : scheme.toLowerCase();
    if (asked === this.scheme) return;
    this.scheme = asked;
    const connector = this.connectors.find((each) => each.schemes.includes(asked));
    this.options.show(connector?.options ?? []);
    setText(this.hint, connector?.hint ? t(connector.hint) : "");
    this.username.disabled = this.password.disabled = connector !== undefined && !connector.takes_login;
  }

  private async look(): Promise<void> {
    if (!this.url.value.trim()) {
      this.url.focus();
      return;
    }
    this.lookButton.disabled = this.addButton.disabled = true;
    this.result.replaceChildren(...looking(this.url.value.trim()));
    const asked = JSON.stringify(this.request());
    try {
      const discovery = await this.context.mirror.rest.post<Discovery>("sources/discover", this.request());
      this.looked = asked;
      this.result.replaceChildren(findings(discovery));
      this.addButton.disabled = false;
      this.addButton.focus();
    } catch (error) {
      this.result.replaceChildren(problem(error));
      if (error instanceof RestError && /login|password|user|access|auth/i.test(error.message)) {
        this.more.open = true;
        this.username.focus();
      }
    } finally {
      this.lookButton.disabled = this.addButton.disabled = false;
    }
  }

  private async add(): Promise<void> {
    if (!this.url.value.trim()) {
      this.url.focus();
      return;
    }
    this.addButton.disabled = true;
    try {
      const source = await this.context.mirror.rest.post<Source>("sources", this.request());
      this.done();
      this.context.toast({ tone: "good", title: t("{name} is being mirrored", { name: source.name }), detail: source.url });
    } catch (error) {
      this.result.replaceChildren(problem(error));
      this.addButton.disabled = false;
    }
  }

  private dropZone(): HTMLElement {
    const input = h("input", { class: "file-input", attrs: { type: "file", accept: ".csv,.tsv,.parquet,.pq,.gz,.zst", "aria-label": t("Recording") } });
    const zone = h(
      "label",
      { class: "drop-zone" },
      icon("document", "dim"),
      h("span", {}, t("Drop a recording here, CSV or Parquet, or choose one")),
      input,
    );
    const take = (file: File | undefined): void => {
      if (file) void this.upload(file);
    };
    input.addEventListener("change", () => take(input.files?.[0]));
    zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      take(event.dataTransfer?.files[0]);
    });
    return zone;
  }

  private async upload(file: File): Promise<void> {
    if (file.size > UPLOAD_BYTES_MAX) {
      this.result.replaceChildren(problem(new Error(t("{name} is larger than 8 MiB. Copy it into the folder inbox of the world, and it appears among what was discovered.", { name: file.name }))));
      return;
    }
    this.result.replaceChildren(...looking(file.name));
    try {
      const kept = await this.context.mirror.rest.upload<{ url: string }>(`inbox/${encodeURIComponent(file.name)}`, file);
      this.url.value = kept.url;
      this.follow();
      await this.look();
    } catch (error) {
      this.result.replaceChildren(problem(error));
    }
  }
}
