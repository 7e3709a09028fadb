"""Rows of an experiment, read back: as Arrow, as pandas, as columns, and what did not come out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.space import RESERVED, Space
from mirrorworld.simulation.experiments.store import METADATA, joined, read_manifest


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """The rows by number of design, and what they were asked for."""

    table: pa.Table
    manifest: Mapping[str, Any]
    is_complete: bool

    @property
    def space(self) -> Space:
        """What the designs are designs of."""
        return Space.from_plain(self.manifest["space"])

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the figures, without their deviations."""
        others = RESERVED | set(self.space.names)
        names = [name for name in self.table.column_names if name not in others]
        return tuple(
            name
            for name in names
            if not any(
                name.endswith(end) and name.removesuffix(end) in names for end in ("_sd", "_each")
            )
        )

    def column(self, name: str) -> NDArray[Any]:
        """One column; NaN where a figure is none.

        Raises:
            KeyError: there is none; the message lists what there is.
        """
        if name not in self.table.column_names:
            known = ", ".join(self.figures) or "none: no design came to a figure"
            raise KeyError(f"there is no figure '{name}'; there are {known}")
        column = self.table[name]
        if pa.types.is_floating(column.type):
            return column.fill_null(np.nan).to_numpy()
        found = column.to_numpy()
        return found.astype(np.str_) if found.dtype == object else found

    def counts(self) -> dict[str, int]:
        """How many designs ended how."""
        if "status" not in self.table.column_names:
            return {}
        return dict(Counter(self.table["status"].cast(pa.string()).to_pylist()))

    def bad(self) -> pa.Table:
        """The rows that are not ok; `detail` says why."""
        if "status" not in self.table.column_names:
            return self.table
        is_bad = self.column("status") != "ok"
        return self.table.filter(pa.array(is_bad))

    def to_pandas(self) -> Any:
        """As a pandas DataFrame (extra `pandas`)."""
        return self.table.to_pandas()


def read(path: Path) -> Results:
    """The rows of a folder, whole or not yet, or of its `results.parquet` moved elsewhere.

    Raises:
        StoreError: it holds no experiment.
    """
    if path.is_file():
        table = pq.read_table(path)
        manifest = json.loads((table.schema.metadata or {}).get(METADATA, b"{}"))
        return Results(table, manifest, is_complete=True)
    manifest = read_manifest(path)
    whole = path / "results.parquet"
    if whole.exists():
        return Results(pq.read_table(whole), manifest, is_complete=True)
    parts = [pq.read_table(part) for part in sorted((path / "parts").glob("*.parquet"))]
    table = (
        joined(parts).sort_by("design") if parts else pa.table({"design": pa.array([], "int64")})
    )
    return Results(table, manifest, is_complete=False)
