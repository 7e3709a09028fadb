"""The FMI 2 side of an exported Python model: copied into the FMU as it is, beside the model.

It runs where only pythonfmu is, inside whatever simulates the unit, and imports nothing else.
`described` stands beside it and says which model it is and what its units mean.
"""

from __future__ import annotations

import copy
import importlib
import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from pythonfmu import Fmi2Causality, Fmi2Slave, Fmi2Variability, Real

SAID: Any = json.loads(Path(__file__).with_name("described.json").read_text(encoding="utf-8"))


class ExportedModel(Fmi2Slave):
    """A model with inputs, outputs, parameters and `step`, as a slave."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._made = getattr(importlib.import_module(SAID["module"]), SAID["class"])
        self.modelName = SAID["class"]
        self.description = SAID["about"] or None
        self._model: Any = None
        self._time_s = 0.0
        self._is_starting = True
        self._values: dict[str, float] = {
            **{name: float(start) for name, (start, _) in self._made.inputs.items()},
            **{name: float(start) for name, (start, _) in self._made.parameters.items()},
            **dict.fromkeys(self._made.outputs, 0.0),
        }
        for name in self._made.inputs:
            self._register(name, Fmi2Causality.input, Fmi2Variability.continuous)
        for name in self._made.outputs:
            self._register(name, Fmi2Causality.output, Fmi2Variability.continuous)
        for name in self._made.parameters:
            self._register(name, Fmi2Causality.parameter, Fmi2Variability.fixed)

    def _register(self, name: str, causality: Any, variability: Any) -> None:
        is_output = causality is Fmi2Causality.output
        self.register_variable(
            Real(
                name,
                causality=causality,
                variability=variability,
                getter=(lambda: self._output(name)) if is_output else lambda: self._values[name],
                setter=None if is_output else lambda value: self._put(name, value),
            ),
            nested=False,
        )

    def _put(self, name: str, value: float) -> None:
        self._values[name] = value
        if self._is_starting:
            self._model = None

    def _output(self, name: str) -> float:
        if self._model is None:
            self._begin()
        return self._values[name]

    def _begin(self) -> None:
        """Makes the model anew: while initialising, whatever is set may change how it starts."""
        made = self._made
        self._model = made(**{name: self._values[name] for name in made.parameters})
        start = getattr(self._model, "start", None)
        if start is not None:
            self._take(start(self._time_s, self._inputs()))

    def _inputs(self) -> dict[str, float]:
        return {name: self._values[name] for name in self._made.inputs}

    def _take(self, outputs: Any) -> None:
        for name in self._made.outputs:
            self._values[name] = float(outputs[name])

    def setup_experiment(
        self, start_time: float, stop_time: float | None, tolerance: float | None
    ) -> None:
        """Notes when it begins."""
        self._time_s = start_time

    def exit_initialization_mode(self) -> None:
        """From here on the model has a past."""
        if self._model is None:
            self._begin()
        self._is_starting = False

    def do_step(self, current_time: float, step_size: float) -> bool:
        """One step of the model."""
        self._take(self._model.step(current_time, step_size, self._inputs()))
        return True

    def _get_fmu_state(self) -> dict[str, Any]:
        kept = (self._model, self._values, self._time_s, self._is_starting)
        return {"kept": copy.deepcopy(kept)}

    def _set_fmu_state(self, state: dict[str, Any]) -> None:
        kept = copy.deepcopy(state["kept"])
        self._model, values, self._time_s, self._is_starting = kept
        self._values.update(values)

    def to_xml(self, model_options: Any = None) -> Element:
        """The description, with units and dependencies, which pythonfmu leaves out."""
        root = super().to_xml(model_options or {})
        made = self._made
        units = {name: unit for name, (_, unit) in {**made.inputs, **made.parameters}.items()}
        units.update(made.outputs)
        if SAID["units"]:
            definitions = Element("UnitDefinitions")
            for name, base in SAID["units"].items():
                SubElement(SubElement(definitions, "Unit", name=name), "BaseUnit", base)
            root.insert(1, definitions)
        variables = root.find("ModelVariables")
        structure = root.find("ModelStructure")
        assert variables is not None and structure is not None
        at = {one.get("name"): str(n + 1) for n, one in enumerate(variables)}
        for one in variables:
            unit = units.get(one.get("name", ""), "")
            if unit in SAID["units"]:
                one[0].set("unit", unit)
        direct = getattr(made, "feedthrough", {})
        for tag in ("Outputs", "InitialUnknowns"):
            old = structure.find(tag)
            if old is not None:
                structure.remove(old)
            if not made.outputs:
                continue
            unknowns = SubElement(structure, tag)
            for name in made.outputs:
                one = SubElement(unknowns, "Unknown", index=at[name])
                if tag == "Outputs":
                    on = [at[source] for source in direct.get(name, ())]
                    one.set("dependencies", " ".join(on))
        return root
