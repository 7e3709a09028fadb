"""The scene at its size: 100,000 live tags on 20,000 bodies in a real Chromium, and what they cost.

CPU-side: WebGL's drawing calls do nothing, since without a graphics card they would be computed
on the cores that the page and the server use; all else is as people have it, from the server's
change over the stream to the texture that the bars are drawn from. Stereo is drawn as WebXR draws:
one scene through a camera of two eyes.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

from mirrorworld.bench import city_browser
from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.server import serve
from mirrorworld.world.changes import (
    Change,
    Edits,
    Origin,
    OriginKind,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind, PointType, Relation, Text, Twin, TwinType

TOKEN: Final = "x" * 32
PER_AREA: Final = 100
STARTS_WITHIN_S: Final = 300
FRAMES_HZ: Final = 60
BENCHED: Final = Origin(OriginKind.MEASURED, "bench")

NO_DRAWING: Final = """
for (const name of ["drawElements", "drawArrays", "drawElementsInstanced", "drawArraysInstanced",
    "blitFramebuffer", "clear"])
  WebGL2RenderingContext.prototype[name] = () => undefined;
"""
WATCH: Final = """
() => {
  const { mirror, scene } = window.__mirrorworld;
  const seen = (window.__seen = { ages: [], took: [], changes: 0, fromMs: performance.now() });
  // The scene took the values in before: who is told first was there first.
  mirror.on("values", ({ handles }) => {
    const n = handles === null ? mirror.nPoints : handles.length;
    if (n === 0) return;
    const handle = handles === null ? 0 : handles[n >> 1];
    seen.ages.push(Date.now() - mirror.timeMs[handle]);
    seen.took.push(scene.valuesMs);
    seen.changes += n;
  });
}
"""
SEEN: Final = "() => ({ ...window.__seen, ms: performance.now() - window.__seen.fromMs })"


def run(
    twins: int = 20_000,
    points_per_twin: int = 5,
    rate_hz: float = 20.0,
    share: float = 1.0,
    seconds: float = 20.0,
) -> dict[str, Any]:
    """`js_ms_per_frame`, `draw_calls`; `update_ms_p95` from the plant's change to the texture.

    Args:
        share: of all tags, how many change at each tick of `rate_hz`.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="mirrorworld-bench-") as name, ExitStack() as stack:
        here, there = context.Pipe()
        arguments = (name, there, twins, points_per_twin, rate_hz, share)
        server = context.Process(target=_serve, args=arguments, daemon=True)
        server.start()
        stack.callback(server.join, 30)
        stack.callback(here.send, "end")
        if not here.poll(STARTS_WITHIN_S):
            raise RuntimeError("the server did not start")
        url = here.recv()
        return _look(stack, url, here, twins * points_per_twin, seconds) | {
            "rate_hz": rate_hz,
            "share": share,
        }


def _look(
    stack: ExitStack, url: str, server: Connection, tags: int, seconds: float
) -> dict[str, Any]:
    browser = city_browser.chromium(stack, "scene")
    page = browser.new_page(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    page.set_default_timeout(STARTS_WITHIN_S * 1000)
    page.add_init_script(NO_DRAWING)
    page.goto(f"{url}/?token={TOKEN}", wait_until="commit")
    page.wait_for_function(f"() => window.__mirrorworld?.stats().tags === {tags}")
    page.evaluate("async () => window.__mirrorworld.scene.stage.ask('medium')")
    # A turn around all of it: each frame sees other cells, and none is drawn twice alike.
    mono = page.evaluate("() => window.__mirrorworld.scene.trial(240, false)")
    stereo = page.evaluate("() => window.__mirrorworld.scene.trial(240, true)")
    near = page.evaluate("() => window.__mirrorworld.scene.trial(240, false, 0.04)")
    server.send("change")
    page.wait_for_timeout(3_000)
    page.evaluate(WATCH)
    page.wait_for_timeout(seconds * 1_000)
    seen = page.evaluate(SEEN)
    stats = page.evaluate("() => window.__mirrorworld.stats()")
    ages, took = np.array(seen["ages"]), np.array(seen["took"])
    # Values come less often than pictures are drawn: each picture bears its share of them.
    per_frame_ms = float(np.median(took)) * len(ages) / (seen["ms"] / 1_000) / FRAMES_HZ
    if not len(ages):
        raise RuntimeError("no values came to the page")
    return {
        "tags": stats["tags"],
        "instances": stats["instances"],
        "js_ms_per_frame": round(float(np.median(mono["ms"])) + per_frame_ms, 2),
        "js_ms_p95": round(float(np.percentile(mono["ms"], 95)), 2),
        "near_js_ms": round(float(np.median(near["ms"])) + per_frame_ms, 2),
        "draw_calls": max(mono["draw_calls"], near["draw_calls"]),
        "triangles": max(mono["triangles"], near["triangles"]),
        "stereo_js_ms": round(float(np.median(stereo["ms"])) + per_frame_ms, 2),
        "stereo_draw_calls": stereo["draw_calls"],
        "stereo_triangles_per_eye": stereo["triangles"] // 2,
        "values_js_ms": round(float(np.median(took)), 2),
        "update_ms_p50": round(float(np.percentile(ages, 50)), 1),
        "update_ms_p95": round(float(np.percentile(ages, 95)), 1),
        "updates_hz": round(len(ages) / (seen["ms"] / 1_000), 1),
        "changes_per_s": round(seen["changes"] / (seen["ms"] / 1_000)),
    }


def _serve(
    name: str, pipe: Connection, twins: int, points: int, rate_hz: float, share: float
) -> None:
    asyncio.run(_served(Path(name), pipe, twins, points, rate_hz, share))


async def _served(
    directory: Path, pipe: Connection, twins: int, points: int, rate_hz: float, share: float
) -> None:
    """Serves a world of areas and units; changes values once it is told to, until told to end."""
    record = open_record(directory / "record", "bench", compacts=False)
    mirror = Mirror(restore(record), record, {}, guard=RoleGuard())
    await mirror.start()
    mirror.pipeline.apply(Change(_world(twins, points), BENCHED, time.time_ns()))
    tags = twins * points
    everything = np.arange(tags, dtype=np.uint32)
    mirror.pipeline.apply(_change(everything, np.full(tags, 50.0)))
    ready = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    serving = asyncio.create_task(
        serve(mirror, token=TOKEN, port=0, on_ready=ready.set_result, stop=stop)
    )
    pipe.send(await ready)
    random = np.random.default_rng(5)
    isChanging, due = False, 0.0
    while not (pipe.poll() and (isChanging := pipe.recv() == "change") is False):
        if not isChanging:
            await asyncio.sleep(0.05)
            continue
        due = max(due + 1 / rate_hz, time.perf_counter() - 1 / rate_hz)
        changed = everything
        if share < 1.0:
            changed = np.flatnonzero(random.random(tags) < share).astype(np.uint32)
        mirror.pipeline.apply(_change(changed, random.uniform(0, 100, len(changed))))
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    stop.set()
    await serving
    await mirror.stop()


def _change(handles: np.ndarray, values: np.ndarray) -> Change:
    now_ns = time.time_ns()
    good, at = np.zeros(len(handles), np.uint32), np.full(len(handles), now_ns, np.int64)
    return Change(Frame(handles, values.view(np.int64), good, at), BENCHED, now_ns, "bench")


def _world(twins: int, points: int) -> Edits:
    types = tuple(PointType(f"Signal{i}", Kind.FLOAT, "%", 0, 100) for i in range(points))
    edits: list[Any] = [PutType(TwinType("Area")), PutType(TwinType("Unit", points=types))]
    for i in range(twins):
        area = f"area{i // PER_AREA}"
        if i % PER_AREA == 0:
            edits.append(PutTwin(Twin(area, "Area", Text.of(f"Area {i // PER_AREA + 1}"))))
        edits.append(PutTwin(Twin(f"unit{i}", "Unit", Text.of(f"Unit {i + 1}"))))
        edits.append(PutRelation(Relation("part_of", f"unit{i}", area)))
    return Edits(tuple(edits))
