"""Which station holds a line up, and by how much: exact derivatives along the critical path.

When a part leaves is a sum of service times: those on one way back through the recurrence of
`max_plus.py`, from the part to the start of the run. That time changes by ε·S when a service time
on the way is stretched by 1 + ε, and not at all when one beside it is, as long as no two maxima
change places. So one walk back, of about as many steps as there are parts, gives the derivative
to the mean service time of every station, and to each single operation.

Where two ways are equally long there is no derivative; the walk then gives that of one of them
(service before blocking, the part before at the same station before the station before).
"""

# numba has no type stubs.
# pyright: basic

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirrorworld.simulation.flow.max_plus import check_line, departures
from mirrorworld.simulation.flow.streams import compiled


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The way on which the departure of one part depends, from its end to its beginning."""

    part: NDArray[np.int64]
    station: NDArray[np.int64]
    """Operations on it, in order of falling time: their derivative is 1, of all others 0."""
    time_s: float
    """When the part left."""


@dataclass(frozen=True, slots=True, eq=False)
class Gradient:
    """What a relative change of each station's service times does."""

    makespan_s: float
    makespan_by_scale_s: NDArray[np.float64]
    """[K] seconds that the last part leaves later per relative increase (1.0 = twice as slow)."""
    throughput_per_s: float
    throughput_by_scale: NDArray[np.float64]
    """[K] parts a second per relative increase of service times; not above 0 as a rule."""

    @property
    def share(self) -> NDArray[np.float64]:
        """[K] of the loss of throughput if all stations became slower together."""
        total = float(self.throughput_by_scale.sum())
        return (
            self.throughput_by_scale / total if total else np.zeros_like(self.throughput_by_scale)
        )

    @property
    def bottlenecks(self) -> NDArray[np.int64]:
        """[K] stations, the one that gains most by being faster first."""
        return np.argsort(self.throughput_by_scale, kind="stable")


def critical_path(
    samples: ArrayLike,
    buffers: ArrayLike,
    left: NDArray[np.float64] | None = None,
    *,
    part: int = -1,
    release: ArrayLike | None = None,
) -> Path:
    """The way on which it depends when a part leaves the line.

    Args:
        samples: [N, K] service times, seconds.
        buffers: [K - 1] places between the stations.
        left: [N, K] what `departures` gave for them; None: worked out here.
        part: its number; -1: the last.
        release: as it was given to `departures`.

    Raises:
        ValueError: shapes do not fit, or there is no such part.
    """
    s, caps, d, at = _prepare(samples, buffers, left, release)
    n = part + len(s) if part < 0 else part
    if not 0 <= n < len(s):
        raise ValueError(f"part {part}; there are {len(s)}")
    steps = np.empty((2, (n + 1) * s.shape[1]), np.int64)
    length = _walk(s, s, caps, d, at, n, np.zeros(s.shape[1]), steps)
    return Path(steps[0, :length], steps[1, :length], float(d[n, -1]))


def gradient(
    samples: ArrayLike,
    buffers: ArrayLike,
    left: NDArray[np.float64] | None = None,
    *,
    warm_up: int = 0,
    weights: ArrayLike | None = None,
    release: ArrayLike | None = None,
) -> Gradient:
    """Derivatives of makespan and throughput to the service times of each station.

    Throughput is (N - warm_up) / (D[N-1] - D[warm_up-1]): two walks.

    Args:
        samples: [N, K] service times, seconds.
        buffers: [K - 1] places between the stations.
        left: [N, K] what `departures` gave for them; None: worked out here.
        warm_up: parts that are left out at the beginning.
        weights: [N, K] the part of each service time that is scaled, where it is not all of it:
            work without its repairs, or repairs alone. None: all.
        release: as it was given to `departures`.

    Raises:
        ValueError: shapes do not fit, or too much is left out.
    """
    s, caps, d, at = _prepare(samples, buffers, left, release)
    n, k = s.shape
    if not 0 <= warm_up < n:
        raise ValueError(f"warm_up {warm_up}; give 0 to {n - 1} of {n} parts")
    w = s if weights is None else np.ascontiguousarray(weights, np.float64)
    if w.shape != s.shape:
        raise ValueError(f"weights of shape {w.shape}; give {s.shape}")
    end, begin = np.zeros(k), np.zeros(k)
    no_steps = np.empty((2, 0), np.int64)
    _walk(s, w, caps, d, at, n - 1, end, no_steps)
    begin_s = 0.0
    if warm_up:
        _walk(s, w, caps, d, at, warm_up - 1, begin, no_steps)
        begin_s = float(d[warm_up - 1, -1])
    span_s = float(d[-1, -1]) - begin_s
    rate = (n - warm_up) / span_s if span_s > 0 else np.inf
    return Gradient(
        float(d[-1, -1]), end, rate, -rate / span_s * (end - begin) if span_s > 0 else end * np.nan
    )


def buffer_benefits(
    samples: ArrayLike, buffers: ArrayLike, *, places: int = 1, warm_up: int = 0
) -> NDArray[np.float64]:
    """[K - 1] parts a second gained by so many more places in each buffer, on the same samples.

    A difference, not a derivative: capacities are whole.
    """
    s, caps = check_line(samples, buffers)

    def rate(capacities: NDArray[np.int64]) -> float:
        d = departures(s, capacities)[:, -1]
        return (len(s) - warm_up) / float(d[-1] - (d[warm_up - 1] if warm_up else 0.0))

    before = rate(caps)
    return np.array([rate(caps + places * row) - before for row in np.eye(len(caps), dtype=int)])


def _prepare(
    samples: ArrayLike,
    buffers: ArrayLike,
    left: NDArray[np.float64] | None,
    release: ArrayLike | None,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    if left is None:
        s, caps = check_line(samples, buffers)
        d = departures(s, caps, release)
    else:
        # Who has departures has had the samples checked.
        s, d = (np.ascontiguousarray(x, np.float64) for x in (samples, left))
        caps = np.minimum(np.asarray(buffers, np.int64).reshape(-1), len(s))
        if s.ndim != 2 or len(caps) != s.shape[1] - 1:
            raise ValueError(f"samples of shape {s.shape}, {len(caps)} buffers: give K - 1 of K")
    if d.shape != s.shape:
        raise ValueError(f"departures of shape {d.shape}; give {s.shape}")
    return s, caps, d, np.zeros(0) if release is None else np.asarray(release, np.float64)


@compiled
def _walk(s: Any, w: Any, caps: Any, d: Any, release: Any, n: int, gain: Any, steps: Any) -> int:
    """Walks back from part n and adds up the weights on the way; `steps` takes the operations,
    if it has room. Returns how many there are."""
    k = s.shape[1]
    i = k - 1
    length = 0
    has_release = len(release) > 0
    has_steps = steps.shape[1] > 0
    while n >= 0:
        own = d[n - 1, i] if n > 0 else 0.0
        up = d[n, i - 1] if i > 0 else (release[n] if has_release else 0.0)
        c = (up if up > own else own) + s[n, i]
        if i < k - 1 and d[n, i] > c:
            n -= caps[i] + 1
            i += 1
            continue
        gain[i] += w[n, i]
        if has_steps:
            steps[0, length] = n
            steps[1, length] = i
        length += 1
        if up > own:
            if i == 0:
                break
            i -= 1
        else:
            n -= 1
    return length
