// Making elements. Text goes in as text, never as markup: what a source says cannot become code.

import { icon, type IconName } from "./icons.ts";
import { t } from "../words.ts";

type Child = Node | string | number | null | undefined | false;

interface Props {
  class?: string;
  id?: string;
  title?: string;
  role?: string;
  tabIndex?: number;
  hidden?: boolean;
  /** Attributes by name; false and undefined leave one out. */
  attrs?: Record<string, string | number | boolean | undefined>;
  /** Listeners by event name. */
  on?: { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };
}

/** An element with its properties and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (props.class) element.className = props.class;
  if (props.id) element.id = props.id;
  if (props.title) element.title = props.title;
  if (props.role) element.setAttribute("role", props.role);
  if (props.tabIndex !== undefined) element.tabIndex = props.tabIndex;
  if (props.hidden) element.hidden = true;
  for (const [name, value] of Object.entries(props.attrs ?? {})) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, listener] of Object.entries(props.on ?? {})) {
    element.addEventListener(name, listener as EventListener);
  }
  add(element, children);
  return element;
}

/** Appends children, leaving out what is nothing. */
export function add(parent: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(typeof child === "number" ? String(child) : child);
  }
}

/** Sets text only if it differs: layout is not touched by values that stand still. */
export function setText(node: Element | Text, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute only if it differs; null removes it. */
export function setAttr(element: Element, name: string, value: string | null): void {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** A button with an icon alone; `label` is its name for people who do not see it, and its tooltip. */
export function iconButton(
  name: IconName,
  label: string,
  onClick: (event: MouseEvent) => void,
  extraClass = "",
): HTMLButtonElement {
  return h(
    "button",
    {
      class: `icon-button ${extraClass}`.trim(),
      title: label,
      attrs: { type: "button", "aria-label": label },
      on: { click: onClick },
    },
    icon(name),
  );
}

/** A button with text. `kind`: "plain", "primary" (one per dialog) or "quiet". */
export function button(
  label: string,
  onClick: (event: MouseEvent) => void,
  kind: "plain" | "primary" | "quiet" | "danger" = "plain",
  iconName?: IconName,
): HTMLButtonElement {
  return h(
    "button",
    { class: `button ${kind}`, attrs: { type: "button" }, on: { click: onClick } },
    iconName && icon(iconName),
    h("span", {}, label),
  );
}

/** A few exclusive choices as one control. */
export function segmented<T extends string>(
  label: string,
  choices: readonly (readonly [T, string])[],
  chosen: T,
  onChoose: (choice: T) => void,
): { element: HTMLElement; set(choice: T): void } {
  const buttons = new Map<T, HTMLButtonElement>();
  const element = h("div", { class: "segmented", role: "group", attrs: { "aria-label": label } });
  const set = (choice: T): void => {
    for (const [key, each] of buttons) setAttr(each, "aria-pressed", String(key === choice));
  };
  for (const [key, text] of choices) {
    const each = h(
      "button",
      {
        attrs: { type: "button" },
        on: {
          click: () => {
            set(key);
            onChoose(key);
          },
        },
      },
      text,
    );
    buttons.set(key, each);
    element.append(each);
  }
  set(chosen);
  return { element, set };
}

/** Something empty that says why and what to do. */
export function emptyState(iconName: IconName, title: string, hint = "", ...actions: Child[]): HTMLElement {
  return h(
    "div",
    { class: "empty" },
    icon(iconName, "empty-icon"),
    h("p", { class: "empty-title" }, title),
    hint && h("p", { class: "empty-hint" }, hint),
    actions.length > 0 && wrap("div", "empty-actions", actions),
  );
}

function wrap(tag: "div" | "span", className: string, children: readonly Child[]): HTMLElement {
  const element = h(tag, { class: className });
  add(element, children);
  return element;
}

/** Copies text; where the browser gives no clipboard (plain http off loopback) says so. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

let isPressed = false;
for (const [what, is] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]] as const)
  window.addEventListener(what, () => (isPressed = is), { capture: true, passive: true });

/** Does `act` now, or once the finger or button that is down has gone up: what is built anew below it
 * would take the click with it. */
export function afterPress(act: () => void): void {
  if (!isPressed) act();
  else window.addEventListener("pointerup", () => setTimeout(act), { once: true });
}

/** Whether keys now go into a field, so that one-key shortcuts must not fire. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches("input:not([type=range], [type=checkbox]), textarea, select"))
  );
}

/**
 * A modal dialog: the browser keeps focus inside and gives it back, Escape closes.
 * `close` may be called more than once.
 */
export function openDialog(
  title: string,
  body: HTMLElement,
  footer: readonly HTMLElement[] = [],
  options: { wide?: boolean; onClose?: () => void } = {},
): { element: HTMLDialogElement; close(): void } {
  const heading = h("h2", { id: `dialog-${++dialogs}` }, title);
  const dialog = h(
    "dialog",
    { class: options.wide ? "dialog wide" : "dialog", attrs: { "aria-labelledby": heading.id } },
    h("div", { class: "dialog-head" }, heading, iconButton("close", t("Close"), () => dialog.close())),
    body,
  );
  body.classList.add("dialog-body");
  if (footer.length > 0) dialog.append(wrap("div", "dialog-foot", footer));
  dialog.addEventListener("close", () => {
    dialog.remove();
    options.onClose?.();
  });
  dialog.addEventListener("mousedown", (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
  document.body.append(dialog);
  dialog.showModal();
  return { element: dialog, close: () => dialog.open && dialog.close() };
}

let dialogs = 0;

/** A panel that opens below a button and closes on Escape, a click elsewhere or the button again. */
export function popover(anchor: HTMLButtonElement, panel: HTMLElement, onOpen: () => void): { close(): void; isOpen(): boolean } {
  panel.classList.add("popover");
  panel.hidden = true;
  setAttr(anchor, "aria-haspopup", "dialog");
  setAttr(anchor, "aria-expanded", "false");
  const close = (giveFocus = false): void => {
    if (panel.hidden) return;
    panel.hidden = true;
    setAttr(anchor, "aria-expanded", "false");
    document.removeEventListener("pointerdown", onOutside, true);
    document.removeEventListener("keydown", onEscape, true);
    if (giveFocus) anchor.focus();
  };
  const onOutside = (event: PointerEvent): void => {
    const target = event.target as Node;
    if (!panel.contains(target) && !anchor.contains(target)) close();
  };
  const onEscape = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close(true);
  };
  anchor.addEventListener("click", () => {
    if (!panel.hidden) {
      close();
      return;
    }
    onOpen();
    panel.hidden = false;
    place(anchor, panel);
    setAttr(anchor, "aria-expanded", "true");
    document.addEventListener("pointerdown", onOutside, true);
    document.addEventListener("keydown", onEscape, true);
    panel.querySelector<HTMLElement>("button, a, input")?.focus({ preventScroll: true });
  });
  document.body.append(panel);
  return { close: () => close(), isOpen: () => !panel.hidden };
}

function place(anchor: HTMLElement, panel: HTMLElement): void {
  const at = anchor.getBoundingClientRect();
  const width = panel.offsetWidth;
  panel.style.left = `${Math.max(8, Math.min(at.left, window.innerWidth - width - 8))}px`;
  panel.style.top = `${at.bottom + 16}px`;
}
