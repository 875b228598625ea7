import pytest
from pydantic import ValidationError

from sidecar.model import performance
from sidecar.model.performance import Performance
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(performance)


def test_a_golden_set_is_all_that_is_needed() -> None:
    stage = Performance.model_validate({"golden": "g.ndjson"})
    assert (stage.margin_relative, stage.concurrency, stage.at_least) == (0.02, 4, 20)
    assert (stage.slices.margin_relative, stage.slices.at_least) == (0.1, 30)
    assert (stage.slices.small, stage.slices.undecided) == ("hold", "hold")
    assert stage.skip_shadow_when is None and not stage.require_training_data


@pytest.mark.parametrize(("text", "lead"), [(">= 3%", 0.03), (">=0.5", 0.5), (">= 12.5%", 0.125)])
def test_a_lead_is_a_share_or_a_number(text: str, lead: float) -> None:
    stage = Performance.model_validate({"golden": "g.csv", "skip_shadow_when": text})
    assert stage.skip_shadow_when == pytest.approx(lead)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"golden": "g.csv", "skip_shadow_when": "3%"},
        {"golden": "g.csv", "skip_shadow_when": "> 3%"},
        {"golden": "g.csv", "digest": "sha256:12"},
        {"golden": "g.csv", "template": "{"},
        {"golden": "g.csv", "by": ["a["]},
        {"golden": "g.csv", "concurrency": "0"},
        {"golden": "g.csv", "slices": {"small": "pass"}},
    ],
)
def test_what_is_not_allowed_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Performance.model_validate(wrong)
