"""Accounts: who gets in, what was granted, and that withdrawing it is told at once."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from mirrorworld.trust import accounts as module
from mirrorworld.trust.accounts import (
    HASHING,
    AccountError,
    Accounts,
    AccountsDown,
    Gone,
    Grant,
)
from tests.conftest import Postgres

PASSWORD = "correct horse battery"
VIEWER, OPERATOR, OWNER = Grant("viewer"), Grant("operator"), Grant("owner")


class Clock:
    def __init__(self) -> None:
        self.ns = 1_800_000_000 * 10**9

    def __call__(self) -> int:
        return self.ns

    def pass_s(self, seconds: float) -> None:
        self.ns += int(seconds * 1e9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def address_of(peer: Postgres) -> str:
    return peer.url.replace("@", f":{quote(peer.password)}@", 1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def accounts(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Accounts]:
    """The same code, and the same tests, for both databases."""
    is_sqlite = request.param == "sqlite"
    url = None if is_sqlite else address_of(request.getfixturevalue("postgres"))
    made = Accounts(url, now_ns=clock)
    made.add_person("ada", PASSWORD, [OWNER])
    made.add_person("bob", PASSWORD, [OPERATOR])
    yield made
    made.close()


def enter(accounts: Accounts, name: str, password: str = PASSWORD) -> str:
    return accounts.sign_in(name, password, device="phone", address="10.0.0.7")


def test_name_and_password_open_a_session(accounts: Accounts):
    secret = enter(accounts, "bob")
    who = accounts.by_session(secret)
    assert who is not None
    assert (who.name, who.roles) == ("bob", {"operator"})
    for name, password in (("bob", "wrong"), ("nobody", PASSWORD), ("", ""), ("bob", "")):
        assert enter(accounts, name, password) == ""
    assert accounts.by_session("") is None
    assert accounts.by_session("guessed") is None


def test_nothing_that_opens_is_in_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "HASHING", HASHING)
    accounts = Accounts(tmp_path / "accounts.db")
    accounts.add_person("ada", PASSWORD, [OWNER])
    opens = [
        enter(accounts, "ada"),
        accounts.make_token("ada", "ci", [VIEWER], lasts_s=60, by="ada"),
        accounts.invite(VIEWER, by="ada"),
        PASSWORD,
    ]
    accounts.close()
    path = tmp_path / "accounts.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    data = path.read_bytes()
    assert not [secret for secret in opens if secret.encode() in data]
    with sqlite3.connect(path) as database:
        (hashed,) = database.execute("select password from users").fetchone()
    database.close()
    assert hashed.startswith("$argon2id$v=19$m=32768,t=3,p=1$")


def test_a_session_that_was_ended_opens_nothing(accounts: Accounts):
    secret = enter(accounts, "bob")
    (row,) = accounts.sessions("bob")
    assert "secret" not in row
    assert accounts.end_session(row["id"], by="bob")
    assert accounts.by_session(secret) is None
    assert not accounts.end_session(row["id"], by="bob")


def test_a_session_ends_when_it_is_not_used_and_when_it_is_old(accounts: Accounts, clock: Clock):
    idle, used = enter(accounts, "bob"), enter(accounts, "bob")
    for _ in range(16):
        clock.pass_s(86_400)
        accounts.set_grants("bob", [OPERATOR], by="ada")  # forgets what is remembered in memory
        assert accounts.by_session(used) is not None
    assert accounts.by_session(idle) is None
    for _ in range(80):
        clock.pass_s(86_400)
        accounts.set_grants("bob", [OPERATOR], by="ada")
        accounts.by_session(used)
    assert accounts.by_session(used) is None


@pytest.mark.parametrize(
    "password", ["short", "aaaaaaaaaaaaaaa", "administrator", "bobby-bobby-1", "x" * 257]
)
def test_weak_passwords_are_refused(accounts: Accounts, password: str):
    with pytest.raises(AccountError):
        accounts.add_person("bobby", password, [VIEWER])
    with pytest.raises(AccountError):
        accounts.set_password("bob", password if password != "bobby-bobby-1" else "", by="ada")


@pytest.mark.parametrize(
    "password",
    [
        "password1234", "qwertyuiop123", "iloveyou123456", "Trustno1Trustno1", "Passw0rd1234",
        "abcdefghijklmn", "111111222222333333", "mirrorworld2026", "administrator1",
    ],
)  # fmt: skip
def test_passwords_that_everybody_tries_are_refused(accounts: Accounts, password: str):
    with pytest.raises(AccountError, match="easily guessed"):
        accounts.check_password("kim", password)
    accounts.check_password("kim", "zebra kettle moss")
    accounts.check_password("kim", "ein paar Wörter hintereinander")


@pytest.mark.parametrize("name", ["", "owner", "Owner", "a/b", "a b", "<b>", "x" * 65, "-a", "a\n"])
def test_names_that_could_be_mistaken_are_refused(accounts: Accounts, name: str):
    with pytest.raises(AccountError):
        accounts.add_person(name, PASSWORD, [VIEWER])


def test_a_token_does_what_its_owner_still_may(accounts: Accounts, clock: Clock):
    token = accounts.make_token("bob", "ci", [OPERATOR], lasts_s=3600, by="bob")
    who = accounts.by_token(token)
    assert who is not None
    assert (who.name, who.person, who.roles) == ("bob/ci", "bob", {"operator"})
    accounts.set_grants("bob", [VIEWER], by="ada")
    less = accounts.by_token(token)
    assert less is not None
    assert less.roles == frozenset()
    clock.pass_s(3601)
    assert accounts.by_token(token) is None
    with pytest.raises(AccountError, match="a year"):
        accounts.make_token("bob", "long", [VIEWER], lasts_s=400 * 86_400, by="bob")


def test_a_token_of_another_world_opens_nothing(accounts: Accounts):
    other = Accounts()
    other.add_person("ada", PASSWORD, [OWNER])
    assert accounts.by_token(other.make_token("ada", "t", [OWNER], lasts_s=60, by="ada")) is None
    assert accounts.by_session(enter(other, "ada")) is None


def test_an_invitation_is_for_one_and_for_a_while(accounts: Accounts, clock: Clock):
    secret = accounts.invite(Grant("operator", "hall/line1"), by="ada")
    with pytest.raises(AccountError):
        accounts.accept(secret, "cid", "weak")
    accounts.accept(secret, "cid", PASSWORD)
    assert accounts.grants_of("cid") == (Grant("operator", "hall/line1"),)
    with pytest.raises(AccountError, match="used"):
        accounts.accept(secret, "dee", PASSWORD)
    late = accounts.invite(VIEWER, by="ada")
    clock.pass_s(4 * 86_400)
    assert accounts.invitation(late) is None


def test_what_is_withdrawn_is_told_at_once(accounts: Accounts):
    told: list[Gone] = []
    accounts.listeners.append(told.append)
    enter(accounts, "bob")
    token = accounts.make_token("bob", "ci", [VIEWER], lasts_s=60, by="bob")
    (session,), (made,) = accounts.sessions("bob"), accounts.tokens("bob")
    accounts.end_session(session["id"], by="ada")
    accounts.revoke_token(made["id"], by="ada")
    accounts.set_grants("bob", [VIEWER], by="ada")
    accounts.set_disabled("bob", True, by="ada")
    assert told == [
        Gone(session=session["id"]),
        Gone(token=made["id"]),
        Gone(person="bob", is_over=False),
        Gone(person="bob"),
    ]
    assert accounts.by_token(token) is None
    assert enter(accounts, "bob") == ""


def test_the_last_owner_stays(accounts: Accounts):
    for act in (
        lambda: accounts.remove_person("ada", by="ada"),
        lambda: accounts.set_disabled("ada", True, by="ada"),
        lambda: accounts.set_grants("ada", [VIEWER], by="ada"),
    ):
        with pytest.raises(AccountError, match="only owner"):
            act()
    accounts.set_grants("bob", [OWNER], by="ada")
    accounts.remove_person("ada", by="bob")
    assert [each["name"] for each in accounts.people()] == ["bob"]


def test_the_audit_trail_shows_a_line_that_was_changed_or_taken_away(tmp_path: Path):
    for damage in (
        "update audit set detail = 'nothing' where number = 3",
        "delete from audit where number = 2",
    ):
        path = tmp_path / f"{len(damage)}.db"
        accounts = Accounts(path)
        accounts.add_person("ada", PASSWORD, [OWNER])
        for _ in range(3):
            enter(accounts, "ada", "wrong")
        assert accounts.check_audit() is None
        whats = [line["what"] for line in accounts.audit()]
        assert whats == ["sign-in refused"] * 3 + ["account made"]
        assert PASSWORD not in str(accounts.audit())
        with sqlite3.connect(path) as database:
            database.execute(damage)
        database.close()
        assert accounts.check_audit() == 3
        accounts.close()


@pytest.mark.parametrize(
    "text", ["a\0b", "\0", "x" * 5_000, "<b>&'\"", "ada'; drop table users; --"]
)
def test_texts_that_a_database_may_refuse_find_nothing(accounts: Accounts, text: str):
    assert enter(accounts, text) == ""
    assert enter(accounts, "ada", text) == ""
    assert accounts.by_session(text) is None
    assert accounts.by_token(text) is None
    assert accounts.invitation(text) is None
    assert accounts.passkey(text) is None
    assert accounts.by_identity(text, text) == ""
    assert not accounts.end_session(text, by="ada")
    assert not accounts.revoke_token(text, by="ada")
    assert not accounts.remove_passkey("ada", text)
    with pytest.raises(AccountError):
        accounts.set_grants(text, [VIEWER], by="ada")
    accounts.note(text, text, text, text)
    assert accounts.check_audit() is None
    assert [each["name"] for each in accounts.people()] == ["ada", "bob"]


@pytest.mark.peer
def test_a_database_that_was_restarted_is_used_again(postgres: Postgres):
    accounts = Accounts(address_of(postgres))
    accounts.add_person("ada", PASSWORD, [OWNER])
    secret = enter(accounts, "ada")
    postgres.crash()
    with pytest.raises(AccountsDown, match="does not answer"):
        enter(accounts, "ada")
    postgres.start()
    who = accounts.by_session(secret)
    assert who is not None
    assert who.name == "ada"
    accounts.close()


@pytest.mark.peer
def test_two_programs_write_one_chain(postgres: Postgres):
    programs = [Accounts(address_of(postgres)) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: programs[i % 2].note("ada", "command", str(i)), range(100)))
    assert programs[0].check_audit() is None
    assert len(programs[0].audit()) == 100
    for each in programs:
        each.close()


@pytest.mark.parametrize(
    "url", ["nonsense", "postgresql://ada:secret-of-ada@127.0.0.1:1/accounts", "mysql://x@y/z"]
)
def test_a_database_that_cannot_be_used_is_said_without_its_password(url: str):
    with pytest.raises(AccountError, match="the accounts' database") as told:
        Accounts(url)
    assert "secret-of-ada" not in str(told.value)


def test_it_is_kept(tmp_path: Path):
    accounts = Accounts(tmp_path / "accounts.db")
    accounts.add_person("ada", PASSWORD, [OWNER, Grant("engineer", "hall")])
    secret = enter(accounts, "ada")
    accounts.close()
    again = Accounts(tmp_path / "accounts.db")
    who = again.by_session(secret)
    assert who is not None
    assert set(who.grants) == {OWNER, Grant("engineer", "hall")}
    again.close()
