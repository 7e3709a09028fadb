"""How many samples a second one core takes into a world, with everything that `apply` does.

Times, qualities, range checks, recognition of repetition, counts, and two subscribers that read
after every round. Beside it the bare loop over the columns, which does nothing else.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin, PutType
from mirrorworld.world.compiled import HAS_NUMBA
from mirrorworld.world.frames import Frame, frame
from mirrorworld.world.model import PointType, Twin, TwinType
from mirrorworld.world.world import World

ORIGIN = Origin(OriginKind.MEASURED, "bench")


def run(points: int = 200_000, batch: int = 1_000, rounds: int = 10) -> dict[str, Any]:
    """Figures, all in CPU time of one core: `updates_per_s` of numbered sources, each batch the
    points of one gateway in any order; the same with batches drawn from all points (`scattered`),
    from sources that number nothing, on the plain path, and of the bare table loop."""
    figures: dict[str, Any] = {
        "points": points,
        "batch": batch,
        "subscribers": 2,
        "compiled": HAS_NUMBA,
        "updates_per_s": _rate(points, batch, rounds, compiled=None, is_numbered=True),
        "scattered_updates_per_s": _rate(
            points, batch, rounds, compiled=None, is_numbered=True, is_scattered=True
        ),
        "unnumbered_updates_per_s": _rate(points, batch, rounds, compiled=None, is_numbered=False),
        "plain_updates_per_s": _rate(points, batch, rounds, compiled=False, is_numbered=True),
        "bare_loop_per_s": _bare(points, batch, rounds),
    }
    return figures


def _world(points: int, compiled: bool | None) -> World:
    world = World("bench", compiled=compiled)
    per_twin = 100
    kinds = tuple(PointType(f"p{i}", low=-1e6, high=1e6) for i in range(per_twin))
    twins = tuple(PutTwin(Twin(f"t{i}", "T")) for i in range(points // per_twin))
    world.apply(Change(Edits((PutType(TwinType("T", points=kinds)), *twins)), ORIGIN, 0))
    return world


def _frames(points: int, batch: int, round_: int, *, is_scattered: bool = False) -> list[Frame]:
    """Batches of one round: every point once, in an order of its own each round."""
    rng = np.random.default_rng(round_)
    if is_scattered:
        order = rng.permutation(points)
    else:
        gateways = np.arange(points - points % batch).reshape(-1, batch)
        order = rng.permuted(gateways, axis=1).reshape(-1)
    return [
        frame(order[i : i + batch], rng.normal(size=batch), 10**9 * (round_ + 1))
        for i in range(0, points - batch + 1, batch)
    ]


def _rate(
    points: int,
    batch: int,
    rounds: int,
    *,
    compiled: bool | None,
    is_numbered: bool,
    is_scattered: bool = False,
) -> float:
    world = _world(points, compiled)
    subscribers = [world.subscribe(), world.subscribe()]

    def one(round_: int, frames: list[Frame]) -> None:
        for part in frames:
            seq = world.position.sequence if is_numbered else -1
            world.apply(Change(part, ORIGIN, 10**9 * (round_ + 1), "bench", 0, seq))
        for subscriber in subscribers:
            subscriber.read()

    return _median_rate(one, points, batch, rounds, is_scattered=is_scattered)


def _bare(points: int, batch: int, rounds: int) -> float:
    cells = np.zeros(points, np.int64)

    def one(_: int, frames: list[Frame]) -> None:
        for part in frames:
            cells[part.point] = part.cell

    return _median_rate(one, points, batch, rounds)


def _median_rate(
    one: Callable[[int, list[Frame]], None],
    points: int,
    batch: int,
    rounds: int,
    *,
    is_scattered: bool = False,
) -> float:
    one(0, _frames(points, batch, 0))  # compiles, and fills the tables
    rates: list[float] = []
    for round_ in range(1, rounds + 1):
        frames = _frames(points, batch, round_, is_scattered=is_scattered)
        started = time.process_time()
        one(round_, frames)
        rates.append(len(frames) * batch / (time.process_time() - started))
    return statistics.median(rates)
