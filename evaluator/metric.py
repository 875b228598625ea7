"""What is compared: metrics as declared in the routing file. Pure."""

from dataclasses import dataclass, field

from evaluator.evidence import Role
from router.observation import Outcome

KINDS = (
    "correct",
    "error",
    "latency",
    "agreement",
    "mean",
    "loss",
    "divergence",
    "drift",
    "precision",
    "recall",
    "f1",
    "auc",
)
LABELLED = frozenset(("correct", "loss", "precision", "recall", "f1", "auc"))
"""Kinds that cannot do without a label; ``mean`` needs one when its number is in the label."""
LOSSES = ("absolute", "squared", "log", "brier", "pinball")
DISTANCES = ("absolute", "total_variation", "cosine")


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One line under ``metrics:``."""

    name: str
    kind: str
    """One of KINDS. correct: prediction equals label. error: 5xx or no answer. latency: seconds to
    the whole answer. agreement: both answers of a pair are equal. mean: a number in the answer or
    the label. loss: a number made of prediction and label. divergence: how far both answers of a
    pair are apart. drift: how far a score's distributions are apart. precision, recall, f1: of one
    class. auc: ranking by a score."""
    role: Role
    detect: float | None = None
    """The improvement worth finding, absolute and positive (0.01 = one percentage point)."""
    margin: float | None = None
    """guardrails: how much worse is still acceptable, absolute; for latency relative."""
    margin_relative: float | None = None
    """The same as a share of the champion's concurrent value (0.10); in place of ``margin``."""
    at_least: float | None = None
    """agreement: the share of pairs that must agree. Elsewhere: what the challenger alone must
    reach, whatever the champion does."""
    at_most: float | None = None
    """What the challenger's (or for divergence: the pairs') mean must stay below; for drift the
    distance of the distribution functions. latency: seconds that the ``quantile`` must stay
    below."""
    within: float | None = None
    """The claim is "no better and no worse than by this", absolute."""
    quantile: float | None = None
    """latency: the quantile the margin is about. pinball loss: the quantile predicted."""
    missing: str = "ignore"
    """An observation without a label at maturity is left out (ignore) or, for correct, counts as
    incorrect (incorrect). Leaving out assumes that labels go missing alike for both variants."""
    value: str | None = None
    """JMESPath to the number, score or vector; None is the route's prediction."""
    source: str = "answer"
    """mean: whether ``value`` is in the "answer", in the "label", or in what a "scorer" said of the
    variant's answer (a label of the form {"champion": ..., "challenger": ...})."""
    direction: str = "higher"
    """mean: whether "higher" or "lower" is better. Losses: lower."""
    range: tuple[float, float] | None = None
    """mean, loss, divergence: the number lies within; None makes it winsorised."""
    measure: str | None = None
    """loss: one of LOSSES; divergence: one of DISTANCES."""
    positive: str | None = None
    """precision, recall, f1, auc: the class they are about, as canonical JSON text."""
    covariate: str | None = None
    """mean, loss: JMESPath to a number in the answer of either variant that the variant cannot
    have changed (an echo of the request), or in the label; lowers the variance."""
    proxy: str | None = None
    """mean from labels, loss: JMESPath in the answer to a guess of the number; with labels drawn
    at random it stands in for the missing ones."""
    horizon: int | None = None
    """Observations after which the claim is given up; None looks for ever."""

    @property
    def needs_label(self) -> bool:
        """Whether nothing can be said before labels come."""
        return self.kind in LABELLED or (self.kind == "mean" and self.source != "answer")

    @property
    def is_split_only(self) -> bool:
        """Whether a copy says nothing: what was earned, the answer that was *sent* earned."""
        return self.kind == "mean" and self.source == "label"

    def paths_at_once(self, prediction: str | None) -> tuple[str, ...]:
        """Return the JMESPaths that are read from an answer as soon as it is there."""
        if self.needs_label or self.kind not in ("mean", "divergence", "drift"):
            return ()
        value = prediction if self.value is None else self.value
        return tuple(path for path in (value, self.covariate) if path is not None)

    def paths_for_labels(self) -> tuple[str, ...]:
        """Return those that are read from an answer and wait for its label."""
        if not self.needs_label:
            return ()
        value = None if self.kind == "mean" else self.value
        return tuple(path for path in (value, self.covariate, self.proxy) if path is not None)

    @property
    def is_one_sample(self) -> bool:
        """Whether the challenger is held against a declared number instead of the champion."""
        is_comparison = self.kind not in ("agreement", "divergence", "drift")
        return is_comparison and (self.at_least is not None or self.at_most is not None)


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """One champion against one challenger on one route: everything the evaluator must know."""

    experiment: str
    route: str
    champion: str
    challenger: str
    metrics: tuple[MetricSpec, ...]
    prediction: str | None
    """JMESPath into the JSON answer; None compares whole bodies and cannot be labelled."""
    clustered: bool = False
    """Units send many requests (``unit: {header: ...}``): evidence is summed per unit first."""
    alpha: float = 0.05
    alpha_objective: float | None = field(default=None, repr=False)
    """Of objectives, where several challengers share ``alpha`` (``evaluator/holm.py``); None: alpha
    itself. Not in a snapshot's name of its plan: evidence is the same, only what it must reach is
    not."""
    alpha_rollback: float = 0.05
    alpha_srm: float = 0.001
    maturity_s: float = 0.0
    """An observation is judged when it is this old; a label must arrive before."""
    window_s: float = 0.0
    """After this a label is refused as late (>= maturity_s)."""
    label_rate: float | None = None
    """Labels are asked for at random with this probability; None if that is not declared."""
    labels_wanted: str = "all"
    """"all", or "disagreements": of pairs only those whose answers differ are labelled."""
    alarm_every: float = 1e6
    """While a promotion is watched: answers between false alarms, on average at least."""
    is_held_back: bool = field(default=True, repr=False)
    """Whether a part of the units stays with the old champion then. Without it the champion's
    answers teach what is usual at each hour of the week. Not in a snapshot's name of its plan: one
    of an earlier version fits."""
    max_unreadable: float = 0.05
    """Share of answers without a readable prediction above which promotion is frozen."""
    is_alone: bool = field(default=False, repr=False)
    """There is no champion: every answer is the challenger's, and nothing is drawn by lot."""
    max_failed: float | None = field(default=None, repr=False)
    """Share of failures above which a variant is broken, whatever the other does; None: nobody
    declared one."""
    joins_by_token: bool = field(default=False, repr=False)
    """Exposures that were given a token are not kept: the token brings them back with the label.
    How labels come is nothing that evidence depends on: a snapshot fits with and without."""


def alpha_of(plan: ExperimentPlan, spec: MetricSpec) -> float:
    """Return the level of a metric's claim."""
    if spec.role is Role.OBJECTIVE and plan.alpha_objective is not None:
        return plan.alpha_objective
    return plan.alpha


def needs_label(spec: MetricSpec, prediction: str | None) -> bool:
    """Whether observations must wait for a label because of this metric."""
    has_number = spec.value is not None or spec.kind == "mean"
    return spec.needs_label and (has_number or prediction is not None)


def reads_prediction(spec: MetricSpec, prediction: str | None) -> bool:
    """Whether this metric compares predictions, so that an unreadable one is worth counting."""
    if spec.kind in ("agreement", "divergence", "drift"):
        return spec.value is None
    if spec.kind == "mean" and spec.source == "scorer":
        return prediction is not None
    if spec.kind in LABELLED:
        return prediction is not None and (spec.value is None or spec.kind != "loss")
    return False


def is_aborted(outcome: Outcome) -> bool:
    """Whether the client went away first: nobody's fault, left out of every metric."""
    return outcome.fault == "aborted"


def is_failed(outcome: Outcome) -> bool:
    """Whether the variant gave no answer, or one of 500 and above."""
    return bool(outcome.fault) or outcome.status >= 500


def is_readable_in_principle(outcome: Outcome) -> bool:
    """Whether the answer should hold a prediction: 2xx, whole. A 4xx is the client's fault."""
    return not outcome.fault and 200 <= outcome.status < 300


def is_slower(outcome: Outcome, limit_s: float) -> bool:
    """Whether an answer took longer than ``limit_s``.

    One that failed did: an answer that never came is not a fast one, however fast it failed.
    """
    return is_failed(outcome) or not outcome.latency_s <= limit_s
