"""Certificates of OPC UA: this application's own, and whose server's it trusts.

A server's certificate is trusted by fingerprint, as a person accepted it once; there is no
authority behind it (OPC 10000-2 §8.1 allows either). Everything is kept below the connector's
state directory:

    opcua/own/certificate.der, opcua/own/key.pem     this application's own, made on first use
    trusted/FINGERPRINT.der                          servers' that were accepted
    pending/SOURCE.der                               the one that waits for an answer

Without a state directory all of it lives as long as the connector.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALIDITY: Final = datetime.timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a person needs to know of a server's certificate to accept it or not."""

    fingerprint: str
    """SHA-256 of the DER form, in hex."""
    subject: str
    valid_until: str
    """ISO date, UTC."""
    application_uri: str
    is_valid_now: bool
    der: bytes

    @staticmethod
    def of(der: bytes, now: datetime.datetime) -> Certificate:
        """Reads a certificate; of a chain, its first.

        Raises:
            ValueError: it is not one.
        """
        der = first_of_chain(der)
        parsed = x509.load_der_x509_certificate(der)
        uri = ""
        with contextlib.suppress(x509.ExtensionNotFound, ValueError):
            names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uri = next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), "")
        return Certificate(
            hashlib.sha256(der).hexdigest(),
            parsed.subject.rfc4514_string(),
            parsed.not_valid_after_utc.date().isoformat(),
            uri,
            parsed.not_valid_before_utc <= now <= parsed.not_valid_after_utc,
            der,
        )

    @property
    def detail(self) -> str:
        """What else tells certificates apart."""
        now = "" if self.is_valid_now else ", which is not today"
        uri = f", application {self.application_uri}" if self.application_uri else ""
        return f"valid until {self.valid_until}{now}{uri}"

    def __str__(self) -> str:
        pairs = ":".join(re.findall("..", self.fingerprint.upper()))
        return f"{self.subject or 'no subject'}, valid until {self.valid_until}, SHA-256 {pairs}"


@dataclass(frozen=True, slots=True)
class Identity:
    """This application's own certificate and key."""

    certificate_der: bytes
    key_pem: bytes
    application_uri: str
    where: str
    """The certificate's file, for a person who must hand it to a server's administrator."""

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the certificate: how servers list it (OPC 10000-6 §6.2.2)."""
        return hashlib.sha1(self.certificate_der, usedforsecurity=False).hexdigest()


class Trust:
    """The certificates of one source."""

    def __init__(self, state_dir: Path | None, source: str) -> None:
        self._directory = state_dir
        self._source = re.sub(r"[^\w.-]", "_", source)
        self._identity: Identity | None = None
        self._trusted: set[str] = set()
        self._pending: Certificate | None = None

    def identity(self, now: datetime.datetime) -> Identity:
        """This application's own certificate, made on first use and before it expires."""
        if self._identity is None:
            self._identity = self._stored_identity(now) or self._new_identity(now)
        return self._identity

    def is_trusted(self, certificate: Certificate) -> bool:
        """Whether a person has accepted it."""
        if certificate.fingerprint in self._trusted:
            return True
        file = self._file("trusted", f"{certificate.fingerprint}.der")
        return file is not None and file.exists()

    def ask(self, certificate: Certificate) -> None:
        """Keeps a certificate until someone decides on it, also from another process."""
        self._pending = certificate
        file = self._file("pending", f"{self._source}.der")
        if file is not None:
            _write(file, certificate.der)

    def pending(self, now: datetime.datetime) -> Certificate | None:
        """The certificate that waits for a decision."""
        if self._pending is None:
            file = self._file("pending", f"{self._source}.der")
            if file is not None and file.exists():
                with contextlib.suppress(ValueError, OSError):
                    self._pending = Certificate.of(file.read_bytes(), now)
        if self._pending is not None and self.is_trusted(self._pending):
            self._pending = None
        return self._pending

    def accept(self, fingerprint: str, now: datetime.datetime) -> Certificate:
        """Trusts the pending certificate from now on; its fingerprint must be said.

        Raises:
            ValueError: nothing is pending, or something else is.
        """
        pending = self.pending(now)
        if pending is None:
            raise ValueError(f"source '{self._source}' has no certificate to be trusted")
        wanted = re.sub(r"[^0-9a-f]", "", fingerprint.lower().removeprefix("sha256"))
        if len(wanted) < 16 or not pending.fingerprint.startswith(wanted):
            raise ValueError(
                f"'{fingerprint}' is not the fingerprint of the pending certificate"
                f" ({pending}); give at least its first 16 digits"
            )
        self._trusted.add(pending.fingerprint)
        file = self._file("trusted", f"{pending.fingerprint}.der")
        if file is not None:
            _write(file, pending.der)
            waiting = self._file("pending", f"{self._source}.der")
            if waiting is not None:
                waiting.unlink(missing_ok=True)
        self._pending = None
        return pending

    def _file(self, *parts: str) -> Path | None:
        return self._directory.joinpath(*parts) if self._directory is not None else None

    def _stored_identity(self, now: datetime.datetime) -> Identity | None:
        at, key_at = (
            self._file("opcua", "own", "certificate.der"),
            self._file("opcua", "own", "key.pem"),
        )
        if at is None or key_at is None or not at.exists() or not key_at.exists():
            return None
        try:
            known = Certificate.of(at.read_bytes(), now)
            serialization.load_pem_private_key(key_at.read_bytes(), None)
        except (ValueError, OSError):
            return None
        if not known.is_valid_now:
            return None
        return Identity(known.der, key_at.read_bytes(), known.application_uri, str(at))

    def _new_identity(self, now: datetime.datetime) -> Identity:
        host = socket.gethostname() or "localhost"
        uri = f"urn:{host}:mirrorworld"
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, "Mirrorworld"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Mirrorworld"),
            ]
        )
        # What OPC 10000-6 §6.2.2 asks of an application instance certificate.
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=True,
            key_encipherment=True,
            data_encipherment=True,
            key_agreement=False,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + VALIDITY)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.UniformResourceIdentifier(uri), x509.DNSName(host)]
                ),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        der = certificate.public_bytes(serialization.Encoding.DER)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        at, key_at = (
            self._file("opcua", "own", "certificate.der"),
            self._file("opcua", "own", "key.pem"),
        )
        if at is not None and key_at is not None:
            _write(key_at, pem, mode=0o600)
            _write(at, der)
        return Identity(der, pem, uri, str(at) if at else "not kept: the source has no state")


def first_of_chain(der: bytes) -> bytes:
    """The first certificate of a chain of them, one after the other (OPC 10000-6 §6.2.6)."""
    if len(der) > 4 and der[0] == 0x30 and der[1] == 0x82:
        return der[: int.from_bytes(der[2:4], "big") + 4]
    return der


def _write(file: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes a whole file or none, readable by others only if `mode` says so."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.{os.getpid()}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(beside, file)
