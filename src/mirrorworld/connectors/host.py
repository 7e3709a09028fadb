"""The computer that Mirrorworld runs on, as a twin with its parts.

What can be read is said in `host_sensors.py`. Nothing can be written.
"""

from __future__ import annotations

import asyncio
import dataclasses
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import unquote, urlsplit

import psutil

from mirrorworld.connectors.host_sensors import Looker, Reading
from mirrorworld.connectors.options import read_options
from mirrorworld.world.changes import (
    Command,
    CommandState,
    Edit,
    Edits,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.frames import FrameBuilder
from mirrorworld.world.model import (
    PART_OF,
    Kind,
    PointType,
    Property,
    Relation,
    Scalar,
    Text,
    Twin,
    TwinType,
)
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

BAD_NOT_CONNECTED: Final = 0x808A_0000
GUESSED: Final = "read from the operating system"


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What can be set. Text of the guide: docs/guide/host.md."""

    period_s: float = 5.0
    sys_path: str = "/sys"

    def __post_init__(self) -> None:
        if not 0.1 <= self.period_s <= 3600:
            raise ValueError(f"period_s={self.period_s} is not from 0.1 to 3600")
        if not Path(self.sys_path).is_absolute():
            raise ValueError(f"sys_path='{self.sys_path}' is no absolute path")


class Host:
    """Mirrors this computer."""

    schemes: ClassVar[tuple[str, ...]] = ("host",)
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "This computer",
        "host://local",
        options=(OptionAbout("period_s", "Read every, s", "number", 5),),
        takes_login=False,
    )

    def __init__(self, config: SourceConfig) -> None:
        self.link = Link(LinkState.CONNECTING)
        self._config = config

    def __repr__(self) -> str:
        return f"Host({self._config.name!r}, {self.link.state.value})"

    def _settings(self) -> HostOptions:
        name = self._config.name
        parts = urlsplit(self._config.url)
        if parts.scheme != "host" or unquote(parts.netloc) != "local" or parts.path.strip("/"):
            raise SourceError(
                f"{name}: '{self._config.url}' is not this computer; write host://local (others are"
                " mirrored by a Mirrorworld of their own)"
            )
        return read_options(HostOptions, self._config.options, name)

    # --- what it is

    def _twins(self, readings: Sequence[Reading]) -> tuple[list[TwinType], list[Twin]]:
        """The machine and its parts, each with the points that were read."""
        name = self._config.name
        points: dict[str, list[PointType]] = {"": []}
        types: dict[str, str] = {"": "Computer"}
        for reading in readings:
            points.setdefault(reading.part, []).append(reading.point)
            types[reading.part] = reading.part_type
            above = reading.part.rpartition("/")[0]
            if above and above not in points:
                points[above], types[above] = [], f"{above.capitalize()}s"
        twins = [
            Twin(
                f"{name}/{part}" if part else name,
                f"host:{types[part]}",
                Text.of(part.rpartition("/")[2] if part else platform.node() or name),
                self._facts() if not part else (),
                tuple(points[part]),
            )
            for part in points
        ]
        kinds = [TwinType(f"host:{t}", Text((("en", t),))) for t in dict.fromkeys(types.values())]
        return kinds, twins

    def _facts(self) -> tuple[Property, ...]:
        facts: dict[str, tuple[Scalar, str]] = {
            "system": (f"{platform.system()} {platform.release()}", ""),
            "architecture": (platform.machine(), ""),
            "cores": (psutil.cpu_count(), ""),
            "memory": (psutil.virtual_memory().total, "By"),
        }
        return tuple(
            Property(name, value, unit=unit) for name, (value, unit) in facts.items() if value
        )

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """Looks once, and once more for what is a rate."""
        options = self._settings()
        looker = Looker(Path(options.sys_path))
        await asyncio.to_thread(looker.look)
        await asyncio.sleep(0.1)
        readings = await asyncio.to_thread(looker.look)
        kinds, twins = self._twins(readings)
        types = {kind.id: kind for kind in kinds}
        values: dict[str, list[tuple[str, Scalar]]] = {}
        for reading in readings:
            twin = f"{self._config.name}/{reading.part}".rstrip("/")
            values.setdefault(twin, []).append((reading.point.name, reading.value))
        return [
            Finding(twin, types[twin.type], GUESSED, tuple(values.get(twin.id, ())))
            for twin in twins[:limit]
        ]

    # --- mirroring

    async def run(self, sink: Sink) -> None:
        """See the port. What disappears (an interface, a drive) is marked bad until it is back."""
        options = self._settings()
        looker = await asyncio.to_thread(Looker, Path(options.sys_path))
        known: dict[tuple[str, str], tuple[int, Kind]] = {}
        declared: dict[tuple[str, str], Reading] = {}
        gone: set[tuple[str, str]] = set()
        due_s = time.monotonic()
        while True:
            readings = await asyncio.to_thread(looker.look)
            now_ns = sink.now_ns()
            by_key = {self._key(r): r for r in readings}
            if not by_key.keys() <= declared.keys():
                declared |= by_key
                await sink.declare(self._edits(list(declared.values())))
                handles = sink.handles(declared)
                known = {
                    key: (int(handle), declared[key].point.kind)
                    for key, handle in zip(declared, handles, strict=True)
                }
            builder = FrameBuilder()
            for key, reading in by_key.items():
                handle, kind = known[key]
                builder.add(handle, kind, reading.value, now_ns)
            for key in declared.keys() - by_key.keys() - gone:
                handle, kind = known[key]
                builder.add(handle, kind, declared[key].value, now_ns, BAD_NOT_CONNECTED)
            gone = declared.keys() - by_key.keys()
            if len(builder):
                await sink.push(builder.build())
            if self.link.state is not LinkState.LIVE:
                self.link = Link(LinkState.LIVE, f"reads every {options.period_s:g} s", now_ns)
            due_s += options.period_s
            late = time.monotonic() - due_s
            if late > 0:
                missed = int(late // options.period_s) + 1
                sink.count("poll_overrun", missed)
                due_s += missed * options.period_s
            await asyncio.sleep(due_s - time.monotonic())

    def _key(self, reading: Reading) -> tuple[str, str]:
        return f"{self._config.name}/{reading.part}".rstrip("/"), reading.point.name

    def _edits(self, readings: Sequence[Reading]) -> Edits:
        kinds, twins = self._twins(readings)
        edits: list[Edit] = [PutType(kind) for kind in kinds]
        edits += [PutTwin(twin) for twin in twins]
        edits += [
            PutRelation(Relation(PART_OF, twin.id, twin.id.rpartition("/")[0]))
            for twin in twins
            if "/" in twin.id
        ]
        return Edits(tuple(edits), reason="this computer")

    # --- writing

    async def write(self, command: Command) -> Command:
        """A computer is only looked at: always refused."""
        return dataclasses.replace(
            command,
            state=CommandState.REFUSED,
            detail="a computer is only looked at",
            decided_ns=time.time_ns(),
        )
