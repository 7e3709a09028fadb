"""How far a table was read, kept so that no row is lost and none is doubled.

Rows are taken in pages. Before a page is handed over, what it holds and its number are written
down; only when it is durable does the next page's note take the place of this one's. After a
crash the page in doubt is read again, row for row, and handed over under the same number, by
which the world recognises what it has.

A transaction that began earlier may commit a lower `change` later. So the last rows that were
taken are remembered by their keys, and the rows that stand there now are compared with them.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import json
import os
import secrets
import uuid
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mirrorworld.world.ports import SourceError

Key = tuple[Any, ...]
"""(change, tie …) of a row, as the database gives them."""

VERSION: Final = 1


@dataclass(slots=True)
class Progress:
    """How far one table was read."""

    at: Key | None = None
    """The highest row that was taken; None: none yet."""
    floor: Key | None = None
    """Rows up to this one are not looked at again."""
    taken: deque[tuple[str, bool]] = field(default_factory=deque[tuple[str, bool]])
    """(key as text, whether it came in its turn) of the last rows, in the order of taking."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A page that was handed over and may not be durable."""

    number: int
    table: str
    keys: tuple[Key, ...]
    is_late: bool
    """Rows that stand before `at`: they move nothing."""


class Cursor:
    """The progress of all tables of a source, and the page in doubt.

    Args:
        file: where it is kept; None: it is forgotten with the process.

    Attributes:
        incarnation: what the pages' numbers belong to; a new one if nothing was remembered.
        is_new: nothing was remembered.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.incarnation = secrets.randbits(62)
        self.number = 0
        self.pending: Pending | None = None
        self.is_new = True
        self.tables: dict[str, Progress] = {}
        if file is not None:
            with contextlib.suppress(FileNotFoundError):
                text = file.read_text()
                try:
                    self._read(json.loads(text))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise SourceError(
                        f"{file}: how far the tables were read is not legible ({error}); remove"
                        " the file to read them from their start once more"
                    ) from error

    def of(self, table: str) -> Progress:
        """How far a table was read."""
        return self.tables.setdefault(table, Progress())

    def begin(self, table: str, keys: list[Key], keeps: int, *, is_late: bool) -> int:
        """Notes that a page is about to be handed over; returns its number.

        The page before it must be durable. `keys` are in the order of the database; `keeps` says
        against how many rows late ones are looked for.

        Raises:
            OSError: it could not be written; the page must not be handed over.
        """
        if self.pending is not None:
            self._take(self.pending, keeps)
        self.number += 1
        self.pending = Pending(self.number, table, tuple(keys), is_late)
        self._write()
        return self.number

    def done(self, keeps: int) -> None:
        """Everything that was handed over is durable: nothing is in doubt."""
        if self.pending is not None:
            self._take(self.pending, keeps)
            self.pending = None
            self._write()

    def start_at(self, table: str, at: Key) -> None:
        """Rows up to this one are passed over."""
        progress = self.of(table)
        progress.at = progress.floor = at

    def _take(self, page: Pending, keeps: int) -> None:
        progress = self.of(page.table)
        if not page.is_late:
            progress.at = page.keys[-1]
        progress.taken.extend((text_of(key), not page.is_late) for key in page.keys)
        while len(progress.taken) > 2 * keeps:
            gone, was_in_turn = progress.taken.popleft()
            # A late row stands before those that came in their turn ahead of it, so that the
            # floor, which they moved, is above it when it goes.
            if was_in_turn:
                progress.floor = key_of(gone)

    # --- on disk

    def _read(self, plain: dict[str, Any]) -> None:
        if plain.get("version") != VERSION:
            raise ValueError(f"{self._file}: is of version {plain.get('version')}, not {VERSION}")
        self.incarnation, self.number = int(plain["incarnation"]), int(plain["number"])
        self.is_new = False
        for name, table in plain["tables"].items():
            self.tables[name] = Progress(
                _from_json(table["at"]),
                _from_json(table["floor"]),
                deque((text, bool(turn)) for text, turn in table["taken"]),
            )
        pending = plain.get("pending")
        if pending:
            keys = tuple(_from_json(key) or () for key in pending["keys"])
            self.pending = Pending(self.number, pending["table"], keys, bool(pending["is_late"]))

    def _write(self) -> None:
        if self._file is None:
            return
        plain = {
            "version": VERSION,
            "incarnation": self.incarnation,
            "number": self.number,
            "pending": self.pending
            and {
                "table": self.pending.table,
                "keys": [_to_json(key) for key in self.pending.keys],
                "is_late": self.pending.is_late,
            },
            "tables": {
                name: {
                    "at": _to_json(table.at),
                    "floor": _to_json(table.floor),
                    "taken": list(table.taken),
                }
                for name, table in self.tables.items()
            },
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        with open(new, "w") as out:
            json.dump(plain, out)
            out.flush()
            os.fsync(out.fileno())
        os.replace(new, self._file)
        folder = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the renaming itself has to outlive a power cut
        finally:
            os.close(folder)


def text_of(key: Key) -> str:
    """A key as text, to be compared for equality."""
    return json.dumps(_to_json(key))


def key_of(text: str) -> Key:
    """The key of a text."""
    return _from_json(json.loads(text)) or ()


def _to_json(key: Key | None) -> list[Any] | None:
    return None if key is None else [_plain(part) for part in key]


def _plain(value: Any) -> Any:
    match value:
        case bool() | int() | float() | str() | None:
            return value
        case datetime.datetime():
            return {"datetime": value.isoformat()}
        case datetime.date():
            return {"date": value.isoformat()}
        case decimal.Decimal():
            return {"decimal": str(value)}
        case uuid.UUID():
            return {"uuid": str(value)}
        case bytes():
            return {"bytes": value.hex()}
    raise TypeError(f"a {type(value).__name__} cannot order rows; choose another column")


_READ: Final = {
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "decimal": decimal.Decimal,
    "uuid": uuid.UUID,
    "bytes": bytes.fromhex,
}


def _from_json(plain: list[Any] | None) -> Key | None:
    if plain is None:
        return None
    return tuple(
        _READ[next(iter(part))](next(iter(part.values()))) if isinstance(part, dict) else part
        for part in plain
    )
