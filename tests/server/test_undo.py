"""Undo as a page asks for it: over a real socket, against a real record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.server.app import create_app
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from mirrorworld.world.model import Pose

TOKEN = "a-token-of-tests-long-enough"


def name(text: str) -> dict[str, object]:
    return {"@": "PutName", "twin": "pump", "name": {"": text}}


async def test_edits_are_taken_back_one_after_the_other(tmp_path: Path) -> None:
    record = open_record(tmp_path / "record", "w")
    mirror = Mirror(restore(record), record, {})
    await mirror.start()
    app = create_app(mirror, token=TOKEN)
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers=headers
    ) as client:

        async def edit(*edits: object) -> None:
            answer = await client.post("/api/edits", json={"edits": edits, "reason": "test"})
            assert answer.status_code == 200, answer.text

        async def undo() -> httpx.Response:
            return await client.post("/api/undo")

        try:
            await edit({"@": "PutTwin", "twin": {"id": "pump"}})
            await edit(name("Feed pump"))
            await edit(name("Main pump"))
            shown = []
            for _ in range(2):
                answer = await undo()
                assert answer.status_code == 200, answer.text
                shown.append(mirror.world.structure.twins["pump"].name.best())
            assert shown == ["Feed pump", ""]
            assert (await undo()).status_code == 200
            assert "pump" not in mirror.world.structure.twins
            nothing = await undo()
            assert nothing.status_code == 404
            assert "nothing of yours" in nothing.text
        finally:
            await mirror.stop()
            record.close()


async def test_who_arranged_what_is_told_and_taken_back_one_by_one(tmp_path: Path) -> None:
    record = open_record(tmp_path / "record", "w")
    accounts = Accounts()
    tokens = {"": TOKEN}
    for who, grant in (("emil", Grant("engineer")), ("paul", Grant("viewer", "pump"))):
        accounts.add_person(who, "correct horse battery", [grant])
        tokens[who] = accounts.make_token(who, "t", [grant], lasts_s=3600, by=who)
    guard = GrantGuard(RoleGuard(), accounts, lambda _: ())
    mirror = Mirror(restore(record), record, {}, guard=guard)
    await mirror.start()
    transport = httpx.ASGITransport(create_app(mirror, token=TOKEN, accounts=accounts))

    def moved(x_m: float, **more: float) -> dict[str, object]:
        return {"@": "PutPose", "twin": "pump", "pose": {"x_m": x_m, **more}}

    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

        async def ask(method: str, path: str, who: str = "", **more: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {tokens[who]}"}
            return await client.request(method, path, headers=headers, **more)

        async def edit(*edits: object, who: str = "") -> str:
            answer = await ask("POST", "/api/edits", who, json={"edits": edits, "reason": "why"})
            assert answer.status_code == 200, answer.text
            return answer.json()["position"]

        async def rows(who: str = "", **asked: object) -> list[dict[str, Any]]:
            answer = await ask("GET", "/api/layout/history", who, params=asked)
            assert answer.status_code == 200, answer.text
            return answer.json()["rows"]

        try:
            pose = {"x_m": 1.0}
            twins = ({"id": "pump", "pose": pose}, {"id": "pump/motor", "pose": pose})
            await edit(*({"@": "PutTwin", "twin": twin} for twin in twins))
            await edit(name("Main pump"))  # says nothing of where it stands
            first = await edit(moved(2.0))
            second = await edit(moved(2.0, qy=0.7071068, qw=0.7071068), who="emil")
            await edit({"@": "DropTwin", "id": "pump/motor"}, who="emil")
            found = await rows()
            me = found[-1]["by"]
            assert [(row["by"], row["said"], row["twins"]) for row in found] == [
                (found[0]["by"], "deleted", ["pump/motor"]),
                (found[0]["by"], "turned", ["pump"]),
                (me, "moved", ["pump"]),
                (me, "placed", ["pump", "pump/motor"]),
            ]
            assert found[0]["by"].startswith("emil")
            assert [row["may_undo"] for row in found] == [False, False, True, True]
            assert [row["may_undo"] for row in await rows("emil")] == [True, True, False, False]

            # Somebody has turned it since: nothing is done, and it is said in plain words.
            answer = await ask("POST", "/api/undo", params={"position": first})
            assert answer.status_code == 422
            assert answer.json()["detail"] == (
                "pump: where it stands was changed again since; change it by hand"
            )
            answer = await ask("POST", "/api/undo", "emil", params={"position": second})
            assert answer.status_code == 200, answer.text
            found = await rows()
            assert (found[0]["said"], found[0]["twins"]) == ("took back", ["pump"])
            [turned] = [row for row in found if row["position"] == second]
            assert turned["is_undone"]
            assert not (await rows("emil"))[0]["may_undo"]
            assert (await ask("POST", "/api/undo", params={"position": first})).status_code == 200
            assert mirror.world.structure.twins["pump"].pose == Pose(x_m=1.0)

            assert [row["n_twins"] for row in await rows("paul")][-1] == 1, "what one sees"
            assert len(await rows(twin="pump/motor")) == 2
            assert len(await rows(limit=1)) == 1
        finally:
            await mirror.stop()
            record.close()
