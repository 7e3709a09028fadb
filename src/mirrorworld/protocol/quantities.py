"""Quantities: what many points measure in common, summed up by relation and set against another.

A quantity is a point's name and its unit: "Temperature, Cel" of all twins that have one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Total:
    """One quantity over the twins that were asked for."""

    name: str
    unit: str
    n: int
    """Points with a number that is not bad."""
    n_without: int
    """Points that have none."""
    n_converted: int
    """Points of another unit that fits; their numbers were converted."""
    mean: float | None
    min: float | None
    max: float | None
    min_point: str
    """Where the lowest is, as `twin.point`; "" where there is none."""
    max_point: str
    sum: float | None
    """None where adding makes no sense: temperatures, levels, shares."""
    n_summed: int
    """Points in the sum: what is part of a twin that says the same itself is left out."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Quantities over all twins that a relation leads to."""

    twin: str
    relation: str
    position: str
    twins: int
    """How many there are."""
    totals: list[Total]
    """By name, then unit. Units that do not fit each other are kept apart."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One of the two things that are set against each other."""

    name: str
    """`twin.point`, or the name of a quantity."""
    unit: str


@dataclass(frozen=True, slots=True)
class Correlation:
    """How two things vary together."""

    by: str
    """`time`: two points, a dot for each step. `twin`: two quantities, a dot for each twin."""
    x: Axis
    y: Axis
    start_ns: int
    end_ns: int
    n: int
    """Dots on which the figures rest."""
    pearson: float | None
    """None where one of the two stands still, or there are fewer than three dots."""
    spearman: float | None
    slope: float | None
    """Of the line of least squares: y = slope · x + intercept."""
    intercept: float | None
    step_s: float
    """By time: between dots. By twin: between the instants of which the means are taken."""
    lag_s: float
    """By time: y was read so much later than x."""
    best_lag_s: float | None
    """The lag at which Pearson's coefficient is farthest from 0."""
    lags_s: list[float]
    lag_pearson: list[float | None]
    is_reduced: bool
    """Whether time or rows ran out before all that was asked was read."""
    xs: list[float]
    """At most as many dots as were asked for, evenly taken; the figures rest on all."""
    ys: list[float]
    twins: list[str]
    """By twin: of each dot."""
    times_ms: list[float]
    """By time: of each dot."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """value_in_to = value_in_from * scale + offset."""

    scale: float
    offset: float
