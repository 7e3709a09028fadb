"""A design of the works: how many machines, which crew, which lots and rules, how much room.

What a planner may change, as one frozen value that is written, read and hashed. The first design
is what the industrial engineers drew; others are found by search (`improve.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from . import areas as equipment
from .layout import floor_m2


@dataclass(frozen=True, slots=True)
class Crew:
    """People of a shift with the same skills."""

    count: int
    skills: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Design:
    """A works as planned.

    Attributes:
        machines: (area, how many).
        crew: who is planned for each of the three shifts.
        campaign: lots of one family that are released one after the other.
        limit: lots in the works at once (constant work in progress).
        room: (area, lots that may wait before it).
        rule: which waiting lot a free machine takes: `fifo`, or `least_setup`.
        vehicles: AGVs.
    """

    name: str
    machines: tuple[tuple[str, int], ...]
    crew: tuple[Crew, ...]
    campaign: int
    limit: int
    room: tuple[tuple[str, int], ...]
    rule: str
    vehicles: int

    def __post_init__(self) -> None:
        """Says what cannot be built, before anything is."""
        for what, given in (("machines", dict(self.machines)), ("room", dict(self.room))):
            missing = [area for area in equipment.BY_ID if given.get(area, 0) < 1]
            if missing:
                raise ValueError(f"design {self.name}: {what} of {missing[0]}: give 1 or more")
        for skill in equipment.SKILLS:
            if not any(skill in crew.skills for crew in self.crew if crew.count > 0):
                raise ValueError(f"design {self.name}: nobody has the skill '{skill}'")
        if self.rule not in ("fifo", "least_setup"):
            raise ValueError(f"design {self.name}: rule '{self.rule}' is no fifo or least_setup")
        for name in ("campaign", "limit", "vehicles"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"design {self.name}: {name} {getattr(self, name)}: give 1 or more"
                )

    @property
    def people(self) -> int:
        """Planned for each shift."""
        return sum(crew.count for crew in self.crew)

    @property
    def labour_h_week(self) -> float:
        """Paid hours of a week."""
        return self.people * equipment.OPEN_S / 3600.0

    def floor_m2(self, lots_per_week: float) -> float:
        """The floor that it needs for so much output."""
        waiting = sum(n for _, n in self.room)
        return floor_m2(dict(self.machines), waiting, lots_per_week / 5.0)

    def with_machines(self, **counts: int) -> Design:
        """With other numbers of machines in some areas."""
        return replace(self, machines=tuple((dict(self.machines) | counts).items()))

    def to_json(self) -> str:
        """As canonical JSON: the same design gives the same text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def sha256(self) -> str:
        """Of its text."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def from_json(text: str) -> Design:
    """A design as `to_json` wrote it.

    Raises:
        ValueError: it is none.
    """
    try:
        told: dict[str, Any] = json.loads(text)
        told["machines"] = tuple((a, int(n)) for a, n in told["machines"])
        told["room"] = tuple((a, int(n)) for a, n in told["room"])
        told["crew"] = tuple(Crew(int(c["count"]), tuple(c["skills"])) for c in told["crew"])
        return Design(**told)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no design of a works: {error}") from error


def single(counts: Mapping[str, int]) -> tuple[Crew, ...]:
    """Crews of one skill each."""
    return tuple(Crew(count, (skill,)) for skill, count in counts.items())


DRAWN: Final = Design(
    name="as drawn",
    machines=(
        ("kitting", 6), ("smt", 20), ("tht", 23), ("ict", 9), ("repair_ict", 2), ("coating", 5),
        ("assembly", 36), ("burn_in", 30), ("fct", 14), ("repair_fct", 2), ("packing", 7),
    ),
    crew=single({
        "kitting": 6, "packing": 7, "smt": 6, "tht": 25, "test": 8, "repair": 4,
        "assembly": 39, "technician": 5,
    }),
    campaign=6,
    limit=360,
    room=(
        ("kitting", 8), ("smt", 60), ("tht", 40), ("ict", 24), ("repair_ict", 20),
        ("coating", 16), ("assembly", 60), ("burn_in", 60), ("fct", 40), ("repair_fct", 20),
        ("packing", 20),
    ),
    rule="least_setup",
    vehicles=32,
)  # fmt: skip

PILOT: Final = Design(
    name="pilot line",
    machines=(
        ("kitting", 1), ("smt", 3), ("tht", 4), ("ict", 2), ("repair_ict", 1), ("coating", 1),
        ("assembly", 6), ("burn_in", 5), ("fct", 3), ("repair_fct", 1), ("packing", 2),
    ),
    crew=single({
        "kitting": 3, "packing": 4, "smt": 3, "tht": 8, "test": 4, "repair": 4,
        "assembly": 10, "technician": 4,
    }),
    campaign=4,
    limit=60,
    room=tuple((area, 40) for area in equipment.BY_ID),
    rule="least_setup",
    vehicles=6,
)  # fmt: skip
"""A works of a seventh of the size that ran before: only allowances are learnt from it."""

DESIGNS: Final = {"drawn": DRAWN, "pilot": PILOT}


def design_of(said: str) -> Design:
    """A design by its name, or from its file.

    Raises:
        ValueError, OSError: there is none.
    """
    return DESIGNS[said] if said in DESIGNS else from_json(Path(said).read_text())
