"""What the works makes: product families, their routings and nominal times, as the industrial
engineers wrote them down.

Public knowledge, as a bill of process is: the plant is built from it, and so is the twin. It knows
no state, no protocol and nothing hidden. All times are of a lot of `BOARDS_PER_LOT` boards, one
magazine, which is what moves through the works.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BOARDS_PER_LOT: Final = 40

Text = tuple[str, str]
"""English and German."""


@dataclass(frozen=True, slots=True)
class Family:
    """Products that share a routing and a set-up.

    Attributes:
        share: of the lots that are ordered.
        minutes: (area, nominal minutes of a lot) in the order of the routing. Both sides of a
            double-sided board are one visit to an SMT line.
    """

    id: str
    name: Text
    share: float
    minutes: tuple[tuple[str, float], ...]

    @property
    def route(self) -> tuple[str, ...]:
        """Areas that a sound lot passes, in order."""
        return tuple(area for area, _ in self.minutes)

    def minutes_at(self, area: str) -> float:
        """Nominal minutes in an area; KeyError."""
        return dict(self.minutes)[area]


FAMILIES: Final = (
    Family("controller", ("Controllers", "Steuerungen"), 0.24, (
        ("kitting", 6.0), ("smt", 27.0), ("tht", 38.0), ("ict", 9.0), ("coating", 8.0),
        ("assembly", 52.0), ("fct", 14.0), ("packing", 7.0),
    )),
    Family("drive", ("Drives", "Antriebe"), 0.14, (
        ("kitting", 8.0), ("smt", 24.0), ("tht", 62.0), ("ict", 11.0), ("coating", 9.0),
        ("assembly", 78.0), ("burn_in", 480.0), ("fct", 19.0), ("packing", 10.0),
    )),
    Family("sensor", ("Sensors", "Sensoren"), 0.22, (
        ("kitting", 4.0), ("smt", 15.0), ("ict", 7.0), ("assembly", 30.0), ("fct", 9.0),
        ("packing", 5.0),
    )),
    Family("gateway", ("Gateways", "Gateways"), 0.16, (
        ("kitting", 6.0), ("smt", 29.0), ("ict", 10.0), ("assembly", 46.0), ("burn_in", 480.0),
        ("fct", 16.0), ("packing", 7.0),
    )),
    Family("panel", ("Operator panels", "Bedientafeln"), 0.10, (
        ("kitting", 8.0), ("smt", 25.0), ("tht", 30.0), ("ict", 10.0), ("assembly", 84.0),
        ("fct", 18.0), ("packing", 10.0),
    )),
    Family("supply", ("Power supplies", "Netzgeräte"), 0.14, (
        ("kitting", 6.0), ("smt", 17.0), ("tht", 54.0), ("ict", 9.0), ("coating", 9.0),
        ("burn_in", 480.0), ("fct", 13.0), ("packing", 6.0),
    )),
)  # fmt: skip

BY_ID: Final = {family.id: family for family in FAMILIES}
