"""Why a unit stands: the tree of reasons that people choose from, and as what each counts.

A sheet of kind `downtime_reasons` says it; where there is none, `DEFAULT` holds. Knows no stop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

import msgspec

from mirrorworld.operations.effectiveness import DELAYED, DOWN, PLANNED, SETUP
from mirrorworld.world.model import Text
from mirrorworld.world.structure import Structure

KIND: Final = "downtime_reasons"
ASK_FROM_S: Final = 120.0
"""Stops shorter than this are not asked about, unless a sheet says otherwise."""
COUNTS_AS: Final = (DOWN, DELAYED, SETUP, PLANNED)
REASONS_MAX: Final = 500
DEPTH_MAX: Final = 4
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, and what is more exact below it."""

    code: str
    """With those above it: `breakdown/mechanical`."""
    name: Text
    counts_as: str
    """ISO 22400-2: `down` (ADOT), `delayed` (ADET), `setup` (AUST), or `planned` (PDOT: no part
    of the planned busy time)."""
    below: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Reasons:
    """The tree of reasons of a part of the world."""

    top: tuple[Reason, ...]
    ask_from_s: float = ASK_FROM_S
    subtree: str = ""

    def get(self, code: str) -> Reason | None:
        """The reason of a code; None: there is none (any more)."""
        for path in self._paths(self.top):
            if path[-1].code == code:
                return path[-1]
        return None

    def words(self, code: str, language: str) -> str:
        """`Breakdown › Mechanical`; the code itself where it is no longer in the tree."""
        for path in self._paths(self.top):
            if path[-1].code == code:
                return " › ".join(reason.name.best(language) for reason in path)
        return code

    def _paths(self, level: tuple[Reason, ...]) -> Iterator[tuple[Reason, ...]]:
        for reason in level:
            yield (reason,)
            for below in self._paths(reason.below):
                yield (reason, *below)


_Twin = Annotated[str, msgspec.Meta(extra_json_schema={"format": "twin"})]


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    name: Annotated[Any, msgspec.Meta(extra_json_schema={"format": "words"})] = ""
    counts_as: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["", *COUNTS_AS]})] = ""
    # As deep as DEPTH_MAX and no deeper, so that each level is read by itself.
    reasons: Annotated[
        list[Any], msgspec.Meta(extra_json_schema={"items": {"$ref": "#/$defs/_Body"}})
    ] = []


class ReasonsBody(msgspec.Struct, forbid_unknown_fields=True):
    """A tree of reasons as it is written."""

    reasons: list[_Body] | None = None
    ask_from_s: float = ASK_FROM_S
    subtree: _Twin = ""


def read(body: str, place: str = KIND) -> Reasons:
    """The tree that a sheet spells.

    Raises:
        ValueError: it spells none; the message names the place and the mend.
    """
    try:
        sheet = msgspec.json.decode(body, type=ReasonsBody)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f'{place}: {error}; give "reasons" with code and name') from error
    if not 0 <= sheet.ask_from_s <= 86_400:
        raise ValueError(f"{place}.ask_from_s: {sheet.ask_from_s:g}; give 0 to 86400 seconds")
    if sheet.reasons is None:
        return replace(DEFAULT, ask_from_s=sheet.ask_from_s, subtree=sheet.subtree)
    left = [REASONS_MAX]
    top = _level(sheet.reasons, "", DOWN, place, 1, left)
    if not top:
        raise ValueError(f"{place}: no reason is there; leave the sheet out for the usual ones")
    return Reasons(top, sheet.ask_from_s, sheet.subtree)


def _level(
    bodies: list[Any], above: str, counts_as: str, place: str, depth: int, left: list[int]
) -> tuple[Reason, ...]:
    if depth > DEPTH_MAX and bodies:
        raise ValueError(f"{place}: {above} is {DEPTH_MAX} deep already; put them side by side")
    found: list[Reason] = []
    for body in bodies:
        if not isinstance(body, _Body):
            try:
                body = msgspec.convert(body, _Body)
            except msgspec.ValidationError as error:
                raise ValueError(f"{place}: below {above}: {error}") from error
        left[0] -= 1
        if left[0] < 0:
            raise ValueError(f"{place}: more than {REASONS_MAX} reasons; nobody finds them")
        code = f"{above}/{body.code}" if above else body.code
        if not _CODE.fullmatch(body.code):
            raise ValueError(f"{place}: '{body.code[:40]}' is no code; letters, digits, '-', '_'")
        if any(one.code == code for one in found):
            raise ValueError(f"{place}: {code} is there twice")
        counts = body.counts_as or counts_as
        if counts not in COUNTS_AS:
            known = ", ".join(COUNTS_AS)
            raise ValueError(f"{place}: {code}.counts_as: '{counts[:20]}'; it is one of {known}")
        below = _level(body.reasons, code, counts, place, depth + 1, left)
        found.append(Reason(code, _name(body.name, f"{place}: {code}.name"), counts, below))
    return tuple(found)


def _name(name: Any, place: str) -> Text:
    if isinstance(name, str) and name.strip():
        return Text.of(name.strip()[:80])
    if isinstance(name, Mapping) and name and all(isinstance(t, str) for t in name.values()):
        return Text(tuple((str(tag), text[:80]) for tag, text in name.items()))
    raise ValueError(f'{place}: give a text, or {{"en": …, "de": …}}')


def reasons_for(structure: Structure, twin: str) -> Reasons:
    """The tree for a unit: of the sheet whose subtree is nearest above it, else the usual one.

    Raises:
        ValueError: a sheet is wrong.
    """
    found: list[tuple[int, str, Reasons]] = []
    for (kind, name), sheet in structure.sheets.items():
        if kind != KIND:
            continue
        tree = read(sheet.body, f"{KIND} '{name}'")
        of = tree.subtree
        if not of or twin == of or twin.startswith(f"{of}/"):
            found.append((-len(of), name, tree))
    return min(found, key=lambda row: row[:2])[2] if found else DEFAULT


def _usual(
    code: str, english: str, german: str, counts_as: str, *below: tuple[str, str, str]
) -> Reason:
    def text(en: str, de: str) -> Text:
        return Text((("en", en), ("de", de)))

    return Reason(
        code,
        text(english, german),
        counts_as,
        tuple(Reason(f"{code}/{c}", text(en, de), counts_as) for c, en, de in below),
    )


DEFAULT: Final = Reasons(
    (
        _usual(
            "breakdown", "Breakdown", "Störung", DOWN,
            ("mechanical", "Mechanical", "Mechanisch"),
            ("electrical", "Electrical", "Elektrisch"),
            ("control", "Control, software", "Steuerung, Software"),
            ("tool", "Tool, wear part", "Werkzeug, Verschleißteil"),
            ("media", "Air, steam, power", "Druckluft, Dampf, Strom"),
        ),
        _usual(
            "minor", "Minor stop", "Kurzstillstand", DOWN,
            ("jam", "Jam", "Stau"),
            ("sensor", "Sensor, false trip", "Sensor, Fehlauslösung"),
            ("adjust", "Adjusting", "Nachstellen"),
        ),
        _usual(
            "setup", "Set-up, changeover", "Rüsten, Umstellung", SETUP,
            ("product", "Change of product", "Produktwechsel"),
            ("tool", "Change of tool", "Werkzeugwechsel"),
            ("start", "Start-up, run-in", "Anfahren, Einfahren"),
        ),
        _usual(
            "material", "Material", "Material", DELAYED,
            ("missing", "Missing", "Fehlt"),
            ("quality", "Not good enough", "Mangelhaft"),
            ("packaging", "Packaging", "Verpackung"),
        ),
        _usual(
            "flow", "Waiting for others", "Warten auf andere", DELAYED,
            ("upstream", "Upstream: starved", "Vorgelagert: Mangel"),
            ("downstream", "Downstream: blocked", "Nachgelagert: Stau"),
            ("transport", "Transport", "Transport"),
        ),
        _usual(
            "people", "Personnel", "Personal", DELAYED,
            ("operator", "No operator", "Kein Bediener"),
            ("maintenance", "Waiting for maintenance", "Warten auf Instandhaltung"),
        ),
        _usual("quality", "Quality check, release", "Qualitätsprüfung, Freigabe", DELAYED),
        _usual("cleaning", "Cleaning, not planned", "Reinigung, ungeplant", DOWN),
        _usual(
            "planned", "Planned stop", "Geplanter Stillstand", PLANNED,
            ("break", "Break", "Pause"),
            ("no_order", "No order", "Kein Auftrag"),
            ("cleaning", "Planned cleaning", "Geplante Reinigung"),
            ("maintenance", "Planned maintenance", "Geplante Instandhaltung"),
            ("meeting", "Meeting, training", "Besprechung, Schulung"),
        ),
    )
)  # fmt: skip
"""What plants commonly tell apart, in two steps of the thumb."""
