"""The statements that the SQL connector sends: SELECTs of named columns, a page at a time.

Names of tables and columns come from the catalogue and are quoted by SQLAlchemy's dialect; values
are bound. Nothing is ever put together as text.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from mirrorworld.connectors.sql_tables import Column, Plan, Table


def first(table: Table, limit: int) -> sa.Select[Any]:
    """A few rows of all columns, whichever the database gives first."""
    named = _clause(table.schema, table.name, table.columns)
    statement: Any = sa.select(*_labelled(named, table.columns))
    return statement.limit(limit)


def _clause(schema: str | None, name: str, columns: Iterable[Column]) -> sa.TableClause:
    made = {c.name: sa.column(c.name, c.type) for c in columns}
    return sa.table(name, *made.values(), schema=schema)


def _labelled(named: sa.TableClause, columns: Sequence[Column]) -> list[Any]:
    """The columns under names of ours: theirs may be anything, twice over."""
    return [named.c[c.name].label(f"c{i}") for i, c in enumerate(columns)]


def page(
    plan: Plan,
    *,
    after: Sequence[Any] | None = None,
    until: Sequence[Any] | None = None,
    limit: int,
    is_backward: bool = False,
) -> sa.Select[Any]:
    """Rows with after < (change, ties …) <= until, in their order, at most `limit`."""
    statement: Any
    named = _clause(plan.table.schema, plan.table.name, plan.selected)
    keys = [named.c[c.name] for c in (plan.change, *plan.ties)]
    statement = sa.select(*_labelled(named, plan.selected)).where(keys[0].is_not(None))
    if after is not None:
        statement = statement.where(_beyond(plan, keys, after, "after"))
    if until is not None:
        statement = statement.where(sa.not_(_beyond(plan, keys, until, "until")))
    order = [k.desc() for k in keys] if is_backward else keys
    return statement.order_by(*order).limit(limit)


def _beyond(plan: Plan, keys: Sequence[Any], at: Sequence[Any], name: str) -> Any:
    """(change, ties …) > at, spelt out since not every database compares rows."""
    columns = (plan.change, *plan.ties)
    bound = [
        sa.bindparam(f"{name}{i}", value, c.type if not _is_null(c) else _type_of(value))
        for i, (c, value) in enumerate(zip(columns, at, strict=True))
    ]
    condition = keys[-1] > bound[-1]
    for key, value in zip(reversed(keys[:-1]), reversed(bound[:-1]), strict=True):
        condition = sa.or_(key > value, sa.and_(key == value, condition))
    # The first comparison once more, bare, is what an index is searched by.
    return sa.and_(keys[0] >= bound[0], condition)


def _is_null(column: Column) -> bool:
    return isinstance(column.type, sa.types.NullType)


def _type_of(value: Any) -> Any:
    match value:
        case int():
            return sa.types.BigInteger()
        case float():
            return sa.types.Float()
        case datetime.datetime():
            return sa.types.DateTime()
        case bytes():
            return sa.types.LargeBinary()
        case _:
            return sa.types.String()
