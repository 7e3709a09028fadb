"""A branch as another process finds it on the disk: the world at the fork from the parent's record,
opened for reading, and the branch's own log on top."""

from __future__ import annotations

from pathlib import Path

from mirrorworld.branches import kept
from mirrorworld.branches.bases import base_from, base_kept
from mirrorworld.branches.branch import Branch
from mirrorworld.branches.past import BranchRecord
from mirrorworld.record import open_record
from mirrorworld.world.changes import Position
from mirrorworld.world.ports import Record

DEPTH_MAX = 64


def rebuilt(folder: Path, record: Path, branch_id: str, depth: int = 0) -> tuple[Branch, Record]:
    """(a branch, the record of what it came from), as both are durable now.

    Args:
        folder: of all branches of the world.
        record: the world's own.

    Raises:
        LookupError: the parent no longer has what it was at the fork.
        ValueError: it is a branch of a branch of a branch too often.
    """
    if depth > DEPTH_MAX:
        raise ValueError(f"{branch_id}: branches of branches, more than {DEPTH_MAX} deep")
    directory = folder / branch_id
    head = kept.read_head(directory)
    if head.parent:
        above, beyond = rebuilt(folder, record, head.parent, depth + 1)
        parent: Record = BranchRecord(above, lambda: beyond)
    else:
        parent = open_record(record, read_only=True)
    at = Position.parse(head.at)
    base = base_kept(directory) if head.has_base else base_from(parent, at)
    return Branch(directory, head, base), parent
