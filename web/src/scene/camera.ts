/**
 * How a person moves through the scene: round what they look at, or on foot.
 *
 * Drag, wheel, pinch, keys; flights to a place. Never below the floor. Knows no twin.
 */

import { Box3, MathUtils, MOUSE, PerspectiveCamera, Sphere, TOUCH, Vector3 } from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import type { CameraMode } from "./api.ts";

const EYE_M = 1.7;
const WALK_M_S = 2.6;
const FLIGHT_MS = 900;
/** A map is seen from far away through a long lens: what stands upright hardly leans. */
const MAP_FOV_DEG = 11;
const FROM_ABOVE = new Vector3(0, 1, 1e-4).normalize();
const UP = new Vector3(0, 1, 0);
/** From where all is seen at first. */
const HOME_WAY = new Vector3(-0.2, 0.54, 1);

interface Flight {
  fromPosition: Vector3;
  fromTarget: Vector3;
  toPosition: Vector3;
  toTarget: Vector3;
  startMs: number;
  lengthMs: number;
}

export class CameraRig {
  readonly camera: PerspectiveCamera;
  readonly orbit: OrbitControls;
  mode: CameraMode = "orbit";
  /** Called whenever the view may have changed. */
  onMove: () => void = () => {};
  readonly #canvas: HTMLCanvasElement;
  readonly #keys = new Set<string>();
  readonly #pointers = new Map<number, { x: number; y: number }>();
  readonly #isStill: MediaQueryList = window.matchMedia("(prefers-reduced-motion: reduce)");
  #flight: Flight | null = null;
  #yaw = 0;
  #pitch = 0;
  #push = 0;
  #insets = { left: 0, right: 0, top: 0, bottom: 0 };
  readonly #fov_deg: number;
  #reach_m = 12;
  /** Where the middle of the view is drawn, off the middle of the canvas; follows the insets. */
  #offset = { x: 0, y: 0 };
  #hasOffset = false;
  #wall = new Box3();

  constructor(camera: PerspectiveCamera, canvas: HTMLCanvasElement) {
    this.camera = camera;
    this.#fov_deg = camera.fov;
    this.#canvas = canvas;
    this.orbit = new OrbitControls(camera, canvas);
    this.orbit.enableDamping = !this.#isStill.matches;
    this.orbit.dampingFactor = 0.09;
    this.orbit.rotateSpeed = 0.62;
    this.orbit.zoomSpeed = 0.9;
    this.orbit.panSpeed = 0.8;
    this.orbit.zoomToCursor = true;
    this.orbit.screenSpacePanning = false;
    this.orbit.maxPolarAngle = Math.PI * 0.487;
    this.orbit.minDistance = 1.2;
    this.orbit.addEventListener("change", () => this.onMove());
    this.orbit.addEventListener("start", () => (this.#flight = null));
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#drag(event));
    for (const end of ["pointerup", "pointercancel"] as const)
      canvas.addEventListener(end, (event) => this.#release(event));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: true });
    canvas.addEventListener("keydown", (event) => this.#key(event, true));
    canvas.addEventListener("keyup", (event) => this.#key(event, false));
    canvas.addEventListener("blur", () => this.#keys.clear());
  }

  /** How far the person may go. */
  setExtent(bounds: Box3): void {
    const size = bounds.getSize(new Vector3());
    const reach = Math.max(size.x, size.z, 12);
    this.#wall.copy(bounds).expandByScalar(reach);
    this.#reach_m = reach;
    this.#limit();
  }

  #limit(): void {
    const isMap = this.mode === "map";
    this.orbit.maxDistance = this.#reach_m * (isMap ? 12 : 2.6);
    this.orbit.minDistance = isMap ? 12 : 1.2;
    this.orbit.maxPolarAngle = isMap ? 1e-4 : Math.PI * 0.487;
    this.orbit.enableRotate = !isMap;
    this.orbit.screenSpacePanning = isMap;
    this.orbit.mouseButtons.LEFT = isMap ? MOUSE.PAN : MOUSE.ROTATE;
    this.orbit.touches.ONE = isMap ? TOUCH.PAN : TOUCH.ROTATE;
  }

  /** The parts of the canvas that panels cover, in CSS pixels: the view is centred in the rest. */
  setInsets(left: number, right: number, top: number, bottom: number): void {
    this.#insets = { left, right, top, bottom };
    this.applyInsets();
  }

  applyInsets(): void {
    const w = this.#canvas.clientWidth;
    const h = this.#canvas.clientHeight;
    if (!this.#hasOffset || this.#isStill.matches) {
      const { left, right, top, bottom } = this.#insets;
      this.#offset = { x: (right - left) / 2, y: (bottom - top) / 2 };
      this.#hasOffset = true;
    }
    this.camera.setViewOffset(w, h, this.#offset.x, this.#offset.y, w, h);
    this.onMove();
  }

  /** Lets the view glide to where the panels leave room; true while it does. */
  #glide(dt_s: number): boolean {
    const { left, right, top, bottom } = this.#insets;
    const dx = (right - left) / 2 - this.#offset.x;
    const dy = (bottom - top) / 2 - this.#offset.y;
    if (dx === 0 && dy === 0) return false;
    const part = Math.abs(dx) + Math.abs(dy) < 0.5 ? 1 : 1 - Math.exp(-dt_s * 9);
    this.#offset.x += dx * part;
    this.#offset.y += dy * part;
    this.applyInsets();
    return true;
  }

  /** Moves sideways, if need be, until a place is in the free part of the view. */
  reveal(place: Vector3): void {
    if (this.mode === "walk" || this.#flight !== null) return;
    const w = this.#canvas.clientWidth;
    const h = this.#canvas.clientHeight;
    this.camera.updateMatrixWorld();
    const at = place.clone().project(this.camera);
    // The picture is still gliding to its new middle: measure from where it will be.
    const { left, right, top, bottom } = this.#insets;
    const x = (at.x * 0.5 + 0.5) * w + this.#offset.x - (right - left) / 2;
    const y = (0.5 - at.y * 0.5) * h + this.#offset.y - (bottom - top) / 2;
    const margin = 36;
    const isFree =
      at.z < 1 && x > left + margin && x < w - right - margin && y > top + margin && y < h - bottom - margin;
    if (isFree) return;
    const target = new Vector3(place.x, this.orbit.target.y, place.z);
    const step = target.clone().sub(this.orbit.target);
    this.#fly(this.camera.position.clone().add(step), target, false);
  }

  // --- flights ---------------------------------------------------------------------------

  /** Flies so that `bounds` fill the free part of the canvas, seen from where one is now. */
  frame(bounds: Box3, options: { fast?: boolean; from?: Vector3; margin?: number } = {}): void {
    const sphere = bounds.getBoundingSphere(new Sphere());
    const isMap = this.mode === "map";
    const way = isMap
      ? FROM_ABOVE.clone()
      : options.from
      ? options.from.clone()
      : this.camera.position.clone().sub(this.orbit.target);
    if (way.lengthSq() < 1e-6) way.set(0.3, 0.5, 1);
    way.normalize();
    if (options.from === undefined && !isMap) {
      way.y = MathUtils.clamp(way.y, 0.28, 0.75);
      way.normalize();
    }
    const distance = this.#distanceFor(bounds, sphere.center, way) * (options.margin ?? 1.08);
    const position = sphere.center.clone().addScaledVector(way, Math.max(distance, 2.2));
    position.y = Math.max(position.y, 0.5);
    if (this.mode === "walk") this.setMode("orbit");
    this.#fly(position, sphere.center, options.fast === true);
  }

  /** Flies to where all is seen: what is long along its length in a narrow window, and across in a wide one. */
  home(bounds: Box3, isFast: boolean): void {
    const size = bounds.getSize(new Vector3());
    const way = HOME_WAY.clone();
    const isTall = this.#canvas.clientWidth < this.#canvas.clientHeight * 0.8;
    if (isTall && size.x > size.z * 1.2) way.set(0.75, 0.78, 0.55);
    else if (!isTall && size.z > size.x * 1.2) way.set(-0.7, 0.6, 0.8);
    this.frame(bounds, { fast: isFast, from: way, margin: 0.96 });
  }

  /** The least distance at which all corners of a box are inside the free part of the view. */
  #distanceFor(bounds: Box3, center: Vector3, way: Vector3): number {
    const w = this.#canvas.clientWidth || 1;
    const h = this.#canvas.clientHeight || 1;
    const { left, right, top, bottom } = this.#insets;
    const freeW = Math.max(w - left - right, w * 0.3);
    const freeH = Math.max(h - top - bottom, h * 0.3);
    const tanV = Math.tan(MathUtils.degToRad(this.camera.fov / 2));
    const tanY = tanV * (freeH / h);
    const tanX = tanV * (w / h) * (freeW / w);
    const side = new Vector3().crossVectors(UP, way).normalize();
    const up = new Vector3().crossVectors(way, side);
    let distance = 0;
    const corner = new Vector3();
    for (let i = 0; i < 8; i++) {
      corner.set(
        i & 1 ? bounds.max.x : bounds.min.x,
        i & 2 ? bounds.max.y : bounds.min.y,
        i & 4 ? bounds.max.z : bounds.min.z,
      );
      corner.sub(center);
      const depth = corner.dot(way);
      distance = Math.max(
        distance,
        depth + Math.abs(corner.dot(side)) / tanX,
        depth + Math.abs(corner.dot(up)) / tanY,
      );
    }
    return distance;
  }

  /** Goes to a place and looks at another, in the mode that is set; on foot always at once. */
  goTo(position: Vector3, target: Vector3, fast = true): void {
    if (this.mode !== "walk") return this.#fly(position, target, fast);
    const ahead = target.clone().sub(position).normalize();
    this.#yaw = Math.atan2(-ahead.x, -ahead.z);
    this.#pitch = MathUtils.clamp(Math.asin(ahead.y), -1.2, 1.2);
    this.camera.position.copy(position);
    // A link leads there before the plant is built, and so before there is a wall.
    if (!this.#wall.isEmpty()) this.camera.position.clamp(this.#wall.min, this.#wall.max);
    this.camera.position.y = EYE_M;
    this.#look();
  }

  /** What one looks at; on foot, what lies some steps ahead. */
  target(): Vector3 {
    if (this.mode !== "walk") return this.orbit.target.clone();
    return this.camera.getWorldDirection(new Vector3()).multiplyScalar(6).add(this.camera.position);
  }

  #fly(position: Vector3, target: Vector3, fast: boolean): void {
    if (fast || this.#isStill.matches) {
      this.camera.position.copy(position);
      this.orbit.target.copy(target);
      this.#flight = null;
      this.orbit.update();
      this.onMove();
      return;
    }
    this.#flight = {
      fromPosition: this.camera.position.clone(),
      fromTarget: this.orbit.target.clone(),
      toPosition: position,
      toTarget: target.clone(),
      startMs: performance.now(),
      lengthMs: FLIGHT_MS,
    };
    this.onMove();
  }

  // --- modes -----------------------------------------------------------------------------

  setMode(mode: CameraMode): void {
    if (mode === this.mode) return;
    const before = this.mode;
    this.mode = mode;
    this.#flight = null;
    this.#keys.clear();
    this.orbit.enabled = mode !== "walk";
    const ahead = new Vector3();
    this.camera.getWorldDirection(ahead);
    this.camera.fov = mode === "map" ? MAP_FOV_DEG : this.#fov_deg;
    this.camera.updateProjectionMatrix();
    this.#limit();
    if (mode === "map" || before === "map") this.#changeLens(before === "map");
    if (mode === "map") return;
    if (mode === "walk") {
      this.#yaw = Math.atan2(-ahead.x, -ahead.z);
      this.#pitch = MathUtils.clamp(Math.asin(ahead.y), -0.35, 0.35);
      // On foot one stands before what one looked at, not where the camera hung in the air.
      const away = Math.min(this.camera.position.distanceTo(this.orbit.target), 9);
      const flat = new Vector3(ahead.x, 0, ahead.z).normalize();
      this.camera.position.copy(this.orbit.target).addScaledVector(flat, -away);
      this.camera.position.y = EYE_M;
      this.#look();
    } else if (before === "walk") {
      this.orbit.target.copy(this.camera.position).addScaledVector(ahead, 6);
      this.orbit.target.y = Math.max(0.5, Math.min(this.orbit.target.y, 2));
      this.orbit.update();
    }
    this.onMove();
  }

  /** Goes so far away, or so near, that what is looked at keeps its size. */
  #changeLens(isFromMap: boolean): void {
    const ratio = Math.tan(MathUtils.degToRad(this.#fov_deg / 2)) / Math.tan(MathUtils.degToRad(MAP_FOV_DEG / 2));
    const away = this.camera.position.distanceTo(this.orbit.target) * (isFromMap ? 1 / ratio : ratio);
    const way = isFromMap ? new Vector3(0, 0.75, 0.66) : FROM_ABOVE;
    this.camera.position.copy(this.orbit.target).addScaledVector(way, away);
    this.orbit.update();
    this.onMove();
  }

  // --- every frame -----------------------------------------------------------------------

  /** Moves by `dt_s`; true while there is more to come. */
  update(dt_s: number, nowMs: number): boolean {
    const glides = this.#glide(dt_s);
    if (this.#flight !== null) return this.#continueFlight(nowMs);
    if (this.mode === "walk") return this.#walk(dt_s) || glides;
    return this.#orbitByKeys(dt_s) || this.orbit.update(dt_s) || glides;
  }

  #continueFlight(nowMs: number): boolean {
    const flight = this.#flight!;
    const t = MathUtils.clamp((nowMs - flight.startMs) / flight.lengthMs, 0, 1);
    const eased = t < 0.5 ? 4 * t ** 3 : 1 - (-2 * t + 2) ** 3 / 2;
    this.orbit.target.lerpVectors(flight.fromTarget, flight.toTarget, eased);
    this.camera.position.lerpVectors(flight.fromPosition, flight.toPosition, eased);
    this.camera.lookAt(this.orbit.target);
    if (t >= 1) {
      this.#flight = null;
      this.orbit.update();
    }
    this.onMove();
    return true;
  }

  #orbitByKeys(dt_s: number): boolean {
    const turn = this.#axis("ArrowRight", "ArrowLeft");
    const lift = this.#axis("ArrowUp", "ArrowDown");
    const right = this.#axis("KeyD", "KeyA");
    const ahead = this.#axis("KeyW", "KeyS");
    const near = this.#axis("Equal", "Minus");
    if (!turn && !lift && !right && !ahead && !near) return false;
    const offset = this.camera.position.clone().sub(this.orbit.target);
    const distance = offset.length();
    if (this.mode !== "map") offset.applyAxisAngle(UP, turn * dt_s * 1.1);
    const side = new Vector3().crossVectors(UP, offset).normalize();
    const polar = offset.angleTo(UP);
    const tilt = this.mode === "map" ? 0 : MathUtils.clamp(polar - lift * dt_s * 0.8, 0.12, this.orbit.maxPolarAngle) - polar;
    offset.applyAxisAngle(side, tilt);
    offset.setLength(MathUtils.clamp(distance * (1 - near * dt_s), this.orbit.minDistance, this.orbit.maxDistance));
    const step = new Vector3()
      .addScaledVector(side, right)
      .addScaledVector(new Vector3(-offset.x, 0, -offset.z).normalize(), ahead)
      .multiplyScalar(distance * dt_s * (this.mode === "map" ? 0.1 : 0.7));
    this.orbit.target.add(step);
    this.camera.position.copy(this.orbit.target).add(offset);
    this.orbit.update();
    this.onMove();
    return true;
  }

  #walk(dt_s: number): boolean {
    const ahead = this.#axis("KeyW", "KeyS") + this.#axis("ArrowUp", "ArrowDown") + this.#push;
    const right = this.#axis("KeyD", "KeyA");
    const turn = this.#axis("ArrowLeft", "ArrowRight");
    this.#push *= Math.exp(-dt_s * 6);
    if (Math.abs(this.#push) < 0.02) this.#push = 0;
    if (!ahead && !right && !turn) return false;
    this.#yaw += turn * dt_s * 1.4;
    const pace = WALK_M_S * (this.#keys.has("ShiftLeft") || this.#keys.has("ShiftRight") ? 2.6 : 1);
    const step = new Vector3(right, 0, -ahead);
    if (step.lengthSq() > 1) step.normalize();
    step.applyAxisAngle(UP, this.#yaw).multiplyScalar(pace * dt_s);
    this.camera.position.add(step);
    this.camera.position.clamp(this.#wall.min, this.#wall.max);
    this.camera.position.y = EYE_M;
    this.#look();
    return true;
  }

  #look(): void {
    this.camera.rotation.set(this.#pitch, this.#yaw, 0, "YXZ");
    this.onMove();
  }

  #axis(more: string, less: string): number {
    return (this.#keys.has(more) ? 1 : 0) - (this.#keys.has(less) ? 1 : 0);
  }

  // --- hands on ----------------------------------------------------------------------------

  #press(event: PointerEvent): void {
    this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.mode === "walk") this.#canvas.setPointerCapture(event.pointerId);
  }

  #drag(event: PointerEvent): void {
    const last = this.#pointers.get(event.pointerId);
    if (last === undefined) return;
    const dx = event.clientX - last.x;
    const dy = event.clientY - last.y;
    last.x = event.clientX;
    last.y = event.clientY;
    if (this.mode !== "walk") return;
    if (this.#pointers.size > 1) {
      this.#push = MathUtils.clamp(this.#push - dy * 0.03, -2, 2); // Two fingers walk.
    } else {
      this.#yaw += dx * 0.0042;
      this.#pitch = MathUtils.clamp(this.#pitch + dy * 0.0042, -1.2, 1.2);
    }
    this.#look();
  }

  #release(event: PointerEvent): void {
    this.#pointers.delete(event.pointerId);
  }

  #wheel(event: WheelEvent): void {
    if (this.mode !== "walk") return;
    this.#push = MathUtils.clamp(this.#push - Math.sign(event.deltaY) * 0.8, -2.5, 2.5);
    this.onMove();
  }

  #key(event: KeyboardEvent, isDown: boolean): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (!MOVES.has(event.code)) return;
    event.preventDefault();
    if (isDown) this.#keys.add(event.code);
    else this.#keys.delete(event.code);
    if (isDown) this.#flight = null;
    this.onMove();
  }
}

const MOVES = new Set([
  "KeyW", "KeyA", "KeyS", "KeyD", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight",
  "ShiftLeft", "ShiftRight", "Equal", "Minus",
]);
