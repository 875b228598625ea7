import io

import pytest

from controller.gates.artifactitem import Budget, Metered, TooMuch


def test_bytes_are_counted_as_they_are_read() -> None:
    budget = Budget(left_bytes=10, left_items=1)
    stream = io.BufferedReader(Metered(io.BytesIO(b"12345"), budget))
    assert stream.read() == b"12345"
    assert (budget.read_bytes, budget.left_bytes) == (5, 5)


def test_more_bytes_than_the_budget_end_the_reading() -> None:
    stream = Metered(io.BytesIO(bytes(100)), Budget(left_bytes=10, left_items=1))
    with pytest.raises(TooMuch, match="bytes"):
        stream.read(50)


def test_more_items_than_the_budget_end_the_reading() -> None:
    budget = Budget(left_bytes=10, left_items=1)
    budget.count()
    with pytest.raises(TooMuch, match="files"):
        budget.count()
