"""Register maps: the file that says what lies where in a device that names nothing itself.

One format for all such protocols (docs/guide/modbus.md). A protocol brings a `Dialect`: which
fields it adds, and how they give a place in the device's memory. Errors name line, point, field
and the mend, and as many as there are up to a limit, so that a map is mended in one go.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mirrorworld import units
from mirrorworld.connectors.guesses import iri_level
from mirrorworld.connectors.register_values import BIT, S7_TEXT, TEXT, Field, integer
from mirrorworld.marked_yaml import MarkedError, Node, read
from mirrorworld.world.changes import Edit, Edits, PutRelation, PutTwin, PutType
from mirrorworld.world.model import (
    PART_OF,
    Kind,
    PointType,
    Property,
    Relation,
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.ports import Finding, SourceError

SUFFIXES: Final = (".yaml", ".yml")
FILE_BYTES_MAX: Final = 16 << 20
ERRORS_SHOWN: Final = 12
ERRORS_MAX: Final = 1000
"""Enough is known of a map with so many: it is not read further."""
PERIOD_MS_RANGE: Final = (10, 86_400_000)

POINT_FIELDS: Final = (
    "type", "unit", "range", "scale", "offset", "labels", "description", "semantic_id",
    "writable", "period_ms",
)  # fmt: skip
TWIN_FIELDS: Final = ("name", "type", "points")


@dataclass(frozen=True, slots=True)
class MapPoint:
    """One point of a map."""

    twin: str
    """Id of its twin."""
    point: PointType
    field: Field
    period_ms: int
    place: str
    """`twin.point`, for messages."""


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """A map that was read: its points, and the twins that they belong to."""

    path: Path
    points: tuple[MapPoint, ...]
    twins: tuple[Twin, ...]
    types: tuple[TwinType, ...]
    relations: tuple[Relation, ...]

    @property
    def edits(self) -> Edits:
        """What declares it."""
        edits: list[Edit] = [PutType(type_) for type_ in self.types]
        edits += [PutTwin(twin) for twin in self.twins]
        edits += [PutRelation(relation) for relation in self.relations]
        return Edits(tuple(edits), reason=f"map {self.path.name}")

    def findings(self, limit: int) -> list[Finding]:
        """What `discover` says of it."""
        types = {type_.id: type_ for type_ in self.types}
        return [
            Finding(twin, types.get(twin.type), f"said by {self.path.name}")
            for twin in self.twins[:limit]
        ]


class Wrong(ValueError):
    """One error of a map; the message names field and mend."""


class Entry:
    """The fields of one point, those of its twin and the defaults behind them."""

    def __init__(self, fields: Sequence[dict[str, Node]], line: int) -> None:
        self._fields, self.line = fields, line

    def node(self, name: str) -> Node | None:
        """A field where it is said nearest to the point."""
        for fields in self._fields:
            if name in fields:
                return fields[name]
        return None

    def own(self, name: str) -> Node | None:
        """A field of the point itself."""
        return self._fields[0].get(name)

    def text(self, name: str, default: str | None = None) -> str:
        """A text; without a default the field must be there."""
        node = self.node(name)
        if node is None:
            if default is None:
                raise Wrong(f"{name} is missing")
            return default
        if node.text is None:
            raise Wrong(f"{name} is {node.what}; a text is wanted")
        return node.text

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from low to high."""
        if default is not None and self.node(name) is None:
            return default
        text = self.text(name)
        try:
            value = integer(text)
        except ValueError:
            raise Wrong(f"{name}: '{text[:40]}' is no whole number (107, or 0x6B)") from None
        if not low <= value <= high:
            raise Wrong(f"{name}: {value} is not from {low} to {high}")
        return value

    def number(self, name: str, default: float) -> float:
        """A finite number."""
        node = self.node(name)
        return default if node is None else _number(name, node)

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        """One of some words."""
        text = self.text(name, default)
        if text not in allowed:
            raise Wrong(
                f"{name}: '{text[:40]}' is none of {', '.join(allowed)}{near(text, allowed)}"
            )
        return text

    def flag(self, name: str) -> bool:
        """true or false, false where nothing is said."""
        text = self.text(name, "false").lower()
        if text not in ("true", "false", "yes", "no"):
            raise Wrong(f"{name}: '{text[:40]}' is neither true nor false")
        return text in ("true", "yes")


def _number(name: str, node: Node) -> float:
    try:
        value = float(node.text or "")
    except ValueError:
        raise Wrong(f"{name}: {node.what} is no number") from None
    if not math.isfinite(value):
        raise Wrong(f"{name}: {node.text} is not finite")
    return value


def near(text: str, allowed: Sequence[str]) -> str:
    """`; did you mean '…'?`, if something is close."""
    by_lower = {word.lower(): word for word in allowed}
    found = difflib.get_close_matches(text.lower(), by_lower, n=1)
    return f"; did you mean '{by_lower[found[0]]}'?" if found else ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a protocol adds to the format."""

    scheme: str
    fields: tuple[str, ...]
    """Its own fields of a point; `twins` and `defaults` may have them too."""
    twin_fields: tuple[str, ...]
    """Its own fields of a twin only."""
    field: Callable[[Entry], Field]
    """Reads a point's place from them; raises Wrong."""


def read_map(
    path: Path, source: str, dialect: Dialect, *, points_max: int, period_ms: int
) -> RegisterMap:
    """Reads a map.

    Args:
        source: the source's name, with which the twins' ids begin.
        points_max: a map with more points is refused.
        period_ms: how often a point is read of which the map does not say it.

    Raises:
        SourceError: it cannot be used; the message names file, line, field and mend.
    """
    if path.suffix not in SUFFIXES:
        # Whoever may name a map shall not be told, by its errors, what else stands on this disk.
        raise SourceError(
            f"{source}: option map: {path} is no map; one is called {' or '.join(SUFFIXES)}"
        )
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
        if len(raw) > FILE_BYTES_MAX:
            raise SourceError(
                f"{source}: option map: {path} is larger than {FILE_BYTES_MAX >> 20} MiB; split it"
                " over several sources"
            )
        root = read(raw.decode("utf-8-sig"))
    except OSError as error:
        raise SourceError(
            f"{source}: option map: {path} cannot be read: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise SourceError(f"{source}: option map: {path} is no text in UTF-8") from None
    except MarkedError as error:
        raise SourceError(f"{source}: option map: {path}: {error}") from None
    reader = _Reader(source, dialect, points_max, period_ms)
    reader.read(root)
    if reader.errors:
        n = len(reader.errors)
        shown = "; ".join(reader.errors[:ERRORS_SHOWN])
        more = f"; and {n - ERRORS_SHOWN} more" if n > ERRORS_SHOWN else ""
        raise SourceError(f"{source}: option map: {path}: {shown}{more}")
    return reader.built(path)


class _Reader:
    def __init__(self, source: str, dialect: Dialect, points_max: int, period_ms: int) -> None:
        self.source, self.dialect = source, dialect
        self.points_max, self.period_ms = points_max, period_ms
        self.errors: list[str] = []
        self.points: list[MapPoint] = []
        self.names: dict[str, str] = {source: source}
        """Twin id -> name."""
        self.kinds: dict[str, str] = {}
        """Twin id -> name of its type."""
        self._checked_units: dict[str, str] = {}

    def wrong(self, line: int, text: str) -> None:
        self.errors.append(f"line {line}: {text}")

    def mapping(self, node: Node | None, what: str, allowed: Sequence[str]) -> dict[str, Node]:
        """The fields of a mapping; what is unknown in it is an error, since it would do nothing."""
        if node is None:
            return {}
        if node.fields is None:
            self.wrong(node.line, f"{what} is {node.what}; a mapping is wanted")
            return {}
        for name in node.fields:
            if allowed and name not in allowed:
                hint = near(name, allowed) or f"; there are {', '.join(allowed)}"
                self.wrong(node.line_of(name), f"{what}: no field '{name[:40]}'{hint}")
        return node.fields

    def read(self, root: Node) -> None:
        own = self.dialect.fields
        top = self.mapping(root, "the map", ("defaults", "points", "twins"))
        defaults_fields = (*own, "type", "period_ms", "writable")
        defaults = self.mapping(top.get("defaults"), "defaults", defaults_fields)
        self.twin(self.source, top.get("points"), [defaults])
        for path, node in self.mapping(top.get("twins"), "twins", ()).items():
            allowed = (*TWIN_FIELDS, *self.dialect.twin_fields, *own, "period_ms", "writable")
            fields = self.mapping(node, path[:80], allowed)
            levels = [iri_level(level) for level in path.split("/")]
            if not all(levels) or len(path) > 200 or any(x in (".", "..") for x in levels):
                self.wrong(node.line, f"'{path[:80]}' cannot name a twin; write hall/meter1")
                continue
            twin = "/".join([self.source, *levels])
            for i in range(1, len(levels) + 1):
                self.names.setdefault("/".join([self.source, *levels[:i]]), path.split("/")[i - 1])
            entry = Entry([fields], node.line)
            try:
                self.names[twin] = entry.text("name", path.split("/")[-1])
                self.kinds[twin] = entry.text("type", "")
            except Wrong as error:
                self.wrong(node.line, f"{path[:80]}: {error}")
            own_fields = {k: v for k, v in fields.items() if k not in TWIN_FIELDS}
            self.twin(twin, fields.get("points"), [own_fields, defaults])
        if not self.points and not self.errors:
            self.wrong(root.line, "it names no points; see docs/guide/modbus.md for an example")

    def twin(self, twin: str, node: Node | None, behind: list[dict[str, Node]]) -> None:
        allowed = (*POINT_FIELDS, *self.dialect.fields)
        label = twin.removeprefix(f"{self.source}/")
        for name, point in self.mapping(node, f"points of {label}", ()).items():
            if len(self.errors) >= ERRORS_MAX:
                return
            if len(self.points) >= self.points_max:
                if len(self.points) == self.points_max:
                    self.wrong(point.line, f"more than max_points={self.points_max} points")
                return
            fields = self.mapping(point, f"{label}.{name[:80]}", allowed)
            if point.fields is None:
                continue
            try:
                self.points.append(self.point(twin, name, Entry([fields, *behind], point.line)))
            except (Wrong, units.UnitError) as error:
                self.wrong(point.line, f"{label}.{name[:80]}: {error}")

    def point(self, twin: str, name: str, entry: Entry) -> MapPoint:
        if not name or len(name) > 200:
            raise Wrong("a point's name has 1 to 200 letters")
        field = self.dialect.field(entry)
        scale, offset = entry.number("scale", 1.0), entry.number("offset", 0.0)
        if scale == 0:
            raise Wrong("scale is 0, which leaves nothing of the value; leave it out")
        labels = self.labels(entry)
        kind = self.kind(field, scale != 1 or offset != 0, bool(labels))
        low, high = self.range(entry)
        unit = entry.text("unit", "")
        if unit:
            units.parse(unit)
        semantic = entry.text("semantic_id", "")
        description = entry.text("description", "")
        point = PointType(
            name,
            kind,
            unit,
            low,
            high,
            (semantic,) if semantic else (),
            labels,
            entry.flag("writable"),
            Text.of(description),
        )
        period_ms = entry.integer("period_ms", *PERIOD_MS_RANGE, default=self.period_ms)
        field = dataclasses.replace(field, scale=scale, offset=offset)
        place = f"{twin}.{name}"
        return MapPoint(twin, point, field, period_ms, place)

    def kind(self, field: Field, is_scaled: bool, has_labels: bool) -> Kind:
        if field.dtype in (BIT, TEXT, S7_TEXT):
            if is_scaled:
                raise Wrong("scale and offset are for numbers; leave them out")
            if has_labels:
                raise Wrong("labels are for whole numbers; leave them out")
            return Kind.BOOL if field.dtype == BIT else Kind.TEXT
        if "f" in field.dtype:
            if has_labels:
                raise Wrong("labels are for whole numbers; leave them out")
            return Kind.FLOAT
        if has_labels:
            if is_scaled:
                raise Wrong("a value with labels is a code and cannot be scaled")
            return Kind.ENUM
        return Kind.FLOAT if is_scaled else Kind.INT

    def labels(self, entry: Entry) -> tuple[tuple[int, str], ...]:
        node = entry.node("labels")
        if node is None:
            return ()
        if node.fields is None:
            raise Wrong("labels is a mapping of code to text, as {0: stopped, 1: running}")
        found: list[tuple[int, str]] = []
        for code, label in node.fields.items():
            try:
                found.append((integer(code), label.text or ""))
            except ValueError:
                raise Wrong(f"labels: '{code[:40]}' is no whole number") from None
        return tuple(found)

    def range(self, entry: Entry) -> tuple[float | None, float | None]:
        node = entry.node("range")
        if node is None:
            return None, None
        if node.rows is None or len(node.rows) != 2:
            raise Wrong("range is a list of two numbers, lowest and highest, as [0, 100]")
        low, high = (_number("range", row) for row in node.rows)
        if low >= high:
            raise Wrong(f"range: {low:g} is not below {high:g}")
        return low, high

    # --- what becomes of it

    def built(self, path: Path) -> RegisterMap:
        scheme = self.dialect.scheme
        of_twin: dict[str, list[PointType]] = {}
        for point in self.points:
            of_twin.setdefault(point.twin, []).append(point.point)
        shared: dict[str, set[PointType]] = {}
        for twin, kind in self.kinds.items():
            if kind:
                points = set(of_twin.get(twin, ()))
                shared[kind] = shared[kind] & points if kind in shared else points
        title = f"{scheme.capitalize()} device"
        types = [TwinType(f"{scheme}:Device", Text((("en", title),)))]
        ids: dict[str, str] = {}
        for kind, points in shared.items():
            ids[kind] = f"{scheme}:{self.source}/{iri_level(kind)}"
            ordered = tuple(sorted(points, key=lambda p: p.name))
            types.append(TwinType(ids[kind], Text.of(kind), points=ordered))
        twins: list[Twin] = []
        relations: list[Relation] = []
        for twin, name in self.names.items():
            kind = self.kinds.get(twin, "")
            own = tuple(p for p in of_twin.get(twin, ()) if p not in shared.get(kind, ()))
            facts: tuple[Property, ...] = ()
            if twin == self.source:
                facts = (Property("map", path.name),)
            else:
                relations.append(Relation(PART_OF, twin, twin.rpartition("/")[0]))
            twins.append(Twin(twin, ids.get(kind, types[0].id), Text.of(name), facts, own))
        return RegisterMap(path, tuple(self.points), tuple(twins), tuple(types), tuple(relations))


__all__ = ["Dialect", "Entry", "MapPoint", "RegisterMap", "Wrong", "near", "read_map"]
