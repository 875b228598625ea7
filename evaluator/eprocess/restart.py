"""A mixture that also starts anew at every epoch: for harm that begins late. Pure."""

import math
from collections.abc import Iterable, Sequence

from evaluator.eprocess.mixture import log_sum_exp, mix

FROM_START = 0.75
"""Weight of the copy that starts first. Measured at 1/2, 2/3, 3/4 and 9/10: docs/statistics.md."""


def share_from(epoch: int) -> float:
    """Return the weight of all copies that start in ``epoch`` or later; 1 from epoch 0 on.

    So copy e has the weight share_from(e) - share_from(e + 1), and all of them sum to one.
    """
    return (1.0 - FROM_START) / epoch if epoch else 1.0


def restarted_log_e(since: Sequence[tuple[int, float]]) -> float:
    """Return the log of the weighted mean of copies that start at different epochs.

    ``since`` are the epochs that have observations, rising, each with the log evidence of the copy
    that sees what came from it on. Copies of epochs without observations start with the next one
    that has some; those that wait for later epochs count 1.
    """
    if not since:
        return 0.0
    terms, before = [math.log(share_from(since[-1][0] + 1))], -1
    for epoch, log_e in since:
        terms.append(math.log(share_from(before + 1) - share_from(epoch + 1)) + log_e)
        before = epoch
    return log_sum_exp(terms)


class RestartedEProcess:
    """Evidence of harm that does not have to work off a long healthy past first.

    Input:   h_t in an epoch (0, 1, 2, ...; the number is known before the request is seen), and
             the bets made for it.
    Null:    E[h_t | past] <= 0 for every t ("the challenger does no harm").
    Process: copy e of the mixture sees the epochs from e on only.
             E = sum over e of v_e * copy_e; copies that have not started yet count 1. The weights
             v_e, fixed beforehand and at least 0, sum to one: 3/4 for e = 0, then
             1/4 / (e(e + 1)). See ``share_from``.
    Promise: as for MixtureEProcess: under the null, P(E >= 1/alpha ever) <= alpha, because each
             copy is an e-process of the same null (a copy that waits is the constant 1) and a
             weighted mean of e-processes is one, whatever their dependence. A challenger that is
             bad from the start pays log(4/3) for the waiting copies; one that turns bad in epoch e
             is found with a penalty of log(4 e(e + 1)), however long it was healthy before.
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
        since: list[tuple[int, float]] = []
        tail = [0.0] * len(self._log_weights)
        for epoch in sorted(self._epochs, reverse=True):
            tail = [t + p for t, p in zip(tail, self._epochs[epoch], strict=True)]
            since.append((epoch, mix(self._log_weights, tail)))
        return restarted_log_e(since[::-1])

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
