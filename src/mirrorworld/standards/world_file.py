"""A world's structure as one readable JSON file: what a person would write by hand or keep in git.

Types, twins as they now are, relations and arms; no samples (the record holds those) and no
secrets (they are never in a world).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, TypeVar

from mirrorworld.world.changes import Arm, Edit, Edits, PutRelation, PutTwin, PutType
from mirrorworld.world.model import Relation, Twin, TwinType
from mirrorworld.world.plain import from_plain, to_plain
from mirrorworld.world.ports import Carried
from mirrorworld.world.world import World

T = TypeVar("T")

VERSION: Final = 1
SIZE_LIMIT_BYTES: Final = 1 << 30


class WorldFile:
    """The `Format` (world/ports.py) of `.world.json` files."""

    name = "world file"
    suffixes = (".world.json",)

    def import_(self, path: Path) -> tuple[Edits, Carried]:
        """The edits that make a world of the file.

        Raises:
            ValueError: the file is not one; the message names the place in it.
        """
        size = path.stat().st_size
        if size > SIZE_LIMIT_BYTES:
            raise ValueError(f"{path}: {size} bytes; a world file has at most {SIZE_LIMIT_BYTES}")
        try:
            content: Any = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: not JSON: {error}") from error
        if not isinstance(content, dict) or content.get("version") != VERSION:
            raise ValueError(f"{path}: 'version' must be {VERSION}; this is no world file of today")
        unknown = set(content) - {"version", "world", "types", "twins", "relations", "arms"}

        def rows(name: str, cls: type[T]) -> list[T]:
            found = content.get(name, [])
            if not isinstance(found, list):
                raise ValueError(f"{path}: '{name}' must be a list")
            return [from_plain(cls, row, f"{path}: {name}[{i}]") for i, row in enumerate(found)]

        types, twins = rows("types", TwinType), rows("twins", Twin)
        relations, arms = rows("relations", Relation), rows("arms", Arm)
        edits: list[Edit] = [PutType(each) for each in types]
        edits += [PutTwin(each) for each in twins]
        edits += [PutRelation(each) for each in relations]
        carried = Carried(
            twins=len(twins),
            types=len(types),
            relations=len(relations),
            lost=(
                *((f"{path}: {name}", "unknown to this version") for name in sorted(unknown)),
                *([(f"{path}: arms", f"{len(arms)} points and operations: a person arms them here")]
                  if arms else []),
            ),
        )  # fmt: skip
        return Edits(tuple(edits), f"import of {path.name}"), carried

    def export(self, world: World, path: Path) -> Carried:
        """Writes the structure of a world."""
        structure = world.structure
        content = {
            "version": VERSION,
            "world": world.id,
            "types": [to_plain(t) for t in structure.types.values()],
            "twins": [to_plain(t) for t in structure.twins.values()],
            "relations": [to_plain(r) for r in structure.relations.values()],
            "arms": [to_plain(a) for a in structure.arms.values()],
        }
        new = path.with_name(path.name + ".new")
        new.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        new.replace(path)
        n_values = int((world.state.changed >= 0).sum())
        return Carried(
            twins=len(structure.twins),
            types=len(structure.types),
            relations=len(structure.relations),
            lost=((world.id, f"latest values of {n_values} points: they are in the record"),)
            if n_values
            else (),
        )
