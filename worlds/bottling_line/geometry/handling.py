"""Depalletiser, conveyors, accumulation table, packer, and what they carry."""

from __future__ import annotations

import itertools
import math

from ..layout import (
    BELT_Y_M,
    BOTTLE_HEIGHT_M,
    BOTTLES_PER_CARTON,
    CARTONS_START_M,
    Item,
    Point2,
)
from .frames import (
    bar_beside,
    belt,
    cabinet_base,
    foot,
    gear_motor,
    guards,
    operator_panel,
    rails,
)
from .glb import Node
from .materials import (
    BLACK,
    BLUE,
    CARDBOARD,
    CARDBOARD_PRINT,
    GREEN_PLASTIC,
    GREY,
    LIGHT,
    PET_PALE,
    PIPE_BLUE,
    RUBBER,
    STEEL,
    STEEL_DARK,
    TAPE,
    WHITE,
    WOOD,
    YELLOW,
    stack_light,
)
from .shapes import Shape, box, cylinder, lathe, merge, sweep, tube

LAYERS = 10
LAYER_ROWS = (12, 14)


def conveyor(item: Item) -> Node:
    """A belt for bottles along any path: chain, side frames, guide rails, legs, drive."""
    root = Node(item.asset)
    path = list(item.local_path)
    belt(root, path)
    for side in (-1, 1):
        plate = [
            (side * 0.052, -0.1),
            (side * 0.058, -0.1),
            (side * 0.058, -0.004),
            (side * 0.052, -0.004),
        ]
        root.add(STEEL, _along(path, plate))
        wear = [
            (side * 0.05, -0.03),
            (side * 0.066, -0.03),
            (side * 0.066, -0.018),
            (side * 0.05, -0.018),
        ]
        root.add(GREEN_PLASTIC, _along(path, wear))
    rails(root, path, (-0.047, 0.047))
    for x, z, yaw, i in _stations(path, 0.55):
        _bracket(root, x, z, yaw)
        if i % 3 == 1:
            _leg(root, x, z, yaw)
    x, z = path[-1]
    gear_motor(root, x - 0.22, 0.8, z - 0.09, 180)
    return root


def buffer(item: Item) -> Node:
    """The accumulation table: lanes of chain on one frame."""
    root = Node(item.asset)
    path = list(item.local_path)
    belt(root, path)
    rails(root, path, (-0.047, 0.047), (0.09,))
    depth = max(-z for _, z in path) + 0.15
    length = item.length_m
    frame_z = -depth / 2 + 0.1
    root.add(STEEL, box(length + 0.02, 0.012, depth + 0.06, 0.003).move(length / 2, 0.905, frame_z))
    for z in (frame_z - depth / 2 - 0.03, frame_z + depth / 2 + 0.03):
        root.add(STEEL, box(length + 0.04, 0.11, 0.02, 0.004).move(length / 2, 0.84, z))
    for x in (0.0, length):
        root.add(STEEL, box(0.02, 0.11, depth + 0.06, 0.004).move(x, 0.84, frame_z))
    beam = box(length - 0.1, 0.06, 0.06, 0.006)
    root.add(
        STEEL_DARK, *(beam.move(length / 2, 0.3, frame_z + side * depth / 2) for side in (-1, 1))
    )
    legs = [
        (x, frame_z + side * depth / 2)
        for x in (0.12, length / 2, length - 0.12)
        for side in (-1, 1)
    ]
    root.add(STEEL, *(box(0.06, 0.78, 0.06, 0.006).move(x, 0.08, z) for x, z in legs))
    root.add(STEEL_DARK, *(foot(0.1).move(x, 0, z) for x, z in legs))
    # The drive along the back, a guard over the bends, the pull cord along the front.
    back = frame_z - depth / 2
    root.add(WHITE, box(length - 0.2, 0.2, 0.22, 0.012).move(length / 2, 0.62, back - 0.1))
    for i in range(3):
        gear_motor(root, 0.6 + i * (length - 1.2) / 2, 0.5, back - 0.24, 180)
    root.add(
        BLUE,
        box(length * 0.4, 0.09, 0.006, 0.002).move(length / 2, 0.85, frame_z + depth / 2 + 0.042),
    )
    cord = [
        (0.1, 0.72, frame_z + depth / 2 + 0.06),
        (length - 0.1, 0.72, frame_z + depth / 2 + 0.06),
    ]
    root.add(YELLOW, tube(cord, 0.006, 6))
    stack_light(root, length - 0.12, 0.95, back - 0.02)
    return root


def carton_conveyor(item: Item) -> Node:
    """Driven rollers between side frames."""
    root = Node(item.asset)
    length = item.length_m
    n = int(length / 0.1)
    roller = cylinder(0.026, 0.4, 10, 0.0).turn("x", 90).move(y=BELT_Y_M - 0.026, z=-0.2)
    # They stand still: at this size turning could not be seen, and each would need a node.
    root.add(STEEL, roller.row(n, x=0.1).move(0.05))
    for side in (-1, 1):
        frame = [
            (side * 0.21, -0.12),
            (side * 0.235, -0.12),
            (side * 0.235, 0.015),
            (side * 0.21, 0.015),
        ]
        root.add(BLUE, _along([(0.0, 0.0), (length, 0.0)], frame))
        root.add(
            STEEL, bar_beside([(0.0, 0.0), (length, 0.0)], side * 0.225, BELT_Y_M + 0.12, 0.012, 8)
        )
    for i in range(int(length / 1.6) + 1):
        x = 0.2 + i * (length - 0.4) / int(length / 1.6)
        for side in (-1, 1):
            root.add(
                STEEL_DARK,
                box(0.05, 0.8, 0.05, 0.006).move(x, 0.05, side * 0.2),
                foot(0.06).move(x, 0, side * 0.2),
            )
            root.add(STEEL, box(0.02, 0.14, 0.02, 0.003).move(x, BELT_Y_M - 0.01, side * 0.225))
        root.add(STEEL_DARK, box(0.04, 0.04, 0.4, 0.004).move(x, 0.28, 0))
    gear_motor(root, length - 0.5, 0.76, -0.28, 180)
    return root


def depalletiser(item: Item) -> Node:
    """A portal over a pallet of bottles, a sweep carriage, and the table to the line."""
    root = Node(item.asset)
    # Frame: four columns, beams, and the lift's chains.
    x0, x1, z0, z1, top = -2.45, 0.35, -2.35, 0.35, 3.4
    columns = [(x, z) for x in (x0, x1) for z in (z0, z1)]
    root.add(BLUE, *(box(0.14, top, 0.14, 0.012).move(x, 0.0, z) for x, z in columns))
    root.add(STEEL_DARK, *(box(0.24, 0.02, 0.24, 0.004).move(x, 0.0, z) for x, z in columns))
    middle_x, middle_z = (x0 + x1) / 2, (z0 + z1) / 2
    for z in (z0, z1):
        root.add(BLUE, box(x1 - x0, 0.16, 0.12, 0.012).move(middle_x, top - 0.16, z))
    for x in (x0, x1):
        root.add(BLUE, box(0.12, 0.16, z1 - z0, 0.012).move(x, top - 0.16, middle_z))
    root.add(WHITE, box(0.7, 0.4, 0.5, 0.02).move(middle_x, top, middle_z))
    gear_motor(root, middle_x, top + 0.2, middle_z + 0.35)
    for x, z in columns:
        root.add(
            BLACK, box(0.02, top - 0.4, 0.05, 0.003).move(x + (0.08 if x < 0 else -0.08), 0.2, z)
        )
    guards(root, x0 - 0.3, x1 + 0.05, z0 - 0.3, z1 + 0.3, 0.1, 2.1, gap_z=0.2, has_roof=False)
    # The pallet with its layers; each goes when it has been swept off.
    pallet_x, pallet_z = middle_x - 0.1, middle_z
    pallet_node = root.child("pallet", (pallet_x, 0.16, pallet_z))
    add_pallet(pallet_node, 1.2, 1.0)
    rollers = cylinder(0.035, 1.3, 12).turn("x", 90).move(y=0.12, z=-0.65)
    root.add(STEEL, rollers.row(14, x=0.19).move(x0 + 0.15, 0.0, pallet_z))
    root.add(
        STEEL_DARK,
        *(box(2.8, 0.14, 0.06, 0.008).move(middle_x, 0.02, pallet_z + s * 0.68) for s in (-1, 1)),
    )
    for i in range(LAYERS):
        shows = {"point": "LayersRemaining", "kind": "count", "index": i}
        y = 0.32 + i * (BOTTLE_HEIGHT_M * 0.92 + 0.004)
        layer = root.child(f"layer_{i}", (pallet_x, y, pallet_z), extras={"shows": shows})
        layer.add(GREY, box(1.16, 0.006, 0.96, 0.001))
        bottle = lathe([(0.034, 0.006), (0.034, 0.14), (0.014, BOTTLE_HEIGHT_M * 0.9)], 6)
        columns_n, rows_n = LAYER_ROWS
        # Only what can be seen: the outer bottles, and all of the uppermost layer.
        places = [
            (a, b)
            for a in range(rows_n)
            for b in range(columns_n)
            if i == LAYERS - 1 or a in (0, rows_n - 1) or b in (0, columns_n - 1)
        ]
        layer.add(
            PET_PALE,
            *(
                bottle.move((a - (rows_n - 1) / 2) * 0.08, 0, (b - (columns_n - 1) / 2) * 0.078)
                for a, b in places
            ),
        )
    # Sweep carriage at the height of the layer that is being swept, drop table to the line.
    carriage = root.child("sweep", (0.0, 2.86, 0.0))
    carriage.add(STEEL, box(2.2, 0.1, 0.1, 0.01).move(middle_x + 0.05, 0.12, z0 + 0.4))
    carriage.add(STEEL, box(2.2, 0.1, 0.1, 0.01).move(middle_x + 0.05, 0.12, z1 - 0.4))
    carriage.add(
        YELLOW, box(0.06, 0.2, z1 - z0 - 0.7, 0.008).move(pallet_x - 0.72, -0.06, middle_z)
    )
    slope = tube(
        [(0.3, 2.7, middle_z), (0.75, 2.6, middle_z), (1.15, 1.1, -0.5), (1.3, 1.0, -0.3)],
        0.02,
        8,
        0.2,
    )
    root.add(STEEL, *(slope.move(z=0.12 * k) for k in range(-3, 4)))
    cabinet_base(root, 0.55, 2.35, -1.35, 0.3, 0.86)
    root.add(STEEL, box(1.75, 0.07, 1.2, 0.006).move(1.45, 0.862, -0.62))
    guards(root, 0.6, 2.3, -1.3, 0.27, 0.86, 1.9)
    belt(root, [(0.9, 0.0), (2.5, 0.0)])
    rails(root, [(1.0, 0.0), (2.5, 0.0)], (-0.047, 0.047))
    funnel = [(1.1, -1.1), (1.4, -0.5), (1.9, -0.06)]
    root.add(STEEL, bar_beside(funnel, 0.0, BELT_Y_M + 0.08, 0.008, 8))
    operator_panel(root, 2.1, 0.5)
    stack_light(root, x1, top, z1)
    ladder = [box(0.4, 0.02, 0.02, 0.003).move(-2.9, 0.3 + 0.28 * k, -2.9) for k in range(9)]
    root.add(
        YELLOW,
        *ladder,
        *(box(0.03, 2.7, 0.03, 0.004).move(-2.9 + s * 0.2, 0, -2.9) for s in (-1, 1)),
    )
    return root


def packer(item: Item) -> Node:
    """A gantry whose head lifts twelve bottles at a time from a grid into cartons."""
    root = Node(item.asset)
    x0, x1, z0, z1 = -1.85, 1.95, -1.9, 0.55
    cabinet_base(root, x0, x1, z0, z1, 0.84)
    guards(root, x0 + 0.03, x1 - 0.03, z0 + 0.03, z1 - 0.03, 0.84, 2.55, gap_z=0.26)
    belt(root, [(-2.0, 0.0), (-0.25, 0.0)])
    rails(root, [(-2.0, 0.0), (-0.5, 0.0)], (-0.047, 0.047))
    # The grid, and the carton lane out of the machine.
    root.add(STEEL, box(0.62, 0.11, 0.42, 0.006).move(-0.1, 0.84, -0.1))
    divider = box(0.5, 0.06, 0.004, 0.001)
    root.add(GREEN_PLASTIC, *(divider.move(-0.1, 0.95, -0.25 + 0.078 * k) for k in range(5)))
    roller = cylinder(0.026, 0.4, 12, 0.003).turn("x", 90).move(y=BELT_Y_M - 0.026, z=-0.2)
    start = CARTONS_START_M
    root.add(STEEL, roller.row(int((2.0 - start) / 0.1) + 1, x=0.1).move(start))
    for side in (-1, 1):
        root.add(
            BLUE, box(2.0 - start, 0.13, 0.025, 0.004).move((2.0 + start) / 2, 0.83, side * 0.222)
        )
    # Gantry: portal with a carriage; the head is the part that strokes.
    for z in (-0.75, 0.4):
        root.add(
            WHITE,
            box(0.12, 1.55, 0.12, 0.014).move(-0.75, 0.84, z),
            box(0.12, 1.55, 0.12, 0.014).move(1.4, 0.84, z),
        )
        root.add(WHITE, box(2.3, 0.14, 0.12, 0.014).move(0.32, 2.25, z))
    root.add(STEEL, box(0.22, 0.1, 1.2, 0.01).move(0.0, 2.2, -0.17))
    root.add(STEEL, box(0.12, 0.62, 0.12, 0.01).move(0.0, 1.62, -0.1))
    drives = {
        "point": "Speed",
        "kind": "stroke",
        "axis": [0, -1, 0],
        "length": 0.16,
        "bottles": BOTTLES_PER_CARTON,
    }
    head = root.child("head", (0.0, 1.45, -0.1), extras={"drives": drives})
    head.add(BLUE, box(0.46, 0.09, 0.3, 0.012).move(y=0.12))
    head.add(STEEL, box(0.1, 0.2, 0.1, 0.01).move(y=0.2))
    cup = merge(
        [
            cylinder(0.012, 0.1, 10).move(y=0.03),
            lathe([(0, 0), (0.022, 0), (0.024, 0.02), (0.014, 0.035)], 12),
        ]
    )
    head.add(
        BLACK,
        *(cup.move((a - 1.5) * 0.1, 0.0, (b - 1) * 0.09) for a in range(4) for b in range(3)),
    )
    hose = tube([(0.1, 0.24, 0), (0.3, 0.45, 0.05), (0.1, 0.75, 0.1)], 0.014, 8, 0.2)
    head.add(PIPE_BLUE, hose)
    # Magazine of flat carton blanks at the back.
    root.add(STEEL, box(1.3, 0.05, 0.6, 0.006).move(0.6, 1.0, -1.5))
    blank = box(0.008, 0.5, 0.46, 0.001)
    root.add(CARDBOARD, blank.turn("z", -12).row(44, x=0.022).move(0.15, 1.06, -1.5))
    root.add(STEEL, *(tube([(0.0, 1.3, z), (1.3, 1.3, z)], 0.01, 8) for z in (-1.76, -1.24)))
    root.add(LIGHT, box(1.6, 0.02, 0.08, 0.004).move(0, 2.48, 0.1))
    root.add(BLUE, box(1.5, 0.09, 0.01, 0.002).move(-0.5, 2.56, 0.56))
    root.add(WHITE, box(x1 - x0, 0.14, 0.07, 0.01).move((x0 + x1) / 2, 2.55, 0.52))
    operator_panel(root, 1.4, 0.72)
    stack_light(root, 1.75, 2.55, 0.3)
    return root


def carton(item_name: str = "carton") -> Node:
    """A closed carton of twelve bottles, origin at the middle of its base."""
    root = Node(item_name)
    root.add(CARDBOARD, box(0.4, 0.27, 0.32, 0.006))
    root.add(TAPE, box(0.404, 0.002, 0.05, 0.0005).move(y=0.269))
    root.add(
        CARDBOARD_PRINT,
        box(0.2, 0.09, 0.3235, 0.001).move(0, 0.09, 0),
        box(0.4035, 0.09, 0.16, 0.001).move(0, 0.09, 0),
    )
    return root


def add_pallet(node: Node, length: float, width: float) -> None:
    """A wooden pallet, origin at the middle of its underside."""
    node.add(
        WOOD,
        *(
            box(length, 0.022, 0.1, 0.003).move(0, 0.122, -width / 2 + 0.05 + i * (width - 0.1) / 5)
            for i in range(6)
        ),
    )
    node.add(
        WOOD,
        *(
            box(0.1, 0.078, 0.1, 0.004).move(a, 0.022, b)
            for a in (-length / 2 + 0.07, 0, length / 2 - 0.07)
            for b in (-width / 2 + 0.06, 0, width / 2 - 0.06)
        ),
    )
    node.add(
        WOOD,
        *(
            box(0.1, 0.022, width, 0.003).move(a, 0.1, 0)
            for a in (-length / 2 + 0.07, 0, length / 2 - 0.07)
        ),
    )
    node.add(
        WOOD,
        *(
            box(length, 0.022, 0.1, 0.003).move(0, 0, b)
            for b in (-width / 2 + 0.06, 0, width / 2 - 0.06)
        ),
    )


def pallet() -> Node:
    """An empty pallet."""
    root = Node("pallet")
    add_pallet(root, 1.2, 0.8)
    return root


def _along(path: list[Point2], section: list[tuple[float, float]]) -> Shape:
    return sweep(section, path, BELT_Y_M)


def _stations(path: list[Point2], every_m: float) -> list[tuple[float, float, float, int]]:
    """(x, z, yaw, number) at even distances along a path."""
    found: list[tuple[float, float, float, int]] = []
    lengths = [math.dist(a, b) for a, b in itertools.pairwise(path)]
    total = sum(lengths)
    n = max(2, round(total / every_m))
    for i in range(n):
        at = (i + 0.5) * total / n
        for (ax, az), (bx, bz), length in zip(path, path[1:], lengths, strict=False):
            if at <= length:
                share = at / length
                yaw = math.degrees(math.atan2(-(bz - az), bx - ax))
                found.append((ax + (bx - ax) * share, az + (bz - az) * share, yaw, i))
                break
            at -= length
    return found


def _bracket(root: Node, x: float, z: float, yaw: float) -> None:
    """Posts that carry the guide rails."""
    for side in (-1, 1):
        post = merge(
            [
                box(0.012, 0.24, 0.012, 0.002).move(0, 0.88, side * 0.085),
                box(0.01, 0.01, 0.03, 0.001).move(0, 1.006, side * 0.068),
                box(0.01, 0.01, 0.03, 0.001).move(0, 1.114, side * 0.068),
            ]
        )
        root.add(STEEL_DARK, post.turn("y", yaw).move(x, 0, z))


def _leg(root: Node, x: float, z: float, yaw: float) -> None:
    shape = merge(
        [
            *(box(0.04, 0.8, 0.04, 0.005).move(0, 0.07, s * 0.15) for s in (-1, 1)),
            box(0.035, 0.035, 0.3, 0.004).move(0, 0.3, 0),
            box(0.05, 0.03, 0.36, 0.004).move(0, 0.83, 0),
        ]
    )
    root.add(STEEL, shape.turn("y", yaw).move(x, 0, z))
    feet = merge([foot(0.08).move(0, 0, s * 0.15) for s in (-1, 1)])
    root.add(STEEL_DARK, feet.turn("y", yaw).move(x, 0, z))
    root.add(RUBBER, cylinder(0.02, 0.02, 10).move(x, 0.8, z))
