"""What an experiment leaves behind: a manifest and rows in Parquet, durable part by part.

    manifest.json          what was asked for: objective, space, seeds, versions
    designs.parquet        the designs, where they are no grid
    parts/000001.parquet   rows, as they came; a part with this name is whole and durable
    results.parquet        all rows by number, once the experiment is complete; then no parts

A row is acknowledged when its part is on the disk: written, fsynced, renamed, its folder fsynced.
One process at a time writes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.objective import Block, Status
from mirrorworld.simulation.experiments.space import Columns

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

METADATA: Final = b"mirrorworld.experiment"
STATUS: Final = pa.array([status.name.lower() for status in Status])


class StoreError(ValueError):
    """A folder cannot be used for an experiment; the message names it."""


class Store:
    """The rows of one experiment, in a folder or, with None, in memory only.

    Raises:
        StoreError: the folder holds another experiment, or another process writes to it.
    """

    def __init__(self, folder: Path | None, manifest: Mapping[str, Any]) -> None:
        # As it is read back: a tuple is a list there.
        self.folder, self.manifest = folder, json.loads(json.dumps(manifest))
        self._waiting: list[pa.Table] = []
        self._tables: list[pa.Table] = []
        self._lock: int | None = None
        self._part = 0
        self.is_complete = False
        if folder is None:
            return
        parts = folder / "parts"
        parts.mkdir(parents=True, exist_ok=True)
        sync_directory(folder.parent)
        self._take(folder)
        path = folder / "manifest.json"
        if path.exists():
            kept = read_manifest(folder)
            if _what(kept) != _what(self.manifest):
                self.close()
                raise StoreError(
                    f"{folder} holds another experiment; resume that, or name another folder"
                )
            self.manifest = kept
        else:
            if any(parts.iterdir()) or (folder / "results.parquet").exists():
                self.close()
                raise StoreError(f"{folder} has rows and no manifest; name another folder")
            durable(path, json.dumps(self.manifest, indent=1, ensure_ascii=False).encode())
        if (folder / "results.parquet").exists():
            self._tables = [pq.read_table(folder / "results.parquet")]
            self.is_complete = True
            return
        for file in sorted(parts.glob("*.parquet")):
            self._tables.append(pq.read_table(file))
            self._part = int(file.stem)

    @property
    def done(self) -> NDArray[np.int64]:
        """Numbers of the designs whose rows are durable."""
        if not self._tables:
            return np.empty(0, np.int64)
        return np.concatenate([np.asarray(t["design"]) for t in self._tables])

    def add(self, rows: pa.Table) -> None:
        """Takes rows; `commit` makes them durable."""
        self._waiting.append(rows)

    def commit(self) -> int:
        """Makes durable what was added; returns how many rows."""
        if not self._waiting:
            return 0
        table = joined(self._waiting)
        self._waiting = []
        if self.folder is not None:
            self._part += 1
            write_table(self.folder / "parts" / f"{self._part:06}.parquet", self._marked(table))
        self._tables.append(table)
        return len(table)

    def table(self) -> pa.Table:
        """All durable rows, by number."""
        if not self._tables:
            return self._marked(pa.table({"design": pa.array([], pa.int64())}))
        if len(self._tables) > 1 or not self.is_complete:
            self._tables = [joined(self._tables).sort_by("design")]
        return self._marked(self._tables[0])

    def complete(self) -> None:
        """Says that no rows will come: they become one file, and the parts go."""
        self.commit()
        table = self.table()
        self.is_complete = True
        if self.folder is not None:
            write_table(self.folder / "results.parquet", table)
            for file in (self.folder / "parts").glob("*.parquet"):
                file.unlink()

    def close(self) -> None:
        """Lets others write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.commit()  # whatever happened: these rows are whole
        finally:
            self.close()

    def _marked(self, table: pa.Table) -> pa.Table:
        text = json.dumps(self.manifest, ensure_ascii=False).encode()
        return table.replace_schema_metadata({METADATA: text})

    def _take(self, folder: Path) -> None:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                raise StoreError(f"{folder}: another process writes to it; wait for it") from None
        self._lock = descriptor


def rows(
    block: Block, columns: Columns, seed: NDArray[np.uint64] | int, replications: int
) -> pa.Table:
    """A block as rows: number, factors, seed, how it ended, and the figures.

    A figure is its mean over replications; beside it `_sd`, their standard deviation, and `_each`,
    all of them, where there are several. It is null where the design came to no figures.
    """
    n = len(block.number)
    made: dict[str, Any] = {"design": pa.array(block.number)}
    for name, column in columns.items():
        made[name] = pa.array(column)
    made["seed"] = pa.array(np.full(n, seed, np.uint64) if isinstance(seed, int) else seed)
    made["replications"] = pa.array(np.full(n, replications, np.int32))
    made["status"] = pa.DictionaryArray.from_arrays(pa.array(block.status), STATUS)
    made["detail"] = pa.array([block.detail.get(row) for row in range(n)], pa.string())
    has = (block.status == Status.OK) | (block.status == Status.NOT_FINITE)
    for name, values in block.figures.items():
        with np.errstate(all="ignore"):
            made[name] = pa.array(values.mean(axis=1), mask=~has)
            if values.shape[1] > 1:
                made[f"{name}_sd"] = pa.array(values.std(axis=1, ddof=1), mask=~has)
                offsets = np.arange(n + 1, dtype=np.int32) * values.shape[1]
                each = pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))
                made[f"{name}_each"] = each
    return pa.table(made)


def joined(tables: list[pa.Table]) -> pa.Table:
    """Rows below each other; figures that some have not are null there. Of one type each, however
    many tables there are: a run that was cut short has the columns of a whole one."""
    plain = [
        table.set_column(
            table.column_names.index("status"), "status", table["status"].cast(pa.string())
        )
        for table in tables
    ]
    table = pa.concat_tables(plain, promote_options="default").combine_chunks()
    at = table.column_names.index("status")
    return table.set_column(at, "status", table["status"].dictionary_encode())


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a folder's experiment was asked for.

    Raises:
        StoreError: it holds none.
    """
    try:
        found = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder} holds no experiment: {error}") from None
    if not isinstance(found, dict):
        raise StoreError(f"{folder}: its manifest is none")
    return found


def write_table(path: Path, table: pa.Table) -> None:
    """Writes a Parquet file that is there whole and durable, or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    durable(path, sink.getvalue())


def durable(path: Path, data: bytes | pa.Buffer) -> None:
    """Writes a file that is there whole and durable, or not at all."""
    new = path.with_name(path.name + ".new")
    with open(new, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes the names in a folder durable."""
    with contextlib.suppress(PermissionError):  # Windows opens no folders
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _what(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What makes it this experiment; not when and by which versions."""
    return {k: v for k, v in manifest.items() if k not in ("versions", "started")}
