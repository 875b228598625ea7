"""What bets on the answers to a yes-or-no question have come to: log-products of counts. Pure."""

import math

from evaluator.eprocess.mixture import grid_bets
from evaluator.eprocess.relative_risk import harm_bets, pair_bets
from evaluator.question import PAIRED, Question, Table, cell_values
from evaluator.tally import Tally


class Products:
    """Logarithms of the product of 1 + bet * h over all answers of a table, one for each bet.

    A side (claim, harm, futile, upper) is bet on for itself. What was computed is remembered until
    the counts change: a look costs as much after a year as on the first day.
    """

    def __init__(self, question: Question, tally: Tally) -> None:
        self._question = question
        self._tally = tally
        self._seen: dict[tuple[int, float, str], tuple[tuple[int, ...], list[float]]] = {}
        self._log_table: dict[tuple[int, float, str], list[list[float]]] = {}
        self._earlier_sums: dict[str, list[float]] = {}
        self._n_changes = 0

    def total(self, side: str) -> list[float]:
        """Return the log-products of all tables together; there must be one."""
        last = self.of(self._tally.state.tables[-1], side)
        return [a + b for a, b in zip(self._earlier(side, len(last)), last, strict=True)]

    def of(self, table: Table, side: str) -> list[float]:
        """Return the log-products of one table; remembered until its counts change."""
        key, counts = (table.epoch, table.propensity, side), table.cells
        seen = self._seen.get(key)
        if seen is not None and seen[0] == counts:
            return seen[1]
        products = self._computed(table, side)
        self._seen[key] = (counts, products)
        return products

    def _earlier(self, side: str, n_bets: int) -> list[float]:
        """Return the log-products of all tables but the last, added up in their order."""
        if self._n_changes != self._tally.n_changes:
            self._n_changes = self._tally.n_changes
            self._earlier_sums.clear()
        sums = self._earlier_sums.get(side)
        if sums is None:
            sums = [0.0] * n_bets
            for table in self._tally.state.tables[:-1]:
                products = self.of(table, side)
                sums = [a + b for a, b in zip(sums, products, strict=True)]
            self._earlier_sums[side] = sums
        return sums

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
            sign, shift = self._question.side(side)
            more = (sign * shift, min(values))
            self._log_table[key] = [[math.log1p(bet * h) for bet in bets] for h in (*values, *more)]
        return self._log_table[key]

    def _bets_on(self, table: Table, side: str) -> tuple[list[float], tuple[float, ...]]:
        """Return h of every cell, and the bets on it."""
        q, baseline = self._question, self._tally.state.baselines[table.epoch]
        pi, is_pair = table.propensity, table.propensity == PAIRED
        sign, shift = q.side(side)
        is_ratio = side == "harm" and q.is_rare
        # Bets on ratios look at the bad answers alone: their baseline is "all are good".
        good = 1.0 if is_ratio else baseline.good
        values = [sign * h for h in cell_values(pi, good, shift, q)]
        if is_ratio:
            bets = pair_bets(q.margin, q.scale) if is_pair else harm_bets(pi, q.margin, q.scale)
        else:
            effect = baseline.harm_effect if side == "harm" else baseline.effect
            bets = grid_bets(effect, q.variance(baseline, pi), min(values))
        return values, bets
