"""What the OPC UA connector is told, checked: its URL and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from mirrorworld.connectors.opcua_session import MODES, OLD_POLICIES, POLICIES, Login
from mirrorworld.connectors.opcua_subscription import Rate
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import SourceConfig, SourceError

DEFAULT_PORT: Final = 4840

OPTIONS: Final = {
    "security": "auto",
    "interval_ms": 250.0,
    "sampling_ms": -1.0,
    "queue_size": 10,
    "root": "",
    "max_nodes": 200_000,
    "pause_ms": 5.0,
    "publish_requests": 3,
    "history": True,
}
"""Every option with its default."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A SourceConfig, checked."""

    login: Login
    rate: Rate
    root: str
    max_nodes: int
    pause_s: float
    uses_history: bool


def checked(config: SourceConfig) -> Settings:
    """The configuration as values that can be trusted.

    Raises:
        SourceError: the URL or an option cannot be used; the message names it.
    """
    options = {**OPTIONS}
    for name, value in config.options.items():
        if name not in OPTIONS:
            raise SourceError(f"option '{name}' is not known; there are {', '.join(OPTIONS)}")
        options[name] = _checked(name, value)
    security = str(options["security"])
    policy, _, mode = security.partition(",")
    if (
        policy not in ("auto", "none", *POLICIES, *OLD_POLICIES)
        or (mode.strip() or "Sign") not in MODES
    ):
        raise SourceError(
            f"option 'security': '{security}' is none of auto, none, or a policy of"
            f" {', '.join(POLICIES)} with a mode, as in 'Basic256Sha256,SignAndEncrypt'"
        )
    url, username, password = _parse_url(config.url)
    login = Login(url, security, config.username or username, config.password or password)
    rate = Rate(
        float(options["interval_ms"]),
        float(options["sampling_ms"]),
        int(options["queue_size"]),
        int(options["publish_requests"]),
    )
    return Settings(
        login,
        rate,
        str(options["root"]),
        int(options["max_nodes"]),
        float(options["pause_ms"]) / 1000,
        bool(options["history"]),
    )


_RANGES: Final = {
    "interval_ms": (1, 3_600_000),
    "sampling_ms": (-1, 3_600_000),
    "queue_size": (1, 10_000),
    "max_nodes": (1, 10_000_000),
    "pause_ms": (0, 60_000),
    "publish_requests": (1, 100),
}


def _checked(name: str, value: Scalar) -> Any:
    """An option's value, of its default's type and within its range."""
    if name == "history":
        if isinstance(value, str) and value.lower() in ("true", "false", "yes", "no"):
            return value.lower() in ("true", "yes")
        if isinstance(value, bool):
            return value
        raise SourceError(f"option 'history': {value!r} is neither true nor false")
    if name in ("security", "root"):
        if isinstance(value, str):
            return value
        raise SourceError(f"option '{name}': {value!r} is not a text")
    low, high = _RANGES[name]
    try:
        number = float("nan" if value is None or isinstance(value, bool) else value)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise SourceError(f"option '{name}': {value!r} is not a number from {low} to {high}")
    return number


def _parse_url(url: str) -> tuple[str, str, str]:
    """(URL with port and without login, user, password).

    Raises:
        SourceError: it is no address of an OPC UA server.
    """
    shown = without_login(url)
    example = "one reads like opc.tcp://plc.example:4840"
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise SourceError(f"{shown}: the port is not a number up to 65535; {example}") from None
    if parts.scheme != "opc.tcp":
        raise SourceError(f"{shown}: is not an address of an OPC UA server; {example}")
    if not parts.hostname or any(c.isspace() for c in url):
        raise SourceError(f"{shown}: names no host; {example}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    query = f"?{parts.query}" if parts.query else ""
    plain = f"opc.tcp://{host}:{port}{parts.path}{query}"
    return plain, unquote(parts.username or ""), unquote(parts.password or "")


def without_login(url: str) -> str:
    """The URL as it may be shown."""
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://{tail}" if at else url
