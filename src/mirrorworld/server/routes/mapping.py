"""Mappings: trying them, applying them as one change, keeping them; and who said what of a twin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Response

from mirrorworld.mapping.book import KIND, Mapping, parse, read
from mirrorworld.mapping.plan import Plan
from mirrorworld.protocol import mapping as shapes
from mirrorworld.protocol import rest
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.routes import answers
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import (
    Arm,
    Change,
    Disarm,
    DropRelation,
    DropSheet,
    Edit,
    Edits,
    OriginKind,
    PutSheet,
)
from mirrorworld.world.model import Sheet
from mirrorworld.world.plain import to_plain
from mirrorworld.world.ports import Action
from mirrorworld.world.structure import SLOTS, OverlayKey, ended_key
from mirrorworld.world.undoing import keys_of

ROWS_MAX: Final = 1_000
TRIES: Final = 3
LOOKED_AT_MAX: Final = 100_000
"""Edits that are looked through for who said something, latest first."""

router = APIRouter(tags=["mapping"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]

_EXAMPLE = {
    "body": '{"where": {"id": "line1/*"}, "set": {"properties": {"hall": "2"}}}',
    "name": "halls",
    "reason": "after the move",
}
Asked = Annotated[shapes.MappingRequest, Body(examples=[_EXAMPLE])]


@router.get(
    "/api/mapping",
    summary="All mappings that are kept",
    responses=answers(shapes.MappingsPage, "In the order of their making"),
)
async def mappings(here: Here, view: Seen) -> Response:
    """As they were written down."""
    found: list[shapes.KeptMapping] = []
    for (kind, name), sheet in here.mirror.world.structure.sheets.items():
        if kind == KIND and view.is_whole:
            trouble = ""
            try:
                read(sheet)
            except ValueError as error:
                trouble = str(error)
            found.append(shapes.KeptMapping(name, sheet.body, trouble))
    return json_answer(shapes.MappingsPage(found))


@router.post(
    "/api/mapping/preview",
    summary="Try a mapping without applying it",
    responses=answers(shapes.MappingPreview, "What it would say, twin by twin"),
)
async def preview(here: Here, view: Seen, request: Asked) -> Response:
    """Of the twins that you may edit."""
    if not 1 <= request.limit <= ROWS_MAX or request.offset < 0:
        raise Refused(422, f"{request.limit} rows", "limit", f"ask for 1 to {ROWS_MAX}")
    plan = await _plan(here, view, parse(request.body))
    rows = [row for row in plan.rows if row.note] if request.only_noted else plan.rows
    end = request.offset + request.limit
    twins = here.mirror.world.structure.twins
    shown = [
        shapes.MappingRow(
            row.twin,
            twins[row.twin].name.best("en") if row.twin in twins else "",
            row.what,
            row.of,
            row.before,
            row.after,
            row.note,
            row.is_left_out,
        )
        for row in rows[request.offset : end]
    ]
    left_out = sum(row.is_left_out for row in plan.rows)
    return json_answer(
        shapes.MappingPreview(
            twins=plan.matched,
            changes=len(plan.rows) - left_out,
            left_out=left_out,
            noted=sum(bool(row.note) for row in plan.rows),
            rows=shown,
            next=end if end < len(rows) else None,
        )
    )


@router.post(
    "/api/mapping",
    summary="Apply a mapping",
    responses=answers(shapes.MappingDone, "It is durable, as one change that can be undone"),
)
async def apply(here: Here, view: Seen, request: Asked) -> Response:
    """With a name it is kept as well, in the same change."""
    keep: tuple[PutSheet, ...] = ()
    if request.name:
        sheet = Sheet(KIND, request.name, request.body)
        mapping = read(sheet)
        keep = (PutSheet(sheet),)
    else:
        mapping = parse(request.body)
        if mapping.new_twins:
            mend = "give it a name: it is kept to work for twins that come later"
            raise Refused(422, "a mapping for new twins has to be kept", "name", mend)
    return await _apply(here, view, mapping, keep, request.reason or _reason(request.name))


@router.post(
    "/api/mapping/{name}/apply",
    summary="Apply a kept mapping again",
    responses=answers(shapes.MappingDone, "It is durable, as one change that can be undone"),
)
async def apply_again(here: Here, view: Seen, name: str) -> Response:
    """To all twins that it fits now."""
    return await _apply(here, view, read(_kept(here, view, name)), (), _reason(name))


@router.delete(
    "/api/mapping/{name}",
    summary="Keep a mapping no longer",
    responses=answers(rest.Edited, "What it said of twins stays said"),
)
async def drop(here: Here, view: Seen, name: str, reason: str = "") -> Response:
    """The log still has it."""
    _kept(here, view, name)
    edits = Edits((DropSheet(KIND, name),), reason)
    return json_answer(rest.Edited(str(await here.mirror.edit(view.who, edits))))


@router.get(
    "/api/said",
    summary="What people said of a twin over its source",
    responses=answers(shapes.SaidPage, "And who, where that is not too long ago"),
)
async def said(here: Here, view: Seen, twin: str) -> Response:
    """Beside it, of each point, what its source says."""
    world = here.mirror.world
    known = asking.twin(world, view, twin)
    structure = world.structure
    overlays = structure.said(known)
    by = _authors(world.recent(), known, set(overlays))
    edit_of = {slot: edit for edit, slot in SLOTS.items()}
    rows: list[shapes.SaidRow] = []
    for (slot, name), edit in overlays.items():
        change = by.get((slot, name))
        source = None
        if slot == "about":
            source = to_plain(structure.described_at(structure.handle(known, name)))
        rows.append(
            shapes.SaidRow(
                type(edit).__name__ if slot == "property" else edit_of[slot],
                name,
                to_plain(edit),
                change.origin.by if change else "",
                change.received_ns if change else 0,
                change.body.reason if change and isinstance(change.body, Edits) else "",
                source,
            )
        )
    return json_answer(shapes.SaidPage(rows))


def _authors(
    changes: tuple[Change, ...], twin: str, wanted: set[OverlayKey]
) -> dict[OverlayKey, Change]:
    """By what was said of a twin: the change that said it last, of those that are at hand."""
    found: dict[OverlayKey, Change] = {}
    looked_at = 0
    for change in reversed(changes):
        if looked_at > LOOKED_AT_MAX or not wanted - found.keys():
            break
        if isinstance(change.body, Edits) and change.origin.kind == OriginKind.AUTHORED:
            looked_at += len(change.body.edits)
            for edit in change.body.edits:
                for key in _about(edit, twin):
                    found.setdefault(key, change)
    return found


def _about(edit: Edit, twin: str) -> list[OverlayKey]:
    if isinstance(edit, DropRelation) and edit.source == twin:
        return [ended_key((edit.kind, edit.source, edit.target, edit.name))]
    if isinstance(edit, Arm | Disarm) or getattr(edit, "twin", None) != twin:
        return []
    return keys_of(edit)


def _reason(name: str) -> str:
    return f"mapping {name}" if name else "mapping"


def _kept(here: Context, view: Sight, name: str) -> Sheet:
    sheets = here.mirror.world.structure.sheets
    sheet = sheets.get((KIND, name)) if view.is_whole else None
    if sheet is None:
        names = [n for kind, n in sheets if kind == KIND and view.is_whole]
        raise unknown("mapping", name, names, "GET /api/mapping lists them")
    return sheet


async def _apply(
    here: Context, view: Sight, mapping: Mapping, keep: tuple[PutSheet, ...], reason: str
) -> Response:
    plan = await _plan(here, view, mapping)
    edits = Edits((*keep, *plan.edits()), reason)
    left_out = sum(row.is_left_out for row in plan.rows)
    changes = len(plan.rows) - left_out
    if not edits.edits:
        return json_answer(shapes.MappingDone(str(here.mirror.world.position), 0, left_out))
    position = await here.mirror.edit(view.who, edits)
    return json_answer(shapes.MappingDone(str(position), changes, left_out))


async def _plan(here: Context, view: Sight, mapping: Mapping) -> Plan:
    """What a mapping would do now. Others get their turn between chunks of twins; where the
    structure changed meanwhile it is worked out anew, in the end in one go."""
    structure = here.mirror.world.structure
    may_edit = _may_edit(here, view)
    for _ in range(TRIES):
        plan = Plan(structure, mapping, sees=view.sees, may_edit=may_edit)
        for _ in plan.work():
            await asyncio.sleep(0)
            if plan.is_stale:
                break
        else:
            return plan
    return Plan(structure, mapping, sees=view.sees, may_edit=may_edit).worked()


def _may_edit(here: Context, view: Sight) -> Callable[[str], bool]:
    """Which twins a person may edit. 403 where it is none whatever the twin."""
    guard, now_ns = here.mirror.guard, here.mirror.now_ns()
    whole = guard.may(view.who, Action.EDIT, "", "mapping", now_ns)
    if whole.allowed:
        return lambda _: True
    if view.is_whole and not here.accounts.has_subtrees:
        raise Refused(403, whole.reason or f"{view.who.id} may not do this", "mapping", "")
    return lambda twin: guard.may(view.who, Action.EDIT, twin, "mapping", now_ns).allowed
