"""Who gets the users back when the champion is broken itself: the newest variant that answers.

Asks the functional gate of those who could, while the champion is broken, so that the answer is
there when a rollback wants it. What it remembers a restart may lose: then it asks again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from controller.clock import Clock
from controller.gates.report import GateReport
from controller.gates.task import GateTask
from controller.health import Ailment
from controller.intake import Intake
from controller.mover import Mover
from controller.plan import variant_of
from controller.policy import RouteIntent
from controller.rollout import OBSERVED, Phase, Rollout, stage_for
from controller.store import RouteState
from evaluator.evidence import Evidence

ASK_EVERY_S = 30.0
"""As often as a gate that is not passed is asked at most."""
BELIEVE_S = 90.0
"""How long an answer counts: three rounds. Chosen."""
SERVING = frozenset({Phase.CANARY, Phase.WATCH})
"""Phases whose rollback gives users to somebody else."""
_PREFIX = "landing on "


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a rollback goes."""

    champion: str | None
    """None: nobody healthy is there, so it must hold."""
    because: str = ""
    """What is to be said of it; empty when it goes to the champion, as it should."""


@dataclass(frozen=True, slots=True)
class _Asked:
    passed: bool
    at_s: float
    because: str


class Landings:
    """One thread; made and used by the Controller."""

    def __init__(self, mover: Mover, intake: Intake, clock: Clock) -> None:
        self._mover = mover
        self._intake = intake
        self._clock = clock
        self._since_s: dict[str, tuple[str, float]] = {}
        """By route: of which experiment the champion is broken, and since when (monotonic)."""
        self._asked: dict[tuple[str, str], _Asked] = {}

    def note(self, route: str, evidence: Evidence | None) -> None:
        """Remember whether the champion is broken now, and since when."""
        health = evidence.champion_health if evidence is not None else None
        if evidence is None or health is None or not health.is_broken:
            self._since_s.pop(route, None)
            return
        known = self._since_s.get(route)
        if known is None or known[0] != evidence.experiment:
            self._since_s[route] = (evidence.experiment, self._clock.monotonic_s())

    def ailment(self, route: str, evidence: Evidence | None) -> Ailment | None:
        """Return how long the champion has been broken; None if it is not."""
        health = evidence.champion_health if evidence is not None else None
        if evidence is None or health is None or not health.is_broken:
            return None
        experiment, since_s = self._since_s.get(route, ("", 0.0))
        is_known = experiment == evidence.experiment
        lasts_s = self._clock.monotonic_s() - since_s if is_known else 0.0
        return Ailment(f"the champion is broken ({health.told})", lasts_s)

    def choose(self, state: RouteState, rollout: Rollout, evidence: Evidence | None) -> Landing:
        """Return where a rollback goes now."""
        why = self._why_not(state, rollout, evidence)
        if not why:
            return Landing(rollout.champion)
        now_s = self._clock.monotonic_s()
        for name in self._candidates(state, rollout):
            asked = self._asked.get((state.name, name))
            if asked is not None and asked.passed and now_s - asked.at_s <= BELIEVE_S:
                return Landing(name, f"{why}, so {name} answers users: it passed its gate")
        return Landing(None, f"{why}, and {self._missing(state, rollout)}")

    def pending(self) -> list[GateTask]:
        """Return who is to be asked now."""
        return list(self._due())

    def take(self, task: GateTask, report: GateReport) -> bool:
        """Remember what a candidate answered; return whether ``task`` was one of ours."""
        if not task.experiment.startswith(_PREFIX):
            return False
        asked = _Asked(report.passed, self._clock.monotonic_s(), report.because)
        self._asked[task.route.name, task.challenger.name] = asked
        return True

    def told(self, state: RouteState) -> dict[str, str]:
        """Return what the candidates of a route answered, while its champion is broken."""
        if state.name not in self._since_s or state.rollout is None:
            return {}
        found = {
            name: self._asked.get((state.name, name))
            for name in self._candidates(state, state.rollout)
        }
        return {
            name: "not asked yet" if one is None else f"{_word(one.passed)}: {one.because}"
            for name, one in found.items()
        }

    def _why_not(self, state: RouteState, rollout: Rollout, evidence: Evidence | None) -> str:
        """Return why the champion must not have the users; empty if it may."""
        if rollout.phase is Phase.PROMOTED and rollout.is_rescue:
            return f"{rollout.champion} was broken when {rollout.challenger} took its place"
        ailment = self.ailment(state.name, evidence)
        if rollout.phase not in SERVING or ailment is None:
            return ""
        return ailment.because.replace("the champion", f"{rollout.champion}, the champion,")

    def _due(self) -> Iterator[GateTask]:
        now_s = self._clock.monotonic_s()
        serving = self._mover.serving()
        for state, rollout in self._mover.rollouts(OBSERVED):
            if state.name not in self._since_s or rollout.phase not in SERVING:
                continue
            for name in self._candidates(state, rollout):
                asked = self._asked.get((state.name, name))
                if asked is None or now_s - asked.at_s >= ASK_EVERY_S:
                    yield _task(serving[state.name], rollout, name)

    def _candidates(self, state: RouteState, rollout: Rollout) -> list[str]:
        """Return who may answer in the champion's place, the newest first."""
        route = self._mover.serving()[state.name]
        standby = None if route.standby is None else route.standby.name
        known = {route.champion.name, *(one.name for one in route.challengers), standby}
        others = (state.previous_champion, standby)
        busy = (rollout.champion, rollout.challenger, None)
        return [name for name in others if name in known and name not in busy and name is not None]

    def _missing(self, state: RouteState, rollout: Rollout) -> str:
        names = self._candidates(state, rollout)
        if not names:
            return "there is no standby or previous champion to go to"
        return f"{' and '.join(names)} did not pass the functional gate (yet)"


def _word(passed: bool) -> str:
    return "healthy" if passed else "not healthy"


def _task(route: RouteIntent, rollout: Rollout, name: str) -> GateTask:
    return GateTask(
        route=route,
        stage=stage_for(route, Phase.FUNCTIONAL),
        experiment=f"{_PREFIX}{name}",
        challenger=variant_of(route, name),
        champion=variant_of(route, rollout.champion),
    )
