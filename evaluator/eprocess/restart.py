"""A mixture that also starts anew at every epoch: for harm that begins late. Pure."""

import math
from collections.abc import Iterable, Sequence

from evaluator.eprocess.mixture import log_sum_exp, mix


class RestartedEProcess:
    """Evidence of harm that does not have to work off a long healthy past first.

    Input:   h_t in an epoch (0, 1, 2, ...; the number is known before the request is seen), and
             the bets made for it.
    Null:    E[h_t | past] <= 0 for every t ("the challenger does no harm").
    Process: copy e of the mixture sees the epochs from e on only.
             E = sum over e of v_e * copy_e, with v_e = 1 / ((e + 1)(e + 2)); copies that have not
             started yet count 1. The weights v_e sum to one.
    Promise: as for MixtureEProcess: under the null, P(E >= 1/alpha ever) <= alpha. A challenger
             that turns bad in epoch e is found with a penalty of about log((e + 1)(e + 2)),
             however long it was healthy before.
    Merge:   log-products add epoch by epoch, in any order.
    Cost:    O(K) time per distinct value, O(K * epochs) memory and reading time. Epochs double in
             length, so there are few.
    Source:  mixture over starting times as in the e-SR procedure of Shin, Ramdas & Rinaldo (2022),
             arXiv 2203.03532; restricted to epochs and normalised to an e-process by us.
    """

    __slots__ = ("_epochs", "_log_weights", "n")

    def __init__(self, log_weights: Sequence[float]) -> None:
        if not log_weights or abs(log_sum_exp(log_weights)) > 1e-9:
            raise ValueError(f"weights must sum to one, got logs {log_weights!r}")
        self._log_weights = tuple(log_weights)
        self._epochs: dict[int, list[float]] = {}
        self.n = 0

    def update(self, epoch: int, h: float, bets: Sequence[float], count: int = 1) -> None:
        """Take in ``count`` observations of the value ``h`` in ``epoch``; ValueError as above."""
        if not math.isfinite(h) or epoch < 0 or count < 0:
            raise ValueError(f"epoch {epoch!r}, observation {h!r} or count {count!r} out of range")
        if len(bets) != len(self._log_weights):
            raise ValueError(f"{len(self._log_weights)} bets wanted, got {len(bets)}")
        if any(not (0.0 <= bet < math.inf and bet * h > -1.0) for bet in bets):
            raise ValueError(f"a bet does not survive an observation of {h!r}")
        self.add(epoch, [count * math.log1p(bet * h) for bet in bets], count)

    def add(self, epoch: int, log_products: Iterable[float], count: int) -> None:
        """Add log-products that were summed elsewhere."""
        seen = self._epochs.setdefault(epoch, [0.0] * len(self._log_weights))
        for k, product in enumerate(log_products):
            seen[k] += product
        self.n += count

    @property
    def log_e(self) -> float:
        """Natural logarithm of the evidence; 0 before the first observation."""
        if self.n == 0:
            return 0.0
        epochs = sorted(self._epochs)
        terms = [-math.log(epochs[-1] + 2.0)]  # the copies that start later
        tail = [0.0] * len(self._log_weights)
        for i in range(len(epochs) - 1, -1, -1):
            tail = [t + p for t, p in zip(tail, self._epochs[epochs[i]], strict=True)]
            before = epochs[i - 1] if i else -1
            # Epochs without observations start with the next one that has some.
            weight = 1.0 / (before + 2.0) - 1.0 / (epochs[i] + 2.0)
            terms.append(math.log(weight) + mix(self._log_weights, tail))
        return log_sum_exp(terms)

    def rejects(self, alpha: float) -> bool:
        """Whether the null is rejected *now* at level ``alpha``."""
        return self.log_e >= -math.log(alpha)

    def merge(self, other: "RestartedEProcess") -> None:
        """Add what another process with the same weights and epochs has seen."""
        if other._log_weights != self._log_weights:
            raise ValueError("only processes with the same weights can be merged")
        for epoch, products in other._epochs.items():
            self.add(epoch, products, 0)
        self.n += other.n
