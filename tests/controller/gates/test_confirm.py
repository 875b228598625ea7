from dataclasses import replace

import pytest

from controller.gates.confirm import Confirmations
from controller.gates.report import GateReport
from controller.gates.task import GateTask, HookCall
from controller.policy import OnHookTimeout, WebhookSpec
from tests.controller.gates.test_task import TASK

YES = GateReport("digits-2", True, "answered 200")
NO = GateReport("digits-2", False, "answered 403, expected 2xx", is_transient=True)


def task(
    name: str = "risk", on_timeout: OnHookTimeout = OnHookTimeout.HOLD, step: int = 0
) -> GateTask:
    spec = WebhookSpec(name=name, url="http://h/x", timeout_s=60.0, on_timeout=on_timeout)
    return replace(TASK, hook=HookCall(spec, "proven", step, "d1"))


def test_all_are_asked_and_all_must_say_yes():
    outside, risk, legal = Confirmations(), task("risk"), task("legal")
    assert outside.ask("digits", [risk, legal], now_s=0.0).waiting == (
        "webhook risk: has not answered yet",
        "webhook legal: has not answered yet",
    )
    assert outside.due(now_s=0.0) == [risk, legal]
    assert outside.take(risk, YES, now_s=1.0) and outside.take(legal, NO, now_s=1.0)
    assert outside.standing("digits", now_s=1.0).waiting == (
        "webhook legal: answered 403, expected 2xx",
    )
    assert outside.due(now_s=1.5) == []
    assert outside.due(now_s=3.0) == [legal]  # who said yes is not asked again
    outside.take(legal, YES, now_s=4.0)
    found = outside.ask("digits", [risk, legal], now_s=4.0)
    assert (found.waiting, found.refused, len(found.checks)) == ((), "", 2)


@pytest.mark.parametrize(
    ("on_timeout", "passed", "refused"),
    [
        (OnHookTimeout.HOLD, False, False),
        (OnHookTimeout.ABORT, False, True),
        (OnHookTimeout.PROCEED, True, False),
    ],
)
@pytest.mark.parametrize("answer", [None, NO])
def test_when_its_time_is_over_what_the_file_says_happens(on_timeout, passed, refused, answer):
    outside, risk = Confirmations(), task(on_timeout=on_timeout)
    outside.ask("digits", [risk], now_s=0.0)
    if answer is not None:
        outside.take(risk, answer, now_s=1.0)
    early = outside.ask("digits", [risk], now_s=59.0)
    assert early.waiting and not early.refused
    late = outside.ask("digits", [risk], now_s=60.0)
    assert (late.waiting == (), late.refused != "") == (passed, refused)
    assert "60 s are over" in late.checks[0].because
    assert late.checks[0].numbers == {"waited_s": 60.0, "timeout_s": 60.0}


def test_a_yes_in_time_counts_whenever_it_is_read():
    outside, risk = Confirmations(), task(on_timeout=OnHookTimeout.ABORT)
    outside.ask("digits", [risk], now_s=0.0)
    outside.take(risk, YES, now_s=30.0)
    assert outside.ask("digits", [risk], now_s=1e6).refused == ""


def test_an_answer_that_nobody_waits_for_does_not_count():
    outside, risk = Confirmations(), task()
    assert not outside.take(risk, YES, now_s=0.0)
    outside.ask("digits", [risk], now_s=0.0)
    outside.take(risk, YES, now_s=0.0)
    outside.retract("digits")
    assert outside.standing("digits", now_s=0.0).checks == ()
    assert outside.ask("digits", [risk], now_s=1.0).waiting  # and what was said is forgotten


def test_the_next_step_is_another_question():
    outside = Confirmations()
    outside.ask("digits", [task(step=0)], now_s=0.0)
    outside.take(task(step=0), YES, now_s=0.0)
    assert outside.ask("digits", [task(step=1)], now_s=0.0).waiting
    assert not outside.take(task(step=0), YES, now_s=0.0)
