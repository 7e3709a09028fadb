// Telling a person of alarms while the page is in the background, by the browser itself. No push
// service is asked: what is told came by the page's own stream, so the page must be open somewhere.

import { labelText } from "../format.ts";
import { text, type WorldEvent } from "../mirror.ts";
import { callsNow, isWanted, type Notices, NOTICES_AT_FIRST } from "../notices.ts";
import { language, t } from "../words.ts";
import { mayArm } from "./arm.ts";
import { type Context, reasonOf, remembered } from "./context.ts";
import { button, h, openDialog, setText } from "./dom.ts";
import { partField } from "./part.ts";

const FLOOD = 10;
const FLOOD_MS = 600_000;
const SEVERITIES = [t("Info"), t("Low"), t("Medium"), t("High")] as const;

type Permission = NotificationPermission | "absent";

function permission(): Permission {
  return "Notification" in window ? Notification.permission : "absent";
}

function minuteOfDay(): number {
  const now = new Date();
  return now.getHours() * 60 + now.getMinutes();
}

/** Listens to alarms, and tells of those that a person wants to hear of. */
export class BackgroundNotices {
  private known: Set<string> | null = null;
  private readonly told = new Set<string>();
  private times: number[] = [];
  private more = 0;

  constructor(private readonly context: Context) {
    const { mirror } = context;
    mirror.on("events", ({ ids }) => this.hear(ids));
    navigator.serviceWorker?.addEventListener("message", (message: MessageEvent<{ twin?: string }>) => {
      if (message.data?.twin) context.goTo(message.data.twin, true);
      else context.show("alarms");
    });
  }

  /** What this person wants here; each account that is used on a device has its own. */
  get settings(): { get(): Notices; set(value: Notices): void } {
    return remembered<Notices>(`notices.${this.context.mirror.principal.id}`, NOTICES_AT_FIRST);
  }

  private hear(ids: Set<string> | null): void {
    const { mirror } = this.context;
    const now_ms = mirror.nowMs();
    // Nobody is called for what happens in a branch.
    if (mirror.branch !== null) {
      this.known = null;
      return;
    }
    if (this.known === null || ids === null) {
      this.known = new Set([...mirror.events.values()].filter((event) => callsNow(event, now_ms)).map((event) => event.id));
      return;
    }
    const settings = this.settings.get();
    for (const id of ids) {
      const event = mirror.events.get(id);
      if (!event || !callsNow(event, now_ms)) {
        this.known.delete(id);
        if (this.told.has(id) && !(event?.is_active ?? false)) void this.over(id, event);
        continue;
      }
      if (this.known.has(id)) continue;
      this.known.add(id);
      if (document.hidden && permission() === "granted" && isWanted(settings, event, minuteOfDay())) void this.tell(event);
    }
  }

  private async tell(event: WorldEvent): Promise<void> {
    const { mirror } = this.context;
    const now_ms = Date.now();
    this.times = this.times.filter((time) => now_ms - time < FLOOD_MS);
    if (this.times.length >= FLOOD) {
      this.more += 1;
      await show(t("{n} more alarms", { n: this.more }), mirror.world, "flood", "", true);
      return;
    }
    this.more = 0;
    this.times.push(now_ms);
    this.told.add(event.id);
    const severity = event.severity ?? 0;
    await show(`${SEVERITIES[severity]}: ${text(event.message) || labelText(event.kind)}`, this.whereOf(event), event.id, event.twin, false, severity >= 3);
  }

  private async over(id: string, event: WorldEvent | undefined): Promise<void> {
    this.told.delete(id);
    if (event && document.hidden && permission() === "granted") {
      await show(t("Over: {message}", { message: text(event.message) || labelText(event.kind) }), this.whereOf(event), id, event.twin, true);
    }
  }

  private whereOf(event: WorldEvent): string {
    const { mirror } = this.context;
    return `${mirror.twins.has(event.twin) ? mirror.nameOf(event.twin) : event.twin} · ${mirror.world}`;
  }
}

/** Shows a notice; one with the same tag takes the place of the one before. */
async function show(title: string, body: string, tag: string, twin: string, isSilent: boolean, stays = false): Promise<void> {
  const options: NotificationOptions = {
    body,
    tag: `mirrorworld ${tag}`,
    icon: new URL("icon.svg", document.baseURI).href,
    silent: isSilent,
    requireInteraction: stays,
    data: { twin },
  };
  // Phones show notices of a worker only, and have no constructor that a page may call.
  const worker = await navigator.serviceWorker?.getRegistration();
  if (worker) await worker.showNotification(title, options);
  else if (permission() === "granted") new Notification(title, options).onclick = () => window.focus();
}

/** The dialog in which a person says what to be told of here. Permission is asked for on a click only. */
export function openNotices(context: Context, notices: BackgroundNotices): void {
  const kept = notices.settings;
  const now = kept.get();
  const severity = (label: string, value: number): HTMLSelectElement => {
    const select = h("select", { class: "select", attrs: { "aria-label": label } }, ...[3, 2, 1, 0].map((n) => h("option", { attrs: { value: n } }, n === 3 ? SEVERITIES[3] : t("{severity} and above", { severity: SEVERITIES[n]! }))));
    select.value = String(value);
    return select;
  };
  const field = (label: string, ...inputs: HTMLElement[]): HTMLElement => h("label", { class: "field" }, h("span", { class: "field-label" }, label), ...inputs);
  const time = (label: string, value: string): HTMLInputElement => h("input", { class: "input num", attrs: { type: "time", value, "aria-label": label } });
  const isOn = h("input", { attrs: { type: "checkbox" } });
  isOn.checked = now.isOn && permission() === "granted";
  const min = severity(t("How urgent"), now.minSeverity);
  const part = partField(context, t("Part"), now.subtree);
  const from = time(t("Quiet from"), now.quietFrom);
  const to = time(t("Quiet to"), now.quietTo);
  const but = severity(t("But even then"), now.quietBut);
  const status = h("p", { class: "dim", role: "status" });
  const say = (): void => {
    const words: Record<Permission, string> = {
      granted: isOn.checked ? t("You are told while this page is open and you look elsewhere.") : t("Off on this device."),
      denied: t("The browser forbids it. Allow notifications for this address in its settings, then come back."),
      default: t("The browser will ask once whether it may."),
      absent: t("This browser has no notifications here. They need a page that the device trusts (see On a phone…)."),
    };
    setText(status, words[permission()]);
    isOn.disabled = permission() === "absent" || permission() === "denied";
    tryIt.disabled = !isOn.checked;
  };
  const keep = (): void => {
    kept.set({ isOn: isOn.checked, minSeverity: Number(min.value), subtree: part.input.value.trim(), quietFrom: from.value || "00:00", quietTo: to.value || "00:00", quietBut: Number(but.value) });
    say();
  };
  const ask = async (): Promise<void> => {
    if (isOn.checked) {
      isOn.checked = (await Notification.requestPermission()) === "granted";
      if (isOn.checked) await navigator.serviceWorker?.register(new URL("notices.js", document.baseURI)).catch(() => undefined);
    }
    keep();
  };
  isOn.addEventListener("change", () => void ask().catch((error: unknown) => setText(status, reasonOf(error))));
  for (const input of [min, part.input, from, to, but]) input.addEventListener("change", keep);
  const tryIt = button(t("Try it"), () => void show(t("This is how you are told"), context.mirror.world, "try", "", false).catch((error: unknown) => setText(status, reasonOf(error))), "plain", "bell");
  const body = h(
    "div",
    { class: "form" },
    h("label", { class: "check" }, isOn, t("Tell me on this device when the page is in the background")),
    status,
    field(t("How urgent"), min),
    field(t("Part"), part.element),
    h("div", { class: "form-row" }, field(t("Quiet from"), from), field(t("Quiet to"), to)),
    h("p", { class: "dim" }, t("The same time twice: no quiet hours.")),
    field(t("But even then"), but),
    mayArm(context) && routesSection(context),
  );
  const dialog = openDialog(t("Notifications"), body, [tryIt, h("span", { class: "grow" }), button(t("Done"), () => dialog.close(), "primary")]);
  say();
}

/** Who is told by e-mail or webhook, kept in the world as sheets; for who may edit it. */
function routesSection(context: Context): HTMLElement {
  const { mirror } = context;
  const list = h("ul", { class: "account-list", attrs: { "aria-label": t("By e-mail or webhook") } });
  const failed = h("p", { class: "form-error", role: "alert" });
  const by = h("select", { class: "select", attrs: { "aria-label": t("By") } }, h("option", { attrs: { value: "email" } }, t("E-mail")), h("option", { attrs: { value: "webhook" } }, t("Webhook")));
  const to = h("input", { class: "input", attrs: { type: "text", maxlength: 500, spellcheck: "false", autocomplete: "off", "aria-label": t("To whom") } });
  const hint = (): void => {
    to.placeholder = by.value === "email" ? "shift@works.example" : "https://chat.works.example/hook";
  };
  by.addEventListener("change", hint);
  hint();
  const min = h("select", { class: "select", attrs: { "aria-label": t("How urgent") } }, ...[3, 2, 1, 0].map((n) => h("option", { attrs: { value: n } }, SEVERITIES[n]!)));
  min.value = "2";
  const edit = async (...edits: object[]): Promise<void> => {
    failed.textContent = "";
    await mirror.rest.post("edits", { edits, reason: t("Notifications") });
  };
  const complain = (error: unknown): void => setText(failed, reasonOf(error));
  const add = async (): Promise<void> => {
    const addresses = to.value.split(/[\s,;]+/).filter(Boolean);
    const body = { by: by.value, ...(by.value === "email" ? { to: addresses } : { url: addresses[0] ?? "" }), min_severity: Number(min.value), language };
    const plain = (addresses[0] ?? "").replace(/^https?:\/\//, "").replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[-.]+/, "").slice(0, 40) || "route";
    const taken = new Set(mirror.sheets("notify").map((sheet) => sheet.name));
    let name = plain;
    for (let n = 2; taken.has(name); n++) name = `${plain}-${n}`;
    await edit({ "@": "PutSheet", sheet: { kind: "notify", name, body: JSON.stringify(body) } });
    to.value = "";
  };
  const fill = (): void => {
    list.replaceChildren(...mirror.sheets("notify").map((sheet) => {
      let route: { by?: string; to?: string[]; url?: string; min_severity?: number; subtree?: string; quiet?: { from: string; to: string } } = {};
      try {
        route = JSON.parse(sheet.body ?? "{}") as typeof route;
      } catch {
        // Shown by its name alone.
      }
      const whom = route.to?.join(", ") || route.url || sheet.name;
      const quiet = route.quiet ? ` · ${t("quiet {from}–{to}", { from: route.quiet.from, to: route.quiet.to })}` : "";
      return h("li", {},
        h("span", { class: "grow clip", title: whom }, whom),
        h("span", { class: "dim" }, `${SEVERITIES[route.min_severity ?? 2] ?? ""}${route.subtree ? ` · ${route.subtree}` : ""}${quiet}`),
        button(t("Remove"), () => { edit({ "@": "DropSheet", kind: "notify", name: sheet.name }).catch(complain); }, "quiet"),
      );
    }));
  };
  fill();
  const off = mirror.on("sheets", () => (list.isConnected ? fill() : off()));
  return h("section", { class: "form" }, h("h3", {}, t("By e-mail or webhook")), list,
    h("div", { class: "account-row" }, by, to, min, button(t("Add"), () => { add().catch(complain); }, "plain", "plus")), failed);
}
