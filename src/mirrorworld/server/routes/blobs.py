"""Files that people attach to twins: sent, and had back."""

from __future__ import annotations

import asyncio
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

from mirrorworld import attachments
from mirrorworld.protocol import rest
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.routes import PROBLEMS, answers, problem
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import Edits, PutGeometry
from mirrorworld.world.plain import to_plain
from mirrorworld.world.ports import Action

router = APIRouter(tags=["files"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]

INLINE: Final = frozenset(
    {"application/pdf", "image/png", "image/jpeg", "image/webp", "image/gif", attachments.TEXT}
)
"""What a browser may show by itself; everything else it saves."""
_SANDBOX: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
_NO_SCRIPT: Final = "script-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""For PDF: Chromium shows none in a sandbox."""


class Purpose(Enum):
    """What becomes of a file that is sent."""

    KEEP = "keep"
    NOTE = "note"
    DOCUMENT = "document"
    MODEL = "model"


@router.post(
    "/api/blobs",
    status_code=201,
    summary="Attach a file to a twin",
    responses={
        **answers(rest.Attached, "It is durable, and attached if that was asked for", 201),
        408: problem("Nothing came for a while"),
        507: problem("There is no room for it"),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def send(
    here: Here,
    view: Seen,
    request: Request,
    twin: Annotated[str, Query(description="The twin that it belongs to")],
    name: Annotated[str, Query(max_length=1_000, description="What it is called; text only")] = "",
    purpose: Annotated[
        Purpose,
        Query(
            alias="as",
            description="`document`: one more of the twin's documents; `model`: what it looks like;"
            " `keep`: an edit will refer to it; `note`: a note will",
        ),
    ] = Purpose.DOCUMENT,
    scale: Annotated[float, Query(description="Of a model: metres of one unit in it")] = 1.0,
    up: Annotated[str, Query(description="Of a model: the axis that is up, y or z")] = "y",
) -> Response:
    """The body is the file: PDF, PNG, JPEG, WebP, GIF, UTF-8 text, `.glb`, or a `.gltf` that holds
    everything itself. What it is, its content decides; HTML, SVG and XML are refused. The answer
    comes when file and edit are durable."""
    known = asking.twin(here.mirror.world, view, twin)
    action = Action.WRITE if purpose is Purpose.NOTE else Action.EDIT
    may = here.mirror.guard.may(view.who, action, known, "attach", here.mirror.now_ns())
    if not may.allowed:
        raise Refused(403, may.reason, "twin", "ask an engineer or the owner")
    if purpose is Purpose.MODEL:
        attachments.Look("0" * 64, scale, up).check()
    announced = int(request.headers.get("content-length", "0"))
    try:
        blob = await here.attached.take(view, request.stream(), announced, name)
    except ClientDisconnect:
        raise Refused(400, "the sender went away", "body", "send it again") from None
    if purpose in (Purpose.KEEP, Purpose.NOTE):
        return json_answer(rest.Attached(to_plain(blob)), 201)
    # From here to the edit nothing else turns, so that no document is lost to another one's edit.
    current = here.mirror.world.structure.twins.get(known)
    if current is None:
        raise unknown("twin", known, (), "it was removed meanwhile")
    if purpose is Purpose.DOCUMENT:
        edit = attachments.with_document(current, blob)
    elif blob.media_type in attachments.MODELS:
        edit = PutGeometry(known, str(attachments.Look(blob.sha256, scale, up)))
    else:
        mend = "a model is a .glb file, or a .gltf that holds everything itself"
        raise Refused(422, f"this is {blob.media_type}, which cannot be drawn", "body", mend)
    position = await here.mirror.edit(view.who, Edits((edit,), f"attached {blob.name}"))
    return json_answer(rest.Attached(to_plain(blob), str(position)), 201)


@router.get(
    "/api/blobs/{sha256}",
    summary="A file that is attached to a twin",
    response_class=Response,
    responses={
        200: {"description": "The file", "content": {"application/octet-stream": {}}},
        **PROBLEMS,
    },
)
async def have(
    here: Here,
    view: Seen,
    request: Request,
    sha256: str,
    name: Annotated[str, Query(max_length=1_000, description="To save it under")] = "",
) -> Response:
    """Of whoever sees a twin that refers to it. Parts of it can be asked for (`Range`); it never
    changes, so its ETag is its SHA-256."""
    path = here.attached.store.path(sha256)
    head = await asyncio.to_thread(_head, path) if here.attached.sees(view, sha256) else None
    if head is None:
        raise unknown("file", sha256, (), "a twin's documents and geometry name them")
    etag = f'"{sha256}"'
    kind = attachments.shown_as(head)
    headers = {
        "etag": etag,
        "cache-control": "private, max-age=31536000, immutable",
        "vary": "cookie, authorization",
        "content-security-policy": _NO_SCRIPT if kind == "application/pdf" else _SANDBOX,
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    return FileResponse(
        path,
        headers=headers,
        media_type=f"{kind}; charset=utf-8" if kind == attachments.TEXT else kind,
        filename=attachments.plain_name(name or sha256[:12], kind),
        content_disposition_type="inline" if kind in INLINE else "attachment",
    )


def _head(path: Path) -> bytes | None:
    """The first bytes of a file; None where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(attachments.HEAD_BYTES)
    except FileNotFoundError:
        return None
