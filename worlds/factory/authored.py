"""What people author of the works before it exists: its twins, where they stand, what the
engineering data say of them, what feeds what.

The ids are those that the plant's edge nodes will declare once there is a plant, so that what is
measured falls onto what was planned. `model.py` reads this back from the world and nothing else.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Final

from mirrorworld.world.changes import (
    Edit,
    PutName,
    PutPose,
    PutProperty,
    PutRelation,
    PutTwin,
    PutType,
    PutTypeOf,
)
from mirrorworld.world.model import (
    FEEDS,
    LOCATED_IN,
    PART_OF,
    Kind,
    PointType,
    Pose,
    Property,
    Relation,
    Text,
    Twin,
    TwinType,
)

from . import layout
from .areas import AREAS, ATTENDANCE, LAUNCH_MIN, OPEN_S, SKILLS, WALK_M_S, WEEK_S, Area
from .design import Design
from .layout import DOCKS, HANDLING_S, SPEED_M_S, WAYS, ZONES
from .products import BOARDS_PER_LOT, FAMILIES

NAME: Final = "factory"
PLANT: Final = "plant"
"""Name of the Sparkplug source."""
WORKS: Final = f"{PLANT}/works"
ORDERS: Final = f"{WORKS}/orders"
CREW: Final = f"{WORKS}/crew"
AGVS: Final = f"{WORKS}/agvs"
STORE: Final = "zone/store"
AGV_BUSY_W: Final = 900.0
AGV_IDLE_W: Final = 60.0

STATES: Final = (
    "starved", "busy", "blocked", "set-up", "down", "care", "waiting for people", "closed",
)  # fmt: skip


def area_twin(area: str) -> str:
    """The twin of an area."""
    return f"{WORKS}/{area}"


def machine_twin(area: str, number: int) -> str:
    """The twin of a machine; they count from 1."""
    return f"{area_twin(area)}/{area}-{number:02d}"


def zone_twin(zone: str) -> str:
    """The twin of a part of the building."""
    return f"zone/{zone}"


def text(english: str, german: str) -> Text:
    """A text in both languages."""
    return Text((("en", english), ("de", german)))


def _kind(name: str, english: str, german: str, *points: PointType, look: str = "") -> TwinType:
    geometry = f"asset:{NAME}/{look}" if look else ""
    return TwinType(f"{NAME}:{name}", text(english, german), points=points, geometry=geometry)


_STATE: Final = PointType("State", Kind.INT, labels=tuple(enumerate(STATES)))
WORKS_TYPE: Final = _kind("Works", "Electronics works", "Elektronikwerk")
ZONE_TYPE: Final = _kind("Zone", "Part of the building", "Gebäudeteil")
AREA_TYPE: Final = _kind("Area", "Area", "Bereich")
FAMILY_TYPE: Final = _kind("Family", "Product family", "Produktfamilie")
CREW_TYPE: Final = _kind("Crew", "Crew", "Mannschaft")
DESK_TYPE: Final = _kind("Desk", "Office of the works", "Leitstelle")
AGV_TYPE: Final = _kind(
    "Agv", "AGV", "FTF",
    PointType("State", Kind.INT, labels=((0, "idle"), (1, "empty"), (2, "loaded"))), look="agv",
)  # fmt: skip
MACHINE_TYPES: Final = {
    area.id: _kind(f"{area.id}-machine", *area.name, _STATE, look=area.id) for area in AREAS
}


BOARD: Final = f"asset:{NAME}/board"


def _boards(twins: list[str], x_m: float, z_m: float) -> list[Edit]:
    """Boards side by side."""
    return [PutPose(twin, Pose(x_m + 2.6 * i, 0.0, z_m), BOARD) for i, twin in enumerate(twins)]


def edits(design: Design) -> list[Edit]:
    """All of it, for one design."""
    out: list[Edit] = [
        PutType(t)
        for t in (
            WORKS_TYPE, ZONE_TYPE, AREA_TYPE, FAMILY_TYPE, CREW_TYPE, DESK_TYPE, AGV_TYPE,
            *MACHINE_TYPES.values(),
        )
    ]  # fmt: skip
    out += _works(design)
    for zone in ZONES:
        out += _zone(zone)
    for area in AREAS:
        out += _area(area, design)
    out += _feeds()
    out += _orders(design)
    out += _crew(design)
    out += _agvs(design)
    return out


def _put(
    twin: str, of: TwinType, name: Text, part_of: str, facts: list[Property], pose: Pose | None
) -> list[Edit]:
    """A twin, said so that it holds over what a source says of it later."""
    out: list[Edit] = [
        PutTwin(Twin(twin, of.id, name)),
        PutTypeOf(twin, of.id),
        PutName(twin, name),
    ]
    if part_of:
        out.append(PutRelation(Relation(PART_OF, twin, part_of)))
    if pose is not None:
        out.append(PutPose(twin, pose))
    return out + [PutProperty(twin, fact) for fact in facts]


def _number(name: str, value: float, unit: str = "1") -> Property:
    return Property(name, float(value), "xs:double", unit)


def _count(name: str, value: int) -> Property:
    return Property(name, int(value), "xs:int")


def _works(design: Design) -> list[Edit]:
    facts = [
        Property("authored", design.sha256),
        Property("design", design.name),
        _number("gross_area", layout.GROSS_M2, "m2"),
        _number("week", WEEK_S, "s"),
        _number("open", OPEN_S, "s"),
        _number("attendance", ATTENDANCE),
        _number("launch_interval", LAUNCH_MIN, "min"),
        _count("boards_per_lot", BOARDS_PER_LOT),
        _count("campaign", design.campaign),
        _count("limit", design.limit),
        Property("rule", design.rule),
    ]
    twin = Twin(PLANT, "", text("Plant", "Anlage"))
    out: list[Edit] = [PutTwin(twin)]
    name = text("Electronics works", "Elektronikwerk")
    out += _put(WORKS, WORKS_TYPE, name, PLANT, facts, None)
    out.append(PutPose(WORKS, Pose(), f"asset:{NAME}/ground"))
    return out


def _zone(zone: layout.Zone) -> list[Edit]:
    x, z = zone.middle
    facts = [
        Property("kind", zone.kind),
        _number("area", zone.area_m2, "m2"),
        _number("length", zone.x1_m - zone.x0_m, "m"),
        _number("width", zone.z1_m - zone.z0_m, "m"),
    ]
    twin = zone_twin(zone.id)
    out = _put(twin, ZONE_TYPE, text(*zone.name), WORKS, facts, None)
    out.append(PutPose(twin, Pose(x, 0.0, z), f"asset:{NAME}/zone-{zone.id}"))
    return out


def _area(area: Area, design: Design) -> list[Edit]:
    room = dict(design.room)[area.id]
    facts = [
        _count("room", room), _count("batch", area.batch),
        Property("skill", area.skill), Property("setup_skill", area.setup_skill),
        _number("setup", area.setup_min, "min"), _number("between_failures", area.mtbf_h, "h"),
        _number("repair_time", area.mttr_min, "min"), _count("care_lots", area.care_lots),
        _number("care_time", area.care_min, "min"), _number("rework", area.rework),
        Property("repair_area", area.repair), _number("scrap", area.scrap),
        Property("is_always_open", area.is_always_open), _number("process", area.minutes, "min"),
        _number("busy_power", area.busy_w, "W"), _number("idle_power", area.idle_w, "W"),
        _number("setup_power", area.setup_w, "W"), _number("down_power", area.down_w, "W"),
        _number("off_power", area.off_w, "W"),
        _number("machine_area", area.machine_m2, "m2"),
        _number("machine_cost", area.machine_cost_h, "{EUR}/h"),
    ]  # fmt: skip
    twin, zone = area_twin(area.id), layout.ZONE_OF[area.id]
    x, z = layout.DOCKS[area.id]
    out = _put(twin, AREA_TYPE, text(*area.name), WORKS, facts, None)
    # Beside the dock, at the edge of the aisle.
    out.append(PutPose(twin, Pose(x + 3.4, 0.0, z + 3.4), BOARD))
    out.append(PutRelation(Relation(LOCATED_IN, twin, zone_twin(zone.id))))
    of = MACHINE_TYPES[area.id]
    places = layout.places(area.id, dict(design.machines)[area.id])
    for number, (x, z) in enumerate(places, 1):
        name = text(f"{area.name[0]} {number}", f"{area.name[1]} {number}")
        pose = Pose(x, 0.0, z)
        out += _put(machine_twin(area.id, number), of, name, twin, [], pose)
    return out


def _feeds() -> list[Edit]:
    """What goes from area to area, with the families that go there and the way's length."""
    going: dict[tuple[str, str], list[str]] = defaultdict(list)
    for family in FAMILIES:
        route = family.route
        for source, target in itertools.pairwise(route):
            going[source, target].append(family.id)
    for area in AREAS:
        if area.repair:
            going[area.id, area.repair] = []
            going[area.repair, area.id] = []
    out: list[Edit] = []
    for (source, target), families in going.items():
        facts = (
            Property("families", " ".join(families)),
            _number("length", WAYS[source, target].length_m, "m"),
        )
        ends = (area_twin(source), area_twin(target))
        out.append(PutRelation(Relation(FEEDS, *ends, properties=facts)))
    out.append(PutRelation(Relation(FEEDS, STORE, area_twin("kitting"))))
    out.append(PutRelation(Relation(FEEDS, area_twin("packing"), zone_twin("finished"))))
    return out


def _orders(design: Design) -> list[Edit]:
    out = _put(ORDERS, DESK_TYPE, text("Orders", "Aufträge"), WORKS, [], None)
    for family in FAMILIES:
        minutes = tuple(_number(area, value, "min") for area, value in family.minutes)
        facts = [
            _number("share", family.share),
            Property("route", " ".join(family.route)),
            Property("minutes", minutes),
        ]
        twin = f"{ORDERS}/{family.id}"
        out += _put(twin, FAMILY_TYPE, text(*family.name), ORDERS, facts, None)
    return out + _boards([ORDERS, *(f"{ORDERS}/{family.id}" for family in FAMILIES)], 296.0, 4.0)


def _crew(design: Design) -> list[Edit]:
    facts = [_number("walking_speed", WALK_M_S, "m/s")]
    out = _put(CREW, DESK_TYPE, text("Crew", "Mannschaft"), WORKS, facts, None)
    for crew in design.crew:
        english = ", ".join(SKILLS[skill][0] for skill in crew.skills)
        german = ", ".join(SKILLS[skill][1] for skill in crew.skills)
        facts = [_count("planned", crew.count), Property("skills", " ".join(crew.skills))]
        twin = f"{CREW}/{'-'.join(crew.skills)}"
        out += _put(twin, CREW_TYPE, text(english, german), CREW, facts, None)
    twins = [CREW, *(f"{CREW}/{'-'.join(crew.skills)}" for crew in design.crew)]
    return out + _boards(twins, 292.0, 100.0)


def _agvs(design: Design) -> list[Edit]:
    facts = [
        _number("speed", SPEED_M_S, "m/s"), _number("handling", HANDLING_S, "s"),
        _number("busy_power", AGV_BUSY_W, "W"), _number("idle_power", AGV_IDLE_W, "W"),
    ]  # fmt: skip
    out = _put(AGVS, DESK_TYPE, text("AGVs", "FTF"), WORKS, facts, None)
    out += _boards([AGVS], 203.0, 126.0)
    docks = tuple(DOCKS.values())
    for number in range(1, design.vehicles + 1):
        x, z = docks[(number - 1) % len(docks)]
        across = 1.6 * ((number - 1) // len(docks)) - 1.6
        name = text(f"AGV {number}", f"FTF {number}")
        out += _put(f"{AGVS}/agv-{number:02d}", AGV_TYPE, name, AGVS, [],
                    Pose(x + across, 0.0, z + across))  # fmt: skip
    return out
