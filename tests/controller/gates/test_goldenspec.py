import pytest

from controller.gates.goldenspec import OFFLINE, Allowed
from evaluator.metric import KINDS


@pytest.mark.parametrize(
    ("allowed", "bound"),
    [(Allowed(), 0.0), (Allowed(absolute=0.01), 0.01), (Allowed(relative=0.1), 0.25)],
)
def test_a_margin_is_absolute_or_of_the_champions_value(allowed, bound):
    assert allowed.bound(2.5) == pytest.approx(bound)


def test_a_share_of_a_negative_number_is_no_negative_margin():
    assert Allowed(relative=0.1).bound(-2.5) == pytest.approx(0.25)


def test_only_drift_makes_no_sense_offline():
    assert set(KINDS) - set(OFFLINE) == {"drift"}
