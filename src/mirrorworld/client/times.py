"""Times as people give them, as nanoseconds since 1970, and back."""

from __future__ import annotations

import datetime
import time

from mirrorworld.client.errors import InvalidError
from mirrorworld.protocol.rest import Problem

Time = datetime.datetime | datetime.timedelta | str | int | None

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def nanoseconds(at: Time) -> int:
    """UTC nanoseconds of a time; a `timedelta` is before now, no zone is UTC.

    >>> nanoseconds("2026-11-22T08:00:00Z")
    1795334400000000000
    >>> nanoseconds(datetime.datetime(1970, 1, 1, 0, 0, 1))
    1000000000
    """
    if at is None:
        return time.time_ns()
    if isinstance(at, bool):
        raise InvalidError(Problem(f"{at} is no time", "", "give a datetime or ISO 8601 text"))
    if isinstance(at, int):
        return at
    if isinstance(at, datetime.timedelta):
        return time.time_ns() - _whole(at)
    if isinstance(at, str):
        try:
            at = datetime.datetime.fromisoformat(at)
        except ValueError as error:
            problem = Problem(f"'{at}' is no time", "", "write 2026-11-22T08:00:00Z")
            raise InvalidError(problem) from error
    nanosecond = getattr(at, "nanosecond", 0)  # pandas' Timestamp has three digits more
    at = at if at.tzinfo else at.replace(tzinfo=datetime.UTC)
    return _whole(at - _EPOCH) + nanosecond


def _whole(length: datetime.timedelta) -> int:
    return length // datetime.timedelta(microseconds=1) * 1_000


def when(source_ns: int) -> datetime.datetime | None:
    """The time of nanoseconds since 1970, to the microsecond; None of 0.

    >>> when(1795334400000000000)
    datetime.datetime(2026, 11, 22, 8, 0, tzinfo=datetime.timezone.utc)
    """
    if source_ns <= 0:
        return None
    return _EPOCH + datetime.timedelta(microseconds=source_ns // 1_000)
