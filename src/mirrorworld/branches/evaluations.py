"""Evaluations of branches: figures over replications, found in processes of their own, kept."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import secrets
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from mirrorworld.branches import kept
from mirrorworld.branches.book import Branches, Entry
from mirrorworld.branches.kept import Figures, Kept
from mirrorworld.branches.process import Process
from mirrorworld.branches.runs import TIME_LIMIT_S_MAX
from mirrorworld.branches.statistics import difference, estimate
from mirrorworld.protocol.branches import (
    ComparedCell,
    ComparedRow,
    Comparison,
    Evaluation,
    EvaluationRequest,
    KpiRow,
)
from mirrorworld.record.files import Files
from mirrorworld.world.changes import Change, Position

log = logging.getLogger(__name__)

AT_ONCE: Final = 2
WAITING_MAX: Final = 200
KEPT_MAX: Final = 100
"""Evaluations of one branch; the oldest that are over go first."""
REPLICATIONS_MAX: Final = 100_000
VALUES_SHOWN: Final = 1_000
OPEN: Final = ("waiting", "running")


class Evaluations:
    """The evaluations of all branches of a world."""

    def __init__(self, book: Branches, record: Path | None) -> None:
        self._book, self._record = book, record
        self._of: dict[str, dict[str, Figures]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    def of(self, branch_id: str) -> dict[str, Figures]:
        """Those of a branch by id, oldest first."""
        known = self._of.get(branch_id)
        if known is None:
            known = self._of[branch_id] = self._read(self._book.entry(branch_id))
        return known

    def _read(self, entry: Entry) -> dict[str, Figures]:
        found: list[Figures] = []
        for path in (entry.directory / kept.EVALUATIONS).glob("*.json"):
            try:
                one = kept.read(path, Figures)
            except (ValueError, OSError) as error:
                log.warning("%s", error)
                continue
            if one.state in OPEN:
                one.state, one.detail = "failed", "the world was stopped before it was done"
            found.append(one)
        return {one.id: one for one in sorted(found, key=lambda f: f.made_ns)}

    def figures(self, branch_id: str, evaluation_id: str) -> Figures:
        """One evaluation; KeyError where there is none."""
        try:
            return self.of(branch_id)[evaluation_id]
        except KeyError:
            raise KeyError(f"there is no evaluation '{evaluation_id[:60]}'") from None

    async def start(self, branch_id: str, asked: EvaluationRequest, by: str) -> Figures:
        """Asks for figures of a branch as it is now. They come when a process is free.

        Raises:
            ValueError: what is asked makes no sense, or too many wait.
        """
        if not 1 <= asked.replications <= REPLICATIONS_MAX:
            raise ValueError(f"{asked.replications} replications; give 1 to {REPLICATIONS_MAX}")
        if not 0 < asked.time_limit_s <= TIME_LIMIT_S_MAX:
            raise ValueError(f"a time limit of {asked.time_limit_s} s; give up to a week")
        if not -(1 << 63) <= asked.seed < 1 << 63:
            raise ValueError("the seed does not fit 64 bits")
        waiting = sum(f.state in OPEN for known in self._of.values() for f in known.values())
        if waiting >= WAITING_MAX:
            raise ValueError(f"{waiting} evaluations wait, as many as may; wait for some")
        branch = await self._book.opened(branch_id)
        await self._book.settle(branch_id)
        figures = Figures(
            f"e-{secrets.token_hex(6)}", asked.evaluator, dict(asked.options), asked.replications,
            asked.seed, "waiting", by, time.time_ns(), str(branch.world.position),
        )  # fmt: skip
        known = self.of(branch_id)
        over = [f.id for f in known.values() if f.state not in OPEN]
        for old in over[: max(0, len(known) + 1 - KEPT_MAX)]:
            await self.remove(branch_id, old)
        known[figures.id] = figures
        await self._keep(branch_id, figures)
        task = asyncio.create_task(
            self._find(branch_id, figures, asked.time_limit_s, branch.clock_ns),
            name=f"evaluation {figures.id}",
        )
        self._tasks[figures.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(figures.id, None))
        return figures

    async def _find(
        self, branch_id: str, figures: Figures, time_limit_s: float, now_ns: int
    ) -> None:
        process: Process | None = None
        try:
            async with self._room:
                figures.state = "running"
                task = {
                    "do": "evaluate",
                    "folder": str(self._book.directory),
                    "record": str(self._record),
                    "branch": branch_id,
                    "evaluator": figures.evaluator,
                    "options": figures.options,
                    "replications": figures.replications,
                    "seed": figures.seed,
                    "now_ns": now_ns,
                    "time_limit_s": time_limit_s,
                    "step_limit_s": time_limit_s,
                }
                process = await Process.start(task)
                await self._hear(process, figures)
                said = await process.end()
                if figures.state == "running":
                    figures.state, figures.detail = "failed", said
        except asyncio.CancelledError:
            if figures.state in OPEN:
                figures.state, figures.detail = "cancelled", "what was found by then is kept"
        except TimeoutError:
            figures.state, figures.detail = "failed", "its time limit is over"
        except (OSError, ValueError) as error:
            figures.state, figures.detail = "failed", f"{type(error).__name__}: {error}"
        finally:
            if process is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(process.end())
            with contextlib.suppress(OSError, KeyError, RuntimeError):
                await asyncio.shield(self._keep(branch_id, figures))

    async def _hear(self, process: Process, figures: Figures) -> None:
        async for said in process.heard():
            if isinstance(said, Change):
                continue
            match said["say"]:
                case "progress":
                    figures.progress = float(said["share"])
                    if said["kpis"]:
                        figures.kpis = msgspec.convert(said["kpis"], list[Kept])
                case "done":
                    figures.kpis = msgspec.convert(said["kpis"], list[Kept])
                    figures.progress, figures.state, figures.detail = 1.0, "done", ""
                    if all(v is None for kpi in figures.kpis for v in kpi.values):
                        figures.state, figures.detail = "failed", "no figure came to a value (NaN)"
                case "failed":
                    figures.state, figures.detail = "failed", str(said["detail"])
                case _:
                    log.warning("evaluation %s says %r", figures.id, said["say"])

    async def _keep(self, branch_id: str, figures: Figures) -> None:
        folder = self._book.entry(branch_id).directory / kept.EVALUATIONS

        def keep() -> None:
            Files().make_directory(folder)
            kept.write(folder / f"{figures.id}.json", figures)

        await self._book.do(keep)

    async def cancel(self, branch_id: str, evaluation_id: str) -> Figures:
        """Ends an evaluation; what was found by then is kept."""
        figures = self.figures(branch_id, evaluation_id)
        task = self._tasks.get(evaluation_id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return figures

    async def remove(self, branch_id: str, evaluation_id: str) -> None:
        """Ends an evaluation and forgets its figures."""
        await self.cancel(branch_id, evaluation_id)
        path = self._book.entry(branch_id).directory / kept.EVALUATIONS / f"{evaluation_id}.json"
        await self._book.do(lambda: path.unlink(missing_ok=True))
        self.of(branch_id).pop(evaluation_id, None)

    async def forget(self, branch_id: str) -> None:
        """Ends all evaluations of a branch that is discarded."""
        for evaluation_id in list(self.of(branch_id)):
            await self.cancel(branch_id, evaluation_id)
        self._of.pop(branch_id, None)

    async def close(self) -> None:
        """Ends what goes on."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- telling ---

    def told(self, branch_id: str, figures: Figures) -> Evaluation:
        """An evaluation as others are told of it."""
        branch = self._book.entry(branch_id).opened
        now = Position(0, -1) if branch is None else branch.world.position
        plain = {
            field.name: getattr(figures, field.name)
            for field in dataclasses.fields(figures)
            if field.name != "kpis"
        }
        # The epoch grows with each opening for writing, whether anything is changed or not.
        is_current = now.sequence == Position.parse(figures.position).sequence
        kpis = [_kpi_row(kpi) for kpi in figures.kpis]
        return Evaluation(branch=branch_id, is_current=is_current, kpis=kpis, **plain)

    def latest(self, branch_id: str, evaluator: str) -> Figures | None:
        """The latest evaluation of a branch that came to figures; "" takes any evaluator."""
        for figures in reversed(self.of(branch_id).values()):
            if figures.state not in OPEN and figures.kpis and evaluator in ("", figures.evaluator):
                return figures
        return None

    def compared(self, branch_ids: list[str], evaluator: str) -> Comparison:
        """Branches beside each other; the first is what the others are compared with."""
        latest = {b: f for b in branch_ids if (f := self.latest(b, evaluator)) is not None}
        if not evaluator and latest:
            evaluator = next(iter(latest.values())).evaluator
            latest = {b: f for b in branch_ids if (f := self.latest(b, evaluator)) is not None}
        missing = [b for b in branch_ids if b not in latest]
        if not latest:
            return Comparison("", evaluator, branch_ids, [], missing)
        baseline = next(iter(latest))
        names = dict.fromkeys((k.name, k.unit) for f in latest.values() for k in f.kpis)
        rows = [_row(latest, baseline, name, unit) for name, unit in names]
        return Comparison(baseline, evaluator, branch_ids, rows, missing)


def _numbers(kpi: Kept) -> Any:
    return np.array([np.nan if v is None else v for v in kpi.values], np.float64)


def _kpi_row(kpi: Kept) -> KpiRow:
    found = estimate(_numbers(kpi))
    return KpiRow(
        kpi.name, kpi.unit, kpi.better, found.n, found.mean, found.low, found.high,
        kpi.values[:VALUES_SHOWN],
    )  # fmt: skip


def _row(latest: dict[str, Figures], baseline: str, name: str, unit: str) -> ComparedRow:
    def of(figures: Figures) -> Kept | None:
        return next((k for k in figures.kpis if (k.name, k.unit) == (name, unit)), None)

    base = latest[baseline]
    base_kpi = of(base)
    better = next(kpi.better for f in latest.values() if (kpi := of(f)) is not None)
    cells: list[ComparedCell] = []
    for branch_id, figures in latest.items():
        kpi = of(figures)
        if kpi is None:
            continue
        found = estimate(_numbers(kpi))
        is_paired = figures.seed == base.seed and len(kpi.values) == len(
            base_kpi.values if base_kpi else ()
        )
        gap = None
        if base_kpi is not None and branch_id != baseline:
            gap = difference(_numbers(kpi), _numbers(base_kpi), is_paired=is_paired)
        above = None if gap is None else gap.probability_above
        if above is not None and better == "lower":
            above = 1 - above
        cells.append(
            ComparedCell(
                branch=branch_id,
                evaluation=figures.id,
                n=found.n,
                mean=found.mean,
                low=found.low,
                high=found.high,
                difference=gap and gap.mean,
                difference_low=gap and gap.low,
                difference_high=gap and gap.high,
                is_paired=gap is not None and gap.is_paired,
                probability_better=above,
            )
        )
    return ComparedRow(name, unit, better, cells)
