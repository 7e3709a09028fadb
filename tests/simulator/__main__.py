"""python -m tests.simulator: one seed again, or as many as a time allows."""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from tests.simulator.trial import LawBroken, run


def main() -> int:
    """Runs trials until the time is over or a law is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one trial, as it was")
    parser.add_argument("--seconds", type=float, default=60.0, help="simulated, of each trial")
    parser.add_argument("--minutes", type=float, default=1.0, help="of wall time, without --seed")
    parser.add_argument("--from-seed", type=int, help="begin with this seed, then count on")
    told = parser.parse_args()
    first = told.seed if told.seed is not None else told.from_seed
    seed = secrets.randbelow(1 << 31) if first is None else first
    until_s = time.monotonic() + told.minutes * 60
    n = samples = lives = 0
    while True:
        try:
            trial = run(seed, seconds=told.seconds)
        except LawBroken as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
        n += 1
        lives += trial.lives
        samples += sum(len(b.point) for plant in trial.plants for b in plant.batches)
        if told.seed is not None:
            print(f"seed {seed}: all laws hold; {trial.lives} lives, story {trial.digest}")
            return 0
        print(
            f"\r{n} trials, {lives} lives, {samples} samples, last seed {seed}", end="", flush=True
        )
        if time.monotonic() > until_s:
            print("\nall laws hold")
            return 0
        seed += 1


if __name__ == "__main__":
    sys.exit(main())
