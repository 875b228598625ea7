"""What is compared: metrics as declared in the routing file. Pure."""

from dataclasses import dataclass

from evaluator.evidence import Role
from router.observation import Outcome

KINDS = ("correct", "error", "latency", "agreement")


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One line under ``metrics:``."""

    name: str
    kind: str
    """One of KINDS. correct: prediction equals label, needs labels. error: 5xx or no answer.
    latency: seconds to the whole answer. agreement: both answers of a pair are equal."""
    role: Role
    detect: float | None = None
    """correct: the improvement worth finding, absolute (0.01 = one percentage point)."""
    margin: float | None = None
    """guardrails: how much worse is still acceptable. error: absolute (0.005); latency: relative
    to the champion's concurrent value (0.10)."""
    at_least: float | None = None
    """agreement: the share of pairs that must agree."""
    quantile: float | None = None
    """latency: the quantile the margin is about."""
    missing: str = "ignore"
    """correct: an observation without a label at maturity is left out (ignore) or counts as
    incorrect (incorrect). Leaving out assumes that labels go missing alike for both variants."""


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
    alpha_rollback: float = 0.05
    alpha_srm: float = 0.001
    maturity_s: float = 0.0
    """An observation is judged when it is this old; a label must arrive before."""
    window_s: float = 0.0
    """After this a label is refused as late (>= maturity_s)."""
    max_unreadable: float = 0.05
    """Share of answers without a readable prediction above which promotion is frozen."""


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
