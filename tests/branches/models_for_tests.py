"""Models and evaluators of a third party, good and bad; `install` puts them behind the doors."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from mirrorworld.simulation.ports import Kpi
from mirrorworld.world.changes import Change, Command, Origin, OriginKind
from mirrorworld.world.frames import frame
from mirrorworld.world.world import World


class Counter:
    """Counts up: a sample of the filler's level each step."""

    name = "counter"
    origin = OriginKind.SIMULATED

    def __init__(self, by: float = 1.0) -> None:
        self._by, self._n = by, 0

    def step(self, view: World, until_ns: int) -> Iterator[Change]:
        self._n += 1
        handle = view.structure.handle("line1/filler", "level")
        value = self.value(view, self._by * self._n)
        yield Change(frame([handle], [value], until_ns), Origin(self.origin, self.name), until_ns)

    def value(self, view: World, value: float) -> float:
        return value


class Endless(Counter):
    """Never comes back from its third step."""

    name = "endless"

    def value(self, view: World, value: float) -> float:
        while self._n == 3:
            time.sleep(0.01)
        return value


class Broken(Counter):
    """Divides by zero in its third step."""

    name = "broken"

    def value(self, view: World, value: float) -> float:
        return value / (3 - self._n)


class NotANumber(Counter):
    """Says NaN in its third step."""

    name = "nan"

    def value(self, view: World, value: float) -> float:
        return float("nan") if self._n == 3 else value


class Metric(Counter):
    """Takes the filler's level to be in metres."""

    name = "metric"
    units: ClassVar = {"line1/filler.level": "m"}


class Commander(Counter):
    """Wants to command the real filler."""

    name = "commander"

    def step(self, view: World, until_ns: int) -> Iterator[Change]:
        yield Change(
            Command("c", "line1/filler", "speed", value=1.0),
            Origin(self.origin, self.name),
            until_ns,
        )


class Demand(Counter):
    """Says the scenario's demand as the filler's level, in the third step and after."""

    name = "demand"

    def value(self, view: World, value: float) -> float:
        from mirrorworld.branches.branch import parameters_of

        return float(parameters_of(view).get("demand", -1))


class Dice(Counter):
    """Says what it throws."""

    name = "dice"

    def draw_from(self, seed: int) -> None:
        self._dice = np.random.default_rng(seed)

    def value(self, view: World, value: float) -> float:
        return float(self._dice.random())


class Glutton(Counter):
    """Takes all the memory there is."""

    name = "glutton"

    def value(self, view: World, value: float) -> float:
        held = [np.ones(1 << 27) for _ in range(64)]
        return float(len(held))


class Noisy:
    """Throughput around the filler's speed, with noise by seed and replication."""

    def __init__(self, noise: float = 5.0, wait_s: float = 0.0, fails_at: int = -1) -> None:
        self._noise, self._wait_s, self._fails_at = noise, wait_s, fails_at

    def evaluate(self, world: World, *, replications: int, seed: int, progress) -> list[Kpi]:
        speed = world.value(world.structure.handle("line1/filler", "speed"))
        values = []
        for i in range(replications):
            if i == self._fails_at:
                raise ZeroDivisionError("no line")
            noise = np.random.default_rng((seed, i)).normal(0, self._noise)
            values.append(float(speed) + noise)
            time.sleep(self._wait_s)
            progress((i + 1) / replications, self._kpis(values))
        return self._kpis(values)

    def _kpis(self, values: list[float]) -> list[Kpi]:
        return [
            Kpi("throughput", "/min", "higher", np.array(values)),
            Kpi("waste", "%", "lower", 100 - np.array(values) / 4),
        ]


class Moving:
    """Parts an hour over the ways of a line: some are thrown away, some go round again."""

    def evaluate(self, world: World, *, replications: int, seed: int, progress) -> list[Kpi]:
        amounts = {
            "flow, supply → filler": 1000.0,
            "scrap, filler": 20.0,
            "flow, filler → capper": 1080.0,
            "rework, capper → repair": 100.0,
            "flow, repair → filler": 100.0,
            "scrap, capper → bin": 30.0,
            "flow, capper → packer 1": 600.0,
            "flow, capper → packer 2": 350.0,
            "flow, packer 1 → output": 600.0,
            "flow, packer 2 → output": 350.0,
        }
        return [Kpi("throughput", "/h", "higher", np.full(replications, 950.0))] + [
            Kpi(name, "/h", "higher", np.full(replications, amount))
            for name, amount in amounts.items()
        ]


ENTRIES = """\
[mirrorworld.models]
counter = tests.branches.models_for_tests:Counter
endless = tests.branches.models_for_tests:Endless
broken = tests.branches.models_for_tests:Broken
nan = tests.branches.models_for_tests:NotANumber
metric = tests.branches.models_for_tests:Metric
commander = tests.branches.models_for_tests:Commander
demand = tests.branches.models_for_tests:Demand
dice = tests.branches.models_for_tests:Dice
glutton = tests.branches.models_for_tests:Glutton

[mirrorworld.evaluators]
noisy = tests.branches.models_for_tests:Noisy
moving = tests.branches.models_for_tests:Moving
"""


def install(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Puts them where this process, and those that it starts, find what is installed."""
    info = folder / "branch_models_for_tests-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: branch-models-for-tests\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    root = str(Path(__file__).parents[2])
    patch.setenv("PYTHONPATH", os.pathsep.join((str(folder), root)))
    patch.setattr(sys, "path", [*sys.path, str(folder)])
