"""A model by numbers: what every event engine looks up, worked out once.

Nodes, links, types, pools and the rest are numbered in the model's order. Distributions and
streams stand in one list each, with the place where each is drawn, so that an engine can say
whose time was no number. Shortest ways on tracks are found here.

Knows nothing of time and events.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.model import (
    ANY,
    UNBOUNDED,
    Basis,
    Buffer,
    Calendar,
    Conveyor,
    Drain,
    Fleet,
    FlowError,
    FlowModel,
    Need,
    Source,
    Station,
)
from mirrorworld.simulation.flow.streams import Purpose, stream_key

SOUND, SCRAP, REWORK = 0, 1, 2
"""What a finished part is, and which links it may take."""

NONE = -1


@dataclass(slots=True)
class Way:
    """A link by numbers."""

    index: int
    source: int
    target: int
    sort: int
    types: frozenset[int]
    """All of them, if the link names none."""
    share: float
    fleet: int
    becomes: int
    loops: tuple[int, ...] = ()
    """That hold its source or its target."""


@dataclass(slots=True)
class Draws:
    """A distribution and the stream that it is drawn from."""

    row: int
    stream: int


@dataclass(slots=True)
class Failure:
    """A way to fail, by numbers."""

    between: Draws
    repair: Draws
    is_calendar: bool
    needs: list[tuple[int, int, str]]


@dataclass(slots=True)
class Upkeep:
    """Maintenance, by numbers."""

    duration: Draws
    every_s: float
    every_parts: int
    needs: list[tuple[int, int, str]]


@dataclass(slots=True)
class Shop:
    """A station, by numbers."""

    first_server: int
    process: list[Draws]
    """By type."""
    means: list[float]
    """Mean process time by type."""
    setup: dict[tuple[int, int], Draws]
    setup_means: dict[tuple[int, int], float]
    setup_needs: list[tuple[int, int, str]]
    needs: list[tuple[int, int, str]]
    takes: list[tuple[int, int]]
    gives: list[tuple[int, int, int]]
    """(link, parts, type or NONE)."""
    failures: list[Failure]
    upkeep: list[Upkeep]
    calendar: int


@dataclass(slots=True)
class Track:
    """Ways of a fleet: which segment leads nearest from one place to another."""

    stops: list[str]
    ends: list[tuple[int, int]]
    """(from, to) of each segment."""
    next: list[list[int]]
    """[place][place] 2 × segment, + 1 if it is travelled backwards; NONE: there, or no way."""
    distance: list[list[float]]
    stop_of: list[int]
    """[node] place, or NONE."""
    home: int
    start: int


@dataclass(slots=True)
class Trips:
    """A fleet, by numbers."""

    first_vehicle: int
    travel: Draws | None
    load: Draws | None
    unload: Draws | None
    track: Track | None


@dataclass(slots=True)
class Plan:
    """A model by numbers. Lists by node have one entry each; None where it makes no sense."""

    model: FlowModel
    types: tuple[str, ...]
    out: list[list[Way]]
    into: list[list[Way]]
    ways: list[Way]
    shops: list[Shop | None]
    arrive: list[Draws | None]
    stay: list[Draws | None]
    pick: list[int]
    """Stream of the node's route, of the mix for sources it is `mix_pick`."""
    mix: list[list[tuple[int, float]]]
    mix_pick: list[int]
    hot_pick: list[int]
    scrap_pick: list[int]
    rework_pick: list[int]
    trips: list[Trips]
    entries: list[list[int]]
    """By loop: nodes of it that are fed from outside."""
    pool_groups: list[list[tuple[int, tuple[str, ...]]]]
    pool_calendar: list[int]
    distributions: list[Distribution] = field(default_factory=list[Distribution])
    draws: list[str] = field(default_factory=list[str])
    """What each stream is for, as told to people."""
    streams: list[tuple[str, Purpose]] = field(default_factory=list[tuple[str, Purpose]])
    servers: int = 0
    vehicles: int = 0

    @property
    def elements(self) -> list[str]:
        """What takes time: every stream, then the nodes (conveyors) and fleets (on tracks)."""
        nodes = [node.name for node in self.model.nodes]
        return [*self.draws, *nodes, *(fleet.name for fleet in self.model.fleets)]

    def element(self, node: int) -> int:
        """Of a node, among the elements."""
        return len(self.streams) + node

    def keys(self, seed: int, replication: int) -> list[int]:
        """Keys of the streams in one replication."""
        return [stream_key(seed, replication, name, purpose) for name, purpose in self.streams]

    @property
    def patience_s(self) -> float:
        """How long nothing may move, with nothing at work, before the line is called dead:
        ten of the longest calendar cycle, since only an opening could free it."""
        return 10 * max((c.cycle_s for c in self.model.calendars), default=0.0)


def plan(model: FlowModel) -> Plan:
    """Works out a model's numbers.

    Raises:
        FlowError: a fleet has no way between two of its places.
    """
    return _Planner(model).made()


class _Planner:
    def __init__(self, model: FlowModel) -> None:
        self.model = model
        self.node = {node.name: i for i, node in enumerate(model.nodes)}
        self.types = model.types
        self.type = {name: i for i, name in enumerate(self.types)}
        self.pool = {pool.name: i for i, pool in enumerate(model.pools)}
        self.calendar = {calendar.name: i for i, calendar in enumerate(model.calendars)}
        self.distributions: list[Distribution] = []
        self.streams: list[tuple[str, Purpose]] = []
        self.draws: list[str] = []

    def stream(self, name: str, purpose: Purpose) -> int:
        self.streams.append((name, purpose))
        self.draws.append(f"{name}.{purpose.name.lower()}")
        return len(self.streams) - 1

    def drawn(self, what: Distribution | None, name: str, purpose: Purpose) -> Draws | None:
        if what is None:
            return None
        return self.sure(what, self.stream(name, purpose))

    def sure(self, what: Distribution, stream: int) -> Draws:
        self.distributions.append(what)
        return Draws(len(self.distributions) - 1, stream)

    def needs(self, needs: Sequence[Need]) -> list[tuple[int, int, str]]:
        return [(self.pool[need.pool], need.count, need.skill) for need in needs]

    def made(self) -> Plan:
        model, nodes = self.model, self.model.nodes
        ways = self.ways()
        out: list[list[Way]] = [[w for w in ways if w.source == i] for i in range(len(nodes))]
        into: list[list[Way]] = [[w for w in ways if w.target == i] for i in range(len(nodes))]
        shops: list[Shop | None] = []
        arrive: list[Draws | None] = []
        stay: list[Draws | None] = []
        streams: dict[Purpose, list[int]] = {
            p: [] for p in (Purpose.ROUTE, Purpose.TYPE, Purpose.HOT, Purpose.SCRAP, Purpose.REWORK)
        }
        mix: list[list[tuple[int, float]]] = []
        servers = 0
        for i, node in enumerate(nodes):
            name = node.name
            for purpose, found in streams.items():
                found.append(self.stream(name, purpose))
            arrive.append(self.drawn(getattr(node, "interarrival", None), name, Purpose.ARRIVE))
            stay.append(self.drawn(getattr(node, "stay", None), name, Purpose.STAY))
            kinds: tuple[tuple[str, float], ...] = getattr(node, "mix", ())
            mix.append([(0 if t == ANY else self.type[t], w) for t, w in kinds])
            if isinstance(node, Station):
                shops.append(self.shop(node, servers, out[i]))
                servers += node.servers
            else:
                shops.append(None)
        trips: list[Trips] = []
        vehicles = 0
        for fleet in model.fleets:
            trips.append(self.fleet(fleet, vehicles))
            vehicles += fleet.vehicles
        entries = [
            [
                i
                for i, node in enumerate(nodes)
                if node.name in loop.nodes
                and any(nodes[w.source].name not in loop.nodes for w in into[i])
            ]
            for loop in model.loops
        ]
        return Plan(
            model=model,
            types=self.types,
            out=out,
            into=into,
            ways=ways,
            shops=shops,
            arrive=arrive,
            stay=stay,
            pick=streams[Purpose.ROUTE],
            mix=mix,
            mix_pick=streams[Purpose.TYPE],
            hot_pick=streams[Purpose.HOT],
            scrap_pick=streams[Purpose.SCRAP],
            rework_pick=streams[Purpose.REWORK],
            trips=trips,
            entries=entries,
            pool_groups=[list(pool.members) for pool in model.pools],
            pool_calendar=[self.calendar.get(pool.calendar, NONE) for pool in model.pools],
            distributions=self.distributions,
            draws=self.draws,
            streams=self.streams,
            servers=servers,
            vehicles=vehicles,
        )

    def ways(self) -> list[Way]:
        fleets = {fleet.name: i for i, fleet in enumerate(self.model.fleets)}
        everything = frozenset(range(len(self.types)))
        return [
            Way(
                index=i,
                source=self.node[link.source],
                target=self.node[link.target],
                sort=SCRAP if link.is_scrap else REWORK if link.is_rework else SOUND,
                types=frozenset(self.type[t] for t in link.types) or everything,
                share=link.share,
                fleet=fleets.get(link.fleet, NONE),
                becomes=self.type[link.becomes] if link.becomes else NONE,
                loops=tuple(
                    k
                    for k, loop in enumerate(self.model.loops)
                    if link.source in loop.nodes or link.target in loop.nodes
                ),
            )
            for i, link in enumerate(self.model.links)
        ]

    def shop(self, node: Station, first_server: int, out: list[Way]) -> Shop:
        stream = self.stream(node.name, Purpose.PROCESS)
        by_type = dict(node.process_by_type)
        processes = [by_type.get(name, node.process) for name in self.types]
        setup: dict[tuple[int, int], Draws] = {}
        setup_means: dict[tuple[int, int], float] = {}
        if node.setup is not None:
            pick = self.stream(node.name, Purpose.SETUP)
            rows = [
                (before, after, how, self.sure(how, pick))
                for before, after, how in reversed(node.setup.times)
            ]
            for is_exact_from, is_exact_to in ((0, 0), (0, 1), (1, 0), (1, 1)):
                for before, after, how, drawn in rows:
                    if (before != ANY, after != ANY) != (bool(is_exact_from), bool(is_exact_to)):
                        continue
                    for b in self.types if before == ANY else (before,):
                        for a in self.types if after == ANY else (after,):
                            if a == b and ANY in (before, after):
                                continue
                            setup[self.type[b], self.type[a]] = drawn
                            setup_means[self.type[b], self.type[a]] = _mean(how)
        target = {w.target: w.index for w in reversed(out) if w.sort == SOUND}
        failures: list[Failure] = []
        for failure in node.breakdowns:
            name = f"{node.name}/{failure.name}"
            failures.append(
                Failure(
                    self.sure(failure.between, self.stream(name, Purpose.FAIL)),
                    self.sure(failure.repair, self.stream(name, Purpose.REPAIR)),
                    failure.basis is Basis.CALENDAR,
                    self.needs(failure.needs),
                )
            )
        return Shop(
            first_server=first_server,
            process=[self.sure(how, stream) for how in processes],
            means=[_mean(how) for how in processes],
            setup=setup,
            setup_means=setup_means,
            setup_needs=self.needs(node.setup.needs) if node.setup else [],
            needs=self.needs(node.needs),
            takes=[(self.node[name], count) for name, count in node.takes],
            gives=[
                (target[self.node[to]], count, NONE if part == ANY else self.type[part])
                for to, count, part in node.gives
            ],
            failures=failures,
            upkeep=[
                Upkeep(
                    self.sure(
                        work.duration,
                        self.stream(f"{node.name}/{work.name}", Purpose.MAINTENANCE),
                    ),
                    work.every_s,
                    work.every_parts,
                    self.needs(work.needs),
                )
                for work in node.maintenance
            ],
            calendar=self.calendar[node.calendar] if node.calendar else NONE,
        )

    def fleet(self, fleet: Fleet, first_vehicle: int) -> Trips:
        return Trips(
            first_vehicle,
            None if fleet.segments else self.drawn(fleet.travel, fleet.name, Purpose.TRAVEL),
            self.drawn(fleet.load, fleet.name, Purpose.LOAD),
            self.drawn(fleet.unload, fleet.name, Purpose.UNLOAD),
            self.track(fleet) if fleet.segments else None,
        )

    def track(self, fleet: Fleet) -> Track:
        stops = list(dict.fromkeys(end for s in fleet.segments for end in (s.source, s.target)))
        at = {stop: i for i, stop in enumerate(stops)}
        count = len(stops)
        ends = [(at[s.source], at[s.target]) for s in fleet.segments]
        distance = [[0.0 if i == j else math.inf for j in range(count)] for i in range(count)]
        step = [[NONE] * count for _ in range(count)]
        for k, segment in enumerate(fleet.segments):
            a, b = ends[k]
            for start, end, code in ((a, b, 2 * k), (b, a, 2 * k + 1)):
                if code % 2 and not segment.is_two_way:
                    continue
                if segment.length_m < distance[start][end]:
                    distance[start][end] = segment.length_m
                    step[start][end] = code
        # Floyd, Algorithm 97: Shortest path, CACM 5 (1962).
        for k in range(count):
            for i in range(count):
                for j in range(count):
                    if distance[i][k] + distance[k][j] < distance[i][j]:
                        distance[i][j] = distance[i][k] + distance[k][j]
                        step[i][j] = step[i][k]
        places = dict(fleet.places)
        stop_of = [at.get(places.get(node.name, ""), NONE) for node in self.model.nodes]
        home = at[fleet.home] if fleet.home else NONE
        start = home if home != NONE else 0
        used = sorted({start, *(stop for stop in stop_of if stop != NONE)})
        for a in used:
            for b in used:
                if math.isinf(distance[a][b]):
                    raise FlowError(
                        f"{self.model.name}/{fleet.name}: no way from '{stops[a]}' to "
                        f"'{stops[b]}'; add a segment or make one two-way"
                    )
        return Track(stops, ends, step, distance, stop_of, home, start)


def _mean(how: Distribution) -> float:
    try:
        return how.mean()
    except OverflowError:
        return math.inf


def edges(calendar: Calendar) -> tuple[bool, list[tuple[float, bool]]]:
    """Whether a calendar is open at 0, and its changes in a cycle: (time in it, whether it opens).

    Intervals that touch are one; so are the last and the first of a cycle, if they do.
    """
    merged: list[list[float]] = []
    for begin, until in calendar.works:
        if merged and merged[-1][1] == begin:
            merged[-1][1] = until
        else:
            merged.append([begin, until])
    is_open = merged[0][0] == 0.0
    found = [(t, t == begin) for begin, until in merged for t in (begin, until)]
    if is_open and merged[-1][1] == calendar.cycle_s:
        found = found[1:-1]
    return is_open, found


def open_s(calendar: Calendar, begin_s: float, end_s: float) -> float:
    """How long a calendar is open between two times."""

    def until(t: float) -> float:
        cycles, rest = divmod(t, calendar.cycle_s)
        whole = sum(b - a for a, b in calendar.works)
        return cycles * whole + sum(max(0.0, min(rest, b) - a) for a, b in calendar.works)

    return until(end_s) - until(begin_s)


def capacity(node: Source | Drain | Buffer | Conveyor | Station) -> int:
    """How many parts a node may hold; of stations how many servers it has."""
    match node:
        case Buffer() | Conveyor():
            return node.capacity
        case Station():
            return node.servers
        case _:
            return UNBOUNDED
