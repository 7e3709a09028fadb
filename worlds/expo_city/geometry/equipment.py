"""What stands about the expo: covers of mains, works, stations, masts, transformers, counters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...bottling_line.geometry.glb import Node
from ...bottling_line.geometry.shapes import Shape, cylinder, lathe, tube
from .forms import (
    BLUE,
    CONCRETE,
    COPPER,
    CREAM,
    DARK,
    GLASS,
    OCHRE,
    PATINA,
    ROOF_GREEN,
    SOLAR,
    STEEL,
    STONE,
    WHITE,
    slab,
)


def cover() -> Node:
    """The cover of a shaft at a crossing of mains."""
    node = Node("cover")
    node.add(DARK, _disc(0.7, 0.12))
    node.add(BLUE, _disc(0.45, 0.16))
    return node


def gauge() -> Node:
    """A hydrant with a pressure gauge."""
    node = Node("gauge")
    node.add(BLUE, lathe([(0.26, 0.0), (0.24, 0.9), (0.12, 1.15), (0.0, 1.2)], 10))
    node.add(BLUE, slab(0.9, 0.2, 0.2).move(y=0.65))
    node.add(WHITE, _disc(0.2, 0.08).turn("x", 90.0).move(0.0, 0.9, 0.3))
    return node


def chamber() -> Node:
    """A chamber with a flow meter, and a valve's wheel on it."""
    node = Node("chamber")
    node.add(CONCRETE, slab(2.0, 0.5, 1.6))
    node.add(DARK, slab(1.5, 0.08, 1.1).move(y=0.5))
    node.add(BLUE, tube([(0, 0.5, 0), (0, 1.3, 0)], 0.07, 6))
    node.add(BLUE, _disc(0.35, 0.1).move(y=1.3))
    return node


def pump_house() -> Node:
    """The waterworks' pump house."""
    node = Node("pump-house")
    node.add(STONE, slab(22.0, 0.3, 14.0))
    node.add(CREAM, slab(18.0, 5.0, 10.0).move(y=0.3))
    node.add(ROOF_GREEN, slab(18.8, 0.5, 10.8).move(y=5.3))
    for i in range(4):
        node.add(GLASS, slab(2.6, 3.2, 0.3).move((i - 1.5) * 4.2, 1.0, 5.0))
    for side in (-1, 1):
        pipe = [(side * 4.0, 1.0, -5.0), (side * 4.0, 1.0, -8.0), (side * 4.0, -0.6, -9.0)]
        node.add(BLUE, tube(pipe, 0.45, 10))
    return node


def water_tower() -> Node:
    """The elevated tank."""
    node = Node("water-tower")
    node.add(STONE, cylinder(9.0, 0.4, 32))
    node.add(
        WHITE,
        lathe([(3.4, 0.4), (2.2, 12.0), (2.2, 34.0), (8.2, 40.0), (8.4, 47.0), (0, 49.5)], 28),
    )
    node.add(BLUE, lathe([(8.5, 41.6), (8.5, 43.0)], 28, 180.0))
    return node


def air_station() -> Node:
    """A container that measures air."""
    node = Node("air-station")
    node.add(STONE, slab(3.4, 0.15, 2.8))
    node.add(WHITE, slab(2.8, 2.5, 2.2).move(y=0.15))
    node.add(PATINA, slab(2.9, 0.5, 2.3).move(y=1.6))
    for x in (-0.8, 0.0, 0.8):
        node.add(STEEL, tube([(x, 2.6, 0), (x, 4.0, 0)], 0.06, 6))
        node.add(STEEL, cylinder(0.2, 0.16, 10).move(x, 4.0, 0))
    return node


def mast() -> Node:
    """The weather mast."""
    node = Node("mast")
    node.add(CONCRETE, cylinder(0.9, 0.4, 12))
    node.add(STEEL, tube([(0, 0.3, 0), (0, 14.0, 0)], 0.14, 8))
    node.add(STEEL, slab(3.0, 0.12, 0.12).move(y=13.2))
    node.add(DARK, cylinder(0.28, 0.35, 10).move(-1.4, 13.3, 0))
    node.add(OCHRE, slab(0.9, 0.35, 0.06).move(1.4, 13.4, 0))
    node.add(WHITE, cylinder(0.34, 0.7, 10).move(0.45, 3.0, 0))
    return node


def substation() -> Node:
    """A transformer station."""
    node = Node("substation")
    node.add(CONCRETE, slab(9.0, 0.3, 6.0))
    node.add(CREAM, slab(7.6, 3.4, 4.4).move(y=0.3))
    node.add(DARK, slab(8.0, 0.3, 4.8).move(y=3.7))
    for i in range(3):
        node.add(PATINA, slab(1.7, 2.5, 0.15).move((i - 1) * 2.3, 0.5, 2.2))
    return node


def chiller() -> Node:
    """A chiller with its fans."""
    node = Node("chiller")
    node.add(CONCRETE, slab(12.0, 0.3, 5.0))
    node.add(WHITE, slab(11.0, 3.0, 3.6).move(y=0.3))
    for i in range(4):
        node.add(DARK, cylinder(1.1, 0.4, 16).move((i - 1.5) * 2.6, 3.3, 0))
    node.add(COPPER, tube([(-5.6, 1.0, 1.2), (-7.0, 1.0, 1.2), (-7.0, -0.5, 1.2)], 0.3, 8))
    return node


def inverter() -> Node:
    """The cabinet of a roof's inverter."""
    node = Node("inverter")
    node.add(CONCRETE, slab(1.8, 0.2, 1.0))
    node.add(STEEL, slab(1.5, 1.9, 0.7).move(y=0.2))
    node.add(SOLAR, slab(1.6, 0.12, 1.0).turn("x", 20.0).move(y=2.2))
    return node


def totem() -> Node:
    """A post that counts who comes in, and tells how long one waits."""
    node = Node("totem")
    node.add(DARK, slab(0.9, 3.0, 0.3))
    node.add(OCHRE, slab(0.92, 0.4, 0.32).move(y=2.4))
    node.add(GLASS, slab(0.7, 1.0, 0.34).move(y=1.1))
    return node


def _disc(radius_m: float, height_m: float) -> Shape:
    """A low cylinder of few triangles: there are hundreds of them."""
    return lathe([(radius_m, 0.0), (radius_m, height_m), (0.0, height_m)], 10)


PARTS: Final[dict[str, Callable[[], Node]]] = {
    "cover": cover,
    "gauge": gauge,
    "chamber": chamber,
    "pump-house": pump_house,
    "water-tower": water_tower,
    "air-station": air_station,
    "mast": mast,
    "substation": substation,
    "chiller": chiller,
    "inverter": inverter,
    "totem": totem,
}
