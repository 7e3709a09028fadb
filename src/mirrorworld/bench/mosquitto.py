"""The broker of the benches: a mosquitto of their own on the loopback.

Nothing in its configuration is a secret of speed: its bounds on what waits are lifted, since with
the default of 20 messages in flight they would set the pace, and a bench prints what it used.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CONFIG: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence {persistence}
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 0
set_tcp_nodelay true
log_type error
"""
START_S: Final = 15.0


class Broker:
    """One mosquitto that can be killed and started again at the same port.

    With `persists` it keeps its sessions in `folder`, and writes them down at each change: a broker
    that is killed then has what it has acknowledged.
    """

    def __init__(self, folder: Path, *, persists: bool = False) -> None:
        program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if program is None:
            raise RuntimeError("there is no mosquitto here; apt-get install mosquitto brings it")
        self._program, self._folder = program, folder
        self.port = free_port()
        self.config = CONFIG.format(port=self.port, persistence=str(persists).lower())
        if persists:
            self.config += (
                f"persistence_location {folder}/\nautosave_interval 1\nautosave_on_changes true\n"
            )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts it; returns when it listens."""
        path = self._folder / "mosquitto.conf"
        path.write_text(self.config)
        process = subprocess.Popen([self._program, "-c", str(path)], stderr=subprocess.DEVNULL)
        self._process = process
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise RuntimeError(f"mosquitto did not start with\n{self.config}") from None
                time.sleep(0.05)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Ends it in good order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


@contextlib.contextmanager
def broker() -> Iterator[tuple[int, str]]:
    """A mosquitto that keeps nothing, until left: (port, configuration)."""
    with tempfile.TemporaryDirectory() as folder:
        running = Broker(Path(folder))
        running.start()
        try:
            yield running.port, running.config
        finally:
            running.stop()


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def allow_connections(n: int) -> None:
    """Raises this process's limit of open files, which its children inherit, to n connections.

    Raises:
        RuntimeError: the hard limit is lower; says how to raise it.
    """
    wanted = n + 512
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise RuntimeError(
                f"{n} connections need {wanted} open files and the hard limit is {hard}:"
                f" raise it with `ulimit -Hn {wanted}` as root, or ask for fewer clients"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
