from dataclasses import replace
from pathlib import Path

import pytest

from controller.artifact import manifest_of
from controller.lineage import Artifact, ModelVersion
from controller.signature import sign
from controller.verification import verify_artifact
from evaluator.evidence import CheckState
from tests.controller.test_signature import key_pair


@pytest.fixture
def model(tmp_path: Path) -> ModelVersion:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"12345")
    found = manifest_of(folder)
    files = tuple((file.path, file.size_bytes, file.sha256) for file in found.files)
    artifact = Artifact(found.digest, path=str(folder), files=files)
    return ModelVersion(name="fraud", version="7", artifact=artifact)


def weights(model: ModelVersion) -> Path:
    return Path(model.artifact.path or "") / "weights.bin"


def test_files_as_registered_pass(model: ModelVersion) -> None:
    found = verify_artifact(model)
    assert found.state is CheckState.PASSED and found.numbers["found"] == model.artifact.digest


def test_other_files_are_a_mismatch_with_both_digests_and_the_file(model: ModelVersion) -> None:
    weights(model).write_bytes(b"12346")
    found = verify_artifact(model)
    assert found.state is CheckState.TRIPPED
    assert model.artifact.digest in found.because and found.numbers["found"] in found.because
    assert "changed: weights.bin" in found.because


def test_link_in_the_place_of_a_file_is_a_mismatch(model: ModelVersion, tmp_path: Path) -> None:
    weights(model).rename(tmp_path / "elsewhere")
    weights(model).symlink_to(tmp_path / "elsewhere")
    found = verify_artifact(model)
    assert found.state is CheckState.TRIPPED and "is a link" in found.because


def test_files_that_are_gone_prove_nothing(model: ModelVersion) -> None:
    weights(model).unlink()
    weights(model).parent.rmdir()
    found = verify_artifact(model)
    assert found.state is CheckState.UNKNOWN and "cannot be read" in found.because


def test_digest_of_a_uri_is_taken_as_declared_and_says_so(model: ModelVersion) -> None:
    there = replace(model, artifact=Artifact("a" * 64, uri="s3://models/7"))
    found = verify_artifact(there)
    assert found.state is CheckState.PASSED and "declared digest" in found.because
    assert found.numbers["read"] is False


def test_signature_is_asked_for_when_keys_are_declared(model: ModelVersion, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path)
    _, other = key_pair(tmp_path, "other")
    unsigned = verify_artifact(model, str(public))
    assert unsigned.state is CheckState.TRIPPED and "is not signed" in unsigned.because
    signed = replace(model, signature=sign(model, private))
    passed = verify_artifact(signed, str(public))
    assert passed.state is CheckState.PASSED and "signed by key" in passed.because
    assert verify_artifact(signed, str(other)).state is CheckState.TRIPPED
    assert verify_artifact(signed, str(tmp_path / "gone")).state is CheckState.UNKNOWN


def test_signed_version_with_other_files_is_a_mismatch_all_the_same(
    model: ModelVersion, tmp_path: Path
) -> None:
    private, public = key_pair(tmp_path)
    signed = replace(model, signature=sign(model, private))
    weights(model).write_bytes(b"12346")
    assert verify_artifact(signed, str(public)).state is CheckState.TRIPPED
