"""What the BACnet connector is told, checked: an address and options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mirrorworld.connectors.options import read_options
from mirrorworld.world.ports import SourceConfig, SourceError

DEFAULT_PORT: Final = 47808


@dataclass(frozen=True)
class BacnetOptions:
    """The options of a source."""

    device: int = -1
    """Instance of the device; -1: whichever answers at the address."""
    bind: str = ""
    """Our own address (and port, as in `192.168.1.7:47808`); "": that which leads there."""
    cov: str = "confirmed"
    lifetime_s: int = 300
    poll_s: float = 5.0
    refresh_s: float = 60.0
    heartbeat_s: float = 5.0
    timeout_s: float = 3.0
    priority: int = 16
    max_objects: int = 10_000
    pause_ms: float = 5.0

    def __post_init__(self) -> None:
        if self.cov not in ("confirmed", "unconfirmed", "off"):
            raise ValueError(f"cov='{self.cov}' is none of confirmed, unconfirmed, off")
        for name, low, high in (
            ("device", -1, 4_194_302),
            ("lifetime_s", 10, 86_400),
            ("poll_s", 0.05, 86_400),
            ("refresh_s", 0.1, 86_400),
            ("heartbeat_s", 0.1, 3600),
            ("timeout_s", 0.1, 60),
            ("priority", 1, 16),
            ("max_objects", 1, 1_000_000),
            ("pause_ms", 0, 60_000),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name}={getattr(self, name)} is not from {low} to {high}")


def checked(config: SourceConfig) -> tuple[str, int, BacnetOptions]:
    """(host, port, options).

    Raises:
        SourceError: the URL or an option cannot be used; the message names it.
    """
    name, example = config.name, "one reads like bacnet://192.168.1.20:47808"
    options = read_options(BacnetOptions, config.options, name)
    try:
        parts = urlsplit(config.url)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise SourceError(f"{name}: the port is not a number up to 65535; {example}") from None
    if parts.scheme != "bacnet" or not parts.hostname or any(c.isspace() for c in parts.netloc):
        raise SourceError(f"{name}: names no host of a BACnet/IP device; {example}")
    if ":" in parts.hostname:
        raise SourceError(f"{name}: BACnet over IPv6 is not spoken here; {example}")
    return parts.hostname, port, options
