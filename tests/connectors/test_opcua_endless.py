"""Servers whose address space never ends: read up to a bound, mirrored, and told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mirrorworld.connectors.opcua import Opcua
from mirrorworld.testing.connectors import is_live, running
from mirrorworld.testing.sink import MemorySink
from mirrorworld.world.ports import SourceConfig

pytest.importorskip("asyncua")


@pytest.fixture
def start_endless(free_port: Callable[[], int]) -> Iterator[Callable[[str], str]]:
    started: list[subprocess.Popen[str]] = []

    def start(way: str) -> str:
        port = free_port()
        script = Path(__file__).with_name("opcua_endless_server.py")
        process = subprocess.Popen(
            [sys.executable, str(script), str(port), way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"ready": True}
        return f"opc.tcp://127.0.0.1:{port}/endless"

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=10)


@pytest.mark.parametrize("way", ["deep", "wide", "types"])
async def test_an_endless_server_is_read_up_to_a_bound(
    start_endless: Callable[[str], str], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The bounds as they are would only make the test take longer.
    monkeypatch.setattr("mirrorworld.connectors.opcua_browse.TYPES_MAX", 200)
    monkeypatch.setattr("mirrorworld.connectors.opcua_browse.SPARE_REFERENCES", 500)
    url = start_endless(way)
    sink = MemorySink("plc")
    connector = Opcua(SourceConfig(url, "plc", {"max_nodes": 2000, "pause_ms": 0}))
    async with running(connector, sink) as task:
        await is_live(connector, task)
        n = len(sink.world.structure.twins)
        assert n <= 2001
        assert n == (2 if way == "types" else 2000), "as much of it as is allowed is mirrored"
        assert "max_nodes" in connector.link.detail
        assert sink.counts["address_space_cut"] == 1
    found = await Opcua(SourceConfig(url, "plc", {"max_nodes": 500, "pause_ms": 0})).discover(50)
    assert 0 < len(found) <= 50
