"""What a works loses against its data sheets, learnt from what another one published.

Planners add allowances to nominal times: for micro-stops, change of shift, repairs that
last longer. Here they are measured on pilot plants (`design.PILOT`, development seeds), by their
machine data alone, and written to `allowances.json`; each pilot gives one set, and their scatter
is what the forecast's intervals are made of. The plants of which figures are reported are others.

`python -m mirrorworld_worlds.factory.allowances` measures them anew.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from . import areas as equipment
from .areas import AREAS, OPEN_S, WEEK_S, Area
from .design import PILOT, Design
from .measured import STATE_TIMES
from .products import FAMILIES

FILE: Final = Path(__file__).with_name("allowances.json")
SEEDS: Final = tuple(range(9001, 9013))
"""Of the pilot plants. No figure is reported on them."""
WEEKS: Final = 12
RUN_IN_WEEKS: Final = 8
"""Left out: until then hands in a pilot have done about as many lots of a family as in a works of
its size after a week."""

Readings = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class OfArea:
    """Factors on the data sheet of one area."""

    pace: float = 1.0
    """On process times, micro-stops and wear included."""
    lost: float = 0.0
    """Hours in which hand work rests at a change of shift, for an hour of work."""
    between: float = 1.0
    repair: float = 1.0
    """On the time that a failure lasts, stops of the whole area included."""
    setup: float = 1.0
    care: float = 1.0
    rework: float = 1.0
    power: float = 1.0


Allowances = Mapping[str, OfArea]
"""Area → what to allow for."""

NONE: Final[Allowances] = {area.id: OfArea() for area in AREAS}
"""Data sheets as they are."""


def learnt(first: Readings, last: Readings, design: Design) -> dict[str, OfArea]:
    """Allowances from two readings of a plant's machine data, a whole number of weeks apart."""
    done = {f.id: last[f"orders/{f.id}/Done"] - first[f"orders/{f.id}/Done"] for f in FAMILIES}
    out: dict[str, OfArea] = {}
    for area in AREAS:
        sums = _sums(first, last, area.id, dict(design.machines)[area.id])
        out[area.id] = _of_area(area, sums, done, _failed(first, last, area, design))
    return out


_COUNTED: Final[tuple[str, ...]] = ("Lots", "Setups", "Failures", "Energy", *STATE_TIMES)


def _sums(first: Readings, last: Readings, area: str, machines: int) -> dict[str, float]:
    """Of all machines of an area: lots, set-ups, failures, hours by state, kilowatt-hours."""
    out: dict[str, float] = dict.fromkeys(_COUNTED, 0.0)
    for i in range(1, machines + 1):
        for name in _COUNTED:
            point = f"{area}/{area}-{i:02d}/{name}"
            out[name] += last[point] - first[point]
    out["hours"] = sum(out[name] for name in _COUNTED if name.endswith("Time"))
    return out


def _failed(first: Readings, last: Readings, area: Area, design: Design) -> float:
    """Lots that went to repair."""
    if not area.repair:
        return 0.0
    return _sums(first, last, area.repair, dict(design.machines)[area.repair])["Lots"]


def _of_area(
    area: Area, sums: Mapping[str, float], done: Mapping[str, float], failed: float
) -> OfArea:
    lots = sums["Lots"]
    if area.minutes:
        nominal_h = area.minutes / 60.0
    else:
        weights = {f: n for f, n in done.items() if area.id in _routes()[f]}
        total = sum(weights.values())
        mean = sum(n * _routes()[f][area.id] for f, n in weights.items()) / total
        nominal_h = mean / 60.0
    # An oven's time is of a batch, however full.
    jobs = sums["BusyTime"] / nominal_h if area.batch > 1 else lots
    open_share = 1.0 if area.is_always_open else OPEN_S / WEEK_S
    closed_h = sums["hours"] * (1.0 - open_share)
    plain_kwh = (
        sums["BusyTime"] * area.busy_w + sums["SetupTime"] * area.setup_w
        + (sums["DownTime"] + sums["CareTime"]) * area.down_w + sums["OffTime"] * area.off_w
        + (sums["StarvedTime"] + sums["BlockedTime"] + sums["WaitingTime"]) * area.idle_w
    ) / 1e3  # fmt: skip
    failures, setups = sums["Failures"], sums["Setups"]
    cares = lots / area.care_lots if area.care_lots else 0.0
    return OfArea(
        pace=sums["BusyTime"] / (jobs * nominal_h),
        lost=max(0.0, sums["OffTime"] - closed_h) / sums["BusyTime"] if area.skill else 0.0,
        between=sums["BusyTime"] / failures / area.mtbf_h if failures else 1.0,
        repair=60.0 * sums["DownTime"] / failures / area.mttr_min if failures else 1.0,
        setup=60.0 * sums["SetupTime"] / setups / area.setup_min if setups else 1.0,
        care=60.0 * sums["CareTime"] / cares / area.care_min if cares else 1.0,
        rework=failed / lots / area.rework if area.rework else 1.0,
        power=sums["Energy"] / plain_kwh,
    )


def _routes() -> dict[str, dict[str, float]]:
    return {family.id: dict(family.minutes) for family in FAMILIES}


# --- pilots ----------------------------------------------------------------------------------


def run_totals(design: str, seed: int, weeks: int) -> list[dict[str, float]]:
    """What the instruments of a plant say at the end of each week; its process lives no longer.

    Args:
        design: as the plant's `--design`.

    Raises:
        RuntimeError: the plant did not run.
    """
    command = [
        *(sys.executable, "-m", f"{__package__}.plant", "--totals", "--design", design),
        *("--seed", str(seed), "--weeks", str(weeks)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"plant with seed {seed}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(seeds: Sequence[int] = SEEDS) -> list[dict[str, OfArea]]:
    """One set of allowances for each pilot plant."""
    out = []
    for seed in seeds:
        told = run_totals("pilot", seed, WEEKS)
        out.append(learnt(told[RUN_IN_WEEKS - 1], told[-1], PILOT))
    return out


def read(path: Path = FILE) -> list[dict[str, OfArea]]:
    """The sets that were measured and written down."""
    told: dict[str, Any] = json.loads(path.read_text())
    return [
        {area: OfArea(**factors) for area, factors in one.items() if area in equipment.BY_ID}
        for one in told["pilots"]
    ]


def main() -> int:
    """Measures and writes the file."""
    sets = measure()
    pilots = [
        {area: {k: round(v, 5) for k, v in asdict(of).items()} for area, of in one.items()}
        for one in sets
    ]
    told = {"design": PILOT.name, "seeds": SEEDS, "weeks": [RUN_IN_WEEKS, WEEKS], "pilots": pilots}
    FILE.write_text(json.dumps(told, indent=1) + "\n")
    print(f"{FILE.name}: {len(sets)} pilots")
    return 0


if __name__ == "__main__":
    sys.exit(main())
