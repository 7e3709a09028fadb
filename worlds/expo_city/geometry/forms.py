"""Forms that the expo's buildings and grounds are made of: sheets, sectors, storeys, trees.

Shapes only; which of them make a building is said in `buildings.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from ...bottling_line.geometry.glb import Material, Node
from ...bottling_line.geometry.shapes import Floats, Shape, box, lathe, merge, plate

WHITE: Final = Material("plaster-white", "#eeebe3", 0.0, 0.62)
CREAM: Final = Material("stone-cream", "#d9cdb6", 0.0, 0.75)
STONE: Final = Material("stone", "#b9b3a7", 0.0, 0.8)
CONCRETE: Final = Material("concrete", "#a6a8a8", 0.0, 0.75)
DARK: Final = Material("metal-dark", "#3b4248", 0.5, 0.45)
STEEL: Final = Material("steel", "#c8ced2", 0.75, 0.32)
WOOD: Final = Material("larch", "#b98a58", 0.0, 0.7)
GLASS: Final = Material("glazing", "#44606f", 0.35, 0.12)
GLASS_PALE: Final = Material("glazing-pale", "#8fb0bd", 0.3, 0.12)
MEMBRANE: Final = Material("membrane", "#f6f4ee", 0.0, 0.5)
SOLAR: Final = Material("solar", "#16284a", 0.35, 0.25)
COPPER: Final = Material("copper", "#b5714a", 0.6, 0.42)
PATINA: Final = Material("patina", "#6fa595", 0.2, 0.6)
TERRACOTTA: Final = Material("terracotta", "#c26e4b", 0.0, 0.75)
OCHRE: Final = Material("ochre", "#d9a441", 0.0, 0.7)
BLUE: Final = Material("enamel-blue", "#2f6f9f", 0.1, 0.45)
PLUM: Final = Material("enamel-plum", "#7d4d6d", 0.05, 0.5)
ROOF_GREEN: Final = Material("roof-green", "#7f9a57", 0.0, 0.95)
LAWN: Final = Material("lawn", "#86a35f", 0.0, 0.97)
LAWN_DARK: Final = Material("meadow", "#6f8f54", 0.0, 0.97)
PAVING: Final = Material("paving", "#cfc8bb", 0.0, 0.85)
PAVING_DARK: Final = Material("paving-dark", "#aaa496", 0.0, 0.85)
ROAD: Final = Material("road", "#8d8f90", 0.0, 0.88)
WATER: Final = Material("water", "#3f8299", 0.15, 0.12)
LEAVES: Final = Material("leaves", "#557f3c", 0.0, 0.95)
LEAVES_PALE: Final = Material("leaves-pale", "#7da04a", 0.0, 0.95)
LEAVES_DARK: Final = Material("leaves-dark", "#3f6a3d", 0.0, 0.95)
BARK: Final = Material("bark", "#6d5440", 0.0, 0.95)
LIGHT: Final = Material("lamp", "#fff4d8", 0.0, 0.4, emissive="#ffe9bd")
ACCENTS: Final = (TERRACOTTA, OCHRE, BLUE, PATINA, PLUM, COPPER)


def sheet(
    surface: Callable[[Floats, Floats], Floats], n_u: int, n_v: int, thickness_m: float = 0.25
) -> Shape:
    """A curved sheet of two sides: `surface` gives points (…, 3) for u and v from 0 to 1."""
    u, v = np.meshgrid(np.linspace(0, 1, n_u + 1), np.linspace(0, 1, n_v + 1), indexing="ij")
    points = surface(u, v)
    along = np.gradient(points, axis=0)
    across = np.gradient(points, axis=1)
    normal = np.cross(along, across)
    normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-9)
    if normal[..., 1].mean() < 0:
        normal = -normal
    i, j = np.meshgrid(np.arange(n_u), np.arange(n_v), indexing="ij")
    a = (i * (n_v + 1) + j).ravel()
    index = np.concatenate(
        [np.stack([a, a + n_v + 1, a + n_v + 2], 1), np.stack([a, a + n_v + 2, a + 1], 1)]
    )
    flat, up = points.reshape(-1, 3), normal.reshape(-1, 3)
    uv = np.stack([u.ravel(), v.ravel()], 1)
    upper = facing(Shape(flat, up, uv, index))
    lower = facing(Shape(flat - up * thickness_m, -up, uv, index))
    return merge([upper, lower])


def facing(shape: Shape) -> Shape:
    """Triangles turned so that they look the way their normals do."""
    a, b, c = (shape.position[shape.index[:, i]] for i in range(3))
    out = np.einsum("ij,ij->i", np.cross(b - a, c - a), shape.normal[shape.index].sum(axis=1))
    index = shape.index.copy()
    index[out < 0] = index[out < 0][:, ::-1]
    return Shape(shape.position, shape.normal, shape.uv, index)


def sector(
    inner_m: float,
    outer_m: float,
    from_deg: float,
    to_deg: float,
    y_m: float = 0.0,
    step_deg: float = 2.5,
) -> Shape:
    """A flat piece of a ring that looks up, between two bearings."""
    n = max(1, math.ceil((to_deg - from_deg) / step_deg))
    angle = np.radians(np.linspace(from_deg, to_deg, n + 1))
    rings = [
        np.stack([r * np.sin(angle), np.full(n + 1, y_m), -r * np.cos(angle)], 1)
        for r in (max(inner_m, 1e-3), outer_m)
    ]
    position = np.concatenate(rings)
    a = np.arange(n)
    index = np.concatenate(
        [np.stack([a, a + n + 1, a + n + 2], 1), np.stack([a, a + n + 2, a + 1], 1)]
    )
    normal = np.tile([0.0, 1.0, 0.0], (len(position), 1))
    return facing(Shape(position, normal, position[:, [0, 2]], index))


def ribbon(points: Sequence[tuple[float, float]], width_m: float, y_m: float) -> Shape:
    """A flat strip that looks up, along a polyline of (x, z)."""
    path = np.array(points, np.float64)
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    right = np.stack([-along[:, 1], along[:, 0]], 1) * width_m / 2
    n = len(path)
    sides = [
        np.stack([side[:, 0], np.full(n, y_m), side[:, 1]], 1)
        for side in (path - right, path + right)
    ]
    position = np.concatenate(sides)
    a = np.arange(n - 1)
    index = np.concatenate([np.stack([a, a + n, a + n + 1], 1), np.stack([a, a + n + 1, a + 1], 1)])
    normal = np.tile([0.0, 1.0, 0.0], (2 * n, 1))
    return facing(Shape(position, normal, position[:, [0, 2]], index))


def slab(x: float, y: float, z: float) -> Shape:
    """A box with sharp edges: twelve triangles, for what is seen from afar."""
    half = np.array([x / 2, y / 2, z / 2])
    position, normal, index = [], [], []
    for axis in range(3):
        for side in (-1.0, 1.0):
            way = np.zeros(3)
            way[axis] = side
            u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
            first = len(position)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                position.append((way + a * u + b * v) * half)
                normal.append(way)
            index += [(first, first + 1, first + 2), (first, first + 2, first + 3)]
    at = np.array(position) + np.array([0, half[1], 0])
    return facing(Shape(at, np.array(normal), at[:, [0, 2]], np.array(index, np.int64)))


def storeys(
    node: Node, w: float, d: float, floors: int, storey_m: float, *, base_m: float = 0.0,
    slab_of: Material = WHITE, glass: Material = GLASS, fins: Material | None = None,
    fin_every_m: float = 3.0, x: float = 0.0, z: float = 0.0,
) -> float:  # fmt: skip
    """Floors of glass between slabs, with fins before the glass; returns the height of the top."""
    for floor in range(floors):
        y = base_m + floor * storey_m
        node.add(glass, slab(w - 0.8, storey_m - 0.35, d - 0.8).move(x, y + 0.35, z))
        node.add(slab_of, slab(w, 0.38, d).move(x, y, z))
    top = base_m + floors * storey_m
    node.add(slab_of, slab(w, 0.5, d).move(x, top, z))
    if fins is not None:
        height = floors * storey_m
        for size, count, turn in (
            (w, int(w // fin_every_m), False),
            (d, int(d // fin_every_m), True),
        ):
            for i in range(count):
                at = (i + 0.5) * size / count - size / 2
                for side in (-1, 1):
                    fin = slab(0.18, height, 0.42) if not turn else slab(0.42, height, 0.18)
                    place = (at, side * (d / 2 - 0.16)) if not turn else (side * (w / 2 - 0.16), at)
                    node.add(fins, fin.move(x + place[0], base_m, z + place[1]))
    return top + 0.5


def ring(inner_m: float, outer_m: float, height_m: float, n: int = 36) -> Shape:
    """A ring with sharp edges that stands on the origin; its inner side is left out."""
    profile = [(inner_m, 0.0), (outer_m, 0.0), (outer_m, height_m), (inner_m, height_m)]
    return lathe(profile, n)


def crown(radius: float, height: float, n: int = 7) -> Shape:
    """A tree's crown: few faces, smooth."""
    rise = (0.0, 0.18, 0.5, 0.82, 1.0)
    width = (0.35, 0.86, 1.0, 0.66, 0.0)
    profile = [(radius * w, height * r) for w, r in zip(width, rise, strict=True)]
    return lathe([(0.0, 0.0), *profile], n, 180.0)


def tree(
    node: Node, x: float, z: float, height_m: float, leaves: Material, turn_deg: float
) -> None:
    """A tree of some forty triangles."""
    trunk = lathe([(0.22, 0.0), (0.16, height_m * 0.42)], 5, 180.0)
    node.add(BARK, trunk.move(x, 0.0, z))
    top = crown(height_m * 0.31, height_m * 0.72, 6).turn("y", turn_deg)
    node.add(leaves, top.move(x, height_m * 0.3, z))


def lamp(node: Node, x: float, z: float) -> None:
    """A lamp post."""
    node.add(DARK, slab(0.16, 4.6, 0.16).move(x, 0.0, z))
    node.add(LIGHT, slab(0.9, 0.22, 0.9).move(x, 4.6, z))


def polygon(n: int, radius: float, turn_deg: float = 0.0) -> list[tuple[float, float]]:
    """Corners of a regular polygon in (x, z)."""
    return [
        (
            radius * math.cos(math.radians(turn_deg + i * 360 / n)),
            radius * math.sin(math.radians(turn_deg + i * 360 / n)),
        )
        for i in range(n)
    ]


def pv(node: Node, w: float, d: float, y: float, x: float = 0.0, z: float = 0.0) -> None:
    """Rows of panels on a flat roof."""
    rows = max(1, int(d // 3.2))
    for i in range(rows):
        at = (i + 0.5) * d / rows - d / 2
        panel = slab(w, 0.08, 1.9).turn("x", 12.0)
        node.add(SOLAR, panel.move(x, y + 0.25, z + at))


__all__ = [
    "box", "crown", "facing", "lamp", "lathe", "merge", "plate", "polygon", "pv", "ribbon", "ring",
    "sector", "sheet", "slab", "storeys", "tree",
]  # fmt: skip
