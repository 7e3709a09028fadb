"""Ways in besides name and password: passkeys, and providers that vouch for people.

What is below `/api/enter/` answers without a session; it gives one.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from mirrorworld.protocol import accounts as shapes
from mirrorworld.server import asking, entrance
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.doors import session_cookie
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import PROBLEMS, answers
from mirrorworld.server.routes.accounts import NOTHING, Who
from mirrorworld.server.words import language_of
from mirrorworld.trust.accounts import THE_OWNER, AccountError, Grant
from mirrorworld.trust.limits import Limit
from mirrorworld.trust.oidc import Exchange, Person, ProviderError
from mirrorworld.trust.passkeys import PasskeyError

router = APIRouter(tags=["accounts"])
Here = Annotated[Context, Depends(asking.context)]

SCRIPT: Final = Path(__file__).parent.parent / "entrance.js"
BROWSER: Final = "mirrorworld_way"
"""Cookie that ties an answer of a provider to the browser that asked."""
TRIES: Final = Limit(30, 0.5)
Json = Annotated[dict[str, Any], Body(description="As the browser's own call gives it")]
_HTML: Final = "text/html; charset=utf-8"


@router.get("/api/enter/ways.js", include_in_schema=False)
async def script() -> Response:
    """What the sign-in page adds where the browser can do more than a form."""
    return Response(SCRIPT.read_bytes(), media_type="text/javascript")


@router.get(
    "/api/enter/ways",
    summary="How one can sign in here",
    responses=answers(shapes.Ways, "Besides name and password"),
)
async def ways(here: Here) -> Response:
    """Tells nothing of the world."""
    found = [shapes.Way(name, each.provider.label or name) for name, each in here.exchanges.items()]
    return json_answer(shapes.Ways(found))


# --- passkeys ---


@router.post(
    "/api/enter/passkey/options",
    summary="Begin to sign in by passkey",
    responses={200: {"description": "Options for the browser's own call"}, **PROBLEMS},
)
async def passkey_options(here: Here, request: Request) -> Response:
    """For `navigator.credentials.get`."""
    _try(request)
    return json_answer(here.passkeys.authentication(_host(request)))


@router.post(
    "/api/enter/passkey",
    status_code=204,
    summary="Sign in by passkey",
    responses={**answers(shapes.Me, ""), **NOTHING},
)
async def enter_by_passkey(here: Here, request: Request, answer: Json) -> Response:
    """The browser's answer; a session comes back as a cookie."""
    _try(request)
    accounts = here.accounts
    key = str(answer.get("id", ""))[:512]
    known = accounts.passkey(key)
    try:
        if known is None:
            raise PasskeyError("this passkey is not known here")
        uses = here.passkeys.authenticated(known, _host(request), _origin(request), answer)
        accounts.used_passkey(key, uses)
        return _entered(here, request, known["name"], "passkey", Response(status_code=204))
    except (PasskeyError, AccountError) as error:
        accounts.note(known["name"] if known else "", "sign-in refused", "passkey", _from(request))
        raise Refused(401, str(error), "passkey", "") from error


@router.get(
    "/api/passkeys",
    summary="Your passkeys",
    responses=answers(shapes.PasskeysPage, "Without their keys"),
)
async def passkeys(here: Here, who: Who) -> Response:
    """Each is on a device of yours."""
    rows = here.accounts.passkeys(who.person)
    return json_answer(shapes.PasskeysPage([shapes.Passkey(**row) for row in rows]))


@router.post(
    "/api/passkeys/options",
    summary="Begin to make a passkey",
    responses={200: {"description": "Options for the browser's own call"}, **PROBLEMS},
)
async def new_passkey_options(here: Here, who: Who, request: Request) -> Response:
    """For `navigator.credentials.create`."""
    _person(who)
    known = [row["id"] for row in here.accounts.passkeys(who.name)]
    return json_answer(here.passkeys.registration(who.name, _host(request), known))


@router.post(
    "/api/passkeys",
    status_code=201,
    summary="Keep the passkey that the browser made",
    responses=answers(shapes.PasskeysPage, "Your passkeys", 201),
)
async def add_passkey(
    here: Here,
    who: Who,
    request: Request,
    answer: Json,
    label: Annotated[str, Query(max_length=64, description="How you call the device")] = "",
) -> Response:
    """Only its public half is kept."""
    _person(who)
    try:
        made = here.passkeys.registered(who.name, _host(request), _origin(request), answer)
    except PasskeyError as error:
        raise Refused(422, str(error), "passkey", "begin again") from error
    here.accounts.add_passkey(who.name, made.id, made.public_key, made.uses, label or "passkey")
    rows = here.accounts.passkeys(who.name)
    return json_answer(shapes.PasskeysPage([shapes.Passkey(**row) for row in rows]), 201)


@router.delete(
    "/api/passkeys/{id}",
    status_code=204,
    summary="Forget a passkey of yours",
    responses={**answers(shapes.PasskeysPage, ""), **NOTHING},
)
async def remove_passkey(here: Here, who: Who, id: str) -> Response:
    """It opens nothing any more."""
    if not here.accounts.remove_passkey(who.person, id):
        raise Refused(404, "you have no such passkey", "passkey", "GET /api/passkeys lists them")
    return Response(status_code=204)


# --- providers ---


@router.get("/api/enter/oidc/{name}", include_in_schema=False)
async def to_provider(here: Here, request: Request, name: str) -> Response:
    """Sends the browser to a provider."""
    _try(request)
    browser = secrets.token_urlsafe(24)
    try:
        address, _ = await _exchange(here, name).begin(_back(request, name), browser)
    except ProviderError as error:
        raise Refused(502, str(error), name, "ask the world's owner") from error
    answer = Response(status_code=303, headers={"location": address})
    secure = "; Secure" if request.url.scheme == "https" else ""
    # Lax, since the way back begins at the provider's page.
    answer.headers["set-cookie"] = (
        f"{BROWSER}={browser}; Path=/api/enter/oidc; HttpOnly; SameSite=Lax; Max-Age=600{secure}"
    )
    return answer


@router.get("/api/enter/oidc/{name}/callback", include_in_schema=False)
async def from_provider(
    here: Here, request: Request, name: str, state: str = "", code: str = "", iss: str = ""
) -> Response:
    """Where a provider sends the browser back to."""
    _try(request)
    browser = request.cookies.get(BROWSER, "")
    try:
        exchange = _exchange(here, name)
        person = await exchange.finish(state, code, browser, iss)
        account = await asyncio.to_thread(_account_of, here, person)
    except (ProviderError, AccountError) as error:
        here.accounts.note("", "sign-in refused", f"{name}: {error}", _from(request))
        page = entrance.sign_in(_language(request), str(error), has_accounts=True)
        return Response(page, 401, media_type=_HTML)
    # A page of our own leads on: a redirect would still count as begun by the provider's page,
    # and the session's cookie is for what we began ourselves only.
    answer = Response(entrance.entered(_language(request)), media_type=_HTML)
    return _entered(here, request, account, f"provider {name}"[:32], answer)


def _account_of(here: Context, person: Person) -> str:
    """The account that a provider's person has here; made where the provider grants a role."""
    accounts = here.accounts
    known = accounts.by_identity(person.issuer, person.subject)
    if known:
        return known
    if not person.role:
        raise AccountError("you have no account here, and your groups give you none; ask its owner")
    taken = {each["name"] for each in accounts.people()} | {THE_OWNER}
    plain = re.sub(r"[^A-Za-z0-9_.@+-]+", "-", person.name).strip("-.@+_")[:56] or "person"
    name = next(
        each for each in (plain, *(f"{plain}-{n}" for n in range(2, 10_000))) if each not in taken
    )
    accounts.add_person(name, "", [Grant(person.role)], by=person.issuer[:100])
    accounts.join_identity(person.issuer, person.subject, name)
    return name


def _exchange(here: Context, name: str) -> Exchange:
    found = here.exchanges.get(name)
    if found is None:
        raise Refused(404, f"there is no provider '{name[:64]}'", "provider", "")
    return found


def _entered(here: Context, request: Request, name: str, way: str, answer: Response) -> Response:
    device = request.headers.get("user-agent", "")
    secret = here.accounts.open_session(name, device=device, address=_from(request), way=way)
    key, value = session_cookie(request.scope, secret)
    answer.headers.append(key.decode(), value.decode())
    return answer


def _person(who: Any) -> None:
    if who.token or who.name == THE_OWNER:
        raise Refused(403, "a passkey belongs to an account", "session", "sign in with one")


def _try(request: Request) -> None:
    wait_s = TRIES.wait_s(_from(request))
    if wait_s:
        raise Refused(429, "too many tries", "address", f"wait {wait_s:.0f} s and try again")


def _language(request: Request) -> str:
    return language_of(request.headers.get("accept-language", ""))


def _from(request: Request) -> str:
    return request.client.host if request.client else ""


def _host(request: Request) -> str:
    return request.url.hostname or ""


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', '')}"


def _back(request: Request, name: str) -> str:
    return f"{_origin(request)}/api/enter/oidc/{name}/callback"
