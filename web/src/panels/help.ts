// The keys of the page.

import { h, openDialog } from "./dom.ts";

const KEYS: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  ["Anywhere", [
    ["/ or Ctrl K", "Search twins, types and points"],
    ["[", "Tree of twins"],
    ["]", "Details"],
    ["B", "Trends, alarms and commands"],
    ["A", "Alarms"],
    ["T", "Light or dark"],
    ["Esc", "Deselect, close"],
    ["?", "This list"],
  ]],
  ["Time", [
    ["Space", "Pause at this moment, play on"],
    [", and .", "A step back, a step on"],
    ["End", "Back to live (on the time bar)"],
    ["Home", "To the beginning (on the time bar)"],
    ["+ and −", "Zoom the time bar or the trend that has the focus"],
  ]],
  ["Tree", [
    ["↑ ↓", "Move and select"],
    ["← →", "Close and open, out and in"],
    ["Enter", "Fly there"],
    ["letters", "To the next name that begins so"],
    ["*", "Open all beside it"],
  ]],
  ["Scene", [
    ["F", "Fly to what is selected"],
    ["H", "The whole plant"],
    ["1, 2", "Orbit, walk"],
    ["W A S D", "Walk"],
    ["L", "Labels"],
  ]],
];

/** `/ or Ctrl K` → caps for the keys, plain words between them. */
function keyCaps(keys: string): Node[] {
  return keys
    .split(/( or | and |, | )/)
    .filter((part) => part !== " ")
    .map((part) => (/^( or | and |, )$/.test(part) ? h("span", { class: "dimmer" }, part) : h("kbd", {}, part)));
}

export function openHelp(): void {
  const body = h("div", { class: "keys" });
  for (const [title, keys] of KEYS) {
    const list = h("dl", {});
    for (const [key, words] of keys) list.append(h("dt", {}, ...keyCaps(key)), h("dd", {}, words));
    body.append(h("section", {}, h("h3", {}, title), list));
  }
  body.append(
    h(
      "section",
      { class: "wide" },
      h("h3", {}, "Values"),
      h("p", { class: "dim" }, "Grey is normal. Colour means that something is abnormal, or can be acted on. Each value says where it comes from (measured, inferred, simulated, desired, authored), how old it is, and, if it is not good, why."),
      h("p", { class: "dim" }, "A value that is struck through is bad; an amber one is uncertain, often the last one known of a source that is gone."),
    ),
  );
  openDialog("Keys", body, [], { wide: true });
}
