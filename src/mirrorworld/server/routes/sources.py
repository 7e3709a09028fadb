"""Sources: how they stand, adding, looking at and trusting them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Response

from mirrorworld.protocol import rest
from mirrorworld.protocol.answers import plain_value
from mirrorworld.server import answers as build
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.routes import answers, hooks, problem
from mirrorworld.server.sight import Sight
from mirrorworld.world.plain import to_plain
from mirrorworld.world.ports import Action, SourceConfig, SourceError

router = APIRouter(tags=["sources"])
router.include_router(hooks.router)
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]

_EXAMPLE = {"url": "opc.tcp://localhost:4840", "name": "press"}
Asked = Annotated[rest.SourceRequest, Body(examples=[_EXAMPLE])]


@router.get(
    "/api/sources",
    summary="All sources as they stand",
    responses=answers(list[rest.Source], "The sources"),
)
async def sources(here: Here, view: Seen) -> Response:
    """With what became of everything they sent: nothing is dropped uncounted."""
    return json_answer([build.source(status) for status in here.mirror.sources()])


@router.post(
    "/api/sources",
    status_code=201,
    summary="Mirror a source from now on",
    responses=answers(rest.Source, "It is being connected", 201),
)
async def add(here: Here, view: Seen, request: Asked) -> Response:
    """Read-only: nothing is written to it before an engineer arms something."""
    _administer(here, view)
    try:
        status = await here.mirror.add_source(view.who, _config(request))
    except SourceError as error:
        raise Refused(422, str(error), "url", "") from error
    return json_answer(build.source(status), 201)


@router.post(
    "/api/sources/discover",
    summary="Look at a source without mirroring it",
    responses={
        **answers(rest.Discovery, "What it would be mirrored as"),
        502: problem("The source cannot be reached or used"),
    },
)
async def discover(here: Here, view: Seen, request: Asked) -> Response:
    """Declares nothing. Says of each twin how it was guessed."""
    _administer(here, view)
    try:
        findings = await here.mirror.discover(view.who, _config(request))
    except (SourceError, OSError) as error:
        raise Refused(502, str(error), request.url, "") from error
    found = [
        rest.FoundTwin(
            to_plain(finding.twin),
            to_plain(finding.type) if finding.type else None,
            finding.guessed,
            {name: plain_value(value) for name, value in finding.sample_values},
        )
        for finding in findings
    ]
    return json_answer(rest.Discovery(request.url, found))


@router.post(
    "/api/sources/{name}/trust",
    summary="Trust a certificate that a source showed",
    responses=answers(rest.Source, "It is being tried again"),
)
async def trust(here: Here, view: Seen, name: str, request: rest.TrustRequest) -> Response:
    """Compare the fingerprint with the one on the device first."""
    _administer(here, view)
    _known(here, name)
    try:
        status = await here.mirror.trust(view.who, name, request.fingerprint)
    except SourceError as error:
        raise Refused(422, str(error), "fingerprint", "") from error
    return json_answer(build.source(status))


@router.delete(
    "/api/sources/{name}",
    status_code=204,
    summary="Mirror a source no longer",
    responses={204: {"description": "It is let go"}, **answers(rest.Source, "")},
)
async def remove(here: Here, view: Seen, name: str) -> Response:
    """Its twins and their past stay."""
    _administer(here, view)
    _known(here, name)
    await here.mirror.remove_source(view.who, name)
    return Response(status_code=204)


def _administer(here: Context, view: Sight) -> None:
    """Looking at an address makes this machine connect to it, so that is asked for too."""
    now_ns = here.mirror.now_ns()
    decision = here.mirror.guard.may(view.who, Action.ADMINISTER, "", "sources", now_ns)
    if not decision.allowed:
        raise Refused(403, decision.reason or f"{view.who.id} may not do this", "sources", "")


def _known(here: Context, name: str) -> None:
    names = [status.name for status in here.mirror.sources()]
    if name not in names:
        mend = "there is " + ", ".join(names) if names else "there is none"
        raise unknown("source", name, names, mend)


def _config(request: rest.SourceRequest) -> SourceConfig:
    if "://" not in request.url and not request.url.startswith(("/", ".")):
        mend = "write opc.tcp://host:4840, mqtt://host or the path of a recording"
        raise Refused(422, f"'{request.url[:80]}' is no address of a source", "url", mend)
    return SourceConfig(
        url=request.url,
        name=request.name,
        options=request.options,
        username=request.username,
        password=request.password,
    )
