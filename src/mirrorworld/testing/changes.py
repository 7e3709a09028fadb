"""Changes at random, by seed: what a record is fed with to be tried.

They are of all kinds, with values from tame to wild; the same seed gives the same changes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from mirrorworld.world.changes import (
    Change,
    Command,
    Edits,
    Event,
    Origin,
    OriginKind,
    Position,
    PutProperty,
    PutTwin,
)
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind, PointType, Property, Text, Twin

START_NS = 1_790_000_000_000_000_000
SOURCES = ("plant", "weather", "")
ORIGINS = (
    Origin(OriginKind.MEASURED, "plant"),
    Origin(OriginKind.INFERRED, "soft sensor"),
    Origin(OriginKind.AUTHORED, "ada"),
)
KINDS = (Kind.FLOAT, Kind.INT, Kind.BOOL, Kind.FLOAT, Kind.ENUM, Kind.TEXT, Kind.FLOAT)


def twins(n_points: int) -> Edits:
    """Twins of 7 points each, of all kinds, `n_points` in all."""
    puts: list[PutTwin] = []
    for at in range(0, n_points, len(KINDS)):
        points = tuple(PointType(f"p{i}", KINDS[i]) for i in range(min(len(KINDS), n_points - at)))
        puts.append(PutTwin(Twin(f"line/machine{at}", points=points)))
    return Edits(tuple(puts), "declared")


def frame(random: np.random.Generator, n: int, n_points: int, now_ns: int) -> Frame:
    """Samples of random points of all kinds, floats from tame to wild."""
    point = random.integers(0, n_points, n).astype(np.uint32)
    kind = np.array([k.value for k in KINDS])[point % len(KINDS)]
    noise = random.normal(size=n) * 10.0 ** random.integers(-3, 6, n)
    choice = (point // len(KINDS)) % 4
    floats = np.select(
        [choice == 0, choice == 1, choice == 2],
        [np.round(noise, 2), np.round(noise, 1).astype(np.float32).astype(float), noise],
        noise.astype(np.float32).astype(float),
    )
    odd = random.random(n) < 0.03
    floats[odd] = random.choice([np.nan, np.inf, -0.0, 0.0, 5e-324, 1e308], odd.sum())
    cell = floats.view(np.int64).copy()
    cell[kind == Kind.INT] = random.integers(-(1 << 62), 1 << 62, n)[kind == Kind.INT]
    cell[kind == Kind.BOOL] = random.integers(0, 2, n)[kind == Kind.BOOL]
    cell[kind == Kind.ENUM] = random.integers(0, 9, n)[kind == Kind.ENUM]
    heap = bytearray()
    for row in np.flatnonzero(kind == Kind.TEXT):
        text = f"state {random.integers(0, 50)} é".encode()
        cell[row] = len(heap) << 32 | len(text)
        heap += text
    quality = np.where(random.random(n) < 0.05, 0x80310000, 0).astype(np.uint32)
    jitter = random.integers(0, 1000, n) * 1_000_000 if random.random() < 0.5 else np.zeros(n)
    source_ns = now_ns - jitter.astype(np.int64)
    return Frame(point, cell, quality, source_ns, bytes(heap))


def changes(
    seed: int, count: int, *, n_points: int = 60, rows: int = 40, epoch: int = 1, first: int = 1
) -> Iterator[Change]:
    """`count` changes with positions from `first` on: mostly frames; the first declares twins."""
    random = np.random.default_rng(seed)
    for i in range(count):
        sequence = first + i
        now_ns = START_NS + sequence * 250_000_000
        draw = random.random()
        twin = "line/machine0"
        if sequence == 1:
            body = twins(n_points)
        elif draw < 0.85:
            body = frame(random, int(random.integers(0, rows)), n_points, now_ns)
        elif draw < 0.9:
            body = Edits((PutProperty(twin, Property("note", f"n{sequence}")),))
        elif draw < 0.95:
            body = Event(f"e{sequence}", twin, "alarm", Text.of("hot"), source_ns=now_ns)
        else:
            body = Command(f"c{sequence}", twin, "p0", value=1.5, by="ada", requested_ns=now_ns)
        numbered = random.random() < 0.5
        yield Change(
            body,
            ORIGINS[int(random.integers(0, len(ORIGINS)))],
            now_ns + 3,
            SOURCES[int(random.integers(0, len(SOURCES)))],
            int(random.integers(0, 3)),
            sequence if numbered else -1,
            Position(epoch, sequence),
        )


def assert_same(got: Change, expected: Change) -> None:
    """Equal to the last bit."""
    for field in ("origin", "received_ns", "source", "incarnation", "source_seq", "position"):
        assert getattr(got, field) == getattr(expected, field), field
    if isinstance(expected.body, Frame):
        assert isinstance(got.body, Frame)
        for column in ("point", "cell", "quality", "source_ns"):
            ours, theirs = getattr(got.body, column), getattr(expected.body, column)
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours, theirs), column
        assert got.body.heap == expected.body.heap
    else:
        assert got.body == expected.body


def placed(change: Change, epoch: int, sequence: int) -> Change:
    """The change at another position."""
    return dataclasses.replace(change, position=Position(epoch, sequence))
