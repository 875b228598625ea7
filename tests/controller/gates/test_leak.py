import pytest

from controller.gates.leak import Training, TrainingFile, check_leak
from controller.rowset import row_set_of

TRAINED = [{"age": age, "city": "Bern", "label": 1} for age in range(100)]
OTHERS = [{"age": age, "city": "Bern", "label": 1} for age in range(1000, 1010)]


def numbered(rows):
    return list(enumerate(rows, start=1))


def training(*rows_or_none, digest="d-train"):
    files = [
        TrainingFile(f"train-{n}", digest, None if rows is None else row_set_of(rows))
        for n, rows in enumerate(rows_or_none)
    ]
    return Training("fraud-7", tuple(files))


def found(rows, known, *, is_required=False, digest="d-golden"):
    return check_leak(digest, numbered(rows), known, is_required=is_required)


def test_strangers_pass():
    check = found(OTHERS, training(TRAINED), is_required=True)
    assert check.passed and check.because == "none of 10 rows is in its training data"
    assert check.name == "training data of fraud-7"


def test_shared_rows_are_counted_and_named():
    check = found([*OTHERS, *TRAINED[:8]], training(TRAINED))
    assert not check.passed
    assert (
        "8 of 18 golden rows" in check.because and "rows 11, 12, 13, 14, 15, ..." in check.because
    )
    assert check.numbers["shared_rows"] == 8 and check.numbers["examples"] == [11, 12, 13, 14, 15]


def test_a_row_is_found_in_another_form():
    """CSV has texts, a float32 has fewer digits, and golden rows may have more columns."""
    changed = {"label": "1", "city": " Bern ", "age": "7.0", "country": "CH"}
    assert not found([changed], training(TRAINED)).passed


def test_the_same_file_is_a_leak_whatever_its_rows():
    check = found(OTHERS, training(None), digest="d-train")
    assert not check.passed and "the golden set is train-0" in check.because


@pytest.mark.parametrize("is_required", [False, True])
def test_what_nobody_declared_is_said_and_refused_where_it_is_required(is_required):
    check = found(OTHERS, Training("fraud-7", ()), is_required=is_required)
    assert check.passed is not is_required
    assert "a leak cannot be excluded" in check.because and check.numbers["declared"] is False


@pytest.mark.parametrize("is_required", [False, True])
@pytest.mark.parametrize(
    ("rows", "known", "said"),
    [
        (OTHERS, training(TRAINED, None), "with 1 of its 2 files"),
        ([{"pixel": 1}] * 3, training(TRAINED), "0 of 3 rows could be compared"),
    ],
    ids=["a file without rows", "other columns"],
)
def test_what_cannot_be_compared_is_said(rows, known, said, is_required):
    check = found(rows, known, is_required=is_required)
    assert check.passed is not is_required and said in check.because


def test_strangers_that_share_a_column_are_no_leak():
    """On the city alone every row of Bern would be every other."""
    check = found([{"city": "Bern", "pixel": 3}], training(TRAINED))
    assert check.passed and check.numbers["rows_compared"] == 0
