from pathlib import Path

import pytest

from sidecar.gatecheck import DEFAULT_KINDS, compared
from sidecar.model.metric import MetricSection
from sidecar.model.performance import Performance
from sidecar.problem import ConfigError
from tests.sidecar.gatefile import FUNCTIONAL, PERFORMANCE, load


def test_a_file_with_both_gates_is_sound(tmp_path: Path) -> None:
    assert load(tmp_path).intent.routes


@pytest.mark.parametrize(
    ("functional", "path", "said"),
    [
        ("{batch: [2]}", "functional.batch", "`samples` beside it"),
        ("{latency: {p99: 1s}}", "functional.latency", "`samples` beside it"),
        ("{deterministic: true}", "functional.deterministic", "`samples` beside it"),
        ("{samples: s.jsonl, latency: {requests: 5}}", "functional.latency", "no limit"),
        ("{samples: s.jsonl, metadata: true}", "functional.metadata", "open-inference-v2"),
        (
            "{samples: s.jsonl, request_schema: golden.csv}",
            "functional.request_schema",
            "not JSON",
        ),
        ("{samples: s.jsonl, response_schema: no.json}", "response_schema", "No such file"),
    ],
)
def test_what_the_functional_stage_lacks_is_said(
    tmp_path: Path, functional: str, path: str, said: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, functional)
    [problem] = raised.value.problems
    assert problem.path.endswith(path) and said in problem.text("f")


@pytest.mark.parametrize(
    ("performance", "path", "said"),
    [
        ("{golden: gone.csv}", "golden", "no file"),
        ("{golden: golden.txt}", "golden", "ends in .ndjson"),
        ("{golden: golden.csv, training: {fraud-7: [a.csv]}}", "fraud-7[0]", "no file"),
        (
            "{golden: golden.csv, metrics: {nothing: {}}}",
            "metrics.nothing",
            "a metric of the route",
        ),
        (
            "{golden: golden.csv, metrics: {accuracy: {margin: 1%, margin_relative: 2%}}}",
            "metrics.accuracy",
            "found both",
        ),
    ],
)
def test_what_the_performance_stage_lacks_is_said(
    tmp_path: Path, performance: str, path: str, said: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, FUNCTIONAL, performance)
    [problem] = raised.value.problems
    assert problem.path.endswith(path) and said in problem.text("f")


def metric(**parts: str) -> MetricSection:
    return MetricSection.model_validate({"role": "guardrail"} | parts)


def test_what_looks_at_predictions_is_compared_unless_the_file_names_others() -> None:
    metrics = {
        "accuracy": metric(kind="correct", margin="1%"),
        "errors": metric(kind="error", margin="1%"),
        "revenue": metric(kind="mean", source="label", margin="1"),
        "score": metric(kind="mean", margin="1"),
    }
    stage = Performance.model_validate({"golden": "g.csv"})
    assert compared(metrics, stage) == ("accuracy", "score")
    stage = Performance.model_validate({"golden": "g.csv", "metrics": {"errors": {}}})
    assert compared(metrics, stage) == ("errors",)
    assert not {"error", "latency", "agreement", "drift"} & set(DEFAULT_KINDS)


def test_a_stage_that_compares_nothing_is_refused(tmp_path: Path) -> None:
    from tests.sidecar import gatefile

    path = gatefile.write(tmp_path, FUNCTIONAL, PERFORMANCE)
    text = path.read_text().replace(
        "kind: correct, role: objective, detect: 1%", "kind: error, role: guardrail, margin: 1%"
    )
    text = text.replace("        - production: {watch: 24h, holdback: 1%}\n", "")
    path.write_text(text)
    with pytest.raises(ConfigError, match="a performance stage that compares nothing"):
        gatefile.load_routefile(path)


def test_a_lead_skips_shadow_only_where_a_canary_follows(tmp_path: Path) -> None:
    from tests.sidecar import gatefile

    path = gatefile.write(tmp_path)
    path.write_text(
        path.read_text().replace(
            "        - canary: {shares: [1%, 5%, 25%, 50%], at_most: 14d}\n", ""
        )
    )
    with pytest.raises(ConfigError, match="a canary stage: a promotion needs traffic"):
        gatefile.load_routefile(path)
