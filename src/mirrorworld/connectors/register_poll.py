"""Polling by periods: keeps to a grid without drift, reads block after block, tells what is new.

The periods of a map share one line to the device. What is due is read shortest period first, block
by block, so that a long slow round does not hold up a fast one. A round that was not done when
the next was due is counted and left out; nothing queues up.

A value that did not change is told again every `unchanged_s`, so that its age stays true without
a record full of repetitions.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mirrorworld.connectors.register_map import MapPoint
from mirrorworld.connectors.register_plan import Block, Group, Limits, merge, split
from mirrorworld.world.changes import Event, Severity
from mirrorworld.world.frames import Frame, Handles
from mirrorworld.world.model import Text
from mirrorworld.world.ports import Sink
from mirrorworld.world.quality import UNCERTAIN_LAST_USABLE

BAD_CONFIGURATION: Final = 0x8089_0000
BAD_COMMUNICATION: Final = 0x8005_0000
BAD_TIMEOUT: Final = 0x800A_0000
BAD_DEVICE_FAILURE: Final = 0x808B_0000
BAD_BUSY: Final = 0x8004_0000
"""BadResourceUnavailable."""
BAD_NOT_CONNECTED: Final = 0x808A_0000
BAD_ACCESS: Final = 0x801F_0000
"""BadUserAccessDenied."""

FLUSH_S: Final = 0.1
"""A round that takes longer tells in between what it has."""
REFUSED_S: Final = (1.0, 60.0)
"""How long what a device refused is left alone: at first, and at most."""
NONSENSE_MAX: Final = 10
"""So many answers in a row without one that makes sense, and the line is given up."""
EVENTS_MAX: Final = 50
"""More troubles than this at once are counted and marked, but no events."""


class ReadFailed(Exception):
    """A block could not be read; the message says what the device answered."""

    def __init__(
        self,
        text: str,
        quality: int,
        counted: str,
        *,
        splits: bool = False,
        silent: bool = False,
        nonsense: bool = False,
    ) -> None:
        super().__init__(text)
        self.quality, self.counted = quality, counted
        self.splits = splits
        """It may be that only a part of the block is not there."""
        self.is_silent = silent
        """Nothing came at all: asking others of the same unit would wait as long."""
        self.is_nonsense = nonsense
        """What came is no answer of this protocol."""


class Reader(Protocol):
    """What a protocol does for the poller."""

    in_flight: int
    """How many requests it sends before it waits for answers."""

    async def read(self, blocks: Sequence[Block]) -> list[bytes | ReadFailed]:
        """The answers to some blocks, each of the length that was asked for.

        Raises:
            OSError: the line is lost.
        """
        ...

    def limits(self, area: Hashable) -> Limits:
        """How much of an area one request may ask for."""
        ...

    def unit(self, area: Hashable) -> Hashable:
        """Which of several devices on the line the area belongs to."""
        ...

    def place(self, block: Block) -> str:
        """A block for messages: `unit 1 holding 100 to 224`."""
        ...


class Poller:
    """Polls the points of a map through a reader, into a sink."""

    def __init__(
        self,
        source: str,
        points: Sequence[MapPoint],
        handles: Handles,
        sink: Sink,
        *,
        unchanged_s: float,
        on_answer: Callable[[], Awaitable[None]],
    ) -> None:
        self._source, self._points, self._sink = source, points, sink
        self._handles = handles
        self._unchanged_s = unchanged_s
        self._on_answer = on_answer
        self._allowed: dict[Hashable, Limits] = {}
        self.groups: list[Group] = []
        self._urgent: list[int] = []
        self._wake = asyncio.Event()
        self._silent_until: dict[Hashable, float] = {}
        self._silent_s: dict[Hashable, float] = {}
        self._events: set[str] = set()
        # A poll is told once and never again, so numbers of our own mark each; without them every
        # sample would be compared with what came before.
        self._incarnation, self._n_told = sink.now_ns() // 1_000_000, 0
        self.n_troubled = 0
        self._n_nonsense = 0
        self._sense_s = -math.inf

    def plan(self, reader: Reader) -> None:
        """Makes the blocks, as the reader's limits allow."""
        periods: dict[int, list[int]] = {}
        for i, point in enumerate(self._points):
            periods.setdefault(point.period_ms, []).append(i)
        self.groups = [
            Group(period, merge(self._points, which, reader.limits), self._handles)
            for period, which in sorted(periods.items())
        ]

    def ask_soon(self, point: int) -> None:
        """Has one point (by position in the map) read next: it was just written."""
        self._urgent.append(point)
        self._wake.set()

    async def run(self, reader: Reader) -> None:
        """Polls until the line is lost.

        Raises:
            OSError: the line was lost, or no unit on it answers.
        """
        allowed = {point.field.area: reader.limits(point.field.area) for point in self._points}
        if allowed != self._allowed:
            self._allowed = allowed
            self.plan(reader)
        now = time.monotonic()
        self._silent_until.clear()
        self._silent_s.clear()
        self._n_nonsense, self._sense_s = 0, -math.inf
        for group in self.groups:
            group.due_s, group.at = now, -1
            group.forget_told()
        flushed_s = now
        while True:
            if self._urgent:
                await self._read_urgent(reader)
            now = time.monotonic()
            for group in self.groups:
                if group.at < 0 and group.due_s <= now:
                    group.at = 0
            group = next((g for g in self.groups if g.at >= 0), None)
            if group is None:
                self._wake.clear()
                due_s = min(g.due_s for g in self.groups)
                try:
                    async with asyncio.timeout(max(due_s - now, 0)):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                continue
            await self._step(group, reader)
            now = time.monotonic()
            if group.at < 0:
                group.due_s += group.period_s
                missed = int((now - group.due_s) // group.period_s) + 1
                if missed > 0:
                    self._sink.count("poll_overrun", missed)
                    group.due_s += missed * group.period_s
            if now - flushed_s > FLUSH_S:
                await self._flush_all()
                flushed_s = now
            elif group.at < 0:
                await self._flush(group)

    async def mark_lost(self) -> None:
        """Says of every value that it is the last that is known."""
        for group in self.groups:
            rows = group.is_heard & (group.told_s > 0)
            group.quality[rows] = np.where(
                group.quality[rows] == 0, UNCERTAIN_LAST_USABLE, group.quality[rows]
            )
            group.source_ns[rows] = self._sink.now_ns()
            chosen = rows & (group.quality != group.told_quality)
            await self._tell(group, chosen)
            group.forget_told()

    # --- a step

    async def _step(self, group: Group, reader: Reader) -> None:
        """Reads the next blocks of a round."""
        now, chosen = time.monotonic(), []
        while group.at < len(group.blocks) and len(chosen) < reader.in_flight:
            block = group.blocks[group.at]
            group.at += 1
            until_s = self._silent_until.get(reader.unit(block.area), 0.0)
            if now < until_s or now < block.asks_from_s:
                continue
            chosen.append(block)
        if chosen:
            await self._read(group, chosen, reader)
        if group.at >= len(group.blocks):
            group.at = -1

    async def _read_urgent(self, reader: Reader) -> None:
        wanted, self._urgent = set(self._urgent), []
        for group in self.groups:
            for block in [b for b in group.blocks if wanted.intersection(b.points)]:
                await self._read(group, [block], reader)
                if block in group.blocks:
                    group.told_s[block.rows] = -np.inf
            await self._flush(group)

    async def _read(self, group: Group, blocks: list[Block], reader: Reader) -> None:
        answers = await reader.read(blocks)
        now_ns = self._sink.now_ns()
        splits: list[tuple[Block, tuple[Block, Block]]] = []
        for block, answer in zip(blocks, answers, strict=True):
            if isinstance(answer, ReadFailed):
                self._sink.count(answer.counted)
                parts = None
                if answer.splits:
                    parts = split(self._points, block, reader.limits(block.area))
                if parts is not None:
                    splits.append((block, parts))
                else:
                    await self._refused(group, block, answer, now_ns, reader)
                continue
            rows = block.rows
            block.columns.decode(answer, group.cell[rows], group.quality[rows], block.texts)
            group.source_ns[rows] = now_ns
            group.is_heard[rows] = group.is_fresh[rows] = True
            unit = reader.unit(block.area)
            self._silent_until.pop(unit, None)
            self._silent_s.pop(unit, None)
            if block.trouble:
                await self._answered(block, reader)
        failed = [a for a in answers if isinstance(a, ReadFailed)]
        nonsense = [a for a in failed if a.is_nonsense]
        if len(nonsense) + sum(a.is_silent for a in failed) < len(answers):
            self._n_nonsense, self._sense_s = 0, time.monotonic()
            await self._on_answer()
        self._n_nonsense += len(nonsense)
        # One block that never makes sense, polled often, does not condemn a line whose other
        # blocks are polled seldom.
        round_s = max(each.period_s for each in self.groups)
        has_had_time = time.monotonic() - self._sense_s > 2 * round_s
        if self._n_nonsense >= NONSENSE_MAX and has_had_time:
            await self._flush_all()
            raise ConnectionResetError(f"what comes makes no sense: {nonsense[-1]}")
        for block, parts in splits:
            # What was read in this round is told before the columns are laid out anew.
            await self._flush(group)
            if block.trouble:
                await self._answered(block, reader)
            was_at = group.blocks.index(block)
            group.replace(block, parts)
            group.at = min(group.at, was_at)  # the parts are asked for in the same round

    async def _refused(
        self, group: Group, block: Block, why: ReadFailed, now_ns: int, reader: Reader
    ) -> None:
        """Marks a block's points; leaves it, or its silent unit, alone for a while."""
        shortest_s, longest_s = REFUSED_S
        now = time.monotonic()
        if why.is_silent:
            unit = reader.unit(block.area)
            wait_s = min(self._silent_s.get(unit, shortest_s / 2) * 2, longest_s)
            self._silent_s[unit], self._silent_until[unit] = wait_s, now + wait_s
            for each in self.groups:
                for other in each.blocks:
                    if reader.unit(other.area) == unit:
                        self._mark(each, other, why.quality, now_ns)
            units = {reader.unit(b.area) for g in self.groups for b in g.blocks}
            if wait_s > shortest_s and units <= self._silent_until.keys():
                await self._flush_all()
                raise TimeoutError(f"nothing answers: {why}")
        elif why.quality == BAD_CONFIGURATION:
            block.n_refused += 1
            block.asks_from_s = now + min(shortest_s * 2**block.n_refused, longest_s)
        self._mark(group, block, why.quality, now_ns)
        if not block.trouble:
            block.trouble = str(why)
            self.n_troubled += 1
            place = reader.place(block)
            if len(self._events) < EVENTS_MAX:
                self._events.add(place)
                await self._event(place, str(why), is_active=True)

    def _mark(self, group: Group, block: Block, quality: int, now_ns: int) -> None:
        group.quality[block.rows] = quality
        group.source_ns[block.rows] = now_ns
        group.is_fresh[block.rows] = True

    async def _answered(self, block: Block, reader: Reader) -> None:
        block.trouble, block.n_refused = "", 0
        self.n_troubled -= 1
        place = reader.place(block)
        if place in self._events:
            self._events.discard(place)
            await self._event(place, "is read again", is_active=False)

    async def _event(self, place: str, text: str, *, is_active: bool) -> None:
        await self._sink.event(
            Event(
                f"{self._source}/read/{place}",
                self._source,
                "read_failed" if is_active else "read_restored",
                Text((("en", f"{place}: {text}"),)),
                Severity.LOW if is_active else Severity.INFO,
                is_active=is_active,
                source_ns=self._sink.now_ns(),
            )
        )

    # --- telling

    async def _flush_all(self) -> None:
        for group in self.groups:
            await self._flush(group)

    async def _flush(self, group: Group) -> None:
        """Tells what is new in a group, or old enough to be told again."""
        is_due = time.monotonic() - group.told_s >= self._unchanged_s
        is_new = (group.cell != group.told_cell) | (group.quality != group.told_quality)
        await self._tell(group, group.is_fresh & (is_new | is_due))
        group.is_fresh[:] = False

    async def _tell(self, group: Group, chosen: NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(chosen)
        if not len(rows):
            return
        cell = group.cell[rows]
        heap = bytearray()
        for block in group.blocks:
            if not block.texts:
                continue
            for row, text in block.texts.items():
                at = int(np.searchsorted(rows, block.rows.start + row))
                if at < len(rows) and rows[at] == block.rows.start + row:
                    cell[at] = len(heap) << 32 | len(text)
                    heap += text
        frame = Frame(
            group.handle[rows], cell, group.quality[rows], group.source_ns[rows], bytes(heap)
        )
        group.told_cell[rows] = group.cell[rows]
        group.told_quality[rows] = group.quality[rows]
        group.told_s[rows] = time.monotonic()
        self._n_told += 1
        await self._sink.push(frame, incarnation=self._incarnation, source_seq=self._n_told)
