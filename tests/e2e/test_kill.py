"""`kill -9` again and again under load: nothing acknowledged is lost, nothing is doubled.

The load is numbered, so a gap or a repetition shows. What was acknowledged is, of the samples,
what the broker took over from the publisher (it gives them to the mirror until the mirror has
acknowledged them), and of the edits, what REST answered with a position.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.conftest import Broker
from tests.e2e import mqtt_plant
from tests.e2e.conftest import Up
from tests.e2e.running import Running

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(600)]

ROUNDS = int(os.environ.get("MIRRORWORLD_KILL_ROUNDS", "5"))
TOPICS = 8
PER_S = 2_000
SEED = 20_261_122


@contextmanager
def load(broker: Broker) -> Iterator[Callable[[], dict[str, int]]]:
    """Publishes until the function it gives is called; that tells what was acknowledged."""
    asked = {"host": broker.host, "port": broker.port, "topics": TOPICS, "per_s": PER_S}
    process = subprocess.Popen(
        [sys.executable, mqtt_plant.__file__, json.dumps(asked)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def stop() -> dict[str, int]:
        said, _ = process.communicate("enough\n", timeout=60)
        assert process.returncode == 0
        return json.loads(said)

    try:
        yield stop
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def write(world: Running, number: int) -> bool:
    """Whether the world has said that an edit with this number is durable."""
    name = f"note{number}"
    edit = {"@": "PutProperty", "twin": "broker", "property": {"name": name, "value": number}}
    try:
        return world.post("edits", {"edits": [edit], "reason": "load"}).status_code == 200
    except httpx.TransportError:
        return False


def accepted(world: Running) -> int:
    return world.source("broker").get("tally", {}).get("accepted", 0)


def test_killed_again_and_again(
    start_mosquitto: Callable[..., Broker], up: Up, tmp_path: Path
) -> None:
    # By default a broker throws away what goes beyond 1,000 messages for who is not there.
    broker = start_mosquitto("max_queued_messages 0", "max_inflight_messages 0")
    chance = random.Random(SEED)
    arguments = (f"mqtt://{broker.host}:{broker.port}/load", "--name", "broker")
    world = up(*arguments)
    world.until_source("broker", "live")
    noted: list[int] = []
    with load(broker) as stop:
        for round_ in range(ROUNDS):
            world.until("the load arrives", lambda w=world: accepted(w) > 0)
            # Somewhere in the middle of it, between one commit and another.
            enough = accepted(world) + chance.randrange(100, 2_000)
            # One note at least, however fast the load comes: it tells the epochs apart.
            number = first = round_ * 1_000
            while number == first or accepted(world) < enough:
                number += 1
                if write(world, number):
                    noted.append(number)
            world.kill()
            world = up(*arguments)
        sent = stop()
    assert set(sent) == {f"load/t{i}" for i in range(TOPICS)}
    total = 2 * sum(sent.values())

    def is_all_here() -> bool:
        return all(world.value(f"broker/{topic}.half") == n / 2 for topic, n in sent.items())

    world.until("the last samples have arrived", is_all_here, 120)
    world.until_source("broker", "live")
    for topic, n in sent.items():
        series = world.history(f"broker/{topic}.n", f"broker/{topic}.half")
        numbers = np.arange(1, n + 1)
        for point, factor in (("n", 1.0), ("half", 0.5)):
            table = series[f"broker/{topic}.{point}"]
            values = table["value"].to_numpy()
            lost = np.setdiff1d(numbers * factor, values)
            assert not len(lost), f"{topic}: {len(lost)} of {n} lost, {lost[:5]} …"
            assert len(values) == n, f"{topic}: {len(values) - n} of {n} doubled"
            assert (values == numbers * factor).all(), f"{topic}: not in the order of their times"
            times_ms = table["time"].cast("int64").to_numpy() // 1_000_000
            assert (times_ms == mqtt_plant.START_MS + numbers).all()
    twin = world.get("twins/broker")["twin"]
    kept = {p["value"] for p in twin["properties"] if p["name"].startswith("note")}
    assert noted and set(noted) <= kept, f"lost edits: {sorted(set(noted) - kept)}"
    assert total > ROUNDS * 100, "there was hardly a load"
    epochs = {change["position"].split(":")[0] for change in _changes(world)}
    assert len(epochs) == ROUNDS + 1, "each start is an epoch of its own"
    assert world.stop() == 0


def _changes(world: Running) -> list[dict]:
    found: list[dict] = []
    after = "1:0"
    while True:
        page = world.get("changes", after=after, limit=1_000)
        found += page["changes"]
        if page["is_end"]:
            return found
        after = page["after"]
