"""What the routes share: the mirror, the views of it, and the threads that read its past."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mirrorworld.server.mirrored import Mirrored
from mirrorworld.server.past import Past
from mirrorworld.server.sight import Sights
from mirrorworld.server.views import Views


@dataclass(slots=True)
class Context:
    """One application's own things."""

    mirror: Mirrored
    version: str
    assets: Path | None
    static_dir: Path | None
    features: list[str]
    views: Views = field(init=False)
    sights: Sights = field(init=False)
    past: Past = field(init=False)

    def __post_init__(self) -> None:
        self.views = Views(self.mirror)
        self.sights = Sights(self.mirror)
        self.past = Past()
