"""What the page is told of things around that could be mirrored, and of connectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from mirrorworld.protocol.rest import AnyScalar
from mirrorworld.protocol.shape import Plain
from mirrorworld.world import model

Pose = Annotated[dict[str, Any], Plain(model.Pose)]


@dataclass(frozen=True, slots=True)
class DiscoveredThing:
    """Something around that could be mirrored. Its texts come from strangers."""

    key: str
    state: str
    """new, added or ignored."""
    url: str
    """Empty: only a person can say how it is reached."""
    name: str
    what: str
    guessed: list[str]
    """How it is known, by each of the ways in which it was seen."""
    detail: str
    """What it says of itself, as lines."""
    needs_login: bool
    first_ns: int
    seen_ns: int
    suggested_name: str
    """For the source, if the person names none."""
    added_as: str = ""
    """The source that mirrors it; empty: none."""


@dataclass(frozen=True, slots=True)
class DiscoveredList:
    """What is around now, new things first."""

    reach: str
    """off, here (this computer and what is mirrored) or network."""
    things: list[DiscoveredThing]
    counts: dict[str, int]
    """What was left out, by name."""
    failures: dict[str, str]
    """Why a finder does not look, by its name."""


@dataclass(frozen=True, slots=True)
class AddRequest:
    """What a person says of a thing that they add."""

    source: str = ""
    """Short and unique name of the source; empty: made from what the thing calls itself."""
    url: str = ""
    """Where it is, if it does not say so itself."""
    name: str = ""
    """What people here call it; empty: as it calls itself."""
    language: str = ""
    """BCP 47 tag of the name."""
    part_of: str = ""
    """Id of the twin that it is part of."""
    pose: Pose | None = None
    """Where it stands in the scene."""
    options: dict[str, AnyScalar] = field(default_factory=dict)
    username: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording that was taken into the world's inbox."""

    url: str
    """What a source is given to play it."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ConnectorOption:
    """One option of a connector, as a form shows it."""

    name: str
    label: str
    kind: str
    """text, number, boolean or choice."""
    default: AnyScalar
    hint: str
    choices: list[str]


@dataclass(frozen=True, slots=True)
class ConnectorInfo:
    """A connector that is installed here."""

    schemes: list[str]
    title: str
    example: str
    hint: str
    takes_login: bool
    options: list[ConnectorOption]


__all__ = [
    "AddRequest",
    "ConnectorInfo",
    "ConnectorOption",
    "DiscoveredList",
    "DiscoveredThing",
    "Kept",
]
