import csv
import hashlib
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from controller.gates.golden import GoldenError, read_golden
from controller.gates.goldenspec import GoldenSpec

ROWS = [
    {"age": 41, "country": "NL", "label": 1},
    {"age": 17, "country": "BE", "label": 0},
]


def spec(path: Path, **parts: object) -> GoldenSpec:
    return GoldenSpec(**({"path": str(path), "protocol": "kserve-v1"} | parts))


def ndjson(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def table(folder: Path, form: str) -> Path:
    path = folder / f"golden.{form}"
    if form == "ndjson":
        return ndjson(path, *ROWS)
    if form == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ROWS[0])
            writer.writeheader()
            writer.writerows(ROWS)
        return path
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_a_table_makes_the_same_rows_whichever_form_it_has(tmp_path, form):
    path = table(tmp_path, form)
    golden = read_golden(spec(path, features=("age",), by=("country",)))
    assert [json.loads(row.body) for row in golden.rows] == [
        {"instances": [[41]]},
        {"instances": [[17]]},
    ]
    assert [row.label for row in golden.rows] == ["1", "0"]
    assert [row.slices for row in golden.rows] == [(("country", "NL"),), (("country", "BE"),)]
    assert [row.cells for row in golden.rows] == ROWS
    assert golden.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_whole_requests_are_sent_as_they_are(tmp_path):
    request = {"instances": [{"age": 41}], "signature_name": "s"}
    path = ndjson(tmp_path / "g.ndjson", {"request": request, "label": "fraud", "band": 7})
    [row] = read_golden(spec(path, by=("band", "request.instances[0].age", "nothing"))).rows
    assert json.loads(row.body) == request
    assert row.label == '"fraud"'
    assert row.slices == (("band", "7"), ("request.instances[0].age", "41"))
    assert row.cells["age"] == 41  # as a row of training data has it


def test_a_table_may_hold_requests_as_text(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text('request,label\n"{""x"": [1]}",7\n')
    [row] = read_golden(spec(path)).rows
    assert row.body == b'{"x":[1]}' and row.label == "7"
    path.write_text("request,label\n{,7\n")
    with pytest.raises(GoldenError, match=r"g\.csv, row 1"):
        read_golden(spec(path))


@pytest.mark.parametrize(
    ("request_", "cells"),
    [
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}, {"a": 1, "b": 2}),
        ({"instances": [[1, 2]]}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}),
    ],
)
def test_a_request_is_taken_apart_to_be_found_in_training_data(tmp_path, request_, cells):
    path = ndjson(tmp_path / "g.ndjson", {"request": request_})
    [row] = read_golden(spec(path, features=("a", "b"))).rows
    assert {name: row.cells[name] for name in cells} == cells


def test_a_row_without_a_label_is_a_row(tmp_path):
    path = ndjson(tmp_path / "g.ndjson", {"request": {}}, {"request": {}, "label": None})
    assert [row.label for row in read_golden(spec(path)).rows] == [None, None]


def test_another_file_than_declared_is_refused(tmp_path):
    path = ndjson(tmp_path / "g.ndjson", {"request": {}})
    found = read_golden(spec(path)).digest
    assert read_golden(spec(path, digest=found)).digest == found
    with pytest.raises(GoldenError, match=f"digest {found}, and not 00"):
        read_golden(spec(path, digest="00" * 32))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no row"),
        ("{\n", "line 1: not JSON"),
        ("[1]\n", "line 1: not an object"),
        ('{"age": 1}\n', "row 1: no column 'prompt'"),
        ('{"request": {"x": 1}, "label": "' + "a" * 5000 + '"}\n', "row 1: prediction is longer"),
    ],
)
def test_a_file_with_one_bad_row_is_refused_with_its_place(tmp_path, text, said):
    path = tmp_path / "g.ndjson"
    path.write_text(text)
    with pytest.raises(GoldenError, match=said):
        read_golden(spec(path, protocol="openai"))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(GoldenError, match=r"g\.csv: No such file"):
        read_golden(spec(tmp_path / "g.csv"))
