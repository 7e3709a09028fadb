"""Zenoh against a plant that imports nothing of ours: the contract, and what is particular."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import numpy as np
import pytest

pytest.importorskip("zenoh", reason="needs the extra 'zenoh'")

from mirrorworld.connectors.zenoh import Zenoh
from mirrorworld.testing.connectors import (
    ConnectorContract,
    Sample,
    WatchingSink,
    is_live,
    running,
    until,
)
from mirrorworld.world.changes import Command
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import SourceConfig, SourceError
from tests.connectors.zenoh_putter import Plant, names, values

SOURCE_NS = 1_700_000_000_123_456_789


class ZenohRig:
    """A plant that listens as a peer; the connector goes there."""

    schemes = ("zenoh", "zenoh+tls")
    is_live = True
    bad_urls = (
        *("zenoh://", "zenoh://host:notaport", "zenoh://ho st", "zenoh://host:0", "ftp://host"),
        *("zenoh://host:7447/a#b", "zenoh+tls://host", "zenoh://host/a?b=c", "zenoh://h/a/**b"),
    )
    bad_options: Mapping[str, Scalar] = {
        "keys": "a/***",
        "listen": "sometimes",
        "allow": "north",
        "zone": "Nowhere/Land",
        "max_points": 0,
        "tls_ca": "there.pem",
    }

    def __init__(self, free_port: Callable[[], int]) -> None:
        self.port = free_port()
        self.unreachable_url = f"zenoh://127.0.0.1:{free_port()}"
        self.plant = Plant(f"tcp/127.0.0.1:{self.port}")
        self._again: asyncio.Task[None] | None = None

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> Zenoh:
        given = {"listen_s": 1.5} | dict(options or {})
        where = url or f"zenoh://127.0.0.1:{self.port}"
        return Zenoh(SourceConfig(where, name, given, username, password))

    def point(self, name: str) -> tuple[str, str]:
        return f"{name}/hall/oven", "temperature"

    async def emit(self, value: float, source_ns: int) -> None:
        # Put again and again, since nobody keeps it for who comes later.
        if self._again is not None:
            self._again.cancel()

        async def again() -> None:
            while self.plant.session is not None:
                self._put(value, source_ns)
                await asyncio.sleep(0.1)

        self._again = asyncio.create_task(again())
        await asyncio.sleep(0)

    def _put(self, value: float, source_ns: int) -> None:
        self.plant.put("hall/oven", values(7, source_ns, np.array([value, 3.0])))

    async def vanish(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        await asyncio.to_thread(self.plant.close)

    async def come_back(self) -> None:
        await asyncio.to_thread(self.plant.open)

    async def received_writes(self) -> Sequence[object]:
        return self.plant.heard

    def command(self, name: str) -> Command | None:
        return None


@pytest.fixture
async def rig(free_port: Callable[[], int]) -> AsyncIterator[ZenohRig]:
    rig = ZenohRig(free_port)
    await rig.come_back()
    try:
        yield rig
    finally:
        await rig.vanish()


class TestZenoh(ConnectorContract):
    @pytest.fixture
    async def rig(self, rig: ZenohRig) -> ZenohRig:
        return rig

    async def test_cancel_leaves_nothing_behind(self, rig: ZenohRig) -> None:
        rig.emit = _once(rig)
        await super().test_cancel_leaves_nothing_behind(rig)


def _once(rig: ZenohRig):
    async def emit(value: float, source_ns: int) -> None:
        rig._put(value, source_ns)

    return emit


@pytest.fixture
async def listening(free_port: Callable[[], int]):
    """(connector that listens, a plant that comes to it, its sink), running."""
    port = free_port()
    connector = Zenoh(SourceConfig(f"zenoh://127.0.0.1:{port}", "source", {"listen": True}))
    sink = WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        plant = Plant(f"tcp/127.0.0.1:{port}")
        await asyncio.to_thread(plant.open, "client")
        try:
            yield plant, sink
        finally:
            await asyncio.to_thread(plant.close)


def _of(sink: WatchingSink, point: str) -> list[Sample]:
    return [s for s in sink.samples() if s.point == point]


async def test_json_and_plain_numbers_are_points(listening) -> None:
    plant, sink = listening
    plant.put("hall/mill", b'{"timestamp": "2024-03-01T12:00:00.5Z", "speed": 12.5, "on": true}')
    plant.put("hall/mill/torque", b"3.25")
    await until(lambda: len(sink.samples()) >= 3, "three values")
    found = {(s.twin, s.point): s for s in sink.samples()}
    assert found["source/hall/mill", "speed"].value == 12.5
    assert found["source/hall/mill", "speed"].source_ns == 1_709_294_400_500_000_000
    assert found["source/hall/mill", "on"].value is True
    assert found["source/hall/mill", "torque"].value == 3.25


async def test_columns_of_every_shape(listening) -> None:
    plant, sink = listening
    table = names(
        1,
        "room/a",
        {"name": "room/b", "unit": "Cel", "low": 0, "high": 50},
        {"name": "c", "kind": "int"},
        {"name": "d", "kind": "bool"},
    )
    plant.put("b1", table)
    plant.put("b1", values(1, SOURCE_NS, np.array([1.5, 2.5], np.float32)))
    plant.put("b1", values(1, SOURCE_NS + 1, np.array([7.0, 1.0, 9.5]), index=np.array([2, 3, 0])))
    times = np.array([SOURCE_NS + 5, SOURCE_NS + 6])
    bad = np.array([0, 0x8000_0000])
    plant.put("b1", values(1, 0, np.array([4.0, 5.0]), times=times, quality=bad))
    await until(lambda: len(sink.samples()) >= 7, "seven values")
    got = [(s.twin, s.point, s.value, s.quality, s.source_ns) for s in sink.samples()]
    assert got == [
        ("source/b1/room", "a", 1.5, 0, SOURCE_NS),
        ("source/b1/room", "b", 2.5, 0, SOURCE_NS),
        ("source/b1", "c", 7, 0, SOURCE_NS + 1),
        ("source/b1", "d", True, 0, SOURCE_NS + 1),
        ("source/b1/room", "a", 9.5, 0, SOURCE_NS + 1),
        ("source/b1/room", "a", 4.0, 0, SOURCE_NS + 5),
        ("source/b1/room", "b", 5.0, 0x8000_0000, SOURCE_NS + 6),
    ]
    world = sink.inner.world
    _, kind = world.point(int(world.handles([("source/b1/room", "b")])[0]))
    assert (kind.unit, kind.low, kind.high) == ("Cel", 0, 50)


async def test_names_are_asked_for_by_who_comes_late(listening) -> None:
    plant, sink = listening
    for i in range(200):
        plant.put("hall/oven", values(7, SOURCE_NS + i, np.array([float(i)])))
        if _of(sink, "temperature"):
            break
        await asyncio.sleep(0.05)
    assert _of(sink, "temperature")
    assert sink.counts["zenoh_values_without_names"] > 0


@pytest.mark.parametrize(
    "payload",
    [
        b"MWV1",
        values(1, 0, np.array([1.0]))[:-1],
        values(1, 0, np.array([1.0, 2.0])),
        values(1, 0, np.array([1.0]), index=np.array([9])),
        values(1, 0, np.array([1.0]))[:24] + b"\xff\0\0\0\0\0\0\0" + bytes(8),
        names(2)[:9],
        names(2, "")[:-1],
        names(2, ""),
        names(2, {"name": "a", "kind": "picture"}),
    ],
)
async def test_broken_columns_are_counted_and_told(listening, payload: bytes) -> None:
    plant, sink = listening
    plant.put("b1", names(1, "a"))
    plant.put("b1", payload)
    plant.put("b1", values(1, SOURCE_NS, np.array([4.5])))
    await until(lambda: [s.value for s in _of(sink, "a")] == [4.5], "what came after")
    assert sink.counts["zenoh_broken_columns"] == 1
    plant.put("b1", names(3, "b"))  # what is told comes with the next declaration
    await until(lambda: any(e.kind == "broken_columns" for e in sink.events), "the event")


async def test_a_million_names_are_bounded(free_port: Callable[[], int]) -> None:
    port = free_port()
    options = {"listen": True, "max_points": 50}
    connector = Zenoh(SourceConfig(f"zenoh://127.0.0.1:{port}", "source", options))
    sink = WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        plant = Plant(f"tcp/127.0.0.1:{port}")
        await asyncio.to_thread(plant.open, "client")
        plant.put("k", names(1, *(f"p{i}" for i in range(1_000))))
        plant.put("k", values(1, SOURCE_NS, np.arange(1_000.0)))
        await until(lambda: len(sink.samples()) >= 50, "the first fifty")
        assert sink.inner.world.n_points == 50
        assert sink.counts["over_max_points"] == 950
        assert any(e.kind == "too_many_points" for e in sink.events)
        await asyncio.to_thread(plant.close)


async def test_a_putter_that_blocks_is_held_back_and_loses_nothing(
    free_port: Callable[[], int],
) -> None:
    """The world takes nothing for a while: what is put waits, in bounded memory, in order."""
    port = free_port()
    options = {"listen": True, "max_held_mib": 1}
    connector = Zenoh(SourceConfig(f"zenoh://127.0.0.1:{port}", "source", options))
    sink = WatchingSink()
    gate = asyncio.Event()
    inner_push = sink.inner.push

    async def push(*args, **kwargs) -> int:
        await gate.wait()
        return await inner_push(*args, **kwargs)

    sink.inner.push = push
    async with running(connector, sink) as task:
        await is_live(connector, task)
        plant = Plant(f"tcp/127.0.0.1:{port}")
        await asyncio.to_thread(plant.open, "client")
        plant.put("k", names(1, *(f"p{i}" for i in range(10_000))))

        def put_all() -> None:
            for i in range(100):  # 4 MB
                plant.put("k", values(1, SOURCE_NS + i, np.full(10_000, i, np.float32)))

        putting = asyncio.create_task(asyncio.to_thread(put_all))
        await asyncio.sleep(1.0)
        gate.set()
        await putting
        await until(lambda: sum(map(len, sink.frames)) == 1_000_000, "all of them", 90)
        order = np.concatenate([f.source_ns for f in sink.frames])
        assert (np.diff(order) >= 0).all()
        await asyncio.to_thread(plant.close)


async def test_sites_are_not_others_data(listening) -> None:
    plant, sink = listening
    plant.put("mirrorworld/north/live", b"{}")
    plant.put("k/a", b"1")
    await until(lambda: _of(sink, "a"), "the other key")
    assert not any("mirrorworld" in twin for twin in sink.twins())


async def test_over_tls_keys_are_named(certificates) -> None:
    files = {
        "tls_ca": str(certificates.authority),
        "tls_certificate": str(certificates.certificate),
        "tls_key": str(certificates.key),
    }
    connector = Zenoh(SourceConfig("zenoh+tls://0.0.0.0:1", "source", files))
    with pytest.raises(SourceError, match="say which keys may be put"):
        await connector.run(WatchingSink())
