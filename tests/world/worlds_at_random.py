"""Worlds and changes drawn from a seed: what the laws of the kernel are tried on."""

from __future__ import annotations

import random

import numpy as np

from mirrorworld.world.changes import (
    Arm,
    Change,
    Command,
    CommandState,
    Disarm,
    DropProperty,
    DropRelation,
    DropTwin,
    Edit,
    Edits,
    Event,
    Origin,
    OriginKind,
    PutGeometry,
    PutName,
    PutPointAbout,
    PutPoints,
    PutPose,
    PutProperty,
    PutRelation,
    PutTwin,
    PutType,
    PutTypeOf,
    Unsay,
)
from mirrorworld.world.frames import FrameBuilder
from mirrorworld.world.model import Kind, PointType, Pose, Property, Relation, Text, Twin, TwinType
from mirrorworld.world.world import World

AUTHOR = Origin(OriginKind.AUTHORED, "tester")
SOURCE = Origin(OriginKind.MEASURED, "plant")
KINDS = list(Kind)


def random_edit(rng: random.Random, world: World) -> Edit:
    """One edit; some of them are refused by the world, as in life."""
    twins = list(world.structure.twins) or ["t0"]
    twin = rng.choice(twins)
    points = tuple(
        PointType(f"{kind.name.lower()}{i}", kind, low=0.0, high=50.0)
        for i, kind in enumerate(rng.sample(KINDS, rng.randint(1, 4)))
    )
    prop = Property(
        rng.choice("abc"),
        rng.choice((1.5, "x", True, Text((("en", "one"), ("de", "eins"))), (Property("", 1),))),
    )
    other = rng.choice(twins)
    kind = rng.choice(("feeds", "part_of"))
    return rng.choice(
        (
            PutType(TwinType(f"T{rng.randint(0, 2)}", points=points)),
            PutTwin(Twin(f"t{rng.randint(0, 9)}", f"T{rng.randint(0, 2)}", properties=(prop,))),
            PutTwin(Twin(f"t{rng.randint(0, 9)}", "T0", points=points)),
            DropTwin(twin),
            PutPoints(twin, points),
            PutProperty(twin, prop),
            DropProperty(twin, prop.name),
            PutName(twin, Text.of(rng.choice(("Pump", "Tank")))),
            PutPose(twin, Pose(rng.random(), 0, rng.random()), rng.choice(("", "asset:c"))),
            PutGeometry(twin, rng.choice(("", "asset:a", "asset:b"))),
            PutTypeOf(twin, f"T{rng.randint(0, 3)}"),
            PutPointAbout(twin, points[0].name, rng.choice((None, "mbar")), high=rng.random() * 60),
            Unsay(twin, "PutPointAbout", points[0].name),
            Unsay(twin, rng.choice(("PutName", "PutPose", "PutGeometry", "PutTypeOf"))),
            Unsay(twin, *rng.choice((("PutProperty", prop.name), ("PutPoints", points[0].name)))),
            PutRelation(Relation(kind, twin, other, properties=(prop,))),
            DropRelation(kind, twin, other),
            Arm(twin, points[0].name),
            Disarm(twin, points[0].name),
        )
    )


def random_change(rng: random.Random, world: World, now_ns: int) -> Change:
    """An edit, a frame of mixed kinds with late, repeated and foolish rows, a command or event."""
    dice = rng.random()
    if dice < 0.3 or not world.n_points:
        edits = tuple(random_edit(rng, world) for _ in range(rng.randint(1, 3)))
        return Change(Edits(edits), AUTHOR, now_ns)
    if dice < 0.35:
        twin = rng.choice(list(world.structure.twins) or ["t0"])
        event = Event(f"e{rng.randint(0, 5)}", twin, "hot", Text.of("hot"), is_active=True)
        return Change(event, SOURCE, now_ns)
    if dice < 0.4:
        twin = rng.choice(list(world.structure.twins) or ["t0"])
        state = CommandState(rng.randint(0, 5))
        command = Command(f"c{rng.randint(0, 9)}", twin, point="float0", state=state)
        return Change(command, AUTHOR, now_ns)
    builder = FrameBuilder()
    for _ in range(rng.randint(1, 20)):
        handle = rng.randrange(world.n_points)
        kind = Kind(int(world.kinds[handle]))
        value = {
            Kind.FLOAT: rng.choice((float("nan"), 1.5, 99.0, rng.random())),
            Kind.INT: rng.choice((-(2**63), 2**63 - 1, 7)),
            Kind.BOOL: rng.random() < 0.5,
            Kind.ENUM: rng.randint(0, 3),
            Kind.TEXT: rng.choice(("", "ok", "größer" * 3)),
            Kind.ARRAY: np.arange(rng.randint(0, 4), dtype=np.float32),
            Kind.BLOB: b"sha",
        }[kind]
        source_ns = now_ns - rng.choice((0, 0, 1, 10, 1000, -(10**12)))
        builder.add(handle, kind, value, source_ns, rng.choice((0, 0, 0x4000_0000)))
    if rng.random() < 0.2:
        builder.add(world.n_points + 5, Kind.INT, 1, now_ns)
    source_seq = rng.choice((-1, -1, now_ns, now_ns - 1))
    return Change(builder.build(), SOURCE, now_ns, "plant", 0, source_seq)


def run(world: World, seed: int, n: int) -> list[Change]:
    """Applies `n` changes drawn from a seed; returns those that the world accepted."""
    rng = random.Random(seed)
    accepted: list[Change] = []
    for step in range(n):
        change = random_change(rng, world, 1_000_000 + step)
        before = world.state_hash()
        try:
            applied = world.apply(change)
        except ValueError:
            assert world.state_hash() == before, "a refused change has left something behind"
        else:
            if applied.change is not None:
                accepted.append(applied.change)
    return accepted
