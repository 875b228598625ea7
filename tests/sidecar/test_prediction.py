"""What a router reads in an answer is what the evaluator reads in it."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from evaluator.evaluator import Evaluator
from evaluator.join import Answer
from router.observation import Outcome
from sidecar.prediction import reader
from tests.evaluator.builders import ACCURACY, answer, exposure, plan

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def stored(outcome: Outcome) -> Answer:
    """What the store would keep of the answer."""
    judgable = Evaluator(plan(ACCURACY)).observe(exposure(1, is_challenger=True, outcome=outcome))
    assert judgable is not None and judgable.challenger is not None
    return judgable.challenger


@given(json_values)
def test_token_and_store_read_the_same_in_any_answer(value: Any) -> None:
    outcome = answer(value)
    kept = stored(outcome)
    assert reader("prediction")(outcome) == (kept.prediction, kept.is_cut)


@pytest.mark.parametrize(
    "changed",
    [
        {"status": 404},
        {"body": b"not json"},
        {"body": b""},
        {"body": gzip.compress(b'{"prediction": 7}'), "encoding": "gzip"},
        {"body": b"?", "encoding": "br"},
        {"body": b"", "body_bytes": 10**6},
        {"form": "sse", "body": b'data: {"prediction": 7}\n\n'},
    ],
    ids=["status", "text", "empty", "gzip", "encoding", "large", "events"],
)
def test_they_agree_on_why_there_is_none(changed: dict[str, Any]) -> None:
    outcome = structs.replace(answer(7), **changed)
    if "body_bytes" not in changed:
        outcome = structs.replace(outcome, body_bytes=len(outcome.body))
    kept = stored(outcome)
    assert reader("prediction")(outcome) == (kept.prediction, kept.is_cut)


def test_numbers_are_written_as_labels_are() -> None:
    body = json.dumps({"prediction": 7.0}).encode()
    assert reader("prediction")(structs.replace(answer(7), body=body)) == ("7", False)


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="not JMESPath"):
        reader("[[")
