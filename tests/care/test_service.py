"""The systemd unit is one that systemd accepts, and systemd hears how the service stands."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mirrorworld.care.service import notify, unit, watchdog_s


def test_the_unit_names_what_it_runs():
    text = unit("hall", ["/opt/m w/mirrorworld", "up", "--world", "hall"], "/srv/mw", user="mw")
    assert 'ExecStart="/opt/m w/mirrorworld" up --world hall' in text
    assert "User=mw\n" in text
    assert "ReadWritePaths=/srv/mw\n" in text
    assert "User=" not in unit("hall", ["/x"], "/srv/mw", is_of_user=True)


@pytest.mark.parametrize("name", ["a\nExecStartPre=/bin/sh", 'a"b', "a'b", "a\\b"])
def test_no_name_adds_a_line_to_the_unit(name):
    with pytest.raises(ValueError, match="cannot stand in a systemd unit"):
        unit(name, ["/x"], "/srv")


def test_systemd_accepts_the_unit(tmp_path: Path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here; it comes with systemd")
    path = tmp_path / "mirrorworld-hall.service"
    path.write_text(unit("hall", [sys.executable, "-c", "pass"], str(tmp_path), user="root"))
    command = [analyze, "verify", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert str(path.name) not in done.stderr, done.stderr


def test_systemd_hears(tmp_path: Path, monkeypatch):
    assert not notify("READY=1") or "NOTIFY_SOCKET" in __import__("os").environ
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert notify("READY=1")
        assert listening.recv(100) == b"READY=1"
    assert not notify("WATCHDOG=1")


def test_the_watchdog_is_fed_twice_in_its_time(monkeypatch):
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert watchdog_s() is None
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert watchdog_s() == 30
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_s() is None
