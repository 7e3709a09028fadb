"""Systems of a few equations whose function is dear: Newton's first step, then Broyden's.

Broyden, "A class of methods for solving nonlinear simultaneous equations", Mathematics of
Computation 19, 1965. A linear system is solved by its first step, whatever its gain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

ITERATIONS_MAX: Final = 40


class NoSolution(ValueError):
    """It does not converge, or no single solution is near."""


def solve(
    residual: Callable[[Vector], Vector],
    x: Vector,
    jacobian: NDArray[np.float64] | None = None,
    tolerance: float = 1e-10,
) -> tuple[Vector, NDArray[np.float64] | None]:
    """`x` with `residual(x) = 0` within `tolerance * (1 + |x|)`, and the Jacobian as last known.

    The last evaluation is always at the `x` that is returned.

    Args:
        jacobian: of an earlier, similar system; None: by differences, one evaluation a column.

    Raises:
        NoSolution: see there.
    """
    r = residual(x)
    for again in range(2):
        for _ in range(ITERATIONS_MAX):
            if not np.isfinite(r).all():
                break
            if np.all(np.abs(r) <= tolerance * (1 + np.abs(x))):
                return x, jacobian
            if jacobian is None:
                jacobian = _differences(residual, x, r)
            try:
                dx = np.linalg.solve(jacobian, -r)
            except np.linalg.LinAlgError:
                raise NoSolution("its equations have no single solution") from None
            x = x + dx
            before, r = r, residual(x)
            jacobian = jacobian + np.outer(r - before - jacobian @ dx, dx) / max(dx @ dx, 1e-300)
        if again or not np.isfinite(r).all():
            break
        jacobian = None
    raise NoSolution(f"it has not converged in {2 * ITERATIONS_MAX} iterations")


def _differences(residual: Callable[[Vector], Vector], x: Vector, r: Vector) -> NDArray[np.float64]:
    columns: list[Vector] = []
    for k in range(len(x)):
        moved = x.copy()
        moved[k] += 1e-6 * (1 + abs(x[k]))
        columns.append((residual(moved) - r) / (moved[k] - x[k]))
    return np.stack(columns, axis=1)
