"""Programs that post to a running world: through the doors by the hook's own secret only."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.conftest import Up

pytestmark = pytest.mark.timeout(300)

SECRET = "a-secret-for-the-gate"


def test_posted_values_are_on_record(up: Up) -> None:
    world = up(
        "webhook://gate", "--password", SECRET, "--option", "burst=20", "--option", "rate_per_s=2"
    )
    world.until_source("gate", "live")
    url = f"{world.url}/api/hooks/gate"
    shown = {"Authorization": f"Bearer {SECRET}"}
    body = {"count": 3, "timestamp": "2026-03-01T08:00:00Z"}
    taken = httpx.post(url, json=body, headers={**shown, "Idempotency-Key": "1"})
    assert (taken.status_code, taken.json()["samples"]) == (200, 1), taken.text
    again = httpx.post(url, json=body, headers={**shown, "Idempotency-Key": "1"})
    assert again.json()["is_repeated"]
    world.kill()  # what was answered is on disk
    world = up()
    world.until_source("gate", "live")
    url = f"{world.url}/api/hooks/gate"
    assert world.value("gate.count") == 3.0

    def status(url: str, **more) -> int:
        return httpx.post(url, **{"json": body, "headers": shown, **more}).status_code

    assert status(url, headers={}) == 401
    assert status(url, headers={"Authorization": f"Bearer {world.token}"}) == 401
    assert status(f"{world.url}/api/hooks/other") == 401
    assert status(url, headers={**shown, "Host": "evil.example"}) in (400, 403)
    assert status(url, content=b"x" * (9 << 20), json=None) == 413
    # The hook's secret opens nothing else, by whatever way.
    for path in ("world", "hooks/../world", "hooks/%2e%2e/world", "hooks//../world", "hooks/"):
        got = httpx.get(f"{world.url}/api/{path}", headers=shown)
        assert got.status_code in (400, 401, 404, 405), (
            f"{path}: {got.status_code} {got.text[:100]}"
        )
    # A storm is told to wait.
    storm = [httpx.post(url, json=body, headers=shown) for _ in range(60)]
    waits = [one for one in storm if one.status_code == 429]
    assert waits and all(int(one.headers["Retry-After"]) >= 1 for one in waits)
    assert world.source("gate")["counts"]["webhook_rate_limited"] == len(waits)
    assert not any(SECRET in text for text in (world.said, str(world.get("sources"))))
