"""Local times on the page stay right when clocks are put forward and back."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "web" / "src"
RUN = """
const { timeTicks, tickText } = await import("./panels/timeaxis.ts");
const { clockText, momentText } = await import("./format.ts");
const [start, end, count] = JSON.parse(process.argv[1]);
const from = Date.parse(start), to = Date.parse(end);
const { ticks, step } = timeTicks(from, to, count);
console.log(JSON.stringify({
  step, ticks: ticks.map((at) => new Date(at).toISOString()),
  texts: ticks.map((at) => tickText(at, step)),
  clocks: ticks.map((at) => clockText(at)), moments: ticks.map((at) => momentText(at)),
}));
"""


def run(node: str, zone: str, start: str, end: str, count: int) -> dict:
    done = subprocess.run(
        [node, "--no-warnings", "--input-type=module", "--eval", RUN,
         "--", json.dumps([start, end, count])],
        cwd=SOURCES, env={**os.environ, "TZ": zone}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"),
        ("Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"),
        ("America/New_York", "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-06T00:00:00Z"),
        ("Asia/Kolkata", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"),
    ],
)
def test_ticks_stand_at_round_hours_before_and_after_the_change(node, zone, start, end):
    found = run(node, zone, start, end, 9)
    assert found["step"] == 6 * 3600 * 1000
    hours = [clock[:8] for clock in found["clocks"]]
    assert len(hours) >= 7
    assert set(hours) == {"00:00:00", "06:00:00", "12:00:00", "18:00:00"}
    assert found["ticks"] == sorted(set(found["ticks"]))


def test_days_are_midnights_though_they_have_23_or_25_hours(node):
    found = run(node, "Europe/Berlin", "2026-10-20T00:00:00Z", "2026-10-30T00:00:00Z", 12)
    assert found["texts"] == [f"2026-10-{day}" for day in range(21, 31)]
    hours = [int(tick[11:13]) for tick in found["ticks"]]
    assert hours == [22] * 5 + [23] * 5


def test_the_hour_that_comes_twice_is_told_apart(node):
    found = run(node, "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T02:00:00Z", 6)
    assert found["clocks"] == [
        "01:30:00",
        "02:00:00 +02:00",
        "02:30:00 +02:00",
        "02:00:00 +01:00",
        "02:30:00 +01:00",
        "03:00:00",
    ]
    assert found["moments"][1] == "2026-10-25 02:00:00.000 +02:00"


def test_no_hour_is_invented_where_clocks_are_put_forward(node):
    found = run(node, "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z", 6)
    assert found["texts"] == ["01:00", "01:30", "03:00", "03:30", "04:00", "04:30", "05:00"]
