"""Who is told of an alarm when nobody looks: by e-mail and by webhook, with quiet hours.

What goes where is a sheet of kind `notify`:

    {"by": "email", "to": ["shift@works.example"], "min_severity": 2, "subtree": "hall",
     "quiet": {"from": "22:00", "to": "06:00", "zone": "Europe/Berlin", "but_severity": 3}}
    {"by": "webhook", "url": "https://chat.works.example/hook", "min_severity": 3}

Who was told of an alarm is told when it is over. Where more comes than a person can read, one
message a minute gathers it. Messages wait in a bounded queue of their route and are tried again,
ever more slowly; what is given up is counted. A restart may lose what was waiting: the alarm itself
is in the log, and still calls on the page.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import hmac
import json
import logging
import smtplib
import ssl
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx

from mirrorworld import addresses
from mirrorworld.rules import lifecycle
from mirrorworld.world.changes import Change, Event
from mirrorworld.world.model import Sheet
from mirrorworld.world.world import World

log = logging.getLogger(__name__)

KIND: Final = "notify"
WAITING_MAX: Final = 100
"""Messages of one route that wait while its server does not answer."""
FLOOD: Final = 10
FLOOD_NS: Final = 600 * 10**9
"""More than this of one route in ten minutes is a flood (ISA-18.2 §16.5.3)."""
DIGEST_S: Final = 60.0
DIGEST_LINES: Final = 200
TOLD_MAX: Final = 50_000
TRIES: Final = 5
FIRST_WAIT_S: Final = 2.0
SEND_S: Final = 20.0
RECIPIENTS_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class MailServer:
    """Through whom e-mail goes out."""

    host: str
    sender: str
    port: int = 587
    username: str = ""
    password: str = field(default="", repr=False)
    tls: str = "starttls"
    """starttls, tls, or none (this machine only)."""

    def __post_init__(self) -> None:
        if self.tls not in ("starttls", "tls", "none"):
            raise ValueError(f"tls: '{self.tls}'; starttls, tls or none was expected")
        if self.tls == "none" and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(f"tls: none is for a mail server on this machine, not {self.host}")


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours in which only the urgent is told, by the wall clock of a zone."""

    start: datetime.time
    end: datetime.time
    zone: ZoneInfo
    but_severity: int = 3

    def holds(self, now_ns: int) -> bool:
        """Whether it is now within them; over midnight too."""
        at = datetime.datetime.fromtimestamp(now_ns / 1e9, self.zone).time()
        if self.start <= self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


@dataclass(frozen=True, slots=True)
class Route:
    """Whom to tell of what."""

    name: str
    by: str
    to: tuple[str, ...] = ()
    url: str = ""
    min_severity: int = 2
    subtree: str = ""
    quiet: Quiet | None = None
    language: str = "en"
    when_over: bool = True
    """Tell too when an alarm that was told is over."""

    def wants(self, event: Event, now_ns: int) -> bool:
        """Whether an alarm that calls is for this route, now."""
        if event.severity < self.min_severity:
            return False
        below = event.twin == self.subtree or event.twin.startswith(f"{self.subtree}/")
        if self.subtree and not below:
            return False
        is_quiet = self.quiet is not None and self.quiet.holds(now_ns)
        return not (is_quiet and self.quiet and event.severity < self.quiet.but_severity)


def send(server: MailServer, message: EmailMessage) -> None:
    """Hands a message to a mail server. Blocks.

    Raises:
        OSError, smtplib.SMTPException: it did not take it.
    """
    # Without a context of our own smtplib takes any certificate.
    trust = ssl.create_default_context()
    host, port = server.host, server.port
    if server.tls == "tls":
        connection = smtplib.SMTP_SSL(host, port, timeout=SEND_S, context=trust)
    else:
        connection = smtplib.SMTP(host, port, timeout=SEND_S)
    with connection as open_:
        if server.tls == "starttls":
            open_.starttls(context=trust)
        if server.username:
            open_.login(server.username, server.password)
        open_.send_message(message)


def read(sheet: Sheet) -> Route:
    """The route of a sheet.

    Raises:
        ValueError: it is none; the message names the place and the mend.
    """
    place = f"notify {sheet.name}"
    try:
        plain = json.loads(sheet.body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise ValueError(f"{place}: an object was expected")
    known = {"by", "to", "url", "min_severity", "subtree", "quiet", "language", "when_over"}
    if unknown := set(plain) - known:
        raise ValueError(f"{place}: '{min(unknown)[:40]}' is not known")
    by, to, url = plain.get("by"), plain.get("to", []), plain.get("url", "")
    if by not in ("email", "webhook"):
        raise ValueError(f"{place}.by: email or webhook was expected")
    is_list = isinstance(to, list) and all(isinstance(each, str) for each in to)
    if not is_list or len(to) > RECIPIENTS_MAX or any(c in each for each in to for c in "\r\n,;<>"):
        raise ValueError(f"{place}.to: up to {RECIPIENTS_MAX} plain e-mail addresses were expected")
    if by == "email" and not all("@" in each for each in to or [""]):
        raise ValueError(f"{place}.to: an e-mail address has an @")
    if by == "webhook":
        try:
            addresses.parse(url)
        except (addresses.AddressRefused, TypeError) as error:
            raise ValueError(f"{place}.url: {error}") from error
    severity = plain.get("min_severity", 2)
    if severity not in (0, 1, 2, 3):
        raise ValueError(f"{place}.min_severity: 0 to 3 was expected")
    when_over = plain.get("when_over", True)
    if not isinstance(when_over, bool):
        raise ValueError(f"{place}.when_over: true or false was expected")
    return Route(
        sheet.name,
        by,
        tuple(to),
        url,
        severity,
        str(plain.get("subtree", "")),
        _quiet(plain.get("quiet"), f"{place}.quiet"),
        str(plain.get("language", "en"))[:20],
        when_over,
    )


_WORDS: Final = {
    "en": {
        "over": "over",
        "digest": "{n} alarms called or ended in the last minute",
        "more": "and {n} more",
        "severities": ("info", "low", "medium", "high"),
    },
    "de": {
        "over": "vorbei",
        "digest": "{n} Alarme kamen oder gingen in der letzten Minute",
        "more": "und {n} weitere",
        "severities": ("Info", "niedrig", "mittel", "hoch"),
    },
}


@dataclass(frozen=True, slots=True)
class Message:
    """What a route is told at once: one alarm, or in a flood many."""

    events: tuple[Event, ...]
    """The most urgent first."""
    left_out: int = 0
    is_digest: bool = False

    @property
    def key(self) -> str:
        """The same for the same message told twice."""
        said = " ".join(f"{e.id} {e.source_ns} {e.is_active}" for e in self.events)
        return hashlib.sha256(said.encode()).hexdigest()

    def lines(self, language: str) -> list[str]:
        """As text; the first line is the subject."""
        words = _WORDS.get(language.partition("-")[0], _WORDS["en"])
        if not self.is_digest:
            (event,) = self.events
            said = _said(event, language, words)
            return [said, "", event.twin, _at(event), event.id]
        head = words["digest"].format(n=len(self.events) + self.left_out)
        lines = [f"{_at(e)}  {_said(e, language, words)}  ({e.twin})" for e in self.events]
        if self.left_out:
            lines.append(words["more"].format(n=self.left_out))
        return [head, "", *lines]

    def plain(self, language: str) -> dict[str, Any]:
        """As JSON."""
        if not self.is_digest:
            return _plain(self.events[0], language)
        alarms = [_plain(event, language) for event in self.events]
        return {"state": "digest", "alarms": alarms, "left_out": self.left_out}


def _said(event: Event, language: str, words: Any) -> str:
    is_over = not (event.is_active or event.is_latched)
    over = f" [{words['over']}]" if is_over else ""
    severity = words["severities"][event.severity].upper()
    return " ".join(f"{severity}{over}: {event.message.best(language) or event.kind}".split())


def _at(event: Event) -> str:
    at = datetime.datetime.fromtimestamp(event.source_ns / 1e9, datetime.UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _plain(event: Event, language: str) -> dict[str, Any]:
    return {
        "state": "raised" if event.is_active or event.is_latched else "over",
        "id": event.id,
        "twin": event.twin,
        "kind": event.kind,
        "message": event.message.best(language),
        "severity": event.severity.name.lower(),
        "source_ns": event.source_ns,
    }


def _quiet(plain: Any, place: str) -> Quiet | None:
    if plain is None:
        return None
    try:
        return Quiet(
            datetime.time.fromisoformat(plain["from"]),
            datetime.time.fromisoformat(plain["to"]),
            ZoneInfo(plain["zone"]),
            int(plain.get("but_severity", 3)),
        )
    except (KeyError, TypeError, ValueError, ZoneInfoNotFoundError) as error:
        raise ValueError(
            f'{place}: {error!r}; write {{"from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}}'
        ) from error


class _Line:
    """What one route is waiting for."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Route, Message]] = deque()
        self.told_ns: deque[int] = deque(maxlen=FLOOD)
        """When the latest messages were, to notice a flood."""
        self.held: dict[str, Event] = {}
        """In a flood: the latest of each alarm that the next digest tells."""
        self.held_over = 0
        self.timer: asyncio.TimerHandle | None = None
        self.is_busy = False


class Notifier:
    """Tells people of the alarms of one world.

    Attributes:
        counts: told, tried again, given up, dropped since too many waited, digests.
    """

    def __init__(
        self,
        world: World,
        mail: MailServer | None = None,
        *,
        key: bytes = b"",
        now_ns: Callable[[], int],
        first_wait_s: float = FIRST_WAIT_S,
        digest_s: float = DIGEST_S,
    ) -> None:
        self._world, self._mail, self._key, self._now_ns = world, mail, key, now_ns
        self._first_wait_s, self._digest_s = first_wait_s, digest_s
        self._lines: dict[str, _Line] = {}
        self._routes: dict[str, tuple[Sheet, Route | None]] = {}
        self._wake = asyncio.Event()
        now = now_ns()
        # What called before a restart was told then, and is not told again.
        self._calling = {e.id for e in world.events.values() if lifecycle.calls(e, now)}
        self._told: dict[str, frozenset[str]] = {}
        """Alarm -> the routes that were told of it and not yet that it is over."""
        self.counts: Counter[str] = Counter()

    def listen(self, change: Change) -> None:
        """Hears every change; quick."""
        event = change.body
        if not isinstance(event, Event):
            return
        now_ns = self._now_ns()
        if lifecycle.calls(event, now_ns):
            if event.id in self._calling:
                return
            self._calling.add(event.id)
            wanting = [route for route in self.routes() if route.wants(event, now_ns)]
            if len(self._told) < TOLD_MAX:
                named = frozenset(r.name for r in wanting if r.when_over)
                self._told[event.id] = self._told.get(event.id, frozenset()) | named
        else:
            self._calling.discard(event.id)
            if event.is_active or event.is_latched:
                return
            told = self._told.pop(event.id, frozenset())
            wanting = [r for r in self.routes() if r.name in told and r.wants(event, now_ns)]
        for route in wanting:
            self._add(route, event, now_ns)

    def routes(self) -> list[Route]:
        """All that can be read."""
        found: list[Route] = []
        for (kind, name), sheet in self._world.structure.sheets.items():
            if kind != KIND:
                continue
            known = self._routes.get(name)
            if known is None or known[0] is not sheet:
                try:
                    known = (sheet, read(sheet))
                except ValueError as error:
                    self.counts["unreadable"] += 1
                    log.warning("%s", error)
                    known = (sheet, None)
                self._routes[name] = known
            if known[1] is not None:
                found.append(known[1])
        return found

    def _add(self, route: Route, event: Event, now_ns: int) -> None:
        line = self._lines.setdefault(route.name, _Line())
        full = len(line.told_ns) == FLOOD and now_ns - line.told_ns[0] < FLOOD_NS
        if line.timer is None and not full:
            line.told_ns.append(now_ns)
            self._put(line, route, Message((event,)))
            return
        if event.id not in line.held and len(line.held) >= DIGEST_LINES:
            line.held_over += 1
            least = min(line.held.values(), key=lambda e: e.severity)
            if least.severity < event.severity:
                del line.held[least.id]
        if event.id in line.held or len(line.held) < DIGEST_LINES:
            line.held[event.id] = event
        if line.timer is None:
            loop = asyncio.get_running_loop()
            line.timer = loop.call_later(self._digest_s, self._flush, route)

    def _flush(self, route: Route) -> None:
        """Tells at once what a flood held back."""
        line = self._lines[route.name]
        events = sorted(line.held.values(), key=lambda e: (-e.severity, e.source_ns))
        left_out, line.held, line.held_over, line.timer = line.held_over, {}, 0, None
        line.told_ns.append(self._now_ns())
        self.counts["digests"] += 1
        self._put(line, route, Message(tuple(events), left_out, is_digest=True))

    def _put(self, line: _Line, route: Route, message: Message) -> None:
        if len(line.waiting) >= WAITING_MAX:
            self.counts["dropped"] += len(message.events) + message.left_out
            return
        line.waiting.append((route, message))
        self._wake.set()

    async def run(self) -> None:
        """Sends what waits, until cancelled. One that does not answer keeps no other waiting."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._wake.wait()
                    self._wake.clear()
                    for line in self._lines.values():
                        if line.waiting and not line.is_busy:
                            line.is_busy = True
                            group.create_task(self._drain(line))
        finally:
            for line in self._lines.values():
                if line.timer is not None:
                    line.timer.cancel()

    async def _drain(self, line: _Line) -> None:
        try:
            while line.waiting:
                await self._deliver(*line.waiting.popleft())
        finally:
            line.is_busy = False

    async def _deliver(self, route: Route, message: Message) -> None:
        wait_s = self._first_wait_s
        for attempt in range(TRIES):
            try:
                if route.by == "email":
                    await asyncio.to_thread(self._send_mail, route, message)
                else:
                    await self._call(route, message)
                self.counts["told"] += 1
                return
            except (OSError, smtplib.SMTPException, httpx.HTTPError) as error:
                log.warning("notify %s: %s", route.name, error)
                if attempt + 1 < TRIES:
                    self.counts["tried_again"] += 1
                    await asyncio.sleep(wait_s)
                    wait_s *= 2
            except Exception as error:
                # Whatever one server answers, the others are still told.
                log.warning("notify %s: %s", route.name, error)
                break
        self.counts["given_up"] += 1

    def _send_mail(self, route: Route, message: Message) -> None:
        server_ = self._mail
        if server_ is None:
            raise ValueError("no mail server is set up; see docs/guide/alarms.md")
        lines = message.lines(route.language)
        mail = EmailMessage()
        mail["Subject"] = lines[0][:200]
        mail["From"] = server_.sender
        mail["To"] = ", ".join(route.to)
        mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="mirrorworld")
        mail.set_content("\n".join(lines))
        send(server_, mail)

    async def _call(self, route: Route, message: Message) -> None:
        body = json.dumps(message.plain(route.language), ensure_ascii=False).encode()
        headers = {
            "content-type": "application/json",
            # The same message told twice can be recognised.
            "idempotency-key": message.key,
        }
        if self._key:
            headers["x-signature-256"] = f"sha256={hmac.new(self._key, body, 'sha256').hexdigest()}"
        transport = addresses.Transport(allows_private=True)
        async with httpx.AsyncClient(transport=transport, timeout=SEND_S) as client:
            answer = await client.post(route.url, content=body, headers=headers)
        if 400 <= answer.status_code < 500 and answer.status_code not in (408, 429):
            raise ValueError(f"{route.url}: answered {answer.status_code}")
        answer.raise_for_status()
        if answer.is_redirect:
            raise ValueError(f"{route.url}: leads elsewhere, which is not followed")
