"""What the mirror makes of the bottling line: how to reach its plant, and what people authored.

The structure itself comes from the sources. Authored over it: where things stand and how they
look, names in English and German, the relations that no single source knows (which meter powers
what, what the compressor supplies), and which set-points and operations may be commanded.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorworld.world.changes import (
    Arm,
    Change,
    Edit,
    Edits,
    Event,
    Origin,
    OriginKind,
    PutName,
    PutPose,
    PutProperty,
    PutRelation,
    PutTwin,
    PutType,
    Severity,
)
from mirrorworld.world.model import (
    LOCATED_IN,
    PART_OF,
    POWERS,
    Pose,
    Property,
    Relation,
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.ports import Model, SourceConfig, SourceError

from ..broker import broker_command
from ..processes import Processes, StartError, free_port
from . import layout, show
from .alarms import LineAlarms

if TYPE_CHECKING:
    from mirrorworld.world.world import World

log = logging.getLogger(__name__)

NAME: Final = "bottling_line"
CONTROLLERS: Final = "plant"
"""Name of the OPC UA source; prefix of the line's twins."""
UTILITIES: Final = "utilities"
"""Name of the Sparkplug source; prefix of the meters' and the compressor's twins."""
HALL: Final = "hall"

AUTHORED: Final = "3"
"""Grows when `edits` changes; written to the hall, so that what people changed since stays."""

SHIFT_MINUTES: Final = 60
SUPPLIES: Final = "supplies"

_NAMES: Final = {
    "Line1": ("Bottling line 1", "Abfülllinie 1"),
    "Depalletiser": ("Depalletiser", "Entpalettierer"),
    "Rinser": ("Rinser", "Rinser"),
    "Filler": ("Filler", "Füller"),
    "Capper": ("Capper", "Verschließer"),
    "Labeller": ("Labeller", "Etikettierer"),
    "Packer": ("Packer", "Packer"),
    "Buffer": ("Accumulation table", "Pufferstrecke"),
    "CartonConveyor": ("Carton conveyor", "Kartonförderer"),
    "Cabinet": ("Control cabinet", "Schaltschrank"),
    "AirManifold": ("Air manifold", "Druckluftverteiler"),
    "compressor": ("Compressor station", "Druckluftstation"),
    "main_meter": ("Main energy meter", "Hauptzähler"),
    **{f"Conveyor{i}": (f"Conveyor {i}", f"Förderer {i}") for i in range(1, 7)},
    **{
        f"meter_{key}": (f"Energy meter, {english}", f"Energiezähler, {german}")
        for key, english, german in (
            ("depalletiser", "depalletiser", "Entpalettierer"),
            ("rinser", "rinser", "Rinser"),
            ("filler", "filler", "Füller"),
            ("capper", "capper", "Verschließer"),
            ("labeller", "labeller", "Etikettierer"),
            ("packer", "packer", "Packer"),
            ("conveyors", "conveyors", "Förderer"),
            ("compressor", "compressor", "Kompressor"),
        )
    },
}

_MACHINES: Final = ("Depalletiser", "Rinser", "Filler", "Capper", "Labeller", "Packer")
_EXPECTED_POINTS: Final = {"Filler": "SpeedSetpoint", "main_meter": "ActivePower"}


class BottlingLine:
    """The demo world; see `mirrorworld.installed.DemoWorld`."""

    name = NAME

    def __init__(
        self,
        *,
        seed: int = 7,
        shift_minutes: float = SHIFT_MINUTES,
        crew_after_s: float = 150.0,
        jam_after_s: float = 0.0,
        time_scale: float = 1.0,
    ) -> None:
        if not 0.0 < time_scale <= 100.0:
            raise ValueError(f"time_scale {time_scale:g}: must be above 0 and at most 100")
        self._plant_options = (
            *("--seed", str(seed), "--shift-minutes", str(shift_minutes)),
            *("--crew-after", str(crew_after_s), "--jam-after", str(jam_after_s)),
            *("--time-scale", str(time_scale)),
        )
        self._processes = Processes()
        self.models: Sequence[Model] = (
            LineAlarms(f"{CONTROLLERS}/"),
            _Watch(self._processes),
        )

    async def start(self, directory: Path) -> Sequence[SourceConfig]:
        """Starts broker and plant on free loopback ports; their files go below the directory.

        Raises:
            SourceError: one of them cannot be started; the message says which and why.
        """
        directory.mkdir(parents=True, exist_ok=True)
        mqtt_port, opcua_port = free_port(), free_port()
        plant = [
            *(sys.executable, "-m", f"{__package__}.plant", "--follow-stdin"),
            *("--opcua-port", str(opcua_port), "--mqtt", f"127.0.0.1:{mqtt_port}"),
            *self._plant_options,
        ]
        try:
            broker, is_ready = broker_command(directory, mqtt_port)
            await self._processes.start("broker", broker, is_ready)
            await self._processes.start("plant", plant, lambda line: '"ready": true' in line)
        except StartError as error:
            await self._processes.stop()
            raise SourceError(f"{NAME}: {error}") from error
        return (
            SourceConfig(f"opc.tcp://127.0.0.1:{opcua_port}/line1", CONTROLLERS),
            SourceConfig(f"sparkplug://127.0.0.1:{mqtt_port}", UTILITIES),
        )

    async def stop(self) -> None:
        """Ends plant and broker."""
        await self._processes.stop()

    def edits(self, world: World) -> Edits | None:
        """What is authored; None until both sources have declared their twins.

        A hall that was authored before by this version is left as people have made it since.
        """
        hall = world.structure.twins.get(HALL)
        authored = hall.property("authored") if hall is not None else None
        if hall is not None and authored is not None and authored.value == AUTHORED:
            return Edits((PutTwin(hall),), "the line as drawn")
        found = _find(world)
        if not _is_complete(world, found):
            return None
        edits: list[Edit] = [
            *_hall(), *_places(found), *_relations(found), *_arms(found),
            *show.sheets(world, found),
        ]  # fmt: skip
        return Edits(tuple(edits), "the line as drawn")

    def assets(self, directory: Path) -> Mapping[str, Path]:
        """Geometry by name (`bottling_line/filler`), drawn once below the directory."""
        from .geometry import draw

        return {f"{NAME}/{name}": path for name, path in draw(directory / NAME).items()}


# --- what is authored ------------------------------------------------------------------------


def _find(world: World) -> dict[str, str]:
    """Twin ids by the last part of their names, of the two sources."""
    found: dict[str, str] = {}
    for twin in world.structure.twins:
        source, _, rest = twin.partition("/")
        if source in (CONTROLLERS, UTILITIES) and rest:
            name = rest.rpartition("/")[2]
            if name in _NAMES:
                found.setdefault(name, twin)
    return found


def _is_complete(world: World, found: Mapping[str, str]) -> bool:
    if any(name not in found for name in _NAMES):
        return False
    return all(
        any(point == wanted for point, _, _ in world.structure.points_of(found[name]))
        for name, wanted in _EXPECTED_POINTS.items()
    )


def _text(english: str, german: str) -> Text:
    return Text((("en", english), ("de", german)))


def _hall() -> list[Edit]:
    x0, x1, z0, z1 = layout.HALL_M
    kind = TwinType(
        f"{NAME}:Hall",
        _text("Hall", "Halle"),
        geometry=f"asset:{NAME}/hall",
        description=_text(
            "A building with a floor that lines stand on.", "Ein Gebäude mit Linien."
        ),
    )
    facts = (
        Property("authored", AUTHORED),
        Property("width", x1 - x0, "xs:double", "m"),
        Property("depth", z1 - z0, "xs:double", "m"),
    )
    hall = Twin(HALL, kind.id, _text("Filling hall", "Abfüllhalle"), facts, pose=Pose())
    return [PutType(kind), PutTwin(hall)]


def _places(found: Mapping[str, str]) -> list[Edit]:
    edits: list[Edit] = []
    for name, twin in found.items():
        edits.append(PutName(twin, _text(*_NAMES[name])))
    for item in (*layout.FLOW, *layout.SERVICES):
        pose = layout_pose(item)
        edits.append(PutPose(found[item.name], pose, f"asset:{NAME}/{item.asset}"))
    edits.append(PutPose(found["Line1"], Pose(), ""))
    for name, position in _meter_places().items():
        edits.append(PutPose(found[name], position, f"asset:{NAME}/meter"))
    for name in _MACHINES:
        # One top-level property, nested as a document list is in an AAS hand-over submodel.
        manual = Property(
            "document",
            (
                Property("title", _text(f"Manual, {name}", f"Betriebsanleitung {name}")),
                Property("class", "03-02 Operation", "xs:string"),
                Property("language", "en, de"),
            ),
            semantic_ids=("0173-1#02-ABI500#001/0173-1#01-AHF579#001",),
        )
        edits.append(PutProperty(found[name], manual))
    return edits


def layout_pose(item: layout.Item) -> Pose:
    """An item's place as a pose; yaw is 0 or 180 degrees."""
    turned = round(item.yaw_deg) % 360 == 180
    return Pose(
        item.x_m, item.y_m, item.z_m, 0.0, 1.0 if turned else 0.0, 0.0, 0.0 if turned else 1.0
    )


def _meter_places() -> dict[str, Pose]:
    """Sub-meters hang in a row on the wall beside the control cabinet."""
    names = [name for name in _NAMES if name.startswith("meter_")]
    return {name: Pose(1.4 + 0.34 * i, 1.25, -9.88) for i, name in enumerate(names)}


def _relations(found: Mapping[str, str]) -> list[Edit]:
    edges = [(PART_OF, found["Line1"], HALL)]
    edges += [
        (LOCATED_IN, twin, HALL) for twin in found.values() if twin.startswith(f"{UTILITIES}/")
    ]
    for name in _MACHINES:
        meter = f"meter_{name.lower()}"
        edges += [(POWERS, found["main_meter"], found[meter]), (POWERS, found[meter], found[name])]
    edges.append((POWERS, found["main_meter"], found["meter_conveyors"]))
    edges += [
        (POWERS, found["meter_conveyors"], found[item.name])
        for item in (*layout.CONVEYORS, layout.CARTON_CONVEYOR)
    ]
    edges += [
        (POWERS, found["main_meter"], found["meter_compressor"]),
        (POWERS, found["meter_compressor"], found["compressor"]),
        (POWERS, found["main_meter"], found["Cabinet"]),
        (SUPPLIES, found["compressor"], found["AirManifold"]),
    ]
    return [PutRelation(Relation(kind, source, target)) for kind, source, target in edges]


def _arms(found: Mapping[str, str]) -> list[Edit]:
    """What may be commanded from the start, within limits that the plant has too."""
    line, compressor = found["Line1"], found["compressor"]
    edits: list[Edit] = [
        Arm(line, "SpeedSetpoint", 6_000.0, 20_500.0, 6_000.0, 1_000),
        Arm(line, "Start"),
        Arm(line, "Stop", must_confirm=True),
        Arm(compressor, "PressureSetpoint", 6.0, 8.0, 0.5, 2_000, must_confirm=True),
        Arm(found["Filler"], "FillVolumeSetpoint", 495.0, 505.0, 2.0, 1_000),
        Arm(found["Filler"], "StartCip", must_confirm=True),
        Arm(found["Capper"], "TorqueSetpoint", 1.5, 2.1, 0.2, 1_000),
        Arm(found["Capper"], "RefillCaps"),
        Arm(found["Labeller"], "ChangeRoll"),
        Arm(found["Packer"], "RefillBlanks"),
    ]
    for name in _MACHINES:
        twin = found[name]
        others = tuple((twin, other) for other in ("Start", "Stop", "ClearJam"))
        edits += [
            Arm(twin, "SpeedSetpoint", 6_000.0, 24_000.0, 6_000.0, 1_000),
            Arm(twin, "ClearJam", excludes=others, only_while=((twin, "JamActive", 1.0),)),
            Arm(twin, "Start", excludes=others, only_while=((twin, "JamActive", 0.0),)),
            Arm(twin, "Stop", excludes=others),
            Arm(twin, "ResetCounters"),
        ]
    return edits


# --- the plant's processes -------------------------------------------------------------------


class _Watch:
    """Tells of plant processes that fell and were brought back. A model only to be heard."""

    name = "plant watch"
    origin = OriginKind.INFERRED

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._told: dict[str, int] = {}

    def step(self, view: World, until_ns: int) -> Sequence[Change]:
        """One event for each restart since the last step."""
        changes: list[Change] = []
        for name, restarts in self._processes.restarts.items():
            if restarts == self._told.get(name, 0) or HALL not in view.structure.twins:
                continue
            self._told[name] = restarts
            message = _text(
                f"The process '{name}' ended and was started again ({restarts})",
                f"Der Prozess '{name}' endete und wurde neu gestartet ({restarts})",
            )
            event = Event(
                f"{HALL}#process-{name}",
                HALL,
                "process-restarted",
                message,
                Severity.MEDIUM,
                source_ns=until_ns,
                properties=(Property("restarts", restarts),),
            )
            changes.append(Change(event, Origin(self.origin, self.name), until_ns))
        return changes
