"""Recordings: tables of the past, played into a world at any speed.

What a table means is found out in `recording_file.py`; this plays it. Rows are numbered, so that
a restart doubles none: a frame's number is that of its last row, its incarnation that of the
file's content and the round of the loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import unquote, urlsplit

from mirrorworld.connectors.guesses import iri_level
from mirrorworld.connectors.options import read_options
from mirrorworld.connectors.recording_file import Hints, Layout, files_at
from mirrorworld.connectors.recording_look import look
from mirrorworld.connectors.recording_player import Part, Player, RecordingOptions
from mirrorworld.world.changes import (
    Command,
    CommandState,
    Edit,
    Edits,
    PutRelation,
    PutTwin,
    PutType,
)
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

RECORDING_TYPE: Final = TwinType("recording:File", Text((("en", "Recording"),)))


class Recording:
    """Plays files as a source."""

    schemes: ClassVar[tuple[str, ...]] = ("file",)
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "Recording",
        "file:///data/line1.csv",
        "CSV or Parquet, a file or a folder of them, on the computer that runs this server.",
        (
            OptionAbout("speed", "Speed", default="max", hint="1 is as fast as it was; or max."),
            OptionAbout("loop", "From the beginning again at its end", "boolean", False),
            OptionAbout("time", "Column of the time", hint="Empty: guessed."),
            OptionAbout("entity", "Column that names the things", hint="Empty: guessed."),
            OptionAbout("zone", "Time zone of times without one", default="UTC"),
        ),
        takes_login=False,
    )
    has_live_clock: ClassVar[bool] = False

    def __init__(self, config: SourceConfig) -> None:
        self.link = Link(LinkState.CONNECTING)
        self._config = config

    def __repr__(self) -> str:
        return f"Recording({self._config.name!r}, {self.link.state.value})"

    def _settings(self) -> tuple[RecordingOptions, Path]:
        options = read_options(RecordingOptions, self._config.options, self._config.name)
        url = self._config.url
        if "://" in url:
            parts = urlsplit(url)
            if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
                raise SourceError(
                    f"{self._config.name}: '{url}' is no file here; write a path, or file:///path"
                )
            url = unquote(parts.path)
        elif url.startswith("file:"):
            url = unquote(url.removeprefix("file:"))
        if not url:
            raise SourceError(
                f"{self._config.name}: no path is given; write a path, or file:///path"
            )
        return options, Path(url).expanduser()

    def _parts(self, path: Path, hints: Hints) -> list[Part]:
        """All files, looked at; blocking."""
        files, found = files_at(path), []
        problems: list[str] = []
        for file in files:
            try:
                layout = look(file, hints)
            except SourceError as error:
                if len(files) == 1:
                    raise
                problems.append(str(error))
                continue
            twin = self._config.name
            if len(files) > 1:
                inner = file.relative_to(path).as_posix()
                for suffix in (".gz", ".zst", ".csv", ".tsv", ".txt", ".parquet", ".pq"):
                    inner = inner.removesuffix(suffix)
                twin = "/".join([twin, *(iri_level(level) for level in inner.split("/"))])
            twins = (twin,)
            if layout.entity:
                twins = tuple(f"{twin}/{iri_level(name) or '-'}" for name in layout.entities)
            found.append(Part(layout, twin, twins, _identity(file)))
        if not found:
            raise SourceError(f"{path}: none of {len(files)} tables can be used: {problems[0]}")
        self._problems = problems
        found.sort(key=lambda part: part.layout.first_ns)
        return found

    # --- looking

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """Reads the files once and says what they mean."""
        options, path = self._settings()
        parts = await asyncio.to_thread(self._parts, path, options.hints)
        found: list[Finding] = []
        for part in parts:
            type_ = self._type(part)
            entities = dict(zip(part.twins, part.layout.entities, strict=True))
            for twin in self._twins(part, type_):
                if twin.type == type_.id:
                    values = _values(part.layout, entities[twin.id])
                    found.append(Finding(twin, type_, part.layout.guessed, values))
        return found[:limit]

    def _type(self, part: Part) -> TwinType:
        """The type of what a file is about: its columns are the points."""
        points = tuple(PointType(s.point, s.kind, s.unit) for s in part.layout.signals)
        digest = hashlib.sha256(repr(points).encode()).hexdigest()[:8]
        return TwinType(
            f"recording:{self._config.name}/{digest}",
            Text.of(part.layout.entity or self._config.name),
            points=points,
        )

    def _twins(self, part: Part, type_: TwinType) -> list[Twin]:
        layout = part.layout
        facts = (
            Property("file", layout.path.name),
            Property("rows", layout.n_rows),
            Property("guessed", layout.guessed),
        )
        name = part.twin.rsplit("/", 1)[-1]
        if not layout.entity:
            return [Twin(part.twin, type_.id, Text.of(name), facts)]
        found = [Twin(part.twin, RECORDING_TYPE.id, Text.of(name), facts)]
        for twin, entity in zip(part.twins, layout.entities, strict=True):
            named = (Property(layout.entity, entity),)
            found.append(Twin(twin, type_.id, Text.of(entity or "(blank)"), named))
        return found

    # --- playing

    async def run(self, sink: Sink) -> None:
        """Plays to the end, or round and round; then stands as ENDED and waits."""
        options, path = self._settings()
        self._say(LinkState.CONNECTING, f"reading {path}")
        parts = await asyncio.to_thread(self._parts, path, options.hints)
        for problem in self._problems:
            sink.count("recording_file_not_used")
            self._say(LinkState.CONNECTING, problem)
        await self._declare(parts, sink)
        for part in parts:
            layout = part.layout
            for what, n in (
                ("recording_row_without_time", layout.n_untimed),
                ("recording_ambiguous_local_time", layout.n_ambiguous),
                ("recording_broken_row", layout.n_broken),
            ):
                if n:
                    sink.count(what, n)
        total = sum(part.layout.n_rows for part in parts)
        self._say(LinkState.LIVE, f"playing {total} rows of {len(parts)} file(s)")
        player = Player(options, parts, sink, self._memory(path))
        acknowledging = asyncio.create_task(player.acknowledge(), name="recording durable")
        try:
            playing = asyncio.create_task(player.play(), name="recording playing")
            try:
                await asyncio.wait([playing, acknowledging], return_when=asyncio.FIRST_COMPLETED)
                for task in (acknowledging, playing):
                    if task.done():
                        task.result()
                if player.last_ticket is not None:
                    await sink.durable(player.last_ticket)
            finally:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
        finally:
            acknowledging.cancel()
            await asyncio.gather(acknowledging, return_exceptions=True)
            player.remember()
        self._say(LinkState.ENDED, f"played to its end: {player.n_rows} rows")
        await asyncio.Event().wait()

    def _say(self, state: LinkState, detail: str) -> None:
        self.link = Link(state, detail, time.time_ns())

    def _memory(self, path: Path) -> Path | None:
        folder = self._config.state_dir
        if folder is None:
            return None
        digest = hashlib.sha256(f"{self._config.name}\n{path.absolute()}".encode()).hexdigest()
        return folder / f"recording-{digest[:16]}.json"

    async def _declare(self, parts: list[Part], sink: Sink) -> None:
        name = self._config.name
        edits: list[Edit] = [PutType(RECORDING_TYPE)]
        root = Twin(name, RECORDING_TYPE.id, Text.of(name))
        known = {root.id: root}
        relations: list[Edit] = []
        for part in parts:
            type_ = self._type(part)
            edits.append(PutType(type_))
            for twin in self._twins(part, type_):
                known[twin.id] = twin
                below = twin.id.removeprefix(f"{name}/").split("/") if twin.id != name else []
                for i in range(len(below)):
                    parent = "/".join([name, *below[:i]])
                    child = "/".join([name, *below[: i + 1]])
                    known.setdefault(parent, Twin(parent, RECORDING_TYPE.id, Text.of(below[i - 1])))
                    relations.append(PutRelation(Relation(PART_OF, child, parent)))
        edits += [PutTwin(twin) for twin in known.values()]
        edits += dict.fromkeys(relations)
        await sink.declare(Edits(tuple(edits), reason=f"recording {name}"))
        for part in parts:
            points = [(t, s.point) for t in part.twins for s in part.layout.signals]
            shape = (len(part.twins), len(part.layout.signals))
            part.handles = sink.handles(points).reshape(shape)

    # --- writing

    async def write(self, command: Command) -> Command:
        """The past cannot be changed: always refused."""
        return dataclasses.replace(
            command,
            state=CommandState.REFUSED,
            detail="a recording cannot be written",
            decided_ns=time.time_ns(),
        )


def _values(layout: Layout, entity: str) -> tuple[tuple[str, Scalar], ...]:
    """What stands in the first row of an entity."""
    first = layout.first_values.get(entity, {})
    found: list[tuple[str, Scalar]] = []
    for signal in layout.signals:
        value = first.get(signal.column)
        if isinstance(value, str) and signal.kind in (Kind.FLOAT, Kind.INT):
            value = float(value.replace(",", ".")) if signal.kind is Kind.FLOAT else int(value)
        if isinstance(value, bool | int | float | str):
            found.append((signal.point, value))
    return tuple(found)


def _identity(path: Path) -> int:
    """Which file this is: a hash of size, beginning and end, 48 bits."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(1 << 20))
        if size > 1 << 20:
            file.seek(-(1 << 20), os.SEEK_END)
            digest.update(file.read())
    return int.from_bytes(digest.digest()[:6], "little")
