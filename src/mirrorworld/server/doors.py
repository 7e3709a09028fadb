"""The doors of the server: who gets in, from where, and with what size of luggage.

Plain ASGI around everything, so that no route can forget it. Knows one owner with one token
(accounts come later) and refuses everything that is not from this machine.

Against which attack what stands:

- another page in the same browser (CSRF): SameSite=Strict cookie, `Origin` and
  `Sec-Fetch-Site` of unsafe requests and of every WebSocket, and a header that a foreign form
  cannot send;
- a foreign name that resolves to this machine (DNS rebinding): list of allowed `Host`s;
- framing, sniffing, injected scripts, leaking addresses: headers on every answer.
"""

from __future__ import annotations

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from starlette.exceptions import HTTPException

from mirrorworld.protocol.rest import Problem
from mirrorworld.world.ports import Principal

OWNER: Final = Principal("owner", frozenset({"owner"}))
"""The one who holds the token."""

BODY_BYTES_MAX: Final = 8 << 20
LOGIN_BYTES_MAX: Final = 4 << 10
CSRF_HEADER: Final = b"x-mirrorworld"
HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN: Final = frozenset({"/healthz", "/api/session", "/favicon.ico"})
"""Paths that answer without a session. They tell nothing of the world."""

CLOSE_NO_SESSION: Final = 4401
CLOSE_FOREIGN: Final = 4403

_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' blob:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), payment=(), usb=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


class Doors:
    """ASGI middleware; inside, `scope["state"]["principal"]` says who asks."""

    def __init__(self, app: Any, token: str) -> None:
        if len(token) < 16:
            raise ValueError("the owner's token has at least 16 characters")
        self.app = app
        self._token = token.encode()
        self._session = hmac.new(self._token, b"mirrorworld session", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Lets a request in, or answers it here."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, _with_headers(send))
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        headers = _headers(scope)
        path, method = scope["path"], scope["method"]
        if problem := _foreign(headers, is_unsafe=method not in SAFE):
            await _refuse(send, 403, problem)
            return
        if path == "/api/session":
            await self._login(scope, receive, send, headers)
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if method == "GET" and "token" in query and not path.startswith("/api/"):
            await self._arrive(scope, send, headers, query)
            return
        if not self._is_owner(headers):
            if path not in OPEN:
                await _ask_for_login(send, headers, path)
                return
        else:
            scope.setdefault("state", {})["principal"] = OWNER
        is_bearer = b"authorization" in headers
        if method not in SAFE and not is_bearer and CSRF_HEADER not in headers:
            problem = Problem(
                "this request could come from a page that is not Mirrorworld's",
                "header X-Mirrorworld",
                "send the header X-Mirrorworld: 1, or Authorization: Bearer with the token",
            )
            await _refuse(send, 403, problem)
            return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            await _refuse(send, 413, _too_large(BODY_BYTES_MAX))
            return
        await self.app(scope, _Bounded(receive, BODY_BYTES_MAX), send)

    async def _websocket(self, scope: Any, receive: Any, send: Any) -> None:
        headers = _headers(scope)
        is_bearer = b"authorization" in headers
        problem = _foreign(headers, is_unsafe=True)
        if problem is None and b"origin" not in headers and not is_bearer:
            problem = Problem("a WebSocket without Origin needs the token", "header Authorization")
        code = CLOSE_FOREIGN if problem else CLOSE_NO_SESSION
        if problem is None and self._is_owner(headers):
            scope.setdefault("state", {})["principal"] = OWNER
            await self.app(scope, receive, send)
            return
        # Accepted and closed, since a browser does not tell a page why a handshake was refused.
        await receive()
        if problem is None:
            await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": code, "reason": "log in again"})

    def _is_owner(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            return hmac.compare_digest(credential.strip(), self._token)
        found = _cookies(headers).get(_cookie_name(headers), "")
        return hmac.compare_digest(found.encode(), self._session.encode())

    def _cookie(self, headers: dict[bytes, bytes]) -> tuple[bytes, bytes]:
        name = _cookie_name(headers)
        value = f"{name}={self._session}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000"
        return (b"set-cookie", value.encode())

    async def _arrive(
        self, scope: Any, send: Any, headers: dict[bytes, bytes], query: dict[str, list[str]]
    ) -> None:
        """The address that `make up` opens: the token becomes a cookie and leaves the address."""
        if not hmac.compare_digest(query["token"][-1].encode(), self._token):
            await _ask_for_login(send, headers, scope["path"])
            return
        rest = {name: values for name, values in query.items() if name != "token"}
        # A path such as //host would lead the browser elsewhere.
        path = "/" + scope["path"].lstrip("/\\")
        place = path + ("?" + urlencode(rest, doseq=True) if rest else "")
        await _answer(
            send,
            303,
            b"",
            (b"location", place.encode("ascii", "ignore")),
            self._cookie(headers),
        )

    async def _login(
        self, scope: Any, receive: Any, send: Any, headers: dict[bytes, bytes]
    ) -> None:
        if scope["method"] == "DELETE":
            name = _cookie_name(headers).encode()
            gone = (b"set-cookie", name + b"=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
            await _answer(send, 204, b"", gone)
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
        given = _token_in(body, is_form=is_form)
        if not hmac.compare_digest(given.encode(), self._token):
            if is_form:
                await _answer(send, 401, _login_page("That is not the token."), _HTML)
            else:
                problem = Problem("that is not the token", "token", _WHERE)
                await _refuse(send, 401, problem)
            return
        if is_form:
            await _answer(send, 303, b"", (b"location", b"/"), self._cookie(headers))
        else:
            await _answer(send, 204, b"", self._cookie(headers))


_HTML: Final = (b"content-type", b"text/html; charset=utf-8")
_WHERE: Final = (
    "`mirrorworld up` printed the address with the token; it is also in the world's folder"
)


class _Bounded:
    """A receive that ends a body which turns out larger than it may be."""

    def __init__(self, receive: Any, limit: int) -> None:
        self._receive = receive
        self._left = limit

    async def __call__(self) -> Any:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise BodyTooLarge(BODY_BYTES_MAX)
        return message


class BodyTooLarge(HTTPException):
    """More was sent than announced or allowed. FastAPI lets no other kind out of a body."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the request is larger than {limit} bytes")
        self.problem = _too_large(limit)


def _too_large(limit: int) -> Problem:
    return Problem(f"the request is larger than {limit} bytes", "body", "send it in parts")


def _headers(scope: Any) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in scope["headers"]}


def _host(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"host", b"").decode("latin-1").lower()


def _cookie_name(headers: dict[bytes, bytes]) -> str:
    """Cookies are shared by all ports of a host, so the name has the port in it."""
    port = _host(headers).rpartition("]")[2].partition(":")[2]
    return f"mirrorworld_{port if port.isdigit() else 80}"


def _cookies(headers: dict[bytes, bytes]) -> dict[str, str]:
    try:
        jar = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def _foreign(headers: dict[bytes, bytes], *, is_unsafe: bool) -> Problem | None:
    """Why a request is not one of this server's own page or of a program that was told of it."""
    host = _host(headers)
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name not in HOSTS:
        return Problem(
            f"this server does not answer to the name '{name[:80]}'",
            "header Host",
            "use http://127.0.0.1 with the port; other machines are not served yet",
        )
    if not is_unsafe:
        return None
    origin = headers.get(b"origin")
    if origin is not None and urlsplit(origin.decode("latin-1")).netloc.lower() != host:
        return Problem("this request comes from another page", "header Origin", "")
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        return Problem("this request comes from another page", "header Sec-Fetch-Site", "")
    return None


def _token_in(body: bytes, *, is_form: bool) -> str:
    try:
        if is_form:
            return parse_qs(body.decode()).get("token", [""])[-1]
        return msgspec.json.decode(body, type=dict[str, str]).get("token", "")
    except (UnicodeDecodeError, msgspec.MsgspecError, ValueError):
        return ""


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


async def _refuse(send: Any, status: int, problem: Problem) -> None:
    body = msgspec.json.encode(problem)
    await _answer(send, status, body, (b"content-type", b"application/problem+json"))


async def _ask_for_login(send: Any, headers: dict[bytes, bytes], path: str) -> None:
    is_person = b"text/html" in headers.get(b"accept", b"") and not path.startswith("/api/")
    if is_person:
        await _answer(send, 401, _login_page(""), _HTML)
    else:
        await _refuse(send, 401, Problem("there is no session", "cookie or Authorization", _WHERE))


def _with_headers(send: Any) -> Any:
    """A send that puts the security headers on every answer."""

    async def sender(message: Any) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            given += [header for header in HEADERS if header[0] not in names]
            if b"cache-control" not in names:
                given.append((b"cache-control", b"no-store"))
            message = {**message, "headers": given}
        await send(message)

    return sender


def _login_page(complaint: str) -> bytes:
    """A page without script: what to do when the token is missing."""
    said = f'<p role="alert"><strong>{complaint}</strong></p>' if complaint else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Mirrorworld: token needed</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto;
  padding: 0 1rem; }}
input, button {{ font: inherit; padding: .5rem .75rem; border-radius: .4rem;
  border: 1px solid GrayText; }}
input {{ width: 100%; box-sizing: border-box; margin-bottom: .75rem; }}
</style></head><body>
<h1>This world is its owner's</h1>
<p>Open the address that <code>mirrorworld up</code> printed when it started (it ends in
<code>?token=…</code>), or paste the token here. It is also in the file <code>token</code> in the
world's folder.</p>
{said}
<form method="post" action="/api/session">
<label>Token <input name="token" type="password" autocomplete="off" autofocus required></label>
<button>Enter</button>
</form></body></html>
""".encode()
