"""What the evidence allows now. Pure: readings in, verdict out; silence is not success.

``required`` turns a stage's rules into readings, ``judge`` turns readings into one verdict. Rules
that are not statistics (so many exposures, so much time, evidence no older than this) are readings
too, so there is one place where news is weighed, and ``missing`` explains all of them alike.
"""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from controller.policy import OnFutility, OnTimeout, RouteIntent
from controller.ramp import least_exposures
from controller.rollout import (
    TRANSITIONS,
    WITH_TRAFFIC,
    Event,
    Phase,
    Rollout,
    limit_s,
    stage_for,
    way_forward,
)
from evaluator.evidence import CheckState, Evidence, Reading, Role

STALE_AFTER_S = 300.0
"""Evidence without a new observation for this long moves nothing; chosen, untested."""

BUILT_IN = ("srm", "readable", "harm", "delivery")
"""Checks of the evidence itself; one that does not report counts as UNKNOWN."""


class Action(enum.Enum):
    """What a verdict asks for."""

    PROMOTE = "promote"  # leave the stage forward
    HOLD = "hold"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer, with the check that caused it."""

    action: Action
    check: str
    """Empty when no single check decided."""
    because: str


def judge(readings: Sequence[Reading]) -> Verdict:
    """Turn check readings into one verdict. The worst news wins.

    A tripped check rolls back. Otherwise every check must have passed to promote. No readings, or
    any state but PASSED, holds: silence is not success.
    """
    for reading in readings:
        if reading.state is CheckState.TRIPPED:
            return _caused_by(Action.ROLLBACK, reading)
    for state in (CheckState.UNKNOWN, CheckState.UNDECIDED):
        for reading in readings:
            if reading.state is state:
                return _caused_by(Action.HOLD, reading)
    if not readings:
        return Verdict(Action.HOLD, "", "no check has reported")
    names = ", ".join(reading.check for reading in readings)
    return Verdict(Action.PROMOTE, "", f"all {len(readings)} checks passed: {names}")


def required(
    policy: RouteIntent,
    rollout: Rollout,
    evidence: Evidence,
    *,
    now_s: float,
    cooling_s: float = 0.0,
) -> tuple[Reading, ...]:
    """Return what the present stage asks for, and every reading that shows harm.

    Shadow: pairs, time, readable answers, every guardrail. Canary: exposures and time at this
    step; at the last one also readable answers, every guardrail and the objective, and that the
    route has cooled down (``cooling_s`` is what is left of that). Watch: its time; of a promotion
    around the gates also what those ask for. All: recent and sound evidence. What must have been
    read and was not reads UNKNOWN.
    """
    if rollout.phase not in WITH_TRAFFIC:
        return ()
    asked = _facts(policy, rollout, evidence, now_s)
    is_promotion = way_forward(policy, rollout) is Event.PROVEN
    if is_promotion and cooling_s > 0.0:
        asked.append(_cooling(cooling_s))
    if is_promotion or rollout.glass is not None:
        asked += _proof(policy, evidence)
    elif rollout.phase is Phase.SHADOW:
        asked.append(_readable(evidence))
        asked += _declared(policy, evidence, Role.GUARDRAIL, is_shadow=True)
    names = {reading.check for reading in asked}
    return (*asked, *(reading for reading in _bad_news(evidence) if reading.check not in names))


def is_mended(policy: RouteIntent, rollout: Rollout, evidence: Evidence | None) -> bool:
    """Whether the checks that a promotion around the gates left out have all passed since."""
    if rollout.glass is None or evidence is None:
        return False
    proof = (*_proof(policy, evidence), *_bad_news(evidence))
    return judge(proof).action is Action.PROMOTE


def expired(policy: RouteIntent | None, rollout: Rollout, evidence: Evidence | None) -> str:
    """Return why a promotion around the gates ends now; empty if it does not."""
    glass = rollout.glass
    if glass is None or policy is None or not glass.is_over(rollout.in_step_s):
        return ""
    if is_mended(policy, rollout, evidence):
        return ""
    return (
        f"break-glass of {glass.who} ended after {glass.until_s:.0f} s: its checks have not "
        "passed, and nobody renewed it"
    )


def futile(policy: RouteIntent, rollout: Rollout, evidence: Evidence | None) -> str | None:
    """Return why the rollout should stop because it will hardly succeed; None if it should not.

    Only when the file says so, and never once the challenger is promoted or somebody holds it.
    Stopping for futility is not binding: whoever goes on keeps every promise about false passes.
    """
    if policy.on_futility is not OnFutility.STOP or evidence is None:
        return None
    if Event.FUTILE not in TRANSITIONS[rollout.phase] or rollout.held_by is not None:
        return None
    reading = evidence.futile()
    return None if reading is None else f"{reading.check}: {reading.because}"


def overdue(policy: RouteIntent, rollout: Rollout) -> OnTimeout | None:
    """Return what to do because the stage lasted too long; None while it has time left."""
    if Event.TIMED_OUT not in TRANSITIONS[rollout.phase] or rollout.held_by is not None:
        return None
    if rollout.waited_s < limit_s(policy, rollout.phase):
        return None
    return stage_for(policy, rollout.phase).on_timeout


def missing(readings: Sequence[Reading]) -> tuple[str, ...]:
    """Return one sentence for each thing that the stage still waits for."""
    return tuple(_sentence(r) for r in readings if r.state is not CheckState.PASSED)


def odds(log_e: float) -> str:
    """Write an e-value as odds: ``20:1`` for the null's rejection at 5 %, ``1:3`` against it."""
    size = math.exp(min(abs(log_e), 60.0))
    text = f"{size:.1f}".removesuffix(".0") if size < 10 else f"{size:.0f}"
    return f"{text}:1" if log_e >= 0 else f"1:{text}"


def _caused_by(action: Action, reading: Reading) -> Verdict:
    return Verdict(action, reading.check, f"{reading.check}: {reading.because}")


def _sentence(reading: Reading) -> str:
    is_statistic = reading.role in (Role.OBJECTIVE, Role.GUARDRAIL)
    if is_statistic and reading.state is CheckState.UNDECIDED:
        return (
            f"{reading.check}: odds {odds(reading.log_e)}, needs {odds(-math.log(reading.alpha))}"
        )
    return f"{reading.check}: {reading.because}"


def _fact(
    check: str, is_met: bool, because: str, *, n: int = 0, least: int | None = None
) -> Reading:
    state = CheckState.PASSED if is_met else CheckState.UNDECIDED
    return Reading(check, check, Role.INTEGRITY, state, because, n=n, n_expected=least)


def _facts(
    policy: RouteIntent, rollout: Rollout, evidence: Evidence, now_s: float
) -> list[Reading]:
    facts = [_fresh(evidence, now_s)]
    stage = stage_for(policy, rollout.phase)
    if rollout.phase is Phase.SHADOW:
        facts.append(_amount(rollout, evidence, "pairs", stage.at_least))
    if rollout.phase is Phase.CANARY:
        least = stage.at_least or least_exposures(
            share_buckets=stage.shares_buckets[rollout.step], alpha=policy.alpha
        )
        facts.append(_amount(rollout, evidence, "exposures_challenger", least))
    least_s = stage.watch_s if rollout.phase is Phase.WATCH else stage.for_at_least_s
    because = f"{rollout.in_step_s:.0f} of {least_s:.0f} s have passed"
    facts.append(_fact("time", rollout.in_step_s >= least_s, because))
    return facts


def _proof(policy: RouteIntent, evidence: Evidence) -> list[Reading]:
    """Return what a promotion by evidence rests on: readable answers, guardrails, objectives."""
    guardrails = _declared(policy, evidence, Role.GUARDRAIL)
    return [_readable(evidence), *guardrails, *_objectives(policy, evidence)]


def _readable(evidence: Evidence) -> Reading:
    return evidence.reading("readable") or _silent("readable", Role.INTEGRITY)


def _cooling(left_s: float) -> Reading:
    because = f"nothing is promoted for another {left_s:.0f} s after a rollback from production"
    return _fact("cool_down", False, because)


def _fresh(evidence: Evidence, now_s: float) -> Reading:
    if evidence.last_observation_s is None:
        because, is_fresh = "nothing was observed yet", False
    else:
        age_s = max(0.0, now_s - evidence.last_observation_s)
        because = f"the last observation is {age_s:.0f} s old, at most {STALE_AFTER_S:.0f} s"
        is_fresh = age_s <= STALE_AFTER_S
    state = CheckState.PASSED if is_fresh else CheckState.UNKNOWN
    return Reading("fresh", "fresh", Role.INTEGRITY, state, because)


def _amount(rollout: Rollout, evidence: Evidence, count: str, least: int) -> Reading:
    n = evidence.counts.get(count, 0) - rollout.counts_at_entry.get(count, 0)
    return _fact(count, n >= least, f"{n} of {least} in this step", n=n, least=least)


def _bad_news(evidence: Evidence) -> list[Reading]:
    """Return what no stage overlooks: harm, and evidence that is missing or broken.

    A built-in check that has no alarm to report is sound, so UNDECIDED is not bad news. A proxy
    without evidence is none either: a mirror ends with its stage.
    """
    missing_ones = [
        _silent(check, Role.INTEGRITY) for check in BUILT_IN if evidence.reading(check) is None
    ]
    return missing_ones + [
        reading
        for reading in evidence.readings
        if reading.state is CheckState.TRIPPED
        or (reading.state is CheckState.UNKNOWN and reading.role is not Role.PROXY)
    ]


def _silent(check: str, role: Role) -> Reading:
    return Reading(check, check, role, CheckState.UNKNOWN, "has not reported")


def _declared(
    policy: RouteIntent, evidence: Evidence, role: Role, *, is_shadow: bool = False
) -> list[Reading]:
    """Return the readings of a role; copies cannot answer for metrics that need a split."""
    names = [
        metric.name
        for metric in policy.metrics
        if metric.role is role and not (is_shadow and metric.is_split_only)
    ]
    return [evidence.reading(name) or _silent(name, role) for name in names]


def _objectives(policy: RouteIntent, evidence: Evidence) -> list[Reading]:
    because = "no metric has this role: only a person can promote"
    nothing = Reading("objective", "none", Role.OBJECTIVE, CheckState.UNKNOWN, because)
    return _declared(policy, evidence, Role.OBJECTIVE) or [nothing]
