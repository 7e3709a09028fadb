"""Whether this computer's clock is kept right by anything."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_UNSYNCHRONISED: Final = 0x0040  # STA_UNSYNC of <sys/timex.h>
_BYTES: Final = 512  # struct timex has 208 on 64 bits; more is no harm


def is_synchronised() -> bool | None:
    """Whether the system says that its clock follows a time source (NTP, PTP); None: unknown.

    Reads the kernel's own word by adjtimex(2) with no mode set, which needs no rights.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        timex = (ctypes.c_byte * _BYTES)()
        if libc.adjtimex(ctypes.byref(timex)) < 0:
            return None
    except (OSError, AttributeError):
        return None
    # modes (int), padding, offset, freq, maxerror, esterror (long), status (int)
    long_bytes = ctypes.sizeof(ctypes.c_long)
    at = long_bytes + 4 * long_bytes
    status = int.from_bytes(bytes(timex)[at : at + 4], sys.byteorder)
    return not status & _UNSYNCHRONISED
