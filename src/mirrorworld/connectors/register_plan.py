"""The read plan of a register map: which values are fetched with one request, and how often.

Neighbours are read together, and so are values with a small gap between them, since a request
costs more than the registers in the gap. A block that a device refuses, because there is nothing
at an address in it, is split until only what cannot be read stands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mirrorworld.connectors.register_map import MapPoint
from mirrorworld.connectors.register_values import Columns
from mirrorworld.world.frames import Handles


@dataclass(frozen=True, slots=True)
class Limits:
    """Of an area: how much one request may ask for."""

    items_max: int
    gap_max: int
    item_bytes: float
    """2 for registers, 1 for bytes, 1/8 for bits."""


@dataclass(slots=True)
class Block:
    """What one request asks for, and where its values stand in the group's columns."""

    area: Hashable
    start: int
    count: int
    points: list[int]
    """Positions in the map, in the order of the columns."""
    columns: Columns
    rows: slice = field(default_factory=lambda: slice(0, 0))
    texts: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """Row in the block -> bytes."""
    trouble: str = ""
    """Why it cannot be read just now."""
    asks_from_s: float = 0.0
    """Not asked before this, since it was refused."""
    n_refused: int = 0


def merge(
    points: Sequence[MapPoint], which: Sequence[int], limits: Callable[[Hashable], Limits]
) -> list[Block]:
    """The blocks that read some points of a map with few requests."""
    by_area: dict[Hashable, list[int]] = {}
    for i in which:
        by_area.setdefault(points[i].field.area, []).append(i)
    blocks: list[Block] = []
    for area, members in by_area.items():
        allowed = limits(area)
        members.sort(key=lambda i: (points[i].field.start, points[i].field.size))
        run: list[int] = []
        start = end = 0
        for i in members:
            one = points[i].field
            new_end = max(end, one.start + one.size)
            fits = new_end - start <= allowed.items_max and one.start - end <= allowed.gap_max
            if run and fits:
                run.append(i)
                end = new_end
                continue
            if run:
                blocks.append(block_of(points, run, allowed))
            run, start, end = [i], one.start, one.start + one.size
        if run:
            blocks.append(block_of(points, run, allowed))
    return blocks


def block_of(points: Sequence[MapPoint], members: Sequence[int], limits: Limits) -> Block:
    """The block that reads exactly these points."""
    fields = [points[i].field for i in members]
    start = min(one.start for one in fields)
    end = max(one.start + one.size for one in fields)
    kinds = [points[i].point.kind for i in members]
    columns = Columns(fields, kinds, start, limits.item_bytes)
    return Block(fields[0].area, start, end - start, [members[r] for r in columns.rows], columns)


def split(points: Sequence[MapPoint], block: Block, limits: Limits) -> tuple[Block, Block] | None:
    """Two blocks for one that was refused: at its widest gap, else in the middle; None for one
    point, or for points of which each overlaps the next."""
    members = sorted(block.points, key=lambda i: points[i].field.start)
    starts = np.array([points[i].field.start for i in members])
    ends = np.maximum.accumulate(starts + [points[i].field.size for i in members])
    gaps = starts[1:] - ends[:-1]
    if not len(gaps) or gaps.max() < 0:
        return None
    middle = np.abs(np.arange(len(gaps)) - (len(gaps) - 1) / 2)
    at = int(np.lexsort((middle, -gaps))[0]) + 1
    return block_of(points, members[:at], limits), block_of(points, members[at:], limits)


class Group:
    """The points of one polling period, as columns: what was read, and what was told of it."""

    def __init__(self, period_ms: int, blocks: list[Block], handles: Handles) -> None:
        """`handles` is by position in the map."""
        self.period_s = period_ms / 1000
        self.due_s = 0.0
        self.at = -1
        """The block that comes next in this round; -1 between rounds."""
        self._handles = handles
        self.arrange(blocks)

    def arrange(self, blocks: list[Block]) -> None:
        """Lays out the columns for these blocks. What was told before is told again."""
        self.blocks = blocks
        n = 0
        for block in blocks:
            block.rows = slice(n, n + len(block.points))
            n = block.rows.stop
        order = [i for block in blocks for i in block.points]
        self.handle = self._handles[np.array(order, np.intp)]
        self.cell = np.zeros(n, np.int64)
        self.quality = np.zeros(n, np.uint32)
        self.source_ns = np.zeros(n, np.int64)
        self.told_cell = np.zeros(n, np.int64)
        self.told_quality = np.zeros(n, np.uint32)
        self.told_s = np.full(n, -np.inf)
        """By the monotonic clock; -inf: nothing was told since the link came up."""
        self.is_fresh = np.zeros(n, np.bool_)
        """Whether it was read since it was told."""
        self.is_heard = np.zeros(n, np.bool_)
        """Whether the column has a value that the device gave."""

    def replace(self, block: Block, by: Sequence[Block]) -> None:
        """Puts blocks in a block's place."""
        at = self.blocks.index(block)
        self.arrange([*self.blocks[:at], *by, *self.blocks[at + 1 :]])

    def forget_told(self) -> None:
        """After a loss everything is told again."""
        self.told_s[:] = -np.inf
