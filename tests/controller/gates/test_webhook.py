"""The webhook against a real server: what it is sent, and what counts as a yes."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from controller.gates import runner, webhook
from controller.gates.task import GateTask, HookCall
from controller.policy import OnHookTimeout, StageKind, WebhookSpec
from tests.controller.builders import ALL_STAGES
from tests.controller.gates.test_task import TASK


class Server:
    """Answers as it is told, and remembers what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.bodies: list[Any] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        return web.Response(status=self.status, headers={"location": "/elsewhere"})

    def task(self, stage: StageKind = StageKind.CANARY, event: str = "proven") -> GateTask:
        spec = WebhookSpec(
            name="risk",
            url=f"http://127.0.0.1:{self.port}/gate/approve",
            timeout_s=60.0,
            on_timeout=OnHookTimeout.HOLD,
            namespace="prod",
            metadata=(("team", "fraud"),),
        )
        declared = next(one for one in ALL_STAGES if one.kind is stage)
        return replace(TASK, stage=declared, hook=HookCall(spec, event, 2, "d1"))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_post("/gate/approve", made.answer)
    host = web.AppRunner(app)
    await host.setup()
    site = web.TCPSite(host, "127.0.0.1", 0)
    await site.start()
    made.port = host.addresses[0][1]
    yield made
    await host.cleanup()


@pytest.mark.parametrize("status", [200, 201, 204, 302, 400, 403, 404, 500])
async def test_any_2xx_is_a_yes_and_nothing_else_is(server: Server, status: int) -> None:
    server.status = status
    report = await runner.run(server.task())
    assert report.passed is (200 <= status < 300)
    assert str(status) in report.because
    assert report.is_transient is not report.passed  # a no is asked again


async def test_it_is_sent_what_flagger_sends_and_more(server: Server) -> None:
    await runner.run(server.task())
    [body] = server.bodies
    flagger = {"name": "digits", "namespace": "prod", "phase": "WaitingPromotion"}
    assert flagger.items() <= body.items()
    assert body["metadata"] == {"team": "fraud"}
    assert len(body["checksum"]) == 64
    own = {"champion": "digits-1", "challenger": "digits-2", "stage": "canary", "step": 2}
    assert own.items() <= body.items()


@pytest.mark.parametrize(
    ("stage", "event", "phase"),
    [
        (StageKind.FUNCTIONAL, "cleared_for_shadow", "Waiting"),
        (StageKind.SECURITY, "cleared_for_shadow", "Waiting"),
        (StageKind.SHADOW, "cleared_for_canary", "Progressing"),
        (StageKind.SHADOW, "proven", "WaitingPromotion"),
        (StageKind.CANARY, "step_passed", "Progressing"),
        (StageKind.PRODUCTION, "watch_passed", "Finalising"),
    ],
)
def test_the_phase_is_flaggers_word(stage: StageKind, event: str, phase: str) -> None:
    task = Server().task(stage, event)
    assert task.hook is not None
    assert webhook.payload_of(task, task.hook)["phase"] == phase


def test_the_checksum_tells_one_trial_from_another() -> None:
    task = Server().task()
    assert task.hook is not None
    sums = {
        webhook.payload_of(one, task.hook)["checksum"]
        for one in (task, replace(task, experiment="y"), task)
    }
    assert len(sums) == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/gate", "http://no.such.host.invalid/gate"])
async def test_who_is_not_there_has_not_confirmed(server: Server, url: str) -> None:
    task = server.task()
    assert task.hook is not None
    lost = replace(task.hook, spec=replace(task.hook.spec, url=url))
    report = await webhook.run(task, lost)
    assert not report.passed and report.is_transient and "no answer" in report.because


async def test_who_does_not_answer_in_time_has_not_confirmed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "REQUEST_S", 1e-9)
    report = await runner.run(server.task())
    assert not report.passed and "no answer within" in report.because
