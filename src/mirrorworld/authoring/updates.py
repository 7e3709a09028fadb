"""Updates of a Yjs document (format v1), read before the CRDT library sees them.

The library allocates what an update announces and gives up the process's memory, a second of its
time or a panic for some that lie. Nothing of that passes here: every count is held against the
bytes that are there, and only what notes are made of is let in. Lengths count UTF-16 units.

The format is that of yjs 13 (`src/utils/encoding.js`, `src/structs/*.js`) and lib0 (`encoding.js`).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final

Known = dict[int, int]
"""Client -> how many of its units are there: a state vector."""

ROOTS: Final = frozenset({"notes", "tasks"})
UPDATE_BYTES_MAX: Final = 256 << 10
DEPTH_MAX: Final = 8

_ORIGIN, _RIGHT, _SUB = 0x80, 0x40, 0x20
_GC, _DELETED, _STRING, _TYPE, _ANY, _SKIP = 0, 1, 4, 7, 8, 10
_MAP, _TEXT = 1, 2
_CLOCK_MAX: Final = 1 << 31


@dataclass(slots=True)
class Update:
    """What an update says about itself."""

    adds: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    """Client -> first and end of its units that the update brings."""
    needs: Known = field(default_factory=dict[int, int])
    """Client -> how many of its units have to be there for the update to make sense."""
    skips: Known = field(default_factory=dict[int, int])
    """Client -> up to where the update leaves units out, which have to be there already."""

    def lacks(self, known: Known) -> bool:
        """Whether the update builds on what is not there."""
        if any(first > known.get(client, 0) for client, (first, _) in self.adds.items()):
            return True
        if any(end > known.get(client, 0) for client, end in self.skips.items()):
            return True
        for client, needed in self.needs.items():
            end = max(known.get(client, 0), self.adds.get(client, (0, 0))[1])
            if needed > end:
                return True
        return False

    def is_new(self, known: Known) -> dict[int, int]:
        """Client -> how many of its units are new."""
        new = {c: end - max(first, known.get(c, 0)) for c, (first, end) in self.adds.items()}
        return {client: n for client, n in new.items() if n > 0}


def read(update: bytes, *, most: int = UPDATE_BYTES_MAX) -> Update:
    """Reads an update of at most so many bytes.

    Raises:
        ValueError: it is none, it is too large, or it brings what notes have not.
    """
    if len(update) > most:
        raise ValueError(f"{len(update)} bytes at once; {most} are taken")
    try:
        return _Reader(update).update()
    except (IndexError, UnicodeDecodeError, OverflowError):
        raise ValueError("these bytes are no update of a document") from None


def state(vector: bytes) -> Known:
    """What a state vector says; ValueError where it is none."""
    try:
        return _Reader(vector).vector()
    except IndexError:
        raise ValueError("these bytes are no state of a document") from None


def of_base64(text: str) -> bytes:
    """Bytes that came as base64; ValueError where they did not."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("this is not base64") from None


def to_base64(data: bytes) -> str:
    """Bytes as the wire has them."""
    return base64.b64encode(data).decode()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._found = Update()

    def update(self) -> Update:
        found = self._found
        for _ in range(self._count()):
            structs, client, clock = self._count(), self._id(), self._clock()
            if not structs or client in found.adds:
                raise ValueError("an author's part is empty, or there twice")
            first = clock
            for _ in range(structs):
                is_skip = self._data[self._at] == _SKIP
                clock += self._struct()
                if is_skip:
                    found.skips[client] = clock
                if clock > _CLOCK_MAX:
                    raise ValueError("an author's part is longer than any")
            found.adds[client] = (first, clock)
        for _ in range(self._count()):
            client = self._id()
            for _ in range(self._count()):
                start, length = self._clock(), self._clock()
                self._need(client, start + length)
        if self._at != len(self._data):
            raise ValueError("there are bytes behind the update")
        return found

    def vector(self) -> Known:
        known = {self._id(): self._clock() for _ in range(self._count())}
        if self._at != len(self._data):
            raise ValueError("there are bytes behind the state")
        return known

    def _struct(self) -> int:
        """Reads one struct; how many units it takes."""
        info = self._byte()
        kind = info & 0x1F
        if kind == _GC or info == _SKIP:
            return self._length()
        if info & _ORIGIN:
            self._ref()
        if info & _RIGHT:
            self._ref()
        if not info & (_ORIGIN | _RIGHT):
            if self._uint() == 1:
                root = self._string()
                if root not in ROOTS:
                    raise ValueError(f"'{root[:40]}' is no part of a document of notes")
            else:
                self._ref()
            if info & _SUB:
                self._string()
        return self._content(kind)

    def _content(self, kind: int) -> int:
        if kind == _DELETED:
            return self._length()
        if kind == _STRING:
            units = len(self._string().encode("utf-16-le", "surrogatepass")) // 2
            if not units:
                raise ValueError("an empty piece of text")
            return units
        if kind == _TYPE:
            of = self._uint()
            if of not in (_MAP, _TEXT):
                raise ValueError(f"a document of notes has no type {of}")
            return 1
        if kind == _ANY:
            n = self._count()
            if not n:
                raise ValueError("a value without any")
            for _ in range(n):
                self._any(0)
            return n
        raise ValueError(f"a document of notes has no content of kind {kind}")

    def _any(self, depth: int) -> None:
        if depth > DEPTH_MAX:
            raise ValueError("a value is nested too deeply")
        kind = self._byte()
        if kind == 125:
            self._varint()
        elif kind == 124:
            self._skip(4)
        elif kind == 123:
            self._skip(8)
        elif kind == 119:
            self._string()
        elif kind == 118:
            for _ in range(self._count()):
                self._string()
                self._any(depth + 1)
        elif kind == 117:
            for _ in range(self._count()):
                self._any(depth + 1)
        elif kind not in (120, 121, 126):
            raise ValueError(f"notes have no value of kind {kind}")

    def _need(self, client: int, n: int) -> None:
        self._found.needs[client] = max(self._found.needs.get(client, 0), n)

    def _ref(self) -> None:
        client, clock = self._id(), self._clock()
        self._need(client, clock + 1)

    def _byte(self) -> int:
        byte = self._data[self._at]
        self._at += 1
        return byte

    def _uint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 56:
                raise ValueError("a number is too large")

    def _varint(self) -> None:
        if self._byte() & 0x80:
            self._uint()

    def _id(self) -> int:
        client = self._uint()
        if client >= 1 << 53:
            raise ValueError("a number of an author is too large")
        return client

    def _clock(self) -> int:
        clock = self._uint()
        if clock > _CLOCK_MAX:
            raise ValueError("a place in a document is too large")
        return clock

    def _length(self) -> int:
        length = self._clock()
        if not length:
            raise ValueError("a piece without length")
        return length

    def _count(self) -> int:
        """Of what takes at least a byte each."""
        count = self._uint()
        if count > len(self._data) - self._at:
            raise ValueError("it announces more than it has")
        return count

    def _skip(self, n: int) -> None:
        if self._at + n > len(self._data):
            raise IndexError
        self._at += n

    def _string(self) -> str:
        n = self._uint()
        start = self._at
        self._skip(n)
        return self._data[start : self._at].decode("utf-8")
