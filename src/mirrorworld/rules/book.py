"""Rules as they are written down: what a sheet of kind `rule` says, read and checked.

    {"applies": {"type": "Pump"}, "alarm": {"when": "pressure > 6 bar", "severity": 2}}
    {"applies": {"subtree": "hall"}, "derive": {"point": "load", "expression": "power / 4 kW"}}

Knows JSON and texts; refuses to know values.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from mirrorworld.rules.language import Binary, Node, Number, RuleError, parse
from mirrorworld.world.changes import Severity
from mirrorworld.world.model import Sheet, Text

KIND: Final = "rule"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
DELAY_S_MAX: Final = 24 * 3600.0
MESSAGE_LENGTH_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Applies:
    """Which twins: all conditions that are given hold. None given: no twin."""

    type: str = ""
    """Id of a type; twins of types that extend it too."""
    subtree: str = ""
    """Id of a twin; it and what is below it."""
    twins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Derive:
    """A point that is worked out."""

    point: str
    expression: Node
    text: str
    unit: str = ""
    """UCUM of the point; "": as it comes."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition that people are told of."""

    when: Node
    text: str
    until: Node
    """What keeps it active: `when` with the hysteresis taken off."""
    severity: Severity = Severity.MEDIUM
    message: Text = field(default_factory=Text)
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0
    latch: bool = False
    """Stays until a person acknowledges it, though its cause is gone."""
    needs_ack: bool = True
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    name: str
    applies: Applies
    derive: Derive | None = None
    alarm: Alarm | None = None
    is_enabled: bool = True


def read(sheet: Sheet) -> Rule:
    """The rule of a sheet.

    Raises:
        ValueError: it is none; the message names the rule, the place in it and the mend.
    """
    place = f"rule {sheet.name}"
    if not NAME.fullmatch(sheet.name):
        raise ValueError(f"{place}: letters, digits and _ . - name a rule, 64 at most")
    try:
        plain = json.loads(sheet.body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise ValueError(f"{place}: an object was expected")
    _only(plain, {"applies", "derive", "alarm", "is_enabled"}, place)
    applies = _applies(plain.get("applies"), f"{place}: applies")
    derive = plain.get("derive")
    alarm = plain.get("alarm")
    if (derive is None) == (alarm is None):
        raise ValueError(f"{place}: give 'derive' or 'alarm', one of the two")
    enabled = plain.get("is_enabled", True)
    if not isinstance(enabled, bool):
        raise ValueError(f"{place}: is_enabled: true or false was expected")
    return Rule(
        sheet.name,
        applies,
        None if derive is None else _derive(derive, f"{place}: derive"),
        None if alarm is None else _alarm(alarm, f"{place}: alarm"),
        enabled,
    )


def _applies(plain: Any, place: str) -> Applies:
    if not isinstance(plain, dict) or not plain:
        raise ValueError(f'{place}: say for which twins, as in {{"type": "Pump"}}')
    _only(plain, {"type", "subtree", "twins"}, place)
    twins = plain.get("twins", [])
    if not isinstance(twins, list) or not all(isinstance(t, str) for t in twins):
        raise ValueError(f"{place}.twins: a list of ids was expected")
    return Applies(_text(plain, "type", place), _text(plain, "subtree", place), tuple(twins))


def _derive(plain: Any, place: str) -> Derive:
    if not isinstance(plain, dict):
        raise ValueError(f"{place}: an object was expected")
    _only(plain, {"point", "expression", "unit"}, place)
    point = _text(plain, "point", place)
    if not point or len(point) > 200:
        raise ValueError(f"{place}.point: the name of the point to make was expected")
    text = _text(plain, "expression", place)
    return Derive(point, _parse(text, f"{place}.expression"), text, _text(plain, "unit", place))


def _alarm(plain: Any, place: str) -> Alarm:
    if not isinstance(plain, dict):
        raise ValueError(f"{place}: an object was expected")
    names = "when severity message on_delay_s off_delay_s hysteresis latch needs_ack suggestion"
    _only(plain, set(names.split()), place)
    text = _text(plain, "when", place)
    when = _parse(text, f"{place}.when")
    until = when
    if plain.get("hysteresis") is not None:
        until = _relaxed(when, str(plain["hysteresis"]), f"{place}.hysteresis")
    severity = plain.get("severity", 2)
    if severity not in (0, 1, 2, 3):
        raise ValueError(f"{place}.severity: 0 info, 1 low, 2 medium or 3 high was expected")
    message = plain.get("message", "")
    if isinstance(message, str):
        said = Text.of(message)
    elif isinstance(message, dict) and all(isinstance(v, str) for v in message.values()):
        said = Text(tuple(message.items()))
    else:
        raise ValueError(f"{place}.message: a text, or texts by language, was expected")
    if any(len(words) > MESSAGE_LENGTH_MAX for _, words in said.by_language):
        raise ValueError(f"{place}.message: at most {MESSAGE_LENGTH_MAX} characters")
    flags = {name: plain.get(name, name == "needs_ack") for name in ("latch", "needs_ack")}
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise ValueError(f"{place}.{name}: true or false was expected")
    return Alarm(
        when,
        text,
        until,
        Severity(severity),
        said,
        _seconds(plain, "on_delay_s", place),
        _seconds(plain, "off_delay_s", place),
        flags["latch"],
        flags["needs_ack"],
        _text(plain, "suggestion", place)[:MESSAGE_LENGTH_MAX],
    )


def _relaxed(when: Node, hysteresis: str, place: str) -> Node:
    """The condition with its limit moved, so that a value at the limit does not flutter."""
    margin = _parse(hysteresis, place)
    is_plain = isinstance(margin, Number) and margin.value >= 0
    if not is_plain or not isinstance(when, Binary) or when.operator not in ("<", "<=", ">", ">="):
        raise ValueError(
            f"{place}: goes with a single comparison, as in pressure > 6 bar, and is a number with"
            " its unit, as in 0.2 bar"
        )
    sign = "-" if when.operator in (">", ">=") else "+"
    return Binary(when.operator, when.left, Binary(sign, when.right, margin), when.column)


def _parse(text: str, place: str) -> Node:
    try:
        return parse(text)
    except RuleError as error:
        raise ValueError(f"{place}: {error}") from error


def _only(plain: dict[str, Any], known: set[str], place: str) -> None:
    for name in plain:
        if name not in known:
            raise ValueError(
                f"{place}: '{name[:40]}' is not known; there are {', '.join(sorted(known))}"
            )


def _text(plain: dict[str, Any], name: str, place: str) -> str:
    value = plain.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{place}.{name}: a text was expected")
    return value


def _seconds(plain: dict[str, Any], name: str, place: str) -> float:
    value = plain.get(name, 0)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value <= DELAY_S_MAX
    ):
        raise ValueError(f"{place}.{name}: 0 to {DELAY_S_MAX:g} seconds was expected")
    return float(value)
