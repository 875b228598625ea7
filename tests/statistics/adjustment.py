"""What covariates and proxies save, measured with the shipped class itself, request by request.

All forms see the same requests. The effect is small (a twentieth of a standard deviation), because
that is where savings matter and where learning the coefficient costs little beside them.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from evaluator.contrast import Contrast
from evaluator.evaluator import FIRST_EPOCH
from evaluator.ground import Asked

SEED = 20_261_124
FULL_RUNS = 500
EFFECT = 0.05
CORRELATIONS = (0.5, 0.7, 0.9)
LABEL_RATE = 0.2
LOOK_EVERY = 25
HORIZON = 120_000
"""Requests; labels for a fifth of them need five times as many."""
ALPHA = 0.05


def theory(correlation: float, rate: float = 1.0) -> float:
    """Return requests with adjustment over requests without.

    A covariate leaves 1 - r^2 of the variance; a proxy leaves that of the unlabelled ones.
    """
    rest = 1.0 - correlation**2
    return rest if rate == 1.0 else rate + (1.0 - rate) * rest


class Racer:
    """One form of the check, until it stops."""

    def __init__(self, rate: float | None = None) -> None:
        asked = Asked(margin=0.0, effect=EFFECT, label_rate=rate)
        self.contrast = Contrast.fresh(asked, is_clustered=False)
        self.epoch = 0
        self.stopped: int | None = None

    def end_epochs(self, n: int) -> None:
        """End the epoch after 64 requests and at each doubling, as the evaluator does."""
        if n == FIRST_EPOCH * 2**self.epoch:
            self.contrast.roll()
            self.epoch += 1

    def look(self, n: int) -> None:
        """Stop if there is enough evidence after ``n`` requests."""
        if n % LOOK_EVERY == 0 and self.contrast.log_e("claim") >= -math.log(ALPHA):
            self.stopped = n


def race(rng: np.random.Generator, horizon: int, rate: float) -> dict[str, int]:
    """Return after how many requests each form stops in one run."""
    drawn = None if rate == 1.0 else rate
    forms = {"plain": Racer()} | {f"{r:g}": Racer(drawn) for r in CORRELATIONS}
    for n, lot, noise, z, is_labelled in _requests(rng, horizon, rate):
        running = [(name, form) for name, form in forms.items() if form.stopped is None]
        if not running:
            break
        for name, form in running:
            r = 0.0 if name == "plain" else float(name)
            # The same y for all forms; the covariate is made to have the correlation r with it.
            y = noise + EFFECT * lot
            x = r * noise + math.sqrt(1.0 - r * r) * z
            if rate == 1.0:
                form.contrast.observe_split(
                    form.epoch, 0.5, lot, y, 0, None if name == "plain" else x
                )
            elif name != "plain":
                form.contrast.observe_proxied(
                    form.epoch,
                    0.5,
                    0,
                    proxy=(None, x) if lot else (x, None),
                    truth=((None, y) if lot else (y, None)) if is_labelled else None,
                    rate=rate,
                )
            elif is_labelled:
                form.contrast.observe_split(form.epoch, 0.5, lot, y, 0)
            form.look(n)
            form.end_epochs(n)
    return {name: form.stopped or horizon for name, form in forms.items()}


def _requests(
    rng: np.random.Generator, horizon: int, rate: float
) -> Iterator[tuple[int, bool, float, float, bool]]:
    for start in range(0, horizon, 4_000):
        size = min(4_000, horizon - start)
        lots = (rng.random(size) < 0.5).tolist()
        noise, z = rng.standard_normal(size).tolist(), rng.standard_normal(size).tolist()
        labelled = (rng.random(size) < rate).tolist()
        yield from zip(range(start + 1, start + size + 1), lots, noise, z, labelled, strict=True)


def measure(scale: float) -> dict[str, Any]:
    """Return requests with adjustment as a part of those without, and what theory says."""
    runs = max(2, round(FULL_RUNS * scale))
    found: dict[str, Any] = {"runs": runs, "effect": EFFECT, "runs_of": {}}
    for name, rate in (("covariate", 1.0), ("proxy", LABEL_RATE)):
        runs = max(2, round(found["runs"] * (1.0 if rate == 1.0 else 0.5)))
        found["runs_of"][name] = runs
        rng = np.random.default_rng(SEED)
        horizon = HORIZON if rate < 1.0 else HORIZON // 2
        stops = [race(rng, horizon, rate) for _ in range(runs)]
        plain = np.array([one["plain"] for one in stops], dtype=np.float64)
        found[name] = {}
        for r in CORRELATIONS:
            with_it = np.array([one[f"{r:g}"] for one in stops], dtype=np.float64)
            ratio = with_it.mean() / plain.mean()
            error = (with_it - ratio * plain).std() / math.sqrt(runs) / plain.mean()
            found[name][f"{r:g}"] = {
                "ratio": float(f"{ratio:.4g}"),
                "error": float(f"{error:.2g}"),
                "theory": float(f"{theory(r, rate):.4g}"),
            }
    return found
