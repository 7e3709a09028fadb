"""Points of a record as columns that hold their value until the next sample.

Times are seconds of the plant since the beginning of the period. What is bad or stale says nothing
of the time that follows it; a stretch in which nothing at all was recorded is unknown, whatever
values stood before it. Reads by the port of a record; no Python object for a sample.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow.roles import Used
from mirrorworld.world.changes import Position
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Record
from mirrorworld.world.quality import BAD, UNCERTAIN_LAST_USABLE
from mirrorworld.world.structure import Structure

SILENT_S: Final = 300.0
"""Seconds of the record without a sample of any point that is read; then nobody was recording."""
MOST: Final = 1 << 62
_CODE: Final = 0xFFFF_0000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """Ordered by time; NaN while the value is unknown."""

    time_s: Floats
    value: Floats

    def held(self, at_s: Floats) -> Floats:
        """The value at each time; NaN before the first sample."""
        if not len(self.time_s):
            return np.full(len(at_s), np.nan)
        row = np.searchsorted(self.time_s, at_s, "right") - 1
        return np.where(row >= 0, self.value[np.maximum(row, 0)], np.nan)

    def steps(self) -> tuple[Floats, Floats]:
        """(time, how far a counter went) at each known sample after the first. A fall is a reset:
        it began again from zero."""
        known = ~np.isnan(self.value)
        time_s, value = self.time_s[known], self.value[known]
        step = np.diff(value)
        return time_s[1:], np.where(step >= 0, step, value[1:])


class Readings:
    """The period of a record that is fitted or compared.

    Args:
        clock_rate: seconds of the plant in each second of the record.

    Raises:
        ValueError: the period is empty.
    """

    def __init__(
        self,
        structure: Structure,
        record: Record,
        start_ns: int,
        end_ns: int,
        clock_rate: float = 1.0,
    ) -> None:
        if end_ns <= start_ns or not 0 < clock_rate < 1e6:
            raise ValueError("the period is empty; give a start before its end, and a clock rate")
        self.start_ns, self.end_ns, self.clock_rate = start_ns, end_ns, clock_rate
        self.length_s = (end_ns - start_ns) / 1e9 * clock_rate
        self._structure, self._record = structure, record
        self._read: dict[int, Signal] = {}
        self._texts: dict[int, list[str]] = {}

    def load(self, handles: Iterable[int]) -> None:
        """Reads many points in one pass over the log, where it still reaches back to the start;
        otherwise each is read when it is asked for."""
        wanted = np.zeros(self._structure.n_points, np.bool_)
        wanted[[h for h in handles if h not in self._read]] = True
        parts: list[tuple[NDArray[Any], ...]] = []
        words: dict[bytes, int] = {}
        is_heap = self._structure.kinds >= Kind.TEXT
        try:
            for change in self._record.changes(Position(self._record.epoch, 0), MOST):
                frame = change.body
                if not isinstance(frame, Frame):
                    continue
                rows = np.flatnonzero(wanted[frame.point])
                if not len(rows):
                    continue
                point, cell = frame.point[rows], frame.cell[rows]
                for k in np.flatnonzero(is_heap[point]).tolist():
                    cell[k] = words.setdefault(frame.heap_at(int(rows[k])), len(words))
                parts.append((point, cell, frame.quality[rows], frame.source_ns[rows]))
        except LookupError:
            return
        if not parts:
            return
        point, cell, quality, at_ns = (
            np.concatenate([part[i] for part in parts]) for i in range(4)
        )
        order = np.lexsort((at_ns, point))
        point, cell, quality, at_ns = point[order], cell[order], quality[order], at_ns[order]
        texts = [word.decode(errors="replace") for word in words]
        for handle in np.flatnonzero(wanted).tolist():
            first, last = np.searchsorted(point, [handle, handle + 1])
            # With the last one from before the period: its value holds into it.
            begin = first + int(np.searchsorted(at_ns[first:last], self.start_ns, "right")) - 1
            end = first + int(np.searchsorted(at_ns[first:last], self.end_ns))
            some = slice(max(begin, first), end)
            times = np.maximum(at_ns[some], self.start_ns)
            self._texts[handle] = texts
            self._read[handle] = self._signal(handle, cell[some], quality[some], times)

    def signal(self, used: Used) -> Signal:
        """A point in the model's unit; of a text, the index into `texts`."""
        if used.handle not in self._read:
            self._read[used.handle] = self._columns(used.handle)
        found = self._read[used.handle]
        return found if used.factor == 1.0 else Signal(found.time_s, found.value * used.factor)

    def texts(self, used: Used) -> list[str]:
        """The values of a text point, by the numbers that its signal has."""
        self.signal(used)
        return self._texts[used.handle]

    @functools.cached_property
    def _before(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
        return self._record.as_of_time(self.start_ns)

    def _columns(self, handle: int) -> Signal:
        series = self._record.read(handle, self.start_ns, self.end_ns)
        cell, quality, at_ns = series.cell, series.quality, series.source_ns
        if self._structure.kinds[handle] >= Kind.TEXT:
            distinct, cell = np.unique(cell, return_inverse=True)
            heap = series.heap
            words = [heap[c >> 32 :][: c & 0xFFFF_FFFF] for c in distinct.tolist()]
            self._texts[handle] = [word.decode(errors="replace") for word in words]
        else:
            first_cell, first_ns, first_quality = (column[handle] for column in self._before)
            if first_ns > 0:
                cell = np.concatenate([[first_cell], cell])
                quality = np.concatenate([[first_quality], quality]).astype(np.uint32)
                at_ns = np.concatenate([[self.start_ns], at_ns])
        return self._signal(handle, cell, quality, at_ns)

    def _signal(
        self,
        handle: int,
        cell: NDArray[np.int64],
        quality: NDArray[np.uint32],
        at_ns: NDArray[np.int64],
    ) -> Signal:
        time_s = (at_ns - self.start_ns) / 1e9 * self.clock_rate
        is_float = self._structure.kinds[handle] == Kind.FLOAT
        value = cell.view(np.float64).copy() if is_float else cell.astype(np.float64)
        stale = (quality & _CODE) == UNCERTAIN_LAST_USABLE
        value[(quality >= BAD) | stale | ~np.isfinite(value)] = np.nan
        return Signal(np.asarray(time_s, np.float64), value)

    def silences(self) -> tuple[Floats, Floats]:
        """(beginnings, ends) of the stretches in which nothing that was read so far came."""
        times = [signal.time_s for signal in self._read.values()]
        every = np.unique(np.concatenate([*times, [0.0, self.length_s]]))
        long = np.flatnonzero(np.diff(every) > SILENT_S * self.clock_rate)
        return every[long], every[long + 1]

    def edges(self, *signals: Signal) -> tuple[Floats, NDArray[np.bool_]]:
        """(times at which any of them changes, with both ends of the period; whether something
        was recorded in each interval between two)."""
        begins, ends = self.silences()
        columns = [signal.time_s for signal in signals]
        every = np.unique(np.concatenate([*columns, begins, ends, [0.0, self.length_s]]))
        every = every[(every >= 0) & (every <= self.length_s)]
        row = np.searchsorted(begins, every[:-1], "right") - 1
        is_silent = (row >= 0) & (every[:-1] < ends[np.maximum(row, 0)]) if len(begins) else False
        return every, ~np.broadcast_to(is_silent, len(every) - 1)
