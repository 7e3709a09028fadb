"""What a process that runs foreign code may still do: set by the process on itself, for good.

Memory, core dumps and file sizes are bounded (setrlimit). Where the kernel has Landlock (Linux
5.13), files can be written only below one folder, and from Linux 6.7 no TCP connection is opened
or accepted; from 6.12 no process outside is signalled. Reading files is not restricted: a unit
may need libraries from anywhere. What the system lacks is returned, not hidden.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import Final

# linux/landlock.h
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_NO_NEW_PRIVS: Final = 38
_WRITES: Final = 0x1FF2
"""write_file, remove_dir, remove_file, make_char … make_sym: bits 1 and 4 to 12."""
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_FILE_ONLY: Final = 0x2 | _TRUNCATE
_NET: Final = 0x3
_SCOPE: Final = 0x3
FILE_BYTES_MAX: Final = 1 << 30


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("fs", ctypes.c_uint64),
        ("net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _Below(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("fd", ctypes.c_int32))


def limit(memory_bytes: int) -> tuple[str, ...]:
    """Bounds memory beyond what is used now, core dumps and file sizes; returns what cannot be."""
    try:
        import resource
    except ImportError:
        return ("memory", "file sizes")
    lacks: list[str] = []
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource, resource.RLIMIT_FSIZE, FILE_BYTES_MAX)
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _lower(resource, resource.RLIMIT_AS, pages * os.sysconf("SC_PAGE_SIZE") + memory_bytes)
    except (OSError, ValueError):
        lacks.append("memory")
    return tuple(lacks)


def _lower(resource: object, what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]  # pyright: ignore[reportAttributeAccessIssue]
    most = most if hard < 0 else min(most, hard)
    resource.setrlimit(what, (most, most))  # pyright: ignore[reportAttributeAccessIssue]


def confine(writable: Path) -> tuple[str, ...]:
    """Lets this process write only below a folder and talk to nobody; returns what cannot be."""
    everything = ("writing elsewhere", "TCP", "signals")
    if not sys.platform.startswith("linux"):
        return everything
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, 0, 1)
    if version < 1:
        return everything
    handled = _WRITES | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    rules = _Ruleset(handled, _NET if version >= 4 else 0, _SCOPE if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return everything
    try:
        for path, allowed in ((writable, handled), (Path(os.devnull), handled & _FILE_ONLY)):
            with contextlib.ExitStack() as stack:
                fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
                stack.callback(os.close, fd)
                if libc.syscall(_ADD, ruleset, 1, ctypes.byref(_Below(allowed, fd)), 0):
                    return everything
        if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(_RESTRICT, ruleset, 0):
            return everything
    finally:
        os.close(ruleset)
    return everything[1 if version < 4 else 2 if version < 6 else 3 :]
