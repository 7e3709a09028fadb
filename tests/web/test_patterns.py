"""The pattern that is guessed from chosen twins, run in Node, against the server's own patterns."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mirrorworld.mapping.globs import Glob

PANELS = Path(__file__).resolve().parents[2] / "web" / "src" / "panels"


@pytest.mark.parametrize(
    ("ids", "pattern"),
    [
        ([], ""),
        (["plant/hall/Pump7"], "plant/hall/Pump{n:int}"),
        (["plant/hall/mixer"], "plant/hall/mixer"),
        (["plant/a/P1", "plant/b/P12"], "plant/*/P{n:int}"),
        (["plant/P10", "plant/P11"], "plant/P{n:int}"),
        (["line1/rinser", "line1/filler"], "line1/*er"),
        (["h1/P1x", "h2/P2x"], "h{n:int}/P{n2:int}x"),
        (["plant/P1", "plant/hall/P1"], ""),
        (["a*b/1", "a*b/2"], "a\\*b/{n:int}"),
        (["{x}/1", "{x}/2"], "\\{x\\}/{n:int}"),
        (["p/aa", "p/aaa"], "p/aa*"),
        (["P1a2", "P11a2"], "P{n:int}a2"),
    ],
)
def test_the_guess_fits_what_was_chosen(node: str, ids: list[str], pattern: str) -> None:
    text = (
        'import { guessPattern } from "./patterns.ts";'
        f"console.log(JSON.stringify(guessPattern({json.dumps(ids)})));"
    )
    done = subprocess.run(
        [node, "--no-warnings", "--input-type=module", "--eval", text],
        cwd=PANELS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pattern
    if pattern:
        assert all(Glob(pattern).match(each) is not None for each in ids)
