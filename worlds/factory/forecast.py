"""What the twin foretells of a works: figures with intervals, written down before there is one.

Each run of the model takes the allowances of another pilot plant, so that an interval holds both
what chance does within a works and how works differ. It knows the world's twins, the allowances
and the model; no plant.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scipy import stats

from mirrorworld.simulation.flow.model import FlowModel, Station
from mirrorworld.simulation.flow.results import Doing, Result

from .allowances import Allowances
from .areas import OPEN_S, WEEK_S
from .engine import run_model
from .measured import Figures
from .model import ORDER, busy_shares, flow_model

if TYPE_CHECKING:
    from mirrorworld.world.structure import Structure

CONFIDENCE: Final = 0.95
SEED: Final = 20_260


@dataclass(frozen=True, slots=True)
class Foretold:
    """One figure."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """All figures, and what they were made from."""

    design_sha256: str
    weeks: float
    warm_up_weeks: float
    runs: int
    figures: dict[str, Foretold]

    def to_json(self) -> str:
        """As canonical JSON."""
        told: dict[str, Any] = {
            "design_sha256": self.design_sha256,
            "weeks": self.weeks,
            "warm_up_weeks": self.warm_up_weeks,
            "runs": self.runs,
            "confidence": CONFIDENCE,
            "figures": {
                name: [round(v, 6) for v in (f.mean, f.low, f.high)]
                for name, f in sorted(self.figures.items())
            },
        }
        return json.dumps(told, indent=1, sort_keys=True) + "\n"

    @property
    def sha256(self) -> str:
        """Of its text."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def figures_of(
    model: FlowModel, result: Result, weeks: float, busy: Mapping[str, float], row: int = 0
) -> Figures:
    """Figures of one replication, named as `measured.figures` and `measured.waiting` name them.

    Args:
        busy: as `model.busy_shares` gives it.
    """
    at = {name: i for i, name in enumerate(result.nodes)}
    out: Figures = {"output": float(result.made[row].sum()) / weeks}
    for i, family in enumerate(model.types):
        if family == ORDER:
            continue
        out[f"output/{family}"] = float(result.made[row, i]) / weeks
    out["lead time"] = float(result.lead_time_s[row]) / 3600.0
    out["in works"] = float(result.wip[row])
    for node in model.nodes:
        if isinstance(node, Station):
            share = float(result.shares[row, at[node.name], Doing.BUSY])
            closed = WEEK_S / OPEN_S if node.calendar else 1.0
            out[f"utilisation/{node.name}"] = share * closed * busy[node.name]
            out[f"waiting/{node.name}"] = float(result.content[row, at[f"before {node.name}"]])
    out["energy"] = float(result.energy_j[row]) / 3.6e9 / weeks
    return out


def foretell(
    structure: Structure,
    pilots: Sequence[Allowances],
    design_sha256: str,
    *,
    weeks: float,
    warm_up_weeks: float = 1.0,
    runs: int = 0,
    seed: int = SEED,
) -> Forecast:
    """Runs the model of a world's works, once for each pilot (or `runs` times, in turn).

    Raises:
        NotPlannedError, FlowError: the world does not make a model.
        RuntimeError: the model did not get to its end.
    """
    found: list[Figures] = []
    n = runs or len(pilots)
    for i in range(n):
        allowances = pilots[i % len(pilots)]
        model = flow_model(structure, allowances, luck=(i + 0.5) / n)
        result = run_model(
            model,
            seed=seed + i,
            horizon_s=(warm_up_weeks + weeks) * WEEK_S,
            warm_up_s=warm_up_weeks * WEEK_S,
        )
        if not result.is_complete:
            raise RuntimeError(f"{model.name}: {result.ending[0].value}: {result.detail[0]}")
        found.append(figures_of(model, result, weeks, busy_shares(structure, allowances)))
    return Forecast(
        design_sha256,
        weeks,
        warm_up_weeks,
        len(found),
        {name: _foretold([one[name] for one in found]) for name in found[0]},
    )


def _foretold(values: Sequence[float]) -> Foretold:
    """Mean, and the interval in which one more plant lies (prediction, not confidence of the
    mean): t · s · √(1 + 1/n)."""
    n, mean = len(values), statistics.fmean(values)
    if n < 2:
        return Foretold(mean, -math.inf, math.inf)
    t = float(stats.t.ppf(0.5 + CONFIDENCE / 2.0, n - 1))
    half = t * statistics.stdev(values) * math.sqrt(1.0 + 1.0 / n)
    return Foretold(mean, mean - half, mean + half)
