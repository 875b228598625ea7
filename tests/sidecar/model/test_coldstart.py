from sidecar.model import coldstart
from sidecar.model.coldstart import ColdStart
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(coldstart)


def test_limits_are_shares_times_and_numbers() -> None:
    limits = {"a": "2%", "b": "300ms", "c": "1.5"}
    checks = {name: {"at_most": text} for name, text in limits.items()}
    read = ColdStart.model_validate({"checks": checks})
    assert [one.at_most for one in read.checks.values()] == [0.02, 0.3, 1.5]
    assert (read.at_least, read.on_timeout) == (1000, "hold")
