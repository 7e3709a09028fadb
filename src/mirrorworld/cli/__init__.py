"""The command line: `mirrorworld COMMAND --help` says what each does.

Each file here holds the commands of one area and registers them with `app`.
"""

from __future__ import annotations

from mirrorworld.cli import (
    accounts,
    branches,
    care,
    commands,
    edge,
    experiment_select,
    experiments,
    flow,
    fmi,
    mapping,
    new,
    operations,
)
from mirrorworld.cli.commands import app

__all__ = [
    "accounts",
    "app",
    "branches",
    "care",
    "commands",
    "edge",
    "experiment_select",
    "experiments",
    "flow",
    "fmi",
    "main",
    "mapping",
    "new",
    "operations",
]


def main() -> None:
    """Runs the command line."""
    app()
