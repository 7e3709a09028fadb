"""What was sent before is recognised, against a plain list of all that came."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin, PutType
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import PointType, Twin, TwinType
from mirrorworld.world.world import World

ORIGIN = Origin(OriginKind.MEASURED, "plant")
POINTS = 40
ROWS_MAX = 150


def city(compiled: bool) -> World:
    world = World("w", compiled=compiled)
    points = tuple(PointType(f"p{i}") for i in range(POINTS))
    world.apply(
        Change(Edits((PutType(TwinType("T", points=points)), PutTwin(Twin("t", "T")))), ORIGIN, 0)
    )
    world.state.fingerprints.rows_max = ROWS_MAX
    return world


class Oracle:
    """Two generations of samples, each looked at one by one; and each point's latest, which is
    known however long ago it came."""

    def __init__(self) -> None:
        self.generations: deque[list[tuple[int, int, int]]] = deque([[], []], maxlen=2)
        self.latest: dict[int, tuple[int, int, int]] = {}

    def is_new(self, sample: tuple[int, int, int]) -> bool:
        if len(self.generations[1]) >= ROWS_MAX:
            self.generations.append([])
        if any(sample in generation for generation in self.generations):
            return False
        self.generations[1].append(sample)
        latest = self.latest.get(sample[0], sample)
        if sample[1] >= latest[1]:
            self.latest[sample[0]] = sample
        return sample != latest or latest is sample


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])
@pytest.mark.parametrize("seed", range(6))
def test_repeats_late_and_mixed_are_recognised_as_one_by_one(compiled: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    world, oracle = city(compiled), Oracle()
    sent: list[np.ndarray] = []
    clock = 1
    for step in range(120):
        n = int(random.integers(1, 60))
        point = random.integers(0, POINTS, n)
        if step % 3 == 0:  # all in order, as a healthy source sends
            point = np.sort(random.permutation(POINTS)[: min(n, POINTS)])
        source_ns = clock + random.integers(0, 3, len(point))
        value = random.integers(0, 4, len(point))
        if step % 4 == 1:  # far too early
            source_ns -= random.integers(0, 40, len(point))
        rows = np.stack([point, source_ns, value], axis=1)
        if sent and step % 5 == 2:  # again, all or a part of what came
            again = sent[int(random.integers(max(0, len(sent) - 12), len(sent)))]
            rows = np.concatenate([rows, again])
            rows = random.permutation(rows)[: len(rows) - int(random.integers(0, 5))]
        clock += int(random.integers(0, 3))
        sent.append(rows)
        expected = [oracle.is_new(tuple(row)) for row in rows.tolist()]
        sample = Frame(
            rows[:, 0].astype(np.uint32),
            rows[:, 2].astype(np.float64).view(np.int64),
            np.zeros(len(rows), np.uint32),
            rows[:, 1].astype(np.int64),
        )
        applied = world.apply(Change(sample, ORIGIN, clock + 1_000, "plant"))
        assert applied.tally.accepted == sum(expected), (seed, step)
        if applied.change is not None:
            assert isinstance(applied.change.body, Frame)
            kept = applied.change.body
            assert kept.point.tolist() == rows[expected, 0].tolist()
            assert kept.source_ns.tolist() == rows[expected, 1].tolist()


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])
def test_what_comes_in_order_lays_out_no_table(compiled: bool) -> None:
    world = city(compiled)
    points = np.arange(POINTS, dtype=np.uint32)
    for step in range(1, 20):
        cell = np.full(POINTS, step, np.float64).view(np.int64)
        sample = Frame(points, cell, np.zeros(POINTS, np.uint32), np.full(POINTS, step, np.int64))
        world.apply(Change(sample, ORIGIN, step, "plant"))
    assert not len(world.state.fingerprints.young_table)
    assert not len(world.state.fingerprints.old_table)
    fork = world.branch("what-if")
    assert not fork.apply(Change(sample, ORIGIN, 30, "plant")).tally.accepted
