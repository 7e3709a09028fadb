"""Publishers that lie, flood or never stop naming: contained, counted, told, the rest unharmed."""

from __future__ import annotations

import json
import time
import tracemalloc

from mirrorworld.connectors.json_messages import JsonTopics
from mirrorworld.connectors.topics import TopicTwins
from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.pipeline import Pipeline, SourceSink
from mirrorworld.record import open_record, restore
from mirrorworld.testing.connectors import WatchingSink

NOW_NS = 1_800_000_000_000_000_000
FLOOD = 20_000


class Broker:
    """What a broker's messages become."""

    def __init__(self, max_points: int) -> None:
        self.sink = WatchingSink()
        self.twins = TopicTwins("s", max_points)
        self.topics = JsonTopics(self.twins)
        self._now_ns = NOW_NS

    async def say(self, *messages: tuple[str, object]) -> None:
        self._now_ns += 1_000_000_000
        topics = [topic.encode() for topic, _ in messages]
        payloads = [json.dumps(value).encode() for _, value in messages]
        frame = await self.topics.frame(topics, payloads, set(), self._now_ns, self.sink)
        if frame is not None:
            await self.sink.push(frame)

    def value(self, twin: str, point: str) -> object:
        world = self.sink.inner.world
        return world.value(int(world.handles([(twin, point)])[0]))


async def _flood(broker: Broker, start: int, body: object, topic: str = "flood/{}") -> None:
    for first in range(start, start + FLOOD, 1_000):
        await broker.say(*((topic.format(i), body) for i in range(first, first + 1_000)))


async def test_new_names_without_end_are_bounded_told_and_the_rest_goes_on() -> None:
    broker = Broker(max_points=100)
    await broker.say(("line/good", {"level": 1.0}))
    await _flood(broker, 0, {"a": 1.0})
    world = broker.sink.inner.world
    assert world.n_points == 100
    assert len(world.structure.twins) < 110, "a topic whose points do not fit is no twin either"
    assert broker.sink.counts["over_max_points"] == FLOOD - 99
    told = [e for e in broker.sink.events if e.kind == "too_many_points"]
    assert len(told) == 1 and "raise max_points" in told[0].message.best("en")
    await broker.say(("line/good", {"level": 2.0}))
    assert broker.value("s/line/good", "level") == 2.0


async def test_topics_without_points_are_bounded_too() -> None:
    broker = Broker(max_points=100)
    await _flood(broker, 0, {})
    assert len(broker.sink.inner.world.structure.twins) <= 4 * 100 + 101
    assert any(e.kind == "too_many_points" for e in broker.sink.events)


async def test_memory_stays_bounded_while_names_keep_coming() -> None:
    broker = Broker(max_points=100)
    await _flood(broker, 0, 1.0)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await _flood(broker, FLOOD, 1.0)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < FLOOD * 10, f"{(after - before) / FLOOD:.0f} bytes for each new name"


async def test_looks_without_end_of_one_topic_take_no_more_room() -> None:
    broker = Broker(max_points=2_000)

    async def looks() -> None:
        for i in range(300):
            await broker.say(("t", {f"a{i % 150}": 1.0, f"b{i % 150}": 2.0}))

    await looks()
    places = sum(len(shape.handles) for shape in broker.topics._shapes.values())
    await looks()
    assert broker.sink.counts["mqtt_shape_not_kept"] > 0
    assert sum(len(shape.handles) for shape in broker.topics._shapes.values()) == places


async def test_a_type_that_changes_in_mid_stream_is_left_out_told_once_and_comes_back() -> None:
    broker = Broker(max_points=100)
    await broker.say(("t", {"a": 1.0, "b": 1.0}))
    for i in range(50):
        await broker.say(("t", {"a": "broken", "b": float(i)}))
    assert broker.value("s/t", "a") == 1.0 and broker.value("s/t", "b") == 49.0
    assert broker.sink.counts["samples_left_out"] == 50
    assert len([e for e in broker.sink.events if e.kind == "type_changed"]) == 1
    await broker.say(("t", {"a": 3.0, "b": 3.0}))
    assert broker.value("s/t", "a") == 3.0


async def test_who_lies_about_time_locks_no_point_and_is_counted(tmp_path) -> None:
    record = open_record(tmp_path / "record", "w", compacts=False)
    pipeline = Pipeline(restore(record), record, RoleGuard())
    pipeline.start()
    sink = SourceSink(pipeline, "s")
    twins = TopicTwins("s", 100)
    topics = JsonTopics(twins)

    async def say(ms: int, value: float) -> None:
        payload = json.dumps({"ts": ms, "a": value}).encode()
        frame = await topics.frame([b"t"], [payload], set(), time.time_ns(), sink)
        assert frame is not None
        await sink.push(frame)

    now_ms = time.time_ns() // 1_000_000
    await say(now_ms - 1_000, 1.0)
    year_ms = 365 * 86_400_000
    for i in range(6):
        await say(now_ms + year_ms + i, 2.0 + i)
    assert sink.tally.future == 6
    assert sink.counts["clock_jumps"] == 1
    assert pipeline.world.events["s/clock"].kind == "clock_jump"
    await say(time.time_ns() // 1_000_000 + 50, 99.0)
    handle = int(pipeline.world.handles([("s/t", "a")])[0])
    assert pipeline.world.value(handle) == 99.0, "a lie about the future must not lock the point"
    await pipeline.stop()
