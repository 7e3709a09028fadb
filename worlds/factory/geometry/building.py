"""The building: its ground with yard and walls, and the floor of each part with what stands in it
for good. Everything is drawn about the part's own middle."""

from __future__ import annotations

from typing import Final

from ...bottling_line.geometry.glb import Material, Node
from ...bottling_line.geometry.shapes import Shape, box, merge, quad
from ..layout import LENGTH_M, WIDTH_M, Zone

HEIGHT_M: Final = 7.5
BAY_M: Final = 24.0

GRASS: Final = Material("lawn", "#8aa568", 0.0, 0.97)
YARD: Final = Material("yard", "#a3a5a4", 0.0, 0.9)
ROAD: Final = Material("road", "#84878a", 0.0, 0.9)
WALL: Final = Material("wall", "#e2e6e8", 0.0, 0.8)
PLINTH: Final = Material("wall-base", "#6d8797", 0.0, 0.7)
WINDOW: Final = Material("window", "#a9cbe0", 0.0, 0.1, emissive="#5f7c8c")
COLUMN: Final = Material("column", "#8d969c", 0.2, 0.6)
WHITE: Final = Material("marking-white", "#eceeee", 0.0, 0.7)
YELLOW: Final = Material("marking-yellow", "#e7b416", 0.0, 0.6)
RACK: Final = Material("rack", "#2f5f8f", 0.2, 0.5)
LOAD: Final = Material("load", "#b9905f", 0.0, 0.9)
LOAD_PALE: Final = Material("load-pale", "#d3c4a4", 0.0, 0.9)
PARTITION: Final = Material("partition", "#cfd9dd", 0.0, 0.5)
TANK: Final = Material("tank", "#b7bec3", 0.6, 0.4)
DOOR: Final = Material("gate", "#4a5a66", 0.1, 0.6)

FLOORS: Final = {
    "production": Material("floor-production", "#c9cfd1", 0.0, 0.6),
    "storage": Material("floor-storage", "#bdb8ae", 0.0, 0.7),
    "aisle": Material("floor-aisle", "#9fb3a5", 0.0, 0.6),
    "service": Material("floor-service", "#d8d3c8", 0.0, 0.7),
}


def ground() -> Node:
    """Lawn, yard, walls that are seen from inside only, columns; from the building's corner."""
    root = Node("ground")
    x, z = LENGTH_M / 2, WIDTH_M / 2
    root.add(GRASS, quad(LENGTH_M + 160.0, WIDTH_M + 150.0, -0.12).move(x, 0.0, z))
    root.add(YARD, quad(LENGTH_M + 44.0, WIDTH_M + 44.0, -0.08).move(x, 0.0, z))
    for side in (-1, 1):
        root.add(ROAD, quad(LENGTH_M + 160.0, 9.0, -0.05).move(x, 0.0, z + side * (z + 34.0)))
        root.add(ROAD, quad(9.0, WIDTH_M + 77.0, -0.05).move(x + side * (x + 34.0), 0.0, z))
    for length, yaw, at_x, at_z in (
        (LENGTH_M, 0.0, x, 0.0), (LENGTH_M, 180.0, x, WIDTH_M),
        (WIDTH_M, 90.0, 0.0, z), (WIDTH_M, -90.0, LENGTH_M, z),
    ):  # fmt: skip
        for material, shape in _wall(length):
            root.add(material, shape.turn("y", yaw).move(at_x, 0.0, at_z))
    gates = [box(0.3, 4.2, 3.6, 0.05).move(0.1, 0.0, 4.0 + 5.0 * i) for i in range(4)]
    gates += [box(0.3, 4.2, 3.6, 0.05).move(LENGTH_M - 0.1, 0.0, 190.0 + 5.0 * i) for i in (0, 1)]
    root.add(DOOR, *gates)
    columns = [
        _post(0.4, HEIGHT_M, 0.4).move(BAY_M * i + 14.0, 0.0, 25.0 * k)
        for i in range(int(LENGTH_M / BAY_M))
        for k in range(1, int(WIDTH_M / 25.0))
    ]
    root.add(COLUMN, *columns)
    return root


def _wall(length: float) -> list[tuple[Material, Shape]]:
    """One face that looks along +z: plinth, wall, a band of windows."""

    def face(height: float, y: float, depth: float) -> Shape:
        return quad(length, height).turn("x", 90).move(y=y + height / 2, z=depth)

    return [
        (WALL, face(HEIGHT_M, 0.0, 0.0)),
        (PLINTH, face(1.2, 0.0, 0.02)),
        (WINDOW, face(1.4, 4.6, 0.02)),
    ]


def _post(x: float, y: float, z: float) -> Shape:
    """A plain block: it is far too often there to have its edges broken."""
    return box(x, y, z, 0.0)


def zone(part: Zone) -> Node:
    """The floor of a part of the building, edged, and its fixed contents."""
    root = Node(f"zone-{part.id}")
    width, depth = part.x1_m - part.x0_m, part.z1_m - part.z0_m
    root.add(FLOORS[part.kind], quad(width, depth, 0.0))
    edge = YELLOW if part.kind == "aisle" else WHITE
    for side in (-1, 1):
        root.add(edge, quad(width, 0.18, 0.012).move(0.0, 0.0, side * (depth / 2 - 0.12)))
        root.add(edge, quad(0.18, depth, 0.012).move(side * (width / 2 - 0.12), 0.0, 0.0))
    if part.id in ("store", "finished"):
        _racks(root, width, depth)
    elif part.id in ("goods-in", "dispatch"):
        _pallets(root, width, depth)
    elif part.id == "feeders":
        _benches(root, width, depth)
    elif part.id == "utilities":
        _utilities(root, width, depth)
    elif part.kind == "service":
        _rooms(root, width, depth)
    elif part.kind == "aisle":
        _track(root, width, depth)
    return root


def _racks(root: Node, width: float, depth: float) -> None:
    """Rows of pallet racks along z with gangways between them."""
    rows = int((width - 6.0) / 5.2)
    length = depth - 8.0
    for i in range(rows):
        x = (i - (rows - 1) / 2) * 5.2
        root.add(RACK, *(_post(1.3, 0.14, length).move(x, 1.9 * k, 0.0) for k in (1, 2, 3)))
        loads = (_post(1.1, 1.3, length - 1.0).move(x, 0.1 + 1.93 * k, 0.0) for k in range(3))
        root.add(LOAD if i % 3 else LOAD_PALE, *loads)
        posts = int(length / 6.0)
        root.add(RACK, *(
            _post(1.3, 6.4, 0.12).move(x, 0.0, (k - posts / 2) * length / posts)
            for k in range(posts + 1)
        ))  # fmt: skip


def _pallets(root: Node, width: float, depth: float) -> None:
    for i in range(int((width - 8.0) / 4.0)):
        for k in range(max(1, int((depth - 6.0) / 5.0))):
            if (i * 7 + k * 3) % 5 < 3:
                high = 0.7 + 0.35 * ((i + 2 * k) % 3)
                at = (4.0 * i - width / 2 + 5.0, 0.0, 5.0 * k - depth / 2 + 4.0)
                root.add(LOAD_PALE if (i + k) % 2 else LOAD, _post(1.2, high, 1.0).move(*at))


def _benches(root: Node, width: float, depth: float) -> None:
    for i in range(int((width - 6.0) / 4.5)):
        for k in (-1, 1):
            x = 4.5 * i - width / 2 + 5.0
            root.add(PARTITION, _post(2.6, 0.9, 0.9).move(x, 0.0, k * depth / 4))
            root.add(TANK, _post(2.4, 0.7, 0.3).move(x, 0.9, k * depth / 4))


def _utilities(root: Node, width: float, depth: float) -> None:
    """Compressors, chillers, switchgear as blocks, and air handling on a row."""
    for i in range(4):
        x = (i - 1.5) * width / 4.4
        root.add(TANK, _post(8.0, 3.4, 4.0).move(x, 0.0, -depth / 4))
        root.add(PLINTH, _post(8.4, 0.3, 4.4).move(x, 0.0, -depth / 4))
        root.add(RACK, _post(11.0, 2.4, 3.0).move(x, 0.0, depth / 8))
        root.add(PARTITION, _post(12.0, 2.6, 1.4).move(x, 0.0, depth / 3))


def _rooms(root: Node, width: float, depth: float) -> None:
    """Rooms on a corridor: partitions as high as a door, desks in them."""
    walls, desks = [], []
    n = max(2, int(depth / 9.0))
    for i in range(n + 1):
        z = (i / n - 0.5) * (depth - 1.0)
        walls += [_post(width * 0.42, 2.4, 0.12).move(s * width * 0.27, 0.0, z) for s in (-1, 1)]
        if i < n:
            middle = z + depth / n / 2
            desks += [
                _post(1.6, 0.75, 0.8).move(s * (6.0 + 4.0 * k), 0.0, middle)
                for s in (-1, 1)
                for k in range(int((width * 0.48 - 8.0) / 4.0))
            ]
    walls += [_post(0.12, 2.4, depth - 1.0).move(s * width * 0.06, 0.0, 0.0) for s in (-1, 1)]
    root.add(PARTITION, merge(walls))
    root.add(TANK, merge(desks))


def _track(root: Node, width: float, depth: float) -> None:
    """The AGVs' two tracks."""
    for side in (-1.4, 1.4):
        if width > depth:
            root.add(WHITE, quad(width - 1.0, 0.1, 0.014).move(0.0, 0.0, side))
        else:
            root.add(WHITE, quad(0.1, depth - 1.0, 0.014).move(side, 0.0, 0.0))
