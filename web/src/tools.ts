/** The few buttons of the scene itself: home, round or on foot, names. */

import type { WorldScene } from "./scene/scene.ts";
import { t } from "./words.ts";

const ICONS = {
  home: ["M4 11.5 12 5l8 6.5", "M6.5 10v9h11v-9", "M10 19v-5h4v5"],
  focus: ["M4 9V5h4", "M16 5h4v4", "M20 15v4h-4", "M8 19H4v-4", "M12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5"],
  orbit: ["M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10", "M3.2 15.5C1.6 18.4 6 18 11 14.8S21.5 7.2 20.6 5.4 16 5.3 13.5 6.8"],
  walk: ["M13 4.2a1.6 1.6 0 1 0 .1 0", "M9 21l2.4-6.2L9.6 12l.9-4 3 .4 1.6 2.6 2.6.9", "M9.6 12 7 13.6", "M11.4 14.8 14 17l.6 4"],
  map: ["M3.5 6.5 9 4l6 2.5L20.5 4v13.5L15 20l-6-2.5L3.5 20z", "M9 4v13.5", "M15 6.5V20"],
  heat: ["M12 3.5c.6 3.2 4.8 5.2 4.8 10a4.8 4.8 0 0 1-9.6 0c0-2 .9-3.2 1.9-4.2.3 1.3 1 2 1.8 2.3-.5-3 .1-5.6 1.1-8.1", "M12 20.4a2.2 2.2 0 0 0 1.2-4.2"],
  scatter: ["M4 4v16h16", "M8 15.5h.01", "M11 12.5h.01", "M13 14h.01", "M15 9.5h.01", "M18 7h.01"],
  view: ["M4 7h9", "M17 7h3", "M15 4.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4", "M4 17h3", "M11 17h9", "M9 14.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4"],
  labels: ["M4 12V5h7l9 9-7 7z", "M8 9h.01"],
} as const;

/** What the tools open beside the scene. */
export interface ToolActs {
  focusSelected(): unknown;
  /** Opens or closes the heat layer. */
  toggleHeat(): void;
  correlate(): void;
  /** Whether the heat layer is open, and who wants to be told. */
  readonly heat: { readonly isOpen: boolean; onToggle: () => void };
  /** How the scene is seen. */
  readonly view: { readonly isOpen: boolean; onToggle: () => void; toggle(): void };
}

export function mountTools(root: HTMLElement, scene: WorldScene, acts: ToolActs): void {
  const buttons = {
    home: button("home", t("Home view (H)"), () => scene.home()),
    focus: button("focus", t("Focus on the selected twin (F)"), () => acts.focusSelected()),
    orbit: button("orbit", t("Orbit (1)"), () => scene.setMode("orbit")),
    walk: button("walk", t("Walk: W A S D and drag (2)"), () => scene.setMode("walk")),
    map: button("map", t("Map: from above (3)"), () => scene.setMode(scene.mode === "map" ? "orbit" : "map")),
    heat: button("heat", t("Heat layer: colours by value"), () => acts.toggleHeat()),
    scatter: button("scatter", t("Correlation of two quantities"), () => acts.correlate()),
    labels: button("labels", t("Names (L)"), () => scene.setLabels(!scene.labels)),
    view: button("view", t("View: picture, cuts, measure, x-ray"), () => acts.view.toggle()),
  };
  root.append(...Object.values(buttons));
  const show = (): void => {
    buttons.orbit.setAttribute("aria-pressed", String(scene.mode === "orbit"));
    buttons.heat.setAttribute("aria-pressed", String(acts.heat.isOpen));
    buttons.map.setAttribute("aria-pressed", String(scene.mode === "map"));
    buttons.walk.setAttribute("aria-pressed", String(scene.mode === "walk"));
    buttons.view.setAttribute("aria-pressed", String(acts.view.isOpen));
    buttons.labels.setAttribute("aria-pressed", String(scene.labels));
  };
  acts.heat.onToggle = show;
  acts.view.onToggle = show;
  scene.onChange = show;
  show();
}

function button(icon: keyof typeof ICONS, title: string, act: () => void): HTMLButtonElement {
  const element = document.createElement("button");
  element.type = "button";
  element.title = title;
  element.setAttribute("aria-label", title);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const d of ICONS[icon]) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  element.append(svg);
  element.addEventListener("click", act);
  return element;
}
