"""World files over REST: what one would change, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """A world file as text."""

    text: str
    reason: str = ""
    """Why; it stands in the log."""


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One thing that would change. Texts come from the file."""

    what: str
    """type, twin, name, place, look, type of, property, point, relation, sheet or arm."""
    about: str
    detail: str
    verb: str
    """new, changed or gone."""
    line: int
    """In the file."""


@dataclass(frozen=True, slots=True)
class ImportLeft:
    """Something of a file that is not made so."""

    place: str
    why: str


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What a file would change."""

    total: int
    counts: dict[str, int]
    """By what changes."""
    rows: list[ImportRow]
    """The first of them."""
    left: list[ImportLeft]


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file changed."""

    position: str
    changed: int
    left: list[ImportLeft]
