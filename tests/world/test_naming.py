"""Names of points: shared by twins that are alike, whatever comes later, and undone as one."""

from __future__ import annotations

import pytest

from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutPoints, PutTwin
from mirrorworld.world.model import Kind, PointType, Twin
from mirrorworld.world.naming import NONE, Layouts, Run
from mirrorworld.world.world import World

PLANT = Origin(OriginKind.MEASURED, "plant")


def test_names_follow_their_handles() -> None:
    layouts = Layouts()
    one = layouts.extended(NONE, ["a", "b"], 10)
    more = layouts.extended(one, ["c"], 12)
    assert isinstance(more, Run)
    assert dict(more) == {"a": 10, "b": 11, "c": 12}
    apart = layouts.extended(more, ["d", "e"], 40)
    assert dict(apart) == {"a": 10, "b": 11, "c": 12, "d": 40, "e": 41}
    assert list(apart.items()) == list(dict(apart).items())
    assert dict(layouts.extended(apart, ["f"], 42))["f"] == 42
    assert dict(one) == {"a": 10, "b": 11}, "what was given out does not change"
    with pytest.raises(KeyError):
        one["z"]


def test_twins_that_are_alike_share_their_table() -> None:
    layouts = Layouts()
    first, second = (layouts.extended(NONE, ["a", "b"], at) for at in (0, 2))
    assert isinstance(first, Run) and isinstance(second, Run)
    assert first._offsets is second._offsets


def points(*names: str, kind: Kind = Kind.FLOAT) -> tuple[PointType, ...]:
    return tuple(PointType(name, kind) for name in names)


def test_points_of_refused_edits_leave_nothing_behind() -> None:
    world = World("w")
    first = Edits((PutTwin(Twin("plant/a", points=points("x", "y"))),))
    world.apply(Change(first, PLANT, 1))
    before = world.state_hash()
    wrong = (*points("new"), *points("x", kind=Kind.TEXT), *points("newer"))
    for edits in (
        (PutPoints("plant/a", wrong),),
        (PutTwin(Twin("plant/b", points=points("x", "z"))), PutPoints("plant/a", wrong)),
    ):
        with pytest.raises(ValueError, match="cannot become"):
            world.apply(Change(Edits(edits), PLANT, 2))
        assert world.n_points == 2
        assert len(world.kinds) == len(world.structure.low) == 2
        assert world.state_hash() == before
    world.apply(Change(Edits((PutPoints("plant/a", points("z")),)), PLANT, 3))
    assert world.handles([("plant/a", "z"), ("plant/a", "x")]).tolist() == [2, 0]


def test_a_restored_world_has_the_same_handles() -> None:
    world = World("w")
    for twin, names in (("a", "xy"), ("b", "xy"), ("a", "z"), ("c", ""), ("b", "uv")):
        id = f"plant/{twin}"
        if id not in world.structure.twins:
            world.apply(Change(Edits((PutTwin(Twin(id)),)), PLANT, 1))
        if names:
            world.apply(Change(Edits((PutPoints(id, points(*names)),)), PLANT, 1))
    again = World.from_snapshot(world.snapshot())
    branch = world.branch("b")
    for twin in ("plant/a", "plant/b", "plant/c"):
        for other in (again, branch):
            assert other.structure.points_of(twin) == world.structure.points_of(twin)
    assert [p.handle for p in world.structure.points_of("plant/a")] == [0, 1, 4]
