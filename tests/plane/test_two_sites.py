"""Two real processes over loopback TCP: cut, killed, and in the end the same row for row."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs the extra 'zenoh'")

from mirrorworld.record.store import open_record, restore
from mirrorworld.testing.links import CutLink
from mirrorworld.world.frames import Frame
from tests.plane.two_processes import TwoSites

POINTS = 50

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]


def _recording(path: Path, n: int) -> Path:
    with open(path, "w") as file:
        file.write("time," + ",".join(f"p{i}" for i in range(POINTS)) + "\n")
        for i in range(n):
            values = ",".join(f"{i + p / 100}" for p in range(POINTS))
            file.write(f"{1_700_000_000 + i},{values}\n")
    return path


@dataclass(frozen=True)
class Rows:
    """The samples of a record, as columns, in the order of its log."""

    name: np.ndarray
    cell: np.ndarray
    quality: np.ndarray
    source_ns: np.ndarray
    incarnation: np.ndarray
    """From here on by change."""
    number: np.ndarray
    length: np.ndarray

    def by_number(self) -> Rows:
        """In the order of the numbers of their changes."""
        order = np.argsort(self.number, kind="stable")
        starts = np.cumsum(self.length) - self.length
        at = np.concatenate([np.arange(starts[i], starts[i] + self.length[i]) for i in order])
        rows = (column[at] for column in (self.name, self.cell, self.quality, self.source_ns))
        return Rows(*rows, self.incarnation[order], self.number[order], self.length[order])


def _read(directory: Path, prefix: str = "") -> Rows:
    with open_record(directory, read_only=True) as record:
        world = restore(record)
        names: list[int] = []
        for handle in range(world.n_points):
            twin, point = world.point(handle)
            assert twin.startswith(prefix)
            names.append(int(point.name.removeprefix("p")))
        changes = [c for c in record.log.changes(0) if isinstance(c.body, Frame)]
        frames = [c.body for c in changes if isinstance(c.body, Frame)]
        return Rows(
            np.array(names)[np.concatenate([f.point for f in frames])],
            np.concatenate([f.cell for f in frames]),
            np.concatenate([f.quality for f in frames]),
            np.concatenate([f.source_ns for f in frames]),
            np.array([c.incarnation for c in changes]),
            np.array([c.source_seq for c in changes]),
            np.array([len(f) for f in frames]),
        )


def _assert_same(folder: Path) -> Rows:
    """The centre has the edge's rows, each once, and each lane had them in order."""
    edge = _read(folder / "edge" / "record", "plant")
    centre = _read(folder / "centre", "north/plant")
    sorted_ = centre.by_number()
    assert len(sorted_.cell) == len(edge.cell)
    for column in ("name", "cell", "quality", "source_ns"):
        assert (getattr(sorted_, column) == getattr(edge, column)).all(), column
    for incarnation in np.unique(centre.incarnation):
        of_lane = centre.number[centre.incarnation == incarnation]
        assert (np.diff(of_lane) > 0).all(), "a lane went back"
    return centre


async def test_an_outage_is_caught_up_while_live_goes_on(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """The link is cut while the edge goes on; after that live is there before the past is."""
    n = 16_000
    recording = _recording(tmp_path / "shift.csv", n)
    sites = TwoSites(tmp_path, recording, {"speed": 500})
    port = free_port()
    centre = sites.centre(port)
    async with CutLink(port) as link:
        edge = sites.edge(link.port)
        try:
            centre.start()
            edge.start()
            await sites.until(
                lambda: int(str(sites.standing("centre").get("accepted", 0))) > 10_000,
                "the start",
                180,
            )
            link.cut()
            before = int(str(sites.standing("centre")["accepted"]))

            def recorded() -> int:
                sources = sites.standing("edge").get("sources", {})
                return sources.get("plant", {}).get("accepted", 0)  # type: ignore[union-attr]

            await sites.until(lambda: recorded() > before + 300_000, "the edge going on")
            edge.check()
            link.mend()
            await sites.until(lambda: recorded() == n * POINTS, "the end of the recording")
            await sites.until(
                lambda: sites.standing("centre").get("accepted") == n * POINTS, "all of it"
            )
            centre.check()
        finally:
            edge.stop()
            centre.stop()
    centre_rows = _assert_same(tmp_path)
    assert len(centre_rows.cell) == n * POINTS
    # The lanes of the outage: of the run that was cut, and of the one that went on live.
    lanes = centre_rows.incarnation
    runs = np.unique(lanes)
    past, live = np.flatnonzero(lanes == runs[-2]), np.flatnonzero(lanes == runs[-1])
    assert live[0] < past[-1], "what was live waited for the past"
    assert "duplicate" not in str(sites.standing("centre")["counts"])


@pytest.mark.parametrize("seed", [1, 2])
async def test_either_is_killed_at_random(
    tmp_path: Path, free_port: Callable[[], int], seed: int
) -> None:
    """kill -9 of either, and cuts, at random moments: nothing is lost, nothing is doubled."""
    chance = random.Random(seed)
    n = 6_000
    recording = _recording(tmp_path / "shift.csv", n)
    sites = TwoSites(tmp_path, recording, {"speed": 250})
    port = free_port()
    centre = sites.centre(port)
    async with CutLink(port) as link:
        edge = sites.edge(link.port)
        try:
            centre.start()
            edge.start()
            for _ in range(8):
                await sites.until(lambda: sites.standing("centre").get("link") == "live", "a link")
                await asyncio.sleep(chance.uniform(0.1, 2.0))
                for process in (edge, centre):
                    process.check()
                what = chance.choice(("edge", "centre", "link", "stall"))
                if what == "link":
                    link.cut()
                    await asyncio.sleep(chance.uniform(0.1, 2.0))
                    link.mend()
                elif what == "stall":
                    link.stall()
                    await asyncio.sleep(chance.uniform(0.5, 2.0))
                    link.mend()
                else:
                    process = edge if what == "edge" else centre
                    process.kill()
                    sites.forget(what)
                    await asyncio.sleep(chance.uniform(0.0, 1.0))
                    process.start()

            def is_whole() -> bool:
                edge, centre = sites.standing("edge"), sites.standing("centre")
                plant = edge.get("sources", {}).get("plant", {})  # type: ignore[union-attr]
                return (
                    plant.get("link") == "ended"
                    and centre.get("link") == "live"
                    and edge.get("held") == edge.get("durable")
                )

            await sites.until(is_whole, f"all of it (seed {seed})", 300)
        finally:
            edge.stop()
            centre.stop()
    assert len(_assert_same(tmp_path).cell) == n * POINTS
