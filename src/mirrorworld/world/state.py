"""The state of all points of a world: the latest sample of each, in columns.

Columns lie in pages of 256 points. A branch shares its parent's pages until either writes to
one, so a fork costs a page table and a branch holds only what differs (`fork`).
The rules of applying samples stand twice: in `compiled.py` for speed and here in numpy for
machines without numba. The tests hold them to the same results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world import compiled
from mirrorworld.world.changes import Tally
from mirrorworld.world.compiled import (
    ACCEPTED,
    DUPLICATE,
    DUPLICATES,
    FUTURE,
    LATE,
    LATE_ROWS,
    LATEST,
    N_COUNTS,
    NAN,
    PAGE,
    PAGE_BITS,
    RANGE,
    REFUSED,
    UNKNOWN,
)
from mirrorworld.world.fingerprints import NEVER_NS, Fingerprints
from mirrorworld.world.frames import Cells, Frame, Handles, Qualities, Times
from mirrorworld.world.model import Kind
from mirrorworld.world.quality import BAD_NO_DATA, BAD_WAITING, UNCERTAIN_RANGE

S = TypeVar("S", bound=np.generic)


class Columns(NamedTuple):
    """Latest samples of some points, in the order asked for; copies."""

    cell: Cells
    quality: Qualities
    source_ns: Times
    received_ns: Times
    changed: NDArray[np.int64]
    origin: NDArray[np.uint16]

    def each(self, make: Callable[[NDArray[Any]], NDArray[Any]]) -> Columns:
        """The columns that a function makes of these."""
        return Columns(*(make(column) for column in self))


class _Arena:
    """The pages of a world and its branches, with a count of who uses each."""

    def __init__(self, n_pages: int = 4) -> None:
        self.columns = _fresh(n_pages)
        self.users = np.zeros(n_pages, np.int32)

    def take(self, n: int) -> NDArray[np.int64]:
        """`n` pages of fresh points."""
        free = np.flatnonzero(self.users == 0)[:n]
        if len(free) < n:
            more = max(n - len(free), len(self.users))
            room = iter(_fresh(more))
            self.columns = self.columns.each(lambda column: np.concatenate([column, next(room)]))
            self.users = np.concatenate([self.users, np.zeros(more, np.int32)])
            free = np.flatnonzero(self.users == 0)[:n]
        self.users[free] = 1
        for column, fresh in zip(self.columns, _fresh(1), strict=True):
            column.reshape(-1, PAGE)[free] = fresh
        return free


def _fresh(n_pages: int) -> Columns:
    """Columns of points that have no value yet."""
    n = n_pages * PAGE
    return Columns(
        np.zeros(n, np.int64),
        np.full(n, BAD_WAITING, np.uint32),
        np.full(n, NEVER_NS, np.int64),
        np.full(n, NEVER_NS, np.int64),
        np.full(n, -1, np.int64),
        np.zeros(n, np.uint16),
    )


class State:
    """Latest samples by handle. All arrays that it hands out are copies, or views that the next
    `apply` may change (the properties)."""

    def __init__(self, *, use_compiled: bool) -> None:
        self.use_compiled = use_compiled
        self.fingerprints = Fingerprints(use_compiled=use_compiled)
        self.n_points = 0
        self._arena = _Arena()
        self._pages = np.empty(0, np.int64)
        self._shares = False

    # --- columns ---

    @property
    def cell(self) -> Cells:
        """Values; for points of variable size a hash of the content."""
        return self._gather(self._arena.columns.cell)

    @property
    def quality(self) -> Qualities:
        """Status codes."""
        return self._gather(self._arena.columns.quality)

    @property
    def source_ns(self) -> Times:
        """When the source says the value was so; NEVER_NS before the first."""
        return self._gather(self._arena.columns.source_ns)

    @property
    def received_ns(self) -> Times:
        """When it came here; NEVER_NS before the first."""
        return self._gather(self._arena.columns.received_ns)

    @property
    def changed(self) -> NDArray[np.int64]:
        """Sequence of the change that brought the value; -1 before the first."""
        return self._gather(self._arena.columns.changed)

    @property
    def origin(self) -> NDArray[np.uint16]:
        """Index into the world's origins."""
        return self._gather(self._arena.columns.origin)

    def _gather(self, column: NDArray[S]) -> NDArray[S]:
        pages = self._pages
        if np.array_equal(pages, np.arange(len(pages))):
            return column[: self.n_points]
        return column.reshape(-1, PAGE)[pages].reshape(-1)[: self.n_points]

    def read(self, handles: Handles) -> Columns:
        """The latest samples of some points; IndexError if there is no such handle."""
        if len(handles) and int(handles.max()) >= self.n_points:
            raise IndexError(f"handle {int(handles.max())}: there are {self.n_points} points")
        if self.use_compiled:
            found = self._arena.columns.each(lambda column: np.empty(len(handles), column.dtype))
            compiled.read_rows(self._pages, handles, *self._arena.columns, *found)
            return found
        at = self._at(handles)
        return self._arena.columns.each(lambda column: column[at])

    def _at(self, handles: Handles) -> NDArray[np.int64]:
        wide = handles.astype(np.int64)
        return (self._pages[wide >> PAGE_BITS] << PAGE_BITS) | (wide & (PAGE - 1))

    def changed_after(self, sequence: int) -> Handles:
        """Handles of the points whose latest value came after a sequence, ascending."""
        if self.use_compiled:
            out = np.empty(self.n_points, np.uint32)
            changed = self._arena.columns.changed
            n = compiled.changed_after(self._pages, changed, self.n_points, sequence, out)
            return out[:n]
        return np.flatnonzero(self.changed > sequence).astype(np.uint32)

    # --- changing ---

    def grow(self, n_points: int) -> None:
        """Makes room for handles below `n_points`."""
        missing = -(-n_points // PAGE) - len(self._pages)
        if missing > 0:
            self._pages = np.concatenate([self._pages, self._arena.take(missing)])
        self.n_points = n_points

    def fork(self) -> State:
        """A state that starts equal; pages are copied when one of the two first writes to them."""
        other = State(use_compiled=self.use_compiled)
        other.n_points = self.n_points
        other._arena, other._pages = self._arena, self._pages.copy()
        self._arena.users[self._pages] += 1
        self._shares = other._shares = True
        other.fingerprints = self.fingerprints.fork()
        return other

    def release(self) -> None:
        """Gives the pages back: a branch that is no longer wanted."""
        self._arena.users[self._pages] -= 1
        self._pages = np.empty(0, np.int64)
        self.n_points = 0

    def __del__(self) -> None:
        self.release()

    def restore(self, columns: Columns) -> None:
        """Takes over the columns of a snapshot."""
        self.grow(len(columns.cell))
        at = self._at(np.arange(self.n_points, dtype=np.uint32))
        for mine, given in zip(self._arena.columns, columns, strict=True):
            mine[at] = given

    def _own(self, handles: Handles) -> None:
        """Copies the pages that others use too and that are about to be written."""
        if not (self._arena.users[self._pages] > 1).any():
            self._shares = False  # those who shared them are gone, or have pages of their own
            return
        touched = np.unique(handles >> PAGE_BITS)
        shared = touched[self._arena.users[self._pages[touched]] > 1]
        if len(shared):
            fresh = self._arena.take(len(shared))
            old = self._pages[shared]
            for column in self._arena.columns:
                pages = column.reshape(-1, PAGE)
                pages[fresh] = pages[old]
            self._arena.users[old] -= 1
            self._pages[shared] = fresh

    def apply(
        self,
        frame: Frame,
        *,
        kinds: NDArray[np.uint8],
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        received_ns: int,
        sequence: int,
        origin: int,
        skew_ns: int,
        is_numbered: bool,
    ) -> tuple[NDArray[np.uint8], Qualities, Tally]:
        """Applies samples; returns the fate of each row, the qualities they now have, and counts.

        Fates are those of `compiled`: REFUSED, LATE, LATEST, DUPLICATE. The rules:
        a handle that does not exist is refused; NaN becomes BadNoData; outside the range of its
        type a good value becomes uncertain; of unnumbered frames a repeated sample is dropped, also
        one that repeats what came numbered, if it is the latest (as servers send it anew to each
        subscription);
        a sample is the latest unless the point has a younger one, where a time stamp later than
        its arrival counts as its arrival, so that a clock that is ahead cannot lock a point.
        """
        n = len(frame)
        fate = np.zeros(n, np.uint8)
        quality = np.empty(n, np.uint32)
        counts = np.zeros(N_COUNTS, np.int64)
        if self._shares:
            known = frame.point[frame.point < len(kinds)]
            self._own(known)
        if not is_numbered:
            self.fingerprints.make_room(n, len(kinds))
        if self.use_compiled:
            self._apply_compiled(
                frame, kinds, low, high, received_ns, sequence, origin, skew_ns, is_numbered,
                fate, quality, counts,
            )  # fmt: skip
        else:
            self._apply_plain(
                frame, kinds, low, high, received_ns, sequence, origin, skew_ns, is_numbered,
                fate, quality, counts,
            )  # fmt: skip
        tally = Tally(
            accepted=int(counts[ACCEPTED]),
            late=int(counts[LATE_ROWS]),
            duplicate=int(counts[DUPLICATES]),
            unknown=int(counts[UNKNOWN]),
            not_a_number=int(counts[NAN]),
            out_of_range=int(counts[RANGE]),
            future=int(counts[FUTURE]),
        )
        return fate, quality, tally

    def _apply_compiled(
        self, frame: Frame, kinds: NDArray[np.uint8], low: NDArray[np.float64],
        high: NDArray[np.float64], received_ns: int, sequence: int, origin: int, skew_ns: int,
        is_numbered: bool, fate: NDArray[np.uint8], quality: Qualities, counts: NDArray[np.int64],
    ) -> None:  # fmt: skip
        known, done = self.fingerprints, 0
        while True:
            done += compiled.apply_rows(
                frame.point[done:], frame.cell[done:], frame.cell.view(np.float64)[done:],
                frame.quality[done:], frame.source_ns[done:], received_ns, sequence, origin,
                skew_ns, kinds, low, high, self._pages, *self._arena.columns, is_numbered,
                known.highest_ns, known.young, known.old, known.young_table, known.old_table,
                known.marks, fate[done:], quality[done:], counts,
            )  # fmt: skip
            if done == len(frame):
                return
            known.go_on()

    def _apply_plain(
        self, frame: Frame, kinds: NDArray[np.uint8], low: NDArray[np.float64],
        high: NDArray[np.float64], received_ns: int, sequence: int, origin: int, skew_ns: int,
        is_numbered: bool, fate: NDArray[np.uint8], quality: Qualities, counts: NDArray[np.int64],
    ) -> None:  # fmt: skip
        known = frame.point < len(kinds)
        counts[UNKNOWN] = len(frame) - np.count_nonzero(known)
        fate[~known] = REFUSED
        rows = np.flatnonzero(known)
        point, cell = frame.point[rows], frame.cell[rows]
        kind, q = kinds[point], frame.quality[rows].copy()
        value = np.where(kind == Kind.FLOAT, cell.view(np.float64), cell.astype(np.float64))
        check = (kind <= Kind.INT) & (q & 0xC000_0000 == 0)
        not_a_number = check & np.isnan(value)
        with np.errstate(invalid="ignore"):
            outside = check & ((value < low[point]) | (value > high[point]))
        q[not_a_number] = BAD_NO_DATA
        q[outside] = UNCERTAIN_RANGE
        quality[rows] = q
        counts[NAN] = np.count_nonzero(not_a_number)
        counts[RANGE] = np.count_nonzero(outside)
        if not is_numbered:
            new = self.fingerprints.recognise(point, frame.source_ns[rows], cell, q)
            fate[rows[~new]] = DUPLICATE
            counts[DUPLICATES] = np.count_nonzero(~new)
            rows = rows[new]
        # numpy cannot order writes to one place, so rows of one point are taken in turns.
        for turn in _turns(frame.point[rows]):
            chosen = rows[turn]
            at = self._at(frame.point[chosen])
            columns = self._arena.columns
            is_same = ~np.bool_(is_numbered) & (
                (frame.source_ns[chosen] == columns.source_ns[at])
                & (frame.cell[chosen] == columns.cell[at])
                & (quality[chosen] == columns.quality[at])
            )
            fate[chosen[is_same]] = DUPLICATE
            counts[DUPLICATES] += np.count_nonzero(is_same)
            chosen, at = chosen[~is_same], at[~is_same]
            counts[ACCEPTED] += len(chosen)
            source_ns = frame.source_ns[chosen]
            stamped = np.minimum(source_ns, received_ns)
            counts[FUTURE] += np.count_nonzero(source_ns - stamped > skew_ns)
            is_late = stamped < np.minimum(columns.source_ns[at], columns.received_ns[at])
            fate[chosen[is_late]] = LATE
            counts[LATE_ROWS] += np.count_nonzero(is_late)
            chosen, at = chosen[~is_late], at[~is_late]
            fate[chosen] = LATEST
            columns.cell[at] = frame.cell[chosen]
            columns.quality[at] = quality[chosen]
            columns.source_ns[at] = frame.source_ns[chosen]
            columns.received_ns[at] = received_ns
            columns.changed[at] = sequence
            columns.origin[at] = origin


def warm() -> None:
    """Compiles the loops, or takes them from numba's cache, before there is anything to lose by
    waiting: some seconds the first time on a machine, else some tenths of one."""
    if not compiled.HAS_NUMBA:
        return
    state = State(use_compiled=True)
    state.grow(1)
    one = Frame(
        np.zeros(1, np.uint32), np.zeros(1, np.int64), np.zeros(1, np.uint32), np.ones(1, np.int64)
    )
    for is_numbered in (True, False):
        state.apply(
            one, kinds=np.zeros(1, np.uint8), low=np.zeros(1), high=np.ones(1), received_ns=1,
            sequence=1, origin=0, skew_ns=0, is_numbered=is_numbered,
        )  # fmt: skip
    state.fingerprints.remember(one)
    state.read(state.changed_after(0))


def _turns(point: Handles) -> list[NDArray[np.intp]]:
    """Row numbers in groups: the first row of each point, then the second of each, and so on."""
    order = np.argsort(point, kind="stable")
    ordered = point[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(point) else order
    if len(starts) == len(point):
        return [np.arange(len(point))]
    lengths = np.diff(np.r_[starts, len(point)])
    turn = np.arange(len(point)) - np.repeat(starts, lengths)
    by_turn = np.argsort(turn, kind="stable")
    return np.split(order[by_turn], np.cumsum(np.bincount(turn))[:-1])
