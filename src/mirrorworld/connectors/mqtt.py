"""MQTT 3.1.1 and 5: what is published at a broker becomes twins and points by itself.

Subscribes and listens; publishes nothing unless `write` is called. How topics become twins is
said in `topics.py`, how payloads are read in `json_messages.py`, and when messages are acknowledged
in `mqtt_session.py`. Topics of Sparkplug B are recognised and read as such.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import secrets
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from mirrorworld.connectors.json_messages import JsonTopics
from mirrorworld.connectors.looking import LookingSink, findings
from mirrorworld.connectors.mqtt_packets import (
    NO_MATCHING_SUBSCRIBERS,
    V5,
    V311,
    ConnectOptions,
    reason,
)
from mirrorworld.connectors.mqtt_session import Place, Refused, Session, explain
from mirrorworld.connectors.mqtt_wire import Connection, Publishes
from mirrorworld.connectors.options import read_options
from mirrorworld.connectors.sparkplug_namespace import PREFIX, SparkplugNamespace
from mirrorworld.connectors.topics import TopicTwins
from mirrorworld.world.changes import Command, CommandState, Event, Severity
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Scalar, Text
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

_VERSIONS: Final = {"auto": V5, "5": V5, "5.0": V5, "3.1.1": V311, "4": V311}


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """What can be set. Text of the guide: docs/guide/mqtt.md."""

    topics: str = ""
    """Filters, comma separated; empty: what the URL's path says, else everything (`#`)."""
    qos: int = 1
    version: str = "auto"
    client_id: str = ""
    keepalive_s: int = 30
    session_expiry_s: int = 7 * 86400
    receive_maximum: int = 65535
    retained: bool = True
    max_points: int = 200_000
    max_message_mib: int = 16
    max_held_mib: int = 32
    integers: bool = False
    zone: str = "UTC"
    command_topic: str = ""
    command_payload: str = "value"
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    tls_verify: bool = True
    listen_s: float = 3.0
    rebirth: bool = True
    rebirth_interval_s: float = 10.0
    folders: bool = False

    def __post_init__(self) -> None:
        _check_ranges(self)
        if self.version not in _VERSIONS:
            raise ValueError(f"version='{self.version}' is none of {', '.join(_VERSIONS)}")
        if self.command_payload not in ("value", "object"):
            raise ValueError(
                f"command_payload='{self.command_payload}' is neither value nor object"
            )
        try:
            self.command_topic.format(topic="a", point="b", twin="c")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"command_topic='{self.command_topic}' is no template of {{topic}}, {{point}} and"
                f" {{twin}}: {error}"
            ) from error
        if "+" in self.command_topic or "#" in self.command_topic:
            raise ValueError(f"command_topic='{self.command_topic}' has a wildcard")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"zone='{self.zone}' is no time zone; one is named like 'Europe/Berlin'"
            ) from error


def _check_ranges(options: MqttOptions) -> None:
    for name, low, high in (
        ("qos", 0, 2),
        ("keepalive_s", 0, 65535),
        ("session_expiry_s", 0, 0xFFFF_FFFF),
        ("receive_maximum", 1, 65535),
        ("max_points", 1, 100_000_000),
        ("max_message_mib", 1, 255),
        ("max_held_mib", 1, 16384),
        ("listen_s", 0.1, 600),
        ("rebirth_interval_s", 0.1, 86400),
    ):
        value = getattr(options, name)
        if not low <= value <= high:
            raise ValueError(f"{name}={value} is not from {low} to {high}")


class Mqtt:
    """Mirrors a broker."""

    schemes: ClassVar[tuple[str, ...]] = ("mqtt", "mqtts")
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "MQTT",
        "mqtt://broker.plant:1883",
        "A path mirrors only the topics below it: mqtt://broker/hall3. With TLS: mqtts://",
        (
            OptionAbout("topics", "Topics", hint="Filters, by commas; empty: everything."),
            OptionAbout("qos", "Quality of service", "choice", "1", choices=("0", "1", "2")),
            OptionAbout("zone", "Time zone of times without one", default="UTC"),
            OptionAbout("command_topic", "Topic of commands", hint="As {topic}/{point}/set."),
            OptionAbout("tls_verify", "Check the broker's certificate", "boolean", True),
        ),
    )
    default_topics: ClassVar[str] = "#"

    def __init__(self, config: SourceConfig) -> None:
        self.link = Link(LinkState.CONNECTING)
        self._config = config
        self._session: Session | None = None
        self._twins: TopicTwins | None = None
        self._sparkplug: SparkplugNamespace | None = None
        self._options = MqttOptions()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._config.name!r}, {self.link.state.value})"

    # --- settings

    def _place(self, options: MqttOptions) -> tuple[Place, str, str, str]:
        """(where, path, user name, password) of the URL."""
        name = self._config.name
        try:
            parts = urlsplit(self._config.url)
            port, host = parts.port, parts.hostname
        except ValueError as error:
            raise SourceError(
                f"{name}: the address cannot be read ({error}); one reads like"
                f" {self.schemes[0]}://host:1883"
            ) from None
        if parts.scheme not in self.schemes:
            raise SourceError(
                f"{name}: '{parts.scheme}' is not a scheme of this connector; an address reads like"
                f" {self.schemes[0]}://host:1883"
            )
        if not host or any(c.isspace() for c in host):
            raise SourceError(
                f"{name}: the address names no host; one reads like {self.schemes[0]}://host:1883"
            )
        if port == 0:
            raise SourceError(
                f"{name}: port 0 is no port; brokers listen at 1883, or 8883 with TLS"
            )
        tls = self._tls(options) if parts.scheme.endswith("s") else None
        place = Place(host, port or (8883 if tls else 1883), tls)
        username = self._config.username or unquote(parts.username or "")
        password = self._config.password or unquote(parts.password or "")
        return place, unquote(parts.path).strip("/"), username, password

    def _tls(self, options: MqttOptions) -> ssl.SSLContext:
        name = self._config.name
        try:
            context = ssl.create_default_context(cafile=options.tls_ca or None)
            if options.tls_certificate:
                context.load_cert_chain(options.tls_certificate, options.tls_key or None)
        except (OSError, ssl.SSLError) as error:
            raise SourceError(
                f"{name}: options tls_ca, tls_certificate and tls_key must name PEM files: {error}"
            ) from error
        if not options.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _filters(self, options: MqttOptions, path: str) -> list[tuple[str, int]]:
        topics = options.topics or (f"{path}/#" if path else self.default_topics)
        filters = [topic.strip() for topic in topics.split(",") if topic.strip()]
        for topic in filters:
            levels = topic.split("/")
            if any(("#" in x or "+" in x) and len(x) > 1 for x in levels) or "#" in levels[:-1]:
                raise SourceError(
                    f"{self._config.name}: option topics: '{topic}' is no filter; '#' stands alone"
                    " and last, '+' alone on a level"
                )
        return [(topic, options.qos) for topic in filters]

    def _client_id(self, options: MqttOptions) -> tuple[str, bool]:
        """(client id, whether the broker keeps our session for when we are away).

        Only who comes back under the same id may leave a session: without a place to remember
        one, each start would leave a queue behind that nobody fetches.
        """
        if options.client_id:
            return options.client_id, True
        folder = self._config.state_dir
        if folder is None:
            return f"mirrorworld-{secrets.token_hex(6)}", False
        digest = hashlib.sha256(self._config.url.encode()).hexdigest()[:12]
        remembered = folder / f"mqtt-client-{digest}.txt"
        try:
            known = remembered.read_text().strip()
        except OSError:
            known = ""
        if not known:
            known = f"mirrorworld-{secrets.token_hex(6)}"
            folder.mkdir(parents=True, exist_ok=True)
            remembered.write_text(known + "\n")
        return known, True

    def _new_session(self, *, is_looking: bool = False) -> Session:
        options = read_options(MqttOptions, self._config.options, self._config.name)
        self._options = options
        place, path, username, password = self._place(options)
        client_id, keeps = self._client_id(options)
        if is_looking:
            client_id, keeps = f"mirrorworld-look-{secrets.token_hex(4)}", False
        return Session(
            place,
            ConnectOptions(
                client_id=client_id,
                version=_VERSIONS[options.version],
                username=username,
                password=password,
                keepalive_s=options.keepalive_s,
                is_clean=not keeps,
                session_expiry_s=options.session_expiry_s if keeps else 0,
                receive_maximum=options.receive_maximum,
                maximum_packet_bytes=options.max_message_mib << 20,
            ),
            self._filters(options, path),
            self._on_state,
            tries_older=options.version == "auto",
            wants_retained=options.retained,
            limit_bytes=options.max_held_mib << 20,
        )

    async def _on_state(self, state: LinkState, detail: str) -> None:
        self.link = Link(state, detail, time.time_ns())

    # --- looking

    def looking(self) -> Session:
        """A session that leaves nothing behind at the broker: to listen for a moment.

        Raises:
            SourceError: the address or an option cannot be used.
        """
        return self._new_session(is_looking=True)

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """Listens for a while (option `listen_s`) to what is published and kept."""
        session = self.looking()
        reader = _Reader(self._config, self._options, None)
        sink = LookingSink()
        frames: list[Frame] = []
        got = Publishes()
        enough = asyncio.Event()

        def received(publishes: Publishes, connection: Connection) -> None:
            got.extend(publishes)
            connection.acknowledge(publishes.ids)
            if got.size_bytes > session.limit_bytes:
                enough.set()

        try:
            connection = await session.open(received)
        except Refused as error:
            raise SourceError(f"{self._config.name}: {error}") from error
        except OSError as error:
            raise SourceError(f"{self._config.name}: {explain(error, session.place)[1]}") from error
        try:
            await connection.subscribe(session.filters, wants_retained=True)
            deadline = asyncio.get_running_loop().time() + self._options.listen_s
            while (left := deadline - asyncio.get_running_loop().time()) > 0:
                if enough.is_set() or connection.closed.done():
                    break
                await asyncio.wait([connection.closed], timeout=min(left, 0.1))
                batch, got = got, Publishes()
                if batch.topics:
                    read = await reader.read(batch, sink)
                    frames += [frame.take(np.arange(min(len(frame), 2_000))) for frame in read]
                if len(reader.twins.twins) > limit:
                    break
        except OSError as error:
            raise SourceError(f"{self._config.name}: {error}") from error
        finally:
            connection.disconnect(forgets_session=True)
        return findings(reader.twins, limit, sink, frames)

    # --- mirroring

    async def run(self, sink: Sink) -> None:
        """See the port. Messages are acknowledged after `sink.durable`."""
        session = self._new_session()
        reader = _Reader(self._config, self._options, session)
        self._session, self._reader = session, reader
        self._twins, self._sparkplug = reader.twins, reader.sparkplug
        source = self._config.name
        was_live = False

        async def on_state(state: LinkState, detail: str) -> None:
            nonlocal was_live
            await self._on_state(state, detail)
            is_lost = state is not LinkState.LIVE
            if is_lost == was_live:
                was_live = not is_lost
                await sink.event(
                    Event(
                        f"{source}/link",
                        source,
                        "source_lost" if is_lost else "source_live",
                        Text((("en", detail or f"connected to {session.place}"),)),
                        Severity.MEDIUM if is_lost else Severity.INFO,
                        is_active=is_lost,
                        source_ns=sink.now_ns(),
                    )
                )

        session.on_state = on_state
        await reader.twins.declare(sink)

        async def consume(publishes: Publishes) -> int | None:
            ticket = None
            for frame in await reader.read(publishes, sink):
                ticket = await sink.push(frame)
            self._count(session, sink)
            return ticket

        try:
            await session.run(consume, sink.durable)
        finally:
            self._session = None

    def _count(self, session: Session, sink: Sink) -> None:
        if session.repeated:
            sink.count("mqtt_repeated_by_broker", session.repeated)
            session.repeated = 0
        connection = session.connection
        if connection is not None and connection.skipped_too_large:
            sink.count("mqtt_too_large", connection.skipped_too_large)
            connection.skipped_too_large = 0

    # --- writing

    async def write(self, command: Command) -> Command:
        """Publishes a desired value once: to the topic of option `command_topic`, or for a
        Sparkplug metric as NCMD or DCMD. Never retained; a version 5 broker drops it when the
        command expires."""
        session, twins = self._session, self._twins
        if session is None or twins is None or session.connection is None:
            return _refused(command, f"not connected: {self.link.detail or self.link.state.value}")
        try:
            if self._sparkplug is not None and self._sparkplug.has(command.twin):
                topic, payload = self._sparkplug.command(command, time.time_ns())
                qos = 0
            else:
                topic, payload = self._command(command, twins)
                qos = 1
        except ValueError as error:
            return _refused(command, str(error))
        left_s = (command.expires_ns - time.time_ns()) / 1e9 if command.requested_ns else 10.0
        if left_s <= 0:
            return _refused(command, "expired before it was sent")
        try:
            async with asyncio.timeout(left_s):
                code = await session.publish(topic, payload, qos=qos, expiry_s=int(left_s) + 1)
        except TimeoutError:
            return _failed(command, f"{session.place} did not confirm the message to '{topic}'")
        except OSError as error:
            return _failed(command, str(error))
        if code == NO_MATCHING_SUBSCRIBERS:
            return _failed(command, f"nobody listens to '{topic}'")
        if code >= 0x80:
            return _failed(command, f"{session.place} refuses '{topic}': {reason(code)}")
        return dataclasses.replace(
            command, state=CommandState.SENT, detail=f"sent to '{topic}'", decided_ns=time.time_ns()
        )

    def _command(self, command: Command, twins: TopicTwins) -> tuple[str, bytes]:
        """(topic, payload); ValueError says why not."""
        twin = twins.twins.get(command.twin)
        if command.operation:
            raise ValueError("MQTT topics have no operations")
        if twin is None or twins.point(command.twin, command.point) is None:
            raise ValueError(
                f"{command.twin}.{command.point} has not been published at this broker"
            )
        template = self._options.command_topic
        if not template:
            raise ValueError(
                "MQTT does not say where to write; set the option command_topic, for example"
                " '{topic}/{point}/set'"
            )
        prop = twin.property("topic")
        path = str(prop.value) if prop else ""
        topic = template.format(topic=path, point=command.point, twin=command.twin).lstrip("/")
        value: Scalar = command.value
        if self._options.command_payload == "object":
            return topic, msgspec.json.encode({command.point: value})
        return topic, msgspec.json.encode(value)


def _refused(command: Command, why: str) -> Command:
    return dataclasses.replace(
        command, state=CommandState.REFUSED, detail=why, decided_ns=time.time_ns()
    )


def _failed(command: Command, why: str) -> Command:
    return dataclasses.replace(
        command, state=CommandState.FAILED, detail=why, decided_ns=time.time_ns()
    )


class _Reader:
    """Messages to frames: Sparkplug's topics to its own reader, all others to JSON's."""

    def __init__(self, config: SourceConfig, options: MqttOptions, session: Session | None) -> None:
        """Without a session it only looks: it asks for nothing and remembers nothing."""
        self.twins = TopicTwins(config.name, options.max_points)
        self.json = JsonTopics(
            self.twins, zone=ZoneInfo(options.zone), keeps_integers=options.integers
        )
        self.sparkplug = SparkplugNamespace(
            self.twins,
            session.publish if session and options.rebirth else None,
            rebirth_interval_s=options.rebirth_interval_s,
            state_dir=config.state_dir if session else None,
            folders=options.folders,
        )

    async def read(self, publishes: Publishes, sink: Sink) -> list[Frame]:
        """The frames of a batch."""
        topics, payloads, retained = publishes.topics, publishes.payloads, publishes.retained
        is_sparkplug = [topic.startswith(PREFIX) for topic in topics]
        received_ns = sink.now_ns()
        if not any(is_sparkplug):
            frame = await self.json.frame(topics, payloads, retained, received_ns, sink)
            return [] if frame is None else [frame]
        frames: list[Frame | None] = []
        if not all(is_sparkplug):
            others = [i for i, s in enumerate(is_sparkplug) if not s]
            frames.append(
                await self.json.frame(
                    [topics[i] for i in others],
                    [payloads[i] for i in others],
                    {j for j, i in enumerate(others) if i in retained},
                    received_ns,
                    sink,
                )
            )
            ours = [i for i, s in enumerate(is_sparkplug) if s]
            topics, payloads = [topics[i] for i in ours], [payloads[i] for i in ours]
        frames += await self.sparkplug.frames(topics, payloads, received_ns, sink)
        return [frame for frame in frames if frame is not None]
