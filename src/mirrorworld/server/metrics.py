"""Numbers for Prometheus, read off the mirror when they are asked for; nothing is kept twice."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mirrorworld.server.context import Context
from mirrorworld.world.ports import LinkState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MirrorCollector(Collector):
    """One mirror's numbers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """All of them, as they are now."""
        yield from self._world()
        yield from self._sources()
        yield from self._viewers()

    def _world(self) -> Iterator[Metric]:
        mirror = self._context.mirror
        world = mirror.world
        gauges = {
            "epoch": (world.position.epoch, "Which opening of the record this is"),
            "sequence": (world.position.sequence, "Latest change"),
            "durable_sequence": (mirror.durable.sequence, "Up to where the record is on disk"),
            "durable_lag_changes": (
                world.position.sequence - mirror.durable.sequence,
                "Changes that are applied and not on disk yet",
            ),
            "twins": (len(world.structure.twins), "Living twins"),
            "points": (world.n_points, "Points"),
            "events_active": (sum(e.is_active for e in world.events.values()), "Active conditions"),
            "commands_open": (
                sum(not c.state.is_final for c in world.commands.values()),
                "Commands that are not decided",
            ),
        }
        for name, (value, documentation) in gauges.items():
            yield GaugeMetricFamily(f"mirrorworld_{name}", documentation, value)
        queued = GaugeMetricFamily(
            "mirrorworld_queue_length", "How full a bounded queue is", labels=["queue"]
        )
        limit = GaugeMetricFamily("mirrorworld_queue_limit", "How full it may be", labels=["queue"])
        for name, (length, most) in mirror.queues.items():
            queued.add_metric([name], length)
            limit.add_metric([name], most)
        yield from (queued, limit)

    def _sources(self) -> Iterator[Metric]:
        mirror = self._context.mirror
        rows = CounterMetricFamily(
            "mirrorworld_rows", "What became of samples", labels=["source", "fate"]
        )
        for source, tally in mirror.world.tallies.items():
            for fate in tally.__slots__:
                rows.add_metric([source, fate], getattr(tally, fate))
        yield rows
        counts = CounterMetricFamily(
            "mirrorworld_dropped",
            "What connectors dropped or refused, by their own names",
            labels=["source", "what"],
        )
        link = GaugeMetricFamily(
            "mirrorworld_link", "1: the source's link is in this state", labels=["source", "state"]
        )
        for status in mirror.sources():
            for what, n in status.counts.items():
                counts.add_metric([status.name, what], n)
            for state in LinkState:
                link.add_metric([status.name, state.value], state is status.link.state)
        if mirror.around is not None:
            for what, n in mirror.around.counts.items():
                counts.add_metric(["discovery", what], n)
        for what, n in self._context.desk.counts.items():
            counts.add_metric(["notes", what], n)
        yield from (counts, link)

    def _viewers(self) -> Iterator[Metric]:
        views = self._context.views
        yield GaugeMetricFamily("mirrorworld_viewers", "Open streams", views.viewers)
        yield CounterMetricFamily(
            "mirrorworld_deltas_encoded", "Deltas and news that were encoded", views.encoded
        )
        yield CounterMetricFamily(
            "mirrorworld_deltas_shared", "Those that a further viewer was sent too", views.shared
        )


def page(context: Context) -> bytes:
    """The numbers in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MirrorCollector(context))
    return generate_latest(registry)
