"""Several figures at once, without derivatives: NSGA-II or TPE of optuna, asked for batches.

What is wanted is a front: designs that none beats in everything. Limits on figures are
constraints of the search; constraints of the space are met by every design that is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.asking import Asking, Cancelled
from mirrorworld.simulation.experiments.front import hypervolume, pareto_front
from mirrorworld.simulation.experiments.objective import Objective
from mirrorworld.simulation.experiments.results import Results
from mirrorworld.simulation.experiments.runner import RUNNING, Running
from mirrorworld.simulation.experiments.space import (
    Categorical,
    Columns,
    Continuous,
    Factor,
    Space,
    SpaceError,
)

Method = Literal["nsga2", "tpe"]
Aims = Mapping[str, Literal["max", "min"]]
Limits = Mapping[str, tuple[float | None, float | None]]

_DRAWS_MAX: Final = 200
"""So many designs are drawn for one that the space allows."""


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """What a search came to."""

    aims: Aims
    results: Results
    rows: NDArray[np.int64]
    """Of the results, that are in the front."""
    hypervolume: float
    reference: NDArray[np.float64]
    """[figures] worst values that were found; the volume is counted from there."""
    trace: tuple[tuple[int, float], ...]
    """(designs evaluated, hypervolume so far)."""
    is_complete: bool


def evolve(
    objective: Objective | str | Callable[..., Any],
    space: Space,
    aims: Aims,
    *,
    limits: Limits | None = None,
    method: Method = "nsga2",
    evaluations: int = 400,
    batch: int = 20,
    replications: int = 1,
    seed: int = 0,
    folder: Path | None = None,
    running: Running = RUNNING,
) -> Front:
    """A front of designs.

    Args:
        aims: figure -> whether it is to be great or small.
        limits: figure -> (least, most) that it may be; None: any.
        batch: designs a round; the population of NSGA-II.

    Raises:
        RuntimeError: optuna is not installed.
        SpaceError: hardly any design is allowed.
        KeyError: the objective gives no such figure.
    """
    limits = dict(limits or {})
    if not aims:
        raise ValueError("say what is to be great or small")
    study = _study(aims, method, batch, seed)
    what = {
        "kind": "evolve", "aims": dict(aims), "limits": {k: list(v) for k, v in limits.items()},
        "method": method, "evaluations": evaluations, "batch": batch,
        "replications": replications,
    }  # fmt: skip
    with Asking(
        objective, space, what, seed=seed, expected=evaluations, folder=folder, running=running
    ) as asking:
        is_complete = True
        sizes: list[int] = []
        try:
            while asking.asked < evaluations:
                n = min(batch, evaluations - asking.asked)
                trials, columns = _draw(study, space, n)
                rows = asking.ask(columns, replications=replications)
                _tell(study, trials, rows, aims, limits)
                sizes.append(asking.asked)
        except Cancelled:
            is_complete = False
        results = asking.all(is_complete=is_complete)
    return _front(results, aims, limits, sizes, is_complete)


def _study(aims: Aims, method: Method, batch: int, seed: int) -> Any:
    try:
        import optuna
    except ImportError:
        raise RuntimeError(
            "optuna is not installed: pip install 'mirrorworld[experiments]'"
        ) from None
    if method not in ("nsga2", "tpe"):
        raise ValueError(f"there is no method '{method}'; say nsga2 or tpe")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = (
        optuna.samplers.NSGAIISampler(population_size=batch, seed=seed)
        if method == "nsga2"
        else optuna.samplers.TPESampler(seed=seed)
    )
    directions: Any = ["maximize" if aim == "max" else "minimize" for aim in aims.values()]
    return optuna.create_study(directions=directions, sampler=sampler)


def _draw(study: Any, space: Space, n: int) -> tuple[list[Any], Columns]:
    from optuna.trial import TrialState

    trials: list[Any] = []
    lists: dict[str, list[Any]] = {name: [] for name in space.names}
    refused = 0
    while len(trials) < n:
        trial = study.ask()
        one = {factor.name: _suggested(trial, factor) for factor in space.factors}
        columns = {name: np.array([value]) for name, value in one.items()}
        if not space.allows(columns)[0]:
            study.tell(trial, state=TrialState.FAIL)
            refused += 1
            if refused > _DRAWS_MAX * n:
                raise SpaceError(
                    f"only {len(trials)} of {refused + len(trials):,} designs drawn are allowed;"
                    " narrow the ranges to where the constraints hold"
                )
            continue
        trials.append(trial)
        for name, value in one.items():
            lists[name].append(value)
    return trials, {name: np.array(values) for name, values in lists.items()}


def _suggested(trial: Any, factor: Factor) -> Any:
    if isinstance(factor, Categorical):
        return trial.suggest_categorical(factor.name, list(factor.levels))
    if isinstance(factor, Continuous) and not factor.steps:
        return trial.suggest_float(factor.name, factor.low, factor.high)
    assert factor.size is not None
    step = trial.suggest_int(factor.name, 0, factor.size - 1)
    return factor.at(np.array([step]))[0].item()


def _tell(study: Any, trials: list[Any], rows: Results, aims: Aims, limits: Limits) -> None:
    from optuna.trial import TrialState

    if not rows.figures:
        for trial in trials:
            study.tell(trial, state=TrialState.FAIL)
        return
    values = np.column_stack([rows.column(figure) for figure in aims])
    beyond = beyond_limits(rows, limits)
    for i, trial in enumerate(trials):
        if np.isfinite(values[i]).all() and np.isfinite(beyond[i]).all():
            for limit in range(1, beyond.shape[1]):
                trial.set_constraint(f"limit {limit}", float(beyond[i, limit]))
            study.tell(trial, values[i].tolist())
        else:
            study.tell(trial, state=TrialState.FAIL)


def beyond_limits(rows: Results, limits: Limits) -> NDArray[np.float64]:
    """[designs, limits] by how much a figure is beyond its limit; 0 or less: within."""
    amounts: list[NDArray[np.float64]] = [np.zeros(len(rows.table))]
    for figure, ends in limits.items():
        value: NDArray[np.float64] = rows.column(figure)
        for end, sign in zip(ends, (-1.0, 1.0), strict=True):
            if end is not None:
                amounts.append(sign * (value - float(end)))
    return np.column_stack(amounts)


def _front(
    results: Results, aims: Aims, limits: Limits, sizes: list[int], is_complete: bool
) -> Front:
    nothing = np.empty(0, np.int64)
    if not results.figures:
        return Front(aims, results, nothing, 0.0, np.full(len(aims), np.nan), (), is_complete)
    sign = np.array([-1.0 if aim == "max" else 1.0 for aim in aims.values()])
    losses = np.column_stack([results.column(figure) for figure in aims]) * sign
    is_bad = (beyond_limits(results, limits) > 0).any(axis=1) | (results.column("status") != "ok")
    losses[is_bad] = np.nan
    known = losses[np.isfinite(losses).all(axis=1)]
    if not len(known):
        return Front(aims, results, nothing, 0.0, np.full(len(aims), np.nan), (), is_complete)
    reference = known.max(axis=0)
    trace = tuple(
        (n, hypervolume(losses[:n], reference)) for n in sorted({*sizes, len(losses)}) if n
    )
    return Front(
        aims, results, np.flatnonzero(pareto_front(losses)), trace[-1][1], sign * reference,
        trace, is_complete,
    )  # fmt: skip
