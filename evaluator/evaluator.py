"""Routes what was observed to the checks of one experiment, and says what they found.

Pure memory: no clock, no I/O. One evaluator per experiment, owned by the engine's thread.
"""

from collections import Counter

import msgspec
from msgspec import Struct, field

from evaluator import wanted
from evaluator.check import make, saved
from evaluator.delivery import Delivery, DeliveryState
from evaluator.epochs import Starts, begin, epoch_at
from evaluator.evidence import Evidence
from evaluator.exposed import judgable_of, recognised
from evaluator.extract import Extracted, Extractor, Fields, is_cut
from evaluator.forecast import ForecastMonitor, ForecastState
from evaluator.integrity import Integrity, IntegrityState
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import NO_FIELDS, Assigned, Check, How, Paired
from evaluator.metric import (
    ExperimentPlan,
    is_aborted,
    is_failed,
    is_readable_in_principle,
    needs_label,
    reads_prediction,
)
from evaluator.monitor import Monitor, MonitorState
from evaluator.reading import harm_reading, harm_weights, metric_reading
from router.observation import Exposure, MirroredPair, Observation, Outcome
from router.token import Served

FIRST_EPOCH = 64
"""Observations after which the first epoch ends by itself; each later one ends when it is as long
as all before it together, so there are few, and bets learn quickly at first. Measured at 32, 64
and 128, knowing nothing beforehand: mean N on pairs 1.09, 1.09 and 1.10 of the oracle's."""

COUNTS = (
    "pairs",
    "exposures_champion",
    "exposures_challenger",
    "judged",
    "unlabelled",
    "needless",
    "unreadable",
    "lost",
    "fallbacks",
    "aborted",
    "errors_champion",
    "errors_challenger",
    "foreign",
    "epochs",
    "refused",
    "repeated",
)
"""Always there. ``needless``: judged where no label was needed. ``foreign``: of another experiment,
or judged after its epoch was forgotten. ``refused`` and ``repeated``: not kept until their label
comes, see ``lose_waiting``."""

OUTSIDE = ("body_too_large", "incomplete", "circuit_open", "shutdown")
"""Copies lost for these reasons were not to be made: the request is outside of the experiment or
never came whole, the challenger rests (and is judged for that elsewhere), or the router stops."""

_NOTHING = Extracted(None, "not asked")


class State(Struct):
    """All that an evaluator remembers."""

    plan: str
    """The plan's text: a snapshot fits no other."""
    epoch: int
    n: int
    """Observations in all."""
    n_at_epoch: int
    """Observations in all when this epoch began."""
    last_at_ns: int
    counts: dict[str, int]
    checks: dict[str, bytes]
    """Each check's own state, encoded: its kind says how."""
    integrity: IntegrityState
    delivery: DeliveryState
    monitor: MonitorState
    starts: Starts = field(default_factory=list)
    newest_judged_ns: int = 0
    """Of the requests that were judged; labels by token may be ahead of observations."""
    forecast: ForecastState = field(default_factory=lambda: ForecastState([]))


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
        self._extractor = Extractor(plan.prediction)
        self._state = state if state is not None else _empty(plan)
        for name in COUNTS:  # an older version's state may know fewer
            self._state.counts.setdefault(name, 0)
        self._is_differing_only = plan.labels_wanted == wanted.DISAGREEMENTS
        how = How(
            plan.alpha,
            plan.clustered,
            plan.label_rate,
            plan.prediction,
            plan.experiment,
            self._is_differing_only,
        )
        self._checks: dict[str, Check] = {
            spec.name: make(spec, how, self._state.checks.get(spec.name)) for spec in plan.metrics
        }
        self._weights = harm_weights(plan.metrics)
        self._has_labels = any(needs_label(spec, plan.prediction) for spec in plan.metrics)
        self._fields = Fields(
            path for spec in plan.metrics for path in spec.paths_at_once(plan.prediction)
        )
        self._late_fields = Fields(
            path for spec in plan.metrics for path in spec.paths_for_labels()
        )
        self._reads = any(reads_prediction(spec, plan.prediction) for spec in plan.metrics)
        self._integrity = Integrity(plan, self._state.integrity)
        self._delivery = Delivery(plan, self._state.delivery)
        self._monitor = Monitor(plan.alarm_every, self._state.monitor)
        is_forecast = not (plan.is_held_back or plan.clustered)
        self._forecast = ForecastMonitor(
            plan.metrics if is_forecast else (), plan.alarm_every, self._state.forecast
        )

    # Observations in.

    def observe(self, observation: Observation) -> Judgable | None:
        """Take in one observation; return what must wait for its label, or None."""
        if observation.experiment != self.plan.experiment:
            self._count("foreign")
            return None
        self._state.last_at_ns = max(self._state.last_at_ns, observation.at_ns)
        if isinstance(observation, MirroredPair):
            judgable = self._pair(observation)
        else:
            judgable = self._exposure(observation)
        self._state.n += 1
        self._end_epoch_if_long()
        return judgable

    def judge(self, judgable: Judgable, label: str | None) -> None:
        """Take in an observation at maturity with its label (canonical JSON text) or without.

        Called once for each, in the order of requests.
        """
        self._count("judged")
        self._state.newest_judged_ns = max(self._state.newest_judged_ns, judgable.at_ns)
        if not 0 <= judgable.epoch <= self._state.epoch:
            self._count("foreign")
            return
        if label is not None:
            judgable = recognised(judgable, label)
        if self._is_differing_only and not wanted.is_needed(self.plan, judgable):
            self._count("needless")
        elif label is None:
            self._count("unlabelled")
        elif judgable.mode is Mode.SPLIT:
            self._delivery.labelled(judgable.propensity, judgable.is_challenger, judgable.unit)
        if label is not None:
            self._watch_label(judgable, label)
        if judgable.mode is Mode.WATCH:
            return
        for check in self._checks.values():
            check.judge(judgable, label, self._state.epoch)

    def lose_waiting(self, *, refused: int = 0, repeated: int = 0) -> None:
        """Count observations that do not wait for their label after all, and are never judged.

        ``refused``: the store was full. ``repeated``: their request id was there already.
        """
        self._state.counts["refused"] += refused
        self._state.counts["repeated"] += repeated
        self._delivery.refused(refused)

    def exposed(self, served: Served, label: str) -> Judgable | None:
        """Return what a token told as an observation for its label; None if that is not enough.

        It belongs to the epoch in which it was served. Changes nothing.
        """
        if not self._has_labels or self._late_fields:
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
        for check in self._checks.values():
            check.roll()
        self._monitor.roll()
        self._state.epoch += 1
        known_ns = max(self._state.last_at_ns, self._state.newest_judged_ns)
        begin(self._state.starts, self._state.epoch, known_ns)
        self._state.n_at_epoch = self._state.n
        self._count("epochs")

    def watch(self) -> None:
        """Begin to look for a late turn for the worse: the challenger is champion now.

        Not where units send many requests: what a detector promises needs a lot for each request.
        """
        if self.plan.is_held_back and not self.plan.clustered:
            self._monitor.begin(self.plan.metrics)
        self._forecast.begin()

    # Evidence out.

    def evidence(self, now_s: float) -> Evidence:
        """Return what all checks say at the time ``now_s``. Changes nothing."""
        findings = {name: check.finding() for name, check in self._checks.items()}
        readings = [
            metric_reading(check.spec, findings[name], self.plan, self._weights[name])
            for name, check in self._checks.items()
        ]
        readings.append(harm_reading(findings, self._weights, self.plan))
        readings.append(self._integrity.srm_reading())
        readings.append(self._integrity.readable_reading(is_needed=self._reads))
        readings.append(self._delivery.reading())
        watched = self._monitor.reading() or self._forecast.reading()
        if watched is not None:
            readings.append(watched)
        seen = self._state.last_at_ns
        return Evidence(
            experiment=self.plan.experiment,
            at_s=now_s,
            readings=tuple(readings),
            counts=dict(self._state.counts),
            last_observation_s=seen / 1e9 if seen else None,
        )

    # Memory.

    def snapshot(self) -> bytes:
        """Return the whole state, exactly."""
        self._state.checks = {name: saved(check) for name, check in self._checks.items()}
        return msgspec.msgpack.encode(self._state)

    @classmethod
    def restore(
        cls, plan: ExperimentPlan, raw: bytes, *, first_epoch: int = FIRST_EPOCH
    ) -> "Evaluator":
        """Return an evaluator that goes on where ``raw`` was taken.

        ValueError if the snapshot is not one, or of another plan.
        """
        try:
            state = msgspec.msgpack.decode(raw, type=State)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not a snapshot of an evaluator: {error}") from error
        if state.plan != repr(plan):
            raise ValueError(f"snapshot of another plan: {state.plan} instead of {plan!r}")
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
        for name, check in self._checks.items():
            check.merge(other._checks[name])
        self._integrity.merge(other._integrity)
        self._delivery.merge(other._delivery)
        self._monitor.merge(other._monitor)
        self._forecast.merge(other._forecast)
        epochs = self._state.counts["epochs"]
        self._state.counts = dict(Counter(self._state.counts) + Counter(other._state.counts))
        self._state.counts = {name: self._state.counts.get(name, 0) for name in COUNTS}
        self._state.counts["epochs"] = epochs
        self._state.n += other._state.n
        self._state.last_at_ns = max(self._state.last_at_ns, other._state.last_at_ns)

    # One observation.

    def _pair(self, pair: MirroredPair) -> Judgable | None:
        champion, challenger = pair.champion, pair.challenger
        is_lost = bool(pair.loss) or challenger is None
        if pair.loss not in OUTSIDE:
            self._delivery.copied(is_lost)
        if is_lost or challenger is None:
            self._count("lost")
            return self._alone(pair, champion)
        if is_aborted(champion) or is_aborted(challenger):
            self._count("aborted")
            return None
        self._count("pairs")
        self._count_errors(champion, challenger)
        self._forecast.learn("error", pair.at_ns, not is_failed(champion))
        a, b = self._read(champion, False), self._read(challenger, True)
        one, other = self._answer(champion, a), self._answer(challenger, b)
        seen = Paired(
            self._state.epoch,
            pair.unit,
            champion,
            challenger,
            _is_agreed(champion, a, b, challenger),
            self._fields.read(champion),
            self._fields.read(challenger),
            one.is_cut or other.is_cut,
        )
        for check in self._checks.values():
            check.pair(seen)
        return self._waiting(pair, Mode.PAIR, 0.5, champion=one, challenger=other)

    def _exposure(self, exposure: Exposure) -> Judgable | None:
        is_challenger, propensity = exposure.is_challenger, exposure.propensity
        self._count("exposures_challenger" if is_challenger else "exposures_champion")
        if exposure.fallback is not None:
            self._count("fallbacks")
        is_lot = 0.0 < propensity < 1.0
        if is_lot:
            self._integrity.assigned(propensity, is_challenger, exposure.unit)
        is_resting = exposure.loss == "circuit_open" and is_challenger
        if exposure.loss and not is_resting:
            self._count("lost")  # e.g. too large a body: outside the experiment for both alike
            return None
        if is_resting:
            self._count("lost")
        elif is_aborted(exposure.outcome):
            self._count("aborted")
            return None
        if not is_lot and is_challenger:
            return self._promoted(exposure, is_resting=is_resting)
        if not is_lot:
            return self._alone(exposure, exposure.outcome)
        return self._drawn(exposure, is_resting=is_resting)

    def _drawn(self, exposure: Exposure, *, is_resting: bool) -> Judgable | None:
        """Take in a unit that was given its variant by lot: intention to treat."""
        outcome, is_challenger = exposure.outcome, exposure.is_challenger
        if is_resting or is_failed(outcome):
            self._count("errors_challenger" if is_challenger else "errors_champion")
        if is_resting:
            answer, fields = Answer(None, is_failed=True), NO_FIELDS
        else:
            answer = self._answer(outcome, self._read(outcome, is_challenger))
            fields = self._fields.read(outcome)
        self._delivery.answered(exposure.propensity, is_challenger, exposure.unit)
        is_good = not (is_resting or is_failed(outcome))
        self._monitor.observe("error", exposure.propensity, is_challenger, is_good)
        if not is_challenger:
            self._forecast.learn("error", exposure.at_ns, is_good)
        seen = Assigned(
            self._state.epoch,
            exposure.propensity,
            exposure.unit,
            is_challenger,
            outcome,
            is_resting,
            fields,
            answer.is_cut,
        )
        for check in self._checks.values():
            check.split(seen)
        return self._waiting(
            exposure,
            Mode.SPLIT,
            exposure.propensity,
            champion=None if is_challenger else answer,
            challenger=answer if is_challenger else None,
        )

    def _promoted(self, exposure: Exposure, *, is_resting: bool) -> Judgable | None:
        """Watch the new champion where nobody is held back; it proves nothing else any more."""
        if not self._state.forecast.is_watching:
            return None
        outcome = exposure.outcome
        is_good = not (is_resting or is_failed(outcome))
        self._forecast.observe("error", exposure.at_ns, is_good)
        if not is_good:
            self._count("errors_challenger")
        if is_resting:
            answer = Answer(None, is_failed=True)
        else:
            answer = self._answer(outcome, self._read(outcome, True))
        return self._waiting(exposure, Mode.WATCH, 1.0, champion=None, challenger=answer)

    def _alone(self, seen: Observation, champion: Outcome) -> Judgable | None:
        """Learn the champion's rates from an answer that was not drawn by lot."""
        if is_aborted(champion):
            self._count("aborted")
            return None
        answer = self._answer(champion, self._read(champion, False))
        self._forecast.learn("error", seen.at_ns, not is_failed(champion))
        fields = self._fields.read(champion)
        for check in self._checks.values():
            check.learn(champion, fields)
        return self._waiting(seen, Mode.HISTORY, 0.0, champion=answer, challenger=None)

    def _waiting(
        self,
        seen: Observation,
        mode: Mode,
        propensity: float,
        *,
        champion: Answer | None,
        challenger: Answer | None,
    ) -> Judgable | None:
        if not self._has_labels:
            return None
        self._delivery.awaited()
        return Judgable(
            seen.request_id,
            seen.at_ns,
            mode,
            propensity,
            seen.unit,
            self._state.epoch,
            champion,
            challenger,
        )

    def _read(self, outcome: Outcome, is_challenger: bool) -> Extracted:
        """Return the prediction in an answer, and count whether it could be read."""
        if not self._reads or not is_readable_in_principle(outcome):
            return _NOTHING
        found = self._extractor.read(outcome)
        if found.text is None:
            self._count("unreadable")
        self._integrity.read(is_challenger, found.text is not None)
        return found

    def _answer(self, outcome: Outcome, found: Extracted) -> Answer:
        return Answer(
            found.text,
            is_failed=is_failed(outcome),
            is_cut=is_cut(outcome, found),
            fields=self._late_fields.read(outcome),
        )

    def _watch_label(self, judgable: Judgable, label: str) -> None:
        is_new = judgable.mode is Mode.WATCH
        one = judgable.challenger if judgable.is_challenger or is_new else judgable.champion
        if one is None or one.is_cut:
            return
        is_good = not one.is_failed and one.prediction == label
        if judgable.mode is Mode.SPLIT:
            self._monitor.observe("correct", judgable.propensity, judgable.is_challenger, is_good)
        if is_new:
            self._forecast.observe("correct", judgable.at_ns, is_good)
        elif not judgable.is_challenger:
            self._forecast.learn("correct", judgable.at_ns, is_good)

    def _count_errors(self, champion: Outcome, challenger: Outcome) -> None:
        if is_failed(champion):
            self._count("errors_champion")
        if is_failed(challenger):
            self._count("errors_challenger")

    def _count(self, name: str) -> None:
        self._state.counts[name] += 1

    def _end_epoch_if_long(self) -> None:
        begun = self._state.n_at_epoch
        if self._first_epoch and self._state.n - begun >= max(self._first_epoch, begun):
            self.roll_epoch("the epoch is as long as all before it")


def _empty(plan: ExperimentPlan) -> State:
    return State(
        plan=repr(plan),
        epoch=0,
        n=0,
        n_at_epoch=0,
        last_at_ns=0,
        counts=dict.fromkeys(COUNTS, 0),
        checks={},
        integrity=IntegrityState.empty(is_clustered=plan.clustered),
        delivery=DeliveryState.empty(is_clustered=plan.clustered),
        monitor=MonitorState([]),
    )


def _is_agreed(champion: Outcome, a: Extracted, b: Extracted, challenger: Outcome) -> bool | None:
    """Return whether a pair agrees; None when the champion gave nothing to agree with."""
    if a.text is None or is_cut(challenger, b) or is_failed(champion):
        return None
    return a.text == b.text
