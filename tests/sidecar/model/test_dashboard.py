import pytest
from pydantic import ValidationError

from sidecar.model import dashboard
from sidecar.model.dashboard import Dashboard
from tests.sidecar.model.described import assert_described
from tests.sidecar.routing_texts import load, with_part


def test_every_key_is_described() -> None:
    assert_described(dashboard)


def test_a_word_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValidationError, match="show"):
        Dashboard.model_validate({"show": "payloads"})


def test_nothing_is_shown_unless_the_file_says_so() -> None:
    text = with_part('predict"}\n', 'predict"}\n    dashboard: {show: predictions}\n')
    assert load(text).intent.routes[0].shown == "predictions"
    assert (
        load(text.replace("dashboard: {show: predictions}", "")).intent.routes[0].shown == "nothing"
    )
