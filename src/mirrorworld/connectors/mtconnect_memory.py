"""Up to where an agent was read: one small file, on disk before anything is handed over.

Knows numbers and files; refuses to know documents.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from pathlib import Path


class AgentMemory:
    """Up to where an agent was read: in a file where there is a place for one.

    Attributes:
        instance: of the agent; 0: nothing is known.
        next: the number from which to go on.
        until: the last number of what was being handed over; -1: nothing was.
    """

    def __init__(self, folder: Path | None, identity: str) -> None:
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        self._path = folder / f"mtconnect-{digest}.json" if folder is not None else None
        self.instance, self.next, self.until = 0, 0, -1
        if self._path is None:
            return
        try:
            known = json.loads(self._path.read_text())
            self.instance, self.next = int(known["instance"]), int(known["next"])
            self.until = int(known["until"])
        except (OSError, ValueError, KeyError, TypeError):
            pass

    async def write(self, next_: int, until: int, *, is_lazy: bool = False) -> None:
        """Remembers; unless `is_lazy`, on disk before it returns."""
        self.next, self.until = next_, until
        if self._path is None:
            return
        text = json.dumps({"instance": self.instance, "next": next_, "until": until})
        await asyncio.to_thread(_keep, self._path, text, not is_lazy)


def _keep(path: Path, text: str, syncs: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with new.open("w") as file:
        file.write(text)
        if syncs:
            file.flush()
            os.fsync(file.fileno())
    new.replace(path)
