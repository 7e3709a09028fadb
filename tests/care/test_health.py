"""The doctor finds what is wrong on each side of a world, and says what to do."""

from __future__ import annotations

import datetime
import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mirrorworld.care import health
from mirrorworld.care.health import Check, Standing, examine_world
from mirrorworld.record import open_record, restore
from mirrorworld.testing.records import feed
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.world.ports import SourceConfig

SCHEMES = frozenset({"file", "mqtt", "opc.tcp"})


@pytest.fixture
def hall(tmp_path: Path) -> Path:
    with open_record(tmp_path / "record", "hall", compacts=False) as store:
        feed(store, restore(store), 1, 20)
        store.commit()
    return tmp_path


def found(directory: Path, *configs: SourceConfig, **more) -> dict[str, list[Check]]:
    checks: dict[str, list[Check]] = {}
    for check in examine_world(directory, configs, SCHEMES, **more):
        checks.setdefault(check.what, []).append(check)
    return checks


def worst(checks: list[Check]) -> Standing:
    order = list(Standing)
    return max((check.standing for check in checks), key=order.index)


def certificate(path: Path, from_days: int, to_days: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "press")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=from_days))
        .not_valid_after(now + datetime.timedelta(days=to_days))
        .sign(key, hashes.SHA256())
    )
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def test_a_sound_world(hall: Path) -> None:
    checks = found(hall)
    assert worst(checks["record"]) is Standing.GOOD
    assert "changes" in checks["record"][0].said
    assert {"disk", "clock", "record"} <= set(checks)
    assert not (hall / ".doctor.tmp").exists()


@pytest.mark.parametrize(
    ("from_days", "to_days", "standing", "said"),
    [
        (-400, -3, Standing.BAD, "ended on"),
        (-300, 10, Standing.WARNING, "ends on"),
        (2, 300, Standing.BAD, "in the future"),
        (-1, 300, Standing.GOOD, "1 are valid"),
    ],
)
def test_certificates(hall: Path, from_days: int, to_days: int, standing, said) -> None:
    certificate(hall / "sources" / "press.pem", from_days, to_days)
    checks = found(hall)["certificates"]
    assert worst(checks) is standing
    assert any(said in check.said for check in checks)
    assert standing is Standing.GOOD or all(check.mend for check in checks)


def test_a_full_disk_and_a_slow_one(hall: Path, monkeypatch) -> None:
    full = (10**12, 10**12 - 10**8, 10**8)
    usage = type("Usage", (), dict(zip(("total", "used", "free"), full, strict=True)))
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(health, "SYNC_S_SLOW", -1.0)
    checks = found(hall)["disk"]
    assert worst(checks) is Standing.BAD
    assert any("free space" in check.mend for check in checks)
    assert any("SSD" in check.mend for check in checks)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written(hall: Path) -> None:
    hall.chmod(0o500)
    try:
        assert any("cannot be written" in check.said for check in found(hall)["disk"])
    finally:
        hall.chmod(0o700)


def test_sources_that_do_not_run(hall: Path, free_port: Callable[[], int]) -> None:
    checks = found(
        hall,
        SourceConfig("teletype://x", "old"),
        SourceConfig(f"mqtt://127.0.0.1:{free_port()}", "off"),
        SourceConfig(str(hall / "gone.csv"), "gone"),
    )
    assert checks["source old"][0].standing is Standing.BAD
    assert "pip install" in checks["source old"][0].mend
    assert checks["source off"][0].standing is Standing.WARNING
    assert checks["source gone"][0].standing is Standing.BAD


@dataclass
class Seen:
    name: str
    state: str
    detail: str = ""
    tally: Mapping[str, int] = field(default_factory=dict)


def test_sources_of_a_running_world(hall: Path) -> None:
    seen = [
        Seen("good", "live"),
        Seen("locked", "refused", "certificate not trusted"),
        Seen("fast", "live", tally={"future": 12}),
    ]
    checks = found(hall, running=seen)
    assert worst(checks["source good"]) is Standing.GOOD
    assert worst(checks["source locked"]) is Standing.BAD
    assert "clock" in checks["source fast"][1].mend


def test_damage_to_the_record(hall: Path) -> None:
    path = next((hall / "record" / "log").glob("*.mwlog"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    checks = found(hall)["record"]
    assert worst(checks) is Standing.BAD
    assert any("backup" in check.mend for check in checks)


def test_secrets_that_others_can_read_and_accounts(hall: Path) -> None:
    accounts = Accounts(hall / "accounts.db")
    accounts.add_person("ada", "correct horse battery", [Grant("owner")])
    for _ in range(3):
        accounts.note("ada", "command", "line1")
    accounts.close()
    checks = list(examine_world(hall, [], frozenset(), accounts=hall / "accounts.db"))
    assert all(c.standing is Standing.GOOD for c in checks if c.what in ("secrets", "accounts"))
    assert "1 accounts, 1 owners" in [c.said for c in checks]
    with sqlite3.connect(hall / "accounts.db") as database:
        database.execute("update audit set detail = 'nothing' where number = 2")
    (hall / "accounts.db").chmod(0o644)
    bad = {
        c.what: c
        for c in examine_world(hall, [], frozenset(), accounts=hall / "accounts.db")
        if c.standing is Standing.BAD
    }
    assert set(bad) == {"secrets", "audit trail"}
    assert "chmod 600" in bad["secrets"].mend
    assert "line 2" in bad["audit trail"].said
    away = "postgresql://ada:secret-of-ada@127.0.0.1:1/accounts"
    (down,) = [
        c for c in examine_world(hall, [], frozenset(), accounts=away) if c.what == "accounts"
    ]
    assert down.standing is Standing.BAD
    assert "secret-of-ada" not in down.said
