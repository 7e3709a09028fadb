/** Puts the page together: mirror, scene, panels. */

import "./style/tokens.css";
import "./style/base.css";
import { Mirror } from "./mirror.ts";
import type { SceneApi } from "./scene/api.ts";
import { WorldScene } from "./scene/scene.ts";
import { watchSlots } from "./slots.ts";
import { mountTools } from "./tools.ts";

const PANELS = import.meta.glob<{ mountPanels(mirror: Mirror, scene: SceneApi): void }>("./panels/index.ts");

function slot<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no #${id}`);
  return element as T;
}

const mirror = new Mirror();
const scene = new WorldScene(slot<HTMLCanvasElement>("scene"), slot("labels"), mirror);
mountTools(slot("tools"), scene, () => {
  if (mirror.selected !== null) scene.focus(mirror.selected);
});
for (const load of Object.values(PANELS)) (await load()).mountPanels(mirror, scene);
watchSlots((left, right, top, bottom) => scene.setInsets(left, right, top, bottom));
mirror.on("structure", () => {
  if (mirror.world) document.title = `${mirror.world} · Mirrorworld`;
});
mirror.open();

declare global {
  interface Window {
    /** For tests and for the curious. */
    __mirrorworld: { mirror: Mirror; scene: WorldScene; stats: () => ReturnType<WorldScene["stats"]> };
  }
}
window.__mirrorworld = { mirror, scene, stats: () => scene.stats() };
