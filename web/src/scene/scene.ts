/**
 * The scene: joins stage, camera, population, labels and outline, and keeps them up to the mirror.
 *
 * It draws when something has changed or moves, and rests otherwise.
 */

import { Box3, Plane, Vector3 } from "three";
import type { Camera, Ray } from "three";
import type { Id, Mirror } from "../mirror.ts";
import { numberText } from "../format.ts";
import { apiUrl } from "../rest.ts";
import { theme } from "../style/theme.ts";
import { t } from "../words.ts";
import type { Badge, CameraMode, CameraPlace, SceneApi, SceneStats, Wearer } from "./api.ts";
import { AssetLibrary } from "./asset_library.ts";
import { Beacons } from "./beacons.ts";
import { Bottles } from "./bottles.ts";
import { CameraRig } from "./camera.ts";
import { middleOf, onCanvas, rayAt } from "./canvas_places.ts";
import { Chosen } from "./chosen.ts";
import { Conditions } from "./conditions.ts";
import { chooseAll, View } from "./crowd.ts";
import type { Fleet } from "./fleet.ts";
import { FramePace } from "./frame_pace.ts";
import { Ghosts, type Of } from "./ghosts.ts";
import { Hands } from "./hands.ts";
import { keyValues } from "./key_values.ts";
import { Labels } from "./labels.ts";
import { Measure } from "./measure.ts";
import { NO_HIT } from "./layers.ts";
import type { Body, Hit, SceneLayer } from "./layers.ts";
import { assetName, STORED } from "./look.ts";
import { ghostsOf } from "./other.ts";
import type { OtherTwin } from "./other.ts";
import { PointReader, tagSource } from "./point_reader.ts";
import { Population } from "./population.ts";
import { isAsked, storedQuality } from "./quality.ts";
import type { Shape } from "./outline.ts";
import { CutHandles } from "./cut_handles.ts";
import { AXES, Section } from "./section.ts";
import type { Axis, Cut } from "./section.ts";
import { Stage } from "./stage.ts";
import { TagTexture } from "./tags.ts";
import { twoEyes } from "./trial.ts";
import type { Trial } from "./trial.ts";
import { Channel, TwinStates } from "./twin_state.ts";
import { XRay } from "./xray.ts";

const FLOOR = new Plane(new Vector3(0, 1, 0), 0);
const HOME_WAY = new Vector3(-0.2, 0.54, 1);
/** While assets come in one by one, the scene is not built anew more often than this. */
const REBUILD_MS = 700;

/** Where an asset of the world, or a file that people attached, is to be had. */
function assetUrl(name: string): URL {
  if (name.startsWith(STORED)) return apiUrl(`blobs/${name.slice(STORED.length)}`);
  return apiUrl(`assets/${name}${/\.\w+$/.test(name) ? "" : ".glb"}`);
}

export class WorldScene implements SceneApi {
  readonly stage: Stage;
  readonly rig: CameraRig;
  readonly #mirror: Mirror;
  readonly #canvas: HTMLCanvasElement;
  readonly section = new Section();
  readonly xray: XRay;
  readonly measure: Measure;
  readonly #cutHandles: CutHandles;
  /** Called when cuts, measuring, x-ray or quality change. */
  onView: () => void = () => {};
  readonly #library = new AssetLibrary(
    (name) => assetUrl(name).href,
    (extension) => this.stage.renderer.extensions.has(extension),
  );
  readonly #states = new TwinStates();
  readonly #conditions: Conditions;
  readonly #hands: Hands;
  readonly #tagTexture = new TagTexture();
  readonly #labels: Labels;
  readonly #chosen: Chosen;
  readonly #beacons = new Beacons();
  readonly #ghosts = new Ghosts();
  readonly #view = new View();
  readonly #heatListeners = new Set<(owner: string) => void>();
  #heatOwner = "";
  #otherOf: Of = "branch";
  #others: readonly OtherTwin[] = [];
  #notes = new Map<number, string>();
  #badges: ReadonlyMap<number, Badge> | null = null;
  readonly #bottles: Bottles;
  readonly #isStill = window.matchMedia("(prefers-reduced-motion: reduce)");
  #population: Population | null = null;
  readonly #pace: FramePace;
  readonly #points: PointReader;
  #isRebuildDue = false;
  #hasFramed = false;
  #hasMoved = true;
  #buildMs = 0;
  #builtMs = -Infinity;
  #drawCalls = 0;
  #triangles = 0;
  #selectedMs = -Infinity;
  /** What was to be flown to before there was anything. */
  #focusDue: Id | null = null;
  #isResting = false;
  #isPlaced = false;
  /** Whether the browser has taken the graphics context away, for now. */
  isLost = false;
  readonly #lostNote = document.createElement("p");
  readonly #labelRoot: HTMLElement;
  readonly #builtListeners = new Set<() => void>();
  readonly #layers = new Set<SceneLayer>();
  #insets: [number, number, number, number] = [0, 0, 0, 0];
  /** Called when something about the scene's own state changes (mode, labels). */
  onChange: () => void = () => {};
  wearer: Wearer | null = null;

  constructor(canvas: HTMLCanvasElement, labels: HTMLElement, mirror: Mirror) {
    this.#canvas = canvas;
    this.#mirror = mirror;
    this.#labelRoot = labels;
    this.#lostNote.className = "scene-lost";
    this.#lostNote.setAttribute("role", "status");
    const asked = new URL(location.href).searchParams.get("quality");
    this.stage = new Stage(canvas, isAsked(asked) ? asked : storedQuality());
    this.rig = new CameraRig(this.stage.camera, canvas);
    this.#pace = new FramePace(this.stage.isSoftware, (nowMs) => this.frame(nowMs));
    this.#chosen = new Chosen(mirror, this.#states, this.stage.scene);
    this.#labels = new Labels(labels, {
      name: (ordinal) => this.#nameOf(ordinal),
      values: (ordinal) => keyValues(mirror, ordinal),
      alarm: (ordinal) => this.#alarmOf(ordinal),
      note: (ordinal) => this.#notes.get(ordinal) ?? this.#badges?.get(ordinal)?.text ?? "",
      noteColour: (ordinal) => (this.#notes.has(ordinal) ? "" : this.#badges?.get(ordinal)?.colour ?? ""),
    });
    this.stage.onQuality = () => {
      this.#labels.max = this.stage.rung.labels;
      this.#moved();
      this.onView();
    };
    this.xray = new XRay(mirror, this.#states);
    this.measure = new Measure(labels, {
      canvas,
      camera: this.rig.camera,
      placeAt: (x, y) => this.#placeAt(x, y),
      say: (metres) => `${numberText(metres, 2)} m`,
    });
    this.#cutHandles = new CutHandles({
      canvas,
      camera: this.rig.camera,
      section: this.section,
      target: () => this.rig.target(),
      insets: () => (this.#isPlaced ? [0, 0, 0, 0] : this.#insets),
      say: (metres) => `${numberText(metres, 2)} m`,
      set: (axis, cut) => this.setCut(axis, cut),
    });
    labels.after(this.#cutHandles.host);
    this.#points = new PointReader(mirror);
    this.#conditions = new Conditions(mirror, this.#states);
    this.#hands = new Hands(canvas, mirror, this, {
      pick: (x, y) => this.#pickAt(x, y),
      wake: () => this.invalidate(),
      measure: this.measure,
      setMeasuring: (isOn) => this.setMeasuring(isOn),
      toggleXRay: () => this.setXRay(!this.xray.isOn),
      toggleCut: () => this.setCut("y", this.section.isOn ? null : { at: 0.6, isFlipped: false }),
    });
    this.#bottles = new Bottles(this.#library, mirror, this.rig.camera);
    this.#bottles.onLoad = () => this.invalidate();
    this.stage.renderer.localClippingEnabled = true;
    this.stage.scene.add(this.#chosen.outline.inEyes, this.#beacons.mesh, this.#bottles.group, this.#ghosts.group, this.section.group, this.measure.group);
    this.rig.onMove = () => this.#moved();
    this.rig.camera.position.set(-9, 9, 18);
    this.rig.orbit.target.set(0, 1, 0);
    this.#setTheme();
    theme.on(() => this.#setTheme());
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(canvas);
    canvas.addEventListener("webglcontextlost", () => this.#setLost(true));
    canvas.addEventListener("webglcontextrestored", () => {
      this.#setLost(false);
      this.stage.forget();
      this.#setTheme();
    });
    this.#resize();
  }

  // --- SceneApi ----------------------------------------------------------------------------

  get mode(): CameraMode {
    return this.rig.mode;
  }

  get labels(): boolean {
    return this.#labels.isOn;
  }

  focus(id: Id, options: { fast?: boolean } = {}): void {
    if (this.wearer !== null) {
      this.wearer.goTo(id);
      return;
    }
    if (this.#population === null) this.#focusDue = id;
    const box = this.#boundsBelow(id);
    if (box.isEmpty()) return;
    const around = box.clone().expandByScalar(Math.max(box.getSize(new Vector3()).length() * 0.12, 0.35));
    this.rig.frame(around, { fast: options.fast === true, margin: 1.35 });
  }

  home(options: { fast?: boolean } = {}): void {
    const bounds = this.#population?.bounds;
    if (bounds === undefined || bounds.isEmpty()) return;
    const size = bounds.getSize(new Vector3());
    const way = HOME_WAY.clone();
    // What is long is seen along its length where the window is narrow, and across where it is wide.
    const isTall = this.#canvas.clientWidth < this.#canvas.clientHeight * 0.8;
    if (isTall && size.x > size.z * 1.2) way.set(0.75, 0.78, 0.55);
    else if (!isTall && size.z > size.x * 1.2) way.set(-0.7, 0.6, 0.8);
    this.rig.frame(bounds, { fast: options.fast === true, from: way, margin: 0.96 });
  }

  brokenLook(id: Id): string {
    return this.#library.brokenBy(assetName(this.#mirror.geometryOf(id)));
  }

  onBroken(listener: (geometry: string, reason: string) => void): void {
    this.#library.onBroken = listener;
  }

  setMode(mode: CameraMode): void {
    const before = this.rig.mode;
    this.rig.setMode(mode);
    this.stage.setHaze(mode !== "map");
    const bounds = this.#population?.bounds;
    if (mode === "map" && before !== "map" && bounds !== undefined && !bounds.isEmpty()) this.rig.frame(bounds, { margin: 1.02 });
    this.onChange();
  }

  setLabels(on: boolean): void {
    this.#labels.isOn = on;
    this.#moved();
    this.onChange();
  }

  /** Cuts the scene open along an axis; null: no longer. */
  setCut(axis: Axis, cut: Cut | null): void {
    // One key ends all cuts.
    if (cut === null && axis === "y" && this.section.cut("y") === null) for (const each of AXES) this.section.set(each, null);
    else if (cut !== null && this.section.cut(axis) !== null) {
      // Materials know of it already: only the plane moves.
      this.section.set(axis, cut);
      this.stage.renderer.shadowMap.needsUpdate = true;
      this.#moved();
      this.onView();
      return;
    } else this.section.set(axis, cut);
    this.#applyView();
  }

  /** Moves a cut that there is, for as long as a hand moves it: nothing else is told. `setCut` ends it. */
  moveCut(axis: Axis, at: number): void {
    const cut = this.section.cut(axis);
    if (cut === null) return;
    this.section.set(axis, { ...cut, at });
    this.#moved();
  }

  setXRay(isOn: boolean): void {
    this.xray.isOn = isOn;
    this.#applyView();
  }

  setMeasuring(isOn: boolean): void {
    this.measure.set(isOn);
    this.invalidate();
    this.onView();
  }

  /** Cuts and shells are a matter of materials: those that are new have to be told. */
  #applyView(): void {
    const { renderer } = this.stage;
    for (const root of [this.#population?.group, this.#bottles.group]) {
      if (root === undefined) continue;
      this.section.apply(root);
      this.xray.apply(root);
    }
    this.xray.update();
    const hasSamples = renderer.getContextAttributes()?.antialias === true;
    if (this.xray.isOn) this.#states.uniforms["isXRay"]!.value = hasSamples ? 1 : 2;
    this.stage.hasOcclusion = !this.xray.isOn && !this.#states.isHeat;
    renderer.shadowMap.needsUpdate = true;
    this.#moved();
    this.onView();
  }

  highlight(ids: Iterable<Id>, kind: "related" | "result" = "result"): void {
    this.#chosen.highlight(ids, kind);
    this.invalidate();
  }

  onHeat(listener: (owner: string) => void): void {
    this.#heatListeners.add(listener);
  }

  setHeat(levels: Uint8Array | null, owner = "heat", colours: Uint8Array | null = null): void {
    if (levels !== null && owner !== this.#heatOwner) {
      this.#heatOwner = owner;
      for (const listener of this.#heatListeners) listener(owner);
    }
    this.#states.setHeat(levels, colours);
    this.stage.hasOcclusion = levels === null && !this.xray.isOn;
    this.#population?.areas.show(levels !== null);
    this.#pace.ask();
  }

  setBadges(badges: ReadonlyMap<number, Badge> | null): void {
    if (badges === this.#badges) return;
    this.#badges = badges;
    this.#labels.refresh();
    this.#moved();
  }

  showOther(twins: readonly OtherTwin[] | null, of: Of = "branch"): void {
    if (twins === null && this.#others.length === 0) return;
    this.#others = twins ?? [];
    this.#otherOf = of;
    this.#ghosts.setTheme(theme.mode, of);
    this.#notes = new Map(this.#others.filter(({ note }) => note !== "").map(({ ordinal, note }) => [ordinal, note]));
    this.#drawOther();
    this.#labels.refresh();
    this.#moved();
  }

  #drawOther(): void {
    if (this.#others.length === 0 || this.#population === null) this.#ghosts.clear();
    else this.#ghosts.set(ghostsOf(this.#others, this.#population, this.#library));
  }

  bodies(): Uint8Array {
    return this.#population?.bodies(this.#mirror.nOrdinals) ?? new Uint8Array(this.#mirror.nOrdinals);
  }

  onBuilt(listener: () => void): void {
    this.#builtListeners.add(listener);
  }

  screenshot(): Promise<Blob> {
    this.#draw();
    return new Promise((resolve, reject) =>
      this.#canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"),
    );
  }

  place(host: HTMLElement | null): void {
    // A canvas that moves within the document keeps what it has drawn and what it knows.
    (host ?? document.body).prepend(this.#canvas, this.#labelRoot, this.#cutHandles.host);
    this.#isPlaced = host !== null;
    this.#applyInsets();
    this.#moved();
  }

  rest(isResting: boolean): void {
    if (this.#isResting === isResting) return;
    this.#isResting = isResting;
    // The first picture is drawn all the same: the page is ready with it.
    this.#pace.rest(isResting && this.#population !== null);
    if (isResting) return;
    this.#takeValues(null);
    this.#bottles.reset();
    this.#moved();
  }

  camera(): CameraPlace {
    return { position: this.rig.camera.position.toArray(), target: this.rig.target().toArray() };
  }

  setCamera({ position, target }: CameraPlace, options: { mode?: CameraMode; isFlown?: boolean } = {}): void {
    if (this.wearer !== null) {
      this.wearer.show({ position, target });
      return;
    }
    this.#hasFramed = true;
    this.setMode(options.mode ?? "orbit");
    this.rig.goTo(new Vector3(...position), new Vector3(...target), options.isFlown !== true);
    this.invalidate();
  }

  addLayer(layer: SceneLayer): () => void {
    this.#layers.add(layer);
    this.stage.scene.add(layer.object);
    this.invalidate();
    return () => {
      this.#layers.delete(layer);
      layer.object.removeFromParent();
      this.invalidate();
    };
  }

  hit(ray: Ray): Hit {
    return this.#population?.hit(ray, this.section.range(ray)) ?? NO_HIT;
  }

  body(): Body {
    if (this.wearer !== null) return this.wearer.body();
    const { position, quaternion } = this.rig.camera;
    return { head: { position: position.toArray(), rotation: quaternion.toArray() }, left: null, right: null, pointer: null };
  }

  stats(): SceneStats {
    return {
      draw_calls: this.#drawCalls,
      triangles: this.#triangles,
      js_ms: this.#pace.jsMs,
      draw_ms: this.#pace.drawMs,
      build_ms: this.#buildMs,
      fps: this.stage.fps,
      instances: this.#population?.nInstances ?? 0,
      tags: this.#population?.tags.count ?? 0,
      pixel_ratio: this.stage.renderer.getPixelRatio(),
      quality: this.stage.rung.name,
      frames: this.#pace.nFrames,
    };
  }

  // --- what tests and the curious may ask -----------------------------------------------------

  /** Bottles that are drawn now, by segment of the line. */
  bottleCounts(): Record<string, number> {
    return this.#bottles.counts();
  }

  /** Where a twin stands. */
  boundsOf(id: Id): Box3 | undefined {
    return this.#population?.boundsOf(this.#mirror.ordinal(id));
  }

  /** What is drawn of a twin, without its parts. */
  shapesOf(id: Id): Shape[] {
    return this.#population?.shapes(this.#mirror.ordinal(id)) ?? [];
  }

  /** Where a twin is on the canvas, in CSS pixels; null: it is not there. */
  project(id: Id): { x: number; y: number } | null {
    const box = this.boundsOf(id);
    if (box === undefined) return null;
    return onCanvas(middleOf(box), this.#canvas, this.rig.camera);
  }

  /** The twin at a place of the window. */
  pickAt(clientX: number, clientY: number): Id | null {
    return this.#mirror.twinAt(this.#pickAt(clientX, clientY))?.id ?? null;
  }

  /** What the texture says of a point: before, now, quality, unused. */
  tagTexel(handle: number): number[] {
    return this.#tagTexture.texel(handle);
  }

  /** What the heat layer says of a twin: 0 nothing, else 1…255 of its range. */
  heatOf(id: Id): number {
    return this.#states.heat(this.#mirror.ordinal(id));
  }

  /** How many bodies of another world are drawn beside this one, and how many labels tell of it. */
  others(): { drawn: number; noted: number } {
    return { drawn: this.#ghosts.count, noted: this.#notes.size };
  }

  /** How a twin is shown; and how many beacons there are in all. */
  twinState(id: Id): { highlight: number; stale: number; alarm: number; dim: number; beacons: number } {
    const ordinal = this.#mirror.ordinal(id);
    return {
      highlight: this.#states.get(ordinal, Channel.Highlight),
      stale: this.#states.get(ordinal, Channel.Stale),
      alarm: this.#states.get(ordinal, Channel.Alarm),
      dim: this.#states.get(ordinal, Channel.Dim),
      beacons: this.#beacons.count,
    };
  }

  /**
   * Draws `n` frames of a turn around all there is, and says what each cost.
   *
   * @param isStereo for two eyes, as in a headset
   * @param near how far away, relative to where all is seen
   */
  trial(n: number, isStereo: boolean, near = 1): Trial {
    const { stage, rig } = this;
    const bounds = this.#population?.bounds ?? new Box3();
    const middle = middleOf(bounds);
    const away = Math.max(bounds.getSize(new Vector3()).length(), 10) * near;
    const place = rig.camera.position.clone();
    const found: Trial = { ms: [], draw_calls: 0, triangles: 0 };
    for (let i = 0; i < n; i++) {
      const angle = (i / n) * 2 * Math.PI;
      const start = performance.now();
      rig.camera.position.set(middle.x + Math.cos(angle) * away, middle.y + away * 0.4, middle.z + Math.sin(angle) * away);
      rig.camera.lookAt(middle);
      rig.camera.updateMatrixWorld();
      this.#advance(1 / 60, start);
      stage.renderer.info.reset();
      if (isStereo) {
        const eyes = twoEyes(rig.camera, stage.renderer);
        this.#choose(eyes);
        stage.renderer.render(stage.scene, eyes);
      } else {
        this.#draw();
        this.#labels.update(rig.camera, this.#canvas.clientWidth, this.#canvas.clientHeight, start, true);
      }
      found.ms.push(performance.now() - start);
      found.draw_calls = Math.max(found.draw_calls, stage.renderer.info.render.calls);
      found.triangles = Math.max(found.triangles, stage.renderer.info.render.triangles);
    }
    rig.camera.position.copy(place);
    this.#moved();
    return found;
  }

  /** Milliseconds that the last batch of values took. */
  valuesMs = 0;

  setInsets(left: number, right: number, top: number, bottom: number): void {
    this.#insets = [left, right, top, bottom];
    this.#applyInsets();
  }

  /** Panels cover nothing of a scene that has a place of its own. */
  #applyInsets(): void {
    const [left, right, top, bottom] = this.#isPlaced ? [0, 0, 0, 0] : this.#insets;
    this.rig.setInsets(left, right, top, bottom);
    this.#labels.setInsets(left, right, top, bottom);
    // A panel that opened for what was just selected must not hide it.
    if (performance.now() - this.#selectedMs < 1500) this.#reveal();
  }

  /** Where a twin stands; of one that has no place of its own, where its parts are. */
  #boundsBelow(id: Id, depth = 0): Box3 {
    const own = this.#population?.boundsOf(this.#mirror.ordinal(id));
    const box = own === undefined ? new Box3() : own.clone();
    if (own === undefined && depth < 8)
      for (const child of this.#mirror.children(id)) box.union(this.#boundsBelow(child, depth + 1));
    return box;
  }

  /** Draws the inside of what is selected, or of what one has come near to. */
  #detail(): void {
    const population = this.#population;
    if (population === null) return;
    const { selected } = this.#mirror;
    const eye = this.rig.camera.position;
    // From above one looks through a long lens: what counts is how large things are seen.
    const reach = this.rig.mode === "map" ? 5 : 0.9;
    let holder = selected === null ? -1 : population.holderOf(this.#mirror.ordinal(selected));
    const box = population.boundsOf(holder);
    const isFar = box !== undefined && box.distanceToPoint(eye) > box.getSize(new Vector3()).length() * (this.rig.mode === "map" ? 30 : 6);
    if (holder < 0 || isFar) holder = population.nearestHolder(eye, reach);
    if (!population.open(holder)) return;
    if (this.section.isOn || this.xray.isOn) this.#applyView();
    this.#labels.setAnchors(population.anchors);
    this.#takeSelection();
    this.stage.renderer.shadowMap.needsUpdate = true;
    for (const listener of this.#builtListeners) listener();
  }

  #reveal(): void {
    const { selected } = this.#mirror;
    if (selected === null || !this.#hasFramed || this.#pace.isDriven) return;
    const box = this.#population?.boundsOf(this.#mirror.ordinal(selected));
    if (box !== undefined) this.rig.reveal(box.getCenter(new Vector3()));
  }

  // --- following the mirror ------------------------------------------------------------------

  #listen(): void {
    const mirror = this.#mirror;
    mirror.on("structure", () => {
      this.#isRebuildDue = true;
      this.invalidate();
    });
    mirror.on("values", ({ handles }) => this.#takeValues(handles));
    mirror.on("events", () => this.#takeAlarms());
    mirror.on("selection", () => this.#takeSelection());
    mirror.on("hover", () => this.#takeHover());
    mirror.on("link", ({ state }) => this.#canvas.classList.toggle("lost", state !== "live"));
    mirror.on("time", (time) => {
      this.#canvas.classList.toggle("past", !time.live);
      this.#bottles.reset();
      this.invalidate();
    });
  }

  #rebuild(): void {
    const mirror = this.#mirror;
    this.#isRebuildDue = false;
    this.#points.forget();
    const before = this.#population;
    this.#states.reserve(mirror.nOrdinals);
    this.#tagTexture.reset(tagSource(this.#mirror));
    const population = new Population({
      mirror,
      library: this.#library,
      states: this.#states,
      tagTexture: this.#tagTexture,
      palette: this.stage.palette,
    });
    this.#population = population;
    before?.dispose();
    this.stage.scene.add(population.group);
    this.stage.setGround(population.hasGround);
    const middle = population.bounds.isEmpty() ? new Vector3() : population.bounds.getCenter(new Vector3());
    const radius = population.bounds.isEmpty() ? 12 : population.bounds.getSize(new Vector3()).length() / 2;
    this.stage.setExtent(middle, radius);
    this.section.setExtent(population.bounds);
    if (this.section.isOn || this.xray.isOn) this.#applyView();
    this.rig.setExtent(population.bounds.isEmpty() ? new Box3(new Vector3(-6, 0, -6), new Vector3(6, 3, 6)) : population.bounds);
    this.#labels.setAnchors(population.anchors);
    this.#bottles.setStructure(population.fleets);
    this.#fetch(population.missing);
    if (!this.#hasFramed && mirror.nTwins > 0) {
      if (population.missing.size === 0) this.#hasFramed = true;
      this.home({ fast: true });
    }
    if (this.#focusDue !== null) this.focus(this.#focusDue, { fast: true });
    this.#focusDue = null;
    this.#conditions.takeQualities(null);
    this.#takeAlarms();
    this.#takeSelection();
    this.#takeHover();
    this.#drawOther();
    this.#pace.rest(this.#isResting);
    this.stage.renderer.shadowMap.needsUpdate = true;
    for (const listener of this.#builtListeners) listener();
  }

  /** Loads assets, and builds anew when those that are here now are worth it. */
  #fetch(names: ReadonlySet<string>): void {
    let nLeft = names.size;
    let lastMs = performance.now();
    for (const name of names)
      void this.#library.load(name).then(() => {
        nLeft -= 1;
        const now = performance.now();
        if (nLeft > 0 && now - lastMs < REBUILD_MS) return;
        lastMs = now;
        this.#isRebuildDue = true;
        this.invalidate();
      });
  }

  #takeValues(handles: Uint32Array | null): void {
    if (this.#population === null || this.#isRebuildDue || this.#isResting) return;
    const start = performance.now();
    this.#tagTexture.update(tagSource(this.#mirror), handles, performance.now());
    this.#conditions.takeQualities(handles);
    this.#labels.refresh();
    // Where time stands still, counters do not move bottles: they are set where they were then.
    const { time } = this.#mirror;
    if (!time.live && time.speed === 0) this.#bottles.reset();
    this.valuesMs = performance.now() - start;
    this.#pace.tookValues(this.valuesMs);
    this.#pace.ask();
  }

  #takeAlarms(): void {
    const population = this.#population;
    this.#beacons.set(this.#conditions.takeAlarms((ordinal) => population?.boundsOf(ordinal)));
    this.#labels.refresh();
    this.#moved();
  }

  #takeSelection(): void {
    this.#chosen.takeSelection(this.#population, this.stage.palette);
    if (this.xray.isOn) this.xray.update();
    this.#selectedMs = performance.now();
    this.#hasMoved = true;
    this.#reveal();
    this.#takeHover();
  }

  #takeHover(): void {
    const { selected, hovered } = this.#chosen;
    this.#chosen.takeHover(this.#population);
    this.#labels.setFocus(selected, hovered);
    this.#canvas.classList.toggle("over-twin", hovered >= 0);
    this.invalidate();
  }

  /** The graphics processor has forgotten everything; all else goes on, and it is said. */
  #setLost(isLost: boolean): void {
    this.isLost = isLost;
    this.#lostNote.textContent = isLost ? t("The 3D picture is lost; it comes back as soon as the browser can draw again") : "";
    if (isLost) this.#labelRoot.append(this.#lostNote);
    else this.#lostNote.remove();
    if (!isLost) this.#moved();
  }

  #setTheme(): void {
    this.stage.setTheme(theme.mode);
    const { palette } = this.stage;
    const uniforms = this.#states.uniforms;
    uniforms["highlightColor"]!.value.copy(palette.related);
    uniforms["staleColor"]!.value.copy(palette.uncertain);
    uniforms["badColor"]!.value.copy(palette.bad);
    uniforms["shellColor"]!.value.copy(palette.shell);
    uniforms["cutColor"]!.value.copy(palette.cut);
    this.section.setColor(palette.accent);
    this.measure.setColor(palette.accent);
    palette.alarm.forEach((color, i) => uniforms["alarmColors"]!.value[i].copy(color));
    this.#chosen.setTheme(palette);
    this.#ghosts.setTheme(theme.mode, this.#otherOf);
    this.#beacons.setTheme(theme.mode, palette.alarm);
    if (this.#population !== null) this.#isRebuildDue = true; // Plates take their colours when built.
    this.invalidate();
  }

  // --- texts of labels -----------------------------------------------------------------------

  #nameOf(ordinal: number): string {
    const twin = this.#mirror.twinAt(ordinal);
    return twin === undefined ? "" : this.#mirror.nameOf(twin.id);
  }

  #alarmOf(ordinal: number): number {
    const twin = this.#mirror.twinAt(ordinal);
    return twin === undefined ? -1 : this.#mirror.alarmOf(twin.id);
  }

  #pickAt(clientX: number, clientY: number): number {
    if (this.#population === null) return -1;
    return this.hit(rayAt(this.#canvas, this.rig.camera, clientX, clientY)).ordinal;
  }

  /** What is at a place of the window, for measuring: a twin's surface, else the floor. */
  #placeAt(clientX: number, clientY: number): { place: Vector3; box: Box3 | null } | null {
    const ray = rayAt(this.#canvas, this.rig.camera, clientX, clientY);
    const { ordinal, distance_m } = this.hit(ray);
    if (ordinal >= 0) return { place: ray.at(distance_m, new Vector3()), box: this.#population?.boundsOf(ordinal) ?? null };
    const place = ray.intersectPlane(FLOOR, new Vector3());
    return place === null ? null : { place, box: null };
  }

  // --- frames --------------------------------------------------------------------------------

  /** Asks for a picture. */
  invalidate(): void {
    this.#pace.invalidate();
  }

  #moved(): void {
    this.#hasMoved = true;
    this.invalidate();
  }

  /** While true a headset calls `frame` for every picture, and says where the eyes are. */
  drive(isDriven: boolean): void {
    this.#pace.drive(isDriven);
    this.#moved();
  }

  /** One picture, if one is due: what moves moves on, and everything is drawn. */
  frame(nowMs: number): void {
    const due = this.#pace.begin(nowMs);
    if (due === null) return;
    const { dt_s, frameMs } = due;
    const start = performance.now();
    if (frameMs !== null) this.stage.measure(frameMs);
    // A source that declares its twins one by one must not keep the page busy with building.
    const isBuilding = this.#isRebuildDue && nowMs - this.#builtMs > Math.max(80, this.#buildMs * 6);
    if (isBuilding) {
      const buildStart = performance.now();
      this.#rebuild();
      this.#buildMs = performance.now() - buildStart;
      this.#builtMs = nowMs;
    }
    const isFlying = !this.#pace.isDriven && this.rig.update(dt_s, nowMs);
    if (this.#hasMoved && !isFlying) this.#detail();
    this.#hands.hoverPointer();
    const isMoving = this.#advance(dt_s, nowMs);
    const drawStart = performance.now();
    this.#draw();
    const drawMs = performance.now() - drawStart;
    const wantsLabels = !this.#pace.isDriven && this.#placeLabels(nowMs);
    this.#hasMoved = false;
    this.#pace.end(performance.now() - start - drawMs, drawMs, !isBuilding);
    if (isFlying) this.invalidate();
    else if (isMoving || wantsLabels || this.#isRebuildDue) this.#pace.ask();
    if (document.documentElement.dataset["ready"] !== "true") this.#reportReady();
  }

  #placeLabels(nowMs: number): boolean {
    const { clientWidth, clientHeight } = this.#canvas;
    if (this.measure.isOn) this.measure.place();
    if (this.#hasMoved) this.#cutHandles.update();
    return this.#labels.update(this.rig.camera, clientWidth, clientHeight, nowMs, this.#hasMoved);
  }

  #reportReady(): void {
    if (this.#population !== null) document.documentElement.dataset["ready"] = "true";
  }

  /** Lets what lives move on; true while something does. */
  #advance(dt_s: number, nowMs: number): boolean {
    const population = this.#population;
    if (population === null) return false;
    const isStill = this.#isStill.matches;
    const time_s = isStill ? 0.35 : (nowMs / 1000) % 3600;
    let moves = this.#tagTexture.tick(nowMs);
    const mirror = this.#mirror;
    const runs = (mirror.time.live && mirror.link.state === "live") || (!mirror.time.live && mirror.time.speed > 0);
    const pace = mirror.time.live ? 1 : Math.min(mirror.time.speed, 20);
    if (runs && !isStill) {
      let machines = false;
      const read = (ordinal: number, point: string): number => this.#points.read(ordinal, point);
      const isStale = (ordinal: number): boolean => this.#states.get(ordinal, Channel.Stale) > 0;
      for (const fleet of population.fleets)
        if (fleet.isMoving && fleet.update(read, dt_s * pace, isStale)) {
          machines = true;
          this.#follow(fleet);
        }
      machines = this.#bottles.update(dt_s * pace) || machines;
      if (machines && this.#pace.nFrames % this.stage.rung.shadowEvery === 0) this.stage.renderer.shadowMap.needsUpdate = true;
      moves = machines || moves;
      if (population.pipes.count > 0) {
        population.pipes.setTime(time_s);
        moves = true;
      }
    } else if (Number(this.#putAll()) + Number(this.#bottles.settle()) > 0) this.stage.renderer.shadowMap.needsUpdate = true;
    moves = (this.#chosen.update(time_s) && !isStill) || moves;
    if (this.#beacons.count > 0) {
      this.#beacons.setTime(isStill ? 0.6 : time_s);
      moves = !isStill || moves;
    }
    for (const layer of this.#layers)
      if (layer.update?.(dt_s, nowMs, this.stage.camera) === true) {
        this.#pace.want();
        moves = true;
      }
    this.#states.uniforms["pulse"]!.value = isStill ? 0.8 : 0.5 + 0.5 * Math.sin(time_s * 2 * Math.PI);
    return moves;
  }

  #draw(): void {
    const { stage } = this;
    stage.renderer.info.reset();
    stage.follow();
    const distance = this.rig.mode === "walk" ? 14 : this.rig.camera.position.distanceTo(this.rig.orbit.target);
    const middle = this.rig.mode === "walk" ? this.rig.camera.position : this.rig.orbit.target;
    stage.fitShadow(middle, Math.min(distance * 0.95, this.#reach() * 1.1));
    this.#choose(stage.renderer.xr.isPresenting ? stage.renderer.xr.getCamera() : stage.camera);
    const { outline } = this.#chosen;
    const { renderer } = stage;
    if (renderer.xr.isPresenting) renderer.xr.updateCamera(stage.eyes);
    outline.prepareEyes(renderer, renderer.xr.isPresenting ? renderer.xr.getCamera() : null);
    stage.draw(distance);
    if (!renderer.xr.isPresenting) outline.render(renderer, stage.camera);
    this.#drawCalls = stage.renderer.info.render.calls;
    this.#triangles = stage.renderer.info.render.triangles;
  }

  /** What of the crowds is drawn, and how finely, as a camera sees them. */
  #choose(camera: Camera): void {
    if (this.#population === null) return;
    if (camera === this.stage.camera) camera.updateMatrixWorld();
    this.#view.set(camera, this.stage.renderer.domElement.height);
    const isOther = chooseAll(this.#population.crowds, this.#view, this.stage.rung.detail);
    // What came into view has a shadow too; while one moves it may be late.
    if (isOther && this.#pace.nFrames % this.stage.rung.shadowEvery === 0) this.stage.renderer.shadowMap.needsUpdate = true;
  }

  /** Where time stands still, or nothing is to move, all is as it then was. */
  #putAll(): boolean {
    let moved = false;
    for (const fleet of this.#population?.fleets ?? [])
      if (fleet.isMoving && fleet.put((ordinal, point) => this.#points.read(ordinal, point))) {
        moved = true;
        this.#follow(fleet);
      }
    return moved;
  }

  /** Vehicles have gone on: what is shown of them goes along. */
  #follow(fleet: Fleet): void {
    if (fleet.gone.size === 0) return;
    const { selected } = this.#chosen;
    const isSelected = [...fleet.gone].some((i) => fleet.members[i]!.ordinal === selected);
    this.#population?.follow(fleet);
    this.#hasMoved = true;
    if (isSelected) this.#chosen.takeSelection(this.#population, this.stage.palette);
  }

  #reach(): number {
    const bounds = this.#population?.bounds;
    return bounds === undefined || bounds.isEmpty() ? 12 : bounds.getSize(new Vector3()).length() / 2 + 2;
  }

  #resize(): void {
    if (this.stage.resize()) this.rig.applyInsets();
    this.#moved();
  }
}
