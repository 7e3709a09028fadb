"""The routes of this room answer as the OpenAPI document says, whatever is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.branches.serving import TOKEN, Served, served
from tests.server.test_openapi import CHECKS

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("line")) as running:
        yield running


@pytest.fixture(scope="module")
def document(here: Served) -> dict:
    return httpx.get(f"{here.url}/api/openapi.json", headers=HEADERS, timeout=60).json()


@pytest.mark.timeout(300)
def test_whatever_is_asked_is_answered_as_the_document_says(here: Served, document: dict):
    """Each route with a branch and a plan that are there, and with ones that are not."""
    branch = here.branch("asked", is_shared=True)
    here.ask("POST", f"/branches/{branch}/values", json={"parameters": {"a": 1}})
    plan = here.ask("POST", f"/branches/{branch}/plans", json={})["id"]
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=here.url)
    asked: set[tuple[str, str]] = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        path = operation.path
        if not path.startswith(("/api/branches", "/api/plans")):
            continue
        asked.add((operation.method.upper(), path))

        ask(operation, plan if "plans/" in path else branch)
    assert ("POST", "/api/branches/{id}/run") in asked and len(asked) >= 20
    for _, path in asked:
        for route in document["paths"][path].values():
            assert route.get("summary") and route.get("description"), path


def ask(operation: Any, known: str) -> None:
    """Asks for an operation in a few ways, mostly of something that is there."""

    @given(case=operation.as_strategy())
    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def try_(case: schemathesis.Case) -> None:
        if "id" in (case.path_parameters or {}) and case.method != "DELETE":
            case.path_parameters["id"] = known
        case.call_and_validate(headers=HEADERS, checks=CHECKS, timeout=60)

    try_()
