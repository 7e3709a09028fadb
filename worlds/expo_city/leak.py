"""Where water is lost: from pressures and flows, a probability for each neighbourhood.

The finder has an EPANET model of the network as designed. Each minute it compares what gauges and
meters say with what the model says for the metered draws; of that difference, what is slow is the
model's own error (roughness, offsets, draws that nobody meters) and is taken off, what came in the
last minutes is compared with what a loss in each pipe would make. With Gaussian errors and a
half-Gaussian size q ~ |N(0, s²)|, the evidence for a loss at j against none is

    B_j = 2 Φ(q̂ √p) (1 + s² h)^-½ exp(g² / 2p),   g = a_jᵀ Σ⁻¹ z,  h = a_jᵀ Σ⁻¹ a_j,  p = h + s⁻²

(a_j: sensitivities, z: the new difference, Σ: its covariance in quiet times, learned as it goes).

`python -m mirrorworld_worlds.expo_city.leak` runs it as a process: a line of JSON for each minute
in, one with probabilities out.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .mains import Hydraulics, Network, plan
from .options import site_of
from .site import N_QUARTERS

Floats = NDArray[np.float64]

WINDOW_MIN: Final = 8
"""Minutes that are looked at for something new."""
WINDOW_SURE_MIN: Final = 30
"""At most, while an alarm holds."""
GAP_MIN: Final = 6
"""Minutes between them and the reference, so that a beginning is not in both."""
REFERENCE_MIN: Final = 60
SIZE_L_S: Final = 4.0
"""Scale s of the prior of the size of a loss."""
PRIOR: Final = 1e-6
"""That a loss has begun within the window."""
TEMPER: Final = 0.4
"""The exponent of the evidence: minutes are not independent and errors not quite Gaussian."""
LEARN_MIN: Final = 180
"""In its first hours a finder only learns what is usual, and says nothing."""
ALARM: Final = 0.97
CONFIRM_MIN: Final = 4
SCALES: Final = (0.1, 0.3, 0.6, 1.0, 1.5)
"""Shares of the draws by day at which sensitivities are worked out."""
PROBE_L_S: Final = 2.5
FORGET_MIN: Final = 2 * 1440.0
UNSURE: Final = 4.0
"""How little is known at first of what irrigation does, against the noise of a minute."""
EVENNESS: Final = 1.0
"""How evenly a quarter's irrigation is taken to be spread over its mains: the parameter of a
Dirichlet distribution, of which the drawings give the mean alone."""


@dataclass(frozen=True, slots=True)
class Minute:
    """What is known of a minute: means over it, in the units of `water.Reading`."""

    pressure_m: Floats
    flow_l_s: Floats
    pump_l_s: float
    pump_speed: float
    tank_level_m: float
    tank_l_s: float
    irrigation_l_s: Floats
    building_m3_h: Floats
    shut: tuple[int, ...] = ()
    """Pipes whose valve is shut."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the finder thinks after a minute."""

    zone: Floats
    """Probability that the loss is in each neighbourhood; adds up to `loss`."""
    loss: float
    """Probability that something is lost."""
    size_l_s: float
    pipe: int
    """The likeliest."""
    is_alarm: bool


class Finder:
    """Thinks over one network. `see` is called once a minute of the plant."""

    def __init__(self, network: Network) -> None:
        self._network, self._model = network, Hydraulics(network)
        self._n = len(network.gauges) + len(network.meters) + 1
        self._prior = np.array([p.length_m for p in network.pipes])
        self._prior = self._prior / self._prior.sum() * PRIOR
        self._zone_of = np.array([p.zone for p in network.pipes])
        self._recent: deque[Floats] = deque(maxlen=WINDOW_MIN + GAP_MIN + REFERENCE_MIN)
        gauges, meters = len(network.gauges), len(network.meters)
        floor = np.concatenate([np.full(gauges, 0.02), np.full(meters, 0.04), [0.08]])
        self._floor = np.diag(floor**2)
        start = np.concatenate([np.full(gauges, 0.05), np.full(meters, 0.12), [0.25]])
        self._covariance = np.diag(start**2)
        self._irrigated: deque[Floats] = deque(maxlen=self._recent.maxlen)
        self._held_irrigation = np.zeros(N_QUARTERS)
        self._weight = 240.0
        # Recursive least squares of the model's own error on how much is drawn, and on where it
        # is irrigated.
        self._regression = np.zeros((3 + N_QUARTERS, self._n))
        self._spread = np.diag([100.0] * 3 + [UNSURE] * N_QUARTERS)
        self._held: Floats | None = None
        self._since_alarm = 0
        self._suspect = 0
        self._minutes = 0
        self._tables = self._work_out()

    def close(self) -> None:
        """Lets go of EPANET."""
        self._model.close()

    # --- sensitivities ---

    def _work_out(self) -> list[tuple[float, Floats]]:
        """(total draw, change of what is measured per L/s lost, shape (pipes, n)) by scale."""
        network = self._network
        share = np.bincount(network.building_junction, minlength=len(network.junctions))
        tables: list[tuple[float, Floats]] = []
        for scale in SCALES:
            demand = share / max(1, share.sum()) * 0.5 * len(network.building_junction) * scale
            before = self._predict(demand, 4.0, 1.0)
            rows = []
            for pipe in range(len(network.pipes)):
                loss = np.zeros(len(network.pipes))
                loss[pipe] = PROBE_L_S
                rows.append((self._predict(demand, 4.0, 1.0, loss) - before) / PROBE_L_S)
            tables.append((float(demand.sum()), np.array(rows)))
        return tables

    def _predict(
        self, demand: Floats, level_m: float, speed: float, loss: Floats | None = None,
        shut: Sequence[int] = (),
    ) -> Floats:  # fmt: skip
        flows = self._model.solve(demand, level_m, pump_speed=speed, loss_l_s=loss, shut=shut)
        network = self._network
        return np.concatenate(
            [
                flows.pressure_m[network.gauges],
                flows.flow_l_s[network.meters],
                [flows.pump_l_s - flows.tank_l_s],
            ]
        )

    def _sensitivity(self, total_l_s: float) -> Floats:
        totals = [total for total, _ in self._tables]
        at = float(np.clip(np.interp(total_l_s, totals, range(len(totals))), 0, len(totals) - 1))
        low = min(int(at), len(totals) - 2)
        part = at - low
        return self._tables[low][1] * (1 - part) + self._tables[low + 1][1] * part

    # --- a minute ---

    def see(self, minute: Minute) -> Finding:
        """Takes a minute in."""
        network = self._network
        n = len(network.junctions)
        demand = np.bincount(network.building_junction, minute.building_m3_h / 3.6, n)
        zone = np.array([j.zone // 2 for j in network.junctions])
        each = np.bincount(zone, minlength=N_QUARTERS)
        demand = demand + (minute.irrigation_l_s / np.maximum(each, 1))[zone]
        measured = np.concatenate(
            [minute.pressure_m, minute.flow_l_s, [minute.pump_l_s - minute.tank_l_s]]
        )
        model = self._predict(demand, minute.tank_level_m, minute.pump_speed, shut=minute.shut)
        total = float(demand.sum())
        load = total / 50.0
        features = np.concatenate([[1.0, load, load**2], minute.irrigation_l_s])
        difference = measured - model - features @ self._regression
        self._recent.append(difference)
        self._irrigated.append(minute.irrigation_l_s)
        self._minutes += 1
        finding = self._judge(total)
        if not finding.is_alarm and finding.loss < 0.5:
            self._learn(features, difference)
        return finding

    def _learn(self, features: Floats, difference: Floats) -> None:
        forget = 1.0 - 1.0 / FORGET_MIN
        gain = self._spread @ features / (forget + features @ self._spread @ features)
        self._regression += np.outer(gain, difference)
        self._spread = (self._spread - np.outer(gain, features @ self._spread)) / forget

    def _judge(self, total: float) -> Finding:
        n_zones = len(self._network.zones)
        quiet = Finding(np.zeros(n_zones), 0.0, 0.0, -1, False)
        if len(self._recent) < WINDOW_MIN + GAP_MIN + 15:
            return quiet
        rows = np.array(self._recent)
        watered = np.array(self._irrigated)
        if self._held is None:
            reference = rows[: -(WINDOW_MIN + GAP_MIN)].mean(axis=0)
            watered_before = watered[: -(WINDOW_MIN + GAP_MIN)].mean(axis=0)
        else:
            reference, watered_before = self._held, self._held_irrigation
        # Once it is sure that something is lost, every minute since says more of where.
        window = WINDOW_MIN
        if self._held is not None:
            window = min(max(WINDOW_MIN, self._since_alarm + CONFIRM_MIN), WINDOW_SURE_MIN)
        new = rows[-window:].mean(axis=0) - reference
        if self._minutes <= LEARN_MIN:
            self._learn_covariance(new)
            return quiet
        sensitivity = self._sensitivity(total)
        unsure = self._unsure(sensitivity, watered[-window:].mean(axis=0) - watered_before)
        usual = self._covariance * max(WINDOW_MIN / window, 0.5)
        inverse = np.linalg.inv(usual + self._floor + unsure)
        weighted = sensitivity @ inverse
        g, h = weighted @ new, np.einsum("ij,ij->i", weighted, sensitivity)
        p = h + SIZE_L_S**-2
        size = g / p
        sign = np.array(
            [math.erfc(-q * math.sqrt(w) / math.sqrt(2.0)) for q, w in zip(size, p, strict=True)]
        )
        log = TEMPER * (0.5 * g**2 / p - 0.5 * np.log1p(SIZE_L_S**2 * h)) + np.log(
            np.maximum(sign, 1e-300)
        )
        log += np.log(self._prior)
        top = max(float(log.max()), 0.0)
        odds = np.exp(log - top)
        none = (1.0 - PRIOR) * math.exp(-top)
        probability = odds / (odds.sum() + none)
        loss = float(probability.sum())
        zone = np.bincount(self._zone_of, probability, n_zones).astype(np.float64)
        best = int(probability.argmax())
        self._suspect = self._suspect + 1 if loss > ALARM else 0
        is_alarm = self._suspect >= CONFIRM_MIN
        if is_alarm and self._held is None:
            # Or the loss would become what is usual.
            self._held, self._held_irrigation = reference, watered_before
        if self._held is not None:
            self._since_alarm += 1
            if loss < 0.5 or self._since_alarm > 360:
                self._held, self._since_alarm = None, 0
                self._recent.clear()
                self._irrigated.clear()
        elif loss < 0.5:
            self._learn_covariance(new)
        return Finding(zone, loss, float(max(size[best], 0.0)), best, is_alarm)

    def _unsure(self, sensitivity: Floats, change_l_s: Floats) -> Floats:
        """Covariance of what a change of irrigation does, since nobody knows just where in its
        quarter the water comes out."""
        out = np.zeros((self._n, self._n))
        for quarter in np.flatnonzero(np.abs(change_l_s) > 0.05).tolist():
            of = sensitivity[self._zone_of // 2 == quarter]
            apart = of - of.mean(axis=0)
            spread = (1.0 - 1.0 / len(of)) / (len(of) * EVENNESS + 1.0) / len(of)
            known = self._spread[3 + quarter, 3 + quarter] / UNSURE
            out += change_l_s[quarter] ** 2 * min(known, 1.0) * spread * apart.T @ apart
        return out

    def _learn_covariance(self, new: Floats) -> None:
        # Neighbouring minutes share most of their windows: each counts for a part.
        share = 1.0 / WINDOW_MIN / 2
        self._weight = min(self._weight + share, FORGET_MIN)
        self._covariance += (np.outer(new, new) - self._covariance) * share / self._weight * 4


# --- as a process ----------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads minutes from standard input until it is closed; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--buildings", type=int, required=True)
    parser.add_argument("--points", type=int, required=True)
    options = parser.parse_args(arguments)
    finder = Finder(plan(site_of(options.buildings, options.points)))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        given = json.loads(line)
        minute = given["minute"]
        found = finder.see(
            Minute(
                np.array(minute["pressure_m"]), np.array(minute["flow_l_s"]), minute["pump_l_s"],
                minute["pump_speed"], minute["tank_level_m"], minute["tank_l_s"],
                np.array(minute["irrigation_l_s"]), np.array(minute["building_m3_h"]),
                tuple(minute["shut"]),
            )
        )  # fmt: skip
        said = {
            "at_ns": given["at_ns"],
            "zone": [round(float(p), 5) for p in found.zone],
            "loss": round(found.loss, 5),
            "size_l_s": round(found.size_l_s, 3),
            "pipe": found.pipe,
            "is_alarm": found.is_alarm,
        }
        print(json.dumps(said), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
