"""The works as planned: areas that add up, a design that is checked, what is drawn and authored."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from mirrorworld.units import parse
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind
from mirrorworld.world.model import FEEDS, LOCATED_IN, PART_OF
from mirrorworld.world.world import World
from mirrorworld_worlds.factory import areas, layout, products
from mirrorworld_worlds.factory.authored import AGVS, WORKS, area_twin, edits, machine_twin
from mirrorworld_worlds.factory.design import DRAWN, PILOT, Crew, from_json
from mirrorworld_worlds.factory.geometry import parts

GROSS_M2 = 73_000.0


def authored() -> World:
    """A world that holds the works as drawn and nothing else."""
    world = World("factory")
    body = Edits(tuple(edits(DRAWN)))
    world.apply(Change(body, Origin(OriginKind.AUTHORED, "test"), 1))
    return world


# --- the building ----------------------------------------------------------------------------


def test_the_parts_of_the_building_cover_its_floor_and_nothing_twice() -> None:
    assert layout.GROSS_M2 == GROSS_M2
    assert math.isclose(sum(zone.area_m2 for zone in layout.ZONES), GROSS_M2)
    for a, b in itertools.combinations(layout.ZONES, 2):
        apart = (
            a.x1_m <= b.x0_m or b.x1_m <= a.x0_m or a.z1_m <= b.z0_m or b.z1_m <= a.z0_m
        )  # fmt: skip
        assert apart, f"{a.id} lies over {b.id}"
    for zone in layout.ZONES:
        assert 0 <= zone.x0_m < zone.x1_m <= layout.LENGTH_M, zone.id
        assert 0 <= zone.z0_m < zone.z1_m <= layout.WIDTH_M, zone.id


def test_every_machine_stands_in_its_own_area_and_clear_of_others() -> None:
    stood: list[tuple[float, float]] = []
    for area, n in DRAWN.machines:
        zone = layout.ZONE_OF[area]
        found = layout.places(area, n)
        assert len(found) == n
        for x, z in found:
            assert zone.x0_m < x < zone.x1_m and zone.z0_m < z < zone.z1_m, area
        stood += found
    at = np.array(stood)
    away = np.abs(at[:, None] - at[None]).max(axis=2) + np.eye(len(at)) * 1e9
    assert away.min() > 3.0
    with pytest.raises(ValueError, match="'foundry' is no area"):
        layout.places("foundry", 3)


def test_what_the_design_needs_fits_into_what_was_drawn() -> None:
    lots_per_week = 5_000
    needed = DRAWN.floor_m2(lots_per_week)
    assert 0.9 * GROSS_M2 < needed <= GROSS_M2
    assert DRAWN.with_machines(smt=25).floor_m2(lots_per_week) - needed == pytest.approx(
        5 * areas.BY_ID["smt"].machine_m2
    )


def test_ways_are_as_long_there_as_back_and_lie_on_the_aisles() -> None:
    for (a, b), way in layout.WAYS.items():
        assert way.length_m == pytest.approx(layout.WAYS[b, a].length_m)
        assert way.length_m >= math.dist(layout.DOCKS[a], layout.DOCKS[b]) - 1e-9
        assert way.points[0] == layout.DOCKS[a] and way.points[-1] == layout.DOCKS[b]
        assert len(way.points) == len(way.legs) + 1
    assert len(layout.WAYS) == len(layout.DOCKS) ** 2, "every dock is reached from every other"


# --- products and design ---------------------------------------------------------------------


def test_shares_add_up_and_routes_end_where_lots_leave() -> None:
    assert math.isclose(sum(family.share for family in products.FAMILIES), 1.0)
    for family in products.FAMILIES:
        assert family.route[0] == "kitting" and family.route[-1] == "packing"
        assert len(set(family.route)) == len(family.route)
        assert all(area in areas.BY_ID and minutes > 0 for area, minutes in family.minutes)
        assert family.minutes_at("smt") > 0
    for area in areas.AREAS:
        if area.repair:
            assert areas.BY_ID[area.repair].minutes > 0, "repair knows no families"


def test_a_design_is_written_read_and_hashed_and_says_what_it_lacks() -> None:
    assert from_json(DRAWN.to_json()) == DRAWN
    assert from_json(DRAWN.to_json()).sha256 == DRAWN.sha256
    assert dataclasses.replace(DRAWN, vehicles=33).sha256 != DRAWN.sha256
    for wrong, said in (
        ({"rule": "random"}, "rule 'random'"),
        ({"limit": 0}, "limit 0"),
        ({"crew": (Crew(9, ("smt",)),)}, "nobody has the skill"),
        ({"machines": DRAWN.machines[1:]}, "machines of kitting"),
    ):
        with pytest.raises(ValueError, match=said):
            dataclasses.replace(DRAWN, **wrong)
    with pytest.raises(ValueError, match="no design"):
        from_json('{"name": "x"}')


# --- what is authored and drawn --------------------------------------------------------------


def test_the_works_is_in_the_world_before_there_is_a_plant() -> None:
    world = authored()
    twins = world.structure.twins
    for area, n in DRAWN.machines:
        parts_of = {r.source for r in world.structure.relations_to(area_twin(area))}
        assert {machine_twin(area, i) for i in range(1, n + 1)} <= parts_of
        inside = list(world.structure.relations_from(area_twin(area)))
        assert any(r.kind == LOCATED_IN and r.target in twins for r in inside)
        assert any(r.kind == PART_OF and r.target == WORKS for r in inside)
        assert any(r.kind == FEEDS for r in inside), area
    vehicles = [t for t in twins if t.startswith(f"{AGVS}/")]
    assert len(vehicles) == DRAWN.vehicles
    for twin in twins.values():
        for fact in twin.properties:
            if fact.unit:
                parse(fact.unit)
    works = twins[WORKS].property("gross_area")
    assert works is not None and works.value == GROSS_M2


def test_all_that_is_placed_has_a_look_and_the_whole_stays_light() -> None:
    drawn = dict(parts())
    total, used = 0, set()
    world = authored()
    for twin in world.structure.twins.values():
        look = twin.geometry or world.structure.types[twin.type].geometry if twin.type else ""
        if twin.pose is not None:
            assert look, twin.id
        if look:
            name = look.removeprefix("asset:factory/")
            used.add(name)
            total += drawn[name]().triangles
    assert used == set(drawn), "nothing is drawn for nobody"
    assert 50_000 < total < 400_000
    for name, drawing in drawn.items():
        for shape in (shape for shapes in drawing().shapes.values() for shape in shapes):
            assert np.isfinite(shape.position).all(), name
            assert np.allclose(np.linalg.norm(shape.normal, axis=1), 1.0, atol=1e-3), name


def test_the_pilot_is_another_works() -> None:
    assert PILOT.sha256 != DRAWN.sha256
    assert sum(n for _, n in PILOT.machines) < sum(n for _, n in DRAWN.machines) / 4
