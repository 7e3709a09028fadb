"""Where the equipment of the line stands and along which curve the bottles travel.

Public knowledge, as a plant's layout drawing is: the plant takes belt lengths from it, the
world poses, the geometry its sizes. It knows no protocol, no state and nothing hidden.

Metres; x along the hall, y up, z across. The line is a U: row A flows along +x at
z = -3.5, turns, and row B flows along -x at z = +3.5. Every machine is described in a frame of
its own in which bottles travel along local +x at local z = 0 and the body stands behind
(local z < 0), so the operators' sides of both rows face each other across the aisle.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

BELT_Y_M: Final = 0.95
ROW_M: Final = 3.5
"""Half the distance between the two rows, and the radius of the turn between them."""

BOTTLE_DIAMETER_M: Final = 0.070
BOTTLE_HEIGHT_M: Final = 0.260
BOTTLE_PITCH_M: Final = 0.074
"""Distance of bottles that touch on a belt."""
STATION_PITCH_M: Final = 0.1 * math.pi
"""Distance of bottles in all rotary machines: carousels and star wheels mesh."""
CARTON_PITCH_M: Final = 0.46
BOTTLES_PER_CARTON: Final = 12

Point2 = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rotary:
    """The carousel of a rotary machine and its two star wheels, in the machine's frame.

    The carousel turns about -y, both star wheels about +y, all by one station a bottle.
    Depths are chosen so that a bottle's way is a whole number of stations.
    """

    stations: int
    pockets: int
    """Of each star wheel."""
    depth_m: float
    """Of the carousel's axis behind the line of travel."""

    @property
    def radius_m(self) -> float:
        """Pitch circle of the carousel."""
        return self.stations * STATION_PITCH_M / (2 * math.pi)

    @property
    def star_radius_m(self) -> float:
        """Pitch circle of the star wheels."""
        return self.pockets * STATION_PITCH_M / (2 * math.pi)

    @property
    def star_x_m(self) -> float:
        """Star axes stand at (-star_x, -star_radius) and (+star_x, -star_radius)."""
        reach = self.radius_m + self.star_radius_m
        return math.sqrt(reach**2 - (self.depth_m - self.star_radius_m) ** 2)

    def path(self, length_m: float) -> list[Point2]:
        """The curve of a bottle from (-length/2, 0) to (+length/2, 0)."""
        star, depth, x = self.star_radius_m, self.depth_m, self.star_x_m
        # Angles are measured from +z towards +x, the direction of the star wheels.
        lean = math.atan2(x, -(depth - star))
        points = [(-length_m / 2, 0.0)]
        points += arc((-x, -star), star, 0.0, lean)
        points += arc((0.0, -depth), self.radius_m, lean - math.pi, -lean - math.pi)
        points += arc((x, -star), star, -lean, 0.0)
        points.append((length_m / 2, 0.0))
        return points


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of equipment: its name in the plant, its asset, where it stands."""

    name: str
    kind: str
    """machine, conveyor, buffer, cartons (a conveyor of cartons) or service."""
    asset: str
    x_m: float
    z_m: float
    yaw_deg: float = 0.0
    length_m: float = 0.0
    local_path: tuple[Point2, ...] = field(default=(), repr=False)
    rotary: Rotary | None = None
    y_m: float = 0.0

    def to_world(self, point: Point2) -> Point2:
        """A point of the item's frame in the world's (x, z)."""
        yaw = math.radians(self.yaw_deg)
        x, z = point
        return (
            self.x_m + x * math.cos(yaw) + z * math.sin(yaw),
            self.z_m - x * math.sin(yaw) + z * math.cos(yaw),
        )

    @property
    def path(self) -> list[Point2]:
        """The bottles' curve through the item, in the world's (x, z)."""
        return [self.to_world(point) for point in self.local_path]

    @property
    def path_length_m(self) -> float:
        """How far a bottle travels through the item."""
        return polyline_length(self.local_path)

    @property
    def slots(self) -> int:
        """How many bottles a rotary machine holds between its infeed and its outfeed."""
        return round(self.path_length_m / STATION_PITCH_M)


def arc(
    centre: Point2, radius_m: float, start_rad: float, end_rad: float, step_m: float = 0.04
) -> list[Point2]:
    """Points on a circle; angles from +z towards +x."""
    n = max(4, math.ceil(abs(end_rad - start_rad) * radius_m / step_m))
    angles = (start_rad + (end_rad - start_rad) * i / n for i in range(n + 1))
    return [
        (centre[0] + radius_m * math.sin(a), centre[1] + radius_m * math.cos(a)) for a in angles
    ]


def polyline_length(points: tuple[Point2, ...] | list[Point2]) -> float:
    """The length of a polyline."""
    return sum(math.dist(a, b) for a, b in itertools.pairwise(points))


def serpentine(passes: int, depth_m: float, spacing_m: float) -> list[Point2]:
    """An accumulation table: lanes to the back and to the front again, joined by half circles.

    Starts and ends on local z = 0; as long along x as `passes` times `spacing_m`.
    """
    radius = spacing_m / 2
    points: list[Point2] = [(0.0, 0.0)]
    points += arc((0.0, -radius), radius, 0.0, math.pi / 2, 0.03)
    for i in range(passes):
        x = radius + i * spacing_m
        near, far = -radius, -depth_m + radius
        if i % 2 == 0:
            points += [(x, near), (x, far)]
            if i < passes - 1:
                points += arc((x + radius, far), radius, -math.pi / 2, -3 * math.pi / 2, 0.03)
        else:
            points += [(x, far), (x, near)]
            if i < passes - 1:
                points += arc((x + radius, near), radius, -math.pi / 2, math.pi / 2, 0.03)
    end = passes * spacing_m
    points += arc((end, -radius), radius, -math.pi / 2, 0.0, 0.03)
    return without_repeats(points)


def without_repeats(points: list[Point2]) -> list[Point2]:
    """A polyline without points that lie on their forerunner."""
    kept = points[:1]
    kept += [b for a, b in itertools.pairwise(points) if math.dist(a, b) > 1e-6]
    return kept


def _machine(name: str, x: float, row: str, length: float, rotary: Rotary) -> Item:
    path = tuple(without_repeats(rotary.path(length)))
    z, yaw = (-ROW_M, 0.0) if row == "A" else (ROW_M, 180.0)
    return Item(name, "machine", name.lower(), x, z, yaw, length, path, rotary)


def _straight(name: str, kind: str, asset: str, start_x: float, end_x: float, z: float) -> Item:
    length = abs(end_x - start_x)
    yaw = 0.0 if end_x > start_x else 180.0
    return Item(name, kind, asset, start_x, z, yaw, length, ((0.0, 0.0), (length, 0.0)))


_TURN_PATH = tuple(without_repeats([(0.0, 0.0), *arc((2.8, ROW_M), ROW_M, math.pi, 0.0, 0.24)]))

DEPALLETISER = Item(
    "Depalletiser", "machine", "depalletiser", -16.0, -ROW_M, 0.0, 5.0, ((0.2, 0.0), (2.5, 0.0))
)
RINSER = _machine("Rinser", -7.9, "A", 3.2, Rotary(18, 6, 1.0211))
FILLER = _machine("Filler", -0.7, "A", 4.2, Rotary(24, 8, 1.4520))
CAPPER = _machine("Capper", 3.9, "A", 2.6, Rotary(12, 6, 0.8098))
LABELLER = _machine("Labeller", 0.8, "B", 3.2, Rotary(18, 6, 1.0211))
PACKER = Item("Packer", "machine", "packer", -7.3, ROW_M, 180.0, 4.0, ((-2.0, 0.0), (0.0, 0.0)))

CONVEYORS = (
    _straight("Conveyor1", "conveyor", "conveyor_1", -13.5, -9.5, -ROW_M),
    _straight("Conveyor2", "conveyor", "conveyor_2", -6.3, -2.8, -ROW_M),
    _straight("Conveyor3", "conveyor", "conveyor_3", 1.4, 2.6, -ROW_M),
    Item("Conveyor4", "conveyor", "conveyor_4", 5.2, -ROW_M, 0.0, 6.3, _TURN_PATH),
    Item("Buffer", "buffer", "buffer", 8.0, ROW_M, 180.0, 3.6, tuple(serpentine(12, 1.9, 0.3))),
    _straight("Conveyor5", "conveyor", "conveyor_5", 4.4, 2.4, ROW_M),
    _straight("Conveyor6", "conveyor", "conveyor_6", -0.8, -5.3, ROW_M),
)
CARTON_CONVEYOR = _straight("CartonConveyor", "cartons", "conveyor_7", -9.3, -17.3, ROW_M)

FLOW: Final = (
    DEPALLETISER,
    CONVEYORS[0],
    RINSER,
    CONVEYORS[1],
    FILLER,
    CONVEYORS[2],
    CAPPER,
    CONVEYORS[3],
    CONVEYORS[4],
    CONVEYORS[5],
    LABELLER,
    CONVEYORS[6],
    PACKER,
    CARTON_CONVEYOR,
)
"""All that bottles pass, in order; the last one carries cartons."""

SERVICES: Final = (
    Item("Cabinet", "service", "cabinet", -1.4, -9.5),
    Item("AirManifold", "service", "air_manifold", 6.4, -9.55),
    Item("compressor", "service", "air_station", 11.6, -7.6),
    Item("main_meter", "service", "main_meter", -4.4, -9.5),
)

HALL_M: Final = (-21.0, 15.5, -10.0, 9.0)
"""x from, x to, z from, z to."""

CARTONS_START_M: Final = 0.6
"""Cartons appear in the packer this far behind its middle, along the flow."""


def path_document() -> dict[str, Any]:
    """The content of `path.json`: where bottles travel, and how counters map to places.

    A segment belongs to the twin that has its asset for geometry.
    """

    def segment(item: Item, unit: str) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "name": item.name,
            "asset": item.asset,
            "kind": item.kind,
            "carries": unit,
            "length": round(item.path_length_m, 4),
            "points": [[round(x, 4), BELT_Y_M, round(z, 4)] for x, z in item.path],
        }
        if item.rotary is not None:
            entry |= {"slots": item.slots, "pitch": round(STATION_PITCH_M, 5)}
        elif item.kind == "cartons":
            entry["pitch"] = CARTON_PITCH_M
        else:
            entry["pitch"] = BOTTLE_PITCH_M
        return entry

    return {
        "units": "m",
        "belt_y": BELT_Y_M,
        "bottle": {
            "asset": "bottle",
            "asset_low": "bottle_low",
            "diameter": BOTTLE_DIAMETER_M,
            "height": BOTTLE_HEIGHT_M,
            "pitch": BOTTLE_PITCH_M,
        },
        "carton": {"asset": "carton", "bottles": BOTTLES_PER_CARTON, "pitch": CARTON_PITCH_M},
        "segments": [
            segment(item, "carton" if item.kind == "cartons" else "bottle") for item in FLOW
        ],
    }


def write_path_document(path: Path) -> None:
    """Writes `path.json`."""
    path.write_text(json.dumps(path_document(), separators=(",", ":")) + "\n")
