"""A world in a directory, opened without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

import mirrorworld
from mirrorworld.client import NotAllowedError, NotFoundError
from mirrorworld.server import announced
from mirrorworld.world.changes import PutTwin
from mirrorworld.world.model import PointType, Twin

TWIN = Twin("hall/p1", points=(PointType("flow", unit="m3/h"),))


def test_what_is_written_is_there_when_it_is_opened_again(tmp_path: Path):
    with mirrorworld.open(tmp_path / "pumping", create=True) as world:
        assert world.id == "pumping"
        world.edit(PutTwin(TWIN))
    with mirrorworld.open(tmp_path / "pumping") as world:
        assert world.twins().ids == ["hall/p1"]
        assert [change.by for change in world.changes()] == ["owner"]
        assert world.history("hall/p1.flow").num_rows == 0
        assert world.asof("2026-11-22", "hall/p1.flow")[0].value is None
        with pytest.raises(NotAllowedError, match="writable=True"):
            world.edit(PutTwin(Twin("x")))
    with mirrorworld.open(tmp_path / "pumping", writable=True) as world:
        world.edit(PutTwin(Twin("hall/p2")))
        assert world.twins().ids == ["hall/p1", "hall/p2"]


def test_a_world_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MIRRORWORLD_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    mirrorworld.open(tmp_path / "worlds" / "pumping", create=True).close()
    with mirrorworld.open("pumping") as world:
        assert world.id == "pumping"


def test_a_world_that_is_not_there_is_not_made(tmp_path: Path):
    for options in ({}, {"writable": True}):
        with pytest.raises(NotFoundError):
            mirrorworld.open(tmp_path / "nothing", **options)
    assert not (tmp_path / "nothing").exists()


def test_a_world_that_is_served_is_read_but_not_written(tmp_path: Path):
    directory = tmp_path / "pumping"
    with (
        mirrorworld.open(directory, create=True) as writer,
        announced(directory, "http://127.0.0.1:7700"),
    ):
        writer.edit(PutTwin(TWIN))
        with mirrorworld.open(directory) as reader:
            assert reader.twins().ids == ["hall/p1"]
        with pytest.raises(NotAllowedError, match=r"connect\('http://127.0.0.1:7700'\)"):
            mirrorworld.open(directory, writable=True)
