"""The world file keeps the contract of formats, and names what is wrong in a bad one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirrorworld.standards.world_file import WorldFile
from mirrorworld.testing.formats import canonical_world, check_format


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_format(WorldFile(), tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "'version' must be 1"),
        ({"version": 9}, "'version' must be 1"),
        ({"version": 1, "twins": {}}, "'twins' must be a list"),
        ({"version": 1, "twins": [{"id": "x"}, {"type": "T"}]}, r"twins\[1\]: Twin needs id"),
        ({"version": 1, "types": [{"id": "T", "points": [{}]}]}, r"types\[0\].points\[0\]"),
    ],
)
def test_a_bad_file_is_named_by_its_place(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "bad.world.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        WorldFile().import_(path)


def test_arms_are_not_taken_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "armed.world.json"
    WorldFile().export(canonical_world(), path)
    content = json.loads(path.read_text())
    content["arms"] = [{"twin": "hall/pump", "name": "flow"}]
    content["future"] = 1
    path.write_text(json.dumps(content))
    edits, carried = WorldFile().import_(path)
    assert not any(type(edit).__name__ == "Arm" for edit in edits.edits)
    assert [place for place, _ in carried.lost] == [f"{path}: future", f"{path}: arms"]
