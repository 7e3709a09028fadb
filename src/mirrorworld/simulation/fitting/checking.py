"""A period fitted on its first part and compared with the rest: how right a fit of the whole is.

What comes of it goes into the sheet of the fit, so that everything that is worked out with the fit
can say how far to trust it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mirrorworld.simulation.fitting.calibrating import calibrate
from mirrorworld.simulation.fitting.drift import Drift, drift
from mirrorworld.simulation.fitting.line import LineFit, fit_line
from mirrorworld.simulation.fitting.validation import Validation, validate
from mirrorworld.simulation.flow.from_world import from_world
from mirrorworld.simulation.flow.sheet import Checked
from mirrorworld.world.ports import Record
from mirrorworld.world.world import World


@dataclass(frozen=True, slots=True)
class Drifted:
    """One kind of time in the rest of the period, against the fit."""

    twin: str
    what: str
    drift: Drift

    @property
    def text(self) -> str:
        """In a sentence, with the rate of false alarms."""
        alarms = f"false alarms {self.drift.false_alarm:.0%}"
        return f"{self.twin}, {self.what}: {self.drift.text} ({alarms})"


@dataclass(frozen=True, slots=True)
class Check:
    """A fit of the first part, and how the rest of the period was."""

    fitted: LineFit
    validation: Validation
    drifts: tuple[Drifted, ...]
    """Of each time that was fitted, drifted or not."""

    @property
    def checked(self) -> Checked:
        """As the sheet of a fit keeps it."""
        return Checked(
            self.validation.rows[0].is_within,
            self.validation.verdict,
            tuple(one.text for one in self.drifts if one.drift.has_drifted),
        )


def check(
    world: World,
    record: Record,
    start_ns: int,
    end_ns: int,
    *,
    split: float = 0.6,
    clock_rate: float = 1.0,
    replications: int = 40,
    seed: int = 1,
) -> Check:
    """Fits the first part of a period and compares it with the rest.

    Args:
        split: share of the period that is fitted on, between 0 and 1.
        clock_rate: seconds of the plant in each second of the record.

    Raises:
        ValueError: the world makes no line, or one of the parts is empty.
    """
    cut_ns = start_ns + int((end_ns - start_ns) * split)
    fitted = fit_line(world, record, start_ns, cut_ns, clock_rate=clock_rate)
    calibrate(world, fitted)
    drawn = from_world(world, None, fitted.flow)
    told = validate(
        world, record, fitted, drawn, cut_ns, end_ns, replications=replications, seed=seed
    )
    drifts: list[Drifted] = []
    for one in fitted.fits:
        for stop in told.machines[one.twin].stops:
            for what, samples in (
                (f"until {stop.name}", stop.between),
                (f"{stop.name}, how long", stop.repair),
            ):
                if what == one.what:
                    drifts.append(Drifted(one.twin, what, drift(one.fit, samples)))
    return Check(fitted, told, tuple(drifts))
