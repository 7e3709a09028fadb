"""The routes over a real record, and the command line beside it."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import fastapi
import httpx
import pytest

from mirrorworld.live.mirror import Mirror
from mirrorworld.operations.history_files import text_cell
from mirrorworld.operations.routes import router
from mirrorworld.server.app import create_app
from tests.operations.kept_world import MINUTE, START, make

TOKEN = "a-token-of-the-owner-of-this-world-0123456789"
OWNER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def client(tmp_path: Path):
    world, record = make(tmp_path)
    now_ns = START + 481 * MINUTE
    mirror = Mirror(world, record, {}, now_ns=lambda: now_ns)
    await mirror.start()
    app: fastapi.FastAPI = create_app(mirror, token=TOKEN, routers=[router])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client
    await mirror.stop()
    record.close()


async def test_sql(client: httpx.AsyncClient):
    ask = {"sql": "select id, length(id) as n from twins order by id limit 1"}
    found = await client.get("/api/sql", params=ask, headers=OWNER)
    assert found.status_code == 200, found.text
    columns = found.json()["columns"]
    assert [(c["name"], c["values"]) for c in columns] == [("id", ["line"]), ("n", [4])]
    wrong = await client.get("/api/sql", params={"sql": "drop table twins"}, headers=OWNER)
    assert wrong.status_code == 422 and "SELECT" in wrong.json()["detail"]
    assert (await client.get("/api/sql", params=ask)).status_code == 401


async def test_reports(client: httpx.AsyncClient):
    page = await client.get("/api/reports/shift.html", params={"language": "de"}, headers=OWNER)
    assert page.status_code == 200 and "Füller" in page.text and "<jam>" not in page.text
    document = await client.get("/api/reports/shift.pdf", headers=OWNER)
    assert document.status_code == 200 and document.content.startswith(b"%PDF-")
    none = await client.get("/api/reports/shift.pdf?plan=nope", headers=OWNER)
    assert none.status_code == 422 and "plan" in none.json()["detail"]
    assert (await client.get("/api/reports/shift.pdf")).status_code == 401


async def test_csv(client: httpx.AsyncClient):
    ask = {
        "point": ["line/filler.State", "line/filler.Cause"],
        "start": "2026-06-01T00:00:00Z",
        "zone": "Europe/Berlin",
    }
    found = await client.get("/api/export/history.csv", params=ask, headers=OWNER)
    assert found.status_code == 200, found.text
    rows = list(csv.reader(io.StringIO(found.text)))
    assert rows[0] == ["time", "point", "value", "unit", "quality"]
    assert rows[1] == ["2026-06-01T07:55:00.000000000+02:00", "line/filler.State", "6", "", "Good"]
    assert len(rows) == 1 + 10 and rows[-1][2] == '<jam> "ß" & Ölmangel'
    wrong = await client.get("/api/export/history.csv?point=line/filler.Nope", headers=OWNER)
    assert wrong.status_code == 404


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_cell_is_a_formula(text: str):
    assert text_cell(text) == f"'{text}" and text_cell("a=1") == "a=1"


def test_the_command_line_beside_an_open_world(tmp_path: Path):
    _, record = make(tmp_path)
    run = [str(Path(sys.executable).with_name("mirrorworld"))]
    end = ["--dir", str(tmp_path)]
    query = "select count(*) as n from samples where point = 'State'"
    try:
        found = subprocess.run(
            [*run, "sql", "kept", query, "--format", "csv", *end],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert found.stdout.split() == ['"n"', "10"]
        wrong = subprocess.run(
            [*run, "sql", "kept", "attach 'x' as x", *end], capture_output=True, text=True
        )
        assert wrong.returncode == 1 and "SELECT" in wrong.stderr
    finally:
        record.close()
