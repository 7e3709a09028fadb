/**
 * One visit in a headset, from the moment the session is there until it ends.
 *
 * The headset asks for every picture; the scene, the mirror and what hangs in the room are brought up
 * to date for it. When it ends the page is as it was.
 */

import { Vector3 } from "three";
import type { Authoring } from "../authoring/index.ts";
import type { HeatPanel } from "../heat/panel.ts";
import type { Id, Mirror } from "../mirror.ts";
import type { Body, Pose } from "../scene/layers.ts";
import type { WorldScene } from "../scene/scene.ts";
import type { Tours } from "../tours/index.ts";
import { t } from "../words.ts";
import { Arc } from "./arc.ts";
import { comfort, onComfort } from "./comfort.ts";
import type { Company } from "./company.ts";
import { Cutting } from "./cutting.ts";
import { Desk } from "./desk.ts";
import { Glove } from "./gloves.ts";
import { Guide } from "./guide.ts";
import { Input } from "./input.ts";
import type { Hand } from "./input.ts";
import { Inspect } from "./inspect.ts";
import { Menu } from "./menu.ts";
import { Names } from "./names.ts";
import { Notes } from "./notes.ts";
import { Moving } from "./moving.ts";
import { Placing } from "./place.ts";
import { Pointing } from "./pointing.ts";
import { Rig } from "./rig.ts";
import { Standing } from "./standing.ts";
import { Table } from "./table.ts";
import { Trend } from "./trend.ts";
import { Typing } from "./typing.ts";
import { Veil } from "./veil.ts";

export type Mode = "immersive-vr" | "immersive-ar";

export interface Means {
  mirror: Mirror;
  scene: WorldScene;
  heat: HeatPanel | null;
  company: Company | null;
  tours: Tours | null;
  authoring: Authoring | null;
}

const RATES = { calm: 72, fast: 120 } as const;
const FOVEATION = 0.7;

export class Visit {
  readonly mode: Mode;
  readonly session: XRSession;
  readonly mirror: Mirror;
  readonly scene: WorldScene;
  readonly rig = new Rig();
  readonly input: Input;
  readonly veil = new Veil();
  readonly arc = new Arc();
  readonly table: Table;
  readonly moving: Moving;
  readonly standing: Standing;
  readonly menu: Menu;
  readonly trend: Trend;
  readonly cutting: Cutting;
  readonly typing: Typing;
  readonly notes: Notes;
  readonly desk: Desk;
  readonly pointing: Pointing;
  /** Where the plant is set down in a real room; null: in VR there is none. */
  readonly placing: Placing | null;
  /** Pictures drawn in this visit; and milliseconds of each that this room took, beside the scene's: a running mean. */
  nFrames = 0;
  jsMs = 0;
  onEnd: () => void = () => {};
  readonly #gloves = [new Glove(), new Glove()] as const;
  readonly names: Names;
  readonly #due: (() => void)[] = [];
  readonly #before: { place: ReturnType<WorldScene["camera"]>; beforePicture: Mirror["beforePicture"]; fov: number };
  readonly #offs: (() => void)[] = [];
  readonly #hasFloor: boolean;
  readonly #company: Company | null;
  #lastMs = 0;
  #isIn = false;
  #isOver = false;
  #troubles = 0;
  readonly #body: Body;
  readonly #poses: readonly [Pose, Pose];
  readonly #pointer = { from: [0, 0, 0] as [number, number, number], to: [0, 0, 0] as [number, number, number] };
  readonly #chosenAt = new Vector3();
  /** Where on it the twin that is chosen was pointed at; null: it was chosen from a list. */
  #touched: { id: Id; place: Vector3 } | null = null;
  #hasChosen = false;
  readonly #at = new Vector3();
  readonly #scratch = new Vector3();

  constructor(mode: Mode, session: XRSession, { mirror, scene, heat, company, tours, authoring }: Means) {
    this.mode = mode;
    this.session = session;
    this.mirror = mirror;
    this.scene = scene;
    this.#company = company;
    this.input = new Input(session);
    this.names = new Names(mirror, scene);
    this.table = new Table(this.rig);
    this.moving = new Moving(this.rig, this.veil, this.arc, this.table, (ray) => scene.hit(ray));
    this.moving.onStand = () => {
      // Who stands in the plant has its floor and sky round them again; a real room is its own.
      if (mode === "immersive-vr") scene.stage.setSurroundings(true, true);
      this.#see();
      this.desk.reseat(this.#hasChosen ? this.#chosenAt : null);
    };
    this.standing = new Standing(this.rig, this.moving, mirror, scene, mode === "immersive-ar", (words) => this.desk.tell(words));
    this.standing.onOwnWay = this.moving.onOwnMove = () => company?.letGo();
    this.trend = new Trend(mirror);
    this.typing = new Typing(mirror, { goTo: (id) => this.goTo(id), close: () => this.typing.close() });
    this.notes = new Notes(authoring, mirror, scene);
    this.notes.onRefused = (words) => this.desk.tell(words);
    const inspect = new Inspect(mirror, this.notes, {
      goTo: (id) => this.goTo(id),
      close: () => this.desk.closeInspect(),
      writeNote: (id) => this.#writeNote(id),
      tell: (words) => this.desk.tell(words),
    });
    inspect.onPoint = (handle) => this.trend.choose(handle);
    this.placing = mode === "immersive-ar" ? new Placing(session, this.rig) : null;
    const { placing } = this;
    this.cutting = new Cutting(scene.switches, this.rig);
    const guide = new Guide(tours);
    this.menu = new Menu(mirror, scene, { heat, trend: this.trend, company, guide, cutting: this.cutting }, {
      select: (id) => this.choose(id),
      goTo: (id) => this.goTo(id),
      home: () => this.standing.home(),
      toggleTable: () => this.toggleTable(),
      isOnTable: () => !this.rig.isLifeSize,
      replace: placing === null ? null : () => placing.open(),
      leave: () => void this.leave(),
      search: () => this.typing.search(),
      tell: (words) => this.desk.tell(words),
    });
    this.desk = new Desk(this.rig, mirror, this.menu, inspect, guide, this.typing);
    this.pointing = new Pointing(this.rig, scene, mirror, this.desk.slates, {
      choose: (id, place) => (this.placing?.isOpen ? this.#setDown() : this.#point(id, place)),
      holds: (hand) => void (this.placing?.isOpen || this.moving.holds(hand)),
      letsGo: (hand) => (this.placing?.isOpen ? this.#setDown() : this.moving.letsGo(hand)),
      takes: (slate) => this.desk.loosen(slate),
    });
    const pose = (): Pose => ({ position: [0, 0, 0], rotation: [0, 0, 0, 1] });
    this.#body = { head: pose(), left: null, right: null, pointer: null };
    this.#poses = [pose(), pose()];
    this.#hasFloor = session.enabledFeatures?.includes("local-floor") ?? true;
    this.#before = { place: scene.camera(), beforePicture: mirror.beforePicture, fov: scene.stage.camera.fov };
    this.rig.eyes.add(this.veil.mesh);
    this.rig.room.add(this.desk.object, this.table.floor, ...this.#gloves.map((glove) => glove.object));
    if (placing !== null) this.rig.room.add(placing.ring);
  }

  /** Hands the renderer over to the headset. Rejects where it will not have it. */
  async start(): Promise<void> {
    const { scene, session, mirror } = this;
    const { stage } = scene;
    const { xr } = stage.renderer;
    xr.enabled = true;
    xr.setReferenceSpaceType(this.#hasFloor ? "local-floor" : "local");
    xr.setFoveation(FOVEATION);
    // Not by the renderer's own loop: that one would go on in the page after the visit.
    xr.setAnimationLoop((nowMs: number, frame?: XRFrame) => frame !== undefined && this.#frame(nowMs, frame));
    session.addEventListener("end", () => this.#end(), { once: true });
    stage.scene.add(this.rig.room, this.arc.object, this.table.tray, this.names.mesh);
    stage.eyes = this.rig.eyes;
    stage.camera.clearViewOffset();
    if (this.mode === "immersive-ar") stage.setSurroundings(false, false);
    scene.rig.orbit.enabled = false;
    scene.drive(true);
    scene.wearer = {
      body: () => this.body(),
      show: (place) => this.standing.show(place),
      goTo: (id) => this.standing.goTo(id),
      join: (body) => this.standing.join(body),
    };
    mirror.beforePicture = (act) => void this.#due.push(act);
    this.#offs.push(
      onComfort(() => this.#applyComfort()),
      mirror.on("selection", ({ id }) => this.#takeChosen(id)),
      mirror.on("structure", () => this.#measure()),
      this.#company?.onTold((words) => this.desk.tell(words)) ?? (() => {}),
    );
    this.#measure();
    try {
      await xr.setSession(session);
    } catch (error) {
      this.#end();
      throw error;
    }
    this.#askRate();
  }

  /** Takes the headset off, as it were. */
  async leave(): Promise<void> {
    await this.session.end().catch(() => {}); // It is over already.
  }

  #askRate(): void {
    const rates = [...(this.session.supportedFrameRates ?? [])].sort((a, b) => a - b);
    if (rates.length === 0) return;
    const wanted = RATES[comfort().rate];
    const rate = rates.filter((each) => each <= wanted).at(-1) ?? rates[0]!;
    // A headset that is too warm refuses; it then keeps its own pace.
    void this.session.updateTargetFrameRate?.(rate)?.catch(() => {});
  }

  #applyComfort(): void {
    this.rig.setSeat(comfort().isSeated, this.#hasFloor);
    this.#askRate();
  }

  #measure(): void {
    const { mirror, scene } = this;
    this.table.setWorld([...mirror.twins.keys()].map((id) => scene.boundsOf(id)));
    this.#takeBox();
  }

  // --- every picture -----------------------------------------------------------------------------

  #frame(nowMs: number, frame: XRFrame): void {
    const { scene } = this;
    const space = scene.stage.renderer.xr.getReferenceSpace();
    if (space === null) return;
    const start = performance.now();
    const dt_s = this.#lastMs === 0 ? 0 : Math.min((nowMs - this.#lastMs) / 1000, 0.1);
    this.#lastMs = nowMs;
    try {
      const viewer = frame.getViewerPose(space);
      if (viewer != null) this.#live(dt_s, nowMs, frame, space, viewer.transform.matrix);
    } catch (error) {
      // A hand that fails must not make the world stand still before somebody's eyes.
      if (this.#troubles++ < 5) console.error("headset", error);
    }
    for (const act of this.#due.splice(0)) act();
    this.jsMs += (performance.now() - start - this.jsMs) * 0.1;
    scene.frame(nowMs);
    this.nFrames += 1;
  }

  #live(dt_s: number, nowMs: number, frame: XRFrame, space: XRReferenceSpace, head: Float32Array): void {
    const { rig, input, pointing, desk } = this;
    rig.takeHead(head);
    this.#see();
    if (!this.#isIn) this.#arrive();
    input.update(frame, space);
    const now = comfort();
    const pointer = input.hand(now.pointing);
    const other = input.hand(now.pointing === "left" ? "right" : "left");
    // A menu of the headset's own is in front: hands belong to it.
    const isMine = this.session.visibilityState !== "visible-blurred";
    if (isMine) {
      this.placing?.update(frame, space, pointer);
      pointing.update(input.both, pointer, nowMs);
      this.#grip(nowMs);
      this.cutting.update(dt_s, input.both.filter((hand) => pointing.aim(hand).carried === null), pointer);
      const isBusy = this.veil.isBlinking || this.placing?.isOpen === true || this.cutting.isInHand;
      this.moving.update(dt_s, input.both, now, (hand) => this.#pointed(hand), isBusy);
      if (input.left.hasJustMenu || input.right.hasJustMenu) desk.toggleMenu();
      const wasPressed = input.both.some((hand) => hand.hasJustPressed || hand.hasJustReleased);
      desk.update(nowMs, other, wasPressed, this.#pointedAt(), this.#hasChosen ? this.#chosenAt : null);
    }
    this.#gloves.forEach((glove, i) => pointing.draw(glove, input.both[i]!, isMine));
    this.veil.update(dt_s, this.moving.isMoved && now.hasVignette);
    this.names.update(rig.head, now.hasNames);
  }

  /** The eyes as the headset holds them, and the page's camera with them. */
  #see(): void {
    const { stage } = this.scene;
    this.rig.setReach(stage.camera.far);
    stage.renderer.xr.updateCamera(this.rig.eyes);
    this.rig.carry(stage.camera);
    // Shadows are fitted round who stands there, not round what a mouse last turned about.
    const { target } = this.scene.rig.orbit;
    target.copy(this.rig.head);
    target.y -= 12 * this.rig.scale;
  }

  #grip(nowMs: number): void {
    for (const hand of this.input.both) {
      const { carried } = this.pointing.aim(hand);
      const isHeld = hand.isPressed && this.pointing.isLong(hand, nowMs);
      if (carried === null && !this.cutting.isInHand && (hand.isSqueezed || isHeld)) this.moving.gripping.add(hand);
      else this.moving.gripping.delete(hand);
    }
    if (this.table.isHeld) this.placing?.release();
  }

  readonly #pointedNow = { ray: null as never, distance_m: 0, isOnTwin: false };

  #pointed(hand: Hand): { ray: Pointing["left"]["ray"]; distance_m: number; isOnTwin: boolean } {
    const aim = this.pointing.aim(hand);
    return Object.assign(this.#pointedNow, { ray: aim.ray, distance_m: aim.distance_m, isOnTwin: aim.twin !== null });
  }

  /** Where something is pointed at, in the room; null: nothing is. */
  #pointedAt(): Vector3 | null {
    const { active } = this.pointing;
    if (active === null) return null;
    const { twin, distance_m } = this.pointing.aim(active);
    if (twin === null) return null;
    return this.#at.copy(active.from).addScaledVector(active.way, distance_m / this.rig.scale);
  }

  // --- where one is ------------------------------------------------------------------------------

  #arrive(): void {
    this.#isIn = true;
    this.rig.setSeat(comfort().isSeated, this.#hasFloor);
    if (this.placing !== null) {
      this.placing.open();
      this.desk.tell(t("Point at the floor or a table and press the trigger: the plant is set down there."));
    } else {
      const { place, yaw } = this.standing.entry();
      this.rig.standAt(place);
      this.#see();
      this.rig.face(yaw);
    }
    this.#see();
    this.#takeChosen(this.mirror.selected);
  }

  /** Stands before a twin, at life size. */
  goTo(id: Id): void {
    this.standing.goTo(id);
  }

  /** The plant as a model before one, and back. */
  toggleTable(): void {
    const { placing } = this;
    if (placing !== null) {
      if (placing.isOpen) return;
      this.veil.blink(() => (this.rig.isLifeSize ? this.table.layAt(placing.at, false) : this.table.standAt(placing.at)));
    } else if (this.rig.isLifeSize) {
      this.veil.blink(() => {
        this.scene.stage.setSurroundings(true, false);
        this.table.layBefore(true);
      });
    } else this.standing.home();
  }

  /** In a real room: here it is. */
  #setDown(): void {
    const { placing } = this;
    if (placing === null || !placing.hasPlace) return;
    // Turned as the page showed it.
    const { position, target } = this.#before.place;
    this.rig.face(Math.atan2(position[0] - target[0], position[2] - target[2]));
    this.table.layAt(placing.at, false);
    placing.close();
    this.#see();
  }

  // --- what is chosen ----------------------------------------------------------------------------

  choose(id: Id | null): void {
    const isSame = id !== null && id === this.mirror.selected;
    this.mirror.select(id);
    if (isSame) this.#takeChosen(id); // Chosen again: its panel comes back.
  }

  #point(id: Id | null, place: Vector3): void {
    this.#touched = id === null ? null : { id, place };
    this.choose(id);
  }

  /** A note where the twin was pointed at, so that it hangs on that part of it. */
  #writeNote(id: Id): void {
    const place = this.#touched?.id === id ? this.#touched.place : null;
    this.typing.note(this.mirror.nameOf(id), (text) => void this.notes.write(id, place, text));
  }

  #takeChosen(id: Id | null): void {
    this.#takeBox();
    if (id === null) {
      this.desk.closeInspect();
      return;
    }
    this.trend.chooseOf(this.mirror.handlesOf(id));
    this.desk.openInspect(this.#hasChosen ? this.#chosenAt : null);
  }

  #takeBox(): void {
    const { selected } = this.mirror;
    const box = selected === null ? undefined : this.scene.boundsOf(selected);
    this.#hasChosen = box !== undefined;
    box?.getCenter(this.#chosenAt);
  }

  // --- what others see ---------------------------------------------------------------------------

  /** Head, hands and pointer in the world's metres; good until the next picture. */
  body(): Body {
    const body = this.#body;
    this.rig.head.toArray(body.head.position);
    this.rig.headTurn.toArray(body.head.rotation);
    body.left = this.#poseOf(this.input.left, this.#poses[0]);
    body.right = this.#poseOf(this.input.right, this.#poses[1]);
    body.pointer = this.#pointerOf();
    return body;
  }

  #poseOf(hand: Hand, pose: Pose): Pose | null {
    if (!hand.isTracked) return null;
    this.rig.toWorld(hand.palm, this.#scratch).toArray(pose.position);
    this.rig.turnToWorld(hand.turn).toArray(pose.rotation);
    return pose;
  }

  #pointerOf(): Body["pointer"] {
    const { active } = this.pointing;
    if (active === null || !active.isTracked) return null;
    const { ray, distance_m, slate } = this.pointing.aim(active);
    if (slate !== null) return null;
    ray.origin.toArray(this.#pointer.from);
    ray.at(distance_m, this.#scratch).toArray(this.#pointer.to);
    return this.#pointer;
  }

  // --- the end -----------------------------------------------------------------------------------

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { scene, mirror } = this;
    const { stage } = scene;
    for (const off of this.#offs.splice(0)) off();
    this.input.close();
    this.menu.close();
    this.typing.close();
    this.trend.close();
    scene.wearer = null;
    mirror.hover(null);
    mirror.beforePicture = this.#before.beforePicture;
    for (const act of this.#due.splice(0)) mirror.beforePicture(act);
    for (const part of [this.veil, this.arc, this.table, this.desk, this.names, ...this.#gloves]) part.dispose();
    this.placing?.dispose();
    this.rig.room.removeFromParent();
    stage.eyes = stage.camera;
    stage.renderer.xr.setAnimationLoop(null);
    stage.renderer.xr.enabled = false;
    stage.setSurroundings(true, true);
    stage.camera.fov = this.#before.fov;
    stage.camera.updateProjectionMatrix();
    scene.rig.orbit.enabled = true;
    scene.setCamera(this.#before.place);
    scene.rig.applyInsets();
    stage.resize();
    scene.drive(false);
    this.onEnd();
  }
}
