from pathlib import Path

import msgspec

from controller.gates.functionalspec import LatencyLimit
from controller.gates.goldenspec import Allowed
from controller.policy import Intent, StageKind, StageSpec
from tests.sidecar.gatefile import FUNCTIONAL, load


def stages(folder: Path, *texts: str) -> dict[StageKind, StageSpec]:
    [route] = load(folder, *texts).intent.routes
    return {stage.kind: stage for stage in route.stages}


def test_the_functional_gate_has_its_schemas_and_limits(tmp_path: Path) -> None:
    spec = stages(tmp_path)[StageKind.FUNCTIONAL].functional
    assert spec.request_schema == spec.response_schema == {"type": "object"}
    assert (spec.batch, spec.bad_input, spec.deterministic) == ((1, 4), True, True)
    assert spec.latency == LatencyLimit(((0.99, 0.2),), 50)
    assert (spec.protocol, spec.metadata_path) == ("kserve-v1", None)


def test_metadata_is_asked_where_the_route_has_its_model(tmp_path: Path) -> None:
    from tests.sidecar import gatefile

    path = gatefile.write(tmp_path, "{samples: s.jsonl, metadata: true}", "")
    text = path.read_text().replace("protocol: kserve-v1", "protocol: open-inference-v2")
    path.write_text(text.replace("/v1/models/fraud:predict", "/v2/models/fraud/infer"))
    [route] = gatefile.load_routefile(path).intent.routes
    assert route.stages[0].functional.metadata_path == "/v2/models/fraud"


def test_the_performance_gate_has_absolute_paths_and_a_margin_a_metric(tmp_path: Path) -> None:
    spec = stages(tmp_path)[StageKind.PERFORMANCE].performance
    assert spec is not None
    assert spec.golden.path == str(tmp_path / "golden.csv") and spec.golden.by == ("country",)
    assert spec.training == (("fraud-6", (str(tmp_path / "train.csv"),)),)
    assert spec.metrics == (("accuracy", Allowed(relative=0.03)),)
    assert (spec.skip_shadow_from, spec.golden.digest) == (0.05, None)
    assert spec.slices.allowed == Allowed(relative=0.1)


def test_a_margin_is_the_gates_for_the_metric_then_the_metrics_own_then_the_gates(
    tmp_path: Path,
) -> None:
    text = "{golden: golden.csv, metrics: {accuracy: {margin: 1%}, errors: {}, latency: {}}}"
    spec = stages(tmp_path, FUNCTIONAL, text)[StageKind.PERFORMANCE].performance
    assert spec is not None
    assert dict(spec.metrics) == {
        "accuracy": Allowed(absolute=0.01),
        "errors": Allowed(absolute=0.005),
        "latency": Allowed(absolute=0.1),
    }


def test_a_digest_may_carry_the_name_of_its_method(tmp_path: Path) -> None:
    text = f"{{golden: golden.csv, digest: 'sha256:{'ab' * 32}'}}"
    spec = stages(tmp_path, FUNCTIONAL, text)[StageKind.PERFORMANCE].performance
    assert spec is not None and spec.golden.digest == "ab" * 32


def test_what_is_declared_survives_the_store(tmp_path: Path) -> None:
    intent = load(tmp_path).intent
    assert msgspec.json.decode(msgspec.json.encode(intent), type=Intent) == intent
