"""What the routes of mappings take and give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mirrorworld.protocol.rest import PointType


@dataclass(frozen=True, slots=True)
class MappingRequest:
    """A mapping to be tried, or to be applied and kept."""

    body: str
    """JSON, as docs/guide/mapping.md describes it."""
    name: str = ""
    """Under which it is kept; empty: it is applied once and not kept."""
    reason: str = ""
    offset: int = 0
    """Of a preview: how many rows are passed over."""
    limit: int = 100
    """Of a preview: how many rows are wanted, 1 to 1000."""
    only_noted: bool = False
    """Of a preview: only rows with something that a person should know."""


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One thing that would be said of one twin."""

    twin: str
    name: str
    """The twin's name as it is now."""
    what: str
    """name, type, serial_number, property, place, relation, unit, range, semantic_id, description
    or labels."""
    of: str
    """Name of the property or point, kind of the relation; else empty."""
    before: str
    after: str
    note: str
    """A conflict, or why it is left out."""
    is_left_out: bool


@dataclass(frozen=True, slots=True)
class MappingPreview:
    """What a mapping would do; nothing was changed."""

    twins: int
    """How many fit the patterns."""
    changes: int
    left_out: int
    noted: int
    rows: list[MappingRow]
    next: int | None
    """Offset of the next page; null: this was the last."""


@dataclass(frozen=True, slots=True)
class MappingDone:
    """A mapping was applied."""

    position: str
    changes: int
    left_out: int


@dataclass(frozen=True, slots=True)
class KeptMapping:
    """A mapping that is kept."""

    name: str
    body: str
    trouble: str = ""
    """Why it cannot be read."""


@dataclass(frozen=True, slots=True)
class MappingsPage:
    """All mappings that are kept."""

    mappings: list[KeptMapping]


@dataclass(frozen=True, slots=True)
class SaidRow:
    """Something that a person said of a twin over its source."""

    what: str
    """The edit that said it: PutName, PutPointAbout …"""
    name: str
    """Of the property or point; else empty."""
    said: dict[str, Any]
    """The edit in its plain form."""
    by: str = ""
    """Who said it; empty: too long ago to be at hand."""
    at_ns: int = 0
    reason: str = ""
    source: PointType | None = None
    """Of a point: what its source says of it."""


@dataclass(frozen=True, slots=True)
class SaidPage:
    """What people said of a twin over its source."""

    said: list[SaidRow] = field(default_factory=list)
