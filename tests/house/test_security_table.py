"""The table of docs/security.md names tests that are there, so that it cannot rot."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [
    line
    for line in PAGE.splitlines()
    if line.startswith("| ") and not re.match(r"\| (ASVS|what comes) ", line)
]
KINDS = (
    "oversized frames", "a million nodes", "webhook storm", "never ends", "2 GB", "HTML in names",
    "uploads", "paths to files", "assets (SSRF)", "webhooks and providers (SSRF)",
    "trailing slashes and encoded paths", "another tenant", "replayed sessions",
)  # fmt: skip
"""The kinds of bad input for which there must be a test each."""


def test_every_test_that_is_named_is_there():
    tests = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "worlds").rglob("test_*.py")]
    defined = set(
        re.findall(
            r"^\s*(?:async )?def (test_\w+)\(",
            "\n".join(path.read_text(encoding="utf-8") for path in tests),
            re.MULTILINE,
        )
    )
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 25
    assert sorted(named - defined) == []
    paths = set(re.findall(r"`(tests/[\w/.]+)`", PAGE))
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_every_row_names_a_test():
    assert len(ROWS) > 30
    for row in ROWS:
        tried_by = row.rstrip("| ").rpartition(" | ")[2]
        assert re.search(r"`(test_\w+|tests/[\w/.]+)`", tried_by), row


def test_every_kind_of_bad_input_has_a_row():
    for kind in KINDS:
        assert any(kind in row.split(" | ")[0] for row in ROWS), kind
