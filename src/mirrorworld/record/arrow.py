"""pyarrow, imported when it is first used.

A log that is written, replayed and read in order needs none of it, and it takes half the memory of
an edge that does only that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
else:

    class _Later:
        """A module that is imported when something of it is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(importlib.import_module(self._name), attribute)

    pa = _Later("pyarrow")
    pq = _Later("pyarrow.parquet")

__all__ = ["pa", "pq"]
