"""Who was granted a part of a world edits that part, and nothing else by way of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mirrorworld.live.guard import OWNER, SOURCE, RoleGuard, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.record.store import open_record, restore
from mirrorworld.testing.guards import check_guard
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from mirrorworld.world.changes import (
    DropRelation,
    DropSheet,
    DropTwin,
    Edit,
    Edits,
    PutName,
    PutRelation,
    PutSheet,
    PutTwin,
    PutType,
)
from mirrorworld.world.model import Relation, Sheet, Text, Twin, TwinType
from mirrorworld.world.ports import Action

SUB = principal("sub")


@pytest.fixture
async def mirror(tmp_path: Path) -> AsyncIterator[Mirror]:
    accounts = Accounts()
    accounts.add_person("sub", "correct horse battery", [Grant("engineer", "hall/line1")])
    record = open_record(tmp_path / "record", "hall", compacts=False)
    world = restore(record)

    def wholes(twin: str) -> list[str]:
        relations = world.structure.relations_from(twin)
        return [r.target for r in relations if r.kind == "part_of"]

    guard = GrantGuard(RoleGuard(), accounts, wholes)
    check_guard(guard, principal("ada", OWNER), principal("line", SOURCE))
    made = Mirror(world, record, {}, guard=guard)
    await made.start()
    edits: list[Edit] = [PutTwin(Twin(t)) for t in ("hall", "hall/line1", "hall/line10", "press")]
    edits += [PutTwin(Twin("robot")), PutSheet(Sheet("board", "main", '{"version": 1}'))]
    edits.append(PutRelation(Relation("part_of", "robot", "hall/line1")))
    await made.edit(principal("ada", OWNER), Edits(tuple(edits)))
    yield made
    await made.stop()
    accounts.close()


@pytest.mark.parametrize(
    "edit",
    [
        PutName("hall/line1", Text.of("one")),
        PutTwin(Twin("hall/line1/filler")),
        PutName("robot", Text.of("part of it by relation")),
        PutRelation(Relation("feeds", "hall/line1", "press")),
    ],
)
async def test_the_part_is_theirs(mirror: Mirror, edit: Edit) -> None:
    await mirror.edit(SUB, Edits((edit,)))


@pytest.mark.parametrize(
    "edit",
    [
        PutName("hall", Text.of("above")),
        PutName("hall/line10", Text.of("begins alike")),
        PutTwin(Twin("press")),
        DropTwin("press"),
        PutType(TwinType("Press")),
        PutSheet(Sheet("rule", "mine")),
        DropSheet("board", "main"),
        PutRelation(Relation("part_of", "press", "hall/line1")),
        DropRelation("part_of", "press", "hall"),
    ],
)
async def test_the_rest_is_not_alone_nor_together_with_the_part(mirror: Mirror, edit: Edit) -> None:
    before = mirror.world.state_hash()
    for edits in ((edit,), (PutName("hall/line1", Text.of("one")), edit)):
        with pytest.raises(PermissionError):
            await mirror.edit(SUB, Edits(edits))
    assert mirror.world.state_hash() == before


def test_the_world_as_such_is_looked_at_by_who_sees_a_part(mirror: Mirror) -> None:
    may = mirror.guard.may
    assert may(SUB, Action.READ, "", "view", 0).allowed
    assert may(SUB, Action.READ, "robot", "view", 0).allowed
    assert not may(SUB, Action.READ, "press", "view", 0).allowed
    for action in (Action.EDIT, Action.ADMINISTER, Action.ARM):
        assert not may(SUB, action, "", "", 0).allowed
    assert not may(principal("nobody"), Action.READ, "", "view", 0).allowed
