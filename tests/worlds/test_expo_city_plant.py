"""The expo as it runs: its processes, its broker and servers, and the world that mirrors them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("wntr", reason="the extra 'city' is not installed")

from mirrorworld.world.changes import CommandState
from mirrorworld_worlds import expo_city
from mirrorworld_worlds.expo_city.authored import (
    building_twin,
    inverter_twin,
    quarter_twin,
    zone_twin,
)
from mirrorworld_worlds.expo_city.options import site_of
from mirrorworld_worlds.expo_city.world import room_twin
from tests.e2e.conftest import Up, run  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WAIT_S = 240.0
SITE = site_of(*expo_city.SIZES["small"])
SOURCES = ("expo", "energy", "water", "surroundings", "outdoor")
DOME = building_twin(SITE.buildings[0])


def metrics(world: Any) -> dict[str, float]:
    """The numbers of `/metrics`."""
    answer: httpx.Response = world.client.get("/metrics")
    lines = (line for line in answer.text.splitlines() if line and line[0] != "#")
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def command(world: Any, twin: str, point: str, value: float) -> int:
    """Asks for a value; the state in which the command ends (2: confirmed, 3: refused)."""
    asked = {"twin": twin, "point": point, "value": value, "timeout_ms": 60_000}
    said = world.post("commands", {**asked, "is_confirmed": True})
    assert said.status_code == 202, said.text

    def ended() -> int:
        state = world.get(f"commands/{said.json()['id']}", wait_s=10).get("state", 0)
        return state if state >= CommandState.CONFIRMED else 0

    return world.until(f"{twin}.{point} = {value} is decided", ended, WAIT_S)


def test_the_city_is_mirrored_authored_and_takes_commands(
    run: Up,  # noqa: F811
    tmp_path: Path,
) -> None:
    place = ("--dir", str(tmp_path / "world"), "--port", "0", "--no-browser")
    options = ("--option", "size=small", "--option", "rate_hz=2", "--discovery", "off")
    world = run("up", "--world", "expo_city", *options, *place).until_up(WAIT_S)
    for source in SOURCES:
        world.until_source(source, "live", WAIT_S)
    site = world.until(
        "the site is authored", lambda: _twin(world, "expo", "expo_city:Site"), WAIT_S
    )
    assert site["name"] == {"en": "Expo", "de": "Expo"}
    room = room_twin(SITE.buildings[0], 1, 1)
    assert _twin(world, room, "expo_city:Room")
    assert _twin(world, quarter_twin(SITE.buildings[0].quarter), "expo_city:Quarter")
    found = {"part": "LeakProbability", "twin": zone_twin(0)}
    world.until("the leak finder has its points", lambda: _has_point(world, **found), WAIT_S)

    # Everything comes in, nothing is dropped on the way.
    world.until("visitors", lambda: (world.value("outdoor/expo/gates/all.on_site") or 0) > 100)
    dust = "surroundings/expo/air/AQ01.PM25"
    world.until("air over Zenoh", lambda: (world.value(dust) or 0.0) > 0.5, WAIT_S)
    world.until("pressure", lambda: (world.value("water/Works/Pump.Flow") or 0.0) > 0.1, WAIT_S)
    numbers = metrics(world)
    for fate in ("unknown", "future", "not_a_number"):
        for source in SOURCES:
            name = f'mirrorworld_rows_total{{fate="{fate}",source="{source}"}}'
            assert numbers.get(name, 0.0) == 0.0, name
    assert not [n for n in numbers if "over_max_points" in n or "misfits" in n]

    # An operator's word changes the plant: a set-point, a load, a limit over another protocol.
    assert command(world, room, "TemperatureSetpoint", 20.5) == CommandState.CONFIRMED
    assert world.value(f"{room}.TemperatureSetpoint") == 20.5
    before = world.value(f"{DOME}.LightPower")
    assert command(world, DOME, "LoadLimit", 70.0) == CommandState.CONFIRMED
    world.until(
        "lights are dimmed", lambda: world.value(f"{DOME}.LightPower") < 0.85 * before, WAIT_S
    )
    roof = next(b for b in SITE.buildings if b.pv_kw > 0.0)
    assert command(world, inverter_twin(roof), "Limit", 10.0) == CommandState.CONFIRMED
    world.until(
        "the roof gives less",
        lambda: world.value(f"{building_twin(roof)}.PvPower") <= 0.101 * roof.pv_kw + 0.2,
        WAIT_S,
    )
    # What was not armed, and what is out of range, is not done.
    assert command(world, room, "CO2Setpoint", 900.0) == CommandState.REFUSED
    assert command(world, room, "TemperatureSetpoint", 35.0) == CommandState.REFUSED
    assert world.stop() == 0


def _twin(world: Any, twin: str, of: str) -> dict[str, Any] | None:
    answer = world.client.get(f"/api/twins/{twin}")
    if answer.status_code != 200:
        return None
    found = answer.json()["twin"]
    return found if found["type"] == of else None


def _has_point(world: Any, twin: str, part: str) -> bool:
    answer = world.client.get("/api/points", params={"id": f"{twin}.{part}"})
    return answer.status_code == 200


def test_options_that_cannot_be_are_refused() -> None:
    for option, value in (("size", "huge"), ("rate_hz", 0.0), ("buildings", 10_000)):
        with pytest.raises(ValueError, match=option.rstrip("s")):
            expo_city.make(**{option: value})
