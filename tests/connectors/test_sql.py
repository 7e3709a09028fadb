"""SQL: the contract against PostgreSQL and SQLite, and every row exactly once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorworld.connectors.sql import Sql
from mirrorworld.connectors.sql_connection import SqliteConnection
from mirrorworld.testing.connectors import (
    ConnectorContract,
    Sample,
    WatchingSink,
    is_live,
    running,
    until,
)
from mirrorworld.testing.sink import MemorySink
from mirrorworld.world.changes import Command
from mirrorworld.world.model import Kind, Scalar
from mirrorworld.world.ports import LinkState, SourceConfig, SourceError
from mirrorworld.world.quality import BAD_NO_DATA
from tests.conftest import Postgres, unused_port

POLL_S = 0.05


class SqlRig:
    """A table `oven` with a row per reading."""

    is_live = True
    schemes = (
        "postgresql", "postgres", "sqlite", "sql+mysql", "sql+mariadb", "sql+mssql", "sql+oracle",
    )  # fmt: skip
    bad_options: Mapping[str, Scalar] = {
        "poll_s": 0,
        "zone": "Nowhere/Land",
        "start": "soon",
        "tls": "maybe",
        "table": "no_such_table",
        "change": "no such column",
        "map": "no such file.yaml",
    }
    url = ""
    password = ""

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> Sql:
        given = {"table": "oven", "poll_s": POLL_S, **(options or {})}
        if "map" in given:
            del given["table"]
        return Sql(SourceConfig(url or self.url, name, given, username, password or self.password))

    def point(self, name: str) -> tuple[str, str]:
        return f"{name}/oven", "temperature"

    def command(self, name: str) -> Command | None:
        return None


class PostgresRig(SqlRig):
    bad_urls: Sequence[str] = (
        "postgresql://",
        "postgresql://db.example",
        "postgresql://db.example:99999/plant",
        "sql+nothing://db.example/plant",
    )

    def __init__(self, peer: Postgres) -> None:
        self.peer = peer
        self.url, self.password = peer.url, peer.password
        self.unreachable_url = f"postgresql://plant@127.0.0.1:{unused_port()}/plant"
        self.n = 0
        peer.psql(
            "CREATE TABLE oven (id bigserial PRIMARY KEY, ts timestamptz, temperature float8);"
        )

    async def emit(self, value: float, source_ns: int) -> None:
        self.n += 1
        await asyncio.to_thread(
            self.peer.psql,
            f"INSERT INTO oven (ts, temperature) VALUES (to_timestamp({source_ns / 1e9!r}::numeric"
            f"), {value});",
        )

    async def vanish(self) -> None:
        await asyncio.to_thread(self.peer.crash)

    async def come_back(self) -> None:
        await asyncio.to_thread(self.peer.start)

    async def received_writes(self) -> Sequence[object]:
        rows = await asyncio.to_thread(self.peer.psql, "SELECT count(*) FROM oven;")
        return [] if int(rows) == self.n else [rows]


class SqliteRig(SqlRig):
    bad_urls: Sequence[str] = ("sqlite://", "sqlite:///:memory:")

    def __init__(self, folder: Path) -> None:
        self.path = folder / "plant.db"
        self.url = f"sqlite:///{self.path}"
        self.unreachable_url = f"sqlite:///{folder}/none.db"
        self.n = 0
        with sqlite3.connect(self.path) as db:
            db.execute("CREATE TABLE oven (id INTEGER PRIMARY KEY, ts INTEGER, temperature REAL)")

    async def emit(self, value: float, source_ns: int) -> None:
        self.n += 1
        # Beside the loop, as a plant is: the connector may be in the midst of reading, and would
        # hold its lock as long as the loop stood still.
        statement = "INSERT INTO oven (ts, temperature) VALUES (?, ?)"
        await asyncio.to_thread(insert, f"sqlite:///{self.path}", statement, [(source_ns, value)])

    async def vanish(self) -> None:
        self.path.rename(self.path.with_suffix(".away"))

    async def come_back(self) -> None:
        self.path.with_suffix(".away").rename(self.path)

    async def received_writes(self) -> Sequence[object]:
        with sqlite3.connect(self.path) as db:
            (rows,) = db.execute("SELECT count(*) FROM oven").fetchone()
        return [] if rows == self.n else [rows]


@pytest.mark.peer
class TestPostgres(ConnectorContract):
    @pytest.fixture
    def rig(self, postgres: Postgres) -> PostgresRig:
        return PostgresRig(postgres)


class TestSqlite(ConnectorContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> SqliteRig:
        return SqliteRig(tmp_path)


# --- what is particular to tables


def sqlite_file(folder: Path, script: str) -> str:
    path = folder / "plant.db"
    with sqlite3.connect(path) as db:
        db.executescript(script)
    return f"sqlite:///{path}"


def insert(url: str, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
        db.executemany(statement, rows)


def sql(url: str, state_dir: Path | None = None, password: str = "", **options: Scalar) -> Sql:
    given = {"poll_s": POLL_S, **options}
    return Sql(SourceConfig(url, "mes", given, password=password, state_dir=state_dir))


async def followed(connector: Sql, sink: WatchingSink | MemorySink, n: int) -> list[Sample]:
    """What has come once there are `n` samples."""
    watching = sink if isinstance(sink, WatchingSink) else WatchingSink(sink)
    async with running(connector, watching) as task:
        await is_live(connector, task)
        await until(
            lambda: task.done() or len(watching.samples()) >= n,
            f"{n} samples; {connector.link}; there are {len(watching.samples())}",
        )
        await asyncio.sleep(1.0)  # whether more come than should; what came is noted by then
    return watching.samples()


def accepted(sink: MemorySink) -> list[tuple[int, float]]:
    """(source time, value) of everything the world has taken."""
    return [
        (int(ns), float(value))
        for frame in sink.frames
        for ns, value in zip(frame.source_ns, frame.cell.view("f8"), strict=True)
    ]


async def test_long_form_makes_points_of_rows(tmp_path: Path) -> None:
    url = sqlite_file(
        tmp_path,
        "CREATE TABLE reading (id INTEGER PRIMARY KEY, machine TEXT, tag TEXT, ts TEXT,"
        " value REAL)",
    )
    rows = [
        ("press", "speed", "2023-11-14 22:13:20", 12.5),
        ("press", "force [kN]", "2023-11-14 22:13:20.5", 80.0),
        ("oven", "speed", "2023-11-14T22:13:21Z", None),
    ]
    insert(url, "INSERT INTO reading (machine, tag, ts, value) VALUES (?, ?, ?, ?)", rows)
    sink = WatchingSink()
    samples = await followed(sql(url, table="reading"), sink, 3)
    base = 1_700_000_000_000_000_000
    assert samples[:2] == [
        Sample("mes/reading/press", "speed", 12.5, 0, base),
        Sample("mes/reading/press", "force [kN]", 80.0, 0, base + 500_000_000),
    ]
    assert (samples[2].twin, samples[2].quality) == ("mes/reading/oven", BAD_NO_DATA)
    assert samples[2].source_ns == base + 1_000_000_000


async def test_wide_form_makes_a_point_of_each_column(tmp_path: Path) -> None:
    url = sqlite_file(
        tmp_path,
        "CREATE TABLE state (id INTEGER PRIMARY KEY, machine_id INTEGER, ts INTEGER,"
        " temp_degC REAL, running BOOLEAN, parts INTEGER, recipe TEXT, picture BLOB)",
    )
    insert(
        url,
        "INSERT INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (1, 7, 1_700_000_000, 20.5, 1, 3, "grüß", b"x"),
            (2, 8, 1_700_000_001, None, 0, 4, None, None),
            (3, 7, 1_700_000_002, "broken", 1, 1 << 62, "b", None),
        ],
    )
    sink = WatchingSink()
    samples = await followed(sql(url, table="state"), sink, 9)
    assert [(s.twin[-1], s.point, s.value) for s in samples] == [
        ("7", "temp_degC", 20.5), ("7", "running", True), ("7", "parts", 3),
        ("7", "recipe", "grüß"),
        ("8", "running", False), ("8", "parts", 4),
        ("7", "running", True), ("7", "parts", 1 << 62), ("7", "recipe", "b"),
    ]  # fmt: skip
    assert sink.counts["wrong_type"] == 1, "a text in a column of numbers is no sample, and counted"
    handle = int(sink.handles([("mes/state/7", "temp_degC")])[0])
    temp = sink.inner.world.point(handle)[1]
    assert (temp.kind, temp.unit) == (Kind.FLOAT, "Cel")


async def test_rows_of_the_same_moment_are_told_apart(tmp_path: Path) -> None:
    """Ten thousand rows with one time stamp, read in small pages: ties go by the primary key."""
    url = sqlite_file(
        tmp_path,
        "CREATE TABLE oven (id TEXT PRIMARY KEY, updated_at TEXT, temperature REAL) WITHOUT ROWID",
    )
    n = 2000
    insert(
        url,
        "INSERT INTO oven VALUES (?, '2023-11-14 22:13:20', ?)",
        [(f"row {(i * 7919) % n}", float(i)) for i in range(n)],
    )
    samples = await followed(sql(url, table="oven", page_rows=37), WatchingSink(), n)
    assert {str(s.value) for s in samples} == {str(float(i)) for i in range(n)}
    assert len(samples) == n


async def test_a_row_that_is_changed_is_a_new_sample(tmp_path: Path) -> None:
    url = sqlite_file(
        tmp_path, "CREATE TABLE oven (id INTEGER PRIMARY KEY, updated_at INTEGER, temperature REAL)"
    )
    insert(url, "INSERT INTO oven VALUES (?, ?, ?)", [(1, 1_700_000_000, 1.0)])
    connector, sink = sql(url, table="oven"), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await until(lambda: len(sink.samples()) == 1, "the first")
        await asyncio.to_thread(
            insert, url, "UPDATE oven SET updated_at = ?, temperature = ?", [(1_700_000_005, 2.0)]
        )
        await until(lambda: len(sink.samples()) == 2, "the change")
    assert [s.value for s in sink.samples()] == [1.0, 2.0]


async def test_what_was_read_is_not_read_again_after_a_restart(tmp_path: Path) -> None:
    url = sqlite_file(
        tmp_path, "CREATE TABLE oven (id INTEGER PRIMARY KEY, ts INTEGER, temperature REAL)"
    )
    statement = "INSERT INTO oven (ts, temperature) VALUES (?, ?)"
    world, at = MemorySink("mes"), 1_700_000_000
    for turn in range(4):
        insert(url, statement, [(at + 10 * turn + i, 10.0 * turn + i) for i in range(10)])
        state = tmp_path / "state"
        await followed(sql(url, state, table="oven", page_rows=4), world, 10)
    assert [value for _, value in accepted(world)] == [float(i) for i in range(40)]
    assert world.tally.duplicate == 0, "nothing was even sent twice"


async def test_a_page_in_doubt_is_sent_again_and_recognised(tmp_path: Path) -> None:
    """The world has taken a page, but the connector never heard that it was durable; meanwhile
    more rows have come. Neither is the page doubled nor are the later rows taken for it."""
    url = sqlite_file(
        tmp_path, "CREATE TABLE oven (id INTEGER PRIMARY KEY, ts INTEGER, temperature REAL)"
    )
    statement = "INSERT INTO oven (ts, temperature) VALUES (?, ?)"
    insert(url, statement, [(1_700_000_000 + i, float(i)) for i in range(10)])
    world, state = MemorySink("mes"), tmp_path / "state"
    world.fails_durable = True
    connector = sql(url, state, table="oven")
    with pytest.raises(OSError, match="no space"):
        await asyncio.wait_for(connector.run(world), 20)
    assert len(accepted(world)) == 10
    insert(url, statement, [(1_700_000_010 + i, 10.0 + i) for i in range(10)])
    world.fails_durable = False
    await followed(sql(url, state, table="oven"), world, 10)
    assert [value for _, value in accepted(world)] == [float(i) for i in range(20)]
    assert world.tally.duplicate == 10


async def test_a_page_in_doubt_that_was_lost_comes_again(tmp_path: Path) -> None:
    """As above, but the record had not taken the page: another world, which knows nothing."""
    url = sqlite_file(
        tmp_path, "CREATE TABLE oven (id INTEGER PRIMARY KEY, ts INTEGER, temperature REAL)"
    )
    insert(url, "INSERT INTO oven (ts, temperature) VALUES (?, ?)",
           [(1_700_000_000 + i, float(i)) for i in range(10)])  # fmt: skip
    lost, state = MemorySink("mes"), tmp_path / "state"
    lost.fails_durable = True
    with pytest.raises(OSError, match="no space"):
        await asyncio.wait_for(sql(url, state, table="oven").run(lost), 20)
    world = MemorySink("mes")
    await followed(sql(url, state, table="oven"), world, 10)
    assert [value for _, value in accepted(world)] == [float(i) for i in range(10)]


@pytest.mark.peer
async def test_a_transaction_that_commits_late_loses_no_row(postgres: Postgres) -> None:
    """Ids are given when a row is made, not when it is committed: 2 can be seen before 1."""
    import asyncpg

    postgres.psql("CREATE TABLE oven (id bigserial PRIMARY KEY, temperature float8);")
    slow, fast = [await asyncpg.connect(postgres.url, password=postgres.password) for _ in range(2)]
    connector, sink = sql(postgres.url, password=postgres.password, table="oven"), WatchingSink()
    try:
        async with running(connector, sink) as task:
            await is_live(connector, task)
            transaction = slow.transaction()
            await transaction.start()
            await slow.execute("INSERT INTO oven (temperature) VALUES (1)")
            await fast.execute("INSERT INTO oven (temperature) VALUES (2)")
            await until(lambda: len(sink.samples()) == 1, "the row that was committed first")
            await transaction.commit()
            await until(lambda: len(sink.samples()) == 2, "the row that was committed late")
            await fast.execute("INSERT INTO oven (temperature) VALUES (3)")
            await until(lambda: len(sink.samples()) >= 3, "the next")
            await asyncio.sleep(4 * POLL_S)
    finally:
        await slow.close()
        await fast.close()
    assert [s.value for s in sink.samples()] == [2.0, 1.0, 3.0]
    assert sink.counts["late_rows"] == 1


async def test_late_rows_are_found_again_and_again_and_never_twice(tmp_path: Path) -> None:
    """A window of four rows, over restarts and with rows that are deleted from under it."""
    url = sqlite_file(tmp_path, "CREATE TABLE oven (id INTEGER PRIMARY KEY, temperature REAL)")
    world, state = MemorySink("mes"), tmp_path / "state"
    statement = "INSERT INTO oven VALUES (?, ?)"
    # Each turn: rows to add, rows to delete, what must have come.
    turns = [
        ([2, 4, 6, 8, 10, 12], []),
        ([9, 11], []),
        ([14], [12, 11, 10, 9]),
        ([13], []),
        ([], []),
    ]
    wanted: list[float] = []
    for add, remove in turns:
        insert(url, statement, [(i, float(i)) for i in add])
        insert(url, "DELETE FROM oven WHERE id = ?", [(i,) for i in remove])
        wanted += [float(i) for i in add]
        connector = sql(url, state, table="oven", overlap_rows=4, page_rows=3)
        await followed(connector, WatchingSink(world), len(add))
        assert [value for _, value in accepted(world)] == wanted


def test_a_query_that_was_broken_off_lets_go_of_the_file(tmp_path: Path) -> None:
    url = sqlite_file(tmp_path, "CREATE TABLE oven (id INTEGER PRIMARY KEY, temperature REAL)")
    insert(url, "INSERT INTO oven VALUES (?, ?)", [(i, 1.0) for i in range(2_000)])
    path = url.removeprefix("sqlite:///")
    reader = sqlite3.connect(path, factory=SqliteConnection)
    broken_off = reader.cursor().execute("SELECT * FROM oven")
    broken_off.fetchone()
    with sqlite3.connect(path, timeout=0) as plant:
        plant.execute("INSERT INTO oven VALUES (5000, 1.0)")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            plant.commit()
        reader.close()
        plant.commit()
    plant.close()


@pytest.mark.peer
async def test_notify_ends_the_pause(postgres: Postgres) -> None:
    postgres.psql(
        "CREATE TABLE oven (id bigserial PRIMARY KEY, temperature float8);"
        "CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_notify('oven new', ''); RETURN NULL; END $$;"
        "CREATE TRIGGER told AFTER INSERT ON oven EXECUTE FUNCTION told();"
    )
    connector = sql(
        postgres.url, password=postgres.password, table="oven", poll_s=3600.0, channel="oven new"
    )
    sink = WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        for value in (1.5, 2.5):
            await asyncio.sleep(0.2)
            await asyncio.to_thread(
                postgres.psql, f"INSERT INTO oven (temperature) VALUES ({value});"
            )
            await until(lambda v=value: any(s.value == v for s in sink.samples()), f"{value}")


@pytest.mark.peer
async def test_postgresql_types_and_schemas(postgres: Postgres) -> None:
    postgres.psql(
        "DROP SCHEMA IF EXISTS quality CASCADE; CREATE SCHEMA quality;"
        "CREATE TYPE verdict AS ENUM ('good', 'scrap');"
        "CREATE TABLE quality.test (id uuid, at timestamp, n numeric(20,3), b boolean, v verdict,"
        " j jsonb, d date, i interval, f real, PRIMARY KEY (at, id));"
        "INSERT INTO quality.test VALUES ('00000000-0000-0000-0000-000000000001',"
        " '2024-07-01 12:00:00.000001', 12.345, true, 'scrap', '{\"a\": 1}', '2024-01-02', '1 h',"
        " 1.5);"
    )
    sink = WatchingSink()
    connector = sql(
        postgres.url, password=postgres.password, table="quality.test", zone="Europe/Berlin"
    )
    samples = await followed(connector, sink, 6)
    assert {s.point: s.value for s in samples} == {
        "n": 12.345, "b": True, "v": "scrap", "j": '{"a": 1}', "d": 1_704_153_600_000_000_000,
        "f": 1.5,
    }  # fmt: skip
    noon_in_berlin = 1_719_828_000_000_001_000
    assert {s.source_ns for s in samples} == {noon_in_berlin}
    assert samples[0].twin == "mes/quality.test"


@pytest.mark.peer
async def test_the_database_is_only_read(postgres: Postgres) -> None:
    """Even a view with a side effect cannot write through our transactions."""
    postgres.psql(
        "CREATE TABLE touched (n int);"
        "CREATE FUNCTION touch() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO touched VALUES (1); RETURN 1; END $$;"
        "CREATE VIEW trap AS SELECT 1 AS id, touch() AS value;"
    )
    connector = sql(
        postgres.url, password=postgres.password, table="trap", change="id", tie="id", value="value"
    )
    async with running(connector, WatchingSink()) as task:
        await until(lambda: connector.link.state is LinkState.LOST or task.done(), "a refusal")
        assert "read-only" in connector.link.detail
    assert postgres.psql("SELECT count(*) FROM touched;").strip() == "0"


async def test_start_now_passes_over_what_is_there(tmp_path: Path) -> None:
    url = sqlite_file(tmp_path, "CREATE TABLE oven (id INTEGER PRIMARY KEY, temperature REAL)")
    insert(url, "INSERT INTO oven VALUES (?, ?)", [(i, float(i)) for i in range(1, 9)])
    connector, sink = sql(url, table="oven", start="now"), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await asyncio.sleep(3 * POLL_S)
        await asyncio.to_thread(insert, url, "INSERT INTO oven VALUES (?, ?)", [(9, 9.0)])
        await until(sink.samples, "the new row")
    assert [s.value for s in sink.samples()] == [9.0]


async def test_map_file_names_tables_and_units(tmp_path: Path) -> None:
    url = sqlite_file(
        tmp_path,
        "CREATE TABLE oven (id INTEGER PRIMARY KEY, temperature REAL, note TEXT);"
        "CREATE TABLE press (nr INTEGER PRIMARY KEY, station TEXT, f REAL);"
        "INSERT INTO oven VALUES (1, 180.5, 'x'); INSERT INTO press VALUES (1, 'A', 3.5);",
    )
    chart = tmp_path / "plant.yaml"
    chart.write_text(
        "tables:\n  oven: {value: [temperature], units: {temperature: Cel}, twin: hall/oven}\n"
        "  press: {key: station, twin: 'hall/press {key}', units: {f: kN}}\n"
    )
    sink = WatchingSink()
    samples = await followed(sql(url, map=str(chart)), sink, 2)
    assert {(s.twin, s.point, s.value) for s in samples} == {
        ("mes/hall/oven", "temperature", 180.5),
        ("mes/hall/press%20A", "f", 3.5),
    }
    handle = int(sink.handles([("mes/hall/press%20A", "f")])[0])
    assert sink.inner.world.point(handle)[1].unit == "kN"
    chart.write_text("tables:\n  oven: {units: {temperature: 'mBar'}}\n")
    with pytest.raises(SourceError, match="did you mean 'mbar'"):
        await sql(url, map=str(chart)).run(MemorySink("mes"))
    chart.write_text("tables: [oven]\n")
    with pytest.raises(SourceError, match="needs 'tables:'"):
        await sql(url, map=str(chart)).run(MemorySink("mes"))


async def test_without_a_name_all_tables_that_fit_are_followed(tmp_path: Path) -> None:
    url = sqlite_file(
        tmp_path,
        "CREATE TABLE oven (id INTEGER PRIMARY KEY, temperature REAL);"
        "CREATE TABLE press (nr INTEGER PRIMARY KEY, f REAL);"
        "CREATE TABLE pictures (a BLOB);"
        "INSERT INTO oven VALUES (1, 180.5); INSERT INTO press VALUES (1, 3.5);",
    )
    samples = await followed(sql(url), WatchingSink(), 2)
    assert {(s.twin, s.value) for s in samples} == {("mes/oven", 180.5), ("mes/press", 3.5)}
    empty = f"sqlite:///{tmp_path / 'empty.db'}"
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE a (b BLOB)")
    with pytest.raises(SourceError, match="discover"):
        await sql(empty).run(MemorySink("mes"))


async def test_a_map_that_is_another_file_is_not_quoted(tmp_path: Path) -> None:
    url = sqlite_file(tmp_path, "CREATE TABLE oven (id INTEGER PRIMARY KEY, temperature REAL)")
    secret = tmp_path / "shadow"
    secret.write_text("root: hunter2: x\n\t- [")
    with pytest.raises(SourceError, match="is no YAML") as caught:
        await sql(url, map=str(secret)).run(MemorySink("mes"))
    assert "hunter2" not in str(caught.value)


async def test_hostile_names_are_only_names(tmp_path: Path) -> None:
    """Quotes, semicolons, markup and control characters in names of tables and columns, and in
    the values that name twins and points."""
    table = 'x"; DROP TABLE "victim"; --<script>'
    columns = ['a"b', "c;d", ":e", "%(f)s", "g`h", "<img onerror=1>", "select", "i.j", "q?"]
    spelt = ", ".join('"' + c.replace('"', '""') + '" REAL' for c in columns)
    url = sqlite_file(
        tmp_path,
        f'CREATE TABLE "{table.replace(chr(34), chr(34) * 2)}" (id INTEGER PRIMARY KEY,'
        f" device TEXT, {spelt});"
        "CREATE TABLE victim (id INTEGER PRIMARY KEY, v REAL);",
    )
    marks = ", ".join("?" * (len(columns) + 2))
    quoted = '"' + table.replace('"', '""') + '"'
    keys = ["../../etc", "\x00\n", "a" * 10_000, "x' OR '1'='1", ""]
    rows = [(i, key, *(float(i),) * len(columns)) for i, key in enumerate(keys, 1)]
    insert(url, f"INSERT INTO {quoted} VALUES ({marks})", rows)
    sink = WatchingSink()
    chart = tmp_path / "m.yaml"
    chart.write_text(yaml.safe_dump({"tables": {table: {}}}))
    samples = await followed(sql(url, map=str(chart)), sink, len(keys) * len(columns))
    assert len(samples) == len(keys) * len(columns)
    assert {s.point for s in samples} == set(columns)
    for twin in {s.twin for s in samples}:
        assert twin.startswith("mes/") and len(twin) < 1500
        assert not set(twin) & set('<>"\n\x00'), twin
    found = await sql(url).discover()
    assert any("victim" in f.twin.id for f in found), "nothing was dropped"


async def test_a_table_of_two_thousand_columns_and_a_million_twins(tmp_path: Path) -> None:
    columns = ", ".join(f"c{i} REAL" for i in range(1990))
    url = sqlite_file(
        tmp_path,
        f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {columns});"
        "INSERT INTO wide (id, c0, c1989) VALUES (1, 1.5, 2.5);"
        "CREATE TABLE many (id INTEGER PRIMARY KEY, device INTEGER, v REAL);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        " INSERT INTO many SELECT i, i, i FROM n;",
    )
    samples = await followed(sql(url, table="wide"), WatchingSink(), 2)
    assert [(s.point, s.value) for s in samples] == [("c0", 1.5), ("c1989", 2.5)]
    sink = WatchingSink()
    samples = await followed(sql(url, table="many", max_points=100), sink, 100)
    assert len(samples) == 100
    # It is counted page by page; the first page is enough to have ended the wait above.
    assert sink.counts["points_beyond_max_points"] > 1_000
    found = await sql(url).discover(limit=50)
    assert len(found) <= 50


async def test_discover_says_how_each_table_would_be_followed(tmp_path: Path) -> None:
    url = sqlite_file(
        tmp_path,
        "CREATE TABLE reading (id INTEGER PRIMARY KEY, tag TEXT, ts TEXT, value REAL);"
        "INSERT INTO reading VALUES (1, 'level', '2024-01-01', 5.5);"
        "CREATE VIEW latest AS SELECT * FROM reading;"
        "CREATE TABLE blobs (a BLOB);",
    )
    found = {f.twin.id: f for f in await sql(url).discover()}
    reading = found["mes/reading"]
    assert "new rows by id" in reading.guessed and "points named by tag" in reading.guessed
    assert dict(reading.sample_values) == {"level": 5.5}
    assert "option 'tie'" in found["mes/latest"].guessed
    assert "no column is left" in found["mes/blobs"].guessed


@pytest.mark.peer
async def test_a_wrong_password_is_refused_and_not_shown(postgres: Postgres) -> None:
    connector = sql(postgres.url, password="not it", table="oven")
    async with running(connector, WatchingSink()) as task:
        await until(lambda: connector.link.state is LinkState.REFUSED or task.done(), "a refusal")
    assert "password" in connector.link.detail and "not it" not in connector.link.detail


async def test_a_damaged_note_is_said(tmp_path: Path) -> None:
    url = sqlite_file(tmp_path, "CREATE TABLE oven (id INTEGER PRIMARY KEY, v REAL)")
    insert(url, "INSERT INTO oven VALUES (?, ?)", [(1, 1.0)])
    await followed(sql(url, tmp_path / "state", table="oven"), WatchingSink(), 1)
    (note,) = (tmp_path / "state" / "sql").glob("*.json")
    note.write_text('{"version": 1')
    with pytest.raises(SourceError, match="remove the file"):
        await sql(url, tmp_path / "state", table="oven").run(MemorySink("mes"))
