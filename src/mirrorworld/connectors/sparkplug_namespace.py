"""The Sparkplug B namespace of a broker: edge nodes and devices, from birth to death.

    spBv1.0/GROUP/NBIRTH/NODE            → twin `source/GROUP/NODE`, its metrics are points
    spBv1.0/GROUP/DBIRTH/NODE/DEVICE     → twin `source/GROUP/NODE/DEVICE`

Checks sequence numbers, matches deaths to births, asks for a rebirth where it cannot know what an
alias means, and remembers births, so that data which waited at the broker can be read after a
restart. Clauses are those of Eclipse Sparkplug 3.0.0.
"""

from __future__ import annotations

import hashlib
import json
import struct
import time
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mirrorworld import units
from mirrorworld.connectors import sparkplug_payload as codec
from mirrorworld.connectors.guesses import iri_level
from mirrorworld.connectors.sparkplug_compiled import COMPLEX, MISFIT, TAKEN, UNKNOWN
from mirrorworld.connectors.sparkplug_decode import DataDecoder, warm_beside
from mirrorworld.connectors.sparkplug_payload import DataType, Metric, Template
from mirrorworld.connectors.topics import NO_HANDLE, TopicTwins
from mirrorworld.world import quality
from mirrorworld.world.changes import Command, Severity
from mirrorworld.world.frames import Frame, FrameBuilder
from mirrorworld.world.model import Kind, OperationType, PointType, Property, Text, Twin, TwinType
from mirrorworld.world.ports import Sink

PREFIX: Final = b"spBv1.0/"

GROUP_TYPE: Final = TwinType("sparkplug:Group", Text((("en", "Sparkplug group"),)))
NODE_TYPE: Final = TwinType(
    "sparkplug:EdgeNode",
    Text((("en", "Sparkplug edge node"),)),
    operations=(
        OperationType(
            "Rebirth", description=Text((("en", "Say again what metrics there are (§6.4.22)"),))
        ),
    ),
)
DEVICE_TYPE: Final = TwinType("sparkplug:Device", Text((("en", "Sparkplug device"),)))
HOST_TYPE: Final = TwinType("sparkplug:Host", Text((("en", "Sparkplug host application"),)))

_CONTROL: Final = "Node Control/"
_NOT_POINTS: Final = ("bdSeq", _CONTROL, "Device Control/")
_UNIT_KEYS: Final = ("engUnit", "engUnits", "EngUnit", "Engineering Units", "unit", "units")
_LOW_KEYS: Final = ("engLow", "EngLow", "low")
_HIGH_KEYS: Final = ("engHigh", "EngHigh", "high")
_TEXT_KEYS: Final = ("documentation", "Documentation", "description", "tooltip")

REMEMBERED_BYTES: Final = 16 << 20
"""Largest set of births of one node that is remembered over a restart."""


class Publish(Protocol):
    """How a rebirth is asked for."""

    def __call__(self, topic: str, payload: bytes, *, qos: int) -> Awaitable[int]: ...


@dataclass(slots=True)
class _Device:
    """A device, or (with the name "") the node's own metrics."""

    name: str
    twin: str
    name_scope: int
    slots: set[int] = field(default_factory=set)
    is_alive: bool = False


@dataclass(slots=True)
class _Node:
    group: str
    name: str
    twin: str
    alias_scope: int = -1
    """-1: no birth is known, so no alias either."""
    bd_seq: int | None = None
    seq: int = -1
    """Of the last message; -1: unknown."""
    is_sure: bool = False
    """Whether no message has been missed since the birth: another could have been one of them."""
    asked_s: float = -1e9
    wait_s: float = 0.0
    devices: dict[str, _Device] = field(default_factory=dict)


@dataclass(slots=True)
class _Metric:
    """Where a slot's values go."""

    twin: str
    point: str
    handle: int = NO_HANDLE
    scale: float = 1.0
    offset: float = 0.0
    alias: int | None = None
    datatype: int = 0
    name: str = ""
    is_part: bool = False
    """Of a template, and so not to be written alone."""


def kind_of(datatype: int) -> Kind | None:
    """The kind of point for a data type; None for what is not mirrored (Bytes, File)."""
    if datatype in codec.WHOLE_BITS:
        return Kind.INT
    if datatype in (DataType.FLOAT, DataType.DOUBLE):
        return Kind.FLOAT
    if datatype == DataType.BOOLEAN:
        return Kind.BOOL
    if datatype in codec.ARRAY_DTYPES or datatype == DataType.BOOLEAN_ARRAY:
        return Kind.ARRAY
    if datatype in codec.TEXTS or datatype in (DataType.DATASET, DataType.STRING_ARRAY):
        return Kind.TEXT
    return None


class SparkplugNamespace:
    """Reads the messages of a broker's Sparkplug topics."""

    def __init__(
        self,
        twins: TopicTwins,
        publish: Publish | None,
        *,
        rebirth_interval_s: float = 10.0,
        state_dir: Path | None = None,
        use_compiled: bool | None = None,
    ) -> None:
        """
        Args:
            publish: how to ask for a rebirth; None: never ask.
            state_dir: where births are remembered; None: nowhere.
        """
        self._twins = twins
        self._publish = publish
        self._interval_s = rebirth_interval_s
        self._decoder = DataDecoder(use_compiled=use_compiled)
        self._nodes: dict[tuple[str, str], _Node] = {}
        self._metrics: list[_Metric] = []
        self._slot_of: dict[tuple[str, str], int] = {}
        self._handles: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._last_cell: NDArray[np.int64] = np.empty(0, np.int64)
        self._last_ns: NDArray[np.int64] = np.empty(0, np.int64)
        self._last_heap: dict[int, bytes] = {}
        self._routes: dict[bytes, tuple[str, ...]] = {}
        self._scaled: set[int] = set()
        self._ignored = -1
        self._next_scope = 0
        self._old_scopes: list[int] = []
        self._data: list[tuple[bytes, _Node, _Device]] = []
        self._values: list[tuple[int, Any, int, int]] = []
        source = hashlib.sha256(twins.source.encode()).hexdigest()[:12]
        self._folder = None if state_dir is None else state_dir / f"sparkplug-births-{source}"
        self._is_remembered = self._folder is None
        self._has_types = False
        self._is_warm = False
        self._sink: Sink
        self._received_ns = 0

    # --- a batch

    async def frames(
        self, topics: Sequence[bytes], payloads: Sequence[bytes], received_ns: int, sink: Sink
    ) -> list[Frame]:
        """The samples of a batch of messages, in order for each point."""
        self._sink, self._received_ns = sink, received_ns
        found: list[Frame] = []
        if not self._is_warm:
            self._is_warm = True
            warm_beside()
        if not self._is_remembered:
            self._is_remembered = True
            self._remember_births()
            self._values.clear()
        for topic, payload in zip(topics, payloads, strict=True):
            route = self._route(topic)
            if route is None:
                sink.count("sparkplug_unknown_topic")
                continue
            type_ = route[0]
            try:
                if type_ in ("NDATA", "DDATA"):
                    await self._take_data(route, payload)
                elif type_ in ("NBIRTH", "DBIRTH"):
                    if self._data:
                        found += await self._flush()
                    self._take_birth(topic, route, payload)
                elif type_ in ("NDEATH", "DDEATH"):
                    found += await self._flush()
                    found += self._take_death(route, payload)
                elif type_ == "STATE":
                    self._take_state(route, payload)
            except codec.MalformedPayload:
                sink.count("sparkplug_malformed")
        return [*found, *await self._flush()]

    def _route(self, topic: bytes) -> tuple[str, ...] | None:
        """(type, group, node, device) of a topic."""
        route = self._routes.get(topic)
        if route is None:
            try:
                levels = topic.decode().split("/")
            except UnicodeDecodeError:
                return None
            if len(levels) >= 3 and levels[1] == "STATE":
                route = ("STATE", "/".join(levels[2:]))
            elif len(levels) == 4 and levels[2] in ("NBIRTH", "NDEATH", "NDATA", "NCMD"):
                route = (levels[2], levels[1], levels[3], "")
            elif len(levels) == 5 and levels[2] in ("DBIRTH", "DDEATH", "DDATA", "DCMD"):
                route = (levels[2], levels[1], levels[3], levels[4])
            else:
                return None
            if len(self._routes) < 1_000_000:
                self._routes[topic] = route
        return route

    # --- nodes and devices

    def _node(self, group: str, name: str) -> _Node:
        node = self._nodes.get((group, name))
        if node is None:
            if not self._has_types:
                self._has_types = True
                for type_ in (GROUP_TYPE, NODE_TYPE, DEVICE_TYPE, HOST_TYPE):
                    self._twins.put_type(type_)
            group_twin = f"{self._twins.source}/{iri_level(group)}"
            if group_twin not in self._twins.twins:
                twin = Twin(
                    group_twin, GROUP_TYPE.id, Text.of(group), (Property("group_id", group),)
                )
                self._twins.put(twin, self._twins.source, f"Sparkplug group '{group}'")
            node = _Node(group, name, f"{group_twin}/{iri_level(name)}")
            self._nodes[group, name] = node
            self._declare_twin(
                node.twin, NODE_TYPE, name, group_twin, f"Sparkplug edge node '{name}'"
            )
        return node

    def _declare_twin(
        self, twin: str, type_: TwinType, name: str, parent: str, guess: str, *more: Property
    ) -> None:
        known = self._twins.twins.get(twin)
        properties = (Property("sparkplug_id", name), *more)
        if known is None or known.type != type_.id or (more and known.properties != properties):
            self._twins.put(Twin(twin, type_.id, Text.of(name), properties), parent, guess)

    def _device(self, node: _Node, name: str) -> _Device:
        device = node.devices.get(name)
        if device is None:
            twin = f"{node.twin}/{iri_level(name)}" if name else node.twin
            device = _Device(name, twin, self._new_scope())
            node.devices[name] = device
            if name:
                guess = f"Sparkplug device '{name}' of edge node '{node.name}'"
                self._declare_twin(twin, DEVICE_TYPE, name, node.twin, guess)
        return device

    def _new_scope(self) -> int:
        self._next_scope += 1
        return self._next_scope

    # --- births

    def _take_birth(self, topic: bytes, route: Sequence[str], raw: bytes) -> None:
        """NBIRTH starts a node anew: its aliases and its devices (§6.4.19); DBIRTH adds one."""
        type_, group, name, device_name = route
        payload = codec.decode(raw)
        node = self._node(group, name)
        if type_ == "NBIRTH":
            if node.alias_scope >= 0:
                self._old_scopes.append(node.alias_scope)
            node.alias_scope = self._new_scope()
            node.bd_seq = next(
                (m.value for m in payload.metrics if m.name == "bdSeq" and m.field in (10, 11)),
                None,
            )
            node.is_sure = True
        elif node.alias_scope < 0:
            self._sink.count("sparkplug_birth_without_node")
            node.alias_scope = self._new_scope()
        else:
            self._follow(node, payload.seq)
        if payload.seq is not None:
            node.seq = payload.seq
        device = self._device(node, device_name)
        self._old_scopes.append(device.name_scope)
        device.name_scope = self._new_scope()
        device.is_alive = True
        device.slots = set()
        unrecognised: list[Property] = []
        for metric in payload.metrics:
            self._bear(node, device, metric, payload.timestamp_ms, unrecognised)
        if unrecognised:
            self._tell_units(node, device, unrecognised)
        self._keep_birth(node, topic, raw, is_first=type_ == "NBIRTH")

    def _tell_units(self, node: _Node, device: _Device, given: list[Property]) -> None:
        """Keeps units that are not UCUM where people can see them."""
        self._sink.count("unit_unknown", len(given))
        type_, parent = (DEVICE_TYPE, node.twin) if device.name else (NODE_TYPE, "")
        self._declare_twin(
            device.twin,
            type_,
            device.name or node.name,
            parent,
            self._twins.guesses.get(device.twin, ""),
            Property("unrecognised_units", tuple(given)),
        )

    def _bear(
        self,
        node: _Node,
        device: _Device,
        metric: Metric,
        time_ms: int | None,
        unrecognised: list[Property],
    ) -> None:
        if not metric.name:
            self._sink.count("sparkplug_metric_without_name")
            return
        slot = -1
        is_definition = isinstance(metric.value, Template) and metric.value.is_definition
        is_point = not is_definition and not metric.name.startswith(_NOT_POINTS)
        if is_definition:
            self._sink.count("sparkplug_template_definition")
        parts = _parts(metric, metric.name, metric.datatype) if is_point else ()
        for part, name, datatype in parts:
            found = self._slot(
                device, part, name, datatype, unrecognised, is_part=part is not metric
            )
            if found < 0:
                continue
            device.slots.add(found)
            if part is metric:
                slot = found
            self._note_value(
                found, part, datatype, part.timestamp_ms or metric.timestamp_ms or time_ms
            )
        if slot < 0 and is_point and metric.datatype == DataType.TEMPLATE:
            slot = self._template_slot(device, metric)
        if slot < 0:
            slot = self._ignored_slot()
        if metric.alias is not None:
            self._decoder.put_alias(node.alias_scope, metric.alias, slot)
            if slot != self._ignored:
                self._metrics[slot].alias = metric.alias
        self._decoder.put_name(device.name_scope, metric.name.encode(), slot)

    def _slot(
        self,
        device: _Device,
        metric: Metric,
        name: str,
        datatype: int,
        unrecognised: list[Property],
        *,
        is_part: bool,
    ) -> int:
        """The slot of a metric; -1 if it stays out."""
        kind = kind_of(datatype)
        if kind is None:
            if datatype != DataType.TEMPLATE:
                self._sink.count("sparkplug_type_not_mirrored")
            return -1
        point, raw_unit = _describe(metric, name, kind)
        if raw_unit:
            unrecognised.append(Property(name, raw_unit))
        known = self._twins.point(device.twin, name)
        scale, offset = 1.0, 0.0
        if known is not None:
            if known.kind is not kind and not (known.kind is Kind.FLOAT and kind is Kind.INT):
                self._twins.report(
                    device.twin,
                    name,
                    "type_changed",
                    f"born as {kind.name}, is {known.kind.name}; its samples are left out",
                    Severity.MEDIUM,
                )
                self._sink.count("samples_left_out")
                return -1
            if point.unit != known.unit and point.unit and known.unit:
                try:
                    scale, offset = units.linear(point.unit, known.unit, f"{device.twin}.{name}")
                except units.UnitError as error:
                    self._twins.report(
                        device.twin, name, "unit_does_not_fit", str(error), Severity.MEDIUM
                    )
                    self._sink.count("unit_does_not_fit")
                    return -1
            kind = known.kind
        elif not self._twins.add(device.twin, point, self._sink):
            return -1
        slot = self._new_slot(device.twin, name)
        entry = self._metrics[slot]
        entry.scale, entry.offset, entry.datatype, entry.name = scale, offset, datatype, name
        entry.alias, entry.is_part = None, is_part
        if (scale, offset) == (1.0, 0.0):
            self._scaled.discard(slot)
        else:
            self._scaled.add(slot)
        self._decoder.set_slot(slot, kind, datatype)
        return slot

    def _template_slot(self, device: _Device, metric: Metric) -> int:
        """A template has no value of its own; its slot leads to the general codec."""
        slot = self._new_slot(device.twin, metric.name + "/")
        self._metrics[slot].name, self._metrics[slot].datatype = metric.name, DataType.TEMPLATE
        self._decoder.set_slot(slot, Kind.TEXT, DataType.TEMPLATE)
        return slot

    def _ignored_slot(self) -> int:
        """What is known and not mirrored is told apart from what is unknown by this slot."""
        if self._ignored < 0:
            self._ignored = self._new_slot("", "")
            self._decoder.set_slot(self._ignored, Kind.TEXT, DataType.UNKNOWN)
        return self._ignored

    def _new_slot(self, twin: str, point: str) -> int:
        slot = self._slot_of.get((twin, point))
        if slot is None:
            slot = self._slot_of[twin, point] = len(self._metrics)
            self._metrics.append(_Metric(twin, point))
        return slot

    def _note_value(self, slot: int, metric: Metric, datatype: int, time_ms: int | None) -> None:
        """Keeps a value read by the general codec for the next flush."""
        try:
            value = None if metric.is_null or not metric.field else codec.typed(metric, datatype)
        except ValueError:
            self._sink.count("sparkplug_value_misfits")
            return
        code = quality.BAD_NO_DATA if value is None else _quality_of(metric)
        ns = time_ms * 1_000_000 if time_ms and time_ms < 1 << 43 else self._received_ns
        self._values.append((slot, value, ns, code))

    # --- data

    async def _take_data(self, route: Sequence[str], raw: bytes) -> None:
        _, group, name, device_name = route
        node = self._node(group, name)
        device = self._device(node, device_name)
        if node.alias_scope < 0:
            self._sink.count("sparkplug_data_before_birth")
            await self._ask_rebirth(node)
            return
        self._data.append((raw, node, device))

    def _follow(self, node: _Node, seq: int | None) -> None:
        """Checks that a message follows the one before (§6.4.20): modulo 256, without a gap."""
        if seq is None:
            return
        if node.seq >= 0 and seq == node.seq:
            self._sink.count("sparkplug_repeated")
            return
        if node.seq >= 0 and seq != (node.seq + 1) % 256:
            self._sink.count("sparkplug_sequence_gap")
            node.is_sure = False
        node.seq = seq

    async def _ask_rebirth(self, node: _Node) -> None:
        """Asks a node to say again what its metrics are (§6.4.22): the one thing that this
        writes unasked, at most once in an interval, and never with option rebirth=false."""
        now_s = time.monotonic()
        wait_s = node.wait_s or self._interval_s
        if self._publish is None or now_s - node.asked_s < wait_s:
            return
        # A node whose births do not help is asked ever more seldom.
        was_lately = now_s - node.asked_s < 10 * wait_s
        node.wait_s = min(2 * wait_s, 600.0) if was_lately else self._interval_s
        node.asked_s = now_s
        metric = Metric(_CONTROL + "Rebirth", datatype=DataType.BOOLEAN, field=14, value=True)
        payload = codec.encode([metric], self._received_ns // 1_000_000)
        try:
            await self._publish(f"spBv1.0/{node.group}/NCMD/{node.name}", payload, qos=0)
            self._sink.count("sparkplug_rebirth_asked")
        except OSError:
            node.asked_s = -1e9

    async def _flush(self) -> list[Frame]:
        """Declares what was born and reads what is collected."""
        await self._twins.declare(self._sink)
        if len(self._handles) != len(self._metrics):
            self._resolve()
        found: list[Frame] = []
        if self._values:
            values, self._values = self._values, []
            found.append(self._build(values))
        if self._data:
            data, self._data = self._data, []
            found += await self._decode(data)
        if self._old_scopes:
            for scope in self._old_scopes:
                self._decoder.drop_scope(scope)
            self._old_scopes.clear()
        return [frame for frame in found if len(frame)]

    def _resolve(self) -> None:
        n = len(self._handles)
        new = self._metrics[n:]
        for metric in new:
            metric.handle = self._twins.handle(metric.twin, metric.point)
        handles = np.fromiter((metric.handle for metric in new), np.uint32, len(new))
        self._handles = np.concatenate([self._handles, handles])
        self._last_cell = np.concatenate([self._last_cell, np.zeros(len(new), np.int64)])
        self._last_ns = np.concatenate([self._last_ns, np.zeros(len(new), np.int64)])

    def _build(self, values: Sequence[tuple[int, Any, int, int]]) -> Frame:
        """A frame of values read one by one."""
        builder = FrameBuilder()
        for slot, value, ns, code in values:
            metric = self._metrics[slot]
            kind = Kind(int(self._decoder.kind[slot]))
            if metric.handle == NO_HANDLE:
                self._sink.count("samples_left_out")
                continue
            if isinstance(value, codec.DataSet):
                value = _table_json(value)
            elif isinstance(value, list):
                value = json.dumps(value, ensure_ascii=False)
            elif kind is Kind.FLOAT and value is not None:
                value = float(value) * metric.scale + metric.offset
            elif kind is Kind.ARRAY and value is not None and value.dtype == np.uint64:
                value = value.astype(np.float64)
            try:
                builder.add(metric.handle, kind, value, ns, code)
            except TypeError:
                self._sink.count("sparkplug_value_misfits")
                continue
            self._last_ns[slot] = max(self._last_ns[slot], ns)
            if kind is Kind.TEXT and isinstance(value, str):
                self._last_heap[slot] = value.encode()
            elif not kind.is_heap:
                cell = np.float64(value if value is not None else np.nan).view(np.int64)
                self._last_cell[slot] = cell if kind is Kind.FLOAT else int(value or 0)
        return builder.build()

    async def _decode(self, data: Sequence[tuple[bytes, _Node, _Device]]) -> list[Frame]:
        payloads = [raw for raw, _, _ in data]
        scan = self._decoder.scan(payloads)
        is_sure = np.ones(len(data), np.bool_)
        for i, seq in enumerate(scan.sequence.tolist()):
            node = data[i][1]
            if not scan.is_malformed[i]:
                self._follow(node, seq if seq >= 0 else None)
            if not node.is_sure:
                is_sure[i] = False
                await self._ask_rebirth(node)
        got = self._decoder.decode(
            payloads,
            [node.alias_scope for _, node, _ in data],
            [device.name_scope for _, _, device in data],
            scan,
        )
        count = self._sink.count
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
            self._read_complex(got.span[got.fate == COMPLEX], got.message, got.fate, payloads, data)
        slot = got.slot
        point = np.full(len(slot), NO_HANDLE, np.uint32)
        point[takes] = self._handles[slot[takes]]
        left_out = int((point[takes] == NO_HANDLE).sum()) if takes.any() else 0
        if left_out:
            count("samples_left_out", left_out)
            takes &= point != NO_HANDLE
        codes, source_ns, cell = got.quality, got.source_ns, got.cell
        source_ns[source_ns == 0] = self._received_ns
        if not is_sure.all():
            codes[~is_sure[got.message] & (codes == 0)] = quality.UNCERTAIN
        if not takes.all():
            slot, point, cell = slot[takes], point[takes], cell[takes]
            codes, source_ns = codes[takes], source_ns[takes]
        self._convert(slot, cell)
        self._last_cell[slot] = cell
        self._last_ns[slot] = source_ns
        if got.heap:
            kinds = self._decoder.kind[slot]
            for i in np.flatnonzero(kinds == Kind.TEXT).tolist():
                start, size = int(cell[i]) >> 32, int(cell[i]) & 0xFFFF_FFFF
                self._last_heap[int(slot[i])] = got.heap[start : start + size]
        frames = [Frame(point, cell, codes, source_ns, got.heap)]
        if self._values:
            values, self._values = self._values, []
            frames.append(self._build(values))
        return frames

    def _convert(self, slot: NDArray[np.int32], cell: NDArray[np.int64]) -> None:
        """Converts values of metrics that were born again in another unit."""
        for i in self._scaled:
            metric, here = self._metrics[i], np.flatnonzero(slot == i)
            if self._decoder.kind[i] == Kind.FLOAT:
                numbers = cell[here].view(np.float64) * metric.scale + metric.offset
                cell[here] = numbers.view(np.int64)

    def _read_complex(
        self,
        spans: NDArray[np.int64],
        message: NDArray[np.int32],
        fate: NDArray[np.uint8],
        payloads: Sequence[bytes],
        data: Sequence[tuple[bytes, _Node, _Device]],
    ) -> None:
        """Metrics that only the general codec can read."""
        starts = np.cumsum([0, *(len(p) for p in payloads)])
        for (start, end), i in zip(spans.tolist(), message[fate == COMPLEX].tolist(), strict=True):
            raw, node, device = data[i]
            base = int(starts[i])
            try:
                metric = codec.decode_metric(raw, start - base, end - base)
            except codec.MalformedPayload:
                self._sink.count("sparkplug_malformed")
                continue
            slot = self._decoder.slot_of(
                node.alias_scope, device.name_scope, metric.alias, metric.name
            )
            if slot == self._ignored:
                self._sink.count("sparkplug_not_mirrored")
                continue
            entry = self._metrics[slot]
            if metric.datatype not in (0, entry.datatype):
                self._sink.count("sparkplug_value_misfits")
                continue
            for part, name, datatype in _parts(metric, entry.name, entry.datatype):
                found = self._slot_of.get((entry.twin, name), -1)
                if found < 0:
                    if datatype != DataType.TEMPLATE:
                        self._sink.count("sparkplug_unknown_metric")
                    continue
                time_ms = part.timestamp_ms or metric.timestamp_ms or _timestamp(raw)
                self._note_value(found, part, datatype, time_ms)

    # --- deaths

    def _take_death(self, route: Sequence[str], raw: bytes) -> list[Frame]:
        """What a dead node or device said last is still its last value, and no longer usable.

        Its quality changes one nanosecond after its last sample: the source says no more about
        when, and a source whose clock is behind ours must be able to come back.
        """
        type_, group, name, device_name = route
        node = self._node(group, name)
        if type_ == "NDEATH":
            payload = codec.decode(raw)
            bd_seq = next((m.value for m in payload.metrics if m.name == "bdSeq"), None)
            if bd_seq is not None and node.bd_seq is not None and bd_seq != node.bd_seq:
                self._sink.count("sparkplug_death_of_an_earlier_birth")
                return []
            dead = list(node.devices.values())
            node.seq = -1
        else:
            self._follow(node, codec.decode(raw).seq)
            dead = [self._device(node, device_name)]
        slots = sorted({slot for device in dead if device.is_alive for slot in device.slots})
        for device in dead:
            device.is_alive = False
        known = [
            slot
            for slot in slots
            if self._last_ns[slot] and self._metrics[slot].handle != NO_HANDLE
        ]
        if not known:
            return []
        at = np.array(known)
        cell, heap = self._last_cell[at], bytearray()
        for i, slot in enumerate(known):
            if Kind(int(self._decoder.kind[slot])).is_heap:
                last = self._last_heap.get(slot, b"")
                cell[i] = len(heap) << 32 | len(last)
                heap += last
        self._last_ns[at] += 1
        codes = np.full(len(known), quality.BAD_NO_COMMUNICATION, np.uint32)
        return [Frame(self._handles[at], cell, codes, self._last_ns[at], bytes(heap))]

    def _take_state(self, route: Sequence[str], raw: bytes) -> None:
        """A host application's STATE (§6.4.26; the words of 2.2 are understood too)."""
        host = route[1]
        twin = f"{self._twins.source}/STATE/{iri_level(host)}"
        time_ms = None
        try:
            state = json.loads(raw)
            is_online = bool(state["online"])
            stamp = state.get("timestamp")
            time_ms = stamp if isinstance(stamp, int) else None
        except (ValueError, KeyError, TypeError, AttributeError):
            if raw not in (b"ONLINE", b"OFFLINE"):
                self._sink.count("sparkplug_malformed")
                return
            is_online = raw == b"ONLINE"
        if not self._has_types:
            self._has_types = True
            for type_ in (GROUP_TYPE, NODE_TYPE, DEVICE_TYPE, HOST_TYPE):
                self._twins.put_type(type_)
        guess = f"Sparkplug host application '{host}'"
        self._declare_twin(twin, HOST_TYPE, host, self._twins.source, guess)
        if self._twins.add(twin, PointType("online", Kind.BOOL), self._sink):
            slot = self._new_slot(twin, "online")
            self._decoder.set_slot(slot, Kind.BOOL, DataType.BOOLEAN)
            ns = time_ms * 1_000_000 if time_ms else self._received_ns
            self._values.append((slot, is_online, ns, 0))

    # --- births over a restart

    def _file(self, node: _Node) -> Path:
        assert self._folder is not None
        digest = hashlib.sha256(f"{node.group}\n{node.name}".encode()).hexdigest()
        return self._folder / f"{digest[:24]}.births"

    def _keep_birth(self, node: _Node, topic: bytes, raw: bytes, *, is_first: bool) -> None:
        """Remembers a birth: data that waits at the broker while we are away needs it."""
        if self._folder is None:
            return
        record = struct.pack("<II", len(topic), len(raw)) + topic + raw
        path = self._file(node)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if is_first:
                new = path.with_suffix(".new")
                new.write_bytes(record)
                new.replace(path)
            elif path.exists() and path.stat().st_size + len(record) <= REMEMBERED_BYTES:
                with path.open("ab") as file:
                    file.write(record)
        except OSError:
            self._sink.count("sparkplug_birth_not_remembered")

    def _remember_births(self) -> None:
        """Reads births from before a restart. Nobody knows whether they still hold, so what is
        read by them is uncertain until the next birth."""
        folder, self._folder = self._folder, None
        for path in sorted(folder.glob("*.births")) if folder and folder.is_dir() else ():
            try:
                data = path.read_bytes()
                at = 0
                while at + 8 <= len(data):
                    n_topic, n_raw = struct.unpack_from("<II", data, at)
                    topic = data[at + 8 : at + 8 + n_topic]
                    raw = data[at + 8 + n_topic : at + 8 + n_topic + n_raw]
                    at += 8 + n_topic + n_raw
                    route = self._route(topic)
                    if route is not None and len(raw) == n_raw:
                        self._take_birth(topic, route, raw)
            except (OSError, codec.MalformedPayload):
                self._sink.count("sparkplug_birth_not_remembered")
        for node in self._nodes.values():
            node.is_sure, node.seq = False, -1
        self._folder = folder

    # --- commands

    def has(self, twin: str) -> bool:
        """Whether a twin is an edge node or a device."""
        return any(twin == d.twin for n in self._nodes.values() for d in n.devices.values())

    def command(self, command: Command, now_ns: int) -> tuple[str, bytes]:
        """(topic, payload) of an NCMD or DCMD (§6.4.23, §6.4.24); ValueError says why not."""
        node, device = next(
            (n, d)
            for n in self._nodes.values()
            for d in n.devices.values()
            if d.twin == command.twin
        )
        kind = "DCMD" if device.name else "NCMD"
        topic = f"spBv1.0/{node.group}/{kind}/{node.name}"
        topic += f"/{device.name}" if device.name else ""
        if not device.is_alive:
            raise ValueError(f"{command.twin} is dead or has not been born yet")
        if command.operation:
            if command.operation != "Rebirth" or device.name:
                raise ValueError(f"{command.twin} has no operation '{command.operation}'")
            rebirth = Metric(_CONTROL + "Rebirth", datatype=DataType.BOOLEAN, value=True)
            return topic, codec.encode([rebirth], now_ns // 1_000_000)
        slot = self._slot_of.get((command.twin, command.point))
        if slot is None or slot not in device.slots:
            raise ValueError(f"{command.twin} has no metric '{command.point}'")
        entry = self._metrics[slot]
        value = command.value
        if (entry.scale, entry.offset) != (1.0, 0.0) and isinstance(value, int | float):
            value = (value - entry.offset) / entry.scale
        if entry.is_part:
            raise ValueError(f"{command.twin}.{command.point} is part of a template")
        metric = Metric(
            "" if entry.alias is not None else entry.name,
            alias=entry.alias,
            timestamp_ms=now_ns // 1_000_000,
            datatype=entry.datatype,
            value=value,
        )
        try:
            if value is None:
                raise ValueError("no value")
            return topic, codec.encode([metric], now_ns // 1_000_000)
        except (ValueError, TypeError, OverflowError, struct.error) as error:
            raise ValueError(f"{command.twin}.{command.point}: {error}") from error


# --- metrics in parts -----------------------------------------------------------------------


def _parts(metric: Metric, name: str, datatype: int) -> Iterator[tuple[Metric, str, int]]:
    """(metric, name, data type) of a metric and, if it is a template, of all that is in it."""
    yield metric, name, datatype
    if isinstance(metric.value, Template):
        for part in metric.value.metrics:
            if part.name:
                yield from _parts(part, f"{name}/{part.name}", part.datatype)


def _describe(metric: Metric, name: str, kind: Kind) -> tuple[PointType, str]:
    """(the point that a metric is, its unit as given if that is not UCUM)."""
    properties = metric.properties
    given = next((str(properties[k]) for k in _UNIT_KEYS if properties.get(k)), "")
    unit = units.guess(given) if given and kind <= Kind.INT else ""
    if metric.datatype == DataType.DATETIME:
        unit = "ms"
    said = next((str(properties[k]) for k in _TEXT_KEYS if properties.get(k)), "")
    point = PointType(
        name,
        kind,
        unit,
        _number(properties, _LOW_KEYS) if kind <= Kind.INT else None,
        _number(properties, _HIGH_KEYS) if kind <= Kind.INT else None,
        is_writable=not properties.get("readOnly", False) and kind is not Kind.ARRAY,
        description=Text.of(said),
    )
    return point, given if given and not unit else ""


def _number(properties: dict[str, Any], keys: Sequence[str]) -> float | None:
    for key in keys:
        value = properties.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
            return float(value)
    return None


def _quality_of(metric: Metric) -> int:
    """Quality from the metric's property (§6.4.18: 0 bad, 192 good, 500 stale)."""
    code = metric.properties.get("Quality")
    if code is None or code == 192:
        return quality.GOOD
    return quality.UNCERTAIN_LAST_USABLE if code == 500 else quality.BAD


def _table_json(table: codec.DataSet) -> str:
    return json.dumps({"columns": table.columns, "rows": table.rows}, ensure_ascii=False)


def _timestamp(raw: bytes) -> int | None:
    for number, wire, value in codec.fields(raw, 0, len(raw)):
        if number == 1 and wire == codec.VARINT:
            return int(value)
    return None
