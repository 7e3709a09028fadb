// Adding a source: its address, a look at what it would be mirrored as, then yes. And what it asks of a person.

import { countText } from "../format.ts";
import { RestError, type Source, text } from "../mirror.ts";
import type { Discovery, FoundTwin, Pending } from "../protocol.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, h, openDialog, setText } from "./dom.ts";
import { icon } from "./icons.ts";

const SHOWN_AT_ONCE = 60;

const EXAMPLES: readonly (readonly [string, string])[] = [
  ["OPC UA", "opc.tcp://192.168.1.20:4840"],
  ["MQTT", "mqtt://broker.plant:1883"],
  ["Sparkplug B", "sparkplug://broker.plant:1883"],
  ["Recording", "file:///data/line1.csv"],
];

function wordsOf(error: unknown): string {
  return error instanceof RestError && error.mend ? `${error.message} ${error.mend}` : reasonOf(error);
}

/** The dialog: address → what it would be → mirrored. */
export function openSourceDialog(context: Context): void {
  const { mirror } = context;
  const url = h("input", {
    class: "input mono",
    attrs: { type: "text", inputmode: "url", placeholder: "opc.tcp://host:4840", "aria-label": "Address of the source", autocomplete: "off", spellcheck: "false", autofocus: true },
  });
  const name = h("input", { class: "input", attrs: { type: "text", placeholder: "made from the address", "aria-label": "Name", autocomplete: "off" } });
  const username = h("input", { class: "input", attrs: { type: "text", "aria-label": "User name", autocomplete: "off" } });
  const password = h("input", { class: "input", attrs: { type: "password", "aria-label": "Password", autocomplete: "new-password" } });
  const login = h(
    "details",
    { class: "more" },
    h("summary", {}, icon("chevron"), "Name and login"),
    h("div", { class: "form" },
      h("div", { class: "field" }, h("span", { class: "field-label" }, "Name"), name, h("span", { class: "hint" }, "Short and unique; its twins' ids begin with it.")),
      h("div", { class: "form-row" },
        h("div", { class: "field" }, h("span", { class: "field-label" }, "User name"), username),
        h("div", { class: "field" }, h("span", { class: "field-label" }, "Password"), password),
      ),
    ),
  );
  const result = h("div", { class: "discovery", attrs: { "aria-live": "polite" } });
  const request = (): Record<string, unknown> => ({
    url: url.value.trim(),
    name: name.value.trim(),
    options: {},
    username: username.value,
    password: password.value,
  });
  let looked = "";
  const look = async (): Promise<void> => {
    if (!url.value.trim()) {
      url.focus();
      return;
    }
    lookButton.disabled = addButton.disabled = true;
    result.replaceChildren(
      h("div", { class: "discovery-wait dim" }, h("span", { class: "dot connecting" }), `Looking at ${url.value.trim()} …`),
      ...[86, 70, 78].map((width) => {
        const bar = h("div", { class: "skeleton discovery-skeleton" });
        bar.style.width = `${width}%`;
        return bar;
      }),
    );
    const asked = JSON.stringify(request());
    try {
      const discovery = await mirror.rest.post<Discovery>("sources/discover", request());
      looked = asked;
      result.replaceChildren(findings(discovery));
      addButton.focus();
    } catch (error) {
      result.replaceChildren(problem(error));
      if (error instanceof RestError && /login|password|user|access|auth/i.test(error.message)) {
        login.open = true;
        username.focus();
      }
    } finally {
      lookButton.disabled = addButton.disabled = false;
    }
  };
  const add = async (): Promise<void> => {
    if (!url.value.trim()) {
      url.focus();
      return;
    }
    addButton.disabled = true;
    try {
      const source = await mirror.rest.post<Source>("sources", request());
      dialog.close();
      context.toast({ tone: "good", title: `${source.name} is being mirrored`, detail: source.url });
    } catch (error) {
      result.replaceChildren(problem(error));
      addButton.disabled = false;
    }
  };
  const lookButton = button("Look", () => void look(), "plain", "search");
  const addButton = button("Mirror it", () => void add(), "primary", "plus");
  url.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (looked === JSON.stringify(request())) void add();
    else void look();
  });
  const examples = h("div", { class: "examples" }, h("span", { class: "dimmer" }, "For instance"));
  for (const [label, address] of EXAMPLES) {
    examples.append(
      h("button", { class: "chip", title: address, attrs: { type: "button" }, on: { click: () => {
        url.value = address;
        url.focus();
        const host = address.indexOf("//") + 2;
        url.setSelectionRange(host, address.length);
      } } }, label),
    );
  }
  const body = h(
    "div",
    { class: "form" },
    h("p", { class: "dim" }, "Give the address of what your plant already speaks. Looking declares nothing, and nothing is ever written to a source until a point of it is armed."),
    h("div", { class: "field" }, h("span", { class: "field-label" }, "Address"), h("div", { class: "input-unit" }, url, lookButton)),
    examples,
    login,
    result,
  );
  const dialog = openDialog("Add a source", body, [h("span", { class: "grow" }), button("Cancel", () => dialog.close(), "quiet"), addButton], { wide: true });
  url.focus();
}

function problem(error: unknown): HTMLElement {
  const where = error instanceof RestError ? error.place : "";
  return h(
    "div",
    { class: "problem", role: "alert" },
    icon("alarm-2", "alarm sev-2"),
    h(
      "div",
      {},
      h("strong", {}, reasonOf(error)),
      where && !reasonOf(error).includes(where) && h("div", { class: "mono dimmer" }, where),
      error instanceof RestError && error.mend && h("p", {}, error.mend),
    ),
  );
}

function findings(discovery: Discovery): HTMLElement {
  const found = discovery.findings;
  if (found.length === 0) {
    return h("div", { class: "problem" }, icon("info", "dim"), h("div", {}, h("strong", {}, "Nothing to mirror was seen"), h("p", {}, "It answers, but offers nothing now. Mirror it anyway, and what appears later is taken up.")));
  }
  const types = new Map<string, number>();
  let points = 0;
  for (const finding of found) {
    const type = finding.type ? text(finding.type.name) || finding.type.id : "no type";
    types.set(type, (types.get(type) ?? 0) + 1);
    points += (finding.type?.points?.length ?? 0) + (finding.twin.points?.length ?? 0);
  }
  return h(
    "div",
    {},
    h(
      "div",
      { class: "discovery-sum num" },
      h("span", {}, h("b", {}, countText(found.length)), found.length === 1 ? " twin" : " twins"),
      h("span", {}, h("b", {}, countText(types.size)), types.size === 1 ? " type" : " types"),
      h("span", {}, h("b", {}, countText(points)), " points"),
    ),
    h("div", { class: "discovery-types" }, ...[...types].sort((a, b) => b[1] - a[1]).slice(0, 10).map(([type, n]) => h("span", { class: "chip num" }, `${type} × ${n}`))),
    h(
      "div",
      { class: "discovery-list scroll", tabIndex: 0, role: "list", attrs: { "aria-label": "What it would be mirrored as" } },
      ...found.slice(0, SHOWN_AT_ONCE).map(findingRow),
      found.length > SHOWN_AT_ONCE && h("p", { class: "dimmer num" }, `and ${countText(found.length - SHOWN_AT_ONCE)} more`),
    ),
  );
}

function findingRow(finding: FoundTwin): HTMLElement {
  const samples = Object.entries(finding.sample_values).slice(0, 3).map(([point, value]) => `${point} ${String(value)}`).join("  ·  ");
  return h(
    "div",
    { class: "finding", role: "listitem" },
    icon("cube", "dim"),
    h(
      "div",
      { class: "grow" },
      h("div", { class: "finding-head" }, h("span", { class: "clip" }, text(finding.twin.name) || finding.twin.id), h("span", { class: "chip" }, finding.type ? text(finding.type.name) || finding.type.id : "no type")),
      h("div", { class: "dimmer" }, finding.guessed),
      samples && h("div", { class: "mono dim clip" }, samples),
    ),
  );
}

/** What a source waits for a person to decide: whether a certificate is the right one. */
export function pendingPrompt(context: Context, source: Source, pending: Pending): HTMLElement {
  const error = h("p", { class: "error-line", role: "alert", hidden: true });
  const trust = button("It is the same: trust it", () => {
    trust.disabled = true;
    context.mirror.rest
      .post(`sources/${encodeURIComponent(source.name)}/trust`, { fingerprint: pending.fingerprint })
      .then(() => context.toast({ tone: "good", title: `Certificate of ${source.name} is trusted`, detail: "Connecting again." }))
      .catch((problemSeen: unknown) => {
        trust.disabled = false;
        error.hidden = false;
        setText(error, wordsOf(problemSeen));
      });
  }, "primary", "shield");
  trust.dataset["key"] = `trust ${source.name}`;
  return h(
    "div",
    { class: "pending" },
    h("div", { class: "pending-title" }, icon("shield"), "A certificate that is not known here"),
    h("div", { class: "dim" }, pending.subject || pending.detail),
    h("div", { class: "fingerprint" }, pending.fingerprint),
    h("p", { class: "dim" }, "Compare the fingerprint with the one that the server itself shows. If they differ, someone else may be answering."),
    error,
    h("div", {}, trust),
  );
}

/** Stops mirroring; twins and their past stay. */
export function removeSource(context: Context, name: string): void {
  const dialog = openDialog(
    `Stop mirroring ${name}?`,
    h("div", { class: "form" }, h("p", { class: "dim" }, "Its twins and their past stay in the record; no new values come. It can be added again at any time.")),
    [
      h("span", { class: "grow" }),
      button("Cancel", () => dialog.close(), "quiet"),
      button("Stop mirroring", () => {
        context.mirror.rest
          .delete(`sources/${encodeURIComponent(name)}`)
          .catch((error: unknown) => context.toast({ tone: "bad", title: "Still mirrored", detail: wordsOf(error) }));
        dialog.close();
      }, "primary"),
    ],
  );
}
