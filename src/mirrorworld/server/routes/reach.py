"""How a phone or a headset gets here: addresses, what it has to trust, and pictures to scan.

Nothing here is secret: who is signed in may see it. An invitation is made elsewhere, by an owner.
"""

from __future__ import annotations

import io
from typing import Annotated, Final

import segno
from fastapi import APIRouter, Depends, Query, Request, Response

from mirrorworld.protocol import accounts as shapes
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.entrance import STEPS
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import PROBLEMS, answers
from mirrorworld.server.sight import Sight
from mirrorworld.server.words import language_of, say

PATH_MAX: Final = 300
"""Longer paths make pictures that a phone cannot read from a screen."""

router = APIRouter(tags=["accounts"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]


@router.get(
    "/api/reach",
    summary="How another device gets here",
    responses=answers(shapes.Reach, "Addresses, the authority, and what to do"),
)
async def reach(here: Here, view: Seen, request: Request) -> Response:
    """The steps are in the language that `Accept-Language` asks for."""
    network = here.network
    if network is None:
        return json_answer(shapes.Reach([], [], "", False, []))
    language = language_of(request.headers.get("accept-language", ""))
    steps = [
        shapes.TrustSteps(say(language, system), [say(language, line) for line in lines])
        for system, lines in STEPS
    ]
    return json_answer(
        shapes.Reach(
            list(network.addresses),
            list(network.plain_addresses),
            network.certificate.fingerprint,
            network.certificate.authority is not None,
            steps if network.certificate.authority is not None else [],
        )
    )


@router.get(
    "/api/reach/qr.svg",
    summary="An address of this server as a QR code",
    response_class=Response,
    responses={200: {"description": "SVG", "content": {"image/svg+xml": {}}}, **PROBLEMS},
)
async def picture(
    here: Here,
    view: Seen,
    address: Annotated[int, Query(ge=0, le=99, description="Which of the addresses")] = 0,
    path: Annotated[str, Query(max_length=PATH_MAX, description="Below the address")] = "/",
    plain: Annotated[bool, Query(description="Of the plain door, which has one page")] = False,
) -> Response:
    """Drawn here; nothing is asked of anybody."""
    network = here.network
    found = () if network is None else network.plain_addresses if plain else network.addresses
    if address >= len(found):
        raise Refused(404, "there is no such address", "address", "GET /api/reach lists them")
    if not path.startswith("/") or not path.isascii() or not path.isprintable():
        raise Refused(422, "a path begins with a slash and is plain ASCII", "path", "")
    drawn = io.BytesIO()
    text = found[address] + ("/" if plain else path)
    segno.make(text, error="m", micro=False).save(
        drawn, kind="svg", scale=4, border=4, light="#fff", xmldecl=False, omitsize=True
    )
    return Response(drawn.getvalue(), media_type="image/svg+xml")
