import gzip
from pathlib import Path

import pytest

from controller.rowfile import RowFileError, read_rows
from controller.rowhash import row_hash

ROWS = [{"age": 41, "score": 0.25, "name": "Ä"}, {"age": 7, "score": 1.5, "name": "b,c"}]
CSV = 'age,score,name\n41,0.25,Ä\n7,1.5,"b,c"\n'
NDJSON = '{"age":41,"score":0.25,"name":"Ä"}\n\n{"name":"b,c","age":7,"score":1.5}'


def parquet(path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.Table.from_pylist(ROWS)
    schema = table.schema.set(1, pyarrow.field("score", pyarrow.float32()))
    parquet.write_table(table.cast(schema), path)


def test_all_formats_give_the_same_hashes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufeff" + CSV)
    (tmp_path / "a.jsonl").write_text(NDJSON)
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(NDJSON.encode()))
    parquet(tmp_path / "a.parquet")
    wanted = [row_hash(row) for row in ROWS]
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    for file in files:
        assert [row_hash(row) for row in read_rows(file)] == wanted, file


@pytest.mark.parametrize(
    ("name", "content", "because"),
    [
        ("a.csv", b"", "the first line must name the columns"),
        ("a.csv", b"a,a\n1,2\n", "two columns have one name"),
        ("a.csv", b"a,b\n1\n", "line 2: 1 cells, 2 columns"),
        ("a.csv", b"a\n\xff\n", "invalid start byte"),
        ("a.ndjson", b"{}\n[1]\n", "line 2: not an object"),
        ("a.ndjson", b'{"a":1}\n{"a"', "line 2: not JSON"),
        ("a.csv.gz", gzip.compress(b"a\n1\n", mtime=0)[:-4], "end-of-stream"),
        ("a.parquet", b"PAR1 is not all", "a.parquet"),
        ("a.pkl", b"", "must end in one of .csv, .jsonl, .ndjson, .parquet"),
    ],
)
def test_file_at_fault_is_refused_with_its_name(
    tmp_path: Path, name: str, content: bytes, because: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(RowFileError, match=because) as caught:
        list(read_rows(file))
    assert name in str(caught.value)


def test_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RowFileError, match="No such file"):
        list(read_rows(tmp_path / "gone.csv"))


def test_line_without_end_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.rowfile.MAX_LINE_BYTES", 10)
    file = tmp_path / "a.ndjson"
    file.write_text('{"a":1}\n{"a":"0123456789"}\n')
    with pytest.raises(RowFileError, match="line 2: longer than 10 bytes"):
        list(read_rows(file))
