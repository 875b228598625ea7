"""What every kind of check is shown, and what it must answer. Pure.

Families are in files of their own (rates, latency, agreement, mean, divergence, drift, ratio,
ranking); ``evaluator/check.py`` picks one by the metric's kind.
"""

from typing import Any, ClassVar

from msgspec import Struct

from evaluator.finding import Finding
from evaluator.join import Judgable
from evaluator.metric import MetricSpec
from router.observation import Outcome

NO_FIELDS: dict[str, Any] = {}


class How(Struct, frozen=True):
    """What holds for all checks of an experiment."""

    alpha: float
    is_clustered: bool = False
    """Evidence is summed per unit first."""
    label_rate: float | None = None
    """Labels are drawn at random with this probability; None if that is not declared."""
    prediction: str | None = None
    """The route's JMESPath: where metrics without a path of their own look."""
    experiment: str = ""
    """Its name; lots of which labels are drawn depend on it."""
    is_differing_only: bool = False
    """Of pairs only those whose answers differ are labelled."""


class Assigned(Struct, frozen=True):
    """One variant's outcome, drawn by lot."""

    epoch: int
    propensity: float
    unit: int
    is_challenger: bool
    outcome: Outcome
    is_resting: bool = False
    """The challenger was not asked because it had failed too often: that is a failure."""
    fields: dict[str, Any] = NO_FIELDS
    """What metrics read from the answer, by JMESPath; absent when it was not there."""
    is_cut: bool = False
    """The answer could not be read for a reason of ours."""


class Paired(Struct, frozen=True):
    """Both variants' outcomes on one request."""

    epoch: int
    unit: int
    champion: Outcome
    challenger: Outcome
    is_agreed: bool | None
    """Whether the predictions are equal; None when that cannot be told (not: unequal)."""
    champion_fields: dict[str, Any] = NO_FIELDS
    challenger_fields: dict[str, Any] = NO_FIELDS
    is_cut: bool = False
    """One of the answers could not be read for a reason of ours."""


class Empty(Struct):
    """The state of a check that remembers nothing."""


class Check:
    """A metric that looks at nothing; the base of all kinds. Owned by one evaluator."""

    STATE: ClassVar[type[Struct]] = Empty
    """What ``save`` returns and the constructor takes."""

    def __init__(self, spec: MetricSpec, how: How) -> None:
        self.spec = spec
        self.how = how

    def learn(self, champion: Outcome, fields: dict[str, Any]) -> None:
        """Take in a champion's outcome without a lot."""

    def split(self, seen: Assigned) -> None:
        """Take in one variant's outcome, drawn by lot."""

    def pair(self, seen: Paired) -> None:
        """Take in both variants' outcomes."""

    def judge(self, judgable: Judgable, label: str | None, epoch: int) -> bool:
        """Take in an observation at maturity, in the present ``epoch``; return whether it counts.

        A lot is bet on as of the epoch in which it was drawn, ``judgable.epoch``. A pair has no
        lot: its bets may be those in force when its label is looked at.
        """
        return False

    def roll(self) -> None:
        """Begin the next epoch."""

    def finding(self) -> Finding:
        """Return the evidence now."""
        raise NotImplementedError

    def save(self) -> Struct:
        """Return the state, not copied."""
        raise NotImplementedError

    def merge(self, other: "Check") -> None:
        """Add what another check of the same metric has seen."""
        raise NotImplementedError
