"""From what an engine counted to a Result: the same sums for every event engine.

Engines hand over plain counts and integrals of one replication (`Counted`) and who still waits
for whom at its end; what they mean in parts a second, shares, joules and money is worked out
here, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow.model import Conveyor, FlowModel, Station
from mirrorworld.simulation.flow.plan import Plan, open_s
from mirrorworld.simulation.flow.results import Doing, Ending, Result, Trace


@dataclass(slots=True)
class Counted:
    """One replication after its warm-up. Integrals are over time, in part-seconds or seconds."""

    ending: Ending
    detail: str
    end_s: float
    events: int
    made: NDArray[np.int64]
    scrapped: int
    lost: int
    late: int
    lead_s: NDArray[np.float64]
    """Of every sound part that left, in order."""
    doing_s: NDArray[np.float64]
    """[servers then vehicles, 8]"""
    content: NDArray[np.float64]
    """[N]"""
    wip: float
    jobs: NDArray[np.int64]
    moved: NDArray[np.int64]
    """[links]"""
    scrapped_at: NDArray[np.int64]
    """[N]"""
    members: NDArray[np.float64]
    """[P] at work."""
    carrying_s: NDArray[np.float64]
    """[N] of conveyors, that they held anything."""
    material_cost: float
    material_carbon_kg: float
    trace: Trace | None = None
    extra: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])


def summarise(
    plan: Plan,
    counted: list[Counted],
    *,
    engine: str,
    seed: int,
    horizon_s: float,
    warm_up_s: float,
) -> Result:
    """The result of all replications."""
    model = plan.model
    rows = [_row(plan, one, warm_up_s) for one in counted]

    def column(name: str) -> NDArray[np.float64]:
        return np.array([row[name] for row in rows], np.float64)

    return Result(
        model=model.name,
        engine=engine,
        seed=seed,
        horizon_s=horizon_s,
        warm_up_s=warm_up_s,
        ending=tuple(one.ending for one in counted),
        detail=tuple(one.detail for one in counted),
        nodes=tuple(node.name for node in model.nodes),
        events=np.array([one.events for one in counted], np.int64),
        made=np.array([one.made for one in counted], np.int64).reshape(len(counted), -1),
        scrapped=np.array([one.scrapped for one in counted], np.int64),
        lost=np.array([one.lost for one in counted], np.int64),
        late=np.array([one.late for one in counted], np.int64),
        throughput_per_s=column("throughput"),
        wip=column("wip"),
        lead_time_s=column("lead"),
        lead_time_p95_s=column("lead_p95"),
        shares=np.array([row["shares"] for row in rows]),
        content=column("content"),
        jobs=np.array([one.jobs for one in counted], np.int64),
        moved=np.array([one.moved for one in counted], np.int64),
        scrapped_at=np.array([one.scrapped_at for one in counted], np.int64),
        pool_use=column("pool_use"),
        fleet_use=column("fleet_use"),
        energy_j=column("energy"),
        carbon_kg=column("carbon"),
        cost=column("cost"),
        trace=counted[0].trace if counted else None,
        extra={
            name: np.array([one.extra[name] for one in counted])
            for name in (counted[0].extra if counted else ())
        },
    )


def _row(plan: Plan, one: Counted, warm_up_s: float) -> dict[str, float | NDArray[np.float64]]:
    model = plan.model
    span_s = one.end_s - warm_up_s
    per_s = 1 / span_s if span_s > 0 else 0.0
    shares = np.zeros((len(model.nodes), len(Doing)))
    for i, shop in enumerate(plan.shops):
        if shop is not None:
            first, servers = shop.first_server, model.nodes[i].servers  # pyright: ignore
            shares[i] = one.doing_s[first : first + servers].sum(axis=0) * (per_s / servers)
    pool_use = np.array(
        [one.members[i] * per_s / pool.size for i, pool in enumerate(model.pools)], np.float64
    )
    energy_j, cost = _energy_and_cost(plan, one)
    fleet_use = np.zeros(len(model.fleets))
    for i, fleet in enumerate(model.fleets):
        rows = _vehicles(plan, one, i)
        busy_s = float(rows[:, Doing.BUSY].sum())
        fleet_use[i] = busy_s * per_s / fleet.vehicles
        energy_j += busy_s * fleet.energy_busy_w
        energy_j += (float(rows.sum()) - busy_s) * fleet.energy_idle_w
        cost += span_s * fleet.vehicles * fleet.cost_per_h / 3600
    for pool in model.pools:
        there_s = span_s
        if pool.calendar:
            calendar = next(c for c in model.calendars if c.name == pool.calendar)
            there_s = open_s(calendar, warm_up_s, one.end_s)
        cost += there_s * pool.size * pool.cost_per_h / 3600
    kwh = energy_j / 3.6e6
    cost += one.wip * model.wip_cost_per_h / 3600
    cost += kwh * model.energy_cost_per_kwh + one.material_cost
    return {
        "throughput": float(one.made.sum()) * per_s,
        "wip": one.wip * per_s,
        "lead": float(one.lead_s.mean()) if len(one.lead_s) else 0.0,
        "lead_p95": float(np.quantile(one.lead_s, 0.95)) if len(one.lead_s) else 0.0,
        "shares": shares,
        "content": one.content * per_s,
        "pool_use": pool_use,
        "fleet_use": fleet_use,
        "energy": energy_j,
        "carbon": kwh * model.carbon_kg_per_kwh + one.material_carbon_kg,
        "cost": cost,
    }


def _vehicles(plan: Plan, one: Counted, fleet: int) -> NDArray[np.float64]:
    first = plan.servers + plan.trips[fleet].first_vehicle
    return one.doing_s[first : first + plan.model.fleets[fleet].vehicles]


def _energy_and_cost(plan: Plan, one: Counted) -> tuple[float, float]:
    """Of stations and conveyors: joules, money."""
    energy_j = cost = 0.0
    for i, node in enumerate(plan.model.nodes):
        if isinstance(node, Conveyor):
            energy_j += float(one.carrying_s[i]) * node.power_w
        shop = plan.shops[i]
        if shop is None or not isinstance(node, Station):
            continue
        spent = one.doing_s[shop.first_server : shop.first_server + node.servers].sum(axis=0)
        power = node.energy
        for doing, watts in (
            (Doing.BUSY, power.busy_w),
            (Doing.STARVED, power.idle_w),
            (Doing.WAITING, power.idle_w),
            (Doing.BLOCKED, power.blocked_w),
            (Doing.SETUP, power.setup_w),
            (Doing.DOWN, power.down_w),
            (Doing.MAINTENANCE, power.down_w),
            (Doing.OFF, power.off_w),
        ):
            energy_j += float(spent[doing]) * watts
        cost += float(spent.sum() - spent[Doing.OFF]) * node.cost_per_h / 3600
    return energy_j, cost


def critical_path(
    plan: Plan, log: Sequence[tuple[int, int, float]], last: int
) -> NDArray[np.float64]:
    """[elements] time on the way of causes that leads to event `last`, by element.

    `log` has for every event scheduled which event let it begin, whose time it took and how much.
    Scaling an element's times by 1 + ε makes that event later by ε times its entry, as long as
    no two events change places: the derivative along the path (infinitesimal perturbation
    analysis; Ho, Cao: Perturbation Analysis of Discrete Event Dynamic Systems, 1991).
    """
    found = np.zeros(len(plan.elements))
    while last >= 0:
        last, element, amount = log[last]
        if element >= 0:
            found[element] += amount
    return found


def waits(model: FlowModel, edges: list[tuple[str, str]]) -> str:
    """Who waits for whom: the first circle among (who, for whom), or all of them if there is
    none."""
    if not edges:
        return f"{model.name}: nothing is at work and nothing will come"
    after: dict[str, list[str]] = {}
    for who, whom in edges:
        after.setdefault(who, []).append(whom)
    for start in after:
        trail, seen = [start], {start}
        while True:
            onward = after.get(trail[-1], [])
            if not onward:
                break
            following = next((x for x in onward if x == start), onward[0])
            trail.append(following)
            if following == start:
                return f"{model.name}: " + " waits for ".join(trail)
            if following in seen:
                break
            seen.add(following)
    return f"{model.name}: " + "; ".join(f"{a} waits for {b}" for a, b in dict.fromkeys(edges))
