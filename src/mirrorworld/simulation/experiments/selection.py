"""Which of a few designs is best, with how much confidence, by as few replications as it takes.

`eliminate`: the fully sequential procedure KN of Kim and Nelson (ACM TOMACS 11, 2001). Where the
best is better than the others by at least `least_difference`, it is selected with at least the
confidence asked for, for figures that are normal; common random numbers are allowed for and make
it quick. `allocate`: optimal computing budget allocation (Chen et al.: Discrete Event Dynamic
Systems 10, 2000): spends a fixed budget where it tells most, and says the probability of correct
selection by Bonferroni's inequality, an estimate and no guarantee.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erf, sqrt
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.asking import Asking, Cancelled
from mirrorworld.simulation.experiments.designs import Designs
from mirrorworld.simulation.experiments.objective import Objective
from mirrorworld.simulation.experiments.results import Results
from mirrorworld.simulation.experiments.runner import RUNNING, Running
from mirrorworld.simulation.experiments.space import design
from mirrorworld.simulation.flow.streams import stream_key

FIRST: Final = 10
"""Replications of every design to begin with."""


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """Which one it is."""

    number: int
    """Of the best design; -1: it was cancelled, or none has a value."""
    design: dict[str, float | int | str]
    probability: float
    """Of correct selection: at least (`eliminate`), or about (`allocate`)."""
    is_guaranteed: bool
    means: NDArray[np.float64]
    """[designs]; NaN: it has no value."""
    replications: NDArray[np.int64]
    """[designs] that each was given."""
    results: Results
    is_complete: bool
    why: str = ""
    """Where the budget was over before the confidence was reached."""


def eliminate(
    objective: Objective | str | Callable[..., Any],
    designs: Designs,
    figure: str,
    *,
    least_difference: float,
    is_higher_better: bool = True,
    confidence: float = 0.95,
    replications_max: int = 10_000,
    at_once: int = 10,
    seed: int = 0,
    folder: Path | None = None,
    running: Running = RUNNING,
) -> Selected:
    """The best design, with a stated probability of being it.

    Args:
        least_difference: what is no difference worth detecting, in the figure's unit.
        replications_max: of one design; over it, the best so far is given without guarantee.
        at_once: replications between two looks.
    """
    if not least_difference > 0:
        raise ValueError("the least difference worth detecting is above 0")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence} is not between 0 and 1")
    what = {
        "kind": "eliminate", "figure": figure, "is_higher_better": is_higher_better,
        "least_difference": least_difference, "confidence": confidence, "count": designs.count,
        "replications_max": replications_max, "at_once": at_once,
    }  # fmt: skip
    n = designs.count
    with _Samples(objective, designs, figure, what, seed, folder, running) as samples:
        try:
            samples.more(np.arange(n), FIRST)
            alive = samples.alive()
            k = len(alive)
            sign = 1.0 if is_higher_better else -1.0
            y = {i: sign * samples.of(i) for i in alive}
            spread = {
                (i, j): float(np.var(y[i] - y[j], ddof=1)) for i in alive for j in alive if i != j
            }
            eta = 0.5 * ((2 * (1 - confidence) / max(k - 1, 1)) ** (-2 / (FIRST - 1)) - 1)
            h2 = 2 * eta * (FIRST - 1)
            r = FIRST
            while True:
                sums = {i: sign * samples.of(i).sum() for i in alive}
                alive = [
                    i
                    for i in alive
                    if not any(
                        sums[i] < sums[j] - _slack(h2, spread[i, j], least_difference, r)
                        for j in alive
                        if i != j
                    )
                ]
                if len(alive) <= 1 or r >= replications_max:
                    break
                now = min(at_once, replications_max - r)
                samples.more(np.array(alive), now)
                alive = [i for i in alive if i in set(samples.alive())]
                r += now
        except Cancelled:
            return samples.cancelled()
        best = _best(samples, is_higher_better)
        is_sure = len(alive) == 1
        if is_sure:
            best = alive[0]
        why = "" if is_sure else f"{len(alive)} designs are left after {r:,} replications"
        return samples.selected(best, confidence if is_sure else float("nan"), is_sure, why)


def allocate(
    objective: Objective | str | Callable[..., Any],
    designs: Designs,
    figure: str,
    *,
    budget: int,
    is_higher_better: bool = True,
    stop_at: float = 1.0,
    seed: int = 0,
    folder: Path | None = None,
    running: Running = RUNNING,
) -> Selected:
    """The best design by a budget of replications over all designs.

    Args:
        stop_at: a probability of correct selection that is enough.
    """
    n = designs.count
    if budget < n * FIRST:
        raise ValueError(f"{n} designs take at least {n * FIRST} replications; {budget} are given")
    what = {
        "kind": "allocate", "figure": figure, "is_higher_better": is_higher_better,
        "budget": budget, "stop_at": stop_at, "count": n,
    }  # fmt: skip
    with _Samples(objective, designs, figure, what, seed, folder, running) as samples:
        try:
            samples.more(np.arange(n), FIRST)
            spent = n * FIRST
            while True:
                alive = samples.alive()
                mean, deviation, count = samples.moments(alive)
                order = mean if is_higher_better else -mean
                b = int(np.argmax(order))
                probability = _correct(order, deviation, count, b)
                if spent >= budget or probability >= stop_at or len(alive) < 2:
                    break
                more = min(budget - spent, max(len(alive), 10))
                wanted = _shares(order, deviation, b) * (count.sum() + more)
                given = np.maximum(wanted - count, 0)
                if given.sum() == 0:
                    given[b] = 1
                extra = np.floor(given / given.sum() * more).astype(int)
                extra[np.argsort(-given)[: more - int(extra.sum())]] += 1
                for amount in np.unique(extra[extra > 0]).tolist():
                    samples.more(np.array(alive)[extra == amount], amount)
                spent += more
        except Cancelled:
            return samples.cancelled()
        return samples.selected(alive[b], probability, False, "")


class _Samples:
    """Replications of the designs so far."""

    def __init__(
        self,
        objective: Objective | str | Callable[..., Any],
        designs: Designs,
        figure: str,
        what: dict[str, Any],
        seed: int,
        folder: Path | None,
        running: Running,
    ) -> None:
        self._columns = designs.columns(np.arange(designs.count))
        self._figure, self._seed, self._round = figure, seed, 0
        self._values: list[list[NDArray[np.float64]]] = [[] for _ in range(designs.count)]
        self._asking = Asking(
            objective, designs.space, what, seed=seed, expected=0, folder=folder, running=running
        )

    def __enter__(self) -> _Samples:
        self._asking.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._asking.__exit__(*error)

    def more(self, which: NDArray[np.int64], replications: int) -> None:
        """So many more of each: other chance than before, the same for all of them."""
        seed = stream_key(self._seed, self._round, "selection", 0) >> 1
        self._round += 1
        columns = {name: column[which] for name, column in self._columns.items()}
        rows = self._asking.ask(columns, replications=replications, seed=seed)
        is_ok = rows.column("status") == "ok" if rows.figures else np.zeros(len(which), bool)
        name = self._figure if replications == 1 else f"{self._figure}_each"
        if is_ok.any() and name not in rows.table.column_names:
            rows.column(self._figure)  # a KeyError that lists what there is
            raise ValueError(f"{self._figure} is no figure with a value for every replication")
        for row, i in enumerate(which.tolist()):
            found = rows.table[name][row].as_py() if is_ok[row] else np.nan
            self._values[i].append(np.atleast_1d(np.asarray(found, np.float64)))

    def of(self, i: int) -> NDArray[np.float64]:
        return np.concatenate(self._values[i])

    def alive(self) -> list[int]:
        """Designs all of whose replications have values."""
        alive = [i for i, v in enumerate(self._values) if np.isfinite(np.concatenate(v)).all()]
        if not alive:
            raise ValueError(f"{self._figure}: no design has a value; look at the rows' detail")
        return alive

    def moments(self, which: list[int]) -> tuple[NDArray, NDArray, NDArray]:
        values = [self.of(i) for i in which]
        return (
            np.array([v.mean() for v in values]),
            np.array([max(v.std(ddof=1), 1e-12) for v in values]),
            np.array([len(v) for v in values]),
        )

    def selected(self, best: int, probability: float, is_sure: bool, why: str) -> Selected:
        return self._made(best, probability, is_sure, why, is_complete=True)

    def cancelled(self) -> Selected:
        return self._made(-1, float("nan"), False, "cancelled", is_complete=False)

    def _made(
        self, best: int, probability: float, is_sure: bool, why: str, *, is_complete: bool
    ) -> Selected:
        means = [np.concatenate(v).mean() if v else np.nan for v in self._values]
        counts = [sum(map(len, v)) for v in self._values]
        return Selected(
            best,
            design(self._columns, best) if best >= 0 else {},
            probability,
            is_sure,
            np.array(means),
            np.array(counts, np.int64),
            self._asking.all(is_complete=is_complete),
            is_complete,
            why,
        )


def _slack(h2: float, spread: float, difference: float, r: int) -> float:
    """How much a sum of r replications may be behind another and still stay (KN with c = 1)."""
    return max(0.0, h2 * spread / (2 * difference) - difference * r / 2)


def _best(samples: _Samples, is_higher_better: bool) -> int:
    alive = samples.alive()
    mean, _, _ = samples.moments(alive)
    return alive[int(np.argmax(mean if is_higher_better else -mean))]


def _correct(mean: NDArray, deviation: NDArray, count: NDArray, b: int) -> float:
    """At least about this probable (Bonferroni): the one with the best mean is the best."""
    of_mean = deviation**2 / count
    wrong = 0.0
    for i in range(len(mean)):
        if i != b:
            z = (mean[b] - mean[i]) / sqrt(of_mean[b] + of_mean[i])
            wrong += 0.5 * (1 - erf(z / sqrt(2)))
    return max(0.0, 1 - wrong)


def _shares(mean: NDArray, deviation: NDArray, b: int) -> NDArray:
    """Of the budget, by OCBA."""
    behind = np.maximum(mean[b] - mean, 1e-9 * max(1.0, abs(float(mean[b]))))
    weight = (deviation / behind) ** 2
    weight[b] = 0
    weight[b] = deviation[b] * np.sqrt(((weight / deviation) ** 2).sum())
    return weight / weight.sum()
