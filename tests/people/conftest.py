"""A served world for people to meet in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from mirrorworld.live.guard import RoleGuard
from mirrorworld.people import routes
from mirrorworld.people.hub import Hub
from mirrorworld.server import context as context_module
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from tests.server.stand_in import Served, StandIn, line, served

PASSWORD = "correct horse battery"


@dataclass
class Meeting:
    """The world, its accounts, and its hub as the server has it."""

    served: Served
    accounts: Accounts
    hubs: list[Hub]

    @property
    def url(self) -> str:
        return self.served.url

    @property
    def hub(self) -> Hub:
        return self.hubs[-1]


def guarded(accounts: Accounts) -> StandIn:
    """The line, behind the real guard."""
    mirror = line()
    relations = mirror.world.structure
    mirror.guard = GrantGuard(  # pyright: ignore[reportAttributeAccessIssue]
        RoleGuard(), accounts, lambda twin: ["line1"] if twin in relations.twins else []
    )
    return mirror


@pytest.fixture
def hubs(monkeypatch: pytest.MonkeyPatch) -> list[Hub]:
    """The hubs that servers make."""
    made: list[Hub] = []

    class Noted(Hub):
        def __init__(self, context: context_module.Context) -> None:
            super().__init__(context)
            made.append(self)

    monkeypatch.setattr(routes, "Hub", Noted)
    return made


@pytest.fixture
async def here(hubs: list[Hub]) -> AsyncIterator[Meeting]:
    """A served world with accounts: ada owns it, vic may look, sub sees the filler only."""
    accounts = Accounts()
    for name, grant in (
        ("ada", Grant("owner")),
        ("vic", Grant("viewer")),
        ("opa", Grant("operator")),
        ("sub", Grant("viewer", "line1/filler")),
    ):
        accounts.add_person(name, PASSWORD, (grant,))
    async with served(guarded(accounts), accounts=accounts, routers=[routes.router]) as running:
        yield Meeting(running, accounts, hubs)
