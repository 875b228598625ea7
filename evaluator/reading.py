"""From findings to readings: what passes, what trips, and why in one sentence. Pure."""

import math
from collections.abc import Mapping, Sequence

from evaluator.confseq import n_expected
from evaluator.eprocess.mixture import log_sum_exp
from evaluator.evidence import FUTILE_LOG_E, CheckState, Reading, Role
from evaluator.finding import Finding, odds
from evaluator.metric import ExperimentPlan, MetricSpec, alpha_of, needs_label

ERROR_WEIGHT = 2.0
"""Errors weigh twice in the common evidence of harm: they are the quickest and surest sign."""


def harm_weights(metrics: Sequence[MetricSpec]) -> dict[str, float]:
    """Return each check's share of alpha_rollback. They sum to one."""
    raw = {spec.name: ERROR_WEIGHT if spec.kind == "error" else 1.0 for spec in metrics}
    total = math.fsum(raw.values())
    return {name: weight / total for name, weight in raw.items()}


def metric_reading(
    spec: MetricSpec, finding: Finding, plan: ExperimentPlan, weight: float
) -> Reading:
    """Return the reading of a declared metric.

    PASSED when odds for the claim reach 1/alpha. TRIPPED when its share of the evidence of harm
    alone reaches 1/alpha_rollback, so that all checks together trip falsely with at most that
    probability. The worse news wins.
    """
    interval, alpha = finding.interval, alpha_of(plan, spec)
    state = _state(finding, plan, weight, alpha)
    return Reading(
        check=spec.name,
        kind=spec.kind,
        role=spec.role,
        state=state,
        because=_because(spec, finding, alpha, state),
        log_e=finding.log_e,
        log_e_harm=finding.log_e_harm,
        log_e_futile=finding.log_e_futile,
        alpha=alpha,
        effect=None if interval is None else interval.effect,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        n=finding.n,
        n_expected=n_expected(finding.n, finding.log_e, alpha, finding.growth),
        needs_labels=needs_label(spec, plan.prediction),
    )


def harm_reading(
    findings: Mapping[str, Finding], weights: Mapping[str, float], plan: ExperimentPlan
) -> Reading:
    """Return the common evidence of harm: the weighted mean of the checks' e-values.

    A mean of e-processes is one, under any dependence; TRIPPED at 1/alpha_rollback.
    """
    if not findings:
        return Reading("harm", "harm", Role.INTEGRITY, CheckState.UNDECIDED, "no metric declared")
    log_e = log_sum_exp(
        [math.log(weights[name]) + finding.log_e_harm for name, finding in findings.items()]
    )
    n = max(finding.n for finding in findings.values())
    threshold = -math.log(plan.alpha_rollback)
    worst = max(findings, key=lambda name: math.log(weights[name]) + findings[name].log_e_harm)
    if n == 0:
        state, told = CheckState.UNDECIDED, "nothing to compare yet"
    elif log_e >= threshold:
        state = CheckState.TRIPPED
        told = f"odds {odds(log_e)} that the challenger does harm, most of it by {worst}"
    else:
        state = CheckState.PASSED
        told = f"no harm shown: odds {odds(log_e)}, {odds(threshold)} would roll back"
    return Reading(
        check="harm",
        kind="harm",
        role=Role.INTEGRITY,
        state=state,
        because=told,
        log_e_harm=log_e,
        alpha=plan.alpha_rollback,
        n=n,
    )


def _state(finding: Finding, plan: ExperimentPlan, weight: float, alpha: float) -> CheckState:
    if not (math.isfinite(finding.log_e) and math.isfinite(finding.log_e_harm)):
        return CheckState.UNKNOWN
    if math.log(weight) + finding.log_e_harm >= -math.log(plan.alpha_rollback):
        return CheckState.TRIPPED
    if finding.log_e >= -math.log(alpha):
        return CheckState.PASSED
    return CheckState.UNDECIDED


def _because(spec: MetricSpec, finding: Finding, alpha: float, state: CheckState) -> str:
    if finding.is_blind:
        return finding.told
    if state is CheckState.TRIPPED:
        return f"{finding.told}; odds {odds(finding.log_e_harm)} that it is worse than allowed"
    is_better = spec.role is Role.OBJECTIVE and spec.detect is not None
    claim = "better" if is_better else "good enough"
    wanted = odds(-math.log(alpha))
    told = f"{finding.told}; odds {odds(finding.log_e)} that it is {claim}, {wanted} wanted"
    if state is CheckState.UNDECIDED and finding.log_e_futile >= FUTILE_LOG_E:
        against = odds(finding.log_e_futile)
        told += f"; odds {against} that it is less than the {spec.detect:g} looked for: futile"
    return told
