"""What a world is made of: types, twins, properties, points, operations, relations.

Plain immutable values, no behaviour beyond their own consistency and their plain
(JSON-like) form. How the models of other standards map onto these, and what would be
lost, is worked through in docs/adr/0002-type-model.md.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field


class Kind(enum.IntEnum):
    """What one sample of a point is. Numbers are part of the log format."""

    FLOAT = 0
    INT = 1
    BOOL = 2
    ENUM = 3
    TEXT = 4
    ARRAY = 5
    BLOB = 6

    @property
    def is_heap(self) -> bool:
        """Whether values are of variable size and travel in a frame's heap."""
        return self >= Kind.TEXT


@dataclass(frozen=True, slots=True)
class Text:
    """One text in several languages: BCP 47 tag -> text; the tag "" is "no language given"."""

    by_language: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def of(text: str | Text, language: str = "") -> Text:
        """`text` as a Text; a Text is returned as it is."""
        if isinstance(text, Text):
            return text
        return Text(((language, text),)) if text else Text()

    def best(self, *languages: str) -> str:
        """The text in the first of `languages` that it has, else in English, else in any."""
        have = dict(self.by_language)
        for language in (*languages, "", "en"):
            if language in have:
                return have[language]
        return self.by_language[0][1] if self.by_language else ""


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to something by IRI: another twin, a concept, a document elsewhere."""

    iri: str


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored blob by content: `sha256` in hex, media type, size."""

    sha256: str
    media_type: str = "application/octet-stream"
    size_bytes: int = 0
    name: str = ""


Scalar = None | bool | int | float | str
Value = Scalar | Text | Ref | Blob | tuple["Property", ...] | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Property:
    """One slowly changing fact: a name, a value, and what is said about it.

    A value that is a tuple of properties is a nested collection; children with the empty name
    are a list, in order. `attributes` are statements about the property itself (NGSI-LD
    property of a property, AAS qualifier, WoT form, USD metadata).
    """

    name: str
    value: Value = None
    datatype: str = ""
    """The source standard's own type name (`xs:double`, `token`), where it says more."""
    unit: str = ""
    """UCUM."""
    semantic_ids: tuple[str, ...] = ()
    attributes: tuple[Property, ...] = ()

    def children(self) -> Iterator[Property]:
        """The nested properties, if the value is a collection."""
        if isinstance(self.value, tuple):
            for child in self.value:
                if isinstance(child, Property):
                    yield child

    def at(self, path: str) -> Property | None:
        """The property at a `/`-separated path below this one."""
        head, _, rest = path.partition("/")
        for child in self.children():
            if child.name == head:
                return child.at(rest) if rest else child
        return None


@dataclass(frozen=True, slots=True)
class PropertyType:
    """A property that twins of a type are expected to have."""

    name: str
    datatype: str = ""
    unit: str = ""
    semantic_ids: tuple[str, ...] = ()
    required: bool = False
    children: tuple[PropertyType, ...] = ()
    description: Text = field(default_factory=Text)


@dataclass(frozen=True, slots=True)
class PointType:
    """One live signal: its kind, unit (UCUM), range and meaning."""

    name: str
    kind: Kind = Kind.FLOAT
    unit: str = ""
    low: float | None = None
    high: float | None = None
    semantic_ids: tuple[str, ...] = ()
    labels: tuple[tuple[int, str], ...] = ()
    """For enums: code -> label."""
    is_writable: bool = False
    """The source says that it can be written. Writing also needs the point to be armed."""
    description: Text = field(default_factory=Text)


@dataclass(frozen=True, slots=True)
class OperationType:
    """Something that the real thing can be asked to do. Arguments are described like points."""

    name: str
    inputs: tuple[PointType, ...] = ()
    outputs: tuple[PointType, ...] = ()
    semantic_ids: tuple[str, ...] = ()
    description: Text = field(default_factory=Text)


@dataclass(frozen=True, slots=True)
class RelationType:
    """A relation that twins of a type may have, with the attributes that it may carry."""

    name: str
    target_type: str = ""
    min_count: int = 0
    max_count: int | None = None
    properties: tuple[PropertyType, ...] = ()
    semantic_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TwinType:
    """What twins of a kind have in common. `extends` are ids of other types, nearest first.

    `components` are parts that every twin of the type has: name -> type id. Their points are
    declared on the twin itself as `component/point`.
    """

    id: str
    name: Text = field(default_factory=Text)
    extends: tuple[str, ...] = ()
    properties: tuple[PropertyType, ...] = ()
    points: tuple[PointType, ...] = ()
    operations: tuple[OperationType, ...] = ()
    relations: tuple[RelationType, ...] = ()
    components: tuple[tuple[str, str], ...] = ()
    semantic_ids: tuple[str, ...] = ()
    geometry: str = ""
    """What twins of the type look like: `asset:NAME`, a stored glTF file `blob:SHA256` (both may
    go on with `?scale=0.001&up=z`), or "" for a plain body."""
    description: Text = field(default_factory=Text)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a twin stands: world_from_twin, metres, right-handed, y up; unit quaternion."""

    x_m: float = 0.0
    y_m: float = 0.0
    z_m: float = 0.0
    qx: float = 0.0
    qy: float = 0.0
    qz: float = 0.0
    qw: float = 1.0


@dataclass(frozen=True, slots=True)
class Twin:
    """One identified thing. `id` is an IRI (relative ones are resolved against the world's)."""

    id: str
    type: str = ""
    name: Text = field(default_factory=Text)
    properties: tuple[Property, ...] = ()
    points: tuple[PointType, ...] = ()
    """Points of this twin beyond those of its type."""
    operations: tuple[OperationType, ...] = ()
    pose: Pose | None = None
    geometry: str = ""
    """Overrides the type's geometry where it is not empty."""

    def property(self, path: str) -> Property | None:
        """The property at a `/`-separated path."""
        return Property("", self.properties).at(path)


# The relations that the kernel's own rooms use; any other name or IRI is as good.
PART_OF = "part_of"
FEEDS = "feeds"
POWERS = "powers"
CONTROLS = "controls"
DEPENDS_ON = "depends_on"
LOCATED_IN = "located_in"


@dataclass(frozen=True, slots=True)
class Relation:
    """A typed edge between twins, with attributes of its own.

    Two relations are the same if `kind`, `source`, `target` and `name` are; `name` tells
    parallel edges apart and is usually empty.
    """

    kind: str
    source: str
    target: str
    name: str = ""
    properties: tuple[Property, ...] = ()

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What identifies the relation."""
        return (self.kind, self.source, self.target, self.name)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What people wrote down for the world as a whole: a rule, a board, a plan of shifts.

    `body` is JSON text that the room of that kind reads; the kernel keeps it as it is.
    """

    kind: str
    name: str
    body: str = "{}"


def point_id(twin: str, point: str) -> str:
    """The name of a point in a world: `twin.point`, as in `line1/filler.level`."""
    return f"{twin}.{point}"
