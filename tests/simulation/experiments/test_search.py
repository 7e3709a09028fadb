"""Searches uphill, for a front, for the best of a few; each can be stopped and goes on the same."""

from __future__ import annotations

import threading
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirrorworld.simulation.experiments.climb import climb
from mirrorworld.simulation.experiments.designs import Grid, Table
from mirrorworld.simulation.experiments.evolve import evolve
from mirrorworld.simulation.experiments.front import hypervolume, pareto_front
from mirrorworld.simulation.experiments.objective import derivative
from mirrorworld.simulation.experiments.runner import Running, resume
from mirrorworld.simulation.experiments.selection import allocate, eliminate
from mirrorworld.simulation.experiments.space import Categorical, Continuous, Integer, Space
from mirrorworld.simulation.experiments.store import StoreError
from tests.simulation.experiments.objectives import bowl

HERE = Running(where="here")
BOWL = Space((Continuous("x", 0, 1), Integer("n", 1, 20)))


def hills(design, seed: int, replications: int) -> dict[str, Any]:
    """Two hills, the higher one at x = 0.8, y = 6; a word that adds."""
    x, y, extra = design["x"], design["y"], 2.0 if design["rule"] == "edd" else 0.0
    low = 4 * np.exp(-((x - 0.2) ** 2 + ((y - 2) / 10) ** 2) / 0.02)
    high = 5 * np.exp(-((x - 0.8) ** 2 + ((y - 6) / 10) ** 2) / 0.02)
    return {
        "height": low + high + extra,
        derivative("height", "x"): (-2 * (x - 0.2) * low - 2 * (x - 0.8) * high) / 0.02,
        derivative("height", "y"): (-(y - 2) * low - (y - 6) * high) / 50 / 0.02,
    }


HILLS = Space((Continuous("x", 0, 1), Integer("y", 0, 10), Categorical("rule", ("fifo", "edd"))))


def test_climbing_finds_the_highest_hill() -> None:
    found = climb(hills, HILLS, "height", starts=12, seed=1, running=HERE)
    assert found.design["rule"] == "edd"
    assert found.design["y"] == 6
    assert found.design["x"] == pytest.approx(0.8, abs=1e-3)
    assert found.value == pytest.approx(7, abs=1e-3)
    assert all(is_over for _, _, is_over in found.starts)
    best = [value for _, value in found.trace]
    assert best == sorted(best)
    assert found.results.counts() == {"ok": len(found.results.table)}


def test_climbing_goes_down_too_and_holds_the_constraints() -> None:
    space = Space(BOWL.factors, ("x > 0.5 or n > 15",))
    found = climb(bowl, space, "yield", starts=4, seed=2, running=HERE)
    values = bowl({"x": 0.5, "n": 4}, 2, 1)["yield"][0]
    assert found.design["n"] == 4
    assert found.value == pytest.approx(values, abs=1e-3)
    bottom = climb(bowl, BOWL, "yield", is_higher_better=False, starts=4, seed=2, running=HERE)
    assert bottom.design == {"x": 1.0, "n": 20}


def test_a_climb_that_was_stopped_goes_on_the_same(tmp_path: Path) -> None:
    straight = climb(hills, HILLS, "height", starts=6, seed=3, running=HERE)
    cancel = threading.Event()

    def progress(done: int, bad: int, expected: int) -> None:
        if done > 20:
            cancel.set()

    stopped = Running(where="here", progress=progress, cancel=cancel)
    first = climb(hills, HILLS, "height", starts=6, seed=3, folder=tmp_path, running=stopped)
    assert not first.is_complete
    assert 20 < len(first.results.table) < len(straight.results.table)
    again = climb(hills, HILLS, "height", starts=6, seed=3, folder=tmp_path, running=HERE)
    assert again.is_complete
    assert again.results.table.equals(straight.results.table)
    assert again.design == straight.design
    with pytest.raises(StoreError, match="another experiment"):
        climb(hills, HILLS, "height", starts=6, seed=4, folder=tmp_path, running=HERE)
    with pytest.raises(StoreError, match="is a search"):
        resume(tmp_path)


def test_a_missing_derivative_is_named() -> None:
    with pytest.raises(ValueError, match=r"gives no d\(cost\)/d\(x\)"):
        climb(bowl, BOWL, "cost", running=HERE)


def test_the_front_and_its_volume_are_those_of_their_definitions() -> None:
    chance = np.random.default_rng(4)
    for width in (2, 3, 4):
        losses = chance.integers(0, 5, (30, width)).astype(float)
        losses[3, 0] = np.nan
        expected = [
            bool(np.isfinite(a).all()) and not any((b <= a).all() and (b < a).any() for b in losses)
            for a in losses
        ]
        assert pareto_front(losses).tolist() == expected
        reference = np.full(width, 5.0)
        cells = sum(
            any((one <= cell).all() for one in losses) for cell in product(range(5), repeat=width)
        )
        assert hypervolume(losses, reference) == pytest.approx(cells, rel=1e-12)


def trade(design, seed: int, replications: int) -> dict[str, float]:
    """Schaffer's: the front is 0 ≤ x ≤ 2."""
    return {"a": design["x"] ** 2, "b": (design["x"] - 2) ** 2}


TRADE = Space((Continuous("x", -10, 10), Integer("idle", 0, 3)))


@pytest.mark.parametrize("method", ["nsga2", "tpe"])
def test_a_front_is_found_within_its_limits(method) -> None:
    pytest.importorskip("optuna", reason="optuna (extra `experiments`) is not installed")
    found = evolve(
        trade, TRADE, {"a": "min", "b": "min"}, limits={"a": (None, 3.0)}, method=method,
        evaluations=160, seed=1, running=HERE,
    )  # fmt: skip
    assert len(found.results.table) == 160
    x = found.results.column("x")[found.rows]
    assert len(x) >= 5
    assert ((x > -0.3) & (x**2 <= 3.0)).all()
    volumes = [volume for _, volume in found.trace]
    assert volumes == sorted(volumes)
    assert found.hypervolume == volumes[-1] > 0


def test_a_search_for_a_front_goes_on_the_same_and_meets_constraints(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="optuna (extra `experiments`) is not installed")
    space = Space(TRADE.factors, ("x > 0.5",))
    aims = {"a": "max", "b": "min"}
    straight = evolve(trade, space, aims, evaluations=60, batch=10, seed=5, running=HERE)  # pyright: ignore[reportArgumentType]
    cancel = threading.Event()

    def progress(done: int, bad: int, expected: int) -> None:
        if done >= 30:
            cancel.set()

    stopped = Running(where="here", progress=progress, cancel=cancel)
    ways = {"evaluations": 60, "batch": 10, "seed": 5, "folder": tmp_path}
    assert not evolve(trade, space, aims, running=stopped, **ways).is_complete  # pyright: ignore
    again = evolve(trade, space, aims, running=HERE, **ways)  # pyright: ignore
    assert again.results.table.equals(straight.results.table)
    assert (again.results.column("x") > 0.5).all()


def noisy(design, seed: int, replications: int) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    shared, own = chance.normal(size=(2, replications))
    return {"out": design["n"] * -0.5 + shared + 0.5 * own * (design["n"] % 3)}


NUMBERS = Grid(Space((Integer("n", 1, 8),)))


def test_the_best_is_selected_with_its_confidence(tmp_path: Path) -> None:
    made = eliminate(
        noisy, NUMBERS, "out", least_difference=0.3, seed=1, folder=tmp_path, running=HERE
    )
    assert made.design == {"n": 1}
    assert (made.probability, made.is_guaranteed, made.is_complete) == (0.95, True, True)
    assert made.replications.sum() == int(made.results.column("replications").sum())
    assert made.replications[7] <= made.replications[0]
    low = eliminate(
        noisy, NUMBERS, "out", least_difference=0.3, is_higher_better=False, seed=1, running=HERE
    )
    assert low.design == {"n": 8}


def test_it_is_right_as_often_as_it_says() -> None:
    two = Table(Space((Integer("n", 1, 4),)), {"n": np.arange(1, 5)})
    right = sum(
        eliminate(hard, two, "out", least_difference=0.5, confidence=0.9, seed=s, running=HERE)
        .design["n"] == 3
        for s in range(60)
    )  # fmt: skip
    assert right >= 48, "of 60; 90 % are said"


def hard(design, seed: int, replications: int) -> dict[str, Any]:
    """Independent between designs; the best is better by just the least difference."""
    chance = np.random.default_rng((seed, design["n"]))
    return {"out": chance.normal(size=replications) + (0.5 if design["n"] == 3 else 0.0)}


def test_a_budget_goes_where_it_tells_most() -> None:
    made = allocate(noisy, NUMBERS, "out", budget=400, seed=2, running=HERE)
    assert made.design == {"n": 1}
    assert made.probability > 0.5
    assert not made.is_guaranteed
    assert made.replications.sum() == 400
    assert made.replications[1] > made.replications[7]
    with pytest.raises(ValueError, match="at least 80 replications"):
        allocate(noisy, NUMBERS, "out", budget=40, running=HERE)
    over = eliminate(
        hard, Grid(Space((Integer("n", 1, 2),))), "out", least_difference=1e-3,
        replications_max=40, running=HERE,
    )  # fmt: skip
    assert not over.is_guaranteed
    assert over.why == "2 designs are left after 40 replications"
