"""Which epoch a request belongs to by its time: never one that was fixed after it was served."""

from hypothesis import given
from hypothesis import strategies as st

from evaluator.epochs import MAX_KNOWN, Starts, begin, epoch_at


def test_a_request_belongs_to_the_newest_epoch_that_was_fixed_before_it() -> None:
    starts: Starts = []
    begin(starts, 1, 100)
    begin(starts, 2, 200)
    assert [epoch_at(starts, at_ns) for at_ns in (0, 100, 101, 200, 201, 10**18)] == [
        0, 0, 1, 1, 2, 2,
    ]  # fmt: skip


def test_before_any_epoch_has_begun_there_is_the_first() -> None:
    assert epoch_at([], 5) == 0


def test_epochs_that_began_at_once_are_one_for_later_requests() -> None:
    starts: Starts = []
    begin(starts, 1, 100)
    begin(starts, 2, 100)
    assert (epoch_at(starts, 100), epoch_at(starts, 101)) == (0, 2)


def test_a_clock_that_went_back_leaves_requests_with_earlier_epochs() -> None:
    """What is known up to 500 stays known: bets of epoch 2 may have learnt from it."""
    starts: Starts = []
    begin(starts, 1, 500)
    begin(starts, 2, 300)
    assert (epoch_at(starts, 400), epoch_at(starts, 501)) == (0, 2)


def test_what_is_forgotten_falls_to_the_first_epoch() -> None:
    starts: Starts = []
    for epoch in range(1, MAX_KNOWN + 11):
        begin(starts, epoch, 10 * epoch)
    assert len(starts) == MAX_KNOWN
    assert epoch_at(starts, 50) == 0
    assert epoch_at(starts, 10**9) == MAX_KNOWN + 10


@given(st.lists(st.integers(0, 1000)), st.integers(-10, 1010))
def test_no_epoch_is_given_whose_bets_could_have_known_the_request(
    known: list[int], at_ns: int
) -> None:
    starts: Starts = []
    for epoch, known_ns in enumerate(known, start=1):
        begin(starts, epoch, known_ns)
    found = epoch_at(starts, at_ns)
    assert all(known_ns < at_ns for known_ns in known[:found])
    if len(known) <= MAX_KNOWN:
        best = [e for e in range(len(known) + 1) if all(k < at_ns for k in known[:e])]
        assert found == max(best)
