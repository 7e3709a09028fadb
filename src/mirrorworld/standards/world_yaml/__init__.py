"""`world.yaml`: what people authored in a world, and its structure, as one readable file.

It is made to live in git: entries in a stable order, one fact on a line; an export over an older
file leaves what has not changed as it stands, comments included. docs/guide/world-file.md says what
may stand in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mirrorworld.marked_yaml import MarkedError
from mirrorworld.standards.world_yaml import layout, merging, reading, writing
from mirrorworld.standards.world_yaml.reading import SIZE_BYTES_MAX, Placed, SourceText, WorldText
from mirrorworld.standards.world_yaml.writing import Scope, source_of, variable_of
from mirrorworld.world.changes import Edits, OriginKind
from mirrorworld.world.ports import Carried, SourceConfig
from mirrorworld.world.structure import Structure
from mirrorworld.world.world import World

ARMED = "a person arms them here"
HEAD = "# A world of Mirrorworld. What may stand here: docs/guide/world-file.md\n"


class WorldYaml:
    """The `Format` (world/ports.py) of `world.yaml`."""

    name = "world file"
    suffixes = (".yaml", ".yml")

    def import_(self, path: Path) -> tuple[Edits, Carried]:
        """The edits that make a world of the file. Sources and arms are not in them.

        Raises:
            ValueError: the file is not one; the message names line, column and mend.
        """
        text = read_file(path)
        order = ("declared", "types", "twins", "said", "sheets")
        placed = sorted(text.placed(*order), key=lambda one: _rank(one))
        lost = [(f"{path}: source {name}", "a source is added to a world that runs: mirrorworld up")
                for name in text.sources]  # fmt: skip
        if text.written:
            why = "notes and tasks come with `mirrorworld import` or /api/import"
            lost.append((f"{path}: written", why))
        n_arms = len(text.placed("arms"))
        if n_arms:
            lost.append((f"{path}: arms", f"{n_arms} points and operations: {ARMED}"))
        carried = counted([one.edit for one in placed], lost)
        return Edits(tuple(one.edit for one in placed), f"import of {path.name}"), carried

    def export(self, world: World, path: Path) -> Carried:
        """Writes a world whose twins are all people's own, or whose sources nobody names."""
        return self.export_with(world, path, ())

    def export_with(
        self,
        world: World,
        path: Path,
        sources: Sequence[SourceConfig],
        photo: Callable[[str], bytes | None] = lambda _: None,
    ) -> Carried:
        """Writes a world, its sources and the photos of its notes; over an older file of it, only
        what changed."""
        old = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        text, carried = write(
            world.id,
            world.structure,
            sources,
            known=sources_in(world),
            folder=path.parent,
            types=merging.types_in(old),
            writings=world.writings,
            photo=photo,
        )
        if old:
            text = merging.merged(old, text)
        new = path.with_name(path.name + ".new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)
        return carried


def write(
    world_id: str,
    structure: Structure,
    sources: Sequence[SourceConfig] = (),
    *,
    known: Sequence[str] = (),
    sees: Callable[[str], bool] = lambda _: True,
    folder: Path | None = None,
    types: frozenset[str] = frozenset(),
    writings: Mapping[str, tuple[bytes, ...]] | None = None,
    photo: Callable[[str], bytes | None] = lambda _: None,
) -> tuple[str, Carried]:
    """A world as text.

    Args:
        known: names of further sources whose twins are in the world.
        folder: where the text will lie: files below it are named from there.
        types: those that are known to be people's own, though nothing is of them.
        writings: by twin, the updates of its document of notes and tasks.
        photo: the picture of a note by its SHA-256; None where it is not at hand.
    """

    def relative(path: str) -> str:
        if folder is None:
            return path
        try:
            return Path(path).relative_to(folder.resolve()).as_posix()
        except ValueError:
            return path

    scope = Scope(sources, frozenset(known), sees, relative, types, writings or {}, photo)
    tree = writing.tree(world_id, structure, scope)
    text = HEAD + "\n".join(_spaced(layout.lines(tree))) + "\n"
    twins = [twin for twin in structure.twins if sees(twin)]
    return text, Carried(
        len(twins), len(structure.types), len(structure.relations), tuple(scope.lost)
    )


def _spaced(lines: list[str]) -> list[str]:
    """An empty line before each section that has entries of its own."""
    found: list[str] = []
    for line in lines:
        if line.endswith(":") and not line.startswith(" "):
            found.append("")
        found.append(line)
    return found


def read_file(path: Path) -> WorldText:
    """What a file says; ValueError names file, line, column and mend."""
    if path.stat().st_size > SIZE_BYTES_MAX:
        raise ValueError(f"{path}: a world file has at most {SIZE_BYTES_MAX} bytes")
    try:
        return read_text(path.read_text(encoding="utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: this is no text in UTF-8 ({error.reason})") from None


def read_text(text: str, name: str) -> WorldText:
    """What a text says; ValueError names it, line, column and mend."""
    try:
        return reading.read(text)
    except MarkedError as error:
        place = f"{error.place}: " if error.place else ""
        raise ValueError(f"{name}: {place}{error.problem}") from None


def sources_in(world: World) -> list[str]:
    """Sources that have sent samples, running or not."""
    return sorted({o.by for o in world.origins if o.kind == OriginKind.MEASURED and o.by})


def counted(edits: Sequence[object], lost: Sequence[tuple[str, str]] = ()) -> Carried:
    """How much of everything some edits bring."""
    kinds = [type(edit).__name__ for edit in edits]
    return Carried(
        kinds.count("PutTwin"), kinds.count("PutType"), kinds.count("PutRelation"), tuple(lost)
    )


_RANKS = {"PutType": 0, "PutTwin": 1, "PutRelation": 3, "PutSheet": 4}


def _rank(one: Placed) -> int:
    """Types before twins, twins before what is said of them and between them."""
    return _RANKS.get(type(one.edit).__name__, 2)


__all__ = [
    "ARMED",
    "Placed",
    "SourceText",
    "WorldText",
    "WorldYaml",
    "counted",
    "read_file",
    "read_text",
    "source_of",
    "sources_in",
    "variable_of",
    "write",
]
