"""A bottling line with a past, for the tests of the panels: all kinds of points and commands.

The server is the real one; the plant, its record and its sources are made here, and are told what
to do by the tests.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fastapi import APIRouter

from mirrorworld.world.changes import (
    Arm,
    Command,
    CommandState,
    Edits,
    Event,
    OriginKind,
    PutRelation,
    PutTwin,
    PutType,
    Severity,
    Tally,
)
from mirrorworld.world.frames import FrameBuilder
from mirrorworld.world.model import (
    Blob,
    Kind,
    OperationType,
    PointType,
    Pose,
    Property,
    Ref,
    Relation,
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.ports import Finding, Link, LinkState, Principal, SourceConfig, SourceError
from mirrorworld.world.world import World
from tests.server.stand_in import Status
from tests.web.living_world import LivingWorld, WallClockMirror

SECOND_NS = 1_000_000_000
PAST_S = 40 * 60
STEP_S = 5
UNCERTAIN_LAST_USABLE = 0x4090_0000
BAD_NO_COMMUNICATION = 0x8031_0000
STATES = ((2, "Stopped"), (4, "Idle"), (5, "Suspended"), (6, "Execute"), (9, "Aborted"))
FILLER = "line1/filler"
FINGERPRINT = "3F:9A:1C:44:7D:E0:52:B8:0A:6B:91:2E:C7:D3:15:F8:60:AE:4C:77"


@dataclass(frozen=True)
class Pending:
    """A certificate that waits for a person."""

    fingerprint: str
    subject: str
    detail: str = ""


class PanelMirror(WallClockMirror):
    """A world with a past; commands go the way that the test has chosen."""

    def __init__(self) -> None:
        super().__init__(World("bottling_line"))
        self.start_ns = self.record.first_ns = time.time_ns() - PAST_S * SECOND_NS  # pyright: ignore
        self.fate = CommandState.CONFIRMED
        """How the next command ends."""
        self.is_slow = False
        """Whether commands stay where they are until the test moves them on."""
        self.trusted: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def first_ns(self) -> int:
        """When the record begins."""
        return self.start_ns

    async def command(
        self, who: Principal, command: Command, *, is_confirmed: bool = False, unit: str = ""
    ) -> Command:
        """Checks the arm as the real road does, then lets the command take its fate."""
        self.now_ns()
        command = dataclasses.replace(
            command, by=who.id, requested_ns=self.clock_ns, decided_ns=self.clock_ns
        )
        arm = self.world.structure.arms.get((command.twin, command.point or command.operation))
        problem = ""
        if arm is None:
            problem = "it is not armed; an engineer has to arm it by name"
        elif arm.must_confirm and not is_confirmed:
            problem = "it has to be confirmed"
        elif (
            arm.high is not None
            and isinstance(command.value, float | int)
            and command.value > arm.high
        ):
            problem = f"{command.value:g} is above the limit of {arm.high:g}"
        if problem:
            command = dataclasses.replace(command, state=CommandState.REFUSED, detail=problem)
        self.apply(command, who.id, OriginKind.DESIRED)
        if not problem and not self.is_slow:
            task = asyncio.create_task(self._carry_out(command))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return command

    def move(self, command: str, state: CommandState, detail: str = "") -> None:
        """One step of a command."""
        now = self.now_ns()
        known = self.world.commands[command]
        self.apply(dataclasses.replace(known, state=state, detail=detail, decided_ns=now))

    async def _carry_out(self, command: Command) -> None:
        self.move(command.id, CommandState.SENT)
        await asyncio.sleep(0)
        if self.fate is CommandState.CONFIRMED and command.point:
            handle = self.world.structure.handle(command.twin, command.point)
            builder = FrameBuilder()
            builder.add(handle, Kind(int(self.world.kinds[handle])), command.value, self.now_ns())
            self.apply(builder.build())
        detail = {
            CommandState.CONFIRMED: "the source reports it",
            CommandState.FAILED: "BadNotWritable: the server refuses writing to Speed setpoint",
            CommandState.EXPIRED: "the source did not report it within 10 s",
        }.get(self.fate, "")
        self.move(command.id, self.fate, detail)

    async def discover(self, who: Principal, config: SourceConfig) -> Sequence[Finding]:
        """What the tests' addresses would be mirrored as."""
        if "unknown" in config.url:
            raise SourceError(f"{config.url}: no such host; check the name, or give its IP address")
        if "locked" in config.url and not config.username:
            raise SourceError(
                f"{config.url}: the server refused the login (BadIdentityTokenRejected);"
                " give a user name and a password"
            )
        pump = TwinType(
            "Pump", Text.of("Pump", "en"), points=(PointType("Speed"), PointType("Pressure"))
        )
        tank = TwinType("Tank", Text.of("Tank", "en"), points=(PointType("Level"),))
        return [
            *(
                Finding(
                    Twin(f"plant/pump{i}", "Pump", Text.of(f"Pump {i}")),
                    pump,
                    "object of type PumpType, its own variables as points",
                    (("Speed", 1450.0 + i), ("Pressure", 3.2)),
                )
                for i in range(1, 5)
            ),
            Finding(
                Twin("plant/tank", "Tank", Text.of("Tank")),
                tank,
                "object of type TankType, its own variables as points",
                (("Level", 61.5),),
            ),
        ]

    async def trust(self, who: Principal, source: str, fingerprint: str) -> Status:
        """Takes the fingerprint that waits, and no other."""
        status = self.statuses[source]
        if fingerprint not in [getattr(each, "fingerprint", "") for each in status.pending]:
            raise ValueError("no certificate with this fingerprint waits; compare it again")
        self.trusted.append(fingerprint)
        self.statuses[source] = dataclasses.replace(
            status, pending=(), link=Link(LinkState.LIVE, "", self.now_ns())
        )
        return self.statuses[source]


def bottling_line() -> Edits:
    """The line's structure."""
    state = PointType("State", Kind.ENUM, labels=STATES, description=Text.of("PackML state", "en"))
    machine = TwinType(
        "Machine",
        Text.of("Machine", "en"),
        points=(
            state,
            PointType("Speed", Kind.FLOAT, "/h", 0, 24_000),
            PointType("BottlesOut", Kind.INT),
            PointType("Temperature", Kind.FLOAT, "Cel", 0, 90),
            PointType("Vibration", Kind.FLOAT, "mm/s", 0, 12),
            PointType("DoorClosed", Kind.BOOL),
        ),
        operations=(OperationType("Start"), OperationType("Stop")),
    )
    filler = TwinType(
        "Filler",
        Text((("en", "Filler"), ("de", "Füller"))),
        extends=("Machine",),
        semantic_ids=("0173-1#01-AKE795#017",),
        description=Text.of("Fills bottles by weight from a ring bowl, 40 valves.", "en"),
        points=(
            PointType(
                "SpeedSetpoint",
                Kind.FLOAT,
                "/h",
                0,
                24_000,
                is_writable=True,
                description=Text.of("Wanted speed of the carousel", "en"),
            ),
            PointType("BowlPressure", Kind.FLOAT, "bar", 0, 6, is_writable=True),
            PointType("BowlLevel", Kind.FLOAT, "%", 0, 100, semantic_ids=("0173-1#02-AAM631#002",)),
            PointType("Order", Kind.TEXT),
            PointType("VibrationSpectrum", Kind.ARRAY, "mm/s"),
            PointType(
                "Efficiency",
                Kind.FLOAT,
                "%",
                0,
                100,
                description=Text.of("Good bottles of those that were possible", "en"),
            ),
            PointType("BowlLevelIn10Min", Kind.FLOAT, "%", 0, 100),
            PointType("BearingHours", Kind.FLOAT, "h"),
        ),
        operations=(
            OperationType(
                "ClearJam", description=Text.of("Moves the carousel back two pockets", "en")
            ),
            OperationType(
                "ChangeFormat",
                inputs=(
                    PointType(
                        "bottle", Kind.ENUM, labels=((0, "0.33 l"), (1, "0.5 l"), (2, "1.0 l"))
                    ),
                    PointType("speed", Kind.FLOAT, "/h", 0, 24_000),
                ),
            ),
        ),
    )
    nameplate = Property(
        "Nameplate",
        (
            Property(
                "ManufacturerName",
                Text((("en", "Nordlicht Filling Systems"), ("de", "Nordlicht Abfülltechnik"))),
            ),
            Property("SerialNumber", "NF-40-2291-7", semantic_ids=("0173-1#02-AAM556#002",)),
            Property("ManufacturerProductDesignation", "Ringfill 40"),
            Property("YearOfConstruction", 2021),
            Property("Address", (Property("Street", "Werftstraße 12"), Property("City", "Kiel"))),
        ),
        semantic_ids=("https://admin-shell.io/zvei/nameplate/2/0/Nameplate",),
    )
    data = Property(
        "TechnicalData",
        (
            Property("Valves", 40),
            Property("BowlVolume", 180.0, unit="L"),
            Property("RatedPower", 11.5, unit="kW", attributes=(Property("measuredAt", "400 V"),)),
            Property("Formats", (0.33, 0.5, 1.0), unit="L"),
        ),
    )
    documents = Property(
        "Documents",
        (
            Property("OperatingManual", "https://example.org/ringfill40/manual.pdf"),
            Property(
                "Certificate", Blob("ab" * 32, "application/pdf", 182_400, "CE declaration.pdf")
            ),
        ),
    )
    twins = [
        Twin("hall", "Hall", Text.of("Hall 2", "en")),
        Twin("line1", "Line", Text.of("Line 1", "en"), (Property("Location", "Hall 2"),)),
        Twin(
            "line1/rinser",
            "Machine",
            Text.of("Rinser", "en"),
            (Property("serial_number", "RN-118"),),
            pose=Pose(x_m=-6),
        ),
        Twin(
            FILLER,
            "Filler",
            Text((("en", "Filler"), ("de", "Füller"))),
            (nameplate, data, documents, Property("spare_parts_from", Ref("line1/capper"))),
            pose=Pose(x_m=-2),
        ),
        Twin(
            "line1/capper",
            "Machine",
            Text.of("Capper", "en"),
            (Property("serial_number", "CP-7731"),),
            pose=Pose(x_m=2),
        ),
        Twin(
            "line1/labeller",
            "Machine",
            Text.of("Labeller", "en"),
            (Property("serial_number", "LB-02"),),
            pose=Pose(x_m=6),
        ),
        Twin("line1/packer", "Machine", Text.of("Packer", "en"), pose=Pose(x_m=10)),
        Twin("line1/air", "Compressor", Text.of("Compressed air", "en"), pose=Pose(x_m=-2, z_m=-5)),
        Twin("line1/meter", "Meter", Text.of("Energy meter", "en"), pose=Pose(x_m=2, z_m=-5)),
        Twin(
            "line1/cabinet", "Cabinet", Text.of("Control cabinet", "en"), pose=Pose(x_m=6, z_m=-5)
        ),
    ]
    machines = [t.id for t in twins if t.type in ("Machine", "Filler")]
    relations = [Relation("part_of", "line1", "hall")]
    relations += [Relation("part_of", t.id, "line1") for t in twins if t.id.startswith("line1/")]
    relations += [
        Relation("feeds", a, b, properties=(Property("by", "conveyor"),))
        for a, b in itertools.pairwise(machines)
    ]
    relations += [Relation("powers", "line1/meter", machine) for machine in machines]
    relations += [
        Relation("supplies", "line1/air", FILLER),
        Relation("supplies", "line1/air", "line1/capper"),
        Relation("controls", "line1/cabinet", FILLER),
    ]
    types = [
        TwinType("Hall", Text.of("Hall", "en")),
        TwinType(
            "Line",
            Text.of("Bottling line", "en"),
            points=(PointType("Efficiency", Kind.FLOAT, "%", 0, 100),),
        ),
        machine,
        filler,
        TwinType(
            "Compressor",
            Text.of("Compressor", "en"),
            points=(
                PointType("Pressure", Kind.FLOAT, "bar", 0, 10),
                PointType("Flow", Kind.FLOAT, "m3/h", 0, 400),
            ),
        ),
        TwinType(
            "Meter",
            Text.of("Energy meter", "en"),
            points=(
                PointType("Power", Kind.FLOAT, "kW", 0, 120),
                PointType("Energy", Kind.FLOAT, "kW.h"),
            ),
        ),
        TwinType(
            "Cabinet",
            Text.of("Cabinet", "en"),
            points=(PointType("Temperature", Kind.FLOAT, "Cel", 0, 60),),
        ),
    ]
    return Edits(
        (
            *map(PutType, types),
            *map(PutTwin, twins),
            *map(PutRelation, relations),
            Arm(FILLER, "SpeedSetpoint", low=6_000, high=22_000, max_step=4_000, must_confirm=True),
            Arm(FILLER, "ClearJam"),
            Arm(FILLER, "ChangeFormat", must_confirm=True),
        )
    )


class PanelWorld(LivingWorld):
    """The line, served. `tick` is the plant's clock: nothing moves by itself."""

    mirror: PanelMirror

    def __init__(self, static_dir: Path, routers: Sequence[APIRouter] = ()) -> None:
        mirror = PanelMirror()
        mirror.clock_ns = mirror.start_ns
        mirror.apply(bottling_line())
        for second in range(0, PAST_S, STEP_S):
            mirror.clock_ns = mirror.start_ns + second * SECOND_NS
            _samples(mirror, mirror.clock_ns, second)
        mirror.clock_ns = mirror.start_ns + 1_300 * SECOND_NS
        mirror.apply(
            Event(
                "line1/packer:cartons",
                "line1/packer",
                "material",
                Text.of("Cartons are running low", "en"),
                Severity.LOW,
                True,
                False,
                mirror.clock_ns,
            )
        )
        for i, (at_s, severity, words) in enumerate(
            ((500, Severity.INFO, "Shift begins"), (1_010, Severity.MEDIUM, "Bowl level is low"))
        ):
            at = mirror.start_ns + at_s * SECOND_NS
            mirror.apply(
                Event(f"past{i}", FILLER, "state", Text.of(words, "en"), severity, False, True, at)
            )
        super().__init__(static_dir, Edits(()), mirror=mirror, routers=routers)
        self.do(self._add_sources)

    @staticmethod
    def _add_sources(mirror: WallClockMirror) -> None:
        mirror.statuses["line1"] = Status(
            "line1",
            "opc.tcp://10.20.0.14:4840/line1",
            "opcua",
            Link(LinkState.LIVE, "", mirror.now_ns() - PAST_S * SECOND_NS),
            Tally(accepted=184_220),
        )
        mirror.statuses["utilities"] = Status(
            "utilities",
            "sparkplug://broker.plant:1883",
            "sparkplug",
            Link(LinkState.LIVE, "", mirror.now_ns() - PAST_S * SECOND_NS),
            Tally(accepted=22_113, duplicate=4, late=17),
        )

    def tick(self, **values: object) -> None:
        """Samples of all points, now; `values` replaces those of the filler by name."""

        def act(mirror: WallClockMirror) -> None:
            _samples(
                mirror, mirror.now_ns(), (mirror.now_ns() - self.mirror.start_ns) / 1e9, values
            )

        self.do(act)

    def raise_alarm(
        self, severity: Severity = Severity.HIGH, words: str = "Jam at the infeed star"
    ) -> None:
        """An alarm of the filler."""
        event = Event(
            f"{FILLER}:jam",
            FILLER,
            "alarm",
            Text.of(words, "en"),
            severity,
            True,
            False,
            time.time_ns(),
        )
        self.do(lambda mirror: mirror.apply(event))

    def lose(self, source: str = "utilities") -> None:
        """A source goes away: its values become the last known ones."""

        def act(mirror: WallClockMirror) -> None:
            now = mirror.now_ns()
            mirror.statuses[source] = dataclasses.replace(
                mirror.statuses[source],
                link=Link(LinkState.LOST, "connection refused; trying again in 8 s", now),
            )
            builder = FrameBuilder()
            for twin, point, value in (
                ("line1/air", "Pressure", 6.4),
                ("line1/air", "Flow", 212.0),
            ):
                handle = mirror.world.structure.handle(twin, point)
                builder.add(handle, Kind.FLOAT, value, now, UNCERTAIN_LAST_USABLE)
            handle = mirror.world.structure.handle("line1/meter", "Power")
            builder.add(handle, Kind.FLOAT, 61.0, now, BAD_NO_COMMUNICATION)
            mirror.apply(builder.build())

        self.do(act)

    def ask_trust(self) -> None:
        """A source whose certificate nobody has seen."""

        def act(mirror: WallClockMirror) -> None:
            mirror.statuses["packaging"] = Status(
                "packaging",
                "opc.tcp://10.20.0.31:4840",
                "opcua",
                Link(
                    LinkState.REFUSED,
                    "its certificate is not known; compare it and trust it",
                    mirror.now_ns(),
                ),
                pending=(Pending(FINGERPRINT, "CN=Packer PLC, O=Example Works"),),
            )

        self.do(act)


def _samples(
    mirror: WallClockMirror, now_ns: int, second: float, replaced: dict[str, object] | None = None
) -> None:
    """One moment of the whole line: a gentle day with a stop at 1000 s."""
    measured, inferred, simulated = FrameBuilder(), FrameBuilder(), FrameBuilder()

    def put(builder: FrameBuilder, twin: str, name: str, value: object, quality: int = 0) -> None:
        handle = mirror.world.structure.handle(twin, name)
        builder.add(handle, Kind(int(mirror.world.kinds[handle])), value, now_ns, quality)  # pyright: ignore

    is_stopped = 1_000 < second < 1_180
    wave = math.sin(second / 90)
    for i, name in enumerate(("rinser", "filler", "capper", "labeller", "packer")):
        twin = f"line1/{name}"
        speed = (
            0.0
            if is_stopped
            else 18_000 + 900 * math.sin(second / 140 + i / 3) + 120 * math.sin(second / 7 + i)
        )
        wear = 0.4 * second / PAST_S if name == "filler" else 0.0
        put(measured, twin, "State", (5 if name != "filler" else 9) if is_stopped else 6)
        put(measured, twin, "Speed", speed)
        put(measured, twin, "BottlesOut", int(second * 5) - i * 12)
        put(measured, twin, "Temperature", 38 + 3 * i + 2.5 * wave + (4 if name == "filler" else 0))
        put(
            measured,
            twin,
            "Vibration",
            0.2 if is_stopped else 2.1 + 0.5 * math.sin(second / 11 + i) + wear,
        )
        put(measured, twin, "DoorClosed", not is_stopped)
    values: dict[str, object] = {
        "SpeedSetpoint": 18_000.0,
        "BowlPressure": 2.4 + 0.1 * wave,
        "BowlLevel": 30.0 + 8 * wave if 960 < second < 1_020 else 62 + 14 * math.sin(second / 55),
        "Order": "A-2291  Lemonade 0.5 l",
        "VibrationSpectrum": np.abs(np.sin(np.arange(64) / 5 + second)).astype(np.float32),
        "BearingHours": 11_482 + second / 3600,
    }
    values.update(replaced or {})
    for name, value in values.items():
        quality = UNCERTAIN_LAST_USABLE if name == "BowlPressure" and 1_500 < second < 1_700 else 0
        put(measured, FILLER, name, value, quality)
    put(inferred, FILLER, "Efficiency", 0.0 if is_stopped else 91 + 2 * wave)
    put(inferred, "line1", "Efficiency", 0.0 if is_stopped else 88 + 2 * wave)
    put(simulated, FILLER, "BowlLevelIn10Min", 62 + 14 * math.sin(second / 55 + 10.9))
    put(measured, "line1/air", "Pressure", 6.4 + 0.3 * wave)
    put(measured, "line1/air", "Flow", 210 + 30 * wave)
    put(measured, "line1/meter", "Power", 12.0 if is_stopped else 61 + 5 * wave)
    put(measured, "line1/meter", "Energy", 4_120 + second * 0.017)
    put(measured, "line1/cabinet", "Temperature", 31 + wave)
    mirror.apply(measured.build())
    mirror.apply(inferred.build(), "efficiency", OriginKind.INFERRED)
    mirror.apply(simulated.build(), "level forecast", OriginKind.SIMULATED)
