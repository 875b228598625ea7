"""The mean of one number, compared between the variants. Pure.

State is sums (evaluator/ledger.py). What a metric's numbers are, and in which unit people see them,
is decided in evaluator/mean.py.
"""

import math

from evaluator.confseq import Interval, normal_interval
from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.eprocess.effect import effect_log_e, restarted_effect_log_e
from evaluator.eprocess.horizon import horizon_log_e, settled_epoch
from evaluator.eprocess.mixture import log_weights, mix
from evaluator.eprocess.normal import MIN_OBSERVATIONS
from evaluator.eprocess.restart import RestartedEProcess
from evaluator.ground import Asked, Base, Ground, Side
from evaluator.ledger import ContrastState, Ledger, variance, weight
from evaluator.question import PAIRED


class Contrast(Ledger):
    """Compares the means of a number between the variants.

    Input:   split: y with its propensity pi and lot A; pair: both y. A covariate x, known to be
             the same whatever the lot, and a proxy with labels drawn at random, if declared.
    Null:    claim: effect <= -margin; harm: effect >= -margin; futile: effect >= detect; upper:
             effect >= within. Effect is E[y challenger] - E[y champion], at every request.
    Process: split: h = (A - pi)(y - m), m = mean + slope (x - mean of x); pair: h = difference.
             With pi(1 - pi) * margin added. Bounded: mixture of 13 bets effect_k / variance on h.
             Else: normal mixture on the sums of h and h^2 (evaluator/eprocess/effect.py).
    Promise: bounded: exact at any time, for any drift and any change of the share, because m, the
             variance, slopes and limits come from earlier epochs only. Unbounded: exact for
             symmetric h, else asymptotic, not read below 100 balanced observations (a share of
             1 % needs 2,525), and about the *winsorised* mean: what lies beyond the champion's
             earlier 0.1 and 99.9 % counts as lying there. Clustered: see ClusteredEProcess.
    Merge:   sums add.
    Cost:    O(13) per observation and side if bounded, else O(1); reading O(13) per epoch.
    Source:  mixtures: evaluator/eprocess/. Covariates: CUPED, Deng, Xu, Kohavi & Walker (2013),
             WSDM; a predictable m keeps the martingale. Proxies: prediction-powered inference,
             Angelopoulos et al. (2023), Science 382, in the sequential form
             g = c f + (labelled / rate)(h - c f), whose mean is that of h for any predictable c.
    """

    def __init__(self, asked: Asked, state: ContrastState) -> None:
        super().__init__(asked, state)
        self._log_weights = log_weights(is_vague=asked.is_vague)

    @classmethod
    def fresh(cls, asked: Asked, *, is_clustered: bool) -> "Contrast":
        """Return one that has seen nothing; unbounded ones bet from the second epoch on."""
        clustered = ClusteredEProcess.empty() if is_clustered else None
        state = ContrastState([], [], Ground.empty(), clustered)
        state.bases.append(state.ground.base(asked, None))
        return cls(asked, state)

    def log_e(self, side: str) -> float:
        """Return log evidence for the side called claim, harm, futile or upper; 0 without it."""
        asked = self._sides.get(side)
        if asked is None:
            return 0.0
        if self.state.clustered is not None:
            return self._clustered_log_e(asked)
        if side == "claim" and self._asked.horizon is not None:
            return self._horizon_log_e(asked, self._asked.horizon)
        if self._asked.is_bounded:
            return self._bounded_log_e(list(self._sides).index(side), asked)
        return self._normal_log_e(asked)

    def interval(self, alpha: float) -> Interval | None:
        """Return the effect with its confidence sequence, asymptotic; None before any evidence."""
        limit = 1.0 if self._asked.is_bounded else math.inf
        detect = self._first_base().effect
        if self.state.clustered is not None:
            s, v, total = self.state.clustered.moments(0.0)
            return normal_interval(s, v, total, detect=detect, alpha=alpha, limit=limit)
        s = v = total = 0.0
        for sums in self.state.sums:
            base = self.state.bases[sums.epoch]
            square, a = variance(base, sums.propensity), weight(sums.propensity)
            s += sums.s / square
            v += sums.v / square**2
            total += sums.n * a / square
        return normal_interval(s, v, total, detect=detect, alpha=alpha, limit=limit)

    def growth(self) -> float:
        """Return the mean gain of log evidence per observation if the effect is as declared."""
        if not self.state.sums:
            return 0.0
        sums = max(self.state.sums, key=lambda t: t.epoch)
        base = self.state.bases[sums.epoch]
        return 0.5 * base.effect**2 * weight(sums.propensity) / variance(base, sums.propensity)

    # One side's evidence.

    def _bounded_log_e(self, i: int, side: Side) -> float:
        if not any(sums.n for sums in self.state.sums):
            return 0.0
        if side.is_restarted:
            process = RestartedEProcess(self._log_weights)
            for sums in self.state.sums:
                process.add(sums.epoch, sums.products[i], sums.n)
            return process.log_e
        totals = [
            math.fsum(column)
            for column in zip(*(t.products[i] for t in self.state.sums), strict=True)
        ]
        return mix(self._log_weights, totals)

    def _normal_log_e(self, side: Side) -> float:
        if self.balanced() < MIN_OBSERVATIONS:
            return 0.0
        epochs = self._information(side)
        if side.is_restarted:
            parts = [(number, *epochs[number]) for number in sorted(epochs)]
            return restarted_effect_log_e(parts, is_vague=self._asked.is_vague)
        s = math.fsum(part[0] for part in epochs.values())
        v = math.fsum(part[1] for part in epochs.values())
        return effect_log_e(s, v, is_vague=self._asked.is_vague)

    def _horizon_log_e(self, side: Side, horizon: int) -> float:
        if self.balanced() < MIN_OBSERVATIONS:
            return 0.0
        epochs = self._information(side)
        counts: dict[int, int] = {}
        for sums in self.state.sums:
            counts[sums.epoch] = counts.get(sums.epoch, 0) + sums.n
        epoch = settled_epoch(counts, horizon)
        if epoch is None:
            return 0.0
        base = self.state.bases[epoch]
        is_pair = any(sums.propensity == PAIRED for sums in self.state.sums)
        square, a = (base.pair_square, 1.0) if is_pair else (base.variance, 0.25)
        return horizon_log_e(
            math.fsum(part[0] for part in epochs.values()),
            math.fsum(part[1] for part in epochs.values()),
            horizon * a * base.effect**2 / square,
            self._asked.alpha,
        )

    def _information(self, side: Side) -> dict[int, tuple[float, float]]:
        """Return S and V of every epoch, on the scale of effects."""
        epochs: dict[int, tuple[float, float]] = {}
        for sums in self.state.sums:
            base = self.state.bases[sums.epoch]
            a, bet = weight(sums.propensity), base.effect / variance(base, sums.propensity)
            offset = a * side.shift
            s = side.sign * bet * (sums.s + sums.n * offset)
            v = bet * bet * (sums.v + 2.0 * offset * sums.s + sums.n * offset * offset)
            before = epochs.get(sums.epoch, (0.0, 0.0))
            epochs[sums.epoch] = before[0] + s, before[1] + max(0.0, v)
        return epochs

    def _clustered_log_e(self, side: Side) -> float:
        clustered = self.state.clustered
        assert clustered is not None
        effect = self._first_base().effect
        if side.sign > 0.0:
            return clustered.claim_log_e(effect, side.shift)
        return clustered.harm_log_e(effect, side.shift)

    def _first_base(self) -> Base:
        """Return the first base that was bet on, whose effect no later data moves."""
        return next((b for b in self.state.bases if b.is_ready), self.state.bases[-1])
