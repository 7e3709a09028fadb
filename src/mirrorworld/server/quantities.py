"""What many points measure in common: which there are, and their totals by relation. Columns.

A quantity is a point's name and unit. Its table (a code for each handle) is made once for each
version of the structure; a total is then a few passes of numpy over the points that are asked for.
Reads the world and must run in the loop that owns it; `rows` needs no world and may run beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld import units
from mirrorworld.protocol.quantities import Total
from mirrorworld.world.model import PART_OF, Kind
from mirrorworld.world.world import World

NESTED_MAX: Final = 16
"""How far up what a twin is part of is followed."""
ADDITIVE: Final = ("W", "J", "m3", "g", "m3/s", "g/s", "A", "C", "mol", "Gy.kg/s")
"""Of these dimensions parts add up to a whole; {person} and other counts do too."""

Handles = NDArray[np.int64]
Ordinals = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The points of some twins with their numbers; all columns have a row a point."""

    keys: Sequence[tuple[str, str]]
    """(name, unit) by code."""
    code: NDArray[np.int32]
    twin: Ordinals
    value: NDArray[np.float64]
    """NaN: none, or bad."""
    parent: Ordinals
    """By ordinal; -1: part of nothing."""


class Quantities:
    """The quantities of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._version = -1
        self.keys: list[tuple[str, str]] = []
        self.code: NDArray[np.int32] = np.empty(0, np.int32)
        """By handle; -1: it is no number, or its twin has ended."""
        self.twin: Ordinals = np.empty(0, np.int32)
        self.parent: Ordinals = np.empty(0, np.int32)
        self.turn = asyncio.Semaphore(1)
        """Correlations are worked out one at a time."""

    def refresh(self) -> None:
        """Brings the table up to the structure."""
        structure = self._world.structure
        if self._version == structure.version:
            return
        self._version = structure.version
        self.twin, types = structure.point_columns()
        # Twins that are alike share the objects that describe their points: few are looked at.
        marks = np.fromiter(map(id, types), np.int64, len(types))
        _, first, inverse = np.unique(marks, return_index=True, return_inverse=True)
        codes: dict[tuple[str, str], int] = {}
        of_type = np.full(len(first), -1, np.int32)
        for i, handle in enumerate(first.tolist()):
            kind = types[handle]
            if kind.kind in (Kind.FLOAT, Kind.INT):
                of_type[i] = codes.setdefault((kind.name, kind.unit), len(codes))
        self.keys = list(codes)
        n = structure.n_ordinals
        alive = np.zeros(n, np.bool_)
        alive[[structure.ordinal(twin) for twin in structure.twins]] = True
        code = of_type[inverse].astype(np.int32)
        self.code = np.where(alive[self.twin], code, -1).astype(np.int32) if len(code) else code
        self.parent = np.full(n, -1, np.int32)
        for relation in structure.relations.values():
            if relation.kind == PART_OF and relation.source != relation.target:
                source = structure.ordinal(relation.source)
                if self.parent[source] < 0:
                    self.parent[source] = structure.ordinal(relation.target)

    def codes(self, name: str) -> list[int]:
        """The codes of a name, most points first."""
        self.refresh()
        found = [code for code, key in enumerate(self.keys) if key[0] == name]
        count = {code: int((self.code == code).sum()) for code in found}
        return sorted(found, key=lambda code: -count[code])

    def handles(self, members: NDArray[np.bool_], name: str | None = None) -> Handles:
        """The points of twins, of all quantities or of one name."""
        self.refresh()
        wanted = self.code >= 0
        if name is not None:
            is_named = np.array([*(key[0] == name for key in self.keys), False])
            wanted &= is_named[self.code]
        return np.flatnonzero(wanted & members[self.twin])

    def gather(self, handles: Handles) -> Gathered:
        """Their latest numbers."""
        columns = self._world.read(handles.astype(np.uint32))
        value = numbers(
            columns.cell, columns.quality, columns.source_ns, self._world.kinds[handles]
        )
        return Gathered(self.keys, self.code[handles], self.twin[handles], value, self.parent)


def members(world: World, twin: str, relation: str) -> NDArray[np.bool_]:
    """By ordinal: what is part of a twin; or what it feeds, powers, …, with all parts of that.

    Transitive, and without the twin itself.
    """
    path = (f"{PART_OF}*",) if relation == PART_OF else (f"{PART_OF}*", f"^{relation}*")
    found = world.reached(path, twin)
    if relation != PART_OF:
        # What a twin feeds is meant, not what else is part of the twin.
        found &= ~world.reached((f"{PART_OF}*",), twin) | world.reached((f"^{relation}*",), twin)
    found[world.structure.ordinal(twin)] = False
    return found


def numbers(
    cell: NDArray[np.int64],
    quality: NDArray[np.uint32],
    source_ns: NDArray[np.int64],
    kinds: NDArray[np.uint8],
) -> NDArray[np.float64]:
    """Cells as numbers; NaN where there never was a value, or it is bad."""
    value = np.where(kinds == Kind.FLOAT, cell.view(np.float64), cell.astype(np.float64))
    value[(quality >= 0x8000_0000) | (source_ns <= 0) | ~np.isfinite(value)] = np.nan
    return value


def adds_up(unit: str) -> bool:
    """Whether what parts say in a unit adds up to what the whole would say."""
    if unit.startswith("{"):
        return True
    try:
        parsed = units.parse(unit)
    except units.UnitError:
        return False
    if parsed.is_level or parsed.offset or not parsed.dimension:
        return False
    return any(units.fits(unit, one) for one in ADDITIVE)


@dataclass(frozen=True, slots=True)
class Row:
    """A total, with the rows of `Gathered` in which the lowest and highest stand (-1: none)."""

    total: Total
    lowest: int
    highest: int


def rows(gathered: Gathered, unit: str | None = None) -> list[Row]:
    """Totals of each quantity, units that fit brought together: to `unit`, else to what most have.

    Raises:
        UnitError: `unit` is not UCUM, or fits none of the points.
    """
    count = np.bincount(gathered.code, minlength=len(gathered.keys))
    names: dict[str, list[int]] = {}
    for code in np.flatnonzero(count).tolist():
        names.setdefault(gathered.keys[code][0], []).append(code)
    if unit is not None:
        units.parse(unit)
    found: list[Row] = []
    for name in sorted(names):
        left = sorted(names[name], key=lambda code: -int(count[code]))
        groups: list[tuple[str, list[int]]] = []
        if unit is not None:
            fitting = [code for code in left if units.fits(gathered.keys[code][1], unit)]
            if not fitting:
                have = ", ".join(repr(gathered.keys[code][1]) for code in left)
                raise units.UnitError(f"{name}: unit '{unit}' fits none of its units ({have})")
            groups.append((unit, fitting))
            left = [code for code in left if code not in fitting]
        while left:
            own = gathered.keys[left[0]][1]
            fitting = [code for code in left if units.fits(gathered.keys[code][1], own)]
            groups.append((own, fitting or [left[0]]))
            left = [code for code in left if code not in groups[-1][1]]
        found += [_row(gathered, name, own, codes) for own, codes in groups]
    return found


def _row(gathered: Gathered, name: str, unit: str, codes: list[int]) -> Row:
    at = np.flatnonzero(np.isin(gathered.code, codes))
    value, twin = gathered.value[at].copy(), gathered.twin[at]
    n_converted = 0
    for code in codes:
        scale, offset = units.linear(gathered.keys[code][1], unit, name)
        if (scale, offset) != (1.0, 0.0):
            mine = gathered.code[at] == code
            value[mine] = value[mine] * scale + offset
            n_converted += int(mine.sum())
    has = ~np.isnan(value)
    n = int(has.sum())
    outer = has & ~nested(twin, has, gathered.parent)
    is_sum = n > 0 and adds_up(unit)
    lowest = int(at[np.nanargmin(value)]) if n else -1
    highest = int(at[np.nanargmax(value)]) if n else -1
    total = Total(
        name=name, unit=unit, n=n, n_without=len(value) - n, n_converted=n_converted,
        mean=float(np.nanmean(value)) if n else None,
        min=float(np.nanmin(value)) if n else None,
        max=float(np.nanmax(value)) if n else None,
        min_point="", max_point="",
        sum=float(value[outer].sum()) if is_sum else None,
        n_summed=int(outer.sum()) if is_sum else 0,
    )  # fmt: skip
    return Row(total, lowest, highest)


def nested(twin: Ordinals, has: NDArray[np.bool_], parent: Ordinals) -> NDArray[np.bool_]:
    """Which rows are of a twin that is part of one among them that has a number too."""
    says = np.zeros(len(parent) + 1, np.bool_)  # the last is for "part of nothing"
    says[twin[has]] = True
    above = np.append(parent, np.int32(-1))
    found = np.zeros(len(twin), np.bool_)
    at = above[twin]
    for _ in range(NESTED_MAX):
        found |= says[at] & (at >= 0)
        at = above[at]
    return found
