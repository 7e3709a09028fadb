"""The process of one unit: reads what its owner asks from standard input, answers on standard
output, and ends when the owner is gone.

Everything that the unit itself prints goes to standard error. Started by `process.py` only.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from mirrorworld.simulation.fmi import confinement
from mirrorworld.simulation.fmi.native import CallFailed, Native, Reached, Row
from mirrorworld.simulation.fmi.wire import (
    EARLY,
    ENDED,
    EVENT,
    FOLDER_PREFIX,
    MAY_RESTORE,
    NEXT_EVENT,
    REACHED,
    RUN,
    SLOPES,
    STATE,
    STEP,
    Answer,
    Op,
    receive,
    send,
)

LOOKS_EVERY_S: Final = 1.0
FOLDER: Final = Path.cwd()
"""Of this unit alone; the process was started in it."""


def main() -> None:
    """Serves one unit until its owner says STOP or is gone."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what the unit prints is no answer
    owner = os.getppid()
    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()
    served = _Served(answers)
    while True:
        try:
            op, payload = receive(0)
        except (EOFError, OSError):
            _leave()
        try:
            served.do(Op(op), payload)
        except CallFailed as error:
            _fail(answers, error.call, error.why)
        except MemoryError:
            _fail(answers, "", "out of memory: it wants more than it may have")
        except (OSError, ValueError, KeyError, TypeError) as error:
            _fail(answers, "", f"{type(error).__name__}: {error}")
        if op == Op.STOP:
            os._exit(0)


def _end_with(owner: int) -> None:
    """A unit that hangs must not outlive the process that started it."""
    while os.getppid() == owner:
        time.sleep(LOOKS_EVERY_S)
    _leave()


def _leave() -> NoReturn:
    """Ends without an owner, who would else have removed the folder. Confined, the process can
    empty it, not remove it."""
    if FOLDER.name.startswith(FOLDER_PREFIX):  # never a folder in which a person started this
        shutil.rmtree(FOLDER, ignore_errors=True)
    os._exit(0)


def _fail(fd: int, call: str, why: str) -> None:
    send(fd, Answer.FAILED, json.dumps({"call": call, "why": why}).encode())


class _Served:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._unit: Native | None = None
        self._start_s = 0.0
        self._out: Row = np.empty(0)
        with Path("rows").open("r+b") as stream:
            # A run's outputs are there as they are made, also if the unit crashes in the middle.
            self._rows = mmap.mmap(stream.fileno(), 0)

    @property
    def unit(self) -> Native:
        if self._unit is None:
            raise ValueError("not started")
        return self._unit

    def do(self, op: Op, payload: bytes) -> None:
        """Does what was asked, and answers."""
        match op:
            case Op.START:
                self._start(json.loads(payload))
            case Op.SET:
                self.unit.set(np.frombuffer(payload))
                self._answer(Reached(self._start_s))
            case Op.BEGIN:
                self._answer(self.unit.exit(self._start_s))
            case Op.STEP:
                self._step(payload)
            case Op.RUN:
                self._run(payload)
            case Op.EVENT:
                (time_s,) = np.frombuffer(payload, count=1)
                self._answer(self.unit.event(float(time_s), np.frombuffer(payload, offset=8)))
            case Op.SAVE:
                send(self._fd, Answer.DONE, STATE.pack(self.unit.save()))
            case Op.RESTORE:
                self.unit.restore(*STATE.unpack(payload))
                send(self._fd, Answer.DONE)
            case Op.FREE:
                self.unit.free(*STATE.unpack(payload))
                send(self._fd, Answer.DONE)
            case Op.SERIALISE:
                send(self._fd, Answer.DONE, self.unit.serialise(*STATE.unpack(payload)))
            case Op.DESERIALISE:
                send(self._fd, Answer.DONE, STATE.pack(self.unit.deserialise(payload)))
            case Op.TEXTS:
                texts = self.unit.texts(json.loads(payload))
                send(self._fd, Answer.DONE, json.dumps(texts).encode())
            case Op.STOP:
                self.unit.terminate()
                send(self._fd, Answer.DONE)

    def _start(self, asked: dict[str, Any]) -> None:
        folder = Path(asked["folder"])
        lacks = confinement.limit(int(asked["memory_bytes"]))
        if asked["confined"]:
            lacks += confinement.confine(folder)
        unit = self._unit = Native(
            version=asked["version"],
            library=Path(asked["library"]),
            unpacked=folder,
            token=asked["token"],
            identifier=asked["identifier"],
            name=asked["name"],
            inputs=[(r, t, n) for r, t, n in asked["inputs"]],
            outputs=[(r, t, n) for r, t, n in asked["outputs"]],
            event_mode=asked["event_mode"],
            early_return=asked["early_return"],
            log_categories=asked["log_categories"],
        )
        if asked["known"] is not None:
            unit.starts_with(np.array(asked["known"], np.float64))
        if asked["starts"]:
            ports = [(r, t, n) for r, t, n in asked["starts"]]
            unit.put(ports, asked["values"])
        if asked["texts"]:
            unit.put_texts([r for r, _ in asked["texts"]], [text for _, text in asked["texts"]])
        self._start_s = float(asked["start_s"])
        self._out = np.empty(unit.n_outputs)
        unit.enter(self._start_s, asked["stop_s"], asked["tolerance"])
        send(self._fd, Answer.DONE, json.dumps(lacks).encode())

    def _step(self, payload: bytes) -> None:
        unit = self.unit
        time_s, step_s, flags = STEP.unpack_from(payload)
        if unit.n_inputs:
            unit.set(np.frombuffer(payload, np.float64, unit.n_inputs, STEP.size))
        if flags & SLOPES:
            unit.slopes(np.frombuffer(payload, offset=STEP.size + 8 * unit.n_inputs))
        self._answer(unit.step(time_s, step_s, bool(flags & MAY_RESTORE)))

    def _run(self, payload: bytes) -> None:
        """Many steps in one go: until the end, an event, an early return or the unit's wish."""
        unit = self.unit
        start_s, step_s, n, n_rows, flags = RUN.unpack_from(payload)
        rows = np.frombuffer(payload, offset=RUN.size).reshape(n_rows, unit.n_inputs)
        counter = np.frombuffer(self._rows, np.int64, 1)
        outputs = np.frombuffer(self._rows, np.float64, n * unit.n_outputs, 8)
        outputs = outputs.reshape(n, unit.n_outputs)
        reached, done = Reached(start_s), 0
        if n_rows == 1:
            unit.set(rows[0])
        for done in range(1, n + 1):
            time_s = start_s + (done - 1) * step_s
            if n_rows > 1:
                unit.set(rows[done - 1])
            reached = unit.step(time_s, step_s, bool(flags & MAY_RESTORE))
            unit.get(outputs[done - 1])
            counter[0] = done
            if reached.has_event or reached.has_ended or reached.is_early:
                break
            if not np.isfinite(outputs[done - 1]).all():
                break
        self._send(reached, done)

    def _answer(self, reached: Reached) -> None:
        self.unit.get(self._out)
        self._send(reached, 1, self._out.tobytes())

    def _send(self, reached: Reached, n: int, row: bytes = b"") -> None:
        next_s = reached.next_event_s
        marks = (
            (EVENT if reached.has_event else 0)
            | (ENDED if reached.has_ended else 0)
            | (EARLY if reached.is_early else 0)
            | (NEXT_EVENT if next_s is not None else 0)
        )
        head = REACHED.pack(reached.time_s, marks, next_s or 0.0, n)
        send(self._fd, Answer.DONE, head, row)


if __name__ == "__main__":
    main()
