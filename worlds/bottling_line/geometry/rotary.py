"""The four rotary machines: rinser, filler, capper, labeller.

They share base, guards, star wheels and carousel; each has its own tools on the carousel. The
pockets are turned so that at whole phases of the machine's cycle (`path.json`) they stand under
the bottles.
"""

from __future__ import annotations

import math

from ..layout import (
    BELT_Y_M,
    BOTTLE_DIAMETER_M,
    BOTTLE_HEIGHT_M,
    Item,
    Rotary,
    arc,
)
from .frames import (
    belt,
    cabinet_base,
    gear_motor,
    guards,
    operator_panel,
    rails,
    reject_bin,
)
from .glb import Node
from .materials import (
    ANTHRACITE,
    BLACK,
    BLUE,
    BRASS,
    CAP,
    CHROME,
    GREEN_PLASTIC,
    GREY,
    GUARD,
    LABEL,
    LIGHT,
    LIQUID,
    RED,
    STEEL,
    STEEL_DARK,
    WHITE,
    stack_light,
)
from .shapes import Shape, annulus, box, cylinder, lathe, merge, plate, tube

TABLE_Y = 0.84
GUARD_TOP_Y = 2.35
NECK_Y = BELT_Y_M + BOTTLE_HEIGHT_M


def rinser(item: Item) -> Node:
    """Grippers that turn bottles over a ring of nozzles, a splash ring, water piping."""
    root, carousel, rotary = _machine(item)
    r = rotary.radius_m
    carousel.add(STEEL, annulus(r - 0.34, r - 0.1, 0.05, 48).move(y=1.18))
    carousel.add(STEEL_DARK, cylinder(0.16, 0.62, 28).move(y=0.86))
    spokes = box(0.05, 0.035, r - 0.2, 0.006).move(y=1.19, z=(r - 0.2) / 2)
    carousel.add(STEEL, spokes.ring(6, 0.0))
    gripper = merge(
        [
            box(0.035, 0.05, 0.13, 0.006).move(y=1.14, z=-0.06),
            box(0.014, 0.03, 0.07, 0.003).move(0.026, 1.15, -0.01),
            box(0.014, 0.03, 0.07, 0.003).move(-0.026, 1.15, -0.01),
        ]
    )
    carousel.add(GREEN_PLASTIC, _at_stations(item, gripper))
    nozzle = merge(
        [
            cylinder(0.008, 0.16, 8).move(y=0.95, z=-0.14),
            cylinder(0.014, 0.03, 8).move(y=1.1, z=-0.14),
        ]
    )
    carousel.add(BRASS, _at_stations(item, nozzle))
    root.add(STEEL, annulus(r + 0.16, r + 0.185, 0.24, 48).move(y=TABLE_Y, z=-rotary.depth_m))
    root.add(WHITE, cylinder(0.26, 0.5, 32, 0.03).move(0.0, 2.36, -rotary.depth_m - 0.3))
    pipe = [(0, 2.6, -rotary.depth_m), (0, 1.3, -rotary.depth_m)]
    root.add(STEEL, tube(pipe, 0.04, 12))
    x = item.length_m / 2 - 0.3
    riser = [(x, 0.3, -2.15), (x, 2.6, -2.15), (0.2, 2.6, -2.15), (0.2, 2.6, -rotary.depth_m)]
    root.add(STEEL, tube(riser, 0.03, 10, 0.15))
    root.add(BLUE, box(0.1, 0.14, 0.1, 0.02).move(x, 1.5, -2.15))
    return root


def filler(item: Item) -> Node:
    """A bowl with 24 valves over the carousel, product and air lines, a level in a sight glass."""
    root, carousel, rotary = _machine(item)
    r, n = rotary.radius_m, rotary.stations
    bowl = [
        (r - 0.34, 0.0),
        (r + 0.05, 0.0),
        (r + 0.1, 0.03),
        (r + 0.1, 0.26),
        (r + 0.06, 0.32),
        (r - 0.3, 0.34),
        (r - 0.34, 0.3),
        (r - 0.34, 0.0),
    ]
    carousel.add(STEEL, lathe(bowl, 72).move(y=1.52))
    carousel.add(BLUE, annulus(r + 0.101, r + 0.106, 0.05, 72, 0.001).move(y=1.63))
    carousel.add(STEEL_DARK, cylinder(0.2, 0.72, 32).move(y=0.86))
    carousel.add(STEEL, cylinder(0.32, 0.08, 36).move(y=1.66))
    spoke = tube([(0, 1.72, 0.25), (0, 1.72, r - 0.32)], 0.03, 10)
    carousel.add(STEEL, spoke.ring(6, 0.0))
    valve = merge(
        [
            cylinder(0.036, 0.15, 12, 0.0).move(y=1.38),
            cylinder(0.024, 0.09, 10, 0.0).move(y=1.29),
            lathe([(0.026, 0.0), (0.03, 0.03), (0.022, 0.08)], 10).move(y=NECK_Y + 0.012),
        ]
    )
    carousel.add(CHROME, _at_stations(item, valve))
    carousel.add(BLACK, _at_stations(item, box(0.05, 0.07, 0.05, 0.008).move(y=1.42, z=0.05)))
    rod = cylinder(0.007, 0.5, 6, 0.0)
    guide = merge([rod.move(0.05, 1.02, -0.02), rod.move(-0.05, 1.02, -0.02)])
    carousel.add(STEEL, _at_stations(item, guide))
    bell = lathe([(0.034, 0.0), (0.034, 0.03), (0.02, 0.034)], 10).move(y=NECK_Y - 0.03)
    carousel.add(GREEN_PLASTIC, _at_stations(item, bell))
    lift = merge(
        [cylinder(0.03, 0.05, 12, 0.0).move(y=0.9), cylinder(0.012, 0.08, 6, 0.0).move(y=0.82)]
    )
    carousel.add(STEEL_DARK, _at_stations(item, lift))
    sight = carousel.child("sight_glass", (0.0, 1.56, 0.0))
    for k in range(2):
        a = math.radians(180 * k + 180 / n)
        tube_x, tube_z = (r + 0.13) * math.sin(a), (r + 0.13) * math.cos(a)
        sight.add(GUARD, cylinder(0.018, 0.25, 12).move(tube_x, 0.0, tube_z))
        level = sight.child(
            f"bowl_level_{k}",
            (tube_x, 0.0, tube_z),
            extras={"shows": {"point": "BowlLevel", "kind": "scale", "axis": "y", "full": 100}},
        )
        level.add(LIQUID, cylinder(0.013, 0.25, 10))
    # Product comes from above through a swivel, with a valve block on the roof.
    depth = -rotary.depth_m
    root.add(STEEL, cylinder(0.09, 0.75, 20).move(0, 1.74, depth))
    feed = [
        (0, 2.5, depth),
        (0, 2.85, depth),
        (-1.5, 2.85, depth),
        (-1.5, 2.85, -3.0),
        (-1.5, 0.2, -3.0),
    ]
    root.add(STEEL, tube(feed, 0.05, 14, 0.25))
    flanges = [(0, 2.62, depth), (-1.5, 1.6, -3.0), (-1.5, 0.9, -3.0)]
    root.add(STEEL_DARK, *(cylinder(0.085, 0.03, 18).move(*at) for at in flanges))
    back = [
        (0.4, 2.42, depth - 0.2),
        (0.4, 2.7, depth - 0.2),
        (1.4, 2.7, depth - 0.2),
        (1.4, 2.7, -3.0),
        (1.4, 0.2, -3.0),
    ]
    root.add(STEEL, tube(back, 0.032, 10, 0.2))
    tank = lathe(
        [
            (0, 0),
            (0.2, 0.02),
            (0.34, 0.1),
            (0.36, 0.18),
            (0.36, 0.95),
            (0.34, 1.03),
            (0.2, 1.11),
            (0, 1.13),
        ],
        32,
    )
    root.add(STEEL, tank.move(0.75, 0.35, -3.25))
    root.add(
        STEEL_DARK,
        *(
            cylinder(0.025, 0.4, 10).move(0.75 + a, 0, -3.25 + b)
            for a, b in ((0.24, 0.2), (-0.24, 0.2), (0, -0.3))
        ),
    )
    root.add(
        STEEL,
        tube(
            [(0.75, 1.46, -3.25), (0.75, 1.7, -3.25), (1.4, 1.7, -3.25), (1.4, 1.7, -3.0)],
            0.025,
            10,
            0.1,
        ),
    )
    root.add(BLUE, box(0.16, 0.2, 0.14, 0.02).move(-1.5, 1.85, -3.0))
    return root


def capper(item: Item) -> Node:
    """Twelve heads on a turret, a cap hopper with elevator and a chute."""
    root, carousel, rotary = _machine(item)
    r = rotary.radius_m
    carousel.add(STEEL_DARK, cylinder(0.15, 0.9, 28).move(y=0.86))
    carousel.add(STEEL, cylinder(r + 0.09, 0.09, 48, 0.02).move(y=1.62))
    carousel.add(STEEL, annulus(r - 0.09, r + 0.09, 0.05, 48).move(y=1.4))
    carousel.add(BLUE, cylinder(r - 0.12, 0.2, 40, 0.03).move(y=1.71))
    head = merge(
        [
            cylinder(0.034, 0.2, 16).move(y=1.42),
            cylinder(0.022, 0.14, 14).move(y=1.29),
            lathe([(0, 0.0), (0.024, 0.0), (0.03, 0.02), (0.03, 0.07), (0.02, 0.09)], 16).move(
                y=NECK_Y - 0.005
            ),
        ]
    )
    carousel.add(CHROME, _at_stations(item, head))
    carousel.add(BLACK, _at_stations(item, cylinder(0.03, 0.05, 14).move(y=1.71)))
    # Hopper high behind, elevator belt, chute down to the infeed star.
    hopper = lathe(
        [(0.1, 0.0), (0.38, 0.34), (0.38, 0.62), (0.36, 0.62), (0.36, 0.35), (0.08, 0.02)], 4
    )
    x, z = -0.35, -rotary.depth_m - 0.75
    root.add(STEEL, hopper.turn("y", 45).move(x, 2.1, z))
    heap = merge(
        cylinder(0.0145, 0.018, 8, 0.002)
        .turn("x", 37 * i)
        .move(
            0.2 * math.sin(2.4 * i) * (i / 40) ** 0.5,
            2.58 + 0.06 * (1 - i / 40),
            0.2 * math.cos(2.4 * i) * (i / 40) ** 0.5,
        )
        for i in range(40)
    )
    root.add(CAP, heap.move(x, 0, z))
    root.add(STEEL, box(0.16, 2.0, 0.12, 0.01).turn("x", 6).move(x, 0.5, z - 0.35))
    posts = [(x + a, z + b) for a in (-0.24, 0.24) for b in (-0.24, 0.24)]
    root.add(STEEL, *(box(0.04, 2.25, 0.04, 0.006).move(a, 0.0, b) for a, b in posts))
    sorter = lathe(
        [(0, 0), (0.2, 0), (0.22, 0.02), (0.22, 0.12), (0.2, 0.12), (0.2, 0.03), (0, 0.03)], 28
    )
    root.add(STEEL, sorter.move(-0.45, 2.4, -rotary.depth_m))
    chute = [(-0.45, 2.42, -rotary.depth_m + 0.2), (-0.5, 1.9, -0.45), (-0.45, 1.5, -0.35)]
    for side in (-0.016, 0.016):
        root.add(STEEL, tube([(a + side, b, c) for a, b, c in chute], 0.006, 6, 0.25))
    root.add(GUARD, tube([(a, b - 0.01, c) for a, b, c in chute], 0.02, 8, 0.25))
    return root


def labeller(item: Item) -> Node:
    """Turning plates, centring bells, and two labelling units with their rolls at the front."""
    root, carousel, rotary = _machine(item)
    r = rotary.radius_m
    carousel.add(STEEL_DARK, cylinder(0.18, 0.62, 28).move(y=0.86))
    carousel.add(STEEL, cylinder(r + 0.08, 0.06, 56, 0.015).move(y=1.36))
    carousel.add(
        BLUE, lathe([(r - 0.05, 0), (r - 0.2, 0.2), (0.3, 0.24), (0, 0.24)], 48).move(y=1.42)
    )
    carousel.add(
        STEEL, _at_stations(item, cylinder(0.042, 0.012, 20, 0.003).move(y=BELT_Y_M - 0.014))
    )
    bell = merge(
        [
            lathe(
                [
                    (0, 0.03),
                    (0.016, 0.0),
                    (0.022, 0.0),
                    (0.026, 0.05),
                    (0.012, 0.06),
                    (0.012, 0.16),
                ],
                14,
            ).move(y=NECK_Y - 0.012),
        ]
    )
    carousel.add(CHROME, _at_stations(item, bell))
    # The unit stands in front of the carousel, between the star wheels.
    z = -rotary.depth_m + r + 0.2
    root.add(ANTHRACITE, box(0.5, 0.06, 0.42, 0.012).move(0, 0.88, z))
    root.add(STEEL, box(0.09, 0.5, 0.09, 0.01).move(0.0, 0.9, z + 0.05))
    roll = root.child(
        "label_roll",
        (-0.14, 0.99, z + 0.06),
        extras={
            "shows": {
                "point": "LabelRoll",
                "kind": "scale",
                "axis": "xz",
                "full": 100,
                "least": 0.35,
            },
            "drives": {"point": "Speed", "kind": "rotate", "axis": [0, 1, 0], "per_bottle": 0.9},
        },
    )
    roll.add(LABEL, annulus(0.05, 0.16, 0.09, 36, 0.004))
    core = root.child(
        "label_core",
        (-0.14, 0.98, z + 0.06),
        extras={
            "drives": {"point": "Speed", "kind": "rotate", "axis": [0, 1, 0], "per_bottle": 0.9}
        },
    )
    core.add(BLACK, cylinder(0.05, 0.12, 20), box(0.08, 0.008, 0.016, 0.002).move(y=0.12))
    drum = root.child(
        "vacuum_drum",
        (0.11, 0.98, z - 0.02),
        extras={
            "drives": {
                "point": "Speed",
                "kind": "rotate",
                "axis": [0, 1, 0],
                "per_bottle": -math.pi / 3,
            }
        },
    )
    drum.add(STEEL, cylinder(0.09, 0.13, 28))
    drum.add(RED, box(0.018, 0.13, 0.02, 0.002).ring(6, 0.086))
    glue = box(0.12, 0.26, 0.12, 0.012).move(0.27, 0.94, z + 0.05)
    root.add(STEEL_DARK, glue)
    root.add(
        BRASS,
        tube(
            [(0.27, 1.2, z + 0.05), (0.27, 1.4, z + 0.05), (0.5, 1.4, -1.2), (0.5, 2.3, -1.2)],
            0.012,
            8,
            0.1,
        ),
    )
    return root


def _machine(item: Item) -> tuple[Node, Node, Rotary]:
    """What all rotary machines share; returns root, the turning carousel and its measures."""
    rotary = item.rotary
    assert rotary is not None
    root = Node(item.asset)
    half = item.length_m / 2
    back = -rotary.depth_m - rotary.radius_m - 0.42
    x0, x1, front = -half + 0.12, half - 0.12, 0.34
    cabinet_base(root, x0, x1, back, front, TABLE_Y)
    guards(root, x0 + 0.025, x1 - 0.025, back + 0.025, front - 0.025, TABLE_Y, GUARD_TOP_Y)
    roof_y = GUARD_TOP_Y
    root.add(LIGHT, box(item.length_m * 0.5, 0.02, 0.08, 0.004).move(0, roof_y - 0.06, -0.25))
    root.add(WHITE, box(x1 - x0 + 0.02, 0.16, 0.07, 0.01).move(0, roof_y, front - 0.03))
    root.add(
        BLUE,
        box((x1 - x0) * 0.46, 0.09, 0.01, 0.002).move(-half * 0.35, roof_y + 0.035, front + 0.008),
    )
    stack_light(root, x1 - 0.15, roof_y, front - 0.2)
    operator_panel(root, x1 - 0.35, front + 0.16)
    reject_bin(root, x1 - 0.16, front + 0.62)
    gear_motor(root, x0 + 0.3, 0.42, back - 0.05, 180)
    straight = [(-half, 0.0), (-rotary.star_x_m, 0.0)], [(rotary.star_x_m, 0.0), (half, 0.0)]
    for path in straight:
        belt(root, path)
        rails(root, path, (-0.047, 0.047))
        x = (path[0][0] + path[1][0]) / 2
        root.add(STEEL_DARK, box(path[1][0] - path[0][0], 0.08, 0.11, 0.006).move(x, TABLE_Y, 0.0))
    _stars(root, item, rotary)
    lean = _lean(rotary)
    carousel = root.child(
        "carousel",
        (0.0, 0.0, -rotary.depth_m),
        extras={"drives": _turns(-2 * math.pi / rotary.stations)},
    )
    r = rotary.radius_m
    carousel.add(STEEL, annulus(r - 0.2, r + 0.062, 0.03, 64).move(y=BELT_Y_M - 0.032))
    pockets = _pocket_wheel(rotary, station_deg(item))
    carousel.add(GREEN_PLASTIC, pockets.move(y=BELT_Y_M + 0.1))
    outside = arc(
        (0.0, -rotary.depth_m), r + 0.052, lean - math.pi - 0.25, -lean - math.pi + 0.25, 0.12
    )
    rails(root, outside, (0.0,), (0.1,), 6)
    root.add(GREY, cylinder(r * 0.5, 0.1, 40, 0.02).move(0, TABLE_Y, -rotary.depth_m))
    return root, carousel, rotary


def _lean(rotary: Rotary) -> float:
    """Angle at the infeed star from +z to the carousel's axis, in radians."""
    return math.atan2(rotary.star_x_m, -(rotary.depth_m - rotary.star_radius_m))


def station_deg(item: Item) -> float:
    """Angle of a station at phase 0, so that it stands under a bottle."""
    rotary = item.rotary
    assert rotary is not None
    return math.degrees(_lean(rotary) - math.pi + _entries(item)[1] / rotary.radius_m)


def _entries(item: Item) -> tuple[float, float, float]:
    """How far a bottle has come where it enters infeed star, carousel and outfeed star."""
    rotary = item.rotary
    assert rotary is not None
    lean = _lean(rotary)
    first = item.length_m / 2 - rotary.star_x_m
    second = first + lean * rotary.star_radius_m
    third = second + 2 * lean * rotary.radius_m
    return first, second, third


def _turns(per_bottle: float) -> dict[str, object]:
    return {
        "point": "Speed",
        "kind": "rotate",
        "axis": [0, 1, 0],
        "per_bottle": round(per_bottle, 6),
    }


def _stars(root: Node, item: Item, rotary: Rotary) -> None:
    first, _, third = _entries(item)
    lean = _lean(rotary)
    r = rotary.star_radius_m
    starts = {"in": (-1, -first / r), "out": (1, -lean - third / r)}
    for name, (side, offset) in starts.items():
        at = (side * rotary.star_x_m, 0.0, -r)
        drives = {"drives": _turns(2 * math.pi / rotary.pockets)}
        # Bottles slide on a plate from belt to carousel.
        root.add(STEEL, cylinder(r + 0.045, 0.012, 40, 0.003).move(at[0], BELT_Y_M - 0.013, at[2]))
        star = root.child(f"star_{name}", at, extras=drives)
        disc = _star_disc(r, rotary.pockets, math.degrees(offset))
        star.add(GREEN_PLASTIC, disc.move(y=BELT_Y_M + 0.045), disc.move(y=BELT_Y_M + 0.15))
        star.add(
            STEEL,
            cylinder(0.05, 0.34, 20).move(y=TABLE_Y),
            cylinder(0.075, 0.02, 20).move(y=BELT_Y_M + 0.175),
        )


def _star_disc(radius: float, pockets: int, offset_deg: float) -> Shape:
    """A disc with round pockets; pocket 0 stands at the offset, from +z towards +x."""
    outer, neck = radius + 0.012, BOTTLE_DIAMETER_M / 2 + 0.002
    points: list[tuple[float, float]] = []
    step = 2 * math.pi / pockets
    for k in range(pockets):
        middle = math.radians(offset_deg) + k * step
        opening = math.asin(min(0.99, neck / radius))
        for i in range(9):
            # Around the pocket from its left edge over its bottom to its right edge.
            turn = math.pi * (i / 8 - 0.5)
            a = middle + opening * math.sin(turn)
            r = radius - neck * math.cos(turn) * 0.92
            points.append((r * math.sin(a), r * math.cos(a)))
        for share in (0.12, 0.5, 0.88):
            a = middle + opening + share * (step - 2 * opening)
            points.append((outer * math.sin(a), outer * math.cos(a)))
    return plate(points, 0.014)


def _pocket_wheel(rotary: Rotary, offset_deg: float) -> Shape:
    """The guide ring of the carousel, with a pocket at every station."""
    r, neck = rotary.radius_m, BOTTLE_DIAMETER_M / 2 + 0.003
    step = 2 * math.pi / rotary.stations
    outline: list[tuple[float, float]] = []
    for k in range(rotary.stations):
        middle = math.radians(offset_deg) + k * step
        opening = math.asin(neck / r)
        for i in range(7):
            turn = math.pi * (i / 6 - 0.5)
            a = middle + opening * math.sin(turn)
            outline.append(
                (
                    (r - neck * math.cos(turn)) * math.sin(a),
                    (r - neck * math.cos(turn)) * math.cos(a),
                )
            )
    inner = r - 0.16
    faces: list[Shape] = []
    n = len(outline)
    for i in range(n):
        (ax, az), (bx, bz) = outline[i], outline[(i + 1) % n]
        la, lb = math.hypot(ax, az), math.hypot(bx, bz)
        quad = [
            (ax, az),
            (bx, bz),
            (bx / lb * inner, bz / lb * inner),
            (ax / la * inner, az / la * inner),
        ]
        faces.append(plate(quad, 0.014))
    return merge(faces)


def _at_stations(item: Item, tool: Shape) -> Shape:
    """A tool at every station of the carousel."""
    assert item.rotary is not None
    return tool.ring(item.rotary.stations, item.rotary.radius_m, station_deg(item))
