"""What a provider says is believed only when it is signed, for us, for this attempt and for now."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

from mirrorworld.trust.oidc import ATTEMPT_S, Exchange, Person, Provider, ProviderError

ISSUER = "https://id.example"
PROVIDER = Provider("id", ISSUER, "mirrorworld", "s3cret", roles={"plant-ops": "operator"})
KEY = ECKey.generate_key("P-256", parameters={"kid": "one", "alg": "ES256", "use": "sig"})
OTHER = ECKey.generate_key("P-256", parameters={"kid": "one", "alg": "ES256", "use": "sig"})


class Liar(httpx.AsyncBaseTransport):
    """A provider that can be made to lie."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = lambda claims: jwt.encode(
            {"alg": "ES256", "kid": "one"}, claims, KEY
        )
        self.about = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/auth",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }
        self.answers: dict[str, httpx.Response] = {}
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        path = request.url.path
        if path in self.answers:
            return self.answers[path]
        if path.endswith("openid-configuration"):
            return httpx.Response(200, json=self.about)
        if path == "/keys":
            return httpx.Response(200, json=KeySet([KEY]).as_dict(private=False))
        await request.aread()
        return httpx.Response(200, json={"id_token": self.sign(self.claims)})


@pytest.fixture
def liar() -> Liar:
    return Liar()


@pytest.fixture
def exchange(liar: Liar) -> Exchange:
    return Exchange(PROVIDER, transport=liar)


async def begun(exchange: Exchange, liar: Liar, **changed: Any) -> str:
    """An attempt; the provider then says what is right, but for what is changed."""
    address, state = await exchange.begin("https://plant.local/cb", "browser")
    asked = httpx.URL(address).params
    assert asked["code_challenge_method"] == "S256"
    now = int(time.time())
    liar.claims = {
        "iss": ISSUER,
        "aud": "mirrorworld",
        "sub": "u1",
        "nonce": asked["nonce"],
        "iat": now,
        "exp": now + 300,
        "preferred_username": "kim",
        "groups": ["plant-ops"],
        **changed,
    }
    liar.claims = {k: v for k, v in liar.claims.items() if v is not None}
    return state


async def test_what_is_right_is_believed(exchange: Exchange, liar: Liar):
    state = await begun(exchange, liar)
    person = await exchange.finish(state, "code", "browser", ISSUER)
    assert person == Person(ISSUER, "u1", "kim", "operator")
    token_request = next(r for r in liar.asked if r.url.path == "/token")
    assert b"code_verifier=" in token_request.content
    assert b"s3cret" not in token_request.content


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"iss": "https://evil.example"}, "iss"),
        ({"aud": "another-client"}, "aud"),
        ({"aud": ["mirrorworld", "another-client"]}, "azp"),
        ({"aud": None}, "aud"),
        ({"exp": int(time.time()) - 3600}, "exp"),
        ({"exp": None}, "exp"),
        ({"iat": int(time.time()) - 2 * ATTEMPT_S}, "iat"),
        ({"nonce": "of another attempt"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": ""}, "sub"),
    ],
)
async def test_a_claim_that_is_wrong_is_not_believed(
    exchange: Exchange, liar: Liar, changed: dict[str, Any], why: str
):
    state = await begun(exchange, liar, **changed)
    with pytest.raises(ProviderError, match=why):
        await exchange.finish(state, "code", "browser")


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _unsigned(claims: dict[str, Any]) -> str:
    return f"{_part(json.dumps({'alg': 'none'}).encode())}.{_part(json.dumps(claims).encode())}."


def _signed_with_what_is_public(claims: dict[str, Any]) -> str:
    head = {"alg": "HS256", "kid": "one"}
    text = f"{_part(json.dumps(head).encode())}.{_part(json.dumps(claims).encode())}"
    digest = hmac.digest(KEY.as_pem(private=False), text.encode(), "sha256")
    return f"{text}.{_part(digest)}"


FORGED = {
    "none": _unsigned,
    "another key of that name": lambda c: jwt.encode({"alg": "ES256", "kid": "one"}, c, OTHER),
    "the client's secret": lambda c: jwt.encode(
        {"alg": "HS256"}, c, OctKey.import_key("s3cret-s3cret-s3cret-s3cret-s3cr")
    ),
    "the public key as a secret": _signed_with_what_is_public,
    "no token": lambda c: "not.a.token",
    "nothing": lambda c: "",
}


@pytest.mark.parametrize("how", sorted(FORGED))
async def test_a_forged_signature_is_not_believed(exchange: Exchange, liar: Liar, how: str):
    state = await begun(exchange, liar)
    liar.sign = FORGED[how]
    with pytest.raises(ProviderError):
        await exchange.finish(state, "code", "browser")


async def test_an_answer_is_good_once_in_its_browser_and_in_time(liar: Liar):
    now = time.time()
    exchange = Exchange(PROVIDER, transport=liar, clock=lambda: now)
    state = await begun(exchange, liar)
    with pytest.raises(ProviderError, match="another browser"):
        await exchange.finish(state, "code", "of someone else")
    with pytest.raises(ProviderError, match="not begun here"):
        await exchange.finish(state, "code", "browser")
    state = await begun(exchange, liar)
    await exchange.finish(state, "code", "browser")
    with pytest.raises(ProviderError, match="not begun here"):
        await exchange.finish(state, "code", "browser")
    state = await begun(exchange, liar)
    with pytest.raises(ProviderError, match="another provider"):
        await exchange.finish(state, "code", "browser", "https://evil.example")
    state = await begun(exchange, liar)
    now += ATTEMPT_S + 1
    with pytest.raises(ProviderError, match="too long ago"):
        await exchange.finish(state, "code", "browser")
    with pytest.raises(ProviderError, match="not begun here"):
        await exchange.finish("invented", "code", "browser")


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"issuer": "https://evil.example"}, "says that it is"),
        ({"token_endpoint": "http://id.example/token"}, "https only"),
        ({"jwks_uri": None}, "jwks_uri"),
    ],
)
async def test_a_provider_that_leads_elsewhere_is_not_followed(
    exchange: Exchange, liar: Liar, about: dict[str, Any], why: str
):
    liar.about.update(about)
    with pytest.raises(ProviderError, match=why):
        state = await begun(exchange, liar)
        await exchange.finish(state, "code", "browser")


async def test_endless_and_redirecting_answers_end(exchange: Exchange, liar: Liar):
    state = await begun(exchange, liar)
    liar.answers["/token"] = httpx.Response(302, headers={"location": "http://169.254.169.254/"})
    with pytest.raises(ProviderError, match="answered 302"):
        await exchange.finish(state, "code", "browser")
    state = await begun(exchange, liar)
    liar.answers["/token"] = httpx.Response(200, content=b" " * (2 << 20))
    with pytest.raises(ProviderError, match="more than"):
        await exchange.finish(state, "code", "browser")


@pytest.mark.parametrize("issuer", ["http://id.example", "ftp://id", "file:///etc/passwd", ""])
def test_an_issuer_is_reached_by_https(issuer: str):
    with pytest.raises(ProviderError, match="https"):
        Exchange(Provider("id", issuer, "c"))


@pytest.mark.parametrize("issuer", ["https://169.254.169.254", "https://[fd00:ec2::254]"])
async def test_metadata_addresses_are_not_called(issuer: str):
    with pytest.raises(ProviderError):
        await Exchange(Provider("id", issuer, "c")).begin("https://plant.local/cb", "b")
