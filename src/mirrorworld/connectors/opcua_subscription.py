"""One subscription over all points of a server: from notifications to frames, and what is missed.

Notifications are numbered by the subscription; a number is acknowledged only after its samples
are durable here, so that what a crash or a lost connection swallows is asked for again
(Republish, OPC 10000-4 §5.14.6). Several PublishRequests are kept waiting at the server.

After a loss the points keep their values with quality UncertainLastUsableValue, stamped with
the time of the loss on the server's clock. After the return, values that have not changed are
reported once more as they are, stamped with the time of the return.
"""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from asyncua import ua
from numpy.typing import NDArray

from mirrorworld.connectors import opcua_decode as decode
from mirrorworld.connectors.opcua_model import Item
from mirrorworld.connectors.opcua_session import Lost, Session, in_batches, status_name
from mirrorworld.connectors.opcua_values import WrongType, add_sample
from mirrorworld.world.frames import Frame, FrameBuilder, Handles, SampleValue, concatenate
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Sink
from mirrorworld.world.quality import UNCERTAIN_LAST_USABLE

KEEP_ALIVE_S: Final = 5.0
LIFETIME_S: Final = 600.0
"""How long the server keeps the subscription, and what it could not deliver, without us."""

CLOCK_JUMP_NS: Final = 5_000_000_000
"""A server's clock that moves by more than this against ours is reported."""

REPUBLISH_MAX: Final = 10_000
_SEQUENCE_MAX: Final = 0xFFFF_FFFF


class Gone(Exception):
    """The server no longer has the subscription; another must be made."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often and how much."""

    interval_ms: float = 250.0
    sampling_ms: float = -1.0
    """-1: as often as the subscription publishes (OPC 10000-4 §7.21)."""
    queue_size: int = 10
    outstanding: int = 3
    """How many PublishRequests wait at the server."""


@dataclass(slots=True)
class Gap:
    """What may have been missed: per item, from when (exclusive) and until when (exclusive)."""

    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]


@dataclass(slots=True)
class Clock:
    """What a server's publish times say of its clock."""

    publish_ns: int = 0
    offset_ns: int | None = None
    """Server's time minus ours."""
    jumped_ns: int = 0
    """By how much it moved at the last message, where that was a jump."""

    def note(self, publish_ns: int, now_ns: int) -> None:
        """Takes note of a message's publish time."""
        self.jumped_ns = 0
        if publish_ns == decode.NO_TIME:
            return
        offset = publish_ns - now_ns
        if self.offset_ns is not None and abs(offset - self.offset_ns) > CLOCK_JUMP_NS:
            self.jumped_ns = offset - self.offset_ns
        self.publish_ns, self.offset_ns = publish_ns, offset

    def server_ns(self, now_ns: int) -> int:
        """The server's time at a time of ours."""
        return now_ns + (self.offset_ns or 0)


@dataclass(slots=True)
class _Known:
    """The latest value of an item of variable size."""

    value: SampleValue | None
    quality: int
    source_ns: int


@dataclass(slots=True)
class Subscription:
    """The live values of a server's items.

    Args:
        items: what is mirrored; a client handle is an item's place in it.
        handles: the world's handles of the items, in the same order.
        on_clock_jump: told by how many nanoseconds the server's clock moved against ours.
        on_events: takes the lists of event fields in a message: the bytes, and where they are.
    """

    items: Sequence[Item]
    handles: Handles
    sink: Sink
    rate: Rate
    on_clock_jump: Callable[[int], Awaitable[None]]
    on_events: Callable[[bytes, Sequence[tuple[int, int]]], Awaitable[None]] | None = None
    id: int = 0
    incarnation: int = 0
    last: int = 0
    """Sequence number of the last notification that was handed over."""
    clock: Clock = field(default_factory=Clock)
    lost_ns: int = 0
    """When the connection was lost, on the server's clock; 0: it was not."""
    has_gap: bool = False
    """Notifications were lost for good; history may know more."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once every item has reported since the subscription was made."""
    refused: list[str] = field(default_factory=list)
    """Items that the server would not monitor, and why."""
    columns: decode.Items = field(init=False)
    _room: decode.Columns = field(init=False)
    _known: dict[int, _Known] = field(default_factory=dict)
    _fresh: NDArray[np.bool_] = field(init=False)
    """By item: nothing has come since the subscription was made."""
    _stale: NDArray[np.bool_] = field(init=False)
    """By item: marked uncertain, and not heard of since."""
    _item_of: NDArray[np.int64] = field(init=False)
    """Item by the world's handle."""
    _gap_start: NDArray[np.int64] = field(init=False)
    _gap_end: NDArray[np.int64] = field(init=False)
    _gap_cell: NDArray[np.int64] = field(init=False)
    _ticket: int = -1
    _acknowledge: list[int] = field(default_factory=list)
    _silence_s: float = 60.0

    def __post_init__(self) -> None:
        n = len(self.items)
        kinds = np.fromiter((i.kind for i in self.items), np.uint8, n)
        self.columns = decode.Items.of(np.ascontiguousarray(self.handles, np.uint32), kinds)
        self._room = decode.Columns.of(max(n, 1) + 1024)
        self._fresh = np.ones(n, np.bool_)
        self._stale = np.zeros(n, np.bool_)
        self._item_of = np.zeros(int(self.handles.max()) + 1 if n else 0, np.int64)
        self._item_of[self.handles] = np.arange(n)
        self._gap_start = np.full(n, decode.NO_TIME, np.int64)
        self._gap_end = np.full(n, decode.NO_TIME, np.int64)
        self._gap_cell = np.zeros(n, np.int64)

    # --- making it

    async def create(self, session: Session) -> None:
        """Makes the subscription and its items at the server, in batches within its limits."""
        rate = self.rate
        request = ua.CreateSubscriptionRequest()
        p = request.Parameters
        p.RequestedPublishingInterval = rate.interval_ms
        p.RequestedMaxKeepAliveCount = max(1, math.ceil(KEEP_ALIVE_S * 1000 / rate.interval_ms))
        p.RequestedLifetimeCount = max(
            3 * p.RequestedMaxKeepAliveCount, math.ceil(LIFETIME_S * 1000 / rate.interval_ms)
        )
        p.MaxNotificationsPerPublish = 0
        p.PublishingEnabled = True
        made = (await session.service(request, ua.CreateSubscriptionResponse)).Parameters
        self.id, self.last = made.SubscriptionId, 0
        self.incarnation = self.sink.now_ns() // 1_000_000
        self._acknowledge.clear()
        self._fresh[:] = True
        self.settled.clear()
        self.refused.clear()
        self._note_silence(made.RevisedPublishingInterval, made.RevisedMaxKeepAliveCount)

        async def some(part: Sequence[int]) -> list[Any]:
            create = ua.CreateMonitoredItemsRequest()
            create.Parameters.SubscriptionId = self.id
            create.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            create.Parameters.ItemsToCreate = [
                ua.MonitoredItemCreateRequest(
                    ItemToMonitor=ua.ReadValueId(
                        NodeId=self.items[i].node, AttributeId=ua.AttributeIds.Value
                    ),
                    MonitoringMode=ua.MonitoringMode.Reporting,
                    RequestedParameters=ua.MonitoringParameters(
                        ClientHandle=i,
                        SamplingInterval=rate.sampling_ms,
                        QueueSize=rate.queue_size,
                        DiscardOldest=True,
                    ),
                )
                for i in part
            ]
            answer = await session.service(create, ua.CreateMonitoredItemsResponse)
            return answer.Results

        results = await in_batches(range(len(self.items)), session.limits.items, some, 0.002)
        for i, result in enumerate(results):
            if not result.StatusCode.is_good():
                item = self.items[i]
                why = status_name(result.StatusCode.value)
                self.refused.append(f"{item.twin}.{item.point} ({why})")
                self._fresh[i] = False
        if self.refused:
            self.sink.count("item_refused", len(self.refused))
        self._note_settled()

    async def transfer(self, session: Session) -> bool:
        """Takes the subscription over into a new session, with what it kept; False if it is gone.

        What was lost on the way is asked for again, in order.
        """
        if not self.id:
            return False
        request = ua.TransferSubscriptionsRequest()
        request.Parameters.SubscriptionIds = [self.id]
        request.Parameters.SendInitialValues = False
        try:
            answer = await session.service(request, ua.TransferSubscriptionsResponse)
            (result,) = answer.Parameters.Results
        except (ua.UaStatusCodeError, ValueError):
            return False
        if not result.StatusCode.is_good():
            return False
        kept = sorted(int(n) for n in result.AvailableSequenceNumbers or ())
        if self._ticket >= 0:
            await self.sink.durable(self._ticket)
        self._acknowledge.extend(n for n in kept if n <= self.last)
        missing = [n for n in kept if n > self.last]
        if missing and missing[0] != self.last + 1:
            self._note_lost(missing[0] - self.last - 1)
        for number in missing[:REPUBLISH_MAX]:
            await self._republish(session, number)
        await self._restore_known()
        return True

    # --- running it

    async def run(self, session: Session) -> None:
        """Receives until the connection or the subscription is lost.

        Raises:
            Lost, Gone: which of the two.
            SinkFailed: nothing more is taken or made durable, so nothing may be acknowledged.
        """
        answers: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()
        waiting: set[asyncio.Task[Any]] = set()
        tickets: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        wanted = self.rate.outstanding

        def ask() -> None:
            request = ua.PublishRequest()
            request.Parameters.SubscriptionAcknowledgements = [
                ua.SubscriptionAcknowledgement(SubscriptionId=self.id, SequenceNumber=number)
                for number in self._acknowledge
            ]
            self._acknowledge.clear()
            task = asyncio.ensure_future(session.ask(request, 0))
            waiting.add(task)
            task.add_done_callback(answers.put_nowait)

        acknowledging = asyncio.create_task(self._acknowledge_durable(tickets))
        acknowledging.add_done_callback(answers.put_nowait)
        try:
            for _ in range(wanted):
                ask()
            while True:
                try:
                    async with asyncio.timeout(self._silence_s):
                        task = await answers.get()
                except TimeoutError:
                    raise Lost(f"the server has been silent for {self._silence_s:.0f} s") from None
                if task is acknowledging:
                    task.result()
                waiting.discard(task)
                try:
                    data, at = task.result()
                except ua.UaStatusCodeError as error:
                    if error.code == ua.StatusCodes.BadTooManyPublishRequests:
                        wanted = max(1, wanted - 1)
                    elif error.code in _GONE:
                        raise Gone(status_name(error.code)) from error
                    elif error.code not in _AGAIN:
                        raise Lost(f"publishing failed ({status_name(error.code)})") from error
                else:
                    await self._receive(session, data, at, tickets)
                while len(waiting) < wanted:
                    ask()
        except decode.DecodeError as error:
            self.sink.count("malformed_messages")
            raise Lost(f"the server sent something malformed: {error}") from error
        finally:
            acknowledging.cancel()
            for task in waiting:
                task.cancel()
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await asyncio.gather(acknowledging, *waiting, return_exceptions=True)

    async def _acknowledge_durable(self, tickets: asyncio.Queue[tuple[int, int]]) -> None:
        """Lets a notification be acknowledged once it is on disk."""
        while True:
            done = [await tickets.get()]
            while not tickets.empty():
                done.append(tickets.get_nowait())
            await self.sink.durable(max(ticket for ticket, _ in done))
            self._acknowledge.extend(number for _, number in done)

    async def _receive(
        self, session: Session, data: bytes, at: int, tickets: asyncio.Queue[tuple[int, int]] | None
    ) -> None:
        """Handles one PublishResponse; first fetches again what came before it and was lost."""
        note = decode.notification(data, at)
        if note.subscription != self.id:
            self.sink.count("foreign_notifications")
            return
        self.clock.note(note.publish_ns, self.sink.now_ns())
        if self.clock.jumped_ns:
            self.sink.count("clock_jumps")
            await self.on_clock_jump(self.clock.jumped_ns)
        if note.status:
            raise Gone(status_name(note.status))
        if note.sequence == 1 and self.last == _SEQUENCE_MAX:
            # The numbers begin again (§7.25.1); a new incarnation keeps them apart.
            self.incarnation, self.last = self.sink.now_ns() // 1_000_000, 0
        expected = self.last + 1
        if note.sequence < expected and not note.is_keep_alive:
            self.sink.count("repeated_notifications")
            self._acknowledge.append(note.sequence)
            return
        for number in range(expected, min(note.sequence, expected + REPUBLISH_MAX)):
            await self._republish(session, number, tickets)
        if note.is_keep_alive:
            return
        await self._hand_over(note, data, tickets)

    async def _republish(
        self,
        session: Session,
        number: int,
        tickets: asyncio.Queue[tuple[int, int]] | None = None,
    ) -> None:
        request = ua.RepublishRequest()
        request.Parameters.SubscriptionId = self.id
        request.Parameters.RetransmitSequenceNumber = number
        try:
            data, at = await session.ask(request)
        except ua.UaStatusCodeError as error:
            if error.code == ua.StatusCodes.BadSubscriptionIdInvalid:
                raise Gone(status_name(error.code)) from error
            self._note_lost(1)
            self.last = number
            return
        self.sink.count("republished_notifications")
        await self._hand_over(decode.message(data, at, self.id), data, tickets)

    def _note_lost(self, n: int) -> None:
        self.sink.count("lost_notifications", n)
        self.has_gap = True

    # --- from bytes to frames

    async def _hand_over(
        self,
        note: decode.Notification,
        data: bytes,
        tickets: asyncio.Queue[tuple[int, int]] | None,
    ) -> None:
        """Pushes the samples of a notification; it may be acknowledged when they are durable."""
        now_ns = self.sink.now_ns()
        frame = self._frame(note, data, now_ns)
        ticket = -1
        if len(frame) and not self.settled.is_set():
            frame, first = self._split_fresh(frame)
            if len(first):
                ticket = await self.sink.push(first)
        if len(frame):
            ticket = await self.sink.push(
                frame, incarnation=self.incarnation, source_seq=note.sequence
            )
        if note.events and self.on_events is not None:
            await self.on_events(data, note.events)
            # An empty push changes nothing; its ticket covers the events before it.
            ticket = await self.sink.push(FrameBuilder().build())
        self.last = note.sequence
        self._ticket = max(self._ticket, ticket)
        if ticket < 0:
            self._acknowledge.append(note.sequence)
        elif tickets is not None:
            tickets.put_nowait((ticket, note.sequence))
        else:
            await self.sink.durable(ticket)
            self._acknowledge.append(note.sequence)

    def _frame(self, note: decode.Notification, data: bytes, now_ns: int) -> Frame:
        room, n, m = self._room, 0, 0
        total = sum(count for _, _, count in note.changes)
        if total > len(room.point):
            if total > len(data):
                raise decode.DecodeError("a list of changes is longer than its message")
            room = self._room = decode.Columns.of(2 * total)
        for start, end, count in note.changes:
            n, m = decode.decode_items(data, start, end, count, self.columns, room, n, m)
        for what in np.flatnonzero(room.counts):
            self.sink.count(decode.COUNT_NAMES[what], int(room.counts[what]))
            room.counts[what] = 0
        times = room.source_ns[:n].copy()
        untimed = times == decode.NO_TIME
        if untimed.any():
            times[untimed] = note.publish_ns if note.publish_ns > 0 else now_ns
        frame = Frame(room.point[:n].copy(), room.cell[:n].copy(), room.quality[:n].copy(), times)
        if not m:
            return frame
        slow = self._slow_frame(data, room.slow_item[:m], room.slow_at[:m], now_ns)
        if not n:
            return slow
        kinds = np.zeros(len(self._item_of), np.uint8)
        kinds[self.columns.point] = self.columns.kind
        return concatenate([frame, slow], kinds)

    def _slow_frame(
        self, data: bytes, items: NDArray[np.uint32], places: NDArray[np.int64], now_ns: int
    ) -> Frame:
        builder = FrameBuilder()
        for item, at in zip(items.tolist(), places.tolist(), strict=True):
            kind = Kind(int(self.columns.kind[item]))
            handle = int(self.columns.point[item])
            try:
                value, is_cut, quality, source_ns, _ = add_sample(
                    builder, handle, kind, data, at, now_ns
                )
            except (WrongType, TypeError) as error:
                self.sink.count(getattr(error, "reason", "wrong_type"))
                continue
            if is_cut:
                self.sink.count("text_cut")
            if kind.is_heap:
                if isinstance(value, np.ndarray):
                    value = value.copy()  # it would keep the whole message
                self._known[item] = _Known(value, quality, source_ns)
                self.columns.last_ns[item] = max(int(self.columns.last_ns[item]), source_ns)
        return builder.build()

    # --- loss and return

    def _split_fresh(self, frame: Frame) -> tuple[Frame, Frame]:
        """(samples that the subscription numbers, first values of items).

        The first value of an item is its state, not a change: a new subscription sends it
        again. It goes unnumbered, so that the world recognises what it has; and where it was
        uncertain meanwhile, it is said once more with the time of the return.
        """
        items = self._item_of[frame.point]
        first = self._fresh[items]
        rows = np.flatnonzero(first)
        chosen = items[rows]
        back = self.clock.publish_ns or self.clock.server_ns(self.sink.now_ns())
        self._gap_end[chosen] = np.maximum(frame.source_ns[rows], self._gap_start[chosen])
        repeated = (frame.source_ns[rows] == self._gap_start[chosen]) & (
            (frame.cell[rows] == self._gap_cell[chosen]) | (self.columns.kind[chosen] >= Kind.TEXT)
        )
        old = self._stale[chosen] & (frame.source_ns[rows] <= self.lost_ns)
        restored = frame.take(rows[old])
        restored = Frame(
            restored.point,
            restored.cell,
            restored.quality,
            np.full(len(restored), max(back, self.lost_ns + 1), np.int64),
            restored.heap,
        )
        self._fresh[chosen] = False
        self._note_settled()
        self._stale[chosen] = False
        news = frame.take(rows[~repeated])
        kinds = np.zeros(len(self._item_of), np.uint8)
        kinds[self.columns.point] = self.columns.kind
        return frame.take(~first), concatenate([news, restored], kinds)

    async def mark_lost(self) -> int:
        """Says of every point that its value is the last usable one; returns of how many."""
        now_ns = self.sink.now_ns()
        if not self._stale.any():
            self.lost_ns = self.clock.server_ns(now_ns)
            heard = self.columns.last_ns != decode.NO_TIME
            self._gap_start[:] = self.columns.last_ns
            self._gap_cell[:] = self.columns.last_cell
            self._stale = heard
            frame = self._known_frame(heard, self.lost_ns, UNCERTAIN_LAST_USABLE)
            if len(frame):
                await self.sink.push(frame)
            return len(frame)
        return 0

    def mark_unknown(self, lost_ns: int) -> None:
        """Takes over a loss of which an earlier process told: nothing is known of the points."""
        self.lost_ns = lost_ns
        self._gap_start[:] = lost_ns
        self._stale[:] = True

    def resume_from(self, start_ns: NDArray[np.int64]) -> None:
        """From when on each item may have been missed; `NO_TIME`: nothing of it is asked for."""
        self._gap_start[:] = start_ns

    async def durable_until(self) -> int:
        """The server's time up to which everything that it sent is on disk here; 0: not known.

        A notification holds what was sampled before it was published (OPC 10000-4 §5.14.5). Of a
        server that does not say when it publishes, the youngest sample tells.
        """
        until_ns, ticket = self.clock.publish_ns, self._ticket
        if not until_ns and len(self.columns.last_ns):
            until_ns = int(self.columns.last_ns.max())
        if ticket >= 0:
            await self.sink.durable(ticket)
        return until_ns

    async def _restore_known(self) -> None:
        """Says of every point that was uncertain and has not changed that it is as it was."""
        if not self._stale.any():
            return
        now_ns = self.clock.server_ns(self.sink.now_ns())
        unchanged = self._stale & (self.columns.last_ns <= self.lost_ns)
        frame = self._known_frame(unchanged, max(now_ns, self.lost_ns + 1), None)
        self._stale[:] = False
        if len(frame):
            await self.sink.push(frame)

    def _known_frame(self, which: NDArray[np.bool_], at_ns: int, quality: int | None) -> Frame:
        """The last known values of items at a time, with a quality or with their own."""
        items, columns = np.flatnonzero(which), self.columns
        numbers = items[columns.kind[items] < Kind.TEXT]
        qualities = (
            columns.last_quality[numbers].copy()
            if quality is None
            else np.full(len(numbers), quality, np.uint32)
        )
        frame = Frame(
            columns.point[numbers],
            columns.last_cell[numbers],
            qualities,
            np.full(len(numbers), at_ns, np.int64),
        )
        builder = FrameBuilder()
        for item in items[columns.kind[items] >= Kind.TEXT].tolist():
            known = self._known.get(item)
            if known is not None:
                kind = Kind(int(columns.kind[item]))
                code = known.quality if quality is None else quality
                builder.add(int(columns.point[item]), kind, known.value, at_ns, code)
        if not len(builder):
            return frame
        kinds = np.zeros(len(self._item_of), np.uint8)
        kinds[columns.point] = columns.kind
        return concatenate([frame, builder.build()], kinds)

    def _note_settled(self) -> None:
        if not self._fresh.any():
            self.settled.set()

    def take_gap(self) -> Gap:
        """From when until when each item was unheard; the gap is then forgotten."""
        gap = Gap(self._gap_start.copy(), self._gap_end.copy())
        self.has_gap = False
        return gap

    def take_over(self, other: Subscription) -> None:
        """Takes over what another subscription knows of the same points, after a new browse."""
        places = {int(handle): i for i, handle in enumerate(other.handles)}
        for i, handle in enumerate(self.handles.tolist()):
            j = places.get(handle)
            if j is None or self.columns.kind[i] != other.columns.kind[j]:
                continue
            for name in ("last_cell", "last_quality", "last_ns"):
                getattr(self.columns, name)[i] = getattr(other.columns, name)[j]
            self._stale[i] = other._stale[j]
            self._gap_start[i] = other._gap_start[j]
            self._gap_cell[i] = other._gap_cell[j]
            if j in other._known:
                self._known[i] = other._known[j]
        self.lost_ns, self.clock = other.lost_ns, other.clock

    def _note_silence(self, interval_ms: float, keep_alive_count: int) -> None:
        keep_alive_s = max(interval_ms, 1.0) * max(keep_alive_count, 1) / 1000
        self._silence_s = 2 * keep_alive_s + 5


_S = ua.StatusCodes
_GONE: Final = frozenset({_S.BadNoSubscription, _S.BadSubscriptionIdInvalid})
_AGAIN: Final = frozenset({_S.BadTimeout, _S.BadRequestTimeout, _S.BadRequestCancelledByClient})
