"""What waits to be sent on one person's socket: bounded, and never waited for by others."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

WAITING_MAX: Final = 1_000
"""Messages that wait for a slow reader; then their line is let go, and they may come again."""
STUCK_S: Final = 20.0
CLOSE_SLOW: Final = 1013


class Line:
    """A socket, and the newest of what it is to be told."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._texts: deque[str] = deque()
        self._poses: bytes | None = None
        self._farewell: tuple[int, str] | None = None
        self._due = asyncio.Event()
        self.is_behind = False
        """Frames of poses were left out: the next has to be of all."""

    def say(self, text: str) -> None:
        """Sends a message in its turn."""
        if len(self._texts) >= WAITING_MAX:
            self.close(CLOSE_SLOW, "too much waits for this line")
            return
        self._texts.append(text)
        self._due.set()

    def show(self, frame: bytes, *, is_whole: bool = False) -> bool:
        """Sends a frame of poses; False if another that still waited makes place for it."""
        is_late = self._poses is not None
        self.is_behind = (is_late or self.is_behind) and not is_whole
        self._poses = frame
        self._due.set()
        return not is_late

    def close(self, code: int, reason: str) -> None:
        """Says why, once what waits is sent, and hangs up."""
        if self._farewell is None:
            self._farewell = (code, reason)
            self._due.set()

    async def run(self) -> None:
        """Sends until it is closed, or the other side is gone or takes nothing for `STUCK_S`."""
        with contextlib.suppress(WebSocketDisconnect, TimeoutError, RuntimeError, OSError):
            while True:
                await self._due.wait()
                self._due.clear()
                async with asyncio.timeout(STUCK_S):
                    while self._texts:
                        await self._socket.send_text(self._texts.popleft())
                    if self._poses is not None:
                        frame, self._poses = self._poses, None
                        await self._socket.send_bytes(frame)
                    if self._farewell is not None:
                        await self._socket.close(*self._farewell)
                        return
