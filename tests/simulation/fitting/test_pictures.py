"""Pictures of fits are whole SVG and show what was fitted."""

from __future__ import annotations

import xml.etree.ElementTree as Xml

import numpy as np
import pytest

from mirrorworld.simulation.fitting.choosing import fit
from mirrorworld.simulation.fitting.samples import Samples
from mirrorworld.simulation.plots.fits import picture

SVG = "{http://www.w3.org/2000/svg}"


def test_a_fit_is_drawn_with_its_quantiles() -> None:
    times = np.random.default_rng(1).gamma(4.0, 30.0, 120)
    found = fit(Samples.of(times, [40.0]), bootstraps=9)
    drawn = Xml.fromstring(picture(found, "press: <jam>, how long"))
    assert len(drawn.findall(f"{SVG}circle")) == 120
    said = [one.text or "" for one in drawn.iter(f"{SVG}text")]
    assert "press: <jam>, how long" in said
    assert any("120 times and 1 in part" in text for text in said)
    bars = [r.find(f"{SVG}title") for r in drawn.findall(f"{SVG}rect")]
    counts = [int((t.text or "").rpartition(" ")[2]) for t in bars if t is not None]
    assert sum(counts) == 120


def test_few_times_are_drawn_and_what_never_was_is_not() -> None:
    assert "too few times" in picture(fit(Samples.of([3.0, 5.0])), "a")
    with pytest.raises(ValueError, match="nothing to draw"):
        picture(fit(Samples.of([], [100.0])), "a")
