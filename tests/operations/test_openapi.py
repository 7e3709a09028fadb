"""The routes of this room answer as the OpenAPI document says, whatever is asked."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.operations.kept_world import MINUTE, START
from tests.operations.serving import TOKEN, Kept, kept
from tests.server.test_openapi import CHECKS

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
ROUTES = (
    ("GET", "/api/shifts"),
    ("GET", "/api/effectiveness"),
    ("GET", "/api/stops"),
    ("GET", "/api/downtime-reasons"),
    ("POST", "/api/stops/reasons"),
    ("DELETE", "/api/stops/reasons/{id}"),
    ("GET", "/api/reports"),
    ("GET", "/api/reports/kept/{id}.{form}"),
    ("GET", "/api/reports/shift.{form}"),
    ("GET", "/api/export/history.{form}"),
    ("POST", "/api/sql"),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with kept(tmp_path_factory.mktemp("kept"), lambda: START + 481 * MINUTE) as running:
        yield running


@pytest.fixture(scope="module")
def document(served: Kept) -> dict:
    return httpx.get(f"{served.address}/api/openapi.json", headers=HEADERS, timeout=60).json()


def test_no_route_of_this_room_is_forgotten(document: dict):
    mine = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, route in methods.items()
        if "operations" in route.get("tags", ())
    }
    assert mine - {("GET", "/api/sql")} == set(ROUTES)
    for _, path in mine:
        for route in document["paths"][path].values():
            assert route.get("summary") and route.get("description"), path


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_whatever_is_asked_is_answered_as_the_document_says(
    served: Kept, document: dict, method: str, path: str
):
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=served.address)
    operation = schema[path][method]
    examples = 2 if path == "/api/sql" else 12  # each query is a process

    @given(case=operation.as_strategy())
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=HEADERS, checks=CHECKS, timeout=60)

    ask()
