"""What the computer that this runs on can tell of itself: psutil's counters, and Linux's sensors.

A reading is what is there; a sensor that is missing, or that this process may not read, is simply
not among them. Rates need two looks, so a `Looker` remembers the counters of the last one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psutil

from mirrorworld.connectors.guesses import iri_level
from mirrorworld.world.model import Kind, PointType

READINGS_MAX: Final = 5000
_PERCENT: Final = {"unit": "%", "low": 0.0, "high": 100.0}


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a part of the machine."""

    part: str
    """Path below the machine's twin; "" is the machine."""
    part_type: str
    point: PointType
    value: float | int | bool


class Looker:
    """Looks at the machine; each look gives what can be read then."""

    def __init__(self, sys_path: Path = Path("/sys")) -> None:
        """`sys_path` is where Linux's sysfs is; in a container, where the machine's is mounted."""
        self._sys = sys_path
        self._counters: dict[str, tuple[float, float]] = {}
        """Name -> (when, in s; count)."""
        psutil.cpu_percent(None)  # its first answer has nothing to compare with
        psutil.cpu_percent(None, percpu=True)

    def look(self) -> list[Reading]:
        """Everything that can be read now. Takes milliseconds; a disk that hangs takes as long."""
        found: list[Reading] = []
        for part in (
            self._machine,
            self._processor,
            self._disks,
            self._networks,
            self._temperatures,
            self._fans,
            self._power,
            self._battery,
        ):
            try:
                found += part()
            except (OSError, psutil.Error, NotImplementedError, AttributeError, RuntimeError):
                continue  # not on this system, or not for this user
        return _told_apart(found[:READINGS_MAX])

    def _rate(self, name: str, count: float) -> float | None:
        """Change per second since the last look; None at the first, and if a count began anew."""
        now = time.monotonic()
        was = self._counters.get(name)
        self._counters[name] = (now, count)
        if was is None or count < was[1] or now <= was[0]:
            return None
        return (count - was[1]) / (now - was[0])

    def _rates(
        self, part: str, type_: str, counts: dict[str, float], unit: str
    ) -> Iterator[Reading]:
        for name, count in counts.items():
            rate = self._rate(f"{part}.{name}", count)
            if rate is not None:
                yield Reading(part, type_, PointType(name, Kind.FLOAT, unit), rate)

    def _machine(self) -> Iterator[Reading]:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        yield _float("", "Computer", "memory_share", memory.percent, **_PERCENT)
        yield _int("", "Computer", "memory_used", memory.total - memory.available, "By")
        if swap.total:
            yield _float("", "Computer", "swap_share", swap.percent, **_PERCENT)
        yield _float("", "Computer", "uptime", round(time.time() - psutil.boot_time(), 3), unit="s")
        yield _int("", "Computer", "processes", len(psutil.pids()), "{process}")

    def _processor(self) -> Iterator[Reading]:
        yield _float("processor", "Processor", "load", psutil.cpu_percent(None), **_PERCENT)
        for n, load in enumerate(psutil.cpu_percent(None, percpu=True)):
            yield _float("processor", "Processor", f"core_{n}_load", load, **_PERCENT)
        for name, load in zip(("1", "5", "15"), psutil.getloadavg(), strict=True):
            yield _float("processor", "Processor", f"waiting_{name}min", load, unit="{process}")
        frequency: Any = psutil.cpu_freq()
        if frequency is not None and frequency.current:
            mhz = round(frequency.current, 3)
            yield _float("processor", "Processor", "frequency", mhz, unit="MHz")

    def _disks(self) -> Iterator[Reading]:
        seen: set[str] = set()
        for disk in psutil.disk_partitions(all=False):
            if disk.device in seen:
                continue  # the same disk, mounted once more
            seen.add(disk.device)
            name = disk.mountpoint.strip("/\\").replace("/", "-").replace(":", "") or "root"
            part = f"disk/{iri_level(name)}"
            try:
                usage = psutil.disk_usage(disk.mountpoint)
            except OSError:
                continue  # an empty drive, or one that this user may not see
            yield _float(part, "Disk", "used_share", usage.percent, **_PERCENT)
            yield _int(part, "Disk", "used", usage.used, "By")
            yield _int(part, "Disk", "free", usage.free, "By")
        io: Any = psutil.disk_io_counters()
        if io is not None:
            counts = {"read": float(io.read_bytes), "written": float(io.write_bytes)}
            yield from self._rates("disk", "Disks", counts, "By/s")

    def _networks(self) -> Iterator[Reading]:
        states = psutil.net_if_stats()
        for name, io in psutil.net_io_counters(pernic=True).items():
            state = states.get(name)
            if state is None or not state.isup or "loopback" in getattr(state, "flags", ""):
                continue
            part = f"network/{iri_level(name)}"
            counts = {"received": float(io.bytes_recv), "sent": float(io.bytes_sent)}
            yield from self._rates(part, "Network interface", counts, "By/s")
            errors = io.errin + io.errout + io.dropin + io.dropout
            yield _int(part, "Network interface", "errors", errors, "{packet}")

    # --- sensors

    def _temperatures(self) -> Iterator[Reading]:
        found = False
        for chip in sorted(self._sys.glob("class/hwmon/hwmon*")):
            for file in sorted(chip.glob("temp*_input")):
                number = _number(file)
                if number is not None and -273_150 <= number < 1_000_000:
                    found = True
                    yield self._sensor(chip, file, number / 1000, "temperature", "Cel")
        if not found:
            sensors: Any = getattr(psutil, "sensors_temperatures", dict)()
            for chip_name, entries in sensors.items():
                for n, entry in enumerate(entries):
                    part = f"temperature/{iri_level(chip_name)}"
                    label = entry.label or f"sensor {n + 1}"
                    yield _float(part, "Thermometer", label, entry.current, unit="Cel")

    def _fans(self) -> Iterator[Reading]:
        for chip in sorted(self._sys.glob("class/hwmon/hwmon*")):
            for file in sorted(chip.glob("fan*_input")):
                number = _number(file)
                if number is not None and 0 <= number < 1_000_000:
                    yield self._sensor(chip, file, float(number), "fan", "/min")

    def _sensor(self, chip: Path, file: Path, value: float, kind: str, unit: str) -> Reading:
        """A hwmon value under the chip's name and the sensor's label."""
        own = file.name.removesuffix("_input")
        label = _text(file.with_name(f"{own}_label")) or own
        name = _text(chip / "name") or chip.name
        type_ = {"temperature": "Thermometer", "fan": "Fan"}[kind]
        return _float(f"{kind}/{iri_level(name)}", type_, label, value, unit=unit)

    def _power(self) -> Iterator[Reading]:
        """Power of processor packages from their energy counters (RAPL), where they can be read."""
        for zone in sorted(self._sys.glob("class/powercap/intel-rapl:*")):
            if not re.fullmatch(r"intel-rapl:\d+", zone.name):
                continue  # a part of a package, counted in it
            energy_uj = _number(zone / "energy_uj")
            if energy_uj is None:
                continue
            name = _text(zone / "name") or zone.name
            rate = self._rate(f"power.{name}", energy_uj / 1e6)
            if rate is not None:
                yield _float("power", "Power meter", name, rate, unit="W")

    def _battery(self) -> Iterator[Reading]:
        battery: Any = getattr(psutil, "sensors_battery", lambda: None)()
        if battery is None:
            return
        yield _float("battery", "Battery", "charge", battery.percent, **_PERCENT)
        if battery.power_plugged is not None:
            plugged = PointType("plugged_in", Kind.BOOL)
            yield Reading("battery", "Battery", plugged, bool(battery.power_plugged))
        if isinstance(battery.secsleft, int) and battery.secsleft > 0:
            yield _float("battery", "Battery", "time_left", battery.secsleft, unit="s")


def _told_apart(readings: list[Reading]) -> list[Reading]:
    """Two chips of one name and sensor: the second part is called `name-2`."""
    seen: dict[tuple[str, str], int] = {}
    found: list[Reading] = []
    for reading in readings:
        key = (reading.part, reading.point.name)
        n = seen[key] = seen.get(key, 0) + 1
        found.append(replace(reading, part=f"{reading.part}-{n}") if n > 1 else reading)
    return found


def _float(part: str, type_: str, name: str, value: float, **said: Any) -> Reading:
    return Reading(part, type_, PointType(name, Kind.FLOAT, **said), float(value))


def _int(part: str, type_: str, name: str, value: int, unit: str) -> Reading:
    return Reading(part, type_, PointType(name, Kind.INT, unit), int(value))


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    """The one line of a file of sysfs; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(200).decode("utf-8", "replace").strip()
    except OSError:
        return ""
