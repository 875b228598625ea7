import asyncio
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.demo.admin import Admin
from sidecar.demo.cast import Cast
from sidecar.demo.children import Child, ChildDied, Children
from sidecar.demo.company import Company
from sidecar.demo.paperwork import Paperwork
from sidecar.demo.play import Play
from sidecar.demo.routing_copy import Address
from sidecar.demo.scenario import FAULTS, Outcome, Scenario
from sidecar.demo.watch import LOOK_EVERY_S, Watch
from tests.sidecar.demo.conftest import Quiet, play_of

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


class Rollout:
    """The admin port's side: one state after the other, the last one for ever."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any] | None] = []
        self.plans: list[object] = []
        self.approvals: list[str] = []

    async def state(self, _: web.Request) -> web.Response:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return web.json_response(state, status=503 if state is None else 200)

    async def approve(self, request: web.Request) -> web.Response:
        self.approvals.append(request.headers["authorization"])
        return web.json_response({})

    async def fail(self, request: web.Request) -> web.Response:
        self.plans.append(await request.json())
        return web.json_response({})


@pytest.fixture
def rollout() -> Rollout:
    return Rollout()


@pytest.fixture
async def port(rollout: Rollout) -> AsyncIterator[TestServer]:
    application = web.Application()
    application.router.add_get("/v1/routes/digits", rollout.state)
    application.router.add_post("/v1/routes/digits/approve", rollout.approve)
    application.router.add_post("/-/fail", rollout.fail)
    server = TestServer(application)
    async with server:
        yield server


@pytest.fixture
async def company() -> AsyncIterator[Company]:
    children = Children()
    sleepers = [await children.start(f"sleeper {number}", SLEEPER) for number in range(5)]
    yield Company(*sleepers)
    await children.close()


@pytest.fixture
async def admin(port: TestServer) -> AsyncIterator[Admin]:
    admin = Admin(str(port.make_url("")).rstrip("/"))
    yield admin
    await admin.close()


@pytest.fixture
def play(cast: Cast, port: TestServer, tmp_path: Path) -> Play:
    play = play_of(Scenario.BETTER, "better", cast, tmp_path)
    challenger = replace(play.routing.challenger, address=Address("127.0.0.1", port.port or 0))
    return replace(play, routing=replace(play.routing, challenger=challenger), deadline_s=5.0)


def crash(play: Play) -> Play:
    return replace(play, scenario=Scenario.CRASH)


def has_failed(challenger: Child, times: int, at_ns: int) -> None:
    challenger.take(b'{"report": "failure", "error": %d, "at_ns": %d}' % (times, at_ns))


async def test_promotion_is_decided_at_the_watch_and_over_after_it(
    play: Play, company: Company, admin: Admin, rollout: Rollout, show: Quiet
) -> None:
    rollout.states = [{"phase": phase} for phase in ("shadow", "canary", "watch", "promoted")]
    begun_s = time.monotonic()
    watch = Watch(play, company, admin, show)
    assert await watch.until_end() is Outcome.PROMOTED
    assert show.stages == ["shadow", "canary", "production, watched", "production"]
    # One look lies between the watch and its end, and two before it.
    assert watch.decided_s is not None
    assert 2 * LOOK_EVERY_S <= watch.decided_s <= time.monotonic() - begun_s - LOOK_EVERY_S


async def test_silence_of_the_admin_port_is_waited_out(
    play: Play, company: Company, admin: Admin, rollout: Rollout, show: Quiet
) -> None:
    rollout.states = [None, None, {"phase": "rolled_back"}]
    watch = Watch(play, company, admin, show)
    assert await watch.until_end() is Outcome.ROLLED_BACK
    assert watch.route == {"phase": "rolled_back"}


async def test_crash_is_ordered_once_and_not_before_its_share(
    play: Play, company: Company, admin: Admin, rollout: Rollout, show: Quiet
) -> None:
    canary = [{"phase": "canary", "share": share} for share in (0.05, 0.25, 0.25)]
    rollout.states = [*canary, {"phase": "rolled_back"}]
    await Watch(crash(play), company, admin, show).until_end()
    assert rollout.plans == [FAULTS]


async def test_other_scenarios_order_no_crash(
    play: Play, company: Company, admin: Admin, rollout: Rollout, show: Quiet
) -> None:
    rollout.states = [{"phase": "canary", "share": 0.5}, {"phase": "promoted"}]
    await Watch(play, company, admin, show).until_end()
    assert rollout.plans == []


async def test_rollback_is_timed_from_the_first_failure(
    play: Play, company: Company, admin: Admin, rollout: Rollout, show: Quiet
) -> None:
    rollout.states = [{"phase": "rolled_back"}]
    watch = Watch(crash(play), company, admin, show)
    assert watch.seconds_to_rollback() is None
    first_ns = time.time_ns() - 300_000_000
    has_failed(company.challenger, 1, first_ns)
    has_failed(company.challenger, 2, first_ns + 200_000_000)
    assert watch.failures() == {"error": 2, "hang": 0, "exit": 0}
    await watch.until_end()
    seconds = watch.seconds_to_rollback()
    assert seconds is not None and 0.3 <= seconds < 3.0


async def test_challenger_may_die_after_the_order_and_not_before(
    play: Play, company: Company, admin: Admin, rollout: Rollout, show: Quiet
) -> None:
    company.challenger.process.kill()
    await company.challenger.process.wait()
    rollout.states = [{"phase": "shadow"}, {"phase": "rolled_back"}]
    with pytest.raises(ChildDied, match="sleeper 1"):
        await Watch(crash(play), company, admin, show).until_end()
    rollout.states = [{"phase": "canary", "share": 0.25}, {"phase": "rolled_back"}]
    assert await Watch(crash(play), company, admin, show).until_end() is Outcome.ROLLED_BACK


async def test_death_of_the_champion_is_an_error_in_every_scenario(
    play: Play, company: Company, admin: Admin, rollout: Rollout, show: Quiet
) -> None:
    rollout.states = [{"phase": "canary", "share": 0.25}]
    watching = asyncio.gather(
        Watch(crash(play), company, admin, show).until_end(), return_exceptions=True
    )
    await asyncio.sleep(0.2)
    company.champion.process.kill()
    (ended,) = await asyncio.wait_for(watching, 3.0)
    assert isinstance(ended, ChildDied)


async def test_deadline_ends_in_held(
    play: Play, company: Company, admin: Admin, rollout: Rollout, show: Quiet
) -> None:
    rollout.states = [{"phase": "shadow"}]
    hurried = replace(play, deadline_s=0.4)
    assert await Watch(hurried, company, admin, show).until_end() is Outcome.HELD


async def test_aftermath_sees_a_late_death(
    play: Play, company: Company, admin: Admin, rollout: Rollout, show: Quiet
) -> None:
    rollout.states = [{"phase": "promoted"}]
    watch = Watch(play, company, admin, show)
    await watch.until_end()
    company.client.process.kill()
    with pytest.raises(ChildDied):
        await watch.aftermath()


async def test_each_reviewer_approves_once_when_nothing_else_is_missing(
    play: Play, company: Company, admin: Admin, rollout: Rollout, show: Quiet, tmp_path: Path
) -> None:
    tokens = {"release": "r-secret", "risk": "k-secret"}
    paperwork = Paperwork(tmp_path / "golden", (tmp_path / "a", tmp_path / "b"), tokens)
    gated = replace(play, cast=replace(play.cast, paperwork=paperwork))
    missing = [["security: not asked yet", "approval: 0 of 2"], ["approval: 0 of 2"]]
    missing += [["approval: 1 of 2 (release)"], ["approval: 1 of 2 (release)"]]
    states = [{"phase": "security", "missing": words} for words in missing]
    rollout.states = [*states, {"phase": "promoted"}]
    await Watch(gated, company, admin, show).until_end()
    assert rollout.approvals == ["Bearer r-secret", "Bearer k-secret"]
    assert [words.split()[0] for words in show.said] == ["release", "risk"]
