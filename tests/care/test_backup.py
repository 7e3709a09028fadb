"""A backup holds a world as it was, running or not; a hostile or damaged one is refused."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path

import pytest

from mirrorworld.care import backup
from mirrorworld.care.backup import BackupError, back_up, check_backup, restore_backup
from mirrorworld.record import compaction, open_record, restore
from mirrorworld.record.doctor import examine
from mirrorworld.testing.records import feed


def kept(directory: Path) -> str:
    """A world with segments, history, a keyframe, a blob and files beside its record."""
    with open_record(directory / "record", "hall", segment_bytes=8_000, compacts=False) as store:
        world = restore(store)
        feed(store, world, 1, 40)
        store.commit()
        store.keyframe(world.snapshot())
        feed(store, world, 2, 40)
        store.blobs.put(b"a picture")
        store.commit()
        state = world.state_hash()
    compaction.compact(directory / "record")
    (directory / "sources").mkdir()
    (directory / "sources" / "press.json").write_text("{}")
    (directory / "token").write_text("x" * 40)
    (directory / "address").write_text("http://127.0.0.1:1")
    database = sqlite3.connect(directory / "accounts.db")
    database.execute("create table t (a)")
    database.execute("insert into t values (7)")
    database.commit()
    database.close()
    return state


def state_of(directory: Path) -> str:
    with open_record(directory / "record", read_only=True) as store:
        return restore(store).state_hash()


def test_it_comes_back_as_it_was(tmp_path):
    kept(tmp_path / "hall")
    before = state_of(tmp_path / "hall")
    made = back_up(tmp_path / "hall", tmp_path / "hall.tar")
    assert made.path.stat().st_mode & 0o077 == 0
    assert check_backup(made.path).world == "hall"
    restored = restore_backup(made.path, tmp_path / "again")
    assert state_of(tmp_path / "again") == before
    assert restored.position == made.position
    assert (tmp_path / "again" / "sources" / "press.json").read_text() == "{}"
    with sqlite3.connect(tmp_path / "again" / "accounts.db") as database:
        assert database.execute("select a from t").fetchall() == [(7,)]
    database.close()
    assert not (tmp_path / "again" / "token").exists()
    assert not (tmp_path / "again" / "address").exists()
    with open_record(tmp_path / "again" / "record", create=False, compacts=False) as store:
        feed(store, restore(store), 3, 5)
        store.commit()
    assert not examine(tmp_path / "again" / "record").damage


def test_keys_go_along_only_when_asked(tmp_path):
    kept(tmp_path / "hall")
    back_up(tmp_path / "hall", tmp_path / "all.tar", with_keys=True)
    restore_backup(tmp_path / "all.tar", tmp_path / "again")
    assert (tmp_path / "again" / "token").read_text() == "x" * 40
    assert (tmp_path / "again" / "token").stat().st_mode & 0o077 == 0


def test_what_is_not_yet_whole_is_left_out(tmp_path):
    kept(tmp_path / "hall")
    whole = next((tmp_path / "hall" / "record" / "keyframes").glob("*.mwstruct"))
    whole.with_name("0" * 64 + ".mwstruct.part").write_bytes(b"half of a")
    back_up(tmp_path / "hall", tmp_path / "hall.tar")
    with tarfile.open(tmp_path / "hall.tar") as archive:
        names = archive.getnames()
    assert f"record/keyframes/{whole.name}" in names
    assert not [name for name in names if name.endswith(".part")]


WRITER = """
    import sys
    from pathlib import Path
    from mirrorworld.record import open_record, restore
    from mirrorworld.testing.records import feed
    with open_record(Path(sys.argv[1]) / "record", "hall", segment_bytes=30_000) as store:
        world = restore(store)
        for seed in range(100_000):
            feed(store, world, seed, 10)
            position = store.commit()
            if seed % 5 == 0:
                store.keyframe(world.snapshot())
            print(position.sequence, flush=True)
"""


def test_it_is_made_while_the_world_is_written(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path / "hall")]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    try:
        for i in range(3):
            acknowledged = 0
            for _ in range(20):
                acknowledged = int(writer.stdout.readline())
            made = back_up(tmp_path / "hall", tmp_path / f"{i}.tar")
            assert int(made.position.split(":")[1]) >= acknowledged
    finally:
        writer.kill()
        writer.communicate()
    for i in range(3):
        again = tmp_path / f"again{i}"
        held = restore_backup(tmp_path / f"{i}.tar", again)
        with open_record(again / "record", create=False, compacts=False) as store:
            world = restore(store)
            assert store.log.lost == []
            assert world.position.sequence >= int(held.position.split(":")[1])


def test_what_is_there_is_never_replaced(tmp_path):
    kept(tmp_path / "hall")
    back_up(tmp_path / "hall", tmp_path / "hall.tar")
    with pytest.raises(BackupError, match="there already"):
        back_up(tmp_path / "hall", tmp_path / "hall.tar")
    before = state_of(tmp_path / "hall")
    with pytest.raises(BackupError, match="a world is here already"):
        restore_backup(tmp_path / "hall.tar", tmp_path / "hall")
    assert state_of(tmp_path / "hall") == before


def test_a_flipped_byte_anywhere_is_found(tmp_path):
    kept(tmp_path / "hall")
    path = back_up(tmp_path / "hall", tmp_path / "hall.tar").path
    data = path.read_bytes()
    with tarfile.open(path) as archive:
        members = [(m.name, m.offset_data, m.size) for m in archive if m.size > 64]
    for name, start, size in members:
        flipped = bytearray(data)
        flipped[start + size // 2] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(BackupError):
            check_backup(path)
        with pytest.raises(BackupError):
            restore_backup(path, tmp_path / "again")
        assert not (tmp_path / "again").exists(), name
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BackupError):
        check_backup(path)


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out", "link", "a\\..\\out"])
def test_a_hostile_backup_writes_nothing_outside(tmp_path, name):
    about = {"format": "mirrorworld backup", "version": 1, "world": "w", "position": "1:1"}
    path = tmp_path / "hostile.tar"
    with tarfile.open(path, "w") as archive:
        head = json.dumps({**about, "made_ns": 1, "has_keys": False}).encode()
        info = tarfile.TarInfo("backup.json")
        info.size = len(head)
        archive.addfile(info, io.BytesIO(head))
        bad = tarfile.TarInfo(name)
        if name == "link":
            bad.type, bad.linkname = tarfile.SYMTYPE, "/etc/passwd"
        else:
            bad.size = 3
        archive.addfile(bad, io.BytesIO(b"bad"))
    with pytest.raises(BackupError, match="no backup of ours"):
        restore_backup(path, tmp_path / "a" / "again")
    assert sorted(os.listdir(tmp_path)) == ["hostile.tar"]


def test_what_is_no_backup_is_said_to_be_none(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"not a tar at all" * 100)
    for path in (tmp_path / "x.tar", tmp_path / "absent.tar"):
        with pytest.raises(BackupError, match="no backup of mirrorworld"):
            check_backup(path)
    with pytest.raises(BackupError, match="no world is kept here"):
        back_up(tmp_path, tmp_path / "y.tar")


def test_a_file_that_is_attached_meanwhile_is_in_it(tmp_path, monkeypatch):
    """The log may refer to whatever was there when it was listed, so files are listed after it."""
    kept(tmp_path / "hall")
    listed = backup._of_log

    def later(directory):
        with open_record(directory / "record", compacts=False) as store:
            store.blobs.put(b"attached while the backup was made")
        return listed(directory)

    monkeypatch.setattr(backup, "_of_log", later)
    back_up(tmp_path / "hall", tmp_path / "hall.tar")
    restore_backup(tmp_path / "hall.tar", tmp_path / "again")
    with open_record(tmp_path / "again" / "record", read_only=True) as store:
        assert len(list(store.blobs.names())) == 2
        for name in store.blobs.names():
            store.blobs.get(name)
