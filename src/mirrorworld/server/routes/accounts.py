"""Accounts: who is here, who may come, and withdrawing that again."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from mirrorworld.protocol import accounts as shapes
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import PROBLEMS, answers
from mirrorworld.server.sight import Sight
from mirrorworld.trust.accounts import AUDIT_ROWS_MAX, ROLES, THE_OWNER, Grant, Identity
from mirrorworld.world.ports import Action

NOTHING: dict[int | str, dict[str, Any]] = {204: {"description": "Done"}}

router = APIRouter(tags=["accounts"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]


async def identity(request: Request) -> Identity:
    """Who the doors recognised."""
    return request.state.identity


Who = Annotated[Identity, Depends(identity)]


@router.get(
    "/api/session", summary="Who this session speaks for", responses=answers(shapes.Me, "You")
)
async def me(here: Here, who: Who) -> Response:
    """Signing in is `POST /api/session` with name and password, out `DELETE`."""
    shown = [shapes.Grant(grant.role, grant.subtree) for grant in who.grants]
    return json_answer(shapes.Me(who.name, shown, who.session, "owner" in who.roles))


# --- people ---


@router.get(
    "/api/people", summary="All accounts", responses=answers(shapes.People, "With their grants")
)
async def people(here: Here, view: Seen) -> Response:
    """Nothing secret is in it."""
    administer(here, view)
    return json_answer(shapes.People([_person(each) for each in here.accounts.people()]))


@router.post(
    "/api/people",
    status_code=201,
    summary="Make an account",
    responses=answers(shapes.People, "All accounts", 201),
)
async def add_person(here: Here, view: Seen, who: Who, request: shapes.PersonRequest) -> Response:
    """Better is an invitation: then nobody else ever knows the password."""
    administer(here, view)
    if not request.password:
        raise Refused(422, "an account needs a password", "password", "or send an invitation")
    grants = [Grant(grant.role, grant.subtree) for grant in request.grants]
    await asyncio.to_thread(
        here.accounts.add_person, request.name, request.password, grants, by=who.name
    )
    return json_answer(shapes.People([_person(each) for each in here.accounts.people()]), 201)


@router.patch(
    "/api/people/{name}",
    summary="Change what an account may do",
    responses=answers(shapes.People, "All accounts"),
)
async def change_person(
    here: Here, view: Seen, who: Who, name: str, request: shapes.PersonChange
) -> Response:
    """Open streams follow at once: what was withdrawn is not shown any more."""
    administer(here, view)
    accounts = here.accounts
    _known(name, [each["name"] for each in accounts.people()], "account")
    if request.grants is not None:
        grants = [Grant(grant.role, grant.subtree) for grant in request.grants]
        accounts.set_grants(name, grants, by=who.name)
    if request.password is not None:
        await asyncio.to_thread(accounts.set_password, name, request.password, by=who.name)
    if request.is_disabled is not None:
        accounts.set_disabled(name, request.is_disabled, by=who.name)
    return json_answer(shapes.People([_person(each) for each in accounts.people()]))


@router.delete(
    "/api/people/{name}",
    status_code=204,
    summary="Remove an account",
    responses={**answers(shapes.People, ""), **NOTHING},
)
async def remove_person(here: Here, view: Seen, who: Who, name: str) -> Response:
    """With its sessions and tokens, at once. What it did stays in the log and the audit trail."""
    administer(here, view)
    _known(name, [each["name"] for each in here.accounts.people()], "account")
    here.accounts.remove_person(name, by=who.name)
    return Response(status_code=204)


@router.post(
    "/api/password",
    status_code=204,
    summary="Choose a new password of your own",
    responses={**answers(shapes.Me, ""), **NOTHING},
)
async def password(here: Here, who: Who, request: shapes.PasswordRequest) -> Response:
    """All sessions of the account end, this one too."""
    if who.token or who.name == THE_OWNER:
        raise Refused(403, "a token has no password", "session", "sign in with name and password")
    accounts = here.accounts
    right = await asyncio.to_thread(
        accounts.sign_in, who.name, request.password, device="password change", address=""
    )
    if not right:
        raise Refused(403, "that is not your present password", "password", "")
    await asyncio.to_thread(accounts.set_password, who.name, request.new_password, by=who.name)
    return Response(status_code=204)


@router.post(
    "/api/invitations",
    status_code=201,
    summary="Invite a person",
    responses=answers(shapes.Invitation, "The link, shown this once", 201),
)
async def invite(
    here: Here,
    view: Seen,
    who: Who,
    request: Annotated[shapes.InvitationRequest, Body(examples=[{"grant": {"role": "operator"}}])],
) -> Response:
    """Whoever opens the link first chooses a name and a password."""
    administer(here, view)
    if not 0 < request.lasts_hours <= 24 * 30:
        raise Refused(422, "an invitation holds for up to 720 hours", "lasts_hours", "")
    grant = Grant(request.grant.role, request.grant.subtree)
    secret = here.accounts.invite(grant, by=who.name, lasts_s=request.lasts_hours * 3600)
    return json_answer(shapes.Invitation(f"/welcome?invitation={secret}"), 201)


@router.get(
    "/api/invitations",
    summary="Invitations that nobody has used yet",
    responses=answers(shapes.InvitationsPage, "Without what opens"),
)
async def invitations(here: Here, view: Seen) -> Response:
    """Their links were shown once, to who made them."""
    administer(here, view)
    found = [
        shapes.OpenInvitation(
            row["id"], *_grants([row["grant"]]), by=row["by"], expires_ns=row["expires_ns"]
        )
        for row in here.accounts.invitations()
    ]
    return json_answer(shapes.InvitationsPage(found))


@router.delete(
    "/api/invitations/{id}",
    status_code=204,
    summary="Take an invitation back",
    responses={**answers(shapes.InvitationsPage, ""), **NOTHING},
)
async def withdraw(here: Here, view: Seen, who: Who, id: str) -> Response:
    """Its link leads nowhere from then on."""
    administer(here, view)
    if not here.accounts.withdraw_invitation(id, by=who.name):
        mend = "GET /api/invitations lists them"
        raise Refused(404, "there is no such invitation", "invitation", mend)
    return Response(status_code=204)


# --- sessions and tokens ---


@router.get(
    "/api/sessions",
    summary="Open sessions: your own, or all",
    responses=answers(shapes.SessionsPage, "Latest used first"),
)
async def sessions(
    here: Here,
    view: Seen,
    who: Who,
    all: Annotated[bool, Query(description="Of everybody")] = False,
) -> Response:
    """Each can be ended, on whatever device it is."""
    if all:
        administer(here, view)
    rows = here.accounts.sessions("" if all else who.person)
    return json_answer(
        shapes.SessionsPage(
            [shapes.OpenSession(**row, is_this=row["id"] == who.session) for row in rows]
        )
    )


@router.delete(
    "/api/sessions/{id}",
    status_code=204,
    summary="End a session at once",
    responses={**answers(shapes.SessionsPage, ""), **NOTHING},
)
async def end_session(here: Here, view: Seen, who: Who, id: str) -> Response:
    """Its open streams end with it."""
    if id not in {row["id"] for row in here.accounts.sessions(who.person)}:
        administer(here, view)
    if not here.accounts.end_session(id, by=who.name, why="revoked"):
        raise Refused(404, "there is no such session", "session", "GET /api/sessions lists them")
    return Response(status_code=204)


@router.get(
    "/api/tokens",
    summary="Tokens of programs: your own, or all",
    responses=answers(shapes.TokensPage, "Without what opens"),
)
async def tokens(
    here: Here,
    view: Seen,
    who: Who,
    all: Annotated[bool, Query(description="Of everybody")] = False,
) -> Response:
    """With what they may do and until when."""
    if all:
        administer(here, view)
    rows = here.accounts.tokens("" if all else who.person)
    return json_answer(
        shapes.TokensPage(
            [shapes.Token(**{**row, "grants": _grants(row["grants"])}) for row in rows]
        )
    )


@router.post(
    "/api/tokens",
    status_code=201,
    summary="Make a token for a program",
    responses=answers(shapes.TokenMade, "The token, shown this once", 201),
)
async def make_token(
    here: Here,
    who: Who,
    request: Annotated[
        shapes.TokenRequest,
        Body(examples=[{"label": "historian", "grants": [{"role": "viewer"}], "lasts_days": 90}]),
    ],
) -> Response:
    """It can do no more than who makes it, and no more than that person can do later."""
    if who.token or who.name == THE_OWNER:
        raise Refused(403, "a token belongs to a person", "session", "sign in with an account")
    grants = [Grant(grant.role, grant.subtree) for grant in request.grants]
    own = max((ROLES.index(g.role) for g in who.grants if not g.subtree), default=-1)
    for grant in grants:
        if grant.role in ROLES and ROLES.index(grant.role) > own and not _has(who.grants, grant):
            raise Refused(403, f"you are no {grant.role} yourself", "grants", "grant less")
    token = here.accounts.make_token(
        who.name, request.label, grants, lasts_s=request.lasts_days * 86_400, by=who.name
    )
    return json_answer(shapes.TokenMade(token), 201)


@router.delete(
    "/api/tokens/{id}",
    status_code=204,
    summary="Revoke a token at once",
    responses={**answers(shapes.TokensPage, ""), **NOTHING},
)
async def revoke_token(here: Here, view: Seen, who: Who, id: str) -> Response:
    """Its open streams end with it."""
    if id not in {row["id"] for row in here.accounts.tokens(who.person)}:
        administer(here, view)
    if not here.accounts.revoke_token(id, by=who.name):
        raise Refused(404, "there is no such token", "token", "GET /api/tokens lists them")
    return Response(status_code=204)


@router.get(
    "/api/audit",
    summary="Who signed in, was granted something, or commanded",
    responses=answers(shapes.AuditPage, "Latest first"),
)
async def audit(
    here: Here,
    view: Seen,
    before: Annotated[int, Query(ge=0, le=2**53, description="Only lines before this one")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
    text: Annotated[str, Query(max_length=200, description="Only lines with this in them")] = "",
    who: Annotated[str, Query(max_length=140, description="Only of this account")] = "",
) -> Response:
    """Each line is chained to the one before it, so that a missing one shows. Whether the chain is
    whole is looked at for the first page only: it takes time that grows with the trail."""
    administer(here, view)
    accounts = here.accounts
    rows = await asyncio.to_thread(accounts.audit, before=before, limit=limit, text=text, who=who)
    broken = await asyncio.to_thread(accounts.check_audit) if not before else None
    lines = [
        shapes.AuditLine(**{key: value for key, value in row.items() if key != "chain"})
        for row in rows
    ]
    more = lines[-1].number if len(lines) == limit else 0
    return json_answer(shapes.AuditPage(lines, broken is None, more))


@router.get(
    "/api/audit.csv",
    summary="The audit trail as a table",
    response_class=Response,
    responses={200: {"description": "CSV, latest first", "content": {"text/csv": {}}}, **PROBLEMS},
)
async def audit_table(
    here: Here,
    view: Seen,
    text: Annotated[str, Query(max_length=200, description="Only lines with this in them")] = "",
    who: Annotated[str, Query(max_length=140, description="Only of this account")] = "",
) -> Response:
    """With the chain, so that it can be followed elsewhere; all lines, sent as they are read."""
    administer(here, view)
    accounts = here.accounts

    async def rows() -> AsyncIterator[str]:
        yield _row("number", "time", "who", "what", "detail", "address", "chain")
        before = 0
        while True:
            page = await asyncio.to_thread(
                accounts.audit, before=before, limit=AUDIT_ROWS_MAX, text=text, who=who
            )
            for each in page:
                at = datetime.datetime.fromtimestamp(each["at_ns"] / 1e9, datetime.UTC)
                said = (each[name] for name in ("who", "what", "detail", "address", "chain"))
                yield _row(str(each["number"]), at.isoformat(timespec="milliseconds"), *said)
            if len(page) < AUDIT_ROWS_MAX:
                return
            before = page[-1]["number"]

    return StreamingResponse(
        rows(),
        media_type="text/csv",
        headers={"content-disposition": 'attachment; filename="audit.csv"'},
    )


def _row(*cells: str) -> str:
    """A line of CSV; a cell that a spreadsheet would take for a formula is kept text."""
    safe = (f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell for cell in cells)
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in safe) + "\r\n"


def administer(here: Context, view: Sight) -> None:
    """Raises Refused where somebody may not say who may do what here."""
    now_ns = here.mirror.now_ns()
    decision = here.mirror.guard.may(view.who, Action.ADMINISTER, "", "accounts", now_ns)
    if not decision.allowed:
        raise Refused(403, decision.reason or f"{view.who.id} may not do this", "accounts", "")


def _known(name: str, names: Sequence[str], what: str) -> None:
    if name not in names:
        raise Refused(404, f"there is no {what} '{name[:64]}'", what, "GET /api/people lists them")


def _has(grants: Sequence[Grant], wanted: Grant) -> bool:
    return any(
        own.subtree
        and ROLES.index(wanted.role) <= ROLES.index(own.role)
        and (wanted.subtree == own.subtree or wanted.subtree.startswith(f"{own.subtree}/"))
        for own in grants
    )


def _grants(grants: Sequence[Grant]) -> list[shapes.Grant]:
    return [shapes.Grant(grant.role, grant.subtree) for grant in grants]


def _person(row: dict[str, Any]) -> shapes.Person:
    return shapes.Person(**{**row, "grants": _grants(row["grants"])})
