"""A devices document (MTConnect Part 2.0): what a machine consists of, and what it can report.

Every device and component becomes a twin, part of the one above it; every data item but a
condition becomes a point of its component. The same document describes what an agent serves
(`probe`) and what an adapter's keys mean (`Devices.xml`).

Knows documents; refuses to know how they came.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mirrorworld.connectors.guesses import iri_level
from mirrorworld.connectors.mtconnect_words import CONTROLLED, kind_of, ucum
from mirrorworld.connectors.mtconnect_xml import BadXml, parse
from mirrorworld.world.model import Kind, PointType, Property, Text, Twin, TwinType

ITEMS_MAX: Final = 200_000
DEVICE_TAGS: Final = frozenset({"Device", "Agent"})
_DESCRIBED: Final = ("manufacturer", "model", "serialNumber", "station")


@dataclass(frozen=True, slots=True)
class DataItem:
    """One thing that a device can report (Part 2.0 §7)."""

    id: str
    name: str
    category: str
    type: str
    sub_type: str
    units: str
    native_units: str
    representation: str
    values: tuple[str, ...]
    """What its constraints allow, if they say so."""
    low: float | None
    high: float | None
    source: str
    """How the adapter calls it, where that is said."""
    device: str
    """Name of its device."""
    twin: str
    point: str

    @property
    def is_condition(self) -> bool:
        """Whether it reports a state of health, which is an event here and not a point."""
        return self.category == "CONDITION"

    def point_type(self, *, is_native: bool) -> PointType | None:
        """The point of it; None for a condition.

        Args:
            is_native: whether values come as the adapter sends them, in its own units.
        """
        unit = (self.native_units or self.units) if is_native else self.units
        kind = kind_of(self.category, self.type, unit, self.representation, len(self.values))
        if kind is None:
            return None
        labels = self.values or CONTROLLED.get(self.type, ()) if kind is Kind.ENUM else ()
        is_same = not is_native or self.native_units in ("", self.units)
        is_number = kind is Kind.FLOAT
        return PointType(
            self.point,
            kind,
            ucum(unit) if kind in (Kind.FLOAT, Kind.ARRAY) else "",
            low=self.low if is_number and is_same else None,
            high=self.high if is_number and is_same else None,
            semantic_ids=(f"mtconnect:{self.type}" + (f"/{self.sub_type}" * bool(self.sub_type)),),
            labels=tuple(enumerate(labels)),
        )


@dataclass(frozen=True, slots=True)
class Devices:
    """What a devices document says."""

    types: tuple[TwinType, ...]
    twins: tuple[tuple[Twin, str], ...]
    """(twin, id of the twin that it is part of), parents first."""
    items: tuple[DataItem, ...]
    names: tuple[str, ...]
    """Of the devices, in their order."""
    version: str = ""


@dataclass(slots=True)
class _Part:
    """A device or component while it is being read."""

    tag: str
    twin: str
    parent: str
    device: str
    attributes: dict[str, str]
    facts: list[Property] = field(default_factory=list)
    below: set[str] = field(default_factory=set)
    points: set[str] = field(default_factory=set)


class _Reading:
    """The state of reading one document."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.path: list[str] = []
        self.parts: list[_Part] = []
        self.done: list[_Part] = []
        self.items: list[DataItem] = []
        self.names: list[str] = []
        self.item: dict[str, Any] | None = None
        self.version, self.root = "", ""
        self.top = _Part("", source, "", "", {})

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        above = self.path[-1] if self.path else ""
        self.path.append(tag)
        if not above:
            self.root = tag
        if tag == "Header":
            self.version = attributes.get("version", "")[:40]
        elif (tag in DEVICE_TAGS and above == "Devices") or above == "Components":
            self._part(tag, attributes)
        elif tag == "DataItem" and above == "DataItems" and self.parts:
            if len(self.items) >= ITEMS_MAX:
                raise BadXml(f"more than {ITEMS_MAX} data items")
            self.item = dict(attributes)
            self.item[":values"] = []
        elif tag == "Description" and self.parts and above == self.parts[-1].tag:
            for name in _DESCRIBED:
                if attributes.get(name):
                    self.parts[-1].facts.append(Property(name, attributes[name][:400]))

    def _part(self, tag: str, attributes: dict[str, str]) -> None:
        parent = self.parts[-1] if self.parts else self.top
        label = attributes.get("name") or attributes.get("id") or tag
        if label in parent.below:
            label = attributes.get("id") or f"{label}-{len(parent.below)}"
        parent.below.add(label)
        device = parent.device or label
        if not self.parts:
            self.names.append(label)
        twin = f"{parent.twin}/{iri_level(label)}"
        part = _Part(tag, twin, parent.twin, device, attributes)
        part.facts += [
            Property(name, attributes[name][:400])
            for name in ("id", "uuid", "nativeName")
            if attributes.get(name)
        ]
        self.parts.append(part)
        self.done.append(part)

    def end(self, tag: str, text: str) -> None:
        self.path.pop()
        above = self.path[-1] if self.path else ""
        if self.item is not None:
            if tag == "Source":
                self.item[":source"] = text
            elif above == "Constraints" and tag == "Value":
                if len(self.item[":values"]) < 1_000:
                    self.item[":values"].append(text)
            elif above == "Constraints" and tag in ("Minimum", "Maximum"):
                self.item[f":{tag}"] = text
            elif tag == "DataItem":
                self._take_item(self.item)
                self.item = None
        elif tag == "Description" and text and self.parts and above == self.parts[-1].tag:
            self.parts[-1].facts.append(Property("description", " ".join(text.split())[:400]))
        elif self.parts and tag == self.parts[-1].tag and above in ("Components", "Devices"):
            self.parts.pop()

    def _take_item(self, given: dict[str, Any]) -> None:
        part = self.parts[-1]
        id_ = given.get("id", "")
        name = given.get("name") or id_
        if not name:
            return
        if name in part.points:
            name = id_ or name
        part.points.add(name)
        self.items.append(
            DataItem(
                id_,
                given.get("name", ""),
                given.get("category", "EVENT"),
                given.get("type", "").rpartition(":")[2],
                given.get("subType", "").rpartition(":")[2],
                given.get("units", ""),
                given.get("nativeUnits", ""),
                given.get("representation", "VALUE"),
                tuple(dict.fromkeys(given[":values"])),
                _number(given.get(":Minimum")),
                _number(given.get(":Maximum")),
                given.get(":source", ""),
                part.device,
                part.twin,
                name,
            )
        )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def read_devices(data: bytes, source: str) -> Devices:
    """Reads a devices document.

    Args:
        source: what the ids of its twins begin with.

    Raises:
        BadXml: it is no such document; the message says why.
    """
    reading = _Reading(source)
    parse(data, reading.start, reading.end)
    if reading.root != "MTConnectDevices":
        raise BadXml(f"it is a document '{reading.root[:60]}', not MTConnectDevices")
    tags = dict.fromkeys(part.tag for part in reading.done)
    twins = [
        (
            Twin(
                part.twin,
                f"mtconnect:{part.tag}",
                Text.of(part.attributes.get("name") or part.attributes.get("id") or part.tag),
                tuple({fact.name: fact for fact in part.facts}.values()),
            ),
            part.parent,
        )
        for part in reading.done
    ]
    return Devices(
        tuple(TwinType(f"mtconnect:{tag}", Text.of(_spaced(tag), "en")) for tag in tags),
        tuple(twins),
        tuple(reading.items),
        tuple(reading.names),
        reading.version,
    )


def of_device(devices: Devices, wanted: str) -> Devices:
    """Only one device of them, by name or by the beginning of its twins' ids."""
    kept = tuple(item for item in devices.items if item.device == wanted)
    twins: list[tuple[Twin, str]] = []
    roots: set[str] = set()
    for twin, parent in devices.twins:
        is_root = twin.id.rsplit("/", 1)[-1] == iri_level(wanted) and parent not in roots
        if parent in roots or (is_root and "/" not in parent):
            roots.add(twin.id)
            twins.append((twin, parent))
    return dataclasses.replace(devices, twins=tuple(twins), items=kept, names=(wanted,))


def _spaced(tag: str) -> str:
    """`CoolantTank` → `Coolant tank`."""
    text = "".join(f" {c.lower()}" if c.isupper() else c for c in tag).strip()
    return text[:1].upper() + text[1:]


def keys_of(items: Sequence[DataItem]) -> dict[str, DataItem]:
    """How an adapter may call each item, most certain first: id, source, name, device:name.

    What two items could be called is left to the first of them.
    """
    found: dict[str, DataItem] = {}
    for of in (lambda i: i.id, lambda i: i.source, lambda i: i.name):
        for item in items:
            key = of(item)
            if key:
                found.setdefault(key, item)
                found.setdefault(f"{item.device}:{key}", item)
    return found
