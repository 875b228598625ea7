"""How soon more failures of the challenger are found, from the failures alone.

Without a margin every answer that is fine leaves the evidence as it is, so only failures are drawn:
the requests between two of them, and whose each one was.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluator.eprocess.relative_risk import LOG_WEIGHTS, harm_bets, harm_values
from evaluator.eprocess.restart import share_from
from evaluator.evaluator import FIRST_EPOCH
from tests.statistics.simulate import Floats, Ints, log_sum

SEED = 20_261_124
FULL_RUNS = 500
BATCH = 50
"""Runs drawn at once; they come in whole batches."""
ALPHA = 0.05


@dataclass(frozen=True)
class Failing:
    """The challenger fails ``ratio`` times as often as the champion."""

    share: float
    ratio: float
    rate: float = 0.002
    """The champion's."""

    @property
    def name(self) -> str:
        """As it stands in the table."""
        return f"{self.share:.0%}, {self.ratio:g} times {100 * self.rate:g} %"

    @property
    def overall(self) -> float:
        """Failures in a request."""
        return self.rate * (1 - self.share + self.share * self.ratio)

    @property
    def events(self) -> int:
        """Failures within which practically every run has stopped: twenty times the mean."""
        share = self.share
        seen = share * self.ratio * self.rate / self.overall
        divergence = seen * math.log(seen / share) + (1 - seen) * math.log((1 - seen) / (1 - share))
        return 200 + math.ceil(20 * math.log(1 / ALPHA) / divergence)


CASES = (
    Failing(0.01, 2),
    Failing(0.01, 5),
    Failing(0.01, 50),
    Failing(0.05, 5),
    Failing(0.5, 2),
    Failing(0.5, 5),
    Failing(0.05, 1.5, 0.05),
)


def drawn(rng: np.random.Generator, case: Failing, runs: int, events: int) -> tuple[Ints, Floats]:
    """Return the request number of each failure, and whether it was the challenger's."""
    gaps = rng.geometric(case.overall, (runs, events))
    is_b = rng.random((runs, events)) < case.share * case.ratio * case.rate / case.overall
    return gaps.cumsum(axis=1), is_b.astype(np.float64)


def epoch_of(request: Ints) -> Ints:
    """Return the epoch of a request number (from 1): they end after 64 and at each doubling."""
    before = np.maximum((request - 1) // FIRST_EPOCH, 0)
    number: Ints = np.where(before == 0, 0, np.floor(np.log2(np.maximum(before, 1))) + 1)
    return number.astype(np.int64)


def harm_path(share: float, request: Ints, is_b: Floats) -> Floats:
    """Return the shipped evidence of harm, margin 0, after every failure of every run."""
    bets = np.array(harm_bets(share, 0.0))
    champion, _, challenger, _ = harm_values(share, 0.0)
    steps = np.where(is_b[:, :, None] > 0, np.log1p(challenger * bets), np.log1p(champion * bets))
    sums = steps.cumsum(axis=1)
    before = sums - steps
    number = epoch_of(request)
    copies = np.full(sums.shape, -np.inf)
    for e in range(int(number.max()) + 1):
        weight = math.log(share_from(e) - share_from(e + 1))
        begun = number >= e  # the copy has seen the failures from here on
        at_start = np.take_along_axis(
            before, np.minimum(begun.argmax(axis=1), sums.shape[1] - 1)[:, None, None], axis=1
        )
        copies = np.where(begun[:, :, None], np.logaddexp(copies, weight - at_start), copies)
    later = np.log([share_from(e + 1) for e in range(int(number.max()) + 1)])[number]
    evidence: Floats = np.logaddexp(later, log_sum(copies + sums + np.array(LOG_WEIGHTS)))
    return evidence


def oracle_path(rng: np.random.Generator, case: Failing, request: Ints, is_b: Floats) -> Floats:
    """Return the log ratio of the test that knows both rates, after every failure."""
    a, b, q = case.rate, case.rate * case.ratio, case.overall
    fine = np.diff(request, axis=1, prepend=0) - 1
    fine_b = rng.binomial(fine, case.share * (1 - b) / (1 - q))
    steps = (
        np.where(is_b > 0, math.log(b / q), math.log(a / q))
        + fine_b * math.log((1 - b) / (1 - q))
        + (fine - fine_b) * math.log((1 - a) / (1 - q))
    )
    total: Floats = steps.cumsum(axis=1)
    return total


def measure(scale: float) -> dict[str, Any]:
    """Return mean requests until a rollback, ours and the oracle's, and false rollbacks."""
    runs = BATCH * max(1, round(FULL_RUNS * scale / BATCH))
    found: dict[str, Any] = {"runs": runs, "runs_equal": 2 * runs, "cases": {}}
    for case in CASES:
        ours, oracle = waits(case, runs)
        found["cases"][case.name] = {
            "ours": float(f"{ours:.6g}"),
            "oracle": float(f"{oracle:.6g}"),
            "ratio": float(f"{ours / oracle:.4g}"),
        }
    found["rejected"] = {
        f"{share:.0%}": float(f"{false_rollbacks(share, 2 * runs):.4g}")
        for share in (0.01, 0.05, 0.5)
    }
    return found


def waits(case: Failing, runs: int) -> tuple[float, float]:
    """Return mean requests until harm is shown: ours and the oracle's."""
    rng, ours, oracle = np.random.default_rng(SEED), [], []
    for _ in range(0, runs, BATCH):
        request, is_b = drawn(rng, case, BATCH, case.events)
        ours.append(_first_harm(case.share, request, is_b))
        oracle.append(_first(request, oracle_path(rng, case, request, is_b)))
    return float(np.concatenate(ours).mean()), float(np.concatenate(oracle).mean())


def false_rollbacks(share: float, runs: int) -> float:
    """Return how often harm is shown in 600 failures of variants that fail alike."""
    rng, hits = np.random.default_rng(SEED), 0
    for _ in range(0, runs, BATCH):
        request, is_b = drawn(rng, Failing(share, 1.0), BATCH, 600)
        hits += int((harm_path(share, request, is_b) >= -math.log(ALPHA)).any(axis=1).sum())
    return hits / (BATCH * math.ceil(runs / BATCH))


def _first_harm(share: float, request: Ints, is_b: Floats) -> Ints:
    """Return the request at which harm is shown; most runs need only the first failures."""
    soon = request.shape[1] // 6
    path = harm_path(share, request[:, :soon], is_b[:, :soon])
    late = ~(path >= -math.log(ALPHA)).any(axis=1)
    at = np.zeros(len(request), dtype=np.int64)
    at[~late] = _first(request[~late, :soon], path[~late])
    if late.any():
        at[late] = _first(request[late], harm_path(share, request[late], is_b[late]))
    return at


def _first(request: Ints, path: Floats) -> Ints:
    over = path >= -math.log(ALPHA)
    assert over.any(axis=1).all(), "a run was too short"
    at: Ints = np.take_along_axis(request, over.argmax(axis=1)[:, None], axis=1)[:, 0]
    return at
