"""Stations of the plain event loop: jobs, set-ups, breakdowns, maintenance, shifts, people.

A server has a phase (what its job needs next) and, apart from it, trouble (a breakdown or
maintenance); it works while it has a job in set-up or process, no trouble, and its station's
calendar is open. Work that is interrupted goes on later with what was left of it.
"""

# Mixed into reference.Line, whose state it uses.
# pyright: basic

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mirrorworld.simulation.flow.model import Pool
from mirrorworld.simulation.flow.plan import NONE, REWORK, SCRAP, SOUND, Draws, Shop
from mirrorworld.simulation.flow.results import Doing

if TYPE_CHECKING:
    from mirrorworld.simulation.flow.reference_moves import Part, Place


class Phase(enum.IntEnum):
    """What the job on a server needs next."""

    EMPTY = 0
    RESERVED = 1
    """A vehicle brings its part."""
    WAITING = 2
    """Its parts are there; people or tools are not, or the server is not up."""
    SETUP = 3
    BUSY = 4
    BLOCKED = 5


class Trouble(enum.IntEnum):
    """Why a server does not work."""

    NONE = 0
    DOWN = 1
    MAINTENANCE = 2


class Held(enum.IntEnum):
    """What a server has people and tools for."""

    JOB = 0
    SETUP = 1
    REPAIR = 2


class Pooled:
    """A pool's members, by groups of the same skills."""

    def __init__(self, index: int, pool: Pool) -> None:
        self.index, self.pool = index, pool
        self.free = [count for count, _ in pool.members]
        self.is_open = True
        self.busy = 0
        self.integral = 0.0
        self.changed_s = 0.0

    def change(self, change: int, time_s: float) -> None:
        """So many more are at work."""
        self.integral += self.busy * (time_s - self.changed_s)
        self.changed_s = time_s
        self.busy += change


class Server:
    """One machine or work place of a station."""

    def __init__(self, place: Place, shop: Shop, number: int) -> None:
        self.place, self.shop = place, shop
        self.row, self.number = place.index, number
        self.phase = Phase.EMPTY
        self.trouble = Trouble.NONE
        self.parts: list[Part] = []
        self.last = NONE
        """Part type that it is set up for."""
        self.setup: Draws | None = None
        self.total_s = self.left_s = 0.0
        """Of the set-up or process: in all, and what is left."""
        self.took: tuple[int, float] = (NONE, 0.0)
        self.work = NONE
        """Number of the event that ends its stretch of work; NONE: it does not work."""
        self.stretch_s = 0.0
        self.began_s = 0.0
        self.age_s = [math.inf] * len(shop.failures)
        """Operating time to the next failure; inf: on calendar time."""
        self.is_due = [False] * len(shop.failures)
        self.mode = NONE
        """Of the breakdown or the maintenance that it is in."""
        self.is_planned = [False] * len(shop.upkeep)
        self.planned = [NONE] * len(shop.upkeep)
        self.jobs_since = [0] * len(shop.upkeep)
        self.held: list[list[tuple[int, int, int]]] = [[], [], []]
        self.doing = Doing.STARVED
        self.since_s = 0.0
        self.doing_s = [0.0] * len(Doing)

    @property
    def is_up(self) -> bool:
        return self.trouble is Trouble.NONE and self.place.is_open

    @property
    def is_free(self) -> bool:
        return self.phase is Phase.EMPTY and self.is_up


@dataclass(slots=True, eq=False)
class Request:
    """A server asks for people or tools: for a job (with its set-up), or for a repair or
    maintenance."""

    server: Server
    held: Held
    hot: bool = False
    needs: list[tuple[Held, int, int, str]] = field(default_factory=list)


_DOING = {
    Phase.EMPTY: Doing.STARVED,
    Phase.RESERVED: Doing.STARVED,
    Phase.WAITING: Doing.WAITING,
    Phase.SETUP: Doing.SETUP,
    Phase.BUSY: Doing.BUSY,
    Phase.BLOCKED: Doing.BLOCKED,
}


class Stations:
    """What reference.Line knows of stations."""

    def __getattr__(self, name: str) -> Any: ...

    def set_up_stations(self) -> None:
        self.servers: list[Server] = []
        self.requests: list[Request] = []
        self.is_serving = False
        for place, shop in zip(self.places, self.plan.shops, strict=True):
            if shop is not None:
                place.servers = [Server(place, shop, n) for n in range(place.node.servers)]
                self.servers += place.servers

    def begin_station(self, place: Place) -> None:
        for server in place.servers:
            for mode in range(len(server.shop.failures)):
                self.restart_clock(server, mode)
            for k, work in enumerate(server.shop.upkeep):
                if work.every_s > 0:
                    server.planned[k] = self.schedule(
                        work.every_s, self.fall_due, server, k, is_background=True
                    )
            if not place.is_open:
                server.doing = Doing.OFF
            self.record(server.row, server.number, server.doing, NONE, 0)

    def restate(self, server: Server) -> None:
        """What it does, from phase and trouble."""
        if server.trouble is Trouble.DOWN:
            doing = Doing.DOWN
        elif server.trouble is Trouble.MAINTENANCE:
            doing = Doing.MAINTENANCE
        elif not server.place.is_open:
            doing = Doing.OFF
        else:
            doing = _DOING[server.phase]
        part = server.parts[0].serial if server.parts else NONE
        self.show(server, doing, part, server.place.held)

    # --- jobs ---------------------------------------------------------------------------------

    def load_servers(self, place: Place) -> None:
        """Gives jobs to free servers, the first of them first."""
        for server in place.servers:
            if server.is_free and not self.load(place, server):
                return

    def load(self, place: Place, server: Server) -> bool:
        """Gives it a job, if there is one."""
        chosen = self.choose(place, server)
        for part, way in chosen:
            self.send(part, way, server)
        if chosen and server.phase is Phase.EMPTY:
            self.start(server)
        return bool(chosen)

    def choose(self, place: Place, server: Server) -> list[Any]:
        """Parts of a job, with their links."""
        shop = server.shop
        if not shop.takes:
            found = self.pick(place, server)
            return [found] if found else []
        chosen: list[Any] = []
        least = place.node.least_batch if place.node.is_batch else 0
        for source, count in shop.takes:
            got = 0
            while got < count:
                found = self.pick(place, server, source, tuple(part for part, _ in chosen))
                if not found:
                    break
                chosen.append(found)
                got += 1
            if got < count and not 0 < least <= got:
                return []
        return chosen

    def start(self, server: Server) -> None:
        """Its parts are there: ask for people and tools, or begin."""
        shop, part = server.shop, server.parts[0]
        server.phase = Phase.WAITING
        server.setup = shop.setup.get((server.last, part.kind))
        needs = [(Held.JOB, *need) for need in shop.needs]
        if server.setup is not None:
            needs += [(Held.SETUP, *need) for need in shop.setup_needs]
        if not needs and server.is_up:
            self.begin(server)
            return
        self.ask(Request(server, Held.JOB, part.hot, needs))
        self.restate(server)

    def begin(self, server: Server) -> None:
        """Set-up, if the type changes; then the process."""
        self.moved_s = self.now
        if server.setup is None:
            self.process(server)
            return
        server.phase = Phase.SETUP
        self.work(server, server.setup)

    def process(self, server: Server) -> None:
        kind = server.parts[0].kind
        server.phase = Phase.BUSY
        server.last = kind
        self.work(server, server.shop.process[kind])

    def work(self, server: Server, how: Draws) -> None:
        server.left_s = self.draw(how)
        server.took = (how.stream, server.left_s)
        self.go_on(server)

    def go_on(self, server: Server) -> None:
        """Works until the job's end or a failure on operating time, whichever comes first; the
        end, if both come at once."""
        server.began_s = self.now
        server.stretch_s = server.left_s
        mode = NONE
        if server.phase is Phase.BUSY:
            for i, age_s in enumerate(server.age_s):
                if age_s < server.stretch_s:
                    server.stretch_s, mode = age_s, i
        if mode == NONE:
            server.work = self.schedule(
                self.now + server.stretch_s, self.work_ends, server, of=server.took
            )
        else:
            server.work = self.schedule(self.now + server.stretch_s, self.wears_out, server, mode)
        self.restate(server)

    def break_off(self, server: Server) -> None:
        """Interrupts a stretch of work."""
        self.cancel(server.work)
        self.spend(server, self.now - server.began_s)

    def spend(self, server: Server, time_s: float) -> None:
        """So much of its work is done."""
        server.work = NONE
        server.left_s -= time_s
        if server.phase is Phase.BUSY:
            server.age_s = [age_s - time_s for age_s in server.age_s]

    def work_ends(self, server: Server) -> None:
        self.spend(server, server.stretch_s)
        if server.phase is Phase.SETUP:
            self.give_back(server, Held.SETUP)
            self.process(server)
        else:
            self.finish(server)

    def finish(self, server: Server) -> None:
        """A job is done: which parts it leaves, and where each may go."""
        place, shop = server.place, server.shop
        self.moved_s = self.now
        place.jobs += 1
        for k in range(len(shop.upkeep)):
            server.jobs_since[k] += 1
        if shop.takes and not place.node.is_batch:
            whole = server.parts[0]
            for part in server.parts[1:]:
                whole.cost += part.cost
                whole.carbon += part.carbon
                self.end(part, place)
            server.parts = [whole]
        for part in list(server.parts):
            part.sort = self.outcome(place)
            if part.sort == SCRAP and not self.ways(part):
                server.parts.remove(part)
                self.uncount(part, place)
                self.leave(part, place, is_scrap=True)
            elif part.sort == SOUND and shop.gives:
                self.take_apart(server, part)
        server.phase = Phase.BLOCKED
        for part in server.parts:
            self.touch(self.offer, part)
        self.give_back(server, Held.JOB)
        if server.parts:
            self.restate(server)
        else:
            self.vacated(server)

    def outcome(self, place: Place) -> int:
        node, i = place.node, place.index
        if node.scrap > 0 and self.chance(self.plan.scrap_pick[i]) < node.scrap:
            return SCRAP
        if node.rework > 0 and self.chance(self.plan.rework_pick[i]) < node.rework:
            return REWORK
        return SOUND

    def take_apart(self, server: Server, whole: Part) -> None:
        """One job becomes what the station gives; what it carried of material is shared."""
        place = server.place
        count = sum(n for _, n, _ in server.shop.gives)
        server.parts = []
        self.end(whole, place)
        for link, n, kind in server.shop.gives:
            for _ in range(n):
                part = type(whole)(self.serials, whole.kind if kind == NONE else kind, whole.hot)
                self.serials += 1
                part.way, part.sealed = link, True
                part.place, part.server = place, server
                part.entered, part.due = whole.entered, whole.due
                part.cost, part.carbon = whole.cost / count, whole.carbon / count
                if kind != NONE:
                    self.become(part, kind)
                self.alive += 1
                self.change_inside(1, self.now)
                for k, nodes in enumerate(self.loop_nodes):
                    if place.index in nodes and part.kind in self.loop_types[k]:
                        self.loops[k] += 1
                server.parts.append(part)
                self.hold(place, 1, part)

    def end(self, part: Part, place: Place) -> None:
        """A part that is now part of another, or taken apart."""
        self.uncount(part, place)
        self.alive -= 1
        self.change_inside(-1, self.now)

    def uncount(self, part: Part, place: Place) -> None:
        """It is no longer at the station, nor in its loops."""
        self.hold(place, -1, part)
        for k, nodes in enumerate(self.loop_nodes):
            if place.index in nodes and part.kind in self.loop_types[k]:
                self.loops[k] -= 1
                self.touch_loop(k)

    def vacated(self, server: Server) -> None:
        """Its last part is gone."""
        server.phase = Phase.EMPTY
        if server.trouble is Trouble.NONE and self.maintain(server):
            return
        self.restate(server)
        if server.is_free:
            self.touch_place(server.place)

    # --- trouble ------------------------------------------------------------------------------

    def restart_clock(self, server: Server, mode: int) -> None:
        failure = server.shop.failures[mode]
        time_s = self.draw(failure.between)
        if failure.is_calendar:
            self.schedule(
                self.now + time_s,
                self.breaks,
                server,
                mode,
                is_background=True,
                of=(failure.between.stream, time_s),
            )
        else:
            server.age_s[mode] = time_s

    def wears_out(self, server: Server, mode: int) -> None:
        """Fails at work."""
        self.spend(server, server.stretch_s)
        self.fail(server, mode)

    def breaks(self, server: Server, mode: int) -> None:
        """Fails on calendar time; in other trouble that has to end first."""
        if server.trouble is not Trouble.NONE:
            server.is_due[mode] = True
            return
        if server.work != NONE:
            self.break_off(server)
        self.fail(server, mode)

    def fail(self, server: Server, mode: int) -> None:
        server.trouble, server.mode, server.is_due[mode] = Trouble.DOWN, mode, False
        needs = server.shop.failures[mode].needs
        if needs:
            self.ask(Request(server, Held.REPAIR, False, [(Held.REPAIR, *n) for n in needs]))
        else:
            self.mend(server)
        self.restate(server)

    def mend(self, server: Server) -> None:
        """Repair or maintenance begins."""
        if server.trouble is Trouble.DOWN:
            how, then = server.shop.failures[server.mode].repair, self.mended
        else:
            how, then = server.shop.upkeep[server.mode].duration, self.maintained
        time_s = self.draw(how)
        self.schedule(self.now + time_s, then, server, of=(how.stream, time_s))

    def mended(self, server: Server) -> None:
        self.give_back(server, Held.REPAIR)
        self.restart_clock(server, server.mode)
        self.comes_up(server)

    def fall_due(self, server: Server, k: int) -> None:
        """Maintenance by time: at once if no part is there, else after it."""
        server.planned[k] = NONE
        server.is_planned[k] = True
        if server.phase is Phase.EMPTY and server.trouble is Trouble.NONE:
            self.maintain(server)

    def maintain(self, server: Server) -> bool:
        """Begins the first maintenance that is due, on a server that is empty and in no
        trouble."""
        for k, work in enumerate(server.shop.upkeep):
            if server.is_planned[k] or 0 < work.every_parts <= server.jobs_since[k]:
                server.trouble, server.mode = Trouble.MAINTENANCE, k
                if work.needs:
                    needs = [(Held.REPAIR, *need) for need in work.needs]
                    self.ask(Request(server, Held.REPAIR, False, needs))
                else:
                    self.mend(server)
                self.restate(server)
                return True
        return False

    def maintained(self, server: Server) -> None:
        k = server.mode
        work = server.shop.upkeep[k]
        self.give_back(server, Held.REPAIR)
        server.is_planned[k] = False
        server.jobs_since[k] = 0
        if work.every_s > 0:
            if server.planned[k] != NONE:
                self.cancelled.add(server.planned[k])
            server.planned[k] = self.schedule(
                self.now + work.every_s, self.fall_due, server, k, is_background=True
            )
        self.comes_up(server)

    def comes_up(self, server: Server) -> None:
        """Trouble is over: the next, or on with the job."""
        server.trouble, server.mode = Trouble.NONE, NONE
        for mode, is_due in enumerate(server.is_due):
            if is_due:
                self.fail(server, mode)
                return
        if server.phase is Phase.EMPTY and self.maintain(server):
            return
        self.resume(server)

    def resume(self, server: Server) -> None:
        """Goes on where it stopped, if it is up."""
        self.restate(server)
        if not server.is_up:
            return
        if server.phase is Phase.EMPTY:
            self.touch_place(server.place)
        elif server.phase is Phase.WAITING:
            self.touch_requests()
        elif server.phase in (Phase.SETUP, Phase.BUSY):
            self.go_on(server)

    def change_station(self, place: Place, is_open: bool) -> None:
        """Its calendar opens or closes."""
        place.is_open = is_open
        for server in place.servers:
            if not is_open and server.work != NONE:
                self.break_off(server)
            self.resume(server)

    # --- people and tools ---------------------------------------------------------------------

    def ask(self, request: Request) -> None:
        """Hot ones go before others, then the order of asking counts."""
        at = len(self.requests)
        if request.hot:
            at = sum(1 for other in self.requests if other.hot)
        self.requests.insert(at, request)
        self.touch_requests()

    def touch_requests(self) -> None:
        if not self.is_serving:
            self.is_serving = True
            self.touch(self.serve)

    def serve(self, _: Any) -> None:
        """Grants every request that can be granted in full, in order."""
        self.is_serving = False
        for request in list(self.requests):
            server = request.server
            if request.held is Held.JOB and not server.is_up:
                continue
            if not self.grant(request):
                continue
            self.requests.remove(request)
            if request.held is Held.JOB:
                self.begin(server)
            else:
                self.mend(server)

    def grant(self, request: Request) -> bool:
        """All that it needs, or nothing; members from the first groups that have the skill."""
        taken: list[tuple[Held, int, int, int]] = []
        for held, i, count, skill in request.needs:
            pool = self.pools[i]
            missing = count
            for group, (_, skills) in enumerate(pool.pool.members):
                if pool.is_open and (not skill or skill in skills):
                    n = min(missing, pool.free[group])
                    pool.free[group] -= n
                    missing -= n
                    taken.append((held, i, group, n))
            if missing > 0:
                for _, pool_, group, n in taken:
                    self.pools[pool_].free[group] += n
                return False
        for held, i, group, n in taken:
            self.pools[i].change(n, self.now)
            request.server.held[held].append((i, group, n))
        return True

    def give_back(self, server: Server, held: Held) -> None:
        if not server.held[held]:
            return
        for i, group, n in server.held[held]:
            self.pools[i].free[group] += n
            self.pools[i].change(-n, self.now)
        server.held[held] = []
        self.touch_requests()

    def who_requests(self) -> list[tuple[str, str]]:
        """Who waits for which pool, and whom its members are with."""
        found: list[tuple[str, str]] = []
        for request in self.requests:
            for _, i, _, _ in request.needs:
                found.append((request.server.place.node.name, self.pools[i].pool.name))
        for server in self.servers:
            for held in server.held:
                for i, _, n in held:
                    if n:
                        found.append((self.pools[i].pool.name, server.place.node.name))
        return found
