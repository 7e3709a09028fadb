"""The server: one world over HTTP and WebSocket, for its page, for notebooks and for programs.

Knows sessions, routes and what may be shown to whom; refuses to know how changes come in, where
they are kept, and what a scene looks like. Its loop, the world's own, only moves changes: what
takes longer runs in threads.
"""

from mirrorworld.server.app import create_app
from mirrorworld.server.network import Network
from mirrorworld.server.serve import PortInUse, announced, serve, token_of

__all__ = ["Network", "PortInUse", "announced", "create_app", "serve", "token_of"]
