"""What a fork holds over its origin is what a copy would be, whatever either of them does."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorworld.world.changes import (
    Change,
    DropSheet,
    DropTwin,
    Edits,
    Event,
    Origin,
    OriginKind,
    PutName,
    PutPointAbout,
    PutPoints,
    PutProperty,
    PutRelation,
    PutSheet,
    PutTwin,
    PutType,
)
from mirrorworld.world.frames import FrameBuilder
from mirrorworld.world.layers import Layered, layered
from mirrorworld.world.model import (
    Kind,
    PointType,
    Property,
    Relation,
    Sheet,
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.world import World

KEYS = st.integers(0, 9)
STEPS = st.lists(st.tuples(st.sampled_from(["put", "drop", "layer"]), KEYS, KEYS), max_size=40)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, KEYS), STEPS)
def test_a_layer_is_as_a_copied_dict(start, steps):
    copy, layer = dict(start), Layered(dict(start))
    for step, key, value in steps:
        if step == "put":
            copy[key] = layer[key] = value
        elif step == "drop":
            assert layer.pop(key, None) == copy.pop(key, None)
        else:
            layer = Layered(layer)
        assert list(layer.items()) == list(copy.items())
        assert len(layer) == len(copy) and (key in layer) == (key in copy)
        assert list(reversed(layer.values())) == list(reversed(copy.values()))


def test_layers_over_layers_end_as_a_copy():
    table = {i: i for i in range(100)}
    for i in range(50):
        table = layered(table)
        table[i] = -i
    assert [table[i] for i in range(100)] == [-i if i < 50 else i for i in range(100)]
    assert getattr(table, "depth", 0) <= 8


def big(n: int = 90) -> World:
    """A world in which every table is large enough to be layered."""
    world = World("w")
    kinds = (PointType("a", Kind.FLOAT), PointType("t", Kind.TEXT))
    edits = [PutType(TwinType("T", points=kinds)), *(PutTwin(Twin(f"t{i}", "T")) for i in range(n))]
    edits += [PutRelation(Relation("feeds", f"t{i}", f"t{i + 1}")) for i in range(n - 1)]
    edits += [PutName(f"t{i}", Text.of(f"name {i}")) for i in range(n)]
    edits += [PutSheet(Sheet("note", f"s{i}", str(i))) for i in range(n)]
    put(world, Edits(tuple(edits)))
    for i in range(n):
        put(world, Event(f"e{i}", f"t{i}", "alarm", Text.of("x"), source_ns=i))
    builder = FrameBuilder()
    for i in range(n):
        builder.add(world.structure.handle(f"t{i}", "a"), Kind.FLOAT, float(i), 10)
        builder.add(world.structure.handle(f"t{i}", "t"), Kind.TEXT, str(i), 10)
    put(world, builder.build())
    return world


def put(world: World, body) -> None:
    world.apply(Change(body, Origin(OriginKind.AUTHORED, "kim"), 100, "s"))


def step(world: World, what: int, i: int, at_ns: int) -> None:
    """One of the things that can be done to a world."""
    twin = f"t{i}"
    is_there = twin in world.structure.twins
    match what:
        case 0 if is_there:
            put(world, Edits((PutProperty(twin, Property("p", at_ns)),)))
        case 1 if is_there:
            put(world, Edits((DropTwin(twin),)))
        case 2:
            put(world, Edits((PutTwin(Twin(twin, "T", Text.of(str(at_ns)))),)))
        case 3:
            put(world, Edits((PutSheet(Sheet("note", twin, str(at_ns))), DropSheet("note", "s3"))))
        case 4:
            put(world, Event(f"e{i}", "t0", "alarm", Text.of(str(at_ns)), source_ns=at_ns))
        case 5 if is_there:
            builder = FrameBuilder()
            builder.add(world.structure.handle(twin, "t"), Kind.TEXT, str(at_ns), at_ns)
            builder.add(world.structure.handle(twin, "a"), Kind.FLOAT, float(at_ns), at_ns)
            put(world, builder.build())
        case 6 if is_there:
            put(world, Edits((PutPoints(twin, (PointType(f"n{at_ns}", Kind.INT),)),)))
        case 7 if is_there:
            put(world, Edits((PutPointAbout(twin, "a", unit="Cel", low=0.0, high=float(at_ns)),)))
        case 8:
            bad = (PutPoints("t0", (PointType("zz"),)), DropTwin("t1"), PutName("none", Text()))
            try:
                put(world, Edits(bad))
            except ValueError:
                return
            raise AssertionError("a twin that is not there was named")
        case _:
            pass


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8), st.integers(0, 89)), max_size=25))
def test_a_branch_and_its_parent_go_their_own_ways(steps):
    """Law: as if all had been copied at the fork. Each world is beside one that never shared."""
    shared, alone = [big()], [big()]
    for n in (1, 2):
        shared.append(shared[-1].branch(f"b{n}"))
        other = World.from_snapshot(alone[-1].snapshot())
        other.parent = ("w", alone[-1].position)
        alone.append(other)
    for at_ns, (which, what, i) in enumerate(steps, 200):
        for worlds in (shared, alone):
            step(worlds[which], what, i, at_ns)
    for one, other in zip(shared, alone, strict=True):
        assert one.state_hash() == other.state_hash()
        assert one.snapshot().twins == other.snapshot().twins
        assert set(one.structure.twins) == set(other.structure.twins)
