"""Signing in by another provider: OpenID Connect, authorization code with PKCE (RFC 7636).

What a provider says is believed only as far as its signature, by keys that were fetched from its
own address, and only for this client, this attempt and this hour (OpenID Connect Core §3.1.3.7).
Addresses are held to `mirrorworld.addresses`: https, or plain http on this machine.

Knows the protocol; refuses to know requests, cookies and accounts.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from mirrorworld import addresses

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519")
"""No `none`, and nothing symmetric: the client's secret must not be able to sign."""
ATTEMPT_S: Final = 600
ATTEMPTS_MAX: Final = 1_000
ANSWER_BYTES_MAX: Final = 1 << 20
METADATA_S: Final = 3_600
LEEWAY_S: Final = 60
TIMEOUT_S: Final = 10.0


class ProviderError(ValueError):
    """A provider cannot be used, or what it says is not believed; the message says why."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider, as an owner set it up."""

    name: str
    """Short; part of the address that it sends people back to."""
    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    label: str = ""
    role_claim: str = "groups"
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    """What a value of the claim makes of a person here: `{"plant-ops": "operator"}`."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who a provider says has signed in."""

    issuer: str
    subject: str
    name: str
    role: str
    """By the provider's claim; "" if it maps to none."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    verifier: str
    nonce: str
    redirect: str
    browser: str
    begun_s: float


class Exchange:
    """The attempts to sign in by one provider.

    Args:
        provider: which.
        transport: how it is asked; by default one that holds to the policy of addresses.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        parts = urlsplit(provider.issuer)
        is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
            raise ProviderError(f"{provider.issuer}: an issuer's address begins with https://")
        self.provider = provider
        self._transport = transport
        self._clock = clock
        self._attempts: OrderedDict[str, _Attempt] = OrderedDict()
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def begin(self, redirect: str, browser: str) -> tuple[str, str]:
        """(where to send the browser, the attempt's state).

        Args:
            redirect: where the provider sends it back to.
            browser: a secret that this browser has in a cookie; the way back must bring it.
        """
        about = await self._about()
        state, nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        self._attempts[state] = _Attempt(verifier, nonce, redirect, browser, self._clock())
        while len(self._attempts) > ATTEMPTS_MAX:
            self._attempts.popitem(last=False)
        asked = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect,
            "scope": "openid profile email",
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        address = about["authorization_endpoint"]
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", state

    async def finish(self, state: str, code: str, browser: str, issuer: str = "") -> Person:
        """Who came back.

        Args:
            issuer: the `iss` of the answer, if it has one (RFC 9207).

        Raises:
            ProviderError: it is not the answer to an attempt of this browser, or not to be
                believed.
        """
        attempt = self._attempts.pop(state, None)
        if attempt is None or self._clock() - attempt.begun_s > ATTEMPT_S:
            raise ProviderError("this sign-in was not begun here, or too long ago; begin again")
        if not hmac.compare_digest(attempt.browser, browser):
            raise ProviderError("this sign-in was begun in another browser; begin again")
        if issuer and issuer != self.provider.issuer:
            raise ProviderError("another provider than was asked has answered")
        about = await self._about()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect,
            "code_verifier": attempt.verifier,
            "client_id": self.provider.client_id,
        }
        basic = None
        if self.provider.client_secret:
            basic = httpx.BasicAuth(self.provider.client_id, self.provider.client_secret)
        answer = await self._ask("POST", about["token_endpoint"], data=form, auth=basic)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderError("the provider gave no id_token")
        claims = await self._believed(token, attempt.nonce)
        return self._person(claims)

    async def _believed(self, token: str, nonce: str) -> dict[str, Any]:
        try:
            claims = await self._decoded(token)
        except JoseError as error:
            raise ProviderError(f"the provider's token is not believed: {error}") from error
        provider = self.provider
        audience = claims.get("aud")
        audience = [audience] if isinstance(audience, str) else audience
        now = self._clock()
        wrong = (
            ("iss", claims.get("iss") != provider.issuer),
            ("aud", not isinstance(audience, list) or provider.client_id not in audience),
            (
                "azp",
                isinstance(audience, list)
                and len(audience) > 1
                and claims.get("azp") != provider.client_id,
            ),
            ("exp", not _is_time(claims.get("exp")) or claims["exp"] + LEEWAY_S < now),
            ("iat", not _is_time(claims.get("iat")) or abs(now - claims["iat"]) > ATTEMPT_S),
            ("nonce", not hmac.compare_digest(str(claims.get("nonce", "")), nonce)),
            ("sub", not isinstance(claims.get("sub"), str) or not claims["sub"]),
        )
        for name, is_wrong in wrong:
            if is_wrong:
                raise ProviderError(f"the provider's token is not believed: '{name}' is wrong")
        return claims

    async def _decoded(self, token: str) -> dict[str, Any]:
        try:
            found = jwt.decode(token, await self._key_set(), algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):
            # The provider may have changed its keys; asked again once.
            keys = await self._key_set(anew=True)
            try:
                found = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
            except ValueError as error:
                raise ProviderError(f"the provider's token is not believed: {error}") from error
        return dict(found.claims)

    def _person(self, claims: Mapping[str, Any]) -> Person:
        provider = self.provider
        said = claims.get(provider.role_claim, [])
        values = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        order = ("owner", "engineer", "operator", "viewer")
        mapped = [provider.roles[v] for v in values if isinstance(v, str) and v in provider.roles]
        role = next((role for role in order if role in mapped), "")
        name = next(
            (
                claims[key]
                for key in ("preferred_username", "email", "name", "sub")
                if isinstance(claims.get(key), str) and claims[key]
            ),
            "",
        )
        return Person(provider.issuer, claims["sub"], name, role)

    async def _about(self) -> dict[str, Any]:
        if self._metadata is not None and self._clock() - self._metadata[0] < METADATA_S:
            return self._metadata[1]
        issuer = self.provider.issuer.rstrip("/")
        found = await self._ask("GET", f"{issuer}/.well-known/openid-configuration")
        if found.get("issuer") != self.provider.issuer:
            raise ProviderError(f"{issuer}: says that it is {str(found.get('issuer'))[:200]}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(found.get(name), str):
                raise ProviderError(f"{issuer}: does not say its {name}")
        self._metadata = (self._clock(), found)
        return found

    async def _key_set(self, *, anew: bool = False) -> KeySet:
        if not anew and self._keys and self._clock() - self._keys[0] < METADATA_S:
            return self._keys[1]
        about = await self._about()
        found = await self._ask("GET", about["jwks_uri"])
        try:
            keys = KeySet.import_key_set(found)  # pyright: ignore[reportArgumentType]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderError(f"the provider's keys cannot be read: {error}") from error
        self._keys = (self._clock(), keys)
        return keys

    async def _ask(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        parts = urlsplit(url)
        is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.scheme != "https" and not is_here:
            raise ProviderError(f"{url}: a provider is asked over https only")
        transport = self._transport or addresses.Transport(allows_private=True)
        try:
            async with (
                httpx.AsyncClient(
                    transport=transport, timeout=TIMEOUT_S, follow_redirects=False
                ) as client,
                client.stream(method, url, **more) as answer,
            ):
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > ANSWER_BYTES_MAX:
                        raise ProviderError(f"{url}: answers more than {ANSWER_BYTES_MAX} bytes")
                if answer.status_code != 200:
                    raise ProviderError(f"{url}: answered {answer.status_code}")
        except (httpx.HTTPError, OSError, addresses.AddressRefused) as error:
            raise ProviderError(f"{url}: {error}") from error
        try:
            found = json.loads(body)
        except ValueError as error:
            raise ProviderError(f"{url}: answers no JSON") from error
        if not isinstance(found, dict):
            raise ProviderError(f"{url}: answers no JSON object")
        return found


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
