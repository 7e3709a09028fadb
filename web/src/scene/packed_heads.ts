/**
 * What packed parts of a glTF file say of themselves in their first bytes, and whether that is
 * possible: read before anything is unpacked, since a few bytes may claim to be very many.
 *
 * Draco bitstream 2.2 (Draco specification, 3 and 4) and KTX 2.0 as KHR_texture_basisu takes it.
 */

const METADATA = 0x8000;

/**
 * Triangles that a Draco stream says it has.
 *
 * @throws Error: it is none of a mesh, or is cut short
 */
export function dracoTriangles(bytes: Uint8Array): number {
  if (bytes.length < 11 || String.fromCharCode(...bytes.subarray(0, 5)) !== "DRACO") throw new Error("it is no Draco stream");
  const [major, minor, kind, method] = bytes.subarray(5, 9) as unknown as [number, number, number, number];
  if (major !== 2 || minor !== 2) throw new Error(`it is Draco ${major}.${minor}; 2.2 is what glTF has`);
  if (kind !== 1 || method > 1) throw new Error("it is no mesh");
  if ((bytes[9]! | (bytes[10]! << 8)) & METADATA) throw new Error("it has metadata, which glTF does not have there");
  let at = 11;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < 5; i++) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("it is cut short");
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new Error("a number in it does not end");
  };
  if (method === 1) {
    at++; // Edgebreaker: how it is walked, and how many vertices were encoded.
    varint();
  }
  return varint();
}

const KTX2 = [0xab, 0x4b, 0x54, 0x58, 0x20, 0x32, 0x30, 0xbb, 0x0d, 0x0a, 0x1a, 0x0a];
const ETC1S = 163;
const UASTC = 166;
const BLOCK_BYTES = 16;
/** How each kind of picture may be packed once more: BasisLZ; not, or Zstandard. */
const SCHEMES: Readonly<Record<number, readonly number[]>> = { [ETC1S]: [1], [UASTC]: [0, 2] };

export function isKtx2(bytes: Uint8Array): boolean {
  return KTX2.every((byte, i) => bytes[i] === byte);
}

/**
 * Width and height in pixels that a KTX2 picture has.
 *
 * @param bytes the whole of it, or its beginning as far as its levels are named
 * @param size of the whole, bytes
 * @throws Error: it is no picture in Basis Universal, or its parts do not fit
 */
export function ktx2Size(bytes: Uint8Array, size: number): [number, number] {
  if (bytes.length < 104) throw new Error("it is cut short");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = (i: number): number => view.getUint32(12 + 4 * i, true);
  const long = (offset: number): number => Number(view.getBigUint64(offset, true));
  const [format, width, height, depth, layers, faces, levels, scheme] = [at(0), at(2), at(3), at(4), at(5), at(6), at(7), at(8)] as const;
  if (format !== 0 || depth !== 0 || layers !== 0 || faces !== 1) throw new Error("it is no flat picture in Basis Universal");
  if (width === 0 || height === 0 || width % 4 !== 0 || height % 4 !== 0) throw new Error(`its sides, ${width} × ${height}, are no multiples of 4`);
  if (levels < 1 || levels > Math.floor(Math.log2(Math.max(width, height))) + 1) throw new Error(`it has ${levels} levels`);
  const about = at(9);
  if (about + 13 > bytes.length || 80 + 24 * levels > bytes.length) throw new Error("it is cut short");
  const model = bytes[about + 12]!;
  if (!SCHEMES[model]?.includes(scheme)) throw new Error("it is neither ETC1S nor UASTC");
  if (long(64) + long(72) > size) throw new Error("it is cut short");
  for (let i = 0; i < levels; i++) {
    const [from, length, plain] = [long(80 + 24 * i), long(88 + 24 * i), long(96 + 24 * i)];
    if (from + length > size) throw new Error("it is cut short");
    const blocks = Math.ceil(Math.max(1, width >> i) / 4) * Math.ceil(Math.max(1, height >> i) / 4);
    const says = scheme === 0 ? length : plain;
    if (model === UASTC && says !== blocks * BLOCK_BYTES) throw new Error(`level ${i} has ${says} bytes; ${blocks * BLOCK_BYTES} are right`);
  }
  return [width, height];
}
