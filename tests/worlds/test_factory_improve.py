"""Looking for a better works: moves, the climb, costs, gains and their bounds."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import pytest

from mirrorworld_worlds.factory import allowances, gains, improve, moves
from mirrorworld_worlds.factory.areas import BY_ID, SKILLS
from mirrorworld_worlds.factory.costs import MARGIN, reach, unit_cost
from mirrorworld_worlds.factory.design import DRAWN, PILOT, Crew, Design
from mirrorworld_worlds.factory.model import levelled

PUBLISHED_PRODUCTIVITY, PUBLISHED_SPACE = 0.20, 0.40
"""What the published case calls "up to"."""


def test_campaigns_are_levelled_as_they_are_ordered() -> None:
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    order = levelled(shares)
    assert len(order) == 10
    for family, share in shares.items():
        assert order.count(family) == round(10 * share)
        behind = max(abs(order[:k].count(family) - share * k) for k in range(1, 11))
        assert behind < 1.0, "no family is ever a whole campaign behind its share"


def test_a_planner_builds_nothing_and_a_builder_loses_no_skill() -> None:
    rng = random.Random(1)
    planned = list(moves.planner_moves(DRAWN, rng))
    assert len(planned) > 50 and DRAWN not in planned
    for one in planned:
        assert one.machines == DRAWN.machines and one.vehicles == DRAWN.vehicles
        assert [c.skills for c in one.crew] == [c.skills for c in DRAWN.crew]
    built = list(itertools.islice(moves.builder_moves(DRAWN, rng), 320))
    assert any(one.machines != DRAWN.machines for one in built)
    assert any(any(len(c.skills) > 1 for c in one.crew) for one in built)
    for one in built:
        assert {skill for crew in one.crew for skill in crew.skills} == set(SKILLS)
        assert set(dict(one.machines)) == set(BY_ID)


def test_a_climb_takes_what_is_better_and_ends() -> None:
    def evaluate(design: Design, best: improve.Worth | None = None) -> improve.Worth:
        if design.campaign == 10:
            raise RuntimeError("it locks up")
        value = -abs(design.campaign - 12) - abs(design.limit - 300) / 100.0
        return improve.Worth(value, (value,))

    told: list[float] = []

    def note(used: int, value: float) -> None:
        told.append(value)

    best, worth, used = improve.climb(DRAWN, moves.planner_moves, evaluate, 2_000, 3, note)
    assert (best.campaign, best.limit) == (12, 300) and worth.value == 0.0
    assert used < 2_000
    assert told and told == sorted(told) and told[-1] == 0.0
    assert improve.climb(DRAWN, moves.planner_moves, evaluate, 5, 3)[2] == 5
    assert improve.climb(DRAWN, moves.planner_moves, evaluate, 2_000, 3)[0] == best


def test_what_is_hopeless_is_not_tried_under_every_pilot_and_risk_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pilots = allowances.read()[:3]
    tried: list[str] = []
    lots = {"as drawn": 4_600.0, "good": 4_900.0, "bad": 3_000.0}

    def of(design: Design, k: int) -> float:
        tried.append(design.name)
        return lots[design.name] / 1_000.0 + (0.1 * k if design.name == "good" else 0.0)

    monkeypatch.setattr(improve.Trial, "_of", lambda _, design, k: of(design, k))
    monkeypatch.setattr(improve, "_lots", lambda *_: 4_600.0)
    trial = improve.Trial(pilots)
    good = trial(replace(DRAWN, name="good"))
    assert good.each == pytest.approx((0.3, 0.4, 0.5))
    assert good.value == pytest.approx(0.4 - improve.RISK * 0.1)
    tried.clear()
    assert trial(replace(DRAWN, name="bad"), good).value == -math.inf
    assert tried == ["bad"]


def test_nobody_wins_by_making_less() -> None:
    alone = replace(DRAWN, crew=tuple(Crew(1, c.skills) for c in DRAWN.crew))
    per_hour = improve.per_labour_h(DRAWN, 4_600.0)
    few = per_hour * alone.labour_h_week * 1.2
    assert improve.per_labour_h(alone, few) > per_hour
    assert improve.score(alone, few, 4_500.0) < improve.score(DRAWN, 4_600.0, 4_500.0)


def test_the_reach_of_volume_is_where_a_lot_costs_a_tenth_more() -> None:
    volumes = [50.0, 60.0, 80.0, 100.0, 110.0]
    costs = [1.5, 1.2, 1.0, 1.05, 1.4]
    low, high = reach(volumes, costs)
    assert low == pytest.approx(80.0 - 20.0 * MARGIN / 0.2)
    assert high == pytest.approx(100.0 + 10.0 * (MARGIN - 0.05) / 0.35)
    assert reach([70.0], [3.0]) == (70.0, 70.0)
    with pytest.raises(ValueError, match="no volumes"):
        reach([], [])
    dear = unit_cost(DRAWN, DRAWN, 2_000.0, 4_000.0, 180.0)
    assert dear > unit_cost(DRAWN, DRAWN, 4_000.0, 4_000.0, 180.0) > 0.0


def test_bounds_are_of_the_gains_seed_by_seed() -> None:
    before = [100.0, 110.0, 90.0, 105.0]
    after = [120.0, 131.0, 109.0, 125.0]
    one = gains.gain("output", before, after)
    assert one.seeds == 4 and 0.15 < one.lower < one.mean < 0.25
    same = gains.gain("output", before, before)
    assert same.mean == same.lower == 0.0, "no gain where nothing changed"
    mixed = gains.gain("output", [100.0] * 4, [90.0, 115.0, 95.0, 112.0])
    assert mixed.mean > 0.0 > mixed.lower, "a gain that chance may have made is none"
    with pytest.raises(ValueError, match="the same two or more"):
        gains.gain("output", [1.0], [2.0])


def test_seeds_that_are_reported_on_were_used_for_nothing_else() -> None:
    from mirrorworld_worlds.factory import forecast

    tuned = {*allowances.SEEDS, improve.SEED, forecast.SEED}
    assert len(gains.SEEDS) == 30 and not tuned & set(gains.SEEDS)


def test_the_designs_that_were_found_are_whole_and_the_baseline_builds_nothing() -> None:
    baseline, better = improve.frozen(), improve.improved()
    assert baseline.machines == DRAWN.machines and baseline.vehicles == DRAWN.vehicles
    assert baseline.sha256 != better.sha256 != PILOT.sha256
    assert all(len(crew.skills) == 1 for crew in baseline.crew)


def test_the_model_foretells_the_gain_of_the_improved_works() -> None:
    # Under a pilot that no search has tried a design under.
    allow = allowances.read()[improve.PILOTS]
    reached = {}
    for name, design in (("before", improve.frozen()), ("after", improve.improved())):
        lots = improve.tried(design, allow, seed=99, weeks=0.5, warm_up=0.25)["output"]
        reached[name] = (
            improve.per_labour_h(design, lots), improve.per_m2(design, lots),
        )  # fmt: skip
    hour, room = (reached["after"][i] / reached["before"][i] - 1.0 for i in (0, 1))
    print(
        f"per labour-hour {hour:+.1%} (published: up to {PUBLISHED_PRODUCTIVITY:+.0%}),"
        f" per m2 {room:+.1%} (published: up to {PUBLISHED_SPACE:+.0%})"
    )
    assert hour > 0.0 and room > 0.0
