"""A branch as one file, out and in: a ZIP with its head, the world at the fork, its log and its
figures. It needs nothing else, so it can be opened where its parent has forgotten that moment."""

from __future__ import annotations

import dataclasses
import json
import re
import secrets
import shutil
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Final

import msgspec

from mirrorworld.branches import kept
from mirrorworld.branches.bases import base_kept
from mirrorworld.branches.branch import Branch
from mirrorworld.branches.kept import Head
from mirrorworld.record.files import Files
from mirrorworld.record.keyframes import Keyframes
from mirrorworld.record.segments import CorruptRecordError
from mirrorworld.world.changes import Position

SUFFIX: Final = ".mwbranch"
ABOUT: Final = "about.json"
EXPANDED_BYTES_MAX: Final = 2 << 30
FILES_MAX: Final = 10_000
_NAMES: Final = re.compile(
    r"branch\.json|about\.json|base/[0-9A-Za-z_.-]+\.(mwkey|mwstruct)|log/[0-9]+\.mwlog"
    r"|evaluations/e-[0-9a-f]{12}\.json"
)


def written(branch: Branch, world: str, target: Path) -> None:
    """Writes a branch to a file.

    Args:
        world: id of the world that it is of.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as file,
    ):
        base = Path(folder) / kept.BASE
        # Keyframes name their world; what is kept at a fork is called so.
        Keyframes(base, Files()).write(branch.base.snapshot())
        head = dataclasses.replace(branch.head, parent="", has_base=True)
        about = {"format": "mirrorworld branch", "version": kept.VERSION, "world": world}
        file.writestr(ABOUT, json.dumps(about))
        file.writestr(kept.HEAD, msgspec.json.encode(head))
        for path in sorted(base.iterdir()):
            file.write(path, f"{kept.BASE}/{path.name}")
        for part, pattern in ((kept.LOG, "*.mwlog"), (kept.EVALUATIONS, "e-*.json")):
            for path in sorted((branch.directory / part).glob(pattern)):
                file.write(path, f"{part}/{path.name}")


def taken(source: Path, folder: Path, world: str, author: str) -> tuple[Head, Branch]:
    """Brings a branch in from a file, as a new one of its importer.

    Args:
        folder: of all branches of the world.
        world: id of the world; a branch of another is refused.

    Raises:
        ValueError: the file is none, or damaged, or of another world; nothing stays of it.
    """
    branch_id = f"b-{secrets.token_hex(6)}"
    directory = folder / branch_id
    files = Files()
    try:
        files.make_directory(directory)
        with zipfile.ZipFile(source) as file:
            head = _head(file, world)
            _unpack(file, directory)
        at = Keyframes(directory / kept.BASE, files).positions()
        if len(at) != 1 or at[0] != Position.parse(head.at):
            raise ValueError("the world at its fork is not in it")
        head = dataclasses.replace(
            head, id=branch_id, author=author, parent="", is_shared=False,
            made_ns=time.time_ns(), has_base=True,
        )  # fmt: skip
        branch = Branch(directory, head, base_kept(directory))
        for path in directory.rglob("*"):
            if path.is_file():
                files.sync_file(path)
        for path in (p for p in directory.rglob("*") if p.is_dir()):
            files.sync_directory(path)
        files.sync_directory(directory)
        kept.write(directory / kept.HEAD, head)
    except (zipfile.BadZipFile, CorruptRecordError, KeyError, NotImplementedError) as error:
        shutil.rmtree(directory, ignore_errors=True)
        raise ValueError(f"this is no file of a branch, or it is damaged: {error}") from error
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return head, branch


def _head(file: zipfile.ZipFile, world: str) -> Head:
    names = file.infolist()
    if len(names) > FILES_MAX or sum(info.file_size for info in names) > EXPANDED_BYTES_MAX:
        raise ValueError(f"it holds more than {EXPANDED_BYTES_MAX >> 20} MiB or {FILES_MAX} files")
    for info in names:
        if not _NAMES.fullmatch(info.filename):
            raise ValueError(f"'{info.filename[:80]}' is no part of a branch")
    try:
        about = json.loads(file.read(ABOUT))
        head = msgspec.json.decode(file.read(kept.HEAD), type=Head)
        bytes.fromhex(head.record)
    except (ValueError, msgspec.MsgspecError) as error:
        raise ValueError(f"its head cannot be read: {error}") from error
    if about.get("version") != kept.VERSION or about.get("format") != "mirrorworld branch":
        raise ValueError("a newer version wrote it, or it is no branch")
    if about.get("world") != world:
        raise ValueError(f"it is a branch of the world '{about.get('world')}', not of '{world}'")
    return head


def _unpack(file: zipfile.ZipFile, directory: Path) -> None:
    """Writes the parts, each no longer than it says it is."""
    for info in file.infolist():
        if info.filename in (ABOUT, kept.HEAD):
            continue
        path = directory / info.filename
        path.parent.mkdir(exist_ok=True)
        with file.open(info) as part, path.open("wb") as out:
            left = info.file_size
            while chunk := part.read(1 << 20):
                left -= len(chunk)
                if left < 0:
                    raise ValueError(f"{info.filename} is longer than it says")
                out.write(chunk)
