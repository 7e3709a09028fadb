"""The electronics works: how near its twin foretells it, and what a better works gains.

Validation: the forecast is hashed into the log, then a plant with a seed of its own starts, and
what the record says is compared; over several plants. Gains: a frozen baseline against the
improved works on plants of thirty further seeds. No seed here was used while tuning. Targets are
nowhere in here.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def run(
    plants: int = 3, weeks: float = 4.0, first_seed: int = 61_001, gain_seeds: int = 30
) -> dict[str, Any]:
    """Figures: `output_error_max`, `output_error_each`, `errors` (means of the absolute relative
    errors of each figure), `within_interval`, `gains` with lower bounds.

    Args:
        plants: that are validated; 0: none.
        weeks: after a week of warm-up.
        gain_seeds: plants of each design; 0: no gains are measured.

    Raises:
        ValueError: the worlds are not installed.
    """
    try:
        worlds = "mirrorworld_worlds.factory"
        gains, improve, validate = (
            importlib.import_module(f"{worlds}.{name}") for name in ("gains", "improve", "validate")
        )
    except ImportError as error:
        raise ValueError(f"the worlds are not installed: {error}") from error
    figures: dict[str, Any] = {}
    if plants:
        done = []
        for seed in range(first_seed, first_seed + plants):
            with tempfile.TemporaryDirectory(prefix="mirrorworld-bench-") as name:
                one = validate.validate("drawn", Path(name), weeks=weeks, seed=seed, say=_say)
                done.append(asyncio.run(one))
            _say(f"plant {len(done)} of {plants}: output off by {done[-1].error('output'):+.1%}")
        figures |= _validated(done, weeks)
    if gain_seeds:
        began = time.process_time()
        before, after = improve.frozen(), improve.improved()
        found = gains.measure(before, after, gains.SEEDS[:gain_seeds], say=_say)
        figures |= {
            "baseline_sha256": before.sha256,
            "improved_sha256": after.sha256,
            "gains": {
                one.name: {
                    "mean": round(one.mean, 4),
                    "lower_95": round(one.lower, 4),
                    "before": round(one.before, 5),
                    "after": round(one.after, 5),
                }
                for one in found
            },
            "gain_seeds": gain_seeds,
            "model_cpu_s": round(time.process_time() - began, 1),
        }
    return figures


def _say(line: str) -> None:
    """How far it has got: it takes minutes, and figures are one line of JSON at its end."""
    print(line, file=sys.stderr, flush=True)


def _validated(done: list[Any], weeks: float) -> dict[str, Any]:
    names = [one.name for one in done[0].compared]
    by_name = {
        name: [next(c for c in one.compared if c.name == name) for one in done] for name in names
    }
    outputs = [one.error("output") for one in done]
    within = [c.is_within for compared in by_name.values() for c in compared]
    return {
        "plants": len(done),
        "weeks": weeks,
        "forecast_sha256": done[0].sha256,
        "hashed_first": all(d.forecast_sequence < d.first_sample_sequence for d in done),
        "readings": sum(one.rows for one in done),
        "output_error_max": round(max(map(abs, outputs)), 4),
        "output_error_each": [round(error, 4) for error in outputs],
        "errors": {
            name: round(sum(abs(c.error) for c in compared) / len(compared), 4)
            for name, compared in by_name.items()
        },
        "within_interval": round(sum(within) / len(within), 3),
    }
