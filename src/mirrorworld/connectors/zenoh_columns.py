"""Many points in one message: names told once, then columns of numbers.

The layout is open to every plant and language, and is written down for them in
docs/guide/live-plane.md. Integers and floats are little-endian.

Names, `MWN1`: 4 bytes magic, u32 zero, u64 table, then JSON in UTF-8, {"names": [...]}; each is a
text `twin/path/point` relative to the key, or {"name", "unit", "kind", "low", "high"}.

Values, `MWV1`: 4 bytes magic, u32 n, u64 table, i64 source_ns, u32 flags, u32 zero; then
`i64[n]` times (flag 4; else all are of source_ns), values as `f64[n]` (flag 1) or `f32[n]`,
`u32[n]` index into the names (flag 2; else the first n in order), `u32[n]` quality (flag 8;
OPC UA status codes, else good).

A table's number changes when its names do. Knows bytes; refuses to know connections.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from mirrorworld.connectors.seen import NO_HANDLE
from mirrorworld.connectors.topics import TopicTwins
from mirrorworld.world.changes import Severity
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind, PointType
from mirrorworld.world.ports import Sink

NAMES: Final = b"MWN1"
VALUES: Final = b"MWV1"
IS_FLOAT64: Final = 1
HAS_INDEX: Final = 2
HAS_TIMES: Final = 4
HAS_QUALITY: Final = 8

_NAMES: Final = struct.Struct("<4sIQ")
_VALUES: Final = struct.Struct("<4sIQqII")
_FLAGS: Final = IS_FLOAT64 | HAS_INDEX | HAS_TIMES | HAS_QUALITY
_KINDS: Final = {"float": Kind.FLOAT, "int": Kind.INT, "bool": Kind.BOOL}

NAMES_MAX: Final = 1 << 20
"""Of one table."""
TABLES_MAX: Final = 4_096


_Columns = tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]


class BrokenColumns(ValueError):
    """Bytes that are not laid out as they should be."""


class _Name(msgspec.Struct):
    name: str
    unit: str = ""
    kind: str = "float"
    low: float | None = None
    high: float | None = None


class _Table(msgspec.Struct):
    names: list[str | _Name]


_DECODER: Final = msgspec.json.Decoder(_Table)


@dataclass(frozen=True, slots=True)
class _Known:
    """A table whose points are declared."""

    handles: NDArray[np.uint32]
    kinds: NDArray[np.uint8]
    is_all_float: bool
    is_all_known: bool


def is_columns(payload: bytes) -> bool:
    """Whether a payload is names or values in columns."""
    return payload[:4] in (NAMES, VALUES)


class ColumnKeys:
    """Reads messages of keys into frames; declares the names that it is told."""

    def __init__(self, twins: TopicTwins) -> None:
        self._twins = twins
        self._tables: OrderedDict[tuple[str, int], _Known] = OrderedDict()
        self.unknown: set[str] = set()
        """Keys whose values came before their names; whoever can asks for these."""

    async def frame(
        self, keys: Sequence[str], payloads: Sequence[bytes], sink: Sink
    ) -> Frame | None:
        """The samples of a batch of messages, in their order."""
        parts: list[_Columns] = []
        for key, payload in zip(keys, payloads, strict=True):
            try:
                if payload[:4] == NAMES:
                    await self._take_names(key, payload, sink)
                elif (part := self._columns(key, payload, sink)) is not None:
                    parts.append(part)
            except BrokenColumns as error:
                sink.count("zenoh_broken_columns")
                self._twins.report(
                    self._twins.source,
                    key,
                    "broken_columns",
                    f"{error}; docs/guide/live-plane.md has the layout",
                    Severity.MEDIUM,
                )
        if not parts:
            return None
        point, cell, quality, source_ns = (
            parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        )
        return Frame(point, cell, quality, source_ns)

    async def _take_names(self, key: str, payload: bytes, sink: Sink) -> None:
        if len(payload) < _NAMES.size:
            raise BrokenColumns(f"names of {len(payload)} bytes")
        _, _, table = _NAMES.unpack_from(payload)
        known = self._tables.get((key, table))
        if known is not None:
            return
        try:
            names = _DECODER.decode(payload[_NAMES.size :]).names
        except msgspec.MsgspecError as error:
            raise BrokenColumns(f"names that cannot be read: {error}") from error
        if len(names) > NAMES_MAX:
            raise BrokenColumns(f"{len(names)} names; a table holds {NAMES_MAX}")
        places: list[tuple[str, str]] = []
        kinds = np.zeros(len(names), np.uint8)
        for i, each in enumerate(names):
            name = each if isinstance(each, _Name) else _Name(each)
            kind = _KINDS.get(name.kind)
            path = [part for part in name.name.split("/") if part]
            if kind is None or not path:
                raise BrokenColumns(f"name {i} ('{name.name}', {name.kind}) is of no point")
            twin, point = self._twins.of_scalar("/".join((key, *path)))
            had = self._twins.kind(twin, point)
            kinds[i] = kind if had is None else had
            self._twins.add(
                twin, PointType(point, Kind(int(kinds[i])), name.unit, name.low, name.high), sink
            )
            places.append((twin, point))
        await self._twins.declare(sink)
        handles = np.array([self._twins.handle(*place) for place in places], np.uint32)
        self._tables[key, table] = _Known(
            handles,
            kinds,
            bool((kinds == Kind.FLOAT).all()),
            bool((handles != NO_HANDLE).all()),
        )
        self.unknown.discard(key)
        while len(self._tables) > TABLES_MAX:
            self._tables.popitem(last=False)

    def _columns(self, key: str, payload: bytes, sink: Sink) -> _Columns | None:
        """(point, cell, quality, source_ns) of a message; None: its names are not known."""
        if len(payload) < _VALUES.size:
            raise BrokenColumns(f"values of {len(payload)} bytes")
        _, n, table, source_ns, flags, _ = _VALUES.unpack_from(payload)
        if flags & ~_FLAGS:
            raise BrokenColumns(f"flags {flags:#x}")
        width = 8 if flags & IS_FLOAT64 else 4
        widths = (
            8 if flags & HAS_TIMES else 0,
            width,
            4 if flags & HAS_INDEX else 0,
            4 if flags & HAS_QUALITY else 0,
        )
        if len(payload) != _VALUES.size + n * sum(widths):
            raise BrokenColumns(
                f"{n} rows take {_VALUES.size + n * sum(widths)} bytes, there are {len(payload)}"
            )
        known = self._tables.get((key, table))
        if known is None:
            sink.count("zenoh_values_without_names", n)
            self.unknown.add(key)
            return None
        at = _VALUES.size
        if flags & HAS_TIMES:
            time = np.frombuffer(payload, "<i8", n, at)
            at += 8 * n
        else:
            time = np.full(n, source_ns, np.int64)
        value = np.frombuffer(payload, "<f8" if width == 8 else "<f4", n, at).astype(np.float64)
        at += width * n
        if flags & HAS_INDEX:
            index = np.frombuffer(payload, "<u4", n, at)
            at += 4 * n
            if n and int(index.max()) >= len(known.handles):
                raise BrokenColumns(f"index {int(index.max())} of {len(known.handles)} names")
            handles, kinds = known.handles[index], known.kinds[index]
        elif n > len(known.handles):
            raise BrokenColumns(f"{n} values of {len(known.handles)} names")
        else:
            handles, kinds = known.handles[:n], known.kinds[:n]
        if flags & HAS_QUALITY:
            quality = np.frombuffer(payload, "<u4", n, at)
        else:
            quality = np.zeros(n, np.uint32)
        cell = value.view(np.int64)
        if not known.is_all_float:
            whole = kinds != Kind.FLOAT
            with np.errstate(invalid="ignore"):
                cell[whole] = np.nan_to_num(value[whole]).astype(np.int64)
        if known.is_all_known:
            return handles, cell, quality, time
        keep = handles != NO_HANDLE
        return handles[keep], cell[keep], quality[keep], time[keep]
