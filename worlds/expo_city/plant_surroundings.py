"""Weather, air and visitors as a process.

`python -m mirrorworld_worlds.expo_city.plant_surroundings` runs it.
Air stations and the counters at the pavilions put JSON over Zenoh, a mast and the turnstiles of the
gates publish it over MQTT, each under a key or topic of its own, with the plant's time. The sources
of what is in the air stay in here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import zenoh

from ..mqtt_publisher import Publisher
from .air import POLLUTANTS, Air
from .options import clock_of, parser, run, site_of
from .site import QUARTERS
from .visitors import GATES, Crowd
from .weather import Weather

ROOT: Final = "expo"
REPORT_S: Final = 5.0
"""Wall seconds between two messages of a topic."""
RECONNECT_S: Final = 1.0


class SurroundingsPart:
    """Air and crowd, and their messages."""

    def __init__(self, options: argparse.Namespace) -> None:
        host, _, port = options.mqtt.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"--mqtt '{options.mqtt}': give it as host:port")
        self._host, self._port = host, int(port)
        self._clock = clock_of(options)
        self._site = site_of(options.buildings, options.points)
        day_s = self._clock.day_s(0.0)
        self._air = Air(self._site, options.seed, day_s)
        self._crowd = Crowd(self._site, options.seed, day_s)
        self._zenoh_port = options.zenoh_port
        self._zenoh: zenoh.Session | None = None
        self._publisher: Publisher | None = None
        self._reconnect: asyncio.Task[None] | None = None
        self._at_tick = 0

    async def start(self) -> dict[str, object]:
        await self._connect()
        config = zenoh.Config()
        config.insert_json5("mode", '"peer"')
        config.insert_json5("listen/endpoints", f'["tcp/127.0.0.1:{self._zenoh_port}"]')
        config.insert_json5("scouting/multicast/enabled", "false")
        self._zenoh = await asyncio.to_thread(zenoh.open, config)
        return {"zenoh": self._zenoh_port, "keys": len(self._over_zenoh(0))}

    async def stop(self) -> None:
        if self._reconnect is not None:
            self._reconnect.cancel()
        if self._publisher is not None:
            await self._publisher.close()
        if self._zenoh is not None:
            await asyncio.to_thread(self._zenoh.close)

    async def _connect(self) -> None:
        publisher = Publisher(lambda topic, payload: None)
        await publisher.connect(
            self._host, self._port, "expo-surroundings", f"{ROOT}/surroundings/state", b"gone"
        )
        self._publisher = publisher

    async def _connect_again(self) -> None:
        try:
            await self._connect()
        except ConnectionError:
            await asyncio.sleep(RECONNECT_S)

    async def tick(self, elapsed_s: float) -> None:
        day_s, stamp_ns = self._clock.day_s(elapsed_s), self._clock.stamp_ns(elapsed_s)
        self._air.advance(day_s)
        self._crowd.advance(day_s)
        # Putting may wait for who is behind, so it has a thread.
        await asyncio.to_thread(self._put, self._over_zenoh(stamp_ns))
        publisher = self._publisher
        if publisher is None or publisher.closed.is_set():
            if self._reconnect is None or self._reconnect.done():
                self._reconnect = asyncio.create_task(self._connect_again())
            return
        for topic, message in self._over_mqtt(stamp_ns).items():
            publisher.publish(f"{ROOT}/{topic}", json.dumps(message).encode())

    def _put(self, messages: dict[str, dict[str, Any]]) -> None:
        assert self._zenoh is not None
        for key, message in messages.items():
            block = zenoh.CongestionControl.BLOCK
            self._zenoh.put(f"{ROOT}/{key}", json.dumps(message), congestion_control=block)

    def _over_zenoh(self, stamp_ns: int) -> dict[str, dict[str, Any]]:
        """Key below the root -> object: air and visitors."""
        time, out = _text_of(stamp_ns), {}
        for station, row in zip(self._air.stations, self._air.read(), strict=True):
            values = zip(POLLUTANTS, row.tolist(), strict=True)
            out[f"air/{station.id}"] = {"time": time, **{k: round(v, 2) for k, v in values}}
        inside = np.floor(self._crowd.inside + 0.5).astype(int).tolist()
        waiting = np.floor(self._crowd.waiting + 0.5).astype(int).tolist()
        for building, people, queue in zip(self._site.buildings, inside, waiting, strict=True):
            if building.archetype.is_pavilion:
                key = f"visitors/{QUARTERS[building.quarter][0]}/{building.id}"
                minutes = round(queue / max(1.0, people / 26.0), 1)
                out[key] = {"time": time, "inside": people, "queue": queue, "wait": minutes}
        return out

    def _over_mqtt(self, stamp_ns: int) -> dict[str, dict[str, Any]]:
        """Topic below the root -> object: weather and gates."""
        time, crowd = _text_of(stamp_ns), self._crowd
        out: dict[str, dict[str, Any]] = {
            "weather/mast": {"time": time, **_mast(self._air.weather)}
        }
        for (english, _, _), come, gone in zip(GATES, crowd.entered, crowd.left, strict=True):
            name = english.replace(" ", "-")
            out[f"gates/{name}"] = {"time": time, "entered": int(come), "left": int(gone)}
        on_site = int(crowd.entered.sum() - crowd.left.sum())
        out["gates/all"] = {"time": time, "on_site": on_site, "walking": int(crowd.walking)}
        return out


def _text_of(stamp_ns: int) -> str:
    return datetime.fromtimestamp(stamp_ns / 1e9, UTC).isoformat()


def _mast(weather: Weather) -> dict[str, float]:
    return {
        "temperature": round(weather.temperature_c, 2),
        "humidity": round(weather.humidity_percent, 1),
        "pressure": round(weather.pressure_hpa, 2),
        "wind_speed": round(weather.wind_m_s, 2),
        "wind_from": round(weather.wind_from_deg, 1),
        "irradiance": round(weather.irradiance_w_m2, 1),
        "cloud_cover": round(100.0 * weather.cloud, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the surroundings until they are told to stop; returns the exit status."""
    options_of = parser(__doc__)
    options_of.add_argument("--mqtt", required=True, help="broker as host:port")
    options_of.add_argument("--zenoh-port", type=int, required=True)
    options = options_of.parse_args(arguments)
    options.tick_s = REPORT_S
    return run(lambda: SurroundingsPart(options), options, "surroundings")


if __name__ == "__main__":
    sys.exit(main())
