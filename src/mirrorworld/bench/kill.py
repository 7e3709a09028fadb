"""`kill -9` of any process under load, again and again: nothing acknowledged is lost or doubled.

A publisher numbers its samples, mosquitto carries them at QoS 1, the real server mirrors them into
a record on disk, and edits over REST go on beside. Each round ends one process as a power cut
would: the twin, the broker, the publisher, or the twin's compaction where one runs. A broker that
is killed may forget what it has acknowledged, so the plant sends again from what the world shows,
as a gateway with a store does; what then comes twice has to be recognised. Counted is in the
record itself. The killing is drawn from a seed.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import psutil

from mirrorworld.bench.city import SOURCE, source, until
from mirrorworld.bench.kill_plant import START_MS
from mirrorworld.bench.mosquitto import Broker
from mirrorworld.bench.peer import Peer
from mirrorworld.bench.serving import Serving, serving
from mirrorworld.record import open_record
from mirrorworld.world.changes import Position
from mirrorworld.world.frames import Frame

VICTIMS: Final = ("twin", "broker", "publisher", "compaction")


def run(
    rounds: int = 20, topics: int = 8, per_s: int = 2_000, seed: int = 20_261_126
) -> dict[str, Any]:
    """Figures: `rounds`, `acknowledged` (samples and edits), `lost`, `doubled`.

    Raises:
        RuntimeError: there is no mosquitto here, or something did not come back.
    """
    with tempfile.TemporaryDirectory(prefix="mirrorworld-bench-") as name:
        trial = _Trial(Path(name), topics, per_s)
        try:
            return trial.run(rounds, random.Random(seed)) | {"seed": seed}
        finally:
            trial.close()


class _Trial:
    """The processes of one bench, and what they have acknowledged."""

    def __init__(self, folder: Path, topics: int, per_s: int) -> None:
        self._directory, self._topics, self._per_s = folder / "world", topics, per_s
        (folder / "broker").mkdir()
        self._broker = Broker(folder / "broker")
        self._stack: ExitStack | None = None
        self._served: Serving
        self._plant: Peer | None = None
        self._lives = 0
        self._notes: list[int] = []
        self._kills: Counter[str] = Counter()

    def run(self, rounds: int, chance: random.Random) -> dict[str, Any]:
        self._broker.start()
        self._serve()
        self._publish()
        for _ in range(rounds):
            self._note_until(self._shown() + chance.randrange(20, 400))
            victim = chance.choice(VICTIMS)
            compacting = self._compacting()
            if victim == "compaction" and compacting is None:
                victim = "twin"  # none is running: its owner goes instead
            self._kills[victim] += 1
            self._kill(victim, compacting)
        assert self._plant is not None
        self._plant.tell()
        n = int(self._plant.hear()["n"])
        if not until(lambda: self._shown() >= n):
            raise RuntimeError(f"the world shows {self._shown()} of {n} samples of a topic")
        time.sleep(1)
        lost_edits = len(set(self._notes) - self._kept())
        self._end_serving()
        lost, doubled = self._in_record(n)
        return {
            "rounds": rounds,
            "acknowledged": n * self._topics + len(self._notes),
            "lost": lost + lost_edits,
            "doubled": doubled,
            "samples": n * self._topics,
            "edits": len(self._notes),
            "killed": dict(self._kills),
        }

    def close(self) -> None:
        """Ends whatever still runs."""
        if self._plant is not None:
            self._plant.__exit__(None, None, None)
        self._end_serving()
        self._broker.kill()

    # --- processes

    def _serve(self) -> None:
        self._stack = ExitStack()
        url = f"mqtt://127.0.0.1:{self._broker.port}/load"
        options = {"client_id": "bench-kill"}
        self._served = self._stack.enter_context(
            serving(self._directory, url, "--name", SOURCE, options=options)
        )
        if not until(lambda: source(self._served).get("state") == "live"):
            raise RuntimeError("the world does not find the broker again")

    def _end_serving(self) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    def _publish(self) -> None:
        if self._plant is not None:
            self._plant.__exit__(None, None, None)
        self._lives += 1
        asked = {"port": self._broker.port, "topics": self._topics, "per_s": self._per_s}
        self._plant = Peer("kill_plant", {**asked, "after": self._shown(), "life": self._lives})
        self._plant.until_ready()

    def _compacting(self) -> psutil.Process | None:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self._served.pid).children(recursive=True):
                if any("compaction" in part for part in child.cmdline()):
                    return child
        return None

    def _kill(self, victim: str, compacting: psutil.Process | None) -> None:
        assert self._plant is not None
        match victim:
            case "twin":
                psutil.Process(self._served.pid).kill()
                self._end_serving()
                self._serve()
            case "broker":
                self._broker.kill()
                self._broker.start()
                if not until(lambda: source(self._served).get("state") == "live"):
                    raise RuntimeError("the world does not find the broker again")
                self._publish()
            case "publisher":
                self._plant.process.kill()
                self._settle()
                self._publish()
            case _:
                with contextlib.suppress(psutil.Error):
                    assert compacting is not None
                    compacting.kill()

    # --- what is acknowledged

    def _settle(self) -> None:
        """Waits until the broker has given on what it had."""
        shown = -1
        while (now := self._shown()) != shown:
            shown = now
            time.sleep(0.5)

    def _shown(self) -> int:
        """The last number that every topic has come to in the world."""
        numbers: list[int] = []
        with httpx.Client(headers=dict(self._served.headers), timeout=60) as client:
            for i in range(self._topics):
                asked = {"id": f"{SOURCE}/load/t{i}.n"}
                answer = client.get(f"{self._served.url}/api/points", params=asked)
                if answer.status_code != 200:
                    return 0
                numbers.append(int(answer.json()["points"][0]["value"] or 0))
        return min(numbers)

    def _note_until(self, enough: int) -> None:
        """Writes numbered edits until the samples have come so far."""
        deadline = time.monotonic() + 120
        while self._shown() < enough:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the load stands still at {self._shown()}")
            number = (self._notes[-1] + 1) if self._notes else 1
            what = {"name": f"note{number}", "value": number}
            body = {"edits": [{"@": "PutProperty", "twin": SOURCE, "property": what}]}
            url, headers = f"{self._served.url}/api/edits", dict(self._served.headers)
            answer = httpx.post(url, json={**body, "reason": "load"}, headers=headers, timeout=60)
            if answer.status_code == 200:
                self._notes.append(number)

    def _kept(self) -> set[int]:
        url, headers = f"{self._served.url}/api/twins/{SOURCE}", dict(self._served.headers)
        twin = httpx.get(url, headers=headers, timeout=60).json()["twin"]
        return {p["value"] for p in twin["properties"] if p["name"].startswith("note")}

    def _in_record(self, n: int) -> tuple[int, int]:
        """(lost, doubled) of samples 1 to n of each topic."""
        times: dict[int, list[np.ndarray]] = {}
        with open_record(self._directory / "record", read_only=True) as store:
            for change in store.changes(Position(1, 0), limit=1 << 62):
                if isinstance(change.body, Frame) and change.source == SOURCE:
                    for point in np.unique(change.body.point).tolist():
                        here = change.body.source_ns[change.body.point == point]
                        times.setdefault(point, []).append(here)
        lost = max(0, self._topics - len(times)) * n
        doubled = 0
        wanted = (START_MS + np.arange(1, n + 1)) * 1_000_000
        for parts in times.values():
            found = np.concatenate(parts)
            lost += len(np.setdiff1d(wanted, found))
            doubled += len(found) - len(np.unique(found))
        return lost, doubled
