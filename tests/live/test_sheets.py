"""The door of sheets on the real road: after the guard, and nothing between it and the applying."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mirrorworld.live.guard import OWNER, VIEWER, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.live.sheets import ChangedMeanwhileError
from mirrorworld.record import open_record, restore
from mirrorworld.world.changes import DropSheet, Edits, PutName, PutSheet, PutTwin
from mirrorworld.world.model import Sheet, Text, Twin

ADA, BOB, EYE = principal("ada", OWNER), principal("bob", OWNER), principal("eye", VIEWER)
EMPTY = '{"version": 1}'


def text(words: str) -> str:
    tile = f'{{"@": "TextTile", "id": "a", "x": 0, "y": 0, "w": 3, "h": 3, "text": "{words}"}}'
    return f'{{"version": 1, "tiles": [{tile}]}}'


def put(body: str) -> Edits:
    return Edits((PutSheet(Sheet("board", "Line", body)),))


@pytest.fixture
async def mirror(tmp_path: Path) -> AsyncIterator[Mirror]:
    record = open_record(tmp_path / "record", "hall", compacts=False)
    made = Mirror(restore(record), record, {})
    await made.start()
    await made.edit(ADA, Edits((PutTwin(Twin("hall")),)))
    yield made
    await made.stop()


async def test_who_may_not_edit_is_told_that_and_not_what_is_wrong(mirror: Mirror) -> None:
    with pytest.raises(PermissionError):
        await mirror.edit(EYE, put("no board"))


async def test_a_wrong_sheet_keeps_all_edits_beside_it_out(mirror: Mirror) -> None:
    before = mirror.world.state_hash()
    wrong = PutSheet(Sheet("board", "Line", '{"version": 1, "tiles": [{"@": "Frame"}]}'))
    with pytest.raises(ValueError, match=r"board Line\.tiles\[0\]: '@' is 'Frame'"):
        await mirror.edit(ADA, Edits((PutName("hall", Text.of("Halle")), wrong)))
    assert mirror.world.state_hash() == before


async def test_of_two_at_once_one_is_kept_and_the_other_told(mirror: Mirror) -> None:
    await mirror.edit(ADA, put(EMPTY), [("board", "Line", None)])
    known = [("board", "Line", EMPTY)]
    answers = await asyncio.gather(
        *(mirror.edit(who, put(text(who.id)), known) for who in (ADA, BOB)), return_exceptions=True
    )
    told = [answer for answer in answers if isinstance(answer, ChangedMeanwhileError)]
    assert len(told) == 1
    assert mirror.world.structure.sheets["board", "Line"].body == text("ada")


async def test_what_was_deleted_meanwhile_does_not_come_back(mirror: Mirror) -> None:
    await mirror.edit(ADA, put(EMPTY))
    await mirror.edit(BOB, Edits((DropSheet("board", "Line"),)))
    with pytest.raises(ChangedMeanwhileError, match="is gone meanwhile"):
        await mirror.edit(ADA, put(text("x")), [("board", "Line", EMPTY)])
    assert not mirror.world.structure.sheets
