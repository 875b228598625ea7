"""A whole sidecar without sockets: routers, models and label senders played by one object."""

import json
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from controller.controller import Controller
from controller.gates.report import GateReport
from controller.opening import open_database
from controller.policy import Intent, StageKind
from evaluator.join import Label
from router.choose import choose
from router.observation import Batch, Exposure, MirroredPair, Observation, Outcome
from router.table import Route, RoutingTable
from tests.controller.builders import SettableClock, intent

TICK_S = 0.5


@dataclass(frozen=True)
class Model:
    """How good a model server is."""

    accuracy: float = 0.8
    error_rate: float = 0.0
    latency_s: float = 0.01


BETTER = {"digits-1": Model(0.7), "digits-2": Model(0.95)}
WORSE = {"digits-1": Model(0.9), "digits-2": Model(0.5)}
EQUAL = {"digits-1": Model(0.8), "digits-2": Model(0.8)}
FAILING = {"digits-1": Model(0.8), "digits-2": Model(0.8, error_rate=0.5)}


@dataclass
class Simulation:
    """Owns a controller, its clock and its database; made again to play a restart."""

    path: Path
    models: dict[str, Model] = field(default_factory=lambda: dict(BETTER))
    intent: Intent = field(default_factory=intent)
    clock: SettableClock = field(default_factory=SettableClock)
    seed: int = 1
    source: str = "w0"
    functional_ok: bool = True
    gates: dict[StageKind, GateReport] = field(default_factory=dict)
    """What the gates of these stages find; whom they are about is filled in."""
    hooks: dict[str, GateReport] = field(default_factory=dict)
    """What the webhooks of these names answer; others answer nothing."""
    called: list[str] = field(default_factory=list)
    """The webhooks that were called."""
    sends_labels: bool = True
    label_after_s: float = 0.2
    published: RoutingTable | None = None
    tables: list[RoutingTable] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.entropy = random.Random(f"salt {self.seed}")
        self.n_requests = 0
        self.sequence = 0
        self.waiting: list[tuple[float, Label]] = []
        self.start()

    def start(self) -> None:
        """Begin, or begin again, as a fresh process would."""
        self.connection: sqlite3.Connection = open_database(self.path)
        # Processes die here, the machine does not: waiting for the disk would prove nothing.
        self.connection.execute("PRAGMA synchronous = OFF")
        self.controller = Controller(
            self.connection,
            self.clock,
            self.publish,
            published=self.published,
            entropy=self.entropy.randbytes,
        )
        self.controller.adopt(self.intent, "file")

    def stop(self) -> None:
        self.connection.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def publish(self, table: RoutingTable) -> None:
        self.published = table
        self.tables.append(table)

    @property
    def is_champion_only(self) -> bool:
        """Whether no challenger gets a request, or a copy of one."""
        return self.route.mirror is None and self.route.split.challenger_buckets == 0

    @property
    def route(self) -> Route:
        assert self.published is not None
        return self.published.routes[0]

    def status(self, route: int = 0) -> dict:
        return self.controller.status()["routes"][route]

    @property
    def phase(self) -> str | None:
        return self.status()["phase"]

    def audit(self) -> list[dict]:
        return self.controller.audit(0, 1000)

    def actions(self) -> list[str]:
        return [record["action"] for record in self.audit()]

    def run_gates(self) -> None:
        for task in self.controller.pending_gates():
            if task.hook is not None:
                self.called.append(task.hook.spec.name)
                if (answer := self.hooks.get(task.hook.spec.name)) is not None:
                    self.controller.report(task, replace(answer, challenger=task.challenger.name))
                continue
            report = self.gates.get(task.kind) or GateReport("", self.functional_ok, "asked")
            self.controller.report(task, replace(report, challenger=task.challenger.name))

    def tick(self, n: int = 20) -> None:
        """Let TICK_S pass with ``n`` requests."""
        self.clock.advance(TICK_S)
        if n:
            self.controller.ingest([self.batch(n)])
        self.send_labels()
        self.controller.step()
        self.run_gates()

    def jump(self, seconds: float) -> None:
        """Put the wall clock on or back; no time passes."""
        self.clock.wall_s += seconds

    def run(self, *phases: str, n: int = 20, at_most: int = 2000) -> str:
        """Go on until the rollout is in one of ``phases``; fail if that takes too long."""
        for _ in range(at_most):
            found = self.phase
            if found in phases:
                return str(found)
            self.tick(n)
        raise AssertionError(f"still {self.status()} after {at_most} ticks")

    def batch(self, n: int) -> Batch:
        self.sequence += 1
        return Batch(self.source, self.sequence, tuple(self.request() for _ in range(n)))

    @property
    def last_id(self) -> str:
        """The id of the latest request."""
        return f"{self.source}-{self.n_requests}"

    def request(self) -> Observation:
        """Serve one request as a router with the published table would."""
        self.n_requests += 1
        route, unit = self.route, self.dice.getrandbits(64)
        request_id = self.last_id
        decision = choose(route, unit.to_bytes(8, "big"))
        truth = self.dice.randrange(10)
        if self.sends_labels:
            label = Label(request_id=request_id, label=json.dumps(truth))
            self.waiting.append((self.clock.mono_s + self.label_after_s, label))
        common = {
            "route": route.name,
            "experiment": route.experiment,
            "request_id": request_id,
            "unit": unit,
            "table_version": self.published.version if self.published else 0,
            "at_ns": self.clock.wall_ns(),
        }
        outcome = self.answer(decision.serve, truth)
        if decision.mirror is not None:
            copy = self.answer(decision.mirror, truth)
            return MirroredPair(**common, champion=outcome, challenger=copy)
        return Exposure(
            **common,
            is_challenger=decision.is_challenger,
            propensity=decision.propensity,
            outcome=outcome,
        )

    def answer(self, name: str, truth: int) -> Outcome:
        model = self.models[name]
        if self.dice.random() < model.error_rate:
            return Outcome(name, 500, model.latency_s, "status")
        is_right = self.dice.random() < model.accuracy
        digit = truth if is_right else (truth + 1) % 10
        body = json.dumps({"prediction": digit}).encode()
        return Outcome(name, 200, model.latency_s, "", body, len(body))

    def send_labels(self) -> None:
        due: Sequence[Label] = [label for at, label in self.waiting if at <= self.clock.mono_s]
        self.waiting = [(at, label) for at, label in self.waiting if at > self.clock.mono_s]
        if due:
            self.controller.label(due)
