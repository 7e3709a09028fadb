"""What each twin of a line is, and what its points are for.

Told by the sheet, else by the names of its types and points: a machine has a state or a speed in
parts, a conveyor a speed in metres, a buffer neither. Names are those of PackML (ISA-TR88.00.02),
OPC UA for Machinery, MTConnect and of common use. Units are checked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from mirrorworld import units
from mirrorworld.simulation.flow.model import FlowError
from mirrorworld.simulation.flow.sheet import Flow, Said
from mirrorworld.world.model import FEEDS, POWERS, Kind, PointType
from mirrorworld.world.structure import Structure

_STATES: Final = ("state", "statecurrent", "machinestate", "execution", "status")
_CAUSES: Final = ("cause", "reason", "stopreason")
_OUT: Final = ("goodcount", "countgood", "partsgood", "partcount", "prodprocessedcount", "count")
_REJECTS: Final = ("rejects", "rejected", "scrap", "scrapcount", "proddefectivecount")
_SPEEDS: Final = ("speed", "curmachspeed", "machspeed", "rate")
_SETPOINTS: Final = ("speedsetpoint", "setpoint", "targetspeed", "ratesetpoint")
_CONTENTS: Final = ("content", "parts", "queue", "fill", "wip", "inside")
_POWERS: Final = ("activepower", "power", "electricpower")
_KINDS: Final = (
    ("buffer", re.compile(r"buffer|accumul|storage|rack|queue|magazine")),
    ("conveyor", re.compile(r"conveyor|belt|transport")),
)
_NUMBERS: Final = (Kind.FLOAT, Kind.INT)

RUNNING: Final = {"execute", "running", "run", "producing", "active", "busy", "processing"}
WAITING: Final = {
    "suspended", "suspending", "unsuspending", "starved", "blocked", "waiting", "ready", "standby",
}  # fmt: skip
FAILED: Final = {
    "aborted", "aborting", "held", "holding", "fault", "faulted", "failed", "error", "down",
    "breakdown", "alarm", "interrupted",
}  # fmt: skip
PASSING: Final = {"clearing", "resetting", "starting", "unholding", "repair"}
"""On the way from one state to another: they count to what was before them."""
_PACKML: Final = {
    1: "clearing", 2: "stopped", 3: "starting", 4: "idle", 5: "suspended", 6: "execute",
    7: "stopping", 8: "aborting", 9: "aborted", 10: "holding", 11: "held", 12: "unholding",
    13: "suspending", 14: "unsuspending", 15: "resetting", 16: "completing", 17: "complete",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Used:
    """A point that is used, with what its values are times to be in the model's unit."""

    name: str
    handle: int
    type: PointType
    factor: float = 1.0


@dataclass(slots=True)
class Place:
    """A twin of the line."""

    twin: str
    label: str
    """Its name in the model."""
    role: str
    points: dict[str, Used] = field(default_factory=dict[str, Used])
    """By what they are for: state, cause, in, out, rejects, content, occupancy, speed, setpoint,
    power."""
    sharing_power: int = 1
    """How many twins of the line the power meter stands for."""
    notes: list[str] = field(default_factory=list[str])

    @property
    def labels(self) -> dict[int, str]:
        """The states by code, in small letters."""
        state = self.points.get("state")
        if state is None:
            return {}
        return {code: label.lower() for code, label in state.type.labels} or dict(_PACKML)


def places(structure: Structure, flow: Flow) -> list[Place]:
    """The twins that feed others or are fed, in the order of the flow.

    Raises:
        FlowError: there is no flow, or a point has a unit that cannot be meant.
    """
    edges = [r for r in structure.relations.values() if r.kind == FEEDS]
    names = {end for edge in edges for end in (edge.source, edge.target)}
    names |= {twin for twin, said in flow.twins.items() if said.role not in (None, "none")}
    for twin in flow.twins:
        if twin not in structure.twins:
            raise FlowError(f"sheet of kind flow: there is no twin '{twin}'; correct its name")
    names = {n for n in names if flow.twins.get(n, Said()).role != "none"}
    if not names:
        raise FlowError(
            "no twin feeds another: relate them with 'feeds', or give roles in a sheet of kind flow"
        )
    order = _ordered(sorted(names, key=structure.ordinal), [(e.source, e.target) for e in edges])
    ends = [twin.rpartition("/")[2] for twin in order]
    found: list[Place] = []
    for twin, end in zip(order, ends, strict=True):
        said = flow.twins.get(twin, Said())
        label = end if ends.count(end) == 1 else twin
        found.append(_place(structure, twin, label, said))
    _meters(structure, found)
    return found


def _ordered(names: list[str], edges: list[tuple[str, str]]) -> list[str]:
    """From the sources on; what goes round comes as it was declared."""
    left, done = dict.fromkeys(names), []
    while left:
        fed = {target for source, target in edges if source in left and target in left}
        ready = next((name for name in left if name not in fed), next(iter(left)))
        # Follow one line as far as it goes, so that the order reads as parts travel.
        done.append(ready)
        del left[ready]
    return done


def _place(structure: Structure, twin: str, label: str, said: Said) -> Place:
    points = {p.name: Used(p.name, p.handle, p.type) for p in structure.points_of(twin)}
    place = Place(twin, label, said.role or _role(structure, twin, points))
    lower = {name.lower().replace("_", ""): used for name, used in points.items()}

    def take(what: str, names: tuple[str, ...], kinds: tuple[Kind, ...]) -> None:
        for name in names:
            if name in lower and lower[name].type.kind in kinds and what not in place.points:
                place.points[what] = lower[name]

    for what, name in (said.points or {}).items():
        if name not in points:
            raise FlowError(f"{twin}: it has no point '{name}'; correct it in the sheet flow")
        place.points[what] = points[name]
    take("state", _STATES, (Kind.ENUM, Kind.INT))
    take("cause", _CAUSES, (Kind.TEXT,))
    take("in", tuple(n for n in lower if n.endswith("in")), (Kind.INT,))
    take("out", _OUT + tuple(n for n in lower if n.endswith("out")), (Kind.INT,))
    take("rejects", _REJECTS, _NUMBERS)
    stem = place.points["in"].name.lower()[:-2] if "in" in place.points else ""
    inside = (f"{stem}inside",) if stem else ()
    take("content", inside if place.role == "machine" else (stem, *inside, *_CONTENTS), _NUMBERS)
    take("occupancy", ("occupancy",), _NUMBERS)
    take("speed", _SPEEDS, _NUMBERS)
    take("setpoint", _SETPOINTS, _NUMBERS)
    take("power", _POWERS, _NUMBERS)
    for what in ("speed", "setpoint"):
        _in_unit(place, what, "/s" if place.role == "machine" else "m/s")
    _in_unit(place, "power", "W")
    return place


def _role(structure: Structure, twin: str, points: dict[str, Used]) -> str:
    of = structure.twins[twin].type
    for kind in (of, *structure.supertypes(of)) if of else ():
        name = re.split(r"[#/:]", kind)[-1].lower()
        for role, pattern in _KINDS:
            if pattern.search(name):
                return role
    return "machine"


def _in_unit(place: Place, what: str, unit: str) -> None:
    """Takes a point only in a unit that says what it must; otherwise it is left out and noted."""
    used = place.points.get(what)
    if used is None:
        return
    if not used.type.unit or not units.fits(used.type.unit, unit):
        del place.points[what]
        has = f"'{used.type.unit}'" if used.type.unit else "none"
        place.notes.append(f"point {used.name} is not used as {what}: unit {has}, not like {unit}")
        return
    factor, offset = units.linear(used.type.unit, unit, f"{place.twin}.{used.name}")
    if offset:
        raise FlowError(f"{place.twin}.{used.name}: unit {used.type.unit} is no rate; correct it")
    place.points[what] = Used(used.name, used.handle, used.type, factor)


def _meters(structure: Structure, found: list[Place]) -> None:
    """Power by the nearest meter: a twin that powers it and measures power."""
    line = {place.twin for place in found}
    meters: dict[int, list[Place]] = {}
    for place in found:
        if "power" in place.points:
            continue
        for relation in structure.relations_to(place.twin):
            if relation.kind != POWERS:
                continue
            said = structure.relations_from(relation.source)
            others = [r.target for r in said if r.kind == POWERS]
            fed = [twin for twin in others if twin in line]
            for point in structure.points_of(relation.source):
                name = point.name.lower().replace("_", "")
                if name in _POWERS and units.fits(point.type.unit or "1", "W"):
                    factor, _ = units.linear(point.type.unit, "W")
                    used = Used(f"{relation.source}.{point.name}", point.handle, point.type, factor)
                    if len(fed) < len(others) or "power" in place.points:
                        continue
                    place.points["power"] = used
                    meters.setdefault(point.handle, []).append(place)
    for sharers in meters.values():
        for place in sharers:
            place.sharing_power = len(sharers)
