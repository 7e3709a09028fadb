/** placeholder while path.json is being made */
import { Group } from "three";
import type { Mirror } from "../mirror.ts";
import type { AssetLibrary } from "./asset_model.ts";
import type { Fleet } from "./fleet.ts";
export class Bottles {
  readonly group = new Group();
  constructor(_library: AssetLibrary, _mirror: Mirror) {}
  setStructure(_fleets: readonly Fleet[]): void {}
  reset(): void {}
  update(_dt_s: number): boolean { return false; }
  settle(): boolean { return false; }
  counts(): Record<string, number> { return {}; }
}
