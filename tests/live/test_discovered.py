"""What is around, bounded; adding it under a name and at a place; ignoring it for good."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mirrorworld.live.discovered import Discovered
from mirrorworld.live.guard import ENGINEER, OWNER, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.live.pipeline import Refused
from mirrorworld.live.sightings import (
    DETAIL_MAX,
    SIGHTINGS_MAX,
    TEXT_MAX,
    address_of,
    short_name,
)
from mirrorworld.record.store import open_record, restore
from mirrorworld.world.changes import Edits, PutTwin
from mirrorworld.world.model import PART_OF, Pose, Text, Twin
from mirrorworld.world.ports import Reach, Sighting, SourceConfig, SourceError, Surroundings
from tests.live.conftest import HandSource

SECOND_NS = 1_000_000_000
EVA = principal("eva", OWNER)


class Finding:
    """A finder in the test's hands."""

    name = "test"

    def __init__(self) -> None:
        self.around: Surroundings | None = None
        self.fails: Exception | None = None

    async def run(self, around: Surroundings) -> None:
        if self.fails:
            raise self.fails
        self.around = around
        await asyncio.Event().wait()

    def sees(self, key: str, url: str = "hand://here", name: str = "A pump", **more) -> None:
        assert self.around is not None
        more = {"what": "Pump", "guessed": "it says so", **more}
        self.around.report(Sighting(key, url, name, **more))


class Slow(HandSource):
    """A source that answers nobody."""

    schemes = ("slow",)

    async def discover(self, limit: int = 10_000):
        await asyncio.Event().wait()


class House:
    """A mirror with a finder, on a directory."""

    def __init__(self, directory: Path) -> None:
        record = open_record(directory / "record", "w")
        self.now_ns = 1_800_000_000 * SECOND_NS
        schemes = {"hand": HandSource, "slow": Slow}
        self.mirror = Mirror(restore(record), record, schemes, now_ns=lambda: self.now_ns)
        self.finder = Finding()
        self.around = self.mirror.around = Discovered(
            self.mirror,
            [self.finder],
            file=directory / "discovered.json",
            placing_file=directory / "placing.json",
        )

    async def __aenter__(self) -> House:
        await self.mirror.start()
        self.around.start()
        while self.finder.around is None and not self.around.failures:
            await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.around.stop()
        await self.mirror.stop()

    @property
    def states(self) -> dict[str, str]:
        return {e.best.name: e.state for e in self.around.entries()}

    async def until(self, look) -> None:
        async with asyncio.timeout(20):
            while not look():
                await asyncio.sleep(0.01)


# --- the list --------------------------------------------------------------------------------


async def test_one_thing_seen_twice_is_one_entry_with_both_ways(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        house.finder.sees("a", "hand://127.0.0.1:7/x/", guessed="one way")
        house.finder.sees("b", "hand://localhost:7/x", guessed="another", detail="more=1")
        (entry,) = house.around.entries()
        assert {s.guessed for s in entry.sightings} == {"one way", "another"}
        assert entry.best.detail == "more=1"
        assert house.finder.around is not None
        house.finder.around.withdraw("a")
        assert len(house.around.entries()) == 1
        house.finder.around.withdraw("b")
        assert house.around.entries() == []


async def test_what_is_not_seen_again_goes(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        house.finder.sees("a", lasts_s=60)
        house.now_ns += 59 * SECOND_NS
        house.finder.sees("a", lasts_s=60)
        house.now_ns += 59 * SECOND_NS
        assert len(house.around.entries()) == 1
        house.now_ns += 2 * SECOND_NS
        assert house.around.entries() == []


async def test_a_thing_that_moves_is_not_shown_twice(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        house.finder.sees("a", "hand://one")
        house.finder.sees("a", "hand://two")
        assert [e.url for e in house.around.entries()] == ["hand://two"]


async def test_floods_long_words_and_bad_addresses_are_bounded_and_counted(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        for i in range(SIGHTINGS_MAX + 50):
            house.finder.sees(f"k{i}", f"hand://host{i}")
        assert len(house.around.entries()) == SIGHTINGS_MAX
        assert house.around.counts["sightings_too_many"] == 50
        bad = (
            "hand://a b",
            "hand://user:pw@host",
            "hand://h\n",
            "hand://",
            "x" * 600,
            "hand://h:0",
        )
        for i, url in enumerate(bad):
            house.finder.sees(f"bad{i}", url)
        assert house.around.counts["sightings_bad_address"] == len(bad)

    async with House(tmp_path / "b") as house:
        house.finder.sees(
            "x", name="n" * 9_000, detail="d\n" * 9_000, guessed="\u202egpj.exe\x1b[2J\x00"
        )
        (entry,) = house.around.entries()
        assert len(entry.best.name) == TEXT_MAX
        assert len(entry.best.detail) <= DETAIL_MAX
        assert entry.best.guessed.isprintable()


async def test_a_finder_that_cannot_look_says_why(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.finder.fails = SourceError("needs the package ears")
    async with house:
        assert house.around.failures == {"test": "needs the package ears"}


async def test_nobody_looks_when_told_so(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.around.reach = Reach.OFF
    house.around.start()
    await asyncio.sleep(0.05)
    assert house.finder.around is None
    await house.around.stop()
    house.mirror.record.close()


# --- deciding --------------------------------------------------------------------------------


async def test_ignoring_outlives_a_restart_and_can_be_undone(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        house.finder.sees("a")
        (entry,) = house.around.entries()
        house.around.ignore(entry.key)
        assert house.states == {"A pump": "ignored"}
    async with House(tmp_path) as house:
        house.finder.sees("other key", "hand://here/")  # the same address, seen in another way
        assert house.states == {"A pump": "ignored"}
        house.around.ignore(entry.key, is_ignored=False)
        assert house.states == {"A pump": "new"}
    async with House(tmp_path) as house:
        house.finder.sees("a")
        assert house.states == {"A pump": "new"}


async def test_adding_names_and_places_the_twin_as_the_one_who_added_it(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        hall = Edits((PutTwin(Twin("hall3", name=Text.of("Hall 3"))),))
        await house.mirror.edit(EVA, hall)
        house.finder.sees("a")
        (entry,) = house.around.entries()
        source = await house.around.add(
            EVA, entry.key, SourceConfig("", "plant"), Text.of("Feed pump", "en"), "hall3",
            Pose(x_m=2.0, z_m=-1.5),
        )  # fmt: skip
        assert source.url == "hand://here"
        assert house.states == {"A pump": "added"}
        twins = house.mirror.world.structure.twins
        await house.until(lambda: "plant/pump" in twins and twins["plant/pump"].pose)
        pump = house.mirror.world.structure.twins["plant/pump"]
        assert pump.name.best("en") == "Feed pump"
        assert pump.pose == Pose(x_m=2.0, z_m=-1.5)
        relations = list(house.mirror.world.structure.relations_from("plant/pump"))
        assert [(r.kind, r.target) for r in relations] == [(PART_OF, "hall3")]
        await house.until(lambda: not house.around.placing.waiting)
        changes = [c for c in house.mirror.record.replay() if hasattr(c, "body")]
        assert any(c.origin.by == "eva" and "discovered" in c.body.reason for c in changes
                   if isinstance(c.body, Edits))  # fmt: skip


async def test_a_name_waits_for_its_twin_through_a_restart(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        house.finder.sees("a")
        (entry,) = house.around.entries()
        await house.around.add(EVA, entry.key, SourceConfig("", "plant"), Text.of("Late pump"))
        # The power fails before the twin has come.
        assert [w.name for w in house.around.placing.waiting] == ["Late pump"]
    async with House(tmp_path) as house:
        house.mirror.feeds.add(SourceConfig("hand://here", "plant"))
        twins = house.mirror.world.structure.twins
        await house.until(
            lambda: "plant/pump" in twins and twins["plant/pump"].name.best() == "Late pump"
        )


async def test_who_may_not_edit_or_administer_adds_nothing(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        house.finder.sees("a")
        (entry,) = house.around.entries()
        with pytest.raises(Refused):
            await house.around.add(
                principal("ed", ENGINEER), entry.key, SourceConfig("", "plant"), Text.of("Mine")
            )
        with pytest.raises(KeyError, match="hall9"):
            await house.around.add(EVA, entry.key, SourceConfig("", ""), Text(), "hall9")
        assert list(house.mirror.feeds) == []
        assert house.around.placing.waiting == []


async def test_a_preview_is_bounded_in_time(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("mirrorworld.live.discovered.PREVIEW_S", 0.05)
    async with House(tmp_path) as house:
        house.finder.sees("a", "slow://there")
        (entry,) = house.around.entries()
        with pytest.raises(SourceError, match="did not answer"):
            await house.around.preview(EVA, entry.key, SourceConfig("", ""))
        house.finder.sees("b")
        found = await house.around.preview(
            EVA, next(e.key for e in house.around.entries() if e.url == "hand://here"),
            SourceConfig("", ""),
        )  # fmt: skip
        assert [f.twin.id for f in found] == ["plant/pump"]
        assert list(house.mirror.feeds) == []


async def test_a_thing_without_an_address_is_added_at_the_one_that_is_given(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        house.finder.sees("a", "")
        (entry,) = house.around.entries()
        with pytest.raises(SourceError, match="address"):
            await house.around.add(EVA, entry.key, SourceConfig("", ""))
        source = await house.around.add(EVA, entry.key, SourceConfig("hand://there", ""))
        assert (source.name, source.url) == ("a-pump", "hand://there")


async def test_a_person_s_address_never_replaces_the_one_that_was_seen(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        house.finder.sees("a")
        (entry,) = house.around.entries()
        asked = house.around.config(entry.key, SourceConfig("hand://elsewhere", "x"))
        assert asked.url == "hand://here"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("opc.tcp://127.0.0.1", "opc.tcp://localhost:4840/"),
        ("mqtt://user:pw@Plant", "mqtt://plant:1883"),
        ("file:///data/a.csv", "/data/a.csv"),
        ("http://[::1]:80/x?y=1", "http://localhost/x"),
    ],
)
def test_the_same_address_however_it_is_written(one: str, other: str) -> None:
    assert address_of(one) == address_of(other)


def test_short_names_are_names_of_sources() -> None:
    none = frozenset[str]()
    assert short_name("Füller 2 (Hall A)", "mqtt://x", none) == "fuller-2-hall-a"
    assert short_name("填充机", "opc.tcp://plc7", none) == "plc7"
    assert short_name("pump", "mqtt://x", frozenset({"pump", "pump-2"})) == "pump-3"
    assert len(short_name("n" * 500, "mqtt://x", none)) <= 64
