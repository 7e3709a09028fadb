"""OPC UA alarms and history against node-opcua: raised, seen, confirmed, shelved, gone."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from mirrorworld.connectors import opcua_conditions as conditions
from mirrorworld.connectors.opcua import Opcua
from mirrorworld.connectors.opcua_decode import DecodeError
from mirrorworld.testing.connectors import WatchingSink, is_live, running, until
from mirrorworld.testing.sink import MemorySink
from mirrorworld.world.changes import Event, Severity
from mirrorworld.world.model import Property, Text
from mirrorworld.world.ports import KeepsConditions, LinkState, SourceConfig, SourceError
from tests.connectors.opcua_peer import NodeOpcua, line_to

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture
def start_server(node: str, peers_dir: Path, pki: Path) -> Iterator[Callable[..., NodeOpcua]]:
    started: list[NodeOpcua] = []

    def start(**options: Any) -> NodeOpcua:
        peer = NodeOpcua(node, peers_dir, pki, **options)
        started.append(peer)
        return peer.start()

    yield start
    for peer in started:
        peer.kill()


@pytest.fixture
def plant(start_server: Callable[..., NodeOpcua]) -> NodeOpcua:
    return start_server(alarms=True)


def opcua(url: str, state_dir: Path | None = None, **options: Any) -> Opcua:
    given = {"interval_ms": 50, "root": "Line1", **options}
    return Opcua(SourceConfig(url, "plc", given, state_dir=state_dir))


def alarms(sink: WatchingSink) -> dict[str, Event]:
    """The latest event of each condition by its name."""
    found: dict[str, Event] = {}
    for event in sink.events:
        names = [p.value for p in event.properties if p.name == "condition"]
        if names:
            found[str(names[0])] = event
    return found


def said(event: Event) -> dict[str, Any]:
    return {p.name: p.value for p in event.properties}


async def shown(
    sink: WatchingSink, name: str, what: str, condition: Callable[[Event], bool]
) -> Event:
    await until(
        lambda: name in alarms(sink) and condition(alarms(sink)[name]),
        f"{what}; it is {alarms(sink).get(name)}",
    )
    return alarms(sink)[name]


async def test_an_alarm_from_its_rise_to_its_end(plant: NodeOpcua) -> None:
    connector, sink = opcua(plant.url), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        assert isinstance(connector, KeepsConditions)
        await plant.asked("set", name="Filler.Level", value=97)
        raised = await shown(sink, "Level", "raised", lambda e: e.is_active)
        assert raised.twin == "plc/Line1/Filler"
        assert raised.kind == "alarm" and not raised.is_acknowledged
        assert said(raised)["state"] == "HighHigh"
        assert raised.severity in Severity and said(raised)["severity"] >= 1
        assert raised.message.best("en")
        assert connector.keeps_condition(raised.id)
        assert not connector.keeps_condition("plc/link")

        await connector.acknowledge(raised, "on my way")
        seen = await shown(sink, "Level", "acknowledged", lambda e: e.is_acknowledged)
        assert seen.id == raised.id and seen.is_active
        assert said(seen)["comment"] == "on my way"
        state = await plant.asked("alarm", name="Level")
        assert (state["acked"], state["comment"]) == (True, "on my way")
        with pytest.raises(SourceError, match="has not told of this"):
            await connector.acknowledge(dataclasses.replace(seen, id="plc/condition/i=7"), "")

        await connector.act_on_condition(seen.id, "confirm", comment="valve freed")
        await shown(sink, "Level", "confirmed", lambda e: said(e).get("confirmed") is True)

        await plant.asked("set", name="Filler.Level", value=50)
        gone = await shown(sink, "Level", "over", lambda e: not e.is_active)
        assert gone.id == raised.id
        ids = {e.id for e in sink.events if said(e).get("condition") == "Level"}
        assert ids == {raised.id}, "one condition has one id"


async def test_who_acknowledged_stays_with_the_report(plant: NodeOpcua) -> None:
    connector, sink = opcua(plant.url), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await plant.asked("set", name="Filler.Level", value=97)
        raised = await shown(sink, "Level", "raised", lambda e: e.is_active)
        by = (*raised.properties, Property("acknowledged_by", "kim"))
        await connector.acknowledge(dataclasses.replace(raised, properties=by), "")
        seen = await shown(sink, "Level", "acknowledged", lambda e: e.is_acknowledged)
        assert said(seen)["acknowledged_by"] == "kim"


async def test_shelving(plant: NodeOpcua) -> None:
    connector, sink = opcua(plant.url), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await plant.asked("set", name="Filler.Level", value=3)
        raised = await shown(sink, "Level", "raised", lambda e: e.is_active)
        assert said(raised)["state"] == "LowLow"
        await connector.act_on_condition(raised.id, "shelve", duration_s=60)
        await shown(sink, "Level", "shelved", lambda e: said(e).get("shelving") == "TimedShelved")
        await connector.act_on_condition(raised.id, "unshelve")
        await shown(sink, "Level", "unshelved", lambda e: said(e).get("shelving") == "Unshelved")


async def test_what_happened_while_nobody_heard_is_made_good(
    plant: NodeOpcua, tmp_path: Path
) -> None:
    """One alarm rises and another ends while the line is cut, and again while we are away."""
    sink = WatchingSink()
    async with line_to(plant.port) as line:
        connector = opcua(line.url, tmp_path)
        async with running(connector, sink) as task:
            await is_live(connector, task)
            await plant.asked("set", name="Filler.Level", value=97)
            await shown(sink, "Level", "raised", lambda e: e.is_active)
            await connector.acknowledge(alarms(sink)["Level"], "")
            await shown(sink, "Level", "acknowledged", lambda e: e.is_acknowledged)
            await connector.act_on_condition(alarms(sink)["Level"].id, "confirm")
            await shown(sink, "Level", "confirmed", lambda e: said(e).get("confirmed") is True)
            line.cut()
            await until(lambda: connector.link.state is LinkState.LOST, "the loss")
            await plant.asked("set", name="Filler.Level", value=50)
            await plant.asked("set", name="Filler.Status.Temp", value=120)
            line.mend()
            await is_live(connector, task)
            await shown(sink, "Temp", "raised meanwhile", lambda e: e.is_active)
            await shown(sink, "Level", "ended meanwhile", lambda e: not e.is_active)
    # Our own process ends; the alarm does too, before the next begins.
    temp = alarms(sink)["Temp"].id
    second = WatchingSink(sink.inner)
    plant.kill()
    plant.start()
    connector = opcua(plant.url, tmp_path)
    async with running(connector, second) as task:
        await is_live(connector, task)
        await until(
            lambda: any(e.id == temp and not e.is_active for e in second.events),
            "the end of an alarm that the server forgot",
        )


async def test_alarms_can_be_left_out_and_a_server_without_them_is_no_trouble(
    plant: NodeOpcua, start_server: Callable[..., NodeOpcua]
) -> None:
    connector, sink = opcua(plant.url, alarms=False), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await plant.asked("set", name="Filler.Level", value=97)
        await until(lambda: any(s.value == 97 for s in sink.samples()), "the value")
        assert not sink.events
        assert connector.keeps_condition("plc/condition/x")
        with pytest.raises(SourceError, match="cannot be told"):
            await connector.acknowledge(Event("plc/condition/x", "plc", "alarm", Text()), "")
    plain = start_server()
    connector, sink = opcua(plain.url), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await plain.asked("set", name="Filler.Level", value=97)
        await until(lambda: any(s.value == 97 for s in sink.samples()), "the value")


def test_malformed_event_lists_are_refused() -> None:
    for data in (b"", b"\xff\xff\xff\x7f", b"\x01\0\0\0\0\0\0\0\xff\xff\xff\x7f",
                 b"\x01\0\0\0\0\0\0\0\x01\0\0\0\xff", b"\x02\0\0\0" + bytes(8)):  # fmt: skip
        with pytest.raises(DecodeError):
            conditions.fields_of(data, 0, len(data))


def test_odd_fields_make_no_condition_or_a_plain_one() -> None:
    def made(**fields: Any) -> conditions.Condition | None:
        return conditions.condition_of(fields, "plc", ("", "urn:x"), {}, 7)

    assert made() is None
    assert made(ConditionId="i=1") is None
    assert made(ConditionId=ua.NodeId()) is None
    odd = made(
        ConditionId=ua.NodeId.from_string("ns=1;s=" + "<b>" * 400),
        Severity="high", Message=3, Time="now",
        Acked="yes", Active=1, Retain=True, EventId=5, SourceNode=9,
    )  # fmt: skip
    assert odd is not None
    assert odd.event.is_active and not odd.can_acknowledge
    assert odd.event.severity is Severity.INFO and odd.event.source_ns == 7
    assert len(odd.event.id) < 250 and odd.event.twin == "plc"
    steps = [conditions.severity_of(n) for n in (-5, 1, 333, 334, 666, 667, 1000, 60_000)]
    assert steps == [
        Severity.INFO,
        *[Severity.LOW] * 2,
        *[Severity.MEDIUM] * 2,
        *[Severity.HIGH] * 3,
    ]


# --- history


def levels(sink: WatchingSink | MemorySink) -> list[float]:
    """Accepted values of the filler's level, in order of source time."""
    memory = sink.inner if isinstance(sink, WatchingSink) else sink
    (handle,) = memory.handles([("plc/Line1/Filler", "Level")]).tolist()
    rows = [
        (int(ns), float(cell))
        for frame in memory.frames
        for h, cell, ns, quality in zip(
            frame.point, frame.cell.view("f8"), frame.source_ns, frame.quality, strict=True
        )
        if h == handle and quality >> 30 == 0
    ]
    return [round(value, 4) for _, value in sorted(rows)]


async def test_history_from_before_the_first_start(start_server: Callable[..., NodeOpcua]) -> None:
    plant = start_server(past=2500)
    connector, sink = opcua(plant.url, history="1h"), WatchingSink()
    past = [round(20 + i / 1000, 4) for i in range(2500, 0, -1)]
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await until(lambda: sink.counts.get("history_samples", 0) >= 2500, "the past")
        await until(lambda: "read from history" in connector.link.detail, "progress is told")
    assert levels(sink) == [*past, 50.0, 50.0], "the peer sets it to 50 twice"
    # Half as far back: no more than that.
    connector, sink = opcua(plant.url, history="20min"), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await until(lambda: "read from history" in connector.link.detail, "the past")
    assert 1100 <= len(levels(sink)) <= 1203


async def test_what_came_while_our_process_was_away_is_read(
    plant: NodeOpcua, tmp_path: Path
) -> None:
    """No loss was noted: the process ended, and another began over the same world."""
    sink = WatchingSink()
    connector = opcua(plant.url, tmp_path)
    async with running(connector, sink) as task:
        await is_live(connector, task)
        for value in (51.0, 52.0):
            await plant.asked("set", name="Filler.Level", value=value)
            await until(lambda v=value: v in levels(sink), f"{value}")
        notes = tmp_path / "opcua" / "plc.json"
        await until(notes.exists, "a note of up to where nothing is missing")
    for value in (61.0, 62.0, 63.0):
        await plant.asked("set", name="Filler.Level", value=value)
        await asyncio.sleep(0.01)
    again = WatchingSink(sink.inner)
    connector = opcua(plant.url, tmp_path)
    async with running(connector, again) as task:
        await is_live(connector, task)
        await until(lambda: 62.0 in levels(again), "what was missed")
        await asyncio.sleep(0.2)
    assert levels(again) == [50.0, 51.0, 52.0, 61.0, 62.0, 63.0], "each once"


@pytest.mark.parametrize("history", ["soon", "24", "0h", "-1d", "99999d", 24])
async def test_history_is_a_time_or_a_yes(history: Any) -> None:
    with pytest.raises(SourceError, match="history"):
        await opcua("opc.tcp://127.0.0.1:1", history=history).run(MemorySink("plc"))
