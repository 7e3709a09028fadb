"""What the OPC UA connector is told, checked: its URL and its options."""

from __future__ import annotations

import re
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
    "alarms": True,
}
"""Every option with its default."""

HISTORY_S_MAX: Final = 10 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Settings:
    """A SourceConfig, checked."""

    login: Login
    rate: Rate
    root: str
    max_nodes: int
    pause_s: float
    uses_history: bool
    backfill_s: float
    """How far back the history of points is read that were never heard of before."""
    uses_alarms: bool


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
        options["history"] is not False,
        0.0 if isinstance(options["history"], bool) else float(options["history"]),
        bool(options["alarms"]),
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
    if name in ("history", "alarms"):
        if isinstance(value, str) and value.lower() in ("true", "false", "yes", "no"):
            return value.lower() in ("true", "yes")
        if isinstance(value, bool):
            return value
        span_s = _span_s(value) if name == "history" else None
        if span_s is not None:
            return span_s
        spans = " nor a time up to ten years like '24h', '90min', '7d'" if name == "history" else ""
        raise SourceError(f"option '{name}': {value!r} is neither true nor false{spans}")
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


_SPAN: Final = re.compile(r"(\d{1,9})\s*(s|min|h|d)")
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


def _span_s(value: Scalar) -> float | None:
    """Seconds of `24h`; None if it is no time."""
    match = _SPAN.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if match is None:
        return None
    span_s = float(match[1]) * _SECONDS[match[2]]
    return span_s if 0 < span_s <= HISTORY_S_MAX else None


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
