"""How the server says no: every error of every route has the shape `Problem`.

The world's rooms raise the standard's own exceptions with messages that name place and mend;
here they get their status.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from mirrorworld.live.sheets import ChangedMeanwhileError
from mirrorworld.protocol.answers import near
from mirrorworld.protocol.rest import Problem
from mirrorworld.server.doors import BodyTooLarge

PROBLEM = "application/problem+json"


BY_KIND: Final[dict[type[Exception], tuple[int, str]]] = {
    PermissionError: (403, ""),
    KeyError: (404, ""),
    LookupError: (404, "the log begins later; start from /api/export and its position"),
    ValueError: (422, ""),
    ChangedMeanwhileError: (409, "what you see is brought up to date; then edit again"),
    TimeoutError: (504, "try again, or look whether the source answers"),
    OSError: (503, "free space on the disk, then start the world again"),
}
"""What the exceptions of the house are answered with: status and mend."""


class Refused(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, detail: str, place: str = "", mend: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.problem = Problem(detail, place, mend)


def unknown(what: str, name: str, known: Iterable[str], mend: str) -> Refused:
    """404 that names what it may have been meant to be."""
    return Refused(404, f"there is no {what} '{name[:200]}'", what, near(name, known) or mend)


def answer(problem: Problem, status: int) -> Response:
    """A problem as a response."""
    return Response(msgspec.json.encode(problem), status, media_type=PROBLEM)


def install(app: FastAPI) -> None:
    """Gives the exceptions of the house their answers."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return answer(error.problem, error.status)

    @app.exception_handler(BodyTooLarge)
    async def too_large(_: Request, error: BodyTooLarge) -> Response:
        return answer(error.problem, 413)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"] if step != "body")
        more = len(error.errors()) - 1
        detail = str(first["msg"]) + (f" (and {more} more)" if more else "")
        return answer(Problem(detail, place or "body", "see /api/openapi.json"), 422)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        mend = "see /api/openapi.json for all routes" if error.status_code in (404, 405) else ""
        path = request.url.path[:200]
        response = answer(Problem(str(error.detail), path, mend), error.status_code)
        response.headers.update(error.headers or {})
        return response

    for kind in BY_KIND:
        app.exception_handler(kind)(_said)


async def _said(request: Request, error: Exception) -> Response:
    status, problem = of(error, request.url.path[:200])
    return answer(problem, status)


def of(error: Exception, place: str) -> tuple[int, Problem]:
    """(status, problem) of one of BY_KIND, or of what was refused."""
    if isinstance(error, Refused):
        return error.status, error.problem
    status, mend = next(BY_KIND[kind] for kind in type(error).__mro__ if kind in BY_KIND)
    detail = str(error.args[0]) if error.args and not isinstance(error, OSError) else str(error)
    return status, Problem(detail or type(error).__name__, place, mend)
