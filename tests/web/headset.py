"""An emulated headset (npm `iwer`) in the browser, and a person who wears it.

The page's own WebXR code runs against it: real sessions, views of two eyes, controllers, hands and
hit tests. Only the device is emulated. Positions are in metres of the room, as the device tells
them.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.web.conftest import NO_DRAWING, READY_MS
from tests.web.living_world import LivingWorld

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

SHOTS = os.environ.get("MIRRORWORLD_SHOTS", "")
"""A folder that pictures of both eyes are put into; empty: none are taken."""

WAIT_MS = 120_000
VISIT = "window.__mirrorworld.headset.visit"

INSTALL = """
window.device = new IWER.XRDevice(IWER.metaQuest3, { stereoEnabled: true });
device.installRuntime({ forceInstall: true });
device.stereoEnabled = true;
// What an augmented room is asked for: here a floor at 0 and a table at 0.7 m, nothing else.
device.installSEM(class {
  version = "a floor and a table";
  planesVisible = false;
  boundingBoxesVisible = false;
  meshesVisible = false;
  trackedPlanes = new Set();
  trackedMeshes = new Set();
  environmentCanvas = document.createElement("canvas");
  render() {}
  loadEnvironment() {}
  loadDefaultEnvironment() {}
  deleteAll() {}
  computeDepthBuffer() { return null; }
  computeHitTestResults(m) {
    const [x, y, z] = [m[12], m[13], m[14]];
    const way = [-m[8], -m[9], -m[10]];
    const hits = [];
    for (const height of [0.7, 0]) {
      const along = (height - y) / way[1];
      const [hx, hz] = [x + way[0] * along, z + way[2] * along];
      const isOnTable = Math.abs(hx) < 0.6 && hz < -0.6 && hz > -1.6;
      if (!(along > 0) || (height > 0 && !isOnTable)) continue;
      hits.push(new Float32Array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, hx, height, hz, 1]));
    }
    return hits;
  }
});
"""

AIM = """([side, target, from]) => {
  const held = device.primaryInputMode === "hand" ? device.hands[side] : device.controllers[side];
  if (from) held.position.set(...from);
  const { x, y, z } = held.position;
  const [dx, dy, dz] = [target[0] - x, target[1] - y, target[2] - z];
  const yaw = Math.atan2(-dx, -dz) / 2;
  const pitch = Math.asin(dy / Math.hypot(dx, dy, dz)) / 2;
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  held.quaternion.set(cy * sp, sy * cp, -sy * sp, cy * cp);
}"""

# Within the page: a tap from outside lasts as long as messages take, and may become a long press.
CLICK = f"""async (side) => {{
  const press = (value) => device.primaryInputMode === "hand"
    ? device.hands[side].updatePinchValue(value)
    : device.controllers[side].updateButtonValue("trigger", value);
  const seen = (isPressed) => new Promise((resolve) => {{
    const look = () => {{
      const visit = {VISIT};
      if (visit === null || visit.input[side].isPressed === isPressed) resolve();
      else requestAnimationFrame(look);
    }};
    look();
  }});
  press(1);
  await seen(true);
  press(0);
  await seen(false);
}}"""

ROOM = f"""([what, name]) => {{
  const visit = {VISIT};
  const at = visit.rig.head.clone();
  if (what === "twin") window.__mirrorworld.scene.boundsOf(name).getCenter(at);
  else if (visit.desk[what].place(name, at) === null) return null;
  return visit.rig.toRoom(at, at).toArray();
}}"""


def put_on(context: BrowserContext, peers: Path) -> None:
    """Every page of the context finds a headset."""
    code = (peers / "node_modules" / "iwer" / "build" / "iwer.min.js").read_text(encoding="utf-8")
    context.add_init_script(code + INSTALL)


class Wearer:
    """Somebody in a headset."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_default_timeout(WAIT_MS)

    # -- in and out --------------------------------------------------------------------------------

    def enter(self, mode: str = "VR") -> None:
        """By the button of the page, until pictures come."""
        # Pressed by the page itself: on a small canvas, dear to draw, it may be out of sight.
        for name in ("Enter VR…", f"Enter {mode}"):
            button = self.page.get_by_role("button", name=name, exact=True)
            button.evaluate("element => element.click()")
        self.until(f"{VISIT}?.nFrames > 3")

    def leave(self) -> None:
        """By the menu."""
        self.hold("menu", "Leave", "window.__mirrorworld.headset.visit === null")

    # -- waiting and asking ------------------------------------------------------------------------

    def until(self, condition: str, argument: Any = None) -> None:
        """Until a condition holds in the page."""
        self.page.wait_for_function(condition, arg=argument, timeout=WAIT_MS)

    def ask(self, what: str, argument: Any = None) -> Any:
        """What something in the page is."""
        return self.page.evaluate(what, argument)

    def pictures(self, n: int) -> None:
        """Until so many more have been drawn."""
        seen = self.ask(f"{VISIT}.nFrames")
        self.until(f"{VISIT}.nFrames >= {seen + n}")

    def said(self, slate: str) -> str:
        """What is written on a panel in the room."""
        return self.ask(f"{VISIT}.desk.{slate}.said()")

    def button_like(self, slate: str, beginning: str) -> str:
        """The whole name of a button that begins so."""
        self.until_said(slate, f"[{beginning}")
        (name,) = re.findall(rf"\[({beginning}[^\]]*)\]", self.said(slate))
        return name.removesuffix(" *").removesuffix(" -")

    def until_said(self, slate: str, words: str) -> None:
        """Until that is written on a panel."""
        self.until(f"words => {VISIT}.desk.{slate}.said().includes(words)", words)

    def head(self) -> list[float]:
        """Where others see the head, in metres of the world."""
        return self.ask("window.__mirrorworld.scene.body().head.position")

    def where(self, twin: str) -> list[float]:
        """Where the middle of a twin is, in metres of the room."""
        return self.ask(ROOM, ["twin", twin])

    # -- hands -------------------------------------------------------------------------------------

    def aim(self, target: Sequence[float], side: str = "right", *, at: object = None) -> None:
        """Points a hand, where it is or from another place, at a place of the room."""
        self.page.evaluate(AIM, [side, list(target), at])

    def point_at(self, twin: str, side: str = "right") -> None:
        """Points at a twin until the page knows it."""
        self.aim(self.where(twin), side)
        self.until("id => window.__mirrorworld.mirror.hovered === id", twin)

    def trigger(self, value: float, side: str = "right") -> None:
        """Presses the trigger or lets go of it, until the page has seen it; a bare hand pinches."""
        self.page.evaluate(
            "([side, value]) => device.primaryInputMode === 'hand'"
            " ? device.hands[side].updatePinchValue(value)"
            " : device.controllers[side].updateButtonValue('trigger', value)",
            [side, value],
        )
        pressed = "true" if value > 0.5 else "false"
        self.until(f"{VISIT} === null || {VISIT}.input.{side}.isPressed === {pressed}")

    def click(self, side: str = "right") -> None:
        """A short press."""
        self.page.evaluate(CLICK, side)
        self.pictures(2)

    def _aim_at(self, slate: str, label: str, side: str) -> None:
        """Until the ray meets that button and no other."""
        self.until(f"args => {VISIT} && ({ROOM})(args) !== null", [slate, label])
        for _ in range(20):
            # The panel may still be on its way to where it hangs.
            self.aim(self.ask(ROOM, [slate, label]), side)
            self.pictures(3)
            if self.ask(
                f"([slate, label, side]) => {{ const aim = {VISIT}.pointing[side];"
                f" return aim.slate === {VISIT}.desk[slate]"
                " && aim.slate.labelOf(aim.area) === label; }",
                [slate, label, side],
            ):
                return
        raise AssertionError(f"the ray does not meet '{label}' on {slate}:\n{self.said(slate)}")

    def press(self, slate: str, label: str, side: str = "right") -> None:
        """Presses a button of a panel."""
        self._aim_at(slate, label, side)
        self.click(side)

    def hold(self, slate: str, label: str, until: str, side: str = "right") -> None:
        """Holds a button of a panel until something is so."""
        self._aim_at(slate, label, side)
        self.trigger(1, side)
        self.until(until)
        if self.ask(f"{VISIT} !== null"):
            self.trigger(0, side)

    def button(self, button: str, side: str = "left") -> None:
        """Presses a button of a controller and lets go of it."""
        for value in (1, 0):
            self.page.evaluate(
                "([side, button, value]) =>"
                " device.controllers[side].updateButtonValue(button, value)",
                [side, button, value],
            )
            self.pictures(3)

    def stick(self, x: float, y: float, side: str = "right") -> None:
        """Moves the stick and leaves it there."""
        self.page.evaluate(
            "([side, x, y]) => device.controllers[side].updateAxes('thumbstick', x, y)",
            [side, x, y],
        )
        self.pictures(4)

    def open_menu(self) -> None:
        """The menu over the left hand, held where it can be read."""
        self.page.evaluate("device.controllers.left.position.set(-0.3, 1.15, -0.55)")
        if not self.ask(f"{VISIT}.desk.isMenuOpen"):
            self.button("y-button")
        self.until_said("menu", "[Leave]")


Worn = Callable[..., Wearer]


@contextlib.contextmanager
def wearing(browser: Browser, peers: Path, world: LivingWorld) -> Iterator[Worn]:
    """A function that opens a world's page beside an emulated headset."""
    contexts = []
    errors: list[str] = []

    def open_(*, is_drawn: bool = False, has_headset: bool = True, **options) -> Wearer:
        context = browser.new_context(
            viewport={"width": 640, "height": 320} if is_drawn else {"width": 1280, "height": 900},
            bypass_csp=True,
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        if has_headset:
            put_on(context, peers)
        page = context.new_page()
        if not is_drawn:
            page.add_init_script(NO_DRAWING)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: errors.append(message.text) if message.type == "error" else None,
        )
        address, _, token = world.url.partition("/?token=")
        context.request.post(f"{address}/api/session", data={"token": token})
        page.set_default_navigation_timeout(2 * WAIT_MS)
        page.goto(f"{address}/?quality=low")
        page.wait_for_function(
            "document.documentElement.dataset.ready === 'true'", timeout=2 * READY_MS
        )
        return Wearer(page)

    yield open_
    for context in contexts:
        context.close()
    assert not errors, "the page threw:\n" + "\n".join(errors)


def shot(wearer: Wearer, name: str) -> None:
    """A picture of both eyes, where pictures are asked for."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        wearer.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))
