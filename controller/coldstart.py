"""What a route's first version must show: declared numbers, because there is no champion. Pure.

It serves everybody meanwhile. Bad news never takes it out of traffic, for nobody could answer in
its place: it holds the route, loudly, until a person decides.
"""

from controller.judge import STALE_AFTER_S, Action, Verdict
from controller.policy import OnTimeout, RouteIntent
from controller.rollout import Phase, Rollout, limit_s
from evaluator.evidence import CheckState, Evidence, Reading, Role

COUNTED = "exposures_challenger"
"""The count of answers: all of them are the first version's."""


def required(
    policy: RouteIntent, rollout: Rollout, evidence: Evidence, *, now_s: float
) -> tuple[Reading, ...]:
    """Return what the phase asks for: recent evidence, answers, time, every declared check.

    What should have been read and was not reads UNKNOWN. Checks that compare are not asked.
    """
    cold = policy.cold_start
    if rollout.phase is not Phase.COLD_START or cold is None:
        return ()
    n = evidence.counts.get(COUNTED, 0) - rollout.counts_at_entry.get(COUNTED, 0)
    facts = [
        _fresh(evidence, now_s),
        _fact("answers", n >= cold.at_least, f"{n} of {cold.at_least}"),
        _fact(
            "time",
            rollout.in_step_s >= cold.for_at_least_s,
            f"{rollout.in_step_s:.0f} of {cold.for_at_least_s:.0f} s have passed",
        ),
    ]
    names = ("readable", *(spec.name for spec in cold.checks))
    return (*facts, *(evidence.reading(name) or _silent(name) for name in names))


def trouble(policy: RouteIntent, rollout: Rollout, verdict: Verdict) -> str | None:
    """Return why the route must hold; None while it need not, or does already."""
    if rollout.held_by is not None:
        return None
    goes_on = f"nobody else can answer, so {rollout.challenger} goes on serving"
    if verdict.action is Action.ROLLBACK:
        return f"{verdict.because}; {goes_on}"
    if is_overdue(policy, rollout):
        return f"the cold start lasted longer than the file allows ({verdict.because}); {goes_on}"
    return None


def is_overdue(policy: RouteIntent, rollout: Rollout) -> bool:
    """Whether the phase has lasted longer than the file allows."""
    return rollout.held_by is None and rollout.waited_s >= limit_s(policy, rollout.phase)


def closes(policy: RouteIntent, rollout: Rollout) -> bool:
    """Whether the route is to be closed now: its time is over, and the file says so."""
    cold = policy.cold_start
    is_asked = cold is not None and cold.on_timeout is OnTimeout.ROLLBACK
    return is_asked and is_overdue(policy, rollout)


def _fresh(evidence: Evidence, now_s: float) -> Reading:
    seen_s = evidence.last_observation_s
    if seen_s is None:
        return Reading("fresh", "fresh", Role.INTEGRITY, CheckState.UNKNOWN, "nothing was seen yet")
    age_s = max(0.0, now_s - seen_s)
    state = CheckState.PASSED if age_s <= STALE_AFTER_S else CheckState.UNKNOWN
    because = f"the last observation is {age_s:.0f} s old, at most {STALE_AFTER_S:.0f} s"
    return Reading("fresh", "fresh", Role.INTEGRITY, state, because)


def _fact(check: str, is_met: bool, because: str) -> Reading:
    state = CheckState.PASSED if is_met else CheckState.UNDECIDED
    return Reading(check, check, Role.INTEGRITY, state, because)


def _silent(check: str) -> Reading:
    return Reading(check, check, Role.INTEGRITY, CheckState.UNKNOWN, "has not reported")
