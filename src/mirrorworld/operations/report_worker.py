"""The process in which a report is made: reads a task as JSON from stdin, writes the files.

The world may be running: what was durable when it began is told. Nothing of it holds up the
server's loop, and one that takes too long can be ended.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, Final

from mirrorworld.operations.report_html import html
from mirrorworld.operations.shift_report import ShiftReport, make_report
from mirrorworld.operations.shifts import ShiftRun, zone_of
from mirrorworld.record import open_record

PROCESS_BYTES_MAX: Final = 4 << 30


def main() -> None:
    """Does one task; how it fails is the last line of stderr."""
    task = json.loads(sys.stdin.read())
    resource.setrlimit(resource.RLIMIT_DATA, (PROCESS_BYTES_MAX, PROCESS_BYTES_MAX))
    try:
        report = read(task)
        for form, path in task["files"].items():
            keep(Path(path), made(report, form))
    except (ValueError, OSError, MemoryError, ImportError) as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        sys.exit(1)


def read(task: dict[str, Any]) -> ShiftReport:
    """The report of the shift that a task names."""
    subtree = task["subtree"]

    def sees(twin: str) -> bool:
        return not subtree or twin == subtree or twin.startswith(f"{subtree}/")

    shift = ShiftRun(task["shift"], tuple(task["span"]), tuple(map(tuple, task["breaks"])))
    with open_record(Path(task["record"]), create=False, read_only=True) as record:
        return make_report(
            record.world,
            record.history.structure(),
            record,
            record.log.changes(0, frames=False),
            shift,
            zone_of(task["zone"], "zone"),
            language=task["language"],
            now_ns=task["now_ns"],
            sees=sees,
        )


def made(report: ShiftReport, form: str) -> bytes:
    """The report as HTML or PDF."""
    if form == "html":
        return html(report).encode()
    from mirrorworld.operations.report_pdf import pdf

    return pdf(report)


def keep(path: Path, content: bytes) -> None:
    """Writes a file that is there whole or not at all, whatever happens to the machine."""
    new = path.with_name(f".{path.name}.part")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


if __name__ == "__main__":
    main()
