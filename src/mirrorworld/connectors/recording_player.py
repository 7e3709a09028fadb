"""Playing a recording: rows to frames, paced or as fast as they are taken, and from where it was.

Knows how far it has come; refuses to know what the rows mean (`recording_look.py`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import math
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mirrorworld.connectors import guesses
from mirrorworld.connectors.recording_file import Hints, Layout, Rows, read
from mirrorworld.world.frames import Frame, Handles
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Sink

pc: Any = pyarrow.compute  # its functions are made at import, out of sight of type checkers

BLOCK_ROWS: Final = 16_384
"""Most rows of one frame; frames begin at multiples of it."""
TICK_S: Final = 0.05
"""At a paced speed, rows within a tick of playing time are one frame."""
CLAIM_BLOCKS: Final = 4


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """What can be set. Text of the guide: docs/guide/recordings.md."""

    speed: str = "max"
    loop: bool = False
    start: str = "0"
    time: str = ""
    entity: str = ""
    separator: str = ""
    zone: str = "UTC"
    interval_s: float = 0.0

    def __post_init__(self) -> None:
        if self.speed != "max":
            try:
                is_speed = 0 < float(self.speed) < math.inf
            except ValueError:
                is_speed = False
            if not is_speed:
                raise ValueError(f"speed='{self.speed}' is neither a positive number nor max")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"zone='{self.zone}' is no time zone; one is named like 'Europe/Berlin'"
            ) from error
        if self.separator and len(self.separator) != 1:
            raise ValueError(f"separator='{self.separator}' is not one character")
        if self.interval_s < 0 or not math.isfinite(self.interval_s):
            raise ValueError(f"interval_s={self.interval_s} is not a time between rows")
        try:
            float(self.start)
        except ValueError:
            if guesses.iso_ns(self.start) is None:
                raise ValueError(
                    f"start='{self.start}' is neither seconds from the beginning nor a time"
                    " like 2020-02-08T13:30:47Z"
                ) from None

    @property
    def hints(self) -> Hints:
        """What is said about the file."""
        return Hints(self.time, self.entity, self.separator, self.zone, self.interval_s)


@dataclass(slots=True)
class Part:
    """One file of a recording."""

    layout: Layout
    twin: str
    twins: tuple[str, ...]
    """By entity."""
    incarnation: int
    handles: Handles | None = None
    """Shape (entities, signals)."""


@dataclass(slots=True)
class _Place:
    """How far playing has come. Rows below `durable` are on disk; none at or above `claimed`
    has ever been handed over."""

    loop: int = 0
    part: int = 0
    durable: int = 0
    claimed: int = 0
    cut: str = ""
    """How rows were cut into frames: the same again gives the same frames, with the same
    numbers, so that only frames which were not there yet are new."""


class Player:
    """Plays parts one after the other, paced, and keeps its place over a restart."""

    def __init__(
        self, options: RecordingOptions, parts: list[Part], sink: Sink, memory: Path | None
    ) -> None:
        self.n_rows = 0
        self.last_ticket: int | None = None
        self._options = options
        self._parts = parts
        self._sink = sink
        self._memory = memory
        self._speed = None if options.speed == "max" else float(options.speed)
        self._identity = hash(tuple(part.incarnation for part in parts)) & 0xFFFF_FFFF_FFFF
        self._cut = f"{options.speed} {options.start}"
        self._place = self._recall()
        self._pushed: list[tuple[int, int, int, int]] = []
        self._wake = asyncio.Event()
        first = parts[0].layout.first_ns
        last = max(part.layout.last_ns for part in parts)
        self._span_ns = last - first + max(part.layout.step_ns for part in parts)
        self._from_ns = _start(options.start, first)

    # --- the place

    def _recall(self) -> _Place:
        if self._memory is None:
            return _Place(cut=self._cut)
        try:
            known = json.loads(self._memory.read_text())
            if known.pop("files") == self._identity:
                return _Place(**known)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            pass
        return _Place(cut=self._cut)

    def remember(self) -> None:
        """Writes the place down, durably: what is claimed must never be more than what is told."""
        if self._memory is None:
            return
        state: dict[str, Any] = {"files": self._identity, **dataclasses.asdict(self._place)}
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            new = self._memory.with_suffix(".new")
            with new.open("w") as file:
                json.dump(state, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._memory)
        except OSError:
            self._sink.count("recording_place_not_kept")

    async def acknowledge(self) -> None:
        """Follows what has become durable."""
        while True:
            while not self._pushed:
                self._wake.clear()
                await self._wake.wait()
            loop, part, row, ticket = self._pushed[-1]
            await self._sink.durable(ticket)
            self._pushed = [p for p in self._pushed if p[3] > ticket]
            if (loop, part) == (self._place.loop, self._place.part):
                self._place.durable = max(self._place.durable, row)

    async def _claim(self, stop: int) -> None:
        """Notes, before rows are handed over, that they may have been."""
        if stop > self._place.claimed:
            self._place.claimed = stop + CLAIM_BLOCKS * BLOCK_ROWS
            await asyncio.to_thread(self.remember)

    # --- playing

    async def play(self) -> None:
        """Plays from the place on."""
        while True:
            loop_ns = self._place.loop * self._span_ns
            for number in range(self._place.part, len(self._parts)):
                part = self._parts[number]
                if number != self._place.part:
                    self._place.part, self._place.durable, self._place.claimed = number, 0, 0
                    self.remember()
                await self._play_part(part, number, loop_ns)
            if not self._options.loop:
                return
            self._place = _Place(self._place.loop + 1, cut=self._cut)
            self.remember()

    async def _play_part(self, part: Part, number: int, loop_ns: int) -> None:
        loop = self._place.loop
        incarnation = (part.incarnation << 14 | loop & 0x3FFF) & 0x7FFF_FFFF_FFFF_FFFF
        resume, maybe = self._place.durable, self._place.durable
        if self._place.cut != self._cut:
            self._place.cut, maybe = self._cut, self._place.claimed
        clock: tuple[float, int] | None = None
        seen_rows = resume
        async for rows in _threaded(part.layout, self._options.hints):
            for piece in self._pieces(rows, part, resume, maybe):
                first_ns = int(piece.time_ns[0])
                if self._speed is not None and first_ns != guesses.NO_TIME:
                    if clock is None:
                        clock = asyncio.get_running_loop().time(), first_ns
                    due_s = clock[0] + (first_ns - clock[1]) / 1e9 / self._speed
                    wait_s = due_s - asyncio.get_running_loop().time()
                    if wait_s > 0:
                        await asyncio.sleep(wait_s)
                stop = piece.start + len(piece)
                await self._claim(stop)
                assert part.handles is not None
                frame = to_frame(piece, part.layout, part.handles, loop_ns)
                seen_rows = stop
                if not len(frame):
                    continue
                ticket = await self._sink.push(frame, incarnation=incarnation, source_seq=stop - 1)
                self.last_ticket = ticket
                self.n_rows += len(piece)
                self._pushed.append((loop, number, stop, ticket))
                self._wake.set()
        if self.last_ticket is not None and seen_rows > resume:
            await self._sink.durable(self.last_ticket)
        self._place.durable = max(self._place.durable, seen_rows)

    def _pieces(self, rows: Rows, part: Part, resume: int, maybe: int) -> list[Rows]:
        """Cuts rows into frames. Between `resume` and `maybe` each row is a frame of its own, so
        that exactly those which were handed over before are recognised."""
        cuts: set[int] = set()
        n = len(rows)
        first = max(0, resume - rows.start)
        if self._from_ns > part.layout.first_ns and part.layout.is_sorted:
            first = max(first, int(np.searchsorted(rows.time_ns, self._from_ns)))
        if first >= n:
            return []
        single = min(n, max(first, maybe - rows.start))
        cuts.update(range(first, single))
        cuts.update(range(-rows.start % BLOCK_ROWS, n, BLOCK_ROWS))
        if self._speed is not None:
            tick_ns = max(1, int(TICK_S * 1e9 * self._speed))
            ticks = (rows.time_ns - part.layout.first_ns) // tick_ns
            cuts.update((np.flatnonzero(np.diff(ticks)) + 1).tolist())
        edges = sorted({first, n, *(cut for cut in cuts if first < cut < n)})
        return [rows.take(a, b) for a, b in itertools.pairwise(edges)]


def _start(text: str, first_ns: int) -> int:
    """The time from which a recording is played."""
    try:
        return first_ns + round(float(text) * 1e9)
    except ValueError:
        return guesses.iso_ns(text) or first_ns


async def _threaded(layout: Layout, hints: Hints) -> AsyncIterator[Rows]:
    """Reads in a worker thread, one stretch ahead of who plays."""
    rows = read(layout, hints)
    while True:
        batch = await asyncio.to_thread(next, rows, None)
        if batch is None:
            return
        if len(batch):
            yield batch


# --- rows to frames -------------------------------------------------------------------------


def to_frame(rows: Rows, layout: Layout, handles: Handles, shift_ns: int = 0) -> Frame:
    """The samples of rows: one for each cell that is not blank. Of one point they stay in order.

    Args:
        handles: shape (entities, signals).
        shift_ns: added to every time.
    """
    has_time = rows.time_ns != guesses.NO_TIME
    points, cells, source_ns = [], [], []
    heap = bytearray()
    for i, signal in enumerate(layout.signals):
        value = rows.values[i]
        takes = has_time.copy()
        if value.null_count:
            takes &= np.asarray(pc.is_valid(value))
        if signal.kind is Kind.FLOAT:
            numbers = np.asarray(pc.fill_null(value, np.nan))
            takes &= ~np.isnan(numbers)
            cell = numbers.view(np.int64)
        elif signal.kind is Kind.TEXT:
            cell = _text_cells(value, heap)
        else:
            fill = False if signal.kind is Kind.BOOL else 0
            cell = np.asarray(pc.cast(pc.fill_null(value, fill), pa.int64()))
        if not takes.any():
            continue
        points.append(handles[rows.entity[takes], i])
        cells.append(cell[takes])
        source_ns.append(rows.time_ns[takes] + shift_ns)
    point = np.concatenate(points) if points else np.empty(0, np.uint32)
    return Frame(
        np.ascontiguousarray(point, np.uint32),
        np.ascontiguousarray(np.concatenate(cells) if cells else np.empty(0), np.int64),
        np.zeros(len(point), np.uint32),
        np.ascontiguousarray(np.concatenate(source_ns) if source_ns else np.empty(0), np.int64),
        bytes(heap),
    )


def _text_cells(value: pa.Array, heap: bytearray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Appends the texts to the heap; their places as cells."""
    value = pc.fill_null(value, "")
    offsets = np.frombuffer(value.buffers()[1], np.int64)[
        value.offset : value.offset + len(value) + 1
    ]
    data = value.buffers()[2]
    base = len(heap)
    if data is not None:
        heap += data[int(offsets[0]) : int(offsets[-1])].to_pybytes()
    starts = offsets[:-1] - offsets[0] + base
    return starts << 32 | np.diff(offsets)
