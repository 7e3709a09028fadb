/**
 * What two hands do, whatever is in them: a controller, nothing, or a finger on a screen.
 *
 * A pinch is a trigger. Poses are in metres of the room; presses are told as edges, once a frame.
 * Allocates nothing per frame but what the browser itself does.
 */

import { Matrix4, Quaternion, Vector3 } from "three";

export type Side = "left" | "right";

/** Joints of a hand, in the order of WebXR Hand Input. */
export const N_JOINTS = 25;
/** WebXR Hand Input §5.2, which the types of the language do not know yet. */
interface JointFrame {
  fillPoses?(spaces: Iterable<XRSpace>, base: XRSpace, transforms: Float32Array): boolean;
  fillJointRadii?(spaces: Iterable<XRJointSpace>, radii: Float32Array): boolean;
}
const STICK_DEAD = 0.15;
const AHEAD = new Vector3(0, 0, -1);

export class Hand {
  readonly side: Side;
  source: XRInputSource | null = null;
  /** Whether its ray is known in this frame. */
  isTracked = false;
  /** Whether it has a place of its own, not only a ray: a grip, a palm. */
  hasGrip = false;
  /** From where and whither it points, in the room. */
  readonly from = new Vector3();
  readonly way = new Vector3(0, 0, -1);
  readonly aim = new Matrix4();
  readonly grip = new Matrix4();
  readonly turn = new Quaternion();
  readonly palm = new Vector3();
  isPressed = false;
  hasJustPressed = false;
  hasJustReleased = false;
  isSqueezed = false;
  hasJustSqueezed = false;
  hasJustLoosened = false;
  /** The stick, −1 to 1, and how it was in the frame before. */
  stickX = 0;
  stickY = 0;
  wasStickX = 0;
  wasStickY = 0;
  /** The upper button (B, Y) went down. */
  hasJustMenu = false;
  /** 25 matrices of a tracked hand, in the room; and radii in metres. */
  readonly joints = new Float32Array(N_JOINTS * 16);
  readonly radii = new Float32Array(N_JOINTS);
  hasJoints = false;
  #wasMenu = false;
  #jointSpaces: XRJointSpace[] = [];
  readonly #edges = { press: 0, release: 0, squeeze: 0, loosen: 0 };
  readonly #unused = new Vector3();

  constructor(side: Side) {
    this.side = side;
  }

  take(source: XRInputSource | null): void {
    if (source === this.source) return;
    this.source = source;
    this.isPressed = this.isSqueezed = false;
    this.#jointSpaces = source?.hand ? [...source.hand.values()].slice(0, N_JOINTS) : [];
    if (source === null) this.isTracked = this.hasGrip = this.hasJoints = false;
  }

  /** A press or squeeze began or ended; it counts in the next frame. */
  note(what: "press" | "release" | "squeeze" | "loosen"): void {
    this.#edges[what] += 1;
  }

  update(frame: XRFrame, space: XRReferenceSpace): void {
    const edges = this.#edges;
    this.hasJustPressed = edges.press > 0;
    this.hasJustReleased = edges.release > 0;
    this.hasJustSqueezed = edges.squeeze > 0;
    this.hasJustLoosened = edges.loosen > 0;
    if (edges.press !== edges.release) this.isPressed = edges.press > edges.release;
    if (edges.squeeze !== edges.loosen) this.isSqueezed = edges.squeeze > edges.loosen;
    edges.press = edges.release = edges.squeeze = edges.loosen = 0;
    this.hasJustMenu = false;
    const { source } = this;
    if (source === null) return;
    const aim = frame.getPose(source.targetRaySpace, space);
    this.isTracked = aim != null;
    if (aim != null) {
      this.aim.fromArray(aim.transform.matrix);
      this.aim.decompose(this.from, this.turn, this.#unused);
      this.way.copy(AHEAD).applyQuaternion(this.turn);
    }
    const grip = source.gripSpace === undefined ? null : frame.getPose(source.gripSpace, space);
    this.hasGrip = grip != null;
    if (grip != null) {
      this.grip.fromArray(grip.transform.matrix);
      this.palm.setFromMatrixPosition(this.grip);
    } else this.palm.copy(this.from);
    this.#takeStick(source.gamepad);
    this.#takeJoints(frame, space);
  }

  #takeStick(gamepad: Gamepad | undefined): void {
    this.wasStickX = this.stickX;
    this.wasStickY = this.stickY;
    const axes = gamepad?.axes;
    // xr-standard: axes 2 and 3 are the stick's; a touchpad alone has 0 and 1.
    const x = axes === undefined ? 0 : axes.length > 3 ? axes[2]! : axes[0] ?? 0;
    const y = axes === undefined ? 0 : axes.length > 3 ? axes[3]! : axes[1] ?? 0;
    this.stickX = Math.abs(x) < STICK_DEAD ? 0 : x;
    this.stickY = Math.abs(y) < STICK_DEAD ? 0 : y;
    const isMenu = gamepad?.buttons[5]?.pressed === true || gamepad?.buttons[4]?.pressed === true;
    this.hasJustMenu = isMenu && !this.#wasMenu;
    this.#wasMenu = isMenu;
  }

  #takeJoints(frame: XRFrame, space: XRReferenceSpace): void {
    this.hasJoints = false;
    const { fillPoses, fillJointRadii } = frame as JointFrame;
    if (this.#jointSpaces.length !== N_JOINTS || fillPoses === undefined) return;
    this.hasJoints = fillPoses.call(frame, this.#jointSpaces, space, this.joints);
    fillJointRadii?.call(frame, this.#jointSpaces, this.radii);
  }

  /** A short tap in the hand, where it can be felt. */
  tap(strength: number, ms: number): void {
    const actuator = (this.source?.gamepad as { hapticActuators?: { pulse?(strength: number, ms: number): unknown }[] } | undefined)
      ?.hapticActuators?.[0];
    void actuator?.pulse?.(strength, ms);
  }
}

/** Both hands of a session. */
export class Input {
  readonly left = new Hand("left");
  readonly right = new Hand("right");
  readonly both: readonly [Hand, Hand] = [this.left, this.right];
  /** Called when a controller or hand comes or goes. */
  onSources: () => void = () => {};
  readonly #session: XRSession;
  readonly #offs: (() => void)[] = [];

  constructor(session: XRSession) {
    this.#session = session;
    const listen = (type: string, act: (event: Event) => void): void => {
      session.addEventListener(type as "select", act as never);
      this.#offs.push(() => session.removeEventListener(type as "select", act as never));
    };
    const note = (type: string, what: Parameters<Hand["note"]>[0]): void =>
      listen(type, (event) => this.#handOf((event as XRInputSourceEvent).inputSource)?.note(what));
    note("selectstart", "press");
    note("selectend", "release");
    note("squeezestart", "squeeze");
    note("squeezeend", "loosen");
    listen("inputsourceschange", () => this.#choose());
    this.#choose();
  }

  /** What is there now; the hand that points stands in for one that says no side. */
  #choose(): void {
    let left: XRInputSource | null = null;
    let right: XRInputSource | null = null;
    for (const source of this.#session.inputSources ?? []) {
      if (source.handedness === "left") left ??= source;
      else right = source.handedness === "right" ? source : right ?? source;
    }
    this.left.take(left);
    this.right.take(right);
    this.onSources();
  }

  #handOf(source: XRInputSource): Hand | undefined {
    const known = this.both.find((hand) => hand.source === source);
    if (known !== undefined) return known;
    // A tap on a screen, or a pinch that a headset tells of for its own length only.
    this.#choose();
    return this.both.find((hand) => hand.source === source);
  }

  update(frame: XRFrame, space: XRReferenceSpace): void {
    this.left.update(frame, space);
    this.right.update(frame, space);
  }

  hand(side: Side): Hand {
    return side === "left" ? this.left : this.right;
  }

  close(): void {
    for (const off of this.#offs.splice(0)) off();
  }
}
