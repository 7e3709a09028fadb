"""Voice of a meeting: who speaks straight, who by the forwarder, and who is heard by whom."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from mirrorworld.bench.serving import serving
from mirrorworld.people import routes
from mirrorworld.people.voice import BACK_TO_MESH, Settings, Voices
from mirrorworld.people.voice_peer import Slot
from mirrorworld.people.voice_wire import RTP
from mirrorworld.protocol import people, voice
from mirrorworld.protocol.voice import MESH_MAX, VOICE
from tests.people.conftest import Meeting
from tests.people.talker import talking
from tests.people.visitor import PATIENCE_S
from tests.server.stand_in import line, served

NAMES = [f"P{i}" for i in range(MESH_MAX + 4)]


def voices_of(meeting: Meeting) -> Voices:
    assert meeting.hub.on_forward is not None
    return meeting.hub.on_forward.__self__  # pyright: ignore


async def test_few_speak_straight_and_are_told_of_each_other(here: Meeting):
    async with talking(here.url, "Ada", "Ben") as (ada, ben):
        roster = await ada.rostered("straight", 2)
        assert {person.id for person in roster.people} == {ada.id, ben.id}
        assert roster.limit > MESH_MAX and roster.ice == []
        # What two pages agree on is carried as it is.
        await ada.visitor.say(people.Signal(ben.id, VOICE, '{"session":"1-2","again":true}'))
        said = await ben.visitor.told(people.Signalled, lambda m: m.by == ada.id)
        assert json.loads(said.data) == {"session": "1-2", "again": True}
        # Who says it again, as after a line was lost, is still in; a page that is new is another.
        (was,) = (person.join for person in roster.people if person.id == ben.id)
        told = len(ada.told)
        await ben.say(voice.VoiceJoin("Ben"))
        await ada.visitor.until(lambda: len(ada.told) > told)
        assert was in [person.join for person in (await ada.rostered("straight", 2)).people]
        await ben.say(voice.VoiceJoin("reloaded"))
        await ada.visitor.until(
            lambda: ada.roster and was not in [person.join for person in ada.roster.people]
        )
        await ben.say(voice.VoiceLeave())
        assert [p.id for p in (await ada.rostered("straight", 1)).people] == [ada.id]
        assert voices_of(here).port == 0, "nobody needs a forwarder here"


async def test_many_hear_the_nearest_of_those_who_speak(here: Meeting):
    async with talking(here.url, *NAMES) as talkers:
        for talker in talkers:
            await talker.rostered("forwarded", len(NAMES))
        for talker in talkers:
            await talker.ready()
        ids = [talker.id for talker in talkers]
        # Who is heard stays, unless somebody is nearer by far: so the far ones begin last.
        for talker in talkers[:7]:
            talker.bot.is_speaking = True
        await talkers[0].hears(*ids[1:7])
        for talker in talkers[7:]:
            talker.bot.is_speaking = True
        await talkers[-1].hears(*ids[-7:-1])
        await talkers[0].hears(*ids[1:7])
        # Who falls silent makes place for who speaks.
        talkers[1].bot.is_speaking = talkers[2].bot.is_speaking = False
        await talkers[0].hears(*ids[3:9])
        # Who comes near is heard.
        await talkers[-1].visitor.move(1.0)
        await talkers[0].hears(ids[-1], *ids[3:8])
        # So few are left that they speak straight again.
        for talker in talkers[BACK_TO_MESH:]:
            await talker.say(voice.VoiceLeave())
        await talkers[0].rostered("straight", BACK_TO_MESH)


async def test_a_forwarder_that_dies_is_told_of_and_comes_again(here: Meeting):
    async with talking(here.url, *NAMES[: MESH_MAX + 1]) as talkers:
        for talker in talkers:
            await talker.ready()
        first = talkers[0].roster
        process = voices_of(here)._process
        assert process is not None and first is not None
        os.kill(process.pid, signal.SIGKILL)
        told = talkers[0].told
        await talkers[0].visitor.until(lambda: voice.VoiceRefused("forwarder") in told)

        def another() -> bool:
            roster = talkers[0].roster
            return roster is not None and roster.epoch > first.epoch

        await talkers[0].visitor.until(another)
        for talker in talkers[:7]:
            talker.bot.is_speaking = True
        await talkers[0].hears(*(talker.id for talker in talkers[1:7]))
        assert here.hub.tally["voice_restarts"] >= 1


async def test_without_a_forwarder_there_is_place_for_eight(
    here: Meeting, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(routes.voice, "can_forward", lambda: False)
    async with talking(here.url, *NAMES[: MESH_MAX + 1]) as talkers:
        await talkers[0].rostered("straight", MESH_MAX)
        last = talkers[-1]
        await last.visitor.until(lambda: voice.VoiceRefused("full") in last.told)
        await talkers[0].say(voice.VoiceLeave())
        await talkers[1].rostered("straight", MESH_MAX - 1)
        await last.say(voice.VoiceJoin("again"))
        await last.rostered("straight", MESH_MAX)


async def test_who_leaves_or_loses_the_line_is_no_longer_in_voice(here: Meeting):
    here.hubs.clear()
    async with talking(here.url, "Ada", "Ben") as (ada, ben):
        await ada.rostered("straight", 2)
        await ben.visitor.say(people.Leave())
        await ada.rostered("straight", 1)


async def test_what_is_no_voice_is_refused_and_the_meeting_goes_on(here: Meeting):
    async with talking(here.url, "Mal", "Ben") as (mal, ben):
        await mal.rostered("straight", 2)
        for kind, data in (
            (VOICE, "{"),
            (VOICE, '{"@":"VoiceOffer"}'),
            (VOICE, "[" * 40_000),
            ("other", "{}"),
        ):
            await mal.visitor.say(people.Signal(0, kind, data))
        assert (await mal.visitor.told(people.Refusal)).place.startswith("Signal.")
        # An offer where none is wanted is nothing.
        await mal.say(voice.VoiceOffer("v=0", 7))
        await ben.say(voice.VoiceLeave())
        await mal.rostered("straight", 1)


async def test_the_owner_may_name_servers_that_help_to_find_each_other(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("MIRRORWORLD_VOICE_ICE", "stun:stun.plant:3478 turn:ann:s3:cret@t.plant:1")
    monkeypatch.setenv("MIRRORWORLD_VOICE_PORT", "7790")
    settings = Settings.of_environment("0.0.0.0")
    assert settings.port == 7790
    assert settings.ice == (
        voice.IceServer("stun:stun.plant:3478"),
        voice.IceServer("turn:t.plant:1", "ann", "s3:cret"),
    )
    async with (
        served(line(), routers=[routes.router]) as running,
        talking(running.url, "A") as (ann,),
    ):
        assert (await ann.rostered("straight", 1)).ice == list(settings.ice)
    for name, wrong in (("ICE", "http://example.org"), ("PORT", "many")):
        with monkeypatch.context() as patch, pytest.raises(ValueError, match=name):
            patch.setenv(f"MIRRORWORLD_VOICE_{name}", wrong)
            Settings.of_environment("127.0.0.1")


def test_a_slot_is_one_stream_whoever_speaks_in_it():
    slot = Slot(99)
    packets = [slot.packet(1, 111, 65_535 + i & 0xFFFF, 960 * i, b"a") for i in range(3)]
    packets += [slot.packet(2, 111, 7 + i, 5_000_000 + 960 * i, b"b") for i in range(2)]
    heads = [RTP.unpack_from(packet) for packet in packets]
    seqs = [seq for _, _, seq, _, _ in heads]
    times = [time for *_, time, _ in heads]
    assert [b - a & 0xFFFF for a, b in itertools.pairwise(seqs)] == [1] * 4
    assert [b - a & 0xFFFFFFFF for a, b in itertools.pairwise(times)] == [960] * 4
    assert [kind >> 7 for _, kind, *_ in heads] == [1, 0, 0, 1, 0], "another voice is marked"
    assert {ssrc for *_, ssrc in heads} == {99}


# -- a foreign implementation ------------------------------------------------------------------


async def test_foreign_peers_hear_each_other_by_the_forwarder():
    """aiortc, in processes of its own: what it says in Opus is heard by the other."""
    pytest.importorskip("aiortc", reason="pip install aiortc")
    pipe = asyncio.subprocess.PIPE
    forwarder = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mirrorworld.people.voice_forwarder", stdin=pipe, stdout=pipe
    )
    peer = Path(__file__).with_name("aiortc_peer.py")
    peers = [
        await asyncio.create_subprocess_exec(sys.executable, peer, tone, stdin=pipe, stdout=pipe)
        for tone in ("440", "880")
    ]

    async def told(process: asyncio.subprocess.Process, key: str) -> dict[str, Any]:
        assert process.stdout is not None
        async with asyncio.timeout(2 * PATIENCE_S):
            while True:
                message = json.loads(await process.stdout.readline())
                if key in message.values() or key in message:
                    return message

    def say(process: asyncio.subprocess.Process, message: object) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(message).encode() + b"\n")

    try:
        for number, process in enumerate(peers, 1):
            sdp = (await told(process, "offer"))["offer"]
            say(forwarder, {"@": "offer", "person": number, "room": 1, "sdp": sdp})
            say(process, {"answer": (await told(forwarder, "answer"))["sdp"]})
        for process, other in zip(peers, (880, 440), strict=True):
            heard = await told(process, "hears")
            assert heard["hears"] == pytest.approx(other, abs=30)
    finally:
        for process in (forwarder, *peers):
            if process.returncode is None:
                process.kill()
            await process.wait()


# -- nothing is kept ---------------------------------------------------------------------------


async def test_nothing_of_names_and_voices_is_on_the_disk(tmp_path: Path):
    """The real server, a name and a signal that are found nowhere below its directory afterwards,
    and a forwarder that has no file open to write to."""
    name, mark = "Zebulon Quagmire", "a-candidate-that-nobody-else-has"
    directory = tmp_path / "world"
    log = directory.with_suffix(".log")
    with serving(directory) as running:
        names = [f"{name} {i}" for i in range(MESH_MAX + 1)]
        headers = dict(running.headers)
        async with talking(running.url.rstrip("/"), *names, headers=headers) as talkers:
            for talker in talkers:
                await talker.ready()
            for talker in talkers[:7]:
                talker.bot.is_speaking = True
            await talkers[0].hears(*(talker.id for talker in talkers[1:7]))
            signal_ = people.Signal(talkers[1].id, VOICE, json.dumps({"session": mark}))
            await talkers[0].visitor.say(signal_)
            await talkers[1].visitor.told(people.Signalled, lambda m: mark in m.data)
            [forwarder] = psutil.Process(running.pid).children()
            assert "voice_forwarder" in " ".join(forwarder.cmdline())
            writes = {Path(file.path) for file in forwarder.open_files() if file.mode != "r"}
            assert writes <= {log}, "the server's own words, which are looked at below"
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 2, "the world itself is there"
    for path in kept:
        data = path.read_bytes()
        for word in (name.encode(), mark.encode(), talkers[0].bot.offer[-200:].encode()):
            assert word not in data, path
