"""What other rooms add to the API of a world that runs, asked by a person of each role: it keeps to
its document, nothing crashes, and nothing that is forbidden succeeds. What the server itself serves
is asked in `tests/server/test_roles.py`, in the same way."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import schemathesis

from mirrorworld.branches.routes import router as branches
from mirrorworld.exchange.routes import router as exchange
from mirrorworld.operations.routes import router as operations
from tests.e2e.conftest import Up
from tests.server.test_roles import MAY, PASSWORD, ROLES, ask

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OTHERS = frozenset(
    getattr(route, "path", "") for r in (operations, exchange, branches) for route in r.routes
)


@pytest.mark.parametrize("role", ROLES)
def test_the_other_rooms_hold_for_each_role(up: Up, tmp_path: Path, role: str) -> None:
    table = tmp_path / "oven.csv"
    rows = "\n".join(f"{1_700_000_000_000 + i * 1000},{i % 97}" for i in range(500))
    table.write_text(f"ts,temperature\n{rows}\n")
    world = up(str(table))
    world.until_source("oven", "ended")
    document = world.get("openapi.json")
    paths = {(method, path) for path, methods in document["paths"].items() for method in methods}
    named = set().union(*MAY.values())
    assert named <= paths, f"no longer there: {named - paths}"
    person = {"name": f"{role}-kim", "password": PASSWORD, "grants": [{"role": role}]}
    assert world.post("people", person).status_code == 201
    with httpx.Client(base_url=world.url, headers={"X-Mirrorworld": "1"}, timeout=60) as kim:
        entered = {"name": person["name"], "password": PASSWORD}
        assert kim.post("/api/session", json=entered).status_code == 204
        made = {"label": "t", "grants": [{"role": role}]}
        token = kim.post("/api/tokens", json=made).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=world.url)
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        method, path = operation.method.lower(), operation.path
        is_safe = method in ("get", "head")
        may = role == "owner" or (method, path) in MAY[role]
        if path in OTHERS:
            asked += ask(operation, headers, is_forbidden=not is_safe and not may)
    assert asked > 2 * len(OTHERS)
    assert "Traceback" not in world.said, world.said
    assert world.client.get("/healthz").status_code == 200
    assert world.stop() == 0
