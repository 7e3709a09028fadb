"""Embedding: which other sites may show the world, and keys by which their visitors may look."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Response

from mirrorworld.protocol import accounts as shapes
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.routes import answers
from mirrorworld.server.routes.accounts import administer
from mirrorworld.server.sight import Sight
from mirrorworld.trust.accounts import Grant
from mirrorworld.trust.embedding import ROLE

router = APIRouter(tags=["embedding"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]


@router.get(
    "/api/embed/sites",
    summary="Sites that may show the world within a page of theirs",
    responses=answers(shapes.EmbedSites, "None until the owner names one"),
)
async def sites(here: Here, view: Seen) -> Response:
    """What a browser is told by `frame-ancestors`."""
    return json_answer(shapes.EmbedSites(list(here.accounts.embedding.sites())))


@router.put(
    "/api/embed/sites",
    summary="Name the sites that may show the world",
    responses=answers(shapes.EmbedSites, "All of them"),
)
async def set_sites(here: Here, view: Seen, request: shapes.EmbedSites) -> Response:
    """All are named anew; none: no other site may."""
    administer(here, view)
    here.accounts.embedding.set_sites(request.sites, by=view.who.id)
    return json_answer(shapes.EmbedSites(list(here.accounts.embedding.sites())))


@router.post(
    "/api/embed/keys",
    status_code=201,
    summary="Make a key for a frame in another page",
    responses=answers(shapes.EmbedKey, "Where the frame leads, shown this once", 201),
)
async def make_key(
    here: Here, view: Seen, request: Annotated[shapes.EmbedKeyRequest, Body(examples=[{}])]
) -> Response:
    """Whoever sees that page may look at the world there, and do nothing."""
    administer(here, view)
    if request.subtree:
        asking.twin(here.mirror.world, view, request.subtree)
    id, secret = here.accounts.guests.make_link(
        Grant(ROLE, request.subtree),
        "embedded",
        by=view.who.id,
        lasts_s=request.lasts_days * 86_400,
    )
    return json_answer(shapes.EmbedKey(id, f"/embed?key={secret}"), 201)
