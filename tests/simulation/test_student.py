"""Student's distribution against SciPy's, which is not needed where it is used."""

from __future__ import annotations

import pytest

from mirrorworld.simulation.student import t_cdf, t_quantile

special = pytest.importorskip("scipy.special")


@pytest.mark.parametrize("freedom", [1, 2, 3.7, 29, 120, 100_000])
@pytest.mark.parametrize("p", [0.55, 0.9, 0.975, 0.9995])
def test_it_is_scipys(freedom: float, p: float) -> None:
    t = float(special.stdtrit(freedom, p))
    assert t_quantile(p, freedom) == pytest.approx(t, rel=1e-9)
    assert t_cdf(t, freedom) == pytest.approx(p, rel=1e-10)
    assert t_cdf(-t, freedom) == pytest.approx(1 - p, rel=1e-9)
