"""The lot that says whose label is asked for."""

import statistics

from hypothesis import given
from hypothesis import strategies as st

from evaluator.draw import draw


@given(st.text(max_size=50), st.text(min_size=1, max_size=50))
def test_draw_is_in_its_range_and_always_the_same(experiment: str, request_id: str) -> None:
    found = draw(experiment, request_id)
    assert 0.0 <= found < 1.0 and found == draw(experiment, request_id)


def test_draws_are_uniform_and_those_of_two_experiments_have_nothing_in_common() -> None:
    one = [draw("x", f"r{i}") for i in range(20_000)]
    other = [draw("y", f"r{i}") for i in range(20_000)]
    for draws in (one, other):
        tenths = [sum(k / 10 <= x < (k + 1) / 10 for x in draws) for k in range(10)]
        assert all(abs(n - 2_000) < 5 * (2_000 * 0.9) ** 0.5 for n in tenths)
    assert abs(statistics.correlation(one, other)) < 5 / 20_000**0.5
