"""An adapter's keys and words as bytes, where the compiled loop finds them.

Knows items; refuses to know lines.
"""

from __future__ import annotations

import numpy as np

from mirrorworld.connectors import shdr_compiled
from mirrorworld.connectors.mtconnect_observations import Item
from mirrorworld.connectors.seen import NO_HANDLE
from mirrorworld.world.model import Kind


class KeyTable:
    """Keys and words of one generation of items."""

    def __init__(self, items: dict[str, Item], generation: int) -> None:
        self.generation = generation
        kinds: list[int] = []
        handles: list[int] = []
        names: list[bytes] = []
        scopes: list[int] = []
        targets: list[int] = []
        index: dict[int, int] = {}
        for key, item in items.items():
            fits = item.point is not None and not item.is_condition and item.handle != NO_HANDLE
            fits = fits and item.kind in (Kind.FLOAT, Kind.TEXT, Kind.ENUM, Kind.ARRAY)
            fits = fits and (item.data is None or item.data.type != "MESSAGE")
            fits = fits and (item.data is None or item.data.representation != "TIME_SERIES")
            fits = fits and (item.data is not None or item.kind is not Kind.ARRAY)
            if not fits:
                continue
            at = index.get(id(item))
            if at is None:
                at = index[id(item)] = len(kinds)
                kinds.append(int(item.kind or 0))
                handles.append(item.handle)
                for label, code in item.labels.items():
                    names.append(label.encode())
                    scopes.append(at + 1)
                    targets.append(code)
            names.append(key.encode())
            scopes.append(0)
            targets.append(at)
        offsets = np.zeros(len(names) + 1, np.int64)
        np.cumsum([len(name) for name in names], out=offsets[1:])
        table = np.zeros(1 << (2 * len(names) + 8).bit_length(), np.int32)
        buffer = np.frombuffer(b"".join(names) or b"\0", np.uint8)
        columns = (buffer, offsets, np.array(scopes, np.int64), np.array(targets, np.int64), table)
        shdr_compiled.insert(*columns)
        self.columns = (*columns, np.array(kinds, np.uint8), np.array(handles, np.uint32))
