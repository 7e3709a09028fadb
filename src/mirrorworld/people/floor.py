"""Where the people of a room are, and what of it is told to whom: near ones at once, far ones now
and then.

Frames are made once for all who stand in the same part of the room. Knows bytes and places;
refuses to know names and sockets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.protocol import poses
from mirrorworld.protocol.poses import ROW

CELL_BITS: Final = 15
"""A part of a room is 2¹⁵ mm, 33 m, wide; one is told at once of one's own and those around it."""


class Floor:
    """Poses of at most `size` people, each in a slot of its own."""

    def __init__(self, size: int) -> None:
        self._rows = np.zeros(size, ROW)
        self._has = np.zeros(size, np.uint8)
        self._id = np.zeros(size, np.uint16)
        self._heard_ms = np.zeros(size)
        self._is_here = np.zeros(size, bool)
        self._is_placed = np.zeros(size, bool)
        self._moved = np.zeros(size, bool)
        self._waiting = np.zeros(size, bool)

    def enter(self, slot: int, id: int) -> None:
        """Somebody is here; where, they have not said yet."""
        self._id[slot] = id
        self._is_here[slot] = True
        self._is_placed[slot] = False

    def leave(self, slot: int) -> None:
        """Somebody is gone."""
        for column in (self._is_here, self._is_placed, self._moved, self._waiting):
            column[slot] = False

    def take(self, slot: int, data: bytes, now_ms: float) -> None:
        """The newest pose of somebody; what it replaces was not told yet, or is told no more.

        Raises:
            ValueError: it is no pose.
        """
        self._has[slot] = poses.take_pose(data, self._rows[slot])
        self._heard_ms[slot] = now_ms
        self._is_placed[slot] = self._moved[slot] = True

    def at(self, slot: int) -> tuple[int, NDArray[np.void]] | None:
        """What somebody's newest pose has, and its row of `ROW`; None: they have told none."""
        return (int(self._has[slot]), self._rows[slot].copy()) if self._is_placed[slot] else None

    def heads(self) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
        """Ids of the n people who have said where they are; where their heads are, n × 3, mm."""
        slots = np.flatnonzero(self._is_placed)
        return self._id[slots], self._rows["place"][slots, 0]

    def whole(self, now_ms: float) -> bytes:
        """Where all are."""
        return self._frame(np.flatnonzero(self._is_placed), now_ms)

    def news(self, now_ms: float, *, is_far_too: bool) -> Iterator[tuple[bytes, NDArray[np.intp]]]:
        """Frames of who moved since the last call, and the slots of those who are told.

        Args:
            is_far_too: tells all of all who moved since this was last said.
        """
        here = np.flatnonzero(self._is_here)
        if is_far_too:
            moved = np.flatnonzero(self._moved | self._waiting)
            self._moved[:] = self._waiting[:] = False
            if len(moved):
                yield self._frame(moved, now_ms), here
            return
        moved = np.flatnonzero(self._moved)
        if not len(moved):
            return
        self._moved[:] = False
        cells = self._cells(here)
        where = self._cells(moved)
        # In a small room nobody is far from anybody.
        if (
            np.maximum(cells.max(0), where.max(0)) - np.minimum(cells.min(0), where.min(0)) < 2
        ).all():
            yield self._frame(moved, now_ms), here
            return
        self._waiting[moved] = True
        parts, part_of = np.unique(cells, axis=0, return_inverse=True)
        part_of = part_of.reshape(-1)
        for number, part in enumerate(parts):
            near = moved[(np.abs(where - part) <= 1).all(axis=1)]
            if len(near):
                yield self._frame(near, now_ms), here[part_of == number]

    def _cells(self, slots: NDArray[np.intp]) -> NDArray[np.int32]:
        return self._rows["place"][slots, 0][:, (0, 2)] >> CELL_BITS

    def _frame(self, slots: NDArray[np.intp], now_ms: float) -> bytes:
        return poses.encode_poses(
            self._id[slots],
            now_ms - self._heard_ms[slots],
            self._has[slots],
            self._rows[slots],
            now_ms,
        )
