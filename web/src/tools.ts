/** The few buttons of the scene itself: home, round or on foot, names. */

import type { WorldScene } from "./scene/scene.ts";

const ICONS = {
  home: ["M4 11.5 12 5l8 6.5", "M6.5 10v9h11v-9", "M10 19v-5h4v5"],
  focus: ["M4 9V5h4", "M16 5h4v4", "M20 15v4h-4", "M8 19H4v-4", "M12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5"],
  orbit: ["M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10", "M3.2 15.5C1.6 18.4 6 18 11 14.8S21.5 7.2 20.6 5.4 16 5.3 13.5 6.8"],
  walk: ["M13 4.2a1.6 1.6 0 1 0 .1 0", "M9 21l2.4-6.2L9.6 12l.9-4 3 .4 1.6 2.6 2.6.9", "M9.6 12 7 13.6", "M11.4 14.8 14 17l.6 4"],
  labels: ["M4 12V5h7l9 9-7 7z", "M8 9h.01"],
} as const;

export function mountTools(root: HTMLElement, scene: WorldScene, focusSelected: () => void): void {
  const buttons = {
    home: button("home", "Home view (H)", () => scene.home()),
    focus: button("focus", "Focus on the selected twin (F)", focusSelected),
    orbit: button("orbit", "Orbit (1)", () => scene.setMode("orbit")),
    walk: button("walk", "Walk: W A S D and drag (2)", () => scene.setMode("walk")),
    labels: button("labels", "Names (L)", () => scene.setLabels(!scene.labels)),
  };
  root.append(...Object.values(buttons));
  const show = (): void => {
    buttons.orbit.setAttribute("aria-pressed", String(scene.mode === "orbit"));
    buttons.walk.setAttribute("aria-pressed", String(scene.mode === "walk"));
    buttons.labels.setAttribute("aria-pressed", String(scene.labels));
  };
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
