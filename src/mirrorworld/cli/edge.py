"""Commands of the live plane: an edge that mirrors and publishes, and identities for sites."""

from __future__ import annotations

import getpass
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mirrorworld.app import UpOptions, publishing, sources_from
from mirrorworld.care.service import unit
from mirrorworld.cli.commands import (
    Name,
    Options,
    Password,
    Urls,
    Username,
    app,
    err,
    fail,
    read_options,
)
from mirrorworld.installed import UsageError, connectors, unspoken
from mirrorworld.kept import directory_of
from mirrorworld.live.sources import scheme_of
from mirrorworld.protocol.places import home
from mirrorworld.trust import authority

To = Annotated[
    str,
    typer.Option(
        "--to", help="Publish the world there: zenoh+tls://centre:7447, or zenoh:// on loopback."
    ),
]
SiteName = Annotated[
    str, typer.Option("--site", help="Name of the site; else that of its identity.")
]
Identity = Annotated[
    Path | None,
    typer.Option("--identity", help="Directory that `mirrorworld identity` made, for TLS."),
]

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)


@app.command()
def edge(
    urls: Urls,
    to: To,
    site: SiteName = "",
    identity: Identity = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where its record is kept; else by its name.")
    ] = None,
    keep: Annotated[
        str, typer.Option(help="How much of the disk its record may take, as 500MB or 4GB.")
    ] = "1GB",
    name: Name = "",
    user: Username = "",
    password: Password = "",
    option: Options = None,
    as_unit: Annotated[
        bool, typer.Option("--unit", help="Print a systemd unit that does this, and end.")
    ] = False,
    commands: Annotated[
        bool, typer.Option("--commands", help="Take the centre's commands, for what is armed here.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
) -> None:
    """Mirror sources into a small record, and publish it to a centre: no page, no server."""
    keep_bytes = _bytes_of(keep)
    try:
        site, place = publishing(to, site, identity)
        if commands and not place.is_tls:
            raise UsageError("--commands needs an --identity: only over TLS is it known who asks")
        options = UpOptions(
            tuple(urls or ()),
            name=name,
            username=user,
            password=password,
            options=read_options(option),
        )
        configs = sources_from(options)
        known = connectors()
        for config in configs:
            if scheme_of(config.url) not in known:
                raise UsageError(unspoken(config.url, known))
        where = (directory or directory_of(site)).resolve()
        if as_unit:
            return _print_unit(site, where)
        where.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (UsageError, OSError) as error:
        fail(str(error))
    from mirrorworld.edge import Edge, EdgeSource, become

    sources: list[EdgeSource] = []
    for config in configs:
        cls: Any = known[scheme_of(config.url)]
        connector = f"{cls.__module__}:{cls.__qualname__}"
        sources.append(
            EdgeSource(
                connector,
                config.url,
                config.name,
                dict(config.options),
                config.username,
                config.password,
            )
        )
    try:
        become(
            Edge(
                site,
                str(where),
                place.host,
                place.port,
                sources,
                place.listens,
                place.is_tls,
                place.ca,
                place.certificate,
                place.key,
                keep_bytes,
                commands,
                verbose,
            )
        )
    except (ValueError, OSError) as error:
        fail(str(error))


@app.command()
def identity(
    world: Annotated[str, typer.Argument(help="Name of the world that the site publishes to.")],
    site: Annotated[str, typer.Argument(help="Name of the site.")],
    out: Annotated[
        Path | None, typer.Argument(help="The directory to make; else SITE here.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where the world is kept; else by its name.")
    ] = None,
) -> None:
    """Make a certificate by which a site is known to a world, under the world's own authority."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", site):
        fail(f"'{site}' cannot name a site: letters, digits, '-', '_' and '.' can")
    out = out or Path(site)
    if (out / "site.key").exists():
        fail(f"{out}: there is an identity already; choose another directory")
    try:
        authority.identity_for((directory or directory_of(world)) / "authority", site, out)
    except (OSError, ValueError) as error:
        fail(str(error))
    print(f"{out}: authority.pem, site.pem, site.key")
    print("carry the directory to the site, its key to nobody else; then, with the host that")
    print("the site reaches this world under:")
    print(f"  there: mirrorworld edge SOURCE... --to zenoh+tls://HOST:7447 --identity {out}")
    print(f"  here:  mirrorworld up --world {world} site+tls://0.0.0.0:7447/{site} --name {site}")


def _bytes_of(text: str) -> int:
    found = SIZE.fullmatch(text.strip())
    if found is None:
        fail(f"--keep {text}: a size reads like 500MB or 4GB")
    size = float(found[1]) * 1000 ** " KMGT".index((found[2] or " ").upper())
    if size < 16e6:
        fail(f"--keep {text}: less than 16MB holds nothing for long")
    return int(size)


def _print_unit(site: str, where: Path) -> None:
    words = [w for w in sys.argv[1:] if w != "--unit"]
    command = [str(Path(sys.argv[0]).resolve()), *words]
    try:
        text = unit(f"edge {site}", command, str(home().resolve()), user=getpass.getuser())
    except ValueError as error:
        fail(str(error))
    name = f"mirrorworld-edge-{site}.service"
    print(text, end="")
    err.print(
        f"put it at /etc/systemd/system/{name}, then: sudo systemctl enable --now {name}; it may"
        f" write below {home()} only, so keep --dir {where} there",
        highlight=False,
        soft_wrap=True,
    )
