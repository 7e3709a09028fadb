"""Webhooks: what other programs post, handed to the source that waits for it.

No session is asked for here: each hook has a secret of its own, which its source checks. What is
not found and what is refused look the same from outside, so that nobody can try names.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from mirrorworld.protocol.hooks import HookTaken
from mirrorworld.protocol.rest import Problem
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import answer
from mirrorworld.server.routes import problem

router = APIRouter(tags=["sources"])
Here = Annotated[Context, Depends(asking.context)]

REFUSED = Problem(
    "there is no such hook, or that is not by its secret",
    "Authorization",
    "show the hook's secret as Authorization: Bearer, or sign the body with it",
)


@router.post(
    "/api/hooks/{name}",
    summary="Post to a webhook source",
    responses={
        200: {"model": HookTaken, "description": "It is taken, and that is durable"},
        400: problem("The path is not written plainly"),
        401: problem("No such hook, or not by its secret"),
        403: problem("A door says no"),
        413: problem("More was sent than is taken at once"),
        422: problem("It cannot be read; the answer says where"),
        429: problem("Too many calls; Retry-After says how long to wait"),
        503: problem("The hook is not open, or nothing can be written"),
    },
)
async def post(here: Here, name: str, request: Request) -> Response:
    """The body is JSON. With an `Idempotency-Key` a call is taken once, however often it comes."""
    hook = here.mirror.hook(name)
    if hook is None:
        return answer(REFUSED, 401)
    headers = {key.lower(): value for key, value in request.headers.items()}
    told = await hook.receive(await request.body(), headers)
    if told.status == 401:
        return answer(REFUSED, 401)
    if told.status >= 400:
        response = answer(Problem(told.detail, f"/api/hooks/{name}", told.mend), told.status)
        if told.retry_after_s:
            response.headers["Retry-After"] = str(told.retry_after_s)
        return response
    return json_answer(HookTaken(told.samples, told.is_repeated, told.detail))
