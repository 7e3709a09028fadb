"""Reports that are written after each shift: once, whatever happens between; kept; mailed."""

from __future__ import annotations

import datetime
import email
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pypdf
import pytest

from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.mirror import Mirror
from mirrorworld.live.notify import MailServer
from mirrorworld.operations.routes import router
from mirrorworld.operations.schedule import KIND, Kept, Scheduler, read
from mirrorworld.server.app import create_app
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from mirrorworld.world.changes import Edits, PutSheet
from mirrorworld.world.model import Sheet
from tests.operations.kept_world import MINUTE, START, make

SHIFT_END = START + 480 * MINUTE
DAY = 24 * 60 * MINUTE
TOKEN = "a-token-of-the-owner-of-this-world-0123456789"


class Clock:
    """A wall clock that is set."""

    def __init__(self, at_ns: int) -> None:
        self.at_ns = at_ns

    def __call__(self) -> int:
        return self.at_ns


def scheduled(directory: Path, *bodies: str) -> Any:
    """A kept world with schedules; its structure."""
    world, record = make(directory)
    sheets = [PutSheet(Sheet(KIND, f"s{i}", body)) for i, body in enumerate(bodies)]
    world.structure.apply(Edits(tuple(sheets)))
    record.close()
    return world.structure


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "reports").iterdir())


async def test_a_report_is_written_when_its_shift_is_over_and_late_data_had_time(tmp_path: Path):
    structure, clock = scheduled(tmp_path, '{"after_min": 5}'), Clock(SHIFT_END - MINUTE)
    scheduler = Scheduler(tmp_path, lambda: structure, now_ns=clock)
    assert await scheduler.look() == 0
    clock.at_ns = SHIFT_END + 4 * MINUTE
    assert await scheduler.look() == 0
    clock.at_ns = SHIFT_END + 5 * MINUTE
    assert await scheduler.look() == 1
    assert names(tmp_path) == [
        "20260601T1400Z.s0-early.html", "20260601T1400Z.s0-early.json",
        "20260601T1400Z.s0-early.pdf", "schedule.json",
    ]  # fmt: skip
    assert await scheduler.look() == 0 and scheduler.counts["made"] == 1
    made = (tmp_path / "reports/20260601T1400Z.s0-early.pdf").read_bytes()
    text = pypdf.PdfReader(io.BytesIO(made)).pages[0].extract_text()
    assert "Shift report kept, early" in text and "Filler" in text


async def test_what_was_due_while_nobody_ran_is_made_up_for_once(tmp_path: Path):
    structure, clock = scheduled(tmp_path, '{"forms": ["html"], "keep": 2}'), Clock(SHIFT_END - 1)
    await Scheduler(tmp_path, lambda: structure, now_ns=clock).look()
    clock.at_ns = SHIFT_END + 3 * DAY  # away for three days; the fourth is not late enough yet
    again = Scheduler(tmp_path, lambda: structure, now_ns=clock)
    assert await again.look() == 3
    notes = again.kept.notes()
    assert [note.end_ns for note in notes] == [SHIFT_END + 2 * DAY, SHIFT_END + DAY]
    assert again.counts["removed"] == 1  # no more than two are kept
    assert await Scheduler(tmp_path, lambda: structure, now_ns=clock).look() == 0
    # Even where what was remembered is lost, what lies there is not made again.
    (tmp_path / "reports/schedule.json").unlink()
    assert await Scheduler(tmp_path, lambda: structure, now_ns=clock).look() == 0


async def test_a_new_schedule_does_not_write_about_the_past(tmp_path: Path):
    structure = scheduled(tmp_path, "{}")
    clock = Clock(SHIFT_END + 100 * MINUTE)
    assert await Scheduler(tmp_path, lambda: structure, now_ns=clock).look() == 0


async def test_what_was_due_too_long_ago_is_counted(tmp_path: Path):
    structure, clock = scheduled(tmp_path, '{"forms": ["html"]}'), Clock(SHIFT_END - 1)
    await Scheduler(tmp_path, lambda: structure, now_ns=clock).look()
    clock.at_ns = SHIFT_END + 20 * DAY + 60 * MINUTE
    scheduler = Scheduler(tmp_path, lambda: structure, now_ns=clock)
    assert await scheduler.look() == 8
    assert scheduler.counts["passed_over"] == 13


async def test_killed_in_the_middle_it_is_made_once(tmp_path: Path):
    structure, clock = scheduled(tmp_path, "{}"), Clock(SHIFT_END - 1)
    await Scheduler(tmp_path, lambda: structure, now_ns=clock).look()
    # Looks until it is killed, which happens once the first file is there and the note is not.
    program = f"""
        import asyncio, os, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path.cwd())!r})
        from mirrorworld.operations import schedule
        from mirrorworld.record import open_record
        from tests.operations.test_schedule import DAY, SHIFT_END, Sheet, KIND, Edits, PutSheet
        directory = Path({str(tmp_path)!r})
        with open_record(directory / "record", create=False, read_only=True) as record:
            structure = record.history.structure()
        structure.apply(Edits((PutSheet(Sheet(KIND, "s0", "{{}}")),)))
        schedule.Kept.write = lambda *_: os.kill(os.getpid(), 9)
        looking = schedule.Scheduler(directory, lambda: structure, now_ns=lambda: SHIFT_END + DAY)
        asyncio.run(looking.look())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    kept = Kept(tmp_path / "reports")
    assert kept.notes() == []  # the files are there, and nobody is shown what may be half of it
    clock.at_ns = SHIFT_END + DAY
    again = Scheduler(tmp_path, lambda: structure, now_ns=clock)
    assert await again.look() == 1
    assert len(names(tmp_path)) == 4 and not [n for n in names(tmp_path) if n.endswith(".part")]


@pytest.mark.parametrize(
    ("last_sunday", "end"),
    [("2026-03-29", "2026-03-29T04:00Z"), ("2026-10-25", "2026-10-25T05:00Z")],
)
async def test_a_night_in_which_the_clocks_change(tmp_path: Path, last_sunday: str, end: str):
    structure = scheduled(tmp_path, '{"plan": "berlin", "forms": ["html"], "after_min": 0}')
    body = (
        '{"time_zone": "Europe/Berlin",'
        ' "shifts": [{"name": "night", "start": "22:00", "end": "06:00"}]}'
    )
    structure.apply(Edits((PutSheet(Sheet("shift_plan", "berlin", body)),)))
    end_ns = int(datetime.datetime.fromisoformat(end).timestamp()) * 10**9
    clock = Clock(end_ns - MINUTE)
    scheduler = Scheduler(tmp_path, lambda: structure, now_ns=clock)
    assert await scheduler.look() == 0
    clock.at_ns = end_ns
    assert await scheduler.look() == 1
    (note,) = scheduler.kept.notes()
    hours = (note.end_ns - note.start_ns) / 3.6e12
    assert hours == (7 if last_sunday.startswith("2026-03") else 9)
    page = (tmp_path / f"reports/{note.id}.html").read_text()
    assert f"{last_sunday} 06:00" in page


async def test_a_report_that_cannot_be_made_is_tried_again_and_then_given_up(tmp_path: Path):
    structure, clock = scheduled(tmp_path, "{}"), Clock(SHIFT_END - 1)
    scheduler = Scheduler(tmp_path, lambda: structure, now_ns=clock)
    await scheduler.look()
    (tmp_path / "record").rename(tmp_path / "gone")
    clock.at_ns = SHIFT_END + DAY
    for _ in range(4):
        assert await scheduler.look() == 0
    assert await scheduler.look() == 1
    (note,) = scheduler.kept.notes()
    assert "no world is kept" in note.failed and scheduler.counts["failed"] == 1
    assert scheduler.kept.file(note, "pdf") is None


# --- mail ---


class Inbox:
    """A mail server that keeps what it gets."""

    def __init__(self, fails: int = 0) -> None:
        self.letters: list[EmailMessage] = []
        self.fails = fails

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.fails:
            self.fails -= 1
            return "451 try again later"
        self.letters.append(
            email.message_from_bytes(envelope.content, policy=email.policy.default)  # pyright: ignore
        )
        return "250 OK"


@pytest.fixture
def inbox(free_port: Any) -> Any:
    from aiosmtpd.controller import Controller

    box = Inbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    box.server = MailServer("127.0.0.1", "world@works.example", port, tls="none")  # pyright: ignore
    yield box
    controller.stop()


async def test_it_is_mailed_with_its_files_and_after_a_refusal_too(tmp_path: Path, inbox: Any):
    body = '{"mail": ["a@works.example", "b@works.example"], "language": "de"}'
    structure, clock = scheduled(tmp_path, body), Clock(SHIFT_END - 1)
    await Scheduler(tmp_path, lambda: structure, inbox.server, now_ns=clock).look()
    inbox.fails = 1
    clock.at_ns = SHIFT_END + 60 * MINUTE
    first = Scheduler(tmp_path, lambda: structure, inbox.server, now_ns=clock)
    assert await first.look() == 1 and not inbox.letters
    # Started anew in between, it still goes out, and once.
    again = Scheduler(tmp_path, lambda: structure, inbox.server, now_ns=clock)
    for _ in range(2):
        await again.look()
    (letter,) = inbox.letters
    assert letter["To"] == "a@works.example, b@works.example"
    assert letter["Subject"] == "Schichtbericht early, 2026-06-01 06:00 – 2026-06-01 14:00 UTC"
    files = {part.get_filename(): part.get_content() for part in letter.iter_attachments()}
    assert sorted(files) == ["20260601T1400Z.s0-early.html", "20260601T1400Z.s0-early.pdf"]
    assert files["20260601T1400Z.s0-early.pdf"].startswith(b"%PDF-")
    (note,) = again.kept.notes()
    assert note.mailed == "2" and letter["Message-ID"] == f"<{note.id}@mirrorworld>"


async def test_without_a_mail_server_it_says_so(tmp_path: Path):
    structure, clock = scheduled(tmp_path, '{"mail": ["a@b.example"]}'), Clock(SHIFT_END - 1)
    scheduler = Scheduler(tmp_path, lambda: structure, now_ns=clock)
    await scheduler.look()
    clock.at_ns = SHIFT_END + DAY
    await scheduler.look()
    assert scheduler.kept.notes()[0].mailed == "no mail server is set up"


# --- over REST ---


async def test_kept_reports_are_shown_to_who_sees_all_that_they_tell(tmp_path: Path):
    bodies = '{"forms": ["html", "pdf"]}', '{"forms": ["html"], "subtree": "line/capper"}'
    structure, clock = scheduled(tmp_path, *bodies), Clock(SHIFT_END - 1)
    scheduler = Scheduler(tmp_path, lambda: structure, now_ns=clock)
    await scheduler.look()
    clock.at_ns = SHIFT_END + 60 * MINUTE
    assert await scheduler.look() == 2
    from mirrorworld.record import open_record
    from mirrorworld.record.store import restore

    record = open_record(tmp_path / "record")
    accounts = Accounts()
    accounts.add_person("part", "correct horse battery", [Grant("viewer", "line/capper")])
    token = accounts.make_token("part", "t", [Grant("viewer", "line/capper")], lasts_s=60, by="x")
    guard = GrantGuard(RoleGuard(), accounts, lambda _: ())
    mirror = Mirror(restore(record), record, {}, guard=guard, now_ns=clock)
    await mirror.start()
    app = create_app(mirror, token=TOKEN, accounts=accounts, routers=[router])
    transport = httpx.ASGITransport(app)
    owner = {"Authorization": f"Bearer {TOKEN}"}
    part = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        listed = (await client.get("/api/reports", headers=owner)).json()["reports"]
        assert [(r["schedule"], r["forms"]) for r in listed] == [
            ("s0", ["html", "pdf"]), ("s1", ["html"])
        ]  # fmt: skip
        whole, capper = (report["id"] for report in listed)
        found = await client.get(f"/api/reports/kept/{whole}.pdf", headers=owner)
        assert found.status_code == 200 and found.content.startswith(b"%PDF-")
        seen = (await client.get("/api/reports", headers=part)).json()["reports"]
        assert [report["id"] for report in seen] == [capper]
        page = await client.get(f"/api/reports/kept/{capper}.html", headers=part)
        assert page.status_code == 200 and "=Capper" in page.text and "Filler" not in page.text
        for path in (
            f"{whole}.html", f"{capper}.pdf", "schedule.html", "..%2Frecord%2Frecord.html",
            "nothing.pdf",
        ):  # fmt: skip
            none = await client.get(f"/api/reports/kept/{path}", headers=part)
            assert none.status_code in (400, 404), path
        assert (await client.get("/api/reports")).status_code == 401
    await mirror.stop()
    record.close()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("[]", "report_schedule 'x'"),
        ('{"forms": ["docx"]}', "html, pdf"),
        ('{"keep": 0}', "1 to 100000"),
        ('{"after_min": -1}', "0 to 1440"),
        ('{"language": "xx"}', "en, de"),
        ('{"mail": ["a@b\\r\\nBcc: c@d"]}', "plain addresses"),
        ('{"every": "day"}', "every"),
    ],
)
def test_schedules_that_are_none(body: str, says: str):
    with pytest.raises(ValueError, match=says):
        read(Sheet(KIND, "x", body))


def test_a_folder_with_what_is_no_report_in_it(tmp_path: Path):
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "20260601T1400Z.x.json").write_text("{")
    (folder / "20260602T1400Z.x.json").write_text(json.dumps({"id": "../../etc/passwd"}))
    os.utime(folder, (time.time(), time.time()))
    kept = Kept(folder)
    assert kept.notes() == [] and kept.note("../../etc/passwd") is None
