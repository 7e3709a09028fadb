"""Designs asked for one round after another, by whoever searches; the rounds can be played again.

A search is a function of its seed and of the answers it was given. So a search that was stopped
is started again as it was: it asks for the same designs in the same order, and is answered from
the folder as far as that goes. That they are the same is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.objective import Objective, Task
from mirrorworld.simulation.experiments.results import Results
from mirrorworld.simulation.experiments.runner import Running, evaluate, make_team, today
from mirrorworld.simulation.experiments.space import Columns, Space, size
from mirrorworld.simulation.experiments.store import Store, StoreError
from mirrorworld.simulation.experiments.team import Team


class Cancelled(Exception):
    """A search was cancelled; what is done is kept."""


class Asking:
    """The rounds of one search.

    Args:
        what: what the search is, for its manifest: `kind` and all that decides what it asks.
        expected: how many designs it will ask for at most, for progress.
    """

    def __init__(
        self,
        objective: Objective | str | Callable[..., Any],
        space: Space,
        what: Mapping[str, Any],
        *,
        seed: int,
        expected: int,
        folder: Path | None,
        running: Running,
    ) -> None:
        self.objective = objective if isinstance(objective, Objective) else Objective(objective)
        self._is_batch = bool(getattr(self.objective.load(), "is_batch", False))
        self.space, self.seed = space, seed
        manifest = {
            **what,
            "objective": self.objective.name,
            "options": dict(self.objective.options),
            "space": space.to_plain(),
            "seed": seed,
            **today(),
        }
        self._store = Store(folder, manifest)
        self._running, self._expected = running, expected
        self._team: Team | None = None
        self.asked = 0

    def ask(self, columns: Columns, *, replications: int = 1, seed: int | None = None) -> Results:
        """The rows of some designs, in their order.

        Raises:
            Cancelled: before all of them were there.
            StoreError: the folder has other designs in this place.
        """
        first, n = self.asked, size(columns)
        own = self.seed if seed is None else seed
        self._same(columns, first)

        def cut(numbers: NDArray[np.int64]) -> Task:
            rows = numbers - first
            return Task(numbers, {name: c[rows] for name, c in columns.items()}, own, replications)

        progress = self._running.progress
        heard = None
        if progress is not None:
            heard = lambda done, bad, _: progress(first + done, bad, self._expected)  # noqa: E731
        running = replace(self._running, progress=heard)
        is_there = np.isin(np.arange(first, first + n), self._store.done).all()
        if not is_there and self._team is None:
            self._team = make_team(self.objective, running, self._expected)
        done = evaluate(
            self.objective, self._store, cut, n, running,
            is_batch=self._is_batch, first=first, team=self._team,
        )  # fmt: skip
        if not done:
            raise Cancelled
        self.asked += n
        table = self._store.table().slice(first, n)
        return Results(table, self._store.manifest, is_complete=True)

    def all(self, *, is_complete: bool) -> Results:
        """All rows so far; says with `is_complete` that no more will be asked for."""
        if is_complete and not self._store.is_complete:
            self._store.complete()
        return Results(self._store.table(), self._store.manifest, is_complete)

    def __enter__(self) -> Asking:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._team is not None:
            self._team.close()
        self._store.__exit__(kind, error, trace)

    def _same(self, columns: Columns, first: int) -> None:
        table = self._store.table()
        if "status" not in table.column_names:
            return
        numbers = np.asarray(table["design"])
        at = np.flatnonzero((numbers >= first) & (numbers < first + size(columns)))
        for name, column in columns.items():
            kept = table[name].take(pa.array(at)).to_numpy()
            if not (kept == column[numbers[at] - first]).all():
                raise StoreError(
                    f"{self._store.folder}: the search does not ask as it did before"
                    " (other versions?); start it in another folder"
                )
