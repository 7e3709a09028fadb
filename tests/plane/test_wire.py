"""What travels: as it was, and hostile bytes."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
import zstandard

from mirrorworld.plane import wire
from mirrorworld.world.changes import Change, Edits, Event, Origin, OriginKind, Position, PutTwin
from mirrorworld.world.frames import Frame, frame
from mirrorworld.world.model import Text, Twin

ORIGIN = Origin(OriginKind.MEASURED, "plant")


def _change(body: Frame | Edits | Event, sequence: int) -> Change:
    return Change(body, ORIGIN, 5, "plant", 3, sequence, Position(2, sequence))


def _changes() -> list[Change]:
    rng = np.random.default_rng(1)
    made: list[Change] = []
    for i in range(1, 40):
        if i % 7 == 0:
            made.append(_change(Edits((PutTwin(Twin(f"plant/{i}")),)), i))
        elif i % 11 == 0:
            made.append(_change(Event("e", "plant", "alarm", Text.of("hot")), i))
        else:
            points = rng.integers(0, 20, 50)
            made.append(_change(frame(points, rng.normal(size=50), 10**18 + i), i))
    heap = Frame(
        np.array([20], np.uint32),
        np.array([2], np.int64),
        np.zeros(1, np.uint32),
        np.array([7]),
        b"ok",
    )
    made.append(_change(heap, 40))
    return made


def _stretch(changes: list[Change]) -> bytes:
    parts = wire.parts_of(changes)
    return wire.encode(wire.Stretch(wire.VERSION, "ab", 2, 0, 40, 1, 0, [("plant", "p")], parts))


def test_a_stretch_is_as_it_was() -> None:
    sent = _changes()
    got = list(wire.stretch(_stretch(sent)).changes(21))
    assert [c.position for c in got] == [c.position for c in sent]
    for before, after in zip(sent, got, strict=True):
        assert after.origin == before.origin
        if isinstance(before.body, Frame) and isinstance(after.body, Frame):
            for column in ("point", "cell", "quality", "source_ns"):
                assert (getattr(before.body, column) == getattr(after.body, column)).all()
            assert before.body.heap == after.body.heap
        else:
            assert after.body == before.body


def test_a_point_that_was_never_named_is_refused() -> None:
    with pytest.raises(wire.BrokenMessage):
        list(wire.stretch(_stretch(_changes())).changes(15))


@pytest.mark.parametrize("seed", range(30))
def test_damaged_bytes_break_nothing(seed: int) -> None:
    """Whatever is flipped or cut: it is read, or refused as what it is."""
    chance = random.Random(seed)
    good = _stretch(_changes())
    for _ in range(40):
        data = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        try:
            for change in wire.stretch(bytes(data)).changes(21):
                if isinstance(change.body, Frame) and len(change.body):
                    assert int(change.body.point.max()) < 21
        except wire.BrokenMessage:
            pass


def test_what_expands_without_bounds_is_refused_unexpanded() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(wire.EXPANDED_BYTES_MAX + 1))
    with pytest.raises(wire.BrokenMessage):
        wire.structure(bomb)
    whole = wire.stretch(_stretch(_changes()))
    parts = [(2, bomb), *whole.parts]
    with pytest.raises(wire.BrokenMessage):
        list(msgspec.structs.replace(whole, parts=parts).changes(21))


def test_a_block_that_claims_a_million_columns_is_refused() -> None:
    whole = wire.stretch(_stretch(_changes()))
    kind, payload = whole.parts[0]
    size = int.from_bytes(payload[:4], "little")
    head = msgspec.msgpack.decode(payload[4 : 4 + size])
    head[1] = 1 << 40  # rows
    raw = msgspec.msgpack.encode(head)
    forged = len(raw).to_bytes(4, "little") + raw + payload[4 + size :]
    with pytest.raises(wire.BrokenMessage):
        list(msgspec.structs.replace(whole, parts=[(kind, forged)]).changes(21))


def test_another_version_says_what_to_do() -> None:
    whole = wire.stretch(_stretch(_changes()))
    with pytest.raises(wire.BrokenMessage, match="upgrade the older"):
        wire.stretch(wire.encode(msgspec.structs.replace(whole, version=99)))
