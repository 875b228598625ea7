"""What people add to the evidence: approvals of a stage, and promotions around the gates. Pure.

Neither takes anything away from the guardrails: harm rolls back whoever approved or forced.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

DEFAULT_GLASS_S = 3600.0
MAX_GLASS_S = 24 * 3600.0
"""How long a promotion around the gates may last without being renewed. Chosen: a working hour,
and a day, in which somebody who was asleep can look at it."""


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's word that the rollout may leave its present stage."""

    who: str
    reason: str
    at_s: float
    """Wall clock: a date for people."""


@dataclass(frozen=True, slots=True)
class Glass:
    """A promotion around the gates: who broke the glass, why, and when it ends by itself."""

    who: str
    reason: str
    at_s: float
    """Wall clock: when it was broken, or renewed."""
    until_s: float
    """Seconds in the phase WATCH at which it ends; counted, so that no clock stretches it."""

    def left_s(self, in_step_s: float) -> float:
        """Return how much of its time is left, seconds, when ``in_step_s`` have passed in WATCH."""
        return max(0.0, self.until_s - in_step_s)

    def is_over(self, in_step_s: float) -> bool:
        """Whether its time has passed."""
        return in_step_s >= self.until_s


def refusal(who: str, given: Sequence[Approval], sponsors: Collection[str]) -> str:
    """Return why an approval of ``who`` does not count; empty if it does.

    Four eyes: nobody approves twice, nor what they registered or asked for themselves. Names are
    compared without case and surrounding space.
    """
    name = same(who)
    if name in {same(approval.who) for approval in given}:
        return f"{who!r} has approved it already: another person must"
    if name in {same(sponsor) for sponsor in sponsors}:
        return f"{who!r} registered it or asked for it: another person must approve it"
    return ""


def same(name: str) -> str:
    """Return ``name`` in the form in which two spellings of it are the same."""
    return " ".join(name.split()).casefold()
