"""The space of designs, and the designs that generators choose from it."""

from __future__ import annotations

import numpy as np
import pytest

from mirrorworld.simulation.experiments.designs import Grid, Table
from mirrorworld.simulation.experiments.generators import (
    at_random,
    latin_hypercube,
    one_at_a_time,
    sobol,
)
from mirrorworld.simulation.experiments.space import (
    Categorical,
    Continuous,
    Integer,
    Space,
    SpaceError,
    size,
)

SPACE = Space(
    (
        Continuous("speed", 0.5, 2, "m/s", steps=4),
        Integer("buffer", 1, 8),
        Categorical("rule", ("fifo", "edd")),
    ),
    ("speed * 2 > 200 cm/s", 'buffer < 4 or rule == "edd"'),
)


def test_a_grid_has_every_allowed_combination_once() -> None:
    grid = Grid(SPACE)
    columns = grid.columns(np.arange(grid.count))
    rows = set(zip(*(column.tolist() for column in columns.values()), strict=True))
    expected = {
        (speed, buffer, rule)
        for speed in (1.5, 2.0)
        for buffer in range(1, 9)
        for rule in ("fifo", "edd")
        if buffer < 4 or rule == "edd"
    }
    assert rows == expected
    assert len(rows) == grid.count


def test_a_sweep_of_too_many_designs_is_refused_by_its_count() -> None:
    space = Space(tuple(Integer(f"station{i}", 1, 1000) for i in range(4)), ("station0 > 3",))
    with pytest.raises(SpaceError, match=r"1,000,000,000,000 designs.*sample instead.*'station0'"):
        Grid(space)
    with pytest.raises(SpaceError, match="more than"):
        latin_hypercube(space, 10**12)


@pytest.mark.parametrize("make", [latin_hypercube, sobol, at_random])
def test_samples_meet_the_constraints_and_come_again_from_their_seed(make) -> None:
    table = make(SPACE, 100, seed=3)
    columns = table.columns(np.arange(100))
    assert SPACE.allows(columns).all()
    again = make(SPACE, 100, seed=3).columns(np.arange(100))
    assert all((columns[name] == again[name]).all() for name in SPACE.names)
    other = make(SPACE, 100, seed=4).columns(np.arange(100))
    assert any((columns[name] != other[name]).any() for name in SPACE.names)


def test_a_latin_hypercube_has_one_design_in_each_part_of_every_range() -> None:
    space = Space((Continuous("a", -1, 1), Continuous("b", 10, 20)))
    shares = space.shares(latin_hypercube(space, 50, seed=1).columns(np.arange(50)))
    assert (np.sort(np.floor(shares * 50), axis=0) == np.arange(50)[:, None]).all()


def test_one_factor_at_a_time() -> None:
    space = Space((Continuous("a", 0, 1), Integer("n", 1, 3), Categorical("c", ("x", "y"))))
    table = one_at_a_time(space, {"n": 1}, steps=3)
    columns = table.columns(np.arange(table.count))
    rows = list(zip(*(c.tolist() for c in columns.values()), strict=True))
    assert rows[0] == (0.5, 1, "x")
    assert set(rows[1:]) == {(0, 1, "x"), (1, 1, "x"), (0.5, 2, "x"), (0.5, 3, "x"), (0.5, 1, "y")}


def test_an_impossible_demand_is_named() -> None:
    for make in (Grid, lambda space: sobol(space, 10)):
        with pytest.raises(SpaceError, match=r"no design is possible.*none of.*'n > 30'"):
            make(Space((Integer("n", 1, 10),), ("n > 3", "n > 30")))
        with pytest.raises(SpaceError, match="meets at once 'n > 5' and 'n < 3'"):
            make(Space((Integer("n", 1, 10),), ("n > 5", "n < 3")))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Continuous("a", 2, 1), "'a'.*is no range"),
        (lambda: Continuous("a", 0, float("nan")), "is no range"),
        (lambda: Continuous("a", 0, 1, "mBar"), "'a'.*mBar"),
        (lambda: Integer("a", 1, 8, step=3), "does not lead"),
        (lambda: Categorical("a", ("x", "x")), "each once"),
        (lambda: Integer("seed", 1, 8), "another name"),
        (lambda: Space((Integer("a", 1, 2), Integer("a", 1, 2))), "2 times"),
        (lambda: Space((Integer("a", 1, 2),), ("b > 1",)), "no factor 'b'"),
        (lambda: Space((Continuous("a", 1, 2, "m"),), ("a > 1 s",)), "constraint 'a > 1 s'"),
        (lambda: Space((Integer("a", 1, 2),), ("a + 1",)), "say what must hold"),
        (lambda: Space((Integer("a", 1, 2),), ("held(a > 1, 5 s)",)), "say what must hold"),
        (lambda: Grid(Space((Continuous("a", 0, 1),))), "endlessly many"),
        (lambda: Table(Space((Integer("a", 1, 2),)), {"b": np.ones(1)}), "no column"),
        (lambda: latin_hypercube(Space((Integer("a", 1, 2),)), 0), "one at least"),
        (lambda: Space.from_plain({"factors": {"a": {"low": 1}}}), "high is missing"),
        (lambda: Space.from_plain({"factors": {"a": {"lo": 1}}}), "'lo' is not known"),
        (lambda: Space.from_plain([]), "'factors'"),
    ],
)
def test_what_makes_no_space_is_named(make, says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        make()


def test_a_space_comes_back_from_its_plain_form() -> None:
    assert Space.from_plain(SPACE.to_plain()) == SPACE
    assert size(Grid(Space.from_plain(SPACE.to_plain())).columns(np.arange(5))) == 5
