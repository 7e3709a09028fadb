"""Poses as bytes: what is said is heard, to the millimetre; and who is told of whom."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorworld.people.floor import CELL_BITS, Floor
from mirrorworld.protocol.poses import (
    BYTES_MAX,
    ROW,
    Body,
    Pose,
    decode_poses,
    encode_pose,
    encode_poses,
    take_pose,
)

metres = st.floats(-900_000, 900_000)
places = st.tuples(metres, metres, metres)
parts = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: math.hypot(*q) > 0.1)
poses = st.builds(lambda p, q: Pose(p, tuple(x / math.hypot(*q) for x in q)), places, parts)  # pyright: ignore
bodies = st.builds(
    Body, poses, st.none() | poses, st.none() | poses, st.none() | st.tuples(places, places)
)


def close(a: Pose | None, b: Pose | None) -> bool:
    if a is None or b is None:
        return a is b
    near = np.allclose(a.position, b.position, atol=6e-4, rtol=0)
    return near and np.allclose(a.rotation, b.rotation, atol=1e-4)


@given(st.lists(bodies, max_size=12))
def test_what_is_said_is_heard(said: list[Body]):
    rows, has = np.zeros(len(said), ROW), np.zeros(len(said), np.uint8)
    for i, body in enumerate(said):
        has[i] = take_pose(encode_pose(body), rows[i])
    ids = np.arange(7, 7 + len(said), dtype=np.uint16)
    frame = encode_poses(ids, np.arange(len(said), dtype=np.float64) * 10, has, rows, 1.5e12)
    heard = decode_poses(frame)
    assert heard.now_ms == 1.5e12 and list(heard.bodies) == ids.tolist()
    for before, now in zip(said, heard.bodies.values(), strict=True):
        assert close(before.head, now.head)
        assert close(before.left, now.left) and close(before.right, now.right)
        assert (before.pointer is None) == (now.pointer is None)
        if before.pointer and now.pointer:
            assert np.allclose(before.pointer, now.pointer, atol=6e-4, rtol=0)
    assert list(heard.age_ms.values()) == [10 * i for i in range(len(said))]
    for cut in {0, 3, len(frame) // 2, max(0, len(frame) - 1)} - {len(frame)}:
        with pytest.raises(ValueError):
            decode_poses(frame[:cut])


def test_what_is_no_number_is_the_middle():
    rows = np.zeros(1, ROW)
    nan, inf = math.nan, math.inf
    take_pose(encode_pose(Body(Pose((nan, inf, -inf), (nan, 0, 0, 0)))), rows[0])
    assert rows["place"][0, 0].tolist() == [0, 1_000_000_000, -1_000_000_000]
    assert rows["turn"][0, 0].tolist() == [0, 0, 0, 32_767]


@given(st.binary(max_size=BYTES_MAX + 2))
def test_other_bytes_are_refused(data: bytes):
    row = np.zeros(1, ROW)
    try:
        take_pose(data, row[0])
    except ValueError:
        return
    assert len(data) in (24, 44, 64, 48, 68, 88) and data[0] == 1


def test_near_ones_are_told_at_once_and_far_ones_now_and_then():
    floor = Floor(8)
    part_m = (1 << CELL_BITS) / 1e3
    places_m = [0.0, 1.0, 10 * part_m, 10 * part_m + 1]
    for slot, x in enumerate(places_m):
        floor.enter(slot, 100 + slot)
        floor.take(slot, encode_pose(Body(Pose((x, 1.7, 0.0)))), 0.0)
    told = {
        tuple(slots.tolist()): decode_poses(f).bodies
        for f, slots in floor.news(5, is_far_too=False)
    }
    assert {slots: sorted(b) for slots, b in told.items()} == {
        (0, 1): [100, 101],
        (2, 3): [102, 103],
    }
    assert list(floor.news(5, is_far_too=False)) == []
    ((frame, slots),) = floor.news(50, is_far_too=True)
    assert sorted(decode_poses(frame).bodies) == [100, 101, 102, 103]
    assert slots.tolist() == [0, 1, 2, 3]
    assert list(floor.news(60, is_far_too=True)) == []
    # In a room where nobody is far from anybody one frame is for all.
    floor.leave(2)
    floor.leave(3)
    floor.take(1, encode_pose(Body(Pose((2.0, 1.7, 0.0)))), 70.0)
    ((frame, slots),) = floor.news(75, is_far_too=False)
    assert sorted(decode_poses(frame).bodies) == [101] and slots.tolist() == [0, 1]
    assert decode_poses(frame).age_ms == {101: 5}
    assert sorted(decode_poses(floor.whole(80)).bodies) == [100, 101]
