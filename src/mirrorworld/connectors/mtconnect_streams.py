"""A streams document (MTConnect Part 3.0): observations with their sequence numbers.

Knows documents; refuses to know how they came and what the data items mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from mirrorworld.connectors.mtconnect_xml import BadXml, parse

SEQUENCE_MAX = 1 << 63


class Observed(NamedTuple):
    """One observation as it stands in a document."""

    sequence: int
    item: str
    timestamp: str
    text: str
    level: str = ""
    """Of a condition: NORMAL, WARNING, FAULT, UNAVAILABLE."""
    code: str = ""
    severity: str = ""
    qualifier: str = ""


@dataclass(slots=True)
class Streams:
    """What a document says."""

    instance: int = 0
    first: int = 0
    next: int = 0
    """Sequence from which the next document goes on."""
    observed: list[Observed] = field(default_factory=list)
    """By sequence."""
    errors: list[tuple[str, str]] = field(default_factory=list)
    """(code, text) of an error document."""


_LEVELS = frozenset({"Normal", "Warning", "Fault", "Unavailable"})


def read_streams(data: bytes) -> Streams:
    """Reads a streams or error document.

    Raises:
        BadXml: it is neither; the message says why.
    """
    found = Streams()
    path: list[str] = []
    current: dict[str, str] | None = None
    entries: list[str] = []
    entry: dict[str, str] = {}
    error = ""

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal current, entry, error
        path.append(tag)
        if current is not None:
            entry = attributes
        elif "dataItemId" in attributes:
            current = attributes
        elif tag == "Header":
            found.instance = _int(attributes.get("instanceId"))
            found.first = _int(attributes.get("firstSequence"))
            found.next = _int(attributes.get("nextSequence"))
        elif tag == "Error":
            error = attributes.get("errorCode", "")

    def end(tag: str, text: str) -> None:
        nonlocal current
        path.pop()
        if current is None:
            if tag == "Error":
                found.errors.append((error[:60], text[:400]))
            return
        if tag in ("Entry", "Cell"):
            entries.append(f"{entry.get('key', '')}={text}")
            return
        given = current
        # A data item is its own element or has entries in it; nothing else is below it.
        if not path or path[-1] not in ("Samples", "Events", "Condition"):
            return
        current = None
        if entries:
            text = " ".join(entries)
            entries.clear()
        if tag not in _LEVELS or path[-1] != "Condition":
            stamp = given.get("timestamp", "")
            one = Observed(_int(given.get("sequence")), given["dataItemId"], stamp, text)
            found.observed.append(one)
            return
        found.observed.append(
            Observed(
                _int(given.get("sequence")),
                given["dataItemId"],
                given.get("timestamp", ""),
                text,
                tag.upper(),
                given.get("conditionId") or given.get("nativeCode", ""),
                given.get("nativeSeverity", ""),
                given.get("qualifier", ""),
            )
        )

    parse(data, start, end)
    if not found.errors and found.next <= 0:
        raise BadXml("it is no streams document: its header has no nextSequence")
    found.observed.sort(key=attrgetter("sequence"))
    return found


def _int(text: str | None) -> int:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 20:
        return 0
    return min(int(text), SEQUENCE_MAX - 1) if len(text) < 20 else int(text) % SEQUENCE_MAX
