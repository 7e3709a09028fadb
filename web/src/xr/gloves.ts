/** What a hand looks like: a plain controller, or the joints of a bare hand; and the ray it points with. */

import {
  BufferGeometry, CapsuleGeometry, CylinderGeometry, Float32BufferAttribute, Group, IcosahedronGeometry, InstancedMesh, Line, LineBasicMaterial,
  Matrix4, Mesh, MeshBasicMaterial, MeshStandardMaterial, Quaternion, SphereGeometry, TorusGeometry, Vector3,
} from "three";
import { N_JOINTS } from "./input.ts";
import type { Hand } from "./input.ts";

/** Joints that a bone joins to the one before; the wrist and each finger's first are joined to the wrist. */
const BONES: readonly (readonly [number, number])[] = [1, 5, 10, 15, 20].flatMap((first, finger) => {
  const last = finger === 0 ? 4 : first + 4;
  return Array.from({ length: last - first + 1 }, (_, i) => [i === 0 ? 0 : first + i - 1, first + i] as const);
});
const BONE_M = 0.0078;
const UP = new Vector3(0, 1, 0);

export class Glove {
  readonly object = new Group();
  readonly #controller: Group;
  readonly #joints: InstancedMesh<IcosahedronGeometry, MeshStandardMaterial>;
  readonly #bones: InstancedMesh<CylinderGeometry, MeshStandardMaterial>;
  readonly #ray: Line<BufferGeometry, LineBasicMaterial>;
  readonly #dot: Mesh<SphereGeometry, MeshBasicMaterial>;
  readonly #skin = new MeshStandardMaterial({ color: 0x9db4c6, roughness: 0.55, metalness: 0, fog: false });
  readonly #trim = new MeshStandardMaterial({ color: 0x2b343d, roughness: 0.5, fog: false });
  readonly #matrix = new Matrix4();
  readonly #from = new Vector3();
  readonly #to = new Vector3();
  readonly #turn = new Quaternion();
  readonly #size = new Vector3();

  constructor() {
    this.#controller = this.#makeController();
    this.#joints = new InstancedMesh(new IcosahedronGeometry(1, 2), this.#skin, N_JOINTS);
    this.#bones = new InstancedMesh(new CylinderGeometry(1, 1, 1, 10, 1, true), this.#skin, BONES.length);
    for (const mesh of [this.#joints, this.#bones]) mesh.frustumCulled = false;
    const line = new BufferGeometry();
    line.setAttribute("position", new Float32BufferAttribute([0, 0, 0, 0, 0, -1], 3));
    line.setAttribute("color", new Float32BufferAttribute([0.75, 0.92, 1, 0.95, 0.34, 0.78, 0.95, 0.25], 4));
    this.#ray = new Line(line, new LineBasicMaterial({ vertexColors: true, transparent: true, toneMapped: false, fog: false, depthWrite: false }));
    this.#dot = new Mesh(new SphereGeometry(1, 16, 12), new MeshBasicMaterial({ color: 0xdff3fc, toneMapped: false, fog: false, depthTest: false, transparent: true }));
    this.#ray.renderOrder = 40;
    this.#dot.renderOrder = 41;
    this.#ray.frustumCulled = this.#dot.frustumCulled = false;
    this.#controller.matrixAutoUpdate = this.#ray.matrixAutoUpdate = false;
    this.object.add(this.#controller, this.#joints, this.#bones, this.#ray, this.#dot);
    this.object.visible = false;
  }

  /** A handle, a head and a ring: no maker's own. */
  #makeController(): Group {
    const group = new Group();
    const handle = new Mesh(new CapsuleGeometry(0.017, 0.058, 6, 14), this.#trim);
    handle.position.set(0, -0.004, 0.018);
    handle.rotation.x = Math.PI / 2 - 0.25;
    const head = new Mesh(new SphereGeometry(0.026, 20, 14), this.#skin);
    head.scale.set(1, 0.62, 1.15);
    head.position.set(0, 0.008, -0.032);
    const ring = new Mesh(new TorusGeometry(0.031, 0.0036, 8, 28), this.#skin);
    ring.position.set(0, 0.006, -0.045);
    ring.rotation.x = Math.PI / 2.6;
    group.add(handle, head, ring);
    return group;
  }

  /** `far_m`: how far the ray reaches; `hasDot`: it ends on something; `isShown`: rays are wanted. */
  update(hand: Hand, far_m: number, hasDot: boolean, isShown: boolean): void {
    this.object.visible = hand.source !== null && (hand.isTracked || hand.hasJoints);
    if (!this.object.visible) return;
    const hasBody = hand.hasGrip && !hand.hasJoints;
    this.#controller.visible = hasBody;
    if (hasBody) this.#controller.matrix.copy(hand.grip);
    this.#joints.visible = this.#bones.visible = hand.hasJoints;
    if (hand.hasJoints) this.#pose(hand);
    const hasRay = isShown && hand.isTracked && hand.source?.targetRayMode === "tracked-pointer";
    this.#ray.visible = hasRay;
    this.#dot.visible = isShown && hasDot && hand.isTracked;
    this.#ray.matrix.copy(hand.aim).scale(this.#size.set(1, 1, Math.min(far_m, hasDot ? far_m : 1.4)));
    this.#dot.position.copy(hand.from).addScaledVector(hand.way, far_m);
    this.#dot.scale.setScalar(Math.min(0.004 + far_m * 0.004, 0.05));
  }

  #pose(hand: Hand): void {
    const { joints, radii } = hand;
    for (let i = 0; i < N_JOINTS; i++) {
      this.#matrix.fromArray(joints, i * 16).scale(this.#size.setScalar(radii[i]! || 0.008));
      this.#joints.setMatrixAt(i, this.#matrix);
    }
    BONES.forEach(([a, b], i) => {
      this.#from.fromArray(joints, a * 16 + 12);
      this.#to.fromArray(joints, b * 16 + 12);
      const length = this.#from.distanceTo(this.#to);
      this.#turn.setFromUnitVectors(UP, this.#size.subVectors(this.#to, this.#from).divideScalar(Math.max(length, 1e-5)));
      this.#from.lerp(this.#to, 0.5);
      this.#matrix.compose(this.#from, this.#turn, this.#size.set(BONE_M, length, BONE_M));
      this.#bones.setMatrixAt(i, this.#matrix);
    });
    this.#joints.instanceMatrix.needsUpdate = this.#bones.instanceMatrix.needsUpdate = true;
  }

  dispose(): void {
    this.object.traverse((node) => node instanceof Mesh && node.geometry.dispose());
    for (const material of [this.#skin, this.#trim, this.#ray.material, this.#dot.material]) material.dispose();
    this.object.removeFromParent();
  }
}
