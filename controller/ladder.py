"""The declared ladder as people see it: each rung, and where a rollout stands on it. Pure."""

from typing import Any

from controller.policy import RouteIntent, StageKind, StageSpec
from controller.rollout import FINISHED, Phase, Rollout
from router.table import BUCKETS

DONE, PRESENT, AHEAD = "done", "present", "ahead"
_PHASES = {StageKind.PRODUCTION: Phase.WATCH}
"""Every other stage has the name of its phase."""


def ladder_json(policy: RouteIntent, rollout: Rollout | None) -> list[dict[str, Any]]:
    """Return the rungs in their order, JSON-ready: one for each stage, and each share of a canary.

    ``state`` is done, present or ahead. A rollout that was rolled back has no present rung: where
    it was is in the audit.
    """
    rungs = [
        {"stage": stage.kind.value} | _asked(stage) | _share(stage, step)
        for stage in policy.stages
        for step in range(max(1, len(stage.shares_buckets)))
    ]
    at = _place(policy, rollout, len(rungs))
    return [
        rung | {"state": DONE if n < at else PRESENT if n == at else AHEAD}
        for n, rung in enumerate(rungs)
    ]


def _share(stage: StageSpec, step: int) -> dict[str, Any]:
    match stage.kind:
        case StageKind.SHADOW:
            return {"share": stage.mirror_buckets / BUCKETS}
        case StageKind.CANARY:
            return {"share": stage.shares_buckets[step] / BUCKETS}
        case StageKind.PRODUCTION:
            return {"share": 1.0 - stage.holdback_buckets / BUCKETS}
    return {"share": None}


def _asked(stage: StageSpec) -> dict[str, Any]:
    least_s = stage.watch_s if stage.kind is StageKind.PRODUCTION else stage.for_at_least_s
    return {
        "at_least": stage.at_least,
        "for_at_least_s": least_s,
        "at_most_s": stage.at_most_s,
    }


def _place(policy: RouteIntent, rollout: Rollout | None, n_rungs: int) -> int:
    """Return the index of the present rung; -1 before the first, ``n_rungs`` behind the last."""
    if rollout is None or rollout.phase in (Phase.QUEUED, Phase.ROLLED_BACK):
        return -1
    if rollout.phase in FINISHED:
        return n_rungs
    order = list(Phase)
    place = 0
    for stage in policy.stages:
        phase = _PHASES.get(stage.kind) or Phase(stage.kind.value)
        if phase is rollout.phase:
            return place + (rollout.step if stage.shares_buckets else 0)
        if order.index(phase) > order.index(rollout.phase):
            break  # the present phase is not declared: it stands before this rung
        place += max(1, len(stage.shares_buckets))
    return place
