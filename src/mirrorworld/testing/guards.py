"""The contract of the Guard port: what every guard must answer."""

from __future__ import annotations

from mirrorworld.world.ports import Action, Guard, Principal


def check_guard(guard: Guard, owner: Principal, source: Principal) -> None:
    """A guard lets nobody in by default, gives reasons, and keeps sources to what is theirs.

    Args:
        owner: who may read, edit, command and arm under this guard.
        source: a source's principal; its twins begin with its id and '/'.

    Raises:
        AssertionError: the guard breaks the contract.
    """
    stranger = Principal("stranger")
    for action in Action:
        decision = guard.may(stranger, action, "line/filler", "", 0)
        assert not decision.allowed, f"a stranger may {action.value}"
        assert "stranger" in decision.reason, "the reason does not say who"
        assert action.value in decision.reason, "the reason does not say what"
    for action in (Action.READ, Action.EDIT, Action.COMMAND, Action.ARM):
        assert guard.may(owner, action, "line/filler", "", 0).allowed
    own = f"{source.id}/pump"
    assert guard.may(source, Action.DECLARE, own, "", 0).allowed
    assert guard.may(source, Action.DECLARE, source.id, "", 0).allowed
    for foreign in ("other/pump", f"{source.id}x/pump"):
        decision = guard.may(source, Action.DECLARE, foreign, "", 0)
        assert not decision.allowed, f"a source declares {foreign}"
        assert foreign in decision.reason, "the reason does not say which twin"
    for action in (Action.COMMAND, Action.EDIT, Action.ARM, Action.ADMINISTER):
        assert not guard.may(source, action, own, "", 0).allowed, f"a source may {action.value}"
