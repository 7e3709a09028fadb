"""How a line lies in memory for the compiled kernel.

Everything but parts and pending events is a block of words in two arrays of equal length: `I`
holds whole numbers, `F` floats. A block is named by its address; its fields are `I[a + FIELD]` and
`F[a + FIELD]`. Lists are runs of words whose address and length a block knows. Behind what does
not change in number come the parts, and behind them what has no address: touches, pending
events, lead times, trace and log. These grow, and move, between two events.

Names of fields begin with a letter for the kind of block: N node, W way (link), S server, D
failure, U upkeep, R request, P part, G pool, L loop, C calendar, F fleet, V vehicle, Z zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow.distributions import pack
from mirrorworld.simulation.flow.model import (
    UNBOUNDED,
    Buffer,
    Conveyor,
    Drain,
    Node,
    Route,
    Rule,
    Source,
    Station,
)
from mirrorworld.simulation.flow.plan import NONE, Draws, Plan, Way, capacity, edges
from mirrorworld.simulation.flow.plan import REWORK as REWORK
from mirrorworld.simulation.flow.plan import SCRAP as SCRAP
from mirrorworld.simulation.flow.plan import SOUND as SOUND
from mirrorworld.simulation.flow.results import Doing
from mirrorworld.simulation.flow.streams import compiled, njit

# --- words at fixed addresses -------------------------------------------------------------------

(
    SEQUENCE, CURRENT, PENDING, STOP, STOP_STREAM, OFFERS, SERIALS, EVENTS, ALIVE, INSIDE, IS_WARM,
    OPEN_SOURCES, HEAP_N, MAX_EVENTS, NODES, NODE0, SERVERS, SERVER0, POOLS, POOL0, LOOPS, LOOP0,
    TYPES, TRACE_CAP, TRACE_N, IS_CUT, LEAD_N, LAST_MADE, SCRAPPED, LOST, LATE, REQUEST_HEAD,
    REQUEST_TAIL, REQUEST_HOT, FREE, IS_SERVING, TOUCH_HEAD, TOUCH_N, LOGS, MADE0, VEHICLES,
    VEHICLE0, FLEETS, FLEET0, CALENDARS, CALENDAR0, SCRATCH0, MOST_STEPS, BURST, FIXED, PRICES0,
    ROW0, STREAM0, ELEMENT0, GROUPS, HAS_TYPES,
    PARTS, RING0, RING_MASK, TIMES0, WORDS0, HEAP_CAP, LEAD0, LEAD_CAP, TRACE0, TRACE_S0, LOG0,
    LOG_S0, LOG_CAP, WAYS, WAY0, BEGUN,
) = range(72)  # fmt: skip
(
    NOW,
    HORIZON,
    WARM_UP,
    MOVED,
    INSIDE_INTEGRAL,
    INSIDE_CHANGED,
    COST,
    CARBON,
    PATIENCE,
    STOP_VALUE,
) = range(10)
HEADER: Final = 72

# --- blocks ------------------------------------------------------------------------------------

(
    N_KIND, N_INDEX, N_ROOM, N_HELD, N_RESERVED, N_HEAD, N_TAIL, N_HOT, N_TOUCHED, N_TURN, N_JOBS,
    N_OPEN, N_RULE, N_OFFERS_BY, N_ROUTE, N_BELT, N_BELT_END, N_LAST_IN_BY, N_WAKING, N_LEFT,
    N_BATCH, N_QUEUE, N_SATURATED, N_ARRIVE, N_STAY, N_PICK, N_MIX_PICK, N_HOT_PICK, N_SCRAP_PICK,
    N_REWORK_PICK, N_OUT, N_OUTS, N_IN, N_INS, N_SERVER0, N_SERVERS, N_LOOP, N_LOOPS, N_IS_SCRAP,
    N_MIX, N_MIXES, N_PROCESS, N_SETUP, N_NEED, N_NEEDS, N_SETUP_NEED, N_SETUP_NEEDS, N_TAKE,
    N_TAKES, N_GIVE, N_GIVES, N_FAIL, N_FAILS, N_UPKEEP, N_UPKEEPS, N_CALENDAR, N_IS_BATCH,
    N_LEAST, N_SCRAPPED, N_HELD_WARM, N_ONE_WAY,
) = range(61)  # fmt: skip
(
    N_INTEGRAL, N_CHANGED, N_CARRYING, N_LAST_IN, N_LAST_OUT, N_TRAVEL_S, N_SPACING_S, N_SCRAP,
    N_REWORK,
) = range(9)  # fmt: skip
N_WORDS: Final = 61
"""N_HELD_WARM: what it held when the warm-up was over; N_ONE_WAY: whether parts come over one
link alone and in the order of their offers."""
SOURCE, DRAIN, BUFFER, CONVEYOR, STATION = range(5)
FIFO, LIFO, SHORTEST, DUE, LEAST_SETUP = range(5)
FIRST_FREE, ROUND_ROBIN, SHARE, SHORTEST_QUEUE = range(4)

(
    W_INDEX,
    W_SOURCE,
    W_TARGET,
    W_SORT,
    W_TYPES,
    W_FLEET,
    W_BECOMES,
    W_LOOP,
    W_LOOPS,
    W_MOVED,
    W_CROSSES,
) = range(11)
"""W_CROSSES: whether it leads into or out of a loop, or changes a part's type."""
W_SHARE = 0
W_WORDS: Final = 11

(
    S_ROW, S_NUMBER, S_DOING, S_PLACE, S_PHASE, S_TROUBLE, S_PARTS, S_PARTS_END, S_LAST, S_SETUP,
    S_TOOK, S_WORK, S_MODE, S_FAIL, S_UPKEEP, S_HOLD, S_REQUEST,
) = range(17)  # fmt: skip
"""The first three are shared with vehicles, and so are the first nine floats."""
S_SINCE, S_DOING_S, S_LEFT, S_STRETCH, S_BEGAN, S_TOOK_S = 0, 1, 9, 10, 11, 12
S_WORDS: Final = 17
EMPTY, RESERVED, WAITING, SETUP, BUSY, BLOCKED = range(6)
DOWN, MAINTENANCE = 1, 2
FOR_JOB, FOR_SETUP, FOR_REPAIR = range(3)

D_BETWEEN, D_REPAIR, D_IS_CALENDAR, D_NEED, D_NEEDS = range(5)
D_WORDS: Final = 5
U_DURATION, U_PARTS, U_NEED, U_NEEDS = range(4)
U_EVERY_S = 0
U_WORDS: Final = 4
UP_PLANNED, UP_EVENT, UP_JOBS = range(3)
"""What a server keeps of each upkeep."""
UP_WORDS: Final = 3
NEED_POOL, NEED_COUNT, NEED_ABLE = range(3)
NEED_WORDS: Final = 3
R_ACTIVE, R_NEXT, R_PREVIOUS, R_HOT, R_SERVER, R_HELD = range(6)
R_WORDS: Final = 6
"""A server has two requests: for a job, then for a repair."""
G_OPEN, G_BUSY, G_FREE, G_GROUPS, G_FIRST, G_CALENDAR = range(6)
G_INTEGRAL, G_CHANGED = range(2)
G_WORDS: Final = 6
L_LIMIT, L_COUNT, L_ENTRY, L_ENTRIES, L_NODES, L_TYPES = range(6)
L_WORDS: Final = 6
C_OPEN, C_EDGE, C_EDGES, C_K = range(4)
C_CYCLE = 0
C_WORDS: Final = 4
(
    F_INDEX, F_VEHICLE0, F_VEHICLES, F_CALLS, F_CALLS_END, F_CALLS_HOT, F_CALLING, F_NEAREST,
    F_TRAVEL, F_LOAD, F_UNLOAD, F_TRACK, F_STOPS, F_NEXT, F_STOP_OF, F_HOME, F_ZONE0,
) = range(17)  # fmt: skip
F_SPEED = 0
F_WORDS: Final = 17
V_ROW, V_NUMBER, V_DOING, V_FLEET, V_TRIP, V_AT, V_TO, V_PART, V_ZONE, V_NEXT, V_QUEUE = range(11)
V_WORDS: Final = 17
IDLE, FETCH, LOAD, BRING, UNLOAD, HOME = range(6)
Z_INSIDE, Z_DIRECTION, Z_HEAD, Z_TAIL, Z_CAPACITY, Z_FROM, Z_TO = range(7)
Z_LENGTH = 0
Z_WORDS: Final = 7

(
    P_SERIAL, P_KIND, P_HOT, P_SORT, P_WAY, P_SEALED, P_PLACE, P_SERVER, P_WAITS, P_OFFER, P_NEXT,
    P_PREVIOUS, P_BELT, P_SINCE_BY, P_BOOK_WAY, P_BOOK_SERVER, P_CHOSEN, P_MATE, P_CALL,
) = range(19)  # fmt: skip
"""P_MATE: next on the same server; P_CALL: next that waits for a vehicle."""
P_ENTERED, P_DUE, P_COST, P_CARBON, P_SINCE = range(5)
P_WORDS: Final = 20

# --- events and touches -------------------------------------------------------------------------

(
    WORK_ENDS, WEARS_OUT, MENDED, MAINTAINED, RIPE, WAKE, FEED, VEHICLE, CHANGE, BREAKS, FALL_DUE,
) = range(11)  # fmt: skip
"""From CHANGE on: background."""
NIL, ZERO, THIS = -1, 0, -2
"""Arguments with a name: numba compiles a function anew for every number written in a call."""
(
    STARVED_, BUSY_, BLOCKED_, SETUP_, DOWN_, MAINTENANCE_, WAITING_, OFF_,
) = (int(doing) for doing in Doing)  # fmt: skip
"""Doing, for compiled code."""
TAKE, OFFER, SERVE, ASSIGN, OPEN_ZONE = range(5)
ENDED, GROW = range(2)
"""What the loop returns."""
E_EXHAUSTED, E_DEADLOCK, E_EVENTS, E_STEPS, E_NAN, E_HORIZON = range(1, 7)
"""STOP."""


def lean(function: Any, *, is_inlined: bool = False) -> Any:
    """Compiled without the counting of references: the loop only reads and writes arrays that
    its caller holds, and makes none."""
    if njit is None:
        return compiled(function)
    how = {"cache": True, "nogil": True, "_nrt": False, "error_model": "numpy"}
    return njit(forceinline=is_inlined, **how)(function)  # pyright: ignore


def inlined(function: Any) -> Any:
    """Lean, and part of what calls it: for the few lines that every event goes through."""
    return lean(function, is_inlined=True)


if njit is not None:
    from numba import types
    from numba.extending import intrinsic

    def _bare(typing: Any, array: Any) -> Any:
        """An array as the address of its first word: two registers for both arrays where they
        would be fourteen, and no look whether an index is negative."""

        def address(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return context.make_array(signature.args[0])(context, builder, args[0]).data

        return types.CPointer(array.dtype)(array), address

    bare: Any = intrinsic(_bare)


@dataclass(slots=True)
class Layout:
    """A model in memory before it runs, and where its blocks are."""

    I: NDArray[np.int64]  # noqa: E741
    F: NDArray[np.float64]
    nodes: list[int]
    ways: list[int]
    servers: list[int]
    pools: list[int]
    loops: list[int]
    vehicles: list[int]
    fleets: list[int]
    streams: int


def layout(plan: Plan) -> Layout:
    """Lays a model out."""
    return _Builder(plan).built()


class _Builder:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.model = plan, plan.model
        self.i: list[int] = []
        self.f: list[float] = []
        self.block(HEADER)

    def block(self, words: int) -> int:
        at = len(self.i)
        self.i += [0] * words
        self.f += [0.0] * words
        return at

    def listed(self, values: list[int], floats: list[float] | None = None) -> int:
        at = self.block(len(values))
        self.i[at:] = values
        if floats:
            self.f[at:] = floats
        return at

    def built(self) -> Layout:
        plan, model = self.plan, self.model
        packed = pack(plan.distributions)
        # A distribution: kind, first sample, samples, (unused); p0 … p3 in F.
        table = self.block(len(packed.table))
        self.f[table:] = packed.table.tolist()
        self.rows = self.block(4 * len(packed.code))
        for k in range(len(packed.code)):
            at = self.rows + 4 * k
            self.i[at] = int(packed.code[k])
            self.i[at + 1] = table + int(packed.first[k])
            self.i[at + 2] = int(packed.count[k])
            self.f[at : at + 4] = packed.p[k].tolist()
        # A stream: key, how many were drawn.
        self.streams = self.block(2 * len(plan.streams))
        self.node0 = [self.block(N_WORDS) for _ in model.nodes]
        self.way0 = [self.block(W_WORDS) for _ in plan.ways]
        self.loop0 = [self.block(L_WORDS) for _ in model.loops]
        self.pool0 = [self.block(G_WORDS) for _ in model.pools]
        self.calendar0 = [self.block(C_WORDS) for _ in model.calendars]
        self.fleet0 = [self.block(F_WORDS) for _ in model.fleets]
        self.groups = sum(len(groups) for groups in plan.pool_groups)
        self.group_first = [
            sum(len(g) for g in plan.pool_groups[:k]) for k in range(len(plan.pool_groups))
        ]
        self.servers = [self.block(S_WORDS) for _ in range(plan.servers)]
        self.vehicles = [self.block(V_WORDS) for _ in range(plan.vehicles)]
        self.around()
        for k in range(len(model.nodes)):
            self.node(k)
        self.header()
        return Layout(
            I=np.array(self.i, np.int64),
            F=np.array(self.f, np.float64),
            nodes=self.node0,
            ways=self.way0,
            servers=self.servers,
            pools=self.pool0,
            loops=self.loop0,
            vehicles=self.vehicles,
            fleets=self.fleet0,
            streams=self.streams,
        )

    def header(self) -> None:
        plan, model, i, f = self.plan, self.model, self.i, self.f
        i[CURRENT] = i[LAST_MADE] = i[FREE] = NONE
        i[REQUEST_HEAD] = i[REQUEST_TAIL] = i[REQUEST_HOT] = NONE
        for count, first, blocks in (
            (NODES, NODE0, self.node0),
            (WAYS, WAY0, self.way0),
            (SERVERS, SERVER0, self.servers),
            (POOLS, POOL0, self.pool0),
            (LOOPS, LOOP0, self.loop0),
            (VEHICLES, VEHICLE0, self.vehicles),
            (FLEETS, FLEET0, self.fleet0),
            (CALENDARS, CALENDAR0, self.calendar0),
        ):
            i[count], i[first] = len(blocks), blocks[0] if blocks else 0
        i[TYPES] = len(plan.types)
        i[HAS_TYPES] = int(bool(model.part_types))
        i[MADE0] = self.block(len(plan.types))
        i[SCRATCH0] = self.block(2 * max((len(out) for out in plan.out), default=0))
        i[GROUPS] = self.groups
        i[ROW0], i[STREAM0] = self.rows, self.streams
        i[ELEMENT0] = len(plan.streams)
        # Of part types: due allowance, hot share, cost, carbon.
        i[PRICES0] = self.block(4 * len(plan.types))
        for k in range(len(plan.types)):
            values = [float("inf"), 0.0, 0.0, 0.0]
            if model.part_types:
                t = model.part_types[k]
                values = [t.due_s, t.hot_share, t.material_cost, t.material_carbon_kg]
            f[i[PRICES0] + 4 * k : i[PRICES0] + 4 * k + 4] = values
        sources = [n for n in model.nodes if isinstance(n, Source)]
        # Room for the lead times of a short run: memory that is not written costs nothing.
        i[LEAD_CAP] = 1 << 15
        i[OPEN_SOURCES] = sum(1 for n in sources if n.limit > 0)
        gives = [sum(n for _, n, _ in s.gives) for s in plan.shops if s is not None]
        i[BURST] = max([1, *(min(n.batch, n.limit) for n in sources), *gives])
        clocks = sum(
            (len(s.failures) + len(s.upkeep) + 2) * getattr(n, "servers", 0)
            for s, n in zip(plan.shops, model.nodes, strict=True)
            if s is not None
        )
        i[FIXED] = 16 + clocks + 3 * len(model.nodes) + 3 * plan.vehicles + len(model.calendars)
        i[FIXED] += len(model.fleets)
        f[PATIENCE] = plan.patience_s

    def drawn(self, what: Draws | None) -> int:
        """Address of (row, stream), or NONE."""
        if what is None:
            return NONE
        return self.listed([self.rows + 4 * what.row, self.streams + 2 * what.stream])

    def needs(self, needs: list[tuple[int, int, str]]) -> int:
        at = self.block(NEED_WORDS * len(needs))
        for k, (pool, count, skill) in enumerate(needs):
            able = [int(not skill or skill in skills) for _, skills in self.plan.pool_groups[pool]]
            row = at + NEED_WORDS * k
            where = self.listed(able)
            self.i[row : row + NEED_WORDS] = [self.pool0[pool], count, where]
        return at

    def put(self, at: int, **words: int) -> None:
        for name, value in words.items():
            self.i[at + globals()[name]] = value

    def around(self) -> None:
        plan, model = self.plan, self.model
        for k, way in enumerate(plan.ways):
            at = self.way0[k]
            self.put(
                at,
                W_INDEX=k,
                W_SOURCE=self.node0[way.source],
                W_TARGET=self.node0[way.target],
                W_SORT=way.sort,
                W_TYPES=self.listed([int(t in way.types) for t in range(len(plan.types))]),
                W_FLEET=self.fleet0[way.fleet] if way.fleet != NONE else NONE,
                W_BECOMES=way.becomes,
                W_LOOP=self.listed([self.loop0[x] for x in way.loops]),
                W_LOOPS=len(way.loops),
                W_CROSSES=int(bool(way.loops) or way.becomes != NONE),
            )
            self.f[at + W_SHARE] = way.share
        for k, loop in enumerate(model.loops):
            entries = [self.node0[x] for x in plan.entries[k]]
            self.put(
                self.loop0[k],
                L_LIMIT=loop.limit,
                L_ENTRY=self.listed(entries),
                L_ENTRIES=len(entries),
                L_NODES=self.listed([int(n.name in loop.nodes) for n in model.nodes]),
                L_TYPES=self.listed([int(not loop.types or t in loop.types) for t in plan.types]),
            )
        for k, calendar in enumerate(model.calendars):
            is_open, changes = edges(calendar)
            at = self.calendar0[k]
            self.put(
                at,
                C_OPEN=int(is_open),
                C_EDGE=self.listed([int(o) for _, o in changes], [t for t, _ in changes]),
                C_EDGES=len(changes),
                C_K=1 if changes and changes[0][0] == 0.0 else 0,
            )
            self.f[at + C_CYCLE] = calendar.cycle_s
        for k, groups in enumerate(plan.pool_groups):
            which = plan.pool_calendar[k]
            self.put(
                self.pool0[k],
                G_OPEN=1 if which == NONE else self.i[self.calendar0[which] + C_OPEN],
                G_FREE=self.listed([count for count, _ in groups]),
                G_GROUPS=len(groups),
                G_FIRST=self.group_first[k],
                G_CALENDAR=self.calendar0[which] if which != NONE else NONE,
            )
        for k, fleet in enumerate(model.fleets):
            trips = plan.trips[k]
            track = trips.track
            at = self.fleet0[k]
            first = self.vehicles[trips.first_vehicle]
            self.put(
                at,
                F_INDEX=k,
                F_VEHICLE0=first,
                F_VEHICLES=fleet.vehicles,
                F_CALLS=NONE,
                F_CALLS_END=NONE,
                F_CALLS_HOT=NONE,
                F_NEAREST=int(fleet.picks_nearest),
                F_TRAVEL=self.drawn(trips.travel),
                F_LOAD=self.drawn(trips.load),
                F_UNLOAD=self.drawn(trips.unload),
                F_TRACK=int(track is not None),
                F_HOME=track.home if track else NONE,
            )
            self.f[at + F_SPEED] = fleet.speed_m_s
            zones: list[int] = []
            if track is not None:
                zones = [self.block(Z_WORDS) for _ in fleet.segments]
                for zone, segment, ends in zip(zones, fleet.segments, track.ends, strict=True):
                    self.put(
                        zone,
                        Z_HEAD=NONE,
                        Z_TAIL=NONE,
                        Z_CAPACITY=segment.capacity,
                        Z_FROM=ends[0],
                        Z_TO=ends[1],
                    )
                    self.f[zone + Z_LENGTH] = segment.length_m
                count = len(track.stops)
                self.put(
                    at,
                    F_STOPS=count,
                    F_NEXT=self.listed(
                        [x for row in track.next for x in row],
                        [x for row in track.distance for x in row],
                    ),
                    F_STOP_OF=self.listed(track.stop_of),
                    F_ZONE0=zones[0],
                )
            for n in range(fleet.vehicles):
                self.put(
                    first + n * V_WORDS,
                    V_FLEET=at,
                    V_ROW=len(model.nodes) + trips.first_vehicle + n,
                    V_AT=track.start if track else NONE,
                    V_TO=NONE,
                    V_PART=NONE,
                    V_ZONE=NONE,
                    V_NEXT=NONE,
                    V_QUEUE=NONE,
                )

    def node(self, k: int) -> None:
        plan, at = self.plan, self.node0[k]
        node = self.model.nodes[k]
        kinds = (Source, Drain, Buffer, Conveyor, Station)
        loops = [
            self.loop0[x] for x, loop in enumerate(self.model.loops) if node.name in loop.nodes
        ]
        out, into = plan.out[k], plan.into[k]
        self.put(
            at,
            N_KIND=kinds.index(type(node)),
            N_INDEX=k,
            N_ROOM=capacity(node),
            N_HEAD=NONE,
            N_TAIL=NONE,
            N_HOT=NONE,
            N_OPEN=1,
            N_ROUTE=list(Route).index(getattr(node, "route", Route.FIRST_FREE)),
            N_BELT=NONE,
            N_BELT_END=NONE,
            N_LAST_IN_BY=NONE,
            N_ARRIVE=self.drawn(plan.arrive[k]),
            N_STAY=self.drawn(plan.stay[k]),
            N_PICK=self.streams + 2 * plan.pick[k],
            N_MIX_PICK=self.streams + 2 * plan.mix_pick[k],
            N_HOT_PICK=self.streams + 2 * plan.hot_pick[k],
            N_SCRAP_PICK=self.streams + 2 * plan.scrap_pick[k],
            N_REWORK_PICK=self.streams + 2 * plan.rework_pick[k],
            N_OUT=self.listed([self.way0[w.index] for w in out]),
            N_OUTS=len(out),
            N_IN=self.listed([self.way0[w.index] for w in into]),
            N_INS=len(into),
            N_LOOP=self.listed(loops),
            N_LOOPS=len(loops),
            N_CALENDAR=NONE,
            N_ONE_WAY=int(self.is_one_way(node, into)),
        )
        self.f[at + N_LAST_IN] = self.f[at + N_LAST_OUT] = float("-inf")
        match node:
            case Source():
                mix = plan.mix[k]
                self.put(
                    at,
                    N_LEFT=node.limit,
                    N_BATCH=node.batch,
                    N_QUEUE=node.queue if node.interarrival is not None else UNBOUNDED,
                    N_SATURATED=int(node.interarrival is None),
                    N_MIX=self.listed([t for t, _ in mix], [w for _, w in mix]),
                    N_MIXES=len(mix),
                )
            case Drain():
                self.put(at, N_IS_SCRAP=int(node.is_scrap))
            case Buffer():
                self.put(at, N_OFFERS_BY=list(Rule).index(node.rule))
            case Conveyor():
                self.f[at + N_TRAVEL_S] = node.travel_s
                self.f[at + N_SPACING_S] = node.spacing_s
            case Station():
                self.station(k, at, node)

    def is_one_way(self, node: Node, into: list[Way]) -> bool:
        """Whether who has waited longest at its one feeder comes first."""
        if len(into) != 1:
            return False
        feeder = self.model.nodes[into[0].source]
        rules = {getattr(feeder, "rule", Rule.FIFO)} if isinstance(feeder, Buffer) else set()
        rules |= {node.rule} if isinstance(node, Station) else set()
        return rules <= {Rule.FIFO}

    def station(self, k: int, at: int, node: Station) -> None:
        shop = self.plan.shops[k]
        assert shop is not None
        count = len(self.plan.types)
        pairs = [(a, b) for a in range(count) for b in range(count)]
        takes = [x for source, n in shop.takes for x in (self.node0[source], n)]
        gives = [x for link, n, kind in shop.gives for x in (self.way0[link], n, kind)]
        failures = self.block(D_WORDS * len(shop.failures))
        for j, failure in enumerate(shop.failures):
            self.put(
                failures + D_WORDS * j,
                D_BETWEEN=self.drawn(failure.between),
                D_REPAIR=self.drawn(failure.repair),
                D_IS_CALENDAR=int(failure.is_calendar),
                D_NEED=self.needs(failure.needs),
                D_NEEDS=len(failure.needs),
            )
        upkeep = self.block(U_WORDS * len(shop.upkeep))
        for j, work in enumerate(shop.upkeep):
            self.put(
                upkeep + U_WORDS * j,
                U_DURATION=self.drawn(work.duration),
                U_PARTS=work.every_parts,
                U_NEED=self.needs(work.needs),
                U_NEEDS=len(work.needs),
            )
            self.f[upkeep + U_WORDS * j + U_EVERY_S] = work.every_s
        is_open = 1
        if shop.calendar != NONE:
            is_open = self.i[self.calendar0[shop.calendar] + C_OPEN]
        self.put(
            at,
            N_OPEN=is_open,
            N_RULE=list(Rule).index(node.rule),
            N_SERVER0=self.servers[shop.first_server],
            N_SERVERS=node.servers,
            N_PROCESS=self.listed([self.drawn(p) for p in shop.process], shop.means),
            N_SETUP=self.listed(
                [self.drawn(shop.setup.get(pair)) for pair in pairs],
                [shop.setup_means.get(pair, 0.0) for pair in pairs],
            ),
            N_NEED=self.needs(shop.needs),
            N_NEEDS=len(shop.needs),
            N_SETUP_NEED=self.needs(shop.setup_needs),
            N_SETUP_NEEDS=len(shop.setup_needs),
            N_TAKE=self.listed(takes),
            N_TAKES=len(shop.takes),
            N_GIVE=self.listed(gives),
            N_GIVES=len(shop.gives),
            N_FAIL=failures,
            N_FAILS=len(shop.failures),
            N_UPKEEP=upkeep,
            N_UPKEEPS=len(shop.upkeep),
            N_CALENDAR=self.calendar0[shop.calendar] if shop.calendar != NONE else NONE,
            N_IS_BATCH=int(node.is_batch),
            N_LEAST=node.least_batch if node.is_batch else 0,
        )
        self.f[at + N_SCRAP], self.f[at + N_REWORK] = node.scrap, node.rework
        for n in range(node.servers):
            server = self.servers[shop.first_server + n]
            requests = self.block(2 * R_WORDS)
            for held, request in ((FOR_JOB, requests), (FOR_REPAIR, requests + R_WORDS)):
                self.put(request, R_SERVER=server, R_HELD=held, R_NEXT=NONE, R_PREVIOUS=NONE)
            ages = self.block(len(shop.failures))
            self.f[ages:] = [float("inf")] * len(shop.failures)
            kept = self.block(UP_WORDS * len(shop.upkeep))
            for j in range(len(shop.upkeep)):
                self.i[kept + UP_WORDS * j + UP_EVENT] = NONE
            self.put(
                server,
                S_ROW=k,
                S_NUMBER=n,
                S_PLACE=at,
                S_PARTS=NONE,
                S_PARTS_END=NONE,
                S_LAST=NONE,
                S_SETUP=NONE,
                S_TOOK=NONE,
                S_WORK=NONE,
                S_MODE=NONE,
                S_FAIL=ages,
                S_UPKEEP=kept,
                S_HOLD=self.block(3 * self.groups),
                S_REQUEST=requests,
            )
