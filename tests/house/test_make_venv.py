"""`make setup` on machines that lack something, played with stand-ins on PATH."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent.parent / "tools" / "make_venv"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell script")


class Machine:
    """A PATH of its own with only the commands that a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.venv = folder / "venv"
        self.apt_ran = folder / "apt-ran"
        self.command("sh", 'exec /bin/sh "$@"')

    def command(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def user(self, number: int) -> None:
        self.command("id", f"echo {number}")

    def python_without_ensurepip(self) -> None:
        """A Python as Debian ships it: `ensurepip` appears when apt has run."""
        self.command(
            "python3.11",
            f'case "$2" in *ensurepip*) [ -e {self.apt_ran} ] || exit 1;; esac\n'
            f'[ "$1" = -m ] && exec {sys.executable} -m venv --without-pip "$3"\n'
            f'exec {sys.executable} "$@"',
        )

    def apt(self) -> None:
        self.command("apt-get", f'echo "$@" >> {self.apt_ran}')

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(SCRIPT), str(self.venv)],
            env={"PATH": str(self.bin), **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_root_on_debian_gets_the_missing_package(machine: Machine) -> None:
    machine.python_without_ensurepip()
    machine.apt()
    machine.user(0)
    done = machine.run()
    assert done.returncode == 0, done.stderr
    assert "python3.11-venv" in machine.apt_ran.read_text()
    assert (machine.venv / "bin" / "python").exists()


def test_others_are_told_which_package_to_install(machine: Machine) -> None:
    machine.python_without_ensurepip()
    machine.apt()
    machine.user(1000)
    done = machine.run()
    assert done.returncode == 1
    assert "sudo apt-get install python3.11-venv" in done.stderr
    assert not machine.apt_ran.exists()


def test_no_python_names_the_way_to_give_one(machine: Machine) -> None:
    machine.command("python3", "exit 1")
    done = machine.run()
    assert done.returncode == 1
    assert "make setup PYTHON=" in done.stderr


def test_a_shim_that_does_not_run_is_passed_over(machine: Machine) -> None:
    machine.command("python3.11", "exit 127")
    machine.command("python3", f'exec {sys.executable} "$@"')
    assert machine.run().returncode == 0
    assert (machine.venv / "bin" / "python").exists()


def test_a_venv_that_works_is_left_alone(machine: Machine) -> None:
    (machine.venv / "bin").mkdir(parents=True)
    (machine.venv / "bin" / "python").symlink_to(sys.executable)
    assert machine.run().returncode == 0
    assert not (machine.venv / "pyvenv.cfg").exists()
