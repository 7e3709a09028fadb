"""Brings the foreign implementations that the tests talk to.

A browser and a broker come from Debian where apt works as root; peers from npm
come through the Node that is in the environment. What cannot be installed is
named together with the way to get it; the tests that need it then skip and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hatch_build import install_modules  # noqa: E402

# Debian package -> the commands of which one proves that it is there.
DEBIAN = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "mosquitto": ("mosquitto", "/usr/sbin/mosquitto"),
    "postgresql": ("pg_ctl", *map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))),
}


def missing_packages() -> list[str]:
    """Debian packages of which no command is on this machine."""
    return [name for name, commands in DEBIAN.items() if not any(map(shutil.which, commands))]


def install_packages(names: list[str]) -> None:
    """Install Debian packages; explain how where that is not ours to do."""
    way = f"sudo apt-get install {' '.join(names)}"
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"test peers: {', '.join(names)} not found; to run their tests: {way}")
        return
    print(f"test peers: installing {', '.join(names)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *names],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"test peers: {' '.join(command)} failed: {done.stderr.strip()}\n  later: {way}")
            return


def main() -> None:
    """Install what is missing; do nothing, quickly, when nothing is."""
    if names := missing_packages():
        install_packages(names)
    if install_modules(ROOT / "tests" / "peers"):
        print("test peers: installed tests/peers/node_modules")


if __name__ == "__main__":
    main()
