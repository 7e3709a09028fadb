"""Segments: the files of a log, their headers, and what is found when one is read.

A segment is a file header and then blocks. Knows bytes and checksums; nothing of what a block
means beyond its header. docs/record-format.md has the layout.
"""

from __future__ import annotations

import enum
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FORMAT_VERSION: Final = 1

SEGMENT_MAGIC: Final = b"MWLOG\r\n\x1a"
BLOCK_MAGIC: Final = b"MWB\xb1"

_SEGMENT: Final = struct.Struct("<8sHHIQQ16s12x")
SEGMENT_HEADER_BYTES: Final = _SEGMENT.size + 4
_BLOCK: Final = struct.Struct("<4sBBHIIQQqqQII")
BLOCK_HEADER_BYTES: Final = _BLOCK.size + 4

IS_ANCHOR: Final = 1
"""Flag: the state of points is forgotten before this block."""

PAYLOAD_LIMIT_BYTES: Final = (1 << 32) - 1


class CorruptRecordError(Exception):
    """Bytes that were once acknowledged are not as they were written."""


class BlockKind(enum.IntEnum):
    """What a block holds."""

    SAMPLES = 1
    """Changes whose bodies are frames, as columns (`blocks.py`)."""
    CHANGES = 2
    """Other changes in their plain form (`changes.py`)."""
    SEAL = 9
    """The segment ends here, as it should."""


@dataclass(frozen=True, slots=True)
class BlockRef:
    """Where a block lies and what its header says."""

    offset: int
    """Of the header, in the segment's file."""
    kind: int
    flags: int
    length: int
    """Of the payload."""
    rows: int
    first: int
    """Sequence of the first change in it."""
    last: int
    source_ns_min: int
    source_ns_max: int
    synced: int
    """Up to where the file was durable when this block was written."""
    points_end: int
    """One more than the highest point handle in the chain so far."""
    checksum: int

    @property
    def end(self) -> int:
        """Offset of what follows the block."""
        return self.offset + BLOCK_HEADER_BYTES + self.length

    @property
    def is_anchor(self) -> bool:
        """Whether a chain begins here."""
        return bool(self.flags & IS_ANCHOR)


@dataclass(slots=True)
class Segment:
    """One file of the log and the blocks that are known to be good in it."""

    path: Path
    number: int
    epoch: int
    first: int
    """Sequence of the first change that it may hold."""
    blocks: list[BlockRef] = field(default_factory=list[BlockRef])
    is_sealed: bool = False
    size: int = SEGMENT_HEADER_BYTES
    """Bytes up to the end of the last good block."""

    @property
    def last(self) -> int:
        """Sequence of the last change in it; one less than `first` if there is none."""
        for block in reversed(self.blocks):
            if block.kind != BlockKind.SEAL:
                return block.last
        return self.first - 1

    @property
    def rows(self) -> int:
        """Samples in it."""
        return sum(block.rows for block in self.blocks)

    @property
    def source_ns_max(self) -> int:
        """Latest source time of its samples; the smallest integer if it has none."""
        return max((b.source_ns_max for b in self.blocks if b.rows), default=-(1 << 63))


@dataclass(frozen=True, slots=True)
class Fault:
    """A stretch of a segment that is not a good block."""

    segment: Path
    offset: int
    size: int
    reason: str
    was_durable: bool
    """Whether it is proven that the stretch was once synced: damage, not a torn write."""
    after: int
    """Sequence of the last good change before it."""
    before: int | None
    """Sequence of the first good change after it in the segment, if there is one."""
    kind: int | None
    """Of the block, if its header is good."""


def segment_name(number: int) -> str:
    """The file name of a segment."""
    return f"{number:012d}.mwlog"


def segment_header(number: int, epoch: int, first: int, record_id: bytes) -> bytes:
    """The first bytes of a segment's file."""
    head = _SEGMENT.pack(SEGMENT_MAGIC, FORMAT_VERSION, 0, epoch, number, first, record_id)
    return head + zlib.crc32(head).to_bytes(4, "little")


def block_bytes(ref: BlockRef, payload: bytes) -> tuple[bytes, bytes]:
    """Header and payload of a block; `length` and `checksum` of the reference are ignored."""
    if len(payload) > PAYLOAD_LIMIT_BYTES:
        raise ValueError(f"a change of {len(payload)} bytes is too large; split it")
    head = _BLOCK.pack(
        BLOCK_MAGIC,
        ref.kind,
        ref.flags,
        0,
        len(payload),
        ref.rows,
        ref.first,
        ref.last,
        ref.source_ns_min,
        ref.source_ns_max,
        ref.synced,
        ref.points_end,
        zlib.crc32(payload),
    )
    return head + zlib.crc32(head).to_bytes(4, "little"), payload


def parse_block_header(data: bytes | memoryview, offset: int) -> BlockRef | None:
    """The block header at an offset of a file, or None where there is none."""
    raw = bytes(data[:BLOCK_HEADER_BYTES])
    if len(raw) < BLOCK_HEADER_BYTES or not raw.startswith(BLOCK_MAGIC):
        return None
    if zlib.crc32(raw[: _BLOCK.size]) != int.from_bytes(raw[_BLOCK.size :], "little"):
        return None
    _, kind, flags, _, length, rows, first, last, low, high, synced, end, crc = _BLOCK.unpack_from(
        raw
    )
    return BlockRef(offset, kind, flags, length, rows, first, last, low, high, synced, end, crc)


def scan(path: Path, record_id: bytes, *, check_payloads: bool) -> tuple[Segment, list[Fault]]:
    """What is in a segment's file.

    Args:
        check_payloads: read and check every payload too, not only the headers.

    Raises:
        CorruptRecordError: the file's own header is damaged, of another record, or of a format
            that this version cannot read.
    """
    if not check_payloads:
        segment = _scan_headers(path, record_id)
        if segment is not None:
            return segment, []
    # A segment is bounded, so it is read whole; a mapping of a file that another process cuts
    # would end this one (SIGBUS).
    data = memoryview(path.read_bytes())
    segment = _parse_segment_header(path, data, record_id)
    faults: list[Fault] = []
    at = SEGMENT_HEADER_BYTES
    size = len(data)
    while at < size:
        ref = parse_block_header(data[at : at + BLOCK_HEADER_BYTES], at)
        reason = "no block header" if ref is None else ""
        if ref is not None and ref.end > size:
            reason = f"a block of {ref.end - at} bytes of which {size - at} are there"
        elif ref is not None and check_payloads and not _is_intact(data, ref):
            reason = "the checksum of a block's content is wrong"
        if ref is not None and not reason:
            segment.blocks.append(ref)
            at = segment.size = ref.end
            if ref.kind == BlockKind.SEAL:
                segment.is_sealed = True
            continue
        following = _next_block(data, at + 1)
        end = following.offset if following else size
        # A block that was written when this stretch was already synced proves that it was good.
        is_proven = following is not None and any(
            block.synced > at for block in _good_blocks(data, following)
        )
        kind = ref.kind if ref is not None else None
        last = segment.last
        is_seal = following is not None and following.kind == BlockKind.SEAL
        before = following.first if following and not is_seal else None
        faults.append(Fault(path, at, end - at, reason, is_proven, last, before, kind))
        at = end
    return segment, faults


def read_payload(path: Path, ref: BlockRef) -> bytes:
    """The payload of a block.

    Raises:
        CorruptRecordError: it is not as it was written.
    """
    with open(path, "rb") as file:
        file.seek(ref.offset + BLOCK_HEADER_BYTES)
        payload = file.read(ref.length)
    if zlib.crc32(payload) != ref.checksum or len(payload) != ref.length:
        raise corrupt(path, ref.offset, ref.first, ref.last, "its checksum is wrong")
    return payload


def corrupt(path: Path, offset: int, first: int, last: int, reason: str) -> CorruptRecordError:
    """The error of a damaged block, with the mend."""
    return CorruptRecordError(
        f"{path}: the block at byte {offset} (changes {first} to {last}) is damaged: {reason}."
        f" Restore the file from a backup; or `python -m mirrorworld.record.doctor"
        f" {path.parent.parent}` shows what can be saved, and --salvage keeps all the rest and"
        f" lists what is lost"
    )


def _parse_segment_header(path: Path, data: memoryview, record_id: bytes) -> Segment:
    raw = bytes(data[:SEGMENT_HEADER_BYTES])
    if len(raw) < SEGMENT_HEADER_BYTES or zlib.crc32(raw[:-4]) != int.from_bytes(
        raw[-4:], "little"
    ):
        raise CorruptRecordError(
            f"{path}: the file's header is damaged. Restore the file from a backup, or open with"
            f" salvage=True to go on without it"
        )
    magic, version, _, epoch, number, first, record = _SEGMENT.unpack(raw[: _SEGMENT.size])
    if magic != SEGMENT_MAGIC:
        raise CorruptRecordError(f"{path} is not a segment of a log")
    if version != FORMAT_VERSION:
        raise CorruptRecordError(
            f"{path} has format version {version}; this version reads {FORMAT_VERSION}"
        )
    if record != record_id:
        raise CorruptRecordError(
            f"{path} belongs to another record; it was copied here. Move it away"
        )
    return Segment(path, number, epoch, first)


def _scan_headers(path: Path, record_id: bytes) -> Segment | None:
    """A sealed segment whose headers lead from one to the next up to its end; else None."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(SEGMENT_HEADER_BYTES)
        segment = _parse_segment_header(path, memoryview(head), record_id)
        while segment.size < size:
            file.seek(segment.size)
            ref = parse_block_header(file.read(BLOCK_HEADER_BYTES), segment.size)
            if ref is None or ref.end > size:
                return None
            segment.blocks.append(ref)
            segment.size = ref.end
    segment.is_sealed = bool(segment.blocks) and segment.blocks[-1].kind == BlockKind.SEAL
    return segment if segment.is_sealed else None


def _is_intact(data: memoryview, ref: BlockRef) -> bool:
    return zlib.crc32(data[ref.offset + BLOCK_HEADER_BYTES : ref.end]) == ref.checksum


def _next_block(data: memoryview, start: int) -> BlockRef | None:
    """The first good block that begins at or after an offset."""
    raw = data.obj
    assert isinstance(raw, bytes)
    at = raw.find(BLOCK_MAGIC, start)
    while at >= 0:
        ref = parse_block_header(data[at : at + BLOCK_HEADER_BYTES], at)
        if ref is not None and ref.end <= len(data) and _is_intact(data, ref):
            return ref
        at = raw.find(BLOCK_MAGIC, at + 1)
    return None


def _good_blocks(data: memoryview, first: BlockRef) -> list[BlockRef]:
    found: list[BlockRef] = []
    ref: BlockRef | None = first
    while ref is not None:
        found.append(ref)
        ref = _next_block(data, ref.end)
    return found
