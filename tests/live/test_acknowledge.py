"""Seeing an alarm: noted here, unless its source keeps it; then the source has the last word."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirrorworld.live.guard import OPERATOR, VIEWER, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.live.pipeline import Refused
from mirrorworld.world.changes import Event, Severity
from mirrorworld.world.model import Property, Text
from mirrorworld.world.ports import SourceConfig, SourceError
from tests.live.conftest import PUMP, HandSource, open_mirror

KIM = principal("kim", OPERATOR)


def alarm(id: str, *, is_acknowledged: bool = False) -> Event:
    return Event(
        id, PUMP.id, "alarm", Text.of("too hot"), Severity.HIGH,
        is_active=True, is_acknowledged=is_acknowledged,
    )  # fmt: skip


class KeepingSource(HandSource):
    """A hand-held source that keeps the conditions whose ids begin with `plant/kept`."""

    def __init__(self, config: SourceConfig) -> None:
        super().__init__(config)
        self.told: list[tuple[str, str]] = []
        self.refusal = ""

    def keeps_condition(self, event_id: str) -> bool:
        return event_id.startswith("plant/kept")

    async def acknowledge(self, event: Event, comment: str) -> None:
        if self.refusal:
            raise SourceError(self.refusal)
        self.told.append((event.id, comment))


@pytest.fixture
async def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.live.conftest.HandSource", KeepingSource)
    mirror = await open_mirror(tmp_path)
    yield mirror, mirror.feeds.get("plant").connector
    await mirror.stop()


async def test_what_is_made_here_is_acknowledged_here(mirror: Mirror, source: HandSource) -> None:
    assert source.sink is not None
    await source.sink.event(alarm("plant/hot"))
    assert (await mirror.acknowledge(KIM, "plant/hot", "on my way")).is_acknowledged
    noted = mirror.world.events["plant/hot"]
    assert noted.is_acknowledged
    assert Property("acknowledged_by", "kim") in noted.properties
    assert Property("comment", "on my way") in noted.properties


async def test_what_the_source_keeps_is_acknowledged_when_the_source_says_so(kept) -> None:
    mirror, source = kept
    await source.sink.event(alarm("plant/kept/1"))
    asked = await mirror.acknowledge(KIM, "plant/kept/1", "seen")
    assert not asked.is_acknowledged
    assert Property("acknowledged_by", "kim") in mirror.world.events["plant/kept/1"].properties
    assert source.told == [("plant/kept/1", "seen")]
    await source.sink.event(alarm("plant/kept/1", is_acknowledged=True))
    assert mirror.world.events["plant/kept/1"].is_acknowledged
    await source.sink.event(alarm("plant/other"))
    assert (await mirror.acknowledge(KIM, "plant/other")).is_acknowledged


async def test_a_source_that_refuses_is_heard(kept) -> None:
    mirror, source = kept
    source.refusal = "the condition needs a comment"
    await source.sink.event(alarm("plant/kept/1"))
    with pytest.raises(SourceError, match="needs a comment"):
        await mirror.acknowledge(KIM, "plant/kept/1")
    assert not mirror.world.events["plant/kept/1"].is_acknowledged


async def test_who_may_not_acknowledge_reaches_no_source(kept) -> None:
    mirror, source = kept
    await source.sink.event(alarm("plant/kept/1"))
    with pytest.raises(Refused):
        await mirror.acknowledge(principal("guest", VIEWER), "plant/kept/1")
    assert source.told == []
