"""A real world on a disk, and its server killed: what of a meeting is kept, which is nothing unless
all in it agreed to a recording."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import mirrorworld
from mirrorworld.care.backup import back_up
from mirrorworld.client import ClientError
from mirrorworld.client.meetings import Meeting

STARTS_WITHIN_S = 240.0
NAME = "Quicksilver Pangolin"
CHAT = "vermilion-umbrella-chat"
HEIGHT_MM = 1_234_567


class Up:
    """`mirrorworld up` in a process of its own, which can be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.start()

    def start(self) -> None:
        program = "from mirrorworld.cli import main; main()"
        command = [sys.executable, "-c", program, "up", "--dir", str(self.directory)]
        command += ["--world", "met", "--empty", "--port", str(self.port)]
        command += ["--no-browser", "--discovery", "off"]
        with open(self.directory.with_suffix(".log"), "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log
            with contextlib.suppress(OSError, httpx.HTTPError, ValueError):
                self.url = (self.directory / "address").read_text().strip()
                self.token = (self.directory / "token").read_text().strip()
                if httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200:
                    self.port = int(self.url.rpartition(":")[2])
                    return
            time.sleep(0.1)
        raise AssertionError(self.log)

    @property
    def log(self) -> str:
        return self.directory.with_suffix(".log").read_text(errors="replace")

    def end(self, how: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(120)
        (self.directory / "address").unlink(missing_ok=True)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path / "world")
    yield running
    running.end(signal.SIGKILL)


def test_nothing_of_a_meeting_is_kept_and_a_killed_server_is_met_in_again(up: Up):
    with mirrorworld.connect(up.url, up.token) as world:
        with world.meet(NAME) as ada, world.meet("Ben") as ben:
            assert ben.wait(lambda: len(ben.people) == 2)
            ada.stand_at((1.0, HEIGHT_MM / 1e3, -4.0), (0, 0, 0), pointing_at=(9, 9, 9))
            ada.say(CHAT)
            heard = ben.hear(60)
            assert heard is not None and (heard.name, heard.text) == (NAME, CHAT)
            assert ben.wait(lambda: ben.body(ada.id))
            seen = ben.body(ada.id)
            assert seen is not None and seen.head.position == (1.0, HEIGHT_MM / 1e3, -4.0)
            assert seen.pointer is not None and seen.pointer[1] == (9.0, 9.0, 9.0)
            ada.raise_hand()
            assert ben.wait(lambda: any(each.hand == 1 for each in ben.people))
            ada.show(1_700_000_000_000.0)
            assert ben.wait(lambda: ben.moment.source_ms == 1_700_000_000_000.0)
            # A guest by a link, too: their name is in memory only.
            link = httpx.post(
                f"{up.url}/api/meet/links",
                json={"role": "viewer"},
                headers={"Authorization": f"Bearer {up.token}"},
                timeout=60,
            ).json()["path"]
            guest = {"guest": link.partition("guest=")[2], "name": f"Guest {NAME}"}
            came = httpx.post(f"{up.url}/welcome", data=guest, timeout=60)
            assert came.status_code == 303
            cookie = came.headers["set-cookie"].partition(";")[0]
            headers = {"Cookie": cookie, "Origin": up.url}
            with Meeting(up.url, headers, "", "") as gus:
                assert gus.wait(lambda: any(e.name == f"Guest {NAME}" for e in gus.people))
                up.end(signal.SIGKILL)
                assert gus.hear(60) is None
            with pytest.raises(ClientError):
                for _ in range(1_000):
                    ben.say("is anybody there?")
                    time.sleep(0.01)
        kept = b"".join(path.read_bytes() for path in _files(up.directory))
        assert len(kept) > 1_000
        for trace in (NAME, CHAT, "Ben", "Quicksilver", "vermilion"):
            assert not re.search(trace.encode(), kept), trace
        assert HEIGHT_MM.to_bytes(4, "little") not in kept
        assert NAME not in up.log and CHAT not in up.log
        # Started again, people meet again, and find nothing of before.
        up.start()
        with world.meet(NAME) as ada:
            assert [each.name for each in ada.people] == [NAME]
            assert ada.moment.by == 0 and ada.hear(0.1) is None


def test_a_recording_that_was_agreed_survives_a_kill_and_one_that_was_not_leaves_nothing(up: Up):
    with mirrorworld.connect(up.url, up.token) as world:
        with world.meet(NAME) as ada, world.meet("Ben") as ben:
            assert ben.wait(lambda: len(ben.people) == 2)
            # Asked, and killed before the answer: nothing is there.
            ada.ask_recording("to learn from it")
            assert ben.wait(lambda: ben.recording and ben.recording.state == "asking")
            ben.say(CHAT)
            assert ada.hear(60) is not None
            up.end(signal.SIGKILL)
            assert ben.hear(60) is None
        kept = b"".join(path.read_bytes() for path in _files(up.directory))
        assert NAME.encode() not in kept and CHAT.encode() not in kept
        assert not (up.directory / "meetings").exists()

        up.start()
        with world.meet(NAME) as ada, world.meet("Ben") as ben:
            assert ben.wait(lambda: len(ben.people) == 2)
            ada.ask_recording("to learn from it")
            assert ben.wait(lambda: ben.recording)
            ben.answer_recording(True)
            assert ada.wait(lambda: ada.recording and ada.recording.state == "on")
            ben.say(CHAT)
            ben.stand_at((1.0, HEIGHT_MM / 1e3, -4.0), (0, 0, 0))
            assert ada.wait(lambda: ada.body(ben.id))
            poses = up.directory / "meetings"
            until = time.monotonic() + 60
            while time.monotonic() < until:
                [row] = world.meetings() or [None]
                if row is not None and world.meeting_poses(row.id).num_rows:
                    break
            assert row is not None and row.detail == ""
            up.end(signal.SIGKILL)
            assert ben.hear(60) is None
        up.start()
        [row] = world.meetings()
        assert (row.detail, row.reason) == ("server stopped", "to learn from it")
        assert {each.name for each in row.people} == {NAME, "Ben"}
        assert [line.text for line in world.meeting(row.id).chat] == [CHAT]
        table = world.meeting_poses(row.id)
        assert table["name"].to_pylist() == ["Ben"] and table["left_x_m"].null_count == 1
        assert table["head_y_m"].to_pylist() == [HEIGHT_MM / 1e3]
        # A backup has none of it, and what is deleted is gone.
        backup = up.directory.with_suffix(".backup")
        back_up(up.directory, backup)
        with tarfile.open(backup) as archive:
            assert not [name for name in archive.getnames() if "meetings" in name]
        world.delete_meeting(row.id)
        assert world.meetings() == [] and not list(poses.iterdir())


def _files(directory: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(directory):
        for name in names:
            if name != "token":
                yield Path(folder) / name


def test_a_world_of_ones_own_has_nobody_to_meet(tmp_path: Path):
    with (
        mirrorworld.open(tmp_path / "alone", create=True) as world,
        pytest.raises(ClientError, match="nobody to meet"),
    ):
        world.meet()
