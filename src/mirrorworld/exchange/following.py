"""A world that follows a file: what has changed in the file since the last time is made so.

Beside the world lie the text that was brought in last, and what of it still waits for twins that
its sources have not declared yet. Whoever keeps a world in git edits the file; whoever edits it
on its page exports it; neither undoes the other's work on what they did not touch.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from mirrorworld.exchange import photos
from mirrorworld.exchange.planning import Plan, plan, still_waiting
from mirrorworld.standards import world_yaml
from mirrorworld.standards.world_yaml import Placed, SourceText, WorldText, variable_of
from mirrorworld.standards.world_yaml.reading import VARIABLE
from mirrorworld.world.changes import Change, Edits, Position, Writing
from mirrorworld.world.plain import from_tagged, to_plain
from mirrorworld.world.ports import BlobStore, Principal, SourceConfig
from mirrorworld.world.world import World

log = logging.getLogger(__name__)

SETTLE_S: Final = 0.3
"""How long declarations may go on before it is looked whether what waits can be made."""


class Living(Protocol):
    """The running world, as far as this needs it."""

    @property
    def world(self) -> World: ...
    @property
    def blobs(self) -> BlobStore | None: ...
    async def edit(self, who: Principal, edits: Edits) -> Position: ...
    def take_writing(self, who: Principal | None, writing: Writing) -> Position: ...
    async def until_durable(self, position: Position) -> None: ...


class Follower:
    """One file that a world follows.

    Args:
        path: the file.
        directory: the world's, where it is remembered what was brought in.

    Raises:
        ValueError: the file cannot be read; the message names line and column.
    """

    def __init__(self, path: Path, directory: Path) -> None:
        self.path = path
        self.text = world_yaml.read_file(path)
        self._raw = path.read_text(encoding="utf-8-sig")
        self._kept = directory / "world_file.yaml"
        self._pending = directory / "world_file_waiting.json"
        self.waiting = self._read_waiting()
        self.before: WorldText | None = None
        self.is_known = False
        """Whether the file is as it was brought in last."""
        if self._kept.exists():
            was = self._kept.read_text(encoding="utf-8")
            self.is_known = was == self._raw
            self.before = world_yaml.read_text(was, str(self._kept))

    def sources(
        self, known: Mapping[str, SourceConfig], say: Callable[[str], None]
    ) -> tuple[list[SourceConfig], list[str]]:
        """The sources of the file with their secrets, and names of those that have gone from it.

        A secret is `${NAME}`, from the environment; one that is not set there is taken from the
        source of that name as it is known here.
        """
        found: list[SourceConfig] = []
        for source in self.text.sources.values():
            try:
                found.append(config_of(source, self.path.parent, known.get(source.name)))
            except LookupError as error:
                say(f"source {source.name} is left out: {error.args[0]}")
        gone = set(self.before.sources if self.before else ()) - set(self.text.sources)
        return found, sorted(gone)

    async def start(self, living: Living, who: Principal) -> Plan:
        """Brings in what has changed in the file since the last time.

        Raises:
            ValueError: it cannot be made so; nothing was.
        """
        if self.is_known:
            return Plan(waiting=self.waiting)
        trial = living.world.structure.fork()
        found = plan(self.text, trial, str(self.path), before=self.before)
        if found.steps:
            await living.edit(who, found.edits(f"import of {self.path.name}"))
        for writing in self.text.written.values():
            if writing.twin in living.world.structure.twins:
                lost = await asyncio.to_thread(photos.keep, living.blobs, self.text, writing)
                for what, why in lost:
                    log.warning("%s: %s: %s", self.path, what, why)
                await living.until_durable(living.take_writing(who, writing))
            else:
                log.warning("%s: written %s: no such twin yet", self.path, writing.twin)
        edits = {one.edit for some in self.text.entries.values() for one in some}
        self.waiting = [*(w for w in self.waiting if w.edit in edits), *found.waiting]
        self._write()
        return found

    async def wait(
        self, living: Living, who: Principal, listeners: list[Callable[[Change], None]]
    ) -> None:
        """Says of twins what the file says, as soon as their sources have declared them."""
        grown = asyncio.Event()
        grown.set()

        def listen(change: Change) -> None:
            if isinstance(change.body, Edits):
                grown.set()

        listeners.append(listen)
        try:
            while self.waiting:
                await grown.wait()
                await asyncio.sleep(SETTLE_S)
                grown.clear()
                await self._try(living, who)
        finally:
            listeners.remove(listen)

    async def _try(self, living: Living, who: Principal) -> None:
        twins = living.world.structure.twins
        if not any(_twin_of(one) in twins for one in self.waiting):
            return
        found, trial = Plan(), living.world.structure.fork()
        for one in self.waiting:  # one that is refused must not keep the others from being made
            try:
                now = still_waiting([one], trial, str(self.path))
            except ValueError as error:
                log.warning("%s", error)
                continue
            found.steps += now.steps
            found.waiting += now.waiting
        if found.steps:
            await living.edit(who, found.edits(f"import of {self.path.name}"))
        if len(found.waiting) < len(self.waiting):
            self.waiting = found.waiting
            self._write()

    def _read_waiting(self) -> list[Placed]:
        try:
            rows: Any = json.loads(self._pending.read_text(encoding="utf-8"))
            return [Placed(from_tagged(row["edit"]), (row["line"], row["column"])) for row in rows]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("%s: %s; what waited for its twins is forgotten", self._pending, error)
            return []

    def _write(self) -> None:
        rows = [
            {"edit": to_plain(one.edit, tagged=True), "line": one.at[0], "column": one.at[1]}
            for one in self.waiting
        ]
        for path, text in ((self._pending, json.dumps(rows)), (self._kept, self._raw)):
            new = path.with_suffix(".new")
            new.write_text(text, encoding="utf-8")
            new.replace(path)


def _twin_of(one: Placed) -> str:
    relation = getattr(one.edit, "relation", None)
    return relation.source if relation is not None else str(getattr(one.edit, "twin", ""))


def config_of(
    source: SourceText,
    folder: Path,
    known: SourceConfig | None = None,
    environment: Mapping[str, str] = os.environ,
) -> SourceConfig:
    """A source of a file as it is started: paths from the file's folder, secrets filled in.

    Raises:
        LookupError: a secret is neither in the environment nor known.
    """
    options = dict(source.options)
    for name, value in options.items():
        if isinstance(value, str):
            old = None if known is None else known.options.get(name)
            value = _filled(value, environment, old if isinstance(old, str) else "")
            is_file = not value.startswith("/") and (folder / value).is_file()
            options[name] = str((folder / value).resolve()) if is_file else value
    password = _filled(source.password, environment, "" if known is None else known.password)
    url = source.url if "://" in source.url else str((folder / source.url).resolve())
    config = SourceConfig(url, source.name, options, source.username, password)
    return config if known is None else replace(config, state_dir=known.state_dir)


def _filled(value: str, environment: Mapping[str, str], known: str) -> str:
    match = VARIABLE.fullmatch(value)
    if match is None:
        return value
    if match[1] in environment:
        return environment[match[1]]
    if known:
        return known
    raise LookupError(f"{match[1]} is not set in the environment; it holds its secret")


__all__ = ["Follower", "config_of", "variable_of"]
