"""An alarm of a server of another make, seen and acknowledged through the product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.opcua_peer import NodeOpcua
from tests.e2e.conftest import Up

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def server(node: str, peers_dir: Path, tmp_path: Path) -> Iterator[NodeOpcua]:
    peer = NodeOpcua(node, peers_dir, tmp_path / "pki", alarms=True, past=300).start()
    yield peer
    peer.kill()


def test_the_servers_alarm_is_acknowledged_at_the_server(server: NodeOpcua, up: Up) -> None:
    world = up(server.url, "--name", "press", "-o", "history=1h")
    world.until_source("press", "live")
    server.ask("set", name="Filler.Level", value=97)

    def alarm(is_acknowledged: bool) -> dict[str, Any] | None:
        events = world.get("events", twin="press/Line1/Filler")["events"]
        fitting = [e for e in events if e.get("is_active") and e["kind"] == "alarm"]
        return next(
            (e for e in fitting if e.get("is_acknowledged", False) is is_acknowledged), None
        )

    raised = world.until("the alarm is here", lambda: alarm(False)) or {}
    assert raised["id"].startswith("press/condition/")
    answer = world.post(f"events/{raised['id']}/acknowledge", {"comment": "on my way"})
    assert answer.status_code == 200, answer.text
    seen = world.until("the server says that it is acknowledged", lambda: alarm(True)) or {}
    assert seen["id"] == raised["id"]
    assert server.ask("alarm", name="Level")["acked"] is True
    assert server.ask("alarm", name="Level")["comment"] == "on my way"

    # What was before the first start is on record, as the server has it.
    point = "press/Line1/Filler.Level"

    def past() -> int:
        values = world.history(point)[point]["value"].to_pylist()
        return sum(20 < value < 21 for value in values)

    world.until("the past is on record", lambda: past() == 300)

    # Nobody answers: the person is told, and nothing is pretended.
    server.ask("set", name="Filler.Level", value=50)
    server.ask("set", name="Filler.Level", value=2)
    again = world.until("it is raised again", lambda: alarm(False)) or {}
    server.kill()
    world.until_source("press", "lost")
    refused = world.post(f"events/{again['id']}/acknowledge", {})
    assert refused.status_code == 502 and "not connected" in refused.text
    assert alarm(False) is not None
