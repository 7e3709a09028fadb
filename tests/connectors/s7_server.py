"""python-snap7's own S7 server as a process, told over stdin what its memory holds.

One JSON object a line, both ways: {"op": "put", "db", "at", "hex"}, {"op": "get", "db", "at", "n"},
{"op": "written"}. Writes of clients are told apart from the test's own by the server's events.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from snap7.datatypes import S7WordLen
from snap7.server import Server
from snap7.type import SrvArea


class BitServer(Server):
    """The server as it is, but for one thing: it writes a bit as its whole byte, and a controller
    leaves the other seven alone (S7comm variable specification, bits 0 to 2 of the address)."""

    def _parse_address_specification(self, addr_spec: bytes) -> dict[str, Any]:
        found = super()._parse_address_specification(addr_spec)
        return {**found, "bit": addr_spec[11] & 7}

    def _parse_write_address(self, request: dict[str, Any]) -> Any:
        found = super()._parse_write_address(request)
        place = (request.get("parameters") or {}).get("address_spec", {})
        if found is None or place.get("word_len") != S7WordLen.BIT:
            return found
        area, number, start, count, data = found
        mask, old = 1 << place["bit"], self.memory_areas[area, number][start]
        return area, number, start, count, bytearray([old | mask if data[0] else old & ~mask])


def main() -> None:
    port = int(sys.argv[1])
    server = BitServer()
    server.host = "127.0.0.1"
    blocks = {1: bytearray(1024), 2: bytearray(64)}
    flags, inputs = bytearray(256), bytearray(256)
    for number, memory in blocks.items():
        server.register_area(SrvArea.DB, number, memory)
    server.register_area(SrvArea.MK, 0, flags)
    server.register_area(SrvArea.PE, 0, inputs)
    areas: dict[Any, bytearray] = {**blocks, "M": flags, "I": inputs}
    # What a client writes is what differs from what the test put.
    known = {name: bytes(memory) for name, memory in areas.items()}
    server.start(port)
    print(json.dumps({"ready": True, "port": port}), flush=True)
    for line in sys.stdin:
        ask = json.loads(line)
        memory = areas[ask["db"]] if "db" in ask else bytearray()
        answer: dict[str, Any] = {"id": ask["id"]}
        match ask["op"]:
            case "put":
                raw = bytes.fromhex(ask["hex"])
                memory[ask["at"] : ask["at"] + len(raw)] = raw
                known[ask["db"]] = bytes(memory)
            case "get":
                answer["hex"] = memory[ask["at"] : ask["at"] + ask["n"]].hex()
            case "written":
                answer["written"] = [n for n, m in areas.items() if bytes(m) != known[n]]
            case "clear":
                for name, each in areas.items():
                    each[:] = bytes(len(each))
                    known[name] = bytes(each)
        print(json.dumps(answer), flush=True)


main()
