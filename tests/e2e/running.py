"""`mirrorworld up` as a user runs it: a child process, reached by what it prints and its ports."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pyarrow as pa

T = TypeVar("T")

PROGRAM = Path(sys.executable).parent / "mirrorworld"
STARTS_WITHIN_S = 90
"""Twelve times what it takes on two quiet cores: compiled loops may have to be compiled first."""
ENDS_WITHIN_S = 30
ARROW = "application/vnd.apache.arrow.stream"


class Running:
    """One run of the program. Its output is read as it comes and kept."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.arguments = arguments
        self.out: list[str] = []
        self.err: list[str] = []
        self.process = subprocess.Popen(
            [str(PROGRAM), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, "COLUMNS": "200", **(environment or {})},
        )
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()
        self.url = ""
        self.token = ""
        self._client: httpx.Client | None = None

    # --- life ---

    def until_up(self, timeout_s: float = STARTS_WITHIN_S) -> Running:
        """Returns when it has printed the address of its page."""

        def address() -> re.Match[str] | None:
            return next(
                filter(None, (re.search(r"(http\S+)/\?token=(\S+)", x) for x in self.out)), None
            )

        with self._news:
            self._news.wait_for(lambda: address() or self._has_ended, timeout_s)
        found = address()
        assert found is not None, f"no address within {timeout_s} s:\n{self.said}"
        self.url, self.token = found.group(1), found.group(2)
        self._client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60
        )
        return self

    def until_ended(self, timeout_s: float = STARTS_WITHIN_S) -> int:
        """Waits until it ends by itself; its exit status."""
        status = self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join(timeout_s)
        return status

    def stop(self) -> int:
        """Ends it in good order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        if self._client is not None:
            self._client.close()
        try:
            status = self.process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {ENDS_WITHIN_S} s:\n{self.said}") from None
        for reader in self._readers:
            reader.join(5)
        return status

    @property
    def said(self) -> str:
        """All it has printed."""
        return "".join([f"$ mirrorworld {' '.join(self.arguments)}\n", *self.out, *self.err])

    @property
    def _has_ended(self) -> bool:
        return self.process.poll() is not None

    def _read(self, stream: Any, lines: list[str]) -> None:
        with stream:
            for line in stream:
                with self._news:
                    lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    # --- asking ---

    @property
    def client(self) -> httpx.Client:
        assert self._client is not None, "it is not up yet"
        return self._client

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON answer of a route."""
        answer = self.client.get(f"/api/{path}", params=parameters)
        assert answer.status_code == 200, f"{path} {parameters}: {answer.text}"
        return answer.json()

    def post(self, path: str, body: Any) -> httpx.Response:
        """The answer to a request that does something."""
        return self.client.post(f"/api/{path}", json=body)

    def until(self, what: str, look: Callable[[], T], timeout_s: float = 30) -> T:
        """What `look` gives as soon as it is true; it is asked again until then."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                found = look()
            except httpx.TransportError as error:
                raise AssertionError(f"{what}: {error!r}\n{self.said}") from error
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_s} s: {what}\n{self.said}")
            time.sleep(0.05)

    def source(self, name: str) -> dict[str, Any]:
        """How a source stands."""
        return next((s for s in self.get("sources") if s["name"] == name), {})

    def until_source(self, name: str, state: str, timeout_s: float = 60) -> dict[str, Any]:
        """The source, once it is in a state."""

        def look() -> dict[str, Any] | None:
            found = self.source(name)
            return found if found.get("state") == state else None

        return self.until(f"source {name} is {state}", look, timeout_s)

    def points(self, **parameters: Any) -> dict[str, dict[str, Any]]:
        """Latest values by `twin.point`."""
        return {p["id"]: p for p in self.get("points", **parameters)["points"]}

    def value(self, point: str) -> Any:
        """The latest value of a point; None while there is none."""
        answer = self.client.get("/api/points", params={"id": point})
        if answer.status_code != 200:
            return None
        return answer.json()["points"][0]["value"]

    def history(self, *points: str) -> dict[str, pa.Table]:
        """All samples of points that are on record, by point, as Arrow tables."""
        answer = self.client.get(
            "/api/history", params={"point": list(points)}, headers={"Accept": ARROW}
        )
        assert answer.status_code == 200, answer.text
        table = pa.ipc.open_stream(answer.content).read_all()
        names = table["point"].combine_chunks().cast(pa.string())
        return {
            point: table.filter(pa.compute.equal(names, point))  # type: ignore[attr-defined]
            for point in points
        }
