"""A server with a record of its own, to be killed: `python -m mirrorworld.bench.coedit_server
DIRECTORY PORT TWINS`. Prints a line once it answers."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.server import serve
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin
from mirrorworld.world.model import Twin

TOKEN = "coedit" * 6


async def main(directory: Path, port: int, twins: int) -> None:
    """Serves until it is killed."""
    record = open_record(directory, "coedit", compacts=False)
    mirror = Mirror(restore(record), record, {})
    await mirror.start()
    edits = Edits(tuple(PutTwin(Twin(f"part{i}")) for i in range(twins)))
    mirror.pipeline.apply(Change(edits, Origin(OriginKind.MEASURED, "coedit"), time.time_ns()))
    await serve(
        mirror,
        token=TOKEN,
        port=port,
        static_dir=None,
        on_ready=lambda url: print(url, flush=True),
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
