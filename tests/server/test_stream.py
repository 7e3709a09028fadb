"""The stream: whole + changes = fresh whole, for every viewer, however slow or often cut off."""

from __future__ import annotations

import asyncio
import bisect
import random
import socket
import struct
from collections.abc import Callable

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from mirrorworld.protocol import binary, messages
from mirrorworld.server import stream as stream_module
from mirrorworld.server.views import Pace
from mirrorworld.world.changes import (
    Arm,
    CommandState,
    Disarm,
    DropProperty,
    DropRelation,
    DropTwin,
    Edits,
    Event,
    Position,
    PutName,
    PutPoints,
    PutPose,
    PutProperty,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.frames import Frame, FrameBuilder
from mirrorworld.world.model import (
    Kind,
    PointType,
    Pose,
    Property,
    Relation,
    Text,
    Twin,
    TwinType,
)
from tests.server.stand_in import (
    SECOND_NS,
    START_NS,
    TOKEN,
    Copy,
    Served,
    StandIn,
    line,
    served,
    truth,
)

DEADLINE_S = 20


@pytest.fixture
async def here():
    async with served(line()) as running:
        yield running


class Viewer:
    """A page's side of a session."""

    def __init__(self, socket: ClientConnection, copy: Copy) -> None:
        self.socket = socket
        self.copy = copy

    async def say(self, message: messages.ClientMessage) -> None:
        await self.socket.send(messages.encode(message).decode())

    async def until(self, condition: Callable[[object], bool]) -> object:
        """Hears messages until one makes the condition true; gives that one."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                heard = self.copy.hear(await self.socket.recv())
                if condition(heard):
                    return heard

    async def until_told(self, handle: int, mark: float) -> None:
        """Hears everything up to a value that was set last of all, and what comes with it."""
        await self.until(lambda _: self.copy.values.get(handle, (None,))[0] == mark)
        await self.say(messages.Ping(7))
        await self.until(lambda heard: isinstance(heard, messages.Pong))


def mark(mirror: StandIn, number: int) -> tuple[int, float]:
    """Sets a value of its own, by which a viewer knows that it has heard everything before."""
    mirror.apply(Edits((PutPoints("line1", (PointType("mark"),)),)))
    handle = mirror.world.structure.handle("line1", "mark")
    mirror.clock_ns += SECOND_NS
    builder = FrameBuilder()
    builder.add(handle, Kind.FLOAT, float(number), mirror.clock_ns)
    mirror.apply(builder.build())
    return handle, float(number)


async def view(here: Served, copy: Copy | None = None, **hello: object) -> Viewer:
    socket = await connect(
        f"ws://{here.host}/api/stream",
        additional_headers={"Authorization": f"Bearer {TOKEN}"},
        max_size=None,
        compression=None,
    )
    copy = copy or Copy()
    viewer = Viewer(socket, copy)
    await viewer.say(messages.Hello(**hello))  # pyright: ignore[reportArgumentType]
    return viewer


def is_frame(kind: int) -> Callable[[object], bool]:
    return lambda heard: isinstance(heard, binary.ValueFrame) and heard.kind == kind


async def test_a_session_begins_with_everything(here: Served):
    viewer = await view(here)
    await viewer.until(is_frame(binary.SNAPSHOT))
    copy, world = viewer.copy, here.mirror.world
    assert copy.welcome is not None
    assert copy.welcome.position == str(world.position)
    assert {t["id"] for t in copy.twins.values()} == set(world.structure.twins)
    assert len(copy.points) == world.n_points
    assert set(copy.relations) == set(world.structure.relations)
    assert set(copy.events) == {"line1/filler:jam"}
    level = world.structure.handle("line1/filler", "level")
    assert copy.values[level] == (41.5, 0, START_NS / 1e6)
    order = world.structure.handle("line1/filler", "order")
    assert copy.texts[order] == "A-17"
    await viewer.socket.close()


async def test_changes_follow(here: Served):
    viewer = await view(here)
    await viewer.until(is_frame(binary.SNAPSHOT))
    here.mirror.clock_ns += SECOND_NS
    here.mirror.sample(level=50.0)
    delta = await viewer.until(is_frame(binary.DELTA))
    assert isinstance(delta, binary.ValueFrame)
    assert delta.handle.tolist() == [here.mirror.world.structure.handle("line1/filler", "level")]
    assert delta.value.tolist() == [50.0]
    await viewer.socket.close()


async def test_only_what_is_watched_comes(here: Served):
    structure = here.mirror.world.structure
    level, count = (structure.handle("line1/filler", name) for name in ("level", "count"))
    viewer = await view(here, watch=[count])
    frame = await viewer.until(is_frame(binary.SNAPSHOT))
    assert isinstance(frame, binary.ValueFrame)
    assert frame.handle.tolist() == [count]
    here.mirror.clock_ns += SECOND_NS
    here.mirror.sample(level=50.0)
    here.mirror.sample(count=8)
    frame = await viewer.until(is_frame(binary.DELTA))
    assert isinstance(frame, binary.ValueFrame)
    assert frame.handle.tolist() == [count]
    await viewer.say(messages.Watch([level, 99_999]))
    frame = await viewer.until(is_frame(binary.SNAPSHOT))
    assert isinstance(frame, binary.ValueFrame)
    assert frame.handle.tolist() == [level]
    await viewer.socket.close()


async def test_exact_values_by_request(here: Served):
    big = (1 << 60) + 1
    here.mirror.clock_ns += SECOND_NS
    here.mirror.sample(count=big)
    handle = here.mirror.world.structure.handle("line1/filler", "count")
    viewer = await view(here)
    await viewer.say(messages.AskExact(5, [handle]))
    answer = await viewer.until(lambda heard: isinstance(heard, messages.Exact))
    assert isinstance(answer, messages.Exact)
    assert (answer.id, answer.values[0].value, answer.values[0].label) == (5, big, str(big))
    await viewer.socket.close()


async def test_a_viewer_may_look_back_while_others_see_the_present(here: Served):
    level = here.mirror.world.structure.handle("line1/filler", "level")
    order = here.mirror.world.structure.handle("line1/filler", "order")
    for step in range(1, 4):
        here.mirror.clock_ns = START_NS + step * SECOND_NS
        here.mirror.sample(level=40.0 + step, order=f"B-{step}")
    here.mirror.clock_ns = START_NS + 3600 * SECOND_NS
    back, other = await view(here), await view(here)
    await other.until(is_frame(binary.SNAPSHOT))
    await back.until(is_frame(binary.SNAPSHOT))
    await back.say(messages.Seek(START_NS / 1e6 + 1500))
    sought = await back.until(lambda heard: isinstance(heard, messages.Sought))
    assert sought == messages.Sought(START_NS / 1e6 + 1500, 0.0)
    await back.until(is_frame(binary.AS_OF))
    assert back.copy.values[level][0] == 41.0
    assert back.copy.texts[order] == "B-1"
    here.mirror.clock_ns += SECOND_NS
    here.mirror.sample(level=99.0)
    await other.until(is_frame(binary.DELTA))
    assert other.copy.values[level][0] == 99.0
    await back.say(messages.Seek(START_NS / 1e6 + 1500, speed=10))
    await back.until(lambda _: back.copy.values[level][0] == 43.0)
    assert back.copy.last_kind == binary.AS_OF
    await back.say(messages.Seek(None))
    await back.until(is_frame(binary.SNAPSHOT))
    assert back.copy.values[level][0] == 99.0
    await asyncio.gather(back.socket.close(), other.socket.close())


async def test_a_moving_past_arrives_in_the_present(here: Served):
    viewer = await view(here)
    await viewer.until(is_frame(binary.SNAPSHOT))
    await viewer.say(messages.Seek(here.mirror.clock_ns / 1e6 - 100, speed=1000))
    await viewer.until(lambda heard: heard == messages.Sought(None, 0.0))
    await viewer.until(is_frame(binary.SNAPSHOT))
    await viewer.socket.close()


@pytest.mark.parametrize("source_ms", [float("1e15"), -1e14])
async def test_a_time_that_is_none_is_refused(here: Served, source_ms):
    viewer = await view(here)
    await viewer.say(messages.Seek(source_ms))
    refusal = await viewer.until(lambda heard: isinstance(heard, messages.Refusal))
    assert isinstance(refusal, messages.Refusal)
    assert refusal.place == "Seek.source_ms"
    await viewer.socket.close()


async def test_what_makes_no_sense_is_refused_and_the_session_goes_on(here: Served):
    viewer = await view(here)
    await viewer.socket.send('{"@":"Dance"}')
    refusal = await viewer.until(lambda heard: isinstance(heard, messages.Refusal))
    assert isinstance(refusal, messages.Refusal)
    assert "Watch" in refusal.detail
    await viewer.say(messages.Ping(1))
    await viewer.until(lambda heard: isinstance(heard, messages.Pong))
    for _ in range(stream_module.REFUSALS_MAX + 1):
        await viewer.socket.send(b"\0")
    with pytest.raises(websockets.ConnectionClosed):
        await viewer.until(lambda _: False)
    assert viewer.socket.close_code == stream_module.CLOSE_PROTOCOL


async def test_a_session_that_does_not_begin_with_hello_is_closed(here: Served):
    socket = await connect(
        f"ws://{here.host}/api/stream",
        additional_headers={"Authorization": f"Bearer {TOKEN}"},
    )
    await socket.send(messages.encode(messages.Ping(1)).decode())
    with pytest.raises(websockets.ConnectionClosed):
        await socket.recv()
    assert socket.close_code == stream_module.CLOSE_PROTOCOL


# --- the law --------------------------------------------------------------------------------


def edit_at_random(draw: random.Random, mirror: StandIn, n: int) -> None:
    """One of all kinds of change, on a small and changing set of twins."""
    structure = mirror.world.structure
    twins = [t for t in structure.twins if t != "line1"]
    if not twins:
        mirror.apply(Edits((PutTwin(Twin("line1/y", "Machine")),)))
        return
    some = draw.choice(twins)
    mirror.clock_ns += SECOND_NS
    roll = draw.randrange(17)
    if roll < 6:
        samples_at_random(draw, mirror)
    elif roll == 6:
        mirror.apply(Edits((PutTwin(Twin(f"line1/x{n % 9}", "Machine")),)))
    elif roll == 7:
        mirror.apply(Edits((DropTwin(some),)))
    elif roll == 8:
        again = Twin(some, "Machine", Text.of(f"again {n}"))
        relation = PutRelation(Relation("part_of", some, "line1"))
        mirror.apply(Edits((DropTwin(some), PutTwin(again), relation)))
    elif roll == 9:
        other = draw.choice(twins)
        mirror.apply(Edits((PutRelation(Relation("feeds", some, other, f"{n % 3}")),)))
    elif roll == 10 and structure.relations:
        mirror.apply(Edits((DropRelation(*draw.choice(list(structure.relations))),)))
    elif roll == 11:
        kind = PointType(f"new{n % 5}", Kind.FLOAT, draw.choice(["", "m", "s"]))
        mirror.apply(Edits((PutPoints(some, (kind,)),)))
    elif roll == 12:
        edits = (
            PutName(some, Text.of(f"name {n}")),
            PutPose(some, Pose(x_m=float(n))),
            PutProperty(some, Property("p", n)),
            DropProperty(some, "serial_number"),
        )
        mirror.apply(Edits(edits))
    elif roll == 13:
        points = (PointType("state", Kind.INT, "", 0.0, float(n + 1)), PointType(f"t{n % 4}"))
        mirror.apply(Edits((PutType(TwinType("Machine", points=points)),)))
    elif roll == 14 and structure.points_of(some):
        point = draw.choice(structure.points_of(some)).name
        mirror.apply(Edits((Arm(some, point, low=float(n)),)))
        if draw.random() < 0.7:
            mirror.apply(Edits((Disarm(*draw.choice(list(structure.arms))),)))
    elif roll == 15:
        active = draw.random() < 0.5
        name = f"e{n % 4}"
        mirror.apply(Event(name, some, "alarm", Text.of(f"{n}"), is_active=active, source_ns=n))
    else:
        from mirrorworld.world.changes import Command

        mirror.apply(Command(f"c{n}", some, operation="x", state=CommandState.REQUESTED))


def samples_at_random(draw: random.Random, mirror: StandIn) -> None:
    world, builder = mirror.world, FrameBuilder()
    for _ in range(draw.randrange(1, 12)):
        handle = draw.randrange(world.n_points)
        kind = Kind(int(world.kinds[handle]))
        value = {
            Kind.FLOAT: draw.choice([draw.uniform(-1e6, 1e6), float("nan")]),
            Kind.INT: draw.randrange(-(1 << 40), 1 << 40),
            Kind.BOOL: draw.random() < 0.5,
            Kind.ENUM: draw.randrange(3),
            Kind.TEXT: f"text {draw.randrange(99)}",
            Kind.ARRAY: None,
            Kind.BLOB: b"blob",
        }[kind]
        quality = draw.choice([0, 0, 0, 0x4090_0000, 0x8031_0000])
        when = mirror.clock_ns - draw.choice([0, 0, 0, 5 * SECOND_NS])
        builder.add(handle, kind, value, when, quality)
    mirror.apply(builder.build())


@pytest.mark.parametrize("seed", range(6))
async def test_whole_and_changes_are_a_fresh_whole(here: Served, seed: int):
    """Law 1, with viewers that are cut off at any byte and resume, or begin anew."""
    draw = random.Random(seed)
    resumed = 0
    copy = Copy()
    viewer = await view(here, copy)
    for n in range(60):
        for _ in range(draw.randrange(1, 5)):
            edit_at_random(draw, here.mirror, n)
        roll = draw.random()
        if roll < 0.2:
            await viewer.until_told(*mark(here.mirror, n))
        elif roll < 0.4:
            # Cut off without a farewell, whatever is on its way.
            viewer.socket.transport.abort()
            viewer = await view(here, copy, resume=copy.position)
            await viewer.until(lambda heard: isinstance(heard, messages.Welcome))
            assert copy.welcome is not None
            resumed += copy.welcome.is_resumed
        elif roll < 0.6:
            await asyncio.sleep(0)
    fresh = await view(here)
    last = mark(here.mirror, 1000)
    await viewer.until_told(*last)
    await fresh.until_told(*last)
    assert copy.seen() == fresh.copy.seen() == truth(here.mirror.world)
    assert resumed > 0
    await asyncio.gather(viewer.socket.close(), fresh.socket.close())


async def test_a_resume_from_nowhere_begins_anew(here: Served):
    for resume in ("1:99999999", "7:1", "nonsense"):
        viewer = await view(here, resume=resume)
        await viewer.until(is_frame(binary.SNAPSHOT))
        assert viewer.copy.welcome is not None
        assert not viewer.copy.welcome.is_resumed
        assert viewer.copy.resets == 1
        await viewer.socket.close()


async def test_viewers_of_the_same_share_what_is_encoded(here: Served):
    viewers = [await view(here) for _ in range(4)]
    for viewer in viewers:
        await viewer.until(is_frame(binary.SNAPSHOT))
    async with here.client() as client:
        for step in range(20):
            here.mirror.clock_ns += SECOND_NS
            here.mirror.sample(level=float(step))
            for viewer in viewers:
                await viewer.until(is_frame(binary.DELTA))
        text = (await client.get("/metrics")).text
    counts = dict(row.split(" ") for row in text.splitlines() if not row.startswith("#"))
    encoded = float(counts["mirrorworld_deltas_encoded_total"])
    shared = float(counts["mirrorworld_deltas_shared_total"])
    assert shared > encoded, "four viewers at the same position share three of four"
    await asyncio.gather(*(viewer.socket.close() for viewer in viewers))


# --- large and slow -------------------------------------------------------------------------


def large(n_twins: int, n_points: int) -> StandIn:
    mirror = StandIn()
    kinds = tuple(PointType(f"p{i}") for i in range(n_points))
    twins = (Twin(f"line1/t{i}", "Big") for i in range(n_twins))
    edits = [PutType(TwinType("Big", points=kinds)), PutTwin(Twin("line1")), *map(PutTwin, twins)]
    edits += [PutRelation(Relation("part_of", f"line1/t{i}", "line1")) for i in range(n_twins)]
    mirror.apply(Edits(tuple(edits)))
    return mirror


def sample_all(mirror: StandIn, value: float) -> None:
    import numpy as np

    n = mirror.world.n_points
    mirror.clock_ns += SECOND_NS
    frame = Frame(
        np.arange(n, dtype=np.uint32),
        np.full(n, value).view(np.int64),
        np.zeros(n, np.uint32),
        np.full(n, mirror.clock_ns, np.int64),
    )
    mirror.apply(frame)


async def test_a_large_structure_comes_in_parts_while_the_loop_goes_on():
    mirror = large(5_000, 4)
    sample_all(mirror, 1.0)
    async with served(mirror) as here:
        viewer = await view(here)
        parts: list[int] = []

        def is_last(heard: object) -> bool:
            if isinstance(heard, messages.Structure):
                parts.append(heard.part)
                return heard.part == heard.parts - 1
            return False

        await viewer.until(is_last)
        assert parts == list(range(len(parts)))
        assert len(parts) > 10
        await viewer.until(is_frame(binary.SNAPSHOT))
        assert len(viewer.copy.twins) == 5_001
        assert len(viewer.copy.values) == 20_000
        await viewer.socket.close()


async def test_a_slow_viewer_gets_fewer_and_newer_values_and_costs_little():
    """It reads nothing for 100 deltas of 650 kB each; what waits for it is a few of them."""
    mirror = large(500, 100)
    sample_all(mirror, 0.0)
    async with served(mirror) as here:
        slow, quick = await view(here), await view(here, rate_hz=60)
        await quick.until(is_frame(binary.SNAPSHOT))
        await slow.until(is_frame(binary.SNAPSHOT))
        slow.socket.transport.pause_reading()
        for step in range(1, 101):
            sample_all(mirror, float(step))
            await quick.until(lambda _, v=float(step): quick.copy.values[0][0] == v)
        slow.socket.transport.resume_reading()
        frames: list[float] = []

        def is_latest(heard: object) -> bool:
            if isinstance(heard, binary.ValueFrame) and len(heard.value):
                frames.append(float(heard.value[0]))
            return slow.copy.values[0][0] == 100.0

        await slow.until(is_latest)
        assert frames == sorted(frames)
        assert len(frames) < 50, "it was sent what it could take, not everything"
        await asyncio.gather(slow.socket.close(), quick.socket.close())


async def test_who_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream_module, "STUCK_S", 0.5)
    mirror = large(500, 100)
    sample_all(mirror, 0.0)
    async with served(mirror) as here:
        viewer = await view(here)
        await viewer.until(is_frame(binary.SNAPSHOT))
        viewer.socket.transport.pause_reading()
        async with here.client() as client, asyncio.timeout(DEADLINE_S):
            step = 0.0
            while "mirrorworld_viewers 0.0" not in (await client.get("/metrics")).text:
                step += 1
                sample_all(mirror, step)
                await asyncio.sleep(0.02)
        viewer.socket.transport.abort()


# --- the doors of the stream ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer wrong"}, 4401),
        ({"Authorization": f"Bearer {TOKEN}", "Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({}, 403),
    ],
)
async def test_a_stranger_gets_no_stream(here: Served, headers, status):
    if status == 403:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(f"ws://{here.host}/api/stream", additional_headers=headers)
        assert refused.value.response.status_code == 403
        return
    socket = await connect(f"ws://{here.host}/api/stream", additional_headers=headers)
    with pytest.raises(websockets.ConnectionClosed):
        await socket.recv()
    assert socket.close_code == status


async def test_a_message_that_is_too_large_ends_the_session_only(here: Served):
    viewer = await view(here)
    await viewer.until(is_frame(binary.SNAPSHOT))
    await viewer.socket.send("x" * (3 << 20))
    with pytest.raises(websockets.ConnectionClosed):
        await viewer.until(lambda _: False)
    other = await view(here)
    await other.until(is_frame(binary.SNAPSHOT))
    await other.socket.close()


async def test_a_viewer_whose_machine_vanished_leaves_nothing_behind(here: Served):
    viewer = await view(here)
    await viewer.until(is_frame(binary.SNAPSHOT))
    raw = viewer.socket.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    viewer.socket.transport.abort()
    async with here.client() as client, asyncio.timeout(DEADLINE_S):
        while "mirrorworld_viewers 0.0" not in (await client.get("/metrics")).text:
            here.mirror.clock_ns += SECOND_NS
            here.mirror.sample(level=1.0)


class TestPace:
    """When the viewers of one rate are told: all at once, and soon after what comes in."""

    PERIOD_S = 0.05

    def told(self, arrivals_s: list[float]) -> list[float]:
        """How old each thing is that viewers are told of, in order."""
        pace, at, ages = Pace(self.PERIOD_S), 1.0, []
        while at < arrivals_s[-1]:
            at = pace.next_at(at)
            came = bisect.bisect_right(arrivals_s, at)
            if came:
                age_s = at - arrivals_s[came - 1]
                pace.note(Position(1, came), age_s)
                ages.append(age_s)
        return ages

    @pytest.mark.parametrize("phase", [0.001, 0.013, 0.02, 0.037, 0.049])
    def test_a_plant_at_the_viewers_rhythm_does_not_wait_for_its_turn(self, phase: float):
        arrivals = [1 + phase + i * self.PERIOD_S for i in range(400)]
        assert max(self.told(arrivals)[100:]) < 0.25 * self.PERIOD_S

    def test_a_rhythm_that_trembles_is_followed_most_of_the_time(self):
        tremble = random.Random(3)
        arrivals = [1 + i * self.PERIOD_S + tremble.uniform(0, 0.008) for i in range(4_000)]
        ages = sorted(self.told(arrivals)[100:])
        assert ages[int(0.9 * len(ages))] < 0.5 * self.PERIOD_S

    def test_what_comes_all_the_time_moves_nothing(self):
        pace = Pace(self.PERIOD_S)
        before = pace.next_at(5.0)
        for i in range(100):
            pace.note(Position(1, i + 1), 0.001 * (i % 4))
        assert pace.next_at(5.0) == before

    def test_all_viewers_of_a_rate_have_the_same_instants(self):
        pace = Pace(self.PERIOD_S)
        assert pace.next_at(7.001) == pace.next_at(7.031)
