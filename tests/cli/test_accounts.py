"""People are invited and looked up from the command line, whether the world runs or not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mirrorworld.cli import app
from mirrorworld.trust.accounts import Accounts, Grant


@pytest.fixture
def hall(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("MIRRORWORLD_HOME", str(tmp_path))
    directory = tmp_path / "worlds" / "hall"
    directory.mkdir(parents=True)
    return directory


def run(*words: str):
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


def test_an_invitation_makes_an_account_that_is_listed(hall: Path):
    made = run(
        "invite", "hall", "--role", "operator", "--part", "line1", "--address", "https://p:1"
    )
    link = made.stdout.strip()
    assert link.startswith("https://p:1/welcome?invitation=")
    accounts = Accounts(hall / "accounts.db")
    accounts.accept(link.partition("=")[2], "kim", "correct horse battery")
    assert accounts.grants_of("kim") == (Grant("operator", "line1"),)
    accounts.close()
    listed = run("people", "hall").stdout
    assert "kim" in listed
    assert "operator line1" in listed
    trail = run("audit", "hall")
    assert trail.exit_code == 0
    assert "invited" in trail.stdout


def test_what_cannot_be_is_said(hall: Path):
    wrong = run("invite", "hall", "--role", "king")
    assert wrong.exit_code == 1
    assert "'king' is no role" in wrong.stderr
    assert run("people", "nowhere").exit_code == 1


def test_a_broken_chain_is_said(hall: Path):
    run("invite", "hall")
    run("invite", "hall")
    with sqlite3.connect(hall / "accounts.db") as database:
        database.execute("update audit set detail = 'owner' where number = 1")
    database.close()
    broken = run("audit", "hall")
    assert broken.exit_code == 1
    assert "chain" in broken.stderr
