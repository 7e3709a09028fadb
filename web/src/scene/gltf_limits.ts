/**
 * Whether a glTF file may be drawn: looked at before anything of it is decoded or given room.
 *
 * A file is somebody else's: it may be broken, far too large once it is unpacked, or ask for
 * addresses. Each refusal is a sentence that says what was too much. glTF 2.0 (ISO/IEC 12113:2022);
 * knows no renderer.
 */

import { dracoTriangles, isKtx2, ktx2Size } from "./packed_heads.ts";

export interface GltfLimits {
  bytes: number;
  /** What all numbers of the file take when unpacked, sparse and compressed ones too. */
  unpackedBytes: number;
  /** Drawn, so each mesh as often as nodes show it. */
  triangles: number;
  nodes: number;
  depth: number;
  images: number;
  /** Width times height, of all images together. */
  pixels: number;
}

const MIB = 1024 * 1024;
export const LIMITS: GltfLimits = {
  bytes: 128 * MIB,
  unpackedBytes: 512 * MIB,
  triangles: 3_000_000,
  nodes: 20_000,
  depth: 64,
  images: 64,
  pixels: 96_000_000,
};

export const DRACO = "KHR_draco_mesh_compression";
/** What the loader of this page decodes without asking for anything. */
const KNOWN = new Set([
  "EXT_mesh_gpu_instancing", "EXT_meshopt_compression", "EXT_texture_webp", DRACO, "KHR_lights_punctual", "KHR_materials_anisotropy",
  "KHR_materials_clearcoat", "KHR_materials_dispersion", "KHR_materials_emissive_strength", "KHR_materials_ior",
  "KHR_materials_iridescence", "KHR_materials_sheen", "KHR_materials_specular", "KHR_materials_transmission",
  "KHR_materials_unlit", "KHR_materials_volume", "KHR_mesh_quantization", "KHR_meshopt_compression", "KHR_texture_basisu", "KHR_texture_transform",
]);
const COMPONENT_BYTES: Readonly<Record<number, number>> = { 5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4 };
const COMPONENTS: Readonly<Record<string, number>> = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4, MAT2: 4, MAT3: 9, MAT4: 16 };

export type Json = Record<string, unknown>;

/** A mesh's part that is a Draco stream, and what it says that it unpacks to. */
export interface DracoPart {
  mesh: number;
  primitive: number;
  /** The bufferView of the stream. */
  view: number;
  indices: number;
  /** Each number in the stream by its id, and the accessor that says what it is. */
  attributes: { id: number; accessor: number }[];
  /** The same for parts that need to be unpacked once. */
  key: string;
}

/** What a file says that matters for drawing it. */
export interface Checked {
  /** Whether a decoder for meshopt is needed. */
  isMeshopt: boolean;
  /** Whether one for KTX2 is. */
  isKtx2: boolean;
  draco: DracoPart[];
  triangles: number;
}

/**
 * Looks at a file, binary (`.glb`) or as JSON (`.gltf`).
 *
 * @throws Error with one sentence that names what is wrong or too much
 */
export function checkGltf(bytes: ArrayBuffer, limits: GltfLimits = LIMITS): Checked {
  atMost(bytes.byteLength, limits.bytes, "bytes");
  const { json, binary } = openGltf(bytes);
  const version = text((json["asset"] as Json | undefined)?.["version"]);
  if (!version.startsWith("2.")) throw new Error(`it is glTF '${version.slice(0, 20)}', and only 2.0 is drawn`);
  for (const name of list(json["extensionsRequired"]).map(text))
    if (!KNOWN.has(name)) throw new Error(`it needs '${name.slice(0, 60)}', which this page cannot decode`);
  const views = list(json["bufferViews"]) as Json[];
  const buffers = list(json["buffers"]) as Json[];
  buffers.forEach((buffer, i) => checkBuffer(buffer, i, binary));
  checkViews(views, buffers);
  const isMeshopt = views.some((view) => meshopt(view) !== undefined);
  const sum = checkNumbers(json, views, limits);
  const bytesOf = viewBytes(json, binary);
  const draco = checkDraco(json, bytesOf, sum, limits);
  const isKtx2 = checkImages(json, bytesOf, limits);
  return { isMeshopt, isKtx2, draco, triangles: checkNodes(json, limits) };
}

/**
 * The JSON of a file and its binary chunk.
 *
 * @throws Error: it is broken
 */
export function openGltf(bytes: ArrayBuffer): { json: Json; binary: Uint8Array | null } {
  const view = new DataView(bytes);
  const isBinary = bytes.byteLength >= 12 && view.getUint32(0, true) === 0x46546c67;
  let all = new Uint8Array(bytes);
  let binary: Uint8Array | null = null;
  if (isBinary) {
    let at = 12;
    let text: Uint8Array<ArrayBuffer> | null = null;
    while (at + 8 <= bytes.byteLength) {
      const length = view.getUint32(at, true);
      const kind = view.getUint32(at + 4, true);
      if (at + 8 + length > bytes.byteLength) throw new Error("it is cut short: a chunk reaches beyond the file's end");
      const chunk = new Uint8Array(bytes, at + 8, length);
      if (kind === 0x4e4f534a) text ??= chunk;
      else if (kind === 0x004e4942) binary ??= chunk;
      at += 8 + length;
    }
    if (text === null) throw new Error("it is broken: a .glb without its JSON");
    all = text;
  }
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(all));
    if (typeof json !== "object" || json === null || Array.isArray(json)) throw new Error("no object");
    return { json: json as Json, binary };
  } catch {
    throw new Error("it is broken: its JSON cannot be read");
  }
}

/** Addresses other than data: are refused, whatever they are for. */
function checkUri(uri: unknown, what: string): void {
  if (uri !== undefined && !/^data:/i.test(text(uri))) throw new Error(`it would load '${text(uri).slice(0, 100)}' from elsewhere (${what})`);
}

function checkBuffer(buffer: Json, i: number, binary: Uint8Array | null): void {
  checkUri(buffer["uri"], `buffer ${i}`);
  const length = count(buffer["byteLength"], `buffer ${i}`);
  const isFallback = buffer["extensions"] !== undefined; // Of EXT_meshopt_compression: room that is never read.
  if (isFallback && buffer["uri"] === undefined) return;
  const has = buffer["uri"] === undefined ? (i === 0 ? binary?.byteLength ?? 0 : 0) : (text(buffer["uri"]).length * 3) / 4;
  if (length > has) throw new Error(`it is broken: buffer ${i} says ${length} bytes and has ${Math.floor(has)}`);
}

const MESHOPT_MODES = new Set(["ATTRIBUTES", "TRIANGLES", "INDICES"]);

function meshopt(view: Json): Json | undefined {
  const extensions = view["extensions"] as Json | undefined;
  return (extensions?.["EXT_meshopt_compression"] ?? extensions?.["KHR_meshopt_compression"]) as Json | undefined;
}

function checkViews(views: Json[], buffers: Json[]): void {
  views.forEach((view, i) => {
    for (const part of [view, meshopt(view)]) {
      if (part === undefined) continue;
      const buffer = buffers[count(part["buffer"], `bufferView ${i}`)];
      const end = count(part["byteOffset"] ?? 0, `bufferView ${i}`) + count(part["byteLength"], `bufferView ${i}`);
      if (buffer === undefined || end > Number(buffer["byteLength"])) throw new Error(`it is broken: bufferView ${i} reaches beyond its buffer`);
    }
  });
}

/** All numbers together, as they are when unpacked: a few bytes may claim to be very many. */
function checkNumbers(json: Json, views: Json[], limits: GltfLimits): number {
  let sum = 0;
  views.forEach((view, i) => {
    const packed = meshopt(view);
    if (packed === undefined) return;
    const unpacked = count(packed["count"], `bufferView ${i}`) * count(packed["byteStride"], `bufferView ${i}`);
    sum += unpacked;
    atMost(sum, limits.unpackedBytes, "bytes when unpacked");
    if (!MESHOPT_MODES.has(text(packed["mode"]))) throw new Error(`it is broken: bufferView ${i} is packed in no known way`);
    if (unpacked !== view["byteLength"]) throw new Error(`it is broken: bufferView ${i} unpacks to ${unpacked} bytes and says ${String(view["byteLength"])}`);
  });
  (list(json["accessors"]) as Json[]).forEach((accessor, i) => {
    const size = (COMPONENT_BYTES[Number(accessor["componentType"])] ?? NaN) * (COMPONENTS[text(accessor["type"])] ?? NaN);
    if (Number.isNaN(size)) throw new Error(`it is broken: accessor ${i} is of no known type`);
    const n = count(accessor["count"], `accessor ${i}`);
    sum += n * size;
    if (accessor["bufferView"] === undefined) return;
    const view = views[count(accessor["bufferView"], `accessor ${i}`)];
    if (view === undefined) throw new Error(`it is broken: accessor ${i} reads no bufferView`);
    const stride = Number(view["byteStride"] ?? size);
    const end = count(accessor["byteOffset"] ?? 0, `accessor ${i}`) + (n > 0 ? (n - 1) * stride + size : 0);
    if (end > Number(view["byteLength"])) throw new Error(`it is broken: accessor ${i} reads beyond its bufferView`);
  });
  atMost(sum, limits.unpackedBytes, "bytes when unpacked");
  return sum;
}

/** Draco streams whose own heads agree with what the file says of them. */
function checkDraco(json: Json, bytesOf: ViewBytes, sum: number, limits: GltfLimits): DracoPart[] {
  const accessors = list(json["accessors"]) as Json[];
  const found: DracoPart[] = [];
  const seen = new Set<string>();
  (list(json["meshes"]) as Json[]).forEach((mesh, m) =>
    (list(mesh["primitives"]) as Json[]).forEach((primitive, p) => {
      const about = (primitive["extensions"] as Json | undefined)?.[DRACO] as Json | undefined;
      if (about === undefined) return;
      const where = `the Draco stream of mesh ${m}`;
      if ((primitive["mode"] ?? 4) !== 4) throw new Error(`it is broken: ${where} has no triangles`);
      const indices = count(primitive["indices"], where);
      const declared = (primitive["attributes"] ?? {}) as Json;
      const attributes = Object.entries((about["attributes"] ?? {}) as Json).map(([name, id]) => ({
        id: count(id, where),
        accessor: count(declared[name], where),
      }));
      const parts = [indices, ...attributes.map(({ accessor }) => accessor)].map((i) => accessors[i]);
      const positions = accessors[Number(declared["POSITION"])];
      const isWhole = attributes.some(({ accessor }) => accessor === declared["POSITION"]);
      if (positions === undefined || !isWhole || parts.includes(undefined)) throw new Error(`it is broken: ${where} reads no accessor`);
      if (parts.slice(1).some((each) => each!["count"] !== positions["count"])) throw new Error(`it is broken: ${where} has parts of unlike lengths`);
      const view = count(about["bufferView"], where);
      const bytes = bytesOf(view);
      if (bytes === null) throw new Error(`it is broken: ${where} is not in the file`);
      let triangles;
      try {
        triangles = dracoTriangles(bytes);
      } catch (error) {
        throw new Error(`it is broken: ${where}: ${(error as Error).message}`);
      }
      const says = count(parts[0]!["count"], where) / 3;
      if (triangles > says) throw new Error(`it is broken: ${where} holds ${short(triangles)} triangles and says ${short(says)}`);
      const key = JSON.stringify([view, indices, attributes]);
      if (!seen.has(key)) sum += parts.reduce((bytes, each) => bytes + Number(each!["count"]) * 4 * (COMPONENTS[text(each!["type"])] ?? 16), 0);
      seen.add(key);
      atMost(sum, limits.unpackedBytes, "bytes when unpacked");
      found.push({ mesh: m, primitive: p, view, indices, attributes, key });
    }),
  );
  return found;
}

/** Whether one of the images is KTX2. */
function checkImages(json: Json, bytesOf: ViewBytes, limits: GltfLimits): boolean {
  const images = list(json["images"]) as Json[];
  atMost(images.length, limits.images, "images");
  let pixels = 0;
  let isAny = false;
  images.forEach((image, i) => {
    checkUri(image["uri"], `image ${i}`);
    const uri = image["uri"] === undefined ? null : text(image["uri"]);
    const bytes = uri === null ? bytesOf(Number(image["bufferView"])) : dataBytes(uri);
    let size: [number, number] | null = null;
    if (bytes !== null && isKtx2(bytes)) {
      isAny = true;
      try {
        size = ktx2Size(bytes, uri === null ? bytes.length : (uri.length * 3) / 4);
      } catch (error) {
        throw new Error(`it is broken: image ${i}, in KTX2: ${(error as Error).message}`);
      }
    } else if (bytes !== null) size = imageSize(bytes);
    if (size === null) throw new Error(`it is broken: image ${i} is no PNG, JPEG, WebP or KTX2`);
    pixels += size[0] * size[1];
  });
  atMost(pixels, limits.pixels, "pixels of images");
  return isAny;
}

type ViewBytes = (view: number) => Uint8Array | null;

/** Reads bufferViews; null: it is not there. */
function viewBytes(json: Json, binary: Uint8Array | null): ViewBytes {
  const views = list(json["bufferViews"]) as Json[];
  const buffers = list(json["buffers"]) as Json[];
  const read = new Map<number, Uint8Array | null>();
  return (i) => {
    const view = views[i];
    const buffer = Number(view?.["buffer"]);
    if (view === undefined || buffers[buffer] === undefined) return null;
    if (!read.has(buffer)) read.set(buffer, bufferBytes(buffers[buffer], buffer, binary));
    const from = Number(view["byteOffset"] ?? 0);
    return read.get(buffer)?.subarray(from, from + Number(view["byteLength"])) ?? null;
  };
}

/** All of a buffer; null: it has none. */
export function bufferBytes(buffer: Json, i: number, binary: Uint8Array | null): Uint8Array | null {
  if (buffer["uri"] === undefined) return i === 0 ? binary : null;
  return dataBytes(text(buffer["uri"]), Infinity);
}

/** The first bytes of a data URI: enough to say how large a picture is. */
function dataBytes(uri: string, letters = 400_000): Uint8Array | null {
  const match = /^data:[^,]*;base64,/i.exec(uri);
  if (match === null) return null;
  try {
    const head = uri.slice(match[0].length, match[0].length + letters);
    return Uint8Array.from(atob(head.slice(0, head.length - (head.length % 4))), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}

/** Width and height that a PNG, JPEG or WebP says of itself; null: it is none of them. */
export function imageSize(bytes: Uint8Array): [number, number] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const letters = (at: number, n: number): string => String.fromCharCode(...bytes.subarray(at, at + n));
  if (bytes.length >= 24 && letters(1, 3) === "PNG") return [view.getUint32(16), view.getUint32(20)];
  if (bytes.length >= 30 && letters(0, 4) === "RIFF" && letters(8, 4) === "WEBP") {
    const kind = letters(12, 4);
    if (kind === "VP8 ") return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
    if (kind === "VP8L") return [(view.getUint32(21, true) & 0x3fff) + 1, ((view.getUint32(21, true) >> 14) & 0x3fff) + 1];
    return [(view.getUint32(24, true) & 0xffffff) + 1, (view.getUint32(26, true) >>> 8) + 1];
  }
  if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) return null;
  // JPEG (ITU-T T.81, annex B): segment after segment until a frame header, SOF0…SOF15.
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]!;
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc)
      return [view.getUint16(at + 7), view.getUint16(at + 5)];
    at += 2 + view.getUint16(at + 2);
  }
  return null;
}

/** Counts what would be drawn; a tree that is no tree, or has no end, is refused. */
function checkNodes(json: Json, limits: GltfLimits): number {
  const nodes = list(json["nodes"]) as Json[];
  atMost(nodes.length, limits.nodes, "nodes");
  const accessors = list(json["accessors"]) as Json[];
  const nOf = (index: unknown): number => Number(accessors[Number(index)]?.["count"] ?? 0);
  const perMesh = (list(json["meshes"]) as Json[]).map((mesh) =>
    (list(mesh["primitives"]) as Json[]).reduce((sum, { indices, attributes }) => {
      return sum + nOf(indices ?? (attributes as Json | undefined)?.["POSITION"]) / 3;
    }, 0),
  );
  let triangles = 0;
  const seen = new Set<number>();
  const due: [number, number][] = (list(json["scenes"]) as Json[]).flatMap((scene) => list(scene["nodes"])).map((index) => [Number(index), 1]);
  for (let next = due.pop(); next !== undefined; next = due.pop()) {
    const [index, depth] = next;
    const node = nodes[index];
    if (node === undefined) throw new Error(`it is broken: there is no node ${index}`);
    if (seen.has(index)) throw new Error(`it is broken: node ${index} is in two places, or within itself`);
    seen.add(index);
    atMost(depth, limits.depth, "nodes within one another");
    const instances = ((node["extensions"] as Json | undefined)?.["EXT_mesh_gpu_instancing"] as Json | undefined)?.["attributes"] as Json | undefined;
    const times = instances === undefined ? 1 : Math.max(...Object.values(instances).map(nOf), 0);
    if (node["mesh"] !== undefined) triangles += (perMesh[Number(node["mesh"])] ?? 0) * times;
    atMost(triangles, limits.triangles, "triangles");
    for (const child of list(node["children"])) due.push([Number(child), depth + 1]);
  }
  return triangles;
}

function atMost(n: number, limit: number, what: string): void {
  if (n > limit) throw new Error(`it has ${short(n)} ${what}; at most ${short(limit)} are drawn`);
}

function short(n: number): string {
  if (n >= 10 * MIB) return `${Math.round(n / 1e6).toLocaleString("en")} million`;
  return Math.round(n).toLocaleString("en");
}

function count(value: unknown, where: string): number {
  const n = Number(value);
  if (!Number.isInteger(n) || n < 0) throw new Error(`it is broken: ${where} has a number that is none`);
  return n;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
