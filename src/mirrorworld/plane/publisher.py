"""A world tells others what it made durable: live at once, and its past when it is asked.

The loop only collects; encoding and sending happen in a thread of their own, with BLOCK, so a slow
link holds up nothing but this. What waits for that thread is bounded: when it is too much, the
oldest of it is not sent live (and counted), and whoever misses it asks the record for it. Of what
nobody listens to, nothing is encoded at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final, Protocol

import msgspec
import zenoh

from mirrorworld.connectors.zenoh_session import Joined, Place, Unreachable, joined
from mirrorworld.live.guard import OPERATOR
from mirrorworld.live.pipeline import Pipeline
from mirrorworld.plane import wire
from mirrorworld.world.changes import (
    Change,
    Command,
    CommandState,
    Edit,
    Position,
    PutRelation,
    PutTwin,
    PutType,
    Writing,
)
from mirrorworld.world.frames import Frame
from mirrorworld.world.plain import to_plain
from mirrorworld.world.ports import Principal
from mirrorworld.world.world import World

log = logging.getLogger(__name__)

_OWN: Final = (Command, Writing)
"""What stays where it was asked and written: other sites are told of neither."""
WAITING_ROWS_MAX: Final = 500_000
WAITING_CHANGES_MAX: Final = 50_000
LIVE_ROWS_MAX: Final = 1 << 15
"""Of one live message."""
PAGE_ROWS: Final = 1 << 15
PAGE_CHANGES: Final = 5_000
"""Of one answer from the record, at most and about."""
READERS_MAX: Final = 4
"""So many who catch up are read for without starting at the chain's beginning each time."""
QUERIES_MAX: Final = 64
RETRY_S: Final = (0.5, 5.0)
UNHEARD_S: Final = (10.0, 300.0)
"""A link on which nobody asks for the site is given up after so long, later and later."""


class Past(Protocol):
    """What the publisher needs of a record."""

    def changes(self, after: Position, limit: int = ...) -> Iterator[Change]:
        """See Record."""
        ...

    @property
    def id(self) -> str:
        """Which record it is, in hex."""
        ...

    @property
    def kept_from(self) -> int:
        """The first sequence that it still has."""
        ...


class Commands(Protocol):
    """The command road of the world (`live.commands`), where commands from elsewhere are taken."""

    async def request(self, who: Principal, command: Command, *, wait: bool = ...) -> Command:
        """See `CommandRoad.request`."""
        ...


class Publisher:
    """Publishes one world as a site.

    Attributes:
        counts: what was not sent live, refused or failed, by name.
        is_linked: whether anyone is at the other end.
        detail: why not.
        held: up to where the other side has said that it has everything on disk; 0: nothing yet.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        past: Past,
        site: str,
        place: Place,
        road: Commands | None = None,
    ) -> None:
        """Publishes from `run` on.

        Args:
            road: takes commands that whoever mirrors the site sends; None: none are taken.
            site: its name; the certificate's common name, where it publishes over TLS.
            place: where; it connects outward, or listens.

        Raises:
            ValueError: the name cannot be a site's.
        """
        if not wire.SITE.fullmatch(site):
            raise ValueError(f"'{site}' cannot name a site: letters, digits, '-', '_' and '.' can")
        self.site, self.place = site, place
        self.counts: Counter[str] = Counter()
        self.is_linked = False
        self.detail = "connecting"
        self.held = 0
        self._pipeline, self._past, self._road = pipeline, past, road
        self._waiting: deque[Change] = deque()
        self._waiting_rows = 0
        self._after = 0
        self._named = 0
        self._is_heard = False
        self._patience_s = UNHEARD_S[0]
        self._wake = asyncio.Event()
        self._readers: OrderedDict[str, tuple[int, Iterator[Change]]] = OrderedDict()

    @property
    def world(self) -> World:
        """The world that it publishes."""
        return self._pipeline.world

    async def run(self) -> None:
        """Publishes until cancelled, through the link's loss and return."""
        pipeline = self._pipeline
        # What came before is asked of the record.
        self._after = pipeline.world.position.sequence
        self._named = pipeline.world.n_points  # these are told with the structure
        pipeline.listeners.append(self._listen)
        pipeline.on_durable.append(self._on_durable)
        wait_s = RETRY_S[0]
        try:
            while True:
                try:
                    may = {self.site: (wire.key_of(self.site, "**"),)}
                    async with joined(self.place, may if self.place.listens else None) as part:
                        wait_s = RETRY_S[0]
                        await self._serve(part)
                except (Unreachable, zenoh.ZError) as error:
                    self.is_linked, self.detail = False, str(error)
                    log.info("live plane: %s", error)
                    self._skip_waiting()
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, RETRY_S[1])
        finally:
            pipeline.listeners.remove(self._listen)
            pipeline.on_durable.remove(self._on_durable)

    # --- collecting, on the loop

    def _listen(self, change: Change) -> None:
        if isinstance(change.body, _OWN):
            return
        self._waiting.append(change)
        if isinstance(change.body, Frame):
            self._waiting_rows += len(change.body)
        while self._waiting_rows > WAITING_ROWS_MAX or len(self._waiting) > WAITING_CHANGES_MAX:
            self._take()
            self.counts["changes_not_sent_live"] += 1

    def _take(self) -> Change:
        """Takes the oldest that waits; what comes after is said to follow it."""
        change = self._waiting.popleft()
        if isinstance(change.body, Frame):
            self._waiting_rows -= len(change.body)
        assert change.position is not None
        self._after = change.position.sequence
        return change

    def _on_durable(self, position: Position) -> None:
        self._wake.set()

    def _skip_waiting(self) -> None:
        """Lets go of what nobody would hear."""
        durable = self._pipeline.durable.sequence
        while self._waiting and _sequence(self._waiting[0]) <= durable:
            self._take()
            self.counts["changes_not_sent_live"] += 1

    # --- sending

    async def _serve(self, part: Joined) -> None:
        """Publishes in a session until it is replaced or its link is lost for good."""
        loop = asyncio.get_running_loop()
        session, site = part.session, self.site
        sending = ThreadPoolExecutor(1, thread_name_prefix="live plane")
        reading = ThreadPoolExecutor(1, thread_name_prefix="past of the plane")
        asked = threading.BoundedSemaphore(QUERIES_MAX)

        def structure(query: zenoh.Query) -> None:
            loop.call_soon_threadsafe(self._hear)
            asyncio.run_coroutine_threadsafe(self._answer_structure(query, reading), loop)

        def changes(query: zenoh.Query) -> None:
            if asked.acquire(blocking=False):
                reading.submit(self._answer_changes, query, asked)
                return
            query.reply_err(b"too many ask at once; ask again")
            query.drop()

        def command(query: zenoh.Query) -> None:
            asyncio.run_coroutine_threadsafe(self._take_command(query), loop)

        def held(sample: zenoh.Sample) -> None:
            loop.call_soon_threadsafe(self._on_held, sample.payload.to_bytes())

        others: frozenset[str] = frozenset()
        unheard_at_s = math.inf
        ending = contextlib.ExitStack()
        ending.callback(sending.shutdown, wait=False, cancel_futures=True)
        ending.callback(reading.shutdown, wait=False, cancel_futures=True)
        try:
            publisher = session.declare_publisher(
                wire.key_of(site, "live"),
                congestion_control=zenoh.CongestionControl.BLOCK,
                priority=zenoh.Priority.INTERACTIVE_HIGH,
            )
            ending.callback(_undeclared, publisher)
            answers = {"structure": structure, "changes": changes}
            if self._road is not None:
                answers["command"] = command
            for what, answer in answers.items():
                key = wire.key_of(site, what)
                ending.callback(_undeclared, session.declare_queryable(key, answer))
            key = wire.key_of(site, "held")
            ending.callback(_undeclared, session.declare_subscriber(key, held))
            token = session.liveliness().declare_token(wire.key_of(site, "alive"))
            ending.callback(_undeclared, token)
            while not part.replaced.is_set():
                self._wake.clear()
                if session.is_closed():
                    raise Unreachable(f"{self.place}: the session was closed")
                now_others = part.others()
                if now_others != others:
                    others, self._is_heard = now_others, False
                    unheard_at_s = loop.time() + self._patience_s
                self.is_linked = bool(others)
                self.detail = "" if self.is_linked else f"{self.place}: nobody is linked"
                if not self.is_linked:
                    self._skip_waiting()
                elif not (self._is_heard or self.place.listens) and loop.time() > unheard_at_s:
                    # A link that came while the other side opened its session anew may carry
                    # nothing of what was declared here, for good.
                    self._patience_s = min(2 * self._patience_s, UNHEARD_S[1])
                    raise Unreachable(f"{self.place}: is linked, and asks nothing of {site}")
                while (message := self._collect()) is not None and not part.replaced.is_set():
                    await loop.run_in_executor(sending, self._send, publisher, *message)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._wake.wait()
        finally:
            # Whatever is told to a link that takes nothing waits, so not on the loop.
            await asyncio.shield(asyncio.to_thread(ending.close))

    def _collect(self) -> tuple[wire.Stretch, list[Change]] | None:
        """What is sent next, and its changes; None: nothing durable waits."""
        durable = self._pipeline.durable.sequence
        taken: list[Change] = []
        after, rows = self._after, 0
        while self._waiting and _sequence(self._waiting[0]) <= durable:
            if taken and rows >= LIVE_ROWS_MAX:
                break
            change = self._take()
            rows += len(change.body) if isinstance(change.body, Frame) else 0
            taken.append(change)
        if not taken:
            return None
        structure = self.world.structure
        first, self._named = self._named, structure.n_points
        names: list[tuple[str, str]] = []
        for handle in range(first, self._named):
            twin, kind = structure.point(handle)
            names.append((twin, kind.name))
        head = self._stretch(after, self._after, first, names, [])
        return head, taken

    def _stretch(
        self,
        after: int,
        last: int,
        names_from: int,
        names: list[tuple[str, str]],
        parts: list[tuple[int, bytes]],
    ) -> wire.Stretch:
        return wire.Stretch(
            wire.VERSION,
            self._past.id,
            self.world.epoch,
            after,
            last,
            self._past.kept_from,
            names_from,
            names,
            parts,
        )

    def _send(self, publisher: zenoh.Publisher, head: wire.Stretch, taken: list[Change]) -> None:
        """Encodes and sends, in the thread of the plane; waits while the link is full."""
        whole = msgspec.structs.replace(head, parts=wire.parts_of(taken))
        publisher.put(wire.encode(whole))

    # --- commands

    async def _take_command(self, query: zenoh.Query) -> None:
        """Tells what time it is here, or takes an order through the command road of this world.

        An order is due by this world's clock, so that it is never carried out late, whatever held
        it up and whatever the clock of who gave it says.
        """
        pipeline = self._pipeline
        try:
            if query.payload is None:
                query.reply(query.key_expr, pipeline.now_ns().to_bytes(8, "little", signed=True))
                return
            order = wire.order(query.payload.to_bytes())
            asked = wire.command(order.command)
            left_ms = (order.deadline_ns - pipeline.now_ns()) // 1_000_000
            if left_ms < 1:
                late = replace(asked, state=CommandState.EXPIRED, detail="it came too late")
                query.reply(query.key_expr, wire.encode_command(late))
                return
            who = Principal(f"{asked.by} by the plane", frozenset({OPERATOR}))
            asked = replace(asked, timeout_ms=min(asked.timeout_ms, left_ms))
            assert self._road is not None
            answer = await self._road.request(who, asked, wait=True)
            query.reply(query.key_expr, wire.encode_command(answer))
        except (wire.BrokenMessage, ValueError) as error:
            query.reply_err(str(error).encode())
        except (zenoh.ZError, OSError) as error:
            self.counts["answers_failed"] += 1
            log.info("live plane: a command was not answered: %s", error)
        finally:
            query.drop()

    # --- answering

    async def _answer_structure(self, query: zenoh.Query, thread: ThreadPoolExecutor) -> None:
        """Tells what the world is made of, and where live goes on. Reads the world on the loop,
        where nothing of it is copied, and makes bytes of it in the thread."""
        try:
            tell, after = self._structure()
            data = await asyncio.get_running_loop().run_in_executor(thread, tell)
            await self._pipeline.until_durable(after)  # what is before it, it may ask for
            query.reply(query.key_expr, data)
        except (zenoh.ZError, RuntimeError, OSError) as error:
            self.counts["answers_failed"] += 1
            log.info("live plane: the structure was not told: %s", error)
        finally:
            query.drop()

    def _structure(self) -> tuple[Callable[[], bytes], int]:
        """(what makes the answer of the world as it is now, after what live goes on)."""
        world, structure = self.world, self.world.structure
        ordinals = range(structure.n_ordinals)
        declared = [structure.declared_at(o) for o in ordinals]
        living = [declared[o] for o in ordinals if structure.twin_at(o) is not None]
        edits: list[Edit] = [PutType(t) for t in structure.types.values()]
        edits += map(PutTwin, living)
        edits += structure.overlays()
        edits += map(PutRelation, structure.relations.values())
        point_twin, kinds = structure.point_columns()
        names = [kind.name for kind in kinds]
        events = list(world.events.values())
        epoch, sequence, after = world.epoch, world.position.sequence, self._after
        kept_from = self._past.kept_from

        def tell() -> bytes:
            alive = {twin.id for twin in living}
            return wire.encode(
                wire.Structure(
                    wire.VERSION,
                    self._past.id,
                    epoch,
                    sequence,
                    after,
                    kept_from,
                    [to_plain(edit, tagged=True) for edit in edits],
                    [to_plain(event, tagged=True) for event in events],
                    [twin.id for twin in declared if twin.id not in alive],
                    [twin.id for twin in declared],
                    point_twin.tolist(),
                    names,
                )
            )

        return tell, after

    def _answer_changes(self, query: zenoh.Query, asked: threading.BoundedSemaphore) -> None:
        """Answers with a page of the record, in the thread of the past."""
        try:
            with query:
                try:
                    told = query.parameters
                    after, until = int(told.get("after") or ""), int(told.get("until") or "")
                    page = self._page(told.get("who") or "", after, until)
                except (TypeError, ValueError):
                    query.reply_err(b"give after=SEQUENCE;until=SEQUENCE")
                    return
                except (LookupError, OSError) as error:
                    query.reply_err(str(error).encode())
                    return
                query.reply(query.key_expr, wire.encode(page))
        except Exception as error:  # a thread of Zenoh's or ours must not end over one question
            self.counts["answers_failed"] += 1
            log.info("live plane: a page of the past was not told: %s", error)
        finally:
            asked.release()

    def _page(self, who: str, after: int, until: int) -> wire.Stretch:
        """Changes after one sequence and up to another, as many as fit a page."""
        kept_from = self._past.kept_from
        start = max(after, kept_from - 1)
        at, changes = self._readers.pop(who, (-1, iter(())))
        is_fresh = at != start
        if is_fresh:
            changes = self._read_after(start)
        taken: list[Change] = []
        rows, last, is_whole = 0, start, False
        while rows < PAGE_ROWS and len(taken) < PAGE_CHANGES:
            change = next(changes, None)
            if change is None and not is_fresh:  # it ended where the record did when it began
                changes, is_fresh = self._read_after(last), True
                continue
            if change is None or _sequence(change) >= until:
                is_whole = True
                at_end = change is not None and _sequence(change) == until
                if change is not None and at_end and not isinstance(change.body, _OWN):
                    taken.append(change)
                break
            last = _sequence(change)
            if isinstance(change.body, _OWN):
                continue
            taken.append(change)
            rows += len(change.body) if isinstance(change.body, Frame) else 0
        if not is_whole:
            self._readers[who] = (last, changes)
            while len(self._readers) > READERS_MAX:
                self._readers.popitem(last=False)
        end = max(after, until) if is_whole else last
        return self._stretch(after, end, 0, [], wire.parts_of(taken))

    def _read_after(self, sequence: int) -> Iterator[Change]:
        return self._past.changes(Position(self._pipeline.durable.epoch, sequence), 1 << 62)

    def _hear(self) -> None:
        """Somebody at the other end asks for this site."""
        self._is_heard, self._patience_s = True, UNHEARD_S[0]

    def _on_held(self, data: bytes) -> None:
        try:
            held = wire.held(data)
        except wire.BrokenMessage as error:
            self.counts["broken_messages"] += 1
            log.info("live plane: %s", error)
            return
        self._hear()
        if held.record == self._past.id:
            self.held = max(self.held, min(held.sequence, self._pipeline.durable.sequence))


def _undeclared(declared: Any) -> None:
    with contextlib.suppress(zenoh.ZError):
        declared.undeclare()


def _sequence(change: Change) -> int:
    return change.position.sequence if change.position is not None else 0
