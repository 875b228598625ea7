"""Files of labels: every form says the same, and a bad row is one row."""

import csv
import gzip
import io
import json
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar import labelfile
from sidecar.labelfile import Columns, LabelFileError, Row, open_labels

ROWS = [
    {"request_id": "a", "label": 7},
    {"request_id": "b", "label": "fraud"},
    {"request_id": "c", "label": True},
    {"request_id": "d", "label": 0.5},
]
COLUMNS = Columns()


def read(path: Path, columns: Columns = COLUMNS, form: str | None = None) -> list[Row]:
    with open_labels(path, form, columns) as source:
        return list(source.rows)


def fields(rows: Sequence[Row]) -> list[dict[str, Any] | None]:
    return [row.fields for row in rows]


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow([v if isinstance(v, str) else json.dumps(v) for v in row.values()])
    return text.getvalue()


FORMS = {
    "l.csv": as_csv(ROWS),
    "l.ndjson": "\n".join(json.dumps(row) for row in ROWS),
    "l.jsonl": "\n\n".join(json.dumps(row) for row in ROWS) + "\n",
    "l.json": json.dumps(ROWS, indent=1),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gz"])
def test_every_form_holds_the_same_labels(tmp_path: Path, name: str, is_packed: bool) -> None:
    raw = FORMS[name].encode()
    path = tmp_path / (name + ".gz" if is_packed else name)
    path.write_bytes(gzip.compress(raw) if is_packed else raw)
    assert fields(read(path)) == ROWS


def test_csv_names_the_line_where_a_row_ends(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text('\ufeffrequest_id,label\na,"two\nlines"\n\nb,\n,1\nc,2,more\nd\n')
    assert read(path) == [
        Row(3, {"request_id": "a", "label": "two\nlines"}),
        Row(5, None, "it has no label"),
        Row(6, None, "it has no request id"),
        Row(7, {"request_id": "c", "label": 2}),
        Row(8, None, "it has no label"),
    ]


def test_columns_are_called_as_one_says_and_others_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("when,id,truth,proof,amount\n1795417200,a,1,t.1,9.99\n")
    columns = Columns("id", "truth", "proof", "when", asked=frozenset({"id", "truth"}))
    wanted = {"request_id": "a", "label": 1, "token": "t.1", "at": 1_795_417_200}
    assert fields(read(path, columns)) == [wanted]


def test_a_correction_says_so_in_every_form(tmp_path: Path) -> None:
    wanted = [{"request_id": "a", "label": 1, "correct": True}]
    for name, text in (
        ("l.csv", "request_id,label,correct\na,1,true\n"),
        ("l.ndjson", json.dumps(wanted[0])),
    ):
        (tmp_path / name).write_text(text)
        assert fields(read(tmp_path / name)) == wanted


def test_a_token_stands_for_the_id(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("token,label\nt.1,1\n")
    assert fields(read(path)) == [{"token": "t.1", "label": 1}]


def test_csv_holds_text_where_one_says_so(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("request_id,label\na,007\nb,7\nc,null\nd,NaN\n")
    assert [row["label"] for row in fields(read(path)) if row] == ["007", 7, "null", "NaN"]
    with open_labels(path, None, COLUMNS, as_text=True) as source:
        assert [row.fields["label"] for row in source.rows if row.fields] == [
            *("007", "7", "null", "NaN"),
        ]


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("", COLUMNS, "first line"),
        ("request_id,lable\n", COLUMNS, "no column 'label'; say --label-column"),
        ("id,label\n", COLUMNS, "say --id-column"),
        ("request_id,label,label\n", COLUMNS, "two columns are called 'label'"),
        ("request_id,label\n", Columns(at="when", asked=frozenset({"when"})), "no column 'when'"),
        ('request_id,label\na,"b"c\n', COLUMNS, "line 2"),
    ],
)
def test_a_csv_that_is_none_says_what_to_change(
    tmp_path: Path, text: str, columns: Columns, said: str
) -> None:
    path = tmp_path / "l.csv"
    path.write_text(text)
    with pytest.raises(LabelFileError, match=str(path)) as caught:
        read(path, columns)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [
        *("nonsense", "[1]", '{"request_id":"x","label":NaN}', '{"request_id":"x"}', "{" * 9_000),
        *('{"request_id":"x","label":1,"label":2}', '{"label":1}'),
        '{"request_id":"x","label":null}',
    ],
)
def test_a_bad_line_is_named_and_its_neighbours_are_kept(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "l.ndjson"
    good = '{"request_id":"a","label":1,"amount":2}'
    path.write_text(f"{good}\n{bad}\n{good}\n")
    one, two, three = read(path)
    assert one.fields == three.fields == {"request_id": "a", "label": 1}
    assert (two.line, two.fields) == (2, None) and two.because


def test_a_line_without_end_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelfile, "MAX_LINE_BYTES", 64)
    path = tmp_path / "l.ndjson"
    good = '{"request_id":"a","label":1}\n'
    path.write_text(good + "x" * 1_000 + "\n" + good + "y" * 64)
    assert [(row.line, row.fields is None) for row in read(path)] == [
        *((1, False), (2, True), (3, False), (4, True)),
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelFileError, match=r"none\.csv: No such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(LabelFileError, match="--format"):
        read(tmp_path / "labels")
    with pytest.raises(LabelFileError, match="--format"):
        read(tmp_path / "labels.csv", form="xml")
    cut = tmp_path / "l.ndjson.gz"
    packed = gzip.compress(b'{"request_id":"a","label":1}\n' * 9_000)
    cut.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(LabelFileError, match=r"l\.ndjson\.gz"):
        read(cut)


def test_standard_input_is_ndjson_unless_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Input:
        buffer = io.BytesIO(b"request_id,label\na,1\n")

    monkeypatch.setattr(sys, "stdin", Input)
    assert fields(read(Path("-"), form="csv")) == [{"request_id": "a", "label": 1}]
    Input.buffer = io.BytesIO(b'{"request_id":"a","label":1}')
    assert fields(read(Path("-"))) == [{"request_id": "a", "label": 1}]


def write_parquet(path: Path, columns: dict[str, list[Any]]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    parquet.write_table(pyarrow.table(columns), path)


def test_parquet_holds_numbers_dates_and_decimals(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    at = datetime(2026, 11, 23, 7, tzinfo=UTC)
    write_parquet(
        path,
        {
            "request_id": [1, 2, 3, None, 5],
            "label": [Decimal("7.50"), Decimal("7"), None, Decimal("1"), Decimal("2")],
            "at": [at, None, at, at, None],
            "amount": [b"x"] * 5,
        },
    )
    with open_labels(path, None, COLUMNS) as source:
        rows = list(source.rows)
        assert (source.total, source.done()) == (5.0, 5.0)
    assert rows[0].fields == {"request_id": "1", "label": 7.5, "at": "2026-11-23T07:00:00+00:00"}
    assert rows[1].fields == {"request_id": "2", "label": 7}
    assert [row.because for row in rows[2:4]] == ["it has no label", "it has no request id"]


def test_parquet_of_bytes_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    write_parquet(path, {"request_id": ["a"], "label": [b"x"]})
    (row,) = read(path)
    assert row.fields is None and "JSON" in row.because


def test_what_is_not_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    path.write_bytes(b"nonsense")
    with pytest.raises(LabelFileError, match="not a Parquet file"):
        read(path)
    write_parquet(path, {"id": ["a"], "label": [1]})
    with pytest.raises(LabelFileError, match="--id-column"):
        read(path)


def test_without_pyarrow_one_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "l.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LabelFileError, match=r"pip install 'understudy\[parquet\]'"):
        read(path)


def test_how_far_a_file_is_read_is_known(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("request_id,label\n" + "a,1\n" * 100_000)
    with open_labels(path, None, COLUMNS) as source:
        assert source.total == path.stat().st_size and source.done() < source.total / 2
        assert sum(1 for _ in source.rows) == 100_000


VALUES = st.text(max_size=6) | st.integers() | st.booleans() | st.floats(allow_nan=False)


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=5))
def test_any_value_comes_back_from_lines_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("labels") / "l.ndjson"
    finite = [v for v in values if not isinstance(v, float) or math.isfinite(v)]
    rows = [{"request_id": "a", "label": value} for value in finite if value is not None]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    short = [row for row in rows if not (isinstance(row["label"], int) and row["label"] > 10**39)]
    if short == rows:
        assert fields(read(path)) == rows
