"""SIGTERM while much is going on: nothing that was acknowledged is lost, what is open is told, and
the program ends by itself in good order."""

from __future__ import annotations

import signal
import threading
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from mirrorworld.protocol import messages
from tests.e2e.conftest import Up
from tests.e2e.running import Running

pytestmark = pytest.mark.timeout(300)

WRITERS = 4
SECRET = "a-secret-for-the-gate"
ENOUGH = 200


class Load:
    """Programs that edit and post without a pause, and remember what they were told is kept."""

    def __init__(self, world: Running) -> None:
        self.world = world
        self.noted: set[int] = set()
        self.posted: set[int] = set()
        self.threads = [
            threading.Thread(target=work, args=(i,), daemon=True)
            for i in range(WRITERS)
            for work in (self.edit, self.post)
        ]
        for thread in self.threads:
            thread.start()

    def edit(self, writer: int) -> None:
        headers = {"Authorization": f"Bearer {self.world.token}"}
        with httpx.Client(base_url=self.world.url, headers=headers, timeout=60) as client:
            for number in range(writer, 10**6, WRITERS):
                about = {"name": f"note{number}", "value": number}
                edit = {"@": "PutProperty", "twin": "gate", "property": about}
                try:
                    answer = client.post("/api/edits", json={"edits": [edit], "reason": "load"})
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    self.noted.add(number)

    def post(self, writer: int) -> None:
        headers = {"Authorization": f"Bearer {SECRET}"}
        with httpx.Client(base_url=self.world.url, headers=headers, timeout=60) as client:
            for number in range(writer, 10**6, WRITERS):
                at = f"2026-03-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
                try:
                    answer = client.post("/api/hooks/gate", json={"count": number, "timestamp": at})
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    self.posted.add(number)
                elif answer.status_code == 429:
                    time.sleep(0.05)


def test_nothing_acknowledged_is_lost_by_a_clean_end(up: Up) -> None:
    world = up(
        "webhook://gate", "--password", SECRET, "-o", "burst=100000", "-o", "rate_per_s=100000"
    )
    world.until_source("gate", "live")
    # Its twin is there once it has had something to say.
    first = httpx.post(
        f"{world.url}/api/hooks/gate",
        json={"count": 0, "timestamp": "2026-02-01T00:00:00Z"},
        headers={"Authorization": f"Bearer {SECRET}"},
    )
    assert first.status_code == 200, first.text
    with connect(
        f"{world.url.replace('http', 'ws')}/api/stream",
        additional_headers={"Authorization": f"Bearer {world.token}"},
    ) as stream:
        stream.send(messages.encode(messages.Hello()).decode())
        load = Load(world)
        world.until(
            "much is acknowledged",
            lambda: min(len(load.noted), len(load.posted)) > ENOUGH,
            120,
        )
        world.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            while True:
                stream.recv(timeout=60)
    assert world.until_ended(60) == 0, world.said
    assert "stopping" in world.said
    assert "Traceback" not in world.said
    for thread in load.threads:
        thread.join(30)

    again = up()
    kept = {
        p["value"]
        for p in again.get("twins/gate")["twin"]["properties"]
        if p["name"].startswith("note")
    }
    assert load.noted <= kept, f"lost edits: {sorted(load.noted - kept)[:10]}"
    values = set(again.history("gate.count")["gate.count"]["value"].to_pylist())
    assert load.posted <= values, f"lost samples: {sorted(load.posted - values)[:10]}"
    # It was an end, not a crash: nothing had to be mended, and the lock is free.
    assert not again.err, again.said
    assert again.stop() == 0
