"""The one road into a world: guard, apply, append, fsync in groups, acknowledge.

One event loop owns the world and appends; one worker thread commits. While a commit is under
way the next group gathers, so that the disk sets the size of the groups and the loop never waits
for it. What is gathered but not durable is bounded: `push` waits.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.live.guard import SOURCE
from mirrorworld.world.changes import (
    Applied,
    Body,
    Change,
    DropSheet,
    Edits,
    Event,
    Origin,
    OriginKind,
    Position,
    PutSheet,
    PutTwin,
    PutType,
    Severity,
    Tally,
)
from mirrorworld.world.frames import Frame, Handles
from mirrorworld.world.model import Text
from mirrorworld.world.ports import Action, Guard, Principal, Record
from mirrorworld.world.world import World

log = logging.getLogger(__name__)

LINGER_S: Final = 0.1
"""How long a group gathers while nobody waits for it: larger groups compress better."""
PENDING_ROWS_MAX: Final = 4_000_000
CLOCK_JUMP_NS: Final = 30_000_000_000


class Refused(PermissionError):
    """A guard said no; the message says why and what would be needed."""


class Pipeline:
    """Takes changes into a world and makes them durable.

    Attributes:
        world, record, guard: what it serves.
        durable: up to where the record is on disk.
        failure: set once the disk has refused; from then on nothing is taken any more.
        listeners: called on the loop with each applied change; they must be quick.
        on_durable: called on the loop after each commit with what is then durable.
    """

    def __init__(
        self,
        world: World,
        record: Record,
        guard: Guard,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        pending_rows_max: int = PENDING_ROWS_MAX,
    ) -> None:
        self.world, self.record, self.guard, self.now_ns = world, record, guard, now_ns
        self.durable: Position = world.position
        self.failure: OSError | None = None
        self.listeners: list[Callable[[Change], None]] = []
        self.on_durable: list[Callable[[Position], None]] = []
        self.rows = 0
        """Samples accepted since the start."""
        self.commits = 0
        self.pending_rows_max = pending_rows_max
        self._rows_durable = 0
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._n_waiters = 0
        self._dirty = asyncio.Event()
        self._wanted = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._committer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="record")

    # --- life ---

    def start(self) -> None:
        """Starts committing; call on the loop that owns the world."""
        self._committer = asyncio.create_task(self._commit_for_ever(), name="commit")

    async def stop(self) -> None:
        """Commits what is there and lets go of the record; a second call does nothing."""
        if self._committer is None:
            return
        self._committer.cancel()
        await asyncio.gather(self._committer, return_exceptions=True)
        self._committer = None
        loop = asyncio.get_running_loop()
        try:
            if self.failure is None:
                snapshot = self.world.snapshot()
                await loop.run_in_executor(self._thread, self.record.keyframe, snapshot)
            await loop.run_in_executor(self._thread, self.record.close)
        finally:
            self._thread.shutdown()

    # --- in ---

    @property
    def pending_rows(self) -> int:
        """Samples that are applied but not durable yet."""
        return self.rows - self._rows_durable

    def apply(self, change: Change) -> Applied:
        """Applies a change and appends it; the caller has asked the guard.

        Raises:
            ValueError: the world refused it.
            OSError: the record has failed before; nothing is taken any more.
        """
        if self.failure is not None:
            raise self.failure
        applied = self.world.apply(change)
        placed = applied.change
        if placed is None:
            return applied
        self.record.append(placed)
        if isinstance(placed.body, Frame):
            rows = len(placed.body)
            self.rows += rows
            if self.pending_rows > self.pending_rows_max:
                self._room.clear()
        self._dirty.set()
        for listener in self.listeners:
            listener(placed)
        return applied

    async def submit(
        self,
        who: Principal,
        action: Action,
        body: Body,
        *,
        origin: OriginKind = OriginKind.AUTHORED,
        twin: str = "",
        check: Callable[[], None] | None = None,
    ) -> Applied:
        """Applies what a principal asks for, and returns when it is durable; see `take`.

        Raises:
            OSError: it could not be made durable.
        """
        applied = self.take(who, action, body, origin=origin, twin=twin, check=check)
        if applied.change is not None and applied.change.position is not None:
            await self.until_durable(applied.change.position.sequence)
        return applied

    def take(
        self,
        who: Principal,
        action: Action,
        body: Body,
        *,
        origin: OriginKind = OriginKind.AUTHORED,
        twin: str = "",
        check: Callable[[], None] | None = None,
    ) -> Applied:
        """Applies what a principal asks for, at once. Until it is durable nobody may be told.

        Args:
            check: called once the guard has said yes, with nothing between it and the applying;
                raises what keeps the body out.

        Raises:
            Refused: the guard said no.
            ValueError: the world refused it.
            OSError: the record has failed before.
        """
        now_ns = self.now_ns()
        named = sorted(twins_of(body)) or [twin]
        for each in named:
            self.ask(who, action, each, now_ns)
        if check is not None:
            check()
        return self.apply(Change(body, Origin(origin, who.id), now_ns))

    def ask(self, who: Principal, action: Action, twin: str, now_ns: int | None = None) -> None:
        """Asks the guard; raises Refused with its reason."""
        now_ns = self.now_ns() if now_ns is None else now_ns
        decision = self.guard.may(who, action, twin, "", now_ns)
        if not decision.allowed:
            raise Refused(decision.reason)

    async def room(self) -> None:
        """Waits while too much is not durable yet."""
        if not self._room.is_set():
            self._wanted.set()
            await self._room.wait()
        if self.failure is not None:
            raise self.failure

    async def until_durable(self, sequence: int) -> None:
        """Returns when everything up to a sequence is on disk; OSError if it cannot be."""
        if self.durable.sequence >= sequence:
            return
        if self.failure is not None:
            raise self.failure
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._n_waiters += 1
        heapq.heappush(self._waiters, (sequence, self._n_waiters, done))
        self._wanted.set()
        await done

    # --- out ---

    async def _commit_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while self.failure is None:
            await self._dirty.wait()
            if not self._waiters and self._room.is_set():
                self._wanted.clear()
                try:
                    async with asyncio.timeout(LINGER_S):
                        await self._wanted.wait()
                except TimeoutError:
                    pass
            self._dirty.clear()
            rows = self.rows
            snapshot = self.world.snapshot() if self.record.wants_keyframe else None
            commit = loop.run_in_executor(self._thread, self.record.commit)
            try:
                position = await asyncio.shield(commit)
            except OSError as error:
                self._fail(error)
                return
            self.commits += 1
            self.durable = position
            self._rows_durable = rows
            if self.pending_rows <= self.pending_rows_max // 2:
                self._room.set()
            while self._waiters and self._waiters[0][0] <= position.sequence:
                _, _, done = heapq.heappop(self._waiters)
                if not done.done():
                    done.set_result(None)
            for told in self.on_durable:
                told(position)
            if snapshot is not None:
                # After all were told, since it takes seconds where a world is large.
                keyframe = loop.run_in_executor(self._thread, self.record.keyframe, snapshot)
                try:
                    await asyncio.shield(keyframe)
                except OSError as error:
                    self._fail(error)
                    return

    def _fail(self, error: OSError) -> None:
        log.critical("the record cannot be written, nothing more is taken: %s", error)
        self.failure = error
        self._room.set()
        for _, _, done in self._waiters:
            if not done.done():
                done.set_exception(error)
        self._waiters.clear()


def twins_of(body: Body) -> set[str]:
    """The twins that a change is about, for the guard."""
    if isinstance(body, Edits):
        twins: set[str] = set()
        for edit in body.edits:
            match edit:
                case PutType(type=put):
                    twins.add(put.id)
                case PutTwin(twin=put):
                    twins.add(put.id)
                case PutSheet() | DropSheet():
                    twins.add("")  # it is of the world as a whole
                case _:
                    for name in ("twin", "id", "source"):
                        value = getattr(edit, name, None)
                        if isinstance(value, str):
                            twins.add(value)
                    relation = getattr(edit, "relation", None)
                    if relation is not None:
                        twins.add(relation.source)
        return twins
    twin = getattr(body, "twin", "")
    return {twin} if twin else set()


class SourceSink:
    """The `Sink` (world/ports.py) of one source."""

    def __init__(self, pipeline: Pipeline, source: str, *, has_live_clock: bool = True) -> None:
        self.source = source
        self.counts: Counter[str] = Counter()
        self._pipeline = pipeline
        self._who = Principal(source, frozenset({SOURCE}))
        self._origins = {kind: Origin(kind, source) for kind in OriginKind}
        self._has_live_clock = has_live_clock
        self._skew_ns: int | None = None
        self._n_skewed = 0

    @property
    def tally(self) -> Tally:
        """What became of the source's samples."""
        return self._pipeline.world.tallies.setdefault(self.source, Tally())

    def now_ns(self) -> int:
        """See Sink."""
        return self._pipeline.now_ns()

    async def declare(self, edits: Edits) -> None:
        """See Sink."""
        await self._pipeline.room()
        for edit in edits.edits:
            if isinstance(edit, PutTwin):
                self._pipeline.ask(self._who, Action.DECLARE, edit.twin.id)
        self._apply(edits, OriginKind.MEASURED)

    def handles(self, points: Iterable[tuple[str, str]]) -> Handles:
        """See Sink."""
        return self._pipeline.world.handles(points)

    def latest_ns(self, handles: Handles) -> NDArray[np.int64]:
        """See KnowsLatest."""
        return self._pipeline.world.read(handles).source_ns

    def numbered(self) -> dict[int, int]:
        """See KnowsNumbers."""
        return self._pipeline.world.numbered(self.source)

    async def push(
        self,
        frame: Frame,
        *,
        incarnation: int = 0,
        source_seq: int = -1,
        origin: OriginKind = OriginKind.MEASURED,
    ) -> int:
        """See Sink."""
        await self._pipeline.room()
        self._apply(frame, origin, incarnation, source_seq)
        if self._has_live_clock and len(frame):
            self._watch_clock(int(frame.source_ns[-1]))
        return self._pipeline.world.position.sequence

    async def durable(self, ticket: int) -> None:
        """See Sink."""
        await self._pipeline.until_durable(ticket)

    async def event(self, event: Event, *, incarnation: int = 0, source_seq: int = -1) -> None:
        """See Sink."""
        await self._pipeline.room()
        self._apply(event, OriginKind.MEASURED, incarnation, source_seq)

    def count(self, what: str, n: int = 1) -> None:
        """See Sink."""
        self.counts[what] += n

    def _apply(
        self,
        body: Body,
        origin: OriginKind,
        incarnation: int = 0,
        source_seq: int = -1,
    ) -> None:
        self._pipeline.apply(
            Change(body, self._origins[origin], self.now_ns(), self.source, incarnation, source_seq)
        )

    def _watch_clock(self, source_ns: int) -> None:
        """Reports when a source's clock has jumped against ours. Single old samples are late
        data; only when several frames in a row agree is it the clock."""
        now_ns = self.now_ns()
        skew_ns = now_ns - source_ns
        if self._skew_ns is None or abs(skew_ns - self._skew_ns) < CLOCK_JUMP_NS:
            self._skew_ns, self._n_skewed = skew_ns, 0
            return
        self._n_skewed += 1
        if self._n_skewed < 5:
            return
        jump_s = (self._skew_ns - skew_ns) / 1e9
        self._skew_ns, self._n_skewed = skew_ns, 0
        self.counts["clock_jumps"] += 1
        message = Text.of(
            f"the clock of {self.source} jumped by {jump_s:+.0f} s; its samples keep the times it"
            " gives, and those older than the latest are kept as late. Set its clock by NTP.",
            "en",
        )
        self._apply(
            Event(
                f"{self.source}/clock", self.source, "clock_jump", message, Severity.MEDIUM,
                source_ns=now_ns,
            ),
            OriginKind.INFERRED,
        )  # fmt: skip
