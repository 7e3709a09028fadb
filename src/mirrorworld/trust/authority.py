"""A certificate authority of this world's own, so that phones and headsets get a secure context.

Made on first start and kept beside the world. Its root is limited to the names and private
addresses of the plant (name constraints, RFC 5280 §4.2.1.10), so that who trusts it on a phone
trusts it for nothing else. The server's certificate lives for a year and is made anew before.

Knows keys and names; refuses to know sockets.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT_LASTS: Final = datetime.timedelta(days=3650)
SERVER_LASTS: Final = datetime.timedelta(days=397)
"""Browsers refuse a longer life of a server's certificate (CA/Browser Forum, Apple)."""
RENEWED_BEFORE: Final = datetime.timedelta(days=30)
_SKEW: Final = datetime.timedelta(hours=1)

PRIVATE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
DOMAINS: Final = ("localhost", "local", "lan", "internal", "home.arpa", "test")
"""Names that no public authority gives to anyone."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate and key, as PEM files."""

    certificate: Path
    key: Path
    authority: Path | None = None
    """The root that visitors must trust; None: the operator's own certificate is used."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the root, or of the certificate itself, as browsers show it."""
        path = self.authority or self.certificate
        found = x509.load_pem_x509_certificate(path.read_bytes())
        digest = found.fingerprint(hashes.SHA256()).hex().upper()
        return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def certificate_for(directory: Path, names: Sequence[str]) -> Certificate:
    """The certificate of a server that is reached under these names and addresses.

    Args:
        directory: where the authority is kept, its owner's alone; made if it is not there.

    Raises:
        ValueError: a name is one that our authority may not vouch for.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    root_path, root_key_path = directory / "authority.pem", directory / "authority.key"
    path, key_path = directory / "server.pem", directory / "server.key"
    if not (root_path.exists() and root_key_path.exists()):
        _make_root(root_path, root_key_path)
    wanted = _names(names)
    if not (path.exists() and key_path.exists() and _is_good(path, root_path, wanted)):
        server = [ExtendedKeyUsageOID.SERVER_AUTH]
        _issue(path, key_path, root_path, root_key_path, "Mirrorworld", wanted, server)
    return Certificate(path, key_path, root_path)


def identity_for(directory: Path, name: str, out: Path) -> Certificate:
    """A certificate by which a site of ours is known to others of ours, under the world's own
    authority. Who has its key is the site; a second call makes another that holds beside the first.

    Args:
        directory: where the authority is kept; made if it is not there.
        name: the site's, the common name of the certificate.
        out: the directory to write `authority.pem`, `site.pem` and `site.key` into.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    root_path, root_key_path = directory / "authority.pem", directory / "authority.key"
    if not (root_path.exists() and root_key_path.exists()):
        _make_root(root_path, root_key_path)
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    found = Certificate(out / "site.pem", out / "site.key", out / "authority.pem")
    names = _names(["localhost", "127.0.0.1"])
    _issue(found.certificate, found.key, root_path, root_key_path, name, names, usages)
    _write(out / "authority.pem", root_path.read_bytes(), 0o644)
    return found


def name_in(certificate: Path) -> str:
    """The common name that a certificate is of; ValueError if it has none or cannot be read."""
    try:
        subject = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
        return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    except (OSError, ValueError, IndexError) as error:
        raise ValueError(f"{certificate}: {error or 'it names nobody'}") from error


def given(certificate: Path, key: Path) -> Certificate:
    """The operator's own certificate, checked.

    Raises:
        ValueError: it cannot be read, has ended, or the key is another's.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"{certificate}, {key}: {error}; give PEM files, the key unencrypted"
        ) from error
    if found.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise ValueError(f"{certificate}: ended on {found.not_valid_after_utc:%Y-%m-%d}; renew it")
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if found.public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise ValueError(f"{key}: is not the key of {certificate}")
    return Certificate(certificate, key)


def own_names(host: str) -> list[str]:
    """Names and addresses under which others may reach this machine when it listens on `host`."""
    name = socket.gethostname().split(".")[0].lower()
    names = ["localhost", "127.0.0.1", name, f"{name}.local"]
    if host in ("0.0.0.0", "::", ""):
        for addresses in psutil.net_if_addrs().values():
            for each in addresses:
                if each.family in (socket.AF_INET, socket.AF_INET6):
                    names.append(each.address.partition("%")[0])
    else:
        names.append(host)
    return list(dict.fromkeys(n for n in names if _is_ours(n)))


def _is_ours(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        labels = name.lower().rstrip(".").split(".")
        return len(labels) == 1 or any(name.lower().endswith(f".{d}") for d in DOMAINS)
    return any(address in network for network in PRIVATE if network.version == address.version)


def _names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        if not _is_ours(name):
            raise ValueError(
                f"{name}: is a public name or address, for which the authority of this world may"
                " not vouch; give --certificate and --key of your own"
            )
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name.lower()))
    return found


def _make_root(path: Path, key_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    host = socket.gethostname().split(".")[0].lower()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Mirrorworld"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Mirrorworld on {host}"[:64]),
        ]
    )
    permitted: list[x509.GeneralName] = [x509.IPAddress(network) for network in PRIVATE]
    permitted += [x509.DNSName(domain) for domain in (*DOMAINS, host)]
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    root = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + ROOT_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_path, key)
    _write(path, root.public_bytes(serialization.Encoding.PEM), 0o644)


def _issue(
    path: Path,
    key_path: Path,
    root_path: Path,
    root_key_path: Path,
    common_name: str,
    names: list[x509.GeneralName],
    usages: list[x509.ObjectIdentifier],
) -> None:
    """Makes a key and a certificate for it, under the root."""
    root = x509.load_pem_x509_certificate(root_path.read_bytes())
    root_key = serialization.load_pem_private_key(root_key_path.read_bytes(), None)
    assert isinstance(root_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(min(now + SERVER_LASTS, root.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(root_key, hashes.SHA256())
    )
    _write_key(key_path, key)
    pem = serialization.Encoding.PEM
    _write(path, made.public_bytes(pem) + root.public_bytes(pem), 0o644)


def _is_good(path: Path, root_path: Path, names: list[x509.GeneralName]) -> bool:
    """Whether a server's certificate is still to be used."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        root = x509.load_pem_x509_certificate(root_path.read_bytes())
        found.verify_directly_issued_by(root)
        held = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # whatever is wrong with it, a new one is made
        return False
    lasts = found.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return lasts > RENEWED_BEFORE and set(names) <= set(held)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(path, data, 0o600)


def _write(path: Path, data: bytes, mode: int) -> None:
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
