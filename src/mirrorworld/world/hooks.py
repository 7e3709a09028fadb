"""The door for what others post: a connector may take webhooks, which the server hands to it.

The server bounds what it reads and knows no secret; the connector decides who may post and
answers when what was posted is durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What became of a call."""

    status: int
    """HTTP: 200 taken and durable, 401 not by its secret, 413 too large, 422 not readable, 429 too
    many, 503 not now."""
    detail: str = ""
    mend: str = ""
    retry_after_s: int = 0
    """For 429 and 503: when to try again."""
    samples: int = 0
    """How many were taken."""
    is_repeated: bool = False
    """Whether it was taken before and recognised by its key."""


@runtime_checkable
class ReceivesHooks(Protocol):
    """A connector may be this too: others post to it by the server."""

    hook: str
    """The name below `/api/hooks/`."""

    async def receive(self, body: bytes, headers: Mapping[str, str]) -> HookAnswer:
        """Takes what was posted; header names are in small letters. It answers 200 only after
        everything of it is on disk, and raises OSError where the record cannot be written."""
        ...
