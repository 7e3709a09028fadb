"""Kept mappings at work: twins that come later are named, typed, joined and placed as well.

Each new twin is looked at once, and what a person said of it already is left alone, so that
nobody's work is undone by a pattern. What is said is an authored change of the one who kept the
mapping; who that was is learnt from the change that kept it, never from what it says of itself.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mirrorworld.live.mirror import Mirror
from mirrorworld.mapping.book import KIND, Mapping, read
from mirrorworld.mapping.plan import Plan
from mirrorworld.world.changes import Change, Edits, OriginKind, PutSheet, PutTwin
from mirrorworld.world.model import Sheet
from mirrorworld.world.ports import Action, Principal

log = logging.getLogger(__name__)

SETTLE_S: Final = 1.0
"""How long is waited after a declaration, since sources declare in bursts."""
WAITING_MAX: Final = 10_000
"""Twins that wait for another to come; beyond that the oldest are given up."""


class Mapper:
    """Applies kept mappings that ask for it to new twins.

    Args:
        mirror: the world.
        author: the principal of a person by their id, as their rights are now; None: they are
            gone, and so is what they set up.
        file: what is remembered over a restart; None: nothing.
    """

    def __init__(
        self,
        mirror: Mirror,
        author: Callable[[str], Principal | None],
        file: Path | None,
        *,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._mirror, self._author, self._file = mirror, author, file
        self._settle_s = settle_s
        self._seen = mirror.world.structure.n_ordinals
        """Twins of lower ordinals have been looked at."""
        self._waiting: dict[str, None] = {}
        self._keepers: dict[str, tuple[str, str]] = {}
        """By name of the mapping: who kept it, and the digest of what they kept."""
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._read()

    def start(self) -> None:
        """Begins to watch for twins."""
        self._mirror.pipeline.listeners.append(self._hear)
        self._woken.set()  # for what came while nobody watched
        self._task = asyncio.create_task(self._watch(), name="mapper")

    async def stop(self) -> None:
        """Ends it."""
        if self._task is None:
            return
        self._mirror.pipeline.listeners.remove(self._hear)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    def _hear(self, change: Change) -> None:
        if not isinstance(change.body, Edits):
            return
        is_by_person = change.origin.kind == OriginKind.AUTHORED
        for edit in change.body.edits:
            if isinstance(edit, PutTwin):
                self._woken.set()
            elif isinstance(edit, PutSheet) and edit.sheet.kind == KIND and is_by_person:
                self._keepers[edit.sheet.name] = (change.origin.by, _digest(edit.sheet))
                self._write()

    async def _watch(self) -> None:
        while True:
            await self._woken.wait()
            await asyncio.sleep(self._settle_s)
            self._woken.clear()
            await self._look()

    async def _look(self) -> None:
        structure = self._mirror.world.structure
        end = structure.n_ordinals
        new = [twin for o in range(self._seen, end) if (twin := structure.twin_at(o)) is not None]
        asked = {twin.id: None for twin in new} | self._waiting
        if not asked:
            self._seen = end
            return
        waiting: dict[str, None] = {}
        for who, name, mapping in self._working():
            plan = functools.partial(
                Plan, structure, mapping, may_edit=functools.partial(self._may, who), only=asked
            )
            found = plan()
            for _ in found.work():
                await asyncio.sleep(0)
            if found.is_stale:  # in one go, so that what is edited is what was looked at
                found = plan().worked()
            waiting.update(dict.fromkeys(found.waiting))
            try:
                if edits := found.edits():
                    await self._mirror.edit(who, Edits(edits, f"mapping {name}"))
            except (PermissionError, ValueError) as error:
                log.warning("mapping %s could not be applied to new twins: %s", name, error)
        self._seen = end
        self._waiting = dict(list(waiting.items())[-WAITING_MAX:])
        self._write()

    def _working(self) -> list[tuple[Principal, str, Mapping]]:
        """Mappings that ask for new twins, in whose name they work."""
        found: list[tuple[Principal, str, Mapping]] = []
        for (kind, name), sheet in self._mirror.world.structure.sheets.items():
            if kind != KIND:
                continue
            try:
                mapping = read(sheet)
            except ValueError as error:
                log.warning("%s", error)
                continue
            if not mapping.new_twins:
                continue
            by, digest = self._keepers.get(name, ("", ""))
            who = self._author(by) if digest == _digest(sheet) else None
            if who is None:
                log.warning("mapping %s waits: keep it again, so that it is known by whom", name)
                continue
            found.append((who, name, dataclasses.replace(mapping, keep_said=True)))
        return found

    def _may(self, who: Principal, twin: str) -> bool:
        now_ns = self._mirror.now_ns()
        return self._mirror.guard.may(who, Action.EDIT, twin, "mapping", now_ns).allowed

    # --- what is remembered ---

    def _read(self) -> None:
        if self._file is None or not self._file.exists():
            return
        try:
            kept: Any = json.loads(self._file.read_text(encoding="utf-8"))
            self._seen = min(int(kept["seen"]), self._seen)
            self._waiting = dict.fromkeys(str(twin) for twin in kept["waiting"])
            self._keepers = {name: (by, digest) for name, (by, digest) in kept["keepers"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("%s: %s; mappings begin with twins from now on", self._file, error)

    def _write(self) -> None:
        if self._file is None:
            return
        kept = {
            "seen": self._seen,
            "waiting": list(self._waiting),
            "keepers": {name: list(keeper) for name, keeper in self._keepers.items()},
        }
        new = self._file.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(kept, file, indent=1)
        new.replace(self._file)


def _digest(sheet: Sheet) -> str:
    return hashlib.sha256(sheet.body.encode()).hexdigest()
