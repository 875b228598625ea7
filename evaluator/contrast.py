"""The mean of one number, compared between the variants. Pure.

Numbers come in so that higher is better; bounded ones in [0, 1]. What a metric's numbers are, and
in which unit people see them, is decided in evaluator/mean.py.
"""

import math

from msgspec import Struct

from evaluator.confseq import Interval, normal_interval
from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.eprocess.effect import effect_log_e, restarted_effect_log_e
from evaluator.eprocess.horizon import horizon_log_e, settled_epoch
from evaluator.eprocess.mixture import GRID, grid_bets, log_weights, mix
from evaluator.eprocess.normal import MIN_OBSERVATIONS
from evaluator.eprocess.restart import RestartedEProcess
from evaluator.ground import Asked, Base, Ground, Side

PAIRED = -1.0
"""Stands in the place of the propensity among the sums of pairs."""


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


class ContrastState(Struct):
    """All that a Contrast remembers."""

    bases: list[Base]
    sums: list[Sums]
    ground: Ground
    clustered: ClusteredEProcess | None


class Contrast:
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
        self._asked = asked
        self.state = state
        self._sides = asked.sides()
        self._log_weights = log_weights(is_vague=asked.is_vague)
        self._index = {(t.epoch, t.propensity): t for t in state.sums}
        self._cards: dict[tuple[int, float], list[tuple[float, float, tuple[float, ...]]]] = {}

    @classmethod
    def fresh(cls, asked: Asked, *, is_clustered: bool) -> "Contrast":
        """Return one that has seen nothing; unbounded ones bet from the second epoch on."""
        clustered = ClusteredEProcess.empty() if is_clustered else None
        state = ContrastState([], [], Ground.empty(), clustered)
        state.bases.append(state.ground.base(asked, None))
        return cls(asked, state)

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
        self._show(sums, is_challenger, value)
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
        self._show(sums, False, a)
        self._show(sums, True, b)
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
                    self._show(sums, is_challenger, base.held(y))
            if propensity == PAIRED:
                self.state.ground.pairs.update(h)
            self.learn(truth[0])
        self.state.ground.powered.update(g / math.sqrt(_weight(propensity)))
        self._take(sums, base, g, unit)

    def roll(self) -> None:
        """Begin the next epoch, with bets from what was seen so far."""
        self.state.bases.append(self.state.ground.base(self._asked, self.state.bases[-1]))
        self.state.ground.decay()

    # Evidence out.

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
            variance, a = _variance(base, sums.propensity), _weight(sums.propensity)
            s += sums.s / variance
            v += sums.v / variance**2
            total += sums.n * a / variance
        return normal_interval(s, v, total, detect=detect, alpha=alpha, limit=limit)

    def n(self) -> int:
        """Return the observations that bear on the question."""
        return sum(sums.n for sums in self.state.sums)

    def means(self) -> tuple[float, int, float, int]:
        """Return (champion mean, its n, challenger mean, its n), 0.0 where n is 0."""
        n_a, n_b = (sum(getattr(t, name) for t in self.state.sums) for name in ("n_a", "n_b"))
        y_a, y_b = (math.fsum(getattr(t, name) for t in self.state.sums) for name in ("y_a", "y_b"))
        return y_a / n_a if n_a else 0.0, n_a, y_b / n_b if n_b else 0.0, n_b

    def growth(self) -> float:
        """Return the mean gain of log evidence per observation if the effect is as declared."""
        if not self.state.sums:
            return 0.0
        sums = max(self.state.sums, key=lambda t: t.epoch)
        base = self.state.bases[sums.epoch]
        return 0.5 * base.effect**2 * _weight(sums.propensity) / _variance(base, sums.propensity)

    def is_ready(self) -> bool:
        """Whether bets are placed in the present epoch."""
        return self.state.bases[-1].is_ready

    def merge(self, other: "Contrast") -> None:
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

    # One observation.

    def _first_base(self) -> Base:
        """Return the first base that was bet on, whose effect no later data moves."""
        return next((b for b in self.state.bases if b.is_ready), self.state.bases[-1])

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

    def _show(self, sums: Sums, is_challenger: bool, y: float) -> None:
        if is_challenger:
            sums.n_b, sums.y_b = sums.n_b + 1, sums.y_b + y
        else:
            sums.n_a, sums.y_a = sums.n_a + 1, sums.y_a + y

    def _take(self, sums: Sums, base: Base, h: float, unit: int) -> None:
        if not base.is_ready:
            return
        sums.n += 1
        sums.s += h
        sums.v += h * h
        a = _weight(sums.propensity)
        if self.state.clustered is not None:
            variance = _variance(base, sums.propensity)
            self.state.clustered.update(unit, h / variance, a / variance)
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
            base, a = self.state.bases[epoch], _weight(propensity)
            low, high = _h_range(base, propensity)
            variance = _variance(base, propensity)
            card = []
            for side in self._sides.values():
                lowest = min(
                    side.sign * (low + a * side.shift), side.sign * (high + a * side.shift)
                )
                bets = grid_bets(base.effect, variance, lowest)
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
        variance, a = (base.pair_square, 1.0) if is_pair else (base.variance, 0.25)
        return horizon_log_e(
            math.fsum(part[0] for part in epochs.values()),
            math.fsum(part[1] for part in epochs.values()),
            horizon * a * base.effect**2 / variance,
            self._asked.alpha,
        )

    def _information(self, side: Side) -> dict[int, tuple[float, float]]:
        """Return S and V of every epoch, on the scale of effects."""
        epochs: dict[int, tuple[float, float]] = {}
        for sums in self.state.sums:
            base = self.state.bases[sums.epoch]
            a, bet = _weight(sums.propensity), base.effect / _variance(base, sums.propensity)
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

    def balanced(self) -> float:
        """Return observations, each counted as the part of a balanced one that it is worth."""
        return math.fsum(
            t.n * (1.0 if t.propensity == PAIRED else 4.0 * _weight(t.propensity))
            for t in self.state.sums
        )


def _variance(base: Base, propensity: float) -> float:
    return base.pair_square if propensity == PAIRED else base.variance


def _weight(propensity: float) -> float:
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
