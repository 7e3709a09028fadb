"""SQL over a record: what it tells, and what hostile queries get."""

from pathlib import Path

import pytest

from mirrorworld.operations.sql import Limits, SqlError, SqlTimeout, query
from tests.operations.kept_world import make


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory):
    _, store = make(tmp_path_factory.mktemp("world"))
    yield store.directory  # open for writing all the while, as when it is served
    store.close()


def rows(record: Path, sql: str, **options) -> list[tuple]:
    table = query(record, sql, **options).table
    return [tuple(row.values()) for row in table.to_pylist()]


def test_samples_with_twins_points_and_time(record: Path):
    found = rows(
        record,
        "select count(*), min(value), max(value) from samples"
        " where twin = 'line/filler' and point = 'BottlesOut'"
        " and time < '2026-06-01 07:00:00'",
    )
    assert found == [(6, 1000.0, 1500.0)]
    texts = rows(record, "select distinct text from samples where point = 'Cause' and text != ''")
    assert {"starved", '<jam> "ß" & Ölmangel'} == {text for (text,) in texts}


def test_structure_alarms_and_commands(record: Path):
    assert rows(record, "select id from twins where name_de = 'Füller'") == [("line/filler",)]
    assert rows(record, "select number, unit from properties where path = 'mass'") == [(4200, "kg")]
    assert rows(record, "select count(*) from relations where target = 'line'") == [(2,)]
    assert rows(record, "select is_active, message from alarms order by time") == [
        (True, "Jam"), (False, "Jam")
    ]  # fmt: skip
    assert rows(record, "select author, state, value from commands") == [
        ("erika", "requested", "3000.0")
    ]
    latest = "select value from latest where twin='line/filler' and point='State'"
    assert rows(record, latest) == [(2.0,)]


def test_what_one_may_not_see_is_not_there(record: Path):
    twins = ["line/capper"]
    for table in ("points", "properties", "latest", "samples"):
        found = rows(record, f"select distinct twin from {table}", twins=twins)
        assert found in ([("line/capper",)], []), table
    assert rows(record, "select id from twins", twins=twins) == [("line/capper",)]
    for table in ("alarms", "commands", "relations"):
        assert rows(record, f"select count(*) from {table}", twins=twins) == [(0,)], table
    both = rows(record, "select count(*) from _samples")[0][0]
    assert rows(record, "select count(*) from _samples", twins=twins) == [(both // 2,)]


def test_more_rows_than_asked_for(record: Path):
    found = query(record, "select * from range(100)", limits=Limits(rows=10))
    assert found.table.num_rows == 10 and found.is_cut
    assert not query(record, "select * from range(10)", limits=Limits(rows=10)).is_cut


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from glob('/etc/*')",
        "select * from read_parquet('https://example.org/x.parquet')",
        "select * from query('select * from read_blob(''/etc/passwd'')')",
        "attach '/tmp/x.db' as x",
        "copy (select 1) to '/tmp/mirrorworld-was-here.csv'",
        "install httpfs",
        "load json",
        "set enable_external_access=true",
        "set memory_limit='10GB'",
        "pragma memory_limit='10GB'",
        "create table x as select 1",
        "delete from twins",
        "select 1; select 2",
        "select 1; set lock_configuration=false",
        "explain analyze copy (select 1) to '/tmp/mirrorworld-was-here.csv'",
        "",
        "select",
        "select * from structure",  # a name of this process's own Python
        "export database '/tmp/x'",
        "from '/proc/self/environ'",
        "select * from arrow_scan(1, 2, 3)",  # addresses in memory
        "select getenv('HOME')",
        "select * from duckdb_extensions()",
        "create secret s (type s3)",
        "select * from json_execute_serialized_sql(json_serialize_sql("
        "'select * from read_text(''/etc/passwd'')'))",
        "with x as (insert into twins select 1) select 1",
        "call pragma_version()",
        "select " + "(" * 20_000 + "1" + ")" * 20_000,
    ],
)
def test_hostile_queries_are_refused(record: Path, sql: str):
    with pytest.raises(SqlError) as refused:
        query(record, sql)
    assert not isinstance(refused.value, SqlTimeout)
    assert "root:" not in str(refused.value) and str(Path.home()) not in str(refused.value)
    assert not Path("/tmp/mirrorworld-was-here.csv").exists()


def test_a_query_without_an_end_is_ended(record: Path):
    endless = (
        "with recursive r as (select 1 as n union all select n + 1 from r) select max(n) from r"
    )
    with pytest.raises(SqlTimeout, match="was ended"):
        query(record, endless, limits=Limits(time_s=4))


def test_a_query_that_eats_memory_fails(record: Path):
    bomb = "select list(a.range) from range(100000000) a group by a.range % 1000"
    with pytest.raises(SqlError, match=r"[Mm]emory"):
        query(record, bomb, limits=Limits(memory_mb=64))


def test_an_answer_that_is_too_large_fails(record: Path):
    with pytest.raises(SqlError, match=r"too large|[Mm]emory"):
        query(record, "select repeat('x', 1000000) from range(1000)")
