"""An OPC UA server made with asyncua, as a process of its own; its argument is the port.

Prints one JSON line when it listens, then answers JSON lines from its standard input, and ends
with it. It holds what the node-opcua peer does not: a nameplate group, a structure and an
enumeration of its own, a point of no declared type.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

from asyncua import Server, ua, uamethod
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field

logging.disable(logging.CRITICAL)


async def main(port: int) -> None:
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/pumps")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    space = await server.register_namespace("urn:pumps")
    mode_type = await new_enum(server, space, "PumpMode", ["Off", "Eco", "Full"])
    recipe_type, _ = await new_struct(
        server,
        space,
        "Recipe",
        [
            new_struct_field("Name", ua.VariantType.String),
            new_struct_field("Dose", ua.VariantType.Double),
        ],
    )
    types = await server.load_data_type_definitions()

    pump_type = await server.nodes.base_object_type.add_object_type(space, "PumpType")
    flow = await pump_type.add_variable(space, "Flow", 0.0)
    await flow.set_modelling_rule(True)
    span = await flow.add_property(0, "EURange", ua.Range(0, 50))
    unit = ua.EUInformation(
        NamespaceUri="http://www.opcfoundation.org/UA/units/un/cefact",
        UnitId=int.from_bytes(b"MQH", "big"),
        DisplayName=ua.LocalizedText("m³/h"),
    )
    units = await flow.add_property(0, "EngineeringUnits", unit)
    for part in (span, units):
        await part.set_modelling_rule(True)

    pump = await server.nodes.objects.add_object(space, "Pump 1/A", pump_type)
    nameplate = await pump.add_object(space, "Identification")
    await nameplate.add_property(space, "SerialNumber", "P-17")
    await nameplate.add_property(space, "Manufacturer", ua.LocalizedText("Pumpenbau", "de"))
    mode = await pump.add_variable(space, "Mode", types["PumpMode"].Eco, datatype=mode_type.nodeid)
    recipe = await pump.add_variable(
        space, "Recipe", types["Recipe"](Name="water", Dose=1.5), datatype=recipe_type.nodeid
    )
    speed = await pump.add_variable(space, "SpeedSetpoint", 10.0)
    await speed.set_writable()
    anything = await pump.add_variable(
        space, "Anything", ua.Variant(None, ua.VariantType.Null), datatype=ua.NodeId(24)
    )

    @uamethod
    def add(parent: Any, a: float, b: float) -> float:
        return a + b

    await pump.add_method(
        space, "Add", add, [ua.VariantType.Double, ua.VariantType.Double], [ua.VariantType.Double]
    )
    instance_flow = await pump.get_child([f"{space}:Flow"])
    by_name = {"Flow": instance_flow, "Speed": speed, "Anything": anything, "Mode": mode}
    async with server:
        print(json.dumps({"ready": True}), flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while line := await reader.readline():
            request = json.loads(line)
            node = by_name[request["name"]]
            if "value" in request:
                value = ua.Variant(float(request["value"]), ua.VariantType.Double)
                await server.write_attribute_value(node.nodeid, ua.DataValue(value))
            print(json.dumps({"value": await node.read_value()}), flush=True)
    del recipe


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
