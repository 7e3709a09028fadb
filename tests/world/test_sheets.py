"""Sheets: what people write down for a world as a whole is structure like any other."""

from __future__ import annotations

import pytest

from mirrorworld.world.changes import Change, DropSheet, Edits, Origin, OriginKind, PutSheet
from mirrorworld.world.model import Sheet
from mirrorworld.world.plain import from_tagged, to_plain
from mirrorworld.world.structure import SHEET_LENGTH_MAX
from mirrorworld.world.world import World

AUTHOR = Origin(OriginKind.AUTHORED, "eve")


def write(world: World, *edits: PutSheet | DropSheet) -> Change | None:
    return world.apply(Change(Edits(edits), AUTHOR, 1)).change


def test_a_sheet_is_put_replaced_and_ended():
    world = World("w")
    write(world, PutSheet(Sheet("rule", "high", '{"a":1}')))
    assert world.structure.sheets["rule", "high"].body == '{"a":1}'
    write(world, PutSheet(Sheet("rule", "high", '{"a":2}')))
    assert world.structure.sheets["rule", "high"].body == '{"a":2}'
    assert write(world, PutSheet(Sheet("rule", "high", '{"a":2}'))) is None
    write(world, DropSheet("rule", "high"))
    assert not world.structure.sheets


def test_a_refused_edit_takes_the_sheet_back():
    world = World("w")
    before = world.state_hash()
    with pytest.raises(ValueError, match="needs a kind"):
        write(world, PutSheet(Sheet("rule", "one")), PutSheet(Sheet("", "two")))
    with pytest.raises(ValueError, match="at most"):
        write(world, PutSheet(Sheet("rule", "long", "x" * (SHEET_LENGTH_MAX + 1))))
    assert world.state_hash() == before


def test_snapshot_branch_and_plain_form_keep_it():
    world = World("w")
    put = PutSheet(Sheet("board", "hall", '{"tiles":[]}'))
    write(world, put)
    again = World.from_snapshot(world.snapshot())
    assert again.structure.sheets == world.structure.sheets
    assert again.state_hash() == world.state_hash()
    assert from_tagged(to_plain(put, tagged=True)) == put
    branch = world.branch("what if")
    write(branch, DropSheet("board", "hall"))
    assert ("board", "hall") in world.structure.sheets
    assert not branch.structure.sheets
