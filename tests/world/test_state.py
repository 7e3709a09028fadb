"""What becomes of samples: late, repeated, foolish, and of each source its count."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mirrorworld.world import quality
from mirrorworld.world.changes import (
    Change,
    Command,
    Edits,
    Origin,
    OriginKind,
    Position,
    PutTwin,
    PutType,
    Tally,
)
from mirrorworld.world.frames import Frame, FrameBuilder, decode, encode, frame
from mirrorworld.world.model import Kind, PointType, Twin, TwinType
from mirrorworld.world.world import SKEW_NS, World

ORIGIN = Origin(OriginKind.MEASURED, "plant")
SECOND = 1_000_000_000


@pytest.fixture(params=[True, False], ids=["compiled", "plain"])
def world(request: pytest.FixtureRequest) -> World:
    made = World("w", compiled=request.param)
    points = (
        PointType("level", unit="%", low=0, high=100),
        PointType("count", Kind.INT),
        PointType("note", Kind.TEXT),
    )
    edits = Edits((PutType(TwinType("Tank", points=points)), PutTwin(Twin("tank", "Tank"))))
    made.apply(Change(edits, ORIGIN, 0))
    return made


def push(
    world: World, body: Frame, at_ns: int, seq: int = -1, incarnation: int = 0
) -> tuple[Change | None, Tally]:
    applied = world.apply(Change(body, ORIGIN, at_ns, "plant", incarnation, seq))
    return applied.change, applied.tally


def test_a_point_has_no_value_before_its_first(world: World) -> None:
    assert world.value(0) is None
    assert world.state.quality[0] == quality.BAD_WAITING


def test_a_late_sample_is_kept_but_is_not_the_latest(world: World) -> None:
    push(world, frame([0], [10.0], 5 * SECOND), 5 * SECOND)
    change, tally = push(world, frame([0], [9.0], 3 * SECOND), 6 * SECOND)
    assert change is not None
    assert tally.late == 1
    assert world.value(0) == 10.0


def test_a_clock_that_is_ahead_cannot_lock_a_point(world: World) -> None:
    _, tally = push(world, frame([0], [1.0], 10_000 * SECOND), 100 * SECOND)
    assert tally.future == 1
    _, tally = push(world, frame([0], [2.0], 101 * SECOND), 101 * SECOND)
    assert tally.late == 0
    assert world.value(0) == 2.0
    _, tally = push(world, frame([0], [3.0], 101 * SECOND + SKEW_NS), 101 * SECOND)
    assert tally.future == 0


def test_a_sample_that_is_sent_again_is_recognised_however_late(world: World) -> None:
    first = frame([0, 1], np.array([1, 2]), [1, 1])
    push(world, first, 10)
    for step in range(50):
        push(world, frame([0], [float(step)], 100 + step), 200 + step)
    change, tally = push(world, first, 1000)
    assert change is None
    assert tally.duplicate == 2
    _, tally = push(world, frame([1], np.array([3]), [1]), 1000)
    assert tally.accepted == 1, "another value at the same time is another sample"


def test_repetition_is_recognised_within_one_frame(world: World) -> None:
    change, tally = push(world, frame([0, 0, 0], [1.0, 1.0, 2.0], [5, 5, 5]), 10)
    assert change is not None
    assert isinstance(change.body, Frame)
    assert change.body.cell.view(np.float64).tolist() == [1.0, 2.0]
    assert tally.duplicate == 1
    assert world.value(0) == 2.0


def test_recognition_reaches_back_over_a_change_of_generations(world: World) -> None:
    world.state.fingerprints.rows_max = 1_100
    first = frame([0], [1.0], 1)
    push(world, first, 1)
    for step in range(20):
        times = np.arange(100) + step * 100 + 10
        push(world, frame(np.zeros(100), np.arange(100.0), times), 10_000)
    assert push(world, first, 20_000)[1].duplicate == 1
    for step in range(20, 30):
        times = np.arange(100) + step * 100 + 10
        push(world, frame(np.zeros(100), np.arange(100.0), times), 10_000)
    assert push(world, first, 20_000)[1].accepted == 1, "what is forgotten comes in again"


def test_a_numbered_source_is_recognised_by_its_numbers(world: World) -> None:
    push(world, frame([0], [1.0], 1), 1, seq=7)
    assert push(world, frame([0], [1.0], 1), 2, seq=7)[1].duplicate == 1
    assert push(world, frame([0], [1.0], 1), 3, seq=6)[1].duplicate == 1
    assert push(world, frame([0], [1.0], 1), 4, seq=8)[1].accepted == 1
    assert push(world, frame([0], [1.0], 1), 5, seq=1, incarnation=9)[1].accepted == 1


def test_the_latest_sent_anew_without_a_number_is_no_new_sample(world: World) -> None:
    push(world, frame([0], [1.0], 1), 1, seq=7)
    change, tally = push(world, frame([0], [1.0], 1), 9)
    assert change is None
    assert tally.duplicate == 1
    assert push(world, frame([0], [1.0], 1, 0x4000_0000), 9)[1].accepted == 1


def test_not_a_number_and_out_of_range_are_said_in_the_quality(world: World) -> None:
    rows = frame(
        [0, 0, 0, 0], [math.nan, 101.0, 50.0, math.nan], [1, 2, 3, 4], [0, 0, 0, 0x80_0000_00]
    )
    change, tally = push(world, rows, 10)
    assert change is not None
    assert isinstance(change.body, Frame)
    assert change.body.quality.tolist() == [
        quality.BAD_NO_DATA,
        quality.UNCERTAIN_RANGE,
        quality.GOOD,
        0x8000_0000,
    ]
    assert (tally.not_a_number, tally.out_of_range) == (1, 1)


def test_an_unknown_handle_is_refused_and_counted_and_harms_nobody(world: World) -> None:
    change, tally = push(world, frame([0, 999, 1], np.array([1, 2, 3]), [1, 1, 1]), 10)
    assert change is not None
    assert isinstance(change.body, Frame)
    assert change.body.point.tolist() == [0, 1]
    assert tally.unknown == 1
    assert world.tallies["plant"].unknown == 1


def test_text_of_equal_content_is_equal_wherever_it_lies_in_the_heap(world: World) -> None:
    def texts(*values: str) -> Frame:
        builder = FrameBuilder()
        for value in values:
            builder.add(2, Kind.TEXT, value, 5)
        return builder.build()

    push(world, texts("wet", "dry"), 10)
    assert world.value(2) == "dry"
    change, tally = push(world, texts("dry"), 11)
    assert change is None
    assert tally.duplicate == 1


def test_a_damaged_heap_is_refused_whole(world: World) -> None:
    bad = Frame(
        np.array([2], np.uint32),
        np.array([1 << 32 | 50], np.int64),
        np.zeros(1, np.uint32),
        np.ones(1, np.int64),
        b"short",
    )
    with pytest.raises(ValueError, match="outside its frame's heap"):
        push(world, bad, 10)
    assert world.position == Position(1, 1)


def test_a_frame_of_wrong_columns_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'source_ns' is float64"):
        Frame(
            np.zeros(1, np.uint32),
            np.zeros(1, np.int64),
            np.zeros(1, np.uint32),
            np.zeros(1),  # pyright: ignore[reportArgumentType]
        )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.FLOAT, -0.0),
        (Kind.INT, -(2**63)),
        (Kind.BOOL, True),
        (Kind.ENUM, 3),
        (Kind.TEXT, "größer"),
        (Kind.BLOB, b"\0\1"),
    ],
)
def test_values_survive_their_cells(kind: Kind, value: float | str | bytes) -> None:
    assert decode(kind, encode(kind, value)) == value


def test_arrays_survive_and_a_wrong_kind_is_named() -> None:
    wave = np.array([1, -2], np.int16)
    found = decode(Kind.ARRAY, encode(Kind.ARRAY, wave))
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.int16
    assert found.tolist() == [1, -2]
    with pytest.raises(TypeError, match="str 'x' is not a value of kind FLOAT"):
        encode(Kind.FLOAT, "x")
    with pytest.raises(TypeError, match="64 bits"):
        encode(Kind.INT, 2**63)


def test_a_position_of_an_epoch_that_lost_its_end_is_not_believed(world: World) -> None:
    push(world, frame([0], [1.0], 1), 1)
    seen = world.position
    world.begin_epoch(2)
    push(world, frame([0], [2.0], 2), 2)
    assert world.subscribe(after=seen).read().handles.tolist() == [0]
    never_durable = Position(1, seen.sequence + 1)
    delta = world.subscribe(after=never_durable).read()
    assert delta.changes is None, "a fresh snapshot is asked for"


def test_a_branch_has_no_way_to_a_plant(world: World) -> None:
    branch = world.branch("what-if")
    command = Change(Command("c", "tank", point="level", value=5.0), ORIGIN, 1)
    with pytest.raises(ValueError, match="no way to a plant"):
        branch.apply(command)
    assert world.apply(command).change is not None


def test_a_released_branch_gives_its_pages_back(world: World) -> None:
    pages = len(world.state._arena.users)
    for _ in range(50):
        branch = world.branch("b")
        push(branch, frame([0], [1.0], 1), 1)
        branch.state.release()
    push(world, frame([0], [2.0], 2), 2)
    assert len(world.state._arena.users) == pages
    assert world.value(0) == 2.0
