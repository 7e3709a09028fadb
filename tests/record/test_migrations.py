"""What earlier versions wrote is read by this one."""

import json
import shutil
from pathlib import Path

import pytest

from mirrorworld.record import CorruptRecordError, migrations, open_record, restore
from mirrorworld.record.migrations import MIGRATIONS, plain_change, plain_line
from mirrorworld.record.segments import FORMAT_VERSION
from mirrorworld.testing.changes import assert_same, changes
from mirrorworld.testing.records import EVER, samples_of, values_of
from mirrorworld.world.model import Kind
from mirrorworld.world.world import World

VERSION_1 = Path(__file__).parent / "version_1"


def expected():
    lines = (VERSION_1 / "expected.jsonl").read_text(encoding="utf-8").splitlines()
    return [plain_change(line, f"expected.jsonl:{i}") for i, line in enumerate(lines, 1)]


def test_a_record_of_version_1_is_read(tmp_path):
    shutil.copytree(VERSION_1 / "record", tmp_path / "record")
    made = expected()
    with open_record(tmp_path / "record", create=False, compacts=False) as store:
        assert not store.reports
        got = list(store.log.changes(0))
        assert len(got) == len(made) > 60
        for one, other in zip(got, made, strict=True):
            assert_same(one, other)
        world = restore(store)
        replayed = World("world")
        for change in made:
            replayed.replay(change)
        assert world.state_hash() == replayed.state_hash()
        assert store.compacted.manifest().through > 0
        assert store.keyframes.latest().position.epoch == 1
        for point in range(world.n_points):
            kind = Kind(int(world.kinds[point]))
            assert values_of(store.read(point, *EVER), kind) == samples_of(made, point, kind)
        sha256 = next((store.directory / "blobs").rglob("*/*")).name
        prefix = next((store.directory / "blobs").iterdir()).name
        assert store.blobs.get(prefix + sha256) == b"a picture"


def plain_record(directory, lines):
    """A record of version 0, as a person or another program writes it."""
    (directory / "log").mkdir(parents=True)
    half = len(lines) // 2
    for name, part in (("1.jsonl", lines[:half]), ("2.jsonl", lines[half:])):
        (directory / "log" / name).write_text("\n".join(part) + "\n", encoding="utf-8")
    description = {
        "format": "mirrorworld record",
        "version": 0,
        "world": "world",
        "record": "00" * 16,
    }
    (directory / "record.json").write_text(json.dumps(description))


def test_a_plain_log_becomes_a_record(tmp_path):
    made = [c for c in expected() if c.position.epoch == 1]
    plain_record(tmp_path, [plain_line(change) for change in made])
    with open_record(tmp_path, compacts=False) as store:
        assert store.epoch == 2
        got = list(store.log.changes(0))
        assert len(got) == len(made)
        for one, other in zip(got, made, strict=True):
            assert_same(one, other)
    assert json.loads((tmp_path / "record.json").read_text())["version"] == FORMAT_VERSION
    assert len(list(tmp_path.glob("plain/*.jsonl"))) == 2
    with open_record(tmp_path, read_only=True) as store:
        assert store.position.sequence == made[-1].position.sequence


def test_a_migration_that_was_broken_off_is_done_again(tmp_path, monkeypatch):
    made = list(changes(1, 40))
    plain_record(tmp_path, [plain_line(change) for change in made])
    original = migrations.plain_change
    calls = 0

    def breaks_off(line, place):
        nonlocal calls
        calls += 1
        if calls == 25:
            raise KeyboardInterrupt
        return original(line, place)

    monkeypatch.setattr(migrations, "plain_change", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        open_record(tmp_path)
    monkeypatch.setattr(migrations, "plain_change", original)
    with open_record(tmp_path, compacts=False) as store:
        assert len(list(store.log.changes(0))) == 40


def test_a_bad_line_is_named(tmp_path):
    plain_record(tmp_path, [plain_line(c) for c in changes(1, 4)] + ['{"sequence": 5}'])
    with pytest.raises(ValueError, match=r"plain/2.jsonl:3: not a change of a plain log"):
        open_record(tmp_path)


def test_there_is_a_way_from_every_version():
    assert sorted(MIGRATIONS) == list(range(FORMAT_VERSION))


def test_a_reader_does_not_migrate(tmp_path):
    plain_record(tmp_path, [plain_line(c) for c in changes(1, 4)])
    with pytest.raises(CorruptRecordError, match="open it for writing once"):
        open_record(tmp_path, read_only=True)


def test_a_description_of_something_else_is_refused(tmp_path):
    (tmp_path / "record.json").write_text('{"format": "soup"}')
    with pytest.raises(CorruptRecordError, match="does not describe a record"):
        open_record(tmp_path)
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(CorruptRecordError, match="is damaged"):
        open_record(tmp_path)
