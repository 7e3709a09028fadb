"""Designs at the two ends of every range: which factors matter, by few runs.

Fractions 2^(k-p) by their generators (Box, Hunter: Technometrics 3, 1961) and the designs of
Plackett and Burman (Biometrika 33, 1946) by Paley's construction of Hadamard matrices.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.designs import Table, check_count
from mirrorworld.simulation.experiments.space import Space, SpaceError

Signs = NDArray[np.int8]
"""[designs, factors] -1 or 1."""

FACTORS_MAX = 200


def fractional_factorial(space: Space, *, resolution: int = 4) -> Table:
    """The smallest fraction of a two-level factorial that has at least this resolution.

    At resolution 3 main effects are clear of each other, at 4 also of interactions of two factors,
    at 5 those also of each other. More factors than words give the whole factorial.

    Raises:
        SpaceError: too many designs, or the constraints forbid one of them.
    """
    return _of(space, fraction(len(space.factors), resolution))


def plackett_burman(space: Space, *, is_folded: bool = False) -> Table:
    """Hardly more designs than factors; main effects are clear of each other only.

    Args:
        is_folded: every design's opposite too, which clears them of interactions of two.

    Raises:
        SpaceError: the constraints forbid one of them.
    """
    signs = hadamard(len(space.factors) + 1)[:, 1 : len(space.factors) + 1]
    return _of(space, np.concatenate([signs, -signs]) if is_folded else signs)


def fraction(factors: int, resolution: int) -> Signs:
    """Signs of the smallest fraction of that resolution; base factors first."""
    if not 3 <= resolution <= 5:
        raise SpaceError(f"resolution {resolution}; ask for 3, 4 or 5")
    for base in range(1, factors):
        lengths = range(base, resolution - 2, -1)
        tries = (_generators(base, factors - base, resolution, most) for most in lengths)
        words = next((found for found in tries if found is not None), None)
        if words is not None:
            break
    else:
        base, words = factors, []
    check_count(1 << base)
    runs = np.arange(1 << base)
    columns = [np.where(runs >> i & 1, 1, -1) for i in range(base)]
    for word in words:
        columns.append(np.prod([columns[i] for i in range(base) if word >> i & 1], axis=0))
    return np.column_stack(columns).astype(np.int8)


def _generators(base: int, extra: int, resolution: int, most: int) -> list[int] | None:
    """Words over the base factors, such that no product of them defines a shorter relation.

    Greedy, from words of `most` letters down; over all beginnings that finds the known minima for
    the few factors that people screen.
    """
    letters = range(base)
    found: list[int] = []
    group = [(0, 0)]  # products of words: over the base factors, how many words
    for length in range(most, resolution - 2, -1):
        for chosen in combinations(letters, length):
            word = sum(1 << i for i in chosen)
            products = [(word ^ other, n + 1) for other, n in group]
            if all(product.bit_count() + n >= resolution for product, n in products):
                found.append(word)
                group += products
                if len(found) == extra:
                    return found
            if len(group) > 1 << 14:
                return None
    return None


def hadamard(least: int) -> Signs:
    """A Hadamard matrix of the smallest order not below `least` that is built here: doublings
    of q + 1 with q a prime, q = 3 modulo 4 (Paley, 1933), and of 1. Its first column is all 1."""
    if least > FACTORS_MAX + 1:
        raise SpaceError(f"{least - 1} factors; screen at most {FACTORS_MAX} at a time")
    orders = [q + 1 for q in range(3, 2 * FACTORS_MAX, 4) if all(q % d for d in range(2, q))]
    choices = [
        (order << doublings, order, doublings)
        for order in (1, *orders)
        for doublings in range(10)
        if order << doublings >= max(least, 4)
    ]
    _, order, doublings = min(choices)
    matrix = np.ones((1, 1), np.int8) if order == 1 else _paley(order - 1)
    for _ in range(doublings):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return (matrix * matrix[:, :1]).astype(np.int8)


def _paley(q: int) -> Signs:
    squares = {x * x % q for x in range(1, q)}
    character = np.array([0] + [1 if x in squares else -1 for x in range(1, q)], np.int8)
    index = np.arange(q)
    jacobsthal = character[(index[:, None] - index[None, :]) % q]
    matrix = np.ones((q + 1, q + 1), np.int8)
    matrix[1:, 1:] = jacobsthal + np.eye(q, dtype=np.int8)
    matrix[1:, 0] = -1
    return matrix


def _of(space: Space, signs: Signs) -> Table:
    columns = space.from_shares((signs + 1) / 2)
    keep = space.allows(columns)
    if not keep.all():
        raise SpaceError(
            f"the constraints forbid {int((~keep).sum())} of {len(signs)} designs at the ends of"
            " the ranges; narrow the ranges, or sample instead"
        )
    return Table(space, columns)
