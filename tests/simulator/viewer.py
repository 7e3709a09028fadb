"""A viewer: keeps what it was sent, across the node's crashes, as page and client do."""

from __future__ import annotations

import asyncio
import random

import numpy as np

from mirrorworld.world.changes import Position
from mirrorworld.world.state import Columns
from mirrorworld.world.world import Subscription, World


class Viewer:
    """Adds up snapshots and deltas; what comes out must be what a fresh snapshot says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure = ""
        self.fresh = 0
        """How often it had to take a fresh snapshot."""
        self._subscription: Subscription | None = None
        self._structure: World | None = None
        self._columns: dict[str, np.ndarray] = {}
        self._cursor: Position | None = None

    def join(self, world: World) -> None:
        """Comes (again) to a world, from where it was."""
        self._subscription = world.subscribe(after=self._cursor)

    async def watch(self, chance: random.Random) -> None:
        """Reads now and then; a slow one seldom."""
        pace_s = chance.choice((0.05, 1.0, 15.0))
        while True:
            await asyncio.sleep(chance.expovariate(1 / pace_s))
            try:
                self.read()
            except Exception as error:  # the trial ends with it
                self.failure = f"{self.name} cannot follow: {type(error).__name__}: {error}"
                return

    def read(self) -> None:
        """Takes what is new."""
        subscription = self._subscription
        assert subscription is not None
        delta = subscription.read()
        if delta.changes is None:
            self.fresh += 1
            self._structure = World.from_snapshot(subscription.world.snapshot())
        else:
            assert self._structure is not None, "changes came before any snapshot"
            for change in delta.changes:
                self._structure.replay(change)
        self._cursor = delta.position
        n_points = subscription.world.n_points
        for name in Columns._fields:
            column = getattr(delta.columns, name)
            kept = self._columns.get(name)
            if kept is None or len(kept) < n_points:
                grown = np.zeros(n_points, column.dtype)
                if kept is not None:
                    grown[: len(kept)] = kept
                self._columns[name] = kept = grown
            kept[delta.handles] = column

    def differs(self) -> str:
        """In what it differs from a fresh snapshot; "" if in nothing. Reads first."""
        self.read()
        assert self._subscription is not None and self._structure is not None
        world = self._subscription.world
        fresh = world.read(np.arange(world.n_points, dtype=np.uint32))
        seen = fresh.changed >= 0
        for name in ("cell", "quality", "source_ns"):
            ours = self._columns[name][: world.n_points][seen]
            if not np.array_equal(ours, getattr(fresh, name)[seen]):
                return f"{self.name}: column {name} is not that of a fresh snapshot"
        ours_of, theirs_of = self._structure.structure, world.structure
        for name in ("types", "twins", "relations", "arms", "sheets"):
            if dict(getattr(ours_of, name)) != dict(getattr(theirs_of, name)):
                return f"{self.name}: {name} are not those of a fresh snapshot"
        if self._structure.events != world.events or self._structure.commands != world.commands:
            return f"{self.name}: events or commands are not those of a fresh snapshot"
        return ""
