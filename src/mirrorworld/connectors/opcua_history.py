"""What a server remembers of the time while nobody listened (HistoryRead, OPC 10000-11 §6.5.3).

Samples strictly between the last one before the gap and the first one after it; unnumbered,
with the full resolution of their source times.
"""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

import asyncio
import datetime
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary

from mirrorworld.connectors import opcua_decode as decode
from mirrorworld.connectors.opcua_model import Item
from mirrorworld.connectors.opcua_session import Session
from mirrorworld.connectors.opcua_subscription import Gap
from mirrorworld.connectors.opcua_values import WrongType, add_sample
from mirrorworld.world.frames import Frame, FrameBuilder, Handles

HISTORY_READ: Final = 4
"""Bit of AccessLevel (OPC 10000-3 §8.57)."""

VALUES_PER_NODE: Final = 1000
ROUNDS_MAX: Final = 1000
"""How many requests one gap may take in all."""

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


async def read_gap(
    session: Session,
    items: Sequence[Item],
    handles: Handles,
    gap: Gap,
    count: Callable[[str, int], None],
    pause_s: float = 0.0,
) -> AsyncIterator[Frame]:
    """Frames of what happened in a gap, item by item where the server keeps history.

    What cannot be read is counted: `history_refused` (items), `history_cut` (gaps too long).
    """
    wanted = [
        i
        for i, item in enumerate(items)
        if item.access & HISTORY_READ
        and not item.is_array
        and decode.NO_TIME < gap.start_ns[i] < gap.end_ns[i]
    ]
    # Those whose gaps begin together are asked for together, since a request has one time.
    wanted.sort(key=lambda i: int(gap.start_ns[i]))
    rounds = 0
    for at in range(0, len(wanted), session.limits.history):
        open_: dict[int, bytes | None] = dict.fromkeys(wanted[at : at + session.limits.history])
        while open_:
            rounds += 1
            if rounds > ROUNDS_MAX:
                count("history_cut", 1)
                return
            start = min(int(gap.start_ns[i]) for i in open_)
            end = max(int(gap.end_ns[i]) for i in open_)
            answers = await _read(session, items, open_, start, end)
            builder = FrameBuilder()
            for i, (status, more, places, data) in zip(list(open_), answers, strict=True):
                del open_[i]
                if status >> 31:
                    count("history_refused", 1)
                    continue
                for place in places:
                    _add(builder, items[i], int(handles[i]), data, place, gap, i, count)
                if more:
                    open_[i] = more
            if len(builder):
                yield builder.build()
            await asyncio.sleep(pause_s)


def _add(
    builder: FrameBuilder,
    item: Item,
    handle: int,
    data: bytes,
    place: int,
    gap: Gap,
    i: int,
    count: Callable[[str, int], None],
) -> None:
    """Adds a sample if it lies inside the item's own gap."""
    _, _, source_ns, _ = decode.data_value(data, place)
    if not gap.start_ns[i] < source_ns < gap.end_ns[i]:
        return
    try:
        add_sample(builder, handle, item.kind, data, place, source_ns)
    except (WrongType, TypeError) as error:
        count(getattr(error, "reason", "wrong_type"), 1)


_Answer = tuple[int, bytes | None, list[int], bytes]


async def _read(
    session: Session,
    items: Sequence[Item],
    open_: dict[int, bytes | None],
    start_ns: int,
    end_ns: int,
) -> list[_Answer]:
    """(status, continuation point, places of the DataValues, the bytes they are in) per item."""
    request = ua.HistoryReadRequest()
    p = request.Parameters
    p.HistoryReadDetails = ua.ReadRawModifiedDetails(
        IsReadModified=False,
        StartTime=_datetime(start_ns),
        EndTime=_datetime(end_ns + 1_000),
        NumValuesPerNode=VALUES_PER_NODE,
        ReturnBounds=False,
    )
    p.TimestampsToReturn = ua.TimestampsToReturn.Both
    p.ReleaseContinuationPoints = False
    p.NodesToRead = [
        ua.HistoryReadValueId(NodeId=items[i].node, ContinuationPoint=point)
        for i, point in open_.items()
    ]
    data, at = await session.ask(request, 60.0)
    try:
        return _parse(data, at)
    except (struct.error, IndexError) as error:
        raise decode.DecodeError("a HistoryReadResponse is cut short") from error


def _parse(data: bytes, at: int) -> list[_Answer]:
    """The results of a HistoryReadResponse (OPC 10000-4 §5.11.3), values left in the bytes."""
    (n,) = struct.unpack_from("<i", data, at)
    at += 4
    found: list[_Answer] = []
    for _ in range(max(n, 0)):
        status, length = struct.unpack_from("<Ii", data, at)
        at += 8
        more = data[at : at + length] if length > 0 else None
        at += max(length, 0)
        buffer = Buffer(data, at, len(data) - at)
        nodeid_from_binary(buffer)
        at = buffer.cur_pos
        has_body = data[at]
        at += 1
        places: list[int] = []
        if has_body:
            (size,) = struct.unpack_from("<i", data, at)
            at += 4
            end = at + max(size, 0)
            if size >= 4:
                (values,) = struct.unpack_from("<i", data, at)
                place = at + 4
                for _ in range(max(values, 0)):
                    places.append(place)
                    place = decode.data_value(data, place)[3]
            at = end
        found.append((status, more, places, data))
    return found


def _datetime(ns: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=ns // 1000)
