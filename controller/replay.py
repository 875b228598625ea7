"""A recording, evaluated again. Pure: lines in, evaluators out.

With the plan that was recorded the evaluators get exactly what they were given live, in the same
order, so that they say the same to the last bit. With another policy every observation is read
anew: other metrics, another alpha, another prediction; if labels mature at another age, they are
joined anew as well.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from msgspec import structs

from controller.policy import RouteIntent
from controller.record import (
    Begun,
    EpochLine,
    ExposureLine,
    Gap,
    JudgedLine,
    LabelLine,
    Line,
    LostLine,
    PairLine,
    WaitingLine,
    WatchLine,
    judgable_of,
    label_of,
    observation_of,
)
from controller.rollout import Rollout
from controller.trial import experiment_plan
from evaluator.evaluator import Evaluator
from evaluator.evidence import Role
from evaluator.join import Judgable
from evaluator.metric import ExperimentPlan, MetricSpec

MAX_LABELS = 2_000_000
"""Labels kept in case another maturity needs them; as many observations may wait live. Chosen."""

Replan = Callable[[ExperimentPlan], ExperimentPlan | None]
"""Gives the plan to replay an experiment with; None leaves the experiment out."""


def as_recorded(plan: ExperimentPlan) -> ExperimentPlan:
    """Replay with the plan that was recorded."""
    return plan


def with_policy(policy: RouteIntent, route: str) -> Replan:
    """Return a plan maker that judges the experiments of ``route`` by ``policy``."""

    def replan(plan: ExperimentPlan) -> ExperimentPlan | None:
        if plan.route != route:
            return None
        rollout = Rollout(plan.challenger, plan.champion, plan.experiment)
        return replace(experiment_plan(policy, rollout), route=route)

    return replan


@dataclass(slots=True)
class Replayed:
    """One experiment."""

    plan: ExperimentPlan
    evaluator: Evaluator
    is_as_recorded: bool
    """Whether the plan is the recorded one: then the judging is taken from the recording."""
    joins_anew: bool
    """Whether labels are joined again, because what was judged live does not fit the plan."""
    is_whole: bool
    """Whether it was followed from its beginning."""
    is_behind: bool = False
    """Whether lines are missing since the last state that is known."""
    waiting: dict[str, Judgable] = field(default_factory=dict)
    """By request id."""
    due: list[tuple[int, int, str]] = field(default_factory=list)
    """A heap of those that are joined anew: (at_ns, order of arrival, request id)."""
    at_ns: int = 0
    """Wall clock of the newest observation."""


class Replay:
    """Follows a recording line by line; ``experiments`` is what it made of it, in order."""

    def __init__(self, replan: Replan = as_recorded) -> None:
        self._replan = replan
        self._running: dict[str, Replayed] = {}  # by route
        self._labels: dict[tuple[str | None, str], str] = {}
        self.experiments: dict[str, Replayed] = {}
        self.n_lines = 0
        self.n_lost = 0
        """Lines that the recording says are missing."""
        self.has_gap = False

    def feed(self, lines: Iterable[Line]) -> None:
        """Take in lines, in their order."""
        for line in lines:
            self.n_lines += 1
            match line:
                case Begun():
                    self._begin(line)
                case ExposureLine() | PairLine():
                    self._observe(line)
                case JudgedLine():
                    self._judge(line)
                case WaitingLine():
                    self._wait(line)
                case LabelLine():
                    self._label(line)
                case LostLine():
                    self._lose(line)
                case EpochLine():
                    self._epoch(line)
                case WatchLine():
                    self._watch(line)
                case Gap():
                    self.has_gap, self.n_lost = True, self.n_lost + line.lost
                    for replayed in self._running.values():
                        replayed.is_behind = True

    def finish(self) -> None:
        """Judge what is old enough by the clock of the last line."""
        for replayed in self._running.values():
            self._mature(replayed)

    def _begin(self, line: Begun) -> None:
        known = self._running.get(line.plan.route)
        if line.snapshot and known and known.plan.experiment == line.plan.experiment:
            if known.is_behind and known.is_as_recorded:
                known.evaluator = Evaluator.restore(known.plan, line.snapshot)
            known.is_behind = False  # by another policy: go on without what is missing
            return  # the next file of one recording: we are there already
        plan = self._replan(line.plan)
        if plan is None:
            self._running.pop(line.plan.route, None)
            return
        is_same, evaluator = plan == line.plan, Evaluator(plan)
        if is_same and line.snapshot:
            evaluator = Evaluator.restore(plan, line.snapshot)
        replayed = Replayed(
            plan,
            evaluator,
            is_as_recorded=is_same,
            joins_anew=not is_same and not _is_judged_alike(plan, line.plan),
            is_whole=is_same or not line.snapshot,
        )
        self._running[plan.route] = self.experiments[plan.experiment] = replayed

    def _observe(self, line: ExposureLine | PairLine) -> None:
        replayed = self._running.get(line.route)
        if replayed is None or replayed.plan.experiment != line.experiment:
            return
        replayed.at_ns = max(replayed.at_ns, line.at_ns)
        self._mature(replayed)
        judgable = replayed.evaluator.observe(observation_of(line))
        if judgable is None or line.request_id in replayed.waiting:
            return
        if replayed.is_as_recorded and replayed.plan.joins_by_token:
            return  # the line of its judgement has all of it; most have none
        replayed.waiting[line.request_id] = judgable
        if replayed.joins_anew:
            heapq.heappush(replayed.due, (line.at_ns, self.n_lines, line.request_id))

    def _judge(self, line: JudgedLine) -> None:
        replayed = self._running.get(line.route)
        if replayed is None or replayed.joins_anew:
            return
        judgable = replayed.waiting.pop(line.request_id, None)
        label = label_of(line)
        if replayed.is_as_recorded:
            # As the line has it: what a token brought back has its epoch by another clock.
            replayed.evaluator.judge(judgable_of(line), label)
        elif judgable is not None:
            replayed.evaluator.judge(judgable, label)

    def _wait(self, line: WaitingLine) -> None:
        """Take up what an export says is waiting: it was seen already, and not judged."""
        replayed = self._running.get(line.route)
        if replayed is None or line.request_id in replayed.waiting:
            return
        judgable, label = judgable_of(line), label_of(line)
        replayed.at_ns = max(replayed.at_ns, line.at_ns)
        if replayed.joins_anew:  # bets are made anew too, and there is one epoch to make them for
            judgable = structs.replace(judgable, epoch=0)
            heapq.heappush(replayed.due, (line.at_ns, self.n_lines, line.request_id))
            if label is not None:
                self._labels[(line.route, line.request_id)] = label
        replayed.waiting[line.request_id] = judgable

    def _label(self, line: LabelLine) -> None:
        """Keep a label for a plan with another maturity; the first of a request stays, unless it
        is corrected. What is old enough when it comes is judged before, as live."""
        anew = [replayed for replayed in self._running.values() if replayed.joins_anew]
        if not anew:
            return
        for replayed in anew:
            replayed.at_ns = max(replayed.at_ns, line.at_ns)
            self._mature(replayed)
        key, text = (line.route, line.request_id), bytes(line.label).decode()
        if key in self._labels and line.correct:
            self._labels[key] = text
        elif len(self._labels) < MAX_LABELS:
            self._labels.setdefault(key, text)

    def _lose(self, line: LostLine) -> None:
        """Count what the store did not keep; joined anew, the recording itself keeps it."""
        replayed = self._running.get(line.route)
        if replayed is not None and not replayed.joins_anew:
            replayed.evaluator.lose_waiting(refused=line.refused, repeated=line.repeated)

    def _epoch(self, line: EpochLine) -> None:
        replayed = self._running.get(line.route)
        if replayed is not None:
            replayed.evaluator.roll_epoch(line.why)

    def _watch(self, line: WatchLine) -> None:
        replayed = self._running.get(line.route)
        if replayed is not None:
            replayed.evaluator.watch()

    def _mature(self, replayed: Replayed) -> None:
        """Judge what is older than the maturity by the clock of the recording, in its order."""
        oldest_ns = replayed.at_ns - round(replayed.plan.maturity_s * 1e9)
        while replayed.due and replayed.due[0][0] <= oldest_ns:
            _, _, request_id = heapq.heappop(replayed.due)
            label = self._labels.pop((replayed.plan.route, request_id), None)
            if label is None:
                label = self._labels.pop((None, request_id), None)
            replayed.evaluator.judge(replayed.waiting.pop(request_id), label)


def _is_judged_alike(plan: ExperimentPlan, recorded: ExperimentPlan) -> bool:
    """Whether what was judged live, and when, also serves ``plan``: it reads what was read."""
    asked, known = ({_what_it_reads(spec) for spec in p.metrics} for p in (plan, recorded))
    is_read_alike = (plan.prediction is None) == (recorded.prediction is None)
    return plan.maturity_s == recorded.maturity_s and is_read_alike and asked <= known


def _what_it_reads(spec: MetricSpec) -> MetricSpec:
    """Return a metric without what is only about its judgement."""
    return replace(
        spec,
        name="",
        role=Role.PROXY,
        detect=None,
        margin=None,
        at_least=None,
        quantile=None,
        missing="ignore",
    )
