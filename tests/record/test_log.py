"""The log on disk: durability, torn tails, damage, epochs, locks."""

import errno
import functools
import json
import os
import subprocess
import sys

import pytest

from mirrorworld.record import CorruptRecordError, UnknownWorldError, WorldInUseError
from mirrorworld.record import open_record as open_and_compact
from mirrorworld.record.segments import BlockKind
from mirrorworld.testing import changes as signals
from mirrorworld.testing.faults import FaultyDisk
from mirrorworld.world.changes import Position

open_record = functools.partial(open_and_compact, compacts=False)


def fill(store, seed, count, *, batch=10, first=1, **options):
    made = list(signals.changes(seed, count, epoch=store.epoch, first=first, **options))
    for i, change in enumerate(made, 1):
        store.append(change)
        if i % batch == 0:
            store.commit()
    store.commit()
    return made


def abandon(store):
    """Lets go as a process does that dies: nothing is committed or sealed."""
    store.log._appender.close()
    store.log._appender = None
    store.close()


def everything(store):
    return list(store.log.changes(0))


def assert_all_same(got, expected):
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        signals.assert_same(one, other)


def test_what_was_committed_is_read_back(tmp_path):
    with open_record(tmp_path / "w", "world") as store:
        made = fill(store, 1, 300)
        assert store.position == Position(1, 300)
        assert_all_same(everything(store), made)
        assert_all_same(list(store.changes(Position(1, 250))), made[250:])
        assert len(list(store.changes(Position(1, 0), limit=7))) == 7
    with open_record(tmp_path / "w", read_only=True) as store:
        assert_all_same(everything(store), made)


def test_small_segments_and_many_openings_make_one_log(tmp_path):
    made = []
    for _ in range(4):
        with open_record(tmp_path, "world", segment_bytes=4000) as store:
            made += fill(store, len(made), 120, first=len(made) + 1)
    with open_record(tmp_path, read_only=True) as store:
        assert_all_same(everything(store), made)
        assert len(store.log.segments) > 8
        assert [c.position.epoch for c in everything(store)] == sorted([1, 2, 3, 4] * 120)
        assert not store.reports


def test_epochs_grow_even_when_nothing_is_written(tmp_path):
    for expected in (1, 2, 3):
        with open_record(tmp_path, "world") as store:
            assert store.epoch == expected
    assert len(list(tmp_path.glob("log/*.mwlog"))) == 1


def test_one_writer_and_any_reader(tmp_path):
    with open_record(tmp_path, "world") as store:
        with pytest.raises(WorldInUseError, match=rf"open in process {os.getpid()}"):
            open_record(tmp_path)
        made = fill(store, 1, 50)
        with open_record(tmp_path, read_only=True) as reader:
            assert_all_same(everything(reader), made)
            with pytest.raises(OSError, match="not open for writing"):
                reader.append(made[0])
    open_record(tmp_path).close()


def test_changes_must_follow_one_another(tmp_path):
    with open_record(tmp_path, "world") as store:
        (change,) = signals.changes(1, 1)
        store.append(change)
        with pytest.raises(ValueError, match="does not follow"):
            store.append(change)
        with pytest.raises(ValueError, match="not of epoch 1"):
            store.append(signals.placed(change, 2, 2))


def test_unknown_worlds_are_named(tmp_path):
    open_record(tmp_path / "filler", "filler").close()
    with pytest.raises(UnknownWorldError, match=r"no world is kept in .*filer.* has: filler"):
        open_record(tmp_path / "filer", create=False)
    with pytest.raises(UnknownWorldError, match="holds the world 'filler', not 'packer'"):
        open_record(tmp_path / "filler", "packer")


# --- a position that was never durable ------------------------------------------------------


def test_a_position_beyond_an_epoch_is_refused(tmp_path):
    with open_record(tmp_path, "world") as store:
        fill(store, 1, 20)
    with open_record(tmp_path, "world") as store:
        fill(store, 2, 20, first=21)
        assert len(list(store.changes(Position(1, 15)))) == 25
        with pytest.raises(LookupError, match="1:25 never became durable: epoch 1 ended at 20"):
            list(store.changes(Position(1, 25)))
        with pytest.raises(LookupError, match="ahead of the record"):
            list(store.changes(Position(9, 1)))


# --- torn tails -----------------------------------------------------------------------------


def test_a_tail_torn_at_any_byte_is_cut_and_reported(tmp_path):
    store = open_record(tmp_path, "world")
    made = fill(store, 5, 30, rows=6)
    (path,) = tmp_path.glob("log/*.mwlog")
    whole = path.read_bytes()
    start = store.log.segments[-1].blocks[-1].offset
    last_block_first = store.log.segments[-1].blocks[-1].first
    abandon(store)
    assert len(whole) - start > 100
    for size in range(start, len(whole)):
        for file in tmp_path.glob("log/*"):
            file.unlink()
        path.write_bytes(whole[:size])
        with open_record(tmp_path) as mended:
            assert_all_same(everything(mended), made[: last_block_first - 1])
            if size > start:
                assert mended.reports == (
                    f"{path}: cut {size - start} bytes at byte {start} that were being written"
                    f" when the writer was stopped ({mended.reports[0].split('(')[-1]}",
                ), mended.reports
            else:
                assert not mended.reports
            assert mended.epoch == 2
        with open_record(tmp_path) as again:
            assert not again.reports


def test_a_reader_passes_over_a_torn_tail(tmp_path):
    store = open_record(tmp_path, "world")
    made = fill(store, 5, 30)
    (path,) = tmp_path.glob("log/*.mwlog")
    with open(path, "ab") as file:
        file.write(b"MWB\xb1 half a block")
    with open_record(tmp_path, read_only=True) as reader:
        assert_all_same(everything(reader), made)
    store.log._failure = "stop"
    store.close()


# --- damage ---------------------------------------------------------------------------------


def damaged(tmp_path, seed=6, **options):
    with open_record(tmp_path, "world", **options) as store:
        made = fill(store, seed, 120, batch=10)
    return made, sorted(tmp_path.glob("log/*.mwlog"))


def test_a_flipped_byte_anywhere_is_never_silent(tmp_path):
    made, (path,) = damaged(tmp_path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 37):
        for file in tmp_path.glob("log/*"):
            file.unlink()
        flipped = bytearray(whole)
        flipped[at] ^= 0x10
        path.write_bytes(flipped)
        try:
            with open_record(tmp_path) as store:
                got = everything(store)
                reports = store.reports
        except CorruptRecordError as error:
            assert str(path) in str(error)
            assert "backup" in str(error)
            continue
        # Only the closing mark, which nothing else proves, can be taken for a torn tail.
        assert reports and "cut" in reports[0]
        assert_all_same(got, made)


def test_salvage_keeps_the_rest_and_lists_what_is_lost(tmp_path):
    made, paths = damaged(tmp_path, segment_bytes=3000)
    assert len(paths) > 3
    victim = paths[1]
    with open_record(tmp_path, read_only=True) as store:
        segment = store.log.segments[1]
        block = next(b for b in segment.blocks if b.kind == BlockKind.SAMPLES)
        first, last = segment.first, segment.last
    data = bytearray(victim.read_bytes())
    data[block.end - 3] ^= 1
    victim.write_bytes(data)
    with open_record(tmp_path) as store:
        pass  # the headers are good, so opening does not see it ...
    damage = rf"{victim.name}.*byte {block.offset}"
    with (
        open_record(tmp_path, read_only=True) as store,
        pytest.raises(CorruptRecordError, match=damage),
    ):
        everything(store)  # ... but reading does.
    with open_record(tmp_path, salvage=True) as store:
        got = everything(store)
        lost = store.lost
    assert lost
    missing = {s for entry in lost for s in range(entry.first, entry.last + 1)}
    assert missing <= set(range(first, last + 1))
    assert_all_same(got, [c for c in made if c.position.sequence not in missing])
    assert victim.with_suffix(".damaged").exists()
    with open_record(tmp_path) as store:
        assert store.lost == lost
        assert not store.reports


def test_blocks_behind_a_hole_in_an_unsynced_write_are_cut_with_it(tmp_path):
    store = open_record(tmp_path, "world")
    made = fill(store, 5, 30, batch=10)
    for change in signals.changes(6, 200, first=31):
        store.append(change)
    store.commit()  # one write of several blocks
    blocks = store.log.segments[-1].blocks
    torn = next(b for b in blocks if b.first > 30)
    assert len(blocks) > blocks.index(torn) + 3
    abandon(store)
    (path,) = tmp_path.glob("log/*.mwlog")
    data = bytearray(path.read_bytes())
    data[torn.offset + 100] ^= 1
    path.write_bytes(data)
    with open_record(tmp_path, read_only=True) as reader:
        assert_all_same(everything(reader), made)
    with open_record(tmp_path) as mended:
        assert f"cut {len(data) - torn.offset} bytes at byte {torn.offset}" in mended.reports[0]
        assert_all_same(everything(mended), made)


def test_a_missing_segment_is_an_error_until_it_is_salvaged(tmp_path):
    made, paths = damaged(tmp_path, segment_bytes=3000)
    with open_record(tmp_path, read_only=True) as store:
        first, last = store.log.segments[2].first, store.log.segments[2].last
    paths[2].unlink()
    with pytest.raises(CorruptRecordError, match=f"changes {first} to {last} are missing"):
        open_record(tmp_path)
    with open_record(tmp_path, salvage=True) as store:
        assert [(entry.first, entry.last) for entry in store.lost] == [(first, last)]
        assert_all_same(everything(store), made[: first - 1] + made[last:])
    open_record(tmp_path).close()


# --- refusing disks -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("switch", "code"),
    [("fail_sync", errno.EIO), ("fail_sync", errno.ENOSPC), ("fail_write", errno.ENOSPC)],
)
def test_after_a_refused_sync_nothing_more_is_taken(tmp_path, switch, code):
    disk = FaultyDisk(tmp_path)
    store = open_record(tmp_path, "world", files=disk)
    made = fill(store, 7, 50)
    more = list(signals.changes(8, 3, first=51))
    store.append(more[0])
    setattr(disk, switch, code)
    with pytest.raises(OSError, match=r"mwlog: .*1:50.*open the world again") as caught:
        store.commit()
    assert caught.value.errno == code
    with pytest.raises(OSError, match="open the world again"):
        store.append(more[1])
    with pytest.raises(OSError, match="open the world again"):
        store.commit()
    store.close()
    disk.lose_power()
    with open_record(tmp_path, files=disk) as again:
        assert_all_same(everything(again), made)
        fill(again, 9, 10, first=51)


def test_a_full_disk_leaves_a_tail_that_is_cut(tmp_path):
    disk = FaultyDisk(tmp_path)
    store = open_record(tmp_path, "world", files=disk)
    made = fill(store, 7, 50)
    disk.room_bytes = 40
    store.append(next(signals.changes(8, 1, first=51)))
    with pytest.raises(OSError, match="No space left"):
        store.commit()
    store.close()
    disk.room_bytes = None
    with open_record(tmp_path, files=disk) as again:
        assert "cut 40 bytes" in again.reports[0]
        assert_all_same(everything(again), made)


@pytest.mark.parametrize("seed", range(12))
def test_power_loss_loses_nothing_acknowledged(tmp_path, seed):
    """Law 2 of the house, with a disk that forgets all that was not synced."""
    disk = FaultyDisk(tmp_path)
    made, acknowledged = [], 0
    for opening in range(4):
        store = open_record(tmp_path, "world", files=disk, segment_bytes=2500)
        kept = everything(store)
        assert len(kept) >= acknowledged
        assert_all_same(kept, made[: len(kept)])
        made = made[: len(kept)]
        for change in signals.changes(
            seed * 10 + opening, 60, epoch=store.epoch, first=len(made) + 1
        ):
            store.append(change)
            made.append(change)
            if change.position.sequence % 7 == 0:
                acknowledged = store.commit().sequence
        abandon(store)
        disk.lose_power(seed=seed if opening % 2 else None)


# --- versions -------------------------------------------------------------------------------


def test_a_newer_version_is_refused_and_left_alone(tmp_path):
    open_record(tmp_path, "world").close()
    path = tmp_path / "record.json"
    description = json.loads(path.read_text())
    path.write_text(json.dumps({**description, "version": 99}))
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.name != "lock"}
    with pytest.raises(CorruptRecordError, match=r"version 99.*Upgrade mirrorworld"):
        open_record(tmp_path)
    assert before == {p: p.read_bytes() for p in before}


# --- kill -9 --------------------------------------------------------------------------------

WRITER = """
import sys
from mirrorworld.record import open_record
from mirrorworld.testing import changes as signals
store = open_record(sys.argv[1], "world", segment_bytes=200_000, compacts=False)
first = store.position.sequence + 1
made = signals.changes(0, 1_000_000, epoch=store.epoch, first=first, rows=60)
for change in made:
    store.append(change)
    if change.position.sequence % 5 == 0:
        sys.stdout.write(f"{store.commit().sequence}\\n")
        sys.stdout.flush()
"""


@pytest.mark.slow
def test_kill_in_a_loop_under_load_loses_and_doubles_nothing(tmp_path):
    acknowledged = 0
    for round_ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _, line in zip(range(20 + 13 * round_), process.stdout, strict=False):
            acknowledged = int(line)
        process.kill()
        # What it still said before it died was acknowledged too.
        rest = [line for line in process.stdout.read().splitlines(keepends=True) if "\n" in line]
        acknowledged = int(rest[-1]) if rest else acknowledged
        process.stdout.close()
        process.wait()
        with open_record(tmp_path, "world") as store:
            sequences = [c.position.sequence for c in everything(store)]
            assert sequences == list(range(1, len(sequences) + 1))
            assert len(sequences) >= acknowledged
    assert acknowledged > 300
