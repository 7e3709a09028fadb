"""What the line shows of itself: a guided tour along the way of a bottle, and a look that colours
machines by how much they vibrate. Sheets as people make them in the page; people may change them.

Places are seen from the aisle between the two rows, in the metres of `layout`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mirrorworld.world.changes import PutSheet
from mirrorworld.world.model import Sheet

if TYPE_CHECKING:
    from mirrorworld.world.world import World

TOUR: Final = "The way of a bottle"
LOOK: Final = "Vibration of the machines"
WARNING_MM_S: Final = 3.5
ALARM_MM_S: Final = 5.5
"""As the alarm rules have it."""

_STEPS: Final[tuple[tuple[str, str, str, tuple[float, ...], dict[str, Any]], ...]] = (
    (
        "",
        "A line in the shape of a U",
        "Bottles come in at the far left, go through three machines on this side, turn on the"
        " accumulation table, and come back on the other side into cartons. Each bottle that you"
        " see is counted by the line; none is made up.",
        (-9.0, 13.0, 22.0, -2.5, 0.5, -1.0),
        {},
    ),
    (
        "Depalletiser",
        "Empty bottles, layer by layer",
        "The depalletiser sweeps layers of glass from pallets. When its stack is empty, the line"
        " behind it runs dry a minute later: select it to see how many layers are left.",
        (-10.5, 4.2, 3.2, -15.5, 1.0, -3.5),
        {},
    ),
    (
        "Filler",
        "Twenty-four valves, one carousel",
        "The filler sets the pace of the line. Its speed set-point is armed: who may"
        " operate here can change it from the panel on the right, within limits, and the change"
        " counts only when the controller reports it.",
        (2.6, 3.4, 3.4, -0.7, 1.1, -4.2),
        {},
    ),
    (
        "Capper",
        "What powers it, what supplies it",
        "The glowing meters power the machines, and the compressor supplies the air that the"
        " capper closes with. Relations like these are known by no single controller; they are"
        " written over all of them.",
        (7.4, 4.6, 3.0, 5.0, 1.0, -6.0),
        {"highlights": ("compressor", "main_meter", "meter_capper")},
    ),
    (
        "Labeller",
        "Which machine is rough today",
        "Colours, marks and words say the same: calm, raised, high. The limits are those of the"
        " alarms. Anybody who may edit can change the rules beside this card and sees them here"
        " at once.",
        (-9.5, 9.5, 14.5, -1.5, 0.6, -0.5),
        {"look": LOOK},
    ),
    (
        "Packer",
        "Five minutes ago",
        "The same place as it was: the whole page has gone into the past, bottles included, and"
        " time runs on from there. Back to now by Live, below on the right, or by the end of this"
        " tour.",
        (-4.0, 4.2, -0.6, -7.6, 1.0, 3.8),
        {"ago_s": 300, "speed": 1.0},
    ),
)


def sheets(world: World, found: Mapping[str, str]) -> list[PutSheet]:
    """Tour and look, over the twins that the sources have declared."""
    steps: list[dict[str, Any]] = []
    for i, (name, title, text, camera, more) in enumerate(_STEPS):
        step: dict[str, Any] = {
            "id": f"s{i + 1}",
            "title": title,
            "text": text,
            "camera": {"position": camera[:3], "target": camera[3:]},
            **more,
        }
        if name:
            step["twin"] = found[name]
        if "highlights" in step:
            step["highlights"] = [found[each] for each in step["highlights"]]
        steps.append(step)
    tour = {
        "version": 1,
        "description": "Once along the line in two minutes: what is made, and what can be seen.",
        "steps": steps,
    }
    return [_sheet("tour", TOUR, tour), _sheet("look", LOOK, _look(_type_of_machines(world)))]


def _look(type_id: str) -> dict[str, Any]:
    bands = [
        {"above": 0, "colour": "green", "mark": "✓", "word": "calm"},
        {"above": WARNING_MM_S, "colour": "yellow", "mark": "◆", "word": "raised"},
        {"above": ALARM_MM_S, "colour": "vermilion", "mark": "▲", "word": "high"},
    ]
    rule = {
        "id": "vibration",
        "title": "Main bearing",
        "type": type_id,
        "value": "Vibration",
        "unit": "mm/s",
        "bands": bands,
        "shows": ["colour", "badge", "lamp"],
    }
    return {"version": 1, "rules": [rule]}


def _type_of_machines(world: World) -> str:
    """The type that declares the vibration and that all machines extend; "": there is no one."""
    types = world.structure.types.items()
    named = [name for name, kind in types if any(p.name == "Vibration" for p in kind.points)]
    return named[0] if len(named) == 1 else ""


def _sheet(kind: str, name: str, body: dict[str, Any]) -> PutSheet:
    return PutSheet(Sheet(kind, name, json.dumps(body, ensure_ascii=False)))
