"""Webhooks in: a program posts JSON to `/api/hooks/NAME`, and what it posts is mirrored.

    webhook://NAME      with a secret as its password

Who posts shows the secret itself (`Authorization: Bearer`, or the header of option `header`) or,
with `signature=github`, a signature over the body by it (HMAC-SHA256, as GitHub and many others
send it). A call is answered when it is on disk; one with an `Idempotency-Key` is taken once,
however often it is sent. A storm is answered 429 with the time to wait.

Knows calls; refuses to know how they came. The server finds it as `ReceivesHooks`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import hmac
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from mirrorworld.connectors.json_records import BadDocument, JsonOptions, JsonRecords, RecordTwins
from mirrorworld.connectors.options import read_options
from mirrorworld.world.changes import Command, CommandState
from mirrorworld.world.hooks import HookAnswer
from mirrorworld.world.ports import (
    ConnectorAbout,
    Finding,
    Link,
    LinkState,
    OptionAbout,
    Sink,
    SourceConfig,
    SourceError,
)

SECRET_CHARS_MIN: Final = 16
KEYS_KEPT: Final = 10_000
WAITING_MAX: Final = 64
"""Calls that are being made durable at once; more are told to wait."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z", re.ASCII)
_KEY_HEADERS: Final = ("idempotency-key", "webhook-id", "x-github-delivery")


@dataclass(frozen=True, slots=True)
class WebhookOptions(JsonOptions):
    """What can be set. Text of the guide: docs/guide/http.md."""

    header: str = ""
    """Header that holds the secret, besides Authorization."""
    signature: str = ""
    rate_per_s: float = 20.0
    burst: int = 100
    max_body_kib: int = 1024
    zone: str = "UTC"
    integers: bool = False
    max_points: int = 200_000

    def __post_init__(self) -> None:
        self.check()
        for name, low, high in (
            ("rate_per_s", 0.01, 100_000),
            ("burst", 1, 1_000_000),
            ("max_body_kib", 1, 8_192),
            ("max_points", 1, 100_000_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}={value} is not from {low} to {high}")
        if self.signature not in ("", "github"):
            raise ValueError(f"signature='{self.signature}' is none of github and empty")
        if self.header and not re.fullmatch(r"[A-Za-z0-9-]{1,64}", self.header):
            raise ValueError(f"header='{self.header}' is no name of a header")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"zone='{self.zone}' is no time zone; one is named like 'Europe/Berlin'"
            ) from error


class Bucket:
    """A token bucket: `burst` calls at once, `rate_per_s` in the long run."""

    def __init__(self, rate_per_s: float, burst: int, now_s: float) -> None:
        self._rate_per_s, self._burst = rate_per_s, burst
        self._tokens, self._at_s = float(burst), now_s

    def take(self, now_s: float) -> float:
        """0 if a call may pass now, else in how many seconds one may."""
        grown = (now_s - self._at_s) * self._rate_per_s
        self._tokens = min(float(self._burst), self._tokens + max(grown, 0.0))
        self._at_s = now_s
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate_per_s


class Webhook:
    """Mirrors what is posted to one hook."""

    schemes: ClassVar[tuple[str, ...]] = ("webhook",)
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "Webhook: others post JSON here",
        "webhook://NAME",
        "The password is the secret that the caller has to show, 16 characters at least.",
        (
            OptionAbout("signature", "Signature", "choice", "", choices=("", "github")),
            OptionAbout("items", "List of things", hint="JSON pointer, like /machines"),
            OptionAbout("key", "Name of a thing", hint="member that names it, like id"),
            OptionAbout("points", "Points", hint="temp=/t/value, /state; empty: all"),
            OptionAbout("time", "Time", hint="JSON pointer, like /sampled"),
        ),
    )

    def __init__(
        self, config: SourceConfig, *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.link = Link(LinkState.CONNECTING)
        self.hook = urlsplit(config.url).netloc.rpartition("@")[2] if "://" in config.url else ""
        self._config = config
        self._clock_s = clock_s
        self._options = WebhookOptions()
        self._secret = b""
        self._records: JsonRecords | None = None
        self._sink: Sink | None = None
        self._bucket: Bucket | None = None
        self._keys: dict[str, None] = {}
        self._turn = asyncio.Lock()
        self._waiting = 0

    def __repr__(self) -> str:
        return f"Webhook({self._config.name!r}, {self.link.state.value})"

    # --- settings

    def _begin(self) -> JsonRecords:
        name = self._config.name
        self._options = options = read_options(WebhookOptions, self._config.options, name)
        parts = urlsplit(self._config.url)
        if parts.scheme not in self.schemes:
            raise SourceError(
                f"{name}: '{parts.scheme}' is not a scheme of this connector; an address reads"
                " like webhook://NAME"
            )
        if not _NAME.match(self.hook) or parts.path.strip("/"):
            raise SourceError(
                f"{name}: the address names no hook; one reads like webhook://NAME, of letters,"
                " digits, '-', '_' and '.'"
            )
        secret = self._config.password
        if len(secret) < SECRET_CHARS_MIN:
            raise SourceError(
                f"{name}: give a password of {SECRET_CHARS_MIN} characters at least: it is the"
                " secret that the caller has to show"
            )
        self._secret = secret.encode()
        self._bucket = Bucket(options.rate_per_s, options.burst, self._clock_s())
        twins = RecordTwins(name, options.max_points, "what is posted to the hook")
        return JsonRecords(
            twins,
            options,
            zone=ZoneInfo(options.zone),
            keeps_integers=options.integers,
            protocol="webhook",
        )

    # --- looking

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """Nothing can be asked of who has not posted yet: only the hook itself."""
        records = self._begin()
        (twin,) = records.twins.twins.values()
        types = {type_.id: type_ for type_ in records.twins.all_types}
        guessed = f"others post to /api/hooks/{self.hook}; its points are known then"
        return [Finding(twin, types.get(twin.type), guessed)][:limit]

    # --- mirroring

    async def run(self, sink: Sink) -> None:
        """Takes calls until cancelled."""
        records = self._begin()
        await records.twins.declare(sink)
        self._keys = await asyncio.to_thread(self._recall)
        self._records, self._sink = records, sink
        self._say(LinkState.LIVE, f"waiting for calls at /api/hooks/{self.hook}")
        try:
            await asyncio.Event().wait()
        finally:
            self._records = self._sink = None

    def _say(self, state: LinkState, detail: str) -> None:
        self.link = Link(state, detail, time.time_ns())

    async def receive(self, body: bytes, headers: Mapping[str, str]) -> HookAnswer:
        """See `ReceivesHooks`."""
        sink, bucket = self._sink, self._bucket
        if sink is None or bucket is None:
            return HookAnswer(503, "this hook is not open now", "try again", 5)
        if not self._is_allowed(body, headers):
            sink.count("webhook_refused")
            mend = "show the hook's secret as Authorization: Bearer"
            if self._options.signature:
                mend = "sign the body with the hook's secret in X-Hub-Signature-256"
            return HookAnswer(401, "that is not by this hook's secret", mend)
        if len(body) > self._options.max_body_kib << 10:
            sink.count("webhook_too_large")
            why = f"more than {self._options.max_body_kib} KiB"
            return HookAnswer(413, why, "send less at once, or raise max_body_kib")
        wait_s = bucket.take(self._clock_s())
        if wait_s > 0 or self._waiting >= WAITING_MAX:
            sink.count("webhook_rate_limited")
            return HookAnswer(429, "too many calls", "wait as Retry-After says", _whole(wait_s))
        self._waiting += 1
        try:
            async with self._turn:  # one call after the other; durability is waited for together
                given = next((headers[name] for name in _KEY_HEADERS if headers.get(name)), "")
                key = hashlib.sha256(given.encode()).hexdigest()[:32] if given else ""
                if key in self._keys:
                    sink.count("webhook_repeated")
                    return HookAnswer(200, "taken before", is_repeated=True)
                answer, ticket = await self._take(body, sink)
                if ticket is None:
                    return answer
                if key:
                    # Whoever sends it again meanwhile waits for the same.
                    await sink.durable(ticket)
                    await self._remember(key)
            await sink.durable(ticket)
            return answer
        finally:
            self._waiting -= 1

    async def _take(self, body: bytes, sink: Sink) -> tuple[HookAnswer, int | None]:
        records = self._records
        if records is None:
            return HookAnswer(503, "this hook is not open now", "try again", 5), None
        try:
            frame = await records.frame(body, sink)
        except BadDocument as error:
            sink.count("webhook_broken_json")
            return HookAnswer(422, str(error), "post JSON"), None
        if frame is None or not len(frame):
            return HookAnswer(200, "there was nothing to mirror in it"), None
        return HookAnswer(200, samples=len(frame)), await sink.push(frame)

    def _is_allowed(self, body: bytes, headers: Mapping[str, str]) -> bool:
        if self._options.signature == "github":
            good = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
            given = headers.get("x-hub-signature-256", "").removeprefix("sha256=")
            return hmac.compare_digest(given.encode(), good.encode())
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = headers.get(self._options.header.lower(), "") if self._options.header else ""
        return hmac.compare_digest(given.strip().encode(), self._secret)

    # --- keys of calls that were taken

    @property
    def _path(self) -> Path | None:
        folder = self._config.state_dir
        return None if folder is None else folder / "webhook-keys.txt"

    def _recall(self) -> dict[str, None]:
        if self._path is None:
            return {}
        try:
            lines = self._path.read_text().split()
        except OSError:
            return {}
        kept = lines[-KEYS_KEPT:]
        if len(lines) > len(kept):
            new = self._path.with_suffix(".new")
            new.write_text("\n".join(kept) + "\n")
            new.replace(self._path)
        return dict.fromkeys(kept)

    async def _remember(self, key: str) -> None:
        self._keys[key] = None
        if len(self._keys) > KEYS_KEPT:
            del self._keys[next(iter(self._keys))]
        if self._path is not None:
            await asyncio.to_thread(_append, self._path, key + "\n")

    # --- writing

    async def write(self, command: Command) -> Command:
        """A hook only takes: always refused."""
        return dataclasses.replace(
            command,
            state=CommandState.REFUSED,
            detail="a webhook only takes what others post",
            decided_ns=time.time_ns(),
        )


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)


def _whole(wait_s: float) -> int:
    return max(1, min(math.ceil(wait_s), 3_600))
