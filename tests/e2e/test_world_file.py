"""A world in git: written by `new world`, started as it stands, changed on both sides."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Up
from tests.e2e.running import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"MIRRORWORLD_HOME": str(tmp_path / "home"), "MIRRORWORLD_DISCOVERY": "off"}


@pytest.fixture
def folder(run: Up, home: dict[str, str], tmp_path: Path) -> Path:
    """What `mirrorworld new world pumps` writes."""
    new = run("new", "world", "pumps", "--dir", str(tmp_path), environment=home)
    assert new.until_ended() == 0, new.said
    return tmp_path / "pumps"


def start(run: Up, folder: Path, home: dict[str, str]) -> Running:
    return run("up", str(folder), "--port", "0", "--no-browser", environment=home).until_up()


def name_of(world: Running, twin: str) -> str:
    answer = world.client.get(f"/api/twins/{twin}")
    return answer.json()["twin"].get("name", {}).get("en", "") if answer.status_code == 200 else ""


def changed(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), n=0)
    return [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]


def export(run: Up, path: Path, home: dict[str, str]) -> None:
    done = run("export", "pumps", str(path), environment=home)
    assert done.until_ended() == 0, done.said


def test_people_work_on_the_page_and_in_the_file(
    run: Up, folder: Path, home: dict[str, str]
) -> None:
    path = folder / "world.yaml"
    written = path.read_text()
    world = start(run, folder, home)
    pressure = world.until("a value", lambda: world.value("pump1.pressure"))
    assert 0 < pressure < 6
    world.until("it is named", lambda: name_of(world, "tank") == "Tank")
    world.until("a rule works", lambda: world.value("pump2.head"))
    related = world.get("relations", twin="tank")["relations"]
    assert sorted(r["kind"] for r in related) == ["feeds", "feeds", "part_of"]

    # What is said on the page goes into the file, and nothing else of it changes.
    edits = [{"@": "PutName", "twin": "tank", "name": {"en": "Buffer"}}]
    assert world.post("edits", {"edits": edits}).status_code == 200
    world.stop()
    export(run, path, home)
    assert changed(written, path.read_text()) == [
        "-    name: {en: Tank, de: Behälter}",
        "+    name: {en: Buffer}",
    ]

    # A file that says what the world is changes nothing.
    world = start(run, folder, home)
    assert "world.yaml: 0 changes\n" in world.out, world.said
    # The page has another name by now; the file says something new of other things.
    edits = [{"@": "PutName", "twin": "tank", "name": {"en": "Mine"}}]
    assert world.post("edits", {"edits": edits}).status_code == 200
    world.stop()
    text = path.read_text().replace("{en: Hall, de: Halle}", "Pump hall")
    start_of, end_of = text.index("    tank-high:"), text.index("    pump-head:")
    path.write_text(text[:start_of] + text[end_of:])
    world = start(run, folder, home)
    assert "world.yaml: 2 changes\n" in world.out, world.said
    assert world.get("twins/hall")["twin"]["name"] == {"": "Pump hall"}
    assert [s["name"] for s in world.get("sheets", kind="rule")["sheets"]] == ["pump-head"]
    assert name_of(world, "tank") == "Mine"
    assert "file world.yaml" in world.client.get("/api/changes").text, "with its author"
    world.stop()


def test_a_bad_file_starts_nothing(run: Up, folder: Path, home: dict[str, str]) -> None:
    path = folder / "world.yaml"
    path.write_text(path.read_text().replace("unit: bar", "unit: Bar"))
    refused = run("up", str(path), "--port", "0", "--no-browser", environment=home)
    assert refused.until_ended() == 1
    line = next(n for n, row in enumerate(path.read_text().split("\n"), 1) if "unit: Bar" in row)
    assert f"{path}: line {line}, column 24: unit 'Bar' is not UCUM" in refused.said
    assert not (Path(home["MIRRORWORLD_HOME"]) / "worlds" / "pumps").exists()


def test_a_secret_comes_from_the_environment(run: Up, folder: Path, home: dict[str, str]) -> None:
    path = folder / "world.yaml"
    text = path.read_text()
    secret = '  meter: {url: "mqtt://127.0.0.1:9", username: a, password: "${METER_PASSWORD}"}\n'
    path.write_text(text.replace("sources:\n", f"sources:\n{secret}"))
    world = start(run, folder, home)
    assert "METER_PASSWORD is not set" in world.said
    assert [s["name"] for s in world.get("sources")] == ["pump1", "pump2", "tank"]
    world.stop()
    path.write_text(path.read_text() + "\n# and again, now with it\n")
    world = start(run, folder, {**home, "METER_PASSWORD": "open-sesame"})
    assert {s["name"] for s in world.get("sources")} == {"pump1", "pump2", "tank", "meter"}
    world.stop()
    export(run, path, home)
    assert "open-sesame" not in path.read_text() and "${METER_PASSWORD}" in path.read_text()
    kept = Path(home["MIRRORWORLD_HOME"]) / "worlds" / "pumps"
    assert "open-sesame" not in (kept / "sources.json").read_text()


def test_the_test_that_is_written_passes(folder: Path, home: dict[str, str]) -> None:
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=folder, env={**os.environ, **home}, capture_output=True, text=True, check=False,
        timeout=200,
    )  # fmt: skip
    assert tested.returncode == 0 and "3 passed" in tested.stdout, tested.stdout + tested.stderr
