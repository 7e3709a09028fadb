"""Secrets at rest are of no use without the key, nor in another's place."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from mirrorworld import kept
from mirrorworld.installed import UsageError
from mirrorworld.trust.vault import PREFIX, SecretError, Vault
from mirrorworld.world.ports import SourceConfig


def test_what_is_sealed_comes_back_for_its_purpose_only(tmp_path: Path):
    vault = Vault.of(tmp_path)
    sealed = vault.seal("hunter2", "source press password")
    assert sealed.startswith(PREFIX)
    assert "hunter2" not in sealed
    assert sealed != vault.seal("hunter2", "source press password")
    assert Vault.of(tmp_path).open(sealed, "source press password") == "hunter2"
    with pytest.raises(SecretError, match="another key"):
        vault.open(sealed, "source mill password")
    with pytest.raises(SecretError, match="give it again"):
        Vault(bytes(32)).open(sealed, "source press password")
    with pytest.raises(SecretError):
        vault.open(sealed[:-6] + "AAAAA=", "source press password")


def test_the_key_may_come_from_elsewhere(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MIRRORWORLD_SECRETS_KEY", base64.b64encode(b"k" * 32).decode())
    sealed = Vault.of(tmp_path).seal("a", "b")
    assert not list(tmp_path.iterdir())
    assert Vault(b"k" * 32).open(sealed, "b") == "a"
    monkeypatch.setenv("MIRRORWORLD_SECRETS_KEY", "not base64!")
    with pytest.raises(SecretError):
        Vault.of(tmp_path)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path):
    Vault.of(tmp_path)
    (tmp_path / "secrets.key").chmod(0o644)
    with pytest.raises(SecretError, match="chmod 600"):
        Vault.of(tmp_path)


def test_sources_are_kept_without_their_secrets_in_the_clear(tmp_path: Path):
    config = SourceConfig("mqtt://broker", "press", {"token": "t0ken", "qos": 1}, "user", "hunter2")
    kept.remember(tmp_path, [config])
    text = (tmp_path / "sources.json").read_text()
    assert "hunter2" not in text
    assert "t0ken" not in text
    assert kept.remembered(tmp_path) == [config]
    # What was kept by an earlier version in the clear is read, and sealed when it is kept again.
    (tmp_path / "sources.json").write_text(
        json.dumps([{"url": "mqtt://broker", "name": "press", "password": "hunter2"}])
    )
    (found,) = kept.remembered(tmp_path)
    assert found.password == "hunter2"
    kept.remember(tmp_path, [found])
    assert "hunter2" not in (tmp_path / "sources.json").read_text()


def test_providers_are_read_and_their_secrets_sealed(tmp_path: Path):
    row = {"name": "works", "issuer": "https://id", "client_id": "c", "client_secret": "s3cret"}
    (tmp_path / "providers.json").write_text(json.dumps([row]))
    for _ in range(2):
        (found,) = kept.providers_of(tmp_path)
        assert (found.name, found.client_secret) == ("works", "s3cret")
        assert "s3cret" not in (tmp_path / "providers.json").read_text()
    (tmp_path / "providers.json").write_text('[{"name": "x", "evil": 1}]')
    with pytest.raises(UsageError, match=r"providers\.json.*network\.md"):
        kept.providers_of(tmp_path)


def test_a_mail_servers_password_is_sealed(tmp_path: Path):
    assert kept.mail_of(tmp_path) is None
    row = {"host": "mail", "sender": "m@works.example", "username": "m", "password": "s3cret"}
    (tmp_path / "mail.json").write_text(json.dumps(row))
    for _ in range(2):
        found = kept.mail_of(tmp_path)
        assert found is not None
        assert found.password == "s3cret"
        assert "s3cret" not in (tmp_path / "mail.json").read_text()
