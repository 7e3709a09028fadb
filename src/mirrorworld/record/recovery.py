"""Opening a log after whatever has happened to it: torn tails cut, damage told or left out.

How a torn write and damage are told apart is in docs/record-format.md.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mirrorworld.record.files import Appender, Files
from mirrorworld.record.segments import (
    SEGMENT_HEADER_BYTES,
    BlockKind,
    BlockRef,
    CorruptRecordError,
    Fault,
    Segment,
    block_bytes,
    corrupt,
    read_payload,
    scan,
    segment_header,
)

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lost:
    """Changes that a damaged log no longer has."""

    segment: str
    offset: int
    first: int
    last: int
    reason: str

    def __str__(self) -> str:
        return (
            f"changes {self.first} to {self.last} are lost"
            f" ({self.segment} at byte {self.offset}: {self.reason})"
        )


class Recovery:
    """What a log has in its files, made fit to be read on or written on."""

    def __init__(
        self, directory: Path, record_id: bytes, files: Files, lost: Sequence[Lost]
    ) -> None:
        self.directory = directory
        self.files = files
        self.segments: list[Segment] = []
        self.reports: list[str] = []
        self.lost = list(lost)
        self._record_id = record_id

    def look(self) -> None:
        """Learns what is there and changes nothing. A torn tail is passed over: its writer may
        still be at it."""
        paths = self._paths()
        for i, path in enumerate(paths):
            is_last = i == len(paths) - 1
            try:
                segment, faults = scan(path, self._record_id, check_payloads=is_last)
            except CorruptRecordError:
                if is_last and path.stat().st_size <= SEGMENT_HEADER_BYTES:
                    continue
                raise
            except FileNotFoundError:
                continue
            if any(f.was_durable for f in faults) or (faults and not is_last):
                self.refuse(segment, faults)
            cut(segment, faults)
            self.segments.append(segment)
        self.check_continuity()

    def mend_all(self, *, salvage: bool) -> None:
        """Makes every segment whole and sealed.

        Raises:
            CorruptRecordError: acknowledged bytes are damaged; with `salvage`, they are left out
                and listed in `lost` instead.
        """
        for path in self.directory.glob("*.part"):
            self.files.remove(path)
        paths = self._paths()
        for i, path in enumerate(paths):
            self.mend(path, is_last=i == len(paths) - 1, salvage=salvage)
        self.check_continuity(salvage=salvage)

    def _paths(self) -> list[Path]:
        return sorted(self.directory.glob("*.mwlog"))

    def mend(self, path: Path, *, is_last: bool, salvage: bool) -> None:
        try:
            segment, faults = scan(path, self._record_id, check_payloads=is_last or salvage)
        except CorruptRecordError as error:
            if is_last and path.stat().st_size <= SEGMENT_HEADER_BYTES:
                self._report(f"{path}: removed, it was never begun ({path.stat().st_size} bytes)")
                self.files.remove(path)
                self.files.sync_directory(self.directory)
                return
            if not salvage:
                raise
            self._report(str(error))
            self._set_aside(path)
            return
        damage = [f for f in faults if f.was_durable or not is_last]
        if damage and not salvage and not self._is_only_seal(segment, damage):
            self.refuse(segment, damage)
        if damage:
            self._leave_out(segment, faults)
        elif faults:
            size = path.stat().st_size - faults[0].offset
            cut(segment, faults)
            self._report(
                f"{path}: cut {size} bytes at byte {faults[0].offset} that were being written when"
                f" the writer was stopped ({faults[0].reason}); nothing of them was acknowledged"
            )
        if faults or not segment.is_sealed:
            segment = self._rewrite(segment)
        self.segments.append(segment)

    def _is_only_seal(self, segment: Segment, damage: Sequence[Fault]) -> bool:
        """Whether all changes are there and only the closing mark is damaged."""
        if len(damage) > 1 or damage[0].before is not None:
            return False
        return self._first_after(segment.path) == segment.last + 1

    def _first_after(self, path: Path) -> int | None:
        """Sequence with which the segment after one begins."""
        for following in self._paths():
            if following > path:
                try:
                    return scan(following, self._record_id, check_payloads=False)[0].first
                except CorruptRecordError:
                    return None
        return None

    def _leave_out(self, segment: Segment, faults: Sequence[Fault]) -> None:
        """Drops damaged blocks, and samples that only make sense after them; lists the losses."""
        for fault in faults:
            first = fault.after + 1
            following = self._first_after(segment.path) or first + 1
            ranges = [(first, (fault.before or following) - 1)]
            is_broken = fault.kind != BlockKind.CHANGES
            kept: list[BlockRef] = []
            for block in segment.blocks:
                if block.offset > fault.offset and block.kind == BlockKind.SAMPLES:
                    is_broken = is_broken and not block.is_anchor
                    if is_broken:
                        ranges.append((block.first, block.last))
                        continue
                kept.append(block)
            segment.blocks = kept
            for start, end in _merged(ranges):
                lost = Lost(segment.path.name, fault.offset, start, end, fault.reason)
                self.lost.append(lost)
                self._report(f"{segment.path}: {lost}")
        self._copy_aside(segment.path)

    def _rewrite(self, segment: Segment) -> Segment:
        """Writes the good blocks anew and seals them.

        After a failed sync the system may hold pages for clean that never reached the disk;
        a file written anew does not trust them.
        """
        temporary = segment.path.with_suffix(".part")
        mended = Segment(segment.path, segment.number, segment.epoch, segment.first)
        appender = self.files.create(temporary)
        try:
            appender.write(
                segment_header(segment.number, segment.epoch, segment.first, self._record_id)
            )
            for ref in segment.blocks:
                if ref.kind == BlockKind.SEAL:
                    continue
                payload = read_payload(segment.path, ref)
                placed = replace(ref, offset=mended.size, synced=0)
                for part in block_bytes(placed, payload):
                    appender.write(part)
                mended.blocks.append(placed)
                mended.size = placed.end
            appender.sync()
            seal(mended, appender)
            appender.sync()
        finally:
            appender.close()
        self.files.replace(temporary, segment.path)
        self.files.sync_directory(self.directory)
        return mended

    def _copy_aside(self, path: Path) -> None:
        aside = path.with_suffix(".damaged")
        appender = self.files.create(aside)
        try:
            appender.write(path.read_bytes())
            appender.sync()
        finally:
            appender.close()
        self.files.sync_directory(self.directory)

    def _set_aside(self, path: Path) -> None:
        self.files.replace(path, path.with_suffix(".damaged"))
        self.files.sync_directory(self.directory)

    def check_continuity(self, *, salvage: bool = False) -> None:
        for before, after in zip(self.segments, self.segments[1:], strict=False):
            if after.first == before.last + 1:
                continue
            first, last = before.last + 1, after.first - 1
            if any(lost.first <= first and lost.last >= last for lost in self.lost):
                continue
            lost = Lost(before.path.name, before.size, first, last, "the log has a gap")
            if not salvage:
                raise CorruptRecordError(
                    f"{self.directory}: changes {first} to {last} are missing between"
                    f" {before.path.name} and {after.path.name}. Restore the missing segment from"
                    f" a backup, or open with salvage=True to go on without them"
                )
            self.lost.append(lost)
            self._report(str(lost))

    def refuse(self, segment: Segment, faults: Sequence[Fault]) -> None:
        worst = next((f for f in faults if f.was_durable), faults[0])
        last = worst.before - 1 if worst.before is not None else worst.after + 1
        raise corrupt(segment.path, worst.offset, worst.after + 1, last, worst.reason)

    def _report(self, message: str) -> None:
        self.reports.append(message)
        _LOG.warning("%s", message)


def seal(segment: Segment, appender: Appender) -> None:
    """Ends a segment with the mark that all before it is as it should be; does not sync."""
    ref = BlockRef(
        offset=segment.size,
        kind=BlockKind.SEAL,
        flags=0,
        length=0,
        rows=0,
        first=segment.last + 1,
        last=segment.last,
        source_ns_min=0,
        source_ns_max=0,
        synced=segment.size,
        points_end=0,
        checksum=0,
    )
    for part in block_bytes(ref, b""):
        appender.write(part)
    segment.blocks.append(ref)
    segment.size = ref.end
    segment.is_sealed = True


def cut(segment: Segment, faults: Sequence[Fault]) -> None:
    """Forgets what stands after a torn write: it was written with it and never synced."""
    if faults:
        segment.blocks = [b for b in segment.blocks if b.offset < faults[0].offset]
        segment.size = faults[0].offset
        segment.is_sealed = False


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges that touch as one."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        elif last >= first:
            merged.append((first, last))
    return merged
