"""The contract of the Format port: what every format must do, with one canonical world."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mirrorworld.world.changes import (
    Change,
    Edits,
    Origin,
    OriginKind,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.frames import frame
from mirrorworld.world.model import (
    Kind,
    OperationType,
    PointType,
    Pose,
    Property,
    Relation,
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.ports import Format
from mirrorworld.world.world import World

_ORIGIN = Origin(OriginKind.AUTHORED, "contract")


def canonical_world() -> World:
    """One small world that has everything: what formats round-trip."""
    world = World("canonical")
    edits = Edits(
        (
            PutType(TwinType("urn:mw:Machine", Text((("en", "Machine"), ("de", "Maschine"))))),
            PutType(
                TwinType(
                    "urn:mw:Pump",
                    Text((("en", "Pump"), ("de", "Pumpe"))),
                    extends=("urn:mw:Machine",),
                    points=(
                        PointType("flow", unit="m3/h", low=0, high=100),
                        PointType("mode", Kind.ENUM, labels=((0, "off"), (1, "on"))),
                        PointType("note", Kind.TEXT),
                    ),
                    operations=(OperationType("purge", (PointType("time", unit="s"),)),),
                    semantic_ids=("0173-1#01-AKE795#017",),
                )
            ),
            PutTwin(Twin("hall", name=Text.of("Hall"))),
            PutTwin(
                Twin(
                    "hall/pump",
                    "urn:mw:Pump",
                    Text((("en", "Pump 1"), ("de", "Pumpe 1"))),
                    (
                        Property("SerialNumber", "P-0001"),
                        Property("Mass", 12.5, "xs:double", "kg", ("0173-1#02-AAB713#005",)),
                        Property("Address", (Property("Street", Text((("de", "Weg 1"),))),)),
                    ),
                    pose=Pose(1.0, 0.0, 2.0),
                )
            ),
            PutRelation(
                Relation("part_of", "hall/pump", "hall", properties=(Property("since", 2024),))
            ),
        )
    )
    world.apply(Change(edits, _ORIGIN, 1))
    values = frame(np.array([0]), np.array([12.0]), 1)
    world.apply(Change(values, Origin(OriginKind.MEASURED, "plant"), 1))
    return world


def check_format(format_: Format, folder: Path) -> None:
    """Export and import the canonical world: what comes back is equal, or reported as lost; a
    second round changes nothing; a file that is not one is refused by name.

    Raises:
        AssertionError: the format breaks the contract.
    """
    world = canonical_world()
    before = world.state_hash()
    path = folder / f"world{format_.suffixes[0]}"
    exported = format_.export(world, path)
    assert world.state_hash() == before, "an export changes nothing"
    assert exported.twins == len(world.structure.twins)
    edits, carried = format_.import_(path)
    again = World("again")
    again.apply(Change(edits, _ORIGIN, 1))
    lost_places = {place for place, _ in (*exported.lost, *carried.lost)}
    for twin_id, twin in world.structure.twins.items():
        if twin_id not in lost_places:
            assert again.structure.twins[twin_id] == twin, f"{twin_id} is changed and not reported"
    assert set(again.structure.relations) == set(world.structure.relations)
    second = folder / f"second{format_.suffixes[0]}"
    format_.export(again, second)
    more, _ = format_.import_(second)
    again.apply(Change(more, _ORIGIN, 2))
    assert again.apply(Change(more, _ORIGIN, 3)).change is None, "importing twice changes nothing"
    broken = folder / f"broken{format_.suffixes[0]}"
    broken.write_bytes(b"\x00not a file of this format")
    try:
        format_.import_(broken)
    except ValueError as error:
        assert str(broken) in str(error), f"the refusal does not name the file: {error}"
    else:
        raise AssertionError("a broken file was taken")
