"""Which designs are tried: every combination of levels, or a table of chosen ones.

A grid is never held as a whole: the columns of any of its designs follow from their numbers.
How many designs may be asked for is bounded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.space import Categorical, Columns, Space, SpaceError, size

DESIGNS_MAX: Final = 10_000_000
_AT_ONCE: Final = 262_144


class Designs(Protocol):
    """Designs by number, 0 and up."""

    @property
    def space(self) -> Space:
        """What they are designs of."""
        ...

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def columns(self, numbers: NDArray[np.int64]) -> Columns:
        """The designs of those numbers."""
        ...


class Grid:
    """Every combination of the factors' values that the constraints allow; the last factor
    changes fastest.

    Raises:
        SpaceError: a factor has no steps, there are too many combinations, or none is allowed.
    """

    def __init__(self, space: Space, *, limit: int = DESIGNS_MAX) -> None:
        self.space = space
        sizes: list[int] = []
        for factor in space.factors:
            if factor.size is None:
                raise SpaceError(
                    f"factor '{factor.name}' has endlessly many values; give it steps, or sample"
                )
            sizes.append(factor.size)
        self._sizes = tuple(sizes)
        combinations = 1
        for n in sizes:
            combinations *= n
        if combinations > limit:
            greatest = max(space.factors, key=lambda f: f.size or 0)
            product = " × ".join(
                f"{n:,} {f.name}" for f, n in zip(space.factors, sizes, strict=True)
            )
            raise SpaceError(
                f"a sweep of {combinations:,} designs ({product})"
                f" is more than {limit:,}; sample instead (latin-hypercube or sobol), or lower the"
                f" steps, of '{greatest.name}' first"
            )
        self._chosen: NDArray[np.int64] | None = None
        self.count = combinations
        if space.constraints:
            self._chosen = self._allowed(combinations)
            self.count = len(self._chosen)

    def columns(self, numbers: NDArray[np.int64]) -> Columns:
        """The designs of those numbers."""
        return self._at(numbers if self._chosen is None else self._chosen[numbers])

    def _at(self, places: NDArray[np.int64]) -> Columns:
        indices = np.unravel_index(places, self._sizes)
        return {
            factor.name: factor.at(index.astype(np.int64))
            for factor, index in zip(self.space.factors, indices, strict=True)
        }

    def _allowed(self, combinations: int) -> NDArray[np.int64]:
        held = np.zeros(len(self.space.constraints), np.int64)
        parts: list[NDArray[np.int64]] = []
        for first in range(0, combinations, _AT_ONCE):
            places = np.arange(first, min(first + _AT_ONCE, combinations))
            columns = self._at(places)
            keep = np.ones(len(places), bool)
            for i in range(len(held)):
                one = self.space.holds(i, columns)
                held[i] += one.sum()
                keep &= one
            parts.append(places[keep])
        chosen = np.concatenate(parts)
        if not len(chosen):
            raise SpaceError(self.space.nobody(held.tolist(), combinations))
        return chosen


class Table:
    """Designs that are listed.

    Raises:
        SpaceError: a factor is missing, or there are too many designs.
    """

    def __init__(
        self, space: Space, columns: Mapping[str, NDArray[Any]], *, limit: int = DESIGNS_MAX
    ) -> None:
        self.space = space
        missing = [name for name in space.names if name not in columns]
        if missing:
            raise SpaceError(f"the designs have no column for factor '{missing[0]}'")
        self._columns: Columns = {name: np.asarray(columns[name]) for name in space.names}
        self.count = size(self._columns)
        check_count(self.count, limit)
        for factor in space.factors:
            column = self._columns[factor.name]
            if len(column) != self.count:
                raise SpaceError(
                    f"factor '{factor.name}' has {len(column)} designs of {self.count}"
                )
            if isinstance(factor, Categorical) and (factor.codes(column) < 0).any():
                raise SpaceError(f"factor '{factor.name}': a design has a level that is not known")

    def columns(self, numbers: NDArray[np.int64]) -> Columns:
        """The designs of those numbers."""
        return {name: column[numbers] for name, column in self._columns.items()}


def check_count(count: int, limit: int = DESIGNS_MAX) -> None:
    """Raises SpaceError where so many designs are too many or none."""
    if count < 1:
        raise SpaceError("no design was asked for; ask for one at least")
    if count > limit:
        raise SpaceError(f"{count:,} designs are more than {limit:,}; ask for fewer")
