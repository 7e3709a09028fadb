"""A Modbus device that says nothing of itself: with a map and one command it is mirrored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connectors.modbus_peer import ModbusSerial
from tests.e2e.conftest import Up

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(240)]

MAP = """
defaults: {period_ms: 100}
twins:
  meter1:
    type: Meter
    points:
      power: {address: 0, type: f32, unit: kW}
      limit: {address: 4, type: u16, scale: 0.1, unit: kW, writable: true, period_ms: 60000}
"""


@pytest.fixture
def device(node: str, peers_dir: Path) -> Iterator[ModbusSerial]:
    peer = ModbusSerial(node, peers_dir).start()
    yield peer
    peer.kill()


def test_a_map_is_all_that_it_takes(
    device: ModbusSerial, up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meters.yaml").write_text(MAP)
    monkeypatch.chdir(tmp_path)
    device.put_float(0, 12.5)
    world = up(device.url, "--name", "hall", "-o", "map=meters.yaml")
    world.until_source("hall", "live")
    world.until("the power is here", lambda: world.value("hall/meter1.power") == 12.5)

    # --- read-only until armed; then written, and confirmed by what the device says
    asked = {"twin": "hall/meter1", "point": "limit", "value": 80.5}
    refused = world.get(f"commands/{world.post('commands', asked).json()['id']}", wait_s=10)
    assert refused["state"] == 3 and device.ask("written")["written"] == []
    arm = {"twin": "hall/meter1", "name": "limit", "low": 0.0, "high": 100.0}
    armed = world.post("arms", {"arm": arm})
    assert armed.status_code < 300, armed.text
    command = world.post("commands", asked).json()
    done = world.get(f"commands/{command['id']}", wait_s=10)
    assert done["state"] == 2, done
    assert device.ask("written")["written"] == [["holding", 4, [805], 1]]
    assert world.value("hall/meter1.limit") == 80.5

    # --- started again from elsewhere, it still finds its map
    assert world.stop() == 0
    monkeypatch.chdir("/")
    again = up(directory=tmp_path / "world")
    again.until_source("hall", "live")
    device.put_float(0, 13.5)
    again.until("it is read again", lambda: again.value("hall/meter1.power") == 13.5)
