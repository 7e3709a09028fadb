"""What the routes of accounts take and give. Times that end in `_ns` are UTC nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, everywhere or only on a twin and what is below it."""

    role: str
    """viewer, operator, engineer or owner."""
    subtree: str = ""
    """Id of the twin; empty: the whole world."""


@dataclass(frozen=True, slots=True)
class Me:
    """Who the session or token speaks for."""

    name: str
    grants: list[Grant]
    session: str = ""
    is_owner: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """An account."""

    name: str
    is_disabled: bool
    has_password: bool
    created_ns: int
    grants: list[Grant]


@dataclass(frozen=True, slots=True)
class People:
    """All accounts."""

    people: list[Person]


@dataclass(frozen=True, slots=True)
class PersonRequest:
    """An account to be made."""

    name: str
    password: str
    grants: list[Grant] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What is to be changed of an account; what is null stays."""

    grants: list[Grant] | None = None
    password: str | None = None
    is_disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class PasswordRequest:
    """A new password of one's own."""

    password: str
    new_password: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that is open somewhere."""

    id: str
    name: str
    device: str
    address: str
    way: str
    created_ns: int
    seen_ns: int
    is_this: bool = False


@dataclass(frozen=True, slots=True)
class SessionsPage:
    """Open sessions, latest used first."""

    sessions: list[OpenSession]


@dataclass(frozen=True, slots=True)
class Token:
    """A program's token, without what opens."""

    id: str
    owner: str
    label: str
    created_ns: int
    expires_ns: int
    grants: list[Grant]


@dataclass(frozen=True, slots=True)
class TokensPage:
    """Tokens in the order of their making."""

    tokens: list[Token]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token to be made; it can do no more than who makes it."""

    label: str
    grants: list[Grant]
    lasts_days: float = 90


@dataclass(frozen=True, slots=True)
class TokenMade:
    """A new token. It is shown this once."""

    token: str


@dataclass(frozen=True, slots=True)
class InvitationRequest:
    """An invitation for one person."""

    grant: Grant
    lasts_hours: float = 72


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that makes one account. It is shown this once."""

    path: str
    """Below the server's address."""


@dataclass(frozen=True, slots=True)
class OpenInvitation:
    """An invitation that nobody has used yet, without what opens."""

    id: str
    grant: Grant
    by: str
    expires_ns: int


@dataclass(frozen=True, slots=True)
class InvitationsPage:
    """Invitations that are open, those that end first before."""

    invitations: list[OpenInvitation]


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line of the audit trail."""

    number: int
    at_ns: int
    who: str
    what: str
    detail: str
    address: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """The audit trail, latest first."""

    lines: list[AuditLine]
    is_whole: bool
    """Whether every line follows from the one before it, as of the first page."""
    before: int = 0
    """Ask for the next page with this; 0: there is none."""


@dataclass(frozen=True, slots=True)
class Way:
    """A provider that vouches for people."""

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Ways:
    """How one can sign in, besides name and password."""

    providers: list[Way]


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey on some device."""

    id: str
    label: str
    created_ns: int


@dataclass(frozen=True, slots=True)
class PasskeysPage:
    """Passkeys of an account."""

    passkeys: list[Passkey]


@dataclass(frozen=True, slots=True)
class TrustSteps:
    """What to do on one kind of device, so that it trusts the world's authority."""

    system: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Reach:
    """How another device gets here; without addresses only this machine is served."""

    addresses: list[str]
    """Of the page, the most useful first."""
    plain: list[str]
    """Of the plain door, where the authority is to be had before it is trusted."""
    fingerprint: str
    """SHA-256 of the authority, or of the operator's own certificate."""
    has_authority: bool
    """Whether devices must be made to trust the world's own authority."""
    steps: list[TrustSteps]


@dataclass(frozen=True, slots=True)
class EmbedSites:
    """Which other sites may show this world within a page of theirs: `https://intranet.example`."""

    sites: list[str]


@dataclass(frozen=True, slots=True)
class EmbedKeyRequest:
    """What a frame in another page is to show."""

    lasts_days: float = 31
    subtree: str = ""
    """Only this twin and what is below it; empty: all."""


@dataclass(frozen=True, slots=True)
class EmbedKey:
    """Where a frame leads; shown this once. `DELETE /api/meet/links/{id}` takes it back."""

    id: str
    path: str
