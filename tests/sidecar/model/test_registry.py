import pytest
from pydantic import ValidationError

from sidecar.model import registry
from sidecar.model.registry import Registry, Reports
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(registry)


def test_nothing_is_required_or_trusted_unless_it_is_said() -> None:
    one = Registry()
    assert (one.required, one.keys, one.mlflow) == (False, None, None)


def test_reports_need_a_path() -> None:
    with pytest.raises(ValidationError, match="path"):
        Reports.model_validate({"version": "versions[0]"})
