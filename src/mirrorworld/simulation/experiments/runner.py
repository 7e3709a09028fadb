"""Running an experiment: designs in, rows out, whoever evaluates them and whatever happens.

Tasks are cut from the designs' numbers as workers come free, so that the queue is never longer
than there are workers. A design that hangs, or whose process ends, is looked for: what was told
before is kept, the rest is given out again, and the design itself becomes a row that says so.
All chance comes from the seed; by default every design has the same (common random numbers).
"""

from __future__ import annotations

import datetime
import os
import platform
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.designs import Designs, Grid, Table
from mirrorworld.simulation.experiments.objective import Block, Objective, Status, Task, lost
from mirrorworld.simulation.experiments.results import Results
from mirrorworld.simulation.experiments.space import Space
from mirrorworld.simulation.experiments.store import (
    Store,
    StoreError,
    read_manifest,
    rows,
    write_table,
)
from mirrorworld.simulation.experiments.team import TELL_S, Here, Processes, Team
from mirrorworld.simulation.flow.streams import stream_keys

Where = Literal["processes", "here", "ray"]

BATCH_CHUNK: Final = 4_096
CHUNK_MAX: Final = 256
TIMEOUT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Running:
    """Who evaluates, and who hears of it.

    Attributes:
        where: `processes` of a pool, `here` in this thread, or `ray`: its cluster.
        workers: how many; 0: as many as there are processors, or the cluster has.
        chunk: designs in a task; 0: chosen.
        timeout_s: how long one design may take (a batch: all of a task). Not enforced `here`.
        progress: hears how many rows are durable, how many of them are not ok, and of how many.
        cancel: once set, the run stops, and what is done is kept.
    """

    where: Where = "processes"
    workers: int = 0
    chunk: int = 0
    timeout_s: float = TIMEOUT_S
    progress: Callable[[int, int, int], None] | None = None
    cancel: threading.Event | None = None


RUNNING: Final = Running()


def run(
    objective: Objective | str | Callable[..., Any],
    designs: Designs,
    *,
    folder: Path | None = None,
    seed: int = 0,
    replications: int = 1,
    has_common_numbers: bool = True,
    purpose: str = "",
    running: Running = RUNNING,
) -> Results:
    """Evaluates designs, and goes on where a run into the same folder was stopped.

    Args:
        folder: where rows become durable as they come; None: they are kept in memory only.
        seed: of all chance.
        has_common_numbers: every design gets this seed; else each one of its own.
        purpose: what the designs were made for, kept with them: `morris`, `sobol`, …

    Returns:
        The rows; all of them, unless it was cancelled.

    Raises:
        ObjectiveError: the objective cannot be loaded or sent.
        StoreError: the folder holds something else.
    """
    if not isinstance(objective, Objective):
        objective = Objective(objective)
    call = objective.load()
    if replications < 1:
        raise ValueError(f"{replications} replications; ask for one at least")
    if not 0 <= seed < 1 << 63:
        raise ValueError(f"seed {seed} is not within 0 … 2^63 - 1")
    is_batch = bool(getattr(call, "is_batch", False))
    manifest = {
        "kind": "designs",
        "purpose": purpose,
        "objective": objective.name,
        "options": dict(objective.options),
        "space": designs.space.to_plain(),
        "designs": "grid" if isinstance(designs, Grid) else "table",
        "count": designs.count,
        "seed": seed,
        "replications": replications,
        "common_random_numbers": has_common_numbers,
        **today(),
    }
    with Store(folder, manifest) as store:
        if folder is not None and not isinstance(designs, Grid):
            _keep(folder / "designs.parquet", designs)
        if not store.is_complete:
            key = seed if has_common_numbers else None

            def cut(numbers: NDArray[np.int64]) -> Task:
                own = key if key is not None else own_seeds(seed, numbers)
                return Task(numbers, designs.columns(numbers), own, replications)

            if evaluate(objective, store, cut, designs.count, running, is_batch=is_batch):
                store.complete()
        return Results(store.table(), store.manifest, store.is_complete)


def resume(
    folder: Path,
    objective: Objective | str | Callable[..., Any] | None = None,
    *,
    running: Running = RUNNING,
) -> Results:
    """Goes on with an experiment that was stopped, however it was; the rows come out the same.

    Args:
        objective: needed only where the first one could not be named by module and function.

    Raises:
        StoreError: there is no such experiment, or it is of another kind.
    """
    manifest = read_manifest(folder)
    if manifest.get("kind") != "designs":
        raise StoreError(f"{folder} is a search ({manifest.get('kind')}); start it again as it was")
    if objective is None:
        if not manifest["objective"]:
            raise StoreError(f"{folder}: its objective has no name; give it")
        objective = Objective(manifest["objective"], manifest["options"])
    return run(
        objective,
        kept_designs(folder, manifest),
        folder=folder,
        seed=manifest["seed"],
        replications=manifest["replications"],
        has_common_numbers=manifest["common_random_numbers"],
        purpose=manifest["purpose"],
        running=running,
    )


def kept_designs(folder: Path, manifest: Mapping[str, Any]) -> Designs:
    """The designs of an experiment in a folder."""
    space = Space.from_plain(manifest["space"])
    if manifest["designs"] == "grid":
        return Grid(space)
    try:
        table = pq.read_table(folder / "designs.parquet")
    except OSError as error:
        raise StoreError(f"{folder}: its designs cannot be read: {error}") from None
    columns = {name: table[name].to_numpy() for name in space.names}
    return Table(space, {name: _narrow(column) for name, column in columns.items()})


def evaluate(
    objective: Objective,
    store: Store,
    cut: Callable[[NDArray[np.int64]], Task],
    count: int,
    running: Running,
    *,
    is_batch: bool = False,
    first: int = 0,
    team: Team | None = None,
) -> bool:
    """Evaluates what the store has no rows of, designs `first` to `first + count`.

    Returns:
        Whether all rows are there; False: it was cancelled.
    """
    done = store.done
    is_open = np.ones(count, bool)
    is_open[done[(done >= first) & (done < first + count)] - first] = False
    left = np.flatnonzero(is_open) + first
    if not len(left):
        return True
    own = team is None
    team = team or make_team(objective, running, len(left))
    chunk = running.chunk or _chunk(len(left), team.size, is_batch)
    try:
        return _Round(store, team, cut, running, count, count - len(left)).play(left, chunk)
    finally:
        if own:
            team.close()


def make_team(objective: Objective, running: Running, most: int) -> Team:
    """Who evaluates.

    Args:
        most: so many tasks there will be at most.
    """
    if running.where == "here":
        return Here(objective)
    if running.where == "ray":
        from mirrorworld.simulation.experiments.on_ray import OnRay

        return OnRay(objective, running.workers, running.timeout_s)
    if running.where != "processes":
        raise ValueError(f"'{running.where}' is nowhere; say processes, here or ray")
    workers = running.workers or _processors()
    return Processes(objective, max(1, min(workers, most)), running.timeout_s)


class _Round:
    """One run of a team over some designs."""

    def __init__(
        self,
        store: Store,
        team: Team,
        cut: Callable[[NDArray[np.int64]], Task],
        running: Running,
        count: int,
        done: int,
    ) -> None:
        self._store, self._team, self._cut, self._running = store, team, cut, running
        self._count, self._done, self._bad = count, done, 0
        self._again: deque[NDArray[np.int64]] = deque()
        self._out: dict[int, tuple[Task, int]] = {}
        self._committed_s = time.monotonic()

    def play(self, left: NDArray[np.int64], chunk: int) -> bool:
        """Until all is there (True) or it is cancelled."""
        fresh = (left[i : i + chunk] for i in range(0, len(left), chunk))
        number = 0
        while True:
            if self._running.cancel is not None and self._running.cancel.is_set():
                self._commit()
                return False
            while len(self._out) < self._team.size and (numbers := self._next(fresh)) is not None:
                task = self._cut(numbers)
                self._out[number] = (task, 0)
                self._team.start(number, task)
                number += 1
            if not self._out:
                self._commit()
                return True
            for heard in self._team.hear(TELL_S):
                if heard.block is not None:
                    self._take(heard.task, heard.block)
                if heard.loss is not None:
                    self._lose(heard.task, heard.loss, heard.row, heard.why)
                elif heard.is_over:
                    del self._out[heard.task]
            if time.monotonic() - self._committed_s > TELL_S:
                self._commit()

    def _next(self, fresh: Iterator[NDArray[np.int64]]) -> NDArray[np.int64] | None:
        return self._again.popleft() if self._again else next(fresh, None)

    def _take(self, number: int, block: Block) -> None:
        task, at = self._out[number]
        n = len(block.number)
        part = task.part(slice(at, at + n))
        self._store.add(rows(block, part.columns, part.seed, part.replications))
        self._bad += int((block.status != Status.OK).sum())
        self._out[number] = (task, at + n)

    def _lose(self, number: int, status: Status, row: int, why: str) -> None:
        """The rest of a task will not come: its design is named, the others go out again."""
        task, at = self._out[number]
        rest = task.number[at:]
        if row >= at or len(rest) == 1:
            row = max(row, at)
            if row > at:
                self._again.append(task.number[at:row])
            if row + 1 < len(task.number):
                self._again.append(task.number[row + 1 :])
            named = task.number[row : row + 1]
            self._out[number] = (task, row)
            self._take(number, lost(named, status, why))
        elif len(rest):
            self._again.extend(part for part in np.array_split(rest, 2) if len(part))
        del self._out[number]

    def _commit(self) -> None:
        self._committed_s = time.monotonic()
        self._done += self._store.commit()
        if self._running.progress is not None:
            self._running.progress(self._done, self._bad, self._count)


def own_seeds(seed: int, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """[designs] a seed for each, below 2^63."""
    keys = [stream_keys(seed, 1, "design", 0, first=number)[0] for number in numbers.tolist()]
    return np.array(keys, np.uint64) >> np.uint64(1)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # of this process, where the system tells
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _chunk(left: int, workers: int, is_batch: bool) -> int:
    share = -(-left // (workers * 8))
    return min(max(share, 64), BATCH_CHUNK) if is_batch else min(max(share, 1), CHUNK_MAX)


def _keep(path: Path, designs: Designs) -> None:
    columns = designs.columns(np.arange(designs.count))
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    if not path.exists():
        write_table(path, table)
    elif not pq.read_table(path).equals(table):
        raise StoreError(f"{path.parent} holds other designs; name another folder")


def _narrow(column: NDArray[Any]) -> NDArray[Any]:
    return column.astype(np.str_) if column.dtype == object else column


def today() -> dict[str, Any]:
    """When an experiment is started, and by which versions."""
    from importlib.metadata import version

    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            "mirrorworld": version("mirrorworld"),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
