"""How parts wait, are chosen and move, compiled: `reference.py` on the blocks of `kernel_layout`.

Function by function the same as the plain loop, which says why; here only what differs is said.
n is a node, w a link, s a server, p a part: addresses in `I` and `F`.
"""

# numba has no type stubs.
# pyright: basic
# The docstrings of the plain loop hold.
# ruff: noqa: D103, E741

from __future__ import annotations

import math
from typing import Any

from mirrorworld.simulation.flow import kernel_layout as k
from mirrorworld.simulation.flow.distributions import sample
from mirrorworld.simulation.flow.streams import substream, uniform

# --- events and touches -------------------------------------------------------------------------


@k.lean
def schedule(
    I: Any,
    F: Any,
    time_s: float,
    what: int,
    a: int,
    detail: int,
    whose: int,
    took_s: float,
    by: int,
) -> int:
    """Number of the event; `by` −2: this one."""
    number = I[k.SEQUENCE]
    I[k.SEQUENCE] = number + 1
    if what < k.CHANGE:
        I[k.PENDING] += 1
    if I[k.LOGS]:
        I[I[k.LOG0] + 2 * number] = I[k.CURRENT] if by == -2 else by
        I[I[k.LOG0] + 2 * number + 1] = whose
        F[I[k.LOG_S0] + number] = took_s
    times, words = I[k.TIMES0], I[k.WORDS0]
    at = I[k.HEAP_N]
    I[k.HEAP_N] = at + 1
    while at > 0:
        up = (at - 1) >> 1
        # A new event has the greatest number: it goes behind equals.
        if F[times + up] <= time_s:
            break
        F[times + at] = F[times + up]
        I[words + 2 * at] = I[words + 2 * up]
        I[words + 2 * at + 1] = I[words + 2 * up + 1]
        at = up
    F[times + at] = time_s
    I[words + 2 * at] = number
    I[words + 2 * at + 1] = what | (a << 4) | (detail << 44)
    return number


@k.lean
def drop_first(I: Any, F: Any) -> None:
    """Takes the first event from the heap."""
    size = I[k.HEAP_N] - 1
    I[k.HEAP_N] = size
    if size == 0:
        return
    times, words = I[k.TIMES0], I[k.WORDS0]
    time_s, number = F[times + size], I[words + 2 * size]
    at = 0
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        right = down + 1
        if right < size and (
            F[times + right] < F[times + down]
            or (F[times + right] == F[times + down] and I[words + 2 * right] < I[words + 2 * down])
        ):
            down = right
        below_s = F[times + down]
        if time_s < below_s or (time_s == below_s and number < I[words + 2 * down]):
            break
        F[times + at] = below_s
        I[words + 2 * at] = I[words + 2 * down]
        I[words + 2 * at + 1] = I[words + 2 * down + 1]
        at = down
    F[times + at] = time_s
    I[words + 2 * at] = number
    I[words + 2 * at + 1] = I[words + 2 * size + 1]


@k.inlined
def touch(I: Any, F: Any, what: int, a: int) -> None:
    at = (I[k.TOUCH_HEAD] + I[k.TOUCH_N]) & I[k.RING_MASK]
    I[I[k.RING0] + at] = what | (a << 3)
    I[k.TOUCH_N] += 1


@k.inlined
def touch_node(I: Any, F: Any, n: int) -> None:
    if I[n + k.N_TOUCHED] == 0:
        I[n + k.N_TOUCHED] = 1
        touch(I, F, k.TAKE, n)


@k.lean
def touch_requests(I: Any, F: Any) -> None:
    if I[k.IS_SERVING] == 0:
        I[k.IS_SERVING] = 1
        touch(I, F, k.SERVE, k.ZERO)


# --- chance ------------------------------------------------------------------------------------


@k.lean
def draw(I: Any, F: Any, drawn: int) -> float:
    """The next time of a (row, stream); of a number that is none it notes whose."""
    row, stream = I[drawn], I[drawn + 1]
    key, n = I[stream], I[stream + 1]
    I[stream + 1] = n + 1
    code, first, count = I[row], I[row + 1], I[row + 2]
    if code == 3:
        value = -F[row] * math.log(uniform(key, n))
    elif code == 11:
        inner = substream(key, n)
        u = uniform(inner, 0)
        last = first + 2 * (count - 1)
        while first < last and F[first] <= u:
            first += 2
        row = I[k.ROW0] + 4 * int(F[first + 1])
        value = sample(
            I[row], F[row], F[row + 1], F[row + 2], F[row + 3], F, I[row + 1], I[row + 2], inner, 1
        )
    else:
        value = sample(
            code, F[row], F[row + 1], F[row + 2], F[row + 3], F, first, count, key, n
        )  # fmt: skip
    if not (value >= 0.0 and value < math.inf):
        if I[k.STOP] == 0:
            I[k.STOP] = k.E_NAN
            I[k.STOP_STREAM] = (stream - I[k.STREAM0]) >> 1
            F[k.STOP_VALUE] = value
        return 0.0
    return value


@k.inlined
def chance(I: Any, F: Any, stream: int) -> float:
    n = I[stream + 1]
    I[stream + 1] = n + 1
    return uniform(I[stream], n)


@k.inlined
def element(I: Any, F: Any, drawn: int) -> int:
    """Of a (row, stream)."""
    return (I[drawn + 1] - I[k.STREAM0]) >> 1


# --- counting ----------------------------------------------------------------------------------


@k.lean
def record(I: Any, F: Any, node: int, server: int, doing: int, serial: int, held: int) -> None:
    if I[k.TRACE_CAP] > 0:
        row = I[k.TRACE_N]
        if row < I[k.TRACE_CAP]:
            F[I[k.TRACE_S0] + row] = F[k.NOW]
            I[I[k.TRACE0] + 5 * row] = node
            I[I[k.TRACE0] + 5 * row + 1] = server
            I[I[k.TRACE0] + 5 * row + 2] = doing
            I[I[k.TRACE0] + 5 * row + 3] = serial
            I[I[k.TRACE0] + 5 * row + 4] = held
            I[k.TRACE_N] = row + 1
        else:
            I[k.IS_CUT] = 1


@k.inlined
def show(I: Any, F: Any, s: int, doing: int, serial: int, held: int) -> None:
    """A server or vehicle does something from now on."""
    before = I[s + k.S_DOING]
    if doing != before:
        now = F[k.NOW]
        F[s + k.S_DOING_S + before] += now - F[s + k.S_SINCE]
        F[s + k.S_SINCE] = now
        I[s + k.S_DOING] = doing
        if I[k.TRACE_CAP] > 0:
            record(I, F, I[s + k.S_ROW], I[s + k.S_NUMBER], doing, serial, held)


@k.inlined
def count(I: Any, F: Any, n: int, time_s: float) -> None:
    span_s = time_s - F[n + k.N_CHANGED]
    F[n + k.N_INTEGRAL] += I[n + k.N_HELD] * span_s
    if I[n + k.N_HELD] > 0:
        F[n + k.N_CARRYING] += span_s
    F[n + k.N_CHANGED] = time_s


@k.inlined
def hold(I: Any, F: Any, n: int, change: int, p: int) -> None:
    count(I, F, n, F[k.NOW])
    held = I[n + k.N_HELD] + change
    I[n + k.N_HELD] = held
    if I[k.TRACE_CAP] > 0 and (I[n + k.N_KIND] == k.BUFFER or I[n + k.N_KIND] == k.CONVEYOR):
        doing = k.BUSY_ if held < I[n + k.N_ROOM] else k.BLOCKED_
        if held == 0:
            doing = k.STARVED_
        record(I, F, I[n + k.N_INDEX], k.ZERO, doing, I[p + k.P_SERIAL], held)


@k.inlined
def change_inside(I: Any, F: Any, change: int, time_s: float) -> None:
    F[k.INSIDE_INTEGRAL] += I[k.INSIDE] * (time_s - F[k.INSIDE_CHANGED])
    F[k.INSIDE_CHANGED] = time_s
    I[k.INSIDE] += change


# --- parts -------------------------------------------------------------------------------------


@k.inlined
def new_part(I: Any, F: Any, kind: int, hot: int) -> int:
    """A part from the list of free blocks; the loop sees to it that there are enough."""
    p = I[k.FREE]
    I[k.FREE] = I[p + k.P_NEXT]
    I[p + k.P_SERIAL] = I[k.SERIALS]
    I[k.SERIALS] += 1
    I[k.ALIVE] += 1
    I[p + k.P_KIND] = kind
    I[p + k.P_HOT] = hot
    I[p + k.P_SORT] = 0
    I[p + k.P_WAY] = -1
    I[p + k.P_SEALED] = 0
    I[p + k.P_SERVER] = -1
    I[p + k.P_WAITS] = 0
    I[p + k.P_CHOSEN] = 0
    I[p + k.P_MATE] = -1
    F[p + k.P_ENTERED] = -1.0
    F[p + k.P_DUE] = math.inf
    F[p + k.P_COST] = 0.0
    F[p + k.P_CARBON] = 0.0
    return p


@k.inlined
def free_part(I: Any, F: Any, p: int) -> None:
    I[p + k.P_NEXT] = I[k.FREE]
    I[k.FREE] = p
    I[k.ALIVE] -= 1


@k.lean
def become(I: Any, F: Any, p: int, kind: int) -> None:
    I[p + k.P_KIND] = kind
    if I[k.HAS_TYPES]:
        F[p + k.P_DUE] = F[p + k.P_ENTERED] + F[I[k.PRICES0] + 4 * kind]


# --- waiting and choosing -----------------------------------------------------------------------


@k.inlined
def fits(I: Any, F: Any, p: int, w: int) -> bool:
    """Whether a link is of the part's sort and type, and the one that it must take."""
    return (
        I[w + k.W_SORT] == I[p + k.P_SORT]
        and I[I[w + k.W_TYPES] + I[p + k.P_KIND]] == 1
        and (I[p + k.P_WAY] == -1 or I[p + k.P_WAY] == w)
    )


@k.lean
def crossing(I: Any, F: Any, p: int, w: int, loop: int) -> int:
    kind = I[p + k.P_KIND]
    after = kind if I[w + k.W_BECOMES] == -1 else I[w + k.W_BECOMES]
    nodes, types = I[loop + k.L_NODES], I[loop + k.L_TYPES]
    was = I[nodes + I[I[w + k.W_SOURCE] + k.N_INDEX]] * I[types + kind]
    will = I[nodes + I[I[w + k.W_TARGET] + k.N_INDEX]] * I[types + after]
    return will - was


@k.inlined
def may_pass(I: Any, F: Any, p: int, w: int) -> bool:
    if not fits(I, F, p, w):
        return False
    first = I[w + k.W_LOOP]
    for at in range(first, first + I[w + k.W_LOOPS]):
        loop = I[at]
        if I[loop + k.L_COUNT] >= I[loop + k.L_LIMIT] and crossing(I, F, p, w, loop) > 0:
            return False
    return True


@k.lean
def urgency(I: Any, F: Any, rule: int, p: int, w: int, s: int) -> float:
    if rule == k.FIFO:
        return 0.0
    if rule == k.LIFO:
        return -float(I[p + k.P_OFFER])
    if rule == k.DUE:
        return F[p + k.P_DUE]
    n = I[w + k.W_TARGET]
    if I[n + k.N_KIND] != k.STATION:
        return 0.0
    kind = I[p + k.P_KIND] if I[w + k.W_BECOMES] == -1 else I[w + k.W_BECOMES]
    if rule == k.SHORTEST:
        return F[I[n + k.N_PROCESS] + kind]
    if s == -1 or I[s + k.S_LAST] == -1:
        return 0.0
    return F[I[n + k.N_SETUP] + I[s + k.S_LAST] * I[k.TYPES] + kind]


@k.lean
def first_of(I: Any, F: Any, feeder: int, w: int, rule: int, s: int) -> int:
    best = -1
    best_key = 0.0
    p = I[feeder + k.N_HEAD]
    while p != -1:
        if I[p + k.P_CHOSEN] == 0 and may_pass(I, F, p, w):
            if rule == k.FIFO:
                return p
            if best != -1 and I[best + k.P_HOT] > I[p + k.P_HOT]:
                return best
            key = urgency(I, F, rule, p, w, s)
            if best == -1 or key < best_key:
                best, best_key = p, key
        p = I[p + k.P_NEXT]
    return best


@k.inlined
def pick(I: Any, F: Any, n: int, s: int, source: int) -> Any:
    """(part, link); the part is −1 if there is none."""
    if I[n + k.N_ONE_WAY]:
        w = I[I[n + k.N_IN]]
        p = I[I[w + k.W_SOURCE] + k.N_HEAD]
        if p == -1 or (I[p + k.P_CHOSEN] == 0 and may_pass(I, F, p, w)):
            return p, w
    return pick_among(I, F, n, s, source)


@k.lean
def pick_among(I: Any, F: Any, n: int, s: int, source: int) -> Any:
    rule = I[n + k.N_RULE]
    best, best_way, best_key = -1, -1, 0.0
    first = I[n + k.N_IN]
    for at in range(first, first + I[n + k.N_INS]):
        w = I[at]
        feeder = I[w + k.W_SOURCE]
        if I[feeder + k.N_HEAD] == -1 or (source != -1 and feeder != source):
            continue
        p = first_of(I, F, feeder, w, I[feeder + k.N_OFFERS_BY] if rule == k.FIFO else rule, s)
        if p == -1:
            continue
        key = urgency(I, F, rule, p, w, s)
        if best != -1:
            if I[p + k.P_HOT] < I[best + k.P_HOT]:
                continue
            if I[p + k.P_HOT] == I[best + k.P_HOT] and (
                key > best_key or (key == best_key and I[p + k.P_OFFER] >= I[best + k.P_OFFER])
            ):
                continue
        best, best_way, best_key = p, w, key
    return best, best_way


@k.inlined
def enlist(I: Any, F: Any, n: int, p: int) -> None:
    """Into the list of those that wait at a node: hot ones before all others."""
    after = I[n + k.N_HOT] if I[p + k.P_HOT] else I[n + k.N_TAIL]
    before = I[n + k.N_HEAD] if after == -1 else I[after + k.P_NEXT]
    I[p + k.P_PREVIOUS] = after
    I[p + k.P_NEXT] = before
    if after == -1:
        I[n + k.N_HEAD] = p
    else:
        I[after + k.P_NEXT] = p
    if before == -1:
        I[n + k.N_TAIL] = p
    else:
        I[before + k.P_PREVIOUS] = p
    if I[p + k.P_HOT]:
        I[n + k.N_HOT] = p


@k.inlined
def unlist(I: Any, F: Any, n: int, p: int) -> None:
    after, before = I[p + k.P_PREVIOUS], I[p + k.P_NEXT]
    if after == -1:
        I[n + k.N_HEAD] = before
    else:
        I[after + k.P_NEXT] = before
    if before == -1:
        I[n + k.N_TAIL] = after
    else:
        I[before + k.P_PREVIOUS] = after
    if I[n + k.N_HOT] == p:
        I[n + k.N_HOT] = after


# --- moving ------------------------------------------------------------------------------------


@k.lean
def touch_loop(I: Any, F: Any, loop: int) -> None:
    first = I[loop + k.L_ENTRY]
    for at in range(first, first + I[loop + k.L_ENTRIES]):
        touch_node(I, F, I[at])


@k.lean
def cross(I: Any, F: Any, p: int, w: int, sign: int) -> None:
    first = I[w + k.W_LOOP]
    for at in range(first, first + I[w + k.W_LOOPS]):
        loop = I[at]
        if crossing(I, F, p, w, loop) == sign:
            I[loop + k.L_COUNT] += sign
            if sign < 0:
                touch_loop(I, F, loop)
    if sign < 0 and I[w + k.W_BECOMES] != -1:
        become(I, F, p, I[w + k.W_BECOMES])


@k.inlined
def enter(I: Any, F: Any, p: int, n: int) -> None:
    if I[n + k.N_KIND] == k.SOURCE:
        F[p + k.P_ENTERED] = F[k.NOW]
        if I[k.HAS_TYPES]:
            F[p + k.P_DUE] = F[k.NOW] + F[I[k.PRICES0] + 4 * I[p + k.P_KIND]]
        change_inside(I, F, 1, F[k.NOW])


@k.inlined
def leave(I: Any, F: Any, p: int, n: int, is_scrap: int) -> None:
    change_inside(I, F, -1, F[k.NOW])
    F[k.COST] += F[p + k.P_COST]
    F[k.CARBON] += F[p + k.P_CARBON]
    if is_scrap:
        I[k.SCRAPPED] += 1
        I[n + k.N_SCRAPPED] += 1
    else:
        I[I[k.MADE0] + I[p + k.P_KIND]] += 1
        F[I[k.LEAD0] + I[k.LEAD_N]] = F[k.NOW] - F[p + k.P_ENTERED]
        I[k.LEAD_N] += 1
        if F[k.NOW] > F[p + k.P_DUE]:
            I[k.LATE] += 1
        I[k.LAST_MADE] = I[k.CURRENT]
    free_part(I, F, p)


@k.lean
def roll(I: Any, F: Any, n: int) -> None:
    p = I[n + k.N_BELT]
    far_s = F[p + k.P_SINCE] + F[n + k.N_TRAVEL_S]
    near_s = F[n + k.N_LAST_OUT] + F[n + k.N_SPACING_S]
    whose = I[k.ELEMENT0] + I[n + k.N_INDEX]
    if far_s >= near_s:
        schedule(I, F, far_s, k.RIPE, p, k.ZERO, whose, F[n + k.N_TRAVEL_S], I[p + k.P_SINCE_BY])
    else:
        schedule(I, F, near_s, k.RIPE, p, k.ZERO, whose, F[n + k.N_SPACING_S], k.THIS)


@k.inlined
def arrive(I: Any, F: Any, p: int, n: int, s: int) -> None:
    I[p + k.P_PLACE] = n
    I[p + k.P_SERVER] = s
    I[p + k.P_SORT] = 0
    I[p + k.P_WAY] = -1
    I[p + k.P_SEALED] = 0
    kind = I[n + k.N_KIND]
    if kind == k.DRAIN:
        I[n + k.N_JOBS] += 1
        leave(I, F, p, n, I[n + k.N_IS_SCRAP])
        return
    hold(I, F, n, 1, p)
    if kind == k.STATION:
        I[p + k.P_MATE] = -1
        if I[s + k.S_PARTS] == -1:
            I[s + k.S_PARTS] = p
        else:
            I[I[s + k.S_PARTS_END] + k.P_MATE] = p
        I[s + k.S_PARTS_END] = p
    elif kind == k.CONVEYOR:
        F[p + k.P_SINCE] = F[n + k.N_LAST_IN] = F[k.NOW]
        I[p + k.P_SINCE_BY] = I[n + k.N_LAST_IN_BY] = I[k.CURRENT]
        I[p + k.P_BELT] = -1
        if I[n + k.N_BELT] == -1:
            I[n + k.N_BELT] = I[n + k.N_BELT_END] = p
            roll(I, F, n)
        else:
            I[I[n + k.N_BELT_END] + k.P_BELT] = p
            I[n + k.N_BELT_END] = p
    elif I[n + k.N_STAY] == -1:
        touch(I, F, k.OFFER, p)
    else:
        time_s = draw(I, F, I[n + k.N_STAY])
        whose = element(I, F, I[n + k.N_STAY])
        schedule(I, F, F[k.NOW] + time_s, k.RIPE, p, k.ZERO, whose, time_s, k.THIS)


@k.inlined
def take_off(I: Any, F: Any, n: int, s: int, p: int) -> None:
    """Takes a part out of the list of its conveyor or server, whose links it will need anew."""
    if I[n + k.N_KIND] == k.CONVEYOR:
        I[n + k.N_BELT] = I[p + k.P_BELT]
    if I[n + k.N_KIND] == k.STATION:
        take_from_server(I, F, s, p)


@k.inlined
def take_from_server(I: Any, F: Any, s: int, p: int) -> None:
    before = -1
    at = I[s + k.S_PARTS]
    while at != p:
        before = at
        at = I[at + k.P_MATE]
    if before == -1:
        I[s + k.S_PARTS] = I[p + k.P_MATE]
    else:
        I[before + k.P_MATE] = I[p + k.P_MATE]
    if I[s + k.S_PARTS_END] == p:
        I[s + k.S_PARTS_END] = before
