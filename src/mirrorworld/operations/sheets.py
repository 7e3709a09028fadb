"""The sheets that this room reads: one that cannot be read is refused where it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mirrorworld.operations import reasons, schedule, shifts, units_of_work
from mirrorworld.world.model import Sheet

READERS: Final[dict[str, Callable[[Sheet], object]]] = {
    "shift_plan": lambda sheet: shifts.read_plan(sheet.body, f"shift_plan '{sheet.name}'"),
    "oee": lambda sheet: units_of_work.read_body(sheet.body, f"oee '{sheet.name}'"),
    reasons.KIND: lambda sheet: reasons.read(sheet.body, f"{reasons.KIND} '{sheet.name}'"),
    schedule.KIND: schedule.read,
}
"""By kind. What a sheet names may be there later: that is looked up when it is used."""
FORMS: Final[dict[str, type]] = {
    "shift_plan": shifts.PlanBody,
    "oee": units_of_work.UnitBody,
    reasons.KIND: reasons.ReasonsBody,
    schedule.KIND: schedule.ScheduleBody,
}
"""By kind, what a sheet's body is: pages make forms of it."""
