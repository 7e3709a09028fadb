"""`mirrorworld new connector`: what it writes is really run, as a package and in the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def new(name: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = "from mirrorworld.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", command, "new", "connector", name, "--dir", str(directory)],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def check_style(*paths: Path, ignored: str = "D") -> None:
    """What is written is as the rest of the house is: format and lint find nothing."""
    pytest.importorskip("ruff")
    given = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", *map(str, paths)]
    for arguments in (["format", "--check", *given], ["check", "--ignore", ignored, *given]):
        done = run("ruff", *arguments, cwd=paths[0].parent)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_package_of_its_own_passes_its_test_at_once(tmp_path: Path) -> None:
    done = new("heat_pump", tmp_path)
    assert done.returncode == 0, done.stderr
    root = tmp_path / "mirrorworld-heat-pump"
    tested = run("pytest", "-q", "-p", "no:cacheprovider", cwd=root)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "passed" in tested.stdout or "[100%]" in tested.stdout
    project = tomllib.loads((root / "pyproject.toml").read_text())
    (entry,) = project["project"]["entry-points"]["mirrorworld.connectors"].items()
    assert entry == ("heat_pump", "mirrorworld_heat_pump.connector:HeatPump")
    loaded = "from mirrorworld_heat_pump.connector import HeatPump; print(HeatPump.schemes)"
    shown = subprocess.run(
        [sys.executable, "-c", loaded],
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == "('heat-pump',)"
    check_style(*root.rglob("*.py"), ignored="D,I")  # whose import is whose differs there


def test_a_broken_connector_fails_the_test_that_was_written(tmp_path: Path) -> None:
    new("chiller", tmp_path)
    root = tmp_path / "mirrorworld-chiller"
    source = root / "src" / "mirrorworld_chiller" / "connector.py"
    text = source.read_text()
    source.write_text(
        text.replace(
            'CommandState.REFUSED, "the device has no', 'CommandState.SENT, "the device has no'
        )
    )
    tested = run(
        "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "write_to_nothing", cwd=root
    )  # fmt: skip
    assert tested.returncode == 1, tested.stdout


def test_in_the_tree_it_has_its_place_and_its_door(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(
        ROOT / "src" / "mirrorworld",
        tree / "src" / "mirrorworld",
        ignore=shutil.ignore_patterns("static", "__pycache__"),
    )
    (tree / "tests" / "connectors").mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", tree)
    done = new("chiller", tree)
    assert done.returncode == 0, done.stderr
    project = tomllib.loads((tree / "pyproject.toml").read_text())
    doors = project["project"]["entry-points"]["mirrorworld.connectors"]
    assert doors["chiller"] == "mirrorworld.connectors.chiller:Chiller"
    before = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert before["project"]["entry-points"]["mirrorworld.connectors"].items() < doors.items()
    tested = run(
        "pytest", "-q", "-p", "no:cacheprovider", "tests/connectors/test_chiller.py",
        cwd=tree, path=tree / "src",
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout + tested.stderr
    check_style(tree / "tests/connectors/test_chiller.py")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Heat", "small letters"),
        ("9lives", "a letter first"),
        ("class", "cannot name"),
        ("../up", "cannot name"),
        ("modbus", "already"),
        ("x" * 41, "cannot name"),
    ],
)
def test_names_that_cannot_be_are_refused(tmp_path: Path, name: str, why: str) -> None:
    done = new(name, tmp_path)
    assert done.returncode == 1 and why in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    new("chiller", tmp_path)
    readme = tmp_path / "mirrorworld-chiller" / "README.md"
    readme.write_text("mine")
    done = new("chiller", tmp_path)
    assert done.returncode == 1 and "there already" in done.stderr
    assert readme.read_text() == "mine"
