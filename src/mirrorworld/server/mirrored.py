"""What the server needs of the world that it serves. `live/mirror.py` offers it.

The server asks the guard before it shows anything; whoever offers this asks it again before
anything is applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mirrorworld.world.changes import Command, Edits, Event, Position, Tally
from mirrorworld.world.ports import Finding, Guard, Link, Principal, Record, SourceConfig
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

    def now_ns(self) -> int:
        """The time by which things are received here."""
        ...

    def sources(self) -> Sequence[SourceStatus]:
        """All sources of the world."""
        ...

    async def edit(self, who: Principal, edits: Edits) -> Position:
        """Applies authored edits; returns when they are durable."""
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
