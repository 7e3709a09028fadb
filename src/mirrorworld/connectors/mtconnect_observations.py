"""Observations of data items become frames, and conditions events: for agents and adapters alike.

What has no document says by its values what it is: the first number makes a number of it, the
first word a text; what comes before that (UNAVAILABLE) is held until then.

Knows values and times; refuses to know how they came.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.connectors.mtconnect_devices import DataItem
from mirrorworld.connectors.mtconnect_words import UNAVAILABLE
from mirrorworld.connectors.seen import NO_HANDLE, SeenTwins
from mirrorworld.world import quality
from mirrorworld.world.changes import Event, Severity
from mirrorworld.world.frames import Frame, encode_array
from mirrorworld.world.model import Kind, PointType, Property, Text
from mirrorworld.world.ports import Sink

TIME_MAX_NS: Final = 1 << 62
"""The year 2116; beyond it, or as long before 1970, a time is a mistake."""
HELD_MAX: Final = 64
"""Observations of one key that wait for the first that says what it is."""
LABELS_MAX: Final = 256
TEXT_BYTES_MAX: Final = 1 << 16
ARRAY_MAX: Final = 1 << 16
CODES_MAX: Final = 1_000
"""Active codes of one condition, and events of one batch that have one id each."""

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)
_CODE_LIKE: Final = re.compile(r"[+-]?0\d|\d{16}")
"""Digits that are a name and no quantity: `007`, or more of them than a number can hold."""
_SEVERITY: Final = {"FAULT": Severity.HIGH, "WARNING": Severity.MEDIUM}
_NAN: Final = int(np.float64(math.nan).view(np.int64))


def number(text: str) -> float | None:
    """A finite number as MTConnect writes it (Part 1.0 §5.4), or None."""
    text = text.strip()
    if _NUMBER.match(text) is None:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


@dataclass(slots=True, eq=False)
class Item:
    """A data item as a point of a twin."""

    twin: str
    name: str
    point: PointType | None
    """None: a condition, or what has not yet said what it is."""
    is_condition: bool = False
    type: str = ""
    data: DataItem | None = None
    is_guessed: bool = False
    handle: int = NO_HANDLE
    labels: dict[str, int] = field(default_factory=dict)
    held: list[tuple[str, int]] = field(default_factory=list)
    words: Item | None = None
    """Takes the texts that come where numbers were."""
    active: dict[str, Event] = field(default_factory=dict)
    is_refused: bool = False

    @property
    def kind(self) -> Kind | None:
        """Of its point."""
        return None if self.point is None else self.point.kind


class Observations:
    """Collects what a source observed; `take` hands it over as one frame and its events."""

    def __init__(self, twins: SeenTwins) -> None:
        self._twins = twins
        self._rows: list[tuple[Item, str, int, int]] = []
        self._events: list[Event] = []
        self._new: list[Item] = []
        self.generation = 0
        """Grows whenever an item is declared, or declared with more words."""
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def item(self, data: DataItem, *, is_native: bool) -> Item:
        """The item of a data item of a document."""
        point = data.point_type(is_native=is_native)
        item = Item(data.twin, data.point, point, data.is_condition, data.type, data)
        if point is not None:
            item.labels = {label: code for code, label in point.labels}
            self.declare_item(item)
        return item

    def guessed(self, twin: str, name: str) -> Item:
        """An item that no document describes."""
        return Item(twin, name, None, is_guessed=True)

    def count(self, what: str, n: int = 1) -> None:
        """Counts something; told to the sink with the next `take`."""
        self._counts[what] = self._counts.get(what, 0) + n

    def declare_item(self, item: Item) -> None:
        """Has an item's point declared with the next `take`."""
        self._new.append(item)

    # --- values

    def add(self, item: Item, text: str, source_ns: int, order: int = 0) -> None:
        """One value of an item."""
        if item.point is None:
            if item.is_condition:
                self.condition(item, text, "", "", "", "", source_ns)
                return
            if text in ("", UNAVAILABLE) or text.upper() == UNAVAILABLE:
                if len(item.held) >= HELD_MAX:
                    del item.held[0]
                    self.count("mtconnect_held_too_long")
                item.held.append((text, source_ns))
                return
            is_number = number(text) is not None and not _CODE_LIKE.match(text.strip())
            item.point = PointType(item.name, Kind.FLOAT if is_number else Kind.TEXT)
            self.declare_item(item)
            self._rows += [(item, held, ns, order) for held, ns in item.held]
            item.held = []
        elif (
            item.is_guessed
            and item.point.kind is Kind.FLOAT
            and text
            and number(text) is None
            and text.upper() != UNAVAILABLE
        ):
            if item.words is None:
                name = f"{item.name}_text"
                item.words = Item(item.twin, name, PointType(name, Kind.TEXT), is_guessed=True)
                self.declare_item(item.words)
                self._twins.report(
                    item.twin,
                    item.name,
                    "type_changed",
                    f"came as a number, now as a text; texts are in {name}",
                    Severity.LOW,
                )
            item = item.words
        self._rows.append((item, text, source_ns, order))

    # --- conditions

    def condition(
        self, item: Item, level: str, code: str, severity: str, qualifier: str, text: str, ns: int
    ) -> None:
        """A condition as it stands now (Part 3.0 §6): NORMAL without a code clears all of it."""
        level = level.strip().upper()
        message = " ".join(x for x in (qualifier, text) if x) or level.lower()
        facts = tuple(
            Property(name, value[:400])
            for name, value in (
                ("level", level),
                ("code", code),
                ("severity", severity),
                ("qualifier", qualifier),
            )
            if value
        )
        is_active = level in _SEVERITY
        id_ = f"{item.twin}/{item.name}" + (f"/{code[:200]}" if code else "")
        told = Text.of(f"{item.name}: {message}"[:2_000])
        event = Event(
            id_,
            item.twin,
            (item.type or "condition").lower(),
            told,
            _SEVERITY.get(level, Severity.INFO),
            is_active=is_active,
            source_ns=ns,
            properties=facts,
        )
        if is_active:
            if len(item.active) >= CODES_MAX and code not in item.active:
                self.count("mtconnect_too_many_active")
                return
            item.active[code] = event
            self._events.append(event)
        elif level == "NORMAL" and not code and item.active:
            for known in item.active.values():
                self._events.append(
                    dataclasses.replace(known, is_active=False, source_ns=ns, properties=facts)
                )
            item.active.clear()
        elif level in ("NORMAL", UNAVAILABLE):
            item.active.pop(code, None)
            self._events.append(event)
        else:
            self.count("mtconnect_unknown_level")

    def event(self, event: Event) -> None:
        """Something else that happened; told after the values of its batch."""
        self._events.append(event)

    # --- frames

    async def take(self, sink: Sink) -> tuple[Frame | None, NDArray[np.int64]]:
        """Declares what is new; (the frame of all values, the order that each came with)."""
        rows, self._rows = self._rows, []
        if rows:
            self._label(rows)
        await self.declare(sink)
        counts, self._counts = self._counts, {}
        for what, n in counts.items():
            sink.count(what, n)
        if not rows:
            return None, np.empty(0, np.int64)
        frame = _frame(rows, self)
        orders = np.fromiter((row[3] for row in rows), np.int64, len(rows))
        takes = frame.point != NO_HANDLE
        if not takes.all():
            sink.count("samples_left_out", int((~takes).sum()))
            frame, orders = frame.take(takes), orders[takes]
        for what, n in self._counts.items():
            sink.count(what, n)
        self._counts = {}
        return frame, orders

    async def declare(self, sink: Sink) -> None:
        """Declares new items."""
        new, self._new = self._new, []
        self.generation += bool(new)
        for item in new:
            assert item.point is not None
            item.is_refused = not self._twins.add(item.twin, item.point, sink)
        await self._twins.declare(sink)
        for item in new:
            item.handle = NO_HANDLE if item.is_refused else self._twins.handle(item.twin, item.name)

    def events(self) -> list[Event]:
        """What happened since last asked; tell it after the values."""
        events, self._events = self._events, []
        return events

    def _label(self, rows: list[tuple[Item, str, int, int]]) -> None:
        """Gives words that an enumeration does not have yet codes of their own."""
        for item, text, _, _ in rows:
            if item.kind is Kind.ENUM and text not in item.labels and text != UNAVAILABLE and text:
                if len(item.labels) >= LABELS_MAX or len(text) > 200:
                    self.count("mtconnect_too_many_labels")
                    continue
                assert item.point is not None
                code = item.labels[text] = len(item.labels)
                labels = (*item.point.labels, (code, text))
                item.point = dataclasses.replace(item.point, labels=labels)
                self.declare_item(item)


def _frame(rows: list[tuple[Item, str, int, int]], counts: Observations) -> Frame:
    n = len(rows)
    point = np.fromiter((row[0].handle for row in rows), np.uint32, n)
    source_ns = np.fromiter((row[2] for row in rows), np.int64, n)
    cell = np.zeros(n, np.int64)
    codes = np.zeros(n, np.uint32)
    floats: list[int] = []
    values: list[float] = []
    heap = bytearray()
    for i, (item, text, _, _) in enumerate(rows):
        kind = item.kind
        if text == "" and kind is Kind.TEXT:
            cell[i] = len(heap) << 32
            continue
        if text == "" or text == UNAVAILABLE or text.upper() == UNAVAILABLE:
            codes[i] = quality.BAD_NO_DATA
            if kind is Kind.FLOAT:
                cell[i] = _NAN
            elif kind is not None and kind.is_heap:
                raw = b"\0" if kind is Kind.ARRAY else b""
                cell[i] = len(heap) << 32 | len(raw)
                heap += raw
        elif kind is Kind.FLOAT:
            value = number(text)
            if value is None:
                cell[i], codes[i] = _NAN, quality.BAD_TYPE
                counts.count("mtconnect_not_a_number")
            else:
                floats.append(i)
                values.append(value)
        elif kind is Kind.ENUM:
            code = item.labels.get(text, -1)
            cell[i] = max(code, 0)
            codes[i] = quality.GOOD if code >= 0 else quality.BAD_TYPE
        elif kind is Kind.ARRAY:
            numbers = [number(word) for word in text.split()[:ARRAY_MAX]]
            if None in numbers:
                codes[i], numbers = quality.BAD_TYPE, []
                counts.count("mtconnect_not_a_number")
            raw = encode_array(np.array(numbers, np.float64))
            cell[i] = len(heap) << 32 | len(raw)
            heap += raw
        else:
            raw = text.encode(errors="replace")
            if len(raw) > TEXT_BYTES_MAX:
                raw = raw[:TEXT_BYTES_MAX].decode(errors="ignore").encode()
                codes[i] = quality.UNCERTAIN
                counts.count("mtconnect_text_cut")
            cell[i] = len(heap) << 32 | len(raw)
            heap += raw
    if floats:
        cell[floats] = np.array(values, np.float64).view(np.int64)
    return Frame(point, cell, codes, source_ns, bytes(heap))
