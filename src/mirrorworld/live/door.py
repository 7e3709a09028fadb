"""What authored edits have to pass before they are in the log; sources say what they say."""

from __future__ import annotations

from collections.abc import Iterable

from mirrorworld import units
from mirrorworld.live import sheets
from mirrorworld.world.changes import Edits, PutPointAbout
from mirrorworld.world.structure import Structure
from mirrorworld.world.wholes import check_rings


def check(edits: Edits, structure: Structure, based_on: Iterable[sheets.Known] = ()) -> None:
    """Lets edits pass that make sense.

    Raises:
        ValueError: a sheet cannot be read, a unit is not UCUM, or something would be a part of
            itself; the message names the place and the mend.
        ChangedMeanwhileError: somebody has changed a sheet of `based_on` since.
    """
    sheets.check(edits, structure, based_on)
    for edit in edits.edits:
        if isinstance(edit, PutPointAbout) and edit.unit:
            units.check(edit.unit, f"{edit.twin}.{edit.point}")
    check_rings(structure, edits)
