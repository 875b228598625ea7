"""Approvals and webhooks in the routing file."""

import pytest

from controller.policy import OnHookTimeout, WebhookSpec
from tests.sidecar.routing_texts import load, only_problem, with_part


def shadow_with(keys: str) -> str:
    return with_part("- shadow: {", f"- shadow: {{{keys}, ")


def test_a_stage_declares_who_must_approve_and_confirm() -> None:
    hook = (
        '{name: risk, url: "http://127.0.0.1:9/gate", timeout: 30s, on_timeout: abort, '
        "each_step: true, namespace: prod, metadata: {team: fraud, tier: '1'}}"
    )
    [route] = load(shadow_with(f"approval: {{by: 2}}, webhooks: [{hook}]")).intent.routes
    shadow = route.stages[1]
    assert shadow.approvals == 2
    assert shadow.webhooks == (
        WebhookSpec(
            name="risk",
            url="http://127.0.0.1:9/gate",
            timeout_s=30.0,
            on_timeout=OnHookTimeout.ABORT,
            each_step=True,
            namespace="prod",
            metadata=(("team", "fraud"), ("tier", "1")),
        ),
    )


def test_without_them_nobody_is_asked() -> None:
    [route] = load(with_part("alpha: 5%", "alpha: 5%")).intent.routes
    assert all((stage.approvals, stage.webhooks) == (0, ()) for stage in route.stages)
    [hooked] = load(shadow_with('webhooks: [{name: a, url: "http://h/x"}]')).intent.routes
    hook = hooked.stages[1].webhooks[0]
    assert (hook.timeout_s, hook.on_timeout, hook.each_step) == (300.0, OnHookTimeout.HOLD, False)


def test_the_route_cools_down_an_hour_unless_the_file_says_otherwise() -> None:
    [route] = load(with_part("alpha: 5%", "alpha: 5%")).intent.routes
    [other] = load(with_part("alpha: 5%", "alpha: 5%\n      cool_down: 2d")).intent.routes
    assert (route.cool_down_s, other.cool_down_s) == (3600.0, 172_800.0)


def test_a_route_may_not_cool_down_for_longer_than_its_last_stage_lasts() -> None:
    problem = only_problem(with_part("alpha: 5%", "alpha: 5%\n      cool_down: 14d"))
    assert problem.path == "routes[0].rollout.cool_down"
    assert "nobody would be promoted" in problem.expected


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ("approval: {by: 0}", "approval.by"),
        ("approval: {by: 11}", "approval.by"),
        ('webhooks: [{name: a, url: "ftp://h/x"}]', "webhooks[0].url"),
        ('webhooks: [{name: a, url: "http://h/x", timeout: 0s}]', "webhooks[0].timeout"),
        ('webhooks: [{name: a, url: "http://h/x", on_timeout: pass}]', "webhooks[0].on_timeout"),
        (
            'webhooks: [{name: a, url: "http://h/x"}, {name: a, url: "http://h/y"}]',
            "webhooks[1].name",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(keys: str, path: str) -> None:
    assert only_problem(shadow_with(keys)).path.endswith(f"shadow.{path}")
