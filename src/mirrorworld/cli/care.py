"""Commands that keep a world well: backup, restore, archive, upgrade, doctor, service."""

from __future__ import annotations

import datetime
import getpass
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from mirrorworld import __version__
from mirrorworld.care.backup import Backup, BackupError, back_up, check_backup, restore_backup
from mirrorworld.care.health import Check, SourceSeen, Standing, examine_world
from mirrorworld.care.service import unit
from mirrorworld.cli.commands import app, err, fail, out
from mirrorworld.installed import UsageError, connectors, demo_worlds
from mirrorworld.kept import accounts_place, directory_of, is_name, remembered
from mirrorworld.protocol.places import home

World = Annotated[str, typer.Argument(help="Name of the world.")]
Directory = Annotated[
    Path | None, typer.Option("--dir", help="Where the world is kept; else by its name.")
]

MARKS = {
    Standing.GOOD: "[green]ok  [/]",
    Standing.WARNING: "[yellow]look[/]",
    Standing.BAD: "[red]BAD [/]",
}


@app.command()
def backup(
    world: World,
    path: Annotated[
        Path | None, typer.Argument(help="The file to make; else WORLD-TIME.tar here.")
    ] = None,
    with_keys: Annotated[
        bool, typer.Option(help="Keys too: whoever reads the file can then act as the world.")
    ] = False,
    directory: Directory = None,
) -> None:
    """Write a world, running or not, into one file, and check what was written."""
    made = datetime.datetime.now().astimezone()
    path = path or Path(f"{world}-{made:%Y%m%d-%H%M%S}.tar")
    try:
        with _Bar("backing up") as step:
            done = back_up(
                directory or directory_of(world),
                path,
                with_keys=with_keys,
                version=__version__,
                progress=step,
            )
    except BackupError as error:
        fail(str(error))
    out.print(f"{escape(str(path))}: {_said(done)}", highlight=False, soft_wrap=True)
    if not with_keys:
        text = "without keys: stored passwords are to be given again where it is restored"
        err.print(f"{text} (--with-keys takes them along)", highlight=False, soft_wrap=True)


@app.command()
def restore(
    path: Annotated[Path, typer.Argument(help="A file that `mirrorworld backup` made.")],
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where to; else by the world's name.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only check the file.")] = False,
) -> None:
    """Make a world again from a backup; a world that is there is never touched."""
    try:
        held = check_backup(path)
        if check:
            out.print(f"{escape(str(path))}: whole; {_said(held)}", highlight=False, soft_wrap=True)
            return
        target = directory or directory_of(held.world)
        with _Bar("restoring") as step:
            restore_backup(path, target, progress=step)
    except BackupError as error:
        fail(str(error))
    out.print(f"{escape(str(target))}: {_said(held)}", highlight=False, soft_wrap=True)
    way = f"--world {held.world}" if directory is None else f"--dir {directory}"
    out.print(f"start it: mirrorworld up {escape(way)}", highlight=False, soft_wrap=True)


@app.command()
def archive(
    world: World,
    target: Annotated[
        str, typer.Argument(help="A folder, or an object store: s3://bucket/path?region=…")
    ],
    directory: Directory = None,
) -> None:
    """Copy the compacted past of a world, running or not, to where other programs read it.

    The same call again copies only what is new. What retention lets go here stays there.
    """
    from mirrorworld.record import WorldInUseError
    from mirrorworld.record.archive import ArchiveError
    from mirrorworld.record.archive import archive as bring_up

    try:
        with _Bar("archiving") as step:
            done = bring_up((directory or directory_of(world)) / "record", target, progress=step)
    except (ArchiveError, WorldInUseError) as error:
        fail(str(error))
    text = (
        f"{target}: {done.rows:,} samples in {done.files} files, {done.size_bytes / 1e6:.1f} MB;"
        f" {done.copied} files are new, {done.removed} were replaced"
    )
    out.print(escape(text), highlight=False, soft_wrap=True)


@app.command()
def upgrade(
    world: World,
    directory: Directory = None,
    keep: Annotated[bool, typer.Option("--backup/--no-backup", help="Back it up first.")] = True,
) -> None:
    """Bring a world that is not running to the format that this version writes."""
    from mirrorworld.record import (
        CorruptRecordError,
        UnknownWorldError,
        WorldInUseError,
        open_record,
    )
    from mirrorworld.record import doctor as record_doctor
    from mirrorworld.record.migrations import read_description
    from mirrorworld.record.segments import FORMAT_VERSION

    place = directory or directory_of(world)
    try:
        description = read_description(place / "record")
        if description is None:
            fail(f"{place}: no world is kept here")
        version = description.get("version")
        if version == FORMAT_VERSION:
            out.print(f"{world} has format {version}, which is today's; nothing to do")
            return
        if keep and version != 0:
            path = place.with_name(f"{place.name}-format-{version}.tar")
            back_up(place, path, with_keys=True, version=__version__)
            out.print(f"kept as it was: {escape(str(path))}", highlight=False, soft_wrap=True)
        with err.status(f"format {version} to {FORMAT_VERSION}"):
            open_record(place / "record", create=False, compacts=False).close()
            found = record_doctor.examine(place / "record")
    except (CorruptRecordError, UnknownWorldError, WorldInUseError, BackupError) as error:
        fail(str(error))
    if found.damage:
        fail(f"after the upgrade: {found.damage[0]}")
    out.print(f"{world}: format {version} to {FORMAT_VERSION}, {found.changes} changes, all well")


@app.command()
def doctor(
    world: World,
    directory: Directory = None,
    salvage: Annotated[
        bool, typer.Option(help="Go on without damaged parts; their files are kept aside.")
    ] = False,
) -> None:
    """Examine a world: disk, clock, certificates, secrets, accounts, sources, its whole record."""
    from mirrorworld.record import doctor as record_doctor

    place = directory or directory_of(world)
    if not place.is_dir():
        fail(f"{place}: no such world; `mirrorworld worlds` lists them")
    if salvage:
        raise typer.Exit(record_doctor.main([str(place / "record"), "--salvage"]))
    try:
        configs = remembered(place)
    except UsageError as error:
        fail(str(error))
    worst = Standing.GOOD
    order = list(Standing)
    with err.status("examining"):
        checks = examine_world(
            place,
            configs,
            frozenset(connectors()),
            running=_running_sources(place),
            accounts=accounts_place(place),
        )
        for check in checks:
            _show_check(check)
            worst = max(worst, check.standing, key=order.index)
    out.print(
        {Standing.GOOD: "all is well", Standing.WARNING: "it works; see above"}.get(worst, "")
    )
    raise typer.Exit(int(worst is Standing.BAD))


@app.command()
def service(
    world: World,
    host: Annotated[
        str, typer.Option(help="Address to serve; other than loopback: accounts.")
    ] = "",
    port: Annotated[int | None, typer.Option(help="Port of the page.")] = None,
    user: Annotated[
        bool, typer.Option("--user", help="A service of yours, not the system's.")
    ] = False,
) -> None:
    """Print a systemd unit that keeps a world running; a comment says where to put it."""
    if not is_name(world):
        fail(f"'{world}' cannot name a world: letters, digits, '-', '_', '.' can")
    if not directory_of(world).is_dir() and world not in demo_worlds():
        text = (
            f"there is no world {world} yet: make it first, mirrorworld up --world {world} --empty"
        )
        err.print(text, markup=False, highlight=False, soft_wrap=True)
    program = Path(sys.argv[0]).resolve()
    command = [str(program), "up", "--world", world, "--no-browser"]
    command += ["--host", host] if host else []
    command += ["--port", str(port)] if port is not None else []
    try:
        text = unit(
            world,
            command,
            str(home().resolve()),
            user="" if user else getpass.getuser(),
            is_of_user=user,
        )
    except ValueError as error:
        fail(str(error))
    name = f"mirrorworld-{world}.service"
    place = f"~/.config/systemd/user/{name}" if user else f"/etc/systemd/system/{name}"
    how = "systemctl --user" if user else "sudo systemctl"
    print(text, end="")
    err.print(
        f"put it at {place}, then: {how} enable --now {name}", highlight=False, soft_wrap=True
    )


def _running_sources(place: Path) -> Sequence[SourceSeen] | None:
    """Its sources as its server sees them; None: it is not running."""
    from mirrorworld.client import ClientError, connect
    from mirrorworld.protocol.places import address_of, read_token

    address = address_of(place)
    if not address:
        return None
    try:
        with connect(address, token=read_token(place)) as there:
            return there.sources()
    except ClientError:
        return None


def _show_check(check: Check) -> None:
    mark = MARKS[check.standing]
    out.print(
        f"{mark}  {escape(check.what)}: {escape(check.said)}", highlight=False, soft_wrap=True
    )
    if check.mend:
        out.print(f"      [dim]{escape(check.mend)}[/]", highlight=False, soft_wrap=True)


def _said(held: Backup) -> str:
    made = datetime.datetime.fromtimestamp(held.made_ns / 1e9).astimezone()
    return (
        f"world {escape(held.world)} at {held.position}, {made:%Y-%m-%d %H:%M %Z},"
        f" {held.files} files, {held.size_bytes / 1e6:.1f} MB"
    )


class _Bar:
    """A progress bar of bytes, for as long as something is done."""

    def __init__(self, what: str) -> None:
        columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=err, transient=True)
        self._task = self._progress.add_task(what, total=None)

    def __enter__(self):
        self._progress.start()
        return lambda done, total: self._progress.update(self._task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
