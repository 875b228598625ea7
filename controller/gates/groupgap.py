"""How differently groups are treated, with an interval that holds for any number of rows. Pure.

A gap is the largest rate of any group minus the smallest. Each rate is a share of a group's rows,
so each gets the exact binomial interval of Clopper and Pearson (1934, Biometrika 26, 404-413), at
the level ``alpha`` divided by the number of rates in the section (Bonferroni). With probability
1 - alpha or more all of them hold at once, and then every gap lies between (largest lower end minus
smallest upper end, not below 0) and (largest upper end minus smallest lower end). That is wider
than it need be; it promises nothing that depends on how large a group is, or on a bootstrap.

Assumes that the rows of a group are independent draws of whom the model will meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of one group's rows: selected, right, or found."""

    group: str
    what: str
    """``selected``, ``true_positive``, ``false_positive`` or ``right``."""
    hits: int
    rows: int
    """Of the group, and of the label that the rate is about."""

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.rows:
            raise ValueError(f"hits must be in 0..rows, got {self.hits} of {self.rows}")


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest difference between two groups."""

    estimate: float
    low: float
    high: float


WHATS = {
    "demographic_parity_difference": ("selected",),
    "equalized_odds_difference": ("true_positive", "false_positive"),
    "equal_opportunity_difference": ("true_positive",),
    "accuracy_score_difference": ("right",),
}
"""The rates that a metric of fairlearn compares between groups; it is the largest of their gaps."""


def rates(
    metric: str,
    labels: Sequence[str],
    predictions: Sequence[str],
    groups: Sequence[str],
    *,
    positive: str,
) -> list[Rate]:
    """Return every rate that ``metric`` compares, in the order of the groups' names.

    Sequences are of one length, a row each; labels and predictions are classes as canonical JSON
    text, and ``positive`` the one that counts as selected.
    """
    whats = WHATS[metric]
    counts = {(group, what): [0, 0] for group in sorted(set(groups)) for what in whats}
    for label, prediction, group in zip(labels, predictions, groups, strict=True):
        for what in whats:
            hit = _hit(what, label, prediction, positive)
            if hit is not None:
                counts[(group, what)][0] += hit
                counts[(group, what)][1] += 1
    return [Rate(group, what, hits, rows) for (group, what), (hits, rows) in counts.items()]


def _hit(what: str, label: str, prediction: str, positive: str) -> bool | None:
    """Return whether a row is a hit; None when the rate is not about it."""
    is_selected = prediction == positive
    match what:
        case "selected":
            return is_selected
        case "right":
            return label == prediction
        case "true_positive":
            return is_selected if label == positive else None
        case "false_positive":
            return is_selected if label != positive else None
    raise AssertionError(f"WHATS has no {what}")


def gap(rates: Sequence[Rate], alpha: float) -> Gap:
    """Return the largest gap of any kind of rate; ``alpha`` is the chance that any of all these
    intervals misses. Every rate needs a row at least."""
    each = alpha / len(rates)
    gaps = [
        _gap([one for one in rates if one.what == what], each)
        for what in sorted({one.what for one in rates})
    ]
    return Gap(
        max(one.estimate for one in gaps),
        max(one.low for one in gaps),
        max(one.high for one in gaps),
    )


def _gap(rates: Sequence[Rate], alpha: float) -> Gap:
    shares = [one.hits / one.rows for one in rates]
    ends = [interval(one.hits, one.rows, alpha) for one in rates]
    lows, highs = [low for low, _ in ends], [high for _, high in ends]
    return Gap(
        max(shares) - min(shares),
        max(0.0, max(lows) - min(highs)),
        max(highs) - min(lows),
    )


def interval(hits: int, rows: int, alpha: float) -> tuple[float, float]:
    """Return Clopper and Pearson's interval for a share, at level 1 - alpha."""
    from scipy.stats import beta  # 85 MB: only who asks for fairness pays for it

    low = 0.0 if hits == 0 else float(beta.ppf(alpha / 2, hits, rows - hits + 1))
    high = 1.0 if hits == rows else float(beta.ppf(1 - alpha / 2, hits + 1, rows - hits))
    return low, high
