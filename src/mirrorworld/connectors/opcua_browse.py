"""What a server holds, read gently: nodes, their references, attributes and data types.

Walks the address space breadth first from the Objects folder, in batches within the server's
limits and with a pause between them, each node once (address spaces have loops), at most
`max_nodes`. Knows nodes; what they mean for a world is `opcua_model.py`'s.
"""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from asyncua import ua

from mirrorworld.connectors.opcua_session import Refused, Session

_ids = ua.ObjectIds

OBJECT, VARIABLE, METHOD = 1, 2, 4
"""Node classes that are followed (OPC 10000-3 §8.29)."""

Key = tuple[int, Any]
"""(namespace index, identifier): a NodeId that hashes."""

OBJECTS: Final = (0, _ids.ObjectsFolder)
BASE_OBJECT_TYPE: Final = (0, _ids.BaseObjectType)
HAS_PROPERTY: Final = (0, _ids.HasProperty)
HAS_COMPONENT: Final = (0, _ids.HasComponent)
HAS_SUBTYPE: Final = (0, _ids.HasSubtype)
HAS_MODELLING_RULE: Final = (0, _ids.HasModellingRule)
MANDATORY: Final = (0, _ids.ModellingRule_Mandatory)


class Reference(NamedTuple):
    """A forward reference."""

    kind: Key
    target: Key


@dataclass(slots=True)
class Node:
    """One node as far as it was read."""

    id: ua.NodeId
    node_class: int
    namespace: int
    name: str
    """Browse name without its namespace."""
    display: tuple[str, str]
    """(locale, text)"""
    type: Key | None = None
    references: list[Reference] = field(default_factory=list)
    data_type: Key | None = None
    value_rank: int = -1
    access: int = 1
    """AccessLevel bits for this user: 1 read, 2 write, 4 history read (OPC 10000-3 §8.57)."""
    description: tuple[str, str] = ("", "")
    value: Any = None
    """Of properties, and of variables whose declared type leaves it open."""


@dataclass(slots=True)
class DataTypeInfo:
    """What is known of a data type."""

    builtin: int
    """The built-in type it is encoded as: 1 Boolean … 25; 26 to 28 for Number, Integer and
    UInteger, 24 for any, 22 for structures; enumerations have 6 (OPC 10000-6 §5.1.2)."""
    is_enumeration: bool = False
    labels: tuple[tuple[int, str], ...] = ()
    name: str = ""


TYPES_MAX: Final = 20_000
"""Types of one sort (of references, objects, data) that are read; nobody has as many."""

DEPTH_MAX: Final = 64
"""Levels of subtypes that are followed."""

SPARE_REFERENCES: Final = 10_000
REFERENCES_PER_NODE: Final = 20
"""References that are kept, on the average of the nodes that may be read."""


@dataclass(slots=True)
class Space:
    """What was read of a server."""

    namespaces: tuple[str, ...]
    nodes: dict[Key, Node] = field(default_factory=dict)
    roots: list[Key] = field(default_factory=list)
    """Where the walk began; not a part of what is mirrored unless an option named it."""
    reference_names: dict[Key, str] = field(default_factory=dict)
    containing: set[Key] = field(default_factory=set)
    """Reference types that mean "is a part of"."""
    types: dict[Key, list[Key]] = field(default_factory=dict)
    """Object type -> its supertypes, nearest first."""
    data_types: dict[Key, DataTypeInfo] = field(default_factory=dict)
    is_truncated: bool = False
    n_references: int = 0


def key_of(node: ua.NodeId) -> Key:
    """A NodeId as something that hashes and compares."""
    return (node.NamespaceIndex, node.Identifier)


async def walk(
    session: Session, *, root: str = "", max_nodes: int = 200_000, pause_s: float = 0.005
) -> Space:
    """Reads a server's address space.

    Args:
        root: a NodeId (`ns=2;s=Line1`) or a path of browse names below Objects; "": everything.

    Raises:
        Refused: there is no such root.
    """
    space = Space(session.server.namespaces)
    await _reference_types(session, space, pause_s)
    start = [ua.NodeId(_ids.ObjectsFolder)]
    if root:
        start = [await _find_root(session, root)]
    await _describe(session, space, start)
    space.roots = [key_of(node) for node in start]
    await _crawl(session, space, space.roots, max_nodes, pause_s, skips_standard=True)
    types = {n.type for n in space.nodes.values() if n.node_class == OBJECT and n.type is not None}
    await _object_types(session, space, types, pause_s)
    await _crawl(session, space, list(space.types), max_nodes, pause_s, skips_standard=False)
    await _attributes(session, space, pause_s)
    await _data_types(session, space, pause_s)
    return space


async def _find_root(session: Session, root: str) -> ua.NodeId:
    if "=" in root:
        try:
            return ua.NodeId.from_string(root)
        except Exception as error:
            raise Refused(
                f"option 'root': '{root}' is not a NodeId; one reads like 'ns=2;s=Line1'"
            ) from error
    at = ua.NodeId(_ids.ObjectsFolder)
    for name in root.strip("/").split("/"):
        (found,) = await session.browse([at])
        fitting = [r for r in found if r.BrowseName.Name == name]
        if not fitting:
            have = ", ".join(r.BrowseName.Name for r in found[:8]) or "nothing"
            raise Refused(f"option 'root': there is no '{name}' of '{root}'; there is {have}")
        at = fitting[0].NodeId
    return at


async def _reference_types(session: Session, space: Space, pause_s: float) -> None:
    """Names of all reference types, and which of them mean containment."""
    parents: dict[Key, Key] = {}
    frontier = [ua.NodeId(_ids.References)]
    while frontier and not _has_too_many(space, parents):
        found = await session.browse(
            frontier, reference=_ids.HasSubtype, pause_s=pause_s, most=TYPES_MAX
        )
        following: list[ua.NodeId] = []
        for parent, references in zip(frontier, found, strict=True):
            for reference in references:
                key = key_of(reference.NodeId)
                if key not in parents:
                    parents[key] = key_of(parent)
                    space.reference_names[key] = str(reference.BrowseName.Name)
                    following.append(reference.NodeId)
        frontier = following
    containers = {(0, _ids.Organizes), (0, _ids.HasChild)}
    for key in space.reference_names:
        chain = [key]
        while chain[-1] in parents and len(chain) < DEPTH_MAX:
            chain.append(parents[chain[-1]])
        if containers & set(chain) and HAS_SUBTYPE not in chain:
            space.containing.add(key)


async def _describe(session: Session, space: Space, nodes: Sequence[ua.NodeId]) -> None:
    """Puts nodes of which only the id is known into the space.

    Raises:
        Refused: one does not exist.
    """
    wanted = (ua.AttributeIds.NodeClass, ua.AttributeIds.BrowseName, ua.AttributeIds.DisplayName)
    values = await session.read([(node, a) for node in nodes for a in wanted])
    for i, node in enumerate(nodes):
        node_class, name, display = (v.Value for v in values[3 * i : 3 * i + 3])
        if name is None or name.Value is None:
            raise Refused(f"option 'root': the server has no node {node.to_string()}")
        space.nodes[key_of(node)] = Node(
            node,
            int(node_class.Value),
            name.Value.NamespaceIndex,
            str(name.Value.Name),
            _text(display.Value if display is not None else None),
        )


async def _crawl(
    session: Session,
    space: Space,
    roots: Iterable[Key],
    max_nodes: int,
    pause_s: float,
    *,
    skips_standard: bool,
) -> None:
    frontier = list(roots)
    while frontier:
        if len(space.nodes) >= max_nodes:
            space.is_truncated = True  # there is no room for what these refer to
            return
        following: list[Key] = []
        # Variables of instances have only properties and parts worth knowing; the rest of what
        # they refer to (type, modelling rule, history) would triple the answers.
        plain = [k for k in frontier if skips_standard and space.nodes[k].node_class != OBJECT]
        rich = [k for k in frontier if not skips_standard or space.nodes[k].node_class == OBJECT]
        for keys, kind in ((rich, _ids.References), (plain, _ids.HierarchicalReferences)):
            found = await session.browse(
                [space.nodes[k].id for k in keys],
                reference=kind,
                pause_s=pause_s,
                most=max_nodes + SPARE_REFERENCES,
            )
            for key, references in zip(keys, found, strict=True):
                following.extend(_take(space, key, references, max_nodes, skips_standard))
        frontier = following


def _take(
    space: Space,
    key: Key,
    references: Iterable[ua.ReferenceDescription],
    max_nodes: int,
    skips_standard: bool,
) -> list[Key]:
    """Notes the references of a node; returns nodes that are new and to be followed."""
    new: list[Key] = []
    node = space.nodes[key]
    for reference in references:
        if getattr(reference.NodeId, "ServerIndex", 0) or not reference.IsForward:
            continue  # it lives on another server
        kind, target = key_of(reference.ReferenceTypeId), key_of(reference.NodeId)
        node_class = int(reference.NodeClass)
        if skips_standard and key == OBJECTS and target[0] == 0:
            continue  # the server's own affairs: Server, Aliases, Locations …
        if space.n_references >= REFERENCES_PER_NODE * max_nodes:
            space.is_truncated = True
            break
        space.n_references += 1
        node.references.append(Reference(kind, target))
        if (
            kind not in space.containing
            or node_class not in (OBJECT, VARIABLE, METHOD)
            or target in space.nodes
            or (node.node_class != OBJECT and skips_standard and node_class != VARIABLE)
        ):
            continue
        if len(space.nodes) >= max_nodes:
            space.is_truncated = True
            continue
        type_ = reference.TypeDefinition
        space.nodes[target] = Node(
            ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex),
            node_class,
            reference.BrowseName.NamespaceIndex,
            str(reference.BrowseName.Name or ""),
            _text(reference.DisplayName),
            key_of(type_) if type_ is not None and type_.Identifier else None,
        )
        new.append(target)
    return new


async def _object_types(session: Session, space: Space, types: set[Key], pause_s: float) -> None:
    """Reads the object types in use and their supertypes up to BaseObjectType."""
    parents: dict[Key, Key | None] = {}
    frontier = [t for t in types if t != BASE_OBJECT_TYPE]
    while frontier and not _has_too_many(space, parents):
        ids = [ua.NodeId(k[1], k[0]) for k in frontier]
        await _describe(session, space, ids)
        found = await session.browse(
            ids, reference=_ids.HasSubtype, is_inverse=True, pause_s=pause_s
        )
        following: list[Key] = []
        for key, references in zip(frontier, found, strict=True):
            parent = key_of(references[0].NodeId) if references else None
            parents[key] = parent if parent != BASE_OBJECT_TYPE else None
            if parents[key] is not None and parent not in parents and parent not in following:
                following.append(parent)
        frontier = following
    for key in parents:
        chain: list[Key] = []
        at = parents[key]
        while at in parents and at not in chain and len(chain) < DEPTH_MAX:
            chain.append(at)
            at = parents.get(at)
        space.types[key] = chain


async def _attributes(session: Session, space: Space, pause_s: float) -> None:
    """Reads what is needed of variables and the values of properties."""
    properties = {
        r.target
        for node in space.nodes.values()
        for r in node.references
        if r.kind == HAS_PROPERTY or node.name == IDENTIFICATION
    }
    a = ua.AttributeIds
    of_point = (a.DataType, a.ValueRank, a.UserAccessLevel, a.Description)
    of_property = (a.DataType, a.ValueRank, a.Value)
    wanted: list[tuple[ua.NodeId, ua.AttributeIds]] = []
    targets: list[tuple[Node, ua.AttributeIds]] = []
    for key, node in space.nodes.items():
        if node.node_class == VARIABLE:
            for attribute in of_property if key in properties else of_point:
                wanted.append((node.id, attribute))
                targets.append((node, attribute))
        elif node.node_class == METHOD:
            wanted.append((node.id, a.Description))
            targets.append((node, a.Description))
    _assign(targets, await session.read(wanted, pause_s))
    # Where the declared type leaves it open, the present value says what it is.
    vague = [
        n
        for k, n in space.nodes.items()
        if n.node_class == VARIABLE
        and k not in properties
        and (n.data_type in VAGUE or n.value_rank in (-2, -3))
    ]
    values = await session.read([(n.id, a.Value) for n in vague], pause_s)
    _assign([(n, a.Value) for n in vague], values)


def _assign(
    targets: Sequence[tuple[Node, ua.AttributeIds]], values: Sequence[ua.DataValue]
) -> None:
    a = ua.AttributeIds
    for (node, attribute), data in zip(targets, values, strict=True):
        if data.Value is None or data.Value.Value is None:
            continue
        value = data.Value.Value
        if attribute == a.DataType:
            node.data_type = key_of(value)
        elif attribute == a.ValueRank:
            node.value_rank = int(value)
        elif attribute == a.UserAccessLevel:
            node.access = int(value)
        elif attribute == a.Description:
            node.description = _text(value)
        elif attribute == a.Value and data.StatusCode.value >> 30 == 0:
            node.value = data.Value


async def _data_types(session: Session, space: Space, pause_s: float) -> None:
    """Finds what built-in type each data type in use comes down to, and enumerations' labels."""
    for i in range(1, 26):
        space.data_types[0, i] = DataTypeInfo(i)
    for i, builtin in ((26, 26), (27, 27), (28, 28)):
        space.data_types[0, i] = DataTypeInfo(builtin)
    space.data_types[0, 29] = DataTypeInfo(6, is_enumeration=True)
    wanted = {n.data_type for n in space.nodes.values() if n.data_type is not None}
    for argument in _arguments(space):
        wanted.add(key_of(argument.DataType))
    parents: dict[Key, Key] = {}
    frontier = [k for k in wanted if k not in space.data_types]
    while frontier and not _has_too_many(space, parents):
        found = await session.browse(
            [ua.NodeId(k[1], k[0]) for k in frontier],
            reference=_ids.HasSubtype,
            is_inverse=True,
            pause_s=pause_s,
        )
        following: list[Key] = []
        for key, references in zip(frontier, found, strict=True):
            parent = key_of(references[0].NodeId) if references else (0, 24)
            parents[key] = parent
            if parent not in space.data_types and parent not in parents:
                following.append(parent)
        frontier = list(dict.fromkeys(following))
    enumerations: list[Key] = []
    for key in parents:
        seen = [key]
        while seen[-1] in parents and parents[seen[-1]] not in seen and len(seen) < DEPTH_MAX:
            seen.append(parents[seen[-1]])
        base = space.data_types.get(seen[-1]) or DataTypeInfo(24)
        space.data_types[key] = DataTypeInfo(base.builtin, base.is_enumeration)
        if base.is_enumeration:
            enumerations.append(key)
    if not enumerations:
        return
    ids = [ua.NodeId(k[1], k[0]) for k in enumerations]
    found = await session.browse(ids, reference=_ids.HasProperty, pause_s=pause_s)
    nodes = [(k, r.NodeId) for k, rs in zip(enumerations, found, strict=True) for r in rs]
    values = await session.values([ua.NodeId(n.Identifier, n.NamespaceIndex) for _, n in nodes])
    for (key, _), value in zip(nodes, values, strict=True):
        labels = labels_of(value)
        if labels:
            space.data_types[key].labels = labels
    # Newer servers say it in an attribute instead (OPC 10000-3 §8.51).
    rest = [k for k in enumerations if not space.data_types[k].labels]
    attribute = ua.AttributeIds.DataTypeDefinition
    found_definitions = await session.read([(ua.NodeId(k[1], k[0]), attribute) for k in rest])
    for key, data in zip(rest, found_definitions, strict=True):
        definition = data.Value.Value if data.Value is not None else None
        space.data_types[key].labels = tuple(
            (int(f.Value), (f.DisplayName.Text if f.DisplayName else "") or f.Name or "")
            for f in getattr(definition, "Fields", None) or ()
            if hasattr(f, "Value")
        )


def _has_too_many(space: Space, types: Mapping[Key, Key | None]) -> bool:
    """Whether there are more types than anyone has: the server makes them up as it goes."""
    if len(types) > TYPES_MAX:
        space.is_truncated = True
    return len(types) > TYPES_MAX


def _arguments(space: Space) -> Iterable[ua.Argument]:
    for node in space.nodes.values():
        if node.node_class == VARIABLE and node.name in ("InputArguments", "OutputArguments"):
            yield from arguments_of(node)


def arguments_of(node: Node) -> list[ua.Argument]:
    """The arguments that a property of a method describes."""
    value = node.value.Value if node.value is not None else None
    # asyncua has two classes of this name; decoded ones are not of the public one.
    return [a for a in value if hasattr(a, "ValueRank")] if isinstance(value, list) else []


def labels_of(value: Any) -> tuple[tuple[int, str], ...]:
    """Labels of an EnumStrings or EnumValues property (OPC 10000-3 §5.8.3)."""
    if not isinstance(value, list):
        return ()
    found: list[tuple[int, str]] = []
    for i, entry in enumerate(value):
        if isinstance(entry, ua.LocalizedText):
            found.append((i, entry.Text or ""))
        elif isinstance(entry, ua.EnumValueType):
            found.append((int(entry.Value), entry.DisplayName.Text or ""))
    return tuple(found)


IDENTIFICATION: Final = "Identification"
"""Name of the group in which DI and Machinery keep a device's nameplate (OPC 40001-1 §8)."""

VAGUE: Final = frozenset({(0, 24), (0, 26), (0, 27), (0, 28)})
"""Data types that say less than what a value is: any, Number, Integer, UInteger."""


def _text(value: Any) -> tuple[str, str]:
    if isinstance(value, ua.LocalizedText):
        return (value.Locale or "", value.Text or "")
    return ("", "")
