"""The expo's grounds: a quarter with its streets, lawns, canal, trees and lamps, the same for all
eight, and the plaza with the park about the site.

Pieces lie side by side, not on each other: seen from a kilometre away they would flicker.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from ...bottling_line.geometry.glb import Node
from ...bottling_line.geometry.shapes import annulus, cylinder
from ..site import BANDS, CANAL_RING, PER_QUARTER, PLAZA_M, RINGS, SECTOR_DEG, place
from .forms import (
    ACCENTS,
    DARK,
    LAWN,
    LAWN_DARK,
    LEAVES,
    LEAVES_DARK,
    LEAVES_PALE,
    PAVING,
    PAVING_DARK,
    ROAD,
    STONE,
    WATER,
    WHITE,
    WOOD,
    lamp,
    sector,
    slab,
    tree,
)

STREET_M = 9.0
AVENUE_M = 16.0
CANAL_M = 16.0
_LEAVES = (LEAVES, LEAVES_PALE, LEAVES_DARK)


def quarter(n_bands: int, n_full: int) -> Node:
    """The sector from bearing 0 to 45 degrees, from the plaza to the last ring.

    Args:
        n_bands: bands between the plaza and the last ring.
        n_full: those of them that are built on all round; the others are park.
    """
    node = Node("quarter")
    rng = np.random.default_rng(45)
    reach = RINGS[n_bands]
    for ring in range(n_bands + 1):
        radius = RINGS[ring]
        is_canal = ring == CANAL_RING and n_bands > CANAL_RING
        half = (CANAL_M if is_canal else STREET_M) / 2
        outer = radius + half
        if is_canal:
            a, b = _edges(radius)
            node.add(WATER, sector(radius - half, outer, a, b, -0.35))
            for side in (-1, 1):
                rim = radius + side * (half + 0.8)
                node.add(STONE, sector(rim - 0.8, rim + 0.8, a, b, 0.12))
                promenade = radius + side * (half + 4.1)
                node.add(PAVING_DARK, sector(promenade - 2.5, promenade + 2.5, a, b, 0.0))
            outer += 6.6
        else:
            node.add(
                ROAD if ring else PAVING_DARK, sector(radius - half, outer, *_edges(radius), 0.0)
            )
        if ring < n_bands:
            after = RINGS[ring + 1]
            is_before_canal = ring + 1 == CANAL_RING and n_bands > CANAL_RING
            inner = after - (CANAL_M / 2 + 6.6 if is_before_canal else STREET_M / 2)
            _band(node, ring, outer, inner, rng, is_park=ring >= n_full)
    _avenue(node, reach + STREET_M / 2)
    for ring in range(n_bands + 1):
        _along_ring(node, RINGS[ring], ring == CANAL_RING and n_bands > CANAL_RING, rng)
    return node


def _edges(radius_m: float) -> tuple[float, float]:
    """The bearings between the two avenues at a distance from the middle."""
    off = math.degrees(math.asin(min(1.0, AVENUE_M / 2 / radius_m)))
    return off, SECTOR_DEG - off


def _band(
    node: Node, band: int, inner: float, outer: float, rng: np.random.Generator, *, is_park: bool
) -> None:
    """Lawns with trees between the plots; paths lead to the fronts, which look inwards."""
    a, b = _edges((inner + outer) / 2)
    middle = (inner + outer) / 2
    node.add(LAWN, sector(inner, middle, a, b))
    node.add(LAWN_DARK, sector(middle, outer, a, b))
    if is_park:
        for _ in range(34):
            at, radius = rng.uniform(a + 1.0, b - 1.0), rng.uniform(inner + 4, outer - 4)
            if min(at, SECTOR_DEG - at) * radius / 57.3 < 34.0:
                continue  # a gate may stand at the avenue
            x, z = place(radius, at)
            tree(node, x, z, rng.uniform(6, 11), _LEAVES[int(rng.integers(3))], rng.uniform(0, 360))
        return
    n = PER_QUARTER[band]
    step = SECTOR_DEG / n
    for i in range(n):
        bearing = (i + 0.5) * step
        front = BANDS[band] - 20.0
        path = slab(5.0, 0.16, front - inner).move(0, 0, -(inner + front) / 2)
        node.add(PAVING, path.turn("y", -bearing))
        # A group of trees on each border between plots, and some behind the buildings.
        for k in range(7):
            spread = rng.uniform(-0.18, 0.18) * step
            at = (i + (1.0 if k < 4 else 0.5)) * step + spread
            radius = rng.uniform(inner + 4, outer - 4) if k < 4 else outer - rng.uniform(4, 9)
            if not a + 0.8 < at < b - 0.8:
                continue
            x, z = place(radius, at)
            tree(
                node,
                x,
                z,
                rng.uniform(5.5, 10.5),
                _LEAVES[int(rng.integers(3))],
                rng.uniform(0, 360),
            )
        if i % 2 == 0:
            x, z = place(inner + 6.5, (i + 0.98) * step if i + 1 < n else (i + 0.12) * step)
            _kiosk(node, x, z, -bearing, ACCENTS[(band + i) % len(ACCENTS)])


def _kiosk(node: Node, x: float, z: float, yaw: float, colour: object) -> None:
    for material, shape in (
        (WOOD, slab(3.2, 2.4, 2.6)),
        (colour, slab(4.4, 0.22, 4.0).move(y=2.6)),
        (WHITE, slab(2.6, 0.9, 0.2).move(0, 1.1, 1.35)),
    ):
        node.add(material, shape.turn("y", yaw).move(x, 0.0, z))  # type: ignore[arg-type]


def _avenue(node: Node, reach: float) -> None:
    """Half of each of the two avenues at the quarter's edges, with trees and lamps in rows."""
    half = AVENUE_M / 2
    for bearing, side in ((0.0, 1.0), (SECTOR_DEG, -1.0)):
        length = reach - PLAZA_M
        middle = (reach + PLAZA_M) / 2
        for material, offset, width in (
            (PAVING, half * 0.28, half * 0.56),
            (PAVING_DARK, half * 0.78, half * 0.44),
        ):
            strip = slab(width, 0.1, length).move(side * offset, -0.1 + 0.03, -middle)
            node.add(material, strip.turn("y", -bearing))
        along = PLAZA_M + 12.0
        k = 0
        while along < reach - 6.0:
            angle = math.radians(bearing)
            for offset, what in ((half - 1.6, "tree"), (half - 3.6, "lamp")):
                if what == "lamp" and k % 2:
                    continue
                x = along * math.sin(angle) + side * offset * math.cos(angle)
                z = -along * math.cos(angle) + side * offset * math.sin(angle)
                is_crossing = min(abs(along - r) for r in RINGS) < 12.0
                if what == "tree" and not is_crossing:
                    tree(
                        node, x, z, 7.5 + (k % 3) * 0.6, LEAVES if k % 2 else LEAVES_PALE, k * 40.0
                    )
                elif what == "lamp":
                    lamp(node, x, z)
            along += 11.0
            k += 1


def _along_ring(node: Node, radius: float, is_canal: bool, rng: np.random.Generator) -> None:
    a, b = _edges(radius)
    step = math.degrees(15.0 / radius)
    bearing, k = a + step, 0
    off = CANAL_M / 2 + 5.4 if is_canal else STREET_M / 2 + 2.2
    while bearing < b - step / 2:
        for side in (-1, 1):
            x, z = place(radius + side * off, bearing + 0.3 * side * step)
            if k % 4 == 1:
                lamp(node, x, z)
            else:
                tree(
                    node, x, z, rng.uniform(5.8, 8.2), _LEAVES[(k + side) % 3], rng.uniform(0, 360)
                )
        bearing += step
        k += 1


def ground(n_bands: int) -> Node:
    """The plaza in the middle and the park about the site."""
    node = Node("ground")
    reach = RINGS[n_bands] + STREET_M / 2
    rng = np.random.default_rng(9)
    inner = RINGS[0] - STREET_M / 2
    radii = (0.0, 47.0, 60.0, 68.0, 78.0, inner)
    for i, (a, b) in enumerate(itertools.pairwise(radii)):
        material = (PAVING, WATER, PAVING_DARK, PAVING, PAVING_DARK)[i]
        node.add(material, sector(a, b, 0.0, 360.0, -0.3 if material is WATER else 0.0))
    node.add(STONE, annulus(46.2, 47.4, 0.5, 96, 0.05).move(y=-0.25))
    node.add(STONE, annulus(59.6, 60.8, 0.5, 96, 0.05).move(y=-0.25))
    for i in range(4):  # bridges over the ring of water
        node.add(PAVING, slab(12.0, 0.45, 15.0).move(z=53.5).turn("y", 90.0 * i).move(y=-0.2))
    for i in range(12):  # fountains
        x, z = place(53.5, 15.0 + 30.0 * i)
        node.add(WHITE, cylinder(0.5, 0.6, 10).move(x, -0.3, z))
        node.add(WATER, cylinder(0.18, 4.2, 6).move(x, 0.2, z))
    for i in range(48):
        x, z = place(86.0, 3.75 + 7.5 * i)
        if i % 6 not in (5, 0):
            tree(node, x, z, 6.5, LEAVES_PALE if i % 2 else LEAVES, i * 31.0)
    for i in range(16):
        x, z = place(73.0, 11.25 + 22.5 * i)
        node.add(DARK, slab(0.2, 9.0, 0.2).move(x, 0.0, z))
        node.add(ACCENTS[i % len(ACCENTS)], slab(0.06, 5.6, 1.7).move(x, 3.1, z + 0.9))
    edge = reach + 150.0
    node.add(LAWN_DARK, sector(reach, reach + 40.0, 0.0, 360.0))
    node.add(LAWN, sector(reach + 40.0, edge, 0.0, 360.0))
    for _ in range(int(reach * 0.8)):
        bearing = rng.uniform(0.0, 360.0)
        radius = reach + 8.0 + 135.0 * rng.beta(1.4, 1.6)
        if min(abs(bearing - 180.0), abs(bearing), abs(bearing - 360.0)) < 4.5:
            continue
        x, z = place(radius, bearing)
        tree(node, x, z, rng.uniform(7.0, 12.0), _LEAVES[int(rng.integers(3))], rng.uniform(0, 360))
    for bearing in (0.0, 180.0):  # the ways in
        strip = slab(22.0, 0.14, 150.0).move(z=-(reach + 75.0)).turn("y", -bearing)
        node.add(PAVING, strip)
    return node
