"""Poses as bytes: what a page tells of where it is, and what a room tells of all who moved.

A place is three i32 in millimetres of the scene (x right, y up, z towards the viewer); a direction
four i16, a unit quaternion (x, y, z, w) times 32767. Little-endian throughout.

From a page, one record:

    0  u8   1
    1  u8   has        bit 0 left hand, bit 1 right hand, bit 2 pointer
    2  u16  zero
    4  head, left, right: 12 + 8 bytes each as far as there; pointer: 2 * 12 bytes, from and to

To pages, columns of the n people who moved, and of those of them who have hands or a pointer:

    0  u8   2
    1  u8   zero
    2  u16  n
    4  u32  zero
    8  f64  now_ms     the server's clock, Unix milliseconds
    16 u16[n] id, u16[n] age_ms (how long before now_ms it came), u8[n] has; each padded to 4 bytes
       then i32[3] of all places: n heads, the left hands, the right hands, the pointers' from, to;
       then i16[4] of all directions: n heads, the left hands, the right hands
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

POSE: Final = 1
POSES: Final = 2
LEFT: Final = 1
RIGHT: Final = 2
POINTER: Final = 4
HEADER: Final = struct.Struct("<BBHId")
MM_MAX: Final = 1_000_000_000
"""1000 km from the middle; nobody is further."""
UNIT: Final = 32_767
AGE_MS_MAX: Final = 65_535

_LENGTH: Final = tuple(
    4 + 20 * (1 + (has & 1) + (has >> 1 & 1)) + 24 * (has >> 2 & 1) for has in range(8)
)
BYTES_MAX: Final = max(_LENGTH)

ROW: Final = np.dtype(
    [("place", "<i4", (5, 3)), ("turn", "<i2", (3, 4))]
)  # places: head, left, right, from, to; turns: head, left, right
"""Of one person, as a room keeps it."""

_Q: Final = struct.Struct("<3i4h")
_P: Final = struct.Struct("<6i")

Vector = tuple[float, float, float]
Turn = tuple[float, float, float, float]
STRAIGHT: Final[Turn] = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Pose:
    """A place in metres, and a unit quaternion that takes −z to where one looks."""

    position: Vector
    rotation: Turn = STRAIGHT


@dataclass(frozen=True, slots=True)
class Body:
    """What of a person others can see."""

    head: Pose
    left: Pose | None = None
    right: Pose | None = None
    pointer: tuple[Vector, Vector] | None = None
    """From where to where they point."""


def encode_pose(body: Body) -> bytes:
    """One person's record. Places that are too far away, or no numbers, are cut to the limit."""
    parts_of = ((body.left, LEFT), (body.right, RIGHT), (body.pointer, POINTER))
    has = sum(bit for part, bit in parts_of if part is not None)
    parts = [struct.pack("<BBH", POSE, has, 0)]
    for pose in (body.head, body.left, body.right):
        if pose is not None:
            parts.append(_Q.pack(*map(_mm, pose.position), *map(_unit, pose.rotation)))
    if body.pointer is not None:
        parts.append(_P.pack(*map(_mm, (*body.pointer[0], *body.pointer[1]))))
    return b"".join(parts)


def _mm(metres: float) -> int:
    return round(max(-MM_MAX, min(MM_MAX, metres * 1e3))) if metres == metres else 0


def _unit(part: float) -> int:
    return round(max(-1.0, min(1.0, part)) * UNIT) if part == part else 0


def check_pose(data: bytes) -> int:
    """What a record has beside the head.

    Raises:
        ValueError: it is none.
    """
    if len(data) < 4 or data[0] != POSE or data[1] > 7 or data[2] or data[3]:
        raise ValueError("a pose begins with 1, what it has (0 to 7), and two zeros")
    if len(data) != _LENGTH[data[1]]:
        raise ValueError(f"a pose with {data[1]} has {_LENGTH[data[1]]} bytes, not {len(data)}")
    return data[1]


def take_pose(data: bytes, into: NDArray[Any]) -> int:
    """Puts a record into a row of `ROW`; returns what it has.

    Raises:
        ValueError: it is none, or its place is further away than 1000 km.
    """
    has = check_pose(data)
    place, turn = into["place"], into["turn"]
    at = 4
    for i in range(3):
        if i == 0 or has & i:
            *where, a, b, c, d = _Q.unpack_from(data, at)
            if max(where) > MM_MAX or min(where) < -MM_MAX:
                raise ValueError("nobody is further away than 1000 km")
            place[i] = where
            turn[i] = (a, b, c, d) if a or b or c or d else (0, 0, 0, UNIT)
            at += 20
    if has & POINTER:
        way = _P.unpack_from(data, at)
        if max(way) > MM_MAX or min(way) < -MM_MAX:
            raise ValueError("nothing is further away than 1000 km")
        place[3], place[4] = way[:3], way[3:]
    return has


def encode_poses(
    id: NDArray[np.uint16],
    age_ms: NDArray[np.float64],
    has: NDArray[np.uint8],
    rows: NDArray[Any],
    now_ms: float,
) -> bytes:
    """What a room tells of people, each array of length n; `rows` of `ROW`."""
    n = len(id)
    place, turn = rows["place"], rows["turn"]
    left, right, pointer = ((has & bit) != 0 for bit in (LEFT, RIGHT, POINTER))
    age = np.clip(age_ms, 0, AGE_MS_MAX).astype("<u2")
    pad2, pad1 = bytes(2 * (n & 1)), bytes(-n % 4)
    return b"".join(
        (
            HEADER.pack(POSES, 0, n, 0, now_ms),
            id.astype("<u2", copy=False).tobytes(), pad2, age.tobytes(), pad2,
            has.tobytes(), pad1,
            place[:, 0].tobytes(), place[left, 1].tobytes(), place[right, 2].tobytes(),
            place[pointer, 3].tobytes(), place[pointer, 4].tobytes(),
            turn[:, 0].tobytes(), turn[left, 1].tobytes(), turn[right, 2].tobytes(),
        )
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Poses:
    """What a room told: bodies by person, and how old each was at `now_ms`."""

    now_ms: float
    bodies: dict[int, Body]
    age_ms: dict[int, int]


def decode_poses(data: bytes) -> Poses:
    """Reads a room's frame.

    Raises:
        ValueError: the bytes are no whole frame.
    """
    if len(data) < HEADER.size or data[0] != POSES:
        raise ValueError("this is no frame of poses")
    _, _, n, _, now_ms = HEADER.unpack_from(data)
    try:
        reader = _Reader(data)
        ids, ages, has = reader.take("<u2", n), reader.take("<u2", n), reader.take("u1", n)
        counts = [n, *(int(np.count_nonzero(has & bit)) for bit in (LEFT, RIGHT, POINTER))]
        places = [reader.take("<i4", 3 * c) for c in (*counts, counts[3])]
        turns = [reader.take("<i2", 4 * c) for c in counts[:3]]
    except ValueError as error:
        raise ValueError(f"a frame of {n} poses does not have {len(data)} bytes") from error
    if reader.at != len(data):
        raise ValueError(f"a frame of {n} poses does not have {len(data)} bytes")
    metres = [(column.reshape(-1, 3) / 1e3).tolist() for column in places]
    units = [(column.reshape(-1, 4) / UNIT).tolist() for column in turns]
    hands = [iter(zip(metres[i], units[i], strict=True)) for i in (1, 2)]
    ways = iter(zip(metres[3], metres[4], strict=True))
    bodies: dict[int, Body] = {}
    for row, who in enumerate(ids.tolist()):
        parts = [
            Pose(*map(tuple, next(hands[i]))) if has[row] & (LEFT, RIGHT)[i] else None  # pyright: ignore
            for i in (0, 1)
        ]
        way = next(ways) if has[row] & POINTER else None
        pointer = (tuple(way[0]), tuple(way[1])) if way else None
        bodies[who] = Body(Pose(tuple(metres[0][row]), tuple(units[0][row])), *parts, pointer)  # pyright: ignore
    return Poses(now_ms, bodies, dict(zip(ids.tolist(), ages.tolist(), strict=True)))


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = HEADER.size

    def take(self, kind: str, count: int) -> NDArray[Any]:
        column = np.frombuffer(self._data, kind, count, self.at)
        self.at += column.nbytes + -column.nbytes % 4
        return column
