/**
 * Pictures in KTX2 for the glTF loader: looked at, then made into what this graphics card takes,
 * aside (`ktx2_worker.ts`). Loaded when a file has such pictures.
 */

import { CompressedTexture, LinearFilter, LinearMipmapLinearFilter, Loader, RGBA_ASTC_4x4_Format, RGBA_BPTC_Format, RGBA_ETC2_EAC_Format, RGBAFormat } from "three";
import type { CompressedPixelFormat, LoadingManager } from "three";
import wrapperUrl from "three/examples/jsm/libs/basis/basis_transcoder.js?url";
import wasmUrl from "three/examples/jsm/libs/basis/basis_transcoder.wasm?url";
import { Decoder } from "./decoder.ts";
import type { Picture, PictureJob } from "./ktx2_worker.ts";
import { ktx2Size } from "./packed_heads.ts";

/** Formats of the graphics card by the extension that has each, the best first. */
const FORMATS: readonly [extension: string, transcoders: number, ours: number][] = [
  ["EXT_texture_compression_bptc", 7, RGBA_BPTC_Format],
  ["WEBGL_compressed_texture_astc", 10, RGBA_ASTC_4x4_Format],
  ["WEBGL_compressed_texture_etc", 1, RGBA_ETC2_EAC_Format],
];
const PLAIN = ["", 13, RGBAFormat] as const;

const decoder = new Decoder(async () => {
  const response = await fetch(wasmUrl, { credentials: "same-origin" });
  if (!response.ok) throw new Error(`the decoder for KTX2 is not to be had: the server answered ${response.status}`);
  const wasm = await response.arrayBuffer();
  const worker = new Worker(new URL("./ktx2_worker.ts", import.meta.url), { name: "ktx2" });
  worker.postMessage({ wrapper: new URL(wrapperUrl, location.href).href, wasm }, [wasm]);
  return worker;
});

export class Ktx2Loader extends Loader<CompressedTexture> {
  readonly #has: (extension: string) => boolean;
  /** Why a picture could not be had: the loader of models goes on without it, and says nothing. */
  failure: Error | null = null;

  /** @param has whether the graphics card has an extension of WebGL */
  constructor(manager: LoadingManager, has: (extension: string) => boolean) {
    super(manager);
    this.#has = has;
  }

  override load(url: string, onLoad: (texture: CompressedTexture) => void, _: unknown, onError: (error: unknown) => void): void {
    this.#texture(this.manager.resolveURL(url)).then(onLoad, onError);
  }

  async #texture(url: string): Promise<CompressedTexture> {
    const bytes = await (await fetch(url)).arrayBuffer();
    try {
      const [width, height] = ktx2Size(new Uint8Array(bytes), bytes.byteLength);
      const [, format, ours] = FORMATS.find(([extension]) => this.#has(extension)) ?? PLAIN;
      const job: PictureJob = { bytes, format, width, height };
      const { levels } = await decoder.decode<Picture>(job, [bytes]);
      const mipmaps = levels.map(({ bytes, ...size }) => ({ data: bytes, ...size }));
      const texture = new CompressedTexture(mipmaps, width, height, ours as CompressedPixelFormat);
      texture.minFilter = levels.length > 1 ? LinearMipmapLinearFilter : LinearFilter;
      texture.magFilter = LinearFilter;
      texture.needsUpdate = true;
      return texture;
    } catch (error) {
      this.failure ??= new Error(`it is broken: a picture in KTX2: ${(error as Error).message}`);
      throw this.failure;
    }
  }
}
