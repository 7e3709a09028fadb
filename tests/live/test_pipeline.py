"""The one road in: durable before it is acknowledged, bounded, and honest when the disk fails."""

from __future__ import annotations

import asyncio
import errno
import threading
from pathlib import Path

import numpy as np
import pytest

from mirrorworld.live.guard import OWNER, RoleGuard, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.live.pipeline import Pipeline, Refused, SourceSink
from mirrorworld.record.store import open_record, restore
from mirrorworld.testing.faults import FaultyDisk
from mirrorworld.world.changes import Edits, PutTwin
from mirrorworld.world.frames import Frame, frame
from mirrorworld.world.model import Kind, PointType, Twin
from mirrorworld.world.ports import LinkState
from mirrorworld.world.world import Snapshot
from tests.live.conftest import PUMP, HandSource, open_mirror


async def make(folder: Path, **options: int) -> tuple[Pipeline, SourceSink]:
    record = open_record(folder / "record", "w")
    pipeline = Pipeline(restore(record), record, RoleGuard(), **options)
    pipeline.start()
    sink = SourceSink(pipeline, "plant")
    points = tuple(PointType(f"p{i}") for i in range(100))
    await sink.declare(Edits((PutTwin(Twin("plant/rig", points=points)),)))
    return pipeline, sink


def rows(sink: SourceSink, step: int) -> Frame:
    times = np.full(100, sink.now_ns() + step)
    return frame(np.arange(100), np.full(100, float(step)), times)


async def test_what_was_acknowledged_is_there_after_the_next_opening(tmp_path: Path) -> None:
    pipeline, sink = await make(tmp_path)
    for step in range(20):
        ticket = await sink.push(rows(sink, step))
    await sink.durable(ticket)
    before = pipeline.world.state_hash()
    pipeline.record.close()  # as a kill would: no last keyframe
    with open_record(tmp_path / "record", "w") as record:
        again = restore(record)
        assert again.position.sequence >= ticket
        assert again.state_hash() == before


async def test_groups_share_one_commit(tmp_path: Path) -> None:
    pipeline, sink = await make(tmp_path)
    tickets = [await sink.push(rows(sink, step)) for step in range(500)]
    await asyncio.gather(*(sink.durable(ticket) for ticket in tickets))
    assert pipeline.commits < 50
    assert pipeline.durable.sequence >= tickets[-1]
    await pipeline.stop()


async def test_nobody_waits_for_a_keyframe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, sink = await make(tmp_path)
    await sink.durable(pipeline.world.position.sequence)
    begun, may_end = threading.Event(), threading.Event()
    keyframe = pipeline.record.keyframe

    def slow(snapshot: Snapshot) -> None:
        begun.set()
        assert may_end.wait(20)
        keyframe(snapshot)

    monkeypatch.setattr(type(pipeline.record), "wants_keyframe", True)
    monkeypatch.setattr(pipeline.record, "keyframe", slow)
    ticket = await sink.push(rows(sink, 1))
    await sink.durable(ticket)
    monkeypatch.setattr(type(pipeline.record), "wants_keyframe", False)
    assert await asyncio.to_thread(begun.wait, 20)
    assert pipeline.durable.sequence >= ticket
    may_end.set()
    await pipeline.stop()


async def test_push_waits_while_too_much_is_not_durable(tmp_path: Path) -> None:
    pipeline, sink = await make(tmp_path, pending_rows_max=1_000)
    highest = 0
    for step in range(200):
        await sink.push(rows(sink, step))
        highest = max(highest, pipeline.pending_rows)
    assert highest <= 1_100
    assert pipeline.rows == 20_000
    await pipeline.stop()


async def test_a_source_declares_only_what_is_its_own(tmp_path: Path) -> None:
    pipeline, sink = await make(tmp_path)
    with pytest.raises(Refused, match="its twins begin with 'plant/'"):
        await sink.declare(Edits((PutTwin(Twin("other/rig")),)))
    assert "other/rig" not in pipeline.world.structure.twins
    await pipeline.stop()


async def test_a_clock_that_jumps_is_said_once(tmp_path: Path) -> None:
    pipeline, sink = await make(tmp_path)
    hour_ns = 3_600_000_000_000
    for step in range(30):
        behind = 0 if step < 10 else hour_ns
        await sink.push(frame([0], [float(step)], sink.now_ns() - behind))
    assert sink.counts["clock_jumps"] == 1
    event = pipeline.world.events["plant/clock"]
    assert "jumped by -3600 s" in event.message.best("en")
    await pipeline.stop()


async def test_a_single_late_sample_is_no_jump_of_the_clock(tmp_path: Path) -> None:
    pipeline, sink = await make(tmp_path)
    for step in range(30):
        behind = 3_600_000_000_000 if step % 10 == 5 else 0
        await sink.push(frame([0], [float(step)], sink.now_ns() - behind))
    assert sink.counts["clock_jumps"] == 0
    await pipeline.stop()


async def test_a_full_disk_acknowledges_nothing_and_says_so(tmp_path: Path) -> None:
    disk = FaultyDisk(tmp_path)
    record = open_record(tmp_path / "record", "w", files=disk)
    pipeline = Pipeline(restore(record), record, RoleGuard())
    pipeline.start()
    sink = SourceSink(pipeline, "plant")
    await sink.declare(Edits((PutTwin(Twin("plant/rig", points=(PointType("p"),))),)))
    good = await sink.push(frame([0], [1.0], 1))
    await sink.durable(good)
    disk.fail_sync = errno.ENOSPC
    bad = await sink.push(frame([0], [2.0], 2))
    with pytest.raises(OSError, match="record"):
        await sink.durable(bad)
    with pytest.raises(OSError, match="record"):
        await sink.push(frame([0], [3.0], 3))
    assert pipeline.failure is not None
    await pipeline.stop()
    with open_record(tmp_path / "record", "w") as again:
        world = restore(again)
        assert world.position.sequence >= good
        assert world.value(0) in (1.0, 2.0), "acknowledged, or at most more than that"


async def test_a_connector_that_fails_is_started_anew(mirror: Mirror, source: HandSource) -> None:
    feed = mirror.feeds.get("plant")
    assert feed.link.state is LinkState.LIVE
    await mirror.feeds.restart("plant")
    assert mirror.feeds.get("plant").connector is not source
    await mirror.feeds.remove("plant")
    assert not mirror.sources()
    assert PUMP.id in mirror.world.structure.twins, "twins and their past stay"


async def test_authored_work_survives_a_restart(tmp_path: Path) -> None:
    mirror = await open_mirror(tmp_path)
    owner = principal("kim", OWNER)
    await mirror.edit(owner, Edits((PutTwin(Twin("hall")),), "a place for it"))
    connector = mirror.feeds.get("plant").connector
    assert isinstance(connector, HandSource)
    await connector.report("speed", Kind.FLOAT, 7.0)
    await mirror.stop()
    again = await open_mirror(tmp_path)
    assert "hall" in again.world.structure.twins
    assert again.world.value(int(again.world.handles([(PUMP.id, "speed")])[0])) == 7.0
    assert again.world.epoch == 2
    await again.stop()
