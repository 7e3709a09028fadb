"""The database of the accounts: its tables, and how it is reached.

SQLite beside the world by default, PostgreSQL by the same code.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

DOWN: Final = (OperationalError, InterfaceError)
"""What says that the database does not answer."""


class AccountError(ValueError):
    """Something cannot be done with an account; the message says why and the mend."""


class Text(sa.types.TypeDecorator[str]):
    """Text as every database takes it: PostgreSQL keeps no NUL, so none is kept anywhere, and
    what is looked up with one is nowhere found."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else value.replace("\0", "\ufffd")


meta = sa.MetaData()
users = sa.Table(
    "users",
    meta,
    sa.Column("name", Text(64), primary_key=True),
    sa.Column("password", Text(256), nullable=False, default=""),
    sa.Column("is_disabled", sa.Boolean, nullable=False, default=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
)
grants = sa.Table(
    "grants",
    meta,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("subject", Text(140), nullable=False, index=True),
    sa.Column("role", Text(16), nullable=False),
    sa.Column("subtree", Text(2048), nullable=False, default=""),
)
sessions = sa.Table(
    "sessions",
    meta,
    sa.Column("id", Text(32), primary_key=True),
    sa.Column("secret", Text(64), nullable=False, unique=True),
    sa.Column("name", Text(64), nullable=False, index=True),
    sa.Column("device", Text(200), nullable=False),
    sa.Column("address", Text(64), nullable=False),
    sa.Column("way", Text(32), nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("seen_ns", sa.BigInteger, nullable=False),
)
tokens = sa.Table(
    "tokens",
    meta,
    sa.Column("id", Text(16), primary_key=True),
    sa.Column("secret", Text(64), nullable=False, unique=True),
    sa.Column("owner", Text(64), nullable=False, index=True),
    sa.Column("label", Text(64), nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("expires_ns", sa.BigInteger, nullable=False),
)
invitations = sa.Table(
    "invitations",
    meta,
    sa.Column("secret", Text(64), primary_key=True),
    sa.Column("role", Text(16), nullable=False),
    sa.Column("subtree", Text(2048), nullable=False),
    sa.Column("by", Text(140), nullable=False),
    sa.Column("expires_ns", sa.BigInteger, nullable=False),
)
guest_links = sa.Table(
    "guest_links",
    meta,
    sa.Column("id", Text(16), primary_key=True),
    sa.Column("secret", Text(64), nullable=False, unique=True),
    sa.Column("role", Text(16), nullable=False),
    sa.Column("subtree", Text(2048), nullable=False),
    sa.Column("place", Text(2048), nullable=False),
    sa.Column("by", Text(140), nullable=False),
    sa.Column("expires_ns", sa.BigInteger, nullable=False),
)
guests = sa.Table(
    "guests",
    meta,
    sa.Column("name", Text(64), primary_key=True),
    sa.Column("link", Text(16), nullable=False, index=True),
    sa.Column("expires_ns", sa.BigInteger, nullable=False),
)
embed_sites = sa.Table("embed_sites", meta, sa.Column("site", Text(200), primary_key=True))
passkeys = sa.Table(
    "passkeys",
    meta,
    sa.Column("id", Text(512), primary_key=True),
    sa.Column("name", Text(64), nullable=False, index=True),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("uses", sa.BigInteger, nullable=False),
    sa.Column("label", Text(64), nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
)
identities = sa.Table(
    "identities",
    meta,
    sa.Column("issuer", Text(512), primary_key=True),
    sa.Column("subject", Text(256), primary_key=True),
    sa.Column("name", Text(64), nullable=False, index=True),
)
audit = sa.Table(
    "audit",
    meta,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("who", Text(140), nullable=False),
    sa.Column("what", Text(40), nullable=False),
    sa.Column("detail", Text(2000), nullable=False),
    sa.Column("address", Text(64), nullable=False),
    sa.Column("chain", Text(64), nullable=False),
)


def engine_of(url: str | None) -> sa.Engine:
    """How the database is reached.

    Raises:
        AccountError: the address is none, or what speaks with it is not installed.
    """
    try:
        made = sa.make_url(url or "sqlite://")
        if made.drivername == "postgresql":
            made = made.set(drivername="postgresql+pg8000")
        if made.get_backend_name() == "sqlite":
            return sa.create_engine(
                made,
                connect_args={"check_same_thread": False, "timeout": 10},
                poolclass=sa.pool.StaticPool if url is None else None,
            )
        # A connection that a restart of the database has broken is noticed before it is used.
        return sa.create_engine(made, pool_pre_ping=True, pool_size=2, max_overflow=3)
    except ImportError as error:
        raise AccountError(
            f"the accounts' database: {error}; pip install 'mirrorworld[postgresql]' brings it"
        ) from error
    except (SQLAlchemyError, ValueError) as error:
        raise AccountError(
            "the accounts' database: give an address like postgresql://user@host/mirrorworld"
        ) from error
