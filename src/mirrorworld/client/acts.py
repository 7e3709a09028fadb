"""Acting and waiting: commands on their road, and values as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Final

from mirrorworld.client import show
from mirrorworld.client.access import Access, Updates
from mirrorworld.client.errors import NotConfirmedError
from mirrorworld.client.values import Values
from mirrorworld.protocol import rest
from mirrorworld.protocol.rest import Problem
from mirrorworld.world import changes
from mirrorworld.world.changes import CommandState
from mirrorworld.world.model import Scalar

WAIT_S: Final = 20.0


def write(
    access: Access,
    twin: str,
    point: str,
    value: Scalar,
    *,
    unit: str = "",
    reason: str = "",
    timeout_s: float = 10.0,
    confirmed: bool = False,
) -> Command:
    """See `World.write`."""
    request = rest.CommandRequest(
        twin=twin,
        point=point,
        value=value,
        unit=unit,
        reason=reason,
        timeout_ms=round(timeout_s * 1000),
        is_confirmed=confirmed,
    )
    return Command(access, access.command(request))


def call(
    access: Access,
    twin: str,
    operation: str,
    arguments: Mapping[str, Scalar],
    *,
    reason: str = "",
    timeout_s: float = 10.0,
    confirmed: bool = False,
) -> Command:
    """See `World.call`."""
    request = rest.CommandRequest(
        twin=twin,
        operation=operation,
        arguments=dict(arguments),
        reason=reason,
        timeout_ms=round(timeout_s * 1000),
        is_confirmed=confirmed,
    )
    return Command(access, access.command(request))


class Command:
    """A request to the real thing, and how far it has come."""

    def __init__(self, access: Access, command: changes.Command) -> None:
        self._access = access
        self.command = command
        """As it was last heard of."""

    @property
    def id(self) -> str:
        """By which it is found again."""
        return self.command.id

    @property
    def state(self) -> CommandState:
        """Where it is on its road, as last heard."""
        return self.command.state

    @property
    def detail(self) -> str:
        """Why it was refused, failed or expired; what the source reported."""
        return self.command.detail

    @property
    def results(self) -> dict[str, Scalar]:
        """What the operation gave back."""
        return dict(self.command.results)

    def wait(self, timeout_s: float | None = None) -> Command:
        """Waits until the source's own report confirms it.

        Args:
            timeout_s: None: as long as the command itself has, and a little more.

        Raises:
            NotConfirmedError: it was refused, failed or expired; the message says why.
            TimeoutError: it is not decided yet.
        """
        left = self.command.timeout_ms / 1000 + 5 if timeout_s is None else timeout_s
        while not self.state.is_final:
            if left <= 0:
                raise TimeoutError(f"command {self.id} is still {self.state.name.lower()}")
            wait_s = min(left, WAIT_S)
            self.command = self._access.command_of(self.id, wait_s)
            left -= wait_s
        if self.state is not CommandState.CONFIRMED:
            place = f"{self.command.twin}.{self.command.point or self.command.operation}"
            said = f"the command {_SAID[self.state]}"
            raise NotConfirmedError(
                Problem(f"{said}: {self.detail}" if self.detail else said, place)
            )
        return self

    def __repr__(self) -> str:
        what = self.command.point or self.command.operation
        return f"<Command {self.command.twin}.{what} {self.state.name.lower()}>"

    def _repr_html_(self) -> str:
        return show.command(self.command)


_SAID = {
    CommandState.REFUSED: "was refused",
    CommandState.EXPIRED: "expired",
    CommandState.FAILED: "failed",
}


class Subscription:
    """New values of points: iterate over it, plainly or with `async for`; close it.

    Each step is a list of the points that changed since the one before, each with its latest
    value. Who is slow gets fewer and newer steps; every change is in the history.
    """

    def __init__(self, updates: Updates) -> None:
        self._updates = updates

    def next(self, timeout_s: float | None = None) -> Values:
        """The next values; TimeoutError if none come in time."""
        return Values(self._updates.next(timeout_s))

    def close(self) -> None:
        """Ends it; whoever iterates comes to an end."""
        self._updates.close()

    def __iter__(self) -> Iterator[Values]:
        for values in self._updates:
            yield Values(values)

    async def __aiter__(self) -> AsyncIterator[Values]:
        while True:
            try:
                yield await asyncio.to_thread(self.next, None)
            except EOFError:
                return

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
