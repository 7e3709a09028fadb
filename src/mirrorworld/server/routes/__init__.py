"""The REST routes, one file for each thing that people do with a world."""

from __future__ import annotations

from typing import Any

from mirrorworld.protocol.rest import Problem

PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "There is no session"},
    403: {"model": Problem, "description": "The guard, or a door, says no"},
    404: {"model": Problem, "description": "No such thing; the answer names what is near"},
    413: {"model": Problem, "description": "More was sent, or asked for, than is done at once"},
    422: {"model": Problem, "description": "The request makes no sense; the answer says where"},
    503: {"model": Problem, "description": "The record cannot be written"},
}


def answers(model: Any, description: str, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """What a route may answer, for OpenAPI."""
    return {status: {"model": model, "description": description}, **PROBLEMS}
