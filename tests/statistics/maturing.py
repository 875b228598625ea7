"""One experiment whose labels come late, through the journal and the evaluator as they run."""

import math
import sqlite3
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluator.evaluator import Evaluator
from evaluator.evidence import Role
from evaluator.join import Judgable, Label
from evaluator.journal import Journal
from evaluator.metric import ExperimentPlan, MetricSpec
from router.observation import Exposure, Outcome

DAY_NS = 86_400 * 10**9
LOOKS_A_DAY = 4
SOON_DAYS, LATE_DAYS, SPREAD = 2.0, 4.0, 0.35
"""Median time to conversion, log-normal: the challenger's and the champion's."""
ALPHA = 0.05
_BODY = b'{"prediction": 1}'


@dataclass(frozen=True, slots=True)
class World:
    """What is true: both variants convert alike in the end, one of them sooner."""

    rate: float = 0.3
    """Of the champion's requests that convert in the end."""
    gain: float = 0.0
    """How many more of the challenger's do."""
    a_day: int = 100
    days: int = 30
    challenger_days: float = SOON_DAYS
    champion_days: float = LATE_DAYS


def promoted(world: World, maturity_days: float, seed: int) -> bool:
    """Return whether the objective ever passes, looked at after every batch of judgements.

    Whoever converts is labelled 1 at that moment, and nobody else ever is: at maturity a missing
    label counts as incorrect.
    """
    rng = np.random.default_rng(seed)
    trial = _Trial(maturity_days)
    for look in range(world.days * LOOKS_A_DAY):
        at_ns = look * DAY_NS // LOOKS_A_DAY
        for _ in range(world.a_day // LOOKS_A_DAY):
            is_challenger = bool(rng.random() < 0.5)
            median = world.challenger_days if is_challenger else world.champion_days
            is_converted = rng.random() < world.rate + world.gain * is_challenger
            delay_ns = round(median * math.exp(SPREAD * rng.standard_normal()) * DAY_NS)
            trial.serve(at_ns, is_challenger, at_ns + delay_ns if is_converted else None)
        if trial.look(at_ns):
            return True
    return False


MATURITIES_DAYS = (3.0, 7.0, 14.0)
RUNS = 400


def measure(scale: float) -> dict[str, Any]:
    """Return false promotions by maturity."""
    runs = max(4, round(RUNS * scale))
    rejected = {
        f"{days:g} days old": sum(promoted(World(), days, seed) for seed in range(runs)) / runs
        for days in MATURITIES_DAYS
    }
    return {"runs": runs, "rejected": {age: float(f"{x:.4g}") for age, x in rejected.items()}}


class _Trial:
    def __init__(self, maturity_days: float) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self._journal = Journal(connection)
        self._maturity_ns = round(maturity_days * DAY_NS)
        bought = MetricSpec("bought", "correct", Role.OBJECTIVE, 0.05, missing="incorrect")
        self._evaluator = Evaluator(
            ExperimentPlan(
                experiment="x",
                route="shop",
                champion="shop-1",
                challenger="shop-2",
                metrics=(bought,),
                prediction="prediction",
                alpha=ALPHA,
                maturity_s=maturity_days * 86_400,
            )
        )
        self._labels: list[tuple[int, str]] = []
        self._served: list[Judgable] = []
        self._n = 0

    def serve(self, at_ns: int, is_challenger: bool, label_at_ns: int | None) -> None:
        """Serve one request; its label comes at ``label_at_ns``, None: never."""
        self._n += 1
        request_id = f"q{self._n}"
        outcome = Outcome("v", 200, 0.01, "", _BODY, len(_BODY))
        waiting = self._evaluator.observe(
            Exposure("shop", "x", request_id, self._n, is_challenger, 0.5, 1, at_ns, outcome)
        )
        assert waiting is not None
        self._served.append(waiting)
        if label_at_ns is not None:
            self._labels.append((label_at_ns, request_id))

    def look(self, now_ns: int) -> bool:
        """Take in what came by now, judge what is old enough; return whether it is proven."""
        self._journal.add("shop", self._served)
        self._served.clear()
        for at_ns, request_id in (one for one in self._labels if one[0] <= now_ns):
            self._journal.label(Label(request_id, "1"), now_ns=at_ns)
        self._labels = [one for one in self._labels if one[0] > now_ns]
        due = self._journal.matured("shop", now_ns=now_ns, maturity_ns=self._maturity_ns)
        for one in due:
            self._evaluator.judge(one.judgable, one.label)
        self._journal.mark_judged(due)
        reading = self._evaluator.evidence(now_ns / 1e9).reading("bought")
        return reading is not None and reading.log_e >= -math.log(ALPHA)
