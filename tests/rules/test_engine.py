"""Rules at work: over types and parts, through delays and restarts, in floods."""

from __future__ import annotations

import json

import pytest

from mirrorworld.rules import lifecycle
from mirrorworld.rules.book import read
from mirrorworld.rules.engine import FLOOD, FLOOD_ID, Engine, event_id
from mirrorworld.rules.lifecycle import AlarmState, state_of
from mirrorworld.world.changes import (
    Change,
    DropSheet,
    DropTwin,
    Edit,
    Edits,
    Event,
    Origin,
    OriginKind,
    PutRelation,
    PutSheet,
    PutTwin,
    PutType,
    Severity,
)
from mirrorworld.world.frames import FrameBuilder
from mirrorworld.world.model import Kind, PointType, Relation, Sheet, Text, Twin, TwinType
from mirrorworld.world.world import World

S = 10**9
HIGH = {"applies": {"type": "Pump"}, "alarm": {"when": "p > 6 bar", "severity": 3}}


class Plant:
    def __init__(self, *rules: tuple[str, dict]) -> None:
        self.world = World("hall")
        self.engine = Engine()
        self.now = 1_000 * S
        pump = TwinType("Pump", points=(PointType("p", unit="bar"), PointType("on", Kind.BOOL)))
        small = TwinType("SmallPump", extends=("Pump",))
        self.edit(PutType(pump), PutType(small))
        self.edit(PutTwin(Twin("hall")), PutTwin(Twin("a", "Pump", Text.of("Pump A"))))
        self.edit(PutTwin(Twin("hall/b", "SmallPump")))
        for name, body in rules:
            self.rule(name, body)

    def edit(self, *edits: Edit) -> None:
        self.world.apply(Change(Edits(edits), Origin(OriginKind.AUTHORED, "eve"), self.now))

    def rule(self, name: str, body: dict) -> None:
        self.edit(PutSheet(Sheet("rule", name, json.dumps(body))))

    def set(self, **values: float | None) -> None:
        """`a_p=3`: point p of twin a; None: of bad quality."""
        builder = FrameBuilder()
        for name, value in values.items():
            twin, _, point = name.rpartition("_")
            handle = self.world.structure.handle(twin.replace("__", "/"), point)
            kind = Kind(int(self.world.kinds[handle]))
            quality = 0 if value is not None else 0x8000_0000
            shown = bool(value) if kind == Kind.BOOL else float(value or 0)
            builder.add(handle, kind, shown, self.now, quality)
        self.world.apply(
            Change(builder.build(), Origin(OriginKind.MEASURED, "line"), self.now, "line")
        )

    def step(self, seconds: float = 1.0) -> list[Event]:
        """Lets time pass; the events that came of it."""
        self.now += int(seconds * S)
        events: list[Event] = []
        for change in list(self.engine.step(self.world, self.now)):
            applied = self.world.apply(change).change
            if applied is not None and isinstance(applied.body, Event):
                events.append(applied.body)
        return events

    def alarm(self, rule: str, twin: str) -> Event:
        return self.world.events[event_id(rule, twin)]


def test_a_rule_is_for_every_twin_of_a_type_and_of_those_that_extend_it():
    plant = Plant(("high", HIGH))
    plant.set(a_p=7, hall__b_p=5)
    (event,) = plant.step()
    assert (event.twin, event.is_active, event.severity) == ("a", True, Severity.HIGH)
    plant.set(hall__b_p=6.5)
    (event,) = plant.step()
    assert event.twin == "hall/b"
    assert plant.step() == []
    plant.edit(PutTwin(Twin("new", "Pump")))
    plant.set(new_p=9)
    assert [e.twin for e in plant.step()] == ["new"]


def test_a_subtree_counts_by_id_and_by_being_part():
    plant = Plant(("high", {**HIGH, "applies": {"type": "Pump", "subtree": "hall"}}))
    plant.set(a_p=7, hall__b_p=7)
    assert [e.twin for e in plant.step()] == ["hall/b"]
    plant.edit(PutRelation(Relation("part_of", "a", "hall")))
    assert [e.twin for e in plant.step()] == ["a"]


def test_messages_say_value_and_name_in_each_language():
    said = {"en": "{name}: pressure is {value}", "de": "{name}: Druck ist {value}"}
    plant = Plant(("high", {**HIGH, "alarm": {"when": "p > 6 bar", "message": said}}))
    plant.set(a_p=7.25)
    (event,) = plant.step()
    assert event.message.best("en") == "Pump A: pressure is 7.25 bar"
    assert event.message.best("de") == "Pump A: Druck ist 7.25 bar"


def test_delays_and_hysteresis():
    body = {"when": "p > 6 bar", "on_delay_s": 3, "off_delay_s": 2, "hysteresis": "0.5 bar"}
    plant = Plant(("high", {"applies": {"twins": ["a"]}, "alarm": body}))
    plant.set(a_p=7)
    assert [len(plant.step()) for _ in range(3)] == [0, 0, 0]
    assert [e.is_active for e in plant.step()] == [True]
    plant.set(a_p=5.7)  # under the limit, and not by the margin
    assert [len(plant.step()) for _ in range(5)] == [0] * 5
    plant.set(a_p=5.4)
    assert [len(plant.step()) for _ in range(2)] == [0, 0]
    assert [e.is_active for e in plant.step()] == [False]
    plant.set(a_p=7)
    plant.step()
    plant.set(a_p=4)  # too short to count
    plant.step(5)
    plant.set(a_p=7)
    assert plant.step() == []


def test_what_is_unknown_changes_nothing():
    plant = Plant(("high", HIGH))
    plant.set(a_p=7)
    plant.step()
    plant.set(a_p=None)
    assert plant.step(60) == []
    assert plant.alarm("high", "a").is_active
    gone = {"applies": {"twins": ["a"]}, "alarm": {"when": "stale(p, 30 s) or missing(p)"}}
    plant.rule("gone", gone)
    assert [e.kind for e in plant.step()] == ["gone"]


def test_derived_points_are_points_with_unit_and_origin():
    body = {"point": "load", "expression": "p / 8 bar", "unit": "%"}
    plant = Plant(("load", {"applies": {"type": "Pump"}, "derive": body}))
    plant.set(a_p=4, hall__b_p=2)
    plant.step()
    plant.step()
    world = plant.world
    handle = world.structure.handle("a", "load")
    assert world.structure.point(handle)[1].unit == "%"
    assert world.value(handle) == pytest.approx(50)
    assert world.value(world.structure.handle("hall/b", "load")) == pytest.approx(25)
    origin = world.origins[int(world.read(world.handles([("a", "load")])).origin[0])]
    assert (origin.kind, origin.by) == (OriginKind.INFERRED, "rule:load")
    before = world.position
    plant.step()
    assert world.position == before  # nothing has moved
    plant.set(a_p=None)
    plant.step()
    assert world.read(world.handles([("a", "load")])).quality[0] >= 0x8000_0000
    plant.rule("heavy", {"applies": {"type": "Pump"}, "alarm": {"when": "load > 60 %"}})
    plant.set(a_p=6)
    plant.step()
    assert [e.kind for e in plant.step()] == ["heavy"]


def test_a_derived_point_takes_no_other_points_place():
    body = {"point": "p", "expression": "1 bar"}
    plant = Plant(("take", {"applies": {"twins": ["a"]}, "derive": body}))
    plant.set(a_p=4)
    plant.step()
    plant.step()
    assert plant.world.value(plant.world.structure.handle("a", "p")) == 4
    assert "of its own" in plant.engine.troubles[0].why


def test_a_restart_forgets_no_alarm_and_raises_none_twice():
    plant = Plant(("high", HIGH))
    plant.set(a_p=7)
    plant.step()
    plant.engine = Engine()
    assert plant.step() == []
    plant.set(a_p=5)
    assert [e.is_active for e in plant.step()] == [False]


def test_a_rule_that_ends_takes_its_alarm_along():
    plant = Plant(("high", HIGH))
    plant.set(a_p=7)
    plant.step()
    plant.edit(DropSheet("rule", "high"))
    assert [e.is_active for e in plant.step()] == [False]
    plant.rule("high", HIGH)
    assert [e.is_active for e in plant.step()] == [True]
    plant.edit(DropTwin("a"))
    plant.step()


def test_what_does_not_work_is_said_and_the_rest_goes_on():
    plant = Plant(
        ("units", {"applies": {"type": "Pump"}, "alarm": {"when": "p > 3 kg"}}),
        ("names", {"applies": {"type": "Pump"}, "alarm": {"when": "pressure > 3"}}),
        ("number", {"applies": {"type": "Pump"}, "alarm": {"when": "p"}}),
        ("json", {"applies": {"type": "Pump"}}),
        ("high", HIGH),
    )
    plant.set(a_p=7)
    assert [e.kind for e in plant.step()] == ["high"]
    said = {t.rule: t.why for t in plant.engine.troubles}
    assert "unit 'kg' does not fit" in said["units"]
    assert "no point 'pressure'" in said["names"]
    assert "yes or no" in said["number"]
    assert "'derive' or 'alarm'" in said["json"]


@pytest.mark.parametrize(
    "body",
    [
        "[]", "{", "null", '{"applies": {}}', '{"applies": {"type": 1}, "alarm": {"when": "a"}}',
        '{"applies": {"type": "P"}, "alarm": {"when": "a > 1", "severity": 9}}',
        '{"applies": {"type": "P"}, "alarm": {"when": "a > 1", "on_delay_s": -1}}',
        '{"applies": {"type": "P"}, "alarm": {"when": "a > 1", "on_delay_s": 1e99}}',
        '{"applies": {"type": "P"}, "alarm": {"when": "a and b", "hysteresis": "1"}}',
        '{"applies": {"type": "P"}, "alarm": {"when": "a > 1", "code": "import os"}}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_a_sheet_that_is_no_rule_is_refused_by_name(body: str):
    with pytest.raises(ValueError, match=r"^rule x: "):
        read(Sheet("rule", "x", body))


def test_a_flood_is_told_once_and_when_it_is_over():
    plant = Plant(("high", HIGH))
    for i in range(FLOOD + 5):
        plant.edit(PutTwin(Twin(f"p{i}", "Pump")))
    plant.set(**{f"p{i}_p": 9.0 for i in range(FLOOD + 5)})
    events = plant.step()
    assert len([e for e in events if e.kind == "high"]) == FLOOD + 5
    assert plant.world.events[FLOOD_ID].is_active
    assert plant.engine.counts["floods"] == 1
    plant.step(700)
    assert not plant.world.events[FLOOD_ID].is_active


def test_an_alarm_that_chatters_stays_and_is_counted():
    plant = Plant(("high", HIGH))
    changes = 0
    for i in range(20):
        plant.set(a_p=7 if i % 2 == 0 else 5)
        changes += len(plant.step())
    assert changes < 12
    assert plant.engine.counts["chattering"] == 1
    assert plant.alarm("high", "a").is_active
    plant.set(a_p=5)
    plant.step()
    plant.step(61)
    assert not plant.alarm("high", "a").is_active


# --- the life of one alarm -------------------------------------------------------------------

NEW = Event("e", "a", "high", Text(), is_acknowledged=True)


def test_the_states_and_their_ways_are_those_of_the_standard():
    def state(event: Event) -> AlarmState:
        return state_of(event, 100)

    assert state(NEW) is AlarmState.NORMAL
    up = lifecycle.raised(NEW, 1)
    assert state(up) is AlarmState.UNACKNOWLEDGED
    seen = lifecycle.acknowledged(up, "opa", "on my way")
    assert state(seen) is AlarmState.ACKNOWLEDGED
    assert state(lifecycle.cleared(seen, 2)) is AlarmState.NORMAL
    back = lifecycle.cleared(up, 2)
    assert state(back) is AlarmState.RETURNED
    assert state(lifecycle.acknowledged(back, "opa")) is AlarmState.NORMAL
    assert state(lifecycle.raised(back, 3)) is AlarmState.UNACKNOWLEDGED
    latched = lifecycle.cleared(up, 2, latches=True)
    assert state(latched) is AlarmState.LATCHED
    assert state(lifecycle.acknowledged(latched, "opa")) is AlarmState.NORMAL
    assert state(lifecycle.cleared(seen, 2, latches=True)) is AlarmState.NORMAL
    shelf = lifecycle.shelved(up, 200, "opa", "sensor is being changed", 100)
    assert state(shelf) is AlarmState.SHELVED
    assert state_of(shelf, 201) is AlarmState.UNACKNOWLEDGED
    assert state(lifecycle.unshelved(shelf, "opa")) is AlarmState.UNACKNOWLEDGED
    out = lifecycle.out_of_service(shelf, "eng", "overhaul")
    assert state(out) is AlarmState.OUT_OF_SERVICE
    assert state(lifecycle.in_service(out, "eng")) is AlarmState.SHELVED
    assert [lifecycle.calls(e, 100) for e in (up, seen, latched, shelf, out, back)] == [
        True, False, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("until_ns", [0, 100, 100 + 8 * 86_400 * S])
def test_an_alarm_is_shelved_for_a_time_only(until_ns: int):
    with pytest.raises(ValueError, match="up to 7 days"):
        lifecycle.shelved(NEW, until_ns, "opa", "", 100)


def test_the_shelf_ends_by_itself_and_life_goes_on_meanwhile():
    plant = Plant(("high", HIGH))
    plant.set(a_p=7)
    (event,) = plant.step()
    until = plant.now + 10 * S
    shelf = lifecycle.shelved(event, until, "opa", "known", plant.now)
    plant.world.apply(Change(shelf, Origin(OriginKind.AUTHORED, "opa"), plant.now))
    plant.set(a_p=5)
    (gone,) = plant.step()
    assert (gone.is_active, gone.shelved_until_ns) == (False, until)
    (back,) = [e for e in plant.step(20) if e.id == event.id]
    assert back.shelved_until_ns == 0
