"""Processes of a bench that are no twin: plants and viewers, told what to do by lines."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType
from typing import Any

import psutil


class Peer:
    """One such process; ends with the block that it is used in."""

    def __init__(self, module: str, asked: dict[str, Any]) -> None:
        command = [sys.executable, "-m", f"mirrorworld.bench.{module}", json.dumps(asked)]
        self._module = module
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def until_ready(self) -> None:
        """Returns when it says that it is ready.

        Raises:
            RuntimeError: it ended instead.
        """
        assert self.process.stdout is not None
        said = self.process.stdout.readline().strip()
        if said != "ready":
            raise RuntimeError(f"{self._module} did not start: {said or 'it ended'}")

    def tell(self) -> None:
        """Gives it a line: go, or enough."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """What it says of what it did.

        Raises:
            RuntimeError: it ended without a word.
        """
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        if not said:
            raise RuntimeError(f"{self._module} ended before it said what it did")
        return json.loads(said)

    def cpu_s(self) -> float:
        """CPU time so far, user and system."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.communicate()
