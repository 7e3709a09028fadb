"""A meeting: many people who all move ten times a second, and pages that see them.

The server is the real one (`mirrorworld up`) in a process of its own; the bots are people on lines
of their own, in a few processes; two real Chromium pages join the same meeting and move too. A
pose's time is from when a person moved to when another has it: to a bot's socket or, in a page, to
its decoded table. A page shows it `shown_after_ms` later still, so that people glide. All processes
share the machine; CPU time is the server's own.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from mirrorworld.bench import city_browser
from mirrorworld.bench.peer import Peer
from mirrorworld.bench.room_bots import WRAP_MS
from mirrorworld.bench.serving import Serving, serving

PAGES_WITHIN_MS: Final = 180_000
SHOWN_AFTER_MS: Final = 150
SETTLE_S: Final = 60.0

_JOIN: Final = """
name => {
  const meeting = window.__mirrorworld.people.meeting;
  window.__ages = [];
  window.__paints = 0;
  meeting.on("poses", ({ ids }) => {
    const now = (performance.timeOrigin + performance.now()) % WRAP;
    for (const id of ids) {
      const body = meeting.latest(id);
      if (body?.pointer) window.__ages.push((now - body.pointer.to[0] * 1000 + WRAP) % WRAP);
    }
  });
  meeting.where = () => {
    const at = performance.now() / 1000;
    const now = (performance.timeOrigin + performance.now()) % WRAP;
    const head = { position: [Math.sin(at), 1.7, Math.cos(at)], rotation: [0, 0, 0, 1] };
    const pointer = { from: [0, 1, 0], to: [now / 1000, 0, 0] };
    return { head, left: null, right: null, pointer };
  };
  meeting.join(name);
}
""".replace("WRAP", str(WRAP_MS))


def run(
    people: int = 100,
    rate_hz: float = 10.0,
    seconds: float = 20.0,
    warm_s: float = 5.0,
    processes: int = 2,
    pages: int = 2,
    spread_m: float = 1.5,
) -> dict[str, Any]:
    """Figures: `people` (pages included), `pose_ms_p95`, `server_core_share`,
    `server_cpu_ms_per_person_s`.

    Args:
        people: bots; pages come to them.
        rate_hz: how often each moves.
        seconds, warm_s: how long, and how long before that nothing is counted.
        processes: of bots.
        pages: real pages, without the 3D scene, in a Chromium.
        spread_m: bots stand in a round of about this times the root of their number.

    Raises:
        RuntimeError: a process did not start, or there is no Chromium.
    """
    with tempfile.TemporaryDirectory(prefix="mirrorworld-bench-") as name, ExitStack() as stack:
        served = stack.enter_context(serving(Path(name) / "world"))
        bots: list[Peer] = []
        for number in range(processes):
            mine = people // processes + (number < people % processes)
            first = sum(people // processes + (k < people % processes) for k in range(number))
            asked = {
                "url": served.url, "token": served.token, "first": first, "bots": mine,
                "rate_hz": rate_hz, "seconds": seconds, "warm_s": warm_s, "spread_m": spread_m,
            }  # fmt: skip
            bots.append(stack.enter_context(Peer("room_bots", asked)))
        for each in bots:
            each.until_ready()
        views = stack.enter_context(_Pages(served, pages)) if pages else None
        _until_here(served, people + pages)
        for each in bots:
            each.tell()
        time.sleep(warm_s)
        if views is not None:
            views.begin()
        before, cpu_s, start_s = _tally(served), served.cpu_s(), time.monotonic()
        bots_cpu_s = [each.cpu_s() for each in bots]
        time.sleep(max(0.0, seconds - 0.5))
        wall_s, cpu_s = time.monotonic() - start_s, served.cpu_s() - cpu_s
        after = _tally(served)
        bots_cpu_s = [each.cpu_s() - b for each, b in zip(bots, bots_cpu_s, strict=True)]
        ages_ms = views.ages_ms() if views is not None else []
        said = [each.hear() for each in bots]
        here = _now(served)["people"]
        for each in bots:
            each.tell()
    histogram = np.zeros(10_000, np.int64)
    for one in said:
        histogram[: len(one["histogram_ms"])] += np.array(one["histogram_ms"], np.int64)
    to_pages = np.bincount(np.clip(ages_ms, 0, 9_999).astype(np.intp), minlength=10_000)
    both = histogram + to_pages
    counted = {key: after.get(key, 0) - before.get(key, 0) for key in after}
    return {
        "people": people + pages,
        "pose_ms_p50": _percentile(both, 0.5),
        "pose_ms_p95": _percentile(both, 0.95),
        "pose_ms_p99": _percentile(both, 0.99),
        "page_pose_ms_p95": _percentile(to_pages, 0.95) if pages else None,
        "shown_after_ms": SHOWN_AFTER_MS,
        "server_core_share": round(cpu_s / wall_s, 3),
        "server_cpu_ms_per_person_s": round(1e3 * cpu_s / wall_s / (people + pages), 2),
        "moves_per_s": round(counted.get("poses", 0) / wall_s),
        "frames_per_s": round(counted.get("frames", 0) / wall_s),
        "frames_late": counted.get("frames_late", 0),
        "poses_limited": counted.get("poses_limited", 0),
        "kbytes_per_person_s": round(
            sum(one["bytes"] for one in said) / 1e3 / seconds / max(1, people), 1
        ),
        "still_here": here,
        "bots_lost": sum(one["lost"] for one in said),
        "bots_late_s_max": round(max(one["late_s"] for one in said), 3),
        "bots_core_share": round(sum(bots_cpu_s) / wall_s, 2),
        "rate_hz": rate_hz,
        "seconds": round(wall_s, 1),
        "load_1min": round(os.getloadavg()[0], 1),
    }


def _percentile(histogram: np.ndarray, part: float) -> int | None:
    total = int(histogram.sum())
    return int(np.searchsorted(histogram.cumsum(), part * total)) if total else None


def _now(served: Serving) -> dict[str, Any]:
    answer = httpx.get(f"{served.url}/api/meet", headers=served.headers, timeout=30)
    return answer.json()


def _tally(served: Serving) -> dict[str, int]:
    return _now(served)["counts"]


def _until_here(served: Serving, people: int) -> None:
    until = time.monotonic() + SETTLE_S
    while _now(served)["people"] < people:
        if time.monotonic() > until:
            raise RuntimeError(f"{_now(served)['people']} of {people} people came")
        time.sleep(0.2)


class _Pages:
    """Real pages in the meeting, open until the block ends."""

    def __init__(self, served: Serving, pages: int) -> None:
        self._served, self._n = served, pages
        self._stack = ExitStack()
        self._pages: list[Any] = []

    def __enter__(self) -> _Pages:
        browser = city_browser.chromium(self._stack, "page")
        for number in range(self._n):
            page = browser.new_page(viewport={"width": 900, "height": 600}, bypass_csp=True)
            page.set_default_timeout(PAGES_WITHIN_MS)
            page.goto(f"{self._served.url}/?token={self._served.token}", wait_until="commit")
            page.wait_for_function("window.__mirrorworld?.mirror.link.state === 'live'")
            page.evaluate(_JOIN, f"Page {number}")
            page.wait_for_function("window.__mirrorworld.people.meeting.isIn")
            self._pages.append(page)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self) -> None:
        """Counts from now on."""
        for page in self._pages:
            page.evaluate("window.__ages.length = 0")

    def ages_ms(self) -> list[float]:
        """How long ago people moved when a page had it."""
        return [age for page in self._pages for age in page.evaluate("window.__ages")]
