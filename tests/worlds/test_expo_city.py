"""The expo's plans and physics, without any protocol but the bytes of its gateways."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
import pytest

from mirrorworld.connectors.sparkplug_namespace import SparkplugNamespace
from mirrorworld.connectors.topics import TopicTwins
from mirrorworld.testing.sink import MemorySink
from mirrorworld.units import parse
from mirrorworld.world.world import World
from mirrorworld_worlds.expo_city import air, energy, names, plant_water, readings, site
from mirrorworld_worlds.expo_city import mains as mains_plan
from mirrorworld_worlds.expo_city.authored import building_twin
from mirrorworld_worlds.expo_city.buildings import Buildings, Hidden
from mirrorworld_worlds.expo_city.gateways import Gateways
from mirrorworld_worlds.expo_city.geometry import asset_of, parts
from mirrorworld_worlds.expo_city.options import site_of
from mirrorworld_worlds.expo_city.site import QUARTERS
from mirrorworld_worlds.expo_city.visitors import Crowd, water_m3_h
from mirrorworld_worlds.expo_city.weather import Sky
from mirrorworld_worlds.expo_city.world import room_twin
from mirrorworld_worlds.sparkplug_payload import DataType, Metric, encode

NOON_S = 12 * 3600.0
START_NS = 1_790_000_000_000_000_000
ENGLISH = tuple(english for english, _ in QUARTERS)


class Wire:
    """Stands where a gateway's connection is: keeps what would be published."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bytes]] = []
        self.has_room = True
        self.closed = self

    def is_set(self) -> bool:
        return False

    def publish(self, topic: str, payload: bytes) -> bool:
        if self.has_room:
            self.sent.append((topic.encode(), payload))
        return self.has_room


def wired(plant: Buildings, **more: Any) -> tuple[Gateways, Wire]:
    """Gateways whose births are due, on one wire."""
    gateways, wire = Gateways(plant, "127.0.0.1:1", 7, ENGLISH, **more), Wire()
    for node in gateways.nodes:
        node.publisher, node.is_birth_due = wire, True  # type: ignore[assignment]
    return gateways, wire


def born(gateways: Gateways, ns: int = START_NS) -> None:
    """Ticks until all are born, a hundredth of a second apart."""
    while any(node.is_birth_due for node in gateways.nodes):
        gateways.report(ns)
        ns += 10_000_000


async def read(wire: Wire, reader: SparkplugNamespace, sink: MemorySink) -> None:
    """What the product makes of what was sent."""
    sent, wire.sent = wire.sent, []
    for topic, payload in sent:
        for frame in await reader.frames([topic], [payload], time.time_ns(), sink):
            await sink.push(frame)


@pytest.fixture(scope="module")
def small() -> site.Site:
    return site_of(12, 4_000)


# --- plans -----------------------------------------------------------------------------------


def test_buildings_stand_apart_and_every_room_is_counted() -> None:
    for n, points in ((1, 2_000), (12, 4_000), (131, 200_000), (200, 400_000)):
        plan = site_of(n, points)
        floors = sum(b.floors for b in plan.buildings)
        assert readings.count(n, floors, plan.n_rooms) >= points
        assert all(len(b.rooms) == b.floors and min(b.rooms) >= 1 for b in plan.buildings)
        at = np.array([(b.x_m, b.z_m) for b in plan.buildings])
        away = np.linalg.norm(at[:, None] - at[None], axis=2) + np.eye(n) * 1e9
        # As circles about their footprints' shorter sides: none stands in another.
        reach = np.array([min(b.archetype.width_m, b.archetype.depth_m) for b in plan.buildings])
        assert (away > (reach[:, None] + reach[None]) / 2).all()
    assert len({names.name_of(i) for i in range(1, site.N_BUILDINGS_MAX + 1)}) == (
        site.N_BUILDINGS_MAX
    )


@pytest.mark.parametrize(
    ("buildings", "points", "named"), [(0, 100, "buildings=0"), (999, 9_999, "buildings=999")]
)
def test_what_cannot_be_planned_is_said(buildings: int, points: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        site_of(buildings, points)


def test_units_are_ucum_and_ranges_are_ranges() -> None:
    kinds = (*readings.ROOM, *readings.FLOOR, *readings.BUILDING)
    for kind in kinds:
        parse(kind.unit)
        assert kind.low < kind.high, kind
        assert kind.noise * 8 >= 0 and kind.deadband >= 0
    shown = [
        *plant_water.things(mains_plan.plan(site_of(12, 4_000))),
        *energy.things(site_of(12, 4_000)),
    ]
    for variable in (v for thing in shown for v in thing.variables):
        parse(variable.unit)
        assert variable.write is None, "a plan has nothing to write to"


def test_what_is_drawn_is_whole_and_the_full_site_stays_light() -> None:
    plan = site_of(131, 200_000)
    network = mains_plan.plan(plan)
    times = Counter(asset_of(building) for building in plan.buildings)
    n_mains, n_measured = len(network.junctions) + len(network.pipes), len(network.meters)
    times.update(
        {
            "ground": 1, "quarter": 8, "gauge": len(network.gauges), "chamber": n_measured + 8,
            "cover": n_mains - n_measured - len(network.gauges), "totem": len(plan.pavilions) + 3,
            "air-station": len(air.stations(plan)), "substation": 8, "chiller": 4, "mast": 1,
            "inverter": sum(b.pv_kw > 0.0 for b in plan.buildings), "pump-house": 1,
            "water-tower": 1,
        }
    )  # fmt: skip
    drawn = dict(parts(plan))
    assert set(times) <= set(drawn), "what stands somewhere has a drawing"
    total = 0
    for name, drawing in drawn.items():
        node = drawing()
        total += node.triangles * times[name]
        for shape in (shape for shapes in node.shapes.values() for shape in shapes):
            assert np.isfinite(shape.position).all(), name
            assert np.allclose(np.linalg.norm(shape.normal, axis=1), 1.0, atol=1e-3), name
    assert 100_000 < total < 500_000


# --- physics ---------------------------------------------------------------------------------


def test_rooms_warm_with_people_and_sun_and_follow_their_set_points(small: site.Site) -> None:
    plant = Buildings(small, 7, NOON_S)
    at = {r.name: i for i, r in enumerate(readings.ROOM)}
    plant.advance(NOON_S + 1800.0)
    before = plant.room.copy()
    plant.setpoint_c[:] = before[:, at["TemperatureSetpoint"]] - 2.0
    plant.advance(NOON_S + 5400.0)
    after = plant.room
    assert (after[:, at["CoolingValve"]] >= before[:, at["CoolingValve"]] - 0.5).mean() > 0.9
    cooled = before[:, at["Temperature"]] - after[:, at["Temperature"]]
    assert np.median(cooled) > 0.8
    crowded = after[:, at["Occupancy"]] > np.percentile(after[:, at["Occupancy"]], 80)
    assert after[crowded, at["CO2"]].mean() > after[~crowded, at["CO2"]].mean() + 40.0


def test_shedding_load_lowers_what_a_building_draws(small: site.Site) -> None:
    plain, shed = Buildings(small, 7, NOON_S), Buildings(small, 7, NOON_S)
    shed.load_limit[3] = 50.0
    power = [r.name for r in readings.BUILDING].index("ElectricPower")
    for plant in (plain, shed):
        plant.advance(NOON_S + 600.0)
    saved = plain.building[:, power] - shed.building[:, power]
    assert saved[3] > 1.0
    assert np.abs(np.delete(saved, 3)).max() < 1e-3


def test_meters_add_up(small: site.Site) -> None:
    plant = Buildings(small, 3, NOON_S)
    plant.advance(NOON_S + 60.0)
    rooms = {r.name: plant.room[:, i] for i, r in enumerate(readings.ROOM)}
    floors = {r.name: plant.floor[:, i] for i, r in enumerate(readings.FLOOR)}
    by_room = rooms["LightPower"] + rooms["PlugPower"] + rooms["FanPower"]
    summed = np.bincount(plant.floor_of_room, by_room) / 1e3
    assert np.allclose(summed, floors["ElectricPower"], rtol=1e-4)
    before = plant.room_kwh.copy()
    plant.advance(NOON_S + 3660.0)
    assert (plant.room_kwh > before).all(), "a counter only grows"


def test_the_same_seed_is_the_same_plant(small: site.Site) -> None:
    def run(seed: int) -> np.ndarray:
        plant = Buildings(small, seed, NOON_S)
        plant.advance(NOON_S + 100.0)
        return plant.room

    assert np.array_equal(run(5), run(5))
    assert not np.array_equal(run(5), run(6))


def test_hidden_parameters_are_shown_by_no_instrument(small: site.Site) -> None:
    plant = Buildings(small, 9, NOON_S)
    shown = set(plant.room.ravel().tolist()) | set(plant.building.ravel().tolist())
    for name in Hidden.__slots__:
        values = np.unique(np.asarray(getattr(plant.hidden, name), np.float32))
        assert not shown & set(values[np.abs(values) > 1e-9].tolist()), name


def test_people_come_stay_and_go_home(small: site.Site) -> None:
    crowd = Crowd(small, 7, 8 * 3600.0)
    assert crowd.entered.sum() == 0.0
    crowd.advance(14 * 3600.0)
    inside = crowd.entered.sum() - crowd.left.sum()
    assert inside > 1_000
    crowd.advance(23.9 * 3600.0)
    left = crowd.left.sum() / crowd.entered.sum()
    assert 0.97 < left <= 1.0
    people = crowd.inside
    assert (water_m3_h(small, people, 5.0, 7) == water_m3_h(small, people, 55.0, 7)).all()
    assert Crowd(small, 7, 14 * 3600.0).entered.sum() == pytest.approx(
        Crowd(small, 7, 14 * 3600.0).entered.sum()
    )


def test_wind_carries_what_is_given_off(small: site.Site) -> None:
    over = air.Air(small, 7, NOON_S)
    way = np.radians(over.weather.wind_from_deg + 180.0)
    dx, dz = 90.0 * np.sin(way), -90.0 * np.cos(way)
    below = over.at(over._x + dx, over._z + dz)[:, :3]
    above = over.at(over._x - dx, over._z - dz)[:, :3]
    with_wind, against = (below - over._background).sum(), (above - over._background).sum()
    assert with_wind > 1.15 * against, "more arrives with the wind than against it"
    there = over.read()
    assert (there >= 0).all()


def test_the_sun_is_high_at_noon_and_clouds_dim_it() -> None:
    sky = Sky(7)
    assert sky.at(NOON_S).sun_up_deg > 60.0 > 0.0 > sky.at(0.0).sun_up_deg
    assert sky.at(0.0).irradiance_w_m2 == 0.0
    assert all(0.0 <= sky.at(h * 3600.0).humidity_percent <= 100.0 for h in range(96))


# --- gateways --------------------------------------------------------------------------------


async def test_the_product_reads_what_the_gateways_write(small: site.Site) -> None:
    plant = Buildings(small, 7, NOON_S)
    gateways, wire = wired(plant, all_change=True)
    born(gateways)
    sink = MemorySink("expo", World("w"))
    reader = SparkplugNamespace(TopicTwins("expo", 100_000), None, folders=True)
    await read(wire, reader, sink)
    plant.advance(NOON_S + 1.0)
    gateways.look()
    gateways.report(START_NS + 1_000_000_000)
    await read(wire, reader, sink)
    world = sink.world
    assert world.n_points == gateways.columns.n
    assert not sink.counts, "nothing was dropped or misread"
    building = small.buildings[4]
    room = room_twin(building, 1, 1)
    got = world.value(int(world.handles([(room, "Temperature")])[0]))
    row = gateways.columns.names.index(
        "F01/R0101/Temperature", gateways.nodes[4].first, gateways.nodes[4].end
    )
    assert got == pytest.approx(gateways._now[row], abs=1e-5)
    point = {p.name: p.type for p in world.structure.points_of(room)}["TemperatureSetpoint"]
    assert point.is_writable and point.unit == "Cel"
    assert point.semantic_ids == (readings.BRICK + "Zone_Air_Temperature_Setpoint",)
    assert building_twin(building) in world.structure.twins


async def test_only_what_left_its_dead_band_is_sent_again(small: site.Site) -> None:
    plant = Buildings(small, 7, NOON_S)
    gateways, _ = wired(plant)
    born(gateways)
    start = gateways.counts.samples
    gateways.report(START_NS + 1_000_000_000)
    few = gateways.counts.samples - start
    assert 0 < few < 0.25 * gateways.columns.n
    plant.setpoint_c[:] += 1.0
    plant.advance(NOON_S + 1.0)
    gateways.look()
    gateways.report(START_NS + 2_000_000_000)
    assert gateways.counts.samples - start - few >= small.n_rooms


def test_what_had_no_room_goes_with_a_later_message(small: site.Site) -> None:
    gateways, wire = wired(Buildings(small, 7, NOON_S), all_change=True)
    born(gateways)
    wire.has_room, seq = False, [node.seq for node in gateways.nodes]
    sent = gateways.counts.samples
    gateways.report(START_NS + 1_000_000_000)
    assert gateways.counts.held == len(gateways.nodes)
    assert [node.seq for node in gateways.nodes] == seq, "no number is used up"
    wire.has_room, wire.sent = True, []
    gateways.report(START_NS + 2_000_000_000)
    assert gateways.counts.samples - sent == gateways.columns.n


def test_commands_are_taken_over_within_range_and_nothing_else(small: site.Site) -> None:
    plant = Buildings(small, 7, NOON_S)
    gateways, wire = wired(plant)
    born(gateways)
    node = gateways.nodes[2]

    def send(name: str, value: float) -> None:
        metric = Metric(value, DataType.FLOAT, name)
        gateways._on_message(node, node.topic("NCMD"), encode([metric], 1_790_000_000_000, None))

    send("LoadLimit", 60.0)
    send("F01/R0101/TemperatureSetpoint", 19.0)
    assert plant.load_limit[2] == 60.0
    room = int(np.flatnonzero(plant.building_of_room == 2)[0])
    assert plant.setpoint_c[room] == 19.0
    for name, value in (
        ("LoadLimit", 5.0), ("F01/R0101/Temperature", 20.0), ("Nothing", 1.0),
        ("F01/R0101/TemperatureSetpoint", float("nan")),
    ):  # fmt: skip
        send(name, value)
    gateways._on_message(node, node.topic("NCMD"), b"\xff\xff\xff")
    assert (gateways.counts.commands, gateways.counts.refused) == (2, 5)
    assert plant.load_limit[2] == 60.0 and plant.setpoint_c[room] == 19.0
    wire.sent = []
    gateways.look()
    gateways.report(START_NS + 3_000_000_000)
    assert wire.sent, "what came of a command is reported"


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_full_site_has_200_000_points_and_all_are_updated() -> None:
    plan = site_of(131, 200_000)
    assert len(plan.buildings) == 131
    plant = Buildings(plan, 7, NOON_S)
    gateways, wire = wired(plant, all_change=True)
    born(gateways)
    sink = MemorySink("expo", World("w"), keeps_frames=False)
    reader = SparkplugNamespace(TopicTwins("expo", 1_000_000), None, folders=True)
    await read(wire, reader, sink)
    world = sink.world
    handles = np.arange(world.n_points, dtype=np.uint32)
    before = world.read(handles)
    later_ns = START_NS + 60_000_000_000
    plant.advance(NOON_S + 1.0)
    gateways.look()
    gateways.report(later_ns)
    await read(wire, reader, sink)
    after = world.read(handles)
    others = sum(len(thing.variables) for thing in energy.things(plan))
    others += sum(len(t.variables) for t in plant_water.things(mains_plan.plan(plan)))
    print(
        f"{len(plan.buildings)} buildings, {plan.n_rooms} rooms, {world.n_points} points of"
        f" gateways, {others} of OPC UA servers, {len(air.stations(plan))} air stations"
    )
    assert world.n_points >= 200_000
    assert len({(p, t) for p, t in map(_named(world), range(world.n_points))}) == world.n_points
    assert (after.source_ns == later_ns).all(), "every one of them was updated"
    assert (after.cell != before.cell).all(), "and says something else than before"


def _named(world: World) -> Any:
    def name(handle: int) -> tuple[str, str]:
        twin, point = world.structure.point(handle)
        return twin, point.name

    return name
