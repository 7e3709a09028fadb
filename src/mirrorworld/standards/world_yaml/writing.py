"""A world as the tree of a `world.yaml`: which fact stands where, and in which short form.

What people made (twins, relations, sheets) stands apart from what sources declared (`declared`) and
from what people said over that (`said`). Names of fields are those that `reading.py` takes.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

from mirrorworld import units
from mirrorworld.authoring import updates
from mirrorworld.authoring.documents import Document
from mirrorworld.rules import book
from mirrorworld.standards.world_yaml.layout import Block, short
from mirrorworld.world.changes import (
    DropProperty,
    DropRelation,
    PutGeometry,
    PutName,
    PutPointAbout,
    PutPoints,
    PutPose,
    PutProperty,
    PutTypeOf,
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
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.plain import to_plain
from mirrorworld.world.ports import SourceConfig
from mirrorworld.world.structure import Overlay, Structure

VERSION: Final = 1
PHOTO_BYTES_MAX: Final = 16 << 20
PHOTOS_BYTES_MAX: Final = 96 << 20
"""Of all photos in a file, before base64."""
SECRET_WORDS: Final = ("password", "secret", "token", "key", "signature")
"""An option or a part of an address with one of these in its name may be a secret."""
NESTED_MAX: Final = 24
"""How deep collections of properties are written; what is deeper is reported as lost."""

T = TypeVar("T")
Lost = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a world is written."""

    sources: Sequence[SourceConfig] = ()
    """Those that run or are remembered, with their secrets; these are not written."""
    source_names: frozenset[str] = frozenset()
    """Names of all sources whose twins there are."""
    sees: Callable[[str], bool] = lambda _: True
    """Whether a twin is shown."""
    relative: Callable[[str], str] = lambda path: path
    """A file's path as it is written."""
    types: frozenset[str] = frozenset()
    """Types that are known to be people's own."""
    writings: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict[str, tuple[bytes, ...]])
    """By twin: the updates of its document of notes and tasks."""
    photo: Callable[[str], bytes | None] = lambda _: None
    """The picture of a note by its SHA-256; None where it is not at hand."""
    derived: frozenset[str] = frozenset()
    """Points that rules work out: the rules bring them again."""
    lost: Lost = field(default_factory=Lost)


def source_of(twin: str, names: Iterable[str]) -> str:
    """The source that declares a twin, by the beginning of its id; "" if people made it."""
    fitting = [name for name in names if twin == name or twin.startswith(f"{name}/")]
    return max(fitting, key=len, default="")


def tree(world_id: str, structure: Structure, scope: Scope) -> Block:
    """The whole file."""
    twins = [t for t in structure.twins.values() if scope.sees(t.id)]
    scope = replace(scope, derived=_derived(structure))
    names = scope.source_names | {source.name for source in scope.sources}
    owners = {twin.id: source_of(twin.id, names) for twin in twins}
    foreign = _types_of_sources(structure, owners) - scope.types
    related = _relations(structure, owners)
    root = Block(mirrorworld=VERSION, world=world_id)
    root["sources"] = Block({s.name: _source(s, scope) for s in scope.sources})
    types = {t.id: _type(t) for t in structure.types.values()}
    root["types"] = Block({id_: t for id_, t in types.items() if id_ not in foreign})
    root["twins"], root["said"] = Block(), Block()
    declared = Block(types=Block({id_: t for id_, t in types.items() if id_ in foreign}))
    declared["twins"] = Block()
    for twin in twins:
        said = structure.said(twin.id)
        if owners[twin.id]:
            declared_twin = structure.declared_at(structure.ordinal(twin.id))
            put = _twin(declared_twin, scope)
            put = put | _grouped("relations", related.get((twin.id, True), ()))
            declared["twins"][twin.id] = put
            over = _said(said.values(), scope, twin.id)
            over = over | _grouped("relations", related.get((twin.id, False), ()))
            if over:
                root["said"][twin.id] = over
        else:
            root["twins"][twin.id] = _authored(structure, twin, list(said.values()), scope)
            root["twins"][twin.id] |= _grouped("relations", related.get((twin.id, False), ()))
    root["sheets"] = Block()
    for sheet in structure.sheets.values() if scope.sees("") else ():
        root["sheets"].setdefault(sheet.kind, Block())[sheet.name] = _sheet_body(sheet.body)
    root["written"] = Block()
    shown: dict[str, str] = {}
    for twin, kept in scope.writings.items():
        if twin in structure.twins and scope.sees(twin):
            document = Document(kept)
            root["written"][twin] = updates.to_base64(document.whole())
            shown.update(dict.fromkeys(document.photos(), twin))
    root["photos"] = _photos(shown, scope)
    root["arms"] = Block()
    for arm in structure.arms.values():
        if scope.sees(arm.twin):
            plain = {k: v for k, v in to_plain(arm).items() if k not in ("twin", "name")}
            root["arms"].setdefault(arm.twin, Block())[arm.name] = plain
    root["declared"] = Block({name: rows for name, rows in declared.items() if rows})
    return Block({k: v for k, v in root.items() if v != {} or k == "world"})


def _photos(shown: Mapping[str, str], scope: Scope) -> Block:
    """The pictures of notes, by name; by which twin each is shown."""
    found = Block()
    n_bytes = 0
    for sha256, twin in sorted(shown.items()):
        content = scope.photo(sha256)
        if content is None:
            why = "its file is not here"
        elif len(content) > PHOTO_BYTES_MAX:
            why = f"it is larger than {PHOTO_BYTES_MAX >> 20} MiB"
        elif n_bytes + len(content) > PHOTOS_BYTES_MAX:
            why = f"the photos of a file have at most {PHOTOS_BYTES_MAX >> 20} MiB together"
        else:
            n_bytes += len(content)
            found[sha256] = base64.b64encode(content).decode()
            continue
        scope.lost.append((f"notes of {twin}: photo {sha256[:12]}…", why))
    return found


# --- sources --------------------------------------------------------------------------------


def _source(source: SourceConfig, scope: Scope) -> Block:
    place = f"source {source.name}"
    url, login = _without_secrets(source.url, place, scope)
    found = Block(url=url if "://" in url else scope.relative(url))
    if source.username or login:
        found["username"] = source.username or login
    if source.password:
        found["password"] = _secret(source.name, "password", place, scope)
    options: dict[str, Any] = {}
    for name, value in sorted(source.options.items()):
        if isinstance(value, str) and value and is_secret(name):
            options[name] = _secret(source.name, name, place, scope)
        else:
            is_path = isinstance(value, str) and value.startswith("/")
            options[name] = scope.relative(value) if is_path and isinstance(value, str) else value
    return found | _given(options=options)


def is_secret(name: str) -> bool:
    """Whether an option of a source is a secret, by its name; `tls_key` and the like name files."""
    return any(word in name.lower() for word in SECRET_WORDS) and not name.startswith("tls_")


def _secret(source: str, name: str, place: str, scope: Scope) -> str:
    variable = variable_of(source, name)
    scope.lost.append((f"{place}: {name}", f"a secret; give it as {variable} in the environment"))
    return f"${{{variable}}}"


def variable_of(source: str, name: str) -> str:
    """The environment variable that a secret of a source is asked from."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in f"{source}_{name}").upper()


def _without_secrets(url: str, place: str, scope: Scope) -> tuple[str, str]:
    """An address without login and secret parameters, and the user that stood in it."""
    if "://" not in url:
        return url, ""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    if colon:
        scope.lost.append((f"{place}: url", "the password in it; give it as an option or anew"))
    query = parts.query
    if any(is_secret(name) for name, _ in parse_qsl(query)):
        kept = [part for part in query.split("&") if not is_secret(part.partition("=")[0])]
        query = "&".join(kept)
        scope.lost.append((f"{place}: url", "a secret in its parameters"))
    return parts._replace(netloc=host if at else parts.netloc, query=query).geturl(), user


# --- layers ---------------------------------------------------------------------------------


def _types_of_sources(structure: Structure, owners: dict[str, str]) -> set[str]:
    """Types that sources declare: those of their twins, what these are made of, and, where there
    are sources, those that nothing is of."""
    if not any(owners.values()):
        return set()
    declared = {
        twin: structure.declared_at(structure.ordinal(twin)).type for twin in owners
    }  # fmt: skip
    used = {twin.type for twin in structure.twins.values()} | set(declared.values())
    for each in structure.types.values():
        used |= {*each.extends, *(component for _, component in each.components)}
    queue = [type_id for twin, type_id in declared.items() if owners[twin]]
    queue += structure.types.keys() - used
    found: set[str] = set()
    while queue:
        type_id = queue.pop()
        known = structure.types.get(type_id)
        if known is not None and type_id not in found:
            found.add(type_id)
            queue += [*known.extends, *(component for _, component in known.components)]
    return found


def _derived(structure: Structure) -> frozenset[str]:
    found: set[str] = set()
    for sheet in structure.sheets.values():
        if sheet.kind == book.KIND:
            try:
                rule = book.read(sheet)
            except ValueError:
                continue
            found |= {rule.derive.point} if rule.derive is not None else set()
    return frozenset(found)


def _relations(
    structure: Structure, owners: dict[str, str]
) -> dict[tuple[str, bool], list[Relation]]:
    """(twin, whether a source says so) -> the relations that start there."""
    found: dict[tuple[str, bool], list[Relation]] = {}
    for relation in structure.relations.values():
        if relation.source in owners and relation.target in owners:
            owner = owners[relation.source]
            is_declared = owner != "" and owner == owners[relation.target]
            found.setdefault((relation.source, is_declared), []).append(relation)
    return found


def _authored(structure: Structure, twin: Twin, said: list[Overlay], scope: Scope) -> Block:
    """A twin that people made: what they said of it later is part of it, but for what they said
    about points and for another type, which leave traces of their own."""
    declared = structure.declared_at(structure.ordinal(twin.id))
    own = {point.name for point in declared.points}
    is_again = any(isinstance(s, PutPoints) and own & {p.name for p in s.points} for s in said)
    if twin.type != declared.type or is_again:
        found = _twin(declared, scope)
        return found | _given(said=_said(said, scope, twin.id))
    written = {p.name for s in said if isinstance(s, PutPoints) for p in s.points}
    points = [p for p in twin.points if p.name not in written & scope.derived]
    found = _twin(replace(twin, points=tuple(points)), scope)
    about = [each for each in said if isinstance(each, PutPointAbout)]
    return found | _given(said=_said(about, scope, twin.id))


def _said(said: Iterable[Overlay], scope: Scope, twin: str) -> Block:
    """What was said over a declaration, in the order in which it shows."""
    names: dict[str, Any] = {}
    properties: list[Property] = []
    points: list[PointType] = []
    without: list[str] = []
    ended: list[Relation] = []
    about = Block()
    for each in said:
        match each:
            case PutName(name=name):
                names["name"] = _text(name) if name != Text() else {}
            case PutTypeOf(type=type_id):
                names["type"] = type_id
            case PutPose(pose=pose, geometry=looks):
                names |= _pose(pose) | ({"looks": looks} if looks and "looks" not in names else {})
            case PutGeometry(geometry=looks):
                names["looks"] = looks  # over the look that came with a place
            case DropRelation(kind=kind, source=source, target=target, name=name):
                ended.append(Relation(kind, source, target, name))
            case PutProperty(property=prop):
                properties.append(prop)
            case DropProperty(name=name):
                without.append(name)
            case PutPoints(points=some):
                points += (point for point in some if point.name not in scope.derived)
            case PutPointAbout(point=point):
                about[point] = _about(each)
    found = Block({k: names[k] for k in (*_SAID_FIRST, *names) if k in names})
    kept = _writable(properties, scope, twin)
    return found | _given(
        properties=_named(kept, _property) if kept else None,
        without=without,
        points=_named(points, _point) if points else None,
        about=about,
        **_grouped("ended", ended),
    )


_SAID_FIRST: Final = ("type", "name", "at", "turned_deg", "quaternion", "looks")


def _about(said: PutPointAbout) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if said.unit is not None:
        found |= _unit(said.unit) or {"unit": ""}
    for name, limit in (("low", said.low), ("high", said.high)):
        if limit is not None:
            found[name] = short(limit)
    if said.semantic_ids is not None:
        found["means"] = list(said.semantic_ids)
    if said.labels is not None:
        found["labels"] = _pairs(said.labels)
    if said.description is not None:
        found["description"] = _text(said.description)
    return found


# --- twins and types ------------------------------------------------------------------------


def _twin(twin: Twin, scope: Scope) -> Block:
    properties = _writable(twin.properties, scope, twin.id)
    return Block(
        _given(
            type=twin.type,
            name=_text(twin.name),
            **(_pose(twin.pose) if twin.pose is not None else {}),
            looks=twin.geometry,
            properties=_named(properties, _property) if properties else None,
            points=_named(twin.points, _point) if twin.points else None,
            operations=_named(twin.operations, _operation) if twin.operations else None,
        )
    )


def _type(each: TwinType) -> Block:
    components = _pairs(each.components)
    return Block(
        _given(
            name=_text(each.name),
            description=_text(each.description),
            extends=list(each.extends),
            means=list(each.semantic_ids),
            looks=each.geometry,
            properties=_named(each.properties, _property_type) if each.properties else None,
            points=_named(each.points, _point) if each.points else None,
            operations=_named(each.operations, _operation) if each.operations else None,
            relations=_named(each.relations, _relation_type) if each.relations else None,
            components=Block(components) if isinstance(components, dict) else components,
        )
    )


def _pose(pose: Pose) -> dict[str, Any]:
    at = {"at": [short(pose.x_m), short(pose.y_m), short(pose.z_m)]}
    turn = (pose.qx, pose.qy, pose.qz, pose.qw)
    if turn == (0.0, 0.0, 0.0, 1.0):
        return at
    degrees = round(math.degrees(2 * math.atan2(pose.qy, pose.qw)), 6)
    if turned(degrees) == turn:
        return {**at, "turned_deg": short(degrees)}
    return {**at, "quaternion": [short(q) for q in turn]}


def turned(degrees: float) -> tuple[float, float, float, float]:
    """The quaternion (x, y, z, w) of a turn about the upright axis, seen from above to the left."""
    half = math.radians(degrees) / 2
    return (0.0, math.sin(half), 0.0, math.cos(half))


def _point(point: PointType) -> Any:
    if point == PointType(point.name, point.kind):
        return point.kind.name.lower()
    found = {} if point.kind == Kind.FLOAT else {"kind": point.kind.name.lower()}
    limits: dict[str, Any] = {}
    if point.low is not None and point.high is not None:
        limits["range"] = [short(point.low), short(point.high)]
    else:
        limits |= {} if point.low is None else {"low": short(point.low)}
        limits |= {} if point.high is None else {"high": short(point.high)}
    return found | _given(
        **_unit(point.unit),
        **limits,
        labels=_pairs(point.labels),
        means=list(point.semantic_ids),
        writable=point.is_writable or None,
        description=_text(point.description),
    )


def _property_type(each: PropertyType) -> Any:
    if each == PropertyType(each.name, each.datatype) and each.datatype:
        return each.datatype
    return _given(
        datatype=each.datatype,
        **_unit(each.unit),
        required=each.required or None,
        means=list(each.semantic_ids),
        description=_text(each.description),
        properties=_named(each.children, _property_type) if each.children else None,
    )


def _operation(each: OperationType) -> Any:
    return _given(
        description=_text(each.description),
        inputs=_named(each.inputs, _point) if each.inputs else None,
        outputs=_named(each.outputs, _point) if each.outputs else None,
        means=list(each.semantic_ids),
    )


def _relation_type(each: RelationType) -> Any:
    found = _given(
        to=each.target_type,
        min=each.min_count or None,
        properties=_named(each.properties, _property_type) if each.properties else None,
        means=list(each.semantic_ids),
    )
    return found if each.max_count is None else {**found, "max": each.max_count}


def _grouped(name: str, relations: Iterable[Relation]) -> dict[str, Any]:
    """Relations that start at one twin, by kind."""
    kinds = Block()
    for each in relations:
        kinds.setdefault(each.kind, []).append(each)
    for kind, some in kinds.items():
        targets = [_target(each) for each in some]
        kinds[kind] = targets[0] if len(targets) == 1 else targets
    return {name: kinds} if kinds else {}


def _target(each: Relation) -> Any:
    if not each.name and not each.properties:
        return each.target
    properties = _named(each.properties, _property) if each.properties else None
    return {"to": each.target} | _given(name=each.name, properties=properties)


# --- properties -----------------------------------------------------------------------------


def _writable(properties: Iterable[Property], scope: Scope, twin: str) -> list[Property]:
    found: list[Property] = []
    for each in properties:
        if _depth(each) <= NESTED_MAX:
            found.append(each)
        else:
            why = f"nested deeper than {NESTED_MAX} levels"
            scope.lost.append((f"{twin}: property '{each.name[:60]}'", why))
    return found


def _depth(each: Property, at: int = 1) -> int:
    if at > NESTED_MAX:
        return at
    inner = (*each.children(), *each.attributes)
    return max((_depth(child, at + 1) for child in inner), default=at)


def _property(each: Property) -> Any:
    """A property without its name; a scalar or a list of such stands as it is."""
    if each == Property(each.name, each.value) and _is_short(each.value):
        return list(each.value) if isinstance(each.value, tuple) else each.value
    about = _named(each.attributes, _property) if each.attributes else None
    means = list(each.semantic_ids)
    more = _given(**_unit(each.unit), datatype=each.datatype, means=means, about=about)
    return {**_value(each.value), **more}


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _is_short(value: Any) -> bool:
    return _is_scalar(value) or (isinstance(value, tuple) and all(map(_is_scalar, value)))


def _value(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {}
        case Text():
            return {"text": dict(value.by_language)}
        case Ref(iri=iri):
            return {"ref": iri}
        case Blob():
            return {"blob": to_plain(value)}
        case tuple() if value and all(isinstance(each, Property) for each in value):
            children: Any = value
            return {"properties": _named(children, _property)}
        case _ if _is_short(value):
            return {"value": list(value) if isinstance(value, tuple) else value}
        case _:
            return {"plain": to_plain(value, tagged=True)}


# --- small forms ----------------------------------------------------------------------------


def _text(text: Text) -> Any:
    if not text.by_language:
        return None
    (language, only), *more = text.by_language
    return only if not more and not language and only else dict(text.by_language)


def _unit(unit: str) -> dict[str, str]:
    """UCUM as `unit`; what is not, as the text that it is."""
    if not unit:
        return {}
    return {"unit": unit} if units.is_ucum(unit) else {"unit_text": unit}


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that say anything."""
    return {k: v for k, v in fields.items() if v is not None and v != "" and v != [] and v != {}}


def _named(items: Sequence[Any], form: Callable[[Any], Any]) -> Any:
    """Named things as a mapping; as a list where names are missing or come twice."""
    names = [item.name for item in items]
    if all(names) and len(set(names)) == len(names):
        return Block({item.name: form(item) for item in items})
    rows: list[Any] = []
    for item in items:
        one = form(item)
        fields = one if isinstance(one, dict) else {_SHORT_FORM[type(item)]: one}
        rows.append({**({"name": item.name} if item.name else {}), **fields})
    return rows


_SHORT_FORM: Final[dict[type, str]] = {
    Property: "value",
    PointType: "kind",
    PropertyType: "datatype",
}
"""What the short form of a thing says of it."""


def _pairs(pairs: Sequence[tuple[Any, Any]]) -> Any:
    keys = [key for key, _ in pairs]
    return dict(pairs) if len(set(keys)) == len(keys) else [list(pair) for pair in pairs]


def _sheet_body(body: str) -> Any:
    try:
        value = json.loads(body)
        is_same = json.loads(json.dumps(value)) == value and _json_depth(value) <= NESTED_MAX
    except (ValueError, RecursionError):
        is_same, value = False, None
    if not is_same or (isinstance(value, dict) and "@text" in value):
        return Block({"@text": body})
    return Block(value) if isinstance(value, dict) and value else value


def _json_depth(value: Any, at: int = 0) -> int:
    if at > NESTED_MAX:
        return at
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((_json_depth(each, at + 1) for each in inner), default=at)
