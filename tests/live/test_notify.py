"""People are told by a real mail server and a real webhook; quiet hours follow the wall clock."""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.controller import Controller

from mirrorworld.live.notify import MailServer, Notifier, read
from mirrorworld.world.changes import (
    Change,
    Edits,
    Event,
    Origin,
    OriginKind,
    PutSheet,
    PutTwin,
    Severity,
)
from mirrorworld.world.model import Sheet, Text, Twin
from mirrorworld.world.world import World

MAIL = {"by": "email", "to": ["shift@works.example"], "min_severity": 2}


class Inbox:
    def __init__(self) -> None:
        self.mails: list = []
        self.refuse = 0

    async def handle_DATA(self, server, session, envelope):
        if self.refuse:
            self.refuse -= 1
            return "451 later"
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@pytest.fixture
def inbox(free_port: Callable[[], int]):
    handler = Inbox()
    controller = Controller(handler, "127.0.0.1", free_port())
    controller.start()
    yield handler, MailServer("127.0.0.1", "mirror@works.example", controller.port, tls="none")
    controller.stop()


def event(name: str = "high", severity: Severity = Severity.HIGH, **more) -> Event:
    message = Text((("en", f"{name}\nis high"), ("de", f"{name} ist hoch")))
    return Event(name, "hall/a", "high", message, severity, True, source_ns=10**18, **more)


class Told:
    """A world with routes, and a notifier that is running."""

    def __init__(self, mail: MailServer | None, *routes: dict) -> None:
        self.world = World("w")
        sheets = [PutSheet(Sheet("notify", f"r{i}", json.dumps(r))) for i, r in enumerate(routes)]
        edits = Edits((PutTwin(Twin("hall/a")), *sheets))
        self.by = Origin(OriginKind.INFERRED, "rules")
        self.world.apply(Change(edits, self.by, 1))
        self.notifier = Notifier(
            self.world, mail, now_ns=time.time_ns, first_wait_s=0.01, digest_s=0.2, key=b"k"
        )
        self.task = asyncio.create_task(self.notifier.run())

    def hear(self, *events: Event) -> None:
        for each in events:
            self.notifier.listen(Change(each, self.by, 1))

    async def until(self, **counts: int) -> None:
        async with asyncio.timeout(20):
            while any(self.notifier.counts[name] < n for name, n in counts.items()):
                await asyncio.sleep(0.01)


@pytest.fixture
async def tell() -> AsyncIterator[Callable[..., Told]]:
    made: list[Told] = []

    def start(mail: MailServer | None, *routes: dict) -> Told:
        made.append(Told(mail, *routes))
        return made[-1]

    yield start
    for each in made:
        each.task.cancel()
        await asyncio.gather(each.task, return_exceptions=True)


async def test_an_alarm_is_told_once_and_again_when_it_calls_again(inbox, tell):
    handler, mail = inbox
    told = tell(mail, {**MAIL, "language": "de"})
    told.hear(event(), event(), event("low", Severity.LOW))
    await told.until(told=1)
    told.hear(event(is_acknowledged=True), event())
    await told.until(told=2)
    assert len(handler.mails) == 2
    mail_ = handler.mails[0]
    assert mail_["Subject"] == "HOCH: high ist hoch"
    assert mail_["To"] == "shift@works.example"
    assert "hall/a" in mail_.get_content()


async def test_a_server_that_is_busy_is_tried_again_and_one_that_is_gone_given_up(inbox, tell):
    handler, mail = inbox
    handler.refuse = 2
    told = tell(mail, MAIL)
    told.hear(event())
    await told.until(told=1, tried_again=2)
    gone = tell(MailServer("127.0.0.1", "m@works.example", 1, tls="none"), MAIL)
    gone.hear(event())
    await gone.until(given_up=1)
    none = tell(None, MAIL)
    none.hear(event())
    await none.until(given_up=1)


async def test_a_message_cannot_add_headers(inbox, tell):
    handler, mail = inbox
    told = tell(mail, {**MAIL, "language": "en"})
    told.hear(event("x\r\nBcc: all@works.example"))
    await told.until(told=1)
    assert handler.mails[0]["Bcc"] is None


async def test_shelved_and_other_parts_are_not_told(inbox, tell):
    handler, mail = inbox
    told = tell(mail, {**MAIL, "subtree": "hall"}, {**MAIL, "subtree": "yard"})
    told.hear(event("shelved", shelved_until_ns=time.time_ns() + 10**12), event("seen"))
    await told.until(told=1)
    assert [m["Subject"] for m in handler.mails] == ["HIGH: seen is high"]


async def test_a_webhook_is_called_with_a_signature(tell, free_port):
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        asked.append(head + await reader.readexactly(size))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    port = free_port()
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        told = tell(None, {"by": "webhook", "url": f"http://127.0.0.1:{port}/hook"})
        told.hear(event())
        await told.until(told=1)
    assert b"x-signature-256: sha256=" in asked[0].lower()
    assert json.loads(asked[0].split(b"\r\n\r\n")[1])["severity"] == "high"


async def test_metadata_addresses_are_not_called(tell):
    told = tell(None, {"by": "webhook", "url": "http://169.254.169.254/latest"})
    told.hear(event())
    await told.until(given_up=1)


async def test_who_was_told_is_told_when_it_is_over(inbox, tell):
    handler, mail = inbox
    told = tell(mail, MAIL, {**MAIL, "subtree": "yard"}, {**MAIL, "when_over": False})
    told.hear(event(), event(is_acknowledged=True))
    await told.until(told=2)
    over = replace(event(is_acknowledged=True), is_active=False)
    told.hear(over, over)
    told.hear(replace(event("never told", Severity.LOW), is_active=False))
    await told.until(told=3)
    told.hear(event("another"))
    await told.until(told=5)
    subjects = [m["Subject"] for m in handler.mails]
    assert subjects[:3] == ["HIGH: high is high"] * 2 + ["HIGH [over]: high is high"]
    assert len(subjects) == 5


async def test_a_flood_is_gathered_the_most_urgent_first(inbox, tell):
    handler, mail = inbox
    told = tell(mail, MAIL)
    told.hear(*(event(f"a{i}", Severity.MEDIUM) for i in range(300)))
    told.hear(event("worst"))
    told.hear(replace(event("a299", Severity.MEDIUM), is_active=False))
    await told.until(told=11, digests=1)
    assert len(handler.mails) == 11
    digest = handler.mails[-1]
    assert digest["Subject"] == "292 alarms called or ended in the last minute"
    lines = digest.get_content().splitlines()
    assert "HIGH: worst is high" in lines[2]
    assert "MEDIUM: a10 is high" not in digest.get_content()  # it gave its place to the worst
    assert "MEDIUM: a11 is high" in lines[3]
    assert lines[-1] == "and 92 more"
    assert len(lines) == 203
    # It goes on as digests, and as single messages once it is calm.
    told.hear(event("later"))
    await told.until(told=12, digests=2)


async def test_an_alarm_that_is_over_before_its_digest_is_said_once(inbox, tell):
    handler, mail = inbox
    told = tell(mail, MAIL)
    told.hear(*(event(f"a{i}") for i in range(11)))
    told.hear(replace(event("a10"), is_active=False))
    await told.until(told=11)
    (line,) = handler.mails[-1].get_content().splitlines()[2:]
    assert "HIGH [over]: a10" in line


async def test_a_server_that_does_not_answer_keeps_no_other_waiting(inbox, tell, free_port):
    handler, mail = inbox
    hangs = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hangs.wait()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(hang, "127.0.0.1", port):
        told = tell(mail, {"by": "webhook", "url": f"http://127.0.0.1:{port}/"}, MAIL)
        told.hear(*(event(f"a{i}") for i in range(200)))
        await told.until(told=11)
        hangs.set()
    assert len(handler.mails) == 11


async def test_what_called_before_a_restart_is_not_told_again(inbox, tell):
    told = tell(inbox[1], MAIL)
    told.world.apply(Change(event("old"), told.by, 2))
    again = Notifier(told.world, inbox[1], now_ns=time.time_ns)
    told.notifier = again
    told.hear(event("old"))
    assert not again.counts and not again._lines


@pytest.mark.parametrize("tls", ["none", "ssl"])
def test_a_mail_server_elsewhere_is_reached_by_tls(tls: str):
    with pytest.raises(ValueError, match="tls"):
        MailServer("mail.works.example", "m@works.example", tls=tls)


def at(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1e9)


@pytest.mark.parametrize(
    ("now", "medium", "high"),
    [
        ("2026-06-01T21:59:00+02:00", True, True),
        ("2026-06-01T22:00:00+02:00", False, True),
        ("2026-06-02T05:59:00+02:00", False, True),
        ("2026-06-02T06:00:00+02:00", True, True),
        # Clocks are put back at 3:00 on 25 October; 6:00 is an hour later in UTC than before.
        ("2026-10-25T04:30:00+00:00", False, True),
        ("2026-10-25T05:00:00+00:00", True, True),
        ("2026-10-24T04:00:00+00:00", True, True),
    ],
)
def test_quiet_hours_are_those_of_the_wall_clock(now: str, medium: bool, high: bool):
    quiet = {"from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}
    route = read(Sheet("notify", "r", json.dumps({**MAIL, "quiet": quiet})))
    assert route.wants(event(severity=Severity.MEDIUM), at(now)) is medium
    assert route.wants(event(severity=Severity.HIGH), at(now)) is high


@pytest.mark.parametrize(
    "body",
    [
        "[]", "{}", '{"by": "pigeon"}', '{"by": "email", "to": []}', '{"by": "email", "to": ["x"]}',
        '{"by": "email", "to": ["a@b\\r\\nBcc: c@d"]}', '{"by": "webhook", "url": "file:///etc"}',
        '{"by": "email", "to": ["a@b"], "quiet": {"from": "25:00", "to": "6", "zone": "X"}}',
        '{"by": "email", "to": ["a@b"], "quiet": {"from": "22:00", "to": "06:00", "zone": "../x"}}',
        '{"by": "email", "to": ["a@b"], "password": "x"}',
        '{"by": "email", "to": ["a@b"], "when_over": 1}', "[" * 100_000,
    ],
)  # fmt: skip
def test_a_sheet_that_is_no_route_is_refused_by_name(body: str):
    with pytest.raises(ValueError, match=r"^notify r"):
        read(Sheet("notify", "r", body))
