"""What the directory of a world keeps beside its record: sources, providers, the mail server,
accounts. Secrets are sealed where they lie.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mirrorworld.installed import UsageError
from mirrorworld.live.notify import MailServer
from mirrorworld.protocol.places import home
from mirrorworld.standards.world_yaml.writing import is_secret
from mirrorworld.trust.accounts import AccountError, Accounts
from mirrorworld.trust.oidc import Provider
from mirrorworld.trust.vault import PREFIX, SecretError, Vault
from mirrorworld.world.ports import SourceConfig


def directory_of(world: str) -> Path:
    """The directory of a world by name."""
    return home() / "worlds" / world


def is_name(world: str) -> bool:
    """Whether a text can name a world."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", world) is not None


def remembered(directory: Path) -> list[SourceConfig]:
    """The sources that were added to a world before, their secrets opened."""
    path = directory / "sources.json"
    if not path.exists():
        return []
    try:
        vault = Vault.of(directory)
        return [
            SourceConfig(**_secrets_of(row, lambda s, purpose: vault.open(s, purpose)))
            for row in json.loads(path.read_text())
        ]
    except SecretError as error:
        raise UsageError(f"{path}: {error}: remove it from the file, then start again") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: {error}; mend it or move it away") from error


def remember(directory: Path, configs: Sequence[SourceConfig]) -> None:
    """Keeps the sources of a world, their secrets sealed. The file is its owner's alone."""
    vault = Vault.of(directory)
    rows = [{k: v for k, v in asdict(c).items() if k != "state_dir" and v} for c in configs]
    rows = [_secrets_of(row, vault.seal) for row in rows]
    _write_own(directory / "sources.json", rows)


def _secrets_of(row: dict[str, Any], turn: Callable[[str, str], str]) -> dict[str, Any]:
    """A source as it is kept, each of its secrets turned."""
    turned = dict(row)
    purpose = f"source {row.get('name', '')}"
    if row.get("password"):
        turned["password"] = turn(row["password"], f"{purpose} password")
    turned["options"] = {
        name: turn(value, f"{purpose} {name}")
        if isinstance(value, str) and is_secret(name)
        else value
        for name, value in row.get("options", {}).items()
    }
    return turned


def providers_of(directory: Path) -> list[Provider]:
    """The providers that may vouch for people here; their secrets are sealed where they lie."""
    path = directory / "providers.json"
    if not path.exists():
        return []
    try:
        vault = Vault.of(directory)
        rows: list[dict[str, Any]] = json.loads(path.read_text())
        found = [
            Provider(**{**row, "client_secret": vault.open(row.get("client_secret", ""), purpose)})
            for row in rows
            for purpose in [f"provider {row.get('name', '')}"]
        ]
        for row in rows:
            secret = row.get("client_secret", "")
            if secret and not secret.startswith(PREFIX):
                row["client_secret"] = vault.seal(secret, f"provider {row.get('name', '')}")
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: {error}; see docs/guide/network.md") from error
    _write_own(path, rows)
    return found


def mail_of(directory: Path) -> MailServer | None:
    """The mail server of a world (`mail.json`), its password sealed where it lies; None: none."""
    path = directory / "mail.json"
    if not path.exists():
        return None
    try:
        vault = Vault.of(directory)
        row: dict[str, Any] = json.loads(path.read_text())
        password = row.get("password", "")
        found = MailServer(**{**row, "password": vault.open(password, "mail password")})
        if password and not password.startswith(PREFIX):
            _write_own(path, {**row, "password": vault.seal(password, "mail password")})
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: {error}; see docs/guide/alarms.md") from error
    return found


def accounts_of(directory: Path, url: str = "") -> Accounts:
    """The accounts of a world: in its folder, or in the database that is named.

    Args:
        url: of a database; else `MIRRORWORLD_ACCOUNTS`.
    """
    try:
        return Accounts(accounts_place(directory, url) or directory / "accounts.db")
    except AccountError as error:
        raise UsageError(str(error)) from error


def accounts_place(directory: Path, url: str = "") -> str | Path | None:
    """Where the accounts of a world are kept; None: there are none yet."""
    path = directory / "accounts.db"
    return url or os.environ.get("MIRRORWORLD_ACCOUNTS", "") or (path if path.exists() else None)


def _write_own(path: Path, rows: Any) -> None:
    """Writes JSON in one step into a file that only its owner can read."""
    new = path.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(rows, file, indent=1)
    new.replace(path)
