"""A yes-or-no question about both variants, and what one answer says about it. Pure."""

from dataclasses import dataclass

from msgspec import Struct

PAIRED = -1.0
"""Stands in the place of the propensity in a table of pairs."""

LEAST_VARIANCE = 1e-6
"""Of one answer or of a pair's difference: bets stay finite where all answers are good."""
_LEAST_EFFECT = 1e-5


class Baseline(Struct, frozen=True, array_like=True):
    """What an epoch's bets are made from: known before the epoch begins."""

    good: float
    """The champion's rate of good answers, in (0, 1)."""
    discordance: float
    """Share of pairs on which the variants differ, in (0, 1)."""
    effect: float
    """The difference to bet on, above -margin."""
    harm_effect: float

    @property
    def variance(self) -> float:
        """Of one answer."""
        return max(self.good * (1.0 - self.good), LEAST_VARIANCE)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, once for an experiment."""

    effect: float
    """The difference to detect, above -margin: positive, absolute."""
    is_vague: bool
    """Nobody declared the effect, so bets are spread wider."""
    margin: float
    """The claim is "effect > -margin", harm is "effect < -margin"; 0 or more."""
    is_rare: bool
    """Bad answers are rare: harm bets on ratios of their rates, from the bad answers alone."""
    prior_good: float
    """Rate of good answers to bet with before any were seen."""
    prior_discordance: float
    """Share of pairs that differ, likewise."""
    prior_strength: float
    """Answers that the first prior counts for."""
    pair_strength: float = 60.0
    """Pairs that the second one counts for. Measured with pairs of 5 to 17 % discordance: too few
    pairs know it too badly, and a bet on half the true discordance costs more than one on twice."""
    scale: float = 1.0
    """For a margin relative to the champion's rate: what counts of the challenger is divided by it
    (1 + margin for a rate of bad answers, 1 - margin for one of good ones)."""
    detect: float | None = None
    """Futility is evidence that the effect is below this; None looks for none."""
    within: float | None = None
    """The second half of "no worse and no better than by this"; None asks for the first alone."""
    horizon: int | None = None
    """Pairs, or lots at a share of a half, after which the claim is given up."""
    alpha: float = 0.05
    """Of a claim with a horizon: its boundary is made for it."""
    label_rate: float = 1.0
    """Pairs that differ are labelled if a lot of this probability says so, and their difference
    then counts 1 / label_rate; 1: all of them are."""

    def effect_at(self, good: float) -> float:
        """Return the difference to bet on when the champion's rate of good answers is ``good``."""
        if self.scale == 1.0:
            return self.effect
        return max(_LEAST_EFFECT, abs(self.scale - 1.0) * (1.0 - good if self.is_rare else good))

    def side(self, name: str) -> tuple[float, float]:
        """Return sign and shift: the side is evidence that sign * (effect + shift) > 0."""
        if name == "futile":
            return -1.0, -(self.detect or 0.0)
        if name == "upper":
            return -1.0, -(self.within or 0.0)
        return (-1.0 if name == "harm" else 1.0), self.margin

    def pair_variance(self, baseline: Baseline) -> float:
        """Return the variance of a pair's difference as it counts."""
        return baseline.discordance / self.label_rate

    def variance(self, baseline: Baseline, propensity: float) -> float:
        """Return the variance of one answer, or of a pair's difference where it is PAIRED."""
        return self.pair_variance(baseline) if propensity == PAIRED else baseline.variance

    def clustered_variance(self, variance: float) -> float:
        """Return the variance for bucket sums: not below that of a rate as high as the margin.

        The normal form has no guarantee for rare events; measured, a challenger at the margin of
        an otherwise faultless champion would pass too often with the champion's own variance.
        """
        return max(variance, self.margin * (1.0 - self.margin))


class Table(Struct):
    """Counts of one epoch at one propensity.

    Split: (champion bad, champion good, challenger bad, challenger good).
    Pairs: (both bad, only challenger good, only champion good, both good).
    """

    epoch: int
    propensity: float
    counts: list[int]
    settled: int = 0
    """Pairs whose difference counts 0 without a label: equal answers, and those that differ but
    were not drawn to be labelled."""
    nameless: int = 0
    """Pairs that differ and should have a label, but have none: they count against whatever is
    claimed, be it good or bad."""

    @property
    def cells(self) -> tuple[int, ...]:
        """All counts; the last two are empty for lots."""
        return (*self.counts, self.settled, self.nameless)

    @property
    def n(self) -> int:
        """Observations in all."""
        return sum(self.counts) + self.settled + self.nameless


def cell_values(
    propensity: float, good: float, margin: float, question: Question | None
) -> tuple[float, ...]:
    """Return h for each count of a table; ``good`` is the champion's rate to start from.

    With a scale f, the challenger's rate of bad (rare) or good answers is divided by f first.
    """
    f = 1.0 if question is None else question.scale
    is_rare = question is not None and question.is_rare
    # A bad answer is worth -1 and a good one 0, or 0 and 1: without a scale that is the same.
    bad_a, good_a, m = (-1.0, 0.0, good - 1.0) if is_rare else (0.0, 1.0, good)
    bad_b, good_b = bad_a / f, good_a / f
    if propensity == PAIRED:
        rate = 1.0 if question is None else question.label_rate
        return (
            (bad_b - bad_a) / rate + margin,
            (good_b - bad_a) / rate + margin,
            (bad_b - good_a) / rate + margin,
            (good_b - good_a) / rate + margin,
        )
    pi, allowance = propensity, propensity * (1.0 - propensity) * margin
    return (
        -pi * (bad_a - m) + allowance,
        -pi * (good_a - m) + allowance,
        (1.0 - pi) * (bad_b - m) + allowance,
        (1.0 - pi) * (good_b - m) + allowance,
    )
