"""What a webhook answers. Programs read it; the page does not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HookTaken:
    """A call that was taken and is durable."""

    samples: int
    is_repeated: bool = False
    """Whether it was taken before and recognised by its key."""
    detail: str = ""
