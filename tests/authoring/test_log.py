"""What is written is in the log: replayed to the same, in keyframes, and there after a kill."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc, Map

from mirrorworld.at_rest import open_world
from mirrorworld.authoring import updates
from mirrorworld.authoring.documents import Author, Document, NotYoursError
from mirrorworld.bench import coedit
from mirrorworld.record import keyframes, open_record, restore
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin, Writing
from mirrorworld.world.model import Twin
from mirrorworld.world.world import World
from tests.authoring.writer import note

KIM = Origin(OriginKind.AUTHORED, "kim")
NOW_MS = 2e12


def written(n: int = 3) -> list[bytes]:
    """The updates of somebody who writes a note, a letter at a time."""
    doc: Doc[Any] = Doc()
    found: list[bytes] = []
    subscription = doc.observe(lambda event: found.append(event.update))
    notes = doc.get("notes", type=Map)
    notes["n1"] = note("kim", "")
    for i in range(n):
        notes["n1"]["text"].insert(i, str(i))
    doc.unobserve(subscription)
    return found


def fill(directory: Path, n: int = 3, *, keyframe: bool = False) -> str:
    """A record in which somebody wrote; the hash of its world."""
    record = open_record(directory, "w", compacts=False)
    world = restore(record)
    bodies = [Edits((PutTwin(Twin("pump")),)), *(Writing("pump", u) for u in written(n))]
    for i, body in enumerate(bodies):
        placed = world.apply(Change(body, KIM, i + 1)).change
        assert placed is not None
        record.append(placed)
    record.commit()
    if keyframe:
        record.keyframe(world.snapshot())
    record.close()
    return world.state_hash()


@pytest.mark.parametrize("has_keyframe", [False, True])
def test_a_record_gives_back_what_was_written(tmp_path: Path, has_keyframe: bool) -> None:
    before = fill(tmp_path, keyframe=has_keyframe)
    record = open_record(tmp_path, "w", compacts=False)
    world = restore(record)
    assert world.state_hash() == before
    assert Document(world.writings["pump"]).notes()["n1"].text == "012"
    record.close()


def test_a_keyframe_from_before_there_were_notes_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        older = {name: hint for name, hint in keyframes._REST.items() if name != "writings"}
        patch.setattr(keyframes, "_REST", older)
        record = open_record(tmp_path, "w", compacts=False)
        world = restore(record)
        placed = world.apply(Change(Edits((PutTwin(Twin("pump")),)), KIM, 1)).change
        assert placed is not None
        record.append(placed)
        record.commit()
        record.keyframe(world.snapshot())
        before = world.state_hash()
        record.close()
    record = open_record(tmp_path, "w", compacts=False)
    world = restore(record)
    assert world.state_hash() == before
    assert not world.writings
    record.close()


def test_a_branch_has_the_notes_and_leaves_those_of_the_world_alone() -> None:
    world = World("w", compiled=False)
    world.apply(Change(Edits((PutTwin(Twin("pump")),)), KIM, 1))
    first, second, *_ = written()
    world.apply(Change(Writing("pump", first), KIM, 2))
    branch = world.branch("b")
    branch.apply(Change(Writing("pump", second), KIM, 3))
    assert len(world.writings["pump"]) == 1
    assert len(branch.writings["pump"]) == 2


def test_erasing_takes_a_document_out_of_the_world() -> None:
    world = World("w", compiled=False)
    world.apply(Change(Edits((PutTwin(Twin("pump")),)), KIM, 1))
    bare = world.state_hash()
    world.apply(Change(Writing("pump", written()[0]), KIM, 2))
    world.apply(Change(Writing("pump", b"", is_whole=True), KIM, 3))
    assert not world.writings
    assert world.state_hash() == bare
    with pytest.raises(ValueError, match="no such twin"):
        world.apply(Change(Writing("nothing", b"\0\0"), KIM, 4))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_when_the_server_is_killed() -> None:
    found = coedit.run(edits=60, clients=4, kills=1, within_s=600)
    assert found["converged"] is True, found
    assert found["lost"] == 0, found
    assert found["edits"] == 60, found


def test_hostile_bytes_are_refused_and_change_nothing() -> None:
    chance = random.Random(5)
    seeds = written()
    document = Document(seeds)
    before = document.whole()
    refused = 0
    for _ in range(3_000):
        bad = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(bad) + 1)
            if chance.random() < 0.5:
                bad[at:at] = bytes([0xFF] * chance.randint(1, 9))
            elif chance.random() < 0.5:
                bad[at : at + 1] = bytes([chance.randrange(256)])
            else:
                del bad[at:]
        try:
            document.take(bytes(bad), Author("kim"), NOW_MS)
        except (ValueError, NotYoursError):
            refused += 1
            assert document.whole() == before
        else:
            before = document.whole()
    assert refused > 2_000


@pytest.mark.parametrize(
    ("update", "why"),
    [
        (b"\xff\xff\xff\xff\x0f", "announces more"),
        (bytes.fromhex("0100050b00"), "is empty"),  # a client without anything: yrs panics
        (bytes.fromhex("ffffff2b0101050a84050720776f726c64"), "announces more"),
        (b"\0" * 300_000, "are taken"),
        (b"", "no update"),
        (b"\0\0\0", "behind the update"),
    ],
)
def test_updates_that_lie_about_their_size_are_refused_unread(update: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        updates.read(update)


def test_python_writes_and_reads_without_a_server(tmp_path: Path) -> None:
    with open_world(tmp_path / "w", create=True) as world:
        world.edit(PutTwin(Twin("pump")))
        id = world.note("pump", "Leaks", at=(0.0, 1.0, 0.0))
        world.reply("pump", id, "Ordered")
        task = world.task("pump", "Change the seal", owner="kim", note=id)
        world.change_task("pump", task, state="doing")
        with pytest.raises(Exception, match="one of open"):
            world.change_task("pump", task, state="perhaps")
    with open_world(tmp_path / "w") as world:
        [row] = world.notes("pump")
        assert [reply.text for reply in row.note.replies.values()] == ["Ordered"]
        assert [row.task.title for row in world.tasks(state="doing", owner="kim")] == [
            "Change the seal"
        ]
        assert not world.tasks(state="done")
