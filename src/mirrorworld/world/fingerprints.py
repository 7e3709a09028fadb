"""Which samples came before, of sources that number nothing: a fingerprint of each for a while.

A sample younger than every one known of its point cannot be a repetition. So what comes in order,
as almost all does, is only written down; a table to look up in is laid out, and brought up to
date, when the first sample comes that needs looking up.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world import compiled
from mirrorworld.world.compiled import INDEXED, N_MARKS, OLD, OLD_INDEXED, YOUNG
from mirrorworld.world.frames import Cells, Frame, Handles, Qualities, Times

ROWS_MAX: Final = 1 << 20
"""A repeated sample is recognised among at least so many of unnumbered sources."""
ROWS_MIN: Final = 1 << 11

NEVER_NS: Final = -(1 << 62)
"""The time of what never was."""

Fingers = NDArray[np.uint64]


class Fingerprints:
    """Fingerprints of what came, in two generations: when the young one is full it becomes the old
    one, and what was old is forgotten."""

    def __init__(self, *, use_compiled: bool) -> None:
        self.use_compiled = use_compiled
        self.rows_max = ROWS_MAX
        """Of a generation. Less of it remembers less, in less memory: 16 bytes each, and 48
        once a source repeats itself."""
        self.highest_ns: Times = np.empty(0, np.int64)
        """Of each point, the highest source time among what is known of it."""
        self.young: Fingers = np.empty(0, np.uint64)
        self.old: Fingers = np.empty(0, np.uint64)
        self.young_table: Fingers = np.empty(0, np.uint64)
        """Open-addressed; empty until something is looked up."""
        self.old_table: Fingers = np.empty(0, np.uint64)
        self.marks: NDArray[np.int64] = np.zeros(N_MARKS, np.int64)
        """How many there are of young and old, and how many of them are in the tables."""
        self._is_shared = False

    def fork(self) -> Fingerprints:
        """As much is known of it; from then on the two go their own ways. Nothing is copied before
        the fork first takes note of a sample: its origin only adds behind what the fork knows, and
        that a point's highest time may then be too high costs a look-up, no more."""
        other = Fingerprints(use_compiled=self.use_compiled)
        other.rows_max = self.rows_max
        other.highest_ns, other.young, other.old = self.highest_ns, self.young, self.old
        other._is_shared = True
        other.marks[:] = self.marks
        other.marks[[INDEXED, OLD_INDEXED]] = 0
        return other

    def make_room(self, rows: int, n_points: int) -> None:
        """Before rows are taken: room for the points that there are, and for more fingerprints
        while they are few."""
        if self._is_shared:
            self.highest_ns, self.young = self.highest_ns.copy(), self.young.copy()
            self._is_shared = False
        if len(self.highest_ns) < n_points:
            more = np.full(max(n_points, 2 * len(self.highest_ns)), NEVER_NS, np.int64)
            more[: len(self.highest_ns)] = self.highest_ns
            self.highest_ns = more
        wanted = len(self.young) or min(ROWS_MIN, self.rows_max)
        while self.marks[YOUNG] + rows > wanted and wanted < self.rows_max:
            wanted = min(2 * wanted, self.rows_max)
        if wanted > len(self.young):
            wide = np.zeros(wanted, np.uint64)
            wide[: self.marks[YOUNG]] = self.young[: self.marks[YOUNG]]
            self.young = wide
            self.young_table, self.marks[INDEXED] = np.empty(0, np.uint64), 0

    def go_on(self) -> None:
        """Does what a compiled loop has stopped for: ages what is full, else lays out tables."""
        if self.marks[YOUNG] >= len(self.young):
            self._age()
        else:
            self._lay_out()

    def remember(self, frame: Frame) -> None:
        """Takes note of samples, without asking whether they are new."""
        if not len(frame):
            return
        self.make_room(len(frame), int(frame.point.max()) + 1)
        if not self.use_compiled:
            self.recognise(frame.point, frame.source_ns, frame.cell, frame.quality)
            return
        done = 0
        while done < len(frame):
            done += compiled.remember_rows(
                frame.point[done:], frame.cell[done:], frame.quality[done:],
                frame.source_ns[done:], self.highest_ns, self.young, self.marks,
            )  # fmt: skip
            if done < len(frame):
                self.go_on()

    def recognise(
        self, point: Handles, source_ns: Times, cell: Cells, quality: Qualities
    ) -> NDArray[np.bool_]:
        """Which rows are new; takes note of them. As the compiled loops do it, in numpy."""
        new = np.ones(len(point), np.bool_)
        fingers = _mix(point, source_ns, cell, quality)
        done = 0
        while done < len(point):
            if self.marks[YOUNG] >= len(self.young):
                self._age()
            part = slice(done, done + len(self.young) - int(self.marks[YOUNG]))
            new[part] = self._recognise_part(point[part], source_ns[part], fingers[part])
            kept = fingers[part][new[part]]
            at = int(self.marks[YOUNG])
            self.young[at : at + len(kept)] = kept
            self.marks[YOUNG] += len(kept)
            np.maximum.at(self.highest_ns, point[part], source_ns[part])
            done = part.stop
        return new

    def _recognise_part(
        self, point: Handles, source_ns: Times, fingers: Fingers
    ) -> NDArray[np.bool_]:
        _, which, n = np.unique(point, return_inverse=True, return_counts=True)
        asked = np.flatnonzero((n[which] > 1) | (source_ns <= self.highest_ns[point]))
        new = np.ones(len(point), np.bool_)
        if len(asked):
            self._lay_out()
            new[asked] = False
            _, first = np.unique(fingers[asked], return_index=True)
            once = asked[first]
            new[once] = ~_holds(self.young_table, fingers[once])
            new[once] &= ~_holds(self.old_table, fingers[once])
        return new

    def _age(self) -> None:
        self.old, self.old_table = self.young, self.young_table
        self.marks[OLD], self.marks[OLD_INDEXED] = self.marks[YOUNG], self.marks[INDEXED]
        self.young = np.zeros(len(self.old), np.uint64)
        self.young_table = np.empty(0, np.uint64)
        self.marks[YOUNG] = self.marks[INDEXED] = 0

    def _lay_out(self) -> None:
        """Makes the tables, and brings them up to date."""
        if not len(self.young_table):
            self.young_table = _table_for(len(self.young))
        if not len(self.old_table):
            self.old_table = _table_for(len(self.old))
        for table, fingers, n, indexed in (
            (self.young_table, self.young, YOUNG, INDEXED),
            (self.old_table, self.old, OLD, OLD_INDEXED),
        ):
            fresh = fingers[self.marks[indexed] : self.marks[n]]
            if self.use_compiled:
                compiled.put_all(table, fresh)
            else:
                _put_all(table, fresh)
            self.marks[indexed] = self.marks[n]


def _table_for(rows: int) -> Fingers:
    """At most half full."""
    return np.zeros(1 << (2 * max(rows, 1) - 1).bit_length(), np.uint64)


def _mix(point: Handles, source_ns: Times, cell: Cells, quality: Qualities) -> Fingers:
    """As `compiled._mix`, for columns."""
    h = point.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for part in (source_ns.view(np.uint64), cell.view(np.uint64), quality.astype(np.uint64)):
        h ^= part
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h ^= h >> np.uint64(31)
    h[h == 0] = 1
    return h


def _put_all(table: Fingers, fingers: Fingers) -> None:
    """Puts fingerprints into a table: all at their place first, then those that found it taken one
    place further, and so on."""
    at = (fingers & np.uint64(len(table) - 1)).astype(np.int64)
    left = np.arange(len(fingers))
    while len(left):
        free = left[table[at[left]] == 0]
        table[at[free]] = fingers[free]
        left = left[table[at[left]] != fingers[left]]
        at[left] = (at[left] + 1) & (len(table) - 1)


def _holds(table: Fingers, fingers: Fingers) -> NDArray[np.bool_]:
    """Which fingerprints are in a table."""
    found = np.zeros(len(fingers), np.bool_)
    at = (fingers & np.uint64(len(table) - 1)).astype(np.int64)
    left = np.arange(len(fingers))
    while len(left):
        there = table[at[left]]
        found[left] = there == fingers[left]
        left = left[(there != 0) & (there != fingers[left])]
        at[left] = (at[left] + 1) & (len(table) - 1)
    return found
