"""Payloads that say little of themselves: JSON of any nesting, plain numbers, texts.

The first message of a topic is looked at in full. What it looked like (names, order, types) is
compiled into a *shape*: a typed decoder and a getter, shared by all topics that look the same.
Later messages cost two calls into C each. A message that does not fit its topic's shape is
looked at in full again, so nothing is ever read by a shape that it does not have.

Knows topics and payloads; refuses to know connections.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from mirrorworld import units
from mirrorworld.connectors import guesses
from mirrorworld.connectors.json_shapes import (
    KINDS,
    LIST_LIMIT,
    REFUSED_HANDLE,
    TEXT_LIMIT_BYTES,
    Column,
    Describer,
    Shape,
    Signature,
    TooComplex,
    compile_shape,
    fill_column,
    is_loose,
    walk,
)
from mirrorworld.world import quality
from mirrorworld.world.changes import Severity
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind, PointType
from mirrorworld.world.ports import Sink

SHAPES_OF_TOPIC: Final = 64
SHAPES_LIMIT: Final = 5_000


class JsonTwins(Protocol):
    """What messages become: `topics.TopicTwins` for a broker's, `json_records.RecordTwins` for
    what is asked of or posted by a program."""

    def of_object(self, topic: str) -> str:
        """The twin of a topic that carries objects; "" if there are too many."""
        ...

    def of_scalar(self, topic: str) -> tuple[str, str]:
        """(twin, point) of a topic that carries one value; twin "" if there are too many."""
        ...

    def kind(self, twin: str, name: str) -> Kind | None: ...
    def point(self, twin: str, name: str) -> PointType | None: ...
    def add(self, twin: str, point: PointType, sink: Sink) -> bool: ...
    def handle(self, twin: str, point: str) -> int: ...
    def report(
        self, twin: str, point: str, what: str, message: str, severity: Severity
    ) -> None: ...
    async def declare(self, sink: Sink) -> None: ...


class BrokenJson(ValueError):
    """A payload that begins like JSON and is not."""


@dataclass(slots=True)
class Plan:
    """A topic's way through a shape."""

    shape: Shape
    index: int
    is_partial: bool
    """Whether its shape reads too much or too little: something stays out because it is known as
    something else, or a list may hold anything. Then each message is looked at in full."""


# --- topics ---------------------------------------------------------------------------------


class JsonTopics:
    """Reads messages of topics into frames; declares what it meets for the first time."""

    def __init__(
        self,
        twins: JsonTwins,
        *,
        zone: ZoneInfo | None = None,
        keeps_integers: bool = False,
        protocol: str = "mqtt",
    ) -> None:
        """`protocol` is what the names of counts begin with."""
        self._twins = twins
        self._protocol = protocol
        self._describer = Describer(zone, keeps_integers=keeps_integers)
        self._zone = zone
        self._plans: dict[bytes, Plan] = {}
        self._others: dict[bytes, dict[Signature, Plan]] = {}
        self._shapes: dict[Any, Shape] = {}
        self._used: dict[int, Shape] = {}
        self._new: list[tuple[Shape, int, str]] = []
        self._last_ns = 0
        self._sink: Sink

    async def frame(
        self,
        topics: Sequence[bytes],
        payloads: Sequence[bytes],
        retained: set[int],
        received_ns: int,
        sink: Sink,
    ) -> Frame | None:
        """The samples of a batch of messages, in order of arrival for each point.

        A message without a time of its own gets the time of its arrival; those of one batch
        follow each other by a nanosecond, so that two equal ones stay two.
        """
        self._sink = sink
        start_ns = max(received_ns, self._last_ns + 1)
        self._last_ns = start_ns + len(topics)
        plans = self._plans
        for i, topic in enumerate(topics):
            plan = plans.get(topic)
            if plan is not None:
                shape = plan.shape
                try:
                    shape.rows.append(shape.read(payloads[i]))
                except (msgspec.DecodeError, UnicodeDecodeError, TooComplex):
                    pass
                else:
                    shape.topics.append(plan.index)
                    shape.messages.append(i)
                    continue
            self._look(topic, payloads[i], i)
        if self._new:
            await self._resolve()
        heap = bytearray()
        parts = [
            part
            for shape in self._used.values()
            if shape.rows and (part := self._flush(shape, retained, start_ns, heap)) is not None
        ]
        if len(self._used) > len(self._shapes):
            self._used = {id(shape): shape for shape in self._shapes.values()}
        if not parts:
            return None
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        if len(parts) > 1:  # a topic may have changed its look: back to the order of arrival
            order = np.argsort(columns[-1], kind="stable")
            columns = [column[order] for column in columns]
        point, cell, codes, source_ns = (np.ascontiguousarray(c) for c in columns[:4])
        return Frame(point, cell, codes, source_ns, bytes(heap))

    # --- looking at a message in full

    def _look(self, topic: bytes, payload: bytes, message: int) -> None:
        """Finds or makes the plan of a message, and reads it."""
        if not payload:
            self._sink.count(f"{self._protocol}_empty_payload")
            return
        try:
            signature, payload, value = self._understand(payload)
        except BrokenJson:
            self._sink.count(f"{self._protocol}_broken_json")
            return
        except UnicodeDecodeError:
            self._sink.count(f"{self._protocol}_binary_payload")
            return
        except TooComplex:
            self._sink.count(f"{self._protocol}_too_complex")
            return
        if signature[0] == "rows":
            for item in value:
                self._look(topic, bytes(item), message)
            return
        known = self._others.get(topic, {})
        plan = known.get(signature)
        if plan is None:
            plan = self._plan(topic, signature)
            if plan is None:
                return  # of a topic that became nothing, nothing is kept
            self._others[topic] = known
            if len(known) < SHAPES_OF_TOPIC:
                known[signature] = plan
            else:
                self._sink.count(f"{self._protocol}_shape_not_kept")
        if not plan.is_partial:
            self._plans[topic] = plan
        shape = plan.shape
        shape.rows.append(shape.read(payload))
        shape.topics.append(plan.index)
        shape.messages.append(message)

    def _understand(self, payload: bytes) -> tuple[Signature, bytes, Any]:
        """(signature, the payload as strict JSON, value).

        Raises:
            BrokenJson, UnicodeDecodeError, TooComplex: it is none that can be mirrored.
        """
        try:
            value = msgspec.json.decode(payload)
        except (msgspec.DecodeError, RecursionError):
            text = payload.decode()
            if text.lstrip()[:1] in ("{", "["):
                return self._lenient(text)
            try:
                number = float(text)
            except ValueError:
                number = None
            if number is not None and "_" not in text:
                # `nan` and `inf`, or a number with blanks or a sign that JSON does not have.
                clean = msgspec.json.encode(number)
                return ("n" if number == number else "nan"), clean, number
            if len(payload) > TEXT_LIMIT_BYTES:
                raise TooComplex from None
            if any(c < " " and c not in "\t\r\n" for c in text):
                raise UnicodeDecodeError("utf-8", payload, 0, 1, "control characters") from None
            return "text", payload, text
        if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            described = [self._describer.describe(v) for v in value[:LIST_LIMIT]]
            if all(any(p in ("tn", "ts") for _, p in s[1]) for s in described):
                return ("rows",), payload, msgspec.json.decode(payload, type=list[msgspec.Raw])
        return self._describer.describe(value), payload, value

    def _lenient(self, text: str) -> tuple[Signature, bytes, Any]:
        """JSON with NaN and Infinity, as Python and others write it: they become null."""
        try:
            value = json.loads(text, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            raise BrokenJson from None
        self._sink.count(f"{self._protocol}_json_with_nan")
        return self._describer.describe(value), msgspec.json.encode(value), value

    def _plan(self, topic: bytes, signature: Signature) -> Plan | None:
        """A plan for a topic's messages of a look; declares their points."""
        try:
            name = topic.decode()
        except UnicodeDecodeError:
            self._sink.count(f"{self._protocol}_bad_topic")
            return None
        is_scalar = isinstance(signature, str)
        if is_scalar:
            twin, leaf = self._twins.of_scalar(name)
            if not twin:
                self._sink.count("over_max_points")
                return None
            kind = KINDS.get(signature)
            if kind is None and signature == "0":
                kind = self._twins.kind(twin, leaf)
            if kind is None:
                return None
            found = [("", Column(leaf, kind, -1, "", signature == "i"))]
            times: list[str] = []
        else:
            twin = self._twins.of_object(name)
            if not twin:
                self._sink.count("over_max_points")
                return None
            times = []
            found = []
            for place, column in walk(signature, (), -1, times):
                if column.kind is None:
                    known = self._twins.kind(twin, column.point)
                    if known is None:
                        continue
                    column = dataclasses.replace(column, kind=known)
                found.append((place, column))
        scales: list[tuple[float, float]] = []
        accepted: list[bool] = []
        for _, column in found:
            scale = self._accept(twin, column, signature)
            accepted.append(scale is not None)
            scales.append(scale or (1.0, 0.0))
        is_unknown = found and not any(accepted)
        if is_unknown and all(self._twins.point(twin, c.point) is None for _, c in found):
            return None  # there was no room for any of it, so none is taken by remembering it
        read_as = "n" if signature == "nan" else signature
        key = (read_as, tuple(column for _, column in found))
        shape = self._shapes.get(key)
        if shape is None:
            shape = compile_shape(read_as, found, times, self._describer)
            if len(self._shapes) < SHAPES_LIMIT:
                self._shapes[key] = shape
        self._used[id(shape)] = shape
        columns = np.array([0 if ok else REFUSED_HANDLE for ok in accepted], np.uint32)
        # Of a look that is not kept the place is used again, or each message would add one.
        index = shape.index.setdefault(twin, len(shape.handles))
        if index < len(shape.handles):
            shape.handles[index] = columns
        else:
            shape.handles.append(columns)
        shape.table = None
        shape.scales.pop(index, None)
        if any(s != (1.0, 0.0) for s in scales):
            factors = (np.array([s for s, _ in scales]), np.array([o for _, o in scales]))
            shape.scales[index] = factors
        self._new.append((shape, index, twin))
        is_partial = is_loose(signature) or any(
            not ok and self._twins.point(twin, column.point) is not None
            for ok, (_, column) in zip(accepted, found, strict=True)
        )
        return Plan(shape, index, is_partial)

    def _accept(
        self, twin: str, column: Column, signature: Signature
    ) -> tuple[float, float] | None:
        """Takes a column as a point: (scale, offset) to the point's unit, or None if it stays
        out because the point is known as something else."""
        unit = units.guess(column.unit) if column.unit else guesses.unit_of_name(column.point)[1]
        if column.unit and not unit:
            self._sink.count("unit_unknown")
        known = self._twins.point(twin, column.point)
        assert column.kind is not None
        if known is None:
            point = PointType(column.point, column.kind, unit if column.kind <= Kind.INT else "")
            return (1.0, 0.0) if self._twins.add(twin, point, self._sink) else None
        if known.kind is not column.kind:
            is_number = {known.kind, column.kind} == {Kind.FLOAT, Kind.INT}
            if not (is_number and known.kind is Kind.FLOAT and not column.is_whole):
                self._twins.report(
                    twin,
                    column.point,
                    "type_changed",
                    f"came as {column.kind.name}, is {known.kind.name}; such samples are left out",
                    Severity.MEDIUM,
                )
                return None
        if not column.unit or unit == known.unit:
            return (1.0, 0.0)
        try:
            scale = units.linear(unit or column.unit, known.unit, f"{twin}.{column.point}")
            if known.kind is not Kind.FLOAT:
                raise units.UnitError(f"came in {unit}, is a whole number of {known.unit}")
            return scale
        except units.UnitError as error:
            self._twins.report(twin, column.point, "unit_does_not_fit", str(error), Severity.MEDIUM)
            return None

    async def _resolve(self) -> None:
        """Declares what is new and looks up the handles."""
        await self._twins.declare(self._sink)
        for shape, index, twin in self._new:
            columns = shape.handles[index]
            for j, column in enumerate(shape.columns):
                if columns[j] != REFUSED_HANDLE:
                    columns[j] = self._twins.handle(twin, column.point)
        self._new.clear()

    # --- rows to columns

    def _flush(
        self, shape: Shape, retained: set[int], start_ns: int, heap: bytearray
    ) -> tuple[NDArray[Any], ...] | None:
        """The columns of a shape's rows and, last, the message of each; the shape is empty
        afterwards."""
        n, k = len(shape.rows), len(shape.columns)
        topics = np.fromiter(shape.topics, np.intp, n)
        messages = np.fromiter(shape.messages, np.int64, n)
        rows = shape.rows
        shape.rows, shape.topics, shape.messages = [], [], []
        if not k:
            return None
        if shape.table is None:
            shape.table = np.array(shape.handles, np.uint32).reshape(len(shape.handles), k)
        point = shape.table[topics]
        values: list[Any] = list(zip(*rows, strict=True)) if k + shape.times > 1 else [rows]
        cell = np.empty((n, k), np.int64)
        codes = np.zeros((n, k), np.uint32)
        source_ns = np.empty((n, k), np.int64)
        times = [self._times(column) for column in values[k:]]
        arrival_ns = start_ns + messages
        for j, column in enumerate(shape.columns):
            assert column.kind is not None
            fill_column(column.kind, values[j], cell[:, j], codes[:, j], heap)
            if column.time < 0:
                source_ns[:, j] = arrival_ns
            else:
                source_ns[:, j] = times[column.time]
        missing = source_ns == guesses.NO_TIME
        if missing.any():
            self._sink.count("bad_time", int(missing.any(axis=1).sum()))
            source_ns = np.where(missing, arrival_ns[:, None], source_ns)
        if retained:
            kept = np.isin(messages, np.fromiter(retained, np.int64, len(retained)))
            untimed = np.array([c.time < 0 for c in shape.columns])
            codes[kept[:, None] & untimed[None, :]] = quality.UNCERTAIN_LAST_USABLE
        self._convert(shape, topics, cell)
        message = np.broadcast_to(messages[:, None], (n, k))
        point, cell, codes, source_ns, message = (
            a.reshape(-1) for a in (point, cell, codes, source_ns, message)
        )
        takes = point != REFUSED_HANDLE
        if not takes.all():
            self._sink.count("samples_left_out", int((~takes).sum()))
            point, cell, codes, source_ns, message = (
                a[takes] for a in (point, cell, codes, source_ns, message)
            )
        return point, cell, codes, source_ns, message

    def _convert(self, shape: Shape, topics: NDArray[np.intp], cell: NDArray[np.int64]) -> None:
        """Converts numbers of topics that send another unit than their points have."""
        for index, factors in shape.scales.items():
            here = np.flatnonzero(topics == index)
            for j, column in enumerate(shape.columns):
                scale, offset = factors[0][j], factors[1][j]
                if column.kind is Kind.FLOAT and (scale, offset) != (1.0, 0.0):
                    numbers = cell[here, j].view(np.float64) * scale + offset
                    cell[here, j] = numbers.view(np.int64)

    def _times(self, values: Sequence[Any]) -> NDArray[np.int64]:
        if any(type(v) is str for v in values):
            parsed = (guesses.iso_ns(v, self._zone) if type(v) is str else None for v in values)
            return np.array([guesses.NO_TIME if ns is None else ns for ns in parsed], np.int64)
        if any(v is None for v in values):
            values = [0 if v is None else v for v in values]
        try:
            return guesses.epoch_ns(np.array(values))
        except OverflowError:
            return np.full(len(values), guesses.NO_TIME, np.int64)
