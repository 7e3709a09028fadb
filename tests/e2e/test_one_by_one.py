"""Points of a plant are changed one by one: in the browser exactly those change.

MIRRORWORLD_ONE_BY_ONE_POINTS=200000 tries it on as many points as a city has.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.conftest import unused_port
from tests.e2e import zenoh_plant
from tests.e2e.conftest import Up

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

POINTS = int(os.environ.get("MIRRORWORLD_ONE_BY_ONE_POINTS", "5000"))
CHANGED = 500
SEED = 20_261_126
WAIT_MS = 120_000

# Remembers all that the page's own store has, and tells what of it has become another.
WATCH = """
() => {
  const { mirror } = window.__mirrorworld;
  const seen = { value: mirror.value.slice(), timeMs: mirror.timeMs.slice() };
  window.__changed = () => {
    const found = [];
    for (let h = 0; h < mirror.nPoints; h++) {
      if (Object.is(mirror.value[h], seen.value[h]) && Object.is(mirror.timeMs[h], seen.timeMs[h]))
        continue;
      found.push([h, mirror.value[h]]);
      seen.value[h] = mirror.value[h];
      seen.timeMs[h] = mirror.timeMs[h];
    }
    return found;
  };
}
"""
UNTIL_ANY_CHANGED = """
() => new Promise((tell) => {
  const look = () => {
    const found = window.__changed();
    if (found.length) tell(found);
    else setTimeout(look, 5);
  };
  look();
})
"""
# What comes later than a change would show up here, or before the next one.
A_LITTLE_LATER = """
() => new Promise((tell) => setTimeout(() => tell(window.__changed()), 200))
"""


@contextmanager
def plant(port: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, zenoh_plant.__file__, json.dumps({"port": port, "points": POINTS})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def twin_and_point(point: int) -> tuple[str, str]:
    table, index = divmod(point, zenoh_plant.POINTS_A_TABLE)
    return f"plant/hall{table}/m{index // 100:03}", f"p{index % 100:02}"


def test_exactly_the_points_that_change_in_the_plant_change_in_the_browser(
    page_built: None, browser: Browser, up: Up
) -> None:
    pytest.importorskip("zenoh")
    port = unused_port()
    world = up(
        f"zenoh://127.0.0.1:{port}/plant", "--name", "site",
        "--option", "listen=true", "--option", f"max_points={POINTS}",
    )  # fmt: skip
    world.until_source("site", "live")
    with plant(port) as process:
        assert process.stdin is not None
        world.until("all points are there", lambda: world.get("world")["points"] >= POINTS, 120)
        page = browser.new_context(bypass_csp=True, reduced_motion="reduce").new_page()
        page.goto(f"{world.url}/?token={world.token}&quality=low")
        page.wait_for_function(
            "n => { const m = window.__mirrorworld?.mirror; return m && m.nPoints >= n"
            " && m.value.subarray(0, m.nPoints).every((v) => v === 0); }",
            arg=POINTS,
            timeout=WAIT_MS,
        )
        # One address of the plant is one handle of the page, and the other way round.
        chosen = random.Random(SEED).sample(range(POINTS), CHANGED)
        names = [twin_and_point(point) for point in chosen]
        handles = page.evaluate(
            "names => names.map(([twin, point]) =>"
            " window.__mirrorworld.mirror.handle(`site/${twin}`, point))",
            names,
        )
        assert min(handles) >= 0 and len(set(handles)) == CHANGED
        page.evaluate(WATCH)
        for n, (point, handle) in enumerate(zip(chosen, handles, strict=True), 1):
            process.stdin.write(f"[{point}, {n}]\n")
            process.stdin.flush()
            assert page.evaluate(UNTIL_ANY_CHANGED) == [[handle, n]], f"{n}: {names[n - 1]}"
        assert page.evaluate(A_LITTLE_LATER) == []
        page.context.close()
