"""An export over an older file: entries that say the same stay as they stand, comments included.

Entries are what stands below `types`, `twins`, … (below `sheets` and `declared` one step deeper),
with the comments right above them. Works on lines; what an entry says is compared as read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mirrorworld.authoring.documents import Document
from mirrorworld.marked_yaml import MarkedError, Node
from mirrorworld.marked_yaml import read as read_marked
from mirrorworld.standards.world_yaml.reading import DEPTH_MAX, Key, WorldText, read

NESTING: Final = {"sheets": 2, "declared": 2}
"""Sections whose entries lie deeper than one step below."""
SECTIONS: Final = (
    *("sources", "types", "twins", "said", "sheets", "written", "photos", "arms", "declared"),
)


@dataclass(slots=True)
class _Part:
    """Some lines of a file: those of an entry, or the head of a section with its parts."""

    key: Key
    head: list[str]
    parts: dict[str, _Part] = field(default_factory=dict)


def merged(old: str, new: str) -> str:
    """The new text, with what has not changed as it stood in the old one.

    An old text that has nothing of what sources declare is given nothing of it. One that is no
    world file, or is not laid out in blocks, is simply replaced.
    """
    try:
        was, becomes = _parts(old), _parts(new)
        said, says = read(old), read(new)
        if "declared" not in was.parts:
            becomes.parts.pop("declared", None)
            says.entries = {key: v for key, v in says.entries.items() if key[0] != "declared"}
    except (MarkedError, _NotInBlocks):
        return new
    lines = _merge(was, becomes, said, says)
    text = "\n".join(lines).rstrip("\n") + "\n"
    try:
        return text if _same(read(text), says) else new
    except MarkedError:
        return new


def types_in(old: str) -> frozenset[str]:
    """The types that a text has as people's own; none if it cannot be read."""
    try:
        return frozenset(key[1] for key in read(old).entries if key[0] == "types")
    except MarkedError:
        return frozenset()


class _NotInBlocks(Exception):
    """A section stands in braces on one line."""


def _same(one: WorldText, other: WorldText) -> bool:
    return (
        one.world == other.world
        and one.sources == other.sources
        and one.written.keys() == other.written.keys()
        and all(_document(one, twin) == _document(other, twin) for twin in one.written)
        and one.photos == other.photos
        and {k: _said(one, k) for k in one.entries} == {k: _said(other, k) for k in other.entries}
    )


def _said(text: WorldText, key: Key) -> object:
    if len(key) == 1:
        return text.world if key == ("world",) else None
    if key[0] == "sources":
        return text.sources.get(key[1])
    if key[0] == "written":
        return _document(text, key[1])
    if key[0] == "photos":
        return text.photos.get(key[1])
    placed = text.entries.get(key)
    return None if placed is None else [one.edit for one in placed]


def _document(text: WorldText, twin: str) -> object:
    """What a twin's document says, and what it knows of: the library writes the fields of a photo
    or a reply in any order."""
    if twin not in text.written:
        return None
    document = Document([text.written[twin].update])
    return document.known, document.entries


def _merge(was: _Part, becomes: _Part, said: WorldText, says: WorldText) -> list[str]:
    if not becomes.parts and not was.parts:
        is_entry = len(was.key) > 1 or not set(was.key) & set(SECTIONS)
        if is_entry and _said(said, was.key) == _said(says, was.key):
            return was.head
        new = _bare(becomes.head)
        return [*_comments(was.head), *new[: len(new) - len(_tail(new))], *_tail(was.head)]
    lines = list(was.head)
    for name, part in was.parts.items():
        if name in becomes.parts:
            lines += _merge(part, becomes.parts[name], said, says)
        else:
            tail = _tail(_lines(part))
            lines += tail if any(line.strip() for line in tail) else []
    for name, part in becomes.parts.items():
        if name not in was.parts:
            while lines and not lines[-1].strip() and not (part.head and not part.head[0].strip()):
                lines.pop()
            lines += _lines(part)
    return lines


def _comments(head: list[str]) -> list[str]:
    """The comments and empty lines above an entry's first line."""
    n = 0
    while n < len(head) and (not head[n].strip() or head[n].lstrip().startswith("#")):
        n += 1
    return head[:n]


def _tail(head: list[str]) -> list[str]:
    """The comments and empty lines after an entry, no further in than itself."""
    first = next((line for line in _bare(head)), "")
    depth = len(first) - len(first.lstrip())
    n = len(head)
    while n and (
        not head[n - 1].strip()
        or (
            head[n - 1].lstrip().startswith("#")
            and len(head[n - 1]) - len(head[n - 1].lstrip()) <= depth
        )
    ):
        n -= 1
    return head[n:]


def _bare(head: list[str]) -> list[str]:
    return head[len(_comments(head)) :]


def _lines(part: _Part) -> list[str]:
    return [*part.head, *(line for each in part.parts.values() for line in _lines(each))]


def _parts(text: str) -> _Part:
    root = read_marked(text, depth_max=DEPTH_MAX, allows_aliases=False)
    return _cut((), root, text.split("\n"), 0, len(text.split("\n")), 0)


def _cut(key: Key, node: Node, lines: list[str], start: int, end: int, at: int) -> _Part:
    """The lines [start, end) of a node; its key stands at line `at` (from 0)."""
    depth = NESTING.get(key[0], 1) if key else 0
    is_container = not key or (key[0] in SECTIONS and len(key) <= depth)
    if not is_container or not node.fields or not node.keys:
        return _Part(key, lines[start:end])
    rows = [node.keys[name].line - 1 for name in node.fields]
    if len(set(rows)) < len(rows) or (key and rows[0] <= at):
        raise _NotInBlocks
    starts = [_with_comments(lines, row, at + 1 if key else 0) for row in rows]
    if not key:
        starts[0] = rows[0]
    part = _Part(key, lines[start : starts[0]])
    for i, (name, inner) in enumerate(node.fields.items()):
        stop = starts[i + 1] if i + 1 < len(starts) else end
        part.parts[name] = _cut((*key, name), inner, lines, starts[i], stop, rows[i])
    return part


def _with_comments(lines: list[str], row: int, first: int) -> int:
    """Where the comments right above a line begin; empty lines above them belong to it too."""
    start = row
    while start > first and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    while start > first and not lines[start - 1].strip():
        start -= 1
    return start
