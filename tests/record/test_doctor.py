"""The doctor finds every flipped byte, and salvages."""

import subprocess
import sys
import textwrap

import pytest

from mirrorworld.record import CorruptRecordError, compaction, doctor, open_record, restore
from mirrorworld.testing.records import feed
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin
from mirrorworld.world.model import Blob, Property, Twin


@pytest.fixture
def kept(tmp_path):
    with open_record(tmp_path / "w", "world", segment_bytes=8_000, compacts=False) as store:
        world = restore(store)
        for seed in range(3):
            feed(store, world, seed, 40)
            store.commit()
            store.keyframe(world.snapshot())
        store.blobs.put(b"a picture")
    compaction.compact(tmp_path / "w")
    return tmp_path / "w"


def test_a_sound_record_is_said_to_be_sound(kept, capsys):
    before = {p: p.read_bytes() for p in kept.rglob("*") if p.is_file()}
    assert doctor.main([str(kept)]) == 0
    said = capsys.readouterr().out
    assert "3 keyframes" in said
    assert "1 blobs" in said
    assert "all is well" in said
    assert before == {p: p.read_bytes() for p in kept.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "pattern", ["log/*.mwlog", "keyframes/*.mwkey", "keyframes/*.mwstruct", "blobs/*/*"]
)
def test_a_flipped_byte_is_found_wherever_it_is(kept, pattern, capsys):
    path = sorted(kept.glob(pattern))[0]
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), max(1, len(data) // 7)):
        data[at] ^= 4
        path.write_bytes(data)
        assert doctor.main([str(kept)]) == 1, at
        assert path.stem in capsys.readouterr().out
        data[at] ^= 4
    path.write_bytes(data)
    assert doctor.main([str(kept)]) == 0


def test_a_truncated_file_of_history_is_found(kept, capsys):
    path = sorted(kept.glob("history/samples/*/*.parquet"))[0]
    path.write_bytes(path.read_bytes()[:-50])
    assert doctor.main([str(kept)]) == 1
    assert path.name in capsys.readouterr().out


def test_it_salvages(kept, capsys):
    path = sorted(kept.glob("log/*.mwlog"))[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with open_record(kept, read_only=True) as store, pytest.raises(CorruptRecordError):
        list(store.log.changes(0))
    assert doctor.main([str(kept), "--salvage"]) == 0
    assert "are lost" in capsys.readouterr().out
    with open_record(kept, read_only=True) as store:
        assert store.lost
        assert len(list(store.log.changes(0))) > 50
    assert doctor.main([str(kept / "nowhere")]) == 2


def test_it_all_works_without_numba(kept):
    """The whole record on the NumPy road: reads what the compiled one wrote, and writes."""
    program = textwrap.dedent(
        f"""
        import sys
        sys.modules["numba"] = None
        from mirrorworld.record import open_record, restore
        from mirrorworld.record.codec import CODEC, PLAIN
        from mirrorworld.testing.records import feed
        assert CODEC is PLAIN
        with open_record({str(kept)!r}, compacts=False) as store:
            world = restore(store)
            print(world.state_hash())
            feed(store, world, 9, 40)
            store.commit()
            store.as_of(store.position)
            store.as_of_time(1_790_000_000_000_000_000)
            print(world.state_hash())
        """
    )
    with open_record(kept, read_only=True) as store:
        before = restore(store).state_hash()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    with open_record(kept, read_only=True) as store:
        after = restore(store).state_hash()
    assert done.stdout.split() == [before, after]


def test_files_that_are_missing_or_of_the_past_are_told(tmp_path, capsys):
    with open_record(tmp_path / "w", "world", compacts=False) as store:
        world = restore(store)
        kept = Blob(store.blobs.put(b"a manual"), "text/plain", 8, "Manual.txt")
        store.blobs.put(b"nobody's")
        gone = Blob("ab" * 32, "application/pdf", 9, "Drawing.pdf")
        documents = Property("documents", (Property("", kept), Property("", gone)))
        edits = Edits((PutTwin(Twin("press", properties=(documents,))),))
        change = world.apply(Change(edits, Origin(OriginKind.AUTHORED, "kim"), 1)).change
        assert change is not None
        store.append(change)
        store.commit()
    assert doctor.main([str(tmp_path / "w")]) == 0, "it costs nothing of the record"
    said = capsys.readouterr().out
    assert "2 blobs (1 of the past or nobody's)" in said
    assert "press: Drawing.pdf (abababababababab…) is not among the files kept here" in said
