/**
 * Turns a glTF file with Draco streams into one without: what is drawn then is plain glTF.
 *
 * The streams are unpacked aside, by the decoder of this page (`draco_worker.ts`); the file was
 * looked at before (`checkGltf`), and what comes out is held to what it said. Loaded when a file
 * has such streams.
 */

import wasmUrl from "three/examples/jsm/libs/draco/gltf/draco_decoder.wasm?url";
import wrapperUrl from "three/examples/jsm/libs/draco/gltf/draco_wasm_wrapper.js?url";
import { Decoder } from "./decoder.ts";
import type { DracoJob, DracoMesh } from "./draco_worker.ts";
import { bufferBytes, DRACO, openGltf } from "./gltf_limits.ts";
import type { DracoPart, Json } from "./gltf_limits.ts";

const WIDTHS: Readonly<Record<string, number>> = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4 };
const UNSIGNED_INT = 5125;

const decoder = new Decoder(async () => {
  const response = await fetch(wasmUrl, { credentials: "same-origin" });
  if (!response.ok) throw new Error(`the decoder for Draco is not to be had: the server answered ${response.status}`);
  const wasm = await response.arrayBuffer();
  const worker = new Worker(new URL("./draco_worker.ts", import.meta.url), { name: "draco" });
  worker.postMessage({ wrapper: new URL(wrapperUrl, location.href).href, wasm }, [wasm]);
  return worker;
});

/**
 * The same file with its Draco streams unpacked, as `.glb`.
 *
 * @param parts as `checkGltf` found them
 * @throws Error with one sentence: a stream is broken, holds more than the file says, or takes too long
 */
export async function withoutDraco(file: ArrayBuffer, parts: DracoPart[]): Promise<ArrayBuffer> {
  const { json, binary } = openGltf(file);
  const [meshes, accessors, views, buffers] = ["meshes", "accessors", "bufferViews", "buffers"].map((name) => json[name] as Json[]) as [Json[], Json[], Json[], Json[]];
  const streams = buffers.map((buffer, i) => bufferBytes(buffer, i, binary));
  const pieces: Uint8Array[] = [streams[0] ?? new Uint8Array(0)];
  let size = pieces[0]!.length;
  const put = (bytes: ArrayBuffer, of: Json, more: { count: number; componentType?: number; stride?: number }): number => {
    const pad = (4 - (size % 4)) % 4;
    pieces.push(new Uint8Array(pad), new Uint8Array(bytes));
    const { stride, ...rest } = more;
    views.push({ buffer: 0, byteOffset: size + pad, byteLength: bytes.byteLength, ...(stride === undefined ? {} : { byteStride: stride }) });
    size += pad + bytes.byteLength;
    const plain = { ...of, ...rest, bufferView: views.length - 1 };
    for (const name of ["byteOffset", "sparse"] as const) delete (plain as Json)[name];
    return accessors.push(plain) - 1;
  };
  const done = new Map<string, { indices: number; attributes: Map<number, number> }>();
  for (const part of parts) {
    let plain = done.get(part.key);
    if (plain === undefined) {
      const view = views[part.view]!;
      const from = Number(view["byteOffset"] ?? 0);
      const bytes = streams[Number(view["buffer"])]!.slice(from, from + Number(view["byteLength"])).buffer;
      const first = accessors[part.attributes[0]!.accessor]!;
      const job: DracoJob = {
        bytes,
        points: Number(first["count"]),
        corners: Number(accessors[part.indices]!["count"]),
        attributes: part.attributes.map(({ id, accessor }) => ({
          id,
          componentType: Number(accessors[accessor]!["componentType"]),
          width: WIDTHS[String(accessors[accessor]!["type"])] ?? 0,
        })),
      };
      const mesh = await unpacked(job, part);
      const attributes = new Map(
        part.attributes.map(({ accessor }, i) => [accessor, put(mesh.attributes[i]!.bytes, accessors[accessor]!, { count: mesh.points, stride: mesh.attributes[i]!.stride })]),
      );
      const count = mesh.indices.byteLength / 4;
      plain = { indices: put(mesh.indices, accessors[part.indices]!, { count, componentType: UNSIGNED_INT }), attributes };
      done.set(part.key, plain);
    }
    const primitive = (meshes[part.mesh]!["primitives"] as Json[])[part.primitive]!;
    primitive["indices"] = plain.indices;
    const declared = primitive["attributes"] as Record<string, number>;
    for (const [name, accessor] of Object.entries(declared)) declared[name] = plain.attributes.get(accessor) ?? accessor;
    delete (primitive["extensions"] as Json)[DRACO];
  }
  delete buffers[0]!["uri"];
  buffers[0]!["byteLength"] = size;
  for (const name of ["extensionsUsed", "extensionsRequired"])
    if (Array.isArray(json[name])) json[name] = json[name].filter((each: unknown) => each !== DRACO);
  return glb(json, pieces, size);
}

async function unpacked(job: DracoJob, part: DracoPart): Promise<DracoMesh> {
  try {
    return await decoder.decode<DracoMesh>(job, [job.bytes]);
  } catch (error) {
    throw new Error(`it is broken: the Draco stream of mesh ${part.mesh}: ${(error as Error).message}`);
  }
}

/** A `.glb` of its JSON and the pieces of its binary chunk. */
function glb(json: Json, pieces: Uint8Array[], size: number): ArrayBuffer {
  const text = new TextEncoder().encode(JSON.stringify(json));
  const up = (n: number): number => Math.ceil(n / 4) * 4;
  const all = new Uint8Array(28 + up(text.length) + up(size));
  const head = new DataView(all.buffer);
  [0x46546c67, 2, all.length, up(text.length), 0x4e4f534a].forEach((word, i) => head.setUint32(4 * i, word, true));
  all.fill(0x20, 20, 20 + up(text.length));
  all.set(text, 20);
  let at = 20 + up(text.length);
  head.setUint32(at, up(size), true);
  head.setUint32(at + 4, 0x004e4942, true);
  at += 8;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all.buffer;
}
