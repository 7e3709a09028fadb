"""The doors of the server: who gets in, from where, how often, and with what size of luggage.

Plain ASGI around everything, so that no route can forget it.

Against which attack what stands:

- another page in the same browser (CSRF): SameSite=Strict cookie, `Origin` and
  `Sec-Fetch-Site` of unsafe requests and of every WebSocket, and a header that a foreign form
  cannot send;
- a foreign name that resolves to this machine (DNS rebinding): list of allowed `Host`s;
- a session that was ended, used again: what a cookie holds is random and forgotten by the server;
- guessing: buckets by address and by account, and an answer that tells neither from the other;
- a path written in two ways: one that is not in its plain form is refused;
- framing, sniffing, injected scripts, leaking addresses: headers on every answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hmac
import ipaddress
import logging
import re
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from starlette.exceptions import HTTPException

from mirrorworld.protocol.rest import FILE_BYTES_MAX, Problem
from mirrorworld.server import entrance
from mirrorworld.server.words import language_of
from mirrorworld.trust.accounts import (
    SESSION_S,
    THE_OWNER,
    AccountError,
    Accounts,
    AccountsDown,
    Gone,
    Grant,
    Identity,
)
from mirrorworld.trust.limits import Limit
from mirrorworld.world.ports import Principal

log = logging.getLogger(__name__)

BODY_BYTES_MAX: Final = 8 << 20
LOGIN_BYTES_MAX: Final = 4 << 10
LINGER_BYTES: Final = 4 << 20
LINGER_S: Final = 2.0
CSRF_HEADER: Final = b"x-mirrorworld"
HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN: Final = frozenset({"/healthz", "/favicon.ico", "/welcome", "/api/authority.pem"})
"""Paths that answer without a session. They tell nothing of the world."""
OPEN_PREFIXES: Final = ("/api/hooks/", "/api/enter/")
"""Paths that bring a secret of their own, or are ways to get a session."""
LARGER: Final[dict[str, int]] = {
    "/api/blobs": FILE_BYTES_MAX,
    "/api/branches/import": FILE_BYTES_MAX,
}
"""Paths that take more than others, since they keep nothing of it in memory."""

CLOSE_NO_SESSION: Final = 4401
CLOSE_FOREIGN: Final = 4403
CLOSE_GRANTED: Final = 1012
"""What may be seen has changed: come again, and see it as it is now."""

SIGN_IN_BY_ADDRESS: Final = (20.0, 0.2)
SIGN_IN_BY_NAME: Final = (8.0, 1 / 30)
REQUESTS: Final = (2_000.0, 400.0)
HASHING_AT_ONCE: Final = 2

_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' blob:",
        "connect-src 'self' data: blob:",
        "worker-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors ",
    )
)
_NOWHERE: Final = (
    (b"content-security-policy", f"{_POLICY}'none'".encode()),
    (b"x-frame-options", b"DENY"),
)
HEADERS: Final = (
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(self), microphone=(self), xr-spatial-tracking=(self),"
        b" geolocation=(), payment=(), usb=()",
    ),
    # With no-referrer a browser would send `Origin: null` with our own forms.
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)


class Line:
    """One open WebSocket, and how to cut it."""

    def __init__(self, identity: Identity, send: Any, receive: Any) -> None:
        self.identity = identity
        self._send, self._receive = send, receive
        self._is_cut = False
        self._waiting: asyncio.Task[Any] | None = None
        """Who waits for what comes."""

    def cut(self, code: int, reason: str) -> None:
        """Nothing more is sent from now on but the farewell."""
        if not self._is_cut:
            self._is_cut = True
            if self._waiting is not None:
                self._waiting.cancel()
            self._farewell = asyncio.create_task(self._close(code, reason))

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(Exception):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def send(self, message: Any) -> None:
        """Sends, unless it is cut."""
        if not self._is_cut:
            await self._send(message)

    async def receive(self) -> Any:
        """What comes; where it is cut, that the other side has gone."""
        coming = None
        if not self._is_cut:
            # Cancelled by `cut` and by nobody else, it goes on: as asyncio.timeout does it, which
            # would cost more than to receive.
            waiting = self._waiting = asyncio.current_task()
            try:
                coming = await self._receive()
            except asyncio.CancelledError:
                if not self._is_cut or waiting is None or waiting.uncancel():
                    raise
            finally:
                self._waiting = None
        if self._is_cut:
            return {"type": "websocket.disconnect", "code": CLOSE_NO_SESSION}
        return coming


class Doors:
    """ASGI middleware; inside, `scope["state"]` has the `principal` and the `identity`.

    Args:
        token: the owner's; it opens from this machine only.
        accounts: of everybody else; None: there are none.
        hosts: names, with brackets where they are IPv6 addresses, that the server answers to.
    """

    def __init__(
        self,
        app: Any,
        token: str,
        accounts: Accounts | None = None,
        hosts: frozenset[str] = HOSTS,
    ) -> None:
        if len(token) < 16:
            raise ValueError("the owner's token has at least 16 characters")
        self.app = app
        self.accounts = accounts if accounts is not None else Accounts()
        self._token = token.encode()
        self._hosts = hosts
        self._lines: set[Line] = set()
        self._by_address = Limit(*SIGN_IN_BY_ADDRESS)
        self._by_name = Limit(*SIGN_IN_BY_NAME)
        self._requests = Limit(*REQUESTS)
        self._hashing = asyncio.Semaphore(HASHING_AT_ONCE)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.accounts.listeners.append(self._on_gone)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Lets a request in, or answers it here."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            send = _with_headers(send, self._framing(scope))
            try:
                await self._http(scope, receive, send)
            except AccountsDown as error:
                log.warning("%s", error)
                problem = Problem(str(error), "accounts", "the owner looks at it; try again later")
                with contextlib.suppress(RuntimeError):  # an answer had begun
                    await _refuse(send, 503, problem, _retry_after(10))
        else:
            await self.app(scope, receive, send)

    # --- requests ---

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        headers = _headers(scope)
        path, method = scope["path"], scope["method"]
        problem = _crooked(scope) or self._foreign(headers, is_unsafe=method not in SAFE)
        if problem:
            await _refuse(send, 400 if problem.place == "path" else 403, problem)
            return
        if path == "/api/session" and method != "GET":
            await self._session(scope, receive, send, headers)
            return
        if path == "/welcome":
            await self._welcome(scope, receive, send, headers)
            return
        if path == "/embed":
            await self._embed(scope, send, headers)
            return
        if method == "GET" and not path.startswith("/api/"):
            query = parse_qs(scope["query_string"].decode("latin-1"))
            if "token" in query:
                await self._arrive(scope, send, headers, query)
                return
        identity = self._identity(scope, headers)
        key = identity.name if identity is not None else _address(scope)
        if wait_s := self._requests.wait_s(key):
            await _refuse(send, 429, _too_often(wait_s), _retry_after(wait_s))
            return
        has_own_secret = path.startswith(OPEN_PREFIXES)
        if identity is None and path not in OPEN and not has_own_secret:
            await self._ask_for_login(scope, send, headers, path)
            return
        if identity is not None:
            state = scope.setdefault("state", {})
            state["identity"] = identity
            state["principal"] = Principal(identity.name, identity.roles)
        is_bearer = b"authorization" in headers
        is_safe = method in SAFE or is_bearer or CSRF_HEADER in headers
        if not is_safe and not path.startswith("/api/hooks/"):
            problem = Problem(
                "this request could come from a page that is not Mirrorworld's",
                "header X-Mirrorworld",
                "send the header X-Mirrorworld: 1, or Authorization: Bearer with the token",
            )
            await _refuse(send, 403, problem)
            return
        limit = LARGER.get(path, BODY_BYTES_MAX)
        length = headers.get(b"content-length", b"0")
        body = _Bounded(receive, limit)
        body.is_over = not length.isdigit() or int(length) > limit
        send = _ending(send, body)
        if body.is_over:
            await _refuse(send, 413, _too_large(limit))
            return
        await self.app(scope, body, send)

    async def _websocket(self, scope: Any, receive: Any, send: Any) -> None:
        headers = _headers(scope)
        is_bearer = b"authorization" in headers
        problem = _crooked(scope) or self._foreign(headers, is_unsafe=True)
        if problem is None and b"origin" not in headers and not is_bearer:
            problem = Problem("a WebSocket without Origin needs the token", "header Authorization")
        identity = None if problem else self._identity(scope, headers)
        if identity is not None:
            state = scope.setdefault("state", {})
            state["identity"] = identity
            state["principal"] = Principal(identity.name, identity.roles)
            line = Line(identity, send, receive)
            self._lines.add(line)
            try:
                await self.app(scope, line.receive, line.send)
            finally:
                self._lines.discard(line)
            return
        # Accepted and closed, since a browser does not tell a page why a handshake was refused.
        code = CLOSE_FOREIGN if problem else CLOSE_NO_SESSION
        await receive()
        if problem is None:
            await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": code, "reason": "log in again"})

    # --- within the page of another site ---

    def _framing(self, scope: Any) -> tuple[tuple[bytes, bytes], ...]:
        """Who may put an answer into a page of theirs: nobody, but for the embedded page, which
        has nothing on it that can be done, the sites that the owner named."""
        if scope["type"] != "http" or scope["path"] not in ("/", "/embed"):
            return _NOWHERE
        if scope["path"] == "/":
            # As the page reads it (`link.ts`): the first counts, and 0 is the page with its panels.
            query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            if query.get("embed", ["0"])[0] == "0":
                return _NOWHERE
        with contextlib.suppress(AccountsDown):
            if sites := self.accounts.embedding.sites():
                return ((b"content-security-policy", f"{_POLICY}{' '.join(sites)}".encode()),)
        return _NOWHERE

    async def _embed(self, scope: Any, send: Any, headers: dict[bytes, bytes]) -> None:
        """Where a frame in another page leads: its key becomes a cookie and leaves the address."""
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if wait_s := self._by_address.wait_s(_address(scope)):
            await _refuse(send, 429, _too_often(wait_s), _retry_after(wait_s))
            return
        name = _embed_cookie_name(headers)
        secret = _cookies(headers).get(name, "")
        key = query.get("key", [""])[-1]
        try:
            if not self.accounts.embedding.sites():
                raise AccountError("no other site may show this world; its owner can allow one")
            if not self.accounts.embedding.is_of(secret, key):
                device = headers.get(b"user-agent", b"").decode("latin-1")
                secret = self.accounts.embedding.enter(key, device=device, address=_address(scope))
        except AccountError as error:
            page = entrance.no_entry(_language(scope), str(error))
            await _answer(send, 403, page, _HTML)
            return
        self._by_address.forgive(_address(scope))
        rest = {name: values for name, values in query.items() if name != "key"}
        place = f"/?{urlencode({'embed': ['1'], **rest}, doseq=True)}"
        # Only a cookie of this kind comes along within another site, and only over TLS or on this
        # machine. It is kept apart for each site, and opens looking alone.
        cookie = (
            f"{name}={secret}; Path=/; HttpOnly; Secure; SameSite=None; Partitioned;"
            f" Max-Age={SESSION_S}"
        )
        await _answer(
            send, 303, b"", (b"location", place.encode("ascii", "ignore")),
            (b"set-cookie", cookie.encode()),
        )  # fmt: skip

    # --- who it is ---

    def _identity(self, scope: Any, headers: dict[bytes, bytes]) -> Identity | None:
        scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            if self._is_owners(scope, credential.strip()):
                return Identity(THE_OWNER, (Grant("owner"),))
            return self.accounts.by_token(credential.strip().decode("latin-1"))
        cookies = _cookies(headers)
        found = self.accounts.by_session(cookies.get(_cookie_name(scope, headers), ""))
        if found is None and (embedded := cookies.get(_embed_cookie_name(headers))):
            found = self.accounts.by_session(embedded)
        return found

    def _is_owners(self, scope: Any, token: bytes) -> bool:
        """Whether this is the owner's token, from this machine; elsewhere it opens nothing."""
        return _is_loopback(_address(scope)) and hmac.compare_digest(token, self._token)

    def _on_gone(self, gone: Gone) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cut, gone)

    def _cut(self, gone: Gone) -> None:
        """Cuts the lines of what was withdrawn."""
        for line in list(self._lines):
            who = line.identity
            if not (
                (gone.session and who.session == gone.session)
                or (gone.token and who.token == gone.token)
                or (gone.person and who.person == gone.person)
            ):
                continue
            if gone.is_over:
                line.cut(CLOSE_NO_SESSION, "this session was ended")
            else:
                line.cut(CLOSE_GRANTED, "what you may see has changed")

    def cut_now(self, gone: Gone) -> None:
        """For who is on the loop already: cuts without waiting for its next turn."""
        self._cut(gone)

    # --- entering ---

    async def _arrive(
        self, scope: Any, send: Any, headers: dict[bytes, bytes], query: dict[str, list[str]]
    ) -> None:
        """The address that `make up` opens: the token becomes a cookie and leaves the address."""
        if not self._is_owners(scope, query["token"][-1].encode()):
            await self._ask_for_login(scope, send, headers, scope["path"])
            return
        rest = {name: values for name, values in query.items() if name != "token"}
        # A path such as //host would lead the browser elsewhere.
        path = "/" + scope["path"].lstrip("/\\")
        place = path + ("?" + urlencode(rest, doseq=True) if rest else "")
        cookie = self._enter(scope, headers, THE_OWNER, "owner's token")
        await _answer(send, 303, b"", (b"location", place.encode("ascii", "ignore")), cookie)

    def _enter(self, scope: Any, headers: dict[bytes, bytes], name: str, way: str) -> Any:
        """A new session; an old one of the same browser is ended (session fixation)."""
        self._end_session_of(scope, headers)
        device = headers.get(b"user-agent", b"").decode("latin-1")
        secret = self.accounts.open_session(name, device=device, address=_address(scope), way=way)
        return session_cookie(scope, secret)

    def _end_session_of(self, scope: Any, headers: dict[bytes, bytes]) -> None:
        old = self.accounts.by_session(_cookies(headers).get(_cookie_name(scope, headers), ""))
        if old is not None and old.session:
            self.accounts.end_session(old.session, by=old.name, why="signed in anew")

    async def _session(
        self, scope: Any, receive: Any, send: Any, headers: dict[bytes, bytes]
    ) -> None:
        if scope["method"] == "DELETE":
            here = self.accounts.by_session(_cookies(headers).get(_cookie_name(scope, headers), ""))
            if here is not None:
                self.accounts.end_session(here.session, by=here.name, why="signed out")
            await _answer(send, 204, b"", session_cookie(scope, ""))
            return
        if scope["method"] != "POST":
            problem = Problem("log in with POST", "/api/session", 'send {"token": "…"}')
            await _refuse(send, 405, problem)
            return
        body = await _read(receive, LOGIN_BYTES_MAX)
        if body is None:
            await _refuse(send, 413, _too_large(LOGIN_BYTES_MAX))
            return
        is_form = headers.get(b"content-type", b"").startswith(b"application/x-www-form")
        given = _fields(body, is_form=is_form)
        address, name = _address(scope), given.get("name", "")[:64]
        wait_s = self._by_address.wait_s(address)
        if name:
            wait_s = max(wait_s, self._by_name.wait_s(name.lower()))
        if wait_s:
            await self._no_entry(
                scope, send, 429, _too_often(wait_s), is_form, _retry_after(wait_s)
            )
            return
        cookie = None
        if name:
            device = headers.get(b"user-agent", b"").decode("latin-1")
            async with self._hashing:
                secret = await asyncio.to_thread(
                    self.accounts.sign_in,
                    name,
                    given.get("password", ""),
                    device=device,
                    address=address,
                )
            if secret:
                cookie = session_cookie(scope, secret)
                self._by_name.forgive(name.lower())
        elif self._is_owners(scope, given.get("token", "").encode()):
            cookie = self._enter(scope, headers, THE_OWNER, "owner's token")
        if cookie is None:
            detail = "name and password do not fit" if name else "that is not the token"
            await self._no_entry(
                scope, send, 401, Problem(detail, "name" if name else "token", _WHERE), is_form
            )
            return
        self._by_address.forgive(address)
        if is_form:
            await _answer(send, 303, b"", (b"location", _wanted(headers)), cookie)
        else:
            await _answer(send, 204, b"", cookie)

    async def _no_entry(
        self, scope: Any, send: Any, status: int, problem: Problem, is_form: bool, *more: Any
    ) -> None:
        if is_form:
            page = entrance.sign_in(
                _language(scope), problem.detail, has_accounts=not self.accounts.is_empty
            )
            await _answer(send, status, page, _HTML, *more)
        else:
            await _refuse(send, status, problem, *more)

    async def _welcome(
        self, scope: Any, receive: Any, send: Any, headers: dict[bytes, bytes]
    ) -> None:
        """Where an invitation leads: a name and a password, and one is in."""
        complaint, status, name = "", 200, ""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        guest = query.get("guest", [""])[-1]
        secret = query.get("invitation", [""])[-1]
        if scope["method"] == "POST":
            if wait_s := self._by_address.wait_s(_address(scope)):
                await self._no_entry(
                    scope, send, 429, _too_often(wait_s), True, _retry_after(wait_s)
                )
                return
            body = await _read(receive, LOGIN_BYTES_MAX)
            given = _fields(body or b"", is_form=True)
            secret, name = given.get("invitation", ""), given.get("name", "").strip()
            guest = given.get("guest", "")
            try:
                if guest:
                    await self._guest(scope, send, headers, guest, name)
                    return
                async with self._hashing:
                    await asyncio.to_thread(
                        self.accounts.accept, secret, name, given.get("password", "")
                    )
                cookie = self._enter(scope, headers, name, "invitation")
                await _answer(send, 303, b"", (b"location", b"/"), cookie)
                return
            except AccountError as error:
                complaint, status = str(error), 422
        link = self.accounts.guests.look(guest) if guest else None
        if link is not None:
            page = entrance.guest(_language(scope), guest, link.role, complaint, name)
            await _answer(send, status, page, _HTML)
            return
        grant = self.accounts.invitation(secret)
        if grant is None:
            await _answer(send, 404, entrance.no_invitation(_language(scope)), _HTML)
            return
        page = entrance.welcome(
            _language(scope), secret, grant.role, grant.subtree, complaint, name
        )
        await _answer(send, status, page, _HTML)

    async def _guest(
        self, scope: Any, send: Any, headers: dict[bytes, bytes], secret: str, name: str
    ) -> None:
        """Lets a guest in, who has said how they are called."""
        self._end_session_of(scope, headers)
        device = headers.get(b"user-agent", b"").decode("latin-1")
        opened, place = self.accounts.guests.enter(
            secret, name, device=device, address=_address(scope)
        )
        where = f"/?{urlencode({'meet': place})}".encode()
        await _answer(send, 303, b"", (b"location", where), session_cookie(scope, opened))

    async def _ask_for_login(
        self, scope: Any, send: Any, headers: dict[bytes, bytes], path: str
    ) -> None:
        is_person = b"text/html" in headers.get(b"accept", b"") and not path.startswith("/api/")
        if is_person:
            page = entrance.sign_in(_language(scope), "", has_accounts=not self.accounts.is_empty)
            await _answer(send, 401, page, _HTML)
        else:
            await _refuse(
                send, 401, Problem("there is no session", "cookie or Authorization", _WHERE)
            )

    def _foreign(self, headers: dict[bytes, bytes], *, is_unsafe: bool) -> Problem | None:
        """Why a request is not one of this server's own page or of a program that was told of
        it."""
        host = _host(headers)
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if name not in self._hosts:
            return Problem(
                f"this server does not answer to the name '{name[:80]}'",
                "header Host",
                "use http://127.0.0.1 with the port, or start it with --name for this name",
            )
        if not is_unsafe:
            return None
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin.decode("latin-1")).netloc.lower() != host:
            return Problem("this request comes from another page", "header Origin", "")
        if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            return Problem("this request comes from another page", "header Sec-Fetch-Site", "")
        return None


_CROOKED_CODE: Final = re.compile(rb"%2f|%5c|%00|\\", re.IGNORECASE)
_CROOKED: Final = re.compile(r"(?:^|/)\.\.(?:/|\Z)|/\.(?:/|\Z)|[\x00-\x1f\x7f]")
_HTML: Final = (b"content-type", b"text/html; charset=utf-8")
_WHERE: Final = (
    "`mirrorworld up` printed the address with the token; it is also in the world's folder"
)


class _Bounded:
    """A receive that ends a body which turns out larger than it may be."""

    def __init__(self, receive: Any, limit: int) -> None:
        self.is_over = False
        """Whether more comes than is taken."""
        self._receive = receive
        self._left = self._limit = limit

    async def __call__(self) -> Any:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.is_over = True
                raise BodyTooLarge(self._limit)
        return message

    async def linger(self) -> None:
        """Lets a sender who is still sending hear the answer: a connection that is cut with bytes
        unread takes the answer with it."""
        left = LINGER_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return


def _ending(send: Any, body: _Bounded) -> Any:
    """A send that ends the connection after the answer where more comes than is taken."""

    async def sender(message: Any) -> None:
        if not body.is_over:
            await send(message)
        elif message["type"] == "http.response.start":
            await send({**message, "headers": [*message["headers"], (b"connection", b"close")]})
        elif message["type"] == "http.response.body":
            await send({**message, "more_body": True})
            if not message.get("more_body"):
                await body.linger()
                await send({"type": "http.response.body", "body": b""})

    return sender


class BodyTooLarge(HTTPException):
    """More was sent than announced or allowed. FastAPI lets no other kind out of a body."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the request is larger than {limit} bytes")
        self.problem = _too_large(limit)


def _too_large(limit: int) -> Problem:
    mend = "send it in parts"
    if limit > BODY_BYTES_MAX:
        mend = f"attach at most {limit >> 20} MiB; of what is larger, attach where it can be found"
    return Problem(f"the request is larger than {limit} bytes", "body", mend)


def _too_often(wait_s: float) -> Problem:
    return Problem("too many tries", "address", f"wait {wait_s:.0f} s and try again")


def _retry_after(wait_s: float) -> tuple[bytes, bytes]:
    return (b"retry-after", str(max(1, round(wait_s))).encode())


def _crooked(scope: Any) -> Problem | None:
    """Why a path is not in its plain form: an encoded slash, a dot segment, a control character.

    What is refused here could mean one thing to a rule and another to a route.
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path: str = scope["path"]
    if not (_CROOKED_CODE.search(raw) or _CROOKED.search(path)):
        return None
    return Problem("this path is not written plainly", "path", "no %2f, no \\, no dot segments")


def _address(scope: Any) -> str:
    """Of who asks, as the socket says it; what a header says can be said by anyone."""
    client = scope.get("client")
    return client[0] if client else ""


@functools.lru_cache(256)
def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address in ("", "testclient")


def _headers(scope: Any) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in scope["headers"]}


def _language(scope: Any) -> str:
    return language_of(_headers(scope).get(b"accept-language", b"").decode("latin-1"))


def _host(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"host", b"").decode("latin-1").lower()


def _is_secure(scope: Any) -> bool:
    return scope.get("scheme") in ("https", "wss")


def _cookie_name(scope: Any, headers: dict[bytes, bytes]) -> str:
    """Cookies are shared by all ports of a host, so the name has the port in it. `__Host-` lets
    a browser take it from this very host over TLS only."""
    port = _host(headers).rpartition("]")[2].partition(":")[2]
    name = f"mirrorworld_{port if port.isdigit() else 80}"
    return f"__Host-{name}" if _is_secure(scope) else name


def _embed_cookie_name(headers: dict[bytes, bytes]) -> str:
    port = _host(headers).rpartition("]")[2].partition(":")[2]
    return f"mirrorworld_embed_{port if port.isdigit() else 80}"


def session_cookie(scope: Any, secret: str) -> tuple[bytes, bytes]:
    """The header that gives a browser its session; with "" it takes it away."""
    age_s = SESSION_S if secret else 0
    value = (
        f"{_cookie_name(scope, _headers(scope))}={secret}; Path=/; HttpOnly; SameSite=Strict;"
        f" Max-Age={age_s}{'; Secure' if _is_secure(scope) else ''}"
    )
    return (b"set-cookie", value.encode())


def _cookies(headers: dict[bytes, bytes]) -> dict[str, str]:
    try:
        jar = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def _wanted(headers: dict[bytes, bytes]) -> bytes:
    """The address of the page that a visitor was on the way to when asked who they are, as the
    link to a board; it never leads off this server."""
    try:
        came = urlsplit(headers.get(b"referer", b"").decode("latin-1"))
    except ValueError:  # no address at all
        return b"/"
    if came.netloc.lower() != _host(headers) or came.path.startswith(("/api/", "/welcome")):
        return b"/"
    given = parse_qs(came.query, keep_blank_values=True)
    rest = {name: values for name, values in given.items() if name != "token"}
    return f"/{'?' if rest else ''}{urlencode(rest, doseq=True)}".encode()


def _fields(body: bytes, *, is_form: bool) -> dict[str, str]:
    try:
        if is_form:
            return {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        return msgspec.json.decode(body, type=dict[str, str])
    except (UnicodeDecodeError, msgspec.MsgspecError, ValueError):
        return {}


async def _read(receive: Any, limit: int) -> bytes | None:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body"):
            return body


async def _answer(send: Any, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    size = (b"content-length", str(len(body)).encode())
    start = {"type": "http.response.start", "status": status, "headers": [*headers, size]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Any, status: int, problem: Problem, *headers: tuple[bytes, bytes]) -> None:
    body = msgspec.json.encode(problem)
    await _answer(send, status, body, (b"content-type", b"application/problem+json"), *headers)


def _with_headers(send: Any, framing: tuple[tuple[bytes, bytes], ...]) -> Any:
    """A send that puts the security headers on every answer."""
    headers = (*HEADERS, *framing)

    async def sender(message: Any) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            given += [header for header in headers if header[0] not in names]
            if b"cache-control" not in names:
                given.append((b"cache-control", b"no-store"))
            message = {**message, "headers": given}
        await send(message)

    return sender
