"""Mirrorworld: a living mirror of a plant, kept as one ordered log of changes.

`mirrorworld.open(directory)` works on a world kept here, without a server;
`mirrorworld.connect(url)` works on one that a server shares. Both answer to the
same calls. `mirrorworld.flow(directory)` is the line of a world kept here, to be
run and varied. Nothing else is imported until it is used, so that
`import mirrorworld` costs no start-up time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirrorworld.at_rest import open_line as flow
    from mirrorworld.at_rest import open_world as open
    from mirrorworld.client import connect

    __version__: str

__all__ = ["__version__", "connect", "flow", "open"]


def __getattr__(name: str) -> Any:
    if name == "connect":
        from mirrorworld.client import connect

        return connect
    if name == "open":
        from mirrorworld.at_rest import open_world

        return open_world
    if name == "flow":
        from mirrorworld.at_rest import open_line

        return open_line
    if name == "__version__":
        from importlib.metadata import version

        return version("mirrorworld")
    raise AttributeError(f"module 'mirrorworld' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
