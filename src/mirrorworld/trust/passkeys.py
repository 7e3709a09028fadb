"""Passkeys (WebAuthn Level 3): signing in by a key that never leaves a person's device.

A passkey is bound to a name, never to an address: browsers take `plant.local` or `localhost`, and
no IP address. Knows challenges and keys; refuses to know requests and accounts.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

CHALLENGE_S: Final = 300
CHALLENGES_MAX: Final = 1_000


class PasskeyError(ValueError):
    """A passkey is not taken; the message says why."""


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """The public half of a passkey that was just made."""

    id: str
    public_key: bytes
    uses: int


class Passkeys:
    """Challenges that are open, each for one answer."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    def registration(self, name: str, host: str, known: list[str]) -> dict[str, Any]:
        """What the browser needs to make a passkey for an account."""
        challenge = self._challenge(name)
        options = webauthn.generate_registration_options(
            rp_id=host,
            rp_name="Mirrorworld",
            user_name=name,
            user_id=name.encode(),
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(key)) for key in known
            ],
        )
        return json.loads(webauthn.options_to_json(options))

    def registered(
        self, name: str, host: str, origin: str, answer: Mapping[str, Any]
    ) -> NewPasskey:
        """The passkey that the browser made."""
        challenge = self._taken(answer, name)
        try:
            made = webauthn.verify_registration_response(
                credential=dict(answer),
                expected_challenge=challenge,
                expected_rp_id=host,
                expected_origin=origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise PasskeyError(f"this passkey is not taken: {error}") from error
        key = bytes_to_base64url(made.credential_id)
        return NewPasskey(key, made.credential_public_key, made.sign_count)

    def authentication(self, host: str) -> dict[str, Any]:
        """What the browser needs to find a passkey for this host."""
        options = webauthn.generate_authentication_options(
            rp_id=host,
            challenge=self._challenge(""),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return json.loads(webauthn.options_to_json(options))

    def authenticated(
        self, known: Mapping[str, Any], host: str, origin: str, answer: Mapping[str, Any]
    ) -> int:
        """How often the passkey says that it was used; the answer is right.

        Args:
            known: the kept passkey that the answer names.
        """
        challenge = self._taken(answer, "")
        try:
            found = webauthn.verify_authentication_response(
                credential=dict(answer),
                expected_challenge=challenge,
                expected_rp_id=host,
                expected_origin=origin,
                credential_public_key=known["public_key"],
                credential_current_sign_count=known["uses"],
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise PasskeyError(f"this passkey is not taken: {error}") from error
        return found.new_sign_count

    def _challenge(self, name: str) -> bytes:
        challenge = secrets.token_bytes(32)
        self._open[challenge] = (self._clock(), name)
        while len(self._open) > CHALLENGES_MAX:
            self._open.popitem(last=False)
        return challenge

    def _taken(self, answer: Mapping[str, Any], name: str) -> bytes:
        """The challenge that an answer answers; each is good for one."""
        try:
            said = json.loads(base64url_to_bytes(answer["response"]["clientDataJSON"]))
            challenge = base64url_to_bytes(said["challenge"])
        except (ValueError, KeyError, TypeError) as error:
            raise PasskeyError("this is no answer of a passkey") from error
        begun = self._open.pop(challenge, None)
        if begun is None or self._clock() - begun[0] > CHALLENGE_S or begun[1] != name:
            raise PasskeyError("this was not asked here, or too long ago; try again")
        return challenge
