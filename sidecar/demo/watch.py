"""Watches a rollout from outside, until it ends; in the crash scenario it gives the sign for it."""

import asyncio
import contextlib
import time
from typing import Any

from sidecar.demo.admin import Admin, order_faults
from sidecar.demo.children import or_death
from sidecar.demo.company import Company
from sidecar.demo.fault import Behaviour
from sidecar.demo.paperwork import REVIEWERS, Paperwork
from sidecar.demo.play import Play
from sidecar.demo.progress import progress_of
from sidecar.demo.scenario import (
    FAULTS,
    Outcome,
    Scenario,
    is_decided,
    may_crash,
    outcome_of,
    phase_of,
)
from sidecar.demo.show import Show

LOOK_EVERY_S = 0.25
LOOK_CLOSELY_EVERY_S = 0.05
"""After the sign for the crash: the time to the rollback is known to this precision."""


class Watch:
    """One rollout under observation. Lives as long as the run; opens nothing."""

    def __init__(self, play: Play, company: Company, admin: Admin, show: Show) -> None:
        self.route: dict[str, Any] = {}
        """The route's latest state, see GET /v1/routes/NAME."""
        self.decided_s: float | None = None
        """From the first request to the promotion or rollback; None before."""
        self.rolled_back_at_s: float | None = None
        """Wall clock, seconds since the epoch, when the rollback was first seen."""
        self._play = play
        self._company = company
        self._admin = admin
        self._show = show
        self._begun_s = time.monotonic()
        self._has_crashed = False
        self._reviewers = list(REVIEWERS)

    async def until_end(self) -> Outcome:
        """Return how the rollout ends; HELD at the deadline. Raises ChildDied."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._play.deadline_s):
                while (outcome := await self._look()) is None:
                    wait_s = LOOK_CLOSELY_EVERY_S if self._has_crashed else LOOK_EVERY_S
                    await self._wait(wait_s)
                return outcome
        return Outcome.HELD

    async def aftermath(self) -> None:
        """Go on looking for a while after the end. Raises ChildDied."""
        end_s = time.monotonic() + self._play.aftermath_s
        while time.monotonic() < end_s:
            await self._wait(LOOK_EVERY_S)
            await self._look()

    def seconds_to_rollback(self) -> float | None:
        """From the challenger's first failure to the rollback; None without either."""
        failure = self._company.challenger.first.get("failure")
        if failure is None or self.rolled_back_at_s is None:
            return None
        at_ns = failure["at_ns"]
        assert isinstance(at_ns, int)  # the model server's report, see model_server.py
        return self.rolled_back_at_s - at_ns / 1e9

    def failures(self) -> dict[str, int]:
        """How often the challenger failed, by kind, see fault.Behaviour."""
        challenger = self._company.challenger
        kinds = (Behaviour.ERROR.value, Behaviour.HANG.value, Behaviour.EXIT.value)
        return {kind: challenger.number("failure", kind) for kind in kinds}

    async def _look(self) -> Outcome | None:
        """Ask once and show what there is; None while the rollout is under way."""
        route = await self._admin.route(self._play.routing.route)
        if route is None:
            return None  # the controller may be starting again; the next look will tell
        self.route = route
        phase = phase_of(route, self._play.routing.challenger.name)
        self._note(phase)
        self._tell(phase)
        if self._play.cast.paperwork is not None:
            await self._approve(self._play.cast.paperwork)
        if self._is_time_to_crash(phase):
            self._has_crashed = True
            self._show.say("the challenger starts to fail: 500s, then hangs, then it is killed")
            await order_faults(f"http://{self._play.routing.challenger.address}", FAULTS)
        return outcome_of(phase)

    def _note(self, phase: str) -> None:
        if self.decided_s is None and is_decided(phase):
            self.decided_s = time.monotonic() - self._begun_s
        if self.rolled_back_at_s is None and phase == "rolled_back":
            self.rolled_back_at_s = time.time()

    def _tell(self, phase: str) -> None:
        client = self._company.client
        requests, failed = (client.number("traffic", field) for field in ("requests", "failed"))
        elapsed_s = time.monotonic() - self._begun_s
        self._show.update(progress_of(self.route, phase, elapsed_s, requests, failed))

    async def _approve(self, paperwork: Paperwork) -> None:
        """Approve, each reviewer once, as soon as nothing else is missing."""
        waiting = [words for words in self.route.get("missing") or [] if words]
        is_asked = len(waiting) == 1 and waiting[0].startswith("approval:")
        if not is_asked or not self._reviewers:
            return
        name, route = self._reviewers.pop(0), self._play.routing.route
        if await self._admin.approve(route, paperwork.tokens[name], "looked at what gates found"):
            self._show.say(f"{name} approves: functional, performance and security have passed")

    def _is_time_to_crash(self, phase: str) -> bool:
        is_crash = self._play.scenario is Scenario.CRASH
        return is_crash and not self._has_crashed and may_crash(self.route, phase)

    async def _wait(self, seconds: float) -> None:
        company = self._company
        needed = [company.champion, company.sidecar, company.labeller, company.client]
        if not self._has_crashed:
            needed.append(company.challenger)
        await or_death(asyncio.sleep(seconds), needed)
