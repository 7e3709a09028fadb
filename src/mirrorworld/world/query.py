"""Finding twins: by type, text, property, relation path and place; paged at constant cost.

All filters become sets of ordinals in ascending order, so a page is a slice and its cursor the
last ordinal. The index is a view of the structure: built where it is first asked, then kept up
by the ordinals that edits touched.
"""

from __future__ import annotations

import bisect
import math
import operator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world.model import Ref, Scalar, Text, Twin
from mirrorworld.world.structure import Structure

Ordinals = NDArray[np.int32]
Mask = NDArray[np.bool_]

_COMPARE: Final = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CHUNK: Final = 4096
_PATH_LIMIT: Final = 16


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; all given filters must hold.

    `types` includes their subtypes. Each word of `text` is found anywhere in id, name, type name
    or text properties, whatever its case. `properties` are (path, operator, value). `related` is
    (path, twin): twins from which the path of relations leads to that twin; a step is a kind,
    `^kind` against its direction, `kind*` any number of times. `box` is (x0, y0, z0, x1, y1, z1)
    in metres.
    """

    types: tuple[str, ...] = ()
    text: str = ""
    properties: tuple[tuple[str, str, Scalar], ...] = ()
    related: tuple[tuple[str, ...], str] | None = None
    box: tuple[float, float, float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the twins found, in order of declaration; `cursor` asks for the next, None: last."""

    twins: tuple[str, ...]
    cursor: str | None = None
    total: int | None = None
    """How many there are in all; None where text was searched, since counting would cost more
    than the page."""


class Index:
    """Answers queries over one structure."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._chunks: list[tuple[str, list[int], list[int]] | None] = []
        self._place = np.empty((0, 3), np.float32)
        self._alive = np.empty(0, np.bool_)
        self._properties: dict[str, _PropertyColumn] = {}
        self._edges: dict[str, _Edges] = {}
        self._edges_version = -1
        self._is_new = True

    def query(self, query: Query, limit: int, cursor: str | None) -> Page:
        """A page of at most `limit` twins after the cursor.

        Raises:
            ValueError: the cursor, an operator or a path is not one.
        """
        if not 1 <= limit <= 10_000:
            raise ValueError(f"limit {limit}: ask for 1 to 10000 twins a page")
        if cursor is not None and not cursor.isdigit():
            raise ValueError(f"'{cursor}' is not a cursor that a page gave")
        after = int(cursor) if cursor is not None else -1
        self._refresh()
        mask = self._mask(query)
        words = sorted(query.text.casefold().split(), key=len)
        if words:
            return self._text_page(words, mask, limit, after)
        found = np.flatnonzero(mask)
        start = int(np.searchsorted(found, after, side="right"))
        return self._page(found[start : start + limit + 1].tolist(), limit, len(found))

    def _page(self, ordinals: list[int], limit: int, total: int | None) -> Page:
        more = len(ordinals) > limit
        ordinals = ordinals[:limit]
        twins = tuple(self._structure.declared_at(o).id for o in ordinals)
        return Page(twins, str(ordinals[-1]) if more else None, total)

    def _refresh(self) -> None:
        structure = self._structure
        n = structure.n_ordinals
        if len(self._alive) < n:
            grown = np.zeros(n, np.bool_)
            grown[: len(self._alive)] = self._alive
            place = np.full((n, 3), np.nan, np.float32)
            place[: len(self._place)] = self._place
            self._alive, self._place = grown, place
            self._chunks.extend([None] * (-(-n // _CHUNK) - len(self._chunks)))
        for ordinal in range(n) if self._is_new else structure.touched:
            twin = structure.twin_at(ordinal)
            self._alive[ordinal] = twin is not None
            pose = twin.pose if twin else None
            self._place[ordinal] = (pose.x_m, pose.y_m, pose.z_m) if pose else math.nan
            self._chunks[ordinal // _CHUNK] = None
            for column in self._properties.values():
                column.put(ordinal, twin)
        structure.touched.clear()
        self._is_new = False

    def _mask(self, query: Query) -> Mask:
        mask = self._alive.copy()
        if query.types:
            of_type = np.zeros(len(mask), np.bool_)
            for wanted in query.types:
                for type_id in self._structure.subtypes(wanted):
                    of_type[self._structure.of_type(type_id)] = True
            mask &= of_type
        for path, op, value in query.properties:
            if op not in _COMPARE:
                raise ValueError(f"'{op}' compares nothing; use one of {' '.join(_COMPARE)}")
            mask &= self._property(path).compare(op, value, len(mask))
        if query.box is not None:
            low, high = np.array(query.box[:3]), np.array(query.box[3:])
            mask &= np.all((self._place >= low) & (self._place <= high), axis=1)
        if query.related is not None:
            mask &= self._related(*query.related)
        return mask

    # --- properties ---

    def _property(self, path: str) -> _PropertyColumn:
        column = self._properties.get(path)
        if column is None:
            column = self._properties[path] = _PropertyColumn(path)
            for twin_id, twin in self._structure.twins.items():
                column.put(self._structure.ordinal(twin_id), twin)
            if len(self._properties) > 64:
                self._properties.pop(next(iter(self._properties)))
        return column

    # --- relations ---

    def reached(self, path: tuple[str, ...], twin: str) -> Mask:
        """By ordinal: the living twins from which a relation path leads to a twin; see `Query`.

        Raises:
            ValueError: the path is none, or there is no such twin.
        """
        self._refresh()
        return self._related(path, twin) & self._alive

    def _related(self, path: tuple[str, ...], twin: str) -> Mask:
        if not 1 <= len(path) <= _PATH_LIMIT:
            raise ValueError(f"a relation path has 1 to {_PATH_LIMIT} steps, not {len(path)}")
        at = np.zeros(len(self._alive), np.bool_)
        try:
            at[self._structure.ordinal(twin)] = True
        except KeyError:
            raise ValueError(f"{twin}: no such twin") from None
        for step in reversed(path):
            repeats, inverse = step.endswith("*"), step.startswith("^")
            kind = step.strip("^*")
            # Walking the path from its end: against each step's direction.
            source, target = self._edges_of(kind)
            if not inverse:
                source, target = target, source
            at = _walk(at, source, target, repeats=repeats)
        return at

    def _edges_of(self, kind: str) -> tuple[Ordinals, Ordinals]:
        """(sources, targets) of the relations of a kind."""
        if self._edges_version != self._structure.version:
            self._edges.clear()
            self._edges_version = self._structure.version
        edges = self._edges.get(kind)
        if edges is None:
            ordinal = self._structure.ordinal
            pairs = [
                (ordinal(r.source), ordinal(r.target))
                for r in self._structure.relations.values()
                if r.kind == kind
            ]
            columns = np.array(pairs, np.int32).reshape(-1, 2)
            edges = self._edges[kind] = (columns[:, 0], columns[:, 1])
        return edges

    # --- text ---

    def _text_page(self, words: list[str], mask: Mask, limit: int, after: int) -> Page:
        """Twins whose text has all the words; the longest is looked for, the others then."""
        found: list[int] = []
        *others, needle = words
        first = (after + 1) // _CHUNK
        for chunk in range(first, len(self._chunks)):
            window = mask[chunk * _CHUNK : (chunk + 1) * _CHUNK]
            if not window.any():
                continue
            text, starts, ordinals = self._chunk(chunk)
            at = text.find(needle, 0)
            while at >= 0:
                row = bisect.bisect_right(starts, at) - 1
                ordinal = ordinals[row]
                start = starts[row]
                end = starts[row + 1] if row + 1 < len(starts) else len(text)
                if (
                    ordinal > after
                    and mask[ordinal]
                    and all(text.find(word, start, end) >= 0 for word in others)
                ):
                    found.append(ordinal)
                    if len(found) > limit:
                        return self._page(found, limit, None)
                at = text.find(needle, end)
        return self._page(found, limit, None)

    def _chunk(self, chunk: int) -> tuple[str, list[int], list[int]]:
        """(text of some twins, where each starts, their ordinals)."""
        known = self._chunks[chunk]
        if known is None:
            texts: list[str] = []
            starts: list[int] = []
            ordinals: list[int] = []
            length = 0
            for ordinal in range(
                chunk * _CHUNK, min((chunk + 1) * _CHUNK, self._structure.n_ordinals)
            ):
                twin = self._structure.twin_at(ordinal)
                if twin is not None:
                    text = self._text(twin)
                    starts.append(length)
                    ordinals.append(ordinal)
                    texts.append(text)
                    length += len(text) + 1
            known = self._chunks[chunk] = ("\n".join(texts), starts, ordinals)
        return known

    def _text(self, twin: Twin) -> str:
        parts = [twin.id, *(text for _, text in twin.name.by_language)]
        declared = self._structure.types.get(twin.type)
        parts += [text for _, text in declared.name.by_language] if declared else [twin.type]
        for prop in twin.properties:
            if isinstance(prop.value, str):
                parts.append(prop.value)
            elif isinstance(prop.value, Text):
                parts += [text for _, text in prop.value.by_language]
        return " ".join(parts).casefold().replace("\n", " ")


_Edges = tuple[Ordinals, Ordinals]


class _PropertyColumn:
    """One property of all twins: numbers as they are, everything else by a code per value."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._numbers = np.full(64, np.nan)
        self._codes = np.full(64, -1, np.int32)
        self._code_of: dict[Scalar, int] = {}

    def put(self, ordinal: int, twin: Twin | None) -> None:
        if ordinal >= len(self._codes):
            room = max(ordinal + 1, 2 * len(self._codes))
            for name, fill in (("_numbers", np.nan), ("_codes", -1)):
                old = getattr(self, name)
                new = np.full(room, fill, old.dtype)
                new[: len(old)] = old
                setattr(self, name, new)
        found = twin.property(self._path) if twin else None
        value = found.value if found else None
        if isinstance(value, Text):
            value = value.best()
        elif isinstance(value, Ref):
            value = value.iri
        self._numbers[ordinal], self._codes[ordinal] = math.nan, -1
        if isinstance(value, bool | str):
            self._codes[ordinal] = self._code_of.setdefault(value, len(self._code_of))
        elif isinstance(value, int | float):
            self._numbers[ordinal] = value

    def compare(self, op: str, value: Scalar, n: int) -> Mask:
        result = np.zeros(n, np.bool_)
        m = min(n, len(self._codes))
        numbers, codes = self._numbers[:m], self._codes[:m]
        if isinstance(value, bool | str):
            if op in ("==", "!="):
                code = self._code_of.get(value, -2)
                result[:m] = _COMPARE[op](codes, code) & (codes >= 0)
            else:
                fits = [
                    code
                    for known, code in self._code_of.items()
                    if isinstance(known, type(value)) and _COMPARE[op](known, value)
                ]
                result[:m] = np.isin(codes, fits)
        elif value is None:
            is_missing = np.isnan(numbers) & (codes < 0)
            result[:] = op == "=="
            result[:m] = is_missing if op == "==" else ~is_missing
        else:
            result[:m] = _COMPARE[op](numbers, value) & ~np.isnan(numbers)
        return result


def _walk(at: Mask, source: Ordinals, target: Ordinals, *, repeats: bool) -> Mask:
    """The twins that one step (or any number of steps) from those at `at` leads to."""
    if not repeats:
        reached = np.zeros(len(at), np.bool_)
        reached[target[at[source]]] = True
        return reached
    reached = at.copy()
    while True:
        new = target[reached[source]]
        new = new[~reached[new]]
        if not len(new):
            return reached
        reached[new] = True
