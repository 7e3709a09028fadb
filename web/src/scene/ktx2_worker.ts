/**
 * Turns pictures in Basis Universal (KTX2) into what a graphics card takes, aside from the page.
 *
 * The server lets this file reach nothing, and alone lets it make functions of text, which the
 * transcoder does to bind its own calls. What it needs is sent to it, first the transcoder, then
 * job after job, each answered once.
 */

import type { Answer } from "./decoder.ts";

/** A picture, and how large it said it is. */
export interface PictureJob {
  bytes: ArrayBuffer;
  /** The transcoder's number of the wanted format. */
  format: number;
  width: number;
  height: number;
}

export interface Picture {
  /** The largest first. */
  levels: { bytes: Uint8Array<ArrayBuffer>; width: number; height: number }[];
}

interface Ktx2File {
  isValid(): boolean;
  getWidth(): number;
  getHeight(): number;
  getLevels(): number;
  startTranscoding(): boolean;
  getImageLevelInfo(level: number, layer: number, face: number): { origWidth: number; origHeight: number };
  getImageTranscodedSizeInBytes(level: number, layer: number, face: number, format: number): number;
  transcodeImage(to: Uint8Array, level: number, layer: number, face: number, format: number, alpha: number, channel0: number, channel1: number): boolean;
  close(): void;
  delete(): void;
}
interface Basis {
  initializeBasis(): void;
  KTX2File: new (bytes: Uint8Array) => Ktx2File;
}
interface Start {
  wrapper: string;
  wasm: ArrayBuffer;
}
interface Room {
  onmessage: ((event: MessageEvent<Start | PictureJob>) => void) | null;
  postMessage(answer: Answer<Picture>, transfer: Transferable[]): void;
  importScripts(url: string): void;
  BASIS(options: { wasmBinary: ArrayBuffer }): Promise<Basis>;
}

const room = globalThis as unknown as Room;
let ready: Promise<Basis> | null = null;

room.onmessage = ({ data }) => {
  if ("wrapper" in data) {
    room.importScripts(data.wrapper);
    ready = room.BASIS({ wasmBinary: data.wasm }).then((basis) => {
      basis.initializeBasis();
      return basis;
    });
    return;
  }
  void ready
    ?.then((basis) => {
      const result = transcode(basis, data);
      room.postMessage({ result }, result.levels.map(({ bytes }) => bytes.buffer));
    })
    .catch((error: unknown) => room.postMessage({ error: error instanceof Error ? error.message : String(error) }, []));
};

/** Nothing is freed where it fails: this worker is ended then. */
function transcode(basis: Basis, { bytes, format, width, height }: PictureJob): Picture {
  const file = new basis.KTX2File(new Uint8Array(bytes));
  if (!file.isValid()) throw new Error("it cannot be unpacked");
  if (file.getWidth() !== width || file.getHeight() !== height) throw new Error("it is not as large as it says");
  if (!file.startTranscoding()) throw new Error("it cannot be unpacked");
  const levels = Array.from({ length: file.getLevels() }, (_, level) => {
    const { origWidth, origHeight } = file.getImageLevelInfo(level, 0, 0);
    if (origWidth !== Math.max(1, width >> level) || origHeight !== Math.max(1, height >> level)) throw new Error("its levels do not get smaller");
    const to = new Uint8Array(file.getImageTranscodedSizeInBytes(level, 0, 0, format));
    if (!file.transcodeImage(to, level, 0, 0, format, 0, -1, -1)) throw new Error("it cannot be unpacked");
    return { bytes: to, width: origWidth, height: origHeight };
  });
  file.close();
  file.delete();
  return { levels };
}
