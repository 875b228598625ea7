"""The controller's state machine, explored: every phase, every input, a crash at every step.

Each case begins with a state on the disk, gives the real controller one input, and compares what is
true afterwards with what the table of moves allows. Then it is played again once for every place at
which a process may die on the way (promises: F24), and what a new process makes of the disk is
compared in the same way. Only the statistics are played: a case says what the evidence shows.
"""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest

from controller import audit, store
from controller.consent import Approval, Glass
from controller.controller import Act, ActRefused, Controller
from controller.gates.report import GateReport
from controller.opening import open_database
from controller.plan import lay_out, shares
from controller.policy import (
    ColdStartSpec,
    Intent,
    OnHookTimeout,
    RouteIntent,
    WebhookSpec,
)
from controller.reviewer import Reviewer
from controller.rollout import (
    BEFORE_TRAFFIC,
    FINISHED,
    NOBODY,
    TRANSITIONS,
    WITH_TRAFFIC,
    Phase,
    Rollout,
)
from controller.store import RouteState
from evaluator.evidence import CheckState, Evidence, Role
from evaluator.metric import MetricSpec
from router.table import RoutingTable
from tests.controller.builders import (
    ALL_STAGES,
    NOW_S,
    SettableClock,
    evidence,
    intent,
    reading,
    route_intent,
    variant,
)

GOOD = evidence(
    reading("accuracy", CheckState.PASSED, Role.OBJECTIVE),
    reading("errors", CheckState.PASSED),
    counts={"pairs": 10_000, "exposures_challenger": 100_000},
)
WAITING = evidence(
    reading("accuracy", CheckState.UNDECIDED, Role.OBJECTIVE),
    reading("errors", CheckState.UNDECIDED),
)
HARM = evidence(harm=CheckState.TRIPPED)
FOREVER_S = 1e9
HOOK = WebhookSpec(
    name="risk", url="http://127.0.0.1:9/x", timeout_s=60.0, on_timeout=OnHookTimeout.HOLD
)
FREE = route_intent(stages=ALL_STAGES)
GUARDED = route_intent(
    stages=tuple(replace(stage, approvals=1, webhooks=(HOOK,)) for stage in ALL_STAGES)
)
CHAMPION, CHALLENGER = "digits-1", "digits-2"
COLD = replace(
    FREE,
    champion=variant(CHALLENGER),
    challengers=(),
    cold_start=ColdStartSpec(
        checks=(
            MetricSpec("accuracy", "correct", Role.GUARDRAIL, at_least=0.5),
            MetricSpec("errors", "error", Role.GUARDRAIL, at_most=0.1),
        ),
        at_least=100,
        for_at_least_s=0.0,
        at_most_s=3600.0,
    ),
)


class Crash(BaseException):
    """The process dies here; what is in no file is gone."""


@dataclass
class Places:
    """The places that a process passes by, and the one at which it dies."""

    deadly: int = -1
    passed: list[str] = field(default_factory=list)

    def __call__(self, place: str) -> None:
        self.passed.append(place)
        if len(self.passed) - 1 == self.deadly:
            raise Crash(place)


@dataclass(frozen=True)
class Start:
    """Where a case begins."""

    name: str
    rollout: Rollout
    policy: RouteIntent

    @property
    def state(self) -> RouteState:
        phase = self.rollout.phase
        if self.rollout.is_first:
            return RouteState(
                name="digits",
                declared_champion=CHALLENGER,
                champion=CHALLENGER,
                is_proven=phase is Phase.PROMOTED,
                rollout=self.rollout,
                policy=self.policy,
                salt=b"s" * 32,
                tried=(CHALLENGER,) if phase in FINISHED else (),
                saved_at_s=NOW_S,
            )
        return RouteState(
            name="digits",
            declared_champion=CHAMPION,
            champion=CHALLENGER if phase is Phase.PROMOTED else CHAMPION,
            previous_champion=CHAMPION if phase is Phase.PROMOTED else None,
            rollout=self.rollout,
            policy=self.policy,
            salt=b"s" * 32,
            tried=(CHALLENGER,) if phase in FINISHED else (),
            askers={CHALLENGER: ("file",)},
            saved_at_s=NOW_S,
        )


def starts() -> Iterator[Start]:
    """Every phase: free, held, late, approved, and with the glass broken where it can be."""
    for (policy_name, policy), phase in itertools.product(
        (("free", FREE), ("guarded", GUARDED)), NEXT
    ):
        plain = Rollout(
            challenger=CHALLENGER,
            champion=CHAMPION,
            experiment="x",
            phase=phase,
            step=2 if phase is Phase.CANARY else 0,
            in_step_s=5000.0,
        )
        kinds: dict[str, Rollout] = {"": plain}
        if phase not in FINISHED:
            kinds["held"] = replace(plain, held_by="eve", hold_reason="wait")
        if phase not in FINISHED | {Phase.QUEUED}:
            kinds["late"] = replace(plain, waited_s=FOREVER_S)
            if policy is GUARDED:
                kinds["approved"] = replace(plain, approvals=(Approval("ana", "good", NOW_S),))
        if phase is Phase.CANARY:
            kinds["first step"] = replace(plain, step=0)
        if phase is Phase.WATCH:
            kinds["forced"] = replace(plain, glass=Glass("ana", "outage", NOW_S, 9000.0))
            kinds["forced, over"] = replace(plain, glass=Glass("ana", "outage", NOW_S, 4000.0))
            kinds["forced, over, held"] = replace(kinds["forced, over"], held_by="eve")
        for kind, rollout in kinds.items():
            yield Start(f"{policy_name} {phase.value} {kind}".strip(), rollout, policy)


def first_starts() -> Iterator[Start]:
    """Every phase of a route's first version; where it serves also held and late."""
    for phase in NEXT_OF_FIRST:
        plain = Rollout(CHALLENGER, NOBODY, "x", phase=phase, in_step_s=5000.0)
        kinds: dict[str, Rollout] = {"": plain}
        if phase is Phase.COLD_START:
            kinds["held"] = replace(plain, held_by="eve", hold_reason="wait")
            kinds["late"] = replace(plain, waited_s=FOREVER_S)
        for kind, rollout in kinds.items():
            yield Start(f"first {phase.value} {kind}".strip(), rollout, COLD)


class World:
    """A disk that outlives the controllers on it, and the tables that routers were told.

    The disk is SQLite's own in memory: what a transaction has not committed when its process dies
    is rolled back. That a file's is too is for tests/faults/test_controller_killed.py to show.
    """

    def __init__(self, empty: bytes, start: Start) -> None:
        self.start = start
        self.told: list[RoutingTable] = []
        self.clock = SettableClock()
        self.disk = sqlite3.connect(":memory:", isolation_level=None)
        self.disk.deserialize(empty)
        self.seed()

    def seed(self) -> None:
        """Write the state that the case begins with."""
        state = self.start.state
        route = lay_out(
            self.start.policy,
            policy=self.start.policy,
            champion=state.champion,
            rollout=state.rollout,
            salt=state.salt,
            is_proven=state.is_proven,
        )
        self.told.append(RoutingTable(version=7, routes=(route,)))
        with store.transaction(self.disk):
            store.save_route(self.disk, state)
            store.save_intent(self.disk, intent(self.start.policy))
            store.save_table(self.disk, self.told[-1])

    def play(self, act: Callable[[Controller], None]) -> None:
        """Start a process, let it ``act`` and take a step, and end it; Crash ends it early."""
        controller = Controller(self.disk, self.clock, self.told.append, published=self.told[-1])
        with suppress(ActRefused):
            act(controller)
        controller.step()

    def look(self) -> tuple[RouteState, list[dict]]:
        """Return what is on the disk: the state and the audit."""
        assert not self.disk.in_transaction
        assert audit.verify(self.disk).verified
        state = store.load_routes(self.disk)["digits"]
        return state, audit.records(self.disk, after=0, limit=100)


def answering(passed: bool, **parts: bool) -> Callable[[Controller], None]:
    """Let every gate and webhook that is asked now answer."""

    def answer(controller: Controller) -> None:
        controller.step()
        for task in controller.pending_gates():
            controller.report(task, GateReport(CHALLENGER, passed, "so", **parts))

    return answer


def asking(act: Act, **parts: bool) -> Callable[[Controller], None]:
    def ask(controller: Controller) -> None:
        controller.act("digits", act, "ben", "because", **parts)

    return ask


def withdrawing(controller: Controller) -> None:
    only_champion = route_intent(challengers=(), stages=())
    promoted = only_champion if controller.status()["routes"][0]["champion"] == CHAMPION else None
    if promoted is not None:
        controller.adopt(Intent(routes=(promoted,), digest="d2"), "ben")


INPUTS: dict[str, tuple[Evidence | None, Callable[[Controller], None]]] = {
    "good evidence": (GOOD, lambda c: None),
    "good evidence and every yes": (GOOD, answering(True)),
    "no evidence": (None, lambda c: None),
    "open checks": (WAITING, lambda c: None),
    "harm": (HARM, lambda c: None),
    "a gate that is failed": (WAITING, answering(False)),
    "a gate that cannot be asked": (WAITING, answering(False, is_transient=True)),
    "an ejection": (WAITING, lambda c: c.eject("digits", CHALLENGER, 5)),
    "the challenger leaves the file": (WAITING, withdrawing),
    "an unknown table": (WAITING, lambda c: c.fence(99)),
    **{f"act {act.value}": (GOOD, asking(act)) for act in Act},
    "break-glass": (WAITING, asking(Act.PROMOTE, break_glass=True)),
}


def check(world: World, before: RouteState) -> None:
    """Compare what is on the disk and at the routers with what the table of moves allows."""
    after, records = world.look()
    path = [before.rollout.phase if before.rollout else None]
    for record in records:
        if record["phase_to"] is None or record["route"] != "digits":
            continue
        source, target = Phase(record["phase_from"]), Phase(record["phase_to"])
        assert source is path[-1], records
        assert source is target or target in TRANSITIONS[source].values(), records
        path.append(target)
    assert after.rollout is None or after.rollout.phase is path[-1]
    promotions = [r for r in records if r["action"] == "promote"]
    assert len(promotions) <= (0 if path[0] in (Phase.WATCH, *FINISHED) else 1)
    # What routers serve is what the state says, and they never saw anything that no state said.
    given = world.told[-1].routes[0].split
    policy = after.policy or world.start.policy
    promoted = given.champion == CHALLENGER and given.challenger_buckets == 0
    assert given.champion == after.champion
    assert promoted or given.challenger_buckets == shares(policy, after.rollout).challenger_buckets
    if world.start.rollout.is_first:
        check_first(world, after)
    versions = [table.version for table in world.told]
    assert versions == sorted(versions)
    known = {table.version: table for table in world.told}
    assert all(known[table.version] == table for table in world.told)


def check_first(world: World, after: RouteState) -> None:
    """A first version serves everybody or nobody, and is proven when it is the champion."""
    assert after.rollout is not None
    is_open = after.rollout.phase in (Phase.COLD_START, Phase.PROMOTED)
    assert world.told[-1].routes[0].is_closed is not is_open
    assert after.is_proven is (after.rollout.phase is Phase.PROMOTED)


LASTING = {
    True: ("rollback.after_publish", "rollback.in_transaction", "rollback.after_commit"),
    False: ("rollback.after_commit",),
}
"""From where on a rollback outlives a crash, by whether the challenger had traffic: who had none
gives no traffic back, and the gate that refused it is simply asked again."""
NEXT: dict[Phase, set[Phase]] = {
    Phase.QUEUED: {Phase.FUNCTIONAL, Phase.WATCH, Phase.ROLLED_BACK},
    Phase.FUNCTIONAL: {Phase.PERFORMANCE, Phase.WATCH, Phase.ROLLED_BACK},
    Phase.PERFORMANCE: {Phase.SECURITY, Phase.WATCH, Phase.ROLLED_BACK},
    Phase.SECURITY: {Phase.SHADOW, Phase.WATCH, Phase.ROLLED_BACK},
    Phase.SHADOW: {Phase.CANARY, Phase.WATCH, Phase.ROLLED_BACK},
    Phase.CANARY: {Phase.WATCH, Phase.ROLLED_BACK},
    Phase.WATCH: {Phase.PROMOTED, Phase.ROLLED_BACK},
    Phase.PROMOTED: {Phase.ROLLED_BACK},
    Phase.ROLLED_BACK: set(),
}
"""Where a rollout may go from each phase when every stage is declared."""


NEXT_OF_FIRST: dict[Phase, set[Phase]] = {
    Phase.QUEUED: {Phase.FUNCTIONAL, Phase.PROMOTED, Phase.ROLLED_BACK},
    Phase.FUNCTIONAL: {Phase.PERFORMANCE, Phase.PROMOTED, Phase.ROLLED_BACK},
    Phase.PERFORMANCE: {Phase.SECURITY, Phase.PROMOTED, Phase.ROLLED_BACK},
    Phase.SECURITY: {Phase.COLD_START, Phase.PROMOTED, Phase.ROLLED_BACK},
    Phase.COLD_START: {Phase.PROMOTED, Phase.ROLLED_BACK},
    Phase.PROMOTED: set(),
    Phase.ROLLED_BACK: set(),
}
"""The same for a route's first version: its way is another one, with no way back from its end."""


def is_safe(state: RouteState) -> bool:
    return state.champion == CHAMPION and (
        state.rollout is None or state.rollout.phase is Phase.ROLLED_BACK
    )


def must_be_safe(start: Start, given: str) -> bool:
    """Whether this input must end with the champion, whoever holds and whatever is on the way."""
    rollout = start.rollout
    if rollout.is_first:
        return False  # there is none
    if given in ("harm", "an ejection", "an unknown table"):
        return rollout.phase in WITH_TRAFFIC
    if given == "a gate that is failed":
        is_final = rollout.phase in BEFORE_TRAFFIC - {Phase.FUNCTIONAL}
        is_late = rollout.waited_s >= FOREVER_S and rollout.phase is not Phase.WATCH
        return is_final or is_late
    if given in ("act rollback", "the challenger leaves the file"):
        return rollout.phase is not Phase.PROMOTED or given == "act rollback"
    if given in ("no evidence", "open checks", "a gate that cannot be asked"):
        if rollout.phase is Phase.WATCH and rollout.glass is None and given != "no evidence":
            return False  # a watch asks for its time alone
        is_over = rollout.glass is not None and rollout.glass.is_over(rollout.in_step_s)
        return is_over or rollout.waited_s >= FOREVER_S
    return False


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    made = Places()
    monkeypatch.setattr("controller.traffic.pass_by", made)
    return made


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A state without anything in it."""
    path = tmp_path_factory.mktemp("state") / "empty.db"
    connection = open_database(path)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    return path.read_bytes()


def explore(
    empty: bytes, places: Places, monkeypatch: pytest.MonkeyPatch, start: Start
) -> set[tuple[Phase, Phase]]:
    """Play every input at ``start``, whole and with every crash; return the moves made."""
    moves = set()
    for given, (shown, act) in INPUTS.items():
        monkeypatch.setattr(Reviewer, "evidence", lambda self, route, shown=shown: shown)
        world = World(empty, start)
        places.passed, places.deadly = [], -1
        world.play(act)
        check(world, start.state)
        state, records = world.look()
        assert is_safe(state) or not must_be_safe(start, given), (start.name, given)
        if start.rollout.phase is Phase.COLD_START and given != "act rollback":
            # Nobody else could answer: only a person closes a route that is open.
            assert not world.told[-1].routes[0].is_closed, (start.name, given)
        moves |= {(Phase(r["phase_from"]), Phase(r["phase_to"])) for r in records if r["phase_to"]}
        for deadly, place in enumerate(list(places.passed)):
            world = World(empty, start)
            crash(world, places, act, deadly)
            check(world, start.state)
            if must_be_safe(start, given) and place in LASTING[start.rollout.phase in WITH_TRAFFIC]:
                state, _ = world.look()
                assert is_safe(state), (start.name, given, place)
    return moves


def crash(world: World, places: Places, act: Callable[[Controller], None], deadly: int) -> None:
    """Die at the place of that number, and start again with nobody asking for anything."""
    places.passed, places.deadly = [], deadly
    with pytest.raises(Crash):
        world.play(act)
    places.deadly = -1
    world.play(lambda controller: None)


@pytest.mark.parametrize("phase", NEXT, ids=lambda phase: phase.value)
def test_no_input_and_no_crash_leaves_the_table_of_moves(empty, places, monkeypatch, phase):
    moves: set[tuple[Phase, Phase]] = set()
    for start in starts():
        if start.rollout.phase is phase:
            moves |= explore(empty, places, monkeypatch, start)
    # Every stage is declared here, so the ways past stages that are not are not taken.
    reached = {target for source, target in moves if source is phase}
    assert reached - {phase} == NEXT[phase]


@pytest.mark.parametrize("phase", NEXT_OF_FIRST, ids=lambda phase: phase.value)
def test_no_input_and_no_crash_takes_a_first_version_off_its_way(empty, places, monkeypatch, phase):
    moves: set[tuple[Phase, Phase]] = set()
    for start in first_starts():
        if start.rollout.phase is phase:
            moves |= explore(empty, places, monkeypatch, start)
    reached = {target for source, target in moves if source is phase}
    assert reached - {phase} == NEXT_OF_FIRST[phase]


def test_both_ways_together_are_every_phase_that_there_is():
    assert NEXT.keys() | NEXT_OF_FIRST.keys() == set(Phase)
