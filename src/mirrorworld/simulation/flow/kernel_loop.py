"""The compiled event loop: `reference.py` on the blocks of `kernel_layout`.

Returns to its caller when arrays have to grow, between two events, and goes on where it was.
"""

# numba has no type stubs.
# pyright: basic
# The docstrings of the plain loop hold.
# ruff: noqa: D103, E741

from __future__ import annotations

from typing import Any

from mirrorworld.simulation.flow import kernel_layout as k
from mirrorworld.simulation.flow.kernel_fleets import assign, book, open_zone, vehicle_event
from mirrorworld.simulation.flow.kernel_moves import (
    arrive,
    chance,
    change_inside,
    count,
    cross,
    draw,
    drop_first,
    element,
    enlist,
    enter,
    fits,
    hold,
    new_part,
    pick,
    record,
    schedule,
    take_off,
    touch,
    touch_node,
    touch_requests,
    unlist,
)
from mirrorworld.simulation.flow.kernel_stations import (
    begin_station,
    breaks,
    change_pool,
    change_station,
    depart,
    fall_due,
    is_up,
    maintained,
    mended,
    serve,
    start,
    wears_out,
    work_ends,
)


@k.lean
def send(I: Any, F: Any, p: int, w: int, s: int) -> None:
    n, old = I[p + k.P_PLACE], I[p + k.P_SERVER]
    unlist(I, F, n, p)
    I[p + k.P_WAITS] = 0
    I[p + k.P_CHOSEN] = 0
    F[k.MOVED] = F[k.NOW]
    crosses = I[w + k.W_CROSSES]
    if crosses:
        cross(I, F, p, w, 1)
    if I[w + k.W_FLEET] != -1:
        book(I, F, p, w, s)
        return
    if crosses:
        cross(I, F, p, w, -1)
    I[w + k.W_MOVED] += 1
    enter(I, F, p, n)
    take_off(I, F, n, old, p)
    arrive(I, F, p, I[w + k.W_TARGET], s)
    depart(I, F, p, n, old)


@k.lean
def offer(I: Any, F: Any, p: int) -> None:
    n = I[p + k.P_PLACE]
    I[p + k.P_OFFER] = I[k.OFFERS]
    I[k.OFFERS] += 1
    I[p + k.P_WAITS] = 1
    enlist(I, F, n, p)
    first = I[n + k.N_OUT]
    last = first + I[n + k.N_OUTS]
    route = I[n + k.N_ROUTE]
    if I[p + k.P_SEALED] or I[p + k.P_SORT] != k.SOUND:
        route = k.FIRST_FREE
    if route == k.SHORTEST_QUEUE:
        offer_shortest(I, F, p, first, last)
        return
    if route == k.ROUND_ROBIN:
        ways = 0
        for at in range(first, last):
            if fits(I, F, p, I[at]):
                ways += 1
        if ways:
            turn = I[n + k.N_TURN] % ways
            I[n + k.N_TURN] += 1
            for at in range(first, last):
                if fits(I, F, p, I[at]):
                    if turn == 0:
                        I[p + k.P_WAY] = I[at]
                        break
                    turn -= 1
    elif route == k.SHARE:
        total, final = 0.0, -1
        for at in range(first, last):
            if fits(I, F, p, I[at]):
                total += F[I[at] + k.W_SHARE]
                final = I[at]
        if final != -1:
            left = chance(I, F, I[n + k.N_PICK]) * total
            chosen = final
            for at in range(first, last):
                if fits(I, F, p, I[at]) and I[at] != final:
                    left -= F[I[at] + k.W_SHARE]
                    if left < 0:
                        chosen = I[at]
                        break
            I[p + k.P_WAY] = chosen
    for at in range(first, last):
        if fits(I, F, p, I[at]):
            take(I, F, I[I[at] + k.W_TARGET])
            if I[p + k.P_WAITS] == 0:
                return


@k.lean
def offer_shortest(I: Any, F: Any, p: int, first: int, last: int) -> None:
    """To targets in the order of what they held when the part was offered."""
    scratch = I[k.SCRATCH0]
    for at in range(first, last):
        n = I[I[at] + k.W_TARGET]
        held = I[n + k.N_HELD] + I[n + k.N_RESERVED]
        I[scratch + at - first] = held if fits(I, F, p, I[at]) else -1
    while True:
        best = -1
        for at in range(first, last):
            held = I[scratch + at - first]
            if held >= 0 and (best == -1 or held < I[scratch + best - first]):
                best = at
        if best == -1:
            return
        I[scratch + best - first] = -1
        take(I, F, I[I[best] + k.W_TARGET])
        if I[p + k.P_WAITS] == 0:
            return


@k.lean
def take(I: Any, F: Any, n: int) -> None:
    kind = I[n + k.N_KIND]
    if kind == k.STATION:
        for i in range(I[n + k.N_SERVERS]):
            s = I[n + k.N_SERVER0] + i * k.S_WORDS
            if I[s + k.S_PHASE] == k.EMPTY and is_up(I, F, s) and not load(I, F, n, s):
                return
    elif kind == k.CONVEYOR:
        while I[n + k.N_HELD] < I[n + k.N_ROOM]:
            p, w = pick(I, F, n, k.NIL, k.NIL)
            if p == -1:
                return
            clear_s = F[n + k.N_LAST_IN] + F[n + k.N_SPACING_S]
            if F[k.NOW] < clear_s:
                if I[n + k.N_WAKING] == 0:
                    I[n + k.N_WAKING] = 1
                    whose = I[k.ELEMENT0] + I[n + k.N_INDEX]
                    by = I[n + k.N_LAST_IN_BY]
                    schedule(I, F, clear_s, k.WAKE, n, k.ZERO, whose, F[n + k.N_SPACING_S], by)
                return
            send(I, F, p, w, k.NIL)
    elif kind != k.SOURCE:
        while I[n + k.N_HELD] + I[n + k.N_RESERVED] < I[n + k.N_ROOM]:
            p, w = pick(I, F, n, k.NIL, k.NIL)
            if p == -1:
                return
            send(I, F, p, w, k.NIL)


@k.lean
def load(I: Any, F: Any, n: int, s: int) -> bool:
    if I[n + k.N_TAKES] > 0:
        if not choose(I, F, n, s):
            return False
    else:
        p, w = pick(I, F, n, s, k.NIL)
        if p == -1:
            return False
        send(I, F, p, w, s)
    if I[s + k.S_PHASE] == k.EMPTY:
        start(I, F, s)
    return True


@k.lean
def choose(I: Any, F: Any, n: int, s: int) -> bool:
    """Parts of a job, or none; they are chained by P_MATE, their links noted as booked."""
    first, last, is_enough = -1, -1, True
    for i in range(I[n + k.N_TAKES]):
        source, wanted = I[I[n + k.N_TAKE] + 2 * i], I[I[n + k.N_TAKE] + 2 * i + 1]
        got = 0
        while got < wanted:
            p, w = pick(I, F, n, s, source)
            if p == -1:
                break
            I[p + k.P_CHOSEN] = 1
            I[p + k.P_BOOK_WAY] = w
            I[p + k.P_CALL] = -1
            if first == -1:
                first = p
            else:
                I[last + k.P_CALL] = p
            last = p
            got += 1
        if got < wanted and not 0 < I[n + k.N_LEAST] <= got:
            is_enough = False
            break
    p = first
    while p != -1:
        after = I[p + k.P_CALL]
        if is_enough:
            send(I, F, p, I[p + k.P_BOOK_WAY], s)
        else:
            I[p + k.P_CHOSEN] = 0
        p = after
    return is_enough


@k.lean
def feed(I: Any, F: Any, n: int) -> None:
    F[k.MOVED] = F[k.NOW]
    mix, mixes = I[n + k.N_MIX], I[n + k.N_MIXES]
    kind = I[mix + mixes - 1]
    if mixes > 1:
        total = 0.0
        for i in range(mixes):
            total += F[mix + i]
        left = chance(I, F, I[n + k.N_MIX_PICK]) * total
        for i in range(mixes - 1):
            left -= F[mix + i]
            if left < 0:
                kind = I[mix + i]
                break
    price = I[k.PRICES0] + 4 * kind
    for _ in range(min(I[n + k.N_BATCH], I[n + k.N_LEFT])):
        I[n + k.N_LEFT] -= 1
        if I[n + k.N_LEFT] == 0:
            I[k.OPEN_SOURCES] -= 1
        if I[n + k.N_SATURATED] == 0 and I[n + k.N_HELD] >= I[n + k.N_QUEUE]:
            I[k.LOST] += 1
            continue
        hot = 0
        if F[price + 1] > 0 and chance(I, F, I[n + k.N_HOT_PICK]) < F[price + 1]:
            hot = 1
        p = new_part(I, F, kind, hot)
        I[p + k.P_PLACE] = n
        if I[k.HAS_TYPES]:
            F[p + k.P_COST] = F[price + 2]
            F[p + k.P_CARBON] = F[price + 3]
            F[p + k.P_DUE] = F[k.NOW] + F[price]
        hold(I, F, n, 1, p)
        touch(I, F, k.OFFER, p)
        if I[n + k.N_SATURATED] == 0:
            settle(I, F)
    next_arrival(I, F, n)


@k.lean
def next_arrival(I: Any, F: Any, n: int) -> None:
    if I[n + k.N_SATURATED] == 0 and I[n + k.N_LEFT] > 0:
        time_s = draw(I, F, I[n + k.N_ARRIVE])
        whose = element(I, F, I[n + k.N_ARRIVE])
        schedule(I, F, F[k.NOW] + time_s, k.FEED, n, k.ZERO, whose, time_s, k.THIS)


@k.lean
def settle(I: Any, F: Any) -> None:
    steps = 0
    while I[k.TOUCH_N] > 0:
        steps += 1
        if steps > I[k.MOST_STEPS]:
            I[k.TOUCH_N] = 0
            I[k.STOP] = k.E_STEPS
            return
        item = I[I[k.RING0] + I[k.TOUCH_HEAD]]
        I[k.TOUCH_HEAD] = (I[k.TOUCH_HEAD] + 1) & I[k.RING_MASK]
        I[k.TOUCH_N] -= 1
        what, a = item & 7, item >> 3
        if what == k.TAKE:
            I[a + k.N_TOUCHED] = 0
            take(I, F, a)
        elif what == k.OFFER:
            offer(I, F, a)
        elif what == k.SERVE:
            serve(I, F)
        elif what == k.ASSIGN:
            assign(I, F, a)
        else:
            open_zone(I, F, a)


# --- beginning, changing, ending ----------------------------------------------------------------


@k.lean
def plan_change(I: Any, F: Any, c: int) -> None:
    edges = I[c + k.C_EDGES]
    cycle, at = I[c + k.C_K] // edges, I[c + k.C_K] % edges
    time_s = cycle * F[c + k.C_CYCLE] + F[I[c + k.C_EDGE] + at]
    schedule(I, F, time_s, k.CHANGE, c, I[I[c + k.C_EDGE] + at], k.NIL, 0.0, k.THIS)


@k.lean
def change(I: Any, F: Any, c: int, is_open: int) -> None:
    I[c + k.C_K] += 1
    plan_change(I, F, c)
    for i in range(I[k.NODES]):
        n = I[k.NODE0] + i * k.N_WORDS
        if I[n + k.N_KIND] == k.STATION and I[n + k.N_CALENDAR] == c:
            change_station(I, F, n, is_open)
    for i in range(I[k.POOLS]):
        g = I[k.POOL0] + i * k.G_WORDS
        if I[g + k.G_CALENDAR] == c:
            I[g + k.G_OPEN] = is_open
            if is_open:
                touch_requests(I, F)


@k.lean
def begin_all(I: Any, F: Any) -> None:
    for i in range(I[k.CALENDARS]):
        c = I[k.CALENDAR0] + i * k.C_WORDS
        if I[c + k.C_EDGES] > 0:
            plan_change(I, F, c)
    for i in range(I[k.NODES]):
        n = I[k.NODE0] + i * k.N_WORDS
        if I[n + k.N_KIND] == k.SOURCE and I[n + k.N_LEFT] > 0:
            if I[n + k.N_SATURATED]:
                schedule(I, F, 0.0, k.FEED, n, k.ZERO, k.NIL, 0.0, k.THIS)
            else:
                next_arrival(I, F, n)
        elif I[n + k.N_KIND] == k.STATION:
            begin_station(I, F, n)
    for i in range(I[k.VEHICLES]):
        v = I[k.VEHICLE0] + i * k.V_WORDS
        record(I, F, I[v + k.V_ROW], k.ZERO, k.STARVED_, k.NIL, k.ZERO)
    settle(I, F)


@k.lean
def flush(I: Any, F: Any, time_s: float) -> None:
    change_inside(I, F, k.ZERO, time_s)
    for i in range(I[k.NODES]):
        count(I, F, I[k.NODE0] + i * k.N_WORDS, time_s)
    for i in range(I[k.POOLS]):
        change_pool(I, F, I[k.POOL0] + i * k.G_WORDS, k.ZERO, time_s)
    for i in range(I[k.SERVERS] + I[k.VEHICLES]):
        a = I[k.SERVER0] + i * k.S_WORDS
        if i >= I[k.SERVERS]:
            a = I[k.VEHICLE0] + (i - I[k.SERVERS]) * k.V_WORDS
        F[a + k.S_DOING_S + I[a + k.S_DOING]] += time_s - F[a + k.S_SINCE]
        F[a + k.S_SINCE] = time_s


@k.lean
def warm(I: Any, F: Any, time_s: float) -> None:
    flush(I, F, time_s)
    I[k.IS_WARM] = 1
    for i in range(I[k.TYPES]):
        I[I[k.MADE0] + i] = 0
    I[k.SCRAPPED] = I[k.LOST] = I[k.LATE] = I[k.LEAD_N] = 0
    F[k.COST] = F[k.CARBON] = F[k.INSIDE_INTEGRAL] = 0.0
    for i in range(I[k.NODES]):
        n = I[k.NODE0] + i * k.N_WORDS
        I[n + k.N_JOBS] = I[n + k.N_SCRAPPED] = 0
        I[n + k.N_HELD_WARM] = I[n + k.N_HELD]
        F[n + k.N_INTEGRAL] = F[n + k.N_CARRYING] = 0.0
    for i in range(I[k.WAYS]):
        I[I[k.WAY0] + i * k.W_WORDS + k.W_MOVED] = 0
    for i in range(I[k.POOLS]):
        F[I[k.POOL0] + i * k.G_WORDS + k.G_INTEGRAL] = 0.0
    for i in range(I[k.SERVERS] + I[k.VEHICLES]):
        a = I[k.SERVER0] + i * k.S_WORDS
        if i >= I[k.SERVERS]:
            a = I[k.VEHICLE0] + (i - I[k.SERVERS]) * k.V_WORDS
        for doing in range(8):
            F[a + k.S_DOING_S + doing] = 0.0


@k.lean
def close(I: Any, F: Any) -> None:
    """Brings all counts up to the end."""
    if I[k.IS_WARM] == 0:
        warm(I, F, min(F[k.NOW], F[k.WARM_UP]))
    flush(I, F, F[k.NOW])


@k.lean
def loop(ints: Any, floats: Any) -> int:
    """Runs until the end (STOP says which) or until an array has to grow."""
    I, F = k.bare(ints), k.bare(floats)
    if I[k.BEGUN] == 0:
        I[k.BEGUN] = 1
        begin_all(I, F)
    while True:
        if I[k.STOP] != 0:
            break
        if I[k.ALIVE] == 0 and I[k.OPEN_SOURCES] == 0:
            I[k.STOP] = k.E_EXHAUSTED
            break
        if I[k.PENDING] == 0 and (
            I[k.HEAP_N] == 0 or F[k.NOW] - F[k.MOVED] >= F[k.PATIENCE]
        ):  # fmt: skip
            I[k.STOP] = k.E_DEADLOCK
            break
        if I[k.EVENTS] >= I[k.MAX_EVENTS]:
            I[k.STOP] = k.E_EVENTS
            break
        if F[I[k.TIMES0]] > F[k.HORIZON]:
            F[k.NOW] = F[k.HORIZON]
            I[k.STOP] = k.E_HORIZON
            break
        # An event lets at most so many parts appear, leave and be scheduled.
        most = I[k.ALIVE] + I[k.BURST] + I[k.FIXED]
        if (
            I[k.ALIVE] + I[k.BURST] > I[k.PARTS]
            or I[k.HEAP_N] + most > I[k.HEAP_CAP]
            or I[k.LEAD_N] + most > I[k.LEAD_CAP]
            or (I[k.LOGS] and I[k.SEQUENCE] + most > I[k.LOG_CAP])
        ):
            return k.GROW
        time_s = F[I[k.TIMES0]]
        number, what = I[I[k.WORDS0]], I[I[k.WORDS0] + 1]
        a, detail = (what >> 4) & 0xFF_FFFF_FFFF, what >> 44
        what &= 15
        drop_first(I, F)
        if what <= k.WEARS_OUT:
            if I[a + k.S_WORK] != number:
                continue
        elif what == k.FALL_DUE:
            up = I[a + k.S_UPKEEP] + detail * k.UP_WORDS
            if I[up + k.UP_EVENT] != number:
                continue
        if I[k.IS_WARM] == 0 and time_s > F[k.WARM_UP]:
            warm(I, F, F[k.WARM_UP])
        F[k.NOW] = time_s
        I[k.CURRENT] = number
        I[k.EVENTS] += 1
        if what < k.CHANGE:
            I[k.PENDING] -= 1
        if what == k.WORK_ENDS:
            work_ends(I, F, a)
        elif what == k.RIPE:
            F[k.MOVED] = F[k.NOW]
            touch(I, F, k.OFFER, a)
        elif what == k.FEED:
            feed(I, F, a)
        elif what == k.WEARS_OUT:
            wears_out(I, F, a, detail)
        elif what == k.MENDED:
            mended(I, F, a)
        elif what == k.MAINTAINED:
            maintained(I, F, a)
        elif what == k.WAKE:
            I[a + k.N_WAKING] = 0
            touch_node(I, F, a)
        elif what == k.VEHICLE:
            vehicle_event(I, F, a)
        elif what == k.CHANGE:
            change(I, F, a, detail)
        elif what == k.BREAKS:
            breaks(I, F, a, detail)
        else:
            fall_due(I, F, a, detail)
        settle(I, F)
    close(I, F)
    return k.ENDED


@k.lean
def critical(ints: Any, floats: Any, found: Any) -> None:
    """Time on the way of causes to the last sound part, by element."""
    I, F = k.bare(ints), k.bare(floats)
    at = I[k.LAST_MADE]
    while at >= 0:
        row = I[k.LOG0] + 2 * at
        if I[row + 1] >= 0:
            found[I[row + 1]] += F[I[k.LOG_S0] + at]
        at = I[row]
