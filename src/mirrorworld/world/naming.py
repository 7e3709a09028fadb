"""Which handle a point of a twin has, by its name, for very many twins that are alike.

The points of a twin mostly come at once and so have handles that follow each other. Then it is
enough to know the first of them: the table of names is shared by all twins with the same names.
"""

from __future__ import annotations

import sys
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Final, cast


class Run(Mapping[str, int]):
    """Names of a twin whose handles follow each other. It never changes."""

    __slots__ = ("_first", "_offsets")

    def __init__(self, first: int, offsets: dict[str, int]) -> None:
        self._first = first
        self._offsets = offsets

    def __getitem__(self, name: str) -> int:
        return self._first + self._offsets[name]

    def __contains__(self, name: object) -> bool:
        return name in self._offsets

    def __iter__(self) -> Iterator[str]:
        return iter(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets)

    def values(self) -> ValuesView[int]:
        """The handles, in order of the names."""
        return cast(ValuesView[int], range(self._first, self._first + len(self._offsets)))

    def items(self) -> ItemsView[str, int]:
        """(name, handle), in order of the names."""
        return cast(ItemsView[str, int], zip(self._offsets, self.values(), strict=True))


NONE: Final[Mapping[str, int]] = Run(0, {})


class Layouts:
    """The tables of names that twins share."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, ...], dict[str, int]] = {}

    def extended(
        self, have: Mapping[str, int], names: Iterable[str], first: int
    ) -> Mapping[str, int]:
        """What a twin has, and new names with handles from `first` on."""
        new = tuple(sys.intern(name) for name in names)
        if not len(have):
            return Run(first, self._table(new))
        start = next(iter(have.values()))
        if isinstance(have, Run) and start + len(have) == first:
            return Run(start, self._table((*have, *new)))
        return {**have, **{name: first + i for i, name in enumerate(new)}}

    def _table(self, names: tuple[str, ...]) -> dict[str, int]:
        table = self._tables.get(names)
        if table is None:
            table = self._tables[names] = {name: i for i, name in enumerate(names)}
        return table
