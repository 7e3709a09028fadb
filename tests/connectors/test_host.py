"""The computer itself: the contract, parts, units, and sensors that come and go.

The sensors are files as Linux's sysfs has them, in a folder of the test's own: test machines
seldom have any. All else is the machine that runs the test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from mirrorworld import units
from mirrorworld.connectors.host import Host
from mirrorworld.connectors.host_sensors import Looker
from mirrorworld.testing.connectors import ConnectorContract, WatchingSink, running, until
from mirrorworld.world.changes import Command
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import SourceConfig
from mirrorworld.world.quality import severity


class Sysfs:
    """Sensor files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        chip = root / "class/hwmon/hwmon0"
        chip.mkdir(parents=True)
        (chip / "name").write_text("coretemp\n")
        (chip / "temp1_label").write_text("Package id 0\n")
        self.temperature = chip / "temp1_input"
        self.temperature.write_text("20500\n")


class HostRig:
    schemes = ("host",)
    # The computer is there when its connector runs, and cannot vanish under it.
    is_live = False
    has_source_time = False
    unreachable_url = ""
    bad_urls = ("host://elsewhere", "host://", "host://local/disk", "host://local:1")
    bad_options: Mapping[str, Scalar] = {"period_s": 0.0, "sys_path": "relative"}

    def __init__(self, sysfs: Sysfs) -> None:
        self.sysfs, self.given = sysfs, "20500\n"

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> Host:
        given = {"sys_path": str(self.sysfs.root), "period_s": 0.1, **(options or {})}
        return Host(SourceConfig(url or "host://local", name, given, username, password))

    def point(self, name: str) -> tuple[str, str]:
        return f"{name}/temperature/coretemp", "Package id 0"

    async def emit(self, value: float, source_ns: int) -> None:
        self.given = f"{value * 1000:.0f}\n"
        self.sysfs.temperature.write_text(self.given)

    async def vanish(self) -> None:
        raise AssertionError("a computer does not vanish under itself")

    async def come_back(self) -> None:
        raise AssertionError("a computer does not vanish under itself")

    async def received_writes(self) -> Sequence[object]:
        found = self.sysfs.temperature.read_text()
        return [] if found == self.given else [found]

    def command(self, name: str) -> Command | None:
        return None


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path / "sys")


class TestHost(ConnectorContract):
    @pytest.fixture
    def rig(self, sysfs: Sysfs) -> HostRig:
        return HostRig(sysfs)


def look_twice(root: Path) -> dict[tuple[str, str], float]:
    looker = Looker(root)
    looker.look()
    return {(r.part, r.point.name): float(r.value) for r in looker.look()}


def test_says_what_the_system_says(sysfs: Sysfs) -> None:
    found = look_twice(sysfs.root)
    memory = psutil.virtual_memory()
    assert 0 < found["", "memory_used"] <= memory.total
    # Two looks at a machine in use: near, not equal.
    assert found["", "memory_share"] == pytest.approx(memory.percent, abs=25)
    assert 0 <= found["processor", "load"] <= 100
    cores = [name for part, name in found if part == "processor" and name.startswith("core_")]
    assert len(cores) == psutil.cpu_count()
    disk = found["disk/root", "used"] + found["disk/root", "free"]
    assert 0 < disk <= psutil.disk_usage("/").total * 1.01


def test_every_unit_is_ucum_and_no_name_comes_twice(sysfs: Sysfs) -> None:
    looker = Looker(sysfs.root)
    looker.look()
    readings = looker.look()
    assert len({(r.part, r.point.name) for r in readings}) == len(readings)
    for reading in readings:
        assert units.is_ucum(reading.point.unit) or not reading.point.unit, reading
        low, high = reading.point.low, reading.point.high
        assert low is None or high is None or low <= reading.value <= high, reading


def test_power_is_energy_over_time(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = sysfs.root / "class/powercap/intel-rapl:0"
    core = sysfs.root / "class/powercap/intel-rapl:0:0"
    for folder, name in ((zone, "package-0"), (core, "core")):
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "energy_uj").write_text("1000000\n")
    clock = iter((100.0, 102.0, 103.0))
    monkeypatch.setattr("mirrorworld.connectors.host_sensors.time.monotonic", lambda: now[0])
    now = [next(clock)]
    looker = Looker(sysfs.root)

    def watts() -> dict[str, float]:
        return {r.point.name: float(r.value) for r in looker.look() if r.part == "power"}

    assert watts() == {}
    now[0] = next(clock)
    (zone / "energy_uj").write_text("31000000\n")
    assert watts() == {"package-0": 15.0}
    now[0] = next(clock)
    (zone / "energy_uj").write_text("5\n")  # the counter began anew
    assert watts() == {}


def test_two_chips_of_one_name_are_told_apart(sysfs: Sysfs) -> None:
    again = sysfs.root / "class/hwmon/hwmon1"
    again.mkdir()
    for name in ("name", "temp1_label"):
        (again / name).write_text((sysfs.temperature.parent / name).read_text())
    (again / "temp1_input").write_text("31000\n")
    found = look_twice(sysfs.root)
    assert found["temperature/coretemp", "Package id 0"] == 20.5
    assert found["temperature/coretemp-2", "Package id 0"] == 31.0


def test_sensors_that_are_not_there_or_say_nonsense_are_absent(sysfs: Sysfs) -> None:
    chip = sysfs.temperature.parent
    (chip / "temp2_input").write_text("hot\n")
    (chip / "temp3_input").write_text("99999999999\n")
    (chip / "temp4_input").mkdir()
    (chip / "fan1_input").write_text("1200\n")
    found = look_twice(sysfs.root)
    assert {k: v for k, v in found.items() if k[0].startswith(("temperature", "fan"))} == {
        ("temperature/coretemp", "Package id 0"): 20.5,
        ("fan/coretemp", "fan1"): 1200.0,
    }
    assert not any(part.startswith("power") for part, _ in found)


async def test_what_disappears_is_bad_and_what_appears_is_declared(sysfs: Sysfs) -> None:
    connector = HostRig(sysfs).connector(name="box")
    sink = WatchingSink()

    def quality(twin: str, point: str) -> str:
        world = sink.inner.world
        try:
            handles = world.handles([(twin, point)])
        except KeyError:
            return "absent"
        return severity(int(world.read(handles).quality[0]))

    package = ("box/temperature/coretemp", "Package id 0")
    async with running(connector, sink):
        await until(lambda: quality(*package) == "good", "the thermometer")
        raw = sysfs.temperature.read_text()
        sysfs.temperature.unlink()
        await until(lambda: quality(*package) == "bad", "its loss")
        assert quality("box/fan/coretemp", "fan1") == "absent"
        (sysfs.temperature.parent / "fan1_input").write_text("900\n")
        await until(lambda: quality("box/fan/coretemp", "fan1") == "good", "the fan")
        sysfs.temperature.write_text(raw)
        await until(lambda: quality(*package) == "good", "its return")
    twins = sink.inner.world.structure.twins
    assert twins["box/fan/coretemp"].type == "host:Fan"
    assert twins["box"].property("cores") is not None
