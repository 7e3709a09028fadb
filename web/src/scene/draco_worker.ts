/**
 * Unpacks Draco streams, aside from the page. The server lets this file reach nothing: what it
 * needs is sent to it, first the decoder, then job after job, each answered once.
 *
 * A stream that holds more than was said is refused before its numbers are given room.
 */

import type { Answer } from "./decoder.ts";

/** One stream, and the most that it may hold. */
export interface DracoJob {
  bytes: ArrayBuffer;
  points: number;
  /** Indices, three for each triangle. */
  corners: number;
  attributes: { id: number; componentType: number; width: number }[];
}

export interface DracoMesh {
  points: number;
  /** 32 bits each, lower than `points`. */
  indices: ArrayBuffer;
  /** In the order of the job; from one point to the next it is `stride` bytes. */
  attributes: { bytes: ArrayBuffer; stride: number }[];
}

interface Status {
  ok(): boolean;
  error_msg(): string;
}
interface Mesh {
  ptr: number;
  num_points(): number;
  num_faces(): number;
}
interface Attribute {
  ptr: number;
  num_components(): number;
}
interface Draco {
  HEAPU8: Uint8Array;
  Decoder: new () => DracoDecoder;
  Mesh: new () => Mesh;
  _malloc(size: number): number;
  _free(at: number): void;
  destroy(thing: unknown): void;
  [type: `DT_${string}`]: number;
}
interface DracoDecoder {
  DecodeArrayToMesh(bytes: Int8Array, size: number, mesh: Mesh): Status;
  GetAttributeByUniqueId(mesh: Mesh, id: number): Attribute;
  GetTrianglesUInt32Array(mesh: Mesh, size: number, at: number): boolean;
  GetAttributeDataArrayForAllPoints(mesh: Mesh, attribute: Attribute, type: number, size: number, at: number): boolean;
}
interface Start {
  wrapper: string;
  wasm: ArrayBuffer;
}
interface Room {
  onmessage: ((event: MessageEvent<Start | DracoJob>) => void) | null;
  postMessage(answer: Answer<DracoMesh>, transfer: Transferable[]): void;
  importScripts(url: string): void;
  DracoDecoderModule(options: { wasmBinary: ArrayBuffer; onModuleLoaded(draco: Draco): void }): unknown;
}

const room = globalThis as unknown as Room;
const TYPES: Readonly<Record<number, [name: `DT_${string}`, bytes: number]>> = {
  5120: ["DT_INT8", 1],
  5121: ["DT_UINT8", 1],
  5122: ["DT_INT16", 2],
  5123: ["DT_UINT16", 2],
  5125: ["DT_UINT32", 4],
  5126: ["DT_FLOAT32", 4],
};
let ready: Promise<{ draco: Draco }> | null = null;

room.onmessage = ({ data }) => {
  if ("wrapper" in data) {
    room.importScripts(data.wrapper);
    // In an object, since the module looks like a promise of itself.
    ready = new Promise((resolve) => room.DracoDecoderModule({ wasmBinary: data.wasm, onModuleLoaded: (draco) => resolve({ draco }) }));
    return;
  }
  void ready
    ?.then(({ draco }) => {
      const result = decode(draco, data);
      room.postMessage({ result }, [result.indices, ...result.attributes.map(({ bytes }) => bytes)]);
    })
    .catch((error: unknown) => room.postMessage({ error: error instanceof Error ? error.message : String(error) }, []));
};

/** Nothing is freed where it fails: this worker is ended then. */
function decode(draco: Draco, job: DracoJob): DracoMesh {
  const decoder = new draco.Decoder();
  const mesh = new draco.Mesh();
  const status = decoder.DecodeArrayToMesh(new Int8Array(job.bytes), job.bytes.byteLength, mesh);
  if (!status.ok() || mesh.ptr === 0) throw new Error(`it cannot be unpacked (${status.error_msg().slice(0, 100)})`);
  const points = mesh.num_points();
  const corners = mesh.num_faces() * 3;
  if (points > job.points || corners > job.corners)
    throw new Error(`it unpacks to ${points} vertices and ${corners} corners; the file says ${job.points} and ${job.corners}`);
  const taken = (size: number, fill: (at: number) => boolean): ArrayBuffer => {
    const at = draco._malloc(size);
    if (at === 0 || !fill(at)) throw new Error("its numbers cannot be read");
    const bytes = draco.HEAPU8.slice(at, at + size).buffer as ArrayBuffer;
    draco._free(at);
    return bytes;
  };
  const indices = taken(corners * 4, (at) => decoder.GetTrianglesUInt32Array(mesh, corners * 4, at));
  if (new Uint32Array(indices).some((index) => index >= points)) throw new Error("a corner of it is at no vertex");
  const attributes = job.attributes.map(({ id, componentType, width }) => {
    const attribute = decoder.GetAttributeByUniqueId(mesh, id);
    const [type, bytes] = TYPES[componentType] ?? ["DT_INVALID", 0];
    if (attribute.ptr === 0 || bytes === 0 || attribute.num_components() !== width) throw new Error(`it has no numbers ${id} of the kind that the file says`);
    const size = points * width * bytes;
    const packed = taken(size, (at) => decoder.GetAttributeDataArrayForAllPoints(mesh, attribute, draco[type]!, size, at));
    return padded(packed, width * bytes);
  });
  draco.destroy(mesh);
  draco.destroy(decoder);
  return { points, indices, attributes };
}

/** Each point on a boundary of four bytes (glTF 2.0, 3.6.2.4). */
function padded(bytes: ArrayBuffer, size: number): { bytes: ArrayBuffer; stride: number } {
  const stride = Math.ceil(size / 4) * 4;
  if (stride === size) return { bytes, stride };
  const n = bytes.byteLength / size;
  const out = new Uint8Array(n * stride);
  const from = new Uint8Array(bytes);
  for (let i = 0; i < n; i++) out.set(from.subarray(i * size, (i + 1) * size), i * stride);
  return { bytes: out.buffer, stride };
}
