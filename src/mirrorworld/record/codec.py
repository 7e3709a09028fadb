"""Which loops the frame codec runs: compiled ones where numba is installed, else NumPy ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

from mirrorworld.record import compiled, compiled_reading, vectorised

_NAMES: Final = (
    *("settle", "residuals", "cost", "scale", "split"),
    *("join", "handles", "pick", "restore", "advance", "remode", "latest", "known"),
)

PLAIN: Final[Any] = vectorised
CODEC: Final[Any] = (
    SimpleNamespace(
        **{
            name: getattr(compiled, name, None) or getattr(compiled_reading, name)
            for name in _NAMES
        }
    )
    if compiled.HAS_NUMBA
    else PLAIN
)
"""What the record uses."""
