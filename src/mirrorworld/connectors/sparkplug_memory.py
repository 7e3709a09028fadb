"""Births that outlive a restart: data which waited at the broker meanwhile is read by them.

One file for each edge node: its NBIRTH and the DBIRTHs after it, as they came. Knows bytes and
files; refuses to know what the births say.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

REMEMBERED_BYTES: Final = 16 << 20
"""Largest set of births of one node that is remembered."""


class BirthMemory:
    """The births of one source, in a folder of its own."""

    def __init__(self, state_dir: Path, source: str) -> None:
        digest = hashlib.sha256(source.encode()).hexdigest()[:12]
        self._folder = state_dir / f"sparkplug-births-{digest}"

    def keep(self, group: str, node: str, topic: bytes, raw: bytes, *, is_first: bool) -> None:
        """Remembers a birth; with `is_first`, those before it are forgotten.

        Raises:
            OSError: it could not be written.
        """
        record = struct.pack("<II", len(topic), len(raw)) + topic + raw
        digest = hashlib.sha256(f"{group}\n{node}".encode()).hexdigest()[:24]
        path = self._folder / f"{digest}.births"
        self._folder.mkdir(parents=True, exist_ok=True)
        if is_first:
            new = path.with_suffix(".new")
            new.write_bytes(record)
            new.replace(path)
        elif path.exists() and path.stat().st_size + len(record) <= REMEMBERED_BYTES:
            with path.open("ab") as file:
                file.write(record)

    def recall(self) -> Iterator[tuple[bytes, bytes]]:
        """(topic, payload) of every birth; one that was cut off while being written is left out.

        Raises:
            OSError: a file could not be read.
        """
        for path in sorted(self._folder.glob("*.births")) if self._folder.is_dir() else ():
            data = path.read_bytes()
            at = 0
            while at + 8 <= len(data):
                n_topic, n_raw = struct.unpack_from("<II", data, at)
                start, end = at + 8 + n_topic, at + 8 + n_topic + n_raw
                if end <= len(data):
                    yield data[at + 8 : start], data[start:end]
                at = end
