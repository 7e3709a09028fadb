"""Compaction: readable by others, harmless when broken off, and what retention lets go."""

import subprocess
import sys

import duckdb
import numpy as np
import pytest

from mirrorworld.record import CorruptRecordError, WorldInUseError, compaction, open_record, restore
from mirrorworld.record.files import Files
from mirrorworld.record.retention import Retention
from mirrorworld.record.supervisor import Compactor
from mirrorworld.testing.records import EVER, feed, samples_of, values_of
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin
from mirrorworld.world.frames import Frame, FrameBuilder
from mirrorworld.world.model import Kind, PointType, Twin

DAY_NS = 86_400 * 10**9
START_NS = 20_000 * DAY_NS


@pytest.fixture
def opened(tmp_path):
    with open_record(tmp_path / "w", "world", segment_bytes=15_000, compacts=False) as store:
        yield store, restore(store)


def commit(store, world, seed, count):
    made = feed(store, world, seed, count)
    store.commit()
    return made


def check(store, world, made):
    for point in range(world.n_points):
        kind = Kind(int(world.kinds[point]))
        assert values_of(store.read(point, *EVER), kind) == samples_of(made, point, kind)


def days(store, world, count):
    """`count` days of a level and a state, an hour between samples."""
    origin = Origin(OriginKind.MEASURED, "plant")
    points = (PointType("level"), PointType("state", Kind.TEXT))
    store.append(world.apply(
        Change(Edits((PutTwin(Twin("tank", points=points)),)), origin, START_NS)
    ).change)  # fmt: skip
    for hour in range(24 * count):
        builder = FrameBuilder()
        time_ns = START_NS + hour * 3600 * 10**9
        builder.add(0, Kind.FLOAT, hour + 0.5, time_ns)
        builder.add(1, Kind.TEXT, "on" if hour % 5 else "off", time_ns)
        store.append(world.apply(Change(builder.build(), origin, time_ns)).change)
        if hour % 24 == 23:
            store.commit()
            store.log.roll()
    store.keyframe(world.snapshot())


def test_duckdb_reads_the_files_where_they_lie(opened):
    store, world = opened
    days(store, world, 3)
    compaction.compact(store.directory)
    history = store.directory / "history"
    with duckdb.connect() as db:
        rows = db.sql(
            f"""
            SELECT p.twin, p.name, count(*), min(number), max(number), min(s.time)::VARCHAR,
                   count(DISTINCT day)
            FROM read_parquet('{history}/samples/*/*.parquet', hive_partitioning = true) s
            JOIN '{history}/points.parquet' p USING (point)
            WHERE quality = 0 GROUP BY ALL ORDER BY p.name
            """
        ).fetchall()
        assert rows[0] == ("tank", "level", 72, 0.5, 71.5, "2024-10-04 00:00:00", 3)
        assert rows[1][:3] == ("tank", "state", 72)
        texts = db.sql(
            f"""SELECT payload::VARCHAR, count(*) FROM '{history}/samples/*/*.parquet'
            WHERE payload IS NOT NULL GROUP BY 1 ORDER BY 1"""
        ).fetchall()
        assert texts == [("off", 15), ("on", 57)]
        hours = db.sql(
            f"SELECT sum(count), max(max), min(first) FROM '{history}/rollups/1d/*/*.parquet'"
        ).fetchall()
        assert hours == [(72, 71.5, 0.5)]


class Crash(Exception):
    pass


class CrashingFiles(Files):
    """Fails before its n-th action."""

    def __init__(self, n):
        self.left = n

    def _step(self):
        self.left -= 1
        if self.left < 0:
            raise Crash

    def create(self, path):
        self._step()
        return super().create(path)

    def replace(self, source, target):
        self._step()
        super().replace(source, target)

    def remove(self, path):
        self._step()
        super().remove(path)

    def sync_file(self, path):
        self._step()
        super().sync_file(path)

    def sync_directory(self, path):
        self._step()
        super().sync_directory(path)


def test_a_compaction_can_be_broken_off_at_any_action(opened, monkeypatch):
    monkeypatch.setattr(compaction, "MERGE_FILES", 2)
    store, world = opened
    made = commit(store, world, 1, 40)
    crashes = 0
    for n in range(1000):
        if n % 8 == 0:
            made += commit(store, world, n, 5)
            store.log.roll()
        try:
            compaction.compact(store.directory, files=CrashingFiles(n % 120))
        except Crash:
            crashes += 1
        else:
            if n >= 120:
                break
        if n % 9 == 0:
            check(store, world, made)
    assert crashes > 40
    compaction.compact(store.directory)
    check(store, world, made)
    assert store.compacted.manifest().through == store.log.segments[-2].number


def test_one_compaction_at_a_time(opened):
    store, world = opened
    commit(store, world, 1, 10)
    store.log.roll()
    compaction.compact(store.directory)
    lock = compaction.Lock(store.directory / "history" / "lock", "it")
    with pytest.raises(WorldInUseError, match=r"compaction of .* is open in process"):
        compaction.compact(store.directory)
    lock.close()


def test_the_supervisor_runs_it_in_a_process_of_its_own(opened):
    store, world = opened
    made = commit(store, world, 1, 60)
    store.log.roll()
    compactor = Compactor(store.directory)
    assert compactor.start()
    assert not compactor.start(), "one runs already"
    compactor.wait(60)
    assert compactor.failures == 0
    assert store.compacted.manifest().through > 0
    check(store, world, made)
    compactor.close()


def test_a_failing_compaction_is_counted_and_says_why(opened, caplog):
    store, world = opened
    commit(store, world, 1, 60)
    store.log.roll()
    (store.directory / "retention.json").write_text('{"raw_s": "soon"}')
    compactor = Compactor(store.directory)
    compactor.start()
    compactor.wait(60)
    assert compactor.failures == 1
    log = (store.directory / "history" / "compaction.log").read_text()
    assert "retention.json: not a retention policy" in log
    compactor.close()


def test_closing_a_segment_starts_a_compaction(tmp_path):
    with open_record(tmp_path, "world") as store:
        world = restore(store)
        made = commit(store, world, 2, 100)
        store.log.roll()
        store.compactor.wait(60)
        assert store.compacted.manifest().through == 1
        check(store, world, made)


def test_it_is_a_command(opened):
    store, world = opened
    commit(store, world, 1, 60)
    store.log.roll()
    command = [sys.executable, "-m", "mirrorworld.record.compaction", str(store.directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Compaction(segments=")
    assert done.stderr == ""


def test_a_damaged_manifest_is_named_with_its_mend(opened):
    store, world = opened
    made = commit(store, world, 1, 60)
    store.log.roll()
    compaction.compact(store.directory)
    path = store.directory / "history" / "manifest.json"
    path.write_text("{")
    with pytest.raises(CorruptRecordError, match=r"manifest.json is damaged.*Remove .*history"):
        store.read(0, *EVER)
    for file in sorted(path.parent.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    check(store, world, made)


def test_bits_of_odd_floats_survive(opened):
    store, world = opened
    origin = Origin(OriginKind.MEASURED, "plant")
    edits = Edits((PutTwin(Twin("t", points=(PointType("f"), PointType("i", Kind.INT)))),))
    store.append(world.apply(Change(edits, origin, START_NS)).change)
    odd = np.array(
        [0x7FF8000000000001, 0xFFF8000000000000, 1 << 63, 1, 0x7FF0000000000000], np.uint64
    )
    cells = odd.view(np.int64)
    n = len(cells)
    for point in (0, 1):
        body = Frame(
            np.full(n, point, np.uint32), cells, np.zeros(n, np.uint32),
            START_NS + np.arange(n, dtype=np.int64),
        )  # fmt: skip
        store.append(world.apply(Change(body, origin, START_NS + n)).change)
    store.commit()
    before = [store.read(p, *EVER).cell.tolist() for p in (0, 1)]
    assert before == [cells.tolist()] * 2
    store.log.roll()
    compaction.compact(store.directory)
    assert store.compacted.manifest().samples()[0].rows == 2 * n
    assert [store.read(p, *EVER).cell.tolist() for p in (0, 1)] == before


# --- retention ------------------------------------------------------------------------------


def test_nothing_goes_without_a_policy(opened):
    store, world = opened
    days(store, world, 5)
    compaction.compact(store.directory)
    manifest = store.compacted.manifest()
    assert (manifest.dropped_files, manifest.dropped_segments) == (0, 0)


def test_old_days_go_and_reads_say_so(opened):
    store, world = opened
    days(store, world, 6)
    store.retain(Retention(raw_s=2 * 86_400, rollups_s=4 * 86_400))
    compaction.compact(store.directory)
    manifest = store.compacted.manifest()
    assert manifest.dropped_rows == 3 * 48
    series = store.read(0, *EVER)
    assert series.kept_from_ns == START_NS + 3 * DAY_NS
    assert series.source_ns[0] == START_NS + 3 * DAY_NS
    assert len(series.source_ns) == 72
    inside = store.read(0, START_NS + 3 * DAY_NS, EVER[1])
    assert inside.kept_from_ns is None
    rolled = store.rollup(0, "1d", 0, START_NS + 9 * DAY_NS)
    assert rolled.time_ns[0] == START_NS + 1 * DAY_NS
    assert rolled.count.tolist() == [24] * 5


def test_the_log_goes_only_behind_a_keyframe_and_the_past_is_still_there(tmp_path):
    with open_record(tmp_path, "world", segment_bytes=15_000, compacts=False) as store:
        world = restore(store)
        days(store, world, 6)
        middle = store.log.segments[2].last
        store.retain(Retention(log_s=3600 * 24))
        compaction.compact(store.directory)
        manifest = store.compacted.manifest()
        assert manifest.dropped_segments == 5
        series = store.read(0, *EVER)
        assert series.kept_from_ns is None
        assert len(series.source_ns) == 6 * 24
        with pytest.raises(LookupError, match=r"no longer kept.*as of a source time"):
            store.as_of(type(store.position)(1, middle))
        with pytest.raises(LookupError, match="no longer kept"):
            list(store.changes(type(store.position)(1, 3)))
        # As-of by time goes on from Parquet.
        cell, source_ns, _ = store.as_of_time(START_NS + 30 * 3600 * 10**9 + 5)
        assert cell[0] == np.float64(30.5).view(np.int64)
        assert source_ns[1] == START_NS + 30 * 3600 * 10**9
        hashed = world.state_hash()
    with open_record(tmp_path, compacts=False) as store:
        assert restore(store).state_hash() == hashed
        assert not store.reports


def test_a_policy_must_make_sense(opened):
    store, _ = opened
    with pytest.raises(ValueError, match="raw_s is -1; it cannot be negative"):
        store.retain(Retention(raw_s=-1))
