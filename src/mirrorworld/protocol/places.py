"""Where a world that runs on this machine leaves its address and its owner's token.

So that `mirrorworld.connect()` finds it without being told. Both files are their owner's alone.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

TOKEN_FILE: Final = "token"
ADDRESS_FILE: Final = "address"
"""One line, `http://127.0.0.1:7700`; there while the world is served."""


def home() -> Path:
    """Where worlds live: `$MIRRORWORLD_HOME`, else `.mirrorworld` in the home directory."""
    return Path(os.environ.get("MIRRORWORLD_HOME") or Path.home() / ".mirrorworld")


def worlds() -> list[Path]:
    """The directories of all worlds that are kept here."""
    kept = home() / "worlds"
    return sorted(path for path in kept.iterdir() if path.is_dir()) if kept.is_dir() else []


def address_of(world_dir: Path) -> str:
    """Where a world is served, as far as its directory says; empty: nowhere."""
    with contextlib.suppress(OSError):
        return (world_dir / ADDRESS_FILE).read_text().strip()
    return ""


def read_token(world_dir: Path) -> str:
    """The owner's token of a world; empty: there is none, or it is not ours to read."""
    with contextlib.suppress(OSError):
        return (world_dir / TOKEN_FILE).read_text().strip()
    return ""
