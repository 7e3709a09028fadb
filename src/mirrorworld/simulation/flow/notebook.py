"""A world's line in a notebook: look at it, run it, ask what if. The figures of `mirrorworld flow`.

Knows a world as it stands; who opened it is not its business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mirrorworld.simulation.flow.evaluator import critical, kpis, passages, replicate
from mirrorworld.simulation.flow.from_world import Drawn, from_world
from mirrorworld.simulation.flow.model import FlowModel
from mirrorworld.simulation.flow.results import Result
from mirrorworld.simulation.flow.sheet import Flow, of_assignments
from mirrorworld.simulation.flow.statistics import Comparison, Interval, compare, interval
from mirrorworld.simulation.plots.sankey import Stream, sankey
from mirrorworld.world.world import World

WARM_UP_H = 0.5


class Line:
    """The line that a world makes. `whatif` gives changed ones; nothing changes the world.

    Raises:
        ValueError: the world makes no line; the message says where, and the mend.
    """

    def __init__(self, world: World, fitted: Flow | None = None, change: str = "") -> None:
        self._world, self._fitted = world, fitted
        self.change = change
        """What is other than in the world; "": nothing."""
        over = of_assignments(change, world.structure) if change else None
        self.drawn: Drawn = from_world(world, over, fitted)

    @property
    def model(self) -> FlowModel:
        """For any engine of `simulation.flow`."""
        return self.drawn.model

    def run(self, *, hours: float = 8.0, replications: int = 30, seed: int = 1) -> Runs:
        """Replications after half an hour of warm-up. The same seed draws the same times in
        every what-if.

        Raises:
            ValueError: fewer than two replications, or a run came to no end.
        """
        if replications < 2 or hours <= 0:
            raise ValueError(f"{replications} replications of {hours:g} h; give 2 or more, above 0")
        results = [
            replicate(self.model, seed, i, hours * 3600, WARM_UP_H * 3600)
            for i in range(replications)
        ]
        return Runs(self.change or "as it is", self.model, tuple(results))

    def whatif(self, change: str) -> Line:
        """The line with `TWIN.FACTOR=VALUE`, several with commas; or with `demand_per_h=VALUE`.

        Raises:
            ValueError: it says nothing of the kind; the message names the part and the mend.
        """
        return Line(self._world, self._fitted, ",".join(c for c in (self.change, change) if c))

    def __repr__(self) -> str:
        return f"Line({' → '.join(node.name for node in self.model.nodes)})"

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr>{''.join(f'<td>{escape(x)}</td>' for x in (g.twin, g.what, g.value, g.by))}</tr>"
            for g in self.drawn.grounds
        )
        head = "<tr><th>twin</th><th>what</th><th>value</th><th>by</th></tr>"
        return f"<p>{escape(repr(self))}</p><table>{head}{cells}</table>"


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Replications of a line."""

    change: str
    model: FlowModel
    results: tuple[Result, ...]

    @property
    def figures(self) -> dict[str, Interval]:
        """By name, with Student's 95 % intervals; units are those of `evaluator.kpis`."""
        return {kpi.name: interval(kpi.values) for kpi in kpis(self.model, self.results)}

    @property
    def throughput_per_h(self) -> Interval:
        """Sound parts an hour."""
        return interval(self._made())

    @property
    def bottlenecks(self) -> dict[str, float]:
        """Shares of the way of causes by station, largest first."""
        found = {name: float(v.mean()) for name, v in critical(self.model, self.results).items()}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def compare(self, other: Runs) -> Comparison:
        """How many parts an hour more than another, pair by pair on the same chance."""
        return compare(self._made(), other._made())

    def sankey(self) -> str:
        """What goes where, as SVG; `IPython.display.SVG(data=…)` shows it."""
        return sankey(
            [
                Stream(one.source, one.target, float(one.per_h.mean()), one.kind)
                for one in passages(self.model, self.results)
            ],
            title=f"What goes where: {self.model.name}, {self.change}",
            unit="parts/h",
        )

    def _made(self) -> Sequence[float]:
        return [float(one.throughput_per_s[0]) * 3600 for one in self.results]

    def __repr__(self) -> str:
        made = self.throughput_per_h
        return (
            f"Runs({self.change}: {made.mean:.0f} ± {made.half_width:.0f} parts/h, "
            f"{len(self.results)} runs)"
        )


__all__ = ["Line", "Runs"]
