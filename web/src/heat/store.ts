/** The quantities and totals of the world that is shown, made when first asked for after a change. */

import type { Mirror } from "../mirror.ts";
import { Quantities } from "./quantities.ts";
import { TotalsIndex } from "./totals.ts";

export class QuantityStore {
  readonly #mirror: Mirror;
  #quantities: Quantities | null = null;
  #totals: TotalsIndex | null = null;

  constructor(mirror: Mirror) {
    this.#mirror = mirror;
    mirror.on("structure", () => {
      this.#quantities = null;
      this.#totals = null;
    });
  }

  get quantities(): Quantities {
    return (this.#quantities ??= new Quantities(this.#mirror));
  }

  get totals(): TotalsIndex {
    return (this.#totals ??= new TotalsIndex(this.#mirror, this.quantities));
  }
}

const stores = new WeakMap<Mirror, QuantityStore>();

/** The one store of a mirror. */
export function storeOf(mirror: Mirror): QuantityStore {
  let store = stores.get(mirror);
  if (store === undefined) stores.set(mirror, (store = new QuantityStore(mirror)));
  return store;
}
