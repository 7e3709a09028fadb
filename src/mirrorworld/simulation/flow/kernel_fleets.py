"""Fleets, compiled: `reference_fleets.py` on the blocks of `kernel_layout`."""

# numba has no type stubs.
# pyright: basic
# The docstrings of the plain loop hold.
# ruff: noqa: D103, E741

from __future__ import annotations

from typing import Any

from mirrorworld.simulation.flow import kernel_layout as k
from mirrorworld.simulation.flow.kernel_moves import (
    arrive,
    cross,
    draw,
    element,
    enter,
    schedule,
    show,
    take_off,
    touch,
)
from mirrorworld.simulation.flow.kernel_stations import depart, start


@k.lean
def drive_state(I: Any, F: Any, v: int, doing: int) -> None:
    if I[v + k.V_TRIP] == k.BRING or I[v + k.V_TRIP] == k.UNLOAD:
        show(I, F, v, doing, I[I[v + k.V_PART] + k.P_SERIAL], 1)
    else:
        show(I, F, v, doing, k.NIL, k.ZERO)


# --- calling -----------------------------------------------------------------------------------


@k.lean
def book(I: Any, F: Any, p: int, w: int, s: int) -> None:
    I[p + k.P_BOOK_WAY] = w
    I[p + k.P_BOOK_SERVER] = s
    n = I[w + k.W_TARGET]
    if I[n + k.N_KIND] == k.STATION:
        I[s + k.S_PHASE] = k.RESERVED
    if I[n + k.N_KIND] != k.DRAIN:
        I[n + k.N_RESERVED] += 1
    f = I[w + k.W_FLEET]
    hot = I[p + k.P_HOT]
    after = I[f + k.F_CALLS_HOT] if hot else I[f + k.F_CALLS_END]
    before = I[f + k.F_CALLS] if after == -1 else I[after + k.P_CALL]
    I[p + k.P_CALL] = before
    if after == -1:
        I[f + k.F_CALLS] = p
    else:
        I[after + k.P_CALL] = p
    if before == -1:
        I[f + k.F_CALLS_END] = p
    if hot:
        I[f + k.F_CALLS_HOT] = p
    touch_fleet(I, F, f)


@k.lean
def take_call(I: Any, F: Any, f: int, p: int) -> None:
    """Takes a part from those that wait for a vehicle."""
    before = -1
    at = I[f + k.F_CALLS]
    while at != p:
        before = at
        at = I[at + k.P_CALL]
    if before == -1:
        I[f + k.F_CALLS] = I[p + k.P_CALL]
    else:
        I[before + k.P_CALL] = I[p + k.P_CALL]
    if I[f + k.F_CALLS_END] == p:
        I[f + k.F_CALLS_END] = before
    if I[f + k.F_CALLS_HOT] == p:
        I[f + k.F_CALLS_HOT] = before


@k.lean
def touch_fleet(I: Any, F: Any, f: int) -> None:
    if I[f + k.F_CALLING] == 0:
        I[f + k.F_CALLING] = 1
        touch(I, F, k.ASSIGN, f)


@k.lean
def stop(I: Any, F: Any, f: int, n: int) -> int:
    index = I[n + k.N_INDEX]
    return I[I[f + k.F_STOP_OF] + index] if I[f + k.F_TRACK] else index


@k.lean
def far(I: Any, F: Any, f: int, v: int, p: int) -> float:
    """How far a vehicle is from a part."""
    if I[f + k.F_NEAREST] == 0:
        return 0.0
    place = stop(I, F, f, I[p + k.P_PLACE])
    if I[f + k.F_TRACK]:
        return F[I[f + k.F_NEXT] + I[v + k.V_AT] * I[f + k.F_STOPS] + place]
    return 0.0 if I[v + k.V_AT] == place else 1.0


@k.lean
def assign(I: Any, F: Any, f: int) -> None:
    I[f + k.F_CALLING] = 0
    while I[f + k.F_CALLS] != -1:
        best, best_vehicle, best_far = k.NIL, k.NIL, 0.0
        p = I[f + k.F_CALLS]
        while p != -1:
            # The list has hot parts first, then who has waited longest.
            if best != -1 and (
                I[best + k.P_HOT] > I[p + k.P_HOT] or I[f + k.F_NEAREST] == 0 or best_far == 0.0
            ):
                break
            for i in range(I[f + k.F_VEHICLES]):
                v = I[f + k.F_VEHICLE0] + i * k.V_WORDS
                if I[v + k.V_TRIP] == k.IDLE:
                    way = far(I, F, f, v, p)
                    if best == -1 or way < best_far:
                        best, best_vehicle, best_far = p, v, way
            if best == -1:
                return
            p = I[p + k.P_CALL]
        take_call(I, F, f, best)
        I[best_vehicle + k.V_PART] = best
        I[best_vehicle + k.V_TRIP] = k.FETCH
        go(I, F, best_vehicle, stop(I, F, f, I[best + k.P_PLACE]))
    if I[f + k.F_HOME] != -1:
        for i in range(I[f + k.F_VEHICLES]):
            v = I[f + k.F_VEHICLE0] + i * k.V_WORDS
            if I[v + k.V_TRIP] == k.IDLE and I[v + k.V_AT] != I[f + k.F_HOME]:
                I[v + k.V_TRIP] = k.HOME
                go(I, F, v, I[f + k.F_HOME])


# --- driving -----------------------------------------------------------------------------------


@k.lean
def go(I: Any, F: Any, v: int, to: int) -> None:
    I[v + k.V_TO] = to
    if I[v + k.V_AT] == to:
        there(I, F, v)
        return
    f = I[v + k.V_FLEET]
    if I[f + k.F_TRACK]:
        next_zone(I, F, v)
        return
    drive_state(I, F, v, k.BUSY_)
    after(I, F, v, I[f + k.F_TRAVEL])


@k.lean
def after(I: Any, F: Any, v: int, how: int) -> None:
    now = F[k.NOW]
    if how == -1:
        schedule(I, F, now, k.VEHICLE, v, k.ZERO, k.NIL, 0.0, k.THIS)
    else:
        time_s = draw(I, F, how)
        schedule(I, F, now + time_s, k.VEHICLE, v, k.ZERO, element(I, F, how), time_s, k.THIS)


@k.lean
def zone_of(I: Any, F: Any, v: int) -> int:
    """The segment that it wants to enter, or travels."""
    return I[I[v + k.V_FLEET] + k.F_ZONE0] + (I[v + k.V_NEXT] >> 1) * k.Z_WORDS


@k.lean
def next_zone(I: Any, F: Any, v: int) -> None:
    f = I[v + k.V_FLEET]
    I[v + k.V_NEXT] = I[I[f + k.F_NEXT] + I[v + k.V_AT] * I[f + k.F_STOPS] + I[v + k.V_TO]]
    z = zone_of(I, F, v)
    if I[z + k.Z_HEAD] == -1 and has_room(I, F, v, z):
        enter_zone(I, F, v, z)
        return
    I[v + k.V_QUEUE] = -1
    if I[z + k.Z_HEAD] == -1:
        I[z + k.Z_HEAD] = v
    else:
        I[I[z + k.Z_TAIL] + k.V_QUEUE] = v
    I[z + k.Z_TAIL] = v
    drive_state(I, F, v, k.BLOCKED_)


@k.lean
def has_room(I: Any, F: Any, v: int, z: int) -> bool:
    if I[z + k.Z_INSIDE] == 0:
        return True
    return I[z + k.Z_INSIDE] < I[z + k.Z_CAPACITY] and I[z + k.Z_DIRECTION] == I[v + k.V_NEXT] & 1


@k.lean
def enter_zone(I: Any, F: Any, v: int, z: int) -> None:
    leave_zone(I, F, v)
    F[k.MOVED] = F[k.NOW]
    I[z + k.Z_INSIDE] += 1
    I[z + k.Z_DIRECTION] = I[v + k.V_NEXT] & 1
    I[v + k.V_ZONE] = z
    drive_state(I, F, v, k.BUSY_)
    f = I[v + k.V_FLEET]
    time_s = F[z + k.Z_LENGTH] / F[f + k.F_SPEED]
    whose = I[k.ELEMENT0] + I[k.NODES] + I[f + k.F_INDEX]
    schedule(I, F, F[k.NOW] + time_s, k.VEHICLE, v, k.ZERO, whose, time_s, k.THIS)


@k.lean
def leave_zone(I: Any, F: Any, v: int) -> None:
    if I[v + k.V_ZONE] != -1:
        I[I[v + k.V_ZONE] + k.Z_INSIDE] -= 1
        touch(I, F, k.OPEN_ZONE, I[v + k.V_ZONE])
        I[v + k.V_ZONE] = -1


@k.lean
def open_zone(I: Any, F: Any, z: int) -> None:
    while I[z + k.Z_HEAD] != -1 and has_room(I, F, I[z + k.Z_HEAD], z):
        v = I[z + k.Z_HEAD]
        I[z + k.Z_HEAD] = I[v + k.V_QUEUE]
        enter_zone(I, F, v, z)


@k.lean
def vehicle_event(I: Any, F: Any, v: int) -> None:
    F[k.MOVED] = F[k.NOW]
    f = I[v + k.V_FLEET]
    if I[v + k.V_TRIP] == k.LOAD:
        loaded(I, F, v)
    elif I[v + k.V_TRIP] == k.UNLOAD:
        unloaded(I, F, v)
    elif I[f + k.F_TRACK] == 0:
        I[v + k.V_AT] = I[v + k.V_TO]
        there(I, F, v)
    else:
        z = zone_of(I, F, v)
        I[v + k.V_AT] = I[z + k.Z_FROM] if I[v + k.V_NEXT] & 1 else I[z + k.Z_TO]
        if I[v + k.V_AT] == I[v + k.V_TO] or I[v + k.V_TRIP] == k.HOME:
            leave_zone(I, F, v)
            there(I, F, v)
        else:
            next_zone(I, F, v)


@k.lean
def there(I: Any, F: Any, v: int) -> None:
    f = I[v + k.V_FLEET]
    if I[v + k.V_TRIP] == k.HOME:
        I[v + k.V_TRIP] = k.IDLE
        drive_state(I, F, v, k.STARVED_)
        touch_fleet(I, F, f)
        return
    I[v + k.V_TRIP] = k.LOAD if I[v + k.V_TRIP] == k.FETCH else k.UNLOAD
    drive_state(I, F, v, k.BUSY_)
    after(I, F, v, I[f + k.F_LOAD] if I[v + k.V_TRIP] == k.LOAD else I[f + k.F_UNLOAD])


@k.lean
def loaded(I: Any, F: Any, v: int) -> None:
    p = I[v + k.V_PART]
    w, n, s = I[p + k.P_BOOK_WAY], I[p + k.P_PLACE], I[p + k.P_SERVER]
    I[v + k.V_TRIP] = k.BRING
    cross(I, F, p, w, -1)
    enter(I, F, p, n)
    take_off(I, F, n, s, p)
    depart(I, F, p, n, s)
    go(I, F, v, stop(I, F, I[v + k.V_FLEET], I[w + k.W_TARGET]))


@k.lean
def unloaded(I: Any, F: Any, v: int) -> None:
    p = I[v + k.V_PART]
    w, s = I[p + k.P_BOOK_WAY], I[p + k.P_BOOK_SERVER]
    n = I[w + k.W_TARGET]
    I[v + k.V_PART] = -1
    I[w + k.W_MOVED] += 1
    if I[n + k.N_KIND] != k.DRAIN:
        I[n + k.N_RESERVED] -= 1
    arrive(I, F, p, n, s)
    if s != -1:
        start(I, F, s)
    I[v + k.V_TRIP] = k.IDLE
    drive_state(I, F, v, k.STARVED_)
    touch_fleet(I, F, I[v + k.V_FLEET])
