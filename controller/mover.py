"""Moves rollouts: the state, the table, the evidence and the record change together.

Owns the state of every route. It does what it is told; whether it may is for its callers to know.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from controller import feed, store
from controller.account import NO_GROUNDS, Grounds, action_of, entry_of
from controller.adoption import next_challenger
from controller.audit import Entry
from controller.basis import with_basis
from controller.clock import Clock
from controller.consent import Glass
from controller.family import alpha_objective, least_claim
from controller.gates.functionalspec import FunctionalSpec
from controller.gates.report import GateReport
from controller.intake import Intake
from controller.plan import lay_out, plan
from controller.policy import RouteIntent
from controller.rollout import (
    FINISHED,
    NOBODY,
    Event,
    Phase,
    Rollout,
    cooling_after,
    elapse,
    move,
    resume,
)
from controller.store import Finished, RouteState, StoreError
from controller.traffic import Change, Traffic
from controller.trial import experiment_plan
from evaluator.evidence import Evidence
from evaluator.metric import ExperimentPlan
from router.table import Route, RoutingTable

RECOVERY = "recovery"
"""Who holds a route whose state was lost."""
SALT_BYTES = 32
CHAIN_KEY_BYTES = 32
NAME_BYTES = 4
"""Of an experiment's name: two of one challenger are never taken for each other."""
MAX_HISTORY = 20
RUNNING = frozenset(Phase) - FINISHED


class Mover:
    """The routes and where their rollouts stand. One thread; made and used by the Controller."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        clock: Clock,
        traffic: Traffic,
        intake: Intake,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._clock = clock
        self._traffic = traffic
        self._intake = intake
        self._entropy = entropy
        self.intent = store.load_intent(connection)
        """The file that was adopted last; None before the first."""
        self.states = store.load_routes(connection)
        self._chain_key = _key_in(traffic.table) or entropy(CHAIN_KEY_BYTES)
        """Kept in the table, as salts are: a new one makes the sets under way worthless."""
        self.vouch: Callable[[RouteState], tuple[str | None, dict[str, Any]]] = _for_nobody
        """Returns the digest of a challenger's artifact, and what is proven of it."""

    @property
    def digest(self) -> str:
        """Return which file was adopted last; empty before the first."""
        return self.intent.digest if self.intent is not None else ""

    def serving(self) -> dict[str, RouteIntent]:
        """Return what the present file says of each route, in its order."""
        routes = self.intent.routes if self.intent is not None else ()
        return {route.name: route for route in routes}

    def rollouts(self, phases: Iterable[Phase] = RUNNING) -> list[tuple[RouteState, Rollout]]:
        """Return the routes whose rollout is in one of ``phases``."""
        wanted = set(phases)
        return [
            (state, state.rollout)
            for state in self.states.values()
            if state.rollout is not None and state.rollout.phase in wanted
        ]

    def put(self, state: RouteState) -> None:
        """Take ``state`` for the present one, in memory only."""
        self.states[state.name] = state

    def wall_s(self) -> float:
        """Return the wall clock in seconds since the epoch."""
        return self._clock.wall_ns() / 1e9

    def take_up(self) -> list[str]:
        """Go on where the store left each rollout; return the routes whose evidence was lost.

        The time that nobody counted has passed for the stages too.
        """
        lost = []
        for state in list(self.states.values()):
            self.cool(state, self.wall_s() - state.saved_at_s)
        for state, rollout in self.rollouts(RUNNING - {Phase.QUEUED}):
            away_s = self.wall_s() - state.saved_at_s
            self.put(replace(state, rollout=elapse(rollout, away_s)))
            resumed = [self._intake.resume(one) for one in _plans(_policy_of(state), rollout)]
            if not all(resumed):
                lost.append(state.name)
        return lost

    def cool(self, state: RouteState, seconds: float) -> None:
        """Let ``seconds`` of a route's cool-down pass, in memory only."""
        if state.cooling_s > 0.0:
            left_s = max(0.0, state.cooling_s - max(0.0, seconds))
            self.put(replace(state, cooling_s=left_s))

    def queue(self) -> None:
        """Give every idle route its next challenger, if the file has one; nothing moves yet."""
        for name, route in self.serving().items():
            state = self.states[name]
            if state.rollout is not None and state.rollout.is_running:
                continue
            challenger = next_challenger(route, state)
            if challenger is not None:
                self.put(self._queued(state, route, challenger))

    def move(
        self,
        name: str,
        event: Event,
        *,
        who: str,
        because: str,
        evidence: Evidence | None = None,
        report: GateReport | None = None,
        land_on: str | None = None,
        glass: Glass | None = None,
        missing: Sequence[str] = (),
    ) -> None:
        """Move a rollout. Back to safety: in force when this returns, recorded as soon as may be.
        Forward: StoreError when it cannot be recorded, and then nothing has moved.

        ``land_on`` becomes champion by a rollback; without it whoever the challenger was compared
        with."""
        before = self.states[name]
        now = self._after(before, event, because, evidence, glass)
        assert now.rollout is not None  # _after moves one
        phase = now.rollout.phase
        if phase is Phase.ROLLED_BACK and land_on not in (None, now.champion, NOBODY):
            assert land_on is not None
            now = replace(now, champion=land_on, previous_champion=None)
        assert before.rollout is not None  # as above
        action = action_of(before.rollout, phase)
        change = self._change(
            before,
            now,
            who=who,
            action=action,
            because=because,
            grounds=Grounds(evidence, report, tuple(missing)),
        )
        change = self._with_basis(change, before, event, evidence)
        if phase is Phase.ROLLED_BACK:
            self.put(now)
            self._intake.end(name)
            self._traffic.withdraw(change)
            return
        self._advance(now, change, action, why=f"{event.value}: {because}")
        self.put(now)
        if phase is Phase.PROMOTED:
            self._intake.end(name)

    def annotate(
        self,
        now: RouteState,
        *,
        who: str,
        action: str,
        because: str,
        evidence: Evidence | None = None,
        missing: Sequence[str] = (),
    ) -> None:
        """Record a change of ``now`` that moves no traffic (a hold, its end, a refusal)."""
        now = replace(now, saved_at_s=self.wall_s())
        change = self._change(
            self.states[now.name],
            now,
            who=who,
            action=action,
            because=because,
            grounds=Grounds(evidence, None, tuple(missing)),
        )
        self._traffic.advance(change, action=action)
        self.put(now)

    def route_of(self, state: RouteState, serving: RouteIntent) -> Route:
        """Return the route as routers must serve it now."""
        return lay_out(
            serving,
            policy=state.policy or serving,
            champion=state.champion,
            rollout=state.rollout,
            salt=state.salt,
            is_proven=state.is_proven,
            chain_key=self._chain_key,
        )

    def account(
        self,
        before: RouteState,
        now: RouteState,
        *,
        who: str,
        action: str,
        because: str,
        tables: tuple[int, int],
        digest: str | None = None,
        grounds: Grounds = NO_GROUNDS,
    ) -> Entry:
        """Return the audit's account of a change, dated now."""
        artifact, proven = self.vouch(before if before.rollout is not None else now)
        entry = entry_of(
            before,
            now,
            at_ns=self._clock.wall_ns(),
            who=who,
            action=action,
            because=because,
            config_digest=self.digest if digest is None else digest,
            tables=tables,
            grounds=grounds,
        )
        return replace(entry, artifact=artifact, evidence=entry.evidence | proven)

    def _queued(self, state: RouteState, route: RouteIntent, challenger: str) -> RouteState:
        now_s = self.wall_s()
        state = state if state.is_proven else replace(state, champion=challenger)
        rollout = Rollout(
            challenger=challenger,
            champion=state.champion if state.is_proven else NOBODY,
            experiment=f"{challenger}-{self._entropy(NAME_BYTES).hex()}",
            began_at_s=now_s,
            entered_at_s=now_s,
            held_by=RECOVERY if state.hold_reason else None,
            hold_reason=state.hold_reason,
            because="its turn has come",
            alpha_objective=alpha_objective(route, challenger, state.history),
        )
        return replace(state, rollout=rollout, policy=_lean(route), salt=self._entropy(SALT_BYTES))

    def _after(
        self,
        before: RouteState,
        event: Event,
        because: str,
        evidence: Evidence | None,
        glass: Glass | None,
    ) -> RouteState:
        rollout, now_s = before.rollout, self.wall_s()
        if rollout is None:
            raise AssertionError(f"route {before.name!r} has no rollout to move: {event}")
        counts = evidence.counts if evidence is not None else rollout.counts_at_entry
        moved = move(rollout, event, at_s=now_s, because=because, counts=counts)
        policy = self._policy(before, rollout)
        if event is Event.PROVEN:
            moved = replace(moved, claimed_log_e=least_claim(evidence))
        state = replace(
            before,
            rollout=replace(resume(moved), glass=glass) if event is Event.FORCED else moved,
            policy=policy,
            cooling_s=cooling_after(policy, rollout.phase, event) or before.cooling_s,
            saved_at_s=now_s,
        )
        if moved.phase is Phase.PROMOTED:
            state = replace(
                state,
                champion=moved.challenger,
                previous_champion=moved.champion or None,  # nobody, before a first version
                is_proven=True,
            )
        if rollout.phase is Phase.PROMOTED:
            state = replace(state, champion=moved.champion, previous_champion=None)
        return _finished(state, moved, now_s) if moved.phase in FINISHED else state

    def _policy(self, before: RouteState, rollout: Rollout) -> RouteIntent:
        """A rollout is judged by what the file said when it began, whatever it says later."""
        is_beginning = rollout.phase is Phase.QUEUED
        return _lean(self.serving()[before.name]) if is_beginning else _policy_of(before)

    def _change(
        self,
        before: RouteState,
        now: RouteState,
        *,
        who: str,
        action: str,
        because: str,
        grounds: Grounds = NO_GROUNDS,
    ) -> Change:
        table = self._traffic.table
        planned = plan(table, self.route_of(now, self.serving()[now.name]))
        after = table if planned.routes == table.routes else planned
        entry = self.account(
            before,
            now,
            who=who,
            action=action,
            because=because,
            tables=(table.version, after.version),
            grounds=grounds,
        )
        return Change(after, (entry,), (now,))

    def _with_basis(
        self, change: Change, before: RouteState, event: Event, evidence: Evidence | None
    ) -> Change:
        """Have the record say what the move rests on, and keep the evidence that it was read of."""
        snapshot = None if evidence is None else self._intake.snapshot(before.name)
        (entry,) = change.entries
        entry = with_basis(entry, before, event, evidence, snapshot)
        return replace(change, entries=(entry,), snapshot=snapshot)

    def _advance(self, now: RouteState, change: Change, action: str, *, why: str) -> None:
        assert now.rollout is not None  # only rollouts advance
        is_beginning = not self._intake.has(now.name)
        if is_beginning:
            for one in _plans(_policy_of(now), now.rollout):
                self._intake.begin(one)
        else:
            self._intake.roll_epoch(now.name, why)
        if now.rollout.phase is Phase.WATCH:
            self._intake.watch(now.name)
        try:
            self._traffic.advance(change, action=action, also=self._intake.save)
        except StoreError:
            self._intake.revert()
            if is_beginning:
                self._intake.end(now.name)
            raise
        self._intake.settled()


def _for_nobody(_: RouteState) -> tuple[str | None, dict[str, Any]]:
    return None, {}


def _lean(route: RouteIntent) -> RouteIntent:
    """Return ``route`` without sample bodies: they may be megabytes, and states are saved often."""
    bare = FunctionalSpec()  # schemas may be as large
    stages = tuple(replace(stage, samples=(), functional=bare) for stage in route.stages)
    return replace(route, stages=stages)


def _policy_of(state: RouteState) -> RouteIntent:
    if state.policy is None:
        raise AssertionError(f"route {state.name!r} has a rollout without its policy")
    return state.policy


def _finished(state: RouteState, rollout: Rollout, now_s: float) -> RouteState:
    ending = Finished(
        rollout.challenger, rollout.phase.value, now_s, rollout.because, rollout.claimed_log_e
    )
    tried = state.tried if rollout.challenger in state.tried else (*state.tried, rollout.challenger)
    return replace(state, tried=tried, history=(*state.history, ending)[-MAX_HISTORY:])


def _plans(policy: RouteIntent, rollout: Rollout) -> tuple[ExperimentPlan, ...]:
    """Return what is judged of a rollout: by its own route first, then by those behind it."""
    return (experiment_plan(policy, rollout), *feed.plans(policy, rollout))


def _key_in(table: RoutingTable) -> bytes:
    return next((route.chain.key for route in table.routes if route.chain is not None), b"")
