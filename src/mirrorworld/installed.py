"""What third parties add, and what comes with the package by the same doors: connectors, finders,
formats and worlds, each behind an entry-point group and loaded when it is wanted.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mirrorworld import attachments
from mirrorworld.live.sources import ConnectorClass, scheme_of
from mirrorworld.world.changes import Edits
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import Finder, Format, Model, SourceConfig
from mirrorworld.world.world import World

log = logging.getLogger(__name__)


class UsageError(Exception):
    """What was asked for cannot be done; the message names the place and the mend."""


class DemoWorld(Protocol):
    """A world that comes as a package behind the entry-point group `mirrorworld.worlds`.

    It brings its own plant as processes, and what people would have authored about it. Its module's
    `make` gives it; what that takes by keyword can be set with `--option`.
    """

    name: str
    models: Sequence[Model]

    async def start(self, directory: Path) -> Sequence[SourceConfig]:
        """Starts the plant; returns how to reach it. Every file goes below the directory."""
        ...

    def edits(self, world: World) -> Edits | None:
        """What is authored over what the sources declared; None while they have not yet."""
        ...

    def assets(self, directory: Path) -> Mapping[str, Path]:
        """Geometry by name, made below the directory where it is not there yet."""
        ...

    async def stop(self) -> None:
        """Ends the plant's processes."""
        ...


def connectors() -> dict[str, ConnectorClass]:
    """URL scheme -> connector class, of all that are installed.

    One whose library is not installed is left out: it must not keep others away. `unspoken` says
    so to who asks for it.
    """
    found: dict[str, ConnectorClass] = {}
    for entry in importlib.metadata.entry_points(group="mirrorworld.connectors"):
        try:
            connector: Any = entry.load()
        except ImportError as error:
            log.info("connector %s is left out: %s", entry.name, error)
            continue
        found.update(dict.fromkeys(connector.schemes, connector))
    return found


def unspoken(url: str, spoken: Iterable[str]) -> str:
    """Why a URL's scheme is not served here, and what brings it."""
    scheme = scheme_of(url)
    for entry in importlib.metadata.entry_points(group="mirrorworld.connectors"):
        if entry.name == scheme.split("+")[0].rstrip("s") or entry.name == scheme:
            try:
                entry.load()
            except ImportError as error:
                return (
                    f"{url}: connector {entry.name} needs more than is installed ({error});"
                    " pip install 'mirrorworld[plant]' brings it"
                )
    return f"{url}: nothing here speaks '{scheme}'; known are {', '.join(sorted(spoken))}"


def finders() -> list[Finder]:
    """What notices things around, of all that are installed."""
    found: list[Finder] = []
    for entry in importlib.metadata.entry_points(group="mirrorworld.finders"):
        try:
            found.append(entry.load()())
        except ImportError as error:
            log.info("finder %s is left out: %s", entry.name, error)
    return found


def formats() -> dict[str, Format]:
    """File suffix -> format, of all that are installed."""
    found: dict[str, Format] = {}
    for entry in importlib.metadata.entry_points(group="mirrorworld.formats"):
        format_: Format = entry.load()()
        found.update(dict.fromkeys(format_.suffixes, format_))
    return found


def examiners() -> dict[str, Callable[[Path], object]]:
    """What looks into files that people attach, by media type."""
    from mirrorworld.standards import gltf

    return dict.fromkeys(attachments.MODELS, gltf.check)


def format_of(path: Path) -> Format:
    """The format of a file by its name; UsageError names the suffixes there are."""
    known = formats()
    for suffix in sorted(known, key=len, reverse=True):
        if path.name.endswith(suffix):
            return known[suffix]
    raise UsageError(f"{path}: no format has this suffix; known are {', '.join(sorted(known))}")


def demo_worlds() -> dict[str, importlib.metadata.EntryPoint]:
    """The worlds that are installed, by name."""
    entries = importlib.metadata.entry_points(group="mirrorworld.worlds")
    return {entry.name: entry for entry in entries}


def demo_world(name: str, options: Mapping[str, Scalar] | None = None) -> DemoWorld:
    """The installed world of that name, ready to start.

    Args:
        options: what its `make` takes; a number or a text as its default is.
    """
    entries = demo_worlds()
    if name not in entries:
        raise UsageError(f"no world '{name}' is installed; there are {', '.join(sorted(entries))}")
    try:
        module: Any = entries[name].load()
    except ImportError as error:
        raise UsageError(
            f"world {name} needs more than is installed ({error});"
            " pip install 'mirrorworld[demo]' brings it"
        ) from error
    known = inspect.signature(module.make).parameters
    for key, value in (options or {}).items():
        if key not in known:
            has = ", ".join(known) or "none"
            raise UsageError(f"--option {key}: world {name} has no such option; it has {has}")
        if isinstance(value, str) != isinstance(known[key].default, str):
            raise UsageError(
                f"--option {key}={value}: world {name} wants something like {known[key].default}"
            )
    try:
        return module.make(**(options or {}))
    except ValueError as error:
        raise UsageError(f"world {name}: {error}") from error
