"""A dict over another that is never changed: what a fork holds of a large table is what differs.

It goes over its keys as a dict would that had been copied and then changed in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, ValuesView
from typing import Final, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")

SMALL: Final = 64
"""Tables up to this size are copied: that costs less than a layer."""
DEPTH_MAX: Final = 8
"""Layers over layers; then all of it is copied."""


class Layered(MutableMapping[K, V]):
    """See the module."""

    __slots__ = ("_base", "_gone", "_own", "depth")

    def __init__(self, base: Mapping[K, V]) -> None:
        """Over a mapping that nobody changes any more."""
        self._base = base
        self._own: dict[K, V] = {}
        self._gone: set[K] = set()
        """Keys of the base that were removed once, though they may be there again."""
        self.depth: int = base.depth + 1 if isinstance(base, Layered) else 1

    def __getitem__(self, key: K) -> V:
        own = self._own
        if key in own:
            return own[key]
        if key in self._gone:
            raise KeyError(key)
        return self._base[key]

    def __setitem__(self, key: K, value: V) -> None:
        self._own[key] = value

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        self._own.pop(key, None)
        if key in self._base:
            self._gone.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self._own or (key not in self._gone and key in self._base)

    def __iter__(self) -> Iterator[K]:
        gone, base = self._gone, self._base
        if gone:
            yield from (key for key in base if key not in gone)
        else:
            yield from base
        yield from (key for key in self._own if key not in base or key in gone)

    def __len__(self) -> int:
        new = sum(1 for key in self._own if key not in self._base or key in self._gone)
        return len(self._base) - len(self._gone) + new

    def __reversed__(self) -> Iterator[K]:
        return reversed(list(self))

    def values(self) -> ValuesView[V]:
        """As of a dict; it can be gone through backwards too."""
        return _Values(self)

    def copy(self) -> dict[K, V]:
        """All of it as a dict."""
        return dict(self)


class _Values(ValuesView[V]):
    def __reversed__(self) -> Iterator[V]:
        return reversed(list(self))


def layered(table: dict[K, V]) -> dict[K, V]:
    """A table that starts equal to one that nobody changes any more, and holds what differs."""
    is_deep = isinstance(table, Layered) and table.depth >= DEPTH_MAX
    if len(table) <= SMALL or is_deep:
        return dict(table)
    return cast("dict[K, V]", Layered(table))
