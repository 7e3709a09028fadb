"""The first guard keeps the contract of guards."""

from __future__ import annotations

import pytest

from mirrorworld.live.guard import ENGINEER, OPERATOR, OWNER, SOURCE, VIEWER, RoleGuard, principal
from mirrorworld.testing.guards import check_guard
from mirrorworld.world.ports import Action


def test_it_keeps_the_contract() -> None:
    check_guard(RoleGuard(), principal("owner", OWNER), principal("line", SOURCE))


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        (VIEWER, {Action.READ}, {Action.COMMAND, Action.EDIT, Action.ARM, Action.ACKNOWLEDGE}),
        (OPERATOR, {Action.COMMAND, Action.ACKNOWLEDGE}, {Action.ARM, Action.EDIT}),
        (ENGINEER, {Action.ARM, Action.EDIT, Action.COMMAND}, {Action.ADMINISTER, Action.DECLARE}),
    ],
)
def test_roles(role: str, may: set[Action], may_not: set[Action]) -> None:
    guard, who = RoleGuard(), principal("kim", role)
    assert all(guard.may(who, action, "x", "", 0).allowed for action in may)
    assert not any(guard.may(who, action, "x", "", 0).allowed for action in may_not)
