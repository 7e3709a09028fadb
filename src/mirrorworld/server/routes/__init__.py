"""The REST routes, one file for each thing that people do with a world."""

from __future__ import annotations

from typing import Any

from mirrorworld.server.problems import PROBLEM


def problem(description: str) -> dict[str, Any]:
    """A way to say no, for OpenAPI. The shape is only referred to (`openapi.document` puts it in):
    FastAPI would build it anew for each status of each route, seconds of every start."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {PROBLEM: {"schema": schema}}}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: problem("The path is not written plainly"),
    401: problem("There is no session"),
    403: problem("The guard, or a door, says no"),
    404: problem("No such thing; the answer names what is near"),
    413: problem("More was sent, or asked for, than is done at once"),
    422: problem("The request makes no sense; the answer says where"),
    429: problem("Too often; Retry-After says when again"),
    503: problem("The record cannot be written"),
}


def answers(model: Any, description: str, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """What a route may answer, for OpenAPI."""
    return {status: {"model": model, "description": description}, **PROBLEMS}
