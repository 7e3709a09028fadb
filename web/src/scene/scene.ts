/**
 * The scene: joins stage, camera, population, labels and outline, and keeps them up to the mirror.
 *
 * It draws when something has changed or moves, and rests otherwise. What moves of itself is known to
 * `Motion`, how one looks into things to `ViewSwitches`: here they are only asked at the right moment.
 */

import { Box3, Vector3 } from "three";
import type { Camera, Ray } from "three";
import type { Id, Mirror } from "../mirror.ts";
import { theme } from "../style/theme.ts";
import { t } from "../words.ts";
import type { Badge, CameraMode, CameraPlace, SceneApi, SceneStats, Wearer } from "./api.ts";
import { AssetLibrary, assetUrl } from "./asset_library.ts";
import { Beacons } from "./beacons.ts";
import { Beside } from "./beside.ts";
import { Bottles } from "./bottles.ts";
import { CameraRig } from "./camera.ts";
import { middleOf, onCanvas, rayAt } from "./canvas_places.ts";
import { Chosen } from "./chosen.ts";
import { Conditions } from "./conditions.ts";
import { chooseAll, View } from "./crowd.ts";
import type { Fleet } from "./fleet.ts";
import { FramePace } from "./frame_pace.ts";
import type { Of } from "./ghosts.ts";
import { Hands } from "./hands.ts";
import { keyValues } from "./key_values.ts";
import { Labels } from "./labels.ts";
import { NO_HIT } from "./layers.ts";
import type { Body, Hit, SceneLayer } from "./layers.ts";
import { assetName } from "./look.ts";
import { Motion } from "./motion.ts";
import type { OtherTwin } from "./other.ts";
import { tagSource } from "./point_reader.ts";
import { Population } from "./population.ts";
import { isAsked, storedQuality } from "./quality.ts";
import type { Shape } from "./outline.ts";
import { Stage } from "./stage.ts";
import { TagTexture } from "./tags.ts";
import { goRound } from "./trial.ts";
import type { Trial } from "./trial.ts";
import { Channel, TwinStates } from "./twin_state.ts";
import { ViewSwitches } from "./view_switches.ts";

/** While assets come in one by one, the scene is not built anew more often than this. */
const REBUILD_MS = 700;

export class WorldScene implements SceneApi {
  readonly stage: Stage;
  readonly rig: CameraRig;
  readonly #mirror: Mirror;
  readonly #canvas: HTMLCanvasElement;
  readonly switches: ViewSwitches;
  /** Called when cuts, measuring, x-ray or quality change. */
  onView: () => void = () => {};
  readonly #library = new AssetLibrary(assetUrl, (extension) => this.stage.renderer.extensions.has(extension));
  readonly #states = new TwinStates();
  readonly #conditions: Conditions;
  readonly #hands: Hands;
  readonly #tagTexture = new TagTexture();
  readonly #labels: Labels;
  readonly #chosen: Chosen;
  readonly #beacons = new Beacons();
  readonly #beside = new Beside(this.#library);
  readonly #view = new View();
  readonly #heatListeners = new Set<(owner: string) => void>();
  #heatOwner = "";
  #badges: ReadonlyMap<number, Badge> | null = null;
  readonly #bottles: Bottles;
  readonly #isStill = window.matchMedia("(prefers-reduced-motion: reduce)");
  #population: Population | null = null;
  readonly #pace: FramePace;
  readonly #motion: Motion;
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
      note: (ordinal) => this.#beside.note(ordinal) ?? this.#badges?.get(ordinal)?.text ?? "",
      noteColour: (ordinal) => (this.#beside.note(ordinal) === undefined ? this.#badges?.get(ordinal)?.colour ?? "" : ""),
    });
    this.stage.onQuality = () => {
      this.#labels.max = this.stage.rung.labels;
      this.#moved();
      this.onView();
    };
    this.switches = new ViewSwitches({
      canvas,
      labels,
      mirror,
      states: this.#states,
      stage: this.stage,
      rig: this.rig,
      insets: () => this.#covered(),
      roots: () => (this.#population === null ? [this.#bottles.group] : [this.#population.group, this.#bottles.group]),
      hit: (ray) => this.hit(ray),
      boundsOf: (ordinal) => this.#population?.boundsOf(ordinal),
      wake: () => this.invalidate(),
      moved: () => this.#moved(),
      changed: () => this.onView(),
    });
    this.#conditions = new Conditions(mirror, this.#states);
    this.#hands = new Hands(canvas, mirror, this, {
      pick: (x, y) => this.#pickAt(x, y),
      wake: () => this.invalidate(),
      switches: this.switches,
    });
    this.#bottles = new Bottles(this.#library, mirror, this.rig.camera);
    this.#bottles.onLoad = () => this.invalidate();
    this.#motion = new Motion(mirror, this.#states, this.#bottles, (fleet) => this.#follow(fleet));
    this.stage.scene.add(this.#chosen.outline.inEyes, this.#beacons.mesh, this.#bottles.group, this.#beside.group);
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
    const box = this.#population?.boundsBelow(id) ?? new Box3();
    if (box.isEmpty()) return;
    const around = box.clone().expandByScalar(Math.max(box.getSize(new Vector3()).length() * 0.12, 0.35));
    this.rig.frame(around, { fast: options.fast === true, margin: 1.35 });
  }

  home(options: { fast?: boolean } = {}): void {
    const bounds = this.#population?.bounds;
    if (bounds === undefined || bounds.isEmpty()) return;
    this.rig.home(bounds, options.fast === true);
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
    this.switches.shade();
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
    if (twins === null && this.#beside.isEmpty) return;
    this.#beside.show(twins ?? [], of, theme.mode);
    this.#beside.draw(this.#population);
    this.#labels.refresh();
    this.#moved();
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
    (host ?? document.body).prepend(this.#canvas, this.#labelRoot, this.switches.host);
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
    return this.#population?.hit(ray, this.switches.section.range(ray)) ?? NO_HIT;
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
    return this.#beside.counts;
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

  /** What frames of a turn around all there is cost: see `goRound`. */
  trial(n: number, isStereo: boolean, near = 1): Trial {
    const tried = {
      stage: this.stage,
      rig: this.rig,
      bounds: this.#population?.bounds ?? new Box3(),
      advance: (dt_s: number, nowMs: number): void => void this.#advance(dt_s, nowMs),
      choose: (camera: Camera): void => this.#choose(camera),
      draw: (nowMs: number): void => {
        this.#draw();
        this.#labels.update(this.rig.camera, this.#canvas.clientWidth, this.#canvas.clientHeight, nowMs, true);
      },
    };
    const found = goRound(tried, n, isStereo, near);
    this.#moved();
    return found;
  }

  /** Milliseconds that the last batch of values took. */
  valuesMs = 0;

  setInsets(left: number, right: number, top: number, bottom: number): void {
    this.#insets = [left, right, top, bottom];
    this.#applyInsets();
  }

  /** What panels cover: nothing of a scene that has a place of its own. */
  #covered(): readonly [number, number, number, number] {
    return this.#isPlaced ? [0, 0, 0, 0] : this.#insets;
  }

  #applyInsets(): void {
    const [left, right, top, bottom] = this.#covered();
    this.rig.setInsets(left, right, top, bottom);
    this.#labels.setInsets(left, right, top, bottom);
    // A panel that opened for what was just selected must not hide it.
    if (performance.now() - this.#selectedMs < 1500) this.#reveal();
  }

  /** Draws the inside of what is selected, or of what one has come near to. */
  #detail(): void {
    const population = this.#population;
    if (population === null) return;
    const { selected } = this.#mirror;
    const ordinal = selected === null ? -1 : this.#mirror.ordinal(selected);
    const holder = population.holderSeen(ordinal, this.rig.camera.position, this.rig.mode === "map");
    if (!population.open(holder)) return;
    this.switches.renew();
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
    mirror.on("structure", () => this.#askRebuild());
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
    this.#motion.forget();
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
    this.switches.section.setExtent(population.bounds);
    this.switches.renew();
    this.rig.setExtent(population.bounds.isEmpty() ? new Box3(new Vector3(-6, 0, -6), new Vector3(6, 3, 6)) : population.bounds);
    this.#labels.setAnchors(population.anchors);
    this.#bottles.setStructure(population.fleets);
    this.#library.loadAll(population.missing, REBUILD_MS, () => this.#askRebuild());
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
    this.#beside.draw(population);
    this.#pace.rest(this.#isResting);
    this.stage.renderer.shadowMap.needsUpdate = true;
    for (const listener of this.#builtListeners) listener();
  }

  #askRebuild(): void {
    this.#isRebuildDue = true;
    this.invalidate();
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
    this.switches.takeSelection();
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
    this.#states.setTheme(palette);
    this.switches.setTheme(palette);
    this.#chosen.setTheme(palette);
    this.#beside.setTheme(theme.mode);
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
    this.switches.place(this.#hasMoved);
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
    const { hasMoved, goesOn } = this.#motion.update(population, dt_s, time_s, isStill);
    moves = goesOn || moves;
    // Shadows of what goes on moving may be late.
    if (hasMoved && (!goesOn || this.#pace.nFrames % this.stage.rung.shadowEvery === 0)) this.stage.renderer.shadowMap.needsUpdate = true;
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

  /** Vehicles have gone on: what is shown of them goes along. */
  #follow(fleet: Fleet): void {
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
