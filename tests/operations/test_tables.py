"""Tables for people: SQL and history as files, from Python near and far, by REST and command."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mirrorworld
from mirrorworld.client import NotFoundError, World
from mirrorworld.client.errors import InvalidError
from mirrorworld.operations.history_files import ROW_GROUP_ROWS, history_csv, history_parquet
from mirrorworld.operations.shifts import zone_of
from mirrorworld.world.frames import encode_array
from mirrorworld.world.model import Kind, PointType
from mirrorworld.world.ports import Series
from tests.operations.kept_world import MINUTE, START, make
from tests.operations.serving import TOKEN, Kept, kept

RUN = str(Path(sys.executable).with_name("mirrorworld"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with kept(tmp_path_factory.mktemp("kept"), lambda: START + 481 * MINUTE) as running:
        yield running


@pytest.fixture(params=["far", "near"])
def world(request: pytest.FixtureRequest, served: Kept) -> Iterator[World]:
    """The same record: asked of its server, and read beside it."""
    if request.param == "far":
        with mirrorworld.connect(served.address, TOKEN) as opened:
            yield opened
    else:
        with mirrorworld.open(served.directory) as opened:
            yield opened


def test_sql_gives_a_table(world: World):
    found = world.sql("select twin, count(*) n, max(time) t from samples group by twin order by 1")
    assert found["twin"].to_pylist() == ["line/capper", "line/filler"]
    assert found["n"].to_pylist() == [106, 106]
    assert found.schema.field("t").type == pa.timestamp("ns")
    frame = world.sql("select avg(value) v from samples where point = 'Rejects'", as_="pandas")
    assert frame["v"][0] == pytest.approx(235)


def test_sql_says_what_is_wrong_and_leaves_nothing_out_unseen(world: World):
    with pytest.raises(InvalidError, match="only SELECT"):
        world.sql("drop table twins")
    with pytest.raises(InvalidError, match="more than 3 rows"):
        world.sql("select * from range(4)", rows=3)
    assert world.sql("select * from range(3)", rows=3).num_rows == 3
    endless = "with recursive r as (select 1 n union all select n + 1 from r) select max(n) from r"
    with pytest.raises(InvalidError, match="more than 3 s"):
        world.sql(endless, time_s=3)


def test_a_long_query_fits(world: World):
    names = ",".join(f"'{'x' * 30}{i}'" for i in range(1_500))
    assert world.sql(f"select count(*) n from twins where id in ({names})")["n"].to_pylist() == [0]


def test_history_as_parquet_and_csv(world: World, tmp_path: Path):
    path = world.save_history(world.twin("line/filler"), tmp_path / "all.parquet")
    found = pq.read_table(path)
    assert found.num_rows == 106 and list(tmp_path.iterdir()) == [path]
    rows = {row["point"]: row for row in found.to_pylist()}
    assert rows["line/filler.BottlesOut"]["integer"] == 5_700
    assert rows["line/filler.Cause"]["text"] == '<jam> "ß" & Ölmangel'
    assert rows["line/filler.Cause"]["value"] is None
    assert rows["line/filler.State"]["quality_name"] == "Good"
    sheet = world.save_history(
        "line/filler.BottlesOut", tmp_path / "b.csv", "2026-06-01T07:00Z", "2026-06-01T08:00Z",
        zone="Europe/Berlin",
    )  # fmt: skip
    lines = list(csv.reader(io.StringIO(sheet.read_text())))
    assert len(lines) == 7 and lines[1][0] == "2026-06-01T09:00:00.000000000+02:00"


def test_files_that_cannot_be_written(world: World, tmp_path: Path):
    with pytest.raises(InvalidError, match=r"\.parquet or \.csv"):
        world.save_history("line/filler.State", tmp_path / "x.xlsx")
    with pytest.raises(NotFoundError):
        world.save_history("line/filler.Nope", tmp_path / "x.csv")
    with pytest.raises(InvalidError, match="time zone"):
        world.save_history("line/filler.State", tmp_path / "x.csv", zone="Mars/Base")
    assert not list(tmp_path.iterdir())


def test_over_rest(served: Kept):
    ask = {"twin": "line/filler", "start": "2026-06-01T00:00:00Z"}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.get(
        f"{served.address}/api/export/history.parquet", params=ask, headers=headers, timeout=60
    )
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert pq.read_table(io.BytesIO(answer.content)).num_rows == 106
    wrong = httpx.get(
        f"{served.address}/api/export/history.xlsx", params=ask, headers=headers, timeout=60
    )
    assert wrong.status_code == 422
    for body in ({"sql": "select 1", "rows": 0}, {"sql": "select 1", "time_s": 31}):
        wrong = httpx.post(f"{served.address}/api/sql", json=body, headers=headers, timeout=60)
        assert wrong.status_code == 422, body


def test_values_that_python_has_no_word_for(served: Kept):
    sql = "select date '5877642-06-25 (BC)' d, 'infinity'::timestamp t, 170141183460469231731687303715884105727 h, '1:2'::blob b, [1, 2] l, 'nan'::double n, [date '5877642-06-25 (BC)'] e"  # noqa: E501
    answer = httpx.post(
        f"{served.address}/api/sql",
        json={"sql": sql},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    values = {column["name"]: column["values"][0] for column in answer.json()["columns"]}
    assert values["n"] is None and values["h"].startswith("1701411834604692")


def test_on_the_command_line(served: Kept, tmp_path: Path):
    end = ["--dir", str(served.directory)]
    path = tmp_path / "out.parquet"
    subprocess.run([RUN, "export-history", "kept", str(path), *end], check=True)
    assert pq.read_table(path).num_rows == 2 * 106
    one = [RUN, "export-history", "kept", str(tmp_path / "one.csv"), "--point"]
    subprocess.run([*one, "line/capper.State", *end], check=True)
    assert len((tmp_path / "one.csv").read_text().splitlines()) == 6
    wrong = subprocess.run([*one, "line/capper.Stat", *end], capture_output=True, text=True)
    assert wrong.returncode == 1 and "Stat" in wrong.stderr and "Traceback" not in wrong.stderr


class Endless:
    """A record with a sample each millisecond, for ever."""

    def __init__(self, heap: bool = False) -> None:
        self.most = 0
        self._heap = heap

    def read(self, point: int, start_ns: int, end_ns: int, max_rows: int | None = None) -> Series:
        times = np.arange(start_ns, end_ns, 1_000_000, dtype=np.int64)
        self.most = max(self.most, len(times))
        n = len(times)
        cell, heap = np.arange(n, dtype=np.float64).view(np.int64), b""
        if self._heap:
            heap = encode_array(np.array([1.0, 2.0]))
            cell = np.full(n, len(heap), np.int64)
        zeros = np.zeros(n, np.int64)
        return Series(times, cell, np.zeros(n, np.uint32), zeros, heap)


def test_however_long_it_is_little_is_held_at_once():
    record = Endless()
    points = [(0, "a", PointType("x"))]
    hours = 3 * 3_600 * 10**9
    pieces = list(history_parquet(record, points, 0, hours))  # pyright: ignore
    assert len(pieces) > 10 and record.most <= 8 * 10**5
    file = pq.ParquetFile(io.BytesIO(b"".join(pieces)))
    assert file.metadata.num_rows == hours // 10**6
    assert file.metadata.row_group(0).num_rows <= ROW_GROUP_ROWS
    assert max(map(len, pieces)) < 16 << 20
    text = history_csv(record, points, 0, hours, zone_of("UTC", ""))  # pyright: ignore
    assert len(next(text)) < 100 and len(next(text)) < 64 << 20


def test_arrays_are_lists():
    points = [(0, "a", PointType("x", Kind.ARRAY))]
    made = b"".join(history_parquet(Endless(heap=True), points, 0, 5_000_000))  # pyright: ignore
    found = pq.read_table(io.BytesIO(made))
    assert found["array"].to_pylist() == [[1.0, 2.0]] * 5


def test_nothing_is_an_empty_table(tmp_path: Path):
    _, record = make(tmp_path)
    try:
        made = b"".join(history_parquet(record, [], 0, 1))
        assert pq.read_table(io.BytesIO(made)).num_rows == 0
    finally:
        record.close()
