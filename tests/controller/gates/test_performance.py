"""The whole gate, with two model servers and a golden file."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from controller.account import report_json
from controller.gates import performance
from controller.gates.golden import GoldenError
from controller.gates.goldenspec import Allowed, GoldenSpec, PerformanceSpec, SliceSpec
from controller.gates.leak import Training
from controller.gates.performance import PerformanceTask, is_undecided
from controller.policy import StageKind, StageSpec
from evaluator.evidence import Role
from evaluator.metric import MetricSpec
from router.table import Match, Tls
from tests.controller.builders import route_intent
from tests.controller.gates.models import Model, served
from tests.controller.gates.test_task import TASK

ACCURACY = MetricSpec(name="accuracy", kind="correct", role=Role.OBJECTIVE, detect=0.01)
TRAINED = Training("digits-2", ())


def golden(folder: Path, n: int, *, countries: tuple[str, ...] = ("NL",)) -> Path:
    """Rows whose label is 1 or 0; ``u`` says how hard a row is, in [0, 1)."""
    random = np.random.default_rng(1)
    path = folder / "golden.ndjson"
    path.write_text(
        "".join(
            json.dumps(
                {
                    "request": {
                        "label": i % 2,
                        "u": random.random(),
                        "c": (c := countries[i % len(countries)]),
                    },
                    "label": i % 2,
                    "country": c,
                }
            )
            + "\n"
            for i in range(n)
        )
    )
    return path


def model(share: float, **of_country: float) -> Model:
    """Right where a row is easier than ``share``."""

    def predict(request: dict[str, float]) -> dict[str, float]:
        is_right = request["u"] < of_country.get(str(request["c"]), share)
        return {"prediction": request["label"] if is_right else 1 - request["label"]}

    return Model(predict)


async def run(path: Path, one: Model, other: Model, *, by: tuple[str, ...] = (), **parts: object):
    spec = PerformanceSpec(golden=GoldenSpec(path=str(path), by=by))
    spec = replace(spec, **{k: v for k, v in parts.items() if k in PerformanceSpec.__slots__})
    metrics = parts.get("metrics", ((ACCURACY, Allowed(relative=0.02)),))
    async with served(one, "digits-1") as champion, served(other) as challenger:
        task = PerformanceTask(
            challenger=challenger,
            champion=champion,
            match=Match(path="/digits"),
            prediction="prediction",
            spec=replace(spec, metrics=()),
            metrics=metrics,  # type: ignore[arg-type]
            alpha=0.05,
            training=parts.get("training_data", (TRAINED,)),  # type: ignore[arg-type]
        )
        return await performance.run(task)


def check(report, name):
    [found] = [one for one in report.checks if one.name == name]
    return found


async def test_a_better_challenger_passes_with_its_interval(tmp_path):
    report = await run(golden(tmp_path, 300), model(0.8), model(0.9))
    assert report.passed, report.because
    found = check(report, "accuracy").numbers
    assert 0.0 < found["lower"] < found["effect"] < found["upper"] < 0.2
    assert found["rows"] == 300 and found["verdict"] == "passed"
    assert len(check(report, "golden set").numbers["digest"]) == 64
    assert "a leak cannot be excluded" in check(report, "training data of digits-2").because
    json.dumps(report_json(report), allow_nan=False)


async def test_a_worse_challenger_fails_for_good(tmp_path):
    report = await run(golden(tmp_path, 300), model(0.9), model(0.7))
    assert not report.passed and not report.is_transient and not is_undecided(report)
    assert report.because.startswith("accuracy -")


async def test_too_few_rows_are_undecided_and_say_how_many_are_needed(tmp_path):
    report = await run(golden(tmp_path, 60), model(0.8), model(0.81))
    assert not report.passed and is_undecided(report)
    assert report.because.startswith("undecided: ") and "rows needed" in report.because
    report = await run(golden(tmp_path, 10), model(0.8), model(0.8))
    assert is_undecided(report) and "20 rows needed" in report.because


async def test_a_challenger_that_is_better_on_average_and_worse_for_a_group_fails(tmp_path):
    path = golden(tmp_path, 600, countries=("NL", "NL", "NL", "BE"))
    one, other = model(0.7), model(0.95, BE=0.4)
    assert (await run(path, one, other)).passed
    report = await run(path, one, other, by=("country",))
    assert not report.passed and check(report, "accuracy").passed
    assert report.because.startswith("accuracy for country=BE: accuracy -")
    assert not is_undecided(report)


@pytest.mark.parametrize("small", ["hold", "skip"])
async def test_a_small_group_holds_or_is_left_out_as_declared(tmp_path, small):
    path = golden(tmp_path, 310, countries=("NL",) * 30 + ("LU",))
    slices = SliceSpec(small=small)
    report = await run(path, model(0.8), model(0.95), by=("country",), slices=slices)
    found = check(report, "accuracy for country=LU")
    assert found.numbers["verdict"] == "unknown" and report.passed is (small == "skip")
    assert ("left out" in found.because) is (small == "skip")


@pytest.mark.parametrize("undecided", ["hold", "pass"])
async def test_a_group_that_is_not_decided_holds_or_passes_as_declared(tmp_path, undecided):
    path = golden(tmp_path, 400, countries=("NL",) * 9 + ("LU",))
    slices = SliceSpec(undecided=undecided, allowed=Allowed(relative=0.02))
    one, other = model(0.8, LU=0.8), model(0.95, LU=0.8)
    report = await run(path, one, other, by=("country",), slices=slices)
    assert report.passed is (undecided == "pass"), report.because


@pytest.mark.parametrize(("lead", "skips"), [(0.03, True), (0.5, False)])
async def test_shadow_is_skipped_from_the_declared_lead_on(tmp_path, lead, skips):
    path = golden(tmp_path, 400)
    report = await run(path, model(0.7), model(0.95), skip_shadow_from=lead)
    assert report.passed and report.skips_shadow is skips
    assert check(report, "skip shadow").numbers["skips_shadow"] is skips


async def test_without_a_declared_lead_shadow_is_never_skipped(tmp_path):
    report = await run(golden(tmp_path, 400), model(0.1), model(0.95))
    assert report.passed and not report.skips_shadow


async def test_a_leak_is_refused_before_anybody_is_asked(tmp_path):
    one, other = model(0.7), model(0.95)
    path = golden(tmp_path, 40)
    task = replace(
        TASK,
        stage=StageSpec(
            kind=StageKind.PERFORMANCE,
            performance=PerformanceSpec(
                golden=GoldenSpec(path=str(path)),
                metrics=(("accuracy", Allowed()),),
                training=(("digits-1", (str(path),)),),
            ),
        ),
    )
    report = await performance.run(performance.task_of(task))
    assert not report.passed and "the golden set is" in report.because
    assert report.because.startswith("training data of digits-1") and not is_undecided(report)
    assert one.bodies == other.bodies == []


async def test_where_training_data_is_required_silence_is_a_refusal(tmp_path):
    path = golden(tmp_path, 300)
    report = await run(path, model(0.8), model(0.9), require_training_data=True)
    assert not report.passed and "nobody declared" in report.because


async def test_rows_that_cannot_be_read_are_tried_again(tmp_path):
    report = await run(tmp_path / "gone.ndjson", model(0.8), model(0.9))
    assert not report.passed and report.is_transient and "gone.ndjson" in report.because


async def test_a_model_that_is_away_is_tried_again(tmp_path):
    gone = model(0.8)
    gone.is_silent = True
    report = await run(golden(tmp_path, 60), gone, model(0.9))
    assert report.is_transient and "digits-1 did not answer" in report.because


async def test_a_champion_that_answers_too_seldom_is_no_measure(tmp_path):
    seldom = model(0.8)
    seldom.post = flaky(seldom)  # type: ignore[method-assign]
    report = await run(golden(tmp_path, 60), seldom, model(0.9))
    assert report.is_transient and "the champion did not answer" in report.because


def flaky(one: Model):
    answer, count = one.post, iter(range(10**6))

    async def post(request):
        one.is_silent = next(count) % 3 == 0
        return await answer(request)

    return post


async def test_a_metric_that_rows_cannot_tell_is_unknown_and_holds(tmp_path):
    recall = MetricSpec(name="recall", kind="recall", role=Role.GUARDRAIL, positive="7")
    report = await run(golden(tmp_path, 60), model(0.8), model(0.9), metrics=((recall, Allowed()),))
    assert is_undecided(report) and "no row of class 7" in report.because


async def test_too_many_slices_are_refused(tmp_path):
    report = await run(golden(tmp_path, 600), model(0.8), model(0.9), by=("request.u",))
    assert not report.passed and "more than 500 slices" in report.because


async def test_a_certificate_that_cannot_be_loaded_is_tried_again(tmp_path):
    path = golden(tmp_path, 60)
    task = PerformanceTask(
        challenger=msgspec.structs.replace(TASK.challenger, tls=Tls(ca=str(tmp_path / "no.pem"))),
        champion=None,
        match=Match(path="/x"),
        prediction=None,
        spec=PerformanceSpec(golden=GoldenSpec(path=str(path))),
        metrics=(),
        alpha=0.05,
    )
    report = await performance.run(task)
    assert report.is_transient and "no.pem" in report.because


def test_a_task_names_the_metrics_of_the_route_and_both_models_training(tmp_path):
    route = route_intent()
    spec = PerformanceSpec(
        golden=GoldenSpec(path="g.csv"), metrics=(("accuracy", Allowed(0.1)), ("gone", Allowed()))
    )
    task = performance.task_of(
        replace(TASK, stage=StageSpec(StageKind.PERFORMANCE, performance=spec))
    )
    assert task.metrics == ((route.metrics[0], Allowed(0.1)),)
    assert [one.variant for one in task.training] == ["digits-2", "digits-1"]
    assert task.alpha == route.alpha and task.prediction == "prediction"


def test_a_stage_without_a_golden_set_has_no_task():
    with pytest.raises(GoldenError, match="declares no golden set"):
        performance.task_of(TASK)
