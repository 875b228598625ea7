import json

import pytest

from loadtests.work import PREDICT, Work, answer_body, request_body


@pytest.mark.parametrize("size_bytes", [64, 65, 71, 1024, 65_536])
def test_request_is_json_of_exactly_the_size_asked_for(size_bytes: int) -> None:
    body = request_body(size_bytes)
    assert len(body) == size_bytes
    assert set(json.loads(body)) == {"instances"}


def test_answer_is_json_of_exactly_the_size_asked_for_and_names_the_variant() -> None:
    body = answer_body(PREDICT.answer_bytes, "challenger")
    assert len(body) == PREDICT.answer_bytes
    assert json.loads(body)["model_version"] == "challenger"


def test_sizes_too_small_for_the_json_are_refused() -> None:
    with pytest.raises(ValueError, match="request_bytes=10"):
        Work(suffix="", request_bytes=10, answer_bytes=200)
    with pytest.raises(ValueError, match="answer_bytes=80"):
        Work(suffix="", request_bytes=1024, answer_bytes=80)
