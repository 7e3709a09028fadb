"""Rules: what many instances cost while all their points change.

100,000 instances (half of them alarms with a delay, half derived points) over 200,000 points of
which each changes ten times a second; the share of one core that looking at them all ten times a
second takes. Every four seconds another 1 in 200 pumps is over its limit for so long. The changes
themselves are made beforehand and not counted.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from mirrorworld.rules.engine import Engine
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutSheet, PutTwin, PutType
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import PointType, Sheet, Twin, TwinType
from mirrorworld.world.world import World

ALARM = """{"applies": {"type": "Pump"}, "alarm": {"when":
 "held(pressure > 6 bar, 2 s) and speed > 10 Hz", "severity": 2, "on_delay_s": 1}}"""
DERIVE = """{"applies": {"type": "Pump"}, "derive": {"point": "load",
 "expression": "pressure / 6 bar * speed / 50 Hz", "unit": "%"}}"""


def run(instances: int = 100_000, rate_hz: float = 10.0, seconds: float = 10.0) -> dict[str, Any]:
    """cpu_share of one core; instances and points; how much was raised and derived."""
    twins = instances // 2
    world = World("bench")
    pump = TwinType(
        "Pump", points=(PointType("pressure", unit="bar"), PointType("speed", unit="1/min"))
    )
    by = Origin(OriginKind.MEASURED, "bench")
    world.apply(Change(Edits((PutType(pump),)), by, 1))
    # Further points of the same plant, which no rule reads.
    rest = tuple(PointType(f"p{i}") for i in range(2))
    edits = tuple(PutTwin(Twin(f"pump{i}", "Pump", points=rest)) for i in range(twins))
    world.apply(Change(Edits(edits), by, 1))
    world.apply(Change(Edits((PutSheet(Sheet("rule", "high", ALARM)),)), by, 1))
    world.apply(Change(Edits((PutSheet(Sheet("rule", "load", DERIVE)),)), by, 1))
    engine = Engine()
    _step(engine, world, 1)
    _step(engine, world, 1)
    if engine.instances != instances:
        raise ValueError(f"{engine.instances} instances; {engine.troubles[:2]}")
    points = np.array(
        [h.handle for i in range(twins) for h in world.structure.points_of(f"pump{i}")[:4]],
        np.uint32,
    )
    generator = np.random.default_rng(7)
    is_pressure = np.arange(len(points)) % 4 == 0
    spent = 0.0
    raised = derived = 0
    steps = int(seconds * rate_hz)
    for step in range(steps):
        now_ns = int((10 + step / rate_hz) * 1e9)
        is_high = np.arange(len(points)) // 4 % 200 == int(step / rate_hz / 4)
        values = np.where(
            is_pressure,
            generator.normal(4, 0.3, len(points)) + 4 * is_high,
            generator.normal(1500, 100, len(points)),
        )
        frame = Frame(
            points,
            values.view(np.int64),
            np.zeros(len(points), np.uint32),
            np.full(len(points), now_ns, np.int64),
        )
        world.apply(Change(frame, by, now_ns, "bench"))
        began = time.process_time()
        changes = list(engine.step(world, now_ns))
        spent += time.process_time() - began
        for change in changes:
            if isinstance(change.body, Frame):
                derived += len(change.body)
            else:
                raised += 1
            world.apply(change)
    return {
        "cpu_share": round(spent / seconds, 4),
        "instances": engine.instances,
        "points": len(points),
        "rate_hz": rate_hz,
        "step_ms": round(spent / steps * 1000, 2),
        "derived_values": derived,
        "alarm_changes": raised,
    }


def _step(engine: Engine, world: World, now_ns: int) -> None:
    for change in list(engine.step(world, now_ns)):
        world.apply(change)
