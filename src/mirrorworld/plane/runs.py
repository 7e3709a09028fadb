"""What is here of a site's record: runs without gap, and the gaps between them.

Live goes on at once where the site is now; what was missed before that is a gap, filled from the
site's record meanwhile. Each run has an incarnation of its own, the place where it began, so that
the kernel's rule for repetition (source, incarnation, number) holds for both lanes, and its table
of the highest number of each incarnation *is* the list of runs: it is in the same log as the
changes, so no crash can part them. The gap after a run is filled under the number of that run.

The table keeps eight incarnations and forgets the one first seen. So the first run is noted before
any other, gaps are filled oldest first, and when too many are open no further one is begun: then
whatever was known before the first run that is still known, is here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

GAPS_MAX: Final = 5
_START_BITS: Final = 40
_START_MASK: Final = (1 << _START_BITS) - 1


class Rewound(Exception):
    """The site's record ends before what is here of it: it was restored from a backup."""


@dataclass(slots=True)
class Run:
    """Everything of a record from `start` to `last` is here."""

    start: int
    last: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class Gap:
    """What is not here: after one sequence, up to another."""

    after: int
    until: int
    incarnation: int
    """Under which it is filled."""


class Runs:
    """The runs of one record."""

    def __init__(self, record: str, numbered: Mapping[int, int]) -> None:
        """Args:
        record: its id, in hex.
        numbered: incarnation -> highest number, as the world has it.
        """
        digest = hashlib.blake2b(record.encode(), digest_size=8).digest()
        self._tag = (int.from_bytes(digest, "little") & 0x7F_FFFF) << _START_BITS
        self._runs: list[Run] = []
        for incarnation, last in numbered.items():
            if incarnation & ~_START_MASK == self._tag:
                start = incarnation & _START_MASK
                self._runs.append(Run(start, max(last, start - 1), incarnation))
        self._runs.sort(key=lambda run: run.start)
        self._join()

    @property
    def is_new(self) -> bool:
        """Whether nothing of the record was ever here."""
        return not self._runs

    @property
    def whole_until(self) -> int:
        """Up to here nothing is missing."""
        return self._runs[0].last if self._runs else 0

    @property
    def last(self) -> int:
        """The last that is here."""
        return self._runs[-1].last if self._runs else 0

    @property
    def is_full(self) -> bool:
        """Whether so many gaps are open that no further one may be."""
        return len(self._runs) > GAPS_MAX

    def gap(self) -> Gap | None:
        """The oldest gap; None: there is none."""
        if len(self._runs) < 2:
            return None
        first, second = self._runs[:2]
        return Gap(first.last, second.start - 1, first.incarnation)

    def missing(self) -> int:
        """How many changes lie in gaps."""
        pairs = zip(self._runs, self._runs[1:], strict=False)
        return sum(after.start - 1 - before.last for before, after in pairs)

    def begin(self, after: int, numbered: Mapping[int, int]) -> int:
        """Live goes on after a sequence: the incarnation under which.

        Args:
            numbered: as the world has it now. A run of which nothing was numbered is no run.

        Raises:
            Rewound: there is more of the record here than it has itself.
        """
        if self._runs and after < self._runs[-1].last:
            raise Rewound(
                f"its record ends with change {after}, and here is everything up to"
                f" {self._runs[-1].last}"
            )
        if self._runs and self._runs[-1].last == after:
            return self._runs[-1].incarnation
        first, others = self._runs[:1], self._runs[1:]
        self._runs = [*first, *(run for run in others if run.incarnation in numbered)]
        self._runs.append(Run(after + 1, after, self._tag | (after + 1)))
        return self._runs[-1].incarnation

    def advance(self, incarnation: int, last: int) -> int:
        """More is here of a run; returns the incarnation under which it goes on, another where
        it has reached the next run."""
        for i, run in enumerate(self._runs):
            if run.incarnation == incarnation:
                run.last = max(run.last, last)
                self._join()
                return self._runs[min(i, len(self._runs) - 1)].incarnation
        return incarnation

    def _join(self) -> None:
        """Two runs without a gap between are one, and go on as the later one."""
        joined: list[Run] = []
        for run in self._runs:
            if joined and run.start <= joined[-1].last + 1:
                run = Run(joined[-1].start, max(run.last, joined[-1].last), run.incarnation)
                joined[-1] = run
            else:
                joined.append(run)
        self._runs = joined
