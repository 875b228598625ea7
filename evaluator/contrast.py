"""The mean of one number, compared between the variants. Pure.

Numbers come in so that higher is better; bounded ones in [0, 1]. What a metric's numbers are, and
in which unit people see them, is decided in evaluator/mean.py.
"""

import math
from dataclasses import dataclass

from msgspec import Struct

from evaluator.confseq import Interval, normal_interval
from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.eprocess.effect import effect_log_e, restarted_effect_log_e
from evaluator.eprocess.horizon import horizon_log_e, settled_epoch
from evaluator.eprocess.mixture import GRID, grid_bets, log_weights, mix
from evaluator.eprocess.normal import MIN_OBSERVATIONS
from evaluator.eprocess.restart import RestartedEProcess
from evaluator.running import Moments, SignedHistogram

PAIRED = -1.0
"""Stands in the place of the propensity among the sums of pairs."""
TAIL = 0.001
"""Numbers beyond the champion's earlier quantiles TAIL and 1 - TAIL are held back to them."""
VAGUE_SD = 0.25
"""Without a declared effect, a quarter of a standard deviation is looked for."""
STRENGTH = 20.0
"""Observations that the priors count for."""
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Side:
    """One hypothesis: evidence that ``sign`` * (effect + ``shift``) is positive."""

    sign: float
    shift: float
    is_restarted: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about the number, once for an experiment."""

    margin: float
    """The claim is "effect > -margin", harm is "effect < -margin"; 0 or more."""
    effect: float | None
    """The difference to bet on, above -margin. None: relative to the champion's mean, or vague."""
    effect_relative: float | None = None
    """The same as a share of the champion's mean; for relative margins."""
    is_bounded: bool = False
    """Numbers lie in [0, 1]: exact bets. Otherwise they are winsorised: normal form."""
    detect: float | None = None
    """Futility is evidence that the effect is below this; None looks for none."""
    within: float | None = None
    """The second half of "no worse and no better than by this"; None asks for the first alone."""
    horizon: int | None = None
    """Pairs, or lots at a share of a half, after which the claim is given up."""
    alpha: float = 0.05
    """Of a claim with a horizon: its boundary is made for it."""

    @property
    def is_vague(self) -> bool:
        """Whether nobody declared an effect."""
        return self.effect is None and self.effect_relative is None

    def sides(self) -> dict[str, Side]:
        """Return the hypotheses by name."""
        sides = {"claim": Side(1.0, self.margin), "harm": Side(-1.0, self.margin, True)}
        if self.detect is not None:
            sides["futile"] = Side(-1.0, -self.detect)
        if self.within is not None:
            sides["upper"] = Side(-1.0, -self.within)
        return sides


class Base(Struct, frozen=True, array_like=True):
    """What an epoch's bets are made from: known before the epoch begins."""

    is_ready: bool
    """Whether enough of the champion was seen to bet at all."""
    mean: float
    variance: float
    """Of one answer around what is expected of it."""
    pair_square: float
    """Mean of the squared difference within a pair."""
    effect: float
    low: float
    high: float
    """Numbers are held back to these; a missing one counts as ``low``."""
    slope: float = 0.0
    """Of the number on its covariate."""
    x_mean: float = 0.0
    proxy_slope: float = 0.0
    """How much of a proxy's difference the number's own difference follows."""

    def expected(self, x: float | None) -> float:
        """Return the baseline m for a request with the covariate ``x``, within the limits."""
        if x is None or not self.slope:
            return self.mean
        return min(self.high, max(self.low, self.mean + self.slope * (x - self.x_mean)))


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
    champion: Moments
    pairs: Moments
    proxies: Moments
    """Labelled differences (y) and their proxies (x), split or paired."""
    history: SignedHistogram
    """The champion's numbers of all time, for the limits; empty when bounded."""
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
        state = ContrastState(
            [],
            [],
            Moments(),
            Moments(),
            Moments(),
            SignedHistogram({}),
            ClusteredEProcess.empty() if is_clustered else None,
        )
        one = cls(asked, state)
        state.bases.append(one._base())
        return one

    # Observations in.

    def learn(self, y: float | None, x: float | None = None) -> None:
        """Take in a champion's number that proves nothing but tells where numbers lie."""
        if y is None:
            return
        base = self.state.bases[-1]
        self.state.champion.update(_held(y, base), 0.0 if x is None else x)
        if not self._asked.is_bounded:
            self.state.history.update(y)

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
        self.state.pairs.update(b - a)
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
        base = self.state.bases[epoch]
        sums = self._sums(epoch, propensity)
        f = self._difference(base, propensity, proxy)
        g = base.proxy_slope * f
        if truth is not None:
            h = self._difference(base, propensity, truth)
            g += (h - base.proxy_slope * f) / rate
            self.state.proxies.update(h, f)
            for is_challenger, y in zip((False, True), truth, strict=True):
                if y is not None:
                    self._show(sums, is_challenger, _held(y, base))
            if propensity == PAIRED:
                self.state.pairs.update(h)
            self.learn(truth[0])
        self._take(sums, base, g, unit)

    def roll(self) -> None:
        """Begin the next epoch, with bets from what was seen so far."""
        state = self.state
        was_ready = state.bases[-1].is_ready
        # Bins know nothing of covariates, so with one the moments stay as they are.
        if not was_ready and state.history.n >= MIN_OBSERVATIONS and not state.champion.xx:
            state.champion = self._winsorised()
        state.bases.append(self._base())
        for moments in (state.champion, state.pairs, state.proxies):
            moments.decay()

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
            variance, a = self._variance(base, sums.propensity), _weight(sums.propensity)
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
        return (
            0.5 * base.effect**2 * _weight(sums.propensity) / self._variance(base, sums.propensity)
        )

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
        mine.champion.merge(theirs.champion)
        mine.pairs.merge(theirs.pairs)
        mine.proxies.merge(theirs.proxies)
        mine.history.merge(theirs.history)
        if mine.clustered is not None and theirs.clustered is not None:
            mine.clustered.merge(theirs.clustered)

    # What an epoch bets on.

    def _base(self) -> Base:
        state, asked = self.state, self._asked
        low, high = self._limits()
        prior_mean, prior = (0.5, 1.0 / 12.0) if asked.is_bounded else (0.0, _LEAST)
        strength = STRENGTH if asked.is_bounded else 0.0
        if not asked.is_bounded and state.champion.n < MIN_OBSERVATIONS / 2:
            return Base(False, 0.0, 1.0, 1.0, self._effect(0.0, 1.0), -math.inf, math.inf)
        mean = state.champion.mean(prior_mean, strength)
        variance = max(_LEAST, state.champion.variance(prior, strength))
        # Two independent answers differ with twice the variance; answers to one request by less.
        square = state.pairs.square(variance, STRENGTH)
        slope, x_mean = state.champion.slope(), 0.0
        if slope and state.champion.n:
            x_mean = state.champion.x / state.champion.n
            variance *= max(0.01, state.champion.unexplained())
        return Base(
            is_ready=True,
            mean=min(high, max(low, mean)),
            variance=variance,
            pair_square=max(_LEAST, min(square, 4.0 * variance)),
            effect=self._effect(mean, variance),
            low=low,
            high=high,
            slope=slope,
            x_mean=x_mean,
            proxy_slope=state.proxies.slope() if state.proxies.n >= STRENGTH else 0.0,
        )

    def _effect(self, mean: float, variance: float) -> float:
        asked = self._asked
        if asked.effect is not None:
            return asked.effect
        if asked.effect_relative is not None:
            return max(asked.effect_relative * abs(mean), 0.01 * math.sqrt(variance))
        return VAGUE_SD * math.sqrt(variance)

    def _limits(self) -> tuple[float, float]:
        if self._asked.is_bounded:
            return 0.0, 1.0
        history = self.state.history
        if history.n < MIN_OBSERVATIONS:
            last = self.state.bases[-1:]
            return (last[0].low, last[0].high) if last else (-math.inf, math.inf)
        return history.quantile(TAIL), history.quantile(1.0 - TAIL)

    def _winsorised(self) -> Moments:
        """Return the champion's moments within the first limits, from the histogram's bins."""
        low, high = self._limits()
        out, one = Moments(), SignedHistogram({})
        for index, count in self.state.history.bins.items():
            one.bins, one.n = {index: 1}, 1
            y = min(high, max(low, one.quantile(1.0)))
            out.merge(Moments(float(count), count * y, count * y * y))
        return out

    def _variance(self, base: Base, propensity: float) -> float:
        return base.pair_square if propensity == PAIRED else base.variance

    def _first_base(self) -> Base:
        """Return the first base that was bet on, whose effect no later data moves."""
        return next((b for b in self.state.bases if b.is_ready), self.state.bases[-1])

    # One observation.

    def _value(self, epoch: int, y: float | None) -> float:
        base = self.state.bases[epoch]
        if y is None:
            return base.low if base.is_ready else 0.0
        if self._asked.is_bounded and not 0.0 <= y <= 1.0:
            raise ValueError(f"number must be in [0, 1], got {y!r}")
        if not math.isfinite(y):
            raise ValueError(f"number must be finite, got {y!r}")
        return _held(y, base)

    def _difference(
        self, base: Base, propensity: float, sides: tuple[float | None, float | None]
    ) -> float:
        a, b = (None if y is None else _held(y, base) for y in sides)
        if propensity == PAIRED:
            return (base.low if b is None else b) - (base.low if a is None else a)
        if b is not None:
            return (1.0 - propensity) * (b - base.mean)
        return 0.0 if a is None else -propensity * (a - base.mean)

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
            variance = self._variance(base, sums.propensity)
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
            variance = self._variance(base, propensity)
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
            a, bet = _weight(sums.propensity), base.effect / self._variance(base, sums.propensity)
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


def _held(y: float, base: Base) -> float:
    return min(base.high, max(base.low, y))


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
