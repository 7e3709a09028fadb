"""The guard of a world with accounts: roles everywhere, and roles on a part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from mirrorworld.trust.accounts import Accounts, is_below
from mirrorworld.world.ports import Action, Decision, Guard, Principal

DEPTH_MAX: Final = 32


class GrantGuard:
    """Asks the guard of roles first, then whether the role was granted on this twin.

    A grant on a part holds for the twin itself, for all whose id begins with its id, and for all
    that is part of it by relation.

    Args:
        roles: decides by role alone; see `mirrorworld.live.guard.RoleGuard`.
        accounts: where grants are kept.
        wholes: ids of what a twin is part of, or located in.
    """

    is_by_twin = True

    def __init__(
        self, roles: Guard, accounts: Accounts, wholes: Callable[[str], Iterable[str]]
    ) -> None:
        self._roles = roles
        self._accounts = accounts
        self._wholes = wholes

    def sees_whole(self, who: Principal) -> bool:
        """Whether what this principal sees never depends on the twin."""
        return self._roles.may(who, Action.READ, "", "view", 0).allowed

    def may(self, who: Principal, action: Action, twin: str, purpose: str, now_ns: int) -> Decision:
        """See `Guard`."""
        by_role = self._roles.may(who, action, twin, purpose, now_ns)
        if by_role.allowed:
            return by_role
        for grant in self._accounts.grants_of(who.id):
            if not grant.subtree:
                continue
            as_if = Principal(who.id, frozenset({grant.role}))
            if not self._roles.may(as_if, action, twin, purpose, now_ns).allowed:
                continue
            # The world as such may be looked at by whoever may see a part of it; the rest of
            # what concerns it as a whole is not theirs.
            if not twin:
                if action is Action.READ:
                    return Decision(True)
                continue
            if self._is_part(twin, grant.subtree):
                return Decision(True)
        return by_role

    def _is_part(self, twin: str, subtree: str) -> bool:
        if is_below(twin, subtree):
            return True
        seen = {twin}
        above = [twin]
        for _ in range(DEPTH_MAX):
            above = [whole for each in above for whole in self._wholes(each) if whole not in seen]
            if not above:
                return False
            if any(is_below(whole, subtree) for whole in above):
                return True
            seen.update(above)
        return False
