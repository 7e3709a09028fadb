"""The life of an alarm after ISA-18.2 (IEC 62682): its states, and what leads from one to another.

    normal ─raise─▶ unacknowledged ─acknowledge─▶ acknowledged ─clear─▶ normal
                        └─clear─▶ returned unacknowledged ─acknowledge─▶ normal
                        └─clear, where it latches─▶ latched ─acknowledge─▶ normal

Beside this, an alarm may be shelved (by a person, for a time), suppressed (by design) or out of
service (for maintenance): its life goes on, and nobody is called. Pure functions of events.
"""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import Final

from mirrorworld.world.changes import Event
from mirrorworld.world.model import Property

SHELVED_S_MAX: Final = 7 * 86_400.0


class AlarmState(enum.Enum):
    """Where an alarm stands; the letters are those of ISA-18.2 figure 3."""

    NORMAL = "normal"  # A
    UNACKNOWLEDGED = "unacknowledged"  # B
    ACKNOWLEDGED = "acknowledged"  # C
    RETURNED = "returned unacknowledged"  # D
    LATCHED = "latched"  # E and F
    SHELVED = "shelved"  # G
    SUPPRESSED = "suppressed by design"  # H
    OUT_OF_SERVICE = "out of service"  # I


def state_of(event: Event, now_ns: int) -> AlarmState:
    """Where an alarm stands now. What sets it aside comes first."""
    if event.is_out_of_service:
        return AlarmState.OUT_OF_SERVICE
    if event.shelved_until_ns > now_ns:
        return AlarmState.SHELVED
    if event.is_suppressed:
        return AlarmState.SUPPRESSED
    if event.is_active:
        return AlarmState.ACKNOWLEDGED if event.is_acknowledged else AlarmState.UNACKNOWLEDGED
    if event.is_latched:
        return AlarmState.LATCHED
    return AlarmState.NORMAL if event.is_acknowledged else AlarmState.RETURNED


def calls(event: Event, now_ns: int) -> bool:
    """Whether somebody is to be told of it."""
    return state_of(event, now_ns) in (AlarmState.UNACKNOWLEDGED, AlarmState.LATCHED)


def raised(event: Event, now_ns: int, *, needs_ack: bool = True) -> Event:
    """Its cause is there."""
    return replace(
        event, is_active=True, is_latched=False, is_acknowledged=not needs_ack, source_ns=now_ns
    )


def cleared(event: Event, now_ns: int, *, latches: bool = False) -> Event:
    """Its cause is gone."""
    stays = latches and not event.is_acknowledged
    return replace(event, is_active=False, is_latched=stays, source_ns=now_ns)


def acknowledged(event: Event, by: str, comment: str = "") -> Event:
    """A person has seen it."""
    return replace(_said(event, by, comment), is_acknowledged=True, is_latched=False)


def shelved(event: Event, until_ns: int, by: str, reason: str, now_ns: int) -> Event:
    """A person has set it aside for a time.

    Raises:
        ValueError: for no time, or for longer than a week.
    """
    if not now_ns < until_ns <= now_ns + int(SHELVED_S_MAX * 1e9):
        raise ValueError("an alarm is shelved for a time of up to 7 days")
    return replace(_said(event, by, reason), shelved_until_ns=until_ns)


def unshelved(event: Event, by: str) -> Event:
    """It calls again."""
    return replace(_said(event, by, ""), shelved_until_ns=0)


def out_of_service(event: Event, by: str, reason: str) -> Event:
    """A person has set it aside until further notice."""
    return replace(_said(event, by, reason), is_out_of_service=True)


def in_service(event: Event, by: str) -> Event:
    """It is watched again."""
    return replace(_said(event, by, ""), is_out_of_service=False)


def _said(event: Event, by: str, comment: str) -> Event:
    """The event with who acted last, and what they said."""
    names = ("comment", "acknowledged_by")
    kept = tuple(p for p in event.properties if p.name not in names)
    said = (Property("comment", comment),) if comment else ()
    return replace(event, properties=(*kept, Property("acknowledged_by", by), *said))
