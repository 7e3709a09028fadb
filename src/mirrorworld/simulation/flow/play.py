"""A run of the line played under a branch's clock, so that its twins move: the model `flow`.

One replication is simulated ahead with its trace, and told step by step as samples of the twins'
own points: state, counters, speed, content. Labels and units are those of the points. A machine
that has had no part for a few seconds is told as waiting, as controllers do.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow import engines
from mirrorworld.simulation.flow.from_world import from_world
from mirrorworld.simulation.flow.model import Station
from mirrorworld.simulation.flow.results import Doing, Trace
from mirrorworld.simulation.flow.roles import FAILED, RUNNING, WAITING, Place, Used
from mirrorworld.simulation.flow.sheet import Said
from mirrorworld.world.changes import Change, Origin, OriginKind
from mirrorworld.world.frames import Frame, cells
from mirrorworld.world.model import Kind
from mirrorworld.world.world import World

AHEAD_S: Final = 900.0
"""Simulated at first; ten times as much whenever that is used up."""
ROWS_A_SECOND: Final = 1_000
ROWS_MAX: Final = 20_000_000
WAITS_AFTER_S: Final = 4.0


@dataclass(slots=True)
class _Moving:
    """A twin whose points are told, with what its node did up to now."""

    place: Place
    node: int
    is_machine: bool
    rate_per_s: float = 0.0
    per_unit: int = 1
    capacity: int = 0
    base: dict[str, float] = field(default_factory=dict[str, float])
    """Counters as they were at the fork."""
    came: int = 0
    went: int = 0
    rejected: int = 0
    held: int = 0
    doing: int = Doing.STARVED
    waits_for: int = Doing.STARVED
    worked_s: float = -WAITS_AFTER_S
    told: dict[str, float] = field(default_factory=dict[str, float])
    last: dict[str, int] = field(default_factory=dict[str, int])

    def new(self, parts: NDArray[np.int64], what: str) -> int:
        """How many of some parts, in their order, are not the one before."""
        if not len(parts):
            return 0
        before = np.concatenate([[self.last.get(what, -1)], parts[:-1]])
        self.last[what] = int(parts[-1])
        return int((parts != before).sum())


class Play:
    """Lets the line run on as its model does: states, counters, speeds and contents."""

    name = "flow"
    origin = OriginKind.SIMULATED

    def __init__(self) -> None:
        self._seed = 1
        self._moving: list[_Moving] | None = None
        self._start_ns = 0
        self._row = 0

    def draw_from(self, seed: int) -> None:
        """See `simulation.ports.DrawsChance`."""
        self._seed = seed

    def step(self, view: World, until_ns: int) -> Iterable[Change]:
        """See `world.ports.Model`. The first step begins the run.

        Raises:
            ValueError: the world makes no line; the message says where and the mend.
        """
        if self._moving is None:
            self._begin(view, until_ns)
        now_s = (until_ns - self._start_ns) / 1e9
        if now_s > self._ahead_s:
            self._simulate(max(10 * self._ahead_s, 2 * now_s))
        rows = slice(self._row, int(np.searchsorted(self._time_s, now_s, "right")))
        self._row = rows.stop
        handles: list[int] = []
        values: list[float] = []
        assert self._moving is not None
        for one in self._moving:
            self._take(one, rows)
            for what, value in self._said(one, now_s).items():
                used = one.place.points[what]
                if one.told.get(what) != value:
                    one.told[what] = value
                    handles.append(used.handle)
                    values.append(value)
        if not handles:
            return ()
        is_float = view.kinds[handles] == Kind.FLOAT
        column = np.array(values)
        cell = np.where(is_float, cells(column), np.round(column).astype(np.int64))
        n = len(handles)
        frame = Frame(
            np.array(handles, np.uint32),
            cell,
            np.zeros(n, np.uint32),
            np.full(n, until_ns, np.int64),
        )
        return (Change(frame, Origin(self.origin, self.name), until_ns),)

    def _begin(self, view: World, now_ns: int) -> None:
        drawn = from_world(view)
        self._model, self._start_ns = drawn.model, now_ns
        index = {node.name: i for i, node in enumerate(drawn.model.nodes)}
        self._moving = []
        for place in drawn.places:
            node = drawn.model.nodes[index[place.label]]
            one = _Moving(place, index[place.label], isinstance(node, Station))
            said = drawn.flow.twins.get(place.twin, Said())
            one.per_unit = said.per_unit or 1
            if isinstance(node, Station):
                one.rate_per_s = node.servers / node.process.mean()
            else:
                one.capacity = getattr(node, "capacity", 0)
            for what in ("in", "out", "rejects"):
                used = place.points.get(what)
                value = view.value(used.handle) if used is not None else None
                one.base[what] = float(value) if isinstance(value, int | float) else 0.0
            self._moving.append(one)
        self._simulate(AHEAD_S)

    def _simulate(self, ahead_s: float) -> None:
        """The run again from its beginning, further: the same seed gives the same beginning."""
        rows = min(int(ahead_s * ROWS_A_SECOND), ROWS_MAX)
        run = engines.run(self._model, seed=self._seed, horizon_s=ahead_s, trace_rows=rows)
        trace = run.trace
        assert trace is not None
        if trace.is_cut:
            ahead_s = float(trace.time_s[-1])
            if ahead_s <= getattr(self, "_ahead_s", 0.0):
                raise ValueError(
                    f"{self._model.name}: more than {ROWS_MAX:,} movements; end the run earlier"
                )
        self._ahead_s = ahead_s
        self._time_s, self._doing = trace.time_s, trace.doing
        self._part, self._held = trace.part, trace.held
        self._is_reject = rejected(trace)
        order = np.argsort(trace.node, kind="stable")
        starts = np.searchsorted(trace.node[order], np.arange(len(self._model.nodes) + 1))
        self._rows = [order[a:b] for a, b in itertools.pairwise(starts)]

    def _take(self, one: _Moving, rows: slice) -> None:
        """What a node did in some rows of the trace."""
        mine = self._rows[one.node]
        mine = mine[np.searchsorted(mine, rows.start) : np.searchsorted(mine, rows.stop)]
        if not len(mine):
            return
        if one.is_machine:
            began = self._doing[mine] == Doing.BUSY
            ended = self._doing[mine] == Doing.BLOCKED
            # A part that is gone on with after a repair does not come again.
            one.came += one.new(self._part[mine][began], "began")
            one.went += one.new(self._part[mine][ended], "ended")
            one.rejected += int(self._is_reject[mine].sum())
            one.doing = int(self._doing[mine[-1]])
            if began.any() or one.doing == Doing.BUSY:
                one.worked_s = float(self._time_s[mine[-1]])
            if one.doing in (Doing.STARVED, Doing.BLOCKED):
                one.waits_for = one.doing
            return
        held: NDArray[np.int32] = np.concatenate([[one.held], self._held[mine]])
        moved = np.diff(held)
        one.came += int(moved[moved > 0].sum())
        one.went -= int(moved[moved < 0].sum())
        one.held = int(held[-1])

    def _said(self, one: _Moving, now_s: float) -> dict[str, float]:
        """Values of the twin's points, in their own units."""
        points, said = one.place.points, dict[str, float]()
        if one.is_machine:
            works = one.doing == Doing.BUSY or now_s - one.worked_s < WAITS_AFTER_S
            is_down = one.doing in (Doing.DOWN, Doing.MAINTENANCE)
            works = works and not is_down and one.doing != Doing.OFF
            if "state" in points and (code := _code(one, works, is_down)) is not None:
                said["state"] = code
            if "speed" in points:
                speed = one.rate_per_s / points["speed"].factor if works else 0.0
                said["speed"] = float(f"{speed:.9g}")
            said |= self._counts(one, points, one.came, one.went)
            if "rejects" in points:
                said["rejects"] = one.base["rejects"] + one.rejected
            return said
        packs_in, packs_out = one.came // one.per_unit, one.went // one.per_unit
        said |= self._counts(one, points, packs_in, packs_out)
        if "content" in points:
            said["content"] = float(packs_in - packs_out)
        if "occupancy" in points and one.capacity:
            share = min(1.0, one.held / one.capacity)
            said["occupancy"] = round(
                100 * share if points["occupancy"].type.unit == "%" else share, 3
            )
        return said

    def _counts(
        self, one: _Moving, points: dict[str, Used], came: int, went: int
    ) -> dict[str, float]:
        counts = {"in": came, "out": went}
        return {w: one.base[w] + n for w, n in counts.items() if w in points}


def rejected(trace: Trace) -> NDArray[np.bool_]:
    """[rows] whether a server has just thrown away what it worked on: it is empty without having
    waited for its part to be taken."""
    order = np.lexsort((trace.server, trace.node))  # stable: by time within a server
    node, server = trace.node[order], trace.server[order]
    is_next = np.zeros(len(order), bool)
    is_next[1:] = (node[1:] == node[:-1]) & (server[1:] == server[:-1])
    worked = np.zeros(len(order), bool)
    worked[1:] = trace.doing[order][:-1] == Doing.BUSY
    found = np.zeros(len(order), bool)
    found[order] = is_next & worked & (trace.part[order] == -1)
    return found


def _code(one: _Moving, works: bool, is_down: bool) -> float | None:
    """The code of the state's own labels for what the machine does; None if it has no such."""
    if works:
        wanted = RUNNING
    elif is_down:
        wanted = {"aborted", "fault", "faulted", "failed", "error", "down", "held"} & FAILED
    elif one.doing == Doing.OFF:
        wanted = {"stopped", "off"}
    else:
        by_cause = {"blocked"} if one.waits_for == Doing.BLOCKED else {"starved"}
        wanted = by_cause if by_cause & set(one.place.labels.values()) else WAITING | {"idle"}
    codes = [code for code, label in one.place.labels.items() if label in wanted]
    if is_down:  # the gravest that it has
        codes.sort(key=lambda code: one.place.labels[code] != "aborted")
    return float(codes[0]) if codes else None


__all__ = ["Play", "rejected"]
