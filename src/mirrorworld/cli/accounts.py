"""Commands about people: whom to let in, and what was done."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import httpx
import typer
from rich.markup import escape
from rich.table import Table

from mirrorworld.cli.commands import app, err, fail, out
from mirrorworld.installed import UsageError
from mirrorworld.kept import accounts_of, directory_of
from mirrorworld.protocol.places import address_of, read_token
from mirrorworld.trust.accounts import AccountError, Accounts, Grant

World = Annotated[str, typer.Argument(help="Name of the world.")]


@app.command()
def people(world: World) -> None:
    """List the accounts of a world, and what they may do."""
    with _served(world) as server:
        rows = server.get("/api/people").json()["people"] if server else _kept(world).people()
    table = Table("name", "may", "", box=None)
    for row in rows:
        grants = [g if isinstance(g, dict) else {"role": g.role, "subtree": g.subtree}
                  for g in row["grants"]]  # fmt: skip
        said = ", ".join(f"{g['role']} {g['subtree']}".strip() for g in grants)
        table.add_row(escape(row["name"]), escape(said), "shut" if row["is_disabled"] else "")
    out.print(table)


@app.command()
def invite(
    world: World,
    role: Annotated[str, typer.Option(help="viewer, operator, engineer or owner.")] = "viewer",
    part: Annotated[str, typer.Option(help="Only on this twin and what is below it.")] = "",
    address: Annotated[
        str, typer.Option(help="Address of the page for others, as https://plant.local:7743.")
    ] = "",
) -> None:
    """Make a link by which one person makes an account, once."""
    try:
        with _served(world) as server:
            if server:
                body = {"grant": {"role": role, "subtree": part}}
                path = _done(server.post("/api/invitations", json=body))["path"]
            else:
                secret = _kept(world).invite(Grant(role, part), by="command line")
                path = f"/welcome?invitation={secret}"
    except AccountError as error:
        fail(str(error))
    link = f"{(address or address_of(directory_of(world))).rstrip('/')}{path}"
    out.print(link, markup=False, highlight=False, soft_wrap=True)
    if not address:
        err.print("for others: --address https://HOST:7743", markup=False, highlight=False)


@app.command()
def audit(world: World, limit: Annotated[int, typer.Option(min=1, max=1000)] = 50) -> None:
    """Show who signed in, was granted something, armed or commanded; latest first."""
    with _served(world) as server:
        if server:
            page = _done(server.get("/api/audit", params={"limit": limit}))
            lines, is_whole = page["lines"], page["is_whole"]
        else:
            accounts = _kept(world)
            lines, is_whole = accounts.audit(limit=limit), accounts.check_audit() is None
    table = Table("when", "who", "what", "", "from", box=None)
    for line in lines:
        at = datetime.datetime.fromtimestamp(line["at_ns"] / 1e9).astimezone()
        cells = (line["who"], line["what"], line["detail"], line["address"])
        table.add_row(f"{at:%Y-%m-%d %H:%M:%S}", *map(escape, cells))
    out.print(table)
    if not is_whole:
        fail("a line was changed or taken away: the chain of the audit trail is broken")


@app.command()
def embed(
    world: World,
    site: Annotated[
        list[str] | None,
        typer.Argument(help="Sites that may show it, as https://intranet.example."),
    ] = None,
    nowhere: Annotated[bool, typer.Option(help="No other site may show it any more.")] = False,
) -> None:
    """Say which other sites may show a world within their pages; without sites, list them."""
    try:
        with _served(world) as server:
            if server and (site or nowhere):
                sites = _done(server.put("/api/embed/sites", json={"sites": site or []}))["sites"]
            elif server:
                sites = _done(server.get("/api/embed/sites"))["sites"]
            else:
                embedding = _kept(world).embedding
                if site or nowhere:
                    embedding.set_sites(site or [], by="command line")
                sites = embedding.sites()
    except AccountError as error:
        fail(str(error))
    for each in sites:
        out.print(each, markup=False, highlight=False)
    if not sites:
        out.print("no other site may show it", markup=False, highlight=False)


@contextmanager
def _served(world: str) -> Iterator[httpx.Client | None]:
    """The server of a running world, asked as its owner; None: it does not run."""
    directory = directory_of(world)
    if not directory.is_dir():
        fail(f"{directory}: no such world; `mirrorworld worlds` lists them")
    address = address_of(directory)
    if not address:
        yield None
        return
    headers = {"Authorization": f"Bearer {read_token(directory)}"}
    try:
        with httpx.Client(base_url=address, headers=headers) as client:
            yield client
    except httpx.HTTPError as error:
        fail(f"{address}: {error}; is the world still running?")


def _kept(world: str) -> Accounts:
    try:
        return accounts_of(directory_of(world))
    except UsageError as error:
        fail(str(error))


def _done(answer: httpx.Response) -> Any:
    if answer.is_error:
        fail(answer.json().get("detail", answer.text))
    return answer.json()
