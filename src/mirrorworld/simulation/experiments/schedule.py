"""Schedules of a shop by constraint programming (OR-tools CP-SAT), with proof or bound.

A schedule says how good it is proven to be. Where hard due dates or the end of the time allow
none, the same shop is solved with them let go as little as possible, and those that had to give
are named with by how much. Every schedule is looked at by `shop.check` before it is given out.
"""

# OR-tools' models are untyped.
# pyright: basic

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from mirrorworld.simulation.experiments.shop import (
    Job,
    Machine,
    Shop,
    ShopError,
    Slot,
    check,
    fits,
    measure,
    shifted,
)

Aim = Literal["makespan", "tardiness", "flow"]
Ending = Literal["optimal", "feasible", "infeasible", "unknown"]

TIME_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Late:
    """A job that cannot be, or is not, in time."""

    job: str
    due: int
    end: int
    is_alone: bool = False
    """It would be late even if it had the shop for itself."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What came of it."""

    status: Ending
    aim: Aim
    value: float
    """Of what was to be least; NaN without a schedule."""
    bound: float
    """No schedule has less: proven."""
    slots: tuple[Slot, ...]
    late: tuple[Late, ...] = ()
    """Jobs that end after their due date."""
    why: str = ""
    """Of infeasible: which demands cannot be met, and what would do."""
    wall_s: float = 0.0
    time_limit_s: float = TIME_S
    trace: tuple[tuple[float, float, float], ...] = ()
    """(seconds, value, bound) whenever a better one was found."""
    unit: str = field(default="min")

    @property
    def gap(self) -> float:
        """How much of the value may be too much, 0 to 1; NaN without a schedule."""
        return (self.value - self.bound) / max(abs(self.value), 1e-9)

    def columns(self) -> dict[str, list[Any]]:
        """Rows of a Gantt chart: job, operation, machine, start, end."""
        return {
            name: [getattr(slot, name) for slot in self.slots]
            for name in ("job", "operation", "machine", "start", "end")
        }


def solve(
    shop: Shop,
    *,
    aim: Aim = "makespan",
    time_limit_s: float = TIME_S,
    workers: int = 1,
    seed: int = 0,
    not_after: int | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Schedule:
    """The best schedule that is found in that time.

    Args:
        aim: least makespan; least weighted tardiness; or least sum of the jobs' ends.
        workers: threads of the solver. With one, and no time limit reached, it always gives the
            same.
        not_after: everything must be over by then.
        progress: hears value and bound of every better schedule.

    Raises:
        RuntimeError: OR-tools are not installed.
        ShopError: an aim is not known.
    """
    started = time.monotonic()
    cp = _cp_model()
    if aim not in ("makespan", "tardiness", "flow"):
        raise ShopError(f"there is no aim '{aim}'; say makespan, tardiness or flow")
    model = _Model(cp, shop, not_after, is_relaxed=False)
    model.minimise(aim)
    status, solver, trace = _solved(cp, model.model, time_limit_s, workers, seed, progress)
    why, slots = "", ()
    if status in ("optimal", "feasible"):
        slots = shifted(shop, model.slots(solver))
        broken = check(shop, slots)
        if broken:
            raise RuntimeError(f"the solver gave what is no schedule: {broken[0]}")
        if status == "optimal" and measure(shop, slots, aim) != solver.ObjectiveValue():
            raise RuntimeError("the solver's schedule is not worth what it says")
    elif status == "infeasible":
        left_s = max(1.0, time_limit_s - (time.monotonic() - started))
        why = _explain(cp, shop, not_after, left_s, workers, seed)
    has = bool(slots)
    return Schedule(
        status,
        aim,
        measure(shop, slots, aim) if has else float("nan"),
        solver.BestObjectiveBound() if has else float("nan"),
        slots,
        late=_late(shop, slots) if has else (),
        why=why,
        wall_s=time.monotonic() - started,
        time_limit_s=time_limit_s,
        trace=tuple(trace),
        unit=shop.unit,
    )


class _Model:
    """The shop as variables and constraints."""

    def __init__(self, cp: Any, shop: Shop, not_after: int | None, *, is_relaxed: bool) -> None:
        self.cp, self.shop, self.model = cp, shop, cp.CpModel()
        self.horizon = _horizon(shop)
        limit = self.horizon if not_after is None or is_relaxed else min(not_after, self.horizon)
        self._on: dict[str, list[tuple[Any, Any, Any, Any, str]]] = {
            machine.name: [] for machine in shop.machines
        }
        self._machines = {machine.name: machine for machine in shop.machines}
        self._places: list[tuple[str, int, Any, Any, list[tuple[str, Any]]]] = []
        self.ends: dict[str, Any] = {}
        self.beyond: dict[str, Any] = {}
        for job in shop.jobs:
            end = self._job(job, limit)
            self.ends[job.name] = end
            if job.due is not None and job.is_due_hard:
                if is_relaxed:
                    self.beyond[job.name] = self._beyond(end, job.due)
                else:
                    self.model.Add(end <= job.due)
        self.after = None
        if is_relaxed and not_after is not None:
            last = self.model.NewIntVar(0, self.horizon, "")
            self.model.AddMaxEquality(last, list(self.ends.values()))
            self.after = self._beyond(last, not_after)
        for machine in shop.machines:
            self._machine(machine)

    def minimise(self, aim: Aim) -> None:
        jobs = self.shop.jobs
        if aim == "makespan":
            span = self.model.NewIntVar(0, self.horizon, "makespan")
            # What is least needs no equality, and the solver's bounds are better without one.
            for end in self.ends.values():
                self.model.Add(span >= end)
            self.model.Minimize(span)
        elif aim == "flow":
            self.model.Minimize(sum(self.ends.values()))
        else:
            self.model.Minimize(
                sum(
                    job.weight * self._beyond(self.ends[job.name], job.due)
                    for job in jobs
                    if job.due is not None
                )
            )

    def minimise_beyond(self) -> None:
        """First few demands that give way, then by little."""
        given = [*self.beyond.values(), *([self.after] if self.after is not None else [])]
        flags = []
        for amount in given:
            gives = self.model.NewBoolVar("")
            self.model.Add(amount == 0).OnlyEnforceIf(gives.Not())
            flags.append(gives)
        self.model.Minimize(sum(flags) * (self.horizon * len(given) + 1) + sum(given))

    def slots(self, solver: Any) -> tuple[Slot, ...]:
        found = []
        for job, i, start, end, options in self._places:
            machine = next(name for name, is_on in options if is_on is None or solver.Value(is_on))
            found.append(Slot(job, i, machine, solver.Value(start), solver.Value(end)))
        return tuple(found)

    def _beyond(self, end: Any, due: int) -> Any:
        amount = self.model.NewIntVar(0, self.horizon, "")
        self.model.AddMaxEquality(amount, [end - due, 0])
        return amount

    def _job(self, job: Job, limit: int) -> Any:
        model, before = self.model, job.release
        least = [min(operation.durations.values()) for operation in job.operations]
        for i, operation in enumerate(job.operations):
            options = [
                (name, duration)
                for name, duration in operation.durations.items()
                if fits(self._machines[name], duration)
            ]
            # What comes before and behind it on the same job takes its time.
            first, last = job.release + sum(least[:i]), limit - sum(least[i:])
            start = model.NewIntVar(first, max(first, last), "")
            end: Any = model.NewIntVar(first, limit, "") if len(options) > 1 else None
            chosen: list[tuple[str, Any]] = []
            for name, duration in options:
                is_on = None if len(options) == 1 else model.NewBoolVar("")
                if is_on is None:
                    end = start + duration
                    interval = model.NewFixedSizeIntervalVar(start, duration, "")
                else:
                    interval = model.NewOptionalIntervalVar(start, duration, end, is_on, "")
                self._within(self._machines[name], start, duration, is_on)
                self._on[name].append((interval, start, end, is_on, operation.kind))
                chosen.append((name, is_on))
            if len(chosen) > 1:
                model.AddExactlyOne([is_on for _, is_on in chosen])
            model.Add(start >= before)
            before = end
            self._places.append((job.name, i, start, end, chosen))
        model.Add(before <= limit)
        return before

    def _within(self, machine: Machine, start: Any, duration: int, is_on: Any) -> None:
        """Its start is one at which an opening holds the whole operation."""
        if not machine.open:
            return
        spans = [[a, b - duration] for a, b in machine.open if b - a >= duration]
        domain = self.cp.Domain.FromIntervals(spans)
        rule = self.model.AddLinearExpressionInDomain(start, domain)
        if is_on is not None:
            rule.OnlyEnforceIf(is_on)

    def _machine(self, machine: Machine) -> None:
        on = self._on[machine.name]
        self.model.AddNoOverlap([interval for interval, *_ in on])
        if len(on) < 2 or not any(machine.setups.values()):
            return
        # A tour over the operations on this machine; node 0 is before the first and after the
        # last. Whom the tour passes by stays on a loop of its own.
        arcs = []
        for i, (_, _, end, is_on, kind) in enumerate(on, 1):
            first, last = self.model.NewBoolVar(""), self.model.NewBoolVar("")
            arcs += [(0, i, first), (i, 0, last)]
            if is_on is not None:
                arcs.append((i, i, is_on.Not()))
            for j, (_, other, _, _, after) in enumerate(on, 1):
                if i != j:
                    follows = self.model.NewBoolVar("")
                    arcs.append((i, j, follows))
                    gap = machine.setups.get((kind, after), 0)
                    self.model.Add(other >= end + gap).OnlyEnforceIf(follows)
        if all(is_on is not None for *_, is_on, _ in on):
            arcs.append((0, 0, self.model.NewBoolVar("")))
        self.model.AddCircuit(arcs)


def _explain(
    cp: Any, shop: Shop, not_after: int | None, time_limit_s: float, workers: int, seed: int
) -> str:
    """Which demands cannot be met, in words: by letting go as few as possible, as little."""
    model = _Model(cp, shop, not_after, is_relaxed=True)
    if not model.beyond and model.after is None:
        return "the openings of the machines do not hold all operations; open them for longer"
    model.minimise_beyond()
    status, solver, _ = _solved(cp, model.model, time_limit_s, workers, seed, None)
    if status == "infeasible":
        return "the openings of the machines do not hold all operations; open them for longer"
    if status == "unknown":
        return f"not all demands can be met; which give way was not found in {time_limit_s:.3g} s"
    said = []
    for job in shop.jobs:
        if job.name in model.beyond and solver.Value(model.beyond[job.name]):
            end = solver.Value(model.ends[job.name])
            alone = shop.least(job)
            assert job.due is not None
            said.append(
                f"job '{job.name}' is due at {job.due} and takes until {alone} even alone"
                if alone > job.due
                else f"job '{job.name}', due at {job.due}, would end at {end}"
            )
    if model.after is not None and solver.Value(model.after):
        end = max(solver.Value(end) for end in model.ends.values())
        said.append(f"all is to be over at {not_after} and would be at {end}")
    how = "cannot all be met; fewest give way so" if status == "optimal" else "cannot all be met"
    return f"the demands {how}: " + "; ".join(said)


def _late(shop: Shop, slots: tuple[Slot, ...]) -> tuple[Late, ...]:
    ends: dict[str, int] = {}
    for slot in slots:
        ends[slot.job] = max(ends.get(slot.job, 0), slot.end)
    return tuple(
        Late(job.name, job.due, ends[job.name], shop.least(job) > job.due)
        for job in shop.jobs
        if job.due is not None and ends[job.name] > job.due
    )


def _horizon(shop: Shop) -> int:
    """No schedule that is worth it ends later: all operations one after the other, each with the
    longest set-up, from the last release on; through the closed times, or the end of the last
    opening."""
    total = sum(max(op.durations.values()) for job in shop.jobs for op in job.operations)
    count = sum(len(job.operations) for job in shop.jobs)
    setup = max((t for machine in shop.machines for t in machine.setups.values()), default=0)
    most = max((job.release for job in shop.jobs), default=0) + total + count * setup
    closed = max((machine.open[-1][1] for machine in shop.machines if machine.open), default=0)
    return most + closed


def _solved(
    cp: Any,
    model: Any,
    time_limit_s: float,
    workers: int,
    seed: int,
    progress: Callable[[float, float], None] | None,
) -> tuple[Ending, Any, list[tuple[float, float, float]]]:
    solver = cp.CpSolver()
    solver.parameters.max_time_in_seconds = time_limit_s
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    trace: list[tuple[float, float, float]] = []

    class Heard(cp.CpSolverSolutionCallback):
        def on_solution_callback(self) -> None:
            value, bound = self.ObjectiveValue(), self.BestObjectiveBound()
            trace.append((self.WallTime(), value, bound))
            if progress is not None:
                progress(value, bound)

    status = solver.Solve(model, Heard())
    names: dict[int, Ending] = {
        cp.OPTIMAL: "optimal",
        cp.FEASIBLE: "feasible",
        cp.INFEASIBLE: "infeasible",
    }
    if status == cp.MODEL_INVALID:
        raise ShopError(f"no model: {model.Validate()}")
    return names.get(status, "unknown"), solver, trace


def _cp_model() -> Any:
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        raise RuntimeError(
            "OR-tools are not installed: pip install 'mirrorworld[experiments]'"
        ) from None
    return cp_model
