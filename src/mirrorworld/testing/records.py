"""The contract of a record: what each one is held to, however it keeps its bytes.

A record's test brings a rig, which opens the record, kills it and makes its disk refuse, and
inherits the tests:

    class TestStore(RecordContract):
        @pytest.fixture
        def rig(self, tmp_path): ...
"""

from __future__ import annotations

import errno
import functools
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from mirrorworld.testing.changes import assert_same, changes
from mirrorworld.world.changes import Change, Position
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Record
from mirrorworld.world.world import Snapshot, World

EVER = (-(1 << 63), (1 << 63) - 1)


class RecordRig(Protocol):
    """A place where a record is kept, under the test's control."""

    def open(self) -> Record:
        """Opens the record for writing; the first time it is made, of the world `world`."""
        ...

    def kill(self, record: Record) -> None:
        """Ends the record as a power loss does: what was not synced is gone."""
        ...

    def refuse(self, code: int) -> None:
        """Lets the next sync of the disk fail with an errno."""
        ...


def brought_back(record: Record, *, is_writer: bool = True) -> World:
    """The world that a record's replay adds up to."""
    world: World | None = None
    for i, part in enumerate(record.replay()):
        if isinstance(part, Snapshot):
            assert i == 0, "a snapshot comes first or not at all"
            world = World.from_snapshot(part)
            continue
        world = world or World("world", epoch=0)
        world.replay(part)
    if world is None:
        return World("world", epoch=record.epoch)
    if is_writer:
        world.begin_epoch(record.epoch)
    return world


def feed(record: Record, world: World, seed: int, count: int, **options: int) -> list[Change]:
    """Applies changes at random and appends what was accepted of them."""
    first = world.position.sequence + 1
    accepted: list[Change] = []
    for change in changes(seed, count, epoch=world.epoch, first=first, **options):
        placed = world.apply(change).change
        if placed is not None:
            record.append(placed)
            accepted.append(placed)
    return accepted


def assert_all_same(got: Iterable[Change], expected: Sequence[Change]) -> None:
    """Equal one by one, to the last bit."""
    listed = list(got)
    assert len(listed) == len(expected)
    for one, other in zip(listed, expected, strict=True):
        assert_same(one, other)


class RecordContract:
    """What every record must do. `rig` is a fixture of the test."""

    def test_what_was_committed_is_replayed_to_the_last_bit(self, rig: RecordRig) -> None:
        """Losslessness, in order, across a clean close."""
        record = rig.open()
        made = feed(record, brought_back(record), 1, 120)
        assert record.commit() == made[-1].position
        assert record.commit() == made[-1].position, "nothing new: the same position"
        record.close()
        record = rig.open()
        assert_all_same(list_of_changes(record.replay()), made)
        record.close()

    def test_only_what_is_durable_is_read(self, rig: RecordRig) -> None:
        """Readers never see what a power loss would take back."""
        record = rig.open()
        world = brought_back(record)
        made = feed(record, world, 2, 30)
        record.commit()
        more = feed(record, world, 3, 10)
        assert_all_same(record.changes(Position(record.epoch, 0)), made)
        record.commit()
        assert_all_same(record.changes(Position(record.epoch, 0)), made + more)
        assert_all_same(record.changes(made[-3].position or Position(0, 0)), made[-2:] + more)
        assert len(list(record.changes(Position(record.epoch, 0), limit=7))) == 7
        record.close()

    def test_a_power_loss_takes_nothing_that_was_committed(self, rig: RecordRig) -> None:
        """Law 2: acknowledged means kept; what was not committed may go, from the end only."""
        made: list[Change] = []
        durable = 0
        for seed in range(5):
            record = rig.open()
            world = brought_back(record)
            kept = world.position.sequence
            assert kept >= durable
            made = [c for c in made if c.position is not None and c.position.sequence <= kept]
            made += feed(record, world, seed, 30)
            durable = record.commit().sequence
            made += feed(record, world, seed + 100, 5)
            rig.kill(record)
        record = rig.open()
        replayed = list_of_changes(record.replay())
        assert len(replayed) >= durable
        assert_all_same(replayed, made[: len(replayed)])
        record.close()

    def test_every_opening_has_an_epoch_of_its_own(self, rig: RecordRig) -> None:
        """A position never comes twice with another content, whatever was lost."""
        seen: set[Position] = set()
        for seed in range(4):
            record = rig.open()
            world = brought_back(record)
            made = feed(record, world, seed, 8)
            if seed % 2:
                record.commit()
            positions = {c.position for c in made if c.position is not None}
            assert not positions & seen
            seen |= positions
            rig.kill(record)

    def test_appending_while_committing_loses_nothing(self, rig: RecordRig) -> None:
        """`append` on the loop's thread, `commit` on another."""
        record = rig.open()
        made = list(changes(4, 3000, epoch=record.epoch, rows=6))
        has_ended = threading.Event()
        failures: list[BaseException] = []

        def commit() -> None:
            try:
                while not has_ended.is_set():
                    record.commit()
            except BaseException as error:
                failures.append(error)

        committing = threading.Thread(target=commit)
        committing.start()
        for change in made:
            record.append(change)
        has_ended.set()
        committing.join(timeout=60)
        assert not failures
        assert record.commit() == made[-1].position
        assert_all_same(record.changes(Position(record.epoch, 0), limit=10_000), made)
        record.close()

    def test_after_a_keyframe_the_same_world_comes_back(self, rig: RecordRig) -> None:
        """Law 3: replay gives the same state hash, from a snapshot or from the start."""
        record = rig.open()
        world = brought_back(record)
        feed(record, world, 5, 80)
        record.commit()
        record.keyframe(world.snapshot())
        feed(record, world, 6, 40)
        record.commit()
        hashed = world.state_hash()
        rig.kill(record)
        record = rig.open()
        assert isinstance(next(iter(record.replay())), Snapshot)
        assert brought_back(record).state_hash() == hashed
        record.close()

    def test_a_refusing_disk_is_not_tried_again(self, rig: RecordRig) -> None:
        """After a failed sync the record takes nothing until it is opened again."""
        for code in (errno.EIO, errno.ENOSPC):
            record = rig.open()
            world = brought_back(record)
            feed(record, world, 7, 20)
            durable = record.commit()
            extra = feed(record, world, 8, 3)
            rig.refuse(code)
            append = functools.partial(record.append, extra[-1])
            for call in (record.commit, record.commit, append):
                try:
                    call()
                except OSError as error:
                    assert str(durable) in str(error), "the message says up to where it is kept"
                else:
                    raise AssertionError("the record went on after a failed sync")
            rig.kill(record)
            record = rig.open()
            assert brought_back(record).position.sequence >= durable.sequence
            record.close()

    def test_a_point_is_read_by_source_time(self, rig: RecordRig) -> None:
        """All samples of a half-open range, in order, late ones in their place."""
        record = rig.open()
        world = brought_back(record)
        made = feed(record, world, 9, 120)
        record.commit()
        for point in range(world.n_points):
            kind = Kind(int(world.kinds[point]))
            rows = samples_of(made, point, kind)
            series = record.read(point, *EVER)
            assert values_of(series, kind) == rows
            if len(rows) > 4:
                low, high = rows[1][0], rows[-2][0]
                inside = [row for row in rows if low <= row[0] < high]
                assert values_of(record.read(point, low, high), kind) == inside
        record.close()

    def test_as_of_a_position_is_the_world_of_then(self, rig: RecordRig) -> None:
        """What was known, with structure, events and commands."""
        record = rig.open()
        world = brought_back(record)
        made = feed(record, world, 10, 60)
        record.commit()
        record.keyframe(world.snapshot())
        made += feed(record, world, 11, 60)
        record.commit()
        then = World("world", epoch=world.epoch)
        for i, change in enumerate(made):
            then.replay(change)
            if i % 17 == 0 and change.position is not None:
                snapshot = record.as_of(change.position)
                assert snapshot.position == change.position
                assert World.from_snapshot(snapshot).state_hash() == then.state_hash()
        record.close()

    def test_as_of_a_time_is_what_was_true(self, rig: RecordRig) -> None:
        """The latest sample of every point by its source time, late ones counted."""
        record = rig.open()
        world = brought_back(record)
        made = feed(record, world, 12, 100)
        record.commit()
        frames = [c.body for c in made if isinstance(c.body, Frame) and len(c.body)]
        for time_ns in (int(frames[0].source_ns.min()) - 1, int(frames[30].source_ns.max())):
            cell, source_ns, quality = record.as_of_time(time_ns)
            for point in range(world.n_points):
                kind = Kind(int(world.kinds[point]))
                rows = [r for r in samples_of(made, point, kind) if r[0] <= time_ns]
                if rows:
                    assert (source_ns[point], quality[point]) == (rows[-1][0], rows[-1][3])
                    assert kind.is_heap or cell[point] == rows[-1][2]
                else:
                    assert (source_ns[point], quality[point]) == (0, 0x8032_0000)
        record.close()


def list_of_changes(replayed: Iterable[Snapshot | Change]) -> list[Change]:
    """What a replay without a keyframe gives."""
    listed: list[Change] = []
    for part in replayed:
        assert isinstance(part, Change)
        listed.append(part)
    return listed


def samples_of(made: Iterable[Change], point: int, kind: Kind) -> list[tuple[int, int, Any, int]]:
    """(source time, sequence, cell or payload, quality) of a point, worked out the slow way."""
    rows: list[tuple[int, int, Any, int]] = []
    for change in made:
        if not isinstance(change.body, Frame) or change.position is None:
            continue
        body, sequence = change.body, change.position.sequence
        for row in np.flatnonzero(body.point == point).tolist():
            value = body.heap_at(row) if kind.is_heap else int(body.cell[row])
            rows.append((int(body.source_ns[row]), sequence, value, int(body.quality[row])))
    return sorted(rows, key=lambda row: row[:2])


def values_of(series: Any, kind: Kind) -> list[tuple[int, int, Any, int]]:
    """The same of a series."""
    rows: list[tuple[int, int, Any, int]] = []
    for i, cell in enumerate(series.cell.tolist()):
        start, length = cell >> 32, cell & 0xFFFF_FFFF
        value = series.heap[start : start + length] if kind.is_heap else cell
        time_ns, sequence = int(series.source_ns[i]), int(series.sequence[i])
        rows.append((time_ns, sequence, value, int(series.quality[i])))
    return rows
