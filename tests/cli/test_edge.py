"""Sites get identities, and edges are started by them, from the command line."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("zenoh", reason="needs the extra 'zenoh'")

from mirrorworld.cli import app
from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.pipeline import Pipeline, SourceSink
from mirrorworld.plane.places import identified
from mirrorworld.plane.site import Site
from mirrorworld.record.store import open_record, restore
from mirrorworld.testing.connectors import until
from mirrorworld.trust.authority import name_in
from mirrorworld.world.ports import SourceConfig


def run(*words: str):
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "300"})


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    out = tmp_path / "north"
    made = run("identity", "centre", "north", str(out), "--dir", str(tmp_path / "centre"))
    assert made.exit_code == 0, made.output
    assert "--identity" in made.output and "site+tls://" in made.output
    assert name_in(out / "site.pem") == "north"
    assert (out / "site.key").stat().st_mode & 0o077 == 0
    again = run("identity", "centre", "north", str(out), "--dir", str(tmp_path / "centre"))
    assert again.exit_code == 1 and "already" in again.output
    assert run("identity", "centre", "a/b").exit_code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "mqtt://centre"], "reads like zenoh+tls://"),
        (["--to", "zenoh://centre:7447", "--site", "n"], "without TLS anyone could read"),
        (["--to", "zenoh://0.0.0.0:7447", "--site", "n"], "without TLS anyone could read"),
        (["--to", "zenoh+tls://centre:7447", "--site", "n"], "--identity"),
        (["--to", "zenoh://127.0.0.1/north", "--site", "n"], "--site says it"),
        (["--to", "zenoh://127.0.0.1"], "--site is missing"),
        (["--to", "zenoh://127.0.0.1", "--site", "n", "--keep", "much"], "a size reads like"),
        (["--to", "zenoh://127.0.0.1", "--site", "n", "--keep", "1KB"], "holds nothing"),
        (["--to", "zenoh://127.0.0.1", "--site", "n", "--commands"], "needs an --identity"),
    ],
)
def test_what_cannot_be_is_said_with_the_mend(tmp_path: Path, words: list[str], said: str) -> None:
    recording = tmp_path / "a.csv"
    recording.write_text("time,x\n0,1\n")
    answer = run("edge", str(recording), "--dir", str(tmp_path / "edge"), *words)
    assert answer.exit_code == 1
    assert said in " ".join(answer.output.split()), answer.output


def test_an_edge_needs_a_source(tmp_path: Path) -> None:
    answer = run("edge", "--to", "zenoh://127.0.0.1", "--site", "n", "--dir", str(tmp_path))
    assert answer.exit_code == 2 and "urls" in answer.output.lower()


def test_the_unit_starts_the_edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = tmp_path / "a.csv"
    recording.write_text("time,x\n0,1\n")
    words = ["edge", str(recording), "--to", "zenoh://127.0.0.1", "--site", "n", "--unit"]
    monkeypatch.setattr(sys, "argv", ["/usr/bin/mirrorworld", *words])
    text = run(*words).stdout
    start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert start.endswith("--site n") and " edge " in start
    assert "Type=notify" in text


@pytest.mark.timeout(240)
async def test_an_edge_publishes_over_tls_by_its_identity(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """As the guide says it: an identity, an edge, and a centre with its own certificate."""
    port = free_port()
    home = tmp_path / "centre"
    assert run("identity", "c", "north", str(tmp_path / "id"), "--dir", str(home)).exit_code == 0
    recording = tmp_path / "shift.csv"
    rows = "".join(f"{1_700_000_000 + i},{i}\n" for i in range(1_000))
    recording.write_text(f"time,level [m]\n{rows}")
    record = open_record(tmp_path / "record", "centre", compacts=False)
    pipeline = Pipeline(restore(record), record, RoleGuard())
    pipeline.start()
    schemes = identified(dict.fromkeys(Site.schemes, Site), home / "authority")
    url = f"site+tls://127.0.0.1:{port}/north"
    connector = schemes["site+tls"](SourceConfig(url, "north", {"listen": True}))
    sink = SourceSink(pipeline, "north", has_live_clock=False)
    mirroring = asyncio.create_task(connector.run(sink))
    command = [sys.executable, "-c", "from mirrorworld.cli import main; main()"]
    command += ["edge", str(recording), "--name", "tank"]
    command += ["--to", f"zenoh+tls://localhost:{port}", "--identity", str(tmp_path / "id")]
    with open(tmp_path / "edge.log", "wb") as log:
        edge = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env={**os.environ, "MIRRORWORLD_HOME": str(tmp_path / "home")},
        )
    try:
        await until(lambda: sink.tally.accepted == 1_000 or edge.poll() is not None, "it", 200)
        assert edge.poll() is None, (tmp_path / "edge.log").read_text()
        world = pipeline.world
        (handle,) = world.handles([("north/tank", "level")])
        assert world.value(int(handle)) == 999.0
        assert world.point(int(handle))[1].unit == "m"
        edge.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(edge.wait, 60) == 0
    finally:
        if edge.poll() is None:
            edge.kill()
            edge.wait()
        mirroring.cancel()
        await asyncio.gather(mirroring, return_exceptions=True)
        await pipeline.stop()
    assert (tmp_path / "home" / "worlds" / "north" / "edge.json").exists()
