"""`mirrorworld discover` without an address: what is around, and the command that adds it."""

from __future__ import annotations

import asyncio
import json
import shlex
import time
from collections.abc import Sequence

from rich.markup import escape

from mirrorworld.cli.commands import err, out
from mirrorworld.installed import finders
from mirrorworld.live.sightings import Entry, Sightings
from mirrorworld.world.ports import Reach


def show_around(reach: Reach, wait_s: float, *, as_json: bool) -> None:
    """Listens for a while and prints what was seen."""
    with err.status(f"listening for {wait_s:g} s; no address is tried"):
        around = asyncio.run(_listen(reach, wait_s))
    entries = around.entries()
    if as_json:
        print(json.dumps([_row(entry) for entry in entries], indent=1, ensure_ascii=False))
    else:
        _print(entries)
    for finder, why in around.failures.items():
        err.print(f"{finder} sees nothing: {why}", markup=False, highlight=False, soft_wrap=True)
    for what, n in around.counts.items():
        err.print(f"left out: {n} {what.replace('_', ' ')}", markup=False, highlight=False)


async def _listen(reach: Reach, wait_s: float) -> Sightings:
    around = Sightings(finders(), lambda: (), time.time_ns, reach=reach)
    around.start()
    try:
        await asyncio.sleep(wait_s)
    finally:
        await around.stop()
    return around


def command_for(entry: Entry) -> str:
    """What to type to mirror it; "" if only a person knows its address."""
    if not entry.url:
        return ""
    login = " --user NAME" if any(s.needs_login for s in entry.sightings) else ""
    return f"mirrorworld up {shlex.quote(entry.url)}{login}"


def _row(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.best.name,
        "what": entry.best.what,
        "url": entry.url,
        "guessed": sorted({s.guessed for s in entry.sightings}),
        "detail": entry.best.detail,
        "needs_login": any(s.needs_login for s in entry.sightings),
        "command": command_for(entry),
    }


def _print(entries: Sequence[Entry]) -> None:
    if not entries:
        out.print("nothing has shown itself; give an address: mirrorworld discover URL")
        return
    for entry in entries:
        best = entry.best
        out.print(f"[bold]{escape(best.name)}[/]  {escape(best.what)}", highlight=False)
        for how in sorted({s.guessed for s in entry.sightings}):
            out.print(f"  [dim]{escape(how)}[/]", highlight=False, soft_wrap=True)
        for line in best.detail.splitlines()[:6]:
            out.print(f"  [dim]{escape(line)}[/]", highlight=False, soft_wrap=True)
        command = command_for(entry) or "say how it is reached: mirrorworld up ADDRESS"
        out.print(f"  {escape(command)}", highlight=False, soft_wrap=True)
    out.print(f"{len(entries)} seen; nothing was changed", highlight=False)
