"""How others than this machine reach a world: addresses, a certificate that is kept fresh, and the
plain door at which a phone gets the authority that it has to trust first.

Refuses to know accounts and the world: the plain door tells what is no secret, and nothing else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import plistlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mirrorworld.server import entrance
from mirrorworld.server.words import language_of
from mirrorworld.trust.authority import Certificate
from mirrorworld.trust.limits import Limit

log = logging.getLogger(__name__)

LOOK_S: Final = 3_600.0
"""How often the certificate is looked at while the server runs."""
PLAIN_REQUESTS: Final = (60.0, 1.0)
_NAMESPACE: Final = uuid.UUID("6c8d3b52-0c0e-4d6a-9c55-9f4a8f6f3a10")


@dataclass(frozen=True, slots=True)
class Network:
    """How others than this machine reach a world: over TLS, and with an account."""

    host: str
    """Address to listen on; `0.0.0.0` and `::` are all."""
    port: int
    certificate: Certificate
    names: tuple[str, ...] = ()
    """Names and addresses that the server answers to there."""
    plain_port: int | None = None
    """Port of the plain door; None: there is none."""
    renewed: Callable[[], Certificate] | None = None
    """Gives the certificate to be used from now on, a new one where that is due."""
    look_s: float = LOOK_S

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where others find the page: first what a phone on the same network can use."""
        found = [_shown(name) for name in sorted(self.names, key=_rank) if _rank(name) < 9]
        return tuple(f"https://{name}:{self.port}" for name in found)

    @property
    def plain_addresses(self) -> tuple[str, ...]:
        """Where the plain door is; none if there is none."""
        if self.plain_port is None or self.certificate.authority is None:
            return ()
        return tuple(
            f"http://{_shown(name)}:{self.plain_port}"
            for name in sorted(self.names, key=_rank)
            if _rank(name) < 9
        )


def _rank(name: str) -> int:
    """IPv4 addresses before names before IPv6; 9: of no use to others."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return 9 if name == "localhost" else 1 if "." in name else 2
    if address.is_loopback or address.is_link_local:
        return 9
    return 0 if address.version == 4 else 3


def _shown(name: str) -> str:
    return f"[{name}]" if ":" in name else name


async def keep_fresh(network: Network, config: uvicorn.Config) -> None:
    """Looks at the certificate from time to time, and serves a new one as soon as it is there:
    our own when it nears its end, an operator's when its files change. Ends when cancelled."""
    served = await asyncio.to_thread(network.certificate.certificate.read_bytes)
    while network.renewed is not None:
        await asyncio.sleep(network.look_s)
        try:
            fresh = await asyncio.to_thread(network.renewed)
            found = await asyncio.to_thread(fresh.certificate.read_bytes)
            if found == served or config.ssl is None:
                continue
            config.ssl.load_cert_chain(fresh.certificate, fresh.key)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            log.warning("the certificate stays as it was: %s", error)
            continue
        served = found
        log.warning("a new certificate is used from now on: %s", fresh.certificate)


class PlainDoor:
    """ASGI: the authority's certificate and how to trust it, without TLS; nothing else, to nobody
    in particular. What comes this way can be changed on the way: the page says to compare the
    fingerprint with the one that the owner sees."""

    def __init__(self, certificate: Certificate, addresses: Sequence[str]) -> None:
        assert certificate.authority is not None
        self._pem = certificate.authority.read_bytes()
        self._fingerprint = certificate.fingerprint
        self._address = addresses[0] if addresses else ""
        self._asked = Limit(*PLAIN_REQUESTS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers GET and HEAD of three paths."""
        if scope["type"] != "http":
            return
        client = scope.get("client")
        status, body, kind = self._answer(scope, client[0] if client else "")
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (
                b"content-security-policy",
                b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            ),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )

    def _answer(self, scope: Any, address: str) -> tuple[int, bytes, str]:
        text = "text/plain; charset=utf-8"
        if self._asked.wait_s(address):
            return 429, b"too many requests; wait a minute", text
        if scope["method"] not in ("GET", "HEAD"):
            return 405, b"nothing is taken here", text
        match scope["path"]:
            case "/":
                said = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
                page = entrance.first_steps(language_of(said), self._fingerprint, self._address)
                return 200, page, "text/html; charset=utf-8"
            case "/mirrorworld.crt" | "/authority.pem":
                return 200, self._pem, "application/x-x509-ca-cert"
            case "/mirrorworld.mobileconfig":
                return 200, profile(self._pem), "application/x-apple-aspen-config"
        return 404, b"only the authority's certificate is here; begin at /", text


def profile(pem: bytes) -> bytes:
    """The root as a configuration profile of iOS and macOS
    (Apple, Configuration Profile Reference, CertificateRoot)."""
    root = x509.load_pem_x509_certificate(pem)
    name = root.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    der = root.public_bytes(Encoding.DER)
    identifier = f"mirrorworld.{uuid.uuid5(_NAMESPACE, der.hex())}"
    content = {
        "PayloadType": "com.apple.security.root",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.root",
        "PayloadUUID": str(uuid.uuid5(_NAMESPACE, f"{der.hex()} root")).upper(),
        "PayloadDisplayName": name,
        "PayloadContent": der,
    }
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": identifier,
            "PayloadUUID": str(uuid.uuid5(_NAMESPACE, der.hex())).upper(),
            "PayloadDisplayName": name,
            "PayloadContent": [content],
        }
    )
