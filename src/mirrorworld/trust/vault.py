"""Secrets at rest: passwords of sources and mail servers, encrypted with a key of the world's own.

The key is 32 bytes: in the file `secrets.key` that only its owner can read, or handed in by the
environment (`MIRRORWORLD_SECRETS_KEY`, base64) or by systemd (`LoadCredential=secrets.key:…`), so
that whoever copies the disk alone has none of the secrets. AES-256-GCM; what a secret is for is
bound to it, so that one cannot be put in another's place.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_FILE: Final = "secrets.key"
PREFIX: Final = "sealed:1:"
VARIABLE: Final = "MIRRORWORLD_SECRETS_KEY"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class SecretError(ValueError):
    """A secret cannot be read; the message says the mend, never the secret."""


class Vault:
    """Seals and opens secrets of one world."""

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise SecretError(f"the key of secrets has {_KEY_BYTES} bytes, this one {len(key)}")
        self._cipher = AESGCM(key)

    @staticmethod
    def of(directory: Path) -> Vault:
        """The vault of a world; its key is made at the first call.

        Raises:
            SecretError: others can read the key, or it is none.
        """
        given = os.environ.get(VARIABLE, "")
        if given:
            try:
                return Vault(base64.b64decode(given, validate=True))
            except binascii.Error as error:
                raise SecretError(f"{VARIABLE} is not base64") from error
        credentials = os.environ.get("CREDENTIALS_DIRECTORY", "")
        if credentials and (Path(credentials) / KEY_FILE).exists():
            return Vault((Path(credentials) / KEY_FILE).read_bytes())
        path = directory / KEY_FILE
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            pass
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SecretError(f"{path}: others can read the key; do `chmod 600 {path}`")
        return Vault(path.read_bytes())

    def seal(self, secret: str, purpose: str) -> str:
        """The secret as it may lie on disk; "" stays ""."""
        if not secret:
            return ""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.encode(), purpose.encode())
        return PREFIX + base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, purpose: str) -> str:
        """The secret again. What was never sealed is given back as it is.

        Raises:
            SecretError: it was sealed with another key or for another purpose, or is damaged.
        """
        if not sealed.startswith(PREFIX):
            return sealed
        try:
            data = base64.b64decode(sealed.removeprefix(PREFIX), validate=True)
            plain = self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], purpose.encode())
        except (binascii.Error, InvalidTag, ValueError) as error:
            raise SecretError(
                f"the secret of {purpose} was sealed with another key; give it again"
            ) from error
        return plain.decode()
