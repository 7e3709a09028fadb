"""How worlds, twins and values look in a notebook. Everything that comes from a world is escaped:
names are written by whoever runs a source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from mirrorworld.client.times import when
from mirrorworld.protocol.rest import PointValue, TwinDetail, TwinRow, WorldInfo
from mirrorworld.world.changes import Command
from mirrorworld.world.model import Text
from mirrorworld.world.plain import from_plain

ROWS_SHOWN = 200
_LEFT = "style='text-align:left'"
_MARKS = {"good": "●", "uncertain": "◐", "bad": "○"}


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], left_out: int = 0) -> str:
    """A table of texts."""
    cells = "".join(f"<th style='text-align:left'>{escape(name)}</th>" for name in head)
    lines = [
        "<tr>"
        + "".join(f"<td style='text-align:left'>{escape(str(c))}</td>" for c in row)
        + "</tr>"
        for row in rows
    ]
    more = f"<p>and {left_out} more</p>" if left_out > 0 else ""
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody></table>{more}"


def world(info: WorldInfo, place: str) -> str:
    """A world at a glance."""
    rows = [
        ("where", place),
        ("position", info.position),
        ("twins", info.twins),
        ("points", info.points),
        ("active events", info.active_events),
        ("open commands", info.open_commands),
    ]
    return f"<h4>World {escape(info.id)}</h4>" + table(("", ""), rows)


def twins(rows: Sequence[TwinRow]) -> str:
    """A table of twins."""
    shown = [
        (row.id, from_plain(Text, row.name).best("en"), row.type, row.points, row.part_of)
        for row in rows[:ROWS_SHOWN]
    ]
    head = ("id", "name", "type", "points", "part of")
    return table(head, shown, len(rows) - len(shown))


def values(rows: Sequence[PointValue]) -> str:
    """A table of values."""
    shown = [
        (
            value.id,
            text_of(value),
            value.unit,
            f"{_MARKS.get(value.severity, '')} {value.quality_name}",
            when(value.source_ns) or "never",
            f"{value.origin} by {value.by}" if value.origin else "",
        )
        for value in list(rows)[:ROWS_SHOWN]
    ]
    head = ("point", "value", "unit", "quality", "time", "origin")
    return table(head, shown, len(rows) - len(shown))


def text_of(value: PointValue) -> str:
    """A value as people read it."""
    if value.value is None:
        return "–"
    if value.label:
        return f"{value.value} ({value.label})" if value.label != str(value.value) else value.label
    if isinstance(value.value, list):
        return f"{len(value.value)} numbers"
    return f"{value.value:.6g}" if isinstance(value.value, float) else str(value.value)


def twin(detail: TwinDetail) -> str:
    """Everything known of a twin."""
    name = from_plain(Text, detail.twin.get("name", {})).best("en")
    head = f"<h4>{escape(name or detail.twin['id'])}</h4>"
    facts = [
        ("id", detail.twin["id"]),
        ("type", detail.twin.get("type", "")),
        *((p["name"], _plain(p.get("value"))) for p in detail.twin.get("properties", ())),
        *((r["kind"], r["target"]) for r in detail.relations_out),
        *((f"{r['kind']} from", r["source"]) for r in detail.relations_in),
    ]
    points = values([point.value for point in detail.points])
    return head + table(("", ""), facts[:ROWS_SHOWN], len(facts) - ROWS_SHOWN) + points


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return str(
            value.get("iri") or value.get("name") or {k: v for k, v in value.items() if k != "@"}
        )
    return f"{len(value)} parts" if isinstance(value, list) else str(value)


def command(one: Command) -> str:
    """A command and how far it has come."""
    rows = [
        ("what", f"{one.twin}.{one.point or one.operation}"),
        ("value", "" if one.value is None else one.value),
        ("state", one.state.name.lower()),
        ("detail", one.detail),
        ("by", one.by),
        ("reason", one.reason),
    ]
    return table(("", ""), rows)
