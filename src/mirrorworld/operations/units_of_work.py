"""Which twins are work units whose effectiveness is asked for, and by which points.

A sheet of kind `oee` says so by name; where there is none, it is guessed from the twins' points:
a state after PackML, counters of good and rejected items, a speed with a range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from mirrorworld.world.model import Kind, PointType
from mirrorworld.world.structure import PointOf, Structure

RUNNING_LABELS: Final = frozenset({"execute", "running", "run", "producing", "active"})
DELAYED_LABELS: Final = frozenset({"suspended", "suspending", "unsuspending", "idle"})
_PACKML_RUNNING: Final = (6,)
_PACKML_DELAYED: Final = (4, 5, 13, 14)
_STATES: Final = ("state", "statecurrent", "execution")
_GOOD: Final = ("bottlesout", "goodcount", "countgood", "partsgood", "partcount")
_REJECTED: Final = ("rejects", "rejected", "scrap", "scrapcount", "prodrejectedcount")
_SPEEDS: Final = ("speedsetpoint", "machspeed", "speed")


@dataclass(frozen=True, slots=True)
class WorkUnit:
    """A work unit, and the handles of the points that tell of it."""

    twin: str
    state: int
    running: frozenset[int]
    delayed: frozenset[int]
    good: int | None = None
    rejected: int | None = None
    cause: int | None = None
    rate_per_h: float | None = None
    is_guessed: bool = False


_Point = Annotated[str, msgspec.Meta(extra_json_schema={"format": "point", "of": "twin"})]
_Labels = Annotated[
    tuple[int, ...], msgspec.Meta(extra_json_schema={"format": "labels", "of": "state"})
]


class UnitBody(msgspec.Struct, forbid_unknown_fields=True):
    """A work unit as it is written."""

    twin: Annotated[str, msgspec.Meta(extra_json_schema={"format": "twin"})]
    state: _Point
    running: _Labels
    delayed: _Labels = ()
    good: _Point = ""
    rejected: _Point = ""
    cause: _Point = ""
    rate_per_h: float | None = None


def work_units(structure: Structure) -> list[WorkUnit]:
    """The work units of a world: as people wrote down, else as guessed.

    Raises:
        ValueError: a sheet is wrong; the message names it and the mend.
    """
    bodies = [(key[1], s.body) for key, s in structure.sheets.items() if key[0] == "oee"]
    if bodies:
        return [_read(structure, body, f"oee '{name}'") for name, body in sorted(bodies)]
    return list(_guessed(structure))


def read_body(body: str, place: str) -> UnitBody:
    """What a sheet of kind `oee` says; its points are not looked up.

    Raises:
        ValueError: it says nothing of the kind; the message names the place and the mend.
    """
    try:
        read = msgspec.json.decode(body, type=UnitBody)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{place}: {error}") from error
    if read.rate_per_h is not None and not 0 < read.rate_per_h < 1e12:
        raise ValueError(f"{place}: rate_per_h is {read.rate_per_h}; give items an hour")
    return read


def _read(structure: Structure, body: str, place: str) -> WorkUnit:
    read = read_body(body, place)
    if read.twin not in structure.twins:
        raise ValueError(f"{place}: there is no twin '{read.twin}'")

    def handle(name: str) -> int | None:
        try:
            return structure.handle(read.twin, name) if name else None
        except KeyError as error:
            raise ValueError(f"{place}: {error.args[0]}") from error

    state = handle(read.state)
    if state is None:
        raise ValueError(f"{place}: name the point of the state")
    return WorkUnit(
        read.twin,
        state,
        frozenset(read.running),
        frozenset(read.delayed),
        handle(read.good),
        handle(read.rejected),
        handle(read.cause),
        read.rate_per_h,
    )


def _guessed(structure: Structure) -> Iterator[WorkUnit]:
    for twin in structure.twins:
        points = {p.name.lower(): p for p in structure.points_of(twin)}
        state = _first(points, _STATES)
        good = _first(points, _GOOD)
        if state is None or good is None or state.type.kind not in (Kind.ENUM, Kind.INT):
            continue
        running, delayed = _codes(state.type)
        rejected, cause = _first(points, _REJECTED), points.get("cause")
        speed = _first(points, _SPEEDS)
        yield WorkUnit(
            twin,
            state.handle,
            running,
            delayed,
            good.handle,
            rejected.handle if rejected else None,
            cause.handle if cause and cause.type.kind is Kind.TEXT else None,
            speed.type.high if speed else None,
            is_guessed=True,
        )


def _codes(state: PointType) -> tuple[frozenset[int], frozenset[int]]:
    """The codes in which a unit runs, and waits: by label, else those of PackML."""
    running = {code for code, label in state.labels if label.lower() in RUNNING_LABELS}
    delayed = {code for code, label in state.labels if label.lower() in DELAYED_LABELS}
    if not running:
        return frozenset(_PACKML_RUNNING), frozenset(_PACKML_DELAYED)
    return frozenset(running), frozenset(delayed)


def _first(points: dict[str, PointOf], names: tuple[str, ...]) -> PointOf | None:
    return next((points[name] for name in names if name in points), None)
