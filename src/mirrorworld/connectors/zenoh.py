"""Zenoh: what is put under keys becomes twins and points by itself, as topics of a broker do.

Payloads are JSON, plain numbers and texts (`json_messages.py`), or columns of numbers
(`zenoh_columns.py`). It subscribes and listens; it puts nothing. Putters that block are held back
while the world is behind, so nothing of theirs is dropped here. Sites of ours are mirrored by
`mirrorworld.plane.site`, not by this.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

import numpy as np
import zenoh
from zenoh.handlers import Callback  # pyright: ignore[reportMissingModuleSource]

from mirrorworld.connectors.json_messages import JsonTopics
from mirrorworld.connectors.looking import LookingSink, findings
from mirrorworld.connectors.options import read_options
from mirrorworld.connectors.topics import TopicTwins
from mirrorworld.connectors.zenoh_columns import ColumnKeys, is_columns
from mirrorworld.connectors.zenoh_session import (
    Joined,
    Place,
    Unreachable,
    check_expression,
    joined,
    place_of,
)
from mirrorworld.world.changes import Command, CommandState, Event, Severity
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Text, TwinType
from mirrorworld.world.ports import (
    ConnectorAbout,
    Finding,
    Link,
    LinkState,
    OptionAbout,
    Sink,
    SourceConfig,
    SourceError,
)

OURS: Final = "mirrorworld/"
"""Keys of sites begin so; they are not others' data."""
RETRY_S: Final = (0.5, 15.0)
LOOK_EVERY_S: Final = 0.25
NAMES_EVERY_S: Final = 5.0
TAKE_BYTES: Final = 1 << 20
"""What is read at one go: some 60 ms of work when a plant sends columns."""


@dataclass(frozen=True, slots=True)
class ZenohOptions:
    """What can be set. Text of the guide: docs/guide/live-plane.md."""

    keys: str = ""
    """A key expression; empty: what the URL's path says, else everything (`**`)."""
    listen: str = "auto"
    """auto (if the host is 0.0.0.0), true or false."""
    allow: str = ""
    """Over TLS where we listen: NAME=KEYS, by commas; which certificate may put what."""
    max_points: int = 200_000
    max_held_mib: int = 64
    integers: bool = False
    zone: str = "UTC"
    listen_s: float = 3.0
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""

    def __post_init__(self) -> None:
        if self.listen.lower() not in ("auto", "true", "false"):
            raise ValueError(f"listen='{self.listen}' is none of auto, true, false")
        for name, low, high in (
            ("max_points", 1, 100_000_000),
            ("max_held_mib", 1, 16384),
            ("listen_s", 0.1, 600),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name}={getattr(self, name)} is not from {low} to {high}")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"zone='{self.zone}' is no time zone; one is named like 'Europe/Berlin'"
            ) from error
        if self.keys:
            try:
                check_expression(self.keys)
            except ValueError as error:
                raise ValueError(f"keys: {error}") from None
        for part in filter(None, self.allow.split(",")):
            name, equals, keys = part.strip().partition("=")
            if not (name and equals):
                raise ValueError(f"allow='{part}' is not NAME=KEYS")
            try:
                check_expression(keys)
            except ValueError as error:
                raise ValueError(f"allow: {error}") from None


class KeyTwins(TopicTwins):
    """Twins of keys."""

    narrower = "narrow keys"
    word = "key"
    root_type = TwinType("zenoh:Network", Text((("en", "Zenoh network"),)))
    level_type = TwinType("zenoh:Key", Text((("en", "Zenoh key"),)))


class _Held:
    """What was put and waits; Zenoh's thread fills it and waits while it is full."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit_bytes: int) -> None:
        self.came = asyncio.Event()
        self._loop, self._limit = loop, limit_bytes
        self._room = threading.Condition()
        self._keys: list[str] = []
        self._payloads: list[bytes] = []
        self._bytes = 0
        self._is_over = False

    def add(self, sample: zenoh.Sample) -> None:
        if sample.kind != zenoh.SampleKind.PUT:
            return
        key = str(sample.key_expr)
        if key.startswith(OURS):
            return
        payload = sample.payload.to_bytes()
        with self._room:
            while self._bytes > self._limit and not self._is_over:
                self._room.wait(0.5)
            if self._is_over:
                return
            is_first = not self._keys
            self._keys.append(key)
            self._payloads.append(payload)
            self._bytes += len(payload) + len(key)
        if is_first:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.came.set)

    def take(self) -> tuple[list[str], list[bytes]]:
        """The oldest of it: as much as may be read without letting anybody else have a turn."""
        with self._room:
            n = size = 0
            for n, payload in enumerate(self._payloads, 1):
                size += len(payload) + len(self._keys[n - 1])
                if size >= TAKE_BYTES:
                    break
            taken = self._keys[:n], self._payloads[:n]
            del self._keys[:n], self._payloads[:n]
            self._bytes -= size
            if not self._keys:
                self.came.clear()
            self._room.notify_all()
        return taken

    def end(self) -> None:
        with self._room:
            self._is_over = True
            self._room.notify_all()


class Zenoh:
    """Mirrors what is put under keys."""

    schemes: ClassVar[tuple[str, ...]] = ("zenoh", "zenoh+tls")
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "Zenoh",
        "zenoh://router.plant:7447/hall3",
        "A path mirrors only the keys below it. At 0.0.0.0 others come to us; at any other host we"
        " go there. With TLS: zenoh+tls://",
        (
            OptionAbout("keys", "Keys", hint="A key expression; empty: all below the path."),
            OptionAbout("listen", "Listen here", "choice", "auto", "", ("auto", "true", "false")),
            OptionAbout("zone", "Time zone of times without one", default="UTC"),
            OptionAbout("allow", "Who may put what (TLS)", hint="NAME=KEYS, by commas."),
            OptionAbout("tls_ca", "Authority of both sides (PEM)"),
            OptionAbout("tls_certificate", "Our certificate (PEM)"),
            OptionAbout("tls_key", "Our key (PEM)"),
        ),
        takes_login=False,
    )

    def __init__(self, config: SourceConfig) -> None:
        self.link = Link(LinkState.CONNECTING)
        self._config = config
        self._was_live = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._config.name!r}, {self.link.state.value})"

    def _place(self) -> tuple[Place, str, dict[str, tuple[str, ...]], ZenohOptions]:
        """(where, key expression, which certificate may put what, options).

        Raises:
            SourceError: the address or an option cannot be used.
        """
        name = self._config.name
        options = read_options(ZenohOptions, self._config.options, name)
        if not self._config.url.startswith(tuple(f"{scheme}://" for scheme in self.schemes)):
            raise SourceError(f"{name}: an address of Zenoh reads like zenoh://host:7447/keys")
        try:
            place, path = place_of(
                self._config.url,
                ca=options.tls_ca,
                certificate=options.tls_certificate,
                key=options.tls_key,
                listens={"auto": None, "true": True, "false": False}[options.listen.lower()],
            )
            keys = options.keys or (path if "*" in path else f"{path}/**" if path else "**")
            check_expression(keys)
        except ValueError as error:
            raise SourceError(f"{name}: {error}") from None
        may: dict[str, tuple[str, ...]] = {}
        if place.listens and place.is_tls:
            for part in filter(None, options.allow.split(",")):
                who, _, what = part.strip().partition("=")
                may[who] = (*may.get(who, ()), what)
            may = may or {"*": (keys,)}
            if any(zenoh.KeyExpr(k).intersects(f"{OURS}**") for ks in may.values() for k in ks):
                raise SourceError(
                    f"{name}: over TLS say which keys may be put, by the address's path or by"
                    " allow; the keys of sites are not among them"
                )
        return place, keys, may, options

    # --- looking

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """Listens for a while (option `listen_s`) to what is put."""
        place, keys, may, options = self._place()
        reader = _Reader(self._config.name, options)
        sink = LookingSink()
        frames: list[Frame] = []
        held = _Held(asyncio.get_running_loop(), options.max_held_mib << 20)
        try:
            async with joined(place, may) as part, _subscribed(part, keys, held):
                deadline = time.monotonic() + options.listen_s
                while (left := deadline - time.monotonic()) > 0:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(left):
                            await held.came.wait()
                    for frame in await reader.read(*held.take(), sink):
                        frames.append(frame.take(np.arange(min(len(frame), 2_000))))
                    for key in list(reader.columns.unknown):
                        await reader.ask_names(key, part, sink)
                    if len(reader.twins.twins) > limit:
                        break
        except Unreachable as error:
            raise SourceError(f"{self._config.name}: {error}") from error
        return findings(reader.twins, limit, sink, frames)

    # --- mirroring

    async def run(self, sink: Sink) -> None:
        """See the port."""
        place, keys, may, options = self._place()
        reader = _Reader(self._config.name, options)
        await reader.twins.declare(sink)
        wait_s, self._was_live = RETRY_S[0], False
        while True:
            try:
                async with joined(place, may) as part:
                    wait_s = RETRY_S[0]
                    await self._mirror(part, place, keys, reader, options, sink)
            except Unreachable as error:
                await self._tell(LinkState.LOST, str(error), sink)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_S[1])

    async def _mirror(
        self,
        part: Joined,
        place: Place,
        keys: str,
        reader: _Reader,
        options: ZenohOptions,
        sink: Sink,
    ) -> None:
        held = _Held(asyncio.get_running_loop(), options.max_held_mib << 20)
        async with _subscribed(part, keys, held):
            while not part.replaced.is_set():
                if part.session.is_closed():
                    raise Unreachable(f"{place}: the session was closed")
                if place.listens:
                    await self._tell(LinkState.LIVE, f"listening at {place}", sink)
                elif part.is_linked:
                    await self._tell(LinkState.LIVE, f"connected to {place}", sink)
                else:
                    await self._tell(LinkState.LOST, f"{place}: the link is lost", sink)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await held.came.wait()
                for frame in await reader.read(*held.take(), sink):
                    await sink.push(frame)
                # While there is always more, nothing above has to wait: viewers have their turn.
                await asyncio.sleep(0)
                for key in list(reader.columns.unknown):
                    await reader.ask_names(key, part, sink)

    async def _tell(self, state: LinkState, detail: str, sink: Sink) -> None:
        """How the link stands; its loss and its return are events."""
        if (state, detail) == (self.link.state, self.link.detail):
            return
        self.link = Link(state, detail, sink.now_ns())
        is_live = state is LinkState.LIVE
        if is_live == self._was_live:
            return
        self._was_live = is_live
        source = self._config.name
        await sink.event(
            Event(
                f"{source}/link",
                source,
                "source_live" if is_live else "source_lost",
                Text((("en", detail),)),
                Severity.INFO if is_live else Severity.MEDIUM,
                is_active=not is_live,
                source_ns=sink.now_ns(),
            )
        )

    # --- writing

    async def write(self, command: Command) -> Command:
        """Nothing is put: no key is known to take commands."""
        return dataclasses.replace(
            command,
            state=CommandState.REFUSED,
            detail=f"{command.twin} comes by Zenoh, which has no way to say what takes commands",
            decided_ns=time.time_ns(),
        )


class _Reader:
    """Messages to frames: columns to their own reader, all others to JSON's."""

    def __init__(self, source: str, options: ZenohOptions) -> None:
        self.twins = KeyTwins(source, options.max_points)
        self.columns = ColumnKeys(self.twins)
        self._asked_s: dict[str, float] = {}
        self._json = JsonTopics(
            self.twins,
            zone=ZoneInfo(options.zone),
            keeps_integers=options.integers,
            protocol="zenoh",
        )

    async def ask_names(self, key: str, part: Joined, sink: Sink) -> None:
        """Asks whoever puts under a key what its points are called, now and then."""
        now_s = time.monotonic()
        if now_s - self._asked_s.get(key, -NAMES_EVERY_S) < NAMES_EVERY_S:
            return
        self._asked_s[key] = now_s
        answers = await asyncio.to_thread(_asked, part, key)
        await self.columns.frame([key] * len(answers), answers, sink)

    async def read(self, keys: Sequence[str], payloads: Sequence[bytes], sink: Sink) -> list[Frame]:
        """The frames of a batch."""
        if not keys:
            return []
        frames: list[Frame | None] = []
        others = [i for i, payload in enumerate(payloads) if not is_columns(payload)]
        if len(others) < len(keys):
            in_columns = sorted(set(range(len(keys))).difference(others))
            frames.append(
                await self.columns.frame(
                    [keys[i] for i in in_columns], [payloads[i] for i in in_columns], sink
                )
            )
        if others:
            topics = [keys[i].encode() for i in others]
            bodies = [payloads[i] for i in others]
            frames.append(await self._json.frame(topics, bodies, set(), sink.now_ns(), sink))
        return [frame for frame in frames if frame is not None]


@contextlib.asynccontextmanager
async def _subscribed(part: Joined, keys: str, held: _Held) -> AsyncIterator[None]:
    """Subscribes for the length of a block."""
    # In Zenoh's own thread: while that waits for room, the putters wait.
    subscriber = part.session.declare_subscriber(keys, Callback(held.add, indirect=False))
    try:
        yield
    finally:
        held.end()
        with contextlib.suppress(zenoh.ZError):
            await asyncio.to_thread(subscriber.undeclare)


def _asked(part: Joined, key: str) -> list[bytes]:
    """What whoever puts under a key answers when it is asked for the key: its names."""
    try:
        replies = part.session.get(key, timeout=2.0)
        found = [r.ok.payload.to_bytes() for r in replies if r.ok is not None]
    except zenoh.ZError:
        return []
    return [payload for payload in found if is_columns(payload)]
