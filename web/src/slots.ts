/** Watches how much of the scene the panels cover, and says so to the scene and to the css. */

const SLOTS = ["top", "left", "right", "bottom"] as const;
type Slot = (typeof SLOTS)[number];

/** Calls `covered` with CSS pixels at each side, now and whenever it changes. */
export function watchSlots(covered: (left: number, right: number, top: number, bottom: number) => void): void {
  const elements = new Map<Slot, HTMLElement>();
  for (const slot of SLOTS) {
    const element = document.getElementById(slot);
    if (element !== null) elements.set(slot, element);
  }
  let last = "";
  const measure = (): void => {
    const size = (slot: Slot): DOMRect | null => {
      const element = elements.get(slot);
      if (element === undefined || element.hidden || element.childElementCount === 0) return null;
      const rect = element.getBoundingClientRect();
      return rect.width > 0 && rect.height > 0 ? rect : null;
    };
    const w = window.innerWidth;
    const h = window.innerHeight;
    const [top, left, right, bottom] = [size("top"), size("left"), size("right"), size("bottom")];
    const isNarrow = w <= 720;
    const root = document.documentElement.style;
    const bottomNow = bottom === null ? 0 : bottom.height;
    root.setProperty("--bottom-now", `${Math.round(bottomNow)}px`);
    root.setProperty("--left-now", left === null || isNarrow ? "0px" : `${Math.round(left.right)}px`);
    root.setProperty("--right-now", right === null || isNarrow ? "0px" : `${Math.round(w - right.left)}px`);
    const sheet = isNarrow ? Math.max(left === null ? 0 : h - left.top, right === null ? 0 : h - right.top) : 0;
    const sides = [
      left === null || isNarrow ? 0 : left.right,
      right === null || isNarrow ? 0 : w - right.left,
      top === null ? 0 : top.bottom,
      Math.min(Math.max(bottom === null ? 0 : h - bottom.top, sheet), h * 0.6),
    ].map(Math.round) as [number, number, number, number];
    if (sides.join() === last) return;
    last = sides.join();
    covered(...sides);
  };
  const sizes = new ResizeObserver(measure);
  const attributes = new MutationObserver(measure);
  for (const element of elements.values()) {
    sizes.observe(element);
    attributes.observe(element, { attributes: true, childList: true });
  }
  window.addEventListener("resize", measure);
  measure();
}
