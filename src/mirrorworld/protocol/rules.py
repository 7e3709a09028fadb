"""What the routes of rules and alarms take and give."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as it is written down, and how it does."""

    name: str
    body: str
    """JSON, as docs/guide/alarms.md describes it."""
    instances: int
    troubles: list[str]
    """What does not work of it, in words."""


@dataclass(frozen=True, slots=True)
class RulesPage:
    """All rules."""

    rules: list[RuleRow]


@dataclass(frozen=True, slots=True)
class RuleRequest:
    """A rule to be kept, or to be tried."""

    body: str
    """JSON: {"applies": {"type": "Pump"}, "alarm": {"when": "pressure > 6 bar"}}"""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What a rule would say of one twin now."""

    twin: str
    name: str
    value: float | bool | None
    """Null: not known now."""


@dataclass(frozen=True, slots=True)
class RulePreview:
    """What a rule would do; nothing was changed."""

    instances: int
    active: int
    """Of an alarm: for how many twins it would be raised now."""
    kind: str
    """alarm or derived."""
    unit: str
    """Of a derived point."""
    rows: list[PreviewRow]
    """At most 100."""
    troubles: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ShelveRequest:
    """For how long nobody is to be called."""

    duration_s: float
    """Up to 7 days."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReasonRequest:
    """Why."""

    reason: str = ""
