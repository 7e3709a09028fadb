"""What a database holds, and how each of its tables can be followed.

Reads the catalogue through SQLAlchemy's inspector and a handful of rows; guesses which column is
a row's time, which one only grows, which name twins and points. What an option names is taken
as it says. Every identifier reaches the database through SQLAlchemy's quoting, never as text.
"""

from __future__ import annotations

import decimal
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
import sqlalchemy.exc
from sqlalchemy.engine import Connection, Inspector

from mirrorworld import units
from mirrorworld.connectors.guesses import VALUE_NAMES, bare, is_time_name, unit_of_name
from mirrorworld.connectors.sql_config import TableOptions
from mirrorworld.world.model import Kind, PointType
from mirrorworld.world.ports import SourceError

COLUMNS_MAX: Final = 2000

CHANGE_NAMES: Final = frozenset(
    {
        "updatedat", "modifiedat", "changedat", "lastupdated", "lastmodified", "lastchange",
        "updated", "modified", "mtime", "rowversion", "changeid", "changeseq", "updatetime",
        "geaendertam", "aenderungszeit",
    }
)  # fmt: skip
"""Names of a column that is set anew whenever a row is."""

POINT_NAMES: Final = frozenset(
    {
        "tag", "tagname", "signal", "signalname", "point", "pointname", "metric", "variable",
        "channel", "parameter", "sensor", "sensorname", "itemname", "measurand",
    }
)  # fmt: skip
KEY_NAMES: Final = frozenset(
    {
        "machine", "device", "asset", "equipment", "station", "entity", "line", "cell", "robot",
        "pump", "maschine", "anlage",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    type: sa.types.TypeEngine[Any]
    kind: Kind | None
    """Of the samples that its values would be; None: they cannot be samples."""
    is_moment: bool = False
    """Its values are dates and times."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view as the catalogue describes it."""

    name: str
    schema: str | None
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    has_rowid: bool = False
    """SQLite numbers the rows itself."""

    def column(self, name: str) -> Column | None:
        """The column of that name."""
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a table is followed. Its statements give the columns in the order of `selected`."""

    label: str
    """What the table is called in ids."""
    table: Table
    options: TableOptions
    change: Column
    ties: tuple[Column, ...]
    time: Column | None
    key: Column | None
    point: Column | None
    values: tuple[Column, ...]
    points: tuple[PointType, ...]
    """Wide form: of each value column. Long form: one, whose name is the row's."""
    why: str

    @property
    def is_long(self) -> bool:
        """Whether a row is one sample."""
        return self.point is not None

    @property
    def selected(self) -> tuple[Column, ...]:
        """(change, ties …, values …, and time, key and point where there are any)."""
        extra = (self.time, self.key, self.point)
        return (self.change, *self.ties, *self.values, *(c for c in extra if c is not None))

    @property
    def n_key(self) -> int:
        """How many of the selected columns identify a row."""
        return 1 + len(self.ties)

    def place(self, column: Column | None) -> int:
        """Where a column stands in a selected row; -1: it is not selected."""
        if column is None:
            return -1
        last = len(self.selected) - sum(c is not None for c in (self.time, self.key, self.point))
        for at, each in enumerate(c for c in (self.time, self.key, self.point) if c is not None):
            if each is column:
                return last + at
        return -1


# --- the catalogue --------------------------------------------------------------------------


def table_names(connection: Connection, limit: int) -> list[tuple[str | None, str]]:
    """(schema, name) of tables and views, the default schema first as None; at most `limit`."""
    inspector = sa.inspect(connection)
    own = {"information_schema", "pg_catalog", "pg_toast", "sys", "mysql", "performance_schema"}
    default = inspector.default_schema_name
    others = [s for s in inspector.get_schema_names() if s not in own and s != default]
    found: list[tuple[str | None, str]] = []
    for schema in (None, *sorted(others)):
        if connection.dialect.name == "sqlite" and schema is not None:
            continue  # attached files, `main` and `temp` over again
        names = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        found += [(schema, name) for name in names]
        if len(found) >= limit:
            break
    return found[:limit]


def describe(connection: Connection, schema: str | None, name: str) -> Table | None:
    """A table's columns and keys; None if there is none of that name."""
    inspector = sa.inspect(connection)
    try:
        columns = inspector.get_columns(name, schema)
    except sqlalchemy.exc.NoSuchTableError:
        return None
    is_sqlite = connection.dialect.name == "sqlite"
    primary = tuple(inspector.get_pk_constraint(name, schema).get("constrained_columns") or ())
    is_view = name in inspector.get_view_names(schema)
    return Table(
        name,
        schema,
        tuple(_column(c["name"], c["type"], is_sqlite) for c in columns[:COLUMNS_MAX]),
        primary,
        _unique(inspector, schema, name),
        is_sqlite and not is_view and not primary,
    )


def _unique(inspector: Inspector, schema: str | None, name: str) -> tuple[tuple[str, ...], ...]:
    try:
        found = inspector.get_unique_constraints(name, schema)
    except (NotImplementedError, sqlalchemy.exc.SQLAlchemyError):
        return ()
    return tuple(tuple(str(n) for n in each["column_names"] if n) for each in found)


def _column(name: str, type_: sa.types.TypeEngine[Any], is_sqlite: bool) -> Column:
    kind, is_moment = _kind(type_)
    # SQLite keeps whatever it is given, whatever was declared: its values are taken as they are.
    kept = sa.types.NullType() if is_sqlite else type_
    return Column(name, kept, kind, is_moment)


def _kind(type_: sa.types.TypeEngine[Any]) -> tuple[Kind | None, bool]:
    match type_:
        case sa.types.Boolean():
            return Kind.BOOL, False
        case sa.types.Integer():
            return Kind.INT, False
        case sa.types.Numeric() | sa.types.Float():
            return Kind.FLOAT, False
        case sa.types.DateTime() | sa.types.Date():
            return Kind.INT, True
        case sa.types.String() | sa.types.Enum() | sa.types.Uuid() | sa.types.JSON():
            return Kind.TEXT, False
        case _:
            return None, False


def refined(table: Table, rows: Sequence[tuple[Any, ...]]) -> Table:
    """The table with the kinds that its values show where its types leave them open (SQLite)."""
    columns: list[Column] = []
    for i, column in enumerate(table.columns):
        seen = [row[i] for row in rows if row[i] is not None]
        if column.kind is None and seen and isinstance(column.type, sa.types.NullType):
            column = Column(column.name, column.type, _kind_of_value(seen[0]))
        columns.append(column)
    return Table(
        table.name, table.schema, tuple(columns), table.primary_key, table.unique, table.has_rowid
    )


def _kind_of_value(value: Any) -> Kind | None:
    match value:
        case bool():
            return Kind.BOOL
        case int():
            return Kind.INT
        case float() | decimal.Decimal():
            return Kind.FLOAT
        case str():
            return Kind.TEXT
        case _:
            return None


# --- how it is followed ---------------------------------------------------------------------


def plan(table: Table, options: TableOptions, source: str) -> Plan:
    """How the table is followed, by what the options say and else by guessing.

    Raises:
        SourceError: it cannot; the message names the option that would help.
    """
    place = f"{source}: table '{table.name}'"
    time = _named(table, "time", options.time, place) or _time(table)
    change = _named(table, "change", options.change, place) or _change(table, time)
    if change is None:
        raise SourceError(
            f"{place}: no column shows which rows are new; name one that only grows (a serial id,"
            f" updated_at) by the option 'change'; there are {_have(table)}"
        )
    ties = _ties(table, change, options, place)
    point = _named(table, "point", options.point, place)
    values = [
        column
        for name in options.value.split(",")
        if name.strip() and (column := _named(table, "value", name.strip(), place)) is not None
    ]
    if point is None and not options.point and not values:
        point, values = _long(table)
    key = _named(table, "key", options.key, place) or _key(table, point)
    taken = {c.name for c in (change, *ties, time, key, point) if c is not None}
    taken |= set(table.primary_key)
    if not values:
        values = [c for c in table.columns if c.name not in taken and c.kind is not None]
    if not values:
        raise SourceError(
            f"{place}: no column is left whose values could be samples; name some by the option"
            f" 'value'; there are {_have(table)}"
        )
    if point is not None and len(values) != 1:
        raise SourceError(
            f"{place}: with the option 'point' each row is one sample; name its column by 'value'"
        )
    points = tuple(_point(column, options, place) for column in values)
    why = _why(table, change, ties, time, key, point, values)
    label = table.name if table.schema is None else f"{table.schema}.{table.name}"
    return Plan(
        label, table, options, change, ties, time, key, point, tuple(values), points, why
    )  # fmt: skip


def _point(column: Column, options: TableOptions, place: str) -> PointType:
    name, unit = unit_of_name(column.name)
    given = options.units.get(column.name, options.units.get(name))
    if given is not None:
        try:
            units.check(given, f"{place}.{column.name}")
        except units.UnitError as error:
            raise SourceError(str(error)) from error
        unit = given
    kind = column.kind if column.kind is not None else Kind.TEXT
    if column.is_moment:
        unit = "ns"
    return PointType(name, kind, unit=unit if kind in (Kind.FLOAT, Kind.INT) else "")


def _named(table: Table, option: str, name: str, place: str) -> Column | None:
    """The column that an option names; None if it names none."""
    if not name:
        return None
    column = table.column(name)
    if column is None and name == "rowid" and table.has_rowid:
        return Column("rowid", sa.types.NullType(), Kind.INT)
    if column is None:
        near = difflib.get_close_matches(name, [c.name for c in table.columns], n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {_have(table)}"
        raise SourceError(f"{place}: option {option}='{name}': no such column; {hint}")
    return column


def _have(table: Table) -> str:
    names = [c.name for c in table.columns]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _time(table: Table) -> Column | None:
    named = [c for c in table.columns if is_time_name(c.name) and c.name not in table.primary_key]
    moments = [c for c in table.columns if c.is_moment and bare(c.name) not in CHANGE_NAMES]
    both = [c for c in named if c.is_moment]
    return next(iter([*both, *named, *moments]), None)


def _change(table: Table, time: Column | None) -> Column | None:
    by_name = [c for c in table.columns if bare(c.name) in CHANGE_NAMES]
    if by_name:
        return by_name[0]
    if len(table.primary_key) == 1:
        primary = table.column(table.primary_key[0])
        if primary is not None and primary.kind is Kind.INT:
            return primary
    if table.has_rowid:
        return Column("rowid", sa.types.NullType(), Kind.INT)
    return time


def _ties(table: Table, change: Column, options: TableOptions, place: str) -> tuple[Column, ...]:
    """The columns that make a row's key one of its own."""
    if options.tie:
        named = [_named(table, "tie", n.strip(), place) for n in options.tie.split(",")]
        return tuple(c for c in named if c is not None and c.name != change.name)
    if change.name == "rowid" and table.has_rowid:
        return ()
    for key in (table.primary_key, *table.unique):
        if key and all(table.column(n) is not None for n in key):
            if key == (change.name,):
                return ()
            if key == table.primary_key:
                return tuple(c for c in table.columns if c.name in key and c.name != change.name)
    if (change.name,) in table.unique:
        return ()
    if table.has_rowid:
        return (Column("rowid", sa.types.NullType(), Kind.INT),)
    raise SourceError(
        f"{place}: several rows may have the same '{change.name}' and nothing tells them apart;"
        " give the table a primary key, or name columns that do by the option 'tie'"
    )


def _long(table: Table) -> tuple[Column | None, list[Column]]:
    """(the column that names points, the one that has their values), if it looks like that."""
    names = [c for c in table.columns if bare(c.name) in POINT_NAMES and c.kind is Kind.TEXT]
    values = [c for c in table.columns if bare(c.name) in VALUE_NAMES and c.kind is not None]
    return (names[0], values[:1]) if names and values else (None, [])


def _key(table: Table, point: Column | None) -> Column | None:
    for column in table.columns:
        name = bare(column.name).removesuffix("id").removesuffix("name")
        if name in KEY_NAMES and column is not point and column.name not in table.primary_key:
            return column
    return None


def _why(
    table: Table,
    change: Column,
    ties: Sequence[Column],
    time: Column | None,
    key: Column | None,
    point: Column | None,
    values: Sequence[Column],
) -> str:
    tied = f" and {', '.join(c.name for c in ties)}" if ties else ""
    parts = [
        f"table {table.name}: new rows by {change.name}{tied}",
        f"time from {time.name}" if time else "no time, so rows are stamped when they are read",
        f"a twin for each {key.name}" if key else "one twin",
        f"points named by {point.name}, values in {values[0].name}"
        if point
        else f"a point for each of {_names(values)}",
    ]
    return "; ".join(parts)


def _names(columns: Iterable[Column], limit: int = 8) -> str:
    names = [c.name for c in columns]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
