"""Keyframes and blobs: lossless, shared structure, damage passed over."""

import msgspec
import numpy as np
import pytest

from mirrorworld.record import CorruptRecordError, compact, open_record, restore
from mirrorworld.record import store as record_store
from mirrorworld.record.blobs import Blobs
from mirrorworld.record.files import Files
from mirrorworld.testing.records import feed
from mirrorworld.world import changes, model
from mirrorworld.world.changes import Edit
from mirrorworld.world.model import PointType, Property, Ref, Relation, Text, Twin, TwinType
from mirrorworld.world.world import World


@pytest.fixture
def opened(tmp_path):
    with open_record(tmp_path / "w", "world", compacts=False) as store:
        yield store, restore(store)


def test_a_snapshot_comes_back_as_it_was(opened):
    store, world = opened
    feed(store, world, 1, 150)
    store.keyframe(world.snapshot())
    again = store.keyframes.read(world.position)
    assert World.from_snapshot(again).state_hash() == world.state_hash()
    assert again.twins == world.snapshot().twins
    assert again.commands == world.snapshot().commands


def test_keyframes_of_the_same_structure_share_it(opened):
    store, world = opened
    feed(store, world, 1, 100)
    for seed in (2, 3, 4):
        frames = [c for c in changes_of(seed) if isinstance(c.body, changes.Frame)]
        for change in frames:
            placed = world.apply(change).change
            if placed:
                store.append(placed)
        store.keyframe(world.snapshot())
    assert len(store.keyframes.positions()) == 3
    assert len(list(store.keyframes.directory.glob("*.mwstruct"))) == 1


def changes_of(seed):
    from mirrorworld.testing.changes import changes as drawn

    return drawn(seed, 20, first=1000 * seed)


@pytest.mark.parametrize("pattern", ["*.mwkey", "*.mwstruct"])
def test_a_damaged_keyframe_costs_time_and_nothing_else(opened, pattern, caplog):
    store, world = opened
    feed(store, world, 1, 60)
    store.keyframe(world.snapshot())
    feed(store, world, 2, 60)
    store.keyframe(world.snapshot())
    store.commit()
    for path in list(store.keyframes.directory.glob(pattern))[-1:]:
        newest = sorted(store.keyframes.directory.glob(pattern), key=lambda p: p.stat().st_mtime_ns)
        data = bytearray(newest[-1].read_bytes())
        data[len(data) // 2] ^= 1
        newest[-1].write_bytes(data)
        assert path.exists()
    with open_record(store.directory, read_only=True) as reader:
        assert restore(reader).state_hash() == world.state_hash()
    assert "using an older keyframe" in caplog.text


def test_a_keyframe_must_not_be_ahead_or_of_another_world(opened):
    store, world = opened
    feed(store, world, 1, 10)
    ahead = World("world")
    from mirrorworld.testing.changes import changes as drawn

    for change in drawn(1, 30):
        ahead.apply(change)
    with pytest.raises(ValueError, match="ahead of the record"):
        store.keyframe(ahead.snapshot())
    with pytest.raises(ValueError, match="of 'other' is no keyframe of 'world'"):
        store.keyframe(World("other").snapshot())


def test_a_keyframe_is_due_after_enough_of_anything(opened, monkeypatch):
    store, world = opened
    assert not store.wants_keyframe
    monkeypatch.setattr(record_store, "KEYFRAME_POINTS_PER_EDIT", 1_000)
    for name, reason in (("EDITS_MIN", 3), ("CHANGES", 50), ("ROWS_MIN", 1000)):
        with monkeypatch.context() as patch:
            patch.setattr(record_store, f"KEYFRAME_{name}", reason)
            feed(store, world, reason, 100)
            assert store.wants_keyframe, name
            store.keyframe(world.snapshot())
            assert not store.wants_keyframe


def test_a_large_world_takes_more_edits_between_keyframes(opened, monkeypatch):
    store, world = opened
    monkeypatch.setattr(record_store, "KEYFRAME_EDITS_MIN", 3)
    feed(store, world, 1, 100)
    kinds = np.zeros(2 * store._edits_since_keyframe, np.uint8)
    store.kinds_of = lambda: kinds[:-2]
    assert store.wants_keyframe
    store.kinds_of = lambda: np.append(kinds, kinds)
    assert not store.wants_keyframe


def test_what_was_packed_under_an_older_schema_is_read():
    """Fields that are added to the model later have their defaults."""
    older = compact.schema()
    older["PointType"] = ["name", "kind"]
    read = compact.Unpacker(older).reader(PointType)
    assert read(["level", 1]) == PointType("level", model.Kind.INT)
    reordered = compact.schema()
    reordered["Ref"], reordered["Relation"] = ["iri"], ["source", "kind", "target"]
    relation = compact.Unpacker(reordered).reader(Relation)(["a", "feeds", "b"])
    assert relation == Relation("feeds", "a", "b")


def test_a_newer_schema_is_refused_by_name():
    newer = compact.schema()
    newer["Twin"] = [*newer["Twin"], "soul"]
    with pytest.raises(ValueError, match=r"Twin.soul is not known to this version"):
        compact.Unpacker(newer)


def test_everything_of_the_model_is_packed_and_unpacked():
    nested = Property("a", (Property("", 1), Property("", (1.5, None, "x", True))))
    said = (
        nested,
        Property("b", Text((("de", "Füller"), ("", "filler")))),
        Property("c", Ref("urn:x"), unit="kg", attributes=(Property("d", 2),)),
        Property("e", model.Blob("ab" * 32, size_bytes=3)),
    )
    twin = Twin("t", properties=said, points=(PointType("p", labels=((1, "on"),)),),
                pose=model.Pose(1.0, 2.0))  # fmt: skip
    edits: tuple[Edit, ...] = (
        changes.PutTwin(twin),
        changes.PutType(TwinType("T", components=(("c", "U"),))),
        changes.Arm("t", "p", excludes=(("t", "q"),), only_while=(("t", "r", 1.0),)),
        changes.DropTwin("t"),
    )
    hint = tuple[Edit, ...]
    packed = compact.pack(edits, hint)
    assert compact.Unpacker(compact.schema()).reader(hint)(packed) == edits


def test_what_was_said_of_a_point_comes_back_hashable():
    """Types of points are told apart by hash, so a list among them would end the next keyframe."""
    about = changes.PutPointAbout(
        "t", "p", "K", 0.0, 9.0, ("urn:x",), ((0, "off"), (1, "on")), model.Text.of("x")
    )
    stored = msgspec.msgpack.encode(compact.pack(about, Edit))
    read = compact.Unpacker(compact.schema()).reader(Edit)
    again = read(msgspec.msgpack.decode(stored))
    assert again == about
    assert hash(again) == hash(about)


def test_blobs_are_named_by_content(tmp_path):
    blobs = Blobs(tmp_path, Files())
    name = blobs.put(b"a picture")
    assert blobs.put(b"a picture") == name
    assert blobs.get(name) == b"a picture"
    with pytest.raises(KeyError, match="no blob"):
        blobs.get("0" * 64)
    for bad in ("../../etc/passwd", "AB" * 32, ""):
        with pytest.raises(ValueError, match="is not the SHA-256"):
            blobs.get(bad)
    blobs.path(name).write_bytes(b"a pichure")
    with pytest.raises(CorruptRecordError, match="the blob is damaged"):
        blobs.get(name)
