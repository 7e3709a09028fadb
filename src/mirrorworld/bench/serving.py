"""A world that is served by a process of its own, for benches that come to it as others do."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psutil

START_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Serving:
    """A served world."""

    url: str
    token: str
    pid: int

    @property
    def headers(self) -> Mapping[str, str]:
        """What opens the doors: the owner's token."""
        return {"authorization": f"Bearer {self.token}"}

    def cpu_s(self) -> float:
        """CPU time of the server's process so far, user and system."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system


@contextlib.contextmanager
def serving(
    directory: Path, *sources: str, options: Mapping[str, str | int] | None = None
) -> Iterator[Serving]:
    """Serves the world in a directory with `mirrorworld up`, until left."""
    program = "from mirrorworld.cli import main; main()"
    command = [sys.executable, "-c", program, "up", *sources, "--dir", str(directory)]
    command += ["--world", "bench", "--empty", "--port", "0", "--no-browser"]
    command += ["--discovery", "off"]
    for name, value in (options or {}).items():
        command += ["--option", f"{name}={value}"]
    log = directory.with_suffix(".log")
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield _until_there(directory, process, log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_there(directory: Path, process: subprocess.Popen[bytes], log: Path) -> Serving:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the world ended: {log.read_text(errors='replace')[-500:]}")
        with contextlib.suppress(OSError, httpx.HTTPError):
            url = (directory / "address").read_text().strip()
            token = (directory / "token").read_text().strip()
            if url and httpx.get(f"{url}/healthz", timeout=2).status_code == 200:
                return Serving(url, token, process.pid)
        time.sleep(0.1)
    raise RuntimeError(f"the world did not start: {log.read_text(errors='replace')[-500:]}")
