"""Observations and labels on their way into the evidence, each counted once.

What memory knows is never ahead of the disk for long: a change that could not be committed is
undone here too, so evidence after a restart is the evidence before it.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Raw

from controller import record, store
from controller.dispute import Disputes, Record, unrecorded
from controller.failpoint import pass_by
from controller.policy import RecordSpec, RouteIntent
from controller.record import Begun, EpochLine, LabelLine, Line, LostLine, WatchLine
from controller.recorder import Recorder
from controller.rollout import Phase, Rollout, declared_stage, stage_for
from controller.status import Pending
from controller.tokens import Tokens
from controller.traffic import nothing_more
from controller.wanted import COHORT, wanted_json
from evaluator.evaluator import Evaluator
from evaluator.evidence import Evidence
from evaluator.exposed import Exposed
from evaluator.join import Judgable, Label, LabelOutcome, LabelResult, Mode, checked
from evaluator.journal import Journal, JournalFull
from evaluator.metric import ExperimentPlan
from evaluator.waiting import Due
from router.observation import Batch
from router.token import Served

SECOND_NS = 10**9
KEEP_SOURCES_NS = 7 * 86_400 * SECOND_NS
"""A router process that said nothing for a week will not send an old batch again."""
MATURE_AT_ONCE = 2_000
"""Observations judged in one transaction: the thread is free again within a fraction of a second.
Chosen."""
TIDY_AT_ONCE = 2_000
"""Observations forgotten of one route in one transaction; at ten a second 20,000, which is more
than a controller takes in. Chosen."""
RECORDED = (
    LabelOutcome.ACCEPTED,
    LabelOutcome.CORRECTED,
    LabelOutcome.LATE,
    LabelOutcome.UNKNOWN,
)
"""Labels that are recorded: with another maturity, or a later observation, they would be used."""
LOOK_AT = 1_000
"""Observations looked at to tell how many have a label: a millisecond or two. Chosen."""
UNROUTED = ""
"""Stands for the route of labels that belong to none."""
EARLY = "early"
"""Counted beside what labels were answered: those that were ``unknown`` and joined an observation
that came after them."""


def experiment_plan(policy: RouteIntent, rollout: Rollout) -> ExperimentPlan:
    """Return what the evaluator must know about ``rollout``. Pure."""
    return ExperimentPlan(
        experiment=rollout.experiment,
        route=policy.name,
        champion=rollout.champion,
        challenger=rollout.challenger,
        metrics=policy.metrics,
        prediction=policy.prediction,
        clustered=policy.unit_header is not None,
        alpha=policy.alpha,
        maturity_s=policy.maturity_s,
        window_s=policy.window_s,
        label_rate=policy.label_rate,
        labels_wanted=policy.labels_wanted,
        alarm_every=float(stage_for(policy, Phase.WATCH).alarm_every),
        joins_by_token=policy.token is not None and policy.token.joins,
        is_held_back=_is_held_back(policy),
    )


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


class Intake:
    """Owns the evaluators and the journal. One thread; made and used by the Controller."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._journal = Journal(connection)
        self._trials: dict[str, Trial] = {}
        self._labels: dict[str, Counter[str]] = {}
        self._disputes = Disputes(connection)
        self._tokens = Tokens()
        self._recorder: Recorder | None = None
        self._recording: RecordSpec | None = None

    def record_to(self, spec: RecordSpec | None) -> None:
        """Record from now on what the evaluators are given, as the routing file says; or no more.

        Between two transactions only.
        """
        if spec != self._recording:
            self._recording = spec
            self._recorder = (
                None if spec is None else Recorder(spec, self._connection, self._under_way)
            )
            self._revert_recording()

    def sign_for(self, routes: Iterable[RouteIntent]) -> None:
        """Take tokens of these routes from now on, and of no others."""
        self._tokens.use(routes)

    def recording(self) -> dict[str, object] | None:
        """Return what became of the recording, JSON-ready; None if there is none."""
        if self._recorder is None or self._recording is None:
            return None
        return {
            "folder": self._recording.folder,
            "bytes": self._recorder.size_bytes,
            "dropped": self._recorder.n_dropped,
        }

    def bound(self, max_bytes: int) -> None:
        """Refuse observations from now on while the store's file has ``max_bytes`` or more."""
        self._journal.max_bytes = max_bytes

    def store_size(self) -> dict[str, int]:
        """Return how large the store is and may be, in bytes, JSON-ready."""
        with store.reading():
            used, log = self._journal.used_bytes(), store.log_bytes(self._connection)
        return {"bytes": used, "limit_bytes": self._journal.max_bytes, "log_bytes": log}

    def begin(self, plan: ExperimentPlan) -> None:
        """Start the experiment of a route, with no evidence."""
        evaluator = Evaluator(plan)
        self._trials[plan.route] = Trial(
            plan, evaluator, evaluator.snapshot(), is_changed=True, is_new=True
        )
        self._record(Begun(plan=plan))

    def resume(self, plan: ExperimentPlan) -> bool:
        """Take up an experiment where the store left it; False if there is nothing readable.

        Without its evidence it starts from none, which can only delay a promotion.
        """
        raw = store.load_snapshot(self._connection, plan.route)
        try:
            evaluator = None if raw is None else Evaluator.restore(plan, raw)
        except ValueError:  # another version's, or another experiment's
            evaluator = None
        if evaluator is None or raw is None:
            self.begin(plan)
            return False
        self._trials[plan.route] = Trial(plan, evaluator, raw)
        return True

    def end(self, route: str) -> None:
        """Forget the experiment of a route, if it has one."""
        self._trials.pop(route, None)

    def has(self, route: str) -> bool:
        """Whether the route has an experiment under way."""
        return route in self._trials

    def evidence(self, route: str, *, now_s: float) -> Evidence | None:
        """Return what the experiment of ``route`` has shown; None if there is none."""
        trial = self._trials.get(route)
        return None if trial is None else trial.evaluator.evidence(now_s)

    def roll_epoch(self, route: str, why: str) -> None:
        """Tell the evaluator that shares or the day changed."""
        trial = self._trials.get(route)
        if trial is not None:
            trial.evaluator.roll_epoch(why)
            trial.is_changed = True
            self._record(EpochLine(route=route, why=why))

    def unscored(self, route: str, *, after: int, limit: int) -> list[Due]:
        """Return observations of ``route`` that wait for a label, behind sequence ``after``."""
        with store.reading():
            return self._journal.unscored(route, after=after, limit=limit)

    def wanted(self, route: str, *, after: int, limit: int) -> dict[str, Any] | None:
        """Return which requests of ``route`` are to be labelled, of the cohort behind sequence
        ``after``; None without an experiment."""
        trial = self._trials.get(route)
        if trial is None:
            return None
        return wanted_json(trial.plan, self.unscored(route, after=after, limit=COHORT), limit)

    def watch(self, route: str) -> None:
        """Tell the evaluator that the challenger is champion now."""
        trial = self._trials.get(route)
        if trial is not None:
            trial.evaluator.watch()
            trial.is_changed = True
            self._record(WatchLine(route=route))

    def save(self, connection: sqlite3.Connection) -> None:
        """Write every changed evaluator, within the caller's transaction; see ``settled``."""
        for route, trial in self._trials.items():
            if trial.is_new:
                self._journal.forget(route)
            if trial.is_changed:
                trial.pending = trial.evaluator.snapshot()
                store.save_snapshot(connection, route, trial.pending)
        if self._recorder is not None:
            self._recorder.flush(connection)

    def settled(self) -> None:
        """Note that what ``save`` wrote is committed."""
        if self._recorder is not None:
            self._recorder.settled()
        for trial in self._trials.values():
            if trial.is_changed:
                trial.durable, trial.is_changed = trial.pending, False
            trial.is_new = False

    def revert(self) -> None:
        """Go back to what the store has, after a transaction failed."""
        self._revert_recording()
        for trial in self._trials.values():
            if trial.is_changed:
                trial.evaluator = Evaluator.restore(trial.plan, trial.durable)

    def take(
        self,
        batches: Sequence[Batch],
        *,
        at_ns: int,
        also: Callable[[sqlite3.Connection], None] = nothing_more,
    ) -> dict[str, int]:
        """Write and count new batches; return the highest durable sequence of each source.

        StoreError when they could not be written: memory then still counts them, for a look at
        what they show; call ``revert`` next.
        """
        with store.reading():
            done = {
                source: store.last_sequence(self._connection, source)
                for source in {batch.source for batch in batches}
            }
        waiting: dict[str, list[Judgable]] = {}
        for batch in batches:
            if batch.sequence > done[batch.source]:
                self._observe(batch, waiting)
                done[batch.source] = batch.sequence
        early: dict[str, int] = {}
        with store.transaction(self._connection):
            for route, judgables in waiting.items():
                early[route] = self._keep(route, judgables)
            for source, sequence in done.items():
                store.note_sequence(self._connection, source, sequence, at_ns=at_ns)
            self.save(self._connection)
            also(self._connection)
            pass_by("ingest.in_transaction")
        self.settled()
        pass_by("ingest.after_commit")
        for route, n in early.items():
            self._labels.setdefault(route, Counter())[EARLY] += n
        return done

    def label(
        self,
        labels: Sequence[Label],
        *,
        now_ns: int,
        record: Record = unrecorded,
        mono_s: float = 0.0,
    ) -> list[LabelResult]:
        """Write labels beside the observations that wait for them; one result each, in order.

        ``record`` tells the audit of second labels that differ, once a minute of ``mono_s`` at
        most. StoreError when they could not be written, or there is no room: none of them is.
        """
        read = self._tokens.read(labels, self._exposed, now_ns=now_ns)
        try:
            with store.transaction(self._connection):
                results = self._joined(read, now_ns)
                self._record_labels(read, results, now_ns)
                named = [
                    one if isinstance(one, Label) else label
                    for one, label in zip(read, labels, strict=True)
                ]
                self._disputes.note(self._connection, named, results, record, now_s=mono_s)
                pass_by("label.in_transaction")
        except JournalFull as error:
            raise store.StoreError(f"the state could not be written: {error}") from error
        except store.StoreError:
            self._disputes.revert()
            self._revert_recording()
            raise
        self._disputes.settled(now_s=mono_s)
        if self._recorder is not None:
            self._recorder.settled()
        pass_by("label.after_commit")
        self._tokens.count(read, results)
        for label, result in zip(labels, results, strict=True):
            # The route that a label names is its sender's word: they could name any number.
            said = label.route if label.route in self._trials else None
            route = result.route or said or UNROUTED
            self._labels.setdefault(route, Counter())[result.outcome.value] += 1
        return results

    def _joined(self, read: Sequence[Label | LabelResult], now_ns: int) -> list[LabelResult]:
        """Return what becomes of each; those that were refused already are not asked for."""
        asked = [one for one in read if isinstance(one, Label)]
        joined = iter(self._journal.label_many(asked, now_ns=now_ns))
        return [one if isinstance(one, LabelResult) else next(joined) for one in read]

    def mature(self, *, before_ns: Callable[[int], int]) -> bool:
        """Judge what is old enough, labelled or not; return whether there was anything.

        ``before_ns`` gives the wall clock up to which requests are of an age, in nanoseconds: see
        controller/age.py. StoreError as in ``take``.
        """
        with store.reading():
            due = {
                route: self._journal.matured(
                    route,
                    now_ns=before_ns(round(trial.plan.maturity_s * SECOND_NS)),
                    maturity_ns=0,
                    limit=MATURE_AT_ONCE,
                )
                for route, trial in self._trials.items()
            }
        if not any(due.values()):
            return False
        for route, observations in due.items():
            trial = self._trials[route]
            for one in observations:
                trial.evaluator.judge(one.judgable, one.label)
                trial.is_changed = True
                self._record_judged(route, one)
        with store.transaction(self._connection):
            for observations in due.values():
                self._journal.mark_judged(observations)
            self.save(self._connection)
            pass_by("mature.in_transaction")
        self.settled()
        pass_by("mature.after_commit")
        return True

    def tidy(
        self,
        windows_ns: Mapping[str, int],
        *,
        now_ns: int,
        record: Record = unrecorded,
        mono_s: float = 0.0,
    ) -> bool:
        """Drop what nobody will ask for again; ``windows_ns`` has each route's label window.

        Routes without one are served no more. ``record`` tells the audit what it was not told yet,
        as in ``label``. Return whether there may be more to drop.
        """
        try:
            is_more = self._tidy(windows_ns, now_ns, record, mono_s)
        except store.StoreError:
            self._disputes.revert()
            raise
        self._disputes.settled(now_s=mono_s)
        return is_more

    def _tidy(
        self, windows_ns: Mapping[str, int], now_ns: int, record: Record, mono_s: float
    ) -> bool:
        done = []
        with store.transaction(self._connection):
            self._disputes.flush(self._connection, record, now_s=mono_s)
            for route in windows_ns.keys() | set(self._journal.routes()):
                if route not in self._trials:
                    self._journal.forget(route)
                window_ns = windows_ns.get(route, 0)
                done.append(
                    self._journal.purge(
                        route, now_ns=now_ns, window_ns=window_ns, limit=TIDY_AT_ONCE
                    )
                )
            store.forget_sources(self._connection, before_ns=now_ns - KEEP_SOURCES_NS)
        return max(done, default=0) >= TIDY_AT_ONCE

    def label_counts(self, route: str) -> dict[str, int]:
        """Return what became of a route's labels since this process began, and what waits."""
        with store.reading():
            return self._label_counts(route) | {"waiting": self._journal.waiting(route)}

    def unrouted_counts(self) -> dict[str, int]:
        """Return what became of labels that belong to no route that we know of."""
        return self._label_counts(UNROUTED)

    def _label_counts(self, route: str) -> dict[str, int]:
        counted = self._labels.get(route, Counter())
        counts = {outcome.value: counted[outcome.value] for outcome in LabelOutcome}
        return counts | {EARLY: counted[EARLY]}

    def pending(self, route: str) -> Pending | None:
        """Return what waits to be judged on ``route``; None without an experiment."""
        if route not in self._trials:
            return None
        with store.reading():
            oldest = self._journal.oldest(route, limit=LOOK_AT)
            return Pending(self._journal.waiting(route), *oldest)

    def _keep(self, route: str, judgables: Sequence[Judgable]) -> int:
        """Let observations wait for their labels; those that cannot are lost evidence, counted.

        Return how many found a label that had come before them.
        """
        excess = store.log_bytes(self._connection) - store.WAL_LIMIT_BYTES
        self._journal.outside_bytes = max(0, excess)  # somebody reads for long
        added = self._journal.add(route, judgables)
        refused, repeated = len(added.refused), added.repeated
        if refused or repeated:
            self._trials[route].evaluator.lose_waiting(refused=refused, repeated=repeated)
            self._record(LostLine(route=route, refused=refused, repeated=repeated))
        return added.labelled

    def token_counts(self, route: str) -> dict[str, int]:
        """Return what became of the labels that came with a token of ``route``."""
        return self._tokens.counts(route)

    @property
    def n_forged(self) -> int:
        """How many labels came with a token that is not ours, since this process began."""
        return self._tokens.n_forged

    def _exposed(self, served: Served, label: str, now_ns: int) -> Exposed:
        """Return what a token of ours brings to its label, as far as its cohort still is open."""
        route, trial = served.route, self._trials.get(served.route)
        judgable, refusal = None, None
        if trial is None or served.experiment != trial.plan.experiment:
            refusal = LabelResult(LabelOutcome.LATE, "its experiment is over", route)
        elif _is_past_maturity(trial, served.at_ns, now_ns):
            because = "it is past its maturity: requests of its age are judged"
            refusal = LabelResult(LabelOutcome.LATE, because, route)
        else:
            judgable = trial.evaluator.exposed(served, label)
        return Exposed(route, served.request_id, served.at_ns, judgable, refusal)

    def _observe(self, batch: Batch, waiting: dict[str, list[Judgable]]) -> None:
        for observation in batch.observations:
            trial = self._trials.get(observation.route)
            if trial is None or observation.experiment != trial.plan.experiment:
                continue  # of an experiment that has ended, or of none
            judgable = trial.evaluator.observe(observation)
            trial.is_changed = True
            if self._recorder is not None:
                self._recorder.add(record.of_observation(observation))
            if judgable is not None and not _has_token(trial.plan, judgable):
                waiting.setdefault(observation.route, []).append(judgable)

    def _revert_recording(self) -> None:
        """Leave in the recorder only what is not in the store yet and will be: new experiments."""
        if self._recorder is None:
            return
        self._recorder.revert()
        for trial in self._trials.values():
            if trial.is_new:
                self._recorder.add(Begun(plan=trial.plan))

    def _record(self, line: Line) -> None:
        if self._recorder is not None:
            self._recorder.add(line)

    def _record_judged(self, route: str, one: Due) -> None:
        if self._recorder is not None:
            self._recorder.add(record.of_judged(route, one.judgable, one.label))

    def _record_labels(
        self, labels: Sequence[Label | LabelResult], results: Sequence[LabelResult], now_ns: int
    ) -> None:
        """Write labels into the recording, within the caller's transaction of nothing else."""
        if self._recorder is None:
            return
        for label, result in zip(labels, results, strict=True):
            clean = checked(label) if isinstance(label, Label) else label
            if result.outcome in RECORDED and isinstance(clean, Label):
                self._recorder.add(
                    LabelLine(
                        request_id=clean.request_id,
                        label=Raw(clean.label.encode()),
                        at_ns=now_ns,
                        route=result.route or clean.route,
                        correct=clean.is_correction,
                    )
                )
        self._recorder.flush(self._connection)

    def _under_way(self) -> list[Begun]:
        """Return the experiments that a new file of the recording must start from."""
        return [
            Begun(plan=trial.plan, snapshot=trial.durable)
            for trial in self._trials.values()
            if not trial.is_new
        ]


def _has_token(plan: ExperimentPlan, judgable: Judgable) -> bool:
    """Whether a token will bring an observation back, so that it need not be kept."""
    return plan.joins_by_token and judgable.mode is Mode.SPLIT


def _is_past_maturity(trial: Trial, at_ns: int, now_ns: int) -> bool:
    """Whether the cohort of a request is closed: by its age, or because it was judged.

    The second also where the clock went back, which would make old tokens young again.
    """
    is_old = now_ns - at_ns >= trial.plan.maturity_s * SECOND_NS
    return is_old or trial.evaluator.is_closed(at_ns)
