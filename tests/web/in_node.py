"""A module's text run in Node, for the parts of the page that need no browser."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[[str], dict]


def in_node(node: str, folder: Path) -> Run:
    """Runs text as a module that stands in `folder`; what it prints last is JSON."""

    def run(text: str) -> dict:
        done = subprocess.run(
            [node, "--no-warnings", "--input-type=module", "--eval", text],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
