"""Undo as a page asks for it: over a real socket, against a real record."""

from __future__ import annotations

from pathlib import Path

import httpx

from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.server.app import create_app

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
