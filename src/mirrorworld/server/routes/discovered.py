"""What is around and could be mirrored: seeing it, looking closer, adding, naming, ignoring."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Response

from mirrorworld.protocol import discovery, rest
from mirrorworld.protocol.answers import plain_value
from mirrorworld.server import answers as build
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.mirrored import Around, Sighted
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.routes import answers, problem
from mirrorworld.server.sight import Sight
from mirrorworld.world.model import Pose, Text
from mirrorworld.world.plain import from_plain, to_plain
from mirrorworld.world.ports import Action, SourceConfig, SourceError

NAME_MAX = 200

router = APIRouter(tags=["sources"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]

_EXAMPLE = {"name": "Press 2", "part_of": "line1", "pose": {"x_m": 4.0, "z_m": 2.5}}
Asked = Annotated[discovery.AddRequest, Body(examples=[_EXAMPLE])]


@router.get(
    "/api/discovered",
    summary="What is around and could be mirrored",
    responses=answers(discovery.DiscoveredList, "New things first"),
)
async def discovered(
    here: Here,
    view: Seen,
    ignored: Annotated[bool, Query(description="With those that are ignored")] = False,
) -> Response:
    """Seen by listening, and by asking those who are known already; no address is ever tried."""
    administer(here, view)
    around = here.mirror.around
    if around is None:
        return json_answer(discovery.DiscoveredList("off", [], {}, {}))
    things = [_thing(around, e) for e in around.entries() if ignored or e.state != "ignored"]
    return json_answer(
        discovery.DiscoveredList(
            around.reach.value, things, dict(around.counts), dict(around.failures)
        )
    )


@router.post(
    "/api/discovered/{key}/preview",
    summary="Look closer at something that is around",
    responses={
        **answers(rest.Discovery, "What it would be mirrored as"),
        502: problem("It cannot be reached or used"),
    },
)
async def preview(here: Here, view: Seen, key: str, request: Asked) -> Response:
    """The first moment at which it is connected to. Declares nothing."""
    administer(here, view)
    around, entry = _entry(here, key)
    try:
        findings = await around.preview(view.who, key, _config(request))
    except (SourceError, OSError) as error:
        raise Refused(502, str(error), entry.url or "url", "") from error
    found = [
        rest.FoundTwin(
            to_plain(finding.twin),
            to_plain(finding.type) if finding.type else None,
            finding.guessed,
            {name: plain_value(value) for name, value in finding.sample_values},
        )
        for finding in findings
    ]
    return json_answer(rest.Discovery(entry.url or request.url, found))


@router.post(
    "/api/discovered/{key}/add",
    status_code=201,
    summary="Mirror something that is around, under a name and at a place",
    responses=answers(rest.Source, "It is being connected", 201),
)
async def add(here: Here, view: Seen, key: str, request: Asked) -> Response:
    """Read-only. Its topmost twin is named and placed as soon as it is there, which may be later,
    if it does not answer now."""
    administer(here, view)
    around, _ = _entry(here, key)
    if len(request.name) > NAME_MAX:
        raise Refused(422, f"a name of {len(request.name)} letters", "name", f"{NAME_MAX} at most")
    if request.part_of:
        asking.twin(here.mirror.world, view, request.part_of)
    pose = None if request.pose is None else from_plain(Pose, request.pose, "pose")
    name = Text.of(request.name.strip(), request.language)
    try:
        status = await around.add(view.who, key, _config(request), name, request.part_of, pose)
    except SourceError as error:
        raise Refused(422, str(error), "url", "") from error
    return json_answer(build.source(status), 201)


@router.put(
    "/api/discovered/{key}/ignored",
    summary="Do not hear of it again",
    responses=answers(discovery.DiscoveredThing, "It is ignored"),
)
async def ignore(here: Here, view: Seen, key: str) -> Response:
    """Remembered by its address, after a restart too."""
    administer(here, view)
    around, _ = _entry(here, key)
    return json_answer(_thing(around, around.ignore(key)))


@router.delete(
    "/api/discovered/{key}/ignored",
    summary="Hear of it again",
    responses=answers(discovery.DiscoveredThing, "It is no longer ignored"),
)
async def unignore(here: Here, view: Seen, key: str) -> Response:
    """Undoes that it was ignored."""
    administer(here, view)
    around, _ = _entry(here, key)
    return json_answer(_thing(around, around.ignore(key, is_ignored=False)))


@router.get(
    "/api/connectors",
    summary="The kinds of sources that can be mirrored here",
    responses=answers(list[discovery.ConnectorInfo], "By title"),
)
async def connectors(here: Here, view: Seen) -> Response:
    """With an example of an address, and the options that a form shows."""
    found = [
        discovery.ConnectorInfo(
            list(schemes),
            about.title,
            about.example,
            about.hint,
            about.takes_login,
            [
                discovery.ConnectorOption(
                    o.name, o.label, o.kind, plain_value(o.default), o.hint, list(o.choices)
                )
                for o in about.options
            ],
        )
        for schemes, about in here.mirror.connectors()
    ]
    return json_answer(sorted(found, key=lambda c: c.title.lower()))


def _thing(around: Around, entry: Sighted) -> discovery.DiscoveredThing:
    best = entry.best
    try:
        suggested = around.config(entry.key, SourceConfig("", "")).name
    except SourceError:
        suggested = ""
    return discovery.DiscoveredThing(
        entry.key,
        entry.state,
        entry.url,
        best.name,
        best.what,
        sorted({sighting.guessed for sighting in entry.sightings}),
        best.detail,
        any(sighting.needs_login for sighting in entry.sightings),
        entry.first_ns,
        entry.seen_ns,
        suggested,
        entry.added_as,
    )


def _entry(here: Context, key: str) -> tuple[Around, Sighted]:
    around = here.mirror.around
    entries = [] if around is None else around.entries()
    for entry in entries:
        if around is not None and entry.key == key:
            return around, entry
    raise unknown("discovered thing", key, (), "it may have gone; GET /api/discovered lists them")


def _config(request: discovery.AddRequest) -> SourceConfig:
    return SourceConfig(
        url=request.url,
        name=request.source,
        options=request.options,
        username=request.username,
        password=request.password,
    )


def administer(here: Context, view: Sight) -> None:
    """What is around tells of the network that this machine is in, so that is asked for too."""
    now_ns = here.mirror.now_ns()
    decision = here.mirror.guard.may(view.who, Action.ADMINISTER, "", "sources", now_ns)
    if not decision.allowed:
        raise Refused(403, decision.reason or f"{view.who.id} may not do this", "sources", "")
