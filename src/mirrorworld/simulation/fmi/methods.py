"""How coupled units step: what an owner chooses by name."""

from __future__ import annotations

import enum


class Order(enum.Enum):
    """In what order units step."""

    JACOBI = "jacobi"
    GAUSS_SEIDEL = "gauss_seidel"


class Inputs(enum.Enum):
    """What connected inputs do within a step."""

    HOLD = "hold"
    LINEAR = "linear"
    """They go on as they went (Jacobi), or towards what is known of the end (Gauss-Seidel): by a
    slope where a unit takes one, else by the value of the middle of the step."""


class Loops(enum.Enum):
    """What is done about loops without delay."""

    REFUSE = "refuse"
    DELAY = "delay"
    """They are broken by the delay of one step."""
    ITERATE = "iterate"
    """They are solved, at the start and in every step, by repeating it."""
