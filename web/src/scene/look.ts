/** What a twin's geometry says: which asset or stored file, how large, which way is up. */

const ASSET = "asset:";
/** Begins a geometry that is a file people attached. */
export const STORED = "blob:";

export interface StoredLook {
  sha256: string;
  /** Metres of one unit in the file. */
  scale: number;
  up: "y" | "z";
}

/** By what name the scene's library knows a geometry; "" if it means nothing that can be drawn. */
export function assetName(geometry: string): string {
  if (geometry.startsWith(ASSET)) return geometry.slice(ASSET.length);
  return storedLook(geometry) === null ? "" : geometry;
}

/** The stored file that a geometry means; null: it means none. */
export function storedLook(geometry: string): StoredLook | null {
  const match = /^blob:([0-9a-f]{64})(?:\?(.*))?$/.exec(geometry);
  if (match === null) return null;
  const options = new URLSearchParams(match[2] ?? "");
  const scale = Number(options.get("scale") ?? 1);
  const isFit = Number.isFinite(scale) && scale >= 1e-6 && scale <= 1e6;
  return { sha256: match[1]!, scale: isFit ? scale : 1, up: options.get("up") === "z" ? "z" : "y" };
}

/** A stored look as a geometry says it. */
export function geometryOf({ sha256, scale, up }: StoredLook): string {
  const options = [scale !== 1 && `scale=${scale}`, up !== "y" && `up=${up}`].filter(Boolean);
  return `${STORED}${sha256}${options.length > 0 ? `?${options.join("&")}` : ""}`;
}
