"""Sparkplug DATA messages to columns: a whole batch in one compiled loop.

What the loop can do is what is sent all day: metrics known by alias or name whose value is a
number, a boolean or a text. It marks everything else (tables, templates, arrays, metrics with
properties) for the general codec. Without numba the general codec does it all; both give the same
columns, row for row, which the tests hold them to.
"""

# numba has no type stubs; the typed face of these loops is `DataDecoder`.
# pyright: basic

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.connectors import sparkplug_payload as codec
from mirrorworld.world import quality
from mirrorworld.world.model import Kind

try:
    from numba import njit
except ImportError:  # the `compiled` extra is not installed
    njit = None

HAS_NUMBA: Final = njit is not None

# What became of a metric.
TAKEN, UNKNOWN, MISFIT, COMPLEX = 0, 1, 2, 3

TIME_LIMIT_MS: Final = 1 << 43
"""Times from the year 2248 on are no times, and would not fit 64 bits of nanoseconds later."""

_FLOAT, _TEXT = int(Kind.FLOAT), int(Kind.TEXT)
_BAD_NO_DATA = quality.BAD_NO_DATA
_NAN_BITS = int(np.float64(np.nan).view(np.int64))


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
        self._scopes: dict[int, list[tuple[bool, int | bytes]]] = {}
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
        self._scopes.setdefault(scope, []).append((True, alias))
        self._new.append((scope * 2, alias, slot))

    def put_name(self, scope: int, name: bytes, slot: int) -> None:
        """A metric's name in a scope."""
        self._names[scope, name] = slot
        self._scopes.setdefault(scope, []).append((False, name))
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
        for is_alias, key in self._scopes.pop(scope, []):
            if is_alias:
                self._aliases.pop((scope, key), None)  # type: ignore[arg-type]
            else:
                self._names.pop((scope, key), None)  # type: ignore[arg-type]

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
            n_metrics = int(_scan(np.frombuffer(data, np.uint8), ends, *columns))
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
        n, heap_size = _decode(
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
                keys[i] = _hash(np.frombuffer(key, np.uint8), 0, len(key))
        _insert(keys, scopes, slots, self._keys, self._key_scopes, self._slots)
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
            if kind == _FLOAT:
                return TAKEN, _NAN_BITS, _BAD_NO_DATA
            return TAKEN, len(heap) << 32 if kind == _TEXT else 0, _BAD_NO_DATA
        try:
            value = codec.typed(metric, datatype)
        except ValueError:
            return MISFIT, 0, 0
        if kind == _TEXT:
            raw = metric.raw_text
            cell = len(heap) << 32 | len(raw)
            heap += raw
            return TAKEN, cell, 0
        if kind == _FLOAT:
            return TAKEN, int(np.float64(value).view(np.int64)), 0
        return TAKEN, int(value), 0


if njit is not None:

    @njit(cache=True, nogil=True)
    def _hash(data, start, end):  # type: ignore[no-untyped-def]
        """FNV-1a of 64 bits."""
        value = np.uint64(0xCBF29CE484222325)
        for i in range(start, end):
            value = (value ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
        return value

    @njit(cache=True, nogil=True)
    def _place(key, scope, mask):  # type: ignore[no-untyped-def]
        mixed = (key ^ (np.uint64(scope) << np.uint64(40))) * np.uint64(0x9E3779B97F4A7C15)
        return np.int64((mixed >> np.uint64(20)) & np.uint64(mask))

    @njit(cache=True, nogil=True)
    def _insert(keys, scopes, slots, table, table_scopes, table_slots):  # type: ignore[no-untyped-def]
        mask = len(table) - 1
        for i in range(len(keys)):
            at = _place(keys[i], scopes[i], mask)
            while table_scopes[at] != -1 and not (
                table_scopes[at] == scopes[i] and table[at] == keys[i]
            ):
                at = (at + 1) & mask
            table[at] = keys[i]
            table_scopes[at] = scopes[i]
            table_slots[at] = slots[i]

    @njit(cache=True, nogil=True)
    def _find(key, scope, tables):  # type: ignore[no-untyped-def]
        table, scopes, slots = tables
        mask = len(table) - 1
        at = _place(key, scope, mask)
        while scopes[at] != -1:
            if scopes[at] == scope and table[at] == key:
                return slots[at]
            at = (at + 1) & mask
        return np.int32(-1)

    @njit(cache=True, nogil=True)
    def _varint(data, at, end):  # type: ignore[no-untyped-def]
        """(value, where it ends or -1)."""
        value = np.uint64(0)
        shift = np.uint64(0)
        while at < end:
            byte = data[at]
            at += 1
            value |= np.uint64(byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += np.uint64(7)
            if shift > np.uint64(63):
                break
        return value, -1

    @njit(cache=True, nogil=True)
    def _skip(data, at, end, wire):  # type: ignore[no-untyped-def]
        """(where a field's value begins, where it ends or -1)."""
        if wire == 0:
            _, stop = _varint(data, at, end)
            return at, stop
        size = np.uint64(0)
        if wire == 2:
            size, at = _varint(data, at, end)
            if at < 0:
                return at, -1
        elif wire == 1:
            size = np.uint64(8)
        elif wire == 5:
            size = np.uint64(4)
        else:
            return at, -1
        if size > np.uint64(end - at):
            return at, -1
        return at, at + np.int64(size)

    @njit(cache=True, nogil=True)
    def _scan(data, ends, sequence, time_ms, is_malformed):  # type: ignore[no-untyped-def]
        """How many metrics there are; fills in what is known of each message."""
        total = 0
        at = 0
        for i in range(len(ends)):
            end = ends[i]
            while at < end:
                key = data[at]
                if key == 0x12:  # field 2, LENGTH: a metric
                    size, start = _varint(data, at + 1, end)
                    if start < 0 or size > np.uint64(end - start):
                        is_malformed[i] = True
                        break
                    total += 1
                    at = start + np.int64(size)
                elif key in (0x08, 0x18):
                    value, at = _varint(data, at + 1, end)
                    if at < 0:
                        is_malformed[i] = True
                        break
                    if key == 0x18:
                        sequence[i] = np.int64(value & np.uint64(0x7FFFFFFF))
                    elif value < np.uint64(TIME_LIMIT_MS):
                        time_ms[i] = np.int64(value)
                else:
                    tag, start = _varint(data, at, end)
                    if start < 0:
                        is_malformed[i] = True
                        break
                    _, at = _skip(data, start, end, np.int64(tag & np.uint64(7)))
                    if at < 0:
                        is_malformed[i] = True
                        break
            at = end
        return total

    @njit(cache=True, nogil=True)
    def _whole(raw, datatype, carrier):  # type: ignore[no-untyped-def]
        """(value, whether it fits); the rules are those of `sparkplug_payload.whole`."""
        bits = 64
        if datatype in (1, 5):
            bits = 8
        elif datatype in (2, 6):
            bits = 16
        elif datatype in (3, 7):
            bits = 32
        if datatype > 4:
            if bits < 64 and raw >> np.uint64(bits):
                return np.int64(0), False
            if raw >> np.uint64(63):
                return np.int64(0), False
            return np.int64(raw), True
        if bits == 64:
            return np.int64(raw), True
        half = np.int64(1) << (bits - 1)
        if raw >> np.uint64(bits) == 0:
            value = np.int64(raw)
            if value >= half:
                value -= np.int64(1) << bits
            return value, True
        signed = np.int64(raw)
        if carrier == 10 and raw >> np.uint64(32) == 0:
            wide = np.int64(1) << 32
            if signed >= wide - half:
                return signed - wide, True
        if signed < 0 and signed >= -half:
            return signed, True
        return np.int64(0), False

    @njit(cache=True, nogil=True)
    def _decode(data, ends, time_ms, alias_scopes, name_scopes, tables, slots, out):  # type: ignore[no-untyped-def]
        kinds, datatypes = slots
        slot, fate, cell, codes, source_ns, message, span, heap, is_malformed = out
        bits = np.empty(1, np.uint64)
        as_single = bits.view(np.float32)
        double = np.empty(1, np.float64)
        double_bits = double.view(np.int64)
        n = 0
        used = 0
        begin = 0
        for i in range(len(ends)):
            end = ends[i]
            if is_malformed[i]:
                begin = end
                continue
            first_row = n
            first_used = used
            message_ms = np.uint64(time_ms[i])
            at = begin
            while at < end:
                if data[at] == 0x12:
                    size_, inner = _varint(data, at + 1, end)
                    stop = inner + np.int64(size_)
                    at = stop
                else:
                    tag, start = _varint(data, at, end)
                    inner, stop = _skip(data, start, end, np.int64(tag & np.uint64(7)))
                    at = stop
                    if tag != np.uint64(18):
                        continue
                alias = np.uint64(0)
                has_alias = False
                name_start = np.int64(-1)
                name_end = np.int64(-1)
                own_ms = message_ms
                datatype = np.uint64(0)
                is_null = False
                has_properties = False
                carrier = 0
                raw = np.uint64(0)
                text_start = np.int64(0)
                text_end = np.int64(0)
                p = inner
                is_whole = True
                while p < stop:
                    byte = data[p]
                    if byte < 0x80:
                        number = np.int64(byte >> 3)
                        wire = np.int64(byte & 7)
                        q = p + 1
                    else:
                        tag, q = _varint(data, p, stop)
                        if q < 0:
                            is_whole = False
                            break
                        number = np.int64(tag >> np.uint64(3))
                        wire = np.int64(tag & np.uint64(7))
                    if wire == 0:
                        if q < stop and data[q] < 0x80:
                            value = np.uint64(data[q])
                            p = q + 1
                        else:
                            value, p = _varint(data, q, stop)
                            if p < 0:
                                is_whole = False
                                break
                        if number == 2:
                            alias = value
                            has_alias = True
                        elif number == 3:
                            own_ms = value
                        elif number == 4:
                            datatype = value
                        elif number == 7:
                            is_null = value != np.uint64(0)
                        elif number in (10, 11, 14):
                            carrier = number
                            raw = value
                    elif wire == 1 and number == 13 and stop - q >= 8:
                        carrier = 13
                        raw = (
                            np.uint64(data[q])
                            | np.uint64(data[q + 1]) << np.uint64(8)
                            | np.uint64(data[q + 2]) << np.uint64(16)
                            | np.uint64(data[q + 3]) << np.uint64(24)
                            | np.uint64(data[q + 4]) << np.uint64(32)
                            | np.uint64(data[q + 5]) << np.uint64(40)
                            | np.uint64(data[q + 6]) << np.uint64(48)
                            | np.uint64(data[q + 7]) << np.uint64(56)
                        )
                        p = q + 8
                    else:
                        q, p = _skip(data, q, stop, wire)
                        if p < 0:
                            is_whole = False
                            break
                        if wire == 2:
                            if number == 1:
                                name_start = q
                                name_end = p
                            elif number == 9:
                                has_properties = True
                            elif number == 15:
                                carrier = 15
                                text_start = q
                                text_end = p
                            elif 16 <= number <= 19:
                                carrier = number
                        elif wire == 5 and number == 12:
                            carrier = 12
                            raw = (
                                np.uint64(data[q])
                                | np.uint64(data[q + 1]) << np.uint64(8)
                                | np.uint64(data[q + 2]) << np.uint64(16)
                                | np.uint64(data[q + 3]) << np.uint64(24)
                            )
                if not is_whole:
                    is_malformed[i] = True
                    break
                found = np.int32(-1)
                if has_alias:
                    found = _find(alias, alias_scopes[i] * 2, tables)
                if found < 0 and name_end > name_start:
                    hashed = _hash(data, name_start, name_end)
                    found = _find(hashed, name_scopes[i] * 2 + 1, tables)
                slot[n] = found
                fate[n] = TAKEN
                cell[n] = 0
                codes[n] = 0
                message[n] = i
                span[n, 0] = inner
                span[n, 1] = stop
                source_ns[n] = 0
                if own_ms < np.uint64(TIME_LIMIT_MS):
                    source_ns[n] = np.int64(own_ms) * 1_000_000
                if found < 0:
                    fate[n] = UNKNOWN
                    n += 1
                    continue
                kind = kinds[found]
                known = datatypes[found]
                if has_properties or known < 1 or known > 15:
                    fate[n] = COMPLEX
                elif datatype != np.uint64(0) and datatype != np.uint64(known):
                    fate[n] = MISFIT
                elif is_null:
                    codes[n] = _BAD_NO_DATA
                    if kind == _FLOAT:
                        cell[n] = _NAN_BITS
                    elif kind == _TEXT:
                        cell[n] = np.int64(used) << 32
                elif known in (12, 14, 15):
                    if carrier != 15:
                        fate[n] = MISFIT
                    else:
                        size = text_end - text_start
                        cell[n] = (np.int64(used) << 32) | size
                        for b in range(size):
                            heap[used + b] = data[text_start + b]
                        used += size
                elif known in (9, 10):
                    if carrier == 12:
                        bits[0] = raw
                        double[0] = as_single[0]
                        cell[n] = double_bits[0]
                    elif carrier == 13:
                        cell[n] = np.int64(raw)
                    else:
                        fate[n] = MISFIT
                elif known == 11:
                    if carrier != 14:
                        fate[n] = MISFIT
                    else:
                        cell[n] = np.int64(raw != 0)
                elif carrier in (10, 11):
                    value_, fits = _whole(raw, known, carrier)
                    if not fits:
                        fate[n] = MISFIT
                    elif kind == _FLOAT:
                        double[0] = np.float64(value_)
                        cell[n] = double_bits[0]
                    else:
                        cell[n] = value_
                else:
                    fate[n] = MISFIT
                n += 1
            if is_malformed[i]:
                n = first_row
                used = first_used
            begin = end
        return n, used
