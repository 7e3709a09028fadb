"""`mirrorworld map`: shown, then done, to a world that stands still and to one that runs."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mirrorworld.at_rest import opened
from mirrorworld.cli.mapping import body_of
from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.server import announced, serve, token_of
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin, PutType
from mirrorworld.world.model import Kind, PointType, Twin, TwinType

RULE = """\
where: {id: "plant/*/P{n:int}"}
set:
  name: "Pump {n:02}"
  points:
    - {name: state, labels: {0: off, 1: on}}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A plant of three pumps on disk."""
    pump = TwinType("Pump", points=(PointType("state", Kind.ENUM),))
    twins = [PutTwin(Twin(f"plant/h1/P{n}", "Pump")) for n in range(1, 4)]
    with opened(tmp_path / "w", "w") as (world, record):
        edits = Edits((PutType(pump), *twins))
        change = world.apply(Change(edits, Origin(OriginKind.MEASURED, "plant"), 1)).change
        assert change is not None
        record.append(change)
        record.commit()
    (tmp_path / "rule.yaml").write_text(RULE)
    return tmp_path / "w"


def map_(place: Path, *options: str, file: str = "rule.yaml") -> subprocess.CompletedProcess[str]:
    command = "from mirrorworld.cli import main; main()"
    arguments = ["map", "w", str(place.parent / file), "--dir", str(place), *options]
    return subprocess.run(
        [sys.executable, "-c", command, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={"COLUMNS": "160", "PATH": "", "HOME": str(place.parent)},
    )


def names(place: Path) -> list[str]:
    with open_record(place / "record", create=False, read_only=True) as record:
        world = restore(record)
    assert {p.type.labels for t in world.structure.twins for p in world.structure.points_of(t)} <= {
        (),
        ((0, "off"), (1, "on")),
    }
    return [twin.name.best() for twin in world.structure.twins.values()]


def test_it_is_shown_and_then_done(place: Path) -> None:
    shown = map_(place)
    assert shown.returncode == 0, shown.stderr
    assert "Pump 02" in shown.stdout and "0 off, 1 on" in shown.stdout
    assert "3 twins fit: 6 changes, 0 left out" in shown.stdout
    assert names(place) == ["", "", ""]
    done = map_(place, "--apply", "--keep", "pumps", "--rows", "1")
    assert "and 5 more; --rows shows them" in done.stdout
    assert "applied: 6 changes at" in done.stdout
    assert names(place) == ["Pump 01", "Pump 02", "Pump 03"]
    assert "0 changes" in map_(place).stdout


def test_a_running_world_does_it_itself(place: Path) -> None:
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        record = open_record(place / "record", "w")
        mirror = Mirror(restore(record), record, {}, guard=RoleGuard())
        await mirror.start()
        token = token_of(place)

        with contextlib.ExitStack() as ending:

            def on_ready(address: str) -> None:
                ending.enter_context(announced(place, address))
                ready.set()

            try:
                await serve(mirror, token=token, port=0, on_ready=on_ready, stop=stop)
            finally:
                await mirror.stop()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert ready.wait(60)
        done = map_(place, "--apply", "--keep", "pumps")
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
    assert "applied: 6 changes at" in done.stdout, done.stderr
    assert names(place) == ["Pump 01", "Pump 02", "Pump 03"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "not YAML"),
        ("a: &x [1]\nb: *x\n", "no aliases here"),
        ("a: !!python/object/apply:os.getcwd []\n", "not YAML"),
        ("where: {id: '{n}{m}'}\nset: {name: x}\n", "side by side"),
        ("where: {id: '*'}\nset: {points: [{name: '*', unit: mBar}]}\n", "did you mean 'mbar'"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(place: Path, text: str, why: str) -> None:
    (place.parent / "bad.yaml").write_text(text)
    done = map_(place, "--apply", file="bad.yaml")
    assert done.returncode == 1
    assert why in done.stderr and "bad.yaml" in done.stderr, done.stderr


def test_a_world_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "rule.yaml").write_text(RULE)
    done = map_(tmp_path / "w")
    assert done.returncode == 1 and "no such world" in done.stderr


def test_scalars_stay_what_they_look_like(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("{a: off, b: 0100, c: 1.5, d: true, e: 2020-01-01, f: ~, g: 12, h: 1e3}")
    assert body_of(file) == (
        '{"a": "off", "b": "0100", "c": 1.5, "d": true, "e": "2020-01-01", "f": null, "g": 12,'
        ' "h": 1000.0}'
    )
