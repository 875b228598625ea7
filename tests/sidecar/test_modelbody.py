import json
from dataclasses import replace
from typing import Any

import pytest

from controller.lineage import Artifact, ModelVersion, Schemas, Signature, TrainingData
from controller.rowset import row_set_of, to_bytes
from sidecar.modelbody import BadModel, described, read, write

A, B = "a" * 64, "b" * 64
ROWS = row_set_of([{"age": n} for n in range(9)])
MODEL = ModelVersion(
    name="fraud",
    version="7",
    artifact=Artifact(A, path="/models/7", files=(("weights.bin", 5, B),)),
    training=(TrainingData("a.csv", B, 10), described(TrainingData("b.csv", A, 11), ROWS)),
    code="1f2e3d",
    params={"depth": "3"},
    parent="fraud:6",
    owner="ada",
    metadata={"ticket": "42"},
    schemas=Schemas(
        {"type": "object"}, {"type": "array"}, {"inputs": [{"name": "x"}], "outputs": []}
    ),
    samples=('{"x":1}',),
    signature=Signature("k1", "AAAA"),
    source="mlflow://fraud/7",
    by="ada",
)


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(write(MODEL, {})) | changes).encode()


def test_what_is_written_is_read_again() -> None:
    offer = read(write(MODEL, {1: to_bytes(ROWS)}))
    assert offer.model == MODEL
    assert offer.rows == {1: to_bytes(ROWS)}


def test_least_body_needs_name_version_and_artifact() -> None:
    body = {"name": "m", "version": "1", "artifact": {"digest": A, "uri": "s3://m/1"}}
    offer = read(json.dumps(body).encode())
    artifact = Artifact(A, uri="s3://m/1")
    assert offer.model == ModelVersion(name="m", version="1", artifact=artifact)


@pytest.mark.parametrize(
    ("body", "because"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (changed(surprise=1), "surprise"),
        (changed(name="a b"), "NAME:VERSION"),
        (changed(version=7), "Expected `str`"),
        (changed(parent="fraud"), "NAME:VERSION"),
        (changed(artifact={"digest": "x", "uri": "s3://a"}), "regex"),
        (changed(artifact={"digest": A}), "a path or a URI"),
        (changed(artifact={"digest": A, "path": "/a", "uri": "s3://a"}), "a path or a URI"),
        (changed(artifact={"digest": A, "path": "/a", "files": [["a", -1, A]]}), ">= 0"),
        (changed(samples=["{"]), "sample 1 is not JSON"),
        (changed(schemas={"request": {"type": "nonsense"}}), "request schema is not a JSON Schema"),
        (changed(schemas={"inference": {"outputs": []}}), "no list `inputs`"),
        (changed(schemas={"request": {"title": "x" * 300_000}}), "larger than 262144"),
        (changed(training=[{"name": "t", "digest": A, "rows": "AAAA"}]), "not a set of rows"),
        (changed(training=[{"name": "t", "digest": A, "rows": "?"}]), "the rows of t"),
        (changed(params={"depth": 3}), "Expected `str`"),
        (changed(who="x" * 201), "length <= 200"),
        (b"[" * 100_000, "Expected `object`"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, because: str) -> None:
    with pytest.raises(BadModel, match=because):
        read(body)


def test_samples_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.modelbody.MAX_SAMPLES_BYTES", 5)
    with pytest.raises(BadModel, match="larger than 5 bytes"):
        read(write(replace(MODEL, samples=("12", "34", "56")), {}))
