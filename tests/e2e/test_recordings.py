"""Published data, row for row: what stands in the files, or was sent, is what is on record.

The files are read here by the standard library alone; values are compared by all their bits,
times by the nanosecond, and each cell of each row once and only once.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Broker
from tests.e2e import mqtt_plant
from tests.e2e.conftest import Up
from tests.e2e.running import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Expected = dict[str, list[tuple[int, float]]]
"""Point → its (time in ns, value), in the order of the file."""

AT_ONCE = 60
"""Points of one request for history; the server gives up to 64."""


def nanoseconds(text: str) -> int:
    """Of an ISO time; one without an offset is in UTC."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp()) * 1_000_000_000


def rows_of(path: Path, separator: str) -> list[dict[str, str]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return list(csv.DictReader(io.StringIO(text), delimiter=separator))


def compare(world: Running, expected: Expected) -> int:
    """Compares the record with what is expected; how many samples that were."""
    points = list(expected)
    total = 0
    for at in range(0, len(points), AT_ONCE):
        for point, table in world.history(*points[at : at + AT_ONCE]).items():
            # What has the same time stays in the order of the file.
            wanted = sorted(expected[point], key=lambda sample: sample[0])
            values = np.array([value for _, value in wanted])
            times = np.array([time for time, _ in wanted], np.int64)
            assert len(table) == len(wanted), f"{point}: {len(table)} of {len(wanted)} on record"
            found = table["value"].to_numpy().astype(np.float64)
            same = found.view(np.int64) == values.view(np.int64)
            assert same.all(), f"{point}: {np.flatnonzero(~same)[:5]} differ"
            assert (table["time"].cast("int64").to_numpy() == times).all(), f"{point}: times"
            assert (table["quality"].to_numpy() == 0).all()
            total += len(table)
    return total


def expected_of(rows: Iterable[dict[str, str]], twin: str, time: str) -> Expected:
    expected: Expected = defaultdict(list)
    for row in rows:
        at = nanoseconds(row[time])
        for name, text in row.items():
            if name != time and text != "":
                expected[f"{twin}.{name}"].append((at, float(text)))
    return expected


# --- recordings -------------------------------------------------------------------------------


@pytest.mark.shared_data("skab")
def test_folder_of_files(up: Up, shared_data: Path) -> None:
    folder = shared_data / "skab" / "valve1"
    world = up(str(folder))
    world.until_source("valve1", "ended")
    expected: Expected = {}
    for path in sorted(folder.glob("*.csv")):
        expected |= expected_of(rows_of(path, ";"), f"valve1/{path.stem}", "datetime")
    n = compare(world, expected)
    assert n == sum(map(len, expected.values())) > 100_000
    assert world.source("valve1")["tally"]["accepted"] == n
    # Again from its record, with the source remembered: nothing is played twice.
    assert world.stop() == 0
    again = up()
    again.until_source("valve1", "ended")
    assert compare(again, expected) == n


@pytest.mark.shared_data("la_haute_borne")
def test_killed_in_the_middle(up: Up, shared_data: Path) -> None:
    path = shared_data / "la_haute_borne" / "la-haute-borne-2014.csv.gz"
    rows = rows_of(path, ",")
    by_turbine: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        by_turbine[row.pop("Wind_turbine_name")].append(row)
    expected: Expected = {}
    for turbine, its in by_turbine.items():
        expected |= expected_of(its, f"farm/{turbine}", "Date_time")
    n = sum(map(len, expected.values()))
    # A year in about six seconds, so that there is a middle.
    arguments = (str(path), "--name", "farm", "--option", "speed=5e6")
    world = up(*arguments)

    def is_under_way() -> bool:
        accepted = world.source("farm").get("tally", {}).get("accepted", 0)
        assert accepted < n, "it was over before it could be killed"
        return accepted > n // 10

    world.until("some rows are in", is_under_way)
    world.kill()
    world = up(*arguments)
    source = world.until_source("farm", "ended", 120)
    assert compare(world, expected) == n
    # Over both runs, as the log has it.
    assert source["tally"]["accepted"] == n
    assert world.stop() == 0


# --- the same rows through a broker -----------------------------------------------------------


@pytest.mark.peer
@pytest.mark.shared_data("skab")
def test_rows_through_a_broker(
    start_mosquitto: Callable[..., Broker], up: Up, shared_data: Path
) -> None:
    broker = start_mosquitto("max_queued_messages 0", "max_inflight_messages 0")
    arguments = (f"mqtt://{broker.host}:{broker.port}/skab", "--name", "broker")
    world = up(*arguments)
    world.until_source("broker", "live")
    expected: Expected = {}
    sent: dict[str, int] = {}
    lines: list[list[str]] = []
    for path in sorted((shared_data / "skab" / "valve1").glob("*.csv")):
        rows = rows_of(path, ";")
        topic = f"skab/valve1/{path.stem}"
        sent[topic] = len(rows)
        expected |= expected_of(rows, f"broker/{topic}", "datetime")
        lines.append(
            [
                json.dumps([topic, {k: v if k == "datetime" else float(v) for k, v in row.items()}])
                for row in rows
            ]
        )
    process = subprocess.Popen(
        [
            sys.executable,
            mqtt_plant.__file__,
            json.dumps({"host": broker.host, "port": broker.port, "window": 200}),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        # Half of the files, then the mirror falls while the broker still has some of it.
        for its in lines[: len(lines) // 2]:
            process.stdin.write("\n".join(its) + "\n")
        process.stdin.flush()

        def is_under_way() -> bool:
            return world.source("broker")["tally"]["accepted"] > 1_000

        world.until("some messages are in", is_under_way)
        world.kill()
        for its in lines[len(lines) // 2 :]:
            process.stdin.write("\n".join(its) + "\n")
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert json.loads(said) == sent, "the broker did not acknowledge everything"
    world = up(*arguments)
    last = {f"broker/{topic}.Temperature" for topic in sent}
    world.until(
        "the last rows have arrived",
        lambda: all(
            world.value(point) == expected[point][-1][1]
            and world.points(id=point)[point]["source_ns"] == expected[point][-1][0]
            for point in last
        ),
        60,
    )
    assert compare(world, expected) == sum(map(len, expected.values()))
    assert world.stop() == 0
