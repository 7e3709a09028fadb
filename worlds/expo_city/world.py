"""What the mirror makes of the expo: how to reach its plant, and what people authored.

The structure itself comes from the sources. Authored over it: where things stand and how they
look, what they are (Brick classes), names in English and German, the relations that no single
source knows, and which set-points may be commanded.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorworld.world.changes import (
    Arm,
    Edit,
    Edits,
    PutName,
    PutPose,
    PutProperty,
    PutType,
    PutTypeOf,
)
from mirrorworld.world.model import Pose, Property
from mirrorworld.world.ports import Model, SourceConfig, SourceError

from ..broker import broker_command
from ..processes import Processes, StartError, free_port
from . import mains
from . import site as plans
from .authored import (
    ENERGY,
    GATEWAYS,
    NAME,
    OUTDOOR,
    SURROUNDINGS,
    WATER,
    building_twin,
    energy_edits,
    inverter_twin,
    junction_twin,
    kind,
    look,
    pipe_twin,
    quarter_twin,
    surroundings_edits,
    surroundings_twins,
    text,
    turned,
    water_edits,
    zone_twin,
)
from .geometry import asset_of, draw
from .leak_watch import LeakWatch
from .names import name_of
from .options import site_of

if TYPE_CHECKING:
    from mirrorworld.world.world import World

log = logging.getLogger(__name__)

AUTHORED: Final = "1"
"""Grows when `edits` changes; written to the site, so that what people changed since stays."""
START_S: Final = 120.0
BEGAN_AGO_S: Final = 7 * 86_400


class ExpoCity:
    """The demo world; see `mirrorworld.installed.DemoWorld`."""

    name = NAME

    def __init__(
        self,
        *,
        n_buildings: int,
        n_points: int,
        rate_hz: float,
        seed: int,
        all_change: bool,
        speed: float,
        morning_h: float,
        leak_after_s: float,
        leak_seed: int,
    ) -> None:
        self.site = site_of(n_buildings, n_points)
        self._n_points = n_points
        self._rate_hz, self._speed, self._morning_h = rate_hz, speed, morning_h
        self._seed, self._all_change = seed, all_change
        self._leak = ("--leak-after", str(leak_after_s), "--leak-seed", str(leak_seed))
        self._processes = Processes()
        self._network = mains.plan(self.site)
        self._leaks = _leak_watch(self.site, self._network, n_points)
        self.models: Sequence[Model] = (self._leaks,)

    async def start(self, directory: Path) -> Sequence[SourceConfig]:
        """Starts broker and plant on free loopback ports; their files go below the directory.

        Raises:
            SourceError: one of them cannot be started; the message says which and why.
        """
        directory.mkdir(parents=True, exist_ok=True)
        for module in ("wntr", "zenoh"):
            if importlib.util.find_spec(module) is None:
                raise SourceError(
                    f"{NAME}: needs {module}; pip install 'mirrorworld[city]' brings it"
                )
        mqtt_port, energy_port, water_port = free_port(), free_port(), free_port()
        zenoh_port = free_port()
        zero_ns = time.time_ns()
        first_ns = zero_ns - (BEGAN_AGO_S * 1_000_000_000 if self._speed > 1.0 else 0)
        told = (
            *("--seed", str(self._seed), "--speed", str(self._speed)),
            *("--buildings", str(len(self.site.buildings)), "--points", str(self._n_points)),
            *("--zero-ns", str(zero_ns), "--first-ns", str(first_ns)),
            *("--morning-h", str(self._morning_h), "--follow-stdin"),
        )
        mqtt = ("--mqtt", f"127.0.0.1:{mqtt_port}")
        tick = ("--tick-s", str(1.0 / self._rate_hz))
        try:
            broker, is_ready = broker_command(directory, mqtt_port)
            await self._processes.start("broker", broker, is_ready)
            flicker = ("--all-change",) if self._all_change else ()
            energy = ("--opcua-port", str(energy_port))
            await self._part("buildings", (*told, *mqtt, *energy, *tick, *flicker))
            water = ("--opcua-port", str(water_port), *self._leak)
            await self._part("water", (*told, *water))
            air = ("--zenoh-port", str(zenoh_port))
            await self._part("surroundings", (*told, *mqtt, *air))
        except StartError as error:
            await self._processes.stop()
            raise SourceError(f"{NAME}: {error}") from error
        # Reading all births takes a slow machine longer than a broker waits for a sign of life.
        room = {
            "max_points": 2 * self._n_points + 100_000, "folders": True,
            "keepalive_s": 600, "rebirth_interval_s": 60.0,
        }  # fmt: skip
        return (
            SourceConfig(f"sparkplug://127.0.0.1:{mqtt_port}", GATEWAYS, room),
            SourceConfig(f"opc.tcp://127.0.0.1:{energy_port}/energy", ENERGY),
            SourceConfig(f"opc.tcp://127.0.0.1:{water_port}/water", WATER),
            SourceConfig(f"mqtt://127.0.0.1:{mqtt_port}/expo", OUTDOOR),
            SourceConfig(f"zenoh://127.0.0.1:{zenoh_port}", SURROUNDINGS, {"keys": "expo/**"}),
        )

    async def _part(self, name: str, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-m", f"{__package__}.plant_{name}", *arguments]
        await self._processes.start(name, command, lambda line: '"ready": true' in line, START_S)

    async def stop(self) -> None:
        """Ends plant, broker and leak finder."""
        await asyncio.to_thread(self._leaks.close)
        await self._processes.stop()

    def edits(self, world: World) -> Edits | None:
        """What is authored; None until the sources have declared their twins.

        A site that was authored before by this version is left as people have made it since.
        """
        twins = world.structure.twins
        site = twins.get(GATEWAYS)
        if site is None:
            return None
        authored = site.property("authored")
        if authored is not None and authored.value == AUTHORED:
            return Edits((PutName(GATEWAYS, site.name),), "the expo as drawn")
        if any(twin not in twins for twin in self._awaited()):
            return None
        edits = [*_types(), *_site(), *_quarters(self.site), *_buildings(self.site)]
        edits += [*_arms(self.site), *water_edits(self.site, self._network)]
        edits += [*energy_edits(self.site), *surroundings_edits(self.site)]
        return Edits(tuple(edits), "the expo as drawn")

    def _awaited(self) -> Iterator[str]:
        """The last twins of each source: with them, all are there."""
        network = self._network
        yield junction_twin(network, int(network.gauges[-1]))
        yield pipe_twin(network, int(network.meters[-1]))
        yield from (inverter_twin(b) for b in self.site.buildings if b.pv_kw > 0.0)
        yield from surroundings_twins(self.site)
        yield from (room_twin(b, b.floors, b.rooms[-1]) for b in self.site.buildings)

    def assets(self, directory: Path) -> Mapping[str, Path]:
        """Geometry by name (`expo_city/tower`), drawn once below the directory."""
        return {f"{NAME}/{name}": path for name, path in draw(directory / NAME, self.site).items()}


# --- names of twins --------------------------------------------------------------------------


def floor_twin(building: plans.Building, floor: int) -> str:
    """`floor` counts from 1."""
    return f"{building_twin(building)}/F{floor:02d}"


def room_twin(building: plans.Building, floor: int, room: int) -> str:
    """Both count from 1."""
    return f"{floor_twin(building, floor)}/R{floor:02d}{room:02d}"


# --- what is authored ------------------------------------------------------------------------


SITE: Final = kind("Site", "Expo site", "Expo-Gelände", "Site")
QUARTER: Final = kind("Quarter", "Quarter", "Quartier", "Region")
FLOOR: Final = kind("Floor", "Floor", "Etage", "Floor")
ROOM: Final = kind("Room", "Room", "Raum", "Room")
BUILDING_TYPES: Final = {
    a.name: kind(a.name.capitalize(), a.english, a.german, "Building")
    for a in (*plans.ARCHETYPES, plans.DOME, plans.GATE)
}


def _types() -> list[Edit]:
    return [PutType(t) for t in (SITE, QUARTER, FLOOR, ROOM, *BUILDING_TYPES.values())]


def _site() -> list[Edit]:
    return [
        PutTypeOf(GATEWAYS, SITE.id),
        PutName(GATEWAYS, text("Expo", "Expo")),
        PutProperty(GATEWAYS, Property("authored", AUTHORED)),
        PutPose(GATEWAYS, Pose(), look("ground")),
    ]


def _quarters(site: plans.Site) -> list[Edit]:
    edits: list[Edit] = []
    for quarter in sorted({b.quarter for b in site.buildings}):
        twin = quarter_twin(quarter)
        english, german = plans.QUARTERS[quarter]
        edits += [
            PutTypeOf(twin, QUARTER.id),
            PutName(twin, text(f"{english} Quarter", f"Quartier {german}")),
            PutPose(twin, turned(0.0, 0.0, -quarter * plans.SECTOR_DEG), look("quarter")),
        ]
    return edits


def _buildings(site: plans.Site) -> list[Edit]:
    edits: list[Edit] = []
    for building in site.buildings:
        twin, kind = building_twin(building), BUILDING_TYPES[building.archetype.name]
        name = name_of(building.number)
        edits += [
            PutTypeOf(twin, kind.id),
            PutName(twin, text(f"{name} {_short(building)}", f"{_short(building)} {name}")),
            PutPose(
                twin,
                turned(building.x_m, building.z_m, building.yaw_deg),
                look(asset_of(building)),
            ),
            PutProperty(twin, Property("floor_area", round(building.area_m2), "xs:double", "m2")),
            PutProperty(twin, Property("pv_rated", building.pv_kw, "xs:double", "kW")),
        ]
        for floor, rooms in enumerate(building.rooms, 1):
            edits.append(PutTypeOf(floor_twin(building, floor), FLOOR.id))
            name = text(f"Floor {floor}", f"Etage {floor}")
            edits.append(PutName(floor_twin(building, floor), name))
            for room in range(1, rooms + 1):
                edits.append(PutTypeOf(room_twin(building, floor, room), ROOM.id))
    return edits


def _short(building: plans.Building) -> str:
    """What kind of building it is, in one word that both languages have."""
    words = {"dome": "Dome", "gate": "Gate", "tower": "Tower", "terrace": "Atelier"}
    return words.get(
        building.archetype.name, "Pavilion" if building.archetype.is_pavilion else "Court"
    )


def _arms(site: plans.Site) -> list[Edit]:
    """What may be commanded from the start, within limits that the plant has too."""
    edits: list[Edit] = []
    for building in site.buildings:
        twin = building_twin(building)
        edits += [
            Arm(twin, "LoadLimit", 40.0, 100.0, 30.0, 2_000, must_confirm=True),
            Arm(twin, "SupplyTemperatureSetpoint", 14.0, 22.0, 2.0, 2_000),
        ]
    dome = site.buildings[0]
    for floor, rooms in enumerate(dome.rooms, 1):
        for room in range(1, rooms + 1):
            twin = room_twin(dome, floor, room)
            edits += [
                Arm(twin, "TemperatureSetpoint", 18.0, 26.0, 2.0, 1_000),
                Arm(twin, "LightLevel", 0.0, 100.0, min_interval_ms=500),
            ]
    return edits


def _leak_watch(site: plans.Site, network: mains.Network, n_points: int) -> LeakWatch:
    told = ("--buildings", str(len(site.buildings)), "--points", str(n_points))
    pump, tank = f"{WATER}/Works/Pump", f"{WATER}/Works/Tank"
    return LeakWatch(
        network,
        gauges=[(junction_twin(network, i), "Pressure") for i in network.gauges.tolist()],
        meters=[(pipe_twin(network, i), "Flow") for i in network.meters.tolist()],
        irrigation=[(f"{WATER}/Irrigation/Irrigation-{q}", "Flow") for q, _ in plans.QUARTERS],
        buildings=[(building_twin(b), "WaterFlow") for b in site.buildings],
        valves=[
            (pipe_twin(network, i), "Valve", i)
            for i, pipe in enumerate(network.pipes)
            if pipe.has_valve
        ],
        works=[(pump, "Flow"), (pump, "Speed"), (tank, "Level"), (tank, "Inflow")],
        zones=[zone_twin(zone) for zone in range(len(network.zones))],
        water=WATER,
        command=(sys.executable, "-m", f"{__package__}.leak", *told),
    )
