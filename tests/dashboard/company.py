"""A week of a company's routes, played by the real controller on a clock of our own.

Models are dice, everything else is real: router's choice, observations, evaluator, labels,
controller, store, audit, routers' counts and history. The week ends now.
"""

import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controller.policy import OnTimeout, RouteIntent, StageKind, StageSpec
from evaluator.evidence import Role
from evaluator.join import Label
from evaluator.metric import MetricSpec
from router.choose import choose
from router.counters import Counters
from router.observation import Batch, Exposure, MirroredPair, Observation, Outcome
from router.table import Route
from sidecar.counts import Counts
from sidecar.dashboard.recorder import Recorder
from sidecar.dashboard.sample import encode
from sidecar.history import History
from tests.controller.builders import SettableClock, intent, route_intent
from tests.controller.simulation import Simulation

DAY_S = 86_400.0
CLASSES = ("legitimate", "review", "fraud")
METRICS = (
    MetricSpec(name="accuracy", kind="correct", role=Role.OBJECTIVE, detect=0.015),
    MetricSpec(name="errors", kind="error", role=Role.GUARDRAIL, margin=0.01),
    MetricSpec(name="latency", kind="latency", role=Role.GUARDRAIL, quantile=0.9, margin=0.5),
    MetricSpec(name="agrees", kind="agreement", role=Role.PROXY, at_least=0.8),
)


PARTS = (1.0, 0.3, 0.2, 0.1)
"""Of the first route's traffic, on each."""


@dataclass(frozen=True)
class Server:
    """How good a model server is."""

    accuracy: float
    error_rate: float
    median_s: float


SERVERS = {
    "fraud-6": Server(0.905, 0.002, 0.021),
    "fraud-7": Server(0.916, 0.002, 0.023),
    "churn-3": Server(0.81, 0.001, 0.034),
    "churn-4": Server(0.82, 0.001, 0.03),
    "intent-11": Server(0.88, 0.001, 0.012),
    "intent-12": Server(0.80, 0.04, 0.012),
    "ranking-2": Server(0.72, 0.001, 0.05),
}


def stages(*, shadow_s: float, step_s: float, mirrored: int = 10_000) -> tuple[StageSpec, ...]:
    week = 14 * DAY_S
    return (
        StageSpec(kind=StageKind.FUNCTIONAL, at_most_s=600.0),
        StageSpec(
            kind=StageKind.SHADOW, at_most_s=week, at_least=500, for_at_least_s=shadow_s,
            mirror_buckets=mirrored, on_timeout=OnTimeout.HOLD,
        ),
        StageSpec(
            kind=StageKind.CANARY, at_most_s=week, for_at_least_s=step_s,
            shares_buckets=(500, 1000, 2500, 5000),
        ),
        StageSpec(kind=StageKind.PRODUCTION, watch_s=DAY_S, holdback_buckets=100),
    )  # fmt: skip


def routes() -> tuple[RouteIntent, ...]:
    def one(
        name: str, champion: str, *challengers: str, agree: float = 0.8, **kinds: float
    ) -> RouteIntent:
        metrics = (*METRICS[:3], replace(METRICS[3], at_least=agree))
        base = route_intent(
            name=name, champion=champion, challengers=challengers, metrics=metrics,
            path=f"/v1/models/{name}:predict", stages=stages(**kinds),  # type: ignore[arg-type]
        )  # fmt: skip
        return replace(
            base, prediction="predictions[0]", shown="predictions", maturity_s=6 * 3600.0,
            window_s=4 * DAY_S,
        )  # fmt: skip

    return (
        one("fraud", "fraud-6", "fraud-7", shadow_s=2 * DAY_S, step_s=1.5 * DAY_S),
        one("churn", "churn-3", "churn-4", agree=0.6, shadow_s=9 * DAY_S, step_s=DAY_S),
        one("intent", "intent-11", "intent-12", shadow_s=3 * DAY_S, step_s=DAY_S),
        one("ranking", "ranking-2", shadow_s=DAY_S, step_s=DAY_S),
    )


async def nothing() -> dict[str, Any]:
    """Stand where a recorder asks for the status: here samples are taken at their times."""
    return {}


class Company(Simulation):
    """Its clock begins a week before now; ``live_through`` brings it here."""

    def __init__(self, path: Path, seed: int = 7, days: float = 6.9) -> None:
        self.counters = Counters()
        self.counts = Counts()
        self.history = History(path.with_name("history.db"))
        clock = SettableClock(time.time() - days * DAY_S)
        self.recorder = Recorder(
            self.history,
            nothing,
            self.counts.total,
            wall_s=lambda: clock.wall_s,
            monotonic_s=lambda: clock.mono_s,
        )
        super().__init__(
            path,
            intent=intent(*routes(), digest="b1946ac92492d2347c6235b4d2611184"),
            clock=clock,
            seed=seed,
            label_after_s=3 * 3600.0,
        )

    def live_through(self, per_s: float, *, coarse_s: float, fine_s: float) -> None:
        """Play until now: in steps of ``coarse_s``, and the last hour in those of ``fine_s``."""
        end_s = time.time()
        while (left_s := end_s - self.clock.wall_s) > 5:
            self.live(min(coarse_s if left_s > 3600 + coarse_s else fine_s, left_s), per_s)

    def live(self, seconds: float, per_s: float = 0.02) -> None:
        """Let ``seconds`` pass with so many requests a second on the first route, and some on
        the others."""
        self.clock.advance(seconds)
        assert self.published is not None
        self.sequence += 1
        hour = self.clock.wall_s % DAY_S / DAY_S
        mean = seconds * per_s * (1.0 + 0.5 * math.sin(hour * 2 * math.pi - 2.2))
        seen = [
            self.ask(route, self.clock.wall_s - seconds * (1.0 - (k + 1) / n))
            for route, part in zip(self.published.routes, PARTS, strict=True)
            for n in [self.how_many(mean * part)]
            for k in range(n)
        ]
        self.controller.ingest([Batch(self.source, self.sequence, tuple(seen))])
        self.send_labels()
        self.controller.step()
        self.run_gates()
        self.counts.update(self.source, self.counters.values())
        self.sample()

    def how_many(self, mean: float) -> int:
        """Draw a number of requests, nearly Poisson's."""
        spread = self.dice.gauss(mean, math.sqrt(mean))
        return max(0, math.floor(spread + self.dice.random()))

    def sample(self) -> None:
        """Do what the recorder does, at the time of our clock."""
        traffic = self.recorder.note()
        found = self.controller.status()["routes"]
        assert isinstance(found, list)
        samples = {one["name"]: encode(one, traffic.get(one["name"], {})) for one in found}
        self.history.add(self.clock.wall_s, samples, len(samples))

    def ask(self, route: Route, at_s: float) -> Observation:
        """Serve one request of ``route`` at the wall clock ``at_s``."""
        self.n_requests += 1
        unit, request_id = self.dice.getrandbits(64), f"{self.dice.getrandbits(64):016x}"
        decision = choose(route, unit.to_bytes(8, "big"))
        truth = self.dice.choices(CLASSES, (90, 6, 4))[0]
        if self.dice.random() < 0.92:
            label = Label(request_id=request_id, label=json.dumps(truth))
            self.waiting.append((self.clock.mono_s + self.label_after_s, label))
        common = {
            "route": route.name,
            "experiment": route.experiment,
            "request_id": request_id,
            "unit": unit,
            "table_version": self.published.version if self.published else 0,
            "at_ns": round(at_s * 1e9),
        }
        role = "challenger" if decision.is_challenger else "champion"
        outcome = self.answer_of(route.name, decision.serve, truth, role)
        if decision.mirror is not None:
            copy = self.answer_of(route.name, decision.mirror, truth, "mirror")
            return MirroredPair(**common, champion=outcome, challenger=copy)
        return Exposure(
            **common,
            is_challenger=decision.is_challenger,
            propensity=decision.propensity,
            outcome=outcome,
        )

    def answer_of(self, route: str, name: str, truth: str, role: str) -> Outcome:
        """Ask the model server ``name``, and count it as a router does."""
        server = SERVERS[name]
        latency_s = server.median_s * math.exp(self.dice.gauss(0.0, 0.45))
        is_failed = self.dice.random() < server.error_rate
        status = 500 if is_failed else 200
        self.counters.calls(route, name, role).add(status, latency_s)
        if is_failed:
            return Outcome(name, status, latency_s, "status")
        is_right = self.dice.random() < server.accuracy
        said = truth if is_right else self.dice.choice([c for c in CLASSES if c != truth])
        body = json.dumps({"predictions": [said]}).encode()
        return Outcome(name, status, latency_s, "", body, len(body))
