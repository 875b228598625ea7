"""What the evaluator says: frozen readings of every check. Pure."""

import enum
import math
from dataclasses import dataclass, field

from evaluator.health import Health


class Role(enum.Enum):
    """What a check may do to a rollout."""

    OBJECTIVE = "objective"  # must improve before a promotion
    GUARDRAIL = "guardrail"  # must not worsen; trips a rollback
    PROXY = "proxy"  # may hold, warn or roll back; never promotes
    INTEGRITY = "integrity"  # is the evidence itself sound?


class CheckState(enum.Enum):
    """How a check reads now."""

    PASSED = "passed"  # its null was rejected
    UNDECIDED = "undecided"  # not enough evidence yet
    TRIPPED = "tripped"  # harm was shown
    UNKNOWN = "unknown"  # evidence missing, stale or broken


@dataclass(frozen=True, slots=True)
class Reading:
    """One check at one moment."""

    check: str
    """The metric's name in the routing file, or of a built-in check: srm, harm, readable."""
    kind: str
    role: Role
    state: CheckState
    because: str
    """One sentence with the numbers, for people."""
    log_e: float = 0.0
    """Natural log of the e-process against the null that must fall to pass."""
    log_e_harm: float = 0.0
    """Natural log of the e-process against "the challenger does no harm"."""
    log_e_futile: float = 0.0
    """Natural log of the e-process against "the effect is what ``detect`` says, or more"."""
    alpha: float = 0.05
    effect: float | None = None
    """Challenger minus champion, sign so that positive is better; None before any evidence."""
    low: float | None = None
    high: float | None = None
    """The confidence sequence at level 1 - alpha (ends of the effect)."""
    n: int = 0
    """Observations that bear on the check."""
    n_expected: int | None = None
    """Observations in all at which a decision is expected (80 % of runs), None if unknown."""
    needs_labels: bool = False
    """Whether it waits for labels; otherwise it reads answers as they come."""


FUTILE_LOG_E = math.log(5.0)
"""Odds of 5:1, 1 / beta with beta = .2: looked at ever so often, at most one rollout in five whose
effect is as declared is called futile."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All readings of one experiment at one moment."""

    experiment: str
    at_s: float
    """Wall clock, seconds since the epoch."""
    readings: tuple[Reading, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    """pairs, exposures_champion, exposures_challenger, judged, unlabelled, unreadable, lost, ...;
    totals since the experiment began."""
    last_observation_s: float | None = None
    champion_health: Health | None = None
    """None where the file declares no service limit."""
    challenger_health: Health | None = None

    def futile(self) -> Reading | None:
        """Return an objective that is no longer likely to pass, or None."""
        return next(
            (
                reading
                for reading in self.readings
                if reading.role is Role.OBJECTIVE
                and reading.state is CheckState.UNDECIDED
                and reading.log_e_futile >= FUTILE_LOG_E
            ),
            None,
        )

    def reading(self, check: str) -> Reading | None:
        """Return the reading called ``check``, or None."""
        return next((reading for reading in self.readings if reading.check == check), None)
