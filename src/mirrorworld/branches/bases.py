"""Worlds at a fork: from the parent's record, from what is kept with a branch, or put together of
the structure of now and the values of a time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

import numpy as np

from mirrorworld.branches import kept
from mirrorworld.record.files import Files
from mirrorworld.record.keyframes import Keyframes
from mirrorworld.world.changes import Position
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Record
from mirrorworld.world.world import Snapshot, World

HEAP_POINTS_MAX: Final = 20_000
"""Points of variable size that a fork at a time looks up one by one."""


def base_from(record: Record, at: Position) -> World:
    """The world that a branch left at a position."""
    return as_branch(record.as_of(at))


def base_kept(directory: Path) -> World:
    """The world at the fork that is kept with a branch."""
    snapshot = Keyframes(directory / kept.BASE, Files()).latest()
    if snapshot is None:
        raise ValueError(f"{directory / kept.BASE}: holds no world; restore it from a backup")
    return as_branch(snapshot)


def as_branch(snapshot: Snapshot) -> World:
    """The world of a snapshot, with no way to a plant."""
    world = World.from_snapshot(snapshot)
    world.parent = (snapshot.world, snapshot.position)
    world.id = "fork"
    return world


def at_time(now: Snapshot, record: Record, time_ns: int) -> Snapshot:
    """The world of now with the values that were true at a time."""
    cell, source_ns, quality = record.as_of_time(time_ns)
    n = min(len(cell), len(now.cell))
    cell, source_ns, quality = cell[:n].copy(), source_ns[:n], quality[:n]
    kinds = np.array([t.kind for t in now.point_types], np.uint8)[now.point_type[:n]]
    is_known = source_ns > 0
    variable = np.flatnonzero(is_known & (kinds >= Kind.TEXT))
    if len(variable) > HEAP_POINTS_MAX:
        raise ValueError(
            f"{len(variable)} texts and arrays have to be looked up for this; at most"
            f" {HEAP_POINTS_MAX} are: branch from a position instead"
        )
    heap: dict[int, bytes] = {}
    for handle in variable.tolist():
        series = record.read(handle, int(source_ns[handle]), int(source_ns[handle]) + 1)
        if len(series.cell):
            at = int(series.cell[-1])
            heap[handle] = series.heap[at >> 32 : (at >> 32) + (at & 0xFFFF_FFFF)]
    never = World("none").state
    never.grow(n)
    bare = never.read(np.arange(n, dtype=np.uint32))
    return dataclasses.replace(
        now,
        cell=np.where(is_known, cell, bare.cell),
        quality=np.where(is_known, quality, bare.quality).astype(np.uint32),
        source_ns=np.where(is_known, source_ns, bare.source_ns),
        received_ns=np.where(is_known, source_ns, bare.received_ns),
        changed=np.where(is_known, np.minimum(now.changed[:n], now.position.sequence), -1),
        origin=now.origin[:n],
        point_twin=now.point_twin[:n],
        point_type=now.point_type[:n],
        heap=heap,
        events=(),
        commands=(),
    )
