"""The one door of sheets: each kind is read by its own room before it is kept.

A kind that no room here reads is kept as it is; whoever reads it later says what is wrong of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from mirrorworld import units
from mirrorworld.live import notify
from mirrorworld.mapping import book as mappings
from mirrorworld.protocol import boards, looks, tours, written
from mirrorworld.rules import book
from mirrorworld.world.changes import Edits, PutSheet
from mirrorworld.world.model import Sheet
from mirrorworld.world.structure import Structure

Known = tuple[str, str, str | None]
"""(kind, name, body) of a sheet as its author knew it; body None: there was none."""


def _look(sheet: Sheet) -> looks.Look:
    look = looks.read(sheet)
    for i, rule in enumerate(look.rules):
        if rule.unit:
            units.check(rule.unit, f"{written.place_of(sheet)}.rules[{i}].unit")
    return look


READERS: Final[dict[str, Callable[[Sheet], object]]] = {
    book.KIND: book.read,
    boards.KIND: boards.read,
    tours.KIND: tours.read,
    looks.KIND: _look,
    notify.KIND: notify.read,
    mappings.KIND: mappings.read,
}


FORMS: Final[dict[str, type]] = {}
"""By kind, the msgspec type of a sheet's body, where pages shall make a form of it. A hint in the
JSON schema says what a text means: `format` time, time-zone, weekdays, twin, point, labels, sheet
or words; `of` is the field that says of which twin or point, or the kind of sheet."""


class ChangedMeanwhileError(ValueError):
    """A sheet is no longer as the author of an edit knew it."""


def check(edits: Edits, structure: Structure, based_on: Iterable[Known] = ()) -> None:
    """Lets only sheets pass that can be read, over sheets that are as their author knew them.

    Raises:
        ValueError: a sheet cannot be read; the message is its room's own.
        ChangedMeanwhileError: somebody has changed a sheet since.
    """
    for kind, name, body in based_on:
        sheet = structure.sheets.get((kind, name))
        if (None if sheet is None else sheet.body) != body:
            now = "is gone" if sheet is None else "is there already" if body is None else "changed"
            raise ChangedMeanwhileError(
                f"{kind} '{name}' {now} meanwhile; look at it as it is now, then edit again"
            )
    for edit in edits.edits:
        if isinstance(edit, PutSheet) and edit.sheet.kind in READERS:
            READERS[edit.sheet.kind](edit.sheet)
