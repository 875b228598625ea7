"""Observations and labels on their way into the evidence, each counted once.

What memory knows is never ahead of the disk for long: a change that could not be committed is
undone here too, so evidence after a restart is the evidence before it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from controller import feed, store
from controller.disagreement import Disagreements
from controller.dispute import Disputes, Record, unrecorded
from controller.failpoint import pass_by
from controller.labelcount import LabelCounts
from controller.policy import RecordSpec, RouteIntent
from controller.record import Begun, EpochLine, LostLine, WatchLine
from controller.recording import Recording
from controller.status import Pending
from controller.tokens import Tokens
from controller.traffic import nothing_more
from controller.trial import SECOND_NS, Trial, exposed
from controller.wanted import COHORT, wanted_json
from evaluator.evaluator import Evaluator
from evaluator.evidence import Evidence
from evaluator.exposed import Exposed
from evaluator.join import Judgable, Label, LabelResult
from evaluator.journal import Journal, JournalFull
from evaluator.metric import ExperimentPlan
from evaluator.waiting import Due
from router.observation import Batch, MirroredPair
from router.token import Served

KEEP_SOURCES_NS = 7 * 86_400 * SECOND_NS
"""A router process that said nothing for a week will not send an old batch again."""
MATURE_AT_ONCE = 2_000
"""Observations judged in one transaction: the thread is free again within a fraction of a second.
Chosen."""
TIDY_AT_ONCE = 2_000
"""Observations forgotten of one route in one transaction; at ten a second 20,000, which is more
than a controller takes in. Chosen."""
LOOK_AT = 1_000
"""Observations looked at to tell how many have a label: a millisecond or two. Chosen."""


class Intake:
    """Owns the evaluators and the journal. One thread; made and used by the Controller."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._journal = Journal(connection)
        self._trials: dict[str, Trial] = {}
        self._labels = LabelCounts()
        self._disputes = Disputes(connection)
        self._tokens = Tokens()
        self._disagreements = Disagreements()
        self._recording = Recording(connection, self._trials)

    def record_to(self, spec: RecordSpec | None) -> None:
        """Record from now on what the evaluators are given, as the routing file says; or no more.

        Between two transactions only.
        """
        self._recording.use(spec)

    def sign_for(self, routes: Iterable[RouteIntent]) -> None:
        """Take tokens of these routes from now on, and of no others."""
        self._tokens.use(routes)

    def show(self, routes: Iterable[RouteIntent]) -> None:
        """Keep what these routes let people see of pairs that disagree, and of no others."""
        self._disagreements.use(routes)

    def disagreements(self, route: str) -> dict[str, Any]:
        """Return the pairs of ``route`` that disagree most, JSON-ready, as its file lets us."""
        return self._disagreements.told(route)

    def recording(self) -> dict[str, object] | None:
        """Return what became of the recording, JSON-ready; None if there is none."""
        return self._recording.told()

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
        self._recording.add(Begun(plan=plan))

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
        """Forget the experiment of a route, if it has one, on every route that it feeds too."""
        for name in self._with_chain(route):
            del self._trials[name]

    def has(self, route: str) -> bool:
        """Whether the route has an experiment under way."""
        return route in self._trials

    def evidence(self, route: str, *, now_s: float) -> Evidence | None:
        """Return what the experiment of ``route`` has shown; None if there is none."""
        trial = self._trials.get(route)
        return None if trial is None else trial.evaluator.evidence(now_s)

    def snapshot(self, route: str) -> bytes | None:
        """Return the evaluator's state of ``route`` as it is now; None without an experiment."""
        trial = self._trials.get(route)
        return None if trial is None else trial.evaluator.snapshot()

    def roll_epoch(self, route: str, why: str) -> None:
        """Tell the evaluator that shares or the day changed."""
        for name in self._with_chain(route):
            trial = self._trials[name]
            trial.evaluator.roll_epoch(why)
            trial.is_changed = True
            self._recording.add(EpochLine(route=name, why=why))

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
            self._recording.add(WatchLine(route=route))

    def save(self, connection: sqlite3.Connection) -> None:
        """Write every changed evaluator, within the caller's transaction; see ``settled``."""
        for route, trial in self._trials.items():
            if trial.is_new:
                self._journal.forget(route)
            if trial.is_changed:
                trial.pending = trial.evaluator.snapshot()
                store.save_snapshot(connection, route, trial.pending)
        self._recording.flush(connection)

    def settled(self) -> None:
        """Note that what ``save`` wrote is committed."""
        self._recording.settled()
        for trial in self._trials.values():
            trial.settled()

    def revert(self) -> None:
        """Go back to what the store has, after a transaction failed."""
        self._recording.revert()
        for trial in self._trials.values():
            trial.revert()

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
            self._labels.count_early(route, n)
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
        chained = {name: name.partition(">")[2] for name in self._trials if ">" in name}
        more = feed.copies(read, chained)
        whole = [*read, *(label for _, label in more)]
        try:
            with store.transaction(self._connection):
                became = self._joined(whole, now_ns)
                self._recording.labelled(whole, became, now_ns)
                results = feed.settled(became[: len(read)], more, became[len(read) :], chained)
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
            self._recording.revert()
            raise
        self._disputes.settled(now_s=mono_s)
        self._recording.settled()
        pass_by("label.after_commit")
        self._tokens.count(read, results)
        self._labels.count(labels, results, self._trials)
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
                self._recording.judged(route, one)
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
            return self._labels.of(route) | {"waiting": self._journal.waiting(route)}

    def unrouted_counts(self) -> dict[str, int]:
        """Return what became of labels that belong to no route that we know of."""
        return self._labels.of()

    def token_counts(self, route: str) -> dict[str, int]:
        """Return what became of the labels that came with a token of ``route``."""
        return self._tokens.counts(route)

    @property
    def n_forged(self) -> int:
        """How many labels came with a token that is not ours, since this process began."""
        return self._tokens.n_forged

    def pending(self, route: str) -> Pending | None:
        """Return what waits to be judged on ``route``; None without an experiment."""
        if route not in self._trials:
            return None
        with store.reading():
            oldest = self._journal.oldest(route, limit=LOOK_AT)
            return Pending(self._journal.waiting(route), *oldest)

    def _with_chain(self, route: str) -> list[str]:
        """Return the names of a route's experiment, on it and on those that it feeds."""
        return [name for name in self._trials if name.partition(">")[0] == route]

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
            self._recording.add(LostLine(route=route, refused=refused, repeated=repeated))
        return added.labelled

    def _exposed(self, served: Served, label: str, now_ns: int) -> Exposed:
        return exposed(self._trials.get(served.route), served, label, now_ns)

    def _observe(self, batch: Batch, waiting: dict[str, list[Judgable]]) -> None:
        for observation in batch.observations:
            trial = self._trials.get(observation.route)
            if trial is None or observation.experiment != trial.plan.experiment:
                continue  # of an experiment that has ended, or of none
            judgable = trial.evaluator.observe(observation)
            trial.is_changed = True
            self._recording.observed(observation)
            if isinstance(observation, MirroredPair):
                self._disagreements.note(observation, trial.evaluator.compared)
            if judgable is not None and trial.is_kept(judgable):
                waiting.setdefault(observation.route, []).append(judgable)
