"""Mappings as they are written down: what a sheet of kind `mapping` says, read and checked.

    {"where": {"id": "plant/*/Pump{n}"},
     "set": {"name": "Pump {n}", "type": "Pump",
             "points": [{"name": "*temp*", "unit": "Cel", "low": 0, "high": 120}],
             "relations": [{"kind": "part_of", "to": "plant/hall"}]}}

Knows JSON, patterns and units; refuses to know twins.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Final

from mirrorworld import units
from mirrorworld.mapping.globs import Glob, Template
from mirrorworld.world.model import Sheet

KIND: Final = "mapping"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
PARTS_MAX: Final = 32
"""Points, relations or properties of one mapping."""
LABELS_MAX: Final = 256
PLACE_MAX_M: Final = 1e7

OF_TWIN: Final = ("id", "leaf", "name", "type")
"""What a text may have filled in without a capture: of the twin as it was before."""


@dataclass(frozen=True, slots=True)
class SetPoint:
    """What is said of the points that a pattern matches. None: left to the source."""

    match: Glob
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    semantic_ids: tuple[Template, ...] | None = None
    description: Template | None = None
    labels: tuple[tuple[int, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class SetRelation:
    """A relation from the twin to another, or the other way."""

    kind: str
    other: Template
    is_inward: bool = False
    """The other is the source, as in "fed from"."""


@dataclass(frozen=True, slots=True)
class SetPlace:
    """Where twins stand: start + step × n, a new row after every `per_row` of them."""

    start_m: tuple[float, float, float]
    step_m: tuple[float, float, float]
    per_row: int = 0
    """0: one row."""
    row_step_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    by: str = ""
    """The capture that counts; "": in the order in which the twins were declared."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping."""

    id: Glob | None
    name: Glob | None
    type: Glob | None
    set_name: Template | None = None
    set_type: Template | None = None
    serial_number: Template | None = None
    properties: tuple[tuple[str, Template], ...] = ()
    points: tuple[SetPoint, ...] = ()
    relations: tuple[SetRelation, ...] = ()
    place: SetPlace | None = None
    keep_said: bool = False
    """Leaves alone what a person has said already."""
    new_twins: bool = False
    """Applies by itself to twins that come later."""


def read(sheet: Sheet) -> Mapping:
    """The mapping of a sheet.

    Raises:
        ValueError: it is none; the message names the mapping, the place in it and the mend.
    """
    place = f"mapping {sheet.name}"
    if not NAME.fullmatch(sheet.name):
        raise ValueError(f"{place}: letters, digits and _ . - name a mapping, 64 at most")
    return parse(sheet.body, place)


def parse(body: str, place: str = "mapping") -> Mapping:
    """The mapping that a JSON text says; see `read`."""
    try:
        plain = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: not JSON: {error}") from error
    plain = _object(plain, {"where", "set", "keep_said", "new_twins"}, place)
    where = _object(plain.get("where"), {"id", "name", "type"}, f"{place}: where")
    globs: dict[str, Glob | None] = {}
    captures: list[str] = [*OF_TWIN]
    for key in ("id", "name", "type"):
        at = f"{place}: where.{key}"
        glob = None if key not in where else _glob(where[key], at, is_path=key == "id")
        globs[key] = glob
        for name in glob.captures if glob is not None else ():
            if name in captures:
                raise ValueError(f"{at}: {{{name}}} is taken; capture it under another name")
            captures.append(name)
    if not any(globs.values()):
        raise ValueError(f'{place}: where: say for which twins, as in {{"id": "plant/**"}}')
    names = {"name", "type", "serial_number", "properties", "points", "relations", "place"}
    told = _object(plain.get("set"), names, f"{place}: set")
    if not told:
        raise ValueError(f'{place}: set: say what to set, as in {{"name": "Pump {{n}}"}}')

    def template(value: Any, at: str) -> Template:
        try:
            found = Template(_text(value, at))
            found.check(captures)
        except ValueError as error:
            raise ValueError(
                str(error) if str(error).startswith(at) else f"{at}: {error}"
            ) from None
        return found

    def opt(key: str) -> Template | None:
        return template(told[key], f"{place}: set.{key}") if key in told else None

    flags = {key: plain.get(key, False) for key in ("keep_said", "new_twins")}
    for key, flag in flags.items():
        if not isinstance(flag, bool):
            raise ValueError(f"{place}: {key}: true or false was expected")
    properties = told.get("properties", {})
    if not isinstance(properties, dict) or len(properties) > PARTS_MAX or "" in properties:
        raise ValueError(f"{place}: set.properties: up to {PARTS_MAX} texts by name were expected")
    return Mapping(
        globs["id"],
        globs["name"],
        globs["type"],
        opt("name"),
        opt("type"),
        opt("serial_number"),
        tuple((k, template(v, f"{place}: set.properties.{k}")) for k, v in properties.items()),
        tuple(
            _point(p, f"{place}: set.points[{i}]", template)
            for i, p in enumerate(_list(told.get("points", []), f"{place}: set.points"))
        ),
        tuple(
            _relation(r, f"{place}: set.relations[{i}]", template)
            for i, r in enumerate(_list(told.get("relations", []), f"{place}: set.relations"))
        ),
        _place(told["place"], f"{place}: set.place", captures) if "place" in told else None,
        flags["keep_said"],
        flags["new_twins"],
    )


def _point(value: Any, place: str, template: Any) -> SetPoint:
    known = {"name", "unit", "low", "high", "semantic_id", "description", "labels"}
    plain = _object(value, known, place)
    if len(plain) < 2 or "name" not in plain:
        raise ValueError(f'{place}: name points and say what of them: {{"name": "*", "unit": "K"}}')
    unit = None if plain.get("unit") is None else _text(plain["unit"], f"{place}.unit")
    match = _glob(plain["name"], f"{place}.name")
    if match.captures:
        raise ValueError(f"{place}.name: captures of points are not used; write * instead")
    if unit:
        units.check(unit, f"{place}.unit")
    low, high = (_number(plain.get(k), f"{place}.{k}") for k in ("low", "high"))
    if low is not None and high is not None and low > high:
        raise ValueError(f"{place}: the range from {low:g} to {high:g} is empty")
    semantic = plain.get("semantic_id")
    description = plain.get("description")
    labels = plain.get("labels")
    return SetPoint(
        match,
        unit,
        low,
        high,
        None if semantic is None else (template(semantic, f"{place}.semantic_id"),),
        None if description is None else template(description, f"{place}.description"),
        None if labels is None else _labels(labels, f"{place}.labels"),
    )


def _labels(value: Any, place: str) -> tuple[tuple[int, str], ...]:
    if not isinstance(value, dict) or len(value) > LABELS_MAX:
        raise ValueError(f'{place}: labels by code were expected: {{"0": "off", "1": "on"}}')
    try:
        pairs = sorted((int(code), _text(label, place)) for code, label in value.items())
    except (TypeError, ValueError):
        raise ValueError(f"{place}: each code is a whole number, each label a text") from None
    return tuple(pairs)


def _relation(value: Any, place: str, template: Any) -> SetRelation:
    plain = _object(value, {"kind", "to", "from"}, place)
    kind = _text(plain.get("kind", ""), f"{place}.kind")
    if not kind or ("to" in plain) == ("from" in plain):
        raise ValueError(
            f'{place}: give a kind and "to" or "from": {{"kind": "feeds", "to": "plant/tank{{n}}"}}'
        )
    key = "to" if "to" in plain else "from"
    return SetRelation(kind, template(plain[key], f"{place}.{key}"), key == "from")


def _place(value: Any, place: str, captures: list[str]) -> SetPlace:
    plain = _object(value, {"start", "step", "per_row", "row_step", "by"}, place)
    per_row = plain.get("per_row", 0)
    if isinstance(per_row, bool) or not isinstance(per_row, int) or not 0 <= per_row <= 1_000_000:
        raise ValueError(f"{place}.per_row: a whole number was expected; 0 is one row")
    by = _text(plain.get("by", ""), f"{place}.by").strip("{}")
    if by and (by in OF_TWIN or by not in captures):
        raise ValueError(f"{place}.by: '{by[:40]}' is captured by no pattern")
    start, step, row_step = (
        _metres(plain.get(key, [0, 0, 0]), f"{place}.{key}")
        for key in ("start", "step", "row_step")
    )
    return SetPlace(start, step, per_row, row_step, by)


def _metres(value: Any, place: str) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(f"{place}: three numbers in metres were expected, as in [2, 0, 0]")
    x, y, z = (_number(v, place) or 0.0 for v in value)
    if max(abs(x), abs(y), abs(z)) > PLACE_MAX_M:
        raise ValueError(f"{place}: more than {PLACE_MAX_M:g} m away")
    return x, y, z


def _glob(value: Any, place: str, *, is_path: bool = True) -> Glob:
    text = _text(value, place)
    try:
        return Glob(text, is_path=is_path)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _object(value: Any, known: set[str], place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{place}: an object was expected")
    for name in value:
        if name not in known:
            raise ValueError(
                f"{place}: '{str(name)[:40]}' is not known; there are {', '.join(sorted(known))}"
            )
    return value


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > PARTS_MAX:
        raise ValueError(f"{place}: a list of at most {PARTS_MAX} was expected")
    return value


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or len(value) > 2_000:
        raise ValueError(f"{place}: a text was expected")
    return value


def _number(value: Any, place: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{place}: a number was expected")
    return float(value)
