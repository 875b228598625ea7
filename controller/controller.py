"""The loop: evidence, verdict, plan, record and swap, in the right order.

Lives in one thread, is called by it only, and never waits for anything but the store. It says when
things happen; what may happen is in ``judge`` and ``adoption``, how it is done in ``mover``.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import structlog

from controller import audit, store
from controller.act import Act, ActRefused, Asked, UnknownRoute, perform
from controller.adopter import Adopter
from controller.adoption import IntentRefused, may_answer
from controller.age import Ages
from controller.audit import Entry, iso
from controller.clock import Clock
from controller.dispute import Dispute
from controller.gatekeeper import Gatekeeper
from controller.gates.report import GateReport
from controller.gates.task import GateTask
from controller.intake import Intake
from controller.landing import Landings
from controller.missing import Standing
from controller.mover import Mover
from controller.policy import Intent, RouteIntent, ScorerSpec
from controller.registrar import Registrar
from controller.reviewer import CONTROLLER, Reviewer
from controller.rollout import OBSERVED, WITH_TRAFFIC, Event, Phase, Rollout, elapse
from controller.status import RouteView, render_route
from controller.store import RouteState, StoreError
from controller.traffic import Traffic
from evaluator.evidence import Evidence
from evaluator.join import Label, LabelResult
from evaluator.waiting import Due
from router.observation import Batch
from router.table import Route, RoutingTable

__all__ = ["Act", "ActRefused", "Controller", "IntentRefused", "ScoreTask", "UnknownRoute"]

VERSION = version("understudy")
SAVE_EVERY_S = 10.0
"""How much of a stage's counted time a crash may forget; it rides on writes that happen anyway."""
TIDY_EVERY_S = 60.0
DAY_NS = 86_400 * 10**9

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ScoreTask:
    """Answers that a route's scorer is to judge."""

    route: str
    scorer: ScorerSpec
    due: tuple[Due, ...]


class Controller:
    """Owns the rollouts of all routes. Made, called and dropped in one thread.

    ``publish`` hands a table to the routers; it must neither wait nor raise. ``published`` is the
    table that was published last, as far as the caller knows: a rollback is published before it is
    written, so after a crash in between it is newer than the store.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        clock: Clock,
        publish: Callable[[RoutingTable], None],
        *,
        published: RoutingTable | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._published = published
        stored = store.load_table(connection)
        self._traffic = Traffic(connection, publish, table=stored or RoutingTable(version=0))
        self._intake = Intake(connection)
        self._mover = Mover(connection, clock, self._traffic, self._intake, entropy)
        self._adopter = Adopter(
            self._mover,
            self._traffic,
            self._intake,
            published=_by_name(published),
            loss=_loss(store.damage(connection), stored, published),
        )
        self._gates = Gatekeeper(self._mover, clock)
        self.registrar = Registrar(connection, self._mover, clock)
        """The model versions: what is registered, and what is proven of the challengers."""
        self._mover.vouch = self.registrar.account
        self._gates.model_of = self.registrar.model_of
        self._landings = Landings(self._mover, self._intake, clock)
        self._reviewer = Reviewer(
            self._mover, self._intake, self._gates, self._landings, clock, self.registrar
        )
        self._has_begun = False
        self._stepped_at_s = self._tidied_at_s = clock.monotonic_s()
        self._ages = Ages(clock.wall_ns(), clock.monotonic_s())
        self._day = clock.wall_ns() // DAY_NS
        for name in self._mover.take_up():
            log.error("evidence_lost", route=name)
        intent = store.load_intent(connection)
        if intent is not None:
            self._intake.record_to(intent.record)
            self._intake.bound(intent.store_bytes)
        self._intake.sign_for(() if intent is None else intent.routes)
        self._intake.show(() if intent is None else intent.routes)

    def adopt(self, intent: Intent, who: str) -> None:
        """Take over a routing file: the first, or a changed one.

        IntentRefused when it asks for what it may not have, StoreError when it could not be
        written; either way nothing has changed.
        """
        self._begin()
        self._adopter.adopt(intent, who)
        self.registrar.remember(intent)
        self._intake.record_to(intent.record)
        self._intake.bound(intent.store_bytes)
        self._intake.sign_for(intent.routes)
        self._intake.show(intent.routes)

    def ingest(self, batches: Sequence[Batch]) -> dict[str, int]:
        """Count observations; return the highest durable sequence of each source.

        StoreError when they could not be written: send them again. What they show is looked at
        first, so that a full disk does not keep a bad challenger in traffic.
        """
        try:
            done = self._intake.take(batches, at_ns=self._clock.wall_ns(), also=self._save_times)
        except StoreError:
            self._look_back()
            raise
        self._reviewer.note_news()
        return done

    def label(self, labels: Sequence[Label]) -> list[LabelResult]:
        """Join labels to observations; StoreError when they could not be written: none is."""
        return self._intake.label(
            labels,
            now_ns=self._clock.wall_ns(),
            record=self._dispute,
            mono_s=self._clock.monotonic_s(),
        )

    def eject(self, route: str, variant: str, failures: int) -> None:
        """Roll back a challenger that a router gave up on; news of any other comes too late."""
        rollout = self._rollout(route)
        if rollout is None or rollout.challenger != variant or rollout.phase not in WITH_TRAFFIC:
            return
        because = f"a router saw {failures} failures in a row"
        self._reviewer.eject(self._mover.states[route], because)

    def pending_gates(self) -> list[GateTask]:
        """Return the gates to run now, at most one a route; the answer of each goes to ``report``.
        Where the champion is broken, those who could take its place are asked too.

        One that is being run is in it until it is no longer wanted: whoever runs it knows what is
        under way.
        """
        return [*self._gates.pending(), *self._landings.pending()]

    def report(self, task: GateTask, report: GateReport) -> None:
        """Take in what a gate found; a report about a stage that is over is ignored.

        StoreError when the gate was passed and that could not be written: the next step does.
        """
        if self._landings.take(task, report):
            self._reviewer.note_news()
        elif self._gates.take(task, report):
            state = self._mover.states[task.route.name]
            assert state.rollout is not None  # its gate was just asked for
            self._reviewer.review(state, state.rollout)

    def step(self) -> None:
        """Do what time and evidence ask for; called every 100 ms and after ``ingest``.

        StoreError, when it is all done, if something could not be written: it is tried again at
        the next step, and whatever moves traffic back was done all the same.
        """
        self._begin()
        self._elapse()
        try:
            self._traffic.require_settled()
            self._ages.note(self._clock.wall_ns(), self._clock.monotonic_s())
            if self._intake.mature(before_ns=self._ages.before_ns):
                self._reviewer.note_news()
            self._roll_daily()
            self._mover.queue()
            self._reviewer.look()
            self._tidy()
        except StoreError:
            self._look_back()
            raise

    def to_score(self, after: Mapping[str, int]) -> list[ScoreTask]:
        """Return what each route's scorer is to judge next, behind the sequences in ``after``."""
        tasks = []
        for route in self._mover.serving().values():
            if route.scorer is not None and self._intake.has(route.name):
                due = self._intake.unscored(
                    route.name, after=after.get(route.name, 0), limit=route.scorer.batch
                )
                if due:
                    tasks.append(ScoreTask(route.name, route.scorer, tuple(due)))
        return tasks

    def act(
        self,
        route: str,
        act: Act,
        who: str,
        reason: str,
        *,
        break_glass: bool = False,
        glass_s: float | None = None,
    ) -> None:
        """Do what a person asks, and record who and why; ActRefused when it may not be.

        ``glass_s``: how long a promotion around the gates may last; None: the default.
        """
        if route not in self._mover.states:
            raise UnknownRoute(f"there is no route {route!r}")
        asked = Asked(act, who, reason, break_glass, glass_s)
        state, evidence = self._mover.states[route], self._reviewer.evidence(route)
        landing = (
            self._landings.choose(state, state.rollout, evidence)
            if state.rollout is not None
            else None
        )
        perform(self._mover, self._standing(state, evidence), evidence, asked, landing)
        self._reviewer.note_news()

    def fence(self, table_version: int) -> None:
        """Take note of the table that a router says it has.

        One that is newer than ours was a rollback that no disk knows of. We cannot tell whose, so
        every challenger with traffic goes back, and our table is published as a newer one still.
        """
        self._begin()
        if table_version <= self._traffic.table.version:
            return
        self._traffic.renumber(above=table_version)
        self._remember(None)
        self._traffic.publish()

    def status(self) -> dict[str, object]:
        """Return what is true now; the caller knows ``routers`` and ``config_error``."""
        return {
            "version": VERSION,
            "at": iso(self._clock.wall_ns()),
            "table_version": self._traffic.table.version,
            "config_digest": self._mover.digest,
            "config_error": None,
            "unrecorded": self._traffic.n_unrecorded,
            "recording": self._intake.recording(),
            "labels": self._intake.unrouted_counts(),
            "store": self._intake.store_size(),
            "forged_labels": self._intake.n_forged,
            "routers": [],
            "routes": [render_route(self._view(r)) for r in self._mover.serving().values()],
        }

    def wanted(self, route: str, *, after: int, limit: int) -> dict[str, Any]:
        """Return which requests of ``route`` are to be labelled, as ``wanted_json`` says.

        UnknownRoute if there is none of that name; ActRefused if it has no experiment.
        """
        if route not in self._mover.states:
            raise UnknownRoute(f"there is no route {route!r}")
        found = self._intake.wanted(route, after=after, limit=limit)
        if found is None:
            raise ActRefused(f"no experiment is under way on {route!r}: nothing waits for a label")
        return found

    def disagreements(self, route: str) -> dict[str, Any]:
        """Return the pairs of ``route`` that disagree most, as its file lets people see them.

        UnknownRoute if there is none of that name.
        """
        if route not in self._mover.states:
            raise UnknownRoute(f"there is no route {route!r}")
        return self._intake.disagreements(route)

    def decisions(self, route: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the latest moves of challengers, newest first."""
        actions = ("advance", "promote", "rollback")
        with store.reading():
            return audit.latest(self._connection, route=route, actions=actions, limit=limit)

    def audit(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Return audit records in their order."""
        with store.reading():
            return audit.records(self._connection, after=after, limit=limit)

    def _rollout(self, route: str) -> Rollout | None:
        state = self._mover.states.get(route)
        return None if state is None else state.rollout

    def _look_back(self) -> None:
        """Judge what memory shows, then forget what the store does not have."""
        self._reviewer.look_back()
        self._intake.revert()

    def _begin(self) -> None:
        """Publish what is in force, once; a rollback that a crash left unwritten comes first."""
        if self._has_begun:
            return
        self._has_begun = True
        published = self._published
        if published is not None and published.version > self._traffic.table.version:
            self._traffic.renumber(above=published.version)
            self._remember(_by_name(published))
        if self._traffic.table.routes:
            self._traffic.publish()

    def _remember(self, published: Mapping[str, Route] | None) -> None:
        """Roll back whom the published table no longer serves; None: all who have traffic."""
        because = "its rollback was published, and the controller stopped before recording it"
        for state, rollout in self._mover.rollouts(OBSERVED | {Phase.PROMOTED}):
            if rollout.is_first and rollout.phase is Phase.PROMOTED:
                continue  # there is nobody before it
            if published is None:
                is_back = rollout.phase in WITH_TRAFFIC
            else:
                is_back = not _serves(published.get(state.name), rollout.challenger)
            if is_back:
                self._mover.move(
                    state.name,
                    Event.REMEMBERED,
                    who=CONTROLLER,
                    because=because,
                    land_on=self._landed(state.name, published),
                )

    def _landed(self, route: str, published: Mapping[str, Route] | None) -> str | None:
        """Return who answered users by the published table; None if that is not to be known."""
        shown = (published or {}).get(route)
        if shown is None or shown.is_closed:
            return None
        champion = shown.split.champion
        return champion if champion in may_answer(self._mover.serving()[route]) else None

    def _elapse(self) -> None:
        now_s = self._clock.monotonic_s()
        elapsed_s, self._stepped_at_s = now_s - self._stepped_at_s, now_s
        for state, rollout in self._mover.rollouts():
            self._mover.put(replace(state, rollout=elapse(rollout, elapsed_s)))
        for state in list(self._mover.states.values()):
            self._mover.cool(state, elapsed_s)

    def _save_times(self, connection: sqlite3.Connection) -> None:
        now_s = self._mover.wall_s()
        for state, _ in self._mover.rollouts():
            if abs(now_s - state.saved_at_s) >= SAVE_EVERY_S:  # the clock may have gone back
                saved = replace(state, saved_at_s=now_s)
                store.save_route(connection, saved)
                self._mover.put(saved)

    def _roll_daily(self) -> None:
        """Refresh what the evaluator fixes for an epoch (docs/statistics.md: at least daily)."""
        day = self._clock.wall_ns() // DAY_NS
        if day == self._day:
            return
        self._day = day
        for state, _ in self._mover.rollouts(OBSERVED):
            self._intake.roll_epoch(state.name, "a new day")
        with store.transaction(self._connection):
            self._intake.save(self._connection)
        self._intake.settled()

    def _tidy(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._tidied_at_s < TIDY_EVERY_S:
            return
        self._tidied_at_s = now_s
        windows_ns = {
            route.name: round(_kept_s(route) * 1e9) for route in self._mover.serving().values()
        }
        is_more = self._intake.tidy(
            windows_ns, now_ns=self._clock.wall_ns(), record=self._dispute, mono_s=now_s
        )
        if is_more:
            self._tidied_at_s -= TIDY_EVERY_S  # go on at the next step

    def _dispute(self, connection: sqlite3.Connection, route: str, dispute: Dispute) -> None:
        """Record second labels that differ from the first, in the transaction of labels."""
        state = self._mover.states.get(route)
        version = self._traffic.table.version
        audit.append(
            connection,
            Entry(
                at_ns=self._clock.wall_ns(),
                who=CONTROLLER,
                route=route,
                action="labels",
                because=dispute.told,
                config_digest=self._mover.digest,
                challenger=state.rollout.challenger if state and state.rollout else None,
                table_from=version,
                table_to=version,
                evidence={"counts": dispute.counts, "request_ids": dispute.ids},
            ),
        )

    def _view(self, route: RouteIntent) -> RouteView:
        state, evidence = self._mover.states[route.name], self._reviewer.evidence(route.name)
        return RouteView(
            route=route,
            standing=self._standing(state, evidence),
            evidence=evidence,
            labels=self._intake.label_counts(route.name),
            pending=self._intake.pending(route.name),
            tokens=self._intake.token_counts(route.name),
            landings=self._landings.told(state),
            chain=self._reviewer.chain_json(state),
        )

    def _standing(self, state: RouteState, evidence: Evidence | None) -> Standing:
        return Standing(
            state=state,
            policy=state.policy or self._mover.serving()[state.name],
            required=(
                self._reviewer.required(state, state.rollout, evidence) if state.rollout else ()
            ),
            proven=self.registrar.readings(state, state.rollout) if state.rollout else (),
            gate=self._gates.report(state),
            outside=self._gates.confirmation(state.name),
            sponsors=self._sponsors(state),
        )

    def _sponsors(self, state: RouteState) -> tuple[str, ...]:
        """Return who asked for the challenger, and who registered it: others approve it."""
        asked = () if state.rollout is None else state.askers.get(state.rollout.challenger, ())
        registered_by = self.registrar.registered_by(state)
        return (*asked, registered_by) if registered_by else asked


def _kept_s(route: RouteIntent) -> float:
    """Return how long what was judged is kept, to know its label when it comes again, seconds.

    A token that comes again after its maturity is late by the time in it: nothing need be kept.
    """
    joins_by_token = route.token is not None and route.token.joins
    return route.maturity_s if joins_by_token else max(route.window_s, route.maturity_s)


def _by_name(table: RoutingTable | None) -> dict[str, Route]:
    return {} if table is None else {route.name: route for route in table.routes}


def _serves(route: Route | None, variant: str) -> bool:
    """Whether ``route`` gives ``variant`` requests of users, or copies of them."""
    if route is None or route.is_closed:
        return False
    split, mirror = route.split, route.mirror
    has_share = split.challenger == variant and split.challenger_buckets > 0
    is_mirror = mirror is not None and mirror.variant == variant
    return split.champion == variant or has_share or is_mirror


def _loss(damage: str, stored: RoutingTable | None, published: RoutingTable | None) -> str:
    """Return how the state was lost, if it was; empty if it was not."""
    if damage:
        return damage
    if stored is None and published is not None and published.version > 0:
        return f"the state is empty although table {published.version} was published"
    return ""
