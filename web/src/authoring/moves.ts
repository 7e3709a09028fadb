/** Layout edits as the server takes them: poses after a move or a turn, new twins, and ends. */

import { Matrix4, Quaternion, Vector3 } from "three";
import type { Id, Mirror } from "../mirror.ts";
import type { Edit } from "../panels/edit.ts";
import type { DrawnScene } from "./frames.ts";
import { frameOf } from "./frames.ts";

const PARTS_MAX = 2_000;
const UP = new Vector3(0, 1, 0);

/** A twin and all that is part of it. */
export function withParts(mirror: Mirror, id: Id): Id[] {
  const found = [id];
  for (let i = 0; i < found.length && found.length < PARTS_MAX; i++) {
    for (const part of mirror.children(found[i]!)) if (!found.includes(part)) found.push(part);
  }
  return found;
}

/** The edit that puts a twin to where a change of the scene takes it. */
function posed(id: Id, frame: Matrix4): Edit {
  const at = new Vector3();
  const turn = new Quaternion();
  frame.decompose(at, turn, new Vector3());
  const near = (x: number): number => Math.round(x * 1000) / 1000;
  const [qx, qy, qz, qw] = turn.toArray().map((x) => Math.round(x * 1e6) / 1e6) as [number, number, number, number];
  return { "@": "PutPose", twin: id, pose: { x_m: near(at.x), y_m: near(at.y), z_m: near(at.z), qx, qy, qz, qw } };
}

/** The edits that change where twins stand, with those of their parts that have places of their own. */
function changed(mirror: Mirror, scene: DrawnScene, ids: Iterable<Id>, change: (id: Id) => Matrix4): Edit[] {
  const edits = new Map<Id, Edit>();
  for (const id of ids) {
    const by = change(id);
    for (const part of withParts(mirror, id)) {
      if (edits.has(part) || (part !== id && mirror.twins.get(part)?.pose == null)) continue;
      const frame = frameOf(mirror, scene, part);
      if (frame !== null) edits.set(part, posed(part, by.clone().multiply(frame)));
    }
  }
  return [...edits.values()];
}

export function moved(mirror: Mirror, scene: DrawnScene, ids: Iterable<Id>, by: (id: Id) => { dx: number; dz: number }): Edit[] {
  return changed(mirror, scene, ids, (id) => new Matrix4().makeTranslation(by(id).dx, 0, by(id).dz));
}

/** Turned about the upright line through the middle of each. */
export function turned(mirror: Mirror, scene: DrawnScene, ids: Iterable<Id>, degrees: number): Edit[] {
  return changed(mirror, scene, ids, (id) => {
    const middle = scene.boundsOf(id)?.getCenter(new Vector3()) ?? new Vector3();
    return new Matrix4()
      .makeTranslation(middle)
      .multiply(new Matrix4().makeRotationAxis(UP, (degrees * Math.PI) / 180))
      .multiply(new Matrix4().makeTranslation(middle.clone().negate()));
  });
}

/** A new twin of a type, part of what `beside` is part of, or of that itself if it has parts. */
export function placed(mirror: Mirror, type: Id, at: Vector3, beside: Id | null): { id: Id; edits: Edit[] } {
  const whole = beside === null ? undefined : (mirror.parent(beside) ?? (mirror.children(beside).length > 0 ? beside : undefined));
  const short = (type.split(/[/#:]/).at(-1) ?? type).toLowerCase().replace(/[^a-z0-9_-]+/g, "-") || "twin";
  const base = whole === undefined ? short : `${whole}/${short}`;
  let n = 1;
  while (mirror.twins.has(`${base}-${n}`)) n++;
  const id = `${base}-${n}`;
  const name = `${mirror.typeName(type)} ${n}`;
  const edits: Edit[] = [
    { "@": "PutTwin", twin: { id, type, name: { "": name }, pose: { x_m: Math.round(at.x * 1000) / 1000, y_m: Math.round(at.y * 1000) / 1000, z_m: Math.round(at.z * 1000) / 1000 } } },
  ];
  if (whole !== undefined) edits.push({ "@": "PutRelation", relation: { kind: "part_of", source: id, target: whole } });
  return { id, edits };
}

/** Ends twins and all that is part of them. */
export function ended(mirror: Mirror, ids: Iterable<Id>): Edit[] {
  const all = new Set([...ids].flatMap((id) => withParts(mirror, id)));
  return [...all].reverse().map((id) => ({ "@": "DropTwin", id }));
}
