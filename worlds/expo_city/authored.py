"""What people authored about the expo's networks: places, looks, types, names, relations, units.

One function for each of the sources beside the buildings' gateways. Twins that only the drawings
know (mains without instruments) are made here.
"""

from __future__ import annotations

import math
from typing import Final

from mirrorworld.world.changes import (
    Arm,
    Edit,
    PutName,
    PutPointAbout,
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
    POWERS,
    Pose,
    Property,
    Relation,
    Text,
    Twin,
    TwinType,
)

from . import energy, plant_water
from . import site as plans
from .air import stations
from .mains import INNER_RINGS, Network
from .readings import BRICK
from .site import QUARTERS, RINGS, Building, Site, place

NAME: Final = "expo_city"
GATEWAYS: Final = "expo"
ENERGY: Final = "energy"
WATER: Final = "water"
SURROUNDINGS: Final = "surroundings"
"""Over Zenoh: air and visitors."""
OUTDOOR: Final = "outdoor"
"""JSON over MQTT: weather and gates."""
_AIR: Final = f"{SURROUNDINGS}/expo/air"
_MAST: Final = f"{OUTDOOR}/expo/weather/mast"
_VISITORS: Final = f"{SURROUNDINGS}/expo/visitors"
_GATES: Final = f"{OUTDOOR}/expo/gates"


# --- names of twins --------------------------------------------------------------------------


def quarter_twin(quarter: int) -> str:
    """The twin of a quarter, by its number."""
    return f"{GATEWAYS}/{QUARTERS[quarter][0]}"


def building_twin(building: Building) -> str:
    """The twin of a building."""
    return f"{quarter_twin(building.quarter)}/{building.id}"


def zone_twin(zone: int) -> str:
    """The twin of a neighbourhood of the water network."""
    return f"{WATER}/{plant_water.zone_folder(zone)}"


def junction_twin(network: Network, junction: int) -> str:
    """The twin of a crossing of mains."""
    found = network.junctions[junction]
    return f"{zone_twin(found.zone)}/{found.id}"


def pipe_twin(network: Network, pipe: int) -> str:
    """The twin of a main."""
    found = network.pipes[pipe]
    return f"{zone_twin(found.zone)}/{found.id}"


def inverter_twin(building: Building) -> str:
    """The twin of a roof's inverter."""
    return f"{ENERGY}/Photovoltaics-{QUARTERS[building.quarter][0]}/Inverter-{building.id}"


# --- small words -----------------------------------------------------------------------------


def text(english: str, german: str) -> Text:
    """A text in both languages."""
    return Text((("en", english), ("de", german)))


def kind(name: str, english: str, german: str, brick: str = "") -> TwinType:
    """A type of this world; `brick` is its class of Brick."""
    meaning = (BRICK + brick,) if brick else ()
    return TwinType(f"{NAME}:{name}", text(english, german), semantic_ids=meaning)


def turned(x_m: float, z_m: float, yaw_deg: float = 0.0, y_m: float = 0.0) -> Pose:
    """A pose by a turn about y, counter-clockwise seen from above."""
    half = math.radians(yaw_deg) / 2.0
    return Pose(
        round(x_m, 2), y_m, round(z_m, 2), 0.0, round(math.sin(half), 7), 0.0,
        round(math.cos(half), 7),
    )  # fmt: skip


def look(asset: str) -> str:
    """A reference to one of this world's assets."""
    return f"asset:{NAME}/{asset}"


def _stand(
    twin: str, of: TwinType, pose: Pose, asset: str, english: str, german: str
) -> list[Edit]:
    return [
        PutTypeOf(twin, of.id), PutName(twin, text(english, german)),
        PutPose(twin, pose, look(asset)),
    ]  # fmt: skip


# --- water -----------------------------------------------------------------------------------

JUNCTION: Final = kind("Junction", "Junction of mains", "Leitungsknoten")
PIPE: Final = kind("Pipe", "Water main", "Wasserleitung", "Water_Distribution")
NEIGHBOURHOOD: Final = kind("Neighbourhood", "Neighbourhood", "Nachbarschaft", "Zone")
PUMP: Final = kind("Pump", "Pump", "Pumpe", "Water_Pump")
TANK: Final = kind("Tank", "Elevated tank", "Hochbehälter", "Storage_Tank")
IRRIGATION: Final = kind("Irrigation", "Irrigation", "Bewässerung", "Water_System")


def water_edits(site: Site, network: Network) -> list[Edit]:
    """The waterworks and its mains."""
    edits: list[Edit] = [
        PutType(t) for t in (JUNCTION, PIPE, NEIGHBOURHOOD, PUMP, TANK, IRRIGATION)
    ]
    edits.append(PutName(WATER, text("Water network", "Wassernetz")))
    outer = RINGS[site.n_bands]
    for zone, (english, german) in enumerate(network.zones):
        twin = zone_twin(zone)
        a = (zone // 2) * plans.SECTOR_DEG
        is_outer = zone % 2 == 1
        edge = RINGS[min(INNER_RINGS, site.n_bands)] - 45.0
        inside, outside = (edge, outer + 5.0) if is_outer else (60.0, edge)
        edits += [
            # What has no instrument is not on the network: the drawings alone know of it.
            PutTwin(Twin(twin, NEIGHBOURHOOD.id, text(english, german))),
            PutRelation(Relation(PART_OF, twin, WATER)),
            PutTypeOf(twin, NEIGHBOURHOOD.id),
            PutName(twin, text(f"Mains, {english}", f"Leitungen, {german}")),
            PutProperty(
                twin,
                Property(
                    "sector",
                    (
                        Property("inner_radius", inside, "xs:double", "m"),
                        Property("outer_radius", outside, "xs:double", "m"),
                        Property("from_bearing", a, "xs:double", "deg"),
                        Property("to_bearing", a + plans.SECTOR_DEG, "xs:double", "deg"),
                    ),
                ),
            ),
        ]
    for i, junction in enumerate(network.junctions):
        twin = junction_twin(network, i)
        edits += _own(twin, JUNCTION, junction.id, zone_twin(junction.zone), junction.has_gauge)
        asset = "gauge" if junction.has_gauge else "cover"
        x, z = place(math.hypot(junction.x_m, junction.z_m) + 6.0, junction.bearing_deg + 0.9)
        edits.append(PutPose(twin, turned(x, z), look(asset)))
    for i, pipe in enumerate(network.pipes):
        twin = pipe_twin(network, i)
        edits += _own(twin, PIPE, pipe.id, zone_twin(pipe.zone), pipe.has_meter)
        x, z = network.middle(i)
        radius = math.hypot(x, z) + (6.0 if pipe.id.startswith("R") else 0.0)
        bearing = math.degrees(math.atan2(x, -z)) + (0.0 if pipe.id.startswith("R") else 1.6)
        x, z = place(radius, bearing)
        asset = "chamber" if pipe.has_meter else "cover"
        edits.append(PutPose(twin, turned(x, z, -bearing), look(asset)))
        a, b = junction_twin(network, pipe.a), junction_twin(network, pipe.b)
        edits += [PutRelation(Relation(FEEDS, a, twin)), PutRelation(Relation(FEEDS, twin, b))]
        for name, value, unit in (
            ("length", pipe.length_m, "m"),
            ("diameter", pipe.diameter_mm, "mm"),
        ):
            edits.append(PutProperty(twin, Property(name, value, "xs:double", unit)))
    for building, junction in zip(site.buildings, network.building_junction, strict=True):
        feeds = Relation(FEEDS, junction_twin(network, junction), building_twin(building))
        edits.append(PutRelation(feeds))
    reach = outer + 62.0
    north = next(i for i, j in enumerate(network.junctions)
                 if j.bearing_deg == 0.0 and j.ring == site.n_bands)  # fmt: skip
    south = next(i for i, j in enumerate(network.junctions)
                 if j.bearing_deg == 180.0 and j.ring == site.n_bands)  # fmt: skip
    pump, tank = f"{WATER}/Works/Pump", f"{WATER}/Works/Tank"
    edits += _stand(pump, PUMP, turned(46.0, -reach), "pump-house", "Pump house", "Pumpwerk")
    edits += _stand(tank, TANK, turned(-50.0, reach), "water-tower", "Water tower", "Wasserturm")
    edits += [
        PutName(f"{WATER}/Works", text("Waterworks", "Wasserwerk")),
        PutName(f"{WATER}/Irrigation", text("Irrigation", "Bewässerung")),
        PutRelation(Relation(FEEDS, pump, junction_twin(network, north))),
        PutRelation(Relation(FEEDS, junction_twin(network, south), tank)),
        Arm(pump, "Speed", 70.0, 110.0, 10.0, 2_000, must_confirm=True),
    ]
    for i, pipe in enumerate(network.pipes):
        if pipe.has_valve:
            edits.append(Arm(pipe_twin(network, i), "Valve", 0.0, 100.0, must_confirm=True))
    for quarter, (english, german) in enumerate(QUARTERS):
        twin = f"{WATER}/Irrigation/Irrigation-{english}"
        x, z = place(RINGS[1] + 16.0, (quarter + 0.36) * plans.SECTOR_DEG)
        edits += _stand(twin, IRRIGATION, turned(x, z), "chamber",
                        f"Irrigation, {english}", f"Bewässerung, {german}")  # fmt: skip
    return edits


def _own(twin: str, of: TwinType, name: str, zone: str, is_measured: bool) -> list[Edit]:
    if is_measured:
        return [PutTypeOf(twin, of.id)]
    return [PutTwin(Twin(twin, of.id, Text.of(name))), PutRelation(Relation(PART_OF, twin, zone))]


# --- energy ----------------------------------------------------------------------------------

SUBSTATION: Final = kind("Substation", "Substation", "Umspannstation", "Transformer")
CHILLER: Final = kind("Chiller", "Chiller", "Kältemaschine", "Chiller")
INVERTER: Final = kind("Inverter", "Inverter", "Wechselrichter", "Inverter")


def energy_edits(site: Site) -> list[Edit]:
    """Substations, chillers and inverters."""
    edits: list[Edit] = [PutType(t) for t in (SUBSTATION, CHILLER, INVERTER)]
    edits.append(PutName(ENERGY, text("Energy centre", "Energiezentrale")))
    outer = RINGS[site.n_bands]
    for folder, english, german in (
        ("Substations", "Substations", "Umspannstationen"),
        ("Chillers", "Chillers", "Kältemaschinen"),
    ):
        edits.append(PutName(f"{ENERGY}/{folder}", text(english, german)))
    for quarter in sorted({b.quarter for b in site.buildings}):
        english, german = QUARTERS[quarter]
        twin = f"{ENERGY}/Substations/Substation-{english}"
        bearing = (quarter + 0.5) * plans.SECTOR_DEG
        x, z = place(outer + 18.0, bearing)
        edits += _stand(twin, SUBSTATION, turned(x, z, -bearing), "substation",
                        f"Substation {english}", f"Umspannstation {german}")  # fmt: skip
        for building in site.buildings:
            if building.quarter == quarter:
                edits.append(PutRelation(Relation(POWERS, twin, building_twin(building))))
    for i in range(energy.N_CHILLERS):
        twin = f"{ENERGY}/Chillers/Chiller-{i + 1}"
        x, z = place(outer + 34.0, 58.0 + 2.0 * i)
        edits += _stand(twin, CHILLER, turned(x, z, -(58.0 + 2.0 * i)), "chiller",
                        f"Chiller {i + 1}", f"Kältemaschine {i + 1}")  # fmt: skip
        edits.append(Arm(twin, "SupplyTemperatureSetpoint", 5.5, 10.0, 1.0, 2_000))
    for quarter in sorted({b.quarter for b in site.buildings if b.pv_kw > 0.0}):
        english, german = QUARTERS[quarter]
        name = text(f"Photovoltaics, {english}", f"Photovoltaik, {german}")
        edits.append(PutName(f"{ENERGY}/Photovoltaics-{english}", name))
    for building in site.buildings:
        if building.pv_kw <= 0.0:
            continue
        twin = inverter_twin(building)
        edits += [
            PutTypeOf(twin, INVERTER.id),
            PutPose(twin, _beside(building, 0.42, 3.4), look("inverter")),
            PutRelation(Relation(POWERS, twin, building_twin(building))),
            PutRelation(Relation(LOCATED_IN, twin, building_twin(building))),
            Arm(twin, "Limit", 0.0, 100.0, min_interval_ms=1_000),
        ]
    return edits


def _beside(building: Building, across: float, before_m: float) -> Pose:
    """A place before a building's front, a share of its width to one side."""
    yaw = math.radians(building.yaw_deg)
    x, z = building.archetype.width_m * across, building.archetype.depth_m / 2 + before_m
    return turned(
        building.x_m + x * math.cos(yaw) + z * math.sin(yaw),
        building.z_m - x * math.sin(yaw) + z * math.cos(yaw),
        building.yaw_deg,
    )


# --- surroundings ----------------------------------------------------------------------------

AIR: Final = kind("AirStation", "Air station", "Luftmessstation", "Air_System")
MAST: Final = kind("WeatherMast", "Weather mast", "Wettermast", "Weather_Station")
COUNTER: Final = kind("VisitorCounter", "Visitor counter", "Besucherzähler")
_MAST_UNITS: Final = {
    "temperature": "Cel", "humidity": "%", "pressure": "hPa", "wind_speed": "m/s",
    "wind_from": "deg", "irradiance": "W/m2", "cloud_cover": "%",
}  # fmt: skip


def surroundings_twins(site: Site) -> list[str]:
    """What must be there before the surroundings can be edited."""
    found = [_MAST, f"{_GATES}/all"]
    found += [f"{_AIR}/{station.id}" for station in stations(site)]
    found += [counter_twin(building) for building in site.pavilions]
    return found


def counter_twin(building: Building) -> str:
    """The twin that counts a pavilion's visitors."""
    return f"{_VISITORS}/{QUARTERS[building.quarter][0]}/{building.id}"


def surroundings_edits(site: Site) -> list[Edit]:
    """Mast, air stations, counters and turnstiles."""
    edits: list[Edit] = [PutType(t) for t in (AIR, MAST, COUNTER)]
    for twin, english, german in (
        (SURROUNDINGS, "Air and visitors", "Luft und Besucher"),
        (OUTDOOR, "Weather and gates", "Wetter und Eingänge"),
        (f"{SURROUNDINGS}/expo/air", "Air quality", "Luftgüte"),
        (f"{SURROUNDINGS}/expo/visitors", "Visitors", "Besucher"),
        (f"{OUTDOOR}/expo/gates", "Gates", "Eingänge"),
        (f"{OUTDOOR}/expo/weather", "Weather", "Wetter"),
    ):
        edits.append(PutName(twin, text(english, german)))
    edits += _stand(_MAST, MAST, turned(64.0, 40.0), "mast", "Weather mast", "Wettermast")
    edits += [PutPointAbout(_MAST, name, unit) for name, unit in _MAST_UNITS.items()]
    for station in stations(site):
        twin = f"{_AIR}/{station.id}"
        name = (f"Air station {station.id[2:]}", f"Luftmessstation {station.id[2:]}")
        edits += _stand(twin, AIR, turned(station.x_m, station.z_m), "air-station", *name)
        edits += [PutPointAbout(twin, name, "ug/m3") for name in ("PM25", "PM10", "NO2", "O3")]
    for building in site.pavilions:
        twin = counter_twin(building)
        edits += [
            PutTypeOf(twin, COUNTER.id),
            PutPose(twin, _beside(building, 0.12, 4.6), look("totem")),
            PutRelation(Relation(LOCATED_IN, twin, building_twin(building))),
            PutPointAbout(twin, "inside", "{person}"),
            PutPointAbout(twin, "queue", "{person}"),
            PutPointAbout(twin, "wait", "min"),
        ]
    outer = RINGS[site.n_bands]
    for name, bearing in (("North-gate", 0.0), ("South-gate", 180.0), ("all", 90.0)):
        twin = f"{_GATES}/{name}"
        x, z = place(outer - 32.0, bearing + 1.2) if name != "all" else (80.0, 6.0)
        edits += [PutTypeOf(twin, COUNTER.id), PutPose(twin, turned(x, z, -bearing), look("totem"))]
        points = ("on_site", "walking") if name == "all" else ("entered", "left")
        edits += [PutPointAbout(twin, point, "{person}") for point in points]
    edits.append(PutName(f"{_GATES}/all", text("Whole site", "Ganzes Gelände")))
    return edits
