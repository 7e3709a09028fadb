"""What may be seen of the plant: every metric by edge node, with unit and range.

Only what is listed here leaves the plant's process. Times are hours in a state since the
beginning, as a machine data terminal counts them; hidden parameters are in none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..sparkplug_payload import DataType
from .shopfloor import STATES, Machine, Shopfloor

Reader = Callable[[], float]
N_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Metric:
    """One reading."""

    name: str
    read: Reader
    unit: str
    high: float
    datatype: DataType = DataType.DOUBLE


def nodes(floor: Shopfloor) -> dict[str, list[Metric]]:
    """Edge node → its metrics; what stands before a `/` is the machine, family or vehicle."""
    out = {area: list(_area(floor, area)) for area in floor.places}
    out["orders"] = list(_orders(floor))
    out["crew"] = list(_crew(floor))
    out["agvs"] = list(_vehicles(floor))
    return out


def _area(floor: Shopfloor, area: str) -> Iterator[Metric]:
    place = floor.places[area]
    yield Metric("Waiting", lambda: len(place.waiting), "1", 10_000, DataType.INT32)
    for machine in place.machines:
        yield from _machine(floor, machine)


def _machine(floor: Shopfloor, machine: Machine) -> Iterator[Metric]:
    prefix = f"{machine.name}/"
    yield Metric(f"{prefix}State", lambda: machine.state, "1", len(STATES) - 1, DataType.INT32)
    yield Metric(f"{prefix}Lots", lambda: machine.lots, "1", 1e9, DataType.INT64)
    yield Metric(f"{prefix}Setups", lambda: machine.setups, "1", 1e9, DataType.INT64)
    yield Metric(f"{prefix}Failures", lambda: machine.failures, "1", 1e9, DataType.INT64)
    yield Metric(f"{prefix}Energy", lambda: floor.energy_j(machine) / 3.6e6, "kW.h", 1e9)
    for state, name in enumerate(STATES):
        yield Metric(
            f"{prefix}{name}Time",
            lambda state=state: _hours(floor, machine, state), "h", 1e7,
        )  # fmt: skip


def _hours(floor: Shopfloor, machine: Machine, state: int) -> float:
    spent = machine.spent_s[state]
    if machine.state == state:
        spent += floor.now_s - machine.since_s
    return spent / 3600.0


def _orders(floor: Shopfloor) -> Iterator[Metric]:
    yield Metric("InWorks", lambda: floor.in_works, "1", 1e6, DataType.INT32)
    for family, count in floor.counts.items():
        prefix = f"{family}/"
        yield Metric(f"{prefix}Released", lambda c=count: c.released, "1", 1e9, DataType.INT64)
        yield Metric(f"{prefix}Done", lambda c=count: c.done, "1", 1e9, DataType.INT64)
        yield Metric(f"{prefix}Scrapped", lambda c=count: c.scrapped, "1", 1e9, DataType.INT64)
        yield Metric(f"{prefix}LeadTimeSum", lambda c=count: c.lead_s / 3600.0, "h", 1e9)


def _crew(floor: Shopfloor) -> Iterator[Metric]:
    for group in floor.people.groups:
        prefix = f"{'-'.join(group.skills)}/"
        yield Metric(f"{prefix}Present", lambda g=group: g.present, "1", 1e4, DataType.INT32)
        yield Metric(f"{prefix}AtWork", lambda g=group: g.busy, "1", 1e4, DataType.INT32)


def _vehicles(floor: Shopfloor) -> Iterator[Metric]:
    yield Metric("Energy", lambda: floor.vehicles.energy_j() / 3.6e6, "kW.h", 1e9)
    for vehicle in floor.vehicles.all:
        prefix = f"agv-{vehicle.number:02d}/"
        yield Metric(f"{prefix}State", lambda v=vehicle: v.state, "1", 2, DataType.INT32)
        yield Metric(f"{prefix}X", lambda v=vehicle: v.x_m, "m", 1e3)
        yield Metric(f"{prefix}Z", lambda v=vehicle: v.z_m, "m", 1e3)
        yield Metric(f"{prefix}Trips", lambda v=vehicle: v.trips, "1", 1e9, DataType.INT64)


def totals(floor: Shopfloor) -> dict[str, float]:
    """All readings at this moment by `node/metric`: the same that goes over the wire."""
    return {
        f"{node}/{metric.name}": round(float(metric.read()), N_DIGITS)
        for node, metrics in nodes(floor).items()
        for metric in metrics
    }
