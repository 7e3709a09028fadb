"""What an adapter sends, line by line (SHDR, the text protocol of MTConnect adapters).

    2022-08-08T13:51:34.7167146Z|Xact|12.5|exec|ACTIVE     pairs of key and value
    2022-08-08T13:51:34.7Z|system|FAULT|4711|2|HIGH|text   a condition: one on a line
    2022-08-08T13:51:34.7Z|msg|42|Door open                a message: code and text
    2022-08-08T13:51:34.7Z|wave|3|100|1.0 2.0 3.0          a time series: count, rate, numbers
    2022-08-08T13:51:34.7Z|@ASSET@|id|type|--multiline--X  a document until the line --multiline--X
    * PONG 10000                                           a command

A devices document says which key is what. Without one, a key is a number or a text by its first
value, and a line is a condition, a message or a time series if it can hardly be anything else.

Knows lines; refuses to know connections.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from mirrorworld.connectors import guesses, shdr_compiled
from mirrorworld.connectors.guesses import iri_level
from mirrorworld.connectors.mtconnect_devices import DataItem, keys_of
from mirrorworld.connectors.mtconnect_observations import TIME_MAX_NS, Item, Observations
from mirrorworld.connectors.mtconnect_words import UNAVAILABLE
from mirrorworld.connectors.seen import NO_HANDLE, SeenTwins
from mirrorworld.connectors.shdr_table import KeyTable
from mirrorworld.world.changes import Event, Severity
from mirrorworld.world.frames import HEAP_LIMIT_BYTES, Frame, concatenate
from mirrorworld.world.model import Kind, PointType, Property, Text, Twin, TwinType
from mirrorworld.world.ports import Sink

DOCUMENT_BYTES_MAX: Final = 4 << 20
ASSET_KEPT_CHARS_MAX: Final = 1 << 16
ASSETS_MAX: Final = 10_000
KEY_CHARS_MAX: Final = 256
FIELDS_MAX: Final = 100_000
FACTS_TOLD_MAX: Final = 1_000
LEVELS: Final = frozenset({"NORMAL", "WARNING", "FAULT", UNAVAILABLE})
ADAPTER_TYPE: Final = TwinType(
    "mtconnect:Adapter",
    Text((("en", "MTConnect adapter"),)),
    description=Text((("en", "A machine's adapter whose lines are mirrored"),)),
)
ASSET_TYPE: Final = TwinType("mtconnect:Asset", Text((("en", "MTConnect asset"),)))
_FACTS: Final = frozenset(
    {
        "manufacturer", "model", "serialnumber", "station", "description", "uuid", "shdrversion",
        "adapterversion", "mtconnectversion", "calibration", "nativename",
    }
)  # fmt: skip
_MULTILINE: Final = "--multiline--"
_COMMAND: Final = re.compile(r"\*\s*([A-Za-z_]{1,40})\s*:\s?(.{0,400})")
_PONG: Final = re.compile(r"\*\s*PONG(?:\s+(\d{1,9}))?\s*\Z", re.IGNORECASE)
_RELATIVE: Final = re.compile(r"\d{1,15}(?:\.\d{1,9})?\Z", re.ASCII)
_COUNT: Final = re.compile(r"\d{1,7}\Z", re.ASCII)
_QUOTED: Final = re.compile(r'\|"((?:[^"\\|]|\\.)*)"(?=\||\Z)')


class ShdrReader:
    """Reads the lines of one connection after another of one adapter.

    Args:
        items: what a devices document describes; empty: everything is guessed.
        is_compiled: whether plain lines are read by the compiled loop.
    """

    def __init__(
        self,
        twins: SeenTwins,
        items: Sequence[DataItem] = (),
        *,
        device: str = "",
        zone: ZoneInfo | None = None,
        is_compiled: bool | None = None,
    ) -> None:
        self.twins = twins
        self.observations = Observations(twins)
        self.heartbeat_ms: int | None = None
        self._device = device
        self._zone = zone
        self._reads_naive = zone is None or zone.key == "UTC"
        self._is_compiled = shdr_compiled.HAS_NUMBA if is_compiled is None else is_compiled
        self._items: dict[str, Item] = {}
        by_data: dict[str, Item] = {}
        for key, data in keys_of(items).items():
            place = f"{data.twin}.{data.point}"
            if place not in by_data:
                by_data[place] = self.observations.item(data, is_native=True)
            self._items[key] = by_data[place]
        self._root = twins.source
        if items:
            known = [item.twin for item in items if item.device == device] or [items[0].twin]
            self._root = "/".join(known[0].split("/")[:2])
        self._facts: dict[str, str] = {}
        self._n_facts = 0
        self._assets: set[str] = set()
        self._document: tuple[str, list[str], list[str], int, int] | None = None
        self._now_ns = 0
        self._anchor: tuple[float, int] | None = None
        self._table: KeyTable | None = None
        self._parts: list[tuple[Frame, np.ndarray]] = []
        self._line = 0

    def reconnected(self) -> None:
        """Forgets what belongs to one connection."""
        self._document = self._anchor = None

    # --- blocks

    def feed(self, block: bytes, now_ns: int) -> None:
        """Reads whole lines; what they say waits for `take`."""
        self._now_ns = now_ns
        if not self._is_compiled or len(block) > HEAP_LIMIT_BYTES >> 4:
            self._lines(block)
            return
        at = 0
        while at < len(block):
            # What stands in a document is not data, even where it looks like it.
            if self._document is None:
                found = block.find(_MULTILINE.encode(), at)
                start = len(block) if found < 0 else block.rfind(b"\n", at, found) + 1 or at
                if start > at:
                    self._scan(block[at:start].removesuffix(b"\n"))
                at = start
            end = block.find(b"\n", at)
            end = len(block) if end < 0 else end
            self._lines(block[at:end])
            at = end + 1

    def _lines(self, block: bytes) -> None:
        for line in block.split(b"\n"):
            self.line(line.decode(errors="replace"), self._line)
            self._line += 1

    def _scan(self, block: bytes) -> None:
        table = self._table
        if table is None or table.generation != self.observations.generation:
            table = self._table = KeyTable(self._items, self.observations.generation)
        data = np.frombuffer(block, np.uint8)
        most = block.count(b"|") // 2 + 1
        n_lines = block.count(b"\n") + 1
        point = np.empty(most, np.uint32)
        bits, source_ns, lines = (np.empty(most, np.int64) for _ in range(3))
        codes = np.empty(most, np.uint32)
        # A number in an array has two bytes as text at least and eight in the heap.
        heap = np.empty(5 * len(block) + 64, np.uint8)
        others = np.empty((n_lines, 3), np.int64)
        n, used, left = shdr_compiled.scan(
            data, self._reads_naive, *table.columns, point, bits, codes, source_ns, lines, heap,
            others, np.empty(1, np.float64),
        )  # fmt: skip
        for line, start, end in others[:left].tolist():
            self.line(block[start:end].decode(errors="replace"), self._line + line)
        if n:
            frame = Frame(point[:n], bits[:n], codes[:n], source_ns[:n], heap[:used].tobytes())
            self._parts.append((frame, lines[:n] + self._line))
        self._line += n_lines

    async def take(self, sink: Sink) -> Frame | None:
        """Everything since last asked, in order of arrival; declares what is new."""
        frame, orders = await self.observations.take(sink)
        if frame is not None and len(frame):
            self._parts.append((frame, orders))
        parts, self._parts, self._line = self._parts, [], 0
        if not parts:
            return None
        if len(parts) == 1:
            frame = parts[0][0]
        else:
            frame = concatenate([part for part, _ in parts], self._kinds())
            order = np.argsort(np.concatenate([orders for _, orders in parts]), kind="stable")
            frame = frame.take(order)
        takes = frame.point != NO_HANDLE
        return frame if takes.all() else frame.take(takes)

    def _kinds(self) -> np.ndarray:
        items = [i for item in self._items.values() for i in (item, item.words) if i is not None]
        known = [i for i in items if i.handle != NO_HANDLE and i.kind is not None]
        kinds = np.zeros(max((i.handle for i in known), default=0) + 1, np.uint8)
        for item in known:
            kinds[item.handle] = int(item.kind or 0)
        return kinds

    # --- lines

    def line(self, line: str, order: int = 0) -> None:
        """Reads one line, without its end."""
        line = line.rstrip("\r")
        if self._document is not None:
            self._continue_document(line)
        elif not line or line.isspace():
            return
        elif line.startswith("*"):
            self._command(line)
        else:
            self._data(line, order)

    def _data(self, line: str, order: int) -> None:
        if '|"' in line:
            line = _QUOTED.sub(_unquote, line)
        fields = line.split("|")
        if len(fields) < 3 or len(fields) > FIELDS_MAX:
            self.observations.count("shdr_broken_line")
            return
        source_ns = self.time(fields[0])
        if source_ns is None:
            self.observations.count("bad_time")
            source_ns = self._now_ns
        if "\x01" in line:
            fields = [text.replace("\x01", "|") for text in fields]
        key = fields[1].strip()
        if key.startswith("@") and key.endswith("@"):
            self._asset(key, fields, source_ns)
            return
        if self._single(key, fields, source_ns, order):
            return
        for i in range(1, len(fields) - 1, 2):
            item = self._item(fields[i].strip())
            if item is None:
                continue
            if item.is_condition:
                self.observations.condition(item, fields[i + 1], "", "", "", "", source_ns)
            else:
                self.observations.add(item, fields[i + 1], source_ns, order)
        if len(fields) % 2 == 0:
            self.observations.count("shdr_key_without_value")

    def _single(self, key: str, fields: list[str], source_ns: int, order: int) -> bool:
        """Reads a line that is about one item in several fields; False if it is none."""
        rest = fields[2:]
        known = self._items.get(key)
        data = known.data if known is not None else None
        if data is not None:
            is_condition, is_message = data.is_condition, data.type == "MESSAGE"
            is_series = data.representation == "TIME_SERIES"
        else:
            level = rest[0].strip().upper()
            is_condition = (known is not None and known.is_condition) or (
                known is None
                and level in LEVELS
                and len(rest) == 5
                and (not fields[3] or not fields[5] or fields[5] in ("HIGH", "LOW"))
            )
            is_message = known is None and len(rest) == 2 and not is_condition
            is_series = (known is None or known.kind is Kind.ARRAY) and (
                len(rest) == 3
                and _COUNT.match(rest[0]) is not None
                and int(rest[0]) == len(rest[2].split()) > 1
            )
        if is_condition:
            item = known or self._item(key, is_condition=True)
            if item is not None:
                level, code, severity, qualifier, *words = [*rest, "", "", "", "", ""][
                    : max(5, len(rest))
                ]
                text = "|".join(word for word in words if word)
                self.observations.condition(item, level, code, severity, qualifier, text, source_ns)
            return True
        if is_series and len(rest) >= 3:
            item = known or self._item(key, kind=Kind.ARRAY)
            if item is not None:
                self.observations.add(item, rest[2], source_ns, order)
            return True
        if is_message and len(rest) >= 2:
            item = known or self._item(key, kind=Kind.TEXT)
            if item is not None:
                text = f"{rest[1]} ({rest[0]})" if rest[0] else rest[1]
                self.observations.add(item, text, source_ns, order)
            return True
        return False

    def _item(
        self, key: str, *, is_condition: bool = False, kind: Kind | None = None
    ) -> Item | None:
        """The item of a key, made if there is none."""
        item = self._items.get(key)
        if item is not None:
            return item
        if not key or len(key) > KEY_CHARS_MAX:
            self.observations.count("shdr_bad_key")
            return None
        if len(self._items) >= 2 * self.twins.max_points:
            self.observations.count("over_max_points")
            return None
        device, colon, name = key.rpartition(":")
        twin = self._root
        if colon and device:
            twin = f"{self._root}/{iri_level(device)}"
            if twin not in self.twins.twins:
                made = Twin(twin, ADAPTER_TYPE.id, Text.of(device))
                self.twins.put(made, self._root, f"keys begin with '{device}:'")
        item = self.observations.guessed(twin, name or key)
        item.is_condition = is_condition
        if kind is not None:
            item.point = PointType(item.name, kind)
            self.observations.declare_item(item)
        self._items[key] = item
        return item

    # --- times

    def time(self, text: str) -> int | None:
        """Nanoseconds since 1970; None if it is no time.

        Empty: now. A plain number: milliseconds after the first such time of the connection,
        which was now. What follows `@` is how long the observation took, and is not kept.
        """
        text, _, _ = text.partition("@")
        text = text.strip()
        if not text:
            return self._now_ns
        ns = guesses.iso_ns(text, self._zone)
        if ns is not None:
            return ns if abs(ns) < TIME_MAX_NS else None
        if _RELATIVE.match(text):
            value = float(text)
            if self._anchor is None or value < self._anchor[0]:
                self._anchor = (value, self._now_ns)
            ns = self._anchor[1] + round((value - self._anchor[0]) * 1e3) * 1_000
            return ns if ns < TIME_MAX_NS else None
        return None

    # --- commands

    def _command(self, line: str) -> None:
        pong = _PONG.match(line)
        if pong is not None:
            self.heartbeat_ms = int(pong[1] or 0) or None
            return
        command = _COMMAND.match(line)
        if command is None:
            self.observations.count("shdr_unknown_command")
            return
        name, value = command[1].lower(), command[2].strip()
        if name not in _FACTS or self._facts.get(name) == value:
            return
        if self._n_facts >= FACTS_TOLD_MAX:  # each is an edit in the log
            self.observations.count("shdr_facts_left_out")
            return
        self._n_facts += 1
        self._facts[name] = value
        twin = self.twins.twins.get(self._root)
        if twin is not None:
            facts = {fact.name: fact for fact in twin.properties}
            facts |= {n: Property(n, v) for n, v in self._facts.items()}
            made = Twin(twin.id, twin.type, twin.name, tuple(facts.values()), pose=twin.pose)
            self.twins.put(made, "", self.twins.guesses.get(twin.id, "the adapter itself"))

    # --- assets

    def _asset(self, key: str, fields: list[str], source_ns: int) -> None:
        what = key.strip("@")
        if what in ("ASSET", "ASSETS", "UPDATE_ASSET") and len(fields) >= 5:
            body = "|".join(fields[4:])
            head = [what, *fields[2:4]]
            at = body.find(_MULTILINE)
            if at >= 0 and what != "UPDATE_ASSET":
                self._document = (body[at:].strip(), head, [body[:at]], source_ns, at)
                return
            self._take_asset(head, body, source_ns)
        elif what in ("REMOVE_ASSET", "REMOVE_ALL_ASSETS"):
            self._event("asset_removed", [what, *fields[2:4]], source_ns)
        else:
            self.observations.count("shdr_unknown_command")

    def _continue_document(self, line: str) -> None:
        assert self._document is not None
        end, head, lines, source_ns, size = self._document
        if line.strip() == end:
            self._document = None
            self._take_asset(head, "\n".join(lines).strip(), source_ns)
            return
        size += len(line) + 1
        if size > DOCUMENT_BYTES_MAX:
            if lines:
                self.observations.count("shdr_document_too_large")
            lines = []  # skipped until its end
        else:
            lines.append(line)
        self._document = (end, head, lines, source_ns, size)

    def _take_asset(self, head: list[str], body: str, source_ns: int) -> None:
        id_ = f"{self._root}/assets/{iri_level(head[1])[:KEY_CHARS_MAX]}"
        if head[0] != "UPDATE_ASSET" and head[1]:
            if id_ not in self._assets and len(self._assets) >= ASSETS_MAX:
                self.observations.count("shdr_too_many_assets")
                return
            self._assets.add(id_)
            self.twins.put_type_once(ASSET_TYPE)
            facts = (
                Property("assetId", head[1]),
                Property("assetType", head[2][:400]),
                Property("document", body[:ASSET_KEPT_CHARS_MAX]),
            )
            twin = Twin(id_, ASSET_TYPE.id, Text.of(f"{head[2]} {head[1]}"[:400]), facts)
            self.twins.put(twin, self._root, "a document of the adapter")
        self._event("asset_changed", head, source_ns)

    def _event(self, what: str, head: list[str], source_ns: int) -> None:
        asset = head[1] if len(head) > 1 else ""
        self.observations.event(
            Event(
                f"{self._root}/{what}/{asset[:200]}",
                self._root,
                what,
                Text((("en", f"{what.replace('_', ' ')}: {' '.join(head[1:])}"[:400]),)),
                Severity.INFO,
                source_ns=source_ns,
            )
        )


def _unquote(match: re.Match[str]) -> str:
    """A value in quotes may hold bars, escaped; they are put aside until the fields are split."""
    return "|" + match[1].replace("\\|", "\x01").replace('\\"', '"')
