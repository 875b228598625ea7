import pytest
from pydantic import ValidationError

from sidecar.model import metric
from sidecar.model.metric import MetricSection
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(metric)


def test_a_metric_needs_its_kind_and_role() -> None:
    with pytest.raises(ValidationError, match="role"):
        MetricSection.model_validate({"kind": "error"})
