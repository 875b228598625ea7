"""Counts of both variants' good answers: what a yes-or-no question is decided by. Pure.

Per epoch and propensity, how often each variant's answer was good. Counts add up, so the order of
arrival does not matter. What they prove is in evaluator/binary.py.
"""

from msgspec import Struct, field

from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.question import LEAST_VARIANCE, PAIRED, Baseline, Question, Table, cell_values
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


class Tally:
    """Counts answers to one question, and knows from them what to bet on next.

    Units that send many requests are summed besides, see ClusteredEProcess.
    """

    def __init__(self, question: Question, state: BinaryState) -> None:
        self._question = question
        self.state = state
        self._index = {(t.epoch, t.propensity): t for t in state.tables}
        self.n_changes = 0
        """How often a table was added, or another than the last one changed."""

    # Lots and the champion alone.

    def learn(self, is_good: bool) -> None:
        """Take in a champion's answer that proves nothing but tells its rate."""
        self.state.champion.update(is_good)

    def observe_split(
        self, epoch: int, propensity: float, is_challenger: bool, is_good: bool, unit: int
    ) -> None:
        """Take in the answer of one variant, drawn by lot with ``propensity``."""
        cell = 2 * is_challenger + is_good
        self._table(epoch, propensity).counts[cell] += 1
        if not is_challenger:
            self.state.champion.update(is_good)
        if self.state.clustered is not None:
            q, baseline = self._question, self.state.baselines[epoch]
            v = q.clustered_variance(baseline.variance)
            h = cell_values(propensity, baseline.good, 0.0, q)[cell]
            self.state.clustered.update(unit, h / v, propensity * (1.0 - propensity) / v)

    # Pairs.

    def foresee(self, differs: bool) -> None:
        """Take in whether a pair's answers differ, before anybody knows which is right."""
        self.state.foreseen.update(differs)

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
            q = self._question
            v = q.clustered_variance(q.pair_variance(self.state.baselines[epoch]))
            h = cell_values(PAIRED, 0.5, 0.0, q)[cell]
            self.state.clustered.update(unit, h / v, 1.0 / v)

    # Pairs where only those that differ need a label.

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

    # What is known of them.

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

    def merge(self, other: "Tally") -> None:
        """Add another one's counts; ValueError if its epochs were bet on differently."""
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
            self.n_changes += 1
        elif table is not self.state.tables[-1]:
            self.n_changes += 1
        return table

    def _cluster_pair(self, epoch: int, d: float, unit: int) -> None:
        if self.state.clustered is not None:
            q = self._question
            v = q.clustered_variance(q.pair_variance(self.state.baselines[epoch]))
            self.state.clustered.update(unit, d / v, 1.0 / v)
