"""The branches of a world with all that goes on in them: what the routes stand on."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.branches import doors
from mirrorworld.branches.book import Branches, Entry
from mirrorworld.branches.branch import Branch
from mirrorworld.branches.evaluations import Evaluations
from mirrorworld.branches.mirrored import BranchMirror
from mirrorworld.branches.plans import Plans
from mirrorworld.branches.runs import Runs
from mirrorworld.branches.saying import person
from mirrorworld.protocol import branches as shapes
from mirrorworld.protocol.answers import near
from mirrorworld.server.context import Context
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.world.ports import Action, Principal
from mirrorworld.world.world import World

FOLDER: Final = "branches"
CONTEXTS_MAX: Final = 32
"""Branches whose views are kept ready at once."""


class Room:
    """The branches of one world, their runs and figures. Lives on the loop."""

    def __init__(
        self, mirror: Mirrored, directory: Path, *, fork: Callable[[str], World] | None = None
    ) -> None:
        """See `Branches` for `fork`."""
        self.mirror = mirror
        self.book = Branches(mirror, directory, fork=fork)
        record = getattr(mirror.record, "directory", None)
        self.runs = Runs(self.book, record)
        self.evaluations = Evaluations(self.book, record)
        self.plans = Plans(mirror, directory)
        self.models: dict[str, shapes.ModelRow] = {}
        self.evaluators: dict[str, shapes.ModelRow] = {}
        self._looked = asyncio.Lock()
        self._has_looked = False
        self._contexts: dict[str, Context] = {}

    async def start(self) -> None:
        """Ends what a restart has interrupted."""
        await self.plans.start()

    async def look(self) -> None:
        """Learns what is installed, once, in a thread: models bring large libraries with them."""
        async with self._looked:
            if not self._has_looked:
                self.models = await self.book.do(doors.installed, doors.MODELS)
                self.evaluators = await self.book.do(doors.installed, doors.EVALUATORS)
                self._has_looked = True

    async def close(self) -> None:
        """Stops what runs and lets go of all files."""
        await self.plans.close()
        await self.runs.close()
        await self.evaluations.close()
        await self.book.close()

    # --- who ---

    def may_make(self, who: Principal) -> bool:
        """Whether somebody may branch at all: who may edit the world, or a part of it."""
        if self._may(who, Action.EDIT, ""):
            return True
        return any(self._may(who, Action.EDIT, t) for t in self.mirror.world.structure.twins)

    def sees(self, who: Principal, entry: Entry) -> bool:
        """Whether somebody is shown a branch: its author, whoever it is shared with, the owner."""
        head = entry.head
        return head.is_shared or self.is_author(who, entry) or self._may(who, Action.ADMINISTER, "")

    def may_change(self, who: Principal, entry: Entry) -> bool:
        """Whether somebody may change, run, share and discard a branch."""
        is_own = self.is_author(who, entry) or self._may(who, Action.ADMINISTER, "")
        return is_own and self.may_make(who)

    def is_author(self, who: Principal, entry: Entry) -> bool:
        """Whether a branch is somebody's, or their token's."""
        return person(who.id) == entry.head.author

    def _may(self, who: Principal, action: Action, twin: str) -> bool:
        return self.mirror.guard.may(who, action, twin, "branch", self.mirror.now_ns()).allowed

    def ask(self, who: Principal, action: Action, twin: str) -> None:
        """PermissionError where the guard says no."""
        now_ns = self.mirror.now_ns()
        decision = self.mirror.guard.may(who, action, twin, "branch", now_ns)
        if not decision.allowed:
            raise PermissionError(decision.reason)

    def check_models(self, models: Iterable[shapes.AttachedModel]) -> None:
        """Lets models pass that are installed and take their options."""
        for model in models:
            row = self.models.get(model.name)
            if row is None:
                have = ", ".join(self.models) or "none"
                mend = near(model.name, self.models) or f"installed are {have}"
                raise ValueError(f"there is no model '{model.name[:100]}'; {mend}")
            doors.check(row, model.options)

    async def discard(self, branch_id: str) -> None:
        """Stops what runs of a branch and removes it."""
        await self.runs.stop(branch_id)
        await self.evaluations.forget(branch_id)
        self._contexts.pop(branch_id, None)
        await self.book.discard(branch_id)

    # --- looking ---

    async def context(self, live: Context, branch_id: str) -> Context:
        """What the server's own routes need to answer from a branch."""
        branch = await self.book.opened(branch_id)
        found = self._contexts.pop(branch_id, None)
        if found is None or found.mirror.world is not branch.world:
            record = self.book.record_of(branch_id)
            mirror = BranchMirror(branch, record, self.mirror)
            found = Context(
                mirror, live.version, live.assets, live.static_dir, ["history", "seek"],
                live.accounts, examiners=live.examiners,
            )  # fmt: skip
            found.past.close()
            found.past = live.past
        self._contexts[branch_id] = found
        while len(self._contexts) > CONTEXTS_MAX:
            idle = next((k for k, c in self._contexts.items() if not c.views.viewers), None)
            if idle is None or idle == branch_id:
                break
            del self._contexts[idle]
        return found

    @contextlib.asynccontextmanager
    async def changing(self, branch_id: str) -> AsyncIterator[Branch]:
        """A branch while a person changes it; what was applied is durable at the end."""
        branch = await self.book.opened(branch_id)
        running = self.runs.of(branch_id)
        async with running.held() if running else contextlib.nullcontext():
            await self.book.ready(branch)
            yield branch
            await self.book.commit(branch)

    def row(self, who: Principal, entry: Entry) -> shapes.Branch:
        """A branch as others are told of it."""
        head, branch = entry.head, entry.opened
        run = entry.run or shapes.RunState("idle", head.at_ns)
        return shapes.Branch(
            id=head.id,
            name=head.name,
            author=head.author,
            parent=head.parent,
            at=head.at,
            at_ns=head.at_ns,
            made_ns=head.made_ns,
            is_shared=head.is_shared,
            may_change=self.may_change(who, entry),
            note=head.note,
            position=head.at if branch is None else str(branch.world.position),
            changes=max(entry.changes, 0),
            points=0 if branch is None else branch.world.n_points,
            parameters={} if branch is None else branch.parameters(),
            models=head.models,
            run=run,
            evaluations=len(self.evaluations.of(head.id)),
            size_bytes=0 if branch is None else branch.size_bytes,
            problem=entry.problem,
        )


def changed_since_fork(branch: Branch) -> NDArray[np.uint32]:
    """The points that a branch has other values of than its parent had."""
    return branch.world.state.changed_after(branch.base.position.sequence)


_ROOMS: weakref.WeakKeyDictionary[Mirrored, Room] = weakref.WeakKeyDictionary()


def room_of(mirror: Mirrored, directory: Path | None = None) -> Room:
    """The room of a world that is served; made where there is none.

    Raises:
        ValueError: the world is kept nowhere, so neither would its branches be.
    """
    room = _ROOMS.get(mirror)
    if room is None:
        if directory is None:
            record = getattr(mirror.record, "directory", None)
            if record is None:
                raise ValueError("this world has no record on a disk, so it has no branches")
            directory = Path(record).parent / FOLDER
        room = _ROOMS[mirror] = Room(mirror, directory)
    return room


def enter(mirror: Mirrored, room: Room) -> None:
    """Lets the routes of a world find its room."""
    _ROOMS[mirror] = room
