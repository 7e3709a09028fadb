"""Which factors matter: two-level designs, main effects, elementary effects, Sobol's indices."""

from __future__ import annotations

from itertools import combinations
from math import pi

import numpy as np
import pytest

from mirrorworld.simulation.experiments.effects import main_effects
from mirrorworld.simulation.experiments.objective import batch
from mirrorworld.simulation.experiments.runner import Running, run
from mirrorworld.simulation.experiments.sensitivity import (
    elementary_effects,
    morris,
    saltelli,
    sobol_indices,
)
from mirrorworld.simulation.experiments.space import Categorical, Continuous, Space, SpaceError
from mirrorworld.simulation.experiments.two_levels import (
    fraction,
    fractional_factorial,
    hadamard,
    plackett_burman,
)

HERE = Running(where="here")
FIVE = Space(tuple(Continuous(name, -1, 1) for name in "abcde"))


@batch
def plane(columns, seed, replications):
    place = sum(columns[name] * 2**i for i, name in enumerate("abcde"))
    noise = np.sin(1000 * place)
    return {"y": 5 + 3 * columns["a"] - 2 * columns["c"] + 0.1 * noise}


@batch
def ishigami(columns, seed, replications):
    """Known indices (Ishigami, Homma: 1990) for a = 7, b = 0.1."""
    x, y, z = (columns[name] for name in "xyz")
    return {"f": 1e6 + np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x)}


@pytest.mark.parametrize(
    ("factors", "resolution", "runs"),
    [(3, 3, 4), (7, 3, 8), (4, 4, 8), (8, 4, 16), (5, 5, 16), (6, 5, 32), (15, 3, 16), (2, 3, 4)],
)
def test_a_fraction_has_its_resolution_by_the_known_number_of_runs(
    factors: int, resolution: int, runs: int
) -> None:
    signs = fraction(factors, resolution).astype(int)
    assert signs.shape == (runs, factors)
    for length in range(1, min(resolution, factors + 1)):
        for chosen in combinations(range(factors), length):
            assert abs(signs[:, chosen].prod(axis=1).sum()) < runs, f"{chosen} is confounded"


@pytest.mark.parametrize(("least", "order"), [(3, 4), (9, 12), (17, 20), (21, 24), (25, 32)])
def test_hadamard_matrices_are_orthogonal(least: int, order: int) -> None:
    matrix = hadamard(least).astype(int)
    assert (matrix @ matrix.T == order * np.eye(order)).all()
    assert (matrix[:, 0] == 1).all()


@pytest.mark.parametrize("make", [plackett_burman, fractional_factorial])
def test_main_effects_are_found_with_intervals_that_hold_them(make) -> None:
    found = main_effects(run(plane, make(FIVE), running=HERE), "y")
    assert [e.factor for e in found.effects[:2]] == ["a", "c"]
    expected = {"a": 6.0, "c": -4.0}
    for effect in found.effects:
        assert effect.low <= expected.get(effect.factor, 0.0) <= effect.high
        assert effect.high - effect.low < 2
    assert found.explained > 0.99
    assert found.mean == pytest.approx(5, abs=0.2)


def words(design, seed, replications):
    return {"y": {"fifo": 1.0, "edd": 2.0, "spt": 6.0}[design["rule"]] + design["x"]}


def test_words_are_compared_with_their_mean() -> None:
    from mirrorworld.simulation.experiments.designs import Grid

    space = Space((Categorical("rule", ("fifo", "edd", "spt")), Continuous("x", 0, 1, steps=3)))
    found = main_effects(run(words, Grid(space), running=HERE), "y")
    assert {e.level or e.factor: round(e.effect, 9) for e in found.effects} == {
        "spt": 3.0, "fifo": -2.0, "edd": -1.0, "x": 1.0,
    }  # fmt: skip


def test_sobols_indices_of_a_known_function() -> None:
    space = Space(tuple(Continuous(name, -pi, pi) for name in "xyz"))
    results = run(ishigami, saltelli(space, 2048, seed=1), running=HERE)
    found = {index.factor: index for index in sobol_indices(results, "f", resamples=200).indices}
    a, b = 7.0, 0.1
    variance = a**2 / 8 + b * pi**4 / 5 + b**2 * pi**8 / 18 + 0.5
    first_x = (1 + b * pi**4 / 5) ** 2 / 2 / variance
    first_y = a**2 / 8 / variance
    shared = 8 * b**2 * pi**8 / 225 / variance
    known = {
        "x": (first_x, first_x + shared), "y": (first_y, first_y), "z": (0.0, shared),
    }  # fmt: skip
    for name, (first, total) in known.items():
        index = found[name]
        assert (index.first, index.total) == pytest.approx((first, total), abs=0.03)
        assert index.first_low - 0.01 <= first <= index.first_high + 0.01
        assert index.total_low - 0.01 <= total <= index.total_high + 0.01
        assert index.first_high - index.first_low < 0.2


def test_elementary_effects_tell_slopes_from_curvature() -> None:
    results = run(plane, morris(FIVE, 10, seed=2), running=HERE)
    found = elementary_effects(results, "y")
    assert [e.factor for e in found[:2]] == ["a", "c"]
    assert found[0].mean == pytest.approx(6, abs=0.3)
    assert found[1].mean == pytest.approx(-4, abs=0.3)
    assert found[0].deviation < 0.4
    space = Space(tuple(Continuous(name, -pi, pi) for name in "xyz"))
    curved = elementary_effects(run(ishigami, morris(space, 20, seed=3), running=HERE), "f")
    assert next(e for e in curved if e.factor == "z").deviation > 1


def test_what_cannot_be_split_is_refused() -> None:
    bound = Space((Continuous("a", 0, 1), Continuous("b", 0, 1)), ("a < b",))
    for make in (saltelli, morris):
        with pytest.raises(SpaceError, match=r"not independent.*'a < b'"):
            make(bound, 8)
    with pytest.raises(SpaceError, match="forbid"):
        plackett_burman(bound)
