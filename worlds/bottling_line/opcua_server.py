"""The line's controllers as an OPC UA server.

It builds the address space from `instruments.py` (object types of its own with EURange and
EngineeringUnits, IEC 62541-8 §5.3; PackML states as an enumeration; methods; non-hierarchical
references), reports what changed, and hands accepted writes to the plant. It knows no physics.
"""

# asyncua re-exports its types without saying so and types plain integers as its own aliases.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from asyncua import Node, Server, ua
from asyncua.server.address_space import AddressSpace, AttributeService
from asyncua.server.user_managers import PermissiveUserManager

from . import instruments
from .interface import Action, Instrument, Interface
from .layout import FLOW
from .line import Line
from .machine import State

NAMESPACE: Final = "urn:example:bottling-line"
SLOW_CYCLES: Final = 10
"""Slow instruments are looked at once in this many cycles, spread over them."""

_UNECE: Final = {
    # Display name -> UNECE Recommendation 20 common code.
    "1/h": "H10",
    "m/min": "2X",
    "°C": "CEL",
    "mm/s": "C16",
    "A": "AMP",
    "bar": "BAR",
    "h": "HUR",
    "ml": "MLT",
    "%": "P1",
    "N·m": "NU",
    "m³/h": "MQH",
}

_VARIANTS: Final = {
    "float": ua.VariantType.Double,
    "floats": ua.VariantType.Double,
    "int32": ua.VariantType.Int32,
    "int64": ua.VariantType.Int64,
    "bool": ua.VariantType.Boolean,
    "text": ua.VariantType.String,
    "state": ua.VariantType.Int32,
}

_IDENTIFICATION: Final = {
    # Name -> (model, serial number, year of construction, further properties)
    "Depalletiser": ("DP-200", "EW-20-11873", 2020, {"LayersPerPallet": 10}),
    "Rinser": ("RN-18", "EW-20-11902", 2020, {"Grippers": 18}),
    "Filler": ("FL-24", "EW-20-11911", 2020, {"Valves": 24, "NominalVolume": 500.0}),
    "Capper": ("CP-12", "EW-20-11912", 2020, {"Heads": 12}),
    "Labeller": ("LB-18", "EW-22-13050", 2022, {"Plates": 18}),
    "Packer": ("PK-12", "EW-19-10444", 2019, {"BottlesPerCarton": 12}),
    "Buffer": ("AT-330", "EW-20-11960", 2020, {}),
    "Cabinet": ("CC-8", "EW-20-11800", 2020, {}),
    "AirManifold": ("AM-6", "EW-20-11815", 2020, {}),
}


@dataclass(frozen=True, slots=True)
class _Setpoint:
    owner: Any
    write: Callable[[Any, float], None]
    low: float
    high: float

    def accepts(self, number: float) -> bool:
        return math.isfinite(number) and self.low <= number <= self.high


class CheckedWrites(AttributeService):
    """Writes from clients, with EURange enforced and the plant told (IEC 62541-4 §5.10.4)."""

    def __init__(self, aspace: AddressSpace) -> None:
        super().__init__(aspace)
        self.setpoints: dict[ua.NodeId, _Setpoint] = {}

    async def write(self, params: ua.WriteParameters, user: Any = None) -> list[ua.StatusCode]:
        """One by one, so that a value out of range is refused and its neighbours are not."""
        results: list[ua.StatusCode] = []
        for item in params.NodesToWrite:
            variant = item.Value.Value
            number = variant.Value if variant is not None else None
            is_value = item.AttributeId == ua.AttributeIds.Value
            setpoint = self.setpoints.get(item.NodeId) if is_value else None
            if setpoint is not None and isinstance(number, float) and not setpoint.accepts(number):
                results.append(ua.StatusCode(ua.StatusCodes.BadOutOfRange))
                continue
            status = (await super().write(ua.WriteParameters(NodesToWrite=[item]), user))[0]
            if setpoint is not None and isinstance(number, float) and status.is_good():
                setpoint.write(setpoint.owner, number)
            results.append(status)
        return results


@dataclass(slots=True)
class _Signal:
    node: ua.NodeId
    instrument: Instrument
    owner: Any
    variant: ua.VariantType
    last: Any = None


class ControllerServer:
    """An OPC UA server over a `Line`; call `report` after every advance of it."""

    def __init__(self, line: Line, host: str, port: int) -> None:
        self.url = f"opc.tcp://{host}:{port}/line1"
        self._line = line
        self._server = Server(user_manager=PermissiveUserManager())
        self._fast: list[_Signal] = []
        self._slow: list[list[_Signal]] = [[] for _ in range(SLOW_CYCLES)]
        self._cycle = 0
        self._slow_count = 0
        self._noise = np.random.default_rng([7, 7])

    async def start(self) -> None:
        """Builds the address space and listens.

        Raises:
            OSError: the port is taken.
        """
        logging.getLogger("asyncua").setLevel(logging.ERROR)
        server = self._server
        await server.init()
        server.iserver.allow_remote_admin = False
        await server.set_application_uri(f"{NAMESPACE}:controllers")
        server.set_server_name("Bottling line 1")
        built = datetime(2020, 3, 2, tzinfo=UTC)
        await server.set_build_info(NAMESPACE, "Example Works", "Line controllers", "1", "1", built)
        server.set_endpoint(self.url)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self._aspace = server.iserver.aspace
        self._writes = CheckedWrites(self._aspace)
        server.iserver.attribute_service = self._writes
        self._index = await server.register_namespace(NAMESPACE)
        await self._build()
        await self.report()
        await server.start()

    async def stop(self) -> None:
        """Closes sessions and the port."""
        await self._server.stop()

    async def report(self) -> None:
        """Writes what changed into the address space, stamped now."""
        now = datetime.now(UTC)
        slow = self._slow[self._cycle % SLOW_CYCLES]
        self._cycle += 1
        for signal in (*self._fast, *slow):
            await self._report(signal, now)

    async def _report(self, signal: _Signal, now: datetime) -> None:
        instrument = signal.instrument
        value = instrument.read(signal.owner)
        if instrument.kind == "float":
            value = float(value)
            if instrument.noise:
                value += instrument.noise * self._noise.standard_normal()
            if signal.last is not None and abs(value - signal.last) <= instrument.deadband:
                return
        elif instrument.kind == "floats":
            value = [round(float(v), 3) for v in value]
            if value == signal.last:
                return
        elif value == signal.last:
            return
        signal.last = value
        await self._aspace.write_attribute_value(
            signal.node,
            ua.AttributeIds.Value,
            ua.DataValue(
                ua.Variant(value, signal.variant), SourceTimestamp=now, ServerTimestamp=now
            ),
        )

    # -- the address space --------------------------------------------------------------------

    async def _build(self) -> None:
        await self._add_state_type()
        self._types: dict[str, Node] = {}
        base = self._server.nodes.base_object_type
        for interface in instruments.INTERFACES:
            parent = self._types[interface.base] if interface.base else base
            await self._add_type(parent, interface)
        await self._add_reference_types()
        objects = self._server.nodes.objects
        line = await self._add_object(objects, "Line1", instruments.LINE, self._line)
        nodes: dict[str, Node] = {}
        for name, (interface, owner) in instruments.owners(self._line).items():
            nodes[name] = await self._add_object(line, name, interface, owner)
        feeds, powers, supplies = self._relations
        names = [item.name for item in FLOW]
        for first, second in itertools.pairwise(names):
            await nodes[first].add_reference(nodes[second], feeds)
        for name in (*self._line.machines, "Buffer"):
            await nodes["Cabinet"].add_reference(nodes[name], powers)
        for name in self._line.machines:
            await nodes["AirManifold"].add_reference(nodes[name], supplies)

    async def _add_state_type(self) -> None:
        types = self._server.nodes.enum_data_type
        node = await types.add_data_type(self._index, "PackMLState")
        names = [ua.LocalizedText(state.name.capitalize(), "en") for state in State]
        await node.add_property(0, "EnumStrings", names)
        self._state_type = node.nodeid

    async def _add_reference_types(self) -> None:
        parent = self._server.get_node(ua.NodeId(ua.ObjectIds.NonHierarchicalReferences))
        self._relations = [
            await parent.add_reference_type(self._index, name, False, inverse)
            for name, inverse in (
                ("Feeds", "FedBy"),
                ("Powers", "PoweredBy"),
                ("Supplies", "SuppliedBy"),
            )
        ]

    async def _add_type(self, parent: Node, interface: Interface) -> None:
        node = await parent.add_object_type(self._index, interface.name)
        await _describe(node, interface.description)
        self._types[interface.name] = node
        for name, example in (
            ("Manufacturer", ""),
            ("Model", ""),
            ("SerialNumber", ""),
            ("YearOfConstruction", 0),
        ):
            if not interface.base:
                declared = await node.add_property(self._index, name, example)
                await declared.set_modelling_rule(True)
        for instrument in interface.instruments:
            variable = await self._add_variable(node, instrument)
            await variable.set_modelling_rule(True)
        for action in interface.actions:
            method = await node.add_method(self._index, action.name, _unbound, [], [])
            await method.set_modelling_rule(True)

    async def _add_object(self, parent: Node, name: str, interface: Interface, owner: Any) -> Node:
        index = self._index
        # Added bare and filled here: instantiating copies every type node one by one, and the
        # copies would have to be found again by name.
        node = await parent.add_object(index, name)
        await self._retype(parent, node, ua.ObjectIds.BaseObjectType, self._types[interface.name])
        await self._add_identification(node, name)
        by_name = {i.name: i for i in instruments.INTERFACES}
        lineage = [interface]
        while lineage[-1].base:
            lineage.append(by_name[lineage[-1].base])
        for ancestor in reversed(lineage):
            for instrument in ancestor.instruments:
                variable = await self._add_variable(node, instrument)
                signal = _Signal(variable.nodeid, instrument, owner, _VARIANTS[instrument.kind])
                if instrument.write is not None:
                    self._writes.setpoints[variable.nodeid] = _Setpoint(
                        owner,
                        instrument.write,
                        -math.inf if instrument.low is None else instrument.low,
                        math.inf if instrument.high is None else instrument.high,
                    )
                    await variable.set_writable()
                if instrument.is_fast:
                    self._fast.append(signal)
                else:
                    self._slow[self._slow_count % SLOW_CYCLES].append(signal)
                    self._slow_count += 1
                await self._report(signal, datetime.now(UTC))
            for action in ancestor.actions:
                method = await node.add_method(index, action.name, _bound(action, owner), [], [])
                await _describe(method, action.description)
        return node

    async def _add_identification(self, node: Node, name: str) -> None:
        known = _IDENTIFICATION.get(name, ("BC-1", f"EW-20-{12000 + len(name)}", 2020, {}))
        if name.startswith("Conveyor"):
            known = ("BC-1", f"EW-20-1193{name[-1]}", 2020, {})
        if name == "Line1":
            known = ("LN-18000", "EW-20-11870", 2020, {"NominalSpeed": 18_000})
        model, serial, year, further = known
        facts: dict[str, Any] = {
            "Manufacturer": ua.LocalizedText("Example Works", "en"),
            "Model": ua.LocalizedText(model, "en"),
            "SerialNumber": serial,
            "YearOfConstruction": ua.Variant(year, ua.VariantType.UInt16),
            **further,
        }
        item = next((item for item in FLOW if item.name == name and item.kind != "machine"), None)
        if item is not None:
            facts["Length"] = round(item.path_length_m, 3)
        for fact, value in facts.items():
            await node.add_property(self._index, fact, value)

    async def _retype(self, parent: Node, node: Node, bare: int, definition: Node) -> None:
        kind = ua.ObjectIds.HasTypeDefinition
        await node.delete_reference(bare, kind, bidirectional=False)
        await node.add_reference(definition, kind, bidirectional=False)
        # What Browse says of the node was noted in its parent when it was added.
        for reference in self._aspace[parent.nodeid].references:
            if reference.NodeId == node.nodeid:
                reference.TypeDefinition = definition.nodeid

    async def _add_variable(self, parent: Node, instrument: Instrument) -> Node:
        variant = _VARIANTS[instrument.kind]
        start: Any = {"text": "", "bool": False, "float": 0.0, "floats": [0.0]}.get(
            instrument.kind, 0
        )
        datatype = self._state_type if instrument.kind == "state" else None
        node = await parent.add_variable(
            self._index, instrument.name, start, varianttype=variant, datatype=datatype
        )
        await _describe(node, instrument.description)
        if instrument.low is not None and instrument.high is not None:
            await node.add_property(0, "EURange", ua.Range(instrument.low, instrument.high))
            analog = self._server.get_node(ua.NodeId(ua.ObjectIds.AnalogItemType))
            await self._retype(parent, node, ua.ObjectIds.BaseDataVariableType, analog)
        if instrument.unit:
            code = _UNECE[instrument.unit]
            unit = ua.EUInformation(
                NamespaceUri="http://www.opcfoundation.org/UA/units/un/cefact",
                UnitId=int.from_bytes(code.encode(), "big"),
                DisplayName=ua.LocalizedText(instrument.unit),
                Description=ua.LocalizedText(instrument.unit),
            )
            await node.add_property(0, "EngineeringUnits", unit)
        return node


async def _describe(node: Node, text: str) -> None:
    await node.write_attribute(
        ua.AttributeIds.Description, ua.DataValue(ua.Variant(ua.LocalizedText(text, "en")))
    )


def _bound(action: Action, owner: Any) -> Callable[..., ua.StatusCode | list[ua.Variant]]:
    def run(parent: ua.NodeId, *arguments: ua.Variant) -> ua.StatusCode | list[ua.Variant]:
        refused = action.run(owner)
        return ua.StatusCode(ua.StatusCodes.BadInvalidState) if refused else []

    return run


def _unbound(parent: ua.NodeId, *arguments: ua.Variant) -> ua.StatusCode:
    return ua.StatusCode(ua.StatusCodes.BadNotSupported)
