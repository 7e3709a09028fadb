"""What is on this computer: itself, and recordings that were dropped into the world's inbox."""

from __future__ import annotations

import asyncio
import platform
import stat
from pathlib import Path
from typing import Final

from mirrorworld.world.ports import Sighting, Surroundings

EVERY_S: Final = 3.0
FILES_MAX: Final = 200
SUFFIXES: Final = (
    ".csv", ".tsv", ".parquet", ".pq", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst",
)  # fmt: skip
HOST_URL: Final = "host://local"


class FindHere:
    """This computer and what was put into the inbox."""

    name = "here"

    def __init__(self, every_s: float = EVERY_S) -> None:
        self.every_s = every_s

    async def run(self, around: Surroundings) -> None:
        """See the port."""
        name = platform.node() or "this computer"
        about = [platform.system(), platform.release(), platform.machine()]
        around.report(
            Sighting(
                HOST_URL,
                HOST_URL,
                name,
                "This computer",
                "Mirrorworld runs on it: load, memory, disks, temperatures",
                " ".join(part for part in about if part),
            )
        )
        if around.inbox is None:
            return
        sizes: dict[Path, int] = {}
        told: set[Path] = set()
        while True:
            found = await asyncio.to_thread(_recordings, around.inbox)
            if len(found) > FILES_MAX:
                around.count("inbox_too_many", len(found) - FILES_MAX)
            now = dict(found[:FILES_MAX])
            for path, size in now.items():
                # One that still grows is being copied.
                if sizes.get(path) == size and path not in told and size > 0:
                    told.add(path)
                    around.report(
                        Sighting(
                            str(path),
                            str(path),
                            path.name,
                            "Recording",
                            "a file in the world's inbox",
                            f"size={size} bytes",
                        )
                    )
            for path in told - now.keys():
                told.discard(path)
                around.withdraw(str(path))
            sizes = now
            await asyncio.sleep(self.every_s)


def _recordings(inbox: Path) -> list[tuple[Path, int]]:
    """(path, bytes) of the recordings right in a folder; links and folders are left out."""
    found: list[tuple[Path, int]] = []
    try:
        for path in sorted(inbox.iterdir()):
            if path.name.startswith(".") or not path.name.lower().endswith(SUFFIXES):
                continue
            about = path.lstat()
            if stat.S_ISREG(about.st_mode):
                found.append((path.resolve(), about.st_size))
    except OSError:
        return []
    return found
