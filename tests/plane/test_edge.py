"""An edge: its disk is bounded, what that costs is told, and it is small."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs the extra 'zenoh'")

from mirrorworld import edge as edges
from mirrorworld.edge import Edge, EdgeSource, run
from mirrorworld.record.store import open_record
from mirrorworld.testing.connectors import until
from mirrorworld.world.changes import Edits, OriginKind, PutTwin
from mirrorworld.world.frames import frame
from mirrorworld.world.model import PointType, Twin
from mirrorworld.world.ports import Link, LinkState, Sink, SourceConfig


class Noise:
    """A source of noise, which compresses badly, as fast as it is taken."""

    schemes = ("noise",)

    def __init__(self, config: SourceConfig) -> None:
        self.link = Link(LinkState.CONNECTING)
        self._name = config.name

    async def run(self, sink: Sink) -> None:
        names = [f"p{i}" for i in range(1_000)]
        points = tuple(PointType(name) for name in names)
        await sink.declare(Edits((PutTwin(Twin(self._name, points=points)),)))
        handles = sink.handles([(self._name, name) for name in names])
        rng = np.random.default_rng(1)
        self.link = Link(LinkState.LIVE)
        for number in range(1 << 30):
            body = frame(handles, rng.normal(size=1_000), 10**18 + number)
            ticket = await sink.push(
                body, incarnation=1, source_seq=number, origin=OriginKind.MEASURED
            )
            await sink.durable(ticket)


async def test_the_disk_is_bounded_and_what_goes_is_counted(
    tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "LOOK_EVERY_S", 0.05)
    keep = 3_000_000
    source = EdgeSource(f"{__name__}:Noise", "noise://", "noise")

    edge = Edge("north", str(tmp_path), "127.0.0.1", free_port(), [source], keep_bytes=keep)
    stop = asyncio.Event()
    said: list[str] = []
    running = asyncio.create_task(run(edge, said.append, stop))

    def standing() -> dict:
        path = tmp_path / "edge.json"
        return json.loads(path.read_text()) if path.exists() else {}

    largest = 0

    def has_dropped_twice() -> bool:
        nonlocal largest
        size = 0
        for file in (tmp_path / "record" / "log").glob("*.mwlog"):
            with suppress(FileNotFoundError):  # the oldest go while one looks
                size += file.stat().st_size
        largest = max(largest, size)
        if running.done():
            running.result()
        return standing().get("dropped_before_held", 0) > 0 and standing()["kept_from"] > 1_000

    await until(has_dropped_twice, "the oldest to go", 90)
    now = standing()
    assert now["counts"]["changes_dropped_before_they_were_held"] == now["dropped_before_held"]
    assert now["dropped_before_held"] == now["kept_from"] - 1, "nobody had any of it"
    assert now["is_linked"] is False
    stop.set()
    await running
    # A segment of a megabyte and what comes between two looks may lie over it.
    assert largest < 3 * keep
    with open_record(tmp_path / "record", read_only=True) as record:
        assert record.kept_from == now["kept_from"]
        assert next(iter(record.log.changes(0))).position is not None


def test_an_edge_imports_neither_numba_nor_a_server() -> None:
    import subprocess

    code = (
        "import sys; sys.modules['numba'] = None; import mirrorworld.edge;"
        "print([m for m in ('pyarrow', 'sqlalchemy', 'fastapi', 'uvicorn', 'httpx', 'pint')"
        " if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
