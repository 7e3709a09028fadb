// The drawer above the time bar: trends, alarms, commands. It opens, closes, and takes the height one gives it.

import { remembered } from "./context.ts";
import { h, iconButton, setAttr, setText } from "./dom.ts";
import { t } from "../words.ts";

export type DockTab = "trends" | "alarms" | "commands";

export interface DockPanel {
  element: HTMLElement;
  tools: HTMLElement;
}

const LOWEST_PX = 150;

export class Dock {
  readonly element: HTMLElement;
  /** The tabs themselves; they live in the time bar's row. */
  readonly tabs: HTMLElement;
  private readonly body = h("div", { class: "dock-body" });
  private readonly toolPlace = h("div", { class: "dock-tool-place" });
  private readonly buttons = new Map<DockTab, { button: HTMLButtonElement; badge: HTMLElement }>();
  private readonly height = remembered<number>("dock.height", 288);
  private readonly grip: HTMLElement;
  private current: DockTab = "trends";

  constructor(
    private readonly panels: Readonly<Record<DockTab, DockPanel>>,
    private readonly onChange: (open: DockTab | null) => void,
  ) {
    const grip = this.grip = h("div", {
      class: "dock-grip",
      role: "separator",
      tabIndex: 0,
      attrs: { "aria-label": t("Height of the drawer"), "aria-orientation": "horizontal" },
      on: {
        pointerdown: (event) => this.drag(event),
        keydown: (event) => {
          const step = event.key === "ArrowUp" ? 24 : event.key === "ArrowDown" ? -24 : 0;
          if (step === 0) return;
          event.preventDefault();
          this.setHeight(this.height.get() + step);
        },
      },
    });
    this.tabs = h("div", { class: "dock-tabs", role: "tablist", attrs: { "aria-label": t("Drawer") } });
    for (const [tab, label] of [["trends", t("Trends")], ["alarms", t("Alarms")], ["commands", t("Commands")]] as const) {
      const badge = h("span", { class: "badge", hidden: true });
      const button = h(
        "button",
        {
          class: "dock-tab",
          id: `tab-${tab}`,
          role: "tab",
          attrs: { type: "button", "aria-controls": `panel-${tab}` },
          on: {
            click: () => (this.isOpen(tab) ? this.close() : this.open(tab)),
            keydown: (event) => this.onTabKey(event),
          },
        },
        label,
        badge,
      );
      this.buttons.set(tab, { button, badge });
      this.tabs.append(button);
      const { element } = panels[tab];
      element.id = `panel-${tab}`;
      element.setAttribute("role", "tabpanel");
      element.setAttribute("aria-labelledby", button.id);
      element.hidden = true;
      this.body.append(element);
    }
    this.element = h(
      "section",
      { class: "dock", hidden: true, attrs: { "aria-label": t("Drawer") } },
      grip,
      h("div", { class: "dock-head" }, this.toolPlace, iconButton("down", t("Close the drawer"), () => this.close())),
      this.body,
    );
    this.setHeight(this.height.get());
    this.mark();
  }

  isOpen(tab?: DockTab): boolean {
    return !this.element.hidden && (tab === undefined || tab === this.current);
  }

  get tab(): DockTab {
    return this.current;
  }

  open(tab: DockTab): void {
    this.current = tab;
    this.element.hidden = false;
    for (const [name, panel] of Object.entries(this.panels)) panel.element.hidden = name !== tab;
    this.toolPlace.replaceChildren(this.panels[tab].tools);
    this.mark();
    this.onChange(tab);
  }

  close(): void {
    this.element.hidden = true;
    this.mark();
    this.onChange(null);
  }

  setBadge(tab: DockTab, count: number, className = ""): void {
    const { badge } = this.buttons.get(tab)!;
    badge.hidden = count === 0;
    badge.className = `badge ${className}`;
    setText(badge, count > 99 ? "99+" : String(count));
  }

  private mark(): void {
    for (const [tab, { button }] of this.buttons) {
      const isCurrent = this.isOpen(tab);
      setAttr(button, "aria-selected", String(isCurrent));
      button.tabIndex = tab === this.current ? 0 : -1;
    }
  }

  private onTabKey(event: KeyboardEvent): void {
    const order = [...this.buttons.keys()];
    const at = order.indexOf(this.current);
    const to = event.key === "ArrowRight" ? at + 1 : event.key === "ArrowLeft" ? at - 1 : NaN;
    if (Number.isNaN(to)) return;
    event.preventDefault();
    const tab = order[(to + order.length) % order.length]!;
    this.open(tab);
    this.buttons.get(tab)!.button.focus();
  }

  private setHeight(height_px: number): void {
    const most = Math.max(Math.round(window.innerHeight * 0.62), LOWEST_PX);
    const height = Math.round(Math.max(LOWEST_PX, Math.min(height_px, most)));
    this.height.set(height);
    for (const [name, px] of [["valuemin", LOWEST_PX], ["valuemax", most], ["valuenow", height]] as const) setAttr(this.grip, `aria-${name}`, String(px));
    this.element.style.setProperty("--dock-h", `${height}px`);
  }

  private drag(event: PointerEvent): void {
    const grip = event.currentTarget as HTMLElement;
    const from_y = event.clientY;
    const from_h = this.height.get();
    grip.setPointerCapture(event.pointerId);
    const move = (moved: PointerEvent): void => this.setHeight(from_h + from_y - moved.clientY);
    grip.addEventListener("pointermove", move);
    grip.addEventListener("pointerup", () => grip.removeEventListener("pointermove", move), { once: true });
  }
}
