"""FMUs as a model of a world: inputs from points and properties, outputs to points.

The model has a clock of its own that begins at its first step. It goes on in whole communication
steps, so that how often it is asked changes only how often it looks at the world: inputs hold in
between. A unit that fails leaves its points at their last value, marked as no longer current, and
an event that says what happened.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final

import numpy as np

from mirrorworld.protocol.places import home
from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.binding import Binding
from mirrorworld.simulation.fmi.master import Master
from mirrorworld.simulation.fmi.system import System, below, read_system, system_of
from mirrorworld.world import quality
from mirrorworld.world.changes import Change, Event, Origin, OriginKind, Severity
from mirrorworld.world.model import Scalar, Text
from mirrorworld.world.world import World

STEPS_PER_CALL_MAX: Final = 10_000_000


class FmiModel:
    """A coupled system, or one unit, that thinks over a world.

    Args:
        options: `system`: a file as `system.py` describes. Or one unit: `fmu` (its file),
            `input.NAME` and `output.NAME` (`twin.point`), `parameter.NAME`, `step_s`. With both:
            `name` of the model, `start_s` (the system's time at its first step).
        directory: where the files and the owner's allow-list are; nothing outside it is read.

    Raises:
        FmiError, UnitError: something does not fit, or is not allowed to run.
    """

    origin = OriginKind.SIMULATED

    def __init__(self, options: Mapping[str, Scalar], directory: Path) -> None:
        self.system, self.name = _system(dict(options), directory)
        start_s = options.get("start_s", 0.0)
        if isinstance(start_s, bool) or not isinstance(start_s, int | float):
            raise FmiError(f"option start_s: {start_s!r:.40} is no number")
        self._start_s = float(start_s)
        self._master: Master = self.system.master(directory)
        self._finalizer = weakref.finalize(self, Master.close, self._master)
        self._binding: Binding | None = None
        self._start_ns = 0
        self._last = np.full(self._master.wiring.n_outputs, np.nan)
        self._told: set[str] = set()

    def step(self, view: World, until_ns: int) -> Iterable[Change]:
        """Goes on to a time; returns the outputs on the way and what has to be told.

        Raises:
            FmiError, UnitError: at the first step, what does not fit the world.
        """
        if self._binding is None:
            self._begin(view, until_ns)
        else:
            self._advance(view, until_ns)
        return [*self._outputs(until_ns), *self._findings(until_ns)]

    def close(self) -> None:
        """Ends the units."""
        self._finalizer()

    def _begin(self, view: World, until_ns: int) -> None:
        system, master = self.system, self._master
        binding = Binding(master.wiring, view, system.from_world, system.to_world)
        for name, value in binding.inputs(view).items():
            master.set_input(name, value)
        self._start_ns = until_ns
        master.begin(self._start_s)
        self._binding = binding

    def _advance(self, view: World, until_ns: int) -> None:
        master, step_s = self._master, self.system.step_s
        assert self._binding is not None
        done = round((master.time_s - self._start_s) / step_s)
        whole = int((until_ns - self._start_ns) * 1e-9 / step_s + 1e-9)
        if whole <= done or master.has_ended:
            return
        if whole - done > STEPS_PER_CALL_MAX:
            raise FmiError(
                f"{self.name}: {whole - done} steps of {step_s:g} s at once; at most"
                f" {STEPS_PER_CALL_MAX} are made, so choose a longer step_s"
            )
        for name, value in self._binding.inputs(view).items():
            master.set_input(name, value)
        master.advance(self._start_s + whole * step_s, step_s)

    def _outputs(self, until_ns: int) -> Iterable[Change]:
        assert self._binding is not None
        times_s, values = self._master.take()
        if not len(times_s):
            return
        for column in range(values.shape[1]):
            known = np.flatnonzero(np.isfinite(values[:, column]))
            if len(known):
                self._last[column] = values[known[-1], column]
        times_ns = self._start_ns + np.rint((times_s - self._start_s) * 1e9).astype(np.int64)
        # Of several rows at one time (an event) the last tells what is.
        is_last = np.append(times_ns[1:] != times_ns[:-1], True)
        frame = self._binding.frame(times_ns[is_last], values[is_last])
        if len(frame):
            yield Change(frame, self._by, until_ns)

    def _findings(self, until_ns: int) -> Iterable[Change]:
        assert self._binding is not None
        gone = {one.unit for one in self._master.ended} | set(self._master.stopped)
        if gone - self._told:
            yield from self._no_longer(gone - self._told, until_ns)
            self._told |= gone
        targets = self._binding.targets
        said = [*self._master.findings(), *self._binding.beyond.values()] if targets else []
        for text in said:
            # A bond's residual grows: who has been told of it once knows.
            key = text.split(":")[0]
            if key in self._told:
                continue
            self._told.add(key)
            has_ended = any(str(one) == text for one in self._master.ended)
            event = Event(
                f"{self.name}/{key}"[:200],
                targets[0].twin,
                "simulation",
                Text.of(text),
                Severity.HIGH if has_ended else Severity.MEDIUM,
                is_active=has_ended,
                source_ns=until_ns,
            )
            yield Change(event, self._by, until_ns)

    def _no_longer(self, units: set[str], until_ns: int) -> Iterable[Change]:
        """The last values of units that are gone, marked as no longer current."""
        assert self._binding is not None
        wiring = self._master.wiring
        row = np.full((1, wiring.n_outputs), np.nan)
        for name, at in zip(wiring.names, wiring.outputs_of, strict=True):
            if name in units:
                row[0, at] = self._last[at]
        code = quality.UNCERTAIN_LAST_USABLE
        frame = self._binding.frame(np.array([until_ns], np.int64), row, code)
        if len(frame):
            yield Change(frame, self._by, until_ns)

    @property
    def _by(self) -> Origin:
        return Origin(self.origin, self.name)


def fmi(
    system: str = "",
    start_s: Annotated[float, "s"] = 0.0,
) -> FmiModel:
    """Functional mock-up units, coupled as a file in the owner's folder `fmi` says.

    The folder lies beside the worlds; who may write there decides which native code runs, and
    nobody who asks over the network can name another.
    """
    if not system:
        raise FmiError("option system: name a file in the folder fmi beside the worlds")
    return FmiModel({"system": system, "start_s": start_s}, home() / "fmi")


def _system(options: dict[str, Scalar], directory: Path) -> tuple[System, str]:
    name = options.pop("name", None)
    options.pop("start_s", None)
    file = options.get("system")
    if isinstance(file, str) and file:
        if len(options) > 1:
            more = next(key for key in options if key != "system")
            raise FmiError(f"option {more}: what a system is made of stands in its file, {file}")
        path = below(directory, file)
        return read_system(path), str(name or path.stem)
    fmu = options.pop("fmu", None)
    if not isinstance(fmu, str) or not fmu:
        raise FmiError("options: give `system`, a file, or `fmu`, the file of one unit")
    parts: dict[str, dict[str, Scalar]] = {"input": {}, "output": {}, "parameter": {}}
    step_s = options.pop("step_s", 0.1)
    for key, value in options.items():
        part, dot, rest = key.partition(".")
        if not dot or part not in parts:
            raise FmiError(
                f"option '{key}' is unknown; there are fmu, step_s, input.NAME, output.NAME,"
                " parameter.NAME, name, start_s"
            )
        parts[part][rest] = value
    plain = {
        "units": {"unit": {"fmu": fmu, "parameters": parts["parameter"]}},
        "from_world": {f"unit.{key}": value for key, value in parts["input"].items()},
        "to_world": {f"unit.{key}": value for key, value in parts["output"].items()},
        "step_s": step_s,
    }
    return system_of(plain, "options"), str(name or Path(fmu).stem)
