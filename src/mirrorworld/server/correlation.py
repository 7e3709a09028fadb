"""How two things vary together: Pearson, Spearman and a line, over columns from the record.

By time two points are read on a common grid, each value held until the next: sources that report
by exception say nothing while nothing changes. By twin two quantities are averaged over some
instants of the record. Knows numbers and a record; no world, no route.

Coefficients: K. Pearson 1895; C. Spearman 1904 (Pearson's of the ranks, ties sharing their mean).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.server.quantities import NESTED_MAX, Ordinals, numbers
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Record

ROWS_MAX: Final = 200_000
"""Of each point; more are thinned by the record, extremes staying."""
STEPS_MAX: Final = 2_000
LAGS_MAX: Final = 60
"""Steps to either side."""
SECONDS_MAX: Final = 20.0
"""No longer than this is read; what is there by then is answered."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """None where there are fewer than three pairs, or one of the two stands still."""

    n: int
    pearson: float | None
    spearman: float | None
    slope: float | None
    intercept: float | None


def fit(x: Numbers, y: Numbers) -> Fit:
    """Of pairs; those with a NaN are left out."""
    both = ~(np.isnan(x) | np.isnan(y))
    x, y = x[both], y[both]
    found = pearson(x, y)
    if found is None:
        return Fit(len(x), None, None, None, None)
    slope = found * float(y.std() / x.std())
    line = float(y.mean()) - slope * float(x.mean())
    return Fit(len(x), found, pearson(ranks(x), ranks(y)), slope, line)


def pearson(x: Numbers, y: Numbers) -> float | None:
    """Pearson's coefficient of pairs without NaN."""
    if len(x) < 3:
        return None
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(np.sqrt((dx * dx).sum()) * np.sqrt((dy * dy).sum()))
    # What varies only by rounding stands still.
    still = 1e-12 * len(x) * max(float(np.abs(x).max()) * float(np.abs(y).max()), 1e-300)
    if not np.isfinite(spread) or spread <= still:
        return None
    return float(np.clip((dx * dy).sum() / spread, -1.0, 1.0))


def ranks(x: Numbers) -> Numbers:
    """From 1; what is equal shares the mean of its ranks."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2.0)[inverse]


@dataclass(frozen=True, slots=True)
class ByTime:
    """Two points on one grid, y read `lag` steps later."""

    x: Numbers
    y: Numbers
    time_ns: NDArray[np.int64]
    lags: list[int]
    lag_pearson: list[float | None]
    is_reduced: bool


def by_time(
    record: Record,
    points: tuple[int, int],
    kinds: NDArray[np.uint8],
    start_ns: int,
    step_ns: int,
    n_steps: int,
    lag: int,
) -> ByTime:
    """Reads two points; `lag` is in steps and at most `n_steps - 3` to either side."""
    grid = start_ns + step_ns * np.arange(n_steps, dtype=np.int64)
    before = record.as_of_time(start_ns)
    held: list[Numbers] = []
    is_reduced = False
    for handle in points:
        end_ns = int(grid[-1]) + 1
        series = record.read(handle, start_ns, end_ns, ROWS_MAX)
        is_reduced |= len(series.cell) >= ROWS_MAX
        cell, when, quality = series.cell, series.source_ns, series.quality
        if handle < len(before[0]):
            cell = np.append(before[0][handle], cell)
            when = np.append(before[1][handle], when)
            quality = np.append(before[2][handle], quality)
        kind = np.full(len(cell), kinds[handle], np.uint8)
        value = numbers(np.ascontiguousarray(cell), quality, when, kind)
        at = np.searchsorted(when, grid, side="right") - 1
        held.append(np.where(at >= 0, np.append(value, np.nan)[at], np.nan))
    x, y = held
    reach = min(LAGS_MAX, n_steps // 4)
    lags = list(range(-reach, reach + 1))
    of_lags: list[float | None] = []
    for one in lags:
        a, b = shifted(x, y, one)
        both = ~(np.isnan(a) | np.isnan(b))
        of_lags.append(pearson(a[both], b[both]))
    a, b = shifted(x, y, lag)
    times = grid[: n_steps - lag] if lag >= 0 else grid[-lag:]
    return ByTime(a, b, times, lags, of_lags, is_reduced)


def shifted(x: Numbers, y: Numbers, lag: int) -> tuple[Numbers, Numbers]:
    """Pairs of x and of y `lag` steps later."""
    if lag >= 0:
        return x[: len(x) - lag], y[lag:]
    return x[-lag:], y[:lag]


@dataclass(frozen=True, slots=True)
class Quantity:
    """The points of one quantity: handle, twin, and how to bring its numbers to one unit."""

    handle: NDArray[np.int64]
    twin: Ordinals
    scale: Numbers
    offset: Numbers


@dataclass(frozen=True, slots=True)
class ByTwin:
    """Means of two quantities for each twin that stands for a dot."""

    twin: NDArray[np.int64]
    x: Numbers
    y: Numbers
    instants: int
    is_reduced: bool


def by_twin(
    record: Record,
    x: Quantity,
    y: Quantity,
    parent: Ordinals,
    kinds: NDArray[np.uint8],
    instants_ns: NDArray[np.int64],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> ByTwin:
    """Means over instants. Where x and y are said by different twins, those of the finer one are
    averaged over the parts of each twin that says the other."""
    until = clock() + SECONDS_MAX
    sums = [np.zeros(len(q.handle)) for q in (x, y)]
    counts = [np.zeros(len(q.handle)) for q in (x, y)]
    done = 0
    for instant in instants_ns.tolist():
        if done and clock() > until:
            break
        cell, when, quality = record.as_of_time(instant)
        for q, total, count in zip((x, y), sums, counts, strict=True):
            inside = q.handle < len(cell)
            at = q.handle[inside]
            value = np.full(len(q.handle), np.nan)
            value[inside] = numbers(cell[at], quality[at], when[at], kinds[at])
            has = ~np.isnan(value)
            total[has] += value[has]
            count += has
        done += 1
    means: list[Numbers] = []
    for q, total, count in zip((x, y), sums, counts, strict=True):
        mean = np.full(len(total), np.nan)
        np.divide(total, count, out=mean, where=count > 0)
        means.append(mean * q.scale + q.offset)
    n = len(parent)
    x_home, y_home = _homes(x.twin, y.twin, parent), _homes(y.twin, x.twin, parent)
    # The finer of the two is lifted to the coarser: whichever finds more homes above itself.
    homes = (x_home, y.twin) if (x_home >= 0).sum() >= (y_home >= 0).sum() else (x.twin, y_home)
    at_x = _averaged(homes[0], means[0], n)
    at_y = _averaged(homes[1], means[1], n)
    twin = np.flatnonzero(~(np.isnan(at_x) | np.isnan(at_y)))
    return ByTwin(twin, at_x[twin], at_y[twin], done, done < len(instants_ns))


def _homes(twin: Ordinals, others: Ordinals, parent: Ordinals) -> Ordinals:
    """Of each row: the nearest twin, itself or what it is part of, that is among others; -1."""
    says = np.zeros(len(parent) + 1, np.bool_)
    says[others] = True
    above = np.append(parent, np.int32(-1))
    at = twin.copy()
    found = np.full(len(twin), -1, np.int32)
    for _ in range(NESTED_MAX):
        new = (found < 0) & says[at] & (at >= 0)
        found[new] = at[new]
        at = above[at]
    return found


def _averaged(home: Ordinals, value: Numbers, n: int) -> Numbers:
    has = (home >= 0) & ~np.isnan(value)
    total = np.bincount(home[has], value[has], n)
    count = np.bincount(home[has], minlength=n)
    mean = np.full(n, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


def is_number(kind: int) -> bool:
    """Whether points of a kind can be set against others."""
    return kind in (Kind.FLOAT, Kind.INT, Kind.BOOL)
