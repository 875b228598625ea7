"""What a comparison of numbers bets on: the question, and what is known before an epoch. Pure."""

import math
from dataclasses import dataclass

from msgspec import Struct, field

from evaluator.eprocess.normal import MIN_OBSERVATIONS
from evaluator.running import Moments, SignedHistogram

TAIL = 0.001
"""Numbers beyond the champion's earlier quantiles TAIL and 1 - TAIL are held back to them."""
VAGUE_SD = 0.25
"""Without a declared effect, a quarter of a standard deviation is looked for."""
STRENGTH = 20.0
"""Observations that the priors count for."""
_LEAST = 1e-9
_MOST = 1e18
"""As far as the histogram goes: squares of larger numbers would overflow."""


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
    label_rate: float | None = None
    """Labels are drawn with this probability and a proxy stands in for the others; None: no."""

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
    proxy_mean: float = 0.0
    """Of the champion's proxies: one that is wrong by a constant is as good as another."""

    def expected(self, x: float | None) -> float:
        """Return the baseline m for a request with the covariate ``x``, within the limits."""
        if x is None or not self.slope:
            return self.mean
        return self.held(self.mean + self.slope * (x - self.x_mean))

    def held(self, y: float) -> float:
        """Return ``y`` held back to the limits."""
        return min(self.high, max(self.low, y))


class Ground(Struct):
    """What is known of the champion and of pairs; later epochs are bet on with it."""

    champion: Moments
    pairs: Moments
    """Differences within pairs."""
    proxies: Moments
    """Labelled differences (y) and their proxies (x), split or paired."""
    powered: Moments
    """Prediction-powered differences, on the scale of one answer."""
    history: SignedHistogram
    """The champion's numbers of all time, for the limits; empty when bounded."""
    guesses: Moments = field(default_factory=Moments)
    """The champion's labelled numbers (y) and their proxies (x)."""

    @classmethod
    def empty(cls) -> "Ground":
        """Return one that has seen nothing."""
        return cls(Moments(), Moments(), Moments(), Moments(), SignedHistogram({}))

    def learn(self, y: float, x: float | None, base: Base, asked: Asked) -> None:
        """Take in a number of the champion, seen under the limits of ``base``."""
        self.champion.update(_held(base.held(y)), 0.0 if x is None else x)
        if not asked.is_bounded:
            self.history.update(y)

    def compare(
        self, truth: tuple[float | None, float | None], proxy: tuple[float | None, float | None]
    ) -> None:
        """Learn how well a proxy foretells, also before anything is bet; (champion, challenger).

        Pairs show it by their differences, which lots cannot: for those it is the champion's own
        numbers and proxies. Numbers have no limits yet; any slope is valid, a good one is better.
        """
        (y_a, y_b), (x_a, x_b) = truth, proxy
        if y_a is None or x_a is None:
            return
        self.guesses.update(_held(y_a), _held(x_a))
        if y_b is not None and x_b is not None:
            self.proxies.update(_held(y_b) - _held(y_a), _held(x_b) - _held(x_a))

    def base(self, asked: Asked, before: Base | None) -> Base:
        """Return what the next epoch is bet on with; ``before`` is the present one's, if any."""
        low, high = self._limits(asked, before)
        # Bins know nothing of covariates, so with one the moments stay as they are.
        is_first = before is not None and not before.is_ready and high < math.inf
        if is_first and not self.champion.xx:
            self.champion = self._winsorised(low, high)
        if not asked.is_bounded and self.history.n < MIN_OBSERVATIONS:
            return Base(False, 0.0, 1.0, 1.0, _effect(asked, 0.0, 1.0), -math.inf, math.inf)
        prior_mean, prior, strength = 0.5, 1.0 / 12.0, STRENGTH
        if not asked.is_bounded:
            # Of the past half is forgotten at each epoch; what it said last stands in for it.
            is_known = before is not None and before.is_ready
            prior_mean = before.mean if before is not None and is_known else 0.0
            prior = before.variance if before is not None and is_known else _LEAST
            strength = STRENGTH if is_known else 0.0
        mean = self.champion.mean(prior_mean, strength)
        variance = max(_LEAST, self.champion.variance(prior, strength))
        # Two independent answers differ with twice the variance; answers to one request by less.
        square = self.pairs.square(variance, STRENGTH)
        slope, x_mean = self.champion.slope(), 0.0
        if slope and self.champion.n:
            x_mean = self.champion.x / self.champion.n
            variance *= max(0.01, self.champion.unexplained())
        effect = _effect(asked, mean, variance)
        proxies = self.proxies if self.proxies.n >= STRENGTH else self.guesses
        if asked.label_rate is not None:
            # What is bet on is neither the number nor its proxy, but what is made of both: what
            # the proxy explains counts once, the rest as often as few labels have to stand for it.
            left = proxies.unexplained() if proxies.n >= STRENGTH else 1.0
            prior = variance * (1.0 - left + left / asked.label_rate)
            variance = square = self.powered.square(prior, STRENGTH)
        return Base(
            is_ready=True,
            mean=min(high, max(low, mean)),
            variance=variance,
            pair_square=max(_LEAST, min(square, 4.0 * variance)),
            effect=effect,
            low=low,
            high=high,
            slope=slope,
            x_mean=x_mean,
            proxy_slope=proxies.slope() if proxies.n >= STRENGTH else 0.0,
            proxy_mean=self.guesses.x / self.guesses.n if self.guesses.n else 0.0,
        )

    def decay(self) -> None:
        """Let the moments so far count half."""
        for moments in (self.champion, self.pairs, self.proxies, self.powered, self.guesses):
            moments.decay()

    def merge(self, other: "Ground") -> None:
        """Add what another one knows."""
        self.champion.merge(other.champion)
        self.pairs.merge(other.pairs)
        self.proxies.merge(other.proxies)
        self.powered.merge(other.powered)
        self.guesses.merge(other.guesses)
        self.history.merge(other.history)

    def _limits(self, asked: Asked, before: Base | None) -> tuple[float, float]:
        if asked.is_bounded:
            return 0.0, 1.0
        if self.history.n < MIN_OBSERVATIONS:
            return (-math.inf, math.inf) if before is None else (before.low, before.high)
        return self.history.quantile(TAIL), self.history.quantile(1.0 - TAIL)

    def _winsorised(self, low: float, high: float) -> Moments:
        """Return the champion's moments within the first limits, from the histogram's bins."""
        out, one = Moments(), SignedHistogram({})
        for index, count in self.history.bins.items():
            one.bins, one.n = {index: 1}, 1
            y = min(high, max(low, one.quantile(1.0)))
            out.merge(Moments(float(count), count * y, count * y * y))
        return out


def _held(y: float) -> float:
    return max(-_MOST, min(_MOST, y))


def _effect(asked: Asked, mean: float, variance: float) -> float:
    if asked.effect is not None:
        return asked.effect
    if asked.effect_relative is not None:
        return max(asked.effect_relative * abs(mean), 0.01 * math.sqrt(variance))
    return VAGUE_SD * math.sqrt(variance)
