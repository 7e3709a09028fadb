"""Workers on a Ray cluster (extra `ray`): the same tasks, in chunks, by the same call.

Connects to the cluster that runs, or that `RAY_ADDRESS` names; where there is none, Ray starts one
on this machine. Each worker is an actor with one processor. Who has told nothing for as long as a
design may take is asked how far it is; the one whose design has not changed is killed, so that a
design which hangs is found between one and two such times.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from mirrorworld.simulation.experiments.objective import (
    Block,
    Objective,
    ObjectiveError,
    Status,
    Task,
    evaluated,
)
from mirrorworld.simulation.experiments.team import START_S_MAX, Heard

_ANSWER_S_MAX: Final = 10.0


class OnRay:
    """Actors on a cluster.

    Args:
        workers: how many; 0: as many as the cluster has processors.
        timeout_s: how long one design may take (a batch: all of its designs together).

    Raises:
        ObjectiveError: ray is not installed, or the objective cannot be loaded.
    """

    def __init__(self, objective: Objective, workers: int, timeout_s: float) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves unasked
        try:
            import ray
            import ray.exceptions
        except ImportError:
            raise ObjectiveError("ray is not installed: pip install 'mirrorworld[ray]'") from None
        objective.load()
        self._ray, self._failures = ray, ray.exceptions
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            ray.init(include_dashboard=False, log_to_driver=False)
        self.size = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._timeout_s = timeout_s
        self._given = (objective.call, dict(objective.options), sys.path)
        options: dict[str, Any] = {"num_cpus": 1, "max_concurrency": 2}
        self._kind: Any = ray.remote(**options)(_Evaluator)
        self._free: list[Any] = []
        self._out: dict[Any, _Under] = {}

    def start(self, number: int, task: Task) -> None:
        """Gives a task to a free actor, or a new one."""
        actor = self._free.pop() if self._free else self._new()
        reference = actor.evaluate.remote(task)
        self._out[reference] = _Under(number, actor)

    def hear(self, wait_s: float) -> Sequence[Heard]:
        """Tasks that ended, and those whose time is over."""
        ready, waiting = self._ray.wait(list(self._out), num_returns=1, timeout=wait_s)
        heard: list[Heard] = []
        for reference in ready:
            under = self._out.pop(reference)
            try:
                blocks: list[Block] = self._ray.get(reference)
            except self._failures.RayTaskError as error:
                raise ObjectiveError(f"the cluster cannot evaluate: {error.cause!r}") from None
            except self._failures.RayError as error:
                why = f"its process ended ({type(error).__name__})"
                heard.append(Heard(under.number, loss=Status.ENDED, why=why))
                continue
            self._free.append(under.actor)
            heard.extend(Heard(under.number, block) for block in blocks)
            heard.append(Heard(under.number, is_over=True))
        for reference in waiting:
            under = self._out[reference]
            if time.monotonic() - under.since_s <= self._timeout_s:
                continue
            mark, row = self._mark(under.actor)
            if mark >= 0 and mark != under.mark:
                under.mark, under.since_s = mark, time.monotonic()
                continue
            del self._out[reference]
            self._ray.kill(under.actor)
            why = f"took longer than {self._timeout_s:g} s"
            heard.append(Heard(under.number, loss=Status.TIMEOUT, row=row, why=why))
        return heard

    def close(self) -> None:
        """Ends the actors, and the cluster where it was started for this."""
        for actor in (*self._free, *(under.actor for under in self._out.values())):
            self._ray.kill(actor)
        self._free.clear()
        self._out.clear()
        if self._is_ours:
            self._ray.shutdown()

    def _new(self) -> Any:
        actor = self._kind.remote(*self._given)
        try:
            self._ray.get(actor.mark.remote(), timeout=START_S_MAX)
        except self._failures.RayError as error:
            raise ObjectiveError(f"a worker did not start on the cluster: {error}") from None
        return actor

    def _mark(self, actor: Any) -> tuple[int, int]:
        try:
            return self._ray.get(actor.mark.remote(), timeout=_ANSWER_S_MAX)
        except self._failures.RayError:
            return -1, -1


class _Under:
    """A task under way."""

    def __init__(self, number: int, actor: Any) -> None:
        self.number, self.actor = number, actor
        self.mark, self.since_s = -1, time.monotonic()


class _Evaluator:
    """The actor. It looks for modules where its driver does, too."""

    def __init__(self, call: Any, options: dict[str, Any], path: Sequence[str]) -> None:
        sys.path.extend(place for place in path if place not in sys.path)
        self._call, self._options = Objective(call).load(), options
        self._begun, self._row = 0, -1

    def evaluate(self, task: Task) -> list[Block]:
        """All blocks of a task."""
        return list(evaluated(self._call, self._options, task, begins=self._begins))

    def mark(self) -> tuple[int, int]:
        """How many designs were begun so far, and the row of the last one in its task."""
        return self._begun, self._row

    def _begins(self, row: int) -> None:
        self._row = row
        self._begun += 1
