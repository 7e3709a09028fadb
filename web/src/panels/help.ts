// The keys of the page.

import { h, openDialog } from "./dom.ts";
import { t } from "../words.ts";

const LETTERS = t("letters");
const SPACE = t("Space");

const KEYS: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [t("Anywhere"), [
    ["/ or Ctrl K", t("Search twins, types and points")],
    ["[", t("Tree of twins")],
    ["]", t("Details")],
    ["B", t("Trends, alarms and commands")],
    ["A", t("Alarms")],
    ["Y", t("Branches")],
    ["I", t("Save a picture of the scene")],
    ["V", t("Mute, or hold to talk (in voice)")],
    ["T", t("Light or dark")],
    ["Esc", t("Deselect, close")],
    ["?", t("This list")],
  ]],
  [t("Time"), [
    [SPACE, t("Pause at this moment, play on")],
    [", and .", t("A step back, a step on")],
    ["End", t("Back to live (on the time bar)")],
    ["Home", t("To the beginning (on the time bar)")],
    ["+ and −", t("Zoom the time bar or the trend that has the focus")],
  ]],
  [t("Tree"), [
    ["↑ ↓", t("Move and select")],
    ["← →", t("Close and open, out and in")],
    ["Enter", t("Fly there")],
    [LETTERS, t("To the next name that begins so")],
    ["*", t("Open all beside it")],
  ]],
  [t("Scene"), [
    ["F", t("Fly to what is selected")],
    ["H", t("The whole plant")],
    ["1, 2", t("Orbit, walk")],
    ["W A S D", t("Walk")],
    ["L", t("Labels")],
    ["M", t("Measure from here to there")],
    ["X", t("X-ray: see through all but what is selected")],
    ["C", t("Cut it open")],
  ]],
];

const BETWEEN: Readonly<Record<string, string>> = { " or ": ` ${t("or")} `, " and ": ` ${t("and")} ` };

/** `/ or Ctrl K` → caps for the keys, plain words between them. */
function keyCaps(keys: string): Node[] {
  return keys
    .split(/( or | and |(?<=\S), | )/)
    .filter((part) => part !== " ")
    .map((part) => (/^( or | and |, )$/.test(part) ? h("span", { class: "dimmer" }, BETWEEN[part] ?? part) : h("kbd", {}, part)));
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
      h("h3", {}, t("Values")),
      h("p", { class: "dim" }, t("Grey is normal. Colour means that something is abnormal, or can be acted on. Each value says where it comes from (measured, inferred, simulated, desired, authored), how old it is, and, if it is not good, why.")),
      h("p", { class: "dim" }, t("A value that is struck through is bad; an amber one is uncertain, often the last one known of a source that is gone.")),
    ),
  );
  body.append(
    h(
      "section",
      { class: "wide" },
      h("h3", {}, t("Headset")),
      h("p", { class: "dim" }, "xr" in navigator
        ? t("Where a headset is connected, the scene’s tools have a button to enter VR or AR. The menu on the wrist has its own help.")
        : t("This browser offers no headset. Open the page by https in the browser of one.")),
    ),
  );
  openDialog(t("Keys"), body, [], { wide: true });
}
