"""What the routes behind a route make of its challenger's answers. Pure.

The lot of the first route is drawn once; each answer of a route behind it is one more measurement
of the same comparison. There is one evaluator for each pair of routes; its readings stand beside
the first route's own, under ``ROUTE/CHECK``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.policy import Feed, RouteIntent
from controller.rollout import Event, Phase, Rollout, way_forward
from evaluator.evidence import CheckState, Evidence, Reading, Role
from evaluator.join import Label, LabelOutcome, LabelResult
from evaluator.metric import ExperimentPlan, MetricSpec
from router.table import chained_name

COMPARABLE = ("correct", "error", "latency", "mean", "loss", "precision", "recall", "f1", "auc")
"""Kinds that answers of one route tell by themselves; the others need copies."""
STAGES = frozenset({Phase.CANARY, Phase.WATCH})
"""Phases in which lots are drawn, so that sets are handed on."""
_WORST = (CheckState.TRIPPED, CheckState.UNKNOWN, CheckState.UNDECIDED, CheckState.PASSED)


@dataclass(frozen=True, slots=True)
class Stage:
    """One route of a chain, as the first one's experiment sees it."""

    feed: Feed
    evidence: Evidence


def plans(policy: RouteIntent, rollout: Rollout) -> tuple[ExperimentPlan, ...]:
    """Return what evaluators must know about the routes behind this one; none for most routes."""
    if rollout.is_first:
        return ()
    return tuple(
        ExperimentPlan(
            experiment=rollout.experiment,
            route=chained_name(policy.name, feed.route),
            champion=rollout.champion,
            challenger=rollout.challenger,
            metrics=guarding(feed.metrics),
            prediction=feed.prediction,
            clustered=True,  # one answer of ours may be asked of it many times
            alpha=policy.alpha,
            maturity_s=feed.maturity_s,
            window_s=feed.window_s,
            label_rate=feed.label_rate,
        )
        for feed in policy.feeds
    )


def guarding(metrics: Sequence[MetricSpec]) -> tuple[MetricSpec, ...]:
    """Return a route's metrics as they judge another one's challenger: none asks for a gain."""
    return tuple(_guarding(spec) for spec in metrics if spec.kind in COMPARABLE)


def _guarding(spec: MetricSpec) -> MetricSpec:
    if spec.role is not Role.OBJECTIVE:
        return spec
    has_limit = spec.is_one_sample or spec.margin is not None or spec.within is not None
    return replace(spec, role=Role.GUARDRAIL if has_limit else Role.PROXY, horizon=None)


def joined(evidence: Evidence | None, stages: Sequence[Stage]) -> Evidence | None:
    """Return a route's evidence with the readings of the routes behind it."""
    if evidence is None or not stages:
        return evidence
    told = [_named(one.feed.route, reading) for one in stages for reading in one.evidence.readings]
    return replace(evidence, readings=(*evidence.readings, *told))


def required(
    policy: RouteIntent, rollout: Rollout, evidence: Evidence, stages: Sequence[Stage]
) -> tuple[Reading, ...]:
    """Return what a promotion asks of the routes behind this one; nothing before it.

    Harm is asked for at every step: it stands in ``evidence``, joined.
    """
    if rollout.phase is not Phase.CANARY or way_forward(policy, rollout) is not Event.PROVEN:
        return ()
    asked = []
    for stage in stages:
        name = stage.feed.route
        asked.append(_carried(name, policy.name, stage.evidence))
        for spec in guarding(stage.feed.metrics):
            if spec.role is Role.GUARDRAIL:
                check = f"{name}/{spec.name}"
                asked.append(evidence.reading(check) or _silent(check))
    return tuple(asked)


def status_json(
    policy: RouteIntent, rollout: Rollout | None, own: Evidence | None, stages: Sequence[Stage]
) -> list[dict[str, Any]]:
    """Return each stage of a chain with its worst reading: where does the trouble show?"""
    if rollout is None or own is None or not policy.feeds or rollout.phase not in STAGES:
        return []
    found = [(policy.name, own)]
    found += [(stage.feed.route, stage.evidence) for stage in stages]
    return [_stage_json(name, evidence) for name, evidence in found]


def copies(
    labels: Sequence[Label | LabelResult], chained: Mapping[str, str]
) -> list[tuple[int, Label]]:
    """Return the labels that are also those of a chain, with the place of the one they are of.

    ``chained``: by the name of each pair of routes under way, the second of the two.
    """
    return [
        (place, replace(label, route=name))
        for place, label in enumerate(labels)
        if isinstance(label, Label) and label.token is None
        for name, route in chained.items()
        if label.route in (None, route)
    ]


def settled(
    results: Sequence[LabelResult],
    more: Sequence[tuple[int, Label]],
    of_copies: Sequence[LabelResult],
    chained: Mapping[str, str],
) -> list[LabelResult]:
    """Return what to answer for each label: what a copy became only where the label itself is
    unknown, because its route has no experiment of its own."""
    told = list(results)
    for (place, label), result in zip(more, of_copies, strict=True):
        is_new = result.outcome is not LabelOutcome.UNKNOWN
        if told[place].outcome is LabelOutcome.UNKNOWN and is_new and label.route is not None:
            told[place] = replace(result, route=chained[label.route])
    return told


def _stage_json(name: str, evidence: Evidence) -> dict[str, Any]:
    readings = [one for one in evidence.readings if one.role is not Role.PROXY or _is_bad(one)]
    worst = min(readings, key=lambda one: _WORST.index(one.state), default=None)
    return {
        "route": name,
        "state": worst.state.value if worst is not None else CheckState.UNKNOWN.value,
        "check": worst.check if worst is not None else None,
        "because": worst.because if worst is not None else "has not reported",
        "exposures_challenger": evidence.counts.get("exposures_challenger", 0),
        "exposures_champion": evidence.counts.get("exposures_champion", 0),
    }


def _is_bad(reading: Reading) -> bool:
    return reading.state is CheckState.TRIPPED


def _named(route: str, reading: Reading) -> Reading:
    check = f"{route}/{reading.check}"
    is_trouble = reading.state is CheckState.TRIPPED
    because = f"under this set of versions: {reading.because}" if is_trouble else reading.because
    return replace(reading, check=check, because=because)


def _carried(route: str, upstream: str, evidence: Evidence) -> Reading:
    n = evidence.counts.get("exposures_challenger", 0)
    state = CheckState.PASSED if n else CheckState.UNKNOWN
    because = (
        f"{n} answers of {route} to what the challenger said"
        if n
        else f"no request of {route} carried the challenger's set: whoever calls it must send the "
        f"field x-understudy-versions of {upstream}'s answer on"
    )
    return Reading(f"{route}/versions", "versions", Role.INTEGRITY, state, because, n=n)


def _silent(check: str) -> Reading:
    return Reading(check, check, Role.GUARDRAIL, CheckState.UNKNOWN, "has not reported")
