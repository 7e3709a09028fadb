"""Models that come with the package: what really happened, and what goes on as it went."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import Annotated, Final

import numpy as np

from mirrorworld.world.changes import Change, Event, Origin, OriginKind, Position
from mirrorworld.world.frames import Frame, cells
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Record
from mirrorworld.world.world import World

AT_ONCE: Final = 10_000
POINTS_MAX: Final = 10_000
SECOND_NS: Final = 1_000_000_000


class Replay:
    """Goes on with what was recorded after the fork, except for the values that people assumed.

    So a branch from the past can be compared with what really happened. Structure is not
    replayed: samples of points that came later are left out, and counted in `left_out`.
    """

    name = "replay"
    origin = OriginKind.SIMULATED

    def __init__(self) -> None:
        self.left_out = 0
        self._record: Record | None = None
        self._after = Position(0, 0)
        self._points = 0
        self._next: Change | None = None
        self._changes: Iterator[Change] = iter(())
        self._assumed: set[int] | None = None

    def follow(self, record: Record, at: Position) -> None:
        """See FollowsRecord."""
        self._record, self._after = record, at

    def step(self, view: World, until_ns: int) -> Iterator[Change]:
        """See Model."""
        if self._assumed is None:
            self._points = view.n_points
            self._assumed = _assumed(view)
        origin = Origin(self.origin, self.name)
        while (change := self._ahead()) is not None and change.received_ns <= until_ns:
            self._next = None
            body = change.body
            if isinstance(body, Frame):
                body = self._kept(body)
                if not len(body):
                    continue
            elif not isinstance(body, Event):
                continue
            yield Change(body, origin, change.received_ns)

    def _ahead(self) -> Change | None:
        if self._next is None and self._record is not None:
            self._next = next(self._changes, None)
            if self._next is None:
                self._changes = iter(list(self._record.changes(self._after, AT_ONCE)))
                self._next = next(self._changes, None)
            if self._next is not None and self._next.position is not None:
                self._after = self._next.position
        return self._next

    def _kept(self, frame: Frame) -> Frame:
        assert self._assumed is not None
        known = frame.point < self._points
        self.left_out += int(len(frame) - np.count_nonzero(known))
        if self._assumed:
            known &= ~np.isin(frame.point, np.fromiter(self._assumed, np.uint32))
        return frame if known.all() else frame.take(known)


def _assumed(world: World) -> set[int]:
    """The points whose latest value a person took for given in this branch."""
    columns = world.read(np.arange(world.n_points, dtype=np.uint32))
    fork = world.parent[1].sequence if world.parent else -1
    kinds = np.array([o.kind for o in world.origins] or [0])
    by_person = (columns.changed > fork) & (kinds[columns.origin] == OriginKind.AUTHORED)
    return set(np.flatnonzero(by_person).tolist())


class Trend:
    """Lets numbers go on as they went before the fork: a straight line through the last minutes.

    Least squares over `window_s` before each point's last sample, from its value there on. Points
    without two samples in it stay as they are, and a line does not leave the point's range. Points
    that people assumed stay assumed.
    """

    name = "trend"
    origin = OriginKind.SIMULATED

    def __init__(
        self,
        points: str = "*",
        window_s: Annotated[float, "s"] = 600.0,
        every_s: Annotated[float, "s"] = 10.0,
    ) -> None:
        if not (window_s > 0 and every_s > 0):
            raise ValueError(f"trend: window_s {window_s} and every_s {every_s} have to be over 0")
        self._pattern, self._window_ns = points, int(window_s * SECOND_NS)
        self._every_ns = max(int(every_s * SECOND_NS), 1)
        self._record: Record | None = None
        self._lines: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        self._start_ns = self._due_ns = 0

    def follow(self, record: Record, at: Position) -> None:
        """See FollowsRecord."""
        self._record = record

    def step(self, view: World, until_ns: int) -> Iterator[Change]:
        """See Model."""
        if self._lines is None:
            self._lines = self._fit(view)
            self._start_ns = self._due_ns = until_ns
        handles, value, slope = self._lines
        if not len(handles):
            return
        while self._due_ns <= until_ns:
            at_ns = self._due_ns
            self._due_ns += self._every_ns
            now = value + slope * ((at_ns - self._start_ns) / SECOND_NS)
            low, high = view.structure.low[handles], view.structure.high[handles]
            now = np.fmin(np.fmax(now, low), high)
            n = len(handles)
            frame = Frame(handles, cells(now), np.zeros(n, np.uint32), np.full(n, at_ns, np.int64))
            yield Change(frame, Origin(self.origin, self.name), at_ns)

    def _fit(self, view: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        columns = view.read(np.arange(view.n_points, dtype=np.uint32))
        known = columns.changed >= 0
        kinds, assumed = view.kinds, _assumed(view)
        found: list[tuple[int, float, float]] = []
        for handle in np.flatnonzero(known & (kinds == Kind.FLOAT)).tolist():
            twin, kind = view.point(handle)
            if handle in assumed or not fnmatch.fnmatchcase(f"{twin}.{kind.name}", self._pattern):
                continue
            if len(found) == POINTS_MAX:
                raise ValueError(f"more than {POINTS_MAX} points; name fewer by `points`")
            line = self._line(handle, int(columns.source_ns[handle]))
            if line is not None:
                found.append((handle, *line))
        table = np.array(found, np.float64).reshape(-1, 3)
        return table[:, 0].astype(np.uint32), table[:, 1], table[:, 2]

    def _line(self, handle: int, last_ns: int) -> tuple[float, float] | None:
        """(value at the last sample, slope in a second) of a point; None: it has none."""
        if self._record is None:
            return None
        series = self._record.read(handle, last_ns - self._window_ns, last_ns + 1, 2_000)
        value = series.cell.view(np.float64)
        good = np.isfinite(value) & (series.quality & 0xC000_0000 == 0)
        time_s = (series.source_ns[good] - last_ns) / SECOND_NS
        value = value[good]
        if len(value) < 2 or not np.ptp(time_s):
            return None
        centred = time_s - time_s.mean()
        slope = float(centred @ (value - value.mean()) / (centred @ centred))
        return float(value.mean() - slope * time_s.mean()), slope


__all__ = ["Replay", "Trend"]
