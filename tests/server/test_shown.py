"""Tours and visual rules at the door: what is none is refused by place, with the mend."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mirrorworld.live.sheets import READERS
from mirrorworld.protocol import looks, tours
from mirrorworld.units import UnitError
from mirrorworld.world.model import Sheet
from tests.server.stand_in import line, served

STEP = {
    "id": "a", "title": "The filler", "text": "<b>as it is written</b>", "twin": "line1/filler",
    "camera": {"position": [1, 2, 3], "target": [0, 0, 0]}, "highlights": ["line1"], "ago_s": 300,
}  # fmt: skip
RULE = {
    "id": "a", "type": "Pump", "value": "Vibration", "unit": "mm/s", "shows": ["colour", "lamp"],
    "bands": [{"above": 0, "colour": "green"}, {"above": 4.5, "colour": "orange", "mark": "▲"}],
}  # fmt: skip
RAMP = {"id": "b", "value": "In - Out", "low": -1, "high": 1}


def tour(*steps: Any, **more: Any) -> Sheet:
    return Sheet("tour", "Round", json.dumps({"version": 1, "steps": list(steps), **more}))


def look(*rules: Any, **more: Any) -> Sheet:
    return Sheet("look", "Rough", json.dumps({"version": 1, "rules": list(rules), **more}))


def test_what_is_whole_is_read() -> None:
    read = tours.read(tour(STEP, {"id": "b"}, is_endless=True, description="x"))
    assert read.is_endless and [step.id for step in read.steps] == ["a", "b"]
    assert read.steps[0].text == "<b>as it is written</b>", "words, never markup"
    rules = looks.read(look(RULE, RAMP)).rules
    assert rules[0].bands[1].mark == "▲" and rules[1].high == 1


@pytest.mark.parametrize(
    ("sheet", "why"),
    [
        (tour(STEP, STEP), "tour Round.steps[1].id: 'a' is taken by another step"),
        (tour({**STEP, "at_ms": 5}), "steps[0]: at_ms and ago_s are two moments"),
        (tour({**STEP, "mode": "fly"}), "steps[0].mode: 'fly'; it may be orbit, walk or map"),
        (tour({**STEP, "text": "x" * 2_001}), "steps[0].text: 2001 characters; at most 2000"),
        (tour({**STEP, "highlights": ["x"] * 201}), "steps[0].highlights: 201"),
        (tour({**STEP, "script": "x"}), "steps[0]: TourStep has no 'script'"),
        (tour({**STEP, "then": "Round"}), "TourStep has no 'then'"),
        (tour({**STEP, "speed": -1}), "steps[0].speed"),
        (tour({**STEP, "duration_s": 601}), "steps[0].duration_s"),
        (tour(*({"id": f"s{i}"} for i in range(101))), "steps: 101; a tour has at most 100"),
        (tour({**STEP, "text": "x" * 200_000}), "a tour has at most 200000"),
        (tour(STEP, onload="x"), "'onload' is not known; there are description, is_endless"),
        (Sheet("tour", "Round", '{"version":2}'), "version: 2; this server reads version 1"),
        (Sheet("tour", " Round", tour().body), "printable characters"),
        (look({**RULE, "unit": "mm/sec"}), "look Rough.rules[0].unit"),
        (look({**RULE, "value": " "}), "rules[0].value: the name of a point"),
        (look({**RULE, "bands": []}), "rules[0]: give either low and high, or bands"),
        (look({**RULE, "low": 1, "high": 2}), "rules[0]: give either low and high, or bands"),
        (look({**RAMP, "high": -2}), "rules[0].high: -2; more than low (-1)"),
        (look({**RAMP, "high": 1e999}), "finite limits"),
        (look({**RULE, "bands": RULE["bands"][::-1]}), "bands[1].above: 0; bands go upwards"),
        (look({**RULE, "bands": [{"above": 0, "colour": "red"}]}), "colour: 'red'; it may be blue"),
        (look({**RULE, "bands": [{"above": 0, "colour": "sky", "mark": "<b>"}]}), "mark: '<b>'"),
        (look({**RULE, "shows": ["smoke"]}), "shows: 'smoke'; it may be colour, badge, lamp"),
        (look(*({**RULE, "id": f"r{i}"} for i in range(25))), "rules: 25; a look has at most 24"),
    ],
)  # fmt: skip
async def test_what_is_none_is_refused_by_place(sheet: Sheet, why: str) -> None:
    with pytest.raises((ValueError, UnitError)) as refused:
        READERS[sheet.kind](sheet)
    assert why in str(refused.value)


async def test_both_pass_the_door_and_units_are_told() -> None:
    async with served(line()) as here, here.client() as owner:
        for sheet, status in ((tour(STEP), 200), (look(RULE), 200), (tour(STEP, STEP), 422)):
            plain = {"kind": sheet.kind, "name": sheet.name, "body": sheet.body}
            edits = [{"@": "PutSheet", "sheet": plain}]
            answer = await owner.post("/api/edits", json={"edits": edits, "reason": "test"})
            assert answer.status_code == status, answer.text
        read = await owner.get("/api/units/conversion", params={"from": "Cel", "to": "[degF]"})
        assert read.json()["scale"] == pytest.approx(1.8)
        assert read.json()["offset"] == pytest.approx(32)
        refused = await owner.get("/api/units/conversion", params={"from": "bar", "to": "mm/s"})
        assert (refused.status_code, "does not fit" in refused.json()["detail"]) == (422, True)
