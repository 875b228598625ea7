"""What a stage asks for when the champion itself is broken. Pure.

A comparison with a server that fails says little, so none is asked for: what remains is what the
challenger shows by itself, the declared service limit among it.
"""

import math
from dataclasses import dataclass

from controller.policy import RouteIntent
from controller.rollout import Phase, Rollout
from evaluator.evidence import CheckState, Evidence, Reading, Role

EASED = frozenset({Phase.SHADOW, Phase.CANARY})
"""Phases in which a fix may pass a broken champion."""
OF_LIKENESS = ("agreement", "divergence", "drift")
"""Kinds that ask how like the champion the challenger is: nothing to strive for here."""
UNASKED = ("harm", "delivery", "readable", "objective", "time")
"""Built-in readings that wait for the champion's side, and the time that a comparison needs."""


@dataclass(frozen=True, slots=True)
class Ailment:
    """A champion that has been broken for some time."""

    because: str
    lasts_s: float


def is_passable(policy: RouteIntent, rollout: Rollout, ailment: Ailment | None) -> bool:
    """Whether the file lets a fix through now."""
    spec = policy.champion_broken
    if spec is None or ailment is None or rollout.phase not in EASED:
        return False
    return ailment.lasts_s >= spec.for_s


def eased(
    policy: RouteIntent, evidence: Evidence, readings: tuple[Reading, ...]
) -> tuple[Reading, ...]:
    """Return what is asked for beside a broken champion: no comparison, but the service limit.

    Harm that a comparison has shown stays; so do absolute checks and counts.
    """
    absolute = {spec.name for spec in policy.metrics if spec.is_one_sample}
    compared = {spec.name for spec in policy.metrics} - absolute
    kept = [
        reading
        for reading in readings
        if not _is_comparison(reading, compared) or _is_harm(reading)
    ]
    return (*kept, soundness(policy, evidence))


def soundness(policy: RouteIntent, evidence: Evidence) -> Reading:
    """Return whether the challenger is shown to be below the service limit by itself."""
    health = evidence.challenger_health
    if health is None or not health.n:
        because = "the challenger has answered nothing yet"
        return Reading("healthy", "health", Role.INTEGRITY, CheckState.UNKNOWN, because)
    wanted = -math.log(policy.alpha)
    state = CheckState.PASSED if health.sound_log_e >= wanted else CheckState.UNDECIDED
    if health.is_broken:
        state = CheckState.TRIPPED
    because = f"of the challenger {health.told}"
    return Reading(
        "healthy",
        "health",
        Role.INTEGRITY,
        state,
        because,
        log_e=health.sound_log_e,
        alpha=policy.alpha,
        n=health.n,
    )


def _is_harm(reading: Reading) -> bool:
    return reading.state is CheckState.TRIPPED and reading.kind not in OF_LIKENESS


def _is_comparison(reading: Reading, compared: set[str]) -> bool:
    """Whether it needs a sound champion; what a route behind this one shows always does."""
    return reading.check in compared | set(UNASKED) or "/" in reading.check
