"""A fitted line against a part of its record that it was not fitted on.

Each figure gets a prediction interval: where a period of that length would end in 95 % of cases, by
chance of the line and by what few failures leave unknown. A measured figure outside it speaks
against the model. Shares are compared as the model means them: working on parts, down, waiting.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from mirrorworld.simulation.fitting.line import LineFit, look, throughput_per_s
from mirrorworld.simulation.fitting.machine import Does, Machine
from mirrorworld.simulation.fitting.samples import Samples
from mirrorworld.simulation.flow import engines
from mirrorworld.simulation.flow.from_world import Drawn
from mirrorworld.simulation.flow.model import FlowModel, Station
from mirrorworld.simulation.flow.results import Doing, Result
from mirrorworld.world.ports import Record
from mirrorworld.world.world import World

WARM_UP_S: Final = 1_800.0
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure, measured and predicted."""

    what: str
    twin: str
    unit: str
    measured: float
    predicted: float
    low: float
    high: float
    """Of the prediction interval."""

    @property
    def error(self) -> float:
        """Predicted over measured, less one; NaN where nothing was measured."""
        return self.predicted / self.measured - 1 if self.measured else float("nan")

    @property
    def is_within(self) -> bool:
        """Whether the interval holds what was measured."""
        return self.low <= self.measured <= self.high


@dataclass(frozen=True, slots=True)
class Validation:
    """How a model did on a period that it was not fitted on."""

    length_s: float
    replications: int
    rows: tuple[Compared, ...]
    """Throughput first."""
    machines: Mapping[str, Machine]
    """As they were measured in the period, by twin."""

    @property
    def verdict(self) -> str:
        """In a sentence, with its numbers."""
        first = self.rows[0]
        inside = sum(row.is_within for row in self.rows)
        word = "holds" if first.is_within else "does not hold"
        return (
            f"The model {word}: throughput {first.predicted:.0f}/h predicted, "
            f"{first.measured:.0f}/h measured ({first.error:+.1%}), 95 % interval "
            f"{first.low:.0f}–{first.high:.0f}/h; {inside} of {len(self.rows)} figures are inside "
            "theirs."
        )


def validate(
    world: World,
    record: Record,
    fitted: LineFit,
    drawn: Drawn,
    start_ns: int,
    end_ns: int,
    *,
    replications: int = 40,
    seed: int = 1,
) -> Validation:
    """Compares a model with a period of the record.

    Args:
        fitted: tells how many failures each number stands on.
        drawn: the model that was made with it.

    Raises:
        ValueError: the period overlaps what the model was fitted on, or is empty.
    """
    period = fitted.flow.period
    assert period is not None
    if start_ns < period.end_ns and end_ns > period.start_ns:
        raise ValueError("the period overlaps what was fitted on; give one after it or before it")
    machines, ways, readings = look(world, record, start_ns, end_ns, period.clock_rate)
    length_s = readings.length_s
    rng = np.random.default_rng(seed)
    runs: list[Result] = []
    for i in range(replications):
        model = _perturbed(drawn, fitted, rng)
        runs.append(
            engines.run(model, seed=seed + i, horizon_s=WARM_UP_S + length_s, warm_up_s=WARM_UP_S)
        )
    rows: list[Compared] = []

    def add(
        what: str, twin: str, unit: str, measured: float | None, of: Callable[[Result], float]
    ) -> None:
        if measured is None or not np.isfinite(measured):
            return
        values = np.array([of(run) for run in runs])
        low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        mean = float(values.mean())
        rows.append(Compared(what, twin, unit, measured, mean, float(low), float(high)))

    index = {name: i for i, name in enumerate(runs[0].nodes)}
    made = throughput_per_s(world, machines) * 3600
    add("throughput", "", "/h", made, lambda run: float(run.throughput_per_s[0]) * 3600)
    for machine in machines.values():
        at = index[machine.place.label]
        # By the fit's own cycle, or a period would be measured by itself.
        cycle_s = fitted.machines[machine.place.twin].cycle_s
        if cycle_s is not None and machine.cycles is None:
            cycle_s /= fitted.flow.pace or 1.0
        parts = machine.made + machine.rejected
        busy = parts * cycle_s / machine.known_s if cycle_s and machine.known_s else None
        add("working", machine.place.twin, "1", busy, _share(at, Doing.BUSY))
        if "state" in machine.place.points:
            add("down", machine.place.twin, "1", machine.share(Does.DOWN), _share(at, Doing.DOWN))
    for way in ways.values():
        at = index[way.place.label]
        held = None if way.content is None else way.content * way.per_unit
        add("content", way.place.twin, "1", held, lambda run, at=at: float(run.content[0, at]))
    return Validation(length_s, replications, tuple(rows), machines)


def _share(at: int, doing: Doing) -> Callable[[Result], float]:
    return lambda run: float(run.shares[0, at, doing])


def _perturbed(drawn: Drawn, fitted: LineFit, rng: np.random.Generator) -> FlowModel:
    """The line as it might be too: mean times to failure as few failures leave them open.

    With r failures in a total time, the rate's posterior under Jeffreys' prior is a gamma of
    shape r + 1/2.
    """
    seen: dict[tuple[str, str], Samples] = {
        (machine.place.label, stop.name): stop.between
        for machine in fitted.machines.values()
        for stop in machine.stops
    }
    nodes: list[object] = []
    for node in drawn.model.nodes:
        if isinstance(node, Station):
            changed = []
            for one in node.breakdowns:
                samples = seen.get((node.name, one.name))
                if samples is None or samples.events == 0:
                    changed.append(one)
                    continue
                factor = samples.events / float(rng.gamma(samples.events + 0.5))
                changed.append(dataclasses.replace(one, between=one.between.scaled(factor)))
            node = dataclasses.replace(node, breakdowns=tuple(changed))
        nodes.append(node)
    return dataclasses.replace(drawn.model, nodes=tuple(nodes))
