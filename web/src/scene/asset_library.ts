/**
 * Where models come from: each is fetched once, looked at before it is decoded, and made ready.
 *
 * A model that people attached (`blob:SHA256`) is drawn as it is: its extras say nothing here. What
 * a file would load from elsewhere is refused, whoever brought it; what cannot be drawn is said
 * once, and a plain body stands for it.
 */

import { Group, LoadingManager, Mesh } from "three";
import type { BufferGeometry, Object3D } from "three";
import type { KTX2Loader } from "three/examples/jsm/loaders/KTX2Loader.js";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
import { apiUrl } from "../rest.ts";
import { readModel } from "./asset_model.ts";
import type { AssetModel } from "./asset_model.ts";
import { STORED, storedLook } from "./look.ts";

/** Whether the graphics card has an extension of WebGL. */
type Has = (extension: string) => boolean;

/** Units from the origin of its mesh that a vertex may be; the same as on the server. */
const REACH_MAX = 1e6;

/** Where an asset of the world, or a file that people attached, is to be had. */
export function assetUrl(name: string): string {
  if (name.startsWith(STORED)) return apiUrl(`blobs/${name.slice(STORED.length)}`).href;
  return apiUrl(`assets/${name}${/\.\w+$/.test(name) ? "" : ".glb"}`).href;
}

/** Loads assets, each once. A name that cannot be loaded is remembered as null and said once. */
export class AssetLibrary {
  readonly #models = new Map<string, AssetModel | null>();
  readonly #loading = new Map<string, Promise<AssetModel | null>>();
  readonly #broken = new Map<string, string>();
  readonly #url: (name: string) => string;
  readonly #has: Has;
  /** Called once for each that cannot be shown. */
  onBroken: (name: string, reason: string) => void = () => {};

  /** @param url address of an asset, or of a stored file named `blob:SHA256` */
  constructor(url: (name: string) => string, has: Has) {
    this.#url = url;
    this.#has = has;
  }

  /** Why something cannot be shown; "": it can, or is not known yet. */
  brokenBy(name: string): string {
    return this.#broken.get(name) ?? "";
  }

  /** The asset as it is in the file, for who arranges its parts on their own; null: not to be had. */
  async loadScene(name: string): Promise<Object3D | null> {
    try {
      return await load(this.#url(name), this.#has);
    } catch (error) {
      console.warn(`scene: the asset '${name}' cannot be shown`, error);
      return null;
    }
  }

  /** undefined: not loaded yet; null: cannot be loaded. */
  get(name: string): AssetModel | null | undefined {
    return this.#models.get(name);
  }

  load(name: string): Promise<AssetModel | null> {
    let loading = this.#loading.get(name);
    if (loading === undefined) {
      const scene = name.startsWith(STORED) ? loadStored(name, this.#url, this.#has) : load(this.#url(name), this.#has);
      loading = scene
        .then((root) => readModel(name, root))
        .catch((error: unknown) => {
          console.warn(`scene: the asset '${name}' cannot be shown; a plain body stands for it`, error);
          const reason = error instanceof Error ? error.message : String(error);
          this.#broken.set(name, reason);
          this.onBroken(name, reason);
          return null;
        })
        .then((model) => {
          this.#models.set(name, model);
          return model;
        });
      this.#loading.set(name, loading);
    }
    return loading;
  }

  /** Loads some, and calls `came` when all are here, and before that at most once every `everyMs`. */
  loadAll(names: ReadonlySet<string>, everyMs: number, came: () => void): void {
    let nLeft = names.size;
    let lastMs = performance.now();
    for (const name of names)
      void this.load(name).then(() => {
        nLeft -= 1;
        const now = performance.now();
        if (nLeft > 0 && now - lastMs < everyMs) return;
        lastMs = now;
        came();
      });
  }
}

async function load(url: string, has: Has): Promise<Object3D> {
  const { checkGltf, LIMITS } = await import("./gltf_limits.ts");
  const file = await fetched(url, LIMITS.bytes);
  const { isMeshopt, isKtx2, draco } = checkGltf(file);
  const bytes = draco.length > 0 ? await (await import("./draco.ts")).withoutDraco(file, draco) : file;
  const sealed = new LoadingManager();
  sealed.setURLModifier((address) => {
    if (!/^(blob|data):/.test(address)) throw new Error(`it would load '${address.slice(0, 100)}' from elsewhere`);
    return address;
  });
  const loader = new GLTFLoader(sealed);
  if (isMeshopt) {
    const { MeshoptDecoder } = await import("three/examples/jsm/libs/meshopt_decoder.module.js");
    loader.setMeshoptDecoder(MeshoptDecoder);
  }
  const pictures = isKtx2 ? new (await import("./ktx2.ts")).Ktx2Loader(sealed, has) : null;
  if (pictures !== null) loader.setKTX2Loader(pictures as unknown as KTX2Loader);
  const { scene } = await loader.parseAsync(bytes, "");
  if (pictures?.failure) throw pictures.failure;
  if (isMeshopt || draco.length > 0) checkUnpacked(scene);
  return scene;
}

/** What a packed file holds is known only now: numbers that are none, or corners at no vertex. */
function checkUnpacked(scene: Object3D): void {
  scene.traverse((node) => {
    if (!(node instanceof Mesh)) return;
    const geometry = node.geometry as BufferGeometry;
    const { index, attributes } = geometry;
    const { count } = attributes["position"]!;
    for (const [name, { count: n }] of Object.entries(attributes))
      if (n !== count) throw new Error(`it is broken: '${name}' has ${n} values for ${count} vertices`);
    for (let i = 0; index !== null && i < index.count; i++)
      if (index.getX(i) >= count) throw new Error(`it is broken: a corner is at vertex ${index.getX(i)} of ${count}`);
    // Where it is, by its numbers rather than by what the file says of them.
    geometry.computeBoundingBox();
    geometry.computeBoundingSphere();
    const { min, max } = geometry.boundingBox!;
    if (![...min.toArray(), ...max.toArray()].every((at) => Math.abs(at) <= REACH_MAX)) throw new Error("it is broken: a vertex is nowhere");
  });
}

/** A file's bytes; one that goes on beyond the limit is let go of. */
async function fetched(url: string, most: number): Promise<ArrayBuffer> {
  const response = await fetch(url, { credentials: "same-origin" });
  if (!response.ok) {
    const problem = (await response.json().catch(() => null)) as { detail?: string } | null;
    throw new Error(problem?.detail ?? `the server answered ${response.status}`);
  }
  const says = Number(response.headers.get("content-length") ?? 0);
  if (says > most) {
    await response.body?.cancel();
    throw new Error(`it has ${Math.round(says / 1e6)} million bytes; at most ${Math.round(most / 1e6)} million are drawn`);
  }
  return response.arrayBuffer();
}

/** A file that people attached. It may hold anything that passed the server. */
async function loadStored(name: string, url: (name: string) => string, has: Has): Promise<Object3D> {
  const look = storedLook(name);
  if (look === null) throw new Error(`'${name.slice(0, 100)}' names no stored file`);
  const scene = await load(url(`${STORED}${look.sha256}`), has);
  scene.traverse((node) => {
    node.userData = {};
  });
  const root = new Group();
  root.add(scene);
  root.scale.setScalar(look.scale);
  if (look.up === "z") root.rotation.x = -Math.PI / 2;
  return root;
}
