import pytest
from pydantic import ValidationError

from sidecar.model import security
from sidecar.model.security import Fairness, Licences, Scan
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(security)


@pytest.mark.parametrize(
    "allowed", ["sklearn.*", "os.system", "my_package.deep.Model", "file:lib/*.so", "torch"]
)
def test_names_modules_and_files_may_be_allowed(allowed: str) -> None:
    assert Scan.model_validate({"allow": [allowed]}).allow == [allowed]


@pytest.mark.parametrize("allowed", ["*", "sklearn*", "sk learn", ".*", "", "file:"])
def test_what_would_allow_everything_is_refused(allowed: str) -> None:
    with pytest.raises(ValidationError):
        Scan.model_validate({"allow": [allowed]})


def test_a_list_of_licences_names_one() -> None:
    with pytest.raises(ValidationError):
        Licences.model_validate({"allow": []})
    assert Licences.model_validate({"allow": ["GPL-2.0-only WITH Classpath-exception-2.0"]})


def test_fairness_compares_what_fairlearn_knows() -> None:
    with pytest.raises(ValidationError):
        Fairness.model_validate({"by": ["sex"], "metric": "karma"})
