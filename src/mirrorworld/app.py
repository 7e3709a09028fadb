"""Puts the rooms together: a world's directory, its record, its sources, its page.

The only file besides the CLI that knows every room; each is imported when it is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import os
import signal
import webbrowser
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorworld import units
from mirrorworld.at_rest import make_directory, opened, unusable
from mirrorworld.care import service
from mirrorworld.installed import (
    DemoWorld,
    UsageError,
    connectors,
    demo_world,
    demo_worlds,
    examiners,
    finders,
    unspoken,
)
from mirrorworld.kept import (
    accounts_of,
    directory_of,
    is_name,
    mail_of,
    providers_of,
    remember,
    remembered,
)
from mirrorworld.live import sheets
from mirrorworld.live.guard import OWNER, RoleGuard, principal
from mirrorworld.live.mapper import Mapper
from mirrorworld.live.mirror import Mirror
from mirrorworld.live.notify import Notifier
from mirrorworld.live.sources import ConnectorClass, name_of, scheme_of
from mirrorworld.rules.engine import Engine
from mirrorworld.trust.accounts import THE_OWNER, Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from mirrorworld.world.changes import Change, Edits
from mirrorworld.world.model import LOCATED_IN, PART_OF, Scalar
from mirrorworld.world.ports import (
    Principal,
    Reach,
    SourceConfig,
    SourceError,
)
from mirrorworld.world.state import warm
from mirrorworld.world.world import World

if TYPE_CHECKING:
    from mirrorworld.connectors.zenoh_session import Place
    from mirrorworld.exchange.following import Follower
    from mirrorworld.people.shelf import Shelf
    from mirrorworld.server import Network

log = logging.getLogger(__name__)

FULL_LOOK_AFTER: Final = 50
"""After so many looks at what is younger the collector may look through everything: what edits
leave lasts too, and looking after every 10 took a fifth of the time of 150,000 of them."""
DEFAULT_PORT: Final = 7700
DEFAULT_HTTPS_PORT: Final = 7743
DEFAULT_WORLD: Final = "bottling_line"
WORLD_FILE: Final = "world.yaml"
NEW_WORLD: Final = "plant"
"""What a world is called that was started empty and without a name."""
FILE_OPTIONS: Final = ("devices", "map", "tls_ca", "tls_certificate", "tls_key")
"""Options of sources that name a file."""


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
    is_empty: bool = False
    """Make the world if there is none, even though no source is named."""
    host: str = ""
    """Address to serve others on, over TLS and with accounts; "": only this machine."""
    https_port: int = DEFAULT_HTTPS_PORT
    names: tuple[str, ...] = ()
    """Further names by which others reach it."""
    certificate: Path | None = None
    key: Path | None = None
    plain_port: int | None = None
    """Port of the plain door; None: the one after `https_port`; 0: there is none."""
    accounts: str = ""
    """Database of the accounts; else by `MIRRORWORLD_ACCOUNTS`, else a file of the world."""
    to: str = ""
    """Where the world is published as a site of ours, over Zenoh; "": nowhere."""
    site: str = ""
    """Its name there; else that of its identity."""
    identity: Path | None = None
    takes_commands: bool = False
    """Whether commands are taken from there, for what is armed here."""
    reach: str = ""
    """How far may be looked for more sources: off, here or network; else by
    `MIRRORWORLD_DISCOVERY`, else network."""


# --- what is around ---------------------------------------------------------------------------


def reach_of(said: str) -> Reach:
    """How far may be looked for sources, as it was said or as the environment says."""
    said = said or os.environ.get("MIRRORWORLD_DISCOVERY", "") or Reach.NETWORK.value
    try:
        return Reach(said)
    except ValueError:
        known = ", ".join(reach.value for reach in Reach)
        raise UsageError(f"--discovery {said}: give one of {known}") from None


async def look_around(
    mirror: Mirror, directory: Path, reach: Reach, ending: contextlib.AsyncExitStack
) -> None:
    """Lets what is around a world be noticed for as long as it is open."""
    from mirrorworld.live.discovered import Discovered

    mirror.around = Discovered(
        mirror,
        finders(),
        file=directory / "discovered.json",
        placing_file=directory / "placing.json",
        inbox=directory / "inbox",
        reach=reach,
    )
    mirror.around.start()
    ending.push_async_callback(mirror.around.stop)


def world_file_from(options: UpOptions) -> Path | None:
    """The `world.yaml` that the command line names, or the folder that it lies in."""
    found: list[Path] = []
    for url in options.urls:
        path = Path(url).expanduser()
        if "://" not in url and path.suffix in (".yaml", ".yml"):
            found.append(path)
        elif "://" not in url and (path / WORLD_FILE).is_file():
            found.append(path / WORLD_FILE)
    if len(found) > 1 or (found and len(options.urls) > 1):
        raise UsageError(f"{found[0]}: a world file stands alone; it names its sources itself")
    if found and not found[0].is_file():
        raise UsageError(f"{found[0]}: there is no such file; mirrorworld new world NAME makes one")
    return found[0].resolve() if found else None


def _follower(path: Path, directory: Path) -> Follower:
    from mirrorworld.exchange.following import Follower

    try:
        return Follower(path, directory)
    except ValueError as error:
        raise UsageError(str(error)) from error


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
            SourceConfig(url, name, _placed(options.options), options.username, options.password)
        )
    return configs


def _placed(options: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Options with files by their full path: the world may next be started from elsewhere."""
    placed = dict(options)
    for name in FILE_OPTIONS:
        value = placed.get(name)
        if isinstance(value, str) and value and Path(value).expanduser().is_file():
            placed[name] = str(Path(value).expanduser().resolve())
    return placed


def publishing(to: str, site: str, identity: Path | None) -> tuple[str, Place]:
    """(site, place) that a world is published as; UsageError says what to give."""
    try:
        from mirrorworld.plane.places import published
    except ImportError as error:
        raise UsageError(f"--to: {error}; pip install 'mirrorworld[zenoh]' brings it") from error
    try:
        return published(to, site, identity)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _identified(
    spoken: Mapping[str, ConnectorClass], directory: Path
) -> Mapping[str, ConnectorClass]:
    """The connectors with the world's own certificate, where one may be shown."""
    try:
        from mirrorworld.plane.places import identified
    except ImportError:
        return spoken
    return identified(spoken, directory / "authority")


def network_of(directory: Path, options: UpOptions) -> Network | None:
    """How others reach the world, with a certificate for it; None: they do not."""
    from mirrorworld.server import Network
    from mirrorworld.trust import authority

    if not options.host:
        return None
    if (options.certificate is None) != (options.key is None):
        raise UsageError("--certificate and --key go together")
    names = tuple(dict.fromkeys((*authority.own_names(options.host), *options.names)))

    def present() -> authority.Certificate:
        if options.certificate is not None and options.key is not None:
            return authority.given(options.certificate, options.key)
        return authority.certificate_for(directory / "authority", names)

    try:
        certificate = present()
    except ValueError as error:
        raise UsageError(str(error)) from error
    next_port = options.https_port + 1 if options.https_port < 65_535 else 0
    plain = next_port if options.plain_port is None else options.plain_port
    return Network(
        options.host, options.https_port, certificate, names, plain or None, renewed=present
    )


def _say_network(network: Network, accounts: Accounts, say: Callable[[str], None]) -> None:
    """Tells how others get in: the address, what to trust, and who is invited as the first."""
    import segno

    address = next(iter(network.addresses), f"https://127.0.0.1:{network.port}")
    say(f"others: {address}")
    if network.certificate.authority is not None:
        say(f"  its authority: {address}/api/authority.pem")
        say(f"  SHA-256 {network.certificate.fingerprint}")
        for plain in network.plain_addresses[:1]:
            say(f"  a phone or headset trusts it once; open there: {plain}")
    link = address
    if accounts.is_empty:
        link = f"{address}/welcome?invitation={accounts.invite(Grant('owner'), by='start')}"
        say("  nobody has an account yet; this link makes the first, an owner's, and works once:")
        say(f"  {link}")
    picture = io.StringIO()
    segno.make(link, error="l").terminal(picture, compact=True)
    say(picture.getvalue().rstrip())


def author_in(accounts: Accounts) -> Callable[[str], Principal | None]:
    """Gives who a person is now, by the name under which they once made a change; None: they may
    nothing here any more."""

    def author(by: str) -> Principal | None:
        if by == THE_OWNER:
            return principal(by, OWNER)
        grants = accounts.grants_of(by.partition("/")[0])
        roles = frozenset(grant.role for grant in grants if not grant.subtree)
        return Principal(by, roles) if grants else None

    return author


def wholes_in(world: World) -> Callable[[str], list[str]]:
    """Gives what a twin is part of, or stands in."""
    kinds = (PART_OF, LOCATED_IN)

    def wholes(twin: str) -> list[str]:
        return [r.target for r in world.structure.relations_from(twin) if r.kind in kinds]

    return wholes


async def up(options: UpOptions, say: Callable[[str], None]) -> None:
    """Opens a world, mirrors its sources and serves its page until it is told to stop.

    Raises:
        UsageError: it cannot start; the message says what to do.
    """
    from mirrorworld.branches import routes as branches
    from mirrorworld.branches.room import FOLDER, room_of
    from mirrorworld.exchange import routes as exchange
    from mirrorworld.operations import routes as operations
    from mirrorworld.operations.schedule import Scheduler
    from mirrorworld.operations.sheets import FORMS, READERS
    from mirrorworld.people import routes as people
    from mirrorworld.server import announced, serve, token_of
    from mirrorworld.simulation.flow import sheet as flow_sheet

    file = world_file_from(options)
    if file is not None:
        options = replace(options, urls=(), is_empty=True)
    sheets.READERS.update(READERS)
    sheets.FORMS.update(FORMS)
    sheets.READERS[flow_sheet.KIND] = flow_sheet.read
    given = sources_from(options)
    spoken = connectors()
    for config in given:
        if scheme_of(config.url) not in spoken:
            raise UsageError(unspoken(config.url, spoken))
    world_id = options.world or _kept_in(options.directory)
    if file is not None and not world_id:
        world_id = _name_in(file)
    unnamed = NEW_WORLD if options.is_empty else DEFAULT_WORLD
    world_id = world_id or (given[0].name if given else unnamed)
    demo = None
    if not given and not options.is_empty and world_id in demo_worlds():
        demo = demo_world(world_id, options.options)
    if not is_name(world_id):
        raise UsageError(f"'{world_id}' cannot name a world: letters, digits, '-', '_', '.' can")
    directory = options.directory or directory_of(world_id)
    if not given and demo is None and not (options.is_empty or (directory / "record").exists()):
        known = ", ".join(sorted(demo_worlds()))
        raise UsageError(
            f"{directory}: no such world; give the URL of a source to make it, --empty to make it"
            f" without one, or start one of {known}"
        )
    reach = reach_of(options.reach)
    published = publishing(options.to, options.site, options.identity) if options.to else None
    if options.takes_commands and not (published and published[1].is_tls):
        raise UsageError("--commands needs --to zenoh+tls://: only so is it known who asks")
    follower = None if file is None else _follower(file, directory)
    make_directory(directory)
    stop, ready = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    assets = directory / "assets"
    token = token_of(directory)
    network = network_of(directory, options)
    providers = providers_of(directory)
    mail = mail_of(directory)
    accounts = await asyncio.to_thread(accounts_of, directory, options.accounts)

    def on_ready(address: str) -> None:
        say(f"{world_id}: {address}/?token={token}")
        if options.opens_browser:
            webbrowser.open(f"{address}/?token={token}")
        ending.enter_context(announced(directory, address))
        if network is not None:
            _say_network(network, accounts, say)
        service.notify("READY=1")
        ready.set()

    await asyncio.to_thread(_warm)
    async with contextlib.AsyncExitStack() as ending:
        world, record = ending.enter_context(opened(directory, world_id))
        gc.freeze()  # what was opened lasts: the collector need not look through it again
        gc.set_threshold(*gc.get_threshold()[:2], FULL_LOOK_AFTER)
        ending.callback(accounts.close)
        guard = GrantGuard(RoleGuard(), accounts, wholes_in(world))
        mirror = Mirror(
            world,
            record,
            _identified(spoken, directory),
            guard=guard,
            models=(*(demo.models if demo else ()), Engine()),
            blobs=record.blobs,
        )
        mirror.state_dir = directory / "sources"
        await mirror.start()
        ending.push_async_callback(mirror.stop)
        room = room_of(mirror, directory / FOLDER)
        ending.push_async_callback(room.close)
        await room.start()
        followed: list[SourceConfig] | None = None
        if follower is not None:
            followed = await _follow(mirror, follower, directory, ending, say)
        if demo is not None:
            await asyncio.to_thread(demo.assets, assets)
        shelf = _shelf_of(directory)
        await asyncio.to_thread(shelf.mend)
        _in_background(ending, shelf.run())
        page = asyncio.create_task(
            serve(
                mirror,
                token=token,
                port=options.port,
                accounts=accounts,
                network=network,
                providers=providers,
                routers=[operations.router, exchange.router, branches.router, people.router],
                assets=assets,
                examiners=examiners(),
                on_ready=on_ready,
                stop=stop,
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
        known = remembered(directory) if followed is None else followed
        _add_sources(mirror, directory, plant, [*known, *given], say)
        await look_around(mirror, directory, reach, ending)
        mapper = Mapper(mirror, author_in(accounts), directory / "mapping.json")
        mapper.start()
        ending.push_async_callback(mapper.stop)
        _in_background(ending, _keep_watch(mirror))
        if published is not None:
            from mirrorworld.plane.publisher import Publisher

            road = mirror.road if options.takes_commands else None
            publisher = Publisher(mirror.pipeline, record, *published, road)
            _in_background(ending, publisher.run())
            say(f"site {publisher.site}: published at {publisher.place}")
        notifier = Notifier(world, mail, now_ns=mirror.now_ns)
        mirror.pipeline.listeners.append(notifier.listen)
        _in_background(ending, notifier.run())
        reports = Scheduler(directory, lambda: world.structure, mail, now_ns=mirror.now_ns)
        _in_background(ending, reports.run())
        await page
        service.notify("STOPPING=1")
        say("stopping")


def _shelf_of(directory: Path) -> Shelf:
    """The recordings of meetings of a world."""
    from mirrorworld.people.shelf import Shelf

    try:
        return Shelf.of_world(directory)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _name_in(file: Path) -> str:
    """What a world file calls its world; else the folder that it lies in does."""
    from mirrorworld.standards.world_yaml import read_file

    try:
        return read_file(file).world or file.parent.name
    except ValueError as error:
        raise UsageError(str(error)) from error


async def _follow(
    mirror: Mirror,
    follower: Follower,
    directory: Path,
    ending: contextlib.AsyncExitStack,
    say: Callable[[str], None],
) -> list[SourceConfig]:
    """Makes what has changed in a world file; returns the sources that the world then has."""
    who = principal(f"file {follower.path.name}", OWNER)
    is_known = follower.is_known
    kept = {config.name: config for config in remembered(directory)}
    named, gone = follower.sources(kept, say)
    try:
        found = await follower.start(mirror, who)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not is_known:
        say(f"{follower.path.name}: {len(found.steps)} changes")
    for place, why in found.lost:
        say(f"  not carried: {place}: {why}")
    _in_background(ending, follower.wait(mirror, who, mirror.pipeline.listeners))
    # A source that was removed on the page stays away until the file says something new.
    named = [config for config in named if not is_known or config.name in kept]
    kept |= {config.name: config for config in named}
    return [config for name, config in kept.items() if name not in gone]


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
        raise unusable(directory, error) from error


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


async def _keep_watch(mirror: Mirror) -> None:
    """Tells systemd that the loop turns and the record takes changes, if it wants to know."""
    period_s = service.watchdog_s()
    while period_s is not None and mirror.pipeline.failure is None:
        service.notify("WATCHDOG=1")
        await asyncio.sleep(period_s)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
