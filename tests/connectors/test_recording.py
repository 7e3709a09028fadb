"""Recordings: the contract, what is guessed of tables, and row for row what was in them."""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq
import pytest

from mirrorworld.connectors.recording import Recording
from mirrorworld.connectors.recording_file import Hints
from mirrorworld.connectors.recording_look import look
from mirrorworld.testing.connectors import (
    SOURCE_NS,
    ConnectorContract,
    WatchingSink,
    running,
    until,
)
from mirrorworld.testing.sink import MemorySink
from mirrorworld.world.changes import Command
from mirrorworld.world.model import Kind, Scalar
from mirrorworld.world.ports import LinkState, SourceConfig, SourceError


class RecordingRig:
    schemes = ("file",)
    is_live = False
    unreachable_url = ""
    bad_options: Mapping[str, Scalar] = {
        "speed": "fast",
        "zone": "Nowhere/Land",
        "start": "soon",
        "separator": ";;",
        "time": "no such column",
        "entity": "no such column",
    }

    def __init__(self, folder: Path) -> None:
        self.path = folder / "oven.csv"
        self.path.write_text("ts,temperature\n1700000000000,1\n")
        self.rows: list[tuple[int, float]] = []
        empty, folder_of_none = folder / "empty.csv", folder / "none"
        empty.write_text("")
        folder_of_none.mkdir()
        picture = folder / "picture.png"
        picture.write_bytes(b"\x89PNG")
        no_time = folder / "no_time.csv"
        no_time.write_text("a,b\n1,2\n3,4\n")
        self.bad_urls: Sequence[str] = [
            str(folder / "absent.csv"),
            str(empty),
            str(folder_of_none),
            str(picture),
            str(no_time),
            "file://elsewhere/x.csv",
        ]

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> Recording:
        return Recording(
            SourceConfig(url or str(self.path), name, dict(options or {}), username, password)
        )

    def point(self, name: str) -> tuple[str, str]:
        return name, "temperature"

    async def emit(self, value: float, source_ns: int) -> None:
        self.rows.append((source_ns // 1_000_000, value))
        lines = [f"{ms},{value}" for ms, value in self.rows]
        self.path.write_text("\n".join(["ts,temperature", *lines]) + "\n")

    async def vanish(self) -> None:
        raise AssertionError("a recording does not vanish")

    async def come_back(self) -> None:
        raise AssertionError("a recording does not vanish")

    async def received_writes(self) -> Sequence[object]:
        lines = self.path.read_text().splitlines()
        return [] if len(lines) == 1 + max(1, len(self.rows)) else lines

    def command(self, name: str) -> Command | None:
        return None


class TestRecording(ConnectorContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> RecordingRig:
        return RecordingRig(tmp_path)


async def play(
    path: Path, sink: WatchingSink | None = None, state_dir=None, **options
) -> WatchingSink:
    sink = sink or WatchingSink()
    connector = Recording(SourceConfig(str(path), "rec", options, state_dir=state_dir))
    async with running(connector, sink) as task:
        await until(lambda: connector.link.state is LinkState.ENDED or task.done(), "the end", 60)
    return sink


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


LOCAL = datetime.fromisoformat


def ns(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1000) * 1_000_000


@pytest.mark.parametrize(
    ("heading", "first", "second", "expected"),
    [
        ("Date_time", "2014-01-01T01:00+01:00", "2014-01-01T01:10+01:00", "2014-01-01T00:00Z"),
        ("datetime", "2020-02-08 13:30:47", "2020-02-08 13:30:48", "2020-02-08T13:30:47+00:00"),
        ("Zeit", "31.12.2014 23:59", "01.01.2015 00:00", "2014-12-31T23:59:00+00:00"),
        ("when", "12/31/2014 23:59", "01/01/2015 00:00", "2014-12-31T23:59:00+00:00"),
        ("stamp", "31/12/2014 23:59:30", "01/01/2015 00:00:00", "2014-12-31T23:59:30+00:00"),
        ("DATETIME", "31/12/14 23", "01/01/15 00", "2014-12-31T23:00Z"),
        ("epoch", "1420070340", "1420070400", "2014-12-31T23:59:00+00:00"),
        ("ts", "1420070340000", "1420070400000", "2014-12-31T23:59:00+00:00"),
        ("ts", "1420070340.5", "1420070400.5", "2014-12-31T23:59:00.500+00:00"),
    ],
)  # fmt: skip
async def test_times_are_found_and_read(tmp_path, heading, first, second, expected) -> None:
    path = write(tmp_path / "a.csv", f"x;{heading}\n1.5;{first}\n2.5;{second}\n")
    sink = await play(path)
    assert [(s.value, s.source_ns) for s in sink.samples()][:1] == [(1.5, ns(expected))]
    layout = look(path, Hints())
    assert heading in layout.guessed


async def test_date_and_clock_apart_and_year_month_day(tmp_path) -> None:
    two = write(
        tmp_path / "two.csv", "Date,Time,x\n31.12.2014,09:05:00,1.5\n31.12.2014,9:06:00,2\n"
    )
    sink = await play(two)
    assert [s.source_ns for s in sink.samples()] == [
        ns("2014-12-31T09:05:00+00:00"),
        ns("2014-12-31T09:06:00+00:00"),
    ]
    parts = write(
        tmp_path / "parts.csv", "No,year,month,day,hour,x\n1,2013,3,1,0,4.5\n2,2013,3,1,1,5\n"
    )
    sink = await play(parts)
    x = [s for s in sink.samples() if s.point == "x"]
    assert x[1].source_ns == ns("2013-03-01T01:00:00+00:00")


async def test_local_times_and_clock_changes(tmp_path) -> None:
    path = write(
        tmp_path / "local.csv",
        "time,x\n2014-10-26 01:30,1\n2014-10-26 02:30,2\n2014-10-26 03:30,3\n",
    )
    sink = await play(path, zone="Europe/Paris")
    times = [s.source_ns for s in sink.samples()]
    assert times == [
        ns("2014-10-26T01:30:00+02:00"),
        ns("2014-10-26T02:30:00+02:00"),  # comes twice that night: the first is taken
        ns("2014-10-26T03:30:00+01:00"),
    ]
    assert sink.counts["recording_ambiguous_local_time"] == 1


async def test_kinds_units_and_blanks(tmp_path) -> None:
    path = write(
        tmp_path / "k.csv",
        "time;Temp [°C];P_kW;count;open;order;code;comma;late\n"
        "2020-01-01 00:00:00;20,5;1,5;1;true;A;007;1,25;\n"
        "2020-01-01 00:00:01;;NaN;2;false;B;008;2,5;\n"
        "2020-01-01 00:00:02;21;2,5;3;true;;009;;3.5\n",
    )
    sink = await play(path)
    points = {p.name: p.type for p in sink.inner.world.structure.points_of("rec")}
    assert {n: p.kind for n, p in points.items()} == {
        "Temp": Kind.FLOAT,
        "P_kW": Kind.FLOAT,
        "count": Kind.INT,
        "open": Kind.BOOL,
        "order": Kind.TEXT,
        "code": Kind.TEXT,
        "comma": Kind.FLOAT,
        "late": Kind.FLOAT,
    }
    assert (points["Temp"].unit, points["P_kW"].unit, points["count"].unit) == ("Cel", "kW", "")
    values: dict[str, list[object]] = {}
    for sample in sink.samples():
        values.setdefault(sample.point, []).append(sample.value)
    assert values == {
        "Temp": [20.5, 21.0],
        "P_kW": [1.5, 2.5],
        "count": [1, 2, 3],
        "open": [True, False, True],
        "order": ["A", "B"],
        "code": ["007", "008", "009"],
        "comma": [1.25, 2.5],
        "late": [3.5],
    }


async def test_parquet_gzip_and_folders(tmp_path) -> None:
    folder = tmp_path / "plant"
    (folder / "hall").mkdir(parents=True)
    table = pa.table(
        {
            "time": pa.array([SOURCE_NS, SOURCE_NS + 10**9], pa.timestamp("ns", "UTC")),
            "x": pa.array([1.5, None]),
            "n": pa.array([1, 2], pa.int32()),
            "what": pa.array(["a", "b"]).dictionary_encode(),
        }
    )
    papq.write_table(table, folder / "hall" / "a b.parquet")
    (folder / "pump.csv.gz").write_bytes(
        gzip.compress(b"time\tx\n2020-01-01\t7.5\n2020-01-02\t8\n")
    )
    (folder / "notes.csv").write_text("no,times\nin,here\n")
    sink = await play(folder)
    got = [(s.twin, s.point, s.value) for s in sink.samples()]
    assert ("rec/hall/a%20b", "x", 1.5) in got and ("rec/pump", "x", 8.0) in got
    assert ("rec/hall/a%20b", "what", "b") in got
    assert len(got) == 1 + 2 + 2 + 2
    assert sink.counts["recording_file_not_used"] == 1
    relations = sink.inner.world.structure.relations.values()
    assert {r.source: r.target for r in relations}["rec/hall/a%20b"] == "rec/hall"


async def test_things_are_told_apart(tmp_path) -> None:
    rows = [f"2020-01-01 00:{m:02d}:00,{name},{m}" for m in range(30) for name in ("R1", "R2")]
    path = write(tmp_path / "farm.csv", "\n".join(["time,turbine,x", *rows]) + "\n")
    sink = await play(path)
    assert {s.twin for s in sink.samples()} == {"rec/R1", "rec/R2"}
    findings = await Recording(SourceConfig(str(path), "rec")).discover()
    assert {f.twin.id for f in findings} == {"rec/R1", "rec/R2"}
    assert "'turbine'" in findings[0].guessed
    assert [dict(f.sample_values)["x"] for f in findings] == [0, 0]
    # One after the other, each from its own beginning.
    rows = [f"2020-01-01 00:{m:02d}:00,{name},{m}" for name in ("R1", "R2") for m in range(30)]
    path = write(tmp_path / "farm2.csv", "\n".join(["time,turbine,x", *rows]) + "\n")
    sink = await play(path)
    assert {s.twin for s in sink.samples()} == {"rec/R1", "rec/R2"}
    times = [s.source_ns for s in sink.samples()]
    assert times == sorted(times), (
        "a file that is not in order of time is sorted before it is played"
    )
    sink = await play(path, entity="-")
    assert {s.twin for s in sink.samples()} == {"rec"}


def long_table(path: Path, n: int) -> Path:
    rows = "".join(f"{1_600_000_000 + i // 3},{i},{i * 0.5}\n" for i in range(n))
    return write(path, "time,i,x\n" + rows)


@pytest.mark.parametrize("second", [{}, {"speed": "1000000"}])
async def test_restart_doubles_nothing(tmp_path, second) -> None:
    """Stopped anywhere, started again with the same speed or another: each row once."""
    n = 50_000
    path = long_table(tmp_path / "long.csv", n)
    world_of = MemorySink("rec")
    sink = WatchingSink(world_of)
    connector = Recording(SourceConfig(str(path), "rec", {}, state_dir=tmp_path / "state"))
    reached = asyncio.Event()
    plain_push = world_of.push

    async def push(frame, **kwargs):
        if len(world_of.frames) == 2:
            reached.set()
            await asyncio.Event().wait()
        return await plain_push(frame, **kwargs)

    world_of.push = push  # type: ignore[method-assign]
    async with running(connector, sink):
        await asyncio.wait_for(reached.wait(), 20)
    assert 0 < world_of.tally.accepted < 2 * n
    world_of.push = plain_push  # type: ignore[method-assign]
    await play(path, sink, tmp_path / "state", **second)
    tally = world_of.tally
    assert tally.accepted == 2 * n
    kept = np.concatenate([frame.source_ns for frame in world_of.frames])
    assert len(kept) == 2 * n


async def test_restart_without_a_memory_doubles_nothing(tmp_path) -> None:
    path = long_table(tmp_path / "long.csv", 40_000)
    sink = await play(path)
    await play(path, sink)
    assert sink.inner.tally.accepted == 80_000
    assert sink.inner.tally.duplicate == 80_000


async def test_loop_goes_on_in_time(tmp_path) -> None:
    path = write(tmp_path / "l.csv", "time,x\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n")
    sink = WatchingSink()
    connector = Recording(SourceConfig(str(path), "rec", {"loop": True}))
    async with running(connector, sink):
        await until(lambda: len(sink.frames) >= 3, "three rounds")
    times = [s.source_ns for s in sink.samples()][:9]
    day = 86_400 * 10**9
    assert times == [ns("2020-01-01T00:00:00+00:00") + i * day for i in range(9)]
    assert sink.inner.tally.duplicate == 0


async def test_speed_paces_and_start_skips(tmp_path) -> None:
    path = write(
        tmp_path / "s.csv", "time,x\n" + "".join(f"{1_600_000_000 + i},{i}\n" for i in range(60))
    )
    loop = asyncio.get_running_loop()
    began = loop.time()
    sink = await play(path, speed="100", start="20")
    took_s = loop.time() - began
    assert [s.value for s in sink.samples()] == list(range(20, 60))
    assert took_s >= 0.34, "the last frame begins 35 seconds after the first"
    assert len(sink.frames) >= 5


async def test_broken_rows_are_counted(tmp_path) -> None:
    path = write(
        tmp_path / "b.csv", "time,x,y\n2020-01-01,1,1\n2020-01-02,2\n,3,3\n2020-01-04,4,4\n"
    )
    sink = await play(path)
    assert sink.counts == {"recording_broken_row": 1, "recording_row_without_time": 1}
    assert len(sink.samples()) == 4


async def test_latin_and_headless_files(tmp_path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("Zeit;Größe;Temp (°C)\n01.02.2020 00:00;groß;1\n".encode("cp1252"))
    sink = await play(path)
    assert [(s.point, s.value) for s in sink.samples()] == [("Größe", "groß"), ("Temp", 1)]
    path = write(tmp_path / "bare.csv", "2020-01-01 00:00:00,1.5\n2020-01-01 00:00:01,2.5\n")
    sink = await play(path)
    assert [(s.point, s.value) for s in sink.samples()] == [("column_2", 1.5), ("column_2", 2.5)]


async def test_changed_file_is_told(tmp_path) -> None:
    path = write(tmp_path / "c.csv", "time,x\n2020-01-01,1\n")
    with pytest.raises(SourceError, match="option time"):
        await Recording(SourceConfig(str(path), "rec", {"time": "y"})).discover()


# --- published data -------------------------------------------------------------------------


def expected_rows(path: Path, separator: str, time: str, entity: str = "") -> dict:
    """(twin part, point) → [(ns, text)] by the standard library alone."""
    out: dict[tuple[str, str], list[tuple[int, float]]] = {}
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter=separator):
            stamp = datetime.fromisoformat(row.pop(time))
            if stamp.tzinfo is None:
                stamp = datetime.fromisoformat(f"{stamp.isoformat()}+00:00")
            at = int(stamp.timestamp()) * 10**9
            name = row.pop(entity) if entity else ""
            for point, text in row.items():
                if text not in ("", "NaN", "nan"):
                    out.setdefault((name, point), []).append((at, float(text)))
    return out


def arrived(sink: WatchingSink, prefix: str) -> dict:
    """The same of what came, from the columns."""
    world = sink.inner.world
    point = np.concatenate([f.point for f in sink.frames])
    cell = np.concatenate([f.cell for f in sink.frames])
    source_ns = np.concatenate([f.source_ns for f in sink.frames])
    out: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for handle in np.unique(point).tolist():
        twin, kind = world.point(handle)
        rows = point == handle
        values = cell[rows] if kind.kind is Kind.INT else cell[rows].view(np.float64)
        key = (twin.removeprefix(prefix).removeprefix("/"), kind.name)
        out[key] = list(zip(source_ns[rows].tolist(), values.tolist(), strict=True))
    return out


@pytest.mark.shared_data("la_haute_borne")
async def test_wind_farm_row_for_row(shared_data: Path) -> None:
    path = shared_data / "la_haute_borne" / "la-haute-borne-2014.csv.gz"
    sink = await play(path)
    expected = expected_rows(path, ",", "Date_time", "Wind_turbine_name")
    got = arrived(sink, "rec")
    assert got.keys() == expected.keys()
    for key, rows in expected.items():
        # The file is not in order of time; what is played is, and equal times keep their order.
        assert got[key] == sorted(rows, key=lambda row: row[0]), key
    assert sink.inner.tally.accepted == sum(len(rows) for rows in expected.values())
    assert sink.inner.tally.duplicate == 0


@pytest.mark.shared_data("skab")
async def test_testbed_row_for_row(shared_data: Path) -> None:
    folder = shared_data / "skab"
    sink = await play(folder)
    got = arrived(sink, "rec")
    n = 0
    for path in sorted(folder.rglob("*.csv*")):
        twin = path.relative_to(folder).as_posix().removesuffix(".gz").removesuffix(".csv")
        for (_, point), rows in expected_rows(path, ";", "datetime").items():
            assert got[twin, point] == rows, (twin, point)
            n += len(rows)
    assert sink.inner.tally.accepted == n > 0
