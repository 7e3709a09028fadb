"""The OpenAPI document is true: whatever it allows is answered as it says, and never by a crash."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mirrorworld.protocol import rest
from mirrorworld.server import create_app, openapi
from tests.server.stand_in import TOKEN, Served, StandIn, line, served

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def here() -> Iterator[Served]:
    """A server in a loop of its own, since schemathesis asks without one."""
    started, stop = threading.Event(), asyncio.Event()
    found: list[Served] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        async with served(line()) as running:
            found.append(running)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert started.wait(20)
    yield found[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(20)


@pytest.fixture(scope="module")
def document(here: Served) -> dict:
    return httpx.get(f"{here.url}/api/openapi.json", headers=AUTHORIZED, timeout=60).json()


ROUTES = sum(
    len(methods)
    for methods in json.loads(openapi.document(create_app(StandIn(), token=TOKEN)))[  # pyright: ignore
        "paths"
    ].values()
)
"""How many there are; each is a test of its own."""


@pytest.mark.parametrize("number", range(ROUTES))
def test_whatever_is_asked_is_answered_as_the_document_says(
    here: Served, document: dict, number: int
):
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=here.url)
    operation = list(schema.get_all_operations())[number].ok()

    @given(case=operation.as_strategy())
    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        if "wait_s" in (case.query or {}):
            case.query["wait_s"] = 0
        case.call_and_validate(headers=AUTHORIZED, checks=CHECKS, timeout=20)

    ask()


def test_every_route_says_what_it_is_for(document: dict):
    n = 0
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            n += 1
            assert route.get("summary"), (method, path)
            assert route.get("description"), (method, path)
            for parameter in route.get("parameters", ()):
                assert parameter["schema"], (method, path, parameter["name"])
    assert n == ROUTES


def test_the_models_own_shapes_are_in_it(document: dict):
    schemas = document["components"]["schemas"]
    twin = schemas["Twin"]
    assert twin["required"] == ["id"]
    assert twin["properties"]["pose"]["anyOf"][0] == {"$ref": "#/components/schemas/Pose"}
    assert schemas["PutTwinTagged"]["properties"]["@"] == {"const": "PutTwin"}
    assert schemas["TwinDetail"]["properties"]["twin"] == {"$ref": "#/components/schemas/Twin"}
    assert "HTTPValidationError" not in schemas
    text = repr(document)
    assert "x-plain" not in text
    for name in schemas:
        assert f"#/components/schemas/{name}" in text, f"{name} is used nowhere"
    references = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert references <= set(schemas)


def test_every_field_of_an_answer_is_described_or_plain(document: dict):
    described = document["components"]["schemas"]["PointValue"]["properties"]
    assert described["quality"]["description"].startswith("OPC UA status code")
    assert document["components"]["schemas"]["Problem"]["description"] == rest.Problem.__doc__
