/** Names as pictures in the scene, which keep about their size on the screen however far away. */

import { CanvasTexture, Sprite, SpriteMaterial, SRGBColorSpace } from "three";
import { colourOf } from "./colours.ts";

const HEIGHT_PX = 64;
const WIDTH_PX_MAX = 640;
/** Of the picture's height at a distance of one metre; never lower than that in metres. */
const SIZE = 0.023;
const HEIGHT_M_MIN = 0.11;

export interface Tag {
  readonly sprite: Sprite;
  /** Gives it the size for a distance; its height in metres. */
  fit(distance_m: number): number;
  dispose(): void;
}

/** A name in the colour of who has it; with a raised hand its place in the row stands before it. */
export function tagOf(text: string, id: number, isDim: boolean, hand = 0): Tag {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d")!;
  const font = `600 ${HEIGHT_PX * 0.5}px "Inter Variable", system-ui, sans-serif`;
  context.font = font;
  const width = Math.min(WIDTH_PX_MAX, Math.ceil(context.measureText(text).width)) + HEIGHT_PX * 1.2;
  canvas.width = width;
  canvas.height = HEIGHT_PX;
  context.font = font;
  context.globalAlpha = isDim ? 0.6 : 1;
  context.fillStyle = "rgb(13 18 24 / 0.85)";
  context.beginPath();
  context.roundRect(1, 1, width - 2, HEIGHT_PX - 2, HEIGHT_PX / 2);
  context.fill();
  context.fillStyle = hand === 0 ? colourOf(id) : "#f0b93a";
  context.beginPath();
  context.arc(HEIGHT_PX * 0.48, HEIGHT_PX / 2, HEIGHT_PX * (hand === 0 ? 0.18 : 0.3), 0, Math.PI * 2);
  context.fill();
  if (hand > 0) {
    context.fillStyle = "#20160a";
    context.textAlign = "center";
    context.fillText(String(hand), HEIGHT_PX * 0.48, HEIGHT_PX * 0.7, HEIGHT_PX * 0.5);
    context.textAlign = "left";
  }
  context.fillStyle = "#f2f6f9";
  context.textBaseline = "middle";
  context.fillText(text, HEIGHT_PX * 0.84, HEIGHT_PX * 0.53, WIDTH_PX_MAX);
  const map = new CanvasTexture(canvas);
  map.colorSpace = SRGBColorSpace;
  const sprite = new Sprite(new SpriteMaterial({ map, transparent: true, depthTest: false, toneMapped: false }));
  sprite.renderOrder = 20;
  return {
    sprite,
    fit: (distance_m) => {
      const height = Math.max(HEIGHT_M_MIN, distance_m * SIZE);
      sprite.scale.set((height * width) / HEIGHT_PX, height, 1);
      return height;
    },
    dispose: () => {
      sprite.removeFromParent();
      map.dispose();
      sprite.material.dispose();
    },
  };
}
