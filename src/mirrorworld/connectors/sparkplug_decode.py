"""Sparkplug DATA messages to columns: a whole batch in one compiled loop.

What the loop can do is what is sent all day: metrics known by alias or name whose value is a
number, a boolean or a text. It marks everything else (tables, templates, arrays, metrics with
properties) for the general codec. Without numba the general codec does it all; both give the same
columns, row for row, which the tests hold them to.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorworld.connectors import sparkplug_compiled as loops
from mirrorworld.connectors import sparkplug_payload as codec
from mirrorworld.connectors.sparkplug_compiled import (
    BAD_NO_DATA,
    COMPLEX,
    FLOAT,
    HAS_NUMBA,
    MISFIT,
    NAN_BITS,
    TAKEN,
    TEXT,
    TIME_LIMIT_MS,
    UNKNOWN,
)
from mirrorworld.world.model import Kind


@dataclass(slots=True)
class Scan:
    """What was seen of a batch of DATA messages without reading their metrics, by message."""

    data: bytes
    """All of them, one after the other; empty without the compiled loop."""
    ends: NDArray[np.int64]
    sequence: NDArray[np.int64]
    """-1: it has none."""
    time_ms: NDArray[np.int64]
    """0: it has none."""
    is_malformed: NDArray[np.bool_]
    n_metrics: int


@dataclass(slots=True)
class Decoded:
    """Metrics of a batch of DATA messages, in order, as columns of equal length."""

    slot: NDArray[np.int32]
    fate: NDArray[np.uint8]
    cell: NDArray[np.int64]
    quality: NDArray[np.uint32]
    source_ns: NDArray[np.int64]
    """0 where neither the metric nor the message has a time."""
    message: NDArray[np.int32]
    span: NDArray[np.int64]
    """(start, end) of each metric in the batch's bytes, shape (n, 2)."""
    heap: bytes
    is_malformed: NDArray[np.bool_]
    """By message."""


_is_warm = threading.Event()
_warming = threading.Lock()


def warm() -> None:
    """Loads the compiled loops. The very first time they are compiled, which takes many seconds;
    after that they come from numba's cache."""
    with _warming:
        if HAS_NUMBA and not _is_warm.is_set():
            scratch = DataDecoder(use_compiled=True)
            scratch.set_slot(0, Kind.FLOAT, codec.DataType.DOUBLE)
            scratch.put_name(1, b"a", 0)
            metric = codec.Metric("a", datatype=codec.DataType.DOUBLE, value=1.0)
            scratch.decode([codec.encode([metric], 1, 1)], [0], [1])
            _is_warm.set()


def warm_beside() -> None:
    """Starts `warm` in a thread of its own: until it is done, the general codec reads."""
    if HAS_NUMBA and not _is_warm.is_set() and not _warming.locked():
        threading.Thread(target=warm, name="sparkplug warming", daemon=True).start()


class DataDecoder:
    """Knows which metric has which slot, and reads DATA messages by that.

    Metrics are looked up in a scope: aliases in that of the edge node's birth, names in that of
    the node or device. A new birth is a new scope, so that what came before it is still read by
    the old one.
    """

    def __init__(self, *, use_compiled: bool | None = None) -> None:
        """
        Args:
            use_compiled: None: as soon as the loops are loaded, see `warm_beside`.
        """
        self._use_compiled = use_compiled
        self.kind: NDArray[np.uint8] = np.empty(0, np.uint8)
        """By slot: kind of the point."""
        self.datatype: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._names: dict[tuple[int, bytes], int] = {}
        self._aliases: dict[tuple[int, int], int] = {}
        self._scopes: dict[int, list[int | bytes]] = {}
        self._keys: NDArray[np.uint64] = np.zeros(16, np.uint64)
        self._key_scopes: NDArray[np.int32] = np.full(16, -1, np.int32)
        self._slots: NDArray[np.int32] = np.zeros(16, np.int32)
        self._filled = 0
        self._new: list[tuple[int, int | bytes, int]] = []

    @property
    def use_compiled(self) -> bool:
        """Whether the next batch is read by the compiled loop."""
        return _is_warm.is_set() if self._use_compiled is None else self._use_compiled

    def set_slot(self, slot: int, kind: Kind, datatype: int) -> None:
        """What a slot holds."""
        if slot >= len(self.kind):
            grown = max(64, 2 * slot)
            self.kind = np.concatenate([self.kind, np.zeros(grown, np.uint8)])
            self.datatype = np.concatenate([self.datatype, np.zeros(grown, np.uint8)])
        self.kind[slot] = kind
        self.datatype[slot] = datatype

    def put_alias(self, scope: int, alias: int, slot: int) -> None:
        """A metric's alias in a scope."""
        self._aliases[scope, alias] = slot
        self._scopes.setdefault(scope, []).append(alias)
        self._new.append((scope * 2, alias, slot))

    def put_name(self, scope: int, name: bytes, slot: int) -> None:
        """A metric's name in a scope."""
        self._names[scope, name] = slot
        self._scopes.setdefault(scope, []).append(name)
        self._new.append((scope * 2 + 1, name, slot))

    def slot_of(self, alias_scope: int, name_scope: int, alias: int | None, name: str) -> int:
        """The slot of a metric, or -1."""
        if alias is not None:
            found = self._aliases.get((alias_scope, alias), -1)
            if found >= 0 or not name:
                return found
        return self._names.get((name_scope, name.encode()), -1)

    def drop_scope(self, scope: int) -> None:
        """Forgets a scope that no message can refer to any more. Its number is never used again,
        so what the compiled table still has of it is in nobody's way."""
        for key in self._scopes.pop(scope, []):
            if isinstance(key, int):
                self._aliases.pop((scope, key), None)
            else:
                self._names.pop((scope, key), None)

    def scan(self, payloads: Sequence[bytes]) -> Scan:
        """What must be known of DATA messages before they are decoded."""
        n = len(payloads)
        sequence = np.full(n, -1, np.int64)
        time_ms = np.zeros(n, np.int64)
        is_malformed = np.zeros(n, np.bool_)
        if self.use_compiled:
            data = b"".join(payloads)
            sizes = np.fromiter((len(p) for p in payloads), np.int64, n)
            ends = np.cumsum(sizes)
            columns = (sequence, time_ms, is_malformed)
            n_metrics = int(loops.scan_messages(np.frombuffer(data, np.uint8), ends, *columns))
            return Scan(data, ends, sequence, time_ms, is_malformed, n_metrics)
        for i, payload in enumerate(payloads):
            try:
                for number, wire, value in codec.fields(payload, 0, len(payload)):
                    if number == 3 and wire == codec.VARINT:
                        sequence[i] = value & 0x7FFF_FFFF
                    elif number == 1 and wire == codec.VARINT and value < TIME_LIMIT_MS:
                        time_ms[i] = value
            except codec.MalformedPayload:
                is_malformed[i] = True
        ends = np.cumsum([len(p) for p in payloads], dtype=np.int64)
        return Scan(b"", ends, sequence, time_ms, is_malformed, 0)

    def decode(
        self,
        payloads: Sequence[bytes],
        alias_scopes: Sequence[int],
        name_scopes: Sequence[int],
        scan: Scan | None = None,
    ) -> Decoded:
        """Reads DATA messages. The spans in the answer are places in their concatenation."""
        scan = self.scan(payloads) if scan is None else scan
        if not self.use_compiled:
            return self._decode_plainly(payloads, alias_scopes, name_scopes, scan)
        if self._new:
            self._extend()
        n = scan.n_metrics
        slot = np.empty(n, np.int32)
        fate = np.empty(n, np.uint8)
        cell = np.empty(n, np.int64)
        codes = np.empty(n, np.uint32)
        source_ns = np.empty(n, np.int64)
        message = np.empty(n, np.int32)
        span = np.empty((n, 2), np.int64)
        heap = np.empty(len(scan.data), np.uint8)
        n, heap_size = loops.decode_messages(
            np.frombuffer(scan.data, np.uint8),
            scan.ends,
            scan.time_ms,
            np.asarray(alias_scopes, np.int32),
            np.asarray(name_scopes, np.int32),
            (self._keys, self._key_scopes, self._slots),
            (self.kind, self.datatype),
            (slot, fate, cell, codes, source_ns, message, span, heap, scan.is_malformed),
        )
        return Decoded(
            slot[:n],
            fate[:n],
            cell[:n],
            codes[:n],
            source_ns[:n],
            message[:n],
            span[:n],
            heap[:heap_size].tobytes(),
            scan.is_malformed,
        )

    def _extend(self) -> None:
        """Brings what is new into the open-addressed table of the compiled loop."""
        new, self._new = self._new, []
        if 2 * (self._filled + len(new)) > len(self._keys):
            new = [(scope * 2, alias, slot) for (scope, alias), slot in self._aliases.items()]
            new += [(scope * 2 + 1, name, slot) for (scope, name), slot in self._names.items()]
            size = 1 << max(4, (4 * len(new)).bit_length())
            self._keys = np.zeros(size, np.uint64)
            self._key_scopes = np.full(size, -1, np.int32)
            self._slots = np.zeros(size, np.int32)
            self._filled = 0
        n = len(new)
        scopes = np.fromiter((scope for scope, _, _ in new), np.int32, n)
        slots = np.fromiter((slot for _, _, slot in new), np.int32, n)
        keys = np.empty(n, np.uint64)
        for i, (_, key, _) in enumerate(new):
            if isinstance(key, int):
                keys[i] = key
            else:
                keys[i] = loops.name_hash(np.frombuffer(key, np.uint8), 0, len(key))
        loops.insert(keys, scopes, slots, self._keys, self._key_scopes, self._slots)
        self._filled += n

    def _decode_plainly(
        self,
        payloads: Sequence[bytes],
        alias_scopes: Sequence[int],
        name_scopes: Sequence[int],
        scan: Scan,
    ) -> Decoded:
        rows: list[tuple[int, int, int, int, int, int, tuple[int, int]]] = []
        heap = bytearray()
        is_malformed = scan.is_malformed
        base = 0
        for i, data in enumerate(payloads):
            before, heap_before = len(rows), len(heap)
            if is_malformed[i]:
                base += len(data)
                continue
            try:
                for number, wire, span in codec.fields(data, 0, len(data)):
                    if number != 2 or wire != codec.LENGTH:
                        continue
                    metric = codec.decode_metric(data, span[0], span[1])
                    slot = self.slot_of(alias_scopes[i], name_scopes[i], metric.alias, metric.name)
                    fate, cell, code = self._value(metric, slot, heap)
                    ms = metric.timestamp_ms
                    ms = int(scan.time_ms[i]) if ms is None else ms
                    ns = ms * 1_000_000 if ms < TIME_LIMIT_MS else 0
                    place = (base + span[0], base + span[1])
                    rows.append((slot, fate, cell, code, ns, i, place))
            except codec.MalformedPayload:
                is_malformed[i] = True
                del rows[before:]
                del heap[heap_before:]
            base += len(data)
        columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * 7
        return Decoded(
            np.array(columns[0], np.int32),
            np.array(columns[1], np.uint8),
            np.array(columns[2], np.int64),
            np.array(columns[3], np.uint32),
            np.array(columns[4], np.int64),
            np.array(columns[5], np.int32),
            np.array(columns[6], np.int64).reshape(len(rows), 2),
            bytes(heap),
            is_malformed,
        )

    def _value(self, metric: codec.Metric, slot: int, heap: bytearray) -> tuple[int, int, int]:
        """(fate, cell, quality) of one metric."""
        if slot < 0:
            return UNKNOWN, 0, 0
        kind, datatype = int(self.kind[slot]), int(self.datatype[slot])
        if metric.has_properties:
            return COMPLEX, 0, 0
        if not (1 <= datatype <= 15):
            return COMPLEX, 0, 0
        if metric.datatype not in (0, datatype):
            return MISFIT, 0, 0
        if metric.is_null:
            if kind == FLOAT:
                return TAKEN, NAN_BITS, BAD_NO_DATA
            return TAKEN, len(heap) << 32 if kind == TEXT else 0, BAD_NO_DATA
        try:
            value = codec.typed(metric, datatype)
        except ValueError:
            return MISFIT, 0, 0
        if kind == TEXT:
            raw = metric.raw_text
            cell = len(heap) << 32 | len(raw)
            heap += raw
            return TAKEN, cell, 0
        if kind == FLOAT:
            return TAKEN, int(np.float64(value).view(np.int64)), 0
        return TAKEN, int(value), 0
