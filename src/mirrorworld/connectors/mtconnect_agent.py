"""An MTConnect agent over HTTP (Part 1.0 §8): what it has, how it stands, and what is new.

`probe` says what there is, `current` how it stands, and `sample` streams what follows, from the
sequence number right after the last one read. So nothing is lost while a connection is, as long
as the agent's buffer lasts; beyond that, and when the agent itself began anew, the gap is told.

Which numbers are being taken is written down before they are handed over: after a restart the
same numbers are asked for again as one frame, and recognised if they were on disk already.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx
import numpy as np

from mirrorworld import addresses
from mirrorworld.connectors import guesses
from mirrorworld.connectors.mtconnect_devices import Devices, read_devices
from mirrorworld.connectors.mtconnect_memory import AgentMemory
from mirrorworld.connectors.mtconnect_multipart import BadMultipart, Multipart, boundary_of
from mirrorworld.connectors.mtconnect_observations import TIME_MAX_NS, Item, Observations
from mirrorworld.connectors.mtconnect_streams import Observed, Streams, read_streams
from mirrorworld.connectors.mtconnect_xml import BadXml
from mirrorworld.connectors.seen import SeenTwins
from mirrorworld.world.changes import Event, Severity
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Text, Twin, TwinType
from mirrorworld.world.ports import LinkState, Sink, SourceConfig

RETRY_S_MAX: Final = 30.0
THREADED_BYTES: Final = 1 << 18
"""Documents from this size on are read beside the loop."""
ABSENT_MAX: Final = 10_000
SEQUENCES_OF_A_DOCUMENT_MAX: Final = 10_000_000
AGENT_TYPE: Final = TwinType("mtconnect:Source", Text((("en", "MTConnect agent"),)))
_INCARNATIONS: Final = (1 << 63) - 1

_PLAIN_TIME: Final = re.compile(
    r"(?:19[7-9]\d|20\d\d|21\d\d)-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z\Z", re.ASCII
).match
"""What numpy reads as the standard means it; all else is read one by one."""

OnState = Callable[[LinkState, str], Awaitable[None]]


class AgentError(Exception):
    """The agent cannot be reached or does not make sense; it is tried again."""


class _BeganAnew(Exception):
    """The agent's numbers begin again."""


class _OutOfRange(Exception):
    """The agent's buffer no longer holds what is asked for."""


class Agent:
    """One agent, or one device of it.

    Args:
        origin: `http://host:port`.
        device: name or uuid of the only device; "" for all.
        twins: where its twins are collected.
    """

    def __init__(
        self,
        config: SourceConfig,
        origin: str,
        device: str,
        twins: SeenTwins,
        tls: ssl.SSLContext | None,
        *,
        interval_ms: int,
        count: int,
        document_bytes_max: int,
        timeout_s: float,
    ) -> None:
        self.twins = twins
        self.observations = Observations(twins)
        self._source = config.name
        self._origin = origin
        self._base = f"{origin}/{quote(device)}" if device else origin
        self._interval_ms = interval_ms
        self._count = count
        self._document_bytes_max = document_bytes_max
        self._items: dict[str, Item] = {}
        self._absent: set[str] = set()
        self._memory = AgentMemory(config.state_dir, f"{config.name}\n{self._base}")
        transport = addresses.Transport(
            allows_private=True, verify=tls if tls is not None else True
        )
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0)),
            # Compressed answers would make bytes on the wire say nothing of those in memory.
            headers={"Accept": "text/xml", "Accept-Encoding": "identity"},
            auth=(config.username, config.password) if config.username else None,
        )
        self._heartbeat_ms = max(10, int(timeout_s * 1_000 / 3))
        twins.put_type(AGENT_TYPE)
        twins.put(Twin(config.name, AGENT_TYPE.id, Text.of(config.name)), "", "the agent itself")

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._client.aclose()

    # --- asking

    async def _answer(self, path: str, **query: Any) -> bytes:
        """A whole document."""
        async with self._open(path, query) as response:
            return await self._whole(response)

    @contextlib.asynccontextmanager
    async def _open(self, path: str, query: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        url = f"{self._base}/{path}"
        try:
            async with self._client.stream("GET", url, params=query) as response:
                if response.is_redirect:
                    raise AgentError(f"{url} leads elsewhere; give the address it leads to")
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise AgentError(f"{url} answers compressed, which was not asked for")
                if response.status_code in (401, 403):
                    raise AgentError(f"{url} wants a user and password ({response.status_code})")
                yield response
        except addresses.AddressRefused as error:
            raise AgentError(str(error)) from error
        except httpx.HTTPError as error:
            what = str(error) or type(error).__name__
            raise AgentError(f"no agent at {self._origin}: {what}") from error

    async def _whole(self, response: httpx.Response) -> bytes:
        data = bytearray()
        async for piece in response.aiter_raw():
            data += piece
            if len(data) > self._document_bytes_max:
                raise AgentError(
                    f"{response.url.path}: a document of more than {self._document_bytes_max >> 20}"
                    " MiB is not read; raise max_document_mib or lower count"
                )
        if response.status_code >= 400 and b"MTConnectError" not in data:
            raise AgentError(f"{response.url.path} answers {response.status_code}")
        return bytes(data)

    async def probe(self) -> Devices:
        """What the agent has; its twins and items are known afterwards."""
        data = await self._answer("probe")
        try:
            devices = read_devices(data, self._source)
        except BadXml as error:
            try:
                errors = read_streams(data).errors
            except BadXml:
                errors = []
            why = "; ".join(f"{code}: {text}" for code, text in errors) or str(error)
            raise AgentError(f"{self._base}/probe: {why}") from error
        for type_ in devices.types:
            self.twins.put_type_once(type_)
        for twin, parent in devices.twins:
            self.twins.put(twin, parent, f"{twin.type.partition(':')[2]} of the agent's probe")
        for data_item in devices.items:
            key = data_item.id or data_item.name
            known = self._items.get(key)
            if known is None or known.data != data_item:
                self._items[key] = self.observations.item(data_item, is_native=False)
        return devices

    async def current(self) -> Streams:
        """How everything stands."""
        return await self._read(await self._answer("current"))

    async def _read(self, data: bytes) -> Streams:
        try:
            if len(data) > THREADED_BYTES:
                streams = await asyncio.to_thread(read_streams, data)
            else:
                streams = read_streams(data)
        except BadXml as error:
            raise AgentError(f"{self._base}: {error}") from error
        if streams.errors:
            codes = {code for code, _ in streams.errors}
            if "OUT_OF_RANGE" in codes:
                raise _OutOfRange
            said = "; ".join(f"{code}: {text}" for code, text in streams.errors)
            raise AgentError(f"{self._base}: {said}")
        return streams

    async def look(self, sink: Sink, frames: list[Frame]) -> None:
        """Probes and reads how it stands, for `discover`."""
        await self.probe()
        self._take(await self.current(), 0, 1 << 63)
        frame, _ = await self.observations.take(sink)
        if frame is not None:
            frames.append(frame)

    # --- mirroring

    async def run(self, sink: Sink, on_state: OnState) -> None:
        """Follows the agent until cancelled."""
        wait_s = 0.5
        while True:
            try:
                async for _ in self._follow(sink, on_state):
                    wait_s = 0.5
            except _BeganAnew:
                await asyncio.sleep(0.1)
                continue
            except AgentError as error:
                await on_state(LinkState.LOST, str(error))
            await asyncio.sleep(wait_s * (0.5 + random.random()))
            wait_s = min(wait_s * 2, RETRY_S_MAX)

    async def _follow(self, sink: Sink, on_state: OnState) -> AsyncIterator[None]:
        """One connection to the agent; yields after each document."""
        await self.probe()
        await self.observations.declare(sink)
        memory = self._memory
        try:
            now = await self.current()
        except _OutOfRange:
            raise AgentError(f"{self._base}/current answers OUT_OF_RANGE") from None
        is_known = memory.instance == now.instance and now.first <= memory.next <= now.next
        if not is_known:
            if memory.instance:
                await self._gap(sink, now, memory.next if memory.instance == now.instance else 0)
            await self._begin(sink, now)
        await on_state(LinkState.LIVE, f"connected to {self._base}")
        yield
        try:
            if memory.until >= memory.next:
                count = memory.until - memory.next + 1
                data = await self._answer("sample", **{"from": memory.next, "count": count})
                await self._hand_over(sink, await self._read(data), memory.until)
                yield
            while True:
                async for data in self._sample():
                    await self._hand_over(sink, await self._read(data), None)
                    yield
        except _OutOfRange:
            now = await self.current()
            if now.instance == memory.instance:
                await self._gap(sink, now, memory.next)
            memory.instance = 0  # told
            raise _BeganAnew from None
        except BadMultipart as error:
            raise AgentError(f"{self._base}/sample: {error}") from error

    async def _begin(self, sink: Sink, now: Streams) -> None:
        """Takes everything as it stands. It has numbers, but not one after the other: what stood
        so before is recognised by time and value."""
        self._take(now, 0, 1 << 63)
        await self._push(sink, -1, 0)
        self._memory.instance = now.instance
        await self._memory.write(now.next, -1)

    async def _sample(self) -> AsyncIterator[bytes]:
        """Documents with what is new, one after the other."""
        query = {
            "from": self._memory.next,
            "interval": self._interval_ms,
            "count": self._count,
            "heartbeat": self._heartbeat_ms,
        }
        async with self._open("sample", query) as response:
            boundary = boundary_of(response.headers.get("content-type", ""))
            if not boundary or response.status_code >= 400:
                # An agent without streaming: asked again and again.
                yield await self._whole(response)
                await asyncio.sleep(max(self._interval_ms, 100) / 1_000)
                return
            parts = Multipart(boundary, self._document_bytes_max)
            async for piece in response.aiter_raw():
                for data in parts.feed(piece):
                    yield data
        raise AgentError(f"{self._base} ended its stream")

    async def _hand_over(self, sink: Sink, streams: Streams, until: int | None) -> None:
        """Hands over a document's observations from the next number on, and remembers that."""
        memory = self._memory
        if streams.instance != memory.instance:
            await self._gap(sink, streams, 0)
            memory.instance = 0
            raise _BeganAnew
        end = streams.next - 1 if until is None else until
        if end < memory.next:
            return  # a heartbeat
        if end - memory.next > SEQUENCES_OF_A_DOCUMENT_MAX:
            raise AgentError(f"{self._base}: a document claims {end - memory.next} observations")
        if self._misses(streams):
            await self.probe()  # the agent was given another device or component
            self._misses(streams, is_final=True)
        self._take(streams, memory.next, end)
        if len(self.observations):
            await memory.write(memory.next, end)
            ticket = await self._push(sink, end, streams.instance & _INCARNATIONS)
            if ticket is not None:
                await sink.durable(ticket)
        for event in self.observations.events():
            await sink.event(event)
        await memory.write(end + 1, -1, is_lazy=True)

    def _misses(self, streams: Streams, *, is_final: bool = False) -> bool:
        """Whether there are items that no probe has described, or may yet describe."""
        unknown = {one.item for one in streams.observed} - self._items.keys() - self._absent
        if is_final and len(self._absent) < ABSENT_MAX:
            self._absent |= unknown
        return bool(unknown) and len(self._absent) < ABSENT_MAX

    async def _push(self, sink: Sink, source_seq: int, incarnation: int) -> int | None:
        frame, _ = await self.observations.take(sink)
        ticket = None
        if frame is not None and len(frame):
            ticket = await sink.push(frame, incarnation=incarnation, source_seq=source_seq)
        for event in self.observations.events():
            await sink.event(event)
        return ticket

    def _take(self, streams: Streams, first: int, last: int) -> None:
        """Puts observations of some numbers into `observations`."""
        observations, items = self.observations, self._items
        wanted = [one for one in streams.observed if first <= one.sequence <= last]
        for one, source_ns in zip(wanted, _times(wanted), strict=True):
            item = items.get(one.item)
            if item is None:
                observations.count("mtconnect_unknown_item")
                continue
            if source_ns == guesses.NO_TIME:
                observations.count("bad_time")
                continue
            if one.level or item.is_condition:
                observations.condition(
                    item, one.level or one.text, one.code, one.severity, one.qualifier, one.text,
                    source_ns,
                )  # fmt: skip
            else:
                observations.add(item, one.text, source_ns, one.sequence)

    async def _gap(self, sink: Sink, now: Streams, next_: int) -> None:
        """Tells that observations were not read."""
        if next_ and now.first > next_:
            n = now.first - next_
            text = (
                f"the agent's buffer overran: observations {next_} to {now.first - 1} were missed"
            )
            sink.count("mtconnect_missed", n)
        else:
            text = "the agent began anew: what it saw in between was missed"
            sink.count("mtconnect_began_anew")
        await sink.event(
            Event(
                f"{self._source}/gap",
                self._source,
                "gap",
                Text((("en", text),)),
                Severity.MEDIUM,
                source_ns=sink.now_ns(),
            )
        )


def _times(observed: Sequence[Observed]) -> list[int]:
    """Nanoseconds of each observation's time; `NO_TIME` for what is none."""
    stamps = [one.timestamp for one in observed]
    if all(_PLAIN_TIME(stamp) for stamp in stamps):
        try:
            found = np.array([stamp[:-1] for stamp in stamps], "datetime64[ns]")
            times = found.astype(np.int64)
            return np.where(np.abs(times) < TIME_MAX_NS, times, guesses.NO_TIME).tolist()
        except ValueError:
            pass  # there is no such day
    known = {stamp: guesses.iso_ns(stamp) for stamp in set(stamps)}
    return [
        ns if (ns := known[stamp]) is not None and abs(ns) < TIME_MAX_NS else guesses.NO_TIME
        for stamp in stamps
    ]
