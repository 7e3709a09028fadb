"""Keyframes: snapshots of the world in files of their own beside the log.

A keyframe is `EPOCH-SEQUENCE.mwkey`; its structure, which seldom changes, is in a file named
after its content (`SHA256.mwstruct`) that keyframes share. Every part has a checksum: a damaged
keyframe is passed over for the one before, which costs time but loses nothing.
"""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from mirrorworld.record import compact
from mirrorworld.record.files import Files, write_whole
from mirrorworld.record.segments import CorruptRecordError
from mirrorworld.world.changes import Command, Edit, Event, Origin, Position
from mirrorworld.world.model import PointType, Relation, Twin, TwinType
from mirrorworld.world.structure import without_collecting
from mirrorworld.world.world import Snapshot

_LOG: Final = logging.getLogger(__name__)

MAGIC: Final = b"MWKEY\r\n\x1a"
VERSION: Final = 1

_COLUMNS: Final = {
    "cell": np.int64,
    "quality": np.uint32,
    "source_ns": np.int64,
    "received_ns": np.int64,
    "changed": np.int64,
    "origin": np.uint16,
}
_STRUCTURE: Final[dict[str, Any]] = {
    "types": tuple[TwinType, ...],
    "twins": tuple[Twin, ...],
    "dropped": tuple[int, ...],
    "overlays": tuple[Edit, ...],
    "relations": tuple[Relation, ...],
    "arms": tuple[Edit, ...],
    "point_types": tuple[PointType, ...],
}
_REST: Final[dict[str, Any]] = {
    "origins": tuple[Origin, ...],
    "sources": tuple[tuple[str, int, int], ...],
    "events": tuple[Event, ...],
    "commands": tuple[Command, ...],
    "writings": tuple[tuple[str, tuple[bytes, ...]], ...],
}

_LATER: Final = frozenset({"writings"})
"""What keyframes of earlier versions lack."""


class Keyframes:
    """The keyframes of a record."""

    def __init__(self, directory: Path, files: Files) -> None:
        self.directory = directory
        self._files = files
        self._last: tuple[Snapshot, str] | None = None
        """The last snapshot written, and the file of its structure."""
        self._newest: dict[Position, int] = {}
        self._read: tuple[str, dict[str, Any]] | None = None

    def positions(self) -> list[Position]:
        """Where keyframes are, oldest first."""
        found: list[Position] = []
        for path in self.directory.glob("*.mwkey"):
            epoch, _, sequence = path.stem.partition("-")
            if epoch.isdigit() and sequence.isdigit():
                found.append(Position(int(epoch), int(sequence)))
        return sorted(found, key=lambda p: (p.sequence, p.epoch))

    def path(self, position: Position) -> Path:
        """The file of the keyframe at a position."""
        return self.directory / f"{position.epoch:06d}-{position.sequence:016d}.mwkey"

    def write(self, snapshot: Snapshot) -> None:
        """Keeps a snapshot; durable on return."""
        self._files.make_directory(self.directory)
        structure = self._structure_file(snapshot)
        heap = {int(h): payload for h, payload in snapshot.heap.items()}
        rest = {name: compact.pack(getattr(snapshot, name), hint) for name, hint in _REST.items()}
        sections = {name: _pack_column(getattr(snapshot, name)) for name in _COLUMNS}
        sections["heap"] = _shrink(msgspec.msgpack.encode(heap))
        sections["rest"] = _shrink(msgspec.msgpack.encode(rest))
        head = {
            "world": snapshot.world,
            "epoch": snapshot.position.epoch,
            "sequence": snapshot.position.sequence,
            "points": len(snapshot.cell),
            "source_ns_max": int(snapshot.source_ns.max(initial=-(1 << 63))),
            "structure": structure,
            "schema": compact.schema(),
        }
        write_whole(self._files, self.path(snapshot.position), _container(head, sections))

    def latest(self, before: int | None = None) -> Snapshot | None:
        """The latest good keyframe, at or before a sequence."""
        for position in reversed(self.positions()):
            if before is not None and position.sequence > before:
                continue
            try:
                return self.read(position)
            except (CorruptRecordError, OSError) as error:
                _LOG.warning("%s; using an older keyframe", error)
        return None

    def read(self, position: Position) -> Snapshot:
        """The snapshot at a position.

        Raises:
            CorruptRecordError: the file is damaged or of a newer version.
        """
        path = self.path(position)
        head, sections = _open(path)
        try:
            structure = self._structure(head["structure"])
            columns = {
                name: _unpack_column(sections[name], dtype, head["points"])
                for name, dtype in _COLUMNS.items()
            }
            rest_raw = msgspec.msgpack.decode(_expand(sections["rest"]))
            unpack = compact.Unpacker(head["schema"])
            rest = {
                name: unpack.reader(hint)(rest_raw[name])
                for name, hint in _REST.items()
                if name in rest_raw or name not in _LATER
            }
            heap = msgspec.msgpack.decode(_expand(sections["heap"]), type=dict[int, bytes])
            snapshot = Snapshot(
                world=head["world"],
                position=Position(head["epoch"], head["sequence"]),
                **structure,
                **columns,
                heap=heap,
                **rest,
            )
            if self._last is None:
                # A world made from it consists of the same objects: its structure need not be
                # written again.
                self._last = (snapshot, head["structure"])
            return snapshot
        except (KeyError, ValueError, TypeError, msgspec.MsgspecError) as error:
            raise CorruptRecordError(f"{path}: not a keyframe that can be read: {error}") from error

    def columns(self, position: Position, names: Sequence[str]) -> list[NDArray[Any]]:
        """Some columns of a keyframe's latest samples, by handle; nothing else of it is read."""
        head, sections = _open(self.path(position))
        return [_unpack_column(sections[name], _COLUMNS[name], head["points"]) for name in names]

    def source_ns_max(self, position: Position) -> int:
        """The latest source time in a keyframe."""
        found = self._newest.get(position)
        if found is None:
            found = self._newest[position] = _open(self.path(position))[0]["source_ns_max"]
        return found

    def remove(self, position: Position) -> None:
        """Removes a keyframe; structures that none needs any more go with `sweep`."""
        self._files.remove(self.path(position))
        self._newest.pop(position, None)

    def sweep(self) -> None:
        """Removes structures that no keyframe refers to, and parts of files never finished."""
        if not self.directory.is_dir():
            return
        used = set[str]()
        for position in self.positions():
            try:
                used.add(_open(self.path(position))[0]["structure"])
            except (CorruptRecordError, OSError):
                return
        for path in (*self.directory.glob("*.mwstruct"), *self.directory.glob("*.part")):
            if path.name not in used:
                self._files.remove(path)

    def _structure(self, name: str) -> dict[str, Any]:
        """What a structure's file says; the last one is kept."""
        kept = self._read
        if kept is not None and kept[0] == name:
            return kept[1]
        structure = _read_structure(*_open(self.directory / name))
        self._read = (name, structure)
        return structure

    def _structure_file(self, snapshot: Snapshot) -> str:
        last = self._last
        if last is not None and _is_same_structure(last[0], snapshot):
            return last[1]
        packed = {
            name: compact.pack(getattr(snapshot, name), hint) for name, hint in _STRUCTURE.items()
        }
        sections = {
            "structure": _shrink(msgspec.msgpack.encode(packed)),
            "point_twin": _pack_column(snapshot.point_twin),
            "point_type": _pack_column(snapshot.point_type),
        }
        head = {"points": len(snapshot.point_twin), "schema": compact.schema()}
        data = _container(head, sections)
        name = hashlib.sha256(data).hexdigest() + ".mwstruct"
        if not (self.directory / name).exists():
            write_whole(self._files, self.directory / name, data)
        self._last = (snapshot, name)
        return name


def _is_same_structure(one: Snapshot, other: Snapshot) -> bool:
    """Whether two snapshots consist of the same objects; equality would cost as much as writing."""
    for name in _STRUCTURE:
        if name == "point_types":
            continue
        a, b = getattr(one, name), getattr(other, name)
        if a is b:
            continue
        if len(a) != len(b) or any(x is not y for x, y in zip(a, b, strict=True)):
            return False
    return (
        one.point_types == other.point_types
        and np.array_equal(one.point_twin, other.point_twin)
        and np.array_equal(one.point_type, other.point_type)
    )


def _read_structure(head: dict[str, Any], sections: dict[str, memoryview]) -> dict[str, Any]:
    unpack = compact.Unpacker(head["schema"])
    with without_collecting():
        raw = msgspec.msgpack.decode(_expand(sections["structure"]))
        values = {name: unpack.reader(hint)(raw[name]) for name, hint in _STRUCTURE.items()}
    for name in ("point_twin", "point_type"):
        values[name] = _unpack_column(sections[name], np.int32, head["points"])
    return values


# --- the container --------------------------------------------------------------------------


def _container(head: dict[str, Any], sections: dict[str, bytes]) -> bytes:
    """A file of named sections, each with a checksum, as is the list of them."""
    listing = [(name, len(data), zlib.crc32(data)) for name, data in sections.items()]
    raw = msgspec.msgpack.encode((head, listing))
    start = MAGIC + VERSION.to_bytes(4, "little") + len(raw).to_bytes(4, "little")
    crc = zlib.crc32(start + raw).to_bytes(4, "little")
    return b"".join((start, crc, raw, *sections.values()))


def _open(path: Path) -> tuple[dict[str, Any], dict[str, memoryview]]:
    data = memoryview(path.read_bytes())
    if bytes(data[:8]) != MAGIC or len(data) < 20:
        raise CorruptRecordError(f"{path} is not a keyframe")
    version = int.from_bytes(data[8:12], "little")
    if version > VERSION:
        raise CorruptRecordError(
            f"{path} has format version {version}; this version reads up to {VERSION}."
            f" Upgrade mirrorworld"
        )
    size = int.from_bytes(data[12:16], "little")
    raw = bytes(data[20 : 20 + size])
    if zlib.crc32(bytes(data[:16]) + raw) != int.from_bytes(data[16:20], "little"):
        raise CorruptRecordError(f"{path}: the head of the keyframe is damaged")
    head, listing = msgspec.msgpack.decode(raw, type=tuple[dict[str, Any], list[Any]])
    sections: dict[str, memoryview] = {}
    at = 20 + size
    for name, length, checksum in listing:
        section = data[at : at + length]
        if len(section) != length or zlib.crc32(section) != checksum:
            raise CorruptRecordError(f"{path}: the part '{name}' of the keyframe is damaged")
        sections[name] = section
        at += length
    return head, sections


def _pack_column(column: NDArray[Any]) -> bytes:
    """Differences between neighbours, byte plane by byte plane, compressed."""
    steps = np.diff(column, prepend=column.dtype.type(0))
    planes = np.ascontiguousarray(steps).view(np.uint8).reshape(-1, column.itemsize).T
    return _shrink(np.ascontiguousarray(planes).tobytes())


def _unpack_column(data: memoryview, dtype: Any, n: int) -> NDArray[Any]:
    if not n:
        return np.empty(0, dtype)
    planes = np.frombuffer(_expand(data), np.uint8).reshape(-1, n)
    steps = np.ascontiguousarray(planes.T).view(dtype).reshape(n)
    return np.cumsum(steps, dtype=dtype)


def _shrink(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(data)


def _expand(data: memoryview) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise ValueError(f"a part does not decompress: {error}") from error
