"""The plant itself: lots, machines, releases, failures, stops, told by processes of `loop.py`.

It knows the public design and its own hidden departures from it. It knows no protocol: what may
be seen of it is in `instruments.py`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Final

from .areas import AREAS, LAUNCH_MIN, OPEN_S, SHIFT_S, WEEK_S, Area
from .areas import BY_ID as AREA
from .design import Design
from .hidden import Hidden, OfArea, draw
from .layout import places
from .loop import Loop, Signal
from .people import People
from .products import BY_ID as FAMILY
from .products import FAMILIES
from .vehicles import Vehicles

STARVED, BUSY, BLOCKED, SETUP, DOWN, CARE, WAITING, OFF = range(8)
STATES: Final = ("Starved", "Busy", "Blocked", "Setup", "Down", "Care", "Waiting", "Off")


@dataclass(slots=True, eq=False)
class Lot:
    """A magazine of boards on its way."""

    number: int
    family: str
    born_s: float
    step: int = 0
    ready_s: float = 0.0


@dataclass(slots=True, eq=False)
class Machine:
    """A machine or cell, and what its controller counts."""

    name: str
    area: str
    x_m: float
    z_m: float
    watts: tuple[float, ...]
    state: int = STARVED
    since_s: float = 0.0
    spent_s: list[float] = field(default_factory=lambda: [0.0] * len(STATES))
    lots: int = 0
    setups: int = 0
    failures: int = 0
    family: str = ""
    since_care: int = 0
    until_failure_s: float = 0.0

    def set(self, state: int, now: float) -> None:
        """Enters a state."""
        self.spent_s[self.state] += now - self.since_s
        self.state, self.since_s = state, now

    def times_s(self, now: float) -> list[float]:
        """Seconds in each state, up to now."""
        out = list(self.spent_s)
        out[self.state] += now - self.since_s
        return out


@dataclass(slots=True, eq=False)
class Place:
    """An area at work: its machines and what waits before them."""

    area: Area
    hidden: OfArea
    room: int
    machines: list[Machine]
    waiting: deque[Lot] = field(default_factory=deque)
    coming: int = 0
    """Lots on their way that have their place already."""
    lots_come: Signal = field(default_factory=Signal)
    room_made: Signal = field(default_factory=Signal)
    halts: deque[tuple[float, float]] = field(default_factory=deque)


@dataclass(slots=True)
class Count:
    """What the order desk counts of one family."""

    released: int = 0
    done: int = 0
    scrapped: int = 0
    lead_s: float = 0.0
    """Lead times of all that were done, added up."""


class Shopfloor:
    """A works from Monday 06:00 on, empty at first. The same seed gives the same plant."""

    def __init__(self, design: Design, seed: int) -> None:
        self.design, self.loop = design, Loop()
        self._hidden: Hidden = draw(seed)
        self._rng = random.Random(f"chance {seed}")
        self.people = People(self.loop, design.crew, self._hidden, self._rng)
        self.vehicles = Vehicles(self.loop, self._hidden, design.vehicles)
        self.counts = {family.id: Count() for family in FAMILIES}
        self.in_works = 0
        self._left = Signal()
        self._learnt: dict[tuple[str, str], int] = {}
        machines, room = dict(design.machines), dict(design.room)
        self.places: dict[str, Place] = {}
        for area in AREAS:
            self.places[area.id] = Place(
                area, self._hidden.areas[area.id], room[area.id],
                [
                    Machine(f"{area.id}-{i + 1:02d}", area.id, x, z, _watts(area))
                    for i, (x, z) in enumerate(places(area.id, machines[area.id]))
                ],
            )  # fmt: skip
        self.loop.start(self._halts())
        self.loop.run(0.0)
        for place in self.places.values():
            for machine in place.machines:
                machine.until_failure_s = self._between(place)
                self.loop.start(self._work(place, machine))
        self.loop.start(self._release())
        self.loop.start(self._closings())

    @property
    def now_s(self) -> float:
        """Plant time since the first Monday, 06:00."""
        return self.loop.now

    def advance(self, until_s: float) -> None:
        """Lets the plant live until then."""
        self.loop.run(until_s)

    def energy_j(self, machine: Machine) -> float:
        """What a machine has drawn, as its meter says."""
        factor = self._hidden.areas[machine.area].power
        return factor * sum(
            w * s for w, s in zip(machine.watts, machine.times_s(self.loop.now), strict=True)
        )

    # --- orders ---

    def _release(self) -> Generator[Any, Any, None]:
        """Campaigns in the order of their families' debts, a lot a minute at most, while the
        works is open and holds fewer lots than its limit."""
        debt = {family.id: self._rng.random() for family in FAMILIES}
        first, number = self.places["kitting"], 0
        while True:
            for family in FAMILIES:
                debt[family.id] += family.share
            chosen = max(debt, key=lambda f: debt[f])
            debt[chosen] -= 1.0
            for _ in range(self.design.campaign):
                while True:
                    if self.loop.now % WEEK_S >= OPEN_S:
                        yield WEEK_S - self.loop.now % WEEK_S
                    elif self.in_works >= self.design.limit:
                        yield self._left
                    elif not self._has_room(first):
                        yield first.room_made
                    else:
                        break
                number += 1
                self.in_works += 1
                self.counts[chosen].released += 1
                first.coming += 1
                self._arrive(Lot(number, chosen, self.loop.now), first)
                yield LAUNCH_MIN * 60.0

    def _leave(self, lot: Lot, *, is_scrap: bool) -> None:
        count = self.counts[lot.family]
        if is_scrap:
            count.scrapped += 1
        else:
            count.done += 1
            count.lead_s += self.loop.now - lot.born_s
        self.in_works -= 1
        self.loop.wake_first(self._left)

    # --- moving ---

    def _has_room(self, place: Place) -> bool:
        return len(place.waiting) + place.coming < place.room

    def _arrive(self, lot: Lot, place: Place) -> None:
        place.coming -= 1
        lot.ready_s = self.loop.now
        place.waiting.append(lot)
        self.loop.wake_first(place.lots_come)

    def _hand_over(self, machine: Machine, lot: Lot, target: str) -> Generator[Any, Any, None]:
        """Waits for room in the next area; then a vehicle is asked for and the machine is free.
        What is to be repaired is put on a shelf, so that a test never waits for its own repair."""
        there = self.places[target]
        while target != _repair(machine.area) and not self._has_room(there):
            machine.set(BLOCKED, self.loop.now)
            yield there.room_made
        there.coming += 1
        self.vehicles.carry(machine.area, target, lambda: self._arrive(lot, there))

    # --- machines ---

    def _work(self, place: Place, machine: Machine) -> Generator[Any, Any, None]:
        loop, area, rng = self.loop, place.area, self._rng
        while True:
            lots = yield from self._fetch(place, machine)
            lot = lots[0]
            if area.care_lots and machine.since_care >= area.care_lots:
                machine.set(WAITING, loop.now)
                person = yield from self.people.take(area.setup_skill, machine.x_m, machine.z_m)
                machine.set(CARE, loop.now)
                began = loop.now
                yield from self._last(place, machine, 60.0 * area.care_min * place.hidden.care)
                self.people.give_back(person, loop.now - began)
                machine.since_care = 0
            if area.setup_min and machine.family != lot.family:
                if machine.family:
                    machine.set(WAITING, loop.now)
                    person = yield from self.people.take(area.setup_skill, machine.x_m, machine.z_m)
                    machine.set(SETUP, loop.now)
                    began = loop.now
                    long = 60.0 * area.setup_min * place.hidden.setup * self.people.tiredness()
                    yield from self._last(place, machine, long * rng.lognormvariate(0.0, 0.15))
                    self.people.give_back(person, loop.now - began)
                    machine.setups += 1
                machine.family = lot.family
            person = None
            if area.skill:
                machine.set(WAITING, loop.now)
                person = yield from self.people.take(area.skill, machine.x_m, machine.z_m)
            began = loop.now
            yield from self._process(place, machine, lot)
            if person is not None:
                self.people.give_back(person, loop.now - began)
            machine.lots += len(lots)
            machine.since_care += 1
            for one in lots:
                yield from self._go_on(place, machine, one)

    def _fetch(self, place: Place, machine: Machine) -> Generator[Any, Any, list[Lot]]:
        """Waits for work: the next lot by the rule, or enough lots for an oven."""
        loop, area = self.loop, place.area
        while True:
            halt = self._halt(place)
            if halt is not None and halt[0] <= loop.now:
                machine.set(OFF, loop.now)
                yield halt[1] - loop.now
                continue
            waiting = place.waiting
            if len(waiting) >= area.batch:
                break
            if machine.state != STARVED:
                machine.set(STARVED, loop.now)
            if area.batch > 1 and waiting:
                patience = self._hidden.patience_s - (loop.now - waiting[0].ready_s)
                if patience <= 0.0:
                    break
                yield min(patience, 300.0) + 1.0
            else:
                yield place.lots_come
        taken: list[Lot] = []
        if area.batch > 1:
            taken = [waiting.popleft() for _ in range(min(area.batch, len(waiting)))]
        else:
            taken = [self._next(waiting, machine.family)]
        for _ in taken:
            loop.wake_first(place.room_made)
        if len(waiting) >= area.batch:
            loop.wake_first(place.lots_come)
        return taken

    def _next(self, waiting: deque[Lot], family: str) -> Lot:
        if self.design.rule == "least_setup":
            for i, lot in enumerate(waiting):
                if lot.family == family:
                    del waiting[i]
                    return lot
        return waiting.popleft()

    def _process(self, place: Place, machine: Machine, lot: Lot) -> Generator[Any, Any, None]:
        area, hidden, rng = place.area, place.hidden, self._rng
        minutes = area.minutes or FAMILY[lot.family].minutes_at(area.id)
        left = 60.0 * minutes * hidden.pace
        left *= rng.lognormvariate(-0.5 * hidden.spread**2, hidden.spread)
        if area.skill:
            left *= self.people.tiredness() * self._learning(lot.family, area.id)
        if area.care_lots:
            left *= 1.0 + hidden.wear * machine.since_care / area.care_lots
        if area.id == "kitting" and rng.random() < self._hidden.missing_kit:
            left += self._hidden.missing_s * rng.expovariate(1.0)
        if hidden.microstops_per_h:
            for _ in range(_poisson(rng, hidden.microstops_per_h * left / 3600.0)):
                left += rng.expovariate(1.0 / hidden.microstop_s)
        machine.set(BUSY, self.loop.now)
        while left > 1e-9:
            run = min(left, machine.until_failure_s)
            done = yield from self._until_halt(place, machine, run, BUSY)
            left -= done
            machine.until_failure_s -= done
            if machine.until_failure_s <= 1e-9:
                yield from self._fail(place, machine)
                machine.set(BUSY, self.loop.now)

    def _fail(self, place: Place, machine: Machine) -> Generator[Any, Any, None]:
        machine.set(DOWN, self.loop.now)
        machine.failures += 1
        person = yield from self.people.take("technician", machine.x_m, machine.z_m)
        began = self.loop.now
        mean = 60.0 * place.area.mttr_min * place.hidden.repair
        yield from self._last(place, machine, mean * self._rng.gammavariate(2.0, 0.5))
        self.people.give_back(person, self.loop.now - began)
        machine.until_failure_s = self._between(place)

    def _go_on(self, place: Place, machine: Machine, lot: Lot) -> Generator[Any, Any, None]:
        """Where a finished lot goes: repair, back to its test, the next area, or out."""
        area, hidden, rng = place.area, place.hidden, self._rng
        if area.scrap and rng.random() < area.scrap * hidden.scrap:
            self._leave(lot, is_scrap=True)
            return
        if area.rework and rng.random() < area.rework * hidden.rework:
            yield from self._hand_over(machine, lot, area.repair)
            return
        route = FAMILY[lot.family].route
        if area.id in route:
            lot.step = route.index(area.id) + 1
            if lot.step == len(route):
                self._leave(lot, is_scrap=False)
                return
        # From repair it goes back to the test that it failed, which it has not passed yet.
        yield from self._hand_over(machine, lot, route[lot.step])

    def _learning(self, family: str, area: str) -> float:
        excess, lots = self._hidden.learning.get((family, area), (0.0, 1.0))
        done = self._learnt[family, area] = self._learnt.get((family, area), -1) + 1
        return 1.0 + excess * (1.0 + done / lots) ** -0.4

    def _between(self, place: Place) -> float:
        """Operating seconds to the next failure."""
        if not place.area.mtbf_h:
            return float("inf")
        mean = 3600.0 * place.area.mtbf_h * place.hidden.between
        # Γ(1 + 1/k) lies within 0.89 to 1.05 for these shapes: close enough to the mean.
        return self._rng.weibullvariate(mean * 1.05, place.hidden.shape)

    # --- stops ---

    def _last(self, place: Place, machine: Machine, seconds: float) -> Generator[Any, Any, None]:
        """Something that goes on, stops left out, in the state that the machine is in."""
        state = machine.state
        while seconds > 1e-9:
            seconds -= yield from self._until_halt(place, machine, seconds, state)

    def _until_halt(
        self, place: Place, machine: Machine, seconds: float, state: int
    ) -> Generator[Any, Any, float]:
        """Goes on until done or halted; how long it went on. A halt is waited out."""
        loop = self.loop
        halt = self._halt(place)
        if halt is None or halt[0] >= loop.now + seconds:
            yield seconds
            return seconds
        done = max(0.0, halt[0] - loop.now)
        if done > 0.0:
            yield done
        is_closing = halt[1] - halt[0] > SHIFT_S
        machine.set(OFF if is_closing or place.area.skill else DOWN, loop.now)
        yield halt[1] - loop.now
        machine.set(state, loop.now)
        return done

    def _closings(self) -> Generator[Any, Any, None]:
        """Who waits for work, room or people when the works closes is closed too."""
        while True:
            yield OPEN_S - self.loop.now % WEEK_S
            shut = [
                (machine, machine.state)
                for place in self.places.values()
                if not place.area.is_always_open
                for machine in place.machines
                if machine.state in (STARVED, BLOCKED, WAITING)
            ]
            for machine, _ in shut:
                machine.set(OFF, self.loop.now)
            yield WEEK_S - self.loop.now % WEEK_S
            for machine, state in shut:
                if machine.state == OFF:
                    machine.set(state, self.loop.now)

    def _halt(self, place: Place) -> tuple[float, float] | None:
        """The next stop of an area, or the one that it is in."""
        halts = place.halts
        while halts and halts[0][1] <= self.loop.now:
            halts.popleft()
        return halts[0] if halts else None

    def _halts(self) -> Generator[Any, Any, None]:
        """Draws the stops of each week, a week ahead."""
        week, hidden, rng = 0, self._hidden, self._rng
        while True:
            start = week * WEEK_S
            air = _stops(rng, start, hidden.air_stops_per_h, hidden.air_stop_s)
            dips = _stops(rng, start, hidden.dips_per_h, hidden.dip_s)
            for place in self.places.values():
                stops = [] if place.area.is_always_open else [(start + OPEN_S, start + WEEK_S)]
                if place.area.skill:
                    changes = (start + i * SHIFT_S for i in range(int(OPEN_S / SHIFT_S)))
                    stops += [(at, at + hidden.handover_s) for at in changes]
                else:
                    stops += dips
                if place.area.id in ("smt", "coating", "ict"):
                    stops += air
                place.halts.extend(_joined(stops))
            week += 1
            if week > 1:
                yield (week - 1) * WEEK_S - self.loop.now


def _repair(area: str) -> str:
    """Where an area's lots are repaired; "": nowhere."""
    return AREA[area].repair


def _watts(area: Area) -> tuple[float, ...]:
    idle = area.idle_w
    return (idle, area.busy_w, idle, area.setup_w, area.down_w, area.down_w, idle, area.off_w)


def _stops(
    rng: random.Random, start: float, per_h: float, mean_s: float
) -> list[tuple[float, float]]:
    at, out = start, []
    while True:
        at += rng.expovariate(per_h / 3600.0)
        if at >= start + OPEN_S:
            return out
        out.append((at, at + mean_s * rng.gammavariate(3.0, 1.0 / 3.0)))


def _joined(stops: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Stops in order, those that touch made one."""
    out: list[tuple[float, float]] = []
    for start, end in sorted(stops):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def _poisson(rng: random.Random, mean: float) -> int:
    """Knuth's product of uniforms; means here are below ten."""
    limit, product, n = 2.718281828459045**-mean, rng.random(), 0
    while product > limit:
        product *= rng.random()
        n += 1
    return n
