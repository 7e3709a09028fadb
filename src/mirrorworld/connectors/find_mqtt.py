"""Topics that are published at known brokers and that nobody mirrors yet.

Listens for a moment, from time to time, at the brokers that are mirrored (as whom they are) and at
the one that this computer may run at MQTT's own port. It publishes nothing, leaves no session
behind, and stops early where much is published. Sparkplug's births are recognised by their topics.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from mirrorworld.connectors.mqtt import Mqtt
from mirrorworld.connectors.mqtt_session import Refused
from mirrorworld.connectors.mqtt_wire import Connection, Publishes
from mirrorworld.connectors.sparkplug import Sparkplug
from mirrorworld.world.ports import Sighting, SourceConfig, SourceError, Surroundings

LOCAL_BROKER: Final = "mqtt://localhost:1883"
"""MQTT's registered port (IANA) on this computer."""
FIRST_S: Final = 1.0
EVERY_S: Final = 300.0
LISTEN_S: Final = 3.0
BYTES_MAX: Final = 4 << 20
TOPICS_MAX: Final = 20_000
"""Topics that are looked at in one moment."""
BRANCHES_MAX: Final = 50
"""First levels that are told of one broker."""
SPARKPLUG: Final = "spBv1.0"
SCHEMES: Final = {"mqtt": "mqtt", "mqtts": "mqtts", "sparkplug": "mqtt", "sparkplugs": "mqtts"}


class FindMqtt:
    """What is published at known brokers beyond what is mirrored."""

    name = "mqtt"

    def __init__(
        self, local: str = LOCAL_BROKER, every_s: float = EVERY_S, listen_s: float = LISTEN_S
    ) -> None:
        self.local = local
        self.every_s = every_s
        self.listen_s = listen_s

    async def run(self, around: Surroundings) -> None:
        """See the port."""
        await asyncio.sleep(FIRST_S)
        while True:
            for broker, sources in brokers(around.mirrored(), self.local).items():
                await self._listen(broker, sources, around)
            await asyncio.sleep(self.every_s * random.uniform(0.8, 1.2))

    async def _listen(
        self, broker: str, sources: Sequence[SourceConfig], around: Surroundings
    ) -> None:
        filters = [f for source in sources for f in filters_of(source)]
        if "#" in filters:
            return  # everything is mirrored
        lasts_s = 2.5 * self.every_s
        try:
            topics = await topics_at(broker, sources[0] if sources else None, self.listen_s)
        except Refused as error:
            if not sources:
                around.report(
                    Sighting(
                        broker, broker, _host(broker), "MQTT broker", "a broker on this computer",
                        f"answer={error}", needs_login=True, lasts_s=lasts_s,
                    )
                )  # fmt: skip
            return
        except (OSError, SourceError):
            return  # nobody there, or no broker
        found = branches(topics, filters)
        if len(found) > BRANCHES_MAX:
            around.count("mqtt_branches_too_many", len(found) - BRANCHES_MAX)
        host, needs_login = _host(broker), bool(sources and sources[0].username)
        ordinary = [first for first in found if first != SPARKPLUG]
        if not sources:
            around.report(
                Sighting(
                    broker, broker, host, "MQTT broker", "a broker on this computer",
                    _listed(ordinary, topics), lasts_s=lasts_s,
                )
            )  # fmt: skip
        elif any(source.url.startswith("mqtt") for source in sources) or ordinary:
            for first in ordinary[:BRANCHES_MAX]:
                url = f"{broker}/{quote(first)}"
                around.report(
                    Sighting(
                        url, url, first or "(empty level)", "MQTT topics",
                        f"published at {host}, which is mirrored only in part",
                        _listed([first], topics), needs_login, lasts_s=lasts_s,
                    )
                )  # fmt: skip
        if SPARKPLUG in found:
            groups = sorted({t.split("/")[1] for t in topics if t.startswith(f"{SPARKPLUG}/")})
            url = broker.replace("mqtt", "sparkplug", 1)
            around.report(
                Sighting(
                    url, url, f"{', '.join(groups[:3])} at {host}", "Sparkplug B",
                    f"births and data of Sparkplug B are published at {host}",
                    "\n".join(_nodes(topics)), needs_login, lasts_s=lasts_s,
                )
            )  # fmt: skip


def brokers(mirrored: Iterable[SourceConfig], local: str) -> dict[str, list[SourceConfig]]:
    """Address of a broker -> the sources that mirror something of it."""
    found: dict[str, list[SourceConfig]] = {}
    for source in mirrored:
        broker = _broker(source.url)
        if broker:
            found.setdefault(broker, []).append(source)
    if local and _broker(local) not in found:
        found[_broker(local)] = []
    return found


def _broker(url: str) -> str:
    """scheme://host:port of a broker that a source's URL names; "" if it names none."""
    try:
        parts = urlsplit(url)
        scheme, port = SCHEMES.get(parts.scheme, ""), parts.port
    except ValueError:
        return ""
    if not scheme or not parts.hostname:
        return ""
    host = parts.hostname if parts.hostname not in ("127.0.0.1", "::1") else "localhost"
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{port or (8883 if scheme == 'mqtts' else 1883)}"


def filters_of(source: SourceConfig) -> list[str]:
    """The topic filters that a source has subscribed to."""
    said = str(source.options.get("topics", "") or "")
    if said:
        return [topic.strip() for topic in said.split(",") if topic.strip()]
    parts = urlsplit(source.url)
    path = unquote(parts.path).strip("/")
    if path:
        return [f"{path}/#"]
    is_sparkplug = parts.scheme.startswith("sparkplug")
    return [Sparkplug.default_topics if is_sparkplug else Mqtt.default_topics]


def branches(topics: Iterable[str], filters: Sequence[str]) -> list[str]:
    """The first levels of topics below which no filter asks for anything, most topics first."""
    covered = {f.split("/", 1)[0] for f in filters}
    if covered & {"#", "+"}:
        return []
    found: dict[str, int] = {}
    for topic in topics:
        first = topic.split("/", 1)[0]
        if first not in covered and not first.startswith("$"):
            found[first] = found.get(first, 0) + 1
    return sorted(found, key=lambda first: (-found[first], first))


async def topics_at(broker: str, source: SourceConfig | None, listen_s: float) -> set[str]:
    """The topics that are published or kept at a broker in a moment; bounded.

    Raises:
        Refused, OSError, SourceError: it cannot be listened to.
    """
    config = source or SourceConfig(broker, "look")
    options = {**config.options, "topics": "#", "qos": 0, "retained": True}
    looking = Mqtt(dataclasses.replace(config, url=_with_login(broker, config), options=options))
    session = looking.looking()
    topics: set[str] = set()
    enough = asyncio.Event()
    size_bytes = 0

    def received(publishes: Publishes, connection: Connection) -> None:
        nonlocal size_bytes
        size_bytes += publishes.size_bytes
        for raw in publishes.topics:
            topics.add(raw.decode("utf-8", "replace")[:500])
        connection.acknowledge(publishes.ids)
        if size_bytes > BYTES_MAX or len(topics) > TOPICS_MAX:
            enough.set()

    connection = await session.open(received)
    try:
        await connection.subscribe(session.filters, wants_retained=True)
        waits = asyncio.create_task(enough.wait())
        try:
            await asyncio.wait(
                [connection.closed, waits],
                timeout=listen_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            waits.cancel()
    finally:
        connection.disconnect(forgets_session=True)
    return topics


def _with_login(broker: str, config: SourceConfig) -> str:
    """The broker's address with the login that stands in a source's URL, if one does."""
    login, at, _ = urlsplit(config.url).netloc.rpartition("@")
    return broker.replace("://", f"://{login}@", 1) if at else broker


def _host(broker: str) -> str:
    return urlsplit(broker).netloc


def _listed(firsts: Sequence[str], topics: Iterable[str]) -> str:
    lines = [t for t in sorted(topics) if t.split("/", 1)[0] in set(firsts)]
    shown = [f"topic={topic}" for topic in lines[:8]]
    return "\n".join([*shown, *([f"topics={len(lines)}"] if len(lines) > 8 else [])])


def _nodes(topics: Iterable[str]) -> list[str]:
    """`group/node/device` of Sparkplug's topics, as lines."""
    found: set[str] = set()
    for topic in topics:
        levels = topic.split("/")
        if levels[0] == SPARKPLUG and len(levels) >= 4:
            found.add("node=" + "/".join([levels[1], *levels[3:5]]))
    return sorted(found)[:12]
