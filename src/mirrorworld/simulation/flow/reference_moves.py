"""How parts wait, are chosen and move in the plain event loop, and the nodes that do not work.

A part that is ready to leave is offered; a node with room takes. What both touch is settled by
the loop in `reference.py`.
"""

# Mixed into reference.Line, whose state it uses.
# pyright: basic

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

from mirrorworld.simulation.flow.model import (
    Buffer,
    Conveyor,
    Drain,
    Node,
    Route,
    Rule,
    Source,
    Station,
)
from mirrorworld.simulation.flow.plan import NONE, SOUND, Way, capacity

if TYPE_CHECKING:
    from mirrorworld.simulation.flow.reference_stations import Server


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
        self.jobs = self.scrapped = 0
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


class Moves:
    """What reference.Line knows of parts and places."""

    def __getattr__(self, name: str) -> Any: ...

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
        self.moved[way.index] += 1
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
            self.leave(part, place, place.node.is_scrap)
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

    def leave(self, part: Part, place: Place, is_scrap: bool) -> None:
        """Out of the line, at a drain or as scrap of a station."""
        self.alive -= 1
        self.change_inside(-1, self.now)
        self.cost += part.cost
        self.carbon += part.carbon
        if is_scrap:
            self.scrapped += 1
            place.scrapped += 1
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
