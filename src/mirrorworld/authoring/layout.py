"""Who placed, moved, turned and deleted what, and when: a step for each edit of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from mirrorworld.protocol.authoring import LayoutStep
from mirrorworld.world.changes import (
    Change,
    DropTwin,
    Edits,
    OriginKind,
    PutPose,
    PutTwin,
    Unsay,
)
from mirrorworld.world.model import Pose
from mirrorworld.world.undoing import undone_by

SHOWN: Final = 20
"""Twins of one step that are named."""
REASON_MAX: Final = 300
BACK: Final = "took back"
_TURNED: Final = 1e-4
"""A difference of a quaternion's parts that is a turn."""


def steps(
    changes: Iterable[Change], sees: Callable[[str], bool] = lambda _: True
) -> list[LayoutStep]:
    """The edits of people that placed, moved, turned or deleted twins, oldest first.

    Args:
        sees: whether a twin is told of.
    """
    found: dict[str, LayoutStep] = {}
    poses: dict[str, Pose] = {}
    for change in changes:
        if not isinstance(change.body, Edits):
            continue
        verbs = _verbs(change.body, poses)
        twins = [twin for twin in verbs if sees(twin)]
        if change.origin.kind != OriginKind.AUTHORED or not twins:
            continue
        back = undone_by(change.body)
        if back in found:
            found[back] = replace(found[back], is_undone=True)
        if set(verbs.values()) == {"deleted"}:
            twins.reverse()  # parts are ended before what they are part of
        said = BACK if back else _strongest(verbs[twin] for twin in twins)
        at = str(change.position)
        found[at] = LayoutStep(
            at,
            change.origin.by,
            change.received_ns / 1e6,
            said,
            twins[:SHOWN],
            len(twins),
            "" if back else change.body.reason[:REASON_MAX],
        )
    return list(found.values())


def _verbs(edits: Edits, poses: dict[str, Pose]) -> dict[str, str]:
    """What edits did with where twins stand, and where they stand now."""
    found: dict[str, str] = {}
    for edit in edits.edits:
        match edit:
            case PutTwin(twin=twin):
                if twin.pose is not None:
                    poses[twin.id] = twin.pose
                found[twin.id] = "placed"
            case DropTwin(id=twin_id):
                poses.pop(twin_id, None)
                found[twin_id] = "deleted"
            case PutPose(twin=twin_id, pose=pose):
                verb = "turned" if _is_turned(poses.get(twin_id, Pose()), pose) else "moved"
                found.setdefault(twin_id, verb)
                poses[twin_id] = pose
            case Unsay(twin=twin_id, what="PutPose"):
                found.setdefault(twin_id, "moved")
            case _:
                pass
    return found


def _is_turned(one: Pose, other: Pose) -> bool:
    parts = ((one.qx, other.qx), (one.qy, other.qy), (one.qz, other.qz), (one.qw, other.qw))
    return any(abs(a - b) > _TURNED for a, b in parts)


def _strongest(verbs: Iterable[str]) -> str:
    """One word for several: a new thing that also stands somewhere was placed."""
    said = set(verbs)
    return next(verb for verb in ("placed", "deleted", "turned", "moved") if verb in said)
