"""The log: changes in segments on disk, appended by one writer, read by any thread.

`append` only takes note; `commit` encodes everything noted so far into few large blocks, writes
them at once and syncs once. Readers see what is durable, never what is only noted. After a
failed sync nothing more is written: what the disk holds then is unknown, and only opening the
log again finds out (Rebello et al.: "Can Applications Recover from fsync Failures?", ATC 2020).
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import zstandard

from mirrorworld.record import blocks, bodies
from mirrorworld.record.files import Appender, Files
from mirrorworld.record.recovery import Lost, Recovery, seal
from mirrorworld.record.segments import (
    IS_ANCHOR,
    BlockKind,
    BlockRef,
    CorruptRecordError,
    Segment,
    block_bytes,
    corrupt,
    read_payload,
    segment_header,
    segment_name,
)
from mirrorworld.world.changes import Change, Position
from mirrorworld.world.frames import Frame

_LOG: Final = logging.getLogger(__name__)

BLOCK_ROWS: Final = 1 << 18
"""Frames are merged into a block up to about so many rows."""

SEGMENT_BYTES: Final = 64 << 20
SEGMENT_SPAN_NS: Final = 6 * 3600 * 1_000_000_000
"""A segment is closed when it is so large, or spans so much received time."""

CHAIN_ROWS_MIN: Final = 1 << 20
CHAIN_ROWS_PER_POINT: Final = 24
"""A chain ends after so many rows, so that damage and as-of reads have a near bound."""

_NO_TIME: Final = 0


class Log:
    """All segments of a record."""

    def __init__(
        self,
        directory: Path,
        record_id: bytes,
        *,
        files: Files | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        lost: Sequence[Lost] = (),
    ) -> None:
        self.directory = directory
        self.files = files or Files()
        self.segments: list[Segment] = []
        self.epoch = 0
        """Of this opening; 0 while the log is only read."""
        self._record_id = record_id
        self._recovery = Recovery(directory, record_id, self.files, lost)
        self._segment_bytes = segment_bytes
        self._pending: deque[Change] = deque()
        self._commit_lock = threading.Lock()
        self._index_lock = threading.Lock()
        self._appender: Appender | None = None
        self._failure = ""
        self._state = blocks.PointState()
        self._wants_anchor = True
        self._compressor = zstandard.ZstdCompressor(level=blocks.COMPRESSION_LEVEL)
        self._appended = 0
        self._durable = Position(0, 0)
        self._opened_ns: int | None = None
        self._newest_ns = 0
        self.on_closed: Callable[[], None] | None = None
        """Called after a segment was closed, in the committing thread."""

    # --- opening ---

    def open_for_reading(self) -> None:
        """Learns what is there; changes nothing."""
        self._recovery.look()
        self.segments = self._recovery.segments
        self._set_durable()

    def open_for_writing(self, *, least_epoch: int, least_sequence: int, salvage: bool) -> None:
        """Mends what a crash left, reports it, and begins an epoch with a segment of its own.

        Raises:
            CorruptRecordError: acknowledged bytes are damaged; with `salvage`, they are left
                out and listed in `lost` instead.
        """
        self.files.make_directory(self.directory)
        self._recovery.mend_all(salvage=salvage)
        self.segments = self._recovery.segments
        self._set_durable()
        last = max(self.durable.sequence, least_sequence)
        self.epoch = max([least_epoch, *(s.epoch for s in self.segments)]) + 1
        self._durable = Position(self.epoch, last)
        self._appended = last
        self._drop_empty()
        self._begin_segment()

    @property
    def reports(self) -> list[str]:
        """What was found and mended on opening, for people."""
        return self._recovery.reports

    @property
    def lost(self) -> list[Lost]:
        """What damage has cost."""
        return self._recovery.lost

    def _drop_empty(self) -> None:
        """Removes segments of openings in which nothing was written. Their epochs count."""
        empty = [s for s in self.segments if s.last < s.first]
        for segment in empty:
            self.files.remove(segment.path)
        if empty:
            self.segments = [s for s in self.segments if s.last >= s.first]

    def _set_durable(self) -> None:
        self._durable = Position(0, 0)
        for segment in self.segments:
            self._durable = Position(segment.epoch, segment.last)

    # --- writing ---

    @property
    def durable(self) -> Position:
        """Up to where everything is on disk."""
        return self._durable

    @property
    def failure(self) -> str:
        """Why nothing more is written; empty while all is well."""
        return self._failure

    def append(self, change: Change) -> None:
        """Takes a change for the next commit; cheap, for the event loop's thread."""
        position = change.position
        if self._failure or self._appender is None:
            raise OSError(self._failure or f"{self.directory} is not open for writing")
        if position is None or position.sequence <= self._appended:
            raise ValueError(f"change {position} does not follow {self._appended}")
        if position.epoch != self.epoch:
            raise ValueError(f"change {position} is not of epoch {self.epoch}; begin_epoch first")
        self._appended = position.sequence
        self._pending.append(change)

    def request_anchor(self) -> None:
        """Lets the next block begin a chain: a keyframe was just taken here."""
        self._wants_anchor = True

    def commit(self) -> Position:
        """Writes and syncs everything appended before the call; one caller at a time.

        Raises:
            OSError: the disk refused; nothing more is written until the log is opened again.
        """
        with self._commit_lock:
            if self._failure:
                raise OSError(self._failure)
            taken = [self._pending.popleft() for _ in range(len(self._pending))]
            if not taken:
                return self._durable
            assert self._appender is not None
            segment = self.segments[-1]
            try:
                written, refs, size = self._encode(taken, segment)
                self._appender.write(written)
                self._appender.sync()
            except OSError as error:
                self._fail(error, segment.path)
            except BaseException:
                self._failure = f"{segment.path}: a commit was broken off; open the world again"
                raise
            last = taken[-1].position
            assert last is not None
            with self._index_lock:
                segment.blocks.extend(refs)
                segment.size = size
                self._durable = last
            self._note_times(taken)
            if self._is_full(segment):
                self._roll()
            return last

    def _fail(self, error: OSError, path: Path) -> None:
        name = f"errno {error.errno}"
        if error.errno is not None:
            name = os.strerror(error.errno)
        self._failure = (
            f"{path}: {name}: the disk refused a write. Nothing after position {self._durable} is"
            f" durable or was acknowledged. Free space or mend the disk, then open the world again"
        )
        raise OSError(error.errno, self._failure) from error

    def _encode(self, changes: list[Change], segment: Segment) -> tuple[bytes, list[BlockRef], int]:
        """All changes as the bytes of blocks that follow the segment's end."""
        parts: list[bytes] = []
        refs: list[BlockRef] = []
        at = segment.size
        for kind, run in _runs(changes):
            if kind == BlockKind.SAMPLES:
                ref, payload = self._encode_samples(run)
            else:
                ref, payload = _encode_others(run, self._compressor)
            ref = replace(ref, offset=at, synced=segment.size, length=len(payload))
            header, payload = block_bytes(ref, payload)
            parts += (header, payload)
            crc = int.from_bytes(header[-8:-4], "little")
            refs.append(replace(ref, checksum=crc))
            at = refs[-1].end
        return b"".join(parts), refs, at

    def _encode_samples(self, run: list[Change]) -> tuple[BlockRef, bytes]:
        state = self._state
        limit = max(CHAIN_ROWS_MIN, CHAIN_ROWS_PER_POINT * state.points)
        is_anchor = self._wants_anchor or state.rows >= limit
        payload = blocks.encode(run, state, is_anchor=is_anchor, compressor=self._compressor)
        self._wants_anchor = False
        ref = _ref(
            BlockKind.SAMPLES,
            run,
            flags=IS_ANCHOR if is_anchor else 0,
            rows=sum(len(c.body) for c in run if isinstance(c.body, Frame)),
            source_ns=state.span_ns,
            points_end=len(state.last),
        )
        return ref, payload

    def _note_times(self, changes: list[Change]) -> None:
        if self._opened_ns is None:
            self._opened_ns = changes[0].received_ns
        self._newest_ns = changes[-1].received_ns

    def _is_full(self, segment: Segment) -> bool:
        if segment.size >= self._segment_bytes:
            return True
        return self._opened_ns is not None and self._newest_ns - self._opened_ns >= SEGMENT_SPAN_NS

    def roll(self) -> None:
        """Closes the current segment and begins another, if anything is in it."""
        with self._commit_lock:
            if self._appender is not None and not self._failure and self.segments[-1].blocks:
                self._roll()

    def _roll(self) -> None:
        segment = self.segments[-1]
        assert self._appender is not None
        try:
            self._close_segment(segment)
            self._begin_segment()
        except OSError as error:
            # What was committed is durable; only what comes next has no place.
            self._appender = None
            try:
                self._fail(error, segment.path)
            except OSError:
                _LOG.error("%s", self._failure)
            return
        if self.on_closed is not None:
            self.on_closed()

    def _close_segment(self, segment: Segment) -> None:
        appender = self._appender
        assert appender is not None
        sealed = replace(segment, blocks=list(segment.blocks))
        seal(sealed, appender)
        appender.sync()
        appender.close()
        with self._index_lock:
            self.segments[self.segments.index(segment)] = sealed

    def _begin_segment(self) -> None:
        number = self._next_number()
        first = self._durable.sequence + 1
        path = self.directory / segment_name(number)
        appender = self.files.create(path)
        try:
            appender.write(segment_header(number, self.epoch, first, self._record_id))
            appender.sync()
            self.files.sync_directory(self.directory)
        except BaseException:
            appender.close()
            raise
        with self._index_lock:
            self.segments.append(Segment(path, number, self.epoch, first))
        self._appender = appender
        self._wants_anchor = True
        self._opened_ns = None

    def _next_number(self) -> int:
        named = [int(p.stem) for p in self.directory.glob("*.*") if p.stem.isdigit()]
        return max([0, *named, *(s.number for s in self.segments)]) + 1

    def close(self) -> None:
        """Commits what is noted, seals the segment and lets go of it."""
        if self._appender is None:
            return
        try:
            if not self._failure:
                self.commit()
        finally:
            with self._commit_lock:
                if self._appender is not None:
                    segment = self.segments[-1]
                    if self._failure:
                        self._appender.close()
                    elif segment.blocks:
                        self._close_segment(segment)
                    else:
                        self._appender.close()
                self._appender = None

    # --- reading ---

    def view(self) -> list[Segment]:
        """The durable blocks of all segments, as they are now."""
        with self._index_lock:
            return [replace(s, blocks=list(s.blocks)) for s in self.segments]

    def forget_below(self, number: int) -> None:
        """Drops the first segments from the list: their files are, or are about to be, gone."""
        if self.segments and self.segments[0].number < number:
            with self._index_lock:
                self.segments = [s for s in self.segments if s.number >= number]

    def changes(self, after: int, *, frames: bool = True) -> Iterator[Change]:
        """Durable changes with a sequence above `after`, in order.

        Args:
            frames: whether those whose body is a frame are wanted too.
        """
        for segment in self.view():
            if segment.last <= after:
                continue
            for samples_or_changes in read_blocks(segment, after=after, frames=frames):
                for change in samples_or_changes:
                    if change.position is not None and change.position.sequence > after:
                        yield change


def read_blocks(
    segment: Segment, *, after: int = -1, frames: bool = True
) -> Iterator[Iterator[Change]]:
    """The changes of a segment block by block, from the chain that `after` lies in."""
    state = blocks.PointState()
    for ref in _from_chain(segment.blocks, after):
        if ref.kind == BlockKind.SAMPLES and frames:
            samples = read_samples(segment, ref, state)
            if ref.last > after:
                yield samples.changes()
        elif ref.kind == BlockKind.CHANGES and ref.last > after:
            payload = read_payload(segment.path, ref)
            yield iter(bodies.decode(payload, segment.epoch))


def read_samples(segment: Segment, ref: BlockRef, state: blocks.PointState) -> blocks.Samples:
    """The samples of a block; the state must be that of the block before it in its chain."""
    payload = read_payload(segment.path, ref)
    try:
        return blocks.decode(
            payload,
            state,
            epoch=segment.epoch,
            is_anchor=ref.is_anchor,
            points_end=ref.points_end,
        )
    except ValueError as error:
        raise corrupt(segment.path, ref.offset, ref.first, ref.last, str(error)) from error


def _from_chain(refs: list[BlockRef], after: int) -> list[BlockRef]:
    """The blocks from the last anchor whose chain may hold what comes after a sequence."""
    start = 0
    for i, ref in enumerate(refs):
        if ref.kind == BlockKind.SAMPLES and ref.is_anchor and ref.first <= after + 1:
            start = i
    # Other changes before the anchor are older than it, so nothing after `after` is left out.
    return refs[start:]


def _runs(changes: list[Change]) -> Iterator[tuple[BlockKind, list[Change]]]:
    """Runs of changes of one kind, each small enough for a block."""
    run: list[Change] = []
    rows = 0
    kind = BlockKind.SAMPLES
    for change in changes:
        body = change.body
        size = len(body) if isinstance(body, Frame) else 0
        this = BlockKind.SAMPLES if isinstance(body, Frame) else BlockKind.CHANGES
        if run and (this != kind or rows + size > BLOCK_ROWS):
            yield kind, run
            run, rows = [], 0
        kind = this
        run.append(change)
        rows += size
    if run:
        yield kind, run


def _encode_others(
    run: list[Change], compressor: zstandard.ZstdCompressor
) -> tuple[BlockRef, bytes]:
    return _ref(BlockKind.CHANGES, run), bodies.encode(run, compressor)


def _ref(
    kind: BlockKind,
    run: list[Change],
    *,
    flags: int = 0,
    rows: int = 0,
    source_ns: tuple[int, int] = (_NO_TIME, _NO_TIME),
    points_end: int = 0,
) -> BlockRef:
    first, last = run[0].position, run[-1].position
    assert first is not None and last is not None
    return BlockRef(
        0, kind, flags, 0, rows, first.sequence, last.sequence, *source_ns, 0, points_end, 0
    )


__all__ = ["CorruptRecordError", "Log", "Lost", "read_blocks", "read_samples"]
