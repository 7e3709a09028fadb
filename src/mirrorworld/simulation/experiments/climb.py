"""Uphill along exact derivatives, from many starts: projected steps, and whole numbers in turn.

Real factors follow the gradient, held within their ranges; whole ones are rounded. Where a step
would change nothing any more, single factors are tried, the most promising first; where none of
those is better the climb is over. Words stay as a start has them. All climbs go in step, so that
each round is one batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.asking import Asking, Cancelled
from mirrorworld.simulation.experiments.generators import latin_hypercube
from mirrorworld.simulation.experiments.objective import Objective, derivative
from mirrorworld.simulation.experiments.results import Results
from mirrorworld.simulation.experiments.runner import RUNNING, Running
from mirrorworld.simulation.experiments.space import (
    Categorical,
    Columns,
    Continuous,
    Space,
    SpaceError,
    design,
    size,
)

_FIRST_STEP: Final = 0.25
_LEAST_STEP: Final = 1e-4
_GAIN: Final = 1e-6
"""What is better by less, of the value, is no better."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a climb came to."""

    design: dict[str, float | int | str]
    value: float
    starts: tuple[tuple[dict[str, float | int | str], float, bool], ...]
    """Of each start: where it got to, the value there, and whether it had ended by itself."""
    trace: tuple[tuple[int, float], ...]
    """(designs evaluated, best value so far)."""
    results: Results
    is_complete: bool


def climb(
    objective: Objective | str | Callable[..., Any],
    space: Space,
    figure: str,
    *,
    is_higher_better: bool = True,
    starts: int = 8,
    evaluations: int = 1_000,
    replications: int = 1,
    seed: int = 0,
    folder: Path | None = None,
    running: Running = RUNNING,
) -> Found:
    """The best design that climbs from some starts find.

    Args:
        objective: also gives `derivative(figure, factor)` for every factor that is no word.
        evaluations: no round begins that would evaluate more.

    Raises:
        ValueError: a derivative is missing, or no start has a value.
    """
    what = {
        "kind": "climb", "figure": figure, "is_higher_better": is_higher_better,
        "starts": starts, "evaluations": evaluations, "replications": replications,
    }  # fmt: skip
    sign = 1.0 if is_higher_better else -1.0
    with Asking(
        objective, space, what, seed=seed, expected=evaluations, folder=folder, running=running
    ) as asking:
        known: dict[tuple[Any, ...], _Known] = {}
        trace: list[tuple[int, float]] = []
        table = latin_hypercube(space, starts, seed=seed)
        columns = table.columns(np.arange(starts))
        climbs: list[_Climb] = []
        is_complete = True
        try:
            _learn(asking, known, columns, figure, sign, replications)
            for row in range(starts):
                one = {name: column[row : row + 1] for name, column in columns.items()}
                climbs.append(_Climb(space, one, known[_key(one, 0)]))
            _note(trace, asking.asked, climbs, sign)
            while True:
                asked = [(c, one) for c in climbs if (one := c.proposes()) is not None]
                fresh = {_key(one, 0): one for _, one in asked if _key(one, 0) not in known}
                if not asked or asking.asked + len(fresh) > evaluations:
                    break
                if fresh:
                    ones = list(fresh.values())
                    joined = {n: np.concatenate([one[n] for one in ones]) for n in space.names}
                    _learn(asking, known, joined, figure, sign, replications)
                for c, one in asked:
                    c.hears(one, known[_key(one, 0)])
                _note(trace, asking.asked, climbs, sign)
        except Cancelled:
            is_complete = False
        results = asking.all(is_complete=is_complete)
    if not climbs:
        climbs = [_Climb(space, table.columns(np.arange(1)), _Known(-np.inf, np.zeros(0)))]
    best = max(climbs, key=lambda c: c.known.value)
    if is_complete and not np.isfinite(best.known.value):
        raise ValueError(f"{figure}: none of {starts} starts has a value; look at the rows' detail")
    return Found(
        design(best.here, 0),
        float(sign * best.known.value),
        tuple((design(c.here, 0), float(sign * c.known.value), c.is_over) for c in climbs),
        tuple(trace),
        results,
        is_complete,
    )


@dataclass(frozen=True, slots=True)
class _Known:
    value: float
    """To be greater; -inf: none."""
    slope: NDArray[np.float64]
    """[factors] by the share of the range; 0 for words."""


@dataclass(slots=True)
class _Climb:
    space: Space
    here: Columns
    known: _Known
    step: float = _FIRST_STEP
    queue: list[Columns] = field(default_factory=list[Columns])
    is_single: bool = False
    is_over: bool = False

    def proposes(self) -> Columns | None:
        """Where it would go next."""
        if not np.isfinite(self.known.value):
            self.is_over = True
        if self.is_over:
            return None
        while not self.is_single:
            there = self._along()
            if there is not None:
                return there
            self.step /= 2
            if self.step < _LEAST_STEP:
                self.is_single, self.queue = True, self._singles()
        if self.queue:
            return self.queue.pop(0)
        self.is_over = True
        return None

    def hears(self, there: Columns, known: _Known) -> None:
        """What is there."""
        if known.value > self.known.value + _GAIN * max(1.0, abs(self.known.value)):
            self.here, self.known = there, known
            self.step = min(2 * self.step, _FIRST_STEP) if not self.is_single else _FIRST_STEP
            self.is_single, self.queue = False, []
        elif not self.is_single:
            self.step /= 2

    def _along(self) -> Columns | None:
        share = self.space.shares(self.here)[0]
        slope = self.known.slope.copy()
        slope[((share <= 0) & (slope < 0)) | ((share >= 1) & (slope > 0))] = 0
        is_whole = np.array([factor.size is not None for factor in self.space.factors])
        for part in (slope, np.where(is_whole, 0.0, slope)):
            steepest = np.abs(part).max(initial=0.0)
            if steepest == 0:
                continue
            there = self._allowed(share + self.step * part / steepest)
            # Where no whole factor moves, its slope must not make the others' steps short.
            if there is not None and (part is not slope or self._moves_whole(there)):
                return there
        return None

    def _moves_whole(self, there: Columns) -> bool:
        return any(
            there[factor.name][0] != self.here[factor.name][0]
            for factor in self.space.factors
            if factor.size is not None
        )

    def _singles(self) -> list[Columns]:
        """One factor a step further, the most promising first; whole ones either way."""
        share = self.space.shares(self.here)[0]
        moves: list[tuple[float, Columns]] = []
        for i, factor in enumerate(self.space.factors):
            if isinstance(factor, Categorical):
                continue
            least = 1 / (factor.size - 1) if factor.size else 10 * _LEAST_STEP
            for way in (-1, 1):
                there = share.copy()
                there[i] += way * least
                gain = way * least * float(self.known.slope[i])
                is_whole = factor.size is not None
                one = self._allowed(there) if gain > 0 or is_whole else None
                if one is not None:
                    moves.append((-gain, one))
        return [one for _, one in sorted(moves, key=lambda move: move[0])]

    def _allowed(self, share: NDArray[np.float64]) -> Columns | None:
        there: Columns = {}
        for i, factor in enumerate(self.space.factors):
            if isinstance(factor, Categorical):
                there[factor.name] = self.here[factor.name]
                continue
            at = float(np.clip(share[i], 0, 1))
            if factor.size is None:
                assert isinstance(factor, Continuous)
                there[factor.name] = np.array([factor.low + at * (factor.high - factor.low)])
            else:
                there[factor.name] = factor.at(np.array([round(at * (factor.size - 1))]))
        is_same = all((there[name] == self.here[name]).all() for name in there)
        return None if is_same or not self.space.allows(there)[0] else there


def _learn(
    asking: Asking,
    known: dict[tuple[Any, ...], _Known],
    columns: Columns,
    figure: str,
    sign: float,
    replications: int,
) -> None:
    rows = asking.ask(columns, replications=replications)
    if not (rows.column("status") == "ok").any():
        if not known:
            detail = rows.table["detail"][0].as_py()
            raise ValueError(f"{figure}: no start has a value; the first one: {detail}")
        values = np.full(size(columns), np.nan)
        slopes = np.zeros((size(columns), len(asking.space.factors)))
    else:
        values = rows.column(figure)
        slopes = np.zeros((len(values), len(asking.space.factors)))
        for i, factor in enumerate(asking.space.factors):
            if isinstance(factor, Categorical):
                continue
            name = derivative(figure, factor.name)
            if name not in rows.table.column_names:
                raise SpaceError(
                    f"the objective gives no {name}; give it, or search without derivatives"
                )
            slopes[:, i] = np.nan_to_num(rows.column(name)) * (factor.high - factor.low)
    for row in range(len(values)):
        value = sign * values[row] if np.isfinite(values[row]) else -np.inf
        known[_key(columns, row)] = _Known(value, sign * slopes[row])


def _key(columns: Columns, row: int) -> tuple[Any, ...]:
    return tuple(column[row].item() for column in columns.values())


def _note(trace: list[tuple[int, float]], asked: int, climbs: list[_Climb], sign: float) -> None:
    trace.append((asked, float(sign * max(c.known.value for c in climbs))))
