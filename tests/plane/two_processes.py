"""An edge and a centre as processes of their own, that a test may kill at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mirrorworld.edge import Edge, EdgeSource

CENTRE = """
import sys
sys.modules["numba"] = None
import asyncio, json, os, signal
from pathlib import Path
from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.pipeline import Pipeline
from mirrorworld.live.sources import Sources
from mirrorworld.plane.site import Site
from mirrorworld.record.store import open_record, restore
from mirrorworld.world.ports import SourceConfig

async def main(directory, url):
    record = open_record(Path(directory), "centre", compacts=False)
    pipeline = Pipeline(restore(record), record, RoleGuard())
    pipeline.start()
    sources = Sources(pipeline, {s: Site for s in Site.schemes})
    source = sources.add(SourceConfig(url, "north", {"listen": True}))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    while not stop.is_set():
        told = {"link": source.link.state.value, "detail": source.link.detail,
                "accepted": source.tally.accepted, "counts": dict(source.counts)}
        new = Path(directory).with_suffix(".new")
        new.write_text(json.dumps(told))
        new.replace(Path(directory).with_suffix(".json"))
        try:
            async with asyncio.timeout(0.1):
                await stop.wait()
        except TimeoutError:
            pass
    await sources.stop()
    await pipeline.stop()

asyncio.run(main(*sys.argv[1:]))
"""


class Process:
    """One of them."""

    def __init__(self, command: Sequence[str], log: Path, config: bytes | None = None) -> None:
        self._command, self._log, self._config = command, log, config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, or starts it again."""
        command = list(self._command)
        passed: tuple[int, ...] = ()
        if self._config is not None:
            reading, writing = os.pipe()
            os.write(writing, self._config)
            os.close(writing)
            command.append(str(reading))
            passed = (reading,)
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=passed
            )
        for descriptor in passed:
            os.close(descriptor)

    @property
    def pid(self) -> int:
        """Of the process as it runs now."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Ends it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Asks it to end, and waits."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)

    def check(self) -> None:
        """Fails if it has ended by itself, with what it said."""
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-3000:]


class TwoSites:
    """An edge that plays a file, and a centre that mirrors it."""

    def __init__(self, folder: Path, recording: Path, options: dict[str, object]) -> None:
        self.folder, self.recording, self.options = folder, recording, options

    def edge(self, port: int, keep_bytes: int = 1 << 30) -> Process:
        """The edge, which connects to a port of the loopback."""
        source = EdgeSource(
            "mirrorworld.connectors.recording:Recording",
            str(self.recording),
            "plant",
            self.options,  # type: ignore[arg-type]
        )
        edge = Edge(
            "north", str(self.folder / "edge"), "127.0.0.1", port, [source], keep_bytes=keep_bytes
        )
        (self.folder / "edge").mkdir(exist_ok=True)
        command = [sys.executable, "-m", "mirrorworld.edge"]
        return Process(command, self.folder / "edge.log", msgspec.json.encode(edge))

    def centre(self, port: int) -> Process:
        """The centre, which listens there."""
        command = [sys.executable, "-c", CENTRE, str(self.folder / "centre")]
        command.append(f"site://127.0.0.1:{port}/north")
        return Process(command, self.folder / "centre.log")

    def forget(self, which: str) -> None:
        """Puts away what a process said of itself that was killed."""
        (self.folder / ("edge/edge.json" if which == "edge" else "centre.json")).unlink(True)

    def standing(self, which: str) -> dict[str, object]:
        """How the edge or the centre says that it is."""
        path = self.folder / ("edge/edge.json" if which == "edge" else "centre.json")
        with contextlib.suppress(OSError, ValueError):
            return json.loads(path.read_text())
        return {}

    async def until(self, condition, what: str, timeout_s: float = 240.0) -> None:
        """Returns as soon as the condition holds; fails, saying how they are, at the deadline."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                logs = [(self.folder / f"{n}.log") for n in ("edge", "centre")]
                said = "\n".join(log.read_text()[-2000:] for log in logs if log.exists())
                raise AssertionError(
                    f"not within {timeout_s:g} s: {what};\nedge {self.standing('edge')}\n"
                    f"centre {self.standing('centre')}\n{said}"
                )
            await asyncio.sleep(0.05)
