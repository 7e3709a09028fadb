/**
 * What moves of itself as values do: machines and vehicles, bottles on a line, media in pipes. Where
 * time stands still, or somebody wants stillness, all is put where it then was.
 *
 * Knows how fast time goes. Knows nothing of pictures: when they are drawn, and what else is in them.
 */

import type { Mirror } from "../mirror.ts";
import type { Bottles } from "./bottles.ts";
import type { Fleet } from "./fleet.ts";
import { PointReader } from "./point_reader.ts";
import type { Population } from "./population.ts";
import { Channel } from "./twin_state.ts";
import type { TwinStates } from "./twin_state.ts";

/** The past is played no faster than this many times, as far as bodies go. */
const PACE_MAX = 20;

export class Motion {
  readonly #mirror: Mirror;
  readonly #states: TwinStates;
  readonly #bottles: Bottles;
  readonly #gone: (fleet: Fleet) => void;
  readonly #points: PointReader;

  /** @param gone is told of vehicles that have gone on */
  constructor(mirror: Mirror, states: TwinStates, bottles: Bottles, gone: (fleet: Fleet) => void) {
    this.#mirror = mirror;
    this.#states = states;
    this.#bottles = bottles;
    this.#gone = gone;
    this.#points = new PointReader(mirror);
  }

  /** Structure has changed: points are looked up anew. */
  forget(): void {
    this.#points.forget();
  }

  /**
   * Moves all by `dt_s`.
   *
   * @param time_s by which media flow
   * @returns whether bodies stand elsewhere now, and whether there is more to come
   */
  update(population: Population, dt_s: number, time_s: number, isStill: boolean): { hasMoved: boolean; goesOn: boolean } {
    const { time, link } = this.#mirror;
    const runs = (time.live && link.state === "live") || (!time.live && time.speed > 0);
    const read = (ordinal: number, point: string): number => this.#points.read(ordinal, point);
    const fleets = population.fleets.filter((fleet) => fleet.isMoving);
    let hasMoved = false;
    if (!runs || isStill) {
      for (const fleet of fleets)
        if (fleet.put(read)) {
          hasMoved = true;
          if (fleet.gone.size > 0) this.#gone(fleet);
        }
      hasMoved = this.#bottles.settle() || hasMoved;
      return { hasMoved, goesOn: false };
    }
    const paced_s = dt_s * (time.live ? 1 : Math.min(time.speed, PACE_MAX));
    const isStale = (ordinal: number): boolean => this.#states.get(ordinal, Channel.Stale) > 0;
    for (const fleet of fleets)
      if (fleet.update(read, paced_s, isStale)) {
        hasMoved = true;
        if (fleet.gone.size > 0) this.#gone(fleet);
      }
    hasMoved = this.#bottles.update(paced_s) || hasMoved;
    const hasPipes = population.pipes.count > 0;
    if (hasPipes) population.pipes.setTime(time_s);
    return { hasMoved, goesOn: hasMoved || hasPipes };
  }
}
