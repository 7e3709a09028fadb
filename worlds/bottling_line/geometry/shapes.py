"""Solids as triangles: beveled boxes, turned profiles, tubes, sweeps. numpy only.

Metres, y up, counter-clockwise from outside. Edges are broken by small chamfers whose vertices
carry the normals of the faces beside them, so that a chamfer shades like a rounding and a box
still costs 44 triangles. It knows no material, no file and no machine.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Triangles: positions, normals and texture coordinates by vertex, and indices (n, 3)."""

    position: Floats
    normal: Floats
    uv: Floats
    index: NDArray[np.int64]

    def move(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Shape:
        """Moved."""
        return Shape(self.position + np.array([x, y, z]), self.normal, self.uv, self.index)

    def turn(self, axis: str, degrees: float) -> Shape:
        """Turned about an axis through the origin."""
        matrix = rotation(axis, degrees)
        return Shape(self.position @ matrix.T, self.normal @ matrix.T, self.uv, self.index)

    def stretch(self, x: float = 1.0, y: float = 1.0, z: float = 1.0) -> Shape:
        """Scaled along the axes, by positive factors."""
        factors = np.array([x, y, z])
        normal = self.normal / factors
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        return Shape(self.position * factors, normal, self.uv, self.index)

    def ring(
        self, n: int, radius: float, start_deg: float = 0.0, sweep_deg: float = 360.0
    ) -> Shape:
        """`n` copies on a circle about y; each is first moved by `radius` along +z."""
        placed = self.move(z=radius)
        step = sweep_deg / n
        return merge(placed.turn("y", start_deg + i * step) for i in range(n))

    def row(self, n: int, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Shape:
        """`n` copies, each a step further."""
        return merge(self.move(x * i, y * i, z * i) for i in range(n))


def merge(shapes: Iterable[Shape]) -> Shape:
    """Several shapes as one."""
    parts = list(shapes)
    offsets = np.cumsum([0, *(len(part.position) for part in parts)])
    return Shape(
        np.concatenate([part.position for part in parts]),
        np.concatenate([part.normal for part in parts]),
        np.concatenate([part.uv for part in parts]),
        np.concatenate([part.index + at for part, at in zip(parts, offsets, strict=False)]),
    )


def rotation(axis: str, degrees: float) -> Floats:
    """A rotation matrix about x, y or z."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis], np.float64)


def box(x: float, y: float, z: float, bevel: float = 0.008) -> Shape:
    """A box of these sizes; its origin is the middle of the base."""
    half = np.array([x, y, z]) / 2
    bevel = min(bevel, *(half * 0.9))
    corners = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)]) * 2.0 - 1.0
    position, normal = np.empty((8, 3, 3)), np.zeros((8, 3, 3))
    for axis in range(3):
        inner = half - bevel
        inner[axis] = half[axis]
        position[:, axis] = corners * inner
        normal[:, axis, axis] = corners[:, axis]
    faces: list[tuple[int, ...]] = []
    for axis in range(3):
        u, v = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
        for side in (0, 1 << axis):
            # One face, then (once per pair of axes) the chamfers along `axis`.
            faces.append(tuple(c * 3 + axis for c in (side, side | u, side | u | v, side | v)))
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for corner in (0, u, v, u | v):
            other = corner | 1 << axis
            faces.append((corner * 3 + a, other * 3 + a, other * 3 + b, corner * 3 + b))
    faces += [(c * 3, c * 3 + 1, c * 3 + 2) for c in range(8)]
    flat_position, flat_normal = position.reshape(-1, 3), normal.reshape(-1, 3)
    index = _outward(faces, flat_position, flat_normal)
    uv = np.stack([flat_position @ (1, 0, 1), flat_position[:, 1]], axis=1)
    return Shape(flat_position + np.array([0, half[1], 0]), flat_normal, uv, index)


def _outward(
    faces: Sequence[tuple[int, ...]], position: Floats, normal: Floats
) -> NDArray[np.int64]:
    """Triangles of faces, each turned so that it looks the way its normals do."""
    triangles = [(f[0], f[i], f[i + 1]) for f in faces for i in range(1, len(f) - 1)]
    index = np.array(triangles, np.int64)
    a, b, c = (position[index[:, i]] for i in range(3))
    facing = np.einsum("ij,ij->i", np.cross(b - a, c - a), normal[index].sum(axis=1))
    index[facing < 0] = index[facing < 0][:, ::-1]
    return index


def lathe(
    profile: Sequence[tuple[float, float]],
    n: int = 24,
    crease_deg: float = 50.0,
    arc: float = 360.0,
) -> Shape:
    """A profile of (radius, y), from below to above outside, turned about y.

    Edges sharper than `crease_deg` stay sharp; at softer ones normals are averaged, weighted by
    length, so that short chamfers do not dome long faces.
    """
    points = np.array(profile, np.float64)
    step = np.diff(points, axis=0)
    length = np.linalg.norm(step, axis=1)
    keep = length > 1e-9
    points = np.concatenate([points[:-1][keep], points[-1:]])
    step, length = step[keep], length[keep]
    flat = np.stack([step[:, 1], -step[:, 0]], axis=1) / length[:, None]
    rows: list[tuple[Floats, Floats]] = []
    strips: list[tuple[int, int]] = []
    for i in range(len(step)):
        ends: list[int] = []
        for end, beside in ((i, i - 1), (i + 1, i + 1)):
            normal = flat[i] * length[i]
            if 0 <= beside < len(step):
                angle = math.degrees(math.acos(float(np.clip(flat[i] @ flat[beside], -1, 1))))
                if angle <= crease_deg:
                    normal = normal + flat[beside] * length[beside]
            rows.append((points[end], normal / np.linalg.norm(normal)))
            ends.append(len(rows) - 1)
        strips.append((ends[0], ends[1]))
    angle = np.radians(np.linspace(0.0, arc, n + 1))
    sin, cos = np.sin(angle), np.cos(angle)
    position = np.concatenate(
        [np.stack([p[0] * sin, np.full(n + 1, p[1]), p[0] * cos], axis=1) for p, _ in rows]
    )
    normal = np.concatenate(
        [np.stack([v[0] * sin, np.full(n + 1, v[1]), v[0] * cos], axis=1) for _, v in rows]
    )
    uv = np.concatenate(
        [np.stack([np.linspace(0, 1, n + 1), np.full(n + 1, p[1])], axis=1) for p, _ in rows]
    )
    quads: list[NDArray[np.int64]] = []
    around = np.arange(n)
    for low, high in strips:
        a, b = low * (n + 1) + around, high * (n + 1) + around
        if rows[low][0][0] > 1e-9:
            quads.append(np.stack([a, a + 1, b + 1], axis=1))
        if rows[high][0][0] > 1e-9:
            quads.append(np.stack([a, b + 1, b], axis=1))
    return Shape(position, normal, uv, np.concatenate(quads))


def cylinder(radius: float, height: float, n: int = 24, bevel: float = 0.006) -> Shape:
    """A cylinder that stands on the origin."""
    b = min(bevel, radius * 0.45, height * 0.45)
    return lathe(
        [
            (0, 0),
            (radius - b, 0),
            (radius, b),
            (radius, height - b),
            (radius - b, height),
            (0, height),
        ],
        n,
    )


def annulus(inner: float, outer: float, height: float, n: int = 32, bevel: float = 0.005) -> Shape:
    """A ring that stands on the origin."""
    b = min(bevel, height * 0.45, (outer - inner) * 0.45)
    return lathe(
        [
            (inner, b),
            (inner + b, 0),
            (outer - b, 0),
            (outer, b),
            (outer, height - b),
            (outer - b, height),
            (inner + b, height),
            (inner, height - b),
            (inner, b),
        ],
        n,
    )


def sphere(radius: float, n: int = 16) -> Shape:
    """A sphere about the origin."""
    angles = np.linspace(-math.pi / 2, math.pi / 2, n // 2 + 1)
    profile = [(max(0.0, radius * math.cos(a)), radius * math.sin(a)) for a in angles]
    return lathe(profile, n, 90.0)


def tube(points: ArrayLike, radius: float, n: int = 8, rounding: float = 0.0) -> Shape:
    """A round bar or pipe along a polyline, with bends of radius `rounding`, closed by caps."""
    path = rounded(np.asarray(points, np.float64), rounding)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    start = np.array([0.0, 1.0, 0.0]) if abs(tangent[0, 1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    side = np.cross(tangent[0], start)
    side /= np.linalg.norm(side)
    angle = np.linspace(0, 2 * math.pi, n + 1)
    rings_p, rings_n = [], []
    for point, direction in zip(path, tangent, strict=True):
        # The frame is carried along by projection, so that the tube does not twist.
        side = side - direction * (side @ direction)
        side /= np.linalg.norm(side)
        up = np.cross(side, direction)
        around = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up
        rings_p.append(point + radius * around)
        rings_n.append(around)
    k, m = len(path), n + 1
    position, normal = np.concatenate(rings_p), np.concatenate(rings_n)
    i, j = np.meshgrid(np.arange(k - 1), np.arange(n), indexing="ij")
    a = (i * m + j).ravel()
    index = np.concatenate(
        [np.stack([a, a + 1, a + m + 1], axis=1), np.stack([a, a + m + 1, a + m], axis=1)]
    )
    uv = np.stack(
        [np.tile(np.linspace(0, 1, m), k), np.repeat(np.arange(k, dtype=float), m)], axis=1
    )
    body = _facing(Shape(position, normal, uv, index))
    return merge([body, _cap(rings_p[0][:-1], -tangent[0]), _cap(rings_p[-1][:-1], tangent[-1])])


def _cap(ring: Floats, normal: Floats) -> Shape:
    n = len(ring)
    index = np.array([(0, i, i + 1) for i in range(1, n - 1)], np.int64)
    return _facing(Shape(ring, np.tile(normal, (n, 1)), np.zeros((n, 2)), index))


def _facing(shape: Shape) -> Shape:
    a, b, c = (shape.position[shape.index[:, i]] for i in range(3))
    facing = np.einsum("ij,ij->i", np.cross(b - a, c - a), shape.normal[shape.index].sum(axis=1))
    index = shape.index.copy()
    index[facing < 0] = index[facing < 0][:, ::-1]
    return Shape(shape.position, shape.normal, shape.uv, index)


def rounded(points: Floats, radius: float, steps: int = 5) -> Floats:
    """A polyline whose corners are replaced by arcs (quadratic, so nearly circular)."""
    if radius <= 0.0 or len(points) < 3:
        return points
    out = [points[0]]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        into, away = before - corner, after - corner
        reach = min(radius, np.linalg.norm(into) * 0.49, np.linalg.norm(away) * 0.49)
        start = corner + into / np.linalg.norm(into) * reach
        end = corner + away / np.linalg.norm(away) * reach
        for t in np.linspace(0, 1, steps + 1):
            out.append((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    out.append(points[-1])
    return np.array(out)


def sweep(
    section: Sequence[tuple[float, float]], path: Sequence[tuple[float, float]], y: float = 0.0
) -> Shape:
    """A closed section of (sideways, up), swept along a polyline of (x, z). Sharp edges.

    Sideways is to the right of travel (+z for travel along +x). u of the texture is metres
    travelled, v is 0 … 1 across each face.
    """
    points = np.array(path, np.float64)
    tangent = np.gradient(points, axis=0)
    if len(points) > 2:
        # At the ends the one-sided difference is right already; inside, neighbours average.
        tangent[1:-1] = points[2:] - points[:-2]
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    right = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    faces: list[Shape] = []
    corners = [*section, section[0]]
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(corners))
    for (s0, u0), (s1, u1) in itertools.pairwise(corners):
        out = np.array([u1 - u0, s0 - s1]) * (1.0 if area > 0 else -1.0)
        out = out / np.linalg.norm(out)
        k = len(points)

        def edge(s: float, u: float, k: int = k) -> Floats:
            flat = points + right * s
            return np.stack([flat[:, 0], np.full(k, y + u), flat[:, 1]], axis=1)

        normal = np.stack([right[:, 0] * out[0], np.full(k, out[1]), right[:, 1] * out[0]], axis=1)
        position = np.concatenate([edge(s0, u0), edge(s1, u1)])
        uv = np.concatenate(
            [np.stack([travelled, np.zeros(k)], axis=1), np.stack([travelled, np.ones(k)], axis=1)]
        )
        a = np.arange(k - 1)
        index = np.concatenate(
            [np.stack([a, a + 1, a + k + 1], axis=1), np.stack([a, a + k + 1, a + k], axis=1)]
        )
        faces.append(_facing(Shape(position, np.concatenate([normal, normal]), uv, index)))
    return merge(faces)


def plate(outline: Sequence[tuple[float, float]], height: float) -> Shape:
    """A plate whose outline of (x, z), star-shaped about its middle, is extruded upwards."""
    points = np.array(outline, np.float64)
    n = len(points)
    middle = points.mean(axis=0)
    around = np.arange(n)
    following = (around + 1) % n
    faces: list[Shape] = []
    for y, up in ((height, 1.0), (0.0, -1.0)):
        position = np.concatenate([[[middle[0], y, middle[1]]], _at(points, y)])
        index = np.stack([np.zeros(n, np.int64), around + 1, following + 1], axis=1)
        normal = np.tile([0.0, up, 0.0], (n + 1, 1))
        faces.append(_facing(Shape(position, normal, position[:, [0, 2]], index)))
    edge = points[following] - points
    out = np.stack([edge[:, 1], -edge[:, 0]], axis=1)
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
    out *= np.sign(np.sum(out * (points + edge / 2 - middle), axis=1, keepdims=True))
    position = np.concatenate(
        [
            _at(points, 0),
            _at(points[following], 0),
            _at(points[following], height),
            _at(points, height),
        ]
    )
    normal = np.tile(np.stack([out[:, 0], np.zeros(n), out[:, 1]], axis=1), (4, 1))
    index = np.concatenate(
        [
            np.stack([around, around + n, around + 2 * n], axis=1),
            np.stack([around, around + 2 * n, around + 3 * n], axis=1),
        ]
    )
    faces.append(_facing(Shape(position, normal, position[:, [0, 1]], index)))
    return merge(faces)


def _at(points: Floats, y: float) -> Floats:
    return np.stack([points[:, 0], np.full(len(points), y), points[:, 1]], axis=1)


def quad(x: float, z: float, y: float = 0.0) -> Shape:
    """A horizontal rectangle that looks up; its texture repeats every metre."""
    position = np.array([[-x, 0, -z], [x, 0, -z], [x, 0, z], [-x, 0, z]]) / 2 + np.array([0, y, 0])
    index = np.array([[0, 2, 1], [0, 3, 2]], np.int64)
    return Shape(position, np.tile([0.0, 1.0, 0.0], (4, 1)), position[:, [0, 2]], index)
