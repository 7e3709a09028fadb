"""Stations, compiled: `reference_stations.py` on the blocks of `kernel_layout`."""

# numba has no type stubs.
# pyright: basic
# The docstrings of the plain loop hold.
# ruff: noqa: D103, E741, SIM110

from __future__ import annotations

from typing import Any

from mirrorworld.simulation.flow import kernel_layout as k
from mirrorworld.simulation.flow.kernel_moves import (
    become,
    chance,
    change_inside,
    draw,
    element,
    fits,
    free_part,
    hold,
    leave,
    new_part,
    record,
    roll,
    schedule,
    show,
    take_from_server,
    touch,
    touch_loop,
    touch_node,
    touch_requests,
)


@k.inlined
def is_up(I: Any, F: Any, s: int) -> bool:
    return I[s + k.S_TROUBLE] == 0 and I[I[s + k.S_PLACE] + k.N_OPEN] == 1


@k.inlined
def restate(I: Any, F: Any, s: int) -> None:
    n = I[s + k.S_PLACE]
    phase = I[s + k.S_PHASE]
    if I[s + k.S_TROUBLE] == k.DOWN:
        doing = k.DOWN_
    elif I[s + k.S_TROUBLE] == k.MAINTENANCE:
        doing = k.MAINTENANCE_
    elif I[n + k.N_OPEN] == 0:
        doing = k.OFF_
    elif phase == k.BUSY:
        doing = k.BUSY_
    elif phase == k.BLOCKED:
        doing = k.BLOCKED_
    elif phase == k.SETUP:
        doing = k.SETUP_
    elif phase == k.WAITING:
        doing = k.WAITING_
    else:
        doing = k.STARVED_
    p = I[s + k.S_PARTS]
    show(I, F, s, doing, -1 if p == -1 else I[p + k.P_SERIAL], I[n + k.N_HELD])


# --- jobs --------------------------------------------------------------------------------------


@k.lean
def start(I: Any, F: Any, s: int) -> None:
    n, p = I[s + k.S_PLACE], I[s + k.S_PARTS]
    I[s + k.S_PHASE] = k.WAITING
    setup = -1
    if I[s + k.S_LAST] != -1:
        setup = I[I[n + k.N_SETUP] + I[s + k.S_LAST] * I[k.TYPES] + I[p + k.P_KIND]]
    I[s + k.S_SETUP] = setup
    needs = I[n + k.N_NEEDS]
    if setup != -1:
        needs += I[n + k.N_SETUP_NEEDS]
    if needs == 0 and is_up(I, F, s):
        begin(I, F, s)
        return
    ask(I, F, I[s + k.S_REQUEST], I[p + k.P_HOT])
    restate(I, F, s)


@k.lean
def begin(I: Any, F: Any, s: int) -> None:
    F[k.MOVED] = F[k.NOW]
    if I[s + k.S_SETUP] == -1:
        process(I, F, s)
        return
    I[s + k.S_PHASE] = k.SETUP
    work(I, F, s, I[s + k.S_SETUP])


@k.lean
def process(I: Any, F: Any, s: int) -> None:
    kind = I[I[s + k.S_PARTS] + k.P_KIND]
    I[s + k.S_PHASE] = k.BUSY
    I[s + k.S_LAST] = kind
    work(I, F, s, I[I[I[s + k.S_PLACE] + k.N_PROCESS] + kind])


@k.lean
def work(I: Any, F: Any, s: int, how: int) -> None:
    time_s = draw(I, F, how)
    F[s + k.S_LEFT] = time_s
    F[s + k.S_TOOK_S] = time_s
    I[s + k.S_TOOK] = element(I, F, how)
    go_on(I, F, s)


@k.lean
def go_on(I: Any, F: Any, s: int) -> None:
    F[s + k.S_BEGAN] = F[k.NOW]
    stretch_s = F[s + k.S_LEFT]
    mode = -1
    if I[s + k.S_PHASE] == k.BUSY:
        ages = I[s + k.S_FAIL]
        for i in range(I[I[s + k.S_PLACE] + k.N_FAILS]):
            if F[ages + i] < stretch_s:
                stretch_s, mode = F[ages + i], i
    F[s + k.S_STRETCH] = stretch_s
    if mode == -1:
        I[s + k.S_WORK] = schedule(
            I,
            F,
            F[k.NOW] + stretch_s,
            k.WORK_ENDS,
            s,
            k.ZERO,
            I[s + k.S_TOOK],
            F[s + k.S_TOOK_S],
            k.THIS,
        )
    else:
        I[s + k.S_WORK] = schedule(
            I, F, F[k.NOW] + stretch_s, k.WEARS_OUT, s, mode, k.NIL, 0.0, k.THIS
        )
    restate(I, F, s)


@k.lean
def break_off(I: Any, F: Any, s: int) -> None:
    I[k.PENDING] -= 1
    spend(I, F, s, F[k.NOW] - F[s + k.S_BEGAN])


@k.inlined
def spend(I: Any, F: Any, s: int, time_s: float) -> None:
    I[s + k.S_WORK] = -1
    F[s + k.S_LEFT] -= time_s
    if I[s + k.S_PHASE] == k.BUSY:
        ages = I[s + k.S_FAIL]
        for i in range(I[I[s + k.S_PLACE] + k.N_FAILS]):
            F[ages + i] -= time_s


@k.lean
def work_ends(I: Any, F: Any, s: int) -> None:
    spend(I, F, s, F[s + k.S_STRETCH])
    if I[s + k.S_PHASE] == k.SETUP:
        give_back(I, F, s, k.FOR_SETUP)
        process(I, F, s)
    else:
        finish(I, F, s)


@k.lean
def finish(I: Any, F: Any, s: int) -> None:
    n = I[s + k.S_PLACE]
    F[k.MOVED] = F[k.NOW]
    I[n + k.N_JOBS] += 1
    for i in range(I[n + k.N_UPKEEPS]):
        I[I[s + k.S_UPKEEP] + i * k.UP_WORDS + k.UP_JOBS] += 1
    if I[n + k.N_TAKES] > 0 and I[n + k.N_IS_BATCH] == 0:
        whole = I[s + k.S_PARTS]
        p = I[whole + k.P_MATE]
        while p != -1:
            after = I[p + k.P_MATE]
            F[whole + k.P_COST] += F[p + k.P_COST]
            F[whole + k.P_CARBON] += F[p + k.P_CARBON]
            end(I, F, p, n)
            p = after
        I[whole + k.P_MATE] = -1
        I[s + k.S_PARTS_END] = whole
    p = I[s + k.S_PARTS]
    while p != -1:
        after = I[p + k.P_MATE]
        I[p + k.P_SORT] = outcome(I, F, n)
        if I[p + k.P_SORT] == k.SCRAP and not has_way(I, F, n, p):
            take_from_server(I, F, s, p)
            uncount(I, F, p, n)
            leave(I, F, p, n, 1)
        elif I[p + k.P_SORT] == k.SOUND and I[n + k.N_GIVES] > 0:
            take_apart(I, F, s, n, p)
        p = after
    I[s + k.S_PHASE] = k.BLOCKED
    p = I[s + k.S_PARTS]
    while p != -1:
        touch(I, F, k.OFFER, p)
        p = I[p + k.P_MATE]
    if I[k.POOLS] > 0:
        give_back(I, F, s, k.FOR_JOB)
    if I[s + k.S_PARTS] == -1:
        vacated(I, F, s)
    else:
        restate(I, F, s)


@k.lean
def has_way(I: Any, F: Any, n: int, p: int) -> bool:
    first = I[n + k.N_OUT]
    for at in range(first, first + I[n + k.N_OUTS]):
        if fits(I, F, p, I[at]):
            return True
    return False


@k.inlined
def outcome(I: Any, F: Any, n: int) -> int:
    if F[n + k.N_SCRAP] > 0 and chance(I, F, I[n + k.N_SCRAP_PICK]) < F[n + k.N_SCRAP]:
        return k.SCRAP
    if F[n + k.N_REWORK] > 0 and chance(I, F, I[n + k.N_REWORK_PICK]) < F[n + k.N_REWORK]:
        return k.REWORK
    return k.SOUND


@k.lean
def take_apart(I: Any, F: Any, s: int, n: int, whole: int) -> None:
    parts = 0
    give = I[n + k.N_GIVE]
    for i in range(I[n + k.N_GIVES]):
        parts += I[give + 3 * i + 1]
    I[s + k.S_PARTS] = I[s + k.S_PARTS_END] = -1
    kind, hot = I[whole + k.P_KIND], I[whole + k.P_HOT]
    entered, due = F[whole + k.P_ENTERED], F[whole + k.P_DUE]
    cost, carbon = F[whole + k.P_COST], F[whole + k.P_CARBON]
    end(I, F, whole, n)
    for i in range(I[n + k.N_GIVES]):
        new_kind = I[give + 3 * i + 2]
        for _ in range(I[give + 3 * i + 1]):
            p = new_part(I, F, kind if new_kind == -1 else new_kind, hot)
            I[p + k.P_WAY] = I[give + 3 * i]
            I[p + k.P_SEALED] = 1
            I[p + k.P_PLACE] = n
            I[p + k.P_SERVER] = s
            F[p + k.P_ENTERED] = entered
            F[p + k.P_DUE] = due
            F[p + k.P_COST] = cost / parts
            F[p + k.P_CARBON] = carbon / parts
            if new_kind != -1:
                become(I, F, p, new_kind)
            change_inside(I, F, 1, F[k.NOW])
            for at in range(I[n + k.N_LOOP], I[n + k.N_LOOP] + I[n + k.N_LOOPS]):
                I[I[at] + k.L_COUNT] += I[I[I[at] + k.L_TYPES] + I[p + k.P_KIND]]
            if I[s + k.S_PARTS] == -1:
                I[s + k.S_PARTS] = p
            else:
                I[I[s + k.S_PARTS_END] + k.P_MATE] = p
            I[s + k.S_PARTS_END] = p
            hold(I, F, n, 1, p)


@k.lean
def end(I: Any, F: Any, p: int, n: int) -> None:
    uncount(I, F, p, n)
    change_inside(I, F, -1, F[k.NOW])
    free_part(I, F, p)


@k.lean
def uncount(I: Any, F: Any, p: int, n: int) -> None:
    hold(I, F, n, -1, p)
    for at in range(I[n + k.N_LOOP], I[n + k.N_LOOP] + I[n + k.N_LOOPS]):
        loop = I[at]
        if I[I[loop + k.L_TYPES] + I[p + k.P_KIND]]:
            I[loop + k.L_COUNT] -= 1
            touch_loop(I, F, loop)


@k.inlined
def vacated(I: Any, F: Any, s: int) -> None:
    I[s + k.S_PHASE] = k.EMPTY
    is_kept = I[I[s + k.S_PLACE] + k.N_UPKEEPS] > 0
    if is_kept and I[s + k.S_TROUBLE] == 0 and maintain(I, F, s):
        return
    restate(I, F, s)
    if is_up(I, F, s):
        touch_node(I, F, I[s + k.S_PLACE])


@k.inlined
def depart(I: Any, F: Any, p: int, n: int, s: int) -> None:
    """Its caller has taken it off."""
    hold(I, F, n, -1, p)
    kind = I[n + k.N_KIND]
    if kind == k.STATION:
        if I[s + k.S_PARTS] == -1:
            vacated(I, F, s)
        return
    I[n + k.N_JOBS] += 1
    if kind == k.SOURCE:
        if I[n + k.N_HELD] == 0 and I[n + k.N_SATURATED] and I[n + k.N_LEFT] > 0:
            schedule(I, F, F[k.NOW], k.FEED, n, k.ZERO, k.NIL, 0.0, k.THIS)
        return
    if kind == k.CONVEYOR:
        F[n + k.N_LAST_OUT] = F[k.NOW]
        if I[n + k.N_BELT] != -1:
            roll(I, F, n)
    touch_node(I, F, n)


# --- trouble -----------------------------------------------------------------------------------


@k.lean
def begin_station(I: Any, F: Any, n: int) -> None:
    for i in range(I[n + k.N_SERVERS]):
        s = I[n + k.N_SERVER0] + i * k.S_WORDS
        for mode in range(I[n + k.N_FAILS]):
            restart_clock(I, F, s, mode)
        for j in range(I[n + k.N_UPKEEPS]):
            every_s = F[I[n + k.N_UPKEEP] + j * k.U_WORDS + k.U_EVERY_S]
            if every_s > 0:
                I[I[s + k.S_UPKEEP] + j * k.UP_WORDS + k.UP_EVENT] = schedule(
                    I, F, every_s, k.FALL_DUE, s, j, -1, 0.0, -2
                )
        if I[n + k.N_OPEN] == 0:
            I[s + k.S_DOING] = k.OFF_
        record(I, F, I[s + k.S_ROW], I[s + k.S_NUMBER], I[s + k.S_DOING], k.NIL, k.ZERO)


@k.lean
def restart_clock(I: Any, F: Any, s: int, mode: int) -> None:
    d = I[I[s + k.S_PLACE] + k.N_FAIL] + mode * k.D_WORDS
    time_s = draw(I, F, I[d + k.D_BETWEEN])
    if I[d + k.D_IS_CALENDAR]:
        whose = element(I, F, I[d + k.D_BETWEEN])
        schedule(I, F, F[k.NOW] + time_s, k.BREAKS, s, mode, whose, time_s, k.THIS)
    else:
        F[I[s + k.S_FAIL] + mode] = time_s


@k.lean
def wears_out(I: Any, F: Any, s: int, mode: int) -> None:
    spend(I, F, s, F[s + k.S_STRETCH])
    fail(I, F, s, mode)


@k.lean
def breaks(I: Any, F: Any, s: int, mode: int) -> None:
    if I[s + k.S_TROUBLE] != 0:
        I[I[s + k.S_FAIL] + mode] = 1
        return
    if I[s + k.S_WORK] != -1:
        break_off(I, F, s)
    fail(I, F, s, mode)


@k.lean
def fail(I: Any, F: Any, s: int, mode: int) -> None:
    I[s + k.S_TROUBLE] = k.DOWN
    I[s + k.S_MODE] = mode
    I[I[s + k.S_FAIL] + mode] = 0
    d = I[I[s + k.S_PLACE] + k.N_FAIL] + mode * k.D_WORDS
    if I[d + k.D_NEEDS] > 0:
        ask(I, F, I[s + k.S_REQUEST] + k.R_WORDS, k.ZERO)
    else:
        mend(I, F, s)
    restate(I, F, s)


@k.lean
def mend(I: Any, F: Any, s: int) -> None:
    n = I[s + k.S_PLACE]
    if I[s + k.S_TROUBLE] == k.DOWN:
        how = I[I[n + k.N_FAIL] + I[s + k.S_MODE] * k.D_WORDS + k.D_REPAIR]
        then = k.MENDED
    else:
        how = I[I[n + k.N_UPKEEP] + I[s + k.S_MODE] * k.U_WORDS + k.U_DURATION]
        then = k.MAINTAINED
    time_s = draw(I, F, how)
    schedule(I, F, F[k.NOW] + time_s, then, s, k.ZERO, element(I, F, how), time_s, k.THIS)


@k.lean
def mended(I: Any, F: Any, s: int) -> None:
    give_back(I, F, s, k.FOR_REPAIR)
    restart_clock(I, F, s, I[s + k.S_MODE])
    comes_up(I, F, s)


@k.lean
def fall_due(I: Any, F: Any, s: int, j: int) -> None:
    up = I[s + k.S_UPKEEP] + j * k.UP_WORDS
    I[up + k.UP_EVENT] = -1
    I[up + k.UP_PLANNED] = 1
    if I[s + k.S_PHASE] == k.EMPTY and I[s + k.S_TROUBLE] == 0:
        maintain(I, F, s)


@k.lean
def maintain(I: Any, F: Any, s: int) -> bool:
    n = I[s + k.S_PLACE]
    for j in range(I[n + k.N_UPKEEPS]):
        u = I[n + k.N_UPKEEP] + j * k.U_WORDS
        up = I[s + k.S_UPKEEP] + j * k.UP_WORDS
        if I[up + k.UP_PLANNED] or 0 < I[u + k.U_PARTS] <= I[up + k.UP_JOBS]:
            I[s + k.S_TROUBLE] = k.MAINTENANCE
            I[s + k.S_MODE] = j
            if I[u + k.U_NEEDS] > 0:
                ask(I, F, I[s + k.S_REQUEST] + k.R_WORDS, k.ZERO)
            else:
                mend(I, F, s)
            restate(I, F, s)
            return True
    return False


@k.lean
def maintained(I: Any, F: Any, s: int) -> None:
    j = I[s + k.S_MODE]
    up = I[s + k.S_UPKEEP] + j * k.UP_WORDS
    every_s = F[I[I[s + k.S_PLACE] + k.N_UPKEEP] + j * k.U_WORDS + k.U_EVERY_S]
    give_back(I, F, s, k.FOR_REPAIR)
    I[up + k.UP_PLANNED] = 0
    I[up + k.UP_JOBS] = 0
    if every_s > 0:
        I[up + k.UP_EVENT] = schedule(
            I, F, F[k.NOW] + every_s, k.FALL_DUE, s, j, k.NIL, 0.0, k.THIS
        )
    comes_up(I, F, s)


@k.lean
def comes_up(I: Any, F: Any, s: int) -> None:
    I[s + k.S_TROUBLE] = 0
    I[s + k.S_MODE] = -1
    for mode in range(I[I[s + k.S_PLACE] + k.N_FAILS]):
        if I[I[s + k.S_FAIL] + mode]:
            fail(I, F, s, mode)
            return
    if I[s + k.S_PHASE] == k.EMPTY and maintain(I, F, s):
        return
    resume(I, F, s)


@k.lean
def resume(I: Any, F: Any, s: int) -> None:
    restate(I, F, s)
    if not is_up(I, F, s):
        return
    phase = I[s + k.S_PHASE]
    if phase == k.EMPTY:
        touch_node(I, F, I[s + k.S_PLACE])
    elif phase == k.WAITING:
        touch_requests(I, F)
    elif phase == k.SETUP or phase == k.BUSY:
        go_on(I, F, s)


@k.lean
def change_station(I: Any, F: Any, n: int, is_open: int) -> None:
    I[n + k.N_OPEN] = is_open
    for i in range(I[n + k.N_SERVERS]):
        s = I[n + k.N_SERVER0] + i * k.S_WORDS
        if is_open == 0 and I[s + k.S_WORK] != -1:
            break_off(I, F, s)
        resume(I, F, s)


# --- people and tools --------------------------------------------------------------------------


@k.lean
def ask(I: Any, F: Any, r: int, hot: int) -> None:
    I[r + k.R_HOT] = hot
    I[r + k.R_ACTIVE] = 1
    after = I[k.REQUEST_HOT] if hot else I[k.REQUEST_TAIL]
    before = I[k.REQUEST_HEAD] if after == -1 else I[after + k.R_NEXT]
    I[r + k.R_PREVIOUS] = after
    I[r + k.R_NEXT] = before
    if after == -1:
        I[k.REQUEST_HEAD] = r
    else:
        I[after + k.R_NEXT] = r
    if before == -1:
        I[k.REQUEST_TAIL] = r
    else:
        I[before + k.R_PREVIOUS] = r
    if hot:
        I[k.REQUEST_HOT] = r
    touch_requests(I, F)


@k.lean
def withdraw(I: Any, F: Any, r: int) -> None:
    I[r + k.R_ACTIVE] = 0
    after, before = I[r + k.R_PREVIOUS], I[r + k.R_NEXT]
    if after == -1:
        I[k.REQUEST_HEAD] = before
    else:
        I[after + k.R_NEXT] = before
    if before == -1:
        I[k.REQUEST_TAIL] = after
    else:
        I[before + k.R_PREVIOUS] = after
    if I[k.REQUEST_HOT] == r:
        I[k.REQUEST_HOT] = after


@k.lean
def serve(I: Any, F: Any) -> None:
    I[k.IS_SERVING] = 0
    r = I[k.REQUEST_HEAD]
    while r != -1:
        after = I[r + k.R_NEXT]
        s = I[r + k.R_SERVER]
        n = I[s + k.S_PLACE]
        if I[r + k.R_HELD] == k.FOR_JOB:
            if is_up(I, F, s):
                needs = I[n + k.N_SETUP_NEEDS] if I[s + k.S_SETUP] != -1 else 0
                if grant(I, F, s, k.FOR_JOB, I[n + k.N_NEED], I[n + k.N_NEEDS]):
                    if grant(I, F, s, k.FOR_SETUP, I[n + k.N_SETUP_NEED], needs):
                        settle_grant(I, F, s, k.FOR_JOB)
                        settle_grant(I, F, s, k.FOR_SETUP)
                        withdraw(I, F, r)
                        begin(I, F, s)
                    else:
                        undo_grant(I, F, s, k.FOR_JOB)
        else:
            if I[s + k.S_TROUBLE] == k.DOWN:
                d = I[n + k.N_FAIL] + I[s + k.S_MODE] * k.D_WORDS
                need, needs = I[d + k.D_NEED], I[d + k.D_NEEDS]
            else:
                u = I[n + k.N_UPKEEP] + I[s + k.S_MODE] * k.U_WORDS
                need, needs = I[u + k.U_NEED], I[u + k.U_NEEDS]
            if grant(I, F, s, k.FOR_REPAIR, need, needs):
                settle_grant(I, F, s, k.FOR_REPAIR)
                withdraw(I, F, r)
                mend(I, F, s)
        r = after


@k.lean
def grant(I: Any, F: Any, s: int, held: int, need: int, needs: int) -> bool:
    """Takes members of the free for a server; undoes it all if there are too few."""
    hold_ = I[s + k.S_HOLD] + held * I[k.GROUPS]
    for i in range(needs):
        row = need + i * k.NEED_WORDS
        g, missing, able = I[row + k.NEED_POOL], I[row + k.NEED_COUNT], I[row + k.NEED_ABLE]
        if I[g + k.G_OPEN]:
            for group in range(I[g + k.G_GROUPS]):
                if I[able + group]:
                    taken = min(missing, I[I[g + k.G_FREE] + group])
                    I[I[g + k.G_FREE] + group] -= taken
                    I[hold_ + I[g + k.G_FIRST] + group] += taken
                    missing -= taken
        if missing > 0:
            undo_grant(I, F, s, held)
            return False
    return True


@k.lean
def undo_grant(I: Any, F: Any, s: int, held: int) -> None:
    hold_ = I[s + k.S_HOLD] + held * I[k.GROUPS]
    for i in range(I[k.POOLS]):
        g = I[k.POOL0] + i * k.G_WORDS
        for group in range(I[g + k.G_GROUPS]):
            at = hold_ + I[g + k.G_FIRST] + group
            I[I[g + k.G_FREE] + group] += I[at]
            I[at] = 0


@k.lean
def settle_grant(I: Any, F: Any, s: int, held: int) -> None:
    """Who was taken is at work from now on."""
    hold_ = I[s + k.S_HOLD] + held * I[k.GROUPS]
    for i in range(I[k.POOLS]):
        g = I[k.POOL0] + i * k.G_WORDS
        for group in range(I[g + k.G_GROUPS]):
            n = I[hold_ + I[g + k.G_FIRST] + group]
            if n:
                change_pool(I, F, g, n, F[k.NOW])


@k.lean
def change_pool(I: Any, F: Any, g: int, change: int, time_s: float) -> None:
    F[g + k.G_INTEGRAL] += I[g + k.G_BUSY] * (time_s - F[g + k.G_CHANGED])
    F[g + k.G_CHANGED] = time_s
    I[g + k.G_BUSY] += change


@k.lean
def give_back(I: Any, F: Any, s: int, held: int) -> None:
    hold_ = I[s + k.S_HOLD] + held * I[k.GROUPS]
    is_any = False
    for i in range(I[k.POOLS]):
        g = I[k.POOL0] + i * k.G_WORDS
        for group in range(I[g + k.G_GROUPS]):
            at = hold_ + I[g + k.G_FIRST] + group
            if I[at]:
                change_pool(I, F, g, -I[at], F[k.NOW])
                I[I[g + k.G_FREE] + group] += I[at]
                I[at] = 0
                is_any = True
    if is_any:
        touch_requests(I, F)
