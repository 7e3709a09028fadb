"""The ZIP file that an FMU is: looked into and unpacked as what a stranger sent.

Knows names, sizes and digests; refuses to know what a model description means, and runs nothing.
FMI 3.0.2 §2.5 (FMI 2.0.4 §2.3) says how the archive is laid out.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import re
import shutil
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

DESCRIPTION: Final = "modelDescription.xml"
ENTRIES_MAX: Final = 20_000
DESCRIPTION_BYTES_MAX: Final = 64 << 20
UNPACKED_BYTES_MAX: Final = 2 << 30
RATIO_MAX: Final = 200
"""How many times larger than the archive its content may be, beyond the first 64 MiB."""

_CHUNK: Final = 1 << 20
_DRIVE: Final = re.compile(r"^[A-Za-z]:")


class FmiError(ValueError):
    """A unit, or a coupling of units, that cannot be used; the message names place and mend."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, after every name in it has been looked at.

    Raises:
        FmiError: it is no archive, or one of its names leads out of it.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError) as error:
        raise FmiError(f"{path}: not an FMU, which is a ZIP archive ({error})") from None
    with archive:
        infos = archive.infolist()
        if len(infos) > ENTRIES_MAX:
            raise FmiError(f"{path}: {len(infos)} entries; at most {ENTRIES_MAX} are read")
        seen: set[str] = set()
        for info in infos:
            _check_name(path, info)
            folded = info.filename.casefold().rstrip("/")
            if folded in seen:
                raise FmiError(f"{path}: two entries are called '{info.filename[:80]}'")
            seen.add(folded)
        yield archive


def _check_name(path: Path, info: zipfile.ZipInfo) -> None:
    name = info.filename
    shown = repr(name[:80])
    parts = name.split("/")
    # zipfile cuts names at a NUL and, on Windows, turns backslashes: the original tells.
    if info.orig_filename != name or "\\" in name or "\0" in name:
        raise FmiError(f"{path}: entry {shown} has a backslash or a NUL in its name")
    if name.startswith("/") or _DRIVE.match(name) or ".." in parts:
        raise FmiError(f"{path}: entry {shown} leads out of the archive; it is not unpacked")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise FmiError(f"{path}: entry {shown} is a link; it is not unpacked")
    if info.flag_bits & 0x1:
        raise FmiError(f"{path}: entry {shown} is encrypted")


def description_bytes(path: Path, archive: zipfile.ZipFile) -> bytes:
    """`modelDescription.xml`, at most `DESCRIPTION_BYTES_MAX` of it.

    Raises:
        FmiError: there is none, or it is larger than that.
    """
    try:
        with archive.open(DESCRIPTION) as stream:
            data = stream.read(DESCRIPTION_BYTES_MAX + 1)
    except KeyError:
        raise FmiError(f"{path}: no {DESCRIPTION} in it, so it is not an FMU") from None
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise FmiError(f"{path}: {DESCRIPTION} cannot be unpacked ({error})") from None
    if len(data) > DESCRIPTION_BYTES_MAX:
        raise FmiError(f"{path}: {DESCRIPTION} has more than {DESCRIPTION_BYTES_MAX} bytes")
    return data


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; FmiError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise FmiError(f"{path}: {error.strerror}") from None


def copied(path: Path, into: Path) -> str:
    """Copies the archive and returns the digest of what was copied: what is checked is then what
    is unpacked, whatever becomes of the original meanwhile."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as source, into.open("wb") as target:
            while part := source.read(_CHUNK):
                digest.update(part)
                target.write(part)
    except OSError as error:
        raise FmiError(f"{path}: {error.strerror}") from None
    return digest.hexdigest()


def unpack(path: Path, into: Path, folder: str) -> None:
    """Unpacks what a unit needs to run here: its binaries of one platform and its resources.

    Sizes are counted as they come out; what the archive says of itself is not believed.

    Args:
        folder: name of the platform's folder below `binaries`, see `platform_folder`.

    Raises:
        FmiError: a name leads out, or too much comes out.
    """
    limit = min(UNPACKED_BYTES_MAX, max(64 << 20, path.stat().st_size * RATIO_MAX))
    wanted = (f"binaries/{folder}/", "resources/")
    with opened(path) as archive:
        for info in archive.infolist():
            if info.is_dir() or not info.filename.startswith(wanted):
                continue
            target = into / info.filename
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source, target.open("xb") as sink:
                    limit -= _move(source, sink, limit, f"{path}: {info.filename[:80]}")
            except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
                raise FmiError(
                    f"{path}: entry {info.filename[:80]!r} cannot be unpacked ({error})"
                ) from None
    (into / "resources").mkdir(exist_ok=True)


def _move(source: IO[bytes], sink: IO[bytes], limit: int, place: str) -> int:
    moved = 0
    while part := source.read(_CHUNK):
        moved += len(part)
        if moved > limit:
            raise FmiError(f"{place}: unpacks to far more than the archive holds; not unpacked")
        sink.write(part)
    return moved


def discard(folder: Path) -> None:
    """Removes what was unpacked, as far as it lets itself be removed."""
    shutil.rmtree(folder, ignore_errors=True)


def platforms_in(archive: zipfile.ZipFile) -> tuple[str, ...]:
    """The folders below `binaries` that hold something, sorted."""
    found = {
        name.split("/")[1]
        for name in archive.namelist()
        if name.startswith("binaries/") and name.count("/") >= 2 and not name.endswith("/")
    }
    return tuple(sorted(found))


def platform_folder(version: str) -> str:
    """The folder of this machine's binaries: `linux64` in FMI 2, `x86_64-linux` in FMI 3."""
    system = {"win32": "windows", "darwin": "darwin"}.get(sys.platform, "linux")
    machine = platform.machine().lower()
    is_arm = machine in {"aarch64", "arm64"}
    is_64 = sys.maxsize > 1 << 32
    if version.startswith("3"):
        return ("aarch64" if is_arm else "x86_64" if is_64 else "x86") + f"-{system}"
    return system.replace("windows", "win") + ("64" if is_64 else "32")


def library_suffix() -> str:
    """`.so`, `.dll` or `.dylib`."""
    return {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
