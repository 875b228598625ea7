"""Errors say who is at fault and what the client is told."""

import pytest

from router.errors import AnswerError, RequestError, RequestTimeout, RouterError
from router.observation import FAULTS


@pytest.mark.parametrize(
    ("error", "status"),
    [(RouterError, 500), (RequestError, 400), (RequestTimeout, 408), (AnswerError, 502)],
)
def test_each_error_has_a_status_of_its_own(error: type[RouterError], status: int) -> None:
    assert error("because").status_hint == status
    assert str(error("because")) == "because"


def test_status_may_be_told_more_precisely_for_one_error_only() -> None:
    assert RequestError("long", status_hint=414).status_hint == 414
    assert RequestError("bad").status_hint == 400


def test_clients_and_variants_are_never_confused() -> None:
    assert issubclass(RequestTimeout, RequestError)
    assert not issubclass(AnswerError, RequestError)
    assert not issubclass(RequestError, AnswerError)


def test_fault_of_an_answer_is_one_that_observations_know() -> None:
    assert AnswerError.fault in FAULTS
    assert RequestError.fault == ""
