"""The command road: what is sent, what never is, and that every step is in the log."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mirrorworld.live.guard import OPERATOR, OWNER, VIEWER, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.record.store import open_record
from mirrorworld.world.changes import Arm, Command, CommandState, Disarm, Edits, Position
from mirrorworld.world.model import Kind, Scalar
from mirrorworld.world.ports import Link, LinkState
from tests.live.conftest import PUMP, HandSource, open_mirror

KIM = principal("kim", OWNER)


def speed(value: Scalar, timeout_ms: int = 5_000) -> Command:
    return Command("", PUMP.id, point="speed", value=value, reason="test", timeout_ms=timeout_ms)


async def arm(mirror: Mirror, made: Arm) -> None:
    await mirror.edit(KIM, Edits((made,)))


async def test_a_command_is_confirmed_by_the_sources_own_report(
    mirror: Mirror, source: HandSource
) -> None:
    wanted = await mirror.command(KIM, speed(1500.0))
    assert wanted.state is CommandState.REQUESTED
    assert mirror.durable >= mirror.world.position, "a command is durable before it is sent"
    done = asyncio.create_task(_ended(mirror, wanted.id))
    await asyncio.sleep(0)
    await source.report("speed", Kind.FLOAT, 900.0)
    assert not done.done(), "another value confirms nothing"
    await source.report("speed", Kind.FLOAT, 1500.0)
    assert (await done).state is CommandState.CONFIRMED
    assert [c.value for c in source.written] == [1500.0]


async def _ended(mirror: Mirror, command_id: str) -> Command:
    async with asyncio.timeout(10):
        while not mirror.world.commands[command_id].state.is_final:
            await asyncio.sleep(0.01)
    return mirror.world.commands[command_id]


async def _asked(source: HandSource) -> None:
    async with asyncio.timeout(10):
        await source.was_asked.wait()


async def test_every_step_is_in_the_log_with_who_and_why(
    tmp_path: Path, mirror: Mirror, source: HandSource
) -> None:
    wanted = await mirror.command(KIM, speed(100.0))
    await source.report("speed", Kind.FLOAT, 100.0)
    await _ended(mirror, wanted.id)
    await mirror.stop()
    with open_record(tmp_path / "record", "w") as record:
        steps = [
            c.body
            for c in record.changes(Position(0, 0))
            if isinstance(c.body, Command) and c.body.id == wanted.id
        ]
    assert [s.state.name for s in steps] == ["REQUESTED", "SENT", "CONFIRMED"]
    assert {(s.by, s.reason) for s in steps} == {("kim", "test")}


async def test_a_command_that_is_not_reported_expires(mirror: Mirror, source: HandSource) -> None:
    wanted = await mirror.command(KIM, speed(100.0, timeout_ms=500), wait=True)
    assert wanted.state is CommandState.EXPIRED
    assert "reported only" in wanted.detail


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (3001.0, "outside its range"),
        (float("nan"), "finite"),
        ("fast", "not a number"),
        (True, "not a number"),
    ],
)
async def test_a_value_that_the_point_cannot_have_is_refused(
    mirror: Mirror, source: HandSource, value: Scalar, why: str
) -> None:
    refused = await mirror.command(KIM, speed(value))
    assert refused.state is CommandState.REFUSED
    assert why in refused.detail
    assert "plant/pump.speed" in refused.detail
    assert not source.written
    assert mirror.world.commands[refused.id].state is CommandState.REFUSED, "it is in the log"


async def test_units_are_converted_or_refused_by_name(mirror: Mirror, source: HandSource) -> None:
    await mirror.command(KIM, speed(10.0), unit="1/s")
    await _asked(source)
    assert source.written[0].value == pytest.approx(600.0)
    refused = await mirror.command(KIM, speed(10.0), unit="kg")
    assert refused.state is CommandState.REFUSED
    assert "'kg' does not fit '1/min'" in refused.detail


async def test_labels_of_an_enum_are_taken_for_their_codes(
    mirror: Mirror, source: HandSource
) -> None:
    await mirror.command(KIM, Command("", PUMP.id, point="mode", value="on"))
    await _asked(source)
    assert source.written[0].value == 1
    wrong = await mirror.command(KIM, Command("", PUMP.id, point="mode", value="fast"))
    assert wrong.state is CommandState.REFUSED
    assert "none of off, on" in wrong.detail


async def test_nothing_is_sent_that_is_not_armed(mirror: Mirror, source: HandSource) -> None:
    await mirror.edit(KIM, Edits((Disarm(PUMP.id, "speed"),)))
    refused = await mirror.command(KIM, speed(1.0))
    assert refused.state is CommandState.REFUSED
    assert "read-only: an engineer has to arm it first" in refused.detail
    assert not source.written


async def test_a_viewer_may_not_command_and_an_operator_may_not_arm(
    mirror: Mirror, source: HandSource
) -> None:
    refused = await mirror.command(principal("gast", VIEWER), speed(1.0))
    assert refused.state is CommandState.REFUSED
    assert "needs the role operator" in refused.detail
    with pytest.raises(PermissionError, match="may not arm"):
        await mirror.edit(principal("op", OPERATOR), Edits((Arm(PUMP.id, "speed", high=9.0),)))
    assert not source.written


async def test_interlocks(mirror: Mirror, source: HandSource) -> None:
    async def refusal(command: Command, **more: bool) -> str:
        answer = await mirror.command(KIM, command, **more)
        return answer.detail if answer.state is CommandState.REFUSED else ""

    await arm(mirror, Arm(PUMP.id, "speed", low=100, high=2000))
    assert "outside the armed 100 to 2000" in await refusal(speed(50.0))
    await arm(mirror, Arm(PUMP.id, "speed", max_step=100))
    assert "is not good" in await refusal(speed(50.0)), "an unknown value cannot be stepped from"
    await source.report("speed", Kind.FLOAT, 1000.0)
    assert "more than the armed step" in await refusal(speed(1200.0))
    await arm(mirror, Arm(PUMP.id, "speed", must_confirm=True))
    assert "second yes" in await refusal(speed(1000.0))
    assert await refusal(speed(1000.0), is_confirmed=True) == ""
    condition = (("plant/pump", "guard_closed", True),)
    await arm(mirror, Arm(PUMP.id, "mode", only_while=condition))
    mode = Command("", PUMP.id, point="mode", value=1, timeout_ms=500)
    assert "is not good" in await refusal(mode)
    await source.report("guard_closed", Kind.BOOL, False)
    assert "only while" in await refusal(mode)
    await source.report("guard_closed", Kind.BOOL, True)
    assert await refusal(mode) == ""


async def test_one_command_at_a_time_and_none_of_what_it_excludes(
    mirror: Mirror, source: HandSource
) -> None:
    source.answers.clear()
    await arm(mirror, Arm(PUMP.id, "mode", excludes=((PUMP.id, "speed"),), min_interval_ms=60_000))
    first = await mirror.command(KIM, speed(10.0))
    again = await mirror.command(KIM, speed(20.0))
    assert "has an open command of kim" in again.detail
    other = await mirror.command(KIM, Command("", PUMP.id, point="mode", value=1))
    assert "has an open command of kim" in other.detail
    source.answers.set()
    await source.report("speed", Kind.FLOAT, 10.0)
    await _ended(mirror, first.id)
    taken = await mirror.command(KIM, Command("", PUMP.id, point="mode", value=1, timeout_ms=500))
    assert taken.state is CommandState.REQUESTED
    await _ended(mirror, taken.id)
    soon = await mirror.command(KIM, Command("", PUMP.id, point="mode", value=0))
    assert "one every 60000 ms" in soon.detail


async def test_nothing_is_kept_for_a_source_that_is_away(
    mirror: Mirror, source: HandSource
) -> None:
    source.link = Link(LinkState.LOST)
    refused = await mirror.command(KIM, speed(1.0))
    assert refused.state is CommandState.REFUSED
    assert "nothing is kept for later" in refused.detail
    source.link = Link(LinkState.LIVE)
    await asyncio.sleep(0)
    assert not source.written


async def test_nothing_from_before_a_restart_is_ever_sent(
    tmp_path: Path, mirror: Mirror, source: HandSource
) -> None:
    source.answers.clear()
    wanted = await mirror.command(KIM, speed(10.0))
    await mirror.stop()
    again = await open_mirror(tmp_path)
    try:
        after = again.world.commands[wanted.id]
        assert after.state is CommandState.EXPIRED
        assert "restarted" in after.detail
        connector = again.feeds.get("plant").connector
        assert isinstance(connector, HandSource)
        assert not connector.written
    finally:
        await again.stop()


async def test_the_same_id_is_the_same_command(mirror: Mirror, source: HandSource) -> None:
    source.answers.clear()
    one = Command("mine", PUMP.id, operation="purge")
    await mirror.command(KIM, one)
    await mirror.command(KIM, one)
    source.answers.set()
    await _ended(mirror, "mine")
    assert len(source.written) == 1


async def test_a_source_that_does_not_answer_ends_the_command(
    mirror: Mirror, source: HandSource
) -> None:
    source.answers.clear()
    ended = await mirror.command(KIM, speed(1.0, timeout_ms=2_000), wait=True)
    assert ended.state is CommandState.FAILED
    assert "did not answer within 2000 ms" in ended.detail


async def test_what_does_not_exist_cannot_be_asked_for(mirror: Mirror) -> None:
    with pytest.raises(ValueError, match="plant/none: no such twin"):
        await mirror.command(KIM, Command("", "plant/none", point="speed", value=1.0))
    with pytest.raises(ValueError, match="no such operation"):
        await mirror.command(KIM, Command("", PUMP.id, operation="dance"))
    with pytest.raises(KeyError, match="no such point"):
        await mirror.command(KIM, Command("", PUMP.id, point="colour", value=1.0))
