/** The colour of a person, the same on every page: by their number, far from those of their neighbours. */

const GOLDEN_DEG = 137.508;

export function hueOf(id: number): number {
  return (id * GOLDEN_DEG) % 360;
}

/** For text, chips and bodies; light enough on dark ground and dark enough on light. */
export function colourOf(id: number): string {
  return `hsl(${hueOf(id).toFixed(0)} 62% 58%)`;
}
