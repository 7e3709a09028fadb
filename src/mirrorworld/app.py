"""Puts the rooms together: a world's directory, its record, its sources, its page.

The only file besides the CLI that knows every room; each is imported when it is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import inspect
import json
import logging
import os
import re
import signal
import time
import webbrowser
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from mirrorworld import units
from mirrorworld.live.guard import OWNER, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.live.sources import ConnectorClass, name_of, scheme_of
from mirrorworld.protocol.places import home
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import Carried, Format, Model, SourceConfig, SourceError
from mirrorworld.world.state import warm
from mirrorworld.world.world import World

if TYPE_CHECKING:
    from mirrorworld.client import World as LocalWorld
    from mirrorworld.record import Store

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 7700
DEFAULT_WORLD: Final = "bottling_line"


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


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `mirrorworld up` was told."""

    urls: tuple[str, ...] = ()
    world: str = ""
    directory: Path | None = None
    port: int = DEFAULT_PORT
    opens_browser: bool = True
    name: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])


def directory_of(world: str) -> Path:
    """The directory of a world by name."""
    return home() / "worlds" / world


# --- what is behind the doors ----------------------------------------------------------------


def connectors() -> dict[str, ConnectorClass]:
    """URL scheme -> connector class, of all that are installed.

    One that cannot be imported is left out and said in the log: it must not keep others away.
    """
    found: dict[str, ConnectorClass] = {}
    for entry in importlib.metadata.entry_points(group="mirrorworld.connectors"):
        try:
            connector: Any = entry.load()
        except ImportError as error:
            log.warning("connector %s is left out: %s", entry.name, error)
            continue
        found.update(dict.fromkeys(connector.schemes, connector))
    return found


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


# --- one world, open -------------------------------------------------------------------------


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


def formats() -> dict[str, Format]:
    """File suffix -> format, of all that are installed."""
    found: dict[str, Format] = {}
    for entry in importlib.metadata.entry_points(group="mirrorworld.formats"):
        format_: Format = entry.load()()
        found.update(dict.fromkeys(format_.suffixes, format_))
    return found


def format_of(path: Path) -> Format:
    """The format of a file by its name; UsageError names the suffixes there are."""
    known = formats()
    for suffix in sorted(known, key=len, reverse=True):
        if path.name.endswith(suffix):
            return known[suffix]
    raise UsageError(f"{path}: no format has this suffix; known are {', '.join(sorted(known))}")


def export_world(directory: Path, path: Path) -> Carried:
    """Writes a world's structure to a file; the world may be running."""
    format_ = format_of(path)
    with _record(directory, read_only=True) as record:
        return format_.export(_restored(record), path)


def import_world(path: Path, directory: Path, world_id: str) -> Carried:
    """Brings a file's content into a world that is not running, as one authored change; makes
    the world where there is none."""
    edits, carried = format_of(path).import_(path)
    _make(directory)
    with opened(directory, world_id) as (world, record):
        change = Change(edits, Origin(OriginKind.AUTHORED, "import"), time.time_ns())
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

    path = Path(directory)
    writable = writable or create
    if not path.exists() and len(path.parts) == 1 and directory_of(path.name).exists():
        path = directory_of(path.name)
    if create:
        _make(path)
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
    return ClientWorld(LocalAccess(world, record, str(path), is_writable=writable))


def remembered(directory: Path) -> list[SourceConfig]:
    """The sources that were added to a world before."""
    path = directory / "sources.json"
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text())
        return [SourceConfig(**row) for row in rows]
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: {error}; mend it or move it away") from error


def remember(directory: Path, configs: Sequence[SourceConfig]) -> None:
    """Keeps the sources of a world. The file is its owner's alone: passwords stand in it."""
    rows = [{k: v for k, v in asdict(c).items() if k != "state_dir" and v} for c in configs]
    path = directory / "sources.json"
    new = path.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(rows, file, indent=1)
    new.replace(path)


def sources_from(options: UpOptions) -> list[SourceConfig]:
    """The sources that the command line names."""
    taken: set[str] = set()
    configs: list[SourceConfig] = []
    for url in options.urls:
        if options.name and len(options.urls) > 1:
            raise UsageError("--name names one source; there are several URLs")
        name = options.name or name_of(url, frozenset(taken))
        taken.add(name)
        if scheme_of(url) == "file" and "://" not in url:
            path = Path(url).expanduser().resolve()
            if not path.exists():
                raise UsageError(f"{path}: there is no such file; a server's address has a '://'")
            url = str(path)
        configs.append(
            SourceConfig(url, name, dict(options.options), options.username, options.password)
        )
    return configs


async def up(options: UpOptions, say: Callable[[str], None]) -> None:
    """Opens a world, mirrors its sources and serves its page until it is told to stop.

    Raises:
        UsageError: it cannot start; the message says what to do.
    """
    from mirrorworld.server import announced, serve, token_of

    given = sources_from(options)
    spoken = connectors()
    for config in given:
        if scheme_of(config.url) not in spoken:
            raise UsageError(
                f"{config.url}: nothing here speaks '{scheme_of(config.url)}'; known are"
                f" {', '.join(sorted(spoken))}"
            )
    world_id = options.world or _kept_in(options.directory)
    world_id = world_id or (given[0].name if given else DEFAULT_WORLD)
    demo = None
    if not given and world_id in demo_worlds():
        demo = demo_world(world_id, options.options)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", world_id):
        raise UsageError(f"'{world_id}' cannot name a world: letters, digits, '-', '_', '.' can")
    directory = options.directory or directory_of(world_id)
    if not given and demo is None and not (directory / "record").exists():
        known = ", ".join(sorted(demo_worlds()))
        raise UsageError(
            f"{directory}: no such world; give the URL of a source to make it, or start one of"
            f" {known}"
        )
    _make(directory)
    stop, ready = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    assets = directory / "assets"
    token = token_of(directory)

    def on_ready(address: str) -> None:
        say(f"{world_id}: {address}/?token={token}")
        if options.opens_browser:
            webbrowser.open(f"{address}/?token={token}")
        ending.enter_context(announced(directory, address))
        ready.set()

    await asyncio.to_thread(_warm)
    async with contextlib.AsyncExitStack() as ending:
        world, record = ending.enter_context(opened(directory, world_id))
        gc.freeze()  # what was opened lasts: the collector need not look through it again
        mirror = Mirror(world, record, spoken, models=demo.models if demo else ())
        mirror.state_dir = directory / "sources"
        await mirror.start()
        ending.push_async_callback(mirror.stop)
        if demo is not None:
            await asyncio.to_thread(demo.assets, assets)
        page = asyncio.create_task(
            serve(
                mirror, token=token, port=options.port, assets=assets, on_ready=on_ready, stop=stop
            )
        )
        ending.push_async_callback(_cancel, page)
        is_ready = asyncio.create_task(ready.wait())
        await asyncio.wait({page, is_ready}, return_when=asyncio.FIRST_COMPLETED)
        if page.done():
            is_ready.cancel()
            page.result()  # raises why it could not serve
        plant: Sequence[SourceConfig] = ()
        if demo is not None:
            ending.push_async_callback(demo.stop)
            plant = await demo.start(directory / "plant")
            _in_background(ending, _author(mirror, demo))
        _add_sources(mirror, directory, plant, [*remembered(directory), *given], say)
        await page
        say("stopping")


def _warm() -> None:
    """Does beforehand what would make the loop wait later: compiling, and reading the UCUM
    grammar."""
    warm()
    units.parse("Cel")


def _kept_in(directory: Path | None) -> str:
    """The name of the world that is kept in a directory; "" if none is."""
    from mirrorworld.record import CorruptRecordError, world_in

    try:
        return "" if directory is None else world_in(directory / "record")
    except CorruptRecordError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise _unusable(directory, error) from error


def _in_background(ending: contextlib.AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Runs something beside the rest; how it fails is in the log, and it ends with the rest."""
    task = asyncio.create_task(work)

    def ended(done: asyncio.Task[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            log.error("%s failed", work.__qualname__, exc_info=error)

    task.add_done_callback(ended)
    ending.push_async_callback(_cancel, task)


def _add_sources(
    mirror: Mirror,
    directory: Path,
    plant: Sequence[SourceConfig],
    configs: Sequence[SourceConfig],
    say: Callable[[str], None],
) -> None:
    """Starts the sources, and remembers those that people added (not a demo's own plant, whose
    ports change)."""
    own = {config.name for config in plant}
    latest = {config.name: config for config in (*configs, *plant)}
    for config in latest.values():
        try:
            mirror.feeds.add(mirror.named(config))
        except SourceError as error:
            say(f"source {config.name}: {error}")

    def keep() -> None:
        remember(directory, [s.config for s in mirror.feeds if s.name not in own])

    keep()
    mirror.on_sources = keep


async def _author(mirror: Mirror, demo: DemoWorld) -> None:
    """Makes a demo world's authored edits once its sources have declared what they are about."""
    grown = asyncio.Event()
    grown.set()

    def listen(change: Change) -> None:
        if isinstance(change.body, Edits):
            grown.set()

    mirror.pipeline.listeners.append(listen)
    try:
        while True:
            await grown.wait()
            grown.clear()
            edits = demo.edits(mirror.world)
            if edits is not None:
                await mirror.edit(principal(f"world {demo.name}", OWNER), edits)
                return
    finally:
        mirror.pipeline.listeners.remove(listen)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _make(directory: Path) -> None:
    """Makes the directory, its owner's alone; one that cannot be used is said by name."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("sources", "assets"):
            (directory / name).mkdir(exist_ok=True)
    except OSError as error:
        raise _unusable(directory, error) from error


def _unusable(directory: Path | None, error: OSError) -> UsageError:
    return UsageError(f"{directory}: {error.strerror}; choose another with --dir")
