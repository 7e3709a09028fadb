"""Branches as objects: changed, run, evaluated, compared, planned; wherever the world is."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from mirrorworld.client.access import Access
from mirrorworld.client.errors import ClientError, InvalidError
from mirrorworld.client.times import Time, nanoseconds
from mirrorworld.client.values import Values
from mirrorworld.protocol import branches as shapes
from mirrorworld.protocol import rest
from mirrorworld.protocol.rest import Problem
from mirrorworld.world.changes import Edit
from mirrorworld.world.plain import to_plain

T = TypeVar("T")
Duration = float | datetime.timedelta | None
"""Seconds, or a timedelta."""
LOOK_S: Final = 0.1


def make(
    access: Access, name: str, at: Time, parent: Branch | str, shared: bool, note: str
) -> Branch:
    """A new branch of a world; see `World.branch`."""
    if isinstance(at, str) and at.replace(":", "", 1).isdigit() and ":" in at:
        said = at
    else:
        said = "" if at is None else str(nanoseconds(at))
    parent_id = parent.id if isinstance(parent, Branch) else parent
    asked = shapes.BranchRequest(name, parent_id, said, shared, note)
    return Branch(access, _ask(access, shapes.Branch, "POST", "branches", asked))


def all_of(access: Access) -> list[Branch]:
    """The branches that one may see, latest first."""
    page = _ask(access, shapes.BranchesPage, "GET", "branches")
    return [Branch(access, about) for about in page.branches]


def import_(access: Access, path: Path) -> Branch:
    """A branch from a file."""
    headers = {"Content-Type": "application/octet-stream"}
    answer = access.ask("POST", "/api/branches/import", content=path.read_bytes(), headers=headers)
    return Branch(access, msgspec.json.decode(answer, type=shapes.Branch))


def compare(access: Access, branches: Iterable[Branch | str], evaluator: str) -> shapes.Comparison:
    """Branches beside each other; the first is what the others are compared with."""
    ids = [b.id if isinstance(b, Branch) else b for b in branches]
    params = {"branch": ids, "evaluator": evaluator}
    return _ask(access, shapes.Comparison, "GET", "branches/compare", params=params)


def plans(access: Access) -> list[Plan]:
    """The plans of a world, latest first."""
    return [Plan(access, p) for p in _ask(access, shapes.PlansPage, "GET", "plans").plans]


class Branch:
    """Another future of a world. What it says of itself is asked each time."""

    def __init__(self, access: Access, about: shapes.Branch) -> None:
        self._access = access
        self.id: str = about.id
        self.last_name: str = about.name
        """What it was called when it was last looked up."""

    @property
    def about(self) -> shapes.Branch:
        """The branch and how it stands, now."""
        return self._ask(shapes.Branch, "GET", "")

    @property
    def name(self) -> str:
        """What it is called."""
        return self.about.name

    @property
    def run_state(self) -> shapes.RunState:
        """How its run stands."""
        return self.about.run

    @property
    def parameters(self) -> dict[str, Any]:
        """Its scenario parameters."""
        return self.about.parameters

    # --- changing ---

    def put(self, values: Mapping[str, Any], *, unit: str = "", reason: str = "") -> str:
        """Assumes values: `twin.point` -> value, in `unit` or each point's own."""
        assumed = [shapes.AssumedValue(point, value, unit) for point, value in values.items()]
        asked = shapes.AssumeRequest(values=assumed, reason=reason)
        return self._ask(rest.Edited, "POST", "/values", asked).position

    def set(self, *, reason: str = "", **parameters: Any) -> str:
        """Sets scenario parameters, such as `demand_per_h=14000`; None takes one away."""
        asked = shapes.AssumeRequest(parameters=parameters, reason=reason)
        return self._ask(rest.Edited, "POST", "/values", asked).position

    def edit(self, *edits: Edit, reason: str = "") -> str:
        """Makes edits of structure in it, together or not at all."""
        body = {"edits": [to_plain(edit, tagged=True) for edit in edits], "reason": reason}
        return self._ask(rest.Edited, "POST", "/edits", body).position

    def undo(self, position: str | None = None) -> str:
        """Takes the latest change back, or that at a position."""
        params = {} if position is None else {"position": position}
        return self._ask(rest.Edited, "POST", "/undo", params=params).position

    def changes(self) -> list[shapes.BranchChange]:
        """What people changed in it, in order."""
        return self._ask(shapes.BranchChanges, "GET", "/changes").changes

    def rename(self, name: str) -> None:
        """Calls it otherwise."""
        self._ask(shapes.Branch, "PUT", "", shapes.BranchPatch(name=name))

    def share(self, is_shared: bool = True) -> None:
        """Lets others see it, or (False) only its author."""
        self._ask(shapes.Branch, "PUT", "", shapes.BranchPatch(is_shared=is_shared))

    def attach(self, model: str, **options: Any) -> None:
        """Adds a model that it is run with; one of that name gets other options."""
        others = [m for m in self.about.models if m.name != model]
        models = [*others, shapes.AttachedModel(model, options)]
        self._ask(shapes.Branch, "PUT", "", shapes.BranchPatch(models=models))

    def detach(self, model: str) -> None:
        """Takes a model away."""
        models = [m for m in self.about.models if m.name != model]
        self._ask(shapes.Branch, "PUT", "", shapes.BranchPatch(models=models))

    # --- looking ---

    def read(self, points: str | Sequence[str]) -> Values:
        """Latest values in it."""
        ids = [points] if isinstance(points, str) else list(points)
        return Values(self._ask(rest.PointsPage, "GET", "/world/points", params={"id": ids}).points)

    def history(
        self, points: str | Sequence[str], start: Time = 0, end: Time = None
    ) -> list[rest.PointSeries]:
        """Samples with start <= source time < end: its parent's until the fork, then its own."""
        ids = [points] if isinstance(points, str) else list(points)
        params: dict[str, Any] = {"point": ids, "start": str(nanoseconds(start))}
        if end is not None:
            params["end"] = str(nanoseconds(end))
        return self._ask(rest.History, "GET", "/world/history", params=params).series

    def diff(self, against: Branch | str = "fork") -> list[shapes.DiffRow]:
        """What differs from where it was forked, from `live`, or from another branch."""
        other = against.id if isinstance(against, Branch) else against
        return self._ask(shapes.BranchDiff, "GET", "/diff", params={"against": other}).rows

    # --- running ---

    def run(
        self,
        duration: Duration = None,
        *,
        speed: float = 0.0,
        step: Duration = 1.0,
        paused: bool = False,
        time_limit_s: float = 600.0,
        wait: bool = True,
    ) -> shapes.RunState:
        """Runs it with its models from where its clock stands.

        Args:
            duration: by its own clock; None: until it is stopped (then it is not waited for).
            speed: seconds of its clock for each of ours; 0: as fast as it goes.
            wait: return only when it has ended or is paused.

        Raises:
            ClientError: it failed; the message names the model and why.
        """
        asked = shapes.RunRequest(
            duration_s=_seconds(duration),
            speed=speed,
            step_s=_seconds(step) or 1.0,
            is_paused=paused,
            time_limit_s=time_limit_s,
        )
        state = self._ask(shapes.RunState, "POST", "/run", asked)
        return self.wait() if wait and (duration is not None or paused) else state

    def wait(self, timeout_s: float | None = None) -> shapes.RunState:
        """Waits until its run has ended or is paused; ClientError if it failed."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while (state := self.run_state).state in ("starting", "running"):
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"{self.last_name} is still {state.state}")
            time.sleep(LOOK_S)
        if state.state == "failed":
            raise ClientError(Problem(state.detail, self.last_name))
        return state

    def pause(self) -> shapes.RunState:
        """Pauses its run."""
        self._control(shapes.ControlRequest("pause"))
        return self.wait(30)

    def resume(self) -> shapes.RunState:
        """Lets it run on."""
        return self._control(shapes.ControlRequest("resume"))

    def step(self, duration: Duration = None) -> shapes.RunState:
        """Runs a while of its clock, or (None) to the next change; then it is paused again."""
        return self._control(shapes.ControlRequest("step", _seconds(duration)))

    def stop(self) -> shapes.RunState:
        """Ends its run; what it has made stays."""
        return self._control(shapes.ControlRequest("stop"))

    def _control(self, asked: shapes.ControlRequest) -> shapes.RunState:
        return self._ask(shapes.RunState, "POST", "/control", asked)

    # --- figures ---

    def evaluate(
        self,
        evaluator: str,
        *,
        replications: int = 30,
        seed: int = 1,
        time_limit_s: float = 600.0,
        wait: bool = True,
        options: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> shapes.Evaluation:
        """Figures of it as it is now, over replications.

        Args:
            seed: branches that were evaluated with the same one are compared in pairs.
            options: of the evaluator; they may be given by name too.

        Raises:
            ClientError: it failed; what was found before is kept, see `evaluations`.
        """
        chosen = {**(options or {}), **more}
        asked = shapes.EvaluationRequest(evaluator, chosen, replications, seed, time_limit_s)
        found = self._ask(shapes.Evaluation, "POST", "/evaluations", asked)
        while wait and found.state in ("waiting", "running"):
            time.sleep(LOOK_S)
            found = self._ask(shapes.Evaluation, "GET", f"/evaluations/{found.id}")
        if found.state == "failed":
            raise ClientError(Problem(found.detail, self.last_name))
        return found

    def evaluations(self) -> list[shapes.Evaluation]:
        """Those that were asked for, latest first."""
        return self._ask(shapes.EvaluationsPage, "GET", "/evaluations").evaluations

    def compare(self, *others: Branch | str, evaluator: str = "") -> shapes.Comparison:
        """It beside others, by the latest evaluation of each; differences are from it."""
        return compare(self._access, (self, *others), evaluator)

    # --- what becomes of it ---

    def plan(
        self, reason: str = "", *, calls: Sequence[shapes.PlannedCall] = (), timeout_s: float = 30.0
    ) -> Plan:
        """What people changed in it, as desired values and tasks, for somebody to approve."""
        asked = shapes.PlanRequest(reason, list(calls), timeout_s)
        return Plan(self._access, self._ask(shapes.Plan, "POST", "/plans", asked))

    def export(self, path: str | Path) -> Path:
        """Writes it to one file."""
        target = Path(path)
        target.write_bytes(self._access.ask("GET", f"/api/branches/{self.id}/export"))
        return target

    def discard(self) -> None:
        """Ends it; its parent stays as it is."""
        self._access.ask("DELETE", f"/api/branches/{self.id}")

    def _ask(self, shape: type[T], method: str, path: str, body: Any = None, **more: Any) -> T:
        return _ask(self._access, shape, method, f"branches/{self.id}{path}", body, **more)

    def __repr__(self) -> str:
        return f"<branch {self.id} '{self.last_name}'>"


class Plan:
    """What differs in a branch, as steps in the real world."""

    def __init__(self, access: Access, about: shapes.Plan) -> None:
        self._access = access
        self.about = about
        """As it was last heard of."""

    @property
    def id(self) -> str:
        """By which it is found again."""
        return self.about.id

    @property
    def state(self) -> str:
        """As last heard: proposed, approved, executing, applied, rolled back, failed, rejected."""
        return self.about.state

    def __iter__(self) -> Iterator[shapes.PlanStep]:
        """Its steps."""
        return iter(self.about.steps)

    def refresh(self) -> Plan:
        """Hears of it again."""
        self.about = _ask(self._access, shapes.Plan, "GET", f"plans/{self.id}")
        return self

    def approve(self, comment: str = "") -> Plan:
        """Says yes to it."""
        return self._act(shapes.PlanAct("approve", comment=comment))

    def reject(self, comment: str = "") -> Plan:
        """Says no to it."""
        return self._act(shapes.PlanAct("reject", comment=comment))

    def done(self, step: int, comment: str = "") -> Plan:
        """Says that a task of it was done."""
        return self._act(shapes.PlanAct("done", step, comment))

    def execute(self, *, wait: bool = True) -> Plan:
        """Makes it so, step by step.

        Raises:
            ClientError: it was rolled back or failed; the message says at which step and why.
        """
        self._act(shapes.PlanAct("execute"))
        while wait and self.state == "executing":
            time.sleep(LOOK_S)
            self.refresh()
        if wait and self.state != "applied":
            raise ClientError(Problem(f"{self.state}: {self.about.detail}", self.about.branch_name))
        return self

    def _act(self, asked: shapes.PlanAct) -> Plan:
        self.about = _ask(self._access, shapes.Plan, "POST", f"plans/{self.id}", asked)
        return self


def _ask(
    access: Access, shape: type[T], method: str, path: str, body: Any = None, **more: Any
) -> T:
    if body is not None:
        more["content"] = msgspec.json.encode(body)
        more["headers"] = {"Content-Type": "application/json"}
    return msgspec.json.decode(access.ask(method, f"/api/{path}", **more), type=shape)


def _seconds(duration: Duration) -> float | None:
    if duration is None:
        return None
    if isinstance(duration, datetime.timedelta):
        return duration.total_seconds()
    if isinstance(duration, bool) or not isinstance(duration, int | float):
        raise InvalidError(Problem(f"{duration!r} is no duration", "", "give seconds"))
    return float(duration)
