"""A branch as the server sees a world: the same views, reads and edits, and no way to a plant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from mirrorworld.branches.branch import Branch
from mirrorworld.live import door
from mirrorworld.live.pipeline import twins_of
from mirrorworld.server.mirrored import Mirrored, SourceStatus
from mirrorworld.world.changes import Arm, Disarm, Edits, Position, Writing
from mirrorworld.world.ports import (
    Action,
    BlobStore,
    ConnectorAbout,
    Guard,
    Principal,
    Record,
)
from mirrorworld.world.world import World


class BranchMirror:
    """See `server/mirrored.py`. Who may see or edit a twin may do so in a branch."""

    def __init__(self, branch: Branch, record: Record, live: Mirrored) -> None:
        self.branch, self.record, self._live = branch, record, live
        self.around = None

    @property
    def world(self) -> World:
        """The branch's world."""
        return self.branch.world

    @property
    def guard(self) -> Guard:
        """The live world's: a branch gives nobody more than that."""
        return self._live.guard

    @property
    def durable(self) -> Position:
        """Up to where the branch is on disk."""
        return self.branch.durable

    @property
    def queues(self) -> Mapping[str, tuple[int, int]]:
        """None of its own: a run waits while its changes are taken."""
        return {}

    @property
    def blobs(self) -> BlobStore | None:
        """The live world's files."""
        return self._live.blobs

    def connectors(self) -> Sequence[tuple[Sequence[str], ConnectorAbout]]:
        """None."""
        return []

    def now_ns(self) -> int:
        """The branch's own clock."""
        return self.branch.clock_ns

    def sources(self) -> Sequence[SourceStatus]:
        """None: nothing is measured in a branch."""
        return []

    def hook(self, name: str) -> None:
        """None."""

    def take_edits(
        self, who: Principal, edits: Edits, based_on: Sequence[tuple[str, str, str | None]] = ()
    ) -> Position:
        """See Mirrored. The branch has to be ready."""
        for twin in sorted(twins_of(edits)) or [""]:
            self.ask(who, Action.EDIT, twin)
        for edit in edits.edits:
            if isinstance(edit, Arm | Disarm):
                self.ask(who, Action.ARM, edit.twin)
        door.check(edits, self.world.structure, based_on)
        return self.branch.author(who.id, edits)

    def ask(self, who: Principal, action: Action, twin: str) -> None:
        """PermissionError where the guard says no."""
        decision = self.guard.may(who, action, twin, "branch", self._live.now_ns())
        if not decision.allowed:
            raise PermissionError(decision.reason)

    def take_writing(self, who: Principal | None, writing: Writing) -> Position:
        """A branch has no notes of its own."""
        raise PermissionError(f"{writing.twin}: notes are of the world; leave the branch first")

    async def until_durable(self, position: Position) -> None:
        """Whoever takes edits commits them."""

    async def edit(
        self, who: Principal, edits: Edits, based_on: Sequence[tuple[str, str, str | None]] = ()
    ) -> Position:
        """Not by this way: see `take_edits`."""
        self._refuse()

    async def command(self, who: Principal, command: Any, **_: Any) -> NoReturn:
        """Refused: law 9."""
        self._refuse()

    async def acknowledge(self, who: Principal, event_id: str, comment: str = "") -> NoReturn:
        """Refused."""
        self._refuse()

    async def tell(self, who: Principal, event: Any) -> NoReturn:
        """Refused."""
        self._refuse()

    async def set_aside(self, who: Principal, event_id: str, **_: Any) -> NoReturn:
        """Refused."""
        self._refuse()

    async def add_source(self, who: Principal, config: Any) -> NoReturn:
        """Refused: nothing is measured in a branch."""
        self._refuse()

    async def discover(self, who: Principal, config: Any) -> NoReturn:
        """Refused."""
        self._refuse()

    async def trust(self, who: Principal, source: str, fingerprint: str) -> NoReturn:
        """Refused."""
        self._refuse()

    async def remove_source(self, who: Principal, source: str) -> NoReturn:
        """Refused."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise PermissionError(
            f"{self.branch.head.name} is a branch: it has no way to a plant. Make a plan of what"
            " differs in it"
        )
