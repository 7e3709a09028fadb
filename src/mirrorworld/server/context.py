"""What the routes share: the mirror, the views of it, and the threads that read its past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mirrorworld.server.attached import Attached, Examine
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.server.network import Network
from mirrorworld.server.past import Past
from mirrorworld.server.quantities import Quantities
from mirrorworld.server.sight import Sights
from mirrorworld.server.views import Views
from mirrorworld.server.writing import Desk
from mirrorworld.trust.accounts import Accounts
from mirrorworld.trust.oidc import Exchange
from mirrorworld.trust.passkeys import Passkeys


@dataclass(slots=True)
class Context:
    """One application's own things."""

    mirror: Mirrored
    version: str
    assets: Path | None
    static_dir: Path | None
    features: list[str]
    accounts: Accounts
    exchanges: dict[str, Exchange] = field(default_factory=dict[str, Exchange])
    """Providers that vouch for people, by name."""
    network: Network | None = None
    """How others than this machine reach it; None: they do not."""
    passkeys: Passkeys = field(default_factory=Passkeys)
    examiners: Mapping[str, Examine] = field(default_factory=dict[str, Examine])
    """What looks into files that are attached, by media type."""
    views: Views = field(init=False)
    sights: Sights = field(init=False)
    past: Past = field(init=False)
    attached: Attached = field(init=False)
    quantities: Quantities = field(init=False)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.views = Views(self.mirror)
        self.sights = Sights(self.mirror)
        self.accounts.listeners.append(lambda gone: self.sights.forget(gone.person))
        self.past = Past()
        self.attached = Attached(self.mirror, self.examiners)
        self.quantities = Quantities(self.mirror.world)
        self.desk = Desk(self.mirror, self.attached, self.views)
