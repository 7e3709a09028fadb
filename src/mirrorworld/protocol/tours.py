"""Guided tours: what a sheet of kind `tour` says, as the page records it, read and checked.

    {"version": 1, "description": "…", "steps": [
        {"id": "a1", "title": "The filler", "text": "…", "twin": "line1/filler", "ago_s": 3600,
         "camera": {"position": [1, 2, 3], "target": [0, 1, 0]}}]}

Knows shapes and bounds; refuses to know whether what a step names is there: twins, looks and
branches come and go, and who looks may not see them all. A step names no other tour, so that none
can lead round in a circle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mirrorworld.protocol import written
from mirrorworld.protocol.boards import CameraAt, check_camera
from mirrorworld.world.model import Sheet
from mirrorworld.world.plain import from_plain

KIND: Final = "tour"
VERSION: Final = 1
STEPS_MAX: Final = 100
HIGHLIGHTS_MAX: Final = 200
TITLE_LENGTH_MAX: Final = 120
TEXT_LENGTH_MAX: Final = 2_000
MODES: Final = ("", "orbit", "walk", "map")
DURATION_S_MAX: Final = 600
AGO_S_MAX: Final = 366 * 86_400
SPEED_MAX: Final = 1_000
_AT_MS_MAX: Final = 8_640_000_000_000_000
"""As far as a date of ECMAScript reaches (ECMA-262 §21.4.1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TourStep:
    """One look at the world, with words."""

    id: str
    """Stays the step's own, so that two people can work on one tour."""
    title: str = ""
    text: str = ""
    """Words, as they are written: no markup."""
    camera: CameraAt | None = None
    """None: it flies to the twin, or stays where it is."""
    mode: str = ""
    """How one is there: orbit, walk or map; empty: orbit."""
    twin: str = ""
    """Id of the twin that is selected."""
    highlights: tuple[str, ...] = ()
    """Ids of twins that glow."""
    look: str = ""
    """Name of the visual rules that colour the scene."""
    branch: str = ""
    """Id of the branch that is shown; empty: the world itself."""
    at_ms: int = 0
    """Moment that is shown, Unix milliseconds; 0: now, or as `ago_s` says."""
    ago_s: int = 0
    """Seconds before now, for what is told of whatever has been lately."""
    speed: float = 0
    """Seconds of the past that pass in a second; 0: it stands still."""
    duration_s: float = 0
    """How long it lasts when it plays by itself; 0: as long as its words take to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tour:
    """A tour as it is written down."""

    description: str = ""
    steps: tuple[TourStep, ...] = ()
    is_endless: bool = False
    """Whether it begins again after its last step when it plays by itself, as on a wall."""
    version: int = VERSION


def read(sheet: Sheet) -> Tour:
    """The tour of a sheet.

    Raises:
        ValueError: it is none; the message names the tour, the place in it and the mend.
    """
    place = written.place_of(sheet)
    known = written.opened(sheet, ("description", "is_endless", "steps"), VERSION)
    rows = written.rows(known, "steps", STEPS_MAX, sheet)
    head = {key: known[key] for key in ("description", "is_endless") if key in known}
    tour = from_plain(Tour, head, place)
    written.short(tour.description, TEXT_LENGTH_MAX, f"{place}.description")
    steps = tuple(from_plain(TourStep, row, f"{place}.steps[{i}]") for i, row in enumerate(rows))
    written.own_ids([step.id for step in steps], "steps", "step", sheet)
    for i, step in enumerate(steps):
        _check(step, f"{place}.steps[{i}]")
    return Tour(description=tour.description, is_endless=tour.is_endless, steps=steps)


def _check(step: TourStep, place: str) -> None:
    written.short(step.title, TITLE_LENGTH_MAX, f"{place}.title")
    written.short(step.text, TEXT_LENGTH_MAX, f"{place}.text")
    if step.camera is not None:
        check_camera(step.camera, f"{place}.camera")
    if step.mode not in MODES:
        raise ValueError(f"{place}.mode: '{step.mode[:20]}'; it may be orbit, walk or map")
    written.within(len(step.highlights), 0, HIGHLIGHTS_MAX, f"{place}.highlights")
    for name in (step.twin, step.look, step.branch, *step.highlights):
        written.short(name, written.ID_LENGTH_MAX, place)
    written.within(step.at_ms, 0, _AT_MS_MAX, f"{place}.at_ms")
    written.within(step.ago_s, 0, AGO_S_MAX, f"{place}.ago_s")
    if step.at_ms and step.ago_s:
        raise ValueError(f"{place}: at_ms and ago_s are two moments; give one of them")
    written.within(step.speed, 0, SPEED_MAX, f"{place}.speed")
    written.within(step.duration_s, 0, DURATION_S_MAX, f"{place}.duration_s")
