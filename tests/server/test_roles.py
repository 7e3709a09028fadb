"""The OpenAPI document holds for each role: no crash, no shape that it does not say, and nothing
done that the role may not do."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from mirrorworld.live.guard import RoleGuard
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from tests.server.stand_in import Served, line, served
from tests.server.test_openapi import CHECKS

PASSWORD = "correct horse battery"
ROLES = ("viewer", "operator", "engineer", "owner")

OWN = {
    ("post", "/api/password"),
    ("post", "/api/tokens"),
    ("delete", "/api/tokens/{id}"),
    ("delete", "/api/sessions/{id}"),
    ("post", "/api/passkeys"),
    ("post", "/api/passkeys/options"),
    ("delete", "/api/passkeys/{id}"),
    ("post", "/api/enter/passkey"),
    ("post", "/api/enter/passkey/options"),
}
"""What everybody may do with what is their own, or before they are anybody."""
OPERATES = {
    ("post", "/api/commands"),
    ("post", "/api/events/{id}/acknowledge"),
    ("post", "/api/events/{id}/shelve"),
    ("post", "/api/events/{id}/unshelve"),
    ("post", "/api/notes"),
    ("post", "/api/blobs"),  # photos of notes; other files are for engineers
}
EDITS = {
    ("post", "/api/edits"),
    ("post", "/api/arms"),
    ("delete", "/api/arms"),
    ("put", "/api/rules/{name}"),
    ("delete", "/api/rules/{name}"),
    ("post", "/api/events/{id}/out-of-service"),
    ("post", "/api/events/{id}/in-service"),
    ("post", "/api/undo"),
    ("post", "/api/mapping"),
    ("post", "/api/mapping/{name}/apply"),
    ("delete", "/api/mapping/{name}"),
}
OPERATES_ELSEWHERE = {
    ("post", "/api/stops/reasons"),
    ("delete", "/api/stops/reasons/{id}"),
    ("post", "/api/plans/{id}"),
}
EDITS_ELSEWHERE = {
    ("post", "/api/import"),
    ("post", "/api/import/preview"),
    ("post", "/api/branches"),
    ("post", "/api/branches/import"),
    ("put", "/api/branches/{id}"),
    ("delete", "/api/branches/{id}"),
    ("post", "/api/branches/{id}/edits"),
    ("post", "/api/branches/{id}/values"),
    ("post", "/api/branches/{id}/undo"),
    ("post", "/api/branches/{id}/run"),
    ("post", "/api/branches/{id}/control"),
    ("post", "/api/branches/{id}/evaluations"),
    ("post", "/api/branches/{id}/evaluations/{evaluation}/cancel"),
    ("delete", "/api/branches/{id}/evaluations/{evaluation}"),
    ("post", "/api/branches/{id}/plans"),
}
"""Of rooms that are there where the whole program runs (tests/e2e/test_api_roles.py)."""
LOOKS = {("post", "/api/sql"), ("post", "/api/rules/preview"), ("post", "/api/mapping/preview")}
"""Asked by POST, changing nothing."""
MAY = {
    "viewer": OWN | LOOKS,
    "operator": OWN | LOOKS | OPERATES | OPERATES_ELSEWHERE,
    "engineer": OWN | LOOKS | OPERATES | OPERATES_ELSEWHERE | EDITS | EDITS_ELSEWHERE,
}
"""Routes that change something, and by whom they may be; the owner may all."""


@pytest.fixture(scope="module")
def here() -> Iterator[tuple[Served, dict[str, str]]]:
    """A server with an account, and a token, for each role."""
    accounts = Accounts()
    tokens: dict[str, str] = {}
    for role in ROLES:
        accounts.add_person(role + "-kim", PASSWORD, [Grant(role)])
    for role in ROLES:
        name = role + "-kim"
        tokens[role] = accounts.make_token(name, "t", [Grant(role)], lasts_s=3600, by=name)
    started, stop = threading.Event(), asyncio.Event()
    found: list[Served] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        mirror = line()
        mirror.guard = GrantGuard(RoleGuard(), accounts, lambda _: ())  # pyright: ignore
        async with served(mirror, accounts=accounts) as running:
            found.append(running)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert started.wait(20)
    yield found[0], tokens
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(20)


@pytest.mark.parametrize("role", ROLES)
def test_nobody_succeeds_in_what_is_forbidden(here: tuple[Served, dict[str, str]], role: str):
    server, tokens = here
    headers = {"Authorization": f"Bearer {tokens[role]}"}
    document = json.loads(
        httpx.get(f"{server.url}/api/openapi.json", headers=headers, timeout=60).content
    )
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.url)
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        is_safe = operation.method.lower() in ("get", "head")
        may = role == "owner" or (operation.method.lower(), operation.path) in MAY[role]
        asked += ask(operation, headers, is_forbidden=not is_safe and not may)
    assert asked > 100


def ask(operation: Any, headers: dict[str, str], *, is_forbidden: bool) -> int:
    """Asks for an operation in a few ways; how many."""
    asked = 0

    @given(case=operation.as_strategy())
    @settings(
        max_examples=4,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def try_(case: schemathesis.Case) -> None:
        nonlocal asked
        if "wait_s" in (case.query or {}):
            case.query["wait_s"] = 0
        answer = case.call_and_validate(headers=headers, checks=CHECKS, timeout=90)
        asked += 1
        if is_forbidden:
            assert answer.status_code >= 400, (case.method, case.path, answer.status_code)

    try_()
    return asked


def test_every_route_that_changes_something_is_on_a_list(here: tuple[Served, dict[str, str]]):
    """Who adds a route says here who may use it; one that is on no list is the owner's alone."""
    server, tokens = here
    headers = {"Authorization": f"Bearer {tokens['viewer']}"}
    paths = httpx.get(f"{server.url}/api/openapi.json", headers=headers, timeout=60).json()["paths"]
    routes = {(method, path) for path, methods in paths.items() for method in methods}
    named = OWN | OPERATES | EDITS
    assert named <= routes, f"no longer there: {named - routes}"
