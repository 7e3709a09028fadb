"""An OPC UA server over a table: objects in folders, each with variables, values in one column.

Variables have EURange and EngineeringUnits (IEC 62541-8 §5.3). What changed beyond its dead-band
is written into the address space with the plant's time; accepted writes are handed to the plant.
It knows no physics. Objects lie in folders of some dozens: siblings in thousands are slow to add.
"""

# asyncua re-exports its types without saying so and types plain integers as its own aliases.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from asyncua import Node, Server, ua
from asyncua.server.address_space import AddressSpace, AttributeService
from asyncua.server.user_managers import PermissiveUserManager
from numpy.typing import NDArray

_UNECE: Final = {
    # UCUM -> (UNECE Recommendation 20 common code, what people read).
    "bar": ("BAR", "bar"),
    "L/s": ("G51", "l/s"),
    "m3/h": ("MQH", "m³/h"),
    "m": ("MTR", "m"),
    "m3": ("MTQ", "m³"),
    "%": ("P1", "%"),
    "kW": ("KWT", "kW"),
    "kW.h": ("KWH", "kWh"),
    "V": ("VLT", "V"),
    "A": ("AMP", "A"),
    "Cel": ("CEL", "°C"),
    "h": ("HUR", "h"),
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of an object.

    Attributes:
        write: takes an accepted value over; None: read-only.
    """

    name: str
    unit: str
    low: float
    high: float
    deadband: float
    write: Callable[[float], None] | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    """One object and its variables, in a folder."""

    folder: str
    name: str
    variables: tuple[Variable, ...]


class _Writes(AttributeService):
    """Writes from clients, with EURange enforced and the plant told (IEC 62541-4 §5.10.4)."""

    def __init__(self, aspace: AddressSpace) -> None:
        super().__init__(aspace)
        self.taken: dict[ua.NodeId, tuple[int, Variable]] = {}
        self.on_write: Callable[[int], None] = lambda index: None

    async def write(self, params: ua.WriteParameters, user: Any = None) -> list[ua.StatusCode]:
        """One by one, so that a value out of range is refused and its neighbours are not."""
        results: list[ua.StatusCode] = []
        for item in params.NodesToWrite:
            variant = item.Value.Value
            number = variant.Value if variant is not None else None
            is_value = item.AttributeId == ua.AttributeIds.Value
            found = self.taken.get(item.NodeId) if is_value else None
            if found is not None and isinstance(number, float):
                is_within = math.isfinite(number) and found[1].low <= number <= found[1].high
                if not is_within:
                    results.append(ua.StatusCode(ua.StatusCodes.BadOutOfRange))
                    continue
            one = ua.WriteParameters(NodesToWrite=[item])
            status = (await super().write(one, user))[0]
            if found is not None and isinstance(number, float) and status.is_good():
                assert found[1].write is not None
                found[1].write(number)
                self.on_write(found[0])
            results.append(status)
        return results


class TableServer:
    """An OPC UA server; call `report` with all values, in the order of things and variables."""

    def __init__(
        self, name: str, namespace: str, host: str, port: int, things: Sequence[Thing]
    ) -> None:
        self.url = f"opc.tcp://{host}:{port}/{name}"
        self._name, self._namespace, self._things = name, namespace, things
        self._server = Server(user_manager=PermissiveUserManager())
        self._nodes: list[ua.NodeId] = []
        self._variables = [v for thing in things for v in thing.variables]
        self._deadband = np.array([v.deadband for v in self._variables])
        self._last = np.full(len(self._variables), np.nan)

    @property
    def n_points(self) -> int:
        """How many variables there are."""
        return len(self._variables)

    async def start(self) -> None:
        """Builds the address space and listens.

        Raises:
            OSError: the port is taken.
        """
        logging.getLogger("asyncua").setLevel(logging.ERROR)
        server = self._server
        await server.init()
        server.iserver.allow_remote_admin = False
        await server.set_application_uri(f"{self._namespace}:{self._name}")
        server.set_server_name(f"Expo, {self._name}")
        server.set_endpoint(self.url)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self._aspace = server.iserver.aspace
        self._writes = _Writes(self._aspace)
        self._writes.on_write = self._forget
        server.iserver.attribute_service = self._writes
        self._index = await server.register_namespace(self._namespace)
        folders: dict[str, Node] = {}
        for thing in self._things:
            if thing.folder not in folders:
                objects = server.nodes.objects
                folders[thing.folder] = await objects.add_object(self._index, thing.folder)
            node = await folders[thing.folder].add_object(self._index, thing.name)
            for variable in thing.variables:
                await self._add(node, variable)
        await server.start()

    async def stop(self) -> None:
        """Closes sessions and the port."""
        await self._server.stop()

    async def report(self, values: NDArray[np.floating], stamp_ns: int) -> None:
        """Writes what changed into the address space.

        Args:
            values: shape (n_points,).
        """
        now = datetime.fromtimestamp(stamp_ns / 1e9, UTC)
        # Not <=: what is not a number yet has changed.
        changed = np.flatnonzero(~(np.abs(values - self._last) <= self._deadband))
        self._last[changed] = values[changed]
        for i in changed.tolist():
            value = ua.Variant(float(values[i]), ua.VariantType.Double)
            data = ua.DataValue(value, SourceTimestamp=now, ServerTimestamp=now)
            await self._aspace.write_attribute_value(self._nodes[i], ua.AttributeIds.Value, data)

    def _forget(self, index: int) -> None:
        self._last[index] = np.nan

    async def _add(self, parent: Node, variable: Variable) -> None:
        node = await parent.add_variable(self._index, variable.name, 0.0, ua.VariantType.Double)
        await node.add_property(0, "EURange", ua.Range(variable.low, variable.high))
        if variable.unit:
            code, shown = _UNECE[variable.unit]
            unit = ua.EUInformation(
                NamespaceUri="http://www.opcfoundation.org/UA/units/un/cefact",
                UnitId=int.from_bytes(code.encode(), "big"),
                DisplayName=ua.LocalizedText(shown),
                Description=ua.LocalizedText(shown),
            )
            await node.add_property(0, "EngineeringUnits", unit)
        if variable.write is not None:
            self._writes.taken[node.nodeid] = (len(self._nodes), variable)
            await node.set_writable()
        self._nodes.append(node.nodeid)
