"""Where everything stands: halls, stores and aisles of the building, docks and ways of the AGVs.

Public knowledge, as a site plan is. Metres; x along the building, z across, y up. The rectangles
below cover the ground floor of 365 m × 200 m without a gap, and none lies over another: the test
adds them up. It knows no protocol, no state and nothing hidden.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .areas import AREAS
from .products import Text

LENGTH_M: Final = 365.0
WIDTH_M: Final = 200.0
AISLE_M: Final = 8.0


@dataclass(frozen=True, slots=True)
class Zone:
    """A rectangle of the ground floor. `areas` work in it, side by side along z."""

    id: str
    name: Text
    kind: str
    """production, storage, aisle or service."""
    x0_m: float
    z0_m: float
    x1_m: float
    z1_m: float
    areas: tuple[str, ...] = ()

    @property
    def area_m2(self) -> float:
        """Its floor."""
        return (self.x1_m - self.x0_m) * (self.z1_m - self.z0_m)

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle, (x, z)."""
        return ((self.x0_m + self.x1_m) / 2, (self.z0_m + self.z1_m) / 2)


Z = Zone
ZONES: Final = (
    Z("goods-in", ("Goods in", "Wareneingang"), "storage", 0, 0, 84, 24),
    Z("store", ("Material store", "Materiallager"), "storage", 0, 24, 84, 160),
    Z("kitting", ("Kitting", "Kommissionierung"), "production", 0, 160, 84, 200, ("kitting",)),
    Z("aisle-west", ("West aisle", "Westgang"), "aisle", 84, 0, 92, 200),
    Z("smt", ("SMT hall", "SMT-Halle"), "production", 92, 0, 192, 112, ("smt",)),
    Z("feeders", ("Feeder preparation", "Rüstplatz"), "production", 92, 112, 192, 128),
    Z("aisle-cross-west", ("Cross aisle, west", "Quergang West"), "aisle", 92, 128, 192, 136),
    Z("tht", ("Through-hole hall", "THT-Halle"), "production", 92, 136, 192, 164, ("tht",)),
    Z("coating", ("Coating", "Lackierung"), "production", 92, 164, 192, 184, ("coating",)),
    Z("ict", ("In-circuit test", "In-Circuit-Test"), "production", 92, 184, 192, 200,
      ("ict", "repair_ict")),
    Z("aisle-middle", ("Middle aisle", "Mittelgang"), "aisle", 192, 0, 200, 200),
    Z("burn-in", ("Burn-in", "Burn-in"), "production", 200, 0, 280, 44, ("burn_in",)),
    Z("fct", ("Functional test", "Funktionstest"), "production", 200, 44, 280, 68,
      ("fct", "repair_fct")),
    Z("utilities", ("Utilities", "Technik"), "service", 200, 68, 280, 128),
    Z("aisle-cross-east", ("Cross aisle, east", "Quergang Ost"), "aisle", 200, 128, 280, 136),
    Z("assembly", ("Assembly hall", "Montagehalle"), "production", 200, 136, 280, 200,
      ("assembly",)),
    Z("aisle-east", ("East aisle", "Ostgang"), "aisle", 280, 0, 288, 200),
    Z("offices", ("Offices and canteen", "Büros und Kantine"), "service", 288, 0, 365, 96),
    Z("workshop", ("Workshop", "Werkstatt"), "service", 288, 96, 365, 136),
    Z("packing", ("Packing", "Verpackung"), "production", 288, 136, 365, 156, ("packing",)),
    Z("finished", ("Finished goods", "Fertigwarenlager"), "storage", 288, 156, 365, 188),
    Z("dispatch", ("Dispatch", "Versand"), "storage", 288, 188, 365, 200),
)  # fmt: skip

GROSS_M2: Final = LENGTH_M * WIDTH_M
ZONE_OF: Final = {area: zone for zone in ZONES for area in zone.areas}


# --- machines --------------------------------------------------------------------------------


def places(area: str, n: int) -> list[tuple[float, float]]:
    """Where `n` machines of an area stand, (x, z): in rows along x, the area's share of its zone.

    Raises:
        ValueError: there is no such area.
    """
    if area not in ZONE_OF:
        raise ValueError(f"'{area}' is no area; there are {', '.join(a.id for a in AREAS)}")
    zone = ZONE_OF[area]
    lane = zone.areas.index(area)
    shares = [2.0, 1.0] if len(zone.areas) == 2 else [1.0]
    x0, x1 = zone.x0_m + 3.0, zone.x1_m - 3.0
    span = x1 - x0
    start = x0 + span * sum(shares[:lane]) / sum(shares)
    width = span * shares[lane] / sum(shares)
    depth = zone.z1_m - zone.z0_m - 4.0
    # As nearly as square as the machine's own shape wants: lines are long along x.
    aspect = 4.2 if area == "smt" else 1.2
    rows = min(n, max(1, round(math.sqrt(n * depth * aspect / width))))
    columns = math.ceil(n / rows)
    return [
        (
            round(start + width * (i % columns + 0.5) / columns, 2),
            round(zone.z0_m + 2.0 + depth * (i // columns + 0.5) / rows, 2),
        )
        for i in range(n)
    ]


# --- ways of the AGVs ------------------------------------------------------------------------

SPEED_M_S: Final = 1.2
HANDLING_S: Final = 20.0
"""To take a lot up, and to put it down."""
DOCKS: Final = {
    "kitting": (88.0, 180.0), "smt": (150.0, 132.0), "tht": (120.0, 132.0),
    "coating": (196.0, 174.0), "ict": (196.0, 190.0), "repair_ict": (196.0, 196.0),
    "burn_in": (196.0, 30.0), "fct": (196.0, 54.0), "repair_fct": (284.0, 54.0),
    "assembly": (240.0, 132.0), "packing": (284.0, 146.0),
}  # fmt: skip
"""Where an area's lots are picked up and put down, (x, z), on an aisle's middle line."""
_CROSSINGS: Final = {"west": (88.0, 132.0), "middle": (196.0, 132.0), "east": (284.0, 132.0)}
_LINES: Final = (
    ("aisle-west", "x", 88.0, 132.0, 200.0),
    ("aisle-cross-west", "z", 132.0, 88.0, 196.0),
    ("aisle-middle-north", "x", 196.0, 0.0, 132.0),
    ("aisle-middle-south", "x", 196.0, 132.0, 200.0),
    ("aisle-cross-east", "z", 132.0, 196.0, 284.0),
    ("aisle-east-north", "x", 284.0, 0.0, 132.0),
    ("aisle-east-south", "x", 284.0, 132.0, 200.0),
)
"""(stretch, which coordinate is fixed, its value, from, to)."""
STRETCHES: Final = tuple(name for name, *_ in _LINES)


@dataclass(frozen=True, slots=True)
class Way:
    """The shortest way between two docks, by stretches of aisle."""

    legs: tuple[tuple[str, float], ...]
    """(stretch, metres in it)."""
    points: tuple[tuple[float, float], ...]
    length_m: float
    """All of it; added up once, since a plant asks for it at every trip."""


def _edges() -> dict[str, list[tuple[str, str, float]]]:
    at = {**DOCKS, **_CROSSINGS}
    out: dict[str, list[tuple[str, str, float]]] = {name: [] for name in at}
    for stretch, fixed, value, start, end in _LINES:
        axis = 1 if fixed == "x" else 0
        on = sorted(
            (point[axis], name)
            for name, point in at.items()
            if point[1 - axis] == value and start <= point[axis] <= end
        )
        for (a, left), (b, right) in itertools.pairwise(on):
            out[left].append((right, stretch, b - a))
            out[right].append((left, stretch, b - a))
    return out


def _ways() -> dict[tuple[str, str], Way]:
    edges, found = _edges(), {}
    at = {**DOCKS, **_CROSSINGS}
    for start in DOCKS:
        best: dict[str, float] = {}
        due: list[tuple[float, str, tuple[tuple[str, float], ...], tuple[str, ...]]]
        due = [(0.0, start, (), (start,))]
        while due:
            length, here, legs, through = heapq.heappop(due)
            if here in best:
                continue
            best[here] = length
            if here in DOCKS:
                points = tuple(at[name] for name in through)
                found[start, here] = Way(legs, points, sum(metres for _, metres in legs))
            for there, stretch, metres in edges[here]:
                if there not in best:
                    step = (*legs, (stretch, metres))
                    heapq.heappush(due, (length + metres, there, step, (*through, there)))
    return found


WAYS: Final[Mapping[tuple[str, str], Way]] = _ways()
"""(dock, dock) → the way between them."""


# --- floor that a design needs ---------------------------------------------------------------

PLACE_M2: Final = 4.0
"""Of a waiting lot on its carrier, with the access to it."""
STORE_M2: Final = 2.1
"""Of the material of a lot."""
STORE_DAYS: Final = 5.0
FINISHED_M2: Final = 1.6
FINISHED_DAYS: Final = 1.5


def floor_m2(machines: Mapping[str, int], waiting: int, lots_per_day: float) -> float:
    """The floor that a works needs: machines, waiting lots, stores by what passes through, and
    what does not depend on them (aisles, docks, utilities, offices) as it is drawn.

    Args:
        machines: area → how many.
        waiting: places for lots that wait, in all.
        lots_per_day: that leave it, on a working day.
    """
    fixed = sum(
        zone.area_m2
        for zone in ZONES
        if zone.kind in ("aisle", "service") or zone.id in ("goods-in", "dispatch", "feeders")
    )
    own = sum(area.machine_m2 * machines[area.id] for area in AREAS)
    stored = lots_per_day * (STORE_DAYS * STORE_M2 + FINISHED_DAYS * FINISHED_M2)
    return fixed + own + waiting * PLACE_M2 + stored
