"""Notes and tasks travel with the world: its file has them, and brings them back."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirrorworld.app import export_world, import_world, opened
from mirrorworld.authoring.documents import Document
from mirrorworld.standards import world_yaml
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin, Writing
from mirrorworld.world.model import Twin
from mirrorworld.world.world import World
from tests.authoring.writer import Doc, Map, note

KIM = Origin(OriginKind.AUTHORED, "kim")


def written(text: str = "leaks", author: str = "kim") -> bytes:
    doc: Doc = Doc()
    doc.get("notes", type=Map)["n1"] = note(author, text)
    return doc.get_update()


def world() -> World:
    made = World("w", compiled=False)
    made.apply(Change(Edits((PutTwin(Twin("hall/pump")), PutTwin(Twin("hall/tank")))), KIM, 1))
    return made


def test_a_file_brings_notes_to_another_world(tmp_path: Path) -> None:
    one = world()
    one.apply(Change(Writing("hall/pump", written()), KIM, 2))
    file = tmp_path / "world.yaml"
    world_yaml.WorldYaml().export(one, file)
    assert "written:" in file.read_text()
    directory = tmp_path / "other"
    import_world(file, directory, "other")
    with opened(directory, "other") as (other, _):
        kept = other.writings["hall/pump"]
        assert Document(kept).notes()["n1"].text == "leaks"
        assert Document(kept).notes()["n1"].author == "kim"
    again = tmp_path / "again.yaml"
    export_world(directory, again)
    assert world_yaml.read_file(again).written == world_yaml.read_file(file).written
    before = file.read_text()
    world_yaml.WorldYaml().export(one, file)
    assert file.read_text() == before, "what has not changed stays as it stands"


def test_a_file_that_says_what_notes_cannot_say_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    for wrong, why in (("AAAA", "behind the update"), ("no base64!", "not base64")):
        file.write_text(f"mirrorworld: 1\ntwins:\n  a:\nwritten:\n  a: '{wrong}'\n")
        with pytest.raises(ValueError, match=why) as told:
            world_yaml.read_file(file)
        assert "line 5" in str(told.value)
