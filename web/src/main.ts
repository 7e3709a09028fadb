/** Puts the page together: mirror, scene, panels. */

import "./style/tokens.css";
import "./style/base.css";
import { address } from "./address.ts";
import { mountAuthoring, type Authoring } from "./authoring/index.ts";
import { HeatPanel } from "./heat/panel.ts";
import { openCorrelation } from "./heat/correlation.ts";
import { Mirror } from "./mirror.ts";
import { mountPeople, type People } from "./people/index.ts";
import type { Panels } from "./panels/index.ts";
import type { SceneApi, SceneStats } from "./scene/api.ts";
import { NoScene } from "./scene/no_scene.ts";
import { WorldScene } from "./scene/scene.ts";
import { ViewPanel } from "./scene/view_panel.ts";
import { watchSlots } from "./slots.ts";
import { mountTools } from "./tools.ts";
import { mountEmbedded } from "./tours/embed.ts";
import { language, t } from "./words.ts";
import { companyOf } from "./xr/company.ts";
import { type Headset, mountXr } from "./xr/index.ts";

const PANELS = import.meta.glob<{ mountPanels(mirror: Mirror, scene: SceneApi): Panels }>("./panels/index.ts");

function slot<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no #${id}`);
  return element as T;
}

document.documentElement.lang = language;
for (const each of document.querySelectorAll("body > [aria-label]")) {
  each.setAttribute("aria-label", t(each.getAttribute("aria-label")!));
}
const mirror = new Mirror();
const scene = makeScene();
let headset: Headset | null = null;
/** Within the page of another site nothing can be done: there are no panels and no tools. */
const { isEmbedded } = address.link;
if (scene instanceof WorldScene && !isEmbedded) {
  const heat = new HeatPanel(mirror, scene);
  mountTools(slot("tools"), scene, {
    focusSelected: () => mirror.selected !== null && scene.focus(mirror.selected),
    toggleHeat: () => heat.toggle(),
    correlate: () => openCorrelation(mirror, scene),
    heat,
    view: new ViewPanel(scene),
  });
  headset = mountXr(mirror, scene, slot("tools"), heat);
}
if (isEmbedded) mountEmbedded(mirror, scene);
else
  for (const load of Object.values(PANELS)) {
    const { tours } = (await load()).mountPanels(mirror, scene);
    if (headset !== null) headset.tours = tours;
  }
const people = isEmbedded ? null : mountPeople(mirror, scene);
if (headset !== null && people !== null) headset.company = companyOf(people);
const authoring = isEmbedded ? null : mountAuthoring(mirror, scene, slot("tools"));
if (headset !== null) headset.authoring = authoring;
watchSlots((left, right, top, bottom) => {
  if (scene instanceof WorldScene) scene.setInsets(left, right, top, bottom);
});
mirror.on("structure", () => {
  if (mirror.world) document.title = `${mirror.world} · Mirrorworld`;
});
mirror.open();

/** The scene; where the browser draws no 3D, a word on it, and all else works on. */
function makeScene(): WorldScene | NoScene {
  const canvas = slot<HTMLCanvasElement>("scene");
  try {
    return new WorldScene(canvas, slot("labels"), mirror);
  } catch (error) {
    console.error("no scene", error);
    return new NoScene(canvas, mirror);
  }
}

declare global {
  interface Window {
    /** For tests and for the curious. */
    __mirrorworld: { mirror: Mirror; scene: WorldScene | NoScene; people: People | null; authoring: Authoring | null; headset: Headset | null; stats: () => SceneStats };
  }
}
window.__mirrorworld = { mirror, scene, people, authoring, headset, stats: () => scene.stats() };
