"""Reports that are written by themselves after each shift, kept, and mailed.

What is wanted is a sheet of kind `report_schedule`:

    {"plan": "hall 1", "after_min": 10, "forms": ["pdf", "html"], "language": "de", "keep": 400,
     "mail": ["shift@works.example"], "subtree": "hall"}

A report lies in the world's folder `reports/`; a note beside it (`ID.json`), written last, says
that it is whole. What was due while nobody ran is made up for at the next start, each once. It is
made in a process of its own, from what is durable.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import re
import smtplib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from email.message import EmailMessage
from email.utils import formatdate
from html import escape
from pathlib import Path
from typing import Annotated, Final

import msgspec

from mirrorworld.live.notify import RECIPIENTS_MAX, MailServer, send
from mirrorworld.operations.report_words import LANGUAGES, say
from mirrorworld.operations.report_worker import keep
from mirrorworld.operations.shift_report import plan_of
from mirrorworld.operations.shifts import ShiftPlan, ShiftRun
from mirrorworld.world.model import Sheet
from mirrorworld.world.structure import Structure

log = logging.getLogger(__name__)

KIND: Final = "report_schedule"
FOLDER: Final = "reports"
STATE: Final = "schedule.json"
LOOK_S: Final = 20.0
"""How often it is looked whether one is due; a new sheet is heard of within this."""
MAKE_S: Final = 600.0
BACK_DAYS: Final = 8
"""So far back is made up for what was due while nobody ran."""
TRIES: Final = 5
"""A report that fails so often is given up, which its note says."""
MAIL_TRIES: Final = 180
"""A mail server may be away for an hour."""
WAITS: Final = "waits"
FORMS: Final = ("html", "pdf")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is written after each shift of a plan."""

    name: str
    plan: str = ""
    after_min: float = 10.0
    """Late data may come for so long."""
    forms: tuple[str, ...] = FORMS
    language: str = "en"
    keep: int = 400
    """Older ones are removed."""
    mail: tuple[str, ...] = ()
    subtree: str = ""
    """Only of this part of the world; empty: of all of it."""


def _said(**how: object) -> msgspec.Meta:
    return msgspec.Meta(extra_json_schema=how)


class ScheduleBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is written after each shift, as it is written down."""

    plan: Annotated[str, _said(format="sheet", of="shift_plan")] = ""
    after_min: float = 10.0
    forms: tuple[Annotated[str, _said(enum=list(FORMS))], ...] = FORMS
    language: Annotated[str, _said(enum=list(LANGUAGES))] = "en"
    keep: int = 400
    mail: tuple[Annotated[str, _said(format="email")], ...] = ()
    subtree: Annotated[str, _said(format="twin")] = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of a report that is kept."""

    id: str
    schedule: str
    plan: str
    shift: str
    start_ns: int
    end_ns: int
    made_ns: int
    forms: tuple[str, ...]
    language: str
    subtree: str
    mailed: str = ""
    """`waits`, to how many it went, or why it did not; empty: nobody is to get it."""
    failed: str = ""
    """Why there is none."""


def read(sheet: Sheet) -> Schedule:
    """The schedule that a sheet spells.

    Raises:
        ValueError: it spells none; the message names the place and the mend.
    """
    place = f"{KIND} '{sheet.name}'"
    try:
        body = msgspec.json.decode(sheet.body, type=ScheduleBody)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{place}: {error}") from error
    if not 0 <= body.after_min <= 24 * 60:
        raise ValueError(f"{place}.after_min: {body.after_min:g}; give 0 to 1440 minutes")
    if not body.forms or not set(body.forms) <= set(FORMS):
        raise ValueError(f"{place}.forms: give some of {', '.join(FORMS)}")
    if body.language not in LANGUAGES:
        raise ValueError(f"{place}.language: give one of {', '.join(LANGUAGES)}")
    if not 1 <= body.keep <= 100_000:
        raise ValueError(f"{place}.keep: {body.keep}; give 1 to 100000")
    wrong = [to for to in body.mail if "@" not in to or any(c in to for c in "\r\n,;<> ")]
    if len(body.mail) > RECIPIENTS_MAX or wrong:
        raise ValueError(f"{place}.mail: up to {RECIPIENTS_MAX} plain addresses, {wrong[:1]}")
    return Schedule(sheet.name, **{f: getattr(body, f) for f in body.__struct_fields__})


def report_id(schedule: Schedule, shift: ShiftRun) -> str:
    """By which a report is found again: the same for the same shift, whenever it is made."""
    at = datetime.datetime.fromtimestamp(shift.span[1] // 1_000_000_000, datetime.UTC)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{schedule.name}.{shift.name}")[:120].strip("-")
    return f"{at:%Y%m%dT%H%MZ}.{name or 'report'}"


class Kept:
    """The reports that lie in a folder. Any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def notes(self) -> list[Note]:
        """Those that are whole, latest first; a note that cannot be read is passed over."""
        found: list[Note] = []
        for path in self.folder.glob("*Z.*.json"):
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=Note))
            except (OSError, msgspec.MsgspecError) as error:
                log.warning("%s: %s", path, error)
        return sorted(found, key=lambda note: (-note.end_ns, note.id))

    def note(self, id_: str) -> Note | None:
        """That of one report."""
        if not _ID.fullmatch(id_):
            return None
        return next((note for note in self.notes() if note.id == id_), None)

    def file(self, note: Note, form: str) -> Path | None:
        """Where a report lies; None: not in this form."""
        path = self.folder / f"{note.id}.{form}"
        return path if form in note.forms and not note.failed and path.is_file() else None

    def write(self, note: Note) -> None:
        """Notes a report; from then on it counts as made."""
        keep(self.folder / f"{note.id}.json", msgspec.json.encode(asdict(note)))

    def thin(self, schedule: Schedule) -> int:
        """Removes the oldest of a schedule that are too many; how many."""
        of_it = [note for note in self.notes() if note.schedule == schedule.name]
        for note in of_it[schedule.keep :]:
            for suffix in (*note.forms, "json"):
                (self.folder / f"{note.id}.{suffix}").unlink(missing_ok=True)
        return len(of_it[schedule.keep :])


class Scheduler:
    """Makes the reports of one world when they are due.

    Attributes:
        counts: made, failed, mailed, not mailed, removed, and passed over since they were due too
            long ago.
    """

    def __init__(
        self,
        directory: Path,
        structure: Callable[[], Structure],
        mail: MailServer | None = None,
        *,
        now_ns: Callable[[], int],
    ) -> None:
        self._record = directory / "record"
        self._structure = structure
        self._mail = mail
        self._now_ns = now_ns
        self._failures: Counter[str] = Counter()
        self.kept = Kept(directory / FOLDER)
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Looks again and again what is due, until cancelled."""
        while True:
            try:
                await self.look()
            except OSError as error:
                self.counts["failed"] += 1
                log.warning("%s: %s", self.kept.folder, error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> int:
        """Makes what is due now; how many."""
        schedules = list(self._schedules())
        if not schedules:
            return 0
        self.kept.folder.mkdir(mode=0o700, exist_ok=True)
        done = await asyncio.to_thread(self._begin, [schedule.name for schedule, _ in schedules])
        made = 0
        for schedule, plan in schedules:
            for shift in self._due(schedule, plan, done[schedule.name]):
                if not await asyncio.to_thread(self._make, schedule, plan, shift):
                    break  # later ones wait for it, so that "done until" says what it says
                made += 1
                done[schedule.name] = shift.span[1]
                await asyncio.to_thread(self._remember, done)
            await asyncio.to_thread(self._deliver, schedule, plan)
        return made

    def _schedules(self) -> Iterator[tuple[Schedule, ShiftPlan]]:
        structure = self._structure()
        for (kind, _), sheet in list(structure.sheets.items()):
            if kind != KIND:
                continue
            try:
                schedule = read(sheet)
                yield schedule, plan_of(structure, schedule.plan)
            except ValueError as error:
                self.counts["unreadable"] += 1
                log.warning("%s", error)

    def _due(self, schedule: Schedule, plan: ShiftPlan, done_ns: int) -> Iterator[ShiftRun]:
        now_ns = self._now_ns() - int(schedule.after_min * 60e9)
        first_ns = max(done_ns, now_ns - BACK_DAYS * 86_400_000_000_000)
        if done_ns < first_ns:
            self.counts["passed_over"] += sum(1 for _ in plan.runs(done_ns, first_ns))
        yield from plan.runs(first_ns, now_ns)

    # --- what is remembered: until which end of a shift each schedule's reports are made ---

    def _begin(self, names: list[str]) -> dict[str, int]:
        """Until when each schedule is done; a new one begins with the shift that is not over."""
        try:
            done = msgspec.json.decode((self.kept.folder / STATE).read_bytes(), type=dict[str, int])
        except (OSError, msgspec.MsgspecError):
            done = {}
        for note in self.kept.notes():  # what is there is made, whatever is remembered
            done[note.schedule] = max(done.get(note.schedule, 0), note.end_ns)
        new = [name for name in names if name not in done]
        if new:
            done |= dict.fromkeys(new, self._now_ns())
            self._remember(done)
        return done

    def _remember(self, done: dict[str, int]) -> None:
        keep(self.kept.folder / STATE, json.dumps(done, indent=1).encode())

    # --- one report ---

    def _make(self, schedule: Schedule, plan: ShiftPlan, shift: ShiftRun) -> bool:
        """Makes a report unless it is there; False: not now, try again later."""
        id_ = report_id(schedule, shift)
        note = self.kept.note(id_)
        if note is None:
            note = Note(
                id_, schedule.name, schedule.plan, shift.name, *shift.span, self._now_ns(),
                schedule.forms, schedule.language, schedule.subtree,
                WAITS if schedule.mail else "",
            )  # fmt: skip
            failed = self._write(note, plan, shift)
            if failed:
                self._failures[id_] += 1
                log.warning("report %s: %s", id_, failed)
                if self._failures[id_] < TRIES:
                    return False
                self.counts["failed"] += 1
                note = replace(note, failed=failed)
            else:
                self.counts["made"] += 1
            self.kept.write(note)
        self.counts["removed"] += self.kept.thin(schedule)
        return True

    def _deliver(self, schedule: Schedule, plan: ShiftPlan) -> None:
        """Mails what waits for it, from before a restart too."""
        for note in self.kept.notes():
            if note.schedule == schedule.name and note.mailed == WAITS and not note.failed:
                became = self._send(schedule, note, plan)
                if became != WAITS:
                    self.kept.write(replace(note, mailed=became))

    def _write(self, note: Note, plan: ShiftPlan, shift: ShiftRun) -> str:
        """Writes the files, in a process of its own; says why not."""
        task = {
            "record": str(self._record),
            "shift": shift.name,
            "span": shift.span,
            "breaks": shift.breaks,
            "zone": plan.zone.key,
            "language": note.language,
            "subtree": note.subtree,
            "now_ns": note.made_ns,
            "files": {f: str(self.kept.folder / f"{note.id}.{f}") for f in note.forms},
        }
        command = [sys.executable, "-I", "-m", "mirrorworld.operations.report_worker"]
        try:
            done = subprocess.run(
                command, input=json.dumps(task).encode(), capture_output=True, timeout=MAKE_S,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"it took more than {MAKE_S:g} s and was ended"
        if done.returncode == 0:
            return ""
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return " ".join(last)[:300] or f"its process ended with {done.returncode}"

    def _send(self, schedule: Schedule, note: Note, plan: ShiftPlan) -> str:
        """Mails a report with its files; what became of it, WAITS: to be tried again."""
        if not schedule.mail:
            return ""
        if self._mail is None:
            self.counts["not_mailed"] += 1
            return "no mail server is set up"
        try:
            send(self._mail, self._message(schedule, note, plan, self._mail))
        except (OSError, smtplib.SMTPException) as error:
            failed = str(error)[:200] or type(error).__name__
            log.warning("report %s: mail: %s", note.id, failed)
            self._failures[note.id] += 1
            if self._failures[note.id] < MAIL_TRIES:
                return WAITS
            self.counts["not_mailed"] += 1
            return failed
        self.counts["mailed"] += 1
        return str(len(schedule.mail))

    def _message(
        self, schedule: Schedule, note: Note, plan: ShiftPlan, mail: MailServer
    ) -> EmailMessage:
        start, end = (
            datetime.datetime.fromtimestamp(ns // 10**9, plan.zone)
            for ns in (note.start_ns, note.end_ns)
        )
        title = f"{say(note.language, 'Shift report')} {schedule.plan} {note.shift}".strip()
        when = f"{start:%Y-%m-%d %H:%M} – {end:%Y-%m-%d %H:%M %Z}"
        message = EmailMessage()
        message["Subject"] = " ".join(f"{title}, {when}".split())[:200]
        message["From"], message["To"] = mail.sender, ", ".join(schedule.mail)
        message["Date"] = formatdate(note.made_ns / 1e9)
        # The same whenever it is sent: a mailbox recognises what came twice.
        message["Message-ID"] = f"<{note.id}@mirrorworld>"
        message.set_content(f"{title}\n{when}\n")
        kinds = {"html": ("text", "html"), "pdf": ("application", "pdf")}
        for form in note.forms:
            path = self.kept.file(note, form)
            if path is not None:
                main, sub = kinds[form]
                message.add_attachment(
                    path.read_bytes(), maintype=main, subtype=sub, filename=escape(path.name)
                )
        return message
