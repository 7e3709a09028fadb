"""The buildings as a process: `python -m mirrorworld_worlds.expo_city.plant_buildings`.

It advances all rooms in real time (or faster), reports through their gateways over Sparkplug B, and
serves the energy centre that feeds them over OPC UA. Its inner truth stays in here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from .buildings import Buildings
from .energy import NAMESPACE, Energy, things
from .gateways import Gateways
from .opcua_tables import TableServer
from .options import clock_of, parser, run, site_of
from .site import QUARTERS

LOOK_S: Final = 1.0
"""Plant seconds between two steps of the rooms: between them only instruments flicker."""


class BuildingsPart:
    """Rooms and gateways."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._clock = clock_of(options)
        self._plant = Buildings(
            site_of(options.buildings, options.points), options.seed, self._clock.day_s(0.0)
        )
        self._gateways = Gateways(
            self._plant, options.mqtt, options.seed, tuple(english for english, _ in QUARTERS),
            all_change=options.all_change,
        )  # fmt: skip
        self._energy = Energy(self._plant, options.seed)
        self._server = TableServer(
            "energy", NAMESPACE, options.host, options.opcua_port,
            things(self._plant.site, self._energy),
        )  # fmt: skip
        self._looked_s = -LOOK_S

    async def start(self) -> dict[str, object]:
        await self._server.start()
        await self._gateways.start()
        return {
            "opcua": self._server.url,
            "points": self._gateways.columns.n + self._server.n_points,
        }

    async def tick(self, elapsed_s: float) -> None:
        if elapsed_s - self._looked_s >= LOOK_S:
            since_s, self._looked_s = elapsed_s - self._looked_s, elapsed_s
            self._plant.advance(self._clock.day_s(elapsed_s))
            self._gateways.look()
            values = self._energy.step(since_s)
            await self._server.report(values, self._clock.stamp_ns(elapsed_s))
        self._gateways.report(self._clock.stamp_ns(elapsed_s))

    async def stop(self) -> None:
        await self._gateways.stop()
        await self._server.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the buildings until they are told to stop; returns the exit status."""
    options_of = parser(__doc__)
    options_of.add_argument("--mqtt", required=True, help="broker as host:port")
    options_of.add_argument("--opcua-port", type=int, required=True)
    options_of.add_argument("--all-change", action="store_true")
    options = options_of.parse_args(arguments)
    return run(lambda: BuildingsPart(options), options, "buildings")


if __name__ == "__main__":
    sys.exit(main())
