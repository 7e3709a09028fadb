"""Reading the world as it is now: itself, twins, points, types, relations, its file."""

from __future__ import annotations

import asyncio
import itertools
from typing import Annotated

import msgspec
import numpy as np
from fastapi import APIRouter, Depends, Query, Response

from mirrorworld.live.sheets import FORMS as SHEET_FORMS
from mirrorworld.protocol import answers as build
from mirrorworld.protocol import rest
from mirrorworld.server import answers as glance
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import answers
from mirrorworld.server.sight import Sight
from mirrorworld.world.plain import to_plain

POINTS_MAX = 1_000

router = APIRouter(tags=["world"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]
Names = Annotated[list[str], Query(max_length=POINTS_MAX)]


@router.get(
    "/api/world", summary="The world at a glance", responses=answers(rest.WorldInfo, "The world")
)
async def world(here: Here, view: Seen) -> Response:
    """Id, positions, how much there is of everything, who asks, and what can be done."""
    return json_answer(glance.world_info(here.mirror, view, here.version, here.features))


@router.get(
    "/api/twins", summary="Find twins", responses=answers(rest.TwinsPage, "A page of twins")
)
async def twins(
    here: Here,
    view: Seen,
    type: Annotated[
        list[str], Query(description="Of this type or one that extends it", max_length=64)
    ] = [],  # noqa: B006
    text: Annotated[
        str,
        Query(description="Found anywhere in id, name, type's name and text properties"),
    ] = "",
    property: Annotated[
        list[str],
        Query(
            description="`path==value`; also `!=` `<` `<=` `>` `>=`",
            examples=["serial_number==F-2203"],
            max_length=16,
        ),
    ] = [],  # noqa: B006
    related: Annotated[
        str | None,
        Query(
            description="`path:twin`: twins from which the path of relations leads to the twin. "
            "Steps are separated by `/`; `^kind` goes against the relation, `kind*` any number "
            "of times",
            examples=["part_of*:line1"],
        ),
    ] = None,
    box: Annotated[str | None, Query(description="`x0,y0,z0,x1,y1,z1` in metres")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: Annotated[str | None, Query(description="Of the page before")] = None,
) -> Response:
    """All conditions must hold. Paged at constant cost: a page costs the same wherever it is."""
    query = asking.query(type, text, property, related, box)
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise Refused(422, f"'{cursor[:40]}' is not a cursor that a page gave", "cursor", "")
    page = here.mirror.world.query(query, limit, cursor)
    seen = view.twins(page.twins)
    total = page.total if view.is_whole else None
    rows = [build.twin_row(here.mirror.world, twin) for twin in seen]
    return json_answer(rest.TwinsPage(rows, page.cursor, total))


@router.get(
    "/api/twins/{id:path}",
    summary="Everything known of a twin",
    responses=answers(rest.TwinDetail, "The twin"),
)
async def twin(here: Here, view: Seen, id: str) -> Response:
    """Type, name, properties, every point with value, unit, quality, age and origin, operations
    and what is armed, relations in and out, what depends on it, commands and events."""
    known = asking.twin(here.mirror.world, view, id)
    return json_answer(_detail(here, view, known))


def _detail(here: Context, view: Sight, twin: str) -> rest.TwinDetail:
    names = (status.name for status in here.mirror.sources())
    return build.twin_detail(here.mirror.world, twin, sees=view.sees, sources=names)


@router.get(
    "/api/points",
    summary="Latest values, exactly",
    responses=answers(rest.PointsPage, "The values"),
)
async def points(
    here: Here,
    view: Seen,
    id: Annotated[Names, Query(description="`twin.point`")] = [],  # noqa: B006
    twin: Annotated[Names, Query(description="All points of a twin")] = [],  # noqa: B006
    handle: Annotated[list[int], Query(max_length=POINTS_MAX)] = [],  # noqa: B006
    limit: Annotated[int, Query(ge=1, le=POINTS_MAX)] = 100,
    cursor: Annotated[int | None, Query(ge=0, description="Of the page before")] = None,
) -> Response:
    """Of named points, of all points of twins, or (with none named) of all, paged."""
    found = here.mirror.world
    next_cursor = None
    if id or twin or handle:
        handles = asking.handles(found, view, id, twin, handle)
    else:
        start = cursor or 0
        handles = view.handles(
            np.arange(
                min(start, found.n_points), min(start + limit, found.n_points), dtype=np.uint32
            )
        )
        next_cursor = str(start + limit) if start + limit < found.n_points else None
    values = build.point_values(found, handles)
    return json_answer(rest.PointsPage(values, str(found.position), next_cursor))


@router.get("/api/types", summary="All types", responses=answers(list[rest.TwinType], "The types"))
async def types(here: Here, view: Seen) -> Response:
    """What twins of a kind have in common."""
    return json_answer([to_plain(one) for one in here.mirror.world.structure.types.values()])


@router.get(
    "/api/relations",
    summary="Relations between twins",
    responses=answers(rest.RelationsPage, "A page of relations"),
)
async def relations(
    here: Here,
    view: Seen,
    twin: Annotated[str | None, Query(description="That start or end at this twin")] = None,
    kind: Annotated[str | None, Query(description="part_of, feeds, …")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    cursor: Annotated[int, Query(ge=0, le=1 << 31, description="Of the page before")] = 0,
) -> Response:
    """In the order in which they were added."""
    structure = here.mirror.world.structure
    if twin is None:
        every = iter(structure.relations.values())
    else:
        known = asking.twin(here.mirror.world, view, twin)
        every = itertools.chain(structure.relations_from(known), structure.relations_to(known))
    matching = (r for r in every if kind is None or r.kind == kind)
    chunk = list(itertools.islice(matching, cursor, cursor + limit + 1))
    following = str(cursor + limit) if len(chunk) > limit else None
    shown = view.relations(chunk[:limit])
    return json_answer(rest.RelationsPage([to_plain(r) for r in shown], following))


@router.get(
    "/api/sheets",
    summary="What people wrote down for the world as a whole",
    responses=answers(rest.SheetsPage, "Rules, boards, plans; in the order of their making"),
)
async def sheets(
    here: Here, view: Seen, kind: Annotated[str | None, Query(description="Of this kind")] = None
) -> Response:
    """They are written by the edits PutSheet and DropSheet."""
    every = here.mirror.world.structure.sheets.values()
    return json_answer(
        rest.SheetsPage([to_plain(s) for s in every if kind is None or s.kind == kind])
    )


@router.get(
    "/api/sheet-forms",
    summary="What sheets of each kind hold",
    responses=answers(rest.SheetForms, "A JSON schema for each kind that has one"),
)
async def sheet_forms(here: Here, view: Seen) -> Response:
    """Enough for a form: fields, defaults, and hints of what a text names."""
    schemas = {kind: msgspec.json.schema(body) for kind, body in SHEET_FORMS.items()}
    return json_answer(rest.SheetForms(schemas))


@router.get(
    "/api/export",
    summary="The world's structure as a readable file",
    responses=answers(rest.WorldFile, "Types, twins, relations and arms"),
)
async def export(here: Here, view: Seen) -> Response:
    """What a person would write by hand to say the same. Values are not in it; see history."""
    structure = here.mirror.world.structure
    twins = [structure.twins[one] for one in view.twins(structure.twins)]
    relations = view.relations(structure.relations.values())
    arms = [arm for arm in structure.arms.values() if view.sees(arm.twin)]
    types, position = list(structure.types.values()), str(here.mirror.world.position)
    name = here.mirror.world.id

    def write() -> bytes:
        file = rest.WorldFile(
            name, position, to_plain(types), to_plain(twins), to_plain(relations), to_plain(arms)
        )
        return bytes(json_answer(file).body)

    body = await asyncio.to_thread(write)
    shown = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)
    disposition = {"content-disposition": f'attachment; filename="{shown or "world"}.json"'}
    return Response(body, headers=disposition, media_type="application/json")
