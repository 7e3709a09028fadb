"""Where a world publishes and as whom, and whose certificate its sources show.

Off the machine nothing goes without TLS, and who is at the other end is known by a certificate of
one authority: the world's own, or the operator's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mirrorworld.connectors.zenoh_session import Place, is_exposed, place_of
from mirrorworld.live.sources import ConnectorClass
from mirrorworld.trust import authority
from mirrorworld.world.ports import Connector, SourceConfig

TLS_SCHEMES: Final = ("site+tls", "zenoh+tls")


def published(to: str, site: str, identity: Path | None) -> tuple[str, Place]:
    """(site, place) that a world is published as.

    Args:
        to: the address of the centre, or one to listen on.
        site: its name; "": that of the identity.
        identity: a directory with `authority.pem`, `site.pem` and `site.key`; needed over TLS.

    Raises:
        ValueError: it cannot be; the message says what to give.
    """
    names = ("authority.pem", "site.pem", "site.key")
    ca, certificate, key = (str((identity / n).resolve()) if identity else "" for n in names)
    if not to.startswith(("zenoh://", "zenoh+tls://")):
        raise ValueError(f"{to}: an address to publish at reads like zenoh+tls://centre:7447")
    if to.startswith("zenoh+tls://") and identity is None:
        raise ValueError(f"{to}: over TLS a site has an --identity (`mirrorworld identity`)")
    place, path = place_of(to, ca=ca, certificate=certificate, key=key)
    if path:
        raise ValueError(f"{to}: it names the site by its path; --site says it")
    if is_exposed(place):
        raise ValueError(
            f"{to}: leaves this machine, and without TLS anyone could read and forge it; write"
            " zenoh+tls:// and give an --identity"
        )
    if identity is not None:
        own = authority.name_in(identity / "site.pem")
        if site and site != own:
            raise ValueError(f"--site {site}: the identity is that of {own}")
        site = own
    if not site:
        raise ValueError("--site is missing: the name of this site")
    return site, place


def identified(connectors: Mapping[str, ConnectorClass], directory: Path) -> dict[str, Any]:
    """The connectors of a world, those over TLS with the world's own certificate where a source
    names none.

    Args:
        directory: of the world's authority.
    """
    found = dict(connectors)
    for scheme in TLS_SCHEMES:
        if scheme in found:
            found[scheme] = _Identified(found[scheme], directory)
    return found


class _Identified:
    """Makes connectors that show the world's certificate."""

    def __init__(self, inner: ConnectorClass, directory: Path) -> None:
        self.about = getattr(inner, "about", None)
        self.__name__ = getattr(inner, "__name__", "")
        self._inner, self._directory = inner, directory

    def __call__(self, config: SourceConfig) -> Connector:
        options = dict(config.options)
        over_tls = config.url.partition("://")[0] in TLS_SCHEMES
        if over_tls and not options.get("tls_certificate"):
            own = authority.certificate_for(self._directory, authority.own_names("0.0.0.0"))
            options |= {"tls_certificate": str(own.certificate), "tls_key": str(own.key)}
            options.setdefault("tls_ca", str(own.authority))
        return self._inner(dataclasses.replace(config, options=options))

    def __eq__(self, other: object) -> bool:
        return other == self._inner

    def __hash__(self) -> int:
        return hash(self._inner)
