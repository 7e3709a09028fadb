"""Meetings on real lines: who sees whom, where, and what a room shares."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest
from websockets.asyncio.client import connect

from mirrorworld.protocol import people as shapes
from mirrorworld.protocol.people import Brought, Entered, Moment, Presenting, Said, Signalled
from mirrorworld.protocol.poses import Pose
from tests.people.conftest import PASSWORD, Meeting
from tests.people.visitor import PATIENCE_S, Visitor, visiting


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    """Headers of a browser that has the session."""
    url = str(answer.request.url)
    host = url.split("/")[2]
    value = answer.headers["set-cookie"].partition(";")[0]
    return {"Cookie": value, "Origin": f"http://{host}"}


async def signed_in(here: Meeting, name: str) -> dict[str, str]:
    async with httpx.AsyncClient(base_url=here.url, headers={"X-Mirrorworld": "1"}) as client:
        given = {"name": name, "password": PASSWORD}
        answer = await client.post("/api/session", json=given)
        assert answer.status_code == 204
        return cookie_of(answer)


async def test_two_people_see_each_other_move(here: Meeting):
    async with visiting(here.url, "Ada") as ada, visiting(here.url, "Ben") as ben:
        await ada.move(1.5, 1.7, -2.25, left=Pose((1.2, 1.1, -2.0)), pointer=((1, 1, 1), (4, 0, 2)))
        seen = await ben.until(lambda: ben.bodies[ada.id])
        assert seen.head.position == (1.5, 1.7, -2.25)
        assert seen.left is not None and seen.left.position == (1.2, 1.1, -2.0)
        assert seen.right is None and seen.pointer == ((1, 1, 1), (4, 0, 2))
        await ada.move(9.0)
        await ben.until(lambda: ben.bodies[ada.id].head.position[0] == 9.0)
        assert ben.bodies[ada.id].left is None
        # Who comes later is told where all are.
        async with visiting(here.url, "Cid") as cid:
            await cid.until(lambda: ada.id in cid.bodies)
            assert {p.name for p in cid.people.values()} == {"Ada", "Ben", "Cid"}
    assert here.hub.tally["poses"] == 2


async def test_stances_are_told_and_hands_are_in_a_row(here: Meeting):
    async with visiting(here.url, "Ada") as ada, visiting(here.url, "Ben") as ben:
        await ben.stand(selected="line1/filler", is_muted=True, is_hand_raised=True)
        await ada.until(lambda: ada.people[ben.id].hand == 1)
        told = ada.people[ben.id]
        assert (told.selected, told.is_muted, told.role) == ("line1/filler", True, "owner")
        await ada.stand(is_hand_raised=True)
        await ben.until(lambda: ben.people[ada.id].hand == 2)
        await ben.stand(is_hand_raised=False, selected="")
        await ada.until(lambda: ada.people[ada.id].hand == 1 and not ada.people[ben.id].hand)
        await ben.stand(selected="nowhere/at-all", follows=ada.id)
        await ada.until(lambda: ada.people[ben.id].follows == ada.id)
        assert ada.people[ben.id].selected == ""


async def test_chat_is_plain_text_bounded_and_told_to_who_comes(here: Meeting):
    async with visiting(here.url, "Ada") as ada:
        await ada.say(shapes.Say("<b>hello</b>\u202e evil \x07 there"))
        said = await ada.told(Said)
        assert (said.text, said.name) == ("<b>hello</b> evil   there", "Ada")
        await ada.say(shapes.Say("x" * 5_000))
        long = await ada.told(Said, lambda m: m.number == 2)
        assert len(long.text) == shapes.CHAT_MAX
        async with visiting(here.url, "Ben") as ben:
            entered = await ben.told(Entered)
            assert [line.number for line in entered.chat] == [1, 2]
    # The last one takes it along.
    async with visiting(here.url, "Cid") as cid:
        assert (await cid.told(Entered)).chat == []


async def test_one_time_for_all_and_late_comers_get_it(here: Meeting):
    async with visiting(here.url, "Ada") as ada, visiting(here.url, "Ben") as ben:
        await ada.say(shapes.SetMoment(1_700_000_000_000.0, 10.0, "b1"))
        told = await ben.told(Moment)
        assert (told.source_ms, told.speed, told.branch, told.by) == (1.7e12, 10.0, "b1", ada.id)
        async with visiting(here.url, "Cid") as cid:
            entered = await cid.told(Entered)
            assert entered.moment == told
        await ben.stand(is_own_way=True)
        await ada.until(lambda: ada.people[ben.id].is_own_way)
        await ben.say(shapes.SetMoment(None))
        refused = await ben.told(shapes.Refusal)
        assert "own way" in refused.detail
        for bad in (float("1e14"), -5e13):
            await ada.say(shapes.SetMoment(bad))
        await ada.say(shapes.SetMoment(1.0, -3.0))
        await ada.told(shapes.Refusal)
        assert here.hub.rooms[""].moment == told


async def test_presenting_and_bringing(here: Meeting):
    vic = await signed_in(here, "vic")
    async with (
        visiting(here.url, "Ada") as ada,
        visiting(here.url, "Vic", headers=vic) as ben,
    ):
        await ben.say(shapes.Present(True))
        await ada.told(Presenting, lambda m: m.id == ben.id)
        await ben.say(shapes.Bring())
        assert (await ada.told(Brought)).is_now
        await ada.say(shapes.SetMoment(5.0))
        assert "presents" in (await ada.told(shapes.Refusal)).detail
        # A moderator may take over; somebody else may not.
        await ada.say(shapes.Present(True))
        await ben.told(Presenting, lambda m: m.id == ada.id)
        await ben.say(shapes.Present(True))
        await ben.told(shapes.Refusal)
        await ben.stand(is_own_way=True)
        await ada.until(lambda: ada.people[ben.id].is_own_way)
        await ada.say(shapes.Bring([ben.id]))
        assert not (await ben.told(Brought)).is_now
        await ada.say(shapes.Leave())
        await ben.told(Presenting, lambda m: m.id == 0)
        await ben.until(lambda: ada.id not in ben.people)
        assert await ada.closed() == 1000


async def test_rooms_are_places(here: Meeting):
    async with (
        visiting(here.url, "Ada") as ada,
        visiting(here.url, "Ben", place="line1/filler") as ben,
    ):
        assert (await ben.told(Entered)).place == "line1/filler"
        assert (await ada.sees("Ben")).place == "line1/filler"
        await ben.say(shapes.Say("only here"))
        await ben.told(Said)
        await ben.move(3.0)
        await ada.say(shapes.Go("line1/filler"))
        entered = await ada.told(Entered, lambda m: m.place == "line1/filler")
        assert [line.text for line in entered.chat] == ["only here"]
        assert not any(isinstance(m, Said) for m in ada.heard)
        await ada.until(lambda: ben.id in ada.bodies)
        await ada.say(shapes.Go("no/such/twin"))
        await ada.told(shapes.Refusal)
        assert set(here.hub.rooms) == {"line1/filler"}


async def test_signals_are_carried_as_they_are_within_a_room(here: Meeting):
    async with (
        visiting(here.url, "Ada") as ada,
        visiting(here.url, "Ben") as ben,
        visiting(here.url, "Cid", place="line1") as cid,
    ):
        await ada.say(shapes.Signal(ben.id, "offer", '{"sdp": "<v=0>\\u202e"}'))
        assert await ben.told(Signalled) == Signalled(ada.id, "offer", '{"sdp": "<v=0>\\u202e"}')
        await ada.say(shapes.Signal(cid.id, "offer", "x"))
        assert "room" in (await ada.told(shapes.Refusal)).detail
        assert not any(isinstance(m, Signalled) for m in cid.heard)


async def test_who_sees_a_part_is_told_of_that_part_only(here: Meeting):
    sub = await signed_in(here, "sub")
    async with (
        visiting(here.url, "Ada") as ada,
        visiting(here.url, "Sub", headers=sub) as part,
        visiting(here.url, "Eve", place="line1/capper") as eve,
    ):
        await ada.stand(selected="line1/capper")
        await ada.until(lambda: ada.people[ada.id].selected == "line1/capper")
        await ada.stand(is_muted=True)
        await part.until(lambda: part.people[ada.id].is_muted)
        assert part.people[ada.id].selected == ""
        assert part.people[eve.id].place == ""
        await ada.stand(selected="line1/filler")
        await part.until(lambda: part.people[ada.id].selected == "line1/filler")
        await part.say(shapes.Go("line1/capper"))
        await part.told(shapes.Refusal)


async def test_a_lost_line_is_waited_for_and_comes_back_as_the_same_person(here: Meeting):
    async with visiting(here.url, "Ada") as ada:
        async with visiting(here.url, "Ben") as ben:
            id, key = ben.id, ben.key
            await ben.stand(is_hand_raised=True)
            await ada.until(lambda: id in ada.people and ada.people[id].hand == 1)
            ben.socket.transport.abort()
            await ada.until(lambda: ada.people[id].is_away)
        async with visiting(here.url, "Ben", key=key) as again:
            assert again.id == id
            await ada.until(lambda: not ada.people[id].is_away)
            assert ada.people[id].hand == 1
            # The same from another tab takes the place of the first.
            async with visiting(here.url, "Ben", key=key) as third:
                assert third.id == id
                assert await again.closed() == shapes.CLOSE_ELSEWHERE
                assert not ada.people[id].is_away
                here.hub.away_s = 0.0
                third.socket.transport.abort()
                await ada.until(lambda: id not in ada.people)


async def test_after_a_restart_people_keep_their_numbers(here: Meeting):
    async with visiting(here.url, "Ada", id=41) as ada, visiting(here.url, "Ben", id=41) as ben:
        assert ada.id == 41
        assert ben.id != 41


async def test_a_guest_comes_by_a_link_and_goes_with_it(here: Meeting):
    async with here.served.client() as owner:
        made = await owner.post(
            "/api/meet/links", json={"role": "viewer", "place": "line1", "lasts_hours": 1}
        )
        assert made.status_code == 201, made.text
        path = made.json()["path"]
        async with httpx.AsyncClient(base_url=here.url) as guest:
            page = await guest.get(path)
            assert page.status_code == 200 and "Your name" in page.text
            secret = path.partition("guest=")[2]
            empty = await guest.post("/welcome", data={"guest": secret, "name": " \u200b "})
            assert empty.status_code == 422
            came = await guest.post(
                "/welcome", data={"guest": secret, "name": "<script>Gus</script>\u202e"}
            )
            assert came.status_code == 303 and came.headers["location"] == "/?meet=line1"
            assert (await guest.get("/api/world")).status_code == 200
            edit = {"edits": [{"@": "DropTwin", "id": "line1/filler"}]}
            own = {"X-Mirrorworld": "1"}
            assert (await guest.post("/api/edits", json=edit, headers=own)).status_code == 403
            cookie = cookie_of(came)
        async with (
            visiting(here.url, "Ada", place="line1") as ada,
            visiting(here.url, "", headers=cookie, place="line1") as gus,
        ):
            told = await ada.sees("<script>Gus</script>")
            assert (told.role, told.account, told.id) == ("viewer", "", gus.id)
            links = (await owner.get("/api/meet/links")).json()["links"]
            assert [(each["guests"], each["by"]) for each in links] == [(1, "owner")]
            assert secret not in str(links)
            gone = await owner.delete(f"/api/meet/links/{links[0]['id']}")
            assert gone.status_code == 204
            await ada.until(lambda: gus.id not in ada.people)
            assert await gus.closed() == 4401
        async with httpx.AsyncClient(base_url=here.url) as late:
            assert (await late.get(path)).status_code == 404
            refused = await late.post("/welcome", data={"guest": secret, "name": "Late"})
            assert refused.status_code == 404
        audit = (await owner.get("/api/audit")).json()["lines"]
        what = [line["what"] for line in audit]
        assert "guest link made" in what and "guest link taken back" in what
        # How somebody is called is nowhere in it.
        assert "Gus" not in str(audit)


async def test_who_may_not_invite_makes_no_links(here: Meeting):
    cookie = await signed_in(here, "opa")
    headers = {**cookie, "X-Mirrorworld": "1"}
    async with httpx.AsyncClient(base_url=here.url, headers=headers) as client:
        for ask in (client.get("/api/meet/links"), client.post("/api/meet/links", json={})):
            assert (await ask).status_code == 403
    async with here.served.client() as owner:
        for bad in (
            {"role": "owner"},
            {"role": "king"},
            {"lasts_hours": 0},
            {"lasts_hours": 1e9},
            {"place": "no/such"},
        ):
            answer = await owner.post("/api/meet/links", json=bad)
            assert answer.status_code in (404, 422), (bad, answer.text)


async def test_a_link_ends_by_itself(here: Meeting):
    guests = here.accounts.guests
    _, secret = guests.make_link(_viewer(), "", by="ada", lasts_s=60)
    session, _ = guests.enter(secret, "Gus", device="", address="")
    identity = here.accounts.by_session(session)
    assert identity is not None and guests.name_of(identity.name) == "Gus"
    later = here.accounts._now_ns() + 61 * 10**9
    here.accounts._now_ns = lambda: later
    assert guests.look(secret) is None
    assert guests.expire() == 1
    assert here.accounts.by_session(session) is None
    assert here.accounts.grants_of(identity.name) == ()


def _viewer():
    from mirrorworld.trust.accounts import Grant

    return Grant("viewer")


async def test_a_moderator_puts_somebody_out(here: Meeting):
    vic = await signed_in(here, "vic")
    async with visiting(here.url, "Ada") as ada, visiting(here.url, "Vic", headers=vic) as other:
        await other.say(shapes.PutOut(ada.id))
        await other.told(shapes.Refusal)
        await ada.say(shapes.PutOut(other.id))
        assert await other.closed() == shapes.CLOSE_PUT_OUT
        await ada.until(lambda: other.id not in ada.people)
        with pytest.raises(AssertionError):
            async with _no_way_in(here, other, vic):
                raise AssertionError("came in again")


@contextlib.asynccontextmanager
async def _no_way_in(here: Meeting, who: Visitor, headers: dict[str, str]):
    address = here.url.replace("http", "ws", 1) + shapes.MEET_PATH
    async with connect(address, additional_headers=headers, proxy=None) as socket:
        await socket.send(shapes.encode(shapes.Join(who.name, who.key)))
        async with asyncio.timeout(PATIENCE_S):
            await socket.wait_closed()
        assert socket.close_code == shapes.CLOSE_PUT_OUT
        yield


async def test_how_many_meet_is_told_to_all_who_look(here: Meeting):
    async with here.served.client() as client, visiting(here.url, "Ada"), visiting(here.url, "Ben"):
        now = (await client.get("/api/meet")).json()
        assert (now["people"], now["rooms"]) == (2, 1)
        assert "Ada" not in str(now)
