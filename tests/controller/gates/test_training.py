import json

import pytest

from controller import rowset
from controller.gates.golden import GoldenError, digest_of
from controller.gates.training import training_of
from controller.lineage import Artifact, ModelVersion, Rows, TrainingData
from controller.rowhash import row_hash

ROWS = [{"a": 1, "label": 0}, {"a": 2, "label": 1}]


def test_files_of_the_routing_file_are_hashed(tmp_path):
    path = tmp_path / "train.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    [file] = training_of("fraud-7", [str(path)], None, None).files
    assert file.digest == digest_of(path)
    assert file.rows is not None and file.rows.has(row_hash(ROWS[0]) or 0)


def test_of_what_is_no_table_only_the_digest_counts(tmp_path):
    path = tmp_path / "images.tar"
    path.write_bytes(b"tar")
    [file] = training_of("fraud-7", [str(path)], None, None).files
    assert file.rows is None and file.digest == digest_of(path)


@pytest.mark.parametrize("name", ["gone.csv", "bad.csv"])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path, name):
    (tmp_path / "bad.csv").write_text("a,a\n1,2\n")
    with pytest.raises(GoldenError, match=name):
        training_of("fraud-7", [str(tmp_path / name)], None, None)


def version(rows: Rows | None) -> ModelVersion:
    data = TrainingData("train.parquet", "ab" * 32, rows=rows)
    return ModelVersion(
        name="fraud", version="7", artifact=Artifact.__new__(Artifact), training=(data,)
    )


def test_a_registered_version_brings_its_hashes(tmp_path):
    known = rowset.row_set_of(ROWS)
    name = rowset.keep(tmp_path, rowset.to_bytes(known))
    rows = Rows(name, 2, 2, True, known.columns)
    [file] = training_of("fraud-7", [], version(rows), tmp_path).files
    assert (file.name, file.digest) == ("train.parquet", "ab" * 32)
    assert file.rows is not None and file.rows.has(row_hash(ROWS[1]) or 0)
    [bare] = training_of("fraud-7", [], version(rows), None).files
    assert bare.rows is None


def test_hashes_that_are_gone_are_an_error_and_no_silence(tmp_path):
    rows = Rows("gone.rows", 2, 2, True, ("a",))
    with pytest.raises(GoldenError, match=r"train\.parquet"):
        training_of("fraud-7", [], version(rows), tmp_path)
