"""A server of another make that nobody mapped: twins by one command, live through its restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connectors.opcua_peer import NodeOpcua
from tests.e2e.conftest import Up
from tests.e2e.running import Running

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def server(node: str, peers_dir: Path, tmp_path: Path) -> Iterator[NodeOpcua]:
    peer = NodeOpcua(node, peers_dir, tmp_path / "pki").start()
    yield peer
    peer.kill()


def steps(world: Running, server: NodeOpcua, name: str, values: list[float]) -> None:
    """Sets a variable to one value after the other, each once the mirror has the one before."""
    twin, _, point = name.partition(".")
    for value in values:
        server.ask("set", name=name, value=value)
        world.until(
            f"{name} is {value}", lambda v=value: world.value(f"press/Line1/{twin}.{point}") == v
        )


def test_nobody_mapped_it(server: NodeOpcua, up: Up) -> None:
    world = up(server.url, "--name", "press")
    world.until_source("press", "live")

    # --- what the server itself says has become twins
    filler = world.get("twins/press/Line1/Filler")
    assert filler["type"]["id"].endswith("FillerType")
    assert any(p["name"] == "SerialNumber" for p in filler["twin"]["properties"])
    points = {p["type"]["name"]: p for p in filler["points"]}
    assert {"Speed", "Running", "Level", "Mode"} <= set(points)
    assert points["Level"]["type"]["unit"] == "%"
    assert points["Level"]["type"]["high"] == 100
    assert {"Reset", "SetRecipe"} <= {o["type"]["name"] for o in filler["operations"]}
    assert all(p["arm"] is None for p in filler["points"]), "nothing is armed by itself"
    kinds = {(r["kind"], r["target"]) for r in filler["relations_out"]}
    assert any(target == "press/Line1/Capper" for _, target in kinds), kinds

    # --- live
    levels = [51.5, 52.5, 53.5]
    steps(world, server, "Filler.Level", levels)
    refused = world.post("commands", {"twin": "press/Line1/Filler", "point": "Speed", "value": 60})
    command = world.get(f"commands/{refused.json()['id']}", wait_s=10)
    assert command["state"] == 3 and "read-only" in command["detail"]
    assert server.ask("writes")["writes"] == [], "a source is read-only until it is armed"

    # --- it vanishes: said, and the values are not passed off as fresh
    server.kill()
    lost = world.until_source("press", "lost")
    assert lost["detail"]
    event = world.until(
        "the loss is an event",
        lambda: next(iter(world.get("events", twin="press", active=True)["events"]), None),
    )
    assert event["is_active"]

    # --- it returns, with what it has recorded meanwhile
    server.start()
    at_ms = time.time_ns() // 1_000_000
    meanwhile = [61.5, 62.5, 63.5]
    for i, value in enumerate(meanwhile):
        server.ask("set", name="Filler.Level", value=value, time_ms=at_ms + i)
    world.until_source("press", "live")
    world.until("the last value is here", lambda: world.value("press/Line1/Filler.Level") == 63.5)

    def gap() -> bool:
        values = world.history("press/Line1/Filler.Level")["press/Line1/Filler.Level"]["value"]
        return set(meanwhile) <= set(values.to_pylist())

    world.until("the gap is filled from the server's history", gap)
    steps(world, server, "Filler.Level", [71.5, 72.5])
    world.until(
        "no loss is active", lambda: not world.get("events", twin="press", active=True)["events"]
    )
    table = world.history("press/Line1/Filler.Level")["press/Line1/Filler.Level"].to_pylist()
    ours = {*levels, *meanwhile, 71.5, 72.5}
    good = [row["value"] for row in table if row["quality"] == 0 and row["value"] in ours]
    assert good == [*levels, *meanwhile, 71.5, 72.5], "each once, in order"
    # While it was away, the last value is on record as one that is no longer known to be true.
    assert [row["value"] for row in table if row["quality"] >> 30 == 1] == [53.5]
    assert world.stop() == 0
