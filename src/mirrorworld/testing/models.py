"""The contract of the Model port: what everything that thinks over a world must keep to."""

from __future__ import annotations

from mirrorworld.world.changes import OriginKind
from mirrorworld.world.ports import Model
from mirrorworld.world.world import World


def check_model(model: Model, world: World, until_ns: int) -> int:
    """A model changes nothing itself, says whose its changes are, and comes to rest: what it adds
    is taken by the world, and a second step at the same time adds nothing more.

    Returns how many changes the first step added.

    Raises:
        AssertionError: the model breaks the contract.
    """
    assert model.name
    assert model.origin is not OriginKind.MEASURED, "only sources measure"
    before = world.state_hash()
    changes = list(model.step(world, until_ns))
    assert world.state_hash() == before, "a model applies nothing itself"
    for change in changes:
        assert change.origin.kind is model.origin
        assert change.origin.by == model.name
        assert change.received_ns <= until_ns, "a model does not run ahead of its time"
        world.apply(change)
    rest = world.state_hash()
    for change in model.step(world, until_ns):
        world.apply(change)
    assert world.state_hash() == rest, "a second step at the same time adds something"
    return len(changes)
