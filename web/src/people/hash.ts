/** One number for all that a page shows of a world, so that two pages can be found to agree. */

import type { Mirror } from "../mirror.ts";

/**
 * Structure, values, their quality and times, as 16 hexadecimal digits. Two pages that may see the
 * same, at the same position or at the same moment of the past, have the same.
 */
export function mirrorHash(mirror: Mirror): string {
  const hash = new Fnv();
  hash.text(mirror.branch ?? "");
  for (const id of [...mirror.twins.keys()].sort()) {
    hash.text(id);
    hash.number(mirror.ordinal(id));
    hash.text(JSON.stringify(mirror.twins.get(id)));
    for (const handle of mirror.handlesOf(id)) hash.number(handle);
  }
  for (const key of [...mirror.relations.keys()].sort()) hash.text(key);
  const n = mirror.nPoints;
  for (let handle = 0; handle < n; handle++) {
    hash.number(mirror.value[handle]!);
    hash.number(mirror.status[handle]!);
    hash.number(mirror.timeMs[handle]!);
    const text = mirror.texts.get(handle);
    if (text !== undefined) hash.text(JSON.stringify(text));
  }
  return hash.digest();
}

/** FNV-1a, twice with different beginnings: 64 bits without big integers. */
class Fnv {
  #low = 0x811c9dc5;
  #high = 0xcbf29ce4;
  readonly #double = new Float64Array(1);
  readonly #bytes = new Uint8Array(this.#double.buffer);

  #byte(byte: number): void {
    this.#low = Math.imul(this.#low ^ byte, 0x01000193);
    this.#high = Math.imul(this.#high ^ byte ^ (this.#low & 0xff), 0x01000193);
  }

  number(value: number): void {
    this.#double[0] = Number.isNaN(value) ? NaN : value;
    for (const byte of this.#bytes) this.#byte(byte);
  }

  text(text: string): void {
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      this.#byte(code & 0xff);
      this.#byte(code >> 8);
    }
    this.#byte(0xff);
  }

  digest(): string {
    return [this.#high, this.#low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
  }
}
