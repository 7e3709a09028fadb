"""A hostile OPC UA server made with asyncua: its address space never ends.

Arguments: the port and the way in which it goes on: `deep` (each object has objects), `wide` (one
object has ever more, behind continuation points), `types` (each type has a supertype). It makes up
what is asked for, and so needs no memory for it. Prints a JSON line when it listens; ends with its
standard input.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
from typing import Any

from asyncua import Server, ua
from asyncua.server.internal_session import InternalSession
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import struct_from_binary

logging.disable(logging.CRITICAL)
PER_ANSWER = 100
numbers = itertools.count(10_000)


def fresh(kind: int, reference: int, node_class: ua.NodeClass) -> ua.ReferenceDescription:
    n = next(numbers)
    return ua.ReferenceDescription(
        ReferenceTypeId=ua.NodeId(reference),
        IsForward=True,
        NodeId=ua.ExpandedNodeId(n, 1),
        BrowseName=ua.QualifiedName(f"More{n}", 1),
        DisplayName=ua.LocalizedText(f"More {n}"),
        NodeClass=node_class,
        TypeDefinition=ua.ExpandedNodeId(kind, 1 if kind > 100 else 0),
    )


def objects(way: str) -> list[ua.ReferenceDescription]:
    kind = 9_999 if way == "types" else ua.ObjectIds.BaseObjectType
    n = 1 if way == "types" else PER_ANSWER
    return [fresh(kind, ua.ObjectIds.Organizes, ua.NodeClass.Object) for _ in range(n)]


def endless(way: str) -> None:
    real_browse, real_read = InternalSession.browse, InternalSession.read
    real_process = UaProcessor._process_message

    async def browse(self: Any, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        results = await real_browse(self, params)
        for asked, result in zip(params.NodesToBrowse, results, strict=True):
            is_ours = asked.NodeId.NamespaceIndex == 1
            forward = asked.BrowseDirection != ua.BrowseDirection.Inverse
            if not is_ours and asked.NodeId != ua.NodeId(ua.ObjectIds.ObjectsFolder):
                continue
            result.StatusCode = ua.StatusCode(0)
            if way == "types" and not forward:
                result.References = [fresh(0, ua.ObjectIds.HasSubtype, ua.NodeClass.ObjectType)]
            elif forward and (way == "deep" or not is_ours):
                result.References = objects(way)
                result.ContinuationPoint = b"more" if way == "wide" else None
        return results

    async def read(self: Any, params: ua.ReadParameters) -> list[ua.DataValue]:
        results = await real_read(self, params)
        made_up = {
            ua.AttributeIds.NodeClass: ua.Variant(
                int(ua.NodeClass.ObjectType), ua.VariantType.Int32
            ),
            ua.AttributeIds.BrowseName: ua.Variant(ua.QualifiedName("Made", 1)),
            ua.AttributeIds.DisplayName: ua.Variant(ua.LocalizedText("Made up")),
        }
        return [
            ua.DataValue(made_up[asked.AttributeId])
            if asked.NodeId.NamespaceIndex == 1 and asked.AttributeId in made_up
            else result
            for asked, result in zip(params.NodesToRead, results, strict=True)
        ]

    async def process(self: Any, typeid: Any, header: Any, sequence: Any, body: Any) -> Any:
        if typeid != ua.NodeId(ua.ObjectIds.BrowseNextRequest_Encoding_DefaultBinary):
            return await real_process(self, typeid, header, sequence, body)
        asked = struct_from_binary(ua.BrowseNextParameters, body)
        response = ua.BrowseNextResponse()
        response.Parameters.Results = [
            ua.BrowseResult(ContinuationPoint=point, References=objects(way))
            for point in asked.ContinuationPoints
        ]
        self.send_response(header.RequestHandle, sequence, response)
        return True

    InternalSession.browse, InternalSession.read = browse, read  # type: ignore[method-assign]
    UaProcessor._process_message = process  # type: ignore[method-assign]


async def main(port: int, way: str) -> None:
    endless(way)
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/endless")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    async with server:
        print(json.dumps({"ready": True}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
