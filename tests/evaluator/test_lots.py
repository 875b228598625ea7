"""Counting lots."""

import pytest

from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.lots import Drawn, Lots
from evaluator.srm import SrmEProcess


def test_counts_are_kept_by_propensity_and_told_with_what_was_due() -> None:
    drawn: list[Drawn] = []
    lots = Lots(drawn, None)
    for propensity, is_challenger in ((0.1, True), (0.1, False), (0.5, True), (0.1, False)):
        lots.count(propensity, is_challenger, 1)
    assert drawn == [Drawn(0.1, 2, 1), Drawn(0.5, 0, 1)]
    assert (lots.n(), lots.n_challenger()) == (4, 2)
    assert lots.due() == pytest.approx(0.8)


def test_evidence_is_that_of_the_counts_and_goes_on_from_a_state() -> None:
    lots, process = Lots([Drawn(0.5, 100, 160)], None), SrmEProcess()
    lots.count(0.1, True, 1)
    process.update(0.5, 100, 160)
    process.update(0.1, 0, 1)
    assert lots.log_e() == pytest.approx(process.log_e, abs=1e-12)
    assert lots.log_e() > 3.0


def test_nothing_drawn_is_no_evidence() -> None:
    assert Lots([], None).log_e() == 0.0 and Lots([], None).n() == 0
    assert Lots([], ClusteredEProcess.empty()).log_e() == 0.0


@pytest.mark.parametrize("is_clustered", [False, True])
def test_parts_add_up(is_clustered: bool) -> None:
    whole, one, other = (
        Lots([], ClusteredEProcess.empty() if is_clustered else None) for _ in range(3)
    )
    for unit in range(3000):
        for lots in (whole, one if unit % 3 else other):
            lots.count(0.25 if unit % 2 else 0.5, unit % 5 < 2, unit * 0x9E3779B97F4A7C15)
    one.merge(other)
    assert one.n() == whole.n() and one.n_challenger() == whole.n_challenger()
    assert one.log_e() == pytest.approx(whole.log_e(), abs=1e-9)
    assert whole.log_e() != 0.0


def test_units_that_send_many_requests_are_no_alarm_where_requests_would_be() -> None:
    """Forty requests of each of 200 users, shared out as asked: 90 users are the challenger's."""
    by_request, by_unit = Lots([], None), Lots([], ClusteredEProcess.empty())
    for user in range(200):
        for _ in range(40):
            for lots in (by_request, by_unit):
                lots.count(0.5, user % 20 < 9, user * 0x9E3779B97F4A7C15 % 2**64)
    assert by_request.log_e() > 6.9 > by_unit.log_e()
