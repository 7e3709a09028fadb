"""The contract of a connector: what each one is held to, whatever its protocol.

A connector's test brings a rig, which is a source under the test's control, and inherits the
tests:

    class TestMqtt(ConnectorContract):
        @pytest.fixture
        async def rig(self, mosquitto): ...

The rig speaks to the source by the source's own tools and never through the connector, so
what the tests see really went over the protocol.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mirrorworld.testing.sink import MemorySink
from mirrorworld.world.changes import (
    Command,
    CommandState,
    Edits,
    Event,
    OriginKind,
    PutPoints,
    PutTwin,
)
from mirrorworld.world.frames import Frame, Handles, SampleValue, rows
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import Connector, LinkState, Sink, SourceConfig, SourceError

DEADLINE_S = 20.0
"""How long a test waits for what must come; long, since test machines are busy."""

SECRET = "hunter2-never-shown"

SOURCE_NS = 1_700_000_000_123_000_000
"""A time of the source's clock, far from now, with milliseconds: what samples must carry."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One sample as it arrived, by name."""

    twin: str
    point: str
    value: SampleValue | None
    quality: int
    source_ns: int


class WatchingSink:
    """A sink in front of another that notes what is asked of it, in order."""

    def __init__(self, inner: MemorySink | None = None) -> None:
        self.inner = inner or MemorySink("source")
        self.log: list[str] = []
        """`declare`, `push`, `durable`, `event` in the order of the calls."""
        self.edits: list[Edits] = []
        self.frames: list[Frame] = []
        self.numbers: list[tuple[int, int]] = []
        """(incarnation, source_seq) of each frame."""
        self.events: list[Event] = []
        self.counts: dict[str, int] = {}

    def now_ns(self) -> int:
        """The inner sink's clock."""
        return self.inner.now_ns()

    async def declare(self, edits: Edits) -> None:
        """Passes on and notes."""
        await self.inner.declare(edits)
        self.log.append("declare")
        self.edits.append(edits)

    def handles(self, points: Iterable[tuple[str, str]]) -> Handles:
        """The inner sink's handles."""
        return self.inner.handles(points)

    def latest_ns(self, handles: Handles) -> NDArray[np.int64]:
        """The inner sink's latest times."""
        return self.inner.latest_ns(handles)

    async def push(
        self,
        frame: Frame,
        *,
        incarnation: int = 0,
        source_seq: int = -1,
        origin: OriginKind = OriginKind.MEASURED,
    ) -> int:
        """Passes on and notes."""
        ticket = await self.inner.push(
            frame, incarnation=incarnation, source_seq=source_seq, origin=origin
        )
        self.log.append("push")
        self.frames.append(frame)
        self.numbers.append((incarnation, source_seq))
        return ticket

    async def durable(self, ticket: int) -> None:
        """Passes on and notes."""
        await self.inner.durable(ticket)
        self.log.append("durable")

    def numbered(self) -> dict[int, int]:
        """The inner sink's numbers."""
        return self.inner.numbered()

    async def event(self, event: Event, *, incarnation: int = 0, source_seq: int = -1) -> None:
        """Passes on and notes."""
        await self.inner.event(event, incarnation=incarnation, source_seq=source_seq)
        self.log.append("event")
        self.events.append(event)

    def count(self, what: str, n: int = 1) -> None:
        """Passes on and adds up."""
        self.inner.count(what, n)
        self.counts[what] = self.counts.get(what, 0) + n

    def samples(self) -> list[Sample]:
        """Every sample pushed so far, in order, by name."""
        world = self.inner.world
        found: list[Sample] = []
        for frame in self.frames:
            for handle, value, quality, source_ns in rows(frame, world.kinds):
                twin, point = world.point(handle)
                if isinstance(value, np.ndarray):
                    value = repr(value)  # so that samples can be compared
                found.append(Sample(twin, point.name, value, quality, source_ns))
        return found

    def twins(self) -> set[str]:
        """Ids of all twins that were declared or given points."""
        found: set[str] = set()
        for edits in self.edits:
            for edit in edits.edits:
                if isinstance(edit, PutTwin):
                    found.add(edit.twin.id)
                elif isinstance(edit, PutPoints):
                    found.add(edit.twin)
        return found


class ConnectorRig(Protocol):
    """A source under a test's control, and a connector for it."""

    schemes: tuple[str, ...]
    """What the connector must say it serves."""
    is_live: bool
    """False for a source that is complete before it is read (a recording): `emit` then comes
    before `run`, and nothing vanishes."""
    # has_source_time: bool = True
    #   A rig whose protocol carries no time (registers that are polled) says False: its samples
    #   are then held to lie between the moment of `emit` and that of their arrival.
    unreachable_url: str
    """Well formed; nobody answers there. "" where that cannot be."""
    bad_urls: Sequence[str]
    """Malformed in every way that the connector can tell without asking anyone."""
    bad_options: Mapping[str, Scalar]
    """Options, each of which alone is refused."""

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> Connector:
        """A fresh connector to the source, or to another URL."""
        ...

    def point(self, name: str) -> tuple[str, str]:
        """(twin id, point) at which `emit` is seen by a connector whose source has that name."""
        ...

    async def emit(self, value: float, source_ns: int) -> None:
        """Makes the source report a number, stamped by the source's own clock."""
        ...

    async def vanish(self) -> None:
        """Ends the source as a power cut would."""
        ...

    async def come_back(self) -> None:
        """Starts the source again at the same address."""
        ...

    async def received_writes(self) -> Sequence[object]:
        """Everything that anyone but the rig has written to the source so far."""
        ...

    def command(self, name: str) -> Command | None:
        """A command that the source will take, or None if its protocol carries none."""
        ...


async def until(condition: Callable[[], object], what: str, timeout_s: float = DEADLINE_S) -> None:
    """Returns as soon as the condition holds; fails, saying what was missed, at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(connector: Connector, sink: Sink) -> AsyncIterator[asyncio.Task[None]]:
    """Runs a connector for the length of a block; an error that ends it early is raised."""
    task = asyncio.create_task(connector.run(sink), name="connector under test")
    try:
        yield task
    finally:
        was_done = task.done()
        task.cancel()
        try:
            await asyncio.wait_for(task, DEADLINE_S)
        except asyncio.CancelledError:
            pass
        except Exception:
            if was_done:
                raise
            raise AssertionError("being cancelled is not an error of the connector") from None


async def is_live(connector: Connector, task: asyncio.Task[None]) -> None:
    """Waits until the connector says that it is live; an error that ended it is raised."""

    def condition() -> bool:
        if task.done():
            task.result()
        return connector.link.state in (LinkState.LIVE, LinkState.ENDED)

    await until(condition, f"link live; it is {connector.link}")


class ConnectorContract:
    """The tests. A subclass gives the fixture `rig`; it needs asyncio_mode = "auto"."""

    # --- what it is

    async def test_says_what_it_serves(self, rig: ConnectorRig) -> None:
        connector = rig.connector()
        assert isinstance(connector, Connector)
        assert tuple(connector.schemes) == tuple(rig.schemes)
        assert connector.link.state is LinkState.CONNECTING

    async def test_source_config_is_accepted_by_its_class(self, rig: ConnectorRig) -> None:
        cls = type(rig.connector())
        config = SourceConfig(rig.unreachable_url or "nowhere", "again")
        assert isinstance(cls(config), Connector)  # type: ignore[call-arg]

    # --- looking

    async def test_discover_finds_and_explains(self, rig: ConnectorRig) -> None:
        await rig.emit(20.5, SOURCE_NS)
        findings = await asyncio.wait_for(rig.connector().discover(), DEADLINE_S)
        twin, point = rig.point("source")
        assert twin in {finding.twin.id for finding in findings}
        for finding in findings:
            assert finding.guessed, f"{finding.twin.id}: how it was guessed is not said"
        (found,) = [f for f in findings if f.twin.id == twin]
        own = [p.name for p in found.twin.points]
        of_type = [p.name for p in found.type.points] if found.type else []
        assert point in own + of_type
        assert not await rig.received_writes()

    async def test_discover_is_bounded(self, rig: ConnectorRig) -> None:
        await rig.emit(20.5, SOURCE_NS)
        assert len(await asyncio.wait_for(rig.connector().discover(limit=1), DEADLINE_S)) <= 1

    # --- mirroring

    async def test_mirrors_with_source_time_and_name(self, rig: ConnectorRig) -> None:
        connector, sink = rig.connector(name="hall"), WatchingSink()
        if not rig.is_live:
            await rig.emit(20.5, SOURCE_NS)
        async with running(connector, sink) as task:
            await is_live(connector, task)
            emitted_ns = time.time_ns()
            if rig.is_live:
                await rig.emit(20.5, SOURCE_NS)
            twin, point = rig.point("hall")
            earliest_ns = latest_ns = SOURCE_NS
            if not getattr(rig, "has_source_time", True):
                earliest_ns, latest_ns = emitted_ns, emitted_ns + int(DEADLINE_S * 1e9)

            def has_come() -> bool:
                return any(
                    (s.twin, s.point, s.value, s.quality) == (twin, point, 20.5, 0)
                    and earliest_ns <= s.source_ns <= latest_ns
                    for s in sink.samples()
                )

            wanted = f"{twin}.{point} = 20.5, good, of {earliest_ns} to {latest_ns}"
            await until(has_come, f"{wanted}; came: {sink.samples()[-5:]}")
        assert all(twin.startswith("hall/") or twin == "hall" for twin in sink.twins())
        assert sink.log.index("declare") < sink.log.index("push")
        assert not await rig.received_writes(), "it wrote to the source without being told to"

    async def test_declares_the_same_twice_over(self, rig: ConnectorRig) -> None:
        """A second start over the same world changes no structure and forgets none."""
        inner = MemorySink("source")
        shapes: list[int] = []
        for value in (1.5, 2.5):
            connector, sink = rig.connector(), WatchingSink(inner)
            if not rig.is_live:
                await rig.emit(value, SOURCE_NS + int(value * 1e9))
            async with running(connector, sink) as task:
                await is_live(connector, task)
                if rig.is_live:
                    await rig.emit(value, SOURCE_NS + int(value * 1e9))
                await until(
                    lambda sink=sink, value=value: any(s.value == value for s in sink.samples()),
                    f"{value}",
                )
            shapes.append(inner.world.n_points)
        assert shapes[0] == shapes[1]

    async def test_survives_the_source(self, rig: ConnectorRig) -> None:
        if not rig.is_live:
            return
        connector, sink = rig.connector(), WatchingSink()
        async with running(connector, sink) as task:
            await is_live(connector, task)
            await rig.emit(1.25, SOURCE_NS)
            await until(lambda: any(s.value == 1.25 for s in sink.samples()), "the first value")
            await rig.vanish()
            await until(
                lambda: connector.link.state in (LinkState.LOST, LinkState.CONNECTING),
                "the loss to be noticed",
            )
            assert connector.link.detail
            assert not task.done(), "losing the source ended the connector"
            await rig.come_back()
            await is_live(connector, task)
            await rig.emit(2.25, SOURCE_NS + 1_000_000_000)
            await until(lambda: any(s.value == 2.25 for s in sink.samples()), "the new value")

    async def test_starts_before_its_source(self, rig: ConnectorRig) -> None:
        if not rig.is_live:
            return
        await rig.vanish()
        connector, sink = rig.connector(), WatchingSink()
        async with running(connector, sink) as task:
            await until(
                lambda: connector.link.state is not LinkState.CONNECTING or task.done(),
                "the absence to be noticed",
            )
            await rig.come_back()
            await is_live(connector, task)

    async def test_cancel_leaves_nothing_behind(self, rig: ConnectorRig) -> None:
        before = asyncio.all_tasks()
        connector, sink = rig.connector(), WatchingSink()
        if not rig.is_live:
            await rig.emit(20.5, SOURCE_NS)
        async with running(connector, sink) as task:
            await is_live(connector, task)
        left = asyncio.all_tasks() - before
        if left:
            await asyncio.wait(left, timeout=2)
        left = {task for task in left if not task.done()}
        assert not left, f"tasks left behind: {left}"

    # --- bad input

    async def test_bad_urls_are_refused_with_the_mend(self, rig: ConnectorRig) -> None:
        for url in rig.bad_urls:
            connector = rig.connector(url=url)
            try:
                await asyncio.wait_for(connector.run(WatchingSink()), DEADLINE_S)
            except SourceError as error:
                message = str(error)
                assert len(message) > 20, f"{url}: '{message}' does not name the mend"
            else:
                raise AssertionError(f"{url}: was not refused")

    async def test_bad_options_are_refused_by_name(self, rig: ConnectorRig) -> None:
        for name, value in {**rig.bad_options, "no_such_option": 1}.items():
            try:
                connector = rig.connector(options={name: value})
                await asyncio.wait_for(connector.run(WatchingSink()), DEADLINE_S)
            except SourceError as error:
                assert name in str(error), f"{name}={value!r}: '{error}' does not name the option"
            else:
                raise AssertionError(f"{name}={value!r}: was not refused")

    async def test_unreachable_is_told_and_tried_again(self, rig: ConnectorRig) -> None:
        if not rig.unreachable_url:
            return
        connector = rig.connector(url=rig.unreachable_url)
        async with running(connector, WatchingSink()) as task:
            await until(
                lambda: connector.link.state in (LinkState.LOST, LinkState.REFUSED),
                "the absence to be noticed",
            )
            assert len(connector.link.detail) > 10, connector.link
            assert not task.done(), "a source that may come later is waited for"

    async def test_unreachable_discover_says_so(self, rig: ConnectorRig) -> None:
        if not rig.unreachable_url:
            return
        try:
            await asyncio.wait_for(rig.connector(url=rig.unreachable_url).discover(), DEADLINE_S)
        except SourceError as error:
            assert len(str(error)) > 10
        else:
            raise AssertionError("discovering nothing at all looked like finding nothing")

    async def test_secrets_are_never_shown(self, rig: ConnectorRig) -> None:
        connector = rig.connector(username="operator", password=SECRET)
        sink = WatchingSink()
        task = asyncio.create_task(connector.run(sink))
        try:
            await until(
                lambda: connector.link.state is not LinkState.CONNECTING or task.done(),
                "an answer to the login",
            )
        finally:
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
        shown = [repr(connector), str(connector), repr(connector.link), repr(outcome)]
        shown += [repr(sink.edits), repr(sink.events), repr(sink.counts)]
        assert not any(SECRET in text for text in shown)

    # --- writing

    async def test_writes_when_told_to_and_only_then(self, rig: ConnectorRig) -> None:
        connector, sink = rig.connector(), WatchingSink()
        command = rig.command("source")
        if not rig.is_live:
            await rig.emit(20.5, SOURCE_NS)
        async with running(connector, sink) as task:
            await is_live(connector, task)
            if rig.is_live:
                await rig.emit(20.5, SOURCE_NS)
                await until(sink.samples, "a first sample")
            assert not await rig.received_writes()
            if command is None:
                asked = Command("c", rig.point("source")[0], rig.point("source")[1], value=1.0)
                answer = await asyncio.wait_for(connector.write(asked), DEADLINE_S)
                assert answer.state in (CommandState.REFUSED, CommandState.FAILED)
                assert answer.detail
                return
            answer = await asyncio.wait_for(connector.write(command), DEADLINE_S)
            assert answer.id == command.id
            assert answer.state in (CommandState.SENT, CommandState.CONFIRMED), answer.detail
            deadline = time.monotonic() + DEADLINE_S
            while not (written := await rig.received_writes()) and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            assert len(written) == 1, f"the source got {written}"

    async def test_write_to_nothing_is_refused(self, rig: ConnectorRig) -> None:
        connector, sink = rig.connector(), WatchingSink()
        if not rig.is_live:
            await rig.emit(20.5, SOURCE_NS)
        async with running(connector, sink) as task:
            await is_live(connector, task)
            asked = Command("c", "source/no/such/twin", "nothing", value=1.0)
            answer = await asyncio.wait_for(connector.write(asked), DEADLINE_S)
            assert answer.state in (CommandState.REFUSED, CommandState.FAILED)
            assert answer.detail
        assert not await rig.received_writes()
