"""The Sparkplug B namespace of a broker: edge nodes and devices, from birth to death.

    spBv1.0/GROUP/NBIRTH/NODE            → twin `source/GROUP/NODE`, its metrics are points
    spBv1.0/GROUP/DBIRTH/NODE/DEVICE     → twin `source/GROUP/NODE/DEVICE`
    its metric `F01/R003/Temperature`    → that point of the twin; with option `folders`, point
                                           `Temperature` of twin `source/GROUP/NODE/F01/R003`

Checks sequence numbers, matches deaths to births, asks for a rebirth where it cannot know what an
alias means, and remembers births, so that data which waited at the broker can be read after a
restart. Clauses are those of Eclipse Sparkplug 3.0.0.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from mirrorworld import units
from mirrorworld.connectors import sparkplug_payload as codec
from mirrorworld.connectors.guesses import iri_level
from mirrorworld.connectors.sparkplug_decode import warm_beside
from mirrorworld.connectors.sparkplug_memory import BirthMemory
from mirrorworld.connectors.sparkplug_metrics import (
    CONTROL,
    DEVICE_TYPE,
    FOLDER_TYPE,
    GROUP_TYPE,
    HOST_TYPE,
    NODE_TYPE,
    NOT_POINTS,
    Device,
    Node,
    describe,
    kind_of,
    parts_of,
)
from mirrorworld.connectors.sparkplug_payload import DataType, Metric, Template
from mirrorworld.connectors.sparkplug_samples import Data, Samples
from mirrorworld.connectors.topics import TopicTwins
from mirrorworld.world.changes import Command, Severity
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind, PointType, Property, Text, Twin, TwinType
from mirrorworld.world.ports import Sink

PREFIX: Final = b"spBv1.0/"


class Publish(Protocol):
    """How a rebirth is asked for."""

    def __call__(self, topic: str, payload: bytes, *, qos: int) -> Awaitable[int]: ...


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
        folders: bool = False,
    ) -> None:
        """
        Args:
            publish: how to ask for a rebirth; None: never ask.
            state_dir: where births are remembered; None: nowhere.
            folders: whether what stands before a `/` in a metric's name is a twin of its own.
        """
        self._twins = twins
        self._publish = publish
        self._interval_s = rebirth_interval_s
        self._samples = Samples(twins, use_compiled=use_compiled)
        self._nodes: dict[tuple[str, str], Node] = {}
        self._routes: dict[bytes, tuple[str, ...]] = {}
        self._next_scope = 0
        self._old_scopes: list[int] = []
        self._data: list[Data] = []
        self._memory = None if state_dir is None else BirthMemory(state_dir, twins.source)
        self._is_started = False
        self._has_types = False
        self._has_folders = folders
        self._folders: dict[tuple[str, str], str] = {}
        self._homes: dict[str, tuple[Node, Device]] = {}
        """Twin → whose metrics are its points."""
        self._sink: Sink

    # --- a batch

    async def frames(
        self, topics: Sequence[bytes], payloads: Sequence[bytes], received_ns: int, sink: Sink
    ) -> list[Frame]:
        """The samples of a batch of messages, in order for each point."""
        self._sink = self._samples.sink = sink
        self._samples.received_ns = received_ns
        found: list[Frame] = []
        if not self._is_started:
            self._is_started = True
            warm_beside()
            self._recall_births()
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

    def _node(self, group: str, name: str) -> Node:
        node = self._nodes.get((group, name))
        if node is None:
            self._put_types()
            group_twin = f"{self._twins.source}/{iri_level(group)}"
            if group_twin not in self._twins.twins:
                twin = Twin(
                    group_twin, GROUP_TYPE.id, Text.of(group), (Property("group_id", group),)
                )
                self._twins.put(twin, self._twins.source, f"Sparkplug group '{group}'")
            node = Node(group, name, f"{group_twin}/{iri_level(name)}")
            self._nodes[group, name] = node
            self._declare_twin(
                node.twin, NODE_TYPE, name, group_twin, f"Sparkplug edge node '{name}'"
            )
        return node

    def _put_types(self) -> None:
        if not self._has_types:
            self._has_types = True
            for type_ in (GROUP_TYPE, NODE_TYPE, DEVICE_TYPE, HOST_TYPE):
                self._twins.put_type(type_)

    def _declare_twin(
        self, twin: str, type_: TwinType, name: str, parent: str, guess: str, *more: Property
    ) -> None:
        known = self._twins.twins.get(twin)
        properties = (Property("sparkplug_id", name), *more)
        if known is None or known.type != type_.id or (more and known.properties != properties):
            self._twins.put(Twin(twin, type_.id, Text.of(name), properties), parent, guess)

    def _device(self, node: Node, name: str) -> Device:
        device = node.devices.get(name)
        if device is None:
            twin = f"{node.twin}/{iri_level(name)}" if name else node.twin
            device = Device(name, twin, self._new_scope())
            node.devices[name] = device
            self._homes[twin] = (node, device)
            if name:
                guess = f"Sparkplug device '{name}' of edge node '{node.name}'"
                self._declare_twin(twin, DEVICE_TYPE, name, node.twin, guess)
        return device

    def _folder(self, node: Node, device: Device, path: str) -> str:
        """The twin of a folder of metrics (§6.4.6: a `/` in a name makes a hierarchy)."""
        known = self._folders.get((device.twin, path))
        if known is None:
            above, _, level = path.rpartition("/")
            parent = self._folder(node, device, above) if above else device.twin
            known = self._folders[device.twin, path] = f"{parent}/{iri_level(level)}"
            self._homes[known] = (node, device)
            self._twins.put_type_once(FOLDER_TYPE)
            guess = f"folder '{path}' in the names of metrics of {device.twin}"
            self._declare_twin(known, FOLDER_TYPE, level or "(empty level)", parent, guess)
        return known

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

    def _tell_units(self, node: Node, device: Device, given: list[Property]) -> None:
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
        node: Node,
        device: Device,
        metric: Metric,
        time_ms: int | None,
        unrecognised: list[Property],
    ) -> None:
        if not metric.name:
            self._sink.count("sparkplug_metric_without_name")
            return
        slot = -1
        is_definition = isinstance(metric.value, Template) and metric.value.is_definition
        is_point = not is_definition and not metric.name.startswith(NOT_POINTS)
        if is_definition:
            self._sink.count("sparkplug_template_definition")
        parts = tuple(parts_of(metric, metric.name, metric.datatype)) if is_point else ()
        for part, name, datatype in parts:
            twin, is_part = device.twin, part is not metric
            if self._has_folders and "/" in name and not is_part and len(parts) == 1:
                path, _, name = name.rpartition("/")
                twin = self._folder(node, device, path)
            found = self._slot(twin, part, name, datatype, unrecognised, is_part=is_part)
            if found < 0:
                continue
            device.slots.add(found)
            if part is metric:
                slot = found
            at_ms = part.timestamp_ms or metric.timestamp_ms or time_ms
            self._samples.note(found, part, datatype, at_ms, is_sure=True)
        if slot < 0 and is_point and metric.datatype == DataType.TEMPLATE:
            slot = self._template_slot(device, metric)
        if slot < 0:
            slot = self._samples.ignored
        decoder = self._samples.decoder
        if metric.alias is not None:
            decoder.put_alias(node.alias_scope, metric.alias, slot)
            if slot != self._samples.ignored:
                self._samples.slots[slot].alias = metric.alias
        decoder.put_name(device.name_scope, metric.name.encode(), slot)

    def _slot(
        self,
        twin: str,
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
        point, raw_unit = describe(metric, name, kind)
        if raw_unit:
            unrecognised.append(Property(name, raw_unit))
        known = self._twins.point(twin, name)
        scale, offset = 1.0, 0.0
        if known is not None:
            if known.kind is not kind and not (known.kind is Kind.FLOAT and kind is Kind.INT):
                why = f"born as {kind.name}, is {known.kind.name}; its samples are left out"
                return self._leave_out(twin, name, "type_changed", why)
            if point.unit and known.unit and point.unit != known.unit:
                try:
                    scale, offset = units.linear(point.unit, known.unit, f"{twin}.{name}")
                except units.UnitError as error:
                    return self._leave_out(twin, name, "unit_does_not_fit", str(error))
                if known.kind is not Kind.FLOAT:
                    why = f"born in {point.unit}, is a whole number of {known.unit}"
                    return self._leave_out(twin, name, "unit_does_not_fit", why)
            kind = known.kind
            if point.kind is not kind or point.unit != (known.unit or point.unit):
                point = dataclasses.replace(point, kind=kind, unit=known.unit or point.unit)
        if not self._twins.add(twin, point, self._sink):
            return -1
        number = self._samples.make(twin, name, kind, datatype)
        self._samples.scale(number, scale, offset)
        slot = self._samples.slots[number]
        slot.name, slot.alias, slot.is_part = name, None, is_part
        slot.folder = "" if is_part else metric.name[: -len(name)]
        return number

    def _leave_out(self, twin: str, point: str, what: str, why: str) -> int:
        """Tells why a metric's samples are left out."""
        self._twins.report(twin, point, what, why, Severity.MEDIUM)
        self._sink.count("samples_left_out")
        return -1

    def _template_slot(self, device: Device, metric: Metric) -> int:
        """A template has no value of its own; its slot leads to the general codec."""
        number = self._samples.make(device.twin, metric.name + "/", Kind.TEXT, DataType.TEMPLATE)
        self._samples.slots[number].name = metric.name
        return number

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

    def _follow(self, node: Node, seq: int | None) -> None:
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

    async def _ask_rebirth(self, node: Node) -> None:
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
        metric = Metric(CONTROL + "Rebirth", datatype=DataType.BOOLEAN, field=14, value=True)
        payload = codec.encode([metric], self._samples.received_ns // 1_000_000)
        try:
            await self._publish(f"spBv1.0/{node.group}/NCMD/{node.name}", payload, qos=0)
            self._sink.count("sparkplug_rebirth_asked")
        except OSError:
            node.asked_s = -1e9

    async def _flush(self) -> list[Frame]:
        """Declares what was born and reads what is collected."""
        await self._twins.declare(self._sink)
        self._samples.resolve()
        found = self._samples.noted()
        if self._data:
            data, self._data = self._data, []
            scan = self._samples.decoder.scan([raw for raw, _, _ in data])
            is_sure = np.ones(len(data), np.bool_)
            for i, seq in enumerate(scan.sequence.tolist()):
                node = data[i][1]
                if not scan.is_malformed[i]:
                    self._follow(node, seq if seq >= 0 else None)
                if not node.is_sure:
                    is_sure[i] = False
                    await self._ask_rebirth(node)
            found += self._samples.decode(data, scan, is_sure)
        for scope in self._old_scopes:
            self._samples.decoder.drop_scope(scope)
        self._old_scopes.clear()
        return [frame for frame in found if len(frame)]

    # --- deaths

    def _take_death(self, route: Sequence[str], raw: bytes) -> list[Frame]:
        """NDEATH ends a node with its devices, if it is that of its last birth; DDEATH a device."""
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
        return self._samples.dead(slots)

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
        self._put_types()
        guess = f"Sparkplug host application '{host}'"
        self._declare_twin(twin, HOST_TYPE, host, self._twins.source, guess)
        if self._twins.add(twin, PointType("online", Kind.BOOL), self._sink):
            slot = self._samples.make(twin, "online", Kind.BOOL, DataType.BOOLEAN)
            ns = time_ms * 1_000_000 if time_ms else self._samples.received_ns
            self._samples.note_plain(slot, is_online, ns)

    # --- births over a restart

    def _keep_birth(self, node: Node, topic: bytes, raw: bytes, *, is_first: bool) -> None:
        if self._memory is None:
            return
        try:
            self._memory.keep(node.group, node.name, topic, raw, is_first=is_first)
        except OSError:
            self._sink.count("sparkplug_birth_not_remembered")

    def _recall_births(self) -> None:
        """Reads births from before a restart. Nobody knows whether they still hold, so what is
        read by them is uncertain until the next birth."""
        memory, self._memory = self._memory, None
        if memory is None:
            return
        try:
            for topic, raw in memory.recall():
                route = self._route(topic)
                if route is not None:
                    self._take_birth(topic, route, raw)
        except (OSError, codec.MalformedPayload):
            self._sink.count("sparkplug_birth_not_remembered")
        for node in self._nodes.values():
            node.is_sure, node.seq = False, -1
        self._samples.forget_noted()
        self._memory = memory

    # --- commands

    def has(self, twin: str) -> bool:
        """Whether a twin is an edge node, a device, or a folder of its metrics."""
        return twin in self._homes

    def command(self, command: Command, now_ns: int) -> tuple[str, bytes]:
        """(topic, payload) of an NCMD or DCMD (§6.4.23, §6.4.24); ValueError says why not."""
        node, device = self._homes[command.twin]
        kind = "DCMD" if device.name else "NCMD"
        topic = f"spBv1.0/{node.group}/{kind}/{node.name}"
        topic += f"/{device.name}" if device.name else ""
        if not device.is_alive:
            raise ValueError(f"{command.twin} is dead or has not been born yet")
        if command.operation:
            if command.operation != "Rebirth" or device.name:
                raise ValueError(f"{command.twin} has no operation '{command.operation}'")
            rebirth = Metric(CONTROL + "Rebirth", datatype=DataType.BOOLEAN, value=True)
            return topic, codec.encode([rebirth], now_ns // 1_000_000)
        number = self._samples.find(command.twin, command.point)
        if number not in device.slots:
            raise ValueError(f"{command.twin} has no metric '{command.point}'")
        entry = self._samples.slots[number]
        value = command.value
        if (entry.scale, entry.offset) != (1.0, 0.0) and isinstance(value, int | float):
            value = (value - entry.offset) / entry.scale
        if entry.is_part:
            raise ValueError(f"{command.twin}.{command.point} is part of a template")
        metric = Metric(
            "" if entry.alias is not None else entry.folder + entry.name,
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
