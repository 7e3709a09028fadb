"""Recordings that a person drops onto the page: kept in the world's inbox, and nothing else."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from mirrorworld.protocol import discovery
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import answers
from mirrorworld.server.routes.discovered import administer
from mirrorworld.server.sight import Sight

FILES_MAX: Final = 200
SUFFIXES: Final = (
    ".csv", ".tsv", ".parquet", ".pq", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst",
)  # fmt: skip

router = APIRouter(tags=["sources"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]


@router.put(
    "/api/inbox/{name}",
    status_code=201,
    summary="Drop a recording",
    responses=answers(discovery.Kept, "It is kept; its URL can be mirrored", 201),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def drop(here: Here, view: Seen, request: Request, name: str) -> Response:
    """The body is the file, CSV or Parquet. Another file of the same name is not replaced."""
    administer(here, view)
    around = here.mirror.around
    if around is None or around.inbox is None:
        raise Refused(422, "this world has no inbox", "name", "give the path of the file instead")
    plain = plain_name(name)
    body = await request.body()
    if not body:
        raise Refused(422, f"{plain} is empty", "body", "send the file's content")
    path = await asyncio.to_thread(_keep, around.inbox, plain, body)
    return json_answer(discovery.Kept(str(path), len(body)), 201)


def plain_name(name: str) -> str:
    """A file's name as it may stand in the inbox: no folder, no hidden file, a known suffix."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    plain = re.sub(r"[^\w .+-]", "-", last).strip(" .-")[-120:].lstrip(" .-")
    suffix = next((s for s in sorted(SUFFIXES, key=len)[::-1] if plain.lower().endswith(s)), "")
    if not suffix or len(plain) <= len(suffix):
        mend = f"a recording's name ends in {', '.join(SUFFIXES)}"
        raise Refused(422, f"'{name[:120]}' names no recording", "name", mend)
    return plain


def _keep(inbox: Path, name: str, body: bytes) -> Path:
    """Writes a file under a name that no other has; its path."""
    if len(os.listdir(inbox)) >= FILES_MAX:
        mend = f"move some of the files out of {inbox}"
        raise Refused(413, f"{FILES_MAX} files are in the inbox already", "name", mend)
    stem, dot, rest = name.partition(".")
    for n in range(1, FILES_MAX + 2):
        path = inbox / (name if n == 1 else f"{stem}-{n}{dot}{rest}")
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(body)
        except FileExistsError:
            continue
        return path.resolve()
    raise Refused(413, f"there are too many files named {name}", "name", "give it another name")
