"""What people decide about the things around a world: adding them, or not hearing of them again.

What was ignored is remembered in one file by the thing's address. A thing that is added is named
and placed as soon as its twin is there (`placing.py`). What is around is `sightings.py`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from mirrorworld.live.guard import OWNER, principal
from mirrorworld.live.pipeline import Pipeline
from mirrorworld.live.placing import Placing, Wish
from mirrorworld.live.sightings import Entry, Sightings, short_name
from mirrorworld.live.sources import Source, Sources
from mirrorworld.world.changes import Edits, Position
from mirrorworld.world.model import Pose, Text
from mirrorworld.world.ports import (
    Action,
    Finder,
    Finding,
    Principal,
    Reach,
    SourceConfig,
    SourceError,
)
from mirrorworld.world.world import World

log = logging.getLogger(__name__)

IGNORED_MAX: Final = 5_000
PREVIEW_S: Final = 20.0
PREVIEW_TWINS: Final = 200


class Mirroring(Protocol):
    """What this needs of the running world."""

    pipeline: Pipeline
    feeds: Sources

    @property
    def world(self) -> World: ...
    def now_ns(self) -> int: ...
    async def add_source(self, who: Principal, config: SourceConfig) -> Source: ...
    async def discover(self, who: Principal, config: SourceConfig) -> Sequence[Finding]: ...
    async def edit(self, who: Principal, edits: Edits) -> Position: ...


class Discovered(Sightings):
    """The list of what is around one world, and what was decided about it.

    Args:
        mirror: the running world.
        finders: what looks.
        file: where what is ignored is remembered; None: nowhere.
        placing_file: where names and places are kept until their twins are there.
        inbox: where recordings are dropped.
        reach: how far may be looked.
    """

    def __init__(
        self,
        mirror: Mirroring,
        finders: Sequence[Finder],
        *,
        file: Path | None = None,
        placing_file: Path | None = None,
        inbox: Path | None = None,
        reach: Reach = Reach.NETWORK,
    ) -> None:
        super().__init__(
            finders,
            lambda: [source.config for source in mirror.feeds],
            mirror.now_ns,
            inbox=inbox,
            reach=reach,
        )
        self._mirror = mirror
        self._file = file
        self.ignored = self._read()
        self.placing = Placing(
            lambda: mirror.world.structure,
            mirror.pipeline.listeners,
            lambda by, edits: mirror.edit(principal(by, OWNER), edits),
            placing_file,
        )

    def start(self) -> None:
        """Lets the finders look, if they may look at all, and waits for twins to place."""
        self.placing.start()
        super().start()

    async def stop(self) -> None:
        """Ends it all."""
        await super().stop()
        await self.placing.stop()

    def ignore(self, key: str, *, is_ignored: bool = True) -> Entry:
        """Remembers that nobody wants to hear of it, or that they do again."""
        entry = self.get(key)
        if is_ignored:
            if len(self.ignored) >= IGNORED_MAX:
                self.ignored.pop(next(iter(self.ignored)))
            self.ignored[key] = entry.best.name
        else:
            self.ignored.pop(key, None)
        self._write()
        return self.get(key)

    async def preview(self, who: Principal, key: str, config: SourceConfig) -> Sequence[Finding]:
        """What it would be mirrored as. The first moment at which it is connected to.

        Raises:
            SourceError: it cannot be looked at, or not within `PREVIEW_S`.
        """
        asked = self.config(key, config)
        try:
            async with asyncio.timeout(PREVIEW_S):
                return (await self._mirror.discover(who, asked))[:PREVIEW_TWINS]
        except TimeoutError:
            raise SourceError(
                f"{asked.url}: did not answer within {PREVIEW_S:.0f} s; it can be added all the"
                " same, and is then tried again and again"
            ) from None

    async def add(
        self,
        who: Principal,
        key: str,
        config: SourceConfig,
        name: Text = Text(),  # noqa: B008 - it is frozen
        part_of: str = "",
        pose: Pose | None = None,
    ) -> Source:
        """Mirrors it from now on; its topmost twin is named and placed as soon as it is there.

        Raises:
            SourceError: the address or an option cannot be used.
            KeyError: there is no twin `part_of`.
        """
        twins = self._mirror.world.structure.twins
        if part_of and part_of not in twins:
            raise KeyError(f"no twin '{part_of[:200]}' that it could be part of")
        asked = self.config(key, config)
        language, said = name.by_language[0] if name.by_language else ("", "")
        wish = Wish(asked.name, who.id, said, language, part_of, pose)
        if not wish.is_empty:
            self._mirror.pipeline.ask(who, Action.EDIT, part_of or asked.name)
        source = await self._mirror.add_source(who, asked)
        self.placing.wish(wish)
        self.ignored.pop(key, None)
        self._write()
        return source

    def config(self, key: str, given: SourceConfig) -> SourceConfig:
        """What a source would be told: the sighting's address and options, and what a person
        adds to it. A person's address counts only where the sighting has none.

        Raises:
            SourceError: it needs an address that only a person can give.
        """
        entry = self.get(key)
        url = entry.url or given.url
        if not url:
            raise SourceError(
                f"{entry.best.name}: it does not say how it is reached; give its address"
            )
        taken = frozenset(source.name for source in self._mirror.feeds)
        name = given.name or short_name(entry.best.name, url, taken)
        return dataclasses.replace(
            given, url=url, name=name, options={**dict(entry.best.options), **given.options}
        )

    def _read(self) -> dict[str, str]:
        if self._file is None:
            return {}
        try:
            kept: Any = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(k): str(v) for k, v in kept["ignored"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("%s: %s; what was ignored shows itself again", self._file, error)
            return {}

    def _write(self) -> None:
        if self._file is None:
            return
        new = self._file.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"ignored": self.ignored}, file, indent=1, ensure_ascii=False)
        new.replace(self._file)
