"""Answers that need the mirror beside its world: the world at a glance, and its sources."""

from __future__ import annotations

from mirrorworld.protocol import rest
from mirrorworld.protocol.answers import rows
from mirrorworld.server.mirrored import Mirrored, SourceStatus
from mirrorworld.server.sight import Sight


def source(status: SourceStatus) -> rest.Source:
    """A source as it stands."""
    tally = {name: getattr(status.tally, name) for name in status.tally.__slots__}
    return rest.Source(
        name=status.name,
        url=status.url,
        connector=status.kind,
        state=status.link.state.value,
        detail=status.link.detail,
        since_ns=status.link.since_ns,
        tally=tally,
        counts=dict(status.counts),
        pending=[rest.Pending(p.fingerprint, p.subject, p.detail) for p in status.pending],
    )


def first_ns(mirror: Mirrored) -> int:
    """Source time from which there is a past; 0: none yet, or the record does not know."""
    return int(getattr(mirror.record, "first_ns", 0))


def world_info(mirror: Mirrored, sight: Sight, version: str, features: list[str]) -> rest.WorldInfo:
    """A world at a glance."""
    world = mirror.world
    return rest.WorldInfo(
        id=world.id,
        position=str(world.position),
        durable=str(mirror.durable),
        twins=len(world.structure.twins),
        points=world.n_points,
        types=len(world.structure.types),
        relations=len(world.structure.relations),
        active_events=sum(event.is_active for event in world.events.values()),
        open_commands=sum(not command.state.is_final for command in world.commands.values()),
        now_ns=mirror.now_ns(),
        version=version,
        principal=rest.Who(sight.who.id, sorted(sight.who.roles)),
        first_ns=first_ns(mirror),
        rows=rows(world),
        features=features,
    )
