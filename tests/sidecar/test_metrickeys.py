"""Which keys a metric needs, by its kind and role."""

import re
from typing import get_args

import pytest

from evaluator.metric import KINDS
from sidecar.metrickeys import ALL_KEYS, EXAMPLES, METRIC_KEYS, Keys
from sidecar.routetype import Kind, RoleName
from tests.sidecar.routing_texts import load, problems_of_text, with_part

VALUES = {
    **EXAMPLES,
    "value": "cost",
    "source": "answer",
    "direction": "lower",
    "range": "[0, 10]",
    "distance": "cosine",
    "of": "score",
    "covariate": "past",
    "proxy": "guess",
    "horizon": "10000",
}


def said(kind: str, role: str, keys: dict[str, str]) -> set[str]:
    inside = "".join(f", {key}: {value}" for key, value in keys.items())
    entry = f"extra: {{kind: {kind}, role: {role}{inside}}}"
    text = with_part("metrics:", f"metrics:\n      {entry}").replace(
        "maturity: 3d", "maturity: 3d, sampled: 20%"
    )
    problems = problems_of_text(text)
    assert all(problem.path.startswith("routes[0].metrics.extra") for problem in problems)
    return {re.sub(r"\[.*", "", problem.path.rpartition(".")[2]) for problem in problems}


def wanted(keys: Keys) -> dict[str, str]:
    chosen = [*keys.needs, *keys.one_of[:1]]
    return {key: VALUES[key] for key in chosen}


def test_every_key_has_an_example_here() -> None:
    assert set(VALUES) == set(ALL_KEYS)


def test_every_kind_of_the_evaluator_can_be_written() -> None:
    assert set(get_args(Kind)) == set(KINDS) == {kind for kind, _ in METRIC_KEYS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", get_args(RoleName))
def test_metric_needs_exactly_its_own_keys(kind: str, role: str) -> None:
    keys = METRIC_KEYS.get((kind, role))
    if keys is None:
        assert said(kind, role, {}) == {"role"}
        return
    assert said(kind, role, wanted(keys)) == set()
    assert said(kind, role, {}) == {*keys.needs, *keys.one_of[:1]}
    foreign = {key: VALUES[key] for key in VALUES if key not in keys.known}
    found = said(kind, role, wanted(keys) | foreign)
    assert found == set(foreign)


@pytest.mark.parametrize(
    ("kind", "role", "keys", "wrong"),
    [
        ("correct", "guardrail", {"margin": "1%", "within": "1%"}, "within"),
        ("correct", "objective", {"detect": "0.01"}, "detect"),
        ("correct", "objective", {"detect": "200%"}, "detect"),
        ("error", "guardrail", {"margin": "0%"}, "margin"),
        ("correct", "guardrail", {"margin_relative": "100%"}, "margin_relative"),
        ("mean", "objective", {"detect": "1", "range": "[3, 3]"}, "range"),
        ("mean", "objective", {"at_least": "1"}, "range"),
        ("mean", "guardrail", {"margin_relative": "5%", "range": "[-1, 1]"}, "margin_relative"),
        ("mean", "guardrail", {"margin": "1", "proxy": "guess"}, "proxy"),
        ("loss", "guardrail", {"margin": "1", "loss": "pinball"}, "quantile"),
        ("loss", "guardrail", {"margin": "1", "loss": "hinge"}, "loss"),
        ("divergence", "proxy", {"at_most": "5%", "distance": "far"}, "distance"),
        ("auc", "objective", {"detect": "1%", "positive": '""'}, "positive"),
        ("latency", "guardrail", {"margin": "10%", "quantile": "0.4"}, "quantile"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(
    kind: str, role: str, keys: dict[str, str], wrong: str
) -> None:
    assert said(kind, role, keys) == {wrong}


def test_proxy_without_sampled_labels_is_refused() -> None:
    entry = "extra: {kind: loss, role: guardrail, loss: absolute, margin: 1, proxy: guess}"
    (problem,) = problems_of_text(with_part("metrics:", f"metrics:\n      {entry}"))
    assert problem.path.endswith("extra.proxy") and "drawn at random" in str(problem)


@pytest.mark.parametrize(
    ("text", "canonical"), [("fraud", '"fraud"'), ("1", "1"), ("true", "true"), ("'1.0'", "1")]
)
def test_class_is_written_as_labels_are(text: str, canonical: str) -> None:
    entry = f"extra: {{kind: f1, role: objective, detect: 1%, positive: {text}}}"
    loaded = load(with_part("metrics:", f"metrics:\n      {entry}"))
    assert loaded.intent.routes[0].metrics[0].positive == canonical


def test_amounts_and_paths_arrive_as_they_were_written() -> None:
    entry = (
        "extra: {kind: mean, role: guardrail, margin: 0.5, value: usage.tokens,"
        " direction: lower, range: [-2.5, 4000]}"
    )
    metric = load(with_part("metrics:", f"metrics:\n      {entry}")).intent.routes[0].metrics[0]
    assert (metric.margin, metric.value, metric.direction) == (0.5, "usage.tokens", "lower")
    assert metric.range == (-2.5, 4000.0) and metric.source == "answer"
