"""A published recording of a lathe's adapter, played over TCP many times faster by a process
of its own: row for row in the record.

The file and the devices document are read here by the standard library alone; the values of each
row are compared as they were sent, the times by the nanosecond.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from tests.e2e.conftest import Up
from tests.e2e.running import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LEVELS = {"NORMAL", "WARNING", "FAULT"}
BAD_NO_DATA = 0x809B_0000
Row = tuple[int, str]
SPEED = float(os.environ.get("MIRRORWORLD_TEST_SPEED", "40"))
"""Times the pace of the recording's eleven minutes."""


def nanoseconds(text: str) -> int:
    """Of `2022-08-08T13:51:34.7167146Z`, all seven digits."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0") or 0)


def rows_of(text: str) -> tuple[dict[str, list[Row]], int]:
    """(key → its rows, in order of the file; how many lines are conditions)."""
    rows: dict[str, list[Row]] = defaultdict(list)
    conditions, tag = 0, ""
    for line in text.splitlines():
        if tag:
            tag = "" if line == tag else tag
            continue
        fields = line.split("|")
        if "--multiline--" in line:
            tag = fields[-1]
        elif line.startswith("*") or len(fields) < 3 or fields[1].startswith("@"):
            continue
        elif len(fields) == 7 and fields[2] in LEVELS:
            conditions += 1
        else:
            for key, value in zip(fields[1::2], fields[2::2], strict=True):
                rows[key].append((nanoseconds(fields[0]), value))
    return rows, conditions


def places_of(document: Path, device: str) -> dict[str, str]:
    """Data item's name → id of the twin that must have it."""
    found: dict[str, str] = {}

    def walk(element: ElementTree.Element, twin: str, is_component: bool) -> None:
        tag = element.tag.rpartition("}")[2]
        if is_component:
            twin += "/" + (element.get("name") or element.get("id") or tag)
        if tag == "DataItem":
            found[element.get("name") or element.get("id") or ""] = twin
        for child in element:
            walk(child, twin, tag in ("Components", "Devices"))

    root = ElementTree.parse(document).getroot()
    for element in root.iter():
        if element.tag.endswith("}Device") and element.get("name") == device:
            walk(element, "lathe", True)
    return found


@pytest.fixture
def play() -> Iterator[Any]:
    """A function that starts a player; (its port, the process)."""
    players: list[subprocess.Popen[str]] = []

    def start(path: Path, speed: float) -> tuple[int, subprocess.Popen[str]]:
        player = subprocess.Popen(
            [sys.executable, "-m", "mirrorworld.testing.shdr_player",
             json.dumps({"file": str(path), "speed": speed})],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        players.append(player)
        assert player.stdout is not None
        return int(player.stdout.readline()), player

    yield start
    for player in players:
        assert player.stdin is not None and player.stdout is not None
        player.stdin.close()
        player.wait(20)
        player.stdout.close()


def compare(world: Running, rows: dict[str, list[Row]], places: dict[str, str]) -> int:
    """Compares the record with the rows; how many there were."""
    total = 0
    for key, wanted in rows.items():
        # What the document does not describe is a point of the device.
        point = f"{places.get(key, 'lathe/OKUMA')}.{key}"
        wanted = sorted(wanted, key=lambda row: row[0])  # the same time: as sent
        table = world.history(point)[point]
        assert len(table) == len(wanted), f"{point}: {len(table)} of {len(wanted)} on record"
        assert table["time"].cast("int64").to_pylist() == [ns for ns, _ in wanted], point
        labels = labels_of(world, point)
        found = zip(table["value"].to_pylist(), table["quality"].to_pylist(), strict=True)
        for (_, text), (value, quality) in zip(wanted, found, strict=True):
            if text == "UNAVAILABLE":
                assert quality == BAD_NO_DATA, f"{point}: {text} {value} {quality:x}"
                continue
            assert quality == 0, f"{point}: {text} {value} {quality:x}"
            if isinstance(value, list):
                assert value == [float(word) for word in text.split()], point
            elif isinstance(value, float):
                assert value == float(text), point
            elif isinstance(value, int):
                assert labels[value] == text, point
            else:
                assert value == text, point
        total += len(table)
    return total


def labels_of(world: Running, point: str) -> dict[int, str]:
    """Code → label of a point that is an enumeration."""
    twin, name = point.rsplit(".", 1)
    of_twin = world.get(f"twins/{quote(twin)}")["points"]
    labels = next(p["type"] for p in of_twin if p["type"]["name"] == name).get("labels", ())
    return {int(code): label for code, label in labels}


@pytest.mark.shared_data("mtconnect")
def test_recorded_lathe_row_for_row(up: Up, play: Any, shared_data: Path) -> None:
    folder = shared_data / "mtconnect"
    path = folder / "okuma_first_half.txt.gz"
    rows, conditions = rows_of(gzip.decompress(path.read_bytes()).decode())
    n = sum(map(len, rows.values()))
    assert n == 13_570 and conditions == 20
    port, player = play(path, SPEED)
    arguments = ("--name", "lathe", "--option", f"devices={folder / 'Devices.xml'}")
    world = up(f"shdr://127.0.0.1:{port}", *arguments)
    assert player.stdout is not None
    assert player.stdout.readline().startswith("played ")
    world.until("all rows are in", lambda: world.source("lathe")["tally"]["accepted"] >= n, 60)
    source = world.source("lathe")
    assert compare(world, rows, places_of(folder / "Devices.xml", "OKUMA")) == n
    assert source["tally"]["accepted"] == n and source["tally"]["duplicate"] == 0
    # The plant's clock stands in 2022 and goes back between its two sessions.
    assert set(source["counts"]) <= {"clock_jumps"}, "something was left out"
    events = world.get("events", limit=1_000)["events"]
    assert sum(event["id"].endswith("_cond") for event in events) == 9
    # Again from its record, with the adapter gone: every row is still there.
    assert world.stop() == 0
    player.kill()
    again = up()
    assert compare(again, rows, places_of(folder / "Devices.xml", "OKUMA")) == n
    assert again.stop() == 0
