"""The REST routes, asked as a program asks them, over a real socket."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest

from mirrorworld.world.changes import CommandState
from tests.server.stand_in import SECOND_NS, START_NS, Served, line, served


@pytest.fixture
async def here():
    async with served(line()) as running:
        yield running


async def ask(here: Served, method: str, path: str, status: int = 200, **more):
    async with here.client() as client:
        response = await client.request(method, path, **more)
    assert response.status_code == status, response.text
    return response.json() if response.content else None


async def test_the_world_at_a_glance(here: Served):
    world = await ask(here, "GET", "/api/world")
    assert (world["id"], world["twins"], world["relations"]) == ("stand-in", 5, 7)
    assert world["position"] == world["durable"]
    assert world["principal"] == {"id": "owner", "roles": ["owner"]}
    assert world["active_events"] == 1


async def test_twins_are_found_and_paged(here: Served):
    found = await ask(here, "GET", "/api/twins", params={"type": "Machine", "limit": 3})
    assert [row["id"] for row in found["twins"]] == ["line1/rinser", "line1/filler", "line1/capper"]
    assert found["total"] == 4
    rest = await ask(
        here, "GET", "/api/twins", params={"type": "Machine", "cursor": found["cursor"]}
    )
    assert [row["id"] for row in rest["twins"]] == ["line1/meter"]
    assert rest["cursor"] is None
    by = {
        "text": ("capp", "line1/capper"),
        "property": ("serial_number==S-1", "line1/filler"),
        "related": ("feeds:line1/capper", "line1/filler"),
        "box": ("-0.5,-1,-1,0.5,1,1", "line1/rinser"),
    }
    for name, (value, twin) in by.items():
        found = await ask(here, "GET", "/api/twins", params={name: value})
        assert [row["id"] for row in found["twins"]] == [twin], name


async def test_everything_known_of_a_twin(here: Served):
    twin = await ask(here, "GET", "/api/twins/line1/filler")
    assert twin["twin"]["properties"] == [{"name": "serial_number", "value": "S-1"}]
    points = {point["value"]["name"]: point for point in twin["points"]}
    level = points["level"]["value"]
    assert (level["value"], level["unit"], level["severity"]) == (41.5, "%", "good")
    assert (level["source_ns"], level["origin"], level["by"]) == (START_NS, "measured", "line1")
    assert points["mode"]["value"]["label"] == "auto"
    assert points["order"]["value"]["value"] == "A-17"
    assert points["spectrum"]["value"]["value"] == [1.0, 2.5, 0.5]
    assert points["state"]["value"]["quality_name"] == "BadWaitingForInitialData"
    assert points["speed"]["arm"] == {
        "twin": "line1/filler",
        "name": "speed",
        "low": 0.0,
        "high": 300.0,
    }
    assert [operation["type"]["name"] for operation in twin["operations"]] == ["clear_jam"]
    assert {r["target"] for r in twin["relations_out"]} == {"line1", "line1/capper"}
    assert [r["source"] for r in twin["relations_in"]] == ["line1/rinser"]
    assert [row["id"] for row in twin["path"]] == ["line1"]
    dependents = {d["twin"]["id"]: (d["by"], d["steps"]) for d in twin["dependents"]}
    assert dependents == {"line1": ("part_of", 1), "line1/capper": ("feeds", 1)}
    assert [event["id"] for event in twin["events"]] == ["line1/filler:jam"]
    assert twin["source"] == "line1"


async def test_what_is_unknown_names_what_is_near(here: Served):
    problem = await ask(here, "GET", "/api/twins/line1/filer", 404)
    assert "line1/filler" in problem["mend"]
    problem = await ask(here, "GET", "/api/points", 404, params={"id": "line1/filler.levl"})
    assert "'level'" in problem["mend"]
    problem = await ask(here, "GET", "/api/nothing", 404)
    assert "openapi.json" in problem["mend"]


async def test_points_by_name_twin_handle_and_page(here: Served):
    by_name = await ask(here, "GET", "/api/points", params={"id": "line1/filler.count"})
    assert [p["value"] for p in by_name["points"]] == [7]
    handle = by_name["points"][0]["handle"]
    by_handle = await ask(here, "GET", "/api/points", params={"handle": handle})
    assert by_handle["points"] == by_name["points"]
    by_twin = await ask(here, "GET", "/api/points", params={"twin": "line1/filler"})
    assert len(by_twin["points"]) == 8
    paged: list[int] = []
    cursor = None
    while True:
        params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = await ask(here, "GET", "/api/points", params=params)
        paged += [p["handle"] for p in page["points"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert paged == list(range(here.mirror.world.n_points))


async def test_history_as_columns_and_as_arrow(here: Served):
    for step in range(1, 5):
        here.mirror.clock_ns = START_NS + step * SECOND_NS
        here.mirror.sample(level=40.0 + step, order=f"B-{step}")
    params = {
        "point": ["line1/filler.level", "line1/filler.order"],
        "start": str(START_NS + SECOND_NS),
        "end": "2027-01-15T08:00:04Z",
    }
    history = await ask(here, "GET", "/api/history", params=params)
    level, order = history["series"]
    assert level["value"] == [41.0, 42.0, 43.0]
    assert order["value"] == ["B-1", "B-2", "B-3"]
    assert level["source_ns"][0] == START_NS + SECOND_NS
    async with here.client(Accept="application/vnd.apache.arrow.stream") as client:
        response = await client.get("/api/history", params=params)
    table = pa.ipc.open_stream(io.BytesIO(response.content)).read_all()
    assert table.column("value").to_pylist() == [41.0, 42.0, 43.0, None, None, None]
    assert table.column("text").to_pylist()[3:] == ["B-1", "B-2", "B-3"]
    assert table.column("time").cast(pa.int64()).to_pylist()[:3] == level["source_ns"]
    for level in range(100):
        here.mirror.clock_ns += SECOND_NS
        here.mirror.sample(level=float(level), order="more")
    short = await ask(
        here, "GET", "/api/history", params={"point": "line1/filler.level", "max_rows": 8}
    )
    assert short["is_downsampled"]
    few = {"point": "line1/filler.level", "max_rows": 7}
    async with here.client() as client:
        assert (await client.get("/api/history", params=few)).status_code == 422


async def test_as_of_a_time_and_a_position(here: Served):
    before = await ask(here, "GET", "/api/world")
    here.mirror.clock_ns += SECOND_NS
    here.mirror.sample(level=90.0, order="later")
    points = ["line1/filler.level", "line1/filler.order"]
    for params in (
        {"position": before["position"], "point": points},
        {"time": str(START_NS), "point": points},
    ):
        then = await ask(here, "GET", "/api/asof", params=params)
        assert [p["value"] for p in then["points"]] == [41.5, "A-17"]
    now = await ask(
        here, "GET", "/api/asof", params={"time": str(here.mirror.clock_ns), "point": points}
    )
    assert [p["value"] for p in now["points"]] == [90.0, "later"]
    await ask(here, "GET", "/api/asof", 422)
    await ask(here, "GET", "/api/asof", 422, params={"position": "1:999999"})


async def test_edits_take_effect_together_or_not_at_all(here: Served):
    good = {"@": "PutTwin", "twin": {"id": "line1/packer", "type": "Machine"}}
    bad = {"@": "PutRelation", "relation": {"kind": "feeds", "source": "x", "target": "line1"}}
    problem = await ask(here, "POST", "/api/edits", 422, json={"edits": [good, bad]})
    assert "'x'" in problem["detail"]
    await ask(here, "GET", "/api/twins/line1/packer", 404)
    done = await ask(here, "POST", "/api/edits", json={"edits": [good], "reason": "new machine"})
    assert done["position"] == str(here.mirror.world.position)
    packer = await ask(here, "GET", "/api/twins/line1/packer")
    assert [p["value"]["name"] for p in packer["points"]] == ["state"]


@pytest.mark.parametrize(
    ("edits", "place"),
    [
        ([{"@": "Twin", "id": "x"}], "edits[0]"),
        ([{"@": "PutTwin", "twin": {"id": "x", "colour": "red"}}], "edits[0].twin"),
        ([{"@": "PutTwin"}], "edits[0]"),
        ([], "1 to"),
    ],
)
async def test_an_edit_that_is_none_is_refused_by_place(here: Served, edits, place):
    problem = await ask(here, "POST", "/api/edits", 422, json={"edits": edits})
    assert place in "".join(problem.values())


async def test_a_command_is_converted_and_waited_for(here: Served):
    asked = {
        "twin": "line1/filler",
        "point": "speed",
        "value": 7200,
        "unit": "/h",
        "reason": "test",
    }
    command = await ask(here, "POST", "/api/commands", 202, json=asked)
    assert (command["value"], command["by"], command["reason"]) == (120.0, "owner", "test")
    here.mirror.decide(command["id"], CommandState.CONFIRMED)
    path = f"/api/commands/{command['id']}"
    decided = await ask(here, "GET", path, params={"wait_s": 5})
    assert decided["state"] == CommandState.CONFIRMED
    listed = await ask(here, "GET", "/api/commands", params={"twin": "line1/filler"})
    assert [c["id"] for c in listed["commands"]] == [command["id"]]
    for wrong, where in (
        ({**asked, "unit": "Cel"}, "Cel"),
        ({**asked, "operation": "clear_jam"}, "one of the two"),
        ({**asked, "timeout_ms": 0}, "timeout_ms"),
    ):
        problem = await ask(here, "POST", "/api/commands", 422, json=wrong)
        assert where in "".join(problem.values())
    problem = await ask(here, "POST", "/api/commands", 404, json={**asked, "point": "sped"})
    assert "'speed'" in problem["mend"]


async def test_what_is_not_armed_is_refused(here: Served):
    asked = {"twin": "line1/filler", "operation": "clear_jam"}
    refused = await ask(here, "POST", "/api/commands", 202, json=asked)
    assert refused["state"] == CommandState.REFUSED
    arm = {"arm": {"twin": "line1/filler", "name": "clear_jam"}, "reason": "shift lead asked"}
    await ask(here, "POST", "/api/arms", json=arm)
    allowed = await ask(here, "POST", "/api/commands", 202, json=asked)
    assert allowed.get("state", 0) == CommandState.REQUESTED
    name = {"twin": "line1/filler", "name": "clear_jam"}
    await ask(here, "DELETE", "/api/arms", params=name)
    again = await ask(here, "POST", "/api/commands", 202, json=asked)
    assert again["state"] == CommandState.REFUSED


async def test_events_are_listed_and_acknowledged(here: Served):
    events = await ask(here, "GET", "/api/events", params={"active": True})
    assert events["total"] == 1
    path = "/api/events/line1/filler:jam/acknowledge"
    seen = await ask(here, "POST", path, json={"comment": "on my way"})
    assert seen["is_acknowledged"]
    await ask(here, "POST", "/api/events/none/acknowledge", 404, json={})


async def test_sources(here: Served):
    (source,) = await ask(here, "GET", "/api/sources")
    assert (source["name"], source["state"]) == ("line1", "live")
    new = {"url": "mqtt://other", "name": "other", "options": {"qos": 1}}
    await ask(here, "POST", "/api/sources", 201, json=new)
    await ask(here, "POST", "/api/sources", 422, json=new)
    problem = await ask(here, "POST", "/api/sources", 422, json={"url": "nothing://x"})
    assert "mqtt://" in problem["detail"]
    await ask(here, "POST", "/api/sources", 422, json={"url": "plain words"})
    found = await ask(here, "POST", "/api/sources/discover", json={"url": "mqtt://other"})
    assert found["findings"][0]["sample_values"] == {"speed": 3.5}
    await ask(here, "POST", "/api/sources/other/trust", json={"fingerprint": "ab:cd"})
    await ask(here, "POST", "/api/sources/other/trust", 422, json={"fingerprint": "zz"})
    await ask(here, "DELETE", "/api/sources/other", 204)
    problem = await ask(here, "DELETE", "/api/sources/line", 404)
    assert "line1" in problem["mend"]


async def test_another_program_can_follow_the_log_without_a_gap(here: Served):
    after, told = "0:0", []
    while True:
        page = await ask(here, "GET", "/api/changes", params={"after": after, "limit": 2})
        told += page["changes"]
        after = page["after"]
        if page["is_end"]:
            break
    assert [c["position"] for c in told] == [str(c.position) for c in here.mirror.record.log]
    frames = [c for c in told if c["body"] is None]
    assert "line1/filler.order" in frames[0]["points"]
    assert frames[0]["values"][frames[0]["points"].index("line1/filler.order")] == "A-17"
    assert told[0]["body"]["@"] == "Edits"


async def test_the_worlds_file_says_the_same_world_again(here: Served):
    from mirrorworld.world.changes import Arm, Edits, PutRelation, PutTwin, PutType
    from mirrorworld.world.model import Relation, Twin, TwinType
    from mirrorworld.world.plain import from_plain
    from tests.server.stand_in import StandIn

    file = await ask(here, "GET", "/api/export")
    again = StandIn()
    again.apply(
        Edits(
            (
                *(PutType(from_plain(TwinType, t)) for t in file["types"]),
                *(PutTwin(from_plain(Twin, t)) for t in file["twins"]),
                *(PutRelation(from_plain(Relation, r)) for r in file["relations"]),
                *(from_plain(Arm, a) for a in file["arms"]),
            )
        )
    )
    old, new = here.mirror.world.structure, again.world.structure
    assert (old.types, old.twins, old.relations, old.arms) == (
        new.types,
        new.twins,
        new.relations,
        new.arms,
    )


async def test_types_and_relations(here: Served):
    types = await ask(here, "GET", "/api/types")
    assert [one["id"] for one in types] == ["Machine", "Filler"]
    page = await ask(here, "GET", "/api/relations", params={"twin": "line1/filler", "limit": 2})
    rest = await ask(
        here, "GET", "/api/relations", params={"twin": "line1/filler", "cursor": page["cursor"]}
    )
    assert len(page["relations"] + rest["relations"]) == 3
    feeds = await ask(here, "GET", "/api/relations", params={"kind": "feeds"})
    assert {r["source"] for r in feeds["relations"]} == {"line1/rinser", "line1/filler"}


async def test_a_full_disk_is_said_and_nothing_is_acknowledged(here: Served):
    here.mirror.is_disk_full = True
    edit = {"@": "PutTwin", "twin": {"id": "new"}}
    problem = await ask(here, "POST", "/api/edits", 503, json={"edits": [edit]})
    assert "no space left" in problem["detail"]
    assert "disk" in problem["mend"]


async def test_what_the_guard_hides_is_nowhere(here: Served):
    here.mirror.guard.is_by_twin = True
    here.mirror.guard.hidden.add("line1/filler")
    await ask(here, "GET", "/api/twins/line1/filler", 404)
    for path in ("/api/twins", "/api/events", "/api/relations", "/api/changes", "/api/export"):
        async with here.client() as client:
            text = (await client.get(path)).text
        assert '"line1/filler' not in text, path
    points = await ask(here, "GET", "/api/points")
    assert {p["twin"] for p in points["points"]} == {"line1/rinser", "line1/capper", "line1/meter"}


async def test_numbers_for_prometheus(here: Served):
    async with here.client() as client:
        text = (await client.get("/metrics")).text
        health = await client.get("/healthz")
    assert health.json() == {"status": "ok"}
    assert 'mirrorworld_rows_total{fate="accepted",source="line1"} 7.0' in text
    assert 'mirrorworld_link{source="line1",state="live"} 1.0' in text
    assert f"mirrorworld_sequence {float(here.mirror.world.position.sequence)}" in text
    assert 'mirrorworld_queue_limit{queue="line1"} 100.0' in text
