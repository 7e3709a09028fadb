"""Commands for a mirrored site: by the site's own road, armed there too, and never late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

pytest.importorskip("zenoh", reason="needs the extra 'zenoh'")

from mirrorworld.connectors.zenoh_session import Place, joined
from mirrorworld.live.guard import OWNER, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.plane import wire
from mirrorworld.plane.publisher import Publisher
from mirrorworld.plane.site import Site
from mirrorworld.record.store import Store, open_record, restore
from mirrorworld.testing.connectors import until
from mirrorworld.world.changes import Arm, Command, CommandState, Edits
from mirrorworld.world.model import Kind
from mirrorworld.world.plain import to_plain
from mirrorworld.world.ports import LinkState, SourceConfig
from tests.live.conftest import PUMP, HandSource, open_mirror
from tests.plane.worlds import running

KIM = principal("kim", OWNER)
ARMED = Edits((Arm(PUMP.id, "speed"), Arm(PUMP.id, "purge")))
ARMED_HERE = Edits((Arm(f"north/{PUMP.id}", "speed"), Arm(f"north/{PUMP.id}", "purge")))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Mirror]:
    mirror = await open_mirror(tmp_path / "site")
    yield mirror
    await mirror.stop()


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Mirror]:
    record = open_record(tmp_path / "centre", "centre", compacts=False)
    mirror = Mirror(restore(record), record, dict.fromkeys(Site.schemes, Site))
    await mirror.start()
    yield mirror
    await mirror.stop()


def _publisher(site: Mirror, port: int, *, takes: bool = True) -> Publisher:
    assert isinstance(site.record, Store)
    place = Place("127.0.0.1", port)
    return Publisher(site.pipeline, site.record, "north", place, site.road if takes else None)


async def _live(centre: Mirror, port: int) -> None:
    config = SourceConfig(f"site://127.0.0.1:{port}/north", "north", {"listen": True})
    centre.feeds.add(config)
    await until(lambda: f"north/{PUMP.id}" in centre.world.structure.twins, "the pump")
    await until(lambda: centre.feeds.get("north").link.state is LinkState.LIVE, "the link")


def _hand(site: Mirror) -> HandSource:
    connector = site.feeds.get("plant").connector
    assert isinstance(connector, HandSource)
    return connector


def _speed(value: float, timeout_ms: int = 20_000) -> Command:
    return Command("", f"north/{PUMP.id}", "speed", value=value, timeout_ms=timeout_ms)


async def test_a_command_goes_by_both_roads(
    site: Mirror, centre: Mirror, free_port: Callable[[], int]
) -> None:
    port = free_port()
    await site.edit(KIM, ARMED)
    async with running(_publisher(site, port)):
        await _live(centre, port)
        await centre.edit(KIM, ARMED_HERE)
        asked = asyncio.create_task(centre.command(KIM, _speed(1_500.0), wait=True))
        await asyncio.wait_for(_hand(site).was_asked.wait(), 20)
        await _hand(site).report("speed", Kind.FLOAT, 1_500.0)
        answer = await asked
        assert answer.state is CommandState.CONFIRMED, answer.detail
        (written,) = _hand(site).written
        assert (written.twin, written.value) == (PUMP.id, 1_500.0)
        assert "kim" in written.by
        there = site.world.commands[answer.id]
        assert there.state is CommandState.CONFIRMED


async def test_what_is_not_armed_at_the_site_is_refused_there(
    site: Mirror, centre: Mirror, free_port: Callable[[], int]
) -> None:
    port = free_port()
    async with running(_publisher(site, port)):
        await _live(centre, port)
        await centre.edit(KIM, ARMED_HERE)
        answer = await centre.command(KIM, _speed(1_500.0), wait=True)
        assert answer.state is CommandState.REFUSED
        assert "site north" in answer.detail and "arm it first" in answer.detail
    assert not _hand(site).written


async def test_a_site_takes_none_unless_it_was_told_to(
    site: Mirror, centre: Mirror, free_port: Callable[[], int]
) -> None:
    port = free_port()
    await site.edit(KIM, ARMED)
    async with running(_publisher(site, port, takes=False)):
        await _live(centre, port)
        await centre.edit(KIM, ARMED_HERE)
        answer = await centre.command(KIM, _speed(1_500.0), wait=True)
        assert answer.state is CommandState.FAILED and "--commands" in answer.detail
    assert not _hand(site).written


async def test_what_comes_late_or_again_is_not_carried_out(
    site: Mirror, free_port: Callable[[], int]
) -> None:
    port = free_port()
    await site.edit(KIM, ARMED)
    place = Place("127.0.0.1", port, listens=True)
    async with joined(place) as part, running(_publisher(site, port)):
        key = wire.key_of("north", "command")

        def ask(payload: bytes | None) -> list[bytes]:
            replies = part.session.get(key, payload=payload, timeout=5.0)
            return [(r.ok or r.err).payload.to_bytes() for r in replies]  # type: ignore[union-attr]

        while not (clock := await asyncio.to_thread(ask, None)):  # what it offers comes in a moment
            await asyncio.sleep(0.05)
        now_ns = int.from_bytes(clock[0], "little")
        asked = Command("once", PUMP.id, operation="purge", by="kim", timeout_ms=5_000)

        async def give(deadline_ns: int) -> Command:
            order = wire.Order(wire.VERSION, to_plain(asked, tagged=True), deadline_ns)
            (answer,) = await asyncio.to_thread(ask, wire.encode(order))
            return wire.decode_command(answer)

        late = await give(now_ns - 1)
        assert late.state is CommandState.EXPIRED and not _hand(site).written
        assert (await give(now_ns + 10**10)).state is CommandState.CONFIRMED
        assert (await give(now_ns + 10**10)).state is CommandState.CONFIRMED
        assert len(_hand(site).written) == 1
        assert b"not an order" in (await asyncio.to_thread(ask, b"nonsense"))[0]
