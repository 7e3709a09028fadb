// Puts the panels into the page's slots and lets them bring each other forward.

import "./panels.css";

import type { Id, Mirror } from "../mirror.ts";
import type { SceneApi } from "../scene/api.ts";
import { theme } from "../style/theme.ts";
import { Boards } from "../boards/index.ts";
import { Branches } from "../branches/index.ts";
import { AlarmPanel } from "./alarms.ts";
import { Around } from "./around.ts";
import { CommandPanel } from "./commands.ts";
import { type Context, remembered, type View } from "./context.ts";
import { Dock } from "./dock.ts";
import { h, isTyping, setAttr } from "./dom.ts";
import { openHelp } from "./help.ts";
import { icon, type IconName } from "./icons.ts";
import { Inspector } from "./inspector.ts";
import { Pulse } from "./pulse.ts";
import { SeriesStore } from "./series.ts";
import { openSourceDialog } from "./sources.ts";
import { openShift, openShiftByAddress } from "../shift/index.ts";
import { Looks } from "../looks/index.ts";
import { Show, type Tours } from "../tours/index.ts";
import { CommandTimes } from "./steps.ts";
import { TimeBar } from "./timebar.ts";
import { Toasts } from "./toasts.ts";
import { TopBar } from "./top.ts";
import { Tree } from "./tree.ts";
import { TrendPanel } from "./trends.ts";
import { t } from "../words.ts";

const PHONE = window.matchMedia("(max-width: 720px)");

type Sheet = View | "none";

/** What the panels have that other rooms of the page use. */
export interface Panels {
  readonly tours: Tours;
}

/** Builds all panels. Called once, before or after the world has come. */
export function mountPanels(mirror: Mirror, scene: SceneApi): Panels {
  const slot = (id: string): HTMLElement => {
    const found = document.getElementById(id);
    if (!found) throw new Error(`index.html has no #${id}`);
    return found;
  };
  const left = slot("left");
  const right = slot("right");
  const bottom = slot("bottom");
  const pulse = new Pulse();
  const series = new SeriesStore(mirror);
  const toasts = new Toasts(slot("toasts"));
  const times = new CommandTimes(mirror);
  const leftOpen = remembered("left.open", true);
  let rightWanted = true;
  let sheet: Sheet = "none";

  const context: Context = {
    mirror,
    scene,
    pulse,
    series,
    get trends() {
      return trends;
    },
    show: (view) => show(view),
    get opened() {
      return dock.isOpen() ? dock.tab : branches.isOpen ? "branches" : null;
    },
    toast: (toast) => toasts.show(toast),
    goTo: (id, fly = false) => goTo(id, fly),
    around: new Around(mirror),
    openSources: (key) => openSourceDialog(context, key),
    openHelp,
    get boards() {
      return boards;
    },
    get looks() {
      return looks;
    },
  };

  const trends = new TrendPanel(context, series);
  const alarms = new AlarmPanel(context);
  const commands = new CommandPanel(context, times);
  const dock = new Dock({ trends, alarms, commands }, () => arrange());
  const timeBar = new TimeBar(context, dock.tabs);
  const tree = new Tree(left, context, () => (PHONE.matches ? setSheet("none") : setLeft(false)));
  const inspector = new Inspector(right, context, times, () => (PHONE.matches ? setSheet("none") : setRight(false)));
  // A board takes the place of the tree, until one asks for it beside the board.
  let treeBesideBoard = false;
  let isBuilt = false;
  const boards = new Boards(context, () => {
    treeBesideBoard = false;
    if (isBuilt) arrange();
  });
  const branches = new Branches(context, () => {
    if (!isBuilt) return;
    if (PHONE.matches) sheet = branches.isOpen ? "branches" : sheet === "branches" ? "none" : sheet;
    arrange();
  });
  left.append(branches.element);
  const looks = new Looks(context);
  document.getElementById("tools")?.append(looks.button);
  const tell = new Show(context);
  tell.arrival.more.push((link) => (link.look === looks.shown ? [] : looks.show(link.look)));
  const top = new TopBar(slot("top"), context, {
    boards: boards.button,
    branches: branches.button,
    show: tell.button,
    toggle: (which) => {
      if (which === "left") setLeft(left.hidden !== false);
      else if (which === "right") setRight(right.hidden !== false);
      else if (dock.isOpen()) dock.close();
      else dock.open(dock.tab);
    },
    showType: (type) => {
      show("tree");
      tree.showType(type);
    },
  });
  const phoneTabs = makePhoneTabs((view) => setSheet(sheet === view ? "none" : view), () => openShift(context, "stops"));
  trends.acceptDrops(bottom);
  bottom.append(dock.element, timeBar.element, phoneTabs.element);

  function setLeft(isOpen: boolean): void {
    if (branches.isOpen) {
      branches.open(false);
      if (!isOpen) return;
    }
    if (boards.isOpen) treeBesideBoard = isOpen;
    else leftOpen.set(isOpen);
    arrange();
    if (isOpen) tree.focus();
  }

  function setRight(isOpen: boolean): void {
    rightWanted = isOpen;
    arrange();
  }

  function setSheet(next: Sheet): void {
    sheet = next;
    branches.open(next === "branches");
    if (next === "trends" || next === "alarms" || next === "commands") dock.open(next);
    arrange();
  }

  function show(view: View): void {
    if (PHONE.matches) {
      setSheet(view);
      return;
    }
    if (view === "branches") branches.open(true);
    else if (view === "tree") setLeft(true);
    else if (view === "inspector") setRight(true);
    else dock.open(view);
  }

  function goTo(id: Id, fly: boolean): void {
    if (!mirror.twins.has(id)) return;
    mirror.select(id);
    if (fly) scene.focus(id);
    if (PHONE.matches) setSheet("inspector");
    else setRight(true);
  }

  /** Which slots are in sight: on a phone one sheet, else what the person has open. */
  function arrange(): void {
    const isPhone = PHONE.matches;
    document.documentElement.dataset["sheet"] = isPhone ? sheet : "none";
    left.dataset["showing"] = branches.isOpen ? "branches" : "tree";
    left.hidden = isPhone ? sheet !== "tree" && sheet !== "branches" : !branches.isOpen && !(boards.isOpen ? treeBesideBoard : leftOpen.get());
    right.hidden = isPhone ? sheet !== "inspector" : !(rightWanted && (mirror.selected !== null || inspector.hasPins));
    if (isPhone && sheet !== "trends" && sheet !== "alarms" && sheet !== "commands" && dock.isOpen()) dock.close();
    phoneTabs.mark(sheet);
    pulse.mark(tree);
    pulse.mark(inspector);
    pulse.mark(trends);
    pulse.mark(alarms);
  }

  const badges = {
    paint(): void {
      const { count, worst } = AlarmPanel.unseen(context);
      dock.setBadge("alarms", count, `sev-${worst}`);
      dock.setBadge("commands", CommandPanel.open(context));
      phoneTabs.setAlarms(count, worst);
    },
  };
  mirror.on("events", () => pulse.mark(badges));
  mirror.on("commands", () => pulse.mark(badges));
  mirror.on("selection", ({ id }) => {
    if (id !== null) rightWanted = true;
    if (PHONE.matches && id !== null && sheet === "none") sheet = "inspector";
    if (PHONE.matches && id === null && sheet === "inspector") sheet = "none";
    arrange();
  });
  mirror.on("structure", () => arrange());
  // Until the first values of the time that was asked for are here, what is shown is not of it.
  let isLive = true;
  mirror.on("time", (time) => {
    const isJump = !time.live || !isLive;
    isLive = time.live;
    document.documentElement.toggleAttribute("data-seeking", isJump);
  });
  mirror.on("values", () => document.documentElement.removeAttribute("data-seeking"));
  mirror.on("refusal", ({ detail, mend }) => toasts.show({ tone: "bad", title: detail, detail: mend }));
  isBuilt = true;
  PHONE.addEventListener("change", () => arrange());
  openShiftByAddress(context);
  window.addEventListener("keydown", (event) => onKey(event));
  arrange();

  function onKey(event: KeyboardEvent): void {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      top.search.focus();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || document.querySelector("dialog[open]")) return;
    const isOnControl = event.target instanceof HTMLElement && event.target.closest("button, summary, a, [role=slider], [role=tree]") !== null;
    switch (event.key) {
      case "/": top.search.focus(); break;
      case "?": openHelp(); break;
      case "i": void tell.savePicture(); break;
      case "y": branches.open(!branches.isOpen); break;
      case "t": theme.set(theme.mode === "dark" ? "light" : "dark"); break;
      case "[": PHONE.matches ? setSheet(sheet === "tree" ? "none" : "tree") : setLeft(left.hidden !== false); break;
      case "]": PHONE.matches ? setSheet(sheet === "inspector" ? "none" : "inspector") : setRight(right.hidden !== false); break;
      case "b": dock.isOpen() ? dock.close() : dock.open(dock.tab); break;
      case "a":
        // The scene walks with this key.
        if (event.target instanceof HTMLCanvasElement) return;
        dock.isOpen("alarms") ? dock.close() : show("alarms");
        break;
      case " ":
        if (isOnControl) return;
        timeBar.playPause();
        break;
      case ",": timeBar.step(-1); break;
      case ".": timeBar.step(1); break;
      case "Escape": mirror.select(null); break;
      default: return;
    }
    event.preventDefault();
  }

  return { tours: tell };
}

/** The bar of sheets on a phone. */
function makePhoneTabs(choose: (view: View) => void, shift: () => void): {
  element: HTMLElement;
  mark(sheet: Sheet): void;
  setAlarms(count: number, worst: number): void;
} {
  const buttons = new Map<View, HTMLButtonElement>();
  const badge = h("span", { class: "badge", hidden: true });
  const element = h("nav", { class: "phone-tabs", attrs: { "aria-label": t("Panels") } });
  const tabs: readonly (readonly [View, IconName, string])[] = [
    ["tree", "tree", t("Twins")],
    ["inspector", "info", t("Details")],
    ["branches", "branch", t("Branches")],
    ["trends", "trend", t("Trends")],
    ["alarms", "bell", t("Alarms")],
    ["commands", "send", t("Commands")],
  ];
  for (const [view, name, label] of tabs) {
    const each = h(
      "button",
      { attrs: { type: "button" }, on: { click: () => choose(view) } },
      h("span", { class: "phone-icon" }, icon(name), view === "alarms" && badge),
      label,
    );
    buttons.set(view, each);
    element.append(each);
  }
  element.append(h("button", { attrs: { type: "button", "aria-haspopup": "dialog" }, on: { click: shift } }, h("span", { class: "phone-icon" }, icon("document")), t("Shift")));
  return {
    element,
    mark: (sheet) => {
      for (const [view, each] of buttons) setAttr(each, "aria-pressed", String(view === sheet));
    },
    setAlarms: (count, worst) => {
      badge.hidden = count === 0;
      badge.className = `badge sev-${worst}`;
      badge.textContent = count > 99 ? "99+" : String(count);
    },
  };
}
