"""Guests: people who come by a link for a while, with a role and without an account.

What opens is kept as a hash. A guest is a number with grants that go when the link does; how they
are called is kept in memory only. Works on the tables of `accounts`, whose friend it is.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from mirrorworld.trust import tables
from mirrorworld.trust.tables import AccountError

if TYPE_CHECKING:
    from mirrorworld.trust.accounts import Accounts, Grant

MARK: Final = "~"
"""What a guest's name begins with; no account's can."""
LASTS_S_MAX: Final = 31 * 86_400.0
LINKS_MAX: Final = 200
GUESTS_MAX: Final = 500
"""By one link."""
NAME_MAX: Final = 40


class Guests:
    """The links of one world and who came by them."""

    def __init__(self, accounts: Accounts) -> None:
        self._of = accounts
        self._names: dict[str, str] = {}

    def make_link(self, grant: Grant, place: str, *, by: str, lasts_s: float) -> tuple[str, str]:
        """A link's id and its secret.

        Raises:
            AccountError: it would grant too much, last too long, or be one too many.
        """
        from mirrorworld.trust.accounts import check_grant, digest_of

        check_grant(grant)
        if grant.role == "owner":
            raise AccountError("a guest cannot own a world; grant engineer at most")
        if not 60 <= lasts_s <= LASTS_S_MAX:
            raise AccountError(f"a link holds for a minute to {LASTS_S_MAX / 86_400:.0f} days")
        self.expire()
        if len(self.links()) >= LINKS_MAX:
            raise AccountError(f"{LINKS_MAX} links are open; take some back first")
        id, secret = secrets.token_hex(6), secrets.token_urlsafe(24)
        with self._of._change() as run:
            run.execute(
                tables.guest_links.insert().values(
                    id=id,
                    secret=digest_of(secret),
                    role=grant.role,
                    subtree=grant.subtree,
                    place=place[:2048],
                    by=by,
                    expires_ns=self._of._now_ns() + int(lasts_s * 1e9),
                )
            )
        self._of.note(by, "guest link made", f"{id}: {grant.role} for {lasts_s / 3600:g} h")
        return id, secret

    def look(self, secret: str) -> Any | None:
        """The link of a secret; None: there is none, or no longer."""
        from mirrorworld.trust.accounts import digest_of

        query = sa.select(tables.guest_links).where(
            tables.guest_links.c.secret == digest_of(secret)
        )
        rows = self._of._rows(query)
        return rows[0] if rows and rows[0].expires_ns >= self._of._now_ns() else None

    def links(self) -> list[dict[str, Any]]:
        """Links that are open, with how many came by each; without what opens."""
        came = sa.func.count(tables.guests.c.name).label("guests")
        columns = [c for c in tables.guest_links.c if c.name != "secret"]
        query = (
            sa.select(*columns, came)
            .outerjoin(tables.guests, tables.guests.c.link == tables.guest_links.c.id)
            .where(tables.guest_links.c.expires_ns >= self._of._now_ns())
            .group_by(*columns)
            .order_by(tables.guest_links.c.expires_ns)
        )
        return [dict(row._mapping) for row in self._of._rows(query)]

    def enter(self, secret: str, name: str, *, device: str, address: str) -> tuple[str, str]:
        """Lets a guest in, who says how they are called: the session's secret, and the place.

        Raises:
            AccountError: the link is none, or no longer; or there is no name.
        """
        link = self.look(secret)
        if link is None:
            raise AccountError("this link is used up, too old, or none; ask for another")
        name = " ".join(name.split())[:NAME_MAX]
        if not any(char.isalnum() for char in name):
            raise AccountError("say how you are called: 1 to 40 characters")
        count = sa.select(sa.func.count()).where(tables.guests.c.link == link.id)
        if self._of._rows(count)[0][0] >= GUESTS_MAX:
            raise AccountError(f"{GUESTS_MAX} guests came by this link; ask for another")
        guest = f"{MARK}guest-{secrets.token_hex(4)}"
        with self._of._change() as run:
            run.execute(
                tables.guests.insert().values(name=guest, link=link.id, expires_ns=link.expires_ns)
            )
            run.execute(
                tables.grants.insert().values(subject=guest, role=link.role, subtree=link.subtree)
            )
        self._of._reload()
        self._names[guest] = name
        opened = self._of.open_session(guest, device=device, address=address, way="guest link")
        return opened, link.place

    def enter_as_one(self, link: Any, *, device: str, address: str) -> str:
        """Lets in who is not asked for a name: all who come by this link are one guest. Returns
        the session's secret."""
        guest = f"{MARK}embed-{link.id}"
        known = sa.select(tables.guests.c.name).where(tables.guests.c.name == guest)
        if not self._of._rows(known):
            with self._of._change() as run:
                run.execute(
                    tables.guests.insert().values(
                        name=guest, link=link.id, expires_ns=link.expires_ns
                    )
                )
                run.execute(
                    tables.grants.insert().values(
                        subject=guest, role=link.role, subtree=link.subtree
                    )
                )
            self._of._reload()
        return self._of.open_session(guest, device=device, address=address, way="embedded")

    def name_of(self, guest: str) -> str:
        """How a guest said that they are called; "" if that is forgotten."""
        return self._names.get(guest, "")

    def is_open(self, guest: str) -> bool:
        """Whether a guest's link still holds."""
        query = sa.select(tables.guests.c.expires_ns).where(tables.guests.c.name == guest)
        rows = self._of._rows(query)
        return bool(rows) and rows[0].expires_ns >= self._of._now_ns()

    def take_back(self, link: str, *, by: str) -> bool:
        """Ends a link, and whatever is open of those who came by it; whether there was one."""
        known = sa.select(tables.guest_links.c.id).where(tables.guest_links.c.id == link)
        if not self._of._rows(known):
            return False
        self._end(tables.guests.c.link == link, tables.guest_links.c.id == link)
        self._of.note(by, "guest link taken back", link)
        return True

    def expire(self) -> int:
        """Ends what has become too old; how many guests had to go."""
        now = self._of._now_ns()
        return self._end(tables.guests.c.expires_ns < now, tables.guest_links.c.expires_ns < now)

    def _end(self, which: Any, links: Any) -> int:
        from mirrorworld.trust.accounts import Gone

        gone = [row.name for row in self._of._rows(sa.select(tables.guests).where(which))]
        with self._of._change() as run:
            run.execute(tables.guest_links.delete().where(links))
            for name in gone:
                run.execute(tables.guests.delete().where(tables.guests.c.name == name))
                run.execute(tables.grants.delete().where(tables.grants.c.subject == name))
                run.execute(tables.sessions.delete().where(tables.sessions.c.name == name))
        if gone:
            self._of._reload()
        for name in gone:
            self._names.pop(name, None)
            self._of._tell(Gone(person=name))
        return len(gone)
