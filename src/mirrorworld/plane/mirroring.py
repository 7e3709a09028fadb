"""One site followed over one session: its structure, what comes live, and what is missing.

Two lanes. Live is applied as it comes; what lies between that and what is here is asked of the
site's record page by page, and a page waits whenever something live is there. Both number what
they push with the place in the site's record (see `runs.py`), so nothing counts twice whatever
ends when.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import zenoh

from mirrorworld.connectors.zenoh_session import (
    Joined,
    Unreachable,
)
from mirrorworld.plane import wire
from mirrorworld.plane.runs import Rewound, Runs
from mirrorworld.plane.translate import Words, plain_edits, plain_events
from mirrorworld.world.changes import (
    Change,
    DropRelation,
    DropTwin,
    Edit,
    Edits,
    Event,
    OriginKind,
    PutRelation,
    PutTwin,
    Severity,
)
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Text
from mirrorworld.world.ports import (
    KnowsNumbers,
    Link,
    LinkState,
    Sink,
    SourceError,
)

ARRIVED_BYTES_MAX: Final = 64 << 20
"""So much of what came live may wait to be applied; more is not taken and asked for later."""
SLICE_ROWS: Final = 8_192
"""Of a page of the past, so much is applied before live has its turn again."""
ASK_S: Final = 20.0
HELD_EVERY_S: Final = 1.0
INLINE_BYTES: Final = 32 << 10
"""Larger stretches are decoded in a thread."""
_UNRESOLVED: Final = -1
_NOWHERE: Final = -2


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """What can be set. Text of the guide: docs/guide/live-plane.md."""

    listen: str = "auto"
    """auto (if the host is 0.0.0.0), true or false."""
    max_points: int = 1_000_000
    """A site of more is refused: it is no site that anyone meant."""
    history: bool = True
    """Whether what the site recorded before it was first seen here is brought in too."""
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""

    def __post_init__(self) -> None:
        if self.listen.lower() not in ("auto", "true", "false"):
            raise ValueError(f"listen='{self.listen}' is none of auto, true, false")
        if not 1 <= self.max_points <= wire.POINTS_MAX:
            raise ValueError(f"max_points={self.max_points} is not from 1 to {wire.POINTS_MAX}")


class _Arrivals:
    """What came live and waits; filled by Zenoh's thread, emptied on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.came = asyncio.Event()
        self.not_taken = 0
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._bytes = 0

    def add(self, sample: zenoh.Sample) -> None:
        data = sample.payload.to_bytes()
        with self._lock:
            if self._bytes + len(data) > ARRIVED_BYTES_MAX:
                self.not_taken += 1
                return
            self._waiting.append(data)
            self._bytes += len(data)
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(self.came.set)

    def take(self) -> bytes | None:
        with self._lock:
            if not self._waiting:
                return None
            data = self._waiting.popleft()
            self._bytes -= len(data)
            return data

    def __len__(self) -> int:
        return len(self._waiting)


class Follows(Protocol):
    """The connector whose site is followed."""

    link: Link

    @property
    def name(self) -> str:
        """The source's name."""
        ...

    async def tell(self, state: LinkState, detail: str, sink: Sink) -> None:
        """Says how the link stands."""
        ...


class Mirroring:
    """One site over one session."""

    def __init__(
        self, connector: Follows, part: Joined, site: str, options: SiteOptions, sink: Sink
    ) -> None:
        self._connector, self._part, self._site = connector, part, site
        self._options, self._sink = options, sink
        self._words = Words(connector.name)
        self._arrivals = _Arrivals(asyncio.get_running_loop())
        self._is_alive = asyncio.Event()
        self._changed = asyncio.Event()
        self._runs = Runs("", {})
        self._told: wire.Structure | None = None
        self._names: list[tuple[str, str]] = []
        self._map = np.empty(0, np.int64)
        self._conditions: set[Event] = set()
        self._relations: set[tuple[str, str, str, str]] = set()
        self._ticket = 0
        self._who = str(part.session.zid())

    async def run(self) -> None:
        """Mirrors until the session is to be joined anew; Unreachable if it has ended."""
        session, site = self._part.session, self._site
        loop = asyncio.get_running_loop()

        def alive(sample: zenoh.Sample) -> None:
            is_there = sample.kind == zenoh.SampleKind.PUT
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._on_alive, is_there)

        ending = contextlib.ExitStack()
        try:
            key = wire.key_of(site, "live")
            live = session.declare_subscriber(key, self._arrivals.add)
            ending.callback(_undeclared, live)
            key = wire.key_of(site, "alive")
            token = session.liveliness().declare_subscriber(key, alive, history=True)
            ending.callback(_undeclared, token)
            while not self._part.replaced.is_set():
                await self._once()
        finally:
            # Whatever is told to a link that takes nothing waits, so not on the loop.
            await asyncio.shield(asyncio.to_thread(ending.close))

    async def _once(self) -> None:
        """Follows the site while it is there, or waits a moment for it."""
        site, connector = self._site, self._connector
        if self._part.session.is_closed():
            raise Unreachable(f"{site}: the session was closed")
        if not self._is_alive.is_set():
            if connector.link.state is LinkState.LIVE or not connector.link.detail:
                detail = f"no site '{site}' is linked here"
                await connector.tell(LinkState.LOST, detail, self._sink)
            await self._wait(self._is_alive, 1.0)
            return
        try:
            await self._follow()
        except Unreachable as error:
            await connector.tell(LinkState.LOST, str(error), self._sink)
            await self._wait(self._changed, 1.0)
        except wire.BrokenMessage as error:
            self._sink.count("site_broken_messages")
            await connector.tell(LinkState.LOST, f"{site}: {error}", self._sink)
            await self._wait(self._part.replaced, 5.0)

    def _on_alive(self, is_there: bool) -> None:
        (self._is_alive.set if is_there else self._is_alive.clear)()
        self._changed.set()
        self._arrivals.came.set()

    async def _wait(self, event: asyncio.Event, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()

    # --- following

    async def _follow(self) -> None:
        """Asks what the site is, then applies what comes and what is missing, until the site is
        gone or live has left something out: then it is asked again."""
        self._changed.clear()
        told = await ask_structure(self._part, self._site)
        if len(told.point_name) > self._options.max_points:
            raise SourceError(
                f"{self._connector.name}: site {self._site} has {len(told.point_name)} points;"
                f" max_points={self._options.max_points} takes no more"
            )
        is_same = self._told is not None and self._told.record == told.record
        self._told = told
        numbered = self._numbered()
        if not is_same:
            self._runs = Runs(told.record, numbered)
        await self._take_structure(told)
        if self._runs.is_new:
            await self._first_seen(told)
        if self._runs.is_full:
            # Too many gaps at once: what is live has to wait for one to be filled.
            self._sink.count("site_live_waited")
            async with self._beside(self._tell_held()):
                await self._catch_up(is_alone=True)
            return
        try:
            incarnation = self._runs.begin(told.after, self._numbered())
        except Rewound as error:
            raise SourceError(
                f"{self._connector.name}: site {self._site} was set back: {error}. If its record"
                " was restored from a backup, mirror it under another source name from now on"
            ) from None
        await self._connector.tell(LinkState.LIVE, "", self._sink)
        async with self._beside(self._catch_up()), self._beside(self._tell_held()):
            await self._live(incarnation)

    @contextlib.asynccontextmanager
    async def _beside(self, work: Any) -> AsyncIterator[None]:
        """Runs something beside a block; if it fails, the block is ended and the failure raised."""
        outer = asyncio.current_task()
        assert outer is not None
        task: asyncio.Task[None] = asyncio.create_task(work)
        failed: list[BaseException] = []

        def ended(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                failed.append(error)
                self._changed.set()
                self._arrivals.came.set()

        task.add_done_callback(ended)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if failed:
            raise failed[0]

    async def _live(self, incarnation: int) -> None:
        """Applies what comes live, until something was left out or the site is gone."""
        arrivals = self._arrivals
        last = self._told.after if self._told is not None else 0
        while self._is_alive.is_set() and not self._part.replaced.is_set():
            if self._changed.is_set():
                return
            if (data := arrivals.take()) is None:
                arrivals.came.clear()
                if not len(arrivals):
                    await self._wait(arrivals.came, 1.0)
                if self._part.session.is_closed():
                    return
                continue
            if arrivals.not_taken:
                self._sink.count("site_live_not_taken", arrivals.not_taken)
                arrivals.not_taken = 0
            stretch = wire.stretch(data)
            if self._told is None or _opening(stretch) != _opening(self._told):
                return  # it was opened anew, or is another record: asked anew what it is
            if stretch.last <= last:
                self._sink.count("site_repeated", 1)
                continue
            if stretch.after > last or stretch.names_from > len(self._names):
                return  # something was left out
            if stretch.names_from + len(stretch.names) > self._options.max_points:
                return  # which is said when it is asked what it is
            self._name(stretch)
            changes = await self._decoded(stretch, len(data))
            await self._apply_live([c for c in changes if _sequence(c) > last], incarnation)
            last = stretch.last
            incarnation = self._runs.advance(incarnation, last)

    async def _catch_up(self, *, is_alone: bool = False) -> None:
        """Fills the gaps, the oldest first; alone it fills one."""
        while (gap := self._runs.gap()) is not None:
            after, incarnation = gap.after, gap.incarnation
            while after < gap.until:
                asked = f"after={after};until={gap.until};who={self._who}"
                try:
                    data = await ask_site(self._part, self._site, "changes", asked)
                except Unreachable:
                    self._sink.count("site_past_not_answered")
                    await asyncio.sleep(1.0)
                    continue
                page = wire.stretch(data)
                if self._told is None or page.record != self._told.record or page.last <= after:
                    self._changed.set()
                    return
                if page.kept_from > after + 1:
                    await self._lost(after, min(page.kept_from - 1, gap.until))
                changes = await self._decoded(page, len(data))
                await self._apply_past([c for c in changes if _sequence(c) > after], incarnation)
                after = page.last
                self._runs.advance(incarnation, after)
                # What is pushed and not durable is bounded by one page, so live never waits for
                # room that the past has taken.
                await self._sink.durable(self._ticket)
            if is_alone:
                return

    async def _tell_held(self) -> None:
        """Tells the site up to where all of its record is on disk here."""
        told = -1
        assert self._told is not None
        key, record = wire.key_of(self._site, "held"), self._told.record
        while True:
            ticket, whole = self._ticket, self._runs.whole_until
            if whole != told:
                await self._sink.durable(ticket)
                data = wire.encode(wire.Held(record, whole))
                await asyncio.to_thread(self._part.session.put, key, data)
                told = whole
            await asyncio.sleep(HELD_EVERY_S)

    # --- what it is made of

    async def _take_structure(self, told: wire.Structure) -> None:
        """Declares what the site is made of now, and how its conditions stand."""
        words = self._words

        def translated() -> list[Edit]:
            edits = [*words.root(self._site), *words.edits(plain_edits(told.edits))]
            return [*edits, *words.below_root(edits)]

        edits = await asyncio.to_thread(translated)
        self._relations = {e.relation.key for e in edits if isinstance(e, PutRelation)}
        living = {edit.twin.id for edit in edits if isinstance(edit, PutTwin)}
        await self._declare(edits)
        gone = [twin for id_ in told.dropped if (twin := words.twin(id_)) not in living]
        await self._declare([DropTwin(twin) for twin in gone])
        names = [
            (words.twin(told.twins[ordinal]), point)
            for ordinal, point in zip(told.point_twin, told.point_name, strict=True)
        ]
        if self._names != names[: len(self._names)]:
            self._map = np.empty(0, np.int64)
        self._names = names
        self._grow()
        events = [words.event(event) for event in plain_events(told.events)]
        self._conditions = set(events)
        for event in events:
            await self._sink.event(event)

    async def _declare(self, edits: Sequence[Edit]) -> None:
        """Declares together or, if something is refused, one by one without that."""
        if not edits:
            return
        reason = f"seen at site {self._site}"
        try:
            await self._sink.declare(Edits(tuple(edits), reason))
        except ValueError:
            for edit in edits:
                try:
                    await self._sink.declare(Edits((edit,), reason))
                except ValueError as error:
                    self._sink.count("declaration_refused")
                    await self._sink.event(
                        Event(
                            f"{self._connector.name}/declaration_refused",
                            self._connector.name,
                            "declaration_refused",
                            Text((("en", str(error)),)),
                            Severity.MEDIUM,
                            source_ns=self._sink.now_ns(),
                        )
                    )

    async def _first_seen(self, told: wire.Structure) -> None:
        """Notes where the first run begins, before anything else of the record is numbered."""
        start = told.kept_from if self._options.history else told.after + 1
        incarnation = self._runs.begin(start - 1, {})
        await self._sink.event(
            Event(
                f"{self._connector.name}/first_seen/{told.record}",
                self._connector.name,
                "site_first_seen",
                Text((("en", f"record {told.record} of site {self._site}, from change {start}"),)),
                source_ns=self._sink.now_ns(),
            ),
            incarnation=incarnation,
            source_seq=start - 1,
        )

    async def _lost(self, after: int, before: int) -> None:
        n = before - after
        self._sink.count("site_changes_not_kept", n)
        what = (
            f"{n} changes of site {self._site} ({after + 1} to {before}) are lost: its record no"
            " longer had them when they were asked for. Give it more room (edge --keep)"
        )
        await self._sink.event(
            Event(
                f"{self._connector.name}/not_kept/{after + 1}",
                self._connector.name,
                "changes_lost",
                Text((("en", what),)),
                Severity.HIGH,
                source_ns=self._sink.now_ns(),
            )
        )

    def _name(self, stretch: wire.Stretch) -> None:
        """Takes the names of points that came in with a live stretch."""
        new = stretch.names[len(self._names) - stretch.names_from :]
        self._names += [(self._words.twin(twin), point) for twin, point in new]
        self._grow()

    def _grow(self) -> None:
        more = len(self._names) - len(self._map)
        if more > 0:
            self._map = np.concatenate((self._map, np.full(more, _UNRESOLVED, np.int64)))

    # --- applying

    async def _decoded(self, stretch: wire.Stretch, size: int) -> list[Change]:
        n = len(self._names)
        if size < INLINE_BYTES:
            return list(stretch.changes(n))
        return await asyncio.to_thread(lambda: list(stretch.changes(n)))

    async def _apply_live(self, changes: Sequence[Change], incarnation: int) -> None:
        assert self._told is not None
        for part in _grouped(changes, rows_max=1 << 18):
            body = part[-1].body
            if isinstance(body, Frame):
                await self._push(part, incarnation)
            elif isinstance(body, Edits) and _sequence(part[-1]) > self._told.sequence:
                # Earlier ones are in the structure as it was told.
                await self._declare(self._words.edits(body.edits))
                self._note_relations(body)
            elif isinstance(body, Event):
                if _sequence(part[-1]) <= self._told.sequence:
                    await self._past_event(part[-1], body, incarnation)
                    continue
                said = self._words.event(body)
                number = _sequence(part[-1])
                await self._sink.event(said, incarnation=incarnation, source_seq=number)

    async def _apply_past(self, changes: Sequence[Change], incarnation: int) -> None:
        """Applies what was missed. Structure is as it is now, so of edits only endings count."""
        for part in _grouped(changes, rows_max=SLICE_ROWS):
            while len(self._arrivals) and not self._changed.is_set():
                await asyncio.sleep(0.001)  # live goes first
            body = part[-1].body
            if isinstance(body, Frame):
                await self._push(part, incarnation)
            elif isinstance(body, Edits):
                endings = [
                    said
                    for said in self._words.edits(body.edits)
                    if isinstance(said, DropRelation)
                    and (said.kind, said.source, said.target, said.name) not in self._relations
                ]
                await self._declare(endings)
            elif isinstance(body, Event):
                await self._past_event(part[-1], body, incarnation)

    async def _past_event(self, change: Change, event: Event, incarnation: int) -> None:
        if self._words.event(event) in self._conditions:
            return  # it is how the condition stands, which was told with the structure
        number = _sequence(change)
        said = self._words.past_event(event, number)
        await self._sink.event(said, incarnation=incarnation, source_seq=number)

    def _note_relations(self, edits: Edits) -> None:
        for edit in self._words.edits(edits.edits):
            if isinstance(edit, PutRelation):
                self._relations.add(edit.relation.key)
            elif isinstance(edit, DropRelation):
                self._relations.discard((edit.kind, edit.source, edit.target, edit.name))

    async def _push(self, part: Sequence[Change], incarnation: int) -> None:
        """Pushes frames that follow each other as one, under the number of the last."""
        frames = [change.body for change in part if isinstance(change.body, Frame)]
        kind = part[0].origin.kind
        if len(frames) == 1:
            frame = frames[0]
        else:  # none of them has a heap
            frame = Frame(
                np.concatenate([f.point for f in frames]),
                np.concatenate([f.cell for f in frames]),
                np.concatenate([f.quality for f in frames]),
                np.concatenate([f.source_ns for f in frames]),
            )
        at = self._map[frame.point]
        if (at == _UNRESOLVED).any():
            self._resolve(np.unique(frame.point[at == _UNRESOLVED]).tolist())
            at = self._map[frame.point]
        if (at < 0).any():
            self._sink.count("site_unknown_points", int((at < 0).sum()))
            frame = frame.take(at >= 0)
            at = at[at >= 0]
        if not len(frame):
            return
        here = Frame(at.astype(np.uint32), frame.cell, frame.quality, frame.source_ns, frame.heap)
        self._ticket = await self._sink.push(
            here, incarnation=incarnation, source_seq=_sequence(part[-1]), origin=OriginKind(kind)
        )

    def _resolve(self, handles: Sequence[int]) -> None:
        """Finds the handles here of the site's; those that were refused have none."""
        names = [self._names[handle] for handle in handles]
        try:
            self._map[list(handles)] = self._sink.handles(names)
        except KeyError:
            for handle, name in zip(handles, names, strict=True):
                try:
                    self._map[handle] = int(self._sink.handles([name])[0])
                except KeyError:
                    self._map[handle] = _NOWHERE

    def _numbered(self) -> dict[int, int]:
        return self._sink.numbered() if isinstance(self._sink, KnowsNumbers) else {}


def _grouped(changes: Sequence[Change], rows_max: int) -> Iterator[list[Change]]:
    """Changes in order; frames of one origin that follow each other and have no heap together."""
    group: list[Change] = []
    rows = 0
    for change in changes:
        body = change.body
        joins = (
            bool(group)
            and isinstance(body, Frame)
            and not body.heap
            and change.origin.kind == group[0].origin.kind
            and rows + len(body) <= rows_max
        )
        if group and not joins:
            yield group
            group, rows = [], 0
        if isinstance(body, Frame) and not body.heap:
            group.append(change)
            rows += len(body)
        else:
            yield [change]
    if group:
        yield group


async def ask_structure(part: Joined, site: str) -> wire.Structure:
    """What a site is made of; Unreachable if it does not answer."""
    return wire.structure(await ask_site(part, site, "structure", ""))


async def ask_site(
    part: Joined,
    site: str,
    what: str,
    parameters: str,
    payload: bytes | None = None,
    *,
    is_urgent: bool = False,
    timeout_s: float = ASK_S,
) -> bytes:
    """The answer of a site; Unreachable if there is none."""
    key = wire.key_of(site, what)
    selector = f"{key}?{parameters}" if parameters else key

    def ask() -> bytes:
        said = ""
        replies = part.session.get(
            selector,
            timeout=timeout_s,
            payload=payload,
            priority=zenoh.Priority.REAL_TIME if is_urgent else zenoh.Priority.DATA_LOW,
            congestion_control=zenoh.CongestionControl.BLOCK,
        )
        for reply in replies:
            if reply.ok is not None:
                return reply.ok.payload.to_bytes()
            if reply.err is not None:
                said = reply.err.payload.to_bytes().decode(errors="replace")
        raise Unreachable(f"site {site} does not answer{': ' if said else ''}{said}")

    try:
        return await asyncio.to_thread(ask)
    except zenoh.ZError as error:
        raise Unreachable(f"site {site}: {error}") from None


def _opening(of: wire.Stretch | wire.Structure) -> tuple[str, int]:
    return of.record, of.epoch


def _undeclared(declared: Any) -> None:
    with contextlib.suppress(zenoh.ZError):
        declared.undeclare()


def _sequence(change: Change) -> int:
    return change.position.sequence if change.position is not None else 0
