"""The expo's buildings: one drawing for each archetype and number of floors.

Each stands on the origin and looks along +z; sizes are those of the archetype. All is opaque, so
that a building is one mesh.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from ...bottling_line.geometry.glb import Material, Node
from ...bottling_line.geometry.shapes import Floats, annulus, cylinder, lathe, plate, tube
from ..site import Archetype
from .forms import (
    ACCENTS,
    CONCRETE,
    COPPER,
    CREAM,
    DARK,
    GLASS,
    GLASS_PALE,
    LEAVES,
    LEAVES_PALE,
    LIGHT,
    MEMBRANE,
    PAVING,
    ROOF_GREEN,
    SOLAR,
    STEEL,
    STONE,
    TERRACOTTA,
    WATER,
    WHITE,
    WOOD,
    polygon,
    pv,
    ring,
    sheet,
    slab,
    storeys,
    tree,
)


def drawing(archetype: Archetype, floors: int) -> Node:
    """A building of an archetype with so many floors."""
    node = Node(f"{archetype.name}-{floors}")
    margin = 5.0
    node.add(PAVING, slab(archetype.width_m + margin, 0.3, archetype.depth_m + margin))
    _DRAW[archetype.name](node, archetype, floors)
    return node


def _accent(archetype: Archetype, floors: int) -> Material:
    return ACCENTS[(sum(archetype.name.encode()) + floors) % len(ACCENTS)]


def _entrance(node: Node, w: float, z: float, accent: Material, height: float = 3.6) -> None:
    """A portal that says where one goes in."""
    node.add(accent, slab(w, 0.35, 3.4).move(0, height, z + 1.2))
    for side in (-1, 1):
        node.add(accent, slab(0.35, height, 0.35).move(side * (w / 2 - 0.2), 0.3, z + 2.6))
    node.add(LIGHT, slab(w - 1.0, 0.08, 0.3).move(0, height - 0.1, z + 1.6))


def _sail(node: Node, a: Archetype, floors: int) -> None:
    w, d, accent = a.width_m, a.depth_m, _accent(a, floors)
    top = storeys(node, w * 0.78, d * 0.78, floors, a.storey_m * 0.8, base_m=0.3, fins=WOOD,
                  slab_of=CREAM, fin_every_m=2.4)  # fmt: skip

    def surface(u: Floats, v: Floats) -> Floats:
        x, z = (u - 0.5) * 2, (v - 0.5) * 2
        y = top + 2.2 + 4.2 * x * z + 1.2 * (x**2 - z**2)
        return np.stack([x * w * 0.56, y, z * d * 0.56], -1)

    node.add(MEMBRANE, sheet(surface, 12, 12, 0.3))
    for x, z in ((-1, -1), (1, 1), (-1, 1), (1, -1)):
        high = top + 2.2 + 4.2 * x * z
        node.add(
            STEEL,
            tube([(x * w * 0.5, 0.3, z * d * 0.5), (x * w * 0.55, high, z * d * 0.55)], 0.24, 6),
        )
    _entrance(node, 7.0, d * 0.39, accent)


def _shell(node: Node, a: Archetype, floors: int) -> None:
    w, d, accent = a.width_m, a.depth_m, _accent(a, floors)
    storeys(node, w * 0.7, d * 0.66, max(1, floors - 1), a.storey_m * 0.75, base_m=0.3,
            slab_of=WHITE, glass=GLASS_PALE)  # fmt: skip
    height = a.storey_m * floors

    def shell(scale: float, at_z: float, lean: float) -> Callable[[Floats, Floats], Floats]:
        def surface(u: Floats, v: Floats) -> Floats:
            angle = math.pi * (0.03 + 0.94 * u)
            grow = 0.35 + 0.65 * v**0.7
            x = -np.cos(angle) * w * 0.52 * scale * grow
            y = 0.3 + np.sin(angle) ** 0.8 * height * 1.12 * scale * grow
            z = at_z + (v - 0.5) * d * 0.42 * scale + lean * np.sin(angle) * v
            return np.stack([x, y, z], -1)

        return surface

    for scale, at_z, lean in ((1.0, -d * 0.16, 5.0), (0.8, d * 0.1, 5.5), (0.58, d * 0.3, 4.5)):
        node.add(WHITE, sheet(shell(scale, at_z, lean), 14, 6, 0.35))
    _entrance(node, 6.0, d * 0.4, accent)


def _drum(node: Node, a: Archetype, floors: int) -> None:
    r, accent = a.width_m / 2, _accent(a, floors)
    for floor in range(floors):
        y = 0.3 + floor * a.storey_m
        grow = 1.0 - 0.05 * abs(floor - 1)
        node.add(GLASS, lathe([(r * grow - 0.9, y), (r * grow - 0.9, y + a.storey_m)], 36, 180.0))
        node.add(WHITE, ring(r * grow - 4.0, r * grow, 0.5).move(y=y))
        fin = slab(0.16, a.storey_m - 0.5, 0.9)
        node.add(accent, fin.move(y=y + 0.5).ring(30, r * grow - 0.55))
    top = 0.3 + floors * a.storey_m
    node.add(WHITE, ring(r * 0.6, r, 0.7).move(y=top))
    node.add(ROOF_GREEN, cylinder(r * 0.92, 0.55, 36).move(y=top))
    node.add(GLASS_PALE, lathe([(r * 0.3, top + 0.4), (r * 0.3, top + 3.0), (0, top + 4.6)], 24))
    for i in range(9):
        x, z = polygon(9, r * 0.68)[i]
        node.add(
            (LEAVES, LEAVES_PALE)[i % 2],
            lathe([(0, 0), (1.1, 0.5), (0.9, 1.4), (0, 2.0)], 6, 180.0).move(x, top + 0.4, z),
        )
    _entrance(node, 6.0, r - 1.0, accent)


def _sawtooth(node: Node, a: Archetype, floors: int) -> None:
    w, d, accent = a.width_m, a.depth_m, _accent(a, floors)
    height = a.storey_m * floors * 0.72
    node.add(accent, slab(w, height, d).move(y=0.3))
    node.add(GLASS, slab(w * 0.86, 4.2, d + 0.3).move(y=0.8))
    node.add(GLASS, slab(w + 0.3, 2.2, d * 0.8).move(y=height - 3.2))
    teeth = 6
    step = w / teeth
    for i in range(teeth):
        x = (i + 0.5) * step - w / 2

        def slope(u: Floats, v: Floats, x: float = x) -> Floats:
            return np.stack([x + (u - 0.5) * step, height + 0.3 + 3.6 * (1 - u), (v - 0.5) * d], -1)

        node.add(SOLAR if i % 2 else STEEL, sheet(slope, 1, 1, 0.2))
        node.add(GLASS_PALE, slab(0.2, 3.4, d - 0.4).move(x - step / 2 + 0.1, height + 0.3, 0))
        for side in (-1, 1):
            corner = np.array(
                [
                    [x - step / 2, height + 0.3],
                    [x + step / 2, height + 0.3],
                    [x - step / 2, height + 3.9],
                ]
            )
            _triangle(node, WHITE, corner, side * (d / 2 - 0.02), side)
    _entrance(node, 9.0, d / 2 - 0.4, WOOD, 4.4)


def _triangle(node: Node, material: Material, corners: Floats, z: float, side: int) -> None:
    """A gable: a triangle in (x, y) at a depth."""
    from ...bottling_line.geometry.shapes import Shape
    from .forms import facing

    position = np.column_stack([corners, np.full(3, z)])
    normal = np.tile([0.0, 0.0, float(side)], (3, 1))
    node.add(material, facing(Shape(position, normal, corners, np.array([[0, 1, 2]]))))


def _terrace(node: Node, a: Archetype, floors: int) -> None:
    w, d, accent = a.width_m, a.depth_m, _accent(a, floors)
    y = 0.3
    for floor in range(floors):
        share = 1.0 - 0.105 * floor
        depth = d * share
        back = -(d - depth) / 2
        y = storeys(node, w * (1.0 - 0.06 * floor), depth, 1, a.storey_m - 0.5, base_m=y,
                    slab_of=CREAM, fins=accent if floor % 2 else WOOD,
                    fin_every_m=3.2, z=back)  # fmt: skip
        if floor < floors - 1:
            edge = back + depth / 2 - d * 0.05
            node.add(
                ROOF_GREEN,
                slab(w * (1.0 - 0.06 * floor) - 1.0, 0.7, d * 0.08).move(0, y - 0.2, edge),
            )
            for i in range(6):
                x = (i - 2.5) * w * 0.14
                bush = lathe([(0, 0), (0.9, 0.3), (0.8, 1.1), (0, 1.7)], 5, 180.0)
                node.add((LEAVES, LEAVES_PALE)[(i + floor) % 2], bush.move(x, y + 0.4, edge))
    pv(node, w * 0.5, d * 0.4, y, z=-d * 0.22)
    _entrance(node, 6.0, d / 2 - 0.6, accent)


def _tower(node: Node, a: Archetype, floors: int) -> None:
    w, accent = a.width_m, _accent(a, floors)
    storeys(node, w + 6.0, a.depth_m + 6.0, 1, 5.2, base_m=0.3, slab_of=STONE, fins=DARK)
    y, twist = 6.0, 3.4
    for floor in range(floors - 1):
        turn = twist * floor
        size = w * (1.0 - 0.016 * floor)
        plan = _rounded_square(size * 0.5)
        inner = _rounded_square(size * 0.5 - 0.75)
        node.add(GLASS, plate(inner, a.storey_m - 0.4).turn("y", turn).move(y=y + 0.4))
        node.add(WHITE if floor % 4 else accent, plate(plan, 0.42).turn("y", turn).move(y=y))
        y += a.storey_m
    top = _rounded_square(w * 0.5 * (1.0 - 0.016 * floors))
    node.add(WHITE, plate(top, 0.6).turn("y", twist * floors).move(y=y))
    node.add(GLASS_PALE, plate(_rounded_square(w * 0.24), 3.2).turn("y", twist * floors).move(y=y))
    node.add(STEEL, tube([(0, y + 3, 0), (0, y + 11, 0)], 0.14, 5))
    _entrance(node, 5.0, a.depth_m / 2 + 2.6, accent)


def _rounded_square(half: float) -> list[tuple[float, float]]:
    points = []
    for i in range(16):
        angle = math.radians(i * 22.5 + 11.25)
        c, s = math.cos(angle), math.sin(angle)
        reach = half / max(abs(c), abs(s)) * (0.86 if min(abs(c), abs(s)) > 0.5 else 1.0)
        points.append((reach * c, reach * s))
    return points


def _vault(node: Node, a: Archetype, floors: int) -> None:
    w, d, accent = a.width_m, a.depth_m, _accent(a, floors)
    height = a.storey_m * floors * 0.95

    def surface(u: Floats, v: Floats) -> Floats:
        angle = math.pi * u
        x = -np.cos(angle) * w * 0.5
        y = 0.3 + np.sin(angle) ** 0.75 * height + 0.8 * np.sin(v * math.pi * 5) ** 2
        return np.stack([x, y, (v - 0.5) * d], -1)

    node.add(accent if floors == 2 else COPPER, sheet(surface, 14, 20, 0.4))
    for z in (-1, 1):
        end = [
            (
                math.cos(math.pi * i / 12) * w * 0.47,
                math.sin(math.pi * i / 12) ** 0.75 * height * 0.96,
            )
            for i in range(13)
        ]
        _fan(node, GLASS_PALE, end, z * (d / 2 - 0.8), z)
        for i in (-2, -1, 0, 1, 2):
            tall = math.sqrt(max(0.05, 1 - (i / 3.0) ** 2)) * height * 0.94
            node.add(WHITE, slab(0.25, tall, 0.3).move(i * w * 0.155, 0.3, z * (d / 2 - 0.7)))
    _entrance(node, 8.0, d / 2 - 1.4, WHITE)


def _fan(
    node: Node, material: Material, outline: list[tuple[float, float]], z: float, side: int
) -> None:
    from ...bottling_line.geometry.shapes import Shape
    from .forms import facing

    points = np.array([(0.0, 0.3), *((x, y + 0.3) for x, y in outline)])
    position = np.column_stack([points, np.full(len(points), z)])
    index = np.array([(0, i, i + 1) for i in range(1, len(points) - 1)])
    normal = np.tile([0.0, 0.0, float(side)], (len(points), 1))
    node.add(material, facing(Shape(position, normal, points, index)))


def _court(node: Node, a: Archetype, floors: int) -> None:
    w, d, accent = a.width_m, a.depth_m, _accent(a, floors)
    wing = 11.0
    top = 0.3
    for x, z, sx, sz in (
        (0, -(d - wing) / 2, w, wing), (0, (d - wing) / 2, w, wing),
        (-(w - wing) / 2, 0, wing, d - 2 * wing), ((w - wing) / 2, 0, wing, d - 2 * wing),
    ):  # fmt: skip
        n = floors if z <= 0 else max(1, floors - 1)
        end = storeys(node, sx, sz, n, a.storey_m, base_m=0.3, slab_of=CREAM, fins=accent,
                      fin_every_m=3.6, x=x, z=z)  # fmt: skip
        node.add(ROOF_GREEN, slab(sx - 1.4, 0.4, sz - 1.4).move(x, end - 0.1, z))
        top = max(top, end)
    pv(node, w * 0.6, wing * 0.7, top + 0.2, z=-(d - wing) / 2)
    node.add(ROOF_GREEN, slab(w - 2 * wing, 0.25, d - 2 * wing).move(y=0.3))
    node.add(WATER, cylinder(3.0, 0.35, 18).move(y=0.35))
    for i, (x, z) in enumerate(polygon(5, 5.6, 20.0)):
        tree(node, x, z, 6.0 + i % 3, (LEAVES, LEAVES_PALE)[i % 2], i * 70.0)
    _entrance(node, 6.0, d / 2 - 0.6, accent)


def _dome(node: Node, a: Archetype, floors: int) -> None:
    r = a.width_m / 2
    base = 5.5
    node.add(CREAM, cylinder(r + 3.0, 0.8, 64, 0.2))
    node.add(GLASS, lathe([(r - 1.2, 0.8), (r - 1.2, base)], 64, 180.0))
    node.add(WHITE, annulus(r - 3.0, r + 1.0, 0.9, 64, 0.2).move(y=base))
    node.add(WHITE, slab(0.5, base - 0.8, 0.9).move(y=0.8).ring(48, r - 0.3))
    angles = np.linspace(0, math.pi / 2 * 0.94, 11)
    rise = r * 0.82
    profile = [((r - 1.4) * math.cos(t), base + 0.8 + rise * math.sin(t)) for t in angles]
    node.add(GLASS_PALE, lathe(profile, 48, 180.0))
    for i in range(16):
        turn = i * 22.5
        for lean in (-1.0, 1.0):
            points = []
            for k, (radius, y) in enumerate(profile):
                angle = math.radians(turn + lean * k * 7.5)
                points.append(
                    ((radius + 0.25) * math.sin(angle), y + 0.15, (radius + 0.25) * math.cos(angle))
                )
            node.add(WHITE, tube(points, 0.28, 5))
    for k in (3, 6, 8):
        radius, y = profile[k]
        node.add(WHITE, annulus(radius - 0.1, radius + 0.45, 0.4, 48, 0.05).move(y=y))
    radius, y = profile[-1]
    node.add(COPPER, annulus(radius - 1.2, radius + 1.0, 1.0, 32, 0.1).move(y=y - 0.3))
    node.add(LIGHT, cylinder(radius, 0.4, 24).move(y=y - 0.2))
    for angle in (0.0, 90.0, 180.0, 270.0):
        portal = slab(12.0, 6.4, 5.0).move(z=r).turn("y", angle)
        node.add(COPPER, portal.move(y=0.8))
        node.add(GLASS, slab(9.6, 5.0, 5.3).move(y=0.8, z=r).turn("y", angle))


def _gate(node: Node, a: Archetype, floors: int) -> None:
    w, d = a.width_m, a.depth_m
    for side in (-1, 1):
        storeys(node, w * 0.26, d * 0.7, floors, 4.2, base_m=0.3, slab_of=WHITE, fins=WOOD,
                x=side * w * 0.32)  # fmt: skip
    height = 13.0

    def surface(u: Floats, v: Floats) -> Floats:
        x = (u - 0.5) * 2
        y = height + 2.2 * np.cos(x * math.pi * 1.5) + 1.2 * (v - 0.5)
        return np.stack([x * w * 0.56, y, (v - 0.5) * d * 1.25], -1)

    node.add(WOOD, sheet(surface, 24, 4, 0.5))
    for x in (-0.5, -0.18, 0.18, 0.5):
        for z in (-0.42, 0.42):
            # Up to the roof's lower side, where the column meets it.
            wave = math.cos(x * 1.04 / 0.56 * math.pi * 1.5)
            top = height + 2.2 * wave + 1.2 * z * 1.1 / 1.25 - 0.6
            ends = [(x * w, 0.3, z * d), (x * w * 1.04, top, z * d * 1.1)]
            node.add(STEEL, tube(ends, 0.3, 6))
    for i in range(8):
        node.add(DARK, slab(0.5, 1.2, 3.0).move((i - 3.5) * 1.5, 0.3, 0.0))
    node.add(TERRACOTTA, slab(14.0, 2.2, 0.4).move(0, 7.0, d * 0.36))
    node.add(CONCRETE, slab(1.0, 9.0, 0.8).move(-7.0, 0.3, d * 0.36))
    node.add(CONCRETE, slab(1.0, 9.0, 0.8).move(7.0, 0.3, d * 0.36))


_DRAW: Final[dict[str, Callable[[Node, Archetype, int], None]]] = {
    "sail": _sail,
    "shell": _shell,
    "drum": _drum,
    "sawtooth": _sawtooth,
    "terrace": _terrace,
    "tower": _tower,
    "vault": _vault,
    "court": _court,
    "dome": _dome,
    "gate": _gate,
}
