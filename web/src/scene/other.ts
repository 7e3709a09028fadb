/** From how twins differ in another world to what is drawn of it. Nothing here is given to the GPU. */

import { Vector3 } from "three";
import type { Matrix4 } from "three";
import type { Twin } from "../mirror.ts";
import type { AssetLibrary } from "./asset_library.ts";
import { formFor, formGeometry } from "./bodies.ts";
import { poseMatrix } from "./build.ts";
import type { Difference, Ghost } from "./ghosts.ts";
import { assetName } from "./look.ts";
import type { Shape } from "./outline.ts";
import type { Population } from "./population.ts";

/** A twin that is another one in the other world. */
export interface OtherTwin {
  /** In the world that is shown; -1: it is only in the other. */
  ordinal: number;
  difference: Difference;
  /** The twin as it is there; null: it is not there. */
  twin: Twin | null;
  /** Its look there, as a geometry says it. */
  geometry: string;
  /** What its label says of the difference; "": nothing. */
  note: string;
}

const FOOT_M = 0.08;

/** What is drawn of them, as far as they have a place. */
export function ghostsOf(others: readonly OtherTwin[], population: Population, library: AssetLibrary): Ghost[] {
  const ghosts: Ghost[] = [];
  for (const other of others) {
    const there = other.twin === null ? null : poseMatrix(other.twin);
    if (other.ordinal < 0) {
      if (there !== null) ghosts.push({ shapes: shapesOf(other, there, library), difference: other.difference, way: null });
      continue;
    }
    const shapes = population.shapes(other.ordinal);
    const here = population.placeOf(other.ordinal);
    if (other.difference !== "place" || there === null || here === undefined) {
      ghosts.push({ shapes, difference: other.difference, way: null });
      continue;
    }
    const move = there.clone().multiply(here.clone().invert());
    const moved = shapes.map((shape) => ({ ...shape, matrix: move.clone().multiply(shape.matrix) }));
    const at = population.boundsOf(other.ordinal)?.getCenter(new Vector3()) ?? new Vector3().setFromMatrixPosition(here);
    const to = at.clone().applyMatrix4(move);
    at.y = to.y = FOOT_M;
    ghosts.push({ shapes: moved, difference: other.difference, way: at.distanceTo(to) > 0.05 ? [at, to] : null });
  }
  return ghosts;
}

function shapesOf(other: OtherTwin, there: Matrix4, library: AssetLibrary): Shape[] {
  const model = library.get(assetName(other.geometry));
  if (model != null)
    return model.parts.map((part) => {
      const matrix = there.clone();
      const chain: number[] = [];
      for (let j = part.joint; j >= 0; j = model.joints[j]!.parent) chain.unshift(j);
      for (const j of chain) matrix.multiply(model.joints[j]!.rest);
      return { geometry: part.geometry, matrix };
    });
  const form = formFor(other.twin?.type ?? "", other.twin?.id ?? "", 1);
  return [{ geometry: formGeometry(form), matrix: there }];
}
