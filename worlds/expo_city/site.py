"""The expo's site as surveyed and designed: what everybody may know who has the drawings.

Quarters are eight sectors about a plaza; buildings stand in bands between ring roads; water
mains lie under the rings and avenues. The plant, the drawings and the mirror read the same plans.
Nothing hidden is in here: no seed but that of the drawings, no state, no protocol.

Coordinates are metres, x to the east, z to the south, y up; bearings are degrees clockwise from
north. A plan is a value and a function of its counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

N_QUARTERS: Final = 8
SECTOR_DEG: Final = 360.0 / N_QUARTERS
BANDS: Final = (155.0, 245.0, 335.0, 425.0, 515.0, 605.0, 695.0)
"""Radius of the middle of each band of plots."""
PER_QUARTER: Final = (2, 3, 5, 6, 7, 8, 9)
"""Plots of each band in one quarter."""
RINGS: Final = (110.0, 200.0, 290.0, 380.0, 470.0, 560.0, 650.0, 740.0)
"""Radius of each ring road; the third is the canal's."""
CANAL_RING: Final = 2
PLAZA_M: Final = 92.0
N_BUILDINGS_MAX: Final = 1 + N_QUARTERS * sum(PER_QUARTER)
POINTS_MAX: Final = 2_000_000
DRAWN: Final = 1851
"""Seed of what the drawings leave to taste (archetypes, floors): the same in every run."""

QUARTERS: Final = (
    ("Harbour", "Hafen"),
    ("Orchard", "Obstgarten"),
    ("Foundry", "Gießerei"),
    ("Observatory", "Sternwarte"),
    ("Mill", "Mühle"),
    ("Garden", "Garten"),
    ("Market", "Markt"),
    ("Lantern", "Laterne"),
)


@dataclass(frozen=True, slots=True)
class Archetype:
    """A form that buildings are drawn in; sizes of the drawing before it is scaled."""

    name: str
    english: str
    german: str
    floors: tuple[int, int]
    """Fewest and most."""
    storey_m: float
    width_m: float
    depth_m: float
    is_pavilion: bool
    """Whether visitors come for what is shown in it."""


ARCHETYPES: Final = (
    Archetype("sail", "Sail pavilion", "Segelpavillon", (2, 3), 5.5, 36.0, 32.0, True),
    Archetype("shell", "Shell pavilion", "Schalenpavillon", (2, 3), 5.5, 38.0, 34.0, True),
    Archetype("drum", "Drum pavilion", "Trommelpavillon", (3, 4), 5.0, 34.0, 34.0, True),
    Archetype("sawtooth", "Sawtooth hall", "Sheddachhalle", (2, 2), 6.5, 42.0, 34.0, True),
    Archetype("terrace", "Terrace house", "Terrassenhaus", (4, 6), 4.0, 34.0, 30.0, False),
    Archetype("tower", "Tower", "Turm", (10, 14), 3.8, 24.0, 24.0, False),
    Archetype("vault", "Vaulted hall", "Tonnenhalle", (2, 3), 5.0, 36.0, 40.0, True),
    Archetype("court", "Courtyard house", "Hofhaus", (3, 5), 4.2, 38.0, 38.0, False),
)
DOME: Final = Archetype("dome", "Great dome", "Große Kuppel", (3, 3), 8.0, 76.0, 76.0, True)
GATE: Final = Archetype("gate", "Gate hall", "Torhalle", (2, 2), 6.0, 54.0, 24.0, True)


@dataclass(frozen=True, slots=True)
class Building:
    """One building: where it stands, what it looks like, how many rooms each floor has."""

    number: int
    quarter: int
    archetype: Archetype
    x_m: float
    z_m: float
    yaw_deg: float
    """About y, counter-clockwise seen from above; 0: its front looks to the south (+z)."""
    floors: int
    rooms: tuple[int, ...]
    """Rooms of each floor."""
    pv_kw: float
    """Rated power of the photovoltaics on its roof; 0: none."""

    @property
    def id(self) -> str:
        """As it is called on the network: `B001`."""
        return f"B{self.number:03d}"

    @property
    def n_rooms(self) -> int:
        return sum(self.rooms)

    @property
    def area_m2(self) -> float:
        """Floor area."""
        return self.archetype.width_m * self.archetype.depth_m * self.floors * 0.8


@dataclass(frozen=True)
class Site:
    """The whole plan."""

    buildings: tuple[Building, ...]

    @cached_property
    def n_rooms(self) -> int:
        return sum(b.n_rooms for b in self.buildings)

    @cached_property
    def n_bands(self) -> int:
        """Bands that are built on."""
        reach = max(math.hypot(b.x_m, b.z_m) for b in self.buildings)
        return max(1, sum(r - 45.0 <= reach for r in BANDS))

    @cached_property
    def n_full_bands(self) -> int:
        """Bands that are built on all round."""
        built = np.cumsum([1, *(N_QUARTERS * n for n in PER_QUARTER)])
        return int((built <= len(self.buildings)).sum()) - 1

    @cached_property
    def pavilions(self) -> tuple[Building, ...]:
        return tuple(b for b in self.buildings if b.archetype.is_pavilion)


def place(radius_m: float, bearing_deg: float) -> tuple[float, float]:
    """(x, z) of a place by its distance from the middle and its bearing."""
    angle = math.radians(bearing_deg)
    return radius_m * math.sin(angle), -radius_m * math.cos(angle)


def quarter_of(bearing_deg: float) -> int:
    """The quarter that a bearing lies in."""
    return int(bearing_deg % 360.0 // SECTOR_DEG)


def plan(n_buildings: int, n_rooms: int) -> Site:
    """The plan for a number of buildings that have so many rooms together.

    Raises:
        ValueError: there are more buildings than plots, or fewer rooms than floors.
    """
    if not 1 <= n_buildings <= N_BUILDINGS_MAX:
        raise ValueError(f"buildings={n_buildings}: the site has 1 to {N_BUILDINGS_MAX} plots")
    rng = np.random.default_rng(DRAWN)
    plots = _plots()[:n_buildings]
    rows = []
    for number, (radius, bearing) in enumerate(plots, 1):
        archetype = _archetype(number, radius, rng)
        floors = int(rng.integers(archetype.floors[0], archetype.floors[1] + 1))
        has_pv = bool(rng.random() < 0.6)
        rows.append((number, radius, bearing, archetype, floors, has_pv))
    floors_in_all = sum(row[4] for row in rows)
    if n_rooms < floors_in_all:
        raise ValueError(
            f"points: {n_buildings} buildings have {floors_in_all} floors, each needs a room;"
            " ask for more points or fewer buildings"
        )
    areas = np.array([a.width_m * a.depth_m * f for _, _, _, a, f, _ in rows])
    share = _shares(areas, [row[4] for row in rows], n_rooms)
    buildings = []
    for (number, radius, bearing, archetype, floors, has_pv), n in zip(rows, share, strict=True):
        x, z = place(radius, bearing)
        each, rest = divmod(int(n), floors)
        rooms = tuple(each + (i < rest) for i in range(floors))
        pv_kw = round(archetype.width_m * archetype.depth_m * 0.09, 1) if has_pv else 0.0
        # Fronts look at the plaza, those of the gates at who comes.
        yaw = -bearing if archetype is not GATE else 180.0 - bearing
        buildings.append(
            Building(
                number, quarter_of(bearing), archetype, round(x, 2), round(z, 2),
                round(yaw % 360.0, 3), floors, rooms, pv_kw,
            )
        )  # fmt: skip
    return Site(tuple(buildings))


def _plots() -> list[tuple[float, float]]:
    """(radius, bearing) of every plot, in the order in which they are built on: the plaza, then
    band by band; of the outer bands first the two at the gates, north and south."""
    plots = [(0.0, 1.0)]
    for radius, per_quarter in zip(BANDS, PER_QUARTER, strict=True):
        step = SECTOR_DEG / per_quarter
        band = [
            (radius, quarter * SECTOR_DEG + (i + 0.5) * step)
            for quarter in range(N_QUARTERS)
            for i in range(per_quarter)
        ]
        if radius > 500.0:
            band.sort(key=lambda p: min(abs(p[1] - 181.0), abs(p[1] - 1.0)))
        plots += band
    # Plazas lie before the gates: the first two of the fifth band stand on the axis itself.
    gates = [(BANDS[4], 180.0), (BANDS[4], 0.0)]
    first = 1 + N_QUARTERS * sum(PER_QUARTER[:4])
    plots[first : first + 2] = gates
    return plots


def _archetype(number: int, radius: float, rng: np.random.Generator) -> Archetype:
    if radius < 1.0:
        return DOME
    if number in (130, 131):
        return GATE
    weights = np.array([a.is_pavilion * 1.5 + 0.8 for a in ARCHETYPES])
    if radius > 380.0:  # offices, hotels and dwellings stand outside
        weights = np.array([0.7 if a.is_pavilion else 2.0 for a in ARCHETYPES])
    if radius < 200.0:  # nothing high beside the dome
        weights = np.array([float(a.is_pavilion) for a in ARCHETYPES])
    return ARCHETYPES[int(rng.choice(len(ARCHETYPES), p=weights / weights.sum()))]


def _shares(weights: np.ndarray, at_least: list[int], total: int) -> np.ndarray:
    """Whole numbers by weight that add up to `total` and are not less than each `at_least`."""
    low = np.array(at_least)
    ideal = weights / weights.sum() * total
    share = np.maximum(low, np.floor(ideal).astype(int))
    while (over := int(share.sum()) - total) > 0:
        at = np.argsort(low - share)[:over]
        share[at] = np.maximum(low[at], share[at] - 1)
    rest = total - int(share.sum())
    share[np.argsort(share - ideal, kind="stable")[:rest]] += 1
    share[0] += total - int(share.sum())
    return share
