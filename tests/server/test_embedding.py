"""Other sites: nobody shows the world until its owner says so, and then only to look at it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from mirrorworld.live.guard import RoleGuard
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from tests.server.stand_in import Served, StandIn, line, served

PAGE = {"accept": "text/html"}
SITE = "https://intranet.example"


def guarded(accounts: Accounts) -> StandIn:
    mirror = line()
    mirror.guard = GrantGuard(RoleGuard(), accounts, lambda _: ())  # pyright: ignore
    return mirror


def framing(answer: httpx.Response) -> str:
    policy = answer.headers["content-security-policy"]
    return policy.rpartition("frame-ancestors ")[2].partition(";")[0]


async def allow(here: Served, *sites: str) -> httpx.Response:
    async with here.client() as owner:
        return await owner.put("/api/embed/sites", json={"sites": sites})


async def key_of(here: Served, **request: object) -> str:
    async with here.client() as owner:
        made = await owner.post("/api/embed/keys", json=request)
    assert made.status_code == 201, made.text
    return parse_qs(urlsplit(made.json()["path"]).query)["key"][0]


async def test_only_named_sites_and_only_the_embedded_page() -> None:
    async with served(line()) as here, here.client() as owner:
        assert framing(await owner.get("/?embed=1", headers=PAGE)) == "'none'"
        assert (await owner.get("/api/embed/sites")).json() == {"sites": []}
        key = await key_of(here)
        refused = await owner.get(f"/embed?key={key}", headers=PAGE)
        assert (refused.status_code, "its owner can allow one" in refused.text) == (403, True)

        named = await allow(here, f"{SITE}/", "HTTPS://*.Works.example:8443", SITE)
        assert named.json() == {"sites": ["https://*.works.example:8443", SITE]}
        page = await owner.get("/?embed=1&twin=line1", headers=PAGE)
        assert framing(page) == f"https://*.works.example:8443 {SITE}"
        assert "x-frame-options" not in page.headers
        full = ("/?x=embed", "/?embed=0", "/?embed=0&embed=1", "/?twin=embed=1")
        for path in ("/", *full, "/welcome?embed=1", "/api/world?embed=1", "/index.html?embed"):
            answer = await owner.get(path, headers=PAGE)
            assert framing(answer) == "'none'", path
            assert answer.headers["x-frame-options"] == "DENY"

        for wrong in ("*", "intranet.example", "https://a.example/x", "javascript:x", "https://a b",
                      "https://x;script-src *", "'self'", "https://x\nhttps://y"):  # fmt: skip
            answer = await allow(here, wrong)
            assert answer.status_code == 422, wrong
            assert "is no site" in answer.json()["detail"]
        assert framing(await owner.get("/?embed=1", headers=PAGE)).endswith(SITE), "as it was"
        assert (await allow(here)).json() == {"sites": []}
        assert framing(await owner.get("/?embed=1", headers=PAGE)) == "'none'"
        lines = (await owner.get("/api/audit")).json()["lines"]
        assert any(each["what"] == "embedding" and each["detail"] == "nowhere" for each in lines)


async def test_a_key_opens_looking_and_leaves_the_address() -> None:
    accounts = Accounts()
    async with (
        served(guarded(accounts), accounts=accounts) as here,
        httpx.AsyncClient(base_url=here.url, timeout=60) as visitor,
    ):
        await allow(here, SITE)
        key = await key_of(here, subtree="line1")
        came = await visitor.get(f"/embed?key={key}&twin=line1&token=x", headers=PAGE)
        assert came.status_code == 303
        place = urlsplit(came.headers["location"])
        assert place.path == "/" and "key" not in place.query and "embed=1" in place.query
        cookie = came.headers["set-cookie"]
        for word in ("HttpOnly", "Secure", "SameSite=None", "Partitioned"):
            assert word in cookie
        pair = {"cookie": cookie.partition(";")[0]}
        me = await visitor.get("/api/session", headers=pair)
        assert me.json()["grants"] == [{"role": "viewer", "subtree": "line1"}]
        act = {**pair, "x-mirrorworld": "1"}
        for method, path, body in (
            ("post", "/api/edits", {"edits": [], "reason": "x"}),
            ("put", "/api/embed/sites", {"sites": ["https://evil.example"]}),
            ("post", "/api/embed/keys", {}),
        ):
            answer = await visitor.request(method, path, headers=act, json=body)
            assert answer.status_code in (403, 422), (path, answer.text)
        # The same frame, loaded again, is the same session; another key is not.
        again = await visitor.get(f"/embed?key={key}", headers={**PAGE, **pair})
        assert again.headers["set-cookie"].partition(";")[0] == pair["cookie"]
        assert (await visitor.get("/embed?key=wrong", headers=PAGE)).status_code == 403
        # Taken back, it opens nothing any more: not even what lies open.
        (link,) = accounts.guests.links()
        assert accounts.guests.take_back(link["id"], by="owner")
        assert (await visitor.get("/api/session", headers=pair)).status_code == 401


@pytest.mark.parametrize("role", ["viewer", "engineer"])
async def test_only_the_owner_names_sites(role: str) -> None:
    accounts = Accounts()
    accounts.add_person("ada", "a long enough password", [Grant(role)], by="owner")
    secret = accounts.make_token("ada", "probe", [Grant(role)], lasts_s=600, by="ada")
    async with (
        served(guarded(accounts), accounts=accounts) as here,
        httpx.AsyncClient(base_url=here.url, timeout=60) as other,
    ):
        for method, path, body in (
            ("put", "/api/embed/sites", {"sites": [SITE]}),
            ("post", "/api/embed/keys", {}),
        ):
            answer = await other.request(
                method, path, headers={"authorization": f"Bearer {secret}"}, json=body
            )
            assert answer.status_code == 403, answer.text
