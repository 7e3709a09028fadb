"""Runs and gaps: the table of the kernel is all that is remembered, whatever ends when."""

from __future__ import annotations

import random

import pytest

from mirrorworld.plane.runs import GAPS_MAX, Rewound, Runs

KEPT = 8


class Table:
    """The kernel's table of a source that numbers: eight incarnations, the first seen forgotten."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.applied: list[int] = []

    def push(self, incarnation: int, number: int) -> None:
        """As `World.apply` does."""
        if number <= self.seen.get(incarnation, -1):
            return
        self.applied.append(number)
        self.seen[incarnation] = number
        if len(self.seen) > KEPT:
            del self.seen[next(iter(self.seen))]


def test_the_first_run_and_its_gap() -> None:
    runs = Runs("ab", {})
    assert runs.is_new
    base = runs.begin(0, {})
    live = runs.begin(100, {base: 0})
    gap = runs.gap()
    assert gap is not None and (gap.after, gap.until, gap.incarnation) == (0, 100, base)
    assert runs.missing() == 100
    assert runs.advance(live, 130) == live
    assert runs.whole_until == 0
    runs.advance(base, 100)
    assert runs.gap() is None and runs.whole_until == runs.last == 130
    assert runs.begin(130, {}) == live, "live goes on as the run that it has become"


def test_another_record_has_other_runs() -> None:
    runs = Runs("ab", {})
    table = {runs.begin(0, {}): 50}
    assert Runs("ab", table).last == 50
    assert Runs("cd", table).is_new


def test_a_record_that_was_set_back_is_noticed() -> None:
    runs = Runs("ab", {})
    runs.advance(runs.begin(0, {}), 50)
    with pytest.raises(Rewound, match="up to 50"):
        runs.begin(49, {})


def test_a_run_of_which_nothing_was_numbered_is_none() -> None:
    runs = Runs("ab", {})
    base = runs.begin(0, {})
    empty = runs.begin(10, {base: 0})
    runs.advance(empty, 20)  # edits only: the table knows nothing of it
    runs.begin(30, {base: 0})
    gap = runs.gap()
    assert gap is not None and (gap.after, gap.until) == (0, 30)


@pytest.mark.parametrize("seed", range(60))
def test_everything_once_whatever_ends_when(seed: int) -> None:
    """Lanes interleave at random, live leaves things out, either side restarts: in the end each
    number was applied once, and in order within its lane."""
    chance = random.Random(seed)
    table = Table()
    made = 0
    numbered = set[int]()

    def make(n: int) -> None:
        nonlocal made
        for _ in range(n):
            made += 1
            if chance.random() < 0.8:  # the others are edits, which have no number
                numbered.add(made)

    def apply(incarnation: int, after: int, until: int) -> None:
        for number in range(after + 1, until + 1):
            if number in numbered:
                table.push(incarnation, number)

    make(chance.randint(0, 30))
    full = 0
    for _ in range(chance.randint(1, 25)):  # lives of the session
        runs = Runs("ab", table.seen)
        if runs.is_new:
            table.push(runs.begin(0, {}), 0)
        live = None
        if runs.is_full:
            full += 1
            gap = runs.gap()
            assert gap is not None
            apply(gap.incarnation, gap.after, gap.until)
            runs.advance(gap.incarnation, gap.until)
        else:
            live = runs.begin(made, table.seen)
        for _ in range(chance.randint(0, 12)):
            if live is not None and chance.random() < 0.6:
                before = made
                make(chance.randint(1, 5))
                apply(live, before, made)
                live = runs.advance(live, made)
            elif (gap := runs.gap()) is not None:
                until = min(gap.until, gap.after + chance.randint(1, 6))
                # Broken off in the middle: what was applied is in the table, no more.
                apply(gap.incarnation, gap.after, until)
                if chance.random() < 0.9:
                    runs.advance(gap.incarnation, until)
                else:
                    break
        make(chance.randint(0, 8))  # while nobody listens
    runs = Runs("ab", table.seen)
    if runs.is_new:
        table.push(runs.begin(0, {}), 0)
    while runs.is_full:
        gap = runs.gap()
        assert gap is not None
        apply(gap.incarnation, gap.after, gap.until)
        runs.advance(gap.incarnation, gap.until)
    runs.begin(made, table.seen)
    while (gap := runs.gap()) is not None:
        apply(gap.incarnation, gap.after, gap.until)
        runs.advance(gap.incarnation, gap.until)
    assert sorted(n for n in table.applied if n) == sorted(numbered), f"seed {seed}"


def test_gaps_are_bounded() -> None:
    runs = Runs("ab", {})
    table = Table()
    table.push(runs.begin(0, {}), 0)
    at = 0
    for _ in range(GAPS_MAX):
        assert not runs.is_full
        at += 10
        live = runs.begin(at, table.seen)
        table.push(live, at + 1)
        at += 1
        runs.advance(live, at)
    assert runs.is_full
