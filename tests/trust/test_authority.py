"""The authority of a world vouches for plant names only, and renews in time."""

from __future__ import annotations

import datetime
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509

from mirrorworld.trust import authority


def greet(certificate: authority.Certificate, root: Path, name: str) -> str:
    """A TLS handshake on loopback as a client that trusts only `root` sees it; "" if it is good."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            taken, _ = listening.accept()
            try:
                context.wrap_socket(taken, server_side=True).close()
            except OSError:
                taken.close()

        thread = threading.Thread(target=answer)
        thread.start()
        client = ssl.create_default_context(cafile=str(root))
        try:
            with socket.create_connection(listening.getsockname(), 5) as plain:
                client.wrap_socket(plain, server_hostname=name).close()
            return ""
        except ssl.SSLError as error:
            return str(error)
        finally:
            thread.join(5)


def test_a_client_that_trusts_the_root_trusts_the_server(tmp_path: Path):
    made = authority.certificate_for(tmp_path / "a", ["plant.local", "192.168.7.4", "127.0.0.1"])
    assert made.authority is not None
    for name in ("plant.local", "192.168.7.4", "127.0.0.1"):
        assert greet(made, made.authority, name) == ""
    assert "mismatch" in greet(made, made.authority, "other.local")
    assert stat.S_IMODE((tmp_path / "a" / "authority.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert len(made.fingerprint.split(":")) == 32


def test_it_is_made_once_and_anew_for_more_names(tmp_path: Path):
    first = authority.certificate_for(tmp_path, ["plant.local"])
    before, root = first.certificate.read_bytes(), first.fingerprint
    assert authority.certificate_for(tmp_path, ["plant.local"]).certificate.read_bytes() == before
    more = authority.certificate_for(tmp_path, ["plant.local", "10.0.0.9"])
    assert more.certificate.read_bytes() != before
    assert more.fingerprint == root


def test_it_is_renewed_before_it_ends(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(authority, "SERVER_LASTS", datetime.timedelta(days=20))
    before = authority.certificate_for(tmp_path, ["plant.local"]).certificate.read_bytes()
    monkeypatch.undo()
    made = authority.certificate_for(tmp_path, ["plant.local"])
    assert made.certificate.read_bytes() != before
    found = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    assert found.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > datetime.timedelta(300)


@pytest.mark.parametrize("name", ["www.example.com", "8.8.8.8", "2001:4860:4860::8888"])
def test_it_vouches_for_no_public_name(tmp_path: Path, name: str, monkeypatch):
    with pytest.raises(ValueError, match="public name or address"):
        authority.certificate_for(tmp_path, [name])
    # And if its key were stolen, no client would take what it signs for such a name.
    monkeypatch.setattr(authority, "_is_ours", lambda _: True)
    made = authority.certificate_for(tmp_path, [name])
    assert made.authority is not None
    assert "permitted subtree violation" in greet(made, made.authority, name)


def test_an_operators_own_certificate_is_checked(tmp_path: Path):
    made = authority.certificate_for(tmp_path / "a", ["plant.local"])
    other = authority.certificate_for(tmp_path / "b", ["plant.local"])
    assert authority.given(made.certificate, made.key).authority is None
    with pytest.raises(ValueError, match="is not the key of"):
        authority.given(made.certificate, other.key)
    with pytest.raises(ValueError, match="PEM"):
        authority.given(tmp_path / "none.pem", made.key)
