from sidecar.model import process
from sidecar.model.process import Admin, Stop
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(process)


def test_defaults_are_the_documented_ones() -> None:
    assert Admin().listen == ("127.0.0.1", 8081)
    assert (Stop().delay, Stop().drain) == (0.0, 10.0)
