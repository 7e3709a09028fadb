"""A world that nobody serves: opened, brought in from a file, written to one; its line.

What it says is what was committed last; for reading it may be served elsewhere meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirrorworld.installed import UsageError, examiners, format_of
from mirrorworld.kept import directory_of, remembered
from mirrorworld.world.changes import Change, Origin, OriginKind, Writing
from mirrorworld.world.ports import Carried
from mirrorworld.world.world import World

if TYPE_CHECKING:
    import pyarrow as pa

    from mirrorworld.client import World as LocalWorld
    from mirrorworld.record import Store
    from mirrorworld.simulation.flow.notebook import Line
    from mirrorworld.standards.world_yaml import WorldText

log = logging.getLogger(__name__)


@contextlib.contextmanager
def opened(directory: Path, world_id: str) -> Iterator[tuple[World, Store]]:
    """A world and its record, open for writing; closed again if what follows fails."""
    with _record(directory, world_id) as record:
        for report in record.reports:
            log.warning("%s", report)
        yield _restored(record), record


@contextlib.contextmanager
def _record(directory: Path, world_id: str = "", *, read_only: bool = False) -> Iterator[Store]:
    """The record of a world; UsageError if it cannot be opened, with what to do."""
    from mirrorworld import record as room

    try:
        record = room.open_record(directory / "record", world_id, read_only=read_only)
    except (room.UnknownWorldError, room.WorldInUseError, room.CorruptRecordError) as error:
        raise UsageError(str(error)) from error
    try:
        yield record
    finally:
        record.close()


def _restored(record: Store) -> World:
    from mirrorworld.record import CorruptRecordError, restore

    try:
        return restore(record)
    except CorruptRecordError as error:
        raise UsageError(str(error)) from error


def export_world(directory: Path, path: Path) -> Carried:
    """Writes a world's structure to a file; the world may be running."""
    from mirrorworld.exchange import photos
    from mirrorworld.standards.world_yaml import WorldYaml

    format_ = format_of(path)
    with _record(directory, read_only=True) as record:
        world = _restored(record)
        if isinstance(format_, WorldYaml):
            photo = photos.reader(record.blobs)
            return format_.export_with(world, path, remembered(directory), photo)
        return format_.export(world, path)


def import_world(path: Path, directory: Path, world_id: str, *, with_arms: bool = False) -> Carried:
    """Brings a file's content into a world that is not running, as one authored change; makes
    the world where there is none.

    Args:
        with_arms: also what the file arms, if it is a `world.yaml`.
    """
    from mirrorworld.exchange import photos
    from mirrorworld.exchange.planning import taken
    from mirrorworld.standards.world_yaml import WorldYaml, read_file

    format_ = format_of(path)
    is_yaml = isinstance(format_, WorldYaml)
    edits, carried = format_.import_(path)  # refused before a world is made of it
    make_directory(directory)
    with opened(directory, world_id) as (world, record):
        text: WorldText | None = None
        if is_yaml:
            edits, carried = taken(path, world, with_arms=with_arms)
            text = read_file(path)
        for body in (edits, *(text.written.values() if text else ())):
            if isinstance(body, Writing):
                if text is None or body.twin not in world.structure.twins:
                    continue
                lost = photos.keep(record.blobs, text, body)
                carried = replace(carried, lost=(*carried.lost, *lost))
            change = Change(body, Origin(OriginKind.AUTHORED, "import"), time.time_ns())
            applied = world.apply(change).change
            if applied is not None:
                record.append(applied)
        record.commit()
    return carried


def open_world(
    directory: str | os.PathLike[str], *, writable: bool = False, create: bool = False
) -> LocalWorld:
    """A world kept in a directory, without a server.

    For reading it may be served elsewhere at the same time; what comes later is not seen until it
    is opened again. It answers to the same calls as `mirrorworld.connect`, see
    `mirrorworld.client.World`.

    Args:
        directory: the world's, or the name of one below `$MIRRORWORLD_HOME/worlds`.
        writable: for edits; then nobody else may have it open.
        create: make an empty world where there is none (and open it for edits).

    Raises:
        NotFoundError: there is no world there.
        NotAllowedError: it is open for writing elsewhere; connect to it instead.
    """
    from mirrorworld.client import LocalAccess, NotAllowedError, NotFoundError
    from mirrorworld.client import World as ClientWorld
    from mirrorworld.protocol.places import address_of
    from mirrorworld.protocol.rest import Problem
    from mirrorworld.record import UnknownWorldError, WorldInUseError, open_record
    from mirrorworld.record.store import restore

    path = _place_of(directory)
    writable = writable or create
    if create:
        make_directory(path)
    name = path.resolve().name if create and not (path / "record").exists() else ""
    try:
        record = open_record(path / "record", name, create=create, read_only=not writable)
    except UnknownWorldError as error:
        raise NotFoundError(Problem(str(error), str(path))) from error
    except WorldInUseError as error:
        address = address_of(path)
        mend = f"mirrorworld.connect('{address}') works on it" if address else ""
        raise NotAllowedError(Problem(str(error), str(path), mend)) from error
    try:
        world = restore(record)
    except BaseException:
        record.close()
        raise
    access = LocalAccess(
        world,
        record,
        str(path),
        is_writable=writable,
        sql=_sql_of(path / "record"),
        save=_save,
        blobs=record.blobs,
        examiners=examiners(),
        routes=_Later(world, record, path) if writable else None,
    )
    return ClientWorld(access)


def open_line(directory: str | os.PathLike[str]) -> Line:
    """The line that a kept world's twins make, to be run and varied; the world may be served
    meanwhile.

    Args:
        directory: the world's, or the name of one below `$MIRRORWORLD_HOME/worlds`.

    Raises:
        NotFoundError: there is no world there.
        ValueError: it makes no line; the message says where, and the mend.
    """
    from mirrorworld.client import NotFoundError
    from mirrorworld.protocol.rest import Problem
    from mirrorworld.record import UnknownWorldError, open_record
    from mirrorworld.record.store import restore
    from mirrorworld.simulation.flow.notebook import Line

    path = _place_of(directory)
    try:
        with open_record(path / "record", create=False, read_only=True) as record:
            return Line(restore(record))
    except UnknownWorldError as error:
        raise NotFoundError(Problem(str(error), str(path))) from error


def _place_of(directory: str | os.PathLike[str]) -> Path:
    """The directory that is meant, by its path or by a world's name."""
    path = Path(directory)
    if not path.exists() and len(path.parts) == 1 and directory_of(path.name).exists():
        return directory_of(path.name)
    return path


class _Later:
    """Answers for the branches of a world that is open here; nothing is made for it before."""

    def __init__(self, *of: Any) -> None:
        self._of = of
        self._alone: Any = None

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """See `branches.alone.Alone`."""
        if self._alone is None:
            from mirrorworld.branches.alone import Alone

            self._alone = Alone(*self._of)
        return self._alone.ask(method, path, **more)

    def close(self) -> None:
        """Stops what runs."""
        if self._alone is not None:
            self._alone.close()


def _sql_of(record: Path) -> Callable[[str, int, float], tuple[pa.Table, bool]]:
    """How a world that is open here answers SQL: as everywhere, in a process of its own."""

    def ask(query: str, rows: int, time_s: float) -> tuple[pa.Table, bool]:
        from mirrorworld.operations import sql

        found = sql.query(record, query, limits=sql.Limits(time_s=time_s, rows=rows))
        return found.table, found.is_cut

    return ask


def _save(*what: Any) -> None:
    from mirrorworld.operations import history_files

    history_files.write(*what)


def make_directory(directory: Path) -> None:
    """Makes the directory, its owner's alone; one that cannot be used is said by name."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("sources", "assets", "inbox"):
            (directory / name).mkdir(exist_ok=True)
    except OSError as error:
        raise unusable(directory, error) from error


def unusable(directory: Path | None, error: OSError) -> UsageError:
    """What is said of a directory that cannot be used, and the mend."""
    return UsageError(f"{directory}: {error.strerror}; choose another with --dir")
