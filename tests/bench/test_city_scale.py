"""The benches of city scale themselves: they really move samples, and would see a lost one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mirrorworld.bench import run
from mirrorworld.bench.city import SOURCE, missing
from mirrorworld.bench.mosquitto import allow_connections
from mirrorworld.record import open_record, restore
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin
from mirrorworld.world.frames import frame
from mirrorworld.world.model import PointType, Twin

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

HAS_BROKER = any(map(shutil.which, ("mosquitto", "/usr/sbin/mosquitto")))
needs_broker = pytest.mark.skipif(not HAS_BROKER, reason="apt-get install mosquitto")


@pytest.mark.parametrize("bus", ["zenoh", pytest.param("sparkplug", marks=needs_broker)])
def test_every_row_of_a_small_city_arrives_and_is_on_record(bus: str) -> None:
    if bus == "zenoh":
        pytest.importorskip("zenoh")
    figures = run(
        "city", {"points": 2_000, "rate_hz": 5, "seconds": 1.0, "warm_s": 1.0, "bus": bus}
    )
    assert (figures["lost"], figures["doubled"]) == (0, 0)
    assert figures["viewer_rows"] > 0 and figures["latency_ms_p50"] is not None


def test_what_a_record_lacks_or_has_twice_is_counted(tmp_path: Path) -> None:
    record = open_record(tmp_path / "record", "w", compacts=False)
    world = restore(record)
    origin = Origin(OriginKind.MEASURED, SOURCE)
    declared = tuple(PointType(f"p{i}") for i in range(10))
    changes = [Change(Edits((PutTwin(Twin("t", points=declared)),)), origin, 1, SOURCE)]
    handles = list(range(10))
    for step, points in enumerate((handles, handles[:7], handles), 1):
        changes.append(
            Change(frame(points, [float(step)] * len(points), step * 1_000), origin, 1, SOURCE)
        )
    for change in changes:
        placed = world.apply(change).change
        assert placed is not None
        record.append(placed)
    record.close()
    assert missing(tmp_path / "record", 10, 3, 1_000) == (3, 0)
    assert missing(tmp_path / "record", 10, 2, 1_000) == (0, 7)
    assert missing(tmp_path / "record", 11, 3, 1_000) == (6, 0)


@needs_broker
def test_devices_lose_nothing() -> None:
    figures = run("thingsboard", {"clients": 20, "seconds": 2})
    assert (figures["lost"], figures["doubled"], figures["messages"]) == (0, 0, 40)


@needs_broker
@pytest.mark.parametrize("name", ["sparkplug", "durable"])
def test_sparkplug_with_and_without_acknowledgement(name: str) -> None:
    figures = run(name, {"publishers": 1, "points_per_message": 20, "messages": 300})
    assert figures["lost"] == 0 and figures["points"] == 6_000


@needs_broker
@pytest.mark.slow
def test_killing_loses_nothing() -> None:
    figures = run("kill", {"rounds": 3, "topics": 2, "per_s": 500})
    assert (figures["lost"], figures["doubled"]) == (0, 0)
    assert figures["acknowledged"] > 0 and sum(figures["killed"].values()) == 3


def test_a_soak_tells_how_memory_grows() -> None:
    pytest.importorskip("zenoh")
    figures = run("soak", {"minutes": 0.05, "points": 500})
    assert figures["lost"] == 0 and figures["memory_mb_end"] > 0


def test_a_bus_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="zenoh, sparkplug"):
        run("city", {"bus": "tube"})


def test_too_many_connections_say_how_to_allow_them() -> None:
    with pytest.raises(RuntimeError, match="ulimit -Hn"):
        allow_connections(1 << 40)
