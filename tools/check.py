"""Runs every check of the house and says which failed; `make check` calls it.

All run even when one fails, so that one look shows everything there is to mend.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hatch_build import node, npm_command  # noqa: E402

BIN = Path(sys.executable).parent
CHECKS: dict[str, tuple[list[str], Path]] = {
    "format": ([str(BIN / "ruff"), "format", "--check", "--quiet", "."], ROOT),
    "lint": ([str(BIN / "ruff"), "check", "--quiet", "."], ROOT),
    "types": ([str(BIN / "pyright"), "--warnings"], ROOT),
    "imports": ([str(BIN / "lint-imports"), "--no-cache"], ROOT),
    "page": ([*npm_command(), "run", "check", "--silent"], ROOT / "web"),
    # Without --quiet: with it, mkdocs counts no warnings and --strict never fails.
    "docs": ([str(BIN / "mkdocs"), "build", "--strict"], ROOT),
}


def run(name: str) -> bool:
    """Run one check, show its output if it fails, and say whether it passed."""
    command, folder = CHECKS[name]
    environment = {
        **os.environ,
        "PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
        "NO_MKDOCS_2_WARNING": "1",
    }
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    verdict = "ok" if done.returncode == 0 else "FAILED"
    print(f"{name:8} {verdict:7} {time.monotonic() - started:5.1f} s", flush=True)
    if done.returncode:
        print(done.stdout + done.stderr, flush=True)
    return done.returncode == 0


def main() -> None:
    """Run the checks that are named, or all of them."""
    names = sys.argv[1:] or list(CHECKS)
    failed = [name for name in names if not run(name)]
    if failed:
        sys.exit(f"check: {', '.join(failed)} failed")


if __name__ == "__main__":
    main()
