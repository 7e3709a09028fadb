"""The event loop of plain serial lines, compiled: the same memory and the same bits, much leaner.

Stations of one server that do nothing but work, and fail on operating time, one after the other,
with or without a buffer before each. Parts keep their order, so none needs a block of its own:
the times at which those in the line entered stand behind the lead times of those that left. Each
station has at most one event, so a tournament of the stations says which is next. Events of one
instant may come in another order than in the general loop; in a line without choices that changes
no time and no sum, for what lies between them lasts 0 s.
"""

# numba has no type stubs.
# pyright: basic
# The general loop has the rest of the docstrings.
# ruff: noqa: D103, E741

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow import kernel_layout as k
from mirrorworld.simulation.flow.kernel_layout import Layout
from mirrorworld.simulation.flow.kernel_loop import close, warm
from mirrorworld.simulation.flow.kernel_moves import draw
from mirrorworld.simulation.flow.model import UNBOUNDED, Buffer, Drain, Rule, Source, Station
from mirrorworld.simulation.flow.plan import NONE, Plan

REDO = 2
"""Returned where only the general loop says what to do: a time that is no number, too many
events."""
UNROLLED = 6
"""Rounds of a tournament that are written out one after the other: without a branch to guess."""
L_STATIONS, L_SOURCE, L_DRAIN, L_SIZE, L_BEGUN, L_FIRST = 0, 1, 2, 3, 4, 5


def serial(numbers: Plan, where: Layout) -> NDArray[np.int64] | None:
    """Addresses of the line, or None if it is none of the plain ones.

    [stations, source, drain, leaves of the tournament, 0], then for each station its server, its
    node and the buffer before it.
    """
    model = numbers.model
    if model.pools or model.fleets or model.loops or model.calendars or len(numbers.types) > 1:
        return None
    if any(part.hot_share > 0 for part in model.part_types):
        return None
    sources = [i for i, node in enumerate(model.nodes) if isinstance(node, Source)]
    if len(sources) != 1 or len(model.links) != len(model.nodes) - 1:
        return None
    at, buffer, rows = sources[0], NONE, []
    source = model.nodes[at]
    assert isinstance(source, Source)
    if source.batch != 1 or len(source.mix) != 1:
        return None
    for _ in model.links:
        ways = numbers.out[at]
        if len(ways) != 1 or ways[0].becomes != NONE or model.links[ways[0].index].types:
            return None
        at = ways[0].target
        node, shop = model.nodes[at], numbers.shops[at]
        match node:
            case Buffer() if buffer == NONE and node.stay is None:
                if node.rule not in (Rule.FIFO, Rule.SHORTEST, Rule.LEAST_SETUP):
                    return None
                is_endless = source.interarrival is None and node.capacity == UNBOUNDED
                if is_endless and not rows:
                    return None
                buffer = where.nodes[at]
            case Station() if shop is not None and _is_plain(node):
                rows.append((where.servers[shop.first_server], where.nodes[at], buffer))
                buffer = NONE
            case Drain() if rows and buffer == NONE and not node.is_scrap:
                size = 1 << len(rows).bit_length()
                head = [len(rows), where.nodes[sources[0]], where.nodes[at], size, 0]
                return np.array([*head, *(x for row in rows for x in row)], np.int64)
            case _:
                return None
    return None


def _is_plain(node: Station) -> bool:
    return (
        node.servers == 1
        and not (node.takes or node.gives or node.needs or node.maintenance or node.calendar)
        and node.setup is None
        and node.scrap == node.rework == 0
        and node.rule in (Rule.FIFO, Rule.SHORTEST, Rule.LEAST_SETUP)
        and all(x.basis.value == "operating" and not x.needs for x in node.breakdowns)
    )


@k.lean
def plan_event(T: Any, B: Any, W: Any, size: int, i: int, time_s: float) -> None:
    """Station i's next event; the tournament is played again along its way to the top."""
    T[i] = time_s
    best, at = i, size + i
    # The bits of a time from 0 up are in the order of the times. Of equals the left one wins.
    soonest = B[i]
    for _ in range(UNROLLED):
        if at > 1:
            other = W[at ^ 1]
            bits = B[other]
            is_other = bits < soonest + (at & 1)
            best = other if is_other else best
            soonest = bits if is_other else soonest
            at >>= 1
            W[at] = best
    while at > 1:
        other = W[at ^ 1]
        bits = B[other]
        if bits < soonest + (at & 1):
            best, soonest = other, bits
        at >>= 1
        W[at] = best


@k.lean
def go_on_(
    I: Any, F: Any, T: Any, B: Any, W: Any, size: int, i: int, s: int, n: int, now: float
) -> None:
    """Works until the job's end or a failure."""
    stretch_s = F[s + k.S_LEFT]
    mode = -1
    if I[n + k.N_FAILS] > 0:
        ages = I[s + k.S_FAIL]
        for j in range(I[n + k.N_FAILS]):
            if F[ages + j] < stretch_s:
                stretch_s, mode = F[ages + j], j
        F[s + k.S_STRETCH] = stretch_s
        I[s + k.S_MODE] = mode
    plan_event(T, B, W, size, i, now + stretch_s)


@k.lean
def start_(
    I: Any, F: Any, T: Any, B: Any, W: Any, size: int, i: int, s: int, n: int, now: float
) -> None:
    """A part is in the station."""
    if I[s + k.S_DOING] == k.STARVED_:
        F[s + k.S_DOING_S + k.STARVED_] += now - F[s + k.S_SINCE]
    I[s + k.S_DOING] = k.BUSY_
    F[s + k.S_SINCE] = now
    I[n + k.N_HELD] = 1
    F[n + k.N_CHANGED] = now
    F[s + k.S_LEFT] = draw(I, F, I[I[n + k.N_PROCESS]])
    go_on_(I, F, T, B, W, size, i, s, n, now)


@k.lean
def fail_or_mend(I: Any, F: Any, T: Any, B: Any, W: Any, size: int, i: int, s: int, n: int) -> bool:
    """Whether station i's event was a failure or the end of one; then it is dealt with."""
    ages, now = I[s + k.S_FAIL], F[k.NOW]
    fails = I[n + k.N_FAILS]
    mode = I[s + k.S_MODE]
    if I[s + k.S_DOING] == k.DOWN_:
        F[s + k.S_DOING_S + k.DOWN_] += now - F[s + k.S_SINCE]
        F[s + k.S_SINCE] = now
        I[s + k.S_DOING] = k.BUSY_
        F[ages + mode] = draw(I, F, I[I[n + k.N_FAIL] + mode * k.D_WORDS + k.D_BETWEEN])
        go_on_(I, F, T, B, W, size, i, s, n, now)
        return True
    F[s + k.S_LEFT] -= F[s + k.S_STRETCH]
    for j in range(fails):
        F[ages + j] -= F[s + k.S_STRETCH]
    if mode == -1:
        return False
    F[s + k.S_DOING_S + k.BUSY_] += now - F[s + k.S_SINCE]
    F[s + k.S_SINCE] = now
    I[s + k.S_DOING] = k.DOWN_
    repair_s = draw(I, F, I[I[n + k.N_FAIL] + mode * k.D_WORDS + k.D_REPAIR])
    plan_event(T, B, W, size, i, now + repair_s)
    return True


@k.lean
def enter_(I: Any, F: Any, source: int, now: float) -> None:
    """The part that waits at the source enters the line; a saturated source has its next one."""
    F[source + k.N_INTEGRAL] += I[source + k.N_HELD] * (now - F[source + k.N_CHANGED])
    F[source + k.N_CHANGED] = now
    I[source + k.N_HELD] -= 1
    I[source + k.N_JOBS] += 1
    F[k.INSIDE_INTEGRAL] += I[k.INSIDE] * (now - F[k.INSIDE_CHANGED])
    F[k.INSIDE_CHANGED] = now
    F[I[k.LEAD0] + I[k.LEAD_N] + I[k.INSIDE]] = now
    I[k.INSIDE] += 1
    if I[source + k.N_SATURATED] and I[source + k.N_LEFT] > 0:
        I[k.EVENTS] += 1
        I[source + k.N_LEFT] -= 1
        I[source + k.N_HELD] = 1


@k.lean
def refill(I: Any, F: Any, L: Any, T: Any, B: Any, W: Any, size: int, i: int, now: float) -> None:
    """Station i is empty: it takes its next part, and so on back to the source."""
    source = L[L_SOURCE]
    while True:
        s, n, b = L[L_FIRST + 3 * i], L[L_FIRST + 3 * i + 1], L[L_FIRST + 3 * i + 2]
        if b != -1:
            held = I[b + k.N_HELD]
            if held > 0:
                F[b + k.N_INTEGRAL] += held * (now - F[b + k.N_CHANGED])
                F[b + k.N_CHANGED] = now
                I[b + k.N_JOBS] += 1
                start_(I, F, T, B, W, size, i, s, n, now)
                # Who waits for room in the buffer comes after.
                if i == 0:
                    held -= 1
                    while held < I[b + k.N_ROOM] and I[source + k.N_HELD] > 0:
                        held += 1
                        enter_(I, F, source, now)
                    I[b + k.N_HELD] = held
                    return
                before = L[L_FIRST + 3 * i - 3]
                if I[before + k.S_DOING] != k.BLOCKED_:
                    I[b + k.N_HELD] = held - 1
                    return
                i -= 1
                depart_(I, F, before, L[L_FIRST + 3 * i + 1], now)
                continue
        if i == 0:
            if I[source + k.N_HELD] == 0:
                return
            enter_(I, F, source, now)
            if b != -1:
                I[b + k.N_JOBS] += 1
            start_(I, F, T, B, W, size, k.ZERO, s, n, now)
            if b != -1:
                held = 0
                F[b + k.N_CHANGED] = now
                while held < I[b + k.N_ROOM] and I[source + k.N_HELD] > 0:
                    held += 1
                    enter_(I, F, source, now)
                I[b + k.N_HELD] = held
            return
        before = L[L_FIRST + 3 * i - 3]
        if I[before + k.S_DOING] != k.BLOCKED_:
            return
        start_(I, F, T, B, W, size, i, s, n, now)
        i -= 1
        depart_(I, F, before, L[L_FIRST + 3 * i + 1], now)


@k.lean
def depart_(I: Any, F: Any, s: int, n: int, now: float) -> None:
    """A finished part leaves a station, which is empty then."""
    F[s + k.S_DOING_S + k.BLOCKED_] += now - F[s + k.S_SINCE]
    F[s + k.S_SINCE] = now
    I[s + k.S_DOING] = k.STARVED_
    F[n + k.N_INTEGRAL] += now - F[n + k.N_CHANGED]
    F[n + k.N_CHANGED] = now
    I[n + k.N_HELD] = 0


@k.lean
def begin_serial(I: Any, F: Any, L: Any, T: Any, B: Any, W: Any) -> None:
    size, source = L[L_SIZE], L[L_SOURCE]
    for i in range(size):
        T[i] = math.inf
        W[size + i] = i
    for i in range(size - 1, 0, -1):
        W[i] = W[2 * i]
    for i in range(L[L_STATIONS]):
        s, n = L[L_FIRST + 3 * i], L[L_FIRST + 3 * i + 1]
        for j in range(I[n + k.N_FAILS]):
            between = I[I[n + k.N_FAIL] + j * k.D_WORDS + k.D_BETWEEN]
            F[I[s + k.S_FAIL] + j] = draw(I, F, between)
    if I[source + k.N_LEFT] == 0:
        return
    if I[source + k.N_SATURATED]:
        I[k.EVENTS] += 1
        I[source + k.N_LEFT] -= 1
        I[source + k.N_HELD] = 1
        refill(I, F, L, T, B, W, size, k.ZERO, 0.0)
    else:
        plan_event(T, B, W, size, L[L_STATIONS], draw(I, F, I[source + k.N_ARRIVE]))


@k.lean
def arrival(I: Any, F: Any, L: Any, T: Any, B: Any, W: Any, now: float) -> None:
    """A part comes to a source that is not saturated."""
    size, source = L[L_SIZE], L[L_SOURCE]
    I[source + k.N_LEFT] -= 1
    if I[source + k.N_HELD] >= I[source + k.N_QUEUE]:
        I[k.LOST] += 1
    else:
        F[source + k.N_INTEGRAL] += I[source + k.N_HELD] * (now - F[source + k.N_CHANGED])
        F[source + k.N_CHANGED] = now
        I[source + k.N_HELD] += 1
        b = L[L_FIRST + 2]
        if I[L[L_FIRST] + k.S_DOING] == k.STARVED_:
            refill(I, F, L, T, B, W, size, k.ZERO, now)
        elif b != -1 and I[b + k.N_HELD] < I[b + k.N_ROOM]:
            F[b + k.N_INTEGRAL] += I[b + k.N_HELD] * (now - F[b + k.N_CHANGED])
            F[b + k.N_CHANGED] = now
            I[b + k.N_HELD] += 1
            enter_(I, F, source, now)
    if I[source + k.N_LEFT] > 0:
        time_s = draw(I, F, I[source + k.N_ARRIVE])
        plan_event(T, B, W, size, L[L_STATIONS], now + time_s)
    else:
        plan_event(T, B, W, size, L[L_STATIONS], math.inf)


@k.lean
def serial_loop(ints: Any, floats: Any, line: Any, times: Any, bits: Any, winners: Any) -> int:
    """`kernel_loop.loop` for a line `L`; T, B and W: times, their bits and
    winners of the tournament."""
    I, F, L, T, W = k.bare(ints), k.bare(floats), k.bare(line), k.bare(times), k.bare(winners)
    B = k.bare(bits)
    stations, size, source = L[L_STATIONS], L[L_SIZE], L[L_SOURCE]
    if L[L_BEGUN] == 0:
        L[L_BEGUN] = 1
        begin_serial(I, F, L, T, B, W)
    else:
        I[k.LEAD_N] -= I[k.INSIDE]
    while True:
        if I[k.STOP] != 0 or I[k.EVENTS] >= I[k.MAX_EVENTS]:
            return REDO
        if I[k.INSIDE] + I[source + k.N_HELD] + I[source + k.N_LEFT] == 0:
            I[k.STOP] = k.E_EXHAUSTED
            break
        i = W[1]
        now = T[i]
        if now > F[k.HORIZON]:
            F[k.NOW] = F[k.HORIZON]
            I[k.STOP] = k.E_HORIZON
            break
        if I[k.LEAD_N] + I[k.INSIDE] + I[k.FIXED] > I[k.LEAD_CAP]:
            I[k.LEAD_N] += I[k.INSIDE]
            return k.GROW
        if I[k.IS_WARM] == 0 and now > F[k.WARM_UP]:
            gone = I[k.LEAD_N]
            warm(I, F, F[k.WARM_UP])
            for j in range(I[k.INSIDE]):
                F[I[k.LEAD0] + j] = F[I[k.LEAD0] + gone + j]
        F[k.NOW] = now
        I[k.EVENTS] += 1
        if i == stations:
            arrival(I, F, L, T, B, W, now)
            continue
        s, n = L[L_FIRST + 3 * i], L[L_FIRST + 3 * i + 1]
        if I[n + k.N_FAILS] > 0 and fail_or_mend(I, F, T, B, W, size, i, s, n):
            continue
        I[n + k.N_JOBS] += 1
        F[s + k.S_DOING_S + k.BUSY_] += now - F[s + k.S_SINCE]
        F[s + k.S_SINCE] = now
        I[s + k.S_DOING] = k.BLOCKED_
        if i == stations - 1:
            I[L[L_DRAIN] + k.N_JOBS] += 1
            F[k.INSIDE_INTEGRAL] += I[k.INSIDE] * (now - F[k.INSIDE_CHANGED])
            F[k.INSIDE_CHANGED] = now
            I[k.INSIDE] -= 1
            I[I[k.MADE0]] += 1
            row = I[k.LEAD0] + I[k.LEAD_N]
            I[k.LEAD_N] += 1
            if I[k.HAS_TYPES]:
                price = I[k.PRICES0]
                F[k.COST] += F[price + 2]
                F[k.CARBON] += F[price + 3]
                if now > F[row] + F[price]:
                    I[k.LATE] += 1
            F[row] = now - F[row]
        else:
            after = L[L_FIRST + 3 * i + 3]
            b = L[L_FIRST + 3 * i + 5]
            if I[after + k.S_DOING] == k.STARVED_:
                if b != -1:
                    I[b + k.N_JOBS] += 1
                start_(I, F, T, B, W, size, i + 1, after, L[L_FIRST + 3 * i + 4], now)
            elif b != -1 and I[b + k.N_HELD] < I[b + k.N_ROOM]:
                F[b + k.N_INTEGRAL] += I[b + k.N_HELD] * (now - F[b + k.N_CHANGED])
                F[b + k.N_CHANGED] = now
                I[b + k.N_HELD] += 1
            else:
                plan_event(T, B, W, size, i, math.inf)
                continue
        depart_(I, F, s, n, now)
        refill(I, F, L, T, B, W, size, i, now)
        if I[s + k.S_DOING] == k.STARVED_:
            plan_event(T, B, W, size, i, math.inf)
    close(I, F)
    count_moves(I, F, L)
    return k.ENDED


@k.lean
def count_moves(I: Any, F: Any, L: Any) -> None:
    """Parts over each link, from the drain back: what came is what left and what is more there."""
    moved = I[L[L_DRAIN] + k.N_JOBS]
    for i in range(L[L_STATIONS] - 1, -1, -1):
        for n in (L[L_FIRST + 3 * i + 1], L[L_FIRST + 3 * i + 2]):
            if n != -1:
                I[I[I[n + k.N_OUT]] + k.W_MOVED] = moved
                moved += I[n + k.N_HELD] - I[n + k.N_HELD_WARM]
    I[I[I[L[L_SOURCE] + k.N_OUT]] + k.W_MOVED] = moved
