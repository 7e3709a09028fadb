"""The first guard: roles. Who may do what, whatever the twin; sources only to what is theirs."""

from __future__ import annotations

from typing import Final

from mirrorworld.world.ports import Action, Decision, Principal

VIEWER: Final = "viewer"
OPERATOR: Final = "operator"
ENGINEER: Final = "engineer"
OWNER: Final = "owner"
SOURCE: Final = "source"
MODEL: Final = "model"

_MAY: Final = {
    VIEWER: {Action.READ},
    OPERATOR: {Action.READ, Action.COMMAND, Action.ACKNOWLEDGE, Action.WRITE},
    ENGINEER: {
        *(Action.READ, Action.COMMAND, Action.ACKNOWLEDGE, Action.WRITE),
        *(Action.EDIT, Action.ARM),
    },
    OWNER: set(Action) - {Action.DECLARE},
    SOURCE: {Action.DECLARE},
    MODEL: {Action.READ, Action.DECLARE},
}


class RoleGuard:
    """Decides by role. A source may declare only itself and what lies below its name."""

    is_by_twin = False
    """What people see never depends on the twin, so whoever shows a world need ask but once."""

    def may(self, who: Principal, action: Action, twin: str, purpose: str, now_ns: int) -> Decision:
        """See `Guard`."""
        fitting = [role for role in who.roles if action in _MAY.get(role, ())]
        if not fitting:
            needed = ", ".join(role for role, may in _MAY.items() if action in may)
            return Decision(
                False, f"{who.id} may not {action.value} {twin}: needs the role {needed}"
            )
        if fitting == [SOURCE] and twin != who.id and not twin.startswith(f"{who.id}/"):
            return Decision(
                False, f"source {who.id} may not declare {twin}: its twins begin with '{who.id}/'"
            )
        return Decision(True)


def principal(name: str, *roles: str) -> Principal:
    """A principal of that name with those roles."""
    return Principal(name, frozenset(roles))
