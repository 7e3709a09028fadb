"""The recurrences of lines: when each part leaves each station, by additions and maxima alone.

With blocking after service, part n leaves station i at

    D[n,i] = max(max(D[n,i-1], D[n-1,i]) + S[n,i], D[n-c-1,i+1])

where S are service times and c is the capacity of the buffer behind station i. The first station
always has a part (or has it from its release time on), the last one always has room. No event
list is kept, so this is the fastest exact engine for what it covers; it gives the same bits as an
event loop on the same samples, because that makes the same additions.

Fork-join networks and stations with several servers have recurrences of the same kind. The
loops know arrays only; `recurrence.py` knows models.
"""

# numba has no type stubs.
# pyright: basic

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirrorworld.simulation.flow.streams import compiled

LANES: Final = 16
"""Designs worked on side by side in `lanes`: their state stays in the nearest cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Seconds, [N, K] each: row n of a column is the n-th job of that station.

    Of a station with several servers `start` and `finish` are in the order of starting,
    `departure` is in the order of leaving.
    """

    start: NDArray[np.float64]
    finish: NDArray[np.float64]
    departure: NDArray[np.float64]
    order: NDArray[np.int64] | None = None
    """[N] the number on entering of the n-th part that left; None: none overtakes."""


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """What came of each of several designs; [designs] each, seconds."""

    begin_s: NDArray[np.float64]
    """When the last part of the warm-up left."""
    end_s: NDArray[np.float64]
    """When the last part left."""
    lead_s: NDArray[np.float64]
    """Mean time from the start at the first station to leaving, after the warm-up."""
    parts: int
    """How many left after the warm-up."""

    @property
    def throughput_per_s(self) -> NDArray[np.float64]:
        """Parts a second after the warm-up."""
        return self.parts / (self.end_s - self.begin_s)


def departures(
    samples: ArrayLike, buffers: ArrayLike, release: ArrayLike | None = None
) -> NDArray[np.float64]:
    """[N, K] times at which the parts of a serial line leave its stations.

    Args:
        samples: [N, K] service times, seconds.
        buffers: [K - 1] places between the stations; 0 is allowed.
        release: [N] when each part is there at the first station; None: always.

    Raises:
        ValueError: shapes do not fit, or a time is negative or no number.
    """
    s, caps = check_line(samples, buffers)
    n, k = s.shape
    out = np.zeros((n + 1, k))
    _serial(s, caps, _release(release, n), out)
    return out[1:]


def serial_times(samples: ArrayLike, buffers: ArrayLike, release: ArrayLike | None = None) -> Times:
    """As `departures`, with starts and ends of service."""
    s, _ = check_line(samples, buffers)
    out = departures(s, buffers, release)
    ready = np.empty_like(out)
    ready[:, 1:] = out[:, :-1]
    ready[:, 0] = 0.0 if release is None else release
    start = ready
    np.maximum(start[1:], out[:-1], out=start[1:])
    return Times(start, start + s, out)


def server_times(
    samples: ArrayLike,
    buffers: ArrayLike,
    servers: ArrayLike,
    release: ArrayLike | None = None,
) -> Times:
    """A serial line whose stations have several servers; S[n, i] is that of the n-th start there.

    Parts start in the order in which they come and overtake each other in service; those that are
    finished and blocked leave in the order of finishing.

    The k-th departure of a station with c servers is the k-th smallest end of service among its
    first k + c starts, or the time at which the place behind it is free, whichever is later; the
    n-th start waits for the (n - c)-th departure. Columns are worked through with a lag of c - 1.
    """
    s, caps = check_line(samples, buffers)
    counts = np.asarray(servers, np.int64)
    if counts.shape != (s.shape[1],) or counts.min(initial=1) < 1:
        raise ValueError(f"servers {servers}; give one or more for each of {s.shape[1]} stations")
    start, finish, leave = np.empty_like(s), np.empty_like(s), np.empty_like(s)
    order = np.empty((2, *s.shape[::-1]), np.int64)
    _servers(s, caps, counts, _release(release, len(s)), start, finish, leave, order)
    return Times(start, finish, leave, order[1, -1])


def fork_join_times(
    samples: ArrayLike,
    edges: ArrayLike,
    release: ArrayLike | None = None,
) -> Times:
    """A network in which each job takes one part from every edge into its station and gives one
    to every edge out of it, without circles.

    A job starts when all its parts are there, and takes them from where they are: until then, a
    part before which there is no buffer stays in its station. Each part that a job gives goes on
    as soon as there is room for it; the server is free when the last has gone.

    Args:
        samples: [N, K] service times, seconds; stations numbered so that edges lead upwards.
        edges: [E, 3] rows of (from, to, capacity of the buffer between).
        release: [N] when parts are there at all stations that no edge leads to; None: always.

    Raises:
        ValueError: an edge leads downwards or to no station, or a time is negative or no number.
    """
    s = check_samples(samples)
    e = np.asarray(edges, np.int64).reshape(-1, 3)
    k = s.shape[1]
    for a, b, capacity in e:
        if not 0 <= a < b < k:
            raise ValueError(f"edge {a}→{b}: number the {k} stations so that edges lead upwards")
        if capacity < 0:
            raise ValueError(f"edge {a}→{b}: capacity {capacity}; give 0 or more")
    start, finish, leave = np.empty_like(s), np.empty_like(s), np.empty_like(s)
    gone = np.zeros((len(s), len(e)))
    into = np.argsort(e[:, 1], kind="stable")
    out_of = np.argsort(e[:, 0], kind="stable")
    first_in = np.searchsorted(e[into, 1], np.arange(k + 1))
    first_out = np.searchsorted(e[out_of, 0], np.arange(k + 1))
    _fork_join(
        s, e, into, first_in, out_of, first_out, _release(release, len(s)),
        start, finish, leave, gone,
    )  # fmt: skip
    return Times(start, finish, leave)


def lanes(
    samples: ArrayLike,
    scales: ArrayLike,
    buffers: ArrayLike,
    *,
    warm_up: int = 0,
) -> Lanes:
    """Many designs of a serial line on the same samples, several side by side.

    The service time of part n at station i of design d is samples[n, i] · scales[d, i]: the same
    bits as `departures` of that product.

    Args:
        samples: [N, K] service times, seconds.
        scales: [designs, K] factors on them.
        buffers: [designs, K - 1] places between the stations.
        warm_up: parts that are left out at the beginning.

    Raises:
        ValueError: shapes do not fit, or a number is negative or none.
    """
    s = check_samples(samples)
    factors = np.asarray(scales, np.float64)
    places = np.asarray(buffers, np.int64)
    n, k = s.shape
    if factors.ndim != 2 or factors.shape[1] != k:
        raise ValueError(f"scales of shape {factors.shape}; give [designs, {k}]")
    if places.shape != (len(factors), k - 1):
        raise ValueError(f"buffers of shape {places.shape}; give [{len(factors)}, {k - 1}]")
    if not (np.isfinite(factors).all() and (factors >= 0).all()):
        raise ValueError("scales: one is negative or no number")
    if (places < 0).any():
        raise ValueError("buffers: one is negative; 0 is the least")
    if not 0 <= warm_up < n:
        raise ValueError(f"warm_up {warm_up}; give 0 to {n - 1} of {n} parts")
    designs = len(factors)
    out = np.empty((3, designs))
    if designs:
        offsets = np.minimum(places, n) + 1
        slots = 1 << int(offsets.max(initial=1)).bit_length()
        _lane_blocks(s, factors, offsets, slots, warm_up, out)
    return Lanes(out[0], out[1], out[2] / (n - warm_up), n - warm_up)


def slot_departures(
    durations: ArrayLike, buffers: ArrayLike, *, is_refilled: bool
) -> NDArray[np.float64]:
    """[N, K] the slot (from 1) in which each part leaves each machine of a line in slotted time
    whose machines do not begin before there is room (blocking before service).

    Args:
        durations: [N, K] slots from the first in which a machine may work on a part to the one
            in which it does, both counted: 1 or more.
        buffers: [K - 1] places between the machines, 1 or more.
        is_refilled: whether a place that is emptied in a slot may be filled in the same.

    Raises:
        ValueError: shapes do not fit, or a number is too small.
    """
    s, caps = check_line(durations, buffers)
    if (s < 1).any() or (caps[: len(s)] < 1).any():
        raise ValueError("give slots and places of 1 or more")
    out = np.zeros((len(s) + 1, s.shape[1]))
    _slots(s, caps, 1.0 if is_refilled else 0.0, out)
    return out[1:]


def check_samples(samples: ArrayLike) -> NDArray[np.float64]:
    """[N, K] service times as the loops take them; ValueError."""
    s = np.ascontiguousarray(samples, np.float64)
    if s.ndim != 2 or not s.shape[1]:
        raise ValueError(f"samples of shape {s.shape}; give [parts, stations]")
    # One pass: NaN makes the least NaN, infinity the greatest infinite.
    if s.size and not (s.min() >= 0 and s.max() < np.inf):
        row, column = np.argwhere(~((s >= 0) & (s < np.inf)))[0]
        raise ValueError(f"samples: {s[row, column]} for part {row} at station {column}")
    return s


def check_line(
    samples: ArrayLike, buffers: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Samples, and capacities that are no greater than the number of parts; ValueError."""
    s = check_samples(samples)
    caps = np.asarray(buffers, np.int64).reshape(-1)
    if len(caps) != s.shape[1] - 1:
        raise ValueError(f"{len(caps)} buffers; {s.shape[1]} stations have {s.shape[1] - 1}")
    if (caps < 0).any():
        raise ValueError(f"buffers {caps.tolist()}; 0 is the least")
    return s, np.minimum(caps, len(s))


def _release(release: ArrayLike | None, n: int) -> NDArray[np.float64]:
    if release is None:
        return np.zeros(0)
    times = np.ascontiguousarray(release, np.float64)
    if times.shape != (n,) or not (np.diff(times) >= 0).all() or (n and times[0] < 0):
        raise ValueError(f"release: give {n} ascending times")
    return times


@compiled
def _serial(s: Any, caps: Any, release: Any, out: Any) -> None:
    """Row n + 1 of `out` is part n; row 0 stays 0, and stands for all that was before."""
    n_parts, k = s.shape
    has_release = len(release) > 0
    for n in range(n_parts):
        d = release[n] if has_release else 0.0
        for i in range(k - 1):
            own = out[n, i]
            c = (d if d > own else own) + s[n, i]
            room = out[max(n - caps[i], 0), i + 1]
            d = room if room > c else c
            out[n + 1, i] = d
        own = out[n, k - 1]
        out[n + 1, k - 1] = (d if d > own else own) + s[n, k - 1]


@compiled
def _slots(s: Any, caps: Any, early: float, out: Any) -> None:
    """`early`: by how many slots room may be used before the part in it is counted as gone."""
    n_parts, k = s.shape
    for n in range(n_parts):
        d = 0.0
        for i in range(k):
            d = max(d, out[n, i])
            if i < k - 1 and n >= caps[i]:
                d = max(d, out[n + 1 - caps[i], i + 1] - early)
            d += s[n, i]
            out[n + 1, i] = d


@compiled
def _servers(
    s: Any,
    caps: Any,
    servers: Any,
    release: Any,
    start: Any,
    finish: Any,
    leave: Any,
    order: Any,
) -> None:
    """`order[0, i]`: which part the n-th start at station i was; `order[1, i]`: its departures."""
    n_parts, k = s.shape
    has_release = len(release) > 0
    widest = servers.max()
    ends = np.empty((k, widest))
    ids = np.empty((k, widest), np.int64)
    held = np.zeros(k, np.int64)
    begun = np.zeros(k, np.int64)
    lag = np.cumsum(servers - 1)
    for t in range(n_parts + lag[k - 1]):
        for i in range(k):
            n = t - lag[i]
            if n < 0 or n >= n_parts:
                continue
            c = servers[i]
            while begun[i] < min(n + c, n_parts):
                b = begun[i]
                begun[i] += 1
                if i > 0:
                    at = leave[b, i - 1]
                    part = order[1, i - 1, b]
                else:
                    at = release[b] if has_release else 0.0
                    part = b
                if b >= c:
                    at = max(at, leave[b - c, i])
                start[b, i] = at
                at += s[b, i]
                finish[b, i] = at
                order[0, i, b] = part
                # Kept in order of their ends; at the same time, of their starts.
                j = held[i]
                while j > 0 and ends[i, j - 1] > at:
                    ends[i, j] = ends[i, j - 1]
                    ids[i, j] = ids[i, j - 1]
                    j -= 1
                ends[i, j] = at
                ids[i, j] = part
                held[i] += 1
            at = ends[i, 0]
            order[1, i, n] = ids[i, 0]
            held[i] -= 1
            for j in range(held[i]):
                ends[i, j] = ends[i, j + 1]
                ids[i, j] = ids[i, j + 1]
            if i < k - 1:
                before = n - caps[i] - servers[i + 1]
                if before >= 0:
                    at = max(at, leave[before, i + 1])
            leave[n, i] = at


@compiled
def _fork_join(
    s: Any,
    edges: Any,
    into: Any,
    first_in: Any,
    out_of: Any,
    first_out: Any,
    release: Any,
    start: Any,
    finish: Any,
    leave: Any,
    gone: Any,
) -> None:
    """`gone[n, e]`: when the n-th part left its station over edge e, into a buffer."""
    n_parts, k = s.shape
    has_release = len(release) > 0
    for n in range(n_parts):
        for i in range(k):
            at = leave[n - 1, i] if n > 0 else 0.0
            if has_release and first_in[i] == first_in[i + 1]:
                at = max(at, release[n])
            for j in range(first_in[i], first_in[i + 1]):
                e = into[j]
                at = max(at, gone[n, e] if edges[e, 2] > 0 else finish[n, edges[e, 0]])
            start[n, i] = at
            done = at + s[n, i]
            finish[n, i] = done
            for j in range(first_out[i], first_out[i + 1]):
                e = out_of[j]
                capacity = edges[e, 2]
                gone[n, e] = done
                if capacity > 0 and n >= capacity:
                    gone[n, e] = max(done, start[n - capacity, edges[e, 1]])
        for i in range(k):
            at = finish[n, i]
            for j in range(first_out[i], first_out[i + 1]):
                e = out_of[j]
                at = max(at, gone[n, e] if edges[e, 2] > 0 else start[n, edges[e, 1]])
            leave[n, i] = at


@compiled
def _lane_blocks(s: Any, scales: Any, offsets: Any, slots: int, warm_up: int, out: Any) -> None:
    """Lanes of 16 designs; `out` is begin, end and sum of lead times of each."""
    k = s.shape[1]
    designs = len(scales)
    ring = np.empty(k * slots * LANES)
    scale = np.empty(k * LANES)
    offset = np.empty(k * LANES, np.int64)
    got = np.empty(3 * LANES)
    for begin in range(0, designs, LANES):
        for lane in range(LANES):
            # The last block is filled up with its last design.
            d = min(begin + lane, designs - 1)
            for i in range(k):
                scale[i * LANES + lane] = scales[d, i]
                offset[i * LANES + lane] = offsets[d, i] if i < k - 1 else 1
        ring[:] = 0.0
        _lane_block(s, scale, offset, ring, slots, warm_up, got)
        for lane in range(min(LANES, designs - begin)):
            for what in range(3):
                out[what, begin + lane] = got[what * LANES + lane]


@compiled
def _lane_block(
    s: Any, scale: Any, offset: Any, ring: Any, slots: int, warm_up: int, got: Any
) -> None:
    """One block. `ring` keeps the latest `slots` departures of each station and lane, flat; what
    is not written yet is 0. The loops over lanes are such that the compiler makes them vectors."""
    n_parts, k = s.shape
    mask = slots - 1
    up = np.zeros(LANES)
    room = np.zeros(LANES)
    entered = np.zeros(LANES)
    got[:] = 0.0
    begin, end, lead = got[:LANES], got[LANES : 2 * LANES], got[2 * LANES :]
    for n in range(n_parts):
        for lane in range(LANES):
            up[lane] = 0.0
        old = ((n - 1) & mask) * LANES
        new = (n & mask) * LANES
        for i in range(k):
            base = i * slots * LANES
            own = ring[base + old : base + old + LANES]
            put = ring[base + new : base + new + LANES]
            factor = scale[i * LANES : i * LANES + LANES]
            x = s[n, i]
            if i < k - 1:
                behind = ring[base + slots * LANES : base + 2 * slots * LANES]
                back = offset[i * LANES : i * LANES + LANES]
                for lane in range(LANES):
                    room[lane] = behind[((n - back[lane]) & mask) * LANES + lane]
                if i == 0:
                    for lane in range(LANES):
                        entered[lane] = own[lane]
                for lane in range(LANES):
                    b = own[lane]
                    u = up[lane]
                    b = u if u > b else b
                    c = b + x * factor[lane]
                    r = room[lane]
                    d = r if r > c else c
                    up[lane] = d
                    put[lane] = d
            else:
                if i == 0:
                    for lane in range(LANES):
                        entered[lane] = own[lane]
                for lane in range(LANES):
                    b = own[lane]
                    u = up[lane]
                    b = u if u > b else b
                    d = b + x * factor[lane]
                    up[lane] = d
                    put[lane] = d
        if n >= warm_up:
            for lane in range(LANES):
                lead[lane] += up[lane] - entered[lane]
        elif n == warm_up - 1:
            for lane in range(LANES):
                begin[lane] = up[lane]
    for lane in range(LANES):
        end[lane] = up[lane]
