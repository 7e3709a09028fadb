"""Wholes and parts: that nothing becomes a part of itself.

Sources say what they say; a ring among what people say is a slip, and is refused before it is in
the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mirrorworld.world.changes import DropRelation, Edits, PutRelation
from mirrorworld.world.model import LOCATED_IN, PART_OF
from mirrorworld.world.structure import RelationKey, Structure

KINDS: Final = frozenset({PART_OF, LOCATED_IN})
"""Relations of which each leads to a whole, so that a way back would be a ring."""


class Wholes:
    """The wholes of a structure with some relations more and some less."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._more: dict[tuple[str, str], list[str]] = {}
        self._less: set[RelationKey] = set()

    def put(self, kind: str, source: str, target: str) -> None:
        """From now on `source` is a part of `target`."""
        self._more.setdefault((kind, source), []).append(target)

    def drop(self, key: RelationKey) -> None:
        """From now on a relation is not there."""
        self._less.add(key)

    def of(self, kind: str, twin: str) -> Iterator[str]:
        """What a twin is part of."""
        for relation in self._structure.relations_from(twin):
            if relation.kind == kind and relation.key not in self._less:
                yield relation.target
        yield from self._more.get((kind, twin), ())

    def way(self, kind: str, start: str, end: str) -> list[str] | None:
        """The way from a part up to one of its wholes, both included; None: there is none."""
        came_from: dict[str, str] = {start: ""}
        front = [start]
        while front:
            at = front.pop()
            if at == end:
                way = [at]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            for whole in self.of(kind, at):
                if whole not in came_from:
                    came_from[whole] = at
                    front.append(whole)
        return None


def check_rings(structure: Structure, edits: Edits) -> None:
    """Raises ValueError where edits would make something a part of itself; the message names the
    ring."""
    put = [
        edit.relation
        for edit in edits.edits
        if isinstance(edit, PutRelation) and edit.relation.kind in KINDS
    ]
    if not put:
        return
    wholes = Wholes(structure)
    for edit in edits.edits:
        if isinstance(edit, DropRelation):
            wholes.drop((edit.kind, edit.source, edit.target, edit.name))
    for relation in put:
        wholes.put(relation.kind, relation.source, relation.target)
    for relation in put:
        way = wholes.way(relation.kind, relation.target, relation.source)
        if way is not None:
            raise ValueError(ring_words(relation.kind, relation.source, way))


def ring_words(kind: str, source: str, way: list[str]) -> str:
    """What is wrong with a ring, for a person."""
    words = "part of" if kind == PART_OF else "located in"
    if way == [source]:
        return f"{source}: nothing can be {words} itself"
    shown = way if len(way) <= 8 else [*way[:4], "…", *way[-3:]]
    ring = f" {words} ".join([source, *shown])
    return f"{source}: would be {words} itself ({ring}); end one of these first"
