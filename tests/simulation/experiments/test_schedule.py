"""Schedules: proven where they say so, held by an independent check, explained if there is none."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from mirrorworld.simulation.experiments.schedule import solve
from mirrorworld.simulation.experiments.shop import (
    Job,
    Machine,
    Operation,
    Shop,
    ShopError,
    Slot,
    check,
    earliest,
    flow_shop,
    from_plain,
    instances,
    job_shop,
    shifted,
)

pytest.importorskip("ortools", reason="OR-tools (extra `experiments`) are not installed")

FT06 = job_shop(
    [[2, 0, 1, 3, 5, 4], [1, 2, 4, 5, 0, 3], [2, 3, 5, 0, 1, 4], [1, 0, 2, 3, 4, 5],
     [2, 1, 4, 5, 0, 3], [1, 3, 5, 0, 4, 2]],
    [[1, 3, 6, 7, 3, 6], [8, 5, 10, 10, 10, 4], [5, 4, 8, 9, 1, 7], [5, 5, 5, 3, 8, 9],
     [9, 3, 5, 4, 3, 1], [3, 3, 9, 10, 4, 1]],
)  # fmt: skip
"""Fisher and Thompson, 1963."""


def test_ft06_is_proven() -> None:
    made = solve(FT06)
    assert (made.status, made.value, made.bound, made.gap) == ("optimal", 55, 55, 0)
    assert check(FT06, made.slots) == []
    assert max(made.columns()["end"]) == 55
    assert made.trace[-1][1] == 55


@pytest.mark.shared_data("jobshop")
@pytest.mark.parametrize("name", ["ft06", *(f"la{i:02}" for i in range(1, 7)), "la14", "la17"])
def test_published_optima_are_proven(shared_data: Path, name: str) -> None:
    shop, optimum, _ = instances(shared_data / "jobshop" / "benchmark_instances.json.gz")[name]
    made = solve(shop, time_limit_s=60)
    assert (made.status, made.value) == ("optimal", optimum)
    assert check(shop, made.slots) == []


@pytest.mark.shared_data("jobshop")
def test_the_limit_of_time_is_said_with_the_bound(shared_data: Path) -> None:
    shop, optimum, _ = instances(shared_data / "jobshop" / "benchmark_instances.json.gz")["ta40"]
    assert optimum is None or optimum > 0
    made = solve(shop, time_limit_s=10)  # enough for some schedule on a slow machine, for no proof
    assert made.status == "feasible"
    assert made.bound < made.value
    assert 0 < made.gap < 1
    assert check(shop, made.slots) == []


def tiny(seed: int) -> Shop:
    """A shop small enough to try everything: choices, set-ups, openings, releases, due dates."""
    chance = random.Random(seed)
    kinds = ("a", "b")
    setups = {(x, y): chance.randint(0, 4) for x in kinds for y in kinds if x != y}
    machines = (
        Machine("M1", setups),
        Machine("M2", {}, ((0, 7), (9, 16), (20, 200))),
        Machine("M3"),
    )
    jobs = tuple(
        Job(
            f"J{j}",
            tuple(
                Operation(
                    {m: chance.randint(1, 6) for m in chance.sample(("M1", "M2", "M3"), 1 + i % 2)},
                    chance.choice(kinds),
                )
                for i in range(2)
            ),
            release=chance.randint(0, 4),
            due=chance.randint(6, 18),
            weight=chance.randint(1, 3),
        )
        for j in range(3)
    )
    return Shop(machines, jobs)


def best(shop: Shop, aim: str) -> float:
    """By trying every order and every choice, each operation as early as it can be."""
    machines = {machine.name: machine for machine in shop.machines}
    turns = [j for j, job in enumerate(shop.jobs) for _ in job.operations]
    orders = set()

    def deal(order: tuple[int, ...]) -> None:
        if len(order) == len(turns):
            orders.add(order)
        for j in range(len(shop.jobs)):
            if order.count(j) < turns.count(j):
                deal((*order, j))

    deal(())
    least = float("inf")
    choices = [list(op.durations.items()) for job in shop.jobs for op in job.operations]
    first = [sum(len(job.operations) for job in shop.jobs[:j]) for j in range(len(shop.jobs))]
    for chosen in product(*choices):
        for order in orders:
            at = [0] * len(shop.jobs)
            ready = [job.release for job in shop.jobs]
            last: dict[str, tuple[int, str]] = {}
            for j in order:
                operation = shop.jobs[j].operations[at[j]]
                name, duration = chosen[first[j] + at[j]]
                now = ready[j]
                if name in last:
                    end, kind = last[name]
                    gap = machines[name].setups.get((kind, operation.kind), 0)
                    now = max(now, end + gap)
                start = earliest(machines[name], now, duration)
                ready[j] = start + duration
                last[name] = (ready[j], operation.kind)
                at[j] += 1
            late = [
                job.weight * max(0, end - (job.due or 0))
                for job, end in zip(shop.jobs, ready, strict=True)
            ]
            least = min(
                least, {"makespan": max(ready), "tardiness": sum(late), "flow": sum(ready)}[aim]
            )
    return least


@pytest.mark.parametrize("aim", ["makespan", "tardiness", "flow"])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_proven_is_what_trying_everything_finds(seed: int, aim) -> None:
    shop = tiny(seed)
    made = solve(shop, aim=aim)
    assert made.status == "optimal"
    assert made.value == made.bound == best(shop, aim)
    assert check(shop, made.slots) == []
    assert shifted(shop, made.slots) == made.slots, "each operation is as early as its order lets"


def test_a_flow_shop_with_set_ups() -> None:
    setups = {("red", "blue"): 5, ("blue", "red"): 1}
    shop = flow_shop(
        [[3, 2], [2, 4], [4, 1]], kinds=["red", "blue", "red"], setups=[setups, setups]
    )
    made = solve(shop)
    assert made.status == "optimal"
    assert made.value == best(shop, "makespan")


def test_demands_that_cannot_be_met_are_named() -> None:
    operation = Operation({"M1": 4})
    jobs = tuple(
        Job(name, (operation,), due=due, is_due_hard=True)
        for name, due in (("A", 4), ("B", 8), ("C", 8), ("D", 3))
    )
    made = solve(Shop((Machine("M1"),), jobs))
    assert made.status == "infeasible"
    assert made.slots == ()
    assert "'D' is due at 3 and takes until 4 even alone" in made.why
    assert "due at 8, would end at 12" in made.why
    assert "'A', due" not in made.why
    soft = Shop((Machine("M1"),), tuple(replace(job, is_due_hard=False) for job in jobs))
    assert "all is to be over at 10 and would be at 16" in solve(soft, not_after=10).why
    late = {late.job: late.is_alone for late in solve(soft, aim="tardiness").late}
    assert late["D"] is True
    assert False in late.values()
    closing = Shop((Machine("M1", {}, ((0, 9),)),), soft.jobs)
    assert "openings" in solve(closing).why


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"start": 3, "end": 7}, "begins at 3, before 4"),
        ({"machine": "M2"}, "takes 4 on 'M2'"),
        ({"end": 9}, "takes 5"),
        ({"start": 9, "end": 13}, "outside the openings"),
        ({"operation": 5}, "missing or too many"),
    ],
)
def test_the_check_finds_what_is_broken(change, says: str) -> None:
    job = Job("A", (Operation({"M2": 4}), Operation({"M1": 4})), due=9, is_due_hard=True)
    other = Job("B", (Operation({"M1": 2}, "x"),))
    machines = (Machine("M1", {("", "x"): 2}, ((0, 12),)), Machine("M2"))
    shop = Shop(machines, (job, other))
    good = Slot("A", 1, "M1", 4, 8)
    slots = [Slot("A", 0, "M2", 0, 4), good, Slot("B", 0, "M1", 10, 12)]
    assert check(shop, slots) == []
    slots[1] = replace(good, **change)
    assert any(says in broken for broken in check(shop, slots))
    slots[1:] = [good, Slot("B", 0, "M1", 9, 11)]
    assert "1 before job 'A' lets it" in check(shop, slots)[0]
    late = [slots[0], replace(good, start=8, end=12), Slot("B", 0, "M1", 0, 2)]
    assert "ends at 12, due 9" in check(shop, late)[0]


def test_shops_that_cannot_be_are_named() -> None:
    with pytest.raises(ShopError, match="longer than every opening"):
        Shop((Machine("M", {}, ((0, 5),)),), (Job("A", (Operation({"M": 6}),)),))
    with pytest.raises(ShopError, match="no machine 'X'"):
        Shop((Machine("M"),), (Job("A", (Operation({"X": 6}),)),))
    with pytest.raises(ShopError, match="overlap at 3"):
        Shop((Machine("M", {}, ((0, 5), (3, 8))),), ())
    with pytest.raises(ShopError, match="cannot be read: KeyError 'operations'"):
        from_plain({"machines": {"M": None}, "jobs": {"A": {}}})
    plain = {
        "machines": {"M": {"open": [[0, 8]], "setups": [["a", "b", 2]]}},
        "jobs": {"A": {"due": 5, "hard": True, "operations": [{"takes": {"M": 3}, "kind": "a"}]}},
    }
    shop = from_plain(plain)
    assert shop.machines[0].setups == {("a", "b"): 2}
    assert shop.jobs[0].is_due_hard
    with pytest.raises(ShopError, match="no aim"):
        solve(shop, aim="fun")  # pyright: ignore[reportArgumentType]
