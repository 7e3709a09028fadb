"""What a person said of a source when they added it: its name, what it is part of, where it stands.

Its twin comes only once the source has been reached, perhaps days later and after a restart; until
then the wish is kept in a file. It then becomes an authored edit of the one who wished it, once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mirrorworld.world.changes import Change, Edit, Edits, PutName, PutPose, PutRelation
from mirrorworld.world.model import PART_OF, Pose, Relation, Text
from mirrorworld.world.structure import Structure

log = logging.getLogger(__name__)

SETTLE_S: Final = 2.0
"""How long a source that has no twin of its own name may go on declaring before its topmost twin
is taken for it."""
WISHES_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wished of a source's topmost twin."""

    source: str
    by: str
    """Who wished it; it was asked whether they may edit."""
    name: str = ""
    language: str = ""
    part_of: str = ""
    pose: Pose | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wished."""
        return not self.name and not self.part_of and self.pose is None


def roots(structure: Structure, source: str) -> list[str]:
    """The topmost twins of a source: the one of its name, else those that are part of none."""
    if source in structure.twins:
        return [source]
    below = f"{source}/"
    own = [twin for twin in structure.twins if twin.startswith(below)]
    return [
        twin
        for twin in own
        if not any(
            r.kind == PART_OF and r.target.startswith(below) for r in structure.relations_from(twin)
        )
    ]


def edits_of(structure: Structure, wish: Wish, twin: str) -> Edits:
    """A wish as edits. A name goes to the one topmost twin; a parent that has gone is left out."""
    edits: list[Edit] = []
    if wish.name:
        edits.append(PutName(twin, Text.of(wish.name, wish.language)))
    if wish.pose is not None:
        edits.append(PutPose(twin, wish.pose, structure.twins[twin].geometry))
    if wish.part_of in structure.twins and wish.part_of != twin:
        edits.append(PutRelation(Relation(PART_OF, twin, wish.part_of)))
    return Edits(tuple(edits), "added from what was discovered")


class Placing:
    """Wishes that wait for their twins.

    Args:
        structure: gives the world's structure.
        listeners: where to hear of changes (`Pipeline.listeners`).
        edit: makes an edit in a person's name.
        file: where wishes are kept; None: nowhere.
    """

    def __init__(
        self,
        structure: Callable[[], Structure],
        listeners: list[Callable[[Change], None]],
        edit: Callable[[str, Edits], Coroutine[Any, Any, object]],
        file: Path | None,
        *,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._structure = structure
        self._listeners = listeners
        self._edit = edit
        self._file = file
        self._settle_s = settle_s
        self._wishes = self._read()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to watch for twins."""
        self._listeners.append(self._hear)
        self._woken.set()
        self._task = asyncio.create_task(self._watch(), name="placing")

    async def stop(self) -> None:
        """Ends it; wishes stay in the file."""
        if self._task is None:
            return
        self._listeners.remove(self._hear)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    @property
    def waiting(self) -> list[Wish]:
        """Wishes whose twins have not come yet."""
        return list(self._wishes.values())

    def wish(self, wish: Wish) -> None:
        """Keeps a wish until its twin is there; a later one of the same source replaces it."""
        if wish.is_empty:
            return
        if len(self._wishes) >= WISHES_MAX and wish.source not in self._wishes:
            raise ValueError(f"{WISHES_MAX} sources wait to be placed already; remove some first")
        self._wishes[wish.source] = wish
        self._write()
        self._woken.set()

    def forget(self, source: str) -> None:
        """The source was removed before its twin came."""
        if self._wishes.pop(source, None) is not None:
            self._write()

    def _hear(self, change: Change) -> None:
        if self._wishes and isinstance(change.body, Edits):
            self._woken.set()

    async def _watch(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            is_waiting = False
            for wish in list(self._wishes.values()):
                found = roots(self._structure(), wish.source)
                if found and found != [wish.source]:
                    is_waiting = True
                elif found:
                    await self._fulfil(wish, found[0])
            if is_waiting:
                await asyncio.sleep(self._settle_s)
                for wish in list(self._wishes.values()):
                    if len(found := roots(self._structure(), wish.source)) == 1:
                        await self._fulfil(wish, found[0])

    async def _fulfil(self, wish: Wish, twin: str) -> None:
        edits = edits_of(self._structure(), wish, twin)
        try:
            if edits.edits:
                await self._edit(wish.by, edits)
        except (PermissionError, ValueError) as error:
            log.warning("%s could not be named and placed as wished: %s", twin, error)
        if self._wishes.get(wish.source) is wish:
            self.forget(wish.source)

    def _read(self) -> dict[str, Wish]:
        if self._file is None or not self._file.exists():
            return {}
        try:
            rows: Any = json.loads(self._file.read_text(encoding="utf-8"))
            wishes = [
                Wish(**{**row, "pose": Pose(**row["pose"]) if row["pose"] else None})
                for row in rows
            ]
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("%s: %s; sources are not named and placed as wished", self._file, error)
            return {}
        return {wish.source: wish for wish in wishes[:WISHES_MAX]}

    def _write(self) -> None:
        if self._file is None:
            return
        new = self._file.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump([asdict(w) for w in self._wishes.values()], file, indent=1)
        new.replace(self._file)
