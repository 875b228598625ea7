import json
from dataclasses import replace

from controller.deployment import Deployment
from controller.lineage import (
    Artifact,
    ModelVersion,
    Rows,
    Schemas,
    Signature,
    TrainingData,
    ancestors,
)
from controller.modeljson import line_json, model_json

A, B = "a" * 64, "b" * 64
MODEL = ModelVersion(
    name="fraud",
    version="7",
    artifact=Artifact(A, path="/m", files=(("weights.bin", 5, B),)),
    training=(TrainingData("t.csv", B, 9, Rows("x.rows", 3, 2, True, ("age",))),),
    schemas=Schemas(request={"type": "object"}),
    samples=("{}",),
    signature=Signature("k1", "AAAA"),
    parent="fraud:6",
    by="ada",
    at_ns=1_800_000_000 * 10**9,
)
FOUND = [
    Deployment("pay", "fraud-7", "fraud:7", "canary", "challenger"),
    Deployment("pay", "fraud-6", "fraud:6", "production", "champion"),
]


def test_short_form_tells_stage_and_leaves_out_files_and_samples() -> None:
    told = model_json(MODEL, FOUND)
    assert (told["ref"], told["stage"], told["aliases"]) == (
        *("fraud:7", "canary"),
        {"challenger": ["pay"]},
    )
    assert told["artifact"]["n_files"] == 1 and "files" not in told["artifact"]
    assert "samples" not in told and told["signed_by"] == "k1"
    assert told["training"][0]["rows"]["n_rows"] == 3
    assert told["registered_at"] == "2027-01-15T08:00:00.000000Z"
    json.dumps(told, allow_nan=False)


def test_whole_form_has_everything() -> None:
    told = model_json(MODEL, FOUND, is_whole=True)
    assert told["artifact"]["files"] == [{"path": "weights.bin", "size_bytes": 5, "sha256": B}]
    assert told["samples"] == ["{}"] and told["schemas"]["request"] == {"type": "object"}


def test_version_without_deployments_is_registered() -> None:
    told = model_json(replace(MODEL, signature=None, version="8"), FOUND)
    assert (told["stage"], told["aliases"], told["signed_by"]) == ("registered", {}, None)


def test_line_says_what_is_not_registered() -> None:
    told = line_json(ancestors(MODEL, lambda _: None))
    assert [(step["ref"], step["registered"], step["digest"]) for step in told] == [
        *(("fraud:7", True, A), ("fraud:6", False, None))
    ]
