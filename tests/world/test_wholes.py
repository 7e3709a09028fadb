"""Wholes and parts: no rings among them, and what a person has ended stays ended."""

from __future__ import annotations

import pytest

from mirrorworld.world.changes import (
    Change,
    DropRelation,
    Edit,
    Edits,
    Origin,
    OriginKind,
    PutRelation,
    PutTwin,
    Unsay,
)
from mirrorworld.world.model import FEEDS, LOCATED_IN, PART_OF, Relation, Twin
from mirrorworld.world.undoing import undone
from mirrorworld.world.wholes import check_rings
from mirrorworld.world.world import World

PERSON, SOURCE = Origin(OriginKind.AUTHORED, "ada"), Origin(OriginKind.MEASURED, "plc")
A_IN_B = Relation(PART_OF, "a", "b")


def world(*relations: Relation) -> World:
    found = World("w")
    twins = [PutTwin(Twin(name)) for name in "abcd"]
    do(found, *twins, *map(PutRelation, relations), origin=SOURCE)
    return found


def do(world: World, *edits: Edit, origin: Origin = PERSON) -> bool:
    return world.apply(Change(Edits(edits), origin, 1)).change is not None


@pytest.mark.parametrize(
    ("edits", "ring"),
    [
        ([PutRelation(Relation(PART_OF, "b", "a"))], "b part of a part of b"),
        ([PutRelation(Relation(PART_OF, "c", "c"))], "nothing can be part of itself"),
        (
            [PutRelation(Relation(PART_OF, "b", "c")), PutRelation(Relation(PART_OF, "c", "a"))],
            "would be part of itself",
        ),
        (
            [PutRelation(Relation(LOCATED_IN, x, y)) for x, y in ("cd", "dc")],
            "located in d located in c",
        ),
    ],
)
def test_a_ring_is_refused_and_named(edits: list[Edit], ring: str) -> None:
    with pytest.raises(ValueError, match=ring):
        check_rings(world(A_IN_B).structure, Edits(tuple(edits)))


def test_what_is_no_ring_passes() -> None:
    structure = world(A_IN_B).structure
    b_in_a = PutRelation(Relation(PART_OF, "b", "a"))
    check_rings(structure, Edits((DropRelation(*A_IN_B.key), b_in_a)))
    check_rings(structure, Edits((b_in_a, DropRelation(*A_IN_B.key))))
    check_rings(structure, Edits((PutRelation(Relation(FEEDS, "b", "a")),)))
    check_rings(structure, Edits((PutRelation(Relation(PART_OF, "a", "c")),)))


def test_a_source_does_not_bring_back_what_a_person_ended() -> None:
    one = world(A_IN_B)
    assert do(one, DropRelation(*A_IN_B.key))
    assert not do(one, PutRelation(A_IN_B), origin=SOURCE)
    assert not one.structure.relations
    again = World.from_snapshot(one.snapshot())
    assert not do(again, PutRelation(A_IN_B), origin=SOURCE)
    assert do(again, PutRelation(A_IN_B)), "a person may put it again"
    assert do(again, DropRelation(*A_IN_B.key), origin=SOURCE), "its source ends it as ever"
    assert do(again, PutRelation(A_IN_B), origin=SOURCE)


def test_the_source_may_say_it_again_once_that_is_taken_back() -> None:
    one = world(A_IN_B)
    do(one, DropRelation(*A_IN_B.key))
    assert do(one, Unsay("a", "DropRelation", "part_of\tb\t"))
    assert do(one, PutRelation(A_IN_B), origin=SOURCE)


@pytest.mark.parametrize("there", [True, False])
def test_undo_leaves_no_trace(there: bool) -> None:
    one = world(*([A_IN_B] if there else []))
    before = one.structure.fork()
    edits = Edits((DropRelation(*A_IN_B.key) if there else PutRelation(A_IN_B),))
    one.structure.apply(edits)
    after = one.structure.fork()
    do(one, *undone(before, after, one.structure, edits))
    assert one.structure.relations == before.relations
    assert list(one.structure.overlays()) == []


def test_a_replayed_log_knows_who_ended_what() -> None:
    one = world(A_IN_B)
    log: list[Change] = []
    for edit, origin in (
        (DropRelation(*A_IN_B.key), PERSON),
        (PutRelation(A_IN_B), SOURCE),
        (PutRelation(Relation(FEEDS, "a", "b")), SOURCE),
    ):
        applied = one.apply(Change(Edits((edit,)), origin, 1)).change
        log += [applied] if applied is not None else []
    other = world(A_IN_B)
    for change in log:
        other.replay(change)
    assert other.state_hash() == one.state_hash()
    assert not do(other, PutRelation(A_IN_B), origin=SOURCE)
