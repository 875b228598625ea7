import itertools
from random import Random

import pytest

from sidecar.demo.lateness import Lateness, postings

N = 20_000


def planned(lateness: Lateness) -> list[list[tuple[float, str, int]]]:
    random = Random(5)
    return [
        [(p.due_in_s, p.request_id, p.label) for p in postings(f"r{n}", n % 10, lateness, random)]
        for n in range(N)
    ]


def own(plans: list[list[tuple[float, str, int]]]) -> list[list[tuple[float, str, int]]]:
    return [[p for p in plan if p[1] == f"r{n}"] for n, plan in enumerate(plans)]


def test_declared_shares_never_come_and_come_twice() -> None:
    counts = [len(plan) for plan in own(planned(Lateness()))]
    assert counts.count(0) / N == pytest.approx(0.05, abs=0.006)
    assert counts.count(2) / N == pytest.approx(0.95 * 0.05, abs=0.006)
    assert max(counts) == 2


def test_labels_are_true_and_in_time() -> None:
    for n, plan in enumerate(own(planned(Lateness()))):
        for due_in_s, _, label in plan:
            assert 1.0 <= due_in_s <= 6.0
            assert label == n % 10


def test_second_label_does_not_come_before_the_first() -> None:
    twice = [plan for plan in own(planned(Lateness())) if len(plan) == 2]
    assert twice and all(first[0] <= second[0] for first, second in twice)


def test_some_labels_are_for_requests_that_nobody_made() -> None:
    strangers = [p for plan in planned(Lateness()) for p in plan if p[1].startswith("nobody-")]
    assert len(strangers) / N == pytest.approx(0.01, abs=0.003)
    assert len({request_id for _, request_id, _ in strangers}) == len(strangers)


def test_labels_of_consecutive_requests_overtake_each_other() -> None:
    first_due = [plan[0][0] for plan in own(planned(Lateness())) if plan]
    falling = sum(a > b for a, b in itertools.pairwise(first_due))
    assert 0.45 < falling / len(first_due) < 0.55
