"""Branches over REST: other futures of a world, their runs, figures and plans.

Everything that a world answers by `GET /api/...` a branch answers by
`GET /api/branches/{id}/world/...`, and `/api/branches/{id}/stream` speaks as `/api/stream` does.
Times that end in `_ns` are UTC nanoseconds since 1970; those of a branch are by its own clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class OptionRow:
    """One option of a model or an evaluator."""

    name: str
    description: str
    default: str | float | int | bool | None = None
    unit: str = ""
    """UCUM."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model that a branch may run with, or an evaluator that may be asked of it."""

    name: str
    description: str
    options: list[OptionRow]


@dataclass(frozen=True, slots=True)
class AttachedModel:
    """A model of a branch, with the options that it is run with."""

    name: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class RunState:
    """How the run of a branch stands."""

    state: str
    """idle (never ran, or was stopped), starting, running, paused, ended or failed."""
    now_ns: int
    """The branch's own clock."""
    until_ns: int | None = None
    speed: float = 0.0
    """Seconds of the branch's clock for each of ours; 0: as fast as it goes."""
    detail: str = ""
    """Why it failed, which model and where; or what it waits for."""
    changes: int = 0
    """How many the models have made so far."""
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch and how it stands."""

    id: str
    name: str
    author: str
    parent: str
    """Id of the branch that it was made from; empty: the live world."""
    at: str
    """The fork's position in the parent, `epoch:sequence`."""
    at_ns: int
    """The time of the fork; there the branch's clock begins."""
    made_ns: int
    is_shared: bool
    """Whether others see it; else only its author does."""
    may_change: bool
    """Whether you may change, run, rename, share and discard it."""
    note: str
    position: str
    """Where the branch's own log stands."""
    changes: int
    """How many changes people have made in it."""
    points: int
    parameters: dict[str, Any]
    """Scenario parameters that its models and evaluators read, such as demand."""
    models: list[AttachedModel]
    run: RunState
    evaluations: int
    size_bytes: int
    """On disk."""
    problem: str = ""
    """Why it cannot be opened, if it cannot."""


@dataclass(frozen=True, slots=True)
class BranchesPage:
    """The branches that you may see, latest first, and what they may be run with."""

    branches: list[Branch]
    models: list[ModelRow]
    evaluators: list[ModelRow]
    branches_max: int


@dataclass(frozen=True, slots=True)
class BranchRequest:
    """A new branch."""

    name: str
    parent: str = ""
    """Id of a branch; empty: the live world."""
    at: str = ""
    """From where: a position `1:4711` as it was known then, or an ISO 8601 time as it is known
    now; empty: from now."""
    is_shared: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class BranchPatch:
    """What is to be otherwise about a branch; null: as it is."""

    name: str | None = None
    is_shared: bool | None = None
    note: str | None = None
    models: list[AttachedModel] | None = None


@dataclass(frozen=True, slots=True)
class AssumedValue:
    """A value that is taken for given in a branch."""

    point: str
    """`twin.point`."""
    value: Any
    unit: str = ""
    """UCUM; empty: the point's own."""


@dataclass(frozen=True, slots=True)
class AssumeRequest:
    """Values and scenario parameters that hold in a branch from now on."""

    values: list[AssumedValue] = field(default_factory=list[AssumedValue])
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    """By name; null takes one away."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BranchChange:
    """One change that a person made in a branch."""

    position: str
    """By it the change is taken back."""
    by: str
    made_ns: int
    reason: str
    words: list[str]
    """What it changed, a line for each thing."""
    is_undone: bool


@dataclass(frozen=True, slots=True)
class BranchChanges:
    """The changes that people made in a branch, in order."""

    changes: list[BranchChange]


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One thing that differs."""

    what: str
    """twin, type, name, place, look, type of, property, point, relation, arm, sheet, parameter or
    value."""
    about: str
    """The twin, or what else it is about; empty: the world."""
    name: str
    """Of the property, point, sheet or parameter."""
    before: str
    """In what it is compared with; empty: not there."""
    after: str
    unit: str = ""
    origin: str = ""
    """Of a value: authored (a person assumed it) or simulated."""


@dataclass(frozen=True, slots=True)
class BranchDiff:
    """What differs in a branch from another, or from where it was forked."""

    branch: str
    against: str
    """Id of the other branch, `fork` (the parent as it was) or `live`."""
    total: int
    rows: list[DiffRow]
    """The first of them: what people changed, then values."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """How a branch is to be run from where its clock stands."""

    duration_s: float | None = None
    """By the branch's clock; null: until it is stopped."""
    speed: float = 0.0
    """Seconds of the branch's clock for each of ours; 0: as fast as it goes."""
    step_s: float = 1.0
    """By how much models are stepped."""
    is_paused: bool = False
    """Start it paused, to be stepped."""
    seed: int = 1
    """Of the models that draw by chance: the same run again, or another."""
    time_limit_s: float = 600.0
    """Of ours; then it is stopped, and what was obtained is kept."""


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """What a run is to do."""

    act: str
    """pause, resume, step, speed or stop."""
    duration_s: float | None = None
    """Of a step; null: to the next change."""
    speed: float | None = None


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """Figures to be found for a branch."""

    evaluator: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    replications: int = 30
    seed: int = 1
    """Branches evaluated with the same seed are compared in pairs."""
    time_limit_s: float = 600.0


@dataclass(frozen=True, slots=True)
class KpiRow:
    """One figure of an evaluation over its replications."""

    name: str
    unit: str
    """UCUM."""
    better: str
    """higher or lower."""
    n: int
    mean: float | None
    low: float | None
    """Of the 95 % interval of the mean (Student's t); null: fewer than two replications."""
    high: float | None
    values: list[float | None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation of a branch and how far it is."""

    id: str
    branch: str
    evaluator: str
    options: dict[str, Any]
    replications: int
    seed: int
    state: str
    """waiting, running, done, cancelled or failed. What was found before it ended is kept."""
    progress: float
    """0 to 1."""
    detail: str
    by: str
    made_ns: int
    position: str
    """Of the branch when it was asked for."""
    is_current: bool
    """Whether the branch is still as it was then."""
    kpis: list[KpiRow]


@dataclass(frozen=True, slots=True)
class EvaluationsPage:
    """The evaluations of a branch, latest first."""

    evaluations: list[Evaluation]


@dataclass(frozen=True, slots=True)
class ComparedCell:
    """One branch's figure beside the baseline's."""

    branch: str
    evaluation: str
    n: int
    mean: float | None
    low: float | None
    high: float | None
    difference: float | None
    """From the baseline; null for the baseline itself."""
    difference_low: float | None
    difference_high: float | None
    is_paired: bool
    """Same seed and as many replications: differences are taken one by one."""
    probability_better: float | None
    """That its mean is better than the baseline's, after what was sampled."""


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One figure over all branches compared."""

    name: str
    unit: str
    better: str
    cells: list[ComparedCell]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Branches beside each other by the latest evaluations of them."""

    baseline: str
    evaluator: str
    branches: list[str]
    rows: list[ComparedRow]
    missing: list[str]
    """Branches without such an evaluation."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """An operation that a plan is to call, after its values are set."""

    twin: str
    operation: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Make a plan of what differs in a branch."""

    reason: str = ""
    calls: list[PlannedCall] = field(default_factory=list[PlannedCall])
    timeout_s: float = 30.0
    """How long each step may take to be confirmed by its source."""


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of a plan: a desired value or a call that the machine carries out, or a task."""

    number: int
    kind: str
    """value (desired, of a writable and armed point), call (of an armed operation) or task."""
    about: str
    """The twin; empty: the world."""
    name: str
    """Of the point or operation; of a task, of what is to be changed."""
    words: str
    before: Any
    after: Any
    unit: str
    state: str
    """waiting, sent, confirmed, refused, failed, expired, rolled back, stuck (was confirmed and
    could not be taken back), open or done (tasks)."""
    detail: str
    command: str = ""
    """Id of the command; `/api/commands/{id}` tells of it."""
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Plan:
    """The differences of a branch as steps in the real world."""

    id: str
    branch: str
    branch_name: str
    author: str
    reason: str
    made_ns: int
    state: str
    """proposed, approved, executing, applied, rolled back, failed, or rejected."""
    approved_by: str
    approved_ns: int
    detail: str
    steps: list[PlanStep]
    may_approve: bool
    needs_other: bool
    """Whether somebody else than the author has to approve it."""


@dataclass(frozen=True, slots=True)
class PlansPage:
    """Plans, latest first."""

    plans: list[Plan]


@dataclass(frozen=True, slots=True)
class PlanAct:
    """What is to become of a plan."""

    act: str
    """approve, reject, execute or done (a task)."""
    step: int | None = None
    """Number of the task that is done."""
    comment: str = ""
