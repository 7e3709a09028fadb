"""Visual rules: what a sheet of kind `look` says, as the page composes it, read and checked.

    {"version": 1, "rules": [
        {"id": "a1", "type": "Pump", "value": "Vibration", "unit": "mm/s", "shows": ["colour"],
         "bands": [{"above": 0, "colour": "green", "mark": "✓", "word": "calm"},
                   {"above": 4.5, "colour": "orange", "mark": "▲", "word": "rough"}]}]}

The first rule that a twin and its value fit counts. Knows shapes and bounds; units are checked at
the door (`live/sheets.py`). Refuses to know whether types and points are there: they come with
their sources, later than a look may. Whoever edits a look in the page is told by name of what is
not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from mirrorworld.protocol import written
from mirrorworld.world.model import Sheet
from mirrorworld.world.plain import from_plain

KIND: Final = "look"
VERSION: Final = 1
RULES_MAX: Final = 24
BANDS_MAX: Final = 8
VALUE_LENGTH_MAX: Final = 300
UNIT_LENGTH_MAX: Final = 64
TITLE_LENGTH_MAX: Final = 120
WORD_LENGTH_MAX: Final = 24
COLOURS: Final = ("blue", "sky", "green", "yellow", "orange", "vermilion", "purple", "grey")
"""After Okabe and Ito (2008): told apart by people of any colour vision."""
MARKS: Final = ("", "✓", "●", "◆", "▲", "■", "▼", "✕")
"""What stands before a badge's word: the same said by shape."""
SHOWS: Final = ("colour", "badge", "lamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """From a limit up to the next: one colour, one mark, one word."""

    above: float
    """In the rule's unit; the lowest band holds what is below it as well."""
    colour: str
    mark: str = ""
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisualRule:
    """How twins of a type look by a value: over a ramp from low to high, or in bands."""

    id: str
    title: str = ""
    type: str = ""
    """Id of a type; twins of types that extend it too. Empty: of any type."""
    pattern: str = ""
    """Ids of twins, `*` for anything within a part, `**` over parts; empty: all."""
    value: str = ""
    """Name of a point, or an expression over points of the twin: `PowerIn - PowerOut`."""
    unit: str = ""
    """UCUM, of the limits below; empty: as the point says."""
    low: float = 0
    high: float = 0
    """Ends of the ramp; both 0: bands."""
    bands: tuple[Band, ...] = ()
    shows: tuple[str, ...] = ("colour",)
    """colour: its body; badge: a word on its name; lamp: a lamp above it."""


@dataclass(frozen=True, slots=True)
class Look:
    """Rules, the one that counts first."""

    rules: tuple[VisualRule, ...] = ()
    version: int = VERSION


def read(sheet: Sheet) -> Look:
    """The look of a sheet.

    Raises:
        ValueError: it is none; the message names the look, the place in it and the mend.
    """
    place = written.place_of(sheet)
    known = written.opened(sheet, ("rules",), VERSION)
    rows = written.rows(known, "rules", RULES_MAX, sheet)
    rules = tuple(from_plain(VisualRule, row, f"{place}.rules[{i}]") for i, row in enumerate(rows))
    written.own_ids([rule.id for rule in rules], "rules", "rule", sheet)
    for i, rule in enumerate(rules):
        _check(rule, f"{place}.rules[{i}]")
    return Look(rules)


def _check(rule: VisualRule, place: str) -> None:
    written.short(rule.title, TITLE_LENGTH_MAX, f"{place}.title")
    written.short(rule.type, written.ID_LENGTH_MAX, f"{place}.type")
    written.short(rule.pattern, written.ID_LENGTH_MAX, f"{place}.pattern")
    written.short(rule.value, VALUE_LENGTH_MAX, f"{place}.value")
    if not rule.value.strip():
        raise ValueError(f"{place}.value: the name of a point was expected")
    written.short(rule.unit, UNIT_LENGTH_MAX, f"{place}.unit")
    for shown in rule.shows:
        _one_of(shown, SHOWS, f"{place}.shows")
    is_ramp = rule.low != 0 or rule.high != 0
    if is_ramp == bool(rule.bands):
        raise ValueError(f"{place}: give either low and high, or bands")
    if is_ramp and not (math.isfinite(rule.low) and math.isfinite(rule.high - rule.low)):
        raise ValueError(f"{place}: finite limits were expected")
    if is_ramp and rule.low >= rule.high:
        raise ValueError(f"{place}.high: {rule.high:g}; more than low ({rule.low:g}) was expected")
    written.within(len(rule.bands), 0, BANDS_MAX, f"{place}.bands")
    for i, band in enumerate(rule.bands):
        here = f"{place}.bands[{i}]"
        _one_of(band.colour, COLOURS, f"{here}.colour")
        _one_of(band.mark, MARKS, f"{here}.mark")
        written.short(band.word, WORD_LENGTH_MAX, f"{here}.word")
        if not math.isfinite(band.above):
            raise ValueError(f"{here}.above: a finite limit was expected")
        if i and band.above <= rule.bands[i - 1].above:
            raise ValueError(f"{here}.above: {band.above:g}; bands go upwards")


def _one_of(said: str, those: tuple[str, ...], place: str) -> None:
    if said not in those:
        raise ValueError(f"{place}: '{said[:20]}'; it may be {', '.join(filter(None, those))}")
