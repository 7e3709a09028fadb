"""The commands that run, look at and measure worlds, and what all command files share."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from mirrorworld import __version__
from mirrorworld.app import (
    DEFAULT_HTTPS_PORT,
    DEFAULT_PORT,
    DEFAULT_WORLD,
    UpOptions,
    reach_of,
    sources_from,
)
from mirrorworld.app import up as run_up
from mirrorworld.at_rest import export_world, import_world
from mirrorworld.installed import UsageError, connectors, demo_worlds, unspoken
from mirrorworld.kept import directory_of
from mirrorworld.live.sources import scheme_of
from mirrorworld.protocol.places import home
from mirrorworld.world.model import Scalar
from mirrorworld.world.plain import to_plain
from mirrorworld.world.ports import Carried, Connector, Finding, SourceError

app = typer.Typer(
    name="mirrorworld",
    help="A living 3D mirror of a plant, from the protocols that it already speaks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

Urls = Annotated[
    list[str] | None,
    typer.Argument(help="Sources: opc.tcp://, mqtt://, a CSV file, …; or a world.yaml."),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="KEY=VALUE for the sources, or for a world by name."),
]
Username = Annotated[str, typer.Option("--user", help="User name for the source.")]
Password = Annotated[
    str,
    typer.Option("--password", envvar="MIRRORWORLD_PASSWORD", help="Better given by environment."),
]
Name = Annotated[str, typer.Option("--name", help="Name of the source; else from its URL.")]


@app.command()
def up(
    urls: Urls = None,
    world: Annotated[
        str, typer.Option("--world", help=f"Name of the world; without URLs: {DEFAULT_WORLD}.")
    ] = "",
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where the world is kept; else by its name.")
    ] = None,
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port of the page on 127.0.0.1; 0 takes a free one."),
    ] = DEFAULT_PORT,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    name: Name = "",
    user: Username = "",
    password: Password = "",
    option: Options = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="Make the world without a source; its page leads on.")
    ] = False,
    discovery: Annotated[
        str,
        typer.Option(
            "--discovery",
            envvar="MIRRORWORLD_DISCOVERY",
            help="How far to look for more sources: off, here, or network (the default).",
        ),
    ] = "",
    host: Annotated[
        str,
        typer.Option(help="Serve others too, on this address (0.0.0.0: all), by TLS and accounts."),
    ] = "",
    https_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port for others.")
    ] = DEFAULT_HTTPS_PORT,
    plain_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port at which phones get the authority; 0: none. Else the one after.",
        ),
    ] = None,
    accounts: Annotated[
        str,
        typer.Option(
            envvar="MIRRORWORLD_ACCOUNTS",
            help="Database of the accounts, as postgresql://; else a file of the world.",
        ),
    ] = "",
    host_name: Annotated[
        list[str] | None, typer.Option(help="A further name by which others reach this machine.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Your own certificate, PEM; else one is made here.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="The key of the certificate, PEM.")] = None,
    to: Annotated[
        str, typer.Option("--to", help="Publish it there too: zenoh+tls://centre:7447.")
    ] = "",
    site: Annotated[str, typer.Option("--site", help="With --to: its name as a site.")] = "",
    identity: Annotated[
        Path | None, typer.Option("--identity", help="With --to: made by `mirrorworld identity`.")
    ] = None,
    commands: Annotated[
        bool, typer.Option("--commands", help="With --to: take commands, for what is armed here.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
) -> None:
    """Mirror sources and serve their page; without any, the bundled bottling line."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    options = UpOptions(
        tuple(urls or ()),
        world,
        directory,
        port,
        browser,
        name,
        user,
        password,
        read_options(option),
        is_empty=empty,
        host=host,
        https_port=https_port,
        plain_port=plain_port,
        accounts=accounts,
        names=tuple(host_name or ()),
        certificate=certificate,
        key=key,
        reach=discovery,
        to=to,
        site=site,
        identity=identity,
        takes_commands=commands,
    )
    try:
        asyncio.run(run_up(options, lambda text: print(text, flush=True)))
    except (UsageError, SourceError, OSError) as error:
        fail(str(error))


@app.command()
def discover(
    url: Annotated[
        str, typer.Argument(help="What to look at; without it: what shows itself around here.")
    ] = "",
    user: Username = "",
    password: Password = "",
    option: Options = None,
    limit: Annotated[int, typer.Option(help="Look at no more than this many things.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    wait: Annotated[
        float, typer.Option(min=0.1, max=600, help="Without URL: listen for so many seconds.")
    ] = 8.0,
    reach: Annotated[
        str,
        typer.Option("--discovery", envvar="MIRRORWORLD_DISCOVERY", help="Without URL: how far."),
    ] = "",
) -> None:
    """Print what a source would be mirrored as, or what is around; and how that was guessed."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    if not url:
        from mirrorworld.cli.around import show_around

        try:
            return show_around(reach_of(reach), wait, as_json=as_json)
        except UsageError as error:
            fail(str(error))
    options = UpOptions((url,), username=user, password=password, options=read_options(option))
    try:
        (config,) = sources_from(options)
    except UsageError as error:
        fail(str(error))
    known = connectors()
    scheme = scheme_of(config.url)
    if scheme not in known:
        fail(unspoken(config.url, known))
    connector: Connector = known[scheme](config)
    try:
        with err.status(f"looking at {escape(url)}"):
            findings = asyncio.run(connector.discover(limit))
    except (SourceError, OSError) as error:
        fail(str(error))
    if as_json:
        rows = [
            {
                "twin": to_plain(f.twin),
                "type": to_plain(f.type),
                "guessed": f.guessed,
                "sample_values": dict(f.sample_values),
            }
            for f in findings
        ]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        _show(findings)


@app.command()
def worlds() -> None:
    """List the worlds that are kept here, and those that can be started by name."""
    table = Table("world", "where", box=None)
    kept = home() / "worlds"
    names = sorted(p.name for p in kept.iterdir() if p.is_dir()) if kept.is_dir() else []
    for each in names:
        table.add_row(each, str(kept / each))
    for each in sorted(demo_worlds()):
        if each not in names:
            table.add_row(each, "installed, not started yet")
    out.print(table)


@app.command()
def trust(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    fingerprint: Annotated[
        str, typer.Argument(help="The fingerprint that you compared; without it: show it.")
    ] = "",
    world: Annotated[
        str, typer.Option("--world", help="Name or page of the running world, if several run.")
    ] = "",
) -> None:
    """Trust the certificate of a source of a running world, and remember it."""
    from mirrorworld.client import ClientError, connect

    try:
        with connect(world or None) as there:
            pending = {each.name: each.pending for each in there.sources()}
            if source not in pending:
                fail(f"no source '{source}'; there are {', '.join(pending) or 'none'}")
            if not pending[source]:
                fail(f"source {source} does not ask for trust")
            for each in pending[source]:
                out.print(f"{each.fingerprint}  {escape(each.subject)}", highlight=False)
            if fingerprint:
                there.trust(source, fingerprint)
                out.print("trusted")
            else:
                out.print(f"compare it, then: mirrorworld trust {source} FINGERPRINT")
    except ClientError as error:
        fail(str(error))


@app.command(name="export")
def export(
    world: Annotated[str, typer.Argument(help="Name of the world.")],
    path: Annotated[Path, typer.Argument(help="The file to write, as world.yaml.")],
) -> None:
    """Write a world's structure to a file; the world may be running.

    Over an older world.yaml, only what has changed is written anew.
    """
    try:
        _carried(export_world(directory_of(world), path))
    except (UsageError, OSError, ValueError, LookupError) as error:
        fail(str(error))


@app.command(name="import")
def import_(
    path: Annotated[Path, typer.Argument(help="The file to read, as world.yaml.")],
    world: Annotated[str, typer.Option("--world", help="Into which world.")],
    with_arms: Annotated[
        bool, typer.Option("--with-arms", help="Also arm what a world.yaml says is armed.")
    ] = False,
) -> None:
    """Bring a file's content into a world that is not running, or make a world of it."""
    try:
        _carried(import_world(path, directory_of(world), world, with_arms=with_arms))
    except (UsageError, OSError, ValueError) as error:
        fail(str(error))


def _carried(report: Carried) -> None:
    print(f"{report.twins} twins, {report.types} types, {report.relations} relations")
    for place, why in report.lost:
        err.print(f"not carried: {place}: {why}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def bench(
    name: Annotated[
        str, typer.Argument(help="Which one, or all; docs/figures.md says what each measures.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, on one line.")] = False,
    option: Options = None,
) -> None:
    """Measure, and print the figures."""
    from mirrorworld.bench import BENCHES, run

    figures: dict[str, Any] = {}
    for each in BENCHES if name == "all" else (name,):
        try:
            with err.status(f"measuring {each}"):
                figures[each] = run(each, read_options(option))
        except (ValueError, OSError) as error:
            fail(str(error))
    result = figures if name == "all" else figures[name]
    print(json.dumps(result) if as_json else json.dumps(result, indent=2))


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """What all commands share."""


def read_options(pairs: list[str] | None) -> dict[str, Scalar]:
    """KEY=VALUE pairs, values read as numbers and booleans where they are such."""
    options: dict[str, Scalar] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key:
            fail(f"--option {pair}: expected KEY=VALUE")
        try:
            read: Any = json.loads(value)
        except ValueError:
            read = value
        options[key] = read if isinstance(read, bool | int | float | str) else value
    return options


POINTS_SHOWN = 8


def _show(findings: Sequence[Finding]) -> None:
    """Prints twins with their points; how they were guessed once for all that it is true of."""
    points = 0
    last = ""
    for finding in findings:
        kinds = (*(finding.type.points if finding.type else ()), *finding.twin.points)
        points += len(kinds)
        if finding.guessed != last:
            out.print(f"[dim]{escape(finding.guessed)}[/]", highlight=False)
            last = finding.guessed
        title = finding.type.name.best("en") if finding.type else finding.twin.type
        out.print(f"  [bold]{escape(finding.twin.id)}[/]  {escape(title)}", highlight=False)
        samples = dict(finding.sample_values)
        shown = [
            f"{escape(p.name)}{f' = {escape(str(samples[p.name]))}' if p.name in samples else ''}"
            f"{f' [dim]{escape(p.unit)}[/]' if p.unit else ''}"
            for p in kinds[:POINTS_SHOWN]
        ]
        if len(kinds) > POINTS_SHOWN:
            shown.append(f"and {len(kinds) - POINTS_SHOWN} more")
        if shown:
            out.print(Padding("  ".join(shown), (0, 0, 0, 4)), highlight=False)
    out.print(f"{len(findings)} twins, {points} points; nothing was changed", highlight=False)


def fail(message: str) -> NoReturn:
    """Says what is wrong, and ends with exit status 1."""
    err.print(f"mirrorworld: {message}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)
