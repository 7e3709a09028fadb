"""A whole line fitted from a period of its record: a sheet `fitted`, and what it stands on."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from mirrorworld.simulation.fitting.choosing import Fit, fit
from mirrorworld.simulation.fitting.machine import Does, Machine, measure, used_signals
from mirrorworld.simulation.fitting.signals import Readings
from mirrorworld.simulation.flow import sheet as sheets
from mirrorworld.simulation.flow.from_world import references
from mirrorworld.simulation.flow.roles import Place, places
from mirrorworld.simulation.flow.sheet import Flow, Period, Said, Stops, written
from mirrorworld.world.model import FEEDS, Sheet
from mirrorworld.world.ports import Record
from mirrorworld.world.world import World

LEAST_RATIO: Final = 1.5
"""Parts in each thing from which on a way is taken to carry packs of them."""


@dataclass(slots=True, eq=False)
class Way:
    """What was measured of a conveyor or a buffer."""

    place: Place
    content: float | None = None
    """Mean over the known time, in what its counter counts."""
    capacity: int | None = None
    speed_m_s: float | None = None
    came: float = 0.0
    per_unit: int = 1
    watts: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """One row of the report: what was fitted for a twin, from which samples."""

    twin: str
    what: str
    fit: Fit


@dataclass(slots=True, eq=False)
class LineFit:
    """A line as a period of its record shows it."""

    flow: Flow
    """The sheet `fitted`."""
    fits: tuple[Fitted, ...]
    machines: dict[str, Machine]
    """By twin."""
    ways: dict[str, Way]
    notes: tuple[tuple[str, str], ...]
    """(twin, what is lacking or was noticed)."""

    @property
    def sheet(self) -> Sheet:
        """As it is kept in the world."""
        return Sheet(sheets.KIND, sheets.FITTED, msgspec.json.encode(self.flow).decode())


def look(
    world: World, record: Record, start_ns: int, end_ns: int, clock_rate: float = 1.0
) -> tuple[dict[str, Machine], dict[str, Way], Readings]:
    """What the machines and the ways of a line did in a period."""
    found = places(world.structure, sheets.of_structure(world.structure))
    readings = Readings(world.structure, record, start_ns, end_ns, clock_rate)
    # Read all before: silence is when nothing came from anywhere.
    readings.load(used.handle for place in found for used in place.points.values())
    for place in found:
        used_signals(place, readings)
    machines = {p.twin: measure(p, readings) for p in found if p.role == "machine"}
    ways: dict[str, Way] = {}
    for place in found:
        if place.role != "machine":
            ways[place.twin] = _way(place, readings, world, machines, ways)
    return machines, ways, readings


def fit_line(
    world: World,
    record: Record,
    start_ns: int,
    end_ns: int,
    *,
    clock_rate: float = 1.0,
    seed: int = 0,
    bootstraps: int = 99,
) -> LineFit:
    """Fits a line to a period of its record.

    Args:
        clock_rate: seconds of the plant in each second of the record.
        seed, bootstraps: see `choosing.fit`.

    Raises:
        ValueError: the world does not make a line, or the period is empty.
    """
    machines, ways, readings = look(world, record, start_ns, end_ns, clock_rate)
    flow = Flow(twins={}, period=Period(start_ns, end_ns, clock_rate))
    fits: list[Fitted] = []
    notes: list[tuple[str, str]] = []
    for machine in machines.values():
        said = Said(at=references(world, machine.place))
        twin = machine.place.twin
        notes += [(twin, note) for note in (*machine.place.notes, *machine.notes)]
        if machine.known_s < 0.5 * readings.length_s:
            share = 1 - machine.known_s / readings.length_s
            notes.append((twin, f"{share:.0%} of the period is unknown"))
        if machine.cycles is not None and len(machine.cycles.complete) >= 2:
            one = fit(machine.cycles, seed=seed, bootstraps=bootstraps)
            fits.append(Fitted(twin, "cycle", one))
            if one.distribution is not None:
                said.cycle = written(one.distribution)
        elif machine.cycle_s is not None:
            said.cycle = machine.cycle_s
        if "state" in machine.place.points:
            said.stops = []
        for stop in machine.stops:
            between = fit(stop.between, seed=seed, bootstraps=bootstraps)
            repair = fit(stop.repair, seed=seed, bootstraps=bootstraps)
            fits += [
                Fitted(twin, f"until {stop.name}", between),
                Fitted(twin, f"{stop.name}, how long", repair),
            ]
            if between.distribution is not None and repair.distribution is not None:
                made = Stops(stop.name, written(between.distribution), written(repair.distribution))
                assert said.stops is not None
                said.stops.append(made)
        said.scrap = machine.scrap
        if machine.inside is not None and machine.inside >= 2:
            said.inside = round(machine.inside)
        said.busy_w = machine.watts.get(Does.RUNS)
        said.idle_w = said.blocked_w = machine.watts.get(Does.WAITS)
        said.down_w = machine.watts.get(Does.DOWN)
        flow.twins[twin] = said
    for way in ways.values():
        flow.twins[way.place.twin] = Said(
            capacity=way.capacity,
            speed_m_s=way.speed_m_s,
            per_unit=way.per_unit if way.per_unit > 1 else None,
            busy_w=way.watts,
            at=references(world, way.place),
        )
    return LineFit(flow, tuple(fits), machines, ways, tuple(notes))


def throughput_per_s(world: World, machines: Mapping[str, Machine]) -> float:
    """Parts that the last machines of a line made in a second of the known time."""
    lasts = [one for one in machines.values() if not _leads_to(world, one.place.twin, machines)]
    return sum(one.made / one.known_s for one in lasts if one.known_s)


def _leads_to(world: World, twin: str, others: Container[str]) -> bool:
    """Whether any of the others comes behind a twin."""
    ahead, seen = [twin], {twin}
    while ahead:
        for relation in world.structure.relations_from(ahead.pop()):
            if relation.kind == FEEDS and relation.target not in seen:
                if relation.target in others:
                    return True
                seen.add(relation.target)
                ahead.append(relation.target)
    return False


def _way(
    place: Place,
    readings: Readings,
    world: World,
    machines: dict[str, Machine],
    ways: dict[str, Way],
) -> Way:
    way = Way(place)
    signals = used_signals(place, readings)
    edges, known = readings.edges(*signals.values())
    lasts = np.diff(edges)
    if "content" in signals:
        held = signals["content"].held(edges[:-1])
        some = known & ~np.isnan(held)
        if some.any():
            way.content = float(np.average(held[some], weights=lasts[some]))
            way.capacity = int(held[some].max()) or None
        if "occupancy" in signals:
            share = signals["occupancy"].held(edges[:-1])
            some &= (held >= 5) & (share >= 5)
            if some.any():
                way.capacity = round(float(np.median(100 * held[some] / share[some])))
    if "speed" in signals:
        speed = signals["speed"].held(edges[:-1])
        some = known & (speed > 0)
        if some.any():
            way.speed_m_s = float(np.average(speed[some], weights=lasts[some]))
    if "in" in signals:
        way.came = float(signals["in"].steps()[1].sum())
    if "power" in signals:
        power = signals["power"].held(edges[:-1])
        some = known & ~np.isnan(power)
        if some.any():
            mean = float(np.average(power[some], weights=lasts[some]))
            way.watts = mean / place.sharing_power
    went = 0.0
    for relation in world.structure.relations_to(place.twin):
        if relation.source in machines:
            went += machines[relation.source].made
        elif relation.source in ways:
            went += ways[relation.source].came * ways[relation.source].per_unit
    if way.came >= 5 and went / way.came >= LEAST_RATIO:
        way.per_unit = round(went / way.came)
    return way
