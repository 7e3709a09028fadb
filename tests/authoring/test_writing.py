"""Two who write in the same document over a real line, and what the server lets them say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from pycrdt import Map

from mirrorworld.live.guard import RoleGuard
from mirrorworld.protocol import authoring as shapes
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from tests.authoring.writer import Writer, note, writer
from tests.server.stand_in import Served, line, served

FILLER = "line1/filler"


@pytest.fixture
async def here() -> AsyncIterator[Served]:
    async with served(line()) as running:
        yield running


async def test_two_write_in_one_note_and_both_have_all(here: Served) -> None:
    async with writer(here.host) as one, writer(here.host) as two:
        took = await one.change(
            FILLER, lambda: one.notes(FILLER).__setitem__("n1", note(one.me, "leaks"))
        )
        assert isinstance(took, shapes.Took), took
        await two.until(lambda: "n1" in two.notes(FILLER))
        text = two.notes(FILLER)["n1"]["text"]
        await two.change(FILLER, lambda: text.insert(5, " here"))
        await one.change(FILLER, lambda: one.notes(FILLER)["n1"]["text"].insert(0, "It "))
        for each in (one, two):
            await each.until(lambda e=each: str(e.notes(FILLER)["n1"]["text"]) == "It leaks here")
    async with writer(here.host) as late:
        assert str(late.notes(FILLER)["n1"]["text"]) == "It leaks here"
    document = here.mirror.world.writings[FILLER]
    assert len(document) == 3, "each is a change of its own"


async def test_rest_says_what_is_there_and_how_it_came(here: Served) -> None:
    async with writer(here.host) as one:
        await one.change(FILLER, lambda: one.notes(FILLER).__setitem__("n1", note(one.me, "seal")))
        await one.change(FILLER, lambda: one.notes(FILLER)["n1"].__setitem__("is_done", True))
        task = Map({"author": one.me, "created": 1e12, "title": "Order a seal", "state": "open"})
        await one.change(FILLER, lambda: one.tasks(FILLER).__setitem__("t1", task))
    async with here.client() as client:
        notes = (await client.get("/api/notes")).json()["notes"]
        assert [(row["twin"], row["id"], row["note"]["text"]) for row in notes] == [
            (FILLER, "n1", "seal")
        ]
        assert notes[0]["note"]["is_done"] is True
        tasks = (await client.get("/api/tasks", params={"state": "open"})).json()["tasks"]
        assert [row["task"]["title"] for row in tasks] == ["Order a seal"]
        assert not (await client.get("/api/tasks", params={"state": "done"})).json()["tasks"]
        past = (await client.get("/api/notes/history", params={"twin": FILLER})).json()["rows"]
        assert [row["said"] for row in past] == [
            ["new task: Order a seal"],
            ["new note: seal", "note done: seal"],
        ]


async def test_what_is_not_ones_own_to_say_is_refused_and_leaves_no_trace(here: Served) -> None:
    async with writer(here.host) as one:
        await one.change(FILLER, lambda: one.notes(FILLER).__setitem__("n1", note(one.me, "ok")))
    before = here.mirror.world.state_hash()
    for change, why in (
        (lambda w: w.notes(FILLER).__setitem__("n2", note("somebody", "forged")), "its author is"),
        (lambda w: w.notes(FILLER)["n1"].__setitem__("author", "somebody"), "stays"),
        (lambda w: w.notes(FILLER).__setitem__("n2", note(w.me, "x" * 30_000)), "at most 20000"),
        (lambda w: w.notes(FILLER).__setitem__("n2", 5), "Object missing required field"),
        (lambda w: w.notes(FILLER)["n1"].__setitem__("html", "<script>"), "unknown field"),
        (
            lambda w: w.doc(FILLER).get("other", type=Map).__setitem__("a", 1),
            "no part of a document",
        ),
        (lambda w: w.notes(FILLER).__setitem__("n2", note(w.me, "", at=[0.0, 1e9, 0.0])), "within"),
        (lambda w: w.notes(FILLER).__setitem__("../n", note(w.me, "")), "an id has"),
    ):
        async with writer(here.host) as one:
            said = await one.change(FILLER, lambda change=change, one=one: change(one))
            assert isinstance(said, shapes.NotTaken), said
            assert why in said.detail, said
    assert here.mirror.world.state_hash() == before
    async with writer(here.host) as one:  # and the document goes on as it was
        said = await one.change(FILLER, lambda: one.notes(FILLER)["n1"]["text"].insert(2, "!"))
        assert isinstance(said, shapes.Took)


async def test_each_writes_where_the_guard_lets_them() -> None:
    accounts = Accounts()
    tokens: dict[str, str] = {}
    for name, grant in (
        ("vera", Grant("viewer")),
        ("otto", Grant("operator")),
        ("emil", Grant("engineer")),
        ("paul", Grant("operator", "line1/capper")),
    ):
        accounts.add_person(name, "correct horse battery", [grant])
        tokens[name] = accounts.make_token(name, "t", [grant], lasts_s=3600, by=name)
    mirror = line()
    mirror.guard = GrantGuard(RoleGuard(), accounts, lambda _: ())  # pyright: ignore
    async with served(mirror, accounts=accounts) as here:

        async def says(name: str, act: Callable[[Writer], Any]) -> Any:
            async with writer(here.host, tokens[name]) as one:
                return await one.change(FILLER, lambda: act(one))

        took = await says("otto", lambda w: w.notes(FILLER).__setitem__("n1", note(w.me, "hot")))
        assert isinstance(took, shapes.Took), took
        no = await says("vera", lambda w: w.notes(FILLER)["n1"]["text"].insert(0, "not "))
        assert isinstance(no, shapes.NotTaken)
        assert "may not write about" in no.detail
        async with writer(here.host, tokens["vera"]) as vera:
            assert str(vera.notes(FILLER)["n1"]["text"]) == "hot", (
                "who sees the twin sees its notes"
            )
            assert not vera.of(shapes.Began)[0].may_write
        async with writer(here.host, tokens["paul"]) as paul:
            assert not paul.docs, "notes on what one does not see are not told"
            no = await paul.change(
                FILLER, lambda: paul.notes(FILLER).__setitem__("n2", note(paul.me, "blind"))
            )
            assert "no twin" in no.detail
        kim = note("otto/t", "in his name")
        no = await says("emil", lambda w: w.notes(FILLER).__setitem__("n3", kim))
        assert "its author is emil" in no.detail
        took = await says("emil", lambda w: w.notes(FILLER).pop("n1"))
        assert isinstance(took, shapes.Took), "an engineer takes away what others wrote"
        headers = {"Authorization": f"Bearer {tokens['otto']}"}
        async with httpx.AsyncClient(base_url=here.url, headers=headers) as client:
            sent = await client.post(f"/api/blobs?twin={FILLER}&as=document", content=b"text")
            assert sent.status_code == 403, "documents are the engineer's"


async def test_many_updates_become_one_and_nobody_notices(here: Served) -> None:
    async with writer(here.host) as one:
        await one.change(FILLER, lambda: one.notes(FILLER).__setitem__("n1", note(one.me, "")))
        text = one.notes(FILLER)["n1"]["text"]
        for i in range(70):
            await one.change(FILLER, lambda i=i: text.insert(len(text), str(i % 10)))
        assert len(here.mirror.world.writings[FILLER]) < 20
        before = str(text)
        assert len(before) == 70
    async with writer(here.host) as late:
        assert str(late.notes(FILLER)["n1"]["text"]) == before


async def test_a_full_disk_takes_nothing_and_says_so(here: Served) -> None:
    async with writer(here.host) as one:
        here.mirror.is_disk_full = True
        said = await one.change(
            FILLER, lambda: one.notes(FILLER).__setitem__("n1", note(one.me, "lost?"))
        )
        assert isinstance(said, shapes.NotTaken)
        assert "no space" in said.detail
        assert not here.mirror.world.writings


async def test_a_line_that_talks_nonsense_is_closed_and_the_rest_goes_on(here: Served) -> None:
    async with writer(here.host) as good, writer(here.host) as bad:
        for _ in range(60):
            await bad.socket.send("{}")
            await bad.socket.send(b"\xff")
        await bad.until(lambda: None in bad.heard)
        said = await good.change(
            FILLER, lambda: good.notes(FILLER).__setitem__("n1", note(good.me, "fine"))
        )
        assert isinstance(said, shapes.Took)


async def test_what_somebody_holds_is_seen_by_others_and_kept_nowhere() -> None:
    accounts = Accounts()
    tokens: dict[str, str] = {}
    for name, grant in (
        ("vera", Grant("viewer")),
        ("emil", Grant("engineer")),
        ("paul", Grant("viewer", "line1/capper")),
        ("zoe", Grant("engineer", "line1/filler")),
    ):
        accounts.add_person(name, "correct horse battery", [grant])
        tokens[name] = accounts.make_token(name, "t", [grant], lasts_s=3600, by=name)
    mirror = line()
    mirror.guard = GrantGuard(RoleGuard(), accounts, lambda _: ())  # pyright: ignore
    async with (
        served(mirror, accounts=accounts) as here,
        writer(here.host, tokens["vera"]) as vera,
        writer(here.host, tokens["paul"]) as paul,
    ):
        before = mirror.world.state_hash(), mirror.world.position

        def held(one: Writer, by: str) -> list[tuple[list[str], float, float]]:
            return [(m.twins, m.dx_m, m.dz_m) for m in one.of(shapes.Moves) if m.by == by]

        async def hold(one: Writer, *twins: str, dx_m: float = 0.0, **more: Any) -> None:
            await one.socket.send(shapes.encode(shapes.Moving(list(twins), dx_m, **more)))

        async with writer(here.host, tokens["emil"]) as emil:
            for step in range(200):  # faster than anybody is told
                await hold(emil, FILLER, "line1/capper", "line1/none", dx_m=step / 10)
            await vera.until(lambda: ([FILLER, "line1/capper"], 19.9, 0.0) in held(vera, emil.me))
            assert len(held(vera, emil.me)) < 100
            await paul.until(lambda: (["line1/capper"], 19.9, 0.0) in held(paul, emil.me))
            assert not held(emil, emil.me), "oneself sees what one holds"
            assert len({m.page for m in vera.of(shapes.Moves)}) == 1
            await hold(emil)
            await vera.until(lambda: held(vera, emil.me)[-1][0] == [])
            await hold(emil, FILLER, dx_m=1.0)
            await vera.until(lambda: held(vera, emil.me)[-1][0] == [FILLER])
        # Who goes lets go.
        await vera.until(lambda: held(vera, emil.me)[-1][0] == [])

        # Who may not edit it moves nothing for others, and what makes no sense is refused.
        async with writer(here.host, tokens["zoe"]) as zoe:
            await hold(vera, FILLER, dx_m=3.0)
            await hold(zoe, "line1/capper", FILLER, dx_m=2.0)
            await vera.until(lambda: held(vera, zoe.me) == [([FILLER], 2.0, 0.0)])
            assert not held(zoe, vera.me)
            await hold(zoe, *[FILLER] * 65)
            await zoe.until(lambda: [n for n in zoe.of(shapes.NotTaken) if "65 twins" in n.detail])
            await hold(zoe, FILLER, dx_m=1e9)
            await zoe.until(
                lambda: [n for n in zoe.of(shapes.NotTaken) if "by at most" in n.detail]
            )
            # Held without a word for a while is let go.
            await vera.until(lambda: held(vera, zoe.me)[-1][0] == [])
        assert (mirror.world.state_hash(), mirror.world.position) == before
