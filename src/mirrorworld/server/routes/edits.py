"""Editing the world, one request at a time; `server/editing.py` does it, and many a second."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from fastapi.routing import APIRoute

from mirrorworld.protocol import rest
from mirrorworld.server import asking, editing
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.routes import answers, problem
from mirrorworld.server.sight import Sight

_EXAMPLE = {
    "edits": [
        {
            "@": "PutProperty",
            "twin": "line1/filler",
            "property": {"name": "serial_number", "value": "F-2203"},
        }
    ],
    "reason": "read from the plate",
}


class _Read(APIRoute):
    """A route whose body is read as the socket's messages are. FastAPI would look anew at what
    the function depends on, and go through a body that is gone through again where its edits are
    read; together that costs twice what editing does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See APIRoute; what OpenAPI says of the route stays FastAPI's."""
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            text = await request.body()
            asking.check_json(request)
            view = await asking.sight(request)
            return await endpoint(
                await asking.context(request), view, asking.body(text, rest.EditRequest)
            )

        return handle


router = APIRouter(tags=["acts"], route_class=_Read)


@router.post(
    "/api/edits",
    summary="Edit the world",
    responses={
        **answers(rest.Edited, "The edits are durable"),
        409: problem("A sheet of `based_on` was changed meanwhile"),
    },
)
async def edit(
    here: Annotated[Context, Depends(asking.context)],
    view: Annotated[Sight, Depends(asking.sight)],
    request: Annotated[rest.EditRequest, Body(examples=[_EXAMPLE])],
) -> Response:
    """Edits take effect together or, if one is refused, not at all; the answer comes when they
    are durable."""
    position = editing.take(here, view, request)
    await here.mirror.until_durable(position)
    return json_answer(rest.Edited(str(position)))
