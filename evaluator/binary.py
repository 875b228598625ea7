"""One yes-or-no question about answers, compared between the variants. Pure.

State is counts: per epoch and propensity, how often each variant's answer was good. Everything
else follows from them, so states add up and the order of arrival does not matter.
"""

import math

from msgspec import Struct, field

from evaluator.confseq import Interval, normal_interval
from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.eprocess.horizon import horizon_log_e, settled_epoch
from evaluator.eprocess.mixture import clip_bets, grid_bets, log_weights, mix
from evaluator.eprocess.relative_risk import LOG_WEIGHTS as RATIO_LOG_WEIGHTS
from evaluator.eprocess.relative_risk import harm_bets, pair_bets
from evaluator.eprocess.restart import RestartedEProcess
from evaluator.question import (
    LEAST_VARIANCE,
    PAIRED,
    Baseline,
    Question,
    Table,
    cell_values,
)
from evaluator.running import Rate


class BinaryState(Struct):
    """All that a BinaryCheck remembers."""

    baselines: list[Baseline]
    """One for each epoch, from 0."""
    tables: list[Table]
    champion: Rate
    discordant: Rate
    clustered: ClusteredEProcess | None
    foreseen: Rate = field(default_factory=Rate)
    """Pairs whose answers differ, labelled or not: no more than that can be discordant."""
    decided: Rate = field(default_factory=Rate)
    """Labelled pairs whose answers differ: on how many of them is one right and the other wrong?"""
    apart: Rate = field(default_factory=Rate)
    """The champion's good answers among labelled pairs that differ, where equal ones need no label:
    of all its answers they are the least typical."""
    named_equal: Rate = field(default_factory=Rate)
    """Pairs with equal answers: how many have a label all the same?"""
    named_apart: Rate = field(default_factory=Rate)
    """Pairs that differ: how many have one?"""


class BinaryCheck:
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
        self._question = question
        self.state = state
        self._log_weights = log_weights(is_vague=question.is_vague)
        self._index = {(t.epoch, t.propensity): t for t in state.tables}
        self._seen: dict[tuple[int, float, str], tuple[tuple[int, ...], list[float]]] = {}
        self._log_table: dict[tuple[int, float, str], list[list[float]]] = {}
        self._earlier_sums: dict[str, list[float]] = {}

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

    def learn(self, is_good: bool) -> None:
        """Take in a champion's answer that proves nothing but tells its rate."""
        self.state.champion.update(is_good)

    def foresee(self, differs: bool) -> None:
        """Take in whether a pair's answers differ, before anybody knows which is right."""
        self.state.foreseen.update(differs)

    def observe_split(
        self, epoch: int, propensity: float, is_challenger: bool, is_good: bool, unit: int
    ) -> None:
        """Take in the answer of one variant, drawn by lot with ``propensity``."""
        cell = 2 * is_challenger + is_good
        self._table(epoch, propensity).counts[cell] += 1
        if not is_challenger:
            self.state.champion.update(is_good)
        if self.state.clustered is not None:
            baseline = self.state.baselines[epoch]
            v = self._clustered_variance(baseline.variance)
            h = self._values(propensity, baseline.good, 0.0)[cell]
            self.state.clustered.update(unit, h / v, propensity * (1.0 - propensity) / v)

    def observe_pair(
        self,
        epoch: int,
        champion_good: bool,
        challenger_good: bool,
        unit: int,
        *,
        differs: bool = False,
    ) -> None:
        """Take in both answers to one request, and whether they were foreseen to differ."""
        if differs:
            self.state.decided.update(champion_good != challenger_good)
        cell = 2 * champion_good + challenger_good
        self._table(epoch, PAIRED).counts[cell] += 1
        self.state.champion.update(champion_good)
        self.state.discordant.update(champion_good != challenger_good)
        if self.state.clustered is not None:
            v = self._clustered_variance(self._pair_variance(self.state.baselines[epoch]))
            h = self._values(PAIRED, 0.5, 0.0)[cell]
            self.state.clustered.update(unit, h / v, 1.0 / v)

    def settle(self, epoch: int, unit: int, champion_good: bool | None) -> None:
        """Take in a pair of equal answers; None: it has no label, and needs none."""
        self._table(epoch, PAIRED).settled += 1
        self.state.discordant.update(False)
        self.state.named_equal.update(champion_good is not None)
        if champion_good is not None:
            self.state.champion.update(champion_good)
        self._cluster_pair(epoch, 0.0, unit)

    def decide(self, epoch: int, champion_good: bool, challenger_good: bool, unit: int) -> None:
        """Take in a pair that differs and has its label, where equal answers need none."""
        self.state.decided.update(champion_good != challenger_good)
        self.state.discordant.update(champion_good != challenger_good)
        self.state.named_apart.update(True)
        self.state.apart.update(champion_good)
        self._table(epoch, PAIRED).counts[2 * champion_good + challenger_good] += 1
        d = (challenger_good - champion_good) / self._question.label_rate
        self._cluster_pair(epoch, d, unit)

    def pass_over(self, epoch: int, unit: int, *, is_drawn: bool, is_against: bool = False) -> None:
        """Take in a pair that differs and has no label that counts.

        One that was not drawn counts 0, those that were speak for it. One that was drawn counts 0
        too, or with ``is_against`` against every claim; units cannot be clustered then.
        """
        table = self._table(epoch, PAIRED)
        if is_drawn:
            self.state.named_apart.update(False)
        if is_drawn and is_against:
            assert self.state.clustered is None, "sums of units know no worst case of both sides"
            table.nameless += 1
        else:
            table.settled += 1
        self._cluster_pair(epoch, 0.0, unit)

    def _cluster_pair(self, epoch: int, d: float, unit: int) -> None:
        if self.state.clustered is not None:
            v = self._clustered_variance(self._pair_variance(self.state.baselines[epoch]))
            self.state.clustered.update(unit, d / v, 1.0 / v)

    def rates(self) -> tuple[float, float]:
        """Return the champion's rate of good answers and the discordance to bet with next."""
        q, champion = self._question, self.state.champion
        if self.state.apart.n:
            # Pairs that differ count as much as equal ones are labelled, or they would stand for
            # all of the champion's answers.
            equal = self.state.named_equal.estimate(0.0, 1e-9)
            among = self.state.named_apart.estimate(0.0, 1e-9)
            weight = min(1.0, equal / among) if among else 0.0
            apart = self.state.apart
            champion = Rate(champion.n + weight * apart.n, champion.hits + weight * apart.hits)
        good = champion.estimate(q.prior_good, q.prior_strength)
        if self.state.foreseen.n < self.state.discordant.n or not self.state.foreseen.n:
            return good, self.state.discordant.estimate(q.prior_discordance, q.pair_strength)
        # How many differ is known before the labels are, and of many more pairs.
        differing = self.state.foreseen.estimate(q.prior_discordance, q.pair_strength)
        return good, max(LEAST_VARIANCE, differing * self.state.decided.estimate(1.0, 10.0))

    def roll(self, baseline: Baseline | None = None) -> None:
        """Begin the next epoch, with bets from what was seen so far or from ``baseline``."""
        if baseline is None:
            good, discordance = self.rates()
            effect = self._question.effect_at(good)
            baseline = Baseline(good, discordance, effect, effect)
        else:
            self.state.discordant.decay()  # counted at a threshold that has moved
        self.state.baselines.append(baseline)
        self.state.champion.decay()
        self.state.apart.decay()

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
            process.add(table.epoch, self._products(table, "harm"), table.n)
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

    def n(self) -> int:
        """Return the observations that bear on the question: pairs, and answers by lot."""
        return sum(table.n for table in self.state.tables)

    def pairs(self) -> list[int]:
        """Return the cells of all pairs together, as in ``Table.cells``."""
        tables = [table.cells for table in self.state.tables if table.propensity == PAIRED]
        return [sum(cell) for cell in zip(*tables, strict=True)] or [0] * 6

    def goods(self, *, of_lots: bool = False) -> tuple[int, int, int, int]:
        """Return (champion good, champion all, challenger good, challenger all).

        ``of_lots``: without pairs, of which only some are labelled.
        """
        a = b = n_a = n_b = 0
        for table in self.state.tables:
            c = table.counts
            if table.propensity == PAIRED and of_lots:
                continue
            if table.propensity == PAIRED:
                a, b, n_a, n_b = a + c[2] + c[3], b + c[1] + c[3], n_a + sum(c), n_b + sum(c)
            else:
                a, b, n_a, n_b = a + c[1], b + c[3], n_a + c[0] + c[1], n_b + c[2] + c[3]
        return a, n_a, b, n_b

    def growth(self) -> float:
        """Return the mean gain of log evidence per observation if the effect is as declared.

        For the newest epoch and share, to second order in the bet on the declared effect.
        """
        if not self.state.tables:
            return 0.0
        table = max(self.state.tables, key=lambda t: t.epoch)
        baseline = self.state.baselines[table.epoch]
        if table.propensity == PAIRED:
            weight, variance = 1.0, self._pair_variance(baseline)
            spread = variance
        else:
            weight, variance = table.propensity * (1.0 - table.propensity), baseline.variance
            better = min(max(baseline.good + baseline.effect - self._question.margin, 0.0), 1.0)
            spread = 0.5 * (variance + better * (1.0 - better))  # of answers, if it is as declared
        lowest = min(self._values(table.propensity, baseline.good, self._question.margin))
        bet = clip_bets([baseline.effect / variance], lowest)[0]
        return bet * weight * (baseline.effect - 0.5 * bet * spread)

    def merge(self, other: "BinaryCheck") -> None:
        """Add another check's counts; ValueError if its epochs were bet on differently."""
        mine, theirs = self.state, other.state
        if mine.baselines != theirs.baselines:
            raise ValueError("epochs with different baselines cannot be merged")
        for table in theirs.tables:
            counts = self._table(table.epoch, table.propensity).counts
            for i, count in enumerate(table.counts):
                counts[i] += count
            own = self._table(table.epoch, table.propensity)
            own.settled, own.nameless = own.settled + table.settled, own.nameless + table.nameless
        for rate in ("apart", "named_equal", "named_apart"):
            getattr(mine, rate).merge(getattr(theirs, rate))
        mine.champion.merge(theirs.champion)
        mine.discordant.merge(theirs.discordant)
        mine.foreseen.merge(theirs.foreseen)
        mine.decided.merge(theirs.decided)
        if mine.clustered is not None and theirs.clustered is not None:
            mine.clustered.merge(theirs.clustered)

    def _table(self, epoch: int, propensity: float) -> Table:
        table = self._index.get((epoch, propensity))
        if table is None:
            is_lot = 0.0 < propensity < 1.0
            if not (is_lot or propensity == PAIRED) or not 0 <= epoch < len(self.state.baselines):
                raise ValueError(f"epoch {epoch!r} or propensity {propensity!r} out of range")
            table = Table(epoch, propensity, [0, 0, 0, 0])
            self._index[epoch, propensity] = table
            self.state.tables.append(table)
            self._earlier_sums.clear()
        elif table is not self.state.tables[-1]:
            self._earlier_sums.clear()
        return table

    def _clustered_variance(self, variance: float) -> float:
        """Return the variance for bucket sums: not below that of a rate as high as the margin.

        The normal form has no guarantee for rare events; measured, a challenger at the margin of
        an otherwise faultless champion would pass too often with the champion's own variance.
        """
        return max(variance, self._question.margin * (1.0 - self._question.margin))

    def _products(self, table: Table, side: str) -> list[float]:
        """Return the log-products of one table; remembered until its counts change."""
        key, counts = (table.epoch, table.propensity, side), table.cells
        seen = self._seen.get(key)
        if seen is not None and seen[0] == counts:
            return seen[1]
        products = self._computed(table, side)
        self._seen[key] = (counts, products)
        return products

    def _log_e(self, side: str) -> float:
        sign, shift = self._side(side)
        clustered = self.state.clustered
        if clustered is not None:
            read = clustered.claim_log_e if sign > 0.0 else clustered.harm_log_e
            return read(self.state.baselines[0].effect, shift)
        if not any(table.n for table in self.state.tables):
            return 0.0
        sums = self._earlier(side)
        last = self._products(self.state.tables[-1], side)
        return mix(self._log_weights, [a + b for a, b in zip(sums, last, strict=True)])

    def _earlier(self, side: str) -> list[float]:
        """Return the log-products of all tables but the last, added up in their order.

        Remembered until one of them changes: a look costs as much after a year as on the first day.
        """
        sums = self._earlier_sums.get(side)
        if sums is None:
            sums = [0.0] * len(self._log_weights)
            for table in self.state.tables[:-1]:
                products = self._products(table, side)
                sums = [a + b for a, b in zip(sums, products, strict=True)]
            self._earlier_sums[side] = sums
        return sums

    def _horizon_log_e(self, horizon: int) -> float:
        """Return the claim's evidence if it is to be decided within ``horizon`` observations.

        Both ends, S and V, are on the scale of effects: of bets that are right at the declared one.
        """
        counts: dict[int, int] = {}
        s = v = 0.0
        for table in self.state.tables:
            baseline, is_pair = self.state.baselines[table.epoch], table.propensity == PAIRED
            variance = self._pair_variance(baseline) if is_pair else baseline.variance
            bet = baseline.effect / variance
            values = self._values(table.propensity, baseline.good, self._question.margin)
            more = (self._question.margin, min(values))
            for h, count in zip((*values, *more), table.cells, strict=True):
                s += count * bet * h
                v += count * (bet * h) ** 2
            counts[table.epoch] = counts.get(table.epoch, 0) + table.n
        epoch = settled_epoch(counts, horizon)
        if epoch is None:
            return 0.0
        baseline = self.state.baselines[epoch]
        is_pair = any(table.propensity == PAIRED for table in self.state.tables)
        worth = 1.0 / self._pair_variance(baseline) if is_pair else 0.25 / baseline.variance
        return horizon_log_e(s, v, horizon * worth * baseline.effect**2, self._question.alpha)

    def _side(self, side: str) -> tuple[float, float]:
        """Return sign and shift: the side is evidence that sign * (effect + shift) > 0."""
        q = self._question
        if side == "futile":
            return -1.0, -(q.detect or 0.0)
        if side == "upper":
            return -1.0, -(q.within or 0.0)
        return (-1.0 if side == "harm" else 1.0), q.margin

    def _computed(self, table: Table, side: str) -> list[float]:
        """Return the log-products of one table from its counts, in the order of its cells."""
        products = [0.0] * len(self._logs(table, side)[0])
        for logs, count in zip(self._logs(table, side), table.cells, strict=True):
            if count:
                products = [p + count * log for p, log in zip(products, logs, strict=True)]
        return products

    def _logs(self, table: Table, side: str) -> list[list[float]]:
        """Return log(1 + bet * h) for every cell and bet; made once for a table."""
        key = (table.epoch, table.propensity, side)
        if key not in self._log_table:
            values, bets = self._bets_on(table, side)
            sign, shift = self._side(side)
            more = (sign * shift, min(values))
            self._log_table[key] = [[math.log1p(bet * h) for bet in bets] for h in (*values, *more)]
        return self._log_table[key]

    def _bets_on(self, table: Table, side: str) -> tuple[list[float], tuple[float, ...]]:
        """Return h of every cell, and the bets on it."""
        q, baseline = self._question, self.state.baselines[table.epoch]
        pi, is_pair = table.propensity, table.propensity == PAIRED
        sign, shift = self._side(side)
        is_ratio = side == "harm" and q.is_rare
        # Bets on ratios look at the bad answers alone: their baseline is "all are good".
        good = 1.0 if is_ratio else baseline.good
        values = [sign * h for h in self._values(pi, good, shift)]
        if is_ratio:
            bets = pair_bets(q.margin, q.scale) if is_pair else harm_bets(pi, q.margin, q.scale)
        else:
            variance = self._pair_variance(baseline) if is_pair else baseline.variance
            effect = baseline.harm_effect if side == "harm" else baseline.effect
            bets = grid_bets(effect, variance, min(values))
        return values, bets

    def _values(self, propensity: float, good: float, margin: float) -> tuple[float, ...]:
        return cell_values(propensity, good, margin, self._question)

    def _pair_variance(self, baseline: Baseline) -> float:
        """Return the variance of a pair's difference as it counts."""
        return baseline.discordance / self._question.label_rate

    def _moments(self, nameless: float = 0.0) -> tuple[float, float, float]:
        """Return S, V and W: sums of g = h / variance, of g^2, and of the weights.

        ``nameless``: the difference of pairs that should have a label, -1 to 1.
        """
        s = v = total = 0.0
        for table in self.state.tables:
            baseline, pi = self.state.baselines[table.epoch], table.propensity
            is_pair = pi == PAIRED
            variance = self._pair_variance(baseline) if is_pair else baseline.variance
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
