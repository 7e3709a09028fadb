"""The record: the durable log of a world on disk, its keyframes and its compacted past.

`open_record` is the entry. Knows the kernel and the disk; no network, and no other wing.
"""

from __future__ import annotations

from mirrorworld.record.log import Lost
from mirrorworld.record.store import (
    CorruptRecordError,
    Store,
    UnknownWorldError,
    WorldInUseError,
    open_record,
    restore,
    world_in,
)

__all__ = [
    "CorruptRecordError",
    "Lost",
    "Store",
    "UnknownWorldError",
    "WorldInUseError",
    "open_record",
    "restore",
    "world_in",
]
