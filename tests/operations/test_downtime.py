"""Why units stood: said, split, corrected, taken back; and what it does to the figures."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.mirror import Mirror
from mirrorworld.operations import reasons
from mirrorworld.operations.downtime import Said, pieces
from mirrorworld.operations.effectiveness import (
    DELAYED,
    DOWN,
    PLANNED,
    RUNNING,
    SETUP,
    UNKNOWN,
    Stretch,
)
from mirrorworld.operations.routes import router
from mirrorworld.record import open_record
from mirrorworld.record.store import restore
from mirrorworld.server.app import create_app
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from mirrorworld.world.changes import Edits, Event, PutSheet
from mirrorworld.world.model import Sheet
from tests.operations.kept_world import MINUTE, START, make

TOKEN = "a-token-of-the-owner-of-this-world-0123456789"
OWNER = {"Authorization": f"Bearer {TOKEN}"}
FILLER = "line/filler"
NEVER = 1 << 62
COUNT = itertools.count()


# --- cutting stops by what was said ---------------------------------------------------------


def said(start: int, end: int, reason: str, id_: str = "") -> Said:
    return Said(id_ or f"{reason}{start}", "u", start, end, reason)


def cut(did: list[Stretch], *spoken: Said, again: int = NEVER) -> list[tuple[int, int, str, str]]:
    found = pieces(did, spoken, reasons.DEFAULT, lambda at: again)
    return [(p.start_ns, p.end_ns, p.condition, p.said.reason if p.said else "") for p in found]


STOOD = [
    Stretch(0, 10, RUNNING, 6),
    Stretch(10, 12, DOWN, 8),
    Stretch(12, 30, DOWN, 9),
    Stretch(30, 40, DELAYED, 5),
    Stretch(40, 50, RUNNING, 6),
    Stretch(50, 60, UNKNOWN, float("nan")),
]


def test_states_of_one_condition_that_follow_each_other_are_one_stop():
    assert cut(STOOD) == [
        (10, 30, DOWN, ""), (30, 40, DELAYED, ""), (50, 60, UNKNOWN, ""),
    ]  # fmt: skip


def test_what_is_said_of_a_part_splits_a_stop():
    assert cut(STOOD, said(10, 15, "breakdown"), said(15, 22, "setup/tool"))[:3] == [
        (10, 15, DOWN, "breakdown"), (15, 22, SETUP, "setup/tool"), (22, 30, DOWN, ""),
    ]  # fmt: skip


def test_the_later_word_lies_over_the_earlier_and_only_where_it_did_not_run():
    over = (said(0, 100, "planned/no_order"), said(12, 14, "minor/jam"))
    assert cut(STOOD, *over) == [
        (10, 12, PLANNED, "planned/no_order"), (12, 14, DOWN, "minor/jam"),
        (14, 40, PLANNED, "planned/no_order"), (50, 60, PLANNED, "planned/no_order"),
    ]  # fmt: skip


def test_until_it_runs_again():
    assert cut(STOOD, said(12, 0, "flow/upstream"), again=40) == [
        (10, 12, DOWN, ""), (12, 40, DELAYED, "flow/upstream"), (50, 60, UNKNOWN, ""),
    ]  # fmt: skip


def test_a_reason_that_is_no_longer_in_the_tree_keeps_its_word_and_the_machines_condition():
    assert cut(STOOD, said(10, 30, "gremlins"))[0] == (10, 30, DOWN, "gremlins")
    assert reasons.DEFAULT.words("gremlins", "de") == "gremlins"


# --- the tree of reasons --------------------------------------------------------------------


def test_the_usual_reasons_are_said_in_two_languages_and_count_as_the_standard_has_it():
    tree = reasons.DEFAULT
    assert tree.words("breakdown/mechanical", "de") == "Störung › Mechanisch"
    assert {r.counts_as for top in tree.top for r in (top, *top.below)} == set(reasons.COUNTS_AS)
    for top in tree.top:
        for reason in (top, *top.below):
            assert len(reason.name.by_language) == 2 and tree.get(reason.code) is reason


def test_a_sheet_has_its_own_and_the_nearest_holds(tmp_path: Path):
    world, record = make(tmp_path)
    record.close()
    body = (
        '{"subtree": "line", "ask_from_s": 30, "reasons": [{"code": "press", "name": "Press",'
        ' "counts_as": "setup", "reasons": [{"code": "die", "name": {"de": "Gesenk"}}]}]}'
    )
    sheets = world.structure.sheets
    sheets[(reasons.KIND, "all")] = Sheet(
        reasons.KIND, "all", '{"reasons": [{"code": "x", "name": "X"}]}'
    )
    sheets[(reasons.KIND, "line")] = Sheet(reasons.KIND, "line", body)
    tree = reasons.reasons_for(world.structure, FILLER)
    assert tree.ask_from_s == 30 and tree.words("press/die", "de") == "Press › Gesenk"
    die = tree.get("press/die")
    assert die is not None and die.counts_as == SETUP
    assert [r.code for r in reasons.reasons_for(world.structure, "liner").top] == ["x"]


def test_a_sheet_may_say_only_from_when_on_is_asked():
    tree = reasons.read('{"ask_from_s": 5, "subtree": "line"}')
    assert (tree.ask_from_s, tree.subtree, tree.top) == (5, "line", reasons.DEFAULT.top)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("[]", "downtime_reasons: Expected `object`"),
        ('{"reasons": []}', "no reason is there"),
        ('{"reasons": [{"code": "a b", "name": "x"}]}', "'a b' is no code"),
        ('{"reasons": [{"code": "a", "name": "x"}, {"code": "a", "name": "y"}]}', "there twice"),
        ('{"reasons": [{"code": "a", "name": "x", "counts_as": "loss"}]}', "it is one of down"),
        ('{"reasons": [{"code": "a"}]}', "a.name: give a text"),
        ('{"reasons": [{"code": "a", "name": "x", "reasons": [{"kode": 1}]}]}', "below a"),
        ('{"reasons": [{"code": "a", "name": "x"}], "ask_from_s": -1}', "0 to 86400"),
        (
            '{"reasons": [' + ",".join(f'{{"code":"c{i}","name":"x"}}' for i in range(501)) + "]}",
            "more than 500",
        ),
    ],
)
def test_trees_that_are_none(body: str, says: str):
    with pytest.raises(ValueError, match=says):
        reasons.read(body)


# --- over REST, on a real record ------------------------------------------------------------


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    world, record = make(tmp_path)
    accounts = Accounts()
    for role, part in (("viewer", ""), ("operator", ""), ("operator", "line/capper")):
        name = f"{role}{'-capper' if part else ''}"
        accounts.add_person(name, "correct horse battery", [Grant(role, part)])
    now_ns = START + 479 * MINUTE
    guard = GrantGuard(RoleGuard(), accounts, lambda _: ())
    mirror = Mirror(world, record, {}, guard=guard, now_ns=lambda: now_ns)
    await mirror.start()
    app = create_app(mirror, token=TOKEN, accounts=accounts, routers=[router])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        client.accounts = accounts  # pyright: ignore
        client.mirror = mirror  # pyright: ignore
        yield client
    await mirror.stop()
    record.close()


def as_(client: httpx.AsyncClient, name: str) -> dict[str, str]:
    """Headers of a program of that person's."""
    accounts: Accounts = client.accounts  # pyright: ignore
    grants, label = accounts.grants_of(name), f"t{next(COUNT)}"
    token = accounts.make_token(name, label, grants, lasts_s=60, by=name)
    return {"Authorization": f"Bearer {token}"}


async def stops(client: httpx.AsyncClient, **ask) -> list[dict]:
    found = await client.get("/api/stops", params={"twin": FILLER, **ask}, headers=OWNER)
    assert found.status_code == 200, found.text
    return found.json()["stops"]


async def figures(client: httpx.AsyncClient) -> dict:
    found = await client.get("/api/effectiveness", headers=OWNER)
    assert found.status_code == 200, found.text
    return next(unit for unit in found.json()["units"] if unit["twin"] == FILLER)


async def say(client: httpx.AsyncClient, start: int, end: int | None, reason: str, **more):
    body = {
        "twin": FILLER,
        "start_ns": START + start * MINUTE,
        "end_ns": None if end is None else START + end * MINUTE,
        "reason": reason,
        **more.pop("body", {}),
    }
    return await client.post("/api/stops/reasons", json=body, headers=more.get("headers", OWNER))


def minutes(stop: dict) -> tuple[float, float]:
    return (stop["start_ns"] - START) / MINUTE, (stop["end_ns"] - START) / MINUTE


async def test_stops_are_listed_live_and_flagged_until_somebody_explains(client):
    found = await stops(client)
    assert [(minutes(s), s["condition"], s["is_open"]) for s in found] == [
        ((390, 479), "down", True), ((200, 210), "down", False), ((180, 200), "delayed", False),
    ]  # fmt: skip
    assert all(s["is_unexplained"] for s in found) and found[1]["cause"].startswith("<jam>")
    answer = await say(client, 180, 200, "flow/upstream", body={"comment": "no bottles"})
    assert answer.status_code == 200 and answer.json()["by"] == "owner"
    last = (await stops(client))[-1]
    assert (last["reason"], last["reason_name"]) == (
        "flow/upstream", "Waiting for others › Upstream: starved"
    )  # fmt: skip
    assert (last["comment"], last["by"], last["is_unexplained"]) == ("no bottles", "owner", False)
    assert len(await stops(client, unexplained=True)) == 2


async def test_a_reason_decides_as_what_a_stop_counts(client):
    before = await figures(client)
    # To now: 479 min less 30 of break; it ran 330, waited 20 and was down 99.
    assert (
        before["pbt_s"] == 449 * 60 and before["adot_s"] == 99 * 60 and before["unexplained"] == 3
    )
    assert before["availability"] == pytest.approx(330 / 449)
    await say(client, 390, 479, "planned/no_order")
    await say(client, 200, 210, "setup")
    after = await figures(client)
    assert (after["pdot_s"], after["aust_s"], after["adot_s"]) == (89 * 60, 600, 0)
    assert after["pbt_s"] == 360 * 60 and after["availability"] == pytest.approx(330 / 360)
    assert [(row["reason"], row["seconds"]) for row in after["losses"]] == [
        ("starved", 1_200), ("Set-up, changeover", 600)
    ]  # fmt: skip
    assert sum(s["end_ns"] - s["start_ns"] for s in after["timeline"]) == 449 * MINUTE
    report = await client.get("/api/reports/shift.html?shift=current", headers=OWNER)
    assert "Set-up, changeover (owner)" in report.text and "Stops without a reason" in report.text


async def test_a_long_stop_is_split_and_corrected_and_that_is_taken_back(client):
    await say(client, 390, 479, "breakdown/mechanical")
    await say(client, 400, 420, "cleaning")
    wrong = (await say(client, 400, 420, "material/missing")).json()
    split = [(minutes(s), s["reason"]) for s in reversed(await stops(client))][2:]
    assert split == [
        ((390, 400), "breakdown/mechanical"), ((400, 420), "material/missing"),
        ((420, 479), "breakdown/mechanical"),
    ]  # fmt: skip
    undone = await client.delete(f"/api/stops/reasons/{wrong['id']}", headers=OWNER)
    assert undone.status_code == 200
    assert [s["reason"] for s in reversed(await stops(client))][2:] == [
        "breakdown/mechanical", "cleaning", "breakdown/mechanical"
    ]  # fmt: skip
    again = await client.delete(f"/api/stops/reasons/{wrong['id']}", headers=OWNER)
    assert again.status_code == 404


async def test_an_open_stop_is_explained_before_it_is_over(client):
    assert (await say(client, 390, None, "breakdown/electrical")).json()["end_ns"] is None
    assert (await stops(client))[0]["reason"] == "breakdown/electrical"


async def test_said_twice_it_is_there_once(client):
    first, second = [(await say(client, 200, 210, "minor/jam")).json() for _ in range(2)]
    assert first == second
    log = client.mirror.record.log.changes(0, frames=False)
    assert sum(c.body.kind == "downtime_reason" for c in log if isinstance(c.body, Event)) == 1


async def test_operators_may_and_viewers_may_not(client):
    assert (await say(client, 200, 210, "minor", headers=as_(client, "viewer"))).status_code == 403
    elsewhere = as_(client, "operator-capper")
    assert (await say(client, 200, 210, "minor", headers=elsewhere)).status_code == 404
    assert (await client.get("/api/stops", headers=elsewhere)).json()["stops"][0]["twin"] == (
        "line/capper"
    )
    done = await say(client, 200, 210, "minor", headers=as_(client, "operator"))
    assert done.status_code == 200 and done.json()["by"].startswith("operator/t")
    path = f"/api/stops/reasons/{done.json()['id']}"
    assert (await client.delete(path, headers=as_(client, "viewer"))).status_code == 403
    assert (await client.delete(path, headers=elsewhere)).status_code == 404


@pytest.mark.parametrize(
    ("start", "end", "reason", "says"),
    [
        (200, 210, "breakdown/mechanicl", "breakdown/mechanical"),
        (210, 200, "minor", "ends before it begins"),
        (481, 490, "minor", "has not begun"),
        (-100, 100_000, "minor", "31 days"),
    ],
)
async def test_what_cannot_be_said(client, start: int, end: int, reason: str, says: str):
    refused = await say(client, start, end, reason)
    assert refused.status_code == 422 and says in refused.text


async def test_what_is_no_work_unit_has_no_stops(client):
    refused = await say(client, 200, 210, "minor", body={"twin": "line"})
    assert refused.status_code == 422 and "oee" in refused.json()["mend"]


async def test_shifts(client):
    found = (await client.get("/api/shifts?limit=3", headers=OWNER)).json()
    assert (found["plan"], found["time_zone"]) == ("plan", "UTC")
    assert [s["is_current"] for s in found["shifts"]] == [True, False, False]
    start = found["shifts"][1]["start_ns"]
    earlier = await client.get(f"/api/effectiveness?shift={start}", headers=OWNER)
    assert earlier.status_code == 200 and earlier.json()["shift"]["start_ns"] == start
    assert earlier.json()["units"][0]["oee"] is None
    for shift in (start + 1, START + 86_400 * 10**9):
        none = await client.get(f"/api/stops?shift={shift}", headers=OWNER)
        assert none.status_code == 404, shift


async def test_what_was_said_is_in_the_log_and_as_of_any_place(client, tmp_path: Path):
    before = client.mirror.world.position
    said_id = (await say(client, 200, 210, "minor/jam", body={"comment": "=cap"})).json()["id"]
    with open_record(tmp_path / "record", create=False, read_only=True) as record:
        assert said_id in restore(record).events  # durable before the answer
        assert said_id not in {event.id for event in record.as_of(before).events}
    told = await client.get(
        "/api/sql",
        params={"sql": "select author, message from alarms where kind = 'downtime_reason'"},
        headers=OWNER,
    )
    assert [c["values"] for c in told.json()["columns"]] == [["owner"], ["=cap"]]


async def test_wrong_sheets_are_refused_by_name(client):
    # A sheet may have come by another way than the one that refuses it.
    sheet = Sheet("downtime_reasons", "broken", '{"reasons": []}')
    client.mirror.world.structure.apply(Edits((PutSheet(sheet),)))
    answer = await client.get("/api/stops", headers=OWNER)
    assert answer.status_code == 422 and "downtime_reasons 'broken'" in answer.json()["detail"]
