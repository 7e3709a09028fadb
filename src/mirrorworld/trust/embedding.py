"""Which other sites may show this world within a page of theirs, and how its viewers are let in.

None may until the owner names it. Whoever is shown the world there is a guest who may look and
nothing else: one for each key, whose cookie a browser keeps apart for each site (CHIPS).
Works on the tables of `accounts`, whose friend it is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from mirrorworld.trust import tables
from mirrorworld.trust.guests import MARK
from mirrorworld.trust.tables import AccountError

if TYPE_CHECKING:
    from mirrorworld.trust.accounts import Accounts

SITES_MAX: Final = 40
ROLE: Final = "viewer"
_SEEN_EVERY_S: Final = 5.0
"""So long a site that another process allowed or forbade may go unnoticed."""
_SITE: Final = re.compile(
    r"https?://(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?"
)


class Embedding:
    """The sites of one world that may show it."""

    def __init__(self, accounts: Accounts) -> None:
        self._of = accounts
        self._sites: tuple[str, ...] = ()
        self._read_s = -_SEEN_EVERY_S

    def sites(self) -> tuple[str, ...]:
        """Origins, as `https://intranet.example`; `https://*.example` stands for all below one."""
        if time.monotonic() - self._read_s >= _SEEN_EVERY_S:
            rows = self._of._rows(sa.select(tables.embed_sites).order_by(tables.embed_sites.c.site))
            self._sites = tuple(row.site for row in rows)
            self._read_s = time.monotonic()
        return self._sites

    def set_sites(self, sites: Sequence[str], *, by: str) -> None:
        """Names all of them anew.

        Raises:
            AccountError: one is no origin, or they are too many.
        """
        named = sorted({site.strip().rstrip("/").lower() for site in sites})
        for site in named:
            if len(site) > 200 or not _SITE.fullmatch(site):
                raise AccountError(
                    f"'{site[:80]}' is no site: give scheme and name, as https://intranet.example,"
                    " without a path"
                )
        if len(named) > SITES_MAX:
            raise AccountError(f"{len(named)} sites; {SITES_MAX} at most")
        with self._of._change() as run:
            run.execute(tables.embed_sites.delete())
            for site in named:
                run.execute(tables.embed_sites.insert().values(site=site))
        self._sites, self._read_s = tuple(named), time.monotonic()
        self._of.note(by, "embedding", ", ".join(named) or "nowhere")

    def is_of(self, session: str, key: str) -> bool:
        """Whether a session is that of a key already: a page loaded again needs no other."""
        link = self._of.guests.look(key)
        who = self._of.by_session(session) if link is not None else None
        return link is not None and who is not None and who.name == f"{MARK}embed-{link.id}"

    def enter(self, secret: str, *, device: str, address: str) -> str:
        """A session for whoever is shown the world by a key; its secret.

        Raises:
            AccountError: the key is none, or no longer, or opens more than looking.
        """
        link = self._of.guests.look(secret)
        if link is None:
            raise AccountError("this key is taken back, too old, or none; ask for another")
        if link.role != ROLE:
            raise AccountError("a key for another page lets people look and nothing else")
        return self._of.guests.enter_as_one(link, device=device, address=address)
