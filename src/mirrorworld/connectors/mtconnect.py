"""MTConnect: machine tools by their agents (HTTP) or right from their adapters (SHDR over TCP).

    mtconnect://host:5000[/device]    an agent; mtconnects:// with TLS
    shdr://host:7878                  an adapter

What a machine consists of is read from the agent's `probe`, or for an adapter from a devices
document (option `devices`); without one it is guessed. How an agent's observations come is said
in `mtconnect_agent.py`, how an adapter's in `shdr_session.py` and `shdr_lines.py`.

Read-only: neither protocol carries commands to a machine.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, NamedTuple
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from mirrorworld.connectors.looking import LookingSink, findings
from mirrorworld.connectors.mtconnect_agent import Agent, AgentError
from mirrorworld.connectors.mtconnect_devices import Devices, of_device, read_devices
from mirrorworld.connectors.mtconnect_xml import BadXml
from mirrorworld.connectors.options import read_options
from mirrorworld.connectors.seen import SeenTwins
from mirrorworld.connectors.shdr_lines import ADAPTER_TYPE, ShdrReader
from mirrorworld.connectors.shdr_session import OnState, ShdrSession
from mirrorworld.world.changes import Command, CommandState, Event, Severity
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Text, Twin
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

DEVICES_BYTES_MAX: Final = 64 << 20
_PORTS: Final = {"mtconnect": 5000, "mtconnects": 5000, "shdr": 7878}


@dataclass(frozen=True, slots=True)
class MtconnectOptions:
    """What can be set. Text of the guide: docs/guide/mtconnect.md."""

    devices: str = ""
    """Adapter: path of a devices document that says what its keys are."""
    device: str = ""
    """Which device of the document, or of the agent; empty: the first, or all."""
    zone: str = "UTC"
    """Adapter: of times that name none."""
    max_points: int = 200_000
    max_line_kib: int = 1024
    heartbeat_s: float = 10.0
    interval_ms: int = 100
    """Agent: how often it may send what is new."""
    count: int = 10_000
    """Agent: most observations of one document."""
    max_document_mib: int = 64
    timeout_s: float = 30.0
    listen_s: float = 3.0
    tls_ca: str = ""
    tls_verify: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (
            ("max_points", 1, 100_000_000),
            ("max_line_kib", 1, 65_536),
            ("heartbeat_s", 0, 3_600),
            ("interval_ms", 0, 600_000),
            ("count", 1, 1_000_000),
            ("max_document_mib", 1, 1_024),
            ("timeout_s", 1, 600),
            ("listen_s", 0.1, 600),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}={value} is not from {low} to {high}")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"zone='{self.zone}' is no time zone; one is named like 'Europe/Berlin'"
            ) from error


class Place(NamedTuple):
    """Where a source is."""

    scheme: str
    host: str
    port: int
    path: str


class MtconnectTwins(SeenTwins):
    """The twins of one agent or adapter."""

    narrower = "mirror one device with the option device"


class Mtconnect:
    """Mirrors an MTConnect agent or adapter."""

    schemes: ClassVar[tuple[str, ...]] = ("mtconnect", "mtconnects", "shdr")
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "MTConnect",
        "mtconnect://192.168.1.60:5000",
        "An agent; shdr://host:7878 for an adapter.",
        (
            OptionAbout("device", "Device", hint="only this one; empty: all"),
            OptionAbout("devices", "Devices document", hint="adapter: path of its Devices.xml"),
            OptionAbout("zone", "Time zone of times without one", default="UTC"),
            OptionAbout("interval_ms", "Agent: send what is new every, ms", "number", 100),
        ),
        takes_login=False,
    )

    def __init__(self, config: SourceConfig) -> None:
        self.link = Link(LinkState.CONNECTING)
        self.is_compiled: bool | None = None
        """Whether the compiled loop reads an adapter's lines; None: where numba is installed."""
        self._config = config

    def __repr__(self) -> str:
        return f"Mtconnect({self._config.name!r}, {self.link.state.value})"

    # --- settings

    def _place(self) -> Place:
        """What the URL says."""
        name = self._config.name
        like = "one reads like mtconnect://host:5000 or shdr://host:7878"
        try:
            parts = urlsplit(self._config.url)
            port, host = parts.port, parts.hostname
        except ValueError as error:
            raise SourceError(f"{name}: the address cannot be read ({error}); {like}") from None
        if parts.scheme not in self.schemes:
            raise SourceError(f"{name}: '{parts.scheme}' is not a scheme of this connector; {like}")
        if not host or port == 0 or any(c.isspace() for c in host):
            raise SourceError(f"{name}: the address names no host and port; {like}")
        path = unquote(parts.path).strip("/")
        return Place(parts.scheme, host, port or _PORTS[parts.scheme], path)

    def _settings(self) -> tuple[MtconnectOptions, Place]:
        options = read_options(MtconnectOptions, self._config.options, self._config.name)
        return options, self._place()

    def _tls(self, options: MtconnectOptions) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=options.tls_ca or None)
        except (OSError, ssl.SSLError) as error:
            raise SourceError(
                f"{self._config.name}: option tls_ca must name a PEM file: {error}"
            ) from error
        if not options.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _agent(self, options: MtconnectOptions, place: Place) -> Agent:
        _, host, port, path = place
        tls = self._tls(options) if place.scheme == "mtconnects" else None
        return Agent(
            self._config,
            f"{'https' if tls else 'http'}://{_bracketed(host)}:{port}",
            options.device or path,
            MtconnectTwins(self._config.name, options.max_points),
            tls,
            interval_ms=options.interval_ms,
            count=options.count,
            document_bytes_max=options.max_document_mib << 20,
            timeout_s=options.timeout_s,
        )

    def _adapter(self, options: MtconnectOptions) -> ShdrReader:
        twins = MtconnectTwins(self._config.name, options.max_points)
        twins.put_type(ADAPTER_TYPE)
        root = Twin(self._config.name, ADAPTER_TYPE.id, Text.of(self._config.name))
        twins.put(root, "", "the adapter itself")
        devices = self._document(options)
        if devices is not None:
            put_devices(twins, devices)
        return ShdrReader(
            twins,
            devices.items if devices else (),
            device=devices.names[0] if devices and devices.names else "",
            zone=ZoneInfo(options.zone),
            is_compiled=self.is_compiled,
        )

    def _document(self, options: MtconnectOptions) -> Devices | None:
        """The devices document of option `devices`, of one device."""
        if not options.devices:
            return None
        place = f"{self._config.name}: option devices"
        path = Path(options.devices).expanduser()
        try:
            if path.stat().st_size > DEVICES_BYTES_MAX:
                raise SourceError(f"{place}: {path} is larger than {DEVICES_BYTES_MAX >> 20} MiB")
            devices = read_devices(path.read_bytes(), self._config.name)
        except OSError as error:
            raise SourceError(f"{place}: {path} cannot be read: {error.strerror}") from error
        except BadXml as error:
            raise SourceError(f"{place}: {path} is no devices document: {error}") from error
        if not devices.names:
            raise SourceError(f"{place}: {path} names no device")
        wanted = options.device or devices.names[0]
        if wanted not in devices.names:
            have = ", ".join(devices.names[:20])
            raise SourceError(f"{self._config.name}: option device='{wanted}': {path} has {have}")
        return of_device(devices, wanted)

    # --- looking

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """Asks an agent what it has; listens to an adapter for a while (option `listen_s`)."""
        options, place = self._settings()
        sink = LookingSink()
        frames: list[Frame] = []
        if place.scheme != "shdr":
            agent = self._agent(options, place)
            try:
                await agent.look(sink, frames)
            except AgentError as error:
                raise SourceError(f"{self._config.name}: {error}") from error
            finally:
                await agent.close()
            return findings(agent.twins, limit, sink, frames)
        reader = self._adapter(options)
        lost = asyncio.get_running_loop().create_future()

        async def on_state(state: LinkState, detail: str) -> None:
            if state is LinkState.LOST and not lost.done():
                lost.set_result(detail)

        async def on_block() -> None:
            frame = await reader.take(sink)
            if frame is not None:
                frames.append(frame)

        session = self._session(options, reader, place, on_state)
        running = asyncio.create_task(session.run(sink, on_block), name="shdr looking")
        try:
            await asyncio.wait(
                [lost, running], timeout=options.listen_s, return_when=asyncio.FIRST_COMPLETED
            )
            if running.done():
                running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        if lost.done() and not frames:
            raise SourceError(f"{self._config.name}: {lost.result()}")
        lost.cancel()
        return findings(reader.twins, limit, sink, frames)

    def _session(
        self, options: MtconnectOptions, reader: ShdrReader, place: Place, on_state: OnState
    ) -> ShdrSession:
        return ShdrSession(
            place.host,
            place.port,
            reader,
            on_state,
            line_bytes_max=options.max_line_kib << 10,
            heartbeat_s=options.heartbeat_s,
        )

    # --- mirroring

    async def run(self, sink: Sink) -> None:
        """See the port."""
        options, place = self._settings()
        was_live = False

        async def on_state(state: LinkState, detail: str) -> None:
            nonlocal was_live
            self.link = Link(state, detail, time.time_ns())
            is_lost = state is not LinkState.LIVE
            if is_lost == was_live:
                was_live = not is_lost
                await sink.event(
                    Event(
                        f"{self._config.name}/link",
                        self._config.name,
                        "source_lost" if is_lost else "source_live",
                        Text((("en", detail),)),
                        Severity.MEDIUM if is_lost else Severity.INFO,
                        is_active=is_lost,
                        source_ns=sink.now_ns(),
                    )
                )

        if place.scheme != "shdr":
            agent = self._agent(options, place)
            try:
                await agent.run(sink, on_state)
            finally:
                await agent.close()
            return
        reader = self._adapter(options)
        await reader.observations.declare(sink)
        session = self._session(options, reader, place, on_state)

        async def on_block() -> None:
            frame = await reader.take(sink)
            if frame is not None:
                await sink.push(frame)
            for event in reader.observations.events():
                await sink.event(event)

        await session.run(sink, on_block)

    # --- writing

    async def write(self, command: Command) -> Command:
        """MTConnect only reads (Part 1.0 §1): always refused."""
        return dataclasses.replace(
            command,
            state=CommandState.REFUSED,
            detail="MTConnect is read-only: neither agents nor adapters take values",
            decided_ns=time.time_ns(),
        )


def put_devices(twins: SeenTwins, devices: Devices) -> None:
    """Adds what a devices document describes."""
    for type_ in devices.types:
        twins.put_type_once(type_)
    for twin, parent in devices.twins:
        twins.put(twin, parent, f"{twin.type.partition(':')[2]} of the devices document")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
