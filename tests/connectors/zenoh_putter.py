"""A plant that puts over Zenoh, written from the guide alone: it imports nothing of ours."""

from __future__ import annotations

import contextlib
import json
import struct

import numpy as np
import zenoh


def session(mode: str, locator: str) -> zenoh.Session:
    """A session that listens (peer) or connects (client) at a locator."""
    config = zenoh.Config()
    config.insert_json5("mode", json.dumps(mode))
    config.insert_json5("scouting/multicast/enabled", "false")
    # Held back for so many microseconds at most; after that Zenoh ends the link and what waits.
    patience = "transport/link/tx/queue/congestion_control/block/wait_before_close"
    config.insert_json5(patience, "60000000")
    config.insert_json5(
        "connect/endpoints" if mode == "client" else "listen/endpoints", json.dumps([locator])
    )
    return zenoh.open(config)


def names(table: int, *points: str | dict[str, object]) -> bytes:
    """What the points of a key are called."""
    return struct.pack("<4sIQ", b"MWN1", 0, table) + json.dumps({"names": points}).encode()


def values(
    table: int,
    source_ns: int,
    value: np.ndarray,
    *,
    index: np.ndarray | None = None,
    times: np.ndarray | None = None,
    quality: np.ndarray | None = None,
) -> bytes:
    """Values of the points of a key."""
    flags = (value.dtype == np.float64) | (index is not None) << 1
    flags |= (times is not None) << 2 | (quality is not None) << 3
    head = struct.pack("<4sIQqII", b"MWV1", len(value), table, source_ns, int(flags), 0)
    columns = (
        *(() if times is None else (times.astype("<i8"),)),
        value,
        *(() if index is None else (index.astype("<u4"),)),
        *(() if quality is None else (quality.astype("<u4"),)),
    )
    return head + b"".join(column.tobytes() for column in columns)


class Plant:
    """One key in columns, which answers with its names when it is asked, and one in JSON."""

    def __init__(self, locator: str) -> None:
        self.locator = locator
        self.session: zenoh.Session | None = None
        self.heard: list[bytes] = []
        self.last: bytes | None = None

    def open(self, mode: str = "peer") -> None:
        """Comes up."""
        self.session = session(mode, self.locator)
        self.session.declare_queryable("hall/oven", self._answer)
        self.session.declare_subscriber(
            "**", lambda sample: self.heard.append(sample.payload.to_bytes()),
            allowed_origin=zenoh.Locality.REMOTE,
        )  # fmt: skip

    def put(self, key: str, payload: bytes) -> None:
        """Puts, and waits while nobody takes it."""
        assert self.session is not None
        self.session.put(key, payload, congestion_control=zenoh.CongestionControl.BLOCK)

    def close(self) -> None:
        """Goes down."""
        with contextlib.suppress(zenoh.ZError):
            if self.session is not None:
                self.session.close()
        self.session = None

    def _answer(self, query: zenoh.Query) -> None:
        with query:
            query.reply("hall/oven", names(7, {"name": "temperature", "unit": "Cel"}, "power"))
