"""Finding a server, talking to it, losing it; commands and subscriptions over the wire."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest

import mirrorworld
from mirrorworld.client import NotAllowedError, NotConfirmedError, UnreachableError, World
from mirrorworld.server import announced, token_of
from mirrorworld.world.changes import CommandState
from tests.client.served import Elsewhere, elsewhere
from tests.server.stand_in import SECOND_NS, TOKEN, StandIn, line

LEVEL, SPEED = "line1/filler.level", "line1/filler.speed"


@pytest.fixture
def server():
    with elsewhere(line()) as running:
        yield running


@pytest.fixture
def world(server: Elsewhere):
    with mirrorworld.connect(server.here.url, TOKEN) as connected:
        yield connected


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of worlds with one world in it, whose token is the tests'."""
    monkeypatch.setenv("MIRRORWORLD_HOME", str(tmp_path))
    directory = tmp_path / "worlds" / "bottling_line"
    directory.mkdir(parents=True)
    (directory / "token").touch(0o600)
    (directory / "token").write_text(TOKEN)
    return directory


def test_a_world_that_runs_here_is_found(server: Elsewhere, kept: Path):
    assert token_of(kept) == TOKEN
    with announced(kept, server.here.url):
        assert (kept / "address").stat().st_mode & 0o077 == 0
        for name in (None, "bottling_line", server.here.url, f"{server.here.url}/"):
            with mirrorworld.connect(name) as world:
                assert world.id == "stand-in"
    with pytest.raises(UnreachableError, match=r"none runs here.*mirrorworld up"):
        mirrorworld.connect()
    with pytest.raises(NotAllowedError, match="no token"):
        mirrorworld.connect(server.here.url)


def test_the_printed_address_is_enough(server: Elsewhere):
    with mirrorworld.connect(f"{server.here.url}/?token={TOKEN}") as world:
        assert world.info.principal.id == "owner"


def test_a_wrong_token_and_no_server(server: Elsewhere):
    with pytest.raises(PermissionError, match="no session"):
        mirrorworld.connect(server.here.url, "wrong")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ConnectionError, match="is it running"):
        mirrorworld.connect(f"http://127.0.0.1:{port}", TOKEN)


def test_a_closed_world_says_so(server: Elsewhere):
    world = mirrorworld.connect(server.here.url, TOKEN)
    world.close()
    with pytest.raises(ValueError, match="closed"):
        world.twins()


# --- commands -------------------------------------------------------------------------------


def decide(server: Elsewhere, state: CommandState) -> threading.Timer:
    """Lets the plant answer a moment after the command was asked for."""

    def work() -> None:
        (command,) = server.mirror.world.commands.values()
        server.mirror.decide(command.id, state)

    timer = threading.Timer(0.2, lambda: server.do(work))
    timer.start()
    return timer


def test_a_command_is_waited_for(server: Elsewhere, world: World):
    command = world.write(SPEED, 7200, unit="/h", reason="shift start")
    assert (command.command.value, command.state) == (120.0, CommandState.REQUESTED)
    timer = decide(server, CommandState.CONFIRMED)
    assert command.wait(10).state is CommandState.CONFIRMED
    timer.join()
    assert [one.id for one in world.commands()] == [command.id]
    assert "confirmed" in command._repr_html_()


@pytest.mark.parametrize("state", [CommandState.EXPIRED, CommandState.FAILED])
def test_a_command_that_does_not_come_true_is_an_error(
    server: Elsewhere, world: World, state: CommandState
):
    command = world.point(SPEED).write(100.0)
    timer = decide(server, state)
    with pytest.raises(
        NotConfirmedError, match=r"line1/filler\.speed: the command (expired|failed)"
    ):
        command.wait(10)
    timer.join()


def test_a_command_that_is_refused_or_late(server: Elsewhere, world: World):
    with pytest.raises(NotConfirmedError, match="not armed"):
        world.call("line1/filler", "clear_jam", reason="jam").wait()
    with pytest.raises(TimeoutError, match="requested"):
        world.write(SPEED, 100.0).wait(0.1)
    with pytest.raises(ValueError, match="Cel"):
        world.write(SPEED, 100.0, unit="Cel")


# --- subscriptions --------------------------------------------------------------------------


def sample(server: Elsewhere, **values: object) -> None:
    def work() -> None:
        server.mirror.clock_ns += SECOND_NS
        server.mirror.sample(**values)

    server.do(work)


def test_a_subscription_tells_exact_values(server: Elsewhere, world: World):
    count = (1 << 53) + 1
    with world.subscribe([LEVEL, "line1/filler.count"]) as updates:
        assert len(updates.next(10)) == 2
        sample(server, count=count)
        (value,) = updates.next(10)
        assert (value.name, value.value, value.by) == ("count", count, "line1")
        sample(server, level=50.5)
        (value,) = updates.next(10)
        assert (value.name, value.value) == ("level", 50.5)


async def test_a_subscription_can_be_awaited(server: Elsewhere, world: World):
    updates = world.point(LEVEL).subscribe()
    heard: list[object] = []
    async with asyncio.timeout(20):
        async for values in updates:
            heard.append(values[0].value)
            if len(heard) == 3:
                break
            await asyncio.to_thread(sample, server, level=50.0 + len(heard))
    updates.close()
    assert heard == [41.5, 51.0, 52.0]


def test_a_subscription_comes_back_with_the_server():
    mirror: StandIn = line()
    with elsewhere(mirror) as first:
        port = first.here.port
        world = mirrorworld.connect(first.here.url, TOKEN)
        updates = world.point(LEVEL).subscribe()
        assert updates.next(10)[0].value == 41.5
    with pytest.raises(TimeoutError):
        updates.next(0.3)
    with elsewhere(mirror, port=port) as second:
        sample(second, level=77.0)
        assert updates.next(20)[0].value == 77.0
        updates.close()
        world.close()
