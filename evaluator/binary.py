"""One yes-or-no question about answers, compared between the variants. Pure.

State is counts (evaluator/tally.py). All evidence follows from them.
"""

from evaluator.confseq import Interval, normal_interval
from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.eprocess.horizon import horizon_log_e, settled_epoch
from evaluator.eprocess.mixture import clip_bets, log_weights, mix
from evaluator.eprocess.relative_risk import LOG_WEIGHTS as RATIO_LOG_WEIGHTS
from evaluator.eprocess.restart import RestartedEProcess
from evaluator.product import Products
from evaluator.question import PAIRED, Baseline, Question, cell_values
from evaluator.running import Rate
from evaluator.tally import BinaryState, Tally


class BinaryCheck(Tally):
    """Compares how often the two variants give a good answer.

    Null:    claim: effect <= -margin at every request; harm: effect >= -margin; futile: effect >=
             detect; upper: effect >= within. Effect is the difference of the rates, or with
             ``scale`` that of the champion's and the challenger's rate divided by it.
    Process: split: h = (A - pi)(Y - m) + pi(1 - pi) margin; pair: h = d + margin. Claim: mixture
             of bets effect_k / variance on h. Harm: the same on -h, started anew at every epoch.
    Promise: exact at any time, for any drift of the champion's rate and any change of the share,
             because m, variance and bets come from earlier epochs only. With clustered units:
             see ClusteredEProcess.
    Merge:   counts add.
    Cost:    O(1) per observation; reading O(13) per table, remembered until the table changes.
    Source:  evaluator/eprocess/mixture.py and restart.py.
    """

    def __init__(self, question: Question, state: BinaryState) -> None:
        super().__init__(question, state)
        self._log_weights = log_weights(is_vague=question.is_vague)
        self._products = Products(question, self)

    @classmethod
    def fresh(cls, question: Question, *, is_clustered: bool) -> "BinaryCheck":
        """Return a check that has seen nothing; its first epoch bets on the priors."""
        effect = question.effect_at(question.prior_good)
        baseline = Baseline(question.prior_good, question.prior_discordance, effect, effect)
        clustered = ClusteredEProcess.empty() if is_clustered else None
        return cls(question, BinaryState([baseline], [], Rate(), Rate(), clustered))

    @property
    def is_one_sided(self) -> bool:
        """Whether "not worse" is all that is claimed, and not "no better" as well."""
        return self._question.within is None

    def claim_log_e(self) -> float:
        """Return log evidence that the effect is above -margin."""
        if self._question.horizon is not None and self.state.clustered is None:
            return self._horizon_log_e(self._question.horizon)
        return self._log_e("claim")

    def futile_log_e(self) -> float:
        """Return log evidence that the effect is below ``detect``; 0 if that was not declared."""
        return 0.0 if self._question.detect is None else self._log_e("futile")

    def upper_log_e(self) -> float:
        """Return log evidence that the effect is below ``within``; 0 if that was not declared."""
        return 0.0 if self._question.within is None else self._log_e("upper")

    def harm_log_e(self) -> float:
        """Return log evidence that the effect is below -margin."""
        q = self._question
        if self.state.clustered is not None:
            return self.state.clustered.harm_log_e(self.state.baselines[0].effect, q.margin)
        process = RestartedEProcess(RATIO_LOG_WEIGHTS if q.is_rare else self._log_weights)
        for table in self.state.tables:
            process.add(table.epoch, self._products.of(table, "harm"), table.n)
        return process.log_e

    def interval(self, alpha: float) -> Interval | None:
        """Return the effect and its confidence sequence; None before any evidence."""
        if self.state.clustered is not None:
            if self._question.scale != 1.0:
                return None  # the bucket sums are about the scaled rates
            s, v, weight = self.state.clustered.moments(0.0)
        elif any(table.nameless for table in self.state.tables):
            return self._widest(alpha)
        else:
            s, v, weight = self._moments()
        return normal_interval(s, v, weight, detect=self._question.effect, alpha=alpha)

    def growth(self) -> float:
        """Return the mean gain of log evidence per observation if the effect is as declared.

        For the newest epoch and share, to second order in the bet on the declared effect.
        """
        if not self.state.tables:
            return 0.0
        q = self._question
        table = max(self.state.tables, key=lambda t: t.epoch)
        baseline = self.state.baselines[table.epoch]
        if table.propensity == PAIRED:
            weight, variance = 1.0, q.pair_variance(baseline)
            spread = variance
        else:
            weight, variance = table.propensity * (1.0 - table.propensity), baseline.variance
            better = min(max(baseline.good + baseline.effect - q.margin, 0.0), 1.0)
            spread = 0.5 * (variance + better * (1.0 - better))  # of answers, if it is as declared
        lowest = min(cell_values(table.propensity, baseline.good, q.margin, q))
        bet = clip_bets([baseline.effect / variance], lowest)[0]
        return bet * weight * (baseline.effect - 0.5 * bet * spread)

    def _log_e(self, side: str) -> float:
        sign, shift = self._question.side(side)
        clustered = self.state.clustered
        if clustered is not None:
            read = clustered.claim_log_e if sign > 0.0 else clustered.harm_log_e
            return read(self.state.baselines[0].effect, shift)
        if not any(table.n for table in self.state.tables):
            return 0.0
        return mix(self._log_weights, self._products.total(side))

    def _horizon_log_e(self, horizon: int) -> float:
        """Return the claim's evidence if it is to be decided within ``horizon`` observations.

        Both ends, S and V, are on the scale of effects: of bets that are right at the declared one.
        """
        q = self._question
        counts: dict[int, int] = {}
        s = v = 0.0
        for table in self.state.tables:
            baseline = self.state.baselines[table.epoch]
            bet = baseline.effect / q.variance(baseline, table.propensity)
            values = cell_values(table.propensity, baseline.good, q.margin, q)
            more = (q.margin, min(values))
            for h, count in zip((*values, *more), table.cells, strict=True):
                s += count * bet * h
                v += count * (bet * h) ** 2
            counts[table.epoch] = counts.get(table.epoch, 0) + table.n
        epoch = settled_epoch(counts, horizon)
        if epoch is None:
            return 0.0
        baseline = self.state.baselines[epoch]
        is_pair = any(table.propensity == PAIRED for table in self.state.tables)
        worth = 1.0 / q.pair_variance(baseline) if is_pair else 0.25 / baseline.variance
        return horizon_log_e(s, v, horizon * worth * baseline.effect**2, q.alpha)

    def _widest(self, alpha: float) -> Interval | None:
        """Return the interval with each end as if all that lack their label spoke for it."""
        ends = []
        for nameless in (-1.0, 0.0, 1.0):
            s, v, weight = self._moments(nameless)
            ends.append(normal_interval(s, v, weight, detect=self._question.effect, alpha=alpha))
        low, middle, high = ends
        if low is None or middle is None or high is None:
            return None
        return Interval(middle.effect, low.low, high.high)

    def _moments(self, nameless: float = 0.0) -> tuple[float, float, float]:
        """Return S, V and W: sums of g = h / variance, of g^2, and of the weights.

        ``nameless``: the difference of pairs that should have a label, -1 to 1.
        """
        s = v = total = 0.0
        for table in self.state.tables:
            baseline, pi = self.state.baselines[table.epoch], table.propensity
            is_pair = pi == PAIRED
            variance = self._question.variance(baseline, pi)
            weight = (1.0 if is_pair else pi * (1.0 - pi)) / variance
            empirical = 0.0
            # People see the plain difference, whatever the margin is relative to.
            values = cell_values(pi, baseline.good, 0.0, None)
            rate = self._question.label_rate if is_pair else 1.0
            for h, count in zip((*values, 0.0, nameless), table.cells, strict=True):
                s += count * h / rate / variance
                empirical += count * (h / rate / variance) ** 2
            n = table.n
            total += n * weight
            # What the baseline expects is a floor: a few rare events say little about variance.
            v += max(empirical, n * weight)
        return s, v, total
