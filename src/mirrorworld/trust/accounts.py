"""Accounts: people, programs, and what they were granted, in one small database.

Each world has one of its own (`tables`). What is secret is kept as a hash only: whoever reads the
database can act as nobody. Every change of who may do what, and every attempt to enter, is a line
of the audit trail, chained by hashes so that a missing line shows.

Knows names, hashes and times; refuses to know requests and worlds' twins.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from zxcvbn import zxcvbn

from mirrorworld.trust import embedding, guests, tables
from mirrorworld.trust.tables import AccountError

THE_OWNER: Final = "owner"
"""Whoever holds the token in the world's folder. No account may have this name."""

ROLES: Final = ("viewer", "operator", "engineer", "owner")

SESSION_IDLE_S: Final = 14 * 86_400
SESSION_S: Final = 90 * 86_400
INVITATION_S: Final = 3 * 86_400
TOKEN_S_MAX: Final = 366 * 86_400
SEEN_EVERY_S: Final = 60
PASSWORD_LENGTH_MIN: Final = 12
PASSWORD_LENGTH_MAX: Final = 256
"""Long enough for any sentence; hashing longer ones would be work done for a stranger."""
HASHING = {"time_cost": 3, "memory_cost": 32_768, "parallelism": 1}
"""Of argon2id; memory in KiB."""
AUDIT_ROWS_MAX: Final = 1_000
_INVITATION_ID: Final = 12
"""Characters of its hash by which an invitation is named; the hash opens nothing."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}")
PASSWORD_SCORE_MIN: Final = 3
"""Of zxcvbn's 0 to 4: 10⁸ guesses and more (Wheeler, USENIX Security 2016)."""
_WEIGHED: Final = 72
"""Characters of a password that are weighed; zxcvbn takes time with the square of the length."""


class AccountsDown(ConnectionError):
    """The accounts' database does not answer; nobody gets in until it does."""

    def __str__(self) -> str:
        return "the accounts' database does not answer"


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, everywhere or only on a twin and what is below it."""

    role: str
    subtree: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from, and by what it was recognised."""

    name: str
    """Of the person, or `person/label` for a token."""
    grants: tuple[Grant, ...]
    session: str = ""
    token: str = ""

    @property
    def person(self) -> str:
        """The account behind it."""
        return self.name.partition("/")[0]

    @property
    def roles(self) -> frozenset[str]:
        """Roles that hold everywhere."""
        return frozenset(grant.role for grant in self.grants if not grant.subtree)


@dataclass(frozen=True, slots=True)
class Gone:
    """What was just withdrawn: of one session, one token, or all of a person."""

    session: str = ""
    token: str = ""
    person: str = ""
    is_over: bool = True
    """False: the grants changed, and what is open goes on with less, or more."""


class Accounts:
    """All accounts of one world.

    Args:
        url: of the database, `sqlite:///…` or `postgresql://…`, or a file; None keeps everything
            in memory.
        now_ns: the clock, UTC nanoseconds.

    Raises:
        AccountError: the database cannot be used; the message says why, without its password.
    """

    def __init__(
        self, url: str | Path | None = None, *, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        if isinstance(url, Path):
            if not url.exists():
                os.close(os.open(url, os.O_CREAT | os.O_WRONLY, 0o600))
            url = f"sqlite:///{url}"
        self._engine = tables.engine_of(url)
        self._lock = threading.RLock()
        self._now_ns = now_ns
        self._hasher = PasswordHasher(
            HASHING["time_cost"], HASHING["memory_cost"], HASHING["parallelism"]
        )
        self._nobody = self._hasher.hash(secrets.token_hex(16))
        """Checked where there is no such account, so that the answer takes as long."""
        self.listeners: list[Callable[[Gone], None]] = []
        """Called at once when something is withdrawn."""
        self.version = 0
        """Grows whenever who may do what has changed."""
        self.guests = guests.Guests(self)
        self.embedding = embedding.Embedding(self)
        self._by_name: dict[str, tuple[Grant, ...]] = {}
        self._known: dict[str, tuple[float, Identity]] = {}
        self._known_tokens: dict[str, tuple[float, int, Identity]] = {}
        try:
            with self._change() as run:
                tables.meta.create_all(run)
            self._reload()
        except (SQLAlchemyError, AccountsDown) as error:
            error = error.__cause__ if isinstance(error, AccountsDown) else error
            shown = self._engine.url.render_as_string(hide_password=True)
            why = str(getattr(error, "orig", None) or error).splitlines()[0][:300]
            raise AccountError(
                f"the accounts' database {shown}: {why}; is it there, and may this user make"
                " tables in it?"
            ) from error

    def close(self) -> None:
        """Lets go of the database."""
        self._engine.dispose()

    # --- people ---

    @property
    def is_empty(self) -> bool:
        """Whether nobody has an account yet."""
        return not self._rows(sa.select(tables.users.c.name).limit(1))

    def people(self) -> list[dict[str, Any]]:
        """All accounts with their grants; nothing secret."""
        rows = self._rows(sa.select(tables.users).order_by(tables.users.c.name))
        return [
            {
                "name": row.name,
                "is_disabled": row.is_disabled,
                "created_ns": row.created_ns,
                "has_password": bool(row.password),
                "grants": list(self.grants_of(row.name)),
            }
            for row in rows
        ]

    def add_person(
        self, name: str, password: str, grants: Sequence[Grant], *, by: str = ""
    ) -> None:
        """Makes an account; the empty password is for those who come by passkey or provider.

        Raises:
            AccountError: the name is taken or none, or the password too weak.
        """
        if not _NAME.fullmatch(name) or name.lower() == THE_OWNER:
            raise AccountError(
                f"'{name[:64]}' cannot name an account: letters, digits and _ . @ + -"
                " can, 64 at most"
            )
        if password:
            self.check_password(name, password)
        for grant in grants:
            check_grant(grant)
        hashed = self._hasher.hash(password) if password else ""
        try:
            with self._change() as run:
                run.execute(
                    tables.users.insert().values(
                        name=name, password=hashed, is_disabled=False, created_ns=self._now_ns()
                    )
                )
                for grant in grants:
                    run.execute(
                        tables.grants.insert().values(
                            subject=name, role=grant.role, subtree=grant.subtree
                        )
                    )
        except IntegrityError as error:
            raise AccountError(
                f"there is an account '{name}' already; choose another name"
            ) from error
        self._reload()
        self.note(by or name, "account made", f"{name}: {_said(grants)}")

    def check_password(self, name: str, password: str) -> None:
        """Refuses a weak password (ASVS 2.1): too short, or soon guessed by who tries the 30,000
        that leaked most, words, names, dates, rows of keys, repetitions and the account's name."""
        if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
            raise AccountError(
                f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters;"
                " a few words in a row are good"
            )
        weighed = zxcvbn(password[:_WEIGHED], user_inputs=[name, "mirrorworld"])
        plain = password.lower()
        is_simple = len(set(plain)) < 5 or (len(name) > 3 and name.lower() in plain)
        if is_simple or weighed["score"] < PASSWORD_SCORE_MIN:
            raise AccountError("this password is easily guessed; a few words in a row are good")

    def set_password(self, name: str, password: str, *, by: str) -> None:
        """Gives a new password, and ends all sessions of the account."""
        self._person(name)
        self.check_password(name, password)
        hashed = self._hasher.hash(password)
        with self._change() as run:
            run.execute(
                tables.users.update().where(tables.users.c.name == name).values(password=hashed)
            )
            run.execute(tables.sessions.delete().where(tables.sessions.c.name == name))
        self.note(by, "password set", name)
        self._tell(Gone(person=name))

    def set_disabled(self, name: str, is_disabled: bool, *, by: str) -> None:
        """Shuts an account, with all that is open of it, or opens it again."""
        self._person(name)
        if is_disabled:
            self._check_owner_stays(name)
        with self._change() as run:
            run.execute(
                tables.users.update()
                .where(tables.users.c.name == name)
                .values(is_disabled=is_disabled)
            )
            if is_disabled:
                run.execute(tables.sessions.delete().where(tables.sessions.c.name == name))
        self.note(by, "account shut" if is_disabled else "account opened", name)
        self._reload()
        self._tell(Gone(person=name))

    def remove_person(self, name: str, *, by: str) -> None:
        """Forgets an account with its tokens, passkeys and grants. The audit trail stays."""
        self._person(name)
        self._check_owner_stays(name)
        with self._change() as run:
            run.execute(tables.users.delete().where(tables.users.c.name == name))
            for table in (tables.sessions, tables.passkeys, tables.identities):
                run.execute(table.delete().where(table.c.name == name))
            run.execute(tables.tokens.delete().where(tables.tokens.c.owner == name))
            run.execute(
                tables.grants.delete().where(
                    sa.or_(
                        tables.grants.c.subject == name,
                        tables.grants.c.subject.startswith(f"{name}/", autoescape=True),
                    )
                )
            )
        self.note(by, "account removed", name)
        self._reload()
        self._tell(Gone(person=name))

    def grants_of(self, name: str) -> tuple[Grant, ...]:
        """What was granted to a person, or a token by `person/label`."""
        return self._by_name.get(name, ())

    @property
    def has_subtrees(self) -> bool:
        """Whether anybody was granted only a part of the world."""
        return any(grant.subtree for grants in self._by_name.values() for grant in grants)

    def set_grants(self, name: str, grants: Sequence[Grant], *, by: str) -> None:
        """Replaces what was granted to a person. Open streams follow at once."""
        self._person(name)
        for grant in grants:
            check_grant(grant)
        if Grant("owner") not in grants:
            self._check_owner_stays(name)
        with self._change() as run:
            run.execute(tables.grants.delete().where(tables.grants.c.subject == name))
            for grant in grants:
                run.execute(
                    tables.grants.insert().values(
                        subject=name, role=grant.role, subtree=grant.subtree
                    )
                )
        self.note(by, "granted", f"{name}: {_said(grants)}")
        self._reload()
        self._tell(Gone(person=name, is_over=False))

    # --- entering ---

    def sign_in(self, name: str, password: str, *, device: str, address: str) -> str:
        """A new session's secret for name and password; "" if they do not fit.

        The answer and its time are the same whether or not there is such an account.
        """
        # What cannot be a name is not asked for: databases differ in what they take in a text.
        can_be = _NAME.fullmatch(name) is not None
        found = (
            self._rows(sa.select(tables.users).where(tables.users.c.name == name)) if can_be else []
        )
        row = found[0] if found else None
        is_usable = row is not None and bool(row.password) and not row.is_disabled
        hashed = row.password if row is not None and row.password else self._nobody
        try:
            self._hasher.verify(hashed, password[:PASSWORD_LENGTH_MAX])
        except (VerificationError, InvalidHashError):
            is_usable = False
        if not is_usable or row is None:
            self.note(name[:64], "sign-in refused", "password", address)
            return ""
        if self._hasher.check_needs_rehash(row.password):
            with self._change() as run:
                run.execute(
                    tables.users.update()
                    .where(tables.users.c.name == row.name)
                    .values(password=self._hasher.hash(password))
                )
        return self.open_session(row.name, device=device, address=address, way="password")

    def open_session(self, name: str, *, device: str, address: str, way: str) -> str:
        """A new session of a person who was recognised in whatever way; returns its secret."""
        is_person = name != THE_OWNER and not name.startswith(guests.MARK)
        if is_person and self._person(name).is_disabled:
            raise AccountError(f"the account '{name}' is shut; ask the world's owner")
        secret = secrets.token_urlsafe(32)
        now = self._now_ns()
        with self._change() as run:
            run.execute(
                tables.sessions.insert().values(
                    id=secrets.token_hex(8),
                    secret=digest_of(secret),
                    name=name,
                    device=_plain(device, 200),
                    address=address[:64],
                    way=way,
                    created_ns=now,
                    seen_ns=now,
                )
            )
        self.note(name, "signed in", way, address)
        return secret

    def by_session(self, secret: str) -> Identity | None:
        """Who a session's secret stands for; None: nobody, or no longer."""
        if not secret:
            return None
        digest = digest_of(secret)
        known = self._known.get(digest)
        if known is not None and time.monotonic() - known[0] < SEEN_EVERY_S:
            return known[1]
        rows = self._rows(sa.select(tables.sessions).where(tables.sessions.c.secret == digest))
        if not rows:
            return None
        row, now = rows[0], self._now_ns()
        is_late = now - row.seen_ns > SESSION_IDLE_S * 10**9
        is_late |= row.name.startswith(guests.MARK) and not self.guests.is_open(row.name)
        if is_late or now - row.created_ns > SESSION_S * 10**9:
            self.end_session(row.id, by=row.name, why="expired")
            return None
        with self._change() as run:
            run.execute(
                tables.sessions.update().where(tables.sessions.c.id == row.id).values(seen_ns=now)
            )
        grants = (Grant("owner"),) if row.name == THE_OWNER else self.grants_of(row.name)
        found = Identity(row.name, grants, session=row.id)
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[digest] = (time.monotonic(), found)
        return found

    def sessions(self, name: str = "") -> list[dict[str, Any]]:
        """Open sessions, of a person or of all; without what opens them."""
        query = sa.select(tables.sessions).order_by(tables.sessions.c.seen_ns.desc())
        if name:
            query = query.where(tables.sessions.c.name == name)
        hidden = {"secret"}
        return [
            {key: value for key, value in row._mapping.items() if key not in hidden}
            for row in self._rows(query)
        ]

    def end_session(self, session: str, *, by: str, why: str = "") -> bool:
        """Ends a session, its open streams included; whether there was one."""
        with self._change() as run:
            ended = run.execute(
                tables.sessions.delete().where(tables.sessions.c.id == session)
            ).rowcount
        if ended:
            self.note(by, "session ended", f"{session} {why}".strip())
            self._tell(Gone(session=session))
        return bool(ended)

    # --- tokens ---

    def make_token(
        self, owner: str, label: str, grants: Sequence[Grant], *, lasts_s: float, by: str
    ) -> str:
        """A token for a program; returned once and kept as a hash.

        Raises:
            AccountError: its label is taken, or it would outlast a year, or grants nothing.
        """
        if not _NAME.fullmatch(label):
            raise AccountError(f"'{label[:64]}' cannot label a token: letters, digits, _ . - can")
        if not 0 < lasts_s <= TOKEN_S_MAX:
            raise AccountError("a token lasts a year at most; make a new one then")
        if not grants:
            raise AccountError("a token that grants nothing is of no use; give it a role")
        name = f"{owner}/{label}"
        self._person(owner)
        if self.grants_of(name):
            raise AccountError(f"there is a token '{label}' already; revoke it, or choose a label")
        for grant in grants:
            check_grant(grant)
        secret = f"mw_{secrets.token_urlsafe(32)}"
        now = self._now_ns()
        with self._change() as run:
            run.execute(
                tables.tokens.insert().values(
                    id=secrets.token_hex(6),
                    secret=digest_of(secret),
                    owner=owner,
                    label=label,
                    created_ns=now,
                    expires_ns=now + int(lasts_s * 1e9),
                )
            )
            for grant in grants:
                run.execute(
                    tables.grants.insert().values(
                        subject=name, role=grant.role, subtree=grant.subtree
                    )
                )
        self.note(by, "token made", f"{name}: {_said(grants)}")
        self._reload()
        return secret

    def by_token(self, secret: str) -> Identity | None:
        """Who a token stands for; None: nobody, or no longer."""
        digest = digest_of(secret)
        known = self._known_tokens.get(digest)
        if known is not None and time.monotonic() - known[0] < SEEN_EVERY_S:
            return known[2] if known[1] >= self._now_ns() else None
        rows = self._rows(sa.select(tables.tokens).where(tables.tokens.c.secret == digest))
        if not rows or rows[0].expires_ns < self._now_ns():
            return None
        row = rows[0]
        owner = self._rows(sa.select(tables.users).where(tables.users.c.name == row.owner))
        if not owner or owner[0].is_disabled:
            return None
        name = f"{row.owner}/{row.label}"
        found = Identity(name, self._within(name, row.owner), token=row.id)
        if len(self._known_tokens) > 10_000:
            self._known_tokens.clear()
        self._known_tokens[digest] = (time.monotonic(), row.expires_ns, found)
        return found

    def tokens(self, owner: str = "") -> list[dict[str, Any]]:
        """Tokens, of a person or of all; without what opens."""
        query = sa.select(tables.tokens).order_by(tables.tokens.c.created_ns)
        if owner:
            query = query.where(tables.tokens.c.owner == owner)
        return [
            {
                **{k: v for k, v in row._mapping.items() if k != "secret"},
                "grants": list(self.grants_of(f"{row.owner}/{row.label}")),
            }
            for row in self._rows(query)
        ]

    def revoke_token(self, token: str, *, by: str) -> bool:
        """Withdraws a token, its open streams included; whether there was one."""
        rows = self._rows(sa.select(tables.tokens).where(tables.tokens.c.id == token))
        if not rows:
            return False
        name = f"{rows[0].owner}/{rows[0].label}"
        with self._change() as run:
            run.execute(tables.tokens.delete().where(tables.tokens.c.id == token))
            run.execute(tables.grants.delete().where(tables.grants.c.subject == name))
        self.note(by, "token revoked", name)
        self._reload()
        self._tell(Gone(token=token))
        return True

    def _within(self, name: str, owner: str) -> tuple[Grant, ...]:
        """A token's grants, as far as its owner still has them."""
        return tuple(
            grant
            for grant in self.grants_of(name)
            if any(
                ROLES.index(grant.role) <= ROLES.index(own.role)
                and (not own.subtree or is_below(grant.subtree, own.subtree))
                for own in self.grants_of(owner)
            )
        )

    # --- invitations ---

    def invite(self, grant: Grant, *, by: str, lasts_s: float = INVITATION_S) -> str:
        """The secret of a link by which one person can make an account, once."""
        check_grant(grant)
        secret = secrets.token_urlsafe(24)
        with self._change() as run:
            run.execute(
                tables.invitations.delete().where(tables.invitations.c.expires_ns < self._now_ns())
            )
            run.execute(
                tables.invitations.insert().values(
                    secret=digest_of(secret),
                    role=grant.role,
                    subtree=grant.subtree,
                    by=by,
                    expires_ns=self._now_ns() + int(lasts_s * 1e9),
                )
            )
        self.note(by, "invited", _said((grant,)))
        return secret

    def invitation(self, secret: str) -> Grant | None:
        """What an invitation grants; None: it is none, used, or too old."""
        query = sa.select(tables.invitations).where(
            tables.invitations.c.secret == digest_of(secret)
        )
        rows = self._rows(query)
        if not rows or rows[0].expires_ns < self._now_ns():
            return None
        return Grant(rows[0].role, rows[0].subtree)

    def invitations(self) -> list[dict[str, Any]]:
        """Invitations that nobody has used yet; without what opens."""
        query = sa.select(tables.invitations).where(
            tables.invitations.c.expires_ns >= self._now_ns()
        )
        return [
            {
                "id": row.secret[:_INVITATION_ID],
                "grant": Grant(row.role, row.subtree),
                "by": row.by,
                "expires_ns": row.expires_ns,
            }
            for row in self._rows(query.order_by(tables.invitations.c.expires_ns))
        ]

    def withdraw_invitation(self, invitation: str, *, by: str) -> bool:
        """Takes an invitation back by its id; whether there was one."""
        if len(invitation) != _INVITATION_ID:
            return False
        with self._change() as run:
            like = tables.invitations.c.secret.startswith(invitation, autoescape=True)
            gone = run.execute(tables.invitations.delete().where(like)).rowcount
        if gone:
            self.note(by, "invitation withdrawn", invitation)
        return bool(gone)

    def accept(self, secret: str, name: str, password: str) -> None:
        """Makes the account that an invitation is for, and uses it up.

        Raises:
            AccountError: the invitation, the name or the password cannot be used.
        """
        with self._lock:
            grant = self.invitation(secret)
            if grant is None:
                raise AccountError("this invitation is used, too old, or none; ask for another")
            self.add_person(name, password, (grant,), by="invitation")
            with self._change() as run:
                run.execute(
                    tables.invitations.delete().where(
                        tables.invitations.c.secret == digest_of(secret)
                    )
                )

    # --- passkeys and providers ---

    def add_passkey(self, name: str, key: str, public_key: bytes, uses: int, label: str) -> None:
        """Keeps the public half of a passkey."""
        self._person(name)
        with self._change() as run:
            run.execute(
                tables.passkeys.insert().values(
                    id=key,
                    name=name,
                    public_key=public_key,
                    uses=uses,
                    label=_plain(label, 64),
                    created_ns=self._now_ns(),
                )
            )
        self.note(name, "passkey added", _plain(label, 64))

    def passkey(self, key: str) -> Mapping[str, Any] | None:
        """A passkey by its credential id."""
        rows = self._rows(sa.select(tables.passkeys).where(tables.passkeys.c.id == key))
        return rows[0]._mapping if rows else None

    def passkeys(self, name: str) -> list[dict[str, Any]]:
        """The passkeys of a person, without their keys."""
        rows = self._rows(sa.select(tables.passkeys).where(tables.passkeys.c.name == name))
        return [{"id": r.id, "label": r.label, "created_ns": r.created_ns} for r in rows]

    def used_passkey(self, key: str, uses: int) -> None:
        """Notes how often a passkey says it was used."""
        with self._change() as run:
            run.execute(
                tables.passkeys.update().where(tables.passkeys.c.id == key).values(uses=uses)
            )

    def remove_passkey(self, name: str, key: str) -> bool:
        """Forgets a passkey of a person."""
        with self._change() as run:
            gone = run.execute(
                tables.passkeys.delete().where(
                    tables.passkeys.c.id == key, tables.passkeys.c.name == name
                )
            ).rowcount
        if gone:
            self.note(name, "passkey removed", "")
        return bool(gone)

    def by_identity(self, issuer: str, subject: str) -> str:
        """The account that a provider's subject belongs to; "" if none."""
        rows = self._rows(
            sa.select(tables.identities).where(
                tables.identities.c.issuer == issuer, tables.identities.c.subject == subject
            )
        )
        return rows[0].name if rows else ""

    def join_identity(self, issuer: str, subject: str, name: str) -> None:
        """Ties a provider's subject to an account."""
        self._person(name)
        with self._change() as run:
            run.execute(
                tables.identities.insert().values(issuer=issuer, subject=subject, name=name)
            )
        self.note(name, "provider joined", issuer)

    # --- audit ---

    def note(self, who: str, what: str, detail: str = "", address: str = "") -> None:
        """Adds a line to the audit trail."""
        with self._change() as run:
            if run.dialect.name == "postgresql":
                # Two who write at once would follow from the same line.
                run.execute(sa.text("LOCK TABLE audit IN EXCLUSIVE MODE"))
            query = sa.select(tables.audit.c.chain).order_by(tables.audit.c.number.desc()).limit(1)
            before = run.execute(query).scalar() or ""
            line = {
                "at_ns": self._now_ns(),
                "who": _plain(who, 140),
                "what": _plain(what, 40),
                "detail": _plain(detail, 2000),
                "address": _plain(address, 64),
            }
            run.execute(tables.audit.insert().values(**line, chain=_chain(before, line)))

    def audit(
        self, *, before: int = 0, limit: int = 200, text: str = "", who: str = ""
    ) -> list[dict[str, Any]]:
        """The audit trail, latest first.

        Args:
            before: only lines before this number; 0: from the latest on.
            text: only lines that have it in some place, in capitals or not.
            who: only what was done by this account, its tokens included.
        """
        query = sa.select(tables.audit).order_by(tables.audit.c.number.desc())
        if before:
            query = query.where(tables.audit.c.number < before)
        if text:
            places = (
                tables.audit.c.who,
                tables.audit.c.what,
                tables.audit.c.detail,
                tables.audit.c.address,
            )
            query = query.where(
                sa.or_(*(each.icontains(text[:200], autoescape=True) for each in places))
            )
        if who:
            tokens = tables.audit.c.who.startswith(f"{who[:140]}/", autoescape=True)
            query = query.where(sa.or_(tables.audit.c.who == who[:140], tokens))
        rows = self._rows(query.limit(min(limit, AUDIT_ROWS_MAX)))
        return [dict(row._mapping) for row in rows]

    def check_audit(self) -> int | None:
        """The number of the first line that does not follow from the one before; None: all do."""
        before = ""
        for row in self._rows(sa.select(tables.audit).order_by(tables.audit.c.number)):
            line = {key: row._mapping[key] for key in ("at_ns", "who", "what", "detail", "address")}
            if not hmac.compare_digest(_chain(before, line), row.chain):
                return int(row.number)
            before = row.chain
        return None

    # --- inside ---

    def _person(self, name: str) -> Any:
        can_be = _NAME.fullmatch(name) is not None
        rows = (
            self._rows(sa.select(tables.users).where(tables.users.c.name == name)) if can_be else []
        )
        if not rows:
            raise AccountError(f"there is no account '{_plain(name, 64)}'")
        return rows[0]

    def _check_owner_stays(self, name: str) -> None:
        shut = {
            row.name
            for row in self._rows(sa.select(tables.users).where(tables.users.c.is_disabled))
        }
        others = [
            each
            for each, grants in self._by_name.items()
            if Grant("owner") in grants and each != name and "/" not in each and each not in shut
        ]
        if Grant("owner") in self.grants_of(name) and not others:
            raise AccountError(f"'{name}' is the only owner; make another one first")

    def _reload(self) -> None:
        found: dict[str, list[Grant]] = {}
        for row in self._rows(sa.select(tables.grants)):
            found.setdefault(row.subject, []).append(Grant(row.role, row.subtree))
        shut = {
            row.name
            for row in self._rows(sa.select(tables.users).where(tables.users.c.is_disabled))
        }
        self._by_name = {name: tuple(each) for name, each in found.items() if name not in shut}
        self._known.clear()
        self._known_tokens.clear()
        self.version += 1

    def _tell(self, gone: Gone) -> None:
        self._known.clear()
        self._known_tokens.clear()
        for listener in self.listeners:
            listener(gone)

    def _rows(self, query: Any) -> list[Any]:
        try:
            with self._lock, self._engine.connect() as run:
                return list(run.execute(query))
        except tables.DOWN as error:
            raise AccountsDown from error

    @contextmanager
    def _change(self) -> Iterator[sa.Connection]:
        try:
            with self._lock, self._engine.begin() as run:
                yield run
        except tables.DOWN as error:
            raise AccountsDown from error


def is_below(twin: str, subtree: str) -> bool:
    """Whether a twin's id is a subtree's or begins with it."""
    return twin == subtree or twin.startswith(f"{subtree}/")


def check_grant(grant: Grant) -> None:
    """Raises AccountError: there is no such grant."""
    if grant.role not in ROLES:
        raise AccountError(f"'{grant.role[:40]}' is no role; there are {', '.join(ROLES)}")
    if grant.subtree and grant.role == "owner":
        raise AccountError("an owner owns the whole world; grant engineer on a part of it")
    if len(grant.subtree) > 2048 or any(ord(c) < 32 for c in grant.subtree):
        raise AccountError("that is no id of a twin")


def _said(grants: Sequence[Grant]) -> str:
    return ", ".join(f"{g.role}{f' on {g.subtree}' if g.subtree else ''}" for g in grants) or "none"


def _plain(text: str, length: int) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:length]


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    # A random secret of 192 bits and more needs no slow hash; it cannot be guessed.
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _chain(before: str, line: Mapping[str, Any]) -> str:
    text = json.dumps([before, *line.values()], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
