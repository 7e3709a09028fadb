"""Slots and their samples: values of Sparkplug metrics on their way into frames.

A slot is a small integer for one metric of one twin, for as long as this runs; births give it
aliases and names in the decoder. Knows values and the last of each; refuses to know births,
sequence numbers and sessions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorworld.connectors import sparkplug_payload as codec
from mirrorworld.connectors.sparkplug_compiled import COMPLEX, MISFIT, TAKEN, UNKNOWN
from mirrorworld.connectors.sparkplug_decode import DataDecoder, Scan
from mirrorworld.connectors.sparkplug_metrics import (
    Device,
    Node,
    Slot,
    parts_of,
    quality_of,
    table_json,
    timestamp_of,
)
from mirrorworld.connectors.sparkplug_payload import DataType, Metric
from mirrorworld.connectors.topics import NO_HANDLE, TopicTwins
from mirrorworld.world import quality
from mirrorworld.world.frames import Frame, FrameBuilder
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Sink

Data = tuple[bytes, Node, Device]
"""A DATA message and whose it is."""


class Samples:
    """The slots of one source.

    Attributes:
        decoder: what reads DATA messages by these slots.
        slots: by number.
        received_ns: when the batch at hand came; the time of what carries none.
    """

    def __init__(self, twins: TopicTwins, *, use_compiled: bool | None = None) -> None:
        self.decoder = DataDecoder(use_compiled=use_compiled)
        self.slots: list[Slot] = []
        self.received_ns = 0
        self.sink: Sink
        self._twins = twins
        self._number: dict[tuple[str, str], int] = {}
        self._handles: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._last_cell: NDArray[np.int64] = np.empty(0, np.int64)
        self._last_ns: NDArray[np.int64] = np.empty(0, np.int64)
        self._last_heap: dict[int, bytes] = {}
        self._scaled: set[int] = set()
        self._ignored = -1
        self._values: list[tuple[int, Any, int, int]] = []

    # --- slots

    def find(self, twin: str, point: str) -> int:
        """The slot of a point; -1 if it has none."""
        return self._number.get((twin, point), -1)

    def make(self, twin: str, point: str, kind: Kind, datatype: int) -> int:
        """The slot of a point, for values of a data type."""
        number = self._number.get((twin, point))
        if number is None:
            number = self._number[twin, point] = len(self.slots)
            self.slots.append(Slot(twin, point))
        self.slots[number].datatype = datatype
        self.decoder.set_slot(number, kind, datatype)
        return number

    def scale(self, number: int, scale: float, offset: float) -> None:
        """What a slot's values are multiplied with and raised by, to be in the point's unit."""
        slot = self.slots[number]
        slot.scale, slot.offset = scale, offset
        if (scale, offset) == (1.0, 0.0):
            self._scaled.discard(number)
        else:
            self._scaled.add(number)

    @property
    def ignored(self) -> int:
        """The one slot of all that is known and not mirrored, and so no reason to wonder."""
        if self._ignored < 0:
            self._ignored = self.make("", "", Kind.TEXT, DataType.UNKNOWN)
        return self._ignored

    def resolve(self) -> None:
        """Looks up the handles of new slots, once their points are declared."""
        new = self.slots[len(self._handles) :]
        if not new:
            return
        for slot in new:
            slot.handle = self._twins.handle(slot.twin, slot.point)
        handles = np.fromiter((slot.handle for slot in new), np.uint32, len(new))
        self._handles = np.concatenate([self._handles, handles])
        self._last_cell = np.concatenate([self._last_cell, np.zeros(len(new), np.int64)])
        self._last_ns = np.concatenate([self._last_ns, np.zeros(len(new), np.int64)])

    # --- values one by one

    def note(
        self, number: int, metric: Metric, datatype: int, time_ms: int | None, *, is_sure: bool
    ) -> None:
        """Keeps a value that the general codec has read, for the next `noted`."""
        try:
            value = None if metric.is_null or not metric.field else codec.typed(metric, datatype)
        except ValueError:
            self.sink.count("sparkplug_value_misfits")
            return
        code = quality.BAD_NO_DATA if value is None else quality_of(metric)
        if code == quality.GOOD and not is_sure:
            code = quality.UNCERTAIN
        ns = time_ms * 1_000_000 if time_ms and time_ms < 1 << 43 else self.received_ns
        self._values.append((number, value, ns, code))

    def note_plain(self, number: int, value: Any, ns: int) -> None:
        """Keeps a good value for the next `noted`."""
        self._values.append((number, value, ns, quality.GOOD))

    def forget_noted(self) -> None:
        """Drops what is kept: values of births that were remembered are old news."""
        self._values.clear()

    def noted(self) -> list[Frame]:
        """The frame of what is kept, if there is any."""
        if not self._values:
            return []
        values, self._values = self._values, []
        return [self._build(values)]

    def _build(self, values: Sequence[tuple[int, Any, int, int]]) -> Frame:
        """A frame of values read one by one."""
        builder = FrameBuilder()
        for slot, value, ns, code in values:
            metric = self.slots[slot]
            kind = Kind(int(self.decoder.kind[slot]))
            if metric.handle == NO_HANDLE:
                self.sink.count("samples_left_out")
                continue
            if isinstance(value, codec.DataSet):
                value = table_json(value)
            elif isinstance(value, list):
                value = json.dumps(value, ensure_ascii=False)
            elif kind is Kind.FLOAT and value is not None:
                value = float(value) * metric.scale + metric.offset
            elif kind is Kind.ARRAY and value is not None and value.dtype == np.uint64:
                value = value.astype(np.float64)
            try:
                builder.add(metric.handle, kind, value, ns, code)
            except TypeError:
                self.sink.count("sparkplug_value_misfits")
                continue
            self._last_ns[slot] = max(self._last_ns[slot], ns)
            if kind is Kind.TEXT and isinstance(value, str):
                self._last_heap[slot] = value.encode()
            elif not kind.is_heap:
                cell = np.float64(value if value is not None else np.nan).view(np.int64)
                self._last_cell[slot] = cell if kind is Kind.FLOAT else int(value or 0)
        return builder.build()

    # --- values by the batch

    def decode(self, data: Sequence[Data], scan: Scan, is_sure: NDArray[np.bool_]) -> list[Frame]:
        """The frames of DATA messages. A node with a metric that is unknown is not sure any more.

        Args:
            is_sure: by message; what is not sure is uncertain.
        """
        payloads = [raw for raw, _, _ in data]
        got = self.decoder.decode(
            payloads,
            [node.alias_scope for _, node, _ in data],
            [device.name_scope for _, _, device in data],
            scan,
        )
        count = self.sink.count
        if got.is_malformed.any():
            count("sparkplug_malformed", int(got.is_malformed.sum()))
        takes = got.fate == TAKEN
        if not takes.all():
            n_unknown = int((got.fate == UNKNOWN).sum())
            if n_unknown:
                count("sparkplug_unknown_metric", n_unknown)
                for i in np.unique(got.message[got.fate == UNKNOWN]).tolist():
                    data[i][1].is_sure = False
            n_misfit = int((got.fate == MISFIT).sum())
            if n_misfit:
                count("sparkplug_value_misfits", n_misfit)
            self._read_complex(got.span, got.message, got.fate == COMPLEX, scan, data, is_sure)
        slot = got.slot
        point = np.full(len(slot), NO_HANDLE, np.uint32)
        point[takes] = self._handles[slot[takes]]
        left_out = int((point[takes] == NO_HANDLE).sum()) if takes.any() else 0
        if left_out:
            count("samples_left_out", left_out)
            takes &= point != NO_HANDLE
        codes, source_ns, cell = got.quality, got.source_ns, got.cell
        source_ns[source_ns == 0] = self.received_ns
        if not is_sure.all():
            codes[~is_sure[got.message] & (codes == 0)] = quality.UNCERTAIN
        if not takes.all():
            slot, point, cell = slot[takes], point[takes], cell[takes]
            codes, source_ns = codes[takes], source_ns[takes]
        self._convert(slot, cell)
        self._last_cell[slot] = cell
        self._last_ns[slot] = source_ns
        if got.heap:
            kinds = self.decoder.kind[slot]
            for i in np.flatnonzero(kinds == Kind.TEXT).tolist():
                start, size = int(cell[i]) >> 32, int(cell[i]) & 0xFFFF_FFFF
                self._last_heap[int(slot[i])] = got.heap[start : start + size]
        return [Frame(point, cell, codes, source_ns, got.heap), *self.noted()]

    def _convert(self, slot: NDArray[np.int32], cell: NDArray[np.int64]) -> None:
        """Converts values of metrics that were born again in another unit."""
        for i in self._scaled:
            metric, here = self.slots[i], np.flatnonzero(slot == i)
            if self.decoder.kind[i] == Kind.FLOAT:
                numbers = cell[here].view(np.float64) * metric.scale + metric.offset
                cell[here] = numbers.view(np.int64)

    def _read_complex(
        self,
        span: NDArray[np.int64],
        message: NDArray[np.int32],
        is_complex: NDArray[np.bool_],
        scan: Scan,
        data: Sequence[Data],
        is_sure: NDArray[np.bool_],
    ) -> None:
        """Metrics that only the general codec can read."""
        for (start, end), i in zip(
            span[is_complex].tolist(), message[is_complex].tolist(), strict=True
        ):
            raw, node, device = data[i]
            base = int(scan.ends[i]) - len(raw)
            try:
                metric = codec.decode_metric(raw, start - base, end - base)
            except codec.MalformedPayload:
                self.sink.count("sparkplug_malformed")
                continue
            number = self.decoder.slot_of(
                node.alias_scope, device.name_scope, metric.alias, metric.name
            )
            if number == self._ignored:
                self.sink.count("sparkplug_not_mirrored")
                continue
            slot = self.slots[number]
            if metric.datatype not in (0, slot.datatype):
                self.sink.count("sparkplug_value_misfits")
                continue
            for part, name, datatype in parts_of(metric, slot.name, slot.datatype):
                found = self.find(slot.twin, name)
                if found < 0:
                    if datatype != DataType.TEMPLATE:
                        self.sink.count("sparkplug_unknown_metric")
                    continue
                time_ms = part.timestamp_ms or metric.timestamp_ms or timestamp_of(raw)
                self.note(found, part, datatype, time_ms, is_sure=bool(is_sure[i]))

    # --- what is dead

    def dead(self, numbers: Sequence[int]) -> list[Frame]:
        """The last values of slots whose source is gone: still the last, and no longer usable.

        Their quality changes one nanosecond after the last sample: the source says no more about
        when, and a source whose clock is behind ours must be able to come back.
        """
        known = [
            slot for slot in numbers if self._last_ns[slot] and self.slots[slot].handle != NO_HANDLE
        ]
        if not known:
            return []
        at = np.array(known)
        cell, heap = self._last_cell[at], bytearray()
        for i, slot in enumerate(known):
            if Kind(int(self.decoder.kind[slot])).is_heap:
                last = self._last_heap.get(slot, b"")
                cell[i] = len(heap) << 32 | len(last)
                heap += last
        self._last_ns[at] += 1
        codes = np.full(len(known), quality.BAD_NO_COMMUNICATION, np.uint32)
        return [Frame(self._handles[at], cell, codes, self._last_ns[at], bytes(heap))]
