import pytest
from pydantic import ValidationError

from sidecar.model import functional
from sidecar.model.functional import Functional
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(functional)


def test_nothing_is_asked_that_is_not_declared() -> None:
    stage = Functional()
    assert (stage.batch, stage.bad_input, stage.deterministic, stage.metadata) == ([], *[False] * 3)
    assert stage.latency is None


def test_numbers_have_their_units() -> None:
    latency = {"p99": "200ms", "requests": "20"}
    stage = Functional.model_validate({"latency": latency, "batch": ["1", "8"]})
    assert stage.latency is not None
    assert (stage.latency.p99, stage.latency.p50, stage.latency.requests) == (0.2, None, 20)
    assert stage.batch == [1, 8]


@pytest.mark.parametrize("wrong", [{"latency": {"p99": "200"}}, {"batch": ["0"]}, {"p99": "1s"}])
def test_what_is_not_allowed_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Functional.model_validate(wrong)
