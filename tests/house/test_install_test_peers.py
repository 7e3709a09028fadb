"""What `make test` does about a browser and a broker that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import install_test_peers


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on PATH; returns the folder to put commands in."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(
        install_test_peers, "DEBIAN", {"chromium": ("chromium",), "mosquitto": ("mosquitto",)}
    )
    return tmp_path


def command(folder: Path, name: str, script: str = "exit 0") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_only_what_is_missing_is_named(bare: Path) -> None:
    command(bare, "chromium")
    assert install_test_peers.missing_packages() == ["mosquitto"]


def test_root_with_apt_installs(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    command(bare, "apt-get", f'echo "$@" >> {bare}/log')
    install_test_peers.install_packages(["chromium", "mosquitto"])
    update, install = (bare / "log").read_text().splitlines()
    assert update.split()[-1] == "update"
    assert install.split()[-2:] == ["chromium", "mosquitto"]


def test_others_are_told_how(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    command(bare, "apt-get", f"touch {bare}/ran")
    install_test_peers.install_packages(["chromium"])
    assert "sudo apt-get install chromium" in capsys.readouterr().out
    assert not (bare / "ran").exists()


def test_apt_that_fails_does_not_stop_the_tests(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    command(bare, "apt-get", "echo no network >&2; exit 100")
    install_test_peers.install_packages(["chromium"])
    said = capsys.readouterr().out
    assert "no network" in said
    assert "sudo apt-get install chromium" in said
