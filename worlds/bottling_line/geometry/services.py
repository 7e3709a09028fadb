"""Compressor station, air manifold, control cabinets and meters."""

from __future__ import annotations

import math

from .frames import foot
from .glb import Material, Node
from .materials import (
    ANTHRACITE,
    BLACK,
    BLUE,
    BRASS,
    CHROME,
    GREY,
    LIGHT_BLUE,
    PIPE_BLUE,
    RED,
    SCREEN,
    STEEL,
    STEEL_DARK,
    WHITE,
    YELLOW,
)
from .shapes import annulus, box, cylinder, lathe, merge, tube

WALL_Z = -10.0


def air_station() -> Node:
    """Compressor, dryer and receiver on a skid, with piping between; origin in its middle."""
    root = Node("air_station")
    root.add(ANTHRACITE, box(4.6, 0.1, 1.9, 0.012))
    # Compressor: a sound hood with louvres, a door, a display.
    root.add(WHITE, box(1.9, 1.55, 1.3, 0.03).move(-1.2, 0.12, 0))
    root.add(BLUE, box(1.91, 0.22, 1.31, 0.03).move(-1.2, 1.28, 0))
    for x in (-1.75, -0.8):
        slots = box(0.6, 0.014, 0.02, 0.003).row(16, y=0.034)
        root.add(ANTHRACITE, slots.move(x, 0.35, 0.655))
    root.add(BLACK, box(0.26, 0.16, 0.03, 0.008).move(-0.55, 1.06, 0.65))
    root.add(SCREEN, box(0.18, 0.08, 0.02, 0.003).move(-0.55, 1.11, 0.66))
    root.add(RED, cylinder(0.025, 0.025, 14).turn("x", 90).move(-0.3, 1.13, 0.655))
    fan = root.child("fan", (-1.2, 1.672, 0.0))
    root.add(STEEL_DARK, annulus(0.3, 0.36, 0.05, 36).move(-1.2, 1.67, 0))
    fan.extras = {
        "drives": {"point": "Load", "kind": "rotate", "axis": [0, 1, 0], "per_bottle": 360.0}
    }
    blade = box(0.12, 0.006, 0.26, 0.002).turn("z", 22)
    fan.add(ANTHRACITE, blade.move(z=0.0).ring(7, 0.16), cylinder(0.06, 0.03, 16))
    # Receiver: dished ends, legs, gauge, safety valve, manhole.
    r, low, high = 0.46, 0.42, 2.0
    ends = [(0.0, low - 0.2)]
    ends += [
        (r * math.sin(a), low - 0.2 * math.cos(a)) for a in (0.35, 0.7, 1.05, 1.35, math.pi / 2)
    ]
    ends += [
        (r * math.sin(a), high - 0.2 * math.cos(a)) for a in (math.pi / 2, 1.8, 2.1, 2.45, 2.8)
    ]
    ends.append((0.0, high + 0.2))
    root.add(LIGHT_BLUE, lathe(ends, 40).move(1.55, 0.1, 0))
    seam = annulus(r - 0.01, r + 0.004, 0.02, 40, 0.001)
    root.add(LIGHT_BLUE, *(seam.move(1.55, 0.1 + y, 0) for y in (low + 0.02, high - 0.04)))
    legs = box(0.07, 0.5, 0.03, 0.006).ring(3, r - 0.02, 60)
    root.add(ANTHRACITE, legs.move(1.55, 0.1, 0))
    root.add(STEEL, cylinder(0.11, 0.07, 24).turn("x", 90).move(1.55, 0.95, r - 0.01))
    _gauge(root, 1.55, 1.75, r)
    valve = merge([cylinder(0.025, 0.1, 12), cylinder(0.035, 0.06, 12).move(y=0.1)])
    root.add(BRASS, valve.move(1.55, 2.28, 0))
    # Dryer between them.
    root.add(WHITE, box(0.6, 1.0, 0.7, 0.02).move(0.35, 0.12, -0.2))
    root.add(BLUE, box(0.61, 0.1, 0.71, 0.02).move(0.35, 0.9, -0.2))
    root.add(ANTHRACITE, box(0.4, 0.012, 0.02, 0.003).row(9, y=0.034).move(0.35, 0.3, 0.155))
    pipes = [
        [(-0.25, 1.45, -0.3), (0.05, 1.45, -0.3), (0.2, 1.45, -0.3), (0.2, 1.1, -0.3)],
        [(0.5, 1.1, -0.3), (0.5, 1.35, -0.3), (0.5, 1.35, -0.05), (1.12, 1.35, -0.05)],
        [
            (1.55, 2.35, -0.1),
            (1.55, 2.75, -0.1),
            (1.55, 2.75, -2.2),
            (-5.2, 2.75, -2.2),
            (-5.2, 2.1, -2.2),
            (-5.2, 2.1, -1.98),
        ],
    ]
    root.add(PIPE_BLUE, *(tube(path, 0.036, 12, 0.12) for path in pipes))
    filters = merge([cylinder(0.06, 0.26, 16, 0.02), cylinder(0.07, 0.06, 16).move(y=0.24)])
    root.add(STEEL, filters.move(0.7, 1.12, -0.05), filters.move(0.92, 1.12, -0.05))
    root.add(YELLOW, *(box(4.6, 0.02, 0.06, 0.002).move(0, 0.082, s * 0.93) for s in (-1, 1)))
    return root


def _gauge(root: Node, x: float, y: float, z: float) -> None:
    root.add(BRASS, cylinder(0.016, 0.06, 10).turn("x", 90).move(x, y, z - 0.02))
    root.add(BLACK, cylinder(0.062, 0.03, 24).turn("x", 90).move(x, y, z + 0.04))
    root.add(WHITE, cylinder(0.054, 0.004, 24, 0.001).turn("x", 90).move(x, y, z + 0.069))
    needle = box(0.006, 0.05, 0.003, 0.001).turn("z", -40)
    root.add(RED, needle.move(x, y, z + 0.075))


def air_manifold() -> Node:
    """A header with valves and drops on the wall; its origin is 0.45 m before the wall."""
    root = Node("air_manifold")
    z = -0.34
    root.add(PIPE_BLUE, tube([(-0.9, 1.7, z), (0.9, 1.7, z)], 0.05, 16))
    root.add(
        PIPE_BLUE,
        *(cylinder(0.06, 0.02, 16).turn("z", 90).move(s * 0.9 + 0.01, 1.7, z) for s in (-1, 1)),
    )
    for i in range(6):
        x = -0.75 + 0.3 * i
        root.add(PIPE_BLUE, tube([(x, 1.66, z), (x, 1.25, z)], 0.018, 10))
        root.add(BRASS, cylinder(0.03, 0.07, 14).move(x, 1.42, z))
        root.add(RED, box(0.02, 0.014, 0.1, 0.003).move(x, 1.45, z + 0.06))
        root.add(
            BLACK, tube([(x, 1.26, z), (x, 0.7, z), (x, 0.1, z), (x, 0.06, z + 0.3)], 0.012, 8, 0.1)
        )
    regulator = merge([cylinder(0.05, 0.12, 18, 0.01), cylinder(0.035, 0.09, 16).move(y=0.12)])
    root.add(BLUE, regulator.move(0.45, 1.74, z))
    _gauge(root, -0.45, 1.83, z)
    root.add(
        STEEL_DARK, *(box(0.04, 0.3, 0.12, 0.006).move(s * 0.6, 1.6, z - 0.06) for s in (-1, 1))
    )
    root.add(STEEL_DARK, box(2.0, 1.9, 0.02, 0.004).move(0, 0.4, -0.44))
    return root


def cabinet() -> Node:
    """Four control cabinets in a row, with handles, fans, a panel, the main switch."""
    root = Node("cabinet")
    for i in range(4):
        x = -1.2 + i * 0.8
        root.add(GREY, box(0.79, 1.9, 0.5, 0.012).move(x, 0.1, 0))
        root.add(WHITE, box(0.73, 1.82, 0.016, 0.006).move(x, 0.14, 0.25))
        root.add(BLACK, box(0.022, 0.16, 0.03, 0.006).move(x + 0.3, 1.0, 0.26))
        root.add(ANTHRACITE, box(0.24, 0.24, 0.02, 0.006).move(x, 0.3, 0.256))
        root.add(BLACK, box(0.2, 0.008, 0.014, 0.002).row(8, y=0.026).move(x, 0.32, 0.264))
    root.add(ANTHRACITE, box(3.18, 0.1, 0.46, 0.006))
    root.add(ANTHRACITE, box(0.5, 0.36, 0.03, 0.01).move(-0.4, 1.32, 0.262))
    root.add(SCREEN, box(0.42, 0.26, 0.012, 0.003).move(-0.4, 1.37, 0.284))
    root.add(YELLOW, box(0.12, 0.12, 0.012, 0.004).move(1.2, 1.35, 0.262))
    root.add(RED, box(0.03, 0.09, 0.05, 0.006).move(1.2, 1.365, 0.28))
    for i, (colour, lit) in enumerate((("#1f9d55", "#22e06a"), ("#8a8f94", "#ffffff"))):
        extras = {"lamp": {"point": "Ready", "on": [1]}, "colour": lit} if i == 0 else {}
        lamp = root.child(f"lamp_ready_{i}", (0.32 + 0.09 * i, 1.5, 0.27), extras=extras)
        lamp.add(Material(f"pilot-{i}", colour, 0.0, 0.3), cylinder(0.018, 0.02, 14).turn("x", 90))
    tray = [(-1.6, 2.6, -0.2), (1.6, 2.6, -0.2)]
    root.add(STEEL_DARK, *(box(0.3, 0.62, 0.06, 0.006).move(x, 2.0, -0.2) for x in (-0.8, 0.8)))
    root.add(STEEL_DARK, tube(tray, 0.03, 6))
    return root


def meter() -> Node:
    """An energy meter on the wall: its origin is its back, in the middle of its base."""
    root = Node("meter")
    root.add(GREY, box(0.24, 0.32, 0.04, 0.008).move(z=0.02))
    root.add(WHITE, box(0.2, 0.28, 0.06, 0.012).move(0, 0.02, 0.06))
    root.add(BLACK, box(0.15, 0.1, 0.012, 0.004).move(0, 0.16, 0.088))
    root.add(SCREEN, box(0.13, 0.07, 0.006, 0.002).move(0, 0.175, 0.094))
    root.add(BLUE, box(0.2, 0.02, 0.062, 0.003).move(0, 0.1, 0.061))
    pulse = root.child("pulse", (0.06, 0.07, 0.092))
    pulse.add(Material("pulse", "#a3271d", 0.0, 0.3), cylinder(0.006, 0.006, 10).turn("x", 90))
    root.add(
        BLACK,
        *(
            tube([(x, 0, 0.04), (x, -0.6, 0.03), (x, -1.2, 0.02)], 0.008, 6)
            for x in (-0.05, 0, 0.05)
        ),
    )
    return root


def main_meter() -> Node:
    """The distribution board with the main meter; stands on the floor."""
    root = Node("main_meter")
    root.add(GREY, box(1.0, 1.95, 0.5, 0.012).move(0, 0.1, 0))
    root.add(ANTHRACITE, box(0.98, 0.1, 0.46, 0.006))
    root.add(WHITE, box(0.92, 1.86, 0.016, 0.006).move(0, 0.14, 0.25))
    root.add(BLACK, box(0.3, 0.3, 0.04, 0.012).move(0, 1.35, 0.262))
    root.add(SCREEN, box(0.24, 0.2, 0.02, 0.004).move(0, 1.42, 0.278))
    switch = merge(
        [cylinder(0.07, 0.03, 20).turn("x", 90), box(0.03, 0.15, 0.05, 0.008).move(y=-0.07, z=0.03)]
    )
    root.add(YELLOW, box(0.2, 0.2, 0.01, 0.003).move(0, 0.9, 0.26))
    root.add(RED, switch.move(0, 1.0, 0.262))
    root.add(CHROME, box(0.02, 0.14, 0.03, 0.005).move(0.4, 1.0, 0.262))
    warning = [
        box(0.16, 0.012, 0.006, 0.001)
        .turn("z", 120 * k)
        .move(
            0.046 * math.sin(math.radians(-120 * k)), 0.046 * -math.cos(math.radians(-120 * k)), 0
        )
        for k in range(3)
    ]
    root.add(YELLOW, merge(warning).move(0, 1.82, 0.262))
    root.add(STEEL, *(cylinder(0.03, 0.9, 12).move(x, 2.0, -0.1) for x in (-0.2, 0, 0.2)))
    root.add(STEEL_DARK, *(foot(0.1).move(x, 0, 0.1) for x in (-0.4, 0.4)))
    return root
