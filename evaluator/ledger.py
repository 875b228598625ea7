"""Sums of both variants' numbers: what a comparison of their means is decided by. Pure.

Numbers come in so that higher is better; bounded ones in [0, 1]. What the sums prove is in
evaluator/contrast.py.
"""

import math

from msgspec import Struct

from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.eprocess.mixture import GRID, grid_bets
from evaluator.ground import Asked, Base, Ground
from evaluator.question import PAIRED


class Sums(Struct):
    """Sums of one epoch at one propensity."""

    epoch: int
    propensity: float
    products: list[list[float]]
    """Bounded: the log-products of every side's bets, by side in the order of Asked.sides."""
    n: int = 0
    s: float = 0.0
    """Sum of h, without margin."""
    v: float = 0.0
    """Sum of h squared."""
    n_a: int = 0
    y_a: float = 0.0
    n_b: int = 0
    y_b: float = 0.0

    def show(self, is_challenger: bool, y: float) -> None:
        """Take in a number for the variant's mean."""
        if is_challenger:
            self.n_b, self.y_b = self.n_b + 1, self.y_b + y
        else:
            self.n_a, self.y_a = self.n_a + 1, self.y_a + y


class ContrastState(Struct):
    """All that a Contrast remembers."""

    bases: list[Base]
    sums: list[Sums]
    ground: Ground
    clustered: ClusteredEProcess | None


class Ledger:
    """Books numbers in the sums of their epoch and share, with the bets that are fixed for them.

    What is asked is in ``asked``, what is remembered in ``state``; sums of two ledgers add.
    """

    def __init__(self, asked: Asked, state: ContrastState) -> None:
        self._asked = asked
        self.state = state
        self._sides = asked.sides()
        self._index = {(t.epoch, t.propensity): t for t in state.sums}
        self._cards: dict[tuple[int, float], list[tuple[float, float, tuple[float, ...]]]] = {}

    # Observations in.

    def learn(self, y: float | None, x: float | None = None) -> None:
        """Take in a champion's number that proves nothing but tells where numbers lie."""
        if y is None:
            return
        self.state.ground.learn(y, x, self.state.bases[-1], self._asked)

    def observe_split(
        self,
        epoch: int,
        propensity: float,
        is_challenger: bool,
        y: float | None,
        unit: int,
        x: float | None = None,
    ) -> None:
        """Take in the number of one variant, drawn by lot; None counts as the worst there is."""
        sums = self._sums(epoch, propensity)
        base, value = self.state.bases[epoch], self._value(epoch, y)
        sums.show(is_challenger, value)
        h = (is_challenger - propensity) * (value - base.expected(x))
        self._take(sums, base, h, unit)
        if not is_challenger:
            self.learn(y, x)

    def observe_pair(
        self, epoch: int, champion: float | None, challenger: float | None, unit: int
    ) -> None:
        """Take in both numbers of one request; None counts as the worst there is."""
        base = self.state.bases[epoch]
        a, b = self._value(epoch, champion), self._value(epoch, challenger)
        sums = self._sums(epoch, PAIRED)
        sums.show(False, a)
        sums.show(True, b)
        self._take(sums, base, b - a, unit)
        if base.is_ready:  # before, nothing holds a huge number back
            self.state.ground.pairs.update(b - a)
        self.learn(champion)

    def observe_proxied(
        self,
        epoch: int,
        propensity: float,
        unit: int,
        *,
        proxy: tuple[float | None, float | None],
        truth: tuple[float | None, float | None] | None,
        rate: float,
    ) -> None:
        """Take in a proxy of each variant's number, and the truth if it was drawn with ``rate``.

        A lot that was not drawn is None on that side of ``proxy`` and ``truth``; pairs have both
        and the propensity PAIRED. ``truth`` is None when no label was drawn.
        """
        sums = self._sums(epoch, propensity)
        base = self.state.bases[epoch]
        if not base.is_ready:
            if truth is not None:
                self.state.ground.compare(truth, proxy)
                self.learn(truth[0])
            return
        f = self._difference(base, propensity, proxy, base.proxy_mean)
        g = base.proxy_slope * f
        if truth is not None:
            h = self._difference(base, propensity, truth, base.mean)
            g += (h - base.proxy_slope * f) / rate
            self.state.ground.proxies.update(h, f)
            if truth[0] is not None and proxy[0] is not None:
                self.state.ground.guesses.update(base.held(truth[0]), base.held(proxy[0]))
            for is_challenger, y in zip((False, True), truth, strict=True):
                if y is not None:
                    sums.show(is_challenger, base.held(y))
            if propensity == PAIRED:
                self.state.ground.pairs.update(h)
            self.learn(truth[0])
        self.state.ground.powered.update(g / math.sqrt(weight(propensity)))
        self._take(sums, base, g, unit)

    def roll(self) -> None:
        """Begin the next epoch, with bets from what was seen so far."""
        self.state.bases.append(self.state.ground.base(self._asked, self.state.bases[-1]))
        self.state.ground.decay()

    def merge(self, other: "Ledger") -> None:
        """Add another one's sums; ValueError if its epochs were bet on differently."""
        mine, theirs = self.state, other.state
        if mine.bases != theirs.bases:
            raise ValueError("epochs with different baselines cannot be merged")
        for added in theirs.sums:
            sums = self._sums(added.epoch, added.propensity)
            for kept, more in zip(sums.products, added.products, strict=True):
                kept[:] = [a + b for a, b in zip(kept, more, strict=True)]
            for name in ("n", "s", "v", "n_a", "y_a", "n_b", "y_b"):
                setattr(sums, name, getattr(sums, name) + getattr(added, name))
        mine.ground.merge(theirs.ground)
        if mine.clustered is not None and theirs.clustered is not None:
            mine.clustered.merge(theirs.clustered)

    # What is known of them.

    def n(self) -> int:
        """Return the observations that bear on the question."""
        return sum(sums.n for sums in self.state.sums)

    def means(self) -> tuple[float, int, float, int]:
        """Return (champion mean, its n, challenger mean, its n), 0.0 where n is 0."""
        n_a, n_b = (sum(getattr(t, name) for t in self.state.sums) for name in ("n_a", "n_b"))
        y_a, y_b = (math.fsum(getattr(t, name) for t in self.state.sums) for name in ("y_a", "y_b"))
        return y_a / n_a if n_a else 0.0, n_a, y_b / n_b if n_b else 0.0, n_b

    def balanced(self) -> float:
        """Return observations, each counted as the part of a balanced one that it is worth."""
        return math.fsum(
            t.n * (1.0 if t.propensity == PAIRED else 4.0 * weight(t.propensity))
            for t in self.state.sums
        )

    def is_ready(self) -> bool:
        """Whether bets are placed in the present epoch."""
        return self.state.bases[-1].is_ready

    # One observation.

    def _value(self, epoch: int, y: float | None) -> float:
        base = self.state.bases[epoch]
        if y is None:
            return base.low if base.is_ready else 0.0
        if self._asked.is_bounded and not 0.0 <= y <= 1.0:
            raise ValueError(f"number must be in [0, 1], got {y!r}")
        if not math.isfinite(y):
            raise ValueError(f"number must be finite, got {y!r}")
        return base.held(y)

    def _difference(
        self,
        base: Base,
        propensity: float,
        sides: tuple[float | None, float | None],
        expected: float,
    ) -> float:
        """Return h of a pair or a lot; ``expected`` is what the champion's is, of a lot."""
        a, b = (None if y is None else base.held(y) for y in sides)
        if propensity == PAIRED:
            return (base.low if b is None else b) - (base.low if a is None else a)
        if b is not None:
            return (1.0 - propensity) * (b - expected)
        return 0.0 if a is None else -propensity * (a - expected)

    def _take(self, sums: Sums, base: Base, h: float, unit: int) -> None:
        if not base.is_ready:
            return
        sums.n += 1
        sums.s += h
        sums.v += h * h
        a = weight(sums.propensity)
        if self.state.clustered is not None:
            square = variance(base, sums.propensity)
            self.state.clustered.update(unit, h / square, a / square)
        elif self._asked.is_bounded:
            for products, (sign, offset, bets) in zip(
                sums.products, self._card(sums.epoch, sums.propensity), strict=True
            ):
                moved = sign * (h + offset)
                for k, bet in enumerate(bets):
                    products[k] += math.log1p(bet * moved)

    def _card(self, epoch: int, propensity: float) -> list[tuple[float, float, tuple[float, ...]]]:
        """Return (sign, shift on the scale of h, bets) for every side; made once an epoch."""
        card = self._cards.get((epoch, propensity))
        if card is None:
            base, a = self.state.bases[epoch], weight(propensity)
            low, high = _h_range(base, propensity)
            square = variance(base, propensity)
            card = []
            for side in self._sides.values():
                lowest = min(
                    side.sign * (low + a * side.shift), side.sign * (high + a * side.shift)
                )
                bets = grid_bets(base.effect, square, lowest)
                card.append((side.sign, a * side.shift, bets))
            self._cards[epoch, propensity] = card
        return card

    def _sums(self, epoch: int, propensity: float) -> Sums:
        sums = self._index.get((epoch, propensity))
        if sums is None:
            is_lot = 0.0 < propensity < 1.0
            if not (is_lot or propensity == PAIRED) or not 0 <= epoch < len(self.state.bases):
                raise ValueError(f"epoch {epoch!r} or propensity {propensity!r} out of range")
            is_counted = self._asked.is_bounded and self.state.clustered is None
            products = [[0.0] * len(GRID) for _ in self._sides] if is_counted else []
            sums = Sums(epoch, propensity, products)
            self._index[epoch, propensity] = sums
            self.state.sums.append(sums)
        return sums


def variance(base: Base, propensity: float) -> float:
    """Return the variance of one answer, or the mean square of a pair's difference."""
    return base.pair_square if propensity == PAIRED else base.variance


def weight(propensity: float) -> float:
    """Return how much of the effect one h is on average."""
    return 1.0 if propensity == PAIRED else propensity * (1.0 - propensity)


def _h_range(base: Base, propensity: float) -> tuple[float, float]:
    """Return the least and largest h of a bounded number."""
    if propensity == PAIRED:
        return -1.0, 1.0
    pi = propensity
    if base.slope:  # m may lie anywhere between the limits
        return -max(pi, 1.0 - pi), max(pi, 1.0 - pi)
    m = base.mean
    return -max((1.0 - pi) * m, pi * (1.0 - m)), max((1.0 - pi) * (1.0 - m), pi * m)
