"""The twin's line model of the works, read from its twins and nothing else.

Areas, machines, families, crews and AGVs with their properties, and `feeds` with the families that
go that way, become a `FlowModel`; allowances for what data sheets leave out are given. It knows
no plant, no design file and no protocol: what is not in the world is not in the model.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.model import (
    ANY,
    Breakdown,
    Buffer,
    Calendar,
    Drain,
    Energy,
    Fleet,
    FlowModel,
    Link,
    Loop,
    Maintenance,
    Need,
    PartType,
    Pool,
    Route,
    Rule,
    Setup,
    Source,
    Station,
)
from mirrorworld.world.model import FEEDS, PART_OF, Twin

from .allowances import Allowances, OfArea
from .authored import AGVS, AREA_TYPE, CREW, ORDERS, WORKS
from .walking import Crew, Jobs, Walk, walks

if TYPE_CHECKING:
    from mirrorworld.world.structure import Structure

HAND_CV: Final = 0.15
"""Of a lot's hand work, as time studies of such cells find it."""
REPAIR_CV: Final = 0.7
SMALL_CREW: Final = 6
WEEK: Final = "week"
SOURCE: Final = "orders"
SHIPPED: Final = "shipped"
ORDER: Final = "order"
"""What a lot is before it is known of which family."""


class NotPlannedError(ValueError):
    """The world lacks what a model of the works needs; the message names the twin."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A works as its twins describe it, ready to be made a line of."""

    structure: Structure
    works: Twin
    areas: dict[str, Twin]
    machines: dict[str, int]
    families: dict[str, Twin]


def planned(structure: Structure) -> Planned:
    """What the world says of the works.

    Raises:
        NotPlannedError: it has none, or one without machines or orders.
    """
    works = structure.twins.get(WORKS)
    if works is None:
        raise NotPlannedError(f"{WORKS}: there is no such twin; author the works first")
    areas: dict[str, Twin] = {}
    machines: dict[str, int] = {}
    families: dict[str, Twin] = {}
    for twin in structure.twins.values():
        name = twin.id.rpartition("/")[2]
        if twin.type == AREA_TYPE.id:
            areas[name] = twin
            parts = structure.relations_to(twin.id)
            machines[name] = sum(1 for r in parts if r.kind == PART_OF and _is_machine(r.source))
            if machines[name] == 0:
                raise NotPlannedError(f"{twin.id}: no machine is part of it")
        elif twin.id.startswith(f"{ORDERS}/") and twin.property("route") is not None:
            families[name] = twin
    if not families:
        raise NotPlannedError(f"{ORDERS}: no family is ordered")
    return Planned(structure, works, areas, machines, families)


def _is_machine(twin: str) -> bool:
    area, _, name = twin.removeprefix(f"{WORKS}/").partition("/")
    return name.startswith(f"{area}-")


def flow_model(structure: Structure, allowances: Allowances, luck: float = 0.5) -> FlowModel:
    """The works as a line.

    Args:
        luck: from 0 to 1, whether those of a small crew who stay away on average (a fifth of a
            person, say) are missing in this run or not.

    Raises:
        NotPlannedError: the world lacks something.
        FlowError: what it says does not fit together.
    """
    world = planned(structure)
    works = world.works
    week_s, open_s = _number(works, "week"), _number(works, "open")
    calendar = Calendar(WEEK, week_s, ((0.0, open_s),))
    nodes: list[Source | Drain | Buffer | Station] = [
        Source(SOURCE, None, ((ORDER, 1.0),), route=Route.ROUND_ROBIN)
    ]
    rule = Rule.LEAST_SETUP if _text(works, "rule") == "least_setup" else Rule.FIFO
    shelved = {_text(twin, "repair_area") for twin in world.areas.values()}
    links, walked = _links(world), _walks(world)
    carried = {link.target for link in links if link.fleet}
    rooms: list[Loop] = []
    for area, twin in world.areas.items():
        # A lot has its place before an area from when a vehicle is asked for, and the machine
        # that made it is free from then on; without a place it stays in the machine.
        waits = [_before(area)]
        if _before(area) in carried:
            waits.insert(0, _to(area))
        nodes += [Buffer(name, rule=rule) for name in waits]
        nodes.append(_station(world, area, allowances[area], walked[area], rule))
        # What is to be repaired is put on a shelf: a test never waits for its own repair.
        if area not in shelved:
            rooms.append(Loop(f"room {area}", tuple(waits), int(_number(twin, "room"))))
    nodes.append(Drain(SHIPPED))
    inner = tuple(node.name for node in nodes if isinstance(node, Buffer | Station))
    return FlowModel(
        name="works",
        nodes=tuple(nodes),
        links=tuple(links),
        part_types=(PartType(ORDER), *(PartType(name) for name in world.families)),
        pools=_pools(world, luck),
        fleets=(_fleet(world),),
        loops=(Loop("works", inner, int(_number(works, "limit"))), *rooms),
        calendars=(calendar,),
    )


def busy_shares(structure: Structure, allowances: Allowances) -> dict[str, float]:
    """By area, the part of its jobs in the model that machine data count as work: walking to a
    job and resting at a change of shift lengthen the model's jobs and are left out there."""
    world = planned(structure)
    ordered, walked, out = shares(world), _walks(world), {}
    for area, twin in world.areas.items():
        visits = [
            (share, float(minutes.value))
            for name, share in ordered.items()
            if (minutes := world.families[name].property(f"minutes/{area}")) is not None
            and isinstance(minutes.value, float)
        ]
        mean = sum(share * m for share, m in visits) / (sum(share for share, _ in visits) or 1.0)
        work_s = 60.0 * allowances[area].pace * (_number(twin, "process") or mean)
        out[area] = work_s / (work_s * (1.0 + allowances[area].lost) + walked[area].work_s)
    return out


def shares(world: Planned) -> dict[str, float]:
    """Family → its share of what is ordered."""
    return {name: _number(twin, "share") for name, twin in world.families.items()}


def levelled(shares: dict[str, float]) -> list[str]:
    """The order in which campaigns are released: each time the family that is most behind its
    share (levelled production). Repeats after the list.

    >>> levelled({"a": 0.5, "b": 0.25, "c": 0.25})
    ['a', 'b', 'c', 'a']
    """
    exact = {name: Fraction(share).limit_denominator(100) for name, share in shares.items()}
    length = math.lcm(*(share.denominator for share in exact.values()))
    debt, out = dict.fromkeys(exact, Fraction()), []
    for _ in range(length):
        for name, share in exact.items():
            debt[name] += share
        chosen = max(debt, key=lambda name: debt[name])
        debt[chosen] -= 1
        out.append(chosen)
    return out


def _before(area: str) -> str:
    return f"before {area}"


def _to(area: str) -> str:
    return f"to {area}"


def _station(world: Planned, area: str, allow: OfArea, walk: Walk, rule: Rule) -> Station:
    twin = world.areas[area]
    skill, setup_skill = _text(twin, "skill"), _text(twin, "setup_skill")
    # Who works in a cell sets it up too, and is counted once.
    setters = _needs(setup_skill) if setup_skill != skill else ()
    cv = HAND_CV if skill else 0.0
    factor = allow.pace * (1.0 + allow.lost) * 60.0
    by_type: list[tuple[str, Distribution]] = []
    for name, family in world.families.items():
        minutes = family.property(f"minutes/{area}")
        if minutes is not None and isinstance(minutes.value, float):
            by_type.append((name, _spread(minutes.value * factor + walk.work_s, cv)))
    always = _number(twin, "process")
    batch = int(_number(twin, "batch"))
    if batch > 1:
        # All that is in an oven stays as long as the longest programme.
        by_type, process = [], max((d for _, d in by_type), key=lambda d: d.mean())
    else:
        process = _spread(always * factor + walk.work_s, cv) if always else by_type[0][1]
    between, care_lots = _number(twin, "between_failures"), int(_number(twin, "care_lots"))
    setup = _number(twin, "setup")
    repair_s = 60.0 * _number(twin, "repair_time") * allow.repair
    idle = _number(twin, "idle_power") * allow.power
    return Station(
        name=area,
        process=process,
        process_by_type=tuple(by_type) if not always else (),
        servers=world.machines[area],
        takes=((_before(area), batch),) if batch > 1 else (),
        is_batch=batch > 1,
        rule=rule,
        setup=Setup(
            ((ANY, ANY, Distribution.by_cv(60.0 * setup * allow.setup + walk.setup_s, 0.15)),),
            setters,
        )
        if setup
        else None,
        breakdowns=(
            Breakdown(
                "failure",
                Distribution.exponential(3600.0 * between * allow.between),
                Distribution.by_cv(repair_s, REPAIR_CV),
                needs=_needs("technician"),
            ),
        )
        if between
        else (),
        maintenance=(
            Maintenance(
                "care",
                Distribution.constant(
                    60.0 * _number(twin, "care_time") * allow.care + walk.setup_s
                ),
                every_parts=care_lots,
                needs=_needs(setup_skill),
            ),
        )
        if care_lots
        else (),
        scrap=_number(twin, "scrap"),
        rework=_number(twin, "rework") * allow.rework,
        needs=_needs(skill),
        calendar="" if _is_true(twin, "is_always_open") else WEEK,
        energy=Energy(
            busy_w=_number(twin, "busy_power") * allow.power,
            idle_w=idle,
            blocked_w=idle,
            setup_w=_number(twin, "setup_power") * allow.power,
            down_w=_number(twin, "down_power") * allow.power,
            off_w=_number(twin, "off_power") * allow.power,
        ),
        cost_per_h=_number(twin, "machine_cost"),
    )


def _links(world: Planned) -> list[Link]:
    """From orders to kitting, through areas by families, over AGVs, and out."""
    ends: dict[str, list[str]] = defaultdict(list)
    for name, family in world.families.items():
        ends[_text(family, "route").split()[-1]].append(name)
    campaign = int(_number(world.works, "campaign"))
    links = [
        Link(SOURCE, _before(_text(world.families[name], "route").split()[0]), becomes=name)
        for name in levelled(shares(world))
        for _ in range(campaign)
    ]
    carried: dict[str, None] = {}
    for area, twin in world.areas.items():
        links.append(Link(_before(area), area))
        repair = _text(twin, "repair_area")
        for relation in world.structure.relations_from(twin.id):
            target = relation.target.rpartition("/")[2]
            if relation.kind != FEEDS or target not in world.areas:
                continue
            told = {p.name: p.value for p in relation.properties}
            families = tuple(str(told.get("families", "")).split())
            carried[target] = None
            links.append(Link(area, _to(target), families, is_rework=target == repair))
        if area in ends:
            links.append(Link(area, SHIPPED, tuple(ends[area])))
    return links + [Link(_to(target), _before(target), fleet="agvs") for target in carried]


def _walks(world: Planned) -> dict[str, Walk]:
    """By area: how long people walk to its jobs."""
    ordered = shares(world)
    routes = {name: _text(family, "route").split() for name, family in world.families.items()}
    jobs: list[Jobs] = []
    for area, twin in world.areas.items():
        at = [
            (pose.x_m, pose.z_m)
            for r in world.structure.relations_to(twin.id)
            if r.kind == PART_OF and _is_machine(r.source)
            for pose in [world.structure.twins[r.source].pose]
            if pose is not None
        ]
        if not at:
            raise NotPlannedError(f"{twin.id}: it is not said where its machines stand")
        lots = sum(share for name, share in ordered.items() if area in routes[name])
        # Repair is on no routing: a tenth of a lot is what it has at most.
        jobs.append(
            Jobs(
                area, np.array(at), lots or 0.1, _text(twin, "skill"), _text(twin, "setup_skill")
            )
        )  # fmt: skip
    attendance = _number(world.works, "attendance")
    crews = [Crew(count * attendance, frozenset(skills)) for count, skills in _crews(world)]
    return walks(jobs, crews, _number(world.structure.twins[CREW], "walking_speed"))


def _crews(world: Planned) -> list[tuple[float, tuple[str, ...]]]:
    """(planned, skills) of each crew."""
    found = [
        (_number(twin, "planned"), tuple(_text(twin, "skills").split()))
        for twin in world.structure.twins.values()
        if twin.id.startswith(f"{CREW}/") and twin.property("planned") is not None
    ]
    if not found:
        raise NotPlannedError(f"{CREW}: nobody is planned")
    return found


def _pools(world: Planned, luck: float) -> tuple[Pool, ...]:
    attendance = _number(world.works, "attendance")
    members: list[tuple[int, tuple[str, ...]]] = []
    for k, (count, skills) in enumerate(_crews(world)):
        # Each crew has its own luck: steps of the golden ratio spread evenly. In a small one who
        # stays away is missing for a shift, and over a week the crew is as good as whole.
        own = (luck + k * 0.618_034) % 1.0 if count >= SMALL_CREW else 0.5
        members.append((max(1, math.floor(count * attendance + own)), skills))
    return (Pool("crew", tuple(members), WEEK),)


def _fleet(world: Planned) -> Fleet:
    """Vehicles that are in nobody's way; a trip is as long as the ways are on average, weighted
    by what is ordered."""
    twins = world.structure.twins
    if AGVS not in twins:
        raise NotPlannedError(f"{AGVS}: there is no such twin")
    agvs = twins[AGVS]
    ordered = shares(world)
    flow = metres = 0.0
    for area in world.areas.values():
        for relation in world.structure.relations_from(area.id):
            told = {p.name: p.value for p in relation.properties}
            length = told.get("length")
            if relation.kind == FEEDS and isinstance(length, float):
                weight = sum(ordered[name] for name in str(told["families"]).split())
                flow, metres = flow + weight, metres + weight * length
    n = sum(
        1
        for r in world.structure.relations_to(AGVS)
        if r.kind == PART_OF and r.source.startswith(f"{AGVS}/")
    )
    handling = Distribution.constant(_number(agvs, "handling"))
    return Fleet(
        "agvs",
        n,
        travel=Distribution.by_cv(metres / flow / _number(agvs, "speed"), 0.5),
        load=handling,
        unload=handling,
        picks_nearest=True,
        energy_busy_w=_number(agvs, "busy_power"),
        energy_idle_w=_number(agvs, "idle_power"),
    )


def _spread(mean_s: float, cv: float) -> Distribution:
    return Distribution.lognormal(mean_s, cv) if cv else Distribution.constant(mean_s)


def _needs(skill: str) -> tuple[Need, ...]:
    return (Need("crew", 1, skill),) if skill else ()


def _number(twin: Twin, name: str) -> float:
    found = twin.property(name)
    if found is None or not isinstance(found.value, int | float):
        raise NotPlannedError(f"{twin.id}.{name}: there is no such number; the plan needs it")
    return float(found.value)


def _text(twin: Twin, name: str) -> str:
    found = twin.property(name)
    if found is None or not isinstance(found.value, str):
        raise NotPlannedError(f"{twin.id}.{name}: there is no such text; the plan needs it")
    return found.value


def _is_true(twin: Twin, name: str) -> bool:
    found = twin.property(name)
    return found is not None and found.value is True
