"""From an OPC UA address space to twins: types, points, properties, operations, relations.

| OPC UA | here |
|---|---|
| object | twin; its path of browse names is its id |
| ObjectType, HasSubtype | type, `extends`; Mandatory members become the type's |
| variable below an object | point; below a variable: `Status.Temp` |
| HasProperty of an object | property; a group `Identification` is merged into its owner's |
| EURange, EngineeringUnits, EnumStrings, EnumValues | range, UCUM unit, labels |
| method, InputArguments, OutputArguments | operation |
| Organizes, HasComponent … | `part_of` |
| any other reference between objects | relation: `FlowsTo` becomes `flows_to` |

Knows nodes and the model; asks nothing of a server.
"""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from asyncua import ua

from mirrorworld import units
from mirrorworld.connectors.opcua_browse import (
    BASE_OBJECT_TYPE,
    HAS_MODELLING_RULE,
    HAS_PROPERTY,
    IDENTIFICATION,
    MANDATORY,
    METHOD,
    OBJECT,
    OBJECTS,
    VAGUE,
    VARIABLE,
    Key,
    Node,
    Space,
    arguments_of,
    key_of,
    labels_of,
)
from mirrorworld.connectors.opcua_session import Server
from mirrorworld.connectors.opcua_text import plain
from mirrorworld.world.changes import Edit, PutRelation, PutTwin, PutType
from mirrorworld.world.model import (
    PART_OF,
    Kind,
    OperationType,
    PointType,
    Property,
    PropertyType,
    Relation,
    Text,
    Twin,
    TwinType,
)

_KINDS: Final = {
    1: Kind.BOOL,
    **dict.fromkeys((2, 3, 4, 5, 6, 7, 8, 9, 13, 19, 27, 28), Kind.INT),
    **dict.fromkeys((10, 11, 26), Kind.FLOAT),
}
"""Kind by built-in type; all others become text. A DateTime is an integer: UTC nanoseconds."""


@dataclass(frozen=True, slots=True)
class Item:
    """A point and the variable that it mirrors."""

    twin: str
    point: str
    node: ua.NodeId
    kind: Kind
    builtin: int
    """Built-in type to write: 1 to 25, or 24, 26 to 28 where any will do."""
    is_array: bool
    access: int


@dataclass(frozen=True, slots=True)
class Call:
    """An operation and the method that it calls."""

    object: ua.NodeId
    method: ua.NodeId
    inputs: tuple[tuple[str, int, bool], ...]
    """(name, built-in type, is an array)"""
    outputs: tuple[str, ...]


@dataclass(slots=True)
class Mirror:
    """What a server's address space becomes."""

    types: dict[str, TwinType] = field(default_factory=dict)
    twins: dict[str, Twin] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    calls: dict[tuple[str, str], Call] = field(default_factory=dict)
    guesses: dict[str, str] = field(default_factory=dict)
    """How each twin was found, by id."""
    places: dict[Key, str] = field(default_factory=dict)
    """Twin by the node of its object or of one of its variables."""
    odd_units: list[str] = field(default_factory=list)
    """Points whose unit is known to neither UNECE nor UCUM."""

    def edits(self) -> list[Edit]:
        """All of it, in an order in which nothing refers to what comes later."""
        return [
            *(PutType(t) for t in self.types.values()),
            *(PutTwin(t) for t in self.twins.values()),
            *(PutRelation(r) for r in self.relations),
        ]


def mirror(space: Space, server: Server, source: str) -> Mirror:
    """Twins of all objects in the space; the server itself is the twin called like the source."""
    return _Mapper(space, server, source).run()


class _Mapper:
    def __init__(self, space: Space, server: Server, source: str) -> None:
        self.space = space
        self.server = server
        self.source = source
        self.found = Mirror()
        self.twin_of: dict[Key, str] = {}
        self.parent_of: dict[Key, Key] = {}
        self.merged: set[Key] = set()
        self.type_ids: dict[Key, str] = {}

    def run(self) -> Mirror:
        self._name_types()
        self._place()
        members = {key: self._members(key) for key in self.twin_of}
        self._declare_types(members)
        for key, twin_id in self.twin_of.items():
            self._declare_twin(key, twin_id, *members[key])
        self._relate()
        self.found.places = {key_of(item.node): item.twin for item in self.found.items}
        self.found.places |= self.twin_of
        return self.found

    # --- where twins stand

    def _place(self) -> None:
        """Gives each object an id: the shortest path of browse names to it."""
        space = self.space
        self.taken = {self.source}
        queue: list[Key] = []
        if space.roots == [OBJECTS]:
            self.twin_of[OBJECTS] = self.source
            queue.append(OBJECTS)
        else:
            self.found.twins[self.source] = Twin(
                self.source, name=Text.of(self.source), properties=self._of_server()
            )
            for key in space.roots:
                self.twin_of[key] = self._id(self.source, space.nodes[key])
                queue.append(key)
        for key in queue:  # grows while it is walked
            for kind, target in space.nodes[key].references:
                node = space.nodes.get(target)
                if node is None or node.node_class != OBJECT or kind not in space.containing:
                    continue
                if target in self.twin_of or target in self.merged:
                    continue
                if node.name == IDENTIFICATION and self._is_nameplate(node):
                    self.merged.add(target)
                    continue
                self.twin_of[target] = self._id(self.twin_of[key], node)
                self.parent_of[target] = key
                queue.append(target)

    def _id(self, parent: str, node: Node) -> str:
        wanted = f"{parent}/{_segment(node.name)}"
        if wanted in self.taken:
            wanted = f"{wanted}~{_segment(node.id.to_string())}"
        self.taken.add(wanted)
        return wanted

    def _is_nameplate(self, node: Node) -> bool:
        parts = [
            self.space.nodes[r.target]
            for r in node.references
            if r.kind in self.space.containing and r.target in self.space.nodes
        ]
        return bool(parts) and all(p.node_class == VARIABLE for p in parts)

    # --- what an object has

    def _members(
        self, key: Key, *, only_mandatory: bool = False
    ) -> tuple[list[tuple[PointType, Node]], list[Property], list[tuple[OperationType, Node]]]:
        """Points, properties and operations directly below a node."""
        points: dict[str, tuple[PointType, Node]] = {}
        properties: dict[str, Property] = {}
        operations: dict[str, tuple[OperationType, Node]] = {}
        for kind, target in self.space.nodes[key].references:
            node = self.space.nodes.get(target)
            if node is None or kind not in self.space.containing:
                continue
            if only_mandatory and not self._is_mandatory(node):
                continue
            if target in self.merged:
                for inner in node.references:
                    part = self.space.nodes.get(inner.target)
                    if part is not None and inner.kind in self.space.containing:
                        properties.setdefault(part.name, self._property(part))
            elif node.node_class == VARIABLE and kind == HAS_PROPERTY:
                properties[node.name] = self._property(node)
            elif node.node_class == VARIABLE:
                self._points(node, "", points, only_mandatory, 0)
            elif node.node_class == METHOD:
                name = node.name if node.name not in operations else node.id.to_string()
                operations[name] = (self._operation(node, name), node)
        return list(points.values()), list(properties.values()), list(operations.values())

    def _is_mandatory(self, node: Node) -> bool:
        return any(r.kind == HAS_MODELLING_RULE and r.target == MANDATORY for r in node.references)

    def _points(
        self,
        node: Node,
        prefix: str,
        points: dict[str, tuple[PointType, Node]],
        only_mandatory: bool,
        depth: int,
    ) -> None:
        """The point of a variable, and those of the variables below it."""
        name = prefix + node.name
        if name in points:
            name = f"{name}~{node.id.to_string()}"
        points[name] = (self._point(node, name), node)
        for kind, target in node.references:
            part = self.space.nodes.get(target)
            if (
                part is not None
                and part.node_class == VARIABLE
                and kind in self.space.containing
                and kind != HAS_PROPERTY
                and depth < 8
                and (not only_mandatory or self._is_mandatory(part))
            ):
                self._points(part, f"{name}.", points, only_mandatory, depth + 1)

    def _point(self, node: Node, name: str) -> PointType:
        notes = {
            part.name: part.value.Value
            for kind, target in node.references
            if kind == HAS_PROPERTY
            and (part := self.space.nodes.get(target)) is not None
            and part.value is not None
        }
        kind = self.kind_of(node)
        labels = labels_of(notes.get("EnumValues")) or labels_of(notes.get("EnumStrings"))
        info = self.space.data_types.get(node.data_type or (0, 24))
        if kind is Kind.INT and not labels and info is not None and info.is_enumeration:
            labels, kind = info.labels, Kind.ENUM
        elif kind is Kind.INT and labels:
            kind = Kind.ENUM
        elif kind is Kind.BOOL and "TrueState" in notes and "FalseState" in notes:
            labels = tuple(
                (i, str(getattr(notes[n], "Text", "") or ""))
                for i, n in enumerate(("FalseState", "TrueState"))
            )
        low, high = _range(notes.get("EURange") or notes.get("InstrumentRange"))
        return PointType(
            name,
            kind,
            unit=self._unit(node, name, notes.get("EngineeringUnits")),
            low=low if kind in (Kind.FLOAT, Kind.INT) else None,
            high=high if kind in (Kind.FLOAT, Kind.INT) else None,
            labels=labels if kind in (Kind.ENUM, Kind.BOOL) else (),
            is_writable=bool(node.access & 2),
            description=_as_text(node.description),
        )

    def kind_of(self, node: Node) -> Kind:
        """Kind of the samples of a variable; where its type leaves it open, of its value."""
        builtin, is_array = self.wire_of(node)
        if is_array:
            return Kind.ARRAY if builtin in range(1, 12) else Kind.TEXT
        return _KINDS.get(builtin, Kind.TEXT)

    def wire_of(self, node: Node) -> tuple[int, bool]:
        """(built-in type, whether it is an array) of a variable's value."""
        key = node.data_type or (0, 24)
        info = self.space.data_types.get(key)
        builtin = info.builtin if info is not None else 24
        is_array = node.value_rank >= 0
        if node.value is not None:
            if key in VAGUE and node.value.VariantType is not None:
                builtin = int(node.value.VariantType.value) or builtin
            if node.value_rank in (-2, -3):
                is_array = isinstance(node.value.Value, list)
        return builtin, is_array

    def _unit(self, node: Node, name: str, given: Any) -> str:
        if isinstance(given, ua.EUInformation):
            shown = given.DisplayName.Text or "" if given.DisplayName else ""
            unit = units.of_opcua(int(given.UnitId), given.NamespaceUri or "", shown)
            if not unit and shown not in ("", "-", "none"):
                self.found.odd_units.append(f"{name}: '{shown}'")
            return unit
        if node.data_type == (0, 290):
            return "ms"  # Duration (OPC 10000-3 §8.13)
        builtin, _ = self.wire_of(node)
        return "ns" if builtin == 13 and self.kind_of(node) is Kind.INT else ""

    def _property(self, node: Node) -> Property:
        value = node.value.Value if node.value is not None else None
        wire = node.value.VariantType if node.value is not None else None
        return Property(node.name, plain(value), datatype=wire.name if wire is not None else "")

    def _operation(self, node: Node, name: str) -> OperationType:
        arguments: dict[str, tuple[PointType, ...]] = {}
        for _, target in node.references:
            part = self.space.nodes.get(target)
            if part is not None and part.name in ("InputArguments", "OutputArguments"):
                arguments[part.name] = tuple(
                    self._argument(a, i) for i, a in enumerate(arguments_of(part))
                )
        return OperationType(
            name,
            arguments.get("InputArguments", ()),
            arguments.get("OutputArguments", ()),
            description=_as_text(node.description),
        )

    def _argument(self, argument: ua.Argument, index: int) -> PointType:
        info = self.space.data_types.get((argument.DataType.NamespaceIndex, _id_of(argument)))
        builtin = info.builtin if info is not None else 24
        kind = _KINDS.get(builtin, Kind.TEXT)
        labels: tuple[tuple[int, str], ...] = ()
        if info is not None and info.is_enumeration:
            kind, labels = Kind.ENUM, info.labels
        if argument.ValueRank >= 0:
            kind = Kind.ARRAY if builtin in range(1, 12) else Kind.TEXT
        text = argument.Description
        return PointType(
            argument.Name or f"argument{index + 1}",
            kind,
            labels=labels,
            description=_as_text((text.Locale or "", text.Text or "") if text else ("", "")),
        )

    # --- declarations

    def _name_types(self) -> None:
        names: dict[str, Key] = {}
        for key in self.space.types:
            node = self.space.nodes[key]
            uri = self._uri(node.namespace)
            wanted = f"{uri.rstrip('/')}#{_segment(node.name)}"
            if names.setdefault(wanted, key) != key:
                wanted = f"{wanted}~{_segment(node.id.to_string())}"
            self.type_ids[key] = wanted

    def _declare_types(self, members: dict[Key, Any]) -> None:
        own = {key: self._members(key, only_mandatory=True) for key in self.space.types}
        # Where an instance's variable is of another kind than its type says, the instances are
        # believed, and the type leaves the point to them.
        clash: set[tuple[Key, str]] = set()
        for key in self.twin_of:
            type_ = self.space.nodes[key].type
            if type_ not in self.space.types:
                continue
            kinds = {p.name: p.kind for p, _ in members[key][0]}
            for at in (type_, *self.space.types[type_]):
                for point, _ in own.get(at, ((), (), ()))[0]:
                    if kinds.get(point.name, point.kind) is not point.kind:
                        clash.add((at, point.name))
        for key, (points, properties, operations) in own.items():
            node = self.space.nodes[key]
            self.found.types[self.type_ids[key]] = TwinType(
                self.type_ids[key],
                _as_text(node.display) if node.display[1] else Text.of(node.name),
                extends=tuple(self.type_ids[k] for k in self.space.types[key][:1]),
                properties=tuple(PropertyType(p.name, p.datatype) for p in properties),
                points=tuple(p for p, _ in points if (key, p.name) not in clash),
                operations=tuple(o for o, _ in operations),
            )

    def _declare_twin(
        self,
        key: Key,
        twin_id: str,
        points: list[tuple[PointType, Node]],
        properties: list[Property],
        operations: list[tuple[OperationType, Node]],
    ) -> None:
        node, space = self.space.nodes[key], self.space
        type_id = self.type_ids.get(node.type or BASE_OBJECT_TYPE, "")
        inherited_points: dict[str, PointType] = {}
        inherited_operations: dict[str, OperationType] = {}
        if node.type in space.types:
            for at in (node.type, *space.types[node.type]):
                declared = self.found.types[self.type_ids[at]]
                for point in declared.points:
                    inherited_points.setdefault(point.name, point)
                for operation in declared.operations:
                    inherited_operations.setdefault(operation.name, operation)
        if key == OBJECTS:
            name, facts = Text.of(self.server.product or self.source), self._of_server()
        else:
            name = _as_text(node.display) if node.display[1] else Text.of(node.name)
            where = Property("NodeId", f"nsu={self._uri(node.id.NamespaceIndex)};{_bare(node.id)}")
            facts = (*properties, where)
        self.found.twins[twin_id] = Twin(
            twin_id,
            type_id,
            name,
            tuple(facts),
            tuple(p for p, _ in points if inherited_points.get(p.name) != p),
            tuple(o for o, _ in operations if inherited_operations.get(o.name) != o),
        )
        for point, variable in points:
            if not variable.access & 1:
                continue  # nobody may read it, so nothing will be heard of it
            builtin, is_array = self.wire_of(variable)
            self.found.items.append(
                Item(twin_id, point.name, variable.id, point.kind, builtin, is_array,
                     variable.access)
            )  # fmt: skip
        for operation, method in operations:
            self.found.calls[twin_id, operation.name] = self._call(node, method, operation)
        of_type = f"of type {type_id}" if type_id else "without a type of its own"
        self.found.guesses[twin_id] = (
            f"object {node.id.to_string()} {of_type}: {len(points)} variables as points,"
            f" {len(properties)} properties, {len(operations)} methods"
        )

    def _call(self, owner: Node, method: Node, operation: OperationType) -> Call:
        inputs: list[tuple[str, int, bool]] = []
        for _, target in method.references:
            part = self.space.nodes.get(target)
            if part is not None and part.name == "InputArguments":
                for declared, argument in zip(operation.inputs, arguments_of(part), strict=True):
                    info = self.space.data_types.get(
                        (argument.DataType.NamespaceIndex, _id_of(argument))
                    )
                    builtin = info.builtin if info is not None else 24
                    inputs.append((declared.name, builtin, argument.ValueRank >= 0))
        return Call(owner.id, method.id, tuple(inputs), tuple(o.name for o in operation.outputs))

    def _relate(self) -> None:
        space = self.space
        found: dict[tuple[str, str, str, str], Relation] = {}
        for key, twin_id in self.twin_of.items():
            if key not in self.parent_of and key != OBJECTS:
                relation = Relation(PART_OF, twin_id, self.source)
                found[relation.key] = relation
            for kind, target in space.nodes[key].references:
                other = self.twin_of.get(target)
                if other is None or other == twin_id:
                    continue
                if kind in space.containing:
                    relation = Relation(PART_OF, other, twin_id)
                    # A loop back to something above is not a part of what is below it.
                    if self.parent_of.get(target) != key and self._is_above(target, key):
                        continue
                else:
                    relation = Relation(snake(space.reference_names.get(kind, "refers_to")),
                                        twin_id, other)  # fmt: skip
                found[relation.key] = relation
        self.found.relations = list(found.values())

    def _is_above(self, above: Key, below: Key) -> bool:
        at: Key | None = below
        while at is not None:
            if at == above:
                return True
            at = self.parent_of.get(at)
        return False

    def _of_server(self) -> tuple[Property, ...]:
        server = self.server
        facts = {
            "ApplicationUri": server.application_uri,
            "Manufacturer": server.manufacturer,
            "ProductName": server.product,
            "SoftwareVersion": server.version,
        }
        return tuple(Property(n, v, "String") for n, v in facts.items() if v)

    def _uri(self, namespace: int) -> str:
        spaces = self.space.namespaces
        return spaces[namespace] if 0 <= namespace < len(spaces) else f"urn:namespace:{namespace}"


# --- small parts ---------------------------------------------------------------------------


def snake(name: str) -> str:
    """`FlowsTo` as `flows_to`: how relations are named here."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^\w]+", "_", name).lower().strip("_") or "refers_to"


def _range(value: Any) -> tuple[float | None, float | None]:
    if isinstance(value, ua.Range) and value.Low < value.High:
        low, high = float(value.Low), float(value.High)
        return (low if math.isfinite(low) else None), (high if math.isfinite(high) else None)
    return None, None


def _as_text(pair: tuple[str, str]) -> Text:
    return Text.of(pair[1], pair[0])


def _segment(name: str) -> str:
    """A browse name as one segment of an id: no slash, no white space, no control character."""
    cleaned = re.sub(r"[\s\x00-\x1f\x7f]+", "_", name.replace("%", "%25").replace("/", "%2F"))
    return cleaned or "_"


def _bare(node: ua.NodeId) -> str:
    """A NodeId without its namespace index, which may differ after a restart."""
    return node.to_string().rpartition(";")[2] if node.NamespaceIndex else node.to_string()


def _id_of(argument: ua.Argument) -> Any:
    return argument.DataType.Identifier


def units_note(odd: Iterable[str], limit: int = 5) -> str:
    """A sentence on units that nobody knows."""
    listed = list(odd)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return f"units that are neither UNECE codes nor UCUM: {', '.join(listed[:limit])}{more}"
