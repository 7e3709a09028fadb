"""The page of `bench city`: from the plant's stamp to the painted frame, in a real Chromium.

Its own store is asked for the stamp of one point in the callback that a frame begins with, and the
age is taken in the callback of the next: by then the frame that showed the value was painted.
Without a graphics card the browser paints in software, on the cores that the twin uses; the 3D
scene then takes seconds a frame, and the page is best opened without it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from typing import Any, Final

import numpy as np

from mirrorworld.bench.serving import Serving

STARTS_WITHIN_MS: Final = 180_000
ARGUMENTS: Final = {
    "page": ("--no-sandbox", "--disable-gpu", "--disable-3d-apis"),
    "scene": (
        "--no-sandbox",
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
    ),
}
WATCH: Final = """
() => {
  const mirror = window.__mirrorworld.mirror;
  const ages = (window.__ages = []);
  let told = NaN, pending = NaN;
  const look = () => {
    if (!Number.isNaN(pending)) ages.push(Date.now() - pending);
    const at = mirror.timeMs[POINT];
    pending = at !== told && !Number.isNaN(told) ? at : NaN;
    told = at;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}
"""


def chromium(stack: ExitStack, way: str, *more: str) -> Any:
    """A Chromium without a screen, open until the stack is left; `way` is one of `ARGUMENTS`, to
    which `more` come.

    Raises:
        RuntimeError: there is none here.
    """
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("MIRRORWORLD_CHROMIUM") or next(
        filter(None, map(shutil.which, names)), None
    )
    if found is None:
        raise RuntimeError("there is no Chromium here; apt-get install chromium brings it")
    playwright = stack.enter_context(sync_playwright())
    browser = playwright.chromium.launch(executable_path=found, args=[*ARGUMENTS[way], *more])
    stack.callback(browser.close)
    return browser


class Page:
    """The page of a served world, open until the block ends."""

    def __init__(self, served: Serving, points: int, way: str) -> None:
        self._served, self._points, self._way = served, points, way
        self._stack = ExitStack()

    def __enter__(self) -> Page:
        browser = chromium(self._stack, self._way)
        self._page = browser.new_page(viewport={"width": 1280, "height": 800}, bypass_csp=True)
        self._page.goto(f"{self._served.url}/?token={self._served.token}")
        ready = f"window.__mirrorworld?.mirror.timeMs.length >= {self._points}"
        self._page.wait_for_function(ready, timeout=STARTS_WITHIN_MS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def paint_ages_ms(self, seconds: float) -> list[float]:
        """Ages of one point's values when they were painted, over a while."""
        self._page.evaluate(WATCH.replace("POINT", str(self._points // 2)))
        self._page.wait_for_timeout(seconds * 1_000)
        return self._page.evaluate("window.__ages")


def figures(ages_ms: list[float], way: str) -> dict[str, Any]:
    """What is said of painted frames; nothing if none were asked for."""
    if not way:
        return {}
    ages = np.array(ages_ms)
    return {
        "browser": way,
        "painted": len(ages),
        "painted_ms_p50": round(float(np.percentile(ages, 50))) if len(ages) else None,
        "painted_ms_p99": round(float(np.percentile(ages, 99))) if len(ages) else None,
    }
