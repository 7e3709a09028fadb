"""The line's alarms: a few rules over what the sources report.

A thin model: it keeps nothing but what it has raised, reads that back from the world's own
events, and knows no protocol and no hidden parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirrorworld.world.changes import Change, Event, Origin, OriginKind, Severity
from mirrorworld.world.model import Property, Text

if TYPE_CHECKING:
    from mirrorworld.world.world import World


@dataclass(frozen=True, slots=True)
class Rule:
    """Raised when the value leaves [low, high], gone when it is back by `margin`."""

    kind: str
    point: str
    severity: Severity
    english: str
    german: str
    low: float | None = None
    high: float | None = None
    margin: float = 0.0
    types: tuple[str, ...] = ()
    """Last parts of the names of twins that the rule is for; empty: every twin with the point."""

    def is_outside(self, value: float, was_outside: bool) -> bool:
        """Whether the value is outside, with the margin as hysteresis."""
        margin = self.margin if was_outside else 0.0
        is_low = self.low is not None and value < self.low + margin
        is_high = self.high is not None and value > self.high - margin
        return is_low or is_high


RULES: Final = (
    Rule("jam", "JamActive", Severity.HIGH, "Jam", "Stau", high=0.5),
    Rule(
        "air-pressure-low",
        "Pressure",
        Severity.MEDIUM,
        "Compressed air is low",
        "Druckluft zu niedrig",
        low=5.6,
        margin=0.2,
        types=("AirManifold",),
    ),
    Rule(
        "fill-volume",
        "FillVolume",
        Severity.MEDIUM,
        "Fill volume is out of tolerance",
        "Füllvolumen außerhalb der Toleranz",
        low=496.0,
        high=504.0,
        margin=0.5,
    ),
    Rule(
        "label-roll-low",
        "LabelRoll",
        Severity.LOW,
        "Label roll is nearly used up",
        "Etikettenrolle fast leer",
        low=10.0,
        margin=2.0,
    ),
    Rule(
        "caps-low",
        "CapsRemaining",
        Severity.LOW,
        "Cap hopper is nearly empty",
        "Kappenvorrat fast leer",
        low=2_000.0,
        margin=500.0,
    ),
    Rule(
        "blanks-low",
        "CartonBlanks",
        Severity.LOW,
        "Carton magazine is nearly empty",
        "Kartonmagazin fast leer",
        low=60.0,
        margin=20.0,
    ),
    Rule(
        "cleaning-due",
        "HoursToCip",
        Severity.LOW,
        "Cleaning in place is due soon",
        "CIP-Reinigung bald fällig",
        low=0.25,
        margin=0.1,
    ),
    Rule(
        "vibration",
        "Vibration",
        Severity.MEDIUM,
        "Vibration is high",
        "Schwingung zu hoch",
        high=5.5,
        margin=1.0,
    ),
    Rule(
        "torque",
        "Torque",
        Severity.MEDIUM,
        "Closing torque is out of tolerance",
        "Drehmoment außerhalb der Toleranz",
        low=1.4,
        high=2.2,
        margin=0.1,
    ),
)


class LineAlarms:
    """The rules over one world; `step` costs a look at some twenty values."""

    origin = OriginKind.INFERRED

    def __init__(self, prefix: str, name: str = "line alarms") -> None:
        self.name = name
        self._prefix = prefix
        self._n_points = -1
        self._watched: list[tuple[Rule, str, str, int]] = []

    def step(self, view: World, until_ns: int) -> Iterable[Change]:
        """Alarms that have come or gone."""
        if view.n_points != self._n_points:
            self._n_points = view.n_points
            self._watched = list(self._find(view))
        for rule, twin, label, handle in self._watched:
            value = view.value(handle)
            if value is None or not isinstance(value, bool | int | float) or value != value:
                continue
            event_id = f"{twin}#{rule.kind}"
            before = view.events.get(event_id)
            was_active = before is not None and before.is_active
            is_active = rule.is_outside(float(value), was_active)
            if is_active != was_active:
                yield self._change(rule, twin, label, event_id, value, is_active, until_ns)

    def _find(self, view: World) -> Iterable[tuple[Rule, str, str, int]]:
        for twin in list(view.structure.twins):
            if not twin.startswith(self._prefix):
                continue
            label = twin.rpartition("/")[2]
            for name, handle, _ in view.structure.points_of(twin):
                for rule in RULES:
                    if rule.point == name and (not rule.types or label in rule.types):
                        yield rule, twin, label, handle

    def _change(
        self,
        rule: Rule,
        twin: str,
        label: str,
        event_id: str,
        value: float,
        is_active: bool,
        now_ns: int,
    ) -> Change:
        message = Text((("en", f"{label}: {rule.english}"), ("de", f"{label}: {rule.german}")))
        properties = (Property("point", rule.point), Property("value", value))
        event = Event(
            event_id,
            twin,
            rule.kind,
            message,
            rule.severity,
            is_active,
            is_acknowledged=False,
            source_ns=now_ns,
            properties=properties,
        )
        return Change(event, Origin(self.origin, self.name), now_ns)
