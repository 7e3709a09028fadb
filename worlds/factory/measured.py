"""What a works did, from what its instruments said: figures of a week, and how they are named.

Readings are by `node/metric`, as `instruments.totals` names them; the mirror's record gives the
same names (`of_record`). Knows no model and no forecast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .areas import OPEN_S, WEEK_S
from .authored import WORKS

if TYPE_CHECKING:
    from mirrorworld.record import Store
    from mirrorworld.world.structure import Structure

Readings = Mapping[str, float]
Figures = dict[str, float]
HOURS: Final = 3600.0
STATE_TIMES: Final[tuple[str, ...]] = (
    "StarvedTime", "BusyTime", "BlockedTime", "SetupTime", "DownTime", "CareTime", "WaitingTime",
    "OffTime",
)  # fmt: skip
BURN_IN: Final = "burn_in"
"""The area that is never closed."""


def figures(first: Readings, last: Readings, weeks: float) -> Figures:
    """Figures between two readings that lie so many weeks apart.

    `output` and `output/FAMILY` in lots a week, `lead time` in hours, `utilisation/AREA` as the
    share of open time in which its machines work on lots, `energy` in MWh a week.
    """

    def grown(point: str) -> float:
        return last[point] - first[point]

    families = sorted(
        {p.split("/")[1] for p in last if p.startswith("orders/") and p.endswith("/Done")}
    )
    done = {family: grown(f"orders/{family}/Done") for family in families}
    out: Figures = {"output": sum(done.values()) / weeks}
    out |= {f"output/{family}": n / weeks for family, n in done.items()}
    lead_h = sum(grown(f"orders/{family}/LeadTimeSum") for family in families)
    out["lead time"] = lead_h / sum(done.values())
    energy_kwh = grown("agvs/Energy")
    machines: dict[str, int] = {}
    busy_h: dict[str, float] = {}
    for point in last:
        area, _, rest = point.partition("/")
        metric = rest.partition("/")[2]
        if metric == "BusyTime":
            machines[area] = machines.get(area, 0) + 1
            busy_h[area] = busy_h.get(area, 0.0) + grown(point)
        elif metric == "Energy":
            energy_kwh += grown(point)
    for area, n in machines.items():
        open_h = n * weeks * (WEEK_S if area == BURN_IN else OPEN_S) / HOURS
        out[f"utilisation/{area}"] = busy_h[area] / open_h
    out["energy"] = energy_kwh / 1e3 / weeks
    return out


# --- from the record -------------------------------------------------------------------------


def _points(structure: Structure) -> Iterable[tuple[int, str, int]]:
    """(handle, `node/metric`, kind) of everything that the plant says."""
    for twin in structure.twins:
        if not twin.startswith(f"{WORKS}/"):
            continue
        name = twin.removeprefix(f"{WORKS}/")
        for point, handle, about in structure.points_of(twin):
            yield handle, f"{name}/{point}", int(about.kind)


def of_record(record: Store, structure: Structure, at_ns: int) -> dict[str, float]:
    """Readings as of a time of the plant's own clock."""
    then = record.as_of_time(at_ns)
    out: dict[str, float] = {}
    for handle, name, kind in _points(structure):
        if then.source_ns[handle] > 0 and kind <= 3:
            cell = then.cell[handle : handle + 1]
            out[name] = float(cell.view(np.float64)[0] if kind == 0 else cell[0])
    return out


def mean_of(record: Store, handle: int, start_ns: int, end_ns: int) -> float:
    """The mean over time of a whole number that holds until it changes."""
    series = record.read(handle, 0, end_ns)
    at: Any = np.clip(series.source_ns, start_ns, end_ns)
    held = np.diff(np.append(at, end_ns))
    return float((series.cell * held).sum() / (end_ns - start_ns))


def waiting(record: Store, structure: Structure, start_ns: int, end_ns: int) -> Figures:
    """`in works`, and `waiting/AREA`: lots, as means over all hours of the week."""
    out: Figures = {}
    for handle, name, _ in _points(structure):
        if name == "orders/InWorks":
            out["in works"] = mean_of(record, handle, start_ns, end_ns)
        elif name.endswith("/Waiting"):
            area = name.partition("/")[0]
            out[f"waiting/{area}"] = mean_of(record, handle, start_ns, end_ns)
    return out
