"""The plain event loop: what a model means, to be read in one sitting.

A heap of (time, number) says what happens next; after each event the nodes that it touched are
settled until nothing more can move at that instant. This file has the loop, how parts wait, are
chosen and move, and the nodes that do not work on them; stations are in `reference_stations.py`,
fleets in `reference_fleets.py`. docs/guide/flow.md states the rules in words.

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
    Drain,
    FlowError,
    FlowModel,
    Node,
    Route,
    Rule,
    Source,
    Station,
)
from mirrorworld.simulation.flow.plan import (
    NONE,
    SOUND,
    Draws,
    Plan,
    Way,
    capacity,
    edges,
    plan,
)
from mirrorworld.simulation.flow.reference_fleets import Fleets, Vehicle
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


class Part:
    """What moves."""

    __slots__ = (
        "booked", "carbon", "cost", "due", "entered", "hot", "kind", "offer", "place", "sealed",
        "serial", "server", "since", "sort", "waits", "way",
    )  # fmt: skip

    def __init__(self, serial: int, kind: int, hot: bool) -> None:
        self.serial = serial
        self.kind = kind
        self.hot = hot
        self.sort = SOUND
        self.way = NONE
        """The link that it must take; NONE: any of its sort."""
        self.sealed = False
        """Whether `way` was settled when it was made, not by the node's route."""
        self.place: Place
        self.server: Server | None = None
        self.entered = -1.0
        self.due = math.inf
        self.cost = self.carbon = 0.0
        self.waits = False
        self.offer = 0
        self.since: tuple[float, int] = (0.0, NONE)
        """On a conveyor: when it came, and by which event."""
        self.booked: tuple[Way, Server | None] | None = None


class Place:
    """A node with what it holds now."""

    def __init__(self, index: int, node: Node) -> None:
        self.index = index
        self.node: Any = node
        self.room = capacity(node)
        self.held = 0
        self.reserved = 0
        self.waiting: list[Part] = []
        """Parts that want to leave: hot ones first, then in the order of their offers."""
        self.touched = False
        self.turn = 0
        self.jobs = 0
        self.integral = 0.0
        self.changed_s = 0.0
        self.servers: list[Server] = []
        self.is_open = True
        self.belt: deque[Part] = deque()
        self.carrying_s = 0.0
        self.last_in: tuple[float, int] = (-math.inf, NONE)
        self.last_out_s = -math.inf
        self.waking = False
        self.left = getattr(node, "limit", 0)
        """Of sources: parts still to come."""


class Line(Stations, Fleets):
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
            place.jobs, place.integral, place.carrying_s = 0, 0.0, 0.0
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

    # --- waiting and choosing -----------------------------------------------------------------

    def ways(self, part: Part) -> list[Way]:
        """Links that a part may take, in the model's order."""
        return [
            way
            for way in self.plan.out[part.place.index]
            if way.sort == part.sort and part.kind in way.types and part.way in (NONE, way.index)
        ]

    def offer(self, part: Part) -> None:
        """A part is ready to leave where it is: to the first that takes it, else it waits."""
        place = part.place
        part.offer = self.offers
        self.offers += 1
        part.waits = True
        at = len(place.waiting)
        if part.hot:
            at = sum(1 for other in place.waiting if other.hot)
        place.waiting.insert(at, part)
        ways = self.ways(part)
        route = getattr(place.node, "route", Route.FIRST_FREE)
        if not part.sealed and part.sort == SOUND:
            if route is Route.ROUND_ROBIN and ways:
                ways = [ways[place.turn % len(ways)]]
                place.turn += 1
                part.way = ways[0].index
            elif route is Route.SHARE and ways:
                ways = [self.drawn_way(place, ways)]
                part.way = ways[0].index
            elif route is Route.SHORTEST_QUEUE:
                held = [self.places[w.target].held + self.places[w.target].reserved for w in ways]
                order = sorted(range(len(ways)), key=held.__getitem__)
                ways = [ways[i] for i in order]
        for way in ways:
            self.take(self.places[way.target])
            if not part.waits:
                return

    def drawn_way(self, place: Place, ways: list[Way]) -> Way:
        total = 0.0
        for way in ways:
            total += way.share
        at = self.chance(self.plan.pick[place.index]) * total
        for way in ways[:-1]:
            at -= way.share
            if at < 0:
                return way
        return ways[-1]

    def may_pass(self, part: Part, way: Way) -> bool:
        """Whether a waiting part may take a link as far as itself and loops are concerned."""
        if way.sort != part.sort or part.kind not in way.types:
            return False
        if part.way not in (NONE, way.index):
            return False
        return all(
            self.loops[k] < self.model.loops[k].limit
            for k in way.loops
            if self.crossing(part, way, k) > 0
        )

    def crossing(self, part: Part, way: Way, k: int) -> int:
        """1: the part enters the loop by this link, −1: leaves it, 0: neither."""
        after = part.kind if way.becomes == NONE else way.becomes
        was = way.source in self.loop_nodes[k] and part.kind in self.loop_types[k]
        will = way.target in self.loop_nodes[k] and after in self.loop_types[k]
        return will - was

    def pick(
        self, place: Place, server: Server | None, source: int = NONE, but: tuple[Part, ...] = ()
    ) -> tuple[Part, Way] | None:
        """The part that goes next to a node, and over which link."""
        rule = place.node.rule if isinstance(place.node, Station) else Rule.FIFO
        best: tuple[bool, float, int] | None = None
        found: tuple[Part, Way] | None = None
        for way in self.plan.into[place.index]:
            if source not in (NONE, way.source):
                continue
            feeder = self.places[way.source]
            its = feeder.node.rule if isinstance(feeder.node, Buffer) else Rule.FIFO
            part = self.first(feeder, way, its if rule is Rule.FIFO else rule, server, but)
            if part is None:
                continue
            key = (not part.hot, self.urgency(rule, part, way, server), part.offer)
            if best is None or key < best:
                best, found = key, (part, way)
        return found

    def first(
        self, feeder: Place, way: Way, rule: Rule, server: Server | None, but: tuple[Part, ...]
    ) -> Part | None:
        able = (p for p in feeder.waiting if p not in but and self.may_pass(p, way))
        if rule is Rule.FIFO:
            # They wait in this order.
            return next(able, None)
        return min(
            able,
            key=lambda p: (not p.hot, self.urgency(rule, p, way, server), p.offer),
            default=None,
        )

    def urgency(self, rule: Rule, part: Part, way: Way, server: Server | None) -> float:
        """The smaller, the sooner."""
        shop = self.plan.shops[way.target]
        kind = part.kind if way.becomes == NONE else way.becomes
        match rule:
            case Rule.LIFO:
                return -float(part.offer)
            case Rule.SHORTEST:
                return shop.means[kind] if shop else 0.0
            case Rule.DUE:
                return part.due
            case Rule.LEAST_SETUP if shop and server:
                return shop.setup_means.get((server.last, kind), 0.0)
            case _:
                return 0.0

    def take(self, place: Place) -> None:
        """Lets a node take all that it has room for."""
        match place.node:
            case Station():
                self.load_servers(place)
            case Drain():
                while found := self.pick(place, None):
                    self.send(*found, None)
            case Buffer():
                while place.held + place.reserved < place.room and (
                    found := self.pick(place, None)
                ):
                    self.send(*found, None)
            case Conveyor():
                while place.held < place.room and (found := self.pick(place, None)):
                    clear_s = place.last_in[0] + place.node.spacing_s
                    if self.now < clear_s:
                        if not place.waking:
                            place.waking = True
                            self.schedule(
                                clear_s,
                                self.wake,
                                place,
                                of=(self.plan.element(place.index), place.node.spacing_s),
                                by=place.last_in[1],
                            )
                        return
                    self.send(*found, None)
            case Source():
                pass

    def wake(self, place: Place) -> None:
        """The mouth of a conveyor is clear."""
        place.waking = False
        self.touch_place(place)

    # --- moving -------------------------------------------------------------------------------

    def send(self, part: Part, way: Way, server: Server | None) -> None:
        """Over a link: at once, or by a vehicle that has to be called."""
        place = part.place
        place.waiting.remove(part)
        part.waits = False
        self.moved_s = self.now
        self.cross(part, way, 1)
        if way.fleet != NONE:
            self.book(part, way, server)
            return
        self.cross(part, way, -1)
        old = part.server
        self.enter(part, place)
        self.arrive(part, self.places[way.target], server)
        self.depart(part, place, old)

    def cross(self, part: Part, way: Way, sign: int) -> None:
        """Counts it into the loops that it enters (1), or out of those that it leaves (−1); then
        it is of the link's type."""
        for k in way.loops:
            if self.crossing(part, way, k) == sign:
                self.loops[k] += sign
                if sign < 0:
                    self.touch_loop(k)
        if sign < 0 and way.becomes != NONE:
            self.become(part, way.becomes)

    def touch_loop(self, k: int) -> None:
        for i in self.plan.entries[k]:
            self.touch_place(self.places[i])

    def become(self, part: Part, kind: int) -> None:
        part.kind = kind
        if self.types:
            part.due = part.entered + self.types[kind].due_s

    def enter(self, part: Part, place: Place) -> None:
        """A part that leaves a source is in the line."""
        if isinstance(place.node, Source):
            part.entered = self.now
            if self.types:
                part.due = self.now + self.types[part.kind].due_s
            self.change_inside(1, self.now)

    def arrive(self, part: Part, place: Place, server: Server | None) -> None:
        part.place, part.server, part.sort, part.way = place, server, SOUND, NONE
        part.sealed = False
        if isinstance(place.node, Drain):
            place.jobs += 1
            self.leave(part, place.node.is_scrap)
            return
        self.hold(place, 1, part)
        match place.node:
            case Station():
                assert server is not None
                server.parts.append(part)
            case Conveyor():
                place.last_in = part.since = (self.now, self.current)
                place.belt.append(part)
                if len(place.belt) == 1:
                    self.roll(place)
            case _:
                stay = self.plan.stay[place.index]
                if stay is None:
                    self.touch(self.offer, part)
                else:
                    time_s = self.draw(stay)
                    self.schedule(self.now + time_s, self.ripe, part, of=(stay.stream, time_s))

    def ripe(self, part: Part) -> None:
        """A part has stayed long enough, or is at the end of its conveyor."""
        self.moved_s = self.now
        self.touch(self.offer, part)

    def roll(self, place: Place) -> None:
        """The first part on a conveyor goes to its end."""
        assert isinstance(place.node, Conveyor)
        came_s, by = place.belt[0].since
        far_s, near_s = came_s + place.node.travel_s, place.last_out_s + place.node.spacing_s
        element = self.plan.element(place.index)
        if far_s >= near_s:
            self.schedule(far_s, self.ripe, place.belt[0], of=(element, place.node.travel_s), by=by)
        else:
            self.schedule(near_s, self.ripe, place.belt[0], of=(element, place.node.spacing_s))

    def depart(self, part: Part, place: Place, server: Server | None) -> None:
        self.hold(place, -1, part)
        match place.node:
            case Source() as source:
                place.jobs += 1
                if place.held == 0 and source.interarrival is None and place.left > 0:
                    self.schedule(self.now, self.feed, place)
            case Station():
                assert server is not None
                server.parts.remove(part)
                if not server.parts:
                    self.vacated(server)
            case Conveyor():
                place.jobs += 1
                place.belt.popleft()
                place.last_out_s = self.now
                if place.belt:
                    self.roll(place)
                self.touch_place(place)
            case _:
                place.jobs += 1
                self.touch_place(place)

    def leave(self, part: Part, is_scrap: bool) -> None:
        """Out of the line."""
        self.alive -= 1
        self.change_inside(-1, self.now)
        self.cost += part.cost
        self.carbon += part.carbon
        if is_scrap:
            self.scrapped += 1
        else:
            self.made[part.kind] += 1
            self.lead_s.append(self.now - part.entered)
            self.late += self.now > part.due
            self.last_made = self.current

    def feed(self, place: Place) -> None:
        """Parts come to a source."""
        source, numbers = place.node, self.plan
        self.moved_s = self.now
        assert isinstance(source, Source)
        mix = numbers.mix[place.index]
        kind = mix[-1][0]
        if len(mix) > 1:
            total = 0.0
            for _, weight in mix:
                total += weight
            at = self.chance(numbers.mix_pick[place.index]) * total
            for one, weight in mix[:-1]:
                at -= weight
                if at < 0:
                    kind = one
                    break
        for _ in range(min(source.batch, place.left)):
            place.left -= 1
            if place.left == 0:
                self.sources_open -= 1
            if source.interarrival is not None and place.held >= source.queue:
                self.lost += 1
                continue
            type_ = self.types[kind] if self.types else None
            hot = bool(
                type_ and type_.hot_share > 0
                and self.chance(numbers.hot_pick[place.index]) < type_.hot_share
            )  # fmt: skip
            part = Part(self.serials, kind, hot)
            self.serials += 1
            self.alive += 1
            part.place = place
            if type_:
                part.cost, part.carbon = type_.material_cost, type_.material_carbon_kg
                part.due = self.now + type_.due_s
            self.hold(place, 1, part)
            self.touch(self.offer, part)
            if source.interarrival is not None:
                self.settle()
        self.next_arrival(place)

    def next_arrival(self, place: Place) -> None:
        between = self.plan.arrive[place.index]
        if between is not None and place.left > 0:
            time_s = self.draw(between)
            self.schedule(self.now + time_s, self.feed, place, of=(between.stream, time_s))

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
