"""One experiment under way: what it was told, and what of it the store has."""

from dataclasses import dataclass

from controller.policy import RouteIntent
from controller.rollout import Phase, Rollout, declared_stage, stage_for
from evaluator.evaluator import Evaluator
from evaluator.exposed import Exposed
from evaluator.join import Judgable, LabelOutcome, LabelResult, Mode
from evaluator.metric import ExperimentPlan, MetricSpec
from router.token import Served

SECOND_NS = 10**9


def experiment_plan(policy: RouteIntent, rollout: Rollout) -> ExperimentPlan:
    """Return what the evaluator must know about ``rollout``. Pure."""
    return ExperimentPlan(
        experiment=rollout.experiment,
        route=policy.name,
        champion=rollout.champion,
        challenger=rollout.challenger,
        metrics=_metrics(policy, rollout),
        prediction=policy.prediction,
        clustered=policy.unit_header is not None,
        alpha=policy.alpha,
        alpha_objective=rollout.alpha_objective,
        maturity_s=policy.maturity_s,
        window_s=policy.window_s,
        label_rate=policy.label_rate,
        labels_wanted=policy.labels_wanted,
        alarm_every=float(stage_for(policy, Phase.WATCH).alarm_every),
        joins_by_token=policy.token is not None and policy.token.joins,
        is_held_back=_is_held_back(policy),
        is_alone=rollout.is_first,
        max_failed=None if policy.champion_broken is None else policy.champion_broken.max_failed,
    )


def _metrics(policy: RouteIntent, rollout: Rollout) -> tuple[MetricSpec, ...]:
    if rollout.is_first and policy.cold_start is not None:
        return policy.cold_start.checks
    return policy.metrics


def _is_held_back(policy: RouteIntent) -> bool:
    """Whether a watch has somebody to compare with; true also where there is no watch."""
    watch = declared_stage(policy, Phase.WATCH)
    return watch is None or watch.holdback_buckets > 0


@dataclass(slots=True)
class Trial:
    """One experiment under way."""

    plan: ExperimentPlan
    evaluator: Evaluator
    durable: bytes
    """The evaluator as the store has it, or as it began."""
    is_changed: bool = False
    """Whether ``evaluator`` has moved on from ``durable``."""
    pending: bytes = b""
    """The evaluator as written in a transaction that has not ended yet."""
    is_new: bool = False
    """Not written yet: what the route's last experiment left in the journal is not for it."""

    def revert(self) -> None:
        """Go back to what the store has."""
        if self.is_changed:
            self.evaluator = Evaluator.restore(self.plan, self.durable)

    def settled(self) -> None:
        """Note that what is ``pending`` is committed."""
        if self.is_changed:
            self.durable, self.is_changed = self.pending, False
        self.is_new = False

    def is_kept(self, judgable: Judgable) -> bool:
        """Whether an observation waits in the store; one that a token brings back need not."""
        return not (self.plan.joins_by_token and judgable.mode is Mode.SPLIT)

    def is_past_maturity(self, at_ns: int, now_ns: int) -> bool:
        """Whether the cohort of a request is closed: by its age, or because it was judged.

        The second also where the clock went back, which would make old tokens young again.
        """
        is_old = now_ns - at_ns >= self.plan.maturity_s * SECOND_NS
        return is_old or self.evaluator.is_closed(at_ns)


def exposed(trial: Trial | None, served: Served, label: str, now_ns: int) -> Exposed:
    """Return what a token of ours brings to its label, as far as its cohort still is open.

    ``trial``: what is under way on the token's route; None if nothing is.
    """
    route = served.route
    judgable, refusal = None, None
    if trial is None or served.experiment != trial.plan.experiment:
        refusal = LabelResult(LabelOutcome.LATE, "its experiment is over", route)
    elif trial.is_past_maturity(served.at_ns, now_ns):
        because = "it is past its maturity: requests of its age are judged"
        refusal = LabelResult(LabelOutcome.LATE, because, route)
    else:
        judgable = trial.evaluator.exposed(served, label)
    return Exposed(route, served.request_id, served.at_ns, judgable, refusal)
