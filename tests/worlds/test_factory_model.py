"""The twin's line model of the works: room, people who walk, crews from whom some stay away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mirrorworld.simulation.flow.model import Buffer, Station
from mirrorworld_worlds.factory import allowances, walking
from mirrorworld_worlds.factory.areas import WEEK_S
from mirrorworld_worlds.factory.design import PILOT, Crew, Design
from mirrorworld_worlds.factory.engine import run_model
from mirrorworld_worlds.factory.improve import world_of
from mirrorworld_worlds.factory.model import busy_shares, flow_model
from mirrorworld_worlds.factory.walking import Jobs, nearest_m, walks


def setup_s(design: Design, area: str) -> float:
    """Mean set-up in the model, walking included."""
    node = flow_model(world_of(design).structure, allowances.NONE).node(area)
    assert isinstance(node, Station) and node.setup is not None
    return node.setup.times[0][2].mean()


# --- room ------------------------------------------------------------------------------------


def test_no_more_lots_have_a_place_before_an_area_than_its_room() -> None:
    tight = replace(PILOT, limit=120, room=tuple((area, 6) for area, _ in PILOT.room))
    model = flow_model(world_of(tight).structure, allowances.NONE)
    assert not any(n.capacity < 2**31 - 1 for n in model.nodes if isinstance(n, Buffer)), (
        "room is kept by loops: a lot has its place from when a vehicle is asked for"
    )
    result = run_model(model, seed=1, horizon_s=0.5 * WEEK_S, warm_up_s=0.0)
    assert result.is_complete
    held = dict(zip(result.nodes, result.content[0], strict=True))
    crowded = {
        area: held[f"before {area}"] + held.get(f"to {area}", 0.0) for area in ("ict", "fct")
    }
    assert all(0.0 < lots <= 6.0 for lots in crowded.values()), crowded
    assert sum(held.values()) <= 120.0
    wide = replace(tight, room=PILOT.room)
    more = run_model(
        flow_model(world_of(wide).structure, allowances.NONE),
        seed=1, horizon_s=0.5 * WEEK_S, warm_up_s=0.0,
    )  # fmt: skip
    assert more.made.sum() > result.made.sum(), "who has no room to wait blocks machines"


# --- walking ---------------------------------------------------------------------------------


def test_the_nearest_of_several_who_are_free_comes() -> None:
    here = np.array([[0.0, 0.0]])
    there = np.array([[10.0, 0.0], [0.0, 30.0], [60.0, 40.0]])
    weight = np.array([1.0, 1.0, 2.0])
    assert nearest_m(here, there, weight, 1) == pytest.approx((10.0 + 30.0 + 2 * 100.0) / 4)
    drawn = np.random.default_rng(1).choice([10.0, 30.0, 100.0, 100.0], size=(200_000, 3))
    assert nearest_m(here, there, weight, 3) == pytest.approx(drawn.min(axis=1).mean(), rel=0.01)


def test_people_walk_once_cells_outnumber_hands_and_as_far_as_their_crew_goes() -> None:
    near = Jobs("near", np.array([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0]]), 1.0, "hands", "")
    far = Jobs("far", np.array([[200.0, 0.0]] * 3), 1.0, "more", "")
    many, few = (walking.Crew(n, frozenset({"hands"})) for n in (3.0, 2.0))
    other = walking.Crew(3.0, frozenset({"more"}))
    assert walks([near, far], [many, other], 1.0)["near"].work_s == 0.0
    within = walks([near, far], [few, other], 1.0)["near"].work_s
    assert 0.0 < within < 8.0
    shared = walking.Crew(4.0, frozenset({"hands", "more"}))
    between = walks([near, far], [shared], 1.0)["near"].work_s
    assert between > 5.0 * within, "one crew for two halls walks between them"
    assert walks([near, far], [shared], 2.0)["near"].work_s == pytest.approx(between / 2.0)


def test_who_sets_up_far_apart_takes_longer_and_machine_data_do_not_count_it() -> None:
    plain = setup_s(PILOT, "ict")
    crew = tuple(c for c in PILOT.crew if c.skills[0] not in ("smt", "test"))
    assert plain > 60.0 * 6.0, "somebody has to come"
    assert setup_s(replace(PILOT, crew=(*crew, Crew(7, ("smt", "test")))), "ict") != plain
    busy = busy_shares(world_of(PILOT).structure, allowances.NONE)
    assert busy["smt"] == 1.0 and all(0.5 < share <= 1.0 for share in busy.values())
    scarce = tuple(replace(c, count=4) if c.skills == ("assembly",) else c for c in PILOT.crew)
    assert busy_shares(world_of(replace(PILOT, crew=scarce)).structure, allowances.NONE)[
        "assembly"
    ] < busy["assembly"]  # fmt: skip


def test_part_of_a_person_is_there_in_some_runs() -> None:
    structure = world_of(PILOT).structure
    present = [
        flow_model(structure, allowances.NONE, luck).pools[0].size
        for luck in np.arange(0.05, 1, 0.1)
    ]
    planned = sum(c.count for c in PILOT.crew)
    assert planned - 4 <= min(present) and max(present) <= planned
    assert len(set(present)) > 1
