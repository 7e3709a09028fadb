"""The plain event loop: what a model means, to be read in one sitting.

A heap of (time, number) says what happens next; after each event the nodes that it touched are
settled until nothing more can move at that instant. This file has the loop and what it counts;
how parts wait and move is in `reference_moves.py`, stations are in `reference_stations.py`, fleets
in `reference_fleets.py`. docs/guide/flow.md states the rules in words.

Slow, and right by definition: the compiled kernel must give the same bits.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from mirrorworld.simulation.flow.distributions import draw, pack
from mirrorworld.simulation.flow.model import (
    Buffer,
    Conveyor,
    FlowError,
    FlowModel,
    Source,
    Station,
)
from mirrorworld.simulation.flow.plan import (
    NONE,
    Draws,
    Plan,
    edges,
    plan,
)
from mirrorworld.simulation.flow.reference_fleets import Fleets, Vehicle
from mirrorworld.simulation.flow.reference_moves import Moves, Part, Place
from mirrorworld.simulation.flow.reference_stations import Pooled, Server, Stations
from mirrorworld.simulation.flow.results import Doing, Ending, Result, Trace
from mirrorworld.simulation.flow.streams import uniform
from mirrorworld.simulation.flow.summary import Counted, critical_path, summarise, waits

MOST_EVENTS = 1_000_000_000
MOST_STEPS = 1_000_000
"""Settling after one event; more means that parts go round in no time."""


def run(
    model: FlowModel,
    *,
    seed: int,
    replications: int = 1,
    horizon_s: float = math.inf,
    warm_up_s: float = 0.0,
    trace_rows: int = 0,
    max_events: int = MOST_EVENTS,
    critical: bool = False,
) -> Result:
    """Runs a model; counts what happens after the warm-up until the horizon, both inclusive.

    With `critical`, `extra["critical_s"]` has by replication and element (`plan.elements`) how
    much later the last sound part would have left, per relative increase of its times.

    Raises:
        FlowError: the times contradict each other.
    """
    check_times(horizon_s, warm_up_s)
    numbers = plan(model)
    counted = [
        Line(
            numbers,
            numbers.keys(seed, replication),
            horizon_s,
            warm_up_s,
            trace_rows if replication == 0 else 0,
            max_events,
            critical,
        ).run()
        for replication in range(replications)
    ]
    return summarise(
        numbers,
        counted,
        engine="reference",
        seed=seed,
        horizon_s=horizon_s,
        warm_up_s=warm_up_s,
    )


def check_times(horizon_s: float, warm_up_s: float) -> None:
    """Raises FlowError unless 0 ≤ warm-up < horizon."""
    if not (0 <= warm_up_s < horizon_s):
        raise FlowError(f"warm-up {warm_up_s} s, horizon {horizon_s} s; give 0 ≤ warm-up < horizon")


class Line(Moves, Stations, Fleets):
    """One replication."""

    def __init__(
        self,
        plan: Plan,
        keys: list[int],
        horizon_s: float,
        warm_up_s: float,
        trace_rows: int,
        max_events: int,
        critical: bool,
    ) -> None:
        self.plan, self.model, self.keys = plan, plan.model, keys
        self.horizon_s, self.warm_up_s, self.max_events = horizon_s, warm_up_s, max_events
        self.packed = pack(plan.distributions)
        self.drawn = [0] * len(plan.streams)
        self.now = 0.0
        self.heap: list[tuple[float, int, bool, Callable[..., None], tuple[Any, ...]]] = []
        self.scheduled = 0
        self.cancelled: set[int] = set()
        self.current = NONE
        self.pending = 0
        """Scheduled events that are neither changes of calendars nor calendar failures nor
        maintenance falling due."""
        self.moved_s = 0.0
        self.stop: tuple[Ending, str] | None = None
        self.log: list[tuple[int, int, float]] | None = [] if critical else None
        self.touches: deque[tuple[Callable[..., None], Any]] = deque()
        self.offers = self.serials = self.events = 0
        self.alive = self.inside = 0
        self.inside_integral = self.inside_changed_s = 0.0
        self.is_warm = warm_up_s == 0
        self.trace: list[tuple[float, int, int, int, int, int]] = []
        self.trace_rows = trace_rows
        self.is_cut = False
        self.types = self.model.part_types
        self.loops = [0] * len(self.model.loops)
        self.loop_nodes = [
            {i for i, node in enumerate(self.model.nodes) if node.name in loop.nodes}
            for loop in self.model.loops
        ]
        self.loop_types = [
            {i for i, name in enumerate(plan.types) if name in loop.types}
            or set(range(len(plan.types)))
            for loop in self.model.loops
        ]
        self.places = [Place(i, node) for i, node in enumerate(self.model.nodes)]
        self.pools = [Pooled(i, pool) for i, pool in enumerate(self.model.pools)]
        self.sources_open = sum(
            1 for node in self.model.nodes if isinstance(node, Source) and node.limit > 0
        )
        self.last_made = NONE
        self.clear()
        self.set_up_stations()
        self.set_up_fleets()

    # --- the loop -----------------------------------------------------------------------------

    def run(self) -> Counted:
        """Until it ends, and what was counted."""
        self.begin_all()
        self.settle()
        ending, detail = self.loop()
        if not self.is_warm:
            self.warm(min(self.now, self.warm_up_s))
        self.flush(self.now)
        return Counted(
            ending=ending,
            detail=detail,
            end_s=self.now,
            events=self.events,
            made=np.array(self.made, np.int64),
            scrapped=self.scrapped,
            lost=self.lost,
            late=self.late,
            lead_s=np.array(self.lead_s, np.float64),
            doing_s=np.array(
                [x.doing_s for x in (*self.servers, *self.vehicles)], np.float64
            ).reshape(-1, len(Doing)),
            content=np.array([place.integral for place in self.places]),
            wip=self.inside_integral,
            jobs=np.array([place.jobs for place in self.places], np.int64),
            moved=np.array(self.moved, np.int64),
            scrapped_at=np.array([place.scrapped for place in self.places], np.int64),
            members=np.array([pool.integral for pool in self.pools], np.float64),
            carrying_s=np.array([place.carrying_s for place in self.places]),
            material_cost=self.cost,
            material_carbon_kg=self.carbon,
            trace=self.traced(),
            extra={}
            if self.log is None
            else {"critical_s": critical_path(self.plan, self.log, self.last_made)},
        )

    def loop(self) -> tuple[Ending, str]:
        while True:
            if self.stop is not None:
                return self.stop
            if self.alive == 0 and self.sources_open == 0:
                return Ending.EXHAUSTED, ""
            if self.pending == 0 and (
                not self.heap or self.now - self.moved_s >= self.plan.patience_s
            ):
                return Ending.DEADLOCK, waits(self.model, self.who_waits())
            if self.events >= self.max_events:
                return Ending.EVENTS, f"{self.model.name}: {self.events} events"
            if self.heap[0][0] > self.horizon_s:
                self.now = self.horizon_s
                if not self.is_warm:
                    self.warm(self.warm_up_s)
                return Ending.HORIZON, ""
            time_s, number, is_background, act, about = heapq.heappop(self.heap)
            if number in self.cancelled:
                self.cancelled.remove(number)
                continue
            if not self.is_warm and time_s > self.warm_up_s:
                self.warm(self.warm_up_s)
            self.now = time_s
            self.current = number
            self.events += 1
            self.pending -= not is_background
            act(*about)
            self.settle()

    def schedule(
        self,
        time_s: float,
        act: Callable[..., None],
        *about: Any,
        is_background: bool = False,
        of: tuple[int, float] = (NONE, 0.0),
        by: int | None = None,
    ) -> int:
        """Lets something happen; `of` is whose time it took and how much, `by` what it waited
        for (else: this event)."""
        number = self.scheduled
        self.scheduled += 1
        self.pending += not is_background
        heapq.heappush(self.heap, (time_s, number, is_background, act, about))
        if self.log is not None:
            self.log.append((self.current if by is None else by, *of))
        return number

    def cancel(self, number: int) -> None:
        """Takes back what was scheduled and is not background."""
        self.cancelled.add(number)
        self.pending -= 1

    def touch(self, act: Callable[..., None], about: Any = None) -> None:
        """Puts something on the list of what is settled before time goes on."""
        self.touches.append((act, about))

    def touch_place(self, place: Place) -> None:
        """A node may have got room; once is enough."""
        if not place.touched:
            place.touched = True
            self.touch(self.take_touched, place)

    def take_touched(self, place: Place) -> None:
        place.touched = False
        self.take(place)

    def settle(self) -> None:
        """What was touched, in the order in which it was, until nothing is left."""
        steps = 0
        while self.touches:
            steps += 1
            if steps > MOST_STEPS:
                self.touches.clear()
                self.stop = Ending.EVENTS, f"{self.model.name}: parts go round in no time"
                return
            act, about = self.touches.popleft()
            act(about)

    def draw(self, what: Draws) -> float:
        """The next time of a stream."""
        try:
            value = draw(self.packed, what.row, self.keys[what.stream], self.drawn[what.stream])
        except OverflowError:
            value = math.inf
        self.drawn[what.stream] += 1
        if not 0.0 <= value < math.inf:
            if self.stop is None:
                self.stop = Ending.NOT_A_NUMBER, f"{self.plan.draws[what.stream]}: {value} s"
            return 0.0
        return float(value)

    def chance(self, stream: int) -> float:
        """The next uniform number of a stream."""
        value = uniform(self.keys[stream], self.drawn[stream])
        self.drawn[stream] += 1
        return value

    # --- counting -----------------------------------------------------------------------------

    def clear(self) -> None:
        self.made = [0] * len(self.plan.types)
        self.moved = [0] * len(self.plan.ways)
        self.scrapped = self.lost = self.late = 0
        self.lead_s: list[float] = []
        self.cost = self.carbon = 0.0

    def warm(self, time_s: float) -> None:
        """Forgets what was counted so far."""
        self.flush(time_s)
        self.is_warm = True
        self.clear()
        self.inside_integral = 0.0
        for place in self.places:
            place.jobs = place.scrapped = 0
            place.integral = place.carrying_s = 0.0
        for pool in self.pools:
            pool.integral = 0.0
        for one in (*self.servers, *self.vehicles):
            one.doing_s = [0.0] * len(Doing)

    def flush(self, time_s: float) -> None:
        """Brings every integral up to a time."""
        self.change_inside(0, time_s)
        for place in self.places:
            self.count(place, time_s)
        for pool in self.pools:
            pool.change(0, time_s)
        for one in (*self.servers, *self.vehicles):
            one.doing_s[one.doing] += time_s - one.since_s
            one.since_s = time_s

    def count(self, place: Place, time_s: float) -> None:
        span_s = time_s - place.changed_s
        place.integral += place.held * span_s
        if place.held > 0:
            place.carrying_s += span_s
        place.changed_s = time_s

    def hold(self, place: Place, change: int, part: Part) -> None:
        """A node holds so many parts more."""
        self.count(place, self.now)
        place.held += change
        if isinstance(place.node, Buffer | Conveyor):
            full = Doing.BLOCKED if place.held >= place.room else Doing.BUSY
            doing = full if place.held else Doing.STARVED
            self.record(place.index, 0, doing, part.serial, place.held)

    def change_inside(self, change: int, time_s: float) -> None:
        self.inside_integral += self.inside * (time_s - self.inside_changed_s)
        self.inside_changed_s = time_s
        self.inside += change

    def show(self, one: Server | Vehicle, doing: Doing, part: int, held: int) -> None:
        """A server or vehicle does something from now on."""
        if doing != one.doing:
            one.doing_s[one.doing] += self.now - one.since_s
            one.since_s = self.now
            one.doing = doing
            self.record(one.row, one.number, doing, part, held)

    def record(self, node: int, server: int, doing: Doing, part: int, held: int) -> None:
        if self.trace_rows:
            if len(self.trace) < self.trace_rows:
                self.trace.append((self.now, node, server, doing, part, held))
            else:
                self.is_cut = True

    def traced(self) -> Trace | None:
        if not self.trace_rows:
            return None
        rows = self.trace
        time_s, node, server, doing, part, held = zip(*rows, strict=True) if rows else ((),) * 6
        return Trace(
            time_s=np.array(time_s, np.float64),
            node=np.array(node, np.int32),
            server=np.array(server, np.int32),
            doing=np.array(doing, np.uint8),
            part=np.array(part, np.int64),
            held=np.array(held, np.int32),
            is_cut=self.is_cut,
        )

    # --- beginning ----------------------------------------------------------------------------

    def begin_all(self) -> None:
        """What is scheduled at time 0: calendars, then sources and stations in their order."""
        for i, calendar in enumerate(self.model.calendars):
            is_open, changes = edges(calendar)
            for place in self.places:
                shop = self.plan.shops[place.index]
                if shop is not None and shop.calendar == i:
                    place.is_open = is_open
            for pool in self.pools:
                if self.plan.pool_calendar[pool.index] == i:
                    pool.is_open = is_open
            if changes:
                self.plan_change(i, 1 if changes[0][0] == 0.0 else 0)
        for place in self.places:
            if isinstance(place.node, Source):
                if place.left > 0:
                    if place.node.interarrival is None:
                        self.schedule(0.0, self.feed, place)
                    else:
                        self.next_arrival(place)
            elif isinstance(place.node, Station):
                self.begin_station(place)
        self.begin_fleets()

    def plan_change(self, i: int, k: int) -> None:
        """The k-th change of a calendar."""
        calendar = self.model.calendars[i]
        _, changes = edges(calendar)
        cycle, at = divmod(k, len(changes))
        offset_s, is_open = changes[at]
        self.schedule(
            cycle * calendar.cycle_s + offset_s, self.change, i, k, is_open, is_background=True
        )

    def change(self, i: int, k: int, is_open: bool) -> None:
        """A calendar opens or closes."""
        self.plan_change(i, k + 1)
        for place in self.places:
            shop = self.plan.shops[place.index]
            if shop is not None and shop.calendar == i:
                self.change_station(place, is_open)
        for pool in self.pools:
            if self.plan.pool_calendar[pool.index] == i:
                pool.is_open = is_open
                if is_open:
                    self.touch_requests()

    # --- who waits for whom, at a dead end ----------------------------------------------------

    def who_waits(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        names = [node.name for node in self.model.nodes]
        for place in self.places:
            for part in place.waiting:
                for way in self.ways(part):
                    full = [k for k in way.loops if self.crossing(part, way, k) > 0
                            and self.loops[k] >= self.model.loops[k].limit]  # fmt: skip
                    found += [(names[place.index], self.model.loops[k].name) for k in full]
                    if not full:
                        found.append((names[place.index], names[way.target]))
            shop = self.plan.shops[place.index]
            if shop is not None and any(server.is_free for server in place.servers):
                for source, count in shop.takes:
                    if len(self.places[source].waiting) < count:
                        found.append((names[place.index], names[source]))
        for k, nodes in enumerate(self.loop_nodes):
            if self.loops[k] >= self.model.loops[k].limit:
                found += [
                    (self.model.loops[k].name, names[i])
                    for i in sorted(nodes)
                    if self.places[i].held
                ]
        return found + self.who_requests() + self.who_drives()
