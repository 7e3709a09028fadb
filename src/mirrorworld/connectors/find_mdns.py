"""Listens for what announces itself by multicast DNS (RFC 6762, RFC 6763).

Asks the network once which services of a few types there are, as every computer in it does, and
from then on listens. Nobody is connected to. Names and TXT records are strangers' words: they are
bounded here, cleaned where sightings are taken, and shown as text only.

zeroconf (LGPL) is the extra `discovery`; without it this finder says so and sees nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mirrorworld import addresses
from mirrorworld.world.ports import Reach, Sighting, SourceError, Surroundings

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

ANSWER_MS: Final = 3_000
OPEN_MAX: Final = 300
"""Services whose addresses are asked for and kept; more are counted."""
AT_ONCE: Final = 8
RECORDS_MAX: Final = 20_000
"""Records that may be announced in all; a network that announces more is not listened to for
`FLOODED_S`, since all that is announced is kept for as long as the announcer says."""
FLOODED_S: Final = 600.0
WATCH_S: Final = 0.5
TXT_PAIRS_MAX: Final = 20
TXT_VALUE_MAX: Final = 80


@dataclass(frozen=True, slots=True)
class Service:
    """A type of service that can be mirrored: what it is, and how its address is written."""

    what: str
    scheme: str
    """Of the URL; "": only a person can say how it is reached."""
    path_key: str = ""
    """TXT key that names the path of the URL."""


SERVICES: Final[Mapping[str, Service]] = {
    "_opcua-tcp._tcp": Service("OPC UA server", "opc.tcp", "path"),
    "_mqtt._tcp": Service("MQTT broker", "mqtt"),
    "_secure-mqtt._tcp": Service("MQTT broker with TLS", "mqtts"),
    "_mtconnect._tcp": Service("MTConnect agent", "mtconnect", "path"),
    "_mbap._tcp": Service("Modbus device", "modbus"),
    "_bacnet._udp": Service("BACnet device", "bacnet"),
    "_http._tcp": Service("Device with web pages", "", "path"),
}
"""Service types by their registered names (IANA; OPC 10000-12 Annex C for OPC UA)."""

_NOT_PLANT: Final = (
    "printer", "scanner", "airplay", "chromecast", "spotify", "router", "nas", "camera", "webcam",
    "tv", "sonos", "hue", "cups", "ipp",
)  # fmt: skip
_PLANT: Final = (
    "plc", "opc", "mqtt", "mtconnect", "modbus", "scada", "hmi", "robot", "sensor", "gateway",
    "meter", "drive", "inverter", "cnc", "controller", "shelly", "tasmota", "esp", "iot",
)  # fmt: skip


class FindMdns:
    """Things that announce themselves on the networks of this computer."""

    name = "mdns"

    def __init__(self, records_max: int = RECORDS_MAX) -> None:
        self.records_max = records_max

    async def run(self, around: Surroundings) -> None:
        """See the port. With reach "here" it listens on the loopback interface alone."""
        try:
            from zeroconf import InterfaceChoice, IPVersion, ServiceStateChange
            from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf
        except ImportError as error:
            raise SourceError(
                f"listening for mDNS needs the package zeroconf ({error});"
                " pip install 'mirrorworld[discovery]' brings it"
            ) from error
        interfaces: Any = ["127.0.0.1"] if around.reach is Reach.HERE else InterfaceChoice.Default
        types = [f"{type_}.local." for type_ in SERVICES]
        while True:
            try:
                here = AsyncZeroconf(interfaces=interfaces, ip_version=IPVersion.V4Only)
            except OSError as error:
                raise OSError(f"no network to listen on: {error}") from error
            seen = _Seen(here, around, ServiceStateChange.Removed)
            browser = AsyncServiceBrowser(here.zeroconf, types, handlers=[seen.changed])
            try:
                await seen.until_flooded(self.records_max)
            finally:
                with contextlib.suppress(Exception):
                    await browser.async_cancel()
                await here.async_close()
                seen.withdraw_all()
            around.count("mdns_flooded")
            await asyncio.sleep(FLOODED_S)


class _Seen:
    """Services as they come and go, resolved a few at a time."""

    def __init__(self, here: AsyncZeroconf, around: Surroundings, gone: Any) -> None:
        self.here, self.around, self.gone = here, around, gone
        self.open: set[tuple[str, str]] = set()
        self.queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue(OPEN_MAX)

    def changed(self, zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        """Called on the loop for each service that appeared, changed or went."""
        service = (service_type, name)
        if state_change is self.gone:
            self.open.discard(service)
            self.around.withdraw(name)  # said so, or what it said has run out
            return
        if service not in self.open and len(self.open) >= OPEN_MAX:
            self.around.count("mdns_too_many")
            return
        self.open.add(service)
        try:
            self.queue.put_nowait(service)
        except asyncio.QueueFull:
            self.around.count("mdns_too_many")

    def withdraw_all(self) -> None:
        """Nobody listens any more, so nobody will hear when they go."""
        for _, name in self.open:
            self.around.withdraw(name)

    async def until_flooded(self, records_max: int) -> None:
        """Asks for addresses, `AT_ONCE` at a time, until more is announced than is believed."""
        workers = [asyncio.create_task(self._work()) for _ in range(AT_ONCE)]
        try:
            kept = self.here.zeroconf.cache.cache
            while sum(map(len, kept.values())) <= records_max:
                await asyncio.sleep(WATCH_S)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        while True:
            service_type, name = await self.queue.get()
            try:
                info = AsyncServiceInfo(service_type, name)
                is_known = await info.async_request(self.here.zeroconf, ANSWER_MS)
            except Exception:  # whatever a hostile packet does to the parser, others are heard
                self.around.count("mdns_unreadable")
                continue
            if is_known and (service_type, name) in self.open:
                self._tell(service_type, name, info)

    def _tell(self, service_type: str, name: str, info: AsyncServiceInfo) -> None:
        type_ = service_type.removesuffix(".local.")
        service = SERVICES.get(type_)
        host = _host(info, self.around)
        if service is None or host is None or not info.port:
            return
        title = name.removesuffix(f".{service_type}")
        txt = txt_of(info)
        if type_ == "_http._tcp":
            service = _web(title, txt)
            if service is None:
                return
        path = txt.get(service.path_key, "") if service.path_key else ""
        path = path if path.isascii() and path.isprintable() and " " not in path else ""
        path = f"/{path.lstrip('/')}" if path.strip("/") else ""
        url = f"{service.scheme}://{host}:{info.port}{path}" if service.scheme else ""
        lines = [f"host={(info.server or '').rstrip('.')}", f"port={info.port}"]
        lines += [f"{key}={value}" if value else key for key, value in txt.items()]
        self.around.report(
            Sighting(
                name,
                url,
                title,
                service.what,
                f"announces {type_} by mDNS at {host}:{info.port}",
                "\n".join(lines),
            )
        )


def _web(title: str, txt: Mapping[str, str]) -> Service | None:
    """What a web server may be, by its own words; None: nothing of a plant."""
    words = " ".join([title, *txt, *txt.values()]).lower()
    if "mtconnect" in words:
        return Service("MTConnect agent", "mtconnect", "path")
    if any(word in words for word in _NOT_PLANT) or not any(word in words for word in _PLANT):
        return None
    return SERVICES["_http._tcp"]


def _host(info: AsyncServiceInfo, around: Surroundings) -> str | None:
    """The first address that may be called at all; clouds' metadata and the like may not."""
    from zeroconf import IPVersion

    for text in info.parsed_addresses(IPVersion.V4Only)[:8]:
        ip = ipaddress.ip_address(text)
        if not addresses.refusal(ip, allows_private=True):
            return text
    around.count("mdns_no_address")
    return None


def txt_of(info: AsyncServiceInfo) -> dict[str, str]:
    """A service's TXT record as text, within bounds; what is no UTF-8 is shown by its length."""
    found: dict[str, str] = {}
    for key, value in list(info.properties.items())[:TXT_PAIRS_MAX]:
        name = key.decode("ascii", "replace")[:40]
        try:
            found[name] = (value or b"").decode("utf-8")[:TXT_VALUE_MAX]
        except UnicodeDecodeError:
            found[name] = f"({len(value or b'')} bytes)"
    return found
