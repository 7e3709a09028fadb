"""A world that lives: opened from its record, fed by its sources, thought over by its models."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from mirrorworld.live.commands import CommandRoad
from mirrorworld.live.guard import MODEL, RoleGuard
from mirrorworld.live.pipeline import Pipeline
from mirrorworld.live.sources import ConnectorClass, Sources
from mirrorworld.world.changes import Command, Edits, Event, Position
from mirrorworld.world.ports import Action, Guard, Model, Principal, Record
from mirrorworld.world.world import Snapshot, World

log = logging.getLogger(__name__)

MODEL_STEP_S: Final = 0.5


def load(record: Record, world_id: str, epoch: int) -> World:
    """The world that a record adds up to, at the start of a new epoch."""
    world = World(world_id)
    for entry in record.replay():
        if isinstance(entry, Snapshot):
            world = World.from_snapshot(entry)
        else:
            world.replay(entry)
    if epoch > world.epoch:
        world.begin_epoch(epoch)
    return world


class Mirror:
    """One open world with all that moves it. Make it, `start` it on a loop, `stop` it.

    Attributes:
        world, record, guard: the world, its record and who may do what.
        pipeline: the one road in.
        sources: the running connectors.
        commands: the command road.
    """

    def __init__(
        self,
        world: World,
        record: Record,
        schemes: Mapping[str, ConnectorClass],
        *,
        guard: Guard | None = None,
        models: Iterable[Model] = (),
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.guard = guard if guard is not None else RoleGuard()
        self.pipeline = Pipeline(world, record, self.guard, now_ns=now_ns)
        self.sources = Sources(self.pipeline, schemes)
        self.commands = CommandRoad(self.pipeline, self.sources)
        self.models = list(models)
        self._thinker: asyncio.Task[None] | None = None

    @property
    def world(self) -> World:
        """The world itself. Only the loop may touch it."""
        return self.pipeline.world

    @property
    def record(self) -> Record:
        """Its past."""
        return self.pipeline.record

    @property
    def durable(self) -> Position:
        """Up to where everything is on disk."""
        return self.pipeline.durable

    def now_ns(self) -> int:
        """The clock that it lives by."""
        return self.pipeline.now_ns()

    async def start(self) -> None:
        """Starts committing, ends interrupted commands, starts the models."""
        self.pipeline.start()
        await self.commands.start()
        if self.models:
            self._thinker = asyncio.create_task(self._think_for_ever(), name="models")

    async def stop(self) -> None:
        """Stops sources and models, commits, and lets go of the record."""
        await self.sources.stop()
        await self.commands.stop()
        if self._thinker is not None:
            self._thinker.cancel()
            await asyncio.gather(self._thinker, return_exceptions=True)
        await self.pipeline.stop()

    async def edit(self, who: Principal, edits: Edits) -> Position:
        """Makes authored edits; returns where they stand, durable.

        Raises:
            Refused: the guard said no (arming needs more than editing).
            ValueError: an edit was refused, and none was made.
        """
        arming = any(type(e).__name__ in ("Arm", "Disarm") for e in edits.edits)
        action = Action.ARM if arming else Action.EDIT
        applied = await self.pipeline.submit(who, action, edits)
        placed = applied.change.position if applied.change is not None else None
        return placed if placed is not None else self.world.position

    async def command(
        self,
        who: Principal,
        command: Command,
        *,
        unit: str = "",
        is_confirmed: bool = False,
        wait: bool = False,
    ) -> Command:
        """Asks for a command; see `CommandRoad.request`."""
        return await self.commands.request(
            who, command, unit=unit, is_confirmed=is_confirmed, wait=wait
        )

    async def acknowledge(self, who: Principal, event_id: str) -> Event:
        """Notes that a person has seen an event; KeyError if there is none of that id."""
        event = self.world.events.get(event_id)
        if event is None:
            raise KeyError(f"no event '{event_id}'")
        seen = dataclasses.replace(event, is_acknowledged=True)
        await self.pipeline.submit(who, Action.ACKNOWLEDGE, seen)
        return seen

    async def _think_for_ever(self) -> None:
        """Lets each model add its changes. A model that fails is reported and left out."""
        while self.models and self.pipeline.failure is None:
            await asyncio.sleep(MODEL_STEP_S)
            for model in list(self.models):
                who = Principal(model.name, frozenset({MODEL}))
                try:
                    for change in model.step(self.world, self.now_ns()):
                        self.pipeline.ask(who, Action.DECLARE, getattr(change.body, "twin", ""))
                        self.pipeline.apply(change)
                except Exception:
                    log.exception("model %s failed and is left out", model.name)
                    self.models.remove(model)
