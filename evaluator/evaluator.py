"""Routes what was observed to the checks of one experiment, and says what they found.

Pure memory: no clock, no I/O. One evaluator per experiment, owned by the engine's thread.
"""

import msgspec

from evaluator import silence, wanted
from evaluator.epochs import begin, epoch_at
from evaluator.evidence import Evidence
from evaluator.exposed import judgable_of, recognised
from evaluator.join import Judgable, Mode
from evaluator.memory import State, decoded, empty, encoded
from evaluator.metric import ExperimentPlan
from evaluator.observer import Observer
from evaluator.panel import Panel
from evaluator.sight import Sight
from router.observation import MirroredPair, Observation
from router.token import Served

FIRST_EPOCH = 64
"""Observations after which the first epoch ends by itself; each later one ends when it is as long
as all before it together, so there are few, and bets learn quickly at first. Measured at 32, 64
and 128, knowing nothing beforehand: mean N on pairs 1.09, 1.09 and 1.10 of the oracle's."""


class Evaluator:
    """Evidence about one challenger, from the first observation on.

    Bets, baselines and thresholds of an epoch are fixed when it begins, from earlier ones only;
    an observation belongs to the epoch in which it was *seen*, also when its label comes later.
    """

    def __init__(
        self, plan: ExperimentPlan, *, first_epoch: int = FIRST_EPOCH, state: State | None = None
    ) -> None:
        """Start empty, or from ``state``. first_epoch = 0: epochs end only when told."""
        self.plan = plan
        self._first_epoch = first_epoch
        self._is_differing_only = plan.labels_wanted == wanted.DISAGREEMENTS
        self._state = state if state is not None else empty(plan)
        self._sight = Sight(plan)
        self._panel = Panel(plan, self._state)
        self._observer = Observer(self._sight, self._panel, self._state, is_alone=plan.is_alone)

    # Observations in.

    def observe(self, observation: Observation) -> Judgable | None:
        """Take in one observation; return what must wait for its label, or None."""
        if observation.experiment != self.plan.experiment:
            self._state.count("foreign")
            return None
        self._state.last_at_ns = max(self._state.last_at_ns, observation.at_ns)
        if isinstance(observation, MirroredPair):
            judgable = self._observer.pair(observation)
        else:
            judgable = self._observer.exposure(observation)
        self._state.n += 1
        self._end_epoch_if_long()
        return judgable

    @property
    def compared(self) -> tuple[str | None, str | None] | None:
        """What champion and challenger predicted in the last pair, as in ``Observer.compared``."""
        return self._observer.compared

    def judge(self, judgable: Judgable, label: str | None) -> None:
        """Take in an observation at maturity with its label (canonical JSON text) or without.

        Called once for each, in the order of requests.
        """
        self._state.count("judged")
        self._state.newest_judged_ns = max(self._state.newest_judged_ns, judgable.at_ns)
        if not 0 <= judgable.epoch <= self._state.epoch:
            self._state.count("foreign")
            return
        if label is not None:
            judgable = recognised(judgable, label)
        if self._is_differing_only and not wanted.is_needed(self.plan, judgable):
            self._state.count("needless")
        elif label is None:
            self._state.count("unlabelled")
        elif judgable.mode is Mode.SPLIT and not self.plan.is_alone:
            self._panel.delivery.labelled(
                judgable.propensity, judgable.is_challenger, judgable.unit
            )
        if label is not None and not self.plan.is_alone:
            self._panel.watch_label(judgable, label)
        if judgable.mode is Mode.WATCH:
            return
        for check in self._panel.checks.values():
            check.judge(judgable, label, self._state.epoch)

    def lose_waiting(self, *, refused: int = 0, repeated: int = 0) -> None:
        """Count observations that do not wait for their label after all, and are never judged.

        ``refused``: the store was full. ``repeated``: their request id was there already.
        """
        self._state.counts["refused"] += refused
        self._state.counts["repeated"] += repeated
        self._panel.delivery.refused(refused)

    def exposed(self, served: Served, label: str) -> Judgable | None:
        """Return what a token told as an observation for its label; None if that is not enough.

        It belongs to the epoch in which it was served. Changes nothing.
        """
        if not self._sight.has_labels or self._sight.has_late_fields:
            return None  # nothing waits for labels, or what it waits with is not in a token
        epoch = epoch_at(self._state.starts, served.at_ns)
        return judgable_of(served, label, self.plan, epoch)

    def is_closed(self, at_ns: int) -> bool:
        """Whether requests of that time are judged already: judging goes in their order."""
        return at_ns <= self._state.newest_judged_ns

    def roll_epoch(self, why: str) -> None:
        """Begin a new epoch: at each change of share or mode, and daily. ``why`` is for the log.

        Nothing observed so far is lost; the next observations are bet on with what is known now.
        """
        self._panel.roll()
        self._state.epoch += 1
        known_ns = max(self._state.last_at_ns, self._state.newest_judged_ns)
        begin(self._state.starts, self._state.epoch, known_ns)
        self._state.n_at_epoch = self._state.n
        self._state.count("epochs")

    def watch(self) -> None:
        """Begin to look for a late turn for the worse: the challenger is champion now."""
        self._panel.watch()

    # Evidence out.

    def evidence(self, now_s: float) -> Evidence:
        """Return what all checks say at the time ``now_s``. Changes nothing."""
        seen, panel = self._state.last_at_ns, self._panel
        champion, challenger = panel.champion_health, panel.challenger_health
        readings = panel.readings(is_read=self._sight.has_prediction)
        return Evidence(
            experiment=self.plan.experiment,
            at_s=now_s,
            readings=silence.told(readings, self._state.counts, self.plan.label_rate),
            counts=dict(self._state.counts),
            last_observation_s=seen / 1e9 if seen else None,
            champion_health=None if champion is None else champion.reading(),
            challenger_health=None if challenger is None else challenger.reading(),
        )

    # Memory.

    def snapshot(self) -> bytes:
        """Return the whole state, exactly."""
        self._state.checks = self._panel.saved()
        return encoded(self._state)

    @classmethod
    def restore(
        cls, plan: ExperimentPlan, raw: bytes, *, first_epoch: int = FIRST_EPOCH
    ) -> "Evaluator":
        """Return an evaluator that goes on where ``raw`` was taken.

        ValueError if the snapshot is not one, or of another plan.
        """
        state = decoded(plan, raw)
        try:
            return cls(plan, first_epoch=first_epoch, state=state)
        except msgspec.MsgspecError as error:
            raise ValueError(f"a check's state is of another form: {error}") from error

    def merge(self, other: "Evaluator") -> None:
        """Add what another evaluator of the same plan has seen of *other* requests.

        Both must have had the same epochs with the same baselines: ValueError if not.
        """
        if other.plan != self.plan or other._state.epoch != self._state.epoch:
            raise ValueError("only evaluators with the same plan and epochs can be merged")
        self._panel.merge(other._panel)
        self._state.merge(other._state)

    def _end_epoch_if_long(self) -> None:
        begun = self._state.n_at_epoch
        if self._first_epoch and self._state.n - begun >= max(self._first_epoch, begun):
            self.roll_epoch("the epoch is as long as all before it")
