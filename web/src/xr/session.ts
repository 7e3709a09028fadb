/**
 * One visit in a headset, from the moment the session is there until it ends.
 *
 * The headset asks for every picture; the scene, the mirror and the panels that float in the room
 * are brought up to date for it. When it ends the page is as it was.
 */

import { Vector3 } from "three";
import type { Body, Pose } from "../scene/layers.ts";
import type { Mirror } from "../mirror.ts";
import type { WorldScene } from "../scene/scene.ts";
import { comfort, onComfort } from "./comfort.ts";
import { placeBefore } from "./entering.ts";
import { Input } from "./input.ts";
import type { Hand } from "./input.ts";
import { Rig } from "./rig.ts";
import { Veil } from "./veil.ts";

export type Mode = "immersive-vr" | "immersive-ar";

const RATES = { calm: 72, fast: 120 } as const;
const FOVEATION = 0.7;

export class Visit {
  readonly mode: Mode;
  readonly session: XRSession;
  readonly rig = new Rig();
  readonly veil = new Veil();
  readonly input: Input;
  readonly mirror: Mirror;
  readonly scene: WorldScene;
  /** Pictures drawn in this visit. */
  nFrames = 0;
  onEnd: () => void = () => {};
  readonly #due: (() => void)[] = [];
  readonly #before: { place: ReturnType<WorldScene["camera"]>; beforePicture: Mirror["beforePicture"]; fov: number };
  readonly #offs: (() => void)[] = [];
  readonly #hasFloor: boolean;
  #lastMs = 0;
  #isIn = false;
  #isOver = false;
  readonly #body: Body;
  readonly #scratch = new Vector3();

  constructor(mode: Mode, session: XRSession, mirror: Mirror, scene: WorldScene) {
    this.mode = mode;
    this.session = session;
    this.mirror = mirror;
    this.scene = scene;
    this.input = new Input(session);
    this.rig.eyes.add(this.veil.mesh);
    const pose = (): Pose => ({ position: [0, 0, 0], rotation: [0, 0, 0, 1] });
    this.#body = { head: pose(), left: null, right: null, pointer: null };
    this.#hasFloor = session.enabledFeatures?.includes("local-floor") ?? true;
    this.#before = { place: scene.camera(), beforePicture: mirror.beforePicture, fov: scene.stage.camera.fov };
  }

  /** Hands the renderer over to the headset. Rejects where it will not have it. */
  async start(): Promise<void> {
    const { scene, session } = this;
    const { renderer } = scene.stage;
    const { xr } = renderer;
    xr.enabled = true;
    xr.setReferenceSpaceType(this.#hasFloor ? "local-floor" : "local");
    xr.setFoveation(FOVEATION);
    // Not by the renderer's own loop: that one would go on in the page after the visit.
    xr.setAnimationLoop((nowMs: number, frame?: XRFrame) => frame !== undefined && this.#frame(nowMs, frame));
    session.addEventListener("end", () => this.#end(), { once: true });
    scene.stage.scene.add(this.rig.room);
    scene.stage.eyes = this.rig.eyes;
    scene.stage.camera.clearViewOffset();
    scene.rig.orbit.enabled = false;
    scene.drive(true);
    scene.wearer = () => this.body();
    this.mirror.beforePicture = (act) => void this.#due.push(act);
    this.#offs.push(onComfort(() => this.#applyComfort()));
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
    await this.session.end();
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

  // --- every picture -----------------------------------------------------------------------------

  #frame(nowMs: number, frame: XRFrame): void {
    const { scene, rig } = this;
    const space = scene.stage.renderer.xr.getReferenceSpace();
    if (space === null) return;
    const dt_s = this.#lastMs === 0 ? 0 : Math.min((nowMs - this.#lastMs) / 1000, 0.1);
    this.#lastMs = nowMs;
    const viewer = frame.getViewerPose(space);
    if (viewer != null) {
      rig.takeHead(viewer.transform.matrix);
      this.#see();
      if (!this.#isIn) this.#arrive();
      this.input.update(frame, space);
      this.veil.update(dt_s, false);
    }
    for (const act of this.#due.splice(0)) act();
    scene.frame(nowMs);
    this.nFrames += 1;
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
    target.y -= 12;
  }

  #arrive(): void {
    const { scene, rig } = this;
    this.#isIn = true;
    rig.setSeat(comfort().isSeated, this.#hasFloor);
    const { position, target } = this.#before.place;
    const { selected } = this.mirror;
    const box = selected === null ? null : scene.boundsOf(selected) ?? null;
    const { place, yaw } = placeBefore((ray) => scene.hit(ray), new Vector3(...position), new Vector3(...target), box);
    rig.standAt(place);
    this.#see();
    rig.face(yaw);
    this.#see();
  }

  // --- what others see ---------------------------------------------------------------------------

  /** Head, hands and pointer in the world's metres. */
  body(): Body {
    const body = this.#body;
    this.rig.head.toArray(body.head.position);
    this.rig.headTurn.toArray(body.head.rotation);
    body.left = this.#poseOf(this.input.left, body.left);
    body.right = this.#poseOf(this.input.right, body.right);
    return body;
  }

  #poseOf(hand: Hand, pose: Pose | null): Pose | null {
    if (!hand.isTracked) return null;
    const told = pose ?? { position: [0, 0, 0], rotation: [0, 0, 0, 1] };
    this.rig.toWorld(hand.palm, this.#scratch).toArray(told.position);
    hand.turn.clone().premultiply(this.rig.room.quaternion).toArray(told.rotation);
    return told;
  }

  // --- the end -----------------------------------------------------------------------------------

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { scene } = this;
    const { stage } = scene;
    for (const off of this.#offs.splice(0)) off();
    this.input.close();
    scene.wearer = null;
    this.mirror.beforePicture = this.#before.beforePicture;
    for (const act of this.#due.splice(0)) this.mirror.beforePicture(act);
    this.rig.room.removeFromParent();
    this.veil.dispose();
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
