"""A world that lives: opened from its record, fed by its sources, thought over by its models."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from mirrorworld.live import door, sheets
from mirrorworld.live.commands import CommandRoad
from mirrorworld.live.discovered import Discovered
from mirrorworld.live.guard import MODEL, RoleGuard
from mirrorworld.live.pipeline import Pipeline
from mirrorworld.live.sources import ConnectorClass, Source, Sources, name_of
from mirrorworld.rules import lifecycle
from mirrorworld.world.changes import (
    Change,
    Command,
    Edits,
    Event,
    Origin,
    OriginKind,
    Position,
    Writing,
)
from mirrorworld.world.hooks import ReceivesHooks
from mirrorworld.world.model import Property
from mirrorworld.world.ports import (
    Action,
    BlobStore,
    ConnectorAbout,
    Finding,
    Guard,
    KeepsConditions,
    Model,
    Principal,
    Record,
    SourceConfig,
)
from mirrorworld.world.world import World

log = logging.getLogger(__name__)

MODEL_STEP_S: Final = 0.1


class Mirror:
    """One open world with all that moves it. Make it, `start` it on a loop, `stop` it.

    Attributes:
        world, record, guard: the world, its record and who may do what.
        pipeline: the one road in.
        feeds: the running connectors.
        road: the command road.
        on_sources: called after a source was added or removed, to remember it.
        around: what could be mirrored besides; None: nobody looks.
        blobs: where files lie that people attach; None: nowhere.
    """

    def __init__(
        self,
        world: World,
        record: Record,
        schemes: Mapping[str, ConnectorClass],
        *,
        guard: Guard | None = None,
        models: Iterable[Model] = (),
        blobs: BlobStore | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.guard = guard if guard is not None else RoleGuard()
        self.pipeline = Pipeline(world, record, self.guard, now_ns=now_ns)
        self.feeds = Sources(self.pipeline, schemes)
        self.road = CommandRoad(self.pipeline, self.feeds)
        self.on_sources: Callable[[], None] = lambda: None
        self.state_dir: Path | None = None
        self.around: Discovered | None = None
        self.models = list(models)
        self.blobs = blobs
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
        await self.road.start()
        if self.models:
            self._thinker = asyncio.create_task(self._think_for_ever(), name="models")

    async def stop(self) -> None:
        """Stops sources and models, commits, and lets go of the record."""
        await self.feeds.stop()
        await self.road.stop()
        if self._thinker is not None:
            self._thinker.cancel()
            await asyncio.gather(self._thinker, return_exceptions=True)
        await self.pipeline.stop()

    async def edit(
        self, who: Principal, edits: Edits, based_on: Sequence[sheets.Known] = ()
    ) -> Position:
        """Makes authored edits; returns where they stand, durable.

        Args:
            based_on: sheets as their author knew them; were they changed since, nothing is done.

        Raises:
            Refused: the guard said no (arming needs more than editing).
            ValueError: an edit was refused, and none was made.
            ChangedMeanwhileError: somebody has changed a sheet of `based_on`.
        """
        position = self.take_edits(who, edits, based_on)
        await self.pipeline.until_durable(position.sequence)
        return position

    def take_edits(
        self, who: Principal, edits: Edits, based_on: Sequence[sheets.Known] = ()
    ) -> Position:
        """As `edit`, at once; nobody may be told before `until_durable`."""
        arming = any(type(e).__name__ in ("Arm", "Disarm") for e in edits.edits)
        applied = self.pipeline.take(
            who,
            Action.ARM if arming else Action.EDIT,
            edits,
            check=lambda: door.check(edits, self.world.structure, based_on),
        )
        placed = applied.change.position if applied.change is not None else None
        return placed if placed is not None else self.world.position

    def take_writing(self, who: Principal | None, writing: Writing) -> Position:
        """Keeps an update of a twin's document, which its room has read; None: nobody says it
        anew, it only gathers what was said. Nobody may be told before `until_durable`.

        Raises:
            Refused: the guard said no.
            ValueError: there is no such twin.
        """
        if who is not None:
            applied = self.pipeline.take(who, Action.WRITE, writing)
        else:
            origin = Origin(OriginKind.INFERRED, "authoring")
            applied = self.pipeline.apply(Change(writing, origin, self.now_ns()))
        placed = applied.change.position if applied.change is not None else None
        return placed if placed is not None else self.world.position

    async def until_durable(self, position: Position) -> None:
        """Returns when everything up to a position is on disk; OSError if it cannot be."""
        await self.pipeline.until_durable(position.sequence)

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
        return await self.road.request(
            who, command, unit=unit, is_confirmed=is_confirmed, wait=wait
        )

    async def acknowledge(self, who: Principal, event_id: str, comment: str = "") -> Event:
        """Notes that a person has seen an event.

        Raises:
            KeyError: there is none of that id.
            SourceError: its source keeps the condition and did not take the acknowledgement.
        """
        event = self.world.events.get(event_id)
        if event is None:
            raise KeyError(f"no event '{event_id}'")
        said = (Property("comment", comment), Property("acknowledged_by", who.id))
        kept = tuple(p for p in event.properties if p.name not in ("comment", "acknowledged_by"))
        keeper = self._keeper(event)
        # A condition that its source keeps stays as it is until the source says that it is
        # acknowledged; here is noted who has asked, before the source is told.
        seen = dataclasses.replace(
            event,
            is_acknowledged=event.is_acknowledged or keeper is None,
            is_latched=event.is_latched and keeper is not None,
            properties=(*kept, *(p for p in said if p.value)),
        )
        await self.pipeline.submit(who, Action.ACKNOWLEDGE, seen)
        if keeper is not None:
            await keeper.acknowledge(seen, comment)
        return seen

    async def tell(self, who: Principal, event: Event) -> Event:
        """Notes what a person says happened; it is durable when this returns.

        Raises:
            Refused: the guard said no.
        """
        await self.pipeline.submit(who, Action.ACKNOWLEDGE, event)
        return event

    async def set_aside(
        self,
        who: Principal,
        event_id: str,
        *,
        shelved_until_ns: int | None = None,
        is_out_of_service: bool | None = None,
        reason: str = "",
    ) -> Event:
        """Shelves an alarm, takes it out of service, or puts it back (time 0, False).

        Raises:
            KeyError: there is none of that id.
            ValueError: it cannot be shelved for so long.
        """
        event = self.world.events.get(event_id)
        if event is None:
            raise KeyError(f"no event '{event_id}'")
        action, aside = Action.ACKNOWLEDGE, event
        if shelved_until_ns is not None:
            aside = (
                lifecycle.shelved(event, shelved_until_ns, who.id, reason, self.now_ns())
                if shelved_until_ns
                else lifecycle.unshelved(event, who.id)
            )
        if is_out_of_service is not None:
            action = Action.EDIT  # until further notice: that is the engineer's to say
            aside = (
                lifecycle.out_of_service(aside, who.id, reason)
                if is_out_of_service
                else lifecycle.in_service(aside, who.id)
            )
        await self.pipeline.submit(who, action, aside)
        return aside

    def _keeper(self, event: Event) -> KeepsConditions | None:
        """The connector whose source keeps a condition itself and has to be told, if one does."""
        source = self.feeds.of_twin(event.twin)
        connector = source.connector if source is not None else None
        if isinstance(connector, KeepsConditions) and connector.keeps_condition(event.id):
            return connector
        return None

    # --- sources ---

    def sources(self) -> list[Source]:
        """All sources of the world and how they stand."""
        return list(self.feeds)

    def hook(self, name: str) -> ReceivesHooks | None:
        """The source that takes webhooks by this name; None: none does."""
        for source in self.feeds:
            connector = source.connector
            if isinstance(connector, ReceivesHooks) and connector.hook == name:
                return connector
        return None

    async def add_source(self, who: Principal, config: SourceConfig) -> Source:
        """Mirrors a source from now on. An empty name is made from the URL."""
        self.pipeline.ask(who, Action.ADMINISTER, config.name or config.url)
        source = self.feeds.add(self.named(config))
        self.on_sources()
        return source

    async def discover(self, who: Principal, config: SourceConfig) -> Sequence[Finding]:
        """Looks at a source and declares nothing."""
        self.pipeline.ask(who, Action.ADMINISTER, config.name or config.url)
        return await self.feeds.discover(self.named(config))

    async def trust(self, who: Principal, source: str, fingerprint: str) -> Source:
        """Trusts a certificate that the source asks about, and tries it again."""
        self.pipeline.ask(who, Action.ADMINISTER, source)
        return await self.feeds.trust(source, fingerprint)

    async def remove_source(self, who: Principal, source: str) -> None:
        """Mirrors it no longer. Its twins and their past stay."""
        self.pipeline.ask(who, Action.ADMINISTER, source)
        await self.feeds.remove(source)
        if self.around is not None:
            self.around.placing.forget(source)
        self.on_sources()

    def connectors(self) -> list[tuple[list[str], ConnectorAbout]]:
        """The connectors that are installed: their schemes, and what a person is told of them."""
        return self.feeds.connectors()

    def named(self, config: SourceConfig) -> SourceConfig:
        """The configuration with a name, and with a place to remember things in."""
        taken = frozenset(source.name for source in self.feeds)
        name = config.name or name_of(config.url, taken)
        directory = config.state_dir
        if directory is None and self.state_dir is not None:
            directory = self.state_dir / name
        return dataclasses.replace(config, name=name, state_dir=directory)

    # --- what others show of it ---

    @property
    def queues(self) -> dict[str, tuple[int, int]]:
        """Of each bounded queue: how full it is, and its limit."""
        return {"rows_not_durable": (self.pipeline.pending_rows, self.pipeline.pending_rows_max)}

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
