"""What the server needs of the world that it serves. `live/mirror.py` offers it.

The server asks the guard before it shows anything; whoever offers this asks it again before
anything is applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from mirrorworld.world.changes import Command, Edits, Event, Position, Tally, Writing
from mirrorworld.world.hooks import ReceivesHooks
from mirrorworld.world.model import Pose, Text
from mirrorworld.world.ports import (
    BlobStore,
    ConnectorAbout,
    Finding,
    Guard,
    Link,
    Principal,
    Reach,
    Record,
    Sighting,
    SourceConfig,
)
from mirrorworld.world.world import World


class PendingTrust(Protocol):
    """A certificate that a person has to compare and trust, or not."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def detail(self) -> str: ...


class SourceStatus(Protocol):
    """One source and how it stands."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str:
        """Without user or password."""
        ...

    @property
    def kind(self) -> str:
        """What kind of connector it is."""
        ...

    @property
    def link(self) -> Link: ...
    @property
    def tally(self) -> Tally: ...
    @property
    def counts(self) -> Mapping[str, int]: ...
    @property
    def pending(self) -> Sequence[PendingTrust]: ...


class Sighted(Protocol):
    """One thing around that could be mirrored."""

    @property
    def key(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def first_ns(self) -> int: ...
    @property
    def seen_ns(self) -> int: ...
    @property
    def added_as(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def best(self) -> Sighting: ...
    @property
    def sightings(self) -> Sequence[Sighting]: ...


class Around(Protocol):
    """What is around a world and could be mirrored. KeyError where a key is unknown, SourceError
    where something cannot be looked at or added."""

    @property
    def reach(self) -> Reach: ...
    @property
    def inbox(self) -> Path | None:
        """Where recordings are dropped; None: nowhere."""
        ...

    @property
    def counts(self) -> Mapping[str, int]: ...
    @property
    def failures(self) -> Mapping[str, str]: ...
    def entries(self) -> Sequence[Sighted]: ...
    def ignore(self, key: str, *, is_ignored: bool = True) -> Sighted: ...
    def config(self, key: str, given: SourceConfig) -> SourceConfig: ...
    async def preview(
        self, who: Principal, key: str, config: SourceConfig
    ) -> Sequence[Finding]: ...
    async def add(
        self,
        who: Principal,
        key: str,
        config: SourceConfig,
        name: Text,
        part_of: str,
        pose: Pose | None,
    ) -> SourceStatus:
        """Mirrors it from now on; its topmost twin is named and placed as soon as it is there."""
        ...


class Mirrored(Protocol):
    """One open world, live.

    Its record may say in `first_ns` from which source time on there is a past, and its guard in
    `is_by_twin` that what it lets people see never depends on the twin (False).

    The methods that act raise PermissionError where the guard says no, KeyError where something
    is unknown, ValueError where the request makes no sense, OSError where the record cannot be
    written; each with a message that names the place and the mend.
    """

    @property
    def world(self) -> World: ...
    @property
    def record(self) -> Record: ...
    @property
    def guard(self) -> Guard: ...
    @property
    def durable(self) -> Position:
        """Up to where the record is on disk."""
        ...

    @property
    def queues(self) -> Mapping[str, tuple[int, int]]:
        """Of each bounded queue, by name: how full it is, and its limit."""
        ...

    @property
    def around(self) -> Around | None:
        """What could be mirrored besides; None: nobody looks."""
        ...

    @property
    def blobs(self) -> BlobStore | None:
        """Where attached files lie; None: nowhere."""
        ...

    def connectors(self) -> Sequence[tuple[Sequence[str], ConnectorAbout]]:
        """The connectors that are installed: their schemes, and what a person is told of them."""
        ...

    def now_ns(self) -> int:
        """The time by which things are received here."""
        ...

    def sources(self) -> Sequence[SourceStatus]:
        """All sources of the world."""
        ...

    def hook(self, name: str) -> ReceivesHooks | None:
        """The source that takes webhooks by this name; None: none does."""
        ...

    def take_edits(
        self, who: Principal, edits: Edits, based_on: Sequence[tuple[str, str, str | None]] = ()
    ) -> Position:
        """As `edit`, at once; nobody may be told before `until_durable`."""
        ...

    def take_writing(self, who: Principal | None, writing: Writing) -> Position:
        """Keeps an update of a twin's document; None: nobody says it anew. Nobody may be told
        before `until_durable`."""
        ...

    async def until_durable(self, position: Position) -> None:
        """Returns when everything up to a position is on disk; OSError if it cannot be."""
        ...

    async def edit(
        self, who: Principal, edits: Edits, based_on: Sequence[tuple[str, str, str | None]] = ()
    ) -> Position:
        """Applies authored edits; returns when they are durable. Nothing is done where a sheet of
        `based_on` (kind, name, body; None: there was none) is no longer so."""
        ...

    async def command(
        self, who: Principal, command: Command, *, unit: str = "", is_confirmed: bool = False
    ) -> Command:
        """Sets a command on its road; returns when the request is durable, or refused by an
        interlock (its state says so). `unit` is that of the value; "" is the point's own."""
        ...

    async def acknowledge(self, who: Principal, event_id: str, comment: str = "") -> Event:
        """Notes that a person has seen an event."""
        ...

    async def tell(self, who: Principal, event: Event) -> Event:
        """Notes what a person says happened; returns when it is durable."""
        ...

    async def set_aside(
        self,
        who: Principal,
        event_id: str,
        *,
        shelved_until_ns: int | None = None,
        is_out_of_service: bool | None = None,
        reason: str = "",
    ) -> Event:
        """Shelves an alarm, takes it out of service, or puts it back (time 0, False)."""
        ...

    async def add_source(self, who: Principal, config: SourceConfig) -> SourceStatus:
        """Mirrors a source from now on. An empty name is made from the URL."""
        ...

    async def discover(self, who: Principal, config: SourceConfig) -> Sequence[Finding]:
        """Looks at a source and declares nothing."""
        ...

    async def trust(self, who: Principal, source: str, fingerprint: str) -> SourceStatus:
        """Trusts a certificate that the source asks about, and tries it again."""
        ...

    async def remove_source(self, who: Principal, source: str) -> None:
        """Mirrors it no longer. Its twins and their past stay."""
        ...
