from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import rowset
from controller.rowhash import row_hash
from controller.rowset import RowSet, RowSetError, from_bytes, keep, load, row_set_of, to_bytes

ROWS = [{"age": n, "country": "CH" if n % 2 else "DE"} for n in range(500)]


def hashed(row: dict[str, object], columns: set[str] | None = None) -> int:
    found = row_hash(row, columns)
    assert found is not None
    return found


def test_every_row_is_found_and_no_other() -> None:
    rows = row_set_of([*ROWS, *ROWS, {"age": None}])
    assert (rows.n_rows, len(rows.hashes), rows.is_whole, rows.coverage) == (1000, 500, True, 1.0)
    assert rows.columns == ("age", "country")
    assert all(rows.has(hashed(row)) for row in ROWS)
    assert not any(rows.has(hashed({**row, "age": -1 - n})) for n, row in enumerate(ROWS))


def test_only_the_named_columns_count() -> None:
    rows = row_set_of(({**row, "id": n} for n, row in enumerate(ROWS)), {"age", "country"})
    assert rows.columns == ("age", "country")
    assert all(rows.has(hashed(row)) for row in ROWS)


def test_of_too_many_rows_a_sample_tells_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowset, "MAX_HASHES", 100)
    monkeypatch.setattr(rowset, "BATCH", 64)
    rows = row_set_of(ROWS)
    assert len(rows.hashes) == 100 and not rows.is_whole and rows.n_rows == 500
    answers = [rows.has(hashed(row)) for row in ROWS]
    assert answers.count(True) == 100 and answers.count(None) == 400
    strangers = [rows.has(hashed({"age": -n})) for n in range(1, 500)]
    assert True not in strangers and 0 < strangers.count(False) < 250
    assert abs(rows.coverage - 0.2) < 0.1


@settings(max_examples=50)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=50, unique=True), st.integers(0, 99))
def test_set_survives_being_written(hashes: list[int], n: int) -> None:
    import numpy as np

    one = RowSet(("a", "b"), n, True, np.array(sorted(hashes), np.uint64))
    other = from_bytes(to_bytes(one))
    assert (other.columns, other.n_rows, other.is_whole) == (one.columns, one.n_rows, True)
    assert other.hashes.tolist() == sorted(hashes)
    assert all(other.has(found) for found in hashes)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
        lambda raw: b"x" + raw,
        lambda raw: raw.replace(b'"n_rows"', b'"n_rowz"'),
        lambda raw: raw.replace(b'"n_hashes": 500', b'"n_hashes": 499'),
        lambda raw: b"",
    ],
)
def test_damaged_set_is_refused(spoil: object) -> None:
    with pytest.raises(RowSetError):
        from_bytes(spoil(to_bytes(row_set_of(ROWS))))  # type: ignore[operator]


def test_set_is_kept_under_its_digest_and_a_change_of_it_is_seen(tmp_path: Path) -> None:
    content = to_bytes(row_set_of(ROWS))
    name = keep(tmp_path / "rows", content)
    assert keep(tmp_path / "rows", content) == name
    assert [file.name for file in (tmp_path / "rows").iterdir()] == [name]
    assert load(tmp_path / "rows", name).n_rows == 500
    (tmp_path / "rows" / name).write_bytes(to_bytes(row_set_of(ROWS[:1])))
    with pytest.raises(RowSetError, match="was changed since it was written"):
        load(tmp_path / "rows", name)
    with pytest.raises(RowSetError, match="No such file"):
        load(tmp_path, "gone.rows")


def test_rows_without_a_value_make_an_empty_set() -> None:
    rows = row_set_of([{"a": None}])
    assert rows.n_rows == 0 and rows.has(5) is False and rows.coverage == 1.0


def test_number_of_columns_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowset, "MAX_COLUMNS", 3)
    with pytest.raises(RowSetError, match="more than 3"):
        row_set_of([{f"c{n}": 1} for n in range(4)])
