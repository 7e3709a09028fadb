"""Parts that several machines share: base, guards with glass, feet, panels, motors, reject bin."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..layout import BELT_Y_M
from .glb import Node
from .materials import (
    ANTHRACITE,
    BELT,
    BELT_PER_METRE,
    BLACK,
    BLUE,
    GREY,
    GUARD,
    LIGHT_BLUE,
    RED,
    RUBBER,
    SCREEN,
    STEEL,
    STEEL_DARK,
    WHITE,
    YELLOW,
)
from .shapes import Shape, box, cylinder, lathe, merge, sweep, tube

PROFILE_M = 0.05


def foot(height: float = 0.12) -> Shape:
    """A levelling foot."""
    return merge([cylinder(0.045, 0.015, 14, 0.004), cylinder(0.014, height, 10, 0.002)])


def cabinet_base(node: Node, x0: float, x1: float, z0: float, z1: float, top: float) -> None:
    """A machine's base: table top of steel, painted panels, a blue band, feet."""
    x, z, width, depth = (x0 + x1) / 2, (z0 + z1) / 2, x1 - x0, z1 - z0
    node.add(STEEL, box(width, 0.035, depth, 0.006).move(x, top - 0.035, z))
    node.add(WHITE, box(width - 0.05, top - 0.195, depth - 0.05, 0.01).move(x, 0.16, z))
    node.add(BLUE, box(width - 0.042, 0.11, depth - 0.042, 0.008).move(x, top - 0.185, z))
    node.add(ANTHRACITE, box(width - 0.12, 0.06, depth - 0.12, 0.006).move(x, 0.11, z))
    stands = [(a, b) for a in (x0 + 0.12, x1 - 0.12) for b in (z0 + 0.12, z1 - 0.12)]
    node.add(STEEL_DARK, *(foot().move(a, 0.0, b) for a, b in stands))
    # Doors: panel joints, handles and vents on the operator's side.
    doors = max(2, round(width / 0.75))
    step = (width - 0.1) / doors
    for i in range(doors):
        left = x0 + 0.05 + i * step
        door = box(step - 0.03, top - 0.4, 0.012, 0.004)
        node.add(WHITE, door.move(left + step / 2, 0.19, z1 - 0.022))
        node.add(BLACK, box(0.02, 0.12, 0.02, 0.004).move(left + step - 0.07, 0.42, z1 - 0.012))
        slots = box(step * 0.4, 0.008, 0.008, 0.001).row(5, y=0.022)
        node.add(ANTHRACITE, slots.move(left + step / 2, 0.24, z1 - 0.016))


def guards(
    node: Node,
    x0: float,
    x1: float,
    z0: float,
    z1: float,
    bottom: float,
    top: float,
    gap_z: float = 0.16,
    has_roof: bool = True,
) -> None:
    """A housing of profiles and glass, open at both ends where bottles pass (|z| < gap)."""
    p = PROFILE_M
    corners = [(x0, z0), (x1, z0), (x1, z1), (x0, z1)]
    node.add(STEEL, *(box(p, top - bottom, p, 0.008).move(x, bottom, z) for x, z in corners))
    width, depth = x1 - x0, z1 - z0
    for z in (z0, z1):
        node.add(STEEL, box(width - p, p, p, 0.008).move((x0 + x1) / 2, top - p, z))
    for x in (x0, x1):
        node.add(STEEL, box(p, p, depth - p, 0.008).move(x, top - p, (z0 + z1) / 2))
    # Front and back: doors of glass in thin frames.
    doors = max(2, round(width / 0.95))
    step = (width - p) / doors
    for z, is_front in ((z1, True), (z0, False)):
        for i in range(doors):
            middle = x0 + p / 2 + (i + 0.5) * step
            pane = box(step - 0.035, top - bottom - p - 0.03, 0.008, 0.002)
            node.add(GUARD, pane.move(middle, bottom + 0.01, z))
            for side in (-1, 1):
                bar = box(0.022, top - bottom - p - 0.02, 0.026, 0.004)
                node.add(STEEL_DARK, bar.move(middle + side * (step / 2 - 0.014), bottom, z))
            if is_front:
                handle = tube(
                    [(0, 0, 0), (0, 0, 0.04), (0, 0.24, 0.04), (0, 0.24, 0)], 0.009, 8, 0.02
                )
                node.add(BLACK, handle.move(middle + step / 2 - 0.06, bottom + 0.5, z + 0.01))
    # Ends: glass behind the opening, and a lintel over it.
    for x in (x0, x1):
        back = box(0.008, top - bottom - p - 0.03, -gap_z - z0 - p / 2, 0.002)
        node.add(GUARD, back.move(x, bottom + 0.01, (z0 - gap_z) / 2))
        tunnel = bottom + 0.5
        above = box(0.008, top - tunnel - p, z1 + gap_z - p / 2, 0.002)
        node.add(GUARD, above.move(x, tunnel, (z1 - gap_z) / 2))
        node.add(STEEL_DARK, box(0.03, 0.03, z1 + gap_z, 0.005).move(x, tunnel, (z1 - gap_z) / 2))
        node.add(STEEL_DARK, box(0.03, top - bottom - p, 0.03, 0.005).move(x, bottom, -gap_z))
    if has_roof:
        pane = box(width - p, 0.008, depth - p, 0.002)
        node.add(GUARD, pane.move((x0 + x1) / 2, top - 0.02, (z0 + z1) / 2))


def operator_panel(node: Node, x: float, z: float) -> None:
    """A panel on an arm, with screen, buttons and emergency stop, towards the aisle."""
    arm = tube([(x, 0.0, z), (x, 1.32, z), (x, 1.45, z + 0.1)], 0.022, 10, 0.08)
    node.add(STEEL, arm, cylinder(0.09, 0.02, 16).move(x, 0, z))
    body = box(0.42, 0.32, 0.07, 0.012).turn("x", -14).move(x, 1.38, z + 0.14)
    node.add(ANTHRACITE, body)
    screen = box(0.34, 0.2, 0.012, 0.003).turn("x", -14).move(x, 1.468, z + 0.164)
    node.add(SCREEN, screen)
    knob = cylinder(0.026, 0.02, 14).turn("x", 76).move(x + 0.15, 1.425, z + 0.176)
    node.add(RED, knob)
    node.add(YELLOW, cylinder(0.036, 0.006, 16).turn("x", 76).move(x + 0.15, 1.425, z + 0.172))
    buttons = cylinder(0.014, 0.014, 10).turn("x", 76).row(3, x=-0.06)
    node.add(GREY, buttons.move(x + 0.06, 1.425, z + 0.176))


def belt(node: Node, path: Sequence[tuple[float, float]], width: float = 0.084) -> None:
    """A chain along a path, in a node of its own so that it can be made to move."""
    drives = {"point": "Speed", "kind": "scroll", "axis": "u", "per_metre": BELT_PER_METRE}
    moving = node.child("belt", extras={"drives": drives})
    half = width / 2
    section = [(-half, -0.018), (half, -0.018), (half, 0.0), (-half, 0.0)]
    moving.add(BELT, sweep(section, path, BELT_Y_M))


def rails(
    node: Node,
    path: Sequence[tuple[float, float]],
    sideways: Sequence[float],
    heights: Sequence[float] = (0.06, 0.17),
    n: int = 6,
) -> None:
    """Round guide rails beside a path."""
    for offset in sideways:
        for height in heights:
            node.add(STEEL, bar_beside(path, offset, BELT_Y_M + height, 0.006, n))


def bar_beside(
    path: Sequence[tuple[float, float]], offset: float, y: float, radius: float, n: int
) -> Shape:
    """A thin bar along a path, `offset` to the right of it; an octagon or less, swept."""
    points = [
        (offset + radius * math.cos(2 * math.pi * i / n), radius * math.sin(2 * math.pi * i / n))
        for i in range(n)
    ]
    return sweep(points, path, y)


def gear_motor(node: Node, x: float, y: float, z: float, yaw: float = 0.0) -> None:
    """A gear motor, its axis along z."""
    fins = merge(cylinder(0.062, 0.006, 16, 0.001).move(y=0.02 + 0.014 * i) for i in range(9))
    body = merge([cylinder(0.055, 0.17, 16), cylinder(0.058, 0.03, 16).move(y=0.16)])
    motor = merge([fins, body]).turn("x", 90)
    node.add(LIGHT_BLUE, motor.turn("y", yaw).move(x, y, z))
    gear = box(0.13, 0.13, 0.12, 0.014).move(y=-0.065, z=-0.06)
    node.add(STEEL_DARK, gear.turn("y", yaw).move(x, y, z))


def reject_bin(node: Node, x: float, z: float) -> None:
    """A wheeled bin for what the inspection pushes out."""
    shell = lathe([(0.2, 0), (0.2, 0.0), (0.25, 0.5), (0.262, 0.5), (0.262, 0.53), (0.24, 0.53)], 4)
    node.add(GREY, shell.turn("y", 45).move(x, 0.1, z))
    node.add(BLACK, box(0.34, 0.01, 0.34, 0.002).move(x, 0.5, z))
    wheels = [(a, b) for a in (-0.13, 0.13) for b in (-0.13, 0.13)]
    wheel = cylinder(0.045, 0.03, 12).turn("x", 90).move(y=0.05)
    node.add(RUBBER, *(wheel.move(x + a, 0, z + b) for a, b in wheels))
