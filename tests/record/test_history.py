"""The past: ranges of a point, as-of by position and by time, with and without compaction."""

import random

import numpy as np
import pytest

from mirrorworld.record import compaction, open_record, restore, vectorised
from mirrorworld.record.codec import CODEC
from mirrorworld.record.compiled import HAS_NUMBA
from mirrorworld.record.history import downsample
from mirrorworld.record.tail import samples
from mirrorworld.testing import changes as signals
from mirrorworld.world.changes import Change, Position
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Series
from mirrorworld.world.world import World

POINTS = 60
ALL = (-(1 << 63), (1 << 63) - 1)


def live(store, world, seed, count, *, keyframes=(), rows=40, spread_ns=0):
    """Applies changes at random to a world and its record; returns the accepted ones."""
    made = []
    first = world.position.sequence + 1
    chance = random.Random(seed)
    drawn = signals.changes(seed, count, epoch=store.epoch, first=first, rows=rows, n_points=POINTS)
    for i, change in enumerate(drawn):
        if spread_ns and isinstance(change.body, Frame):
            # Some frames come late, and by days.
            body = change.body
            late = body.source_ns - (chance.random() < 0.3) * chance.randrange(spread_ns)
            body = Frame(body.point, body.cell, body.quality, late, body.heap)
            change = Change(body, change.origin, change.received_ns, change.source, 0, -1)
        accepted = world.apply(change).change
        if accepted is not None:
            store.append(accepted)
            made.append(accepted)
        if chance.random() < 0.2:
            store.commit()
        if i in keyframes:
            store.keyframe(world.snapshot())
    store.commit()
    return made


def expected_series(made, world, point):
    """What reading a point should give, worked out the slow way."""
    rows = []
    for change in made:
        if isinstance(change.body, Frame):
            for row in np.flatnonzero(change.body.point == point).tolist():
                body = change.body
                is_heap = Kind(int(world.kinds[point])).is_heap
                value = body.heap_at(row) if is_heap else int(body.cell[row])
                sequence = change.position.sequence
                rows.append((int(body.source_ns[row]), sequence, value, int(body.quality[row])))
    return sorted(rows, key=lambda r: r[:2])


def rows_of(series: Series, is_heap: bool):
    rows = []
    for i in range(len(series.source_ns)):
        cell = int(series.cell[i])
        start, length = cell >> 32, cell & 0xFFFFFFFF
        value = series.heap[start : start + length] if is_heap else cell
        rows.append(
            (int(series.source_ns[i]), int(series.sequence[i]), value, int(series.quality[i]))
        )
    return rows


def check_all_points(store, world, made):
    for point in range(world.n_points):
        is_heap = Kind(int(world.kinds[point])).is_heap
        assert rows_of(store.read(point, *ALL), is_heap) == expected_series(made, world, point)


@pytest.fixture
def opened(tmp_path):
    with open_record(tmp_path, "world", segment_bytes=15_000, compacts=False) as store:
        yield store, restore(store)


@pytest.mark.parametrize("seed", range(3))
def test_every_sample_is_read_back_from_the_log(opened, seed):
    store, world = opened
    made = live(store, world, seed, 150, keyframes=(40, 90), spread_ns=10**15)
    check_all_points(store, world, made)
    point = 3
    everything = expected_series(made, world, point)
    start, end = everything[5][0], everything[-5][0]
    inside = [row for row in everything if start <= row[0] < end]
    assert rows_of(store.read(point, start, end), False) == inside


@pytest.mark.parametrize("seed", range(3))
def test_every_sample_is_read_back_after_compactions(opened, seed):
    store, world = opened
    made = []
    for part in range(4):
        # Late by up to four days: files of days that are compacted already.
        made += live(store, world, seed + part, 90, spread_ns=4 * 86_400 * 10**9)
        store.log.roll()
        done = compaction.compact(store.directory)
        assert done.segments >= 1
        assert done.rows == sum(len(c.body) for c in made if isinstance(c.body, Frame)) - (
            sum(f.rows for f in store.compacted.manifest().samples()) - done.rows
        )
        check_all_points(store, world, made)
    made += live(store, world, 99, 40)
    check_all_points(store, world, made)


def test_days_with_many_files_are_merged(opened, monkeypatch):
    store, world = opened
    monkeypatch.setattr(compaction, "MERGE_FILES", 2)
    monkeypatch.setattr(compaction, "BATCH_ROWS", 200)
    made = live(store, world, 5, 400, spread_ns=2 * 86_400 * 10**9)
    store.log.roll()
    done = compaction.compact(store.directory)
    assert done.merged > 4
    per_day = {}
    for entry in store.compacted.manifest().samples():
        per_day[entry.day] = per_day.get(entry.day, 0) + 1
    assert max(per_day.values()) == 1
    on_disk = {str(p.relative_to(store.directory / "history")) for p in
               (store.directory / "history").rglob("*.parquet")}  # fmt: skip
    listed = {f.path for f in store.compacted.manifest().files}
    assert on_disk == listed | {"points.parquet"}
    check_all_points(store, world, made)


@pytest.mark.parametrize("seed", range(3))
def test_as_of_a_position_is_what_a_replay_up_to_it_gives(opened, seed):
    store, world = opened
    made = live(store, world, seed, 200, keyframes=(50, 120), rows=15)
    chance = random.Random(seed)
    for change in [made[0], made[-1], *chance.sample(made, 12)]:
        expected = World("world")
        for earlier in made[: made.index(change) + 1]:
            expected.replay(earlier)
        snapshot = store.as_of(change.position)
        assert snapshot.position == change.position
        assert World.from_snapshot(snapshot).state_hash() == expected.state_hash()


def test_replay_gives_the_same_world_and_recognises_what_comes_again(tmp_path):
    """Law 3, and law 2 over a restart."""
    with open_record(tmp_path, "world", compacts=False) as store:
        world = restore(store)
        made = live(store, world, 8, 200, keyframes=(150,))
        hashed = world.state_hash()
    with open_record(tmp_path, compacts=False) as store:
        again = restore(store)
        assert again.state_hash() == hashed
        assert again.epoch == 2
        for change in made:
            if isinstance(change.body, Frame):
                assert again.apply(change).change is None, change.position
    with open_record(tmp_path, read_only=True) as store:
        assert restore(store).state_hash() == hashed


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("is_compacted", [False, True])
def test_as_of_a_time_is_the_latest_sample_by_then(opened, seed, is_compacted):
    store, world = opened
    made = live(store, world, seed, 150, keyframes=(30, 80, 110), spread_ns=10**10)
    if is_compacted:
        store.log.roll()
        compaction.compact(store.directory)
    times = sorted({int(t) for c in made if isinstance(c.body, Frame) for t in c.body.source_ns})
    for time_ns in (times[0] - 1, *random.Random(seed).sample(times, 8), times[-1] + 1):
        cell, source_ns, quality = store.as_of_time(time_ns)
        for point in range(world.n_points):
            history = [r for r in expected_series(made, world, point) if r[0] <= time_ns]
            if not history:
                assert (source_ns[point], quality[point]) == (0, 0x8032_0000)
                continue
            moment, _, value, code = history[-1]
            assert (source_ns[point], quality[point]) == (moment, code)
            if not isinstance(value, bytes):
                assert cell[point] == value


@pytest.mark.skipif(not HAS_NUMBA, reason="numba is not installed")
def test_reading_with_and_without_numba_is_the_same(opened):
    store, world = opened
    live(store, world, 4, 120)
    for _, block in samples(store.log.view()):
        limit = int(np.median(block.source_ns))
        got = []
        for codec in (CODEC, vectorised):
            best = (np.zeros(POINTS, np.int64), np.zeros(POINTS, np.int64),
                    np.zeros(POINTS, np.uint32))  # fmt: skip
            columns = (block.point, block.cell, block.quality, block.source_ns)
            codec.latest(*columns, limit, *best)
            known = (
                *(np.zeros(POINTS, t) for t in (np.int64, np.uint32, *[np.int64] * 3, np.uint16)),
            )
            origin = block.origin.astype(np.uint16)
            n = len(block.rows)
            codec.known(*columns, block.rows, block.received_ns, block.sequence, origin, n // 3, n,
                        *known)  # fmt: skip
            got.append((*best, *known))
        for one, other in zip(*got, strict=True):
            assert np.array_equal(one, other)


# --- downsampling ---------------------------------------------------------------------------


def a_series(value):
    n = len(value)
    times = np.arange(n, dtype=np.int64) * 10**9
    cell = np.asarray(value, np.float64).view(np.int64)
    return Series(times, cell, np.zeros(n, np.uint32), np.arange(n, dtype=np.int64))


@pytest.mark.parametrize("seed", range(5))
def test_downsampling_keeps_extremes_and_ends(seed):
    chance = np.random.default_rng(seed)
    value = np.cumsum(chance.normal(size=20_000))
    spike = int(chance.integers(1, 19_999))
    value[spike] = 1e6
    value[-spike] = -1e6
    few = downsample(a_series(value), Kind.FLOAT, 100)
    kept = few.cell.view(np.float64)
    assert len(kept) <= 100
    assert kept.max() == value.max()
    assert kept.min() == value.min()
    assert few.source_ns[0] == 0
    assert few.source_ns[-1] == 19_999 * 10**9
    assert (np.diff(few.source_ns) > 0).all()
    for got, time_ns in zip(kept, few.source_ns, strict=True):
        assert got == value[time_ns // 10**9]


def test_downsampling_shows_gaps_and_refuses_too_few():
    value = np.sin(np.arange(5000) / 50)
    value[1000:1003] = np.nan
    few = downsample(a_series(value), Kind.FLOAT, 200)
    assert len(few.cell) <= 200
    assert np.isnan(few.cell.view(np.float64)).any()
    with pytest.raises(ValueError, match="ask for 8 or more"):
        downsample(a_series(value), Kind.FLOAT, 3)


def test_reading_can_downsample(opened):
    store, world = opened
    live(store, world, 3, 300)
    series = store.read(0, *ALL, max_rows=20)
    assert len(series.cell) <= 20


# --- roll-ups -------------------------------------------------------------------------------


@pytest.mark.parametrize("is_compacted", [False, True])
def test_roll_ups_are_those_of_the_samples(opened, is_compacted):
    store, world = opened
    made = []
    for seed in range(3):
        made += live(store, world, seed, 150, spread_ns=3 * 3600 * 10**9)
        if is_compacted and seed < 2:
            store.log.roll()
            compaction.compact(store.directory)
    minute = 60 * 10**9
    for point in (0, 1, 3, 14, 21):
        rolled = store.rollup(point, "1m", *ALL_MINUTES)
        steps = {}
        for time_ns, _, cell, quality in expected_series(made, world, point):
            value = float(np.int64(cell).view(np.float64)) if world.kinds[point] == 0 else cell
            if quality < 0x8000_0000 and np.isfinite(value):
                steps.setdefault(time_ns // minute * minute, []).append(float(value))
        assert rolled.time_ns.tolist() == sorted(steps)
        for i, step in enumerate(sorted(steps)):
            values = steps[step]
            assert rolled.count[i] == len(values)
            assert (rolled.min[i], rolled.max[i]) == (min(values), max(values))
            assert rolled.mean[i] == pytest.approx(np.mean(values), rel=1e-9, abs=1e300)
            assert rolled.first[i] == values[0]
    with pytest.raises(ValueError, match=r"no roll-ups by '5m'; there are 1m, 1h, 1d"):
        store.rollup(0, "5m", *ALL_MINUTES)
    with pytest.raises(ValueError, match="only numbers have roll-ups"):
        store.rollup(5, "1h", *ALL_MINUTES)


ALL_MINUTES = (0, 4_000_000_000 * 10**9)


def test_unknown_points_are_named(opened):
    store, world = opened
    live(store, world, 3, 3)
    with pytest.raises(KeyError, match="no point has the handle 4711"):
        store.read(4711, *ALL)


def test_positions_ahead_of_the_record_are_refused(opened):
    store, world = opened
    live(store, world, 3, 3)
    with pytest.raises(LookupError, match="ahead of the record"):
        store.as_of(Position(7, 1))
