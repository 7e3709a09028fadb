"""A subscription to a broker that outlives its connections.

Connects, subscribes, reconnects with back-off, and keeps the order: received → consumed →
durable → acknowledged. A QoS 1 or 2 message is acknowledged only after whoever consumed it says
that it is on disk, so that what this process loses the broker still has. Memory is bounded: when
too much is held unacknowledged, the socket is not read.

Knows nothing of payloads.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mirrorworld.connectors.mqtt_packets import SESSION_TAKEN_OVER, V5, V311, ConnectOptions, reason
from mirrorworld.connectors.mqtt_wire import Connection, Publishes
from mirrorworld.world.ports import LinkState

ANSWER_S: Final = 10.0
BACK_OFF_FIRST_S: Final = 0.2
BACK_OFF_LAST_S: Final = 30.0
BATCH_BYTES: Final = 4 << 20
"""Most that is consumed in one go: a batch is one frame."""
GATHER_S: Final = 0.004
"""While messages come faster than one by one, those of so long make a batch."""
GATHER_BYTES: Final = 1 << 16
"""What comes as much at once is a batch already."""
RECENT_MESSAGES: Final = 1 << 16
"""How many acknowledged messages are remembered, for when an acknowledgement was lost."""

Consume = Callable[[Publishes], Awaitable[int | None]]
"""Takes a batch; returns the ticket by which it can be waited for, None if it needs none."""
Durable = Callable[[int], Awaitable[None]]
OnState = Callable[[LinkState, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a broker is."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(slots=True)
class _Held:
    """Messages that are consumed and not yet acknowledged."""

    ticket: int
    publishes: Publishes
    connection: Connection


class Refused(Exception):
    """The broker will not have us until someone acts."""


@dataclass(slots=True)
class Session:
    """See the module. `run` it; `publish` works while it is connected."""

    place: Place
    options: ConnectOptions
    filters: Sequence[tuple[str, int]]
    on_state: OnState
    tries_older: bool = True
    """Whether a broker that refuses version 5 is asked in version 3.1.1."""
    wants_retained: bool = True
    limit_bytes: int = 32 << 20
    connection: Connection | None = None
    repeated: int = 0
    """Messages that the broker sent again and that were recognised."""
    _queue: deque[tuple[Publishes, Connection]] = field(default_factory=deque)
    _held: deque[_Held] = field(default_factory=deque)
    _recent: deque[Publishes] = field(default_factory=deque)
    _n_recent: int = 0
    _known: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    _held_bytes: int = 0
    _last_ticket: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _wake_acknowledging: asyncio.Event = field(default_factory=asyncio.Event)
    _open_qos2: set[int] = field(default_factory=set)

    async def run(self, consume: Consume, durable: Durable) -> None:
        """Goes on until cancelled."""
        back_off_s = BACK_OFF_FIRST_S
        workers = self._start(consume, durable)
        try:
            while True:
                state, wait_s = LinkState.LOST, back_off_s
                try:
                    connected, why = await self._connected(workers)
                    if connected:
                        back_off_s = BACK_OFF_FIRST_S
                        wait_s = back_off_s
                except Refused as error:
                    state, why, wait_s = LinkState.REFUSED, str(error), BACK_OFF_LAST_S / 3
                except OSError as error:
                    state, why = explain(error, self.place)
                if any(worker.done() for worker in workers):
                    why = await self._renew(workers, why)
                    workers = self._start(consume, durable)
                await self.on_state(state, why)
                await asyncio.sleep(wait_s * random.uniform(0.7, 1.3))
                back_off_s = min(back_off_s * 2, BACK_OFF_LAST_S)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            if self.connection is not None:
                self.connection.disconnect()
                self.connection = None

    def _start(self, consume: Consume, durable: Durable) -> list[asyncio.Task[None]]:
        return [
            asyncio.create_task(self._consuming(consume), name="mqtt consuming"),
            asyncio.create_task(self._acknowledging(durable), name="mqtt acknowledging"),
        ]

    async def _renew(self, workers: list[asyncio.Task[None]], why: str) -> str:
        """After the record could not be written: nothing of it was acknowledged, and the broker
        will send it again. Any other error is a defect and ends the connector."""
        for worker in workers:
            worker.cancel()
        outcomes = await asyncio.gather(*workers, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, OSError):
                why = f"not recorded, so not acknowledged: {outcome}"
            elif isinstance(outcome, Exception):
                raise outcome
        self._queue.clear()
        self._held.clear()
        self._recent.clear()
        self._n_recent = 0
        self._known.clear()
        self._held_bytes = 0
        return why

    # --- one connection

    async def open(self, on_publishes: Callable[[Publishes, Connection], None]) -> Connection:
        """A connection that the broker has accepted.

        Raises:
            OSError: nobody answers, or not as a broker.
            Refused: the broker says no.
        """
        loop = asyncio.get_running_loop()

        def factory() -> Connection:
            made = Connection(
                self.options,
                lambda publishes: on_publishes(publishes, made),
                self._open_qos2,
                self._remember,
            )
            return made

        async with asyncio.timeout(ANSWER_S):
            _, connection = await loop.create_connection(
                factory,
                self.place.host,
                self.place.port,
                ssl=self.place.tls,
                server_hostname=self.place.host if self.place.tls else None,
            )
        try:
            async with asyncio.timeout(ANSWER_S):
                accepted = await connection.accepted
        except OSError as error:
            connection.abort()
            if self._falls_back():
                return await self.open(on_publishes)
            raise OSError(f"{self.place} does not answer as an MQTT broker: {error}") from error
        if accepted.code:
            connection.abort()
            if accepted.code == 0x84 and self._falls_back():
                return await self.open(on_publishes)
            raise Refused(_refusal(accepted.code, self.options, self.place))
        return connection

    def _falls_back(self) -> bool:
        if self.tries_older and self.options.version == V5:
            self.options = dataclasses.replace(self.options, version=V311)
            return True
        return False

    async def _connected(self, workers: list[asyncio.Task[None]]) -> tuple[bool, str]:
        """Stays for one connection; returns (whether it was live, why it ended)."""
        connection = await self.open(self._received)
        self.connection = connection
        try:
            async with asyncio.timeout(ANSWER_S):
                granted = await connection.subscribe(
                    self.filters, wants_retained=self.wants_retained
                )
            denied = [
                f"'{topic}' ({reason(code)})"
                for (topic, _), code in zip(self.filters, granted, strict=False)
                if code >= 0x80
            ]
            if len(denied) == len(self.filters):
                raise Refused(
                    f"{self.place} grants no subscription: {', '.join(denied)}; ask for the right"
                    " to read, or name other topics with the option 'topics'"
                )
            note = f"not granted: {', '.join(denied)}" if denied else ""
            await self.on_state(LinkState.LIVE, note)
            await asyncio.wait([connection.closed, *workers], return_when=asyncio.FIRST_COMPLETED)
            if not connection.closed.done():
                return True, "ended here"
            why = connection.closed.result()
            if connection.close_code == SESSION_TAKEN_OVER:
                why = (
                    f"another client took over the session '{self.options.client_id}'; give one"
                    " of them another client_id"
                )
                await self.on_state(LinkState.LOST, why)
                await asyncio.sleep(BACK_OFF_LAST_S / 3)
            return True, f"{self.place}: {why}"
        finally:
            connection.disconnect()
            self.connection = None

    # --- messages

    def _received(self, publishes: Publishes, connection: Connection) -> None:
        if publishes.repeated and self._known:
            publishes = self._without_known(publishes)
        self._queue.append((publishes, connection))
        self._held_bytes += publishes.size_bytes
        if self._held_bytes > self.limit_bytes:
            connection.pause()
        self._wake.set()

    def _remember(self, has_session: bool) -> None:
        """Notes what of the session may come again: unacknowledged, or acknowledged in vain."""
        self._known.clear()
        if not has_session:
            self._open_qos2.clear()
            return
        held = (h.publishes for h in self._held)
        queued = (publishes for publishes, _ in self._queue)
        for publishes in (*self._recent, *held, *queued):
            for topic, payload, packet_id in zip(
                publishes.topics, publishes.payloads, publishes.ids, strict=True
            ):
                if packet_id:
                    self._known[packet_id] = topic, payload

    def _without_known(self, publishes: Publishes) -> Publishes:
        """Takes out what was consumed already. It is acknowledged in its turn like the rest: as
        its first copy stands before it, that is durable by then."""
        kept = Publishes()
        kept.size_bytes = publishes.size_bytes
        for row, packet_id in enumerate(publishes.ids):
            one = (publishes.topics[row], publishes.payloads[row])
            if row in publishes.repeated and self._known.pop(packet_id, None) == one:
                self.repeated += 1
                kept.settled.append(packet_id)
                continue
            if row in publishes.retained:
                kept.retained.add(len(kept.topics))
            kept.topics.append(one[0])
            kept.payloads.append(one[1])
            kept.ids.append(packet_id)
        return kept

    async def _consuming(self, consume: Consume) -> None:
        n_last = 0
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            if n_last > 1 and self._queue[0][0].size_bytes < GATHER_BYTES:
                await asyncio.sleep(GATHER_S)
            publishes, connection = self._queue.popleft()
            merged = publishes
            while (
                self._queue
                and self._queue[0][1] is connection
                and merged.size_bytes + self._queue[0][0].size_bytes <= BATCH_BYTES
            ):
                if merged is publishes:
                    merged = Publishes()
                    merged.extend(publishes)
                merged.extend(self._queue.popleft()[0])
            n_last = len(merged)
            if merged.topics:
                ticket = await consume(merged)
                if ticket is not None:
                    self._last_ticket = ticket
            if merged.settled or any(merged.ids):
                self._held.append(_Held(self._last_ticket, merged, connection))
                self._wake_acknowledging.set()
            else:
                self._release(merged.size_bytes, connection)

    async def _acknowledging(self, durable: Durable) -> None:
        while True:
            while not self._held:
                self._wake_acknowledging.clear()
                await self._wake_acknowledging.wait()
            ticket = self._held[-1].ticket
            await durable(ticket)
            ids: list[int] = []
            connection = self._held[0].connection
            while self._held and self._held[0].ticket <= ticket:
                held = self._held.popleft()
                if held.connection is not connection:
                    connection.acknowledge(ids)
                    ids, connection = [], held.connection
                ids += held.publishes.ids
                ids += held.publishes.settled
                self._recent.append(held.publishes)
                self._n_recent += len(held.publishes)
                self._release(held.publishes.size_bytes, held.connection)
            connection.acknowledge(ids)
            while self._n_recent > RECENT_MESSAGES or len(self._recent) > 1024:
                self._n_recent -= len(self._recent.popleft())

    def _release(self, size_bytes: int, connection: Connection) -> None:
        self._held_bytes -= size_bytes
        if connection.is_paused and self._held_bytes < self.limit_bytes // 2:
            connection.resume()

    # --- publishing

    async def publish(
        self, topic: str, payload: bytes, *, qos: int, expiry_s: int | None = None
    ) -> int:
        """Publishes once; returns the broker's reason code.

        Raises:
            OSError: there is no connection, or it ended before the broker answered.
        """
        if self.connection is None or self.connection.closed.done():
            raise ConnectionError(f"not connected to {self.place}")
        return await self.connection.publish(topic, payload, qos=qos, expiry_s=expiry_s)


def _refusal(code: int, options: ConnectOptions, place: Place) -> str:
    words = reason(code)
    if code in (0x86, 0x87, 0x8C):
        who = f"user '{options.username}'" if options.username else "a client without a login"
        return f"{place} refuses {who}: {words}; check user name, password and access rules"
    if code == 0x85:
        return f"{place} refuses the client id '{options.client_id}'; set the option 'client_id'"
    if code == 0x84:
        return f"{place} does not speak MQTT {'5' if options.version == V5 else '3.1.1'}"
    return f"{place} refuses the connection: {words}"


def explain(error: OSError, place: Place) -> tuple[LinkState, str]:
    """An error of the network, in words that say where to look."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return LinkState.REFUSED, (
            f"the certificate of {place} is not trusted: {error.verify_message}; name its"
            " authority with the option 'tls_ca'"
        )
    if isinstance(error, ssl.SSLError):
        return LinkState.REFUSED, (
            f"{place} does not speak TLS as asked: {error.reason or error}; is the port right,"
            " and does the broker want a client certificate?"
        )
    if isinstance(error, socket.gaierror):
        return LinkState.LOST, f"unknown host '{place.host}': check the address, or the name server"
    if isinstance(error, TimeoutError):
        return LinkState.LOST, f"no answer from {place}; is a firewall between?"
    if isinstance(error, ConnectionRefusedError):
        return LinkState.LOST, f"nobody listens at {place}; is the broker running?"
    return LinkState.LOST, f"{place}: {error}"
