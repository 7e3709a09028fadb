"""The compiled event kernel: every element of the vocabulary, the same bits as the plain loop.

Lays a model out in memory (`kernel_layout`), runs the compiled loop (`kernel_loop`) once for each
replication, gives it more memory when it asks, and reads the counts back.
"""

# The layout's words are untyped integers.
# pyright: basic

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow import kernel_layout as k
from mirrorworld.simulation.flow.kernel_layout import Layout, layout
from mirrorworld.simulation.flow.kernel_loop import critical as walk_back
from mirrorworld.simulation.flow.kernel_loop import loop
from mirrorworld.simulation.flow.kernel_serial import L_SIZE, serial, serial_loop
from mirrorworld.simulation.flow.kernel_waits import who_waits
from mirrorworld.simulation.flow.model import FlowModel
from mirrorworld.simulation.flow.plan import Plan, plan
from mirrorworld.simulation.flow.reference import MOST_EVENTS, MOST_STEPS, check_times
from mirrorworld.simulation.flow.results import Ending, Result, Trace
from mirrorworld.simulation.flow.streams import needs_numba
from mirrorworld.simulation.flow.summary import Counted, summarise, waits


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
    """The same as `reference.run`, some hundred times as fast; releases the interpreter lock.

    Raises:
        FlowError: the times contradict each other.
        RuntimeError: numba is not installed.
    """
    needs_numba()
    check_times(horizon_s, warm_up_s)
    numbers = plan(model)
    where = layout(numbers)
    plain = None if trace_rows or critical else serial(numbers, where)

    def fresh(replication: int) -> Memory:
        memory = Memory(numbers, where, seed, replication)
        ints, floats = memory.ints, memory.floats
        ints[k.MAX_EVENTS] = max_events
        floats[k.HORIZON], floats[k.WARM_UP] = horizon_s, warm_up_s
        ints[k.IS_WARM] = warm_up_s == 0
        ints[k.MOST_STEPS] = MOST_STEPS
        ints[k.TRACE_CAP] = trace_rows if replication == 0 else 0
        ints[k.LOGS] = critical
        return memory

    counted: list[Counted] = []
    for replication in range(replications):
        memory = fresh(replication)
        is_done = plain is not None and memory.run_serial(plain.copy())
        if not is_done:
            memory = fresh(replication)
            memory.run()
        counted.append(_counted(numbers, where, memory.ints, memory.floats))
    return summarise(
        numbers,
        counted,
        engine="kernel",
        seed=seed,
        horizon_s=horizon_s,
        warm_up_s=warm_up_s,
    )


class Memory:
    """What one replication works in."""

    def __init__(self, numbers: Plan, where: Layout, seed: int, replication: int) -> None:
        self.ints, self.floats = where.I.copy(), where.F.copy()
        keys = np.array(numbers.keys(seed, replication), np.uint64).view(np.int64)
        self.ints[where.streams : where.streams + 2 * len(keys) : 2] = keys
        self.part0 = len(where.I)

    def run(self) -> None:
        """To the end, by the general loop."""
        self.grow()
        while loop(self.ints, self.floats) == k.GROW:
            self.grow()

    def run_serial(self, line: NDArray[np.int64]) -> bool:
        """To the end, by the loop of plain serial lines; False: the general one must do it."""
        leaves = int(line[L_SIZE])
        times, winners = np.zeros(leaves), np.zeros(2 * leaves, np.int64)
        rest = line, times, times.view(np.int64), winners
        self.grow()
        while (state := serial_loop(self.ints, self.floats, *rest)) == k.GROW:
            self.grow()
        return state == k.ENDED

    def grow(self) -> None:
        """Makes room for at least one more event in every region, and twice that where there was
        too little. Parts keep their addresses, the rest moves behind them."""
        old, old_s = self.ints, self.floats
        alive = int(old[k.ALIVE] + old[k.BURST])
        most = alive + int(old[k.FIXED])
        parts = _enough(int(old[k.PARTS]), alive)
        touches = 8 + parts + int(old[k.NODES] + old[k.FLEETS] + old[k.VEHICLES])
        ring = 1 << touches.bit_length()
        heap = _enough(int(old[k.HEAP_CAP]), int(old[k.HEAP_N]) + most)
        lead = _enough(int(old[k.LEAD_CAP]), int(old[k.LEAD_N]) + most)
        log = _enough(int(old[k.LOG_CAP]), (int(old[k.SEQUENCE]) + most) * int(old[k.LOGS]))
        rows = int(old[k.TRACE_CAP])
        behind = self.part0 + parts * k.P_WORDS
        ints, words = _regions(behind, {k.WORDS0: 2 * heap, k.TRACE0: 5 * rows, k.LOG0: 2 * log,
                                        k.RING0: ring})  # fmt: skip
        floats, times = _regions(behind, {k.TIMES0: heap, k.TRACE_S0: rows, k.LOG_S0: log,
                                          k.LEAD0: lead})  # fmt: skip
        kept = self.part0 + int(old[k.PARTS]) * k.P_WORDS
        ints[:kept], floats[:kept] = old[:kept], old_s[:kept]
        # Between two events nothing is touched: the ring is empty.
        ints[k.TOUCH_HEAD] = 0
        for region, used in (
            (k.WORDS0, 2 * int(old[k.HEAP_N])),
            (k.TRACE0, 5 * int(old[k.TRACE_N])),
            (k.LOG0, 2 * int(old[k.SEQUENCE]) * int(old[k.LOGS])),
        ):
            ints[words[region] : words[region] + used] = old[old[region] : old[region] + used]
        for region, used in (
            (k.TIMES0, int(old[k.HEAP_N])),
            (k.TRACE_S0, int(old[k.TRACE_N])),
            (k.LOG_S0, int(old[k.SEQUENCE]) * int(old[k.LOGS])),
            (k.LEAD0, int(old[k.LEAD_N])),
        ):
            floats[times[region] : times[region] + used] = old_s[old[region] : old[region] + used]
        for region, at in (*words.items(), *times.items()):
            ints[region] = at
        fresh = np.arange(int(old[k.PARTS]), parts, dtype=np.int64) * k.P_WORDS + self.part0
        if len(fresh):
            ints[fresh + k.P_NEXT] = np.append(fresh[1:], old[k.FREE])
            ints[k.FREE] = fresh[0]
        ints[k.PARTS], ints[k.RING_MASK] = parts, ring - 1
        ints[k.HEAP_CAP], ints[k.LEAD_CAP], ints[k.LOG_CAP] = heap, lead, log
        self.ints, self.floats = ints, floats


def _enough(there: int, needed: int) -> int:
    return there if needed <= there else 2 * needed


def _regions(first: int, sizes: dict[int, int]) -> tuple[NDArray[Any], dict[int, int]]:
    """An array that ends in these regions, and where each begins."""
    where: dict[int, int] = {}
    for name, size in sizes.items():
        where[name] = first
        first += size
    kind = np.int64 if k.WORDS0 in sizes else np.float64
    return np.zeros(first, kind), where


_ENDINGS = {
    k.E_EXHAUSTED: Ending.EXHAUSTED,
    k.E_DEADLOCK: Ending.DEADLOCK,
    k.E_EVENTS: Ending.EVENTS,
    k.E_STEPS: Ending.EVENTS,
    k.E_NAN: Ending.NOT_A_NUMBER,
    k.E_HORIZON: Ending.HORIZON,
}


def _detail(
    numbers: Plan, where: Layout, ints: NDArray[np.int64], floats: NDArray[np.float64]
) -> str:
    match int(ints[k.STOP]):
        case k.E_DEADLOCK:
            return waits(numbers.model, who_waits(numbers, where, ints))
        case k.E_EVENTS:
            return f"{numbers.model.name}: {ints[k.EVENTS]} events"
        case k.E_STEPS:
            return f"{numbers.model.name}: parts go round in no time"
        case k.E_NAN:
            value = float(floats[k.STOP_VALUE])
            return f"{numbers.draws[ints[k.STOP_STREAM]]}: {value} s"
        case _:
            return ""


def _counted(
    numbers: Plan, where: Layout, ints: NDArray[np.int64], floats: NDArray[np.float64]
) -> Counted:
    nodes, pools = np.array(where.nodes), np.array(where.pools, np.int64)
    rows = np.array([*where.servers, *where.vehicles], np.int64)
    made = ints[k.MADE0]
    extra: dict[str, NDArray[np.float64]] = {}
    if ints[k.LOGS]:
        extra["critical_s"] = np.zeros(len(numbers.elements))
        walk_back(ints, floats, extra["critical_s"])
    return Counted(
        ending=_ENDINGS[int(ints[k.STOP])],
        detail=_detail(numbers, where, ints, floats),
        end_s=float(floats[k.NOW]),
        events=int(ints[k.EVENTS]),
        made=ints[made : made + len(numbers.types)].copy(),
        scrapped=int(ints[k.SCRAPPED]),
        lost=int(ints[k.LOST]),
        late=int(ints[k.LATE]),
        lead_s=floats[ints[k.LEAD0] : ints[k.LEAD0] + ints[k.LEAD_N]].copy(),
        doing_s=floats[(rows + k.S_DOING_S)[:, None] + np.arange(8)],
        content=floats[nodes + k.N_INTEGRAL],
        wip=float(floats[k.INSIDE_INTEGRAL]),
        jobs=ints[nodes + k.N_JOBS],
        moved=ints[np.array(where.ways, np.int64) + k.W_MOVED],
        scrapped_at=ints[nodes + k.N_SCRAPPED],
        members=floats[pools + k.G_INTEGRAL],
        carrying_s=floats[nodes + k.N_CARRYING],
        material_cost=float(floats[k.COST]),
        material_carbon_kg=float(floats[k.CARBON]),
        trace=_trace(ints, floats),
        extra=extra,
    )


def _trace(ints: NDArray[np.int64], floats: NDArray[np.float64]) -> Trace | None:
    if not ints[k.TRACE_CAP]:
        return None
    count = int(ints[k.TRACE_N])
    columns = ints[ints[k.TRACE0] : ints[k.TRACE0] + 5 * count].reshape(-1, 5)
    return Trace(
        time_s=floats[ints[k.TRACE_S0] : ints[k.TRACE_S0] + count].copy(),
        node=columns[:, 0].astype(np.int32),
        server=columns[:, 1].astype(np.int32),
        doing=columns[:, 2].astype(np.uint8),
        part=columns[:, 3].copy(),
        held=columns[:, 4].astype(np.int32),
        is_cut=bool(ints[k.IS_CUT]),
    )
