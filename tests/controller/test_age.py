import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.age import MAX_ERAS, Ages

S = 10**9
HOUR = 3600 * S
DAY = 24 * HOUR


class Clocks:
    """Two clocks, of which one can jump, and the requests of every minute."""

    def __init__(self) -> None:
        self.wall_ns, self.mono_s = 1_800_000_000 * S, 500.0
        self.ages = Ages(self.wall_ns, self.mono_s)
        self.requests: list[tuple[int, float]] = []
        """The wall clock that each carries, and the monotonic one, which tells the truth."""

    def run(self, minutes: int) -> None:
        for _ in range(minutes):
            self.wall_ns += 60 * S
            self.mono_s += 60.0
            self.requests.append((self.wall_ns, self.mono_s))
            self.ages.note(self.wall_ns, self.mono_s)

    def jump(self, by_ns: int) -> None:
        self.wall_ns += by_ns
        self.ages.note(self.wall_ns, self.mono_s)

    def ages_of_due(self, age_ns: int) -> list[float]:
        """Return how old, in truth, those are that count as ``age_ns`` old."""
        before_ns = self.ages.before_ns(age_ns)
        return [self.mono_s - at_s for at_ns, at_s in self.requests if at_ns <= before_ns]


def test_without_a_jump_age_is_what_the_wall_clock_says():
    clocks = Clocks()
    clocks.run(300)
    assert clocks.ages.before_ns(HOUR) == clocks.wall_ns - HOUR


def test_clock_that_is_put_right_slowly_does_not_jump():
    clocks = Clocks()
    for _ in range(10):
        clocks.run(10)
        clocks.wall_ns += S // 2
    clocks.run(1)
    assert clocks.ages.before_ns(HOUR) == clocks.wall_ns - HOUR


@pytest.mark.parametrize("jump_ns", [HOUR, -HOUR, 30 * DAY])
def test_no_request_is_old_before_its_time_and_none_waits_for_ever(jump_ns: int):
    clocks = Clocks()
    clocks.run(200)
    clocks.jump(jump_ns)
    for _ in range(30):
        clocks.run(10)
        due = clocks.ages_of_due(2 * HOUR)
        assert all(age_s >= 7200.0 for age_s in due)
    late_s = max(0, -jump_ns) / S
    old = [1 for _, at_s in clocks.requests if clocks.mono_s - at_s >= 7200.0 + late_s]
    assert len(clocks.ages_of_due(2 * HOUR)) >= len(old)


def test_after_a_jump_forward_and_back_ages_are_the_wall_clocks_again():
    clocks = Clocks()
    clocks.run(60)
    clocks.jump(HOUR)
    clocks.run(5)
    clocks.jump(-HOUR)
    clocks.ages.before_ns(2 * HOUR)
    clocks.run(400)
    assert clocks.ages.before_ns(2 * HOUR) == clocks.wall_ns - 2 * HOUR


def test_a_clock_that_jumps_without_end_is_remembered_no_further_than_the_bound():
    clocks = Clocks()
    clocks.ages.before_ns(30 * DAY)
    for _ in range(10 * MAX_ERAS):
        clocks.run(1)
        clocks.jump(HOUR)
    assert len(clocks.ages._eras) <= MAX_ERAS


@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(-3 * HOUR, 3 * HOUR)), max_size=6),
    st.sampled_from([0, 10 * 60 * S, HOUR, 5 * HOUR]),
)
def test_whatever_the_jumps_nothing_is_judged_early(jumps: list[tuple[int, int]], age_ns: int):
    clocks = Clocks()
    clocks.ages.before_ns(age_ns)
    for minutes, by_ns in jumps:
        clocks.run(minutes)
        clocks.jump(by_ns)
        due = clocks.ages_of_due(age_ns)
        unnoted_s = len(jumps) * 1.0  # jumps of less than a second are none, and add up
        assert all(age_s >= age_ns / S - unnoted_s for age_s in due)
