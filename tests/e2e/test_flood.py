"""A publisher that floods a broker with names, lies and changing types, beside one that behaves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Broker
from tests.e2e import mqtt_plant
from tests.e2e.conftest import Up

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(240)]

POINTS_MAX = 500
FLOOD = 40_000
GOOD = 2_000
YEAR_MS = 365 * 86_400_000


def flood() -> Iterator[tuple[str, object]]:
    """Ever new names; one topic whose type is never the same; one from years ahead."""
    for i in range(FLOOD):
        match i % 4:
            case 0:
                yield "hall/liar", {"timestamp": mqtt_plant.START_MS + 10 * YEAR_MS + i, "v": i}
            case 1:
                yield "hall/fickle", {"v": i if i % 8 == 1 else f"text {i}"}
            case _:
                yield f"hall/new{i}", {f"p{i}": i}


def good() -> Iterator[tuple[str, object]]:
    """Numbers in order, each with its time."""
    for n in range(1, GOOD + 1):
        yield "hall/good", {"timestamp": mqtt_plant.START_MS + n, "n": n}


def publish(
    broker: Broker, name: str, messages: Iterator[tuple[str, object]]
) -> Callable[[], dict[str, int]]:
    """Publishes in a process of its own; what it gives waits for the end of that and tells what
    the broker has acknowledged."""
    asked = {"host": broker.host, "port": broker.port, "name": name}
    process = subprocess.Popen(
        [sys.executable, mqtt_plant.__file__, json.dumps(asked)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = "\n".join(map(json.dumps, messages))

    def ended() -> dict[str, int]:
        said, _ = process.communicate(lines, timeout=120)
        assert process.returncode == 0
        return json.loads(said)

    return ended


def test_a_flood_is_contained_and_told_and_who_behaves_is_unharmed(
    start_mosquitto: Callable[..., Broker], up: Up
) -> None:
    broker = start_mosquitto("max_queued_messages 0", "max_inflight_messages 0")
    world = up(
        f"mqtt://{broker.host}:{broker.port}/hall", "--name", "broker",
        "--option", f"max_points={POINTS_MAX}",
    )  # fmt: skip
    world.until_source("broker", "live")
    publish(broker, "first", iter([("hall/good", {"timestamp": mqtt_plant.START_MS, "n": 0})]))()
    world.until("the good one is known", lambda: world.value("broker/hall/good.n") == 0)
    with ThreadPoolExecutor(2) as both:
        flooding = both.submit(publish(broker, "flood", flood()))
        behaving = both.submit(publish(broker, "good", good()))
        sent = flooding.result()
        assert sum(sent.values()) == FLOOD
        assert behaving.result() == {"hall/good": GOOD}
    world.until("the good ones last", lambda: world.value("broker/hall/good.n") == GOOD, 120)
    world.until(
        "all of the flood is dealt with",
        lambda: world.source("broker")["tally"]["future"] == FLOOD // 4,
        60,
    )

    (table,) = world.history("broker/hall/good.n").values()
    assert table["value"].to_pylist() == list(range(GOOD + 1)), "none lost, doubled or changed"
    stands = world.get("world")
    assert stands["points"] <= POINTS_MAX + 10, "the names are bounded"
    assert stands["twins"] <= 4 * POINTS_MAX + 110
    source = world.source("broker")
    assert source["state"] == "live"
    assert source["counts"]["over_max_points"] >= FLOOD // 2 - POINTS_MAX
    assert source["counts"]["samples_left_out"] > 0, "text where there were numbers"
    kinds = {event["kind"] for event in world.get("events")["events"]}
    assert {"too_many_points", "type_changed"} <= kinds
