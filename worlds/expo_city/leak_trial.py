"""How well leaks are found: `python -m mirrorworld_worlds.expo_city.leak_trial`.

Plants with hidden parameters from seeds run fast; in each a leak begins at a drawn moment, or for
quiet weeks none does. Printed are the share found within 15 minutes, how far off, and how many
false alarms a quiet week has. What is learned from here must be tried on other seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .leak import Finder, Finding, Minute
from .mains import Network, plan
from .options import site_of
from .site import Site
from .water import Leak, Reading, Water, draw_leak

LEARN_H: Final = 26.0
"""Quiet hours before a leak may begin."""
FOUND_WITHIN_MIN: Final = 15


@dataclass(frozen=True, slots=True)
class Trial:
    """One leak."""

    seed: int
    size_l_s: float
    hour: float
    after_min: int
    """Minutes from its beginning to the alarm; -1: none within an hour."""
    is_zone: bool
    """Whether the likeliest neighbourhood at the alarm, or 15 minutes after the beginning at
    the latest, was the right one."""
    is_near: bool
    """Whether the right one was among the two likeliest."""
    away_m: float
    false_before: int


def minute_of(readings: Sequence[Reading]) -> Minute:
    """The means over the readings of one minute."""
    last = readings[-1]

    def mean(name: str) -> Any:
        return np.mean([getattr(r, name) for r in readings], axis=0)

    return Minute(
        mean("pressure_m"), mean("flow_l_s"), float(mean("pump_l_s")), last.pump_speed,
        float(mean("tank_level_m")), float(mean("tank_l_s")), mean("irrigation_l_s"),
        mean("building_m3_h"),
    )  # fmt: skip


class Run:
    """A plant and a finder, taken on minute by minute."""

    def __init__(self, site: Site, network: Network, seed: int, start_h: float) -> None:
        self.at_s = start_h * 3600.0
        self.water = Water(site, network, seed, self.at_s)
        self.finder = Finder(network)

    def minute(self) -> Finding:
        """Takes both on by a minute: one step of the plant, read six times."""
        self.at_s += 60.0
        self.water.advance(self.at_s, 60.0)
        self.water.control()
        readings = [self.water.read() for _ in range(6)]
        return self.finder.see(minute_of(readings))

    def close(self) -> None:
        self.water.close()
        self.finder.close()


def try_leak(site: Site, network: Network, seed: int) -> Trial:
    """A leak that begins some time in the third day."""
    rng = np.random.default_rng([seed, 78])
    begins_s = 2 * 86_400.0 + float(rng.uniform(0.0, 24.0)) * 3600.0
    run = Run(site, network, seed, begins_s / 3600.0 - LEARN_H)
    leak: Leak = draw_leak(network, seed, begins_s)
    run.water.leaks.append(leak)
    false, was_alarm = 0, False
    while run.at_s < begins_s:
        found = run.minute()
        false += found.is_alarm and not was_alarm
        was_alarm = found.is_alarm
    after, at_alarm, at_end = -1, None, None
    for minute in range(1, 61):
        found = run.minute()
        if found.is_alarm and after < 0:
            after, at_alarm = minute, found
        if minute == FOUND_WITHIN_MIN:
            at_end = found
            if after >= 0:
                break
    run.close()
    assert at_end is not None
    judged = at_end if at_end.pipe >= 0 else at_alarm
    zone = network.pipes[leak.pipe].zone
    is_zone = is_near = False
    away = float("nan")
    if judged is not None and judged.pipe >= 0 and judged.loss > 0.5:
        order = np.argsort(-judged.zone)
        is_zone, is_near = int(order[0]) == zone, zone in order[:2].tolist()
        a, b = network.middle(judged.pipe), network.middle(leak.pipe)
        away = float(np.hypot(a[0] - b[0], a[1] - b[1]))
    size = leak.emitter * 45.0**0.5
    return Trial(
        seed, round(size, 2), round(begins_s / 3600 % 24, 1), after, is_zone, is_near,
        round(away, 1), int(false),
    )  # fmt: skip


def quiet_week(site: Site, network: Network, seed: int, days: float = 7.0) -> int:
    """False alarms of a quiet week, after a day of learning."""
    run = Run(site, network, seed, 8.0)
    false, was_alarm = 0, False
    for minute in range(int((days + 1.0) * 1440)):
        found = run.minute()
        if minute > 1440:
            false += found.is_alarm and not was_alarm
        was_alarm = found.is_alarm
    run.close()
    return int(false)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs trials and prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaks", type=int, default=20)
    parser.add_argument("--weeks", type=int, default=2)
    parser.add_argument("--days", type=float, default=7.0, help="of a quiet week")
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--buildings", type=int, default=131)
    options = parser.parse_args(arguments)
    site = site_of(options.buildings, options.buildings * 1_600)
    network = plan(site)
    began, trials = time.process_time(), []
    for i in range(options.leaks):
        trials.append(try_leak(site, network, options.first_seed + i))
        print(trials[-1], file=sys.stderr, flush=True)
    weeks = []
    for i in range(options.weeks):
        seed = options.first_seed + 500 + i
        weeks.append(quiet_week(site, network, seed, options.days))
        print(f"quiet week {i}: {weeks[-1]} false alarms", file=sys.stderr, flush=True)
    found = [t for t in trials if 0 <= t.after_min <= FOUND_WITHIN_MIN]
    said = {
        "leaks": len(trials),
        "found_within_15_min": len(found),
        "right_neighbourhood": sum(t.is_zone for t in found),
        "right_among_two": sum(t.is_near for t in found),
        "minutes_median": float(np.median([t.after_min for t in found])) if found else None,
        "away_m_median": float(np.nanmedian([t.away_m for t in found])) if found else None,
        "false_before_leaks": sum(t.false_before for t in trials),
        "quiet_weeks": len(weeks),
        "quiet_days_each": options.days,
        "false_alarms_per_week": (
            round(sum(weeks) * 7.0 / options.days / len(weeks), 2) if weeks else None
        ),
        "seeds_from": options.first_seed,
        "cpu_s": round(time.process_time() - began, 1),
    }
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
