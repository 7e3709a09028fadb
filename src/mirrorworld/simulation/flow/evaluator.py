"""The figures of a world's line, for branches: the evaluator `flow`.

Replication i of a seed draws the same for every branch, so that branches are compared pair by
pair with common random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow import engines
from mirrorworld.simulation.flow.from_world import from_world
from mirrorworld.simulation.flow.model import Conveyor, Drain, FlowModel, Station
from mirrorworld.simulation.flow.plan import plan
from mirrorworld.simulation.flow.results import Doing, Ending, Result
from mirrorworld.simulation.ports import Better, Kpi, Progress
from mirrorworld.world.world import World

THROUGHPUT: Final = "throughput"
CRITICAL: Final = "critical share"
_SHARES: Final[tuple[tuple[str, Doing, Better], ...]] = (
    ("utilisation", Doing.BUSY, "higher"),
    ("starved", Doing.STARVED, "lower"),
    ("blocked", Doing.BLOCKED, "lower"),
    ("down", Doing.DOWN, "lower"),
)


class Flow:
    """What the line makes: simulated from the world's twins, their feeds and what was fitted."""

    def __init__(
        self, horizon_h: Annotated[float, "h"] = 4.0, warm_up_h: Annotated[float, "h"] = 0.5
    ) -> None:
        if not (0 <= warm_up_h < 1e4 and 0 < horizon_h < 1e4):
            raise ValueError(f"flow: horizon_h {horizon_h}, warm_up_h {warm_up_h}; give hours")
        self._horizon_s, self._warm_up_s = horizon_h * 3600, warm_up_h * 3600

    def evaluate(
        self, world: World, *, replications: int, seed: int, progress: Progress
    ) -> Sequence[Kpi]:
        """See `ports.Evaluator`."""
        model = from_world(world).model
        runs: list[Result] = []
        for i in range(replications):
            runs.append(replicate(model, seed, i, self._horizon_s, self._warm_up_s))
            progress((i + 1) / replications, kpis(model, runs) if (i + 1) % 10 == 0 else ())
        return kpis(model, runs)


def replicate(
    model: FlowModel, seed: int, replication: int, horizon_s: float, warm_up_s: float
) -> Result:
    """One replication, with its critical path; `horizon_s` is after the warm-up.

    Raises:
        ValueError: it came to no end; the message says what happened.
    """
    run = engines.run(
        model,
        seed=seed + 7_919 * replication,
        horizon_s=warm_up_s + horizon_s,
        warm_up_s=warm_up_s,
        critical=True,
    )
    if run.ending[0] in (Ending.DEADLOCK, Ending.EVENTS, Ending.NOT_A_NUMBER):
        raise ValueError(f"{model.name}: {run.ending[0].value}: {run.detail[0]}")
    return run


def kpis(model: FlowModel, runs: Sequence[Result]) -> list[Kpi]:
    """What is told of some replications of one line."""
    found: list[Kpi] = []

    def add(name: str, unit: str, better: Better, values: Sequence[float]) -> None:
        found.append(Kpi(name, unit, better, np.array(values, np.float64)))

    made = [float(run.made.sum()) for run in runs]

    def each(name: str) -> list[float]:
        column = [float(getattr(run, name)[0]) for run in runs]
        return [v / n if n else float("nan") for v, n in zip(column, made, strict=True)]

    add(THROUGHPUT, "/h", "higher", [float(r.throughput_per_s[0]) * 3600 for r in runs])
    add("work in process", "1", "lower", [float(run.wip[0]) for run in runs])
    add("lead time", "s", "lower", [float(run.lead_time_s[0]) for run in runs])
    add("lead time, 95 %", "s", "lower", [float(run.lead_time_p95_s[0]) for run in runs])
    add("scrapped", "1", "lower", [float(run.scrapped[0]) for run in runs])
    if any(_has_power(node) for node in model.nodes):
        add("energy per part", "W.h", "lower", [v / 3600 for v in each("energy_j")])
    if model.carbon_kg_per_kwh:
        add("carbon per part", "g", "lower", [v * 1000 for v in each("carbon_kg")])
    if any(run.cost[0] for run in runs):
        add("cost per part", "1", "lower", each("cost"))
    for i, node in enumerate(model.nodes):
        if not isinstance(node, Station):
            continue
        for word, doing, better in _SHARES:
            shares = [float(run.shares[0, i, doing]) for run in runs]
            add(f"{word}, {node.name}", "1", better, shares)
    for name, values in critical(model, runs).items():
        add(f"{CRITICAL}, {name}", "1", "lower", values.tolist())
    for one in passages(model, runs):
        ways = f"{one.source} → {one.target}" if one.target else one.source
        better: Better = "higher" if one.kind == "flow" else "lower"
        add(f"{one.kind}, {ways}", "/h", better, one.per_h.tolist())
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """Parts that went one way: over a link, or as scrap out of the line where no link leads on."""

    source: str
    target: str
    """"": thrown away at `source`."""
    kind: str
    """flow, scrap or rework."""
    per_h: NDArray[np.float64]
    """[runs]"""


def passages(model: FlowModel, runs: Sequence[Result]) -> list[Passage]:
    """What went over each link, in the model's order, then what was thrown away at stations."""
    scrap = {node.name for node in model.nodes if isinstance(node, Drain) and node.is_scrap}
    hours = np.array([(run.horizon_s - run.warm_up_s) / 3600 for run in runs])
    found: list[Passage] = []
    for i, link in enumerate(model.links):
        kind = "scrap" if link.is_scrap or link.target in scrap else "flow"
        kind = "rework" if link.is_rework else kind
        moved = np.array([run.moved[0, i] for run in runs], np.float64)
        found.append(Passage(link.source, link.target, kind, moved / hours))
    for i, node in enumerate(model.nodes):
        thrown = np.array([run.scrapped_at[0, i] for run in runs], np.float64)
        if isinstance(node, Station) and node.scrap > 0 and thrown.any():
            found.append(Passage(node.name, "", "scrap", thrown / hours))
    return found


def critical(model: FlowModel, runs: Sequence[Result]) -> dict[str, NDArray[np.float64]]:
    """By station: share of the way of causes to the last part that was its own time, with its
    repairs. The largest is the bottleneck: times there shorter by 1 % make as many parts in a
    time shorter by that share of 1 %."""
    names = [node.name for node in model.stations]
    owners = [_owner(element, names) for element in plan(model).elements]
    found = {name: np.zeros(len(runs)) for name in names}
    for k, run in enumerate(runs):
        seconds = run.extra["critical_s"][0]
        total = float(seconds.sum())
        for i in np.flatnonzero(seconds).tolist():
            if owners[i]:
                found[owners[i]][k] += float(seconds[i]) / total
    return found


def _owner(element: str, stations: Sequence[str]) -> str:
    """The station whose time an element (`oven.process`, `oven/jam.repair`) is; "": none."""
    owners = [n for n in stations if element == n or element.startswith((f"{n}.", f"{n}/"))]
    return max(owners, key=len, default="")


def _has_power(node: object) -> bool:
    if isinstance(node, Conveyor):
        return node.power_w > 0
    return isinstance(node, Station) and node.energy.busy_w > 0


__all__ = ["CRITICAL", "THROUGHPUT", "Flow", "Passage", "critical", "kpis", "passages", "replicate"]
