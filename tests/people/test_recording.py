"""Recording a meeting: asked, agreed by all, kept, gone again; real lines, a real disk."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest

from mirrorworld.people import routes
from mirrorworld.people.hub import Hub
from mirrorworld.people.recording import Recordings
from mirrorworld.people.shelf import Ended, Shelf, Taken, Tape
from mirrorworld.protocol import people as shapes
from mirrorworld.protocol.people import RECORDINGS_PATH, RecordingNow, Refusal, Said
from mirrorworld.protocol.poses import ROW, Pose, decode_poses
from mirrorworld.trust.accounts import Accounts, Grant
from tests.people.conftest import PASSWORD, Meeting, guarded
from tests.people.test_meeting import cookie_of, signed_in
from tests.people.visitor import PATIENCE_S, Visitor, visiting
from tests.server.stand_in import served


class Here(Meeting):
    """A meeting in a world that lies in a directory."""

    directory: Path

    @property
    def recordings(self) -> Recordings:
        return routes._recordings[self.hub]

    @property
    def shelf(self) -> Shelf:
        return self.recordings.shelf

    def bytes(self) -> bytes:
        return b"".join(p.read_bytes() for p in self.directory.rglob("*") if p.is_file())


@pytest.fixture
async def here(hubs: list[Hub], tmp_path: Path) -> AsyncIterator[Here]:
    """As `here` of the other tests, in a world that is kept on a disk."""
    accounts = Accounts()
    for name, grant in (
        ("ada", Grant("owner")),
        ("vic", Grant("viewer")),
        ("opa", Grant("operator")),
        ("eve", Grant("engineer")),
    ):
        accounts.add_person(name, PASSWORD, (grant,))
    mirror = guarded(accounts)
    mirror.record.directory = tmp_path / "record"  # pyright: ignore[reportAttributeAccessIssue]
    async with served(mirror, accounts=accounts, routers=[routes.router]) as running:
        found = Here(running, accounts, hubs)
        found.directory = tmp_path
        yield found


async def is_in(visitor: Visitor, state: str, **more: object) -> RecordingNow:
    """Waits for the newest that was said of a recording to be so."""

    def find() -> RecordingNow | None:
        told = [m for m in visitor.heard if isinstance(m, RecordingNow)]
        fits = told and told[-1].state == state
        return told[-1] if fits and all(getattr(told[-1], k) == more[k] for k in more) else None

    found = await visitor.until(find)
    assert found is not None
    return found


async def until(is_so) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.02)


async def agreed(ada: Visitor, *others: Visitor, reason: str = "to learn from it") -> RecordingNow:
    """Ada asks, and all agree."""
    await ada.say(shapes.AskRecording(reason))
    for other in others:
        asked = await is_in(other, "asking")
        await other.say(shapes.AnswerRecording(asked.id, True))
    for other in others:
        await is_in(other, "on")
    return await is_in(ada, "on")


async def ended(here: Here, *told: Visitor) -> str:
    """The id of the one recording that is over and written."""
    for each in told:
        await is_in(each, "ended")
    await until(lambda: any(each.detail.recording.detail for each in here.shelf.all()))
    [id] = here.shelf.ids()
    return id


def client(here: Here, headers: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=here.url, headers={**headers, "X-Mirrorworld": "1"}, timeout=60
    )


async def test_nothing_is_kept_before_all_agree_and_then_all_that_was_said(here: Here):
    ada_is, vic_is = await signed_in(here, "ada"), await signed_in(here, "vic")
    async with (
        visiting(here.url, "Ada", headers=ada_is) as ada,
        visiting(here.url, "Vic", headers=vic_is) as vic,
    ):
        await ada.say(shapes.Say("before anything was asked"))
        await vic.told(Said)
        await ada.say(shapes.AskRecording("to learn\nfrom it"))
        asked = await is_in(vic, "asking")
        assert (asked.by, asked.by_name, asked.reason) == (ada.id, "Ada", "to learn from it")
        assert asked.days == 30 and asked.waits_for == [vic.id] and asked.due_ms > 0
        # Asked is not agreed: what happens now is kept by nobody.
        await vic.say(shapes.Say("unheard by any disk"))
        await ada.told(Said, lambda m: m.text.startswith("unheard"))
        assert not (here.directory / "meetings").exists()
        await vic.say(shapes.AnswerRecording(asked.id, True))
        on = await is_in(ada, "on")
        assert on.since_ms > 0 and on.waits_for == []

        await vic.move(1.5, 1.7, -2.25, left=Pose((1.2, 1.1, -2.0)), pointer=((1, 1, 1), (4, 0, 2)))
        await ada.until(lambda: vic.id in ada.bodies)
        await vic.say(shapes.Say("heard"))
        await vic.stand(is_hand_raised=True, name="Victoria")
        await ada.say(shapes.SetMoment(1_700_000_000_000.0, 0.0))
        await vic.told(shapes.Moment)
        await ada.told(Said, lambda m: m.text == "heard")
        await vic.say(shapes.StopRecording())
        assert (await is_in(ada, "ended")).detail == "stopped"
        id = await ended(here, vic)
        # What comes after it is not in it.
        await ada.say(shapes.Say("after the end"))
        await vic.told(Said, lambda m: m.text == "after the end")

    kept = here.bytes()
    assert b"heard" in kept
    for trace in (b"before anything", b"unheard", b"after the end"):
        assert trace not in kept
    async with client(here, vic_is) as http:
        [row] = (await http.get(RECORDINGS_PATH)).json()["recordings"]
        assert row["id"] == id and row["detail"] == "stopped"
        assert row["deleted_ms"] - row["began_ms"] == 30 * 86_400_000
        people = {each["account"]: each for each in row["people"]}
        assert people["ada"]["name"] == "Ada" and people["vic"]["name"] == "Vic"
        assert row["by"] == people["ada"]["number"] == 1
        assert all(each["agreed_ms"] <= row["began_ms"] for each in row["people"])
        detail = (await http.get(f"{RECORDINGS_PATH}/{id}")).json()
        number = people["vic"]["number"]
        assert [(c["person"], c["text"]) for c in detail["chat"]] == [(number, "heard")]
        assert [(h["person"], h["is_raised"]) for h in detail["hands"]] == [(number, True)]
        assert [n["name"] for n in detail["names"]] == ["Victoria"]
        assert [m["source_ms"] for m in detail["moments"]] == [None, 1_700_000_000_000.0]
        got = await http.get(f"{RECORDINGS_PATH}/{id}/poses")
        table = pa.ipc.open_stream(io.BytesIO(got.content)).read_all().to_pylist()
        [pose] = table
        assert pose["person"] == number and pose["right_x_mm"] is None
        assert (pose["head_x_mm"], pose["head_z_mm"], pose["left_y_mm"]) == (1500, -2250, 1100)
        assert (pose["from_x_mm"], pose["to_x_mm"], pose["head_qw"]) == (1000, 4000, 32767)
        # As a page plays it: what was told then; later, where people still stand.
        for later_ms in (0.0, 300_000.0):
            asked = {"from_ms": row["began_ms"] + later_ms}
            got = await http.get(f"{RECORDINGS_PATH}/{id}/frames", params=asked)
            assert int.from_bytes(got.content[:4], "little") == len(got.content) - 4
            body = decode_poses(got.content[4:]).bodies[number]
            assert body.head.position == (1.5, 1.7, -2.25) and body.right is None
            assert body.left is not None and body.pointer == ((1, 1, 1), (4, 0, 2))


async def test_a_no_a_silence_and_a_leaving_keep_nothing(here: Here):
    here_is = await signed_in(here, "opa")
    async with visiting(here.url, "Opa", headers=here_is) as opa:
        async with visiting(here.url, "Ben") as ben:
            here.recordings.again_s = 0.0
            await opa.say(shapes.AskRecording("why not"))
            asked = await is_in(ben, "asking")
            await ben.say(shapes.AnswerRecording(asked.id, False))
            assert (await is_in(opa, "ended")).detail == "not agreed"
            # An answer to a question of before is none.
            await opa.say(shapes.AskRecording("once more"))
            again = await is_in(ben, "asking", reason="once more")
            await ben.say(shapes.AnswerRecording(asked.id, True))
            await ben.say(shapes.Say("still asked"))
            await opa.told(Said)
            assert (await is_in(ben, "asking")).id == again.id
            await ben.say(shapes.Leave())
            await is_in(opa, "ended", id=again.id, detail="not agreed")
        async with visiting(here.url, "Bot"):
            here.recordings.answer_s = 0.3
            await opa.say(shapes.AskRecording("to one that cannot answer"))
            await opa.told(RecordingNow, lambda m: m.detail == "no answer")
            here.recordings.again_s = 30.0
            await opa.say(shapes.AskRecording("too soon"))
            await opa.told(Refusal, lambda m: "just now" in m.detail)
    assert not (here.directory / "meetings").exists()


async def test_who_may_ask(here: Here):
    link = here.accounts.guests.make_link(Grant("operator"), "", by="ada", lasts_s=3600)[1]
    async with httpx.AsyncClient(base_url=here.url) as http:
        came = await http.post("/welcome", data={"guest": link, "name": "Gus"})
    vic_is = await signed_in(here, "vic")
    opa_is = await signed_in(here, "opa")
    async with (
        visiting(here.url, "Vic", headers=vic_is) as vic,
        visiting(here.url, "", headers=cookie_of(came)) as gus,
        visiting(here.url, "Opa", headers=opa_is) as opa,
    ):
        assert not (await vic.told(shapes.Joined)).may_record
        assert not (await gus.told(shapes.Joined)).may_record
        assert (await opa.told(shapes.Joined)).may_record
        for who in (vic, gus):
            await who.say(shapes.AskRecording("because"))
            refused = await who.told(Refusal)
            assert "may not ask" in refused.detail
        await opa.say(shapes.AskRecording("  \n "))
        assert "say why" in (await opa.told(Refusal)).detail
    assert not here.shelf.ids()


async def test_who_comes_later_is_asked_and_nothing_is_taken_meanwhile(here: Here):
    async with visiting(here.url, "Ada") as ada:
        # Alone, all who are there have agreed.
        await agreed(ada)
        async with visiting(here.url, "Ben") as ben:
            asked = await is_in(ben, "paused")
            assert asked.waits_for == [ben.id]
            await is_in(ada, "paused")
            await ben.move(7.77)
            await ben.say(shapes.Say("not yet agreed"))
            await ada.say(shapes.Say("while somebody is asked"))
            await ben.told(Said, lambda m: m.text.startswith("while"))
            await ben.say(shapes.AnswerRecording(asked.id, True))
            await is_in(ada, "on")
            await ben.say(shapes.Say("agreed now"))
            await ada.told(Said, lambda m: m.text == "agreed now")
            # The third declines: the recording ends, and nothing of them is in it.
            async with visiting(here.url, "Quicksilver") as third:
                await third.move(9.876)
                asked = await is_in(third, "paused")
                await third.say(shapes.Say("vermilion"))
                await third.say(shapes.AnswerRecording(asked.id, False))
                for each in (ada, ben, third):
                    assert (await is_in(each, "ended")).detail == "not agreed"
                id = await ended(here, ada)
    detail = here.shelf.read(id).detail
    assert [each.name for each in detail.recording.people] == ["Ada", "Ben"]
    assert [each.text for each in detail.chat] == ["agreed now"]
    assert len(detail.pauses) == 1 and detail.pauses[0].until_ms >= detail.pauses[0].at_ms
    kept = here.bytes()
    for trace in (b"Quicksilver", b"vermilion", b"not yet agreed", b"while somebody"):
        assert trace not in kept
    table = pa.ipc.open_stream(here.shelf.poses(id)).read_all()
    assert set(table["head_x_mm"].to_pylist()) == {7770}


async def test_a_lost_line_comes_back_agreed_and_the_last_one_ends_it(here: Here):
    async with visiting(here.url, "Ada") as ada:
        async with visiting(here.url, "Ben", key="ben" * 8) as ben:
            on = await agreed(ada, ben)
            await ben.socket.close(4000)
            await ada.until(lambda: ada.people[ben.id].is_away)
        async with visiting(here.url, "Ben", key="ben" * 8) as ben:
            assert (await is_in(ben, "on")).id == on.id
            await ben.say(shapes.Leave())
            await ada.until(lambda: ben.id not in ada.people)
        assert (await is_in(ada, "on")).id == on.id
        await ada.say(shapes.Leave())
        id = await ended(here)
    recording = here.shelf.read(id).detail.recording
    assert recording.detail == "all left"
    assert [each.left_ms is None for each in recording.people] == [False, False]


async def test_it_is_seen_and_deleted_by_those_in_it_and_the_owner_only(here: Here):
    ada_is, vic_is, opa_is, eve_is = [
        await signed_in(here, name) for name in ("ada", "vic", "opa", "eve")
    ]
    async with (
        visiting(here.url, "Opa", headers=opa_is) as opa,
        visiting(here.url, "Vic", headers=vic_is) as vic,
    ):
        await agreed(opa, vic)
        await vic.say(shapes.Say("vermilion-umbrella"))
        await opa.told(Said)
        await opa.say(shapes.StopRecording())
        id = await ended(here, vic)
        async with client(here, eve_is) as eve:
            assert (await eve.get(RECORDINGS_PATH)).json() == {"recordings": []}
            for path in (id, f"{id}/poses", f"{id}/frames?from_ms=0"):
                assert (await eve.get(f"{RECORDINGS_PATH}/{path}")).status_code == 404
            assert (await eve.delete(f"{RECORDINGS_PATH}/{id}")).status_code == 404
        async with client(here, ada_is) as owner:
            assert len((await owner.get(RECORDINGS_PATH)).json()["recordings"]) == 1
        async with client(here, vic_is) as http:
            assert b"vermilion" in here.bytes()
            assert (await http.delete(f"{RECORDINGS_PATH}/{id}")).status_code == 204
            assert b"vermilion" not in here.bytes()
            assert not list((here.directory / "meetings").iterdir())
            assert (await http.delete(f"{RECORDINGS_PATH}/{id}")).status_code == 404
            assert (await http.get(f"{RECORDINGS_PATH}/..%2f{id}")).status_code in (400, 404)
        # One that runs is ended by deleting it.
        await agreed(opa, vic)
        await until(here.shelf.ids)
        [id] = here.shelf.ids()
        async with client(here, vic_is) as http:
            assert (await http.delete(f"{RECORDINGS_PATH}/{id}")).status_code == 204
        assert (await is_in(opa, "ended")).detail == "deleted"
        assert not here.shelf.ids()


async def test_it_ends_by_itself_when_too_long_or_too_large_or_the_disk_fails(
    here: Here, monkeypatch: pytest.MonkeyPatch
):
    async with visiting(here.url, "Ada") as ada:
        await agreed(ada)
        here.recordings.length_s_max = 0.0
        assert (await is_in(ada, "ended")).detail == "too long"
        here.recordings.length_s_max = 7_200.0
        here.recordings.bytes_max = 1
        await ada.say(shapes.AskRecording("large"))
        await ada.told(RecordingNow, lambda m: m.detail == "too large")
        here.recordings.bytes_max = 200_000_000

        def full(self: Tape, taken: Taken) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Tape, "_write", full)
        await ada.say(shapes.AskRecording("on a full disk"))
        await ada.told(RecordingNow, lambda m: m.detail == "disk")
        # The meeting goes on.
        await ada.say(shapes.Say("still here"))
        await ada.told(Said)


def test_what_was_cut_off_is_readable_up_to_there_and_mended(tmp_path: Path):
    shelf = Shelf(tmp_path / "meetings")
    tape = shelf.begin("", "why", 1, 1e12 * 4)
    tape.put(shapes.RecordedChat(1e12 * 4 + 1, 1, "whole"))
    tape.write(tape.take())
    # Stopped before any pose: readable.
    assert shelf.poses(tape.id) and shelf.read(tape.id).detail.recording.detail == ""
    for at in range(3):
        row = np.zeros(1, ROW)[0]
        row["place"][0] = (at, 0, 0)
        tape.pose(1e12 * 4 + at, 1, 0, row)
        tape.write(tape.take())
    folder = tmp_path / "meetings" / tape.id
    poses, lines = folder / "poses.arrows", folder / "meeting.jsonl"
    whole, text = poses.read_bytes(), lines.read_bytes()
    seen = set()
    for cut in range(0, len(whole), 7):
        poses.write_bytes(whole[:cut])
        lines.write_bytes(text[: len(text) - cut % 40])
        rows = pa.ipc.open_stream(shelf.poses(tape.id)).read_all()["head_x_mm"].to_pylist()
        assert rows == list(range(len(rows)))
        seen.add(len(rows))
        if cut % 40:
            assert shelf.read(tape.id).detail.chat == []
    assert seen >= {0, 1, 2}
    tape.close(tape.take(), Ended(1e12 * 4, "stopped"))
    # What had not begun is removed; what ran is ended.
    (tmp_path / "meetings" / ".half").mkdir()
    poses.write_bytes(whole[: len(whole) - 3])
    lines.write_bytes(text + b'{"@":"RecordedCh')
    shelf.mend()
    assert not (tmp_path / "meetings" / ".half").exists()
    recording = shelf.read(tape.id).detail.recording
    assert recording.detail == "server stopped"
    assert shelf.read(tape.id).detail.chat[0].text == "whole"
    assert len(pa.ipc.open_stream(poses.read_bytes()).read_all()) == 2
    assert all(json.loads(line) for line in lines.read_bytes().splitlines())


def test_it_is_deleted_by_itself_after_its_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MIRRORWORLD_MEETING_DAYS", "7")
    shelf = Shelf.of_world(tmp_path)
    old = shelf.begin("", "long ago", 1, 1e12)  # 2001
    new = shelf.begin("", "to come", 1, 4e12)
    for tape in (old, new):
        tape.close(tape.take(), Ended(1e12, "stopped"))
    with pytest.raises(KeyError):
        shelf.read(old.id)
    shelf.clear()
    assert shelf.ids() == [new.id]
    recording = shelf.read(new.id).detail.recording
    assert recording.deleted_ms - recording.began_ms == 7 * 86_400_000
    monkeypatch.setenv("MIRRORWORLD_MEETING_DAYS", "0")
    with pytest.raises(ValueError, match="1 to 365"):
        Shelf.of_world(tmp_path)
