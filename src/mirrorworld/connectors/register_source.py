"""What all connectors share that poll a device's memory by a map: link, looking, writing.

A protocol is a `RegisterSource` that says how to open a line; the line reads blocks and writes
values. Reconnecting, declaring, polling and the command road are here.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol
from urllib.parse import SplitResult, urlsplit

import numpy as np

from mirrorworld.connectors.options import read_options
from mirrorworld.connectors.register_map import Dialect, MapPoint, RegisterMap, read_map
from mirrorworld.connectors.register_plan import Group, merge
from mirrorworld.connectors.register_poll import Poller, Reader, ReadFailed
from mirrorworld.world.changes import Command, CommandState, Event, Severity
from mirrorworld.world.frames import decode
from mirrorworld.world.model import Kind, Property, Scalar, Text, Twin
from mirrorworld.world.ports import Finding, Link, LinkState, Sink, SourceConfig, SourceError

BACKOFF_S: Final = (0.5, 30.0)
LOOK_BLOCKS_MAX: Final = 64
"""How many requests `discover` sends for values to show."""


class NotWritten(Exception):
    """The device did not take a value; the message is its reason."""


class Line(Reader, Protocol):
    """An open line to a device, or to several behind a gateway."""

    async def write(self, point: MapPoint, value: Scalar) -> str:
        """Writes a value once; returns where to, for the log.

        Raises:
            ValueError: the value does not fit, and nothing was sent.
            NotWritten: the device refused it, or did not answer.
            OSError: the line is lost.
        """
        ...

    async def identify(self) -> list[tuple[str, str]]:
        """What the device says of itself when asked for it, as (name, text)."""
        ...

    async def close(self) -> None:
        """Ends the line."""
        ...


class RegisterSource:
    """A connector that polls by a map. A protocol gives the class variables and `_open`."""

    schemes: ClassVar[tuple[str, ...]]
    dialect: ClassVar[Dialect]
    options_class: ClassVar[type[Any]]
    """Has at least: map, period_ms, unchanged_s, max_points, timeout_s."""
    default_port: ClassVar[int]
    example_url: ClassVar[str]
    guide: ClassVar[str]
    """Where the format of the map is described."""

    def __init__(self, config: SourceConfig) -> None:
        self.link = Link(LinkState.CONNECTING)
        self._config = config
        self._line: Line | None = None
        self._poller: Poller | None = None
        self._index: dict[tuple[str, str], int] = {}
        self._points: tuple[MapPoint, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._config.name!r}, {self.link.state.value})"

    async def _open(self, options: Any, parts: SplitResult) -> Line:
        """A line to the device.

        Raises:
            OSError: it cannot be reached.
        """
        raise NotImplementedError

    def _check(self, options: Any, parts: SplitResult) -> Dialect:
        """Checks what is particular to the protocol; the dialect with what the URL says.

        Raises:
            SourceError: the URL cannot be used.
        """
        return self.dialect

    # --- settings

    def _settings(self) -> tuple[Any, SplitResult, Dialect]:
        name, example = self._config.name, self.example_url
        options = read_options(self.options_class, self._config.options, name)
        try:
            parts = urlsplit(self._config.url)
            port, host = parts.port, parts.hostname
        except ValueError as error:
            raise SourceError(
                f"{name}: the address cannot be read ({error}); one reads like {example}"
            ) from None
        if parts.scheme not in self.schemes:
            raise SourceError(
                f"{name}: '{parts.scheme}' is not a scheme of this connector; an address reads"
                f" like {example}"
            )
        if not host or any(c.isspace() for c in host):
            raise SourceError(f"{name}: the address names no host; one reads like {example}")
        if port == 0:
            raise SourceError(f"{name}: port 0 is no port; an address reads like {example}")
        return options, parts, self._check(options, parts)

    def _read_map(self, options: Any, dialect: Dialect) -> RegisterMap:
        return read_map(
            Path(options.map).expanduser(),
            self._config.name,
            dialect,
            points_max=options.max_points,
            period_ms=options.period_ms,
        )

    def _no_map(self) -> str:
        return (
            f"{self.dialect.scheme} names nothing and is never scanned: write a map of what lies"
            f" where, and name it with the option map=FILE; {self.guide} shows one"
        )

    def _where(self, parts: SplitResult) -> str:
        return f"{parts.hostname}:{parts.port or self.default_port}"

    # --- looking

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """What the map says, with a value for each point that was read once. Without a map: what
        the device says of itself, and how to write one."""
        options, parts, dialect = self._settings()
        found = None
        if options.map:
            found = await asyncio.to_thread(self._read_map, options, dialect)
        try:
            line = await self._open(options, parts)
        except OSError as error:
            raise SourceError(f"{self._config.name}: {self._explain(error, parts)}") from error
        try:
            if found is None:
                facts = await line.identify()
                name = ", ".join(text for _, text in facts) or self._config.name
                told = tuple(Property(key, text) for key, text in facts)
                twin = Twin(self._config.name, f"{dialect.scheme}:Device", Text.of(name), told)
                guessed = f"calls itself {name}; {self._no_map()}" if facts else self._no_map()
                return [Finding(twin, None, guessed, tuple(facts))][:limit]
            values = await self._look(line, found)
        except OSError as error:
            raise SourceError(f"{self._config.name}: {self._explain(error, parts)}") from error
        finally:
            await line.close()
        return [
            dataclasses.replace(f, sample_values=values.get(f.twin.id, ()))
            for f in found.findings(limit)
        ]

    async def _look(
        self, line: Line, found: RegisterMap
    ) -> dict[str, tuple[tuple[str, Scalar], ...]]:
        """Values by twin; of a large map only of the first blocks."""
        points = found.points
        blocks = merge(points, range(len(points)), line.limits)[:LOOK_BLOCKS_MAX]
        group = Group(1000, blocks, np.arange(len(points), dtype=np.uint32))
        values: dict[str, list[tuple[str, Scalar]]] = {}
        for block in blocks:
            (answer,) = await line.read([block])
            if isinstance(answer, ReadFailed):
                continue
            rows = block.rows
            block.columns.decode(answer, group.cell[rows], group.quality[rows], block.texts)
            for row, i in enumerate(block.points):
                kind = points[i].point.kind
                payload: int | bytes = int(group.cell[rows][row])
                if kind is Kind.TEXT:
                    payload = block.texts[row]
                value = decode(kind, payload)
                if isinstance(value, bool | int | float | str):
                    values.setdefault(points[i].twin, []).append((points[i].point.name, value))
        return {twin: tuple(pairs) for twin, pairs in values.items()}

    # --- mirroring

    async def run(self, sink: Sink) -> None:
        """See the port."""
        options, parts, dialect = self._settings()
        if not options.map:
            raise SourceError(f"{self._config.name}: {self._no_map()}")
        found = await asyncio.to_thread(self._read_map, options, dialect)
        await sink.declare(found.edits)
        points = self._points = found.points
        self._index = {(point.twin, point.point.name): i for i, point in enumerate(points)}
        handles = sink.handles((point.twin, point.point.name) for point in points)
        where, wait_s = self._where(parts), BACKOFF_S[0]

        async def on_answer() -> None:
            nonlocal wait_s
            wait_s = BACKOFF_S[0]
            if self.link.state is not LinkState.LIVE:
                self.link = Link(LinkState.LIVE, f"connected to {where}", time.time_ns())
                await self._tell(sink, "source_live", f"connected to {where}")

        self._poller = poller = Poller(
            self._config.name,
            points,
            handles,
            sink,
            unchanged_s=options.unchanged_s,
            on_answer=on_answer,
        )
        while True:
            line: Line | None = None
            try:
                line = await self._open(options, parts)
                self._line = line
                await poller.run(line)
            except OSError as error:
                detail = self._explain(error, parts)
            finally:
                self._line = None
                if line is not None:
                    await line.close()
            was_live = self.link.state is LinkState.LIVE
            self.link = Link(LinkState.LOST, detail, time.time_ns())
            if was_live:
                await poller.mark_lost()
                await self._tell(sink, "source_lost", detail)
            await asyncio.sleep(wait_s * random.uniform(0.7, 1.3))
            wait_s = min(wait_s * 2, BACKOFF_S[1])

    async def _tell(self, sink: Sink, kind: str, detail: str) -> None:
        is_lost = kind == "source_lost"
        source = self._config.name
        await sink.event(
            Event(
                f"{source}/link",
                source,
                kind,
                Text((("en", detail),)),
                Severity.MEDIUM if is_lost else Severity.INFO,
                is_active=is_lost,
                source_ns=sink.now_ns(),
            )
        )

    def _explain(self, error: OSError, parts: SplitResult) -> str:
        where = self._where(parts)
        if isinstance(error, socket.gaierror):
            return f"unknown host '{parts.hostname}': check the address, or the name server"
        if isinstance(error, ConnectionRefusedError):
            return f"nobody listens at {where}; is the device on, and the port right?"
        if isinstance(error, TimeoutError):
            why = f" ({error})" if str(error) else ""
            return f"no answer from {where}{why}; is a firewall between?"
        return f"{where}: {error}"

    # --- writing

    async def write(self, command: Command) -> Command:
        """Writes a value to a point that the map says is writable, scaled back, and has it read
        next: what is read confirms the command."""
        line, poller = self._line, self._poller
        place = f"{command.twin}.{command.point}"
        i = self._index.get((command.twin, command.point))
        if command.operation:
            return _decided(command, CommandState.REFUSED, "registers have no operations")
        if i is None:
            return _decided(command, CommandState.REFUSED, f"{place} is not in the map")
        point = self._points[i]
        if not point.point.is_writable:
            detail = f"{place} is not writable: the map does not say 'writable: true'"
            return _decided(command, CommandState.REFUSED, detail)
        if line is None or poller is None:
            detail = f"not connected: {self.link.detail or self.link.state.value}"
            return _decided(command, CommandState.REFUSED, detail)
        try:
            detail = await line.write(point, command.value)
        except ValueError as error:
            return _decided(command, CommandState.REFUSED, f"{place}: {error}")
        except (NotWritten, OSError) as error:
            return _decided(command, CommandState.FAILED, f"{place}: {error}")
        poller.ask_soon(i)
        return _decided(command, CommandState.SENT, detail)


def _decided(command: Command, state: CommandState, detail: str) -> Command:
    return dataclasses.replace(command, state=state, detail=detail, decided_ns=time.time_ns())
