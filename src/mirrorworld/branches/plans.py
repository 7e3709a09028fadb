"""Plans: what differs in a branch, made so in the real world, step by step and by the one road.

proposed → approved → executing → applied, rolled back or failed; or rejected. Values of writable,
armed points and calls of armed operations are commands, one after the other, each confirmed by its
source before the next is sent; everything else is a task for people. Where one is refused, fails
or expires, those before it are set back to what was there, last first, and every step says how it
went. A plan stands in a file beside the branches, and for everybody to see as a sheet of the world.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from mirrorworld.branches import kept
from mirrorworld.branches.branch import Branch
from mirrorworld.branches.diff import Sees, labelled, parameter_rows, shown, structural
from mirrorworld.branches.saying import person
from mirrorworld.live.guard import OWNER, principal
from mirrorworld.protocol.branches import DiffRow, Plan, PlannedCall, PlanStep
from mirrorworld.record.files import Files
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.world.changes import Command, CommandState, Edits, OriginKind, PutSheet
from mirrorworld.world.model import Kind, Scalar, Sheet, point_id
from mirrorworld.world.ports import Action, Principal
from mirrorworld.world.quality import severity

log = logging.getLogger(__name__)

KIND: Final = "branch_plan"
RULES: Final = ("plan_rules", "approval")
"""(kind, name) of the sheet that says who approves: `{"needs_other": true}`."""
FOLDER: Final = "plans"
PLANS_MAX: Final = 500
STEPS_MAX: Final = 1_000
LOOK_S: Final = 0.05
TIMEOUT_S_MAX: Final = 3_600.0
OVER: Final = ("applied", "rolled back", "failed", "rejected")


@dataclass(slots=True)
class KeptPlan:
    """A plan as it is kept."""

    id: str
    branch: str
    branch_name: str
    author: str
    reason: str
    made_ns: int
    timeout_s: float
    state: str = "proposed"
    approved_by: str = ""
    approved_ns: int = 0
    detail: str = ""
    steps: list[PlanStep] = field(default_factory=list[PlanStep])


class Plans:
    """The plans of a world. Lives on the loop."""

    def __init__(self, mirror: Mirrored, directory: Path) -> None:
        self._mirror, self._directory = mirror, directory / FOLDER
        self._plans: dict[str, KeptPlan] = {}
        self._executing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        for path in self._directory.glob("p-*.json"):
            try:
                plan = kept.read(path, KeptPlan)
            except (ValueError, OSError) as error:
                log.warning("%s", error)
                continue
            self._plans[plan.id] = plan
        self._plans = dict(sorted(self._plans.items(), key=lambda p: p[1].made_ns))

    async def start(self) -> None:
        """Says of plans that a restart has interrupted how far they had come."""
        for plan in self._plans.values():
            if plan.state == "executing":
                plan.state = "failed"
                plan.detail = (
                    "the world was restarted meanwhile; steps that are confirmed stand, and nothing"
                    " more is done by itself"
                )
                plan.steps = [
                    dataclasses.replace(s, state="expired", detail="restarted before it was known")
                    if s.state == "sent"
                    else s
                    for s in plan.steps
                ]
                await self._keep(plan, "interrupted by a restart")

    async def close(self) -> None:
        """Stops executing; what is under way is said to be interrupted at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __iter__(self) -> Any:
        """Latest first."""
        return reversed(self._plans.values())

    def plan(self, plan_id: str) -> KeptPlan:
        """The plan of an id; KeyError if there is none."""
        try:
            return self._plans[plan_id]
        except KeyError:
            raise KeyError(f"there is no plan '{plan_id[:60]}'") from None

    # --- making ---

    async def make(
        self, who: Principal, branch: Branch, reason: str, calls: Sequence[PlannedCall],
        timeout_s: float, sees: Sees,
    ) -> KeptPlan:  # fmt: skip
        """A plan of what people changed in a branch, as far as the live world is not so already.

        Raises:
            ValueError: nothing differs, or too much.
        """
        if not 0 < timeout_s <= TIMEOUT_S_MAX:
            raise ValueError(f"a time-out of {timeout_s} s; give up to {TIMEOUT_S_MAX:g}")
        if len(self._plans) >= PLANS_MAX:
            over = next((p.id for p in self._plans.values() if p.state in OVER), None)
            if over is None:
                raise ValueError(f"{PLANS_MAX} plans wait; decide on some first")
            del self._plans[over]
            await self._do(lambda: Files().remove(self._directory / f"{over}.json"))
        steps = [*self._values(branch, sees), *self._calls(calls), *self._chores(branch, sees)]
        if not steps:
            raise ValueError(
                f"{branch.head.name}: nothing that people changed in it differs from the world"
            )
        if len(steps) > STEPS_MAX:
            raise ValueError(f"{len(steps)} steps; a plan has {STEPS_MAX} at most")
        steps = [dataclasses.replace(step, number=n) for n, step in enumerate(steps, 1)]
        plan = KeptPlan(
            f"p-{secrets.token_hex(6)}", branch.head.id, branch.head.name, person(who.id), reason,
            time.time_ns(), timeout_s, steps=steps,
        )  # fmt: skip
        self._plans[plan.id] = plan
        await self._keep(plan, f"plan of {branch.head.name}: {reason}")
        return plan

    def _values(self, branch: Branch, sees: Sees) -> list[PlanStep]:
        """Assumed values, in the order in which they were assumed."""
        world, live = branch.world, self._mirror.world
        handles = world.state.changed_after(branch.base.position.sequence)
        handles = handles[handles < branch.base.n_points]
        columns = world.read(handles)
        steps: list[PlanStep] = []
        for row in np.argsort(columns.changed, kind="stable").tolist():
            if world.origins[int(columns.origin[row])].kind is not OriginKind.AUTHORED:
                continue  # what models made of it is not wanted, it follows
            handle = int(handles[row])
            twin, kind = world.point(handle)
            value, now = world.value(handle), live.value(handle)
            is_scalar = isinstance(value, Scalar) and kind.kind < Kind.ARRAY
            if not sees(twin) or not is_scalar or value == now:
                continue
            words = (
                f"set {point_id(twin, kind.name)} to {labelled(kind, value)} {kind.unit}".strip()
            )
            is_armed = (twin, kind.name) in live.structure.arms
            is_desired = is_armed and live.structure.point(handle)[1].is_writable
            steps.append(
                PlanStep(
                    0,
                    "value" if is_desired else "task",
                    twin,
                    kind.name,
                    words.rstrip(),
                    now if isinstance(now, Scalar) else None,
                    value,
                    kind.unit,
                    "waiting" if is_desired else "open",
                    "" if is_desired else "it is not armed here, or cannot be written",
                )
            )
        return steps

    def _calls(self, calls: Sequence[PlannedCall]) -> list[PlanStep]:
        structure = self._mirror.world.structure
        steps: list[PlanStep] = []
        for call in calls:
            place = point_id(call.twin, call.operation)
            if call.twin not in structure.twins or call.operation not in {
                o.name for o in structure.operations_of(call.twin)
            }:
                raise ValueError(f"{place}: there is no such operation")
            for name, value in call.arguments.items():
                if not isinstance(value, Scalar):
                    raise ValueError(f"{place}: argument {name} is no number, text or yes/no")
            is_armed = (call.twin, call.operation) in structure.arms
            steps.append(
                PlanStep(
                    number=0,
                    kind="call" if is_armed else "task",
                    about=call.twin,
                    name=call.operation,
                    words=f"call {place}",
                    before=None,
                    after=None,
                    unit="",
                    state="waiting" if is_armed else "open",
                    detail="" if is_armed else "it is not armed here",
                    arguments=dict(call.arguments),
                )
            )
        return steps

    def _chores(self, branch: Branch, sees: Sees) -> list[PlanStep]:
        """Structure and parameters: a person has to move, set or plan it."""
        live = self._mirror.world
        wanted = [*structural(branch.base.structure, branch.world.structure, sees)]
        wanted += parameter_rows(branch.base, branch.world)
        # Not what the world has become otherwise, only what is not so yet of what was wanted.
        so = {_key(r): r.after for r in structural(branch.base.structure, live.structure, sees)}
        so |= {_key(r): r.after for r in parameter_rows(branch.base, live)}
        steps: list[PlanStep] = []
        for row in wanted:
            if so.get(_key(row)) == row.after:
                continue
            what = " ".join(part for part in (row.what, row.about, row.name) if part)
            words = f"{what}: {row.before or 'nothing'} → {row.after or 'nothing'} {row.unit}"
            steps.append(
                PlanStep(
                    0,
                    "task",
                    row.about,
                    row.name,
                    words.rstrip(),
                    row.before,
                    row.after,
                    row.unit,
                    "open",
                    "",
                )
            )
        return steps

    # --- deciding ---

    def needs_other(self) -> bool:
        """Whether somebody else than the author has to approve."""
        sheet = self._mirror.world.structure.sheets.get(RULES)
        return sheet is not None and read_rules(sheet)

    def why_not(self, who: Principal, plan: KeptPlan) -> str:
        """Why somebody may not approve, reject or execute a plan; empty: they may."""
        if self.needs_other() and person(who.id) == plan.author:
            return "somebody else than its author has to decide on it"
        twins = {step.about for step in plan.steps if step.kind != "task"} or {""}
        now_ns = self._mirror.now_ns()
        for twin in sorted(twins):
            decision = self._mirror.guard.may(who, Action.COMMAND, twin, "plan", now_ns)
            if not decision.allowed:
                return decision.reason
        return ""

    async def decide(self, who: Principal, plan: KeptPlan, act: str, comment: str) -> None:
        """Approves or rejects a plan.

        Raises:
            PermissionError: this is not theirs to decide.
            ValueError: it was decided already.
        """
        if why := self.why_not(who, plan):
            raise PermissionError(why)
        states = ("proposed",) if act == "approve" else ("proposed", "approved")
        if plan.state not in states:
            wanted = "approved" if act == "approve" else "rejected"
            raise ValueError(f"the plan is {plan.state}; it cannot be {wanted} any more")
        plan.state = "approved" if act == "approve" else "rejected"
        plan.approved_by, plan.approved_ns = who.id, time.time_ns()
        plan.detail = comment
        await self._keep(plan, f"{plan.state} by {who.id}")

    async def done(self, who: Principal, plan: KeptPlan, number: int | None, comment: str) -> None:
        """Notes that a task was done.

        Raises:
            ValueError: there is no such open task, or the plan was not approved.
        """
        if plan.state not in ("approved", "executing", "applied"):
            raise ValueError(f"the plan is {plan.state}; its tasks are not to be done")
        at = next((i for i, s in enumerate(plan.steps) if s.number == number), None)
        if at is None or plan.steps[at].state != "open":
            raise ValueError(f"step {number} is no open task")
        now_ns = self._mirror.now_ns()
        about = plan.steps[at].about
        decision = self._mirror.guard.may(who, Action.ACKNOWLEDGE, about, "plan", now_ns)
        if not decision.allowed:
            raise PermissionError(decision.reason)
        said = f"by {who.id}" + (f": {comment}" if comment else "")
        plan.steps[at] = dataclasses.replace(plan.steps[at], state="done", detail=said[:500])
        await self._keep(plan, f"step {number} done by {who.id}")

    # --- executing ---

    async def execute(self, who: Principal, plan: KeptPlan) -> None:
        """Begins to execute an approved plan, and returns.

        Raises:
            PermissionError, ValueError: not theirs, not approved, or another is under way.
        """
        if why := self.why_not(who, plan):
            raise PermissionError(why)
        if plan.state != "approved":
            raise ValueError(f"the plan is {plan.state}; only an approved one is executed")
        if self._executing.locked():
            raise ValueError("another plan is under way; wait until it is over")
        plan.state = "executing"
        await self._keep(plan, f"executed by {who.id}")
        task = asyncio.create_task(self._carry_out(who, plan), name=f"plan {plan.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, who: Principal, plan: KeptPlan) -> None:
        async with self._executing:
            try:
                for at, step in enumerate(plan.steps):
                    if step.kind == "task":
                        continue
                    if not await self._carry(who, plan, at):
                        await self._roll_back(who, plan, at)
                        return
                n = sum(step.state == "open" for step in plan.steps)
                plan.state = "applied"
                plan.detail = f"{n} tasks for people are open" if n else ""
                await self._keep(plan, "applied")
            except OSError as error:
                log.error("plan %s: %s", plan.id, error)
            except Exception as error:
                log.exception("plan %s", plan.id)
                plan.state, plan.detail = "failed", f"{type(error).__name__}: {error}"
                with contextlib.suppress(OSError):
                    await self._keep(plan, "failed")

    async def _carry(self, who: Principal, plan: KeptPlan, at: int) -> bool:
        """Sends one step and waits for its end; whether its source has confirmed it."""
        step = plan.steps[at]
        before = self._known(step) if step.kind == "value" else None
        step = plan.steps[at] = dataclasses.replace(
            step, state="sent", before=before, command=f"{plan.id}-{step.number}"
        )
        await self._keep(plan, f"step {step.number}: {step.words}")
        command = Command(
            step.command, step.about,
            point=step.name if step.kind == "value" else "",
            operation=step.name if step.kind == "call" else "",
            value=step.after if step.kind == "value" else None,
            arguments=tuple(step.arguments.items()),
            reason=f"plan {plan.id} of {plan.branch_name}, step {step.number}",
            timeout_ms=int(plan.timeout_s * 1000),
        )  # fmt: skip
        ended = await self._to_its_end(who, command)
        plan.steps[at] = dataclasses.replace(
            step, state=ended.state.name.lower(), detail=ended.detail
        )
        await self._keep(plan, f"step {step.number} {ended.state.name.lower()}")
        return ended.state is CommandState.CONFIRMED

    async def _roll_back(self, who: Principal, plan: KeptPlan, failed: int) -> None:
        """Sets back what was confirmed before a step that was not, last first. That step too, if
        it may have reached the machine all the same."""
        cause = plan.steps[failed]
        was_sent = cause.state in ("failed", "expired")
        stuck = 0
        for at in range(failed if was_sent else failed - 1, -1, -1):
            step = plan.steps[at]
            if step.kind == "task" or (at != failed and step.state != "confirmed"):
                continue
            state, detail = await self._set_back(who, plan, step)
            stuck += state == "stuck"
            plan.steps[at] = dataclasses.replace(
                step, state=step.state if at == failed else state,
                detail=f"{step.detail}; {detail}" if at == failed else detail,
            )  # fmt: skip
            await self._keep(plan, f"step {step.number} {state}")
        plan.state = "failed" if stuck else "rolled back"
        plan.detail = f"step {cause.number} was {cause.state}: {cause.detail}"
        if stuck:
            plan.detail += f"; {stuck} of the steps before it could not be taken back"
        await self._keep(plan, plan.state)

    async def _set_back(
        self, who: Principal, plan: KeptPlan, step: PlanStep
    ) -> tuple[str, str]:  # fmt: skip
        """(rolled back or stuck, how) of a step that was confirmed."""
        if step.kind == "call":
            return "stuck", "a call cannot be taken back; look at the machine"
        if step.before is None:
            return "stuck", "it was not known what was there before"
        arm = self._mirror.world.structure.arms.get((step.about, step.name))
        if arm is not None and arm.min_interval_ms:
            await asyncio.sleep(arm.min_interval_ms / 1000)
        command = Command(
            f"{step.command}-back", step.about, step.name, value=step.before,
            reason=f"plan {plan.id} of {plan.branch_name}: step {step.number} set back",
            timeout_ms=int(plan.timeout_s * 1000),
        )  # fmt: skip
        ended = await self._to_its_end(who, command)
        if ended.state is CommandState.CONFIRMED:
            return "rolled back", f"set back to {shown(step.before)} {step.unit}".rstrip()
        return "stuck", f"setting it back was {ended.state.name.lower()}: {ended.detail}"

    async def _to_its_end(self, who: Principal, command: Command) -> Command:
        """Sends a command down the road, and waits until it has come to its end."""
        try:
            # Who approved the plan has seen each step: that is the second yes.
            now = await self._mirror.command(who, command, is_confirmed=True)
        except (ValueError, KeyError, PermissionError) as error:
            detail = str(error.args[0]) if error.args else str(error)
            return dataclasses.replace(command, state=CommandState.REFUSED, detail=detail)
        while not now.state.is_final:
            await asyncio.sleep(LOOK_S)
            now = self._mirror.world.commands.get(command.id, now)
        return now

    def _known(self, step: PlanStep) -> Any:
        """The good value of a step's point now; None if there is none."""
        world = self._mirror.world
        handle = world.structure.handle(step.about, step.name)
        one = world.read(np.array([handle], np.uint32))
        value = world.value(handle)
        is_good = one.changed[0] >= 0 and severity(int(one.quality[0])) == "good"
        return value if is_good and isinstance(value, Scalar) else None

    # --- keeping ---

    async def _keep(self, plan: KeptPlan, why: str) -> None:
        """On the disk first, then in the world's log for everybody to see."""
        data = msgspec.json.encode(plan)

        def keep() -> None:
            Files().make_directory(self._directory)
            kept.write(self._directory / f"{plan.id}.json", msgspec.Raw(data))

        await self._do(keep)
        sheet = Sheet(KIND, plan.id, data.decode())
        by = principal(f"plan {plan.id}", OWNER)
        await self._mirror.edit(by, Edits((PutSheet(sheet),), why[:500]))

    async def _do(self, work: Any) -> None:
        await asyncio.to_thread(work)

    def told(self, who: Principal, plan: KeptPlan) -> Plan:
        """A plan as somebody is told of it."""
        plain = {f.name: getattr(plan, f.name) for f in dataclasses.fields(plan)}
        plain.pop("timeout_s")
        may = not self.why_not(who, plan)
        return Plan(**plain, may_approve=may, needs_other=self.needs_other())


def read_rules(sheet: Sheet) -> bool:
    """Whether plans need somebody else's approval; ValueError where the sheet does not say."""
    try:
        said = json.loads(sheet.body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{sheet.kind} '{sheet.name}': is no JSON: {error}") from None
    if not isinstance(said, dict) or not isinstance(said.get("needs_other"), bool):
        raise ValueError(f"{sheet.kind} '{sheet.name}': give {{\"needs_other\": true}} or false")
    return said["needs_other"]


def _key(row: DiffRow) -> tuple[str, str, str]:
    return row.what, row.about, row.name
