"""A world answers the same calls in the same way, on a server and in one's own process."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

import mirrorworld
from mirrorworld.client import (
    ClientError,
    LocalAccess,
    NotAllowedError,
    NotFoundError,
    World,
)
from mirrorworld.world.changes import Arm, PutProperty, PutTwin
from mirrorworld.world.model import Property, Twin
from tests.client.served import elsewhere
from tests.server.stand_in import SECOND_NS, START_NS, TOKEN, line

LEVEL, ORDER = "line1/filler.level", "line1/filler.order"
START = datetime.datetime.fromtimestamp(START_NS / 1e9, datetime.UTC)


@pytest.fixture(params=["server", "own"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    mirror = line()
    for step in range(1, 5):
        mirror.clock_ns = START_NS + step * SECOND_NS
        mirror.sample(level=40.0 + step, order=f"B-{step}")
    if request.param == "own":
        with World(LocalAccess(mirror.world, mirror.record, "here", is_writable=True)) as opened:
            yield opened
    else:
        with elsewhere(mirror) as server, mirrorworld.connect(server.here.url, TOKEN) as connected:
            yield connected


def test_the_world_at_a_glance(world: World):
    assert (world.id, world.info.twins, world.info.points) == ("stand-in", 5, 11)
    assert world.position.startswith("1:")
    assert world.types["Filler"].extends == ("Machine",)


def test_finding_twins(world: World):
    assert world.twins(type="Machine", limit=2).ids == ["line1/rinser", "line1/filler"]
    assert world.twins(text="capp").ids == ["line1/capper"]
    assert world.twins(property={"serial_number": "S-1"}).ids == ["line1/filler"]
    assert world.twins(property=[("serial_number", ">=", "S-2")]).ids == [
        "line1/capper",
        "line1/meter",
    ]
    assert world.twins(related=("feeds", "line1/capper")).ids == ["line1/filler"]
    assert world.twins(box=(-0.5, -1, -1, 0.5, 1, 1)).ids == ["line1/rinser"]
    assert len(world.twins()) == 5


def test_a_twin_and_its_points(world: World):
    filler = world.twin("line1/filler")
    assert (filler.name, filler.type) == ("Filler", "Filler")
    assert filler.properties["serial_number"].value == "S-1"
    assert set(filler.points) == {
        "state", "level", "count", "running", "mode", "order", "spectrum", "speed",
    }  # fmt: skip
    level = filler["level"]
    assert (level.id, level.value, level.unit, level.quality) == (LEVEL, 44.0, "%", "Good")
    assert level.time == START + datetime.timedelta(seconds=4)
    assert filler["state"].value is None
    assert filler["state"].time is None
    assert filler.operations == ["clear_jam"]
    assert {r.kind for r in filler.relations} == {"part_of", "feeds"}
    assert filler.read()["line1/filler.order"].value == "B-4"


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda w: w.twin("line1/filer"), "line1/filler"),
        (lambda w: w.point("line1/filler.levl"), "level"),
        (lambda w: w.read(["nowhere.level"]), "nowhere.level"),
        (lambda w: w.twin("line1/filler")["levl"], "level"),
        (lambda w: w.asof("1:999999", LEVEL), "1:999999"),
    ],
)
def test_what_is_unknown_is_said(world: World, ask, says: str):
    with pytest.raises(ClientError, match=says):
        ask(world)


def test_errors_are_the_standards_own_too(world: World):
    with pytest.raises(LookupError):
        world.twin("nobody")
    with pytest.raises(ValueError, match="time"):
        world.history(LEVEL, "yesterday-ish")
    with pytest.raises(ValueError, match="kind of table"):
        world.history(LEVEL, as_="excel")  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_history_as_a_table(world: World):
    whole = world.history(LEVEL)
    assert whole.column("value").to_pylist() == [41.5, 41.0, 42.0, 43.0, 44.0]
    assert whole.schema.metadata[b"unit:line1/filler.level"] == b"%"
    part = world.history(
        [LEVEL, ORDER],
        START + datetime.timedelta(seconds=1),
        (START + datetime.timedelta(seconds=3)).isoformat(),
    )
    assert part.column("value").to_pylist() == [41.0, 42.0, None, None]
    assert part.column("text").to_pylist() == [None, None, "B-1", "B-2"]
    assert part.column("point").to_pylist() == [LEVEL, LEVEL, ORDER, ORDER]
    assert world.history(LEVEL, max_rows=8).equals(whole)
    with pytest.raises(ValueError, match="8"):
        world.history(LEVEL, max_rows=2)
    assert world.point(LEVEL).history().equals(whole)


def test_history_as_pandas_and_polars(world: World):
    frame = world.history(LEVEL, as_="pandas")
    assert frame["value"].tolist() == [41.5, 41.0, 42.0, 43.0, 44.0]
    assert str(frame["time"].dtype) == "datetime64[ns, UTC]"
    assert int(frame["time"].iloc[0].value) == START_NS
    again = world.history(LEVEL, START_NS, frame["time"].iloc[2], as_="polars")
    assert again["value"].to_list() == [41.5, 41.0]


def test_as_of_a_time_and_a_position(world: World):
    then = world.asof(START + datetime.timedelta(seconds=2.5), [LEVEL, ORDER])
    assert [value.value for value in then] == [42.0, "B-2"]
    known = [row.position for row in world.changes() if row.points]
    at = world.asof(known[2], [LEVEL, ORDER])
    assert [value.value for value in at] == [41.0, "B-1"]


def test_values_as_a_table(world: World):
    table = world.read(["line1/filler.mode", ORDER, "line1/filler.state"]).table()
    assert table.column("value").to_pylist() == [1.0, None, None]
    assert table.column("text").to_pylist() == ["auto", "B-4", None]
    assert table.schema.field("time").type == pa.timestamp("ns", "UTC")


def test_the_log_is_read_without_a_gap(world: World):
    rows = list(world.changes())
    assert [int(row.position.partition(":")[2]) for row in rows] == list(range(1, len(rows) + 1))
    assert rows[0].body is not None
    assert rows[0].body["@"] == "Edits"
    assert list(world.changes(after=rows[2].position)) == rows[3:]


def test_editing(world: World):
    before = world.position
    packer = Twin("line1/packer", "Machine")
    position = world.edit(
        PutTwin(packer), PutProperty("line1/packer", Property("maker", "ours")), reason="new"
    )
    assert position != before
    assert world.twin("line1/packer").model.property("maker") == Property("maker", "ours")
    with pytest.raises(ValueError, match="nobody"):
        world.edit(PutProperty("nobody", Property("x", 1)))
    world.arm("line1/filler", "clear_jam", must_confirm=True)
    arms = {o.type["name"]: o.arm for o in world.twin("line1/filler").detail.operations}
    assert arms["clear_jam"] == {
        "twin": "line1/filler",
        "name": "clear_jam",
        "must_confirm": True,
    }
    world.disarm("line1/filler", "clear_jam")
    assert world.twin("line1/filler").detail.operations[0].arm is None


def test_events(world: World):
    (event,) = world.events(active=True)
    assert event.message.best("en") == "Jam"
    assert world.acknowledge(event, "on my way").is_acknowledged
    assert world.events(twin="line1/filler")[0].is_acknowledged
    with pytest.raises(NotFoundError):
        world.acknowledge("nothing")


def test_a_subscription_begins_with_what_is_and_ends_when_it_is_closed(world: World):
    with world.subscribe([LEVEL, ORDER]) as updates:
        found = {value.id: value.value for value in updates.next(10)}
        assert found == {LEVEL: 44.0, ORDER: "B-4"}
        with pytest.raises(TimeoutError):
            updates.next(0.05)
    with pytest.raises(EOFError):
        updates.next(1)
    assert list(updates) == []


HOSTILE = "<script>alert(1)</script>&'\""


def test_what_a_notebook_shows_is_escaped(world: World):
    evil = Twin(HOSTILE, HOSTILE, properties=(Property(HOSTILE, HOSTILE),))
    world.edit(PutTwin(evil))
    world.edit(Arm("line1/filler", "speed"))
    shown = [
        world._repr_html_(),
        world.twins()._repr_html_(),
        world.twin(HOSTILE)._repr_html_(),
        world.twin("line1/filler")._repr_html_(),
        world.point(LEVEL)._repr_html_(),
        world.read([LEVEL, "line1/filler.mode", "line1/filler.spectrum"])._repr_html_(),
    ]
    for html in shown:
        assert "<script" not in html
        assert html.count("<table") == html.count("</table>") >= 1
    assert "&lt;script&gt;" in shown[1]
    assert "1 (auto)" in shown[5]
    assert "3 numbers" in shown[5]
    assert "44" in shown[4]


def test_more_points_than_one_request_holds(world: World):
    kinds = [LEVEL, "line1/filler.count"] * 40
    assert len(world.read(kinds)) == 80
    table = world.history(kinds)
    assert set(table.column("point").to_pylist()) == {LEVEL, "line1/filler.count"}
    assert np.isfinite(table.column("value").to_numpy()).all()


def test_a_world_of_ones_own_that_may_not_be_written():
    mirror = line()
    world = World(LocalAccess(mirror.world, mirror.record, "here"))
    with pytest.raises(NotAllowedError, match="writable=True"):
        world.edit(PutTwin(Twin("x")))
    with pytest.raises(NotAllowedError, match="mirrorworld up"):
        world.write("line1/filler.speed", 100.0)


def test_notes_and_tasks_about_a_twin(world: World):
    filler = world.twin("line1/filler")
    assert world.notes() == []
    first = world.note(filler, "Leaks at the <b>seal</b>", at=(0.25, 0.9, 0.0))
    position = world.position
    assert world.reply(filler, first, "Ordered") != position
    second = world.note("line1/capper", "Runs hot")
    task = world.task("line1/filler", "Change the seal", owner="kim", due="2026-11-30", note=first)
    world.change_task(filler, task, state="doing", owner="ada")

    assert {row.id: row.twin for row in world.notes()} == {
        first: "line1/filler",
        second: "line1/capper",
    }
    [row] = world.notes(filler)
    me = world.info.principal.id
    assert (row.note.text, row.note.author, row.note.at) == (
        "Leaks at the <b>seal</b>",
        me,
        [0.25, 0.9, 0.0],
    )
    [reply] = row.note.replies.values()
    assert (reply.text, reply.author) == ("Ordered", me)
    assert world.notes("line1/capper")[0].note.text == "Runs hot"
    assert world.notes("line1/rinser") == []
    [found] = world.tasks(filler, state="doing")
    assert (found.id, found.task.owner, found.task.due, found.task.note) == (
        task,
        "ada",
        "2026-11-30",
        first,
    )
    assert world.tasks(state="open") == world.tasks(owner="kim") == []


def test_notes_that_cannot_be_say_why(world: World):
    with pytest.raises(NotFoundError, match="line1/fillr"):
        world.note("line1/fillr", "x")
    with pytest.raises(NotFoundError, match="line1/fillr"):
        world.notes("line1/fillr")
    with pytest.raises(NotFoundError, match="line1/fillr"):
        world.tasks("line1/fillr")
    with pytest.raises(ClientError, match="has no note 'n9'"):
        world.reply("line1/filler", "n9", "x")
    with pytest.raises(ClientError, match="has no task 't9'"):
        world.change_task("line1/filler", "t9", state="done")
    with pytest.raises(ClientError, match="at most 20000"):
        world.note("line1/filler", "x" * 30_000)
    with pytest.raises(ClientError, match="at most 500"):
        world.task("line1/filler", "x" * 600)
    with pytest.raises(ClientError, match="a date like"):
        world.task("line1/filler", "x", due="tomorrow")
    with pytest.raises(ClientError, match="within 100000 m"):
        world.note("line1/filler", "x", at=(0.0, float("inf"), 0.0))
    with pytest.raises(ClientError, match="are taken"):
        world.note("line1/filler", "x" * 1_000_000)
    task = world.task("line1/filler", "Change the seal")
    with pytest.raises(ClientError, match="one of open"):
        world.change_task("line1/filler", task, state="perhaps")
    assert world.notes() == []
    assert len(world.tasks()) == 1
