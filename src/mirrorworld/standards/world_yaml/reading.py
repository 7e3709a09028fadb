"""A `world.yaml` as edits, each with its place, so that what is wrong is told by line and column.

Everything is checked before anything is made: unknown keys, kinds of values, units. Knows the
file; refuses to know what is in the world that it goes to (see `exchange/planning.py`).
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeVar

from mirrorworld import attachments, units
from mirrorworld.authoring import updates
from mirrorworld.authoring.documents import DOCUMENT_BYTES_MAX, Document
from mirrorworld.marked_yaml import MarkedError, Node
from mirrorworld.marked_yaml import read as read_marked
from mirrorworld.standards.world_yaml.writing import (
    PHOTO_BYTES_MAX,
    PHOTOS_BYTES_MAX,
    VERSION,
    turned,
)
from mirrorworld.world.changes import (
    Arm,
    DropProperty,
    DropRelation,
    Edit,
    PutGeometry,
    PutName,
    PutPointAbout,
    PutPoints,
    PutPose,
    PutProperty,
    PutRelation,
    PutSheet,
    PutTwin,
    PutType,
    PutTypeOf,
    Writing,
)
from mirrorworld.world.model import (
    Blob,
    Kind,
    OperationType,
    PointType,
    Pose,
    Property,
    PropertyType,
    Ref,
    Relation,
    RelationType,
    Scalar,
    Sheet,
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.plain import from_plain, from_tagged

DEPTH_MAX: Final = 120
SIZE_BYTES_MAX: Final = 256 << 20
DIGITS_MAX: Final = 400
SECTIONS: Final = (
    "mirrorworld",
    "world",
    "sources",
    "types",
    "twins",
    "said",
    "sheets",
    "written",
    "photos",
    "arms",
    "declared",
)
NAME_OF_SOURCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

_INT: Final = re.compile(r"[-+]?\d+")
_FLOAT: Final = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?")
_SPECIAL: Final = {".nan": "nan", ".inf": "inf", "-.inf": "-inf", "+.inf": "inf"}

T = TypeVar("T")
Place = tuple[int, int]
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """An edit and where in the file it stands (line, column)."""

    edit: Edit
    at: Place


@dataclass(frozen=True, slots=True)
class SourceText:
    """A source as the file has it: secrets may be `${NAME}`, paths relative to the file."""

    name: str
    url: str
    username: str = ""
    password: str = ""
    options: tuple[tuple[str, Scalar], ...] = ()
    at: Place = field(default=(1, 1), compare=False)


@dataclass(slots=True)
class WorldText:
    """What a file says, entry by entry; a key is the way to an entry: ("twins", "hall/pump")."""

    world: str = ""
    sources: dict[str, SourceText] = field(default_factory=dict[str, SourceText])
    entries: dict[Key, tuple[Placed, ...]] = field(default_factory=dict[Key, tuple[Placed, ...]])
    written: dict[str, Writing] = field(default_factory=dict[str, Writing])
    """By twin: its document of notes and tasks, as one update."""
    photos: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """By SHA-256: the pictures that these documents show."""

    def placed(self, *sections: str) -> list[Placed]:
        """The edits of some sections, in order."""
        found = [one for key, some in self.entries.items() if key[0] in sections for one in some]
        return found


def read(text: str) -> WorldText:
    """What a text says.

    Raises:
        MarkedError: it is no world file; the error has line and column, what is wrong and the mend.
    """
    root = read_marked(text, depth_max=DEPTH_MAX, allows_aliases=False)
    if root.fields is None or "mirrorworld" not in root.fields:
        wrong(root, f"a world file begins with 'mirrorworld: {VERSION}'")
    only(root, SECTIONS, "a world file")
    version = root.fields["mirrorworld"]
    if version.text != str(VERSION):
        wrong(version, f"this reads version {VERSION}, the file is of {version.what}")
    found = WorldText()
    if "world" in root.fields:
        found.world = text_of(root.fields["world"])
    for name, node in entries_of(root, "sources"):
        found.sources[name] = _source(name, node, _key(root, "sources", name))
    for section in ("types", "twins", "said"):
        _section(found, root, section, (section,))
    for kind, some in entries_of(root, "sheets"):
        for name, node in mapping(some):
            if not kind or not name:
                wrong(node, "a sheet needs a kind and a name")
            put = PutSheet(Sheet(kind, name, _sheet_body(node)))
            found.entries["sheets", kind, name] = (Placed(put, at_key(some, name)),)
    shown: set[str] = set()
    for twin, node in entries_of(root, "written"):
        update, photos = checked(node, _document, text_of(node))
        found.written[twin] = Writing(twin, update)
        shown |= photos
    n_bytes = 0
    for sha256, node in entries_of(root, "photos"):
        if sha256 not in shown:
            wrong(node, f"no note in this file shows the photo {sha256[:12]}…; leave it out")
        found.photos[sha256] = checked(node, _photo, sha256, text_of(node))
        n_bytes += len(found.photos[sha256])
        if n_bytes > PHOTOS_BYTES_MAX:
            wrong(node, f"the photos of a file have at most {PHOTOS_BYTES_MAX >> 20} MiB together")
    for twin, some in entries_of(root, "arms"):
        arms = [
            Placed(checked(node, from_plain, Arm, {**_json(node), "twin": twin, "name": name}), at)
            for name, node in mapping(some)
            for at in [at_key(some, name)]
            if node.fields is not None or wrong(node, "a mapping was expected, as {low: 0}")
        ]
        found.entries["arms", twin] = tuple(arms)
    declared = root.fields.get("declared")
    if declared is not None:
        mapping(declared)
        only(declared, ("types", "twins"), "declared")
        for section in ("types", "twins"):
            _section(found, declared, section, ("declared", section))
    return found


def _document(text: str) -> tuple[bytes, set[str]]:
    """The update of a twin's document, and the photos that it shows; ValueError where it says what
    notes cannot say."""
    document, update = Document(), updates.of_base64(text)
    document.take(update, None, math.inf, most=DOCUMENT_BYTES_MAX)
    return update, document.photos()


def _photo(sha256: str, text: str) -> bytes:
    """A picture of a note; ValueError where it is none, too large, or not what its name says."""
    if len(text) > 4 * (PHOTO_BYTES_MAX // 3 + 1):
        raise ValueError(f"a photo has at most {PHOTO_BYTES_MAX >> 20} MiB; save it smaller")
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("this is not base64") from None
    is_hash = hashlib.sha256(content).hexdigest()
    if is_hash != sha256:
        raise ValueError(
            f"the photo is not what its name says: its SHA-256 is {is_hash[:12]}…, not"
            f" {sha256[:12]}…; take it from the export anew"
        )
    attachments.check_photo(content)
    return content


def _section(found: WorldText, parent: Node, section: str, way: Key) -> None:
    reader = {"types": _type_entry, "twins": _twin_entry, "said": _said_entry}[section]
    is_free = way[0] == "declared"
    for name, node in entries_of(parent, section):
        if not name or any(c in name for c in "\n\r\t\0"):
            wrong(node, f"{name!r:.80} is no id: a text without control characters")
        at = at_key(parent.fields[section], name) if parent.fields else (1, 1)
        found.entries[*way, name] = tuple(reader(name, node, at, is_free))


# --- entries --------------------------------------------------------------------------------


def _source(name: str, node: Node, at: Place) -> SourceText:
    if not NAME_OF_SOURCE.fullmatch(name):
        raise MarkedError(
            at[0], f"'{name[:60]}' cannot name a source: letters, digits, _ . -", at[1]
        )
    if node.text is not None:
        return SourceText(name, node.text, at=at)
    only(node, ("url", "username", "password", "options"), f"source {name}")
    fields = fields_of(node)
    if not fields.get("url"):
        wrong(node, f"source {name} needs a url, as opc.tcp://host:4840 or data/shift.csv")
    given = sorted(entries_of(node, "options"), key=lambda entry: entry[0])
    options = tuple((key, scalar_of(value)) for key, value in given)
    user, password = (
        text_of(fields[key]) if key in fields else "" for key in ("username", "password")
    )
    return SourceText(name, text_of(fields["url"]), user, password, options, at)


_TYPE_KEYS: Final = (
    "name",
    "description",
    "extends",
    "means",
    "looks",
    "properties",
    "points",
    "operations",
    "relations",
    "components",
)
_TWIN_KEYS: Final = (
    "type",
    "name",
    "at",
    "turned_deg",
    "quaternion",
    "looks",
    "properties",
    "points",
    "operations",
    "relations",
    "said",
)
_SAID_KEYS: Final = (
    "type",
    "name",
    "at",
    "turned_deg",
    "quaternion",
    "looks",
    "properties",
    "without",
    "points",
    "about",
    "relations",
    "ended",
)


def _type_entry(id_: str, node: Node, at: Place, is_free: bool) -> list[Placed]:
    only(node, _TYPE_KEYS, f"type {id_}")
    get = _Fields(node)
    if id_ in get.texts("extends"):
        wrong(get.at("extends"), "a type cannot extend itself")
    put = TwinType(
        id_,
        get.language("name"),
        get.texts("extends"),
        get.named("properties", PropertyType, _property_type, is_free),
        get.points("points", is_free),
        get.named("operations", OperationType, _operation, is_free),
        get.named("relations", RelationType, _relation_type, is_free),
        get.pairs("components", text_of),
        get.texts("means"),
        get.text("looks"),
        get.language("description"),
    )
    return [Placed(PutType(put), at)]


def _twin_entry(id_: str, node: Node, at: Place, is_free: bool) -> list[Placed]:
    only(node, _TWIN_KEYS, f"twin {id_}")
    get = _Fields(node)
    put = Twin(
        id_,
        get.text("type"),
        get.language("name"),
        get.named("properties", Property, _property, is_free),
        get.points("points", is_free),
        get.named("operations", OperationType, _operation, is_free),
        get.pose(),
        get.text("looks"),
    )
    said = get.fields.get("said")
    more = [] if said is None else _said_entry(id_, said, at, is_free)
    return [Placed(PutTwin(put), at), *more, *_relations(id_, node)]


def _said_entry(id_: str, node: Node, at: Place, is_free: bool) -> list[Placed]:
    only(node, _SAID_KEYS, f"what is said of {id_}")
    get = _Fields(node)
    found: list[tuple[str, Edit]] = []
    if "type" in get.fields:
        found.append(("type", PutTypeOf(id_, get.text("type"))))
    if "name" in get.fields:
        found.append(("name", PutName(id_, get.language("name"))))
    pose = get.pose()
    if pose is not None:
        found.append(("at", PutPose(id_, pose)))
    if "looks" in get.fields:
        found.append(("looks", PutGeometry(id_, get.text("looks"))))
    for prop in get.named("properties", Property, _property, is_free):
        if not prop.name:
            wrong(get.at("properties"), "a property at the top needs a name")
        found.append(("properties", PutProperty(id_, prop)))
    found += [("without", DropProperty(id_, name)) for name in get.texts("without")]
    found += [("points", PutPoints(id_, (p,))) for p in get.points("points", is_free)]
    found += [("about", each) for each in _abouts(id_, node)]
    keys = node.keys or {}
    placed = [Placed(edit, _at(keys[key])) for key, edit in found]
    ended = [
        Placed(DropRelation(*relation.key), at)
        for relation, at in _relations_at(id_, node, "ended")
    ]
    return [*placed, *_relations(id_, node), *ended]


def _abouts(twin: str, node: Node) -> list[PutPointAbout]:
    found: list[PutPointAbout] = []
    for point, about in entries_of(node, "about"):
        keys = ("unit", "unit_text", "low", "high", "range", "means", "labels", "description")
        only(about, keys, f"what is said about {twin}.{point}")
        get = _Fields(about)
        low, high = get.limits()
        found.append(
            PutPointAbout(
                twin,
                point,
                get.unit(False) if {"unit", "unit_text"} & set(get.fields) else None,
                low,
                high,
                get.texts("means") if "means" in get.fields else None,
                get.pairs("labels", text_of, integer) if "labels" in get.fields else None,
                get.language("description") if "description" in get.fields else None,
            )
        )
    return found


def _relations(twin: str, node: Node) -> list[Placed]:
    return [
        Placed(PutRelation(relation), at) for relation, at in _relations_at(twin, node, "relations")
    ]


def _relations_at(twin: str, node: Node, key: str) -> list[tuple[Relation, Place]]:
    """The relations that start at a twin, as stand below a key, and where."""
    found: list[tuple[Relation, Place]] = []
    for kind, targets in entries_of(node, key):
        if not kind:
            wrong(targets, "a relation needs a kind, as part_of")
        for target in targets.rows if targets.rows is not None else [targets]:
            if target.text is not None:
                relation = Relation(kind, twin, target.text)
            else:
                only(target, ("to", "name", "properties"), f"relation {kind} of {twin}")
                get = _Fields(target)
                properties = get.named("properties", Property, _property, True)
                relation = Relation(kind, twin, get.text("to"), get.text("name"), properties)
            if not relation.target:
                wrong(target, f"relation {kind} of {twin} leads nowhere; name the twin")
            found.append((relation, _at(target)))
    return found


# --- things with names ----------------------------------------------------------------------


class _Fields:
    """Reads the fields of a mapping by what they should be."""

    def __init__(self, node: Node) -> None:
        self.node, self.fields = node, fields_of(node)

    def at(self, key: str) -> Node:
        return self.fields[key]

    def text(self, key: str) -> str:
        return text_of(self.fields[key]) if key in self.fields else ""

    def texts(self, key: str) -> tuple[str, ...]:
        node = self.fields.get(key)
        if node is None:
            return ()
        return tuple(text_of(each) for each in (node.rows if node.rows is not None else [node]))

    def flag(self, key: str) -> bool:
        node = self.fields.get(key)
        value = False if node is None else scalar_of(node)
        if not isinstance(value, bool):
            wrong(self.fields[key], "true or false was expected")
        return value

    def language(self, key: str) -> Text:
        node = self.fields.get(key)
        if node is None:
            return Text()
        if node.fields is not None:
            return Text(tuple((tag, text_of(words)) for tag, words in node.fields.items()))
        return Text.of(text_of(node, "a text, or texts by language as {en: Pump, de: Pumpe},"))

    def number(self, key: str) -> float | None:
        node = self.fields.get(key)
        return None if node is None or _is_null(node) else number(node)

    def limits(self) -> tuple[float | None, float | None]:
        low, high = self.number("low"), self.number("high")
        between = self.fields.get("range")
        if between is not None:
            if between.rows is None or len(between.rows) != 2:
                wrong(between, "a range is [lowest, highest], as [0, 100]")
            low, high = (None if _is_null(each) else number(each) for each in between.rows)
        if low is not None and high is not None and low > high:
            wrong(between or self.fields["low"], f"the range from {low:g} to {high:g} is empty")
        return low, high

    def unit(self, is_free: bool) -> str:
        """UCUM. What a source says, and `unit_text`, may be anything."""
        if "unit_text" in self.fields:
            return self.text("unit_text")
        unit = self.text("unit")
        if unit and not is_free:
            try:
                units.parse(unit)
            except units.UnitError as error:
                wrong(self.fields["unit"], f"{error} (what is no unit is a unit_text)")
        return unit

    def pose(self) -> Pose | None:
        at, quaternion = self.fields.get("at"), self.fields.get("quaternion")
        if at is None:
            for key in ("turned_deg", "quaternion"):
                if key in self.fields:
                    wrong(self.at(key), "a turn goes with a place; give 'at' too")
            return None
        place = _numbers(at, 3, "a place is [x, y, z] in metres, y up, as [1.5, 0, -2]")
        if quaternion is not None:
            turn = _numbers(quaternion, 4, "a quaternion is [x, y, z, w], as [0, 0, 0, 1]")
        else:
            turn = turned(self.number("turned_deg") or 0.0)
        return Pose(*place, *turn)

    def pairs(
        self,
        key: str,
        read_value: Callable[[Node], Any],
        read_key: Callable[[Node], Any] | None = None,
    ) -> tuple[Any, ...]:
        node = self.fields.get(key)
        if node is None:
            return ()
        read_key = read_key or text_of
        if node.rows is not None:
            for row in node.rows:
                if row.rows is None or len(row.rows) != 2:
                    wrong(row, "a pair [name, value] was expected")
            return tuple((read_key(r.rows[0]), read_value(r.rows[1])) for r in node.rows if r.rows)
        keys = node.keys or {}
        return tuple((read_key(keys[k]), read_value(v)) for k, v in mapping(node))

    def named(
        self, key: str, cls: type[T], read_one: Callable[[str, Node, bool], T], is_free: bool
    ) -> tuple[T, ...]:
        """Named things: a mapping, or a list of mappings with a `name` each."""
        node = self.fields.get(key)
        if node is None:
            return ()
        if node.rows is not None:
            found: list[T] = []
            for row in node.rows:
                fields = fields_of(row)
                name = text_of(fields["name"]) if "name" in fields else ""
                rest = {k: v for k, v in fields.items() if k != "name"}
                keys = {k: v for k, v in (row.keys or {}).items() if k != "name"}
                bare = Node(row.line, fields=rest, keys=keys, column=row.column)
                found.append(read_one(name, bare, is_free))
            return tuple(found)
        return tuple(read_one(name, each, is_free) for name, each in mapping(node))

    def points(self, key: str, is_free: bool) -> tuple[PointType, ...]:
        """The points of a twin or type: each has a name, and that once."""
        found = self.named(key, PointType, _point, is_free)
        names = [point.name for point in found]
        for name in names:
            if not name or names.count(name) > 1:
                what = f"two points are called '{name}'" if name else "a point needs a name"
                wrong(self.at(key), what)
        return found


_POINT_KEYS: Final = (
    "kind",
    "unit",
    "unit_text",
    "range",
    "low",
    "high",
    "labels",
    "means",
    "writable",
    "description",
)
_KINDS: Final = tuple(kind.name.lower() for kind in Kind)


def _point(name: str, node: Node, is_free: bool) -> PointType:
    if node.fields is None:
        return PointType(name, _kind(node))
    only(node, _POINT_KEYS, f"point {name}")
    get = _Fields(node)
    low, high = get.limits()
    return PointType(
        name,
        _kind(get.at("kind")) if "kind" in get.fields else Kind.FLOAT,
        get.unit(is_free),
        low,
        high,
        get.texts("means"),
        get.pairs("labels", text_of, integer),
        get.flag("writable"),
        get.language("description"),
    )


def _kind(node: Node) -> Kind:
    if node.text not in _KINDS:
        close = difflib.get_close_matches(node.text or "", _KINDS, 1)
        mend = f"; did you mean '{close[0]}'?" if close else ""
        wrong(node, f"{node.what} is no kind of point; there are {', '.join(_KINDS)}{mend}")
    return Kind[node.text.upper()]


def _property_type(name: str, node: Node, is_free: bool) -> PropertyType:
    if node.text is not None:
        return PropertyType(name, node.text)
    keys = ("datatype", "unit", "unit_text", "required", "means", "description", "properties")
    only(node, keys, f"property {name}")
    get = _Fields(node)
    return PropertyType(
        name,
        get.text("datatype"),
        get.unit(is_free),
        get.texts("means"),
        get.flag("required"),
        get.named("properties", PropertyType, _property_type, is_free),
        get.language("description"),
    )


def _operation(name: str, node: Node, is_free: bool) -> OperationType:
    only(node, ("description", "inputs", "outputs", "means"), f"operation {name}")
    get = _Fields(node)
    return OperationType(
        name,
        get.named("inputs", PointType, _point, is_free),
        get.named("outputs", PointType, _point, is_free),
        get.texts("means"),
        get.language("description"),
    )


def _relation_type(name: str, node: Node, is_free: bool) -> RelationType:
    only(node, ("to", "min", "max", "properties", "means"), f"relation {name}")
    get = _Fields(node)
    return RelationType(
        name,
        get.text("to"),
        integer(get.at("min")) if "min" in get.fields else 0,
        integer(get.at("max")) if "max" in get.fields else None,
        get.named("properties", PropertyType, _property_type, is_free),
        get.texts("means"),
    )


_VALUE_KEYS: Final = ("value", "text", "ref", "blob", "properties", "plain")


def _property(name: str, node: Node, is_free: bool) -> Property:
    if node.fields is None:
        return Property(name, _scalars(node))
    only(
        node, ("datatype", "unit", "unit_text", "means", "about", *_VALUE_KEYS), f"property {name}"
    )
    get = _Fields(node)
    given = [key for key in _VALUE_KEYS if key in get.fields]
    if len(given) > 1:
        wrong(get.at(given[1]), f"'{given[0]}' stands there too; give one of the two")
    value: Any = None
    for key in given:
        value = _value(key, get, is_free)
    return Property(
        name,
        value,
        get.text("datatype"),
        get.unit(is_free),
        get.texts("means"),
        get.named("about", Property, _property, is_free),
    )


def _value(key: str, get: _Fields, is_free: bool) -> Any:
    node = get.at(key)
    match key:
        case "value":
            return _scalars(node)
        case "text":
            return get.language("text") if node.fields is not None else Text.of(text_of(node))
        case "ref":
            return Ref(text_of(node))
        case "blob":
            return checked(node, from_plain, Blob, _json(node))
        case "properties":
            return get.named("properties", Property, _property, is_free)
        case _:
            return checked(node, from_tagged, _json(node))


def _sheet_body(node: Node) -> str:
    if node.fields is not None and "@text" in node.fields:
        only(node, ("@text",), "a sheet as text")
        return text_of(node.fields["@text"])
    try:
        return json.dumps(_json(node), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        wrong(node, "a sheet has no numbers that are not finite")


# --- nodes ----------------------------------------------------------------------------------


def wrong(node: Node, problem: str) -> NoReturn:
    """Refuses the file because of what stands at a node."""
    raise MarkedError(node.line, problem, node.column)


def checked(node: Node, read_value: Callable[..., T], *arguments: Any) -> T:
    """Reads a plain form that stands at a node."""
    try:
        return read_value(*arguments)
    except ValueError as error:
        wrong(node, str(error))


def only(node: Node, known: Sequence[str], what: str) -> None:
    """Refuses a mapping with a key that is not known."""
    for key in fields_of(node):
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            mend = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
            at = (node.keys or {}).get(key, node)
            wrong(at, f"{what[:120]} has no '{key[:60]}'; {mend}")


def fields_of(node: Node) -> dict[str, Node]:
    """The fields of a mapping; nothing at all is an empty one."""
    if node.fields is None:
        if node.text == "" and node.is_plain:
            return {}
        wrong(node, f"a mapping (name: value) was expected, got {node.what}")
    return node.fields


def mapping(node: Node) -> list[tuple[str, Node]]:
    """The entries of a mapping."""
    return list(fields_of(node).items())


def entries_of(parent: Node, key: str) -> list[tuple[str, Node]]:
    """The entries of a mapping that may be missing."""
    node = fields_of(parent).get(key)
    return [] if node is None else mapping(node)


def at_key(node: Node, key: str) -> Place:
    """Where a key of a mapping stands."""
    return _at((node.keys or {}).get(key, node))


def _key(root: Node, section: str, name: str) -> Place:
    return at_key(fields_of(root)[section], name)


def _at(node: Node) -> Place:
    return (node.line, node.column)


def text_of(node: Node, expected: str = "a text") -> str:
    """A text."""
    if node.text is None:
        wrong(node, f"{expected} was expected, got {node.what}")
    return node.text


def number(node: Node) -> float:
    """A number as float64."""
    value = scalar_of(node)
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong(node, f"a number was expected, got {node.what}")
    try:
        return float(value)
    except OverflowError:
        wrong(node, "the number is too large")


def integer(node: Node) -> int:
    """A whole number."""
    text = text_of(node, "a whole number")
    value = int(text) if _INT.fullmatch(text) and len(text) <= DIGITS_MAX else None
    if value is None:
        wrong(node, f"a whole number was expected, got {node.what}")
    return value


def scalar_of(node: Node) -> Scalar:
    """What a scalar spells in the core schema of YAML 1.2 (§10.3.2); quoted, it is a text."""
    text = text_of(node, "one value")
    if not node.is_plain:
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        if len(text) > DIGITS_MAX:
            wrong(node, f"a number of more than {DIGITS_MAX} digits; quote it if it is a text")
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.get(text.lower())
    return text if special is None else float(special)


def _is_null(node: Node) -> bool:
    return node.text is not None and scalar_of(node) is None


def _numbers(node: Node, n: int, what: str) -> list[float]:
    if node.rows is None or len(node.rows) != n:
        wrong(node, what)
    return [number(each) for each in node.rows]


def _scalars(node: Node) -> Any:
    """A scalar, or a list of such as a tuple."""
    if node.rows is None:
        return scalar_of(node)
    return tuple(scalar_of(each) for each in node.rows)


def _json(node: Node) -> Any:
    """What a node spells as JSON would."""
    if node.fields is not None:
        return {key: _json(each) for key, each in node.fields.items()}
    if node.rows is not None:
        return [_json(each) for each in node.rows]
    return scalar_of(node)
