"""The routes of world files: the world as one, what one would change, and making it so.

A file that comes over a network brings no source and no secret from this machine's environment: an
owner adds sources, and a person arms.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Response

from mirrorworld.exchange import photos
from mirrorworld.exchange.planning import Plan, plan
from mirrorworld.live.sources import Source
from mirrorworld.live.wording import words
from mirrorworld.protocol import exchange as shapes
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import PROBLEMS, answers
from mirrorworld.server.sight import Sight
from mirrorworld.standards import world_yaml
from mirrorworld.world.changes import Writing
from mirrorworld.world.ports import Action

ROWS_MAX: Final = 200
NAME: Final = "world.yaml"

router = APIRouter(tags=["world"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]
_EXAMPLE = {"text": "mirrorworld: 1\ntwins:\n  hall:\n    name: Hall\n"}
Asked = Annotated[shapes.ImportRequest, Body(examples=[_EXAMPLE])]


@router.get(
    "/api/export/world.yaml",
    summary="What people authored, and the structure, as one readable file",
    responses={
        **PROBLEMS,
        200: {
            "description": "The file",
            "content": {"application/yaml": {}},
        },
    },
)
async def export(here: Here, view: Seen) -> Response:
    """It reads back by `/api/import`. Values are not in it, and no secrets."""
    mirror = here.mirror
    structure, name = mirror.world.structure.fork(), mirror.world.id
    writings = dict(mirror.world.writings)
    twins = frozenset(view.twins(structure.twins))
    is_whole = view.is_whole
    decision = mirror.guard.may(view.who, Action.ADMINISTER, "", "sources", mirror.now_ns())
    shows_sources = is_whole and decision.allowed
    sources = [s.config for s in mirror.sources() if isinstance(s, Source) and shows_sources]
    known = world_yaml.sources_in(mirror.world) + [s.name for s in mirror.sources()]

    def write() -> str:
        def sees(twin: str) -> bool:
            return is_whole if twin == "" else twin in twins

        return world_yaml.write(
            name,
            structure,
            sources,
            known=known,
            sees=sees,
            writings=writings,
            photo=photos.reader(mirror.blobs),
        )[0]

    text = await asyncio.to_thread(write)
    disposition = {"content-disposition": f'attachment; filename="{NAME}"'}
    return Response(text.encode(), headers=disposition, media_type="application/yaml")


@router.post(
    "/api/import/preview",
    summary="What a world file would change",
    responses=answers(shapes.ImportPreview, "Nothing was changed"),
)
async def preview(here: Here, view: Seen, request: Asked) -> Response:
    """Counts, the first changes, what waits for its twins, and what is not carried."""
    found = await _planned(here, view, request.text)
    rows = [
        shapes.ImportRow(*words(step.edit), _verb(step.edit, step.is_new), step.line)
        for step in found.plan.steps
    ]
    rows += [
        shapes.ImportRow("notes", writing.twin, "", "changed", 0)
        for writing in found.written
        if here.desk.is_new(writing)
    ]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.what] = counts.get(row.what, 0) + 1
    answer = shapes.ImportPreview(len(rows), counts, rows[:ROWS_MAX], found.left)
    return json_answer(answer)


@router.post(
    "/api/import",
    summary="Bring a world file in",
    responses=answers(shapes.Imported, "It is made so, and that is durable"),
)
async def import_(here: Here, view: Seen, request: Asked) -> Response:
    """One authored change, which `/api/undo` takes back. Nothing is removed."""
    found = await _planned(here, view, request.text)
    position = here.mirror.world.position
    if found.plan.steps:
        edits = found.plan.edits(request.reason or f"import of {NAME}")
        position = await here.mirror.edit(view.who, edits)
    n_steps = len(found.plan.steps)
    for writing in found.written:
        if writing.twin in here.mirror.world.structure.twins:
            await _keep_photos(here, view, found, writing)
            position, is_new = here.desk.merge(view, writing)
            n_steps += is_new
        else:
            found.left.append(shapes.ImportLeft(f"notes of {writing.twin}", "no such twin"))
    await here.mirror.until_durable(position)
    return json_answer(shapes.Imported(str(position), n_steps, found.left))


async def _keep_photos(here: Context, view: Sight, found: _Found, writing: Writing) -> None:
    """Takes the photos of a document as files that people attach: hashed, bounded, durable."""
    contents, absent = photos.of(found.text, writing)
    for content in contents:

        async def parts(content: bytes = content) -> AsyncIterator[bytes]:
            yield content

        await here.attached.take(view, parts(), len(content), "")
    for sha256 in absent:
        if not photos.has(here.mirror.blobs, sha256):
            left = shapes.ImportLeft(photos.lost_photo(writing, sha256), photos.LOST)
            found.left.append(left)


@dataclass(slots=True)
class _Found:
    text: world_yaml.WorldText
    plan: Plan
    left: list[shapes.ImportLeft] = field(default_factory=list[shapes.ImportLeft])
    written: list[Writing] = field(default_factory=list[Writing])


async def _planned(here: Context, view: Sight, text: str) -> _Found:
    """What a text would change, for who may edit all of the world."""
    mirror = here.mirror
    decision = mirror.guard.may(view.who, Action.EDIT, "", "import", mirror.now_ns())
    if not decision.allowed or not view.is_whole:
        why = decision.reason or f"{view.who.id} does not see all of this world"
        raise Refused(403, why, "import", "ask an engineer of the whole world")
    trial = mirror.world.structure.fork()
    names = {source.name for source in mirror.sources()}

    def read() -> _Found:
        file = world_yaml.read_text(text, NAME)
        found = _Found(file, plan(file, trial, NAME), written=list(file.written.values()))
        for one in found.plan.waiting[:ROWS_MAX]:
            _, twin, detail = words(one.edit)
            left = shapes.ImportLeft(f"{twin} {detail}".strip(), "no such twin or point yet")
            found.left.append(left)
        for name in file.sources:
            if name not in names:
                why = "an owner adds sources under Sources, or mirrorworld up with the file does"
                found.left.append(shapes.ImportLeft(f"source {name}", why))
        found.left += [shapes.ImportLeft(*each) for each in found.plan.lost[:ROWS_MAX]]
        return found

    try:
        return await asyncio.to_thread(read)
    except ValueError as error:
        mend = "mend it there; docs: The world as a file"
        raise Refused(422, str(error), "text", mend) from error


def _verb(edit: Any, is_new: bool) -> str:
    if is_new:
        return "new"
    return "gone" if type(edit).__name__.startswith(("Drop", "Unsay")) else "changed"
