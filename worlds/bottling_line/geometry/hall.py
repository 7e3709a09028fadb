"""The hall: floor with markings, two walls, columns, and what stands about.

Two walls only, and seen from inside only, so that the line can be looked at from outside. The
origin is the world's.
"""

from __future__ import annotations

from ..layout import CARTON_CONVEYOR, HALL_M, ROW_M
from .glb import Material, Node
from .handling import add_pallet
from .materials import (
    ANTHRACITE,
    BLACK,
    CARDBOARD,
    CARDBOARD_PRINT,
    FLOOR,
    GREY,
    LIGHT,
    PIPE_BLUE,
    RED,
    STEEL,
    STEEL_DARK,
    WHITE,
    YELLOW,
)
from .shapes import Shape, box, cylinder, merge, quad, tube

HEIGHT_M = 5.4
WALL = Material("wall", "#dfe4e6", 0.0, 0.8)
WALL_LOW = Material("wall-base", "#7f96a6", 0.0, 0.6)
WINDOW = Material("window", "#a9cbe0", 0.0, 0.1, emissive="#5f7c8c")
MARK = Material("floor-yellow", "#e7b416", 0.0, 0.6)
MARK_WHITE = Material("floor-white", "#e6e9ea", 0.0, 0.6)
WALKWAY = Material("floor-green", "#5d8f77", 0.0, 0.55)


def hall() -> Node:
    """The whole of it."""
    root = Node("hall")
    x0, x1, z0, z1 = HALL_M
    width, depth, middle_x, middle_z = x1 - x0, z1 - z0, (x0 + x1) / 2, (z0 + z1) / 2
    root.add(FLOOR, quad(width, depth).move(middle_x, 0.0, middle_z))
    root.add(GREY, box(width, 0.16, depth, 0.01).move(middle_x, -0.165, middle_z))
    _walls(root, x0, x1, z0, z1)
    _markings(root, x0, x1, z1)
    for x in (x0 + 0.2, x0 + 9.3, x0 + 18.4, x0 + 27.5, x1 - 0.2):
        _column(root, x, z0 + 0.22)
    _overhead(root, x0, x1, z0)
    _stores(root)
    return root


def _walls(root: Node, x0: float, x1: float, z0: float, z1: float) -> None:
    width, depth = x1 - x0, z1 - z0
    back = _wall(width).move((x0 + x1) / 2, 0, z0)
    left = _wall(depth).turn("y", 90).move(x0, 0, (z0 + z1) / 2)
    for shape, length, place in (
        (back, width, lambda s: s.move((x0 + x1) / 2, 0, z0)),
        (left, depth, lambda s: s.turn("y", 90).move(x0, 0, (z0 + z1) / 2)),
    ):
        root.add(WALL, shape)
        root.add(WALL_LOW, place(box(length, 1.1, 0.02, 0.004)))
        root.add(WHITE, place(box(length, 0.06, 0.04, 0.008).move(y=1.1)))
        root.add(STEEL_DARK, place(box(length, 0.12, 0.12, 0.01).move(y=HEIGHT_M)))
        n = int(length / 3.0)
        for i in range(n):
            x = (i - (n - 1) / 2) * length / n
            root.add(WINDOW, place(box(length / n - 0.5, 1.1, 0.02, 0.004).move(x, 3.6, 0.012)))
            frame = [
                box(length / n - 0.4, 0.05, 0.06, 0.006).move(x, y, 0.02) for y in (3.56, 4.68)
            ]
            frame += [
                box(0.05, 1.15, 0.06, 0.006).move(x + s * (length / n - 0.45) / 2, 3.57, 0.02)
                for s in (-1, 0, 1)
            ]
            root.add(ANTHRACITE, place(merge(frame)))
    # The gate to dispatch, where the cartons leave: strips over a dark opening.
    z = CARTON_CONVEYOR.z_m
    root.add(BLACK, box(0.03, 2.6, 2.4, 0.004).move(x0 + 0.02, 0.0, z))
    root.add(
        YELLOW, *(box(0.08, 2.7, 0.12, 0.01).move(x0 + 0.05, 0, z + s * 1.25) for s in (-1, 1))
    )
    root.add(YELLOW, box(0.08, 0.14, 2.62, 0.01).move(x0 + 0.05, 2.62, z))
    strip = Material("strip", "#c4dbe2", 0.0, 0.15, alpha=0.45, is_double_sided=True)
    root.add(
        strip,
        *(box(0.006, 2.3, 0.2, 0.001).move(x0 + 0.1, 0.3, z + (i - 5) * 0.225) for i in range(11)),
    )


def _wall(length: float) -> Shape:
    """One face that looks along +z."""
    face = quad(length, HEIGHT_M).turn("x", 90)
    return face.move(y=HEIGHT_M / 2)


def _markings(root: Node, x0: float, x1: float, z1: float) -> None:
    def line(length: float, width: float, x: float, z: float, material: Material = MARK) -> None:
        root.add(material, quad(length, width, 0.004).move(x, 0.0, z))

    # The aisle between the rows, edged; zones about both rows.
    aisle = ROW_M - 1.65
    root.add(WALKWAY, quad(22.5, 1.5, 0.003).move(-5.6, 0.0, 0.0))
    for side in (-1, 1):
        line(22.5, 0.09, -5.6, side * 0.8, MARK_WHITE)
        line(25.5, 0.1, -4.4, side * aisle)
    for x in (x0 + 0.9, x1 - 0.9):
        root.add(MARK, quad(0.1, 15.0, 0.004).move(x, 0.0, -0.5))
    line(x1 - x0 - 1.8, 0.1, (x0 + x1) / 2, z1 - 1.9)
    line(x1 - x0 - 1.8, 0.1, (x0 + x1) / 2, z1 - 0.4)
    for i in range(18):
        stripe = quad(0.1, 0.9, 0.005).turn("y", 45)
        root.add(MARK, stripe.move(-20.2 + 0.32 * i, 0.0, 6.3))
    for x in (-16.8, -13.9, -11.0):
        for side in (-1, 1):
            line(2.2, 0.08, x, 6.55 + side * 0.0, MARK_WHITE) if side > 0 else None


def _column(root: Node, x: float, z: float) -> None:
    root.add(STEEL_DARK, box(0.03, HEIGHT_M, 0.3, 0.004).move(x, 0, z))
    root.add(
        STEEL_DARK, *(box(0.24, HEIGHT_M, 0.03, 0.004).move(x, 0, z + s * 0.15) for s in (-1, 1))
    )
    for k in range(4):
        root.add(
            YELLOW if k % 2 == 0 else BLACK,
            box(0.26, 0.28, 0.345, 0.006).move(x, 0.02 + 0.28 * k, z),
        )
    root.add(STEEL_DARK, box(0.44, 0.03, 0.5, 0.006).move(x, 0, z))


def _overhead(root: Node, x0: float, x1: float, z0: float) -> None:
    """Cable tray, air main and lamps along the back wall."""
    length, middle = x1 - x0 - 0.6, (x0 + x1) / 2
    for y, z in ((2.62, z0 + 0.12), (2.62, z0 + 0.5)):
        root.add(STEEL_DARK, box(length, 0.09, 0.012, 0.002).move(middle, y, z))
    rungs = box(0.03, 0.012, 0.38, 0.002).row(int(length / 0.6), x=0.6)
    root.add(STEEL_DARK, rungs.move(x0 + 0.5, 2.63, z0 + 0.31))
    for k, material in enumerate((BLACK, ANTHRACITE, RED)):
        z = z0 + 0.22 + 0.08 * k
        root.add(material, tube([(x0 + 0.4, 2.665, z), (x1 - 0.4, 2.665, z)], 0.022, 6))
    root.add(PIPE_BLUE, tube([(x0 + 0.4, 3.1, z0 + 0.25), (x1 - 1.0, 3.1, z0 + 0.25)], 0.045, 10))
    root.add(STEEL, tube([(x0 + 0.4, 3.32, z0 + 0.25), (x1 - 0.4, 3.32, z0 + 0.25)], 0.06, 12))
    for i in range(9):
        x = x0 + 2.0 + i * (length - 3.2) / 8
        root.add(LIGHT, box(1.3, 0.05, 0.12, 0.01).move(x, 5.1, z0 + 0.55))
        root.add(STEEL_DARK, box(0.03, 0.03, 0.55, 0.004).move(x, 5.16, z0 + 0.28))


def _stores(root: Node) -> None:
    """Pallets of finished cartons and empty ones by the gate, an extinguisher, a bench."""
    box_node = Node("carton")
    box_node.add(CARDBOARD, box(0.39, 0.268, 0.32, 0.006))
    box_node.add(CARDBOARD_PRINT, box(0.2, 0.09, 0.3235, 0.0005).move(0, 0.09, 0))
    for at, (x, layers, columns) in enumerate(((-16.8, 5, 3), (-13.9, 4, 3), (-11.0, 2, 3))):
        place = Node(f"pallet_{at}")
        add_pallet(place, 1.2, 1.0)
        for material, shapes in place.shapes.items():
            root.add(material, *(s.move(x, 0.0, 7.3) for s in shapes))
        for material, shapes in box_node.shapes.items():
            one = merge(shapes)
            root.add(
                material,
                *(
                    one.move(x + (a - 1) * 0.4, 0.144 + 0.272 * y, 7.3 + (b - 1) * 0.33)
                    for y in range(layers)
                    for a in range(columns)
                    for b in range(3)
                    # The one in the middle is seen on top only.
                    if a != 1 or b != 1 or y == layers - 1
                ),
            )
    empty = Node("empty")
    add_pallet(empty, 1.2, 1.0)
    for material, shapes in empty.shapes.items():
        root.add(material, *(merge(shapes).row(5, y=0.145).move(-8.6, 0, 7.3),))
    root.add(
        RED,
        cylinder(0.08, 0.5, 18, 0.03).move(2.6, 0.55, -9.8),
        cylinder(0.08, 0.5, 18, 0.03).move(-20.6, 0.55, -3.0),
    )
    root.add(BLACK, tube([(2.6, 1.05, -9.8), (2.6, 1.12, -9.7), (2.68, 0.7, -9.7)], 0.012, 6, 0.05))
    root.add(RED, box(0.25, 0.25, 0.01, 0.002).move(2.6, 1.5, -9.97))
    # A bench with a screen for whoever looks after the line.
    root.add(GREY, box(1.6, 0.04, 0.7, 0.008).move(11.2, 0.88, 5.0))
    root.add(
        STEEL_DARK,
        *(
            box(0.05, 0.88, 0.05, 0.006).move(11.2 + a, 0, 5.0 + b)
            for a in (-0.72, 0.72)
            for b in (-0.28, 0.28)
        ),
    )
    root.add(
        ANTHRACITE,
        box(0.6, 0.36, 0.03, 0.008).move(11.2, 1.02, 5.15),
        box(0.2, 0.12, 0.12, 0.01).move(11.2, 0.92, 5.15),
    )
