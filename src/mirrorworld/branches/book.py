"""All branches of a world: made, found, opened when they are wanted, and let go.

Heads are read at the start; a branch itself is opened when somebody looks at it or changes it.
Branches of the same moment share what their parent had then.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from mirrorworld.branches import kept
from mirrorworld.branches.bases import as_branch, at_time, base_from, base_kept
from mirrorworld.branches.branch import Branch
from mirrorworld.branches.files import taken, written
from mirrorworld.branches.heads import Heads
from mirrorworld.branches.kept import Head
from mirrorworld.branches.past import BranchRecord
from mirrorworld.protocol.branches import RunState
from mirrorworld.record.files import Files
from mirrorworld.record.keyframes import Keyframes
from mirrorworld.world.changes import Position
from mirrorworld.world.ports import Record
from mirrorworld.world.world import Snapshot, World

if TYPE_CHECKING:
    from mirrorworld.server.mirrored import Mirrored

T = TypeVar("T")

BRANCHES_MAX: Final = 2_000
OPEN_LOGS_MAX: Final = 64
"""Logs that are held open for writing; each is a file."""
NAME_MAX: Final = 200
NOTE_MAX: Final = 10_000


@dataclasses.dataclass(slots=True)
class Entry:
    """A branch, open or not."""

    head: Head
    directory: Path
    problem: str = ""
    opened: Branch | None = None
    run: RunState | None = None
    changes: int = -1
    """How many people made; -1: not known before it is opened."""
    opening: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    record: Record | None = None

    @property
    def parent_at(self) -> tuple[str, str]:
        """What it is a fork of."""
        return self.head.parent, self.head.at


class Branches:
    """The branches of one world. Lives on the loop that owns the world."""

    def __init__(
        self,
        mirror: Mirrored,
        directory: Path,
        *,
        fork: Callable[[str], World] | None = None,
        branches_max: int = BRANCHES_MAX,
    ) -> None:
        """Reads what is kept.

        Args:
            directory: `branches` of the world.
            fork: gives the live world's fork; None: it shares pages with it, so both have to be
                changed on one thread.
        """
        self.mirror, self.directory, self.branches_max = mirror, directory, branches_max
        self.entries: dict[str, Entry] = {}
        self._fork = fork or mirror.world.branch
        self._bases: weakref.WeakValueDictionary[tuple[str, str], World] = (
            weakref.WeakValueDictionary()
        )
        self._disk = ThreadPoolExecutor(2, "mirrorworld-branches")
        self._writing: dict[str, Branch] = {}
        self._heads = Heads(directory)
        self._read()

    def _read(self) -> None:
        if not self.directory.is_dir():
            return
        for path in sorted(self.directory.iterdir()):
            if not kept.ID.fullmatch(path.name):
                continue
            try:
                head = kept.read_head(path)
                entry = Entry(head, path, run=kept.read_run(path))
            except FileNotFoundError:
                shutil.rmtree(path, ignore_errors=True)  # it was never said to be there
                continue
            except (ValueError, OSError) as error:
                head = Head(path.name, path.name, "", "", "0:0", 0, 0, "")
                entry = Entry(head, path, str(error))
            if entry.run is not None and entry.run.state in ("starting", "running", "paused"):
                entry.run = dataclasses.replace(
                    entry.run, state="failed", detail="the world was stopped while it ran; run on"
                )
            self.entries[path.name] = entry
        self.entries = dict(sorted(self.entries.items(), key=lambda e: e[1].head.made_ns))

    # --- finding ---

    def __iter__(self) -> Iterator[Entry]:
        """Latest first."""
        return reversed(self.entries.values())

    def entry(self, branch_id: str) -> Entry:
        """The branch of an id; KeyError if there is none."""
        try:
            return self.entries[branch_id]
        except KeyError:
            raise KeyError(f"there is no branch '{branch_id[:100]}'") from None

    async def opened(self, branch_id: str) -> Branch:
        """A branch, open.

        Raises:
            KeyError: there is none.
            ValueError: it cannot be opened; the message says why.
        """
        entry = self.entry(branch_id)
        if entry.problem:
            raise ValueError(f"{entry.head.name}: {entry.problem}")
        async with entry.opening:
            branch = entry.opened
            if branch is not None and branch.failure is None:
                return branch
            base = await self._base(entry)
            branch = await self.do(Branch, entry.directory, entry.head, base)
            if entry.run is not None:
                branch.clock_ns = max(branch.clock_ns, entry.run.now_ns)
            entry.opened, entry.changes = branch, len(branch.made)
            entry.record = self._record(branch)
            return branch

    def record_of(self, branch_id: str) -> Record:
        """The past of a branch that is open, or (empty id) of the live world."""
        if not branch_id:
            return self.mirror.record
        entry = self.entries.get(branch_id)
        if entry is None or entry.record is None:
            raise LookupError(f"the branch {branch_id} that this one was made from is not there")
        return entry.record

    def _record(self, branch: Branch) -> Record:
        parent = branch.head.parent
        return BranchRecord(branch, lambda: self.record_of(parent))

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs work that waits for the disk in one of few threads."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)

    # --- forking ---

    async def make(
        self,
        *,
        name: str,
        author: str,
        parent: str = "",
        at: Position | None = None,
        time_ns: int | None = None,
        is_shared: bool = False,
        note: str = "",
    ) -> Branch:
        """A new branch, durable.

        Args:
            parent: id of a branch; empty: the live world.
            at: where in the parent, as it was known then; None: now.
            time_ns: what was true then by the sources' clocks, as it is known now, with the
                structure of now.

        Raises:
            KeyError: there is no such parent.
            LookupError: the parent's record does not reach back that far.
            ValueError: there are too many branches, or the position is not written yet.
        """
        check_words(name, note)
        self._check_room()
        branch_id = f"b-{secrets.token_hex(6)}"
        base, snapshot, at_ns = await self._fork_of(parent, at, time_ns)
        head = Head(
            branch_id, name, author, parent, str(base.position), at_ns, time.time_ns(),
            secrets.token_hex(16), is_shared, note, has_base=snapshot is not None,
        )  # fmt: skip
        directory = self.directory / branch_id
        if not parent:
            # What the fork shows has to outlast a crash, as it does in the world itself.
            await self.mirror.until_durable(base.position)
        await self.do(_put_down, self._heads, directory, head, snapshot)
        entry = Entry(head, directory, changes=0)
        branch = entry.opened = Branch(directory, head, base)
        entry.record = self._record(branch)
        self.entries[branch_id] = entry
        return branch

    async def _fork_of(
        self, parent: str, at: Position | None, time_ns: int | None
    ) -> tuple[World, Snapshot | None, int]:
        """(the parent as it was, that as a snapshot if it cannot be had again, the time there)."""
        live = await self.opened(parent) if parent else None
        world = self.mirror.world if live is None else live.world
        now_ns = self.mirror.now_ns() if live is None else live.clock_ns
        if time_ns is not None:
            record = self.record_of(parent)
            snapshot = await self.do(at_time, world.snapshot(), record, time_ns)
            return await self.do(as_branch, snapshot), snapshot, time_ns
        if at is None or at.sequence == world.position.sequence:
            return self._base_now(parent, world), None, now_ns
        if at.sequence > world.position.sequence:
            raise ValueError(f"position {at} is not written yet; the latest is {world.position}")
        base = await self._base_at(parent, at)
        known = base.read(np.arange(base.n_points, dtype=np.uint32))
        received = known.received_ns[known.changed >= 0]
        at_ns = int(received.max()) if len(received) else now_ns
        return base, None, at_ns

    def _base_now(self, parent: str, world: World) -> World:
        key = (parent, str(world.position))
        base = self._bases.get(key)
        if base is None:
            base = world.branch("fork") if parent else self._fork("fork")
            self._bases[key] = base
        return base

    async def _base_at(self, parent: str, at: Position) -> World:
        key = (parent, str(at))
        base = self._bases.get(key)
        if base is None:
            base = await self.do(base_from, self.record_of(parent), at)
            self._bases[key] = base
        return base

    async def _base(self, entry: Entry) -> World:
        head = entry.head
        if head.has_base:
            return await self.do(base_kept, entry.directory)
        if head.parent:
            await self.opened(head.parent)
        return await self._base_at(head.parent, Position.parse(head.at))

    async def export(self, branch_id: str, target: Path) -> None:
        """Writes a branch, as it is, to one file."""
        branch = await self.opened(branch_id)
        if branch.is_ready and branch_id in self._writing:
            await self.do(branch.commit)
        await self.do(written, branch, self.mirror.world.id, target)

    async def import_(self, source: Path, author: str) -> Branch:
        """A new branch from a file; ValueError where it is none of this world."""
        self._check_room()
        head, branch = await self.do(
            taken, source, self.directory, self.mirror.world.id, author
        )  # fmt: skip
        entry = Entry(head, branch.directory, opened=branch, changes=len(branch.made))
        entry.record = self._record(branch)
        self.entries[head.id] = entry
        return branch

    def _check_room(self) -> None:
        if len(self.entries) >= self.branches_max:
            raise ValueError(
                f"there are {len(self.entries)} branches, the most that are kept; discard some"
            )

    # --- keeping ---

    async def ready(self, branch: Branch) -> None:
        """Lets a branch take changes; the log that was written longest ago rests for it."""
        self._writing.pop(branch.head.id, None)
        await self.do(branch.get_ready)
        self._writing[branch.head.id] = branch
        while len(self._writing) > OPEN_LOGS_MAX:
            oldest = self._writing.pop(next(iter(self._writing)))
            await self.do(oldest.rest)

    async def commit(self, branch: Branch) -> Position:
        """Makes durable what was applied to a branch."""
        position = await self.do(branch.commit)
        entry = self.entries.get(branch.head.id)
        if entry is not None:
            entry.changes = len(branch.made)
        return position

    async def save(self, branch_id: str, **otherwise: Any) -> Entry:
        """Changes what the head says; durable on return."""
        entry = self.entry(branch_id)
        check_words(otherwise.get("name", "x"), otherwise.get("note", ""))
        head = dataclasses.replace(entry.head, **otherwise)
        await self.do(_write, entry.directory / kept.HEAD, head)
        entry.head = head
        if entry.opened is not None:
            entry.opened.head = head
        return entry

    async def settle(self, branch_id: str) -> None:
        """Lets another process find a branch, and what it came from, on the disk."""
        while branch_id:
            entry = self.entry(branch_id)
            path = entry.directory / kept.HEAD
            if not await self.do(path.exists):
                await self.do(_write, path, entry.head)
            branch_id = entry.head.parent

    async def save_run(self, branch_id: str, state: RunState) -> None:
        """Notes how a run stands."""
        entry = self.entry(branch_id)
        entry.run = state
        await self.do(_write, entry.directory / kept.RUN, state)

    async def discard(self, branch_id: str) -> None:
        """Ends a branch and removes what was kept of it.

        Raises:
            ValueError: others were made from it.
        """
        entry = self.entry(branch_id)
        made = [e.head.name for e in self.entries.values() if e.head.parent == branch_id]
        if made:
            raise ValueError(
                f"{entry.head.name}: {', '.join(made[:5])} came from it; discard these first"
            )
        del self.entries[branch_id]
        self._writing.pop(branch_id, None)
        branch, entry.opened = entry.opened, None

        def remove() -> None:
            # This first: what has no head is no branch, however much is still there.
            self._heads.drop(branch_id)
            if branch is not None:
                with contextlib.suppress(OSError):
                    branch.log.close()
            shutil.rmtree(entry.directory, ignore_errors=True)

        await self.do(remove)

    async def close(self) -> None:
        """Lets go of all files; what was applied is durable."""
        for branch in self._writing.values():
            with contextlib.suppress(OSError):
                await self.do(branch.rest)
        self._writing.clear()
        self._heads.close()
        self._disk.shutdown()


def check_words(name: str, note: str) -> None:
    """ValueError where a name or a note cannot be kept."""
    if not name.strip() or len(name) > NAME_MAX or any(ord(c) < 32 for c in name):
        raise ValueError(
            f"'{name[:40]}' cannot name a branch: 1 to {NAME_MAX} characters, one line"
        )
    if len(note) > NOTE_MAX:
        raise ValueError(f"a note of {len(note)} characters; at most {NOTE_MAX} are kept")


def _put_down(heads: Heads, directory: Path, head: Head, snapshot: Snapshot | None) -> None:
    if snapshot is not None:
        files = Files()
        files.make_directory(directory)
        Keyframes(directory / kept.BASE, files).write(snapshot)
    heads.put(head)


def _write(path: Path, what: Any) -> None:
    Files().make_directory(path.parent)
    kept.write(path, what)
