"""A small world in a record on disk: two machines with known samples, an alarm, a command."""

from __future__ import annotations

import datetime
from pathlib import Path

from mirrorworld.record import Store, open_record
from mirrorworld.world.changes import (
    Change,
    Command,
    Edits,
    Event,
    Origin,
    OriginKind,
    PutRelation,
    PutSheet,
    PutTwin,
    PutType,
    Severity,
)
from mirrorworld.world.frames import FrameBuilder
from mirrorworld.world.model import (
    PART_OF,
    Kind,
    PointType,
    Property,
    Relation,
    Sheet,
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.world import World

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = int(datetime.datetime(2026, 6, 1, 6, tzinfo=datetime.UTC).timestamp()) * SECOND
"""The early shift of this day in UTC begins."""
MACHINE = TwinType(
    "t:Machine",
    Text.of("Machine"),
    points=(
        PointType("State", Kind.ENUM, labels=((2, "Stopped"), (5, "Suspended"), (6, "Execute"))),
        PointType("Cause", Kind.TEXT),
        PointType("BottlesOut", Kind.INT),
        PointType("Rejects", Kind.INT),
        PointType("SpeedSetpoint", Kind.FLOAT, "/h", 0.0, 3_600.0),
    ),
)
STATES = [(-5, 6), (180, 5), (200, 2), (210, 6), (390, 2)]
"""(minute, state)"""


def make(directory: Path) -> tuple[World, Store]:
    """The world, live and kept; who asked for it closes the record."""
    world = World("kept")
    record = open_record(directory / "record", "kept", create=True)

    def put(body, by: str = "plant", kind: OriginKind = OriginKind.MEASURED) -> None:
        applied = world.apply(Change(body, Origin(kind, by), START)).change
        assert applied is not None
        record.append(applied)

    filler = Twin("line/filler", MACHINE.id, Text((("en", "Filler"), ("de", "Füller"))),
                  (Property("serial_number", "F-1"),
                   Property("mass", 4200.0, unit="kg")))  # fmt: skip
    edits = (
        PutType(MACHINE), PutTwin(Twin("line", "", Text.of("Line"))), PutTwin(filler),
        PutTwin(Twin("line/capper", MACHINE.id, Text.of("=Capper"))),
        PutRelation(Relation(PART_OF, "line/filler", "line")),
        PutRelation(Relation(PART_OF, "line/capper", "line")),
        PutSheet(Sheet("shift_plan", "plan", '{"time_zone": "UTC", "shifts": [{"name": "early",'
                       ' "start": "06:00", "end": "14:00", "breaks": [["10:00", "10:30"]]}]}')),
    )  # fmt: skip
    put(Edits(edits))
    frame = FrameBuilder()
    for twin in ("line/filler", "line/capper"):
        at = {p.name: p.handle for p in world.structure.points_of(twin)}
        for minute, state in STATES:
            time_ns = START + minute * MINUTE
            frame.add(at["State"], Kind.ENUM, state, time_ns)
            cause = {5: "starved", 2: '<jam> "ß" & Ölmangel'}.get(state, "")
            frame.add(at["Cause"], Kind.TEXT, cause, time_ns)
        for minute in range(0, 480, 10):
            time_ns = START + minute * MINUTE
            frame.add(at["BottlesOut"], Kind.INT, 1_000 + minute * 10, time_ns)
            frame.add(at["Rejects"], Kind.INT, minute, time_ns)
    put(frame.build())
    alarm = Event("jam", "line/filler", "jam", Text((("en", "Jam"), ("de", "Stau"))),
                  Severity.HIGH, True, False, START + 200 * MINUTE)  # fmt: skip
    put(alarm)
    put(Event("jam", "line/filler", "jam", alarm.message, Severity.HIGH, False, True,
              START + 210 * MINUTE))  # fmt: skip
    put(
        Command("c1", "line/filler", "SpeedSetpoint", value=3000.0, by="erika", reason="less",
                requested_ns=START + 60 * MINUTE),
        "erika", OriginKind.DESIRED,
    )  # fmt: skip
    record.commit()
    return world, record
