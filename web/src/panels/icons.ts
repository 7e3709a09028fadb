// Icons as strokes on a 16 × 16 grid, coloured by the text around them. No font, no image files.

const SVG = "http://www.w3.org/2000/svg";

/** Stroked paths; a leading "!" marks a path that is filled instead. */
const PATHS = {
  chevron: ["M6 4l4 4-4 4"],
  down: ["M4 6l4 4 4-4"],
  up: ["M4 10l4-4 4 4"],
  search: ["M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9z", "M10.4 10.4 13.5 13.5"],
  sun: [
    "M8 5.25a2.75 2.75 0 1 1 0 5.5 2.75 2.75 0 0 1 0-5.5z",
    "M8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.85.85M11.75 11.75l.85.85M3.4 12.6l.85-.85M11.75 4.25l.85-.85",
  ],
  moon: ["M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8 5.6 5.6 0 1 0 13.2 9.6z"],
  bell: ["M8 2a3.75 3.75 0 0 0-3.75 3.75c0 3.5-1.25 4.75-1.25 4.75h10s-1.25-1.25-1.25-4.75A3.75 3.75 0 0 0 8 2z", "M6.75 13a1.4 1.4 0 0 0 2.5 0"],
  help: ["M6.2 6.1a1.9 1.9 0 1 1 2.7 1.75c-.6.3-.9.75-.9 1.4", "!M7.3 11.2h1.4v1.4H7.3z"],
  close: ["M4 4l8 8M12 4l-8 8"],
  plus: ["M8 3v10M3 8h10"],
  minus: ["M3 8h10"],
  pin: ["M6 2.5h4l-.5 4L11.5 9h-7l2-2.5zM8 9v4.5"],
  trend: ["M2 12.5l3.5-4.5 2.5 2.5L13.5 4", "M10 4h3.5v3.5"],
  download: ["M8 2.5v7.5M5 7.2l3 3 3-3M3 13.2h10"],
  play: ["!M5 3.2v9.6l7.6-4.8z"],
  pause: ["!M4.5 3.2h2.4v9.6H4.5zM9.1 3.2h2.4v9.6H9.1z"],
  lock: ["M4 7.5h8v5.5H4z", "M5.5 7.5V5.3a2.5 2.5 0 0 1 5 0v2.2"],
  unlock: ["M4 7.5h8v5.5H4z", "M5.5 7.5V5.3a2.5 2.5 0 0 1 4.8-.9"],
  check: ["M3 8.5l3.2 3.2L13 4.8"],
  copy: ["M5.5 5.5h7.5v7.5H5.5z", "M10.5 5.5V3H3v7.5h2.5"],
  external: ["M9 3h4v4M13 3L7.5 8.5M11.5 9.5V13H3V4.5h3.5"],
  tree: ["M3 3.5h3v3H3zM10 3.5h3v3h-3zM10 9.5h3v3h-3z", "M6 5h4M8 5v6h2"],
  tag: ["M2.5 7.6V2.5h5.1l5.9 5.9-5.1 5.1z", "!M4.6 4.6h1.5v1.5H4.6z"],
  plug: ["M5.5 2v3M10.5 2v3M4 5h8v2.5a4 4 0 0 1-8 0zM8 11.5V14"],
  person: ["M8 2.5a2.6 2.6 0 1 1 0 5.2 2.6 2.6 0 0 1 0-5.2z", "M3.2 13.5c0-2.7 2.1-4.3 4.8-4.3s4.8 1.6 4.8 4.3"],
  hand: ["M5 8.6V4.2a1 1 0 0 1 2 0v3.2M7 7.2V3a1 1 0 0 1 2 0v4.3M9 7.3V3.8a1 1 0 0 1 2 0v4M11 7.8V5.6a1 1 0 0 1 2 0v3.6c0 2.9-1.6 4.6-4.2 4.6-1.9 0-3-.8-3.9-2.4L3.2 9.3a.95.95 0 0 1 1.6-1z"],
  eye: ["M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8z", "M8 6.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6z"],
  present: ["M2.5 3h11v7.5h-11z", "M8 10.5v3M5.5 13.5h5"],
  mic: ["M8 2.2A1.8 1.8 0 0 1 9.8 4v3.4a1.8 1.8 0 1 1-3.6 0V4A1.8 1.8 0 0 1 8 2.2z", "M4 7.6a4 4 0 0 0 8 0M8 11.6v2.2"],
  ear: ["M4 9.5V8a4 4 0 0 1 8 0v1.5M4 9.5h1.6v3.2H4.8A.8.8 0 0 1 4 11.9zM12 9.5h-1.6v3.2h.8a.8.8 0 0 0 .8-.8z"],
  sliders: ["M3 4.5h5M11 4.5h2M3 11.5h2M8 11.5h5", "M9.5 3a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3zM6.5 10a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3z"],
  muted: ["M8 2.2A1.8 1.8 0 0 1 9.8 4v3.4a1.8 1.8 0 1 1-3.6 0V4A1.8 1.8 0 0 1 8 2.2z", "M4 7.6a4 4 0 0 0 8 0M8 11.6v2.2", "M2.5 2.5l11 11"],
  leave: ["M9.5 3H3.5v10h6", "M7 8h6.5M11 5.5L13.5 8 11 10.5"],
  people: ["M6 3a2.3 2.3 0 1 1 0 4.6A2.3 2.3 0 0 1 6 3zM2 13c0-2.4 1.8-3.9 4-3.9s4 1.5 4 3.9M10.5 3.3a2.2 2.2 0 0 1 0 4.2M11.5 9.3c1.5.4 2.5 1.7 2.5 3.7"],
  phone: ["M5 1.8h6a1 1 0 0 1 1 1v10.4a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V2.8a1 1 0 0 1 1-1z", "M7 12h2"],
  fit: ["M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10"],
  record: ["M8 2.25a5.75 5.75 0 1 1 0 11.5 5.75 5.75 0 0 1 0-11.5z", "!M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6z"],
  clock: ["M8 2.25a5.75 5.75 0 1 1 0 11.5 5.75 5.75 0 0 1 0-11.5z", "M8 5v3.2l2.2 1.3"],
  cube: ["M8 2l5.2 3v6L8 14l-5.2-3V5zM2.8 5L8 8l5.2-3M8 8v6"],
  info: ["M8 2.25a5.75 5.75 0 1 1 0 11.5 5.75 5.75 0 0 1 0-11.5z", "M8 7.5v3.4", "!M7.3 4.9h1.4v1.4H7.3z"],
  shield: ["M8 1.8l5 1.9v3.8c0 3.2-2.1 5.5-5 6.7-2.9-1.2-5-3.5-5-6.7V3.7z"],
  send: ["M13.5 2.5L7 9M13.5 2.5L9.5 13.5 7 9 2.5 6.5z"],
  focus: ["M8 5.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z", "M8 1.5v2.5M8 12v2.5M1.5 8H4M12 8h2.5"],
  command: ["M3 4h10M3 8h10M3 12h6"],
  document: ["M4 2h5.5L12.5 5v9H4z", "M9.2 2v3.3h3.3M6 8h4.5M6 10.7h4.5"],
  panel: ["M2.5 3h11v10h-11z", "M6.2 3v10"],
  right: ["M2.5 3h11v10h-11z", "M9.8 3v10"],
  power: ["M9 1.8L4 9h3.4L7 14.2 12 7H8.6z"],
  undo: ["M5.5 3 2.5 6l3 3", "M2.5 6H9a4 4 0 0 1 0 8H6"],
  redo: ["M10.5 3l3 3-3 3", "M13.5 6H7a4 4 0 0 0 0 8h3"],
  note: ["M2.5 3h11v7.5H7.2L4.5 13v-2.5h-2z", "M5 5.6h6M5 7.9h4"],
  task: ["M2.8 3h10.4v10H2.8z", "M5.3 8.2l1.9 1.9L11 6"],
  move: ["M8 1.8v12.4M1.8 8h12.4", "M6.2 3.6 8 1.8l1.8 1.8M6.2 12.4 8 14.2l1.8-1.8M3.6 6.2 1.8 8l1.8 1.8M12.4 6.2 14.2 8l-1.8 1.8"],
  board: ["M2.5 3h5v4h-5zM9.5 3h4v6.5h-4zM2.5 9h5v4h-5zM9.5 11.5h4V13h-4z"],
  gauge: ["M2 9h12v3.5H2z", "!M2 9h7v3.5H2z", "M10.8 6.5v2"],
  table: ["M2.5 3h11v10h-11zM2.5 6.3h11M2.5 9.6h11M6.5 6.3V13"],
  link: ["M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2-2a2.6 2.6 0 0 0-3.7-3.7l-.9.9", "M9.2 6.8a2.6 2.6 0 0 0-3.7 0l-2 2a2.6 2.6 0 0 0 3.7 3.7l.9-.9"],
  expand: ["M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10"],
  more: ["!M3.2 6.8h2v2h-2zM7 6.8h2v2H7zM10.8 6.8h2v2h-2z"],
  branch: ["M5 4.6v6.8M5 10c0-2.6 6-2 6-5.2", "M5 1.7a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3zM5 11.3a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3zM11 1.8a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3z"],
  gantt: ["!M2.5 3h6v2.2h-6z", "!M6 6.9h7.5v2.2H6z", "!M4 10.8h5.5V13H4z"],
  ghost: ["M3.5 13.5V7.3a4.5 4.5 0 0 1 9 0v6.2l-2.2-1.6L8 13.5l-2.3-1.6z", "!M5.9 6.4h1.3v1.6H5.9zM8.8 6.4h1.3v1.6H8.8z"],
  share: ["M8 10V2.5M5 5.3l3-2.8 3 2.8", "M4.8 7H3v6.5h10V7h-1.8"],
  camera: ["M2 5h2.7l1.1-1.8h4.4L11.3 5H14v8H2z", "M8 6.4a2.4 2.4 0 1 1 0 4.8 2.4 2.4 0 0 1 0-4.8z"],
  look: ["M8 2.2a5.8 5.8 0 1 0 0 11.6c1 0 1.4-.6 1.2-1.4-.3-1 .2-1.7 1.2-1.7h1.4c1.2 0 2-.8 2-2.1A6.1 6.1 0 0 0 8 2.2z", "!M4.6 7.2h1.6v1.6H4.6zM6.6 4.3h1.6v1.6H6.6zM9.8 4.9h1.6v1.6H9.8z"],
  speak: ["M2.5 6v4h2.7L9 13V3L5.2 6z", "M11 5.6a3.4 3.4 0 0 1 0 4.8M12.8 3.8a6 6 0 0 1 0 8.4"],
  tour: ["M4 14V2.5M4 3h8.5l-2.2 2.8 2.2 2.8H4"],
  flow: ["M2 8h11M9.5 4.5L13 8l-3.5 3.5"],
  // How a value came to be: five shapes that differ without colour.
  measured: ["M3 11.5a5.6 5.6 0 1 1 10 0", "M8 10.5l2.6-3.7"],
  inferred: ["M10.8 3.2c-2-.7-2.6.5-2.9 2.1L6.8 11c-.3 1.6-1 2.5-2.6 1.9M5.3 7h5"],
  simulated: ["M2 8c1.5-6 3-6 4.5-1.5M7.5 9.5C9 14 10.5 14 12 8l.4-1.6"],
  desired: ["M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11z", "!M8 6.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6z"],
  authored: ["M3 13l.7-3L10.6 3.1a1.2 1.2 0 0 1 1.7 0l.6.6a1.2 1.2 0 0 1 0 1.7L6 12.3z"],
  // Alarms by priority: shape and number of strokes carry it, colour only repeats it.
  "alarm-3": ["!M1.5 2.5h13v11h-13z", "M8 5v4", "M8 11.4v.1"],
  "alarm-2": ["!M8 1.6l7 12.4H1z", "M8 6v4", "M8 12v.1"],
  "alarm-1": ["!M1 2.4h14L8 14.6z", "M8 4.6v4", "M8 10.6v.1"],
  "alarm-0": ["!M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13z", "M8 7.4v3.8", "M8 4.8v.1"],
} as const satisfies Record<string, readonly string[]>;

/** Names of the icons that there are. */
export type IconName = keyof typeof PATHS;

/** An icon that screen readers skip: what it says must also be said in text or a label. */
export function icon(name: IconName, extraClass = ""): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", `icon ${extraClass}`.trim());
  svg.setAttribute("aria-hidden", "true");
  svg.dataset["icon"] = name;
  draw(svg, name);
  return svg;
}

/** Turns an icon into another in place; costs nothing if it is that one already. */
export function setIcon(svg: SVGSVGElement, name: IconName): void {
  if (svg.dataset["icon"] === name) return;
  svg.dataset["icon"] = name;
  svg.replaceChildren();
  draw(svg, name);
}

function draw(svg: SVGSVGElement, name: IconName): void {
  for (const d of PATHS[name]) {
    const path = document.createElementNS(SVG, "path");
    const isFilled = d.startsWith("!");
    path.setAttribute("d", isFilled ? d.slice(1) : d);
    if (isFilled) path.setAttribute("class", "fill");
    svg.append(path);
  }
}
