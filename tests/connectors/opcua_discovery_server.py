"""An asyncua server as a local discovery server, in a process of its own: it names others.

Arguments: port, then `NAME=URL` of each server that has registered. Prints `ready`.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from asyncua import Server, ua


async def main() -> None:
    logging.disable(logging.CRITICAL)
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{sys.argv[1]}")
    server.set_server_name("Discovery of Hall 3")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    for each in sys.argv[2:]:
        name, _, url = each.partition("=")
        registered = ua.RegisteredServer()
        registered.ServerUri = f"urn:test:{name}"
        registered.ProductUri = "urn:test:product"
        registered.ServerNames = [ua.LocalizedText(name)]
        registered.ServerType = ua.ApplicationType.Server
        registered.DiscoveryUrls = [url]
        registered.IsOnline = True
        server.iserver.register_server(registered)
    async with server:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
