"""HTTP: a program that answers with JSON is asked again and again, and its answers mirrored.

    http://host/status?unit=1      asked every `period_s`, with ETag and If-Modified-Since

Calls nothing but the address given: a redirect is followed only within its origin, and the
policy of `addresses.py` holds. Which part of an answer is what is said in `json_records.py`.
Writes with PUT or POST where the option `write_path` says so.
"""

from __future__ import annotations

import asyncio
import dataclasses
import email.utils
import random
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import quote, urljoin, urlsplit
from zoneinfo import ZoneInfo

import httpx
import msgspec

from mirrorworld import addresses
from mirrorworld.connectors.json_records import BadDocument, JsonOptions, JsonRecords, RecordTwins
from mirrorworld.connectors.looking import LookingSink, findings
from mirrorworld.connectors.options import read_options
from mirrorworld.world.changes import Command, CommandState, Event, Severity
from mirrorworld.world.model import Text
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

REDIRECTS_MAX: Final = 3
RETRY_S_MAX: Final = 300.0
RETRY_AFTER_S_MAX: Final = 3_600.0
_AUTHS: Final = ("auto", "basic", "bearer", "none")
_LIKE: Final = "one reads like http://host:8080/path"


@dataclass(frozen=True, slots=True)
class HttpOptions(JsonOptions):
    """What can be set. Text of the guide: docs/guide/http.md."""

    period_s: float = 5.0
    timeout_s: float = 10.0
    auth: str = "auto"
    zone: str = "UTC"
    integers: bool = False
    max_points: int = 200_000
    max_body_mib: int = 16
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    tls_verify: bool = True
    write_path: str = ""
    write_method: str = "PUT"
    write_payload: str = "value"

    def __post_init__(self) -> None:
        self.check()
        for name, low, high in (
            ("period_s", 0.02, 86_400),
            ("timeout_s", 0.1, 600),
            ("max_points", 1, 100_000_000),
            ("max_body_mib", 1, 1_024),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}={value} is not from {low} to {high}")
        for name, allowed in (
            ("auth", _AUTHS),
            ("write_method", ("PUT", "POST", "PATCH")),
            ("write_payload", ("value", "object")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}='{getattr(self, name)}' is none of {', '.join(allowed)}")
        try:
            self.write_path.format(point="a", twin="b", key="c")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"write_path='{self.write_path}' is no template of {{point}}, {{twin}} and {{key}}:"
                f" {error}"
            ) from error
        if self.write_path and (self.write_path[:1] != "/" or self.write_path[:2] == "//"):
            raise ValueError(f"write_path='{self.write_path}' does not begin with one '/'")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"zone='{self.zone}' is no time zone; one is named like 'Europe/Berlin'"
            ) from error


class FetchError(Exception):
    """An answer that is none. `retry_s` is how long the program asked not to be asked."""

    def __init__(self, why: str, *, retry_s: float = 0.0, is_refused: bool = False) -> None:
        super().__init__(why)
        self.retry_s = retry_s
        self.is_refused = is_refused


class HttpJson:
    """Mirrors what a program answers."""

    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "HTTP with JSON",
        "http://host/status",
        "A password without a user is sent as a bearer token.",
        (
            OptionAbout("period_s", "Ask every (s)", "number", 5.0),
            OptionAbout("items", "List of things", hint="JSON pointer, like /machines"),
            OptionAbout("key", "Name of a thing", hint="member that names it, like id"),
            OptionAbout("points", "Points", hint="temp=/t/value, /state; empty: all"),
            OptionAbout("time", "Time", hint="JSON pointer, like /sampled"),
        ),
    )

    def __init__(self, config: SourceConfig) -> None:
        self.link = Link(LinkState.CONNECTING)
        self._config = config
        self._twins: RecordTwins | None = None
        self._client: httpx.AsyncClient | None = None
        self._options = HttpOptions()
        self._etag = ""
        self._modified = ""

    def __repr__(self) -> str:
        return f"HttpJson({self._config.name!r}, {self.link.state.value})"

    # --- settings

    def _begin(self) -> tuple[httpx.AsyncClient, JsonRecords]:
        name = self._config.name
        options = read_options(HttpOptions, self._config.options, name)
        try:
            addresses.parse(self._config.url)
        except addresses.AddressRefused as error:
            raise SourceError(f"{name}: {error}") from error
        parts = urlsplit(self._config.url)
        username = self._config.username or parts.username or ""
        password = self._config.password or parts.password or ""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        auth: httpx.BasicAuth | None = None
        if options.auth == "bearer" or (options.auth == "auto" and password and not username):
            headers["Authorization"] = f"Bearer {password}"
        elif options.auth != "none" and (username or password):
            auth = httpx.BasicAuth(username, password)
        if any(c in headers.get("Authorization", "") for c in "\r\n\0"):
            raise SourceError(f"{name}: the token has a line end in it; copy it again")
        client = httpx.AsyncClient(
            transport=addresses.Transport(allows_private=True, verify=self._tls(options)),
            timeout=httpx.Timeout(options.timeout_s),
            headers=headers,
            auth=auth,
        )
        self._options, self._client = options, client
        self._twins = RecordTwins(name, options.max_points, "what the program answers")
        records = JsonRecords(
            self._twins,
            options,
            zone=ZoneInfo(options.zone),
            keeps_integers=options.integers,
            protocol="http",
        )
        return client, records

    def _tls(self, options: HttpOptions) -> ssl.SSLContext | bool:
        if urlsplit(self._config.url).scheme != "https":
            return True
        try:
            context = ssl.create_default_context(cafile=options.tls_ca or None)
            if options.tls_certificate:
                context.load_cert_chain(options.tls_certificate, options.tls_key or None)
        except (OSError, ssl.SSLError) as error:
            raise SourceError(
                f"{self._config.name}: options tls_ca, tls_certificate and tls_key must name PEM"
                f" files: {error}"
            ) from error
        if not options.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def _url(self) -> str:
        """The address without user and password."""
        parts = urlsplit(self._config.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()

    # --- asking

    async def _fetch(self, client: httpx.AsyncClient) -> bytes | None:
        """The document; None if it is the one of before.

        Raises:
            FetchError: there is none; the message says why.
        """
        url = self._url
        origin = addresses.parse(url)
        headers: dict[str, str] = {}
        if self._etag:
            headers["If-None-Match"] = self._etag
        elif self._modified:
            headers["If-Modified-Since"] = self._modified
        shown = addresses.shown(url)
        try:
            async with asyncio.timeout(self._options.timeout_s):
                for _ in range(REDIRECTS_MAX + 1):
                    async with client.stream("GET", url, headers=headers) as response:
                        if not response.has_redirect_location:
                            return await self._read(response)
                        url = self._redirected(url, origin, response)
        except TimeoutError:
            raise FetchError(f"{shown} did not answer in {self._options.timeout_s:g} s") from None
        except addresses.AddressRefused as error:
            raise FetchError(str(error), is_refused=True) from error
        except httpx.HTTPError as error:
            what = str(error) or type(error).__name__
            raise FetchError(f"{shown}: {what}") from error
        raise FetchError(f"{shown} leads in a circle", is_refused=True)

    def _redirected(self, url: str, origin: tuple[str, str, int], response: httpx.Response) -> str:
        there = urljoin(url, response.headers.get("location", ""))
        place = addresses.shown(there)
        if addresses.parse(there) != origin:
            raise FetchError(
                f"{addresses.shown(url)} leads to {place}, which is not followed; give that"
                " address if it is the right one",
                is_refused=True,
            )
        return there

    async def _read(self, response: httpx.Response) -> bytes | None:
        status, headers = response.status_code, response.headers
        shown = addresses.shown(self._url)
        if status == 304:
            return None
        if status in (401, 403):
            raise FetchError(f"{shown} answers {status}: user, password or token", is_refused=True)
        if status >= 300:
            retry_s = retry_after_s(headers.get("retry-after", ""), time.time())
            raise FetchError(f"{shown} answers {status} {response.reason_phrase}", retry_s=retry_s)
        if headers.get("content-encoding", "identity") != "identity":
            raise FetchError(f"{shown} answers compressed, which was not asked for")
        data = bytearray()
        async for piece in response.aiter_raw():
            data += piece
            if len(data) > self._options.max_body_mib << 20:
                raise FetchError(
                    f"{shown} answers more than {self._options.max_body_mib} MiB; raise"
                    " max_body_mib or ask for less",
                    is_refused=True,
                )
        self._etag = headers.get("etag", "")[:500]
        self._modified = headers.get("last-modified", "")[:100]
        return bytes(data)

    # --- looking

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """Asks once."""
        client, records = self._begin()
        sink = LookingSink()
        try:
            document = await self._fetch(client)
            frame = await records.frame(document if document is not None else b"{}", sink)
        except (FetchError, BadDocument) as error:
            raise SourceError(f"{self._config.name}: {error}") from error
        finally:
            await client.aclose()
            self._client = None
            self._etag = self._modified = ""
        return findings(records.twins, limit, sink, [frame] if frame is not None else [])

    # --- mirroring

    async def run(self, sink: Sink) -> None:
        """Asks until cancelled."""
        client, records = self._begin()
        await records.twins.declare(sink)
        loop = asyncio.get_running_loop()
        due, failures = loop.time(), 0
        try:
            while True:
                try:
                    document = await self._fetch(client)
                    if document is not None:
                        frame = await records.frame(document, sink)
                        if frame is not None and len(frame):
                            await sink.push(frame)
                    await self._stand(sink, LinkState.LIVE, f"asking {addresses.shown(self._url)}")
                    failures, retry_s = 0, 0.0
                except (FetchError, BadDocument) as error:
                    failures += 1
                    is_refused = isinstance(error, FetchError) and error.is_refused
                    retry_s = error.retry_s if isinstance(error, FetchError) else 0.0
                    sink.count("http_failed")
                    self._etag = self._modified = ""
                    state = LinkState.REFUSED if is_refused else LinkState.LOST
                    await self._stand(sink, state, str(error))
                due = max(due + self._options.period_s, loop.time())
                if failures:
                    wait_s = self._options.period_s * 2 ** min(failures - 1, 10)
                    wait_s = min(wait_s, max(RETRY_S_MAX, self._options.period_s))
                    due = loop.time() + max(wait_s * (0.5 + random.random() / 2), retry_s)
                await asyncio.sleep(due - loop.time())
        finally:
            self._client = None
            await client.aclose()

    async def _stand(self, sink: Sink, state: LinkState, detail: str) -> None:
        """Says how the source stands; losing and finding it is an event."""
        before = self.link
        if before.state is state and before.detail == detail:
            return
        self.link = Link(state, detail, time.time_ns())
        is_lost = state is not LinkState.LIVE
        if before.state is LinkState.CONNECTING and is_lost:
            return
        if is_lost == (before.state in (LinkState.LOST, LinkState.REFUSED)):
            return
        await sink.event(
            Event(
                f"{self._config.name}/link",
                self._config.name,
                "source_lost" if is_lost else "source_live",
                Text((("en", detail),)),
                Severity.MEDIUM if is_lost else Severity.INFO,
                is_active=is_lost,
                source_ns=sink.now_ns(),
            )
        )

    # --- writing

    async def write(self, command: Command) -> Command:
        """Sends a desired value once, to the path of option `write_path` at the same origin."""
        client, twins, options = self._client, self._twins, self._options
        if client is None or twins is None:
            why = f"not asking: {self.link.detail or self.link.state.value}"
            return _decided(command, CommandState.REFUSED, why)
        twin = twins.twins.get(command.twin)
        if command.operation:
            return _decided(command, CommandState.REFUSED, "HTTP sources have no operations")
        if twin is None or twins.point(command.twin, command.point) is None:
            why = f"{command.twin}.{command.point} is in no answer of this program"
            return _decided(command, CommandState.REFUSED, why)
        if not options.write_path:
            why = (
                "nothing says where to write; set the option write_path, for example '/set/{point}'"
            )
            return _decided(command, CommandState.REFUSED, why)
        key = twin.property("key")
        path = options.write_path.format(
            point=quote(command.point, safe=""),
            twin=quote(command.twin, safe=""),
            key=quote(str(key.value) if key else "", safe=""),
        )
        value: Any = command.value
        body = {command.point: value} if options.write_payload == "object" else value
        url = urljoin(self._url, path)
        if addresses.parse(url) != addresses.parse(self._url):
            return _decided(command, CommandState.REFUSED, f"{path} leads to another program")
        try:
            async with (
                asyncio.timeout(options.timeout_s),
                client.stream(
                    options.write_method,
                    url,
                    content=msgspec.json.encode(body),
                    headers={"Content-Type": "application/json", "Idempotency-Key": command.id},
                ) as answer,
            ):
                status = answer.status_code
        except (TimeoutError, httpx.HTTPError, addresses.AddressRefused) as error:
            why = str(error) or "no answer in time"
            return _decided(command, CommandState.FAILED, f"{options.write_method} {path}: {why}")
        if not 200 <= status < 300:
            why = f"{options.write_method} {path} answers {status}"
            return _decided(command, CommandState.FAILED, why)
        return _decided(command, CommandState.SENT, f"{options.write_method} {path}")


def _decided(command: Command, state: CommandState, detail: str) -> Command:
    return dataclasses.replace(command, state=state, detail=detail, decided_ns=time.time_ns())


def retry_after_s(text: str, now_s: float) -> float:
    """Seconds of a Retry-After header (RFC 9110 §10.2.3), at most an hour; 0 if there is none."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), RETRY_AFTER_S_MAX)
    try:
        then_s = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return 0.0
    return min(max(then_s - now_s, 0.0), RETRY_AFTER_S_MAX)
