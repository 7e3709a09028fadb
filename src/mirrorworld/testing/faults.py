"""A disk that fails as disks do: it forgets what was not synced, and refuses on demand.

Files are really written below a directory, so that the code under test reads them as usual;
beside that, `FaultyDisk` keeps what would survive a power loss: bytes up to each file's last
sync, and names up to each directory's last sync. `lose_power` leaves only that.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class _File:
    """A file whatever its name: what is written, and what is safe."""

    safe: bytes = b""
    unsafe: bytearray = field(default_factory=bytearray)
    """Written since the last sync."""


class FaultyDisk:
    """Stands in for the record's file layer (`mirrorworld.record.files.Files`).

    Set `fail_sync` or `fail_write` to an errno to have the next call refused; `room_bytes` to
    have the disk full (ENOSPC, after a part was written) when so much more has been written.
    """

    def __init__(self, root: Path) -> None:
        """A disk for everything below `root`, which is empty or has been synced."""
        self.root = root
        self.fail_sync = 0
        self.fail_write = 0
        self.room_bytes: int | None = None
        self.syncs = 0
        self._names: dict[Path, _File] = {}
        """As every process sees them."""
        self._safe_names: dict[Path, _File] = {}
        """As they are after a power loss."""
        if root.exists():
            self._adopt()

    def create(self, path: Path) -> FaultyAppender:
        """A new file; its name is not safe before its directory is synced."""
        file = _File()
        self._names[path] = file
        return FaultyAppender(self, path, file)

    def replace(self, source: Path, target: Path) -> None:
        """Renames; safe after `sync_directory`."""
        os.replace(source, target)
        self._names[target] = self._names.pop(source, None) or _File(target.read_bytes())

    def remove(self, path: Path) -> None:
        """Removes; safe after `sync_directory`."""
        path.unlink(missing_ok=True)
        self._names.pop(path, None)

    def sync_file(self, path: Path) -> None:
        """Makes safe what something else has written to a file."""
        self._refuse("fail_sync")
        self.syncs += 1
        self._names[path] = _File(path.read_bytes())

    def sync_directory(self, path: Path) -> None:
        """Makes the names in a directory safe."""
        self._refuse("fail_sync")
        self.syncs += 1
        for name in [n for n in self._safe_names if n.parent == path]:
            del self._safe_names[name]
        for name, file in self._names.items():
            if name.parent == path:
                self._safe_names[name] = file

    def make_directory(self, path: Path) -> None:
        """Makes a directory; taken as safe at once."""
        path.mkdir(parents=True, exist_ok=True)

    def lose_power(self, *, seed: int | None = None) -> None:
        """Puts below `root` what a power loss leaves.

        Without a seed every unsynced byte is gone. With one, a random part of what was not
        synced got through: a prefix, in some files with holes of zeros in it, as disks that
        write pages out of order leave them.
        """
        chance = random.Random(seed) if seed is not None else None
        shutil.rmtree(self.root)
        self.root.mkdir(parents=True)
        for path, file in sorted(self._safe_names.items()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.safe + _partly(bytes(file.unsafe), chance))
        self._adopt()
        self.fail_sync = self.fail_write = 0
        self.room_bytes = None

    def _adopt(self) -> None:
        """Takes what is on the disk now as safe."""
        self._names = {p: _File(p.read_bytes()) for p in self.root.rglob("*") if p.is_file()}
        self._safe_names = dict(self._names)

    def _refuse(self, switch: str) -> None:
        code = getattr(self, switch)
        if code:
            setattr(self, switch, 0)
            raise OSError(code, os.strerror(code))


class FaultyAppender:
    """An open file of a FaultyDisk."""

    def __init__(self, disk: FaultyDisk, path: Path, file: _File) -> None:
        self._disk = disk
        self._file = file
        self._real = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by `close`

    def write(self, data: bytes) -> None:
        """Adds bytes; a full disk takes as many as there is room for."""
        self._disk._refuse("fail_write")
        room = self._disk.room_bytes
        taken = data if room is None else data[:room]
        self._real.write(taken)
        self._file.unsafe += taken
        if room is not None:
            self._disk.room_bytes = room - len(taken)
            if len(taken) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self) -> None:
        """Makes the bytes safe, unless refused: then they are as good as gone, as on Linux,
        where pages that could not be written are marked clean."""
        try:
            self._disk._refuse("fail_sync")
        except OSError:
            self._file.unsafe.clear()
            raise
        self._disk.syncs += 1
        self._file.safe += bytes(self._file.unsafe)
        self._file.unsafe.clear()

    def close(self) -> None:
        """Lets go; nothing is synced by it."""
        self._real.close()


def _partly(unsafe: bytes, chance: random.Random | None) -> bytes:
    if chance is None or not unsafe:
        return b""
    kept = bytearray(unsafe[: chance.randint(0, len(unsafe))])
    if kept and chance.random() < 0.5:
        start = chance.randrange(len(kept))
        end = min(len(kept), start + chance.choice((1, 16, 512, 4096)))
        kept[start:end] = bytes(end - start)
    return bytes(kept)
