"""Asks OPC UA servers that are known already which others they know (OPC 10000-12 §4).

Asked are the local discovery server of this computer, at the port that the standard gives it, and
the servers that are mirrored; from time to time and one after the other. What they name is not
believed: only what says of itself that it is a server at such an address is told, and only
addresses of this computer or of a private network are asked.
"""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from mirrorworld import addresses
from mirrorworld.world.ports import Reach, Sighting, SourceError, Surroundings

LOCAL_SERVER: Final = "opc.tcp://localhost:4840"
"""Where a local discovery server listens (OPC 10000-12 §4.2.2)."""
FIRST_S: Final = 1.0
EVERY_S: Final = 300.0
TIMEOUT_S: Final = 4.0
ASKED_MAX: Final = 20
"""Servers that are asked for others in one round."""
NAMED_MAX: Final = 100
"""Servers that one of them may name."""
URL_MAX: Final = 300
_CLIENT: Final = 1
"""ApplicationType of what is only a client (OPC 10000-4 §7.4)."""


class FindOpcua:
    """OPC UA servers that others tell of."""

    name = "opcua"

    def __init__(self, local: str = LOCAL_SERVER, every_s: float = EVERY_S) -> None:
        self.local = local
        self.every_s = every_s

    async def run(self, around: Surroundings) -> None:
        """See the port."""
        try:
            import asyncua  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ImportError as error:
            raise SourceError(
                f"asking OPC UA servers for others needs asyncua ({error});"
                " pip install 'mirrorworld[opcua]' brings it"
            ) from error
        await asyncio.sleep(FIRST_S)
        while True:
            mirrored = [s.url for s in around.mirrored() if s.url.startswith("opc.tcp://")]
            for url in dict.fromkeys([self.local, *mirrored][:ASKED_MAX]):
                await self._ask(url, around)
            await asyncio.sleep(self.every_s * random.uniform(0.8, 1.2))

    async def _ask(self, url: str, around: Surroundings) -> None:
        try:
            named = await named_by(url)
        except Exception:  # nobody there, or not an OPC UA server: as good as silence
            return
        if len(named) > NAMED_MAX:
            around.count("opcua_named_too_many", len(named) - NAMED_MAX)
        place = addresses.shown(url)
        for name, product, urls, how in named[:NAMED_MAX]:
            found = await self._reached(urls, around)
            if found is None:
                continue
            found_url, security, needs_login = found
            lines = [f"product={product}"] if product else []
            lines += [f"security={security}", *(f"address={u}" for u in urls[:4])]
            self_told = " itself" if _same(found_url, url) else ""
            around.report(
                Sighting(
                    found_url,
                    found_url,
                    name,
                    "OPC UA server",
                    f"{how} at {place}{self_told} names it",
                    "\n".join(lines),
                    needs_login=needs_login,
                    lasts_s=2.5 * self.every_s,
                )
            )

    async def _reached(
        self, urls: Sequence[str], around: Surroundings
    ) -> tuple[str, str, bool] | None:
        """The first address of a server that answers: (address, security, needs a login)."""
        for url in urls[:4]:
            if len(url) > URL_MAX or not url.startswith("opc.tcp://"):
                continue
            try:
                where = await addresses.check_async(url, allows_private=True, schemes=("opc.tcp",))
                if not where.port:
                    continue
            except (addresses.AddressRefused, addresses.AddressUnknown):
                around.count("opcua_address_refused")
                continue
            if not where.is_private or (around.reach is Reach.HERE and not _is_here(where.ip)):
                around.count("opcua_address_not_asked")
                continue
            # At what was checked, whatever the name may resolve to the next time.
            host = f"[{where.ip}]" if ":" in where.ip else where.ip
            path = urlsplit(url).path
            try:
                security, needs_login = await _offers(f"opc.tcp://{host}:{where.port}{path}")
            except Exception:  # it has gone, or was never there
                continue
            return url, security, needs_login
        return None


Named = tuple[str, str, list[str], str]
"""(name, product, addresses, the service that told)."""


async def named_by(url: str) -> list[Named]:
    """The servers that a server names, itself among them, each once."""
    from asyncua import Client, ua

    async with asyncio.timeout(3 * TIMEOUT_S):
        client = Client(url, timeout=TIMEOUT_S)
        found: list[Named] = []
        for server in _some(await client.connect_and_find_servers()):
            urls = [str(u) for u in _some(server.DiscoveryUrls) if u]
            if urls and int(server.ApplicationType) != _CLIENT:
                name = (server.ApplicationName.Text if server.ApplicationName else "") or ""
                found.append((name or urls[0], str(server.ProductUri or ""), urls, "FindServers"))
        known = {u for _, _, urls, _ in found for u in urls}
        try:
            result: Any = await client.connect_and_find_servers_on_network()
        except (ua.UaError, OSError, TimeoutError, asyncio.CancelledError):
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return found  # most servers are no discovery servers and do not offer it
        for server in _some(getattr(result, "Servers", None)):
            where = str(server.DiscoveryUrl or "")
            if where and where not in known:
                known.add(where)
                found.append((str(server.ServerName or where), "", [where], "FindServersOnNetwork"))
        return found


async def _offers(url: str) -> tuple[str, bool]:
    """(security policies in words, whether nobody gets in without a login) of a server."""
    from asyncua import Client, ua

    async with asyncio.timeout(TIMEOUT_S):
        endpoints = await Client(url, timeout=TIMEOUT_S).connect_and_get_server_endpoints()
    policies = sorted({str(e.SecurityPolicyUri or "").rpartition("#")[2] for e in endpoints[:50]})
    takes = {t.TokenType for e in endpoints[:50] for t in e.UserIdentityTokens or ()}
    return ", ".join(p for p in policies if p), ua.UserTokenType.Anonymous not in takes


def _some(values: Iterable[Any] | None) -> list[Any]:
    return list(values or ())[: NAMED_MAX + 1]


def _same(one: str, other: str) -> bool:
    return urlsplit(one).netloc == urlsplit(other).netloc


def _is_here(ip: str) -> bool:
    return ip == "::1" or ip.startswith("127.")
